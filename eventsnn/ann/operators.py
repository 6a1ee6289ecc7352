"""The operators a graph may use: attributes, parameters and output shapes, as ONNX defines them.

Three activations are added to ONNX's: ClippedRelu (TCL eq. 9), QCFS (SRP eq. 7), QuantRelu
(SpikeZIP eq. 2). `infer_shape` checks everything about one node, so nothing behind it has to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventsnn.exceptions import InputError

ACTIVATIONS = ("Relu", "Clip", "ClippedRelu", "QCFS", "QuantRelu")
IDENTITIES = ("Identity", "Dropout")
MAX_ELEMENTS = 2**28
COORDINATES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@dataclass(frozen=True)
class Window:
    """A sliding window over the two spatial axes; pads are (top, left, bottom, right)."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    out: tuple[int, int]


def window_of(node, shape, where=""):
    """The `Window` of a Conv or pooling node on an input of `shape` (C, H, W)."""
    where = where or f"node {node.name!r} ({node.op})"
    if node.op == "Conv":
        kernel = node.params["W"].shape[2:]
        if "kernel_shape" in node.attrs:
            _expect(
                tuple(_ints(node, "kernel_shape", 2, where)) == tuple(kernel),
                where,
                f"kernel_shape equal to the weight's {list(kernel)}",
                node.attrs["kernel_shape"],
            )
    else:
        kernel = _ints(node, "kernel_shape", 2, where)
    strides = _ints(node, "strides", 2, where, default=(1, 1))
    dilations = _ints(node, "dilations", 2, where, default=(1, 1))
    pads = _ints(node, "pads", 4, where, default=(0, 0, 0, 0), least=0)
    _expect(
        node.attrs.get("auto_pad", "NOTSET") == "NOTSET",
        where,
        "explicit pads",
        f"auto_pad {node.attrs.get('auto_pad')!r}",
        "write the pads out",
    )
    _expect(
        not node.attrs.get("ceil_mode", 0),
        where,
        "ceil_mode 0",
        "ceil_mode 1",
        "pad the input instead",
    )
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    if node.op != "Conv":
        _expect(
            all(p < r for p, r in zip(pads, (*reach, *reach))),
            where,
            "pads smaller than the window",
            list(pads),
        )
    room = (shape[1] + pads[0] + pads[2], shape[2] + pads[1] + pads[3])
    _expect(
        shape[0] * room[0] * room[1] <= MAX_ELEMENTS,
        where,
        f"a padded input of at most {MAX_ELEMENTS:,} values",
        room,
    )
    _expect(
        all(r <= n for r, n in zip(reach, room)),
        where,
        f"a window that fits the padded input {list(room)}",
        reach,
    )
    out = tuple((n - r) // s + 1 for n, r, s in zip(room, reach, strides))
    if node.op != "Conv":
        for n, pad, stride, dilation, size in zip(shape[1:], pads, strides, dilations, out):
            start = np.arange(size) * stride - pad
            first = np.where(
                start < 0, start % dilation, start
            )  # of a window's positions, the first that is 0 or more
            _expect(
                (first < n).all(),
                where,
                "windows that each see the input",
                "one that sees padding only",
                "reduce pads or dilations",
            )
    return Window(tuple(kernel), tuple(strides), tuple(pads), tuple(dilations), out)


def spatial_pads(node, where=""):
    """(top, left, bottom, right) of a Pad node; only zeros around the spatial axes are linear."""
    where = where or f"node {node.name!r} (Pad)"
    pads = _ints(node, "pads", (4, 8), where, least=0)
    _expect(
        node.attrs.get("mode", "constant") == "constant" and not node.attrs.get("value", 0),
        where,
        "zero padding (mode constant, value 0)",
        {k: node.attrs[k] for k in ("mode", "value") if k in node.attrs},
    )
    if len(pads) == 8:
        _expect(
            not any(pads[i] for i in (0, 1, 4, 5)),
            where,
            "padding of height and width only",
            list(pads),
        )
        pads = (pads[2], pads[3], pads[6], pads[7])
    return tuple(pads)


def resize_indices(node, shape, where=""):
    """Two int arrays: which input row and column each output row and column of a nearest Resize
    takes.
    """
    where = where or f"node {node.name!r} (Resize)"
    _expect(
        node.attrs.get("mode", "nearest") == "nearest",
        where,
        "mode nearest",
        repr(node.attrs.get("mode")),
    )
    coordinate = node.attrs.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.attrs.get("nearest_mode", "round_prefer_floor")
    _expect(
        coordinate in COORDINATES,
        where,
        f"a coordinate_transformation_mode among {COORDINATES}",
        repr(coordinate),
    )
    _expect(rounding in ROUNDINGS, where, f"a nearest_mode among {ROUNDINGS}", repr(rounding))
    sizes, scales = node.attrs.get("sizes"), node.attrs.get("scales")
    _expect(
        (sizes is None) != (scales is None),
        where,
        "either sizes or scales",
        "both" if sizes else "neither",
    )
    values = sizes if scales is None else scales
    _expect(
        isinstance(values, (list, tuple))
        and len(values) in (2, 4)
        and all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and 0 < v <= MAX_ELEMENTS
            for v in values
        ),
        where,
        "2 or 4 positive numbers as sizes or scales",
        values,
    )
    if len(values) == 4:
        same = values[0] == 1 and values[1] == (shape[0] if scales is None else 1)
        _expect(same, where, "a Resize of height and width only", list(values))
    result = []
    for n, value in zip(shape[1:], values[-2:]):
        size = int(value) if scales is None else int(np.floor(n * value))
        whole = 1 <= size <= 2**20 and (scales is not None or size == value)
        _expect(whole, where, "whole sizes from 1 to 2^20", value)
        factor = size / n if scales is None else float(value)
        at = np.arange(size)
        if coordinate == "asymmetric":
            position = at / factor
        elif coordinate == "align_corners":
            position = at * (n - 1) / max(size - 1, 1)
        elif coordinate == "pytorch_half_pixel" and size == 1:
            position = np.zeros(1)
        else:
            position = (at + 0.5) / factor - 0.5
        position = {
            "floor": np.floor(position),
            "ceil": np.ceil(position),
            "round_prefer_floor": np.ceil(position - 0.5),
            "round_prefer_ceil": np.floor(position + 0.5),
        }[rounding]
        result.append(np.clip(position, 0, n - 1).astype(np.int64))
    return tuple(result)


def infer_shape(node, inputs, where):
    """Output shape of `node` for the shapes of its inputs; raises InputError at the first thing
    wrong.
    """
    least, most = OPERATORS[node.op][1]
    _expect(
        least <= len(inputs) <= most,
        where,
        f"{least} input{'s' * (least > 1)}" + (" or more" if most > least else ""),
        len(inputs),
    )
    for role, array in node.params.items():
        _expect(array.dtype.kind == "f", where, f"floating-point {role}", array.dtype)
        _expect(
            np.isfinite(array).all(),
            where,
            f"finite values in {role}",
            f"{np.count_nonzero(~np.isfinite(array))} NaN or infinite ones",
            "the checkpoint is damaged or diverged in training",
        )
    shape = tuple(int(n) for n in OPERATORS[node.op][0](node, inputs, where))
    _expect(
        0 < int(np.prod(shape, dtype=object)) <= MAX_ELEMENTS,
        where,
        f"an output of 1 to {MAX_ELEMENTS:,} values",
        shape,
    )
    return shape


def _conv(node, inputs, where):
    (shape,) = inputs
    _expect_map(shape, where)
    weight = _param(node, "W", 4, where)
    group = node.attrs.get("group", 1)
    _expect(
        _is_int(group) and group >= 1 and shape[0] % group == 0 and weight.shape[0] % group == 0,
        where,
        f"a group that divides {shape[0]} input and {weight.shape[0]} output channels",
        group,
    )
    _expect(
        weight.shape[1] == shape[0] // group,
        where,
        f"W of [M, {shape[0] // group}, kH, kW] for {shape[0]} channels in {group} group(s)",
        list(weight.shape),
    )
    _vector(node, "B", weight.shape[0], where, optional=True)
    return (weight.shape[0], *window_of(node, shape, where).out)


def _gemm(node, inputs, where):
    (shape,) = inputs
    _expect(
        len(shape) == 1,
        where,
        "a flat input",
        f"shape {list(shape)}",
        "put a Flatten in front of it",
    )
    weight = _param(node, "B", 2, where)
    _expect(not node.attrs.get("transA", 0), where, "transA 0", 1)
    for scale in ("alpha", "beta"):
        _expect(
            node.attrs.get(scale, 1) == 1,
            where,
            f"{scale} 1",
            node.attrs.get(scale),
            "multiply it into the parameters",
        )
    _expect(node.attrs.get("transB", 0) in (0, 1), where, "transB 0 or 1", node.attrs.get("transB"))
    fan_out, fan_in = weight.shape if node.attrs.get("transB", 0) else weight.shape[::-1]
    _expect(
        fan_in == shape[0],
        where,
        f"a weight for {shape[0]} inputs",
        f"{list(weight.shape)} (transB {node.attrs.get('transB', 0)})",
    )
    _vector(node, "C", fan_out, where, optional=True)
    return (fan_out,)


def _batch_normalization(node, inputs, where):
    (shape,) = inputs
    for role in ("scale", "B", "input_mean", "input_var"):
        _vector(node, role, shape[0], where)
    epsilon = node.attrs.get("epsilon", 1e-5)
    _expect(_is_number(epsilon) and epsilon >= 0, where, "epsilon from 0 to 2^63", epsilon)
    variance = np.asarray(node.params["input_var"], np.float64)
    _expect(
        (variance >= 0).all() and (variance + epsilon > 0).all(),
        where,
        "a variance of 0 or more (and above 0 with epsilon)",
        f"a smallest value of {variance.min():g}",
        "a variance cannot be negative: the checkpoint is damaged",
    )
    return shape


def _pool(node, inputs, where):
    (shape,) = inputs
    _expect_map(shape, where)
    _expect(
        node.attrs.get("count_include_pad", 0) in (0, 1),
        where,
        "count_include_pad 0 or 1",
        node.attrs.get("count_include_pad"),
    )
    return (shape[0], *window_of(node, shape, where).out)


def _global_pool(node, inputs, where):
    _expect_map(inputs[0], where)
    return (inputs[0][0], 1, 1)


def _flatten(node, inputs, where):
    _expect(node.attrs.get("axis", 1) == 1, where, "axis 1", node.attrs.get("axis"))
    return (int(np.prod(inputs[0], dtype=object)),)


def _add(node, inputs, where):
    _expect(
        len(set(inputs)) == 1,
        where,
        "inputs of one shape",
        [list(s) for s in inputs],
        "broadcasting is not supported",
    )
    return inputs[0]


def _concat(node, inputs, where):
    axis = node.attrs.get("axis", 1)
    _expect(axis in (1, -len(inputs[0])), where, "axis 1 (channels)", axis)
    _expect(
        len({(len(s), s[1:]) for s in inputs}) == 1,
        where,
        "inputs of one height and width",
        [list(s) for s in inputs],
    )
    return (sum(s[0] for s in inputs), *inputs[0][1:])


def _pad(node, inputs, where):
    (shape,) = inputs
    _expect_map(shape, where)
    top, left, bottom, right = spatial_pads(node, where)
    return (shape[0], shape[1] + top + bottom, shape[2] + left + right)


def _resize(node, inputs, where):
    _expect_map(inputs[0], where)
    rows, columns = resize_indices(node, inputs[0], where)
    return (inputs[0][0], len(rows), len(columns))


def _same(node, inputs, where):
    return inputs[0]


def _softmax(node, inputs, where):
    axes, axis = len(inputs[0]), node.attrs.get("axis", -1)
    _expect(
        _is_int(axis) and (1 <= axis <= axes or -axes <= axis < 0),
        where,
        "an axis other than the batch's",
        axis,
    )
    return inputs[0]


def _relu(node, inputs, where):
    _expect(node.attrs.get("min", 0) == 0, where, "min 0", node.attrs.get("min"))
    if node.attrs.get("max") is not None:
        _positive(node, "max", where)
    return inputs[0]


def _clipped_relu(node, inputs, where):
    _positive(node, "lambda", where)
    return inputs[0]


def _quantised(node, inputs, where):
    _positive(node, "lambda" if node.op == "QCFS" else "scale", where)
    levels = node.attrs.get("levels")
    _expect(
        _is_int(levels) and 1 <= levels <= 2**20,
        where,
        "levels, a whole number from 1 to 2^20",
        levels,
    )
    return inputs[0]


# operator -> (shape function, (fewest, most inputs))
OPERATORS = {
    "Conv": (_conv, (1, 1)),
    "Gemm": (_gemm, (1, 1)),
    "BatchNormalization": (_batch_normalization, (1, 1)),
    "AveragePool": (_pool, (1, 1)),
    "MaxPool": (_pool, (1, 1)),
    "GlobalAveragePool": (_global_pool, (1, 1)),
    "Flatten": (_flatten, (1, 1)),
    "Add": (_add, (2, 64)),
    "Concat": (_concat, (1, 64)),
    "Identity": (_same, (1, 1)),
    "Dropout": (_same, (1, 1)),
    "Pad": (_pad, (1, 1)),
    "Resize": (_resize, (1, 1)),
    "Softmax": (_softmax, (1, 1)),
    "Relu": (_relu, (1, 1)),
    "Clip": (_relu, (1, 1)),
    "ClippedRelu": (_clipped_relu, (1, 1)),
    "QCFS": (_quantised, (1, 1)),
    "QuantRelu": (_quantised, (1, 1)),
}


def _expect(condition, where, expected, found, do=""):
    if not condition:
        raise InputError(where, expected, found, do)


def _expect_map(shape, where):
    _expect(len(shape) == 3, where, "an input with height and width", f"shape {list(shape)}")


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63


def _positive(node, attr, where):
    value = node.attrs.get(attr)
    _expect(
        _is_number(value) and value > 0,
        where,
        f"{attr} above 0 and below 2^63",
        value,
        "a threshold must be positive",
    )


def _ints(node, attr, length, where, default=None, least=1):
    value = node.attrs.get(attr, default)
    lengths = length if isinstance(length, tuple) else (length,)
    good = (
        isinstance(value, (list, tuple))
        and len(value) in lengths
        and all(_is_int(v) and least <= v <= 2**20 for v in value)
    )
    _expect(
        good,
        where,
        f"{attr} of {' or '.join(map(str, lengths))} whole numbers from {least} to 2^20",
        value,
    )
    return value


def _param(node, role, ndim, where):
    array = node.params.get(role)
    _expect(
        array is not None and array.ndim == ndim and array.size > 0,
        where,
        f"a parameter {role} with {ndim} axes",
        "none" if array is None else f"shape {list(array.shape)}",
    )
    return array


def _vector(node, role, size, where, optional=False):
    if optional and role not in node.params:
        return
    array = _param(node, role, 1, where)
    _expect(array.size == size, where, f"{size} values in {role}", array.size)
