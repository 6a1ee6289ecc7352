"""A graph made node by node from another format's operators; what cannot be made is told in one
error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.ann.graph import MAX_NODES, Graph, Node, fresh
from eventsnn.ann.operators import OPERATORS, infer_shape
from eventsnn.exceptions import InputError

MAX_NAMES, MAX_KINDS = 8, 20  # of refusals, that the error tells


class Output(str):
    """The name of a node, where the other format has the tensor that it computes."""


class Builder:
    """Checks each node as it is made. A node that is refused has no shape, nor has what depends on
    it.

    Attributes: `shapes` (name -> shape without the batch axis, or None), `nodes`, `refused`
    ((operator, reason) -> names). The batch counts as 1 wherever a format lets a network ask for
    its size.
    """

    def __init__(self, source: str, input_name: str, input_shape: tuple[int, int, int]) -> None:
        self.source, self.input = source, input_name
        self.nodes: list[Node] = []
        self.refused: dict[tuple[str, str], list[str]] = {}
        # of a node that depends on a refused one: None, which nothing is made from
        self.shapes: dict[str, Any] = {input_name: tuple(input_shape)}

    def add(
        self,
        name: str,
        op: str,
        inputs: Sequence[Output],
        attrs: dict[str, Any] | None = None,
        params: dict[str, NDArray[Any]] | None = None,
    ) -> Output:
        """Add a node; returns its name as an `Output`, with primes behind it where it is taken."""
        name = fresh(name, self.shapes)
        node = Node(name, op, tuple(inputs), attrs or {}, params or {})
        shapes = [self.shapes[i] for i in inputs]
        if len(self.nodes) >= MAX_NODES:
            raise InputError(self.source, f"at most {MAX_NODES:,} nodes", "more")
        try:
            self.shapes[name] = infer_shape(node, shapes, name)
        except InputError as error:
            return self.refuse(
                name,
                op,
                f"expected {error.expected}, found {error.found}"
                + (f"; {error.do}" if error.do else ""),
            )
        self.nodes.append(node)
        return Output(name)

    def refuse(self, name: str, op: str, reason: str) -> Output:
        """Note that node `name` cannot be made, and why; returns a name that stands for its
        output.
        """
        name = self.unknown(name)
        self.refused.setdefault((op, reason), []).append(name)
        return name

    def unknown(self, name: str) -> Output:
        """Note a node that depends on a refused one; returns a name that stands for its output."""
        name = fresh(name, self.shapes)
        self.shapes[name] = None
        return Output(name)

    def reshape(self, name: str, x: Output, target: Sequence[int]) -> Output:
        """x [1, ...] in the shape `target`, which may hold one -1: itself or flat, since no other
        shape has a spiking form.
        """
        size = math.prod(self.shapes[x])
        shape = self.shapes[x]
        target = [int(n) for n in target]
        known = math.prod(n for n in target if n != -1)
        if target.count(-1) == 1 and known > 0:
            target[target.index(-1)] = size // known
        if tuple(target) == (1, *shape):
            return self.add(name, "Identity", [x])
        if target == [1, size]:
            return self.add(name, "Flatten", [x])
        return self.refuse(
            name,
            "Reshape",
            f"{[1, *shape]} to {target}; only flattening all but the batch has a spiking form",
        )

    def mean(self, name: str, x: Output, axes: Any, keep: bool) -> Output:
        """The mean over `axes` (the batch is axis 0), which have to be height and width."""
        if len(self.shapes[x]) != 3 or sorted(int(a) % 4 for a in axes) != [2, 3]:
            return self.refuse(
                name,
                "mean",
                f"over axes {list(axes)}; only one over height and width has a spiking form",
            )
        pooled = self.add(name, "GlobalAveragePool", [x])
        return pooled if keep else self.add(f"{name}.flat", "Flatten", [pooled])

    def clip(self, name: str, x: Output, low: ArrayLike | None, high: ArrayLike | None) -> Output:
        """min(max(x, low), high), numbers or arrays of one: an activation where low is 0; None
        stands for no limit.
        """
        least = None if low is None else float(np.asarray(low).item())
        most = None if high is None else float(np.asarray(high).item())
        if least != 0:
            return self.refuse(name, "Clip", f"a lower limit of {least}; only 0 has a spiking form")
        if most is None or most >= np.finfo(np.float32).max:
            return self.add(name, "Relu", [x])
        return self.add(name, "Clip", [x], {"min": 0, "max": most})

    def pool(self, name: str, op: str, x: Output, attrs: dict[str, Any]) -> Output:
        """A pool; ceil_mode may be set where it changes nothing."""
        sizes = zip(
            self.shapes[x][1:],
            attrs["pads"],
            attrs["pads"][2:],
            attrs["kernel_shape"],
            attrs["strides"],
        )
        if attrs.get("ceil_mode") and all(
            (n + before + after - k) % s == 0 for n, before, after, k, s in sizes
        ):
            attrs = attrs | {"ceil_mode": 0}
        return self.add(name, op, [x], attrs)

    def arithmetic(self, name: str, op: str, x: Output, y: Output | NDArray[Any]) -> Output:
        """x op y for an op of add, sub, mul, div: of two outputs their sum; of one and a constant a
        line through it.
        """
        if isinstance(x, Output) and isinstance(y, Output):
            if op == "add":
                return self.add(name, "Add", [x, y])
            return self.refuse(name, op, "of two outputs")
        scale: Any
        shift: Any
        if op in ("add", "sub"):
            sign = 1.0 if op == "add" else -1.0
            scale, shift = (1.0, np.multiply(sign, y)) if isinstance(x, Output) else (sign, x)
        elif op == "mul":
            scale, shift = y if isinstance(x, Output) else x, 0.0
        elif isinstance(y, Output):
            return self.refuse(name, op, "by an output")
        else:
            with np.errstate(divide="ignore"):  # what is not finite is refused with the node
                scale, shift = 1 / np.asarray(y), 0.0
        return self._line(name, op, x if isinstance(x, Output) else y, scale, shift)

    def _line(self, name: str, op: str, x: Output, scale: ArrayLike, shift: ArrayLike) -> Output:
        """x * scale + shift, numbers or arrays with one value a channel: a BatchNormalization of
        mean 0 and variance 1.
        """
        shape = self.shapes[x]
        try:
            factors, offsets = _by_channel(scale, shape), _by_channel(shift, shape)
        except ValueError:
            return self.refuse(
                name, op, "a constant that is not one number, or one for each channel"
            )
        params = {
            "scale": factors,
            "B": offsets,
            "input_mean": np.zeros_like(factors),
            "input_var": np.ones_like(factors),
        }
        return self.add(name, "BatchNormalization", [x], {"epsilon": 0.0}, params)

    def same_pads(
        self,
        x: Output,
        kernel: Sequence[int],
        strides: list[int],
        dilations: list[int],
        odd_at_end: bool = True,
    ) -> list[int]:
        """Pads (top, left, bottom, right) with which a window gives ceil(size / stride) outputs; an
        odd one comes at the end or before.
        """
        totals = [
            max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            for n, k, s, d in zip(self.shapes[x][1:], kernel, strides, dilations)
        ]
        less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
        return [*less, *more] if odd_at_end else [*more, *less]

    def graph(self, output: str, **fields: Any) -> Graph:
        """The finished `Graph`; fields: its other fields. Raises one InputError for everything that
        was refused.
        """
        if self.refused:
            told = [
                f"{op} ({some(names)}): {reason}" for (op, reason), names in self.refused.items()
            ]
            readable = ", ".join(sorted(OPERATORS))
            raise InputError(
                self.source,
                "operators with a spiking form",
                some(told, "; ", MAX_KINDS),
                "replace them, train the network again and export it; what can be read: "
                f"{readable}",
                limit=3000,
            )
        return Graph(
            tuple(self.nodes),
            self.input,
            output,
            self.shapes[self.input],
            source=self.source,
            **fields,
        )


def some(texts: Sequence[str], separator: str = ", ", most: int = MAX_NAMES) -> str:
    """The first texts, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def as_float(array: NDArray[Any]) -> NDArray[Any]:
    """Any real floating-point array as float64 where it is, else as float32."""
    array = np.asarray(array)
    return np.ascontiguousarray(array, np.float64 if array.dtype == np.float64 else np.float32)


def naturally(name: str) -> list[tuple[int, str]]:
    """A key that sorts names with numbers by these numbers: layer2 before layer10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _by_channel(values: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """A number or an array that broadcasts along the channels of [1, *shape] as float [C]; else
    ValueError.
    """
    values = np.asarray(values)
    values = as_float(values.reshape((1,) * (1 + len(shape) - values.ndim) + values.shape))
    if values.shape[0] != 1 or any(n != 1 for n in values.shape[2:]):
        raise ValueError
    return np.broadcast_to(values.reshape(-1), (shape[0],)).copy()
