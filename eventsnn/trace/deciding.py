"""What decides a trace's spikes: the words and hashes by which a file knows its simulation."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.simulation.simulation import Simulation

# what a simulation says of itself and what does not decide its spikes: other numbers follow from
# it, or it is the same in all
IDLE = (
    "dtype",
    "bound_in_q",
    "bound_in_thresholds",  # its name in older files
    "readout_exponent",
    "readout_from",
    "order_of_summation",
    "normalisation",
    "neuron_number",
    "max_events",
    "rounded_down_to_ticks",
)
# what older files do not say, as it was then
LATER = {"spread": 1, "group": 1}
# words for what `deciding` has a hash of
HASHED = ("thresholds", "initial_potential")
DEEPEST = 4  # parts of parts of constants that are hashed
# of a trace before there were hashes
UNTOLD = "one for each neuron"


def deciding(simulation: Simulation) -> dict[str, Any]:
    """All that decides which spikes an image gives, ready for JSON; arrays and constants by hashes.

    simulation: with any engine.
    """
    network, code = simulation.network, simulation.encoding.code
    constants = {
        "thresholds": [np.ravel(layer.theta) for layer in network.layers],
        "initial": simulation.resting,
        "neuron": simulation.neuron,
        "order": getattr(simulation.engine, "order", None),
        "encoding": code,
        "srp_epsilon": simulation.srp_epsilon,
        "largest_input": simulation.input_unit if code.spiking else 0,
    }
    idle = (*IDLE, *HASHED)
    words = {key: value for key, value in simulation.describe().items() if key not in idle}
    hashes = {f"{name}_sha256": _hash_of(value) for name, value in constants.items()}
    found = {"network_sha256": network.graph.hash, **words, **hashes}
    return cast(dict[str, Any], json.loads(json.dumps(found)))


def _hash_of(value: Any) -> str:
    """Hexadecimal digits: equal for equal constants, of 32 or of 64 bits."""
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()[:16]


def _add(digest: Any, value: Any, depth: int = 0) -> None:
    """Adds a number, an array, or a thing with such fields to a hash; no other part has a value."""
    if depth > DEEPEST:
        return
    fields = value._asdict() if hasattr(value, "_asdict") else getattr(value, "__dict__", None)
    if fields is not None and not isinstance(value, (type, np.ndarray)):
        digest.update(type(value).__qualname__.encode())
        value = [part for _, part in sorted(fields.items())]
    if isinstance(value, (list, tuple)):
        digest.update(f"{len(value)} parts".encode())
        for part in value:
            _add(digest, part, depth + 1)
        return
    if isinstance(value, str):
        digest.update(value.encode())
        return
    array = np.asarray(value)
    if array.dtype.kind in "biuf":
        array = np.ascontiguousarray(array, "<f8" if array.dtype.kind == "f" else "<i8")
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)


def check_same(about: dict[str, Any], path: str | Path, simulation: Simulation) -> None:
    """Raises InputError where a simulation is not the one that made a trace.

    about: what the file says. Of older files only what they say is compared. path, simulation: as
    in `read_trace`.
    """
    graph = simulation.network.graph
    if about["network_sha256"] != graph.hash:
        raise InputError(path, f"a trace of {graph.source}", "a trace of another network")
    mine = {**simulation.describe(), **deciding(simulation)}
    mine["ticks_per_step"] = simulation.time.ticks
    given = about.get("decides") or about.get("semantics", {})
    its = {key: value for key, value in given.items() if key not in IDLE}
    for key in LATER:
        if key in mine:
            its.setdefault(key, LATER[key])
    its["ticks_per_step"] = about["ticks_per_step"]
    unlike = [key for key in its if mine.get(key) != its[key] and its[key] != UNTOLD]
    if unlike:
        if "engine" in unlike:
            unlike = ["engine"]
        # a hash says less than words where there are both
        told = [key for key in unlike if not key.endswith("_sha256")] or unlike
        expected = "a trace with " + ", ".join(_word(key, mine) for key in told)
        found = "one with " + ", ".join(_word(key, its) for key in told)
        do = "give the settings that made it, or read it alone: read_trace(path)"
        raise InputError(path, expected, found, do)


def _word(key: str, of: dict[str, Any]) -> str:
    """A setting in a message. key: its name. of: the settings that it is one of."""
    value = of.get(key, "none")
    return f"{key.removesuffix('_sha256').replace('_', ' ')} {value}"
