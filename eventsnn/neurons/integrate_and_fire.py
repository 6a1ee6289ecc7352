"""Integrate-and-fire neurons (GN eq. 1-3; DNISNM eq. 2-5)."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.neurons.contract import Setting


class _IF(NamedTuple):
    theta: Any = None


class IF(_IF):
    """Soft reset (reset by subtraction): fires 1 if p >= theta, then p - theta.

    theta: the threshold, in the arithmetic's dtype.
    """

    __slots__ = ()

    words = "IF, soft reset: fires 1 if p >= theta, then p -= theta"
    conserves = True
    confluent = False
    holds = True
    signed = False
    reset = "subtract"

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


class _HardIF(NamedTuple):
    theta: Any = None
    rest: Any = None


class HardIF(_HardIF):
    """Hard reset: fires 1 if p >= theta, then p = rest.

    What was above the threshold is lost.

    theta, rest: the threshold and the potential after a spike, in the arithmetic's dtype.
    """

    __slots__ = ()

    words = "IF, hard reset: fires 1 if p >= theta, then p = v_rest"
    conserves = False
    confluent = False
    holds = True
    signed = False
    reset = "zero"

    def fit(self, setting: Setting) -> HardIF:
        """The model in the arithmetic's numbers: v_rest is 0. setting: of the simulation."""
        return self._replace(theta=setting.q, rest=setting.q - setting.q)

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
