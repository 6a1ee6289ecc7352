"""What ONNX's operators ask of the reader, and what they have in common."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.checks import Shape
from eventsnn.ann.node import Node
from eventsnn.readers.building import Builder, Output
from eventsnn.readers.views import MAX_MOVED, View, is_whole, place, view


@dataclass(frozen=True, eq=False)
class Quantised:
    """What a QuantizeLinear gives: whole numbers, which only a DequantizeLinear takes.

    x: the view that was quantised. scale, zero: as the operator has them. low, high: the least and
    the largest number.
    """

    x: View
    scale: NDArray[Any]
    zero: NDArray[Any]
    low: int
    high: int


class Reader(Protocol):
    """What an operator asks of the reader (`onnx.model`).

    builder: makes the nodes. onnx: the package. opset: of ONNX's own operators. batch: the size of
    the input's batch axis, 0 where it is not fixed. uses: name of an output -> how often it is
    used. outputs: how many outputs the node at hand has. ends: whether nothing but moves stands
    between the node at hand and the model's output.
    """

    builder: Builder
    onnx: Any
    opset: int
    batch: int
    uses: Counter[str]
    outputs: int
    ends: bool

    def settle(self, x: View) -> None:
        """Takes note that the first operator that needs a map sees this one of x's output."""

    def pass_on(self, x: View, out: Output) -> None:
        """Takes note that an output has values at the places of those of x's output."""

    def node(self, name: str) -> Node | None:
        """The graph's node of a name, where there is one."""

    def note(self, words: str) -> None:
        """Adds to what the graph says of itself."""


def seen(r: Reader, out: Output) -> View:
    """An output as it is; one that was refused has no values.

    r: the reader. out: the output.
    """
    if r.builder.shapes[out] is None:
        return View(out, None, (1, 0))
    return view(r.builder, out)


def each(r: Reader, name: str, x: View, make: Callable[[Output], Output]) -> View:
    """What an operator that takes each value by itself makes of a view.

    r: the reader. name: the node's. x: the view; where it is not whole its values are placed first.
    make: makes the operator's node of an output.
    """
    if is_whole(r.builder, x):
        out = make(x.base)
        if r.builder.shapes[out] is None:
            return seen(r, out)
        r.pass_on(x, out)
        return x.on(out)
    placed = put(r, f"{name}.in", x)
    if r.builder.shapes[placed] is None:
        return seen(r, placed)
    out = make(placed)
    if r.builder.shapes[out] is None:
        return seen(r, out)
    return view(r.builder, out).reshape(*x.dims)


def put(r: Reader, name: str, x: View) -> Output:
    """The output that is a view; of three axes, N, C, L, the height becomes 1.

    r: the reader. name: the node's. x: the view.
    """
    if x.ndim == 3:
        x = x.reshape(*x.dims[:2], 1, x.dims[2])
    return place(r.builder, name, x)


def as_map(r: Reader, name: str, x: View) -> Output:
    """The output that is a view as a map: as `put`, but it decides what an image is, if none has.

    r: the reader. name: the node's. x: the view.
    """
    if x.ndim == 3:
        x = x.reshape(*x.dims[:2], 1, x.dims[2])
    r.settle(x)
    return put(r, f"{name}.in", x)


def as_before(r: Reader, x: View, out: Output) -> View:
    """The view of a map with as many axes as one that it was made of.

    r: the reader. x: the view before, of three axes or four. out: the map.
    """
    after = seen(r, out)
    if x.ndim == 3 and after.ndim == 4:
        return after.reshape(*after.dims[:2], after.dims[3])
    return after


def by_base(shape: Shape, x: View, values: NDArray[Any]) -> NDArray[Any]:
    """Constants for the values of a whole view as those for its output: an array of its shape.

    shape: of the output. x: the view. values: an array that broadcasts with the view.
    """
    if x.order is None:
        return np.broadcast_to(values, x.dims).reshape(shape)
    found = np.empty(x.size, values.dtype)
    found[x.index.ravel()] = np.broadcast_to(values, x.dims).ravel()
    return found.reshape(shape)


def turned(x: View, axes: Sequence[int]) -> View:
    """A view with its axes in another order. x: the view. axes: as numpy's transpose takes them."""
    kept = [axis for axis in axes if x.dims[axis] > 1]
    if x.order is None and kept == sorted(kept):
        return x.reshape(*(x.dims[axis] for axis in axes))
    return View(x.base, x.index.transpose(tuple(axes)))


def broadcast(x: View, shape: Sequence[int]) -> View:
    """A view whose values are repeated, as numpy repeats them.

    x: the view. shape: of the result.
    """
    if x.dims == tuple(shape):
        return x
    return View(x.base, np.broadcast_to(x.index, tuple(shape)))


def by_channel(shape: Shape, x: View, values: NDArray[Any]) -> NDArray[Any] | None:
    """Constants for a whole view as one for each channel of its output, where shapes tell it.

    shape: of the output. x: the view. values: an array that broadcasts with it.
    """
    if values.size == 1:
        return np.broadcast_to(values.reshape(()), (shape[0],))
    if x.order is not None or x.dims != (1, *shape):
        return None
    aligned = (1,) * (x.ndim - values.ndim) + values.shape
    if aligned[1] != shape[0] or values.size != shape[0]:
        return None
    return values.reshape(-1)


def expect_room(shape: Sequence[int]) -> None:
    """Raises ValueError for more values than a view may have that is not in order.

    shape: of the view.
    """
    if math.prod(int(n) for n in shape) > MAX_MOVED:
        raise ValueError(f"{list(shape)}: at most {MAX_MOVED:,} values that move")
