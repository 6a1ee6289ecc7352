"""SNNC's biases and potentials: the numbers of a plain loop over layers, and what a run makes of
them.
"""

import numpy as np
import pytest
from support.networks import pooled_graph, quantised_graph, random_pixels, small_graph

import eventsnn
from eventsnn import InputError, calibrate, convert, load, save, simulate
from eventsnn.ann import forward as ann
from eventsnn.run import main
from eventsnn.settings import CALIBRATED
from eventsnn.studies.means import METHODS, with_biases
from eventsnn.studies.setting import by_neuron, neuron_layers, numbers_of, theta_of

T = 6


def network_of(seed, make, images=10):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    return convert(graph), random_pixels(rng, graph, images)


def calibrated(network, pixels, method, **options):
    return calibrate(network, pixels, method=method, steps=T, progress=False, **options)


def lacking(network, pixels, initial, layer, number):
    """The spikes that each neuron's mean lacks of the ANN's, in a run of the whole network."""
    graph = network.graph
    values = ann.forward(graph, graph.preprocessing(pixels), keep=(layer.name,))[layer.name]
    ideal = (by_neuron(values, layer) / theta_of(layer)).mean(axis=0) * T
    counts = simulate(
        network, pixels, steps=T, initial=initial, neurons=True, progress=False
    ).batch.counts
    return ideal - counts[:, network.columns(number)].mean(axis=0)


@pytest.mark.parametrize(("make", "seed"), [(quantised_graph, 3), (pooled_graph, 2)])
@pytest.mark.parametrize("method", ["bias", "potential"])
def test_it_is_what_a_loop_over_layers_finds(make, seed, method):
    """Each layer in a run of the whole network, behind those that are calibrated."""
    network, pixels = network_of(seed, make)
    found = calibrated(network, pixels, method)
    now, initial = network, [np.full(layer.size, 0.5) for layer in network.spiking]
    for layer in network.spiking:
        if layer.pools:
            initial[network.layers.index(layer)] = np.zeros(layer.size)
    for number, layer in neuron_layers(network).items():
        lacks = lacking(now, pixels, initial, layer, number)
        if method == "bias":
            gain = lacks.reshape(-1, layer.grid[0]).mean(axis=0) / T * layer.theta
            assert found.biases[layer.name] == pytest.approx(gain, rel=1e-5, abs=1e-9)
            now = with_biases(now, {layer.name: found.biases[layer.name]})
        else:
            assert found.initial[number] == pytest.approx(0.5 + lacks, rel=1e-5, abs=1e-6)
            initial[number] = found.initial[number]
    for a, b in zip(found.network.layers, now.layers):
        assert np.array_equal(a.bias, b.bias) and a.theta == b.theta
    result = simulate(found.network, pixels, steps=T, initial=found.initial)
    own = simulate(now, pixels, steps=T, initial=initial)
    assert np.array_equal(result.digests, own.digests)
    for row, number in zip(found.layers, numbers_of(network).values(), strict=True):
        assert row["after"] == pytest.approx(result.counts(number).mean())
    apart = [sum(row[key] for row in found.layers) for key in ("apart before", "apart")]
    assert apart[1] < apart[0]


@pytest.mark.parametrize("method", ["bias", "potential", "weights"])
def test_a_shift_of_biases_stays_the_runs(method):
    """Each run adds theta / 2T to the biases; what was calibrated has them not, or they would come
    twice.
    """
    network, pixels = network_of(3, quantised_graph)
    how = {"rounds": 2} if method == "weights" else {}
    found = calibrated(network, pixels, method, shift=True, **how)
    for layer, before in zip(found.network.layers, network.layers):
        gained = found.biases.get(layer.name, np.zeros(1)) / before.theta
        np.testing.assert_allclose(layer.bias, before.bias + gained, atol=1e-12)
    run = simulate(found.network, pixels, steps=T, initial=found.initial, shift=True)
    for row, number in zip(found.layers, numbers_of(network).values(), strict=True):
        assert row["after"] == pytest.approx(run.counts(number).mean())


def test_one_image_and_one_layer_worked_by_hand():
    """A neuron of theta 1 that hears 0.3 and 1.4 in every step of four; v(0) = 1/2."""
    from support.networks import Builder

    b = Builder(np.random.default_rng(0), (2, 1, 1))
    b.weights = lambda *shape, size: np.eye(2, dtype=np.float32)
    line = b.gemm(b.add("Flatten", ["input"]), 2)
    b.nodes[-1].params["C"][:] = 0
    graph = b.graph(b.activation(line, "Relu"))
    network = convert(graph, thresholds={graph.activations[0].name: 1.0})
    pixels = np.array([0.3, 1.4], np.float32).reshape(1, 2, 1, 1)
    # 0.3 fires in step 2 alone, 1.4 in all four; their activations are worth 1.2 and 5.6 spikes
    how = dict(steps=4, progress=False, pixel_range=(0.0, 2.0))
    found = calibrate(network, pixels, method="bias", **how)
    assert found.biases[graph.activations[0].name] == pytest.approx([0.2 / 4, 1.6 / 4], rel=1e-6)
    found = calibrate(network, pixels, method="potential", **how)
    assert found.initial[0] == pytest.approx([0.7, 2.1], rel=1e-6)
    assert found.layers[0]["after"] == 2.5


def test_files_keep_potentials_and_only_those(tmp_path):
    network, pixels = network_of(3, quantised_graph)
    found = calibrated(network, pixels, "potential")
    save(found.graph, tmp_path / "network.h5")
    own = simulate(convert(load(tmp_path / "network.h5")), pixels, steps=T)
    given = simulate(network, pixels, steps=T, initial=found.initial)
    assert np.array_equal(own.digests, given.digests)
    biases = calibrated(network, pixels, "bias")
    assert "biases calibrated" in str(biases.conditions)
    with pytest.raises(InputError, match="a calibration of v.0., found one of biases"):
        assert biases.graph


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bias", "potential"])
def test_a_run_calibrates_as_it_will_run(method, tmp_path, capsys):
    given = ["--limit", "6", "--steps", "4", "--calibration", "train:0-7", "--quiet"]
    out = tmp_path / "run"
    assert main([*given, "--calibrate", method, "--out", str(out)]) == 0
    training = eventsnn.load_images("sample", split="train", limit=8)
    found = calibrate(convert(load("sample")), training, method=method, steps=4, progress=False)
    images = eventsnn.load_images("sample", limit=6)
    result = simulate(found.network, images, initial=found.initial, steps=4)
    kept = eventsnn.open_results(out)
    assert np.array_equal(kept.digests, result.digests)
    assert main([*given, "--calibrate", method, "--srp", "2", "--out", str(out) + "2"]) == 2
    error = capsys.readouterr().err
    assert f"--calibrate {method}: expected no --srp, found --srp 2" in error
    assert error.count("\n") == 1


def test_what_makes_no_sense_is_refused_in_a_line():
    assert CALIBRATED == METHODS
    network = convert(small_graph())
    pixels = random_pixels(np.random.default_rng(0), network.graph, 2)
    for words, options in (
        (
            "method: expected one of v0, bias, potential, weights, found 'biases'",
            {"method": "biases"},
        ),
        ("rounds: expected method='v0'", {"method": "bias", "rounds": 2}),
        ("calibrate: expected one stage", {"method": "bias", "srp": 2}),
        ("one v.0. for all images, found offset=2", {"method": "potential", "offset": 2}),
        ("conserves = False", {"method": "bias", "neuron": "if-hard"}),
    ):
        with pytest.raises(InputError, match=words) as caught:
            eventsnn.calibrate(network, pixels, **options)
        assert "\n" not in str(caught.value)
