"""Top-5: whether the right class is among the five with the largest outputs (semantics, 15)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = 5
MANY = 10  # classes; where there are more, top-5 is told, too


def in_top(outputs: NDArray[Any], labels: NDArray[np.int64], count: int = TOP) -> NDArray[np.bool_]:
    """Whether a label is among the classes with the largest outputs, the first of equals before.

    outputs: [..., classes], two or more. labels: int64 [...], of classes. count: how many classes;
    with 1 it is whether `forward.classes_of` decides for the label. Returns bool [...].
    """
    own = np.take_along_axis(outputs, labels[..., None], axis=-1)
    before = (outputs == own) & (np.arange(outputs.shape[-1]) < labels[..., None])
    return ((outputs > own) | before).sum(axis=-1) < count
