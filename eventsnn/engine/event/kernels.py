"""The event engine: asynchronous time to the letter, one spike after the other.

See semantics, section 5. The kernels trust their arguments, allocate nothing and never call back.
When a buffer has no room for what one more event could bring, they return a code, the caller makes
room and calls again. All state is in arrays, so a run can be stopped and copied between any two
events.

What depends on the model and the order is called by its address (`calls`), so that this is compiled
once for all of them.

In all functions: net: EventTables; calls: Calls; rules: Rules; band: Band; state: State.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from eventsnn.engine.event.calls import ask, bring_bound, follow, has_cores
from eventsnn.engine.event.dynamic import drive_one
from eventsnn.engine.event.firing import (
    close_window,
    mark,
    open_window,
    rests,
    room_for_one,
    window_extreme,
)
from eventsnn.engine.event.given import input_moment, take_input
from eventsnn.engine.event.layout import (
    D_EVENT,
    D_PART,
    D_SPIKE,
    D_STEP,
    D_TICK,
    DELIVERY,
    DONE,
    DRIVE,
    EVENTS,
    FULL,
    HALF_BIT,
    L_CHANNELS,
    L_FIRST,
    LAYER_BIT,
    LAYERS,
    NET,
    NUMBER_BIT,
    OVERFLOW,
    PROJECTION_BIT,
    PROJECTIONS,
    Q_CI,
    Q_CO,
    Q_STRIDE,
    Q_TARGET,
    R_ROW,
    R_TO,
    R_WIDTH,
    REFRACTORY,
    SIGN_BIT,
    TOO_MANY,
    WINDOW,
)
from eventsnn.engine.event.queue import (
    CLOSING,
    COUNTED,
    CURSOR,
    DELIVERED,
    DRIVEN,
    END_HEAD,
    END_ROW,
    END_TAIL,
    EVENT,
    EVENT_SPIKE,
    FIFO_HEAD,
    FIFO_TAIL,
    GROUPED,
    HEAP,
    HELD,
    HELD_AT,
    HELD_END,
    HELD_OUT,
    NOW,
    STAGE,
    STEP,
    TAKEN,
    UNDER_WAY,
    come_to,
    next_moment,
    take,
)
from eventsnn.engine.event.ring import NEVER
from eventsnn.engine.event.serving import (
    come_to_cores,
    ends_now,
    first_ready,
    hear,
    take_from_cores,
)
from eventsnn.engine.event.walk import stretches_of
from eventsnn.engine.jit import INNER, inner_kernel, kernel
from eventsnn.engine.vectors import (
    add_half_stretch,
    add_stretch,
    lowest_bit,
    subtract_half_stretch,
    subtract_stretch,
)

PART = 2 ** (LAYER_BIT - HALF_BIT) - 1  # half, sign and projection of a delivery, as recorded
AT_ONCE = 64  # neurons whose drive is added at once
# what causes a spike of the drive, or at the end of a window. As a literal it would have a type of
# its own, and what is called with it would be compiled twice
NO_SPIKE = np.int64(-1)


@inner_kernel
def bring_stretches(
    net,
    calls,
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
    """What a spike brings to one target layer, stretch by stretch of neighbouring targets.

    target: the layer. first: where its stretches begin in `first_stretch`. group: the first target
    channel of the spike's group. offset: where the channel's weights begin. negative: 1 for a
    negative spike. half: 0: all charges arrive, 1: those >= 0, 2: those < 0. spike: its place in
    the order of emission. Returns (operations, whether a potential came near overflow); at[HELD] is
    1 where room is lacking: called again, it goes on.
    """
    at, v, weights = state.at, state.v, net.weights
    silent = target == net.readout or rules.quiet == 1
    low, high = state.lows, band.ceiling if silent else band.high
    overflow = False
    operations = pairs = begin = 0
    first_run, last_run = net.first_stretch[first], net.first_stretch[first + 1]
    if at[HELD]:  # all are charged
        first_run, begin, pairs = last_run, at[HELD_AT], at[HELD_END]
        at[HELD] = 0
    for run in range(first_run, last_run):
        to = net.stretches[run, R_TO] + group
        row = net.stretches[run, R_ROW] + offset
        width = net.stretches[run, R_WIDTH]
        if half == 0 and negative == 0:
            added, pairs = add_stretch(
                v, to, weights, row, width, half, low, high, state.found, pairs
            )
        elif half == 0:
            added, pairs = subtract_stretch(
                v, to, weights, row, width, half, low, high, state.found, pairs
            )
        elif negative == 0:
            added, pairs = add_half_stretch(
                v, to, weights, row, width, half, low, high, state.found, pairs
            )
        else:
            added, pairs = subtract_half_stretch(
                v, to, weights, row, width, half, low, high, state.found, pairs
            )
        operations += added
        if rules.window > 0 and not silent:
            open_windows(net, rules, state, target, to, row, width, negative, half)
    cause, grouped = max(spike, -1), rules.group > 1 and spike >= 0
    for pair in range(begin, pairs):
        first_outside, outside = state.found[2 * pair], np.uint64(state.found[2 * pair + 1])
        while outside:
            x = first_outside + lowest_bit(outside)
            overflow |= v[x] < band.floor or v[x] > band.ceiling
            if grouped and not silent:
                mark(state, x, cause)
            elif not silent and rules.window == 0:
                if ask(net, calls, rules, band, state, target, x, cause):
                    state.found[2 * pair + 1] = np.int64(outside)
                    at[HELD], at[HELD_AT], at[HELD_END] = 1, pair, pairs
                    return operations, overflow
            outside &= outside - np.uint64(1)
    return operations, overflow


@inner_kernel
def add_drive(net, calls, rules, state, layer, number, end, high, drive, part):
    """Adds the drive of some neurons from `number` on; returns how many need no look.

    layer: theirs. end: the layer's. high: of the band. drive: the arithmetic's dtype [neurons].
    part: which of the step's.
    """
    if calls.each:
        if hears(state, number, part):
            drive_one(net, rules, state, layer, number, drive)
        state.at[DRIVEN] = number + 1
        return 0
    width = min(AT_ONCE, end - number)
    _, found = add_stretch(
        state.v, number, drive, number, width, 0, state.lows, high, state.found, 0
    )
    state.at[DRIVEN] = number + width
    return width if found == 0 and rules.window == 0 else 0


@inner_kernel
def deliver(net, calls, rules, band, state, what, spike):
    """Delivers a spike to its targets in index order.

    what: the event, see `layout`. spike: its place in the order of emission; below -1 for an
    input's. Returns whether a potential came near overflow; at[HELD] is 1 where room is lacking:
    called again, it goes on.
    """
    at = state.at
    memory = state.memory
    number = what >> NUMBER_BIT
    layer = (what >> LAYER_BIT) & LAYERS
    which = (what >> PROJECTION_BIT) & PROJECTIONS
    half = (what >> HALF_BIT) & 3
    negative = (what >> SIGN_BIT) & 1
    cause = max(spike, -1)
    site = (number - net.layers[layer, L_FIRST]) // net.layers[layer, L_CHANNELS]
    c = (number - net.layers[layer, L_FIRST]) - site * net.layers[layer, L_CHANNELS]
    overflow = False
    for i in range(
        at[HELD_OUT] if at[HELD] else net.out_first[layer],
        net.out_first[layer + 1],
    ):
        q = net.out[i]
        if which != 0 and q != which - 1:
            continue
        target = net.projections[q, Q_TARGET]
        first = stretches_of(net, q, site, c)
        if net.pools[target] >= 0:
            if half == 0 or (half == 2) == (negative == 1):
                sum_at = net.pools[target] + number - net.layers[layer, L_FIRST]
                first_run = net.first_stretch[first]
                if at[HELD]:
                    first_run, at[HELD] = at[HELD_AT], 0
                else:
                    state.sums[sum_at] += 1 - 2 * negative
                for run in range(
                    first_run,
                    net.first_stretch[first + 1] if rules.clocked == 0 else 0,
                ):
                    x = net.stretches[run, R_TO] + c
                    if rules.group > 1:
                        mark(state, x, cause)
                        continue
                    sign, count = np.int64(net.pool_signs[x]), state.sums[sum_at]
                    held, mine = sign * memory[x, NET], sign * count
                    rises = (sign > 0) == (negative == 0)
                    if mine > held if rises else mine + 1 == held:
                        pooled = count if rises else window_extreme(net, state, target, x)
                        if follow(net, calls, rules, state, target, x, pooled, cause):
                            at[HELD], at[HELD_OUT], at[HELD_AT] = 1, i, run
                            return overflow
            continue
        group = c // net.projections[q, Q_CI] * net.projections[q, Q_CO]
        offset = c * net.projections[q, Q_STRIDE]
        if calls.each:
            operations, near = bring_bound(
                net,
                calls,
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
            )
        else:
            operations, near = bring_stretches(
                net,
                calls,
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
            )
        overflow |= near
        if spike >= 0:
            state.tallies[1, target, at[STEP]] += operations
        if at[HELD]:
            at[HELD_OUT] = i
            break
    return overflow


@inner_kernel
def open_windows(net, rules, state, target, to, row, width, negative, half):
    """Opens the windows of the targets that a run of charges reached.

    target: their layer. to: the first of them. row: where the charges begin in the weights. width:
    how many there are. negative: 1 for a negative spike. half: 0: all charges arrived, 1: those >=
    0, 2: those < 0.
    """
    x, end = to, to + width
    while x < end:
        bit = x & 63
        count = min(64 - bit, end - x)
        mine = (~np.uint64(0) >> np.uint64(64 - count)) << np.uint64(bit)
        closed = ~state.open_windows[x >> 6] & mine
        while closed != 0:
            number = (x >> 6) * 64 + lowest_bit(closed)
            charge = net.weights[row + number - to]
            charge = -charge if negative else charge
            if half == 0 or (half == 1) == (charge >= 0):
                open_window(rules, state, target, number)
            closed &= closed - np.uint64(1)
        x += count


@inner_kernel
def hears(state, number, part):
    """Whether a part of a step's drive arrives at a neuron: where the drive is 0 one does, the
    first (semantics, section 12). number: the neuron's. part: which, from 0.
    """
    return part == 0 or state.driven[number] == 1


@inner_kernel
def begin_step(net, calls, rules, band, state, drive, part):
    """The drive of a step arrives: layers in order, neurons in index order (semantics, section 5).

    It is added to some neurons at once, up to at[DRIVEN]; where none of them left the band, none is
    looked at. Called again after FULL, it goes on where it was (at[CURSOR]).

    drive: the arithmetic's dtype [neurons], a part of the step's. part: which, from 0. Returns
    DONE, FULL or OVERFLOW.
    """
    at = state.at
    v = state.v
    readout = net.readout
    for layer in range(readout + 1):
        if net.pools[layer] >= 0:
            continue
        silent = layer == readout or rules.quiet == 1
        high = band.ceiling if silent else band.high
        number, end = max(net.layers[layer, L_FIRST], at[CURSOR]), net.layers[layer + 1, L_FIRST]
        while number < end:
            if number >= at[DRIVEN]:
                skipped = add_drive(net, calls, rules, state, layer, number, end, high, drive, part)
                if skipped > 0:
                    number += skipped
                    continue
            if not hears(state, number, part):
                number += 1
                continue
            if not room_for_one(rules, state):
                at[CURSOR] = number
                return FULL
            p = v[number]
            if p < band.floor or p > band.ceiling:
                return OVERFLOW
            if rules.window > 0 and not silent:
                if state.window_end[number] < 0:
                    open_window(rules, state, layer, number)
            elif (p >= high or p <= band.low) and not silent:
                if ask(net, calls, rules, band, state, layer, number, NO_SPIKE):
                    at[CURSOR] = number
                    return FULL
            number += 1
    at[CURSOR] = at[DRIVEN] = 0
    return DONE


@inner_kernel
def is_valid(state, kind, number):
    """Whether a neuron's own event still stands: kind and number of its code."""
    if kind == WINDOW:
        return state.window_end[number] == state.at[NOW]
    return kind == REFRACTORY or state.due[number] == state.at[NOW]


@inner_kernel
def take_next(net, rules, state, end):
    """Takes the next event that is due before a tick into at[EVENT] and at[EVENT_SPIKE].

    end: the tick. Returns (DONE, FULL or TOO_MANY, whether there was one).
    """
    at = state.at
    input_at = input_moment(state)
    last = NEVER - 1 if rules.barrier and at[UNDER_WAY] > 0 else 2 * end - 1
    moment = min(input_at, next_moment(state, min(input_at, last)))
    if moment > last:
        return DONE, False
    if not room_for_one(rules, state):
        return FULL, False
    if at[TAKEN] == rules.max_events:
        return TOO_MANY, False
    if moment > 2 * at[NOW] and at[END_HEAD] == at[END_TAIL]:
        come_to(state, moment)
    if input_at == moment:
        take_input(net, state)
    else:
        at[EVENT], at[EVENT_SPIKE] = take(rules, state)
    at[TAKEN] += 1
    at[COUNTED] += 1
    return DONE, True


def next_event(net, cores, rules, state, end) -> Any:
    """Takes the next event, of cores or by `take_next`. cores: of Calls. The others as there."""


@overload(next_event, jit_options=INNER)
def _next_event(net, cores, rules, state, end):
    def at_cores(net, cores, rules, state, end):
        return take_from_cores(net, cores, rules, state, end)

    def at_once(net, cores, rules, state, end):
        return take_next(net, rules, state, end)

    return at_cores if has_cores(cores) else at_once


def arrive_at(net, cores, state, moment) -> Any:
    """The clock goes on to a moment, for cores or by `come_to`."""


@overload(arrive_at, jit_options=INNER)
def _arrive_at(net, cores, state, moment):
    def at_cores(net, cores, state, moment):
        come_to_cores(net, cores, state, moment)
        hear(net, cores, state)

    def at_once(net, cores, state, moment):
        come_to(state, moment)

    return at_cores if has_cores(cores) else at_once


def nothing_due(cores, state) -> Any:
    """Whether of this tick only ends of rests and windows are left."""


@overload(nothing_due, jit_options=INNER)
def _nothing_due(cores, state):
    def at_cores(cores, state):
        return first_ready(state) < 0 and not ends_now(state)

    def at_once(cores, state):
        return state.at[FIFO_HEAD] == state.at[FIFO_TAIL] and state.at[HEAP] == 0

    return at_cores if has_cores(cores) else at_once


@inner_kernel
def pass_ends(rules, band, state, end):
    """Takes ends of rests and windows of this tick, as long as their neurons cannot fire.

    Nothing comes between them then. One has been taken at this tick, so the input events of the
    tick are over. end: the tick before which events are due.
    """
    at, v = state.at, state.v
    head, tail, row = at[END_HEAD], at[END_TAIL], at[END_ROW]
    while head < tail and at[TAKEN] < rules.max_events:
        if at[NOW] >= end and not (rules.barrier and at[UNDER_WAY] > 0):
            break
        what = state.ends[row, head]
        number = what >> NUMBER_BIT
        if is_valid(state, what & 3, number):
            if not band.low < v[number] < band.high or rests(rules, state, number):
                break
            close_window(rules, state, number)
            at[COUNTED] += 1
        at[TAKEN] += 1
        head += 1
    if head == tail:
        head = at[END_TAIL] = 0
    at[END_HEAD] = head


@inner_kernel
def group_goes_on(rules, state):
    """Whether the next event is one of the group that is under way (semantics, section 12)."""
    at = state.at
    if at[GROUPED] < 0 or at[GROUPED] == rules.group:
        return False
    return next_moment(state, 2 * at[NOW]) == 2 * at[NOW]


@inner_kernel
def evaluate_group(net, calls, rules, band, state):
    """Evaluates all that a group reached, in the order of (layer, index).

    Returns whether room is lacking: called again, it goes on.
    """
    marks = state.marks
    words = (state.causes.size + 63) >> 6
    for place in range(words, marks.size):
        while marks[place]:
            word = ((place - words) << 6) + lowest_bit(marks[place])
            while marks[word]:
                number = (word << 6) + lowest_bit(marks[word])
                layer, cause = np.int64(net.layer_of[number]), state.causes[number]
                if net.pools[layer] >= 0:
                    pooled = window_extreme(net, state, layer, number)
                    held = follow(net, calls, rules, state, layer, number, pooled, cause)
                else:
                    held = ask(net, calls, rules, band, state, layer, number, cause)
                if held:
                    return True
                marks[word] &= marks[word] - np.uint64(1)
            marks[place] &= marks[place] - np.uint64(1)
    return False


@inner_kernel
def run_until(net, calls, rules, band, state, end):
    """Takes events from the queue that are due before a tick, and does what they say.

    With a barrier it goes on until no delivery is under way. end: the tick. Returns DONE, FULL,
    TOO_MANY or OVERFLOW. Called again after FULL, it goes on with the event that lacked room, if
    one did (at[HELD]).
    """
    at = state.at
    while True:
        fresh = at[HELD] == 0
        if fresh:
            if at[GROUPED] != 0 and not group_goes_on(rules, state):
                at[GROUPED] = CLOSING
                if evaluate_group(net, calls, rules, band, state):
                    return FULL
                at[GROUPED] = 0
            code, taken = next_event(net, calls.cores, rules, state, end)
            if not taken:
                return code
        what, spike = at[EVENT], at[EVENT_SPIKE]
        if what & 3 == DELIVERY:
            if fresh:
                at[UNDER_WAY] -= 1
                if rules.group > 1 and spike >= 0:
                    at[GROUPED] += 1
                if rules.record:
                    record_delivery(state, what, spike)
            if deliver(net, calls, rules, band, state, what, spike):
                return OVERFLOW
        else:
            number, layer = what >> NUMBER_BIT, (what >> LAYER_BIT) & LAYERS
            at[HELD] = 0
            if not fresh or is_valid(state, what & 3, number):
                if ask(net, calls, rules, band, state, layer, number, NO_SPIKE):
                    at[HELD] = 1
            else:
                at[COUNTED] -= 1
            if nothing_due(calls.cores, state) and at[HELD] == 0:
                pass_ends(rules, band, state, end)
        if at[HELD]:
            return FULL


@inner_kernel
def record_delivery(state, what, spike):
    """Records that an event was taken. what, spike: as in `deliver`."""
    at, i, record = state.at, state.at[DELIVERED], state.delivery_record
    at[DELIVERED] += 1
    record[i, D_EVENT], record[i, D_TICK], record[i, D_STEP] = (
        at[TAKEN],
        at[NOW],
        at[STEP] + at[STAGE],
    )
    record[i, D_SPIKE], record[i, D_PART] = spike, (what >> HALF_BIT) & PART


@inner_kernel
def evaluate_layer(net, calls, rules, band, state, layer):
    """Evaluates a layer's neurons in index order, once each: order `clocked`, or two stages.

    layer: its number. Called again after FULL, it goes on where it was (at[CURSOR]). Returns DONE
    or FULL.
    """
    at = state.at
    for number in range(
        max(net.layers[layer, L_FIRST], at[CURSOR]), net.layers[layer + 1, L_FIRST]
    ):
        at[TAKEN] += 1
        if net.pools[layer] >= 0:
            pooled = window_extreme(net, state, layer, number)
            held = follow(net, calls, rules, state, layer, number, pooled, NO_SPIKE)
        elif band.low < state.v[number] < band.high:
            continue
        else:
            held = ask(net, calls, rules, band, state, layer, number, NO_SPIKE)
        if held:
            at[CURSOR] = number
            at[TAKEN] -= 1
            return FULL
    at[CURSOR] = 0
    return DONE


@kernel
def advance(net, calls, rules, band, state, drive, task, argument):
    """Does one task. One entry serves all, so that all is compiled once.

    drive: the arithmetic's dtype [neurons], a part of the step's. task: DRIVE (part `argument` of
    the drive arrives), EVENTS (run until tick `argument`) or EVALUATE (layer `argument`). argument:
    a number for the task. Returns DONE, or a code: FULL asks for room, TOO_MANY is max_events,
    OVERFLOW a potential outside the band; CROWDED and LATE are cores that are too slow.
    """
    arrive_at(net, calls.cores, state, 2 * state.at[NOW])
    if task == DRIVE:
        return begin_step(net, calls, rules, band, state, drive, argument)
    if task == EVENTS:
        return run_until(net, calls, rules, band, state, argument)
    return evaluate_layer(net, calls, rules, band, state, argument)
