"""Nothing is lost: kill -9 at random moments, and the same command goes on to the same store."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from support.sweeping import arrays, differing

from eventsnn.exceptions import InputError

pytest.importorskip("zarr")
pytest.importorskip("xarray")

from support import killing_sweeps as killing  # noqa: E402

from eventsnn.sweep import driver, sweep  # noqa: E402
from eventsnn.sweep.lease import Lease, holder  # noqa: E402

TESTS = Path(__file__).parents[1]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """(folder, plan), with the store of the whole sweep in the folder."""
    folder = tmp_path_factory.mktemp("killed")
    plan = killing.plan_in(folder)
    sweep(plan, folder / "reference", executor="serial", progress=False)
    return folder, plan


@forks
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_driver_killed_in_the_midst_of_a_call_loses_nothing(reference):
    folder, plan = reference
    assert killing.at_calls(plan, folder, 2, random.Random(1)) == (2, 2, [])


@forks
@pytest.mark.long
@pytest.mark.parametrize(
    "whom, moments", [("driver", 40), ("all", 30), ("worker", 30), ("call", 60)]
)
def test_a_sweep_killed_at_random_moments_loses_nothing(tmp_path, whom, moments):
    command = [
        sys.executable,
        "-m",
        "support.killing_sweeps",
        str(tmp_path),
        whom,
        str(moments),
        "7",
    ]
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] >= moments and found["ended"] and found["wrong"] == []


def test_what_a_killed_driver_left_half_written_is_no_cell(reference, tmp_path):
    folder, plan = reference
    sweep(plan, tmp_path / "store", executor="serial", part=(1, 2), progress=False)
    left = arrays(tmp_path / "store")["net"]["done"]
    assert left.any() and not left.all()
    cells = tmp_path / "store" / "cells" / "00"
    cells.mkdir(exist_ok=True)
    (cells / f".{'0' * 32}.done.5f").write_text('{"id": "0')
    chunks = tmp_path / "store" / "arrays.zarr" / "net" / "spikes" / "c" / "2" / "2" / "0"
    chunks.mkdir(parents=True, exist_ok=True)
    (chunks / "0.5f.partial").write_bytes(b"half a chu")
    (tmp_path / "store" / "arrays.zarr" / "net" / "zarr.5f.partial").write_bytes(b"{")
    assert (arrays(tmp_path / "store")["net"]["done"] == left).all()
    sweep(plan, tmp_path / "store", executor="serial", progress=False)
    assert differing(folder / "reference", tmp_path / "store") == []


@pytest.mark.parametrize("expired", [False, True])
def test_of_drivers_that_come_at_once_one_gets_the_lease(tmp_path, expired):
    got, refused, all_there = [], [], threading.Barrier(6)
    if expired:
        with Lease(tmp_path) as before:
            os.replace(before._part(), tmp_path / "kept")
        os.replace(tmp_path / "kept", tmp_path / "lease.json")
        os.utime(tmp_path / "lease.json", (1.0, 1.0))

    def come():
        all_there.wait()
        try:
            with Lease(tmp_path):
                got.append(1)
                ended.wait(30)
        except InputError as error:
            refused.append(str(error))

    ended = threading.Event()
    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while len(got) + len(refused) < 6 and time.monotonic() < until:
        time.sleep(0.01)
    ended.set()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 5)
    assert "expected no other driver at work, found" in refused[0]
    assert list(tmp_path.iterdir()) == []


def test_a_lease_that_expired_is_taken_over_and_its_holder_told(tmp_path):
    with Lease(tmp_path, lasts=0.1, renewed=0.3) as slow:
        time.sleep(0.2)
        with Lease(tmp_path, lasts=0.1, renewed=0.02):
            until = time.monotonic() + 30
            while slow.taken_over is None and time.monotonic() < until:
                time.sleep(0.01)
            with pytest.raises(InputError, match="expected this driver's lease, found process"):
                slow.check()
            assert holder(tmp_path / "lease.json") is not None
    assert not (tmp_path / "lease.json").exists()


def test_a_lease_of_a_process_that_was_killed_counts_no_more(tmp_path):
    pid = os.fork() if hasattr(os, "fork") else pytest.skip("it forks")
    if not pid:
        Lease(tmp_path).__enter__()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert (tmp_path / "lease.json").exists()
    with Lease(tmp_path):
        pass


def test_a_second_driver_is_told_and_harmless_anyway(reference, tmp_path, monkeypatch):
    folder, plan = reference
    store = tmp_path / "store"
    with Lease(store):
        with pytest.raises(InputError, match="no other driver at work, found process"):
            sweep(plan, store, executor="serial", progress=False)
    monkeypatch.setattr(driver, "Lease", lambda *given, **named: nullcontext(Lease(store)))
    wrong = []

    def drive():
        try:
            sweep(plan, store, executor="serial", progress=False)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=drive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert differing(folder / "reference", store) == []
