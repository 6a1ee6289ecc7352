"""Scenes with several objects, made of images of single ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.detection.boxes import Boxes, overlaps
from eventsnn.exceptions import InputError

DARK = 25  # of 255: what is brighter belongs to an object
TRIES = 20  # places that are tried for an object
TOUCHING = 0.1  # overlap of two objects' boxes, at most
SCALES = (0.7, 1.4)  # of an object, against its image


@dataclass(frozen=True, eq=False)
class Scenes:
    """Scenes and what is in them.

    pixels: uint8 [N, 1, H, W]. truth: the boxes of each scene.
    """

    pixels: NDArray[np.uint8]
    truth: list[Boxes]

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.pixels.shape[1:]))
        return f"<Scenes: {len(self)} of {size}, {sum(map(len, self.truth))} objects>"


@checked
def make_scenes(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    count: int,
    *,
    seed: int,
    size: int = 64,
    most: int = 4,
) -> Scenes:
    """Scenes of one to `most` objects on black, each of a random size at a random place.

    An object is as bright as its image; where two touch, the brighter pixel stays. Its box is the
    smallest that holds all its pixels above 25. pixels: of single objects, uint8 [M, 1, h, w].
    labels: their classes, int64 [M]. count: of scenes. seed: of sizes and places. size: height and
    width of a scene. Raises InputError for images that are no such ones or do not fit.
    """
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) != 4 or shape[1] != 1 or len(labels) != len(pixels):
        raise InputError("pixels", "uint8 [M, 1, h, w] with labels", f"{pixels.dtype} {shape}")
    if max(shape[2:]) * SCALES[1] > size or count < 1 or most < 1:
        raise InputError("size", "a scene larger than its objects", size)
    random = np.random.default_rng(seed)
    out = np.zeros((count, 1, size, size), np.uint8)
    truth = [_scene(out[n, 0], pixels, labels, random, most) for n in range(count)]
    return Scenes(out, truth)


def _scene(
    scene: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    random: np.random.Generator,
    most: int,
) -> Boxes:
    """Fills a scene [H, W]; returns the boxes in it."""
    corners: list[Any] = []
    kinds: list[int] = []
    for _ in range(int(random.integers(1, most + 1))):
        which = int(random.integers(len(pixels)))
        part = _resized(pixels[which, 0], float(random.uniform(*SCALES)))
        rows, columns = np.nonzero(part > DARK)
        if not len(rows):
            continue
        part = part[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        height, width = part.shape
        for _ in range(TRIES):
            top = int(random.integers(scene.shape[0] - height + 1))
            left = int(random.integers(scene.shape[1] - width + 1))
            box = np.array([[left, top, left + width, top + height]], np.float64)
            if not corners or overlaps(box, np.array(corners)).max() <= TOUCHING:
                here = scene[top : top + height, left : left + width]
                np.maximum(here, part, out=here)
                corners.append(box[0])
                kinds.append(int(labels[which]))
                break
    return Boxes(np.array(corners).reshape(-1, 4), np.array(kinds, np.int64))


def _resized(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """An image [h, w] at another size, between neighbours linearly."""
    places, shares = [], []
    for n in image.shape:
        out = max(2, round(n * scale))
        at = np.clip((np.arange(out) + 0.5) * n / out - 0.5, 0, n - 1)
        low = np.minimum(at.astype(int), n - 2)
        places.append(low)
        shares.append(at - low)
    grey = image.astype(np.float64)
    rows = shares[0][:, None]
    tall = grey[places[0]] * (1 - rows) + grey[places[0] + 1] * rows
    wide = tall[:, places[1]] * (1 - shares[1]) + tall[:, places[1] + 1] * shares[1]
    return wide.round().astype(np.uint8)
