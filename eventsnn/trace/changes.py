"""What an edit changed: the spikes of two runs of one image, compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.trace.edits import Edit, Move, Swap, edited, named, nth_of, numbers_of
from eventsnn.trace.trace import Trace

# two spikes are the same if these are; ticks may differ
SAME = ("layer", "neuron", "step", "sign", "member")
GAINED, LOST, MOVED = range(3)


def first_difference(
    old: NDArray[np.void], new: NDArray[np.void]
) -> tuple[np.void | None, np.void | None] | None:
    """The first spikes (old, new) in the order of emission that differ.

    One that is missing is None. Returns None if there is no difference.

    old, new: structured [S], the spikes of two traces.
    """
    count = min(len(old), len(new))
    differ = np.zeros(count, bool)
    for name in SAME:
        differ |= old[name][:count] != new[name][:count]
    at = int(differ.argmax()) if differ.any() else count
    if at == len(old) == len(new):
        return None
    return old[at] if at < len(old) else None, new[at] if at < len(new) else None


def spread(trace: Trace, new: NDArray[np.void]) -> list[dict[str, Any]]:
    """Spikes gained, lost and moved: a dict for each layer and step with any.

    Its keys are layer (name), step (from 1), gained, lost and moved. Of each neuron and sign the
    counts in the steps are compared. What is missing in one step and surplus in another has moved
    (the earliest to the earliest); it counts in the old step. The rest is lost or gained.

    trace: of the old run. new: structured [S], the spikes of the new run.
    """
    kinds, change = _changed(_kinds(trace, trace.spikes), _kinds(trace, new))
    signed, steps = np.divmod(kinds, trace.simulation.steps)
    # a group is one neuron and sign, in all its steps
    group = np.cumsum(np.diff(signed, prepend=-1) != 0) - 1
    count = int(group.max(initial=-1)) + 1
    surplus = np.bincount(group, np.maximum(change, 0), count)
    missing = np.bincount(group, np.maximum(-change, 0), count)
    moves = np.minimum(surplus, missing)
    table = np.zeros((len(trace.names), trace.simulation.steps, 3), np.int64)
    for sign, column in ((1, GAINED), (-1, LOST)):
        unit = np.repeat(np.arange(len(kinds)), np.maximum(sign * change, 0))
        moved = nth_of(group[unit]) < moves[group[unit]]
        layer = trace.simulation.network.layer_of[signed[unit] // 2]
        when = steps[unit]
        np.add.at(table, (layer[~moved], when[~moved], column), 1)
        if column == LOST:
            np.add.at(table, (layer[moved], when[moved], MOVED), 1)
    found = []
    for layer, step in np.argwhere(table.any(axis=2)).tolist():
        gained, lost, moved = table[layer, step].tolist()
        row = {"layer": trace.names[layer], "step": step + 1}
        found.append({**row, "gained": gained, "lost": lost, "moved": moved})
    return found


def _kinds(trace: Trace, spikes: NDArray[np.void]) -> NDArray[np.int64]:
    """Neuron (among all layers), sign and step of each spike, as one number; int64 [S]."""
    steps = trace.simulation.steps
    return (2 * numbers_of(trace, spikes) + (spikes["sign"] > 0)) * steps + spikes["step"]


def _changed(
    old: NDArray[np.int64], new: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(kinds, change): what is not there equally often, sorted, and how much more often it is new.

    old, new: the kind of each spike.
    """
    kinds, change = np.unique(np.concatenate([old, new]), return_counts=True)
    found, counts = np.unique(old, return_counts=True)
    change[np.searchsorted(kinds, found)] -= 2 * counts
    return kinds[change != 0], change[change != 0]


def unheeded(trace: Trace, found: Trace, edits: Sequence[Edit]) -> list[str]:
    """The edits that a run did not follow to the letter, in words.

    There are such edits since a list decides only among spikes that are there.

    trace: of the recorded run. found: of the edited one. edits: of which it is the run. Raises
    InputError for an edit that cannot be.
    """
    notes = []
    place, tick = edited(trace, edits)
    numbers = numbers_of(trace, trace.spikes), numbers_of(found, found.spikes)
    for edit in edits:
        if not isinstance(edit, (Swap, Move)):
            continue
        wanted = [_wanted(trace, seq, place, tick) for seq in named(edit)]
        came = [_delivered(found, *numbers, seq) for seq in named(edit)]
        if None in wanted:
            continue
        if None in came:
            gone = named(edit)[came.index(None)]
            notes.append(f"{edit}: spike {gone} is not fired any more.")
        elif _rises(wanted) != _rises(came):
            why = "one is fired only after the other has been delivered"
            notes.append(f"{edit}: the order stays, since {why}.")
    return notes


def _rises(pair: Sequence[Any]) -> bool:
    """Whether the second of two is the larger."""
    first, second = pair
    return bool(first < second)


def _wanted(
    trace: Trace, seq: int, place: NDArray[np.int64], tick: NDArray[np.int64]
) -> tuple[int, int] | None:
    """(tick, place) of a spike's first delivery in the edited list; None if it is dropped."""
    rows = np.flatnonzero((trace.deliveries["spike"] == seq) & (tick >= 0))
    return min(((int(tick[i]), int(place[i])) for i in rows), default=None)


def _delivered(
    found: Trace, mine: NDArray[np.int64], its: NDArray[np.int64], seq: int
) -> int | None:
    """Where in another run's deliveries a spike of a trace comes first; None: nowhere.

    found: the other run. mine, its: int64 [S], the neurons of the spikes of the trace and of it.
    """
    same = np.flatnonzero(its == mine[seq])
    nth = int((mine[:seq] == mine[seq]).sum())
    if nth >= len(same):
        return None
    rows = np.flatnonzero(found.deliveries["spike"] == same[nth])
    return int(rows[0]) if len(rows) else None
