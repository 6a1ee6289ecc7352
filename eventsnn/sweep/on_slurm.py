"""Cells on jobs of Slurm, by submitit; each job is a worker and makes many cells."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from eventsnn.exceptions import InputError, one_line
from eventsnn.simulation.simulation import cores
from eventsnn.sweep.executors import Pool, package
from eventsnn.sweep.lease import age_of
from eventsnn.sweep.spool import LOOKS, PATIENCE, Serve, answer, write

TOUCHED = 5.0  # seconds between signs of the driver
ENDED = 20.0  # seconds that jobs have to end
OLD = 3600.0  # seconds after which what a driver left counts as left
MINUTES = 60  # of a job, where nothing is said; it goes on as a new one
WORDS = "slurm:NAME=VALUE,… as submitit has them, or slurm:local"


class JobLost(BrokenExecutor):
    """A job ended, and its calls have no answer."""


class _Call(NamedTuple):
    """A call that a job has. place: its file. future: its answer's."""

    place: Path
    future: Future[Any]


class _Job:
    """A job. job: submitit's. folder: its calls'."""

    def __init__(self, job: Any, folder: Path) -> None:
        self.job = job
        self.folder = folder
        self.calls: list[_Call] = []
        self.ended: float | None = None


class Slurm(Pool):
    """Jobs of Slurm.

    what: parameters of submitit, "NAME=VALUE,…", such as partition=short, timeout_min=240,
    cpus_per_task=4, mem_gb=8; before them "local", for jobs on this machine. workers: how many jobs
    (None: one a core of this machine; of Slurm it must be said). store: the store's folder, which
    all jobs can write.

    A job that Slurm ends for its time, or for others, is queued anew and goes on. Raises InputError
    where the package or Slurm is missing, and for parameters that submitit does not have.
    """

    name = "slurm"
    lost = (JobLost,)

    def __init__(
        self, what: str, workers: int | None, store: Path, patience: float = PATIENCE
    ) -> None:
        submitit = package("submitit", "slurm", self.name)
        self.local, parameters = parameters_of(what)
        if workers is None and not self.local:
            raise InputError("workers", "a number of jobs for Slurm", "none", "for example 20")
        self.workers = workers or cores()
        self.patience = patience
        root = store.resolve() / "slurm"
        _tidy(root)
        self.folder = root / uuid.uuid4().hex
        self.folder.mkdir(mode=0o700, parents=True)  # what is in it is unpickled
        (self.folder / "logs").mkdir()
        self._touch()
        cluster = "local" if self.local else "slurm"
        long = {"timeout_min": 10**5 if self.local else MINUTES}
        try:
            self.executor = submitit.AutoExecutor(
                self.folder / "logs", cluster, **{f"{cluster}_max_num_timeout": 10**4}
            )
            self.executor.update_parameters(name="eventsnn", **{**long, **parameters})
        except Exception as error:  # whatever submitit says of them
            shutil.rmtree(self.folder, ignore_errors=True)
            found = one_line(f"{type(error).__name__}: {error}", 200)
            raise InputError(
                "executor slurm", "Slurm, and parameters that submitit has", found
            ) from None
        self.jobs: list[_Job] = []
        self.count = 0
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._start()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def threads(self) -> int | None:
        """See `Pool.threads`."""
        return super().threads if self.local else None

    def _start(self) -> None:
        """Starts jobs until there are as many as there should be."""
        while len(self.jobs) < self.workers:
            self.count += 1
            folder = self.folder / str(self.count)
            folder.mkdir()
            try:
                job = self.executor.submit(Serve(str(self.folder), self.count, self.patience))
            except Exception as error:  # of sbatch
                found = one_line(f"{type(error).__name__}: {error}", 200)
                raise InputError("executor slurm", "a job that Slurm takes", found) from None
            self.jobs.append(_Job(job, folder))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """See `Pool.submit`. Raises JobLost where no job is left."""
        future: Future[Any] = Future()
        with self._lock:
            there = [job for job in self.jobs if job.ended is None]
            if not there:
                raise JobLost("all jobs have ended")
            job = min(there, key=lambda its: len(its.calls))
            self.count += 1
            place = job.folder / f"{self.count:09d}.in"
            job.calls.append(_Call(place, future))
            write(place, (function, arguments))
        return future

    def renew(self) -> None:
        """See `Pool.renew`."""
        with self._lock:
            self.jobs = [job for job in self.jobs if job.ended is None]
            self._start()

    def _watch(self) -> None:
        """Hears the jobs' answers, and says that the driver is there."""
        touched = time.monotonic()
        while not self._ended.wait(LOOKS):
            if time.monotonic() - touched > TOUCHED:
                touched = time.monotonic()
                with suppress(OSError):
                    self._touch()
            with self._lock:
                jobs = list(self.jobs)
            for job in jobs:
                self._hear(job)

    def _hear(self, job: _Job) -> None:
        """Takes a job's answers, and notes where it has ended."""
        with suppress(Exception):  # of sacct
            if job.ended is None and job.job.done():
                job.ended = time.monotonic()
        with self._lock:
            calls = list(job.calls)
        for call in calls:
            found = answer(call.place)
            if found is None and job.ended is None:
                continue
            with self._lock:
                job.calls.remove(call)
            returned, thing = found or (False, JobLost(f"job {job.job.job_id} has ended"))
            if returned:
                call.future.set_result(thing)
            else:
                call.future.set_exception(thing)
            for suffix in (".in", ".out"):
                with suppress(OSError):
                    call.place.with_suffix(suffix).unlink()

    def _touch(self) -> None:
        (self.folder / "driver").touch()

    def close(self, now: bool = False) -> None:
        """See `Pool.close`."""
        self._ended.set()
        self._thread.join()
        for job in self.jobs:
            shutil.rmtree(job.folder, ignore_errors=True)  # which ends it
            if now:
                with suppress(Exception):
                    job.job.cancel(check=False)
        until = time.monotonic() + (ENDED if self.local else 0.0)
        while time.monotonic() < until and not all(job.job.done() for job in self.jobs):
            time.sleep(LOOKS)
        if self.local:
            shutil.rmtree(self.folder, ignore_errors=True)


def parameters_of(what: str) -> tuple[bool, dict[str, Any]]:
    """(whether jobs run on this machine, submitit's parameters). what: as for `Slurm`.

    Raises InputError for what is no parameter.
    """
    words = what.split(",") if what else []
    local = words[:1] == ["local"]
    found: dict[str, Any] = {}
    for word in words[local:]:
        name, equals, text = word.partition("=")
        if not (equals and name.isidentifier() and text):
            raise InputError("executor slurm", WORDS, repr(word), "for example slurm:mem_gb=8")
        found[OWN.get(name, name)] = int(text) if text.isascii() and text.isdecimal() else text
    return local, found


# what is Slurm's alone, as submitit wants it
OWN = {
    name: f"slurm_{name}"
    for name in ("account", "array_parallelism", "constraint", "exclude", "exclusive", "mem",
                 "partition", "qos", "time")
}  # fmt: skip


def _tidy(root: Path) -> None:
    """Removes what drivers left that were killed long ago. root: of all spools of a store."""
    for folder in root.glob("*"):
        seen = age_of(folder / "driver")
        seen = age_of(folder) if seen is None else seen  # of one that is just being made
        if seen is not None and seen > OLD:
            shutil.rmtree(folder, ignore_errors=True)
