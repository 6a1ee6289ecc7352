"""What decays between events (semantics, section 13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload
from numpy.typing import NDArray

from eventsnn.engine.jit import inner_kernel

BITS = 30
ONE = 2**BITS
LARGEST = 2**61


def factors_of(leaks: Sequence[float], ticks: int) -> NDArray[np.int64]:
    """What decay by d = 0..ticks ticks multiplies by, times 2^30: int64 [K, ticks + 1].

    leaks: of each of K numbers in a step, in (0, 1]; none: [0, 0]. ticks: of a step.
    """
    if not len(leaks):
        return np.zeros((0, 0), np.int64)
    d = np.arange(ticks + 1) / ticks
    return np.rint(np.power(np.array(leaks)[:, None], d) * ONE).astype(np.int64)


def decayed(value: Any, factor: int) -> Any:
    """A number after it decayed. value: in the arithmetic's dtype. factor: from `factors_of`."""
    if isinstance(value, (int, np.integer)):
        return type(value)((int(value) * int(factor) + (1 << (BITS - 1))) >> BITS)
    return value * (int(factor) * 2.0**-BITS)


@overload(decayed)
def _decayed(value, factor):
    if isinstance(value, types.Integer):

        def whole(value, factor):
            high = value >> 32
            low = value - (high << 32)
            return 4 * high * factor + ((low * factor + (1 << (BITS - 1))) >> BITS)

        return whole
    return lambda value, factor: value * (factor * 2.0**-BITS)


@inner_kernel
def decay(values, at, factors, row, ticks):
    """Lets values[at] decay for so many ticks.

    values: the arithmetic's dtype, of any number of neurons. at: a place in them. factors: int64
    [K, ticks of a step + 1]. row: which of them. ticks: since the last touch.
    """
    value = values[at]
    step = factors.shape[1] - 1
    if factors[row, 1] == ONE and factors[row, step] == ONE:
        return
    while ticks >= step and value != 0:
        value = decayed(value, factors[row, step])
        ticks -= step
    if 0 < ticks < step:
        value = decayed(value, factors[row, ticks])
    values[at] = value
