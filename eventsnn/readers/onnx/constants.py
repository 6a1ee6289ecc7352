"""What operators make of constants: computed by ONNX's own evaluator, within limits of size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError

MAX_CONSTANTS = 2**28  # values computed from constants, altogether
# the output has the shape to which the inputs broadcast
BROADCAST = ("Add", "Div", "Equal", "Max", "Mean", "Min", "Mul", "Pow", "Sub", "Sum", "Where")
# the output is at most as large as the inputs together
SMALLER = (
    "Abs",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Exp",
    "Flatten",
    "Floor",
    "Identity",
    "InstanceNormalization",
    "Log",
    "Neg",
    "Reciprocal",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Reshape",
    "Round",
    "Shape",
    "Size",
    "Slice",
    "Split",
    "Sqrt",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)
# the size is to be reckoned
GROWING = ("ConstantOfShape", "Expand", "Gather", "GatherND", "Range", "Tile")
FOLDED = frozenset((*BROADCAST, *SMALLER, *GROWING))


class Folder:
    """Computes operators of constants.

    onnx: the package. opsets: domain -> version. left: how many values may still be computed.
    """

    def __init__(self, onnx: Any, opsets: Mapping[str, int]) -> None:
        self.onnx = onnx
        self.opsets = dict(opsets)
        self.left = MAX_CONSTANTS

    def __repr__(self) -> str:
        return f"<Folder: {self.left:,} values left>"

    def fold(self, node: Any, inputs: Sequence[Any], where: str) -> list[NDArray[Any]]:
        """The arrays that an operator makes of constant arrays.

        node: a NodeProto. inputs: an array for each of its inputs, None for one left out. where:
        what to call the node in messages. Raises InputError for too many values.
        """
        self.spend(_most(node.op_type, inputs), where)
        graph = self.onnx.GraphProto(
            node=[node],
            input=[self.onnx.ValueInfoProto(name=name) for name in node.input if name],
            output=[self.onnx.ValueInfoProto(name=name) for name in node.output if name],
        )
        feeds = {name: value for name, value in zip(node.input, inputs) if value is not None}
        evaluator = self.onnx.reference.ReferenceEvaluator(graph, opsets=self.opsets)
        return [np.asarray(value) for value in evaluator.run(None, feeds)]

    def spend(self, count: int, where: str) -> None:
        """Notes that values are computed.

        count: how many. where: what to call the node in messages. Raises InputError for too many.
        """
        self.left -= count
        if self.left < 0:
            expected = f"at most {MAX_CONSTANTS:,} values computed from constants"
            raise InputError(where, expected, "more")


def _most(op: str, inputs: Sequence[Any]) -> int:
    """The most values that an operator can make of these arrays."""
    arrays = [value for value in inputs if value is not None]
    if op == "ConstantOfShape":
        return math.prod(int(n) for n in arrays[0])
    if op in ("Gather", "GatherND"):
        if arrays[1].dtype.kind not in "iu":
            raise TypeError(f"indices of type {arrays[1].dtype}")
        return math.prod(max(array.size, 1) for array in arrays)
    if op == "Expand":
        wanted = tuple(int(n) for n in arrays[1])
        return math.prod(max(n, 1) for n in wanted) * max(arrays[0].size, 1)
    if op == "Tile":
        return int(arrays[0].size) * math.prod(int(n) for n in arrays[1])
    if op == "Range":
        start, limit, delta = (float(array) for array in arrays)
        return abs(math.ceil((limit - start) / delta)) + 1
    if op in BROADCAST:
        return math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))
    return sum(array.size for array in arrays)
