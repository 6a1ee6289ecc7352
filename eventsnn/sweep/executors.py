"""Where cells run: one small surface, `Pool`, over executors of every kind.

`EXECUTORS` names what --executor takes. A row makes a Pool of the text behind the colon and of the
number of workers; what it needs is imported then.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import suppress
from importlib import import_module
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from eventsnn.exceptions import InputError
from eventsnn.registry import Registry
from eventsnn.simulation.simulation import cores


class Pool:
    """Where cells run; this one calls them in this very process, one after the other.

    Attributes: name: of the executor. workers: cells that run at once. lost: what a future raises
    whose worker is gone.
    """

    name = "serial"
    lost: tuple[type[BaseException], ...] = ()
    workers: int = 1

    def __repr__(self) -> str:
        return f"<Pool {self.name}, {self.workers} workers>"

    @property
    def threads(self) -> int | None:
        """Threads of a cell: the workers share this machine's cores.

        None: one for each core that its worker may use.
        """
        return max(1, cores() // self.workers)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """A future of function(*arguments). Both can be pickled."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # as an executor keeps it
            future.set_exception(error)
        return future

    def renew(self) -> None:
        """Workers in place of those that are gone."""

    def close(self, now: bool = False) -> None:
        """Ends the workers. now: also those at work, as after Ctrl-C."""


class Given(Pool):
    """Any executor of `concurrent.futures`, which stays open. executor: with `submit`."""

    name = "given"
    lost = (BrokenExecutor, CancelledError)

    def __init__(self, executor: Any) -> None:
        self.executor = executor
        self.workers = int(getattr(executor, "_max_workers", 0) or cores())

    @property
    def threads(self) -> int | None:
        """See `Pool.threads`. Workers of an unknown executor have cores of their own."""
        here = isinstance(self.executor, (ProcessPoolExecutor, ThreadPoolExecutor))
        return super().threads if here else None

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """See `Pool.submit`."""
        found: Future[Any] = self.executor.submit(function, *arguments)
        return found


class _Worker(SpawnProcess):
    """A process that does not run the driver's script again, as spawned ones do.

    So a script needs no `if __name__ == "__main__"`, and a study from standard input works.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802, the name is multiprocessing's
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class _Anew(SpawnContext):
    Process = _Worker


class Processes(Pool):
    """Processes of this machine. workers: how many (None: one a core).

    They are started anew (spawn), since a fork of a process with threads may hang.
    """

    name = "processes"
    lost = (BrokenExecutor,)

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()
        self.executor = self._made()

    def _made(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.workers, _Anew(), initializer=begin_worker)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """See `Pool.submit`."""
        return self.executor.submit(function, *arguments)

    def renew(self) -> None:
        """See `Pool.renew`."""
        self.close(now=True)
        self.executor = self._made()

    def close(self, now: bool = False) -> None:
        """See `Pool.close`."""
        processes = list((getattr(self.executor, "_processes", None) or {}).values())
        self.executor.shutdown(wait=not now, cancel_futures=True)
        for process in processes if now else ():
            with suppress(ValueError, OSError):
                process.kill()


def begin_worker() -> None:
    """What a worker's process does first: Ctrl-C is the driver's, which ends its workers.

    Where the driver was killed the worker ends: nobody would tell it that there is no more to do.
    """
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    driver = multiprocessing.parent_process()
    while driver is not None and driver.is_alive() and os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


class Kind(NamedTuple):
    """An executor that --executor names.

    words: for --help. make: function of (what stands behind the colon or "", workers or None, the
    store's folder), which returns a Pool; it raises InputError where it cannot.
    """

    words: str
    make: Callable[[str, int | None, Path], Pool]


def _alone(name: str, what: str) -> None:
    """Raises InputError for something behind the colon of an executor that takes nothing."""
    if what:
        raise InputError("executor", name, f"{name}:{what}", f"{name} has no options")


def _serial(what: str, workers: int | None, store: Path) -> Pool:
    _alone("serial", what)
    if workers not in (None, 1):
        raise InputError("workers", "1 for the executor serial", workers, "leave it out")
    return Pool()


def _processes(what: str, workers: int | None, store: Path) -> Pool:
    _alone("processes", what)
    return Processes(workers)


def _dask(what: str, workers: int | None, store: Path) -> Pool:
    pool: Pool = import_module("eventsnn.sweep.on_dask").Dask(what, workers)
    return pool


def _slurm(what: str, workers: int | None, store: Path) -> Pool:
    pool: Pool = import_module("eventsnn.sweep.on_slurm").Slurm(what, workers, store)
    return pool


def _mpi(what: str, workers: int | None, store: Path) -> Pool:
    _alone("mpi", what)
    pool: Pool = import_module("eventsnn.sweep.on_mpi").Mpi(workers)
    return pool


def _check(name: str, kind: Any) -> None:
    """Raises InputError for what is no `Kind`."""
    if not callable(getattr(kind, "make", None)) or not hasattr(kind, "words"):
        expected = "an eventsnn.sweep.executors.Kind"
        raise InputError(f"executor {name!r}", expected, type(kind).__name__)


EXECUTORS: Registry[Any] = Registry(
    "executor",
    {
        "processes": Kind("processes of this machine (default)", _processes),
        "serial": Kind("one after the other, in the driver's own process", _serial),
        "dask": Kind(
            "workers of Dask: dask starts some here, dask:ADDRESS takes a cluster's", _dask
        ),
        "slurm": Kind("jobs of Slurm, --workers many: slurm:partition=short,mem_gb=4", _slurm),
        "mpi": Kind("processes of MPI, as mpiexec starts them", _mpi),
    },
    _check,
)


def package(name: str, extra: str, executor: str) -> Any:
    """A package that an executor needs. name: of its module. extra: of eventsnn, which brings it.

    executor: its name. Raises InputError where the package is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        do = f"pip install {package}, or eventsnn with its extras sweep and {extra}"
        raise InputError(f"executor {executor}", f"the package {name}", "none", do) from None


def pool_of(given: str | Executor | Pool, workers: int | None, store: Path) -> Pool:
    """The Pool that an option names.

    given: a name of EXECUTORS, with what it takes behind a colon; a Pool; or an executor of
    `concurrent.futures`. workers: cells that run at once (None: as many as the executor likes).
    store: the store's folder. Raises InputError for what is none of these, and for an executor that
    cannot be had.
    """
    if isinstance(given, Pool):
        return given
    if isinstance(given, str):
        name, _, what = given.partition(":")
        kind = EXECUTORS.find(name, "executor")
        pool: Pool = kind.make(what, workers, store)
        return pool
    if not callable(getattr(given, "submit", None)):
        raise InputError("executor", f"one of {', '.join(EXECUTORS)}", repr(given))
    if workers is not None:
        raise InputError("workers", "none beside an executor's own", workers, "leave it out")
    return Given(given)
