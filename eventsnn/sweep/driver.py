"""The driver of a sweep: it hands cells to workers until none is left."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from eventsnn.arguments import OWN, Count, checked, named_fields
from eventsnn.exceptions import InputError, named, one_line
from eventsnn.sweep import layout
from eventsnn.sweep.cells import ANN, Cell, Own, own_digest, own_things
from eventsnn.sweep.executors import EXECUTORS, Pool, pool_of
from eventsnn.sweep.lease import LASTS, RENEWED, Lease, name_of, others_at_work, refuse
from eventsnn.sweep.plan import Plan
from eventsnn.sweep.planned import Planned
from eventsnn.sweep.progress import Progress
from eventsnn.sweep.reading import read_plan
from eventsnn.sweep.store import DONE, FAILED, Record, Store, own_versions
from eventsnn.sweep.surroundings import pickled, plugin_digest, process
from eventsnn.sweep.working import Done, Task, work

AHEAD = 2  # cells a worker that are handed out, so that none waits for the driver
STRIKES = 3  # times that a worker may be lost with a cell alone before the cell has failed
LOST = "WorkerLost"  # a failure that the next driver tries again


@named_fields
@dataclass(frozen=True)
class Swept:
    """What a driver did. store: the folder. cells: of the plan. there: done before. done: now.

    failed: cells that have failed, earlier ones among them. first_error: of one of them, or "".
    """

    store: Path
    cells: int
    there: int
    done: int
    failed: int
    first_error: str = ""

    def __str__(self) -> str:
        words = f"{self.there + self.done:,} of {self.cells:,} cells are there"
        words += f", {self.there:,} of them from before" if self.there else ""
        if self.failed:
            words += f"; {self.failed:,} failed, such as: {self.first_error}"
        return words


@checked
def sweep(
    plan: Plan | str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    executor: Annotated[str | Executor | Pool, OWN] = "processes",
    workers: Count | None = None,
    retry_failed: bool = False,
    part: tuple[int, int] | None = None,
    progress: bool = True,
) -> Swept:
    """Runs the cells of a plan that its store does not have yet.

    plan: a `Plan`, or the file of one. store: the store's folder, which need not be there yet.
    executor: a name of `executors.EXECUTORS`, an executor of `concurrent.futures`, or a Pool.
    workers: cells that run at once. retry_failed: whether cells that failed before are tried again.
    part: (K, N), from 1: the K-th of N drivers, which share the cells. progress: whether how far it
    is is said on standard error.

    Returns what was done. A cell that fails is recorded with its error. Raises InputError for a
    plan that cannot be read or does not fit its store, for a store that another driver works on,
    and for workers that cannot be had; OSError where the disk refuses.
    """
    check_part(part)
    if isinstance(executor, str):
        EXECUTORS.find(executor.partition(":")[0], "executor")  # before a store is made
    where = "plan" if isinstance(plan, Plan) else one_line(os.fspath(plan))
    planned = Planned(plan if isinstance(plan, Plan) else read_plan(plan), where)
    its = Store(store)
    its.read()  # a folder with anything else in it gets no lease
    # a job of an array that was killed is begun again at once, elsewhere: its lease runs out
    waits = 0.0 if part is None else LASTS + RENEWED
    with Lease(its.path, name_of(part), waits=waits) as lease:
        there = others_at_work(its.path, part)
        if there is not None:
            refuse(its.path, there)
        record = layout.lay_out(planned, its)
        done = its.files(DONE)
        mine = [cell for cell in of_part(planned.cells(), part) if cell.id not in done]
        if retry_failed:
            its.forget_failures({cell.id for cell in mine})
        failed = failed_cells(its)
        cells = len(planned) if part is None else sum(1 for _ in of_part(planned.cells(), part))
        left = [cell for cell in mine if cell.id not in failed]
        driver = _Driver(its, record, lease, planned)
        if left:
            pool = pool_of(executor, workers, its.path)
            images = sum(cell.size for cell in left)
            with Progress(cells, cells - len(mine), images, progress) as shown:
                driver.run(pool, left, shown)
        bad = [cell.id for cell in mine if cell.id in failed] + driver.failures
        error = (its.of_cell(bad[0], FAILED) or {}).get("message", "") if bad else ""
    return Swept(its.path, cells, cells - len(mine), driver.done, len(bad), error)


def failed_cells(store: Store) -> set[str]:
    """The cells that failed and are not tried again: not those whose worker was lost.

    store: of the sweep.
    """
    found = set()
    for cell_id in store.files(FAILED):
        record = store.of_cell(cell_id, FAILED)
        if record is not None and record.get("kind") != LOST:
            found.add(cell_id)
    return found


def check_part(part: tuple[int, int] | None) -> None:
    """Raises InputError for a part that there is not. part: (K, N), or None."""
    if part is not None and not (len(part) == 2 and 1 <= part[0] <= part[1]):
        expected = "two whole numbers K, N with K from 1 to N"
        raise InputError(named("part"), expected, repr(tuple(part)), "for example part=(1, 4)")


def of_part(cells: Iterable[Cell], part: tuple[int, int] | None) -> Iterator[Cell]:
    """The cells of one of several drivers. cells: of the plan. part: (K, N), or None for all."""
    for cell in cells:
        if part is None or int(cell.id[:8], 16) % part[1] == part[0] - 1:
            yield cell


class _Driver:
    """Hands out cells, and keeps what becomes of them. record: of the store."""

    def __init__(self, store: Store, record: Record, lease: Lease, planned: Planned) -> None:
        self.store = store
        self.lease = lease
        self.groups = record["groups"]
        self.planned = planned
        self.rows = {
            name: {row["key"]: place for place, row in enumerate(group["rows"])}
            for name, group in self.groups.items()
        }
        self.versions = own_versions()
        self.digests = planned.own_digests
        self.plugins: dict[str, str] = {}
        self.failures: list[str] = []
        self.done = 0

    def run(self, pool: Pool, cells: Sequence[Cell], shown: Progress) -> None:
        """Runs cells in a pool, which is closed then. shown: counts them."""
        self.shown = shown
        self.pool = pool
        self.threads = pool.threads
        whole = pool.name != "processes"  # which find the driver's own modules
        self.things = pickled(self._own(), whole) if pool.name != "serial" else None
        waiting = iter(cells)
        suspects: deque[Cell] = deque()
        try:
            while True:
                suspects += self._together(waiting)
                if not suspects:
                    break
                while suspects:
                    pool.renew()
                    self._alone(suspects.popleft())
        except BaseException:
            pool.close(now=True)
            raise
        pool.close()

    def _own(self) -> list[Own]:
        """What the user registered in this process and the cells name."""
        found = {}
        for group in self.planned.groups.values():
            for options, _ in group.rows.values():
                if not options.get("plugin"):
                    found.update({own[:2]: own for own in own_things(options)})
        return list(found.values())

    def _together(self, cells: Iterator[Cell]) -> list[Cell]:
        """Runs cells, many at once, until none is left or a worker is lost.

        Returns those that were under way then.
        """
        flying: dict[Future[Any], Cell] = {}
        lost: list[Cell] = []
        more = True
        while more or flying:
            while more and not lost and len(flying) < self._room():
                cell = next(cells, None)
                if cell is None:
                    more = False
                    break
                try:
                    flying[self._submit(cell)] = cell
                except self.pool.lost:
                    lost.append(cell)
            if not flying:
                break
            ready, _ = wait(flying, timeout=1.0, return_when=FIRST_COMPLETED)
            self.lease.check()
            self.shown.tick()
            for future in ready:
                cell = flying.pop(future)
                try:
                    self._take(cell, future)
                except self.pool.lost:
                    lost.append(cell)
        return lost

    def _room(self) -> int:
        """Cells that may be under way: some wait at their workers, which may become more."""
        return 1 if self.pool.name == "serial" else AHEAD * self.pool.workers

    def _alone(self, cell: Cell) -> None:
        """Runs a cell alone, since a worker was lost while it was under way."""
        for _ in range(STRIKES):
            try:
                self._take(cell, self._submit(cell))
                return
            except self.pool.lost as error:
                words = one_line(f"{type(error).__name__}: {error}")
                self.pool.renew()
        record = {
            "kind": LOST,
            "message": f"its worker was lost {STRIKES} times, killed or out of memory ({words})",
        }
        self._keep(cell, Done(cell.id, cell.size, 0.0, 0.0, 0, record, {}))

    def _submit(self, cell: Cell) -> Future[Any]:
        row = 0 if cell.row == ANN else self.rows[cell.group][cell.row]
        task = Task(
            cell,
            str(self.store.path.resolve()),
            row,
            self.groups[cell.group]["first"],
            os.getcwd(),
            self.versions,
            process(),
            self.things,
            "" if cell.row == ANN else own_digest(cell.options, self.digests),
            self._plugin(cell.options.get("plugin")),
            self.threads,
        )
        return self.pool.submit(work, task)

    def _plugin(self, paths: str | None) -> str:
        """Digits for plug-ins as they were when the driver first met them."""
        key = paths or ""
        if key not in self.plugins:
            self.plugins[key] = plugin_digest(paths)
        return self.plugins[key]

    def _take(self, cell: Cell, future: Future[Any]) -> None:
        """Takes what a worker said of a cell. Raises what concerns more than the cell."""
        try:
            self._keep(cell, future.result())
        except Exception as error:
            if isinstance(error, (InputError, OSError, *self.pool.lost)):
                raise
            where = f"executor {self.pool.name}"
            expected = f"workers with eventsnn {self.versions['eventsnn']} that can be reached"
            found = one_line(f"{type(error).__name__}: {error}", 200)
            do = "install the same eventsnn for the driver and for all workers"
            raise InputError(where, expected, found, do) from error

    def _keep(self, cell: Cell, done: Done) -> None:
        if done.error is None:
            self.done += 1
        else:
            self.failures.append(cell.id)
            self.store.fail(cell, done.error)
        self.shown.add(done)
