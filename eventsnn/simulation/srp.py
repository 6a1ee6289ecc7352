"""SRP's two stages, over any engine (SRP section 4; semantics, section 9)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.simulation.prepared import Outcome, Prepared, Sink


def two_stages(
    prepared: Prepared,
    image: NDArray[Any],
    number: int = 0,
    *,
    sink: Sink | None = None,
    threads: int = 1,
) -> Outcome:
    """The `Outcome` of one image; where the simulation has a first stage, `stage_one` says what
    that cost.

    The second stage begins at v(0), with the input from its beginning; only neurons whose potential
    was at least epsilon after the first one send spikes. image: raw pixels [C, H, W], or input
    events int64 [E, 4]. number: the image's, for randomness. sink: takes the second stage's
    records. threads: how many may share the image. Raises what the engine raises.
    """
    engine = prepared.engine
    if not prepared.srp:
        return engine.image(image, number, sink=sink, threads=threads)
    first = engine.image(image, number, stage=1, threads=threads)
    outcome = engine.image(
        image, number, mute=prepared.silenced(first.v), sink=sink, threads=threads
    )
    outcome.stage_one = np.stack([first.spikes.sum(axis=1), first.operations.sum(axis=1)])
    return outcome
