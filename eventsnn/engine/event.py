"""The event engine: asynchronous time to the letter (semantics, section 5), one spike after the other.

The kernels trust their arguments, allocate nothing and never call back: when a buffer has no room for
what one more event could bring, they return a code, the caller makes room and calls again. All state
is in arrays, so a run can be stopped and copied between any two events.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from eventsnn.engine.order import WHOLE, Parcel, place, splitmix64
from eventsnn.engine.queue import (
    CURSOR,
    DELIVERED,
    FIFO_HEAD,
    FIFO_TAIL,
    HEAP,
    NOW,
    RECORDED,
    SHORT,
    SPIKES,
    STEP,
    TAKEN,
    TIES,
    UNDER_WAY,
    next_tick,
    put,
    take,
)
from eventsnn.jit import inner_kernel, kernel
from eventsnn.neurons.contract import emit, settle, tie

DONE, FULL, TOO_MANY, OVERFLOW = range(4)
# what an event is: bits 0-1 kind, 2-3 half, 4 sign, 5-24 projection + 1 (0: all), 25 and up the neuron's number
DELIVERY, WINDOW, REFRACTORY = 0, 1, 2
# columns of the records
S_EVENT, S_TICK, S_STEP, S_NEURON, S_SIGN, S_MEMBER, S_CAUSE = range(7)
D_EVENT, D_TICK, D_STEP, D_SPIKE, D_PART = range(5)


class Rules(NamedTuple):
    """Time's settings. refractory, window: ticks; barrier, clocked, record: 0 or 1.

    delay_kind: 0 none, 1 by projection, 2 by neuron, in ticks in `delays`. most_spikes: what one event
    can bring at most; most_parcels_each: the deliveries of one spike.
    """

    refractory: int
    window: int
    barrier: int
    clocked: int
    record: int
    delay_kind: int
    most_spikes: int
    most_parcels_each: int
    max_events: int
    image: int


class Band(NamedTuple):
    """A potential strictly between low and high cannot fire; one outside floor to ceiling is near overflow."""

    low: float
    high: float
    floor: float
    ceiling: float


class State(NamedTuple):
    """All that a run is, between two events. at: the scalars named in `queue`; arrays over all neurons.

    v: potentials; s: net spikes; sent: spikes of either sign; rests_until, window_end: ticks (-1: no
    window open). spikes, operations: int64 [L, T]; digests: uint64 [2, L, T], order-sensitive and
    order-free. readout [T, classes]. spike_record int64 [R, 7], spike_potentials [R, 2], delivery_record
    int64 [R, 5]: what was recorded since the caller last took it out.
    """

    at: np.ndarray
    v: np.ndarray
    s: np.ndarray
    sent: np.ndarray
    rests_until: np.ndarray
    window_end: np.ndarray
    spikes: np.ndarray
    operations: np.ndarray
    digests: np.ndarray
    readout: np.ndarray
    spike_record: np.ndarray
    spike_potentials: np.ndarray
    delivery_record: np.ndarray


class OutgoingTables(NamedTuple):
    """The projections again, taps by source. into-order of `ProjectionTables` is kept in `out`.

    layer_of: int32 [neurons]. out: int64, projection numbers of source layer l at out_first[l] up to
    out_first[l + 1]. tap_base, first_tap: as in ProjectionTables, by source site; tap_site: int32,
    target sites; tap_row: int64.
    """

    layer_of: np.ndarray
    out: np.ndarray
    out_first: np.ndarray
    tap_base: np.ndarray
    first_tap: np.ndarray
    tap_site: np.ndarray
    tap_row: np.ndarray


@inner_kernel
def add_row(v, at, weights, row, width):
    """v[at:at + width] += weights[row:row + width]; returns (lowest, highest) of the results and the first old value."""
    to, a = np.uint64(at), np.uint64(row)
    low = high = v[to]  # of the arithmetic's dtype, so that the loop becomes narrow vector code
    for x in range(np.uint64(width)):
        v[to + x] += weights[a + x]
        p = v[to + x]
        low = p if p < low else low
        high = p if p > high else high
    return low, high


@inner_kernel
def has_room(rules, state, heap, fifo, spikes, parcels):
    """Whether the buffers can take so many more spikes and parcels (and one delivery)."""
    at = state.at
    if rules.record and (state.spike_record.shape[0] - at[RECORDED] < spikes or state.delivery_record.shape[0] == at[DELIVERED]):
        return False
    return heap.shape[0] - at[HEAP] >= parcels and fifo.shape[0] - (at[FIFO_TAIL] - at[FIFO_HEAD]) >= parcels


@inner_kernel
def room(rules, state, heap, fifo):
    """DONE, or FULL if the buffers might not hold what one more event brings."""
    if has_room(rules, state, heap, fifo, rules.most_spikes, rules.most_spikes * rules.most_parcels_each + 1):
        return DONE
    return FULL


@inner_kernel
def send(net, out, order, rules, delays, state, heap, fifo, layer, number, sign, seq):
    """Put a spike's parcels into the queue (semantics 5.3): one, or one for each projection and half."""
    at = state.at
    first, last = out.out_first[layer], out.out_first[layer + 1]
    neuron, nth = number - net.first_neuron[layer], state.sent[number]
    what = (number << 25) | ((1 if sign < 0 else 0) << 4) | DELIVERY
    one_for_all = order.halves == WHOLE and rules.delay_kind != 1
    halves = 1 if order.halves == WHOLE else 2
    part = 0
    for i in range(first, min(first + 1, last) if one_for_all else last):
        q = out.out[i]
        for waits in range(halves):
            half = 0 if halves == 1 else 1 + (order.halves + waits + 1) % 2
            target = -1 if one_for_all else net.target[q]
            delay, key = place(order, Parcel(seq, layer, neuron, nth, number, target, waits, part, rules.image))
            part += 1
            if delay < 0:
                continue
            if rules.delay_kind == 1:
                delay += delays[q]
            elif rules.delay_kind == 2:
                delay += delays[number]
            which = 0 if one_for_all else q + 1
            put(heap, fifo, at, 2 * (at[NOW] + delay), key, what | (half << 2) | (which << 5), seq)
            at[UNDER_WAY] += 1


@inner_kernel
def evaluate(net, out, neuron, order, rules, delays, state, heap, fifo, layer, number, cause):
    """Evaluate one neuron: it fires while its model says so (semantics 5.2)."""
    at, v, s = state.at, state.v, state.s
    if at[NOW] < state.rests_until[number]:
        return
    if state.window_end[number] >= 0:
        state.window_end[number] = -1
        at[UNDER_WAY] -= 1
    while True:
        p = v[number]
        at[TIES] += tie(neuron, p, s[number])
        n = emit(neuron, p, s[number])
        if n == 0:
            return
        if not has_room(rules, state, heap, fifo, abs(n), abs(n) * rules.most_parcels_each):
            at[SHORT] = 1  # the caller refuses the result
            return
        sign = 1 if n > 0 else -1
        for member in range(1, abs(n) + 1):
            seq = at[SPIKES]
            at[SPIKES] += 1
            if rules.record:
                i = at[RECORDED]
                at[RECORDED] += 1
                record = state.spike_record
                record[i, S_EVENT], record[i, S_TICK], record[i, S_STEP] = at[TAKEN], at[NOW], at[STEP]
                record[i, S_NEURON], record[i, S_SIGN], record[i, S_MEMBER], record[i, S_CAUSE] = number, sign, member, cause
                state.spike_potentials[i, 0] = p if member == 1 else settle(neuron, p, sign * (member - 1))
                state.spike_potentials[i, 1] = settle(neuron, p, sign * member)
            digest_spike(state.digests, layer, at[STEP], number - net.first_neuron[layer], sign, member)
            state.spikes[layer, at[STEP]] += 1
            send(net, out, order, rules, delays, state, heap, fifo, layer, number, sign, seq)
            state.sent[number] += 1
        v[number] = settle(neuron, p, n)
        s[number] += n
        if rules.clocked:
            return
        if rules.refractory > 0:
            ends = at[NOW] + rules.refractory
            state.rests_until[number] = ends
            put(heap, fifo, at, 2 * ends + 1, number, (number << 25) | REFRACTORY, -1)
            return


@inner_kernel
def digest_spike(digests, layer, step, neuron, sign, member):
    """Add a spike to its layer's and step's hashes: [0] depends on the order of spikes, [1] does not."""
    h = splitmix64(np.uint64((neuron << 9) | (member << 1) | (1 if sign < 0 else 0)))
    digests[0, layer, step] = splitmix64(digests[0, layer, step] ^ h)
    digests[1, layer, step] += h


@inner_kernel
def arrived(net, out, neuron, order, rules, delays, state, heap, fifo, layer, number, cause):
    """What follows when a charge has arrived: evaluation at once, or a window opens."""
    if rules.window == 0:
        evaluate(net, out, neuron, order, rules, delays, state, heap, fifo, layer, number, cause)
    elif state.window_end[number] < 0:
        ends = state.at[NOW] + rules.window
        state.window_end[number] = ends
        state.at[UNDER_WAY] += 1
        put(heap, fifo, state.at, 2 * ends + 1, number, (number << 25) | WINDOW, -1)


@inner_kernel
def deliver(net, out, neuron, order, rules, delays, band, state, heap, fifo, what, spike):
    """Deliver a spike to its targets in index order; returns whether a potential came near overflow."""
    at, v, weights = state.at, state.v, net.weights
    number, half, negative, which = what >> 25, (what >> 2) & 3, (what >> 4) & 1, (what >> 5) & 0xFFFFF
    layer = out.layer_of[number]
    source_site = (number - net.first_neuron[layer]) // net.channels[layer]
    c = (number - net.first_neuron[layer]) - source_site * net.channels[layer]
    offset = negative * (weights.size // 2)
    lowest = highest = band.high
    for i in range(out.out_first[layer], out.out_first[layer + 1]):
        q = out.out[i]
        if which != 0 and q != which - 1:
            continue
        target, width = net.target[q], net.co[q]
        silent = target == net.sites.size - 1 or rules.clocked == 1
        group = c // net.ci[q] * width
        channels, first_neuron = net.channels[target], net.first_neuron[target]
        taps = out.tap_base[q] + source_site
        operations = 0
        for tap in range(out.first_tap[taps], out.first_tap[taps + 1]):
            to = first_neuron + out.tap_site[tap] * channels + group
            row = out.tap_row[tap] + c * width + offset
            if half == 0 and rules.window == 0:
                low, high = add_row(v, to, weights, row, width)
                lowest, highest = min(lowest, low), max(highest, high)
                operations += width
                if not silent and (high >= band.high or low <= band.low):
                    for x in range(to, to + width):
                        if v[x] >= band.high or v[x] <= band.low:
                            evaluate(net, out, neuron, order, rules, delays, state, heap, fifo, target, x, spike)
                continue
            for x in range(width):
                charge = weights[row + x]
                if half == 0 or (half == 1) == (charge >= 0):
                    v[to + x] += charge
                    lowest, highest = min(lowest, v[to + x]), max(highest, v[to + x])
                    operations += 1
                    if not silent:
                        arrived(net, out, neuron, order, rules, delays, state, heap, fifo, target, to + x, spike)
        state.operations[target, at[STEP]] += operations
    return lowest < band.floor or highest > band.ceiling


@kernel
def begin_step(net, out, neuron, order, rules, delays, band, state, heap, fifo, drive):
    """The drive of a step arrives: layers in order, neurons in index order (semantics 5.1).

    drive: [neurons]. Returns DONE, or a code; called again, it goes on where it was (at[CURSOR]).
    """
    at, readout = state.at, net.sites.size - 1
    for layer in range(net.sites.size):
        for number in range(max(net.first_neuron[layer], at[CURSOR]), net.first_neuron[layer + 1]):
            code = room(rules, state, heap, fifo)
            if code != DONE:
                at[CURSOR] = number
                return code
            state.v[number] += drive[number]
            if state.v[number] < band.floor or state.v[number] > band.ceiling:
                return OVERFLOW
            if layer != readout and not rules.clocked:
                arrived(net, out, neuron, order, rules, delays, state, heap, fifo, layer, number, -1)
    at[CURSOR] = 0
    return DONE


@kernel
def run_until(net, out, neuron, order, rules, delays, band, state, heap, fifo, end):
    """Take events from the queue that are due before tick `end` (with a barrier: until none is under way).

    Returns DONE, or a code: FULL asks for room, TOO_MANY is max_events, OVERFLOW a potential outside the band.
    """
    at = state.at
    while True:
        tick = next_tick(heap, fifo, at)
        if tick < 0 or tick >= end and not (rules.barrier and at[UNDER_WAY] > 0):
            return DONE
        code = room(rules, state, heap, fifo)
        if code != DONE:
            return code
        if at[TAKEN] == rules.max_events:
            return TOO_MANY
        moment, what, spike = take(heap, fifo, at)
        at[NOW] = moment >> 1
        at[TAKEN] += 1
        if what & 3 == DELIVERY:
            at[UNDER_WAY] -= 1
            if rules.record:
                i, record = at[DELIVERED], state.delivery_record
                at[DELIVERED] += 1
                record[i, D_EVENT], record[i, D_TICK], record[i, D_STEP] = at[TAKEN], at[NOW], at[STEP]
                record[i, D_SPIKE], record[i, D_PART] = spike, (what >> 2) & 0x7FFFFF  # bits: half, sign, projection + 1
            if deliver(net, out, neuron, order, rules, delays, band, state, heap, fifo, what, spike):
                return OVERFLOW
        else:
            number = what >> 25
            if what & 3 == REFRACTORY or state.window_end[number] == at[NOW]:
                evaluate(net, out, neuron, order, rules, delays, state, heap, fifo, out.layer_of[number], number, -1)


@kernel
def evaluate_layer(net, out, neuron, order, rules, delays, band, state, heap, fifo, layer):
    """Order `clocked`: evaluate a layer's neurons in index order, once each (at[CURSOR] as in begin_step)."""
    at = state.at
    for number in range(max(net.first_neuron[layer], at[CURSOR]), net.first_neuron[layer + 1]):
        code = room(rules, state, heap, fifo)
        if code != DONE:
            at[CURSOR] = number
            return code
        at[TAKEN] += 1
        evaluate(net, out, neuron, order, rules, delays, state, heap, fifo, layer, number, -1)
    at[CURSOR] = 0
    return DONE
