"""An order of one's own, one for all tests: each class takes some ten seconds to compile."""

from typing import NamedTuple


class Placed(NamedTuple):
    """Where each of its fields puts a spike.

    later: ticks until it is delivered. turned: 1: the latest emission first, whatever the layer.
    early: 1: neuron 5's second spike is delivered a tick before it is sent.
    """

    later: int = 0
    turned: int = 0
    early: int = 0
    halves: int = 0

    @staticmethod
    def place(order, spike):
        delay = order.later
        if order.early and spike.neuron == 5 and spike.nth == 1:
            delay = -1
        return delay, -order.turned * (spike.seq + 1)
