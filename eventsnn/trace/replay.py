"""What would have happened in another order: a recorded image again, with chosen spikes swapped,
moved, dropped or delayed.

    replayed = replay(simulation, trace, pixels, [Swap(12, 17), Drop(30)])

A recorded run is a list of deliveries. The list decides again: a spike is told by its neuron and by
how many the neuron had sent before, it takes its recorded delay, and of what is due at one tick
what stands first in the list comes first. An edit changes the list, nothing else: a spike that only
exists because of the edit is not in the list; it goes without delay, after all that are due at its
tick and are in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.driver import EventRun, Overflow, StillFiring
from eventsnn.engine.event.layout import DELIVERY, HALF_BIT, PROJECTION_BIT, PROJECTIONS, State
from eventsnn.engine.event.order import Order
from eventsnn.engine.event.queue import HEAP, KEY, MOMENT, NUMBER, SPIKE, TAKEN, WHAT
from eventsnn.exceptions import InputError
from eventsnn.simulation.event import engine_of, plain_errors
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import check_complete, is_clocked
from eventsnn.trace.edits import (
    Delay,
    Drop,
    Edit,
    Move,
    Swap,
    edited,
    named,
    nth_of,
    numbers_of,
    recorded_order,
)
from eventsnn.trace.trace import Recorder, Trace

__all__ = [
    "Swap",
    "Move",
    "Drop",
    "Delay",
    "Replayed",
    "replay",
    "start",
    "run_at",
    "branch",
    "play",
    "state_at",
]

SAME = ("layer", "neuron", "step", "sign", "member")
GAINED, LOST, MOVED = range(3)
SHOWN = 8  # steps named in a line


@dataclass
class Replayed:
    """A run again, edited.

    trace: of the edited run; before: of the recorded one. run: the finished `EventRun`. first: the
    first spikes, in the order of emission, of the two runs that are not the same (recorded,
    replayed; None where a run has none left), or None. spread: one dict for each layer and step in
    which spikes differ: gained, lost (counted in their own step) and moved (fired in another step,
    counted in the old one). Spikes are the same if layer, neuron, step, sign and member are; ticks
    may differ. readouts: float64 [2, classes], before and after, in units of the ANN's output.
    notes: edits that could not be carried out to the letter.
    """

    trace: Trace
    before: Trace
    run: EventRun
    edits: tuple[Edit, ...]
    first: tuple[Any, Any] | None
    spread: list[dict[str, Any]]
    readouts: NDArray[np.float64]
    notes: list[str]

    @property
    def predictions(self) -> tuple[int, int]:
        """The classes with the largest readout, before and after."""
        before, after = self.readouts.argmax(axis=1)
        return int(before), int(after)

    def __str__(self) -> str:
        lines = [
            f"Image {self.trace.number}, edited: {', '.join(map(str, self.edits)) or 'nothing'}.",
            *self.notes,
        ]
        if self.first is None:
            lines.append("Every spike is the same.")
        elif not self.spread:
            lines.append("The same spikes, in another order.")
        else:
            lines.append(
                "First differing spike: "
                + " instead of ".join(self._spike(s) for s in reversed(self.first))
                + "."
            )
        for layer in dict.fromkeys(row["layer"] for row in self.spread):
            rows = [row for row in self.spread if row["layer"] == layer]
            gained, lost, moved = (
                sum(row[name] for row in rows) for name in ("gained", "lost", "moved")
            )
            steps = ", ".join(str(row["step"]) for row in rows[:SHOWN]) + ", …" * (
                len(rows) > SHOWN
            )
            lines.append(
                f"  {layer}: {gained} gained, {lost} lost, {moved} moved, in "
                f"step{'s' * (len(rows) > 1)} {steps}"
            )
        change = np.diff(self.readouts, axis=0)[0]
        at = int(np.abs(change).argmax())
        before, after = self.predictions
        lines.append(
            (
                f"Readout: changes most at class {at}, by {change[at]:+.4g}; "
                if change.any()
                else "Readout: unchanged; "
            )
            + (
                f"the prediction stays {before}."
                if before == after
                else f"the prediction changes from {before} to {after}."
            )
        )
        return "\n".join(lines)

    def _spike(self, spike: Any) -> str:
        if spike is None:
            return "none"
        layer, step = self.trace.names[spike["layer"]], spike["step"] + 1
        return f"{layer} {spike['neuron']} firing {spike['sign']:+d} in step {step}"

    def __repr__(self) -> str:
        gained, lost, moved = (
            sum(row[name] for row in self.spread) for name in ("gained", "lost", "moved")
        )
        return (
            f"<Replayed image {self.trace.number}, {len(self.edits)} edits: {gained} spikes "
            f"gained, {lost} lost, {moved} moved>"
        )

    def _repr_html_(self) -> str:
        from html import escape

        from eventsnn.views.tables import html_table

        return f"<pre>{escape(str(self))}</pre>" + (html_table(self.spread) if self.spread else "")


def replay(
    simulation: Simulation,
    trace: Trace,
    pixels: NDArray[Any] | None = None,
    edits: Iterable[Edit] = (),
) -> Replayed:
    """Run the recorded image again in the recorded order of deliveries, edited; a `Replayed`.

    edits: Swap, Move, Drop and Delay, one after the other; they name spikes by their seq in the
    trace. pixels: the raw image [C, H, W], to make sure that it is the trace's (None: not asked).
    Raises InputError where the simulation or the image is not the trace's, and for an edit that
    cannot be.
    """
    check_complete(trace)
    _check_same(simulation, trace, pixels)
    simulation, edits = trace.simulation, tuple(edits)
    run, found = play(
        simulation, trace.drive, trace.number, recorded_order(trace), trace.mute, trace.inputs
    )
    names = trace.spikes.dtype.names or ()
    if not all(np.array_equal(found.spikes[name], trace.spikes[name]) for name in names):
        raise InputError(
            "trace",
            "a trace that this simulation reproduces",
            "another",
            "give the settings that made it",
        )
    readouts = [_readout(run)]
    if edits:
        run, found = play(
            simulation,
            trace.drive,
            trace.number,
            recorded_order(trace, edits),
            trace.mute,
            trace.inputs,
        )
    return Replayed(
        found,
        trace,
        run,
        edits,
        first_difference(trace.spikes, found.spikes),
        spread(trace, found.spikes),
        simulation.output(np.stack([*readouts, _readout(run)]), simulation.steps),
        _notes(trace, found, edits),
    )


def _readout(run: EventRun) -> NDArray[Any]:
    return run.readout[-1].astype(np.int64 if run.readout.dtype.kind == "i" else np.float64)


def _check_same(simulation: Simulation, trace: Trace, pixels: NDArray[Any] | None) -> None:
    mine, its = (
        {k: v for k, v in s.describe().items() if k != "dtype"}
        for s in (simulation, trace.simulation)
    )
    if simulation.network.graph.hash != trace.simulation.network.graph.hash or mine != its:
        unlike = [k for k in its if mine.get(k) != its[k]] or ["network"]
        raise InputError(
            "simulation", "the one that made the trace", f"another {', '.join(unlike)}"
        )
    if pixels is None:
        return
    drive = np.atleast_2d(trace.simulation.drive(pixels, trace.number))
    events = trace.simulation.encoding.kind == "events"
    if (
        not np.array_equal(np.atleast_2d(trace.drive), drive)
        or events
        and not np.array_equal(_inputs(trace.inputs), pixels)
    ):
        raise InputError(
            "pixels", f"the image of the trace, number {trace.number}", "another image"
        )


def _inputs(inputs: NDArray[Any] | None) -> NDArray[Any]:
    return np.zeros((0, 4), np.int64) if inputs is None else inputs


def start(
    simulation: Simulation,
    drive: NDArray[Any],
    number: int = 0,
    order: Order | None = None,
    sink: Recorder | None = None,
    mute: NDArray[np.uint8] | None = None,
    inputs: NDArray[Any] | None = None,
) -> EventRun:
    """An `EventRun` at its beginning, to take `run_step` by step. drive: [neurons], or [steps,
    neurons] with the last for all further. mute, inputs: as in a `Trace`.
    """
    return engine_of(simulation).begin(
        drive, number=number, sink=sink, order=order, mute=mute, inputs=inputs
    )


def run_at(
    trace: Trace, number: int, edits: Sequence[Edit] = (), sink: Recorder | None = None
) -> EventRun:
    """The recorded run, edited or not, stopped right before it takes the queue's event `number`
    (from 1; see the trace's deliveries): an `EventRun`, which `run` finishes. One that is over
    where it has fewer events.

    Not for order clocked, whose evaluations are no events of the queue. sink: gets what is
    recorded, from the beginning.
    """
    if is_clocked(trace.simulation) or not isinstance(number, (int, np.integer)) or number < 1:
        raise InputError("event", "an event's number, from 1, in asynchronous time", number)
    run = start(
        trace.simulation,
        trace.drive,
        trace.number,
        recorded_order(trace, edits),
        sink,
        trace.mute,
        trace.inputs,
    )
    constants = run.constants
    run.constants = (*constants[:3], run.rules._replace(max_events=int(number) - 1), *constants[4:])
    with suppress(StillFiring):
        run.run()
    run.constants = constants
    return run


def state_at(trace: Trace, number: int) -> State:
    """The engine's whole `State` there, as `run_at` stops: potentials, memories, queue."""
    return run_at(trace, number).state


def branch(
    run: EventRun,
    trace: Trace | None = None,
    edits: Sequence[Edit] = (),
    sink: Recorder | None = None,
) -> EventRun:
    """A copy of a run, stopped between two steps or by `run_at`, that goes on by itself; the past
    is as it was.

    trace: go on in this trace's order, by which the run has come so far, with these edits, which
    must be of spikes that are yet to be fired (None: in the run's own). sink: gets what is recorded
    from here on; the run itself must have one then.
    """
    if sink is not None and not run.rules.record:
        raise InputError(
            "branch",
            "a run with a sink, to go on recording",
            "one without",
            "give it a sink from the start",
        )
    run.hand_over()
    other = run.snapshot()
    other.sink = sink
    if trace is not None:
        order, taken = recorded_order(trace, edits), int(run.state.at[TAKEN])
        fired = trace.spikes["step"] < run.step_number
        if run.inside:
            fired |= (trace.spikes["step"] == run.step_number) & (trace.spikes["event"] <= taken)
        past = [seq for edit in edits for seq in named(edit) if fired[seq]]
        if past:
            where = (
                f"fired from event {taken + 1} on"
                if run.inside
                else f"of step {run.step_number + 1} or later"
            )
            raise InputError("edits", f"spikes {where}, where the run stands", f"spike {past[0]}")
        other.constants = (*run.constants[:2], order, *run.constants[3:])
        _list_again(other.state, trace, edits)
    return other


def _list_again(state: State, trace: Trace, edits: Sequence[Edit]) -> None:
    """Give the deliveries under way their places in the edited list, since they are to stand among
    those that come.
    """
    heap, place = state.heap[: state.at[HEAP]], edited(trace, edits)[0]
    listed = np.flatnonzero(np.isin(trace.deliveries["spike"], heap[:, SPIKE]))
    places = dict(
        zip(
            trace.deliveries[["spike", "half", "projection"]][listed].tolist(),
            (place[listed] + 1).tolist(),
        )
    )
    for i in np.flatnonzero(heap[:, WHAT] & 3 == DELIVERY):
        what, spike = heap[i, WHAT].item(), heap[i, SPIKE].item()
        heap[i, KEY] = places.get(
            (spike, (what >> HALF_BIT) & 3, ((what >> PROJECTION_BIT) & PROJECTIONS) - 1),
            heap[i, KEY],
        )
    heap[:] = heap[
        np.lexsort((heap[:, NUMBER], heap[:, KEY], heap[:, MOMENT]))
    ]  # what is sorted is a heap


def play(
    simulation: Simulation,
    drive: NDArray[Any],
    number: int = 0,
    order: Order | None = None,
    mute: NDArray[np.uint8] | None = None,
    inputs: NDArray[Any] | None = None,
) -> tuple[EventRun, Trace]:
    """Run and record: (finished EventRun, Trace). drive and so on: as for `start`; in 64 bits where
    32 do not suffice.
    """
    recorder = Recorder()
    with plain_errors(simulation):
        try:
            run = start(simulation, drive, number, order, recorder, mute, inputs).run()
        except Overflow:
            if simulation.arithmetic.dtype != np.int32:
                raise
            return play(simulation.wider(), drive.astype(np.int64), number, order, mute, inputs)
    return run, recorder.trace(simulation, run, number)


# --- what changed ------------------------------------------------------------------------------


def first_difference(old: NDArray[Any], new: NDArray[Any]) -> tuple[Any, ...] | None:
    """The first spikes (old, new) in the order of emission that differ, None for one that is
    missing; None if there is no difference.
    """
    count, differ = min(len(old), len(new)), np.zeros(min(len(old), len(new)), bool)
    for name in SAME:
        differ |= old[name][:count] != new[name][:count]
    at = int(differ.argmax()) if differ.any() else count
    if at == len(old) == len(new):
        return None
    return tuple(spikes[at] if at < len(spikes) else None for spikes in (old, new))


def spread(trace: Trace, new: NDArray[Any]) -> list[Any]:
    """Spikes gained, lost and moved, as one dict for each layer and step with any (fields of
    `Replayed.spread`).

    Of each neuron and sign the counts in the steps are compared: what is missing in one step and
    surplus in another has moved (the earliest to the earliest), the rest is lost or gained.
    """
    rows = [
        np.stack([numbers_of(trace, spikes), spikes["sign"], spikes["step"]], axis=1)
        for spikes in (trace.spikes, new)
    ]
    kinds, which = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    which = which.reshape(-1)
    change = np.bincount(which[len(trace.spikes) :], minlength=len(kinds)) - np.bincount(
        which[: len(trace.spikes)], minlength=len(kinds)
    )
    group = np.cumsum((np.diff(kinds[:, :2], axis=0, prepend=-2) != 0).any(axis=1)) - 1
    count = int(group.max(initial=-1)) + 1
    moves = np.minimum(
        np.bincount(group, np.maximum(change, 0), count),
        np.bincount(group, np.maximum(-change, 0), count),
    )
    table = np.zeros((len(trace.names), trace.simulation.steps, 3), np.int64)
    for sign, column in ((1, GAINED), (-1, LOST)):
        unit = np.repeat(np.arange(len(kinds)), np.maximum(sign * change, 0))
        moved = nth_of(group[unit]) < moves[group[unit]]
        layer, step = trace.simulation.network.layer_of[kinds[unit, 0]], kinds[unit, 2]
        np.add.at(table, (layer[~moved], step[~moved], column), 1)
        if column == LOST:
            np.add.at(table, (layer[moved], step[moved], MOVED), 1)
    return [
        dict(
            layer=trace.names[layer],
            step=int(step) + 1,
            gained=int(g),
            lost=int(lost),
            moved=int(m),
        )
        for layer, step in np.argwhere(table.any(axis=2))
        for g, lost, m in [table[layer, step]]
    ]


def _notes(trace: Trace, found: Trace, edits: Sequence[Edit]) -> list[str]:
    """Edits that the run did not follow to the letter: a list decides only among spikes that are
    there.
    """
    notes = []
    place, tick = edited(trace, edits)
    for edit in edits:
        if not isinstance(edit, (Swap, Move)):
            continue
        wanted = [_wanted(trace, seq, place, tick) for seq in named(edit)]
        came = [_delivered(trace, found, seq) for seq in named(edit)]
        if None in wanted:
            continue
        if None in came:
            gone = named(edit)[came.index(None)]
            notes.append(f"{edit}: spike {gone} is not fired any more.")
        elif _rises(wanted) != _rises(came):
            why = "one is fired only after the other has been delivered"
            notes.append(f"{edit}: the order stays, since {why}.")
    return notes


def _rises(pair: list[Any]) -> bool:
    first, second = pair
    return bool(first < second)


def _wanted(
    trace: Trace, seq: int, place: NDArray[Any], tick: NDArray[Any]
) -> tuple[int, int] | None:
    """(tick, place) of a spike's first delivery in the edited list; None if it is dropped."""
    rows = np.flatnonzero((trace.deliveries["spike"] == seq) & (tick >= 0))
    return min(((int(tick[i]), int(place[i])) for i in rows), default=None)


def _delivered(trace: Trace, found: Trace, seq: int) -> int | None:
    """Where in another run's deliveries a spike of this trace comes first; None: nowhere."""
    mine, its = numbers_of(trace, trace.spikes), numbers_of(found, found.spikes)
    same = np.flatnonzero(its == mine[seq])
    nth = int((mine[:seq] == mine[seq]).sum())
    if nth >= len(same):
        return None
    rows = np.flatnonzero(found.deliveries["spike"] == same[nth])
    return int(rows[0]) if len(rows) else None
