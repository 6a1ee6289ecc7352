"""Bipolar integrate-and-fire neurons with a spike tracer.

At equilibrium they are a quantised activation (SpikeZIP eq. 1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class STBIF(NamedTuple):
    """Fires 1 if p >= q and s < limit; -1 if p < 0 and s > 0.

    q: one level of the activation, in the arithmetic's dtype. limits: int64 [L], S_max of each
    layer, the number of its levels.
    """

    q: int | float
    limits: NDArray[np.int64]

    words = (  # type: ignore[misc]
        "ST-BIF: fires 1 if p >= q and S < S_max, -1 if p < 0 and S > 0; p -= q * spike; "
        "q = theta / S_max"
    )
    signed = True  # type: ignore[misc]

    @property
    def quanta(self) -> NDArray[np.int64]:
        """Spikes that a threshold is worth, int64 [L]: the levels."""
        return self.limits

    @staticmethod
    def emit(neuron, layer, p, s):
        """See `contract.emit`."""
        if p >= neuron.q and s < neuron.limits[layer]:
            return 1
        if p < 0 and s > 0:
            return -1
        return 0

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return p - n * neuron.q

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`."""
        return (p == neuron.q and s < neuron.limits[layer]) or (p == 0 and s > 0)

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[float, float]:
        """(low, high), see `contract`: 0 and q."""
        return self.q - self.q, self.q

    def __repr__(self) -> str:
        return f"STBIF(q={self.q!r}, {len(self.limits)} layers)"
