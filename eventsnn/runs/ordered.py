"""How a run is ordered, of a result in memory or of a results folder."""

from __future__ import annotations

import os
from typing import Annotated

from eventsnn.arguments import OWN, checked
from eventsnn.exceptions import InputError
from eventsnn.result import Result
from eventsnn.runs.again import again
from eventsnn.runs.results import Results
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.ordering import rules_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.ordering import Ordering
from eventsnn.trace.trace import Trace
from eventsnn.values import shown

Given = Annotated[str | os.PathLike[str] | Results | Result | Simulation, OWN]


@checked
def ordering(run: Given, image: int | None = None) -> Ordering:
    """Which events a run has, in which order, and who is evaluated when: an `Ordering`; print it.

    Made from the settings by the rules of semantics, section 5.

    run: a `Result`, a `Simulation`, a results folder or `Results`. image: whose queue is drawn: its
    place in a `Result`, which records it; in a folder its number in the data set, of which the run
    kept a trace (None: the folder's first trace, if it has any; of a `Result` none). Raises
    InputError for what is none of these, and for an image without a trace.
    """
    if isinstance(run, (Result, Simulation)):
        simulation = run if isinstance(run, Simulation) else run.simulation
        trace: Trace | None = None
        if image is not None:
            if isinstance(run, Simulation):
                raise InputError("image", "a Result or a folder, which have images", shown(run))
            trace = run.trace(image)
    else:
        found = again(run)
        simulation, trace = found.simulation, None
        traced = sorted(found.results.traces)
        if image is not None or traced:
            trace = found.trace(traced[0] if image is None else image)
    return Ordering(str(conditions(simulation)), rules_of(simulation), trace)
