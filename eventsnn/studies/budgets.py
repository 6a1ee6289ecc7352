"""Images whose class no few moved spikes can change, where the last layers are free.

    found = budgets.certify(snn, images, moved=[1, 10], last=2, steps=8)
    print(found.table())

Under orders `fifo` and `cores` the last layers run asynchronously, and the layers before are
clocked. In each step up to `moved` of the deliveries into each free layer may stand anywhere in
their step, as whole spikes. Counts are followed moment by moment, not only step by step as in
`certified`, so that what neurons share, the order in which they all hear a spike, is not lost
(`stages` has the proof). Under order `clocked` up to `moved` of the deliveries of each step into
each free layer come a step later (`late` has the proof).
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import OWN, Count, checked, named_fields
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Network
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import share
from eventsnn.studies import intervals
from eventsnn.studies.certified import readout_of
from eventsnn.studies.intervals import Spikes
from eventsnn.studies.late import Late
from eventsnn.studies.moments import Moments
from eventsnn.studies.setting import exact
from eventsnn.studies.stages import TooMany, Whole
from eventsnn.values import shown
from eventsnn.views.progress import following
from eventsnn.views.tables import Table

TITLE = (
    "Images (%) after T steps whose class no moved spikes can change, 95 % intervals; moved: of "
    "the deliveries into each free layer in each step; free: the last layers; least: the smallest "
    "margin proven, ANN's output; width: of the last layer's intervals (spikes); seconds: an image"
)
FORMATS = {name: (name, ".1%") for name in ("certified", "certified low", "certified high")}
FORMATS |= {"accuracy": ("accuracy", ".1%"), "accuracy low": ("accuracy low", ".1%")}
FORMATS |= {"accuracy high": ("accuracy high", ".1%"), "given up": ("given up", ".1%")}
FORMATS |= {name: (name, ".3g") for name in ("least", "width", "seconds")}
FORMATS |= {"moved": ("moved", "")}
ORDERS = ("fifo", "cores", "clocked")
EVERY = "every"  # the word of a table for a budget of None


@named_fields
@dataclass(repr=False)
class Budgets:
    """What is certain of N images within M budgets of moved spikes, from `certify`.

    simulation: of the numbers. order: of the free layers. moved: the budgets m; None: every
    delivery. last: how many layers are free. predicted: int64 [N], the class with none moved.
    classes: int64 [M, N], the same or -1 where that is not certain. least: float64 [M, N], the
    smallest margin of the predicted class over any other that the edits may leave, ANN's output;
    -inf where an image was given up. widths: float64 [M, N], mean width of the last layer's
    intervals; NaN likewise. labels: int64 [N] or None. seconds: of an image and budget, float64
    [M], mean.
    """

    simulation: Simulation
    order: str
    moved: list[int | None]
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
            row: dict[str, Any] = {"order": self.order, "free": self.last}
            row["moved"] = EVERY if moved is None else moved
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
        moved = ", ".join(EVERY if m is None else str(m) for m in self.moved)
        return (
            f"<Budgets: {len(self)} images, {conditions(self.simulation)}, the last {self.last} "
            f"layers free, order {self.order}: the class of {shares} is certain where {moved} "
            "deliveries of each step may be moved>"
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@checked
def certify(
    network: Network,
    images: GivenImages,
    *,
    moved: Annotated[Sequence[int | None], OWN] = (1,),
    last: Count = 2,
    order: Annotated[str, OWN] = "fifo",
    steps: Count = 8,
    labels: GivenLabels = None,
    progress: bool | None = None,
    **settings: Any,
) -> Budgets:
    """The `Budgets` of images after `steps` steps.

    network: that runs. images, labels: as for `eventsnn.simulate`. moved: budgets m, of deliveries
    of each step into each free layer that may be moved; 0: the run itself; None: every delivery.
    last: how many layers, the last ones, are free; those before are clocked, and their spikes are
    sent in the order of neurons. order: of the free layers. Under "fifo" (each hears one layer) and
    "cores" (by target layer, then emission) m deliveries may stand elsewhere in the step than in
    the order in which the layers before emitted them in that very run. Under "clocked" m deliveries
    come a step later, none behind the last step. steps: T. progress: whether a progress bar is
    shown. settings: of `Simulation` and `Time`, as for `certified.certify`.

    Raises InputError for neurons that take spikes back in an order without a clock, for free layers
    that are pools or hear pools, or under fifo hear several layers, and for what
    `certified.certify` refuses.
    """
    _check_moved(moved)
    proofs = _Proofs(network, images, last, order, steps, labels, settings)
    columns: list[list[tuple[int, float, float, float]]] = [[] for _ in moved]
    predicted = []
    with following(len(proofs), "image", progress) as bar:
        for i in range(len(proofs)):
            its = proofs.image(i)
            predicted.append(its.predicted)
            for column, m in zip(columns, moved):
                column.append(its.certain(m))
            bar.update()
    found = np.array(columns)
    return Budgets(
        proofs.simulation,
        order=order,
        moved=list(moved),
        last=last,
        predicted=np.array(predicted),
        classes=found[..., 0].astype(np.int64),
        least=found[..., 1],
        widths=found[..., 2],
        labels=proofs.labels,
        seconds=found[..., 3].mean(axis=1),
    )


@checked
def largest(
    network: Network,
    images: GivenImages,
    *,
    most: Count = 100,
    last: Count = 2,
    order: Annotated[str, OWN] = "fifo",
    steps: Count = 8,
    progress: bool | None = None,
    **settings: Any,
) -> NDArray[np.int64]:
    """The largest budget within which the class of each image is certain, int64 [N]; 0: none.

    Where m is certain every lesser budget is, so it is sought by doubling and halving.

    most: the largest that is tried. network, images, last, order, steps, progress, settings, and
    what is raised: as for `certify`.
    """
    proofs = _Proofs(network, images, last, order, steps, None, settings)
    found = []
    with following(len(proofs), "image", progress) as bar:
        for i in range(len(proofs)):
            its = proofs.image(i)
            low, high = 0, 1
            while high <= most and its.certain(high)[0] >= 0:
                low, high = high, 2 * high
            high = min(high, most + 1)
            while high - low > 1:
                middle = (low + high) // 2
                if its.certain(middle)[0] >= 0:
                    low = middle
                else:
                    high = middle
            found.append(low)
            bar.update()
    return np.array(found)


def _check_moved(moved: Any) -> None:
    """Raises InputError for what is no list of budgets."""
    good = isinstance(moved, (list, tuple)) and len(moved) > 0
    if not good or not all(m is None or _is_budget(m) for m in moved):
        expected = "numbers of deliveries from 0, or None for all, one or more"
        raise InputError(named("moved"), expected, shown(moved))


def _is_budget(m: Any) -> bool:
    """Whether it is a whole number from 0."""
    return isinstance(m, (int, np.integer)) and not isinstance(m, bool) and bool(m >= 0)


class _Proofs:
    """The images of a study, to be certified one after the other.

    network, images, last, order, steps, labels, settings, and what is raised: as for `certify`.
    """

    def __init__(
        self,
        network: Network,
        images: GivenImages,
        last: int,
        order: Any,
        steps: int,
        labels: GivenLabels,
        settings: dict[str, Any],
    ) -> None:
        if not isinstance(order, str) or order not in ORDERS:
            raise InputError(named("order"), f"one of {', '.join(ORDERS)}", shown(order))
        given = accept(network.graph, images, labels)
        found = exact(network, given.images, "budgets", steps=steps, **settings)
        self.simulation, self.pixels, self.numbers = found
        self.labels = given.labels
        intervals.check(self.simulation)
        layers = len(network.spiking)
        if last > layers:
            raise InputError("last", f"at most the {layers} layers that there are", last)
        self.way: Late | Moments
        if order == "clocked":
            self.way = Late(self.simulation, layers - last)
        else:
            self.way = Moments(self.simulation, layers - last, order)
        self.weights = intervals.weights_of(self.simulation)
        readout = readout_of(self.simulation)
        self.readout = {i: np.stack([_pair(row) for row in its]) for i, its in readout.items()}

    def __len__(self) -> int:
        return len(self.pixels)

    def image(self, i: int) -> _Image:
        """One image. i: its place."""
        one = slice(i, i + 1)
        its = intervals.Images(self.simulation, self.pixels[one], self.numbers[one], self.weights)
        return _Image(self, its)


class _Image:
    """One image. proofs: of the study. its: the image alone.

    predicted: the class with nothing moved.
    """

    def __init__(self, proofs: _Proofs, its: intervals.Images) -> None:
        self.proofs, self.its = proofs, its
        self.drive = _pair(its.drive[-1][0].sum(axis=0))
        self.known = proofs.way.known(its)
        sent = proofs.way.ends(its, self.known, 0)
        charge = self.drive.copy()
        for source, weights in proofs.readout.items():
            charge += sent[source].fewest[0, -1] @ weights
        self.predicted = int(charge.argmax())

    def certain(self, moved: int | None) -> tuple[int, float, float, float]:
        """(class or -1, least margin, mean width of the last layer, seconds) within a budget."""
        began, c = clock.perf_counter(), self.predicted
        try:
            sent = self.proofs.way.ends(self.its, self.known, moved)
        except TooMany:
            return -1, -np.inf, np.nan, clock.perf_counter() - began
        leads = self._leads(sent)
        others = np.arange(len(leads)) != c
        # of equals the first wins
        certain = bool((leads >= (np.arange(len(leads)) < c))[others].all())
        simulation = self.proofs.simulation
        least = float(simulation.output(leads[others].min(), simulation.steps))
        last = sent[max(sent)]
        width = float((last.most[0, -1] - last.fewest[0, -1]).mean())
        return (c if certain else -1), least, width, clock.perf_counter() - began

    def _leads(self, sent: dict[int, Spikes]) -> Whole:
        """The least that the predicted class's charge is above each class's, int64 [classes]."""
        c = self.predicted
        leads = self.drive[c] - self.drive
        for source, weights in self.proofs.readout.items():
            ahead = weights[:, [c]] - weights
            low, high = sent[source].fewest[0, -1], sent[source].most[0, -1]
            leads = leads + low @ np.maximum(ahead, 0) + high @ np.minimum(ahead, 0)
        return leads


def _pair(charge: Whole) -> Whole:
    """Charges of classes; of one output alone 0 for class 0 beside it, as it is 1 above 0."""
    return charge if len(charge) > 1 else np.array([0, charge[0]])
