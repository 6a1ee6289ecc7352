"""Integrate-and-fire neurons (GN eq. 1-3; DNISNM eq. 2-5)."""

from __future__ import annotations

from typing import NamedTuple


class IF(NamedTuple):
    """Soft reset (reset by subtraction): fires 1 if p >= theta, then p - theta.

    theta: the threshold, in the arithmetic's dtype.
    """

    theta: int | float

    words = "IF, soft reset: fires 1 if p >= theta, then p -= theta"  # type: ignore[misc]
    signed = False  # type: ignore[misc]

    @staticmethod
    def emit(neuron, layer, p, s):
        """See `contract.emit`."""
        return 1 if p >= neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return p - neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`."""
        return p == neuron.theta

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, float]:
        """(low, high), see `contract`: nothing fires below theta."""
        return None, self.theta


class HardIF(NamedTuple):
    """Hard reset: fires 1 if p >= theta, then p = rest.

    What was above the threshold is lost.

    theta, rest: the threshold and the potential after a spike, in the arithmetic's dtype.
    """

    theta: int | float
    rest: int | float

    words = "IF, hard reset: fires 1 if p >= theta, then p = v_rest"  # type: ignore[misc]
    signed = False  # type: ignore[misc]

    @staticmethod
    def emit(neuron, layer, p, s):
        """See `contract.emit`."""
        return 1 if p >= neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return neuron.rest

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`."""
        return p == neuron.theta

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, float]:
        """(low, high), see `contract`: nothing fires below theta."""
        return None, self.theta
