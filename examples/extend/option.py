"""An option of one's own: where a neuron fires is chosen where the neuron is named.

    python -m eventsnn.run --plugin examples/extend/option.py --neuron early:0.25 --initial 0
    python -m eventsnn.run --plugin examples/extend/option.py --neuron early:at=0.25 --initial 0

An option is a field of a model, an order or an encoding with an `Option` under its name: that is
its default, its help, its check, and what the command line and Python call it.
"""

from typing import Any, NamedTuple

import eventsnn
from eventsnn.options import Option


class Early(NamedTuple):
    """Fires 1 if p >= at * theta, then p -= theta."""

    theta: Any = None
    at: float = 0.5
    level: Any = None  # at * theta, in the arithmetic's numbers

    words = "early: fires 1 if p >= at * theta, then p -= theta"
    conserves = True
    confluent = False
    holds = True
    signed = False
    reset = "subtract"
    options = {
        "at": Option(
            help="where it fires, in thresholds",
            example="--neuron early:0.25",
            kind=float,
            low=0.01,
            high=1,
        )
    }

    def fit(self, setting):
        """The model in the numbers of a simulation."""
        q = setting.q
        return self._replace(theta=q, level=type(q)(self.at * float(q)))

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.level else 0

    @staticmethod
    def settle(neuron, p, n):
        return p - neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        return p == neuron.level

    @staticmethod
    def most(neuron):
        return 1

    def band(self):
        return None, self.level


eventsnn.register("model", "early", Early)
