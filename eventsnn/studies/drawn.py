"""Many random orders of each image: the readouts, on any number of threads, kept as they come."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError, starting_threads
from eventsnn.simulation.event import engine_of
from eventsnn.simulation.simulation import Simulation, cores, hash_of

BLOCK = 20  # orders that a thread takes at a time
KEYS = ("image", "encoding_seed", "fraction_bits", "order_seed")

Key = tuple[int, int, int, int]


class Job(NamedTuple):
    """Some orders of one image.

    simulation: that runs them. image: the image's place. number: its number. seed: of the input.
    orders: seeds of the orders. run: a hash of all else that decides the readouts.
    """

    simulation: Simulation
    image: int
    number: int
    seed: int
    orders: Sequence[int]
    run: str

    @property
    def keys(self) -> list[Key]:
        """Of each order, how its row in the file is found."""
        bits = int(self.simulation.arithmetic.fraction_bits)
        return [(self.number, self.seed, bits, order) for order in self.orders]


class Kept:
    """A CSV file with the readout of every order that was run; without a path nothing is kept.

    path: the file, which may be there from a study that was stopped, its last line half written.
    size: numbers in a readout. Raises InputError for a file of another kind.
    """

    def __init__(self, path: Path | None, size: int) -> None:
        self.path = path
        self.header = ["run", *KEYS, *(f"readout {k}" for k in range(size))]
        self.found: dict[Key, tuple[str, list[float]]] = {}
        if path is not None:
            self._read(path)

    def __repr__(self) -> str:
        return f"<Kept: {len(self.found)} orders in {self.path}>"

    def _read(self, path: Path) -> None:
        text = path.read_text("utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        rows = list(csv.reader(whole.splitlines()))
        if rows and rows[0] != self.header:
            expected = f"orders of a readout of {len(self.header) - len(KEYS) - 1} numbers"
            raise InputError(path.name, expected, one_of(rows[0]), "move it away")
        for row in rows[1:]:
            image, seed, bits, order = map(int, row[1 : len(KEYS) + 1])
            readout = [float(value) for value in row[len(KEYS) + 1 :]]
            self.found[image, seed, bits, order] = row[0], readout
        if whole != text or not rows:
            head = whole or ",".join(self.header) + "\n"
            path.write_text(head, "utf-8", newline="\n")

    def of(self, job: Job) -> NDArray[np.float64] | None:
        """The readouts of a job, float64 [orders, K], or None where one is missing.

        Raises InputError where they are of another run.
        """
        rows = [self.found.get(key) for key in job.keys]
        readouts = []
        for row in rows:
            if row is None:
                return None
            if row[0] != job.run:
                name = self.path.name if self.path else ""
                expected = "orders of this network, image and options"
                raise InputError(name, expected, "those of others", "move it away")
            readouts.append(row[1])
        return np.array(readouts)

    def add(self, file: TextIO | None, job: Job, readouts: NDArray[np.float64]) -> None:
        """Writes the readouts of a job. file: the open file, if there is one."""
        if file is None:
            return
        writer = csv.writer(file, lineterminator="\n")
        for key, readout in zip(job.keys, readouts.tolist()):
            if key not in self.found:
                writer.writerow([job.run, *key, *map(repr, readout)])
        file.flush()


def one_of(row: Sequence[str]) -> str:
    """The first names of a header, for a message."""
    return ", ".join(row[:3])


def readouts_of(
    jobs: Iterable[Job], pixels: NDArray[Any], kept: Kept, workers: int | None
) -> Iterator[NDArray[np.float64]]:
    """Yields the readouts after the last step of each job, float64 [orders, K], in their order.

    pixels: raw images [N, C, H, W]. kept: what was run before is not run again, and what is run is
    added. workers: threads; None: one for each core.
    """
    workers = workers or cores()
    pool = ThreadPoolExecutor(workers)
    waiting: deque[tuple[Job, NDArray[np.float64] | None, Future[NDArray[np.float64]] | None]]
    waiting = deque()
    file = None if kept.path is None else kept.path.open("a", encoding="utf-8", newline="")

    def finished() -> NDArray[np.float64]:
        job, before, future = waiting.popleft()
        if future is None:
            assert before is not None
            return before
        readouts = future.result()
        kept.add(file, job, readouts)
        return readouts

    try:
        for job in jobs:
            if len(waiting) >= 2 * workers:
                yield finished()
            before, future = kept.of(job), None
            if before is None:
                with starting_threads():
                    future = pool.submit(_run, job, pixels[job.image])
            waiting.append((job, before, future))
        while waiting:
            yield finished()
    finally:
        # whoever stops need not wait for what is queued
        pool.shutdown(wait=False, cancel_futures=True)
        if file is not None:
            file.close()


def _run(job: Job, pixels: NDArray[Any]) -> NDArray[np.float64]:
    """The readouts of a job, float64 [orders, K]."""
    simulation, found = job.simulation, []
    engine = engine_of(simulation)
    for order in job.orders:
        other = simulation.reordered(order, job.seed)
        outcome = other.image(pixels, job.number)
        found.append(simulation.output(outcome.readout[-1], simulation.steps))
        engine.share_wider(engine_of(other))
    return np.array(found)


def hashes(simulation: Simulation, pixels: NDArray[Any]) -> list[str]:
    """Of each image a hash of all that decides its readouts but seeds.

    simulation: that runs. pixels: raw, [N, C, H, W].
    """
    told = {key: value for key, value in simulation.describe().items() if key != "seed"}
    told |= {"input_unit": simulation.input_unit, "readout_from": simulation.readout_from}
    weights = [simulation.blocks(p) for p in simulation.network.projections]
    known = [*weights, simulation.bias, simulation.resting, simulation.scales]
    words = json.dumps(told, sort_keys=True, default=repr) + hash_of(known)
    return [hashlib.sha256((words + hash_of([its])).encode()).hexdigest()[:16] for its in pixels]
