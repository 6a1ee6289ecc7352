"""Integrate-and-fire neurons (GN eq. 1-3; DNISNM eq. 2-5)."""

from typing import NamedTuple


class IF(NamedTuple):
    """Soft reset (reset by subtraction): fires 1 if p >= theta, then p - theta."""

    theta: int | float

    words = "IF, soft reset: fires 1 if p >= theta, then p -= theta"
    signed = False

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n):
        return p - neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        return p == neuron.theta

    @staticmethod
    def most(neuron):
        return 1

    def band(neuron):
        """(low, high): p fires nothing strictly between them, nor at low or below while S is 0; low
        None: never there.
        """
        return None, neuron.theta


class HardIF(NamedTuple):
    """Hard reset: fires 1 if p >= theta, then p = rest, whatever was above the threshold is
    lost.
    """

    theta: int | float
    rest: int | float

    words = "IF, hard reset: fires 1 if p >= theta, then p = v_rest"
    signed = False

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n):
        return neuron.rest

    @staticmethod
    def tie(neuron, layer, p, s):
        return p == neuron.theta

    @staticmethod
    def most(neuron):
        return 1

    def band(neuron):
        return None, neuron.theta
