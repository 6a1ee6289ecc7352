"""Signed integrate-and-fire neurons with a negative threshold near 0 (Fast-SNN).

Yangfan Hu, Qian Zheng, Xudong Jiang, Gang Pan: Fast-SNN, IEEE TPAMI 2023, arXiv:2305.19868, and its
authors' code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError, named
from eventsnn.neurons.contract import Setting
from eventsnn.options import Option

NO_LOWS = np.zeros(0, np.int64)


class _Signed(NamedTuple):
    theta: Any = None
    low: float = 1e-3
    lows: NDArray[Any] = NO_LOWS


class Signed(_Signed):
    """Fires 1 if p >= theta; -1 if p <= -low and s > 0.

    theta: the threshold, in the arithmetic's dtype. low: the size of the negative threshold, in
    units of the activation. lows: the arithmetic's dtype [L], low of each layer in the numbers that
    potentials have: in fixed point rounded to the nearest, and at least one unit.
    """

    __slots__ = ()

    words = "signed IF: fires 1 if p >= theta, -1 if p <= -low and S > 0; p -= theta * spike"
    conserves = True
    confluent = False
    holds = True
    signed = True
    reset = "subtract"
    options = {
        "low": Option(
            help="the size of the negative threshold, in units of the activation",
            example="--neuron signed:0.01",
            kind=float,
            low=1e-6,
            high=1000,
        )
    }

    def fit(self, setting: Setting) -> Signed:
        """The model with each layer's negative threshold.

        setting: of the simulation. Raises InputError where neurons of a layer have thresholds of
        their own.
        """
        q = setting.q
        lows = np.full(len(setting.network.layers), q, np.asarray(q).dtype)
        for i, layer in enumerate(setting.network.spiking):
            if np.ndim(layer.theta):
                expected = "one threshold for all neurons of a layer, as low counts in them"
                do = f"choose another rule for {named('thresholds')}, or {named('neuron', 'snm')}"
                raise InputError("neuron Signed", expected, f"{layer.name}: one for each", do)
            low = self.low / float(layer.theta) * float(q)
            lows[i] = max(1, round(low)) if lows.dtype.kind == "i" else low
        return self._replace(theta=q, lows=lows)

    @staticmethod
    def emit(neuron, layer, p, s):
        """See `contract.emit`."""
        if p >= neuron.theta:
            return 1
        if p <= -neuron.lows[layer] and s > 0:
            return -1
        return 0

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return p - n * neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`."""
        return p == neuron.theta or (p == -neuron.lows[layer] and s > 0)

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[Any, Any]:
        """(low, high), see `contract`: the negative threshold nearest 0, and theta."""
        return -self.lows.min(), self.theta

    def __repr__(self) -> str:
        return f"Signed(theta={self.theta!r}, low={self.low:g})"
