"""Order policies: when a spike is delivered, and in what order among those due at the same time.

A policy is a small function

    policy(order, spike) -> (delay, key)

here below, and `Order` chooses among them. A user's own is a NamedTuple of constants with one
static function

    place(order, spike) -> (delay, key)

delay: ticks from now, at least 0. key: int64; of what is due at one tick the smaller key comes
first, equal keys in the order of emission. `spike` tells what is to be delivered: `seq` (place in
the order of emission), `layer`, `neuron` (in its layer), `nth` (spikes the neuron sent before),
`number` (the neuron's place among all), `target` (the layer it goes to, -1 for all), `waits` (1 for
the half that waits, else 0), `part` (which of its parcels), `image` (the image's number in its data
set).

Its field `halves` says how a spike is delivered: WHOLE, all at once; EXCITATORY or INHIBITORY, in
two halves for each projection, charges >= 0 and charges < 0, where the half named is the first. The
class may stand in any importable module; the engines need no change.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from eventsnn.engine.hashing import spike_hash
from eventsnn.engine.jit import inner_kernel

WHOLE, EXCITATORY, INHIBITORY = 0, 1, 2


class Parcel(NamedTuple):
    """What `place` is told about a spike on its way; all int64."""

    seq: int
    layer: int
    neuron: int
    nth: int
    number: int
    target: int
    waits: int
    part: int
    image: int


def place(order, spike):
    return type(order).place(order, spike)


@overload(place)
def _place(order, spike):
    return order.instance_class.place


KINDS = ("fifo", "lifo", "index", "random", "halves", "uniform", "exponential", "replay", "clocked")
FIFO, LIFO, INDEX, RANDOM, HALVES, UNIFORM, EXPONENTIAL, REPLAY, CLOCKED = range(9)
NOTHING = np.zeros(0, np.int64)


class Order(NamedTuple):
    """The policies that come with eventsnn, in one type, so that an engine is compiled once for all
    of them.

    kind: one of the numbers above. seed, low, high (ticks), mean (ticks): of `random` and the
    jitters. first, parcels, delay, key: of `replay`, see `replay_order`.
    """

    kind: int
    halves: int = WHOLE
    seed: int = 0
    low: int = 0
    high: int = 0
    mean: float = 0.0
    first: np.ndarray = NOTHING
    parcels: np.ndarray = NOTHING
    delay: np.ndarray = NOTHING
    key: np.ndarray = NOTHING

    @staticmethod
    def place(order, spike):
        if order.kind == LIFO:
            return lifo(order, spike)
        if order.kind == INDEX:
            return index(order, spike)
        if order.kind == RANDOM:
            return random(order, spike)
        if order.kind == HALVES:
            return halves(order, spike)
        if order.kind == UNIFORM:
            return uniform(order, spike)
        if order.kind == EXPONENTIAL:
            return exponential(order, spike)
        if order.kind == REPLAY:
            return replay(order, spike)
        return 0, 0  # in the order of emission: fifo, delays, clocked


def is_kind(order, *kinds):
    """Whether a policy is one of these that come with eventsnn."""
    return isinstance(order, Order) and order.kind in kinds


@inner_kernel
def lifo(order, spike):
    """The deepest layer first, in it the latest spike first."""
    return 0, -((spike.layer << 40) + spike.seq) - 1


@inner_kernel
def index(order, spike):
    """By layer and neuron; spikes of one neuron in the order of emission."""
    return 0, (spike.layer << 40) + spike.neuron + 1


@inner_kernel
def random(order, spike):
    """In random order, by a hash of (seed, image, spike)."""
    return 0, np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(1)) | 1


@inner_kernel
def halves(order, spike):
    """excitatory_first, inhibitory_first: of a tick, all charges of one sign come before all of the
    other.

    Earlier targets come first, so when the first half is delivered to a layer, all its sources have
    done what they will do at this tick.
    """
    return 0, 2 * spike.target + spike.waits + 1


@inner_kernel
def uniform(order, spike):
    """Jitter: a delay of low to high ticks, all equally likely."""
    bits = np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(32))
    return order.low + ((bits * (order.high - order.low + 1)) >> 32), 0


@inner_kernel
def exponential(order, spike):
    """Jitter: an exponentially distributed delay with this mean, rounded down to ticks."""
    bits = np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(11))
    return np.int64(-math.log((bits + 1) / 2.0**53) * order.mean), 0


@inner_kernel
def replay(order, spike):
    """As the list says; a spike that is not in it goes without delay, after all of its tick that
    are.
    """
    i = order.first[spike.number] + spike.nth * order.parcels[spike.layer] + spike.part
    if i < order.first[spike.number + 1]:
        return order.delay[i], order.key[i]
    return 0, order.key.size + 1


def replay_order(first, parcels, delay, key, halves=WHOLE):
    """The deliveries of a recorded run, edited or not.

    first: int64 [neurons + 1], where a neuron's parcels begin; parcels: int64 [layers], how many a
    spike of the layer has; delay: int64, ticks (-1: never delivered); key: int64 from 1 on, the
    place among what is due at one tick. Parcels lie by neuron, then its spikes, then their parts.
    """
    return Order(REPLAY, halves, first=first, parcels=parcels, delay=delay, key=key)
