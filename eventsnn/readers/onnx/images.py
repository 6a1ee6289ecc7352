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
from eventsnn.readers.building import Output
from eventsnn.readers.views import MAX_MOVED, View

COLOURS = (1, 3, 4)  # channels of grey pictures, and of colours without and with transparency


@dataclass(frozen=True, eq=False)
class Image:
    """The graph's input, and where the values of the model's input stand in it.

    shape: (C, H, W). index: int64 [values], of each value of the model's input in order, its number
    in the image; None where it is the same.
    """

    shape: tuple[int, int, int]
    index: NDArray[np.int64] | None = None

    def view(self, pixels: Output, sizes: Sequence[int]) -> View:
        """The model's input as a view of the graph's.

        pixels: the graph's input. sizes: of the model's, without the batch.
        """
        index = None if self.index is None else self.index.reshape(1, *sizes)
        return View(pixels, index, (1, *sizes))

    def is_like(self, other: Image) -> bool:
        """Whether two are the same. other: of the same input."""
        if self.index is None or other.index is None:
            return self.shape == other.shape and self.index is other.index
        return self.shape == other.shape and np.array_equal(self.index, other.index)

    def seen_as(self, x: View) -> Image | None:
        """The image that an operator sees, where it is the input with other axes; else None.

        x: a view of this image, N, C, H, W. Axes may be moved, and sizes split, but values stay in
        order along each: one that turns channels round sees no other image.
        """
        if x.ndim != 4 or x.size != math.prod(self.shape):
            return None
        _, channels, height, width = x.dims
        if x.order is None and self.index is None:
            return Image((channels, height, width))
        index = x.index[0]
        place = np.arange(x.size)
        if self.index is not None:
            place[self.index] = np.arange(x.size)
        if index.min() < 0 or not _is_straight(place[index]):
            return None
        order = np.empty(x.size, np.int64)
        order[place[index].ravel()] = np.arange(x.size)
        same = np.array_equal(order, np.arange(x.size))
        return Image((channels, height, width), None if same else order)


def _is_straight(raw: NDArray[np.int64]) -> bool:
    """Whether places [C, H, W] in the model's input are all of them, each axis at even steps, rows
    at larger ones than columns.
    """
    steps = [
        int(np.diff(raw, axis=axis).ravel()[0]) if n > 1 else 0 for axis, n in enumerate(raw.shape)
    ]
    c, y, x = np.ix_(*(np.arange(n) * step for n, step in zip(raw.shape, steps)))
    even = min(steps) >= 0 and np.array_equal(c + y + x, raw)
    return even and not 0 < steps[1] < steps[2] and len(np.unique(raw)) == raw.size


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
    last = len(sizes) == 3 and sizes[2] in COLOURS and sizes[0] not in COLOURS
    if last and math.prod(sizes) <= MAX_MOVED:
        height, width, channels = sizes
        values = np.arange(math.prod(sizes))
        moved = values.reshape(channels, height, width).transpose(1, 2, 0)
        return Image((channels, height, width), moved.reshape(-1))
    channels, height, width = (*sizes, 1, 1) if len(sizes) == 1 else (1, *sizes)[-3:]
    return Image((channels, height, width))


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
    if not good or math.prod(sizes[1:]) > 2**28:
        expected = "a shape N, C, H, W with fixed C, H and W; or N, C, L; or N, features"
        do = "export it with a fixed image size, or set one with onnx.tools.update_model_dims"
        raise InputError(where, expected, sizes, do)
    return tuple(sizes[1:])
