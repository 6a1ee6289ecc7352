"""Asynchronous time by name: orders, delays and lengths in steps become policies and ticks.

See semantics, section 5.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked, checked_fields
from eventsnn.engine.event.cores import ARBITRATIONS, Cores
from eventsnn.engine.event.order import (
    CLOCKED,
    EXCITATORY,
    EXPONENTIAL,
    FIFO,
    HALVES,
    INDEX,
    INHIBITORY,
    KINDS,
    LIFO,
    PRIORITY,
    RANDOM,
    UNIFORM,
    WHOLE,
    Order,
    Parcel,
    place,
)
from eventsnn.exceptions import InputError, named, one_line
from eventsnn.network.network import INPUT, Network
from eventsnn.options import check_fields, option, parsed
from eventsnn.registry import Registry
from eventsnn.values import as_array, shown

MAX_STEPS = 2**16
TICKS = 1024  # of a step, and those chosen are a multiple of them
MOST_TICKS = 2**20
MOST_GROUP = 2**31 - 1
NUMBER = (int, float, np.integer, np.floating, Fraction)
# orders that deliver a spike at the tick at which it was fired
AT_ONCE = (
    "fifo",
    "lifo",
    "index",
    "random",
    "priority",
    "excitatory_first",
    "inhibitory_first",
)
OF_CORES = ("service", "latency", "arbitration")  # options of order cores
# what goes with no cores, and its value where it is left out
WITHOUT_CORES = (("delays", None), ("window", 0), ("group", 1))
MOST_JITTER = 2**31 - 2  # ticks: what the kernel multiplies 32 random bits by

Delays = float | dict[tuple[str, str], float] | Sequence[NDArray[Any]] | None


def policy_of(time: Time, seed: int) -> Any:
    """The policy of a `Time`: by its name, or a NamedTuple as given.

    seed: of policies that are random. Raises InputError for an unknown name, for a jitter that
    cannot be read, for a policy that does not keep the contract (`engine.event.order`), and for
    options that do not go together.
    """
    time = time.resolved()
    order = time.order
    if isinstance(order, tuple) and hasattr(type(order), "place"):
        policy = order
    else:
        _, found, given = parsed(ORDERS, order, "order")  # type: ignore[arg-type]
        if not isinstance(found, type):
            return found(time, seed)
        policy = found(**given)
    check_policy(type(policy).__name__, type(policy))
    if hasattr(policy, "fit"):
        policy = policy.fit(seed, time.ticks)
    try_policy(policy)
    return policy


def _plain(kind: int) -> Maker:
    """The maker of a policy without options of its own. kind: of `Order`."""
    return lambda time, seed: Order(kind, seed=seed)


def _halves(first: int) -> Maker:
    return lambda time, seed: Order(HALVES, first)


def _delays(time: Time, seed: int) -> Order:
    """The policy of order "delays": emission's, as the delays do the rest."""
    if time.delays is None:
        raise InputError("order 'delays'", named("delays"), "none", "give delays, in steps")
    return Order(FIFO, seed=seed)


def _clocked(time: Time, seed: int) -> Order:
    """The policy of order "clocked"."""
    if time.spread > 1:
        found, do = named("order", "clocked"), "leave it out: there drive comes once a step"
        raise InputError(named("spread"), "another order", found, do)
    if time.group > 1:
        found, do = named("order", "clocked"), "leave it out: there a step's deliveries only charge"
        raise InputError(named("group"), "another order", found, do)
    if time.refractory or time.window or time.delays is not None:
        expected = "no refractory period, window or delays (a step is all three)"
        do = "choose another order, such as fifo"
        raise InputError("order 'clocked'", expected, "some", do)
    if time.max_events is not None:
        found, do = named("order", "clocked"), "leave it out: there each neuron fires once a step"
        raise InputError(named("max_events"), "another order", found, do)
    if not time.barrier:
        do = "leave it out: in clocked time nothing is under way when a step begins"
        found = named("order", "clocked")
        raise InputError(named("barrier", False), "another order", found, do)
    return Order(CLOCKED, seed=seed)


def _cores(time: Time, seed: int) -> Cores:
    """The policy of order "cores", whose times are whole ticks."""
    fixed, each = (time.in_ticks(steps, named("service")) for steps in time.service)
    latency = time.in_ticks(time.latency, named("latency"))
    return Cores(ARBITRATIONS.index(time.arbitration), fixed, each, latency, seed)


def _jitter(time: Time, seed: int) -> Order:
    """The policy of order "jitter"; its draws are rounded down to ticks."""
    kind, scale = _jitter_of(time.jitter)
    if kind == "uniform":
        high = time.in_ticks(scale, named("jitter"))
        if high > MOST_JITTER:
            expected = f"at most {MOST_JITTER:,} ticks"
            raise InputError(named("jitter"), expected, f"{high:,}", "choose a shorter one")
        return Order(UNIFORM, seed=seed, high=high)
    check_length(scale, named("jitter"))
    return Order(EXPONENTIAL, seed=seed, mean=scale * time.ticks)


def _jitter_of(text: str) -> tuple[str, float]:
    """("uniform" or "exponential", its X). text: of a `Time`. Raises InputError for another."""
    kind, _, scale = str(text).partition(":")
    try:
        steps = float(scale)
    except ValueError:
        kind = steps = ""  # type: ignore[assignment]
    if kind not in ("uniform", "exponential"):
        expected = "uniform:X or exponential:X with X in steps"
        raise InputError(named("jitter"), expected, repr(text), "for example uniform:0.5")
    return kind, steps


def check_policy(name: str, policy: Any) -> None:
    """Raises InputError for an order that does not keep the contract of `engine.event.order`.

    name: of the order, for the message. policy: a NamedTuple's class with place(order, spike) and
    halves, or a function of (time, seed) that makes a policy.
    """
    where, see = f"order {name!r}", "see eventsnn.engine.event.order"
    if not isinstance(policy, type):
        if not callable(policy):
            raise InputError(where, "a NamedTuple's class", repr(policy), see)
        return
    if not (issubclass(policy, tuple) and hasattr(policy, "_fields")):
        raise InputError(where, "a NamedTuple of constants", policy.__name__, see)
    place = inspect.getattr_static(policy, "place", None)
    words = "a static function place(order, spike)"
    if not isinstance(place, staticmethod):
        raise InputError(where, words, "none", see)
    given = tuple(inspect.signature(policy.place).parameters)  # type: ignore[attr-defined]
    if given != ("order", "spike"):
        raise InputError(where, words, f"place({', '.join(given)})", see)
    if not hasattr(policy, "halves"):
        raise InputError(where, "halves: WHOLE, EXCITATORY or INHIBITORY", "none", see)


def try_policy(policy: Any) -> None:
    """Raises InputError for a policy whose answers cannot be used, on a few made-up spikes.

    policy: a NamedTuple. What only kernels can call is not tried.
    """
    where = f"order {type(policy).__name__!r}"
    if policy.halves not in (WHOLE, EXCITATORY, INHIBITORY):
        raise InputError(where, "halves: WHOLE, EXCITATORY or INHIBITORY", policy.halves)
    for seq in (0, 1, 1000):
        try:
            found = place(policy, Parcel(seq, 0, seq, 0, seq, 1, 0, 0, 0))
        except Exception as error:  # whatever a user's function does
            if "by kernels only" in str(error):
                return
            words = one_line(f"{type(error).__name__}: {error}", 200)
            raise InputError(where, "a (delay, key) for each spike", words) from error
        whole = isinstance(found, tuple) and len(found) == 2
        if not whole or not all(isinstance(x, (int, np.integer)) for x in found) or found[0] < 0:
            expected = "a (delay, key) of whole numbers, the delay in ticks from 0"
            raise InputError(where, expected, repr(found))


def describe_order(time: Time, order: Any) -> str:
    """A policy in words, for the results' provenance. order: what `policy_of(time, …)` returned."""
    if isinstance(order, Cores):
        return "cores"
    if not isinstance(order, Order):
        words = (type(order).__doc__ or "").strip().splitlines()
        return f"{type(order).__name__}: {words[0]}" if words else type(order).__name__
    if time.order == "jitter":
        return f"jitter {time.jitter}"
    return str(time.order) if order.kind == HALVES else KINDS[order.kind]


def delays_of(time: Time, network: Network) -> tuple[int, NDArray[np.int64]]:
    """(kind, delays) of a `Time`; the delays are int64 ticks (semantics, section 5).

    Kind 0 has no delays, kind 1 one for each projection between layers, kind 2 one for each neuron,
    readout included, as where one number is given for all. network: whose layers and projections.
    Raises InputError for layers that no projection joins, for arrays of other sizes, and for delays
    outside 0 to MAX_STEPS steps.
    """
    time = time.resolved()
    given = time.delays
    projections = [p for p in network.projections if p.source != INPUT]
    if given is None:
        return 0, np.zeros(0, np.int64)
    if isinstance(given, NUMBER):
        given = [np.full(layer.size, given) for layer in network.spiking]
    if isinstance(given, dict):
        names = [layer.name for layer in network.layers]
        pairs = [(names[p.source], names[p.target]) for p in projections]
        unknown = [pair for pair in given if pair not in pairs]
        if unknown:
            expected = f"pairs of layers that a projection joins, such as {pairs[0]}"
            raise InputError("delays", expected, unknown[0])
        ticks = [time.in_ticks(given.get(pair, 0), f"delay {pair}") for pair in pairs]
        return 1, np.array(ticks, np.int64)
    sizes = [layer.size for layer in network.spiking]
    if len(given) != len(sizes) or any(np.size(d) != n for d, n in zip(given, sizes)):
        expected = f"one array for each spiking layer, of sizes {sizes}"
        raise InputError("delays", expected, [np.size(d) for d in given])
    arrays = [_in_ticks(time, d) for d in given]
    return 2, np.concatenate([*arrays, np.zeros(network.readout.size, np.int64)])


def _in_ticks(time: Time, delays: Any) -> NDArray[np.int64]:
    """An array of delays in ticks, int64 [neurons]. delays: in steps."""
    values, places = np.unique(np.ravel(delays), return_inverse=True)
    ticks = [time.in_ticks(value, named("delays")) for value in values]
    return np.array(ticks, np.int64)[places.reshape(-1)]


def describe_delays(given: Delays) -> str | dict[str, float]:
    """Delays in words, for the results' provenance. given: as in `Time`."""
    if given is None:
        return "none"
    if isinstance(given, dict):
        return {" > ".join(pair): float(steps) for pair, steps in given.items()}
    if isinstance(given, NUMBER):
        return f"{float(given)!r}".removesuffix(".0") + " steps"
    digest = hashlib.sha256()
    for delays in given:
        digest.update(np.ravel(delays).astype("<f8").tobytes())
    return f"one for each neuron, {digest.hexdigest()[:12]}"


def _check_order(order: Any) -> None:
    """Raises InputError for what is neither an order's name nor a policy."""
    if isinstance(order, str):
        ORDERS.find(order.partition(":")[0], named("order"))
    elif not (isinstance(order, tuple) and hasattr(type(order), "place")):
        expected = f"one of {', '.join(ORDERS)}, or a policy"
        raise InputError(named("order"), expected, shown(order))


def _check_delays(delays: Any) -> None:
    """Raises InputError for what is not as `Time` says of delays, whatever the network is."""
    if delays is None:
        return
    if isinstance(delays, NUMBER) and not isinstance(delays, bool):
        check_length(delays, named("delays"))
        return
    if isinstance(delays, dict):
        for pair, steps in delays.items():
            if not (isinstance(pair, tuple) and len(pair) == 2):
                expected = "pairs of layers, as {('act1', 'act2'): 0.5}"
                raise InputError("delays", expected, shown(pair))
            check_length(steps, f"delay {pair}")
        return
    listed = isinstance(delays, (list, tuple)) and all(
        (array := as_array(each)) is not None and array.ndim and array.dtype.kind in "iuf"
        for each in delays
    )
    if not listed:
        expected = "a number of steps, a dict of pairs of layers, or an array for each layer"
        raise InputError("delays", expected, shown(delays))


def check_length(steps: Any, where: str) -> None:
    """Raises InputError for a length outside 0 to MAX_STEPS.

    steps: the length, in steps. where: what it is, for the message.
    """
    if not isinstance(steps, NUMBER) or not 0 <= steps <= MAX_STEPS:
        found = steps if isinstance(steps, NUMBER) else shown(steps)
        raise InputError(where, f"0 to {MAX_STEPS:,} steps", found)


def fraction_of(number: Any) -> Fraction:
    """The fraction of smallest denominator that rounds to a number: 1/3 for 1 / 3.

    number: whole, a Fraction, or floating point of any width, which is what it rounds to; from 0.
    """
    if isinstance(number, (int, np.integer, Fraction)):
        return Fraction(number if isinstance(number, Fraction) else int(number))
    kind = type(number) if isinstance(number, (np.float16, np.float32)) else np.float64
    value = kind(number)
    exact = Fraction(float(value))
    if exact.denominator == 1:
        return exact
    # the numbers that round to it reach halfway to its neighbours
    below, above = (Fraction(float(np.nextafter(value, kind(end)))) for end in (0, MAX_STEPS))
    return _simplest((below + exact) / 2, (exact + above) / 2)


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of smallest denominator from `low` to `high`, by continued fractions."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    whole -= 1
    return whole + 1 / _simplest(1 / (high - whole), 1 / (low - whole))


def _nearest(steps: Fraction, choices: Iterable[int]) -> str:
    """The nearest lengths that can be had, in words; choices: ticks that a step may have."""
    counts = list(choices)
    below = max(Fraction(math.floor(steps * ticks), ticks) for ticks in counts)
    above = min(Fraction(math.ceil(steps * ticks), ticks) for ticks in counts)
    return f"the nearest that can be had are {float(below)!r} and {float(above)!r}"


# makes a policy from (time, seed)
Maker = Callable[[Any, int], Any]
# a policy's class, or its maker, by name
ORDERS: Registry[Any] = Registry(
    "order",
    {
        "fifo": _plain(FIFO),
        "lifo": _plain(LIFO),
        "index": _plain(INDEX),
        "random": _plain(RANDOM),
        "priority": _plain(PRIORITY),
        "excitatory_first": _halves(EXCITATORY),
        "inhibitory_first": _halves(INHIBITORY),
        "jitter": _jitter,
        "delays": _delays,
        "clocked": _clocked,
        "cores": _cores,
    },
    check_policy,
)


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Time:
    """Asynchronous time (semantics, section 5). Lengths are in steps; a float is the fraction of
    smallest denominator that rounds to it, so that 1 / 3 is a third.

    order: a policy's name, a key of ORDERS, or a NamedTuple like those in `engine.event.order`.
    barrier: whether a step begins only when the queue of the one before is empty. refractory: how
    long a neuron rests after a spike; 0: not at all. window: how long a neuron collects charge
    before it is evaluated; 0: each event is evaluated at once. spread: in how many parts, evenly
    over the step, its drive comes; group: how many deliveries that are due together only charge
    before all that they reached is evaluated (semantics, section 12). jitter: "uniform:X" (0 to X
    steps) or "exponential:X" (mean X steps), for order "jitter". delays: None, one number,
    {(source, target): number} by layers' names, or one array for each spiking layer. service: (a,
    b), what each core is busy for with an event and with each weight that the event touches;
    latency: of the way to a core; arbitration: which of the events that wait a core takes; all for
    order "cores" (semantics, section 12).

    max_events: of one image; more are an error. None: 8 for each neuron and step, or 64 where
    neurons have windows or refractory periods, whose ends are events too (with a window `spread`
    times as many); at least a million. It is never more than 2**31 - 1. ticks: whole parts of a
    step, in which all lengths given but a mean must be whole, and which `spread` divides. None: as
    few as that takes, a multiple of 1,024 and at most 2**20 (`resolved`).
    Times of input events and drawn jitter are rounded down to ticks.
    """

    order: str | tuple[Any, ...] = option(
        "fifo",
        "in which order spikes that are due together arrive",
        "--engine event --order random",
        kind=None,
        choices=lambda: ORDERS,
    )
    barrier: bool = option(
        True,
        "wait for the queue to empty before the next step's drive",
        "--engine event --order jitter --free-running",
        kind=bool,
    )
    refractory: float = option(
        0.0,
        "the time after a spike in which a neuron cannot fire, in steps",
        "--engine event --refractory 1",
        kind=float,
        low=0,
        high=MAX_STEPS,
    )
    window: float = option(
        0.0,
        "how long a neuron collects arrivals before it is evaluated, in steps",
        "--engine event --window 0.25",
        kind=float,
        low=0,
        high=MAX_STEPS,
    )
    spread: int = option(
        1,
        "in how many equal parts, evenly over the step, a step's drive comes; a divisor of the "
        "ticks of a step",
        "--engine event --spread 16",
        kind=int,
        low=1,
        high=MOST_TICKS,
    )
    group: int = option(
        1,
        "how many of the deliveries that are due together only charge before the neurons that they "
        "reach are evaluated; 1: none",
        "--engine event --group 64",
        kind=int,
        low=1,
        high=MOST_GROUP,
    )
    jitter: str = option(
        "uniform:0.5",
        "order jitter: the delay of each spike in steps, uniform:LARGEST or exponential:MEAN",
        "--engine event --order jitter --jitter exponential:0.2",
    )
    delays: Delays = option(
        None,
        "a delay of every spike, in steps",
        "--engine event --order delays --delay 0.25",
        kind=None,
    )
    service: tuple[float, ...] = option(
        (0.0, 0.0),
        "A,B, order cores: a core is busy for A steps with an event, and for B more with each "
        "weight that the event touches",
        "--engine event --order cores --service 0.01,0.001953125",
        kind="numbers",
        low=0,
        high=MAX_STEPS,
    )
    latency: float = option(
        0.0,
        "order cores: the time from a spike to its arrival at a core, in steps",
        "--engine event --order cores --latency 0.25",
        kind=float,
        low=0,
        high=MAX_STEPS,
    )
    arbitration: str = option(
        "fifo",
        "order cores: which of the events that wait a core takes next: the first that came; the "
        "lowest layer and neuron; of each source layer in turn; or any",
        "--engine event --order cores --arbitration round_robin",
        choices=ARBITRATIONS,
    )
    max_events: int | None = option(
        None,
        "events of one image before it is an error; default: 8 for each neuron and step",
        "--engine event --max-events 1000000",
        kind=int,
        low=1,
    )
    # Any: a number in every simulation, since that resolves its time
    ticks: Any = option(
        None,
        "whole parts of a step in which times are counted; default: the fewest, from 1,024, in "
        "which all times given are whole",
        "--engine event --ticks 1000 --refractory 0.1",
        kind=int,
        low=1,
        high=MOST_TICKS,
    )

    def __post_init__(self) -> None:
        check_fields(self)
        _check_order(self.order)
        _check_delays(self.delays)
        if self.jitter != type(self).jitter and self.order != "jitter":
            do = f"for example {named('order', 'jitter')}"
            raise InputError("jitter", named("order", "jitter"), named("order", self.order), do)
        self._check_cores()
        at_once = self.order in AT_ONCE or (self.order == "cores" and not self._takes_time())
        if not self.barrier and at_once and self.delays is None and not self.window:
            expected = f"{named('delays')}, {named('window')} or {named('order', 'jitter')}"
            if self.order == "cores":
                expected = f"{named('service')} or {named('latency')} above 0"
            do = "leave it out: all arrives at once, so nothing is under way when a step begins"
            raise InputError(named("barrier", False), expected, "none of these", do)

        if self.group > 1 and self.window:
            found, do = named("window", f"{self.window:g}"), "leave one of the two out"
            raise InputError(named("group"), "no window, as both say who is evaluated", found, do)

    def _takes_time(self) -> bool:
        """Whether cores, or the ways to them, take any time."""
        return bool(any(self.service) or self.latency)

    def _check_cores(self) -> None:
        """Raises InputError for options of cores without them, and for those that go with none."""
        if len(self.service) != 2:
            expected, found = "two numbers, for an event and for a weight", f"{len(self.service)}"
            raise InputError(named("service"), expected, found, "for example 0.01,0.001953125")
        if self.order != "cores":
            for name in OF_CORES:
                if getattr(self, name) != getattr(type(self), name):
                    do = f"for example {named('order', 'cores')}"
                    order = self.order if isinstance(self.order, str) else type(self.order).__name__
                    raise InputError(
                        named(name), named("order", "cores"), named("order", order), do
                    )
            return
        for name, without in WITHOUT_CORES:
            if getattr(self, name) != without:
                found, do = named("order", "cores"), "leave one of the two out"
                raise InputError(named(name), "another order", found, do)

    def resolved(self) -> Time:
        """This time with a number of ticks, in which all lengths given are whole.

        They are `ticks`, or the least common multiple of 1,024, `spread` and the lengths'
        denominators. Raises InputError, with the nearest lengths that can be had, for one that is
        not whole in the ticks given, or would take more than MOST_TICKS; and for a spread likewise.
        """
        if self.ticks is not None:
            if self.ticks % self.spread:
                expected = f"a divisor of {self.ticks:,}, the ticks of a step"
                do = f"choose other {named('ticks')}, or leave them out"
                raise InputError(named("spread"), expected, f"{self.spread:,}", do)
            for where, steps in self._lengths():
                self.in_ticks(steps, where)
            return self
        ticks = math.lcm(TICKS, self.spread)
        if ticks > MOST_TICKS:
            expected = f"a divisor of a multiple of {TICKS:,}, at most {MOST_TICKS:,} ticks"
            do = f"choose another, or give {named('ticks')} that it divides"
            raise InputError(named("spread"), expected, f"{self.spread:,}", do)
        for where, steps in self._lengths():
            check_length(steps, where)
            length = fraction_of(steps)
            more = math.lcm(ticks, length.denominator)
            if more > MOST_TICKS:
                expected = f"whole ticks, of which a step has at most {MOST_TICKS:,}"
                do = _nearest(length, range(ticks, MOST_TICKS + 1, ticks))
                raise InputError(where, expected, f"{float(steps)!r} steps", do)
            ticks = more
        return replace(self, ticks=ticks)

    def _lengths(self) -> Iterator[tuple[str, Any]]:
        """(what it is, steps) of every length given that must be whole ticks."""
        yield named("refractory"), self.refractory
        yield named("window"), self.window
        for steps in self.service:
            yield named("service"), steps
        yield named("latency"), self.latency
        if self.order == "jitter":
            kind, steps = _jitter_of(self.jitter)
            if kind == "uniform":
                yield named("jitter"), steps
        if isinstance(self.delays, dict):
            for pair, steps in self.delays.items():
                yield f"delay {pair}", steps
        elif isinstance(self.delays, NUMBER):
            yield named("delays"), self.delays
        elif self.delays is not None:
            for array in self.delays:
                for steps in np.unique(np.ravel(array)):
                    yield named("delays"), steps

    @checked
    def in_ticks(self, steps: Any, where: str) -> int:
        """A length as whole ticks.

        steps: the length, in steps. where: what it is, for the message. Raises InputError for a
        length outside 0 to MAX_STEPS, and for one that is not whole.
        """
        check_length(steps, where)
        ticks = self.ticks or self.resolved().ticks
        length = fraction_of(steps)
        found = length * ticks
        if found.denominator != 1:
            expected = f"whole ticks, of which a step has {ticks:,}"
            do = f"{_nearest(length, [ticks])}; or choose other {named('ticks')}"
            raise InputError(where, expected, f"{float(steps)!r} steps", do)
        return int(found)

    def nearest_tick(self, steps: Any, where: str) -> int:
        """A length rounded to ticks; parameters, and what is raised, as in `in_ticks`."""
        check_length(steps, where)
        return round(float(steps) * (self.ticks or self.resolved().ticks))

    def __repr__(self) -> str:
        order = self.order if isinstance(self.order, str) else type(self.order).__name__
        delays = "none" if self.delays is None else type(self.delays).__name__
        return (
            f"<Time: order {order}, barrier {self.barrier}, refractory {self.refractory}, "
            f"window {self.window}, spread {self.spread}, group {self.group}, delays {delays}>"
        )
