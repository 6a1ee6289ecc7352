"""Two-phase probabilistic neurons (TPP, ICML 2025, PMLR 267; semantics, section 13)."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.neurons.contract import Setting, random_bits


class _TPP(NamedTuple):
    theta: Any = None
    steps: int = 0
    seed: int = 0


class TPP(_TPP):
    """Hears everything first; then fires in step t of T with probability p / (theta (T - t + 1)).

    theta: the threshold, in the arithmetic's dtype. steps: T. seed: of the run's randomness.
    """

    __slots__ = ()

    words = (
        "TPP: adds up all T steps, then in step t of T more fires 1 with probability "
        "p / (theta (T - t + 1)), p -= theta"
    )
    conserves = True
    confluent = False
    holds = False
    signed = False
    reset = "subtract"
    stages = 2
    initial = 0.0

    def fit(self, setting: Setting) -> TPP:
        """The model in the arithmetic's numbers. setting: of the simulation."""
        return self._replace(theta=setting.q, steps=setting.steps, seed=setting.seed)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        """See `contract.emit`."""
        bits = random_bits(neuron.seed, here.image, layer, here.neuron, here.step)
        chance = float(p) / (float(neuron.theta) * (neuron.steps - here.step + 1))
        return 1 if float(bits) * 2.0**-53 < chance else 0

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return p - neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`: there is no threshold to meet."""
        return False

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, float]:
        """(low, high), see `contract`: nothing fires at 0 or below."""
        return None, self.theta - self.theta
