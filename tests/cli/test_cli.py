"""The command line end to end: real runs, runs that stop and go on, and everything a user can get
wrong.
"""

import csv
import io
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numba.core.event
import numpy as np
import pytest
from matplotlib import image
from support.networks import Builder, small_graph

import eventsnn
from eventsnn import statistics
from eventsnn.ann import forward as ann
from eventsnn.network import check, thresholds
from eventsnn.network import convert as conversion
from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.runs import folder as record
from eventsnn.runs import pipeline
from eventsnn.runs.folder import FILES, Folder
from eventsnn.runs.say import Say
from eventsnn.views import plots, progress

ROOT = Path(eventsnn.__file__).parents[1]


# --- a small network, images, and helpers ----------------------------------------------------


def pooled_sum():
    """MaxPool over a sum of two layers, which has no exact spiking form."""
    b = Builder(np.random.default_rng(1), (2, 6, 6))
    one, other = (b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS") for _ in range(2))
    x = b.add("MaxPool", [b.add("Add", [one, other])], {"kernel_shape": [2, 2], "strides": [2, 2]})
    return b.graph(b.gemm(b.add("Flatten", [x])))


def pixels_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (count, 2, 6, 6)).astype(np.uint8)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with networks and images."""
    folder = tmp_path_factory.mktemp("files")
    graphs = {
        "net": small_graph(),
        "relu": small_graph("Relu"),
        "max": small_graph("QCFS", "MaxPool"),
        "sum": pooled_sum(),
    }
    for name, graph in graphs.items():
        write_native(graph, folder / f"{name}.h5")
    labels = np.random.default_rng(9).integers(0, 4, 60)
    train = {"x_train": pixels_of(40, 1), "y_train": labels[:40]}
    np.savez(folder / "data.npz", x_test=pixels_of(30), y_test=labels[:30], **train)
    np.savez(folder / "unlabelled.npz", x_test=pixels_of(9), x_train=pixels_of(40, 1))
    np.savez(folder / "test_only.npz", x_test=pixels_of(9), y_test=labels[:9])
    np.savez(folder / "no_splits.npz", images=pixels_of(9), labels=labels[:9])
    np.savez(
        folder / "wide.npz", x_test=np.zeros((3, 2, 6, 7), np.uint8), y_test=labels[:3], **train
    )
    np.savez(folder / "fifth_class.npz", x_test=pixels_of(3), y_test=[0, 4, 1], **train)
    np.savez(folder / "nan.npz", x_test=np.full((2, 2, 6, 6), np.nan, np.float32), y_test=[0, 1])
    np.savez(
        folder / "wide_train.npz", x_test=pixels_of(3), x_train=np.zeros((40, 2, 6, 7), np.uint8)
    )
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes most of a small run's time."""
    monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"picture"))


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def succeeds(capsys, *arguments):
    """Run; returns what stood on standard output."""
    capsys.readouterr()
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return out


def assert_one_line(err, words):
    """One line that says where, what was expected, what was found and what to do."""
    assert err.count("\n") == 1 and err.endswith("\n") and err.startswith("eventsnn: error: "), err
    assert ": expected " in err and ", found " in err and "; " in err and len(err) < 700, err
    assert all(word in err for word in words), err


def fails(capsys, here, arguments, *words):
    """Run on wrong input: status 2, one line, nothing left behind, whether with words or as
    JSON.
    """
    for extra in [], ["--json"]:
        before = listing(here)
        capsys.readouterr()
        status = main([*map(str, arguments), *extra])
        out, err = capsys.readouterr()
        assert status == 2
        assert_one_line(err, words)
        assert "results in" not in out and (out == "" or not extra)
        assert listing(here) == before


def contents(path):
    """Every dataset of run.h5: name -> (array, attributes)."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: (item[()], dict(item.attrs))})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


def assert_same_results(a, b):
    """Equal in every dataset, table and picture, and in the summary but for seconds, threads and
    batch.
    """
    one, two = contents(a / "run.h5"), contents(b / "run.h5")
    assert one.keys() == two.keys()
    for name in one:
        assert np.array_equal(one[name][0], two[name][0]) and one[name][1] == two[name][1], name
    for name in set(FILES) - {"summary.json", "run.h5"}:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    one, two = (json.loads((folder / "summary.json").read_text()) for folder in (a, b))
    assert one.keys() == two.keys()
    assert {k for k in one if one[k] != two[k]} <= {"seconds_simulation", "running"}


def strict(text):
    """JSON without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} in JSON")

    return json.loads(text, parse_constant=refuse)


def environment():
    """This process's, with the package to be found, and with standard output buffered as it is by
    default.
    """
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**usual, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def command(*arguments, code=None, cwd=None, **options):
    """A real process: python -m eventsnn.run, or code that calls it."""
    start = ["-c", code] if code else ["-m", "eventsnn.run"]
    return subprocess.Popen(
        [sys.executable, *start, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


# --- runs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """(results folder, what was printed) of the bundled network on 20 bundled images."""
    folder, printed = tmp_path_factory.mktemp("bundled"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "stdout", printed)
        assert main(["--limit", "20", "--steps", "8"]) == 0
    (out,) = (folder / "runs").iterdir()
    assert listing(folder) == [
        "runs",
        f"runs/{out.name}",
        *(f"runs/{out.name}/{name}" for name in sorted(FILES)),
    ]
    return out, printed.getvalue()


def test_the_bundled_run_leaves_a_whole_summary(bundled):
    out, _ = bundled
    summary = strict((out / "summary.json").read_text())
    assert summary["images"] == 20 and summary["layers"] == 6 and summary["neurons"] == 31424
    assert (
        list(summary["snn_accuracy"]) == list(summary["agreement_with_ann"]) == ["1", "2", "4", "8"]
    )
    assert 0.8 <= summary["ann_accuracy"] <= 1 and 0.8 <= summary["snn_accuracy"]["8"] <= 1
    assert (
        0 < summary["spikes_per_image"] < 31424 * 8
        and summary["synaptic_operations_per_image"] > summary["spikes_per_image"]
    )
    assert 0 < summary["seconds_simulation"] < 600
    assert summary["arithmetic"] == "fixed" and 20 <= summary["fraction_bits"] <= 31
    assert summary["settings"]["steps"] == 8 and summary["settings"]["limit"] == 20
    assert (
        summary["data"]["first"] == 0
        and summary["data"]["last"] == 19
        and summary["data"]["split"] == "test"
    )
    assert (
        summary["network"]["sha256"]
        == eventsnn.load(ROOT / "eventsnn" / "sample" / "network.h5").hash
    )
    assert {"eventsnn", "numpy", "numba", "python"} <= summary["versions"].keys()
    assert {
        "neuron",
        "initial_potential",
        "order_of_summation",
        "drive",
        "fraction_bits",
    } <= summary["semantics"].keys()
    assert out.name == f"sample-{summary['id']}"
    assert {k for k in summary["meaning"]} - {"equilibrium", "stage_one"} <= summary.keys()
    assert summary["cost_per_image"].keys() == summary["cost_meaning"].keys()


def test_the_tables_are_the_summary(bundled):
    out, printed = bundled
    summary = json.loads((out / "summary.json").read_text())
    with open(out / "accuracy.csv", newline="") as file:
        accuracy = list(csv.DictReader(file))
    with open(out / "layers.csv", newline="") as file:
        layers = list(csv.DictReader(file))
    assert {row["T"]: float(row["accuracy"]) for row in accuracy} == summary["snn_accuracy"]
    assert {row["T"]: float(row["agreement_with_ann"]) for row in accuracy} == summary[
        "agreement_with_ann"
    ]
    assert all(
        float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"])
        for row in accuracy
    )
    images = eventsnn.load_images("sample", limit=20)
    outputs = ann.predict(eventsnn.load("sample"), images.pixels)
    of_ann = outputs.argmax(axis=1) == images.labels
    result = eventsnn.convert(eventsnn.load("sample")).run(images, steps=8)
    for row in accuracy:
        right = result.predictions(int(row["T"])) == images.labels
        counts = int(np.sum(right & ~of_ann)), int(np.sum(of_ann & ~right))
        assert (int(row["only_snn_right"]), int(row["only_ann_right"])) == counts
        assert float(row["p"]) == statistics.mcnemar(*counts) <= float(row["p_holm"])
        assert f"{counts[0]} : {counts[1]}, p = " in printed
    assert len(layers) == summary["layers"] + 1 and layers[-1]["layer"] == "readout"
    assert sum(int(row["neurons"]) for row in layers[:-1]) == summary["neurons"]
    for key in ("spikes_per_image", "synaptic_operations_per_image", "ties_per_image"):
        assert sum(float(row[key]) for row in layers) == pytest.approx(summary[key], rel=1e-12)
        assert key.startswith("ties") or float(accuracy[-1][key]) == pytest.approx(
            summary[key], rel=1e-12
        )
    for row in layers:
        assert float(row["rate"]) == pytest.approx(
            float(row["spikes_per_image"]) / int(row["neurons"]) / 8
        )
    lines = printed.split("\n")
    for row in layers:
        assert (
            sum(
                line.startswith(f"{row['layer']} ") and f" {row['shape']} " in line
                for line in lines
            )
            == 1
        )
    for t, value in summary["snn_accuracy"].items():
        assert sum(line.split()[:2] == [t, f"{value:.2%}"] for line in lines) == 1
    assert "results in runs/" in printed and f"ANN {summary['ann_accuracy']:.2%}" in printed
    assert max(map(len, lines)) <= 160


def test_run_h5_holds_the_run(bundled):
    out, _ = bundled
    summary, found = json.loads((out / "summary.json").read_text()), contents(out / "run.h5")
    shapes = {name: np.shape(value) for name, (value, _) in found.items()}
    assert shapes == {
        "images/index": (20,),
        "images/label": (20,),
        "images/ann_output": (20, 10),
        "layers/name": (7,),
        "layers/activation": (7,),
        "layers/theta": (7,),
        "layers/shape": (7, 3),
        "readout": (20, 8, 10),
        "spikes_per_image": (20, 7),
        "operations_per_image": (20, 7),
        "spikes": (7, 8),
        "operations": (7, 8),
        "ties": (7,),
        "t_eq": (20,),
        "digests": (20, 7, 8),
        "provenance": (),
    }
    assert all(attrs["unit"] and attrs["description"] for _, attrs in found.values())
    assert all(
        attrs["description"].startswith("[")
        for name, (_, attrs) in found.items()
        if name != "provenance"
    )
    values = {name: value for name, (value, _) in found.items()}
    labels = values["images/label"]
    for t, accuracy in summary["snn_accuracy"].items():
        assert np.mean(values["readout"][:, int(t) - 1].argmax(1) == labels) == accuracy
    assert np.mean(values["images/ann_output"].argmax(1) == labels) == summary["ann_accuracy"]
    assert values["images/index"].tolist() == list(range(20))
    for name, key in (
        ("spikes", "spikes_per_image"),
        ("operations", "synaptic_operations_per_image"),
        ("ties", "ties_per_image"),
    ):
        assert values[name].sum() / 20 == summary[key]
    assert np.array_equal(values["spikes"].sum(1), values["spikes_per_image"].sum(0))
    assert np.array_equal(values["operations"].sum(1), values["operations_per_image"].sum(0))
    provenance = strict(values["provenance"])
    assert {k: summary[k] for k in provenance} == provenance
    assert {"settings", "semantics", "network", "data", "versions", "id"} <= provenance.keys()
    with h5py.File(out / "run.h5") as file:
        assert (file.attrs["format"], file.attrs["version"], file.attrs["id"]) == (
            "eventsnn.run",
            1,
            summary["id"],
        )


def test_the_pictures_are_pictures(bundled):
    out, _ = bundled
    blue = np.array([0, 0x72, 0xB2]) / 255
    for name in ("accuracy.png", "rates.png"):
        pixels = image.imread(out / name)[..., :3]
        assert pixels.shape[0] > 300 and pixels.shape[1] == round(plots.WIDTH * plots.DPI)
        share = np.mean(np.abs(pixels - blue).max(2) < 0.02)
        assert 0.001 < share < 0.6 and np.mean(pixels.min(2) > 0.99) > 0.3


def test_the_command_line_is_the_python_interface(bundled):
    out, _ = bundled
    images = eventsnn.load_images("sample", limit=20)
    result = eventsnn.convert(eventsnn.load(ROOT / "eventsnn" / "sample" / "network.h5")).run(
        images, steps=8
    )
    with h5py.File(out / "run.h5") as file:
        assert np.array_equal(file["readout"][()], result.batch.readout)
        assert np.array_equal(file["spikes"][()], result.spikes.sum(0))
    summary = json.loads((out / "summary.json").read_text())
    assert {str(row["T"]): row["accuracy"] for row in result.table()} == summary["snn_accuracy"]


def test_settings_reach_the_simulation(capsys, here, files, no_pictures):
    graph = eventsnn.load(files / "net.h5")
    images = eventsnn.load_images(files / "data.npz", split="train", limit=6)
    seen = set()
    for options, settings in (
        ({}, {}),
        ({"--initial": 0.1}, {"initial": 0.1}),
        ({"--fraction-bits": 8}, {"fraction_bits": 8}),
    ):
        succeeds(
            capsys,
            "--net",
            files / "net.h5",
            "--data",
            files / "data.npz",
            "--split",
            "train",
            "--limit",
            6,
            "--steps",
            7,
            "--out",
            "a",
            "--overwrite",
            *(part for option in options.items() for part in option),
        )
        found = contents(here / "a" / "run.h5")["readout"][0]
        assert np.array_equal(
            found, eventsnn.convert(graph).run(images, steps=7, **settings).batch.readout
        )
        seen.add(found.tobytes())
    assert len(seen) == 3


def test_json_is_all_there_is_on_standard_output(capsys, here, files, no_pictures):
    for extra in [], ["--quiet"]:
        out = succeeds(
            capsys,
            "--net",
            files / "net.h5",
            "--data",
            files / "data.npz",
            "--limit",
            4,
            "--out",
            "a",
            "--json",
            *extra,
        )
        assert strict(out) == json.loads((here / "a" / "summary.json").read_text())
    assert (
        succeeds(
            capsys,
            "--net",
            files / "net.h5",
            "--data",
            files / "data.npz",
            "--limit",
            4,
            "--out",
            "a",
            "--quiet",
        )
        == ""
    )


@pytest.mark.parametrize("arithmetic", ["fixed", "float64"])
def test_workers_and_batches_change_no_result(capsys, here, files, arithmetic):
    for workers, batch in (1, 1), (2, 7), (2, 1), (1, 16):
        succeeds(
            capsys,
            "--net",
            files / "relu.h5",
            "--data",
            files / "data.npz",
            "--steps",
            5,
            "--arithmetic",
            arithmetic,
            "--workers",
            workers,
            "--batch",
            batch,
            "--out",
            f"{workers}-{batch}",
        )
    for other in ("2-7", "2-1", "1-16"):
        assert_same_results(here / "1-1", here / other)


def test_floating_point_has_no_fraction_bits_and_no_infinity(capsys, here, files, no_pictures):
    succeeds(
        capsys,
        "--net",
        files / "net.h5",
        "--data",
        files / "data.npz",
        "--arithmetic",
        "float64",
        "--out",
        "a",
    )
    summary = strict((here / "a" / "summary.json").read_text())
    assert summary["arithmetic"] == "float64" and summary["fraction_bits"] is None
    with h5py.File(here / "a" / "run.h5") as file:
        assert (
            file["readout"].dtype == "float64"
            and strict(file["provenance"][()])["semantics"]["bound_in_q"] is None
        )


def test_unlabelled_images_have_no_accuracy(capsys, here, files):
    out = succeeds(
        capsys,
        "--net",
        files / "net.h5",
        "--data",
        files / "unlabelled.npz",
        "--steps",
        4,
        "--out",
        "a",
    )
    summary = strict((here / "a" / "summary.json").read_text())
    assert summary["ann_accuracy"] is None and summary["snn_accuracy"] == {
        "1": None,
        "2": None,
        "4": None,
    }
    assert all(0 <= share <= 1 for share in summary["agreement_with_ann"].values())
    assert "no labels" in out and "as the ANN" in out and "interval" not in out
    assert (
        "images/label" not in contents(here / "a" / "run.h5")
        and image.imread(here / "a" / "accuracy.png")[..., :3].std() > 0.01
    )


def test_steps_to_report_are_sorted_and_said_once(capsys, here, files, no_pictures):
    succeeds(
        capsys,
        "--net",
        files / "net.h5",
        "--data",
        files / "data.npz",
        "--steps",
        9,
        "--report-steps",
        "9,3,3,1",
        "--out",
        "a",
    )
    assert list(json.loads((here / "a" / "summary.json").read_text())["snn_accuracy"]) == [
        "1",
        "3",
        "9",
    ]
    succeeds(
        capsys, "--net", files / "net.h5", "--data", files / "data.npz", "--steps", 9, "--out", "b"
    )
    assert list(json.loads((here / "b" / "summary.json").read_text())["snn_accuracy"]) == [
        "1",
        "2",
        "4",
        "8",
        "9",
    ]


def test_a_limit_above_the_number_of_images_is_noted(capsys, here, files, no_pictures):
    out = succeeds(
        capsys, "--net", files / "net.h5", "--data", files / "data.npz", "--limit", 31, "--steps", 1
    )
    assert "--limit asks for 31 images, there are 30" in out


@pytest.mark.parametrize("rule", ["max", "percentile", "qcfs"])
def test_threshold_rules(capsys, here, files, no_pictures, rule):
    out = succeeds(
        capsys,
        "--net",
        files / "net.h5",
        "--data",
        files / "data.npz",
        "--thresholds",
        rule,
        *(("--percentile", 90) if rule == "percentile" else ()),
        "--calibration",
        "train:3-20",
        "--out",
        "a",
    )
    with h5py.File(here / "a" / "run.h5") as file:
        found = file["layers/theta"][:-1]
    graph = eventsnn.load(files / "net.h5")
    calibration = eventsnn.load_images(files / "data.npz", split="train", offset=3, limit=18).pixels
    expected = thresholds.choose_thresholds(graph, rule, 90.0, calibration)
    assert found.tolist() == [expected[node.name] for node in graph.activations]
    assert (
        "train:3-20" in [line for line in out.split("\n") if line.startswith("conversion")][0]
    ) is (rule != "qcfs")


def test_max_pooling_is_replaced_on_request_only(capsys, here, files, no_pictures):
    out = succeeds(
        capsys,
        "--net",
        files / "max.h5",
        "--data",
        files / "data.npz",
        "--max-pooling",
        "average",
        "--out",
        "a",
    )
    summary = json.loads((here / "a" / "summary.json").read_text())
    assert "note: 1 MaxPool replaced" in out and "another function" in summary["notes"][0]
    assert summary["network"]["sha256"] == eventsnn.load(files / "max.h5").hash
    graph, images = eventsnn.load(files / "max.h5"), eventsnn.load_images(files / "data.npz")
    found = contents(here / "a" / "run.h5")["images/ann_output"][0]
    assert np.array_equal(found, ann.predict(graph, images.pixels)), "the ANN as loaded"
    assert not np.allclose(found, ann.predict(conversion.average_for_max(graph)[0], images.pixels))
    assert summary["ann_accuracy"] == np.mean(found.argmax(1) == images.labels)
    changed = ann.predict(conversion.average_for_max(graph)[0], images.pixels)
    assert summary["changed_ann_accuracy"] == np.mean(changed.argmax(1) == images.labels)
    last = str(max(map(int, summary["snn_accuracy"])))
    readout = contents(here / "a" / "run.h5")["readout"][0][:, -1]
    for key, outputs in ("agreement_with_ann", found), ("agreement_with_changed_ann", changed):
        assert summary[key][last] == np.mean(readout.argmax(1) == outputs.argmax(1))
    assert summary["readout_mse_changed_ann"][last] < summary["readout_mse"][last]
    assert "as the ANN as loaded" in out and "as the changed ANN" in out
    assert "converted and changed ANN differ" in out and "; changed ANN " in out


def test_files_for_other_programs(capsys, here, files, no_pictures):
    arguments = [
        "--net",
        files / "net.h5",
        "--data",
        files / "data.npz",
        "--limit",
        3,
        "--steps",
        2,
        "--out",
        "a",
    ]
    out = succeeds(
        capsys,
        *arguments,
        "--engine",
        "event",
        "--trace",
        "spikes",
        "--trace-images",
        2,
        "--export",
        "nir,sonata,gdf",
        "--nir-for",
        "spikingjelly",
    )
    others = ["network.nir", "spikes-0.gdf", "spikes-0.h5", "spikes-1.gdf", "spikes-1.h5"]
    assert listing(here / "a") == sorted([*FILES, *others, "trace-0.h5", "trace-1.h5"])
    assert (
        "note: spikingjelly resets to 0, this run by subtraction" in out
        and "note: v(0) is not in a NIR graph" in out
        and "⟦" not in out
    )
    with h5py.File(here / "a" / "network.nir") as file:
        assert (
            file["node/metadata/written_for"].asstr()[()] == "spikingjelly"
            and file["node/metadata/steps"][()] == 2
        )
    for i in range(2):
        with (
            h5py.File(here / "a" / f"trace-{i}.h5") as trace,
            h5py.File(here / "a" / f"spikes-{i}.h5") as sonata,
        ):
            count = sum(len(group["node_ids"]) for group in trace["spikes"].values())
            assert count and count == sum(
                len(group["node_ids"]) for group in sonata["spikes"].values()
            )
        assert (here / "a" / f"spikes-{i}.gdf").read_text().count("\n") == count
    succeeds(capsys, *arguments, "--export", "nir", "--overwrite")  # in place of earlier results
    assert listing(here / "a") == sorted([*FILES, "network.nir"])


def test_what_nir_cannot_say_is_refused_before_the_run(capsys, here, files):
    net = ["--data", files / "data.npz", "--export", "nir", "--net"]
    fails(
        capsys,
        here,
        [*net, files / "net.h5", "--neuron", "snm"],
        "NIR",
        "integrate-and-fire",
        "--neuron if",
    )
    fails(capsys, here, [*net, files / "max.h5"], "NIR", "no max pooling", "--max-pooling average")
    fails(
        capsys, here, [*net, files / "net.h5", "--encoding", "even"], "NIR", "--encoding constant"
    )


def test_a_softmax_at_the_end_changes_no_spike(capsys, here, files, no_pictures):
    write_native(small_graph(softmax=True), here / "softmax.h5")
    for name, net in ("a", files / "net.h5"), ("b", here / "softmax.h5"):
        succeeds(capsys, "--net", net, "--data", files / "data.npz", "--limit", 4, "--out", name)
    assert np.array_equal(
        contents(here / "a" / "run.h5")["readout"][0], contents(here / "b" / "run.h5")["readout"][0]
    )


def test_runs_that_differ_have_folders_of_their_own(capsys, here, files, no_pictures):
    common = "--net", files / "net.h5", "--data", files / "data.npz", "--steps", 3
    for extra in [], ["--limit", 5], ["--initial", 0], ["--workers", 1], ["--split", "train"]:
        succeeds(capsys, *common, *extra)
    assert len(list((here / "runs").iterdir())) == 4, "all but --workers make another run"
    copy = here / "elsewhere.npz"
    copy.write_bytes((files / "data.npz").read_bytes())
    succeeds(capsys, *common[:2], "--data", copy, "--steps", 3)
    assert len(list((here / "runs").iterdir())) == 4, "the images count, not where they are"


# --- runs that stop and go on ----------------------------------------------------------------

SLOW = ("--steps", 4, "--batch", 4, "--workers", 1)
# a process that runs the command line and dies at its third batch; {death} is Python
DIES = """
import os, signal, sys
from eventsnn import console, run
from eventsnn.runs import folder as record
# background jobs inherit that it is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
add, count = record.Folder.add, []
def die(folder, *batch):
    add(folder, *batch)
    count.append(1)
    if len(count) == 3:
        {death}
record.Folder.add = die
sys.exit(console.command(run.main))
"""


def arguments_of(files, out):
    return "--net", files / "net.h5", "--data", files / "data.npz", *SLOW, "--out", out


def test_a_killed_run_goes_on_to_the_same_results(capsys, here, files):
    succeeds(capsys, *arguments_of(files, "whole"))
    process = command(
        *arguments_of(files, "killed"),
        code=DIES.format(death="os.kill(os.getpid(), signal.SIGKILL)"),
        cwd=here,
    )
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    parts = [name for name in os.listdir(here / "killed.partial") if name.startswith("part-")]
    assert sorted(parts) == ["part-0-4.npz", "part-4-8.npz", "part-8-12.npz"]
    assert not (here / "killed").exists()
    out = succeeds(capsys, *arguments_of(files, "killed"), "--batch", 7)
    assert "going on with an earlier run: 12 of 30 images are there" in out
    assert_same_results(here / "whole", here / "killed")
    assert sorted(os.listdir(here)) == ["killed", "whole"]


def test_images_keep_their_numbers_when_a_run_goes_on(
    capsys, here, files, no_pictures, monkeypatch
):
    """Whatever is random depends on an image's number, so the number must not depend on where a run
    was stopped.
    """
    command(
        *arguments_of(files, "a"), code=DIES.format(death="os._exit(1)"), cwd=here
    ).communicate()
    (here / "a.partial" / "part-4-8.npz").unlink()
    stream, given = pipeline.Simulation.stream, []

    def spy(simulation, pixels, *, numbers, **options):
        given.append((numbers.tolist(), pixels.copy()))
        return stream(simulation, pixels, numbers=numbers, **options)

    monkeypatch.setattr(pipeline.Simulation, "stream", spy)
    assert "8 of 30" in succeeds(capsys, *arguments_of(files, "a"))
    assert [numbers for numbers, _ in given] == [[4, 5, 6, 7], list(range(12, 30))]
    assert all(np.array_equal(pixels, pixels_of(30)[numbers]) for numbers, pixels in given)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_control_c_is_one_line_and_the_run_goes_on(capsys, here, files, no_pictures):
    busy = (
        "from concurrent.futures import ThreadPoolExecutor; "
        "ThreadPoolExecutor().submit(__import__('time').sleep, 10_000); "
    )
    process = command(
        *arguments_of(files, "a"),
        code=DIES.format(death=busy + "os.kill(os.getpid(), signal.SIGINT)"),
        cwd=here,
    )
    out, err = process.communicate(timeout=600)  # threads at work are not waited for
    assert (
        process.returncode == 130
        and err == "eventsnn: stopped; the same command goes on from the last whole batch\n"
    )
    assert "12 of 30" in succeeds(capsys, *arguments_of(files, "a"))


def test_control_c_before_the_first_batch_leaves_nothing(capsys, here, files, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.ann, "outputs_and_logits", stop)
    assert main([str(a) for a in arguments_of(files, "new/a")]) == 130
    assert capsys.readouterr().err.count("\n") == 1 and listing(here) == []


def test_seconds_are_those_of_all_sessions(capsys, here, files, no_pictures, monkeypatch):
    add = Folder.add

    def slow(folder, start, batch, seconds):
        add(folder, start, batch, 100.0)
        if start == 8 and "first" in os.environ:
            raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "add", slow)
    monkeypatch.setenv("first", "1")
    assert main([str(a) for a in arguments_of(files, "a")]) == 130
    monkeypatch.delenv("first")
    succeeds(capsys, *arguments_of(files, "a"))
    assert json.loads((here / "a" / "summary.json").read_text())["seconds_simulation"] == 800.0, (
        "8 batches of 4 or less"
    )


@pytest.fixture
def clock(monkeypatch):
    """The pipeline's clock, which stands still: the seconds that it shows, [now]."""
    now = [0.0]
    for module in (pipeline, progress):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return now


def test_seconds_are_those_of_the_simulation(capsys, here, files, no_pictures, monkeypatch, clock):
    run = pipeline.Simulation.run

    def slow(simulation, pixels, **options):
        clock[0] += 0.5
        return run(simulation, pixels, **options)

    monkeypatch.setattr(pipeline.Simulation, "run", slow)
    succeeds(capsys, *arguments_of(files, "a"))
    summary = json.loads((here / "a" / "summary.json").read_text())
    assert summary["seconds_simulation"] == 8 * 0.5, "8 batches"


def test_compiling_is_said_and_does_not_count(capsys, here, files, no_pictures, monkeypatch, clock):
    run = pipeline.Simulation.run

    def compiling(simulation, pixels, **options):
        with (
            numba.core.event.trigger_event("numba:compile"),
            numba.core.event.trigger_event("numba:compile"),
        ):
            clock[0] += 4.0
        clock[0] += 0.5
        return run(simulation, pixels, **options)

    succeeds(capsys, *arguments_of(files, "a"))  # so that nothing else is compiled
    monkeypatch.setattr(pipeline.Simulation, "run", compiling)
    out = succeeds(capsys, *arguments_of(files, "a"), "--overwrite")
    summary = json.loads((here / "a" / "summary.json").read_text())
    assert summary["seconds_simulation"] == 8 * 0.5, "8 batches"
    assert out.count("compiling") == 1


def test_batches_of_another_version_are_not_taken_over(
    capsys, here, files, no_pictures, monkeypatch
):
    process = command(*arguments_of(files, "a"), code=DIES.format(death="os._exit(1)"), cwd=here)
    process.communicate()
    monkeypatch.setattr(pipeline, "hash_of_sources", lambda: "other")
    assert main([str(a) for a in arguments_of(files, "a")]) == 2
    assert_one_line(capsys.readouterr().err, ["12 of 30 images", "another state of eventsnn"])
    assert "going on" not in succeeds(capsys, *arguments_of(files, "a"), "--overwrite")


def test_earlier_results_stay_until_the_new_ones_are_complete(
    capsys, here, files, no_pictures, monkeypatch
):
    succeeds(capsys, *arguments_of(files, "a"))
    before = (here / "a" / "summary.json").read_text()
    with monkeypatch.context() as patch:

        def fail(*_):
            raise OSError(28, "No space left on device")

        patch.setattr(eventsnn.views.tables, "write_csv", fail)
        arguments = (*arguments_of(files, "a"), "--initial", 0, "--overwrite")
        assert main([str(a) for a in arguments]) == 2
    assert_one_line(capsys.readouterr().err, ["No space left on device", "make room", "a.partial"])
    assert (here / "a" / "summary.json").read_text() == before and sorted(
        os.listdir(here / "a")
    ) == sorted(FILES)
    assert not (here / "a.partial" / "results").exists(), (
        "whole batches are kept, half-written results are not"
    )
    assert "30 of 30 images are there" in succeeds(capsys, *arguments)
    assert json.loads((here / "a" / "summary.json").read_text())["settings"]["initial"] == 0


def test_two_runs_at_once_do_not_disturb_each_other(capsys, here, files):
    succeeds(capsys, *arguments_of(files, "alone"))
    processes = [command(*arguments_of(files, "both"), "--quiet", cwd=here) for _ in range(2)]
    ends = [(process.communicate()[1], process.returncode) for process in processes]
    assert {status for _, status in ends} <= {0, 2} and 0 in {status for _, status in ends}
    for err, status in ends:
        if status:
            assert_one_line(err, ["--out both", "process", "at work", "choose another --out"])
        else:
            assert err == ""
    assert_same_results(here / "alone", here / "both")
    assert sorted(os.listdir(here)) == ["alone", "both"]


@pytest.mark.skipif(record.fcntl is None, reason="no locks on this system")
def test_a_run_at_work_keeps_others_out(capsys, here, files):
    with Folder(here / "a") as folder:
        folder.open({})
        fails(capsys, here, arguments_of(files, "a"), "--out a", "process", "at work")


# --- wrong networks --------------------------------------------------------------------------


def edit_graph(change):
    """Change the graph's JSON."""

    def edit(file):
        graph = json.loads(file["graph"][()])
        change(graph)
        del file["graph"]
        file["graph"] = json.dumps(graph)

    return edit


def edit_node(number, **changes):
    return edit_graph(lambda graph: graph["nodes"][number].update(changes))


def edit_attrs(number, **changes):
    return edit_graph(lambda graph: graph["nodes"][number]["attrs"].update(changes))


def set_value(path, value):
    def edit(file):
        file["params"][path][...] = np.asarray(value, np.float32)

    return edit


def set_first(path, value):
    def edit(file):
        array = file["params"][path][()]
        array.reshape(-1)[0] = value
        file["params"][path][...] = array

    return edit


def replace_by(path, array):
    def edit(file):
        del file["params"][path]
        file["params"][path] = np.asarray(array, np.float32)

    return edit


def set_attr(name, value):
    def edit(file):
        file.attrs[name] = value

    return edit


def delete(path):
    def edit(file):
        del file[path]

    return edit


# the nodes of small_graph: 0 Conv, 1 BatchNormalization, 2 QCFS, 3 Conv, 4 QCFS, 5 Flatten, 6 Gemm
NETWORKS = {
    "another format": (set_attr("format", "keras"), ["format", "eventsnn.ann"]),
    "no format": (lambda file: file.attrs.__delitem__("format"), ["format"]),
    "another version": (set_attr("version", 2), ["version 1", "version 2"]),
    "no graph": (delete("graph"), ["/graph", "JSON"]),
    "a graph that is no JSON": (
        lambda file: file["graph"].__setitem__((), "{nodes"),
        ["/graph", "valid JSON"],
    ),
    "no nodes": (edit_graph(lambda graph: graph.update(nodes=[])), ["at least one node", "empty"]),
    "a cycle": (edit_node(0, inputs=["qcfs4"]), ["conv0", "cycle", "feed-forward"]),
    "a node in its own input": (edit_node(3, inputs=["conv3"]), ["conv3", "cycle"]),
    "nodes in another order": (
        edit_graph(lambda graph: graph["nodes"].reverse()),
        ["stands later", "sort"],
    ),
    "a missing node": (edit_node(4, inputs=["conv9"]), ["qcfs4", "conv9", "does not exist"]),
    "a missing output": (
        edit_graph(lambda graph: graph.update(output="gemm9")),
        ["output", "gemm9"],
    ),
    "one name twice": (edit_node(5, name="conv3"), ["conv3", "twice"]),
    "an unknown operator": (edit_node(2, op="Sigmoid"), ["qcfs2", "Sigmoid", "Relu"]),
    "an operator without spiking form": (edit_node(5, op="Softmax"), ["flatten5", "Softmax"]),
    "weights of another shape": (
        replace_by("conv3/W", np.ones((4, 2, 3, 3))),
        ["conv3", "channels"],
    ),
    "a dense layer of another size": (replace_by("gemm6/B", np.ones((4, 63))), ["gemm6"]),
    "a bias of another size": (replace_by("conv3/B", np.ones(3)), ["conv3", "B", "3"]),
    "a kernel larger than its input": (replace_by("conv0/W", np.ones((3, 2, 11, 11))), ["conv0"]),
    "an input of another shape": (set_attr("input_shape", [2, 2, 2]), ["conv3", "fits"]),
    "an input without a channel": (set_attr("input_shape", [0, 6, 6]), ["input_shape"]),
    "a missing parameter": (delete("params/conv0/W"), ["conv0", "W"]),
    "NaN in the weights": (set_first("conv0/W", np.nan), ["conv0", "W", "finite"]),
    "infinity in the weights": (set_first("gemm6/B", -np.inf), ["gemm6", "B", "finite"]),
    "NaN in a bias": (set_first("conv3/B", np.nan), ["conv3", "B", "finite"]),
    "a negative variance": (
        set_first("batchnormalization1/input_var", -0.1),
        ["batchnormalization1", "variance", "-0.1"],
    ),
    "a threshold of zero": (
        edit_attrs(2, **{"lambda": 0}),
        ["qcfs2", "lambda above 0", "threshold"],
    ),
    "a negative threshold": (
        edit_attrs(4, **{"lambda": -1.5}),
        ["qcfs4", "lambda above 0", "-1.5"],
    ),
    "a threshold that is no number": (edit_attrs(2, **{"lambda": "big"}), ["qcfs2", "lambda"]),
    "no threshold": (
        edit_graph(lambda graph: graph["nodes"][2]["attrs"].pop("lambda")),
        ["qcfs2", "lambda"],
    ),
    "no levels": (edit_attrs(2, levels=0), ["qcfs2", "levels"]),
    "preprocessing by zero": (set_attr("input_std", [1.0, 0.0]), ["input_std", "above 0"]),
    "weights that overflow": (set_value("conv3/W", 3e38), ["conv3", "float32", "infinity"]),
    "preprocessing that overflows": (
        set_attr("input_scale", 1e300),
        ["input", "float32", "infinity"],
    ),
    "gigantic thresholds": (edit_attrs(2, **{"lambda": 1e300}), ["qcfs2", "lambda", "1e+300"]),
    "minute thresholds": (edit_attrs(2, **{"lambda": 1e-300}), ["thresholds"]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_wrong_networks(capsys, here, files, tmp_path_factory, name):
    edit, words = NETWORKS[name]
    path = tmp_path_factory.mktemp("wrong") / "wrong.h5"
    path.write_bytes((files / "net.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        edit(file)
    fails(capsys, here, ["--net", path, "--data", files / "data.npz"], "wrong.h5", *words)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", ["an empty file"]),
        (b"\x89HDF\r\n\x1a\n", ["whole HDF5 file", "truncated"]),
        (b"PK\x03\x04rest", ["HDF5", "zip archive"]),
        (b"\x80\x02}q", ["HDF5", "pickle"]),
        (b"hello world", ["HDF5", "some other file"]),
        (b"<html>", ["HDF5", "web page"]),
    ],
    ids=["empty", "only a signature", "zip", "pickle", "text", "web page"],
)
def test_files_that_are_no_networks(capsys, here, tmp_path_factory, content, words):
    path = tmp_path_factory.mktemp("wrong") / "net.h5"
    path.write_bytes(content)
    fails(capsys, here, ["--net", path], "net.h5", *words)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_networks(capsys, here, files, tmp_path_factory, share):
    path, whole = tmp_path_factory.mktemp("wrong") / "net.h5", (files / "net.h5").read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    fails(
        capsys,
        here,
        ["--net", path, "--data", files / "data.npz"],
        "net.h5",
        "copy or download it again",
    )


def test_networks_that_are_not_there(capsys, here, files):
    fails(
        capsys,
        here,
        ["--net", "nowhere.h5"],
        "nowhere.h5",
        "a file with a network",
        "nothing of that name",
        "check the path",
    )
    fails(capsys, here, ["--net", files], "a file with a network", "a directory")
    fails(capsys, here, ["--net", files / "net.h5" / "below"], "below", "Not a directory")
    fails(capsys, here, ["--net", "x" * 300], "File name too long")
    fails(capsys, here, ["--net", files / "data.npz"], "data.npz", "HDF5", "numpy archive")


def test_max_pooling_of_a_sum_is_refused(capsys, here, files):
    fails(
        capsys,
        here,
        ["--net", files / "sum.h5", "--data", files / "data.npz"],
        "sum.h5",
        "maxpool5",
        "MaxPool",
        "average",
    )


def test_unknown_names_are_printed_in_one_line(capsys, here):
    fails(capsys, here, ["--net", "two\nlines\x1b[31m"], "two lines")


# --- wrong images and calibration ------------------------------------------------------------


def test_images_that_do_not_fit(capsys, here, files):
    net = ["--net", files / "net.h5", "--data"]
    fails(
        capsys, here, [*net, files / "wide.npz"], "wide.npz", "[2, 6, 6]", "[3, 2, 6, 7]", "net.h5"
    )
    fails(capsys, here, [*net, "sample"], "--data sample", "[2, 6, 6]", "[1000, 1, 28, 28]")
    fails(
        capsys,
        here,
        ["--data", files / "data.npz"],
        "data.npz",
        "[1, 28, 28]",
        "[30, 2, 6, 6]",
        "sample",
    )
    fails(
        capsys,
        here,
        [*net, files / "fifth_class.npz"],
        "labels from 0 to 3",
        "0 to 4",
        "fifth_class.npz",
    )
    fails(capsys, here, [*net, files / "nan.npz"], "nan.npz", "finite")
    fails(capsys, here, [*net, "nowhere"], "nowhere", "nothing there")
    fails(capsys, here, [*net, files / "net.h5"], "net.h5")
    fails(
        capsys, here, [*net, files / "test_only.npz", "--split", "train"], "test_only.npz", "train"
    )
    (here / "empty").mkdir()
    fails(capsys, here, [*net, "empty"], "empty folder")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"text", b"\0\0\x08\x03\0\0"],
    ids=["empty", "zip", "text", "idx"],
)
def test_damaged_images(capsys, here, files, tmp_path_factory, content):
    path = tmp_path_factory.mktemp("wrong") / "images"
    path.write_bytes(content)
    fails(capsys, here, ["--net", files / "net.h5", "--data", path], str(path))


def test_truncated_images(capsys, here, files, tmp_path_factory):
    path, whole = tmp_path_factory.mktemp("wrong") / "data.npz", (files / "data.npz").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails(capsys, here, ["--net", files / "net.h5", "--data", path], "data.npz")


def test_calibration_images_that_are_not_there(capsys, here, files):
    net, data = ["--net", files / "relu.h5"], ["--data", files / "data.npz"]
    fails(
        capsys,
        here,
        [*net, *data, "--calibration", "train:0-40"],
        "--calibration train:0-40",
        "41 images",
        "40",
        "ask for fewer",
    )
    fails(
        capsys,
        here,
        [*net, *data, "--calibration", "train:40-41"],
        "--calibration train:40-41",
        "40",
    )
    fails(
        capsys,
        here,
        [*net, *data, "--calibration", "40"],
        "--calibration",
        "SPLIT:FIRST-LAST",
        "'40'",
    )
    fails(
        capsys,
        here,
        [*net, "--data", files / "test_only.npz"],
        "--calibration train:0-127",
        "--calibration test:0-127",
    )
    fails(
        capsys,
        here,
        [*net, "--data", files / "no_splits.npz"],
        "a train split",
        "the same images",
        "--calibration test:0-8 ",
    )
    fails(
        capsys,
        here,
        [*net, "--data", files / "wide_train.npz"],
        "--calibration",
        "[2, 6, 6]",
        "[40, 2, 6, 7]",
    )
    fails(
        capsys,
        here,
        ["--net", files / "net.h5", *data, "--calibration", "train:99"],
        "train:99",
        "40",
    )
    fails(
        capsys,
        here,
        ["--net", files / "net.h5", *data, "--thresholds", "tcl"],
        "net.h5",
        "qcfs2",
        "'tcl'",
        "QCFS",
        "auto",
    )


def test_a_file_of_test_images_has_no_train_split(capsys, here, files, tmp_path_factory):
    """One IDX file is of the split that its name tells, whatever is asked for: no calibration on
    test images by accident.
    """
    folder = tmp_path_factory.mktemp("idx")
    write_native(small_graph("Relu", channels=1), folder / "relu.h5")
    data = folder / "t10k-images-idx3-ubyte"
    data.write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 140, 6, 6) + bytes(140 * 36))
    fails(
        capsys,
        here,
        ["--net", folder / "relu.h5", "--data", data],
        "--calibration",
        "a train split",
        "found test images",
        "--calibration test:0-127",
    )


def test_calibration_on_test_images_is_possible_and_said(capsys, here, files, no_pictures):
    out = succeeds(
        capsys,
        "--net",
        files / "relu.h5",
        "--data",
        files / "test_only.npz",
        "--calibration",
        "test:0-8",
        "--steps",
        1,
        "--out",
        "a",
    )
    assert "found on test_only.npz test:0-8" in out
    assert (
        json.loads((here / "a" / "summary.json").read_text())["data"]["calibration"]
        == "test_only.npz test:0-8"
    )


def test_own_thresholds_need_no_calibration(capsys, here, files, no_pictures):
    for data in ("test_only.npz", "no_splits.npz"):
        out = succeeds(
            capsys,
            "--net",
            files / "net.h5",
            "--data",
            files / data,
            "--steps",
            1,
            "--out",
            "a",
            "--overwrite",
        )
        assert "on 8 random images" in out
        assert (
            json.loads((here / "a" / "summary.json").read_text())["data"]["calibration"] == "none"
        )


def test_layers_that_are_silent_have_no_threshold(capsys, here, files, tmp_path_factory):
    path = tmp_path_factory.mktemp("wrong") / "silent.h5"
    path.write_bytes((files / "relu.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        set_value("conv3/B", -1e6)(file)
    fails(
        capsys,
        here,
        ["--net", path, "--data", files / "data.npz"],
        "silent.h5",
        "relu4",
        "a threshold above 0",
        "silent",
    )


# --- wrong options, places, and a machine that refuses ---------------------------------------


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--limit", "0"], ["--limit", "from 1", "found 0"]),
        (["--limit", "many"], ["--limit", "'many'"]),
        (["--limit"], ["--limit", "a value"]),
        (["--export", "nir,neo"], ["--export", "names among nir, sonata, gdf", "'neo'"]),
        (["--export", "gdf"], ["--export: ", "--trace spikes for gdf", "--trace counts"]),
        (["--nir-for", "norse"], ["--nir-for", "--export nir", "found none"]),
        (
            ["--export", "nir", "--nir-for", "brian"],
            ["--nir-for", "one of generic, sinabs", "'brian'"],
        ),
        (["--steps", "65537"], ["--steps", "65,536"]),
        (["--report-steps", "1,64"], ["--report-steps", "--steps 32"]),
        (["--thresholds", "best"], ["--thresholds", "percentile"]),
        (["--percentile", "nan"], ["--percentile", "0.001 to 100"]),
        (["--calibration", "train:9-3"], ["--calibration", "train:9-3"]),
        (["--arithmetic", "int8"], ["--arithmetic", "float64"]),
        (["--fraction-bits", "41"], ["--fraction-bits", "1 to 40"]),
        (["--split", "valid"], ["--split", "train, test"]),
        (["--workers", "-1"], ["--workers", "from 1"]),
        (["--batch", "0"], ["--batch"]),
        (["--seed", "1.5"], ["--seed", "whole number"]),
        (["--initial", "inf"], ["--initial", "1,000"]),
        (["--out", ""], ["--out", "text"]),
        (["--frobnicate"], ["--frobnicate", "--help"]),
        (["network.h5"], ["network.h5", "--net FILE"]),
        (["--quiet=1"], ["--quiet", "no value"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("-") else "",
)
def test_wrong_options(capsys, here, arguments, words):
    fails(capsys, here, arguments, *words)


def test_results_folders_that_cannot_be(capsys, here, files):
    small = ["--net", files / "net.h5", "--data", files / "data.npz", "--out"]
    (here / "file").write_text("mine")
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("mine")
    fails(capsys, here, [*small, "file"], "--out file", "a file", "choose another --out")
    fails(
        capsys,
        here,
        [*small, "file/below/results"],
        "--out file/below/results",
        "Not a directory",
        "choose another --out",
    )
    fails(capsys, here, [*small, "mine"], "--out mine", "earlier results", "notes.txt")
    fails(capsys, here, [*small, "."], "--out .", "the current folder")
    if os.path.isdir("/proc/self"):
        fails(
            capsys, here, [*small, "/proc/results"], "--out /proc/results", "choose another --out"
        )
    assert (here / "mine" / "notes.txt").read_text() == (here / "file").read_text() == "mine"


def test_new_folders_go_when_a_run_fails(capsys, here, files):
    fails(
        capsys,
        here,
        ["--net", files / "sum.h5", "--data", files / "data.npz", "--out", "new/and/deep"],
        "MaxPool",
    )
    fails(capsys, here, ["--net", files / "sum.h5", "--data", files / "data.npz"], "MaxPool")


def refuse(error):
    def refusing(*_, **__):
        raise error

    return refusing


@pytest.mark.parametrize(
    "where",
    [
        "inputs.loading.load_images",
        "ann.forward.outputs_and_logits",
        "runs.run_file.write_hdf5",
        "views.tables.write_csv",
        "runs.folder.np.savez",
    ],
)
@pytest.mark.parametrize(
    "error, words",
    [
        (
            OSError(28, "No space left on device"),
            ["room", "No space left on device", "the same command then goes on"],
        ),
        (
            PermissionError(13, "Permission denied", "some/where"),
            ["some/where", "Permission denied", "check the path"],
        ),
        (MemoryError(), ["memory", "--workers", "--batch"]),
    ],
    ids=["full disk", "permission", "memory"],
)
def test_a_machine_that_refuses(capsys, here, files, monkeypatch, where, error, words):
    arguments = (
        "--net",
        files / "net.h5",
        "--data",
        files / "data.npz",
        "--out",
        "a",
        "--batch",
        "30",
    )
    with monkeypatch.context() as patch:
        patch.setattr(f"eventsnn.{where}", refuse(error))
        assert main([str(a) for a in arguments]) == 2
    assert_one_line(capsys.readouterr().err, words)
    begun = where in ("runs.run_file.write_hdf5", "views.tables.write_csv")
    assert listing(here) == (
        ["a.partial", *(f"a.partial/{n}" for n in ("identity.json", "lock", "part-0-30.npz"))]
        if begun
        else []
    )
    assert ("going on" in succeeds(capsys, *arguments)) is begun
    assert listing(here) == ["a", *(f"a/{name}" for name in sorted(FILES))]


def test_a_defect_is_not_taken_for_wrong_input(here, files, monkeypatch):
    monkeypatch.setattr(check, "check", refuse(ArithmeticError("a defect")))
    with pytest.raises(ArithmeticError, match="a defect"):
        main(["--net", str(files / "net.h5"), "--data", str(files / "data.npz")])
    assert listing(here) == []


def test_outputs_that_overflow_later_are_wrong_input(capsys, here, files, monkeypatch):
    monkeypatch.setattr(
        pipeline.ann,
        "outputs_and_logits",
        lambda graph, pixels, **_: (np.full((len(pixels), 4), np.nan, np.float32),) * 2,
    )
    fails(
        capsys,
        here,
        ["--net", files / "net.h5", "--data", files / "data.npz"],
        "net.h5",
        "finite",
        "NaN",
    )


# --- real processes --------------------------------------------------------------------------


def test_help_is_light_and_complete():
    code = (
        "import sys\nfrom eventsnn.run import main\ntry:\n    main(['--help'])\nfinally:\n    "
        "heavy = {'h5py', 'matplotlib', 'tqdm'} & {name.split('.')[0] for name "
        "in sys.modules}\n    print(heavy or 'nothing heavy')"
    )
    process = command(code=code)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "") and out.endswith("nothing heavy\n")
    assert (
        "eventsnn run --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 32 "
        "--limit 1000" in out
    )
    names = (
        "net data split limit steps report-steps thresholds calibration arithmetic workers batch "
        "seed out quiet json"
    )
    for name in names.split():
        assert f"\n  --{name}" in out
    assert out.count("e.g. --") == len(pipeline_options()) + 1  # --settings


def pipeline_options():
    import dataclasses

    from eventsnn.settings import Settings

    return dataclasses.fields(Settings)


def test_processes_end_with_the_right_status(here, files):
    for arguments, status, words in (
        [["--net", "nowhere.h5"], 2, ["nowhere.h5", "nothing of that name"]],
        [["--limit", "0"], 2, ["--limit"]],
        [["--net", files / "sum.h5", "--data", files / "data.npz"], 2, ["MaxPool"]],
    ):
        process = command(*arguments, "--json", cwd=here)
        out, err = process.communicate()
        assert (process.returncode, out) == (status, "")
        assert_one_line(err, words)
    process = command("--version")
    assert (
        process.communicate() == (f"eventsnn {eventsnn.__version__}\n", "")
        and process.returncode == 0
    )
    assert listing(here) == []


def test_a_process_prints_json_and_nothing_else(here, files):
    process = command(
        "--net", files / "net.h5", "--data", files / "data.npz", "--limit", 3, "--json", cwd=here
    )
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "") and strict(out)["images"] == 3


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_readers_that_stop_reading_do_not_stop_a_run(here, files):
    for arguments in (
        ["--net", files / "net.h5", "--data", files / "data.npz", "--out", "a"],
        ["--help"],
        ["--version"],
    ):
        process = command(*arguments, cwd=here)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert (process.wait(), err) == (0, "")
    assert sorted(os.listdir(here / "a")) == sorted(FILES)


def test_a_terminal_that_lacks_letters_is_no_obstacle(here, files):
    """The tables hold dashes that ASCII has not, and names in files may hold anything."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "eventsnn.run",
            "--net",
            files / "net.h5",
            "--data",
            files / "data.npz",
        ],
        cwd=here,
        env={**environment(), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert (
        (done.returncode, done.stderr) == (0, b"")
        and done.stdout.isascii()
        and b"results in runs/" in done.stdout
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_standard_output_is_an_error(here, files):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "eventsnn.run",
                "--net",
                files / "net.h5",
                "--data",
                files / "data.npz",
            ],
            cwd=here,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert_one_line(done.stderr, ["standard output", "No space left"])
    assert listing(here) == []


def test_a_full_disk_ends_a_real_process_well(here, files):
    resource = pytest.importorskip("resource")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # noqa: E731
    arguments = (
        "--net",
        files / "net.h5",
        "--data",
        files / "data.npz",
        "--out",
        "a",
        "--batch",
        1,
        "--steps",
        64,
    )
    process = command(*arguments, cwd=here, preexec_fn=limit)
    out, err = process.communicate()
    assert process.returncode == 2
    assert_one_line(err, ["a.partial", "room", "File too large"])
    assert os.listdir(here) == ["a.partial"] and len(os.listdir(here / "a.partial")) == 32, (
        "30 batches, identity and lock"
    )


# --- progress --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_comes_after_two_seconds_on_a_terminal_only(monkeypatch):
    """By the bar's own clock, which the test sets."""
    streams = {"terminal": Terminal(), "quiet": Terminal(), "file": io.StringIO()}
    bars = {}
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    for name, stream in streams.items():
        monkeypatch.setattr(sys, "stderr", stream)
        bars[name] = Say(None, name != "quiet").bar(100, "SNN")
        bars[name].update(10)
    now[0] = 1.9
    for bar in bars.values():
        bar.update(0)
    assert not any(stream.getvalue() for stream in streams.values())
    now[0] = 2.1
    for bar in bars.values():
        bar.update(10)
    shown = {name for name, stream in streams.items() if stream.getvalue()}
    assert shown == {"terminal"}
    assert all(word in streams["terminal"].getvalue() for word in ("SNN", "20/100", "image"))
    for bar in bars.values():
        bar.close()
    assert streams["terminal"].getvalue().split("\r")[-2].strip() == "", (
        "the bar is gone in the end"
    )


# a process in which the progress bar's clock goes on by `seconds` with each batch, and else stands;
# without tqdm's watch, which has its own clock and after ten seconds shows a bar that is not due
SLOW_RUN = """
import sys, tqdm.std
from eventsnn import console, run
from eventsnn.simulation import simulation
now = [0.0]
tqdm.std.time = lambda: now[0]
tqdm.std.tqdm.monitor_interval = 0
simulate = simulation.Simulation.run
def slow(self, pixels, **options):
    now[0] += {seconds}
    return simulate(self, pixels, **options)
simulation.Simulation.run = slow
sys.exit(console.command(run.main))
"""


def start_on_terminal(here, files, seconds, *options):
    """A process whose standard error is a pseudo-terminal, and the terminal.

    seconds: what each batch takes by the progress bar's clock.
    """
    import fcntl
    import termios

    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SLOW_RUN.format(seconds=seconds),
            "--net",
            files / "net.h5",
            "--data",
            files / "data.npz",
            "--batch",
            "4",
            "--workers",
            "1",
            *options,
        ],
        cwd=here,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    return process, terminal


def all_of(terminal):
    """What is written to a pseudo-terminal until its process ends."""
    text = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux: the other end is closed
            part = b""
        if not part:
            os.close(terminal)
            return text
        text += part


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals of POSIX")
def test_progress_on_a_pseudo_terminal(here, files):
    slow, fast, quiet = (
        start_on_terminal(here, files, *options)
        for options in (
            (0.4, "--out", "slow"),
            (0.0, "--out", "fast", "--limit", "4"),
            (0.4, "--out", "quiet", "--quiet"),
        )
    )
    text = all_of(slow[1])
    assert b"SNN:" in text and b"/30" in text
    assert all_of(quiet[1]) == all_of(fast[1]) == b""
    assert [process.wait() for process, _ in (slow, fast, quiet)] == [0, 0, 0]
