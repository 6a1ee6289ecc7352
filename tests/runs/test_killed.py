"""kill -9 at file-system operations of a run: the same command then ends as if nothing had been.

Of a few operations here; of all of them with `pytest -m long`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import eventsnn
from eventsnn.run import main
from eventsnn.runs.folder import Folder

TESTS = Path(__file__).parents[1]
FILES = TESTS / "files" / "written"
RUN = ["--net", str(FILES / "net.h5"), "--data", str(FILES / "data.npz"), "--limit", "3"]
RUN += ["--steps", "3", "--engine", "event", "--order", "random", "--neuron", "snm"]
RUN += ["--batch", "1", "--quiet"]
TRACED = [*RUN, "--trace", "spikes"]


def killed(tmp_path, arguments, points=None, before=None):
    """What the harness says, from a process of its own, which it can copy."""
    told = {"home": str(tmp_path), "arguments": arguments, "points": points, "before": before}
    paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "support.killing", json.dumps(told)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_run_that_is_killed_at_some_operations_ends_all_the_same(tmp_path):
    """In between, half way through a write, and where results are moved to their place."""
    found = killed(tmp_path, TRACED, [0.1, 0.3, 0.505, 0.52, 0.7], ["--seed", "5"])
    assert found["differ"] == []
    assert found["operations"] > 200 and found["tried"] == 5


@pytest.mark.long
@pytest.mark.parametrize("arguments", [RUN, TRACED])
@pytest.mark.parametrize("before", [None, ["--seed", "5"]])
def test_a_run_that_is_killed_at_any_operation_ends_all_the_same(tmp_path, arguments, before):
    found = killed(tmp_path, arguments, None, before)
    assert found["differ"] == []
    assert found["tried"] > found["operations"] > 100


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("place", ["before it moves it away", "half removed"])
def test_what_a_run_had_not_removed_yet_goes_with_the_same_command(tmp_path, monkeypatch, place):
    """Killed behind the move of its results, it is finished already, and only clears up."""
    monkeypatch.chdir(tmp_path)
    remove, rmtree = Folder._remove, "eventsnn.runs.folder.shutil.rmtree"

    def stop(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        if place == "half removed":
            patched.setattr(
                Folder, "_remove", lambda self: patched.setattr(rmtree, stop) or remove(self)
            )
        else:
            patched.setattr(Folder, "_remove", stop)
        with pytest.raises(Killed):
            main([*RUN, "--out", "r"])
    assert len(os.listdir()) == 2
    results = eventsnn.open_results("r").summary
    assert main([*RUN, "--out", "r"]) == 0
    assert os.listdir() == ["r"]
    assert eventsnn.open_results("r").summary == results
    assert main([*RUN, "--out", "r"]) == 0


def test_another_runs_batches_stay_beside_finished_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*RUN, "--out", "r"]) == 0
    add = Folder.add

    def stop(self, start, batch, seconds):
        add(self, start, batch, seconds)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "add", stop)
        assert main([*RUN, "--seed", "5", "--overwrite", "--out", "r"]) == 130
    there = sorted(os.listdir("r.partial"))
    assert main([*RUN, "--out", "r"]) == 0
    assert sorted(os.listdir("r.partial")) == there and "part-0-1.npz" in there
