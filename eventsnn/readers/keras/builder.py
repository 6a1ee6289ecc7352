"""What Keras sees of a graph while its nodes are made.

Keras's maps are [H, W, C] (or [C, H, W], where its data_format says so), the graph's always [C, H,
W]. A `Value` remembers the difference where it shows: in vectors that were maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import MAX_NODES, Node
from eventsnn.ann.operators import infer_shape
from eventsnn.exceptions import InputError
from eventsnn.readers.keras.config import Layer, activation_of, pair
from eventsnn.readers.keras.weights import Weights


class Value(NamedTuple):
    """What a layer gives: a node's output, as Keras sees it.

    flat: Keras sees a vector, of a node that may still be a map of one place. order: where that
    vector has another order than the node's [C, H, W], Keras's element k is the node's element
    order[k] (int64). pixels: of the image only, before any node, (factor, shift), float64 [C] each:
    Keras sees pixel * factor + shift.
    """

    node: str
    flat: bool = False
    order: np.ndarray | None = None
    pixels: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None


class Builder:
    """Collects nodes.

    layers: class of a layer -> the function (builder, layer, values, name) that makes its nodes and
    returns its value. first: whether maps are [C, H, W] in Keras. nodes, shapes: name of a node ->
    the node, its output's shape.
    """

    def __init__(
        self,
        source: str,
        layers: dict[str, Callable[..., Value]],
        weights: Weights,
        image: str,
        shape: tuple[int, ...],
        first: bool,
    ) -> None:
        self.source = source
        self.layers = layers
        self.weights = weights
        self.first = first
        self.shapes: dict[str, tuple[int, ...]] = {image: shape}
        self.nodes: dict[str, Node] = {}
        self.calls = 0
        self.image = Value(image, pixels=(np.ones(shape[0]), np.zeros(shape[0])))
        self.pixels: tuple[Any, Any] | None = None  # of the image as the first node took it
        self.ending = ("", "")  # (softmax or sigmoid, name of the layer) at the output

    def run(self, model: Layer, value: Value, path: str = "") -> Value:
        """The value of a model's output for the value of its input."""
        made = {model.input: value}
        calls = [(x, i) for x in model.inner for i, call in enumerate(x.calls) if call]
        missing = [set(layer.calls[i]) - made.keys() for layer, i in calls]
        users: dict[tuple, list[int]] = {}  # reference -> the calls that wait for it
        for n, refs in enumerate(missing):
            for ref in refs:
                users.setdefault(ref, []).append(n)
        ready = [n for n, refs in enumerate(missing) if not refs]
        while ready:
            layer, i = calls[heappop(ready)]  # in the order of the file, as far as that is possible
            name = path + layer.name + (f":{i + 1}" if i else "")
            made[layer.name, i] = self.call(layer, [made[ref] for ref in layer.calls[i]], name)
            for n in users.pop((layer.name, i), ()):
                missing[n].discard((layer.name, i))
                if not missing[n]:
                    heappush(ready, n)
        waiting = next((layer for (layer, _), refs in zip(calls, missing) if refs), None)
        if waiting is not None:
            raise InputError(
                self.source,
                "layers whose inputs exist",
                f"{waiting.path!r}, whose inputs do not",
                "save the model again",
            )
        if model.output not in made:
            raise InputError(
                self.source,
                "a layer that gives the output",
                repr(model.output[0]),
                "save the model again",
            )
        return made[model.output]

    def call(self, layer: Layer, values: list[Value], name: str) -> Value:
        self.calls += 1
        if self.calls > MAX_NODES:
            raise InputError(self.source, f"at most {MAX_NODES:,} calls of layers", "more")
        if layer.inner:
            return self.run(layer, values[0], name + "/")
        return self.layers[layer.kind](self, layer, values, name)

    def add(
        self,
        name: str,
        op: str,
        values: list[Value],
        attrs: Any = None,
        params: dict[str, NDArray[Any]] | None = None,
    ) -> Value:
        """The value of a new node."""
        while name in self.shapes:
            name += "'"
        for value in values:
            if value.pixels is not None:
                if self.pixels is not None and not np.array_equal(self.pixels, value.pixels):
                    raise self.wrong(name, "an image that is scaled once", "two scalings of it")
                self.pixels = value.pixels
        node = Node(name, op, tuple(value.node for value in values), attrs or {}, params or {})
        self.shapes[name] = infer_shape(
            node, [self.shapes[i] for i in node.inputs], f"{self.source}: layer {name!r} ({op})"
        )
        self.nodes[name] = node
        return Value(name)

    def wrong(
        self,
        name: str,
        expected: str,
        found: object,
        do: str = "change the layer in Keras and save the model again",
    ) -> InputError:
        return InputError(f"{self.source}: layer {name!r}", expected, found, do)

    def map(self, value: Value, name: str) -> tuple[int, int, int]:
        """The shape (C, H, W) of a value that must be a map."""
        if value.flat or len(self.shapes[value.node]) != 3:
            raise self.wrong(name, "an input with height and width", "a vector")
        channels, height, width = self.shapes[value.node]
        return channels, height, width

    def vector(self, value: Value, name: str) -> Value:
        """The value with a node that is a vector."""
        if not value.flat:
            raise self.wrong(
                name, "an input that is a vector", "a map", "put a Flatten in front of it"
            )
        if len(self.shapes[value.node]) == 1:
            return value
        return self.add(f"{value.node}:flat", "Flatten", [value])._replace(flat=True)

    def flatten(self, value: Value, name: str, moved: bool) -> Value:
        """A map as the vector that Keras makes of it; moved: whether it moves the first axis last
        before.
        """
        index = self.as_keras(
            np.arange(math.prod(self.shapes[value.node])).reshape(self.shapes[value.node])
        )
        order = (index.transpose(1, 2, 0) if moved else index).reshape(-1)
        same = np.array_equal(order, np.arange(order.size))
        return self.add(name, "Flatten", [value])._replace(flat=True, order=None if same else order)

    def as_keras(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array [C, H, W] with its axes as Keras has them."""
        return array if self.first else array.transpose(1, 2, 0)

    def is_channels(self, axis: list[int] | int, name: str, axes: int) -> None:
        """Raise InputError unless `axis` (a number, or a list of one) is the channels' of maps
        (axes 4), or a vector's only one (2).
        """
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        good = {2: (1, -1), 4: (1, -3) if self.first else (3, -1)}[axes]
        if axis not in good:
            raise self.wrong(name, f"the axis of channels, {good[0]} or {good[1]}", axis)

    def pair(self, layer: Layer, key: str, default: tuple[int, int], name: str) -> tuple[int, int]:
        """A setting that is one whole number or two."""
        return pair(layer.config, key, default, f"{self.source}: layer {name!r}")

    def pads(
        self,
        layer: Layer,
        value: Value,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        dilations: tuple[int, int],
    ) -> list[int]:
        """[top, left, bottom, right] for "valid" or "same"; the latter pads more at the bottom and
        right where it must.
        """
        if layer.config.get("padding", "valid") == "valid":
            return [0, 0, 0, 0]
        before, after = [], []
        for size, k, stride, dilation in zip(
            self.shapes[value.node][1:], kernel, strides, dilations
        ):
            total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
            before.append(total // 2)
            after.append(total - total // 2)
        return before + after

    def convolution(
        self,
        layer: Layer,
        value: Value,
        name: str,
        weight: NDArray[Any],
        bias: NDArray[Any] | None,
        group: int = 1,
    ) -> Value:
        """A Conv with the layer's strides, padding and dilation; weight [M, C / group, kH, kW]."""
        kernel = weight.shape[2:]
        if self.pair(layer, "kernel_size", kernel, name) != kernel:
            raise self.wrong(
                name,
                f"a kernel of {layer.config['kernel_size']}",
                list(kernel),
                "the weights are another network's",
            )
        self.map(value, name)
        strides, dilations = (
            self.pair(layer, key, (1, 1), name) for key in ("strides", "dilation_rate")
        )
        attrs = {
            "strides": list(strides),
            "dilations": list(dilations),
            "group": group,
            "pads": self.pads(layer, value, kernel, strides, dilations),
        }
        return self.add(
            name, "Conv", [value], attrs, {"W": weight} | ({} if bias is None else {"B": bias})
        )

    def activate(self, value: Value, name: str, activation: tuple[str, float | None]) -> Value:
        kind, largest = activation
        if kind == "linear":
            return value
        if kind != "relu":
            self.ending = kind, name
            return value
        attrs = {} if largest is None else {"min": 0, "max": largest}
        return self.add(name, "Clip" if attrs else "Relu", [value], attrs)._replace(
            flat=value.flat, order=value.order
        )

    def own_activation(self, layer: Layer, value: Value, name: str) -> Value:
        activation = activation_of(layer.config.get("activation"))
        return self.activate(value, f"{name}:{activation[0]}", activation)

    def filters(self, name: str, layer: Layer, key: str, found: int) -> None:
        if layer.config.get(key) not in (None, found):
            raise self.wrong(
                name, f"{layer.config[key]} {key}", found, "the weights are another network's"
            )
