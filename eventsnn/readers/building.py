"""A graph made node by node from another format's operators.

What cannot be made is noted, and the end raises one error that names all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.ann.checks import Shape
from eventsnn.ann.graph import MAX_NODES, Graph, Node, Preprocessing, fresh
from eventsnn.ann.operators import OPERATORS, infer_shape
from eventsnn.exceptions import InputError
from eventsnn.readers import bends

# of what was refused, how many names and how many kinds the error lists
MAX_NAMES = 8
MAX_KINDS = 20


class Output(str):
    """The name of a node, where the other format has the tensor that it computes."""


class Builder:
    """Checks each node as it is made.

    A node that is refused has no shape, and neither has a node that depends on one. The batch
    counts as 1 wherever a format lets a network ask for its size.

    source: the file or module, for messages. input_name: the name of the graph's input.
    input_shape: (C, H, W).

    Attributes: source. input: the name of the input. input_shape: (C, H, W). nodes: those made, in
    order. shapes: name -> shape without the batch axis; None where a node was refused. refused:
    (operator, reason) -> names of nodes.
    """

    def __init__(self, source: str, input_name: str, input_shape: tuple[int, int, int]) -> None:
        channels, height, width = input_shape
        self.source = source
        self.input = input_name
        self.input_shape = (channels, height, width)
        self.nodes: list[Node] = []
        self.refused: dict[tuple[str, str], list[str]] = {}
        self.shapes: dict[str, Shape | None] = {input_name: self.input_shape}

    def __repr__(self) -> str:
        refused = sum(len(names) for names in self.refused.values())
        return f"<Builder of {self.source}: {len(self.nodes)} nodes, {refused} refused>"

    def shape(self, x: Output) -> Shape:
        """The shape of an output, without the batch axis.

        x: an output that was not refused. Raises TypeError for one that was.
        """
        shape = self.shapes[x]
        if shape is None:
            raise TypeError(f"{x!r} has no shape")
        return shape

    def add(
        self,
        name: str,
        op: str,
        inputs: Sequence[Output],
        attrs: dict[str, Any] | None = None,
        params: dict[str, NDArray[Any]] | None = None,
    ) -> Output:
        """Adds a node and returns its output.

        name: the node's; primes come behind it where it is taken. op: the operator, in the graph's
        vocabulary. inputs: the outputs that it takes; it is unknown where one of them is. attrs:
        attribute -> value. params: role -> array of floats. A node that the graph cannot have is
        refused. Raises InputError for too many nodes.
        """
        name = fresh(name, self.shapes)
        if any(self.shapes[x] is None for x in inputs):
            return self.unknown(name)
        node = Node(name, op, tuple(inputs), attrs or {}, params or {})
        shapes = [self.shape(x) for x in inputs]
        if len(self.nodes) >= MAX_NODES:
            raise InputError(self.source, f"at most {MAX_NODES:,} nodes", "more")
        try:
            self.shapes[name] = infer_shape(node, shapes, name)
        except InputError as error:
            advice = f"; {error.do}" if error.do else ""
            reason = f"expected {error.expected}, found {error.found}{advice}"
            return self.refuse(name, op, reason)
        self.nodes.append(node)
        return Output(name)

    def refuse(self, name: str, op: str, reason: str) -> Output:
        """Notes that a node cannot be made; returns a name that stands for its output.

        name: the node's. op: the operator, in the other format's words. reason: why.
        """
        output = self.unknown(name)
        self.refused.setdefault((op, reason), []).append(output)
        return output

    def unknown(self, name: str) -> Output:
        """Notes a node that depends on a refused one; returns a name that stands for its output.

        name: the node's; primes come behind it where it is taken.
        """
        name = fresh(name, self.shapes)
        self.shapes[name] = None
        return Output(name)

    def reshape(self, name: str, x: Output, target: Sequence[int]) -> Output:
        """x [1, ...] in another shape, which is x's own or flat: no other has a spiking form.

        name: the node's. x: an output. target: the shape with the batch axis; one size may be -1.
        """
        shape = self.shape(x)
        size = math.prod(shape)
        wanted = [int(n) for n in target]
        known = math.prod(n for n in wanted if n != -1)
        if wanted.count(-1) == 1 and known > 0:
            wanted[wanted.index(-1)] = size // known
        if tuple(wanted) == (1, *shape):
            return self.add(name, "Identity", [x])
        if wanted == [1, size]:
            return self.add(name, "Flatten", [x])
        change = f"{[1, *shape]} to {wanted}"
        reason = f"{change}; only flattening all but the batch has a spiking form"
        return self.refuse(name, "Reshape", reason)

    def mean(
        self, name: str, x: Output, axes: Sequence[int] | NDArray[np.integer[Any]], keep: bool
    ) -> Output:
        """The mean of x over axes, which have to be height and width.

        name: the node's. x: an output. axes: the numbers of the axes; the batch is axis 0, and
        numbers below 0 count from the end. keep: whether the axes stay, with one place each.
        """
        if len(self.shape(x)) != 3 or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
            reason = f"over axes {list(axes)}; only one over height and width has a spiking form"
            return self.refuse(name, "mean", reason)
        pooled = self.add(name, "GlobalAveragePool", [x])
        return pooled if keep else self.add(f"{name}.flat", "Flatten", [pooled])

    def clip(self, name: str, x: Output, low: ArrayLike | None, high: ArrayLike | None) -> Output:
        """min(max(x, low), high), which is one activation or two (`bends.clip`).

        name: the node's. x: an output. low, high: numbers or arrays of one; None for no limit.
        """
        least, most = _limit(low), _limit(high)
        if least is None and most is None:
            return self.add(name, "Identity", [x])
        if least is not None and most is not None and not least < most:
            return self.refuse(name, "Clip", f"limits of {least:g} and {most:g} leave one value")
        return bends.clip(self.add, name, x, self.shape(x)[0], least, most)

    def leaky(self, name: str, x: Output, slopes: ArrayLike) -> Output:
        """ReLU(x) - slopes ReLU(-x): LeakyReLU, PReLU and, with a slope of -1, abs (`bends.leaky`).

        name: the node's. x: an output. slopes: a number or array with one value a channel, which
        broadcasts along [1, *shape of x].
        """
        shape = self.shape(x)
        try:
            by_channel = _by_channel(slopes, shape)
        except ValueError:
            reason = f"slopes {list(np.shape(slopes))}; only one, or one for each channel, is read"
            return self.refuse(name, "PRelu", reason)
        return bends.leaky(self.add, name, x, shape[0], by_channel)

    def pool(self, name: str, op: str, x: Output, attrs: dict[str, Any]) -> Output:
        """A pool; with ceil_mode, windows that begin inside and end outside are padded.

        name: the node's. op: MaxPool or AveragePool. x: an output that is a map. attrs: with
        kernel_shape, strides and pads [top, left, bottom, right].
        """
        if not attrs.get("ceil_mode"):
            return self.add(name, op, [x], attrs)
        pads = list(attrs["pads"])
        more = ends_outside(self.shape(x)[1:], attrs)
        if any(more) and any(pads) and attrs.get("count_include_pad"):
            # what ceil_mode adds is not counted, so the pads that are have to be there before
            x = self.add(f"{name}.pads", "Pad", [x], {"pads": pads})
            pads = [0, 0, 0, 0]
        wider = [*pads[:2], *(pad + n for pad, n in zip(pads[2:], more))]
        counted = {"count_include_pad": 0} if any(more) and op == "AveragePool" else {}
        return self.add(name, op, [x], attrs | {"ceil_mode": 0, "pads": wider} | counted)

    def arithmetic(
        self, name: str, op: str, x: Output | ArrayLike, y: Output | ArrayLike
    ) -> Output:
        """x op y: of two outputs their sum or difference; of an output and a constant a line.

        name: the node's. op: add, sub, mul or div. x, y: outputs, numbers or arrays; at least one
        is an output.
        """
        if isinstance(x, Output) and isinstance(y, Output):
            if op == "sub":
                y = self._line(f"{name}.minus", op, y, -1.0, 0.0)
            if op in ("add", "sub"):
                return self.add(name, "Add", [x, y])
            return self.refuse(name, op, "of two outputs")
        if isinstance(x, Output):
            scale, shift = line_of(op, y)
            return self._line(name, op, x, scale, shift)
        if not isinstance(y, Output):
            raise TypeError(f"{op} of two constants")
        if op == "div":
            return self.refuse(name, op, "by an output")
        if op == "mul":
            return self._line(name, op, y, x, 0.0)
        return self._line(name, op, y, 1.0 if op == "add" else -1.0, x)

    def _line(self, name: str, op: str, x: Output, scale: ArrayLike, shift: ArrayLike) -> Output:
        """x * scale + shift: a BatchNormalization of mean 0 and variance 1.

        scale, shift: numbers or arrays with one value a channel.
        """
        shape = self.shape(x)
        try:
            factors = _by_channel(scale, shape)
            offsets = _by_channel(shift, shape)
        except ValueError:
            reason = "a constant that is not one number, or one for each channel"
            return self.refuse(name, op, reason)
        return bends.line(self.add, name, x, shape[0], factors, offsets)

    def same_pads(
        self,
        x: Output,
        kernel: Sequence[int],
        strides: Sequence[int],
        dilations: Sequence[int],
        odd_at_end: bool = True,
    ) -> list[int]:
        """Pads [top, left, bottom, right] with which a window has ceil(size / stride) places.

        x: an output that is a map. kernel, strides, dilations: of height and width. odd_at_end:
        whether one more comes at the bottom and right where the pads of an axis are odd; otherwise
        it comes at the top and left.
        """
        totals = [
            max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            for n, k, s, d in zip(self.shape(x)[1:], kernel, strides, dilations)
        ]
        less = [total // 2 for total in totals]
        more = [total - total // 2 for total in totals]
        return [*less, *more] if odd_at_end else [*more, *less]

    def graph(
        self, output: str, preprocessing: Preprocessing, meta: dict[str, Any] | None = None
    ) -> Graph:
        """The finished `Graph`.

        output: the name of the node that is its output. preprocessing, meta: as in `Graph`. Raises
        InputError, one for everything that was refused.
        """
        if self.refused:
            kinds = [
                f"{op} ({some(names)}): {reason}" for (op, reason), names in self.refused.items()
            ]
            raise InputError(
                self.source,
                "operators with a spiking form",
                some(kinds, "; ", MAX_KINDS),
                "replace them, train the network again and export it; what can be read: "
                + ", ".join(sorted(OPERATORS)),
                limit=3000,
            )
        nodes = tuple(self.nodes)
        return Graph(
            nodes, self.input, output, self.input_shape, preprocessing, self.source, meta or {}
        )


def ends_outside(sizes: Sequence[int], attrs: dict[str, Any]) -> list[int]:
    """How far the last windows of a pool with ceil_mode reach beyond its pads, by axis.

    A window that would begin behind the map and the pads in front of it does not count. sizes: of
    the map. attrs: the pool's, with kernel_shape, strides and pads.
    """
    pads = attrs["pads"]
    axes = zip(sizes, pads, pads[2:], attrs["kernel_shape"], attrs["strides"])
    more = []
    for (n, before, after, kernel, stride), dilation in zip(axes, attrs.get("dilations", (1, 1))):
        reach = (kernel - 1) * dilation + 1
        last = -(-(n + before + after - reach) // stride)
        if last * stride >= n + before:
            last -= 1
        more.append(max(last * stride + reach - n - before - after, 0))
    return more


def some(texts: Sequence[str], separator: str = ", ", most: int = MAX_NAMES) -> str:
    """The first texts, and how many more there are.

    texts: all of them. separator: what comes between two. most: how many are shown.
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def as_float(array: ArrayLike) -> NDArray[np.floating[Any]]:
    """Any array of numbers as float64 where it is float64, otherwise as float32.

    array: of any shape, which stays (a number becomes [1]).
    """
    array = np.asarray(array)
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    return np.ascontiguousarray(array, dtype)


def _limit(value: ArrayLike | None) -> float | None:
    """A limit as a number; None where it is none, or beyond what float32 holds."""
    if value is None:
        return None
    limit = float(np.asarray(value).item())
    return None if abs(limit) >= float(np.finfo(np.float32).max) else limit


def line_of(op: str, constant: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
    """(factor, offset) of the line that x op constant is.

    op: add, sub, mul or div. constant: a number or an array.
    """
    if op == "mul":
        return constant, 0.0
    if op == "div":
        # what is not finite is refused with the node
        with np.errstate(divide="ignore"):
            return 1 / np.asarray(constant), 0.0
    return 1.0, np.multiply(1.0 if op == "add" else -1.0, constant)


def _by_channel(values: ArrayLike, shape: Shape) -> NDArray[np.floating[Any]]:
    """A number, or an array that broadcasts along the channels of [1, *shape], as float [C].

    Raises ValueError for other arrays.
    """
    values = np.asarray(values)
    axes = (1,) * (1 + len(shape) - values.ndim)
    by_axis = as_float(values.reshape(axes + values.shape))
    if by_axis.shape[0] != 1 or any(n != 1 for n in by_axis.shape[2:]):
        raise ValueError
    return np.broadcast_to(by_axis.reshape(-1), (shape[0],)).copy()
