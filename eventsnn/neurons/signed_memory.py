"""Signed neurons with memory: they take back spikes that were too many (DNISNM eq. 19-23)."""

from __future__ import annotations

from typing import Any, NamedTuple


class _SNM(NamedTuple):
    theta: Any = None


class SNM(_SNM):
    """Fires 1 if p >= theta; -1 if p <= -theta and it has a spike to take back (eq. 20-22).

    theta: the threshold, in the arithmetic's dtype.
    """

    __slots__ = ()

    words = "SNM: fires 1 if p >= theta, -1 if p <= -theta and S > 0; p -= theta * spike"
    conserves = True
    confluent = False
    holds = True
    signed = True
    reset = "subtract"

    @staticmethod
    def emit(neuron, layer, p, s):
        """See `contract.emit`."""
        if p >= neuron.theta:
            return 1
        if p <= -neuron.theta and s > 0:
            return -1
        return 0

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return p - n * neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`."""
        return p == neuron.theta or (p == -neuron.theta and s > 0)

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[float, float]:
        """(low, high), see `contract`: -theta and theta."""
        return -self.theta, self.theta
