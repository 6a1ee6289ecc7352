"""Input events of several images, in the forms that people have: lists, recordings, data sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph
from eventsnn.data.accepting import Accepted, labels_in
from eventsnn.data.classes import as_classes
from eventsnn.data.formats import check_size
from eventsnn.data.recordings import Recordings
from eventsnn.exceptions import InputError, in_python, named
from eventsnn.simulation.encoding import Encoding, events_of
from eventsnn.values import as_array, not_empty, shown


def item_of(given: Any) -> tuple[Any, Any]:
    """(events, label or None) of one image.

    given: events as `events_of` takes them, or a pair of records and a label, as a data set of
    Tonic's gives it.
    """
    if isinstance(given, tuple) and len(given) == 2:
        events, label = as_array(given[0]), as_array(given[1])
        if events is not None and events.dtype.names and label is not None and label.ndim == 0:
            return events, label
    return given, None


def input_events(
    given: Any, shape: tuple[int, int, int], steps: int, ticks: int, encoding: Encoding
) -> tuple[NDArray[np.int64], int]:
    """(events as `events_of` has them, int64 [E, 4]; how many come too late, and are left out).

    given: of one image, see `item_of`. shape: (C, H, W) of the input. steps: T. ticks: of a step.
    encoding: whose `recorded` says what records are; without it their times are in steps, and none
    may be late. Raises InputError for what are no events of such an input.
    """
    events, _ = item_of(given)
    recorded, late = encoding.recorded, 0
    if recorded is not None:
        records = as_array(events)
        if records is None or not records.dtype.names:
            expected = f"records with fields t, x, y, p for {named('time_scale')}"
            raise InputError("events", expected, shown(events))
        events, late = recorded.rows(records, shape, steps)
    return events_of(events, shape, steps, ticks), late


def accept_events(
    graph: Graph, images: Any, labels: Any, steps: int, ticks: int, encoding: Encoding
) -> tuple[Accepted, Encoding]:
    """(each image's input events, int64 [E, 4], as `accept` gives pixels; the encoding, with the
    sensor that recordings say).

    graph: the ANN. images: `Recordings`; a list with each image's events; or what gives pairs of
    records and labels, such as a data set of Tonic's. labels: of images without. steps, ticks,
    encoding: as for `input_events`. Raises InputError for anything else.
    """
    if isinstance(images, Recordings):
        if encoding.time_scale is None:
            do = "give Encoding(kind='events', time_scale=1000)"
            raise InputError("encoding", "the microseconds of a step", "no time_scale", do)
        if images.sensor and not encoding.sensor:
            encoding = replace(encoding, sensor=images.sensor)
        images, classed = as_classes(graph, images)
        items: list[Any] = list(images.events)
        own: Any = images.labels
        kept: Any = images
    else:
        kept, classed = _listed(images), ""
        not_empty("images", kept)
        pairs = [item_of(each) for each in kept]
        items = [events for events, _ in pairs]
        found = [label for _, label in pairs]
        own = None if any(label is None for label in found) else np.array(found)
    if labels is not None and own is not None:
        expected = "none, as the images bring labels of their own"
        raise InputError("labels", expected, shown(labels), "leave labels out")
    every, late, size = [], 0, 0
    for each in items:
        events, left = input_events(each, graph.input_shape, steps, ticks, encoding)
        size += events.nbytes
        check_size(size, "images")
        every.append(events)
        late += left
    notes = [getattr(images, "note", ""), classed]
    if late:
        total = late + sum(map(len, every))
        notes.append(f"{late:,} of {total:,} events come after step {steps}, and are left out")
    if silent := sum(not len(events) for events in every):
        notes.append(f"{silent:,} of {len(every):,} recordings have no event within {steps} steps")
    classes = None
    if labels is not None or own is not None:
        classes, said = labels_in(graph, own if labels is None else labels, len(every))
        notes.append(said)
    numbers = getattr(images, "indices", np.arange(len(every)))
    pixels: Any = every
    return Accepted(kept, pixels, classes, numbers, "; ".join(filter(None, notes))), encoding


def _listed(images: Any) -> list[Any]:
    """What a list or a data set gives. Raises InputError for what is neither."""
    given: Any = getattr(images, "pixels", images)
    if not isinstance(given, (str, bytes, Mapping)):
        if isinstance(given, Iterable):
            return list(given)
        if hasattr(given, "__getitem__") and hasattr(given, "__len__"):
            return [given[i] for i in range(len(given))]
    expected = f"a list of each image's events for {named('encoding', 'events')}"
    raise InputError("images", in_python(expected), shown(images))
