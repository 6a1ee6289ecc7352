"""An encoding of one's own: the image fades.

    python -m eventsnn.run --plugin examples/extend/encoding.py --encoding fading:2

What an image brings in step t is multiplied by a share that falls in a straight line; the shares
add up to the number of steps, so that the readout is still the average of what arrived.
"""

from dataclasses import dataclass

import numpy as np
from eventsnn.encoding import Shares

import eventsnn
from eventsnn.options import Option


@dataclass(frozen=True)
class Fading(Shares):
    """The input begins at `first` times its value and falls to what keeps the average 1."""

    first: float = 1.5

    words = "fading: W x in shares that fall in a straight line; biases in each step"
    options = {
        "first": Option(
            help="the share of the first step",
            example="--encoding fading:2",
            kind=float,
            low=0,
            high=2,
        )
    }

    def shares(self, steps):
        """What W x is multiplied by in each step, float64 [steps]."""
        return np.linspace(self.first, 2 - self.first, steps) if steps > 1 else np.ones(1)


eventsnn.register("encoding", "fading", Fading)
