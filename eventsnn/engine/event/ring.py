"""What is due later: a ring of moments, a bucket each, first in first out.

A moment is 2 * tick + phase (deliveries 0 before ends of rests and windows 1). The first lap has a
bucket for each of 4,096 moments. What is due later stands in further laps, whose buckets are 4,096
times as long: the lap is the place of the highest digit, to base 4,096, in which a moment differs
from the ring's position. When the position comes to such a bucket, it is dealt out to the laps
before it, in its order; so of one moment what was put in first stays first (hierarchical timing
wheels, Varghese and Lauck 1987). A bit for each bucket that has anything finds the next one.

Buckets are chains of chunks with room for seven events each, so memory follows the events that
wait, and a long bucket is read in a row.

In all functions: state: has chunks, buckets, bucket_marks and turn, as in `layout.State`.
"""

from __future__ import annotations

import numpy as np

from eventsnn.engine.jit import inner_kernel
from eventsnn.engine.vectors import lowest_bit

DIGIT = 12  # bits
BUCKETS = 2**DIGIT
LAPS = 6  # 63 bits
NEVER = 2**63 - 1
# a chunk: its row 0 has the number of the chunk behind it (from 1; 0: none), how many events were
# put into it, and how many of these are gone; the others an event each
ROWS = 8
BEHIND, COUNT, GONE = range(3)
MOMENT, KEY, WHAT, SPIKE = range(4)
FIRST, LAST = range(2)  # columns of chains: numbers of chunks, the first 0 where there are none
SUMMARY = BUCKETS // 64  # the word of `bucket_marks` that has a bit for each other word of its lap
# the ring's scalars: its position, the first free chunk, chunks that were ever used, events in it
POSITION, FREE, USED, LINKED = range(4)


def chunks_for(events: int, chains: int) -> int:
    """How many chunks hold so many events, whatever their moments are.

    events: how many. chains: besides the ring's buckets. Each chain but the empty ones has a chunk
    that is not full; one more is read while its events go elsewhere.
    """
    return min(events, events // (ROWS - 1) + LAPS * BUCKETS + chains) + 2


@inner_kernel
def insert(state, moment, key, what, spike):
    """Puts in an event; the caller has made sure of room.

    moment: when it is due, not before the position. key, what, spike: of the event.
    """
    state.turn[LINKED] += 1
    link(state, moment, key, what, spike)


@inner_kernel
def link(state, moment, key, what, spike):
    """Puts an event at the end of the bucket of its moment; parameters as in `insert`."""
    ahead = moment ^ state.turn[POSITION]
    lap = shift = 0
    while ahead >> shift >= BUCKETS:
        lap += 1
        shift += DIGIT
    digit = (moment >> shift) & (BUCKETS - 1)
    if append_to(state, state.buckets, lap * BUCKETS + digit, moment, key, what, spike):
        state.bucket_marks[lap, digit >> 6] |= np.uint64(1) << np.uint64(digit & 63)
        state.bucket_marks[lap, SUMMARY] |= np.uint64(1) << np.uint64(digit >> 6)


@inner_kernel
def append_to(state, chains, place, moment, key, what, spike):
    """Puts an event at the end of a chain; returns whether it is the first there.

    chains: int32 [chains, 2]. place: which. moment, key, what, spike: of the event.
    """
    chunks, turn = state.chunks, state.turn
    last = np.int64(chains[place, LAST])
    empty = chains[place, FIRST] == 0
    if empty or chunks[last - 1, 0, COUNT] == ROWS - 1:
        chunk = turn[FREE]
        if chunk > 0:
            turn[FREE] = chunks[chunk - 1, 0, BEHIND]
        else:
            turn[USED] += 1
            chunk = turn[USED]
        chunks[chunk - 1, 0, BEHIND] = chunks[chunk - 1, 0, COUNT] = 0
        chunks[chunk - 1, 0, GONE] = 0
        if empty:
            chains[place, FIRST] = chunk
        else:
            chunks[last - 1, 0, BEHIND] = chunk
        chains[place, LAST] = chunk
        last = chunk
    i = chunks[last - 1, 0, COUNT] + 1
    chunks[last - 1, 0, COUNT] = i
    chunks[last - 1, i, MOMENT] = moment
    chunks[last - 1, i, KEY] = key
    chunks[last - 1, i, WHAT] = what
    chunks[last - 1, i, SPIKE] = spike
    return empty


@inner_kernel
def free(state, chunk):
    """Frees a chunk that is in no chain any more; returns the one behind it."""
    chunks, turn = state.chunks, state.turn
    behind = chunks[chunk - 1, 0, BEHIND]
    chunks[chunk - 1, 0, COUNT] = 0
    chunks[chunk - 1, 0, BEHIND] = turn[FREE]
    turn[FREE] = chunk
    return behind


@inner_kernel
def first_of(marks, lap):
    """The first bucket of a lap that has anything; the lap has one."""
    word = lowest_bit(marks[lap, SUMMARY])
    return word * 64 + lowest_bit(marks[lap, word])


@inner_kernel
def chain_of(state, lap, digit):
    """Empties a bucket; returns the first chunk of its chain."""
    place, word = lap * BUCKETS + digit, digit >> 6
    chunk = np.int64(state.buckets[place, FIRST])
    state.buckets[place, FIRST] = 0
    state.bucket_marks[lap, word] &= ~(np.uint64(1) << np.uint64(digit & 63))
    if state.bucket_marks[lap, word] == 0:
        state.bucket_marks[lap, SUMMARY] &= ~(np.uint64(1) << np.uint64(word))
    return chunk


@inner_kernel
def next_in_ring(state, bound):
    """The next moment at which anything is due, up to a bound; else NEVER.

    The position comes no further than the bound, so whatever is due behind it can still be put in.
    """
    turn, marks, chunks = state.turn, state.bucket_marks, state.chunks
    if turn[LINKED] == 0:
        return NEVER
    while True:
        if marks[0, SUMMARY] != 0:
            moment = (turn[POSITION] & ~(BUCKETS - 1)) | first_of(marks, 0)
            return moment if moment <= bound else NEVER
        lap = 1
        while marks[lap, SUMMARY] == 0:
            lap += 1
        shift = lap * DIGIT
        # digits above the bucket's own stay as they are
        above = (turn[POSITION] >> shift) & ~(BUCKETS - 1)
        begins = (above | first_of(marks, lap)) << shift
        if begins > bound:
            return NEVER
        turn[POSITION] = begins
        chunk = chain_of(state, lap, (begins >> shift) & (BUCKETS - 1))
        while chunk > 0:
            events = chunks[chunk - 1]
            for i in range(1, events[0, COUNT] + 1):
                link(state, events[i, MOMENT], events[i, KEY], events[i, WHAT], events[i, SPIKE])
            chunk = free(state, chunk)
