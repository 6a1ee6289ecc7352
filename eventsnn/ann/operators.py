"""The operators a graph may use: attributes, parameters and output shapes, as ONNX defines them.

Four activations are added to ONNX's: ClippedRelu (TCL eq. 9), QCFS (SRP eq. 7), QuantRelu
(SpikeZIP eq. 2), SlipRelu (Jiang et al. 2023); and Index, which stands for all that only moves
values (`indexing`). MaxPool has one more attribute, `minima`: the channels, from 0, whose minimum
it pools. `infer_shape` checks everything about one node, so that all who use the node may trust it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eventsnn.ann.checks import (
    Shape,
    expect,
    expect_map,
    expect_positive,
    expect_vector,
    is_int,
    is_number,
    parameter,
)
from eventsnn.ann.indexing import index_shape
from eventsnn.ann.node import ACTIVATIONS as ACTIVATIONS
from eventsnn.ann.node import IDENTITIES as IDENTITIES
from eventsnn.ann.node import Node
from eventsnn.ann.windows import MAX_ELEMENTS, resize_indices, spatial_pads, window_of
from eventsnn.ann.windows import Window as Window


def infer_shape(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    """The shape of a node's output, without the batch axis.

    node: an operator among `OPERATORS`. inputs: the shapes of its inputs, without the batch axis.
    where: what to call the node in messages. Raises InputError at the first thing wrong with
    attributes, parameters or inputs.
    """
    shape_of, (least, most) = OPERATORS[node.op]
    expected = f"{least} to {most:,} inputs" if most > least else f"{least} input"
    expect(least <= len(inputs) <= most, where, expected, len(inputs))
    for role, array in node.params.items():
        expect(array.dtype.kind == "f", where, f"floating-point {role}", array.dtype)
        wrong = np.count_nonzero(~np.isfinite(array))
        found = f"{wrong} NaN or infinite ones"
        do = "the checkpoint is damaged or diverged in training"
        expect(not wrong, where, f"finite values in {role}", found, do)
    shape = tuple(int(n) for n in shape_of(node, inputs, where))
    good = 0 < int(np.prod(shape, dtype=object)) <= MAX_ELEMENTS
    expect(good, where, f"an output of 1 to {MAX_ELEMENTS:,} values", shape)
    return shape


def _conv(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    (shape,) = inputs
    expect_map(shape, where)
    weight = parameter(node, "W", 4, where)
    maps, depth = weight.shape[:2]
    channels = shape[0]
    group = node.attrs.get("group", 1)
    divides = is_int(group) and group >= 1 and channels % group == 0 and maps % group == 0
    expected = f"a group that divides {channels} input and {maps} output channels"
    expect(divides, where, expected, group)
    expected = f"W of [M, {channels // group}, kH, kW] for {channels} channels in {group} group(s)"
    expect(depth == channels // group, where, expected, list(weight.shape))
    expect_vector(node, "B", maps, where, optional=True)
    return (maps, *window_of(node, shape, where).out)


def _gemm(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    (shape,) = inputs
    found = f"shape {list(shape)}"
    expect(len(shape) == 1, where, "a flat input", found, "put a Flatten in front of it")
    weight = parameter(node, "B", 2, where)
    expect(not node.attrs.get("transA", 0), where, "transA 0", 1)
    for key in ("alpha", "beta"):
        scale = node.attrs.get(key, 1)
        expect(scale == 1, where, f"{key} 1", scale, "multiply it into the parameters")
    transposed = node.attrs.get("transB", 0)
    expect(transposed in (0, 1), where, "transB 0 or 1", transposed)
    fan_out, fan_in = weight.shape if transposed else weight.shape[::-1]
    found = f"{list(weight.shape)} (transB {transposed})"
    expect(fan_in == shape[0], where, f"a weight for {shape[0]} inputs", found)
    expect_vector(node, "C", fan_out, where, optional=True)
    return (fan_out,)


def _batch_normalization(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    (shape,) = inputs
    for role in ("scale", "B", "input_mean", "input_var"):
        expect_vector(node, role, shape[0], where)
    epsilon = node.attrs.get("epsilon", 1e-5)
    expect(is_number(epsilon) and epsilon >= 0, where, "epsilon from 0 to 2^63", epsilon)
    variance = np.asarray(node.params["input_var"], np.float64)
    positive = (variance >= 0).all() and (variance + epsilon > 0).all()
    expected = "a variance of 0 or more (and above 0 with epsilon)"
    found = f"a smallest value of {variance.min():g}"
    do = "a variance cannot be negative: the checkpoint is damaged"
    expect(positive, where, expected, found, do)
    return shape


def _pool(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    (shape,) = inputs
    expect_map(shape, where)
    counted = node.attrs.get("count_include_pad", 0)
    expect(counted in (0, 1), where, "count_include_pad 0 or 1", counted)
    minima = node.attrs.get("minima", [])
    good = isinstance(minima, (list, tuple)) and all(
        is_int(c) and 0 <= c < shape[0] for c in minima
    )
    expect(good, where, f"minima of channels from 0 to {shape[0] - 1}", minima)
    expect(not minima or node.op == "MaxPool", where, "no minima", minima)
    return (shape[0], *window_of(node, shape, where).out)


def _global_pool(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    (shape,) = inputs
    expect_map(shape, where)
    return (shape[0], 1, 1)


def _flatten(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    axis = node.attrs.get("axis", 1)
    expect(axis == 1, where, "axis 1", axis)
    return (int(np.prod(inputs[0], dtype=object)),)


def _add(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    found = [list(shape) for shape in inputs]
    do = "broadcasting is not supported"
    expect(len(set(inputs)) == 1, where, "inputs of one shape", found, do)
    return inputs[0]


def _concat(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    axis = node.attrs.get("axis", 1)
    expect(axis in (1, -len(inputs[0])), where, "axis 1 (channels)", axis)
    alike = len({(len(shape), shape[1:]) for shape in inputs}) == 1
    found = [list(shape) for shape in inputs]
    expect(alike, where, "inputs of one height and width", found)
    return (sum(shape[0] for shape in inputs), *inputs[0][1:])


def _pad(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    (shape,) = inputs
    expect_map(shape, where)
    top, left, bottom, right = spatial_pads(node, where)
    return (shape[0], shape[1] + top + bottom, shape[2] + left + right)


def _resize(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    (shape,) = inputs
    expect_map(shape, where)
    rows, columns = resize_indices(node, shape, where)
    return (shape[0], len(rows), len(columns))


def _index(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    return index_shape(node, inputs[0], where)


def _same(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    return inputs[0]


def _softmax(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    axes = len(inputs[0])
    axis = node.attrs.get("axis", -1)
    good = is_int(axis) and (1 <= axis <= axes or -axes <= axis < 0)
    expect(good, where, "an axis other than the batch's", axis)
    return inputs[0]


def _relu(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    lowest = node.attrs.get("min", 0)
    expect(lowest == 0, where, "min 0", lowest)
    if node.attrs.get("max") is not None:
        expect_positive(node, "max", where)
    return inputs[0]


def _clipped_relu(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    expect_positive(node, "lambda", where)
    return inputs[0]


def _slip_relu(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    expect_positive(node, "lambda", where)
    levels, slope = node.attrs.get("step_levels"), node.attrs.get("slope")
    good = is_int(levels) and 1 <= levels <= 2**20
    expect(good, where, "step_levels, a whole number from 1 to 2^20", levels)
    good = is_number(slope) and 0 <= slope <= 1
    expect(good, where, "slope, a number from 0 to 1", slope)
    return inputs[0]


def _quantised(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    expect_positive(node, "lambda" if node.op == "QCFS" else "scale", where)
    levels = node.attrs.get("levels")
    good = is_int(levels) and 1 <= levels <= 2**20
    expect(good, where, "levels, a whole number from 1 to 2^20", levels)
    return inputs[0]


MAX_INPUTS = 4096  # of an Add or Concat
# operator -> (shape function, (fewest, most inputs))
OPERATORS: dict[str, tuple[Callable[[Node, Sequence[Shape], str], Shape], tuple[int, int]]] = {
    "Conv": (_conv, (1, 1)),
    "Gemm": (_gemm, (1, 1)),
    "BatchNormalization": (_batch_normalization, (1, 1)),
    "AveragePool": (_pool, (1, 1)),
    "MaxPool": (_pool, (1, 1)),
    "GlobalAveragePool": (_global_pool, (1, 1)),
    "Flatten": (_flatten, (1, 1)),
    "Add": (_add, (2, MAX_INPUTS)),
    "Concat": (_concat, (1, MAX_INPUTS)),
    "Identity": (_same, (1, 1)),
    "Dropout": (_same, (1, 1)),
    "Pad": (_pad, (1, 1)),
    "Resize": (_resize, (1, 1)),
    "Index": (_index, (1, 1)),
    "Softmax": (_softmax, (1, 1)),
    "Relu": (_relu, (1, 1)),
    "Clip": (_relu, (1, 1)),
    "ClippedRelu": (_clipped_relu, (1, 1)),
    "QCFS": (_quantised, (1, 1)),
    "QuantRelu": (_quantised, (1, 1)),
    "SlipRelu": (_slip_relu, (1, 1)),
}
