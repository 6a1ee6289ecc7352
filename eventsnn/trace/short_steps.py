"""The short steps of spread drive (semantics, section 12), numbered through: n k + j is part j of
step k. Without spread drive a step is one short step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eventsnn.trace.trace import Trace

TICK, EVENTS, SPIKES = range(3)  # columns of `Trace.parts`


def begins(trace: Trace) -> NDArray[np.int64]:
    """The ticks at which short steps began, int64 [n T]. trace: any."""
    found: NDArray[np.int64] = trace.starts if trace.parts is None else trace.parts[:, TICK]
    return found


def of_taken(trace: Trace, rows: NDArray[np.void]) -> NDArray[np.int64]:
    """The short steps in which events were taken, int64 [R].

    trace: the run. rows: structured [R], with step, and event, the number of one that was taken
    from the queue.
    """
    if trace.parts is None:
        return rows["step"].astype(np.int64)
    return np.searchsorted(trace.parts[:, EVENTS], rows["event"], side="left") - 1


def of_spikes(trace: Trace, spikes: NDArray[np.void]) -> NDArray[np.int64]:
    """The short steps in which spikes were fired, int64 [S].

    trace: the run. spikes: structured [S], some of its spikes.
    """
    if trace.parts is None:
        return spikes["step"].astype(np.int64)
    return np.searchsorted(trace.parts[:, SPIKES], spikes["seq"], side="right") - 1


def before_events(trace: Trace, spikes: NDArray[np.void]) -> NDArray[np.bool_]:
    """For each spike whether its short step's first event had not been taken when it was fired.

    Then its drive fired it. trace: with parts. spikes: structured [S], some of its spikes.
    """
    parts: Any = trace.parts
    found: NDArray[np.bool_] = spikes["event"] == parts[of_spikes(trace, spikes), EVENTS]
    return found
