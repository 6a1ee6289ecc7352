"""Presets for the papers' own code, in Python and on the command line: each does what it says, and
nothing else.
"""

import json

import h5py
import numpy as np
import pytest
from support.networks import Builder, declared, random_pixels

from eventsnn import InputError, convert, load, load_images
from eventsnn.network.presets import PRESETS
from eventsnn.readers import write_native
from eventsnn.result import simulate
from eventsnn.run import main
from eventsnn.simulation.encoding import Encoding
from eventsnn.studies.equivalence import quantised

COMMON = {"srp-code": {"srp": 2}, "gn-code": {"tau": 2}, "spikezip-code": {"steps": 40}}


def small_graph(op="QCFS"):
    b = Builder(np.random.default_rng(1), (2, 6, 6))
    x = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), op)
    return b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv(x, 4), op)])))


def as_is_graph():
    """Eight neurons, each with one input of weight 1 and a threshold of 1; the readout adds up the
    weights 1, 2, 4, ...
    """
    b = Builder(np.random.default_rng(2), (1, 1, 8))
    x = b.add("QCFS", [b.conv("input", 1, 1)], {"lambda": 1.0, "levels": 4})
    b.nodes[0].params["W"][:], b.nodes[0].params["B"][:] = 1, 0
    return b.graph(
        b.add(
            "Gemm",
            [b.add("Flatten", [x])],
            {"transB": 1},
            {"B": 2.0 ** np.arange(8, dtype=np.float32)[None]},
        )
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: networks and images."""
    monkeypatch.chdir(tmp_path)
    write_native(small_graph(), "net.h5")
    write_native(small_graph("Relu"), "relu.h5")
    rng = np.random.default_rng(3)
    images = {
        f"x_{split}": rng.uniform(-1, 2, (count, 2, 6, 6)).astype(np.float32)
        for split, count in (("test", 5), ("train", 9))
    }
    labels = {"y_test": rng.integers(0, 4, 5), "y_train": rng.integers(0, 4, 9)}
    np.savez("data.npz", **images, **labels, pixel_range=(-1, 2))
    return tmp_path


def command_line(capsys, *arguments):
    """(summary, readout of all steps, spikes by layer and step) of a run."""
    capsys.readouterr()
    rest = ["--data", "data.npz", "--json", "--out", "results", "--overwrite"]
    assert main([*map(str, arguments), *rest]) == 0, capsys.readouterr().err
    with h5py.File("results/run.h5") as file:
        return json.loads(capsys.readouterr().out), file["readout"][()], file["spikes"][()]


def options(settings):
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def test_srp_code_silences_what_the_paper_lets_send():
    """v(0) = 1/2; after two steps of x the potential is 1/2 + 2 x less the spikes: exactly 0 for
    1/4, 3/4 and -1/4.
    """
    graph = as_is_graph()
    pixels = np.array(
        [0.25, 0.5, 0.75, -0.25, -0.5, 0.25 + 2**-12, 0.25 + 2**-10, 1], np.float32
    ).reshape(1, 1, 1, 8)
    pixels = declared(pixels, -0.5, 1)
    first = convert(graph).run(pixels, steps=2, neurons=True).batch
    rest = [0, 0.5, 0, 0, -0.5, 2**-11, 2**-9, 0.5]
    assert (
        first.potentials[0, :8]
        / 2.0 ** convert(graph).run(pixels, steps=2).simulation.arithmetic.fraction_bits
    ).tolist() == rest
    paper, code = (
        convert(graph).run(pixels, steps=2, srp=2, compat=compat, neurons=True)
        for compat in (None, "srp-code")
    )
    assert paper.batch.masks[0, :8].tolist() == [v >= 0 for v in rest]
    assert code.batch.masks[0, :8].tolist() == [v > 0.001 for v in rest]
    fired = first.counts[0, :8]
    assert fired.tolist() == [1, 1, 2, 0, 0, 1, 1, 2]
    weights = 2.0 ** np.arange(8)
    assert paper.readout()[0, 0] == fired @ (weights * (np.array(rest) >= 0)) / 2
    assert (
        code.readout()[0, 0]
        == fired @ (weights * (np.array(rest) > 0.001)) / 2
        < paper.readout()[0, 0]
    )


def test_snm_code_is_what_it_decides():
    """v(0) = 0; what was never active on the calibration images is silent; neurons at the output,
    whose spikes are added up.
    """
    graph = small_graph("Relu")
    pixels = random_pixels(np.random.default_rng(4), graph, 4)
    network = convert(graph, calibration=pixels, compat="snm-code")
    result = network.run(
        declared(pixels * 1.5, -1.5, 3.0), steps=12, compat="snm-code", neurons=True
    )
    assert not result.simulation.resting.any() and type(result.simulation.neuron).__name__ == "SNM"
    assert len(network.spiking) == 3 and network.spiking[-1].name.endswith(":fires")
    thetas = np.concatenate([np.reshape(layer.theta, -1) for layer in network.spiking])
    assert (thetas == 0).any() and not result.batch.counts[:, : len(thetas)][:, thetas == 0].any()
    last = result.batch.counts[:, len(thetas) - 4 : len(thetas)]
    assert np.allclose(
        result.readout(), last * np.reshape(network.spiking[-1].theta, -1) / 12, rtol=0, atol=1e-5
    )
    assert last.any() and (result.readout() >= 0).all()
    same = convert(graph, calibration=pixels, thresholds="dni", dead="silent", readout="fires").run(
        declared(pixels * 1.5, -1.5, 3.0), steps=12, neuron="snm", initial=0.0, neurons=True
    )
    assert all(
        np.array_equal(getattr(result.batch, name), getattr(same.batch, name))
        for name in result.batch.ARRAYS
    )
    other = network.run(declared(pixels * 1.5, -1.5, 3.0), steps=12, neuron="snm", neurons=True)
    assert not np.array_equal(other.batch.counts, result.batch.counts)


@pytest.mark.parametrize("engine", [{}, {"engine": "event", "order": "random", "refractory": 1.0}])
@pytest.mark.parametrize("release", [None, 1])
def test_spikezip_code_reaches_the_same_equilibrium(engine, release):
    """The whole bias in step 1 (with a release of 1 the input as well): another way to the same
    counts and readout.
    """
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(5), graph, 3)
    network = convert(graph)
    paper = simulate(
        network, pixels, steps=60, neuron="st-bif", encoding="even", neurons=True, **engine
    )
    encoding = Encoding(kind="even", release=release, bias_once=True)
    chosen = {"neuron": "st-bif", "encoding": encoding} if release else {"compat": "spikezip-code"}
    code = simulate(network, pixels, steps=60, neurons=True, **chosen, **engine)
    assert code.simulation.encoding == encoding
    bias = code.simulation.drive(np.zeros_like(pixels[0]))
    assert bias[0].any() and not bias[1:].any()
    assert max(paper.batch.t_eq.max(), code.batch.t_eq.max()) < 60
    for other in (paper.batch.counts, quantised(code.simulation, pixels)[0]):
        assert np.array_equal(code.batch.counts, other)
    assert np.array_equal(code.batch.readout[:, -1], paper.batch.readout[:, -1])
    assert not np.array_equal(code.batch.readout, paper.batch.readout)


@pytest.mark.parametrize("settings", [{}, {"tau": 2}])
def test_gn_code_is_gn(settings):
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(6), graph, 3)
    code, plain = (
        convert(graph).run(pixels, steps=4, neurons=True, **settings, **chosen)
        for chosen in ({"compat": "gn-code"}, {"neuron": "gn"})
    )
    assert all(
        np.array_equal(getattr(code.batch, name), getattr(plain.batch, name))
        for name in code.batch.ARRAYS
    )
    assert code.simulation.describe() == plain.simulation.describe()


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_line_is_the_python_interface(capsys, folder, name):
    """One preset is all it takes: the same run as with the options it decides, and another than
    without it.
    """
    net = "relu.h5" if name == "snm-code" else "net.h5"
    settings = {"steps": 6, **COMMON.get(name, {})}
    images, calibration = load_images("data.npz"), load_images("data.npz", split="train")
    expected = (
        convert(load(net), calibration=calibration, compat=name)
        .run(images, compat=name, **settings)
        .batch
    )
    calibrated = ["--calibration", "train:0-8"] if name == "snm-code" else []
    summary, readout, spikes = command_line(
        capsys, "--net", net, "--compat", name, *options(settings), *calibrated
    )
    assert (
        np.array_equal(readout, expected.readout)
        and np.array_equal(spikes, expected.spikes.sum(axis=0))
        and spikes.any()
    )
    decided = PRESETS[name].convert | PRESETS[name].simulate
    assert (
        decided
        and {key: summary["settings"][key] for key in decided} == decided
        and summary["settings"]["compat"] == name
    )
    spelt = [
        part
        for key, value in decided.items()
        for part in ([f"--{key.replace('_', '-')}"] + ([] if value is True else [value]))
    ]
    again = command_line(capsys, "--net", net, *spelt, *options(settings), *calibrated)
    assert np.array_equal(again[1], readout) and np.array_equal(again[2], spikes)
    if name != "srp-code":  # which needs a potential of 0 to differ
        plain = command_line(
            capsys, "--net", net, *options({k: v for k, v in settings.items() if k != "tau"})
        )
        assert plain[2].shape != spikes.shape or not np.array_equal(plain[2], spikes)


def test_srp_code_on_the_command_line(capsys, folder):
    write_native(as_is_graph(), "as_is.h5")
    pixels = np.array(
        [0.25, 0.5, 0.75, -0.25, -0.5, 0.25 + 2**-12, 0.25 + 2**-10, 1], np.float32
    ).reshape(1, 1, 1, 8)
    np.savez("data.npz", x_test=pixels, y_test=[0], pixel_range=(-0.5, 1))
    common = "--net", "as_is.h5", "--srp", 2, "--steps", 2
    sent = [
        command_line(capsys, *common, *extra)[2].sum() for extra in ([], ["--compat", "srp-code"])
    ]
    assert sent == [8, 4]


CONFLICTS = [
    ("srp-code", "srp_epsilon", 0.5),
    ("snm-code", "neuron", "gn"),
    ("snm-code", "initial", 0.25),
    ("gn-code", "neuron", "snm"),
    ("spikezip-code", "neuron", "gn"),
    ("spikezip-code", "encoding", "rate"),
    ("snm-code", "thresholds", "max"),
]


@pytest.mark.parametrize(("name", "option", "value"), CONFLICTS)
def test_what_says_otherwise_is_refused(capsys, folder, name, option, value):
    """In Python and on the command line, with the names of both."""
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(7), graph, 2)
    with pytest.raises(InputError) as caught:
        if option == "thresholds":
            convert(graph, calibration=pixels, compat=name, **{option: value})
        else:
            convert(graph).run(
                pixels, compat=name, **({"srp": 2} if name == "srp-code" else {}), **{option: value}
            )
    assert all(word in str(caught.value) for word in (name, option, repr(value)))
    needed = ["--srp", "2"] if name == "srp-code" else []
    flag = "--" + option.replace("_", "-")
    assert (
        main(["--net", "net.h5", "--data", "data.npz", "--compat", name, flag, str(value), *needed])
        == 2
    )
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and all(
        word in error for word in (f"--compat {name}", flag, str(value))
    )


def test_an_array_of_potentials_is_refused():
    graph = small_graph()
    network, pixels = convert(graph), random_pixels(np.random.default_rng(8), graph, 1)
    potentials = np.empty(2, object)
    potentials[:] = [np.full(layer.size, 0.25) for layer in network.spiking]
    assert network.run(pixels, initial=potentials).simulation.initial[0][0] == 0.25
    with pytest.raises(InputError, match="snm-code.*initial"):
        network.run(pixels, compat="snm-code", initial=potentials)


def test_unknown_presets_are_refused():
    graph = small_graph()
    for call in (
        lambda: convert(graph, compat="srp"),
        lambda: convert(graph).run(np.zeros((1, 2, 6, 6), np.uint8), compat="srp"),
    ):
        with pytest.raises(InputError, match="srp-code, snm-code, gn-code, snnc-code"):
            call()
