"""What lies under the live microscope: a recorded image that is replayed again and again."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.event import engine_of
from eventsnn.trace.replay import Replays
from eventsnn.trace.trace import Trace
from eventsnn.trace.worst import Erring, worst

WORST = 10  # neurons that are offered


class Specimen:
    """A recorded image, its replays, and the neurons of it that err most.

    trace: a complete one. pixels: see `replay`. place: the image's, in its result.
    """

    def __init__(self, trace: Trace, pixels: NDArray[Any] | None, place: int) -> None:
        self.trace = trace
        self.place = place
        self.simulation = trace.simulation
        self.replays = Replays(trace.simulation, trace, pixels)

    def worst(self, layer: int | None = None, count: int = WORST) -> tuple[Erring, ...]:
        """The neurons of this image that err most, and what is raised: as `Result.worst`.

        layer: its number (None: all). count: how many at most.
        """
        return worst(self.simulation, [(self.place, self._batch)], count, layer).found

    @cached_property
    def offered(self) -> tuple[tuple[Erring, ...], str]:
        """(the worst neurons, why there are none), the second "" where there are some."""
        try:
            found = self.worst()
        except InputError as error:
            return (), str(error)
        return found, "" if found else "no neuron errs"

    @cached_property
    def _batch(self) -> Batch:
        """What the image left, with every neuron's net spikes and last potential."""
        simulation, engine = self.simulation, engine_of(self.simulation)
        found = engine.outcome(self.replays.run)
        sizes = len(simulation.network.layers), simulation.steps, simulation.network.readout.size
        neurons = len(simulation.resting)
        batch = Batch.empty(1, *sizes, engine.result_dtype, neurons=neurons)
        batch.keep(0, found)
        return batch

    def first(self) -> tuple[int, int]:
        """(layer, neuron) to begin with: the worst of those that hear spikes, which can be moved.

        Where no such neuron is among the worst, one of the first layer that hears spikes.
        """
        network = self.simulation.network
        heard = {p.target for p in network.projections if p.source != INPUT}
        hearing = [i for i in sorted(heard) if not network.layers[i].pools]
        for each in self.offered[0]:
            if (layer := self.trace.layer(each.layer)) in hearing:
                return layer, each.neuron
        first = hearing[0] if hearing else 0
        return first, self.first_neuron(first)

    def first_neuron(self, layer: int) -> int:
        """The neuron of a layer to begin with: the worst, or else the one that fired most.

        layer: its number.
        """
        with suppress(InputError):  # of a layer or a model that has no worst
            if erring := self.worst(layer, 1):
                return erring[0].neuron
        of_layer = self.trace.spikes["neuron"][self.trace.spikes["layer"] == layer]
        counts = np.bincount(of_layer, minlength=self.simulation.network.layers[layer].size)
        if self.trace.mute is not None:
            counts = np.where(self.trace.mute[self.simulation.network.columns(layer)], -1, counts)
        return int(counts.argmax())
