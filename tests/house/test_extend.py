"""Eight kinds of things, each added by one file of examples/extend: Python, command line, study."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn import InputError, asynchronism, convert, errors, simulate
from eventsnn.plugins import REGISTRIES, load_plugins, registry_of
from eventsnn.registry import forget_plugins
from eventsnn.run import main

ROOT = Path(__file__).parents[2]
EXTEND = ROOT / "examples" / "extend"
# file -> (kind, name)
THINGS = {
    "model": ("model", "eager"),
    "option": ("model", "early"),
    "order": ("order", "turns"),
    "encoding": ("encoding", "fading"),
    "threshold_rule": ("threshold rule", "spread"),
    "reader": ("reader", "dense-json"),
    "exporter": ("exporter", "spike-table"),
    "engine": ("engine", "plain"),
}


def plugin(name):
    return str(EXTEND / f"{name}.py")


def run(tmp_path, file, *given, out="r"):
    """The summary of a run of the bundled network on three images, with a file of examples."""
    common = ["--plugin", plugin(file), "--limit", "3", "--steps", "4", "--quiet"]
    assert main([*common, "--out", str(tmp_path / out), *given]) == 0
    return json.loads((tmp_path / out / "summary.json").read_text())


def sample(limit=3):
    return convert(eventsnn.load("sample")), eventsnn.load_images("sample", limit=limit)


def test_every_kind_has_an_example_and_a_page_that_holds_it():
    kinds = {kind for kind, _ in THINGS.values()}
    assert kinds == set(REGISTRIES) and {f.stem for f in EXTEND.glob("*.py")} == set(THINGS)
    index = (ROOT / "docs" / "extend" / "README.md").read_text()
    for name in THINGS:
        page = (ROOT / "docs" / "extend" / f"{name}.md").read_text()
        (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
        assert code == (EXTEND / f"{name}.py").read_text(), name
        assert f"({name}.md)" in index


@pytest.mark.parametrize("file", THINGS)
def test_its_name_is_unknown_before_and_known_after(file):
    kind, name = THINGS[file]
    assert name not in registry_of(kind)
    load_plugins(plugin(file))
    assert name in registry_of(kind) and name in list(registry_of(kind))


def test_a_model(tmp_path):
    load_plugins(plugin("model"))
    network, images = sample()
    options = dict(steps=4, neuron="eager", initial=0)
    result = simulate(network, images, **options)
    events = simulate(network, images, engine="event", order="clocked", **options)
    assert np.array_equal(result.spikes, events.spikes) and result.spikes.sum() > 0
    # v(0) = theta / 2 and firing at theta is the same sum, half a threshold later
    plain = simulate(network, images, steps=4)
    assert np.array_equal(result.spikes, plain.spikes)
    summary = run(tmp_path, "model", "--neuron", "eager", "--initial", "0")
    assert summary["spikes_per_image"] == run(tmp_path, "model", out="if")["spikes_per_image"]
    table = errors.decompose(network, images, **options)
    assert "eager" in repr(table.simulation.neuron).lower()


def test_an_option(tmp_path, capsys):
    load_plugins(plugin("option"))
    network, images = sample()
    counts = [
        simulate(network, images, steps=4, initial=0, neuron=neuron).spikes.sum()
        for neuron in ("early:0.25", "early:at=0.25", "early", "early:1", "if")
    ]
    assert counts[0] == counts[1] > counts[2] > counts[3] == counts[4]
    summary = run(tmp_path, "option", "--neuron", "early:at=0.25")
    assert summary["settings"]["neuron"] == "early:at=0.25"
    errors.cases(network, images, steps=4, neuron="early:0.25")
    with pytest.raises(InputError, match="early.*at: expected a number from 0.01 to 1, found 2"):
        simulate(network, images, neuron="early:2")
    assert main(["--plugin", plugin("option"), "--neuron", "early:speed=2"]) == 2
    assert "values for its options (at)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--plugin", plugin("option"), "--help"])


def test_an_order(tmp_path):
    load_plugins(plugin("order"))
    network, images = sample(1)
    options = dict(steps=4, engine="event")
    ours = simulate(network, images, order="turns:3", **options)
    fifo = simulate(network, images, **options)
    one = simulate(network, images, order="turns:1", **options)
    assert np.array_equal(one.batch.digests[:, 1], fifo.batch.digests[:, 1])
    assert not np.array_equal(ours.batch.digests, fifo.batch.digests)
    summary = run(tmp_path, "order", "--engine", "event", "--order", "turns:3")
    assert "Turns" in summary["semantics"]["order"]
    asynchronism.measure(network, images, steps=2, order="turns:3")


def test_an_encoding(tmp_path):
    load_plugins(plugin("encoding"))
    network, images = sample()
    flat = simulate(network, images, steps=4, encoding="fading:1")
    constant = simulate(network, images, steps=4)
    assert np.array_equal(flat.batch.readout, constant.batch.readout)
    fading = simulate(network, images, steps=4, encoding="fading:2")
    assert fading.spikes[:, 0, 0].sum() > constant.spikes[:, 0, 0].sum()
    events = simulate(
        network, images, steps=4, encoding="fading:2", engine="event", order="clocked"
    )
    assert np.array_equal(fading.batch.readout, events.batch.readout)
    summary = run(tmp_path, "encoding", "--encoding", "fading:2")
    assert summary["semantics"]["drive"].startswith("fading")
    errors.decompose(network, images, steps=4, encoding="fading:2")


def test_a_threshold_rule(tmp_path):
    load_plugins(plugin("threshold_rule"))
    calibration = eventsnn.load_images("sample", split="train", limit=16)
    network = convert(eventsnn.load("sample"), thresholds="spread", calibration=calibration)
    usual, images = sample()
    assert [x.theta for x in network.spiking] != [x.theta for x in usual.spiking]
    summary = run(tmp_path, "threshold_rule", "--thresholds", "spread")
    assert "three deviations" in json.dumps(summary)
    errors.decompose(network, images, steps=4)


def test_a_reader(tmp_path):
    rng = np.random.default_rng(0)
    dense = [
        [rng.normal(0, 0.4, (8, 4)).tolist(), rng.normal(0, 0.1, 8).tolist()],
        [rng.normal(0, 0.4, (3, 8)).tolist(), [0.0, 0.0, 0.0]],
    ]
    net, data = tmp_path / "net.json", tmp_path / "data.npz"
    net.write_text(json.dumps({"dense": dense, "shape": [1, 2, 2]}))
    pixels = rng.random((5, 1, 2, 2), np.float32)
    np.savez(data, images=pixels, labels=np.arange(5) % 3)
    load_plugins(plugin("reader"))
    graph = eventsnn.load(net)
    hidden = np.maximum(pixels.reshape(5, 4) @ np.array(dense[0][0]).T + dense[0][1], 0)
    expected = hidden @ np.array(dense[1][0]).T
    assert np.allclose(eventsnn.ann.forward.predict(graph, pixels), expected, atol=1e-5)
    given = ["--net", str(net), "--data", str(data), "--thresholds", "max"]
    summary = run(tmp_path, "reader", *given, "--calibration", "test:0-4")
    assert summary["network"]["arch"] == "dense"
    network = convert(graph, thresholds="max", calibration=pixels)
    errors.decompose(network, pixels, steps=4)


def test_an_exporter(tmp_path):
    given = ["--engine", "event", "--trace", "spikes", "--trace-images", "2"]
    for _ in range(2):  # the second run finds the first one's files
        summary = run(tmp_path, "exporter", *given, "--export", "spike-table")
    with open(tmp_path / "r" / "spikes-0.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    network, images = sample(1)
    result = simulate(network, images, steps=4, engine="event")
    assert len(rows) == result.spikes.sum() == len(result.trace().spikes)
    assert (tmp_path / "r" / "spikes-1.csv").exists() and summary["images"]
    trace = tmp_path / "r" / "trace-0.h5"
    (tmp_path / "again").mkdir()
    eventsnn.export.write("spike-table", trace, tmp_path / "again")
    assert (tmp_path / "again" / "spikes-0.csv").read_text() == (
        tmp_path / "r" / "spikes-0.csv"
    ).read_text()


def test_an_engine(tmp_path):
    load_plugins(plugin("engine"))
    network, images = sample(2)
    for options in ({}, {"neuron": "snm"}, {"srp": 2}):
        ours = simulate(network, images, steps=3, engine="plain", neurons=True, **options).batch
        clocked = simulate(network, images, steps=3, neurons=True, **options).batch
        for name in ("readout", "spikes", "operations", "ties", "counts", "potentials", "t_eq"):
            assert np.array_equal(getattr(ours, name), getattr(clocked, name)), (options, name)
    summary = run(tmp_path, "engine", "--engine", "plain")
    assert summary["semantics"]["engine"] == "plain"
    one = errors.decompose(network, images, steps=3, engine="plain")
    assert one.layers == errors.decompose(network, images, steps=3).layers


# --- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def (", "SyntaxError"),
        ("import eventsnn\neventsnn.register('model', 'mine', 3)", "neuron 'mine'"),
        ("import eventsnn\neventsnn.register('colour', 'mine', 3)", "a kind among engine"),
        ("import eventsnn\neventsnn.register('model', 'if', 3)", "eventsnn's own model"),
    ],
)
def test_a_plug_in_that_fails_is_one_line_and_status_2(source, match, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(source)
    assert main(["--plugin", str(path), "--out", str(tmp_path / "r")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert match in line and not (tmp_path / "r").exists()
    assert main(["--plugin", str(tmp_path / "none.py")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_the_file_is_part_of_a_run_s_identity(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(Path(plugin("encoding")).read_text())
    given = ["--plugin", str(path), "--limit", "1", "--steps", "2", "--quiet"]
    given += ["--encoding", "fading:2"]
    ids = []
    for out in ("a", "b"):
        assert main([*given, "--out", str(tmp_path / out)]) == 0
        ids.append(json.loads((tmp_path / out / "summary.json").read_text())["id"])
        registry_of("encoding").remove("fading")
        del sys.modules["eventsnn_plugin_mine"]
        path.write_text(path.read_text() + "\n# changed\n")
    assert ids[0] != ids[1]


@pytest.mark.slow
def test_a_package_adds_a_model_for_the_command_line(tmp_path):
    """Installed beside one that fails on import, which is nobody's business."""
    site = tmp_path / "site"
    for package, source, name in (
        ("mypackage", Path(plugin("model")).read_text(), "eager"),
        ("broken", "import nothing_of_that_name\n", "bad"),
    ):
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{package}.py").write_text(source.replace("eventsnn.register", "# "))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        points = f"[eventsnn.models]\n{name} = {package}:Eager\n"
        (info / "entry_points.txt").write_text(points)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}

    def command(neuron):
        given = ["--neuron", neuron, "--limit", "1", "--steps", "2", "--quiet", "--out"]
        return subprocess.run(
            [sys.executable, "-m", "eventsnn.run", *given, str(tmp_path / neuron)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    done = command("eager")
    assert (done.returncode, done.stderr) == (0, "")
    bad = command("bad")
    assert bad.returncode == 2 and "model 'bad' of broken (broken:Eager)" in bad.stderr
    assert len(bad.stderr.splitlines()) == 1
    forget_plugins()


def test_a_run_is_repeated_from_its_summary_and_from_toml(tmp_path, capsys):
    first = ["--limit", "2", "--steps", "3", "--neuron", "gn:3", "--report-steps", "1,3"]
    assert main([*first, "--quiet", "--out", str(tmp_path / "a")]) == 0
    old = json.loads((tmp_path / "a" / "summary.json").read_text())
    again = ["--settings", str(tmp_path / "a" / "summary.json"), "--quiet"]
    assert main([*again, "--out", str(tmp_path / "b")]) == 0
    new = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert (new["id"], new["settings"]) == (old["id"], old["settings"])
    toml = tmp_path / "run.toml"
    toml.write_text('limit = 2\nsteps = 3\nneuron = "gn:3"\nreport-steps = [1, 3]\n')
    assert main(["--settings", str(toml), "--quiet", "--out", str(tmp_path / "c")]) == 0
    assert json.loads((tmp_path / "c" / "summary.json").read_text())["id"] == old["id"]
    # what stands beside it counts more
    given = ["--settings", str(toml), "--steps", "4", "--report-steps", "4", "--quiet"]
    assert main([*given, "--out", str(tmp_path / "d")]) == 0
    assert json.loads((tmp_path / "d" / "summary.json").read_text())["settings"]["steps"] == 4
    for text, words in (
        ("stepz = 3", "did you mean steps?"),
        ("steps = ", "a file of options"),
        ('steps = "3"', "--steps: expected a whole number"),
        ("[steps]\nn = 3", "--steps: expected a whole number"),
    ):
        toml.write_text(text)
        capsys.readouterr()
        assert main(["--settings", str(toml)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line
    assert main(["--settings", str(tmp_path / "none.toml")]) == 2
