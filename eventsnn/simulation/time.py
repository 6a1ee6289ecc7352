"""Asynchronous time by name: orders, delays and lengths in steps become policies and ticks.

See semantics, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.order import (
    EXCITATORY,
    EXPONENTIAL,
    HALVES,
    INHIBITORY,
    KINDS,
    UNIFORM,
    Order,
)
from eventsnn.exceptions import InputError, named_fields
from eventsnn.network.network import INPUT, Network

MAX_STEPS = 2**16
TICKS = 1024

NAMES = (
    "fifo",
    "lifo",
    "index",
    "random",
    "excitatory_first",
    "inhibitory_first",
    "jitter",
    "delays",
    "clocked",
)

Delays = float | dict[tuple[str, str], float] | Sequence[NDArray[Any]] | None


def policy_of(time: Time, seed: int) -> Any:
    """The policy of a `Time`: by its name, or a NamedTuple as given.

    seed: of policies that are random. Raises InputError for an unknown name, for a jitter that
    cannot be read, and for options that do not go together.
    """
    order = time.order
    if isinstance(order, tuple) and hasattr(type(order), "place"):
        return order
    if order not in NAMES:
        raise InputError("order", f"one of {', '.join(NAMES)}", repr(order))
    name = str(order)
    if name == "delays" and time.delays is None:
        raise InputError("order 'delays'", "delays", "none", "give delays, in steps")
    if name == "clocked" and (time.refractory or time.window or time.delays is not None):
        expected = "no refractory period, window or delays (a step is all three)"
        do = "choose another order, such as fifo"
        raise InputError("order 'clocked'", expected, "some", do)
    if name == "jitter":
        return _jitter(time, seed)
    if name == "excitatory_first":
        return Order(HALVES, EXCITATORY)
    if name == "inhibitory_first":
        return Order(HALVES, INHIBITORY)
    return Order(KINDS.index("fifo" if name == "delays" else name), seed=seed)


def _jitter(time: Time, seed: int) -> Order:
    """The policy of order "jitter"."""
    kind, _, scale = str(time.jitter).partition(":")
    try:
        ticks = time.in_ticks(float(scale), "jitter")
    except ValueError:
        kind = ""
    if kind == "uniform":
        return Order(UNIFORM, seed=seed, high=ticks)
    if kind == "exponential":
        return Order(EXPONENTIAL, seed=seed, mean=float(ticks))
    expected = "uniform:X or exponential:X with X in steps"
    raise InputError("jitter", expected, repr(time.jitter), "for example uniform:0.5")


def describe_order(time: Time, order: Any) -> str:
    """A policy in words, for the results' provenance. order: what `policy_of(time, …)` returned."""
    if not isinstance(order, Order):
        return f"{type(order).__name__}: {(type(order).__doc__ or '').strip().splitlines()[0]}"
    if time.order == "jitter":
        return f"jitter {time.jitter}"
    return str(time.order) if order.kind == HALVES else KINDS[order.kind]


def delays_of(time: Time, network: Network) -> tuple[int, NDArray[np.int64]]:
    """(kind, delays) of a `Time`; the delays are int64 ticks (semantics, section 5).

    Kind 0 has no delays, kind 1 one for each projection between layers, kind 2 one for each neuron,
    readout included. network: whose layers and projections. Raises InputError for layers that no
    projection joins, for arrays of other sizes, and for delays outside 0 to MAX_STEPS steps.
    """
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
            expected = f"pairs of layers that a projection joins, such as {pairs[0]}"
            raise InputError("delays", expected, unknown[0])
        ticks = [time.in_ticks(given.get(pair, 0), f"delay {pair}") for pair in pairs]
        return 1, np.array(ticks, np.int64)
    sizes = [layer.size for layer in network.spiking]
    if len(given) != len(sizes) or any(np.size(d) != n for d, n in zip(given, sizes)):
        expected = f"one array for each spiking layer, of sizes {sizes}"
        raise InputError("delays", expected, [np.size(d) for d in given])
    ticks = [time.in_ticks(float(x), "delays") for d in given for x in np.ravel(d)]
    return 2, np.array(ticks + [0] * network.readout.size, np.int64)


def describe_delays(given: Delays) -> str | dict[str, float]:
    """Delays in words, for the results' provenance. given: as in `Time`."""
    if given is None:
        return "none"
    if isinstance(given, dict):
        return {" > ".join(pair): steps for pair, steps in given.items()}
    return f"{given:g} steps" if isinstance(given, (int, float)) else "one for each neuron"


@named_fields
@dataclass(frozen=True, kw_only=True)
class Time:
    """Asynchronous time (semantics, section 5). Lengths are in steps.

    order: a policy's name, one of NAMES, or a NamedTuple like those in `engine.event.order`.
    barrier: whether a step begins only when the queue of the one before is empty. refractory: how
    long a neuron rests after a spike; 0: not at all. window: how long a neuron collects charge
    before it is evaluated; 0: each event is evaluated at once. jitter: "uniform:X" (0 to X steps)
    or "exponential:X" (mean X steps), for order "jitter". delays: None, one number, {(source,
    target): number} by layers' names, or one array for each spiking layer.

    max_events: of one image; more are an error. None: 8 for each neuron and step, or 64 where
    neurons have windows or refractory periods, whose ends are events too; at least a million. It is
    never more than 2**31 - 1. ticks: of a step.
    """

    order: str | tuple[Any, ...] = "fifo"
    barrier: bool = True
    refractory: float = 0.0
    window: float = 0.0
    jitter: str = "uniform:0.5"
    delays: Delays = None
    max_events: int | None = None
    ticks: int = TICKS

    def in_ticks(self, steps: float, where: str) -> int:
        """A length as whole ticks.

        steps: the length, in steps. where: what it is, for the message. Raises InputError for a
        length outside 0 to MAX_STEPS.
        """
        if not 0 <= steps <= MAX_STEPS:
            raise InputError(where, f"0 to {MAX_STEPS:,} steps", steps)
        return int(round(steps * self.ticks))

    def __repr__(self) -> str:
        order = self.order if isinstance(self.order, str) else type(self.order).__name__
        delays = "none" if self.delays is None else type(self.delays).__name__
        return (
            f"<Time: order {order}, barrier {self.barrier}, refractory {self.refractory}, "
            f"window {self.window}, delays {delays}>"
        )
