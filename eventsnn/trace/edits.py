"""The list of a recorded run's deliveries, and what can be changed in it.

Spikes can be swapped, moved, dropped or delayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import OWN, checked, named_fields
from eventsnn.engine.event.order import WHOLE, Order, replay_order
from eventsnn.exceptions import InputError
from eventsnn.simulation.event import engine_of
from eventsnn.trace.trace import Trace

DROPPED = -1


@named_fields
class Swap(NamedTuple):
    """The deliveries of two spikes change places and times, the first with the first and so on.

    a, b: the spikes, by their seq in the trace.
    """

    a: int
    b: int


@named_fields
class Move(NamedTuple):
    """A spike is delivered right before another, at its tick.

    seq, before: the two spikes, by their seq in the trace.
    """

    seq: int
    before: int


@named_fields
class Drop(NamedTuple):
    """A spike is fired but never delivered. seq: the spike, by its seq in the trace."""

    seq: int


@named_fields
class Delay(NamedTuple):
    """A spike is delivered so many steps later; with a barrier its step waits for it.

    seq: the spike, by its seq in the trace. steps: by how much, rounded to the nearest tick.
    """

    seq: int
    steps: float


Edit = Annotated[Swap | Move | Drop | Delay, OWN]  # each is judged where it is carried out


@checked
def recorded_order(trace: Trace, edits: Sequence[Edit] = ()) -> Order:
    """The trace's list of deliveries, edited, as a policy (`engine.event.order.replay_order`).

    trace: a complete one. edits: one after the other. Raises InputError for an edit that cannot be.
    """
    place, tick = edited(trace, edits)
    slot, order = listed(trace)
    kept = tick != DROPPED
    order.delay[slot[kept]] = (tick - trace.spikes["tick"][trace.deliveries["spike"]])[kept]
    order.key[slot[kept]] = place[kept] + 1
    return order


def listed(trace: Trace) -> tuple[NDArray[np.int64], Order]:
    """(where each delivery of a trace stands in a list, int64 [D]; a list that delivers nothing).

    The list is a policy. trace: a complete one.
    """
    engine = engine_of(trace.simulation)
    net = engine.tables
    halves = engine.order.halves
    parcels = np.diff(net.out_first)
    if halves != WHOLE:
        parcels = 2 * parcels
    elif engine.delay_kind != 1:
        parcels = np.minimum(parcels, 1)
    spikes = trace.spikes
    numbers = numbers_of(trace, spikes)
    fired = np.bincount(numbers, minlength=len(net.layer_of))
    first = np.append(0, np.cumsum(fired * parcels[net.layer_of]))
    slots = first[numbers] + nth_of(numbers) * parcels[spikes["layer"]]
    slot = slots[trace.deliveries["spike"]] + _part(trace, halves)
    delay = np.full(first[-1], DROPPED)
    key = np.ones(first[-1], np.int64)
    return slot, replay_order(first, parcels, delay, key, halves)


def numbers_of(trace: Trace, spikes: NDArray[np.void]) -> NDArray[np.int64]:
    """The spikes' neurons, by their numbers among all layers; int64 [S].

    trace: of the network. spikes: structured [S], with layer and neuron.
    """
    return trace.simulation.network.first[spikes["layer"]] + spikes["neuron"]


def nth_of(numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """For each entry, how many equal ones stand before it; int64 [N].

    numbers: whole numbers [N], at least 0.
    """
    order = np.argsort(numbers, kind="stable")
    begins = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    lengths = np.diff(np.append(begins, len(numbers)))
    nth = np.empty(len(numbers), np.int64)
    nth[order] = np.arange(len(numbers)) - np.repeat(begins, lengths)
    return nth


def _part(trace: Trace, halves: int) -> NDArray[np.int64]:
    """Which of its spike's parcels each delivery is, as `engine.event.firing.send` counts them."""
    net = engine_of(trace.simulation).tables
    deliveries = trace.deliveries
    rank = np.zeros(len(net.out), np.int64)
    for layer in range(len(net.out_first) - 1):
        mine = net.out[net.out_first[layer] : net.out_first[layer + 1]]
        rank[mine] = np.arange(len(mine))
    projection = deliveries["projection"]
    of_projection = np.zeros(len(deliveries), np.int64)
    if len(rank):
        of_projection = np.where(projection < 0, 0, rank[projection])
    if halves == WHOLE:
        return of_projection
    return 2 * of_projection + (deliveries["half"] != halves)


@checked
def edited(trace: Trace, edits: Sequence[Edit]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(place, tick) of each delivery after the edits, one after the other; both int64 [D].

    A place is in the list, from 0. The tick of a delivery that is dropped is -1.

    trace: a complete one. edits: Swap, Move, Drop and Delay. Raises InputError for anything else,
    for spikes that do not exist or are not delivered, for an edit that changes nothing by itself (a
    spike swapped with itself, a delay of no tick), and for a delivery before its spike is fired.
    """
    emitted = trace.spikes["tick"][trace.deliveries["spike"]]
    place = np.arange(len(emitted))
    tick = trace.deliveries["tick"].copy()
    given = list(edits)
    while given:
        some = _alike(given)
        del given[: len(some)]
        if len(some) > 1:
            _carry_out_alike(trace, some, place, tick)
        else:
            at = place.astype(np.float64)
            _carry_out(trace, some[0], place, tick, at)
            if isinstance(some[0], (Swap, Move)):
                place[np.lexsort((place, at))] = np.arange(len(emitted))
        early = np.flatnonzero((tick != DROPPED) & (tick < emitted))
        if len(early):
            first = early[0]
            spike = trace.deliveries["spike"][first]
            edit = next((each for each in some if spike in named(each)), some[-1])
            when = f"that is not before it is fired, at tick {emitted[first]}"
            raise InputError(str(edit), f"a place for spike {spike} {when}", f"tick {tick[first]}")
    return place, tick


def _alike(edits: Sequence[Edit]) -> list[Edit]:
    """The first edits that can be carried out at once, one or more.

    They are Delays; or Moves, of which none moves what another names.
    """
    kind = type(edits[0])
    if kind not in (Delay, Move):
        return list(edits[:1])
    moved: set[Any] = set()
    targets: set[Any] = set()
    some: list[Edit] = []
    for edit in edits:
        if not isinstance(edit, kind) or not all(
            isinstance(x, (int, np.integer)) for x in edit[:1]
        ):
            break
        if isinstance(edit, Move):
            own = edit.seq in moved or edit.seq in targets or edit.before in moved
            if own or edit.seq == edit.before or not isinstance(edit.before, (int, np.integer)):
                break
            moved.add(edit.seq)
            targets.add(edit.before)
        some.append(edit)
    return some or list(edits[:1])


def _carry_out_alike(
    trace: Trace, edits: Sequence[Edit], place: NDArray[np.int64], tick: NDArray[np.int64]
) -> None:
    """Writes what `_alike` edits change into `place` and `tick`, as one after the other would."""
    of = trace.deliveries["spike"]
    order = np.lexsort((place, of))
    order = order[tick[order] != DROPPED]
    begins = np.searchsorted(of[order], np.arange(len(trace.spikes) + 1))
    at = place.astype(np.float64)
    before: dict[int, list[NDArray[np.int64]]] = {}
    for edit in edits:
        for seq in named(edit):
            if not 0 <= seq < len(trace.spikes) or begins[seq] == begins[seq + 1]:
                _rows(trace, edit, seq, place, tick)  # says why not
        rows = order[begins[edit[0]] : begins[edit[0] + 1]]
        if isinstance(edit, Delay):
            tick[rows] += _later(trace, edit)
        elif isinstance(edit, Move):
            before.setdefault(order[begins[edit.before]], []).append(rows)
    for target, moved in before.items():
        rows = np.concatenate(moved)
        at[rows] = place[target] - np.linspace(1, 0, len(rows) + 2)[1:-1]
        tick[rows] = tick[target]
    if before:
        place[np.lexsort((place, at))] = np.arange(len(place))


def _later(trace: Trace, edit: Delay) -> int:
    """By how many ticks an edit delays. Raises InputError for none."""
    later = trace.simulation.time.nearest_tick(edit.steps, f"{edit}: steps")
    if not later:
        raise InputError(str(edit), "a delay of a tick or more", f"{edit.steps} steps")
    return later


def _carry_out(
    trace: Trace,
    edit: Edit,
    place: NDArray[np.int64],
    tick: NDArray[np.int64],
    at: NDArray[np.float64],
) -> None:
    """Writes what one edit changes into `tick` and `at`.

    place: of each delivery before the edit. at: the same, after it; the list is sorted by it.
    """
    if isinstance(edit, Drop):
        tick[_rows(trace, edit, edit.seq, place, tick)] = DROPPED
    elif isinstance(edit, Delay):
        rows = _rows(trace, edit, edit.seq, place, tick)
        tick[rows] += _later(trace, edit)
    elif isinstance(edit, Move):
        rows = _rows(trace, edit, edit.seq, place, tick)
        target = _rows(trace, edit, edit.before, place, tick)[0]
        at[rows] = place[target] - np.linspace(1, 0, len(rows) + 2)[1:-1]
        tick[rows] = tick[target]
    elif isinstance(edit, Swap):
        a = _rows(trace, edit, edit.a, place, tick)
        b = _rows(trace, edit, edit.b, place, tick)
        # where the two have not equally many deliveries, the last counts for all further ones
        to = b[np.minimum(np.arange(len(a)), len(b) - 1)]
        back = a[np.minimum(np.arange(len(b)), len(a) - 1)]
        tick_of_a = tick[to]
        tick_of_b = tick[back]
        at[a] = place[to]
        at[b] = place[back]
        tick[a] = tick_of_a
        tick[b] = tick_of_b
    else:
        raise InputError("edits", "Swap, Move, Drop or Delay", repr(edit))
    if isinstance(edit, (Swap, Move)) and edit[0] == edit[1]:
        raise InputError(str(edit), "two different spikes", f"spike {edit[0]} twice")


def _rows(
    trace: Trace, edit: Edit, seq: int, place: NDArray[np.int64], tick: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The numbers of a spike's deliveries, in the order of the list."""
    if not isinstance(seq, (int, np.integer)) or not 0 <= seq < len(trace.spikes):
        raise InputError(str(edit), f"spikes by their seq, from 0 to {len(trace.spikes) - 1}", seq)
    rows = np.flatnonzero((trace.deliveries["spike"] == seq) & (tick != DROPPED))
    if not len(rows):
        raise InputError(str(edit), "a spike that is delivered", f"spike {seq}, which is not")
    return rows[np.argsort(place[rows])]


def named(edit: Edit) -> tuple[int, ...]:
    """The spikes that an edit names, by seq. edit: any."""
    return tuple(edit) if isinstance(edit, (Swap, Move)) else (edit.seq,)
