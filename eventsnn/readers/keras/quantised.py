"""QKeras's layers: their quantised weights, and quantized_relu, which is a QuantRelu.

quantized_relu(bits, integer) is s clip(round(x / s), 0, 2^bits - 1) with s = 2^(integer - bits),
and quantized_bits the same with a sign. QKeras rounds halves to even (qkeras/quantizers.py, 0.9).
"""

from __future__ import annotations

import re
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError

# class of a layer -> that of Keras's own
KINDS = {
    "QDense": "Dense",
    "QConv1D": "Conv1D",
    "QConv2D": "Conv2D",
    "QDepthwiseConv2D": "DepthwiseConv2D",
    "QActivation": "Activation",
}
# role of an array -> the setting that says how it is quantised
SETTINGS = {
    "kernel": "kernel_quantizer",
    "bias": "bias_quantizer",
    "depthwise_kernel": "depthwise_quantizer",
}
# arguments by place, and what an absent one is
ARGUMENTS: dict[str, dict[str, Any]] = {
    "quantized_relu": {
        "bits": 8,
        "integer": 0,
        "use_sigmoid": 0,
        "negative_slope": 0.0,
        "use_stochastic_rounding": False,
        "relu_upper_bound": None,
        "is_quantized_clip": True,
        "qnoise_factor": 1.0,
    },
    "quantized_bits": {
        "bits": 8,
        "integer": 0,
        "symmetric": 0,
        "keep_negative": True,
        "alpha": None,
        "use_stochastic_rounding": False,
        "qnoise_factor": 1.0,
    },
}
# what other values would change
PLAIN: dict[str, tuple[Any, ...]] = {
    "use_sigmoid": (0,),
    "negative_slope": (0,),
    "use_stochastic_rounding": (False,),
    "is_quantized_clip": (True,),
    "qnoise_factor": (1,),
    "alpha": (None, 1),
}
VALUES = {"True": True, "False": False, "None": None}
DAMAGED = "the file is damaged, or training diverged"
DO = "use quantized_relu and quantized_bits with alpha=1, and train again"


def quantiser_of(value: Any) -> tuple[str, dict[str, Any]] | None:
    """(name, arguments) of a quantiser in a configuration; None for what is none of ARGUMENTS.

    value: a text such as "quantized_relu(4,0)", or an object of some version of Keras. A text is
    only taken apart.
    """
    if isinstance(value, dict):
        name, config = value.get("class_name"), value.get("config")
        if name not in ARGUMENTS or not isinstance(config, dict):
            return None
        return name, ARGUMENTS[name] | {k: v for k, v in config.items() if k in ARGUMENTS[name]}
    found = (
        re.fullmatch(r"(quantized_\w+)(?:\((.{0,200})\))?", value) if type(value) is str else None
    )
    if found is None or found[1] not in ARGUMENTS:
        return None
    known = ARGUMENTS[found[1]]
    given = dict(known)
    for place, part in enumerate(filter(None, (found[2] or "").split(","))):
        key, _, text = part.rpartition("=")
        key = key.strip() or list(known)[min(place, len(known) - 1)]
        given[key] = _literal(text.strip())
    return found[1], given


def _literal(text: str) -> Any:
    """A number, a bool or None; any other text stays one."""
    if text in VALUES:
        return VALUES[text]
    try:
        return float(text) if len(text) < 30 else text
    except ValueError:
        return text


def levels_of(value: Any, where: str) -> tuple[float, int, int]:
    """(step, lowest, highest level) of a quantiser.

    value: as for `quantiser_of`. where: for messages. Raises InputError for another quantiser, and
    for settings that change what it computes.
    """
    found = quantiser_of(value)
    if found is None:
        name = value.get("class_name") if isinstance(value, dict) else value
        raise InputError(where, "quantized_relu or quantized_bits", short(name), DO)
    name, given = found
    for key, allowed in PLAIN.items():
        if key in given and given[key] not in allowed:
            raise InputError(where, f"{name} with {key} {allowed[0]}", short(given[key]), DO)
    bits, integer = given["bits"], given["integer"]
    whole = all(isinstance(n, (int, float)) and n == int(n) for n in (bits, integer))
    if not whole or not 1 <= bits <= 20 or not -64 <= integer <= 64:
        expected = (
            f"{name} of 1 to 20 bits, of which a whole number from -64 to 64 before the point"
        )
        raise InputError(where, expected, f"{short(bits)} and {short(integer)}", DO)
    sign = int(name == "quantized_bits" and bool(given["keep_negative"]))
    count = int(bits) - sign
    if count < 1:
        raise InputError(where, "2 bits or more with a sign", short(bits), DO)
    lowest = -(2**count) + int(bool(given.get("symmetric"))) if sign else 0
    return 2.0 ** (int(integer) - count), lowest, 2**count - 1


def quantised(
    config: dict[str, Any], arrays: dict[str, NDArray[Any]], where: str
) -> dict[str, NDArray[Any]]:
    """The arrays as a layer computes with them.

    config: the layer's settings. arrays: role -> array. where: for messages. Raises InputError for
    a quantiser that is not known.
    """
    made = dict(arrays)
    for role, setting in SETTINGS.items():
        value = config.get(setting)
        if role not in arrays or value is None:
            continue
        step, low, high = levels_of(value, f"{where}: {setting}")
        if not np.isfinite(arrays[role]).all():  # the quantiser would make them finite
            raise InputError(f"{where}: {role}", "finite numbers", "others", DAMAGED)
        made[role] = (step * np.clip(np.round(arrays[role] / step), low, high)).astype(np.float32)
    return made
