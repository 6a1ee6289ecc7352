"""Few-spike neurons: a binary code of the activation, the largest part first.

Christoph Stöckl, Wolfgang Maass: Optimized spiking neurons can classify images with high accuracy
through temporal coding with two spikes, Nature Machine Intelligence 2021, arXiv:2002.00860; in the
form of mlGeNN (Turner, Knight, Subramanian, Nowotny 2022).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.exceptions import InputError
from eventsnn.neurons.contract import Setting

MOST_BITS = 30


class _FewSpike(NamedTuple):
    q: Any = None
    steps: int = 1


class FewSpike(_FewSpike):
    """Hears everything first; then fires in step t of T if p >= 2^(T-t) q, then p -= 2^(T-t) q.

    So it sends min(floor(p / q), 2^T - 1) in binary, q = T theta / 2^T.

    q: what the spike of the last step is worth, in the arithmetic's dtype. steps: T.
    """

    __slots__ = ()

    words = (
        "few-spike: adds up all T steps, then in step t of T more fires 1 if p >= 2^(T-t) q, "
        "p -= 2^(T-t) q; q = T theta / 2^T"
    )
    conserves = False
    confluent = False
    holds = False
    signed = False
    reset = "subtract"
    stages = 2
    initial = 0.0

    def fit(self, setting: Setting) -> FewSpike:
        """The model in the arithmetic's numbers.

        setting: of the simulation. Raises InputError for more steps than there are bits.
        """
        return self._replace(q=setting.q, steps=bits_of("FewSpike", setting.steps))

    @property
    def quanta(self) -> float:
        """q of a threshold: 2^T / T, since a neuron hears T thresholds' worth in T steps."""
        return float(2.0**self.steps / self.steps)

    @staticmethod
    def charge(neuron, step):
        """See `contract`: 2^(T-t)."""
        return 1 << max(0, neuron.steps - step)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        """See `contract.emit`."""
        return 1 if p >= neuron.q * (1 << max(0, neuron.steps - here.step)) else 0

    @staticmethod
    def settle(neuron, p, n, here):
        """See `contract.settle`."""
        return p - n * neuron.q * (1 << max(0, neuron.steps - here.step))

    @staticmethod
    def tie(neuron, layer, p, s, here):
        """See `contract.tie`."""
        return p == neuron.q * (1 << max(0, neuron.steps - here.step))

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, Any]:
        """(low, high), see `contract`: nothing fires below q."""
        return None, self.q


def bits_of(model: str, steps: int) -> int:
    """T, of a binary code, a bit for each step.

    model: its name, for the message. steps: T. Raises InputError for more than 30.
    """
    if steps > MOST_BITS:
        expected = f"at most {MOST_BITS} steps, as each halves what a spike is worth"
        raise InputError(f"neuron {model}", expected, steps, "choose fewer steps")
    return steps
