"""Keras's layers: what each class becomes, and what has no spiking form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.keras.builder import Builder, Value
from eventsnn.readers.keras.config import Layer, activation_of, number
from eventsnn.readers.keras.weights import NORMS


def _kernel(builder: Builder, name: str, array: NDArray[Any], axes: int) -> NDArray[Any]:
    if array.ndim != axes:
        raise builder.wrong(
            name,
            f"a kernel with {axes} axes",
            list(array.shape),
            "the weights are another network's",
        )
    return array


def _conv(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    weights = builder.weights.read(layer)
    kernel = _kernel(builder, name, weights["kernel"], 4)
    builder.filters(name, layer, "filters", kernel.shape[3])
    value = builder.convolution(
        layer,
        values[0],
        name,
        kernel.transpose(3, 2, 0, 1),
        weights.get("bias"),
        layer.config.get("groups", 1),
    )
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
    height, width, channels, multiple = _kernel(builder, name, kernel, 4).shape
    builder.filters(name, layer, "depth_multiplier", multiple)
    weight = kernel.transpose(2, 3, 0, 1).reshape(channels * multiple, 1, height, width)
    return builder.convolution(layer, value, name, weight, bias, channels)


def _depthwise(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    weights = builder.weights.read(layer)
    value = _per_channel(
        builder, layer, values[0], name, weights["depthwise_kernel"], weights.get("bias")
    )
    return builder.own_activation(layer, value, name)


def _separable(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    weights = builder.weights.read(layer)
    value = _per_channel(
        builder, layer, values[0], f"{name}:depthwise", weights["depthwise_kernel"]
    )
    kernel = _kernel(builder, name, weights["pointwise_kernel"], 4)
    builder.filters(name, layer, "filters", kernel.shape[3])
    bias = {"B": weights["bias"]} if "bias" in weights else {}
    value = builder.add(name, "Conv", [value], {}, {"W": kernel.transpose(3, 2, 0, 1)} | bias)
    return builder.own_activation(layer, value, name)


def _dense(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    value, weights = builder.vector(values[0], name), builder.weights.read(layer)
    kernel = _kernel(builder, name, weights["kernel"], 2)
    builder.filters(name, layer, "units", kernel.shape[1])
    params = {"B": _in_order(builder, name, kernel, value.order)} | (
        {"C": weights["bias"]} if "bias" in weights else {}
    )
    value = builder.add(name, "Gemm", [value], {"transB": 0}, params)._replace(flat=True)
    return builder.own_activation(layer, value, name)


def _in_order(
    builder: Builder, name: str, array: NDArray[Any], order: NDArray[Any] | None
) -> NDArray[Any]:
    """Rows that belong to Keras's elements as rows that belong to the node's."""
    if order is None:
        return array
    if len(array) != len(order):
        raise builder.wrong(
            name,
            f"weights for {len(order)} inputs",
            len(array),
            "the weights are another network's",
        )
    result = np.empty_like(array)
    result[order] = array
    return result


def _norm(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    (value, *_), weights = values, builder.weights.read(layer)
    builder.is_channels(layer.config.get("axis", -1), name, 2 if value.flat else 4)
    mean = weights["moving_mean"]
    roles = {
        "scale": weights.get("gamma", np.ones_like(mean)),
        "B": weights.get("beta", np.zeros_like(mean)),
        "input_mean": mean,
        "input_var": weights["moving_variance"],
    }
    params = {role: _in_order(builder, name, array, value.order) for role, array in roles.items()}
    epsilon = number(layer.config.get("epsilon", 1e-3))
    return builder.add(name, "BatchNormalization", [value], {"epsilon": epsilon}, params)._replace(
        flat=value.flat, order=value.order
    )


def _relu(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    return builder.activate(values[0], name, ("relu", number(layer.config.get("max_value"))))


def _activation(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    return builder.activate(values[0], name, activation_of(layer.config.get("activation")))


def _softmax(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    return builder.activate(values[0], name, ("softmax", None))


def _pool(op: str) -> Callable[..., Value]:
    def make(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
        builder.map(values[0], name)
        kernel = builder.pair(layer, "pool_size", (2, 2), name)
        strides = builder.pair(layer, "strides", kernel, name)
        value, pads = values[0], builder.pads(layer, values[0], kernel, strides, (1, 1))
        if op == "MaxPool" and not any(pads):
            value, pads = _zeros_taken_in(builder, value, kernel)
        return builder.add(
            name,
            op,
            [value],
            {"kernel_shape": list(kernel), "strides": list(strides), "pads": pads},
        )

    return make


def _zeros_taken_in(
    builder: Builder, value: Value, kernel: tuple[int, int]
) -> tuple[Value, list[int]]:
    """(the activation, pads) where `value` is one with zeros around it, else (value, no pads): a
    maximum of what is not below 0 may as well leave zeros out.
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
    def make(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
        size = builder.map(values[0], name)[1:]
        attrs = {"kernel_shape": list(size), "strides": [1, 1]} if op == "MaxPool" else {}
        return builder.add(name, op, values, attrs)._replace(flat=not layer.config.get("keepdims"))

    return make


def _pad(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    builder.map(values[0], name)
    padding = layer.config.get("padding", 1)
    rows, columns = (
        padding if isinstance(padding, list) and len(padding) == 2 else (padding, padding)
    )
    (top, bottom), (left, right) = (
        side if isinstance(side, list) and len(side) == 2 else (side, side)
        for side in (rows, columns)
    )
    return builder.add(name, "Pad", values, {"pads": [top, left, bottom, right]})


def _up(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    builder.map(values[0], name)
    size = builder.pair(layer, "size", (2, 2), name)
    attrs = {
        "scales": [float(n) for n in size],
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return builder.add(name, "Resize", values, attrs)


def _sum(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    if not any(value.flat for value in values):
        return builder.add(name, "Add", values)
    values = [builder.vector(value, name) for value in values]
    orders: list[Any] = [value.order for value in values]
    if any(
        (order is None) != (orders[0] is None) or not np.array_equal(order, orders[0])
        for order in orders[1:]
    ):
        raise builder.wrong(
            name, "vectors of one order", "maps that were flattened in different ways"
        )
    return builder.add(name, "Add", values)._replace(flat=True, order=orders[0])


def _concatenate(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    flat = any(value.flat for value in values)
    builder.is_channels(layer.config.get("axis", -1), name, 2 if flat else 4)
    if not flat:
        return builder.add(name, "Concat", values, {"axis": 1})
    values = [builder.vector(value, name) for value in values]
    sizes = [builder.shapes[value.node][0] for value in values]
    parts = [
        np.arange(n) if value.order is None else value.order for n, value in zip(sizes, values)
    ]
    order = np.concatenate([part + sum(sizes[:i]) for i, part in enumerate(parts)])
    same = all(value.order is None for value in values)
    return builder.add(name, "Concat", values, {"axis": 1})._replace(
        flat=True, order=None if same else order
    )


def _flatten(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    if values[0].flat:
        return values[0]
    return builder.flatten(values[0], name, layer.config.get("data_format") == "channels_first")


def _reshape(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    (value, *_), target = values, layer.config.get("target_shape")
    shape = builder.shapes[value.node]
    one_place, channels = len(shape) == 3 and shape[1:] == (1, 1), shape[0]
    now = (math.prod(shape),) if value.flat else tuple(builder.as_keras(np.empty(shape, "?")).shape)
    if isinstance(target, list) and target.count(-1) == 1:
        target = [math.prod(shape) // max(-math.prod(target), 1) if n == -1 else n for n in target]
    if isinstance(target, list) and tuple(target) == now:
        return value
    if target == [math.prod(shape)]:
        return (
            value._replace(flat=True)
            if one_place and value.pixels is None
            else builder.flatten(value, name, moved=False)
        )
    if one_place and target == ([channels, 1, 1] if builder.first else [1, 1, channels]):
        return value._replace(flat=False)
    raise builder.wrong(
        name,
        "a Reshape to a vector, or of a vector of channels to a map of one place",
        f"{list(now)} to {target}",
    )


def _rescaling(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    scale, offset = (
        np.asarray(number(layer.config.get(key, d)), np.float64)
        for key, d in (("scale", 1.0), ("offset", 0.0))
    )
    return _scaled(builder, values[0], name, scale, offset)


def _normalization(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    found = {key: number(layer.config.get(key)) for key in ("mean", "variance")}
    if found["mean"] is None:
        found = builder.weights.read(layer)
    if layer.config.get("axis") is not None:
        builder.is_channels(layer.config["axis"], name, 4)
    mean, variance = (
        np.asarray(found[key], np.float64).reshape(-1) for key in ("mean", "variance")
    )
    if not (np.isfinite(variance).all() and (variance >= 0).all()):
        raise builder.wrong(
            name, "finite variances of 0 or more", variance.tolist(), "the file is damaged"
        )
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    return _scaled(builder, values[0], name, 1 / deviation, -mean / deviation)


def _scaled(
    builder: Builder, value: Value, name: str, factor: NDArray[Any], shift: NDArray[Any]
) -> Value:
    """The image's value times factor plus shift."""
    if value.pixels is None:
        raise builder.wrong(
            name,
            "a layer that scales the image itself",
            "one behind other layers",
            "make it a BatchNormalization",
        )
    factor, shift = factor.reshape(-1), shift.reshape(-1)
    channels = len(value.pixels[0])
    if not (
        all(x.size in (1, channels) and np.isfinite(x).all() for x in (factor, shift))
        and (factor > 0).all()
    ):
        raise builder.wrong(
            name,
            f"1 or {channels} finite numbers, factors above 0",
            f"factors {factor.tolist()}, shifts {shift.tolist()}",
        )
    return value._replace(pixels=(value.pixels[0] * factor, value.pixels[1] * factor + shift))


def _same(builder: Builder, layer: Layer, values: list[Value], name: str) -> Value:
    return values[0]


# what does nothing when a network is used
IDLE = (
    "Dropout",
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
LAYERS = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "ReLU": _relu,
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
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    **dict.fromkeys(NORMS, _norm),
    **dict.fromkeys(("InputLayer", *IDLE), _same),
}
# settings with values that the functions above do; where a setting is absent or null, it is one of
# these
ALLOWED: dict[str, dict[str, tuple[Any, ...]]] = {
    "ReLU": {"negative_slope": (0,), "threshold": (0,)},
    "UpSampling2D": {"interpolation": ("nearest",)},
    "Softmax": {"axis": (-1, [-1])},
    **dict.fromkeys(
        ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D"),
        {"padding": ("valid", "same")},
    ),
    **dict.fromkeys(NORMS, {"renorm": (False,)}),
    "Normalization": {"invert": (False,)},
}


def obstacles(layer: Layer, last: bool = False) -> Iterator[tuple[str, str]]:
    """Yield (what has no spiking form, path of the layer) for a layer and all in it; last: whether
    its output is the network's.
    """
    if layer.inner:
        ends = _last_layers(layer) if last else ()
        for inner in layer.inner:
            yield from obstacles(inner, inner.name in ends)
        return
    if layer.kind not in LAYERS:
        yield layer.kind, layer.path
        return
    for key, allowed in ALLOWED.get(layer.kind, {}).items():
        if layer.config.get(key) is not None and number(layer.config[key]) not in allowed:
            yield f"{layer.kind} with {key} {number(layer.config[key])}", layer.path
    kind = (
        "softmax" if layer.kind == "Softmax" else activation_of(layer.config.get("activation"))[0]
    )
    if kind not in ("linear", "relu") and not (last and kind in ("softmax", "sigmoid")):
        yield (
            f"activation {kind}" + " before the output" * (kind in ("softmax", "sigmoid")),
            layer.path,
        )


def _last_layers(model: Layer) -> list[str]:
    """Names of the layers behind which nothing is computed: the output's, and those before it if it
    only reshapes.
    """
    by_name = {layer.name: layer for layer in model.inner}
    names = []
    name = model.output[0]
    while name in by_name and name not in names:
        names.append(name)
        layer = by_name[name]
        if layer.kind not in ("Reshape", "Flatten", *IDLE) or not layer.calls[0]:
            break
        name = layer.calls[0][0][0]
    return names
