"""Signed neurons with memory: they take back spikes that were too many (DNISNM eq. 19-23)."""

from typing import NamedTuple


class SNM(NamedTuple):
    """Fires 1 if p >= theta; -1 if p <= -theta and it has fired more than it has taken back (eq.
    20-22).
    """

    theta: int | float

    words = "SNM: fires 1 if p >= theta, -1 if p <= -theta and S > 0; p -= theta * spike"
    signed = True

    @staticmethod
    def emit(neuron, layer, p, s):
        if p >= neuron.theta:
            return 1
        if p <= -neuron.theta and s > 0:
            return -1
        return 0

    @staticmethod
    def settle(neuron, p, n):
        return p - n * neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        return p == neuron.theta or (p == -neuron.theta and s > 0)

    @staticmethod
    def most(neuron):
        return 1

    def band(neuron):
        return -neuron.theta, neuron.theta
