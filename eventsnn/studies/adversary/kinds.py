"""The two kinds of edits: times of deliveries, and their order among equals of one tick."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.order import Order
from eventsnn.network.network import INPUT, Network
from eventsnn.studies.adversary.base import Base, Edits, Moves
from eventsnn.studies.adversary.budgets import Budget, arrival_of_cause, of_list
from eventsnn.trace.arrivals import is_clocked
from eventsnn.trace.edits import Delay, Move, nth_of, numbers_of

FRONT, BACK = -1, 1


class Kind(Protocol):
    """A kind of edits of one base run.

    name: "times" or "order". rows: int64 [M], the deliveries that can be moved.
    """

    name: ClassVar[str]
    rows: NDArray[np.int64]

    def __init__(self, base: Base, within: int | None, sent_by: Sequence[int] | None) -> None: ...

    def policy(self, moves: Moves) -> Order:
        """The edited list. moves: of this kind."""

    def edits(self, moves: Moves) -> Edits:
        """The moves as edits of the trace, which give the same list."""

    def budget(self, moves: Moves) -> Budget:
        """How much they edit."""

    def lost(self, moves: Moves) -> NDArray[np.bool_]:
        """Which moves take a delivery behind the end of the base's last replay, bool [k]."""

    def ranked(self, gain: NDArray[np.float32]) -> Moves:
        """A move of each delivery, those first that promise to lower the margin most.

        gain: float32 [T, all neurons], of a positive spike more (`Gains`).
        """

    def drawn(self, rng: np.random.Generator) -> Moves:
        """Every delivery that can be moved, in random order, each to a random place."""


def senders(network: Network, into: Collection[int]) -> list[int]:
    """The numbers of the layers that some layers hear, and no other. into: these ones' numbers."""
    reached: dict[int, set[int]] = {}
    for p in network.projections:
        if p.source != INPUT:
            reached.setdefault(p.source, set()).add(p.target)
    return [i for i, targets in reached.items() if targets <= set(into)]


def _movable(base: Base, sent_by: Sequence[int] | None) -> NDArray[np.bool_]:
    """Which deliveries may be moved, bool [D]: those of some layers; None: of all."""
    if sent_by is None:
        return np.ones(len(base.spikes), bool)
    return np.isin(base.spikes["layer"], sent_by)


class Times:
    """Deliveries come later, by 1 to `within` steps under order clocked, and else ticks.

    With order clocked a delivery is due in another step, the last one at most. Else its step waits
    for it, and all that is due at the recorded tick comes to rest before.

    base: that is edited. within: the most (None: 1). sent_by: the numbers of the
    layers whose spikes may be moved (None: all).
    """

    name: ClassVar[str] = "times"

    def __init__(
        self, base: Base, within: int | None = None, sent_by: Sequence[int] | None = None
    ) -> None:
        self.base = base
        self.clocked = is_clocked(base.simulation)
        self.within = within or 1
        # an edit of one tick takes a delivery behind the end of its step
        self.step = base.simulation.time.ticks if self.clocked else 1
        last = base.simulation.steps - 1
        self.room = np.full(len(base.spikes), self.within)
        if self.clocked:
            self.room = np.minimum(self.within, last - base.trace.deliveries["step"])
        self.rows = np.flatnonzero((self.room > 0) & _movable(base, sent_by))
        self.nth = nth_of(numbers_of(base.trace, base.trace.spikes))

    def policy(self, moves: Moves) -> Order:
        """See `Kind.policy`."""
        return self.base.listed(self._ticks(moves), np.arange(len(self.base.spikes)))

    def _ticks(self, moves: Moves) -> NDArray[np.int64]:
        ticks = self.base.trace.deliveries["tick"].copy()
        ticks[moves.rows] += moves.to
        return ticks

    def edits(self, moves: Moves) -> Edits:
        """See `Kind.edits`."""
        ticks = self.base.simulation.time.ticks
        seqs = self.base.trace.deliveries["spike"][moves.rows]
        pairs = sorted(zip(seqs.tolist(), moves.to.tolist()))
        return tuple(Delay(seq, later / ticks) for seq, later in pairs)

    def budget(self, moves: Moves) -> Budget:
        """See `Kind.budget`."""
        places = np.arange(len(self.base.spikes))
        return of_list(self.base.trace.deliveries["tick"], places, self._ticks(moves))[1]

    def lost(self, moves: Moves) -> NDArray[np.bool_]:
        """See `Kind.lost`."""
        if not self.clocked:
            return np.zeros(moves.size, bool)
        spikes = self.base.trace.deliveries["spike"][moves.rows]
        sent = self.base.sent[:, self.base.numbers[moves.rows]]
        emitted = (sent <= self.nth[spikes]).sum(axis=0)  # in this step; T: never
        late = -(-moves.to // self.step)
        return np.asarray((emitted < len(sent)) & (emitted + late >= len(sent)))

    def ranked(self, gain: NDArray[np.float32]) -> Moves:
        """See `Kind.ranked`."""
        rows, base = self.rows, self.base
        numbers, step = base.numbers[rows], base.trace.deliveries["step"][rows]
        sign = base.spikes["sign"][rows].astype(np.float32)
        now = gain[step, numbers]
        best, to = np.full(len(rows), np.inf, np.float32), np.ones(len(rows), np.int64)
        for later in range(1, self.within + 1):
            if self.clocked:
                there = gain[np.minimum(step + later, len(gain) - 1), numbers]
            else:
                there = 0 * now  # it comes when the step's spikes have been fired
            change = np.where(self.room[rows] >= later, sign * (there - now), np.inf)
            to[change < best] = self._later(later)
            best = np.minimum(best, change)
        order = np.argsort(best, kind="stable")
        return Moves(rows[order], to[order])

    def _later(self, steps: int) -> int:
        """The fewest ticks with which a delivery comes so many steps (or ticks) later."""
        return (steps - 1) * self.step + 1

    def drawn(self, rng: np.random.Generator) -> Moves:
        """See `Kind.drawn`."""
        rows = rng.permutation(self.rows)
        steps = 1 + (rng.random(len(rows)) * self.room[rows]).astype(np.int64)
        return Moves(rows, self._later(1) + (steps - 1) * self.step)


class Places:
    """Deliveries change places among those of their tick.

    A search moves them as far as they can: to the tick's beginning, though behind the delivery that
    fired them, or to its end. Random edits move to any place between.

    base: that is edited, in an order with deliveries that are due together. within: not used.
    sent_by: as in `Times`.
    """

    name: ClassVar[str] = "order"

    def __init__(
        self, base: Base, within: int | None = None, sent_by: Sequence[int] | None = None
    ) -> None:
        self.base = base
        deliveries = base.trace.deliveries
        tick = deliveries["tick"]
        rises = np.flatnonzero(np.diff(tick)) + 1
        begins = np.append(0, rises)
        ends = np.append(rises, len(tick))
        of_tick = np.searchsorted(begins, np.arange(len(tick)), side="right") - 1
        # the first place that a delivery may take, and the tick's last delivery, which stays
        self.first = np.maximum(begins[of_tick], arrival_of_cause(base.trace) + 1)
        self.last = ends[of_tick] - 1
        rows = np.arange(len(tick))
        room = (rows < self.last) & (self.last - self.first > 0)
        self.rows = np.flatnonzero(room & _movable(base, sent_by))

    def policy(self, moves: Moves) -> Order:
        """See `Kind.policy`."""
        return self.base.listed(self.base.trace.deliveries["tick"], self._places(moves))

    def _line(self, moves: Moves) -> NDArray[np.int64]:
        """The deliveries in their new order; what goes to one place stands by its old one."""
        count = len(self.base.spikes)
        at = np.arange(count).astype(np.float64)
        at[moves.rows] = moves.to - 0.5
        return np.lexsort((np.arange(count), at))

    def _places(self, moves: Moves) -> NDArray[np.int64]:
        line = self._line(moves)
        places = np.empty(len(line), np.int64)
        places[line] = np.arange(len(line))
        return places

    def edits(self, moves: Moves) -> Edits:
        """See `Kind.edits`."""
        line, moved = self._line(moves), np.zeros(len(self.base.spikes), bool)
        moved[moves.rows] = True
        seqs = self.base.trace.deliveries["spike"]
        places = np.flatnonzero(moved[line])
        # the next delivery that stays where it is
        stays = np.flatnonzero(~moved[line])
        behind = stays[np.searchsorted(stays, places)]
        pairs = zip(seqs[line[places]].tolist(), seqs[line[behind]].tolist())
        return tuple(Move(seq, before) for seq, before in pairs)

    def budget(self, moves: Moves) -> Budget:
        """See `Kind.budget`."""
        tick = self.base.trace.deliveries["tick"]
        return of_list(tick, self._places(moves), tick)[0]

    def lost(self, moves: Moves) -> NDArray[np.bool_]:
        """See `Kind.lost`: the step waits."""
        return np.zeros(moves.size, bool)

    def ranked(self, gain: NDArray[np.float32]) -> Moves:
        """See `Kind.ranked`."""
        rows, base = self.rows, self.base
        step = base.trace.deliveries["step"][rows]
        change = base.spikes["sign"][rows] * gain[step, base.numbers[rows]]
        # what helps the class comes last, what hurts it first
        to = np.where(change > 0, self.last[rows], self.first[rows])
        order = np.argsort(-np.abs(change), kind="stable")
        order = order[(to[order] != rows[order]) & (to[order] != rows[order] + 1)]
        return Moves(rows[order], to[order])

    def drawn(self, rng: np.random.Generator) -> Moves:
        """See `Kind.drawn`."""
        rows = rng.permutation(self.rows)
        first, last = self.first[rows], self.last[rows]
        to = first + (rng.random(len(rows)) * (last - first)).astype(np.int64)
        to += to >= rows  # right before itself, or the next one, is where it is
        return Moves(rows, np.minimum(to + (to == rows + 1), last))


KINDS: dict[str, type[Times] | type[Places]] = {"order": Places, "times": Times}
