"""The clocked engine: all neurons once a step, layer by layer (semantics, section 5)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.clocked.driver import UNLIMITED, ClockedRun, run_clocked
from eventsnn.engine.overflow import Overflow
from eventsnn.exceptions import InputError, named
from eventsnn.neurons.contract import leaks
from eventsnn.simulation.compile import build
from eventsnn.simulation.prepared import Engine, Outcome, Prepared, Sink
from eventsnn.simulation.time import Time

ORDER_OF_SUMMATION = (
    "drive, then the spikes of each projection (by source layer) in the order of source neurons; "
    "their sum is added to the potential"
)


class Clocked(Engine):
    """See `prepared.Engine`.

    prepared: the network in the simulation's numbers. tables: the network as the clocked kernel
    reads it. Raises InputError where `prepared` has a `Time` other than the default.
    """

    name: ClassVar[str] = "clocked"
    asynchronous: ClassVar[bool] = False
    records: ClassVar[bool] = False
    layerwise: ClassVar[bool] = True
    begins: ClassVar[bool] = True
    watches: ClassVar[bool] = True
    fits = True

    def __init__(self, prepared: Prepared) -> None:
        time, plain = prepared.time, Time().resolved()
        given = [f.name for f in fields(Time) if getattr(time, f.name) != getattr(plain, f.name)]
        if given:
            found = f"{named('engine', 'clocked')}, which has no order of arrival"
            do = f"choose {named('engine', 'event')}, or leave it out"
            raise InputError(named(given[0]), named("engine", "event"), found, do)
        dtype = prepared.arithmetic.dtype
        longest = max(prepared.steps, prepared.srp)
        self.prepared = prepared
        # some images may be run again in 64 bits
        self.result_dtype = np.dtype(np.int64) if prepared.arithmetic.watched else dtype
        self.tables = build(prepared.network, prepared.blocks, dtype, longest)
        self._log_room = 0
        self._wide: Prepared | None = None

    def run(
        self,
        drive: NDArray[Any],
        *,
        steps: int | None = None,
        mute: NDArray[np.uint8] | None = None,
        given: int = 0,
        before: ClockedRun | None = None,
        threads: int = 1,
        number: int = 0,
    ) -> ClockedRun:
        """The `ClockedRun` of one image; in 64 bits where 32 do not hold a potential.

        drive: [D, neurons], see `Prepared.drive`. steps: of the run (None: T). mute, given, before,
        threads: as in `engine.clocked.driver.run_clocked`. number: the image's, for randomness.
        """
        prepared = self.prepared
        watched = prepared.arithmetic.watched
        if not (watched and before is not None and before.v.dtype == np.int64):
            with suppress(Overflow):
                run = run_clocked(
                    self.tables,
                    prepared.neuron,
                    drive,
                    prepared.drive_steps,
                    prepared.resting,
                    steps or prepared.steps,
                    mute=mute,
                    given=given,
                    before=before,
                    threads=threads,
                    room=self._log_room,
                    leaks=leaks(prepared.neuron),
                    ticks=prepared.time.ticks,
                    image=number,
                    limit=prepared.arithmetic.limit or UNLIMITED,
                )
                self._log_room = max(self._log_room, 2 * int(run.spikes.sum()))
                return run
        return self.wide.engine.run(  # type: ignore[attr-defined]
            drive.astype(np.int64),
            steps=steps,
            mute=mute,
            given=given,
            before=before,
            threads=threads,
            number=number,
        )

    @property
    def wide(self) -> Prepared:
        """The simulation in 64 bits, which is made when it is needed."""
        if self._wide is None:
            self._wide = self.prepared.wider()
        return self._wide

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
        """One stage of one image; its run is a `ClockedRun`.

        image, number, stage, steps, mute, threads: see `prepared.Engine.image`. sink: not used, as
        this engine records no spikes.
        """
        drive = self.prepared.drive(image, number, stage)
        steps = steps or (self.prepared.srp if stage else None)
        run = self.run(drive, steps=steps, mute=mute, threads=threads, number=number)
        widened = run.v.dtype != self.prepared.arithmetic.dtype
        return Outcome(
            run.readout,
            run.spikes,
            run.operations,
            run.ties,
            run.v,
            run.s,
            run.mute,
            drive.astype(run.v.dtype, copy=False),
            run,
            self.wide if widened else self.prepared,
            run.digests,
            widened=widened,
        )

    def describe(self) -> dict[str, Any]:
        """See `prepared.Engine.describe`."""
        return {"order_of_summation": ORDER_OF_SUMMATION}
