"""Group neurons: several members with staggered thresholds share one potential (GN eq. 8-11)."""

from __future__ import annotations

from typing import NamedTuple


class GN(NamedTuple):
    """Member i of 1..members fires if p >= i q; every spike takes q from all.

    (q = theta / members. The second is lateral inhibition.) Who fires is decided on the p before
    any of them did (eq. 9), so together they fire min(floor(p / q), members) (eq. 11).

    q: the charge of one spike, in the arithmetic's dtype. members: tau, how many there are.
    """

    q: int | float
    members: int

    words = (  # type: ignore[misc]
        "GN: member i of tau fires if p >= i * theta / tau; p -= theta / tau for each"
    )
    signed = False  # type: ignore[misc]

    @property
    def quanta(self) -> int:
        """Spikes that a threshold is worth: the members."""
        return self.members

    @staticmethod
    def emit(neuron, layer, p, s):
        """See `contract.emit`."""
        if p < neuron.q:
            return 0
        return min(neuron.members, int(p // neuron.q))

    @staticmethod
    def settle(neuron, p, n):
        """See `contract.settle`."""
        return p - n * neuron.q

    @staticmethod
    def tie(neuron, layer, p, s):
        """See `contract.tie`."""
        return p >= neuron.q and p <= neuron.members * neuron.q and p % neuron.q == 0

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return neuron.members

    def band(self) -> tuple[None, float]:
        """(low, high), see `contract`: nothing fires below q."""
        return None, self.q
