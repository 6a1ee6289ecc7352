"""What a detector's output means: one box a cell, on maps of several scales (YOLO)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.detection.boxes import Boxes
from eventsnn.exceptions import InputError

BOX = 5  # channels before the classes: x, y, width, height, whether something is there
FARTHEST = 4.0  # of the exponents of width and height


@dataclass(frozen=True)
class Head:
    """The layout of a detector's output, and the boxes in it.

    The output is one vector: for each scale a map [5 + classes, H / stride, W / stride], flattened,
    one behind the other. At column i and row j of a map with stride s and anchor a (YOLOv3, Redmon
    and Farhadi 2018, section 2.1), with sigma the logistic function:

        centre ((i + sigma(x)) s, (j + sigma(y)) s), size (a exp(width), a exp(height)),
        score of class k: sigma(there) softmax(classes)[k]

    size: height and width of the images. strides, anchors: pixels, of each scale. classes: how
    many. Raises InputError for sizes that the strides do not divide.
    """

    size: tuple[int, int]
    strides: tuple[int, ...]
    anchors: tuple[float, ...]
    classes: int

    def __post_init__(self) -> None:
        if len(self.strides) != len(self.anchors) or not self.strides:
            found = f"{len(self.strides)} and {len(self.anchors)}"
            raise InputError("strides and anchors", "as many of each, one or more", found)
        if any(s < 1 or n % s for s in self.strides for n in self.size):
            expected = f"strides that divide {list(self.size)}"
            raise InputError("strides", expected, list(self.strides))
        if self.classes < 1 or any(not a > 0 for a in self.anchors):
            raise InputError("anchors and classes", "numbers above 0", "others")

    @classmethod
    def of_scenes(cls, classes: int) -> Head:
        """The layout that eventsnn.train's detector has, on scenes of 64x64. classes: how many."""
        return cls((64, 64), (8, 16), (18.0, 28.0), classes)

    @property
    def maps(self) -> list[tuple[int, int, int]]:
        """The shape of each scale's map."""
        height, width = self.size
        return [(BOX + self.classes, height // s, width // s) for s in self.strides]

    @property
    def outputs(self) -> int:
        """How many numbers the output has."""
        return sum(int(np.prod(shape)) for shape in self.maps)

    def split(self, output: Any) -> Iterator[Any]:
        """The maps [N, 5 + classes, h, w] of outputs [N, outputs], arrays or tensors."""
        start = 0
        for shape in self.maps:
            count = int(np.prod(shape))
            yield output[:, start : start + count].reshape(-1, *shape)
            start += count

    def boxes(self, output: NDArray[Any], least: float = 0.05, most: float = 0.5) -> list[Boxes]:
        """The boxes that outputs stand for, of each image, after non-maximum suppression.

        output: [N, outputs]. least: score of a box that is kept. most: overlap with a better box of
        the same class that is left. Raises InputError for outputs of another length.
        """
        output = np.asarray(output, np.float64).reshape(len(output), -1)
        if output.shape[1] != self.outputs:
            raise InputError("output", f"{self.outputs:,} numbers an image", output.shape[1])
        corners, scores = self._decoded(output)
        found = []
        for its, score in zip(corners, scores):
            cell, kind = np.nonzero(score >= least)
            boxes = Boxes(its[cell], kind.astype(np.int64), score[cell, kind])
            found.append(boxes.suppressed(most))
        return found

    def _decoded(self, output: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """(corners [N, cells, 4], scores [N, cells, classes]) of all cells, scale by scale."""
        corners, scores = [], []
        for maps, stride, anchor in zip(self.split(output), self.strides, self.anchors):
            rows, columns = np.indices(maps.shape[2:])
            x = (columns + _logistic(maps[:, 0])) * stride
            y = (rows + _logistic(maps[:, 1])) * stride
            half = anchor * np.exp(np.clip(maps[:, 2:4], -FARTHEST, FARTHEST)) / 2
            ends = [x - half[:, 0], y - half[:, 1], x + half[:, 0], y + half[:, 1]]
            limits = (self.size[1], self.size[0]) * 2
            ends = [np.clip(end, 0, limit) for end, limit in zip(ends, limits)]
            corners.append(np.stack(ends, axis=-1).reshape(len(maps), -1, 4))
            shares = np.exp(maps[:, BOX:] - maps[:, BOX:].max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            score = _logistic(maps[:, 4])[:, None] * shares
            scores.append(score.reshape(len(maps), self.classes, -1).transpose(0, 2, 1))
        return np.concatenate(corners, axis=1), np.concatenate(scores, axis=1)

    def cells(self, truth: Boxes) -> Iterator[tuple[int, int, int, NDArray[np.float64], int]]:
        """(scale, row, column, (x, y, width, height) in that cell's terms, class) of true boxes.

        A box belongs to the scale whose anchor is nearest to the root of its area, and there to the
        cell of its centre; x and y are from 0 to 1, width and height exponents. truth: the boxes.
        """
        for corners, kind in zip(truth.corners, truth.classes):
            size = np.maximum(corners[2:] - corners[:2], 1.0)
            centre = (corners[:2] + corners[2:]) / 2
            ratio = np.abs(np.log(np.sqrt(size.prod()) / np.array(self.anchors)))
            scale = int(ratio.argmin())
            stride = self.strides[scale]
            most = np.array(self.maps[scale][:0:-1]) - 1
            cell = np.minimum((centre // stride).astype(int), most)
            inside = centre / stride - cell
            exponents = np.log(size / self.anchors[scale])
            yield scale, int(cell[1]), int(cell[0]), np.r_[inside, exponents], int(kind)


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))


def same_boxes(first: Sequence[Boxes], second: Sequence[Boxes], within: float = 0.0) -> bool:
    """Whether two lists have the same boxes, image by image and box by box.

    first, second: of as many images. within: how far corners and scores may differ.
    """
    for a, b in zip(first, second, strict=True):
        if len(a) != len(b) or not np.array_equal(a.classes, b.classes):
            return False
        pairs = [(a.corners, b.corners)]
        if a.scores is not None and b.scores is not None:
            pairs.append((a.scores, b.scores))
        if any(np.abs(x - y).max(initial=0) > within for x, y in pairs):
            return False
    return True
