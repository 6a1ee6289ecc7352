"""What the input of an ONNX model is as an image (C, H, W), whatever the order of its axes.

The model does not say it. The first operator that needs a map does: what it sees of the input is
the image. Where there is none, the sizes decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError

COLOURS = (1, 3, 4)  # channels of grey pictures, and of colours without and with transparency


@dataclass(frozen=True, eq=False)
class Image:
    """The graph's input, and where the values of the model's input stand in it.

    shape: (C, H, W). index: int64 [values], of each value of the model's input in order, its number
    in the image.
    """

    shape: tuple[int, int, int]
    index: NDArray[np.int64]

    def is_like(self, other: Image) -> bool:
        """Whether two are the same. other: of the same input."""
        return self.shape == other.shape and np.array_equal(self.index, other.index)

    def seen_as(self, index: NDArray[np.int64]) -> Image | None:
        """The image that an operator sees, where it is the input with other axes; else None.

        index: int64 [1, C, H, W], the numbers of values in this image. Axes may be moved, and sizes
        split, but values stay in order along each: one that turns channels round sees no other
        image.
        """
        if index.ndim != 4 or index.size != self.index.size or index.min(initial=0) < 0:
            return None
        place = np.empty(self.index.size, np.int64)
        place[self.index] = np.arange(self.index.size)
        raw = place[index[0]]
        steps = [
            int(np.diff(raw, axis=axis).ravel()[0]) if n > 1 else 0
            for axis, n in enumerate(raw.shape)
        ]
        axes = np.ix_(*(np.arange(n) * step for n, step in zip(raw.shape, steps)))
        straight = np.array_equal(sum(axes), raw) and min(steps) >= 0
        if not straight or len(np.unique(raw)) < raw.size or 0 < steps[1] < steps[2]:
            return None
        order = np.empty(raw.size, np.int64)
        order[raw.ravel()] = np.arange(raw.size)
        channels, height, width = raw.shape
        return Image((channels, height, width), order)


class AnotherImage(Exception):
    """The first guess was wrong. image: what the input is."""

    def __init__(self, image: Image) -> None:
        super().__init__()
        self.image = image


def first_guess(sizes: Sequence[int]) -> Image:
    """What an input is by its sizes alone.

    sizes: without the batch, one to three. Three are H, W, C where the last is a number of colours
    and the first is none, else C, H, W; two are a picture's height and width.
    """
    values = np.arange(math.prod(sizes))
    if len(sizes) == 3 and sizes[2] in COLOURS and sizes[0] not in COLOURS:
        height, width, channels = sizes
        moved = values.reshape(channels, height, width).transpose(1, 2, 0)
        return Image((channels, height, width), moved.reshape(-1))
    channels, height, width = (*sizes, 1, 1) if len(sizes) == 1 else (1, *sizes)[-3:]
    return Image((channels, height, width), values)


def sizes_of(onnx: Any, value: Any, source: str) -> tuple[int, ...]:
    """The sizes of a model's input without the batch, which may have any size or name.

    onnx: the package. value: a ValueInfoProto. source: the file, for messages. Raises InputError
    for anything but one to three sizes of floats.
    """
    where = f"{source}: input {value.name!r}"
    kinds = onnx.TensorProto
    kind = value.type.tensor_type.elem_type
    if kind not in (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE):
        do = (
            "export the network alone, with an input of floats, or cut it out with "
            "onnx.utils.extract_model"
        )
        raise InputError(where, "an input of floats", f"type {kind}", do)
    sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    good = 2 <= len(sizes) <= 4 and all(1 <= n <= 2**20 for n in sizes[1:])
    if not good or math.prod(sizes[1:]) > 2**26:
        expected = "a shape N, C, H, W with fixed C, H and W; or N, C, L; or N, features"
        do = "export it with a fixed image size, or set one with onnx.tools.update_model_dims"
        raise InputError(where, expected, sizes, do)
    return tuple(sizes[1:])
