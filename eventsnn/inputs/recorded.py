"""Recordings of events as the images of a run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.ann.graph import Graph, Preprocessing
from eventsnn.data.images import Images
from eventsnn.data.recordings import load_events
from eventsnn.exceptions import InputError, named
from eventsnn.settings import Settings, flag_of
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.event_inputs import accept_events

# options of pixels, and their defaults: events have none
OF_PIXELS = {
    "pixel_range": (),
    "resize": (),
    "crop": (),
    "input_scale": None,
    "input_mean": (),
    "input_std": (),
    "input_channels": None,
}
TOLD = (
    "events are worth an input of 1 each, whatever the preprocessing; the ANN sees each "
    "recording's mean input in a step"
)


@dataclass(frozen=True, eq=False)
class EventImages(Images):
    """Images whose pixels are the mean input in a step, and the events that they are of.

    events: of each, int64 [E, 4] (`encoding.events_of`). encoding: with the sensor that the files
    say.
    """

    events: tuple[Any, ...] = ()
    encoding: Encoding = field(default_factory=Encoding)

    def take(self, positions: ArrayLike) -> Images:
        """See `Images.take`."""
        some = super().take(positions)
        kept = tuple(self.events[i] for i in np.ravel(np.asarray(positions)).tolist())
        return replace(some, events=kept)  # type: ignore[call-arg]


def of_events(settings: Settings) -> bool:
    """Whether the data of a run are recordings of events. settings: of the run."""
    return settings.encoded.kind == "events"


def without_preprocessing(graph: Graph, settings: Settings) -> Graph:
    """The graph as events see it, which are inputs already.

    graph: the ANN. settings: of the run. Raises InputError for options of pixels.
    """
    for name, default in OF_PIXELS.items():
        if getattr(settings, name) != default:
            do = "leave it out: events have no pixels"
            found = named("encoding", "events")
            raise InputError(flag_of(name), "an encoding of pixels", found, do)
    return replace(graph, preprocessing=Preprocessing())


def load_recorded(
    graph: Graph, settings: Settings, split: str, limit: int | None, offset: int
) -> EventImages:
    """A run's recordings.

    graph: the ANN, without a preprocessing. split, limit, offset: as for `load_events`. settings:
    of the run: which files, how many steps, and how recordings become input. Raises InputError for
    files that cannot be read, and for events that do not fit the network.
    """
    if settings.data in (None, "sample"):
        do = f"for example --data recordings {named('encoding', 'events')}"
        found = "none" if settings.data is None else "the bundled images"
        expected = f"files of events for {named('encoding', 'events')}"
        raise InputError("--data", expected, found, do)
    assert settings.data is not None
    recordings = load_events(settings.data, split=split, limit=limit, offset=offset)
    ticks, steps = settings.time.resolved().ticks, settings.steps
    found_events, encoding = accept_events(graph, recordings, None, steps, ticks, settings.encoded)
    events: Any = found_events.pixels
    frames = np.stack([_mean(each, graph.input_shape, steps) for each in events])
    most = max(1.0, float(np.abs(frames).max()))
    return EventImages(
        recordings.name,
        recordings.split,
        recordings.indices,
        frames * np.float32(encoding.unit),
        found_events.labels,
        recordings.classes,
        (-most * encoding.unit, most * encoding.unit),
        note="; ".join(filter(None, (found_events.note, TOLD))),
        events=tuple(events),
        encoding=encoding,
    )


def _mean(
    events: NDArray[np.int64], shape: tuple[int, int, int], steps: int
) -> NDArray[np.float32]:
    """Events in a step, on average, float32 [C, H, W]. events: [E, 4]."""
    c, h, w = shape
    count = np.bincount(events[:, 2], events[:, 3], c * h * w)
    return (count.reshape(h, w, c).transpose(2, 0, 1) / steps).astype(np.float32)
