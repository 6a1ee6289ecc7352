"""Time to first spike: one spike, the sooner the larger the value (TTFS), step by step.

Ana Stanojevic, Stanisław Woźniak, Guillaume Bellec, Giovanni Cherubini, Angeliki Pantazi, Wulfram
Gerstner: An Exact Mapping From ReLU Networks to Spiking Neural Networks, Neural Networks 2023,
arXiv:2212.12522.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.neurons.contract import Setting


class _TTFS(NamedTuple):
    theta: Any = None
    steps: int = 1


class TTFS(_TTFS):
    """Hears everything first; then fires once, in the first step t of T with p >= (T - t + 1)
    theta, which is what the spike is worth.

    So it sends min(floor(p / theta), T) theta.

    theta: the threshold, in the arithmetic's dtype. steps: T.
    """

    __slots__ = ()

    words = (
        "TTFS: adds up all T steps, then fires 1 once, in the first step t of T more with "
        "p >= (T - t + 1) theta, p -= (T - t + 1) theta"
    )
    conserves = False
    confluent = False
    holds = False
    signed = False
    reset = "subtract"
    stages = 2

    def fit(self, setting: Setting) -> TTFS:
        """The model in the arithmetic's numbers. setting: of the simulation."""
        return self._replace(theta=setting.q, steps=setting.steps)

    @staticmethod
    def charge(neuron, step):
        """See `contract`: the steps that are left."""
        return max(0, neuron.steps - step + 1)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        """See `contract.emit`."""
        left = max(0, neuron.steps - here.step + 1)
        return 1 if s == 0 and p >= neuron.theta and p >= left * neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n, here):
        """See `contract.settle`."""
        return p - n * neuron.theta * max(0, neuron.steps - here.step + 1)

    @staticmethod
    def tie(neuron, layer, p, s, here):
        """See `contract.tie`."""
        return s == 0 and p == neuron.theta * max(1, neuron.steps - here.step + 1)

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, Any]:
        """(low, high), see `contract`: nothing fires below theta."""
        return None, self.theta
