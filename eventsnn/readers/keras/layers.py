"""Keras's layers: what each class becomes, and what has no spiking form.

Each function takes the builder, the layer, the values of its inputs and the name of the node. It
returns the value that the layer gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.indexing import index_lists
from eventsnn.readers import bends
from eventsnn.readers.keras import moving, operations, quantised, sequences
from eventsnn.readers.keras.activations import (
    ENDINGS,
    PIECES,
    Activation,
    activation_of,
    number,
    slope_of,
)
from eventsnn.readers.keras.builder import OTHER_WEIGHTS, Builder, Value
from eventsnn.readers.keras.config import Layer
from eventsnn.readers.keras.weights import NORMS
from eventsnn.readers.keras.windows import convolution, pads


def _kernel(
    builder: Builder, layer: Layer, name: str, array: NDArray[Any], axes: int
) -> NDArray[Any]:
    """A kernel, which has to have so many axes; that of sequences has no height, and gets 1."""
    of_sequences = axes == 4 and layer.kind.endswith("1D")
    if array.ndim != axes - of_sequences:
        expected = f"a kernel with {axes - of_sequences} axes"
        raise builder.wrong(name, expected, list(array.shape), OTHER_WEIGHTS)
    return array[None] if of_sequences else array


def _conv(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    weights = builder.weights.read(layer)
    kernel = _kernel(builder, layer, name, weights["kernel"], 4)
    builder.filters(name, layer, "filters", kernel.shape[3])
    if builder.backend == "theano":  # its conv2d turns kernels, that of depthwise layers does not
        kernel = kernel[::-1, ::-1]
    weight = kernel.transpose(3, 2, 0, 1)
    bias = weights.get("bias")
    groups = layer.config.get("groups", 1)
    value = convolution(builder, layer, values[0], name, weight, bias, groups)
    return builder.own_activation(layer, value, name)


def _per_channel(
    builder: Builder,
    layer: Layer,
    value: Value,
    name: str,
    kernel: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> Value:
    """A depthwise convolution; kernel [kH, kW, C, multiplier]."""
    kernel = _kernel(builder, layer, name, kernel, 4)
    height, width, channels, multiple = kernel.shape
    builder.filters(name, layer, "depth_multiplier", multiple)
    weight = kernel.transpose(2, 3, 0, 1).reshape(channels * multiple, 1, height, width)
    return convolution(builder, layer, value, name, weight, bias, channels)


def _depthwise(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    weights = builder.weights.read(layer)
    kernel = weights["depthwise_kernel"]
    value = _per_channel(builder, layer, values[0], name, kernel, weights.get("bias"))
    return builder.own_activation(layer, value, name)


def _separable(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    weights = builder.weights.read(layer)
    first = weights["depthwise_kernel"]
    value = _per_channel(builder, layer, values[0], f"{name}:depthwise", first)
    kernel = _kernel(builder, layer, name, weights["pointwise_kernel"], 4)
    builder.filters(name, layer, "filters", kernel.shape[3])
    params = {"W": kernel.transpose(3, 2, 0, 1)}
    if "bias" in weights:
        params["B"] = weights["bias"]
    value = builder.add(name, "Conv", [value], {}, params)
    return builder.own_activation(layer, value, name)


def _dense(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    weights = builder.weights.read(layer)
    if not values[0].flat and not builder.first:  # of the last axis: a convolution of 1x1
        kernel = _kernel(builder, layer, name, weights["kernel"], 2)
        builder.filters(name, layer, "units", kernel.shape[1])
        channels = builder.shapes[values[0].node][0]
        if len(kernel) != channels:
            expected = f"weights for {channels} channels, each place of a map by itself"
            raise builder.wrong(name, expected, len(kernel), "put a Flatten in front of it")
        params = {"W": np.ascontiguousarray(kernel.T)[:, :, None, None]}
        if "bias" in weights:
            params["B"] = weights["bias"]
        value = builder.add(name, "Conv", values, {}, params)
        return builder.own_activation(layer, value, name)
    value = builder.vector(values[0], name)
    kernel = _kernel(builder, layer, name, weights["kernel"], 2)
    builder.filters(name, layer, "units", kernel.shape[1])
    params = {"B": _in_order(builder, name, kernel, value.order)}
    if "bias" in weights:
        params["C"] = weights["bias"]
    value = builder.add(name, "Gemm", [value], {"transB": 0}, params)._replace(flat=True)
    return builder.own_activation(layer, value, name)


def _in_order(
    builder: Builder, name: str, array: NDArray[Any], order: NDArray[np.int64] | None
) -> NDArray[Any]:
    """Rows that belong to Keras's elements as rows that belong to the node's."""
    if order is None:
        return array
    if len(array) != len(order):
        expected = f"weights for {len(order)} inputs"
        raise builder.wrong(name, expected, len(array), OTHER_WEIGHTS)
    result = np.empty_like(array)
    result[order] = array
    return result


def _norm(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    value = values[0]
    weights = builder.weights.read(layer)
    builder.is_channels(layer.config.get("axis", -1), name, builder.axes(value))
    mean = weights["moving_mean"]
    roles = {
        "scale": weights.get("gamma", np.ones_like(mean)),
        "B": weights.get("beta", np.zeros_like(mean)),
        "input_mean": mean,
        "input_var": weights["moving_variance"],
    }
    params = {role: _in_order(builder, name, array, value.order) for role, array in roles.items()}
    attrs = {"epsilon": number(layer.config.get("epsilon", 1e-3))}
    made = builder.add(name, "BatchNormalization", [value], attrs, params)
    return made._replace(flat=value.flat, order=value.order)


def _relu(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    return builder.activate(
        values[0], name, activation_of({"class_name": "ReLU"} | {"config": layer.config})
    )


def _leaky(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    return builder.activate(values[0], name, Activation("relu", None, slope_of(layer.config)))


def _prelu(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    """PReLU, whose slopes may be those of each value of a map."""
    value = values[0]
    slopes = builder.weights.read(layer)["alpha"]
    seen = builder.seen(value)
    try:
        by_value = np.broadcast_to(slopes, seen.shape)
    except ValueError:
        expected = f"slopes that broadcast to {list(seen.shape)}"
        raise builder.wrong(name, expected, list(slopes.shape), OTHER_WEIGHTS) from None
    flat = np.empty(seen.size, slopes.dtype)
    flat[seen.reshape(-1)] = by_value.reshape(-1)
    shape = builder.shapes[value.node]
    slopes = flat.reshape(shape[0], -1)
    if (slopes == slopes[:, :1]).all():
        made = bends.leaky(builder.add, name, value, shape[0], slopes[:, 0])
    else:
        vector = builder.add(f"{name}:flat", "Flatten", [value])
        made = bends.leaky(builder.add, name, vector, flat.size, flat)
        back = index_lists(np.arange(flat.size).reshape(shape))
        made = builder.add(f"{name}:map", "Index", [made], back)._replace(sequence=value.sequence)
    return made._replace(flat=value.flat, order=value.order)


def _activation(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    return builder.activate(values[0], name, activation_of(layer.config.get("activation")))


def _softmax(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    return builder.activate(values[0], name, Activation("softmax"))


BORDERS = (
    "average pools with padding 'same' leave padding out, as on TensorFlow and JAX: the file does "
    "not say on what Keras computed, and on PyTorch it repeats borders"
)


def _pool(op: str) -> Callable[..., Value]:
    def make(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
        value = values[0]
        builder.map(value, name)
        kernel = builder.pair(layer, "pool_size", (2, 2), name)
        strides = builder.pair(layer, "strides", kernel, name)
        places = pads(builder, layer, value, kernel, strides, (1, 1))
        if op == "MaxPool" and not any(places):
            value, places = _zeros_taken_in(builder, value, kernel)
        if op == "AveragePool" and places[:2] != places[2:]:
            if builder.backend == "torch":
                value, places = _repeated(builder, value, name, places), [0, 0, 0, 0]
            elif not builder.told:
                builder.notes.append(BORDERS)
        attrs = {"kernel_shape": list(kernel), "strides": list(strides), "pads": places}
        return builder.add(name, op, [value], attrs)

    return make


def _repeated(builder: Builder, value: Value, name: str, places: Sequence[int]) -> Value:
    """A map with its borders repeated: so Keras averages on PyTorch where one side has more of them
    (keras/src/backend/torch/nn.py, _apply_same_padding).
    """
    rows, columns = (places[0], places[2]), (places[1], places[3])
    widths = [columns] if value.sequence else [rows, columns]
    widths = [(0, 0), *widths] if builder.first else [*widths, (0, 0)]
    index = np.pad(builder.seen(value), widths, mode="edge")
    return builder.settled(builder.moved(value, name, index), name)


def _zeros_taken_in(
    builder: Builder, value: Value, kernel: tuple[int, int]
) -> tuple[Value, list[int]]:
    """(an activation, pads), where `value` is the activation with zeros around it.

    A maximum of values that are not below 0 may as well leave zeros out. Otherwise it returns
    (value, no pads).
    """
    pad = builder.nodes.get(value.node)
    if pad is None or pad.op != "Pad":
        return value, [0, 0, 0, 0]
    source = builder.nodes.get(pad.inputs[0])
    if source is None or not source.is_activation:
        return value, [0, 0, 0, 0]
    if not all(n < min(kernel) for n in pad.attrs["pads"]):
        return value, [0, 0, 0, 0]
    return Value(source.name), pad.attrs["pads"]


def _global_pool(op: str) -> Callable[..., Value]:
    def make(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
        size = builder.map(values[0], name)[1:]
        attrs = {"kernel_shape": list(size), "strides": [1, 1]} if op == "MaxPool" else {}
        return builder.add(name, op, values, attrs)._replace(flat=not layer.config.get("keepdims"))

    return make


def _pad(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    builder.map(values[0], name)
    rows, columns = _two(layer.config.get("padding", 1))
    top, bottom = _two(rows)
    left, right = _two(columns)
    return builder.add(name, "Pad", values, {"pads": [top, left, bottom, right]})


def _two(value: Any) -> tuple[Any, Any]:
    """The two items of a list of two; anything else counts twice."""
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    return value, value


def _up(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    builder.map(values[0], name)
    size = builder.pair(layer, "size", (2, 2), name)
    attrs = {
        "scales": [float(n) for n in size],
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return builder.add(name, "Resize", values, attrs)


def _sum(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    if not any(value.flat for value in values):
        return builder.add(name, "Add", values)
    values = [builder.vector(value, name) for value in values]
    order = values[0].order
    if not all(_same_order(value.order, order) for value in values[1:]):
        found = "maps that were flattened in different ways"
        raise builder.wrong(name, "vectors of one order", found)
    return builder.add(name, "Add", values)._replace(flat=True, order=order)


def _same_order(order: NDArray[np.int64] | None, other: NDArray[np.int64] | None) -> bool:
    if order is None or other is None:
        return order is other
    return np.array_equal(order, other)


def _concatenate(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    flat = any(value.flat for value in values)
    axes = 2 if flat else builder.axes(values[0])
    if axes > 2 and axis in ((1, 1 - axes) if builder.first else (axes - 1, -1)):
        return builder.add(name, "Concat", values, {"axis": 1})
    if axes > 2:
        return moving.joined(builder, values, name, axis, np.concatenate)
    builder.is_channels(axis, name, 2)
    values = [builder.vector(value, name) for value in values]
    parts = []
    start = 0
    for value in values:
        size = builder.shapes[value.node][0]
        parts.append(start + (np.arange(size) if value.order is None else value.order))
        start += size
    order = np.concatenate(parts)
    same = all(value.order is None for value in values)
    made = builder.add(name, "Concat", values, {"axis": 1})
    return made._replace(flat=True, order=None if same else order)


def _flatten(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    if values[0].flat:
        return values[0]
    return builder.flatten(values[0], name, layer.config.get("data_format") == "channels_first")


def _reshape(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    value = values[0]
    target: Any = layer.config.get("target_shape")
    before = builder.seen(value)
    shape = builder.shapes[value.node]
    whole = isinstance(target, list) and all(type(n) is int and n >= -1 for n in target)
    if whole and target.count(-1) == 1:
        rest = before.size // max(-math.prod(target), 1)
        target = [rest if n == -1 else n for n in target]
    if not whole or not target or math.prod(target) != before.size:
        expected = f"a Reshape of {before.size:,} numbers to as many"
        raise builder.wrong(name, expected, f"{list(before.shape)} to {target}")
    if tuple(target) == before.shape:
        return value
    if value.flat and value.pixels is not None and len(target) in (2, 3) and not builder.nodes:
        return builder.as_image(value, target, name)
    if len(target) == 1 and len(shape) == 3 and shape[1:] == (1, 1) and value.pixels is None:
        return value._replace(flat=True, sequence=False)
    if len(target) == 1:
        return builder.flatten(value, name, moved=False)
    if (
        value.flat
        and len(shape) == 3
        and target == ([*shape] if builder.first else [1, 1, *shape[:1]])
    ):
        return value._replace(flat=False)
    return builder.moved(value, name, before.reshape(target))


def _rescaling(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    scale = np.asarray(number(layer.config.get("scale", 1.0)), np.float64)
    offset = np.asarray(number(layer.config.get("offset", 0.0)), np.float64)
    return _scaled(builder, values[0], name, scale, offset)


def _normalization(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    found = {key: number(layer.config.get(key)) for key in ("mean", "variance")}
    if found["mean"] is None:
        found = builder.weights.read(layer)
    if layer.config.get("axis") is not None:
        builder.is_channels(layer.config["axis"], name, builder.axes(values[0]))
    mean = np.asarray(found["mean"], np.float64).reshape(-1)
    variance = np.asarray(found["variance"], np.float64).reshape(-1)
    if not np.isfinite(variance).all() or not (variance >= 0).all():
        expected = "finite variances of 0 or more"
        raise builder.wrong(name, expected, variance.tolist(), "the file is damaged")
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    return _scaled(builder, values[0], name, 1 / deviation, -mean / deviation)


def _scaled(
    builder: Builder,
    value: Value,
    name: str,
    factor: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> Value:
    """The image's value times factor plus shift."""
    factor = factor.reshape(-1)
    shift = shift.reshape(-1)
    if value.pixels is None:
        return operations.line(builder, value, name, factor, shift)
    before, offset = value.pixels
    channels = len(before)
    good = all(x.size in (1, channels) and np.isfinite(x).all() for x in (factor, shift))
    if not good or not (factor > 0).all():
        expected = f"1 or {channels} finite numbers, factors above 0"
        found = f"factors {factor.tolist()}, shifts {shift.tolist()}"
        raise builder.wrong(name, expected, found)
    return value._replace(pixels=(before * factor, offset * factor + shift))


def _same(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    return values[0]


# what does nothing when a network is used
IDLE = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
)
# class of a layer -> the function that makes its nodes
LAYERS: dict[str, Callable[..., Value]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "PReLU": _prelu,
    "Activation": _activation,
    "Softmax": _softmax,
    "MaxPooling2D": _pool("MaxPool"),
    "AveragePooling2D": _pool("AveragePool"),
    "GlobalMaxPooling2D": _global_pool("MaxPool"),
    "GlobalAveragePooling2D": _global_pool("GlobalAveragePool"),
    "ZeroPadding2D": _pad,
    "UpSampling2D": _up,
    "Add": _sum,
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": moving.permute,
    "Cropping1D": moving.crop,
    "Cropping2D": moving.crop,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    **dict.fromkeys(NORMS, _norm),
    **dict.fromkeys(("InputLayer", *IDLE), _same),
}
LAYERS |= {kind: sequences.raised(LAYERS[two], two) for kind, two in sequences.KINDS.items()}
LAYERS |= operations.FUNCTIONS
LAYERS |= {kind: LAYERS[own] for kind, own in quantised.KINDS.items()}
PADDED = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D")
# the values of settings that the functions above can do; a setting that is absent or null is one
# of these
ALLOWED: dict[str, dict[str, tuple[Any, ...]]] = {
    "ReLU": {"threshold": (0,)},
    "UpSampling2D": {"interpolation": ("nearest",)},
    "Softmax": {"axis": (-1, [-1])},
    **dict.fromkeys(PADDED, {"padding": ("valid", "same")}),
    **dict.fromkeys(sequences.PADDED, {"padding": ("valid", "same", "causal")}),
    **dict.fromkeys(NORMS, {"renorm": (False,)}),
    "Normalization": {"invert": (False,)},
}
ALLOWED |= {kind: ALLOWED[own] for kind, own in quantised.KINDS.items() if own in ALLOWED}


def obstacles(layer: Layer, last: bool = False) -> Iterator[tuple[str, str]]:
    """Yields (what has no spiking form, path of the layer) for a layer and all layers in it.

    layer: a layer or a model. last: whether its output is the network's.
    """
    if layer.inner:
        ends = _last_layers(layer) if last else []
        for inner in layer.inner:
            yield from obstacles(inner, inner.name in ends)
        return
    if layer.kind not in LAYERS:
        yield _named(layer), layer.path
        return
    for key, allowed in ALLOWED.get(layer.kind, {}).items():
        setting = layer.config.get(key)
        if setting is not None and number(setting) not in allowed:
            yield f"{layer.kind} with {key} {number(setting)}", layer.path
    kind = "softmax"
    if layer.kind != "Softmax":
        kind = activation_of(layer.config.get("activation")).name
    if layer.kind in operations.ENDINGS:
        kind = operations.ENDINGS[layer.kind]
    if kind in ENDINGS and not last:
        yield f"activation {kind} before the output", layer.path
    elif kind not in (*PIECES, *ENDINGS):
        yield f"activation {kind}{_why(kind)}", layer.path


def _named(layer: Layer) -> str:
    """What a layer is that nothing here makes."""
    if layer.kind == "Lambda":
        return "Lambda, whose code in the file is never run"
    why = _why(layer.kind.removeprefix("function "))
    return layer.kind + why


def _why(kind: str) -> str:
    why = bends.why_not(kind, "")
    return f" ({why})" if why else ""


def _last_layers(model: Layer) -> list[str]:
    """Names of the layers behind which nothing is computed.

    These are the output's layer, and those before it as long as it only reshapes.
    """
    by_name = {layer.name: layer for layer in model.inner}
    names: list[str] = []
    name = model.output[0]
    while name in by_name and name not in names:
        names.append(name)
        layer = by_name[name]
        if layer.kind not in ("Reshape", "Flatten", "Permute", *IDLE) or not layer.calls[0]:
            break
        name = layer.calls[0][0][0]
    return names
