"""SRP's two stages, over any engine (SRP section 4; semantics, section 9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from eventsnn.simulation.prepared import Outcome, Prepared, Sink


def two_stages(
    prepared: Prepared,
    images: Any,
    numbers: Sequence[int],
    *,
    sinks: Sequence[Sink | None] | None = None,
    threads: int = 1,
) -> Iterator[Outcome]:
    """Yields the `Outcome` of each image, with what a first stage cost in `stage_one`.

    The second stage begins at v(0), with the input from its beginning. Only neurons whose potential
    was at least epsilon after the first stage send spikes.

    prepared: the simulation; where its `srp` is 0 there is one stage. images: raw pixels [N, C, H,
    W], or input events int64 [E, 4] of each. numbers: the images', for randomness. sinks: take the
    records of the last stage. threads: how many may share an image. Raises what the engine raises.
    """
    engine = prepared.engine
    if not prepared.srp:
        for outcome in engine.batch(images, numbers, sinks=sinks, threads=threads):
            outcome.readout = prepared.counted(outcome.readout)
            yield outcome
        return
    mutes, costs, widened = [], [], []
    for first in engine.batch(images, numbers, stage=1, threads=threads):
        mutes.append(prepared.silenced(first.v))
        costs.append(np.stack([first.spikes.sum(axis=1), first.operations.sum(axis=1)]))
        widened.append(first.widened)
    second = engine.batch(images, numbers, mutes=mutes, sinks=sinks, threads=threads)
    for outcome, cost, once in zip(second, costs, widened):
        outcome.stage_one = cost
        outcome.widened |= once
        outcome.readout = prepared.counted(outcome.readout)
        yield outcome
