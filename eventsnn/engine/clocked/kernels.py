"""The clocked engine: the papers' own time, layer by layer through all steps of one image.

In clocked time nothing flows backwards, so a layer can run through all its steps before the next
layer starts: its potentials stay in cache and each weight is fetched once for many steps. A layer
runs block by block of neighbouring sites: their charges arrive (`arriving`), and they fire
(`firing`).
"""

from __future__ import annotations

import numpy as np

from eventsnn.engine.bound import call
from eventsnn.engine.clocked.arriving import arrive
from eventsnn.engine.jit import inner_kernel, kernel
from eventsnn.engine.vectors import PACKED, give_way, load, store


@inner_kernel
def run_block(net, work, fires, layer, block, last, fired):
    """Runs a layer's block of sites through all steps; the log has room for all their spikes.

    net, work, fires: as in `run_layers`. layer, block: numbers of the layer and of its block. last:
    the steps in which anything can arrive. fired: where the next spike goes in the log. Returns
    (where the next spike goes, ties, the potentials' largest size: see `firing.size_of`).
    """
    drive, charge = work.drive, work.charge
    steps, channels = work.readout.shape[0], net.channels[layer]
    begin, end = block * net.block[layer], min((block + 1) * net.block[layer], net.sites[layer])
    first, count = np.uint64(net.first_neuron[layer] + begin * channels), (end - begin) * channels
    for step in range(steps):
        given, to = min(step, drive.shape[0] - 1), np.uint64(step * count)
        if step < work.driven:
            for c in range(np.uint64(count)):
                charge[to + c] = drive[given, first + c]
        else:
            charge[to : to + np.uint64(count)] = 0
    arrive(net, work, layer, block, count, last)
    return call(
        fires, net, work, np.int64(layer), np.int64(begin), np.int64(end), np.int64(last), fired
    )


@inner_kernel
def run_pool(net, work, layer, site, fired):
    """Runs max pooling at one site through all steps (semantics, section 10).

    Each unit sends the change of the maximum, or minimum, of its window's net spikes.

    layer, site: numbers of the layer and of its site; the potentials and the net spikes of its
    units are both that maximum or minimum. The others as in `run_block`. Returns where the next
    spike goes.
    """
    v, s, log, begins, back, sums = (
        work.v,
        work.s,
        work.log,
        work.begins,
        work.back,
        work.sums,
    )
    spikes = work.spikes[work.part, layer]
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
    spikes of a neuron in a step. log: as in `Work`. begins: likewise, of the layer's sites.
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
def run_layers(net, work, fires):
    """Simulates one image in clocked time, or of each layer one part of its sites.

    Others call this with the same arrays for the other parts. There are work.readout.shape[0]
    steps.

    net: ProjectionTables. work: Work. fires: `firing.run_sites_bound` with a model bound to it.
    Returns whether the log had room and no potential reached the limit.
    """
    log, begins, done = work.log, work.begins, work.done
    given, part, at_most = work.given, work.part, work.at_most
    parts, layers, steps = work.spikes.shape
    share = log.size // parts
    fired, end = share * part, share * (part + 1)
    if given:
        fired = begins[net.first_site[given] - 1, steps]
    for layer in range(given, layers):
        blocks = -(-net.sites[layer] // net.block[layer])
        # what a block brings, and one that is written over
        room = net.block[layer] * steps * net.channels[layer] * at_most + PACKED
        last = last_arrival(net, layer, work.drive_steps, work.spikes)
        for block in range(blocks * part // parts, blocks * (part + 1) // parts):
            if end - fired < room:
                store(done, parts, 1)
                return False
            if net.pools[layer]:
                fired = run_pool(net, work, layer, block, fired)
            else:
                fired, met, size = run_block(net, work, fires, layer, block, last, fired)
                work.ties[part, layer] += met
                work.reached[part] = max(work.reached[part], size)
                if work.reached[part] >= work.limit:
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
            work.so_far,
            work.digests[part, layer],
        )
        store(done, part, layer + 1)
        for other in range(parts):
            while load(done, other) <= layer:
                if load(done, parts):
                    return False
                give_way()
    return True
