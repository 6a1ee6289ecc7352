"""What simulations compute in: pixels in float64, the readout's unit, and what rounding leaves."""

import numpy as np
import pytest

from eventsnn import convert
from eventsnn.ann.graph import Graph, Node, Preprocessing
from eventsnn.result import Simulation


def pointwise(name, source, weights):
    """A convolution of 1 x 1."""
    kernel = np.asarray(weights, np.float32)[:, :, None, None]
    return Node(name, "Conv", (source,), {"kernel_shape": [1, 1]}, {"W": kernel})


def of_pixels(preprocessing, size):
    """One neuron for each of `size` pixels, of threshold 1, and a readout of its own for each."""
    nodes = (
        Node("each", "ClippedRelu", ("input",), {"lambda": 1.0}, {}),
        pointwise("out", "each", [[1]]),
    )
    return convert(Graph(nodes, "input", "out", (1, 1, size), preprocessing))


@pytest.mark.parametrize("arithmetic", ["float64", "float32", "fixed"])
def test_pixels_are_prepared_in_float64(arithmetic):
    # 255 steps of p / 255 meet the threshold again and again, and float32 misses it
    prepared = Preprocessing(1 / 255, np.array([0.1]), np.array([0.7]))
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 1, 256)
    simulation = Simulation(of_pixels(prepared, 256), steps=255, arithmetic=arithmetic, initial=0)
    x = (np.arange(256) * (1 / 255) - 0.1) / 0.7
    kind, one = simulation.arithmetic.dtype, simulation.arithmetic.one
    if arithmetic == "fixed":
        x = np.rint(x * 2.0**simulation.arithmetic.fraction_bits)
    x, v, counts = x.astype(kind), np.zeros(256, kind), np.zeros(256, np.int64)
    for _ in range(255):
        v += x
        fires = v >= one
        v[fires] -= one
        counts += fires
    batch = simulation.run(pixels, neurons=True)
    assert batch.counts[0, :256].tolist() == counts.tolist()
    assert batch.potentials[0, :256].tolist() == v.tolist()


def test_the_rates_of_the_input_are_those_of_pixels_in_float64():
    prepared = Preprocessing(1 / 255)
    simulation = Simulation(of_pixels(prepared, 2), steps=2, encoding="rate")
    assert simulation.input_unit == 255 * (1 / 255)
    dark = Simulation(of_pixels(Preprocessing(0.1), 2), steps=2, encoding="rate")
    assert dark.input_unit == 255 * 0.1
