"""What happens next under the order `cores`, and when the readout's class changed.

Within a tick input events come first. Then the first of what can happen does, and one looks again
from the beginning: a service ends; an arrival queues; a free core chooses; among equals the lowest
layer. Ends of rests come when nothing of that is left (semantics, sections 5 and 12). As nobody
chooses before all arrivals of the tick have queued, and as an end of service takes nothing out of a
queue, arrivals may queue as soon as the clock comes to their tick.

In all functions: net: EventTables; order: `Cores`; rules: Rules; state: State.
"""

from __future__ import annotations

import numpy as np

from eventsnn.engine.event import ring
from eventsnn.engine.event.cores import (
    BUSY,
    COMING,
    ENDS,
    FREE,
    MOST_TICKS,
    SPIKE,
    WAITING,
    WHAT,
    choose,
    queue_of,
    queue_up,
)
from eventsnn.engine.event.given import input_moment, take_input
from eventsnn.engine.event.layout import (
    CROWDED,
    DONE,
    FULL,
    L_CHANNELS,
    L_FIRST,
    LATE,
    LAYER_BIT,
    LAYERS,
    NUMBER_BIT,
    PROJECTION_BIT,
    PROJECTIONS,
    R_WIDTH,
    TOO_MANY,
)
from eventsnn.engine.event.queue import (
    CHANGED,
    COUNTED,
    DELIVERED,
    END_HEAD,
    END_ROW,
    END_TAIL,
    EVENT,
    EVENT_SPIKE,
    HEARD,
    INPUT,
    INPUT_END,
    NOW,
    RECORDED,
    SERVING,
    TAKEN,
    UNDER_WAY,
    gather_ends,
)
from eventsnn.engine.event.ring import NEVER, free, next_in_ring
from eventsnn.engine.event.walk import stretches_of
from eventsnn.engine.jit import inner_kernel
from eventsnn.engine.vectors import lowest_bit

TARGET_BITS = 12  # of a service: its tick, and in these the layer


@inner_kernel
def first_ready(state):
    """The lowest free core for which something waits, or -1."""
    for word in range(state.ready.size):
        if state.ready[word] != 0:
            return word * 64 + lowest_bit(state.ready[word])
    return -1


@inner_kernel
def ends_now(state):
    """Whether a service ends at this tick."""
    return state.at[SERVING] > 0 and state.services[0] >> TARGET_BITS == state.at[NOW]


@inner_kernel
def come_to_cores(net, order, state, moment):
    """The clock goes on to a moment: arrivals queue, ends of rests are listed."""
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
            q = ((events[i, ring.WHAT] >> PROJECTION_BIT) & PROJECTIONS) - 1
            state.queues[queue_of(net, order, q), COMING] -= 1
            queue_up(net, order, state, q, events[i, ring.WHAT], events[i, ring.SPIKE])
        state.turn[ring.LINKED] -= count
        chunk = free(state, chunk)


@inner_kernel
def next_at_cores(state, bound):
    """The moment at which anything happens next, or NEVER where it is later than a bound."""
    at = state.at
    if first_ready(state) >= 0:
        return 2 * at[NOW]
    moment = NEVER
    if at[SERVING] > 0:
        moment = 2 * (state.services[0] >> TARGET_BITS)
    if at[END_HEAD] < at[END_TAIL]:
        return min(moment, 2 * at[NOW] + 1)
    return min(moment, next_in_ring(state, min(moment, bound)))


@inner_kernel
def take_from_cores(net, order, rules, state, end):
    """`kernels.take_next` for cores: goes on until a service, a rest or an input event is over.

    end: the tick before which events are due. Returns (DONE, FULL, TOO_MANY, CROWDED or LATE,
    whether there was one).
    """
    at = state.at
    while True:
        input_at = input_moment(state)
        last = NEVER - 1 if rules.barrier and at[UNDER_WAY] > 0 else 2 * end - 1
        moment = min(input_at, next_at_cores(state, min(input_at, last)))
        if moment > last:
            return DONE, False
        if not has_rows(rules, state):
            return FULL, False
        if at[UNDER_WAY] - (at[INPUT_END] - at[INPUT]) > order.most:
            return CROWDED, False
        if at[TAKEN] == rules.max_events:
            return TOO_MANY, False
        if moment > 2 * at[NOW] and at[END_HEAD] == at[END_TAIL]:
            come_to_cores(net, order, state, moment)
        if input_at == moment:
            take_input(net, state)
            at[COUNTED] += 1
            hear(net, order, state)
            break
        if ends_now(state):
            end_service(net, order, state)
            break
        target = first_ready(state)
        if target >= 0:
            begin_service(net, order, rules, state, target)
            if state.core[target, ENDS] > MOST_TICKS:
                return LATE, False
            at[COUNTED] += 1
            continue
        if at[END_HEAD] == at[END_TAIL]:
            continue  # what arrived waits for cores that are busy
        at[EVENT], at[EVENT_SPIKE] = state.ends[at[END_ROW], at[END_HEAD]], -1
        at[END_HEAD] += 1
        if at[END_HEAD] == at[END_TAIL]:
            at[END_HEAD] = at[END_TAIL] = 0
        at[COUNTED] += 1
        break
    at[TAKEN] += 1
    return DONE, True


@inner_kernel
def begin_service(net, order, rules, state, target):
    """A free core chooses, and serves. target: the number of its layer."""
    at, core, services = state.at, state.core[target], state.services
    what, spike = choose(order, rules, state, target)
    ticks = order.fixed
    if order.each > 0 and net.pools[target] < 0:
        ticks += order.each * touched(net, what)
    core[WHAT], core[SPIKE], core[ENDS] = what, spike, at[NOW] + ticks
    core[BUSY] += ticks
    state.ready[target >> 6] &= ~(np.uint64(1) << np.uint64(target & 63))
    code = (core[ENDS] << TARGET_BITS) | target
    i = at[SERVING]
    at[SERVING] += 1
    while i > 0 and code < services[(i - 1) >> 1]:
        services[i] = services[(i - 1) >> 1]
        i = (i - 1) >> 1
    services[i] = code


@inner_kernel
def touched(net, what):
    """How many weights an event touches on its way over its projection. what: the event."""
    number = what >> NUMBER_BIT
    layer = (what >> LAYER_BIT) & LAYERS
    q = ((what >> PROJECTION_BIT) & PROJECTIONS) - 1
    site = (number - net.layers[layer, L_FIRST]) // net.layers[layer, L_CHANNELS]
    c = (number - net.layers[layer, L_FIRST]) - site * net.layers[layer, L_CHANNELS]
    first = stretches_of(net, q, site, c)
    count = 0
    for run in range(net.first_stretch[first], net.first_stretch[first + 1]):
        count += net.stretches[run, R_WIDTH]
    return count


@inner_kernel
def end_service(net, order, state):
    """The first service ends: its event is to be delivered now."""
    at, services = state.at, state.services
    target = services[0] & ((1 << TARGET_BITS) - 1)
    at[SERVING] -= 1
    size = at[SERVING]
    code = services[size]
    i = 0
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size and services[child + 1] < services[child]:
            child += 1
        if code < services[child]:
            break
        services[i] = services[child]
        i = child
    services[i] = code
    core = state.core[target]
    at[EVENT], at[EVENT_SPIKE] = core[WHAT], core[SPIKE]
    core[ENDS] = FREE
    if core[WAITING] > 0:
        state.ready[target >> 6] |= np.uint64(1) << np.uint64(target & 63)
    if target == net.readout:
        hear(net, order, state)


@inner_kernel
def has_rows(rules, state):
    """Whether an event can begin: its delivery and a change of class are recorded."""
    at = state.at
    if rules.record and state.delivery_record.shape[0] == at[DELIVERED]:
        return False
    if rules.record and state.spike_record.shape[0] - at[RECORDED] < rules.most_spikes:
        return False
    return state.classes.shape[0] > at[CHANGED] + 1


@inner_kernel
def hear(net, order, state):
    """Charge is about to arrive at the readout: of the tick when it last did the class is noted."""
    at = state.at
    if order.classes > 0 and at[NOW] > at[HEARD]:
        if at[HEARD] >= 0:
            note_class(net, order, state)
        at[HEARD] = at[NOW]


@inner_kernel
def note_class(net, order, state):
    """Notes the readout's class since the tick of HEARD, if it is another than before."""
    at, v, first = state.at, state.v, net.layers[net.readout, L_FIRST]
    found = 0
    if order.classes == 1:
        found = 1 if v[first] - state.uncounted[0] > 0 else 0
    for i in range(1, order.classes):
        if v[first + i] - state.uncounted[i] > v[first + found] - state.uncounted[found]:
            found = i
    count = at[CHANGED]
    if count == 0 or state.classes[count - 1, 1] != found:
        state.classes[count, 0], state.classes[count, 1] = at[HEARD], found
        at[CHANGED] += 1
