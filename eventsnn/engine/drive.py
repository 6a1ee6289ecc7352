"""Charge that arrives without a spike: one deterministic sum a neuron, whatever the machine or the batch."""
from __future__ import annotations

import numpy as np

from eventsnn.engine.event.order import spike_hash
from eventsnn.engine.jit import kernel
from eventsnn.network.network import INPUT


@kernel
def add_charge(p, r, row, ci, co, blocks, x, out):
    """out[r, :] += x[p, :] through the block at `row`, tap by tap, in the numbers of `out`.

    A library's matrix product may add in another order on another machine; this one never does.
    """
    channels, width, flat, values = x.shape[1], np.uint64(co), out.reshape(-1), x.reshape(-1)
    for tap in range(p.size):
        for c in range(channels):
            value = values[p[tap] * channels + c]
            start, to = np.uint64(row[tap] + c * co), np.uint64(r[tap] * out.shape[1] + c // ci * co)
            if value != 0:
                for i in range(width):
                    flat[to + i] += value * blocks[start + i]


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


def bias_of(network, arithmetic, scales):
    """What arrives whatever the image is: the biases, in the arithmetic's dtype, [neurons], readout included.

    scales: q per normalised threshold, float64 [layers].
    """
    return np.concatenate([arithmetic.quantise(layer.bias * scale).reshape(-1) for layer, scale in zip(network.layers, scales)])


def drive_of(network, arithmetic, image, scales, bias):
    """What one presentation of an image brings: W x + b to layers that see the input, b to the others.

    image: preprocessed [C, H, W]. scales, bias: see `bias_of`. Returns the arithmetic's dtype, [neurons], readout included.
    """
    x, result, first = by_site(image).astype(np.float64), bias.copy(), 0
    for i, layer in enumerate(network.layers):
        seen = [p for p in network.into(i) if p.source == INPUT]
        total = np.array(layer.bias) if seen else None
        for p in seen:
            blocks = p.map.blocks
            add_charge(p.map.p, p.map.r, p.map.k * blocks[0].size, blocks.shape[2], blocks.shape[3], blocks.reshape(-1), x, total)
        if seen:
            result[first:first + layer.size] = arithmetic.quantise(total * scales[i]).reshape(-1)
        first += layer.size
    return result


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
