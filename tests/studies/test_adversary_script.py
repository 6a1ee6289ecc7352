"""analysis/adversary.py: its tables hold together, and anyone replays its files of edits."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn import InputError
from eventsnn.commands.main import main as command
from eventsnn.run import main as run
from eventsnn.trace.edit_files import read_edits, save_edits
from eventsnn.trace.edits import Delay, Drop, Move, Swap

pytestmark = pytest.mark.usefixtures("no_pictures")  # but of what is left for all tests
ANALYSIS = Path(__file__).parents[2] / "analysis"
QUICK = ["--limit", "2", "--steps", "4", "--replays", "24", "--seconds", "1000", "--draws", "1"]
QUICK += ["--orders", "random"]


def script():
    spec = importlib.util.spec_from_file_location("analysis_adversary", ANALYSIS / "adversary.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What the script left: its folder, and that of the attacks."""
    folder = tmp_path_factory.mktemp("adversary")
    out, saved = folder / "out", folder / "saved"
    words = [*QUICK, "--neurons", "snm", "--save", str(saved), "--out", str(out)]
    assert script().main(words) == 0
    return out, saved


@pytest.mark.slow
def test_the_tables_hold_together(left):
    out, saved = left
    rows, images = (rows_of(out / f"{name}.csv") for name in ("adversary", "images"))
    assert {(row["neuron"], row["order"], row["kind"]) for row in rows} >= {
        ("snm", "clocked", "times"),
        ("snm", "random", "order"),
        ("snm", "random", "times"),
    }
    for row in rows:
        key = ("neuron", "order", "kind")
        mine = [each for each in images if all(each[k] == row[k] for k in key)]
        assert len(mine) == int(row["images"])
        assert float(row["flipped"]) == np.mean([each["flipped"] == "True" for each in mine])
        assert float(row["B0"]) == np.median([float(each["B0"]) for each in mine])
        assert float(row["B0"]) <= float(row["random B0"])
    assert any(float(row["flipped"]) for row in rows)
    assert len(list(saved.glob("*.json"))) == len(images)
    assert (out / "adversary.svg").exists() and (out / "adversary.png").exists()


@pytest.mark.slow
def test_what_is_proven_stands_beside_what_an_attack_needs(tmp_path, capsys):
    """In the same base run, of the same layers, in the same measure."""
    out = tmp_path / "out"
    words = [*QUICK, "--neurons", "snm", "--orders", "", "--last", "1", "--certify", "20"]
    assert script().main([*words, "--out", str(out)]) == 0
    rows, images = (rows_of(out / f"{name}.csv") for name in ("adversary", "images"))
    assert len(rows) == 1 and float(rows[0]["proven"]) >= 0
    for row in images:
        assert 0 <= int(row["proven"]) <= 20
        if row["flipped"] == "True":
            assert int(row["proven"]) < int(row["in a step"]) <= int(row["B0"])
    assert "proven: the most deliveries of each step" in capsys.readouterr().out


def test_a_file_of_edits_is_replayed_by_the_command(left, tmp_path, capsys):
    out, saved = left
    flipped = [row for row in rows_of(out / "images.csv") if row["flipped"] == "True"]
    row = next(row for row in flipped if row["order"] == "clocked")
    folder = tmp_path / "run"
    words = ["--engine", "event", "--order", "clocked", "--ticks", "1", "--neuron", row["neuron"]]
    words += ["--limit", "2", "--steps", "4", "--trace", "spikes", "--quiet", "--out", str(folder)]
    assert run(words) == 0
    path = saved / f"{row['neuron']}-clocked-times-{row['image']}.json"
    capsys.readouterr()
    assert command(["replay", str(folder), "--edits", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"the prediction changes from {row['class']} to {row['becomes']}" in said
    other = str(int(row["image"]) + 1)
    assert command(["replay", str(folder), "--edits", str(path), "--image", other]) == 2
    assert "which the edits are of" in capsys.readouterr().err


def test_what_was_found_is_not_sought_again_but_replayed(left, tmp_path, capsys):
    _, saved = left
    words = [*QUICK, "--neurons", "snm", "--save", str(saved), "--out", str(tmp_path / "again")]
    before = {path: path.stat().st_mtime_ns for path in saved.iterdir()}
    assert script().main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in saved.iterdir()} == before
    assert script().main([*words[:-1], str(tmp_path / "other"), "--seed", "1"]) == 2
    assert "of another" in capsys.readouterr().err
    for path in sorted(saved.glob("snm-clocked-times-*.json")):
        content = json.loads(path.read_text("utf-8"))
        if content["edits"]:
            content["edits"] = []
            path.write_text(json.dumps(content), "utf-8")
            assert script().main([*words[:-1], str(tmp_path / "third")]) == 2
            assert "adversary: expected edits by which image" in capsys.readouterr().err
            return
    pytest.fail("nothing was flipped")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--neurons", "if-hard"], "adversary: expected a neuron model that keeps all charge"),
        (["--neurons", "lif"], "which declares holds = False"),
        (["--neurons", "tpp"], "declares"),
        (["--seconds", "0"], "--seconds: expected a number of seconds above 0"),
        (["--replays", "0"], "--replays: expected a whole number from 1"),
        (["--within", "0"], "--within: expected a whole number from 1"),
        (["--last", "9"], "--last: expected a whole number from 0 to 6"),
        (["--certify", "-1"], "--certify: expected a whole number from 0"),
        (["--draws", "-1"], "--draws: expected a whole number from 1"),
        (["--orders", "x"], "--order: expected one of"),
        (["--save", __file__], "--save: expected a folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words, said, tmp_path, capsys):
    given = [*QUICK, "--neurons", "if", *words, "--out", str(tmp_path)]
    assert script().main(given) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and said in told.splitlines()[-1]


def test_edits_come_back_from_their_file(tmp_path):
    path = tmp_path / "edits.json"
    edits = (Swap(1, 2), Move(3, 4), Drop(5), Delay(np.int64(6), 0.5), Delay(7, 2.0))
    save_edits(path, edits, image=9, about={"why": "a test"})
    assert read_edits(path) == (9, edits, {"why": "a test"})
    with pytest.raises(InputError, match="edits: expected Swap, Move, Drop, Delay, found 3"):
        save_edits(path, [3], image=9)


WHOLE = {"format": "eventsnn.edits", "version": 1, "image": 1, "edits": [], "about": {}}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        WHOLE | {"version": 2},
        WHOLE | {"image": -1},
        WHOLE | {"edits": [["Delay", 1]]},
        WHOLE | {"edits": [["Delay", 1, "soon"]]},
        WHOLE | {"edits": [["Drop", 0.5]]},
        WHOLE | {"edits": [[[]]]},
        WHOLE | {"edits": ["Drop"]},
        WHOLE | {"about": None},
    ],
)
def test_other_files_are_no_edits(content, tmp_path):
    path = tmp_path / "edits.json"
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(InputError, match="edits .*: expected"):
        read_edits(path)


def test_no_file_is_no_edits(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_edits(tmp_path / "none.json")
    (tmp_path / "empty.json").touch()
    with pytest.raises(InputError, match="a JSON file of edits"):
        read_edits(tmp_path / "empty.json")


def test_no_image_right_is_one_line():
    network = eventsnn.convert(eventsnn.load("sample"))
    images = eventsnn.load_images("sample", limit=2)
    labels = (images.labels + 1) % 10
    with pytest.raises(InputError, match="images that the base run has right, found none of 2"):
        eventsnn.adversary.attack(network, images.pixels, labels=labels, steps=1, seconds=1)
