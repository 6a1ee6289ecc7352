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
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph, Node
from eventsnn.arguments import named_fields
from eventsnn.exceptions import InputError, one_line
from eventsnn.network import linear
from eventsnn.views.tables import Table, html_page

INPUT = -1
Threshold = float | NDArray[np.float64]


@named_fields
@dataclass(frozen=True, repr=False)
class Layer:
    """Neurons on a grid (C, H, W); neuron number = (y * W + x) * C + c.

    name: the activation's, or "readout". grid: (C, H, W). theta: the threshold before
    normalisation, in units of the ANN's activation: a float, or float64 [H * W, C] where each
    neuron has its own (0: it never fires). bias: float64 [H * W, C], in thresholds, read-only: one
    row in memory where all sites have the same. node: the
    activation it replaces; None for the readout. flat: whether the activation is a vector in the
    graph, which a Flatten makes of a map: the grid is the map's, and the vector's index of a neuron
    is (c * H + y) * W + x, channels first, as in ONNX and PyTorch.

    A MaxPool node makes a layer of pool units (semantics, section 10). Each sends, as signed
    spikes, the change of the largest net spike count in its window, or of the smallest (see
    `Projection`). Its spikes are worth as much as those it counts, so theta is that of the layer it
    pools.
    """

    name: str
    grid: linear.Grid
    theta: Threshold
    bias: NDArray[np.float64]
    node: Node | None
    flat: bool = False

    def __repr__(self) -> str:
        kind = "readout" if self.node is None else self.node.op
        shape = "x".join(map(str, self.grid))
        return f"<Layer {self.name!r}: {kind}, {shape}, {self.size:,} neurons>"

    @property
    def size(self) -> int:
        """The number of its neurons, or pool units."""
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def scale(self) -> float:
        """One threshold to show: theta, or its mean over the neurons that can fire."""
        theta = np.asarray(self.theta)
        return float(theta[theta > 0].mean())

    @property
    def pools(self) -> bool:
        """Whether these are pool units, not neurons."""
        return self.node is not None and self.node.op == "MaxPool"

    def position(self, neuron: int) -> linear.Grid:
        """(c, y, x) of a neuron, all from 0. neuron: its number in the layer."""
        site, c = divmod(int(neuron), self.grid[0])
        y, x = divmod(site, self.grid[2])
        return c, y, x

    def index(self, neuron: int) -> int:
        """A neuron's index in the vector that a Flatten makes of the grid. neuron: its number."""
        c, y, x = self.position(neuron)
        return (c * self.grid[1] + y) * self.grid[2] + x

    def place(self, neuron: int) -> str:
        """Where a neuron is, in words. neuron: its number in the layer."""
        c, y, x = self.position(neuron)
        place = f"c {c}, y {y}, x {x}"
        if self.flat:
            place = f"index {self.index(neuron)} of the flat vector, {place} of the map before it"
        return place

    def neuron(self, c: int, y: int = 0, x: int = 0) -> int:
        """The number of a neuron in the layer. c, y, x: its channel, row and column, from 0."""
        return (y * self.grid[2] + x) * self.grid[0] + c


@named_fields
@dataclass(frozen=True)
class Projection:
    """All linear paths from one layer (or INPUT) to another.

    source, target: the layers' numbers. map: weights in the target's thresholds per source spike.

    One projection leads into a pool layer. Its taps are the members of the windows. Its only block,
    [1, C, 1, 1], is 1 for channels whose maximum is sent, -1 for those whose minimum is.
    """

    source: int
    target: int
    map: linear.LinearMap


@named_fields
@dataclass(frozen=True)
class Network:
    """A spiking network, without time and arithmetic: `eventsnn.simulate` gives it both.

    layers: in topological order, the readout last. projections: sorted by (target, source). graph:
    what it was made from. thresholds: the rules in use, in words. notes: what the user should know
    of the conversion. changed: whether `graph` computes another function than the ANN as loaded.
    """

    layers: tuple[Layer, ...]
    projections: tuple[Projection, ...]
    graph: Graph
    thresholds: str = ""
    notes: tuple[str, ...] = ()
    changed: bool = False

    @property
    def readout(self) -> Layer:
        """The output, the last layer."""
        return self.layers[-1]

    @property
    def spiking(self) -> tuple[Layer, ...]:
        """The layers that send spikes: all but the readout; pool layers too."""
        return self.layers[:-1]

    @property
    def neurons(self) -> int:
        """The number of spiking neurons (pool units are none)."""
        return sum(layer.size for layer in self.spiking if not layer.pools)

    @cached_property
    def synapses(self) -> int:
        """The number of synapses: neither the input's drive nor a pool's window has any."""
        return sum(
            projection.map.synapses
            for projection in self.projections
            if projection.source != INPUT and not self.layers[projection.target].pools
        )

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """The id of each layer's first neuron, then the number of all neurons: int64 [L + 1]."""
        ends = np.cumsum([layer.size for layer in self.layers])
        return np.concatenate([[0], ends]).astype(np.int64)

    @cached_property
    def layer_of(self) -> NDArray[np.int32]:
        """The number of each neuron's layer, readout included: int32 [neurons]."""
        return np.repeat(np.arange(len(self.layers), dtype=np.int32), np.diff(self.first))

    def columns(self, layer: int) -> slice:
        """The slice of a layer's neurons among all. layer: its number."""
        return slice(int(self.first[layer]), int(self.first[layer + 1]))

    def into(self, target: int) -> list[Projection]:
        """The projections that arrive at a layer. target: its number."""
        return [p for p in self.projections if p.target == target]

    def run(self, images: Any, **options: Any) -> Any:
        """Simulates images on this network: `eventsnn.simulate(network, images, …)`.

        images, options, the `Result`, and what is raised: as there. A network knows nothing of the
        simulator; the facade does.
        """
        return sys.modules["eventsnn"].simulate(self, images, **options)

    def __repr__(self) -> str:
        name = one_line(self.graph.meta.get("arch", "network"))
        return (
            f"<Network {name}: {len(self.spiking)} layers, "
            f"{self.neurons:,} neurons, {self.synapses:,} synapses, {len(self.projections)} "
            f"projections; thresholds {self.thresholds}{self.graph.assumed}>"
        )

    def table(self) -> Table:
        """One row a layer: name, operator, shape, neurons, theta, and its sources."""
        names = {INPUT: "input", **{i: layer.name for i, layer in enumerate(self.layers)}}
        rows: list[dict[str, Any]] = []
        for i, layer in enumerate(self.layers):
            row = dict(
                layer=layer.name,
                activation=layer.node.op if layer.node else "readout",
                shape="x".join(map(str, layer.grid)),
                neurons=layer.size,
                theta=layer.scale,
                sources=" + ".join(names[p.source] for p in self.into(i)),
            )
            rows.append(row)
        title = "Layers; shape: channels x height x width; threshold: of the ANN's activation"
        return Table(rows, f"{title}\nthresholds {self.thresholds}")

    def _repr_html_(self) -> str:
        return html_page(self, self.table())


def neuron_number(layer: Layer, neuron: int | tuple[int] | linear.Grid) -> int:
    """A neuron's number in its layer.

    layer: the layer. neuron: the number; or the position (c, y, x); or (i,), the index in the
    vector that a Flatten makes of the layer, see `Layer`; all from 0. Raises InputError for what is
    not in the layer.
    """
    if isinstance(neuron, tuple) and len(neuron) == 1 and 0 <= neuron[0] < layer.size:
        channel, site = divmod(neuron[0], layer.grid[1] * layer.grid[2])
        return int(layer.neuron(channel, *divmod(site, layer.grid[2])))
    if isinstance(neuron, tuple) and len(neuron) == 3:
        if all(0 <= at < size for at, size in zip(neuron, layer.grid)):
            return int(layer.neuron(*neuron))
    whole = isinstance(neuron, (int, np.integer)) and not isinstance(neuron, bool)
    if not whole or isinstance(neuron, tuple) or not 0 <= neuron < layer.size:
        last = f"{layer.size - 1:,}"
        flat = f"(i,), the flat vector's index, to {last}, " if layer.flat else ""
        expected = f"a number from 0 to {last}, {flat}or (c, y, x) inside {layer.grid}"
        raise InputError("neuron", f"{expected}, in {layer.name}", neuron)
    return int(neuron)
