"""The same network for the engines and for the naive twin."""

from dataclasses import replace

import numpy as np
from support import twin
from support.paths import paths

from eventsnn.network.network import INPUT


def twin_net(simulation):
    """The twin's dense network with the very numbers that the engine computes in."""
    network = simulation.network
    one, members = simulation.arithmetic.one.item(), getattr(simulation.neuron, "members", 1)
    layers = [
        twin.Layer(
            layer.name,
            layer.size,
            one * (members if layer.node else 1),
            layer.pools,
            _minima(layer),
        )
        for layer in network.layers
    ]
    exists = paths(network)
    projections, inputs = [], []
    for p in network.projections:
        exact = simulation.blocks(p).astype(np.float64)
        weights = replace(p.map, weights=exact, factor=None).dense().T
        if network.layers[p.target].pools:
            mask = weights > 0
        else:
            mask = exists[p.source, p.target]
        (inputs if p.source == INPUT else projections).append(
            twin.Projection(
                None if p.source == INPUT else p.source,
                p.target,
                weights.astype(simulation.arithmetic.dtype),
                mask,
            )
        )
    return twin.Net(layers, projections, inputs)


def _minima(layer):
    """The neurons of a pool layer whose channel's minimum is meant; neurons are channels last."""
    channels = layer.node.attrs.get("minima", ()) if layer.pools else ()
    return frozenset(i for i in range(layer.size) if i % layer.grid[0] in channels)


def by_layer(simulation, values):
    """A flat array over neurons -> one array a layer."""
    return np.split(values, np.cumsum([layer.size for layer in simulation.network.layers])[:-1])


def twin_drive(simulation, image, number=0, stage=0):
    """drive[step][layer][neuron] for a raw image [C, H, W]."""
    rows = [by_layer(simulation, row) for row in simulation.drive(image, number, stage)]
    return [
        rows[min(step, len(rows) - 1)] if step < simulation.drive_steps else [None] * len(rows[0])
        for step in range(max(simulation.steps, simulation.srp))
    ]


def twin_start(simulation):
    """v(0) for each layer."""
    return [v.tolist() for v in by_layer(simulation, simulation.resting)]
