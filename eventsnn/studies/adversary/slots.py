"""Input events in slots, and the moves that a retiming may make of them.

The model is that of Yu et al., Time Is All It Takes (arXiv 2602.03284): events of the input come at
other times; one slot of an input holds one spike; counts are kept. A slot is an input and a step.
Events of one slot move together, and count as one spike.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.studies.adversary.base import Moves
from eventsnn.studies.adversary.budgets import NOTHING, Budget, of_times

Whole = NDArray[np.int64]


class Limits(NamedTuple):
    """The most that a retiming may do; None: any number.

    b0: spikes moved. b1: steps in all. binf: steps of one spike.
    """

    b0: int | None = None
    b1: int | None = None
    binf: int | None = None

    def check(self) -> None:
        """Raises InputError for a limit below 1."""
        for name, value in zip(self._fields, self):
            if value is not None and value < 1:
                raise InputError(name, "a whole number from 1, or None", value)


class Slots:
    """The spikes of one recording, and moves of them to free slots of their input.

    events: int64 [E, 4] (`encoding.events_of`). steps: T. limits: the budget.

    inputs, at: int64 [P], of each spike its input and step. worth: int64 [P], the sum of its
    events' signs. of: int64 [E], the spike of each event. rows: the numbers of all spikes.
    """

    def __init__(self, events: Whole, steps: int, limits: Limits) -> None:
        self.events, self.steps, self.limits = events, steps, limits
        keys, self.of = np.unique(events[:, 2] * steps + events[:, 0], return_inverse=True)
        self.inputs, self.at = np.divmod(keys, steps)
        self.worth = np.zeros(len(keys), np.int64)
        np.add.at(self.worth, self.of, events[:, 3])
        self.rows = np.arange(len(keys))

    def schedule(self, moves: Moves) -> Whole:
        """The step of each spike after moves, int64 [P]; one after the other.

        A move to a slot that is taken, or beyond the limits, is left out. moves: rows: spikes; to:
        their steps.
        """
        at, taken = self.at.copy(), {*zip(self.inputs.tolist(), self.at.tolist())}
        moved = total = 0
        b0, b1, binf = (np.inf if limit is None else limit for limit in self.limits)
        for row, to in zip(moves.rows.tolist(), moves.to.tolist()):
            mine, was = int(self.inputs[row]), int(self.at[row])
            by = abs(to - was)
            free = at[row] == was and (mine, to) not in taken
            if free and 0 < by <= binf and moved < b0 and total + by <= b1:
                taken.remove((mine, was))
                taken.add((mine, to))
                at[row] = to
                moved, total = moved + 1, total + by
        return at

    def policy(self, moves: Moves) -> Any:
        """The retimed events, int64 [E, 4], in the order of time. moves: as in `schedule`."""
        events = self.events.copy()
        events[:, 0] = self.schedule(moves)[self.of]
        return events[np.lexsort((np.arange(len(events)), events[:, 1], events[:, 0]))]

    def budget(self, moves: Moves) -> Budget:
        """B0: spikes moved; B1: steps in all; B-infinity: the most steps. moves: as above."""
        return of_times(self.at, self.schedule(moves)) if len(self.at) else NOTHING

    def lost(self, moves: Moves) -> NDArray[np.bool_]:
        """Which moves lose an event, bool [k]: none does."""
        return np.zeros(moves.size, bool)

    def ranked(self, gain: NDArray[np.float32]) -> Moves:
        """For each spike the move that promises to lower the margin most, the best first.

        gain: float32 [T, inputs], of a positive event more.
        """
        own = gain[:, self.inputs]
        change = self.worth * (own - own[self.at, self.rows])
        change[self._closed()] = np.inf
        to = change.argmin(axis=0)
        best = change[to, self.rows]
        order = np.argsort(best, kind="stable")
        order = order[np.isfinite(best[order])]
        return Moves(order, to[order])

    def _closed(self) -> NDArray[np.bool_]:
        """Where no spike may go: bool [T, P]. Slots that are taken, and what is too far."""
        far = np.abs(np.arange(self.steps)[:, None] - self.at)
        closed = far > (self.steps if self.limits.binf is None else self.limits.binf)
        full = np.zeros((self.steps, int(self.inputs.max(initial=0)) + 1), bool)
        full[self.at, self.inputs] = True
        return np.asarray(closed | full[:, self.inputs])

    def drawn(self, rng: np.random.Generator) -> Moves:
        """Every spike that has room, in random order, each to a random slot."""
        weights = np.where(self._closed(), 0, rng.random((self.steps, len(self.rows))))
        to = weights.argmax(axis=0)
        rows = rng.permutation(self.rows[weights.max(axis=0, initial=0) > 0])
        return Moves(rows, to[rows])

    def __repr__(self) -> str:
        return f"<Slots: {len(self.rows):,} spikes of {len(self.events):,} events>"
