"""What the live microscope's page is told, as numbers and texts that are ready for JSON.

Texts of files, such as layers' names, are on one printable line; the page shows them as text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.engine.event.driver import EventRun
from eventsnn.engine.event.layout import NET
from eventsnn.exceptions import one_line
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.observation import Observation
from eventsnn.trace.replay import Replayed
from eventsnn.trace.trace import Trace

LETTERS = 60  # of a name, at most
OUTPUTS = 10  # of a readout that are shown, at most
DIGITS = 6  # behind the point, of what is drawn in thresholds and steps


def panel(trace: Trace, seen: Observation, recorded: list[int]) -> dict[str, Any]:
    """One neuron's arrivals in one run, a list for each column.

    trace: the run. seen: the neuron. recorded: see `gestures.recorded_spikes`. Potentials and
    charges are in thresholds (the readout's: in units of the ANN's output), times in steps.
    """
    rows = seen.arrivals
    heights = {name: seen.in_thresholds(rows[name]) for name in ("charge", "charged", "after")}
    return {
        "start": round(float(seen.in_thresholds(seen.v0)), DIGITS),
        "step": (rows["step"] + 1).tolist(),
        "time": np.round(rows["tick"] / trace.ticks, DIGITS).tolist(),
        "tick": rows["tick"].tolist(),
        "source": rows["source"].tolist(),
        "neuron": rows["source_neuron"].tolist(),
        "spike": rows["spike"].tolist(),
        "recorded": recorded,
        "fired": rows["fired"].tolist(),
        **{name: np.round(values, DIGITS).tolist() for name, values in heights.items()},
        "words": seen.counts if seen.fires else "adds up, and never fires",
        "begins": (trace.starts / trace.ticks).tolist(),
        "end": trace.end / trace.ticks,
    }


def thresholds(simulation: Simulation, seen: Observation) -> list[float]:
    """The potentials at which a neuron fires, in thresholds; [] for the readout.

    simulation: that ran. seen: the neuron.
    """
    if not seen.fires:
        return []
    members = getattr(simulation.neuron, "members", 1)
    limits = [limit for limit in simulation.neuron.band() if limit is not None]
    limits += [member * simulation.arithmetic.one for member in range(2, members + 1)]
    return [round(float(seen.in_thresholds(limit)), DIGITS) for limit in limits]


def layers(simulation: Simulation) -> list[dict[str, Any]]:
    """Name, neurons and shape of each layer, and whether it can be looked into.

    simulation: that ran.
    """
    return [
        {
            "name": name(layer.name),
            "size": layer.size,
            "shape": " × ".join(map(str, layer.grid)),
            "pools": layer.pools,
        }
        for layer in simulation.network.layers
    ]


def changes(replayed: Replayed, run: EventRun, layer: int) -> dict[str, Any]:
    """What edits did to the spikes of layers: a row for each with any, and for the chosen one.

    replayed: the edited run. run: the recorded one's. layer: the chosen layer's number.
    """
    names = replayed.before.names
    both = (replayed.before.spikes["layer"], replayed.trace.spikes["layer"])
    before, after = (np.bincount(of, minlength=len(names)) for of in both)
    rows = []
    for number in range(len(names) - 1):
        moved = [row for row in replayed.spread if row["layer"] == names[number]]
        if not moved and number != layer:
            continue
        row = {key: sum(each[key] for each in moved) for key in ("gained", "lost", "moved")}
        spikes = {"before": int(before[number]), "after": int(after[number])}
        rows.append({"layer": number, **spikes, **row, "neurons": 0})
    net = np.flatnonzero(run.state.memory[:, NET] != replayed.run.state.memory[:, NET])
    changed = np.bincount(replayed.before.simulation.network.layer_of[net], minlength=len(names))
    for row in rows:
        row["neurons"] = int(changed[row["layer"]])
    words = "" if replayed.spread else "The same spikes, in another order."
    return {"rows": rows, "words": words if replayed.first else "Every spike is the same."}


def outputs(replayed: Replayed, classes: list[str]) -> dict[str, Any]:
    """The readout before and after, in units of the ANN's output: the largest, and what changed
    most, and the prediction.

    replayed: the edited run. classes: their names, [] where they have none.
    """
    before, after = replayed.readouts
    change = np.abs(after - before)
    of_map = is_map(replayed.trace.simulation.network.graph)
    chosen = list(range(len(before)))
    if len(before) > OUTPUTS:
        keep = [i for values in (after, before, change) for i in _largest(values, OUTPUTS // 3)]
        chosen = sorted(set(keep))
    told = "unchanged" if not change.any() else f"changes by up to {change.max():.4g}"
    found = {
        "rows": [
            {
                "output": int(i),
                "name": classes[i] if i < len(classes) else "",
                "before": float(before[i]),
                "after": float(after[i]),
            }
            for i in chosen
        ],
        "count": len(before),
        "words": f"readout {told}",
        "predictions": [] if of_map else list(replayed.predictions),
    }
    return found


def _largest(values: NDArray[np.float64], count: int) -> list[int]:
    """The places of the largest values, the largest first."""
    return np.argsort(-values, kind="stable")[:count].tolist()


def classes(simulation: Simulation, images: Any) -> list[str]:
    """The names of the classes, those of the images or else of the network; [] for none.

    simulation: that ran. images: what may have `classes`, and is asked first.
    """
    graph = simulation.network.graph
    own = getattr(images, "classes", ()) or graph.meta.get("classes", ())
    return [] if is_map(graph) else [name(each) for each in own]


def name(text: object) -> str:
    """A text of a file on one printable line, not too long. text: any."""
    return one_line(text, LETTERS)
