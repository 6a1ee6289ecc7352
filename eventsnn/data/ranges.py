"""The range of raw pixels of a study: the same, whichever of its images are run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from eventsnn.ann.pixels import expected_range
from eventsnn.exceptions import InputError, named

if TYPE_CHECKING:
    from eventsnn.ann.graph import Graph


class PixelRange(NamedTuple):
    """The lowest and highest raw pixel that the images of a study may have.

    low, high: the two. source: what says so, in words, with options as `exceptions.named` marks
    them.
    """

    low: float
    high: float
    source: str

    @property
    def ends(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, {self.source}"


def range_of(
    graph: Graph,
    images: Any,
    declared: Sequence[float] | None = None,
    where: str = "images",
) -> PixelRange:
    """The range of raw pixels that is in force for some images (semantics, section 3).

    It is what is declared; or what the images' file says; or for whole numbers 0 to 255 (int8: -128
    to 127); or what the network's preprocessing is made for, 0 to 1 or 0 to 255. graph: the ANN.
    images: `Images`, or raw pixels [N, C, H, W]. declared: (lowest, highest) of the option, or
    None. where: what to call the images in the message. Raises InputError for a range that is none,
    and for pixels outside.
    """
    pixels: Any = getattr(images, "pixels", images)
    said = getattr(images, "pixel_range", None)
    if declared is not None:
        low, high = checked(declared)
        source = f"as {named('pixel_range')} says"
    elif said is not None:
        low, high = said
        source = "as the images' file says"
    elif pixels.dtype.kind in "iu":  # lists and tensors have 64 bits, whatever is in them
        limits = np.iinfo(pixels.dtype if pixels.dtype.itemsize == 1 else np.uint8)
        low, high = float(limits.min), float(limits.max)
        source = f"those of {limits.dtype}"
    else:
        low, high = expected_range(graph.preprocessing)
        source = "as the network's preprocessing expects"
    found = PixelRange(low, high, source)
    least, most = float(pixels.min()), float(pixels.max())
    if least < low or most > high:
        low, high = outwards(min(least, low), max(most, high))
        do = (
            f"give {named('pixel_range', f'{low:g},{high:g}')}, in which these are; it must hold "
            "for all images of a study"
        )
        raise InputError(where, f"pixels of {found}", f"{least:g} to {most:g}", do)
    return found


def checked(given: Any, where: str | None = None) -> tuple[float, float]:
    """(lowest, highest) raw pixel as given.

    where: who gives them (None: the option). Raises InputError unless they are two finite numbers,
    the smaller first.
    """
    try:
        numbers = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.shape != (2,) or not np.isfinite(numbers).all() or not numbers[0] < numbers[1]:
        expected = "two finite numbers, the lowest and the highest raw pixel"
        do = "" if where else f"for example {named('pixel_range', '0,1')}"
        raise InputError(where or named("pixel_range"), expected, repr(given), do)
    return float(numbers[0]), float(numbers[1])


def outwards(low: float, high: float) -> tuple[float, float]:
    """Numbers of few digits that two numbers, which differ, lie between. low, high: the two."""
    digits = 1 - int(np.floor(np.log10(high - low)))
    unit = 10.0**digits
    return float(np.floor(low * unit) / unit), float(np.ceil(high * unit) / unit)
