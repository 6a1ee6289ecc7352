"""Order policies: when a spike is delivered, and in what order among those due at the same time.

A policy is a NamedTuple of constants with one static function

    place(order, spike) -> (delay, key)

delay: ticks from now, at least 0. key: int64; of what is due at one tick the smaller key comes first,
equal keys in the order of emission. `spike` tells what is to be delivered: `seq` (place in the order
of emission), `layer`, `neuron` (in its layer), `nth` (spikes the neuron sent before), `number` (the
neuron's place among all), `target` (the layer it goes to, -1 for all), `waits` (1 for the half that
waits, else 0), `part` (which of its parcels), `image` (the image's number in its data set).

`halves` says how a spike is delivered: WHOLE, all at once; EXCITATORY or INHIBITORY, in two halves for
each projection, charges >= 0 and charges < 0, where the half named is the first. A user's policy is a
class like these, in any importable module; the engines need no change.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from eventsnn.checks import InputError
from eventsnn.jit import inner_kernel
from eventsnn.network import INPUT

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


@inner_kernel
def splitmix64(x):
    """One output of SplitMix64 (Steele, Lea, Flood 2014) for the state x; uint64."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@inner_kernel
def spike_hash(seed, image, seq):
    """64 random bits that depend on nothing but (seed, image, spike); uint64."""
    return splitmix64(splitmix64(splitmix64(np.uint64(seed)) ^ np.uint64(image)) ^ np.uint64(seq))


class Fifo(NamedTuple):
    """In the order of emission."""

    halves: int = WHOLE

    @staticmethod
    def place(order, spike):
        return 0, 0


class Lifo(NamedTuple):
    """The deepest layer first, in it the latest spike first."""

    halves: int = WHOLE

    @staticmethod
    def place(order, spike):
        return 0, -((spike.layer << 40) + spike.seq) - 1


class Index(NamedTuple):
    """By layer and neuron; spikes of one neuron in the order of emission."""

    halves: int = WHOLE

    @staticmethod
    def place(order, spike):
        return 0, (spike.layer << 40) + spike.neuron + 1


class Random(NamedTuple):
    """In random order, by a hash of (seed, image, spike)."""

    seed: int = 0
    halves: int = WHOLE

    @staticmethod
    def place(order, spike):
        return 0, np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(1)) | 1


class ExcitatoryFirst(NamedTuple):
    """At every target all positive charges of a tick come before all negative ones.

    Earlier targets come first, so when the first half is delivered to a layer, all its sources have
    done what they will do at this tick.
    """

    halves: int = EXCITATORY

    @staticmethod
    def place(order, spike):
        return 0, 2 * spike.target + spike.waits + 1


class InhibitoryFirst(NamedTuple):
    """At every target all negative charges of a tick come before all positive ones."""

    halves: int = INHIBITORY

    @staticmethod
    def place(order, spike):
        return 0, 2 * spike.target + spike.waits + 1


class UniformJitter(NamedTuple):
    """Each spike is delayed by low to high ticks, all equally likely."""

    low: int
    high: int
    seed: int = 0
    halves: int = WHOLE

    @staticmethod
    def place(order, spike):
        bits = np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(32))
        return order.low + ((bits * (order.high - order.low + 1)) >> 32), 0


class ExponentialJitter(NamedTuple):
    """Each spike is delayed by an exponentially distributed number of ticks with this mean, rounded down."""

    mean: float
    seed: int = 0
    halves: int = WHOLE

    @staticmethod
    def place(order, spike):
        bits = np.int64(spike_hash(order.seed, spike.image, spike.seq) >> np.uint64(11))
        return np.int64(-math.log((bits + 1) / 2.0**53) * order.mean), 0


class Replay(NamedTuple):
    """The deliveries of a recorded run, edited or not; made by `eventsnn.replay`.

    first: int64 [neurons + 1], where a neuron's parcels stand; parcels: int64 [P], parcels a spike of
    the neuron's layer has (by layer); delay (-1: never delivered) and key: int64. A spike that is not
    in the list goes without delay, after all of its tick that are.
    """

    first: np.ndarray
    parcels: np.ndarray
    delay: np.ndarray
    key: np.ndarray
    halves: int

    @staticmethod
    def place(order, spike):
        i = order.first[spike.number] + spike.nth * order.parcels[spike.layer] + spike.part
        if i < order.first[spike.number + 1]:
            return order.delay[i], order.key[i]
        return 0, order.key.size + 1


class Clocked(NamedTuple):
    """Arrivals charge at once; evaluation waits for the end of the step, layer by layer: the clocked engine's spikes."""

    halves: int = WHOLE

    @staticmethod
    def place(order, spike):
        return 0, 0


NAMES = ("fifo", "lifo", "index", "random", "excitatory_first", "inhibitory_first", "jitter", "delays", "clocked")


def make(time, seed):
    """The policy of a `simulation.Time`: by name, or a NamedTuple as given."""
    order = time.order
    simple = {"fifo": Fifo(), "delays": Fifo(), "lifo": Lifo(), "index": Index(), "random": Random(seed), "clocked": Clocked(),
              "excitatory_first": ExcitatoryFirst(), "inhibitory_first": InhibitoryFirst()}
    if isinstance(order, tuple) and hasattr(type(order), "place"):
        return order
    if order not in NAMES:
        raise InputError("order", f"one of {', '.join(NAMES)}", repr(order))
    if order == "delays" and time.delays is None:
        raise InputError("order 'delays'", "delays", "none", "give delays, in steps")
    if order == "clocked" and (time.refractory or time.window or time.delays is not None):
        raise InputError("order 'clocked'", "no refractory period, window or delays (a step is all three)", "some",
                         "choose another order, such as fifo")
    if order != "jitter":
        return simple[order]
    kind, _, scale = str(time.jitter).partition(":")
    try:
        ticks = time.in_ticks(float(scale), "jitter")
    except ValueError:
        kind = None
    if kind == "uniform":
        return UniformJitter(0, ticks, seed)
    if kind == "exponential":
        return ExponentialJitter(float(ticks), seed)
    raise InputError("jitter", "uniform:X or exponential:X with X in steps", repr(time.jitter), "for example uniform:0.5")


def describe(order):
    """A policy in words: its class, constants and meaning."""
    constants = {k: v for k, v in order._asdict().items() if k != "halves" and np.ndim(v) == 0}
    return f"{type(order).__name__}{constants or ''}: {(type(order).__doc__ or '').strip().splitlines()[0]}"


def delays(time, network):
    """(kind, ticks): 0 none, 1 by projection, 2 by neuron (semantics 5.3); int64 ticks."""
    given = time.delays
    projections = [p for p in network.projections if p.source != INPUT]
    if given is None:
        return 0, np.zeros(0, np.int64)
    if isinstance(given, (int, float)):
        return 1, np.full(len(projections), time.in_ticks(given, "delays"), np.int64)
    if isinstance(given, dict):
        names = [layer.name for layer in network.layers]
        pairs = [(names[p.source], names[p.target]) for p in projections]
        unknown = [pair for pair in given if pair not in pairs]
        if unknown:
            raise InputError("delays", f"pairs of layers that a projection joins, such as {pairs[0]}", unknown[0])
        return 1, np.array([time.in_ticks(given.get(pair, 0), f"delay {pair}") for pair in pairs], np.int64)
    sizes = [layer.size for layer in network.spiking]
    if len(given) != len(sizes) or any(np.size(d) != n for d, n in zip(given, sizes)):
        raise InputError("delays", f"one array for each spiking layer, of sizes {sizes}", [np.size(d) for d in given])
    ticks = [time.in_ticks(float(x), "delays") for d in given for x in np.ravel(d)]
    return 2, np.array(ticks + [0] * network.readout.size, np.int64)


def describe_delays(given):
    """Delays in words, for the results' provenance."""
    if given is None:
        return "none"
    if isinstance(given, dict):
        return {" > ".join(pair): steps for pair, steps in given.items()}
    return f"{given:g} steps" if isinstance(given, (int, float)) else "one for each neuron"
