"""Counts of spikes moment by moment, where in each step a few deliveries may be moved.

It is what `budgets` is made of. All is proven here.

What is free. A chain of **free** layers, each of which hears one layer before it. In asynchronous
time with a barrier and order `fifo`, a layer hears the spikes of its source, in each step, in the
order in which they were emitted: their **natural order**. A source that is not free sends in the
order of its neurons. An edit lets at most m deliveries of a step into a layer stand elsewhere (n
less the longest common subsequence is at most m), whole spikes, that is the same order for all
targets; what the layer then fires follows, and is in its natural order again but for the edits of
the next layer. (A replay that keeps the recorded order of spikes whose own emission the edits have
changed moves these, too: it is within the budget where they are counted.) Every free layer and step
may have its m moved deliveries; with m of all deliveries of a step it is any order of whole
spikes. Neurons count up only (IF, GN): answered at
height U (v(0) and all that has arrived, in charges of one spike) a neuron with S spikes goes to
max(S, floor(U)), so its count is max(0, floor(M)), M being the largest U at which it was answered.

Stages. Of a source, a step is cut into stages e = 0, 1, …, E, with a box [a(e), b(e)] of counts for
each, both growing with e, such that in the edited run every moment of emission belongs to a stage,
stages do not go back, and the counts of spikes emitted so far are in the box of their stage, or on
their way to it: between a(e - 1) and b(e), where the box of e differs from that before in one
neuron. At the end of stage e they are in its box. The box of stage 0 is that of the counts before
the step. Of a layer that is not free counts are known, so each spike is a stage of its own, and
a = b.

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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_STAGES = 2**13  # of a layer and step, beyond which an image is given up

Whole = NDArray[np.int64]


class Stages(NamedTuple):
    """What a layer may emit in one step.

    fewest, most: int64 [neurons], the counts before the step. neurons: int64 [E], whose end changes
    in each stage. up_fewest, up_most: int64 [E], by how much each end does. known: whether both
    ends are the same throughout.
    """

    fewest: Whole
    most: Whole
    neurons: Whole
    up_fewest: Whole
    up_most: Whole
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
    """A step has more stages than are followed."""


def known(counts: Whole) -> list[Stages]:
    """The stages of a layer whose counts after each step are known, in the order of its neurons.

    counts: int64 [T, neurons], growing.
    """
    found, before = [], np.zeros_like(counts[0])
    for after in counts:
        spikes = np.repeat(np.arange(len(after)), after - before)
        ones = np.ones(len(spikes), np.int64)
        found.append(Stages(before, before, spikes, ones, ones, True))
        before = after
    return found


def answered(
    weights: Whole, drive: Whole, resting: Whole, one: int, source: list[Stages], moved: int
) -> list[Stages]:
    """The stages of a free layer. Raises TooMany.

    weights: int64 [source neurons, neurons]. drive: int64 [T, neurons]. resting: v(0), int64
    [neurons]. one: the charge of one spike. source: its stages. moved: m.
    """
    plus, minus = np.maximum(weights, 0), np.minimum(weights, 0)
    base = resting.copy()
    # nothing fires below 0
    top: Whole = np.zeros_like(base)
    bottom: Whole = np.zeros_like(base)
    found = []
    for its, now in zip(source, drive):
        base = base + now
        beta = largest(np.abs(weights), its, moved)
        highest = _path(base, plus, minus, its.most, its.fewest, its, its.up_most, its.up_fewest)
        lowest = _path(base, plus, minus, its.fewest, its.most, its, its.up_fewest, its.up_most)
        end = lowest[-1:].copy()
        highest = np.concatenate([highest, highest[-1:]]) + beta
        _, most_sent = its.last()
        # all excitation of the step and no inhibition is more than any moment has
        highest = np.minimum(highest, base + most_sent @ plus + its.fewest @ minus)
        lowest[1:] -= beta
        lowest = np.concatenate([lowest, end])
        tops: Whole = np.maximum(top, np.maximum.accumulate(highest, axis=0))
        bottoms: Whole = np.maximum(bottom, np.maximum.accumulate(lowest, axis=0))
        fewest, most = bottom // one, top // one
        exact = moved == 0 and its.known
        found.append(_stages(fewest, most, bottoms // one, tops // one, its.known, exact))
        top, bottom = tops[-1], bottoms[-1]
    return found


def _path(
    base: Whole,
    plus: Whole,
    minus: Whole,
    ups: Whole,
    downs: Whole,
    its: Stages,
    by_ups: Whole,
    by_downs: Whole,
) -> Whole:
    """Heights after each stage, int64 [1 + E, neurons], excitation counting `ups` spikes.

    base: v(0) and drive so far. plus, minus: weights above and below 0. ups, downs: the ends at
    which sources with such weights stand before the step. by_ups, by_downs: what each stage adds.
    """
    path = np.empty((1 + len(its.neurons), len(base)), np.int64)
    path[0] = base + ups @ plus + downs @ minus
    path[1:] = plus[its.neurons] * by_ups[:, None] + minus[its.neurons] * by_downs[:, None]
    np.cumsum(path, axis=0, out=path)
    return path


def largest(sizes: Whole, its: Stages, moved: int) -> Whole:
    """beta: of each neuron the sum of the `moved` largest |w| of a step, int64 [neurons].

    sizes: |w|, int64 [source neurons, neurons]. its: the source's stages.
    """
    if not moved:
        return np.zeros(sizes.shape[1], np.int64)
    _, most = its.last()
    spikes = np.repeat(np.arange(len(most)), np.minimum(most - its.fewest, moved))
    if len(spikes) > moved:
        some = np.partition(sizes[spikes], len(spikes) - moved, axis=0)
        return np.asarray(some[-moved:].sum(axis=0))
    return np.asarray(sizes[spikes].sum(axis=0))


def _stages(
    fewest: Whole, most: Whole, bottoms: Whole, tops: Whole, fine: bool, exact: bool
) -> Stages:
    """The stages of a target from its boxes. fewest, most: before the step.

    bottoms, tops: int64 [2 + E, neurons], counts by the end of the source's stages. fine: whether a
    neuron gets both ends at once. exact: whether both ends are the same.
    """
    by_fewest = np.diff(bottoms, axis=0, prepend=fewest[None])
    by_most = np.diff(tops, axis=0, prepend=most[None])
    if exact:
        _, neurons = np.nonzero(by_most)
        # spike by spike, so that each is a stage
        neurons = np.repeat(neurons, by_most[by_most > 0])
        up_most = up_fewest = np.ones(len(neurons), np.int64)
    elif fine:
        at = np.nonzero(by_fewest | by_most)
        neurons, up_fewest, up_most = at[1], by_fewest[at], by_most[at]
    else:
        # in each stage the upper ends come first; of the drive's both at once would do
        first, last = np.nonzero(by_most), np.nonzero(by_fewest)
        place = np.concatenate([2 * first[0], 2 * last[0] + 1])
        order = np.argsort(place, kind="stable")
        neurons = np.concatenate([first[1], last[1]])[order]
        up_most = np.concatenate([by_most[first], np.zeros(len(last[0]), np.int64)])[order]
        up_fewest = np.concatenate([np.zeros(len(first[0]), np.int64), by_fewest[last]])[order]
    if len(neurons) > MOST_STAGES and not exact:
        raise TooMany
    return Stages(fewest, most, neurons, up_fewest, up_most, exact)
