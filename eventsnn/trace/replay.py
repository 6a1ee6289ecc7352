"""What would have happened in another order: a recorded image again, edited.

    replayed = replay(simulation, trace, pixels, [Swap(12, 17), Drop(30)])

A recorded run is a list of deliveries, and in a replay the list decides again. It knows a spike by
its neuron and by how many the neuron had sent before. The spike takes its recorded delay; of what
is due at one tick, what stands first in the list comes first. An edit changes the list and nothing
else. A spike that only exists because of the edit is not in the list: it goes without delay, after
all spikes of the list that are due at its tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of, is_map
from eventsnn.arguments import OWN, Natural, checked
from eventsnn.engine.event.driver import EventRun, Overflow, StillFiring
from eventsnn.engine.event.layout import DELIVERY, HALF_BIT, PROJECTION_BIT, PROJECTIONS, State
from eventsnn.engine.event.queue import HEAP, KEY, MOMENT, NUMBER, SPIKE, TAKEN, WHAT
from eventsnn.exceptions import InputError, one_line
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.event import engine_of, plain_errors
from eventsnn.simulation.prepared import Sink
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import check_complete, is_clocked
from eventsnn.trace.changes import first_difference, spread, unheeded
from eventsnn.trace.edits import Delay, Drop, Edit, Move, Swap, edited, named, recorded_order
from eventsnn.trace.trace import Recorder, Trace
from eventsnn.values import shaped

__all__ = [
    "Swap",
    "Move",
    "Drop",
    "Delay",
    "Replayed",
    "replay",
    "begin",
    "run_at",
    "branch",
    "play",
    "state_at",
    "first_difference",
    "recorded_order",
    "spread",
]

SHOWN = 8  # steps named in a line


@dataclass
class Replayed:
    """A run again, edited.

    trace: of the edited run. before: of the recorded one. run: the finished `EventRun` of the
    edited run. edits: what was changed.

    first: the first spikes (recorded, replayed), in the order of emission, that are not the same
    (None where a run has none left); None if all are. spread: a dict for each layer and step in
    which spikes differ: layer (name), step (from 1), gained, lost (counted in their own step) and
    moved (fired in another step, counted in the old one). Spikes are the same if layer, neuron,
    step, sign and member are; ticks may differ.

    readouts: float64 [2, classes], before and after, in units of the ANN's output. notes: edits
    that could not be carried out to the letter.
    """

    trace: Trace
    before: Trace
    run: EventRun
    edits: tuple[Edit, ...]
    first: tuple[np.void | None, np.void | None] | None
    spread: list[dict[str, Any]]
    readouts: NDArray[np.float64]
    notes: list[str]

    @property
    def predictions(self) -> tuple[int, int]:
        """The classes with the largest readout, before and after; of no use for a map."""
        before, after = classes_of(self.readouts)
        return int(before), int(after)

    def __str__(self) -> str:
        edits = ", ".join(map(str, self.edits)) or "nothing"
        lines = [f"Image {self.trace.number}, edited: {edits}.", *self.notes]
        if self.first is None:
            lines.append("Every spike is the same.")
        elif not self.spread:
            lines.append("The same spikes, in another order.")
        else:
            recorded, replayed = map(self._spike, self.first)
            lines.append(f"First differing spike: {replayed} instead of {recorded}.")
        for layer in dict.fromkeys(row["layer"] for row in self.spread):
            lines.append(self._layer(layer))
        return "\n".join([*lines, self._outcome()])

    def _spike(self, spike: np.void | None) -> str:
        """A spike in words."""
        if spike is None:
            return "none"
        layer = one_line(self.trace.names[spike["layer"]])
        return f"{layer} {spike['neuron']} firing {spike['sign']:+d} in step {spike['step'] + 1}"

    def _layer(self, name: str) -> str:
        """What changed in a layer, in words."""
        rows = [row for row in self.spread if row["layer"] == name]
        steps = ", ".join(str(row["step"]) for row in rows[:SHOWN])
        if len(rows) > SHOWN:
            steps += ", …"
        plural = "s" if len(rows) > 1 else ""
        return f"  {one_line(name)}: {_counts(rows)}, in step{plural} {steps}"

    def _outcome(self) -> str:
        """What changed in the readout, in words."""
        change = np.diff(self.readouts, axis=0)[0]
        at = int(np.abs(change).argmax())
        of_map = is_map(self.trace.simulation.network.graph)
        readout = "unchanged"
        if change.any():
            what = "neuron" if of_map else "class"
            readout = f"changes most at {what} {at}, by {change[at]:+.4g}"
        if of_map:
            return f"Readout: {readout}."
        before, after = self.predictions
        prediction = f"changes from {before} to {after}"
        if before == after:
            prediction = f"stays {before}"
        return f"Readout: {readout}; the prediction {prediction}."

    def __repr__(self) -> str:
        counts = _counts(self.spread, "spikes ")
        return f"<Replayed image {self.trace.number}, {len(self.edits)} edits: {counts}>"

    def _repr_html_(self) -> str:
        from html import escape

        from eventsnn.views.tables import html_page

        decided = str(conditions(self.trace.simulation))
        return f"<pre>{escape(str(self))}</pre>" + html_page(decided, self.spread)


def _counts(rows: Sequence[dict[str, Any]], unit: str = "") -> str:
    """The spikes that rows of `Replayed.spread` have together, in words."""
    gained, lost, moved = (sum(row[name] for row in rows) for name in ("gained", "lost", "moved"))
    return f"{gained} {unit}gained, {lost} lost, {moved} moved"


@checked
def replay(
    simulation: Simulation,
    trace: Trace,
    pixels: NDArray[Any] | None = None,
    edits: Iterable[Edit] = (),
) -> Replayed:
    """Runs the recorded image again in the recorded order of deliveries, edited; a `Replayed`.

    simulation: the one that made the trace. trace: a complete one. pixels: the raw image [C, H, W],
    or its input events int64 [E, 4], to make sure that it is the trace's (None: not asked). edits:
    Swap, Move, Drop and Delay, one after the other; they name spikes by their seq in the trace.
    Raises InputError where the simulation or the image is not the trace's, and for an edit that
    cannot be.
    """
    check_complete(trace)
    _check_same(simulation, trace, pixels)
    simulation = trace.simulation
    edits = tuple(edits)
    run, found = _play_again(trace)
    if not _same(found, trace):
        expected = "a trace that this simulation reproduces"
        raise InputError("trace", expected, "another", "give the settings that made it")
    before = _readout(simulation, run)
    if edits:
        run, found = _play_again(trace, edits)
    return Replayed(
        found,
        trace,
        run,
        edits,
        first_difference(trace.spikes, found.spikes),
        spread(trace, found.spikes),
        simulation.output(np.stack([before, _readout(simulation, run)]), simulation.steps),
        unheeded(trace, found, edits),
    )


def _same(one: Trace, other: Trace) -> bool:
    """Whether two runs of an image are the same, event by event."""
    same = one.end == other.end and np.array_equal(one.starts, other.starts)
    for name in ("spikes", "deliveries", "input_deliveries"):
        ones, others = getattr(one, name), getattr(other, name)
        fields = ones.dtype.names or ()
        same &= all(np.array_equal(ones[field], others[field]) for field in fields)
    return bool(same)


def _play_again(trace: Trace, edits: Sequence[Edit] = ()) -> tuple[EventRun, Trace]:
    """The recorded run again, in the recorded order, edited or not; as `play` returns it."""
    order = recorded_order(trace, edits)
    return play(trace.simulation, trace.drive, trace.number, order, trace.mute, trace.inputs)


def _readout(simulation: Simulation, run: EventRun) -> NDArray[Any]:
    """What counts of the readout after the last step, int64 or float64 [classes]."""
    kind = np.int64 if run.readout.dtype.kind == "i" else np.float64
    return simulation.counted(run.readout)[-1].astype(kind)


def _check_same(simulation: Simulation, trace: Trace, pixels: NDArray[Any] | None) -> None:
    """Raises InputError unless simulation and pixels (None: not asked) are the trace's."""
    mine = simulation.describe()
    its = trace.simulation.describe()
    # the same numbers may need more bits for some images
    del mine["dtype"], its["dtype"]
    if simulation.network.graph.hash != trace.simulation.network.graph.hash or mine != its:
        unlike = [k for k in its if mine.get(k) != its[k]] or ["network"]
        found = f"another {', '.join(unlike)}"
        raise InputError("simulation", "the one that made the trace", found)
    if pixels is None:
        return
    trace.simulation.check_pixels("pixels", pixels, 3)
    drive = np.atleast_2d(trace.simulation.drive(pixels, trace.number))
    same = np.array_equal(np.atleast_2d(trace.drive), drive)
    if same and trace.simulation.encoding.kind == "events":
        same = np.array_equal(_inputs(trace.inputs), pixels)
    if not same:
        expected = f"the image of the trace, number {trace.number}"
        raise InputError("pixels", expected, "another image")


def _inputs(inputs: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Input events as an array, [0, 4] where there are none."""
    return np.zeros((0, 4), np.int64) if inputs is None else inputs


@checked
def begin(
    simulation: Simulation,
    drive: NDArray[Any],
    number: Natural = 0,
    order: Any = None,
    sink: Sink | None = None,
    mute: NDArray[np.uint8] | None = None,
    inputs: NDArray[np.int64] | None = None,
) -> EventRun:
    """An `EventRun` at its beginning, to take `run_step` by step.

    simulation: with the event engine. drive: the arithmetic's dtype [neurons], or [D, neurons] with
    the last row for all further steps. number: the image's, for randomness. order: a policy, such
    as `recorded_order` returns (None: the simulation's). sink: takes the records (None: there are
    none). mute, inputs: as in a `Trace`. Raises InputError for another engine, and Overflow for
    drive that is too large for the arithmetic.
    """
    engine = engine_of(simulation)
    shaped("drive", np.atleast_2d(drive), None, len(simulation.resting))
    return engine.begin(drive, number=number, sink=sink, order=order, mute=mute, inputs=inputs)


@checked
def run_at(
    trace: Trace, number: Annotated[int, OWN], edits: Sequence[Edit] = (), sink: Sink | None = None
) -> EventRun:
    """The recorded run, edited or not, right before it takes an event from the queue.

    Returns an `EventRun`, which its `run` finishes. It is over where it has fewer events.

    trace: a complete one. number: the event's, from 1 (see the trace's deliveries). edits: one
    after the other. sink: gets what is recorded, from the beginning (None: nothing is). Raises
    InputError for any other number, for an edit that cannot be, and for order clocked, whose
    evaluations are no events of the queue.
    """
    if is_clocked(trace.simulation) or not isinstance(number, (int, np.integer)) or number < 1:
        raise InputError("event", "an event's number, from 1, in asynchronous time", number)
    order = recorded_order(trace, edits)
    run = begin(trace.simulation, trace.drive, trace.number, order, sink, trace.mute, trace.inputs)
    constants = run.constants
    rules = run.rules._replace(max_events=int(number) - 1)
    run.constants = (*constants[:3], rules, *constants[4:])
    with suppress(StillFiring):
        run.run()
    run.constants = constants
    return run


@checked
def state_at(trace: Trace, number: Annotated[int, OWN]) -> State:
    """The engine's whole `State` right before an event: potentials, memories, queue.

    trace, number, and what is raised: as in `run_at`.
    """
    return run_at(trace, number).state


@checked
def branch(
    run: EventRun,
    trace: Trace | None = None,
    edits: Sequence[Edit] = (),
    sink: Sink | None = None,
) -> EventRun:
    """A copy of a run that goes on by itself; the past is as it was.

    run: stopped between two steps or by `run_at`. trace: go on in this trace's order, by which the
    run has come so far (None: in the run's own). edits: of the trace, of spikes that are yet to be
    fired. sink: gets what is recorded from here on (None: nothing is). Raises InputError for a sink
    where the run has none, and for an edit that cannot be or comes too late.
    """
    if sink is not None and not run.rules.record:
        expected = "a run with a sink, to go on recording"
        raise InputError("branch", expected, "one without", "give it a sink from the start")
    run.hand_over()
    other = run.snapshot()
    other.sink = sink
    if trace is not None:
        order = recorded_order(trace, edits)
        _check_future(run, trace, edits)
        other.constants = (*run.constants[:2], order, *run.constants[3:])
        _list_again(other.state, trace, edits)
    return other


def _check_future(run: EventRun, trace: Trace, edits: Sequence[Edit]) -> None:
    """Raises InputError for an edit of a spike that has been fired where the run stands."""
    taken = int(run.state.at[TAKEN])
    fired = trace.spikes["step"] < run.step_number
    where = f"of step {run.step_number + 1} or later"
    if run.inside:
        in_step = trace.spikes["step"] == run.step_number
        fired |= in_step & (trace.spikes["event"] <= taken)
        where = f"fired from event {taken + 1} on"
    past = [seq for edit in edits for seq in named(edit) if fired[seq]]
    if past:
        raise InputError("edits", f"spikes {where}, where the run stands", f"spike {past[0]}")


def _list_again(state: State, trace: Trace, edits: Sequence[Edit]) -> None:
    """Gives the deliveries under way their places in the edited list.

    So they stand among those that come.
    """
    heap = state.heap[: state.at[HEAP]]
    place, _ = edited(trace, edits)
    listed = np.flatnonzero(np.isin(trace.deliveries["spike"], heap[:, SPIKE]))
    keys = trace.deliveries[["spike", "half", "projection"]][listed].tolist()
    places = dict(zip(keys, (place[listed] + 1).tolist()))
    for i in np.flatnonzero(heap[:, WHAT] & 3 == DELIVERY):
        what = heap[i, WHAT].item()
        half = (what >> HALF_BIT) & 3
        projection = ((what >> PROJECTION_BIT) & PROJECTIONS) - 1
        key = heap[i, SPIKE].item(), half, projection
        heap[i, KEY] = places.get(key, heap[i, KEY])
    # what is sorted is a heap
    heap[:] = heap[np.lexsort((heap[:, NUMBER], heap[:, KEY], heap[:, MOMENT]))]


@checked
def play(
    simulation: Simulation,
    drive: NDArray[Any],
    number: Natural = 0,
    order: Any = None,
    mute: NDArray[np.uint8] | None = None,
    inputs: NDArray[np.int64] | None = None,
) -> tuple[EventRun, Trace]:
    """Runs an image from its drive, and records it; (the finished `EventRun`, its `Trace`).

    It runs in 64 bits where 32 do not suffice.

    simulation, drive, number, order, mute, inputs: as in `begin`. Raises InputError for another
    engine, TooManyEvents if max_events did not suffice, and PotentialsTooLarge where 64 bits do not
    suffice.
    """
    recorder = Recorder()
    with plain_errors(simulation):
        try:
            run = begin(simulation, drive, number, order, recorder, mute, inputs).run()
        except Overflow:
            if simulation.arithmetic.dtype != np.int32:
                raise
            wide = drive.astype(np.int64)
            return play(simulation.wider(), wide, number, order, mute, inputs)
    return run, recorder.trace(simulation, run, number)
