"""Potentials of 32 bits that no bound proves: watched, and run again in 64 if they go too far."""

import json

import numpy as np
import pytest
from support import twin
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.networks import random_pixels, small_graph

import eventsnn
from eventsnn import convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.result import Simulation
from eventsnn.run import main
from eventsnn.simulation.clocked import Clocked
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.simulation import ENGINES

STEPS = 160
TWINS = {"if": twin.IF(), "snm": twin.SNM()}


def heavy(factor=3.0):
    """A small graph whose weights bring many thresholds a step."""
    graph = small_graph()
    for node in graph.nodes:
        if node.op == "Conv":
            node.params["W"] *= np.float32(factor)
    return graph


def prepared(neuron="if", engine="clocked", **options):
    """(simulation, images): the first image far from the ends of 32 bits, the last beyond them."""
    graph = heavy()
    image = random_pixels(np.random.default_rng(7), graph, 6)[:1]
    pixels = np.concatenate([np.float32(factor) * image for factor in (0.05, 0.4, 1)])
    options = {"steps": STEPS, "pixel_range": (-1.0, 2.0), **options}
    return Simulation(convert(graph), neuron=neuron, engine=engine, **options), pixels


@pytest.mark.parametrize("neuron", ["if", "snm"])
def test_the_engine_is_the_twin_and_some_images_take_64_bits(neuron):
    simulation, pixels = prepared(neuron)
    numbers = simulation.arithmetic
    assert numbers.dtype == np.int32 and numbers.fraction_bits == 20 and numbers.watched
    assert numbers.bound * 2**20 > 2**31
    batch = simulation.run(pixels, neurons=True)
    assert batch.widened.tolist() == [False, False, True]
    wide = simulation.wider()
    assert not wide.arithmetic.watched
    for i in (0, 2):
        run = twin.run_clocked(
            twin_net(wide), twin_drive(wide, pixels[i]), twin_start(wide), STEPS, TWINS[neuron]
        )
        assert batch.digests[i].tolist() == run.digests(STEPS)
        assert batch.readout[i].tolist() == [list(charge) for charge in run.readout]
        for layer, v in enumerate(by_layer(simulation, batch.potentials[i])):
            assert v.tolist() == list(run.potentials[layer])


def test_what_is_run_again_is_what_64_bits_give_all_along():
    simulation, pixels = prepared()
    narrow, wide = (each.run(pixels, neurons=True) for each in (simulation, simulation.wider()))
    for name in narrow.ARRAYS:
        if name != "widened" and getattr(narrow, name) is not None:
            assert np.array_equal(getattr(narrow, name), getattr(wide, name)), name
    assert not wide.widened.any()
    largest = np.abs(wide.potentials).max(axis=1)
    limit = simulation.arithmetic.limit
    assert 2**30 < limit < 2**31 and (largest[:2] < limit).all() and largest[2] >= limit


def test_threads_and_stages_and_slices_change_nothing():
    simulation, pixels = prepared()
    alone = simulation.run(pixels)
    shared = simulation.run(pixels, threads=3)
    slices = [batch for _, batch in simulation.stream(pixels, workers=2, batch=1)]
    for other in (shared, type(alone).join(slices)):
        for name in ("readout", "digests", "widened"):
            assert np.array_equal(getattr(alone, name), getattr(other, name)), name
    two, _ = prepared(srp=STEPS)
    assert two.run(pixels).widened.tolist() == [False, False, True]


def test_the_engines_agree_under_the_watch():
    clocked, pixels = prepared()
    event = clocked.on("event", eventsnn.Time(order="clocked"))
    assert event.arithmetic == clocked.arithmetic
    one, other = (each.run(pixels, neurons=True) for each in (clocked, event))
    for name in ("digests", "counts", "potentials", "readout"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_layers_run_again_on_a_wide_run_are_wide():
    simulation, pixels = prepared()
    engine = simulation.engine
    runs = [engine.run(simulation.drive(image)) for image in pixels]
    assert [run.v.dtype.itemsize for run in runs] == [4, 4, 8]
    for image, run in zip(pixels, runs):
        again = engine.run(simulation.drive(image), given=1, before=run)
        assert again.v.dtype == run.v.dtype
        assert np.array_equal(again.digests, run.digests)


@pytest.mark.parametrize(
    ("options", "watched", "bits", "dtype"),
    [
        ({}, True, 20, np.int32),
        ({"fraction_bits": 20}, True, 20, np.int32),
        ({"fraction_bits": 21}, False, 21, np.int64),
        ({"fraction_bits": 12}, False, 12, np.int32),  # the bound proves these
        ({"steps": 8}, False, 20, np.int32),
        ({"initial": 1000.0, "fraction_bits": 20, "steps": 3000}, True, 20, np.int32),
        ({"offset": 4}, False, 0, np.int64),  # v(0) may be as far as the bound
        ({"arithmetic": "float64"}, False, 0, np.float64),
        ({"neuron": "alif"}, False, 0, np.int64),
    ],
)
def test_when_potentials_are_watched(options, watched, bits, dtype):
    if options.get("neuron") == "alif":
        options = {"neuron": eventsnn.neurons.MODELS.find("adaptive", "neuron")}
    numbers = prepared(**options)[0].arithmetic
    assert (numbers.watched, numbers.dtype) == (watched, np.dtype(dtype))
    if bits:
        assert numbers.fraction_bits >= bits if options == {"steps": 8} else bits
    assert ("watched" in str(numbers)) == watched


def line(weight, bias, readout=1.0):
    """One pixel, one neuron whose threshold is 1, one class."""
    params = {"W": np.full((1, 1, 1, 1), weight, np.float32), "B": np.array([bias], np.float32)}
    nodes = (
        Node("conv", "Conv", ("input",), {"kernel_shape": [1, 1]}, params),
        Node("act", "ClippedRelu", ("conv",), {"lambda": 1.0}),
        Node("flat", "Flatten", ("act",)),
        Node("out", "Gemm", ("flat",), {}, {"B": np.full((1, 1), readout, np.float32)}),
    )
    return convert(Graph(nodes, "input", "out", (1, 1, 1)))


@pytest.mark.parametrize("kind", ["constant", "even"])
@pytest.mark.parametrize(("weight", "bias"), [(20.0, -10.0), (-20.0, 10.0), (10.0, 20.0)])
def test_drive_without_the_bias_is_within_the_bound(weight, bias, kind):
    """From step 2 on W x comes alone, and it may be larger than with the bias, on either side."""
    simulation = Simulation(
        line(weight, bias),
        steps=25,
        initial=0,
        pixel_range=(0, 1),
        encoding=Encoding(kind=kind, bias_once=True, release=4 if kind == "even" else None),
    )
    image = np.ones((1, 1, 1, 1), np.float32)
    narrow, wide = (each.run(image, neurons=True) for each in (simulation, simulation.wider()))
    assert np.array_equal(narrow.spikes, wide.spikes)
    assert np.array_equal(narrow.potentials, wide.potentials)
    if (weight, kind) == (20.0, "constant"):
        assert narrow.spikes[0, 0].tolist() == 25 * [1]


class Unwatched(Clocked):
    """An engine of one's own, which does not watch."""

    name = "unwatched"
    watches = False


def test_an_engine_that_does_not_watch_gets_64_bits():
    network, image = line(400.0, 0.0), np.ones((1, 1, 1, 1), np.float32)
    options = {"steps": 20, "initial": 0, "pixel_range": (0, 1), "fraction_bits": 20}
    clocked = Simulation(network, **options)
    assert clocked.arithmetic.watched and clocked.run(image).widened.all()
    ENGINES.add("unwatched", Unwatched)
    for own in (Simulation(network, engine="unwatched", **options), clocked.on("unwatched")):
        assert own.arithmetic.dtype == np.int64 and own.arithmetic.fraction_bits == 20
        assert np.array_equal(own.run(image).digests, clocked.run(image).digests)


def test_a_run_says_how_many_images_took_64_bits(tmp_path, capsys):
    graph = heavy()
    eventsnn.save(graph, tmp_path / "net.h5")
    pixels = prepared()[1]
    np.savez(tmp_path / "data.npz", x_test=np.asarray(pixels), y_test=[0, 1, 2])
    command = ["--net", str(tmp_path / "net.h5"), "--data", str(tmp_path / "data.npz")]
    command += ["--pixel-range=-1,2", "--thresholds", "auto", "--workers", "1"]
    for steps, found in ((STEPS, 1), (8, None)):
        out = tmp_path / str(steps)
        assert main([*command, "--steps", str(steps), "--out", str(out)]) == 0
        summary = json.loads((out / "summary.json").read_text())
        assert summary.get("images_run_again_in_64_bits") == found
        told = "1 of 3 images were run again in 64 bits" in capsys.readouterr().out
        assert told == (found == 1)
