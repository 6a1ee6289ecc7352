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

from collections.abc import Iterator, Sequence
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
from eventsnn.studies.by_image import IMAGE, Arrays, Given, Study, Variable
from eventsnn.studies.proofs import EVERY, STUDY, Proof, Proofs, check_order, order_of
from eventsnn.studies.setting import exact
from eventsnn.values import shown
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
FORMATS |= {"moved": ("moved", "")}


@named_fields
@dataclass(repr=False)
class Budgets:
    """What is certain of N images within M budgets of moved spikes, from `certify`.

    simulation: of the numbers. order: of the free layers. moved: the budgets m; "every": every
    delivery. last: how many layers are free. predicted: int64 [N], the class with none moved.
    classes: int64 [M, N], the same or -1 where that is not certain. least: float64 [M, N], the
    smallest margin of the predicted class over any other that the edits may leave, ANN's output;
    -inf where an image was given up. widths: float64 [M, N], mean width of the last layer's
    intervals; NaN likewise. labels: int64 [N] or None. seconds: of an image and budget, float64
    [M], mean.
    """

    simulation: Simulation
    order: str
    moved: list[int | str]
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
            row: dict[str, Any] = {"order": self.order, "free": self.last, "moved": moved}
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
        moved = ", ".join(map(str, self.moved))
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
    moved: Annotated[Sequence[int | str], OWN] = (1,),
    last: Count = 2,
    order: Annotated[str, OWN] = "fifo",
    steps: Count = 8,
    labels: GivenLabels = None,
    progress: bool | None = None,
    **settings: Any,
) -> Budgets:
    """The `Budgets` of images after `steps` steps.

    network: that runs. images, labels: as for `eventsnn.simulate`. moved: budgets m, of deliveries
    of each step into each free layer that may be moved; 0: the run itself; "every": every delivery.
    last: how many layers, the last ones, are free; those before are clocked, and their spikes are
    sent in the order of neurons. order: of the free layers. Under "fifo" (each hears one layer) and
    "cores" (by target layer, then emission) m deliveries may stand elsewhere in the step than in
    the order in which the layers before emitted them in that very run. Under "clocked" m deliveries
    come a step later, none behind the last step. steps: T. progress: whether a progress bar is
    shown. settings: of `Simulation` and `Time`, as for `certified.certify`.

    Raises InputError for neurons that take spikes back in an order without a clock, for free layers
    that are pools or hear pools, or under fifo hear several layers, for deliveries that take time,
    and for what `certified.certify` refuses.
    """
    _check_moved(moved)
    check_order(order)
    given = accept(network.graph, images, labels)
    settings = _with_engine(settings, order)
    simulation, pixels, numbers = exact(network, given.images, STUDY, steps=steps, **settings)
    options: dict[str, Any] = {"moved": moved, "last": last}
    arrays = _measure_budgets(simulation, Given(pixels, numbers), progress, **options)
    return _budgets_of(simulation, arrays, given.labels, **options)


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

    most: the largest that is tried. network, images, last, order, steps, progress, settings, and
    what is raised: as for `certify`.
    """
    check_order(order)
    settings = _with_engine(settings, order)
    simulation, pixels, numbers = exact(network, images, STUDY, steps=steps, **settings)
    arrays = _measure_largest(simulation, Given(pixels, numbers), progress, most=most, last=last)
    return arrays["proven"]


def _with_engine(settings: dict[str, Any], order: str) -> dict[str, Any]:
    """Settings of the run that is meant: in clocked time, or in the order of its free layers."""
    if order == "clocked" and settings.get("engine", "clocked") == "clocked":
        return settings
    if settings.get("engine", "event") != "event":
        do = f"leave it out, or choose {named('order', 'clocked')}"
        raise InputError(STUDY, named("engine", "event"), shown(settings["engine"]), do)
    return {**settings, "engine": "event", "order": order}


def _check_moved(moved: Any) -> None:
    """Raises InputError for what is no list of budgets."""
    good = isinstance(moved, (list, tuple)) and len(moved) > 0
    if not good or not all(isinstance(m, str) and m == EVERY or _is_budget(m) for m in moved):
        expected = f"numbers of deliveries from 0, or {EVERY!r}, one or more"
        raise InputError(named("moved"), expected, shown(moved))


def _is_budget(m: Any) -> bool:
    """Whether it is a whole number from 0."""
    return isinstance(m, (int, np.integer)) and not isinstance(m, bool) and bool(m >= 0)


def _each(
    simulation: Simulation, given: Given, progress: bool | None, last: int
) -> Iterator[Proof]:
    """Yields what is proven of each image.

    Raises InputError for a simulation that `certify` refuses. Parameters as for `_measure_budgets`.
    """
    proofs = Proofs(simulation, last)
    with following(len(given.pixels), "image", progress) as bar:
        for pixels, number in zip(given.pixels, given.numbers.tolist()):
            yield proofs.image(pixels, number)
            bar.update()


def _measure_budgets(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    moved: Sequence[int | str],
    last: int,
) -> Arrays:
    """What `certify` finds out of each image and budget: the arrays of OF_BUDGETS.

    simulation: of the numbers. given: the images. progress, workers: change no number. moved, last:
    as for `certify`. Raises InputError for what `certify` refuses.
    """
    _check_moved(moved)
    found = []
    predicted = []
    for its in _each(simulation, given, progress, last):
        predicted.append(its.predicted)
        found.append([its.certain(m) for m in moved])
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
    moved: Sequence[int | str],
    last: int,
) -> Budgets:
    """The `Budgets` of what was found out of each image.

    simulation: of the numbers. arrays: of `_measure_budgets`. labels: int64 [N], or None. numbers:
    have no effect. moved, last: as for `certify`.
    """
    least, widths, seconds = (arrays[name].T for name in NUMBERS)
    return Budgets(
        simulation,
        order=order_of(simulation),
        moved=list(moved),
        last=last,
        predicted=arrays["predicted"],
        classes=arrays["classes"].T,
        least=least,
        widths=widths,
        labels=labels,
        seconds=seconds.mean(axis=1),
    )


def _measure_largest(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    most: int,
    last: int,
) -> Arrays:
    """What `largest` finds out of each image: the array of OF_LARGEST. Parameters as above."""
    found = [its.largest(most) for its in _each(simulation, given, progress, last)]
    return {"proven": np.array(found)}


def _axes(simulation: Simulation, moved: Sequence[int | str], **options: Any) -> dict[str, Any]:
    """The budgets, of one type."""
    return {"budget": [str(m) for m in moved] if EVERY in moved else [*moved]}


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
    _axes,
    ("moved", "last"),
    ("moved",),
)
OF_LARGEST = Study(
    largest,
    _measure_largest,
    lambda simulation, arrays, *given, **options: arrays["proven"],
    {
        "proven": Variable(
            (IMAGE,), "int64", 0, "deliveries", "of each step and layer: the largest budget"
        )
    },
    options=("most", "last"),
)
