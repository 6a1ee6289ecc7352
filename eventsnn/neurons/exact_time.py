"""Time to first spike, exactly: one spike, whose tick is the value.

Ana Stanojevic, Stanisław Woźniak, Guillaume Bellec, Giovanni Cherubini, Angeliki Pantazi, Wulfram
Gerstner: An Exact Mapping From ReLU Networks to Spiking Neural Networks, Neural Networks 2023,
arXiv:2212.12522; EMRS, of OneSpike neurons, in SpikeZIP's Table 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsnn.exceptions import InputError
from eventsnn.neurons.contract import Setting

MOST_TICKS = 2**24  # whole numbers that float32 tells apart


class _ExactTTFS(NamedTuple):
    q: Any = None
    steps: int = 1
    ticks: int = 1


class ExactTTFS(_ExactTTFS):
    """Hears everything first; then fires once, at the first tick k = 0 .. T n - 1 of its stage with
    p >= (T n - k) q, which is what the spike is worth. n: ticks of a step.

    So it sends min(floor(p / q), T n) q, q = theta / n: the ReLU itself, clipped at T theta, to
    theta / 2n.

    Stanojevic et al. have the same code, a value told by one spike's distance from the end of its
    layer's window, in other neurons. There a spike adds a slope w / (1 - the sum of w) from its
    arrival on to one of 1, and a threshold for each neuron makes it fire at the end less the value,
    after all inputs have fired; for that the sums of weights are scaled to below 1 first. Each
    fires exactly once, one of value 0 at the end, and a window is half as long again as the largest
    activation on training images. Here a spike brings its charge at once, weights stay, the neuron
    compares p with what is left of its window, value 0 is silence, a window has T steps, and time
    has ticks.

    q: theta / n in the arithmetic's dtype. steps: T. ticks: n.
    """

    __slots__ = ()

    words = (
        "exact TTFS: adds up all T steps, then fires 1 once, at the first tick k of T n more with "
        "p >= (T n - k) q, p -= (T n - k) q; q = theta / n, n ticks a step"
    )
    conserves = False
    confluent = False
    holds = False
    signed = False
    reset = "subtract"
    stages = 2

    def fit(self, setting: Setting) -> ExactTTFS:
        """The model in the arithmetic's numbers.

        setting: of the simulation. Raises InputError for more than 2^24 ticks in T steps.
        """
        found = setting.steps * setting.ticks
        if found > MOST_TICKS:
            expected = f"at most {MOST_TICKS:,} ticks in all steps, as each is a value"
            do = "choose fewer ⟦steps⟧ or ⟦ticks⟧"
            raise InputError("neuron ExactTTFS", expected, f"{found:,}", do)
        return self._replace(q=setting.q, steps=setting.steps, ticks=setting.ticks)

    @property
    def quanta(self) -> float:
        """q of a threshold: n."""
        return float(self.ticks)

    @staticmethod
    def charge(neuron, here):
        """See `contract`: the ticks that are left of the stage."""
        return max(0, neuron.steps - here.step + 1) * neuron.ticks - (here.now - here.began)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        """See `contract.emit`."""
        left = max(0, neuron.steps - here.step + 1) * neuron.ticks - (here.now - here.began)
        return 1 if s == 0 and p >= left * neuron.q else 0

    @staticmethod
    def settle(neuron, p, n, here):
        """See `contract.settle`."""
        left = max(0, neuron.steps - here.step + 1) * neuron.ticks - (here.now - here.began)
        return p - n * neuron.q * left

    @staticmethod
    def tie(neuron, layer, p, s, here):
        """See `contract.tie`."""
        left = max(0, neuron.steps - here.step + 1) * neuron.ticks - (here.now - here.began)
        return s == 0 and p == left * neuron.q

    @staticmethod
    def when(neuron, layer, p, s, here):
        """See `contract.when`: the tick at which what is left is floor(p / q)."""
        if s != 0 or p < neuron.q:
            return -1
        left = max(0, neuron.steps - here.step + 1) * neuron.ticks
        return here.began + left - int(p // neuron.q)

    @staticmethod
    def most(neuron):
        """See `contract.most`."""
        return 1

    def band(self) -> tuple[None, Any]:
        """(low, high), see `contract`: nothing fires below q."""
        return None, self.q
