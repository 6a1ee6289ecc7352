"""Charge that arrives without a spike: one deterministic sum a neuron, whatever the machine or the
batch.
"""

from __future__ import annotations

import numpy as np

from eventsnn.engine.hashing import spike_hash
from eventsnn.engine.jit import kernel


@kernel
def add_charge(p, r, row, ci, co, blocks, x, out):
    """out[r, :] += x[p, :] through the block at `row`, tap by tap, in the numbers of `out`.

    A library's matrix product may add in another order on another machine; this one never does.
    """
    channels, width, flat, values = x.shape[1], np.uint64(co), out.reshape(-1), x.reshape(-1)
    for tap in range(p.size):
        for c in range(channels):
            value = values[p[tap] * channels + c]
            start, to = (
                np.uint64(row[tap] + c * co),
                np.uint64(r[tap] * out.shape[1] + c // ci * co),
            )
            if value != 0:
                for i in range(width):
                    flat[to + i] += value * blocks[start + i]


@kernel
def rate_spikes(x, largest, seed, image, step, out):
    """Input i fires sign(x[i]) with probability min(1, |x[i]| / largest), by a hash of (seed,
    image, step, i).
    """
    for site in range(x.shape[0]):
        for c in range(x.shape[1]):
            bits = spike_hash(
                seed, image, np.int64(step) * x.size + site * x.shape[1] + c
            ) >> np.uint64(11)
            fires = bits * 2.0**-53 * largest < abs(x[site, c])
            out[site, c] = 0 if not fires else 1 if x[site, c] > 0 else -1
