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
    notes: list[str] = []
    place, tick = edited(trace, edits)
    if not any(isinstance(edit, (Swap, Move)) for edit in edits):
        return notes
    wanted_at = _wanted(trace, place, tick)
    came_at = _delivered(trace, found)
    for edit in edits:
        if not isinstance(edit, (Swap, Move)):
            continue
        wanted = [wanted_at.get(seq) for seq in named(edit)]
        came = [came_at.get(seq) for seq in named(edit)]
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
    trace: Trace, place: NDArray[np.int64], tick: NDArray[np.int64]
) -> dict[int, tuple[int, int]]:
    """(tick, place) of each spike's first delivery in the edited list, but for dropped ones."""
    of = trace.deliveries["spike"]
    first: dict[int, tuple[int, int]] = {}
    for i in np.lexsort((place, tick)).tolist():
        if tick[i] >= 0:
            first.setdefault(int(of[i]), (int(tick[i]), int(place[i])))
    return first


def _delivered(trace: Trace, found: Trace) -> dict[int, int]:
    """Where in another run's deliveries each spike of a trace comes first, where it does.

    found: the other run.
    """
    names = []
    for each in (trace, found):
        numbers = numbers_of(each, each.spikes)
        names.append(list(zip(numbers.tolist(), nth_of(numbers).tolist())))
    first: dict[int, int] = {}
    for row, seq in enumerate(found.deliveries["spike"].tolist()):
        first.setdefault(seq, row)
    its = {name: seq for seq, name in enumerate(names[1])}
    return {
        seq: first[its[name]]
        for seq, name in enumerate(names[0])
        if name in its and its[name] in first
    }
