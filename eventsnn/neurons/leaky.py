"""Leaky integrate-and-fire neurons (semantics, section 13)."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.options import Option


class _LIF(NamedTuple):
    theta: Any = None
    leak: float = 0.9


class LIF(_LIF):
    """IF with a leak: fires 1 if p >= theta, then p - theta; p decays between events.

    theta: the threshold, in the arithmetic's dtype. leak: what is left of p after a step, above 0
    and at most 1; 1 is `if`.
    """

    __slots__ = ()

    words = "LIF: fires 1 if p >= theta, then p -= theta; p decays by leak in a step"
    conserves = False
    confluent = False
    holds = False
    signed = False
    reset = "subtract"
    options = {
        "leak": Option(
            help="what is left of a potential after a step",
            example="--neuron lif:0.95",
            kind=float,
            low=1e-6,
            high=1,
        )
    }

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

    def decay(self) -> tuple[float]:
        """The potential's leak, see `contract`."""
        return (self.leak,)
