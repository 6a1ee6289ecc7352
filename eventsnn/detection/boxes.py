"""Boxes in an image: left, top, right and bottom in pixels, a class and a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of an image.

    corners: float64 [N, 4], left, top, right, bottom. classes: int64 [N]. scores: float64 [N]; None
    for what is there (the truth). Raises InputError for arrays that do not fit each other, and for
    a right or bottom end before the left or top one.
    """

    corners: NDArray[np.float64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.corners)
        if len(shape) != 2 or shape[1] != 4 or not np.isfinite(self.corners).all():
            raise InputError("corners", "finite numbers [N, 4]", f"shape {list(shape)}")
        for name in ("classes", "scores"):
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape[:1]:
                raise InputError(name, f"{shape[0]} numbers", f"shape {list(np.shape(value))}")
        if (self.corners[:, 2:] < self.corners[:, :2]).any():
            raise InputError("corners", "left before right and top before bottom", "others")

    def __len__(self) -> int:
        return len(self.corners)

    def __repr__(self) -> str:
        return f"<Boxes: {len(self)}{'' if self.scores is None else ', with scores'}>"

    def take(self, places: Any) -> Boxes:
        """Those at some places, in that order. places: whole numbers or a mask."""
        scores = None if self.scores is None else self.scores[places]
        return Boxes(self.corners[places], self.classes[places], scores)

    def suppressed(self, most: float = 0.5) -> Boxes:
        """The boxes without those that overlap a better one of their class, best first.

        Equal scores: the first comes first. most: overlap (intersection over union) that is left.
        Raises InputError for boxes without scores.
        """
        if self.scores is None:
            raise InputError("suppressed", "boxes with scores", "none")
        order = np.argsort(-self.scores, kind="stable")
        found = overlaps(self.corners[order], self.corners[order])
        same = self.classes[order][:, None] == self.classes[order][None]
        beaten = (found > most) & same
        kept = np.ones(len(order), bool)
        for i in range(len(order)):
            if kept[i]:
                kept[i + 1 :] &= ~beaten[i, i + 1 :]
        return self.take(order[kept])


def overlaps(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each box with each: [N, M]; 0 where both are empty.

    first, second: corners, float64 [N, 4] and [M, 4].
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(x[:, 2:] - x[:, :2], 0, None).prod(axis=1) for x in (first, second)]
    union = areas[0][:, None] + areas[1][None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
