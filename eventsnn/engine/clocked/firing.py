"""A block's neurons take their charges and fire, step by step of clocked time.

This alone reads the model, so it is compiled for each, and called by its address (`engine.bound`).

In all functions: neuron: a model; net: ProjectionTables; work: Work; layer: a layer's number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from eventsnn.engine.bound import Bound, bound
from eventsnn.engine.clocked.layout import ProjectionTables, Work
from eventsnn.engine.decay import decay
from eventsnn.engine.jit import INNER, bindable, inner_kernel
from eventsnn.engine.tables import there
from eventsnn.engine.vectors import PACKED, lowest_bit, not_zero, pack
from eventsnn.neurons.contract import (
    Here,
    emit,
    emit_here,
    is_dynamic,
    most,
    settle,
    settle_here,
    stages_of,
    tie,
    tie_here,
    worth,
)

WORD = np.int64(0)


def bound_to(neuron: Any, net: ProjectionTables, work: Work) -> Bound:
    """`run_sites_bound` for a model. Raises InputError where numba does not compile it."""
    return bound(run_sites_bound, (neuron,), (net, work, *[WORD] * 5))


@bindable
def run_sites_bound(neuron, net, work, layer, begin, end, last, fired):
    """`run_sites`, or `run_sites_dynamic` for models with more than a potential."""
    fired, ties, size = run_any(
        there(neuron), there(net), there(work), layer, begin, end, last, fired
    )
    return fired, np.int64(ties), np.int64(size)  # the same for all models


def run_any(neuron, net, work, layer, begin, end, last, fired) -> Any:
    """`run_sites`, or `run_sites_dynamic`."""


@overload(run_any, jit_options=INNER)
def _run_any(neuron, net, work, layer, begin, end, last, fired):
    sites = run_sites_dynamic if is_dynamic(neuron.instance_class) else run_sites

    def chosen(neuron, net, work, layer, begin, end, last, fired):
        return sites(neuron, net, work, layer, begin, end, last, fired)

    return chosen


@inner_kernel
def run_sites(neuron, net, work, layer, begin, end, last, fired):
    """Adds its charge to each neuron of some sites, step by step, and lets it fire.

    All neurons of a step are one long loop, which becomes vector code; what they emit is written
    to the log afterwards, site by site.

    begin, end: the sites. last: the steps in which anything can arrive; where all are quiet after
    them, they stay so. fired: where the next spike goes in the log. Returns (where the next spike
    goes, ties, the potentials' largest size, as `size_of` has it).
    """
    v, s, mute, log, begins = work.v, work.s, work.mute, work.log, work.begins
    charge, emitted, readout = work.charge, work.emitted, work.readout
    spikes = work.spikes[work.part, layer]
    steps, channels = readout.shape[0], net.channels[layer]
    first_site, count = net.first_site[layer], (end - begin) * net.channels[layer]
    first = np.uint64(net.first_neuron[layer] + begin * channels)
    if layer == net.sites.size - 1:
        size = np.int32(0)
        for step in range(steps):
            for c in range(count):
                v[first + np.uint64(c)] += charge[step * count + c]
                size = max(size, size_of(v, v[first + np.uint64(c)]))
                readout[step, begin * channels + c] = v[first + np.uint64(c)]
        begins[first_site + begin : first_site + end] = fired
        return fired, 0, size
    ties, size, quiet_from = np.int64(0), np.int32(0), steps
    for step in range(steps):
        to = np.uint64(step * count)
        # all in 32 bits, like s and most potentials: half as many vectors
        met = changed = np.int32(0)
        for c in range(np.uint64(count)):
            p = sum_of(v, v[first + c], charge[to + c])
            size = max(size, size_of(v, p))
            n = emit(neuron, layer, p, s[first + c])
            met = np.int32(met + tie(neuron, layer, p, s[first + c]))
            v[first + c] = settle(neuron, p, n) if n != 0 else p
            s[first + c] += n
            changed |= n
            emitted[to + c] = n if mute[first + c] == 0 else 0
        ties += met
        if step >= last and changed == 0:
            # so it goes on, and meets the same thresholds in every step
            quiet_from = step
            ties += np.int64(met) * (steps - 1 - step)
            break
    for site in range(begin, end):
        here = first_site + site
        begins[here, 0] = fired
        for step in range(quiet_from):
            before, to = fired, (step * (end - begin) + site - begin) * channels
            fired, negative = note(neuron, emitted, to, channels, log, fired)
            work.back[here, step] = negative
            spikes[step] += fired - before
            begins[here, step + 1] = fired
        begins[here, quiet_from:] = fired
    return fired, ties, size


@inner_kernel
def run_sites_dynamic(neuron, net, work, layer, begin, end, last, fired):
    """`run_sites` for models with more than a potential (semantics, section 13), never watched."""
    v, s, mute, log, begins = work.v, work.s, work.mute, work.log, work.begins
    back, charge, readout, own, factors = (
        work.back,
        work.charge,
        work.readout,
        work.own,
        work.factors,
    )
    drive, drive_steps, ticks, image = work.drive, work.drive_steps, work.ticks, work.image
    spikes = work.spikes[work.part, layer]
    steps, channels = readout.shape[0], net.channels[layer]
    first_site = net.first_site[layer]
    is_readout = layer == net.sites.size - 1
    waits = stages_in(neuron) == 2
    ties: Any = 0
    for site in range(begin, end):
        at = net.first_neuron[layer] + site * channels
        so_far, count = (site - begin) * channels, (end - begin) * channels
        begins[first_site + site, 0] = fired
        for step in range(steps):
            before, to = fired, so_far + step * count
            given = min(step, drive.shape[0] - 1)
            for c in range(channels):
                number = at + c
                arrived = charge[to + c] * worth(neuron, step + 1)
                if step < drive_steps:
                    arrived += drive[given, number]
                if waits and not is_readout:
                    # all of it comes before the first step in which it may fire
                    arrived = 0 if step else total_charge(neuron, work, so_far + c, count, number)
                if step > 0 and factors.shape[0] > 0 and not is_readout:
                    decay(v, number, factors, 0, ticks)
                    for k in range(own.shape[1]):
                        decay(own[number], k, factors, 1 + k, ticks)
                p = v[number] + arrived
                v[number] = p
                if is_readout:
                    continue
                here = Here(
                    own,
                    number,
                    site * channels + c,
                    step + 1,
                    step * ticks,
                    step * ticks,
                    ticks,
                    image,
                )
                ties += tie_here(neuron, layer, p, s[number], here)
                n = emit_here(neuron, layer, p, s[number], here)
                if n != 0:
                    v[number] = settle_here(neuron, p, n, here)
                    s[number] += n
                    for _ in range(abs(n) if mute[number] == 0 else 0):
                        log[fired] = c if n > 0 else ~c
                        fired += 1
                    back[first_site + site, step] |= n < 0
            if is_readout and (not waits or step == steps - 1):
                for c in range(channels):
                    readout[step, site * channels + c] = v[at + c]
            spikes[step] += fired - before
            begins[first_site + site, step + 1] = fired
    return fired, ties, np.int32(0)


@inner_kernel
def total_charge(neuron, work, first, stride, number):
    """All that arrives at a neuron in T steps.

    first, stride: in the block's charges, which are of a worth of 1: its first, and from step to
    step. number: the neuron's.
    """
    charge, drive = work.charge, work.drive
    total = charge[first] - charge[first]
    for step in range(work.readout.shape[0]):
        total += charge[first + step * stride] * worth(neuron, step + 1)
        if step < work.drive_steps:
            total += drive[min(step, drive.shape[0] - 1), number]
    return total


def stages_in(neuron) -> int:
    """1, or 2 for a model that hears everything before it fires."""
    return stages_of(neuron)


@overload(stages_in)
def _stages_in(neuron):
    stages = stages_of(neuron.instance_class)
    return lambda neuron: stages


def size_of(v, p) -> np.int32:
    """How far a potential is from 0, less 1 where it is below; 0 for numbers of other than 32 bits.

    Nobody watches those.

    v: the arithmetic's dtype [neurons], potentials. p: one of them.
    """
    return np.int32(p ^ (p >> 31)) if v.dtype == np.int32 else np.int32(0)


@overload(size_of, jit_options=INNER)
def _size_of(v, p):
    if v.dtype == types.int32:
        return lambda v, p: np.int32(p) ^ (np.int32(p) >> np.int32(31))
    return lambda v, p: np.int32(0)


@inner_kernel
def note(neuron, emitted, at, channels, log, fired):
    """Writes what a site emits in a step to the log.

    neuron: the model. emitted: int32, net spikes; at: the site's first. channels: of the site.
    fired: where the next spike goes in the log. Returns (where the next one goes, whether any is
    negative).
    """
    negative, c = False, 0
    while c + PACKED <= channels:
        if most(neuron) == 1:
            count, below = pack(emitted, at + c, c, log, fired)
            if below:
                fired = note_each(emitted, at, c, c + PACKED, log, fired)
            else:
                fired += count
            negative |= below
        else:
            bits, below = not_zero(emitted, at + c)
            negative |= below
            while bits != 0:
                k = c + lowest_bit(bits)
                fired = note_each(emitted, at, k, k + 1, log, fired)
                bits &= bits - np.uint64(1)
        c += PACKED
    for k in range(c, channels):
        negative |= emitted[at + k] < 0
    return note_each(emitted, at, c, channels, log, fired), negative


@inner_kernel
def note_each(emitted, at, c, end, log, fired):
    """Writes what channels from c up to `end` emit to the log, one by one. As in `note`."""
    for k in range(c, end):
        n = emitted[at + k]
        for _ in range(abs(n)):
            log[fired] = k if n > 0 else ~k
            fired += 1
    return fired


def sum_of(v: Any, a: Any, b: Any) -> Any:
    """a + b in v's dtype, where numba would take 64 bits: those are half as many at once.

    v: the arithmetic's dtype [neurons]. a, b: numbers.
    """


@overload(sum_of, jit_options=INNER)
def _sum_of(v, a, b):
    number = v.dtype
    return lambda v, a, b: number(a + b)
