"""v(0) calibrated under an order: it changes v(0) alone, and brings each channel to its ANN's mean,
where it stays in a run, and in a file.
"""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from support.networks import pooled_graph, quantised_graph, random_pixels

import eventsnn
from eventsnn import InputError, calibrate, convert, load, load_images, save, simulate
from eventsnn.ann import forward as ann
from eventsnn.studies.setting import by_neuron, neuron_layers, numbers_of, theta_of
from eventsnn.studies.up_to import thresholds_of, up_to

T = 6


def network_of(seed, make=quantised_graph, images=12, scale=1.0):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, images)
    thetas = thresholds_of(convert(graph))
    return convert(graph, thresholds={k: x * scale for k, x in thetas.items()}), pixels


def calibrated(network, pixels, **options):
    return calibrate(network, pixels, steps=T, **{"rounds": 4, "progress": False, **options})


def means(network, pixels, layer, initial, **options):
    """The mean spikes of each channel of a layer in a run."""
    result = simulate(network, pixels, steps=T, engine="event", initial=initial, **options)
    return result.counts(layer).mean(axis=(0, 2, 3))


@pytest.mark.parametrize(("make", "scale"), [(quantised_graph, 1.0), (pooled_graph, 0.5)])
def test_channels_come_to_the_mean_of_the_ann_and_a_run_says_so(make, scale):
    network, pixels = network_of(3, make, scale=scale)
    found = calibrated(network, pixels, order="fifo")
    values = ann.forward(
        network.graph, network.graph.preprocessing(pixels), keep=tuple(numbers_of(network))
    )
    for row, (i, layer) in zip(found.layers, neuron_layers(network).items(), strict=True):
        worth = by_neuron(values[layer.name], layer) * (T / theta_of(layer))
        ideal = worth.reshape(-1, layer.grid[0]).mean(axis=0)
        fired = means(network, pixels, i, found.initial, order="fifo")
        assert row["after"] == pytest.approx(fired.mean())
        assert row["ANN"] == pytest.approx(ideal.mean(), rel=1e-5)
        assert row["apart"] == pytest.approx(abs(fired - ideal).mean(), rel=1e-4, abs=1e-6)
        assert row["apart"] <= row["apart before"]
        assert row["least"] <= row["v(0)"] <= row["most"]
        each = found.initial[i].reshape(-1, layer.grid[0])
        assert (each == found.channels[layer.name]).all()
    assert sum(row["apart"] for row in found.layers) < 0.7 * sum(
        row["apart before"] for row in found.layers
    )


@pytest.mark.slow
def test_nothing_but_v0_changes_and_the_same_is_found_again():
    network, pixels = network_of(4)
    before = network.graph.hash
    found = calibrated(network, pixels, order="random", seed=5, workers=1)
    again = calibrated(network, pixels, order="random", seed=5, workers=3)
    assert found.layers == again.layers
    assert found.network is network and network.graph.hash == before
    graph = found.graph
    assert [node.name for node in graph.nodes] == [node.name for node in network.graph.nodes]
    for node, old in zip(graph.nodes, network.graph.nodes):
        kept = {role: x for role, x in node.params.items() if role != "initial"}
        assert kept == old.params and old.attrs.items() <= node.attrs.items()
    assert np.array_equal(ann.logits(graph, pixels), ann.logits(network.graph, pixels))
    labelled = eventsnn.Images(
        "some", "train", np.arange(12), pixels, np.zeros(12, np.int64), (), (-5.0, 5.0)
    )
    turned = eventsnn.Images("some", "train", np.arange(12), pixels, np.arange(12), (), (-5.0, 5.0))
    assert calibrated(network, labelled).layers == calibrated(network, turned).layers


def test_a_file_runs_with_its_v0(tmp_path):
    network, pixels = network_of(3)
    found = calibrated(network, pixels)
    save(found.graph, tmp_path / "network.h5")
    opened = convert(load(tmp_path / "network.h5"))
    options = dict(steps=T, engine="event")
    given = simulate(network, pixels, initial=found.initial, **options)
    own = simulate(opened, pixels, **options)
    assert np.array_equal(given.digests, own.digests)
    assert "v(0) calibrated on 12 images" in opened.graph.meta["note"]
    assert "order fifo" in opened.graph.meta["note"]
    assert not np.array_equal(simulate(network, pixels, **options).digests, own.digests)
    with pytest.raises(InputError, match="neuron"):
        simulate(opened, pixels, neuron="snm", **options)
    snm = calibrated(network, pixels, neuron="snm", rounds=1)
    with pytest.raises(InputError, match="a calibration of neuron='if', found SNM"):
        assert snm.graph


def test_a_layer_hears_in_its_part_what_it_hears_in_the_whole():
    network, pixels = network_of(7, pooled_graph)
    whole = simulate(network, pixels, steps=T, engine="event")
    for i, layer in neuron_layers(network).items():
        part = up_to(network, layer)
        alone = simulate(part, pixels, steps=T, engine="event")
        at = numbers_of(part)[layer.name]
        assert np.array_equal(alone.counts(at), whole.counts(i))


@pytest.mark.slow
def test_training_images_bring_a_network_back_on_others():
    """The bundled network under fifo, with the rest that clips: test images that it never saw."""
    network = convert(load("sample"))
    options = dict(order="fifo", refractory=1.0, steps=8)
    found = calibrate(network, load_images("sample", split="train", limit=16), rounds=3, **options)
    test = load_images("sample", limit=60)
    options |= {"engine": "event"}
    untouched = simulate(network, test, **options)
    cured = simulate(network, test, initial=found.initial, **options)
    assert cured.accuracy() > untouched.accuracy() + 0.2
    assert cured.spikes.sum() < untouched.spikes.sum()
    assert all(row["correlation"] > row["correlation before"] for row in found.layers)


@pytest.mark.slow
def test_the_script_compares_cures_and_leaves_what_a_run_needs(tmp_path, capsys):
    path = Path(__file__).parents[2] / "analysis" / "alive.py"
    spec = importlib.util.spec_from_file_location("analysis_alive", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    given = ["--limit", "12", "--steps", "4", "--calibration", "train:0-7", "--rounds", "2"]
    given += ["--spread", "1", "--scale", "0.5", "--rest", "--orders", "fifo"]
    out = tmp_path / "alive"
    assert script.main([*given, "--out", str(out)]) == 0
    with (out / "alive.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cures = ["clocked", "untouched", "v(0)", "thresholds", "thresholds + v(0)"]
    assert [row["cure"] for row in rows] == cures
    assert [bool(row["p"]) for row in rows] == [False, False, True, True, True]
    said = capsys.readouterr().out
    assert "--thresholds thresholds.json --engine event --order fifo --steps 4" in said
    thetas = json.loads((out / "thresholds.json").read_text())
    network = convert(load(out / "network.h5"), thresholds=thetas)
    images = load_images("sample", limit=12)
    options = dict(steps=4, engine="event", refractory=0.5)
    result = simulate(network, images, **options)
    assert result.accuracy() == pytest.approx(float(rows[-1]["accuracy"]))
    assert result.spikes.sum() / 12 == pytest.approx(float(rows[-1]["spikes"]))
    for wrong, words in (("--scale", "0"), ("--spread", "0"), ("--orders", "clocked,fifo")):
        assert script.main([*given, wrong, words, "--out", str(tmp_path / "other")]) == 2
        assert wrong in capsys.readouterr().err
