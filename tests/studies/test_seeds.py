"""Tables of several seeds (semantics, section 15): --seeds of the scripts in analysis/."""

import csv
import importlib.util
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_pixels, small_graph

import eventsnn
from eventsnn import statistics
from eventsnn.data.images import Images
from eventsnn.neurons import LIF
from eventsnn.readers import write_native
from eventsnn.studies import scripts
from eventsnn.studies.seeds import draws, seeds_of
from eventsnn.sweep import exploding, stored

ANALYSIS = Path(__file__).parents[2] / "analysis"


def script(name):
    spec = importlib.util.spec_from_file_location(f"analysis_{name}", ANALYSIS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dots(count=12):
    """(graph, images with random labels)."""
    graph, rng = small_graph("QCFS"), np.random.default_rng(5)
    pixels = random_pixels(rng, graph, count)
    return graph, Images(
        "dots", "test", np.arange(count), pixels, rng.integers(0, 3, count), (), (-1, 2)
    )


@pytest.mark.parametrize(
    ("options", "drawn"),
    [
        ({}, False),
        ({"order": "fifo", "neuron": "gn:8", "encoding": "even", "steps": 3}, False),
        ({"order": "excitatory_first", "refractory": 1.0}, False),
        ({"order": "cores"}, False),
        ({"order": "cores", "arbitration": "random"}, True),
        ({"order": "random"}, True),
        ({"order": "jitter", "jitter": "uniform:1"}, True),
        ({"encoding": "rate"}, True),
        ({"neuron": "tpp"}, True),
        ({"neuron": "lif:leak=0.9"}, False),
        ({"neuron": LIF}, True),
    ],
)
def test_what_draws(options, drawn):
    """What is not known to draw nothing, as a model of one's own, may draw."""
    assert draws(options) is drawn
    args = Namespace(seed=5, seeds=3)
    assert list(seeds_of(args, options)) == ([5, 6, 7] if drawn else [5])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("srp_tau", ["3"], "--seeds 3: expected a script that compares ways that draw"),
        ("energy", ["2"], "nothing here depends on a seed"),
        ("asynchronism", ["2"], "(arrival_order, accuracy_latency)"),
        ("accuracy_latency", ["0"], "--seeds: expected a number from 1 to 1000, found 0"),
        ("accuracy_latency", ["3", "--models", "if,snm"], "for example --models if,if+rate"),
    ],
)
def test_seeds_without_effect_are_refused(name, options, words, tmp_path, capsys):
    given = ["--limit", "1", "--out", str(tmp_path), "--seeds", *options]
    assert script(name).main(given) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and error.count("\n") == 1 and words in error and not out


def test_accuracy_latency_with_seeds(tmp_path, capsys):
    """Each number is that of runs with seeds 3 and 4, by the rule of section 15."""
    graph, images = dots()
    write_native(graph, tmp_path / "net.h5")
    held = {"x_test": images.pixels, "y_test": images.labels}
    np.savez(tmp_path / "data.npz", **held, pixel_range=(-1, 2))
    given = ["--net", str(tmp_path / "net.h5"), "--data", str(tmp_path / "data.npz")]
    given += ["--steps", "2", "--models", "if,if+rate", "--seed", "3", "--seeds", "2"]
    assert script("accuracy_latency").main([*given, "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "accuracy_latency.csv").open() as file:
        rows = {(row["model"], row["T"]): row for row in csv.DictReader(file)}
    snn = eventsnn.convert(graph)
    plain = eventsnn.simulate(snn, images, steps=2)
    runs = [eventsnn.simulate(snn, images, steps=2, encoding="rate", seed=s) for s in (3, 4)]
    pairs = {}
    for t in (1, 2):
        right = np.stack([run.predictions(t) == images.labels for run in runs])
        pairs[t] = right, plain.predictions(t) == images.labels
        row = rows["if+rate", str(t)]
        ends = statistics.bootstrap(1.0 * right, seed=3)[:3]
        assert row["seeds"] == "2" and [float(row[x]) for x in scripts.SHARE] == list(ends)
        spikes = np.stack([run.spikes[:, :, :t].sum(axis=(1, 2)) for run in runs])
        expected = statistics.bootstrap(spikes, seed=3)
        assert [float(row[x]) for x in ("spikes", "spikes low")] == list(expected[:2])
        single = rows["if", str(t)]
        hits = int(pairs[t][1].sum())
        assert single["seeds"] == "1" and float(single["low"]) == statistics.wilson(hits, 12)[0]
    for t, found in statistics.compare(pairs).items():
        row = rows["if+rate", str(t)]
        assert (float(row["p"]), float(row["p Holm"])) == (found.p, found.holm)
        difference = (pairs[t][0].sum(axis=0) - 2 * pairs[t][1]).astype(int)
        assert found.p == statistics.sign_flip(difference)
    said = capsys.readouterr().out
    assert "mean of 2 seeds, 3 to 4" in said and "understate the variance of seeds" in said
    assert "sign-flip test" in said and "in 2 seeds : the other way round" in said


def test_arrival_order_with_seeds():
    """An order that draws is a mean of its seeds; its error cases are, too."""
    graph, images = dots(4)
    snn, study = eventsnn.convert(graph), script("arrival_order")

    class Given(stored.Live):
        def __init__(self):
            self.images, self.network = images, lambda: snn

    way = exploding.way(snn.neurons, 2, "snm", (1, 2), order="random")
    row, hits = study.measure(Given(), snn, way, "random")
    options = {"steps": 2, "engine": "event", "neuron": "snm", "order": "random"}
    runs = [eventsnn.simulate(snn, images, seed=seed, **options) for seed in (1, 2)]
    assert np.array_equal(hits, [run.predictions() == images.labels for run in runs])
    assert row["seeds"] == 2 and row["accuracy"] == np.mean([run.accuracy() for run in runs])
    spikes = np.stack([run.spikes.sum(axis=(1, 2)) for run in runs])
    assert (row["spikes"], row["spikes low"]) == statistics.bootstrap(spikes, seed=1)[:2]
    rows = study.cases(Given(), way, "random")
    found = [eventsnn.errors.cases(snn, images, seed=seed, **options) for seed in (1, 2)]
    for k, its in enumerate(rows):
        mean = np.mean([each.layers[k]["I"] for each in found])
        assert its["error I"] == pytest.approx(mean)
        assert its["error I low"] <= its["error I"] <= its["error I high"]


def test_one_seed_is_said_as_before():
    assert "seeds" not in scripts.footnote("if", 0)
    assert "right here and wrong there" in scripts.footnote("if", 0)
