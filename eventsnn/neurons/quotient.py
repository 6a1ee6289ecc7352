"""Whole quotients that become vector code: no processor divides whole numbers by the vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload


def quotient(p: Any, q: Any) -> Any:
    """floor(p / q), exactly, for p >= 0 and q > 0.

    In 32 bits it is the quotient of 64-bit floating point. That is exact too: where floor(p / q) is
    k - 1, p / q is at most k - 1 / q, and 1 / (k q) is more than 2^-32, which is not rounded away.

    p, q: numbers in the arithmetic's dtype.
    """
    return p // q


@overload(quotient)
def _quotient(p, q):
    if p == types.int32 and q == types.int32:
        return lambda p, q: np.int32(np.float64(p) / np.float64(q))
    return lambda p, q: p // q
