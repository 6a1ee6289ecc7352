"""What is in sight under the live microscope, and how the page is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventsnn.notebook import scene
from eventsnn.notebook.gestures import Arrivals, recorded_spikes
from eventsnn.notebook.specimen import Specimen
from eventsnn.simulation.conditions import conditions
from eventsnn.trace.edits import Edit
from eventsnn.trace.microscope import observe
from eventsnn.trace.observation import Observation
from eventsnn.trace.replay import Replayed

Gestures = tuple[tuple[Edit, ...], ...]


@dataclass(frozen=True)
class View:
    """One neuron of an edited image.

    specimen: the image. gestures: its edits, a tuple for each gesture of a hand. layer, neuron:
    their numbers. replayed: the edited run. before, after: the neuron as recorded and as edited.
    arrivals: of `after`, which a hand can take hold of.
    """

    specimen: Specimen
    gestures: Gestures
    layer: int
    neuron: int
    replayed: Replayed
    before: Observation
    after: Observation
    arrivals: Arrivals

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits one after the other."""
        return tuple(edit for gesture in self.gestures for edit in gesture)


def look(
    specimen: Specimen, gestures: Gestures, layer: int, neuron: int, last: View | None = None
) -> View:
    """The `View` of a neuron; InputError for what `replay` or the microscope refuses.

    last: the view so far, of which is kept what stays (None: there is none).
    """
    before = replayed = None
    if last is not None and last.specimen is specimen:
        same_neuron = (last.layer, last.neuron) == (layer, neuron)
        before = last.before if same_neuron else None
        replayed = last.replayed if last.gestures == gestures else None
    edits = [edit for gesture in gestures for edit in gesture]
    replayed = replayed or specimen.replays.replay(edits)
    before = before or observe(specimen.trace, layer, neuron)
    after = before
    if replayed.trace is not specimen.trace:
        after = observe(replayed.trace, layer, neuron)
    recorded = recorded_spikes(specimen.trace, replayed.trace, after)
    arrivals = Arrivals(after, recorded, specimen.trace.ticks)
    return View(specimen, gestures, layer, neuron, replayed, before, after, arrivals)


def told(view: View, classes: list[str], code: str) -> dict[str, Any]:
    """The picture as the page is told of it, ready for JSON.

    view: what is in sight. classes: their names, [] where they have none. code: see
    `LiveMicroscope.code`.
    """
    specimen, trace, replayed = view.specimen, view.specimen.trace, view.replayed
    layer = specimen.simulation.network.layers[view.layer]
    recorded = [int(seq) for seq in view.before.arrivals["spike"]]
    return {
        "image": specimen.place,
        "layer": view.layer,
        "neuron": view.neuron,
        "where": layer.place(view.neuron),
        "fires": view.before.fires,
        "layers": scene.layers(specimen.simulation),
        "worst": _worst(specimen),
        "thresholds": scene.thresholds(specimen.simulation, view.before),
        "before": scene.panel(trace, view.before, recorded),
        "after": scene.panel(replayed.trace, view.after, view.arrivals.recorded),
        "changes": scene.changes(replayed, specimen.replays.run, view.layer),
        "outputs": scene.outputs(replayed, classes),
        "gestures": [[str(edit) for edit in gesture] for gesture in view.gestures],
        "notes": list(replayed.notes),
        "code": code,
        "conditions": str(conditions(specimen.simulation)),
        "ticks": trace.ticks,
    }


def _worst(specimen: Specimen) -> dict[str, Any]:
    """The neurons that err most, or why none are told."""
    found, words = specimen.offered
    rows = [
        {
            "layer": specimen.trace.layer(each.layer),
            "neuron": each.neuron,
            "fired": each.fired,
            "ideal": each.ideal,
        }
        for each in found
    ]
    return {"rows": rows, "words": words}
