"""Burst neurons: several spikes of a whole threshold in one step (BSN).

Yang Li, Yi Zeng: Efficient and Accurate Conversion of Spiking Neural Network with Burst Spikes,
IJCAI 2022, arXiv:2204.13271.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.options import Option


class _Burst(NamedTuple):
    theta: Any = None
    most_at_once: int = 5


class Burst(_Burst):
    """Fires min(floor(p / theta), Gamma) if p >= theta; each takes theta.

    theta: the threshold, in the arithmetic's dtype. most_at_once: Gamma, the most spikes of one
    evaluation, of a step in clocked time.
    """

    __slots__ = ()

    words = "burst: fires min(floor(p / theta), Gamma) if p >= theta; p -= theta for each"
    conserves = True
    confluent = False
    holds = True
    signed = False
    reset = "subtract"
    options = {
        "most_at_once": Option(
            help="Gamma, the most spikes at once",
            example="--neuron burst:3",
            kind=int,
            low=1,
            high=256,
        )
    }

    @staticmethod
    def emit(neuron, layer, p, s):
        """See `contract.emit`."""
        if p < neuron.theta:
            return 0
        return min(neuron.most_at_once, int(p // neuron.theta))

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return p - n * neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`: p met one of the thresholds theta, 2 theta, up to Gamma theta."""
        whole = p % neuron.theta == 0
        return whole and p >= neuron.theta and p <= neuron.most_at_once * neuron.theta

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return neuron.most_at_once

    def band(self) -> tuple[None, Any]:
        """(low, high), see `contract`: nothing fires below theta."""
        return None, self.theta
