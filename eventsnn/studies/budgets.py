"""Images whose class no few moved spikes can change, where the last layers are free.

    found = budgets.certify(snn, images, moved=[1, 10], last=2, steps=8)
    print(found.table())

The last layers run asynchronously under `fifo`; the layers before are clocked. In each step up to
`moved` of the deliveries into each free layer may stand anywhere in their step, as whole spikes.
Counts are followed moment by moment, not only step by step as in `certified`, so that what neurons
share, the order in which they all hear a spike, is not lost (`stages` has the proof).
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import Count, checked, named_fields
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT, Network
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.prepared import Prepared
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import share
from eventsnn.studies import intervals, stages
from eventsnn.studies.by_image import IMAGE, Arrays, Given, Study, Variable
from eventsnn.studies.intervals import LIMIT
from eventsnn.studies.setting import check_exact, exact
from eventsnn.studies.stages import TooMany, Whole
from eventsnn.studies.to_readout import MAX_DENSE, matrix_of, readout_of
from eventsnn.views.progress import following
from eventsnn.views.tables import Table

# what is found out of an image and budget beside its class
NUMBERS = ("least", "widths", "seconds")
TITLE = (
    "Images (%) after T steps whose class no moved spikes can change, 95 % intervals; moved: of "
    "the deliveries into each free layer in each step; free: the last layers; least: the smallest "
    "margin proven, ANN's output; width: of the last layer's intervals (spikes); seconds: an image"
)
FORMATS = {name: (name, ".1%") for name in ("certified", "certified low", "certified high")}
FORMATS |= {"accuracy": ("accuracy", ".1%"), "accuracy low": ("accuracy low", ".1%")}
FORMATS |= {"accuracy high": ("accuracy high", ".1%"), "given up": ("given up", ".1%")}
FORMATS |= {name: (name, ".3g") for name in ("least", "width", "seconds")}


@named_fields
@dataclass(repr=False)
class Budgets:
    """What is certain of N images within M budgets of moved spikes, from `certify`.

    simulation: of the numbers. moved: the budgets m. last: how many layers are free. predicted:
    int64 [N], the class with none moved. classes: int64 [M, N], the same or -1 where that is not
    certain. least: float64 [M, N], the smallest margin of the predicted class over any other that
    the edits may leave, ANN's output; -inf where an image was given up. widths: float64 [M, N],
    mean width of the last layer's intervals; NaN likewise. labels: int64 [N] or None. seconds: of
    an image and budget, float64 [M], mean.
    """

    simulation: Simulation
    moved: list[int]
    last: int
    predicted: NDArray[np.int64]
    classes: NDArray[np.int64]
    least: NDArray[np.float64]
    widths: NDArray[np.float64]
    labels: NDArray[np.int64] | None
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.predicted)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each budget: shares of images with their 95 % intervals, and means."""
        rows = []
        for k, moved in enumerate(self.moved):
            row: dict[str, Any] = {"free": self.last, "moved": moved}
            if self.labels is not None:
                row |= share("accuracy", self.predicted == self.labels)
            row |= share("certified", self.classes[k] >= 0)
            lost = np.isinf(self.least[k])
            kept = self.least[k][~lost]
            row["least"] = float(np.median(kept)) if len(kept) else float("nan")
            row["width"] = float(self.widths[k][~lost].mean()) if len(kept) else float("nan")
            row["given up"] = float(lost.mean())
            row["seconds"] = float(self.seconds[k])
            rows.append(row)
        return rows

    def table(self) -> Table:
        """The rows with their title."""
        title = f"{TITLE}, {len(self):,} images\n{conditions(self.simulation)}"
        return Table(self.rows(), title, FORMATS)

    def __repr__(self) -> str:
        shares = ", ".join(f"{np.mean(its >= 0):.1%}" for its in self.classes)
        return (
            f"<Budgets: {len(self)} images, {conditions(self.simulation)}, the last {self.last} "
            f"layers free: the class of {shares} is certain where "
            f"{', '.join(map(str, self.moved))} deliveries of each step may stand elsewhere>"
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@checked
def certify(
    network: Network,
    images: GivenImages,
    *,
    moved: Sequence[int] = (1,),
    last: Count = 2,
    steps: Count = 8,
    labels: GivenLabels = None,
    progress: bool | None = None,
    **settings: Any,
) -> Budgets:
    """The `Budgets` of images after `steps` steps.

    network: that runs. images, labels: as for `eventsnn.simulate`. moved: budgets m, of deliveries
    of each step into each free layer that may stand elsewhere in the step than in the order in
    which the layer before emitted them in that very run; 0: the run itself. last: how many layers,
    the last ones, are free, and run under `fifo`; those before are clocked, and their spikes are
    sent in the order of neurons. steps: T. progress: whether a progress bar is shown. settings: of
    `Simulation` and `Time`, as for `certified.certify`.

    Raises InputError for neurons that take spikes back, for free layers that hear more than the one
    layer before them or pool, for more weights than are held as one matrix, and for what
    `certified.certify` refuses.
    """
    given = accept(network.graph, images, labels)
    if not moved or min(moved) < 0:
        raise InputError("moved", "numbers of deliveries from 0, one or more", list(moved))
    simulation, pixels, numbers = exact(network, given.images, "budgets", steps=steps, **settings)
    options: dict[str, Any] = {"moved": moved, "last": last}
    arrays = _measure_budgets(simulation, Given(pixels, numbers), progress, **options)
    return _budgets_of(simulation, arrays, given.labels, **options)


def _measure_budgets(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    moved: Sequence[int],
    last: int,
) -> Arrays:
    """What `certify` finds out of each image and budget: the arrays of OF_BUDGETS.

    simulation: of the numbers. given: the images. progress, workers: change no number. moved, last:
    as for `certify`. Raises InputError for a simulation that `certify` refuses.
    """
    check_exact(simulation, "budgets")
    intervals.check(simulation)
    if simulation.neuron.signed:
        model = type(simulation.neuron).__name__
        expected, do = "neurons that take no spike back", "choose if or gn"
        raise InputError("budgets", expected, model, do)
    layers = len(simulation.network.spiking)
    if last > layers:
        raise InputError("last", f"at most the {layers} layers that there are", last)
    chain, weights = _Chain(simulation, layers - last), intervals.weights_of(simulation)
    pixels, numbers = given.pixels, given.numbers
    found = []
    predicted = []
    with following(len(pixels), "image", progress) as bar:
        for i in range(len(pixels)):
            one = slice(i, i + 1)
            its = _Image(chain, intervals.Images(simulation, pixels[one], numbers[one], weights))
            predicted.append(its.predicted)
            found.append([its.certain(m) for m in moved])
            bar.update()
    columns = np.array(found)
    arrays = {name: columns[..., k] for k, name in enumerate(("classes", *NUMBERS))}
    arrays["classes"] = arrays["classes"].astype(np.int64)
    return {"predicted": np.array(predicted), **arrays}


def _budgets_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
    *,
    moved: Sequence[int],
    last: int,
) -> Budgets:
    """The `Budgets` of what was found out of each image.

    simulation: of the numbers. arrays: of `_measure_budgets`. labels: int64 [N], or None. numbers:
    have no effect. moved, last: as for `certify`.
    """
    least, widths, seconds = (arrays[name].T for name in NUMBERS)
    return Budgets(
        simulation,
        moved=list(moved),
        last=last,
        predicted=arrays["predicted"],
        classes=arrays["classes"].T,
        least=least,
        widths=widths,
        labels=labels,
        seconds=seconds.mean(axis=1),
    )


class _Chain:
    """The free layers of a simulation, from number `free` on.

    Layer 0 hears drive alone, so what it sends is known even where it is free. first: the number of
    the first layer of which not all is known. weights: number -> int64 [source neurons, neurons].
    """

    def __init__(self, simulation: Simulation, free: int) -> None:
        self.simulation, self.free, self.first = simulation, free, max(1, free)
        numbers = range(self.first, len(simulation.network.spiking))
        self.weights = {i: _dense(simulation, i) for i in numbers}
        self.readout = {
            source: np.stack([_pair(row) for row in weights])
            for source, weights in readout_of(simulation).items()
        }


class _Image:
    """One image. chain: the free layers. its: the image alone.

    predicted: the class with nothing moved.
    """

    def __init__(self, chain: _Chain, its: intervals.Images) -> None:
        self.chain, self.its = chain, its
        self.drive = _pair(its.drive[-1][0].sum(axis=0))
        sent: dict[int, intervals.Spikes] = {}
        for i in range(chain.first):
            sent[i], _ = its.layer(i, sent, i >= chain.free)
        self.sent = {i: spikes.fewest[0] for i, spikes in sent.items()}
        counts, _ = self._ends(0)
        charge = self.drive.copy()
        for source, weights in chain.readout.items():
            charge += self.sent.get(source, counts[None])[-1] @ weights
        self.predicted = int(charge.argmax())

    def certain(self, moved: int) -> tuple[int, float, float, float]:
        """(class or -1, least margin, mean width of the last layer, seconds) within a budget."""
        began, c = clock.perf_counter(), self.predicted
        try:
            fewest, most = self._ends(moved)
        except TooMany:
            return -1, -np.inf, np.nan, clock.perf_counter() - began
        leads = self._leads(fewest, most)
        others = np.arange(len(leads)) != c
        # of equals the first wins
        certain = bool((leads >= (np.arange(len(leads)) < c))[others].all())
        simulation = self.chain.simulation
        least = float(simulation.output(leads[others].min(), simulation.steps))
        width = float((most - fewest).mean())
        return (c if certain else -1), least, width, clock.perf_counter() - began

    def _ends(self, moved: int) -> tuple[Whole, Whole]:
        """(fewest, most) of the last layer after the last step, int64 [neurons]. Raises TooMany."""
        chain, its = self.chain, self.its
        one = chain.simulation.arithmetic.one.item()
        source = stages.known(self.sent[chain.first - 1])
        for i, weights in chain.weights.items():
            drive, resting = its.drive[i][0], its.resting[i]
            source = stages.answered(weights, drive, resting, one, source, moved)
            if source[-1].last()[1].max() > LIMIT:
                raise TooMany
        return source[-1].last()

    def _leads(self, fewest: Whole, most: Whole) -> Whole:
        """The least that the predicted class's charge is above each class's, int64 [classes]."""
        c = self.predicted
        leads = self.drive[c] - self.drive
        for source, weights in self.chain.readout.items():
            ahead = weights[:, [c]] - weights
            # of layers before the last that the readout hears, too
            low, high = (self.sent.get(source, ends[None])[-1] for ends in (fewest, most))
            leads = leads + low @ np.maximum(ahead, 0) + high @ np.minimum(ahead, 0)
        return leads


def _pair(charge: Whole) -> Whole:
    """Charges of classes; of one output alone 0 for class 0 beside it, as it is 1 above 0."""
    return charge if len(charge) > 1 else np.array([0, charge[0]])


def _dense(simulation: Prepared, i: int) -> Whole:
    """The weights into a free layer, int64 [source neurons, neurons].

    Raises InputError for a layer that is not of a chain, and for too many weights.
    """
    network = simulation.network
    layer = network.layers[i]
    before = [p for p in network.into(i) if p.source != INPUT]
    if layer.pools or len(before) != 1 or before[0].source != i - 1:
        names = ", ".join(network.layers[p.source].name for p in before)
        found = f"a pool of {names}" if layer.pools else names or "none"
        do = "choose fewer free layers"
        expected = f"one layer before it, {network.layers[i - 1].name}"
        raise InputError(f"free layer {layer.name!r}", expected, found, do)
    if network.layers[i - 1].size * layer.size > MAX_DENSE:
        found = f"{network.layers[i - 1].size:,} x {layer.size:,}"
        expected = f"at most {MAX_DENSE:,} weights as one matrix"
        raise InputError(f"free layer {layer.name!r}", expected, found, "choose fewer free layers")
    return matrix_of(simulation, before[0])


OF_BUDGETS = Study(
    certify,
    _measure_budgets,
    _budgets_of,
    {
        "predicted": Variable((IMAGE,), "int64", -1, "1", "the class with none moved"),
        "classes": Variable((IMAGE, "budget"), "int64", -1, "1", "the same; -1: not certain"),
        "least": Variable(
            (IMAGE, "budget"), "float64", np.nan, "ANN output", "the smallest margin proven"
        ),
        "widths": Variable(
            (IMAGE, "budget"), "float64", np.nan, "spikes", "of the last layer's intervals, mean"
        ),
        "seconds": Variable((IMAGE, "budget"), "float64", np.nan, "s", "that it took"),
    },
    lambda simulation, moved, **options: {"budget": [*moved]},
    ("moved", "last"),
    ("moved",),
)
