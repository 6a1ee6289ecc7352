"""What spikes bring to a block of neighbouring targets, in all steps of clocked time.

Work follows spikes, tap by tap: what all spikes of one source site and step bring to one target
site is added up in registers, and a block's targets share the weights of a tap.

In all functions: net: ProjectionTables; work: Work; q: a projection.
"""

from __future__ import annotations

import numpy as np

from eventsnn.engine.jit import inner_kernel
from eventsnn.engine.vectors import add_rows, scatter_rows, scatter_rows_back, subtract_rows


@inner_kernel
def arrive(net, work, layer, block, count, last):
    """Adds to a block's charges what all projections bring in all steps.

    layer, block: numbers of the layer and of its block. count: its neurons. last: the steps in
    which anything can arrive.
    """
    for q in range(net.into[layer], net.into[layer + 1]):
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
                arrive_from(net, work, layer, q, tap, behind, width, count, last)
            else:
                arrive_through(net, work, layer, q, tap, width, count, last)
            tap = behind


@inner_kernel
def arrive_from(net, work, layer, q, tap, behind, width, count, last):
    """What the spikes of one source site bring through some taps, by source channel.

    tap, behind: the taps, with rows of this width. The others as in `arrive`.
    """
    # what stands here would be read again after each store
    begins, back = work.begins, work.back
    operations = work.operations[work.part, layer]
    site = np.uint64(net.first_site[net.source[q]] + net.tap_site[tap])
    at, stride, of_spike = net.at[q], net.stride[q], (behind - tap) * width
    channels = net.channels[layer]
    one, before = np.uint64(1), begins[site, np.uint64(0)]
    for step in range(np.uint64(last)):
        after = begins[site, step + one]
        if before < after:
            to, negative = at + np.int64(step) * count, back[site, step] != 0
            scatter(net, work, stride, width, tap, behind, channels, to, before, after, negative)
            operations[step] += (after - before) * of_spike
        before = after


@inner_kernel
def arrive_through(net, work, layer, q, tap, width, count, last):
    """What the spikes of one source site bring through one tap.

    tap: its number. width: of its rows. The others as in `arrive`.
    """
    charge, log, begins, back = work.charge, work.log, work.begins, work.back
    operations = work.operations[work.part, layer]
    site = np.uint64(net.first_site[net.source[q]] + net.tap_site[tap])
    row, per_group = net.tap_row[tap], net.ci[q]
    to = net.at[q] + np.int64(net.tap_to[tap]) * net.channels[layer]
    one_to_one, own = per_group == 1 and width == 1, net.first_width[q] >= 0
    groups = per_group if per_group < net.channels[net.source[q]] else 0
    one, before = np.uint64(1), begins[site, np.uint64(0)]
    for step in range(np.uint64(last)):
        after = begins[site, step + one]
        if before < after:
            at, negative = to + np.int64(step) * count, back[site, step] != 0
            if one_to_one:
                add_one_to_one(charge, at, net.weights, row, log, before, after)
            else:
                add_spikes(
                    charge, at, net.weights, row, width, groups, log, before, after, negative
                )
            if own:
                operations[step] += synapses(net, q, row, log, before, after)
            else:
                operations[step] += (after - before) * width
        before = after


@inner_kernel
def synapses(net, q, row, log, first, after):
    """How many synapses spikes reach through one tap, where channels differ in them.

    row: the tap's. log: int32 [spikes], channels (~c for a negative spike), of which [first:after]
    are counted.
    """
    at = net.first_width[q] + (row - net.first_row[q]) // net.co[q]
    count = np.int64(0)
    for i in range(first, after):
        c = np.int64(log[i])
        count += net.widths[at + (~c if c < 0 else c)]
    return count


@inner_kernel
def scatter(net, work, stride, width, tap, behind, channels, at, first, end, back):
    """Adds what spikes of one source site bring in a step, where weights lie by source channel.

    stride: from the row of one source channel to the next. width: of the rows. tap, behind: the
    taps. channels: of a target site. at: where the first site of the block has its charges in this
    step. first, end: the spikes in the log; they arrive in turn. back: whether any of them is
    negative.
    """
    charge, log, weights, tap_to, tap_row = (
        work.charge,
        work.log,
        net.weights,
        net.tap_to,
        net.tap_row,
    )
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
                weights,
                stride,
                width,
                tap_to,
                tap_row,
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
                weights,
                stride,
                width,
                tap_to,
                tap_row,
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
    row. per_group: source channels of a group, 0 where there is one group. log: int32. first, end,
    back: as in `scatter`.
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
