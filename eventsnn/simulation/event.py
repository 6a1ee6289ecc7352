"""The event engine: spike by spike from a queue, with an explicit order of arrival (semantics,
section 5).
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event import layout
from eventsnn.engine.event.driver import EventRun, Overflow, StillFiring
from eventsnn.engine.event.order import CLOCKED, FIFO, is_kind
from eventsnn.exceptions import InputError, PotentialsTooLarge, TooManyEvents
from eventsnn.simulation import compile
from eventsnn.simulation.prepared import Outcome, Prepared, Sink
from eventsnn.simulation.time import delays_of, describe_delays, describe_order, policy_of

MAX_EVENTS = 2**31 - 1  # so that 32 bits hold a neuron's spikes
PLENTY = 10**6  # events that any image may take


class Bounds(NamedTuple):
    """What one event can do at most.

    spikes: it makes fire. parcels: deliveries of one spike. margin: how near the ends of its
    integers a potential may come before it is watched, inf in floating point. band: in which
    nothing fires. fits: whether the integers leave room for the margin.
    """

    spikes: int
    parcels: int
    margin: float
    band: layout.Band
    fits: bool


class Event:
    """See `prepared.Engine`.

    tables: the network as the event kernel reads it. order: the policy, a NamedTuple. delays: int64
    ticks, of each projection (delay_kind 1) or neuron (2), or none (0).
    """

    name: ClassVar[str] = "event"
    asynchronous: ClassVar[bool] = True
    records: ClassVar[bool] = True

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        dtype = prepared.arithmetic.dtype
        self.result_dtype = (
            np.dtype(np.int64) if dtype.kind == "i" else dtype
        )  # some images may be run again in 64 bits
        self.tables = compile.build_events(
            prepared.network, prepared.blocks, dtype, prepared.encoding.kind == "events"
        )
        self.order = policy_of(prepared.time, prepared.seed)
        self.delay_kind, self.delays = delays_of(prepared.time, prepared.network)
        self.bounds = self._bounds()
        self.fits = self.bounds.fits
        self._wide: Prepared | None = None

    def _bounds(self) -> Bounds:
        prepared, tables = self.prepared, self.tables
        one, dtype = prepared.arithmetic.one.item(), prepared.arithmetic.dtype
        heaviest = max(float(tables.weights.max()), -float(tables.weights.min()), 1.0)
        reached = np.concatenate(
            [[0], np.cumsum(tables.runs[:, layout.R_WIDTH])]
        )  # neurons, up to each run
        per_site = np.split(
            np.diff(reached[tables.first_run]), tables.projections[1:, layout.Q_FIRST]
        )
        targets = [
            tables.out[first:end] for first, end in zip(tables.out_first, tables.out_first[1:])
        ]
        fan_out = max(sum(int(per_site[q].max()) for q in of_layer) for of_layer in targets)
        low, high = prepared.neuron.band()
        waiting = max(float(v.max()) for v in prepared.initial) + 4096 + heaviest / high
        spikes = int(fan_out * (3 + heaviest / high) + waiting)
        in_parcels = self.order.halves or self.delay_kind == 1
        parcels = max(1, 2 * len(prepared.network.projections)) if in_parcels else 1
        margin, fits, ends = np.inf, True, (-np.inf, np.inf)
        if dtype.kind == "i":
            margin = int(
                heaviest + 2 * one * (1 + prepared.arithmetic.bound / prepared.steps)
            )  # more than any one charge
            fits = dtype != np.int32 or margin <= 2**30
            margin = margin if dtype == np.int32 else max(margin, 2**61)
            ends = np.iinfo(dtype).min + margin, np.iinfo(dtype).max - margin
        if not fits:
            ends = 0, 0  # nothing runs with these
        band = layout.Band(*(dtype.type(x) for x in (ends[0] if low is None else low, high, *ends)))
        return Bounds(spikes, parcels, margin, band, fits)

    def begin(
        self,
        drive: NDArray[Any],
        *,
        number: int = 0,
        sink: Sink | None = None,
        order: Any = None,
        steps: int | None = None,
        mute: NDArray[np.uint8] | None = None,
        inputs: NDArray[np.int64] | None = None,
    ) -> EventRun:
        """An `EventRun`, at its beginning, of one image with this drive, [neurons] or [D, neurons].

        number: the image's, for randomness. order: a policy in place of the simulation's, which
        knows all delays. steps: of the run (None: T). mute: uint8 [neurons], 1 where spikes are not
        sent. inputs: int64 [E, 4], its input events. Raises Overflow for drive beyond the margin.
        """
        prepared, bounds = self.prepared, self.bounds
        if max(drive.max().item(), -drive.min().item()) > bounds.margin:
            raise Overflow(f"drive of more than {bounds.margin} at once")
        time, network = prepared.time, prepared.network
        each = 64 if time.window or time.refractory else 8
        most = min(
            time.max_events or max(PLENTY, each * network.neurons * prepared.steps), MAX_EVENTS
        )
        delay_kind = self.delay_kind if order is None else int(self.delay_kind == 1)
        at_once = is_kind(order or self.order, FIFO, CLOCKED) and not delay_kind
        rules = layout.Rules(
            time.in_ticks(time.refractory, "refractory"),
            time.in_ticks(time.window, "window"),
            int(time.barrier),
            int(is_kind(self.order, CLOCKED)),
            int(sink is not None),
            delay_kind,
            bounds.spikes,
            bounds.parcels,
            int(at_once),
            most,
            number,
        )
        delays = self.delays if order is None else np.zeros_like(self.delays)
        resting = prepared.resting
        return EventRun(
            self.tables,
            prepared.neuron,
            order or self.order,
            rules,
            delays,
            bounds.band,
            np.ascontiguousarray(np.atleast_2d(drive), resting.dtype),
            resting,
            steps=steps or prepared.steps,
            ticks=time.ticks,
            drive_steps=prepared.drive_steps,
            mute=mute,
            inputs=inputs,
            sink=sink,
            names=[layer.name for layer in network.layers],
        )

    def image(
        self,
        image: NDArray[Any],
        number: int = 0,
        *,
        stage: int = 0,
        steps: int | None = None,
        mute: NDArray[np.uint8] | None = None,
        sink: Sink | None = None,
        threads: int = 1,
    ) -> Outcome:
        """See `prepared.Engine.image`; the `Outcome`'s run is a finished `EventRun`.

        What overflows in 32 bits is run again in 64, with the same numbers, and the sink restarted.
        Raises TooManyEvents for a queue that does not empty, and InputError for potentials that 64
        bits do not hold.
        """
        prepared = self._wide or self.prepared
        if prepared is not self.prepared:
            return prepared.engine.image(
                image, number, stage=stage, steps=steps, mute=mute, sink=sink
            )
        steps = steps or (prepared.srp if stage else prepared.steps)
        inputs = image[image[:, 0] < steps] if prepared.encoding.kind == "events" else None
        with plain_errors(prepared):
            try:
                drive = prepared.drive(image, number, stage)
                run = self.begin(
                    drive, number=number, sink=sink, steps=steps, mute=mute, inputs=inputs
                ).run()
            except Overflow:
                if prepared.arithmetic.dtype != np.int32:
                    raise
                self._wide = prepared.wider()
                if sink is not None:
                    sink.restart()
                return self.image(image, number, stage=stage, steps=steps, mute=mute, sink=sink)
        if sink is not None:
            sink.finish(prepared, run)
        return self.outcome(run)

    def outcome(self, run: EventRun) -> Outcome:
        """What a finished run leaves."""
        state = run.state
        spikes, operations, ties = state.tallies
        return Outcome(
            run.readout,
            spikes,
            operations,
            ties.sum(axis=1),
            state.v,
            state.memory[:, layout.NET],
            state.mute,
            run.drive,
            run,
            self.prepared,
            state.digests,
        )

    def describe(self) -> dict[str, Any]:
        """See `prepared.Engine.describe`."""
        time = self.prepared.time
        return {
            "order_of_summation": "in the order of arrival",
            "order": describe_order(time, self.order),
            "barrier": time.barrier,
            "refractory_steps": time.refractory,
            "window_steps": time.window,
            "delays": describe_delays(time.delays),
            "ticks_per_step": time.ticks,
            "max_events": time.max_events
            or "8 for each neuron and step (64 with windows or refractory periods)",
        }


def engine_of(simulation: Prepared) -> Event:
    """The event engine of a simulation. Raises InputError where it has another: only this one knows
    an order of arrival.
    """
    if not isinstance(simulation.engine, Event):
        raise InputError(
            "trace", "engine 'event'", f"engine {simulation.engine.name!r}", "choose --engine event"
        )
    return simulation.engine


class plain_errors:
    """Turns what the event kernel cannot go on from into what a caller can mend: TooManyEvents and
    InputError.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.names = [layer.name for layer in prepared.network.layers]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, StillFiring):
            raise TooManyEvents(
                str(error), error.step, error.waiting, tuple(self.names[i] for i in error.layers)
            ) from None
        if isinstance(error, Overflow):
            raise PotentialsTooLarge(error) from None
