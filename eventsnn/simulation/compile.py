"""The network as flat arrays: what a kernel is given.

A tap says: what site `tap_site` of the source fires reaches this target site through the block that
starts at `tap_row` in `weights`. A spike of source channel c then brings the row of `co` weights at
tap_row + c * co to the target channels (c // ci) * co, … (ci, co: channels a group). Rows are what
a processor adds fast: contiguous in memory and in the potentials. Taps of a target site are in the
order of source sites, so charges arrive in the order of source neurons. Target sites are worked on
in blocks of neighbours; in a block, taps through the same weights stand side by side where that
order allows it.

Of a projection with few weights they lie by source channel, as in `build_events`: its rows are
`stride` apart, and taps of one source site to neighbouring target sites are one tap with a longer
row. Taps of the same source site stand side by side there, so that what is known of its spikes
serves all of them.
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
NARROW = 2**16  # weights of a projection that stay in a near cache, whatever their order
NARROW_BLOCK = 256  # as BLOCK, where all projections into a layer are narrow
CHARGES = 2**16  # their charges in all steps, at most
CHUNK = 2**18  # weights that are quantised at once

Quantise = Callable[[Projection], NDArray[Any]]


def build(
    network: Network, quantise: Quantise, dtype: DTypeLike, steps: int, narrow: int = NARROW
) -> ProjectionTables:
    """The projections between layers, for the clocked engine (the input's are drive, not spikes).

    network: whose projections. quantise: function of a projection that returns its blocks [K, G,
    ci, co] in the arithmetic's numbers. dtype: theirs. steps: T, which says what fits a cache.
    narrow: the most weights that lie by source channel.
    """
    layers = network.layers
    projections = [p for p in network.projections if p.source != INPUT]
    channels = np.array([layer.grid[0] for layer in layers], np.int64)
    sites = np.array([layer.grid[1] * layer.grid[2] for layer in layers], np.int64)
    pools = pools_of(network)
    by_source = [
        p.map.weights.size <= narrow and _joins(p.map, layers[p.target].grid[0])
        for p in projections
    ]
    wide = {
        p.target for p, by in zip(projections, by_source) if not by and p.map.weights[0, 0].size > 1
    }
    longest = [BLOCK if layer in wide else NARROW_BLOCK for layer in range(len(layers))]
    block = np.clip(CHARGES // (channels * steps), 1, np.clip((sites + 1) // 2, 1, longest))
    block[pools > 0] = 1
    targets = [p.target for p in projections]
    windows = [
        int(np.bincount(p.map.r).max()) * layers[p.target].grid[0]
        for p in projections
        if layers[p.target].pools
    ]
    tap_base, first_tap, tap_to, tap_site, tap_row, tap_width = _taps(projections, block, by_source)
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
        stride=np.array(
            [
                p.map.weights.shape[3] * (len(p.map.weights) if by else 1)
                for p, by in zip(projections, by_source)
            ],
            np.int64,
        ),
        at=np.array([p.map.at for p in projections], np.int64),
        tap_base=tap_base,
        first_tap=first_tap,
        tap_to=tap_to,
        tap_site=tap_site,
        tap_row=tap_row,
        tap_width=tap_width,
        weights=_weights(projections, quantise, dtype, by_source),
        widths=np.concatenate([np.zeros(0, np.int32), *widths]),
        first_width=np.where(partial, _firsts([len(of) for of in widths])[:-1], -1),
        first_row=_firsts([p.map.weights.size for p in projections])[:-1],
        pools=pools,
        pool_signs=pool_signs(network),
        largest_window=max(windows, default=0),
        hashes=np.concatenate([positive, negative[::-1]]),
    )


def _joins(m: LinearMap, channels: int) -> bool:
    """Whether rows to neighbouring sites may be joined: weights by source channel pay.

    A site's charges arrive in the same order then. channels: of the target layer.
    """
    blocks, groups, _, co = m.weights.shape
    pairs = m.p.astype(np.int64) * m.sites[1] + m.r
    return (
        blocks > 1
        and groups == 1
        and co == channels
        and m.exists is None
        and len(np.unique(pairs)) == len(pairs)
    )


def _taps(
    projections: Sequence[Projection], block: NDArray[np.int64], by_source: Sequence[bool]
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int64],
    NDArray[np.int32],
]:
    """tap_base, first_tap, tap_to, tap_site, tap_row and tap_width of ProjectionTables.

    block: int64 [L], target sites of a layer's blocks. by_source: of each projection, whether its
    weights lie by source channel.
    """
    bases: list[int] = []
    firsts = [np.zeros(0, np.int64)]
    to = [np.zeros(0, np.int32)]
    site = [np.zeros(0, np.int32)]
    row = [np.zeros(0, np.int64)]
    width = [np.zeros(0, np.int32)]
    base = taps = rows = 0
    for p, by in zip(projections, by_source):
        at_once = block[p.target]
        find = _joined if by else _in_blocks
        in_block, r, source, begins, wide = find(p.map, at_once)
        blocks = -(-p.map.sites[1] // at_once)
        bases.append(base)
        firsts.append(taps + np.searchsorted(in_block, np.arange(blocks + 1)))
        to.append((r % at_once).astype(np.int32))
        site.append(source.astype(np.int32))
        row.append(rows + begins)
        width.append(wide.astype(np.int32))
        base += len(firsts[-1])
        taps += len(r)
        rows += p.map.weights.size
    return (
        np.array(bases, np.int64),
        np.concatenate(firsts),
        np.concatenate(to),
        np.concatenate(site),
        np.concatenate(row),
        np.concatenate(width),
    )


def _in_blocks(m: LinearMap, at_once: int) -> tuple[NDArray[Any], ...]:
    """Of each tap: its block, target and source site, where its rows begin, and how wide they are.

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
    width = np.full(len(order), m.weights.shape[3])
    return block[order], m.r[order], m.p[order], m.k[order] * m.weights[0].size, width


def _joined(m: LinearMap, at_once: int) -> tuple[NDArray[Any], ...]:
    """As `_in_blocks`, where weights lie by source channel, blocks in reverse order.

    Taps are sorted by blocks of target sites, then by source and by target site. Those that go on
    where the one before ends, in targets as in weights, are one.
    """
    block, co = m.r // at_once, m.weights.shape[3]
    order = np.lexsort((m.r, m.p, block))
    block, r, source = block[order], m.r[order], m.p[order]
    row = (len(m.weights) - 1 - m.k[order]) * co
    goes_on = (np.diff(block) == 0) & (np.diff(source) == 0)
    goes_on &= (np.diff(r) == 1) & (np.diff(row) == co)
    first = np.flatnonzero(np.append(True, ~goes_on))
    width = np.diff(np.append(first, len(order))) * co
    return block[first], r[first], source[first], row[first], width


def _weights(
    projections: Sequence[Projection],
    quantise: Quantise,
    dtype: DTypeLike,
    by_source: Sequence[bool],
) -> NDArray[Any]:
    """The blocks of all projections, one after the other, in `dtype`.

    by_source: of each, whether they lie by source channel, in reverse order.
    """
    weights = aligned(sum(p.map.weights.size for p in projections), dtype)
    at = 0
    for p, by in zip(projections, by_source):
        size = p.map.weights.size
        count, groups, ci, co = p.map.weights.shape
        into = weights[at : at + size]
        for first, part in _in_parts(p, quantise):
            if by:
                n, end = len(part), count - first
                rows = part[::-1].reshape(n, groups * ci, co).transpose(1, 0, 2)
                into.reshape(groups * ci, count, co)[:, end - n : end] = rows
            else:
                into.reshape(p.map.weights.shape)[first : first + len(part)] = part
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
        weights=_weights(projections, quantise, dtype, [True] * len(projections)),
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
