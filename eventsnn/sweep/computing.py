"""A cell's numbers, computed: the thin call of a run's own machinery that a worker makes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.data.ranges import range_of
from eventsnn.exceptions import InputError
from eventsnn.inputs.given import read_given
from eventsnn.inputs.recorded import EventImages
from eventsnn.network.network import Network
from eventsnn.runs.conversion import convert_checked
from eventsnn.runs.pipeline import prepare
from eventsnn.runs.say import Say
from eventsnn.settings import Settings
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_image import Given
from eventsnn.studies.cost import by_image
from eventsnn.sweep import studies
from eventsnn.sweep.arrays import COSTS, OF_CORES
from eventsnn.sweep.cells import ANN, Cell, row_of
from eventsnn.sweep.sources import Part, Source, conversion_key, source_key

KEPT = 2  # sources, networks and simulations that a worker keeps
SILENT = Say(None, False)
CHANGED = "put it back, or choose another --store"

T = TypeVar("T")


class Changed(InputError):
    """What a cell is made of is not what it was when the sweep was planned."""


class Computed(NamedTuple):
    """What a cell gives.

    arrays: name of a variable -> numbers, [image, …] without the axis of runs. seconds: the
    simulation's wall time. before: that of all that came before it. facts: JSON-able, of a run: its
    conditions and semantics.
    """

    arrays: dict[str, NDArray[Any]]
    seconds: float
    before: float
    facts: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Computed: {', '.join(self.arrays)} in {self.seconds:.2f} s>"


class Bench:
    """Computes cells, and keeps what the next may need: networks, images, simulations.

    threads: of a cell (None: one a core); they change no number.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._kept: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Bench: {len(self._kept)} things kept>"

    def compute(self, cell: Cell, origin: int = 0, own: str = "") -> Computed:
        """A cell's numbers, which depend on nothing but the cell.

        origin: the position of its group's first image. own: digits for what the run has of the
        user's own (`cells.own_digest`). Raises Changed where the network, the images or what else
        the run reads are not those that the cell is of, and what the run raises.
        """
        kept = bool(self._kept)
        try:
            return self._compute(cell, origin, own)
        except Changed:
            if not kept:
                raise
            self._kept.clear()  # what was read for an earlier sweep may be old
            return self._compute(cell, origin, own)

    def _compute(self, cell: Cell, origin: int, own: str) -> Computed:
        began = time.perf_counter()
        settings = studies.settings_of(cell.options)
        source, part = self._inputs(cell, settings)
        if cell.row == ANN:
            found = ann.by_neuron(
                ann.logits(source.graph, part.images.pixels, workers=self.threads)
            )
            labels = part.images.labels
            label = np.full(len(found), -1) if labels is None else labels
            arrays = {"ann": found, "label": label.astype(np.int64)}
            return Computed(arrays, time.perf_counter() - began, 0.0, {})
        beside = self._keep(
            "beside", conversion_key(cell.options), lambda: source.beside(settings, origin)
        )
        if row_of(cell.options, cell.network, *beside, own) != cell.row:
            what = "the calibration images, thresholds, models and orders that the sweep began with"
            raise Changed(settings.net, what, "others", CHANGED)
        simulation = self._simulation(cell, settings, source, part)
        if cell.options.get("study"):
            before = time.perf_counter() - began
            arrays = self._studied(cell, simulation, part, cell.first - origin)
            return Computed(arrays, time.perf_counter() - began - before, before, {})
        images: Any = part.images.pixels
        if isinstance(part.images, EventImages):
            images = part.images.events
        before = time.perf_counter() - began
        began = time.perf_counter()
        size = max(1, min(settings.batch, -(-len(images) // (self.threads or 1))))
        batches = simulation.stream(
            images, numbers=part.images.indices, workers=self.threads, batch=size
        )
        batch = Batch.join([its for _, its in batches])
        seconds = time.perf_counter() - began
        facts = {"conditions": conditions(simulation).parts, "semantics": simulation.describe()}
        return Computed(arrays_of(simulation, batch), seconds, before, facts)

    def _studied(
        self, cell: Cell, simulation: Simulation, part: Part, first: int
    ) -> dict[str, NDArray[Any]]:
        """What the cell's study keeps of its images. first: the place of the first of them."""
        study = studies.study_of(cell.options)
        assert study is not None
        given = Given(part.images.pixels, part.images.indices, part.images.labels, first)
        how = {"progress": False, "workers": self.threads, **studies.own(cell.options)}
        return study.measure(simulation, given, **how)

    def _inputs(self, cell: Cell, settings: Settings) -> tuple[Source, Part]:
        """The cell's network and images, checked."""
        key = source_key(cell.options)
        source: Source = self._keep("source", key, lambda: Source(settings))
        part = source.part(cell.first, cell.size)
        for what, path, wanted, now in (
            ("network", settings.net, cell.network, source.graph.hash),
            ("images", settings.data or settings.net, cell.images, part and part.digest),
        ):
            if wanted != now:
                raise Changed(path, f"the {what} that the sweep began with", "another", CHANGED)
        assert part is not None
        return source, part

    def _simulation(self, cell: Cell, settings: Settings, source: Source, part: Part) -> Simulation:
        """The cell's run, ready to simulate."""

        def converted() -> Network:
            given = read_given(settings.thresholds_file)
            network, _, tell_checked = convert_checked(
                source.graph, part.images, settings, SILENT, given
            )
            tell_checked()
            return network

        def prepared() -> Simulation:
            network = self._keep("network", conversion_key(cell.options), converted)
            pixels = range_of(source.graph, part.images, settings.pixel_range or None)
            images = source.all() if source.whole else part.images
            simulation = prepare(network, pixels, settings, images)
            given: Any = part.images
            first = given.events[0] if isinstance(given, EventImages) else given.pixels[0]
            if not cell.options.get("study"):  # what a study compiles is its own affair
                simulation.warm_up(first)
            return simulation

        return self._keep("simulation", cell.row, prepared)

    def _keep(self, kind: str, key: str, make: Callable[[], T]) -> T:
        """A thing that was kept, or is made now; of each kind the last KEPT stay."""
        place = (kind, key)
        if place in self._kept:
            self._kept.move_to_end(place)
        else:
            there = [other for other in self._kept if other[0] == kind]
            for other in there[: max(0, len(there) - KEPT + 1)]:
                del self._kept[other]  # before there is another
            self._kept[place] = make()
        found: T = self._kept[place]
        return found


def arrays_of(simulation: Simulation, batch: Batch) -> dict[str, NDArray[Any]]:
    """What a store keeps of a batch, by the names of its variables; [image, step, layer] and so on.

    simulation: which made it. batch: what some images gave.
    """
    steps, first = simulation.steps, simulation.readout_from
    readout = np.full(batch.readout.shape, np.nan)
    for step in range(first + 1, steps + 1) if simulation.stages == 1 else (steps,):
        readout[:, step - 1] = simulation.output(batch.readout[:, step - 1], step)
    found: dict[str, NDArray[Any]] = {
        "readout": readout,
        "spikes": batch.spikes.swapaxes(1, 2),
        "operations": batch.operations.swapaxes(1, 2),
        "ties": batch.ties,
        "t_eq": batch.t_eq,
        "costs": costs_of(simulation.network, batch),
    }
    for name in ("digests", "order_digests"):
        values = getattr(batch, name)
        if values is not None:
            found[name] = values.swapaxes(1, 2)
    for name in OF_CORES:
        if (values := getattr(batch, name)) is not None:
            found[name] = values
    if batch.stage_one is not None:
        found["stage_one_spikes"] = batch.stage_one[:, 0]
        found["stage_one_operations"] = batch.stage_one[:, 1]
    return found


def costs_of(network: Network, batch: Batch) -> NDArray[np.float64]:
    """What each image cost up to each step, SRP's first stage included: [image, step, cost].

    network: that ran. batch: what it gave. The costs are those of `studies.cost.by_image`, in the
    order of COSTS.
    """
    totals = []
    for place, name in enumerate(("spikes", "operations")):
        values = getattr(batch, name).astype(np.float64).cumsum(axis=2).swapaxes(1, 2)
        if batch.stage_one is not None:
            values += batch.stage_one[:, place, None]
        totals.append(values)
    images, steps, layers = totals[0].shape
    spikes, operations = (values.reshape(images * steps, layers) for values in totals)
    found = by_image(network, spikes, operations)
    return np.stack([found[name] for name in COSTS], axis=1).reshape(images, steps, len(COSTS))
