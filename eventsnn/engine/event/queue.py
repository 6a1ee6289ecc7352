"""The event queue: a total order (time, phase, key, number).

What is due later waits in a ring (`ring`), whatever its key. When the clock comes to a tick, its
deliveries go on: those with key 0 into a FIFO, which is in order by itself, those with real keys
into an array heap. Halves have few keys (`order.halves`), so in place of the heap each key has a
chain, first in first out. What is put in for the tick that is due goes there at once. The
next delivery is the heap's where its key is below 0, else the FIFO's, else the heap's. Then come
the tick's ends of rests and windows, which were sorted by neuron when the clock came to them, and
after each of them the deliveries that it has brought. Input events stand in a list of their own.

Under the order `random` the FIFO is the list of its tick (semantics, section 12): of the m
deliveries in it any is the next, and the last comes into its place.

In all functions: state: has at, heap, fifo, ends, counts and what `ring` needs, as in
`layout.State`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event import ring
from eventsnn.engine.event.layout import DELIVERY, NUMBER_BIT
from eventsnn.engine.event.ring import NEVER, free, insert, next_in_ring
from eventsnn.engine.hashing import place_of, spike_hash
from eventsnn.engine.jit import inner_kernel
from eventsnn.engine.vectors import lowest_bit

KEY, NUMBER, WHAT, SPIKE = range(4)  # columns of the heap
F_WHAT, F_SPIKE = range(2)  # of the FIFO
FEW = 24  # ends that are sorted one by one
# places in the array `at`, the engine's scalars: the tick, the step, rows in the heap, both ends of
# the FIFO, events ever put in and taken, spikes, rows in the records of spikes and of deliveries,
# deliveries that wait, neurons at which a task goes on and up to which drive was added, what a
# model did against its contract, the tick at which the step began, the step's input events, the
# steps before the stage that the step is in (0 without stages), the event that was taken last,
# whether it lacks room to go on, and where it goes on then, the events taken so far as `random`
# counts them (without what had ended already, and without evaluations of order `clocked` or
# stages), the tick from which times of input events count, the deliveries in the group that is
# under way (0: none is, CLOSING: it is evaluated), and what a pool unit without room has sent. Of
# the ends of rests and windows at this tick: the row of `ends` that they stand in, and both ends of
# what is left of them
(
    NOW,
    STEP,
    HEAP,
    FIFO_HEAD,
    FIFO_TAIL,
    PUT,
    TAKEN,
    SPIKES,
    RECORDED,
    DELIVERED,
    UNDER_WAY,
    CURSOR,
    DRIVEN,
    UNKEPT,
    BEGAN,
    INPUT,
    INPUT_END,
    STAGE,
    EVENT,
    EVENT_SPIKE,
    HELD,
    HELD_OUT,
    HELD_AT,
    HELD_END,
    COUNTED,
    INPUT_FROM,
    GROUPED,
    MEMBERS,
    END_ROW,
    END_HEAD,
    END_TAIL,
    SERVING,
    HEARD,
    CHANGED,
) = range(34)
SCALARS = 34
CLOSING = -1


class QueueArrays(NamedTuple):
    """The queue's arrays at first; see `layout.State`."""

    heap: NDArray[np.int64]
    fifo: NDArray[np.int64]
    chunks: NDArray[np.int64]
    ends: NDArray[np.int64]
    buckets: NDArray[np.int32]
    bucket_marks: NDArray[np.uint64]
    turn: NDArray[np.int64]
    counts: NDArray[np.int64]
    keys: NDArray[np.int32]
    key_marks: NDArray[np.uint64]

    def __repr__(self) -> str:
        return f"<QueueArrays: room for {len(self.fifo):,} events>"


def queue_arrays(capacity: int, few: int = 0) -> QueueArrays:
    """Arrays of an empty queue; most are not filled, as most is seldom used.

    capacity: how many events each may hold, a power of two. few: the largest key where there are
    few (0: there may be any).
    """
    return QueueArrays(
        heap=np.empty((capacity, 4), np.int64),
        fifo=np.empty((capacity, 2), np.int64),
        chunks=np.empty((ring.chunks_for(capacity, few), ring.ROWS, 4), np.int64),
        ends=np.empty((2, capacity), np.int64),
        buckets=np.zeros((ring.LAPS * ring.BUCKETS, 2), np.int32),
        bucket_marks=np.zeros((ring.LAPS, ring.SUMMARY + 1), np.uint64),
        turn=np.zeros(4, np.int64),
        counts=np.zeros(256, np.int64),
        keys=np.zeros((few + 1 if few else 0, 2), np.int32),
        key_marks=np.zeros((few >> 6) + 1, np.uint64),
    )


@inner_kernel
def append(fifo, at, what, spike):
    """Puts in an event that is due at once, with key 0. The caller has made sure of room.

    fifo: int64 [N, 2]. at: int64, the scalars. what, spike: of the event.
    """
    i = at[FIFO_TAIL] & (fifo.shape[0] - 1)
    fifo[i, F_WHAT] = what
    fifo[i, F_SPIKE] = spike
    at[FIFO_TAIL] += 1


@inner_kernel
def push(state, key, what, spike):
    """Puts an event that is due at once into the heap. key, what, spike: of the event."""
    heap, at = state.heap, state.at
    i = at[HEAP]
    at[HEAP] += 1
    while i > 0:
        parent = (i - 1) >> 1
        if key >= heap[parent, KEY]:
            break  # of equals, the one that came last goes last
        _copy(heap, parent, i)
        i = parent
    heap[i, KEY] = key
    heap[i, NUMBER] = at[PUT]
    heap[i, WHAT] = what
    heap[i, SPIKE] = spike
    at[PUT] += 1


@inner_kernel
def put_now(state, key, what, spike):
    """Puts in a delivery that is due at once. key, what, spike: of the event."""
    if key == 0:
        append(state.fifo, state.at, what, spike)
    elif state.keys.shape[0] > 0:
        chain(state, key, what, spike)
    else:
        push(state, key, what, spike)


@inner_kernel
def chain(state, key, what, spike):
    """Puts a delivery that is due at once at the end of its key's chain.

    key: from 1, one of the few. what, spike: of the event.
    """
    if ring.append_to(state, state.keys, key, 0, key, what, spike):
        state.key_marks[key >> 6] |= np.uint64(1) << np.uint64(key & 63)
    state.at[HEAP] += 1


@inner_kernel
def unchain(state):
    """Removes the first delivery of the lowest key; returns its (what, spike)."""
    word = 0
    while state.key_marks[word] == 0:
        word += 1
    key = word * 64 + lowest_bit(state.key_marks[word])
    chunk = np.int64(state.keys[key, ring.FIRST])
    events = state.chunks[chunk - 1]
    i = events[0, ring.GONE] + 1
    what, spike = events[i, ring.WHAT], events[i, ring.SPIKE]
    events[0, ring.GONE] = i
    if i == events[0, ring.COUNT]:
        behind = free(state, chunk)
        state.keys[key, ring.FIRST] = behind
        if behind == 0:
            state.key_marks[word] &= ~(np.uint64(1) << np.uint64(key & 63))
    state.at[HEAP] -= 1
    return what, spike


@inner_kernel
def put(state, moment, key, what, spike):
    """Puts a delivery in. The caller has made sure of room.

    moment: of the tick that is due, or later. key, what, spike: of the event.
    """
    if moment == 2 * state.at[NOW]:
        put_now(state, key, what, spike)
    else:
        insert(state, moment, key, what, spike)


@inner_kernel
def put_end(state, tick, what):
    """Puts in the end of a rest or a window, or a neuron's own firing time.

    The caller has made sure of room. tick: when, later than now. what: of the event.
    """
    insert(state, 2 * tick + 1, 0, what, -1)


@inner_kernel
def next_moment(state, bound):
    """The moment of the next event, or NEVER where it is later than a bound, or there is none."""
    at = state.at
    if at[FIFO_HEAD] < at[FIFO_TAIL] or at[HEAP] > 0:
        return 2 * at[NOW]
    if at[END_HEAD] < at[END_TAIL]:
        return 2 * at[NOW] + 1
    return next_in_ring(state, bound)


@inner_kernel
def come_to(state, moment):
    """The clock goes on to a moment; what waits for it comes out of the ring.

    moment: that of the next event, or that of the tick that is due.
    """
    at = state.at
    at[NOW] = moment >> 1
    if next_in_ring(state, moment) != moment:
        return
    chunk = ring.chain_of(state, 0, moment & (ring.BUCKETS - 1))
    if moment & 1:
        gather_ends(state, chunk)
        return
    while chunk > 0:
        events = state.chunks[chunk - 1]
        count = events[0, ring.COUNT]
        for i in range(1, count + 1):
            put_now(state, events[i, ring.KEY], events[i, ring.WHAT], events[i, ring.SPIKE])
        state.turn[ring.LINKED] -= count
        chunk = free(state, chunk)


@inner_kernel
def gather_ends(state, chunk):
    """Lists the ends of rests and windows of one moment by neuron, of one as they were put in.

    chunk: the first of their chain.
    """
    at, ends = state.at, state.ends
    size, low, high, falls = 0, NEVER, 0, False
    before = -1
    while chunk > 0:
        events = state.chunks[chunk - 1]
        count = events[0, ring.COUNT]
        for i in range(1, count + 1):
            what = events[i, ring.WHAT]
            number = what >> NUMBER_BIT
            falls |= number < before
            before = number
            low, high = min(low, number), max(high, number)
            ends[0, size] = what
            size += 1
        state.turn[ring.LINKED] -= count
        chunk = free(state, chunk)
    at[END_ROW], at[END_HEAD], at[END_TAIL] = 0, 0, size
    if not falls:
        return
    if size <= FEW:
        sort_few(ends, size)
        return
    shift = 0
    while (high - low) >> shift > 0:
        deal(ends, at[END_ROW], state.counts, size, low, shift)
        at[END_ROW] = 1 - at[END_ROW]
        shift += 8


@inner_kernel
def sort_few(ends, size):
    """Sorts the first events of row 0 by neuron, equals as they stand. ends: int64 [2, N]."""
    for i in range(1, size):
        what = ends[0, i]
        j = i
        while j > 0 and ends[0, j - 1] >> NUMBER_BIT > what >> NUMBER_BIT:
            ends[0, j] = ends[0, j - 1]
            j -= 1
        ends[0, j] = what


@inner_kernel
def deal(ends, row, counts, size, low, shift):
    """One pass of a radix sort: events go into the other row by 8 bits of their neuron's number.

    ends: int64 [2, N]. row: where they stand. counts: int64 [256], scratch. size: how many they
    are. low: the lowest number. shift: the first of the bits.
    """
    for digit in range(256):
        counts[digit] = 0
    for i in range(size):
        counts[(((ends[row, i] >> NUMBER_BIT) - low) >> shift) & 255] += 1
    before = 0
    for digit in range(256):
        mine = counts[digit]
        counts[digit] = before
        before += mine
    for i in range(size):
        digit = (((ends[row, i] >> NUMBER_BIT) - low) >> shift) & 255
        ends[1 - row, counts[digit]] = ends[row, i]
        counts[digit] += 1


@inner_kernel
def take(rules, state):
    """Removes the next event and returns its (what, spike); there is one. rules: Rules."""
    at, fifo, heap = state.at, state.fifo, state.heap
    few = state.keys.shape[0] > 0  # from 1
    if at[FIFO_HEAD] < at[FIFO_TAIL] and (at[HEAP] == 0 or few or heap[0, KEY] > 0):
        if rules.uniform:
            return take_any(fifo, at, rules.seed, rules.image)
        i = at[FIFO_HEAD] & (fifo.shape[0] - 1)
        at[FIFO_HEAD] += 1
        if at[FIFO_HEAD] == at[FIFO_TAIL]:
            at[FIFO_HEAD] = at[FIFO_TAIL] = 0  # the same few rows again, which are in cache
        return fifo[i, F_WHAT], fifo[i, F_SPIKE]
    if at[HEAP] > 0:
        return unchain(state) if few else pop(heap, at)
    what = state.ends[at[END_ROW], at[END_HEAD]]
    at[END_HEAD] += 1
    if at[END_HEAD] == at[END_TAIL]:
        at[END_HEAD] = at[END_TAIL] = 0
    return what, np.int64(-1)


@inner_kernel
def pop(heap, at):
    """Removes the heap's first event; returns its (what, spike). heap: int64 [N, 4]."""
    what, spike = heap[0, WHAT], heap[0, SPIKE]
    at[HEAP] -= 1
    size = at[HEAP]
    # the gap sinks to the bottom, and the last row rises from there: it mostly belongs there
    i = 0
    while 2 * i + 2 < size:
        child = 2 * i + 1
        if before(heap, child + 1, child):
            child += 1
        _copy(heap, child, i)
        i = child
    if 2 * i + 1 < size:
        _copy(heap, 2 * i + 1, i)
        i = 2 * i + 1
    while i > 0:
        parent = (i - 1) >> 1
        if before(heap, parent, size):
            break
        _copy(heap, parent, i)
        i = parent
    _copy(heap, size, i)
    return what, spike


@inner_kernel
def before(heap, i, j):
    """Whether one row of the heap comes before another. heap: int64 [N, 4]. i, j: the rows."""
    if heap[i, KEY] != heap[j, KEY]:
        return heap[i, KEY] < heap[j, KEY]
    return heap[i, NUMBER] < heap[j, NUMBER]


@inner_kernel
def take_any(fifo, at, seed, image):
    """Removes any of the list of the tick that is due; returns its (what, spike).

    Of m it is the one at place floor(h m / 2^64), with 64 random bits h of the number of events
    taken before; the last comes into its place (semantics, section 12). fifo: int64 [N, 2]. at:
    int64, the scalars. seed: of the run. image: its number in the data set.
    """
    i = place_of(spike_hash(seed, image, at[COUNTED]), at[FIFO_TAIL])
    what, spike = fifo[i, F_WHAT], fifo[i, F_SPIKE]
    at[FIFO_TAIL] -= 1
    last = at[FIFO_TAIL]
    fifo[i, F_WHAT], fifo[i, F_SPIKE] = fifo[last, F_WHAT], fifo[last, F_SPIKE]
    return what, spike


@inner_kernel
def _copy(heap, i, j):
    """Row i goes to row j."""
    for x in range(4):
        heap[j, x] = heap[i, x]


def waiting(state: Any) -> NDArray[np.int64]:
    """`what` of all events that wait, in no order; int64 [W]."""
    at = state.at
    places = np.arange(at[FIFO_HEAD], at[FIFO_TAIL]) & (len(state.fifo) - 1)
    chunks = state.chunks[: state.turn[ring.USED]]
    rows = np.arange(1, ring.ROWS)
    there = (rows > chunks[:, :1, ring.GONE]) & (rows <= chunks[:, :1, ring.COUNT])
    return np.concatenate(
        [
            state.heap[: 0 if len(state.keys) else at[HEAP], WHAT],
            state.fifo[places, F_WHAT],
            state.ends[at[END_ROW], at[END_HEAD] : at[END_TAIL]],
            chunks[:, 1:, ring.WHAT][there],
        ]
    )


def relist(state: Any, key_of: Callable[[int, int, int], int]) -> Any:
    """A state whose deliveries under way have other keys. state: is changed, too.

    key_of: (what, spike, key) -> key.
    """
    at = state.at
    state = _unchained(state)
    for chunk in state.chunks[: state.turn[ring.USED]]:
        for row in chunk[1 : chunk[0, ring.COUNT] + 1]:
            if row[ring.WHAT] & 3 == DELIVERY:
                what, spike, key = row[[ring.WHAT, ring.SPIKE, ring.KEY]].tolist()
                row[ring.KEY] = key_of(what, spike, key)
    places = np.arange(at[FIFO_HEAD], at[FIFO_TAIL]) & (len(state.fifo) - 1)
    due = np.zeros((len(places), 4), np.int64)
    due[:, NUMBER] = at[PUT] + np.arange(len(places))
    due[:, [WHAT, SPIKE]] = state.fifo[places]
    at[FIFO_HEAD] = at[FIFO_TAIL] = 0
    at[PUT] += len(places)
    due = np.concatenate([state.heap[: at[HEAP]], due])
    for row in due:
        row[KEY] = key_of(row[WHAT].item(), row[SPIKE].item(), row[KEY].item())
    while len(state.heap) < len(due):
        state = state._replace(heap=longer(state.heap, 0))
    at[HEAP] = len(due)
    # what is sorted is a heap
    state.heap[: len(due)] = due[np.lexsort((due[:, NUMBER], due[:, KEY]))]
    return state


def _unchained(state: Any) -> Any:
    """A state without chains by key: what is due stands in its heap."""
    at, turn = state.at, state.turn
    if not len(state.keys):
        return state
    rows: list[tuple[Any, ...]] = []
    for key, chunk in enumerate(state.keys[:, ring.FIRST].tolist()):
        while chunk:
            events = state.chunks[chunk - 1]
            for row in events[events[0, ring.GONE] + 1 : events[0, ring.COUNT] + 1]:
                rows.append((key, at[PUT] + len(rows), row[ring.WHAT], row[ring.SPIKE]))
            behind = int(events[0, ring.BEHIND])
            events[0, [ring.BEHIND, ring.COUNT]] = turn[ring.FREE], 0
            turn[ring.FREE] = chunk
            chunk = behind
    at[PUT] += len(rows)
    while len(state.heap) < len(rows):
        state = state._replace(heap=longer(state.heap, 0))
    if rows:
        state.heap[: len(rows)] = rows  # in order, so it is a heap
    return state._replace(keys=np.zeros((0, 2), np.int32))


def longer(rows: NDArray[np.int64], used: int) -> NDArray[np.int64]:
    """An array of twice the length, of which the first rows are the same.

    rows: int64 [N, columns]. used: how many rows are kept.
    """
    found = np.empty((2 * len(rows), rows.shape[1]), np.int64)
    found[:used] = rows[:used]
    return found


def longer_ring(state: Any, few: int) -> Any:
    """A state with room for twice as many events in the ring. few: as in `queue_arrays`."""
    capacity, used = 2 * state.ends.shape[1], state.turn[ring.USED]
    chunks = np.empty((ring.chunks_for(capacity, few), *state.chunks.shape[1:]), np.int64)
    chunks[:used] = state.chunks[:used]
    ends = np.empty((2, capacity), np.int64)
    ends[:, : capacity // 2] = state.ends
    return state._replace(chunks=chunks, ends=ends)


def longer_fifo(fifo: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The FIFO with twice the room, unrolled to start at 0, which `at` says afterwards.

    fifo: int64 [N, 2]. at: int64, the scalars.
    """
    longer = np.empty((2 * len(fifo), fifo.shape[1]), np.int64)
    first = at[FIFO_HEAD] % len(fifo)
    waiting = at[FIFO_TAIL] - at[FIFO_HEAD]
    until_end = min(waiting, len(fifo) - first)
    longer[:until_end] = fifo[first : first + until_end]
    longer[until_end:waiting] = fifo[: waiting - until_end]
    at[FIFO_HEAD], at[FIFO_TAIL] = 0, waiting
    return longer
