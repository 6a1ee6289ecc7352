"""Bipolar integrate-and-fire neurons with a spike tracer: at equilibrium they are a quantised
activation (SpikeZIP eq. 1).
"""

from typing import NamedTuple

import numpy as np


class STBIF(NamedTuple):
    """Fires 1 if p >= q and s < limit; -1 if p < 0 and s > 0. q is one level of the activation,
    limit their number.

    limits: int64 [layers], S_max of each layer.
    """

    q: int | float
    limits: np.ndarray

    words = "ST-BIF: fires 1 if p >= q and S < S_max, -1 if p < 0 and S > 0; p -= q * spike; q = theta / S_max"
    signed = True

    @property
    def quanta(self):
        return self.limits

    @staticmethod
    def emit(neuron, layer, p, s):
        if p >= neuron.q and s < neuron.limits[layer]:
            return 1
        if p < 0 and s > 0:
            return -1
        return 0

    @staticmethod
    def settle(neuron, p, n):
        return p - n * neuron.q

    @staticmethod
    def tie(neuron, layer, p, s):
        return (p == neuron.q and s < neuron.limits[layer]) or (p == 0 and s > 0)

    @staticmethod
    def most(neuron):
        return 1

    def band(neuron):
        return neuron.q - neuron.q, neuron.q
