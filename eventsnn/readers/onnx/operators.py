"""What ONNX's operators become in a graph.

Each function takes the reader, a name for the node, the attributes, and the inputs: an `Output` of
the graph, a constant array, or None for one left out. The ONNX operator reference says what they
mean. It returns the output of the node that it makes or refuses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.building import Builder, Output, as_float

EVALUATION = "training_mode; export the model in evaluation mode"


class Reader(Protocol):
    """What an operator asks of the reader (`onnx.model`).

    builder: makes the nodes. onnx: the package. opset: of ONNX's own operators. batch: the size of
    the input's batch axis, 0 where it is not fixed. uses: name of an output -> how often it is
    used.
    """

    builder: Builder
    onnx: Any
    opset: int
    batch: int
    uses: Counter[str]


def _conv(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: Output,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> Output:
    attrs = _window(r, x, attrs, weight.shape[2:]) | {"group": attrs.get("group", 1)}
    params = {"W": as_float(weight)}
    if bias is not None:
        params["B"] = as_float(bias)
    return r.builder.add(name, "Conv", [x], attrs, params)


def _gemm(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: Output,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> Output:
    params = {"B": as_float(weight)}
    if bias is not None:
        fan_out = weight.shape[0 if attrs.get("transB") else 1]
        params["C"] = np.broadcast_to(as_float(bias), (1, fan_out)).reshape(-1).copy()
    return r.builder.add(name, "Gemm", [x], attrs, params)


def _mat_mul(
    r: Reader, name: str, attrs: dict[str, Any], x: Output, weight: NDArray[Any]
) -> Output:
    return r.builder.add(name, "Gemm", [x], {"transB": 0}, {"B": as_float(weight)})


def _batch_normalization(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: Output,
    scale: NDArray[Any],
    shift: NDArray[Any],
    mean: NDArray[Any],
    variance: NDArray[Any],
) -> Output:
    op = "BatchNormalization"
    if attrs.get("training_mode"):
        return r.builder.refuse(name, op, EVALUATION)
    params = {
        "scale": as_float(scale),
        "B": as_float(shift),
        "input_mean": as_float(mean),
        "input_var": as_float(variance),
    }
    return r.builder.add(name, op, [x], {"epsilon": attrs.get("epsilon", 1e-5)}, params)


def _arithmetic(op: str) -> Callable[..., Output]:
    return lambda r, name, attrs, x, y: r.builder.arithmetic(name, op, x, y)


def _add(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: Output | NDArray[Any],
    y: Output | NDArray[Any],
) -> Output:
    """A sum; a constant behind a MatMul that nothing else uses is its bias."""
    if not isinstance(x, Output):
        x, y = y, x
    if isinstance(x, Output) and not isinstance(y, Output) and _takes_bias(r, x):
        bias = np.broadcast_to(as_float(y), (1, *r.builder.shape(x)))
        r.builder.nodes[-1].params["C"] = bias.reshape(-1).copy()
        return Output(x)
    return r.builder.arithmetic(name, "add", x, y)


def _takes_bias(r: Reader, x: Output) -> bool:
    """Whether an output is a Gemm without bias that was made last and that one node uses."""
    if not r.builder.nodes:
        return False
    last = r.builder.nodes[-1]
    return last.name == x and last.op == "Gemm" and r.uses[x] == 1 and "C" not in last.params


def _sum(r: Reader, name: str, attrs: dict[str, Any], *inputs: Any) -> Output:
    return r.builder.add(name, "Add", inputs) if len(inputs) > 1 else _same(r, name, attrs, *inputs)


def _clip(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: Output,
    low: NDArray[Any] | None = None,
    high: NDArray[Any] | None = None,
) -> Output:
    if r.opset < 11:
        low = attrs.get("min")
        high = attrs.get("max")
    return r.builder.clip(name, x, low, high)


def _relu(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> Output:
    return r.builder.add(name, "Relu", [x])


def _pool(op: str) -> Callable[..., Output]:
    def make(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> Output:
        kept = _kept(attrs, "ceil_mode", "count_include_pad")
        return r.builder.pool(name, op, x, _window(r, x, attrs, attrs["kernel_shape"]) | kept)

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


def _global_average_pool(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> Output:
    return r.builder.add(name, "GlobalAveragePool", [x])


def _reduce_mean(
    r: Reader, name: str, attrs: dict[str, Any], x: Output, axes: NDArray[Any] | None = None
) -> Output:
    over = attrs.get("axes", ()) if axes is None else axes
    return r.builder.mean(name, x, over, attrs.get("keepdims", 1))


def _flatten(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> Output:
    axis = attrs.get("axis", 1)
    if axis < 0:
        axis += 1 + len(r.builder.shape(x))
    return r.builder.add(name, "Flatten", [x], {"axis": axis})


def _reshape(
    r: Reader, name: str, attrs: dict[str, Any], x: Output, target: NDArray[Any]
) -> Output:
    shape = (1, *r.builder.shape(x))
    zero_copies = not attrs.get("allowzero")
    sizes = [shape[i] if n == 0 and zero_copies else n for i, n in enumerate(target.tolist())]
    if sizes[:1] == [r.batch]:
        sizes[0] = 1
    return _reshaped(r, name, x, sizes)


def _reshaped(r: Reader, name: str, x: Output, sizes: Sequence[int]) -> Output:
    """x in another shape; an image without an axis of channels may get one."""
    shape = r.builder.shape(x)
    rest = math.prod(shape) // max(abs(math.prod(sizes)), 1)
    sizes = [rest if n == -1 else n for n in sizes]
    vector = len(shape) == 1 and r.builder.nodes and r.builder.nodes[-1].name == x
    if vector and len(r.builder.nodes) == 1 and len(sizes) == 4:
        return _as_image(r, name, x, sizes)
    if len(shape) == 2 and sizes == [1, 1, *shape]:
        made = r.builder.add(name, "Identity", [x])
        r.builder.shapes[made] = (1, *shape)
        return made
    return r.builder.reshape(name, x, sizes)


def _as_image(r: Reader, name: str, x: Output, sizes: Sequence[int]) -> Output:
    """The input, as the image that a Reshape makes of a vector; the graph takes it instead.

    x: the input, flattened. sizes: of the image, with the batch.
    """
    b = r.builder
    good = sizes[0] == 1 and min(sizes) > 0 and math.prod(sizes) == b.shape(x)[0]
    if not good or b.nodes[0].op != "Flatten" or b.nodes[0].inputs != (b.input,):
        return b.reshape(name, x, sizes)
    _, channels, height, width = sizes
    b.input_shape = (channels, height, width)
    b.shapes[b.input] = b.input_shape
    return b.add(name, "Identity", [Output(b.input)])


def _unsqueeze(
    r: Reader, name: str, attrs: dict[str, Any], x: Output, axes: NDArray[Any] | None = None
) -> Output:
    sizes = [1, *r.builder.shape(x)]
    over = attrs.get("axes", ()) if axes is None else axes.tolist()
    places = sorted(int(axis) % (len(sizes) + len(over)) for axis in over)
    if not all(places):
        return r.builder.refuse(name, "Unsqueeze", "a new axis in front of the batch")
    for place in places:
        sizes.insert(place, 1)
    return _reshaped(r, name, x, sizes)


def without_channels(
    r: Reader, op: str, name: str, attrs: dict[str, Any], inputs: Sequence[Any]
) -> Output | NDArray[Any]:
    """What an operator makes of an image [1, H, W].

    It may be flattened, get an axis of channels, or be scaled. r, name, attrs, inputs: as every
    operator's. op: its name.
    """
    if op in ("Reshape", "Flatten", "Unsqueeze", "Shape", "Cast", "Identity", "Dropout"):
        return OPERATORS[op](r, name, attrs, *inputs)
    images = [x for x in inputs if isinstance(x, Output)]
    constants = [x for x in inputs if x is not None and not isinstance(x, Output)]
    shape = r.builder.shape(images[0])
    scales = op in ("Add", "Sub", "Mul", "Div") and len(images) == 1
    if not scales or any(np.size(x) != 1 for x in constants):
        reason = "of an image N, H, W; reshape it to N, 1, H, W or flatten it"
        return r.builder.refuse(name, op, reason)
    r.builder.shapes[images[0]] = (1, *shape)
    made = OPERATORS[op](r, name, attrs, *inputs)
    r.builder.shapes[images[0]] = shape
    if isinstance(made, Output) and r.builder.shapes[made] is not None:
        r.builder.shapes[made] = shape
    return made


def _squeeze(
    r: Reader, name: str, attrs: dict[str, Any], x: Output, axes: NDArray[Any] | None = None
) -> Output:
    shape = (1, *r.builder.shape(x))
    gone = {int(axis) % len(shape) for axis in (attrs.get("axes", ()) if axes is None else axes)}
    return r.builder.reshape(name, x, [n for i, n in enumerate(shape) if i not in gone])


def _shape(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> NDArray[np.int64]:
    shape = (1, *r.builder.shape(x))
    return np.array(shape[attrs.get("start", 0) : attrs.get("end")], np.int64)


def _transpose(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> Output:
    axes = list(range(len(r.builder.shape(x)) + 1))
    if attrs.get("perm", axes[::-1]) != axes:
        reason = (
            "the order of axes has to stay N, C, H, W (of TensorFlow's models it does with "
            "tf2onnx --inputs-as-nchw)"
        )
        return r.builder.refuse(name, "Transpose", reason)
    return _same(r, name, attrs, x)


def _cast(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> Output:
    kind = r.onnx.TensorProto.DataType.Name(attrs["to"])
    if kind not in ("FLOAT", "FLOAT16", "DOUBLE"):
        return r.builder.refuse(name, "Cast", f"to {kind}")
    return _same(r, name, attrs, x)


def _dropout(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: Output,
    ratio: NDArray[Any] | None = None,
    training: NDArray[Any] | None = None,
) -> Output:
    if training is not None and np.any(training):
        return r.builder.refuse(name, "Dropout", EVALUATION)
    return r.builder.add(name, "Dropout", [x])


def _same(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> Output:
    return r.builder.add(name, "Identity", [x])


def _concat(r: Reader, name: str, attrs: dict[str, Any], *inputs: Any) -> Output:
    if not all(isinstance(x, str) for x in inputs):
        return r.builder.refuse(name, "Concat", "with a constant")
    return r.builder.add(name, "Concat", inputs, {"axis": attrs["axis"]})


def _pad(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: Output,
    pads: NDArray[Any] | None = None,
    value: NDArray[Any] | None = None,
    axes: NDArray[Any] | None = None,
) -> Output:
    sizes = attrs.get("pads") if pads is None else pads.tolist()
    filling = attrs.get("value", 0.0) if value is None else float(value)
    if axes is not None and axes.tolist() not in ([0, 1, 2, 3], [2, 3], [-2, -1]):
        return r.builder.refuse(name, "Pad", f"of axes {axes.tolist()}")
    mode = attrs.get("mode", "constant")
    return r.builder.add(name, "Pad", [x], {"pads": sizes, "mode": mode, "value": filling})


def _resize(r: Reader, name: str, attrs: dict[str, Any], x: Output, *inputs: Any) -> Output:
    wanted: dict[str, Any] = {}
    before = r.opset < 11  # Upsample and the first Resize: (x, scales), rounded down
    if before:
        wanted = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    sizes = None if before or len(inputs) < 3 else inputs[2]
    scales = None
    if sizes is None:
        scales = inputs[0] if before else inputs[1]
    policy = attrs.get("keep_aspect_ratio_policy", "stretch")
    if attrs.get("axes") or attrs.get("antialias") or policy != "stretch":
        reason = "axes, antialias or keep_aspect_ratio_policy"
        return r.builder.refuse(name, "Resize", reason)
    wanted |= _kept(attrs, "mode", "coordinate_transformation_mode", "nearest_mode")
    if sizes is None:
        wanted["scales"] = None if scales is None else scales.tolist()
    else:
        wanted["sizes"] = [1, *sizes.tolist()[1:]]
    return r.builder.add(name, "Resize", [x], wanted)


def _softmax(r: Reader, name: str, attrs: dict[str, Any], x: Output) -> Output:
    if r.opset < 13 and len(r.builder.shape(x)) > 1:
        return r.builder.refuse(name, "Softmax", "of a map, which opset 12 and before flatten")
    axis = attrs.get("axis", -1 if r.opset >= 13 else 1)
    return r.builder.add(name, "Softmax", [x], {"axis": axis})


# more than the first input may depend on the image
JOINING = ("Add", "Concat", "Div", "Mul", "Sub", "Sum")
# operator -> the function that makes its node
OPERATORS: dict[str, Callable[..., Output | NDArray[Any]]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
    "BatchNormalization": _batch_normalization,
    "Add": _add,
    "Sum": _sum,
    "Sub": _arithmetic("sub"),
    "Mul": _arithmetic("mul"),
    "Div": _arithmetic("div"),
    "Clip": _clip,
    "Relu": _relu,
    "MaxPool": _pool("MaxPool"),
    "AveragePool": _pool("AveragePool"),
    "GlobalAveragePool": _global_average_pool,
    "ReduceMean": _reduce_mean,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Shape": _shape,
    "Transpose": _transpose,
    "Cast": _cast,
    "Dropout": _dropout,
    "Identity": _same,
    "Concat": _concat,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "Softmax": _softmax,
}
