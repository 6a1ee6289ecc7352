"""From a graph to layers and projections: linear paths are composed, normalised and joined."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph, Node
from eventsnn.ann.indexing import AXES
from eventsnn.ann.operators import infer_shape
from eventsnn.exceptions import InputError
from eventsnn.network import linear
from eventsnn.network.indexing import index_map
from eventsnn.network.linear import Grid, LinearMap
from eventsnn.network.network import INPUT, Layer, Projection, Threshold

MAX_WEIGHTS = 2**29


@dataclass
class _Expression:
    """What a node computes: a linear map of each source, plus an offset.

    terms: name of a source (the input, an activation or a MaxPool) -> the map from it. offset:
    float64 [sites, C], one row for all sites where these are alike (`_rows`). grid: of the node's
    output. flat: whether the output is a flat vector.
    """

    terms: dict[str, LinearMap]
    offset: NDArray[np.float64]
    grid: Grid
    flat: bool = False

    def __repr__(self) -> str:
        return f"<_Expression of {', '.join(self.terms)} on {self.grid}>"


@dataclass
class _Row:
    """Flat vectors one after the other, of which a Gemm needs no whole. parts: each flat."""

    parts: list[_Expression]

    def __repr__(self) -> str:
        return f"<_Row of {len(self.parts)} vectors>"

    def whole(self) -> _Expression:
        """One flat vector, in ONNX's order."""
        return _side_by_side([_flattened(part) for part in self.parts])

    def through(self, node: Node) -> _Expression:
        """The expression behind a Gemm: the sum of what each part brings."""
        turned = bool(node.attrs.get("transB", 0))
        weight = node.params["B"] if turned else node.params["B"].T
        sizes = [math.prod(part.grid) for part in self.parts]
        cut = np.split(weight, np.cumsum(sizes)[:-1], axis=1)
        brought = [
            _through(part, linear.gemm_of(some, part.grid), (len(weight), 1, 1), True)
            for part, some in zip(self.parts, cut)
        ]
        return _shifted(_sum(brought), node.params.get("C"))


def _whole(x: _Expression | _Row) -> _Expression:
    return x.whole() if isinstance(x, _Row) else x


def connect(
    graph: Graph, thetas: Mapping[str, float | NDArray[Any]]
) -> tuple[tuple[Layer, ...], tuple[Projection, ...]]:
    """Layers and projections of a graph whose activations have the thresholds `thetas`.

    Every linear path between two activations (Conv, Gemm, BatchNormalization, average pooling, Add,
    Concat, Flatten, Pad, Resize, Index) is composed into one map (semantics, section 1). A MaxPool
    becomes a layer of pool units; it must pool one activation or another MaxPool
    (`passes.split_pools` sees to that).

    graph: the ANN. thetas: name of an activation -> its threshold, a float, or an array of the
    activation's shape. Returns (layers, projections), as in a `Network`. Raises InputError for a
    node without a spiking form, and for more than 2^29 weights.
    """
    wiring = _Wiring(graph, thetas)
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    for node in graph.nodes:
        wiring.add(node)
        for name in node.inputs:
            uses[name] -= 1
            if not uses[name]:
                del wiring.expressions[name]
    layers = wiring.layers
    end = _whole(wiring.expressions[graph.output])
    # a map without taps: all windows of a convolution are on padding
    if not any(len(m.p) for m in end.terms.values()):
        expected = "an output that depends on the input"
        found = "an output that depends on biases alone"
        raise InputError(graph.source, expected, found, "look at what is in front of it")
    if end.flat and end.grid[1:] != (1, 1):  # classes are in the graph's order
        end = _flattened(end)
    wiring.add_layer("readout", 1.0, end, None)
    return tuple(layers), _normalised(graph, layers, wiring.projections)


class _Wiring:
    """Layers and projections of the nodes that were added so far.

    graph, thetas: as in `connect`. numbers: name -> number of its layer, INPUT for the input.
    projections: (source, target, map), weights not yet normalised. expressions: name -> what it
    computes.
    """

    def __init__(self, graph: Graph, thetas: Mapping[str, float | NDArray[Any]]) -> None:
        self.graph = graph
        self.thetas = thetas
        self.numbers = {graph.input: INPUT}
        self.layers: list[Layer] = []
        self.projections: list[tuple[int, int, LinearMap]] = []
        start = _source(graph.input, graph.input_shape)
        self.expressions: dict[str, _Expression | _Row] = {graph.input: start}

    def add(self, node: Node) -> None:
        """Adds a node: its expression, and its layer where it is an activation or a MaxPool."""
        inputs = [self.expressions[name] for name in node.inputs]
        if node.is_activation:
            x = _whole(inputs[0])
            self.add_layer(node.name, _by_site(self.thetas[node.name], x.grid), x, node)
            self.expressions[node.name] = _source(node.name, x.grid, x.flat)
        elif node.op == "MaxPool":
            self._add_pool(node, _whole(inputs[0]).grid)
        elif node.op in linear.LINEAR:
            self.expressions[node.name] = self._linear(node, inputs)
        else:
            where = f"{self.graph.source}: node {node.name!r}"
            expected = "an operator with a spiking form"
            raise InputError(where, expected, node.op, "replace it in the network")

    def add_layer(self, name: str, theta: Threshold, x: _Expression, node: Node | None) -> None:
        """Adds a layer of neurons, or pool units, at which an expression arrives."""
        bias = _rows(x.offset, isinstance(theta, float)) / np.where(theta, theta, np.inf)
        bias = np.broadcast_to(bias, x.offset.shape)
        number = len(self.layers)
        for source in sorted(x.terms, key=self.numbers.__getitem__):
            if len(x.terms[source].p):  # none where every window is on padding: the bias alone
                self.projections.append((self.numbers[source], number, x.terms[source]))
        self.numbers[name] = number
        flat = x.flat and x.grid[1:] != (1, 1)
        self.layers.append(Layer(name, x.grid, theta, bias, node, flat))

    def _add_pool(self, node: Node, pooled: Grid) -> None:
        source = _pooled(self.graph, node)
        windows = linear.max_pool(node, pooled)
        channels, height, width = self.graph.shapes[node.name]
        grid = (channels, height, width)
        theta = _pooled_theta(self.graph, node, self._layer(source).theta, windows)
        pool = _Expression({source: windows}, _nothing(grid), grid)
        self.add_layer(node.name, theta, pool, node)
        self.expressions[node.name] = _source(node.name, grid)

    def _layer(self, name: str) -> Layer:
        return self.layers[self.numbers[name]]

    def _linear(self, node: Node, inputs: list[_Expression | _Row]) -> _Expression | _Row:
        """`_linear`, whose errors say in which node of which graph they are."""
        try:
            return _linear(node, inputs)
        except InputError as error:
            where = f"{self.graph.source}: node {node.name!r} ({node.op}), {error.where}"
            raise InputError(where, error.expected, error.found, error.do) from None


def _by_site(theta: float | NDArray[Any], grid: Grid) -> Threshold:
    """A threshold as a float, or [C, H, W] (or flat) as float64 [sites, C]."""
    if np.ndim(theta) == 0:
        return float(theta)
    return np.asarray(theta, np.float64).reshape(grid[0], -1).T


def _normalised(
    graph: Graph, layers: list[Layer], projections: list[tuple[int, int, LinearMap]]
) -> tuple[Projection, ...]:
    """The projections with each map in the thresholds of the layers that it joins.

    projections: (source, target, map). The list is emptied, so that each map can go before the next
    is normalised.
    """
    thetas = {INPUT: 1.0, **{i: layer.theta for i, layer in enumerate(layers)}}
    weights = sum(
        len(m.k) * m.weights[0].size
        for s, t, m in projections
        if np.ndim(thetas[s]) or np.ndim(thetas[t])
    )
    if weights > MAX_WEIGHTS:
        raise InputError(
            f"{graph.source}: thresholds",
            f"at most {MAX_WEIGHTS:,} weights",
            f"{weights:,}: with one threshold a neuron no two synapses share a weight",
            "choose a rule with one threshold a layer: 'max' or 'percentile'",
        )
    normalised = []
    while projections:
        s, t, m = projections.pop(0)
        if not layers[t].pools:
            m = m.normalised(thetas[s], thetas[t])
        if s == INPUT:  # its blocks are asked for with every image
            m = replace(m, weights=m.blocks, factor=None)
        normalised.append(Projection(s, t, m))
    return tuple(normalised)


def _pooled(graph: Graph, node: Node) -> str:
    """The name of the activation or MaxPool whose spikes a MaxPool node counts."""
    name = node.inputs[0]
    found = graph.by_name.get(name)
    if found is None or not (found.is_activation or found.op == "MaxPool"):
        raise InputError(
            f"{graph.source}: node {node.name!r} (MaxPool)",
            "an activation or another MaxPool in front of it, whose spikes it can count",
            "the input itself" if found is None else f"{found.op} {name!r}",
            "put an activation in front of it, or choose ⟦max_pooling=average⟧, which changes "
            "the function",
        )
    return name


def _pooled_theta(graph: Graph, node: Node, theta: Threshold, windows: LinearMap) -> Threshold:
    """The threshold of a pool layer.

    Spikes can be counted together only where each is worth the same, so neurons of one window must
    have one threshold.
    """
    if isinstance(theta, float):
        return theta
    both = linear.pooled(windows, theta[None])[0], -linear.pooled(windows, -theta[None])[0]
    least, most = np.minimum(*both), np.maximum(*both)
    wrong = most > least
    if wrong.any():
        raise InputError(
            f"{graph.source}: node {node.name!r} (MaxPool)",
            "one threshold inside each window, so that spikes can be counted",
            f"thresholds from {least[wrong][0]:.3g} to {most[wrong][0]:.3g} in one of them",
            "choose a rule with one threshold a layer ('max', 'percentile'), or "
            "⟦max_pooling=average⟧",
        )
    return most


def _source(name: str, grid: Grid, flat: bool = False) -> _Expression:
    """A source as an expression of itself."""
    return _Expression({name: linear.identity(grid)}, _nothing(grid), grid, flat)


def _nothing(grid: Grid) -> NDArray[np.float64]:
    """An offset of 0."""
    return np.broadcast_to(np.zeros((1, grid[0])), (grid[1] * grid[2], grid[0]))


def _rows(offset: NDArray[np.float64], alike: bool = True) -> NDArray[np.float64]:
    """The one row of an offset that is alike at all sites; another offset as it is.

    alike: whether one row will do.
    """
    return offset[:1] if alike and offset.strides[0] == 0 else offset


def _linear(node: Node, given: list[_Expression | _Row]) -> _Expression | _Row:
    """What a linear node computes. given: the expressions of its inputs."""
    first = given[0]
    if node.op in ("Identity", "Dropout", "Softmax"):
        return first
    if node.op == "Concat" and (isinstance(first, _Row) or first.flat):
        rows = [each.parts if isinstance(each, _Row) else [each] for each in given]
        return _Row([part for parts in rows for part in parts])
    if isinstance(first, _Row) and node.op == "Flatten":
        return first
    if isinstance(first, _Row) and node.op == "Gemm":
        return first.through(node)
    inputs = [_whole(each) for each in given]
    x = inputs[0]
    if node.op == "Flatten":
        return replace(x, flat=True)
    if node.op == "Index":  # numbers of values are the same in a map and in its vector
        channels, height, width = (len(node.attrs.get(key, [0])) for key in AXES)
        grid = (channels, height, width)
        return _through(x, index_map(node, x.grid, grid), grid, "rows" not in node.attrs)
    if node.op == "Concat":
        return _side_by_side(inputs)
    if node.op == "Add":
        alike = len({each.grid for each in inputs}) == 1
        return _sum(inputs if alike else [_flattened(each) for each in inputs])
    if node.op == "BatchNormalization":
        y = _through(x, linear.batch_normalization(node, x.grid, x.flat), x.grid, x.flat)
        beta = np.asarray(node.params["B"], np.float64)
        mean = np.asarray(node.params["input_mean"], np.float64)
        shift = beta - mean * linear.batch_scale(node)
        return _shifted(y, shift.reshape(x.grid[0], -1).T if x.flat else shift)
    if node.op == "Gemm":
        y = _through(x, linear.gemm(node, x.grid), (_fan_out(node), 1, 1), True)
        return _shifted(y, node.params.get("C"))
    step = linear.SIMPLE[node.op](node, x.grid)
    y = _through(x, step, (step.channels[1], *_out_size(node, x.grid)), False)
    return _shifted(y, node.params.get("B")) if node.op == "Conv" else y


def _side_by_side(inputs: list[_Expression]) -> _Expression:
    """The channels of expressions of one size, one after the other (Concat)."""
    total = sum(x.grid[0] for x in inputs)
    offset = 0
    parts = []
    for x in inputs:
        terms = {source: linear.placed(m, offset, total) for source, m in x.terms.items()}
        rows = _rows(x.offset)
        among = np.zeros((len(rows), total))
        among[:, offset : offset + x.grid[0]] = rows
        among = np.broadcast_to(among, (len(x.offset), total))
        parts.append(_Expression(terms, among, (total, *x.grid[1:]), x.flat))
        offset += x.grid[0]
    return _sum(parts)


def _flattened(x: _Expression) -> _Expression:
    channels, height, width = x.grid
    return _through(x, linear.flattening(x.grid), (channels * height * width, 1, 1), True)


def _fan_out(node: Node) -> int:
    return node.params["B"].shape[0 if node.attrs.get("transB", 0) else 1]


def _out_size(node: Node, grid: Grid) -> tuple[int, int]:
    height, width = infer_shape(node, [grid], node.name)[1:]
    return height, width


def _through(x: _Expression, step: LinearMap, grid: Grid, flat: bool) -> _Expression:
    """The expression behind one more map, with another grid."""
    terms = {source: linear.compose(m, step) for source, m in x.terms.items()}
    moved = step(x.offset[None])[0] if _rows(x.offset).any() else _nothing(grid)
    return _Expression(terms, moved, grid, flat)


def _shifted(x: _Expression, shift: NDArray[Any] | None) -> _Expression:
    """The expression plus a shift, [C] or [sites, C]; None: itself."""
    if shift is None:
        return x
    shift = np.asarray(shift, np.float64)
    moved = _rows(x.offset, shift.ndim == 1) + shift
    return replace(x, offset=np.broadcast_to(moved, x.offset.shape))


def _sum(parts: list[_Expression]) -> _Expression:
    gathered: dict[str, list[LinearMap]] = {}
    for part in parts:
        for source, m in part.terms.items():
            gathered.setdefault(source, []).append(m)
    terms = {source: linear.add(maps) for source, maps in gathered.items()}
    shape = parts[0].offset.shape
    alike = all(len(_rows(part.offset)) == 1 for part in parts)
    offset = reduce(np.add, [_rows(part.offset, alike) for part in parts])
    return _Expression(terms, np.broadcast_to(offset, shape), parts[0].grid, parts[0].flat)
