"""Counts of spikes moment by moment, where in each step a few deliveries may be moved.

It is what `budgets` is made of. All is proven here.

What is free. A network's last layers are **free**. In asynchronous time with a barrier a layer
hears the spikes of its sources, in each step, in the order in which they were emitted: their
**natural order**. That is so under order `cores` where cores take no time, by (target layer,
emission); and under `fifo` where each layer hears one alone, which gives the same counts. A source
that is not free sends first, in the order of its neurons. An edit lets at most m deliveries of a
step into a layer stand elsewhere (n less the longest common subsequence is at most m), whole
spikes, that is the same order for all targets; what the layer then fires follows, and is in its
natural order again but for the edits of the next layer. (A replay that keeps the recorded order of
spikes whose own emission the edits have changed moves these, too: it is within the budget where
they are counted.) Every free layer and step may have its m moved deliveries; with m of all
deliveries of a step it is any order of whole spikes. Neurons count up only (IF, GN): answered at
height U (v(0) and all that has arrived, in charges of one spike) a neuron with S spikes goes to
max(S, floor(U)), so its count is max(0, floor(M)), M being the largest U at which it was answered.

Stages. Of a source, a step is cut into stages e = 0, 1, …, E, with a box [a(e), b(e)] of counts for
each, both growing with e, such that in the edited run every moment of emission belongs to a stage,
stages do not go back, and the counts of spikes emitted so far are in the box of their stage, or on
their way to it: between a(e - 1) and b(e), where the box of e differs from that before in one
neuron. At the end of stage e they are in its box. The box of stage 0 is that of the counts before
the step. Of a layer that is not free counts are known, so each spike is a stage of its own, and
a = b.

Several sources are one (`joined`). Layers answer in the order of their numbers: first each answers
the drive; then, one after the other, each hears all that comes and answers it, since nothing that
it sends comes to a layer before it. So the joined stages are those of each source's answer to the
drive, source by source, and then the others, source by source. While one source emits, the boxes of
the others stand still: they are those of the step's beginning, of the drive's answer, or of the
step's end. After the answer to the drive the moments of a source's stage 0 are in its last box.

Heights. Let C be the moved deliveries, D what is delivered at a moment, and N the emitted spikes up
to the last one in D that is not in C. Without C, D and N are the same, so

    w . N - sum of |w_s| over s in C  <=  w . D  <=  w . N + sum of |w_s| over s in C,

and the sum is at most beta, that of the m largest |w_s| among the spikes that the source may send
in the step (b(E) - a(0) of each neuron at most). N belongs to a stage of its own, e(D), which does
not go back. So a target's height is at most base + w+ . b(e) + w- . a(e) + beta for an e up to
e(D): of the neuron that is on its way, b(e) counts where w > 0 and a(e - 1) where w < 0, and one of
the two is 0. And by the end of stage e the height base + w+ . a(e) + w- . b(e) - beta was reached
or passed: let N be all emitted by then; some D has all of N that is not in C and, but for C,
nothing else. Without beta the lower height of stage 0 is that of the drive's answer, when D is
empty, and one more stage, E + 1, is the end of the step, when D is everything. No height is above
base + w+ . b(E) + w- . a(0), as no moment has less than was there before the step, or more than is
there after it. The largest of the upper heights so far, and of the lower ones, rounded down, are
the box [A(e), B(e)] of the target's counts by the end of stage e.

Stages of the target. In stage e its counts are between A(e - 1) and B(e). One neuron after the
other first gets its B(e), and then its A(e): so there is one neuron at a time that changes
(`coarse`). Where a = b in the source, stage e is one delivery, answered by targets in index order,
and then those that were moved there. While it is answered, targets up to number k are in their box
of stage e and the others in that of e - 1; if it was moved itself, the stage is empty, and what was
emitted is in both. So a neuron gets both ends at once (`fine`). After it, all are in the box of e.
The answer to the drive, stage 0, is of that kind, too.

With m = 0 behind a source whose counts are known all ends meet: it is the run under `fifo`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsnn.studies.synapses import Piece, largest_by_site

MOST_STAGES = 2**15  # of a layer and step, beyond which an image is given up
MOST_SPIKES = 2**20  # of a neuron, likewise

Whole = NDArray[np.int64]


class Weights(Protocol):
    """What `Synapses` is to a layer: `pieces` of the weights of some of its source neurons."""

    sites: int
    channels: int

    def pieces(self, neurons: Whole) -> Iterator[Piece]:
        """See `Synapses.pieces`."""


class Stages(NamedTuple):
    """What a layer may emit in one step.

    fewest, most: int64 [neurons], the counts before the step. neurons: int64 [E], whose end changes
    in each stage. up_fewest, up_most: int64 [E], by how much each end does. at_drive: how many
    stages, the first ones, are the answer to the drive. known: whether both ends are the same
    throughout.
    """

    fewest: Whole
    most: Whole
    neurons: Whole
    up_fewest: Whole
    up_most: Whole
    at_drive: int
    known: bool

    def __repr__(self) -> str:
        return f"<Stages: {len(self.neurons)} of {len(self.fewest)} neurons>"

    def last(self) -> tuple[Whole, Whole]:
        """(fewest, most) after the step."""
        fewest, most = self.fewest.copy(), self.most.copy()
        np.add.at(fewest, self.neurons, self.up_fewest)
        np.add.at(most, self.neurons, self.up_most)
        return fewest, most


class TooMany(Exception):
    """A step has more stages than are followed, or a neuron more spikes."""


def known(counts: Whole) -> list[Stages]:
    """The stages of a layer whose counts after each step are known, in the order of its neurons.

    counts: int64 [T, neurons], growing.
    """
    found, before = [], np.zeros_like(counts[0])
    for after in counts:
        spikes = np.repeat(np.arange(len(after)), after - before)
        ones = np.ones(len(spikes), np.int64)
        found.append(Stages(before, before, spikes, ones, ones, len(spikes), True))
        before = after
    return found


def joined(sources: Sequence[Stages]) -> Stages:
    """The stages of one step of several sources as those of one. sources: in their order."""
    if len(sources) == 1:
        return sources[0]
    none: Whole = np.zeros(0, np.int64)
    ends = np.cumsum([0, *(len(its.fewest) for its in sources)]).tolist()
    parts = [(first, its, slice(0, its.at_drive)) for first, its in zip(ends, sources)]
    parts += [(first, its, slice(its.at_drive, None)) for first, its in zip(ends, sources)]
    return Stages(
        np.concatenate([none, *(its.fewest for its in sources)]),
        np.concatenate([none, *(its.most for its in sources)]),
        np.concatenate([none, *(first + its.neurons[some] for first, its, some in parts)]),
        np.concatenate([none, *(its.up_fewest[some] for _, its, some in parts)]),
        np.concatenate([none, *(its.up_most[some] for _, its, some in parts)]),
        sum(its.at_drive for its in sources),
        all(its.known for its in sources),
    )


def answered(
    weights: Weights, drive: Whole, resting: Whole, one: int, source: list[Stages], moved: int
) -> list[Stages]:
    """The stages of a free layer. Raises TooMany.

    weights: into it, of all neurons of the source. drive: int64 [T, neurons]. resting: v(0), int64
    [neurons]. one: the charge of one spike. source: the joined stages of each step. moved: m.
    """
    layer, found = _Layer(weights, resting, one), []
    for its, now in zip(source, drive):
        found.append(layer.step(its, now, moved))
    return found


class _Layer:
    """A free layer, step after step.

    weights, resting, one: as in `answered`. high, low: the ends of heights, int64 [sites,
    channels], by the counts of the sources alone. fewest, most: of its counts, likewise.
    """

    def __init__(self, weights: Weights, resting: Whole, one: int) -> None:
        self.weights, self.one = weights, one
        self.high = resting.reshape(weights.sites, weights.channels).copy()
        self.low = self.high.copy()
        # nothing fires below 0
        self.fewest: Whole = np.zeros_like(self.high)
        self.most: Whole = np.zeros_like(self.high)

    def step(self, its: Stages, drive: Whole, moved: int) -> Stages:
        """The stages of one step. its: the source's. drive: int64 [neurons]. moved: m."""
        self.high += drive.reshape(self.high.shape)
        self.low += drive.reshape(self.high.shape)
        before = self.fewest.reshape(-1), self.most.reshape(-1)
        beta = self._beta(its, moved)
        fewest = np.maximum(self.fewest, self.low // self.one)
        most = np.maximum(self.most, self.high // self.one)
        ups, downs = _Events(), _Events()  # of `most`, of `fewest`
        end = len(its.neurons) + 1
        for piece in self.weights.pieces(its.neurons):
            at, rows = piece.sites, _Segments(piece)
            highest, lowest, low_at_end = self._paths(piece, rows, its, beta[at])
            top = np.maximum(self.most[at], highest[0] // self.one)
            ups.rows(piece, rows, top, highest[1] // self.one)
            bottom = fewest[at]
            reached = downs.rows(piece, rows, bottom, lowest // self.one)
            downs.add(end, at, np.maximum(low_at_end // self.one - reached, 0))
            most[at] = top
        ups.add(0, np.arange(len(most)), most - self.most)
        downs.add(0, np.arange(len(fewest)), fewest - self.fewest)
        exact = its.known and (moved == 0 or not len(its.fewest))
        found = _stages(before, ups.sorted(), downs.sorted(), its.known, exact)
        self.fewest, self.most = (after.reshape(self.high.shape) for after in found.last())
        if self.most.max(initial=0) > MOST_SPIKES:
            raise TooMany
        return found

    def _beta(self, its: Stages, moved: int) -> Whole:
        """Of each target the sum of the `moved` largest |w|, int64 [sites, channels]."""
        beta: Whole = np.zeros_like(self.high)
        if moved:
            _, most = its.last()
            counts = np.minimum(most - its.fewest, moved)
            neurons = np.flatnonzero(counts)
            for piece in self.weights.pieces(neurons):
                sizes = np.abs(piece.weights)
                many = np.broadcast_to(counts[neurons[piece.which], None], sizes.shape)
                beta[piece.sites] = largest_by_site(piece, sizes, many, moved)
        return beta

    def _paths(
        self, piece: Piece, rows: _Segments, its: Stages, beta: Whole
    ) -> tuple[tuple[Whole, Whole], Whole, Whole]:
        """((upper heights at stage 0, after each row), lower ones after each row, and at the end).

        `high` and `low` go on to the end of the step.
        """
        plus: Whole = np.maximum(piece.weights, 0)
        minus: Whole = np.minimum(piece.weights, 0)
        up_most, up_fewest = (x[piece.which, None] for x in (its.up_most, its.up_fewest))
        at, excited = piece.sites, plus * up_most
        high = rows.sums(excited + minus * up_fewest) + rows.spread(self.high[at])
        low = rows.sums(plus * up_fewest + minus * up_most) + rows.spread(self.low[at])
        # all excitation of the step and no inhibition is more than any moment has
        cap = self.high[at] + np.add.reduceat(excited, piece.begins, axis=0)
        first = np.minimum(self.high[at] + beta, cap)
        highest = np.minimum(high + rows.spread(beta), rows.spread(cap))
        self.high[at], self.low[at] = high[rows.ends], low[rows.ends]
        return (first, highest), low - rows.spread(beta), low[rows.ends]


class _Segments:
    """The rows of a piece, site by site. ends: int64 [S], the last row of each site."""

    def __init__(self, piece: Piece) -> None:
        self.begins, self.ends = piece.begins, piece.begins + piece.lengths - 1
        self.of = np.repeat(np.arange(len(piece.sites)), piece.lengths)

    def spread(self, values: Whole) -> Whole:
        """What each site has, for each of its rows: [S, channels] -> [R, channels]."""
        return values[self.of]

    def sums(self, values: Whole) -> Whole:
        """Sums over the rows of the site so far, int64 [R, channels]."""
        sums = np.cumsum(values, axis=0)
        return sums - self.spread(sums[self.begins] - values[self.begins])

    def largest(self, values: Whole) -> Whole:
        """The largest of the rows of the site so far. values: from 0 to `MOST_SPIKES`."""
        apart = 2 * MOST_SPIKES * self.of[:, None]
        return np.maximum.accumulate(values + apart, axis=0) - apart


class _Events:
    """By how much an end of counts grows, stage by stage."""

    def __init__(self) -> None:
        self.parts: list[tuple[Whole, Whole, Whole]] = []

    def add(self, stage: int, sites: Whole, by: Whole) -> None:
        """Adds what happens in one stage. sites: [S]. by: int64 [S, channels]."""
        at = np.nonzero(by)
        neurons = sites[at[0]] * by.shape[1] + at[1]
        self.parts.append((np.full(len(neurons), stage), neurons, by[at]))

    def rows(self, piece: Piece, rows: _Segments, first: Whole, counts: Whole) -> Whole:
        """Adds what happens row by row; returns the counts at the end, int64 [S, channels].

        first: the counts before, int64 [S, channels]. counts: those that each row reaches, int64
        [R, channels].
        """
        if counts.max(initial=0) > MOST_SPIKES:
            raise TooMany
        reached = rows.largest(np.maximum(counts, rows.spread(first)))
        before = np.concatenate([reached[:1], reached[:-1]])
        before[rows.begins] = first
        by = reached - before
        at = np.nonzero(by)
        neurons = piece.sites[rows.of[at[0]]] * by.shape[1] + at[1]
        self.parts.append((piece.which[at[0]] + 1, neurons, by[at]))
        return np.asarray(reached[rows.ends])

    def sorted(self) -> tuple[Whole, Whole, Whole]:
        """(stage, neuron, by how much), sorted by stage, then neuron."""
        stages, neurons, by = (np.concatenate(its) for its in zip(*self.parts))
        order = np.lexsort((neurons, stages))
        return stages[order], neurons[order], by[order]


def _stages(
    before: tuple[Whole, Whole],
    ups: tuple[Whole, Whole, Whole],
    downs: tuple[Whole, Whole, Whole],
    fine: bool,
    exact: bool,
) -> Stages:
    """The stages of a target. before: (fewest, most) before the step, int64 [neurons].

    ups, downs: when which neuron's `most`, and `fewest`, grows by how much. fine: whether a neuron
    gets both ends at once. exact: whether both ends are the same.
    """
    if exact:
        # spike by spike, so that each is a stage
        neurons = np.repeat(ups[1], ups[2])
        up_most = up_fewest = np.ones(len(neurons), np.int64)
        at_drive = int(ups[2][ups[0] == 0].sum())
    elif fine:
        stage, neuron = (np.concatenate(its) for its in zip(ups[:2], downs[:2]))
        keys, place = np.unique(stage * len(before[0]) + neuron, return_inverse=True)
        neurons = keys % len(before[0])
        up_most, up_fewest = (np.zeros(len(keys), np.int64) for _ in range(2))
        np.add.at(up_most, place[: len(ups[0])], ups[2])
        np.add.at(up_fewest, place[len(ups[0]) :], downs[2])
        at_drive = int((keys < len(before[0])).sum())
    else:
        # in each stage the upper ends come first; of the drive's both at once would do
        place = np.concatenate([2 * ups[0], 2 * downs[0] + 1])
        order = np.argsort(place, kind="stable")
        neurons = np.concatenate([ups[1], downs[1]])[order]
        up_most = np.concatenate([ups[2], np.zeros(len(downs[0]), np.int64)])[order]
        up_fewest = np.concatenate([np.zeros(len(ups[0]), np.int64), downs[2]])[order]
        at_drive = int((place < 2).sum())
    if len(neurons) > MOST_STAGES and not exact:
        raise TooMany
    return Stages(*before, neurons, up_fewest, up_most, at_drive, exact)
