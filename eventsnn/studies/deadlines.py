"""What cores say at deadlines: the class at the end of a tick, and how busy each core was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.data.accepting import GivenImages
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Network
from eventsnn.result import simulate
from eventsnn.simulation.batch import OF_CORES, Batch
from eventsnn.simulation.conditions import Conditions, conditions
from eventsnn.simulation.cores import core_rows
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_image import IMAGE, Arrays, Given, Study, Variable
from eventsnn.views.progress import following

POWERS = tuple(2**k for k in range(63))  # the deadlines where none are given
KEPT = OF_CORES[:-1]  # of a batch; a class's changes have no common length


@dataclass(repr=False)
class Deadlines:
    """N images under order cores, read at deadlines, from `read_at`.

    simulation: that ran. ticks: the deadlines, rising. classes: int64 [N, D], at the end of each.
    changed: int64 [N], the first tick above 0 at which a class changed; 0: none. latency, ended:
    int64 [N], as of `Batch`. busy, longest_queue, undelivered: int64 [N, L]. labels: int64 [N], or
    None.
    """

    simulation: Simulation
    ticks: list[int]
    classes: NDArray[np.int64]
    changed: NDArray[np.int64]
    latency: NDArray[np.int64]
    ended: NDArray[np.int64]
    busy: NDArray[np.int64]
    longest_queue: NDArray[np.int64]
    undelivered: NDArray[np.int64]
    labels: NDArray[np.int64] | None

    @property
    def conditions(self) -> Conditions:
        """What decided it."""
        return conditions(self.simulation)

    def predictions_by(self, tick: int) -> NDArray[np.int64]:
        """The class at the end of a tick, int64 [N]. tick: one of `ticks`."""
        return self.classes[:, self.ticks.index(tick)]

    def cores(self) -> list[dict[str, Any]]:
        """One row for each layer's core that is ever asked, as `Result.cores` has it."""
        return core_rows(self.simulation.network, self)

    def __repr__(self) -> str:
        return f"<Deadlines: {len(self.ended)} images, {self.conditions}>"


def read_at(
    network: Network,
    images: GivenImages,
    *,
    deadlines: Sequence[int] | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Deadlines:
    """The `Deadlines` of images.

    network, images: as for `eventsnn.simulate`. deadlines: ticks; None: powers of two. progress:
    whether a bar is shown. settings: of `simulate`, with order "cores". Raises InputError for
    another order, and for an output that is a map.
    """
    found = simulate(network, images, progress=progress, **settings)
    check(found.simulation)
    arrays = _arrays_of(found.batch, deadlines)
    return deadlines_of(found.simulation, arrays, found.labels, deadlines=deadlines)


def check(simulation: Simulation) -> None:
    """Raises InputError for another order than cores, and for an output that is a map."""
    if is_map(simulation.network.graph):
        raise InputError("deadlines", "an output of classes", "a map", "choose another network")
    if simulation.time.order != "cores":
        found = named("order", str(simulation.time.order))
        raise InputError("deadlines", named("order", "cores"), found, "choose it")


def measure_deadlines(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    deadlines: Sequence[int] | None,
) -> Arrays:
    """What `read_at` reads of each image: the arrays of OF_DEADLINES.

    simulation: that runs. given: the images. progress, workers: change no number. deadlines: as for
    `read_at`. Raises InputError for a simulation that `read_at` refuses.
    """
    check(simulation)
    batches = []
    with following(len(given.pixels), "image", progress) as bar:
        for _, batch in simulation.stream(given.pixels, numbers=given.numbers, workers=workers):
            batches.append(batch)
            bar.update(len(batch.t_eq))
    return _arrays_of(Batch.join(batches), deadlines)


def _arrays_of(batch: Batch, deadlines: Sequence[int] | None) -> Arrays:
    """The arrays of OF_DEADLINES. batch: of a run under cores."""
    changes, latency = batch.changes, batch.latency
    assert changes is not None and latency is not None
    ticks = POWERS if deadlines is None else sorted(set(deadlines))
    at, classes = changes[:, :, 0], changes[:, :, 1]
    rows = np.arange(len(at))
    last = [np.maximum((at <= tick).sum(axis=1) - 1, 0) for tick in ticks]
    later = np.where(at > 0, at, np.iinfo(np.int64).max).min(axis=1)
    found = {name: getattr(batch, name) for name in KEPT}
    found["classes"] = np.stack([classes[rows, each] for each in last], axis=1)
    found["changed"] = np.where((at > 0).any(axis=1), later, 0)
    return found | {"latency": latency}


def deadlines_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
    *,
    deadlines: Sequence[int] | None,
) -> Deadlines:
    """The `Deadlines` of what was read of each image.

    simulation: that ran. arrays: of `measure_deadlines`. labels: int64 [N], or None. numbers: have
    no effect. deadlines: as for `read_at`.
    """
    ticks = [*POWERS] if deadlines is None else sorted(set(deadlines))
    return Deadlines(simulation, ticks, labels=labels, **{k: arrays[k] for k in OF_DEADLINES[3]})


OF_DEADLINES = Study(
    read_at,
    measure_deadlines,
    deadlines_of,
    {
        "classes": Variable((IMAGE, "deadline"), "int64", -1, "1", "at the end of a tick"),
        "changed": Variable((IMAGE,), "int64", 0, "ticks", "first change of the class above 0"),
        "latency": Variable((IMAGE,), "int64", -1, "ticks", "when the class came to stay"),
        "ended": Variable((IMAGE,), "int64", 0, "ticks", "when the run ended"),
        "busy": Variable((IMAGE, "target"), "int64", 0, "ticks", "of the core in service"),
        "longest_queue": Variable((IMAGE, "target"), "int64", 0, "events", "that waited at most"),
        "undelivered": Variable((IMAGE, "target"), "int64", 0, "events", "on their way at the end"),
    },
    lambda simulation, deadlines: {
        "deadline": [*POWERS] if deadlines is None else sorted(set(deadlines)),
        "target": [layer.name for layer in simulation.network.layers],
    },
    ("deadlines",),
    ("deadlines",),
)
