"""Drive from the input: one deterministic sum a neuron, whatever the machine or the batch."""
from __future__ import annotations

import numpy as np

from eventsnn.jit import kernel
from eventsnn.network import INPUT


@kernel
def add_charge(p, r, row, ci, co, blocks, x, out):
    """out[r, :] += x[p, :] through the block at `row`, tap by tap, in float64.

    A library's matrix product may add in another order on another machine; this one never does.
    """
    channels = x.shape[1]
    for tap in range(p.size):
        for c in range(channels):
            value, start, to = x[p[tap], c], row[tap] + c * co, c // ci * co
            for i in range(co):
                out[r[tap], to + i] += value * blocks[start + i]


def drive_of(network, arithmetic, image):
    """What arrives at the beginning of a step: W x + b of layers that see the input, b of the others.

    image: preprocessed [C, H, W]. Returns the arithmetic's dtype, [neurons], readout included.
    """
    x = np.ascontiguousarray(image.reshape(len(image), -1).T, np.float64)
    parts = []
    for i, layer in enumerate(network.layers):
        total = layer.bias
        for p in network.into(i):
            if p.source == INPUT:
                blocks = p.map.blocks
                total = np.ascontiguousarray(total).copy()
                add_charge(p.map.p, p.map.r, p.map.k * blocks[0].size, blocks.shape[2], blocks.shape[3], blocks.reshape(-1), x, total)
        parts.append(arithmetic.quantise(total * arithmetic.scale(network, i)).reshape(-1))
    return np.concatenate(parts)
