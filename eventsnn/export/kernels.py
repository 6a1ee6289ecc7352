"""Linear maps as the two kinds of node that every reader of NIR knows.

These are a convolution, and a matrix of flat vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.network.linear import Grid, LinearMap, regroup

MAX_WEIGHTS = 2**27


class Kernel(NamedTuple):
    """A convolution with zero padding, in one group.

    weight: float64 [M, C, K, K]. strides, padding: by rows and columns.
    """

    weight: NDArray[np.float64]
    strides: tuple[int, int]
    padding: tuple[int, int]

    def __repr__(self) -> str:
        shape = list(self.weight.shape)
        return f"<Kernel {shape}: strides {self.strides}, padding {self.padding}>"


def convolution(m: LinearMap, source: Grid, target: Grid) -> Kernel | None:
    """The `Kernel` of a LinearMap, or None where it is no convolution with a square kernel.

    It is one if each target site sees the same offsets through the same blocks, but for the border,
    and all targets together reach over twice the grid's side at most (with longer strides and
    padding, any map is one). Pooling in front of a convolution is part of the kernel. NIR pads both
    sides alike: where the map does not, the kernel has zeros.

    m: the map. source, target: the grids (C, H, W) that it joins.
    """
    m = m.whole()
    at = np.divmod(m.p, source[2])
    to = np.divmod(m.r, target[2])
    sizes = source[1:]
    counts = target[1:]
    rows, columns = (_strides(*axis) for axis in zip(at, to, sizes, counts))
    for strides in product(rows, columns):
        offsets = [a - s * t for a, s, t in zip(at, strides, to)]
        first = [int(d.min()) for d in offsets]
        blocks = np.full([int(d.max()) - low + 1 for d, low in zip(offsets, first)], -1)
        place = tuple(d - low for d, low in zip(offsets, first))
        blocks[place] = m.k
        axes = zip(first, blocks.shape, strides, sizes, counts)
        seen = [_seen_on_axis(*axis) for axis in axes]
        if (blocks[place] == m.k).all() and seen[0] @ (blocks >= 0) @ seen[1] == len(m.p):
            fits = _placed(first, blocks.shape, strides, sizes, counts)
            if fits is None:
                return None
            return Kernel(_weight(m, blocks, first, *fits), strides, fits[1])
    return None


def _strides(at: NDArray[np.int64], to: NDArray[np.int64], size: int, count: int) -> list[int]:
    """The strides of an axis with which every target that can see an offset sees it.

    at, to: row (or column) of source and target of each tap, int64 [taps]. size, count: how many
    rows (or columns) source and target have.
    """
    if count == 1:
        return [size]
    pairs = np.unique(np.stack([at, to]), axis=1)
    found = []
    for stride in range(1, min(size, 2 * size // (count - 1)) + 1):
        offsets = np.unique(pairs[0] - stride * pairs[1])
        if sum(_seen(offset, stride, size, count) for offset in offsets) == pairs.shape[1]:
            found.append(stride)
    return found


def _seen_on_axis(first: int, length: int, stride: int, size: int, count: int) -> NDArray[np.int64]:
    """`_seen` for the offsets from `first` on, int64 [length]."""
    return np.array([_seen(first + i, stride, size, count) for i in range(length)])


def _seen(offset: int, stride: int, size: int, count: int) -> int:
    """How many of `count` targets have a source at this offset."""
    at = offset + stride * np.arange(count)
    return int(np.count_nonzero((at >= 0) & (at < size)))


def _placed(
    first: Sequence[int],
    lengths: Sequence[int],
    strides: Sequence[int],
    sizes: Sequence[int],
    counts: Sequence[int],
) -> tuple[int, tuple[int, int]] | None:
    """(K, padding by axis) of the smallest square kernel that fits, or None.

    It holds the offsets and gives as many targets as there are. first, lengths: the smallest offset
    and the number of offsets, by axis. sizes, counts: of the sites of source and target, by axis.
    """
    last = [low + n - 1 for low, n in zip(first, lengths)]
    least = [
        max(0, -low, (c - 1) * s + high - n + 1)
        for low, high, s, n, c in zip(first, last, strides, sizes, counts)
    ]
    smallest = max(
        p + max(high, n + p - c * s) + 1
        for p, high, s, n, c in zip(least, last, strides, sizes, counts)
    )
    for size in (smallest, smallest + 1):
        axes = zip(least, last, strides, sizes, counts)
        rows, columns = (_padding(size, *axis) for axis in axes)
        if rows is not None and columns is not None:
            return size, (rows, columns)
    return None


def _padding(kernel: int, least: int, high: int, stride: int, size: int, count: int) -> int | None:
    """The smallest padding of an axis with which a kernel gives `count` targets, or None."""
    for padding in range(least, kernel - high):
        if (size + 2 * padding - kernel) // stride + 1 == count:
            return padding
    return None


def _weight(
    m: LinearMap,
    blocks: NDArray[np.int64],
    first: Sequence[int],
    size: int,
    padding: tuple[int, int],
) -> NDArray[np.float64]:
    """The kernel's weight, float64 [M, C, K, K].

    blocks: the number of the block at each offset from `first` on; -1: none. size: K.
    """
    full = regroup(m.blocks, 1)[:, 0]
    weight = np.zeros((full.shape[2], full.shape[1], size, size))
    for i, j in np.argwhere(blocks >= 0):
        weight[:, :, first[0] + i + padding[0], first[1] + j + padding[1]] = full[blocks[i, j]].T
    return weight


def matrix(m: LinearMap, where: str) -> NDArray[np.float64]:
    """A LinearMap as float64 [target neurons, source neurons], in the order of Flatten.

    m: the map. where: what to call it in messages. Neurons stand channel by channel. Raises
    InputError for more than 2^27 weights.
    """
    sources, targets = m.sites
    c, d = m.channels
    if sources * c * targets * d > MAX_WEIGHTS:
        raise InputError(
            where,
            "a convolution with a square kernel and a bias for each channel, or at most "
            f"{MAX_WEIGHTS:,} weights",
            f"neither: a matrix of {targets * d:,} x {sources * c:,} neurons",
            "choose one threshold a layer ('max', 'percentile'), or leave out what differs from "
            "place to place (Resize, shifts or averages at padded borders)",
        )
    by_site = m.dense().reshape(sources, c, targets, d)
    return by_site.transpose(3, 2, 1, 0).reshape(targets * d, sources * c)
