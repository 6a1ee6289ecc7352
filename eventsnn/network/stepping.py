"""Thresholds that are found while the network steps, layer after layer.

What a layer hears is computed from the graph itself: the linear operators between two layers see,
in each step, the charge that the layers before send in it. So no weights have to be normalised by
thresholds that are not known yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.blas import ONE_BLAS_THREAD
from eventsnn.ann.forward import apply
from eventsnn.ann.graph import Graph, Node
from eventsnn.exceptions import InputError, named

CHUNK = 2**24  # values of one node that are held at a time
MOST = 2**32  # bytes of one layer's spikes on all images and steps


def spike_norm(
    graph: Graph, pixels: NDArray[Any], names: Sequence[str], steps: int
) -> dict[str, float]:
    """Name of activation -> the largest charge of one step of any neuron, image and step.

    Layer by layer the spiking network runs on the calibration images up to the layer, with the
    thresholds found so far, and the largest charge that comes in one step is the layer's threshold
    (SpikeNorm algorithm 1; Diehl's is the largest of the ANN's activations). The neurons are IF
    with v(0) = theta/2 in clocked time and the input is constant, as in a run by default; the
    paper's is a train of Poisson spikes, and its neurons begin at 0. Numbers are float32,
    potentials float64.

    graph: the ANN, after the passes of `convert`. pixels: raw calibration images [N, C, H, W].
    names: of all activations of the graph. steps: T. Raises InputError where other rules decide
    some of them, and for more images than memory is meant for.
    """
    every = [node.name for node in graph.activations]
    if set(names) != set(every):
        other = next(name for name in every if name not in names)
        rule = named("thresholds", "spike-norm")
        raise InputError(rule, "to decide all layers", f"another rule for {other!r}")
    running = _Running(graph, pixels, steps)
    found = {}
    for node in running.layers:
        if node.is_activation:
            largest = max(float(charge.max()) for _, _, charge in running.charges(node))
            found[node.name] = largest
            if largest <= 0:
                break  # nothing behind it ever hears from it: `choose_thresholds` says so
            running.fire(node, largest)
        else:
            running.pool(node)
    return {name: found.get(name, 0.0) for name in names}


class _Running:
    """The spikes of a clocked run on some images, layer by layer.

    graph: the ANN. pixels: raw, [N, C, H, W]. steps: T. layers: activations and pools, in order.
    trains: name of a layer -> (theta, int8 [T, N, ...], its net spikes in each step), as long as a
    later layer hears it. Raises InputError where one layer's would take more than 4 GiB.
    """

    def __init__(self, graph: Graph, pixels: NDArray[Any], steps: int) -> None:
        self.graph = graph
        self.pixels = pixels
        self.steps = steps
        self.layers: list[Node] = []
        self.trains: dict[str, tuple[float, NDArray[np.int8]]] = {}
        # what each node's value comes from by linear operators alone: layers, or the input
        self._sources = {graph.input: frozenset([graph.input])}
        self._heard: dict[str, frozenset[str]] = {}
        for node in graph.nodes:
            heard = frozenset().union(*(self._sources[name] for name in node.inputs))
            self._sources[node.name] = heard
            if node.is_activation or (node.op == "MaxPool" and heard != {graph.input}):
                self.layers.append(node)
                self._heard[node.name] = heard
                self._sources[node.name] = frozenset([node.name])
        largest = max(math.prod(graph.shapes[node.name]) for node in self.layers)
        most = MOST // (steps * largest)
        if len(pixels) > most:
            expected = f"at most {most:,} images for {steps:,} steps of this network"
            raise InputError("calibration", expected, f"{len(pixels):,}", "give fewer of them")
        sizes = (math.prod(shape) for shape in graph.shapes.values())
        self._batch = max(1, CHUNK // max(sizes))

    def charges(self, node: Node) -> Iterator[tuple[slice, int, NDArray[np.float32]]]:
        """Yields (images, step from 0, charge that arrives at a layer in it, [n, ...]).

        Images come some at a time, each with all its steps. What hears the input alone hears the
        same in every step, and is told once, as step 0.
        """
        constant = self._is_constant(node)
        for start in range(0, len(self.pixels), self._batch):
            some = slice(start, start + self._batch)
            known = {self.graph.input: self.graph.preprocessing(self.pixels[some])}
            with ONE_BLAS_THREAD:
                for step in range(1 if constant else self.steps):
                    values = dict(known)
                    yield some, step, self._value(node.inputs[0], values, some, step)
                    of_input = {self.graph.input}
                    known.update((n, x) for n, x in values.items() if self._sources[n] == of_input)

    def _is_constant(self, node: Node) -> bool:
        """Whether a layer hears the input alone, and so the same in every step."""
        return self._heard[node.name] == {self.graph.input}

    def _value(
        self, name: str, values: dict[str, NDArray[Any]], some: slice, step: int
    ) -> NDArray[np.float32]:
        """A node's value in a step; `values` has, and takes, those that are known."""
        if name not in values:
            if name in self.trains:
                theta, spikes = self.trains[name]
                values[name] = spikes[step, some] * np.float32(theta)
            else:
                node = self.graph.by_name[name]
                inputs = [self._value(n, values, some, step) for n in node.inputs]
                values[name] = apply(node, inputs)
        return values[name]

    def fire(self, node: Node, theta: float) -> None:
        """Lets a layer of neurons fire. theta: its threshold."""
        v = np.zeros(0)

        def spikes(some: slice, step: int, charge: NDArray[np.float32]) -> NDArray[np.bool_]:
            nonlocal v
            v = (v if step else theta / 2) + charge.astype(np.float64)
            fired = v >= theta
            v -= theta * fired
            return fired

        self._keep(node, theta, spikes)

    def pool(self, node: Node) -> None:
        """Lets a pool answer with the change of its extremum (semantics, section 10)."""
        theta = next(self.trains[name][0] for name in self._heard[node.name])
        sums = at = np.zeros(0, np.float32)

        def spikes(some: slice, step: int, charge: NDArray[np.float32]) -> NDArray[np.float32]:
            nonlocal sums, at
            counts = np.rint(charge / np.float32(theta))
            sums = counts + (sums if step else 0)
            before = at if step else np.float32(0)
            at = apply(node, [sums])
            return at - before

        self._keep(node, theta, spikes)

    def _keep(self, node: Node, theta: float, spikes: Callable[..., NDArray[Any]]) -> None:
        """Keeps what a layer sends, and forgets layers that nobody hears any more."""
        shape = self.graph.shapes[node.name]
        train = np.zeros((self.steps, len(self.pixels), *shape), np.int8)
        for some, step, charge in self.charges(node):
            for each in range(self.steps) if self._is_constant(node) else (step,):
                train[each, some] = spikes(some, each, charge)
        self.trains[node.name] = (theta, train)
        later = self.layers[self.layers.index(node) + 1 :]
        heard = frozenset().union(*(self._heard[n.name] for n in later))
        self.trains = {name: x for name, x in self.trains.items() if name in heard}
