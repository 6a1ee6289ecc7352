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
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from eventsnn.engine.hashing import spike_hash
from eventsnn.engine.jit import inner_kernel

WHOLE, EXCITATORY, INHIBITORY = range(3)


class Parcel(NamedTuple):
    """What `place` gets to know of a spike on its way; all int64. See above for the fields."""

    seq: int
    layer: int
    neuron: int
    nth: int | np.int64
    number: int
    target: int
    waits: int
    part: int
    image: int


def place(order: Any, spike: Parcel) -> tuple[int, int]:
    """(delay, key) of a parcel. order: a policy, a NamedTuple. spike: what is to be delivered."""
    return type(order).place(order, spike)


@overload(place)
def _place(order, spike):
    return order.instance_class.place


# their numbers are in the hashes of traces ("decides"), so they stay as they are
KINDS = (
    "fifo",
    "lifo",
    "index",
    "priority",
    "halves",
    "uniform",
    "exponential",
    "replay",
    "clocked",
    "random",
)
FIFO, LIFO, INDEX, PRIORITY, HALVES, UNIFORM, EXPONENTIAL, REPLAY, CLOCKED, RANDOM = range(10)
NOTHING = np.zeros(0, np.int64)


class Order(NamedTuple):
    """The policies that come with eventsnn, in one type, so that an engine is compiled once.

    kind: one of the numbers above. halves: WHOLE, EXCITATORY or INHIBITORY. seed: of `random`,
    `priority` and the jitters. low, high, mean: ticks, of the jitters. first, parcels, delay, key:
    of `replay`, see `replay_order`.
    """

    kind: int
    halves: int = WHOLE
    seed: int = 0
    low: int = 0
    high: int = 0
    mean: float = 0.0
    first: NDArray[np.int64] = NOTHING
    parcels: NDArray[np.int64] = NOTHING
    delay: NDArray[np.int64] = NOTHING
    key: NDArray[np.int64] = NOTHING

    def __repr__(self) -> str:
        return f"<Order: {KINDS[self.kind]}>"

    @staticmethod
    def place(order, spike):
        """(delay, key) of a parcel, by the policy of this kind."""
        if order.kind == LIFO:
            return lifo(order, spike)
        if order.kind == INDEX:
            return index(order, spike)
        if order.kind == PRIORITY:
            return priority(order, spike)
        if order.kind == HALVES:
            return halves(order, spike)
        if order.kind == UNIFORM:
            return uniform(order, spike)
        if order.kind == EXPONENTIAL:
            return exponential(order, spike)
        if order.kind == REPLAY:
            return replay(order, spike)
        # in the order of emission: fifo, delays, clocked; of random the queue itself knows that any
        # may be the next
        return 0, 0


def is_kind(order: Any, *kinds: int) -> bool:
    """Whether a policy is one of these that come with eventsnn.

    order: the policy, a NamedTuple. kinds: numbers, such as FIFO.
    """
    return isinstance(order, Order) and order.kind in kinds


@inner_kernel
def lifo(order, spike):
    """(delay, key): the deepest layer first, in it the latest spike first."""
    return 0, -((spike.layer << 40) + spike.seq) - 1


@inner_kernel
def index(order, spike):
    """(delay, key): by layer and neuron; spikes of one neuron in the order of emission."""
    return 0, (spike.layer << 40) + spike.neuron + 1


@inner_kernel
def priority(order, spike):
    """(delay, key): by a hash of (seed, image, spike). Fresh spikes overtake old ones."""
    return 0, np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(1)) | 1


@inner_kernel
def halves(order, spike):
    """(delay, key): of a tick, all charges of one sign come before all of the other.

    These are excitatory_first and inhibitory_first. Earlier targets come first, so when the first
    half is delivered to a layer, all its sources have done what they will do at this tick.
    """
    return 0, 2 * spike.target + spike.waits + 1


@inner_kernel
def uniform(order, spike):
    """(delay, key): jitter, a delay of low to high ticks, all equally likely."""
    bits = np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(32))
    return order.low + ((bits * (order.high - order.low + 1)) >> 32), 0


@inner_kernel
def exponential(order, spike):
    """(delay, key): jitter, an exponential delay of mean `order.mean`, rounded down to ticks."""
    bits = np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(11))
    return np.int64(-math.log((bits + 1) / 2.0**53) * order.mean), 0


@inner_kernel
def replay(order, spike):
    """(delay, key): as the list says.

    A spike that is not in the list goes without delay, after all of its tick that are.
    """
    i = order.first[spike.number] + spike.nth * order.parcels[spike.layer] + spike.part
    if i < order.first[spike.number + 1]:
        return order.delay[i], order.key[i]
    return 0, order.key.size + 1


def replay_order(
    first: NDArray[np.int64],
    parcels: NDArray[np.int64],
    delay: NDArray[np.int64],
    key: NDArray[np.int64],
    halves: int = WHOLE,
) -> Order:
    """The deliveries of a recorded run, edited or not.

    Parcels lie by neuron, then its spikes, then their parts.

    first: int64 [neurons + 1], where a neuron's parcels begin. parcels: int64 [layers], how many a
    spike of the layer has. delay: int64 [P], ticks (-1: never delivered). key: int64 [P], from 1
    on, the place among what is due at one tick. halves: of the recorded run.
    """
    return Order(REPLAY, halves, first=first, parcels=parcels, delay=delay, key=key)
