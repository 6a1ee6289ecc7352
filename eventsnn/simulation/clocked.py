"""The clocked engine: all neurons once a step, layer by layer (semantics, section 5)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.clocked.driver import ClockedRun, run_clocked
from eventsnn.exceptions import InputError
from eventsnn.simulation import compile
from eventsnn.simulation.prepared import Outcome, Prepared, Sink
from eventsnn.simulation.time import Time


class Clocked:
    """See `prepared.Engine`. tables: the network as the clocked kernel reads it."""

    name: ClassVar[str] = "clocked"
    asynchronous: ClassVar[bool] = False
    records: ClassVar[bool] = False
    fits = True

    def __init__(self, prepared: Prepared) -> None:
        if prepared.time != Time():
            raise InputError(
                "time",
                "engine 'event' for orders, delays, windows and refractory periods",
                "engine 'clocked'",
                "choose --engine event",
            )
        self.prepared = prepared
        self.result_dtype = prepared.arithmetic.dtype
        self.tables = compile.build(
            prepared.network,
            prepared.blocks,
            prepared.arithmetic.dtype,
            max(prepared.steps, prepared.srp),
        )
        self._log_room = 0

    def run(self, drive: NDArray[Any], *, steps: int | None = None, **options: Any) -> ClockedRun:
        """One image with this drive, [D, neurons], for `steps` steps (None: T); options: those of
        `run_clocked`.
        """
        prepared = self.prepared
        run = run_clocked(
            self.tables,
            prepared.neuron,
            drive,
            prepared.drive_steps,
            prepared.resting,
            steps or prepared.steps,
            room=self._log_room,
            **options,
        )
        self._log_room = max(self._log_room, 2 * int(run.spikes.sum()))
        return run

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
        """See `prepared.Engine.image`; the `Outcome`'s run is a `ClockedRun`."""
        drive = self.prepared.drive(image, number, stage)
        steps = steps or (self.prepared.srp if stage else None)
        run = self.run(drive, steps=steps, mute=mute, threads=threads)
        return Outcome(
            run.readout,
            run.spikes,
            run.operations,
            run.ties,
            run.v,
            run.s,
            run.mute,
            drive,
            run,
            self.prepared,
        )

    def describe(self) -> dict[str, Any]:
        """See `prepared.Engine.describe`."""
        return {
            "order_of_summation": "drive, then the spikes of each projection (by source layer) in the order of source neurons; "
            "their sum is added to the potential"
        }
