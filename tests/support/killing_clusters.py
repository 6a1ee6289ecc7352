"""Sweeps on Dask and on submitit's local jobs, killed at random moments, and their stores then.

    python -m support.killing_clusters FOLDER EXECUTOR MOMENTS SEED

EXECUTOR: "dask" or "slurm:local", of which the driver or any process below it is killed; or
"cluster", a scheduler and two workers of Dask of their own, of which one or the driver is killed.
The same command is given again and again until its sweep has ended, then a new one begins. It
prints who was killed how often, how many sweeps ended, and what was wrong, as JSON.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from support.killing_sweeps import children, plan_in, torn
from support.sweeping import arrays, differing

from eventsnn.sweep import sweep

ROOT = Path(__file__).parents[2]
ENDED = 1  # the status of a sweep that ended, in which one run failed


def start(*words, **more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True, **more)


def command(folder, store, executor, *more):
    words = (str(folder / "plan.toml"), "--store", str(store), "--executor", executor, "--quiet")
    return (sys.executable, "-m", "eventsnn", "sweep", *words, *more)


def descendants(pid):
    found = children(pid)
    return found + [other for one in found for other in descendants(one)]


def write_plan(plan, folder):
    """The plan of `plan_in` as the command line takes it."""
    (folder / "plan.toml").write_text(
        f"""images = {{size = 4}}
points = [{{order = "fifo"}}, {{order = "random"}}, {{max_events = 1}}]
[options]
net = "{plan.options["net"]}"
data = "{plan.options["data"]}"
steps = 4
engine = "event"
"""
    )


class Cluster:
    """A scheduler of Dask and two workers, each a process; those that were killed start anew."""

    def __init__(self, folder):
        self.folder, self.address = folder, folder / "scheduler.json"
        self.running = {}

    def up(self):
        where = ("--scheduler-file", str(self.address))
        if "scheduler" not in self.running or self.running["scheduler"].poll() is not None:
            self.down()
            self.address.unlink(missing_ok=True)
            words = ("distributed.cli.dask_scheduler", "--no-dashboard", "--port", "0")
            words = (sys.executable, "-m", *words, "--host", "127.0.0.1", *where)
            self.running["scheduler"] = self._start(words)
            while not self.address.exists():
                time.sleep(0.1)
        for name in ("worker 1", "worker 2"):
            if name not in self.running or self.running[name].poll() is not None:
                words = ("distributed.cli.dask_worker", "--no-dashboard", "--no-nanny")
                words = (sys.executable, "-m", *words, "--nthreads", "1", *where)
                self.running[name] = self._start(words)

    def _start(self, words):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        none = subprocess.DEVNULL
        return subprocess.Popen(words, env=environment, cwd=self.folder, stdout=none, stderr=none)

    def down(self):
        for process in self.running.values():
            process.kill()
            process.wait()
        self.running = {}


def killed(driver, cluster, rng):
    """Kills one process of a sweep, and says which it was; None where none was there.

    driver: the sweep's. cluster: a `Cluster`, or None.
    """
    if driver.poll() is not None:
        return None
    if cluster is None:
        below = descendants(driver.pid)
        whom = "driver" if not below or rng.random() < 0.3 else "process below"
        pid = driver.pid if whom == "driver" else rng.choice(below)
    else:
        whom = rng.choice(["driver", *cluster.running])
        pid = driver.pid if whom == "driver" else cluster.running[whom].pid
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    return whom.partition(" ")[0] if cluster else whom


def main(folder, executor, moments, seed):
    rng, plan = random.Random(seed), plan_in(folder)
    sweep(plan, folder / "reference", executor="serial", progress=False)
    write_plan(plan, folder)
    wanted, cluster = arrays(folder / "reference"), None
    more = ("--workers", "2")
    if executor == "cluster":
        cluster, more = Cluster(folder), ()
        executor = f"dask:{cluster.address}"
    kills, ended, wrong = Counter(), 0, []
    try:
        lasts = 10.0
        while sum(kills.values()) < moments and not wrong:
            store, status = folder / f"store{ended}", None
            while status != ENDED and not wrong:
                if cluster is not None:
                    cluster.up()
                began = time.monotonic()
                driver = start(*command(folder, store, executor, *more))
                if sum(kills.values()) < moments:
                    time.sleep(rng.uniform(0.1, 1.0) * lasts)
                    if whom := killed(driver, cluster, rng):
                        kills[whom] += 1
                words = driver.communicate(timeout=600)[1]
                status = driver.returncode
                if status == ENDED:
                    lasts = min(lasts, time.monotonic() - began)
                said = {2: words.count("\n") == 1, ENDED: "cells are there" in words}
                if status not in (ENDED, 2, -signal.SIGKILL) or not said.get(status, True):
                    wrong.append(f"status {status}: {words}")
                wrong += torn(wanted, store)
                print(f"{sum(kills.values())} kills", file=sys.stderr, flush=True)
            ended += 1
            wrong += differing(folder / "reference", store)
            shutil.rmtree(store)
    finally:
        if cluster is not None:
            cluster.down()
    print(json.dumps({"kills": kills, "ended": ended, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
