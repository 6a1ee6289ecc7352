"""The images on which another preprocessing is tried, for runs and studies."""

from __future__ import annotations

import numpy as np

from eventsnn.ann.graph import Graph
from eventsnn.data.classes import as_classes
from eventsnn.data.images import Images, as_vectors, check_images, load_images
from eventsnn.doubts import TRIED, better_preprocessing
from eventsnn.exceptions import InputError
from eventsnn.inputs.without import data_of, how_of
from eventsnn.settings import Settings


def preprocessing_doubt(graph: Graph, images: Images, settings: Settings, progress: bool) -> str:
    """What `better_preprocessing` says on 128 calibration images, or "".

    Where fewer of these have labels, they are those to run, or the first of their split.

    graph: the ANN. images: those to run. settings: of the run. progress: whether a progress bar is
    shown.
    """
    if graph.preprocessing.known or images.labels is None:
        return ""
    split, first, _ = settings.calibration_range
    offered = [_labelled(graph, settings, split, first), images]
    offered.append(_labelled(graph, settings, settings.split, 0))
    some = [each.take(np.arange(min(TRIED, len(each)))) for each in offered if each is not None]
    return better_preprocessing(
        graph, max(some, key=len), workers=settings.workers, progress=progress
    )


def _labelled(graph: Graph, settings: Settings, split: str, first: int) -> Images | None:
    """At most 128 images of a run's data set that fit and have labels, from position `first`."""
    data, _ = data_of(graph, settings)
    if data is None:
        return None
    try:
        how = how_of(graph, settings, split)
        found = load_images(data, limit=TRIED, offset=first, **how)
        found, _ = as_vectors(graph, as_classes(graph, found)[0])
        check_images(graph, found.pixels, found.labels)
    except InputError:
        return None
    return None if found.labels is None else found
