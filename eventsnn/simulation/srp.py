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
    """The `Outcome` of one image, with what a first stage cost in `stage_one`.

    The second stage begins at v(0), with the input from its beginning. Only neurons whose potential
    was at least epsilon after the first stage send spikes.

    prepared: the simulation; where its `srp` is 0 there is one stage. image: raw pixels [C, H, W],
    or input events int64 [E, 4]. number: the image's, for randomness. sink: takes the records of
    the last stage. threads: how many may share the image. Raises what the engine raises.
    """
    engine = prepared.engine
    if not prepared.srp:
        return engine.image(image, number, sink=sink, threads=threads)
    first = engine.image(image, number, stage=1, threads=threads)
    mute = prepared.silenced(first.v)
    outcome = engine.image(image, number, mute=mute, sink=sink, threads=threads)
    outcome.stage_one = np.stack([first.spikes.sum(axis=1), first.operations.sum(axis=1)])
    return outcome
