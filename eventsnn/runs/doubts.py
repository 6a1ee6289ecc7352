"""Doubts of an ANN's accuracy: a preprocessing that fits better, chance, what its file says."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import by_neuron, classes_of, logits
from eventsnn.ann.graph import Graph, Preprocessing
from eventsnn.data.images import Images, as_vectors, load_images
from eventsnn.exceptions import InputError, in_flags, named
from eventsnn.inputs.without import data_of
from eventsnn.runs.say import Say
from eventsnn.settings import Settings
from eventsnn.statistics import compare

TRIED = 128  # images, for each preprocessing
CERTAIN = 0.01  # p below it, after Holm for all that is tried
ENOUGH = 20  # images; with fewer, nothing is said of an accuracy
CHANCE = 0.05  # p of a binomial test below it: better than chance
FAR_BELOW = 0.05  # of the accuracy that the file says
BELOW = 0.001  # p of a binomial test
CAUSES = "the preprocessing, the order of channels, or labels of another order"


class Way(NamedTuple):
    """A customary preprocessing. options: that give it. reverse: whether channels are reversed."""

    options: str
    preprocessing: Preprocessing
    reverse: bool

    @property
    def words(self) -> str:
        """What it is, and how it is had."""
        if not self.reverse:
            return self.options
        return f"{self.options} and the channels in reverse (RGB and BGR, in the data)"


def better_preprocessing(graph: Graph, images: Images, settings: Settings, say: Say) -> str:
    """What to say of a customary preprocessing that gives an ANN more than its own, or "".

    It is tried on 128 labelled images where nothing tells the network's preprocessing: pixels as
    they are, from 0 to 1 and from -1 to 1, both orders of channels.

    graph: the ANN. images: those to run; where they are fewer, more of their split are read.
    settings: of the run. say: where progress is shown.
    """
    if graph.preprocessing.known or images.labels is None:
        return ""
    images = _enough(graph, images, settings)
    assert images.labels is not None
    ways = customary(graph, images.pixels)
    hits = []
    with say.bar((len(ways) + 1) * len(images), "preprocessing") as bar:
        own = _hits(graph, images, settings.workers)
        bar.update(len(images))
        for way in ways:
            pixels = images.pixels[:, ::-1] if way.reverse else images.pixels
            tried = replace(graph, preprocessing=way.preprocessing)
            hits.append(_hits(tried, replace(images, pixels=pixels), settings.workers))
            bar.update(len(images))
    against = compare({k: (each, own) for k, each in enumerate(hits)})
    best = max(range(len(ways)), key=lambda k: float(hits[k].mean()))
    if against[best].gained <= against[best].lost or against[best].holm >= CERTAIN:
        return ""
    return in_flags(
        f"the file does not tell the preprocessing, and another one fits better: on {len(own)} "
        f"images the ANN has {own.mean():.1%} as it is run, and {hits[best].mean():.1%} with "
        f"{ways[best].words} (p = {against[best].holm:.2g})"
    )


def customary(graph: Graph, pixels: NDArray[np.generic]) -> list[Way]:
    """The preprocessings that are tried.

    graph: the ANN, for its number of channels and its own preprocessing, which is left out. pixels:
    raw images, for the largest of theirs: 1, or more.
    """
    whole = 255.0 if pixels.max() > 1 or pixels.dtype.kind in "iu" else 1.0
    pairs = []
    for factor, shift in (255 / whole, 0.0), (1 / whole, 0.0), (2 / whole, 1.0):
        given = named("input_scale", f"{factor:.9g}")
        given += f" {named('input_mean', f'{shift:g}')}" if shift else ""
        pairs.append((given, Preprocessing(factor, np.full(1, shift), np.ones(1))))
    orders = (False, True) if graph.input_shape[0] == 3 else (False,)
    ways = [Way(given, each, reverse) for reverse in orders for given, each in pairs]
    own = str(replace(graph.preprocessing, known=True))
    return [way for way in ways if way.reverse or str(way.preprocessing) != own]


def doubts(graph: Graph, found: NDArray[np.float32], images: Images) -> list[str]:
    """Warnings of an accuracy that is near chance, or far below what the network's file says.

    graph: the ANN. found: its logits for the images, [N, neurons]. images: of the run.
    """
    from scipy.stats import binomtest

    count, classes = len(found), max(found.shape[1], 2)  # one output decides between two
    if images.labels is None or count < ENOUGH:
        return []
    hits = int((classes_of(found) == images.labels).sum())
    told = f"the ANN has {hits / count:.2%} of {count:,} images"
    if binomtest(hits, count, 1 / classes, alternative="greater").pvalue >= CHANCE:
        return [f"{told} right, no better than chance ({1 / classes:.2%}): look at {CAUSES}"]
    said = graph.meta.get("test_accuracy")
    if not isinstance(said, float) or hits / count >= said - FAR_BELOW:
        return []
    if binomtest(hits, count, said, alternative="less").pvalue >= BELOW:
        return []
    return [f"{told} right, far below the {said:.2%} that its file says: look at {CAUSES}"]


def _enough(graph: Graph, images: Images, settings: Settings) -> Images:
    """The first 128 of the images, or of their data set where they are fewer."""
    data, _ = data_of(graph, settings)
    if len(images) < TRIED and data is not None:
        try:
            more = load_images(data, split=settings.split, limit=TRIED)
        except InputError:
            more = images
        more, _ = as_vectors(graph, more)
        images = images if more.labels is None else more
    return images.take(np.arange(min(TRIED, len(images))))


def _hits(graph: Graph, images: Images, workers: int | None) -> NDArray[np.bool_]:
    """Whether the ANN classifies each image as labelled, [N]."""
    with np.errstate(all="ignore"):
        found = by_neuron(logits(graph, images.pixels, workers=workers))
    return np.asarray(classes_of(found) == images.labels)
