"""The command line end to end: real runs, and what they say and leave."""

import csv
import io
import json
import sys

import h5py
import numpy as np
import pytest
from matplotlib import image
from support.command import (
    ROOT,
    assert_same_results,
    contents,
    fails,
    listing,
    strict,
    succeeds,
)
from support.drawing import leaving_out, none
from support.networks import small_graph

import eventsnn
from eventsnn import statistics
from eventsnn.ann import forward as ann
from eventsnn.network import convert as conversion
from eventsnn.network import thresholds
from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.runs.folder import FILES
from eventsnn.views import plots


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """(results folder, what was printed) of the bundled network on 20 bundled images."""
    folder, printed = tmp_path_factory.mktemp("bundled"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "stdout", printed)
        with leaving_out(none):
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
    assert {k for k in summary["meaning"]} - {
        "equilibrium",
        "stage_one",
        "cores",
        "images_run_again_in_64_bits",
    } <= summary.keys()
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


def test_unlabelled_images_have_no_accuracy(capsys, here, files, pictures):
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
