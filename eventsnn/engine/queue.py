"""The event queue: a total order (time, phase, key, number) in a plain FIFO and an array heap.

An event is a row of five int64: moment = 2 * tick + phase (deliveries 0 before evaluations 1), key,
number (counts all that was ever put in), what, spike. What is due at once with key 0 goes through the
FIFO, which is in order by itself; the rest through the heap. The next event is the smaller head.
"""
import numpy as np

from eventsnn.jit import inner_kernel

MOMENT, KEY, NUMBER, WHAT, SPIKE = range(5)
WIDTH = 5
# places in the array `at`, the engine's scalars
NOW, STEP, HEAP, FIFO_HEAD, FIFO_TAIL, PUT, TAKEN, SPIKES, RECORDED, DELIVERED, UNDER_WAY, CURSOR, SHORT = range(13)
SCALARS = 13


def queue_arrays(capacity):
    """(heap, fifo), each int64 [capacity, 5]; capacity: a power of two."""
    return np.zeros((capacity, WIDTH), np.int64), np.zeros((capacity, WIDTH), np.int64)


@inner_kernel
def before(a, i, b, j):
    """Whether row i of a comes before row j of b."""
    if a[i, 0] != b[j, 0]:
        return a[i, 0] < b[j, 0]
    if a[i, 1] != b[j, 1]:
        return a[i, 1] < b[j, 1]
    return a[i, 2] < b[j, 2]


@inner_kernel
def put(heap, fifo, at, moment, key, what, spike):
    """Put an event in. The caller has made sure of room."""
    number = at[PUT]
    at[PUT] += 1
    if key == 0 and moment == 2 * at[NOW]:
        i = at[FIFO_TAIL] & (fifo.shape[0] - 1)
        at[FIFO_TAIL] += 1
        fifo[i, 0], fifo[i, 1], fifo[i, 2], fifo[i, 3], fifo[i, 4] = moment, key, number, what, spike
        return
    i = at[HEAP]
    at[HEAP] += 1
    heap[i, 0], heap[i, 1], heap[i, 2], heap[i, 3], heap[i, 4] = moment, key, number, what, spike
    while i > 0:
        parent = (i - 1) >> 1
        if not before(heap, i, heap, parent):
            break
        _swap(heap, i, parent)
        i = parent


@inner_kernel
def from_fifo(heap, fifo, at):
    """Whether the next event is the FIFO's; the queue is not empty."""
    if at[FIFO_HEAD] == at[FIFO_TAIL]:
        return False
    return at[HEAP] == 0 or before(fifo, at[FIFO_HEAD] & (fifo.shape[0] - 1), heap, 0)


@inner_kernel
def next_tick(heap, fifo, at):
    """The tick of the next event, or -1 if there is none."""
    if at[FIFO_HEAD] == at[FIFO_TAIL] and at[HEAP] == 0:
        return -1
    if from_fifo(heap, fifo, at):
        return fifo[at[FIFO_HEAD] & (fifo.shape[0] - 1), 0] >> 1
    return heap[0, 0] >> 1


@inner_kernel
def take(heap, fifo, at):
    """Remove the next event; returns (moment, what, spike). The queue is not empty."""
    if from_fifo(heap, fifo, at):
        i = at[FIFO_HEAD] & (fifo.shape[0] - 1)
        at[FIFO_HEAD] += 1
        return fifo[i, 0], fifo[i, 3], fifo[i, 4]
    moment, what, spike = heap[0, 0], heap[0, 3], heap[0, 4]
    at[HEAP] -= 1
    size = at[HEAP]
    for x in range(5):
        heap[0, x] = heap[size, x]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and before(heap, child + 1, heap, child):
            child += 1
        if not before(heap, child, heap, i):
            break
        _swap(heap, i, child)
        i = child
    return moment, what, spike


@inner_kernel
def _swap(heap, i, j):
    for x in range(5):
        heap[i, x], heap[j, x] = heap[j, x], heap[i, x]


def longer_heap(heap, at):
    """The heap with twice the room."""
    longer = np.zeros((2 * len(heap), WIDTH), np.int64)
    longer[:at[HEAP]] = heap[:at[HEAP]]
    return longer


def longer_fifo(fifo, at):
    """The FIFO with twice the room, unrolled to start at 0."""
    longer = np.zeros((2 * len(fifo), WIDTH), np.int64)
    first, waiting = at[FIFO_HEAD] % len(fifo), at[FIFO_TAIL] - at[FIFO_HEAD]
    until_end = min(waiting, len(fifo) - first)
    longer[:until_end] = fifo[first:first + until_end]
    longer[until_end:waiting] = fifo[:waiting - until_end]
    at[FIFO_HEAD], at[FIFO_TAIL] = 0, waiting
    return longer
