"""A network up to one of its layers, and the spikes that the ANN's activations are worth there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph
from eventsnn.network.convert import convert
from eventsnn.network.network import Layer, Network
from eventsnn.studies.setting import activation_of, by_neuron, neuron_layers, theta_of

CHUNK = 64  # images that the ANN computes at a time


def up_to(network: Network, layer: Layer) -> Network:
    """The part of a network that a layer hears, and the layer, at whose spikes it ends.

    network: whose layers. layer: one that has neurons. Thresholds are the network's.
    """
    graph = replace(network.graph, output=activation_of(layer).name)
    thetas = {name: x for name, x in thresholds_of(network).items() if name in graph.shapes}
    return convert(graph, thresholds=thetas)


def thresholds_of(network: Network) -> dict[str, float | NDArray[np.float64]]:
    """The thresholds of a network as `eventsnn.convert` takes them: name of an activation -> one.

    network: whose. A threshold is a number, or an array of the activation's shape.
    """
    found: dict[str, float | NDArray[np.float64]] = {}
    for layer in neuron_layers(network).values():
        name, theta = activation_of(layer).name, layer.theta
        shape = network.graph.shapes[name]
        found[name] = theta if np.ndim(theta) == 0 else np.transpose(theta).reshape(shape)
    return found


def worth(graph: Graph, layer: Layer, pixels: NDArray[Any], top: int) -> NDArray[np.float32]:
    """The spikes that the ANN's activations are worth, float32 [N, neurons / C, C].

    graph: whose output the layer is. top: the spikes that stand for its threshold.
    """
    name = activation_of(layer).name
    found = []
    for start in range(0, len(pixels), CHUNK):
        x = graph.preprocessing(pixels[start : start + CHUNK])
        values = by_neuron(ann.forward(graph, x)[name], layer)
        found.append((values * (top / theta_of(layer))).astype(np.float32))
    return np.concatenate(found).reshape(len(pixels), -1, layer.grid[0])
