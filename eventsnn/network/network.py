"""The spiking network: layers of neurons, and projections between them.

`connect` turns the graph's linear operators into projections, one for each pair of layers that a
linear path joins, and the biases into one value a neuron. Everything is float64 and normalised: all
thresholds are 1 (weight normalisation, TCL eq. 5, DNISNM eq. 18). A MaxPool becomes a layer of pool
units (semantics, section 10).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from eventsnn.ann.graph import Graph, Node
from eventsnn.exceptions import InputError
from eventsnn.network import linear

INPUT = -1


@dataclass(frozen=True)
class Layer:
    """Neurons on a grid (C, H, W); neuron number = (y * W + x) * C + c.

    theta: the threshold before normalisation, in units of the ANN's activation: a float, or float64
    [H * W, C] where each neuron has its own (0: it never fires). bias: float64 [H * W, C], in
    thresholds. node: the activation it replaces; None for the readout. A MaxPool node makes a layer
    of pool units: each sends, as signed spikes, the change of the largest net spike count in its
    window (at least 0). A spike of theirs is worth one of the layer they pool: theta is that
    layer's.
    """

    name: str
    grid: tuple[int, int, int]
    theta: float | np.ndarray
    bias: np.ndarray
    node: Node | None

    @property
    def size(self):
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def scale(self):
        """One threshold to show for the layer: theta, or its mean over the neurons that can
        fire.
        """
        theta = np.asarray(self.theta)
        return float(theta[theta > 0].mean())

    @property
    def pools(self):
        """Whether these are pool units, not neurons."""
        return self.node is not None and self.node.op == "MaxPool"

    def position(self, neuron):
        """(c, y, x) of a neuron number."""
        site, c = divmod(int(neuron), self.grid[0])
        return (c, *divmod(site, self.grid[2]))

    def neuron(self, c, y=0, x=0):
        """The neuron number at channel c, row y, column x."""
        return (y * self.grid[2] + x) * self.grid[0] + c


@dataclass(frozen=True)
class Projection:
    """All linear paths from one layer (or INPUT) to another; weights in the target's thresholds per
    source spike.

    Into a pool layer there is one projection, whose taps are the windows' members: blocks of ones
    [1, C, 1, 1].
    """

    source: int
    target: int
    map: linear.LinearMap


@dataclass(frozen=True)
class Network:
    """Layers in topological order, the readout last; projections sorted by (target, source).

    A `Network` says nothing about time or arithmetic: `eventsnn.simulate` gives it both.
    """

    layers: tuple[Layer, ...]
    projections: tuple[Projection, ...]
    graph: Graph
    thresholds: str = ""
    notes: tuple[str, ...] = ()

    @property
    def readout(self):
        return self.layers[-1]

    @property
    def spiking(self):
        """The layers that send spikes: all but the readout; pool layers too."""
        return self.layers[:-1]

    @property
    def neurons(self):
        """The number of spiking neurons (pool units are none)."""
        return sum(layer.size for layer in self.spiking if not layer.pools)

    @cached_property
    def synapses(self):
        """The number of synapses that spikes can cross (neither drive from the input nor a pool's
        window has any).
        """
        total = 0
        for projection in self.projections:
            _, groups, ci, co = projection.map.weights.shape
            if projection.source != INPUT and not self.layers[projection.target].pools:
                total += len(projection.map.k) * groups * ci * co
        return total

    @cached_property
    def first(self):
        """Where each layer's neurons begin among all, readout included, and where they end: int64
        [L + 1].
        """
        return np.concatenate([[0], np.cumsum([layer.size for layer in self.layers])]).astype(
            np.int64
        )

    @cached_property
    def layer_of(self):
        """The layer of each neuron among all, readout included: int32 [neurons]."""
        return np.repeat(np.arange(len(self.layers), dtype=np.int32), np.diff(self.first))

    def columns(self, layer):
        """Where the neurons of layer number `layer` stand among all: a slice."""
        return slice(int(self.first[layer]), int(self.first[layer + 1]))

    def into(self, target):
        """The projections that arrive at layer number `target`."""
        return [p for p in self.projections if p.target == target]

    def run(self, images: Any, **options: Any) -> Any:
        """Simulates images on this network: `eventsnn.simulate(network, images, …)`.

        images, options, the `Result`, and what is raised: as there. A network knows nothing of the
        simulator; the facade does.
        """
        return sys.modules["eventsnn"].simulate(self, images, **options)

    def __repr__(self):
        return (
            f"<Network {self.graph.meta.get('arch', 'network')}: {len(self.spiking)} layers, {self.neurons:,} neurons, "
            f"{self.synapses:,} synapses, {len(self.projections)} projections; thresholds {self.thresholds}>"
        )

    def table(self):
        """One row a layer: name, operator, shape, neurons, theta, and where its charge comes
        from.
        """
        names = {INPUT: "input", **{i: layer.name for i, layer in enumerate(self.layers)}}
        return [
            dict(
                layer=layer.name,
                activation=layer.node.op if layer.node else "readout",
                shape="x".join(map(str, layer.grid)),
                neurons=layer.size,
                theta=layer.scale,
                sources=" + ".join(names[p.source] for p in self.into(i)),
            )
            for i, layer in enumerate(self.layers)
        ]

    def _repr_html_(self):
        from eventsnn.views.tables import html_table

        return f"<p>{repr(self)[1:-1]}</p>" + html_table(self.table())


def neuron_number(layer, neuron):
    """A neuron's number in a `network.Layer`, from its number or its position (c, y, x)."""
    if (
        isinstance(neuron, tuple)
        and len(neuron) == 3
        and all(0 <= at < size for at, size in zip(neuron, layer.grid))
    ):
        return int(layer.neuron(*neuron))
    if not isinstance(neuron, (int, np.integer)) or not 0 <= neuron < layer.size:
        raise InputError(
            "neuron",
            f"a number from 0 to {layer.size - 1:,}, or (c, y, x) inside {layer.grid}, in {layer.name}",
            neuron,
        )
    return int(neuron)
