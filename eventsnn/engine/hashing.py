"""Random numbers that depend on nothing but what they are for: hashes of seed, image and spike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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


@inner_kernel
def place_of(bits, count):
    """Returns floor(bits count / 2^64), one of `count` places, int64.

    bits: 64 random ones, uint64. count: how many places there are, int64 below 2^32.
    """
    half = np.uint64(32)
    wide = np.uint64(count)
    low = ((bits & np.uint64(2**32 - 1)) * wide) >> half
    return np.int64(((bits >> half) * wide + low) >> half)


@inner_kernel
def digest_of(neuron, negative):
    """What a spike adds to the digest of its layer and step, uint64 (semantics, section 17).

    neuron: its number in the layer, int64. negative: 1 for a negative spike, else 0, int64.
    """
    return splitmix64(np.uint64(neuron << 9 | 2 | negative))


def spike_hashes(count: int) -> NDArray[np.uint64]:
    """What spikes add to the digest of their layer and step, uint64 [2, count].

    Of the first `count` neurons of a layer, positive spikes and then negative ones (semantics,
    section 17).
    """
    of_neuron = np.arange(count, dtype=np.uint64) << np.uint64(9)
    return splitmix64.py_func(np.stack([of_neuron | np.uint64(2 + s) for s in (0, 1)]))


def digests_of(train: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The digests of one layer's spikes, uint64 [T] (semantics, section 17).

    train: int64 [T, neurons], what each neuron sent in each step: n spikes, below 0 negative ones.
    """
    positive, negative = spike_hashes(train.shape[1])
    found = np.maximum(train, 0).astype(np.uint64) * positive
    found += np.maximum(-train, 0).astype(np.uint64) * negative
    return found.sum(axis=1, dtype=np.uint64)
