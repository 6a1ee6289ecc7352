"""An order of arrival of one's own: neurons take turns in groups.

    python -m eventsnn.run --plugin examples/extend/order.py --engine event --order turns:4

Of what is due at one tick, the spikes of neurons 0, 4, 8, … of a layer come first, then those of 1,
5, 9, …, and so on: as on hardware with four banks of neurons that are read one after the other.
"""

from typing import NamedTuple

import eventsnn
from eventsnn.options import Option


class Turns(NamedTuple):
    """Neurons take turns in groups, by their number in the layer."""

    groups: int = 2
    halves: int = 0  # a spike is delivered as a whole

    options = {
        "groups": Option(
            help="how many groups there are", example="--order turns:4", kind=int, low=1, high=4096
        )
    }

    @staticmethod
    def place(order, spike):
        """(delay in ticks, key): the smaller key comes first, equal keys as they were emitted."""
        return 0, spike.neuron % order.groups + 1


eventsnn.register("order", "turns", Turns)
