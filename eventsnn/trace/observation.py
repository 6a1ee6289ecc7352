"""What the neuron microscope sees: all that arrived at one neuron, and what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from eventsnn.exceptions import one_line
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import total, worth
from eventsnn.views.tables import Table, html_page

# sources that are no layer: drive, an evaluation of the neuron's own, an input event
DRIVE = -1
ITSELF = -2
EVENT = -3


def arrival_type(potential: DTypeLike) -> np.dtype[np.void]:
    """The structured dtype of arrivals. potential: the dtype of potentials."""
    return np.dtype(
        [
            ("event", "i8"),
            ("tick", "i8"),
            ("step", "i4"),
            ("part", "i4"),
            ("source", "i4"),
            ("source_neuron", "i8"),
            ("spike", "i8"),
            ("charge", potential),
            ("before", potential),
            ("charged", potential),
            ("fired", "i4"),
            ("after", potential),
        ]
    )


@dataclass
class Observation:
    """All that arrived at one neuron, and what it did.

    simulation: that ran. layer: number of the neuron's layer. neuron: its number there. image: the
    image's number. v0: v(0), in the arithmetic's numbers. spikes: structured [S], the neuron's
    own, as in the trace.

    arrivals: structured [A], in the order of arrival. event: the queue's number; drive has the
    largest recorded before it. tick; step, and the part of its drive that came last, from 0
    (semantics, section 12; 0 where it comes whole). source: the layer, DRIVE, EVENT (an input
    event), or ITSELF (an evaluation of the neuron's own that fired, with no charge). source_neuron:
    its number in that layer, or the input's; -1 where there is none. spike: its seq, -1 where no
    spike came. charge, and the potentials before, charged and after: in the arithmetic's numbers.
    fired: net spikes.
    """

    simulation: Simulation
    layer: int
    neuron: int
    image: int
    v0: np.generic
    arrivals: NDArray[np.void]
    spikes: NDArray[np.void]

    @property
    def name(self) -> str:
        """Layer, number and position, in words."""
        layer = self.simulation.network.layers[self.layer]
        return f"{one_line(layer.name)}, neuron {self.neuron} ({layer.place(self.neuron)})"

    @property
    def fires(self) -> bool:
        """Whether it is a spiking neuron (the readout only adds up)."""
        return self.layer < len(self.simulation.network.layers) - 1

    @property
    def fired(self) -> int:
        """Net number of spikes."""
        return int(self.spikes["sign"].sum())

    @property
    def counts(self) -> str:
        """What it fired and what that should have been, in words."""
        back = int((self.spikes["sign"] < 0).sum())
        taken_back = f", took back {back}" if back else ""
        return f"fired {len(self.spikes) - back}{taken_back}, ideal {self.ideal}"

    @property
    def end(self) -> Any:
        """The last potential, in the arithmetic's numbers."""
        return self.arrivals["after"][-1]

    @property
    def ideal(self) -> int | None:
        """What the same charge is worth in any order (`arrivals.worth`); None for the readout."""
        if not self.fires:
            return None
        charge = self.v0.item() + total(self.arrivals["charge"])
        return int(worth(self.simulation, self.layer, charge))

    def in_thresholds(self, values: ArrayLike) -> Any:
        """Charges or potentials in thresholds, for the readout in units of the ANN's output.

        values: in the arithmetic's numbers, any shape. Returns float64 of the same shape.
        """
        numbers = self.simulation.arithmetic
        exponent = 0 if self.fires else numbers.readout_exponent
        quanta = np.ldexp(np.asarray(values, np.float64), exponent - numbers.bits)
        return quanta / self.simulation.quanta[self.layer]

    def source(self, arrival: np.void) -> str:
        """Where an arrival came from, in words. arrival: a row of `arrivals`."""
        source = int(arrival["source"])
        neuron = int(arrival["source_neuron"])
        if source == DRIVE:
            return "drive"
        if source == ITSELF:
            return "itself"
        if source == EVENT:
            return f"input {neuron}"
        return f"{one_line(self.simulation.network.layers[source].name)} {neuron}"

    def table(self, limit: int | None = None) -> Table:
        """One row an arrival, in thresholds. limit: only the first so many (None: all)."""
        rows = [self._row(arrival) for arrival in self.arrivals[:limit]]
        of = "of the ANN's output" if not self.fires else "thresholds"
        title = f"Arrivals at {self.name}, image {self.image}"
        units = f"charge, charged (before it fires) and after: {of}; fired: spikes, net"
        return Table(rows, f"{title}; {units}\n{conditions(self.simulation)}")

    def _row(self, arrival: np.void) -> dict[str, Any]:
        """An arrival as a row of `table`."""
        part = {"part": int(arrival["part"]) + 1} if self.simulation.time.spread > 1 else {}
        return {
            "event": int(arrival["event"]),
            "step": int(arrival["step"]) + 1,
            **part,
            "tick": int(arrival["tick"]),
            "source": self.source(arrival),
            "spike": int(arrival["spike"]),
            "charge": float(self.in_thresholds(arrival["charge"])),
            "charged": float(self.in_thresholds(arrival["charged"])),
            "fired": int(arrival["fired"]),
            "after": float(self.in_thresholds(arrival["after"])),
        }

    def __repr__(self) -> str:
        fired = self.counts if self.fires else "never fires"
        count = int((self.arrivals["source"] != ITSELF).sum())
        return f"<Observation of {self.name}, image {self.image}: {count:,} arrivals, {fired}>"

    def _repr_html_(self) -> str:
        title = f"{repr(self)[1:-1]}; {conditions(self.simulation)}"
        title += "; the first 100 arrivals"
        return html_page(title, self.table(100))
