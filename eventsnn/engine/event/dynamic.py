"""Neurons with more than a potential: each arrival decays, charges and evaluates (section 13).

The functions without `inner_kernel` are chosen by the model's type when numba compiles: for plain
models the vectors of `kernels`, for the others one target after the other, as here. Parameters are
those of `kernels` and `firing`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from eventsnn.engine.decay import decay
from eventsnn.engine.event.firing import (
    close_window,
    evaluate,
    fire,
    mark,
    open_window,
    rests,
    room_to_fire,
)
from eventsnn.engine.event.layout import (
    APPOINTED,
    L_FIRST,
    LAYER_BIT,
    NET,
    NO_TICK,
    NUMBER_BIT,
    OVER_MOST,
    R_ROW,
    R_TO,
    R_WIDTH,
    REFRACTORY,
)
from eventsnn.engine.event.queue import (
    BEGAN,
    EVENT,
    HELD,
    HELD_AT,
    HELD_END,
    NOW,
    RECORDED,
    STEP,
    UNKEPT,
    put_end,
)
from eventsnn.engine.jit import INNER, inner_kernel
from eventsnn.neurons.contract import (
    Here,
    by_tick,
    emit_here,
    is_dynamic,
    settle_here,
    tie_here,
    when,
    worth,
    worth_here,
)


@inner_kernel
def touch(rules, state, number):
    """Lets a neuron decay up to now; in order `clocked` up to the step's beginning."""
    if state.factors.shape[0] == 0:
        return
    now = state.at[BEGAN] if rules.clocked == 1 else state.at[NOW]
    since = now - state.touched[number]
    if since > 0:
        decay(state.v, number, state.factors, 0, since)
        for k in range(state.own.shape[1]):
            decay(state.own[number], k, state.factors, 1 + k, since)
        state.touched[number] = now


@inner_kernel
def evaluate_dynamic(net, neuron, order, rules, band, state, layer, number, cause):
    """`firing.evaluate` for such a model."""
    at, v, memory = state.at, state.v, state.memory
    if rests(rules, state, number):
        return False
    close_window(rules, state, number)
    touch(rules, state, number)
    states = state.own.shape[1]
    step = at[STEP] + 1
    here = Here(
        state.own,
        number,
        number - net.layers[layer, L_FIRST],
        step,
        at[BEGAN] if rules.clocked == 1 else at[NOW],
        at[BEGAN],
        rules.ticks,
        rules.image,
    )
    while True:
        if not room_to_fire(net, order, rules, state, layer, rules.most_spikes):
            return True
        p, net_spikes = v[number], np.int64(memory[number, NET])
        if rules.record:
            for k in range(states):
                state.spike_potentials[at[RECORDED], 2 + k] = state.own[number, k]
        state.tallies[2, layer, at[STEP]] += tie_here(neuron, layer, p, net_spikes, here)
        n = emit_here(neuron, layer, p, net_spikes, here)
        if n == 0:
            break
        if abs(n) > rules.most_spikes:
            at[UNKEPT] = OVER_MOST  # the caller refuses the result
            return False
        after = settle_here(neuron, p, n, here)
        note_worth(neuron, state, number, here)
        sign = 1 if n > 0 else -1
        before = p
        for member in range(1, (abs(n) if state.mute[number] == 0 else 0) + 1):
            between = after
            if member < abs(n):  # such models have no states of their own
                between = settle_here(neuron, p, sign * member, here)
            if rules.record:
                row = state.spike_potentials[at[RECORDED]]
                row[0], row[1] = before, between
                for k in range(states):
                    row[2 + states + k] = state.own[number, k]
            before = between
            fire(net, order, rules, state, layer, number, sign, member, cause)
        v[number] = after
        memory[number, NET] += n
        if rules.quiet:
            if state.due.size > 0:
                state.due[number] = -1
            return False
        if rules.refractory > 0:
            ends = at[NOW] + rules.refractory
            state.rests_until[number] = ends
            what = (number << NUMBER_BIT) | (layer << LAYER_BIT) | REFRACTORY
            put_end(state, ends, what)
            if state.due.size > 0:
                state.due[number] = -1  # it is asked when its rest ends
            return False
    if state.due.size > 0:
        appoint(neuron, rules, state, layer, number, here)
    return False


@inner_kernel
def appoint(neuron, rules, state, layer, number, here):
    """Asks when the neuron would fire by itself, and puts that into the queue; with two stages it
    does so if that is in this step.
    """
    at = state.at
    due = when(neuron, layer, state.v[number], np.int64(state.memory[number, NET]), here)
    if rules.quiet and due >= here.began + here.ticks:
        due = -1
    if due == state.due[number]:
        return
    state.due[number] = due
    if due < 0:
        return
    if due <= at[NOW]:
        at[UNKEPT] = NO_TICK
        return
    what = (number << NUMBER_BIT) | (layer << LAYER_BIT) | APPOINTED
    put_end(state, due, what)


def ask(net, neuron, order, rules, band, state, layer, number, cause) -> Any:
    """Evaluates one neuron; returns whether it lacks room to go on."""


@overload(ask, jit_options=INNER)
def _ask(net, neuron, order, rules, band, state, layer, number, cause):
    def dynamic(net, neuron, order, rules, band, state, layer, number, cause):
        return evaluate_dynamic(net, neuron, order, rules, band, state, layer, number, cause)

    def plain(net, neuron, order, rules, band, state, layer, number, cause):
        return evaluate(net, neuron, order, rules, band, state, layer, number, cause)

    return dynamic if is_dynamic(neuron.instance_class) else plain


def note_worth(neuron, state, number, here) -> None:
    """Keeps what a spike is worth that a neuron fires here, where its step does not tell."""


@overload(note_worth, jit_options=INNER)
def _note_worth(neuron, state, number, here):
    def noted(neuron, state, number, here):
        state.worths[number] = worth_here(neuron, here)

    def told(neuron, state, number, here):
        return None

    return noted if by_tick(neuron.instance_class) else told


def worth_of(neuron, state, spike) -> Any:
    """What the spike that is delivered is worth: by the step, or tick, in which it was emitted."""


@overload(worth_of, jit_options=INNER)
def _worth_of(neuron, state, spike):
    def by_step(neuron, state, spike):
        step = state.at[STEP]
        if spike >= 0 and state.first_spike.size > 0:
            while step > 0 and spike < state.first_spike[step]:
                step -= 1
            return worth(neuron, step + 1)
        return 1

    def noted(neuron, state, spike):
        return state.worths[state.at[EVENT] >> NUMBER_BIT] if spike >= 0 else 1

    return noted if by_tick(neuron.instance_class) else by_step


@inner_kernel
def bring_each(
    net,
    neuron,
    order,
    rules,
    band,
    state,
    target,
    first,
    group,
    offset,
    negative,
    half,
    spike,
):
    """`kernels.bring_stretches`, target by target."""
    at, v, weights = state.at, state.v, net.weights
    operations, overflow = 0, False
    factor = worth_of(neuron, state, spike)
    cause = max(spike, -1)
    readout = target == net.readout
    begin, skipped = net.first_stretch[first], 0
    if at[HELD]:
        begin, skipped = at[HELD_AT], at[HELD_END]
    for run in range(begin, net.first_stretch[first + 1]):
        to = net.stretches[run, R_TO] + group
        row = net.stretches[run, R_ROW] + offset
        for x in range(skipped, net.stretches[run, R_WIDTH]):
            number = to + x
            charge = weights[row + x]
            charge = (-charge if negative else charge) * factor
            if half != 0 and (half == 1) != (charge >= 0):
                continue
            if at[HELD]:  # this one was charged
                at[HELD] = 0
            else:
                operations += 1
                if not readout:
                    touch(rules, state, number)
                v[number] += charge
            overflow |= v[number] < band.floor or v[number] > band.ceiling
            if readout or rules.quiet:
                continue
            if rules.window > 0:
                if state.window_end[number] < 0:
                    open_window(rules, state, target, number)
            elif rules.group > 1 and spike >= 0:
                mark(state, number, cause)
            elif evaluate_dynamic(net, neuron, order, rules, band, state, target, number, cause):
                at[HELD], at[HELD_AT], at[HELD_END] = 1, run, x
                return operations, overflow
        skipped = 0
    return operations, overflow


@inner_kernel
def drive_one(net, rules, state, layer, number, drive):
    """The drive of one neuron arrives."""
    if layer != net.readout:
        touch(rules, state, number)
    state.v[number] += drive[number]
