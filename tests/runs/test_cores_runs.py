"""What a run under cores leaves, prints and says again (semantics, section 12)."""

import json
import shutil

import h5py
import numpy as np
import pytest

import eventsnn
from eventsnn import InputError
from eventsnn.run import main
from eventsnn.runs.command import command_of
from eventsnn.settings import Settings
from eventsnn.sweep import layout
from eventsnn.sweep.arrays import OF_CORES, VARIABLES
from eventsnn.sweep.computing import arrays_of

TIMES = ["--service", "0.0009765625,0.0009765625", "--latency", "0.25", "--arbitration", "random"]
RUN = ["--engine", "event", "--order", "cores", *TIMES, "--limit", "3", "--steps", "2"]
ARRAYS = ("busy", "longest_queue", "undelivered", "ended", "latency")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(the folder, what was printed, the same in Python)."""
    out = tmp_path_factory.mktemp("runs") / "r"
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words, **_: said.append(" ".join(map(str, words))))
        assert main([*RUN, "--batch", "2", "--out", str(out)]) == 0
    network = eventsnn.convert(eventsnn.load("sample"))
    result = eventsnn.simulate(
        network,
        eventsnn.load_images("sample", limit=3),
        steps=2,
        engine="event",
        order="cores",
        service=(1 / 1024, 1 / 1024),
        latency=0.25,
        arbitration="random",
    )
    return out, "\n".join(said), result


def test_the_folder_has_what_the_cores_did(run):
    folder, _, result = run
    results = eventsnn.open_results(folder)
    cores = results.cores
    for name in ARRAYS:
        assert np.array_equal(cores[name], getattr(result.batch, name)), name
    for image in range(3):
        mine = cores["changes"][cores["changes"][:, 0] == image, 1:]
        for tick, found in mine:
            assert found == result.predictions_by(int(tick))[image]
        assert mine[-1, 0] == result.latency[image] and (np.diff(mine[:, 0]) > 0).all()
    assert "ticks" in results.contents()["cores/busy"]
    told = results.summary["cores"]
    assert told["mean_latency"] == result.latency.mean()
    assert told["largest_latency"] == result.latency.max()
    assert told["mean_end"] == result.batch.ended.mean() and told["ticks_per_step"] == 1024
    busiest = max(result.cores(), key=lambda row: row["busy"])
    assert told["busiest"] == busiest["layer"]
    assert told["busy_of_busiest"] == pytest.approx(busiest["busy"])
    for row in result.cores():
        (mine,) = (its for its in results.layers if its["layer"] == row["layer"])
        assert {key: mine[key] for key in row} == pytest.approx(row)


def test_what_is_printed(run):
    _, said, result = run
    assert "busy    queue" in said and "undelivered" not in said
    latency = f"{result.latency.mean():,.0f} ticks"
    assert f"cores: a run ends after {result.batch.ended.mean() / 1024:,.2f} steps" in said
    assert latency in said and "in service" in said


def test_the_command_makes_the_run_again(run, tmp_path):
    folder, *_ = run
    settings = eventsnn.open_results(folder).settings
    words = command_of({**settings, "limit": 3})
    again = [word for word in words if word in RUN]
    assert again[: len(TIMES)] and all(word in words for word in TIMES)
    assert "--service" not in command_of(Settings().outcome())
    assert main(["--settings", str(folder / "summary.json"), "--out", str(tmp_path / "b")]) == 0
    other = eventsnn.open_results(tmp_path / "b")
    assert np.array_equal(other.cores["busy"], eventsnn.open_results(folder).cores["busy"])
    assert other.summary["id"] == eventsnn.open_results(folder).summary["id"]
    ids = {
        Settings(engine="event", order="cores", **more).id("a")
        for more in ({}, {"latency": 1.0}, {"service": (0.0, 1.0)}, {"arbitration": "index"})
    }
    assert len(ids) == 4


def test_the_report_has_the_cores(run, tmp_path):
    folder, *_ = run
    shutil.copytree(folder, tmp_path / "r")
    eventsnn.report(tmp_path / "r")
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert "core is in service" in page and "Cores: a run ends after" in page
    assert "--service 0.0009765625,0.0009765625" in page


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("cores/busy", lambda x: -x - 1, "/cores/busy: expected numbers from 0"),
        ("cores/ended", lambda x: x[:2], "/cores/ended: expected"),
        ("cores/changes", lambda x: x + 3, "/cores/changes: expected"),
        ("cores/latency", lambda x: x.astype("f8"), "/cores/latency: expected"),
    ],
)
def test_damage_is_named(name, change, words, run, tmp_path):
    folder, *_ = run
    shutil.copytree(folder, tmp_path / "r")
    with h5py.File(tmp_path / "r" / "run.h5", "r+") as file:
        values = change(file[name][()])
        del file[name]
        file[name] = values
    with pytest.raises(InputError, match=words):
        eventsnn.open_results(tmp_path / "r")


def test_free_running_says_what_was_on_its_way(tmp_path, capsys):
    slow = ["--service", "0,0.0009765625", "--free-running", "--limit", "2", "--steps", "2"]
    out = ["--out", str(tmp_path / "r")]
    assert main(["--engine", "event", "--order", "cores", *slow, *out]) == 0
    said = capsys.readouterr().out
    assert "undelivered" in said and "as input comes faster than cores serve" in said
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["cores"]["undelivered_per_image"] > 0
    assert summary["cores"]["mean_end"] == 2048


def test_a_store_of_a_sweep_keeps_them(run):
    *_, result = run
    found = arrays_of(result.simulation, result.batch)
    for name in OF_CORES:
        assert np.array_equal(found[name], getattr(result.batch, name)) and name in VARIABLES
    kept = set(layout._optional({"engine": "event", "order": "cores"}))
    assert kept == {"order_digests", *OF_CORES}
    assert not kept & set(layout._optional({"engine": "clocked"}))
