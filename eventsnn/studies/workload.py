"""NeuroBench's metrics of a spiking network (Yik et al., Nature Communications 2025).

    cost.neurobench(snn, images, steps=8)

Names and definitions are those of the package `neurobench` 2 (semantics, section 16), which looks
at the tensors that a PyTorch module's layers hand to each other in each step. Here the network's
own nodes are asked, one after the other, with the spikes that its neurons sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import apply
from eventsnn.ann.graph import Graph, Node
from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Network
from eventsnn.neurons.contract import check_declared
from eventsnn.simulation.simulation import Simulation, cores
from eventsnn.studies.equivalence import arrived
from eventsnn.studies.setting import activation_of, check_clocked, exact, neuron_layers
from eventsnn.studies.trains import train_of
from eventsnn.views.progress import following

WHERE = "neurobench"
CONNECTIONS = {
    "Conv": "W",
    "Gemm": "B",
}  # operators that are connections -> where their weights are
MEANING = {
    "footprint": "bytes of the network's parameters, as they are stored",
    "connection_sparsity": "share of the weights of Conv and Gemm nodes that are 0",
    "activation_sparsity": "share of neurons and steps without a spike",
    "effective_macs": "products of an input and a weight, neither of them 0, where a node's input "
    "in a step is not of -1, 0 and 1 alone; of an image",
    "effective_acs": "the same, where it is: additions of single spikes; of an image",
    "dense": "all products, as if no input and no weight were 0; of an image",
    "membrane_updates": "neurons and steps in which the potential is another after the step than "
    "before it, in the first step all; of an image",
}


@checked
def neurobench(
    network: Network,
    images: GivenImages,
    *,
    steps: Count = 8,
    progress: bool | None = None,
    **settings: Any,
) -> dict[str, float]:
    """What MEANING names: name -> number, the mean of images.

    A spike is worth 1, as weights are normalised; two of a neuron in one step are an input of 2,
    and make MACs of what hears them, as does what was pooled. The drive of the first nodes counts
    in each step in which it comes; biases do not. BatchNormalization is not folded.

    network: that runs. images: as for `eventsnn.simulate`, without labels. steps: T. progress:
    whether a bar is shown. settings: of `Simulation` (neuron, initial, encoding, …), in clocked
    time. Raises InputError for asynchronous time and floating point, for encodings other than
    "constant" and "even", for SRP, for max pooling, and for a model that does not conserve charge
    or has two stages.
    """
    check_clocked(settings.get("engine", "clocked"))
    simulation, pixels, numbers = exact(network, images, WHERE, steps=steps, **settings)
    _check(simulation)
    of_images = []
    with (
        following(len(pixels), "image", progress) as bar,
        ThreadPoolExecutor(cores()) as pool,
    ):
        for found in pool.map(lambda pair: _of_image(simulation, *pair), zip(pixels, numbers)):
            of_images.append(found)
            bar.update()
    means = {name: float(np.mean([its[name] for its in of_images])) for name in of_images[0]}
    found = {**static(network.graph, steps), **means}
    return {name: float(found[name]) for name in MEANING}


def static(graph: Graph, steps: int) -> dict[str, float]:
    """Of MEANING what no spike decides: footprint, connection_sparsity (0 without weights), dense.

    graph: the ANN. steps: T.
    """
    weights = [node.params[CONNECTIONS[node.op]] for node in connections(graph)]
    zeros = sum(int(np.count_nonzero(its == 0)) for its in weights)
    total = max(1, sum(its.size for its in weights))
    bytes_of = sum(its.nbytes for node in graph.nodes for its in node.params.values())
    products = 0
    for node in connections(graph):
        ones = np.ones((1, *graph.shapes[node.inputs[0]]), np.float32)
        products += int(_products(node, ones, dense=True).sum(dtype=np.float64))
    found = {"footprint": bytes_of, "connection_sparsity": zeros / total}
    return {**found, "dense": products * steps}


def connections(graph: Graph) -> list[Node]:
    """The nodes that are connections between neurons. graph: the ANN."""
    return [node for node in graph.nodes if node.op in CONNECTIONS]


def _check(simulation: Simulation) -> None:
    """Raises InputError for what has no such numbers."""
    network, encoding = simulation.network, simulation.encoding.kind
    check_declared(simulation.neuron, WHERE, "conserves")
    if encoding not in ("constant", "even"):
        expected = f"{named('encoding', 'constant')} or {named('encoding', 'even')}"
        raise InputError(WHERE, expected, named("encoding", encoding), "choose one of them")
    if simulation.srp or simulation.stages > 1:
        what = named("srp", simulation.srp) if simulation.srp else "a model of two stages"
        raise InputError(WHERE, "one stage", what, "leave it out: NeuroBench has no masks")
    if any(layer.pools for layer in network.layers):
        do = f"convert with {named('max_pooling', 'average')}"
        raise InputError(WHERE, "a network without max pooling", "a MaxPool node", do)


def _of_image(simulation: Simulation, image: NDArray[Any], number: int) -> Mapping[str, float]:
    """What differs from image to image. image: raw pixels. number: the image's."""
    run = simulation.image(image, int(number)).run
    trains = {i: train_of(simulation, run, i) for i in neuron_layers(simulation.network)}
    spikes = sum(int(np.count_nonzero(train)) for train in trains.values())
    cells = sum(train.size for train in trains.values())
    found: dict[str, float] = {"activation_sparsity": 1 - spikes / cells}
    found["membrane_updates"] = _updates(simulation, image, number, trains)
    macs = acs = 0.0
    values = _values(simulation, image, trains)
    for node in connections(simulation.network.graph):
        x = values[node.inputs[0]]
        each = _products(node, x).reshape(len(x), -1).sum(axis=1, dtype=np.float64)
        single = np.isin(x.reshape(len(x), -1), (-1, 0, 1)).all(axis=1)
        acs += float(each[single].sum())
        macs += float(each[~single].sum())
    return found | {"effective_macs": macs, "effective_acs": acs}


def _updates(
    simulation: Simulation, image: NDArray[Any], number: int, trains: dict[int, NDArray[np.int64]]
) -> int:
    """Neurons and steps with another potential than before. trains: of each layer, [T, neurons]."""
    network, steps = simulation.network, simulation.steps
    rows = simulation.drive(image, int(number)).astype(np.int64)
    came = rows[np.minimum(np.arange(steps), len(rows) - 1)]
    counts = np.zeros((steps, len(simulation.resting)), np.int64)
    for i, train in trains.items():
        counts[:, network.columns(i)] = np.cumsum(train, axis=0)
    one, found = simulation.arithmetic.one.item(), 0
    for i in trains:
        here = network.columns(i)
        charge = np.cumsum(came[:, here], axis=0) + arrived(simulation, i, counts)
        moved = np.diff(charge - one * counts[:, here], axis=0)  # law 1 of section 7
        found += counts[0, here].size + int(np.count_nonzero(moved))
    return found


def _values(
    simulation: Simulation, image: NDArray[Any], trains: dict[int, NDArray[np.int64]]
) -> dict[str, NDArray[Any]]:
    """The values of all nodes in each step, [T, …], with spikes in place of activations."""
    network, steps = simulation.network, simulation.steps
    graph = network.graph
    spiking = {}
    for i, layer in neuron_layers(network).items():
        c, h, w = layer.grid
        by_channel = trains[i].reshape(steps, h, w, c).transpose(0, 3, 1, 2)
        name = activation_of(layer).name
        spiking[name] = by_channel.reshape(steps, *graph.shapes[name]).astype(np.float32)
    shares = np.ones(steps)
    if not simulation.encoding.divides:
        shares = (np.arange(steps) < simulation.drive_steps) / simulation.drive_steps
    x = graph.preprocessing(image[None]) * shares.reshape(-1, 1, 1, 1)
    values: dict[str, NDArray[Any]] = {graph.input: x.astype(np.float32)}
    for node in graph.nodes:
        if node.name in spiking:
            values[node.name] = spiking[node.name]
        else:
            values[node.name] = apply(node, [values[name] for name in node.inputs])
    return values


def _products(node: Node, x: NDArray[Any], dense: bool = False) -> NDArray[Any]:
    """How many products of inputs and weights that are not 0 each output adds up, [T, …].

    node: a connection. x: its input in each step. dense: whether weights of 0 count, too.
    """
    role = CONNECTIONS[node.op]
    weights = node.params[role]
    kept = np.ones_like(weights) if dense else (weights != 0).astype(weights.dtype)
    counting = replace(node, params={role: kept})
    return apply(counting, [(x != 0).astype(np.float32)])
