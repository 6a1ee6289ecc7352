"""Linear maps between layers, as sparse sums of shared weight blocks.

Between two layers there may be any composition of linear operators. Each of them, and so each
composition, moves charge from a source site (a position y, x) to a target site through one of a few
weight blocks over channels. A `LinearMap` is the list of (source site, target site, block number)
and the blocks themselves: a 3x3 convolution has 9 blocks whatever the size of the image, average
pooling and BatchNormalization have one, a Gemm behind a Flatten has one for each position.
Composition multiplies blocks, so BatchNormalization folds itself (TCL eq. 7), pooling disappears
into the weights behind it, and at zero-padded borders everything stays exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Node
from eventsnn.ann.operators import IDENTITIES, resize_indices, spatial_pads, window_of
from eventsnn.ann.windows import Window, pool_signs
from eventsnn.exceptions import InputError

MAX_PAIRS = 2**26
AT_ONCE = 2**26  # bytes of blocks that are multiplied at once
COLUMNS = 32  # of blocks that do not lie row by row, that are multiplied at once

Grid = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True, repr=False)
class LinearMap:
    """target[r, :] = sum over taps of source[p, :] @ blocks[k], block-diagonal in G groups.

    sites: how many (source sites, target sites) there are. p, r, k: source site, target site and
    block of each tap, int64 [taps], sorted by (r, p), each (r, p) once. weights: [K, G, ci, co],
    the blocks themselves where factor is None; else a network's own weights in float32. factor:
    what these are multiplied with, in float64, when the blocks are asked for. exists: bool [K, G,
    ci, co], where a block has synapses, of weight 0 too (semantics, section 11); None: everywhere.
    at, total: the blocks reach the target's channels from `at` on, of `total` (0: they are all), as
    those of one branch of a Concat do.
    Sites are counted row by row; channels are the last axis on both sides.
    """

    sites: tuple[int, int]
    p: NDArray[np.int64]
    r: NDArray[np.int64]
    k: NDArray[np.int64]
    weights: NDArray[Any]
    factor: float | None = None
    exists: NDArray[np.bool_] | None = None
    at: int = 0
    total: int = 0

    @property
    def columns(self) -> slice:
        """The target's channels that the blocks reach."""
        return slice(self.at, self.at + self.weights.shape[1] * self.weights.shape[3])

    def whole(self) -> LinearMap:
        """The same map, whose blocks have all channels of the target."""
        return self._within(0, self.channels[1])

    def _within(self, first: int, end: int) -> LinearMap:
        """The same map, whose blocks reach the target's channels from `first` to `end`."""
        if self.columns == slice(first, end):
            return self if self.at or end < self.channels[1] else replace(self, total=0)
        blocks, exists = regroup(self.blocks, 1), regroup(_exists(self), 1) > 0
        columns = slice(self.columns.start - first, self.columns.stop - first)
        shape = (*blocks.shape[:3], end - first)
        wide, there = np.zeros(shape), np.zeros(shape, bool)
        wide[..., columns], there[..., columns] = blocks, exists
        all_of_it = first == 0 and end == self.channels[1]
        return replace(
            self,
            weights=wide,
            factor=None,
            exists=_all_or_some(there),
            at=first,
            total=0 if all_of_it else self.total,
        )

    @property
    def blocks(self) -> NDArray[Any]:
        """The blocks that the taps share, float64 [K, G, ci, co]."""
        return self._multiplied(self.weights)

    def _multiplied(self, weights: NDArray[Any]) -> NDArray[Any]:
        if self.factor is None:
            return weights
        found = np.empty(weights.shape)
        # a graph's own weights lie otherwise: some columns at a time come from few lines of memory
        near = weights.strides[-1] == weights.itemsize
        many = weights.shape[-1] if near else COLUMNS
        for first in range(0, weights.shape[-1], max(1, many)):
            columns = slice(first, first + many)
            np.multiply(weights[..., columns], self.factor, found[..., columns], dtype=np.float64)
        return found

    def __repr__(self) -> str:
        count, groups, ci, co = self.weights.shape
        return (
            f"<LinearMap from {self.sites[0]:,} sites to {self.sites[1]:,}: {len(self.p):,} taps "
            f"through {count:,} blocks of {groups} x {ci} x {co}>"
        )

    def some(self, which: slice) -> LinearMap:
        """A map with some of the blocks, for its `blocks` and `weights` alone.

        which: the blocks' numbers. The taps stay as they are and no longer fit the blocks.
        """
        exists = None if self.exists is None else self.exists[which]
        return replace(self, weights=self.weights[which], exists=exists)

    @property
    def synapses(self) -> int:
        """How many weights its taps have, those left out that do not exist."""
        if self.exists is None:
            return len(self.k) * math.prod(self.weights.shape[1:])
        return int(self.exists.sum(axis=(1, 2, 3))[self.k].sum())

    @property
    def channels(self) -> tuple[int, int]:
        """(source channels, target channels)."""
        _, groups, ci, co = self.weights.shape
        return groups * ci, self.total or groups * co

    def __call__(self, x: NDArray[Any], quick: bool = False) -> NDArray[Any]:
        """What arrives at the targets, [N, target sites, target channels], in the blocks' dtype.

        x: [N, source sites, source channels]. quick: one product an image in place of one a site,
        which a library may round otherwise.
        """
        count, groups, ci, co = self.weights.shape
        dtype = self.weights.dtype if self.factor is None else np.float64
        whole = np.zeros((len(x), self.sites[1], self.channels[1]), dtype)
        out = whole[..., self.columns]
        order = np.argsort(self.k, kind="stable")
        bounds = np.searchsorted(self.k[order], np.arange(count + 1))
        for k in range(count):
            taps = order[bounds[k] : bounds[k + 1]]
            moved = _moved(x[:, self.p[taps]], self._multiplied(self.weights[k]), quick)
            r = self.r[taps]  # sorted, as taps keep their order
            if len(r) and (r[1:] != r[:-1]).all():
                out[:, r] += moved
            else:
                np.add.at(out.swapaxes(0, 1), r, moved.swapaxes(0, 1))
        return whole

    def normalised(self, source: float | NDArray[Any], target: float | NDArray[Any]) -> LinearMap:
        """Each weight times its source's threshold, divided by its target's (DNISNM eq. 18).

        source, target: the thresholds, a float for all neurons, or float64 [sites, C]; 0 stands for
        a neuron that never fires: it gets no charge and gives none.

        With arrays no two synapses share a weight any more, so the map has as many blocks as taps.
        They stand source by source, and of one source from the last target to the first. The event
        engine stores blocks in reverse, so neighbouring targets of a source make one stretch.
        """
        if isinstance(source, float) and isinstance(target, float):
            factor = source / target
            if self.factor is None:
                return replace(self, weights=self.weights * factor)
            return replace(self, factor=self.factor * factor)
        count = len(self.p)
        _, groups, ci, co = self.weights.shape
        order = np.lexsort((-self.r, self.p))
        k = np.empty(count, np.int64)
        k[order] = np.arange(count)
        blocks = self.blocks[self.k[order]]  # the only large array: the rest happens in place
        if isinstance(source, float):
            blocks *= source
        else:
            blocks *= source[self.p[order]].reshape(count, groups, ci, 1)
        if isinstance(target, float):
            blocks /= target
        else:
            reached = np.where(target, target, np.inf)[self.r[order], self.columns]
            blocks /= reached.reshape(count, groups, 1, co)
        exists = None if self.exists is None else self.exists[self.k[order]]
        return replace(self, k=k, weights=blocks, factor=None, exists=exists)

    def dense(self) -> NDArray[Any]:
        """The whole matrix, float64 [source neurons, target neurons], neurons site by site."""
        c, d = self.channels
        sources, targets = self.sites
        matrix = np.zeros((sources, c, targets, d))
        full = regroup(self.blocks, 1)[:, 0]
        for p, r, k in zip(self.p, self.r, self.k):
            matrix[p, :, r, self.columns] = full[k]
        return matrix.reshape(sources * c, targets * d)


def add_taps(m: LinearMap, charges: NDArray[Any], into: NDArray[Any]) -> None:
    """Adds what each tap's block brings to the tap's target, one tap of a target after the other.

    m: the map. charges: [K, C] or [K], of each block. into: [target sites, C] or [target sites],
    changed in place.
    """
    starts = np.searchsorted(m.r, np.arange(m.sites[1] + 1))
    taps = np.diff(starts)
    for nth in range(taps.max(initial=0)):
        sites = np.flatnonzero(taps > nth)
        into[sites] += charges[m.k[starts[sites] + nth]]


def _moved(part: NDArray[Any], block: NDArray[Any], quick: bool) -> NDArray[Any]:
    """What source sites [N, sites, C] send through a block [G, ci, co], [N, sites, G co].

    quick: as in `LinearMap`.
    """
    count, sites, _ = part.shape
    groups, ci, co = block.shape
    if quick and groups == 1:
        return part @ block[0]
    by_group = part.reshape(count, sites, groups, ci)
    if ci == 1:
        moved = by_group * block[:, 0]
    else:
        moved = (by_group[..., None, :] @ block)[..., 0, :]
    return moved.reshape(count, sites, groups * co)


def make_map(
    sites: tuple[int, int],
    p: NDArray[Any],
    r: NDArray[Any],
    k: NDArray[Any],
    blocks: NDArray[Any],
    exists: NDArray[np.bool_] | None = None,
) -> LinearMap:
    """A LinearMap from taps in any order; taps that share (r, p) are added up.

    sites: (source sites, target sites). p, r, k: source site, target site and block of each tap,
    whole numbers [taps]. blocks: [K, G, ci, co]. exists: as in `LinearMap`. A block that no tap
    uses is left out.
    """
    order = np.lexsort((k, p, r))
    p = np.asarray(p, np.int64)[order]
    r = np.asarray(r, np.int64)[order]
    k = np.asarray(k, np.int64)[order]
    first = np.ones(len(p), bool)
    first[1:] = (p[1:] != p[:-1]) | (r[1:] != r[:-1])
    if first.all():
        used, k = np.unique(k, return_inverse=True)
        if len(used) < len(blocks):
            blocks = blocks[used]
            exists = None if exists is None else exists[used]
        return LinearMap(sites, p, r, k.reshape(-1), blocks, exists=exists)
    start = np.flatnonzero(first)
    size = np.diff(np.append(start, len(p)))
    members = np.full((len(start), size.max()), -1, np.int64)
    group = np.cumsum(first) - 1
    members[group, np.arange(len(p)) - start[group]] = k
    sums, k = np.unique(members, axis=0, return_inverse=True)
    summed = np.stack([blocks[row[row >= 0]].sum(axis=0) for row in sums])
    if exists is not None:
        exists = np.stack([exists[row[row >= 0]].any(axis=0) for row in sums])
    return LinearMap(sites, p[start], r[start], k.reshape(-1), summed, exists=exists)


def regroup(blocks: NDArray[Any], groups: int) -> NDArray[Any]:
    """The same block-diagonal matrices in fewer groups.

    blocks: [K, G, ci, co]. groups: a divisor of G. Returns float64 [K, groups, G / groups * ci,
    G / groups * co], or `blocks` themselves where they have so many groups.
    """
    count, old, ci, co = blocks.shape
    if old == groups:
        return blocks
    ratio = old // groups
    wide = np.zeros((count, groups, ratio, ci, ratio, co))
    parts = blocks.reshape(count, groups, ratio, ci, co)
    for i in range(ratio):
        wide[:, :, i, :, i, :] = parts[:, :, i]
    return wide.reshape(count, groups, ratio * ci, ratio * co)


def compose(first: LinearMap, then: LinearMap) -> LinearMap:
    """The map that applies `first` and then `then`.

    Raises InputError where they would have more than 2^26 pairs of taps.
    """
    if first.total or then.total:
        return _composed_parts(first, then)
    if _is_identity(first):
        return then
    starts = np.searchsorted(first.r, np.arange(first.sites[1] + 1))
    fan_in = np.diff(starts)[then.p]
    total = int(fan_in.sum())
    if total > MAX_PAIRS:
        raise InputError(
            "linear path",
            f"at most {MAX_PAIRS:,} pairs of taps where two linear operators meet",
            f"{total:,}",
            "put an activation between them",
        )
    b = np.repeat(np.arange(len(then.p)), fan_in)
    a = starts[then.p][b] + np.arange(total) - np.repeat(np.cumsum(fan_in) - fan_in, fan_in)
    sites = (first.sites[0], then.sites[1])
    if (scale := _exact_scale(first)) and then.factor is not None and then.exists is None:
        found = make_map(sites, first.p[a], then.r[b], then.k[b], then.weights)
        if len(found.p) == total:  # no taps were added up
            return replace(found, factor=then.factor * scale)
    pair = first.k[a] * len(then.weights) + then.k[b]
    used, pair = np.unique(pair, return_inverse=True)
    i, j = np.divmod(used, len(then.weights))
    blocks = _products(first.blocks, then.blocks, i, j)
    exists = _paths(first, then, i, j)
    return make_map(sites, first.p[a], then.r[b], pair.reshape(-1), blocks, exists)


def _composed_parts(first: LinearMap, then: LinearMap) -> LinearMap:
    """`compose` where one of both reaches some of its target's channels only."""
    at, total = then.at, then.total
    then = replace(then, at=0, total=0)
    if first.total:
        if then.weights.shape[1] == 1:
            then = _cut(then, 2, first.columns)
        elif then.weights.shape[2:] == (1, 1):  # a scaling leaves channels where they are
            then, at, total = _cut(then, 1, first.columns), first.at, first.total
        else:
            first = first.whole()
        first = replace(first, at=0, total=0)
    return replace(compose(first, then), at=at, total=total)


def _cut(m: LinearMap, axis: int, which: slice) -> LinearMap:
    """A map with some places of an axis of its blocks."""
    places = (slice(None),) * axis + (which,)
    exists = None if m.exists is None else _all_or_some(m.exists[places])
    return replace(m, weights=m.weights[places], exists=exists)


def _paths(
    first: LinearMap, then: LinearMap, i: NDArray[Any], j: NDArray[Any]
) -> NDArray[np.bool_] | None:
    """Where the products of blocks i of one map and j of another have synapses."""
    a, b = first.weights.shape[1:], then.weights.shape[1:]
    as_they_are = a[0] == b[0] or a[1:] == (1, 1) or b[1:] == (1, 1)
    if first.exists is None and then.exists is None and as_they_are:
        return None
    ones = [_exists(m).astype(np.float32) for m in (first, then)]
    return _all_or_some(_products(ones[0], ones[1], i, j) > 0)


def _all_or_some(exists: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    return None if exists.all() else exists


def _is_identity(m: LinearMap) -> bool:
    return (
        m.weights.shape[::2] == (1, 1)
        and m.weights.shape[3] == 1
        and len(m.p) == m.sites[0] == m.sites[1]
        and bool((m.p == m.r).all() and (m.weights == 1).all())
    )


def _exact_scale(m: LinearMap) -> float:
    """The power of two by which a map scales all that passes; 0: it is none such.

    Factors in float64 can take it over without another rounding, as of a pool of 2 x 2.
    """
    if m.weights.shape[2:] != (1, 1) or m.exists is not None:
        return 0.0
    scale = float(m.blocks.flat[0])
    alone = math.frexp(scale)[0] == 0.5 and bool((m.blocks == scale).all())
    return scale if alone else 0.0


def _products(a: NDArray[Any], b: NDArray[Any], i: NDArray[Any], j: NDArray[Any]) -> NDArray[Any]:
    """a[i] @ b[j] for each pair, in as many groups as both allow; a scaling stays a scaling."""
    ga = a.shape[1]
    gb = b.shape[1]
    if ga == gb:
        return _multiplied(a, b, i, j)
    if a.shape[2:] == (1, 1):
        return a[i].reshape(len(i), gb, -1, 1) * b[j]
    if b.shape[2:] == (1, 1):
        return a[i] * b[j].reshape(len(i), ga, 1, -1)
    groups = int(np.gcd(ga, gb))
    return _multiplied(regroup(a, groups), regroup(b, groups), i, j)


def _multiplied(a: NDArray[Any], b: NDArray[Any], i: NDArray[Any], j: NDArray[Any]) -> NDArray[Any]:
    """a[i] @ b[j] for each pair, without a copy of the blocks for each."""
    kind = np.result_type(a, b)
    products = np.empty((len(i), a.shape[1], a.shape[2], b.shape[3]), kind)
    order = np.argsort(j, kind="stable")
    bounds = np.searchsorted(j[order], np.arange(len(b) + 1))
    at_once = max(1, AT_ONCE // (a[0].nbytes + products[:1].nbytes))
    for k in np.flatnonzero(np.diff(bounds)):
        for first in range(bounds[k], bounds[k + 1], at_once):
            pairs = order[first : min(first + at_once, bounds[k + 1])]
            products[pairs] = np.matmul(a[i[pairs]], b[k])
    return products


def add(maps: list[LinearMap]) -> LinearMap:
    """The sum of maps.

    maps: one or more, all with the same source and target.
    """
    if len(maps) == 1:
        return maps[0]
    if len({(m.at, m.columns.stop) for m in maps}) > 1:
        first, end = min(m.at for m in maps), max(m.columns.stop for m in maps)
        maps = [m._within(first, end) for m in maps]
    groups = int(reduce(np.gcd, (m.weights.shape[1] for m in maps)))
    blocks = [regroup(m.blocks, groups) for m in maps]
    exists = None
    if any(m.exists is not None or m.weights.shape[1] != groups for m in maps):
        exists = np.concatenate([regroup(_exists(m), groups) > 0 for m in maps])
    offsets = np.cumsum([0] + [len(b) for b in blocks[:-1]])
    p = np.concatenate([m.p for m in maps])
    r = np.concatenate([m.r for m in maps])
    k = np.concatenate([m.k + o for m, o in zip(maps, offsets)])
    total = make_map(maps[0].sites, p, r, k, np.concatenate(blocks), exists)
    exists = None if total.exists is None else _all_or_some(total.exists)
    return replace(total, exists=exists, at=maps[0].at, total=maps[0].total)


def _exists(m: LinearMap) -> NDArray[np.bool_]:
    """`m.exists`, where all synapses exist too."""
    return np.ones(m.weights.shape, bool) if m.exists is None else m.exists


def identity(grid: Grid) -> LinearMap:
    """The identity.

    grid: (C, H, W) of source and target.
    """
    return scaling(grid, np.ones(grid[0]))


def scaling(grid: Grid, factors: NDArray[Any]) -> LinearMap:
    """Multiplies each channel by its factor.

    grid: (C, H, W) of source and target. factors: [C].
    """
    sites = np.arange(grid[1] * grid[2])
    k = np.zeros(len(sites), np.int64)
    block = np.asarray(factors, np.float64).reshape(1, grid[0], 1, 1)
    return LinearMap((len(sites), len(sites)), sites, sites, k, block)


def scaling_of_neurons(grid: Grid, factors: NDArray[Any]) -> LinearMap:
    """Multiplies each neuron by its own factor.

    grid: (C, H, W) of source and target. factors: [H * W, C].
    """
    sites = np.arange(grid[1] * grid[2])
    blocks = np.asarray(factors, np.float64).reshape(len(sites), grid[0], 1, 1)
    return make_map((len(sites), len(sites)), sites, sites, sites, blocks)


def window_taps(grid: Grid, window: Window) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(source site, target site, number in the kernel) of each tap of a sliding window.

    grid: (C, H, W) of the source. window: its `Window`. Taps on padding are left out. Three int64
    arrays [taps].
    """
    _, height, width = grid
    kernel = window.kernel
    axes = [np.arange(n) for n in (*window.out, *kernel)]
    oy, ox, ky, kx = np.meshgrid(*axes, indexing="ij")
    y = oy * window.strides[0] + ky * window.dilations[0] - window.pads[0]
    x = ox * window.strides[1] + kx * window.dilations[1] - window.pads[1]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    source = y * width + x
    target = oy * window.out[1] + ox
    number = ky * kernel[1] + kx
    return source[inside], target[inside], number[inside]


def _of_graph(
    sites: tuple[int, int], p: NDArray[Any], r: NDArray[Any], k: NDArray[Any], weights: NDArray[Any]
) -> LinearMap:
    """The map of an operator's own weights, each (r, p) once.

    float32 stays float32, which takes half the memory, and is not copied.
    """
    if weights.dtype != np.float32:
        return make_map(sites, p, r, k, np.ascontiguousarray(weights, np.float64))
    return replace(make_map(sites, p, r, k, weights), factor=1.0)


def _sites(grid: Grid, window: Window) -> tuple[int, int]:
    """How many sites a window has as its source and as its target."""
    return grid[1] * grid[2], window.out[0] * window.out[1]


def convolution(node: Node, grid: Grid) -> LinearMap:
    """Conv: one block for each place in the kernel.

    node: the node. grid: (C, H, W) of its input.
    """
    window = window_of(node, grid)
    p, r, k = window_taps(grid, window)
    weight = node.params["W"]
    group = node.attrs.get("group", 1)
    out, ci = weight.shape[:2]
    blocks = weight.reshape(group, out // group, ci, -1).transpose(3, 0, 2, 1)
    return _of_graph(_sites(grid, window), p, r, k, blocks)


def average_pool(node: Node, grid: Grid) -> LinearMap:
    """AveragePool: one scaling for each number of source sites that a window covers.

    node: the node. grid: (C, H, W) of its input.
    """
    window = window_of(node, grid)
    p, r, _ = window_taps(grid, window)
    area = np.bincount(r, minlength=window.out[0] * window.out[1])
    if node.attrs.get("count_include_pad", 0):
        area[:] = window.kernel[0] * window.kernel[1]
    sizes, k = np.unique(area[r], return_inverse=True)
    blocks = np.broadcast_to(1.0 / sizes[:, None, None, None], (len(sizes), grid[0], 1, 1))
    blocks = np.ascontiguousarray(blocks)
    return make_map(_sites(grid, window), p, r, k.reshape(-1), blocks)


def max_pool(node: Node, grid: Grid) -> LinearMap:
    """The windows of MaxPool, as ONNX has them: padding never wins, so it is left out.

    node: the node. grid: (C, H, W) of its input. `pooled` applies them. Their block is -1 for
    channels whose minimum is meant, else 1.
    """
    window = window_of(node, grid)
    p, r, _ = window_taps(grid, window)
    signs = pool_signs(node, grid[0]).reshape(1, -1, 1, 1)
    return make_map(_sites(grid, window), p, r, np.zeros_like(p), signs.astype(np.float64))


def pooled(windows: LinearMap, x: NDArray[Any]) -> NDArray[Any]:
    """The largest value in each window, or the smallest, by channel: [N, target sites, C].

    windows: a map of `max_pool`. x: [N, source sites, C].
    """
    starts = np.searchsorted(windows.r, np.arange(windows.sites[1]))
    signs = windows.blocks[0, :, 0, 0]
    return np.maximum.reduceat(x[:, windows.p] * signs, starts, axis=1) * signs


def global_average_pool(node: Node, grid: Grid) -> LinearMap:
    """GlobalAveragePool: one scaling, from all sites to one.

    node: the node. grid: (C, H, W) of its input.
    """
    sites = grid[1] * grid[2]
    zeros = np.zeros(sites, np.int64)
    block = np.full((1, grid[0], 1, 1), 1.0 / sites)
    return make_map((sites, 1), np.arange(sites), zeros, zeros, block)


def pad(node: Node, grid: Grid) -> LinearMap:
    """Pad with zeros: each site moves to its place among more of them.

    node: the node. grid: (C, H, W) of its input. Raises InputError for another kind of padding.
    """
    top, left, bottom, right = spatial_pads(node)
    width = grid[2] + left + right
    y, x = np.divmod(np.arange(grid[1] * grid[2]), grid[2])
    p = np.arange(len(y))
    r = (y + top) * width + x + left
    sites = (len(p), (grid[1] + top + bottom) * width)
    return make_map(sites, p, r, np.zeros_like(p), np.ones((1, grid[0], 1, 1)))


def resize(node: Node, grid: Grid) -> LinearMap:
    """Resize to the nearest site.

    node: the node. grid: (C, H, W) of its input. Raises InputError for another kind of resizing.
    """
    rows, columns = resize_indices(node, grid)
    p = (rows[:, None] * grid[2] + columns[None, :]).reshape(-1)
    r = np.arange(len(p))
    sites = (grid[1] * grid[2], len(p))
    return make_map(sites, p, r, np.zeros_like(p), np.ones((1, grid[0], 1, 1)))


def batch_normalization(node: Node, grid: Grid, flat: bool) -> LinearMap:
    """The scale of BatchNormalization (TCL eq. 6).

    node: the node. grid: (C, H, W) of its input. flat: whether the input is a flat vector; then
    there is one factor a neuron, else one a channel.
    """
    factors = batch_scale(node)
    if not flat:
        return scaling(grid, factors)
    return scaling_of_neurons(grid, factors.reshape(grid[0], -1).T)


def batch_scale(node: Node) -> NDArray[Any]:
    """The factors of a BatchNormalization, gamma / sqrt(var + epsilon), float64 [C].

    node: the node.
    """
    variance = np.asarray(node.params["input_var"], np.float64) + node.attrs.get("epsilon", 1e-5)
    return np.asarray(node.params["scale"], np.float64) / np.sqrt(variance)


def gemm(node: Node, grid: Grid) -> LinearMap:
    """Gemm on a flattened grid: one block for each site.

    node: the node. grid: (C, H, W) that was flattened.
    """
    return gemm_of(node.params["B"] if node.attrs.get("transB", 0) else node.params["B"].T, grid)


def gemm_of(weight: NDArray[Any], grid: Grid) -> LinearMap:
    """A matrix on a flattened grid.

    weight: [outputs, C * H * W]. grid: (C, H, W) that was flattened.
    """
    sites = np.arange(grid[1] * grid[2])
    blocks = weight.reshape(len(weight), grid[0], len(sites)).transpose(2, 1, 0)[:, None]
    return _of_graph((len(sites), 1), sites, np.zeros_like(sites), sites, blocks)


def flattening(grid: Grid) -> LinearMap:
    """From (C, H, W) to (C * H * W, 1, 1), channels in ONNX's order.

    grid: (C, H, W) of the source. Needed only where two flat vectors meet. Raises InputError for
    more than 11,585 values.
    """
    channels = grid[0]
    sites = grid[1] * grid[2]
    if channels * channels * sites * sites > 2**27:
        raise InputError(
            "flattened maps that are added or joined",
            "at most 11,585 values",
            f"{channels * sites:,}",
            "add or join them before the Flatten",
        )
    blocks = np.zeros((sites, 1, channels, channels * sites))
    for site in range(sites):
        blocks[site, 0, np.arange(channels), np.arange(channels) * sites + site] = 1
    at = np.arange(sites)
    return make_map((sites, 1), at, np.zeros_like(at), at, blocks, blocks > 0)


def placed(m: LinearMap, offset: int, total: int) -> LinearMap:
    """A map whose target's channels stand among others (Concat).

    m: the map. offset: the number that its first channel gets. total: how many channels there are
    in all.
    """
    return replace(m, at=offset + m.at, total=total)


# operators with one input, whose map depends on the node and the input's grid alone
SIMPLE: dict[str, Callable[[Node, Grid], LinearMap]] = {
    "Conv": convolution,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "Pad": pad,
    "Resize": resize,
}
LINEAR = (
    *SIMPLE,
    "Gemm",
    "BatchNormalization",
    "Flatten",
    "Index",
    "Add",
    "Concat",
    "Softmax",
    *IDENTITIES,
)
