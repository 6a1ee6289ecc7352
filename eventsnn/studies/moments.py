"""Free layers without a clock: what they send, moment by moment, where few deliveries are moved.

It is what `budgets` is made of under orders `fifo` and `cores`; `stages` has the proof.
"""

from __future__ import annotations

import numpy as np

from eventsnn.exceptions import InputError, named
from eventsnn.network.network import INPUT
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies import intervals, stages
from eventsnn.studies.intervals import Spikes
from eventsnn.studies.stages import Stages
from eventsnn.studies.synapses import Synapses

EVERY = 2**40  # more than a step has


class Moments:
    """The free layers of a simulation, from number `free` on.

    Layers that hear drive alone are known even where they are free, as long as no other is before
    them. simulation: that is meant. order: "fifo" or "cores".

    Raises InputError for neurons that take spikes back, for pools among free layers, and under fifo
    for a free layer that hears several.
    """

    def __init__(self, simulation: Simulation, free: int, order: str) -> None:
        if simulation.neuron.signed:
            model = type(simulation.neuron).__name__
            do = f"choose if or gn, or {named('order', 'clocked')}"
            raise InputError("budgets", "neurons that take no spike back", model, do)
        self.simulation, self.free, self.first = simulation, free, free
        network = simulation.network
        while self.first < len(network.spiking) and not self._heard(self.first):
            self.first += 1
        self.synapses: dict[int, Synapses] = {}
        for i in range(self.first, len(network.spiking)):
            layer, heard = network.layers[i], self._heard(i)
            where, do = f"free layer {layer.name!r}", "choose fewer free layers"
            if layer.pools or any(network.layers[source].pools for source in heard):
                raise InputError(where, "no pools, which it neither is nor hears", "a pool", do)
            if order == "fifo" and len(heard) != 1:
                names = ", ".join(network.layers[source].name for source in heard) or "drive alone"
                do = f"choose {named('order', 'cores')}, or fewer free layers"
                raise InputError(where, "one layer that it hears", names, do)
            self.synapses[i] = Synapses(simulation, i)

    def _heard(self, i: int) -> list[int]:
        """The numbers of the layers that layer number i hears."""
        return [p.source for p in self.simulation.network.into(i) if p.source != INPUT]

    def known(self, its: intervals.Images) -> dict[int, Spikes]:
        """The `Spikes` of the layers of which all is known, by number. its: one image."""
        sent: dict[int, Spikes] = {}
        for i in range(self.first):
            sent[i], _ = its.layer(i, sent, i >= self.free)
        return sent

    def ends(
        self, its: intervals.Images, known: dict[int, Spikes], moved: int | None
    ) -> dict[int, Spikes]:
        """The `Spikes` of all layers, by number, at the end of each step. Raises `TooMany`.

        its: one image. known: of it. moved: m; None: every delivery.
        """
        most = EVERY if moved is None else moved
        one = self.simulation.arithmetic.one.item()
        sent = dict(known)
        found: dict[int, list[Stages]] = {}
        for i, spikes in known.items():
            found[i] = stages.known(spikes.fewest[0])
        for i, synapses in self.synapses.items():
            by_step = [
                stages.joined([found[source][t] for source in synapses.sources])
                for t in range(self.simulation.steps)
            ]
            drive, resting = its.drive[i][0], its.resting[i]
            found[i] = stages.answered(synapses, drive, resting, one, by_step, most)
            fewest, most_sent = (
                np.array(ends)[None] for ends in zip(*(step.last() for step in found[i]))
            )
            sent[i] = intervals.spikes_of(fewest, most_sent)
        return sent
