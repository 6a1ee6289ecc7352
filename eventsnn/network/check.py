"""Compares a converted network with the graph it was made from."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph
from eventsnn.network import linear
from eventsnn.network.network import INPUT, Network
from eventsnn.network.thresholds import CHUNK

TOLERANCE = 1e-9


def deviation(network: Network, pixels: NDArray[Any]) -> tuple[float, str]:
    """The largest difference between the network's linear paths and its graph.

    Every layer is given the graph's own activations (float64, silent neurons at 0), so a difference
    is that layer's alone: |difference| of what reaches its neurons (of a pool's output), relative
    to the largest value there. Returns (largest, layer's name).
    """
    graph: Graph = network.graph
    x = graph.preprocessing(pixels)
    nodes = {layer.name: layer.node for layer in network.spiking if layer.node is not None}
    names = [node.name for node in nodes.values()]
    end = graph.by_name[graph.output]
    targets = [node.name if node.op == "MaxPool" else node.inputs[0] for node in nodes.values()]
    targets.append(end.inputs[0] if end.op == "Softmax" else end.name)
    silent = {
        layer.name: _as_in_graph(np.equal(layer.theta, 0), graph.shapes[layer.name])
        for layer in network.layers
        if np.ndim(layer.theta)
    }
    keep = {*names, *targets, graph.input}
    batch = max(1, CHUNK // sum(int(np.prod(graph.shapes[name])) for name in keep))
    errors, largest = np.zeros(len(targets)), np.full(len(targets), 1e-300)
    for start in range(0, len(x), batch):
        outputs = ann.forward(
            graph, x[start : start + batch], keep=keep, dtype=np.float64, silent=silent
        )
        for i, (layer, target) in enumerate(zip(network.layers, targets)):
            total = np.repeat(layer.bias[None], len(outputs[graph.input]), axis=0)
            for p in network.into(i):
                source = graph.input if p.source == INPUT else names[p.source]
                theta = 1.0 if p.source == INPUT else network.layers[p.source].theta
                apply = partial(linear.largest, p.map) if layer.pools else p.map
                total += apply(
                    _by_site(outputs[source], p.map.sites[0]) / np.where(theta, theta, np.inf)
                )
            expected = np.where(layer.theta, _by_site(outputs[target], len(layer.bias)), 0)
            errors[i] = np.maximum(errors[i], np.abs(total * layer.theta - expected).max())
            largest[i] = np.maximum(largest[i], np.abs(expected).max())
    worst, where = 0.0, network.readout.name
    for layer, error in zip(network.layers, errors / largest):
        if not error <= worst:
            worst, where = float(error), layer.name
    return worst, where


def check(network: Network, pixels: NDArray[Any]) -> tuple[float, str]:
    """Like `deviation`, but a difference above 1e-9 raises ArithmeticError: the conversion itself
    would be wrong.
    """
    worst, where = deviation(network, pixels)
    if not worst <= TOLERANCE:
        raise ArithmeticError(
            f"the converted network differs from {network.graph.source} by {worst:.3g} at layer "
            f"{where!r} (allowed: {TOLERANCE:g}); this is a defect of eventsnn, please report it "
            "with the checkpoint"
        )
    return worst, where


def _by_site(values: NDArray[Any], sites: int) -> NDArray[Any]:
    """[N, C, H, W] or flat [N, C * H * W] -> [N, sites, C]."""
    return np.asarray(values, np.float64).reshape(len(values), -1, sites).transpose(0, 2, 1)


def _as_in_graph(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """[sites, C] -> (C, H, W) or a flat vector, as `shape` says."""
    return values.T.reshape(shape)
