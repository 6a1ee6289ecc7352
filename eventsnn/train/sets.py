"""Training and test images as tensors, and what is done to their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eventsnn.ann.graph import Preprocessing
from eventsnn.data.images import Images, load_images
from eventsnn.exceptions import InputError

CHUNK = 5000  # images of which sums are taken at once


@dataclass(frozen=True)
class Sets:
    """What a network is trained and tested on.

    train, test: raw pixels [N, C, H, W]. train_labels, test_labels: int64 [N]. classes: their
    names, () where unknown. count: how many classes there are. preprocessing: of raw pixels; mean
    and deviation of the training images, of each channel. name: of the data.
    """

    train: Any
    train_labels: Any
    test: Any
    test_labels: Any
    classes: tuple[str, ...]
    count: int
    preprocessing: Preprocessing
    name: str

    def prepared(self, pixels: Any) -> Any:
        """Raw pixels as the network takes them, float32, channels last in memory."""
        mean = torch.tensor(self.preprocessing.mean, dtype=torch.float32)[:, None, None]
        std = torch.tensor(self.preprocessing.std, dtype=torch.float32)[:, None, None]
        x = (pixels.to(torch.float32) * self.preprocessing.scale - mean) / std
        return x.contiguous(memory_format=torch.channels_last)


def load_sets(data: str, limit: int | None) -> Sets:
    """The images of a training.

    data: as --data of eventsnn.run. limit: of training images, or None. Raises InputError for what
    cannot be read, for data without labels or with one class, and for splits that do not fit.
    """
    train = load_images(data, split="train", limit=limit)
    test = load_images(data, split="test")
    where = f"--data {data}"
    for images, split in ((train, "train"), (test, "test")):
        if images.split != split:
            do = "give a data set that has both, such as CIFAR-10's folder"
            raise InputError(where, f"a {split} split", f"{images.split} images alone", do)
        if images.labels is None:
            do = "give a data set with labels"
            raise InputError(where, f"labels of the {split} images", "none", do)
    assert train.labels is not None and test.labels is not None
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        shapes = [list(images.pixels.shape[1:]) for images in (train, test)]
        raise InputError(where, "training and test images of one shape", shapes)
    count = max(len(train.classes), int(train.labels.max()) + 1)
    if int(min(train.labels.min(), test.labels.min())) < 0:
        raise InputError(where, "labels from 0 on", "a label below 0")
    if count < 2:
        raise InputError(where, "two classes or more", f"{count} in the training images")
    if int(test.labels.max()) >= count:
        found = f"a test image of class {test.labels.max()}"
        do = "raise ⟦limit⟧, or give the data set's own test images"
        raise InputError(where, f"classes 0 to {count - 1}, as in the training images", found, do)
    return Sets(
        *_tensors(train),
        *_tensors(test),
        tuple(train.classes),
        count,
        _preprocessing(train),
        train.name,
    )


def _tensors(images: Images) -> tuple[Any, Any]:
    pixels = torch.from_numpy(np.ascontiguousarray(images.pixels))
    return pixels, torch.from_numpy(np.asarray(images.labels, np.int64))


def _preprocessing(images: Images) -> Preprocessing:
    """Pixels to [0, 1] by their range, then mean 0 and deviation 1; four digits of each."""
    if images.pixel_range is not None:
        highest = images.pixel_range[1]
    else:
        highest = 1 if images.pixels.dtype.kind == "f" and images.pixels.max() <= 1 else 255
    scale = 1 / highest
    total = squares = 0.0
    for i in range(0, len(images), CHUNK):
        part = images.pixels[i : i + CHUNK].astype(np.float64) * scale
        total = total + part.sum(axis=(0, 2, 3))
        squares = squares + np.square(part).sum(axis=(0, 2, 3))
    each = len(images) * images.pixels[0, 0].size
    mean = np.asarray(total) / each
    std = np.sqrt(np.maximum(np.asarray(squares) / each - mean**2, 1e-8))
    return Preprocessing(scale, mean.round(4), np.maximum(std.round(4), 1e-4))
