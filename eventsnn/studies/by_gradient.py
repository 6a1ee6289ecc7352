"""SNNC's weights: layer after layer, by gradient, towards the ANN's activations.

From input to output, each layer hears the spikes of layers that are already calibrated. Its mean
output in T steps is taken as the ideal staircase (semantics, section 8) of its mean input; its
weights go down the gradient of the squared distance to the ANN's activations, through which the
floor counts as the identity (SNNC's code, `weights_cali_layer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.network.linear import LinearMap
from eventsnn.network.network import INPUT, Network, Projection
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.setting import activation_of, neuron_layers, numbers_of, top_of
from eventsnn.studies.up_to import up_to, worth
from eventsnn.views.progress import following

ROUNDS = 300  # steps of Adam for each layer
BATCH = 32  # images of a step
RATE = 4e-5  # of Adam, in the ANN's own weights, falling to 0 with a cosine
BETAS = 0.9, 0.999
TINY = 1e-8
CALIBRATED = "weights calibrated"  # what a network's thresholds say then
WEIGHTED = ("Conv", "Gemm")
# (source, target), layers' names, None: the input -> blocks, float64 [K, G, ci, co]
Weights = dict[tuple[str | None, str], NDArray[np.float64]]


class Learned(NamedTuple):
    """What `learned` found.

    weights: of projections, in thresholds. moved: name of a layer -> mean change of its weights, of
    their mean size. before, after: name -> mean squared distance of a neuron's ideal output from
    the ANN's activation, in thresholds squared.
    """

    weights: Weights
    moved: dict[str, float]
    before: dict[str, float]
    after: dict[str, float]


def learned(
    network: Network,
    simulation: Simulation,
    pixels: NDArray[Any],
    numbers: NDArray[np.int64],
    run: Callable[[Network], Simulation],
    rounds: int,
    workers: int | None,
    progress: bool | None,
) -> Learned:
    """The weights of all layers, as `Learned`.

    network: as it was converted. simulation: of it, before. pixels: raw, [N, C, H, W]. numbers: the
    images' positions, [N]. run: makes the simulation of a part of the network. rounds: steps of
    Adam for each layer. workers: threads. progress: whether a bar is shown. Raises InputError for a
    threshold for each neuron, with which no two synapses share a weight.
    """
    found = Learned({}, {}, {}, {})
    layers = neuron_layers(network)
    for layer in network.layers:
        if np.ndim(layer.theta):
            expected, do = "one threshold for each layer", "calibrate potentials instead"
            raise InputError("calibrate", expected, f"one for each neuron in {layer.name}", do)
    with following(len(layers), "layer", progress) as bar:
        for i, layer in layers.items():
            part = with_weights(up_to(network, layer), found.weights)
            last = numbers_of(part)[layer.name]
            its = run(part)
            heard = _heard(its, pixels, numbers, last, workers)
            top = top_of(its, last)
            aim = worth(part.graph, layer, pixels, top_of(simulation, i)) / top
            v0 = its.initial[last].reshape(-1, layer.grid[0])
            stairs = _Stairs(its.network, last, heard, aim, v0, top)
            found.before[layer.name] = stairs.distance()
            found.moved[layer.name] = stairs.descend(rounds, np.random.default_rng(its.seed))
            found.after[layer.name] = stairs.distance()
            found.weights.update(stairs.weights())
            bar.update()
    return found


def with_weights(network: Network, weights: Weights) -> Network:
    """A network some of whose projections have other weights; its graph is still the ANN.

    network: whose projections. weights: as `Learned` has them; others than the network's are left
    out.
    """
    keys = [_key(network, p) for p in network.projections]
    if not any(key in weights for key in keys):
        return network
    projections = [
        replace(p, map=replace(p.map, weights=weights[key], factor=None)) if key in weights else p
        for key, p in zip(keys, network.projections)
    ]
    words = ", ".join(filter(None, (network.thresholds, CALIBRATED)))
    return replace(network, projections=tuple(projections), thresholds=words)


def weighted(graph: Graph, name: str) -> set[str]:
    """The sources of an activation that it hears through a Conv or Gemm: names of nodes.

    graph: whose node it is. name: the activation's. Sources are activations, MaxPools, the input.
    """
    found: set[str] = set()
    seen: set[tuple[str, bool]] = set()
    waiting = [(before, False) for before in graph.by_name[name].inputs]
    while waiting:
        here, passed = waiting.pop()
        if (here, passed) in seen:
            continue
        seen.add((here, passed))
        node = graph.by_name.get(here)
        if node is None or node.is_activation or node.op == "MaxPool":
            if passed:
                found.add(here)
            continue
        waiting += [(before, passed or node.op in WEIGHTED) for before in node.inputs]
    return found


def _key(network: Network, p: Projection) -> tuple[str | None, str]:
    source = None if p.source == INPUT else network.layers[p.source].name
    return source, network.layers[p.target].name


def _heard(
    simulation: Simulation,
    pixels: NDArray[Any],
    numbers: NDArray[np.int64],
    layer: int,
    workers: int | None,
) -> dict[int, NDArray[np.float64]]:
    """What a layer hears of each source in a step, in thresholds: number -> [N, sites, C]."""
    network = simulation.network
    sources = [p.source for p in network.into(layer)]
    found = {i: np.zeros((len(pixels), network.layers[i].size)) for i in sources if i != INPUT}
    batches = simulation.stream(pixels, numbers=numbers, workers=workers, neurons=True)
    for first, batch in batches if found else ():
        assert batch.counts is not None
        for i, rates in found.items():
            here = batch.counts[:, network.columns(i)]
            rates[first : first + len(here)] = here / top_of(simulation, i)
    heard = {
        i: rates.reshape(len(pixels), -1, network.layers[i].grid[0]) for i, rates in found.items()
    }
    if INPUT in sources:
        x = network.graph.preprocessing(pixels, np.float64)
        heard[INPUT] = x.transpose(0, 2, 3, 1).reshape(len(x), -1, x.shape[1])
    return heard


class _Stairs:
    """A layer's ideal staircase of its mean input, and its distance from the ANN's activations.

    network: up to the layer. layer: its number. heard: of each source, [N, sites, C]. aim: the
    ANN's activations in thresholds, [N, sites, C]. v0: in spikes, [sites, C]. top: the spikes that
    stand for the threshold.
    """

    def __init__(
        self,
        network: Network,
        layer: int,
        heard: Mapping[int, NDArray[np.float64]],
        aim: NDArray[Any],
        v0: NDArray[np.float64],
        top: int,
    ) -> None:
        self.network = network
        self.heard, self.aim, self.v0, self.top = heard, aim.astype(np.float64), v0, top
        names = weighted(network.graph, activation_of(network.layers[layer]).name)
        self.fixed = np.broadcast_to(network.layers[layer].bias, self.aim.shape).copy()
        self.trained: dict[int, Projection] = {}
        for p in network.into(layer):
            name = network.graph.input if p.source == INPUT else network.layers[p.source].name
            if name in names:
                own = replace(p.map, weights=p.map.blocks.astype(np.float64), factor=None)
                self.trained[p.source] = replace(p, map=own)
            else:
                self.fixed += p.map(heard[p.source])
        theta = float(network.layers[layer].theta)
        self.unit = {
            i: (1.0 if i == INPUT else float(network.layers[i].theta)) / theta for i in self.trained
        }

    def weights(self) -> Weights:
        """The blocks as they are."""
        return {_key(self.network, p): p.map.weights for p in self.trained.values()}

    def charge(self, images: Any) -> NDArray[np.float64]:
        """v(0) and the mean input in all steps, in spikes, [n, sites, C]. images: which."""
        y = self.fixed[images].copy()
        for i, p in self.trained.items():
            y += p.map(self.heard[i][images])
        return y * self.top + self.v0

    def output(self, charge: NDArray[np.float64]) -> NDArray[np.float64]:
        """The staircase in thresholds. charge: of `charge`."""
        return np.floor(np.clip(charge, 0, self.top)) / self.top

    def distance(self) -> float:
        """The mean squared distance, some images at a time."""
        parts = [slice(start, start + BATCH) for start in range(0, len(self.aim), BATCH)]
        sums = [((self.output(self.charge(part)) - self.aim[part]) ** 2).sum() for part in parts]
        return float(np.sum(sums) / self.aim.size)

    def slopes(self, images: Any) -> dict[int, NDArray[np.float64]]:
        """The gradient of each source's blocks. images: which.

        Of the squared distance, summed over channels, mean of images and places; the floor counts
        as the identity, and nothing passes where the staircase ends.
        """
        charge = self.charge(images)
        off = self.output(charge) - self.aim[images]
        inside = (charge >= 0) & (charge <= self.top)
        slope = 2 * off * inside / (off.shape[0] * off.shape[1])
        return {i: _by_blocks(p.map, self.heard[i][images], slope) for i, p in self.trained.items()}

    def descend(self, rounds: int, random: np.random.Generator) -> float:
        """Steps of Adam; returns the mean change of a weight, of the mean size of one.

        rounds: how many. random: draws the images of each.
        """
        blocks = {i: p.map.weights for i, p in self.trained.items()}
        before = {i: values.copy() for i, values in blocks.items()}
        first = {i: np.zeros_like(values) for i, values in blocks.items()}
        second = {i: np.zeros_like(values) for i, values in blocks.items()}
        for t in range(rounds):
            rate = RATE * (1 + np.cos(np.pi * t / rounds)) / 2
            for i, slope in self.slopes(random.permutation(len(self.aim))[:BATCH]).items():
                first[i] += (1 - BETAS[0]) * (slope - first[i])
                second[i] += (1 - BETAS[1]) * (slope**2 - second[i])
                mean = first[i] / (1 - BETAS[0] ** (t + 1))
                size = np.sqrt(second[i] / (1 - BETAS[1] ** (t + 1)))
                blocks[i] -= rate * self.unit[i] * mean / (size + TINY)
        moved, sizes = (
            sum(np.abs(values).sum() for values in each)
            for each in (
                [blocks[i] - before[i] for i in blocks],
                before.values(),
            )
        )
        return float(moved / sizes) if sizes else 0.0


def _by_blocks(
    m: LinearMap, x: NDArray[np.float64], slope: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The gradient of a map's blocks, float64 [K, G, ci, co]; 0 where there is no synapse.

    x: what its sources send, [n, sites, C]. slope: the gradient of what arrives, [n, sites, C].
    """
    count, groups, ci, co = m.weights.shape
    reached = slope[..., m.columns]
    found = np.zeros(m.weights.shape)
    order = np.argsort(m.k, kind="stable")
    bounds = np.searchsorted(m.k[order], np.arange(count + 1))
    for k in range(count):
        taps = order[bounds[k] : bounds[k + 1]]
        sent = x[:, m.p[taps]].reshape(-1, groups, ci)
        came = reached[:, m.r[taps]].reshape(-1, groups, co)
        found[k] = np.matmul(sent.transpose(1, 2, 0), came.transpose(1, 0, 2))
    return found if m.exists is None else found * m.exists
