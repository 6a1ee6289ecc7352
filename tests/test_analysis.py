"""The scripts in analysis/ that remake the papers' figures: they run on the bundled network, and their tables hold together."""
import csv
import dataclasses
import importlib.util
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from test_worked_examples import examples

import eventsnn
from eventsnn import asynchronism, errors, load, surgery
from eventsnn.microscope import observe
from eventsnn.neurons import IF, SNM

ANALYSIS = Path(__file__).parents[1] / "analysis"


def script(name):
    spec = importlib.util.spec_from_file_location(f"analysis_{name}", ANALYSIS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, out, *options):
    """Run a script with --out; returns its tables, name -> rows, with numbers as such."""
    assert script(name).main([*options, "--out", str(out)]) == 0
    picture = matplotlib.image.imread(out / f"{name}.png")
    assert picture[..., :3].std() > 0.1 and (out / f"{name}.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")
    tables = {}
    for path in out.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            tables[path.stem] = [{key: number(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return tables


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def test_error_cases(tmp_path, capsys):
    tables = run("error_cases", tmp_path, "--limit", "8", "--steps", "4", "--srp", "2")
    layers = [layer.name for layer in eventsnn.convert(load("sample")).spiking]
    rows = tables["error_cases"]
    assert [row["layer"] for row in rows] == 2 * layers and len({row["strategy"] for row in rows}) == 2
    assert rows[0]["I"] == rows[0]["II"] == 0, "the first layer makes no error"
    assert rows[1]["I"] == pytest.approx(rows[1]["II"]) and rows[1]["I"] > 0, "nor does the second inherit any"
    assert all(row["counterexamples"] == 0 for row in tables["theorem"])
    assert "Theorem 1" in capsys.readouterr().out


def test_srp_tau(tmp_path):
    rows = run("srp_tau", tmp_path, "--limit", "20", "--steps", "4", "--taus", "0,2")["srp_tau"]
    assert [(row["tau"], row["T"]) for row in rows] == [(tau, t) for tau in (0, 2) for t in (1, 2, 4)]
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)
    result = eventsnn.convert(load("sample")).run(eventsnn.load_images("sample", limit=20), steps=4, srp=2)
    assert rows[-1]["accuracy"] == pytest.approx(result.accuracy())
    assert rows[-1]["spikes"] == pytest.approx((result.spikes.sum() + result.batch.stage_one[:, 0].sum()) / 20)


def test_energy(tmp_path):
    tables = run("energy", tmp_path, "--limit", "8", "--steps", "6", "--neurons", "if,st-bif")
    rows = tables["energy"]
    assert [(row["neuron"], row["T"]) for row in rows] == [(neuron, t) for neuron in ("if", "st-bif") for t in (1, 2, 4, 6)]
    for row in rows:
        assert row["counted / ANN"] == pytest.approx(0.9 * row["counted_operations"] / (4.6 * row["ann_macs"]))
        assert row["spikezip / ANN"] == pytest.approx(0.077 * row["counted_operations"] / (25 * row["ann_macs"]))
    neurons = sum(row["neurons"] for row in tables["rates"] if row["neuron"] == "if")
    spikes = sum(row["rate"] * row["neurons"] for row in tables["rates"] if row["neuron"] == "if")
    assert spikes / neurons == pytest.approx(rows[3]["rate"])


def test_certified_accuracy(tmp_path, capsys):
    tables = run("certified_accuracy", tmp_path, "--limit", "2", "--steps", "2", "--neurons", "snm,st-bif")
    layers = [layer.name for layer in eventsnn.convert(load("sample")).spiking]
    rows, by_layer, depth = tables["certified_accuracy"], tables["layers"], tables["depth"]
    assert [(row["neuron"], row["T"]) for row in rows] == [(neuron, t) for neuron in ("snm", "st-bif") for t in (1, 2)]
    assert [row["layer"] for row in by_layer] == 2 * layers and [row["layer"] for row in depth] == 4 * layers
    for row in rows:
        assert row["certified low"] <= row["certified"] <= row["certified high"] and row["certified and correct"] <= row["certified"]
    assert all(row["certified"] == 1 for row in rows[2:]) and all(row["exact"] == 1 for row in by_layer[len(layers):])
    assert by_layer[0]["widest"] == 0 < by_layer[1]["widest"] and depth[0]["alone"] == depth[0]["up to"] == 1
    for row, last in zip(by_layer[:len(layers)], depth[len(layers):]):
        assert (row["alone"], row["up to"]) == (last["alone"], last["up to"])
    assert rows[1]["certified"] == depth[2 * len(layers) - 1]["up to"]
    result = eventsnn.convert(load("sample")).run(eventsnn.load_images("sample", limit=2), steps=2, neuron="snm")
    assert rows[1]["accuracy"] == result.accuracy() and "certified and correct" in capsys.readouterr().out


def test_certified_accuracy_of_the_whole_network_only(tmp_path):
    tables = run("certified_accuracy", tmp_path, "--limit", "1", "--steps", "1", "--neurons", "st-bif", "--whole")
    assert set(tables) == {"certified_accuracy", "layers"} and "alone" not in tables["layers"][0]


def test_asynchronism(tmp_path, capsys):
    tables = run("asynchronism", tmp_path, "--limit", "2", "--steps", "4", "--order", "inhibitory_first", "--layers", "act2,act6")
    images, network = eventsnn.load_images("sample", limit=2), eventsnn.convert(load("sample"))
    found = asynchronism.measure(network, images, steps=4, order="inhibitory_first")
    for row, expected in zip(tables["asynchronism"], found.layers, strict=True):
        assert all(np.array_equal(row[key], value, equal_nan=isinstance(value, float)) for key, value in expected.items())
    rows = tables["mapping"]
    assert {row["panel"] for row in rows} == {"(a) clocked, v(0) = 0", "(b) clocked, v(0) = θ/2", "(c) inhibitory_first, v(0) = θ/2"}
    layer = max(found.layers, key=lambda row: row["fired more"])["layer"]
    for row in rows:
        shift = 0 if row["panel"].startswith("(a)") else 0.5
        assert row["layer"] == layer and abs(row["ideal"] - max(0, row["charge"] - 0.5 + shift)) <= 0.75
        assert row["fired"] >= row["ideal"] or "clocked" in row["panel"]
    assert "no neuron.png" in capsys.readouterr().out, "inhibition never comes late"
    tables = run("asynchronism", tmp_path, "--limit", "1", "--steps", "4", "--neuron", "snm", "--order", "fifo")
    assert matplotlib.image.imread(tmp_path / "neuron.png")[..., :3].std() > 0.05


def test_one_neurons_arrivals_in_other_orders_and_models():
    """DNISNM Fig. 3 and 6: 1, 2, 2, -1, -1, -1 in that order are 5 spikes, which SNM takes back to 2; inhibition in time, 2."""
    seen, study = observe(examples.at_once("fifo")[2], "target", 0), script("asynchronism")
    one, charges = seen.simulation.arithmetic.one.item(), seen.arrivals["charge"][seen.arrivals["source"] >= 0].tolist()
    for model, order, counts in ((IF, charges, 5), (SNM, charges, 2), (IF, sorted(charges), 2)):
        heights, spikes = study.answers(model(one), seen.layer, 0, order)
        assert spikes[-1] == counts and heights[-1] == sum(order) - one * spikes[-2]


@pytest.mark.parametrize("without", [False, True])
def test_the_neuron_shown_fired_most_too_often(without):
    """Neuron 0 fires in time, 1 has no late inhibition; 3 goes before 2, which has less charge, and 4 before 3 by its pairs."""
    fields = {f.name: np.zeros((2, 6), np.int64) for f in dataclasses.fields(asynchronism.Neurons)}
    fields |= {"late": np.array([[-1, 0, -1, -1, -1, 0]] * 2), "fired": np.array([[0, 9, 5, 6, 6, 0], [0, 0, 4, 4, 4, 0]])}
    fields |= {"ideal": np.array([[0, 0, 1, 2, 2, 0]] * 2), "pairs_in_run": np.array([[0, 0, 1, 5, 3, 0]] * 2)}
    fields["fewest"] = fields["ideal"] if not without else None
    neurons = asynchronism.Neurons(**fields)
    assert script("asynchronism").worst(neurons) == (0, 4)
    assert script("asynchronism").worst(dataclasses.replace(neurons, late=0 * neurons.late)) is None


def test_arrival_order(tmp_path, capsys):
    tables = run("arrival_order", tmp_path, "--limit", "2", "--steps", "2", "--neurons", "snm", "--windows", "0", "--window-limit", "1",
                 "--case-limit", "2")
    rows, study = tables["cases"], script("arrival_order")
    orders = {(row["neuron"], row["order"]) for row in rows}
    assert orders == {(row["neuron"], row["order"]) for row in tables["arrival_order"] if row["spikes"] < np.inf}
    network, images = eventsnn.convert(load("sample")), eventsnn.load_images("sample", limit=2)
    expected = errors.cases(network, images, steps=2, engine="event", order="random", neuron="snm", refractory=1.0).layers
    mine = [row for row in rows if (row["neuron"], row["order"]) == ("snm", "random, 1 spike a step")]
    for row, its in zip(mine, expected, strict=True):
        assert row["layer"] == its["layer"] and row["error I"] == its["I"] == pytest.approx(sum(row[f"case {k}"] for k in errors.CASES))
        assert all(row[f"case {k}"] == its[f"I case {k}"] for k in errors.CASES)
    mean = next(row for row in study.in_all(rows) if (row["neuron"], row["order"]) == ("snm", "random, 1 spike a step"))
    assert mean["case 1"] == pytest.approx(sum(row["case 1"] * row["neurons"] for row in mine) / sum(row["neurons"] for row in mine))
    assert (tmp_path / "cases.svg").exists() and "error I" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "options"), [
    ("certified_accuracy", ["--neurons", "if-hard"]), ("layer_surgery", ["--neuron", "st-bif"]),
    ("asynchronism", ["--layers", "act2,act9"]), ("asynchronism", ["--order", "x"]), ("arrival_order", ["--neurons", "y"]),
    ("error_cases", ["--steps", "0"]), ("srp_tau", ["--taus", "x"]), ("energy", ["--neurons", "y"])])
def test_what_is_wrong_is_said_in_one_line(name, options, tmp_path, capsys):
    assert script(name).main([*options, "--limit", "2", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("counts", ["ideal", "ann"])
def test_layer_surgery(counts, tmp_path, capsys):
    tables = run("layer_surgery", tmp_path, "--limit", "10", "--steps", "3", "--counts", counts, "--neuron", "snm")
    network, images = eventsnn.convert(load("sample")), eventsnn.load_images("sample", limit=10)
    rows, (snn, ann) = tables["layer_surgery"], tables["whole"]
    names = [layer.name for layer in network.spiking]
    assert [row["layer"] for row in rows] == names
    assert snn["hits"] == 10 * network.run(images, steps=3, neuron="snm").accuracy() and ann["square"] == 0 < snn["square"]
    assert sum(row["counts cost"] + row["timing cost"] for row in rows) == rows[-1]["times hits"] - snn["hits"]
    for some, row, key in ((names[:4], rows[3], "times hits"), ([names[2]], rows[2], "alone times hits")):
        replaced = surgery.replace_layers(network, images, some, counts=counts, times="even", steps=3, neuron="snm")
        assert row[key] == 10 * replaced.accuracy()
    assert rows[0]["wrong"] == 0 < rows[1]["wrong"], "the first layer's counts are right"
    out = capsys.readouterr().out
    assert "study of eventsnn's own" in out and f"{counts} counts" in out and all(name in out for name in names)
