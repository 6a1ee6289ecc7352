"""The event engine: spike by spike from a queue, with an explicit order of arrival.

See semantics, section 5.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.engine.event import layout
from eventsnn.engine.event.cores import MOST_TICKS, Cores
from eventsnn.engine.event.driver import Crowded, Early, EventRun, StillFiring, Unkept
from eventsnn.engine.event.order import CLOCKED, FIFO, HALVES, RANDOM, REPLAY, is_kind
from eventsnn.engine.event.queue import UNDER_WAY
from eventsnn.engine.overflow import Overflow
from eventsnn.exceptions import (
    CoresTooSlow,
    InputError,
    PotentialsTooLarge,
    TooManyEvents,
    named,
)
from eventsnn.network.network import INPUT
from eventsnn.neurons.contract import is_dynamic, leaks, most
from eventsnn.simulation.arithmetic import DECAYING
from eventsnn.simulation.compile import build_events
from eventsnn.simulation.prepared import Engine, Outcome, Prepared, Sink
from eventsnn.simulation.time import delays_of, describe_delays, describe_order, policy_of

MAX_EVENTS = 2**31 - 1  # so that 32 bits hold a neuron's spikes
MAX_EVENTS_IN_WORDS = "8 for each neuron and step (64 with windows or refractory periods)"
MAX_PARTS = 2**24  # of the drive, in all steps: how many the memory of a run holds
PLENTY = 10**6  # events that any image may take


class Bounds(NamedTuple):
    """What one event can do at most.

    targets: the most neurons that it reaches. parcels: the most deliveries of one spike. margin:
    how near the ends of its integers a potential may come before it is watched; inf in floating
    point. band: the potentials at which nothing fires. fits: whether the integers have room for the
    margin.
    """

    targets: int
    parcels: int
    margin: float
    band: layout.Band
    fits: bool


class Event(Engine):
    """See `prepared.Engine`.

    prepared: the network in the simulation's numbers. tables: the network as the event kernel reads
    it. order: the policy, a NamedTuple. delay_kind, delays: see `time.delays_of`. bounds: what one
    event can do. Raises InputError for a `Time` that cannot be, and for networks with too many
    layers or projections.
    """

    name: ClassVar[str] = "event"
    asynchronous: ClassVar[bool] = True
    records: ClassVar[bool] = True
    begins: ClassVar[bool] = True
    watches: ClassVar[bool] = True

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        _check_parts(prepared)
        dtype = prepared.arithmetic.dtype
        # some images may be run again in 64 bits
        self.result_dtype = np.dtype(np.int64) if dtype.kind == "i" else dtype
        inputs = prepared.encoding.kind == "events"
        self.tables = build_events(prepared.network, prepared.blocks, dtype, inputs)
        self.order = self._policy()
        self.delay_kind, self.delays = delays_of(prepared.time, prepared.network)
        if isinstance(self.order, Cores):
            # as a list of deliveries such a run has one for each target layer
            self.delay_kind, self.delays = 1, np.zeros(len(self.tables.projections), np.int64)
        self.bounds = self._bounds()
        self.fits = self.bounds.fits
        self._wide: Prepared | None = None

    def _policy(self) -> Any:
        """The order's policy, with its seed and what it needs to know of the network."""
        order = policy_of(self.prepared.time, self.prepared.order_seed)
        return self._with_cores(order) if isinstance(order, Cores) else order

    def _with_cores(self, order: Cores) -> Cores:
        """The policy with what it knows of the network, which has something to serve."""
        network = self.prepared.network
        targets = [p.target for p in network.projections if p.source != INPUT]
        if not targets:
            do = "choose a network with an activation, or another order"
            raise InputError("order 'cores'", "a layer that fires", "none to serve", do)
        longest = order.fixed + order.each * _fan_out(self.tables)
        if longest > MOST_TICKS:
            expected, do = "services of at most 2^50 ticks", "choose a shorter one, or fewer ticks"
            raise InputError(named("service"), expected, f"up to {longest:,}", do)
        first = np.searchsorted(targets, np.arange(len(network.layers) + 1)).astype(np.int64)
        classes = 0 if is_map(network.graph) else network.readout.size
        return order._replace(first=first, classes=classes)

    def reordered(self, prepared: Prepared) -> Event:
        """This engine for the same simulation with another seed of its order or of its input.

        The network is not compiled again. prepared: that simulation.
        """
        other = copy.copy(self)
        other.prepared = prepared
        other.order = other._policy()
        if self._wide is not None:
            other._wide = _reordered(self._wide, prepared)
        return other

    def share_wider(self, other: Event) -> None:
        """Keeps the simulation in 64 bits that another seed's engine has made, if it has.

        other: what `reordered` returned, after it ran.
        """
        if self._wide is None:
            self._wide = other._wide

    def _bounds(self) -> Bounds:
        prepared, tables = self.prepared, self.tables
        low, high = prepared.neuron.band()
        highest, lowest = tables.weights.max(initial=0), tables.weights.min(initial=0)
        heaviest = max(float(highest), -float(lowest), 1.0) * prepared.worth
        in_parcels = self.order.halves or self.delay_kind == 1
        parcels = max(1, 2 * len(prepared.network.projections)) if in_parcels else 1
        margin, floor, ceiling, fits = self._margin(heaviest)
        ends = (floor if low is None else low, high, floor, ceiling)
        if is_dynamic(type(prepared.neuron)):
            ends = (floor, floor, floor, ceiling)  # each arrival is looked at
        dtype = prepared.arithmetic.dtype
        band = layout.Band(*(dtype.type(end) for end in ends))
        return Bounds(_fan_out(tables), parcels, margin, band, fits)

    def _margin(self, heaviest: float) -> tuple[float, float, float, bool]:
        """The margin, floor and ceiling between which potentials are safe, and whether it fits.

        heaviest: the largest absolute weight.
        """
        numbers = self.prepared.arithmetic
        dtype = numbers.dtype
        if dtype.kind != "i":
            return np.inf, -np.inf, np.inf, True
        reached = 1 + numbers.bound / self.prepared.steps
        margin = int(heaviest + 2 * numbers.one.item() * reached)  # more than any one charge
        if dtype != np.int32:
            margin = max(margin, 2**61)
        elif margin > 2**30:
            return margin, 0, 0, False  # nothing runs with these
        if numbers.finer:
            return margin, -DECAYING, DECAYING, True
        limits = np.iinfo(dtype)
        return margin, limits.min + margin, limits.max - margin, True

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
        """An `EventRun` of one image, at its beginning.

        drive: [neurons] or [D, neurons], see `Prepared.drive`. number: the image's, for randomness.
        sink: takes the records. order: a policy in place of the simulation's, which knows all
        delays. steps: of the run (None: T). mute: uint8 [neurons], 1 where spikes are not sent.
        inputs: int64 [E, 4], its input events. Raises Overflow for drive beyond the margin.
        """
        prepared, bounds = self.prepared, self.bounds
        if max(drive.max().item(), -drive.min().item()) > bounds.margin:
            raise Overflow(f"drive of more than {bounds.margin} at once")
        time, network = prepared.time, prepared.network
        each = 64 if time.window or time.refractory else 8
        each *= time.spread if time.window else 1
        plenty = max(PLENTY, each * network.neurons * prepared.steps)
        delay_kind = self.delay_kind if order is None else int(self.delay_kind == 1)
        policy = order or self.order
        at_once = is_kind(policy, FIFO, CLOCKED, RANDOM) and not delay_kind
        uniform = is_kind(policy, RANDOM)
        clocked, replayed = is_kind(self.order, CLOCKED), is_kind(policy, REPLAY)
        rules = layout.Rules(
            refractory=time.in_ticks(time.refractory, "refractory"),
            window=time.in_ticks(time.window, "window"),
            # the clock waits for no delivery that an edit moved (semantics, section 5)
            barrier=int(time.barrier and not (clocked and replayed)),
            clocked=int(clocked),
            record=int(sink is not None),
            delay_kind=delay_kind,
            delays=self.delays if order is None else np.zeros_like(self.delays),
            most_spikes=most(prepared.neuron),
            most_parcels=bounds.parcels,
            most_targets=bounds.targets,
            at_once=int(at_once),
            max_events=min(time.max_events or plenty, MAX_EVENTS),
            image=number,
            quiet=int(clocked or prepared.stages > 1),
            ticks=time.ticks,
            drops=int(replayed),
            few_keys=2 * len(network.layers) if is_kind(policy, HALVES) else 0,
            uniform=int(uniform),
            seed=policy.seed if uniform else 0,
            spread=time.spread,
            group=time.group,
        )
        resting = prepared.resting
        return EventRun(
            self.tables,
            prepared.neuron,
            policy,
            rules,
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
            depths=prepared.depths if prepared.stages > 1 else (),
            leaks=leaks(prepared.neuron),
            finer=prepared.arithmetic.finer,
            counts_from=0 if steps and steps != prepared.steps else prepared.readout_from,
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
        """One stage of one image; its run is a finished `EventRun`.

        What overflows in 32 bits is run again in 64, with the same numbers and the sink restarted.
        image, number, stage, steps, mute, sink: see `prepared.Engine.image`. threads: not used, as
        one thread runs an image. Raises TooManyEvents for a queue that does not empty, and
        PotentialsTooLarge for potentials that 64 bits do not hold.
        """
        prepared = self.prepared
        steps = steps or (prepared.srp if stage else prepared.steps)
        inputs = image[image[:, 0] < steps] if prepared.encoding.kind == "events" else None
        with plain_errors(prepared):
            try:
                drive = prepared.drive(image, number, stage)
                run = self.begin(
                    drive, number=number, sink=sink, steps=steps, mute=mute, inputs=inputs
                )
                run.run()
            except Overflow:
                if prepared.arithmetic.dtype != np.int32:
                    raise
                if self._wide is None:
                    self._wide = prepared.wider()
                if sink is not None:
                    sink.restart()
                outcome = self._wide.engine.image(
                    image, number, stage=stage, steps=steps, mute=mute, sink=sink
                )
                outcome.widened = True
                return outcome
        if sink is not None:
            sink.finish(prepared, run)
        return self.outcome(run)

    def outcome(self, run: EventRun) -> Outcome:
        """The `Outcome` of a finished run."""
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
            state.digests[1],
            state.digests[0],
            under_way=int(state.at[UNDER_WAY]),
            served=run.served,
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
            "spread": time.spread,
            "group": time.group,
            "delays": describe_delays(time.delays),
            **self._describe_cores(),
            "ticks_per_step": time.ticks,
            "rounded_down_to_ticks": "times of input events, drawn jitter",
            "max_events": time.max_events or MAX_EVENTS_IN_WORDS,
        }

    def _describe_cores(self) -> dict[str, Any]:
        """What `describe` says of cores; nothing of other orders."""
        time = self.prepared.time
        if not isinstance(self.order, Cores):
            return {}
        return {
            "service_steps": [float(steps) for steps in time.service],
            "latency_steps": float(time.latency),
            "arbitration": time.arbitration,
        }


def _reordered(wide: Prepared, prepared: Prepared) -> Prepared:
    """A simulation in 64 bits with the seeds of another one. wide: that it is made of."""
    other = copy.copy(wide)
    other.seed, other.order_seed = prepared.seed, prepared.order_seed
    other.engine = engine_of(wide).reordered(other)
    return other


def _check_parts(prepared: Prepared) -> None:
    """Raises InputError for more parts of the drive, in all steps, than a run keeps."""
    steps = max(prepared.steps, prepared.srp)
    if steps * prepared.time.spread > MAX_PARTS:
        expected = f"at most {MAX_PARTS:,} parts in {steps:,} steps"
        found = f"{prepared.time.spread:,} in each"
        raise InputError(named("spread"), expected, found, "choose fewer, or fewer steps")


def _fan_out(tables: layout.EventTables) -> int:
    """The most neurons that one spike reaches."""
    # neurons of all runs before each run
    reached = np.concatenate([[0], np.cumsum(tables.stretches[:, layout.R_WIDTH])])
    by_site = np.diff(reached[tables.first_stretch])
    most = [
        int(sites.max(initial=0))
        for sites in np.split(by_site, tables.projections[1:, layout.Q_FIRST])
    ]
    ends = zip(tables.out_first, tables.out_first[1:])
    return max(sum(most[q] for q in tables.out[first:end]) for first, end in ends)


def engine_of(simulation: Prepared) -> Event:
    """The event engine of a simulation.

    Raises InputError where it has another: only this one knows an order of arrival.
    """
    if not isinstance(simulation.engine, Event):
        found = f"engine {simulation.engine.name!r}"
        raise InputError("trace", "engine 'event'", found, f"choose {named('engine', 'event')}")
    return simulation.engine


@contextmanager
def plain_errors(prepared: Prepared) -> Iterator[None]:
    """In its block, what the event kernel cannot go on from becomes what a caller can mend.

    prepared: the simulation, which names its layers. Raises TooManyEvents for StillFiring (of
    cores CoresTooSlow) and PotentialsTooLarge for Overflow.
    """
    try:
        yield
    except StillFiring as error:
        names = tuple(prepared.network.layers[i].name for i in error.layers)
        kind = CoresTooSlow if isinstance(error, Crowded) else TooManyEvents
        raise kind(str(error), error.step, error.waiting, names) from None
    except Overflow as error:
        raise PotentialsTooLarge(error) from None
    except Early as error:
        where = f"order {type(engine_of(prepared).order).__name__!r}"
        expected = "delays of 0 ticks or more, for every spike"
        raise InputError(where, expected, error, "see eventsnn.engine.event.order") from None
    except Unkept as error:
        where = f"neuron {type(prepared.neuron).__name__!r}"
        raise InputError(
            where, "what the contract says", error, "see eventsnn.neurons.contract"
        ) from None
