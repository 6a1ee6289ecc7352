"""Radix neurons: the quantised activation in binary, the highest bit first.

Zhehui Wang, Xiaozhe Gu, Rick Siow Mong Goh, Joey Tianyi Zhou, Tao Luo: Efficient Spiking Neural
Networks with Radix Encoding, IEEE TNNLS 2022, arXiv:2105.06943.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.neurons.bipolar import NO_LIMITS, levels
from eventsnn.neurons.contract import Setting
from eventsnn.neurons.few_spike import bits_of


class _Radix(NamedTuple):
    q: Any = None
    steps: int = 1
    tops: NDArray[np.int64] = NO_LIMITS
    parts: NDArray[np.float64] = np.ones(1)


class Radix(_Radix):
    """Hears everything first; m = min(floor(p / q), top); then fires in step t of T if bit T - t
    of m is 1, and p -= 2^(T-t) q.

    q: a level of the activation times T, in the arithmetic's dtype. steps: T. tops: int64 [L], of
    each layer the smaller of its levels and 2^T - 1. parts: float64 [L], levels / T.
    """

    __slots__ = ()

    words = (
        "radix: adds up all T steps, m = min(floor(p / q), S_max, 2^T - 1), then in step t of T "
        "more fires 1 if bit T - t of m is 1, p -= 2^(T-t) q; q = T theta / S_max"
    )
    conserves = False
    confluent = False
    holds = False
    signed = False
    reset = "subtract"
    stages = 2
    own = ("code",)

    def fit(self, setting: Setting) -> Radix:
        """The model with each layer's levels.

        setting: of the simulation. Raises InputError for an activation that is not quantised, and
        for more steps than there are bits.
        """
        steps = bits_of("Radix", setting.steps)
        found = levels(setting.network, "radix")
        tops = np.minimum(found, 2**steps - 1)
        return self._replace(q=setting.q, steps=steps, tops=tops, parts=found / steps)

    @property
    def quanta(self) -> NDArray[np.float64]:
        """q of a threshold, float64 [L]: levels / T, since a neuron hears T thresholds' worth."""
        return self.parts

    @staticmethod
    def charge(neuron, step):
        """See `contract`: 2^(T-t)."""
        return 1 << max(0, neuron.steps - step)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        """See `contract.emit`; in its first step a neuron notes its code."""
        if here.step == 1:
            whole = int(p // neuron.q)
            here.own[here.number, 0] = max(0, min(whole, neuron.tops[layer]))
        code = int(here.own[here.number, 0])
        return (code >> max(0, neuron.steps - here.step)) & 1

    @staticmethod
    def settle(neuron, p, n, here):
        """See `contract.settle`."""
        return p - n * neuron.q * (1 << max(0, neuron.steps - here.step))

    @staticmethod
    def tie(neuron, layer, p, s, here):
        """See `contract.tie`: p met a level when the code was made."""
        made = here.step == 1 and p >= neuron.q and p <= neuron.tops[layer] * neuron.q
        return made and p % neuron.q == 0

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, Any]:
        """(low, high), see `contract`: nothing fires below q."""
        return None, self.q

    def __repr__(self) -> str:
        return f"Radix(q={self.q!r}, steps={self.steps}, {len(self.tops)} layers)"
