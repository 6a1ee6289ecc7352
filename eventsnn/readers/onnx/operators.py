"""What ONNX's operators become in a graph.

Each function takes the reader (its `builder`, `opset` and `batch`), a name for the node, the
attributes, and the inputs: an `Output` of the graph, a constant array, or None for one left out.
The ONNX operator reference says what they mean.
"""

from __future__ import annotations

import numpy as np

from eventsnn.readers.building import Output, as_float


def _conv(r, name, attrs, x, weight, bias=None):
    attrs = _window(r, x, attrs, weight.shape[2:]) | {"group": attrs.get("group", 1)}
    return r.builder.add(
        name,
        "Conv",
        [x],
        attrs,
        {"W": as_float(weight)} | ({} if bias is None else {"B": as_float(bias)}),
    )


def _gemm(r, name, attrs, x, weight, bias=None):
    params = {"B": as_float(weight)}
    if bias is not None:
        fan_out = weight.shape[0 if attrs.get("transB") else 1]
        params["C"] = np.broadcast_to(as_float(bias), (1, fan_out)).reshape(-1).copy()
    return r.builder.add(name, "Gemm", [x], attrs, params)


def _mat_mul(r, name, attrs, x, weight):
    return r.builder.add(name, "Gemm", [x], {"transB": 0}, {"B": as_float(weight)})


def _batch_normalization(r, name, attrs, x, scale, shift, mean, variance):
    if attrs.get("training_mode"):
        return r.builder.refuse(
            name, "BatchNormalization", "training_mode; export the model in evaluation mode"
        )
    params = {
        "scale": as_float(scale),
        "B": as_float(shift),
        "input_mean": as_float(mean),
        "input_var": as_float(variance),
    }
    return r.builder.add(
        name, "BatchNormalization", [x], {"epsilon": attrs.get("epsilon", 1e-5)}, params
    )


def _arithmetic(op):
    return lambda r, name, attrs, x, y: r.builder.arithmetic(name, op, x, y)


def _add(r, name, attrs, x, y):
    """A sum; a constant behind a MatMul that nothing else uses is its bias."""
    b, (x, y) = r.builder, (x, y) if isinstance(x, Output) else (y, x)
    last = b.nodes[-1] if b.nodes else None
    if (
        last
        and last.name == x
        and last.op == "Gemm"
        and r.uses[x] == 1
        and "C" not in last.params
        and not isinstance(y, Output)
    ):
        shape = b.shapes[x]
        last.params["C"] = np.broadcast_to(as_float(y), (1, *shape)).reshape(-1).copy()
        return Output(x)
    return b.arithmetic(name, "add", x, y)


def _sum(r, name, attrs, *inputs):
    return r.builder.add(name, "Add", inputs) if len(inputs) > 1 else _same(r, name, attrs, *inputs)


def _clip(r, name, attrs, x, low=None, high=None):
    if r.opset < 11:
        low, high = attrs.get("min"), attrs.get("max")
    return r.builder.clip(name, x, low, high)


def _pool(op):
    def make(r, name, attrs, x):
        kept = {key: attrs[key] for key in ("ceil_mode", "count_include_pad") if key in attrs}
        return r.builder.pool(name, op, x, _window(r, x, attrs, attrs["kernel_shape"]) | kept)

    return make


def _window(r, x, attrs, kernel):
    """kernel_shape, strides, dilations and explicit pads."""
    window = {
        "kernel_shape": list(kernel),
        "strides": attrs.get("strides", [1, 1]),
        "dilations": attrs.get("dilations", [1, 1]),
    }
    auto = attrs.get("auto_pad", "NOTSET")
    if auto.startswith("SAME_"):
        pads = r.builder.same_pads(
            x, kernel, window["strides"], window["dilations"], odd_at_end=auto == "SAME_UPPER"
        )
    else:
        pads = attrs.get("pads", [0, 0, 0, 0]) if auto == "NOTSET" else [0, 0, 0, 0]
    return window | {"pads": pads}


def _global_average_pool(r, name, attrs, x):
    return r.builder.add(name, "GlobalAveragePool", [x])


def _reduce_mean(r, name, attrs, x, axes=None):
    return r.builder.mean(
        name, x, attrs.get("axes", ()) if axes is None else axes, attrs.get("keepdims", 1)
    )


def _flatten(r, name, attrs, x):
    axis = attrs.get("axis", 1)
    return r.builder.add(
        name, "Flatten", [x], {"axis": axis if axis >= 0 else axis + 1 + len(r.builder.shapes[x])}
    )


def _reshape(r, name, attrs, x, target):
    shape = (1, *r.builder.shapes[x])
    target = [
        shape[i] if n == 0 and not attrs.get("allowzero") else n
        for i, n in enumerate(target.tolist())
    ]
    if target[:1] == [r.batch]:
        target[0] = 1
    return r.builder.reshape(name, x, target)


def _squeeze(r, name, attrs, x, axes=None):
    shape = (1, *r.builder.shapes[x])
    gone = {int(a) % len(shape) for a in (attrs.get("axes", ()) if axes is None else axes)}
    return r.builder.reshape(name, x, [n for i, n in enumerate(shape) if i not in gone])


def _shape(r, name, attrs, x):
    return np.array((1, *r.builder.shapes[x])[attrs.get("start", 0) : attrs.get("end")], np.int64)


def _transpose(r, name, attrs, x):
    axes = len(r.builder.shapes[x]) + 1
    if attrs.get("perm", list(range(axes))[::-1]) != list(range(axes)):
        return r.builder.refuse(
            name,
            "Transpose",
            "the order of axes has to stay N, C, H, W; export the model channels first",
        )
    return _same(r, name, attrs, x)


def _cast(r, name, attrs, x):
    kind = r.onnx.TensorProto.DataType.Name(attrs["to"])
    if kind not in ("FLOAT", "FLOAT16", "DOUBLE"):
        return r.builder.refuse(name, "Cast", f"to {kind}")
    return _same(r, name, attrs, x)


def _dropout(r, name, attrs, x, ratio=None, training=None):
    if training is not None and np.any(training):
        return r.builder.refuse(
            name, "Dropout", "training_mode; export the model in evaluation mode"
        )
    return r.builder.add(name, "Dropout", [x])


def _same(r, name, attrs, x):
    return r.builder.add(name, "Identity", [x])


def _concat(r, name, attrs, *inputs):
    return r.builder.add(name, "Concat", inputs, {"axis": attrs["axis"]})


def _pad(r, name, attrs, x, pads=None, value=None, axes=None):
    pads = attrs.get("pads") if pads is None else pads.tolist()
    value = attrs.get("value", 0.0) if value is None else float(value)
    if (
        axes is not None
        and axes.tolist() != [0, 1, 2, 3]
        and axes.tolist() not in ([2, 3], [-2, -1])
    ):
        return r.builder.refuse(name, "Pad", f"of axes {axes.tolist()}")
    return r.builder.add(
        name, "Pad", [x], {"pads": pads, "mode": attrs.get("mode", "constant"), "value": value}
    )


def _resize(r, name, attrs, x, *inputs):
    before = r.opset < 11  # Upsample and the first Resize: (x, scales), rounded down
    sizes = None if before or len(inputs) < 3 else inputs[2]
    scales = None if sizes is not None else inputs[0 if before else 1]
    defaults = (
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if before else {}
    )
    if (
        attrs.get("axes")
        or attrs.get("antialias")
        or attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch"
    ):
        return r.builder.refuse(name, "Resize", "axes, antialias or keep_aspect_ratio_policy")
    kept = {
        key: attrs[key]
        for key in ("mode", "coordinate_transformation_mode", "nearest_mode")
        if key in attrs
    }
    wanted = {"scales": scales.tolist()} if sizes is None else {"sizes": [1, *sizes.tolist()[1:]]}
    return r.builder.add(name, "Resize", [x], defaults | kept | wanted)


def _softmax(r, name, attrs, x):
    if r.opset < 13 and len(r.builder.shapes[x]) > 1:
        return r.builder.refuse(name, "Softmax", "of a map, which opset 12 and before flatten")
    return r.builder.add(
        name, "Softmax", [x], {"axis": attrs.get("axis", -1 if r.opset >= 13 else 1)}
    )


JOINING = (
    "Add",
    "Concat",
    "Div",
    "Mul",
    "Sub",
    "Sum",
)  # more than the first input may depend on the image
OPERATORS = {
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
    "Relu": lambda r, name, attrs, x: r.builder.add(name, "Relu", [x]),
    "MaxPool": _pool("MaxPool"),
    "AveragePool": _pool("AveragePool"),
    "GlobalAveragePool": _global_average_pool,
    "ReduceMean": _reduce_mean,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
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
