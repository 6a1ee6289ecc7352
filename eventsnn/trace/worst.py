"""The neurons that err most: whose spikes are furthest from what all their charge is worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.network.linear import Grid
from eventsnn.neurons.contract import check_declared
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import quantum, worth
from eventsnn.views.tables import Table, html_page


@dataclass(frozen=True)
class Erring:
    """A neuron that fired more or less often than all its charge is worth.

    layer: its layer's name. neuron: its number there. position: (c, y, x), its channel, row and
    column. image: its place in the run. fired: net spikes. ideal: what its charge is worth in any
    order.
    """

    layer: str
    neuron: int
    position: Grid
    image: int
    fired: int
    ideal: int

    @property
    def error(self) -> int:
        """Spikes too many; below 0: too few."""
        return self.fired - self.ideal


@dataclass(frozen=True, repr=False)
class Worst:
    """The neurons that err most, the worst first; it can be indexed and iterated.

    simulation: that ran. found: the neurons; fewer than asked for where no more of them err.
    """

    simulation: Simulation
    found: tuple[Erring, ...]

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, place: int) -> Erring:
        return self.found[place]

    def __iter__(self) -> Iterator[Erring]:
        return iter(self.found)

    def table(self) -> Table:
        """One row a neuron: image, layer, neuron, channel, row and column, fired and ideal."""
        rows = [
            {
                "image": each.image,
                "layer": each.layer,
                "neuron": each.neuron,
                **dict(zip(("channel", "row", "column"), each.position)),
                "fired": each.fired,
                "ideal": each.ideal,
            }
            for each in self.found
        ]
        title = "Neurons furthest from what their charge is worth; fired, ideal: spikes, net"
        return Table(rows, f"{title}\n{conditions(self.simulation)}")

    def __str__(self) -> str:
        if not self.found:
            return f"{conditions(self.simulation)}\nno neuron errs"
        return str(self.table())

    def __repr__(self) -> str:
        most = max((abs(each.error) for each in self.found), default=0)
        words = f"the {len(self)} worst neurons, at most {most} spikes off"
        return f"<Worst: {words}; {conditions(self.simulation)}>"

    def _repr_html_(self) -> str:
        return html_page(self, self.table())


def worst(
    simulation: Simulation, batches: Iterable[tuple[int, Batch]], count: int, layer: int | None
) -> Worst:
    """The `Worst` neurons: those with the largest |S - ideal|, of equals the first in the run.

    S are net spikes. The ideal is what v(0) and all charge that arrived are worth in any order
    (`arrivals.worth`), and that charge is v(T) + q S, as every spike takes q. Pool units and
    neurons that SRP silenced are left out.

    simulation: that ran. batches: (first image, its `Batch` with neurons). count: how many at most.
    layer: its number; None: all spiking layers. Raises InputError for a count below 1, a layer
    without neurons, and a model that loses charge or changes between arrivals.
    """
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise InputError("count", "a whole number from 1", repr(count))
    check_declared(simulation.neuron, "worst", "conserves", "holds")
    network = simulation.network
    chosen = [i for i, its in enumerate(network.spiking) if not its.pools]
    if layer is not None:
        if layer not in chosen:
            names = ", ".join(network.layers[i].name for i in chosen)
            raise InputError("layer", f"one of {names}", repr(network.layers[layer].name))
        chosen = [layer]
    found: list[Erring] = []
    for start, batch in batches:
        for i in chosen:
            found += _of_layer(simulation, start, batch, i, count)
        found.sort(key=lambda each: (-abs(each.error), each.image))  # stable: layers stay in order
        del found[count:]
    return Worst(simulation, tuple(found))


def _of_layer(
    simulation: Simulation, start: int, batch: Batch, i: int, count: int
) -> Iterator[Erring]:
    """Yields the neurons of layer number i that err most, at most `count`, the worst first."""
    layer, here = simulation.network.layers[i], simulation.network.columns(i)
    counts, potentials, masks = batch.counts, batch.potentials, batch.masks
    assert counts is not None and potentials is not None and masks is not None
    fired = counts[:, here]
    ideal = worth(simulation, i, potentials[:, here] + fired * quantum(simulation))
    errors = np.where(masks[:, here], np.abs(fired - ideal), 0)
    for place in _largest(errors.ravel(), count):
        image, neuron = divmod(int(place), layer.size)
        yield Erring(
            layer.name,
            neuron,
            layer.position(neuron),
            start + image,
            int(fired[image, neuron]),
            int(ideal[image, neuron]),
        )


def _largest(values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The places of the `count` largest values above 0, the largest first, of equals the first."""
    if len(values) > count:
        least = np.partition(values, -count)[-count]
        above = np.flatnonzero(values > least)
        equal = np.flatnonzero(values == least)[: count - len(above)]
        places = np.sort(np.concatenate([above, equal]))
    else:
        places = np.arange(len(values))
    places = places[values[places] > 0]
    return places[np.argsort(-values[places], kind="stable")]
