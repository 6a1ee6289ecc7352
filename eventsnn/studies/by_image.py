"""Studies as functions of images: what is kept of each image, and the result that follows from it.

A study is made of two functions. `measure` goes image by image and returns arrays whose first axis
is images; what it says of one depends on no other. `found` makes the study's result of the arrays
of all images, wherever they come from. So images may be measured in parts, on any machine, and
kept (`eventsnn.sweep`), and the result is the same to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

IMAGE, STEP, LAYER, CLASS = "image", "step", "layer", "class"

Arrays = dict[str, NDArray[Any]]


class Variable(NamedTuple):
    """An array that is kept. dims: its axes. dtype, fill: of numbers. unit, words: what they are.

    Of a study the first axis is "image". "layer" are the layers that have neurons, "step" and
    "class" those of the run; any other is told by the study.
    """

    dims: tuple[str, ...]
    dtype: str
    fill: Any
    unit: str
    words: str


class Given(NamedTuple):
    """Images of a study.

    pixels: raw, [N, C, H, W]. numbers: theirs in their data set, int64 [N]. labels: int64 [N], or
    None. first: the place of the first among all images of the study.
    """

    pixels: NDArray[Any]
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64] | None = None
    first: int = 0


class Study(NamedTuple):
    """A study that can be measured in parts.

    run: the whole of it, function of (network, images, its options and those of a run).
    measure: function of (Simulation, Given, progress, workers, its options) -> arrays; raises
    InputError for a simulation that cannot be studied. found: function of (Simulation, arrays of
    all images, labels, numbers, its options) -> its result. variables: of the arrays. axes:
    function of (Simulation, its options) -> of each axis of its own the labels, or how long it is.
    options: names of its own. sized: those of them that decide how long an axis is.
    """

    run: Callable[..., Any]
    measure: Callable[..., Arrays]
    found: Callable[..., Any]
    variables: Mapping[str, Variable]
    axes: Callable[..., dict[str, Any]] = lambda simulation, **options: {}
    options: tuple[str, ...] = ()
    sized: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Study {self.run.__module__}.{self.run.__name__}: {', '.join(self.variables)}>"


def joined(parts: list[Arrays]) -> Arrays:
    """The arrays of several parts as one. parts: one or more, of images that follow each other."""
    return {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
