"""A run made again that is the run, to the last digit: what a page may print beside its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.runs.again import Again, again
from eventsnn.runs.provenance import without_infinity
from eventsnn.runs.results import Results
from eventsnn.settings import Settings
from eventsnn.simulation.batch import Batch


def same(results: Results) -> Again:
    """The run that left these results, ready to run.

    results: opened. Raises InputError for a run with plug-ins, whose code is not run because a
    folder names it, and where network, images or simulation are not those of the run.
    """
    plugin = results.settings.get("plugin")
    if plugin:
        do = "a plug-in is not run because a folder names it"
        raise InputError(results.folder, "a run without plug-ins", plugin, do)
    made = again(results)
    now = json.loads(json.dumps(without_infinity(made.simulation.describe())))
    then = results.summary["semantics"]
    unlike = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    if unlike:
        expected = f"the run's {', '.join(unlike[:3])}"
        do = "run again with this version"
        raise InputError(f"{results.folder}: simulation", expected, "another", do)
    return made


def repeated(made: Again, positions: NDArray[np.int64]) -> Batch:
    """What images of a run give when they run again, as a `Batch` with its neurons.

    made: the run. positions: int64 [M], among its images, one or more. Raises InputError where
    spikes or readout of an image are not the run's own, to the last digit.
    """
    results, numbers = made.results, made.images.indices[positions]
    given: Any = [made.raw(int(i)) for i in positions]
    if made.simulation.encoding.kind != "events":
        given = np.stack(given)
    stream = made.simulation.stream(given, numbers=numbers, neurons=True)
    batch = Batch.join([part for _, part in stream])
    unlike = (batch.readout != results.read("readout")[positions]).any(axis=(1, 2))
    if results.digests is not None and batch.digests is not None:
        unlike |= (batch.digests != results.digests[positions]).any(axis=(1, 2))
    if unlike.any():
        where = f"{results.folder}: image {numbers[unlike][0]}"
        do = "run again with this version, on this machine"
        raise InputError(where, "the spikes and the readout that the run found", "others", do)
    return batch


def of_study(settings: Settings) -> Mapping[str, Any]:
    """The options of a study in a run's conditions: those of `Simulation` and `Time`, by name.

    settings: of the run.
    """
    time = {name: getattr(settings.time, name) for name in vars(settings.time)}
    simulated = {**vars(settings.specification), "engine": settings.engine}
    return {**simulated, "encoding": settings.encoded, **time}
