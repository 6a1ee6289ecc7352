"""Compares a converted network with the graph it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.network import linear
from eventsnn.network.network import INPUT, Network
from eventsnn.network.thresholds import CHUNK

TOLERANCE = 1e-9


def deviation(network: Network, pixels: NDArray[Any]) -> tuple[float, str]:
    """The largest difference between the network's linear paths and its graph.

    Every layer is given the graph's own activations (float64, silent neurons at 0), so a difference
    is that layer's alone: |difference| of what reaches its neurons (of a pool's output), relative
    to the largest value there.

    network: as `convert` returns it. pixels: raw images [N, C, H, W] of any dtype. Returns (the
    largest relative difference of any layer, that layer's name).
    """
    graph = network.graph
    x = graph.preprocessing(pixels)
    nodes = [layer.node for layer in network.spiking if layer.node is not None]
    names = [node.name for node in nodes]
    targets = [node.name if node.op == "MaxPool" else node.inputs[0] for node in nodes]
    targets.append(ann.logits_node(graph))
    silent = {
        layer.name: _as_in_graph(np.equal(layer.theta, 0), graph.shapes[layer.name])
        for layer in network.layers
        if np.ndim(layer.theta)
    }
    keep = {*names, *targets, graph.input}
    batch = max(1, CHUNK // sum(int(np.prod(graph.shapes[name])) for name in keep))
    errors = np.zeros(len(targets))
    largest = np.full(len(targets), 1e-300)
    for start in range(0, len(x), batch):
        part = x[start : start + batch]
        outputs = ann.forward(graph, part, keep=keep, dtype=np.float64, silent=silent)
        for i, (layer, target) in enumerate(zip(network.layers, targets)):
            found = _arriving(network, i, outputs, names) * layer.theta
            expected = np.where(layer.theta, _by_site(outputs[target], len(layer.bias)), 0)
            errors[i] = np.maximum(errors[i], np.abs(found - expected).max())
            largest[i] = np.maximum(largest[i], np.abs(expected).max())
    worst = 0.0
    where = network.readout.name
    for layer, error in zip(network.layers, errors / largest):
        if not error <= worst:  # NaN is worse than any number
            worst = float(error)
            where = layer.name
    return worst, where


def check(network: Network, pixels: NDArray[Any]) -> tuple[float, str]:
    """Compares a network with its graph as `deviation` does, and refuses a difference above 1e-9.

    network, pixels, what is returned: as in `deviation`. Raises ArithmeticError for a larger
    difference: the conversion itself would be wrong.
    """
    worst, where = deviation(network, pixels)
    if not worst <= TOLERANCE:
        raise ArithmeticError(
            f"the converted network differs from {network.graph.source} by {worst:.3g} at layer "
            f"{where!r} (allowed: {TOLERANCE:g}); this is a defect of eventsnn, please report it "
            "with the checkpoint"
        )
    return worst, where


def _arriving(
    network: Network, i: int, outputs: Mapping[str, NDArray[Any]], names: Sequence[str]
) -> NDArray[np.float64]:
    """What reaches layer i, in its thresholds, when its sources have the graph's activations.

    outputs: name of a node -> its output. names: the nodes of the spiking layers. Returns float64
    [N, sites, C].
    """
    layer = network.layers[i]
    graph = network.graph
    total = np.repeat(layer.bias[None], len(outputs[graph.input]), axis=0)
    for p in network.into(i):
        if p.source == INPUT:
            source = _by_site(outputs[graph.input], p.map.sites[0])
        else:
            theta = network.layers[p.source].theta
            threshold = np.where(theta, theta, np.inf)
            source = _by_site(outputs[names[p.source]], p.map.sites[0]) / threshold
        total += linear.pooled(p.map, source) if layer.pools else p.map(source, quick=True)
    return total


def _by_site(values: NDArray[Any], sites: int) -> NDArray[np.float64]:
    """[N, C, H, W] or flat [N, C * H * W] -> [N, sites, C]."""
    return np.asarray(values, np.float64).reshape(len(values), -1, sites).transpose(0, 2, 1)


def _as_in_graph(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """[sites, C] -> (C, H, W) or a flat vector, as `shape` says."""
    return values.T.reshape(shape)
