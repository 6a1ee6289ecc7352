"""The search for the least edit that flips a class: guided by gains, confirmed by replays."""

from __future__ import annotations

import time as clock
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from eventsnn.engine.event.driver import StillFiring
from eventsnn.engine.overflow import Overflow
from eventsnn.studies.adversary.base import NONE, Base, Moves, Outcome
from eventsnn.studies.adversary.gains import Gains, steps_of
from eventsnn.studies.adversary.kinds import Kind

RIVALS = 3  # classes that a search tries to bring up, those nearest to the right one
MEASURED = 32  # moves that are replayed one by one before some of them are made
SINGLE_STEPS = 8  # moves that are made at once at most where they are replayed one by one
STARTS = 16  # of climbs, before it is given up that anything flips
MENDS = 8  # replays of the same moves, without those that lost their delivery in the one before
STALLS = 4  # steps without a smaller margin, after which a climb is given up


class Limit(NamedTuple):
    """When a search ends. seconds: of its own time. replays: how many (None: any number)."""

    seconds: float
    replays: int | None = None


class _Over(Exception):
    """The search has used up its time or its replays."""


class Search:
    """The search on one image.

    base: whose class is to be flipped. kind: of the edits. gains: of the network. limit: when it
    ends. rng: for what is drawn. least: the fewest moves that are known to flip so far, those of
    random edits at first (None: none do).
    """

    def __init__(
        self,
        base: Base,
        kind: Kind,
        gains: Gains,
        limit: Limit,
        rng: np.random.Generator,
        least: Moves | None = None,
    ) -> None:
        self.base = base
        self.kind = kind
        self.gains = gains.of
        self.limit = limit
        self.rng = rng
        self.least = least
        self.ends_at = clock.perf_counter() + limit.seconds
        self.begun = base.replays

    def run(self) -> Moves | None:
        """The fewest moves that were found to flip the class; None where none were."""
        with suppress(_Over):
            self._at_once()
            self._start_elsewhere()
            if self.least is not None:
                self._refine()
        return self.least

    def _at_once(self) -> None:
        """As many of the best moves as it takes, for each of the nearest rivals."""
        for rival in self.base.recorded.rivals(self.base.predicted)[:RIVALS]:
            ranked = self._ranked(NONE, rival)
            self.least_first(ranked, self.least.size if self.least else ranked.size + 1)
        if self.least is not None:
            self._shrink()

    def _start_elsewhere(self) -> None:
        """Climbs from nothing, and then from a few random edits, until something flips."""
        start, batch = NONE, max(1, len(self.kind.rows) // 64)
        for _ in range(STARTS):
            if self.least is not None or not len(self.kind.rows):
                return
            self._climb(batch, start)
            count = int(self.rng.integers(1, 4))
            start, batch = self.kind.drawn(self.rng).some(slice(count)), max(1, batch // 2)

    def least_first(self, ranked: Moves, below: int) -> int | None:
        """The least number, below another, of first moves that flip; None where none is found.

        It is sought by doubling and halving, so a lesser one may be missed.
        """
        count = 1
        while not self._flips(ranked.some(slice(count))):
            if count >= min(below - 1, ranked.size):
                return None
            count = min(2 * count, below - 1, ranked.size)
        low = count // 2
        while count - low > 1:
            middle = (low + count) // 2
            if self._flips(ranked.some(slice(middle))):
                count = middle
            else:
                low = middle
        return count

    def _refine(self) -> None:
        """Climbs by ever smaller steps, then from parts of what was found, until time is over."""
        assert self.least is not None
        batch = self.least.size
        while batch > 1:
            batch = max(1, min(batch, self.least.size) // 4)
            self._climb(batch, NONE)
        while self.least.size > 1:
            kept = int(self.rng.integers(self.least.size))
            some = self.rng.permutation(self.least.size)[:kept]
            self._climb(max(1, (self.least.size - kept) // 8), self.least.some(np.sort(some)))

    def _climb(self, batch: int, moves: Moves) -> None:
        """Makes moves, the best first, until they flip, or are as many as those known to.

        batch: how many at a time. moves: those to begin with.
        """
        found = self._outcome(moves)
        right, stalls = self.base.predicted, 0
        while stalls < STALLS and (self.least is None or moves.size + 1 < self.least.size):
            rival = found.rivals(right)[stalls % 2 if len(found.readout) > 2 else 0]
            ranked = self._ranked(moves, rival)
            if not ranked.size:
                return
            if batch <= SINGLE_STEPS:
                ranked = self._measured(moves, ranked.some(slice(MEASURED)))
            margin, before = found.margin(right), moves
            for count in sorted({1, *(max(1, batch * k // 2) for k in (1, 2, 4))}):
                tried = before.with_(ranked.some(slice(count)))
                its = self._outcome(tried)
                if its.predicted != right:
                    self._shrink()
                    return
                if its.margin(right) < margin:
                    margin, moves, found = its.margin(right), tried, its
            stalls = 0 if moves is not before else stalls + 1
            if moves is before and stalls == STALLS // 2:
                moves = before.with_(ranked.some(slice(batch)))  # through a worse place
                found = self._outcome(moves)
                if found.predicted != right:
                    self._shrink()
                    return

    def _measured(self, moves: Moves, ranked: Moves) -> Moves:
        """Moves by the margin that a replay with each of them alone, beside others, gives."""
        right = self.base.predicted
        margins = [
            self._outcome(moves.with_(ranked.some(slice(i, i + 1)))).margin(right)
            for i in range(ranked.size)
        ]
        return ranked.some(np.argsort(margins, kind="stable"))

    def _shrink(self) -> None:
        """Takes moves away while the rest flips: first many at once, at last one by one."""
        assert self.least is not None
        moves = self.least
        size = max(1, moves.size // 2)
        while True:
            start = 0
            while start < moves.size and moves.size > 1:
                kept = np.ones(moves.size, bool)
                kept[start : start + size] = False
                if kept.any() and self._flips(moves.some(kept)):
                    moves = moves.some(kept)
                else:
                    start += size
            if size == 1:
                return
            size = max(1, min(size // 2, moves.size // 2))

    def _ranked(self, moves: Moves, rival: int) -> Moves:
        """The moves that may bring up a rival beside others, without these."""
        right = self.base.predicted
        weights = np.zeros(len(self.base.recorded.readout))
        weights[right], weights[rival] = 1, -1
        if self.base.run.readout.shape[1] == 1:
            weights = weights[1:]
        self._go_on()
        run = self.base.begin(self.kind.policy(moves))
        try:
            steps = steps_of(run, float(self.base.simulation.arithmetic.one))
        except (StillFiring, Overflow):
            return NONE  # it fires without end: nothing is to be learnt there
        ranked = self.kind.ranked(self.gains(steps, weights))
        return ranked.some(~np.isin(ranked.rows, moves.rows))

    def _flips(self, moves: Moves) -> bool:
        return self._outcome(moves).predicted != self.base.predicted

    def _outcome(self, moves: Moves) -> Outcome:
        """What a replay comes to; the fewest moves that flip are kept.

        Moves that take a delivery behind the run's end are left out.
        """
        for _ in range(MENDS):
            self._go_on()
            run = self.base.replay(self.kind.policy(moves))
            if run is None:  # it fires without end, which is no class
                return self.base.recorded
            lost = self.kind.lost(moves)
            if not lost.any():
                break
            moves = moves.some(~lost)  # an attack drops no delivery
        else:
            return self.base.recorded
        found = self.base.outcome(run)
        flips = found.predicted != self.base.predicted
        if flips and (self.least is None or moves.size < self.least.size):
            self.least = moves
        return found

    def _go_on(self) -> None:
        """Raises _Over where time or replays are used up."""
        used = self.base.replays - self.begun
        many = self.limit.replays is not None and used >= self.limit.replays
        if many or clock.perf_counter() > self.ends_at:
            raise _Over


def random_needs(
    base: Base, kind: Kind, draws: int, rng: np.random.Generator
) -> list[tuple[Moves, bool]]:
    """(the fewest first random edits that flip, True), or (all, False) where none do, of each draw.

    Each takes some replays for every doubling of the deliveries, without a limit, so that it is not
    time that decides. base, kind, rng: as in `Search`.
    """
    found = []
    for _ in range(draws):
        search = _Random(base, kind)
        drawn = kind.drawn(rng)
        search.least_first(drawn, drawn.size + 1)
        least = search.least
        found.append((drawn, False) if least is None else (least, True))
    return found


class _Random(Search):
    """Random edits, doubled and halved, without a limit. base, kind: as in `Search`."""

    def __init__(self, base: Base, kind: Kind) -> None:
        self.base, self.kind, self.limit = base, kind, Limit(float("inf"))
        self.least = None
        self.ends_at = float("inf")
        self.begun = base.replays
