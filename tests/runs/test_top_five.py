"""Runs on folders of image files, and top-5."""

import csv
import json

import numpy as np
import pytest
from support.networks import Builder, small_graph

import eventsnn
from eventsnn.ann.forward import classes_of
from eventsnn.ann.tops import in_top
from eventsnn.readers import write_native
from eventsnn.run import main


def many_classes():
    """A network of twelve classes on images of 3x6x6."""
    b = Builder(np.random.default_rng(1), (3, 6, 6))
    x = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS")
    return b.graph(b.gemm(b.add("Flatten", [x]), 12))


def test_top_counts_the_first_of_equals_before():
    outputs = np.array([[1.0, 2, 2, 0], [3, 3, 3, 3], [0, 1, 2, 3]])
    for label in range(4):
        labels = np.full(3, label)
        np.testing.assert_array_equal(in_top(outputs, labels, 1), classes_of(outputs) == labels)
    np.testing.assert_array_equal(in_top(outputs, np.array([2, 1, 1]), 2), [True, True, False])
    assert in_top(outputs, np.array([3, 3, 0]), 4).all()


def test_a_result_tells_top_5_of_many_classes():
    graph = many_classes()
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 4, (18, 3, 6, 6)), rng.integers(0, 12, 18)
    network = eventsnn.convert(graph, thresholds="auto", calibration=pixels)
    result = eventsnn.simulate(network, pixels, labels=labels, steps=4)
    order = np.argsort(-result.readout(), axis=1, kind="stable")[:, :5]
    assert result.accuracy(top=5) == np.mean((order == labels[:, None]).any(axis=1))
    assert result.table()[-1]["top5_accuracy"] == result.accuracy(top=5) >= result.accuracy()
    with pytest.raises(eventsnn.InputError, match="top: expected at most the 12 outputs"):
        result.accuracy(top=13)


def test_a_folder_of_images_on_the_command_line(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    write_native(many_classes(), tmp_path / "net.h5")
    rng = np.random.default_rng(0)
    for label in range(12):
        folder = tmp_path / "set" / f"class{label:02}"
        folder.mkdir(parents=True)
        for i in range(2):
            pixels = rng.integers(0, 4, (9, 12, 3)).astype(np.uint8)
            image.fromarray(pixels).save(folder / f"{i}.png")
    given = ["--net", str(tmp_path / "net.h5"), "--data", str(tmp_path / "set"), "--steps", "4"]
    out = tmp_path / "out"
    sized = ["--resize", "8", "--crop", "6", "--calibration", "test:0-7"]
    assert main([*given, *sized, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "top-5" in said and "'class00' is 0" in said
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["resize"] == [8] and summary["images"] == 24
    with open(out / "accuracy.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["top5_accuracy"]) == summary["snn_top5_accuracy"]["4"]
    assert 0 <= summary["ann_accuracy"] <= summary["ann_top5_accuracy"] <= 1
    assert eventsnn.open_results(out).accuracy[-1]["top5_accuracy"] == float(last["top5_accuracy"])
    for wrong, words in (
        ([], "--resize and --crop"),
        (["--resize", "8,8,8"], "one or two whole numbers"),
        (["--resize", "0"], "from 1 to"),
        (["--crop", "10"], "--resize 10"),
    ):
        assert main([*given, *wrong]) == 2
        assert words in capsys.readouterr().err
    assert main(["--resize", "8"]) == 2
    assert "arrays" in capsys.readouterr().err


def test_a_network_of_other_classes_says_how_to_name_them(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    write_native(small_graph(channels=3), tmp_path / "net.h5")
    for name in "cat", "dog":
        (tmp_path / "set" / name).mkdir(parents=True)
        image.new("RGB", (6, 6)).save(tmp_path / "set" / name / "1.png")
    assert main(["--net", str(tmp_path / "net.h5"), "--data", str(tmp_path / "set")]) == 2
    assert "a folder for each of the 4 classes of net.h5, found 2" in capsys.readouterr().err
