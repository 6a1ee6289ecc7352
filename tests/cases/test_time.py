"""Cases from public reports: times that are decimals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from support.cases import gemm, read_or_refused, spiking

from eventsnn.ann.graph import Graph, Node
from eventsnn.network.convert import convert

FLAT = Node("flat", "Flatten", ("x",))


def pixel(value):
    return np.full((1, 1, 1, 1), value, np.float32)


# brian-team/brian2 949, 943
@pytest.mark.parametrize(
    "period",
    [
        "1",
        "2",
        "1/2",
        "1/10",
        "1/5",
        "1/3",
        "3/10",
    ],
)
def test_a_refractory_period_is_what_was_given_or_refused(period):
    period = Fraction(period)
    nodes = (FLAT, gemm("g", "flat", [[1]]), spiking("a", "g"), gemm("out", "a", [[1]]))
    network = convert(Graph(nodes, "x", "out", (1, 1, 1)))
    options = {"steps": 10, "initial": 0.0, "engine": "event", "refractory": float(period)}
    # there is drive to spare: it fires at 0, period, 2 period, …
    result = read_or_refused(
        lambda: network.run(pixel(30.0), pixel_range=(0, 30), **options), "refractory"
    )
    if result is not None:
        spikes = result.spikes[0, 0]
        assert (spikes.sum(), spikes[0]) == (math.ceil(10 / period), math.ceil(1 / period))


# brian-team/brian2 352, 355
@pytest.mark.parametrize("delay", [0.125, 0.3, 0.25, 0.1])
def test_a_delay_twice_is_twice_the_delay_or_refused(delay):
    """A excites D after two delays; B, which A makes fire after one, inhibits D after another:
    both arrive at once, so that D fires as with any other delay.
    """
    nodes = (
        FLAT,
        gemm("gA", "flat", [[1]]),
        spiking("A", "gA"),
        gemm("gB", "A", [[1]]),
        spiking("B", "gB"),
        gemm("gDA", "A", [[1]]),
        gemm("gDB", "B", [[-1]]),
        Node("sum", "Add", ("gDA", "gDB")),
        spiking("D", "sum"),
        gemm("out", "D", [[1]]),
    )
    network = convert(Graph(nodes, "x", "out", (1, 1, 1)))

    def spikes(delay):
        delays = {("A", "B"): delay, ("B", "D"): delay, ("A", "D"): 2 * delay}
        options = {"steps": 4, "initial": 0.0, "engine": "event", "order": "delays"}
        return network.run(pixel(1.0), delays=delays, **options).spikes[0, 2].sum()

    found = read_or_refused(lambda: spikes(delay), "delay")
    assert found is None or found == spikes(0.5)
