"""Charge that arrives without a spike.

It is one deterministic sum a neuron, whatever the machine or the batch.
"""

from __future__ import annotations

import numpy as np

from eventsnn.engine.hashing import spike_hash
from eventsnn.engine.jit import kernel


@kernel
def add_charge(p, r, row, ci, co, blocks, x, out):
    """Adds x[p[k], :] through the block at row[k] to out[r[k], :], tap k by tap.

    A library's matrix product may add in another order on another machine; this one never does.

    p, r: integers [taps], source and target site of a tap. row: int64 [taps], where its block
    begins in `blocks`. ci, co: source and target channels of a group. blocks: the weights. x:
    [sites, channels], the sources. out: [sites, channels], the targets' charge; its dtype is that
    of the sum.
    """
    channels = x.shape[1]
    width = np.uint64(co)
    flat = out.reshape(-1)
    values = x.reshape(-1)
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
    """Makes input i fire sign(x[i]) with probability min(1, |x[i]| / largest).

    Whether it fires is decided by a hash of (seed, image, step, i).

    x: [sites, channels], the preprocessed image. largest: the value that fires in every step. seed:
    of the run. image: its number in the data set. step: from 0. out: [sites, channels], which gets
    -1, 0 or 1.
    """
    for site in range(x.shape[0]):
        for c in range(x.shape[1]):
            bits = spike_hash(
                seed, image, np.int64(step) * x.size + site * x.shape[1] + c
            ) >> np.uint64(11)
            fires = bits * 2.0**-53 * largest < abs(x[site, c])
            out[site, c] = 0 if not fires else 1 if x[site, c] > 0 else -1
