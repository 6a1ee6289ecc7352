"""A neuron or a pool unit is evaluated: it fires, and its spikes go into the queue.

They are recorded and counted, too.

In all functions: net: EventTables; neuron: a model; order: a policy; rules: Rules; band: Band;
state: State; layer: a layer's number; number: a neuron's or pool unit's number among all; cause:
the spike that brought this about, or -1; sign: 1 or -1.

Where buffers lack room for what would be fired next, `evaluate` and `follow` return True before
they do anything more; called again with more room, they go on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from eventsnn.engine.event.cores import Cores, has_queues, send_to_cores
from eventsnn.engine.event.layout import (
    DELIVERY,
    EARLY,
    HALF_BIT,
    L_CHANNELS,
    L_FIRST,
    LAYER_BIT,
    NET,
    NUMBER_BIT,
    OVER_MOST,
    PROJECTION_BIT,
    Q_TARGET,
    REFRACTORY,
    S_CAUSE,
    S_EVENT,
    S_MEMBER,
    S_NEURON,
    S_SIGN,
    S_STEP,
    S_TICK,
    SENT,
    SIGN_BIT,
    WINDOW,
)
from eventsnn.engine.event.order import WHOLE, Parcel, place
from eventsnn.engine.event.queue import (
    DELIVERED,
    FIFO_HEAD,
    FIFO_TAIL,
    HEAP,
    MEMBERS,
    NOW,
    RECORDED,
    SPIKES,
    STAGE,
    STEP,
    TAKEN,
    UNDER_WAY,
    UNKEPT,
    append,
    put,
    put_end,
)
from eventsnn.engine.event.ring import LINKED
from eventsnn.engine.hashing import digest_of, splitmix64
from eventsnn.engine.jit import INNER, inner_kernel
from eventsnn.neurons.contract import emit, settle, tie


@inner_kernel
def has_room(rules, state, spikes, events):
    """Whether the buffers take more. spikes: how many. events: besides their deliveries."""
    at = state.at
    if rules.record and state.spike_record.shape[0] - at[RECORDED] < spikes:
        return False
    needed = spikes * rules.most_parcels + events
    later = state.turn[LINKED]  # which may all come to be due at one tick
    return (
        state.fifo.shape[0] - (at[FIFO_TAIL] - at[FIFO_HEAD]) >= needed + later
        and state.heap.shape[0] - at[HEAP] >= needed + later
        and state.ends.shape[1] - at[HEAP] >= needed + later
    )


@inner_kernel
def room_for_one(rules, state):
    """Whether an event can begin: each of its targets may open a window."""
    if rules.record and state.delivery_record.shape[0] == state.at[DELIVERED]:
        return False
    return has_room(rules, state, rules.most_spikes, rules.most_targets + 1)


def room_to_fire(net, order, rules, state, layer, spikes) -> Any:
    """Whether the buffers take what a neuron fires at once, and the end of its rest.

    spikes: how many it fires at most.
    """


@overload(room_to_fire, jit_options=INNER)
def _room_to_fire(net, order, rules, state, layer, spikes):
    def at_cores(net, order, rules, state, layer, spikes):
        return has_room(rules, state, spikes, 1) and has_queues(net, order, state, layer, spikes)

    def at_once(net, order, rules, state, layer, spikes):
        return has_room(rules, state, spikes, 1)

    return at_cores if order.instance_class is Cores else at_once


def send(net, order, rules, state, layer, number, sign, seq) -> Any:
    """Sends a spike, to cores or by `send_parcels`. seq: its place in the order of emission."""


@overload(send, jit_options=INNER)
def _send(net, order, rules, state, layer, number, sign, seq):
    def to_cores(net, order, rules, state, layer, number, sign, seq):
        send_to_cores(net, order, state, layer, number, sign, seq)

    def at_once(net, order, rules, state, layer, number, sign, seq):
        send_parcels(net, order, rules, state, layer, number, sign, seq)

    return to_cores if order.instance_class is Cores else at_once


@inner_kernel
def send_parcels(net, order, rules, state, layer, number, sign, seq):
    """Puts a spike's parcels into the queue: one, or one for each projection and half.

    (Semantics, section 5.) seq: the spike's place in the order of emission.
    """
    at = state.at
    what = (
        (number << NUMBER_BIT)
        | (layer << LAYER_BIT)
        | ((1 if sign < 0 else 0) << SIGN_BIT)
        | DELIVERY
    )
    if rules.at_once:  # the usual case; what follows would do the same
        append(state.fifo, at, what, seq)
        at[UNDER_WAY] += 1
        return
    first, last = net.out_first[layer], net.out_first[layer + 1]
    neuron, nth = number - net.layers[layer, L_FIRST], np.int64(state.memory[number, SENT])
    one_for_all = order.halves == WHOLE and rules.delay_kind != 1
    halves = 1 if order.halves == WHOLE else 2
    part = 0
    for i in range(first, min(first + 1, last) if one_for_all else last):
        q = net.out[i]
        for waits in range(halves):
            half = 0 if halves == 1 else 1 + (order.halves + waits + 1) % 2
            target = -1 if one_for_all else net.projections[q, Q_TARGET]
            delay, key = place(
                order, Parcel(seq, layer, neuron, nth, number, target, waits, part, rules.image)
            )
            part += 1
            if delay < 0:
                if rules.drops == 0:
                    at[UNKEPT] = EARLY  # the caller refuses the result
                continue
            if rules.delay_kind == 1:
                delay += rules.delays[q]
            elif rules.delay_kind == 2:
                delay += rules.delays[number]
            which = 0 if one_for_all else q + 1
            put(
                state,
                2 * (at[NOW] + delay),
                key,
                what | (half << HALF_BIT) | (which << PROJECTION_BIT),
                seq,
            )
            at[UNDER_WAY] += 1


@inner_kernel
def rests(rules, state, number):
    """Whether a neuron is in its refractory period."""
    # without refractory periods `rests_until` is empty
    return rules.refractory > 0 and state.at[NOW] < state.rests_until[number]


@inner_kernel
def close_window(rules, state, number):
    """Closes a neuron's window, if one is open."""
    if rules.window > 0 and state.window_end[number] >= 0:
        state.window_end[number] = -1
        state.open_windows[number >> 6] &= ~(np.uint64(1) << np.uint64(number & 63))
        state.at[UNDER_WAY] -= 1


def set_low(lows: Any, number: int, low: Any) -> None:
    """lows[number] = low, where each neuron has its own.

    lows: the arithmetic's dtype [neurons], or one number for all. low: a number.
    """
    if np.ndim(lows):
        lows[number] = low


@overload(set_low, inline="always")
def _set_low(lows, number, low):
    if isinstance(lows, types.Array):

        def each(lows, number, low):
            lows[number] = low

        return each
    return lambda lows, number, low: None


@inner_kernel
def evaluate(net, neuron, order, rules, band, state, layer, number, cause):
    """Evaluates one neuron: it fires while its model says so (semantics, section 5).

    Returns whether it lacks room to go on.
    """
    at = state.at
    v = state.v
    memory = state.memory
    if rests(rules, state, number):
        return False
    close_window(rules, state, number)
    while True:
        if not room_to_fire(net, order, rules, state, layer, rules.most_spikes):
            return True
        p, net_spikes = v[number], np.int64(memory[number, NET])
        state.tallies[2, layer, at[STEP]] += tie(neuron, layer, p, net_spikes)
        n = emit(neuron, layer, p, net_spikes)
        if n == 0:
            return False
        if abs(n) > rules.most_spikes:
            at[UNKEPT] = OVER_MOST  # the caller refuses the result
            return False
        sign = 1 if n > 0 else -1
        for member in range(1, (abs(n) if state.mute[number] == 0 else 0) + 1):
            if rules.record:
                state.spike_potentials[at[RECORDED], 0] = (
                    p if member == 1 else settle(neuron, p, sign * (member - 1))
                )
                state.spike_potentials[at[RECORDED], 1] = settle(neuron, p, sign * member)
            fire(net, order, rules, state, layer, number, sign, member, cause)
        v[number] = settle(neuron, p, n)
        memory[number, NET] += n
        if rules.clocked:
            return False
        set_low(state.lows, number, band.low if memory[number, NET] > 0 else band.floor)
        if rules.refractory > 0:
            ends = at[NOW] + rules.refractory
            state.rests_until[number] = ends
            put_end(state, ends, (number << NUMBER_BIT) | (layer << LAYER_BIT) | REFRACTORY)
            return False


@inner_kernel
def fire(net, order, rules, state, layer, number, sign, member, cause):
    """Records one spike (but for its potentials), counts it and sends it.

    member: its place, from 1, among those that are fired at once.
    """
    at, seq = state.at, state.at[SPIKES]
    at[SPIKES] += 1
    if rules.record:
        i, record = at[RECORDED], state.spike_record
        at[RECORDED] += 1
        record[i, S_EVENT], record[i, S_TICK], record[i, S_STEP] = (
            at[TAKEN],
            at[NOW],
            at[STEP] + at[STAGE],
        )
        record[i, S_NEURON] = number
        record[i, S_SIGN] = sign
        record[i, S_MEMBER] = member
        record[i, S_CAUSE] = cause
    digest_spike(state.digests, layer, at[STEP], number - net.layers[layer, L_FIRST], sign)
    state.tallies[0, layer, at[STEP]] += 1
    send(net, order, rules, state, layer, number, sign, seq)
    state.memory[number, SENT] += 1


@inner_kernel
def window_extreme(net, state, layer, number):
    """The largest net sum of spikes over a pool unit's window, or the smallest, by its sign."""
    sign = np.int64(net.pool_signs[number])
    channels = net.layers[layer, L_CHANNELS]
    unit = number - net.layers[layer, L_FIRST]
    site = unit // channels
    first, last = (
        net.window_first[net.window_base[layer] + site],
        net.window_first[net.window_base[layer] + site + 1],
    )
    highest = sign * state.sums[net.windows[first] + unit - site * channels]
    for i in range(first + 1, last):
        highest = max(highest, sign * state.sums[net.windows[i] + unit - site * channels])
    return sign * highest


@inner_kernel
def follow(net, order, rules, state, layer, number, pooled, cause):
    """A pool unit sends the change of its maximum, or minimum (semantics, section 10).

    That is both its potential and its net spikes. pooled: the new one. Returns whether it lacks
    room.
    """
    at, held = state.at, np.int64(state.memory[number, NET])
    n = pooled - held
    if n == 0:
        return False
    sign, sent = np.int64(1 if n > 0 else -1), at[MEMBERS]
    at[MEMBERS] = 0
    for member in range(1, abs(n) + 1):
        if not room_to_fire(net, order, rules, state, layer, 1):
            at[MEMBERS] = sent + member - 1
            return True
        between = held + sign * member
        if rules.record:
            state.spike_potentials[at[RECORDED], 0] = between - sign
            state.spike_potentials[at[RECORDED], 1] = between
        fire(net, order, rules, state, layer, number, sign, sent + member, cause)
        state.v[number] = state.memory[number, NET] = between
    return False


@inner_kernel
def digest_spike(digests, layer, step, neuron, sign):
    """Adds a spike to the two digests of its layer and step (semantics, section 17).

    digests: uint64 [2, L, T]; [0] depends on the order of spikes, [1] does not. step: from 0.
    neuron: its number in the layer.
    """
    h = digest_of(neuron, 1 if sign < 0 else 0)
    digests[0, layer, step] = splitmix64(digests[0, layer, step] ^ h)
    digests[1, layer, step] += h


@inner_kernel
def open_window(rules, state, layer, number):
    """Opens a window, at the first arrival since a neuron's last evaluation.

    The next evaluation comes when the window ends.
    """
    at, ends = state.at, state.at[NOW] + rules.window
    state.window_end[number] = ends
    state.open_windows[number >> 6] |= np.uint64(1) << np.uint64(number & 63)
    at[UNDER_WAY] += 1
    put_end(state, ends, (number << NUMBER_BIT) | (layer << LAYER_BIT) | WINDOW)


@inner_kernel
def mark(state, number, cause):
    """A delivery of a group reaches a neuron or pool unit, which is evaluated when the group ends.

    Neurons that stay in the band may be left out.
    """
    state.causes[number] = cause
    word, words = number >> 6, (state.causes.size + 63) >> 6
    state.marks[word] |= np.uint64(1) << np.uint64(number & 63)
    state.marks[words + (word >> 6)] |= np.uint64(1) << np.uint64(word & 63)
