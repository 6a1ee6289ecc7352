"""What python -m eventsnn.inspect says."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.networks import Builder, small_graph

from eventsnn.inspect import main
from eventsnn.readers import write_native

FILES = Path(__file__).parents[1] / "files" / "keras"


def said(capsys, *arguments, status=0):
    assert main([str(a) for a in arguments]) == status
    return capsys.readouterr()


def test_the_bundled_network(capsys):
    lines = said(capsys, "sample").out.splitlines()
    assert lines[0] == "sample: the bundled network" and "architecture: vgg7" in lines
    assert "preprocessing: (pixel * 0.00392157 - [0.286]) / [0.353]" in lines
    assert "21 nodes, 271,514 parameters" in lines
    table = {
        line.split()[0]: line.split() for line in lines if line.startswith(("act1", "conv2", "fc2"))
    }
    assert table["conv2"] == ["conv2", "Conv", "pool1", "32x14x14", "4,608"]
    assert table["act1"][4:] == ["0", "lambda", "0.4966,", "levels", "4"] and table["fc2"][3:] == [
        "10",
        "650",
    ]
    assert "activations: 6 QCFS; 31,424 neurons" in lines
    assert "converts: yes, 6 layers, 31,424 neurons, 9,552,512 synapses; thresholds: qcfs" in lines


def test_a_keras_model(capsys):
    text = said(capsys, FILES / "functional-3.15.h5").out
    for words in (
        "functional-3.15.h5: a full Keras model",
        "note: written by Keras 3.15",
        "the sigmoid at the output is left out",
        "as the file does not tell it",
        "max 6",
        "activations: 1 Clip, 6 Relu; 928 neurons",
        "thresholds: percentile 99.9, which needs calibration images",
    ):
        assert words in text


def test_a_network_s_note_is_said_to_its_end(capsys, tmp_path):
    graph = small_graph()
    write_native(
        replace(graph, meta={"note": "many words " * 50 + "and the last"}), tmp_path / "n.h5"
    )
    assert "and the last" in said(capsys, tmp_path / "n.h5").out
    write_native(replace(graph, meta={"note": "x" * 5000}), tmp_path / "n.h5")
    assert "x" * 999 + "…" in said(capsys, tmp_path / "n.h5").out


def test_weights_need_an_architecture(capsys, tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes((FILES / "nested-3.15.weights.h5").read_bytes())
    error = said(capsys, path, status=2).err
    assert "Keras weights only" in error and "--arch" in error and error.count("\n") == 1
    text = said(capsys, path, "--arch", FILES / "nested-3.15.json").out
    assert (
        "weights.h5: Keras 3 weights only (.weights.h5)" in text
        and "converts: yes, 3 layers" in text
    )


@pytest.mark.parametrize(
    "member, kind",
    [
        ("model.weights.h5", "config.json in the archive"),
        ("archive/data.pkl", "net.h5: data.pkl: expected a whole pickle"),
        ("archive/constants.pkl", "a TorchScript archive"),
        ("x_train.npy", "a numpy archive"),
        ("readme.txt", "a zip archive"),
    ],
)
def test_archives_are_told_by_what_they_hold(capsys, tmp_path, member, kind):
    with zipfile.ZipFile(tmp_path / "net.h5", "w") as archive:
        archive.writestr(member, "")
    captured = said(capsys, tmp_path / "net.h5", status=2)
    assert kind in captured.err and captured.err.count("\n") == 1 and not captured.out


def test_half_an_archive_is_still_one(capsys, tmp_path):
    with zipfile.ZipFile(tmp_path / "whole", "w") as archive:
        archive.writestr("data.pkl", "")
    data = (tmp_path / "whole").read_bytes()
    for i, damaged in enumerate((data[:20], data[:-30] + b"\xff" * 8 + data[-22:])):
        (tmp_path / f"net{i}.h5").write_bytes(damaged)
        assert "archive" in said(capsys, tmp_path / f"net{i}.h5", status=2).err


def test_a_file_that_is_no_network(capsys, tmp_path):
    with h5py.File(tmp_path / "spikes.h5", "w") as file:
        file["spikes/a/timestamps"] = np.zeros(3)
    assert "found SONATA spikes" in said(capsys, tmp_path / "spikes.h5", status=2).err
    assert "nothing of that name" in said(capsys, tmp_path / "none.h5", status=2).err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="without /dev/full")
def test_nobody_reads_on_or_there_is_no_room():
    command = [sys.executable, "-m", "eventsnn.inspect", "sample"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"room" in done.stderr


def test_a_network_that_does_not_convert_is_shown_all_the_same(capsys, tmp_path):
    b = Builder(np.random.default_rng(1), (2, 6, 6))
    one, other = (b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS") for _ in range(2))
    x = b.add("MaxPool", [b.add("Add", [one, other])], {"kernel_shape": [2, 2], "strides": [2, 2]})
    write_native(b.graph(b.gemm(b.add("Flatten", [x]))), tmp_path / "net.h5")
    captured = said(capsys, tmp_path / "net.h5", status=2)
    assert "activations: 2 QCFS" in captured.out and "converts" not in captured.out
    assert "expected an activation or another MaxPool in front of it" in captured.err


@pytest.mark.slow
def test_a_neuron_model_is_tried(capsys, tmp_path):
    """A model of one's own stands in a file that registers it, as for a run."""
    example = Path(__file__).parents[2] / "examples" / "extend" / "model.py"
    text = said(capsys, "--plugin", example, "--neuron", "eager").out
    assert text.startswith("eager: all 9 laws hold (seed 0)\n")
    wrong = tmp_path / "claims.py"
    code = (
        example.read_text()
        .replace('"eager"', '"claims"')
        .replace("confluent = False", "confluent = True")
    )
    wrong.write_text(code)
    text = said(capsys, "--plugin", wrong, "--neuron", "claims", status=1).out
    assert "confluent does not hold: neuron " in text


@pytest.mark.parametrize(
    "given, words",
    [
        ([], "expected FILE or --neuron, found neither"),
        (["sample", "--neuron", "if"], "found sample and if"),
        (["sample", "--plugin", "x.py"], "--plugin: expected --neuron beside it"),
        (["--neuron", "if", "--arch", "vgg16"], "--arch: expected FILE beside it"),
        (["--neuron", "lfi"], "lif"),
    ],
)
def test_what_does_not_go_together_is_refused(capsys, given, words):
    error = said(capsys, *given, status=2).err
    assert words in error and error.count("\n") == 1
