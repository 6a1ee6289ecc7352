"""What Keras sees of a graph while its nodes are made.

Keras's maps are [H, W, C] (or [C, H, W], where its data_format says so), the graph's always [C, H,
W]. A `Value` remembers the difference where it shows: in vectors that were maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.checks import Shape, is_number
from eventsnn.ann.graph import MAX_NODES, Node, fresh
from eventsnn.ann.indexing import index_lists
from eventsnn.ann.operators import infer_shape
from eventsnn.exceptions import InputError
from eventsnn.readers import bends
from eventsnn.readers.keras.activations import ENDINGS, Activation, activation_of
from eventsnn.readers.keras.config import Layer, Reference, pair
from eventsnn.readers.keras.quantised import levels_of
from eventsnn.readers.keras.weights import Weights

CHANGE = "change the layer in Keras and save the model again"
OTHER_WEIGHTS = "the weights are another network's"
SAVE = "save the model again"
MAX_MOVED = 2**26  # values of one layer


class Value(NamedTuple):
    """What a layer gives: a node's output, as Keras sees it.

    node: the node's name. flat: whether Keras sees a vector; the node may still be a map of one
    place. order: where that vector has another order than the node's [C, H, W], Keras's element k
    is the node's element order[k] (int64); otherwise None. pixels: of the image only, before any
    node, (factor, shift), float64 [C] each: Keras sees pixel * factor + shift. turned: whether it
    sees the image's channels turned round; factor and shift are in that order. sequence: whether it
    sees [L, C], where the node is a map of height 1. numbers: where values were only moved, the
    number of each in the node, int64 in Keras's shape and -1 for a 0; otherwise None.
    """

    node: str
    flat: bool = False
    order: NDArray[np.int64] | None = None
    pixels: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    turned: bool = False
    sequence: bool = False
    numbers: NDArray[np.int64] | None = None

    def __repr__(self) -> str:
        return f"<Value of {self.node!r}{' as a vector' if self.flat else ''}>"


class Builder:
    """Collects nodes.

    source: the file, for messages. layers: class of a layer -> the function (builder, layer,
    values, name) that makes its nodes and returns its value. weights: the arrays by layer. image:
    the name of the graph's input. shape: (C, H, W) of the image. first: whether maps are [C, H, W]
    in Keras. backend: what Keras computed on, in small letters. version: of Keras, or "".

    Attributes: nodes: name -> node. shapes: name -> shape without the batch axis, of the input and
    every node. calls: how many layers were called. image: the value of the image. pixels: the
    (factor, shift) of the image as the first node took it; None before. turned: whether it took
    the channels turned round. told: whether the file says what Keras computed on. notes: what the
    user should know of what was made. ending: (softmax, log_softmax or sigmoid, name of the layer)
    at the output, or two empty texts.
    """

    def __init__(
        self,
        source: str,
        layers: Mapping[str, Callable[..., Value]],
        weights: Weights,
        image: str,
        shape: tuple[int, int, int],
        first: bool,
        backend: str = "tensorflow",
        version: str = "",
    ) -> None:
        self.source = source
        self.layers = layers
        self.weights = weights
        self.first = first
        self.backend = backend
        self.version = version
        self.shapes: dict[str, Shape] = {image: shape}
        self.nodes: dict[str, Node] = {}
        self.calls = 0
        self.image = Value(image, pixels=(np.ones(shape[0]), np.zeros(shape[0])))
        self.pixels: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self.turned = False
        self.told = True
        self.notes: list[str] = []
        self.ending = ("", "")

    def __repr__(self) -> str:
        return f"<Builder of {self.source}: {len(self.nodes)} nodes, {self.calls} calls of layers>"

    def run(self, model: Layer, value: Value, path: str = "") -> Value:
        """The value of a model's output for the value of its input.

        model: whose layers are called. value: of its input. path: what comes before the names of
        its layers. Raises InputError where a layer's input, or the output, does not exist.
        """
        made = {model.input: value}
        calls = [(layer, i) for layer in model.inner for i, call in enumerate(layer.calls) if call]
        missing = [set(layer.calls[i]) - made.keys() for layer, i in calls]
        users: dict[Reference, list[int]] = {}  # reference -> the calls that wait for it
        for n, refs in enumerate(missing):
            for ref in refs:
                users.setdefault(ref, []).append(n)
        ready = [n for n, refs in enumerate(missing) if not refs]
        while ready:
            layer, i = calls[heappop(ready)]  # in the order of the file, as far as that is possible
            name = path + layer.name + (f":{i + 1}" if i else "")
            values = [made[ref] for ref in layer.calls[i]]
            made[layer.name, i] = self.call(layer, values, name, i)
            for n in users.pop((layer.name, i), ()):
                missing[n].discard((layer.name, i))
                if not missing[n]:
                    heappush(ready, n)
        waiting = next((layer for (layer, _), refs in zip(calls, missing) if refs), None)
        if waiting is not None:
            found = f"{waiting.path!r}, whose inputs do not"
            raise InputError(self.source, "layers whose inputs exist", found, SAVE)
        if model.output not in made:
            found = repr(model.output[0])
            raise InputError(self.source, "a layer that gives the output", found, SAVE)
        return made[model.output]

    def call(self, layer: Layer, values: Sequence[Value], name: str, number: int = 0) -> Value:
        """The value of a layer, or of a model, for the values of its inputs.

        layer: what is called. values: of its inputs, in order. name: of the nodes that it makes.
        number: of the call, from 0. Raises InputError for too many calls, and for whatever the
        layer cannot do.
        """
        self.calls += 1
        if self.calls > MAX_NODES:
            raise InputError(self.source, f"at most {MAX_NODES:,} calls of layers", "more")
        if layer.inner:
            return self.run(layer, values[0], name + "/")
        if layer.arguments:
            layer = replace(layer, arguments=layer.arguments[number : number + 1])
        else:
            values = [self.settled(value, name) for value in values]
        return self.layers[layer.kind](self, layer, values, name)

    def add(
        self,
        name: str,
        op: str,
        values: Sequence[Value],
        attrs: dict[str, Any] | None = None,
        params: dict[str, NDArray[Any]] | None = None,
    ) -> Value:
        """The value of a new node.

        name: the node's; primes come behind it where it is taken. op: the operator, in the graph's
        vocabulary. values: of its inputs. attrs: attribute -> value. params: role -> array of
        floats. Raises InputError for a node that the graph cannot have.
        """
        name = fresh(name, self.shapes)
        for value in values:
            if value.pixels is not None:
                if value.flat and self.shapes[value.node][1:] != (1, 1):
                    found = "the vector beside it"
                    raise self.wrong(name, "an input that is only used as an image", found)
                same = self.pixels is None or np.array_equal(self.pixels, value.pixels)
                if not same or (self.pixels is not None and self.turned is not value.turned):
                    raise self.wrong(name, "an image that is scaled once", "two scalings of it")
                self.pixels = value.pixels
                self.turned = value.turned
        node = Node(name, op, tuple(value.node for value in values), attrs or {}, params or {})
        shapes = [self.shapes[i] for i in node.inputs]
        self.shapes[name] = infer_shape(node, shapes, f"{self.source}: layer {name!r} ({op})")
        self.nodes[name] = node
        return Value(name, sequence=any(value.sequence for value in values))

    def settled(self, value: Value, name: str) -> Value:
        """A value of which one node has the numbers in their places.

        value: any. name: the layer that takes it, for messages and nodes. Raises InputError for
        other values than vectors, sequences and maps.
        """
        index = value.numbers
        if index is None:
            return value
        image = np.arange(math.prod(self.shapes[value.node])).reshape(self.shapes[value.node])
        if (
            value.pixels is not None
            and len(image) == 3
            and index.shape == self.as_keras(image).shape
        ):
            if np.array_equal(index, self.as_keras(image[::-1])):
                return value._replace(turned=True, numbers=None)
        if index.ndim == 1:
            lists, flat = index_lists(index), True
        elif index.ndim in (2, 3):
            last = index if self.first else np.moveaxis(index, -1, 0)
            lists, flat = index_lists(last if index.ndim == 3 else last[:, None]), False
        else:
            found = f"shape {list(index.shape)}"
            raise self.wrong(name, "a vector, a sequence or a map", found)
        before = value._replace(numbers=None, flat=False)
        label = f"{name}:moved"
        if lists is None:  # first a vector of the values in their order, then a map of it
            order = index.reshape(-1) if self.first else np.moveaxis(index, -1, 0).reshape(-1)
            before = self.add(f"{label}:flat", "Index", [before], index_lists(order))
            shape = index.shape if self.first else np.moveaxis(index, -1, 0).shape
            shape = shape if index.ndim == 3 else (shape[0], 1, shape[1])
            lists = index_lists(np.arange(order.size).reshape(shape))
        made = self.add(label, "Index", [before], lists)
        return made._replace(flat=flat, sequence=index.ndim == 2)

    def seen(self, value: Value) -> NDArray[np.int64]:
        """The number in its node of each number that Keras sees, in Keras's shape.

        value: any.
        """
        if value.numbers is not None:
            return value.numbers
        shape = self.shapes[value.node]
        numbers = np.arange(math.prod(shape))
        if value.flat:
            return numbers if value.order is None else value.order
        if len(shape) != 3:
            return numbers
        index = self.as_keras(numbers.reshape(shape))
        if value.turned:
            index = index[::-1] if self.first else index[..., ::-1]
        if value.sequence:
            return index[:, 0] if self.first else index[0]
        return index

    def moved(self, value: Value, name: str, index: NDArray[np.int64]) -> Value:
        """The values of `value`'s node in other places.

        value: any. name: the layer's. index: numbers as `seen` gives them, in Keras's shape.
        Raises InputError for too many.
        """
        if index.size > MAX_MOVED:
            raise self.wrong(name, f"at most {MAX_MOVED:,} values", f"{index.size:,}")
        if value.pixels is not None:
            factor, shift = value.pixels
            plain = not np.ptp(factor) and not np.ptp(shift) and not value.turned
            if not plain or (shift.any() and (index < 0).any()):
                held = self.add(f"{name}:image", "Identity", [value._replace(numbers=None)])
                value = held._replace(flat=value.flat)
        return value._replace(numbers=np.ascontiguousarray(index), order=None)

    def wrong(self, name: str, expected: str, found: object, do: str = CHANGE) -> InputError:
        """The InputError for a layer.

        name: the layer's. expected, found, do: as in `InputError`.
        """
        return InputError(f"{self.source}: layer {name!r}", expected, found, do)

    def map(self, value: Value, name: str, sequence: bool | None = None) -> tuple[int, int, int]:
        """The shape (C, H, W) of a value.

        value: what must be a map. name: the layer, for messages. sequence: whether Keras must see
        [L, C], or must not; None for either. Raises InputError for a vector.
        """
        if value.flat or len(self.shapes[value.node]) != 3:
            raise self.wrong(name, "an input with height and width", "a vector")
        if sequence is not None and value.sequence is not sequence:
            kinds = ("an image with height and width", "a sequence")
            raise self.wrong(name, kinds[sequence], kinds[not sequence], "put a Reshape between")
        channels, height, width = self.shapes[value.node]
        return channels, height, width

    def vector(self, value: Value, name: str) -> Value:
        """The value with a node that is a vector.

        value: what must be a vector in Keras. name: the layer, for messages. Raises InputError for
        a map.
        """
        if not value.flat:
            do = "put a Flatten in front of it"
            raise self.wrong(name, "an input that is a vector", "a map", do)
        if len(self.shapes[value.node]) == 1:
            return value
        return self.add(f"{value.node}:flat", "Flatten", [value])._replace(flat=True)

    def as_image(self, value: Value, target: Sequence[Any], name: str) -> Value:
        """The image or sequence that Keras makes of an input that is a vector: the graph takes it.

        value: the vector, before any node. target: the shape in Keras. name: the layer, for
        messages. Raises InputError where a node took the vector, or the image cannot be.
        """
        size = self.shapes[value.node][0]
        factor, shift = value.pixels or (np.ones(1), np.zeros(1))
        good = all(type(n) is int and n > 0 for n in target) and math.prod(target) == size
        if not good or self.nodes or np.ptp(factor) or np.ptp(shift):
            expected = (
                f"a Reshape of a vector of {size} numbers that nothing else takes, to (H, W, C)"
            )
            raise self.wrong(name, expected, list(target))
        channels, *places = target if self.first else (target[-1], *target[:-1])
        height, width = places if len(places) == 2 else (1, *places)
        self.shapes[value.node] = (channels, height, width)
        pixels = (np.full(channels, factor[0]), np.full(channels, shift[0]))
        return value._replace(flat=False, pixels=pixels, sequence=len(target) == 2)

    def flatten(self, value: Value, name: str, moved: bool) -> Value:
        """A map as the vector that Keras makes of it.

        value: the map. name: the node's. moved: whether Keras moves its first axis last before.
        """
        shape = self.shapes[value.node]
        index = self.as_keras(np.arange(math.prod(shape)).reshape(shape))
        order = (index.transpose(1, 2, 0) if moved else index).reshape(-1)
        same = np.array_equal(order, np.arange(order.size))
        flat = self.add(name, "Flatten", [value])
        return flat._replace(flat=True, order=None if same else order)

    def as_keras(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array with its axes as Keras has them.

        array: [C, H, W] of any dtype.
        """
        return array if self.first else array.transpose(1, 2, 0)

    def is_channels(self, axis: Any, name: str, axes: int) -> None:
        """Raises InputError unless an axis is that of channels.

        axis: a number, or a list of one. name: the layer, for messages. axes: 4 for maps, 3 for
        sequences, 2 for vectors, each with the batch axis.
        """
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        good = (1, 1 - axes) if self.first or axes == 2 else (axes - 1, -1)
        if axis not in good:
            raise self.wrong(name, f"the axis of channels, {good[0]} or {good[1]}", axis)

    def axes(self, value: Value) -> int:
        """How many axes Keras sees, with the batch's. value: settled."""
        return 2 if value.flat else 3 if value.sequence else 4

    def pair(self, layer: Layer, key: str, default: Sequence[int], name: str) -> tuple[int, int]:
        """A setting that is one whole number or two, as two.

        layer: whose it is. key: the setting's name. default: two numbers, where it is absent. name:
        the layer's, for messages. Raises InputError for anything else than whole numbers from 1.
        """
        return pair(layer.config, key, default, f"{self.source}: layer {name!r}")

    def activate(self, value: Value, name: str, activation: Activation) -> Value:
        """The value behind an activation; what may only end a network is noted as the ending.

        value: what the activation takes. name: the node's.
        """
        kind, largest, slope, quantiser = activation
        if kind == "linear":
            return value
        if not is_number(slope):
            raise self.wrong(name, "a number as the slope below 0", short(slope))
        value = self.settled(value, name)
        channels = self.shapes[value.node][0]
        if kind in ENDINGS:
            self.ending = (kind, name)
            return value
        if kind == "quantized_relu":
            step, _, levels = levels_of(quantiser, f"{self.source}: layer {name!r}")
            before = self.nodes.get(value.node)
            source = value
            if before is not None and before.op == "Relu":  # whose work it does
                source = value._replace(node=before.inputs[0])
            made = self.add(name, "QuantRelu", [source], {"scale": step, "levels": levels})
        elif kind == "hard_sigmoid":
            new = self.is_new(name, "hard_sigmoid")
            moved = bends.line(
                self.add, f"{name}:line", value, channels, 1 / 6 if new else 0.2, 0.5
            )
            made = bends.clip(self.add, name, moved, channels, 0.0, 1.0)
        elif kind == "hard_tanh":
            made = bends.clip(self.add, name, value, channels, -1.0, 1.0)
        else:
            made = bends.leaky(self.add, name, value, channels, slope, largest)
        return made._replace(flat=value.flat, order=value.order)

    def is_new(self, name: str, what: str) -> bool:
        """Whether Keras 3 wrote the file, and not 2.

        name, what: the layer and what depends on it, for messages. Raises InputError where the file
        does not say.
        """
        if not self.version:
            do = "save the whole model, which says its version"
            raise self.wrong(name, f"{what} of a known version of Keras", "none told", do)
        return int(self.version.split(".")[0]) >= 3 if self.version[0].isdigit() else True

    def own_activation(self, layer: Layer, value: Value, name: str) -> Value:
        """The value behind the activation that a layer has among its settings.

        layer: whose activation it is. value: what the layer computes. name: the layer's.
        """
        activation = activation_of(layer.config.get("activation"))
        return self.activate(value, f"{name}:{activation.name}", activation)

    def filters(self, name: str, layer: Layer, key: str, found: int) -> None:
        """Raises InputError where a layer's setting is another than its weights have.

        name: the layer's. layer: whose setting it is. key: the setting's name. found: the number
        that the weights have.
        """
        if layer.config.get(key) not in (None, found):
            raise self.wrong(name, f"{layer.config[key]} {key}", found, OTHER_WEIGHTS)
