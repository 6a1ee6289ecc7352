"""The event queue by itself, against a sorted list: near and far moments, real keys, ends by
neuron.
"""

import heapq
from collections import namedtuple

import numpy as np
import pytest

from eventsnn.engine.event import queue, ring
from eventsnn.engine.event.layout import DELIVERY, NUMBER_BIT, WINDOW
from eventsnn.engine.jit import kernel

# an event queue by itself, with the fields that its kernels ask for
Waiting = namedtuple(
    "Waiting", ("at", *queue.QueueArrays._fields, "uniform", "seed", "image"), defaults=(0, 0, 0)
)


@kernel
def run(state, delays, keys, whats, each, taken, bound):
    """Takes events; each puts in the next `each` of the list. taken: int64 [N, 2], what and tick.

    Returns how many were taken.
    """
    at = state.at
    given = 0
    for n in range(taken.shape[0]):
        for _ in range(each if n else 50 * each):
            if given == whats.size:
                break
            tick = at[queue.NOW] + delays[given]
            if whats[given] & 3 == WINDOW:
                queue.put_end(state, tick + 1, whats[given])
            else:
                queue.put(state, 2 * tick, keys[given], whats[given], given)
            given += 1
        # looked for in vain first, as at the end of a step
        queue.next_moment(state, 2 * at[queue.NOW] + bound)
        moment = queue.next_moment(state, ring.NEVER - 1)
        if moment == ring.NEVER:
            return n
        if moment > 2 * at[queue.NOW] and at[queue.END_HEAD] == at[queue.END_TAIL]:
            queue.come_to(state, moment)
        taken[n, 0], _ = queue.take(state, state)
        taken[n, 1] = at[queue.NOW]
    return taken.shape[0]


def sorted_run(delays, keys, whats, each):
    """The same by Python's own heap."""
    heap, found, now, given = [], [], 0, 0
    while True:
        for _ in range(each if found else 50 * each):
            if given < len(whats):
                what, tick = whats[given], now + delays[given]
                end = what & 3 == WINDOW
                entry = (tick + 1, 1, what >> NUMBER_BIT) if end else (tick, 0, keys[given])
                heapq.heappush(heap, (*entry, given, what))
                given += 1
        if not heap:
            return found
        now, *_, what = heapq.heappop(heap)
        found.append([what, now])


@pytest.mark.slow
@pytest.mark.parametrize("few", [0, 7])
@pytest.mark.parametrize("scale", [3, 2000, 2**22, 2**40])
def test_events_come_in_the_order_of_a_sorted_list(scale, few):
    rng = np.random.default_rng(scale + few)
    count = 3000
    delays = (rng.random(count) ** 3 * scale).astype(np.int64)
    delays[rng.random(count) < 0.3] = 0
    keys = rng.integers(0, 8, count) if few else rng.integers(-3, 4, count)
    ends = rng.random(count) < 0.4
    numbers = rng.integers(0, 1000 if scale < 10 else 5, count)
    whats = numbers << NUMBER_BIT | np.where(ends, WINDOW, DELIVERY) | np.arange(count) << 4
    arrays = queue.queue_arrays(4096, few)
    state = Waiting(np.zeros(queue.SCALARS, np.int64), **arrays._asdict())
    taken = np.zeros((count, 2), np.int64)
    assert run(state, delays, keys, whats, 1, taken, scale // 2) == count
    assert taken.tolist() == sorted_run(delays.tolist(), keys.tolist(), whats.tolist(), 1)
    assert not len(queue.waiting(state)) and state.turn[ring.LINKED] == 0


def test_memory_of_the_ring_follows_what_waits():
    """Of 100,000 events fifty wait at once: they use a few chunks again and again."""
    delays = np.full(100_000, 2**20)
    whats = np.full(len(delays), DELIVERY)
    state = Waiting(np.zeros(queue.SCALARS, np.int64), **queue.queue_arrays(128)._asdict())
    taken = np.zeros((len(delays), 2), np.int64)
    assert run(state, delays, np.zeros_like(delays), whats, 1, taken, 0) == len(delays)
    assert state.turn[ring.USED] < 64 + 128 // 7
