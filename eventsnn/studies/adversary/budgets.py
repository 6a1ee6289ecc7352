"""The budget of an attack: how much an edited list of deliveries differs from the recorded one.

Budgets count the edits alone, and nothing that follows from them (semantics, section 14).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import OWN, checked, named_fields
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT
from eventsnn.trace.arrivals import is_clocked
from eventsnn.trace.edits import DROPPED, Edit, Swap, edited
from eventsnn.trace.trace import Trace
from eventsnn.values import shaped

DIRECT = 64  # places whose inversions are counted pair by pair


@named_fields
class Budget(NamedTuple):
    """How much was edited.

    b0: how many deliveries were moved; in an edited order the n of a tick less their longest common
    subsequence. b1: ticks, summed up; in an order swaps of neighbours (Kendall). binf: the most
    ticks; in an order the most places.
    """

    b0: int
    b1: int
    binf: int

    def __str__(self) -> str:
        return f"B0 {self.b0:,}, B1 {self.b1:,}, B-infinity {self.binf:,}"


NOTHING = Budget(0, 0, 0)


@checked
def of_times(old: NDArray[np.int64], new: NDArray[np.int64]) -> Budget:
    """The `Budget` of edited times.

    old, new: int64 [D], the tick of each delivery before and after. Raises InputError for arrays of
    two lengths.
    """
    shaped("old", old, None)
    shaped("new", new, len(old))
    moved = np.abs(new - old)
    return Budget(int((moved > 0).sum()), int(moved.sum()), int(moved.max(initial=0)))


@checked
def of_order(place: NDArray[np.int64]) -> Budget:
    """The `Budget` of an edited order among equals of one tick.

    place: int64 [n], the new place of each delivery, each of 0 to n - 1 once; they stand in the old
    order. Raises InputError for anything else.
    """
    shaped("place", place, None)
    if not np.array_equal(np.sort(place), np.arange(len(place))):
        expected = f"each place from 0 to {len(place) - 1} once"
        raise InputError("place", expected, "another array")
    moved = np.flatnonzero(place != np.arange(len(place)))
    if not len(moved):
        return NOTHING
    # what stands before the first and behind the last that moved counts for nothing
    inner = place[moved[0] : moved[-1] + 1] - moved[0]
    farthest = int(np.abs(inner - np.arange(len(inner))).max())
    return Budget(len(inner) - longest_rise(inner.tolist()), inversions(inner), farthest)


@checked
def longest_rise(values: Annotated[Sequence[int], OWN]) -> int:
    """The length of the longest rising subsequence. values: whole numbers, each different.

    Of a permutation it is the longest common subsequence with the order that it permutes.
    """
    ends: list[int] = []  # the least last value of a rise of each length
    for value in values:
        at = bisect_left(ends, value)
        ends[at : at + 1] = [value]
    return len(ends)


@checked
def inversions(values: NDArray[np.int64]) -> int:
    """How many pairs stand the wrong way round: the swaps of neighbours that sort them.

    values: int64 [n], each different.
    """
    n = len(values)
    if n <= DIRECT:
        return int((values[:, None] > values)[np.triu_indices(n, 1)].sum())
    left, right = values[: n // 2], values[n // 2 :]
    across = len(left) * len(right) - int(np.searchsorted(np.sort(left), right).sum())
    return inversions(left) + inversions(right) + across


@checked
def of_edits(trace: Trace, edits: Iterable[Edit]) -> tuple[Budget, Budget]:
    """(the `Budget` of the edited order among equals, that of the edited times) of edits.

    What is moved to another tick counts as an edited time alone.

    trace: a complete one. edits: as for `replay`. Raises InputError for edits that no attack makes:
    one that drops a delivery, or moves it before the spike's cause or behind the run's end; and for
    what `replay` refuses.
    """
    edits = tuple(edits)
    place, tick = edited(trace, edits)
    _check(trace, edits, place, tick)
    return of_list(trace.deliveries["tick"], place, tick)


@checked
def in_a_step(trace: Trace) -> int:
    """The most deliveries of one step into one layer that are moved in a run.

    It is the budget of a certificate (`eventsnn.budgets`), and it counts what the run itself did:
    under order clocked deliveries that come later than their spike was emitted, by the step of the
    emission; in other orders those that do not stand as their spikes were emitted (n less the
    longest common subsequence). The readout is no such layer.

    trace: a complete one, of a replay in whose base run all deliveries are in their natural order.
    """
    network, deliveries = trace.simulation.network, trace.deliveries
    clocked, spikes = is_clocked(trace.simulation), trace.spikes
    layer = spikes["layer"][deliveries["spike"]]
    emitted = spikes["step"][deliveries["spike"]]
    late = deliveries["step"] > emitted
    most = 0
    for target in range(len(network.spiking)):
        heard = [p.source for p in network.into(target) if p.source != INPUT]
        mine = np.isin(layer, heard)
        if clocked:
            found = np.bincount(emitted[mine & late], minlength=1).max()
            most = max(most, int(found))
            continue
        for step in range(trace.simulation.steps):
            its = deliveries["spike"][mine & (emitted == step)].tolist()
            most = max(most, len(its) - longest_rise(its))
    return most


def of_list(
    old: NDArray[np.int64], place: NDArray[np.int64], tick: NDArray[np.int64]
) -> tuple[Budget, Budget]:
    """(`Budget` of the order, of the times) of an edited list of deliveries.

    old: int64 [D], the recorded ticks. place, tick: int64 [D], as `edited` returns them.
    """
    order = NOTHING
    same = np.flatnonzero(old == tick)
    by_tick = same[np.argsort(old[same], kind="stable")]
    for rows in np.split(by_tick, np.flatnonzero(np.diff(old[by_tick])) + 1):
        if len(rows) and (np.diff(place[rows]) < 0).any():
            rank = np.empty(len(rows), np.int64)
            rank[np.argsort(place[rows])] = np.arange(len(rows))
            found = of_order(rank)
            ends = max(order.binf, found.binf)
            order = Budget(order.b0 + found.b0, order.b1 + found.b1, ends)
    return order, of_times(old, tick)


def _check(
    trace: Trace, edits: Sequence[Edit], place: NDArray[np.int64], tick: NDArray[np.int64]
) -> None:
    """Raises InputError for edits that no attack makes; see `of_edits`."""
    do = "an attack moves deliveries, and drops none"
    if (tick == DROPPED).any():
        raise InputError("edits", "every spike delivered", "a Drop", do)
    spikes, deliveries = trace.spikes, trace.deliveries
    moved = {spike for edit in edits for spike in movers(edit)}
    rows = np.flatnonzero(np.isin(deliveries["spike"], list(moved)))
    late = rows[tick[rows] >= trace.end]
    if len(late) and not waits(trace):
        spike, when = deliveries["spike"][late[0]], tick[late[0]]
        expected = f"deliveries before the run ends, at tick {trace.end:,}"
        raise InputError("edits", expected, f"spike {spike} at tick {when:,}", do)
    brought = arrival_of_cause(trace)[rows]
    # where the cause is moved as well, its spike comes when it is fired
    stays = (brought >= 0) & ~np.isin(brought, rows)
    caused, its = rows[stays], brought[stays]
    early = (tick[caused] == tick[its]) & (place[caused] < place[its])
    early |= tick[caused] < tick[its]
    if early.any():
        spike = deliveries["spike"][caused[early.argmax()]]
        expected = f"a place for spike {spike} behind its cause, spike {spikes['cause'][spike]}"
        raise InputError("edits", expected, "one before it")


def movers(edit: Edit) -> tuple[int, ...]:
    """The spikes that an edit moves, by seq. edit: any."""
    return tuple(edit) if isinstance(edit, Swap) else (edit.seq,)


def waits(trace: Trace) -> bool:
    """Whether a step of a replay waits for deliveries that edits moved. trace: of the base run."""
    return trace.simulation.time.barrier and not is_clocked(trace.simulation)


def arrival_of_cause(trace: Trace) -> NDArray[np.int64]:
    """For each delivery, the number of the last one of the spike that caused its own; int64 [D].

    -1 where drive, or the neuron's own evaluation, was the cause. trace: a complete one.
    """
    deliveries = trace.deliveries
    last = np.full(len(trace.spikes) + 1, -1)
    np.maximum.at(last, deliveries["spike"], np.arange(len(deliveries)))
    last[-1] = -1
    return last[trace.spikes["cause"][deliveries["spike"]]]
