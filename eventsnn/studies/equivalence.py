"""The quantised ANN in a simulation's own whole numbers.

It is what ST-BIF neurons come to once nothing fires any more (SpikeZIP Theorem 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import Natural, checked
from eventsnn.exceptions import InputError
from eventsnn.network import linear
from eventsnn.network.linear import LinearMap
from eventsnn.network.network import INPUT, Network, Projection
from eventsnn.simulation.prepared import Prepared
from eventsnn.values import shaped, shown

EXACT = 2.0**53  # up to here float64 sums of whole numbers are exact


@checked
def quantised(
    simulation: Prepared, pixels: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(net spikes [N, neurons], readout [N, classes]) of the quantised ANN, both int64.

    S = min(max(floor((v(0) + drive + sum of w S) / q), 0), S_max) for every neuron, layer by layer
    (SpikeZIP eq. 2 with v(0) for its rounding), in the weights, drive and v(0) that the simulation
    computes with. At equilibrium the simulation's net spikes and readout are these, in any order of
    arrival (semantics, section 7, laws 2 and 3).

    simulation: with ST-BIF neurons in fixed point and a drive that ends (encoding "even"). pixels:
    raw images [N, C, H, W]. Raises InputError for another simulation.
    """
    arithmetic, encoding = simulation.arithmetic, simulation.encoding
    limits = getattr(simulation.neuron, "limits", None)
    ends = simulation.drive_steps < simulation.steps
    if limits is None or arithmetic.dtype.kind != "i" or not ends:
        raise InputError(
            "equivalence",
            "st-bif neurons in fixed point, encoding even, and more steps than the drive lasts",
            f"{type(simulation.neuron).__name__}, {arithmetic.kind}, encoding {encoding.kind}, "
            f"{simulation.drive_steps} of {simulation.steps} steps with drive",
            "choose them",
        )
    shaped("pixels", pixels, None, *simulation.network.graph.input_shape)
    drives = [simulation.drive(image).sum(axis=0, dtype=np.int64) for image in pixels]
    return staircases(simulation, simulation.resting + np.stack(drives), limits)


@checked
def staircases(
    simulation: Prepared,
    totals: NDArray[np.int64],
    tops: Sequence[int] | NDArray[np.int64],
    before: NDArray[np.int64] | None = None,
    first: Natural = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(counts [N, neurons], readout [N, classes]) of a network of ideal staircases, both int64.

    S = min(max(floor((total + sum of w S) / q), 0), top), layer by layer, in the simulation's whole
    numbers.

    simulation: whose weights are taken. totals: int64 [N, neurons], v(0) and all drive. tops: the
    most spikes of each layer's neurons, one number a layer. before, first: net spikes of all
    layers, int64 [N, neurons], of which those of the first so many layers stay (0: none).
    """
    network, one = simulation.network, simulation.arithmetic.one.item()
    shaped("totals", totals, None, len(simulation.resting))
    if np.ndim(tops) != 1 or len(tops) < len(network.spiking):
        raise InputError("tops", f"{len(network.spiking)} numbers, one a layer", shown(tops))
    counts = np.zeros(totals.shape, np.int64)
    if before is not None and first:
        shaped("before", before, *totals.shape)
        counts[:, : network.first[first]] = before[:, : network.first[first]]
    for i, layer in enumerate(network.spiking):
        if i < first:
            continue
        here = network.columns(i)
        if layer.pools:
            (p,) = network.into(i)
            pooled = linear.pooled(p.map, _by_site(network, p.source, counts))
            counts[:, here] = pooled.reshape(len(counts), -1)
        else:
            charge = totals[:, here] + arrived(simulation, i, counts)
            counts[:, here] = np.clip(charge // one, 0, tops[i])
    last = len(network.layers) - 1
    return counts, totals[:, network.columns(last)] + arrived(simulation, last, counts)


@checked
def arrived(simulation: Prepared, layer: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The charge that net spikes bring to one layer, without drive: int64 [N, its neurons].

    simulation: whose weights are taken. layer: its number. counts: net spikes of all layers,
    [N, neurons].
    """
    charge = np.zeros(_checked_shape(simulation, layer, counts), np.int64)
    for p, blocks, spikes in _brought(simulation, layer, counts):
        charge += _apply(p.map, blocks, spikes).reshape(charge.shape)
    return charge


@checked
def excitation(simulation: Prepared, layer: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The charge above 0 that net spikes bring to one layer: int64 [N, its neurons].

    It is added up projection by projection and spike by spike, so the rest of `arrived` is
    inhibition. simulation: whose weights are taken. layer: its number. counts: net spikes of all
    layers, [N, neurons], of one step, in which a neuron sends spikes of one sign.
    """
    charge = np.zeros(_checked_shape(simulation, layer, counts), np.int64)
    for p, blocks, spikes in _brought(simulation, layer, counts):
        for sign in (1, -1):
            halves = np.maximum(sign * blocks, 0), np.maximum(sign * spikes, 0)
            if halves[1].any():
                charge += _apply(p.map, *halves).reshape(charge.shape)
    return charge


@checked
def independent(simulation: Prepared, layer: int, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum of (w S)^2 over all net spikes that reach a neuron: float64 [N, the layer's neurons].

    It is the mean square of the charge that they would bring if each neuron's count had either sign
    with probability 1/2, independently. In squared charges of a spike. simulation: whose weights
    are taken. layer: its number. counts: net spikes of all layers, [N, neurons].
    """
    found = np.zeros(_checked_shape(simulation, layer, counts))
    one = float(simulation.arithmetic.one)
    for p, blocks, spikes in _brought(simulation, layer, counts):
        squares = replace(p.map, weights=np.square(blocks / one), factor=None)
        found += squares(np.square(spikes.astype(np.float64))).reshape(found.shape)
    return found


def _checked_shape(simulation: Prepared, layer: int, counts: NDArray[np.int64]) -> tuple[int, int]:
    """(N, neurons of the layer); raises InputError for other layers and other arrays."""
    layers = simulation.network.layers
    if not 0 <= layer < len(layers):
        raise InputError("layer", f"0 to {len(layers) - 1}", layer)
    shaped("counts", counts, None, len(simulation.resting))
    return len(counts), layers[layer].size


def _brought(
    simulation: Prepared, layer: int, counts: NDArray[np.int64]
) -> Iterator[tuple[Projection, NDArray[Any], NDArray[np.int64]]]:
    """Yields (projection, its blocks, net spikes by site) of all that spikes bring to a layer."""
    network = simulation.network
    for p in network.into(layer):
        if p.source != INPUT:
            yield p, simulation.blocks(p), _by_site(network, p.source, counts)


def _by_site(network: Network, layer: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The columns of one layer as [N, sites, C]."""
    channels = network.layers[layer].grid[0]
    return counts[:, network.columns(layer)].reshape(len(counts), -1, channels)


def _apply(taps: LinearMap, blocks: NDArray[Any], spikes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The map with these whole-numbered blocks on net spikes [N, sites, C]; int64."""
    heaviest, most = (float(np.abs(values).max(initial=0)) for values in (blocks, spikes))
    bound = heaviest * most * blocks.shape[2] * np.bincount(taps.r).max()
    kind = np.float64 if bound < EXACT else np.int64
    whole = replace(taps, weights=blocks.astype(kind), factor=None)
    return whole(spikes.astype(kind)).astype(np.int64)
