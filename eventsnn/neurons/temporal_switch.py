"""Temporal switch coding: two spikes, on and off, whose distance is the value (TSC).

Bing Han, Kaushik Roy: Deep Spiking Neural Network: Energy Efficiency Through Time Based Coding,
ECCV 2020.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.neurons.contract import Setting


class _TSC(NamedTuple):
    theta: Any = None
    steps: int = 1


class TSC(_TSC):
    """Hears everything first; m = min(floor(p / theta), T); then fires 1 in step 1 of T if m > 0,
    and -1 in step m + 1, if there is one.

    A spike of step t is worth T - t + 1: what flows from then on, a theta a step. So both together
    are worth m theta.

    theta: the threshold, in the arithmetic's dtype. steps: T.
    """

    __slots__ = ()

    words = (
        "TSC: adds up all T steps, m = min(floor(p / theta), T), then fires 1 in step 1 of T more "
        "if m > 0 and -1 in step m + 1; p -= (T - t + 1) theta * spike"
    )
    conserves = False
    confluent = False
    holds = False
    signed = True
    reset = "subtract"
    stages = 2

    def fit(self, setting: Setting) -> TSC:
        """The model in the arithmetic's numbers. setting: of the simulation."""
        return self._replace(theta=setting.q, steps=setting.steps)

    @staticmethod
    def charge(neuron, step):
        """See `contract`: the steps that are left."""
        return max(0, neuron.steps - step + 1)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        """See `contract.emit`."""
        if here.step == 1:
            return 1 if p >= neuron.theta else 0
        # p is less by T theta since the first spike
        return -1 if s > 0 and p < (here.step - neuron.steps) * neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n, here):
        """See `contract.settle`."""
        return p - n * neuron.theta * max(0, neuron.steps - here.step + 1)

    @staticmethod
    def tie(neuron, layer, p, s, here):
        """See `contract.tie`."""
        if here.step == 1:
            return p == neuron.theta
        return s > 0 and p == (here.step - neuron.steps) * neuron.theta

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[Any, Any]:
        """(low, high), see `contract`: 0 and theta."""
        return self.theta - self.theta, self.theta
