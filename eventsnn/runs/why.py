"""Why an image is wrong, of a result in memory or of a results folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import by_neuron, classes_of, logits
from eventsnn.arguments import OWN, checked
from eventsnn.exceptions import InputError
from eventsnn.result import Result
from eventsnn.runs.again import again
from eventsnn.runs.differing import listed
from eventsnn.runs.results import Results
from eventsnn.studies.reason import WHERE, Reason, check_reason, reason
from eventsnn.values import shown

Given = Annotated[str | os.PathLike[str] | Results | Result, OWN]


@checked
def why(
    run: Given, image: Annotated[int | None, OWN] = None, *, progress: bool | None = None
) -> Reason:
    """Why the spiking network has an image wrong that its ANN has right: a `Reason`; print it.

    The margin between the two classes is split by layer, into wrong counts, wrong times and, in
    asynchronous time, the order of arrival (semantics, section 18); the smallest set of layers that
    restores the class is found, and the neurons that carry most of it.

    run: a `Result`, a results folder or `Results`. image: its number in the data set (None: the
    first such image). progress: whether a progress bar is shown. Raises InputError for an image
    that is not of the run, or that is right, or wrong in the ANN, too; and for runs that cannot be
    taken apart: in floating point, with SRP, a delayed readout, input events or free running, of
    models that change between arrivals.
    """
    raw: Callable[[int], NDArray[Any]]
    if isinstance(run, Result):
        simulation, numbers, labels = run.simulation, run._numbers, run.labels
        check_reason(simulation)
        readout, raw = run.batch.readout, run._image
        classes = getattr(run.images, "classes", None)
        name = "the result"
    else:
        found = again(run)
        simulation, numbers, labels = found.simulation, found.images.indices, found.images.labels
        check_reason(simulation)
        readout, raw = found.results.read("readout"), found.raw
        classes = found.images.classes
        name = str(found.results.folder)
    wrong = classes_of(readout[:, -1])
    if image is None:
        place = _first(simulation.network.graph, wrong, labels, raw, name)
    else:
        place = _place(numbers, image, name)
    label = None if labels is None else int(labels[place])
    if label is not None and int(wrong[place]) == label:
        expected = "one that the spiking network has wrong and the ANN right"
        those = numbers[np.flatnonzero(wrong != labels)].tolist()
        do = f"it has {listed(those)} wrong" if those else "it has no image wrong"
        where = f"{WHERE}: image {numbers[place]}"
        told = f"class {label} in the spiking network, which is right"
        raise InputError(where, expected, told, do)
    names = tuple(classes or simulation.network.graph.meta.get("classes", ()))
    return reason(simulation, raw(place), int(numbers[place]), label, names, progress)


def _place(numbers: NDArray[np.int64], image: Any, name: str) -> int:
    """An image's place in the run. image: its number. name: of the run, for messages."""
    whole = isinstance(image, (int, np.integer)) and not isinstance(image, bool)
    found = np.flatnonzero(whole & (numbers == image))
    if not len(found):
        expected = f"one of the run's, {numbers[0]} to {numbers[-1]}"
        raise InputError(f"{name}: image", expected, shown(image))
    return int(found[0])


def _first(
    graph: Any, wrong: NDArray[np.int64], labels: NDArray[np.int64] | None, raw: Any, name: str
) -> int:
    """The place of the first image that is wrong in the spiking network and right in the ANN.

    graph: the ANN. wrong: the spiking network's classes. raw: a place -> its image.
    """
    places = range(len(wrong)) if labels is None else np.flatnonzero(wrong != labels).tolist()
    for place in places:
        right = int(classes_of(by_neuron(logits(graph, raw(place)[None])))[0])
        if right != wrong[place] and (labels is None or right == labels[place]):
            return place
    expected = "an image that the spiking network has wrong and the ANN right"
    raise InputError(name, expected, f"none among {len(wrong):,}", "give a run with more images")
