"""Integrate-and-fire neurons with an adaptive threshold (semantics, section 13)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from eventsnn.neurons.contract import Setting
from eventsnn.options import Option


class _Adaptive(NamedTuple):
    theta: Any = None
    beta: float = 0.1
    leak: float = 0.9
    rise: Any = None


class Adaptive(_Adaptive):
    """Fires 1 if p >= theta + a, then p - theta and a + beta; a(0) = 0 decays.

    theta: the threshold, in the arithmetic's dtype. beta: by how much a spike raises it, in
    thresholds; 0 is `if`. leak: what is left of a after a step. rise: beta in the arithmetic's
    dtype.
    """

    __slots__ = ()

    words = "adaptive IF: fires 1 if p >= theta + a, then p -= theta, a += beta; a decays by leak"
    conserves = True
    confluent = False
    holds = False
    signed = False
    reset = "subtract"
    own = ("a",)
    options = {
        "beta": Option(
            help="by how much a spike raises the threshold, in thresholds",
            example="--neuron adaptive:0.2",
            kind=float,
            low=0,
            high=1000,
        ),
        "leak": Option(
            help="what is left of the rise after a step",
            example="--neuron adaptive:beta=0.2,leak=0.5",
            kind=float,
            low=1e-6,
            high=1,
        ),
    }

    def fit(self, setting: Setting) -> Adaptive:
        """The model in the arithmetic's numbers. setting: of the simulation."""
        q = setting.q
        rise = self.beta * float(q)
        exact = isinstance(q, (int, np.integer))
        return self._replace(theta=q, rise=type(q)(round(rise) if exact else rise))

    @staticmethod
    def emit(neuron, layer, p, s, here):
        """See `contract.emit`."""
        return 1 if p >= neuron.theta + here.own[here.number, 0] else 0

    @staticmethod
    def settle(neuron, p, n, here):
        """See `contract.settle`; the threshold rises."""
        here.own[here.number, 0] += neuron.rise
        return p - neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s, here):
        """See `contract.tie`."""
        return p == neuron.theta + here.own[here.number, 0]

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, float]:
        """(low, high), see `contract`: nothing fires below theta."""
        return None, self.theta

    def decay(self) -> tuple[float, float]:
        """The leaks of the potential, which has none, and of a."""
        return 1.0, self.leak
