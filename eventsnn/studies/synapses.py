"""The weights into one layer, source by source, of a few source neurons at a time.

A layer of an image network has too many neurons for a matrix; each of its sources reaches few.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.network import linear
from eventsnn.network.network import INPUT, Projection
from eventsnn.simulation.prepared import Prepared

AT_ONCE = 2**20  # weights that are held at a time

Whole = NDArray[np.int64]


class Piece(NamedTuple):
    """The weights of some sources into some sites of a layer, sorted by site, then by source.

    sites: int64 [S], the sites. begins: int64 [S], the first row of each. which: int64 [R], each
    row's place among the sources asked for. weights: int64 [R, channels].
    """

    sites: Whole
    begins: Whole
    which: Whole
    weights: Whole

    def __repr__(self) -> str:
        return f"<Piece of {len(self.sites)} sites, {len(self.which):,} rows>"

    @property
    def lengths(self) -> Whole:
        """How many rows each site has, int64 [S]."""
        return np.diff(self.begins, append=len(self.which))


class Synapses:
    """All synapses into one layer but those of the input.

    simulation: whose numbers the weights are in. target: the layer's number. sources: the numbers
    of the layers that it hears. first: where each one's neurons begin among those of all of them.
    sites, channels: of the layer.
    """

    def __init__(self, simulation: Prepared, target: int) -> None:
        network = simulation.network
        heard = [p for p in network.into(target) if p.source != INPUT]
        self.target = target
        self.sources = [p.source for p in heard]
        sizes = [network.layers[source].size for source in self.sources]
        self.first = dict(zip(self.sources, np.cumsum([0, *sizes]).tolist()))
        self.size = sum(sizes)
        self.channels, height, width = network.layers[target].grid
        self.sites = height * width
        self._taps = [_Taps(simulation, p) for p in heard]
        self._ends = np.cumsum(sizes)

    def joined(self, counts: dict[int, Whole]) -> Whole:
        """Counts of all sources side by side. counts: layer number -> int64 [..., neurons]."""
        return np.concatenate([counts[source] for source in self.sources], axis=-1)

    def pieces(self, neurons: Whole) -> Iterator[Piece]:
        """Yields the weights of sources, as `Piece` after `Piece` of the layer's sites.

        neurons: int64 [E], among those of all sources, in any order, each as often as one likes.
        """
        parts = []
        for n, (taps, end) in enumerate(zip(self._taps, self._ends)):
            begin = end - taps.size
            at = np.flatnonzero((neurons >= begin) & (neurons < end))
            which, site, row = taps.rows(neurons[at] - begin)
            parts.append((at[which], site, row, np.full(len(row), n)))
        if not parts:
            return
        which, site, row, of = (np.concatenate(its) for its in zip(*parts))
        order = np.lexsort((which, site))
        which, site, row, of = (its[order] for its in (which, site, row, of))
        begins = np.flatnonzero(np.diff(site, prepend=-1))
        ends = np.append(begins[1:], len(site))
        start = 0
        while start < len(begins):
            # as many sites as may be held at a time, one at least
            room = begins[start] + AT_ONCE // self.channels
            stop = max(start + 1, int(np.searchsorted(ends, room, side="right")))
            some = slice(begins[start], ends[stop - 1])
            weights = np.empty((some.stop - some.start, self.channels), np.int64)
            for n, taps in enumerate(self._taps):
                mine = of[some] == n
                weights[mine] = taps.table[row[some][mine]]
            here = begins[start:stop]
            yield Piece(site[here], here - here[0], which[some], weights)
            start = stop

    def __repr__(self) -> str:
        return f"<Synapses into layer {self.target} from {self.size:,} neurons>"


class _Taps:
    """The taps of one projection, by source site. table: int64 [blocks * channels, channels]."""

    def __init__(self, simulation: Prepared, projection: Projection) -> None:
        taps = projection.map
        blocks = simulation.blocks(projection).astype(np.float64)  # whole numbers below 2^53
        self.channels, reached = taps.channels
        full = np.zeros((len(blocks), self.channels, reached), np.int64)
        full[..., taps.columns] = linear.regroup(blocks, 1)[:, 0]
        self.table = full.reshape(-1, reached)
        self.size = taps.sites[0] * self.channels
        order = np.argsort(taps.p, kind="stable")
        self.site, self.block = taps.r[order], taps.k[order]
        self.begins = np.searchsorted(taps.p[order], np.arange(taps.sites[0] + 1))

    def rows(self, neurons: Whole) -> tuple[Whole, Whole, Whole]:
        """(place of the source, target's site, row of `table`) of each tap of some sources."""
        at, channel = np.divmod(neurons, self.channels)
        counts = self.begins[at + 1] - self.begins[at]
        which = np.repeat(np.arange(len(neurons)), counts)
        nth = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        tap = self.begins[at][which] + nth
        return which, self.site[tap], self.block[tap] * self.channels + channel[which]


def largest(sizes: Whole, counts: Whole, most: int | None) -> Whole:
    """The sum of the `most` largest of some numbers in each column, int64 [columns].

    sizes: int64 [R, columns], at least 0. counts: how often each is there, int64, the same shape.
    most: None: all of them.
    """
    if most is None or counts.sum(axis=0).max(initial=0) <= most:
        return np.asarray((sizes * counts).sum(axis=0))
    sizes = np.where(counts > 0, sizes, 0)
    if most < len(sizes):
        some = np.argpartition(sizes, len(sizes) - most, axis=0)[-most:]
        sizes, counts = (np.take_along_axis(its, some, axis=0) for its in (sizes, counts))
    order = np.argsort(-sizes, axis=0)
    sizes, counts = (np.take_along_axis(its, order, axis=0) for its in (sizes, counts))
    before = np.cumsum(counts, axis=0) - counts
    return np.asarray((sizes * np.clip(most - before, 0, counts)).sum(axis=0))


def largest_by_site(piece: Piece, sizes: Whole, counts: Whole, most: int | None) -> Whole:
    """`largest` of each site's rows, int64 [S, channels].

    sizes, counts: of the rows, int64 [R, channels]. most: as there.
    """
    if most is None:
        return np.asarray(np.add.reduceat(sizes * counts, piece.begins, axis=0))
    if most == 1:
        return np.asarray(np.maximum.reduceat(sizes * (counts > 0), piece.begins, axis=0))
    found = np.empty((len(piece.sites), sizes.shape[1]), np.int64)
    for n, (begin, length) in enumerate(zip(piece.begins, piece.lengths)):
        mine = slice(begin, begin + length)
        found[n] = largest(sizes[mine], counts[mine], most)
    return found
