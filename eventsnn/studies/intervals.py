"""What every layer may send, whatever the order of arrivals: intervals of net spike counts.

They go from the drive to the readout.

What is free. In a **free** layer arrivals come in any order inside their step, the drive first, and
each is answered at once: asynchronous time with a barrier, without refractory period or window
(semantics, section 5), under every order policy and with any delays. A layer that is not free is
clocked: all charge of a step at once, at most `most` spikes.

The one fact used. Let U be v(0) plus all that has arrived at a neuron, in charges of one spike, S
its net spikes. When it is answered at height U it comes to rest at settled(S, U):

    IF, GN   max(S, floor(U))
             It fires while p >= 1; GN and bursts fire several at once, the same in the end.
    SNM      S clipped to [max(0, floor(U)), max(0, ceil(U))]
             It fires while p >= 1, and takes back while p <= -1 and S > 0.
    ST-BIF   floor(U) clipped to [0, S_max]
             It fires while p >= 1 and S < S_max, and takes back while p < 0 and S > 0.

with p = U - S. Each of them grows with S and with U, and settled(settled(S, U), U) = settled(S, U).
Say that in some step a neuron's height is U0 after the drive, stays in [L, H] and ends at E, that S
was the count before, and A = settled(S, U0). Then

    settled(settled(A, L), E) <= the count after the step <= settled(settled(A, H), E).

For B = settled(A, H) is at least settled(A, U0) = A, and a neuron that has at most B at a height of
at most H has at most settled(B, H) = B afterwards; the last answer is at E. The lower end is the
same upside down. As both sides grow with S, U0, E and with H or L, ends of these give ends of the
count, step after step. A clocked neuron goes from S towards settled(S, E), by `most` spikes at
most: that grows with both, too.

What the ends are. U0, L, H and E are sums over sources, whose ends over a box of counts are reached
by putting each source at one end or the other by the sign of its weight. E takes the counts after
the step, U0 those of the step before and the drive. H and L take what part of the step's spikes can
make of a source's count before it, delivered in any order: for IF and GN all of them or none. A
signed neuron that is itself free may fire and take back any number of times in a step, so that
nothing bounds H and L behind it. There SNM's count is one of floor(E) and ceil(E) and no more is
known. (Of the first layer, which has drive alone, all is known.) ST-BIF depends on E alone: its
intervals have width 0 after every step (semantics, section 7, law 2). All is in the simulation's
whole numbers, int64. An interval that reaches LIMIT spikes is given up, and with it its image.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.interval import add_end
from eventsnn.exceptions import InputError, named
from eventsnn.network import linear
from eventsnn.network.linear import LinearMap
from eventsnn.network.network import INPUT
from eventsnn.neurons.contract import emit, is_dynamic
from eventsnn.neurons.contract import most as most_at_once
from eventsnn.simulation.prepared import Prepared

LIMIT = 2**20
FAR = np.int64(2**62)  # a height that is not bounded

# int64 [N, T, neurons], or one number for all
Height = NDArray[np.int64] | np.int64


class Spikes(NamedTuple):
    """What one layer may have sent, int64 [N, T, neurons]; channels last.

    fewest, most: of its net spikes after each step (the same array where they are equal
    throughout). lowest, highest: what any part of a step's spikes can make of the count before it;
    None where nothing bounds it.
    """

    fewest: NDArray[np.int64]
    most: NDArray[np.int64]
    lowest: NDArray[np.int64] | None
    highest: NDArray[np.int64] | None

    def __repr__(self) -> str:
        bounds = "bounded in steps" if self.lowest is not None else "not bounded in steps"
        return f"<Spikes: {' x '.join(map(str, self.fewest.shape))}, {bounds}>"


class Images:
    """Some raw images in a simulation, whose layers' intervals are computed one after the other.

    simulation: that is meant. pixels: raw images [N, C, H, W]. numbers: theirs, [N], for random
    drive. weights: `weights_of` the simulation.
    """

    def __init__(
        self,
        simulation: Prepared,
        pixels: NDArray[Any],
        numbers: NDArray[np.int64],
        weights: dict[tuple[int, int], NDArray[np.int64]],
    ) -> None:
        self.simulation, self.network = simulation, simulation.network
        self.weights = weights
        drive = np.stack([_by_step(simulation, *each) for each in zip(pixels, numbers)])
        ends = self.network.first[1:-1]
        self.drive = np.split(drive, ends, axis=2)
        self.resting = np.split(simulation.resting.astype(np.int64), ends)

    def layer(
        self, i: int, sent: dict[int, Spikes], free: bool
    ) -> tuple[Spikes, NDArray[np.bool_]]:
        """(the `Spikes` of layer number i, where they were given up: bool [N, T]).

        sent: layer number -> `Spikes` of the layers before. free: whether its arrivals come in any
        order.
        """
        sources = self._sources(i, sent)
        mixed = free and self.simulation.neuron.signed and bool(sources)
        if self.network.layers[i].pools:
            (p,) = self.network.into(i)
            fewest, most = (_pooled(p.map, x) for x in (sources[0].fewest, sources[0].most))
        else:
            low, high, bottom, top = self._heights(i, sent, free)
            fewest = self._counts(i, low, self._after_drive(i, low), bottom, free)
            most = self._counts(i, high, np.minimum(self._after_drive(i, high), top), top, free)
        given_up = np.logical_or.accumulate((most > LIMIT).any(axis=2), axis=1)
        return spikes_of(np.minimum(fewest, LIMIT), np.minimum(most, LIMIT), mixed), given_up

    def clocked(self, i: int, height: NDArray[np.int64]) -> NDArray[np.int64]:
        """One end of the counts of layer number i, clocked, after each step; int64 [N, T, neurons].

        height: the same end of v(0) and all that has arrived by the end of each step, likewise.
        """
        return self._counts(i, height, height, np.int64(0), False)

    def anything(self, i: int) -> Spikes:
        """The `Spikes` of layer number i behind one that was given up throughout."""
        none = np.zeros((*self.drive[i].shape[:2], self.network.layers[i].size), np.int64)
        return Spikes(none, none + LIMIT, None, None)

    def charge(self, i: int, sent: dict[int, Spikes], up: str, down: str) -> NDArray[np.int64]:
        """The most that may have arrived at layer i after each step: int64 [N, T, neurons].

        v(0) and drive are in it. sent: layer number -> `Spikes` of the layers before. up, down: the
        fields of `Spikes` at which sources with positive and with negative weights stand.
        """
        total = np.cumsum(self.drive[i], axis=1) + self.resting[i]
        for p in self.network.into(i):
            if p.source != INPUT:
                above, below = getattr(sent[p.source], up), getattr(sent[p.source], down)
                add(p.map, self.weights[p.source, i], above, below, total)
        return total

    def _sources(self, i: int, sent: dict[int, Spikes]) -> list[Spikes]:
        return [sent[p.source] for p in self.network.into(i) if p.source != INPUT]

    def _heights(
        self, i: int, sent: dict[int, Spikes], free: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Height, Height]:
        """(least E, greatest E, L, H).

        IF and GN only count up: they need no L, and of E no more than that it is at most H.
        """
        sources, neuron = self._sources(i, sent), self.simulation.neuron
        low = self.charge(i, sent, "fewest", "most")
        if free and not sources:
            return low, low, low, low
        if free and not neuron.signed:
            top = self.charge(i, sent, "highest", "lowest")
            return low, top, -FAR, top
        high = low
        if any(s.fewest is not s.most for s in sources):
            high = self.charge(i, sent, "most", "fewest")
        bounded = all(s.lowest is not None for s in sources)
        if free and neuron.signed and not neuron.confluent and bounded:
            bottom = self.charge(i, sent, "lowest", "highest")
            top = self.charge(i, sent, "highest", "lowest")
            return low, high, bottom, top
        return low, high, -FAR, FAR

    def _after_drive(self, i: int, height: NDArray[np.int64]) -> NDArray[np.int64]:
        """U0, from E after the step before."""
        before = np.broadcast_to(self.resting[i], height[:, :1].shape)
        return np.concatenate([before, height[:, :-1]], axis=1) + self.drive[i]

    def _counts(
        self,
        i: int,
        last: NDArray[np.int64],
        first: NDArray[np.int64],
        farthest: Height,
        free: bool,
    ) -> NDArray[np.int64]:
        """One end of S after each step, from the same ends of E, U0 and of L or H."""
        n = most_at_once(self.simulation.neuron)
        counts, s = np.empty_like(last), np.zeros_like(last[:, 0])
        farthest = np.broadcast_to(farthest, last.shape)
        for k in range(counts.shape[1]):
            if free:
                for height in (first, farthest, last):
                    s = self._settled(i, s, height[:, k])
            else:
                s = np.clip(self._settled(i, s, last[:, k]), s - n, s + n)
            counts[:, k] = s
        return counts

    def _settled(
        self, i: int, s: NDArray[np.int64], height: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Where a neuron of layer i comes to rest, answered at this height after s spikes."""
        neuron, one = self.simulation.neuron, self.simulation.arithmetic.one.item()
        if neuron.confluent:
            return np.clip(height // one, 0, neuron.limits[i])
        if neuron.signed:
            return np.clip(s, np.maximum(height // one, 0), np.maximum(-(-height // one), 0))
        return np.maximum(s, height // one)


def check(simulation: Prepared) -> None:
    """Raises InputError unless intervals are proven for a simulation's neurons and time."""
    time, neuron = simulation.time, simulation.neuron
    if not _is_proven(neuron) or simulation.srp:
        raise InputError(
            "intervals",
            "neurons if, gn, burst, snm or st-bif, without SRP",
            f"{type(neuron).__name__}, srp {simulation.srp}",
            "no bound is proven for another reset, for another negative threshold, or for SRP's "
            "mask, which hangs on a potential",
        )
    if time.refractory or time.window or time.group > 1:
        raise InputError(
            "intervals",
            "neurons that answer every arrival at once",
            f"refractory {time.refractory:g}, window {time.window:g}, group {time.group}",
            "leave them out",
        )
    if time.spread > 1:
        expected, do = "a drive that comes once a step", "leave it out"
        raise InputError("intervals", expected, named("spread", time.spread), do)


def _is_proven(neuron: Any) -> bool:
    """Whether intervals are proven for a model, by what it declares.

    It conserves and holds, and fires from q on; the others' counts are known at rest (ST-BIF), or
    it takes spikes back from -q on (SNM).
    """
    if not (neuron.conserves and neuron.holds) or is_dynamic(type(neuron)):
        return False
    if neuron.confluent:
        return getattr(neuron, "limits", None) is not None
    q = neuron[0]
    ends = ((q, 0), (-q, 1)) if neuron.signed else ((q, 0),)
    if not all(emit(neuron, 0, p, s) for p, s in ends):
        return False
    return bool(neuron.band() == ((-q, q) if neuron.signed else (None, q)))


def weights_of(simulation: Prepared) -> dict[tuple[int, int], NDArray[np.int64]]:
    """The blocks of all projections: (source, target) -> int64 [K, G, ci, co].

    simulation: whose numbers they are in. Raises InputError where sums of up to LIMIT spikes of
    each source would not fit 64 bits.
    """
    weights, heaviest = {}, np.zeros(len(simulation.network.layers))
    for p in simulation.network.projections:
        if p.source == INPUT or simulation.network.layers[p.target].pools:
            continue
        blocks = np.ascontiguousarray(simulation.blocks(p), np.int64)
        weights[p.source, p.target] = blocks
        of_tap = np.abs(blocks.astype(np.float64)).sum(axis=2).max()
        heaviest[p.target] += of_tap * np.bincount(p.map.r).max()
    if heaviest.max() * LIMIT >= 2.0**61:
        raise InputError(
            "intervals",
            f"weights of which {LIMIT:,} spikes fit 64 bits",
            f"F = {simulation.arithmetic.fraction_bits}",
            "choose fewer fraction bits",
        )
    return weights


def add(
    taps: LinearMap,
    blocks: NDArray[np.int64],
    up: NDArray[np.int64],
    down: NDArray[np.int64],
    total: NDArray[np.int64],
) -> None:
    """Adds to `total` the most that counts from `down` to `up` can bring through a map.

    taps: the map. blocks: its weights in whole numbers, int64 [K, G, ci, co]. up, down: int64 [N,
    T, source neurons]; sources with positive weights stand at `up`, those with negative ones at
    `down`. total: int64 [N, T, neurons], contiguous.
    """
    n, (_, _, ci, co) = total.shape[0] * total.shape[1], blocks.shape
    above, below = (x.reshape(n, taps.sites[0], -1) for x in (up, down))
    into = total.reshape(n, taps.sites[1], -1)[..., taps.columns]
    rows = taps.k * blocks[0].size
    add_end(taps.p, taps.r, rows, ci, co, blocks.reshape(-1), above, below, into)


def add_dense(
    weights: NDArray[np.int64],
    up: NDArray[np.int64],
    down: NDArray[np.int64],
    total: NDArray[np.int64],
) -> None:
    """As `add`, with a whole matrix and without time.

    weights: int64 [sources, targets]. up, down: int64 [M, sources]. total: int64 [M, targets].
    """
    at = np.zeros(1, np.int64)
    flat = np.ascontiguousarray(weights).reshape(-1)
    add_end(at, at, at, *weights.shape, flat, up[:, None], down[:, None], total[:, None])


def spikes_of(fewest: NDArray[np.int64], most: NDArray[np.int64], mixed: bool = False) -> Spikes:
    """`Spikes` of a layer from the ends of its counts. fewest, most: int64 [N, T, neurons].

    mixed: whether neurons fire spikes of both signs in a step.
    """
    most = fewest if np.array_equal(fewest, most) else most
    if mixed:
        return Spikes(fewest, most, None, None)
    lowest = np.minimum(_before(fewest), fewest)
    highest = np.maximum(_before(most), most)
    return Spikes(fewest, most, lowest, highest)


def without(spikes: Spikes, gone: NDArray[np.bool_]) -> Spikes:
    """`Spikes` of which some images may be anything, as in `Images.anything`.

    spikes: of one layer. gone: which images were given up throughout, bool [N].
    """
    if not gone.any():
        return spikes
    where = gone[:, None, None]
    fewest, most = np.where(where, 0, spikes.fewest), np.where(where, LIMIT, spikes.most)
    return Spikes(fewest, most, spikes.lowest, spikes.highest)


def _before(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The counts one step earlier."""
    return np.concatenate([np.zeros_like(counts[:, :1]), counts[:, :-1]], axis=1)


def _pooled(windows: LinearMap, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """What each pool unit counts: [N, T, source neurons] -> int64 [N, T, neurons].

    Maximum and minimum grow with every count, so ends of these are the ends of theirs.
    """
    n, steps, _ = counts.shape
    found = linear.pooled(windows, counts.reshape(n * steps, windows.sites[0], -1))
    return found.reshape(n, steps, -1).astype(np.int64)


def _by_step(simulation: Prepared, image: NDArray[Any], number: int) -> NDArray[np.int64]:
    """Drive of one image, int64 [T, neurons]."""
    rows = simulation.drive(image, int(number)).astype(np.int64)
    return rows[np.minimum(np.arange(simulation.steps), len(rows) - 1)]
