"""--thresholds on the command line: files, rules that were added, and what is refused."""

import hashlib
import json
import os

import h5py
import numpy as np
import pytest
from support.networks import small_graph

import eventsnn
from eventsnn import InputError
from eventsnn.inputs import given
from eventsnn.network.rules import RULES, Rule
from eventsnn.network.thresholds import choose_thresholds
from eventsnn.readers import write_native
from eventsnn.registry import forget_plugins
from eventsnn.run import main, parser
from eventsnn.settings import Settings
from eventsnn.views import plots

FIRST, SECOND = (node.name for node in small_graph().activations)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a network and images."""
    folder = tmp_path_factory.mktemp("files")
    write_native(small_graph(), folder / "net.h5")
    pixels = np.random.default_rng(0).integers(0, 4, (30, 2, 6, 6)).astype(np.uint8)
    np.savez(folder / "data.npz", x_test=pixels[:9], x_train=pixels[9:])
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder; nothing is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"picture"))
    return tmp_path


@pytest.fixture
def run(capsys, files):
    """(status, standard output, standard error) of a small run with some more arguments."""

    def run(*arguments):
        capsys.readouterr()
        small = ["--net", files / "net.h5", "--data", files / "data.npz", "--steps", 2]
        status = main([str(a) for a in (*small, "--calibration", "train:0-9", *arguments)])
        return status, *capsys.readouterr()

    return run


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def thetas(folder):
    with h5py.File(folder / "run.h5") as file:
        return file["layers/theta"][:-1].tolist()


def refused(run, here, text, *words):
    """A file of thresholds is refused in one line, and nothing is left behind."""
    path = here / "t.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    status, out, err = run("--thresholds", "t.json")
    assert (status, err.count("\n")) == (2, 1) and "results in" not in out
    assert err.startswith("eventsnn: error: --thresholds t.json: ") or "layer" in err, err
    assert "expected" in err and "found" in err and "; " in err and len(err) < 700
    assert all(word in err for word in words), err
    assert [entry.name for entry in here.iterdir()] == ["t.json"]


def test_a_file_gives_thresholds(run, here):
    (here / "t.json").write_text(json.dumps({FIRST: 1.5, SECOND: 2}))
    status, out, err = run("--thresholds", "t.json", "--out", "a")
    assert (status, err) == (0, "") and thetas(here / "a") == [1.5, 2.0]
    sha = hashlib.sha256((here / "t.json").read_bytes()).hexdigest()
    words = f"given in t.json, sha256 {sha}"
    assert f"thresholds {words}\n" in out
    found = summary(here / "a")
    assert found["semantics"]["thresholds"] == words
    assert found["settings"]["thresholds"] == "t.json"


def test_numbers_in_a_file_give_the_run_of_the_rule_that_found_them(run, here, files):
    graph = eventsnn.load(files / "net.h5")
    pixels = eventsnn.load_images(files / "data.npz", split="train", limit=10).pixels
    found = choose_thresholds(graph, "dni", pixels=pixels)
    (here / "t.json").write_text(json.dumps({name: a.tolist() for name, a in found.items()}))
    assert run("--thresholds", "t.json", "--out", "a")[0] == 0
    assert run("--thresholds", "dni", "--out", "b")[0] == 0
    kept = []
    for folder in "ab":
        with h5py.File(here / folder / "run.h5") as file:
            images = file["images"]
            kept.append([images[name][()] for name in sorted(images)] + [file["layers/theta"][:]])
    assert all(np.array_equal(one, other) for one, other in zip(*kept))


def test_another_content_is_another_run(run, here):
    ids = []
    for number, path in ((1.5, "t.json"), (1.25, "t.json"), (1.5, "t.json"), (1.5, "other.json")):
        (here / path).write_text(json.dumps({FIRST: number, SECOND: 2}))
        status, out, err = run("--thresholds", path)
        assert (status, err) == (0, "")
        ids.append(summary(here / out.rpartition("results in ")[2].strip())["id"])
    assert ids[0] == ids[2] == ids[3] != ids[1] and len(list(here.glob("runs/*"))) == 2
    assert Settings(thresholds="t.json").id("a") != Settings().id("a")


def test_results_of_another_content_are_not_gone_on_with(run, here):
    (here / "t.json").write_text(json.dumps({FIRST: 1.5, SECOND: 2}))
    assert run("--thresholds", "t.json", "--out", "a")[0] == 0
    before = summary(here / "a")["id"]
    (here / "t.json").write_text(json.dumps({FIRST: 1, SECOND: 2}))
    status, _, err = run("--thresholds", "t.json", "--out", "a")
    assert status == 2 and "files named by options that have other content" in err
    status, out, _ = run("--thresholds", "t.json", "--out", "a", "--overwrite")
    assert status == 0 and "going on" not in out
    assert summary(here / "a")["id"] != before and thetas(here / "a") == [1.0, 2.0]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["a JSON file", 'for example {"act1": 1.5']),
        ('{"a": 1', ["a JSON file"]),
        ("[1, 2]", ["a JSON object of layers", "found list"]),
        ("1.5", ["found float"]),
        ('{"a": 1, "b": 2, "a": 3}', ["each name once", "'a' 2 times"]),
        ('{"a": NaN}', ["finite numbers", "found NaN", "JSON has no such number"]),
        ('{"a": [1, -Infinity]}', ["found -Infinity"]),
        ("[" * 100_000, ["a JSON file"]),
        (b'{"a": "\xff"}', ["a JSON file"]),
        (f'{{"a": {"9" * 5000}}}', ["a JSON file"]),
        ("{}", [f"none for {FIRST}, {SECOND}"]),
        (f'{{"{FIRST}": 1, "{SECOND}x": 1}}', ["layers among", f"did you mean '{SECOND}'?"]),
        (f'{{"{FIRST}": 1, "{SECOND}": 0}}', [f"t.json: layer '{SECOND}'", "above 0, found 0"]),
        (f'{{"{FIRST}": 1, "{SECOND}": 1e999}}', [f"t.json: layer '{SECOND}'", "found inf"]),
        (f'{{"{FIRST}": 1, "{SECOND}": "1"}}', [f"t.json: layer '{SECOND}'", "found str '1'"]),
        (f'{{"{FIRST}": 1, "{SECOND}": {{"a": 1}}}}', [f"layer '{SECOND}'", "found dict"]),
        (f'{{"{FIRST}": 1, "{SECOND}": [1, true]}}', [f"layer '{SECOND}'", "found list"]),
        (f'{{"{FIRST}": 1, "{SECOND}": [[1]]}}', [f"layer '{SECOND}'", "found shape [1, 1]"]),
    ],
    ids=lambda value: value[:40] if isinstance(value, (str, bytes)) else "",
)
def test_files_that_are_refused(run, here, text, words):
    refused(run, here, text, *words)


def test_files_that_cannot_be_read(run, here, monkeypatch):
    (here / "folder.json").mkdir()
    os.mkfifo(here / "pipe.json")
    for name, found in (
        ("none.json", "found nothing of that name"),
        ("folder.json", "found a directory"),
        ("pipe.json", "found a device or pipe"),
        ("none.json/t.json", "found nothing"),
        ("a\0.json", "null"),
    ):
        status, _, err = run("--thresholds", name)
        assert status == 2 and err.count("\n") == 1 and found in err and "--thresholds" in err, err
    monkeypatch.setattr(given, "MAX_FILE", 5)
    (here / "large.json").write_text('{"a":1}')
    status, _, err = run("--thresholds", "large.json")
    assert status == 2 and "--thresholds large.json: expected at most 5 bytes, found more" in err


@pytest.mark.parametrize("name", ["max", "t.json"])
def test_options_without_effect_are_refused(name):
    for options, expected in (
        ({"percentile": 99.0}, "--percentile: expected --thresholds auto or --thresholds perc"),
        ({"dead": "silent"}, "--dead: expected --thresholds dni, found"),
    ):
        with pytest.raises(InputError, match=expected) as caught:
            Settings(thresholds=name, **options)
        assert f"found --thresholds {name}" in str(caught.value)


def half(layer, activations):
    return activations.max() / 2


@pytest.fixture
def added():
    """A rule that was added."""
    RULES.add("half", Rule("half of the largest activation", half, calibrated=True))
    yield
    RULES.remove("half")


def test_a_rule_that_was_added_is_a_choice(run, here, added):
    assert "dni,slip,mse,spike-norm,local,half}|FILE.json" in " ".join(
        parser().format_help().split()
    )
    status, out, err = run("--thresholds", "half", "--out", "a")
    assert (status, err) == (0, "")
    assert "thresholds half (half of the largest activation), found on data.npz train:0-9" in out
    assert run("--thresholds", "max", "--out", "b")[0] == 0
    assert thetas(here / "a") == [theta / 2 for theta in thetas(here / "b")]
    status, _, err = run("--thresholds", "quarter")
    assert (
        status == 2
        and "dni, slip, mse, spike-norm, local, half, or a .json file, found 'quarter'" in err
    )


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package with a rule, third, and one that cannot be imported, lost."""
    folder = tmp_path / "site"
    info = folder / "thirds-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirds\nVersion: 1.0\n")
    points = "[eventsnn.threshold_rules]\nthird = thirds:THIRD\nlost = thirds:LOST\n"
    (info / "entry_points.txt").write_text(points)
    (folder / "thirds.py").write_text(
        "from eventsnn.network.rules import Rule\n"
        "THIRD = Rule('a third', lambda layer, a: a.max() / 3, calibrated=True)\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    forget_plugins()
    yield
    monkeypatch.undo()
    forget_plugins()
    RULES.remove("third")


def test_a_rule_of_another_package_is_a_choice(run, here, installed):
    assert "dni,slip,mse,spike-norm,local,third,lost}" in " ".join(parser().format_help().split())
    assert run("--thresholds", "third", "--out", "a")[0] == 0
    assert run("--thresholds", "max", "--out", "b")[0] == 0
    assert thetas(here / "a") == pytest.approx([theta / 3 for theta in thetas(here / "b")])
    status, _, err = run("--thresholds", "lost")
    assert status == 2 and err.count("\n") == 1 and "threshold rule 'lost' of thirds" in err


def test_a_rule_that_fails_is_named_by_its_option(run, here):
    RULES.add("broken", Rule("nothing", lambda layer, activations: 1 / 0, calibrated=True))
    try:
        status, _, err = run("--thresholds", "broken")
    finally:
        RULES.remove("broken")
    assert status == 2 and err.count("\n") == 1
    assert f"error: --thresholds 'broken': layer '{FIRST}': expected a threshold" in err
    assert "ZeroDivisionError" in err and not list(here.iterdir())


@pytest.mark.parametrize(
    "given, words",
    [
        (["--free-running"], "--free-running: expected --delay, --window or --order jitter"),
        (["--order", "clocked", "--max-events", "9"], "--max-events: expected another order"),
    ],
)
def test_options_of_time_without_effect_are_refused(capsys, given, words):
    assert main(["--engine", "event", "--limit", "1", "--quiet", *given]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
