"""Group neurons: several members with staggered thresholds share one potential (GN eq. 8-11)."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.neurons.quotient import quotient
from eventsnn.options import Option


class _GN(NamedTuple):
    q: Any = None
    members: int = 4


class GN(_GN):
    """Member i of 1..members fires if p >= i q; every spike takes q from all.

    (q = theta / members. The second is lateral inhibition.) Who fires is decided on the p before
    any of them did (eq. 9), so together they fire min(floor(p / q), members) (eq. 11).

    q: the charge of one spike, in the arithmetic's dtype. members: tau, how many there are.
    """

    __slots__ = ()

    words = "GN: member i of tau fires if p >= i * theta / tau; p -= theta / tau for each"
    conserves = True
    confluent = False
    holds = True
    signed = False
    reset = "subtract"
    options = {
        "members": Option(
            help="tau, how many members a group has",
            example="--neuron gn:8",
            kind=int,
            low=1,
            high=256,
        )
    }

    @property
    def quanta(self) -> int:
        """Spikes that a threshold is worth: the members."""
        return self.members

    @staticmethod
    def emit(neuron, layer, p, s):
        """See `contract.emit`."""
        if p < neuron.q:
            return 0
        return min(neuron.members, int(quotient(p, neuron.q)))

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return p - n * neuron.q

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`."""
        if p < neuron.q or p > neuron.members * neuron.q:
            return False
        return quotient(p, neuron.q) * neuron.q == p

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return neuron.members

    def band(self) -> tuple[None, float]:
        """(low, high), see `contract`: nothing fires below q."""
        return None, self.q
