"""Activations that let values below 0 pass, too, as sums of spiking sides.

LeakyReLU(x) = ReLU(x) - a ReLU(-x): what is above 0 and what is below become a layer of neurons
each, so the sum is exact. The second side sees exactly -x; in fixed point its weights and drive are
those of the first with the other sign where both have one threshold, as rounding is symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")
# activations that are not made of straight pieces
SMOOTH = frozenset(
    "celu elu gelu hardsilu hardswish logsigmoid mish selu sigmoid silu softplus softsign swish "
    "tanh tanhshrink".split()
)


class Add(Protocol[T]):
    """Adds a node and returns its output, as `building.Builder.add` does."""

    def __call__(
        self,
        name: str,
        op: str,
        inputs: Sequence[T],
        attrs: dict[str, Any] | None = None,
        params: dict[str, NDArray[Any]] | None = None,
        /,
    ) -> T: ...


def why_not(op: str, otherwise: str) -> str:
    """Why an operator has no spiking form.

    op: its name in any format. otherwise: what to say of one that is no smooth activation.
    """
    if op.lower().replace("_", "") in SMOOTH:
        return "it is not made of straight pieces; the papers train with ReLU in its place"
    return otherwise


def line(
    add: Add[T], name: str, x: T, channels: int, scale: ArrayLike, shift: ArrayLike = 0.0
) -> T:
    """x * scale + shift: a BatchNormalization of mean 0 and variance 1.

    add: of a builder. name: the node's. x: an output. channels: how many x has, or how many numbers
    where it is a vector. scale, shift: numbers or arrays [channels].
    """
    factors = np.broadcast_to(_floats(scale), (channels,)).copy()
    params = {
        "scale": factors,
        "B": np.broadcast_to(_floats(shift), (channels,)).copy(),
        "input_mean": np.zeros_like(factors),
        "input_var": np.ones_like(factors),
    }
    return add(name, "BatchNormalization", [x], {"epsilon": 0.0}, params)


def leaky(
    add: Add[T],
    name: str,
    x: T,
    channels: int,
    slopes: ArrayLike,
    highest: float | None = None,
    lowest: float | None = None,
) -> T:
    """min(ReLU(x), highest) - slopes min(ReLU(-x), lowest), for any slopes.

    LeakyReLU has one slope, PReLU one for each channel; the slope of abs is -1.

    add, name, x, channels: as for `line`. slopes: a number or an array [channels]. highest, lowest:
    of each side, above 0, or None. The sides are called "name:above" and "name:below"; where all
    slopes are 0 there is one, which has the name itself.
    """
    slopes = _floats(slopes)
    if not slopes.any():
        return _side(add, name, x, highest)
    above = _side(add, f"{name}:above", x, highest)
    turned = line(add, f"{name}:turned", x, channels, -1.0)
    below = _side(add, f"{name}:below", turned, lowest)
    leak = line(add, f"{name}:leak", below, channels, -slopes)
    return add(name, "Add", [above, leak])


def clip(add: Add[T], name: str, x: T, channels: int, low: float | None, high: float | None) -> T:
    """min(max(x, low), high), exactly.

    Around 0 it is two sides. Elsewhere it is a shifted one, and so it is of one limit that is not
    0.

    add, name, x, channels: as for `line`. low, high: low below high, or None for no limit; at least
    one is given.
    """
    if low is None and high is None:
        raise TypeError("a clip without a limit")
    if low == 0:
        return _side(add, name, x, high)
    if (low is None or low < 0) and (high is None or high > 0):
        return leaky(add, name, x, channels, 1.0, high, None if low is None else -low)
    if low is not None and low > 0:  # low + min(relu(x - low), high - low)
        sign, end = 1.0, low
    else:  # high - min(relu(high - x), high - low)
        sign, end = -1.0, 0.0 if high is None else high
    width = None if low is None or high is None else high - low
    moved = line(add, f"{name}:moved", x, channels, sign, -sign * end)
    side = _side(add, f"{name}:side", moved, width)
    return line(add, name, side, channels, sign, end)


def _side(add: Add[T], name: str, x: T, highest: float | None) -> T:
    if highest is None:
        return add(name, "Relu", [x])
    return add(name, "Clip", [x], {"min": 0, "max": highest})


def _floats(values: ArrayLike) -> NDArray[np.floating[Any]]:
    """Numbers as float64 where float32 does not hold them, otherwise as float32."""
    wide = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    return narrow if (narrow == wide).all() else wide
