"""SNNC: biases and potentials that bring each layer's mean to the ANN's, layer after layer.

From input to output, each layer runs behind those that are already calibrated. What its mean lacks
of the ANN's goes into the biases of its channels (bias calibration, SNNC's light pipeline), or into
v(0) of its neurons (potential calibration). As in its code (bias_corr_model, emp_bias_corr) each
layer is run once, and activations are the ANN's own, not clipped to the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.network.network import Layer, Network
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_gradient import ROUNDS, Learned, Weights, learned, with_weights
from eventsnn.studies.setting import activation_of, neuron_layers, numbers_of, simulated, top_of
from eventsnn.studies.up_to import up_to, worth
from eventsnn.views.progress import following

METHODS = ("v0", "bias", "potential", "weights")
CALIBRATED_BIASES = "biases calibrated"  # what a network's thresholds say then
FURTHEST = 1000.0  # what v(0) may be at most, in spikes


def by_means(
    network: Network,
    simulation: Simulation,
    pixels: NDArray[Any],
    numbers: NDArray[np.int64],
    method: str,
    settings: dict[str, Any],
    workers: int | None,
    progress: bool | None,
    rounds: int = ROUNDS,
) -> tuple[
    Simulation,
    int,
    dict[str, NDArray[np.float64]],
    list[dict[str, Any]],
    dict[str, NDArray[np.float64]],
    Weights,
]:
    """(the calibrated simulation, images, v(0) by layer, rows, biases by layer, weights).

    network: as it was converted. simulation: of it, before. pixels: raw, [N, C, H, W]. numbers: the
    images' positions, [N]. method: "bias", "potential" or "weights", which calibrates potentials
    behind its weights. settings: of `Simulation` and `Time`, but for T. workers: threads. progress:
    whether a bar is shown. rounds: for "weights". They are the fields of `calibrating.Calibration`.
    """
    steps = simulation.steps  # its network has the biases of a shift, and each run adds them
    start = {layer.name: simulation.initial[i] for i, layer in enumerate(network.spiking)}
    potentials: dict[str, NDArray[np.float64]] = {}
    biases: dict[str, NDArray[np.float64]] = {}
    learnt = Learned({}, {}, {}, {})
    rows = []

    def of(part: Network) -> Simulation:
        its = with_weights(with_biases(part, biases), learnt.weights)
        begins = [
            potentials.get(layer.name, start.get(layer.name, np.zeros(layer.size)))
            for layer in part.spiking
        ]
        its_own = {**settings, "initial": begins}
        return simulated(its, pixels, "calibrate", steps=steps, **its_own)[0]

    def fired(part: Network, layer: str) -> NDArray[np.float64]:
        """The mean spikes of a layer's neurons."""
        here = part.columns(numbers_of(part)[layer])
        sums = np.zeros(here.stop - here.start)
        batches = of(part).stream(pixels, numbers=numbers, workers=workers, neurons=True)
        for _, batch in batches:
            assert batch.counts is not None
            sums += batch.counts[:, here].sum(axis=0)
        bar.update()
        return sums / len(pixels)

    layers = neuron_layers(network)
    if method == "weights":
        learnt = learned(network, simulation, pixels, numbers, of, rounds, workers, progress)
    with following(2 * len(layers), "run", progress) as bar:
        for i, layer in layers.items():
            part = up_to(network, layer)
            top = top_of(simulation, i)
            ideal = worth(part.graph, layer, pixels, top)
            ideal = ideal.reshape(len(pixels), -1).mean(axis=0, dtype=np.float64)
            before = fired(part, layer.name)
            lacks = ideal - before
            if method == "bias":
                change = by_channel(lacks, layer) / top
                biases[layer.name] = change * _theta(layer)
                row = {"change": float(change.mean())}
            else:
                change = np.clip(start[layer.name] + lacks, -FURTHEST, FURTHEST)
                potentials[layer.name] = change
                row = {"v(0)": float(change.mean())}
                if method == "weights":
                    row["moved"] = learnt.moved[layer.name]
                    row["off before"] = learnt.before[layer.name]
                    row["off"] = learnt.after[layer.name]
            row |= {"least": float(change.min()), "most": float(change.max())}
            rows.append(
                {
                    "layer": layer.name,
                    "channels": layer.grid[0],
                    **row,
                    **_told(ideal, before, fired(part, layer.name), layer),
                }
            )
    done = of(network)
    shaped = {
        name: _as_activation(v, network.layers[numbers_of(network)[name]], network)
        for name, v in potentials.items()
    }
    return done, len(pixels), shaped, rows, biases, learnt.weights


def with_biases(network: Network, biases: Mapping[str, NDArray[np.float64]]) -> Network:
    """A network whose channels have other biases; its graph is still the ANN.

    network: whose layers. biases: name of a layer -> what is added to its channels' biases, in
    units of its activation, [C].
    """
    layers = [
        replace(layer, bias=layer.bias + biases[layer.name] / layer.theta)
        if layer.name in biases
        else layer
        for layer in network.layers
    ]
    words = network.thresholds
    if biases:
        words = ", ".join(filter(None, (words, CALIBRATED_BIASES)))
    return replace(network, layers=tuple(layers), thresholds=words)


def by_channel(values: NDArray[np.float64], layer: Layer) -> NDArray[np.float64]:
    """The mean of each channel, [C]. values: of a layer's neurons, [neurons]."""
    return np.asarray(values.reshape(-1, layer.grid[0]).mean(axis=0))


def _theta(layer: Layer) -> NDArray[np.float64]:
    """A layer's threshold, or the mean of each channel's, in units of the activation."""
    return np.broadcast_to(layer.theta, (layer.size // layer.grid[0], layer.grid[0])).mean(axis=0)


def _as_activation(
    values: NDArray[np.float64], layer: Layer, network: Network
) -> NDArray[np.float64]:
    """v(0) of a layer's neurons in its activation's shape."""
    shape = network.graph.shapes[activation_of(layer).name]
    return np.ascontiguousarray(values.reshape(-1, layer.grid[0]).T).reshape(shape)


def _told(
    ideal: NDArray[np.float64],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    layer: Layer,
) -> dict[str, float]:
    """What a row tells of mean spikes, as `calibrating.Calibration` has it."""
    found = {"ANN": float(ideal.mean()), "before": float(before.mean())}
    found["after"] = float(after.mean())
    for when, values in ((" before", before), ("", after)):
        found[f"apart{when}"] = float(abs(by_channel(values - ideal, layer)).mean())
    return found
