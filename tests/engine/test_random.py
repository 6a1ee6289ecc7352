"""Order `random` of the engine: each waiting delivery is equally likely to be the next (semantics,
section 12), whatever its tick and however long it has waited.
"""

from itertools import permutations

import numpy as np
import pytest
from numba import njit
from scipy import stats
from support.cases import gemm, spiking

from eventsnn import convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.engine import hashing
from eventsnn.engine.event import layout
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.trace import Recorder

IMAGES = 1200
FEW = 1e-3  # what is true is refused so rarely; seeds are fixed
SOURCES = 4


def simulation_of(to_target, steps=1, **time):
    """Four neurons that fire once at the beginning of each step, and what they bring to a fifth."""
    nodes = (
        Node("flat", "Flatten", ("x",)),
        gemm("g", "flat", np.eye(SOURCES)),
        spiking("sources", "g"),
        gemm("h", "sources", [[to_target] * SOURCES]),
        spiking("target", "h"),
        gemm("out", "target", [[1]]),
    )
    network = convert(Graph(nodes, "x", "out", (1, 1, SOURCES)))
    options = dict(engine="event", initial=0.0, pixel_range=(0, 1))
    return Simulation(network, steps=steps, time=Time(**time), **options)


def delivered(simulation):
    """The neurons whose spikes are delivered, in their order, of many images; the target is 4."""
    pixels = np.ones(simulation.network.graph.input_shape, np.float32)
    found = []
    for image in range(IMAGES):
        recorder = Recorder()
        simulation.image(pixels, image, recorder)
        spikes, _, taken = recorder.records()
        found.append(spikes[taken[:, layout.D_SPIKE], layout.S_NEURON].tolist())
    return found


@pytest.mark.parametrize(
    "first, time",
    [
        (0, {}),
        (0, {"delays": 0.25}),
        # half of the list was put in a step earlier
        (2, {"steps": 2, "barrier": False, "delays": [[1.0, 1.0, 0.0, 0.0], [0.0]]}),
    ],
)
def test_every_order_of_four_is_equally_likely(first, time):
    """Due at once, later, and where some were fired a step before: so is every place, first, too.

    first: deliveries that come before.
    """
    if "delays" in time and isinstance(time["delays"], list):
        time = time | {"delays": [np.array(of_layer) for of_layer in time["delays"]]}
    found = delivered(simulation_of(0, order="random", **time))
    orders = {order: 0 for order in permutations(range(SOURCES))}
    for row in found:
        orders[tuple(row[first : first + SOURCES])] += 1
    assert stats.chisquare(list(orders.values())).pvalue > FEW


@pytest.mark.parametrize("order, uniform", [("random", True), ("priority", False)])
def test_a_fresh_spike_is_as_likely_as_those_that_waited(order, uniform):
    """The first arrival fires the target, and that spike joins the three that wait."""
    places = [row.index(4) - 1 for row in delivered(simulation_of(1, order=order))]
    at_once = np.bincount(np.minimum(places, 1), minlength=2)
    p = stats.chisquare(at_once, [len(places) / 4, 3 * len(places) / 4]).pvalue
    assert p > FEW if uniform else p < 1e-9 and at_once[0] > 1.3 * len(places) / 4


def test_the_place_is_that_of_whole_numbers():
    """floor(h m / 2^64) in Python's integers, also where 64 bits do not hold the product."""
    place_of = njit(lambda bits, count: hashing.place_of(bits, count))
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 1000, 2**24, 2**32 - 1):
        ends = np.array([0, 2**32, 2**63, 2**64 - 1], np.uint64)
        for bits in (*ends, *rng.integers(0, 2**64, 200, np.uint64)):
            assert place_of(bits, count) == int(bits) * count >> 64
