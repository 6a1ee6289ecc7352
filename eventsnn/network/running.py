"""Thresholds from activations that come some images at a time, and are not kept."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class Percentile:
    """An exact percentile over images and neurons, of which only the largest values are kept.

    shape: of the activation. images: how many will come. percentile: from 0 to 100; 100 is the
    largest.
    """

    def __init__(self, shape: tuple[int, ...], images: int, percentile: float) -> None:
        count = math.prod(shape) * images
        self.rank = (count - 1) * percentile / 100
        self.keep = count - int(np.floor(self.rank))
        self.largest = np.empty(0, np.float32)

    def add(self, activations: NDArray[np.float32]) -> None:
        """Takes the activations of some images. activations: float32 [n, ...]."""
        values = np.concatenate([self.largest, activations.reshape(-1)])
        if len(values) > self.keep:
            values = np.partition(values, len(values) - self.keep)[-self.keep :]
        self.largest = values

    def theta(self) -> float:
        """The percentile, once all images have come."""
        values = np.sort(self.largest).astype(np.float64)
        low = values[0]
        high = values[min(1, len(values) - 1)]
        return float(low + (high - low) * (self.rank - np.floor(self.rank)))


class Maxima:
    """Each neuron's largest activation (DNISNM section 4.1).

    shape: of the activation. fill: whether neurons that were never active take the largest of all
    instead of 0.
    """

    def __init__(self, shape: tuple[int, ...], fill: bool) -> None:
        self.most = np.zeros(shape)
        self.fill = fill

    def add(self, activations: NDArray[np.float32]) -> None:
        """Takes the activations of some images. activations: float32 [n, ...]."""
        np.maximum(self.most, activations.max(axis=0), out=self.most)

    def theta(self) -> NDArray[np.float64]:
        """The largest activations, float64 of the activation's shape."""
        if self.fill:
            self.most[self.most == 0] = np.max(self.most)
        return self.most
