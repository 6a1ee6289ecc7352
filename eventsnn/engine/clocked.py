"""The clocked engine: the papers' own time, layer by layer through all steps of one image.

In clocked time nothing flows backwards, so a layer can run through all its steps before the next
layer starts: its potentials stay in cache and each weight is fetched once for many steps. Work
follows spikes: for one target site and step, the weight rows of all spikes in its receptive field
are listed and added up, eight at a time.
"""
from __future__ import annotations

import numpy as np

from eventsnn.jit import inner_kernel, kernel
from eventsnn.neurons.contract import emit, most, settle, tie


@inner_kernel
def add_rows(charge, at, weights, rows, count, width):
    """charge[at:at + width] += each of the rows in turn; `count` is a multiple of 4.

    Unsigned indices keep numba from testing for negative ones, so the loops become vector code. The
    order of additions is the order of rows: floating-point sums are those of a plain loop.
    """
    to, n = np.uint64(at), np.uint64(width)
    i = 0
    while i + 8 <= count:
        a, b, c, d = np.uint64(rows[i]), np.uint64(rows[i + 1]), np.uint64(rows[i + 2]), np.uint64(rows[i + 3])
        e, f, g, h = np.uint64(rows[i + 4]), np.uint64(rows[i + 5]), np.uint64(rows[i + 6]), np.uint64(rows[i + 7])
        for x in range(n):
            charge[to + x] = (charge[to + x] + weights[a + x] + weights[b + x] + weights[c + x] + weights[d + x]
                              + weights[e + x] + weights[f + x] + weights[g + x] + weights[h + x])
        i += 8
    if i < count:
        a, b, c, d = np.uint64(rows[i]), np.uint64(rows[i + 1]), np.uint64(rows[i + 2]), np.uint64(rows[i + 3])
        for x in range(n):
            charge[to + x] = charge[to + x] + weights[a + x] + weights[b + x] + weights[c + x] + weights[d + x]


@inner_kernel
def subtract_rows(charge, at, weights, rows, count, width):
    """charge[at:at + width] -= each of the rows in turn, as `add_rows` adds them."""
    to, n = np.uint64(at), np.uint64(width)
    i = 0
    while i + 8 <= count:
        a, b, c, d = np.uint64(rows[i]), np.uint64(rows[i + 1]), np.uint64(rows[i + 2]), np.uint64(rows[i + 3])
        e, f, g, h = np.uint64(rows[i + 4]), np.uint64(rows[i + 5]), np.uint64(rows[i + 6]), np.uint64(rows[i + 7])
        for x in range(n):
            charge[to + x] = (charge[to + x] - weights[a + x] - weights[b + x] - weights[c + x] - weights[d + x]
                              - weights[e + x] - weights[f + x] - weights[g + x] - weights[h + x])
        i += 8
    if i < count:
        a, b, c, d = np.uint64(rows[i]), np.uint64(rows[i + 1]), np.uint64(rows[i + 2]), np.uint64(rows[i + 3])
        for x in range(n):
            charge[to + x] = charge[to + x] - weights[a + x] - weights[b + x] - weights[c + x] - weights[d + x]


@inner_kernel
def fill(rows, count, zeros):
    """Fill a list up to a multiple of 4 with the row of zeros; returns the new count."""
    while count % 4:
        rows[count] = zeros
        count += 1
    return count


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
def run_sites(net, layer, first_of_sites, neuron, drive, drive_steps, last, v, s, mute, log, log_first, fired, most, rows, rows_less,
              charge, spikes, operations, readout):
    """Run a layer's sites from number `first_of_sites` on through all steps, while the log has room.

    last: the steps in which anything can arrive; where a site is quiet after them, it stays so. most: spikes that a neuron can
    fire in a step. rows, rows_less (those of negative spikes), charge: scratch; the rest as in `run_image`. Returns (the first
    site that was not run, spikes in the log, ties).
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
        if log.size - fired < steps * channels * most:
            return site, fired, ties
        at = first_neuron + site * channels
        for step in range(last):
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
                    for i in range(first, end):
                        c, start = log[i], row
                        if c < 0:
                            start += ~c * width
                            if dense and not ordered:
                                rows_less[count_less] = start
                                count_less += 1
                                if count_less == rows_less.size:
                                    subtract_rows(charge, to, weights, rows_less, count_less, width)
                                    count_less = 0
                                continue
                            if ordered and count:
                                add_rows(charge, to, weights, rows, fill(rows, count, weights.size - width), width)
                                count = 0
                            subtract_row(charge, to + ~c // per_group * width, weights, start, width)
                            continue
                        start += c * width
                        if dense:
                            rows[count] = start
                            count += 1
                            if count == rows.size:
                                add_rows(charge, to, weights, rows, count, width)
                                count = 0
                        else:
                            add_row(charge, to + c // per_group * width, weights, start, width)
                operations[layer, step] += arrived * width
                if count:
                    add_rows(charge, to, weights, rows, fill(rows, count, weights.size - width), width)
                if count_less:
                    subtract_rows(charge, to, weights, rows_less, fill(rows_less, count_less, weights.size - width), width)
        quiet = False
        for step in range(steps):
            before, met, changed = fired, 0, 0
            for c in range(0 if quiet else channels):
                p = v[at + c]
                if step < last:
                    p += charge[step * channels + c]
                if not is_readout:
                    met += tie(neuron, layer, p, s[at + c])
                    n = emit(neuron, layer, p, s[at + c])
                    if n != 0:
                        p = settle(neuron, p, n)
                        s[at + c] += n
                        changed += 1
                        if mute[at + c] == 0:
                            for _ in range(abs(n)):
                                log[fired] = c if n > 0 else ~c
                                fired += 1
                v[at + c] = p
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
def run_pools(net, layer, first_of_sites, v, s, log, log_first, fired, most, sums, spikes, steps):
    """Max pooling, site by site: each unit sends the change of the maximum of its window's net spikes (semantics, section 10).

    sums: scratch, net spikes of the members of a window, by member and channel. v, s: the maximum. Returns as `run_sites`.
    """
    channels, q = net.channels[layer], net.into[layer]
    source_site = net.first_site[net.source[q]]
    for site in range(first_of_sites, net.sites[layer]):
        if log.size - fired < steps * channels * most:
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
    fired = log_first[cells]
    log = np.empty(fired + 4 * widest, np.int32)
    log[:fired] = given_log[:fired]
    rows, rows_less, charge = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(widest, v.dtype)
    sums = np.empty(net.largest_window, np.int64)
    per_step = most(neuron)
    for layer in range(given, layers):
        site, last = 0, last_arrival(net, layer, drive_steps, spikes, steps)
        while site < net.sites[layer]:
            if net.pools[layer]:
                site, fired = run_pools(net, layer, site, v, s, log, log_first, fired, per_step, sums, spikes, steps)
            else:
                site, fired, met = run_sites(net, layer, site, neuron, drive, drive_steps, last, v, s, mute, log, log_first, fired,
                                             per_step, rows, rows_less, charge, spikes, operations, readout)
                ties[layer] += met
            if site < net.sites[layer]:
                longer = np.empty(max(2 * log.size, fired + steps * widest * per_step), np.int32)
                longer[:fired] = log[:fired]
                log = longer
    return log[:fired], log_first
