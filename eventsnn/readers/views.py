"""What only moves values, put off until something computes with them.

Formats slice, split, transpose and reshape in many small steps, by way of shapes that the graph
does not have. A `View` is an array of numbers of values: such a step is a step of numpy's on it,
and only the result becomes a node, or none at all where all is back in its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.checks import Shape
from eventsnn.ann.indexing import ABSENT, index_lists
from eventsnn.readers.building import Builder, Output


@dataclass(frozen=True, eq=False)
class View:
    """Values of an output in another order and shape.

    base: the output. index: int64 [1, ...], with the batch as the first axis: the number of each
    value in `base`, counted in the order of Flatten, or ABSENT (-1) for a 0.
    """

    base: Output
    index: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"<View {list(self.index.shape)} of {self.base}>"

    @property
    def shape(self) -> Shape:
        """The shape, without the batch axis."""
        return self.index.shape[1:]


def view(builder: Builder, x: Output) -> View:
    """An output as it is.

    builder: which made it. x: the output, not refused.
    """
    shape = builder.shape(x)
    return View(x, np.arange(math.prod(shape)).reshape(1, *shape))


def place(builder: Builder, name: str, x: View) -> Output:
    """The node whose output a view is; none is made where the view is the output as it is.

    builder: makes it. name: the node's. x: a view of a map (C, H, W) or of a flat vector; any other
    is refused, and one that loses the batch axis.
    """
    index = x.index
    shape = builder.shape(x.base)
    if index.ndim not in (2, 4) or len(index) != 1 or not index.size:
        found = f"{[1, *shape]} becomes {list(index.shape)}"
        reason = f"{found}; only maps N, C, H, W and vectors N, features have a spiking form"
        return builder.refuse(name, "view", reason)
    in_order = index.size == math.prod(shape) and bool(
        (index.ravel() == np.arange(index.size)).all()
    )
    if in_order and index.shape[1:] == shape:
        return x.base
    if in_order and index.ndim == 2:
        return builder.add(name, "Flatten", [x.base])
    lists = index_lists(index[0])
    if lists is not None:
        return builder.add(name, "Index", [x.base], lists)
    flat = builder.add(f"{name}.flat", "Index", [x.base], index_lists(index.reshape(-1)))
    if builder.shapes[flat] is None:
        return builder.unknown(name)
    return builder.add(
        name, "Index", [flat], index_lists(np.arange(index.size).reshape(index.shape[1:]))
    )


def zeros(shape: Shape) -> NDArray[np.int64]:
    """An index of zeros alone, to be joined to the index of a view.

    shape: with the batch axis.
    """
    return np.full(shape, ABSENT, np.int64)


def is_whole(builder: Builder, x: View) -> bool:
    """Whether each value of the output is in a view exactly once, and nothing else.

    builder: which made the output. x: the view.
    """
    size = math.prod(builder.shape(x.base))
    index = x.index.ravel()
    if len(index) != size or index.min(initial=0) < 0:
        return False
    return bool((np.bincount(index, minlength=size) == 1).all())


def axes_of(builder: Builder, x: View) -> tuple[int, ...] | None:
    """How a view turns the axes of its output, batch included, as numpy's transpose takes them.

    builder: which made the output. x: the view. None where it does anything else.
    """
    start = view(builder, x.base).index
    if start.ndim != x.index.ndim:
        return None
    for order in permutations(range(1, start.ndim)):
        if np.array_equal(start.transpose(0, *order), x.index):
            return (0, *order)
    return None


def across(builder: Builder, x: View, y: View) -> View:
    """The values of y in the places where x's output has those of x.

    builder: which made the outputs. x: a whole view (`is_whole`). y: a view of the same shape.
    """
    index = np.empty(x.index.size, np.int64)
    index[x.index.ravel()] = y.index.ravel()
    return View(y.base, index.reshape(1, *builder.shape(x.base)))
