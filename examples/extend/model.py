"""A neuron model of one's own: it fires half a threshold early.

    python -m eventsnn.run --plugin examples/extend/model.py --neuron eager --initial 0

QCFS rounds to the nearest level, which converted networks imitate by v(0) = theta / 2. This model
fires at theta / 2 instead, and may owe half a threshold afterwards.
"""

from typing import Any, NamedTuple

import eventsnn


class Eager(NamedTuple):
    """Fires 1 if p >= theta / 2, then p -= theta."""

    theta: Any = None

    words = "eager: fires 1 if 2 p >= theta, then p -= theta"
    # what studies may assume (docs/semantics.md, section 13)
    conserves = True
    confluent = False
    holds = True
    signed = False
    reset = "subtract"

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if 2 * p >= neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n):
        return p - neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        return 2 * p == neuron.theta

    @staticmethod
    def most(neuron):
        return 1

    def band(self):
        return None, self.theta / 2  # below it nothing fires


eventsnn.register("model", "eager", Eager)
