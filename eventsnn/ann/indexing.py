"""The operator Index: which value of its input each value of its output is.

Slices, strided slices, gathers, splits, permutations, views and padding with zeros are one
operator here. A value has a number, counted in the order of Flatten. Its attribute `channels` and,
where the output is a map, `rows` and `columns` are lists of whole numbers: output[c, y, x] is the
value number channels[c] + rows[y] + columns[x], and 0 where one of the three is -1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.checks import Shape, expect, ints
from eventsnn.ann.node import Node

AXES = ("channels", "rows", "columns")
LENGTHS = range(1, 2**20 + 1)
ABSENT = -1


def index_shape(node: Node, shape: Shape, where: str) -> Shape:
    """The shape of an Index node's output, without the batch axis; its lists are checked here.

    node: the node. shape: of its input. where: what to call the node in messages. Raises InputError
    for lists that are not there, and for numbers that no value has.
    """
    given = [key for key in AXES if key in node.attrs]
    good = given in (["channels"], list(AXES))
    expect(good, where, "channels alone, or channels, rows and columns", given)
    lists = [ints(node, key, LENGTHS, where, least=ABSENT, most=2**28) for key in given]
    size = math.prod(shape)
    most = sum(max(*numbers, 0) for numbers in lists)
    expect(most < size, where, f"numbers below {size:,}, of values in the input", f"{most:,}")
    return tuple(map(len, lists))


def index_of(node: Node) -> NDArray[np.int64]:
    """The number of the value that each value of an Index node's output is, -1 for a 0.

    node: the node, checked. Returns int64 of the output's shape, without the batch axis.
    """
    lists = [np.asarray(node.attrs[key], np.int64) for key in AXES if key in node.attrs]
    total: NDArray[Any] = np.zeros((), np.int64)
    there: NDArray[Any] = np.ones((), bool)
    for axis in np.ix_(*lists):
        total = total + axis
        there = there & (axis >= 0)
    return np.where(there, total, ABSENT)


def index_lists(index: NDArray[np.int64]) -> dict[str, list[int]] | None:
    """The attributes with which an Index node has this `index_of`; None where no lists do.

    index: int64 of one axis or three, the numbers of values, or -1.
    """
    if index.ndim == 1:
        return {"channels": index.tolist()}
    first = int((index >= 0).argmax())
    c, y, x = np.unravel_index(first, index.shape)
    if index[c, y, x] < 0:
        return {key: [ABSENT] * n for key, n in zip(AXES, index.shape)}
    lines = [index[:, y, x].copy(), index[c, :, x].copy(), index[c, y, :].copy()]
    for line in lines[1:]:
        least = line[line >= 0].min()
        lines[0][lines[0] >= 0] += least - index[c, y, x]
        line[line >= 0] -= least
    attrs = {key: line.tolist() for key, line in zip(AXES, lines)}
    return attrs if (index_of(Node("", "Index", (), attrs)) == index).all() else None
