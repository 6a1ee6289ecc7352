"""The network as flat arrays: what a kernel is given.

A tap says: what site `tap_site` of the source fires reaches this target site through the block that
starts at `tap_row` in `weights`. A spike of source channel c then brings the row of `co` weights at
tap_row + c * co to the target channels (c // ci) * co, … (ci, co: channels a group). Rows are what
a processor adds fast: contiguous in memory and in the potentials. Taps of a target site are in the
order of source sites, so charges arrive in the order of source neurons. Target sites are worked on
in blocks of neighbours; in a block, taps through the same weights stand side by side where that
order allows it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventsnn.engine.clocked.layout import ProjectionTables
from eventsnn.engine.event.layout import LAYERS, PROJECTIONS, EventTables
from eventsnn.engine.vectors import aligned
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT

BLOCK, CHARGES = (
    32,
    2**16,
)  # the most target sites at once, and the most of their charges in all steps
CHUNK = 2**20  # weights that are quantised at once


def build(network, quantise, dtype, steps):
    """Flat arrays of the projections between layers (the input's are drive, not spikes).

    quantise: function (projection) -> its blocks [K, G, ci, co] in the arithmetic's `dtype`. steps:
    T, which says what fits a cache.
    """
    grids = [layer.grid for layer in network.layers]
    channels, sites = (
        np.array([g[0] for g in grids], np.int64),
        np.array([g[1] * g[2] for g in grids], np.int64),
    )
    projections = [p for p in network.projections if p.source != INPUT]
    block = np.clip(CHARGES // (channels * steps), 1, np.clip((sites + 1) // 2, 1, BLOCK))
    block[pools_of(network) > 0] = 1
    first_tap, tap_base, to, site, row = [], [], [], [], []
    weights = aligned(sum(p.map.weights.size for p in projections), dtype)
    taps = rows = 0
    for p in projections:
        blocks = p.map.weights
        tap_base.append(sum(map(len, first_tap)))
        at_once = block[p.target]
        order, in_block = _in_blocks(p.map, at_once)
        first_tap.append(
            taps + np.searchsorted(in_block, np.arange(-(-p.map.sites[1] // at_once) + 1))
        )
        to.append((p.map.r[order] % at_once).astype(np.int32))
        site.append(p.map.p[order].astype(np.int32))
        row.append(rows + p.map.k[order] * blocks[0].size)
        into = weights[rows : rows + blocks.size].reshape(blocks.shape)
        for first, part in _in_parts(p, quantise):
            into[first : first + len(part)] = part
        taps += len(p.map.p)
        rows += blocks.size
    return ProjectionTables(
        channels,
        sites,
        _firsts(channels * sites),
        _firsts(sites),
        np.searchsorted([p.target for p in projections], np.arange(len(grids) + 1)).astype(
            np.int64
        ),
        block,
        np.array([p.source for p in projections], np.int64),
        np.array([p.target for p in projections], np.int64),
        np.array([p.map.weights.shape[2] for p in projections], np.int64),
        np.array([p.map.weights.shape[3] for p in projections], np.int64),
        np.array(tap_base, np.int64),
        np.concatenate(first_tap),
        np.concatenate(to),
        np.concatenate(site),
        np.concatenate(row),
        weights,
        pools_of(network),
        max(
            [
                0,
                *(
                    int(np.bincount(p.map.r).max()) * grids[p.target][0]
                    for p in projections
                    if network.layers[p.target].pools
                ),
            ]
        ),
    )


def _in_blocks(map, at_once):
    """(the order of a map's taps, the block of each): by blocks of so many target sites, in them by
    block of weights, or where the taps of one site would not stay in the order of source sites, by
    their place in it.
    """
    block, same = map.r // at_once, map.r[1:] == map.r[:-1]
    by = map.k
    if (np.diff(by)[same] < 0).any():
        by = np.arange(len(map.r)) - np.searchsorted(map.r, map.r)
    order = np.lexsort((map.r, by, block))
    return order, block[order]


def _in_parts(projection, quantise):
    """Yield (number of the first, blocks) for some of a projection's quantised blocks at a time, as
    there can be 10^8 weights.
    """
    weights = projection.map.weights
    many = max(1, CHUNK // max(weights[0].size, 1))
    for first in range(0, len(weights), many):
        yield (
            first,
            quantise(replace(projection, map=projection.map.some(slice(first, first + many)))),
        )


def pools_of(network):
    """uint8 [L]: 1 for layers that pool."""
    return np.array([layer.pools for layer in network.layers], np.uint8)


def _firsts(sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def build_events(network, quantise, dtype, inputs=False):
    """The same projections by source, for the event engine.

    Weights lie by source channel, blocks in reverse order, so that what a spike of a convolution
    brings to neighbouring targets is one contiguous run wherever the stride is 1. inputs: whether
    the input sends events; it stands behind the readout then.
    """
    grids = [layer.grid for layer in network.layers] + [network.graph.input_shape]
    first = _firsts([c * h * w for c, h, w in grids])
    projections = [p for p in network.projections if p.source != INPUT]
    projections += [p for p in network.projections if p.source == INPUT and inputs]
    if len(grids) > LAYERS or len(projections) >= PROJECTIONS:
        raise InputError(
            "event engine",
            f"at most {LAYERS} layers and {PROJECTIONS - 1} projections",
            f"{len(grids)} and {len(projections)}",
            "choose --engine clocked",
        )
    rows, first_run, runs = [], [], []
    weights = aligned(sum(p.map.weights.size for p in projections), dtype)
    at = 0
    for p in projections:
        count, groups, ci, co = p.map.weights.shape
        channels = grids[p.target][0]
        order = np.lexsort((p.map.r, p.map.p))
        source, target, block = p.map.p[order], p.map.r[order], count - 1 - p.map.k[order]
        joined = np.zeros(len(order), bool)  # does a tap continue the run of the one before it?
        if groups == 1 and not network.layers[p.target].pools:
            joined[1:] = (
                (source[1:] == source[:-1]) & (np.diff(target) == 1) & (np.diff(block) == 1)
            )
        start = np.flatnonzero(~joined)
        length = np.diff(np.append(start, len(order)))
        rows.append((p.target, ci, co, count * co, sum(map(len, first_run))))
        first_run.append(
            sum(map(len, runs)) + np.searchsorted(source[start], np.arange(p.map.sites[0] + 1))
        )
        runs.append(
            np.stack(
                [first[p.target] + target[start] * channels, at + block[start] * co, length * co],
                axis=1,
            )
        )
        into = weights[at : at + p.map.weights.size].reshape(groups * ci, count, co)
        for before, part in _in_parts(p, quantise):
            n, end = len(part), count - before
            into[:, end - n : end] = part[::-1].reshape(n, groups * ci, co).transpose(1, 0, 2)
        at += p.map.weights.size
    readout = len(network.layers) - 1
    sources = np.array(
        [readout + 1 if p.source == INPUT else p.source for p in projections], np.int64
    )
    out = np.argsort(sources, kind="stable").astype(np.int64)
    layers = np.stack([np.array([c for c, _, _ in grids] + [0], np.int64), first], axis=1)
    return EventTables(
        layers,
        np.repeat(np.arange(len(grids), dtype=np.int32), np.diff(first)),
        readout,
        out,
        np.searchsorted(sources[out], np.arange(len(grids) + 1)).astype(np.int64),
        np.array(rows, np.int64),
        np.concatenate(first_run).astype(np.int64),
        np.concatenate(runs).astype(np.int64),
        weights,
        *_windows(network),
    )


def _windows(network):
    """pools, sums, window_base, window_first and windows of EventTables."""
    pools, base = (np.full(len(network.layers), -1, np.int64) for _ in range(2))
    firsts, members, sums, taps = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0, 0
    for i, layer in enumerate(network.layers):
        if layer.pools:
            (p,) = network.into(i)
            pools[i], base[i] = sums, sum(map(len, firsts))
            firsts.append(taps + np.searchsorted(p.map.r, np.arange(p.map.sites[1] + 1)))
            members.append(sums + p.map.p * layer.grid[0])
            sums += network.layers[p.source].size
            taps += len(p.map.p)
    return (
        pools,
        sums,
        base,
        np.concatenate(firsts).astype(np.int64),
        np.concatenate(members).astype(np.int64),
    )
