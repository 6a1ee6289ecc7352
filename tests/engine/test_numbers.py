"""What simulations compute in: pixels in float64, the readout's unit, and what rounding leaves."""

import re
from dataclasses import replace

import numpy as np
import pytest
from support.networks import Builder

import eventsnn
from eventsnn import convert
from eventsnn.ann.graph import Graph, Node, Preprocessing
from eventsnn.result import Simulation, simulate
from eventsnn.runs.pipeline import run
from eventsnn.settings import Settings
from eventsnn.simulation.rounding import rounding_doubt, shares
from eventsnn.studies.setting import exact


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


@pytest.mark.slow
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


def with_small_outputs(factor):
    """A network of two layers whose last weights and biases are multiplied by a number."""
    rng = np.random.default_rng(5)
    b = Builder(rng, (2, 6, 6))
    x = b.activation(b.conv(b.activation(b.conv("input")), 4))
    graph = b.graph(b.gemm(b.add("Flatten", [x]), 10))
    last = graph.nodes[-1]
    params = {role: np.float32(factor) * values for role, values in last.params.items()}
    return convert(replace(graph, nodes=(*graph.nodes[:-1], replace(last, params=params))))


@pytest.mark.parametrize("engine", ["clocked", "event"])
def test_small_outputs_are_not_rounded_away(engine):
    pixels = np.random.default_rng(1).random((12, 2, 6, 6)).astype(np.float32)
    options = dict(steps=8, engine=engine, pixel_range=(0, 1))
    large, small, tiny = (
        Simulation(with_small_outputs(factor), **options) for factor in (1, 1e-7, 2.0**-60)
    )
    a, b, c = (each.run(pixels) for each in (large, small, tiny))
    assert (a.spikes == b.spikes).all() and a.spikes[:, 1].sum() > 100
    outputs = large.output(a.readout[:, -1], 8)
    assert (outputs.argmax(axis=1) == b.readout[:, -1].argmax(axis=1)).all()
    assert len(set(outputs.argmax(axis=1))) > 1
    np.testing.assert_allclose(small.output(b.readout[:, -1], 8) * 1e7, outputs, atol=1e-5)
    # a power of two changes the unit and nothing else
    assert (a.readout == c.readout).all() and a.readout.dtype == c.readout.dtype
    exponents = [each.arithmetic.readout_exponent for each in (large, small, tiny)]
    assert exponents[2] == exponents[0] - 60 and exponents[1] < -20
    assert small.describe()["readout_exponent"] == exponents[1]


def test_the_readouts_unit_stays_a_number():
    network = with_small_outputs(1)
    layers, (*before, last) = network.layers, network.projections
    least = replace(last, map=replace(last.map, weights=last.map.blocks * 1e-300, factor=None))
    readout = replace(layers[-1], bias=layers[-1].bias * 1e-300)
    network = replace(network, layers=(*layers[:-1], readout), projections=(*before, least))
    simulation = Simulation(network, steps=4, pixel_range=(0, 1))
    assert simulation.arithmetic.readout_exponent == -900
    batch = simulation.run(np.ones((1, 2, 6, 6), np.float32))
    assert np.isfinite(simulation.output(batch.readout[0, -1], 4)).all()


def rounded_by_hand(simulation, name):
    """sum |rounded - exact| / sum |exact| of a layer behind another one."""
    network, f = simulation.network, simulation.arithmetic.fraction_bits
    i = [layer.name for layer in network.layers].index(name)
    (p,) = network.into(i)
    exact = np.concatenate([p.map.blocks.ravel(), network.layers[i].bias.ravel()])
    return np.abs(np.rint(exact * 2**f) / 2**f - exact).sum() / np.abs(exact).sum()


def test_rounding_of_more_than_a_hundredth_warns():
    network = with_small_outputs(1)
    pixels = np.random.default_rng(1).random((1, 2, 6, 6)).astype(np.float32)
    name = network.layers[1].name
    coarse = Simulation(network, steps=2, fraction_bits=4, pixel_range=(0, 1))
    share = rounded_by_hand(coarse, name)
    assert shares(coarse)[1] == pytest.approx(share) and share > 0.01
    assert shares(coarse)[0] == 0  # its weights make the drive, which alone is rounded
    spiking = Simulation(network, steps=2, fraction_bits=4, pixel_range=(0, 1), encoding="rate")
    assert shares(spiking)[0] > 0.01
    worst = int(np.argmax(shares(coarse)))
    expected = re.escape(
        f"rounding to fixed point, F = 4, changes weights and biases of layer "
        f"{network.layers[worst].name!r} (and of 1 more, less than that) by "
        f"{shares(coarse)[worst]:.2%} of their sum: choose fewer steps, more fraction_bits, or "
        "arithmetic='float64'"
    )
    with pytest.warns(eventsnn.RoundedWeights, match=f"^{expected}$"):
        simulate(network, pixels, steps=2, fraction_bits=4)
    with pytest.warns(eventsnn.RoundedWeights, match=f"^errors: {expected}$"):
        exact(network, pixels, "errors", steps=2, fraction_bits=4)
    for options in ({}, {"arithmetic": "float32"}):
        simulation = Simulation(network, steps=2, pixel_range=(0, 1), **options)
        assert max(shares(simulation)) < 1e-4 and rounding_doubt(simulation) == ""


def test_a_run_warns_of_rounding_on_the_screen_and_in_its_summary(tmp_path, capsys):
    options = dict(limit=2, steps=2, out=str(tmp_path / "out"))
    summary = run(Settings(fraction_bits=3, **options))
    said = capsys.readouterr().out
    (note,) = [note for note in summary["notes"] if "rounding" in note]
    assert f"warning: {note}" in said
    assert "F = 3" in note and "more --fraction-bits, or --arithmetic float64" in note


@pytest.mark.parametrize("engine", ["clocked", pytest.param("event", marks=pytest.mark.long)])
def test_the_charge_of_a_spike_has_room_where_potentials_are_far_below_it(engine):
    """They would leave F = 32 in 32 bits, in which 2^32 is no number."""
    nodes = (
        pointwise("small", "input", [[1e-4]]),
        Node("each", "ClippedRelu", ("small",), {"lambda": 1.0}, {}),
        pointwise("out", "each", [[1]]),
    )
    network = convert(Graph(nodes, "input", "out", (1, 1, 2), Preprocessing(1 / 255)))
    pixels = np.array([0, 255], np.uint8).reshape(1, 1, 1, 2)
    result = simulate(network, pixels, steps=3, neuron="tpp", initial=0.0, engine=engine)
    given = dict(steps=3, neuron="tpp", initial=0.0, engine="event", pixel_range=(0, 255))
    event = Simulation(network, **given)
    for arithmetic in (result.simulation.arithmetic, event.arithmetic):
        assert arithmetic.one == 2**arithmetic.bits and arithmetic.bound < 1
    assert not result.spikes.any()
