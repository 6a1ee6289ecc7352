"""What only moves values, put off until something computes with them.

Formats slice, split, transpose and reshape in many small steps, by way of shapes that the graph
does not have. A `View` is an array of numbers of values: such a step is a step of numpy's on it,
and only the result becomes a node, or none at all where all is back in its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.checks import Shape
from eventsnn.ann.indexing import ABSENT, index_lists
from eventsnn.readers.building import Builder, Output

MAX_MOVED = 2**23  # values of a view that are not in order


class View:
    """Values of an output in another order and shape.

    base: the output. index: int64 [1, ...], with the batch as the first axis: the number of each
    value in `base`, counted in the order of Flatten, or ABSENT (-1) for a 0. None: all in order.
    dims: the shape, with the batch axis; it is told where the index is not.

    The index of values that are all in order is only made where it is asked for, as a map may have
    many. Raises ValueError where it would have more than 2^23 numbers.
    """

    def __init__(
        self, base: Output, index: NDArray[np.int64] | None, dims: Sequence[int] = ()
    ) -> None:
        self.base = base
        self.order = index
        self.dims: Shape = tuple(dims) if index is None else index.shape
        self.ndim = len(self.dims)
        self.size = math.prod(self.dims)

    def __repr__(self) -> str:
        return f"<View {list(self.dims)} of {self.base}>"

    @property
    def shape(self) -> Shape:
        """The shape, without the batch axis."""
        return self.dims[1:]

    @property
    def index(self) -> NDArray[np.int64]:
        """The number of each value in the output."""
        if self.size > MAX_MOVED:
            raise ValueError(f"{self.size:,} values that move; at most {MAX_MOVED:,}")
        return np.arange(self.size).reshape(self.dims) if self.order is None else self.order

    def reshape(self, *dims: int) -> View:
        """The view in another shape, with as many values. dims: with the batch axis."""
        if self.order is None:
            return View(self.base, None, dims)
        return View(self.base, self.order.reshape(dims))

    def on(self, base: Output) -> View:
        """The same view of another output. base: one of the same shape."""
        return View(base, self.order, self.dims)


def view(builder: Builder, x: Output) -> View:
    """An output as it is.

    builder: which made it. x: the output, not refused.
    """
    return View(x, None, (1, *builder.shape(x)))


def place(builder: Builder, name: str, x: View) -> Output:
    """The node whose output a view is; none is made where the view is the output as it is.

    builder: makes it. name: the node's. x: a view of a map (C, H, W) or of a flat vector; any other
    is refused, and one that loses the batch axis.
    """
    shape = builder.shape(x.base)
    if x.ndim not in (2, 4) or x.dims[0] != 1 or not x.size:
        found = f"{[1, *shape]} becomes {list(x.dims)}"
        reason = f"{found}; only maps N, C, H, W and vectors N, features have a spiking form"
        return builder.refuse(name, "view", reason)
    in_order = x.size == math.prod(shape) and _is_in_order(x)
    if in_order and x.dims[1:] == shape:
        return x.base
    if in_order and x.ndim == 2:
        return builder.add(name, "Flatten", [x.base])
    if x.size > MAX_MOVED:
        return builder.refuse(name, "view", f"{x.size:,} values that move; at most {MAX_MOVED:,}")
    index = x.index
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


def _is_in_order(x: View) -> bool:
    return x.order is None or bool((x.order.ravel() == np.arange(x.size)).all())


def is_whole(builder: Builder, x: View) -> bool:
    """Whether each value of the output is in a view exactly once, and nothing else.

    builder: which made the output. x: the view.
    """
    size = math.prod(builder.shape(x.base))
    if x.order is None:
        return x.size == size
    index = x.order.ravel()
    if len(index) != size or index.min(initial=0) < 0:
        return False
    return bool((np.bincount(index, minlength=size) == 1).all())


def axes_of(builder: Builder, x: View) -> tuple[int, ...] | None:
    """How a view turns the axes of its output, batch included, as numpy's transpose takes them.

    builder: which made the output. x: the view. None where it does anything else.
    """
    start = view(builder, x.base)
    if start.ndim != x.ndim:
        return None
    if x.order is None:
        return tuple(range(x.ndim)) if start.dims == x.dims else None
    for order in permutations(range(1, start.ndim)):
        if np.array_equal(start.index.transpose(0, *order), x.order):
            return (0, *order)
    return None


def across(builder: Builder, x: View, y: View) -> View:
    """The values of y in the places where x's output has those of x.

    builder: which made the outputs. x: a whole view (`is_whole`). y: a view of the same shape.
    """
    if x.order is None:
        return y.reshape(1, *builder.shape(x.base))
    index = np.empty(x.size, np.int64)
    index[x.index.ravel()] = y.index.ravel()
    return View(y.base, index.reshape(1, *builder.shape(x.base)))
