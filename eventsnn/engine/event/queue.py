"""The event queue: a total order (time, phase, key, number) in a plain FIFO and an array heap.

An event is a row of five int64: moment = 2 * tick + phase (deliveries 0 before evaluations 1), key,
number (counts all that was ever put in), what, spike. What is due at once with key 0 goes through
the FIFO, which is in order by itself, and whose rows are number, what and spike: it is empty before
the clock goes on. The rest goes through the heap. The next event is the smaller head. Input events
stand in a list of their own.
"""

import numpy as np

from eventsnn.engine.jit import inner_kernel

MOMENT, KEY, NUMBER, WHAT, SPIKE = range(5)
F_NUMBER, F_WHAT, F_SPIKE = range(3)
# places in the array `at`, the engine's scalars
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
    SHORT,
    BEGAN,
    INPUT,
    INPUT_END,
) = range(17)
SCALARS = 17


def queue_arrays(capacity):
    """(heap, fifo), int64 [capacity, 5] and [capacity, 3]; capacity: a power of two."""
    return np.empty((capacity, 5), np.int64), np.empty(
        (capacity, 3), np.int64
    )  # not filled: most of it is seldom used


@inner_kernel
def before(heap, i, j):
    """Whether row i of the heap comes before row j."""
    if heap[i, MOMENT] != heap[j, MOMENT]:
        return heap[i, MOMENT] < heap[j, MOMENT]
    if heap[i, KEY] != heap[j, KEY]:
        return heap[i, KEY] < heap[j, KEY]
    return heap[i, NUMBER] < heap[j, NUMBER]


@inner_kernel
def append(fifo, at, what, spike):
    """Put in an event that is due at once, with key 0."""
    i = at[FIFO_TAIL] & (fifo.shape[0] - 1)
    fifo[i, F_NUMBER], fifo[i, F_WHAT], fifo[i, F_SPIKE] = at[PUT], what, spike
    at[PUT] += 1
    at[FIFO_TAIL] += 1


@inner_kernel
def put(heap, fifo, at, moment, key, what, spike):
    """Put an event in. The caller has made sure of room."""
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
    heap[i, MOMENT], heap[i, KEY], heap[i, NUMBER], heap[i, WHAT], heap[i, SPIKE] = (
        moment,
        key,
        number,
        what,
        spike,
    )


@inner_kernel
def next_moment(heap, fifo, at):
    """(moment of the next event, whether it is the FIFO's); -1 if there is none."""
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
    """Remove the next event, which is the FIFO's or not (`next_moment`); returns (what, spike). The
    queue is not empty.
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
def _copy(heap, i, j):
    """Row j becomes row i."""
    for x in range(5):
        heap[j, x] = heap[i, x]


def longer_heap(heap, at):
    """The heap with twice the room."""
    longer = np.empty((2 * len(heap), heap.shape[1]), np.int64)
    longer[: at[HEAP]] = heap[: at[HEAP]]
    return longer


def longer_fifo(fifo, at):
    """The FIFO with twice the room, unrolled to start at 0."""
    longer = np.empty((2 * len(fifo), fifo.shape[1]), np.int64)
    first, waiting = at[FIFO_HEAD] % len(fifo), at[FIFO_TAIL] - at[FIFO_HEAD]
    until_end = min(waiting, len(fifo) - first)
    longer[:until_end] = fifo[first : first + until_end]
    longer[until_end:waiting] = fifo[: waiting - until_end]
    at[FIFO_HEAD], at[FIFO_TAIL] = 0, waiting
    return longer
