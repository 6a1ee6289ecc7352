"""Charge that arrives without a spike.

It is one deterministic sum a neuron, whatever the machine or the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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


class Shares:
    """The drive of one step in parts, one after the other (semantics, section 12).

    Part j is floor((j + 1) D / n) - floor(j D / n); in floating point D / n.

    drive: D, the arithmetic's dtype [neurons]. count: n, from 1. finer: bits that are 0 in each
    number, see `Arithmetic`.
    """

    def __init__(self, drive: NDArray[Any], count: int, finer: int = 0) -> None:
        self.count = count
        self.finer = finer
        self.exact = drive.dtype.kind == "i"
        if not self.exact:
            self.each: NDArray[Any] = drive / drive.dtype.type(count)
            return
        # D = each n + rest, so a part is `each`, or one more where the rests so far reach n
        self.each, rest = np.divmod(drive >> finer, drive.dtype.type(count))
        self.rest = rest.astype(np.int32)
        self.left = np.zeros_like(self.rest)

    def next(self) -> NDArray[Any]:
        """The next part, the arithmetic's dtype [neurons]."""
        if not self.exact:
            return self.each
        left = self.left + self.rest
        full = left >= self.count
        self.left = np.where(full, left - self.count, left)
        return (self.each + full) << self.finer

    def __repr__(self) -> str:
        return f"<Shares: {self.count} parts of the drive of {len(self.each):,} neurons>"
