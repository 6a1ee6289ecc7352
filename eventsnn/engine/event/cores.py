"""The order `cores`: every target layer is a core that serves one event after the other.

See semantics, section 12. A spike is one event for each target layer; it waits in a queue of that
layer's core, and is delivered when its service ends. `Cores` is the policy: by its type numba
chooses these functions in place of those of `firing` and `kernels`, so other orders know nothing
of them.

A queue is a stretch of rows of `at_cores`, from FIRST on, ROOM of them, a power of two: a ring from
HEAD to TAIL (`fifo`, and one for each source layer under `round_robin`), a heap by the neuron's
number and the spike's (`index`), or a list (`random`); the last two have their HEAD at 0. What is
under way to it (COMING) waits in the ring of `ring`.

In all functions: net: EventTables; order: `Cores`; rules: Rules; state: State; q: a projection; k:
a queue; target: a core, the number of its layer; what, spike: of an event (`layout`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.layout import (
    DELIVERY,
    LAYER_BIT,
    NUMBER_BIT,
    PROJECTION_BIT,
    Q_TARGET,
    SIGN_BIT,
)
from eventsnn.engine.event.order import NOTHING, WHOLE
from eventsnn.engine.event.queue import (
    COUNTED,
    F_SPIKE,
    F_WHAT,
    NOW,
    UNDER_WAY,
)
from eventsnn.engine.event.ring import insert
from eventsnn.engine.hashing import place_of, spike_hash
from eventsnn.engine.jit import inner_kernel

# by these names options and files call them; the numbers are in the hashes of traces ("decides")
ARBITRATIONS = ("fifo", "index", "round_robin", "random")
FIRST_COME, LOWEST, ROUND_ROBIN, ANY = range(4)
# columns of cores: the tick at which the service ends (FREE: none is under way), the event in
# service, the queue served last, ticks in service, the longest queue, events that wait
ENDS, WHAT, SPIKE, LAST, BUSY, LONGEST, WAITING = range(7)
FREE = -1
FIRST, ROOM, HEAD, TAIL, COMING = range(5)  # of queues
MOST_WAITING = 2**22  # events under way at once: more end the run
AT_FIRST = 16  # rows of a queue
MOST_TICKS = 2**50  # at which a service may end


class Cores(NamedTuple):
    """The policy `cores`.

    arbitration: a number above. fixed, each: ticks of a service, a and b. latency: ticks. seed: of
    arbitration `random`. classes: of the readout, whose changes are noted (0: it has none). first:
    int64 [L + 1], the first projection into each layer. most: events that may be under way.
    """

    arbitration: int
    fixed: int = 0
    each: int = 0
    latency: int = 0
    seed: int = 0
    classes: int = 0
    most: int = MOST_WAITING
    first: NDArray[np.int64] = NOTHING
    halves: int = WHOLE

    def __repr__(self) -> str:
        return f"<Cores: {ARBITRATIONS[self.arbitration]}, {self.fixed} + {self.each} w ticks>"

    @staticmethod
    def place(order, spike):
        """(delay, key) of a spike on its way to its core."""
        return order.latency, 0


@inner_kernel
def queue_of(net, order, q):
    """The queue in which a spike waits that goes over a projection."""
    return q if order.arbitration == ROUND_ROBIN else net.projections[q, Q_TARGET]


@inner_kernel
def send_to_cores(net, order, state, layer, number, sign, seq):
    """A spike becomes an event for each target layer; parameters as in `firing.send`."""
    at = state.at
    what = (
        (number << NUMBER_BIT)
        | (layer << LAYER_BIT)
        | ((1 if sign < 0 else 0) << SIGN_BIT)
        | DELIVERY
    )
    for i in range(net.out_first[layer], net.out_first[layer + 1]):
        q = net.out[i]
        one = what | ((q + 1) << PROJECTION_BIT)
        at[UNDER_WAY] += 1
        if order.latency == 0:
            queue_up(net, order, state, q, one, seq)
        else:
            state.queues[queue_of(net, order, q), COMING] += 1
            insert(state, 2 * (at[NOW] + order.latency), 0, one, seq)


@inner_kernel
def has_queues(net, order, state, layer, spikes):
    """Whether the queues of a layer's targets take so many spikes more."""
    for i in range(net.out_first[layer], net.out_first[layer + 1]):
        queue = state.queues[queue_of(net, order, net.out[i])]
        if queue[ROOM] - (queue[TAIL] - queue[HEAD]) - queue[COMING] < spikes:
            return False
    return True


@inner_kernel
def queue_up(net, order, state, q, what, spike):
    """An event arrives in its queue. There is room."""
    target, k = net.projections[q, Q_TARGET], queue_of(net, order, q)
    queue, rows, core = state.queues[k], state.at_cores, state.core[target]
    first, i = queue[FIRST], queue[TAIL]
    queue[TAIL] += 1
    if order.arbitration == LOWEST:
        while i > 0:
            parent = (i - 1) >> 1
            if not comes_before(what, spike, rows, first + parent):
                break
            copy_row(rows, first + parent, first + i)
            i = parent
    else:
        i &= queue[ROOM] - 1
    rows[first + i, F_WHAT], rows[first + i, F_SPIKE] = what, spike
    core[WAITING] += 1
    core[LONGEST] = max(core[LONGEST], core[WAITING])
    if core[ENDS] == FREE:
        state.ready[target >> 6] |= np.uint64(1) << np.uint64(target & 63)


@inner_kernel
def comes_before(what, spike, rows, row):
    """Whether an event comes before that of a row: by neuron, then emission."""
    number, its = what >> NUMBER_BIT, rows[row, F_WHAT] >> NUMBER_BIT
    return number < its or number == its and spike < rows[row, F_SPIKE]


@inner_kernel
def copy_row(rows, i, j):
    """Row i goes to row j."""
    rows[j, F_WHAT], rows[j, F_SPIKE] = rows[i, F_WHAT], rows[i, F_SPIKE]


@inner_kernel
def choose(order, rules, state, target):
    """Takes the event that a core serves next out of its queue; returns its (what, spike)."""
    queues, core = state.queues, state.core[target]
    core[WAITING] -= 1
    if order.arbitration == LOWEST:
        return take_lowest(state, target)
    if order.arbitration == ANY:
        return take_any(order, rules, state, target)
    k = target
    if order.arbitration == ROUND_ROBIN:
        begin, end = order.first[target], order.first[target + 1]
        k = core[LAST] + 1
        if k < begin or k >= end:
            k = begin
        while queues[k, HEAD] == queues[k, TAIL]:
            k = k + 1 if k + 1 < end else begin
        core[LAST] = k
    row = queues[k, FIRST] + (queues[k, HEAD] & (queues[k, ROOM] - 1))
    queues[k, HEAD] += 1
    if queues[k, HEAD] == queues[k, TAIL]:
        queues[k, HEAD] = queues[k, TAIL] = 0  # the same few rows again, which are in cache
    return state.at_cores[row, F_WHAT], state.at_cores[row, F_SPIKE]


@inner_kernel
def take_lowest(state, k):
    """Removes a heap's first event; returns its (what, spike)."""
    rows, first = state.at_cores, state.queues[k, FIRST]
    what, spike = rows[first, F_WHAT], rows[first, F_SPIKE]
    state.queues[k, TAIL] -= 1
    size = state.queues[k, TAIL]
    last, its = rows[first + size, F_WHAT], rows[first + size, F_SPIKE]
    i = 0
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size:
            other = first + child + 1
            if comes_before(rows[other, F_WHAT], rows[other, F_SPIKE], rows, first + child):
                child += 1
        if comes_before(last, its, rows, first + child):
            break
        copy_row(rows, first + child, first + i)
        i = child
    rows[first + i, F_WHAT], rows[first + i, F_SPIKE] = last, its
    return what, spike


@inner_kernel
def take_any(order, rules, state, k):
    """Removes any event of a list, all equally likely (section 12); returns its (what, spike)."""
    rows, first, size = state.at_cores, state.queues[k, FIRST], state.queues[k, TAIL]
    i = first + place_of(spike_hash(order.seed, rules.image, state.at[COUNTED]), size)
    what, spike = rows[i, F_WHAT], rows[i, F_SPIKE]
    copy_row(rows, first + size - 1, i)
    state.queues[k, TAIL] -= 1
    return what, spike
