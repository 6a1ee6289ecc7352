"""What Keras sees of a graph while its nodes are made.

Keras's maps are [H, W, C] (or [C, H, W], where its data_format says so), the graph's always [C, H,
W]. A `Value` remembers the difference where it shows: in vectors that were maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.checks import Shape
from eventsnn.ann.graph import MAX_NODES, Node, fresh
from eventsnn.ann.operators import infer_shape
from eventsnn.exceptions import InputError
from eventsnn.readers.keras.config import Layer, Reference, activation_of, pair
from eventsnn.readers.keras.weights import Weights

CHANGE = "change the layer in Keras and save the model again"
OTHER_WEIGHTS = "the weights are another network's"
SAVE = "save the model again"


class Value(NamedTuple):
    """What a layer gives: a node's output, as Keras sees it.

    node: the node's name. flat: whether Keras sees a vector; the node may still be a map of one
    place. order: where that vector has another order than the node's [C, H, W], Keras's element k
    is the node's element order[k] (int64); otherwise None. pixels: of the image only, before any
    node, (factor, shift), float64 [C] each: Keras sees pixel * factor + shift.
    """

    node: str
    flat: bool = False
    order: NDArray[np.int64] | None = None
    pixels: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def __repr__(self) -> str:
        return f"<Value of {self.node!r}{' as a vector' if self.flat else ''}>"


class Builder:
    """Collects nodes.

    source: the file, for messages. layers: class of a layer -> the function (builder, layer,
    values, name) that makes its nodes and returns its value. weights: the arrays by layer. image:
    the name of the graph's input. shape: (C, H, W) of the image. first: whether maps are [C, H, W]
    in Keras. backend: what Keras computed on, in small letters.

    Attributes: nodes: name -> node. shapes: name -> shape without the batch axis, of the input and
    every node. calls: how many layers were called. image: the value of the image. pixels: the
    (factor, shift) of the image as the first node took it; None before. ending: (softmax or
    sigmoid, name of the layer) at the output, or two empty texts.
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
    ) -> None:
        self.source = source
        self.layers = layers
        self.weights = weights
        self.first = first
        self.backend = backend
        self.shapes: dict[str, Shape] = {image: shape}
        self.nodes: dict[str, Node] = {}
        self.calls = 0
        self.image = Value(image, pixels=(np.ones(shape[0]), np.zeros(shape[0])))
        self.pixels: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
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
            made[layer.name, i] = self.call(layer, [made[ref] for ref in layer.calls[i]], name)
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

    def call(self, layer: Layer, values: Sequence[Value], name: str) -> Value:
        """The value of a layer, or of a model, for the values of its inputs.

        layer: what is called. values: of its inputs, in order. name: of the nodes that it makes.
        Raises InputError for too many calls, and for whatever the layer cannot do.
        """
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
                if self.pixels is not None and not np.array_equal(self.pixels, value.pixels):
                    raise self.wrong(name, "an image that is scaled once", "two scalings of it")
                self.pixels = value.pixels
        node = Node(name, op, tuple(value.node for value in values), attrs or {}, params or {})
        shapes = [self.shapes[i] for i in node.inputs]
        self.shapes[name] = infer_shape(node, shapes, f"{self.source}: layer {name!r} ({op})")
        self.nodes[name] = node
        return Value(name)

    def wrong(self, name: str, expected: str, found: object, do: str = CHANGE) -> InputError:
        """The InputError for a layer.

        name: the layer's. expected, found, do: as in `InputError`.
        """
        return InputError(f"{self.source}: layer {name!r}", expected, found, do)

    def map(self, value: Value, name: str) -> tuple[int, int, int]:
        """The shape (C, H, W) of a value.

        value: what must be a map. name: the layer, for messages. Raises InputError for a vector.
        """
        if value.flat or len(self.shapes[value.node]) != 3:
            raise self.wrong(name, "an input with height and width", "a vector")
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
        """The image that Keras makes of an input that is a vector: the graph takes it instead.

        value: the vector, before any node. target: the image's shape in Keras. name: the layer, for
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
        channels, height, width = target if self.first else (target[2], *target[:2])
        self.shapes[value.node] = (channels, height, width)
        pixels = (np.full(channels, factor[0]), np.full(channels, shift[0]))
        return value._replace(flat=False, pixels=pixels)

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

        axis: a number, or a list of one. name: the layer, for messages. axes: 4 for maps, 2 for
        vectors, each with the batch axis.
        """
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        of_maps = (1, -3) if self.first else (3, -1)
        good = {2: (1, -1), 4: of_maps}[axes]
        if axis not in good:
            raise self.wrong(name, f"the axis of channels, {good[0]} or {good[1]}", axis)

    def pair(self, layer: Layer, key: str, default: Sequence[int], name: str) -> tuple[int, int]:
        """A setting that is one whole number or two, as two.

        layer: whose it is. key: the setting's name. default: two numbers, where it is absent. name:
        the layer's, for messages. Raises InputError for anything else than whole numbers from 1.
        """
        return pair(layer.config, key, default, f"{self.source}: layer {name!r}")

    def pads(
        self,
        layer: Layer,
        value: Value,
        kernel: Sequence[int],
        strides: Sequence[int],
        dilations: Sequence[int],
    ) -> list[int]:
        """[top, left, bottom, right] for "valid" or "same".

        The latter pads one more at the bottom and right where the pads of an axis are odd; on
        Theano its windows begin at another place (`_theano_before`). layer: whose padding it is.
        value: the map. kernel, strides, dilations: of height and width. Raises InputError where
        CNTK may have placed windows in another way.
        """
        if layer.config.get("padding", "valid") == "valid":
            return [0, 0, 0, 0]
        before = []
        after = []
        sizes = self.shapes[value.node][1:]
        for size, k, stride, dilation in zip(sizes, kernel, strides, dilations):
            extent = (k - 1) * dilation + 1
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
            first = total // 2
            if self.backend == "theano":
                first = _theano_before(extent, "Pooling" in layer.kind)
            elif self.backend == "cntk" and not (stride == 1 and extent % 2):
                expected = "padding 'same' of odd windows, step by step, where CNTK computed"
                found = f"windows of {extent} with strides of {stride}"
                raise self.wrong(layer.path, expected, found, "choose padding 'valid'")
            before.append(first)
            after.append(max(total - first, 0))
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
        """A Conv with the layer's strides, padding and dilation.

        layer: whose settings they are. value: the map. name: the node's. weight: float
        [M, C / group, kH, kW]. bias: float [M], or None. group: how many groups the channels form.
        Raises InputError where they do not fit.
        """
        kernel = weight.shape[2:]
        if self.pair(layer, "kernel_size", kernel, name) != kernel:
            expected = f"a kernel of {layer.config['kernel_size']}"
            raise self.wrong(name, expected, list(kernel), OTHER_WEIGHTS)
        self.map(value, name)
        strides = self.pair(layer, "strides", (1, 1), name)
        dilations = self.pair(layer, "dilation_rate", (1, 1), name)
        attrs = {
            "strides": list(strides),
            "dilations": list(dilations),
            "group": group,
            "pads": self.pads(layer, value, kernel, strides, dilations),
        }
        params = {"W": weight}
        if bias is not None:
            params["B"] = bias
        return self.add(name, "Conv", [value], attrs, params)

    def activate(self, value: Value, name: str, activation: tuple[str, float | None]) -> Value:
        """The value behind an activation; softmax and sigmoid are noted as the ending.

        value: what the activation takes. name: the node's. activation: (name, the largest value
        that it passes or None).
        """
        kind, largest = activation
        if kind == "linear":
            return value
        if kind != "relu":
            self.ending = (kind, name)
            return value
        if largest is None:
            made = self.add(name, "Relu", [value])
        else:
            made = self.add(name, "Clip", [value], {"min": 0, "max": largest})
        return made._replace(flat=value.flat, order=value.order)

    def own_activation(self, layer: Layer, value: Value, name: str) -> Value:
        """The value behind the activation that a layer has among its settings.

        layer: whose activation it is. value: what the layer computes. name: the layer's.
        """
        activation = activation_of(layer.config.get("activation"))
        return self.activate(value, f"{name}:{activation[0]}", activation)

    def filters(self, name: str, layer: Layer, key: str, found: int) -> None:
        """Raises InputError where a layer's setting is another than its weights have.

        name: the layer's. layer: whose setting it is. key: the setting's name. found: the number
        that the weights have.
        """
        if layer.config.get(key) not in (None, found):
            raise self.wrong(name, f"{layer.config[key]} {key}", found, OTHER_WEIGHTS)


def _theano_before(extent: int, pools: bool) -> int:
    """How many places before the map the first window of padding "same" begins on Theano.

    extent: of the window. pools: whether it is pooling (Keras 2.3, theano_backend.py: conv2d with
    border_mode "half"; pool2d).
    """
    if not pools:
        return extent // 2
    return extent - 2 if extent > 2 and extent % 2 else extent - 1
