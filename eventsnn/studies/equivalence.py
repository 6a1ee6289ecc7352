"""The quantised ANN in the simulation's own whole numbers: what ST-BIF neurons come to once nothing
fires any more (SpikeZIP Theorem 1).
"""

from __future__ import annotations

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.network import linear
from eventsnn.network.network import INPUT

EXACT = 2.0**53  # up to here float64 sums of whole numbers are exact


def quantised(simulation, pixels):
    """(net spikes int64 [N, neurons], readout [N, classes]) of the quantised ANN for raw images [N,
    C, H, W], layer by layer.

    S = min(max(floor((v(0) + drive + sum of w S) / q), 0), S_max) for every neuron (SpikeZIP eq. 2
    with v(0) for its rounding), in the weights, drive and v(0) that the simulation computes with:
    at equilibrium its net spikes and its readout are these, in any order of arrival (semantics,
    section 7, laws 2 and 3). Needs ST-BIF neurons in fixed point and a drive that ends (encoding
    even).
    """
    limits = getattr(simulation.neuron, "limits", None)
    if (
        limits is None
        or simulation.arithmetic.dtype.kind != "i"
        or simulation.drive_steps >= simulation.steps
    ):
        raise InputError(
            "equivalence",
            "st-bif neurons in fixed point, encoding even, and more steps than the drive lasts",
            f"{type(simulation.neuron).__name__}, {simulation.arithmetic.kind}, encoding {simulation.encoding.kind}, "
            f"{simulation.drive_steps} of {simulation.steps} steps with drive",
            "choose them",
        )
    totals = simulation.resting + np.stack(
        [simulation.drive(image).sum(axis=0, dtype=np.int64) for image in pixels]
    )
    return staircases(simulation, totals, limits)


def staircases(simulation, totals, tops):
    """(counts int64 [N, neurons], readout [N, classes]) where every layer is its ideal staircase of
    what arrives from the layers before.

    S = min(max(floor((total + sum of w S) / q), 0), top), layer by layer, in the simulation's whole
    numbers. totals: int64 [N, neurons], v(0) and all drive. tops: the most spikes of each layer's
    neurons.
    """
    network, one = simulation.network, simulation.arithmetic.one.item()
    first = np.cumsum([0, *(layer.size for layer in network.layers)])
    counts = np.zeros(totals.shape, np.int64)
    for i, layer in enumerate(network.layers):
        here = slice(first[i], first[i + 1])
        if layer.pools:
            (p,) = network.into(i)
            counts[:, here] = linear.largest(p.map, _by_site(network, p.source, counts)).reshape(
                len(counts), -1
            )
            continue
        charge = totals[:, here] + arrived(simulation, i, counts)
        if layer.node is None:
            return counts, charge
        counts[:, here] = np.clip(charge // one, 0, tops[i])


def arrived(simulation, layer, counts):
    """The charge that net spikes [N, neurons] of all layers bring to layer number `layer`: int64
    [N, its neurons], without drive.
    """
    network, charge = (
        simulation.network,
        np.zeros((len(counts), simulation.network.layers[layer].size), np.int64),
    )
    for p in network.into(layer):
        if p.source != INPUT:
            charge += _apply(
                p.map, simulation.blocks(p), _by_site(network, p.source, counts)
            ).reshape(len(counts), -1)
    return charge


def _by_site(network, layer, counts):
    """The columns of one layer as [N, sites, C]."""
    end = sum(each.size for each in network.layers[: layer + 1])
    size, channels = network.layers[layer].size, network.layers[layer].grid[0]
    return counts[:, end - size : end].reshape(len(counts), -1, channels)


def _apply(taps, blocks, spikes):
    """The map with these whole-numbered blocks on net spikes [N, sites, C]; int64."""
    most = (
        float(np.abs(blocks).max(initial=0))
        * float(np.abs(spikes).max(initial=0))
        * blocks.shape[2]
        * np.bincount(taps.r).max()
    )
    kind = np.float64 if most < EXACT else np.int64
    return linear.LinearMap(taps.sites, taps.p, taps.r, taps.k, blocks.astype(kind))(
        spikes.astype(kind)
    ).astype(np.int64)
