"""From a graph to layers and projections: linear paths are composed, normalised and joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph, Node
from eventsnn.ann.operators import infer_shape
from eventsnn.exceptions import InputError
from eventsnn.network import linear
from eventsnn.network.linear import Grid, LinearMap
from eventsnn.network.network import INPUT, Layer, Projection, Threshold

MAX_WEIGHTS = 2**29


@dataclass
class _Expression:
    """What a node computes: a linear map of each source, plus an offset [sites, C] on its grid."""

    terms: dict[str, linear.LinearMap]
    offset: np.ndarray
    grid: Grid
    flat: bool = False


def connect(
    graph: Graph, thetas: Mapping[str, float | NDArray[Any]]
) -> tuple[tuple[Layer, ...], tuple[Projection, ...]]:
    """Layers and projections of a graph whose activations have the thresholds `thetas`.

    thetas: name -> a float, or an array of the activation's shape. Every linear path between two
    activations (Conv, Gemm, BatchNormalization, average pooling, Add, Concat, Flatten, Pad, Resize)
    is composed into one map (semantics: a projection). A MaxPool becomes a pool layer; it must pool
    one activation or another MaxPool (`passes.split_pools` sees to that).
    """
    numbers = {graph.input: INPUT}
    layers: list[Layer] = []
    projections: list[tuple[int, int, LinearMap]] = []
    expressions = {graph.input: _source(graph.input, graph.input_shape)}
    uses = {
        name: sum(node.inputs.count(name) for node in graph.nodes)
        for name in (graph.input, *graph.by_name)
    }

    def add_layer(name: str, theta: Threshold, expression: _Expression, node: Node | None) -> None:
        terms, offset = expression.terms, expression.offset
        bias = offset / np.where(theta, theta, np.inf)
        projections.extend(
            (numbers[source], len(layers), terms[source])
            for source in sorted(terms, key=numbers.__getitem__)
        )
        numbers[name] = len(layers)
        layers.append(Layer(name, expression.grid, theta, bias, node))

    for node in graph.nodes:
        inputs = [expressions[name] for name in node.inputs]
        x = inputs[0]
        if node.is_activation:
            add_layer(node.name, _by_site(thetas[node.name], x.grid), x, node)
            expressions[node.name] = _source(node.name, x.grid, x.flat)
        elif node.op == "MaxPool":
            source = _pooled(graph, node)
            windows = linear.max_pool(node, x.grid)
            channels, height, width = graph.shapes[node.name]
            grid = (channels, height, width)
            theta = _pooled_theta(graph, node, layers[numbers[source]].theta, windows)
            pool = _Expression({source: windows}, np.zeros((windows.sites[1], channels)), grid)
            add_layer(node.name, theta, pool, node)
            expressions[node.name] = _source(node.name, grid)
        elif node.op in linear.LINEAR:
            try:
                expressions[node.name] = _linear(node, inputs)
            except InputError as error:
                raise InputError(
                    f"{graph.source}: node {node.name!r} ({node.op}), {error.where}",
                    error.expected,
                    error.found,
                    error.do,
                ) from None
        else:
            raise InputError(
                f"{graph.source}: node {node.name!r}",
                "an operator with a spiking form",
                node.op,
                "replace it in the network",
            )
        for name in node.inputs:
            uses[name] -= 1
            if not uses[name]:
                del expressions[name]
    if not layers:
        raise InputError(
            graph.source,
            "at least one activation (they become the spiking layers)",
            "a purely linear graph",
        )
    end = expressions[graph.output]
    if not any(source != graph.input for source in end.terms):
        raise InputError(
            graph.source,
            "an output that depends on an activation",
            "an output that depends on the input alone",
        )
    add_layer("readout", 1.0, end, None)
    return tuple(layers), _normalised(graph, layers, projections)


def _by_site(theta: float | NDArray[Any], grid: Grid) -> Threshold:
    """A threshold as a float, or [C, H, W] (or flat) as float64 [sites, C]."""
    if np.ndim(theta) == 0:
        return float(theta)
    return np.asarray(theta, np.float64).reshape(grid[0], -1).T


def _normalised(
    graph: Graph, layers: list[Layer], projections: list[tuple[int, int, LinearMap]]
) -> tuple[Projection, ...]:
    """Projections of (source, target, map) with each map in the thresholds of the layers it
    joins.
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
    while projections:  # a map goes before the next is normalised
        s, t, m = projections.pop(0)
        m = m if layers[t].pools else m.normalised(thetas[s], thetas[t])
        # the input's blocks are asked for with every image
        normalised.append(
            Projection(s, t, replace(m, weights=m.blocks, factor=None) if s == INPUT else m)
        )
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
            "put an activation in front of it, or choose max_pooling='average' (--max-pooling "
            "average), which changes the function",
        )
    return name


def _pooled_theta(graph: Graph, node: Node, theta: Threshold, windows: LinearMap) -> Threshold:
    """The threshold of a pool layer: spikes can be counted together only where each is worth the
    same.
    """
    if isinstance(theta, float):
        return theta
    most = linear.largest(windows, theta[None])[0]
    least = -linear.largest(windows, -theta[None])[0]
    if (most > least).any():
        raise InputError(
            f"{graph.source}: node {node.name!r} (MaxPool)",
            "one threshold inside each window, so that spikes can be counted",
            f"thresholds from {least[most > least][0]:.3g} to {most[most > least][0]:.3g} in one "
            "of them",
            "choose a rule with one threshold a layer ('max', 'percentile'), or "
            "max_pooling='average'",
        )
    return most


def _source(name: str, grid: Grid, flat: bool = False) -> _Expression:
    return _Expression(
        {name: linear.identity(grid)}, np.zeros((grid[1] * grid[2], grid[0])), grid, flat
    )


def _linear(node: Node, inputs: list[_Expression]) -> _Expression:
    x = inputs[0]
    if node.op in ("Identity", "Dropout", "Softmax"):
        return x
    if node.op == "Flatten":
        return _Expression(x.terms, x.offset, x.grid, True)
    if (
        node.op in ("Add", "Concat")
        and len({e.grid for e in inputs}) > 1
        or node.op == "Concat"
        and x.flat
    ):
        inputs = [
            _through(e, linear.flattening(e.grid), (e.grid[0] * e.grid[1] * e.grid[2], 1, 1), True)
            if e.flat
            else e
            for e in inputs
        ]
    if node.op == "Concat":
        total = sum(e.grid[0] for e in inputs)
        offset = 0
        parts = []
        for e in inputs:
            parts.append(
                _through(e, linear.placing(e.grid, offset, total), (total, *e.grid[1:]), e.flat)
            )
            offset += e.grid[0]
        return _sum(parts)
    if node.op == "Add":
        return _sum(inputs)
    if node.op == "BatchNormalization":
        y = _through(x, linear.batch_normalization(node, x.grid, x.flat), x.grid, x.flat)
        shift = np.asarray(node.params["B"], np.float64) - np.asarray(
            node.params["input_mean"], np.float64
        ) * linear.batch_scale(node)
        return _shifted(y, shift.reshape(x.grid[0], -1).T if x.flat else shift)
    if node.op == "Gemm":
        y = _through(x, linear.gemm(node, x.grid), (_fan_out(node), 1, 1), True)
        return _shifted(y, node.params.get("C"))
    step = linear.SIMPLE[node.op](node, x.grid)
    y = _through(x, step, (step.channels[1], *_out_size(node, x.grid)), False)
    return _shifted(y, node.params.get("B")) if node.op == "Conv" else y


def _fan_out(node: Node) -> int:
    return node.params["B"].shape[0 if node.attrs.get("transB", 0) else 1]


def _out_size(node: Node, grid: Grid) -> tuple[int, int]:
    height, width = infer_shape(node, [grid], node.name)[1:]
    return height, width


def _through(x: _Expression, step: LinearMap, grid: Grid, flat: bool) -> _Expression:
    terms = {source: linear.compose(m, step) for source, m in x.terms.items()}
    return _Expression(terms, step(x.offset[None])[0], grid, flat)


def _shifted(x: _Expression, shift: NDArray[Any] | None) -> _Expression:
    if shift is None:
        return x
    return _Expression(x.terms, x.offset + np.asarray(shift, np.float64), x.grid, x.flat)


def _sum(parts: list[_Expression]) -> _Expression:
    gathered: dict[str, list[LinearMap]] = {}
    for part in parts:
        for source, m in part.terms.items():
            gathered.setdefault(source, []).append(m)
    terms = {source: linear.add(maps) for source, maps in gathered.items()}
    offset = reduce(np.add, [part.offset for part in parts])
    return _Expression(terms, offset, parts[0].grid, parts[0].flat)
