"""What a worker does with a cell: computes it, writes its chunks, says that it is done.

Whatever the executor, it calls `work` with a `Task`, which is small and can be pickled.
"""

from __future__ import annotations

import platform
import threading
import time
import traceback
from typing import Any, NamedTuple

from eventsnn.exceptions import InputError, one_line
from eventsnn.sweep.arrays import Chunks, needed
from eventsnn.sweep.cells import ANN, Cell
from eventsnn.sweep.computing import Bench
from eventsnn.sweep.store import KEPT, Store, own_versions
from eventsnn.sweep.studies import variables_of
from eventsnn.sweep.surroundings import SURROUNDINGS

MOST = 4000  # characters of a traceback that are kept


class Task(NamedTuple):
    """A cell, and what a worker needs to know of its sweep.

    cell: which. store: the folder's absolute path, or None where nothing is written. row: the run's
    place in the store. origin: the position of the group's first image. folder: the driver's
    current folder, in which relative paths are meant. versions: the driver's. driver: its process,
    as `process` has it. things: what the user registered in the driver's process, pickled. own:
    digits for what the run has of the user's own. plugin: digits for its plug-ins. threads: of the
    cell (None: one a core).
    """

    cell: Cell
    store: str | None
    row: int
    origin: int
    folder: str
    versions: dict[str, str]
    driver: str = ""
    things: bytes | None = None
    own: str = ""
    plugin: str = ""
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
    """What a thread keeps from one cell to the next."""

    def __init__(self) -> None:
        self.benches: dict[int | None, Bench] = {}
        self.chunks: dict[tuple[str, str], Chunks] = {}
        self.seen = 0

    def bench(self, task: Task, seen: int) -> Bench:
        if task.threads not in self.benches or seen != self.seen:
            self.benches = {task.threads: Bench(task.threads)}
            self.seen = seen
        return self.benches[task.threads]

    def chunks_for(self, task: Task, store: str) -> Chunks:
        cell = task.cell
        key = (store, cell.group)
        end = cell.first - task.origin + cell.size
        if key not in self.chunks or not self.chunks[key].holds(task.row, end):
            its = Store(store)
            names = variables_of(its.record()["groups"][cell.group])
            self.chunks[key] = Chunks(its.arrays, cell.group, names)
        return self.chunks[key]


_THREAD = threading.local()


def work(task: Task) -> Done:
    """Computes a cell and writes it; what is wrong with it is said in `Done`, and not raised.

    task: what to do. Raises InputError for a worker of another version of eventsnn or without what
    a store needs, and OSError where the disk refuses: both concern more than the cell.
    """
    if not hasattr(_THREAD, "worker"):
        _THREAD.worker = _Worker()
    worker: _Worker = _THREAD.worker
    check(task, own_versions())
    cell = task.cell
    began = time.perf_counter()
    with SURROUNDINGS.of(task) as seen:
        try:
            found = worker.bench(task, seen).compute(cell, task.origin, task.own)
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
            "versions": {**own_versions(), "host": platform.node()},
            "facts": found.facts,
        }
        Store(task.store).finish(cell, record)
    return Done(cell.id, cell.size, found.seconds, found.before, memory(), None, found.facts)


def check(task: Task, here: dict[str, str]) -> None:
    """Raises InputError for a process that cannot do as the driver's would.

    task: of the driver. here: the versions of this process. Its eventsnn must be the driver's, and
    it must be able to write a store.
    """
    for name in KEPT:
        if task.versions.get(name) != here[name]:
            what = "eventsnn" if name == "eventsnn" else "the state of eventsnn's own code"
            found = f"{here[name]} on {platform.node()}"
            do = "install the same eventsnn for the driver and for all workers"
            raise InputError(f"worker: {what}", task.versions.get(name), found, do)
    if task.store is not None:
        try:
            needed()
        except InputError as error:
            found = f"{error.found} on {platform.node()}"
            raise InputError("worker", error.expected, found, error.do) from None


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
