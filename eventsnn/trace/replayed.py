"""What an edited run was, beside the recorded one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of, is_map
from eventsnn.engine.event.driver import EventRun
from eventsnn.exceptions import one_line
from eventsnn.simulation.conditions import conditions
from eventsnn.trace.edits import Edit
from eventsnn.trace.trace import Trace

SHOWN = 8  # steps named in a line
MANY = 32  # edits named in a line


@dataclass
class Replayed:
    """A run again, edited.

    trace: of the edited run. before: of the recorded one. run: the finished `EventRun` of the
    edited run. edits: what was changed.

    first: the first spikes (recorded, replayed), in the order of emission, that are not the same
    (None where a run has none left); None if all are. spread: a dict for each layer and step in
    which spikes differ: layer (name), step (from 1), gained, lost (counted in their own step) and
    moved (fired in another step, counted in the old one). Spikes are the same if layer, neuron,
    step, sign and member are; ticks may differ.

    readouts: float64 [2, classes], before and after, in units of the ANN's output. notes: edits
    that could not be carried out to the letter.
    """

    trace: Trace
    before: Trace
    run: EventRun
    edits: tuple[Edit, ...]
    first: tuple[np.void | None, np.void | None] | None
    spread: list[dict[str, Any]]
    readouts: NDArray[np.float64]
    notes: list[str]

    @property
    def predictions(self) -> tuple[int, int]:
        """The classes with the largest readout, before and after; of no use for a map."""
        before, after = classes_of(self.readouts)
        return int(before), int(after)

    def __str__(self) -> str:
        more = len(self.edits) - MANY
        shown = [*map(str, self.edits[:MANY]), *([f"and {more:,} more"] if more > 0 else [])]
        edits = ", ".join(shown) or "nothing"
        lines = [f"Image {self.trace.number}, edited: {edits}.", *self.notes]
        if self.first is None:
            lines.append("Every spike is the same.")
        elif not self.spread:
            lines.append("The same spikes, in another order.")
        else:
            recorded, replayed = map(self._spike, self.first)
            lines.append(f"First differing spike: {replayed} instead of {recorded}.")
        for layer in dict.fromkeys(row["layer"] for row in self.spread):
            lines.append(self._layer(layer))
        return "\n".join([*lines, self._outcome()])

    def _spike(self, spike: np.void | None) -> str:
        """A spike in words."""
        if spike is None:
            return "none"
        layer = one_line(self.trace.names[spike["layer"]])
        return f"{layer} {spike['neuron']} firing {spike['sign']:+d} in step {spike['step'] + 1}"

    def _layer(self, name: str) -> str:
        """What changed in a layer, in words."""
        rows = [row for row in self.spread if row["layer"] == name]
        steps = ", ".join(str(row["step"]) for row in rows[:SHOWN])
        if len(rows) > SHOWN:
            steps += ", …"
        plural = "s" if len(rows) > 1 else ""
        return f"  {one_line(name)}: {_counts(rows)}, in step{plural} {steps}"

    def _outcome(self) -> str:
        """What changed in the readout, in words."""
        change = np.diff(self.readouts, axis=0)[0]
        at = int(np.abs(change).argmax())
        of_map = is_map(self.trace.simulation.network.graph)
        readout = "unchanged"
        if change.any():
            what = "neuron" if of_map else "class"
            readout = f"changes most at {what} {at}, by {change[at]:+.4g}"
        if of_map:
            return f"Readout: {readout}."
        before, after = self.predictions
        prediction = f"changes from {before} to {after}"
        if before == after:
            prediction = f"stays {before}"
        return f"Readout: {readout}; the prediction {prediction}."

    def __repr__(self) -> str:
        counts = _counts(self.spread, "spikes ")
        return f"<Replayed image {self.trace.number}, {len(self.edits)} edits: {counts}>"

    def _repr_html_(self) -> str:
        from html import escape

        from eventsnn.views.tables import html_page

        decided = str(conditions(self.trace.simulation))
        return f"<pre>{escape(str(self))}</pre>" + html_page(decided, self.spread)


def _counts(rows: Sequence[dict[str, Any]], unit: str = "") -> str:
    """The spikes that rows of `Replayed.spread` have together, in words."""
    gained, lost, moved = (sum(row[name] for row in rows) for name in ("gained", "lost", "moved"))
    return f"{gained} {unit}gained, {lost} lost, {moved} moved"
