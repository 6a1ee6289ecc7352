"""What would have happened in another order: a recorded image again, edited.

    replayed = replay(simulation, trace, pixels, [Swap(12, 17), Drop(30)])

A recorded run is a list of deliveries, and in a replay the list decides again. It knows a spike by
its neuron and by how many the neuron had sent before. The spike takes its recorded delay; of what
is due at one tick, what stands first in the list comes first. An edit changes the list and nothing
else. A spike that only exists because of the edit is not in the list: it goes without delay, after
all spikes of the list that are due at its tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import OWN, Natural, checked
from eventsnn.engine.event.cores import Cores
from eventsnn.engine.event.driver import EventRun, StillFiring
from eventsnn.engine.event.layout import HALF_BIT, PROJECTION_BIT, PROJECTIONS, State
from eventsnn.engine.event.queue import TAKEN, relist
from eventsnn.engine.overflow import Overflow
from eventsnn.exceptions import InputError
from eventsnn.simulation.event import engine_of, plain_errors
from eventsnn.simulation.prepared import Sink
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import check_complete, is_clocked
from eventsnn.trace.changes import first_difference, spread, unheeded
from eventsnn.trace.edits import Delay, Drop, Edit, Move, Swap, edited, named, recorded_order
from eventsnn.trace.replayed import Replayed
from eventsnn.trace.trace import Recorder, Trace
from eventsnn.values import shaped

__all__ = [
    "Swap",
    "Move",
    "Drop",
    "Delay",
    "Replayed",
    "Replays",
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
    return Replays(simulation, trace, pixels).replay(edits)


class Replays:
    """Replays of one recorded image, one after the other: what they share is worked out once.

    simulation, trace, pixels, and what is raised: as in the function `replay`. run: the finished
    `EventRun` that gave the recorded run again.
    """

    @checked
    def __init__(
        self, simulation: Simulation, trace: Trace, pixels: NDArray[Any] | None = None
    ) -> None:
        check_complete(trace)
        _check_same(simulation, trace, pixels)
        self.trace = trace
        self.run, found = _play_again(trace)
        if not _same(found, trace):
            expected = "a trace that this simulation reproduces"
            raise InputError("trace", expected, "another", "give the settings that made it")

    @checked
    def replay(self, edits: Iterable[Edit] = ()) -> Replayed:
        """As the function `replay`. edits, and what is raised: as there."""
        trace, simulation = self.trace, self.trace.simulation
        edits = tuple(edits)
        run, found = _play_again(trace, edits) if edits else (self.run, trace)
        readouts = np.stack([_readout(simulation, self.run), _readout(simulation, run)])
        return Replayed(
            found,
            trace,
            run,
            edits,
            first_difference(trace.spikes, found.spikes),
            spread(trace, found.spikes),
            simulation.output(readouts, simulation.steps),
            unheeded(trace, found, edits),
        )

    def __repr__(self) -> str:
        return f"<Replays of image {self.trace.number}, {len(self.trace.spikes):,} spikes>"


def _same(one: Trace, other: Trace) -> bool:
    """Whether two runs of an image are the same, event by event."""
    same = one.end == other.end and np.array_equal(one.starts, other.starts)
    none = np.zeros((0, 3), np.int64)
    mine, its = (none if run.parts is None else run.parts for run in (one, other))
    same &= np.array_equal(mine, its)
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
    rules = run.rules
    run.rules = rules._replace(max_events=int(number) - 1)
    with suppress(StillFiring):
        run.run()
    run.rules = rules
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
    where the run has none, for an edit that cannot be or comes too late, and for a trace where the
    run is one under order cores, whose queues no list decides.
    """
    if sink is not None and not run.rules.record:
        expected = "a run with a sink, to go on recording"
        raise InputError("branch", expected, "one without", "give it a sink from the start")
    if trace is not None and isinstance(run.order, Cores):
        do = "stop the trace's own run: run_at(trace, event)"
        raise InputError("branch", "a run in a recorded order", "one under order cores", do)
    run.hand_over()
    other = run.snapshot()
    other.sink = sink
    if trace is not None:
        order = recorded_order(trace, edits)
        _check_future(run, trace, edits)
        rules = run.rules._replace(
            at_once=0,
            uniform=0,
            few_keys=0,
            drops=1,
            delay_kind=int(run.rules.delay_kind == 1),
            delays=np.zeros_like(run.rules.delays),  # the list has all
            barrier=int(run.rules.barrier and not run.rules.clocked),
        )
        other.obey(order, rules)
        other.state = relist(other.state, _keys_in(trace, edits))
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


def _keys_in(trace: Trace, edits: Sequence[Edit]) -> Callable[[int, int, int], int]:
    """(what, spike, key) -> the key of a delivery under way by its place in the edited list.

    So it stands among those that come. What is not in the list keeps its key.
    """
    place, _ = edited(trace, edits)
    keys = trace.deliveries[["spike", "half", "projection"]].tolist()
    places = dict(zip(keys, (place + 1).tolist()))

    def key_of(what: int, spike: int, key: int) -> int:
        half = (what >> HALF_BIT) & 3
        projection = ((what >> PROJECTION_BIT) & PROJECTIONS) - 1
        return places.get((spike, half, projection), key)

    return key_of


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
