"""Bipolar integrate-and-fire neurons with a spike tracer.

At equilibrium they are a quantised activation (SpikeZIP eq. 1).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError, named
from eventsnn.neurons.contract import Layered, Setting

NO_LIMITS = np.zeros(0, np.int64)


class _STBIF(NamedTuple):
    q: Any = None
    limits: NDArray[np.int64] = NO_LIMITS


class STBIF(_STBIF):
    """Fires 1 if p >= q and s < limit; -1 if p < 0 and s > 0.

    q: one level of the activation, in the arithmetic's dtype. limits: int64 [L], S_max of each
    layer, the number of its levels.
    """

    __slots__ = ()

    words = (
        "ST-BIF: fires 1 if p >= q and S < S_max, -1 if p < 0 and S > 0; p -= q * spike; "
        "q = theta / S_max"
    )
    conserves = True
    confluent = True
    holds = True
    signed = True
    reset = "subtract"
    encoding = "even"

    def fit(self, setting: Setting) -> STBIF:
        """The model with each layer's levels, its S_max.

        setting: of the simulation. Raises InputError for an activation that is not quantised.
        """
        return self._replace(q=setting.q, limits=levels(setting.network))

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


def levels(network: Layered, model: str = "st-bif") -> NDArray[np.int64]:
    """The steps of each layer's quantised activation, int64 [L]; 1 for the readout.

    They are S_max (SpikeZIP eq. 1-2). A pool layer has those of the layer it pools. network: whose
    layers. model: that asks, for the message. Raises InputError for an activation that is not
    quantised.
    """
    found: list[int] = []
    for i, layer in enumerate(network.spiking):
        if layer.pools:
            found.append(found[network.into(i)[0].source])
        elif "levels" in layer.node.attrs:
            found.append(layer.node.attrs["levels"])
        else:
            expected = f"a quantised activation (QCFS, QuantRelu) for {model} neurons"
            do = f"choose {named('neuron', 'snm')}, or train with a quantised activation"
            raise InputError(f"node {layer.name!r}", expected, layer.node.op, do)
    return np.array([*found, 1], np.int64)
