"""The scripts in analysis/ that remake the papers' figures: they run on the bundled network, and their tables hold together."""
import csv
import importlib.util
from pathlib import Path

import matplotlib.image
import pytest

import eventsnn
from eventsnn import load, surgery

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


@pytest.mark.parametrize(("name", "options"), [
    ("certified_accuracy", ["--neurons", "if-hard"]), ("layer_surgery", ["--neuron", "st-bif"]),
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
