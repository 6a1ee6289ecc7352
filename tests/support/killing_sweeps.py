"""Sweeps killed at random moments, and what is in their stores then.

    python -m support.killing_sweeps FOLDER WHOM MOMENTS SEED

It forks drivers of a small sweep, so that a driver is at work at once, and kills WHOM with SIGKILL:
"driver", "worker", "all" (both at once), or "call": the driver, in the midst of a call by which it
puts something on the disk. It prints what it did, as JSON, and what was wrong.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from support.sweeping import arrays, differing, study

from eventsnn.sweep import Plan, sweep, working
from eventsnn.sweep.executors import Processes
from eventsnn.sweep.store import Store

LAST = 10**9  # a call that nobody gets to


class Forked(Processes):
    """Processes that are forked, and so at work at once."""

    def _made(self):
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        from eventsnn.sweep.executors import begin_worker

        context = multiprocessing.get_context("fork")
        return ProcessPoolExecutor(self.workers, context, initializer=begin_worker)


def plan_in(folder):
    """A small sweep: 3 runs and the ANN on 12 images, 12 cells; one run fails in two cells."""
    return Plan(
        options={**study(folder), "engine": "event"},
        images={"size": 4},
        points=[{"order": "fifo"}, {"order": "random"}, {"max_events": 1}],
    )


def fork(function, *arguments):
    """The pid of a child that calls a function and ends: with status 0 where it returned."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setpgid(0, 0)
        vars(working._THREAD).clear()  # whose threads are not in the child
        function(*arguments)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def drive(plan, store, workers):
    sweep(plan, store, executor=Forked(workers) if workers else "serial", progress=False)


def drive_up_to(plan, store, call):
    """Drives, and dies in the midst of the call-th call that puts something on the disk.

    Where it lives on, it writes how many there were into a file beside the store.
    """
    count = 0
    replace, fsync = os.replace, os.fsync

    def dying(real, cut):
        def called(*given, **more):
            nonlocal count
            count += 1
            if count == call:
                if cut and Path(given[0]).is_file():
                    os.truncate(given[0], os.path.getsize(given[0]) // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*given, **more)

        return called

    os.replace, os.fsync = dying(replace, True), dying(fsync, False)
    sweep(plan, store, executor="serial", progress=False)
    store.with_suffix(".calls").write_text(str(count))


def children(pid):
    """The processes that a process began, in whichever thread."""
    found = []
    for path in Path("/proc").glob(f"{pid}/task/*/children"):
        with suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def torn(reference, store):
    """Arrays with numbers of a cell that counts as done and are not those of the reference."""
    if Store(store).read() is None:
        return []
    there, wanted = arrays(store)["net"], reference["net"]
    done = there["done"]
    found = [] if not (done & ~wanted["done"]).any() else ["a cell that fails is done"]
    for name, values in there.items():
        if values.shape[:2] == done.shape and name != "done":
            if not np.array_equal(
                values[done], wanted[name][done], equal_nan=values.dtype == float
            ):
                found.append(name)
    return found


def status_of(pid):
    """The status of a child, which is waited for."""
    return os.waitpid(pid, 0)[1]


def kill(whom, pid, rng):
    """Kills a driver, one of its workers, or all of them; returns how many were there."""
    workers = children(pid)
    if whom == "worker":
        victims = rng.sample(workers, min(1, len(workers)))
    else:
        victims = [pid] + (workers if whom == "all" else [])
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    return len(victims)


def at_moments(plan, folder, whom, moments, rng):
    """(kills, sweeps that ended, what was wrong) of kills at random moments."""
    reference, wanted = folder / "reference", arrays(folder / "reference")
    workers = 0 if whom == "driver" else 2
    began = time.monotonic()
    wrong = [
        f"status {status}"
        for status in [status_of(fork(drive, plan, folder / "whole", workers))]
        if status
    ]
    lasts = time.monotonic() - began
    kills = ended = 0
    while kills < moments:
        store, status = folder / f"store{ended}", 1
        while status:
            pid = fork(drive, plan, store, workers)
            time.sleep(rng.uniform(0, lasts))
            kills += kill(whom, pid, rng) > 0
            status = status_of(pid)
            wrong += torn(wanted, store)
            if status not in (0, signal.SIGKILL):
                return kills, ended, [*wrong, f"status {status}"]
        ended += 1
        wrong += differing(reference, store)
        shutil.rmtree(store)
    return kills, ended, wrong


def at_calls(plan, folder, moments, rng):
    """(kills, sweeps that ended, what was wrong) of kills in the midst of calls."""
    reference, wanted = folder / "reference", arrays(folder / "reference")
    wrong = [] if status_of(fork(drive_up_to, plan, folder / "whole", LAST)) == 0 else ["status"]
    count = int((folder / "whole.calls").read_text())
    calls = rng.sample(range(1, count + 1), min(moments, count))
    for call in calls:
        store = folder / f"store{call}"
        if status_of(fork(drive_up_to, plan, store, call)) != signal.SIGKILL:
            wrong.append(f"call {call} was not killed")
        wrong += torn(wanted, store)
        if status_of(fork(drive, plan, store, 0)) != 0:
            wrong.append(f"call {call}: the same command does not go on")
        wrong += differing(reference, store)
        shutil.rmtree(store)
    return len(calls), len(calls), wrong


def main(folder, whom, moments, seed):
    rng, plan = random.Random(seed), plan_in(folder)
    found = sweep(plan, folder / "reference", executor="serial", progress=False)
    assert (found.done, found.failed) == (9, 3), found
    if whom == "call":
        told = at_calls(plan, folder, moments, rng)
    else:
        told = at_moments(plan, folder, whom, moments, rng)
    print(json.dumps(dict(zip(("kills", "ended", "wrong"), told))))


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
