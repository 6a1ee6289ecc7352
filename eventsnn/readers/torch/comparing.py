"""How far what was read is from what torch computes, and the images on which that is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import activation_function, apply
from eventsnn.ann.graph import Node, Preprocessing
from eventsnn.exceptions import InputError, named

TOLERANCE = 1e-9
# rounding of sums of inputs that are far larger than the result
ROUNDING = 1e-14
# highest pixel of the two usual types: whole numbers of 8 bits, and numbers from 0 to 1
HIGHEST = (255.0, 1.0)
# images of at most as many values are compared in fours, larger ones alone
SMALL = 2**14
ROUNDED = ("QCFS", "QuantRelu", "SlipRelu")


def is_small(shape: tuple[int, ...]) -> bool:
    """Whether images are so small that many of them are compared. shape: (C, H, W)."""
    return int(np.prod(shape)) <= SMALL


def images(
    shape: tuple[int, int, int], preprocessing: Preprocessing
) -> tuple[NDArray[np.float64], int]:
    """(Preprocessed images [N, C, H, W] over the range of pixels, how many are compared together).

    Pixels are 0 to 255 in the first group and 0 to 1 in the second; where no preprocessing is
    known, -1 to 1 in a third, as images may come prepared.

    shape: (C, H, W). preprocessing: of raw pixels. Raises InputError for one of other channels.
    """
    for key, values in ("mean", preprocessing.mean), ("std", preprocessing.std):
        if np.size(values) not in (1, shape[0]):
            expected, do = f"1 or {shape[0]} numbers", "give one for each channel"
            raise InputError(f"{named('preprocessing')}: {key}", expected, np.size(values), do)
    rng = np.random.default_rng(0)
    groups = []
    for number, highest in enumerate(HIGHEST):
        grey = rng.random((1, *shape))
        kinds = (
            grey,
            np.round(rng.random((1, *shape))),  # black and white
            np.ones((1, *shape)),
            grey * np.linspace(0, 1, shape[2]),
        )
        group = kinds if is_small(shape) else kinds[number : number + 1]
        groups.append(np.concatenate(group) * highest)
    count = len(groups[0])
    if not preprocessing.known:
        groups.append(rng.uniform(-1, 1, (count, *shape)))
    return preprocessing(np.concatenate(groups)).astype(np.float64), count


def deviation(
    found: NDArray[Any], expected: NDArray[Any], group: int, largest_input: float = 0
) -> float:
    """The largest difference in any group of images, as a share of the largest value there.

    found, expected: [N, ...]. group: how many images are compared together. largest_input: of the
    values that these were computed from; its rounding is no difference.
    """
    if found.shape != expected.shape:
        return np.inf
    worst = 0.0
    for start in range(0, len(expected), group):
        part = slice(start, start + group)
        off = np.abs(found[part] - expected[part]).max(initial=0)
        largest = np.abs(expected[part]).max(initial=0) + largest_input * ROUNDING / TOLERANCE
        share = float(off / max(largest, 1e-300))
        worst = max(worst, np.inf if np.isnan(share) else share)
    return worst


class Computed:
    """What a node of the graph gives for torch's inputs, before torch changes these in place.

    node: of the graph. inputs: [N, ...] each.
    """

    def __init__(self, node: Node, inputs: list[NDArray[Any]]) -> None:
        self.name = node.name
        with np.errstate(all="ignore"):
            self.largest = max(float(np.abs(x).max(initial=0)) for x in inputs)
            self.found = np.array(apply(node, inputs))
            self.ends: list[NDArray[Any]] = []
            if node.op in ROUNDED:
                function, border = activation_function(node), self.largest * TOLERANCE
                self.ends = [function(inputs[0] + side) for side in (-border, border)]

    def deviation(self, expected: NDArray[Any], group: int) -> float:
        """How far the node is from torch, as `deviation` measures it.

        expected: torch's output. group: as in `deviation`. An activation that rounds may take a
        value at a level's border to either side.
        """
        with np.errstate(all="ignore"):
            found = self.found
            if self.ends and found.shape == expected.shape:
                found = np.clip(expected, *self.ends)
            return deviation(found, expected, group, self.largest)
