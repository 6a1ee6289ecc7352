"""Group neurons: several members with staggered thresholds share one potential (GN eq. 8-11)."""

from typing import NamedTuple


class GN(NamedTuple):
    """Member i of 1..members fires if p >= i q, q = theta / members; every spike takes q from all
    (lateral inhibition).

    Who fires is decided on the p before any of them did (eq. 9), so together they fire min(floor(p
    / q), members) (eq. 11).
    """

    q: int | float
    members: int

    words = "GN: member i of tau fires if p >= i * theta / tau; p -= theta / tau for each"
    signed = False

    @property
    def quanta(self):
        return self.members

    @staticmethod
    def emit(neuron, layer, p, s):
        if p < neuron.q:
            return 0
        return min(neuron.members, int(p // neuron.q))

    @staticmethod
    def settle(neuron, p, n):
        return p - n * neuron.q

    @staticmethod
    def tie(neuron, layer, p, s):
        return p >= neuron.q and p <= neuron.members * neuron.q and p % neuron.q == 0

    @staticmethod
    def most(neuron):
        return neuron.members

    def band(neuron):
        return None, neuron.q
