"""Random numbers that depend on nothing but what they are for: hashes of seed, image and spike."""

from __future__ import annotations

import numpy as np

from eventsnn.engine.jit import inner_kernel


@inner_kernel
def splitmix64(x):
    """Returns one output of SplitMix64 (Steele, Lea, Flood 2014), uint64.

    x: the state, uint64.
    """
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@inner_kernel
def spike_hash(seed, image, seq):
    """Returns 64 random bits that depend on nothing but the three arguments, uint64.

    seed: of the run, int64. image: its number in the data set, int64. seq: the spike's place in the
    order of emission, int64.
    """
    return splitmix64(splitmix64(splitmix64(np.uint64(seed)) ^ np.uint64(image)) ^ np.uint64(seq))
