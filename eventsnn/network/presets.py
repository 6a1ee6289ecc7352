"""Presets for the papers' own code, where it differs from the papers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from eventsnn.exceptions import InputError


class Preset(NamedTuple):
    """convert, simulate: options of `eventsnn.convert` and `eventsnn.simulate` that it decides.
    words: what differs from the paper. needs: an option without which it says nothing.
    """

    convert: dict
    simulate: dict
    words: str
    needs: str | None = None


PRESETS = {
    "srp-code": Preset(
        {},
        {"srp_epsilon": 0.001},
        "SRP's code lets a neuron send in the second stage if v(tau) > 0.001 theta; the paper "
        "says v(tau) >= 0. So neurons whose potential came back to 0 exactly are silenced, too.",
        needs="srp",
    ),
    "snm-code": Preset(
        {"thresholds": "dni", "dead": "silent", "readout": "fires"},
        {"neuron": "snm", "initial": 0.0},
        "The code published for SNM starts at v(0) = 0, not theta / 2; neurons that were never "
        "active on the calibration images are silent; the output layer fires. Its thresholds "
        "also depend on an image's place in its batch, and it calibrates on test images too: "
        "neither is imitated, so its spikes are not reproduced one by one.",
    ),
    "gn-code": Preset(
        {},
        {"neuron": "gn"},
        "GN's code does what the paper says, with v(0) = theta / (2 tau), on which the paper is "
        "silent and which is the default here. The preset chooses the neuron, nothing else.",
    ),
    "spikezip-code": Preset(
        {},
        {"neuron": "st-bif", "encoding": "even", "bias_once": True},
        "SpikeZIP's code brings the whole bias in step 1; the paper spreads it like the input. "
        "The way to equilibrium differs, equilibrium itself does not. With --release 1 the input "
        "comes whole in step 1 as well.",
    ),
}


def preset(name: str | None) -> Preset:
    """The `Preset` of that name; an empty one for None."""
    if name is not None and name not in PRESETS:
        raise InputError(
            "compat",
            f"one of {', '.join(PRESETS)}",
            repr(name),
            "leave it out to follow the papers",
        )
    return Preset({}, {}, "") if name is None else PRESETS[name]


def with_preset(
    function: Callable[..., Any], name: str | None, given: dict[str, Any]
) -> dict[str, Any]:
    """`given`, options of a function by name, with what a preset decides in place of the function's
    defaults.

    Raises InputError for an option that was given and says something else.
    """
    decided = getattr(preset(name), function.__name__)
    for key, value in decided.items():
        default = inspect.signature(function).parameters[key].default
        plain = isinstance(given[key], str) or not hasattr(
            given[key], "__len__"
        )  # not one array for each layer
        if not plain or given[key] not in (default, value):
            raise InputError(
                f"compat {name!r}",
                f"{key} = {value!r}, which it decides",
                repr(given[key]) if plain else "arrays",
                f"leave {key} or compat out",
            )
    needs = preset(name).needs
    if needs in given and not given[needs]:
        raise InputError(
            f"compat {name!r}",
            f"{needs} above 0",
            given[needs],
            f"give {needs}, or leave compat out",
        )
    return {**given, **decided}
