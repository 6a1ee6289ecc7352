"""Charge that arrives without a spike: one deterministic sum a neuron, whatever the machine or the batch."""
from __future__ import annotations

import numpy as np

from eventsnn.engine.order import spike_hash
from eventsnn.jit import kernel
from eventsnn.network import INPUT


@kernel
def add_charge(p, r, row, ci, co, blocks, x, out):
    """out[r, :] += x[p, :] through the block at `row`, tap by tap, in the numbers of `out`.

    A library's matrix product may add in another order on another machine; this one never does.
    """
    channels = x.shape[1]
    for tap in range(p.size):
        for c in range(channels):
            value, start, to = x[p[tap], c], row[tap] + c * co, c // ci * co
            if value != 0:
                for i in range(co):
                    out[r[tap], to + i] += value * blocks[start + i]


@kernel
def rate_spikes(x, largest, seed, image, step, out):
    """Input i fires sign(x[i]) with probability min(1, |x[i]| / largest), by a hash of (seed, image, step, i)."""
    for site in range(x.shape[0]):
        for c in range(x.shape[1]):
            bits = spike_hash(seed, image, np.int64(step) * x.size + site * x.shape[1] + c) >> np.uint64(11)
            fires = bits * 2.0**-53 * largest < abs(x[site, c])
            out[site, c] = 0 if not fires else 1 if x[site, c] > 0 else -1


def by_site(image):
    """[C, H, W] -> [H * W, C]"""
    return np.ascontiguousarray(image.reshape(len(image), -1).T)


def drive_of(network, arithmetic, image, scales):
    """What one presentation of an image brings: W x + b to layers that see the input, b to the others.

    image: preprocessed [C, H, W]. scales: q per normalised threshold, float64 [layers]. Returns the arithmetic's
    dtype, [neurons], readout included.
    """
    x = by_site(image).astype(np.float64)
    parts = []
    for i, layer in enumerate(network.layers):
        total = layer.bias
        for p in network.into(i):
            if p.source == INPUT:
                blocks = p.map.blocks
                total = np.ascontiguousarray(total).copy()
                add_charge(p.map.p, p.map.r, p.map.k * blocks[0].size, blocks.shape[2], blocks.shape[3], blocks.reshape(-1), x, total)
        parts.append(arithmetic.quantise(total * scales[i]).reshape(-1))
    return np.concatenate(parts)


def add_inputs(network, blocks_of, spikes, out):
    """Add the charge of spiking inputs, whole numbers [sites, C], to `out` [neurons], with the arithmetic's own weights."""
    first = 0
    for i, layer in enumerate(network.layers):
        for p in network.into(i):
            if p.source == INPUT:
                blocks = blocks_of(p)
                add_charge(p.map.p, p.map.r, p.map.k * blocks[0].size, blocks.shape[2], blocks.shape[3], blocks.reshape(-1),
                           spikes.astype(out.dtype), out[first:first + layer.size].reshape(len(layer.bias), -1))
        first += layer.size


def even_parts(total, count):
    """`total` [neurons] in `count` rows that add up to it (SpikeZIP 3.2); whole numbers differ by at most 1, evenly spread."""
    if total.dtype.kind == "f":
        return np.repeat((total / total.dtype.type(count))[None], count, axis=0)
    sums = np.arange(count + 1, dtype=np.int64)[:, None] * total.astype(np.int64) // count
    return np.diff(sums, axis=0).astype(total.dtype)
