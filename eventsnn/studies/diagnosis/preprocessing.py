"""Verdicts on the ANN itself: is it near chance, and does another preprocessing restore it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import by_neuron, classes_of, logits
from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.doubts import CERTAIN, ENOUGH, FAR_BELOW, doubt_of
from eventsnn.preparing import Way, customary, hits_of, variants
from eventsnn.statistics import holm, mcnemar, p_words
from eventsnn.studies.diagnosis.verdict import FINE, FOUND, UNKNOWN, Verdict

SCREENED = 32  # images on which every preprocessing is tried
AGAIN = 4  # of the best, which are tried on all images
GOOD = 0.9  # accuracy of an ANN that nothing is wrong with


@dataclass(frozen=True)
class Tried:
    """What was found. verdict: of the preprocessing. way: that restores the ANN, or None."""

    verdict: Verdict
    way: Way | None = None


def ann_hits(graph: Graph, images: Images) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(the ANN's classes int64 [N], which are as labelled bool [N]; without labels all are)."""
    with np.errstate(all="ignore"):
        classes = classes_of(by_neuron(logits(graph, images.pixels)))
    labels = classes if images.labels is None else images.labels
    return classes, np.asarray(classes == labels)


def tried(graph: Graph, images: Images, shown: bool | None) -> Tried:
    """Tries other preprocessings, where there is reason to.

    There is none where the ANN has what its file says, or 90 %. graph: the ANN. images: those of
    the diagnosis. shown: whether a progress bar is.
    """
    kind = "preprocessing"
    if images.labels is None:
        words = "without labels nothing tells whether the preprocessing is right"
        return Tried(Verdict(kind, "", UNKNOWN, None, words))
    classes, right = ann_hits(graph, images)
    doubt = doubt_of(graph, classes, images.labels)
    said = graph.meta.get("test_accuracy")
    enough = said - FAR_BELOW if isinstance(said, float) else GOOD
    told = f"the ANN has {right.mean():.1%} of {len(images)} images right"
    if not doubt and right.mean() >= enough:
        return Tried(Verdict(kind, "", FINE, float(right.mean()), told))
    way, hits, p = _best(graph, images, right, bool(shown))
    if way is not None:
        better = (
            f"{told} as its pixels are prepared now, and {hits.mean():.1%} with {way.words} "
            f"({p_words(p)}, exact McNemar after Holm for all that was tried)"
        )
        return Tried(Verdict(kind, "", FOUND, float(hits.mean()), better), way)
    if doubt:
        words = f"{doubt}; none of the customary preprocessings restores it"
        return Tried(Verdict(kind, "", FOUND, float(right.mean()), words))
    words = f"{told}, and no customary preprocessing gives it more for certain"
    if len(images) < ENOUGH:
        return Tried(Verdict(kind, "", UNKNOWN, float(right.mean()), f"{words}: these are too few"))
    return Tried(Verdict(kind, "", FINE, float(right.mean()), words))


def _best(
    graph: Graph, images: Images, own: NDArray[np.bool_], shown: bool
) -> tuple[Way | None, NDArray[np.bool_], float]:
    """(the preprocessing that is better for certain, or None; its hits; its p)."""
    ways = variants(graph) + customary(graph, images.pixels)
    ways = list({str(way.preprocessing): way for way in reversed(ways)}.values())[::-1]
    some = images[:: max(1, len(images) // SCREENED)][:SCREENED]
    screened = hits_of(graph, ways, some, progress=shown)[1:]
    plain = [-len(way.options) for way in ways]  # of equals the one that changes least
    order = sorted(range(len(ways)), key=lambda k: (int(screened[k].sum()), plain[k]))[-AGAIN:]
    again = [ways[k] for k in order]
    hits = hits_of(graph, again, images, progress=shown)[1:]
    ps = [mcnemar(int((h & ~own).sum()), int((own & ~h).sum())) for h in hits]
    adjusted = holm(ps + [1.0] * (len(ways) - len(ps)))
    best = max(range(len(again)), key=lambda k: (int(hits[k].sum()), plain[order[k]]))
    if int(hits[best].sum()) <= int(own.sum()) or adjusted[best] >= CERTAIN:
        return None, own, 1.0
    return again[best], hits[best], adjusted[best]
