"""Functions called like layers: Keras 3's operations, and TensorFlow's in files of Keras 2."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.ann.checks import is_number
from eventsnn.exceptions import InputError
from eventsnn.readers import bends
from eventsnn.readers.keras import moving
from eventsnn.readers.keras.activations import LEAKY, Activation
from eventsnn.readers.keras.builder import CHANGE, Builder, Value
from eventsnn.readers.keras.config import Layer

MAX_ITEMS = 10_000  # of one argument
FAILURES = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, StopIteration, TypeError),
    ValueError,
)
Made = Callable[..., Value]
# arguments that Keras 3 keeps among a function's settings
SETTINGS = ("axis", "axes", "keepdims", "newshape", "negative_slope", "x_min", "x_max")


def line(builder: Builder, value: Value, name: str, factor: ArrayLike, shift: ArrayLike) -> Value:
    """value * factor + shift, as a node.

    builder: of the graph. value: any. name: the node's. factor, shift: numbers, or one a channel.
    """
    value = builder.settled(value, name)
    channels = builder.shapes[value.node][0]
    factor, shift = (np.asarray(x, np.float64).reshape(-1) for x in (factor, shift))
    if value.flat and value.order is not None:
        factor, shift = (_by_node(x, value.order) for x in (factor, shift))
    if not all(x.size in (1, channels) for x in (factor, shift)):
        found = f"{factor.size} factors and {shift.size} shifts"
        raise builder.wrong(name, f"1 or {channels} numbers", found)
    made = bends.line(builder.add, name, value, channels, factor, shift)
    return made._replace(flat=value.flat, order=value.order)


def _by_node(numbers: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers of Keras's elements as those of the node's."""
    if numbers.size != order.size:
        return numbers
    found = np.empty_like(numbers)
    found[order] = numbers
    return found


def _scaled(builder: Builder, value: Value, name: str, factor: Any, shift: Any) -> Value:
    """value * factor + shift: of the image its preprocessing where that can say it."""
    factor, shift = (_channels(builder, name, value, x) for x in (factor, shift))
    if value.pixels is None or value.numbers is not None or not (factor > 0).all():
        return line(builder, value, name, factor, shift)
    before, offset = value.pixels
    pixels = (before * factor, offset * factor + shift)
    good = all(np.isfinite(x).all() for x in pixels) and (pixels[0] > 0).all()
    if not good:
        found = f"factors {factor.tolist()}, shifts {shift.tolist()}"
        raise builder.wrong(name, "finite numbers, factors above 0", found)
    return value._replace(pixels=pixels)


def _channels(builder: Builder, name: str, value: Value, numbers: Any) -> NDArray[np.float64]:
    """A constant as one number, or one for each channel."""
    array = np.asarray(numbers)
    if array.dtype.kind not in "fiu" or array.size > MAX_ITEMS:
        raise builder.wrong(name, "a number as the other operand", type(numbers).__name__)
    array = array.astype(np.float64)
    if array.size == 1:
        return array.reshape(1)
    seen = builder.seen(value).shape
    shape = (1,) * (len(seen) + 1 - array.ndim) + array.shape
    channel = 1 if builder.first or len(seen) == 1 else len(seen)
    good = len(shape) == len(seen) + 1 and math.prod(shape) == shape[channel] == seen[channel - 1]
    if not good:
        found = f"shape {list(array.shape)}"
        raise builder.wrong(name, "one number, or one for each channel", found)
    return array.reshape(-1)


def _arithmetic(op: str) -> Made:
    def make(builder: Builder, name: str, x: Any, y: Any, **others: Any) -> Value:
        both = isinstance(x, Value) and isinstance(y, Value)
        if both and op in ("add", "sub"):
            x, y = builder.settled(x, name), builder.settled(y, name)
            if op == "sub":
                y = line(builder, y, f"{name}:minus", -1.0, 0.0)
            if x.flat:
                x, y = builder.vector(x, name), builder.vector(y, name)
            same = (x.order is None) is (y.order is None) and np.array_equal(x.order, y.order)
            if not same or x.flat is not y.flat:
                raise builder.wrong(name, "values of one order", "those of two")
            return builder.add(name, "Add", [x, y])._replace(flat=x.flat, order=x.order)
        if both or (op == "div" and isinstance(y, Value)):
            raise builder.wrong(name, "a number as the other operand", "another layer's output")
        if isinstance(y, Value):
            constant, sign = x, -1.0 if op == "sub" else 1.0
            value = y
        else:
            constant, sign = y, 1.0
            value = x
        array = _channels(builder, name, value, constant)
        with np.errstate(all="ignore"):  # what is not finite is refused with the node
            if op == "mul":
                return _scaled(builder, value, name, array, 0.0)
            if op == "div":
                return _scaled(builder, value, name, 1 / array, 0.0)
            if op == "sub" and sign > 0:
                array = -array
            return _scaled(builder, value, name, sign, array)

    return make


def _bias_add(builder: Builder, name: str, x: Any, bias: Any, **others: Any) -> Value:
    return MADE["add"](builder, name, x, bias)


def _getitem(builder: Builder, name: str, x: Value, key: Any = None, **others: Any) -> Value:
    key = others.get("slice_spec", key)
    parts = key if isinstance(key, tuple) else tuple(key) if isinstance(key, list) else (key,)
    good = (
        all(p is None or p is ... or type(p) is int or isinstance(p, slice) for p in parts)
        and len(parts) <= 10
    )
    index = builder.seen(x)[None]  # with the batch
    try:
        found = index[parts] if good else None
        whole = found is not None and found.ndim > 0 and len(found) == 1
        batch = not parts or parts[0] is ... or parts[0] == slice(None)
    except (IndexError, TypeError, ValueError):
        found, whole, batch = None, False, False
    if found is None or not (whole and batch) or not found.size:
        raise builder.wrong(name, "whole numbers and slices behind the batch's axis", key)
    return builder.moved(x, name, found[0])


def _stack(builder: Builder, name: str, x: Any, axis: Any = 0, **others: Any) -> Value:
    return moving.joined(builder, _values(builder, name, x), name, axis, np.stack)


def _concatenate(builder: Builder, name: str, x: Any, axis: Any = -1, **others: Any) -> Value:
    return moving.joined(builder, _values(builder, name, x), name, axis, np.concatenate)


def _values(builder: Builder, name: str, x: Any) -> list[Value]:
    """The values of a list."""
    found = list(x) if isinstance(x, (list, tuple)) else [x]
    if not found or not all(isinstance(value, Value) for value in found):
        raise builder.wrong(name, "layers' outputs in a list", "something else")
    return found


def _reshape(builder: Builder, name: str, x: Value, shape: Any = None, **others: Any) -> Value:
    shape = others.get("newshape", others.get("target_shape", shape))
    index = builder.seen(x)[None]
    good = isinstance(shape, (list, tuple)) and all(type(n) is int for n in shape)
    try:
        found = index.reshape([1, *shape[1:]]) if good and shape[0] in (-1, 1) else None
    except ValueError:
        found = None
    if found is None:
        raise builder.wrong(name, f"a shape of {index.size:,} numbers for each image", shape)
    return builder.moved(x, name, found[0])


def _transpose(builder: Builder, name: str, x: Value, axes: Any = None, **others: Any) -> Value:
    axes = others.get("perm", axes)
    index = builder.seen(x)
    good = isinstance(axes, (list, tuple)) and list(map(str, axes))[:1] == ["0"]
    if not good or sorted(map(str, axes)) != [str(n) for n in range(index.ndim + 1)]:
        raise builder.wrong(name, f"0, and the numbers 1 to {index.ndim} in some order", axes)
    return builder.moved(x, name, index.transpose([n - 1 for n in axes[1:]]))


def _activation(name_of: str, largest: float | None = None, slope: float = 0.0) -> Made:
    def make(builder: Builder, name: str, x: Value, *more: Any, **others: Any) -> Value:
        bent = others.get("negative_slope", others.get("alpha", more[0] if more else slope))
        given = slope if name_of != "relu" or not slope else bent
        return builder.activate(x, name, Activation(name_of, largest, given))

    return make


def _clip(builder: Builder, name: str, x: Value, *limits: Any, **others: Any) -> Value:
    keys = (("x_min", "clip_value_min"), ("x_max", "clip_value_max"))
    given = [next((others[k] for k in pair if k in others), None) for pair in keys]
    low, high = (*limits, *given[len(limits) :])[:2]
    if not (is_number(low) and is_number(high) and low < high):
        raise builder.wrong(name, "two limits, the lower first", f"{low} and {high}")
    value = builder.settled(x, name)
    channels = builder.shapes[value.node][0]
    made = bends.clip(builder.add, name, value, channels, float(low), float(high))
    return made._replace(flat=value.flat, order=value.order)


def _absolute(builder: Builder, name: str, x: Value, **others: Any) -> Value:
    return builder.activate(x, name, Activation("relu", None, -1.0))


def _negative(builder: Builder, name: str, x: Value, **others: Any) -> Value:
    return line(builder, x, name, -1.0, 0.0)


def _same(builder: Builder, name: str, x: Value, *more: Any, **others: Any) -> Value:
    return x


def _mean(
    builder: Builder, name: str, x: Value, axis: Any = None, keepdims: Any = False, **others: Any
) -> Value:
    keepdims = others.get("keep_dims", keepdims)
    value = builder.settled(x, name)
    builder.map(value, name)
    axes = builder.axes(value)
    places = list(range(2, axes)) if builder.first else list(range(1, axes - 1))
    given = axis if isinstance(axis, (list, tuple)) else [axis]
    if not all(type(n) is int for n in given) or sorted(n % axes for n in given) != places:
        raise builder.wrong(name, f"a mean over the axes {places}", axis)
    made = builder.add(name, "GlobalAveragePool", [value])
    return made._replace(flat=not keepdims, sequence=made.sequence and bool(keepdims))


# name of a function, as `config.function_of` tells it -> what makes it
MADE: dict[str, Made] = {
    **dict.fromkeys(("getitem", "get_item"), _getitem),
    "stack": _stack,
    **dict.fromkeys(("concatenate", "concat"), _concatenate),
    "reshape": _reshape,
    "transpose": _transpose,
    "add": _arithmetic("add"),
    "bias_add": _bias_add,
    **dict.fromkeys(("subtract", "sub"), _arithmetic("sub")),
    **dict.fromkeys(("multiply", "mul"), _arithmetic("mul")),
    **dict.fromkeys(("true_divide", "truediv", "divide", "realdiv"), _arithmetic("div")),
    **dict.fromkeys(("negative", "neg"), _negative),
    **dict.fromkeys(("absolute", "abs"), _absolute),
    **dict.fromkeys(("clip", "clip_by_value"), _clip),
    "relu": _activation("relu"),
    "relu6": _activation("relu", 6.0),
    "leaky_relu": _activation("relu", None, LEAKY),
    "softmax": _activation("softmax"),
    "log_softmax": _activation("log_softmax"),
    "sigmoid": _activation("sigmoid"),
    **dict.fromkeys(("mean", "reduce_mean"), _mean),
    **dict.fromkeys(("cast", "identity", "convert_to_tensor", "stop_gradient"), _same),
}
ENDINGS = {f"function {name}": name for name in ("softmax", "log_softmax", "sigmoid")}


def _called(make: Made) -> Callable[..., Value]:
    def made(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
        try:
            args, kwargs = _arguments(layer.arguments[0], iter(values))
            settings = {key: layer.config[key] for key in layer.config if key in SETTINGS}
            return make(builder, name, *args, **settings | kwargs)
        except InputError:
            raise
        except FAILURES as error:  # other arguments than the function has
            where = f"{layer.kind} with the arguments that it has in Keras"
            raise builder.wrong(name, where, type(error).__name__, CHANGE) from error

    return made


FUNCTIONS = {f"function {name}": _called(make) for name, make in MADE.items()}


def _arguments(call: Any, values: Iterator[Value]) -> tuple[list[Any], dict[str, Any]]:
    """(positional, named) arguments of a call, with values in place of references."""
    if isinstance(call, dict):  # of Keras 3
        args = _filled(call.get("args") or [], values)
        kwargs = _filled(call.get("kwargs") or {}, values)
        return list(args), kwargs if isinstance(kwargs, dict) else {}
    if isinstance(call, list) and call and isinstance(call[0], list):  # a list of tensors
        firsts = [_filled(part[:3], values) for part in call if isinstance(part, list)]
        named: Any = next((part[3] for part in call if len(part) > 3), {})
        kwargs = _filled(named, values)
        return [firsts if len(firsts) > 1 else firsts[0]], kwargs
    first = _filled(call[:3], values)
    kwargs = _filled(call[3] if len(call) > 3 else {}, values)
    return [first], {key: value for key, value in kwargs.items() if key != "name"}


def _filled(value: Any, values: Iterator[Value]) -> Any:
    """JSON with values for references, and Python's objects for Keras's."""
    if isinstance(value, list):
        if len(value) in (3, 4) and isinstance(value[0], str):
            return next(values)
        if len(value) > MAX_ITEMS:
            return value
        return [_filled(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == "__keras_tensor__":
        return next(values)
    if kind in ("__ellipsis__", "Ellipsis"):
        return ...
    if kind in ("__slice__", "slice") or value.keys() == {"start", "stop", "step"}:
        ends = config if isinstance(config, dict) else value
        return slice(*(_filled(ends.get(key), values) for key in ("start", "stop", "step")))
    if kind == "__tensor__" and isinstance(config, dict):
        return config.get("value")
    if kind == "__tuple__":
        return tuple(_filled(item, values) for item in value.get("items") or ())
    return {key: _filled(item, values) for key, item in value.items()}
