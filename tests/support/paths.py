"""Which neurons the graph itself joins, without a look at how the network holds its weights."""

from dataclasses import replace

import numpy as np

from eventsnn.ann import forward as ann
from eventsnn.network.network import INPUT


def paths(network):
    """(source layer or INPUT, target layer) -> bool [targets, sources], where a path is.

    Every weight of the graph becomes 1 and every shift 0. Then one source neuron at a time sends a
    1, which arrives where a path leads. Neurons are site by site.
    """
    graph = network.graph
    targets = [layer.node.inputs[0] for layer in network.spiking] + [ann.logits_node(graph)]
    names = {graph.input: INPUT}
    names |= {layer.node.name: i for i, layer in enumerate(network.spiking)}
    found = {}
    for source, number in names.items():
        shape = graph.shapes[source]
        size = int(np.prod(shape))
        grid = graph.input_shape if number == INPUT else network.layers[number].grid
        sent = np.eye(size)[_by_site(np.arange(size), grid)].reshape(size, *shape)
        values = {source: sent}
        for node in graph.nodes:
            if node.is_activation or node.op == "MaxPool":
                continue
            given = [name for name in node.inputs if name in values]
            if given:
                nothing = [np.zeros((size, *graph.shapes[name])) for name in node.inputs]
                inputs = [values.get(name, zero) for name, zero in zip(node.inputs, nothing)]
                values[node.name] = ann.apply(_structure(node), inputs)
        for target, name in enumerate(targets):
            if name in values and values[name].any():
                arrived = values[name].reshape(size, -1)
                order = _by_site(np.arange(arrived.shape[1]), network.layers[target].grid)
                found[number, target] = arrived[:, order].T > 0
    return found


def _structure(node):
    """The node with ones for weights, and nothing for what it adds."""
    numbers = {
        "Conv": {"W": 1},
        "Gemm": {"B": 1},
        "BatchNormalization": {"scale": 1, "input_var": 1, "B": 0, "input_mean": 0},
    }
    if node.op == "Softmax":
        return replace(node, op="Identity")
    if node.op not in numbers:
        return node
    params = {name: np.full_like(node.params[name], x) for name, x in numbers[node.op].items()}
    return replace(node, params=params)


def _by_site(numbers, grid):
    """Numbers in the graph's order (C, H, W) -> in the order of sites (H, W, C)."""
    channels = grid[0]
    return numbers.reshape(channels, -1).T.reshape(-1)
