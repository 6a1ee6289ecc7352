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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsnn.engine.clocked.layout import ProjectionTables
from eventsnn.engine.event.layout import LAYERS, PROJECTIONS, EventTables
from eventsnn.engine.hashing import spike_hashes
from eventsnn.engine.vectors import aligned
from eventsnn.exceptions import InputError, named
from eventsnn.network.linear import LinearMap
from eventsnn.network.network import INPUT, Network, Projection

BLOCK = 32  # target sites of a block, at most
CHARGES = 2**16  # their charges in all steps, at most
CHUNK = 2**18  # weights that are quantised at once

Quantise = Callable[[Projection], NDArray[Any]]


def build(network: Network, quantise: Quantise, dtype: DTypeLike, steps: int) -> ProjectionTables:
    """The projections between layers, for the clocked engine (the input's are drive, not spikes).

    network: whose projections. quantise: function of a projection that returns its blocks [K, G,
    ci, co] in the arithmetic's numbers. dtype: theirs. steps: T, which says what fits a cache.
    """
    layers = network.layers
    projections = [p for p in network.projections if p.source != INPUT]
    channels = np.array([layer.grid[0] for layer in layers], np.int64)
    sites = np.array([layer.grid[1] * layer.grid[2] for layer in layers], np.int64)
    pools = pools_of(network)
    block = np.clip(CHARGES // (channels * steps), 1, np.clip((sites + 1) // 2, 1, BLOCK))
    block[pools > 0] = 1
    targets = [p.target for p in projections]
    windows = [
        int(np.bincount(p.map.r).max()) * layers[p.target].grid[0]
        for p in projections
        if layers[p.target].pools
    ]
    tap_base, first_tap, tap_to, tap_site, tap_row = _taps(projections, block)
    partial = [p.map.exists is not None for p in projections]
    widths = [
        np.zeros(0, np.int32) if p.map.exists is None else p.map.exists.sum(3, np.int32).reshape(-1)
        for p in projections
    ]
    positive, negative = spike_hashes(int((channels * sites)[:-1].max(initial=1)))
    return ProjectionTables(
        channels=channels,
        sites=sites,
        first_neuron=_firsts(channels * sites),
        first_site=_firsts(sites),
        into=np.searchsorted(targets, np.arange(len(layers) + 1)).astype(np.int64),
        block=block,
        source=np.array([p.source for p in projections], np.int64),
        target=np.array(targets, np.int64),
        ci=np.array([p.map.weights.shape[2] for p in projections], np.int64),
        co=np.array([p.map.weights.shape[3] for p in projections], np.int64),
        at=np.array([p.map.at for p in projections], np.int64),
        tap_base=tap_base,
        first_tap=first_tap,
        tap_to=tap_to,
        tap_site=tap_site,
        tap_row=tap_row,
        weights=_weights(projections, quantise, dtype),
        widths=np.concatenate([np.zeros(0, np.int32), *widths]),
        first_width=np.where(partial, _firsts([len(of) for of in widths])[:-1], -1),
        first_row=_firsts([p.map.weights.size for p in projections])[:-1],
        pools=pools,
        pool_signs=pool_signs(network),
        largest_window=max(windows, default=0),
        hashes=np.concatenate([positive, negative[::-1]]),
    )


def _taps(
    projections: Sequence[Projection], block: NDArray[np.int64]
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]
]:
    """tap_base, first_tap, tap_to, tap_site and tap_row of ProjectionTables.

    block: int64 [L], target sites of a layer's blocks.
    """
    bases: list[int] = []
    firsts = [np.zeros(0, np.int64)]
    to = [np.zeros(0, np.int32)]
    site = [np.zeros(0, np.int32)]
    row = [np.zeros(0, np.int64)]
    base = taps = rows = 0
    for p in projections:
        at_once = block[p.target]
        order, in_block = _in_blocks(p.map, at_once)
        blocks = -(-p.map.sites[1] // at_once)
        bases.append(base)
        firsts.append(taps + np.searchsorted(in_block, np.arange(blocks + 1)))
        to.append((p.map.r[order] % at_once).astype(np.int32))
        site.append(p.map.p[order].astype(np.int32))
        row.append(rows + p.map.k[order] * p.map.weights[0].size)
        base += len(firsts[-1])
        taps += len(p.map.p)
        rows += p.map.weights.size
    return (
        np.array(bases, np.int64),
        np.concatenate(firsts),
        np.concatenate(to),
        np.concatenate(site),
        np.concatenate(row),
    )


def _in_blocks(m: LinearMap, at_once: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the order of a map's taps, the block of each), both int64 [taps].

    Taps are sorted by blocks of `at_once` target sites, and in a block of sites by their block of
    weights. Where the taps of one site would not stay in the order of source sites, their place in
    that order takes the place of the block of weights.
    """
    block = m.r // at_once
    same = m.r[1:] == m.r[:-1]
    by = m.k
    if (np.diff(by)[same] < 0).any():
        by = np.arange(len(m.r)) - np.searchsorted(m.r, m.r)
    order = np.lexsort((m.r, by, block))
    return order, block[order]


def _weights(
    projections: Sequence[Projection], quantise: Quantise, dtype: DTypeLike
) -> NDArray[Any]:
    """The blocks of all projections, one after the other, in `dtype`."""
    weights = aligned(sum(p.map.weights.size for p in projections), dtype)
    at = 0
    for p in projections:
        size = p.map.weights.size
        into = weights[at : at + size].reshape(p.map.weights.shape)
        for first, part in _in_parts(p, quantise):
            into[first : first + len(part)] = part
        at += size
    return weights


def _in_parts(projection: Projection, quantise: Quantise) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yields (number of the first, quantised blocks), some blocks of a projection at a time.

    There can be 10^8 weights.
    """
    m = projection.map
    many = max(1, CHUNK // max(m.weights[0].size, 1))
    for first in range(0, len(m.weights), many):
        some = m.some(slice(first, first + many))
        yield first, quantise(replace(projection, map=some))


def pools_of(network: Network) -> NDArray[np.uint8]:
    """uint8 [L]: 1 for layers that pool, of `network`."""
    return np.array([layer.pools for layer in network.layers], np.uint8)


def pool_signs(network: Network) -> NDArray[np.int8]:
    """int8 [neurons]: -1 for pool units that send the minimum, else 1, of `network`."""
    signs = np.ones(network.first[-1], np.int8)
    for p in network.projections:
        if network.layers[p.target].pools:
            signs[network.columns(p.target)] = np.tile(p.map.blocks[0, :, 0, 0], p.map.sites[1])
    return signs


def _firsts(sizes: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def build_events(
    network: Network, quantise: Quantise, dtype: DTypeLike, inputs: bool = False
) -> EventTables:
    """The projections by source, for the event engine.

    Weights lie by source channel, blocks in reverse order. So what a spike of a convolution brings
    to neighbouring targets is one contiguous run wherever the stride is 1.

    network, quantise, dtype: as in `build`. inputs: whether the input sends events; it stands
    behind the readout then. Raises InputError for more layers or projections than an event's code
    can name.
    """
    grids = [layer.grid for layer in network.layers] + [network.graph.input_shape]
    first = _firsts([c * h * w for c, h, w in grids])
    projections = [p for p in network.projections if p.source != INPUT]
    if inputs:
        projections += [p for p in network.projections if p.source == INPUT]
    if len(grids) > LAYERS or len(projections) >= PROJECTIONS:
        expected = f"at most {LAYERS} layers and {PROJECTIONS - 1} projections"
        found = f"{len(grids)} and {len(projections)}"
        raise InputError("event engine", expected, found, f"choose {named('engine', 'clocked')}")
    readout = len(network.layers) - 1
    channels = [c for c, _, _ in grids]
    source = [readout + 1 if p.source == INPUT else p.source for p in projections]
    sources = np.array(source, np.int64)
    out = np.argsort(sources, kind="stable").astype(np.int64)
    out_first = np.searchsorted(sources[out], np.arange(len(grids) + 1))
    rows, row_of, first_stretch, stretches = _runs(network, projections, channels, first)
    pools, sums, window_base, window_first, windows = _windows(network)
    return EventTables(
        layers=np.stack([np.array([*channels, 0], np.int64), first], axis=1),
        layer_of=np.repeat(np.arange(len(grids), dtype=np.int32), np.diff(first)),
        readout=readout,
        out=out,
        out_first=out_first.astype(np.int64),
        projections=rows,
        row_of=row_of,
        first_stretch=first_stretch,
        stretches=stretches,
        weights=_weights_by_source(projections, quantise, dtype),
        pools=pools,
        pool_signs=pool_signs(network),
        sums=sums,
        window_base=window_base,
        window_first=window_first,
        windows=windows,
    )


def _runs(
    network: Network,
    projections: Sequence[Projection],
    channels: Sequence[int],
    first: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """projections, row_of, first_stretch and stretches of EventTables.

    channels: of each layer. first: int64 [L + 2], the first neuron of each.
    """
    rows: list[tuple[int, ...]] = []
    rows_of: list[NDArray[np.int64]] = []
    firsts = [np.zeros(0, np.int64)]
    stretches = [np.zeros((0, 3), np.int64)]
    sites = count = at = rows_before = 0
    for p in projections:
        blocks, _, ci, co = p.map.weights.shape
        row_of, ranges = _rows_of(p.map)
        place, to, row, width = _stretches(p.map, ranges, channels[p.target])
        number = len(ranges)
        rows.append((p.target, ci, co, blocks * co, sites, number, rows_before))
        firsts.append(count + np.searchsorted(place, np.arange(p.map.sites[0] * number + 1)))
        stretches.append(np.stack([first[p.target] + to, at + row, width], axis=1))
        if number > 1:
            rows_of.append(row_of)
            rows_before += len(row_of)
        sites += len(firsts[-1])
        count += len(place)
        at += p.map.weights.size
    return (
        np.array(rows, np.int64).reshape(-1, 7),
        np.concatenate([np.zeros(0, np.int64), *rows_of]),
        np.concatenate(firsts).astype(np.int64),
        np.concatenate(stretches).astype(np.int64),
    )


def _rows_of(m: LinearMap) -> tuple[NDArray[np.int64], list[list[NDArray[np.int64]]]]:
    """Which source channels reach which target channels of their group.

    Returns (int64 [source channels], the number of each one's row; rows). A row has for each block
    int64 [n, 2], the stretches of target channels that exist, as first and end.
    """
    count, groups, ci, co = m.weights.shape
    if m.exists is None:
        return np.zeros(groups * ci, np.int64), [[np.array([[0, co]], np.int64)] * count]
    by_channel = m.exists.transpose(1, 2, 0, 3).reshape(groups * ci, count, co)
    different, row_of = np.unique(by_channel, axis=0, return_inverse=True)
    edges = np.diff(np.pad(different.astype(np.int8), ((0, 0), (0, 0), (1, 1))), axis=2)
    rows = [
        [np.stack([np.flatnonzero(of == 1), np.flatnonzero(of == -1)], axis=1) for of in row]
        for row in edges
    ]
    return row_of.reshape(-1).astype(np.int64), rows


def _stretches(
    m: LinearMap, rows: Sequence[Sequence[NDArray[np.int64]]], channels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(place, to, row, width) of each stretch, int64, by place and then by target.

    place: source site times the number of rows, plus the row. to: the first target neuron of its
    layer. row: where the charges begin in the weights of a source channel. rows: as in `_rows_of`.
    channels: of the target layer. Stretches that continue each other are joined.
    """
    order = np.lexsort((m.r, m.p))
    block = len(m.weights) - 1 - m.k[order]
    co, none = m.weights.shape[3], np.zeros((0, 2), np.int64)
    found: list[NDArray[np.int64]] = []
    for number, ranges in enumerate(rows):
        many = np.array([len(of_block) for of_block in ranges], np.int64)
        each = many[m.k[order]]
        tap = np.repeat(np.arange(len(order)), each)
        nth = np.arange(len(tap)) - np.repeat(np.cumsum(each) - each, each)
        part = np.concatenate([none, *ranges])[_firsts(many)[m.k[order][tap]] + nth]
        found.append(
            np.stack(
                [
                    m.p[order][tap] * len(rows) + number,
                    m.r[order][tap] * channels + m.at + part[:, 0],
                    block[tap] * co + part[:, 0],
                    part[:, 1] - part[:, 0],
                ]
            )
        )
    place, to, row, width = np.concatenate(found, axis=1)
    order = np.lexsort((to, place))
    place, to, row, width = place[order], to[order], row[order], width[order]
    goes_on = np.zeros(len(place), bool)
    goes_on[1:] = (place[1:] == place[:-1]) & (to[1:] == to[:-1] + width[:-1])
    goes_on[1:] &= row[1:] == row[:-1] + width[:-1]
    start = np.flatnonzero(~goes_on)
    before = np.concatenate([[0], np.cumsum(width)])
    return place[start], to[start], row[start], np.diff(before[np.append(start, len(place))])


def _weights_by_source(
    projections: Sequence[Projection], quantise: Quantise, dtype: DTypeLike
) -> NDArray[Any]:
    """All projections' weights in `dtype`, each by source channel, its blocks in reverse order."""
    weights = aligned(sum(p.map.weights.size for p in projections), dtype)
    at = 0
    for p in projections:
        count, groups, ci, co = p.map.weights.shape
        into = weights[at : at + p.map.weights.size].reshape(groups * ci, count, co)
        for before, part in _in_parts(p, quantise):
            n, end = len(part), count - before
            into[:, end - n : end] = part[::-1].reshape(n, groups * ci, co).transpose(1, 0, 2)
        at += p.map.weights.size
    return weights


def _windows(
    network: Network,
) -> tuple[NDArray[np.int64], int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """pools, sums, window_base, window_first and windows of EventTables."""
    pools = np.full(len(network.layers), -1, np.int64)
    bases = np.full(len(network.layers), -1, np.int64)
    firsts = [np.zeros(0, np.int64)]
    members = [np.zeros(0, np.int64)]
    base = sums = taps = 0
    for i, layer in enumerate(network.layers):
        if layer.pools:
            (p,) = network.into(i)
            pools[i] = sums
            bases[i] = base
            firsts.append(taps + np.searchsorted(p.map.r, np.arange(p.map.sites[1] + 1)))
            members.append(sums + p.map.p * layer.grid[0])
            base += len(firsts[-1])
            sums += network.layers[p.source].size
            taps += len(p.map.p)
    return (
        pools,
        sums,
        bases,
        np.concatenate(firsts).astype(np.int64),
        np.concatenate(members).astype(np.int64),
    )
