"""The list of a recorded run's deliveries, and what can be changed in it: spikes swapped, moved,
dropped or delayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.order import WHOLE, Order, replay_order
from eventsnn.exceptions import InputError
from eventsnn.simulation.event import engine_of
from eventsnn.trace.trace import Trace

DROPPED = -1


class Swap(NamedTuple):
    """The deliveries of two spikes change places and times, each with the other's that is as far
    from the first.
    """

    a: int
    b: int


class Move(NamedTuple):
    """A spike is delivered right before another, at its tick."""

    seq: int
    before: int


class Drop(NamedTuple):
    """A spike is fired but never delivered."""

    seq: int


class Delay(NamedTuple):
    """A spike is delivered so many steps later; with a barrier its step waits for it."""

    seq: int
    steps: float


Edit = Swap | Move | Drop | Delay


def recorded_order(trace: Trace, edits: Sequence[Edit] = ()) -> Order:
    """The trace's list of deliveries, edited, as an order policy (`engine.order.replay_order`)."""
    engine, spikes = engine_of(trace.simulation), trace.spikes
    net, halves = engine.tables, engine.order.halves
    fan_out = np.diff(net.out_first)
    parcels = (
        np.minimum(fan_out, 1)
        if halves == WHOLE and engine.delay_kind != 1
        else fan_out * (1 if halves == WHOLE else 2)
    )
    numbers = numbers_of(trace, spikes)
    first = np.append(
        0, np.cumsum(np.bincount(numbers, minlength=len(net.layer_of)) * parcels[net.layer_of])
    )
    place, tick = edited(trace, edits)
    delay, key = np.full(first[-1], DROPPED), np.ones(first[-1], np.int64)
    slot = (first[numbers] + nth_of(numbers) * parcels[spikes["layer"]])[
        trace.deliveries["spike"]
    ] + _part(trace, halves)
    kept = tick != DROPPED
    delay[slot[kept]] = (tick - spikes["tick"][trace.deliveries["spike"]])[kept]
    key[slot[kept]] = place[kept] + 1
    return replay_order(first, parcels, delay, key, halves)


def numbers_of(trace: Trace, spikes: NDArray[Any]) -> NDArray[Any]:
    """The spikes' neurons, by their numbers among all layers; int64."""
    return trace.simulation.network.first[spikes["layer"]] + spikes["neuron"]


def nth_of(numbers: NDArray[Any]) -> NDArray[Any]:
    """For each entry, how many equal ones stand before it; int64."""
    order = np.argsort(numbers, kind="stable")
    begins = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    nth = np.empty(len(numbers), np.int64)
    nth[order] = np.arange(len(numbers)) - np.repeat(
        begins, np.diff(np.append(begins, len(numbers)))
    )
    return nth


def _part(trace: Trace, halves: int) -> NDArray[Any]:
    """Which of its spike's parcels each delivery is (as `engine.event.send` counts them)."""
    net, deliveries = engine_of(trace.simulation).tables, trace.deliveries
    rank = np.zeros(len(net.out), np.int64)
    for layer in range(len(net.out_first) - 1):
        mine = net.out[net.out_first[layer] : net.out_first[layer + 1]]
        rank[mine] = np.arange(len(mine))
    of_projection = np.where(
        deliveries["projection"] < 0, 0, rank[deliveries["projection"]] if len(rank) else 0
    )
    return of_projection if halves == WHOLE else 2 * of_projection + (deliveries["half"] != halves)


def edited(trace: Trace, edits: Sequence[Edit]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Each delivery's place in the list and its tick (-1: dropped), after the edits, one after the
    other; int64 [D] both.
    """
    count, emitted = len(trace.deliveries), trace.spikes["tick"][trace.deliveries["spike"]]
    place, tick = np.arange(count), trace.deliveries["tick"].copy()
    for edit in edits:
        at = place.astype(np.float64)
        if isinstance(edit, Drop):
            tick[_rows(trace, edit, edit.seq, place, tick)] = DROPPED
        elif isinstance(edit, Delay):
            tick[_rows(trace, edit, edit.seq, place, tick)] += trace.simulation.time.in_ticks(
                edit.steps, f"{edit}: steps"
            )
        elif isinstance(edit, Move):
            rows, target = (
                _rows(trace, edit, edit.seq, place, tick),
                _rows(trace, edit, edit.before, place, tick)[0],
            )
            at[rows], tick[rows] = (
                place[target] - np.linspace(1, 0, len(rows) + 2)[1:-1],
                tick[target],
            )
        elif isinstance(edit, Swap):
            a, b = (_rows(trace, edit, seq, place, tick) for seq in edit)
            to, back = (
                b[np.minimum(np.arange(len(a)), len(b) - 1)],
                a[np.minimum(np.arange(len(b)), len(a) - 1)],
            )
            at[a], at[b], tick[a], tick[b] = at[to], at[back], tick[to], tick[back]
        else:
            raise InputError("edits", "Swap, Move, Drop or Delay", repr(edit))
        place[np.lexsort((place, at))] = np.arange(count)
        early = np.flatnonzero((tick != DROPPED) & (tick < emitted))
        if len(early):
            spike = trace.deliveries["spike"][early[0]]
            raise InputError(
                str(edit),
                f"a place for spike {spike} that is not before it is fired, at tick "
                f"{emitted[early[0]]}",
                f"tick {tick[early[0]]}",
            )
    return place, tick


def _rows(
    trace: Trace,
    edit: Move | Delay | Drop | Swap,
    seq: float,
    place: NDArray[Any],
    tick: NDArray[Any],
) -> NDArray[Any]:
    """A spike's deliveries, in the order of the list."""
    if not isinstance(seq, (int, np.integer)) or not 0 <= seq < len(trace.spikes):
        raise InputError(str(edit), f"spikes by their seq, from 0 to {len(trace.spikes) - 1}", seq)
    rows = np.flatnonzero((trace.deliveries["spike"] == seq) & (tick != DROPPED))
    if not len(rows):
        raise InputError(str(edit), "a spike that is delivered", f"spike {seq}, which is not")
    return rows[np.argsort(place[rows])]


def named(edit: Move | Delay | Drop | Swap) -> tuple[int, ...]:
    """The spikes that an edit names, by seq."""
    return tuple(edit) if isinstance(edit, (Swap, Move)) else (edit.seq,)
