"""The clocked engine: the papers' own time, layer by layer through all steps of one image.

In clocked time nothing flows backwards, so a layer can run through all its steps before the next
layer starts: its potentials stay in cache and each weight is fetched once for many steps. Work
follows spikes: for one target site and step, the weight rows of all spikes in its receptive field
are listed and added up, in registers.
"""
from __future__ import annotations

import numpy as np

from eventsnn.engine.vectors import NARROW, WIDE, add_lanes, subtract_lanes
from eventsnn.jit import inner_kernel, kernel
from eventsnn.neurons.contract import emit, most, settle, tie

AHEAD = 8  # channels that are listed at once; lists and the log have room for as many beyond their end
LISTED = 1024  # rows that are added up at once, and a few more


@inner_kernel
def add_rows(charge, at, weights, rows, count, width):
    """charge[at:at + width] += each of the first `count` rows in turn."""
    done = 0
    while done + WIDE <= width:
        add_lanes(charge, at + done, weights, done, rows, count, WIDE)
        done += WIDE
    while done + NARROW <= width:
        add_lanes(charge, at + done, weights, done, rows, count, NARROW)
        done += NARROW
    for i in range(count if done < width else 0):
        add_row(charge, at + done, weights, rows[i] + done, width - done)


@inner_kernel
def subtract_rows(charge, at, weights, rows, count, width):
    """charge[at:at + width] -= each of the first `count` rows in turn."""
    done = 0
    while done + WIDE <= width:
        subtract_lanes(charge, at + done, weights, done, rows, count, WIDE)
        done += WIDE
    while done + NARROW <= width:
        subtract_lanes(charge, at + done, weights, done, rows, count, NARROW)
        done += NARROW
    for i in range(count if done < width else 0):
        subtract_row(charge, at + done, weights, rows[i] + done, width - done)


@inner_kernel
def add_row(charge, at, weights, row, width):
    """charge[at:at + width] += weights[row:row + width]."""
    to, a = np.uint64(at), np.uint64(row)
    for x in range(np.uint64(width)):
        charge[to + x] += weights[a + x]


@inner_kernel
def subtract_row(charge, at, weights, row, width):
    """charge[at:at + width] -= weights[row:row + width]."""
    to, a = np.uint64(at), np.uint64(row)
    for x in range(np.uint64(width)):
        charge[to + x] -= weights[a + x]


@inner_kernel
def run_sites(net, layer, first_of_sites, neuron, drive, drive_steps, last, v, s, mute, log, log_first, back, fired, rows, rows_less,
              charge, emitted, spikes, operations, readout):
    """Run a layer's sites from number `first_of_sites` on through all steps, while the log has room.

    last: the steps in which anything can arrive; where a site is quiet after them, it stays so. back: uint8, whether a site and step
    has negative spikes. rows, rows_less (those of negative spikes), charge, emitted: scratch; the rest as in `run_image`. Returns
    (the first site that was not run, spikes in the log, ties).
    """
    steps, channels, sites = readout.shape[0], net.channels[layer], net.sites[layer]
    first_site, first_neuron = net.first_site, net.first_neuron[layer]
    source, ci, co, tap_base = net.source, net.ci, net.co, net.tap_base
    first_tap, tap_site, tap_row, weights = net.first_tap, net.tap_site, net.tap_row, net.weights
    first_q, last_q = net.into[layer], net.into[layer + 1]
    source_channels = net.channels
    ordered = charge.dtype.type(0.5) != 0  # floating point: sums depend on the order, integers' do not
    is_readout = layer == net.sites.size - 1
    ties = 0
    for site in range(first_of_sites, sites):
        if log.size - fired < steps * channels * most(neuron) + AHEAD:
            return site, fired, ties
        at = first_neuron + site * channels
        first_here = np.uint64(at)
        for step in range(steps):
            given = min(step, drive.shape[0] - 1)
            for c in range(channels):
                charge[step * channels + c] = drive[given, at + c] if step < drive_steps else 0
        for q in range(first_q, last_q):
            width, per_group, source_site = co[q], ci[q], first_site[source[q]]
            dense = per_group == source_channels[source[q]]
            taps = tap_base[q] + site
            tap_from, tap_to = first_tap[taps], first_tap[taps + 1]
            for step in range(last):
                count, count_less, arrived, to = 0, 0, 0, step * channels
                for tap in range(tap_from, tap_to):
                    cell = (source_site + tap_site[tap]) * steps + step
                    row, first, end = tap_row[tap], log_first[cell], log_first[cell + 1]
                    arrived += end - first
                    if dense and not back[cell]:  # the usual case, without a branch on each spike
                        if count + end - first > LISTED:
                            add_rows(charge, to, weights, rows, count, width)
                            count = 0
                        for i in range(0, end - first, AHEAD):
                            listed, spike = np.uint64(count + i), np.uint64(first + i)
                            for ahead in range(np.uint64(AHEAD)):
                                rows[listed + ahead] = row + log[spike + ahead] * width
                        count += end - first
                        continue
                    for i in range(first, end):
                        c = log[i]
                        if dense and (c >= 0 or not ordered):
                            if c >= 0:
                                rows[count] = row + c * width
                                count += 1
                            else:
                                rows_less[count_less] = row + ~c * width
                                count_less += 1
                            if max(count, count_less) >= LISTED:
                                add_rows(charge, to, weights, rows, count, width)
                                subtract_rows(charge, to, weights, rows_less, count_less, width)
                                count = count_less = 0
                        elif c >= 0:
                            add_row(charge, to + c // per_group * width, weights, row + c * width, width)
                        else:
                            add_rows(charge, to, weights, rows, count, width)
                            count = 0
                            subtract_row(charge, to + ~c // per_group * width, weights, row + ~c * width, width)
                operations[layer, step] += arrived * width
                add_rows(charge, to, weights, rows, count, width)
                subtract_rows(charge, to, weights, rows_less, count_less, width)
        quiet = False
        for step in range(steps):
            before, met, changed, taken_back, to = fired, 0, 0, 0, step * channels
            for c in range(np.uint64(0 if quiet or is_readout else channels)):
                p = v[first_here + c] + charge[np.uint64(to) + c]
                n = emit(neuron, layer, p, s[first_here + c])
                met += tie(neuron, layer, p, s[first_here + c])
                v[first_here + c] = settle(neuron, p, n) if n != 0 else p
                s[first_here + c] += n
                changed += n != 0
                taken_back += n < 0
                emitted[c] = n if mute[first_here + c] == 0 else 0
            for c in range(channels if is_readout else 0):
                v[at + c] += charge[to + c]
            if changed and most(neuron) == 1:
                for c in range(channels):  # without a branch: the next one writes over what was none
                    log[np.uint64(fired)] = c ^ (emitted[c] >> 31)
                    fired += emitted[c] != 0
            elif changed:
                for c in range(channels):
                    for _ in range(abs(emitted[c])):
                        log[fired] = c if emitted[c] > 0 else ~c
                        fired += 1
            back[(first_site[layer] + site) * steps + step] = taken_back > 0
            ties += met
            if step >= last and changed == 0 and not quiet:  # so it goes on, and meets the same thresholds in every step
                quiet = True
                ties += met * (steps - 1 - step)
            if is_readout:
                for c in range(channels):
                    readout[step, site * channels + c] = v[at + c]
            spikes[layer, step] += fired - before
            log_first[(first_site[layer] + site) * steps + step + 1] = fired
    return sites, fired, ties


@inner_kernel
def run_pools(net, layer, first_of_sites, v, s, log, log_first, back, fired, most, sums, spikes, steps):
    """Max pooling, site by site: each unit sends the change of the maximum of its window's net spikes (semantics, section 10).

    sums: scratch, net spikes of the members of a window, by member and channel. v, s: the maximum. Returns as `run_sites`.
    """
    channels, q = net.channels[layer], net.into[layer]
    source_site = net.first_site[net.source[q]]
    for site in range(first_of_sites, net.sites[layer]):
        if log.size - fired < steps * channels * most + AHEAD:
            return site, fired
        at, taps = net.first_neuron[layer] + site * channels, net.tap_base[q] + site
        tap_from, tap_to = net.first_tap[taps], net.first_tap[taps + 1]
        sums[:(tap_to - tap_from) * channels] = 0
        for step in range(steps):
            before, arrived = fired, 0
            for tap in range(tap_from, tap_to):
                cell = (source_site + net.tap_site[tap]) * steps + step
                for i in range(log_first[cell], log_first[cell + 1]):
                    c = log[i]
                    arrived += 1
                    if c >= 0:
                        sums[(tap - tap_from) * channels + c] += 1
                    else:
                        sums[(tap - tap_from) * channels + ~c] -= 1
            for c in range(channels if arrived else 0):
                highest = sums[c]
                for member in range(1, tap_to - tap_from):
                    highest = max(highest, sums[member * channels + c])
                n = highest - s[at + c]
                for _ in range(abs(n)):
                    log[fired] = c if n > 0 else ~c
                    fired += 1
                back[(net.first_site[layer] + site) * steps + step] |= n < 0
                s[at + c] = v[at + c] = highest
            spikes[layer, step] += fired - before
            log_first[(net.first_site[layer] + site) * steps + step + 1] = fired
    return net.sites[layer], fired


@inner_kernel
def last_arrival(net, layer, drive_steps, spikes, steps):
    """The number of steps after which nothing arrives at a layer any more: neither drive nor its sources' spikes."""
    last = min(drive_steps, steps)
    for q in range(net.into[layer], net.into[layer + 1]):
        for step in range(last, steps):
            if spikes[net.source[q], step] > 0:
                last = step + 1
    return last


@kernel
def run_image(net, neuron, drive, drive_steps, v, s, mute, spikes, operations, ties, readout, given, given_log, given_first):
    """Simulate one image in clocked time for readout.shape[0] steps.

    net: ProjectionTables. neuron: a model. drive: [D, neurons]; step t < drive_steps takes row min(t, D - 1).
    v: potentials [neurons], s: net spikes int64 [neurons], 0 at first, both read and written. mute: uint8
    [neurons], 1 where spikes are neither sent nor counted. spikes, operations: int64 [L, T] (operations by target layer), ties:
    int64 [L], readout: [T, classes], the charge that has arrived so far; spikes must be 0 at first, all are
    filled. given: how many of the first layers are not run: given_log and given_first, in the form of what is returned,
    hold their spikes, and what the other arrays say of them stays. Returns (log, first): the spikes of site number p (over all
    layers) in step t are log[first[p * T + t]:first[p * T + t + 1]], as channels c, or ~c where negative.
    """
    layers, steps = net.sites.size, readout.shape[0]
    widest = net.channels.max() * steps
    log_first = np.zeros(net.first_site[layers] * steps + 1, np.int64)
    cells = net.first_site[given] * steps
    log_first[:cells + 1] = given_first[:cells + 1]
    fired, back = log_first[cells], np.zeros(log_first.size, np.uint8)
    log = np.zeros(fired + 4 * widest + AHEAD, np.int32)
    log[:fired] = given_log[:fired]
    for cell in range(cells):
        for i in range(log_first[cell], log_first[cell + 1]):
            back[cell] |= log[i] < 0
    charge, emitted = np.empty(widest, v.dtype), np.empty(net.channels.max(), np.int32)
    rows, rows_less = np.empty(LISTED + net.channels.max() * most(neuron) + AHEAD, np.int64), np.empty(LISTED + 1, np.int64)
    sums = np.empty(net.largest_window, np.int64)
    per_step = most(neuron)
    for layer in range(given, layers):
        site, last = 0, last_arrival(net, layer, drive_steps, spikes, steps)
        while site < net.sites[layer]:
            if net.pools[layer]:
                site, fired = run_pools(net, layer, site, v, s, log, log_first, back, fired, per_step, sums, spikes, steps)
            else:
                site, fired, met = run_sites(net, layer, site, neuron, drive, drive_steps, last, v, s, mute, log, log_first, back, fired,
                                             rows, rows_less, charge, emitted, spikes, operations, readout)
                ties[layer] += met
            if site < net.sites[layer]:
                longer = np.zeros(max(2 * log.size, fired + widest * per_step) + AHEAD, np.int32)
                longer[:fired] = log[:fired]
                log = longer
    return log[:fired], log_first
