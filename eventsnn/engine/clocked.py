"""The clocked engine: the papers' own time, layer by layer through all steps of one image.

In clocked time nothing flows backwards, so a layer can run through all its steps before the next
layer starts: its potentials stay in cache and each weight is fetched once for many steps. Work
follows spikes, tap by tap: what all spikes of one source site and step bring to one target site is
added up in registers, and a block of neighbouring targets shares the weights of a tap.
"""
from __future__ import annotations

import numpy as np

from eventsnn.engine.vectors import add_rows, subtract_rows
from eventsnn.jit import inner_kernel, kernel
from eventsnn.neurons.contract import emit, most, settle, tie


@inner_kernel
def add_spikes(charge, to, weights, row, width, per_group, dense, log, first, end):
    """Add to charge[to:] what the spikes log[first:end] of one source site bring to one target site, in turn."""
    while first < end:
        negative, last = log[first] < 0, first + 1
        while dense and last < end and (log[last] < 0) == negative:
            last += 1
        at = to if dense else to + (~log[first] if negative else log[first]) // per_group * width
        if negative:
            subtract_rows(charge, at, weights, row, width, log, first, last)
        else:
            add_rows(charge, at, weights, row, width, log, first, last)
        first = last


@inner_kernel
def run_block(net, layer, block, neuron, drive, drive_steps, last, v, s, mute, log, log_first, back, out, fired, charge, emitted, spikes,
              operations, readout):
    """Run a layer's block of sites through all steps; `out` has room for all their spikes.

    last: the steps in which anything can arrive; where a site is quiet after them, it stays so. back: uint8, whether a site and step
    has negative spikes. out: where spikes are written, from `fired` on. charge, emitted: scratch; the rest as in `run_layers`. Returns
    (spikes in `out`, ties).
    """
    steps, channels = readout.shape[0], net.channels[layer]
    first_site, weights = net.first_site[layer], net.weights
    is_readout = layer == net.sites.size - 1
    begin, end = block * net.block[layer], min((block + 1) * net.block[layer], net.sites[layer])
    for site in range(begin, end):
        at, to = net.first_neuron[layer] + site * channels, np.uint64((site - begin) * steps * channels)
        for step in range(steps):
            given = min(step, drive.shape[0] - 1)
            for c in range(np.uint64(channels)):
                charge[to + c] = drive[given, np.uint64(at) + c] if step < drive_steps else 0
            to += np.uint64(channels)
    for q in range(net.into[layer], net.into[layer + 1]):
        width, per_group, source = net.co[q], net.ci[q], net.source[q]
        dense = per_group == net.channels[source]
        for tap in range(net.first_tap[net.tap_base[q] + block], net.first_tap[net.tap_base[q] + block + 1]):
            row, to = net.tap_row[tap], net.tap_to[tap] * steps * channels
            cell = (net.first_site[source] + net.tap_site[tap]) * steps
            first = log_first[cell]
            for step in range(last):
                after = log_first[cell + step + 1]
                if first < after:
                    if dense and not back[cell + step]:
                        add_rows(charge, to + step * channels, weights, row, width, log, first, after)
                    else:
                        add_spikes(charge, to + step * channels, weights, row, width, per_group, dense, log, first, after)
                    operations[layer, step] += (after - first) * width
                first = after
    ties = 0
    for site in range(begin, end):
        at, cell, so_far = net.first_neuron[layer] + site * channels, (first_site + site) * steps, (site - begin) * steps * channels
        first_here, quiet = np.uint64(at), False
        for step in range(steps):
            before, met, changed, taken_back, to = fired, 0, 0, 0, so_far + step * channels
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
                    out[np.uint64(fired)] = c ^ (emitted[c] >> 31)
                    fired += emitted[c] != 0
            elif changed:
                for c in range(channels):
                    for _ in range(abs(emitted[c])):
                        out[fired] = c if emitted[c] > 0 else ~c
                        fired += 1
            back[cell + step] = taken_back > 0
            ties += met
            if step >= last and changed == 0 and not quiet:  # so it goes on, and meets the same thresholds in every step
                quiet = True
                ties += met * (steps - 1 - step)
            if is_readout:
                for c in range(channels):
                    readout[step, site * channels + c] = v[at + c]
            spikes[layer, step] += fired - before
            log_first[cell + step + 1] = fired
    return fired, ties


@inner_kernel
def run_pool(net, layer, site, v, s, log, log_first, back, out, fired, sums, spikes, steps):
    """Max pooling at one site: each unit sends the change of the maximum of its window's net spikes (semantics, section 10).

    sums: scratch, net spikes of the members of a window, by member and channel. v, s: the maximum. Returns the number of
    spikes in `out`.
    """
    channels, q = net.channels[layer], net.into[layer]
    source_site = net.first_site[net.source[q]]
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
                out[fired] = c if n > 0 else ~c
                fired += 1
            back[(net.first_site[layer] + site) * steps + step] |= n < 0
            s[at + c] = v[at + c] = highest
        spikes[layer, step] += fired - before
        log_first[(net.first_site[layer] + site) * steps + step + 1] = fired
    return fired


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
def run_layers(net, neuron, drive, drive_steps, v, s, mute, spikes, operations, ties, readout, log, log_first, back, charge, first, end,
               part, parts):
    """Simulate one image in clocked time for readout.shape[0] steps: layers `first` to `end` - 1, or of one layer the sites of
    one part of `parts`.

    net: ProjectionTables. neuron: a model. drive: [D, neurons]; step t < drive_steps takes row min(t, D - 1).
    v: potentials [neurons], s: net spikes int64 [neurons], 0 at first, both read and written. mute: uint8
    [neurons], 1 where spikes are neither sent nor counted. spikes, operations: int64 [L, T] (operations by target layer), ties:
    int64 [L], readout: [T, classes], the charge that has arrived so far; spikes, operations and ties are added to.
    log, log_first: int32, int64: the spikes of site number p (over all layers) in step t are
    log[log_first[p * T + t]:log_first[p * T + t + 1]], as channels c, or ~c where negative; there are those of the layers before.
    back: uint8 [sites * T], whether any is negative. charge: scratch, `net.charges` numbers. Returns the log with the spikes of these
    layers (and room); of a part, its spikes alone, and log_first counts from 0 in its sites.
    """
    steps = readout.shape[0]
    emitted, sums = np.empty(net.channels.max(), np.int32), np.empty(net.largest_window, np.int64)
    out = log if parts == 1 else np.empty(0, np.int32)
    fired = 0
    for layer in range(first, end):
        blocks = -(-net.sites[layer] // net.block[layer])
        fired = log_first[net.first_site[layer] * steps] if parts == 1 else 0
        room = net.block[layer] * steps * net.channels[layer] * most(neuron) + 1  # what a block can bring, and one that is written over
        last = last_arrival(net, layer, drive_steps, spikes, steps)
        for block in range(blocks * part // parts, blocks * (part + 1) // parts):
            if out.size - fired < room:
                longer = np.empty(max(2 * out.size, fired + room), np.int32)
                longer[:fired] = out[:fired]
                out = longer
            if net.pools[layer]:
                fired = run_pool(net, layer, block, v, s, log, log_first, back, out, fired, sums, spikes, steps)
            else:
                fired, met = run_block(net, layer, block, neuron, drive, drive_steps, last, v, s, mute, log, log_first, back, out, fired,
                                       charge, emitted, spikes, operations, readout)
                ties[layer] += met
        log = out if parts == 1 else log
    return out if parts == 1 else out[:fired]
