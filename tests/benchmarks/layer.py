"""One layer by itself: what arrives at it from the layer in front, in our engine and in others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import others

from eventsnn.ann.graph import Graph, Node, Preprocessing
from eventsnn.exceptions import InputError
from eventsnn.network import linear
from eventsnn.network.network import INPUT, Network, Projection
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time


@dataclass(frozen=True)
class Peer:
    """Another simulator of one layer.

    packages, modules: what it needs, as pip and as Python call it. make: one of `others`. neuron:
    whose spikes it has, in order `clocked`.
    """

    packages: tuple[str, ...]
    modules: tuple[str, ...]
    make: Callable
    neuron: str


PEERS = {
    "Brian2, if": Peer(("brian2",), ("brian2",), others.brian, "if"),
    "NEST, if-hard": Peer(("nest-simulator",), ("nest",), others.nest, "if-hard"),
    "brainevent, if": Peer(("brainevent", "jax"), ("brainevent",), others.brainevent, "if"),
}


class OneLayer:
    """A layer without biases, and the spikes that come to it from where most of its synapses begin,
    as a clocked run of `image` has them.

    network: a `Network` of that layer alone. events: int64 [E, 4] (`encoding.events_of`).
    operations: the additions that these spikes bring.
    """

    def __init__(self, whole, image, name, steps):
        number = [layer.name for layer in whole.layers].index(name)
        widest = max(whole.into(number), key=lambda p: len(p.map.k) * p.map.blocks[0].size)
        self.source, self.layer = whole.layers[widest.source], whole.layers[number]
        self.network = isolated(self.source, self.layer, widest)
        self.events = spikes_of(whole, image, widest.source, steps)
        self.steps = steps
        self.synapses = others.synapses(widest.map)
        by_source = np.bincount(self.synapses[0], minlength=self.source.size)
        self.operations = int(by_source[self.events[:, 2]].sum())

    @property
    def words(self):
        """The layer in one line."""
        return (
            f"{self.source.name} to {self.layer.name}, T = {self.steps}: "
            f"{len(self.synapses[0]):,} synapses, {len(self.events):,} spikes come in, "
            f"{self.operations:,} operations"
        )

    def simulation(self, neuron, order, fraction_bits):
        """A `Simulation` of the layer by the event engine."""
        return Simulation(
            self.network,
            steps=self.steps,
            engine="event",
            neuron=neuron,
            time=Time(order=order),
            encoding="events",
            inputs=[self.events],
            fraction_bits=fraction_bits,
        )

    def spikes(self, run):
        """How many spikes the layer fired in an `EventRun`."""
        return int(run.state.memory[: self.layer.size, 0].sum())

    def elsewhere(self, peer, args):
        """The two functions of `others` for this layer. args: with steps and repeats."""
        return peer.make(*self.synapses, self.source.size, self.layer.size, self.events, args)


def layer_of(network, name):
    """The name of a layer that has another before it; None: the last but one."""
    names = [layer.name for layer in network.spiking]
    name = name or names[-2]
    if name not in names[1:]:
        raise InputError("--layer", f"one of {', '.join(names[1:])}", repr(name))
    return name


def in_32_bits(simulation, image):
    """The `EventRun` of an image."""
    found = simulation.image(image)
    run = found.run
    if found.ran is not simulation or run.state.v.dtype != np.int32:
        raise InputError(
            "potentials", "numbers that 32 bits hold", "larger ones", "choose fewer --fraction-bits"
        )
    return run


def isolated(source, layer, projection):
    """A network of one layer without biases, whose input has the shape of `source`."""
    graph = Graph((Node("act", "Relu", ("input",)),), "input", "act", source.grid, Preprocessing())
    silent = replace(layer, bias=np.zeros_like(layer.bias))
    readout = replace(silent, name="readout", theta=1.0, node=None)
    return Network(
        (silent, readout),
        (Projection(INPUT, 0, projection.map), Projection(0, 1, linear.identity(layer.grid))),
        graph,
    )


def spikes_of(network, image, number, steps):
    """The spikes of a layer in a clocked run, as input events int64 [E, 4]
    (`encoding.events_of`).
    """
    simulation = Simulation(network, steps=steps)
    run, tables = simulation.image(image).run, simulation.engine.tables
    first, last = (int(site) * steps for site in tables.first_site[number : number + 2])
    cell = np.repeat(np.arange(last - first), np.diff(run.first[first : last + 1]))
    inside = cell // steps * tables.channels[number] + run.log[run.first[first] : run.first[last]]
    events = np.stack([cell % steps, np.zeros_like(cell), inside, np.ones_like(cell)], axis=1)
    return events[np.lexsort((inside, events[:, 0]))]
