"""A graph made node by node from another format's operators; what cannot be made is told in one
error.
"""

from __future__ import annotations

import math
import re

import numpy as np

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

    def __init__(self, source, input_name, input_shape):
        self.source, self.input, self.nodes, self.refused = source, input_name, [], {}
        self.shapes = {input_name: tuple(input_shape)}

    def add(self, name, op, inputs, attrs=None, params=None):
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

    def refuse(self, name, op, reason):
        """Note that node `name` cannot be made, and why; returns a name that stands for its
        output.
        """
        name = self.unknown(name)
        self.refused.setdefault((op, reason), []).append(name)
        return name

    def unknown(self, name):
        """Note a node that depends on a refused one; returns a name that stands for its output."""
        name = fresh(name, self.shapes)
        self.shapes[name] = None
        return Output(name)

    def reshape(self, name, x, target):
        """x [1, ...] in the shape `target`, which may hold one -1: itself or flat, since no other
        shape has a spiking form.
        """
        size, shape, target = math.prod(self.shapes[x]), self.shapes[x], [int(n) for n in target]
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

    def mean(self, name, x, axes, keep):
        """The mean over `axes` (the batch is axis 0), which have to be height and width."""
        if len(self.shapes[x]) != 3 or sorted(int(a) % 4 for a in axes) != [2, 3]:
            return self.refuse(
                name,
                "mean",
                f"over axes {list(axes)}; only one over height and width has a spiking form",
            )
        pooled = self.add(name, "GlobalAveragePool", [x])
        return pooled if keep else self.add(f"{name}.flat", "Flatten", [pooled])

    def clip(self, name, x, low, high):
        """min(max(x, low), high), numbers or arrays of one: an activation where low is 0; None
        stands for no limit.
        """
        low, high = (
            limit if limit is None else float(np.asarray(limit).item()) for limit in (low, high)
        )
        if low != 0:
            return self.refuse(name, "Clip", f"a lower limit of {low}; only 0 has a spiking form")
        if high is None or high >= np.finfo(np.float32).max:
            return self.add(name, "Relu", [x])
        return self.add(name, "Clip", [x], {"min": 0, "max": high})

    def pool(self, name, op, x, attrs):
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

    def arithmetic(self, name, op, x, y):
        """x op y for an op of add, sub, mul, div: of two outputs their sum; of one and a constant a
        line through it.
        """
        if isinstance(x, Output) and isinstance(y, Output):
            return (
                self.add(name, "Add", [x, y])
                if op == "add"
                else self.refuse(name, op, "of two outputs")
            )
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

    def _line(self, name, op, x, scale, shift):
        """x * scale + shift, numbers or arrays with one value a channel: a BatchNormalization of
        mean 0 and variance 1.
        """
        shape = self.shapes[x]
        try:
            scale, shift = (_by_channel(values, shape) for values in (scale, shift))
        except ValueError:
            return self.refuse(
                name, op, "a constant that is not one number, or one for each channel"
            )
        params = {
            "scale": scale,
            "B": shift,
            "input_mean": np.zeros_like(scale),
            "input_var": np.ones_like(scale),
        }
        return self.add(name, "BatchNormalization", [x], {"epsilon": 0.0}, params)

    def same_pads(self, x, kernel, strides, dilations, odd_at_end=True):
        """Pads (top, left, bottom, right) with which a window gives ceil(size / stride) outputs; an
        odd one comes at the end or before.
        """
        totals = [
            max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            for n, k, s, d in zip(self.shapes[x][1:], kernel, strides, dilations)
        ]
        less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
        return [*less, *more] if odd_at_end else [*more, *less]

    def graph(self, output, **fields):
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
                f"replace them, train the network again and export it; what can be read: {readable}",
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


def some(texts, separator=", ", most=MAX_NAMES):
    """The first texts, and how many more there are."""
    return separator.join(texts[:most]) + (
        f" and {len(texts) - most} more" if len(texts) > most else ""
    )


def as_float(array):
    """Any real floating-point array as float64 where it is, else as float32."""
    array = np.asarray(array)
    return np.ascontiguousarray(array, np.float64 if array.dtype == np.float64 else np.float32)


def naturally(name):
    """A key that sorts names with numbers by these numbers: layer2 before layer10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _by_channel(values, shape):
    """A number or an array that broadcasts along the channels of [1, *shape] as float [C]; else
    ValueError.
    """
    values = np.asarray(values)
    values = as_float(values.reshape((1,) * (1 + len(shape) - values.ndim) + values.shape))
    if values.shape[0] != 1 or any(n != 1 for n in values.shape[2:]):
        raise ValueError
    return np.broadcast_to(values.reshape(-1), (shape[0],)).copy()
