"""ONNX's operators of several inputs that depend on the image, or of one and a constant.

As in `operators`; arrays may be any of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers import bends
from eventsnn.readers.building import Output, as_float, line_of
from eventsnn.readers.onnx.reading import (
    Reader,
    broadcast,
    by_base,
    by_channel,
    expect_room,
    put,
    seen,
    turned,
)
from eventsnn.readers.views import View, across, axes_of, is_whole, place, view, zeros


def _arithmetic(op: str) -> Callable[..., View]:
    """Add, Sub, Mul and Div, whose names begin with a capital letter."""

    def make(r: Reader, name: str, attrs: dict[str, Any], x: Any, y: Any) -> View:
        if r.opset < 7:
            y = _along(attrs, x, y)
        if isinstance(x, View) and isinstance(y, View):
            if op in ("Mul", "Div"):
                return seen(r, r.builder.refuse(name, op.lower(), "of two outputs"))
            if op == "Sub":
                y = line(r, f"{name}.minus", "sub", y, np.float32(-1), np.float32(0))
            return _added(r, name, x, y)
        if isinstance(x, View):
            return _with_bias(r, x, y, op) or line(r, name, op.lower(), x, *line_of(op.lower(), y))
        if op == "Div":
            return seen(r, r.builder.refuse(name, "div", "by an output"))
        if op == "Mul":
            return line(r, name, "mul", y, x, np.float32(0))
        bias = _with_bias(r, y, x, op)
        return bias or line(r, name, op.lower(), y, np.float32(1 if op == "Add" else -1), x)

    return make


def _along(attrs: dict[str, Any], x: Any, y: Any) -> Any:
    """The second input with axes behind it, as `axis` says where it stands among the first's."""
    ndim = x.ndim if isinstance(x, View) else np.ndim(x)
    own = y.ndim if isinstance(y, View) else np.ndim(y)
    if not attrs.get("broadcast") or "axis" not in attrs or own == ndim:
        return y
    more = (1,) * (ndim - int(attrs["axis"]) % ndim - own)
    if isinstance(y, View):
        return y.reshape(*y.dims, *more)
    return y.reshape(*y.shape, *more)


def _with_bias(r: Reader, x: View, constant: NDArray[Any], op: str) -> View | None:
    """A constant behind a product that nothing else uses is its bias: the product then, or None."""
    last = r.builder.nodes[-1] if r.builder.nodes else None
    if op != "Add" or last is None or last.name != x.base or last.op != "Gemm":
        return None
    if "C" in last.params or r.uses[str(x.base)] != 1 or x.ndim != 2:
        return None
    if x.order is not None:
        return None
    bias = np.broadcast_to(as_float(constant), (1, x.size))
    last.params["C"] = bias.reshape(-1).copy()
    return x


def line(r: Reader, name: str, op: str, x: View, scale: Any, shift: Any) -> View:
    """x * scale + shift, for each channel or, where the constants differ there, for each value.

    r: the reader. name: the node's. op: what it is called in messages. x: the view. scale, shift:
    arrays that broadcast with it.
    """
    b = r.builder
    scale, shift = as_float(scale), as_float(shift)
    scale = scale.reshape(()) if scale.size == 1 else scale
    shift = shift.reshape(()) if shift.size == 1 else shift
    shape = np.broadcast_shapes(x.dims, scale.shape, shift.shape)
    if len(shape) > 1 and shape[0] != 1:
        return seen(r, b.refuse(name, op, "a constant for each image"))
    if shape != x.dims:
        expect_room(shape)
        x = broadcast(x, shape)
    if not is_whole(b, x):
        placed = put(r, f"{name}.in", x)
        if b.shapes[placed] is None:
            return seen(r, placed)
        x = view(b, placed).reshape(*x.dims)
    own = b.shape(x.base)
    numbers = [by_channel(own, x, values) for values in (scale, shift)]
    if numbers[0] is not None and numbers[1] is not None:
        out = bends.line(b.add, name, x.base, own[0], numbers[0], numbers[1])
    else:
        expect_room(x.dims)
        out = _scaled(r, name, x.base, *(by_base(own, x, values) for values in (scale, shift)))
    if b.shapes[out] is None:
        return seen(r, out)
    r.pass_on(x, out)
    return x.on(out)


def _scaled(r: Reader, name: str, x: Output, scale: NDArray[Any], shift: NDArray[Any]) -> Output:
    """A BatchNormalization of mean 0 and variance 1, of channels or of a vector's values."""
    b = r.builder
    shape = b.shape(x)
    rows = [values.reshape(shape[0], -1) for values in (scale, shift)]
    if all((values == values[:, :1]).all() for values in rows):
        return bends.line(b.add, name, x, shape[0], *(values[:, 0] for values in rows))
    flat = b.add(f"{name}.flat", "Flatten", [x])
    if b.shapes[flat] is None:
        return flat
    out = bends.line(b.add, f"{name}.line", flat, scale.size, scale.reshape(-1), shift.reshape(-1))
    if b.shapes[out] is None:
        return out
    return place(b, name, view(b, x).on(out))


def _added(r: Reader, name: str, *terms: View) -> View:
    """The sum of views; one that is smaller is repeated, as numpy repeats it."""
    b = r.builder
    if any(b.shapes[x.base] is None for x in terms):
        return seen(r, b.unknown(name))
    shape = np.broadcast_shapes(*(x.dims for x in terms))
    if any(x.dims != shape for x in terms):
        expect_room(shape)
    terms = tuple(broadcast(x, shape) for x in terms)
    whole = next((x for x in terms if is_whole(b, x)), None)
    if whole is not None:  # the others go where its output has its values
        rest = [x.base if x is whole else None for x in terms]
        parts = [done or put(r, f"{name}.in", across(b, whole, x)) for done, x in zip(rest, terms)]
    else:
        parts = [put(r, f"{name}.in", x) for x in terms]
    if any(b.shapes[part] is None for part in parts):
        return seen(r, b.unknown(name))
    out = b.add(name, "Add", parts)
    if b.shapes[out] is None:
        return seen(r, out)
    return view(b, out).reshape(*shape) if whole is None else whole.on(out)


def _sum(r: Reader, name: str, attrs: dict[str, Any], *inputs: Any) -> View:
    views = [x for x in inputs if isinstance(x, View)]
    constants = [x for x in inputs if x is not None and not isinstance(x, View)]
    total = _added(r, name, *views) if len(views) > 1 else views[0]
    if constants and r.builder.shapes[total.base] is not None:
        constant = reduce(np.add, constants)
        return line(r, f"{name}.shift", "add", total, np.float32(1), constant)
    return total


def _mean(r: Reader, name: str, attrs: dict[str, Any], *inputs: Any) -> View:
    """The sum, divided by how many there are."""
    total = _sum(r, f"{name}.sum" if len(inputs) > 1 else name, attrs, *inputs)
    if len(inputs) == 1 or r.builder.shapes[total.base] is None:
        return total
    return line(r, name, "mul", total, np.float64(1 / len(inputs)), np.float32(0))


def _neg(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    return line(r, name, "mul", x, np.float32(-1), np.float32(0))


def _concat(r: Reader, name: str, attrs: dict[str, Any], *inputs: Any) -> View:
    """Views one after the other; constants among them have to be zeros."""
    b = r.builder
    views = [x for x in inputs if isinstance(x, View)]
    if any(not isinstance(x, View) and np.any(x) for x in inputs):
        return seen(r, b.refuse(name, "Concat", "with a constant other than zeros"))
    shapes = [x.dims if isinstance(x, View) else np.shape(x) for x in inputs]
    ndim = len(shapes[0])
    axis = int(attrs.get("axis", 1))
    if not -ndim <= axis < ndim or (axis % ndim == 0 and r.batch != 1):
        return seen(
            r,
            b.refuse(
                name, "Concat", f"along axis {axis}; axis 1 (channels) or another of an image's"
            ),
        )
    axis %= ndim
    dims = [sum(s[i] for s in shapes) if i == axis else n for i, n in enumerate(shapes[0])]
    if len({x.base for x in views}) == 1:
        return View(views[0].base, np.concatenate(indices_of(inputs), axis))
    orders = [axes_of(b, x) if isinstance(x, View) else None for x in inputs]
    order = orders[0]
    if order is not None and len(set(orders)) == 1 and order[axis] == 1:
        out = b.add(name, "Concat", [x.base for x in views], {"axis": 1})
        if b.shapes[out] is None:
            return seen(r, out)
        return turned(view(b, out), order)
    if axis == 1 and len(views) == len(inputs):
        parts = [put(r, f"{name}.in", x) for x in views]
        if any(b.shapes[part] is None for part in parts):
            return seen(r, b.unknown(name))
        out = b.add(name, "Concat", parts, {"axis": 1})
        if b.shapes[out] is None:
            return seen(r, out)
        return view(b, out).reshape(*dims)
    return _added(r, name, *_spread(indices_of(inputs), inputs, axis))


def indices_of(inputs: Sequence[Any]) -> list[NDArray[np.int64]]:
    """The indices of views, and of constants, which are zeros.

    inputs: of a Concat.
    """
    return [x.index if isinstance(x, View) else zeros(np.shape(x)) for x in inputs]


def _spread(indices: list[NDArray[np.int64]], inputs: Any, axis: int) -> list[View]:
    """Each view of a concatenation among as many zeros as the others have values."""
    found = []
    for at, x in enumerate(inputs):
        if isinstance(x, View):
            parts = [i if j == at else zeros(i.shape) for j, i in enumerate(indices)]
            found.append(View(x.base, np.concatenate(parts, axis)))
    return found


# operator -> the function that makes its node; more than the first input may depend on the image
JOINING: dict[str, Callable[..., View]] = {
    "Add": _arithmetic("Add"),
    "Sub": _arithmetic("Sub"),
    "Mul": _arithmetic("Mul"),
    "Div": _arithmetic("Div"),
    "Sum": _sum,
    "Mean": _mean,
    "Neg": _neg,
    "Concat": _concat,
}
