"""Classes that folders name, and those of a network."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from eventsnn.ann.forward import is_map
from eventsnn.ann.graph import Graph
from eventsnn.arguments import checked
from eventsnn.data.images import Images
from eventsnn.data.recordings import Recordings
from eventsnn.exceptions import InputError

T = TypeVar("T", Images, Recordings)


@checked
def as_classes(graph: Graph, images: T) -> tuple[T, str]:
    """(images or recordings whose labels are a graph's classes, what to say of it, "" for nothing).

    Folders of the names that the network's file gives its classes are those classes; otherwise a
    folder for each class is, by its place among the sorted names. graph: the ANN. images: those of
    folders; others, and those for a map, stay as they are. Raises InputError where the folders are
    not as many as the classes.
    """
    if not images.by_folder or images.labels is None or is_map(graph):
        return images, ""
    count = max(graph.shapes[graph.output][0], 2)  # one output decides between two
    own = [str(name) for name in graph.meta.get("classes", ())]
    known = len(own) == count == len(set(own)) and set(images.classes) <= set(own)
    if known:
        places = np.array([own.index(name) for name in images.classes], np.int64)
        return replace(images, labels=places[images.labels], classes=tuple(own)), (
            "folders are the network's classes of the same names"
        )
    if len(images.classes) != count:
        do = (
            "a class is a folder's place among the sorted names: make an empty folder for each of "
            "the others, or give a folder of images alone, which have no labels"
        )
        expected = f"a folder for each of the {count:,} classes of {graph.source}"
        raise InputError(images.name, expected, f"{len(images.classes):,}", do)
    first, last = images.classes[0], images.classes[-1]
    return images, f"classes are the sorted folders: {first!r} is 0, {last!r} is {count - 1}"
