"""analysis/training_figures.py: trains the networks of a figure, and compares them."""

import csv
import importlib.util
from argparse import Namespace
from pathlib import Path

import pytest
from support.pictures import bright_rows

from eventsnn.train import command

torch = pytest.importorskip("torch", exc_type=ImportError)

pytestmark = pytest.mark.frameworks
FILE = Path(__file__).parents[2] / "analysis" / "training_figures.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("training_figures", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    torch.use_deterministic_algorithms(False)


def test_a_figure_trains_what_it_compares(script, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = bright_rows(tmp_path / "images.npz")
    small = ["--data", data, "--threads", "1", "--precision", "float32"]
    options = ["--arch", "resnet8", "--width", "0.25", "--batch", "16", "--augment", "flip"]
    options += ["--activation", "relu", "--epochs", "4", "--out", "teacher"]
    assert command.main([*small, *options]) == 0
    teacher = "teacher/network.h5"
    options = ["--figure", "spikezip-6a", "--net", teacher, "--width", "0.25", "--epochs", "1"]
    options += [*small, "--steps", "4", "--limit", "8"]
    assert script.main(options) == 0
    with open("runs/training_figures/training_figures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["net"], row["T"]) for row in rows] == [
        (name, t) for name in ("N", "R", "P", "PR") for t in ("1", "2", "4", "rest")
    ]
    # a network at rest is its quantised ANN (SpikeZIP Theorem 1)
    assert all(float(row["loss"]) == pytest.approx(0) for row in rows if row["T"] == "rest")
    with open("runs/trained/activation_lsq-4_paths_4-2/curves.csv", newline="") as file:
        seconds = float(list(csv.DictReader(file))[-1]["cpu_seconds"])
    hours = {row["net"]: float(row["hours"]) for row in rows}
    assert hours["P"] == pytest.approx(seconds / 3600)
    trained = {path: path.read_bytes() for path in Path("runs/trained").rglob("state.pt")}
    assert len(trained) == 4
    assert script.main([*options, "--overwrite"]) == 0
    assert all(path.read_bytes() == state for path, state in trained.items())
    assert "against N, image by image" in capsys.readouterr().out
    assert script.main([*options, "--epochs", "2", "--overwrite"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "choose another --trained" in error and "--out" not in error


def test_a_path_with_a_plus_is_a_path(script):
    args = Namespace(settings=Namespace(net="a+b/network.h5"), steps=4)
    way = script._way(args, "largest", "", "+max")
    assert way.net == "a+b/network.h5" and way.conversion["thresholds"] == "max"


def test_every_variant_is_a_training_that_can_be(script):
    for variants in script.FIGURES.values():
        labels = [label for label, _, _ in variants]
        assert len({*labels}) == len(labels)
        for _, training, _ in variants:
            teacher = ["--teacher", "t"] if "--paths" in training else []
            command.given(["--data", "d", "--out", "o", *teacher, *training.split()])


def test_figures_share_the_training_of_all_defaults(script):
    recipe = command.given(["--data", "d", "--out", "o", "--activation", "tcl"]).recipe
    for words in script.DEFAULTS:
        name, value = words[2:].split()
        had = getattr(recipe, name.replace("-", "_"))
        assert type(had)(value) == had, words
    both = "--activation lsq:8 --paths 8,4,2"
    for figure in ("5a", "5b", "5c", "5d"):
        assert script.FIGURES[f"spikezip-{figure}"][0][1] == both
    assert both in [training for _, training, _ in script.FIGURES["spikezip-6b"]]
    assert "--activation tcl" in [training for _, training, _ in script.FIGURES["tcl-7"]]


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--steps", "0"], "--steps"), (["--net", "nowhere.h5"], "nowhere.h5")],
)
def test_what_is_wrong_is_said_in_one_line(script, options, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = bright_rows(tmp_path / "images.npz")
    assert script.main(["--figure", "tcl-7", "--data", data, *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and words in error
