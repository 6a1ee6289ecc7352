"""Activations in Keras's configurations: names, and objects of every version."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.readers.keras.quantised import quantiser_of

ENDINGS = ("softmax", "log_softmax", "sigmoid")  # those that may stand at the network's output
LEAKY = 0.2  # of the activation named leaky_relu; the layer LeakyReLU has 0.3
PIECES = (
    "linear",
    "relu",
    "hard_sigmoid",
    "hard_tanh",
    "quantized_relu",
)  # those made of straight pieces


class Activation(NamedTuple):
    """An activation.

    name: one of PIECES or ENDINGS, or what has no spiking form. largest: the largest value that it
    passes, or None. slope: below 0. quantiser: of quantized_relu, as the file has it.
    """

    name: str
    largest: float | None = None
    slope: float = 0.0
    quantiser: Any = None


def number(value: Any) -> Any:
    """A number as configurations have it, plain.

    value: the number, or an object that numpy's numbers become; anything else stays as it is.
    """
    while isinstance(value, dict):
        value = value.get("value", value.get("config"))
    return value


def activation_of(value: Any) -> Activation:
    """The activation that a setting means.

    value: a text, or an object of some version of Keras; None for no activation, "linear".
    """
    largest = None
    slope: Any = 0.0
    quantiser = quantiser_of(value)
    if quantiser is not None:
        return Activation(quantiser[0], None, 0.0, value)
    while isinstance(value, dict):
        config = value.get("config")
        kind = value.get("class_name")
        if kind == "ReLU" and isinstance(config, dict):
            slope = number(config.get("negative_slope")) or 0.0
            largest = number(config.get("max_value"))
            config = "relu with a threshold" if number(config.get("threshold")) else "relu"
        elif kind == "LeakyReLU" and isinstance(config, dict):
            slope, config = slope_of(config), "relu"
        elif kind == "Softmax":
            config = "softmax"
        value = config if isinstance(config, (str, dict)) else kind
    name = str(value or "linear").split(">")[-1]
    if name == "relu6":
        return Activation("relu", 6.0)
    if name == "leaky_relu":
        return Activation("relu", None, LEAKY)
    return Activation(name, largest, slope)


def slope_of(config: dict[str, Any]) -> Any:
    """The slope below 0 of a layer LeakyReLU. config: its settings, of Keras 2 or 3."""
    found = [number(config.get(key)) for key in ("negative_slope", "alpha")]
    return next((slope for slope in found if slope is not None), 0.3)
