"""A neuron model of one's own, in one file: neurons that fire bursts, run in both engines on the
bundled network.

    python examples/own_neuron.py

Burst neurons (Li and Zeng, Efficient and accurate conversion of spiking neural network with burst
spikes, IJCAI 2022) may fire several spikes in a step while their potential suffices, so residual
charge does not pile up.
"""

from typing import NamedTuple

import eventsnn


class Burst(NamedTuple):
    """Soft reset; fires min(floor(p / theta), 5) spikes at once."""

    theta: int | float

    words = "burst: fires min(floor(p / theta), 5), then p -= theta for each"
    # what studies may assume (docs/semantics.md, section 13)
    conserves = True  # all charge is in p or in spikes
    confluent = False  # counts depend on the order of arrival
    holds = True  # it changes at arrivals and spikes only
    signed = False  # it never takes spikes back
    reset = "subtract"

    @staticmethod
    def emit(neuron, layer, p, s):
        return min(5, int(p // neuron.theta)) if p >= neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n):
        return p - n * neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        return p >= neuron.theta and p % neuron.theta == 0

    @staticmethod
    def most(neuron):
        return 5

    def band(neuron):
        return None, neuron.theta  # below theta nothing fires; there is no lower end


def main():
    network = eventsnn.convert(eventsnn.load("sample"))
    images = eventsnn.load_images("sample", limit=100)
    for neuron in ("if", Burst):
        for time in (
            {},
            {"engine": "event", "order": "clocked"},
            {"engine": "event", "order": "random"},
        ):
            result = network.run(images, steps=8, neuron=neuron, **time)
            print(
                f"{neuron if neuron == 'if' else 'burst':6} "
                f"{time.get('order', 'clocked engine'):15} {result}"
            )


if __name__ == "__main__":
    main()
