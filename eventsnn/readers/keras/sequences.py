"""Keras's layers of sequences [L, C]: those of images, at a height of 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from eventsnn.readers.keras.builder import Builder, Value
from eventsnn.readers.keras.config import Layer

# class of a layer -> that of images
KINDS = {
    "Conv1D": "Conv2D",
    "DepthwiseConv1D": "DepthwiseConv2D",
    "SeparableConv1D": "SeparableConv2D",
    "MaxPooling1D": "MaxPooling2D",
    "AveragePooling1D": "AveragePooling2D",
    "GlobalMaxPooling1D": "GlobalMaxPooling2D",
    "GlobalAveragePooling1D": "GlobalAveragePooling2D",
    "ZeroPadding1D": "ZeroPadding2D",
    "UpSampling1D": "UpSampling2D",
}
PADDED = ("Conv1D", "DepthwiseConv1D", "SeparableConv1D", "MaxPooling1D", "AveragePooling1D")
# setting -> what it is where it is absent
SIZES = {"kernel_size": None, "strides": None, "dilation_rate": 1, "pool_size": 2, "size": 2}


def raised(make: Callable[..., Value], kind: str) -> Callable[..., Value]:
    """The function that makes a layer of sequences.

    make: of the layer of images. kind: its class. Its settings have a height of 1.
    """

    def made(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
        builder.map(values[0], name, sequence=True)
        config = dict(layer.config)
        for key, otherwise in SIZES.items():
            value = config.get(key)
            value = otherwise if value is None else value
            if value is not None:
                value = value[0] if isinstance(value, list) and len(value) == 1 else value
                config[key] = [1, value]
        if kind == "ZeroPadding2D":
            config["padding"] = [[0, 0], config.get("padding", 1)]
        value = values[0]
        if config.get("padding") == "causal":
            value = _causal(builder, config, value, name)
            config["padding"] = "valid"
        return make(builder, replace(layer, config=config), [value], name)

    return made


def _causal(builder: Builder, config: dict[str, Any], value: Value, name: str) -> Value:
    """Zeros before the first place, as many as a window looks back."""
    sizes = config.get("kernel_size"), config.get("dilation_rate")
    kernel, dilation = (size[1] if size else 0 for size in sizes)
    if not all(type(n) is int and 1 <= n <= 2**20 for n in (kernel, dilation)):
        raise builder.wrong(name, "a kernel and a dilation of one whole number", [kernel, dilation])
    before = (kernel - 1) * dilation
    return builder.add(f"{name}:causal", "Pad", [value], {"pads": [0, before, 0, 0]})
