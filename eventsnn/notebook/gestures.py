"""What a hand does in the live microscope's picture, as edits of the recorded run.

The picture shows the edited run, and edits name spikes by their seq in the recorded one. A spike is
known in both by its neuron and by how many the neuron had sent before, as in a replay. What exists
only because of an edit has no seq there, so it cannot be edited.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.simulation.time import check_length
from eventsnn.trace.edits import Delay, Drop, Edit, Move, Swap, nth_of, numbers_of
from eventsnn.trace.observation import DRIVE, Observation
from eventsnn.trace.trace import Trace
from eventsnn.values import number, shown, whole


def recorded_spikes(trace: Trace, found: Trace, seen: Observation) -> list[int]:
    """For each arrival, its spike's seq in the recorded run, -1 where there is none.

    trace: the recorded run. found: the edited one. seen: of a neuron in it.
    """
    spikes = seen.arrivals["spike"]
    if found is trace:
        return [int(seq) for seq in spikes]
    wanted = np.unique(numbers_of(found, found.spikes[spikes[spikes >= 0]]))
    recorded = {sent: seq for seq, sent in _sent(trace, wanted).items()}
    edited = _sent(found, wanted)
    return [recorded.get(edited.get(seq, (-1, -1)), -1) for seq in spikes.tolist()]


def _sent(trace: Trace, wanted: NDArray[np.int64]) -> dict[int, tuple[int, int]]:
    """seq -> (neuron among all, spikes that it sent before), of the spikes of some neurons."""
    numbers = numbers_of(trace, trace.spikes)
    own = np.flatnonzero(np.isin(numbers, wanted))
    return dict(zip(own.tolist(), zip(numbers[own].tolist(), nth_of(numbers[own]).tolist())))


class Arrivals:
    """The arrivals of the picture, as what a hand takes hold of.

    seen: the neuron in the edited run. recorded: of each arrival, see `recorded_spikes`. ticks: of
    a step.
    """

    def __init__(self, seen: Observation, recorded: list[int], ticks: int) -> None:
        self.rows = seen.arrivals
        self.recorded = recorded
        self.ticks = ticks

    def place(self, at: Any, gap: Any) -> tuple[Edit, ...]:
        """A spike is put between two arrivals: in front of the next, or behind the last of a step.

        at: which arrival. gap: in front of which one, from 0 to their number.
        """
        spike = self._spike(at)
        gap = _within("gap", gap, len(self.rows))
        after, before = self._beside(gap), self._beside(gap - 1)
        same_step = 0 < gap < len(self.rows) and (
            self.rows["step"][gap] == self.rows["step"][gap - 1]
        )
        if after >= 0 and (same_step or before < 0):
            return (Move(spike, _other(spike, after)),)
        if before < 0:
            do = "put it beside an arrival that is a recorded spike"
            raise InputError("place", "a recorded spike beside it", "none", do)
        return Move(spike, _other(spike, before)), Swap(spike, before)

    def swap(self, at: Any, by: Any) -> tuple[Edit, ...]:
        """A spike and its neighbour among the recorded ones change places.

        at: which arrival. by: 1, the next one, or -1, the one before.
        """
        spike = self._spike(at)
        if by not in (1, -1):
            raise InputError("swap", "1 or -1", shown(by))
        other = at + by
        while 0 <= other < len(self.rows) and self.recorded[other] in (-1, spike):
            other += by
        if not 0 <= other < len(self.rows):
            where = "behind" if by > 0 else "in front of"
            raise InputError("swap", f"a recorded spike {where} spike {spike}", "none")
        return (Swap(spike, self.recorded[other]),)

    def shift(self, at: Any, steps: Any) -> tuple[Edit, ...]:
        """A spike arrives later by a delay, or earlier in front of what arrives then.

        at: which arrival. steps: by how much, below 0: earlier.
        """
        spike = self._spike(at)
        steps = number("steps", steps)
        check_length(abs(steps), "steps")
        if steps >= 0:
            late = round(steps * self.ticks) / self.ticks
            if not late:
                raise InputError("steps", f"a tick, {1 / self.ticks:g} steps, or more", steps)
            return (Delay(spike, late),)
        tick = self.rows["tick"][at] + steps * self.ticks
        gap = int(np.searchsorted(self.rows["tick"][:at], tick))
        while gap < at and self.recorded[gap] < 0:
            gap += 1
        return self.place(at, gap)

    def drop(self, at: Any) -> tuple[Edit, ...]:
        """A spike is not delivered. at: which arrival."""
        return (Drop(self._spike(at)),)

    def _spike(self, at: Any) -> int:
        """The seq of an arrival's spike; InputError where it is no recorded one."""
        at = _within("arrival", at, len(self.rows) - 1)
        if self.recorded[at] >= 0:
            return self.recorded[at]
        found = "drive" if self.rows["source"][at] == DRIVE else "no spike"
        if self.rows["spike"][at] >= 0:
            found = "a spike that exists only because of the edits"
        raise InputError(f"arrival {at}", "a recorded spike, which can be edited", found)

    def _beside(self, at: int) -> int:
        """The seq of an arrival's spike; -1: there is none, or no arrival."""
        return self.recorded[at] if 0 <= at < len(self.rows) else -1


def _other(spike: int, beside: int) -> int:
    """The spike beside which one is put; InputError where it is the same."""
    if spike == beside:
        raise InputError("place", "another place", f"the one where spike {spike} is")
    return beside


def _within(where: str, value: Any, most: int) -> int:
    """A place in the picture; InputError for any other value."""
    found = whole(where, value)
    if not 0 <= found <= most:
        raise InputError(where, f"0 to {most}", found)
    return found
