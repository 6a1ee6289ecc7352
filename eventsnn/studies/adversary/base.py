"""A base run that is attacked: one image's recorded deliveries, replayed with some moved."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.engine.event.driver import EventRun
from eventsnn.engine.event.layout import SENT
from eventsnn.engine.event.order import WHOLE, Order
from eventsnn.engine.event.queue import UNDER_WAY
from eventsnn.engine.overflow import Overflow
from eventsnn.exceptions import InputError, TooManyEvents
from eventsnn.neurons.contract import check_declared, is_dynamic
from eventsnn.simulation.event import engine_of, plain_errors
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import is_clocked
from eventsnn.trace.edits import Edit, listed, numbers_of, recorded_order
from eventsnn.trace.replay import begin
from eventsnn.trace.trace import record

STUDY = "adversary"


class Moves(NamedTuple):
    """Deliveries that are moved, each once.

    rows: int64 [k], their numbers in the trace. to: int64 [k], where to; its kind says what that
    is: ticks later, or the number of the delivery right before which each comes.
    """

    rows: NDArray[np.int64]
    to: NDArray[np.int64]

    def some(self, which: Any) -> Moves:
        """Some of them. which: what an array of numpy takes as its index."""
        return Moves(self.rows[which], self.to[which])

    def with_(self, others: Moves) -> Moves:
        """These and others."""
        return Moves(np.append(self.rows, others.rows), np.append(self.to, others.to))

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.rows)


NONE = Moves(np.zeros(0, np.int64), np.zeros(0, np.int64))


class Outcome(NamedTuple):
    """What a replay came to.

    readout: float64 [classes], of one output alone [2], the first 0. predicted: the class.
    """

    readout: NDArray[np.float64]
    predicted: int

    def margin(self, right: int) -> float:
        """The readout of a class less the largest of the others. right: the class."""
        others = np.delete(self.readout, right)
        return float(self.readout[right] - others.max())

    def rivals(self, right: int) -> list[int]:
        """The other classes, the one with the largest readout first. right: the class."""
        order = np.argsort(-self.readout, kind="stable").tolist()
        return [each for each in order if each != right]


def check(simulation: Simulation) -> None:
    """Raises InputError for a simulation whose base runs cannot be attacked.

    simulation: in whole numbers (`setting.exact`).
    """
    engine = engine_of(simulation)
    check_declared(simulation.neuron, STUDY, "conserves")
    if is_dynamic(type(simulation.neuron)) or simulation.stages > 1:
        expected = "a model of a potential and a threshold alone, such as if, snm, gn, st-bif"
        raise InputError(STUDY, expected, type(simulation.neuron).__name__)
    if simulation.srp:
        raise InputError(STUDY, "runs without SRP", "two stages", "leave ⟦srp⟧ out")
    if getattr(engine.order, "halves", WHOLE) != WHOLE or engine.delay_kind == 1:
        expected = "an order that delivers each spike once, whole"
        raise InputError(STUDY, expected, "deliveries in parts", "for example ⟦order=random⟧")
    if simulation.time.group > 1 or simulation.time.spread > 1:
        raise InputError(STUDY, "no groups and no spread drive", "some", "leave them out")


def loses(simulation: Simulation, run: EventRun) -> bool:
    """Whether a finished replay has a delivery behind its end, so that it drops it.

    An edit delays a spike by its number among those of its neuron. What edits change may fire that
    spike in another step, the last one too, where the clock waits for none. simulation: of the base
    run.
    """
    return is_clocked(simulation) and bool(run.state.at[UNDER_WAY])


class Base:
    """The base run of one image, and replays of it.

    simulation: that passed `check`. pixels: raw, [C, H, W]. number: the image's, for randomness.
    trace, run: the recorded run. predicted: its class. replays: how many were run so far. sent:
    int32 [T, all neurons], how many spikes each had sent after each step of the last replay.
    """

    def __init__(self, simulation: Simulation, pixels: NDArray[Any], number: int) -> None:
        self.run, self.trace = record(simulation, pixels, number)
        self.simulation = self.trace.simulation  # in 64 bits where 32 did not suffice
        self.replays = 0
        self.recorded = self.outcome(self.run)
        self.predicted = self.recorded.predicted
        deliveries, spikes = self.trace.deliveries, self.trace.spikes
        self.spikes = spikes[deliveries["spike"]]  # of each delivery, its spike
        self.numbers = numbers_of(self.trace, self.spikes)
        self.slot, _ = listed(self.trace)
        self.order = recorded_order(self.trace)

    def outcome(self, run: EventRun) -> Outcome:
        """What a finished run came to, in the readout's own whole numbers."""
        readout = run.readout[-1].astype(np.float64)
        predicted = int(classes_of(readout))
        if len(readout) == 1:
            readout = np.array([0.0, readout[0]])
        return Outcome(readout, predicted)

    def listed(self, ticks: NDArray[np.int64], places: NDArray[np.int64]) -> Order:
        """The recorded list with other ticks and places of its deliveries, as a policy."""
        delay, key = self.order.delay.copy(), self.order.key.copy()
        delay[self.slot] = ticks - self.spikes["tick"]
        key[self.slot] = places + 1
        return self.order._replace(delay=delay, key=key)

    def begin(self, order: Order) -> EventRun:
        """A replay at its beginning. order: a list, as a policy."""
        self.replays += 1
        trace = self.trace
        return begin(self.simulation, trace.drive, trace.number, order, None, trace.mute)

    def replay(self, order: Order) -> EventRun | None:
        """A finished replay; None where it fires without end, which is no class.

        It goes on in 64 bits where 32 do not suffice. `sent` is of it. order: a list, as a policy.
        """
        try:
            with plain_errors(self.simulation):
                try:
                    return self._run(self.begin(order))
                except Overflow:
                    if self.simulation.arithmetic.dtype != np.int32:
                        raise
                    return self._widened().replay(order)
        except TooManyEvents:
            return None

    def _run(self, run: EventRun) -> EventRun:
        """Runs a replay to its end, and keeps `sent`. run: at its beginning."""
        sent = np.empty((run.steps, len(run.state.memory)), np.int32)
        for t in range(run.steps):
            run.run_step()
            sent[t] = run.state.memory[:, SENT]
        run.hand_over()
        self.sent = sent
        return run

    def _widened(self) -> Base:
        """This base, whose replays are in 64 bits from now on."""
        self.simulation = self.simulation.wider()
        self.trace.drive = self.trace.drive.astype(np.int64)
        return self

    def __repr__(self) -> str:
        return f"<Base of image {self.trace.number}: {len(self.spikes):,} deliveries>"


Edits = tuple[Edit, ...]
