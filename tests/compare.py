"""The same network for the engines and for the naive twin."""
import numpy as np
import twin

from eventsnn.engine.drive import drive_of
from eventsnn.linear import LinearMap
from eventsnn.network import INPUT


def twin_net(simulation):
    """The twin's dense network with the very numbers that the engine computes in."""
    network = simulation.network
    one = simulation.arithmetic.one.item()
    layers = [twin.Layer(layer.name, layer.size, one) for layer in network.layers]
    projections = []
    for p in network.projections:
        if p.source != INPUT:
            exact = simulation.blocks(p).astype(np.float64)
            weights = LinearMap(p.map.sites, p.map.p, p.map.r, p.map.k, exact).dense().T
            mask = LinearMap(p.map.sites, p.map.p, p.map.r, p.map.k, np.ones_like(exact)).dense().T > 0
            projections.append(twin.Projection(p.source, p.target, weights.astype(simulation.arithmetic.dtype), mask))
    return twin.Net(layers, projections)


def by_layer(simulation, values):
    """A flat array over neurons -> one array a layer."""
    return np.split(values, np.cumsum([layer.size for layer in simulation.network.layers])[:-1])


def twin_drive(simulation, image):
    """drive[step][layer][neuron] for a raw image [C, H, W]."""
    x = simulation.network.graph.preprocessing(image[None])[0]
    drive = by_layer(simulation, drive_of(simulation.network, simulation.arithmetic, x))
    return [drive] * simulation.steps


def twin_start(simulation):
    """v(0) for each layer."""
    return [v.tolist() for v in by_layer(simulation, simulation.resting)]
