"""Doubts of an ANN's accuracy: a preprocessing that fits better, chance, what its file says."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.exceptions import named
from eventsnn.preparing import NORMALISED as NORMALISED
from eventsnn.preparing import customary, hits_of
from eventsnn.statistics import at_least, compare, p_words

TRIED = 128  # images, for each preprocessing
CERTAIN = 0.01  # p below it, after Holm for all that is tried
DIFFERENT = 0.05  # p above it: two preprocessings do as well within chance
NAMED = 2  # of those that do as well
ENOUGH = 20  # images; with fewer, nothing is said of an accuracy
CHANCE = 0.05  # p of a binomial test below it: better than chance
FAR_BELOW = 0.05  # of the accuracy that the file says
BELOW = 0.001  # p of a binomial test
CAUSES = (
    f"the preprocessing and the order of channels (see {named('preprocessing')}), or labels of "
    "another order"
)


class DoubtfulAccuracy(UserWarning):
    """The ANN itself is near chance on the labelled images, or far below what its file says."""


def better_preprocessing(
    graph: Graph, images: Images, *, workers: int | None = None, progress: bool = False
) -> str:
    """What to say of a customary preprocessing that gives an ANN more than its own, or "".

    They are tried where nothing tells the network's preprocessing: pixels as they are, from 0 to 1
    and from -1 to 1; for three channels also ImageNet's and CIFAR-10's mean and std, and both
    orders of channels. Options in what is said are `named`.

    graph: the ANN. images: those to try, with labels; without them nothing is said. workers:
    threads. progress: whether a progress bar is shown.
    """
    if graph.preprocessing.known or images.labels is None:
        return ""
    ways = customary(graph, images.pixels)
    own, *others = hits_of(graph, ways, images, workers=workers, progress=progress)
    against = compare({k: (each, own) for k, each in enumerate(others)})
    best, *worse = sorted(range(len(ways)), key=lambda k: -float(others[k].mean()))
    if against[best].gained <= against[best].lost or against[best].holm >= CERTAIN:
        return ""
    told = (
        f"the file does not tell the preprocessing, and another one fits better: on {len(own)} "
        f"images the ANN has {own.mean():.1%} as it is run, and {others[best].mean():.1%} with "
        f"{ways[best].words} ({p_words(against[best].holm)})"
    )
    alike = compare({k: (others[best], others[k]) for k in worse})
    for k in [k for k in worse if alike[k].p > DIFFERENT][:NAMED]:
        told += f"; no worse within chance, {others[k].mean():.1%}: {ways[k].words}"
    return told


def doubt_of(graph: Graph, predictions: NDArray[np.int64], labels: NDArray[np.int64] | None) -> str:
    """What to say of an ANN that is near chance, or far below what its file says, or "".

    Of fewer than 20 images nothing is said. Options in what is said are `named`.

    graph: the ANN. predictions: the classes that it gives images, [N]. labels: theirs, [N]; None:
    there are none.
    """
    count = len(predictions)
    if labels is None or count < ENOUGH:
        return ""
    classes = max(math.prod(graph.shapes[graph.output]), 2)  # one output decides between two
    hits = int((predictions == labels).sum())
    told = f"the ANN has {hits / count:.2%} of {count:,} images right"
    if at_least(hits, count, 1 / classes) >= CHANCE:
        return f"{told}, no better than chance ({1 / classes:.2%}): look at {CAUSES}"
    said = graph.meta.get("test_accuracy")
    if not isinstance(said, float) or hits / count >= said - FAR_BELOW:
        return ""
    if at_least(count - hits, count, 1 - said) >= BELOW:
        return ""
    return f"{told}, far below the {said:.2%} that its file says: look at {CAUSES}"
