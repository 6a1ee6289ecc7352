"""What pictures of a trace share: what they ask of it, and what stands along them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from eventsnn.exceptions import InputError

AXES = ("time", "order")
SIZE = 6  # of a spike, in square points


class Recorded(Protocol):
    """What pictures ask of a trace; see `trace.trace.Trace`."""

    spikes: NDArray[np.void]
    starts: NDArray[np.int64]
    number: int
    simulation: Any

    @property
    def conditions(self) -> str:
        """Engine, order, neuron and so on, as a line."""

    @property
    def names(self) -> list[str]:
        """The layers' names, the readout's last."""

    @property
    def ticks(self) -> int:
        """The ticks of a step."""

    @property
    def times(self) -> NDArray[np.float64]:
        """The times of the spikes, in steps."""

    def layer(self, name: int | str) -> int:
        """A layer's number."""


def check_trace(trace: Any) -> None:
    """Raises InputError for what is no `Trace`."""
    if not (hasattr(trace, "spikes") and hasattr(trace, "starts")):
        do = "result.trace() records one, and eventsnn.trace.read_trace reads one"
        raise InputError("trace", "a Trace", type(trace).__name__, do)


class Along:
    """What stands along a picture: time in steps, or the order of emission.

    trace: of one image. along: "time", "order", or None, see `raster`. places: of all spikes,
    float64 [S]. end: where the picture ends.
    """

    def __init__(self, trace: Recorded, along: str | None) -> None:
        if along is not None and along not in AXES:
            raise InputError("along", " or ".join(AXES), repr(along))
        spikes = trace.spikes
        at_once = bool(np.isin(spikes["tick"], trace.starts).all()) and len(spikes) > 0
        self.ordered = along == "order" or (along is None and at_once)
        self.trace = trace
        if self.ordered:
            self.places = spikes["seq"].astype(np.float64)
            self.end = float(spikes["seq"].max(initial=0)) + 1
        else:
            self.places = trace.times
            self.end = max(float(len(trace.starts)), self.places.max(initial=0.0) * 1.01)

    def of_events(self, rows: NDArray[np.void]) -> NDArray[np.float64]:
        """The places of arrivals, float64 [A]. rows: as in `Observation.arrivals`."""
        if self.ordered:
            spikes = self.trace.spikes
            place = np.searchsorted(spikes["event"], rows["event"])
            return np.append(spikes["seq"], self.end)[place].astype(np.float64)
        return np.asarray(rows["tick"] / self.trace.ticks, np.float64)

    def label(self, axes: Sequence[Axes], whole: bool = True) -> None:
        """Names the axis of the last of some axes, and marks in all where each step begins.

        whole: whether they show all of the run.
        """
        axes[-1].set_xlabel("spikes, in the order of emission" if self.ordered else "time (steps)")
        if self.ordered:
            steps = self.trace.spikes["step"]
            begins = np.flatnonzero(np.diff(steps, prepend=-1))
            low, high = (0.0, self.end) if whole else axes[-1].get_xlim()
            for i in begins:
                if low <= self.places[i] <= high:
                    for each in axes:
                        each.axvline(self.places[i], color="0.8", lw=0.7, zorder=0)
            axes[-1].set_xlim(low, high)
            axes[-1].set_xlabel("spikes, in the order of emission (grey: a step begins)")
        elif whole:
            axes[-1].set_xlim(0, self.end)


def scatter(axes: Axes, x: NDArray[Any], y: NDArray[Any], sign: NDArray[Any], colour: Any) -> None:
    """Draws spikes: filled dots, and hollow triangles downward where one is taken back."""
    back = sign < 0
    colour = np.broadcast_to(
        np.array(to_rgba(colour)) if isinstance(colour, str) else colour, (len(x), 4)
    )
    axes.scatter(x[~back], y[~back], c=colour[~back], s=SIZE, marker="o", lw=0, zorder=2)
    axes.scatter(
        x[back],
        y[back],
        facecolors="none",
        edgecolors=colour[back],
        s=3 * SIZE,
        marker="v",
        lw=0.7,
        zorder=3,
    )
