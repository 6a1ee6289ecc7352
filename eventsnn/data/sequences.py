"""Sequences, such as sound, ECG and EEG, as images of height 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LAST = "sequences have their channels last"


def as_maps(pixels: NDArray[Any], shape: tuple[int, int, int]) -> tuple[NDArray[Any], str] | None:
    """(sequences as images [n, C, 1, L], what was done to them, "" for nothing); None for others.

    pixels: raw, [n, C, L], [n, L, C] or, of one channel, [n, L]; one alone, [C, L]; or [n, 1, C, L]
    as files with three axes are read. shape: (C, H, W) of a network's input. Only where its height
    is 1 are there sequences; what could be either has its channels first.
    """
    channels, height, length = shape
    given = tuple(pixels.shape)
    if height != 1 or length == 1 or given[1:] == shape:
        return None
    if len(given) == 4 and given[1] == 1:
        given = (given[0], *given[2:])
        pixels = pixels.reshape(given)
    if given[1:] == (channels, length):
        return pixels[:, :, None], ""
    if given[1:] == (length, channels):
        return np.ascontiguousarray(np.moveaxis(pixels, 2, 1)[:, :, None]), LAST
    if channels == 1 and given[1:] == (length,):
        return pixels[:, None, None], ""
    if given == (channels, length):
        return pixels[None, :, None], "one sequence"
    return None
