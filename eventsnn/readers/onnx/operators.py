"""What ONNX's operators become in a graph: convolutions, products, pools, and the rest.

Each function takes the reader, a name for the node, the attributes, and the inputs: a `View` of an
output of the graph, a constant array, or None for one left out. The ONNX operator reference says
what they mean. It returns the view of the output of the node that it makes or refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.building import Output, as_float
from eventsnn.readers.onnx.moving import padded
from eventsnn.readers.onnx.reading import Reader, as_before, as_map, by_base, each, put, seen
from eventsnn.readers.views import View, axes_of, is_whole, place, view

EVALUATION = "training_mode; export the model in evaluation mode"
ENDING = {
    "Sigmoid": "the sigmoid at the output is left out: the largest output stays the largest, and "
    "one output alone decides between classes 0 and 1",
    "LogSoftmax": "the logarithm of the softmax at the output is left out: the largest output "
    "stays the largest",
}


def _failed(r: Reader, *outputs: Output) -> View | None:
    """The view of the first output that was refused; None where all are there."""
    return next((seen(r, out) for out in outputs if r.builder.shapes[out] is None), None)


def _conv(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> View:
    source = as_map(r, name, x)
    if r.builder.shapes[source] is None:
        return seen(r, source)
    weight, attrs = _in_two(weight, attrs)
    attrs = _window(r, source, attrs, weight.shape[2:]) | {"group": attrs.get("group", 1)}
    params = {"W": as_float(weight)}
    if bias is not None:
        params["B"] = as_float(bias)
    return as_before(r, x, r.builder.add(name, "Conv", [source], attrs, params))


def _in_two(weight: NDArray[Any], attrs: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """The weight and attributes of a convolution along one axis as those of one of height 1."""
    if weight.ndim != 3:
        return weight, attrs
    return weight[:, :, None, :], _of_height_1(attrs)


def _of_height_1(attrs: dict[str, Any]) -> dict[str, Any]:
    """Attributes of a window along one axis as those of a window of height 1."""
    filled = dict(attrs)
    for key, first in ("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("output_padding", 0):
        if key in attrs:
            filled[key] = [first, *attrs[key]]
    if "pads" in attrs:
        left, right = attrs["pads"]
        filled["pads"] = [0, left, 0, right]
    return filled


def _conv_transpose(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> View:
    """A convolution, with the kernel turned round, of a map with zeros between its values."""
    if weight.ndim == 3:
        x4 = View(x.base, x.index[:, :, None, :])
        return as_before(
            r, x, _of_zeros(r, name, _of_height_1(attrs), x4, weight[:, :, None], bias)
        )
    return seen(r, _of_zeros(r, name, attrs, x, weight, bias))


def _of_zeros(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
) -> Output:
    if attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or attrs.get("output_shape"):
        return r.builder.refuse(name, "ConvTranspose", "auto_pad or output_shape; write pads out")
    r.settle(x)
    strides, dilations = attrs.get("strides", [1, 1]), attrs.get("dilations", [1, 1])
    extra = attrs.get("output_padding", [0, 0])
    pads = attrs.get("pads", [0, 0, 0, 0])
    group = attrs.get("group", 1)
    kernel = weight.shape[2:]
    n, c, *sizes = x.index.shape
    spread = [(size - 1) * stride + 1 for size, stride in zip(sizes, strides)]
    if math.prod(spread) * c > 2**26 or min(*strides, *dilations) < 1:
        return r.builder.refuse(name, "ConvTranspose", f"strides {strides} of a map of {sizes}")
    index = np.full((n, c, *spread), -1, np.int64)
    index[:, :, :: strides[0], :: strides[1]] = x.index
    reach = [(k - 1) * d for k, d in zip(kernel, dilations)]
    before = [most - pad for most, pad in zip(reach, pads[:2])]
    after = [most - pad + more for most, pad, more in zip(reach, pads[2:], extra)]
    index = padded(index, [0, 0, *before], [0, 0, *after])
    source = place(r.builder, f"{name}.in", View(x.base, index))
    if r.builder.shapes[source] is None:
        return r.builder.unknown(name)
    ci, co = weight.shape[:2]
    parts = weight.reshape(group, ci // group, co, *kernel).swapaxes(1, 2)[..., ::-1, ::-1]
    params = {"W": as_float(parts.reshape(group * co, ci // group, *kernel))}
    if bias is not None:
        params["B"] = as_float(bias)
    window = {"kernel_shape": list(kernel), "dilations": list(dilations), "group": group}
    return r.builder.add(name, "Conv", [source], window, params)


def _gemm(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> View:
    """alpha x B + beta C: the factors are multiplied into the parameters."""
    alpha, beta = attrs.get("alpha", 1.0), attrs.get("beta", 1.0)
    if attrs.get("transA"):
        return seen(
            r, r.builder.refuse(name, "Gemm", "expected transA 0: the batch would be summed over")
        )
    matrix = weight.T if attrs.get("transB") else weight
    if alpha != 1:
        matrix = np.multiply(as_float(matrix), np.float32(alpha))
    if bias is not None and beta != 1:
        bias = np.asarray(np.multiply(as_float(bias), np.float32(beta)))
    return _product(r, name, x, matrix, bias)


def _mat_mul(r: Reader, name: str, attrs: dict[str, Any], x: View, weight: NDArray[Any]) -> View:
    """A product with a matrix; along the last axis of a map it is a convolution of one place."""
    if weight.ndim == 2 and x.index.ndim in (3, 4):
        last = x.index.ndim - 1
        ahead = View(x.base, np.moveaxis(x.index, last, 1))
        kernel = weight.T.reshape(*weight.shape[::-1], *(1,) * (last - 1))
        made = _conv(r, name, {}, ahead, kernel)
        if r.builder.shapes[made.base] is None:
            return made
        return View(made.base, np.moveaxis(made.index, 1, last))
    return _product(r, name, x, weight, None)


def _product(
    r: Reader, name: str, x: View, matrix: NDArray[Any], bias: NDArray[Any] | None
) -> View:
    """x matrix + bias; the rows of the matrix move where x's values stand in its output."""
    b = r.builder
    if matrix.ndim != 2 or x.index.ndim != 2 or len(x.index) != 1:
        reason = f"of {list(x.index.shape)} and {list(matrix.shape)}; only a vector times a matrix"
        return seen(r, b.refuse(name, "MatMul", f"{reason} has a spiking form"))
    index = x.index[0]
    moved = not np.array_equal(index, np.arange(len(index)))
    transposed = 0
    if moved and is_whole(b, x) and len(index) == len(matrix):
        rows = np.empty_like(matrix)
        rows[index] = matrix
        matrix, x = rows, View(x.base, np.arange(len(index))[None])
    elif matrix.T.flags.c_contiguous and not matrix.flags.c_contiguous:
        matrix, transposed = matrix.T, 1
    source = place(b, f"{name}.in", x)
    if b.shapes[source] is None:
        return seen(r, source)
    params = {"B": as_float(matrix)}
    if bias is not None:
        fan_out = matrix.shape[0 if transposed else 1]
        params["C"] = np.broadcast_to(as_float(bias), (1, fan_out)).reshape(-1).copy()
    return seen(r, b.add(name, "Gemm", [source], {"transB": transposed}, params))


def _batch_normalization(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    scale: NDArray[Any],
    shift: NDArray[Any],
    mean: NDArray[Any],
    variance: NDArray[Any],
) -> View:
    op = "BatchNormalization"
    if attrs.get("training_mode") or (r.opset < 7 and not attrs.get("is_test")):
        return seen(r, r.builder.refuse(name, op, EVALUATION))
    if not attrs.get("spatial", 1):
        return seen(r, r.builder.refuse(name, op, "spatial 0: a mean for each place"))
    source = place(r.builder, f"{name}.in", x) if x.index.ndim == 2 else as_map(r, name, x)
    if r.builder.shapes[source] is None:
        return seen(r, source)
    params = {
        "scale": as_float(scale),
        "B": as_float(shift),
        "input_mean": as_float(mean),
        "input_var": as_float(variance),
    }
    attrs = {"epsilon": attrs.get("epsilon", 1e-5)}
    return as_before(r, x, r.builder.add(name, op, [source], attrs, params))


def _clip(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    low: NDArray[Any] | None = None,
    high: NDArray[Any] | None = None,
) -> View:
    if r.opset < 11:
        low = attrs.get("min")
        high = attrs.get("max")
    least = None if low is None else float(np.asarray(low).item())
    if least is not None and least <= 0 or least is None:
        inner = _behind_relu(r, x)
        if inner is not None and (high is None or float(np.asarray(high).item()) > 0):
            x, low = inner, np.zeros(())
    return each(r, name, x, lambda out: r.builder.clip(name, out, low, high))


def _behind_relu(r: Reader, x: View) -> View | None:
    """What a ReLU takes whose output is a view's; None for any other output."""
    node = r.builder.nodes[-1] if r.builder.nodes else None
    if node is None or node.name != x.base or node.op != "Relu":
        return None
    return View(Output(node.inputs[0]), x.index)


def _relu(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    return each(r, name, x, lambda out: r.builder.add(name, "Relu", [out]))


def _leaky(op: str) -> Callable[..., View]:
    """LeakyRelu, PRelu and Abs: ReLU(x) - slope ReLU(-x) (`bends.leaky`)."""

    def make(
        r: Reader, name: str, attrs: dict[str, Any], x: View, slope: NDArray[Any] | None = None
    ) -> View:
        given: Any = {"LeakyRelu": attrs.get("alpha", 0.01), "Abs": -1.0, "PRelu": slope}[op]
        slopes = np.asarray(given)
        if r.opset < 7 and slopes.ndim == 1:  # of channels
            slopes = slopes.reshape(-1, *(1,) * (x.index.ndim - 2))
        if slopes.size == 1:
            return each(r, name, x, lambda out: r.builder.leaky(name, out, float(slopes.item())))
        if not is_whole(r.builder, x):
            placed = put(r, f"{name}.in", x)
            if r.builder.shapes[placed] is None:
                return seen(r, placed)
            x = View(placed, view(r.builder, placed).index.reshape(x.index.shape))
        by_value = by_base(r.builder.shape(x.base), x, slopes).reshape(-1)
        return each(r, name, x, lambda out: _with_slopes(r, name, out, by_value))

    return make


def _with_slopes(r: Reader, name: str, x: Output, slopes: NDArray[Any]) -> Output:
    """The leaky activation of an output with a slope for each channel or, if it must, value."""
    b = r.builder
    shape = b.shape(x)
    by_channel = slopes.reshape(shape[0], -1)
    if (by_channel == by_channel[:, :1]).all():
        return b.leaky(name, x, by_channel[:, :1].reshape(-1, *(1,) * (len(shape) - 1)))
    flat = b.add(f"{name}.flat", "Flatten", [x])
    bent = b.leaky(f"{name}.bent", flat, slopes)
    if b.shapes[bent] is None:
        return bent
    return place(b, name, View(bent, view(b, x).index))


def _hard_sigmoid(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    """min(max(alpha x + beta, 0), 1)."""

    def make(out: Output) -> Output:
        b = r.builder
        scaled = b.arithmetic(f"{name}.scaled", "mul", out, attrs.get("alpha", 0.2))
        moved = b.arithmetic(f"{name}.moved", "add", scaled, attrs.get("beta", 0.5))
        return b.clip(name, moved, 0, 1)

    return each(r, name, x, make)


def _limit(op: str) -> Callable[..., View]:
    """Max and Min of an output and a number."""

    def make(r: Reader, name: str, attrs: dict[str, Any], *inputs: Any) -> View:
        views = [x for x in inputs if isinstance(x, View)]
        numbers = [x for x in inputs if not isinstance(x, View)]
        if len(views) != 1 or len(numbers) != 1 or np.size(numbers[0]) != 1:
            return seen(r, r.builder.refuse(name, op, "of anything but an output and one number"))
        limits = (numbers[0], None) if op == "Max" else (None, numbers[0])
        low, high = (None if n is None else np.asarray(n).reshape(()) for n in limits)
        if r.opset < 11:
            return _clip(r, name, {"min": low, "max": high}, views[0])
        return _clip(r, name, {}, views[0], low, high)

    return make


def _pool(op: str) -> Callable[..., View]:
    def make(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
        source = as_map(r, name, x)
        if r.builder.shapes[source] is None:
            return seen(r, source)
        if x.index.ndim == 3:
            attrs = _of_height_1(attrs)
        kept = _kept(attrs, "ceil_mode", "count_include_pad")
        window = _window(r, source, attrs, attrs["kernel_shape"]) | kept
        return as_before(r, x, r.builder.pool(name, op, source, window))

    return make


def _window(r: Reader, x: Output, attrs: dict[str, Any], kernel: Sequence[int]) -> dict[str, Any]:
    """kernel_shape, strides, dilations and explicit pads."""
    strides = attrs.get("strides", [1, 1])
    dilations = attrs.get("dilations", [1, 1])
    auto = attrs.get("auto_pad", "NOTSET")
    pads = attrs.get("pads", [0, 0, 0, 0]) if auto == "NOTSET" else [0, 0, 0, 0]
    if auto.startswith("SAME_"):
        pads = r.builder.same_pads(x, kernel, strides, dilations, auto == "SAME_UPPER")
    return {"kernel_shape": list(kernel), "strides": strides, "dilations": dilations, "pads": pads}


def _kept(attrs: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Those of the attributes that are there."""
    return {key: attrs[key] for key in keys if key in attrs}


def _global_pool(op: str) -> Callable[..., View]:
    def make(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
        source = as_map(r, name, x)
        if r.builder.shapes[source] is None:
            return seen(r, source)
        if op == "GlobalAveragePool":
            return as_before(r, x, r.builder.add(name, op, [source]))
        window = {"kernel_shape": list(r.builder.shape(source)[1:]), "strides": [1, 1]}
        return as_before(r, x, r.builder.add(name, "MaxPool", [source], window))

    return make


def _reduce(op: str) -> Callable[..., View]:
    """ReduceMean and ReduceMax: a global pool, with the axes that go in height and width."""

    def make(r: Reader, name: str, attrs: dict[str, Any], x: View, axes: Any = None) -> View:
        over = np.asarray(attrs.get("axes", ()) if axes is None else axes).reshape(-1).tolist()
        ndim = x.index.ndim
        gone = sorted(int(axis) % ndim for axis in over)
        left = [axis for axis in range(1, ndim) if axis not in gone]
        if not gone or 0 in gone or len(left) != 1 or len(gone) > 2:
            reason = f"over axes {over}; only one over height and width has a spiking form"
            return seen(r, r.builder.refuse(name, op, reason))
        turned = x.index.transpose(0, *left, *gone)
        pool = "GlobalAveragePool" if op == "ReduceMean" else "GlobalMaxPool"
        pooled = _global_pool(pool)(r, name, attrs, View(x.base, turned))
        if r.builder.shapes[pooled.base] is None:
            return pooled
        keep = attrs.get("keepdims", 1)
        shape = [1 if axis in gone else n for axis, n in enumerate(x.index.shape)]
        shape = [n for axis, n in enumerate(shape) if keep or axis not in gone]
        return View(pooled.base, pooled.index.reshape(shape))

    return make


def _cast(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    to = attrs["to"]  # a name in opset 5 and before
    kind = to if isinstance(to, str) else r.onnx.TensorProto.DataType.Name(to)
    if kind not in ("FLOAT", "FLOAT16", "DOUBLE"):
        return seen(r, r.builder.refuse(name, "Cast", f"to {kind}"))
    return x


def _dropout(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    ratio: NDArray[Any] | None = None,
    training: NDArray[Any] | None = None,
) -> View:
    trains = r.opset < 7 and not attrs.get("is_test")
    if trains or (training is not None and np.any(training)):
        return seen(r, r.builder.refuse(name, "Dropout", EVALUATION))
    return each(r, name, x, lambda out: r.builder.add(name, "Dropout", [out]))


def _same(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    return x


def _pad(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    pads: NDArray[Any] | None = None,
    value: NDArray[Any] | None = None,
    axes: NDArray[Any] | None = None,
) -> View:
    """Zeros around: a Pad where they are around height and width, else a move of the values."""
    b = r.builder
    ndim = x.index.ndim
    said: Any = attrs.get("pads", attrs.get("paddings")) if pads is None else pads.tolist()
    sizes = [int(n) for n in said]
    filling = attrs.get("value", 0.0) if value is None else float(value.reshape(()))
    mode = attrs.get("mode", "constant")
    if mode != "constant" or filling:
        reason = f"expected zero padding, found mode {mode!r} and value {filling}"
        return seen(r, b.refuse(name, "Pad", reason))
    over = range(ndim) if axes is None else [int(axis) % ndim for axis in axes.tolist()]
    half = len(sizes) // 2
    before, after = [0] * ndim, [0] * ndim
    for axis, first, last in zip(over, sizes[:half], sizes[half:], strict=True):
        before[axis], after[axis] = first, last
    if before[0] or after[0]:
        return seen(r, b.refuse(name, "Pad", "of the batch"))
    order = axes_of(b, x)
    if order is not None and ndim == 4 and min(sizes) >= 0:
        into = [order.index(axis) for axis in range(4)]
        front, end = [before[axis] for axis in into], [after[axis] for axis in into]
        if not front[1] and not end[1]:
            out = b.add(name, "Pad", [x.base], {"pads": [*front, *end]})
            after_it = seen(r, out)
            return after_it if b.shapes[out] is None else View(out, after_it.index.transpose(order))
    return View(x.base, padded(x.index, before, after))


def _resize(r: Reader, name: str, attrs: dict[str, Any], x: View, *inputs: Any) -> View:
    source = as_map(r, name, x)
    if r.builder.shapes[source] is None:
        return seen(r, source)
    wanted: dict[str, Any] = {}
    before = r.opset < 11  # Upsample and the first Resize: (x, scales), rounded down
    if before:
        wanted = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    sizes = None if before or len(inputs) < 3 else inputs[2]
    scales = None
    if sizes is None:
        scales = inputs[0 if before else 1] if inputs else _scales(attrs)
    policy = attrs.get("keep_aspect_ratio_policy", "stretch")
    if attrs.get("axes") or attrs.get("antialias") or policy != "stretch":
        reason = "axes, antialias or keep_aspect_ratio_policy"
        return seen(r, r.builder.refuse(name, "Resize", reason))
    wanted |= _kept(attrs, "mode", "coordinate_transformation_mode", "nearest_mode")
    if sizes is None:
        wanted["scales"] = None if scales is None else scales.tolist()
    else:
        wanted["sizes"] = [1, *sizes.tolist()[1:]]
    return seen(r, r.builder.add(name, "Resize", [source], wanted))


def _scales(attrs: dict[str, Any]) -> NDArray[Any]:
    """An Upsample's scales, as opset 8 and before have them."""
    if "scales" in attrs:
        return np.asarray(attrs["scales"])
    return np.array([1.0, 1.0, attrs["height_scale"], attrs["width_scale"]])


def _softmax(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    if r.opset < 13 and x.index.ndim > 2:
        reason = "of a map, which opset 12 and before flatten"
        return seen(r, r.builder.refuse(name, "Softmax", reason))
    axis = attrs.get("axis", -1 if r.opset >= 13 else 1)
    source = place(r.builder, f"{name}.in", x)
    if r.builder.shapes[source] is None:
        return seen(r, source)
    return seen(r, r.builder.add(name, "Softmax", [source], {"axis": axis}))


def _ending(op: str) -> Callable[..., View]:
    """A function of the output that leaves the largest the largest."""

    def make(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
        if not r.ends:
            reason = "inside the network; only at the output can it be left out"
            return seen(r, r.builder.refuse(name, op, reason))
        r.note(ENDING[op])
        return x

    return make


# operator -> the function that makes its node
OPERATORS: dict[str, Callable[..., View]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Relu": _relu,
    "LeakyRelu": _leaky("LeakyRelu"),
    "PRelu": _leaky("PRelu"),
    "Abs": _leaky("Abs"),
    "HardSigmoid": _hard_sigmoid,
    "Max": _limit("Max"),
    "Min": _limit("Min"),
    "MaxPool": _pool("MaxPool"),
    "AveragePool": _pool("AveragePool"),
    "GlobalAveragePool": _global_pool("GlobalAveragePool"),
    "GlobalMaxPool": _global_pool("GlobalMaxPool"),
    "ReduceMean": _reduce("ReduceMean"),
    "ReduceMax": _reduce("ReduceMax"),
    "Cast": _cast,
    "Dropout": _dropout,
    "Identity": _same,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "Softmax": _softmax,
    "LogSoftmax": _ending("LogSoftmax"),
    "Sigmoid": _ending("Sigmoid"),
}
