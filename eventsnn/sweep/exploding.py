"""Ways of scripts whose firing may explode: they stop by a limit, and have no accuracy then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.network.network import Network
from eventsnn.simulation.conditions import Conditions, conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies import scripts
from eventsnn.sweep.stored import EXPLOSIONS, Live, Stored, Way

MOST = 4  # events for each neuron and step, beyond which firing counts as exploding
# means of images, with the ends of their intervals
MEANS = [f"{name}{end}" for name in ("spikes", "operations") for end in ("", " low", " high")]
OF_TIME = tuple(f.name for f in fields(Time))


def limit(most: int, time: Mapping[str, Any]) -> dict[str, int]:
    """The option that stops a run whose firing explodes: none for order "clocked", which cannot.

    most: events. time: the options of an order.
    """
    return {} if time.get("order") == "clocked" else {"max_events": most}


def way(
    size: int, steps: int, neuron: str, drawn: Sequence[int], most: int = MOST, **options: Any
) -> Way:
    """How one model is run under one order.

    size: the network's neurons. steps: T. neuron: the model's name. drawn: the seeds. most: events
    for each neuron and step, beyond which firing counts as exploding. options: of `simulate`, those
    of the order among them.
    """
    options = {**limit(most * size * steps, options), **options}
    return Way({}, {"engine": "event", "steps": steps, "neuron": neuron, **options}, drawn)


def decided(network: Network, way: Way) -> Conditions:
    """What decides a way's result, be it that firing explodes. network: what runs."""
    left_out = ("engine", "max_events")
    options = {key: value for key, value in way.options.items() if key not in left_out}
    time = Time(**{key: options.pop(key) for key in OF_TIME if key in options})
    return conditions(Simulation(network, engine="event", seed=way.seeds[0], time=time, **options))


def measure(
    source: Live | Stored, network: Network, way: Way
) -> tuple[scripts.Row, NDArray[np.bool_] | None]:
    """(one row: accuracy with its interval, spikes and operations per image; the hits).

    A way under which firing explodes, with any seed, has no accuracy (NaN), no hits, and spikes
    without end. source: of the runs. network: what runs. way: how; the first seed is that of the
    bootstrap, too.
    """
    steps, seed = way.options["steps"], way.seeds[0]
    whole = len(source.images)
    images = whole if way.images is None else min(way.images, whole)
    row: scripts.Row = {"seeds": len(way.seeds), "T": steps, "images": images}
    try:
        runs = source.runs(way, progress=False)
    except EXPLOSIONS:
        row |= dict.fromkeys(scripts.SHARE, float("nan"))
        row |= dict.fromkeys(MEANS, float("inf"))
        return row | {"conditions": decided(network, way)}, None
    (found,) = scripts.by_step(runs, [steps], seed)
    return row | found, scripts.hits(runs)
