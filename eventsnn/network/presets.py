"""Presets for the papers' own code, where it differs from the papers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError


class Preset(NamedTuple):
    """What a paper's own code does otherwise than the paper.

    convert, simulate: options of `eventsnn.convert` and `eventsnn.simulate` that it decides, name
    -> value. words: what differs from the paper. needs: an option without which it has no effect;
    None: none.
    """

    convert: dict[str, Any]
    simulate: dict[str, Any]
    words: str
    needs: str | None = None

    def __repr__(self) -> str:
        decided = {**self.convert, **self.simulate}
        return f"<Preset: {', '.join(decided) or 'decides nothing'}>"


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
    "snnc-code": Preset(
        {},
        {"shift": True},
        "SNNC's code begins at v(0) = 0 and adds theta / 2T to each bias, as Opt does (Deng and Gu "
        "2021). In T steps that adds up to theta/2, where neurons begin by default.",
    ),
    "spikezip-code": Preset(
        {},
        {"neuron": "st-bif", "encoding": "even", "bias_once": True},
        "SpikeZIP's code brings the whole bias in step 1; the paper spreads it like the input. "
        "The way to equilibrium differs, equilibrium itself does not. With release 1 the input "
        "comes whole in step 1 as well.",
    ),
}


@checked
def preset(name: str | None) -> Preset:
    """The `Preset` of a name.

    name: a key of PRESETS; None gives a preset that decides nothing. Raises InputError for any
    other.
    """
    if name is None:
        return Preset({}, {}, "")
    if name not in PRESETS:
        expected = f"one of {', '.join(PRESETS)}"
        raise InputError("compat", expected, repr(name), "leave it out to follow the papers")
    return PRESETS[name]


@checked
def with_preset(
    function: Callable[..., Any], name: str | None, given: dict[str, Any]
) -> dict[str, Any]:
    """The options of a function, with what a preset decides in place of the function's defaults.

    function: `eventsnn.convert` or `eventsnn.simulate`. name: of the preset; None: none. given:
    option -> value, those at least that the preset decides. Raises InputError for an option that
    was given and says something else, and where the option is missing that the preset needs.
    """
    if function.__name__ not in ("convert", "simulate"):
        expected = "eventsnn.convert or eventsnn.simulate"
        raise InputError("function", expected, function.__name__)
    decided: dict[str, Any] = getattr(preset(name), function.__name__)
    if missing := decided.keys() - given.keys():
        raise InputError("given", "every option that it decides", f"none for {min(missing)}")
    where = f"compat {name!r}"
    for key, value in decided.items():
        default = inspect.signature(function).parameters[key].default
        found = given[key]
        # anything else is one array for each layer
        plain = isinstance(found, str) or not hasattr(found, "__len__")
        if not plain or found not in (default, value):
            expected = f"{key} = {value!r}, which it decides"
            told = repr(found) if plain else "a mapping" if isinstance(found, dict) else "arrays"
            raise InputError(where, expected, told, f"leave {key} or compat out")
    needs = preset(name).needs
    if needs in given and not given[needs]:
        do = f"give {needs}, or leave compat out"
        raise InputError(where, f"{needs} above 0", given[needs], do)
    return {**given, **decided}
