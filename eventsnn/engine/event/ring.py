"""What is due later: a ring of moments, a bucket each, first in first out.

A moment is 2 * tick + phase (deliveries 0 before ends of rests and windows 1). The first lap has a
bucket for each of 4,096 moments. What is due later stands in further laps, whose buckets are 4,096
times as long: the lap is the place of the highest digit, to base 4,096, in which a moment differs
from the ring's position. When the position comes to such a bucket, it is dealt out to the laps
before it, in its order; so of one moment what was put in first stays first (hashed hierarchical
timing wheels, Varghese and Lauck 1987, with laps for their wheels). A bit for each bucket that has
anything finds the next one. Buckets are chains of nodes, so memory follows the events that wait.

In all functions: state: has nodes, buckets, marks and turn, as in `layout.State`.
"""

from __future__ import annotations

import numpy as np

from eventsnn.engine.jit import inner_kernel
from eventsnn.engine.vectors import lowest_bit

DIGIT = 12  # bits
BUCKETS = 2**DIGIT
LAPS = 6  # 63 bits
NEVER = 2**63 - 1
# columns of nodes: what is due when, and the number of the node behind it (from 1; 0: none)
MOMENT, KEY, WHAT, SPIKE, NEXT = range(5)
FIRST, LAST = range(2)  # columns of buckets: numbers of nodes, 0 where there are none
SUMMARY = BUCKETS // 64  # the word of `marks` that has a bit for each other word of its lap
# the ring's scalars: its position, the first free node, nodes that were ever used, nodes that wait
POSITION, FREE, USED, LINKED = range(4)
NOTHING = -1  # `what` of a node that is free


@inner_kernel
def insert(state, moment, key, what, spike):
    """Puts in an event; the caller has made sure of room.

    moment: when it is due, not before the position. key, what, spike: of the event.
    """
    state.turn[LINKED] += 1
    link(state, new_node(state, moment, key, what, spike), moment)


@inner_kernel
def new_node(state, moment, key, what, spike):
    """A node that holds an event, in no bucket yet; its number. Parameters as in `insert`."""
    nodes, turn = state.nodes, state.turn
    node = turn[FREE]
    if node > 0:
        turn[FREE] = nodes[node - 1, NEXT]
    else:
        turn[USED] += 1
        node = turn[USED]
    nodes[node - 1, MOMENT] = moment
    nodes[node - 1, KEY] = key
    nodes[node - 1, WHAT] = what
    nodes[node - 1, SPIKE] = spike
    return node


@inner_kernel
def link(state, node, moment):
    """Puts a node at the end of the bucket of its moment."""
    nodes, buckets = state.nodes, state.buckets
    ahead = moment ^ state.turn[POSITION]
    lap = shift = 0
    while ahead >> shift >= BUCKETS:
        lap += 1
        shift += DIGIT
    digit = (moment >> shift) & (BUCKETS - 1)
    place = lap * BUCKETS + digit
    nodes[node - 1, NEXT] = 0
    if buckets[place, FIRST] == 0:
        buckets[place, FIRST] = node
        state.marks[lap, digit >> 6] |= np.uint64(1) << np.uint64(digit & 63)
        state.marks[lap, SUMMARY] |= np.uint64(1) << np.uint64(digit >> 6)
    else:
        nodes[buckets[place, LAST] - 1, NEXT] = node
    buckets[place, LAST] = node


@inner_kernel
def first_of(marks, lap):
    """The first bucket of a lap that has anything; the lap has one."""
    word = lowest_bit(marks[lap, SUMMARY])
    return word * 64 + lowest_bit(marks[lap, word])


@inner_kernel
def chain_of(state, lap, digit):
    """Empties a bucket; returns its first node."""
    place, word = lap * BUCKETS + digit, digit >> 6
    node = state.buckets[place, FIRST]
    state.buckets[place, FIRST] = 0
    state.marks[lap, word] &= ~(np.uint64(1) << np.uint64(digit & 63))
    if state.marks[lap, word] == 0:
        state.marks[lap, SUMMARY] &= ~(np.uint64(1) << np.uint64(word))
    return node


@inner_kernel
def next_in_ring(state, bound):
    """The next moment at which anything is due, up to a bound; else NEVER.

    The position comes no further than the bound, so whatever is due behind it can still be put in.
    """
    turn, marks = state.turn, state.marks
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
        digit = first_of(marks, lap)
        # the highest lap has no digits above its own
        above = (turn[POSITION] >> shift) & ~(BUCKETS - 1)
        begins = (above | digit) << shift
        if begins > bound:
            return NEVER
        turn[POSITION] = begins
        node = chain_of(state, lap, digit)
        while node > 0:
            behind = state.nodes[node - 1, NEXT]
            link(state, node, state.nodes[node - 1, MOMENT])
            node = behind


@inner_kernel
def free(state, node):
    """Frees a node that is in no chain any more; returns the one behind it."""
    nodes, turn = state.nodes, state.turn
    behind = nodes[node - 1, NEXT]
    nodes[node - 1, WHAT] = NOTHING
    nodes[node - 1, NEXT] = turn[FREE]
    turn[FREE] = node
    return behind
