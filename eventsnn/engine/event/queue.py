"""The event queue: a total order (time, phase, key, number) in a plain FIFO and an array heap.

An event is a row of five int64: moment = 2 * tick + phase (deliveries 0 before evaluations 1), key,
number (counts all that was ever put in), what (`layout` has its bits), spike (its place in the
order of emission). What is due at once with key 0 goes through the FIFO, which is in order by
itself, and whose rows are number, what and spike: it is empty before the clock goes on. The rest
goes through the heap. The next event is the smaller head. Input events stand in a list of their
own.

Under the order `random` the FIFO is the list of its tick (semantics, section 12): of the m
deliveries in it any is the next, and the last comes into its place. What was put in earlier for
this tick comes from the heap when the clock comes to it (`gather`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.hashing import place_of, spike_hash
from eventsnn.engine.jit import inner_kernel

MOMENT, KEY, NUMBER, WHAT, SPIKE = range(5)
F_NUMBER, F_WHAT, F_SPIKE = range(3)
# places in the array `at`, the engine's scalars: the tick, the step, rows in the heap, both ends of
# the FIFO, events ever put in and taken, spikes, rows in the records of spikes and of deliveries,
# deliveries that wait, neurons at which a task goes on and up to which drive was added, what a
# model did against its contract, the tick at which the step began, the step's input events, the
# steps before the stage that the step is in (0 without stages), the event that was taken last,
# whether it lacks room to go on, and where it goes on then, the events taken so far as `random`
# counts them (without what had ended already, and without evaluations of order `clocked` or
# stages), the tick from which times of input events count, the deliveries in the group that is
# under way (0: none is, CLOSING: it is evaluated), and what a pool unit without room has sent
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
) = range(28)
SCALARS = 28
CLOSING = -1


def queue_arrays(capacity: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(heap, fifo), int64 [capacity, 5] and [capacity, 3], not filled, as most is seldom used.

    capacity: a power of two.
    """
    return np.empty((capacity, 5), np.int64), np.empty((capacity, 3), np.int64)


@inner_kernel
def before(heap, i, j):
    """Whether one row of the heap comes before another. heap: int64 [N, 5]. i, j: the rows."""
    if heap[i, MOMENT] != heap[j, MOMENT]:
        return heap[i, MOMENT] < heap[j, MOMENT]
    if heap[i, KEY] != heap[j, KEY]:
        return heap[i, KEY] < heap[j, KEY]
    return heap[i, NUMBER] < heap[j, NUMBER]


@inner_kernel
def append(fifo, at, what, spike):
    """Puts in an event that is due at once, with key 0. The caller has made sure of room.

    fifo: int64 [N, 3]. at: int64, the scalars. what, spike: of the event.
    """
    i = at[FIFO_TAIL] & (fifo.shape[0] - 1)
    fifo[i, F_NUMBER] = at[PUT]
    fifo[i, F_WHAT] = what
    fifo[i, F_SPIKE] = spike
    at[PUT] += 1
    at[FIFO_TAIL] += 1


@inner_kernel
def put(heap, fifo, at, moment, key, what, spike):
    """Puts an event in. The caller has made sure of room.

    heap: int64 [N, 5]. fifo: int64 [N, 3]. at: int64, the scalars. moment, key, what, spike: of the
    event.
    """
    if key == 0 and moment == 2 * at[NOW]:
        append(fifo, at, what, spike)
        return
    number, i = at[PUT], at[HEAP]
    at[PUT] += 1
    at[HEAP] += 1
    while i > 0:
        parent = (i - 1) >> 1
        if (
            moment > heap[parent, MOMENT]
            or moment == heap[parent, MOMENT]
            and key >= heap[parent, KEY]
        ):
            break  # of equals, the one that came last goes last
        _copy(heap, parent, i)
        i = parent
    heap[i, MOMENT] = moment
    heap[i, KEY] = key
    heap[i, NUMBER] = number
    heap[i, WHAT] = what
    heap[i, SPIKE] = spike


@inner_kernel
def next_moment(heap, fifo, at):
    """(moment of the next event, whether it is the FIFO's); moment -1 if there is none.

    heap: int64 [N, 5]. fifo: int64 [N, 3]. at: int64, the scalars.
    """
    head, size = at[FIFO_HEAD], at[HEAP]
    if head == at[FIFO_TAIL]:
        return (heap[0, MOMENT], False) if size > 0 else (-1, False)
    moment = 2 * at[NOW]
    if size == 0 or heap[0, MOMENT] > moment:
        return moment, True
    first = (
        heap[0, KEY] > 0
        or heap[0, KEY] == 0
        and heap[0, NUMBER] > fifo[head & (fifo.shape[0] - 1), F_NUMBER]
    )
    return moment, first


@inner_kernel
def take(heap, fifo, at, from_fifo):
    """Removes the next event and returns its (what, spike). The queue is not empty.

    heap: int64 [N, 5]. fifo: int64 [N, 3]. at: int64, the scalars. from_fifo: whether the event is
    the FIFO's, as `next_moment` says.
    """
    if from_fifo:
        i = at[FIFO_HEAD] & (fifo.shape[0] - 1)
        at[FIFO_HEAD] += 1
        if at[FIFO_HEAD] == at[FIFO_TAIL]:
            at[FIFO_HEAD] = at[FIFO_TAIL] = 0  # the same few rows again, which are in cache
        return fifo[i, F_WHAT], fifo[i, F_SPIKE]
    what, spike = heap[0, WHAT], heap[0, SPIKE]
    at[HEAP] -= 1
    size, i = at[HEAP], 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and before(heap, child + 1, child):
            child += 1
        if not before(heap, child, size):
            break
        _copy(heap, child, i)
        i = child
    _copy(heap, size, i)
    return what, spike


@inner_kernel
def take_any(fifo, at, seed, image):
    """Removes any of the list of the tick that is due; returns its (what, spike).

    Of m it is the one at place floor(h m / 2^64), with 64 random bits h of the number of events
    taken before; the last comes into its place (semantics, section 12). fifo: int64 [N, 3]. at:
    int64, the scalars. seed: of the run. image: its number in the data set.
    """
    i = place_of(spike_hash(seed, image, at[COUNTED]), at[FIFO_TAIL])
    what, spike = fifo[i, F_WHAT], fifo[i, F_SPIKE]
    at[FIFO_TAIL] -= 1
    last = at[FIFO_TAIL]
    fifo[i, F_WHAT], fifo[i, F_SPIKE] = fifo[last, F_WHAT], fifo[last, F_SPIKE]
    return what, spike


@inner_kernel
def gather(heap, fifo, at):
    """Puts what waits for the tick that is due into its list, in the order of emission.

    Returns whether there was room. heap: int64 [N, 5]. fifo: int64 [N, 3]. at: int64, the scalars.
    """
    while at[HEAP] > 0 and heap[0, MOMENT] == 2 * at[NOW]:
        if at[FIFO_TAIL] == fifo.shape[0]:
            return False
        what, spike = take(heap, fifo, at, False)
        append(fifo, at, what, spike)
        at[PUT] -= 1  # it is not put in anew
    return True


@inner_kernel
def _copy(heap, i, j):
    """Row j becomes row i."""
    for x in range(5):
        heap[j, x] = heap[i, x]


def longer_heap(heap: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The heap with twice the room. heap: int64 [N, 5]. at: int64, the scalars."""
    longer = np.empty((2 * len(heap), heap.shape[1]), np.int64)
    longer[: at[HEAP]] = heap[: at[HEAP]]
    return longer


def longer_fifo(fifo: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The FIFO with twice the room, unrolled to start at 0, which `at` says afterwards.

    fifo: int64 [N, 3]. at: int64, the scalars.
    """
    longer = np.empty((2 * len(fifo), fifo.shape[1]), np.int64)
    first = at[FIFO_HEAD] % len(fifo)
    waiting = at[FIFO_TAIL] - at[FIFO_HEAD]
    until_end = min(waiting, len(fifo) - first)
    longer[:until_end] = fifo[first : first + until_end]
    longer[until_end:waiting] = fifo[: waiting - until_end]
    at[FIFO_HEAD], at[FIFO_TAIL] = 0, waiting
    return longer
