"""What a worker does with a cell: computes it, writes its chunks, says that it is done.

Whatever the executor, it calls `work` with a `Task`, which is small and can be pickled.
"""

from __future__ import annotations

import os
import platform
import time
import traceback
from typing import Any, NamedTuple

from eventsnn.exceptions import InputError, one_line
from eventsnn.plugins import register
from eventsnn.sweep.arrays import Chunks
from eventsnn.sweep.cells import ANN, Cell, Own
from eventsnn.sweep.computing import Bench
from eventsnn.sweep.store import KEPT, Store, own_versions

MOST = 4000  # characters of a traceback that are kept


class Task(NamedTuple):
    """A cell, and what a worker needs to know of its sweep.

    cell: which. store: the folder's absolute path, or None where nothing is written. row: the run's
    place in the store. origin: the position of the group's first image. folder: the driver's
    current folder, in which relative paths are meant. versions: the driver's. things: what the user
    registered in the driver's process, pickled. threads: of the cell (None: one a core).
    """

    cell: Cell
    store: str | None
    row: int
    origin: int
    folder: str
    versions: dict[str, str]
    things: bytes | None = None
    threads: int | None = None


class Done(NamedTuple):
    """What a worker says of a cell.

    id: of the cell. images: how many it has. seconds, before: of the simulation, and of what came
    before it. memory: bytes that the worker's process had at most. error: why it failed, or None.
    facts: of the run.
    """

    id: str
    images: int
    seconds: float
    before: float
    memory: int
    error: dict[str, Any] | None
    facts: dict[str, Any]


class _Worker:
    """What this process keeps from one cell to the next."""

    def __init__(self) -> None:
        self.benches: dict[int | None, Bench] = {}
        self.chunks: dict[tuple[str, str], Chunks] = {}
        self.versions = own_versions()
        self.things: bytes | None = None

    def bench(self, threads: int | None) -> Bench:
        if threads not in self.benches:
            self.benches = {threads: Bench(threads)}
        return self.benches[threads]

    def chunks_for(self, task: Task, store: str) -> Chunks:
        cell = task.cell
        key = (store, cell.group)
        end = cell.first - task.origin + cell.size
        if key not in self.chunks or not self.chunks[key].holds(task.row, end):
            self.chunks[key] = Chunks(Store(store).arrays, cell.group)
        return self.chunks[key]


_WORKER: list[_Worker] = []


def work(task: Task) -> Done:
    """Computes a cell and writes it; what is wrong with it is said in `Done`, and not raised.

    task: what to do. Raises InputError for a worker of another version of eventsnn, and OSError
    where the disk refuses: both concern more than the cell.
    """
    if not _WORKER:
        _WORKER.append(_Worker())
    worker = _WORKER[0]
    check_versions(task, worker.versions)
    if os.getcwd() != task.folder:
        os.chdir(task.folder)
    if task.things is not None and task.things != worker.things:
        register_all(task.things)
        worker.things = task.things
    cell = task.cell
    began = time.perf_counter()
    try:
        found = worker.bench(task.threads).compute(cell)
    except MemoryError as error:
        return _failed(cell, error, time.perf_counter() - began)
    except Exception as error:  # the cell's own, a model's of the user's among them
        return _failed(cell, error, time.perf_counter() - began)
    if task.store is not None:
        row = None if cell.row == ANN else task.row
        chunks = worker.chunks_for(task, task.store)
        chunks.write(row, cell.first - task.origin, found.arrays)
        record = {
            **{name: getattr(cell, name) for name in ("id", "group", "row", "first", "size")},
            "seconds": round(found.seconds, 6),
            "before": round(found.before, 6),
            "memory": memory(),
            "versions": {**worker.versions, "host": platform.node()},
            "facts": found.facts,
        }
        Store(task.store).finish(cell, record)
    return Done(cell.id, cell.size, found.seconds, found.before, memory(), None, found.facts)


def check_versions(task: Task, here: dict[str, str]) -> None:
    """Raises InputError where the driver's eventsnn is another than this process's.

    task: of the driver. here: the versions of this process.
    """
    for name in KEPT:
        if task.versions.get(name) != here[name]:
            what = "eventsnn" if name == "eventsnn" else "the state of eventsnn's own code"
            found = f"{here[name]} on {platform.node()}"
            do = "install the same eventsnn for the driver and for all workers"
            raise InputError(f"worker: {what}", task.versions.get(name), found, do)


def register_all(things: bytes) -> None:
    """Registers what the user registered in the driver's process. things: of `pickled`."""
    import cloudpickle

    for own in cloudpickle.loads(things):
        register(own.kind, own.name, own.thing)


def pickled(things: list[Own]) -> bytes | None:
    """Things of the user's own for other processes, with their code; None where there are none.

    things: those that the cells name. Raises InputError where the package for it is missing, and
    for a thing that cannot be sent.
    """
    if not things:
        return None
    try:
        import cloudpickle
    except ImportError:
        do = "pip install cloudpickle, or register it in a file and name that as plugin"
        where = f"{things[0].kind} {things[0].name!r}"
        raise InputError(where, "the package cloudpickle", "none", do) from None
    try:
        return bytes(cloudpickle.dumps(things))
    except Exception as error:  # whatever a thing holds
        words = one_line(f"{type(error).__name__}: {error}", 200)
        names = ", ".join(f"{own.kind} {own.name!r}" for own in things)
        do = "register it in a file and name that as plugin"
        raise InputError(names, "things that can be sent to workers", words, do) from None


def _failed(cell: Cell, error: BaseException, seconds: float) -> Done:
    """What is said of a cell that failed."""
    words = error.flags if isinstance(error, InputError) else str(error)
    record = {
        "kind": type(error).__name__,
        "message": one_line(words, 2000),
        "traceback": "".join(traceback.format_exception(error))[-MOST:],
        "host": platform.node(),
    }
    return Done(cell.id, cell.size, seconds, 0.0, memory(), record, {})


def memory() -> int:
    """Bytes that this process had at most; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if platform.system() == "Darwin" else 1024 * found
