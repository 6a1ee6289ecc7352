"""Phase neurons: what a spike is worth halves from step to step of a period.

Jaehyun Kim, Heesu Kim, Subin Huh, Jinho Lee, Kiyoung Choi: Deep neural networks with weighted
spikes, Neurocomputing 2018.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.options import Option


class _Phase(NamedTuple):
    q: Any = None
    period: int = 8


class Phase(_Phase):
    """Fires in phase k = 1..K of a period, once at most, if p >= 2^(K-k) q; then p -= 2^(K-k) q.

    q: what a spike of the last phase is worth, in the arithmetic's dtype. period: K, in steps.
    """

    __slots__ = ()

    words = (
        "phase: in phase k of K fires 1 a step if p >= 2^(K-k) q, p -= 2^(K-k) q; q = K theta / 2^K"
    )
    conserves = False
    confluent = False
    holds = False
    signed = False
    reset = "subtract"
    own = ("last",)
    options = {
        "period": Option(
            help="K, the steps of a period, in which what a spike is worth halves each time",
            example="--neuron phase:4",
            kind=int,
            low=1,
            high=30,
        )
    }

    @property
    def quanta(self) -> float:
        """q of a threshold: 2^K / K, since a period brings K thresholds' worth at most."""
        return float(2.0**self.period / self.period)

    @staticmethod
    def charge(neuron, step):
        """See `contract`: 2^(K-k) in phase k."""
        return 1 << (neuron.period - 1 - (step - 1) % neuron.period)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        """See `contract.emit`."""
        if here.own[here.number, 0] == here.step:
            return 0
        least = neuron.q * (1 << (neuron.period - 1 - (here.step - 1) % neuron.period))
        return 1 if p >= least else 0

    @staticmethod
    def settle(neuron, p, n, here):
        """See `contract.settle`; the neuron notes the step."""
        here.own[here.number, 0] = here.step
        return p - n * neuron.q * (1 << (neuron.period - 1 - (here.step - 1) % neuron.period))

    @staticmethod
    def tie(neuron, layer, p, s, here):
        """See `contract.tie`."""
        least = neuron.q * (1 << (neuron.period - 1 - (here.step - 1) % neuron.period))
        return p == least and here.own[here.number, 0] != here.step

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, Any]:
        """(low, high), see `contract`: nothing fires below q."""
        return None, self.q
