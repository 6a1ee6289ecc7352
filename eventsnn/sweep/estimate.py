"""What a sweep will take: cells that are left, and time and memory, of two cells measured."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import NamedTuple

from eventsnn.arguments import Count, checked, named_fields
from eventsnn.exceptions import InputError
from eventsnn.simulation.simulation import cores
from eventsnn.sweep import layout
from eventsnn.sweep.cells import ANN, Cell, cell_of, own_digest, own_things
from eventsnn.sweep.driver import check_part, failed_cells, of_part
from eventsnn.sweep.executors import Processes
from eventsnn.sweep.plan import Plan
from eventsnn.sweep.planned import Planned
from eventsnn.sweep.reading import read_plan
from eventsnn.sweep.store import DONE, Store, own_versions
from eventsnn.sweep.surroundings import pickled, plugin_digest
from eventsnn.sweep.working import Done, Task, work
from eventsnn.views.progress import in_words

IMAGES = 16  # at most, of a cell that is measured
GIB = 2**30


class Measured(NamedTuple):
    """A cell that was measured. cell: which. images: how many of its images.

    seconds: the simulation's, once all is compiled. before: what came before it, such as the
    conversion. memory: bytes of the process, at most.
    """

    cell: Cell
    images: int
    seconds: float
    before: float
    memory: int

    def __str__(self) -> str:
        return (
            f"{self.cell.words}: {self.images} images in {self.seconds:.3g} s, "
            f"after {self.before:.3g} s to prepare; {self.memory / GIB:.2g} GiB"
        )


@named_fields
@dataclass(frozen=True)
class Estimate:
    """What a sweep will take; print it.

    cells: of the plan. runs: combinations of options. there: cells that are done. failed: those
    that failed. left: those to run. images: that are left to simulate. workers: that share them.
    measured: two cells of them, or those that there are. seconds: of all simulations that are left,
    with so many workers; None where nothing is left. memory: bytes of all workers; None likewise.
    """

    cells: int
    runs: int
    there: int
    failed: int
    left: int
    images: int
    workers: int
    measured: tuple[Measured, ...] = ()
    seconds: float | None = None
    memory: int | None = None

    def __str__(self) -> str:
        lines = [
            f"{self.cells:,} cells of {self.runs:,} runs: {self.there:,} are there, "
            f"{self.failed:,} failed, {self.left:,} are left"
        ]
        lines += [f"measured: {its}" for its in self.measured]
        if self.seconds is not None and self.memory is not None:
            lines.append(
                f"estimated: {in_words(self.seconds)} with {self.workers} "
                f"worker{'s' * (self.workers != 1)}, {self.memory / GIB:.2g} GiB of memory"
            )
        return "\n".join(lines)


@checked
def estimate(
    plan: Plan | str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    workers: Count | None = None,
    part: tuple[int, int] | None = None,
) -> Estimate:
    """What a sweep will take; nothing is written.

    The first run and the last of those with cells left are measured, on 16 images at most, in a
    process of its own, and the mean of both counts for all.

    plan, store, workers, part, and what is raised: as for `sweep`.
    """
    check_part(part)
    planned = Planned(plan if isinstance(plan, Plan) else read_plan(plan), str(plan)[:200])
    its = Store(store)
    layout.fit(planned, its)
    done, bad = its.files(DONE), failed_cells(its)
    runs = sum(len(group.rows) for group in planned.groups.values())
    cells = there = failed = images = 0
    ends: dict[str, Cell] = {}
    rows = set()
    for cell in of_part(planned.cells(), part):
        cells += 1
        if cell.id in done:
            there += 1
        elif cell.id in bad:
            failed += 1
        else:
            if cell.row != ANN:
                images += cell.size
                rows.add((cell.group, cell.row))
                ends.setdefault("first", cell)
                ends["last"] = cell
    left = cells - there - failed
    count = max(1, min(workers or cores(), left))
    found = (cells, runs, there, failed, left, images, count)
    chosen = list({cell.row: cell for cell in ends.values()}.values())
    if not chosen:
        return Estimate(*found)
    measured = tuple(_measure(planned, cell, max(1, cores() // count)) for cell in chosen)
    each = sum(one.seconds / one.images for one in measured) / len(measured)
    before = sum(one.before for one in measured) / len(measured)
    # a worker prepares a run once, and each run is prepared by as many workers as have its cells
    seconds = (images * each + min(left, len(rows) * count) * before) / count
    memory = count * max(one.memory for one in measured)
    return Estimate(*found, measured, seconds, memory)


def _measure(planned: Planned, cell: Cell, threads: int) -> Measured:
    """Some images of a cell, twice: what is compiled and kept then is there the second time."""
    group = next(its for its in planned.groups.values() if its.name == cell.group)
    part = group.source.part(cell.first, min(IMAGES, cell.size))
    assert part is not None
    some = (part.first, len(part.images), part.digest)
    few = cell_of(cell.group, cell.row, some, cell.network, cell.options)
    plugin = cell.options.get("plugin")
    task = Task(
        few,
        None,
        0,
        group.first,
        os.getcwd(),
        own_versions(),
        things=pickled([] if plugin else list(own_things(cell.options)), whole=False),
        own="" if cell.row == ANN else own_digest(cell.options, planned.own_digests),
        plugin=plugin_digest(plugin),
        threads=threads,
    )
    pool = Processes(1)
    try:
        first: Done = pool.submit(work, task).result()
        second: Done = pool.submit(work, task).result()
    except BrokenExecutor as error:
        do = "give a smaller size under images"
        raise InputError(cell.words, "a cell that can be measured", error, do) from error
    finally:
        pool.close(now=True)
    for its in (first, second):
        if its.error is not None:
            raise InputError(cell.words, "a cell that can be measured", its.error["message"])
    return Measured(cell, few.size, second.seconds, first.before, second.memory)
