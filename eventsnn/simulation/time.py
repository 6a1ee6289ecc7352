"""Asynchronous time by name: orders, delays and lengths in steps become policies and ticks
(semantics, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventsnn.engine.event.order import (
    EXCITATORY,
    EXPONENTIAL,
    HALVES,
    INHIBITORY,
    KINDS,
    UNIFORM,
    Order,
)
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT

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


def policy_of(time, seed):
    """The policy of a `simulation.Time`: by name, or a NamedTuple as given."""
    order = time.order
    if isinstance(order, tuple) and hasattr(type(order), "place"):
        return order
    if order not in NAMES:
        raise InputError("order", f"one of {', '.join(NAMES)}", repr(order))
    if order == "delays" and time.delays is None:
        raise InputError("order 'delays'", "delays", "none", "give delays, in steps")
    if order == "clocked" and (time.refractory or time.window or time.delays is not None):
        raise InputError(
            "order 'clocked'",
            "no refractory period, window or delays (a step is all three)",
            "some",
            "choose another order, such as fifo",
        )
    if order in ("excitatory_first", "inhibitory_first"):
        return Order(HALVES, EXCITATORY if order == "excitatory_first" else INHIBITORY)
    if order != "jitter":
        return Order(KINDS.index("fifo" if order == "delays" else order), seed=seed)
    kind, _, scale = str(time.jitter).partition(":")
    try:
        ticks = time.in_ticks(float(scale), "jitter")
    except ValueError:
        kind = ""
    if kind == "uniform":
        return Order(UNIFORM, seed=seed, high=ticks)
    if kind == "exponential":
        return Order(EXPONENTIAL, seed=seed, mean=float(ticks))
    raise InputError(
        "jitter",
        "uniform:X or exponential:X with X in steps",
        repr(time.jitter),
        "for example uniform:0.5",
    )


def describe_order(time, order):
    """A policy in words."""
    if not isinstance(order, Order):
        return f"{type(order).__name__}: {(type(order).__doc__ or '').strip().splitlines()[0]}"
    return (
        f"jitter {time.jitter}"
        if time.order == "jitter"
        else KINDS[order.kind]
        if order.kind != HALVES
        else str(time.order)
    )


def delays_of(time, network):
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
            raise InputError(
                "delays", f"pairs of layers that a projection joins, such as {pairs[0]}", unknown[0]
            )
        return 1, np.array(
            [time.in_ticks(given.get(pair, 0), f"delay {pair}") for pair in pairs], np.int64
        )
    sizes = [layer.size for layer in network.spiking]
    if len(given) != len(sizes) or any(np.size(d) != n for d, n in zip(given, sizes)):
        raise InputError(
            "delays",
            f"one array for each spiking layer, of sizes {sizes}",
            [np.size(d) for d in given],
        )
    ticks = [time.in_ticks(float(x), "delays") for d in given for x in np.ravel(d)]
    return 2, np.array(ticks + [0] * network.readout.size, np.int64)


def describe_delays(given):
    """Delays in words, for the results' provenance."""
    if given is None:
        return "none"
    if isinstance(given, dict):
        return {" > ".join(pair): steps for pair, steps in given.items()}
    return f"{given:g} steps" if isinstance(given, (int, float)) else "one for each neuron"


@dataclass(frozen=True, kw_only=True)
class Time:
    """Asynchronous time (semantics, section 5). Lengths are in steps; a step has `ticks` ticks.

    order: a policy's name (`engine.order.NAMES`) or a NamedTuple like those in `engine.order`.
    jitter: "uniform:X" (0 to X steps) or "exponential:X" (mean X steps), for order "jitter".
    delays: None, one number, {(source, target): number} by layers' names, or one array for each
    spiking layer. max_events: of one image, before it is an error; None: 8 for each neuron and step
    (64 where neurons have windows or refractory periods, whose ends are events too), at least a
    million; never more than 2**31 - 1.
    """

    order: object = "fifo"
    barrier: bool = True
    refractory: float = 0.0
    window: float = 0.0
    jitter: str = "uniform:0.5"
    delays: object = None
    max_events: int | None = None
    ticks: int = TICKS

    def in_ticks(self, steps, where):
        """A length in steps as whole ticks."""
        if not 0 <= steps <= MAX_STEPS:
            raise InputError(where, f"0 to {MAX_STEPS:,} steps", steps)
        return int(round(steps * self.ticks))
