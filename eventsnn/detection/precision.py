"""Average precision as COCO's evaluation has it (Lin et al. 2014): 101 recalls, all sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.detection.boxes import Boxes, overlaps
from eventsnn.exceptions import InputError

RECALLS = np.linspace(0, 1, 101)
OVERLAPS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())
MOST = 100  # boxes of an image and class that count, the best


class Graded(NamedTuple):
    """The boxes of a class in each image, best first: scores, and whether each is right; and how
    many true boxes there are.
    """

    scores: list[NDArray[np.float64]]
    right: list[NDArray[np.bool_]]
    counts: list[int]


@checked
def mean_average_precision(
    found: Sequence[Boxes],
    truth: Sequence[Boxes],
    *,
    classes: int,
    least: float | Sequence[float] = 0.5,
) -> float:
    """The mean of `average_precision` over classes that occur, and over overlaps.

    found: boxes with scores, of each image. truth: what is there. classes: how many there are.
    least: the overlap from which a box is right, or several: `precision.OVERLAPS` for 0.5 to 0.95.
    Raises InputError for other numbers of images, and where nothing is there.
    """
    limits = [least] if isinstance(least, (int, float)) else list(least)
    values = [
        average_precision(found, truth, kind=kind, least=limit)
        for kind in range(classes)
        for limit in limits
    ]
    known = [value for value in values if value is not None]
    if not known:
        raise InputError("truth", "one box or more of these classes", "none")
    return float(np.mean(known))


@checked
def average_precision(
    found: Sequence[Boxes], truth: Sequence[Boxes], *, kind: int, least: float
) -> float | None:
    """The mean over 101 recalls of the best precision at that recall or more; None without a box.

    In an image, the boxes found take in order of their scores the true box that they overlap most
    among those not taken, from `least` on. found, truth: as for `mean_average_precision`. kind: the
    class. least: overlap from which a box is right.
    """
    return averaged(graded(found, truth, kind=kind, least=least), range(len(truth)))


def graded(found: Sequence[Boxes], truth: Sequence[Boxes], *, kind: int, least: float) -> Graded:
    """Which boxes of each image are right. found, truth, kind, least: as above; so what is raised.

    Resamples of the images can be `averaged` without looking at boxes again.
    """
    if len(found) != len(truth):
        raise InputError("found", f"boxes of {len(truth)} images", len(found))
    scores, right, counts = [], [], []
    for boxes, there in zip(found, truth):
        if boxes.scores is None:
            raise InputError("found", "boxes with scores", "none")
        place = np.flatnonzero(boxes.classes == kind)
        place = place[np.argsort(-boxes.scores[place], kind="stable")[:MOST]]
        corners = there.corners[there.classes == kind]
        counts.append(len(corners))
        scores.append(boxes.scores[place])
        right.append(_right(boxes.corners[place], corners, least))
    return Graded(scores, right, counts)


def averaged(grades: Graded, images: Sequence[int]) -> float | None:
    """`average_precision` of some images, each as often as it occurs; None without a true box."""
    count = sum(grades.counts[i] for i in images)
    if not count:
        return None
    order = np.argsort(-np.concatenate([grades.scores[i] for i in images]), kind="stable")
    hits = np.concatenate([grades.right[i] for i in images])[order].cumsum()
    recall = hits / count
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(best, 0.0)[places].mean())


def _right(
    found: NDArray[np.float64], truth: NDArray[np.float64], least: float
) -> NDArray[np.bool_]:
    """Which boxes, best first, take a true one."""
    shares = overlaps(found, truth)
    free = np.ones(len(truth), bool)
    right = np.zeros(len(found), bool)
    limit = min(least, 1 - 1e-10)
    for i, row in enumerate(shares):
        possible = np.flatnonzero(free & (row >= limit))
        if len(possible):
            # among equals the last, as COCO's own loop has it
            best = possible[np.flatnonzero(row[possible] == row[possible].max())[-1]]
            free[best] = False
            right[i] = True
    return right
