"""The clocked engine: the papers' own time, layer by layer through all steps of one image.

In clocked time nothing flows backwards, so a layer can run through all its steps before the next
layer starts: its potentials stay in cache and each weight is fetched once for many steps. Work
follows spikes, tap by tap: what all spikes of one source site and step bring to one target site is
added up in registers, and a block of neighbouring targets shares the weights of a tap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from eventsnn.engine.decay import decay
from eventsnn.engine.jit import INNER, inner_kernel, kernel
from eventsnn.engine.vectors import (
    PACKED,
    add_rows,
    give_way,
    load,
    lowest_bit,
    not_zero,
    pack,
    scatter_rows,
    scatter_rows_back,
    store,
    subtract_rows,
)
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


@inner_kernel
def synapses(net, q, row, log, first, after):
    """How many synapses spikes reach through one tap, where channels differ in them.

    q: the projection. row: the tap's. log: int32 [spikes], channels (~c for a negative spike), of
    which [first:after] are counted.
    """
    at = net.first_width[q] + (row - net.first_row[q]) // net.co[q]
    count = np.int64(0)
    for i in range(first, after):
        c = np.int64(log[i])
        count += net.widths[at + (~c if c < 0 else c)]
    return count


@inner_kernel
def scatter(net, stride, width, tap, behind, channels, charge, at, log, first, end, back):
    """Adds what spikes of one source site bring in a step, where weights lie by source channel.

    stride: from the row of one source channel to the next. width: of the rows. tap, behind: the
    taps. channels: of a target site. charge: the arithmetic's dtype; at: where the first site of
    the block has its in this step. log: int32; its spikes from `first` up to `end` arrive in turn.
    back: whether any of them is negative.
    """
    while first < end:
        negative, last = False, end
        if back:
            negative, last = log[first] < 0, first + 1
            while last < end and (log[last] < 0) == negative:
                last += 1
        if negative:
            scatter_rows_back(
                charge,
                at,
                channels,
                net.weights,
                stride,
                width,
                net.tap_to,
                net.tap_row,
                tap,
                behind,
                log,
                first,
                last,
            )
        else:
            scatter_rows(
                charge,
                at,
                channels,
                net.weights,
                stride,
                width,
                net.tap_to,
                net.tap_row,
                tap,
                behind,
                log,
                first,
                last,
            )
        first = last


@inner_kernel
def add_spikes(charge, to, weights, row, width, per_group, log, first, end, back):
    """Adds to charge[to:] what spikes of one source site bring to one target site, in turn.

    weights: of all projections. row: where the tap's rows begin in them. width: the length of a
    row. per_group: source channels of a group, 0 where there is one group. log, first, end, back:
    as in `scatter`.
    """
    while first < end:
        negative, last, at = False, end, to
        if back or per_group > 0:
            negative, last = log[first] < 0, first + 1
            while per_group == 0 and last < end and (log[last] < 0) == negative:
                last += 1
            if per_group > 0:
                at += (~log[first] if negative else log[first]) // per_group * width
        if negative:
            subtract_rows(charge, at, weights, row, width, log, first, last)
        else:
            add_rows(charge, at, weights, row, width, log, first, last)
        first = last


@inner_kernel
def add_one_to_one(charge, to, weights, row, log, first, end):
    """Adds what spikes bring where each channel reaches its own alone. As in `add_spikes`."""
    for i in range(np.uint64(first), np.uint64(end)):
        c = np.int64(log[i])
        if c < 0:
            charge[np.uint64(to + ~c)] -= weights[np.uint64(row + ~c)]
        else:
            charge[np.uint64(to + c)] += weights[np.uint64(row + c)]


@inner_kernel
def arrive(net, q, block, count, channels, last, charge, log, begins, back, operations):
    """Adds to a block's charges what one projection brings in all steps.

    q: the projection. block: the block's number. count: its neurons. channels: of a target site.
    last: the steps in which anything can arrive. charge, log, begins, back, operations: as in
    `run_block`.
    """
    tap = net.first_tap[net.tap_base[q] + block]
    taps_end = net.first_tap[net.tap_base[q] + block + 1]
    width = net.co[q]
    by_source = net.stride[q] > width
    while tap < taps_end:
        behind = tap + 1
        if by_source:
            width = np.int64(net.tap_width[tap])
            while (
                behind < taps_end
                and net.tap_site[behind] == net.tap_site[tap]
                and np.int64(net.tap_width[behind]) == width
            ):
                behind += 1
            arrive_from(
                net,
                q,
                tap,
                behind,
                width,
                count,
                channels,
                last,
                charge,
                log,
                begins,
                back,
                operations,
            )
        else:
            arrive_through(
                net, q, tap, width, count, channels, last, charge, log, begins, back, operations
            )
        tap = behind


@inner_kernel
def arrive_from(
    net, q, tap, behind, width, count, channels, last, charge, log, begins, back, operations
):
    """What the spikes of one source site bring through some taps, by source channel.

    tap, behind: the taps, with rows of this width. The others as in `arrive`.
    """
    # what stands here would be read again after each store
    site = np.uint64(net.first_site[net.source[q]] + net.tap_site[tap])
    at, stride, of_spike = net.at[q], net.stride[q], (behind - tap) * width
    one, before = np.uint64(1), begins[site, np.uint64(0)]
    for step in range(np.uint64(last)):
        after = begins[site, step + one]
        if before < after:
            scatter(
                net,
                stride,
                width,
                tap,
                behind,
                channels,
                charge,
                at + np.int64(step) * count,
                log,
                before,
                after,
                back[site, step] != 0,
            )
            operations[step] += (after - before) * of_spike
        before = after


@inner_kernel
def arrive_through(
    net, q, tap, width, count, channels, last, charge, log, begins, back, operations
):
    """What the spikes of one source site bring through one tap.

    tap: its number. width: of its rows. The others as in `arrive`.
    """
    site = np.uint64(net.first_site[net.source[q]] + net.tap_site[tap])
    row, per_group = net.tap_row[tap], net.ci[q]
    to = net.at[q] + np.int64(net.tap_to[tap]) * channels
    one_to_one, own = per_group == 1 and width == 1, net.first_width[q] >= 0
    groups = per_group if per_group < net.channels[net.source[q]] else 0
    one, before = np.uint64(1), begins[site, np.uint64(0)]
    for step in range(np.uint64(last)):
        after = begins[site, step + one]
        if before < after:
            at = to + np.int64(step) * count
            if one_to_one:
                add_one_to_one(charge, at, net.weights, row, log, before, after)
            else:
                add_spikes(
                    charge,
                    at,
                    net.weights,
                    row,
                    width,
                    groups,
                    log,
                    before,
                    after,
                    back[site, step] != 0,
                )
            if own:
                operations[step] += synapses(net, q, row, log, before, after)
            else:
                operations[step] += (after - before) * width
        before = after


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


@inner_kernel
def run_sites(
    net,
    layer,
    begin,
    end,
    neuron,
    drive,
    drive_steps,
    last,
    v,
    s,
    mute,
    log,
    begins,
    fired,
    back,
    charge,
    emitted,
    spikes,
    readout,
    own,
    factors,
    ticks,
    image,
):
    """Adds its charge to each neuron of some sites, step by step, and lets it fire.

    All neurons of a step are one long loop, which becomes vector code; what they emit is written
    to the log afterwards, site by site.

    begin, end: the sites. last: the steps in which anything can arrive; where all are quiet after
    them, they stay so. fired: where the next spike goes in the log. charge: what arrives, by step,
    site and channel. emitted: scratch, likewise. spikes: int64 [T], of the layer. The others as in
    `run_layers`. Returns (where the next spike goes, ties, the potentials' largest size, as
    `size_of` has it).
    """
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
            back[here, step] = negative
            spikes[step] += fired - before
            begins[here, step + 1] = fired
        begins[here, quiet_from:] = fired
    return fired, ties, size


@inner_kernel
def run_sites_dynamic(
    net,
    layer,
    begin,
    end,
    neuron,
    drive,
    drive_steps,
    last,
    v,
    s,
    mute,
    log,
    begins,
    fired,
    back,
    charge,
    emitted,
    spikes,
    readout,
    own,
    factors,
    ticks,
    image,
):
    """`run_sites` for models with more than a potential (semantics, section 13), never watched."""
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
                    arrived = (
                        0
                        if step
                        else total_charge(
                            neuron, charge, so_far + c, count, steps, drive, drive_steps, number
                        )
                    )
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
def total_charge(neuron, charge, first, stride, steps, drive, drive_steps, number):
    """All that arrives at a neuron in T steps.

    neuron: the model. charge: what spikes bring of a worth of 1, by step, from `first` on, `stride`
    apart. number: the neuron's. drive, drive_steps: as
    in `run_layers`.
    """
    total = charge[first] - charge[first]
    for step in range(steps):
        total += charge[first + step * stride] * worth(neuron, step + 1)
        if step < drive_steps:
            total += drive[min(step, drive.shape[0] - 1), number]
    return total


def stages_in(neuron) -> int:
    """1, or 2 for a model that hears everything before it fires."""
    return stages_of(neuron)


@overload(stages_in)
def _stages_in(neuron):
    stages = stages_of(neuron.instance_class)
    return lambda neuron: stages


def holds_drive(neuron) -> bool:
    """Whether a site's charge begins with its drive; other models add it by themselves."""
    return not is_dynamic(type(neuron))


@overload(holds_drive)
def _holds_drive(neuron):
    plain = not is_dynamic(neuron.instance_class)
    return lambda neuron: plain


def run_any(
    net,
    layer,
    begin,
    end,
    neuron,
    drive,
    drive_steps,
    last,
    v,
    s,
    mute,
    log,
    begins,
    fired,
    back,
    charge,
    emitted,
    spikes,
    readout,
    own,
    factors,
    ticks,
    image,
) -> Any:
    """`run_sites`, or `run_sites_dynamic` for models with more than a potential."""


@overload(run_any, jit_options=INNER)
def _run_any(
    net,
    layer,
    begin,
    end,
    neuron,
    drive,
    drive_steps,
    last,
    v,
    s,
    mute,
    log,
    begins,
    fired,
    back,
    charge,
    emitted,
    spikes,
    readout,
    own,
    factors,
    ticks,
    image,
):
    sites = run_sites_dynamic if is_dynamic(neuron.instance_class) else run_sites

    def chosen(
        net,
        layer,
        begin,
        end,
        neuron,
        drive,
        drive_steps,
        last,
        v,
        s,
        mute,
        log,
        begins,
        fired,
        back,
        charge,
        emitted,
        spikes,
        readout,
        own,
        factors,
        ticks,
        image,
    ):
        return sites(
            net,
            layer,
            begin,
            end,
            neuron,
            drive,
            drive_steps,
            last,
            v,
            s,
            mute,
            log,
            begins,
            fired,
            back,
            charge,
            emitted,
            spikes,
            readout,
            own,
            factors,
            ticks,
            image,
        )

    return chosen


@inner_kernel
def run_block(
    net,
    layer,
    block,
    neuron,
    drive,
    drive_steps,
    last,
    v,
    s,
    mute,
    log,
    begins,
    fired,
    back,
    charge,
    emitted,
    spikes,
    operations,
    readout,
    own,
    factors,
    ticks,
    image,
):
    """Runs a layer's block of sites through all steps; the log has room for all their spikes.

    layer, block: numbers of the layer and of its block. last: the steps in which anything can
    arrive. fired: where the next spike goes in the log. spikes, operations: int64 [T], of the
    layer. charge, emitted: scratch. The others as in `run_layers`. Returns (where the next spike
    goes, ties, the potentials' largest size: see `size_of`).
    """
    steps, channels = readout.shape[0], net.channels[layer]
    driven = drive_steps if holds_drive(neuron) else 0
    begin, end = block * net.block[layer], min((block + 1) * net.block[layer], net.sites[layer])
    first, count = np.uint64(net.first_neuron[layer] + begin * channels), (end - begin) * channels
    for step in range(steps):
        given, to = min(step, drive.shape[0] - 1), np.uint64(step * count)
        if step < driven:
            for c in range(np.uint64(count)):
                charge[to + c] = drive[given, first + c]
        else:
            charge[to : to + np.uint64(count)] = 0
    for q in range(net.into[layer], net.into[layer + 1]):
        arrive(net, q, block, count, channels, last, charge, log, begins, back, operations)
    return run_any(
        net,
        layer,
        begin,
        end,
        neuron,
        drive,
        drive_steps,
        last,
        v,
        s,
        mute,
        log,
        begins,
        fired,
        back,
        charge,
        emitted,
        spikes,
        readout,
        own,
        factors,
        ticks,
        image,
    )


@inner_kernel
def run_pool(net, layer, site, v, s, log, begins, fired, back, sums, spikes):
    """Runs max pooling at one site through all steps (semantics, section 10).

    Each unit sends the change of the maximum, or minimum, of its window's net spikes.

    layer, site: numbers of the layer and of its site. v, s: potentials and net spikes, which are
    both that maximum or minimum here. sums: scratch, net spikes of the members of a window, by
    member and channel. spikes: int64 [T], of the layer. net, log, begins, fired, back: as in
    `run_block`. Returns where the next spike goes.
    """
    channels = net.channels[layer]
    q = net.into[layer]
    here = net.first_site[layer] + site
    at, taps = net.first_neuron[layer] + site * channels, net.tap_base[q] + site
    tap_from, tap_to = net.first_tap[taps], net.first_tap[taps + 1]
    sums[: (tap_to - tap_from) * channels] = 0
    begins[here, 0] = fired
    for step in range(spikes.size):
        before, arrived = fired, 0
        for tap in range(tap_from, tap_to):
            source = net.first_site[net.source[q]] + net.tap_site[tap]
            for i in range(begins[source, step], begins[source, step + 1]):
                c = log[i]
                arrived += 1
                if c >= 0:
                    sums[(tap - tap_from) * channels + c] += 1
                else:
                    sums[(tap - tap_from) * channels + ~c] -= 1
        for c in range(channels if arrived else 0):
            sign = np.int64(net.pool_signs[at + c])
            highest = sign * sums[c]
            for member in range(1, tap_to - tap_from):
                highest = max(highest, sign * sums[member * channels + c])
            n = sign * highest - s[at + c]
            for _ in range(abs(n)):
                log[fired] = c if n > 0 else ~c
                fired += 1
            back[here, step] |= n < 0
            s[at + c] = v[at + c] = sign * highest
        spikes[step] += fired - before
        begins[here, step + 1] = fired
    return fired


@kernel
def add_digests(hashes, channels, begin, end, at_most, log, begins, so_far, digests):
    """Adds the spikes of some sites of a layer to its digests (semantics, section 17).

    A site's spikes are added up in one go through many steps: a loop over the few spikes of each
    step would cost more than they do. It is no inner kernel, since as one it is half as fast, and
    goes through a whole layer, so that the hashes come in order.

    hashes: of ProjectionTables. channels: of the layer. begin, end: the sites. at_most: the most
    spikes of a neuron in a step. log: as in `run_layers`. begins: likewise, of the layer's sites.
    so_far: uint64, scratch: sums of the hashes before each spike; room for those of one step.
    digests: uint64 [T], of the layer, 0 at first.
    """
    steps, one = digests.size, np.uint64(1)
    at_once = (so_far.size - 1) // (channels * at_most)
    for site in range(begin, end):
        row, at = begins[site], site * channels
        behind = hashes.size - at  # negative spikes, ~c, are counted from there
        if row[0] == row[steps]:
            continue
        total = np.uint64(0)
        for start in range(0, steps, at_once):
            stop = min(start + at_once, steps)
            first, last = row[start], row[stop]
            so_far[0] = total
            for i in range(np.uint64(last - first)):
                c = np.int64(log[np.uint64(first) + i])
                total += hashes[np.uint64((behind if c < 0 else at) + c)]
                so_far[i + one] = total
            for step in range(np.uint64(start), np.uint64(stop)):
                digests[step] += so_far[np.uint64(row[step + one] - first)]
    for step in range(steps - 1, 0, -1):  # up to here they were those of all steps so far
        digests[step] -= digests[step - 1]


@inner_kernel
def last_arrival(net, layer, drive_steps, spikes):
    """The number of steps after which neither drive nor spikes arrive at a layer any more.

    net: ProjectionTables. layer: its number. drive_steps: steps with drive. spikes: int64 [parts,
    L, T], so far.
    """
    parts, _, steps = spikes.shape
    last = min(drive_steps, steps)
    for q in range(net.into[layer], net.into[layer + 1]):
        for part in range(parts):
            for step in range(last, steps):
                if spikes[part, net.source[q], step] > 0:
                    last = step + 1
    return last


@kernel
def run_layers(
    net,
    neuron,
    drive,
    drive_steps,
    v,
    s,
    mute,
    spikes,
    operations,
    ties,
    readout,
    log,
    begins,
    own,
    digests,
    back,
    charge,
    emitted,
    sums,
    so_far,
    at_most,
    given,
    part,
    done,
    reached,
    limit,
    factors,
    ticks,
    image,
):
    """Simulates one image in clocked time, or of each layer one part of its sites.

    Others call this with the same arrays for the other parts. There are readout.shape[0] steps.

    net: ProjectionTables. neuron: a model. drive: [D, neurons]; step t < drive_steps takes row
    min(t, D - 1). v: the arithmetic's dtype [neurons], potentials, read and written. s: int32
    [neurons], net spikes, 0 at first, read and written. mute: uint8 [neurons], 1 where spikes are
    neither sent nor counted. spikes, operations: int64 [parts, L, T], 0 at first (operations by
    target layer). ties: int64 [parts, L], 0 at first. readout: [T, classes], the charge that has
    arrived so far. log: int32. begins: int64 [sites, T + 1]: the spikes of site number p (over all
    layers) in step t are log[begins[p, t]:begins[p, t + 1]], as channels c, or ~c where negative.
    Each part has an equal share of the log. own: the arithmetic's dtype [neurons, K], states of the
    model's own, read and written. digests: uint64 [parts, L, T], 0 at first. back: uint8 [sites,
    T], 1 where any is negative.
    charge, emitted, sums, so_far: scratch, each part's own. at_most: the most spikes that a neuron
    or pool unit sends in a step. given: how many of the first layers are not run; their spikes are
    in the log of the only part. part: the number of this one. done: int64
    [parts + 1], 0 at first: the layers that each part has done; the last is set to make all stop.
    reached: int64 [parts], written: the largest size of a potential of that part (`size_of`). At
    `limit` it stops. limit: the size that no potential may reach.
    factors: of `decay.factors_of`. ticks: of a step. image: its number in the data set. Returns
    whether the log had room and no potential reached the limit.
    """
    parts, layers, steps = spikes.shape
    share = log.size // parts
    fired, end = share * part, share * (part + 1)
    if given:
        fired = begins[net.first_site[given] - 1, steps]
    for layer in range(given, layers):
        blocks = -(-net.sites[layer] // net.block[layer])
        # what a block brings, and one that is written over
        room = net.block[layer] * steps * net.channels[layer] * at_most + PACKED
        last = last_arrival(net, layer, drive_steps, spikes)
        for block in range(blocks * part // parts, blocks * (part + 1) // parts):
            if end - fired < room:
                store(done, parts, 1)
                return False
            if net.pools[layer]:
                fired = run_pool(
                    net, layer, block, v, s, log, begins, fired, back, sums, spikes[part, layer]
                )
            else:
                fired, met, size = run_block(
                    net,
                    layer,
                    block,
                    neuron,
                    drive,
                    drive_steps,
                    last,
                    v,
                    s,
                    mute,
                    log,
                    begins,
                    fired,
                    back,
                    charge,
                    emitted,
                    spikes[part, layer],
                    operations[part, layer],
                    readout,
                    own,
                    factors,
                    ticks,
                    image,
                )
                ties[part, layer] += met
                reached[part] = max(reached[part], size)
                if reached[part] >= limit:
                    store(done, parts, 1)
                    return False
        add_digests(
            net.hashes,
            net.channels[layer],
            blocks * part // parts * net.block[layer],
            min(blocks * (part + 1) // parts * net.block[layer], net.sites[layer]),
            at_most,
            log,
            begins[net.first_site[layer] :],
            so_far,
            digests[part, layer],
        )
        store(done, part, layer + 1)
        for other in range(parts):
            while load(done, other) <= layer:
                if load(done, parts):
                    return False
                give_way()
    return True
