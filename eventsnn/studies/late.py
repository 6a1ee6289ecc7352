"""Counts of spikes of clocked runs in which deliveries come a step later than they were emitted.

It is what `budgets` is made of under order `clocked`. All is proven here.

What is free. Into each **free** layer up to m deliveries of the spikes that were emitted in a step
come in the next one; with m = None any number. None comes behind the last step. What the layer then
fires follows. (Semantics, section 14: such an edit is one of a tick, where a step has one.) Layers
that are not free hear all in its step.

Heights. Let N be the counts of the sources after step t, and C the deliveries of step t that are
late. Those of the step before have come, at the beginning of this one. So the height of a target
(v(0), drive and what has arrived, in charges of one spike) when it is evaluated is

    base + w . N - sum of w_s over s in C,

where w_s is the charge that spike s brings, with its sign. In the last step C is empty. N is in the
box [a(t), b(t)] of the sources. A source neuron emits in step t at most b(t) - a(t - 1) spikes,
and takes back at most b(t - 1) - a(t), and at most as many as a step allows, of one sign. So the
sum is at most that of the m largest w_s > 0 among these, and at least that of the m least w_s < 0;
and what has arrived of a source is between the least of a(t - 1), a(t) and the largest of b(t - 1),
b(t).
Both bounds hold, and the closer one counts. A clocked neuron's count grows with its height and its
count before (`intervals`), so ends of heights give ends of counts, step after step.

With m = 0 all ends meet: it is the clocked run. Sources are bounded each by itself, and a spike
that is late for one target may be in time for another, so a box may hold counts that no run has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.neurons.contract import most as most_at_once
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies import intervals
from eventsnn.studies.intervals import Spikes
from eventsnn.studies.synapses import Synapses, largest_by_site

Whole = NDArray[np.int64]


class Late:
    """The free layers of clocked runs. simulation: that is meant. free: the first one's number.

    Raises InputError for pools among them, and among the layers that they hear.
    """

    def __init__(self, simulation: Simulation, free: int) -> None:
        self.simulation, self.free = simulation, free
        network = simulation.network
        self.synapses: dict[int, Synapses] = {}
        for i in range(free, len(network.spiking)):
            its = [network.layers[i], *(network.layers[p.source] for p in network.into(i))]
            if any(layer.pools for layer in its):
                expected, do = "no pools, which it neither is nor hears", "choose fewer free layers"
                raise InputError(f"free layer {its[0].name!r}", expected, "a pool", do)
            synapses = Synapses(simulation, i)
            if synapses.sources:
                self.synapses[i] = synapses

    def known(self, its: intervals.Images) -> dict[int, Spikes]:
        """The `Spikes` of the layers that are not free, by number. its: one image."""
        sent: dict[int, Spikes] = {}
        for i in range(self.free):
            sent[i], _ = its.layer(i, sent, False)
        return sent

    def ends(
        self, its: intervals.Images, known: dict[int, Spikes], moved: int | None
    ) -> dict[int, Spikes]:
        """The `Spikes` of all layers, by number. its: one image. known: of it. moved: m."""
        sent = dict(known)
        for i in range(self.free, len(self.simulation.network.spiking)):
            if i in self.synapses:
                low, high = self._heights(its, i, sent, moved)
                fewest, most = its.clocked(i, low), its.clocked(i, high)
                sent[i] = intervals.spikes_of(fewest, most)
            else:
                sent[i], _ = its.layer(i, sent, False)
        return sent

    def _heights(
        self, its: intervals.Images, i: int, sent: dict[int, Spikes], moved: int | None
    ) -> tuple[Whole, Whole]:
        """(least, greatest) height of each neuron of a free layer in each step: [1, T, neurons]."""
        low = its.charge(i, sent, "fewest", "most")
        high = its.charge(i, sent, "most", "fewest")
        lowest = its.charge(i, sent, "lowest", "highest")
        highest = its.charge(i, sent, "highest", "lowest")
        for t in range(low.shape[1] - 1):  # in the last step nothing is late
            if moved is not None:
                down, up = self._missing(i, sent, t, moved)
                low[0, t] = np.maximum(low[0, t] - down, lowest[0, t])
                high[0, t] = np.minimum(high[0, t] + up, highest[0, t])
            else:
                low[0, t], high[0, t] = lowest[0, t], highest[0, t]
        return low, high

    def _missing(self, i: int, sent: dict[int, Spikes], t: int, moved: int) -> tuple[Whole, Whole]:
        """(by how much late deliveries lower, and raise) the heights of a free layer in step t."""
        synapses, n = self.synapses[i], int(most_at_once(self.simulation.neuron))
        down: Whole = np.zeros((synapses.sites, synapses.channels), np.int64)
        up = down.copy()
        if moved:
            fewest, most = (
                synapses.joined({s: getattr(sent[s], end)[0] for s in synapses.sources})
                for end in ("fewest", "most")
            )
            before = (its[t - 1] if t else 0 * its[0] for its in (fewest, most))
            a, b = before
            sends = np.clip(most[t] - a, 0, n)
            takes = np.clip(b - fewest[t], 0, n if self.simulation.neuron.signed else 0)
            neurons = np.flatnonzero(sends | takes)
            for piece in synapses.pieces(neurons):
                more, less = (its[neurons[piece.which], None] for its in (sends, takes))
                sizes, falls = np.abs(piece.weights), piece.weights < 0
                for found, counts in (
                    (down, np.where(falls, less, more)),
                    (up, np.where(falls, more, less)),
                ):
                    found[piece.sites] = largest_by_site(piece, sizes, counts, moved)
        return down.reshape(-1), up.reshape(-1)
