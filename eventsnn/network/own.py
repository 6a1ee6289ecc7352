"""Neurons that a network has of its own: those of a file of spiking neurons, such as NIR's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Layer, Network

MODELS = {"zero": "if-hard", "subtract": "if"}
DEFAULT = "if"  # what stands for "not given"


def own_model(graph: Graph) -> str | None:
    """The name of the model that a graph's neurons are, or None where any will do.

    graph: the ANN. Raises InputError for neurons that reset in several ways.
    """
    resets = {node.attrs.get("reset") for node in graph.activations}
    if resets <= {None}:
        return None
    if len(resets) > 1 or not resets <= set(MODELS):
        found = ", ".join(map(str, sorted(map(str, resets))))
        raise InputError(graph.source, f"one reset of {' or '.join(MODELS)}", found)
    return MODELS[str(resets.pop())]


def own_words(graph: Graph) -> str:
    """What to say of a graph with neurons of its own, or "". graph: the ANN."""
    model = own_model(graph)
    if model is None:
        return ""
    return f"neurons and v(0) are the file's own, {named('neuron', model)}: {graph.meta['note']}"


def with_own(network: Network, neuron: Any, initial: Any) -> tuple[Any, Any]:
    """(model, v(0)) of a simulation: the network's own, where it has them.

    network: what runs. neuron, initial: as given to a simulation; the default model and None give
    way, a v(0) that is given counts. Raises InputError for another model than the network's own.
    """
    own = own_model(network.graph)
    if own is None:
        return neuron, initial
    if neuron not in (DEFAULT, own):
        found = neuron if isinstance(neuron, str) else type(neuron).__name__
        do = f"leave {named('neuron')} out: the file says how its neurons reset"
        raise InputError(named("neuron"), named("neuron", own), named("neuron", found), do)
    if initial is None:
        initial = [_initial(layer) for layer in network.spiking]
    return own, initial


def with_initial(graph: Graph, channels: Mapping[str, NDArray[np.float64]], words: str) -> Graph:
    """A graph whose activations have v(0) of their own, and neurons that reset by subtraction.

    graph: the ANN. channels: name of each activation -> v(0) of its channels in thresholds, [C].
    words: how it was found, for the note.
    """
    nodes = [
        replace(
            node,
            attrs={**node.attrs, "reset": "subtract"},
            params={**node.params, "initial": np.asarray(channels[node.name], np.float64)},
        )
        if node.name in channels
        else node
        for node in graph.nodes
    ]
    note = "; ".join(filter(None, (graph.meta.get("note", ""), words)))
    return replace(graph, nodes=tuple(nodes), meta={**graph.meta, "note": note})


def _initial(layer: Layer) -> NDArray[np.float64]:
    """v(0) of a layer's neurons, in thresholds: float64 [neurons], channels last."""
    node = layer.node
    if node is None or "initial" not in node.params:
        return np.full(layer.size, float(node.attrs.get("initial", 0.0)) if node else 0.0)
    values = np.asarray(node.params["initial"], np.float64)
    if values.size == layer.grid[0]:
        return np.tile(values.reshape(-1), layer.size // layer.grid[0])
    return np.ascontiguousarray(values.reshape(layer.grid[0], -1).T).reshape(-1)
