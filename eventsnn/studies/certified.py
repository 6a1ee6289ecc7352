"""Images whose class no order of arrivals can change, beside the accuracy.

What is certain follows from intervals of spike counts down to the readout (`intervals`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.exceptions import InputError, one_line
from eventsnn.network.network import Network
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import share
from eventsnn.studies import intervals
from eventsnn.studies.by_image import IMAGE, LAYER, STEP, Arrays, Given, Study, Variable, joined
from eventsnn.studies.intervals import Images, Spikes
from eventsnn.studies.setting import check_exact, check_names, exact, neuron_layers
from eventsnn.studies.to_readout import Readout
from eventsnn.views.progress import following
from eventsnn.views.tables import COLUMNS, ByLayer, Table, dataset, report_steps

TITLE = "Images (%) after T steps whose class no order of arrival can change, with 95 % intervals"
SHARES = ("accuracy", "certified", "certified and correct", "same as run", "given up")
FORMATS = COLUMNS | {
    f"{name}{end}": (f"{name}{end}", ".1%") for name in SHARES for end in ("", " low", " high")
}
CHUNK = 2**22  # neurons, times steps and images, that are held at a time

# of a layer's intervals after the last step: sum of widths, the widest, those of width 0
WIDTHS = ("sum", "widest", "exact")


@dataclass(repr=False)
class Certificate(ByLayer):
    """What is certain of every image whatever the order of arrivals was, from `certify`.

    simulation: of the run. predicted: int64 [N, T], the class of the run after each step. classes:
    int64 [N, T], the class after each step in every order of arrival, or -1 where that is not
    certain. given_up: bool [N, T], where an interval was too wide to go on. labels: int64 [N] or
    None.

    layers: one row each, after the last step, over all images and neurons: neurons; free: whether
    its arrivals come in any order;
      `mean width`, `widest`: of the intervals, in spikes; `exact`: the share with width 0. With
      one_by_one also, each with the ends of its 95 % interval, `alone` and `up to`: the share of
      certified images where arrivals are free in this layer alone, or in this and all layers before
      it, and `alone width`: the mean width in this layer in the first case.

    alone, up_to: bool [L, N, T], the same for each image and step, L: the rows; None without
    one_by_one. neurons: for layers asked for, name -> {"fewest", "most": int64 [N, T, neurons]}
    (neuron number: channels last).
    """

    simulation: Simulation
    predicted: NDArray[np.int64]
    classes: NDArray[np.int64]
    given_up: NDArray[np.bool_]
    labels: NDArray[np.int64] | None
    layers: list[dict[str, Any]]
    alone: NDArray[np.bool_] | None
    up_to: NDArray[np.bool_] | None
    neurons: dict[str, dict[str, NDArray[np.int64]]]

    @property
    def widens(self) -> str | None:
        """The name of the first layer whose counts depend on the order; None where none does."""
        return next((row["layer"] for row in self.layers if row["widest"]), None)

    def table(self, steps: Sequence[int] | None = None) -> Table:
        """One row for each of `steps` (None: 1, 2, 4, … and T): shares of all images.

        A row has T, `accuracy` of the run (with labels) and `certified`, each with its 95 %
        interval. `certified and correct` counts images whose certified class is their label, `same
        as run` those whose certified class is the run's, `given up` those of which an interval was
        too wide to go on.
        """
        rows = []
        for t in steps or report_steps(self.simulation.steps):
            found, ran = self.classes[:, t - 1], self.predicted[:, t - 1]
            row: dict[str, Any] = {"T": t}
            if self.labels is not None:
                row |= share("accuracy", ran == self.labels)
            row |= share("certified", found >= 0)
            if self.labels is not None:
                row |= share("certified and correct", found == self.labels)
            row["same as run"] = float(np.mean(found == ran))
            row["given up"] = float(self.given_up[:, t - 1].mean())
            rows.append(row)
        title = f"{TITLE}, {len(self.classes):,} images"
        return Table(rows, f"{title}\n{conditions(self.simulation)}", FORMATS)

    def neurons_to_xarray(self, layer: str) -> Any:
        """The intervals of a layer that was kept, as a Dataset [image, step, neuron].

        layer: its name. Needs xarray. Raises InputError for a layer that was not kept.
        """
        if layer not in self.neurons:
            raise InputError(
                "layer",
                f"one that was kept: {', '.join(self.neurons) or 'none was'}",
                repr(layer),
                "name it in keep=",
            )
        dimensions, ends = ("image", "step", "neuron"), self.neurons[layer]
        variables = {name: (dimensions, values) for name, values in ends.items()}
        return dataset(variables, step=np.arange(1, self.simulation.steps + 1))

    def __repr__(self) -> str:
        row = self.table([self.simulation.steps])[0]
        accuracy = "" if self.labels is None else f", accuracy {row['accuracy']:.2%}"
        widens = "no layer's counts hang on it"
        if self.widens is not None:
            widens = f"counts hang on it from {one_line(self.widens)} on"
        return (
            f"<Certificate: {len(self.classes)} images, {conditions(self.simulation)}{accuracy}; "
            f"the class of {row['certified']:.2%} is the same in every order of arrival; {widens}>"
        )


@checked
def certify(
    network: Network,
    images: GivenImages,
    *,
    steps: Count = 8,
    free: Iterable[str] | None = None,
    one_by_one: bool = False,
    labels: GivenLabels = None,
    keep: Sequence[str] = (),
    progress: bool | None = None,
    **settings: Any,
) -> Certificate:
    """The `Certificate` of images after each of `steps` steps.

    Class c is certain where for every other class d the least that readout c - readout d can be,
    over all spike counts that `intervals` allows the layers before, is above 0, or 0 if c is the
    first of the two. The difference of the two rows of weights is taken first, so that what both
    classes share does not count.

    network: that runs. images, labels: as for `eventsnn.simulate`. steps: T. free: names of the
    layers whose arrivals come in any order; None: all. The others are clocked, so with one free
    layer the certificate says what order at that layer can do, and with none it is the clocked run.
    one_by_one: also with each layer alone, and with all layers up to each, which takes as many
    times as long as there are layers. labels: int64 [N], for images without them. keep: names of
    layers whose intervals are kept. progress: whether a progress bar is shown. settings: of the run
    whose classes and accuracy stand beside (`Simulation` and `Time`; default: clocked) and of which
    neurons, drive and arithmetic are. An asynchronous run of free layers has the certified class; a
    clocked run need not, as its neurons fire at most once a step.

    Raises InputError for unknown layers, floating point, encoding "events", hard reset, SRP, one's
    own neurons, refractory periods, windows and free running.
    """
    given = accept(network.graph, images, labels)
    simulation, pixels, numbers = exact(network, given.images, "intervals", steps=steps, **settings)
    named = None if free is None else set(free)
    check_names("free", named or set(), network, "names of spiking layers")
    check_names("keep", set(keep), network, "names of spiking layers")
    chosen = [i for i, its in neuron_layers(network).items() if named is None or its.name in named]
    arrays, kept = _measured(
        simulation, Given(pixels, numbers), progress, None, one_by_one, chosen, keep
    )
    found = _found(simulation, arrays, given.labels, one_by_one, chosen)
    return replace(found, neurons=kept)


def _measure_certificate(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    one_by_one: bool,
) -> Arrays:
    """What `certify` finds out of each image, all layers free: the arrays of OF_CERTIFICATE.

    simulation: that runs. given: the images. progress, workers: change no number. one_by_one: as
    for `certify`. Raises InputError for a simulation that `certify` refuses.
    """
    chosen = list(neuron_layers(simulation.network))
    return _measured(simulation, given, progress, workers, one_by_one, chosen)[0]


def _certificate_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
    *,
    one_by_one: bool,
) -> Certificate:
    """The `Certificate` of what was found out of each image, all layers free.

    simulation: that ran. arrays: of `_measure_certificate`. labels: int64 [N], or None. numbers:
    have no effect. one_by_one: as for `certify`.
    """
    chosen = list(neuron_layers(simulation.network))
    return _found(simulation, arrays, labels, one_by_one, chosen)


def _measured(
    simulation: Simulation,
    given: Given,
    progress: bool | None,
    workers: int | None,
    one_by_one: bool,
    chosen: Sequence[int],
    keep: Sequence[str] = (),
) -> tuple[Arrays, dict[str, dict[str, NDArray[np.int64]]]]:
    """(the arrays of OF_CERTIFICATE, `Certificate.neurons`). chosen: the free layers."""
    check_exact(simulation, "intervals")
    intervals.check(simulation)
    weights, readout = intervals.weights_of(simulation), Readout(simulation)
    size = max(1, CHUNK // (simulation.steps * len(simulation.resting)))
    pixels, numbers = given.pixels, given.numbers
    parts = []
    with following(len(pixels), "image", progress) as bar:
        how: dict[str, Any] = {"numbers": numbers, "batch": size, "workers": workers}
        for start, batch in simulation.stream(pixels, **how):
            some = slice(start, start + size)
            these = Images(simulation, pixels[some], numbers[some], weights)
            found, kept = _certify_some(these, readout, chosen, keep, one_by_one)
            parts.append(({"predicted": classes_of(batch.readout), **found}, kept))
            bar.update(len(batch.readout))
    neurons = {}
    for name in keep:
        ends = [kept[name] for _, kept in parts]
        neurons[name] = {key: np.concatenate([each[key] for each in ends]) for key in ends[0]}
    return joined([found for found, _ in parts]), neurons


def _found(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None,
    one_by_one: bool,
    chosen: Sequence[int],
) -> Certificate:
    """The `Certificate` of the arrays of OF_CERTIFICATE. chosen: the free layers."""
    alone = up_to = None
    if one_by_one:
        alone, up_to = (arrays[name].astype(bool).swapaxes(0, 1) for name in ("alone", "up_to"))
    return Certificate(
        simulation,
        predicted=arrays["predicted"],
        classes=arrays["classes"],
        given_up=arrays["given_up"].astype(bool),
        labels=labels,
        layers=_rows(simulation.network, chosen, arrays, alone, up_to),
        alone=alone,
        up_to=up_to,
        neurons={},
    )


def _rows(
    network: Network,
    chosen: Sequence[int],
    arrays: Arrays,
    alone: NDArray[np.bool_] | None,
    up_to: NDArray[np.bool_] | None,
) -> list[dict[str, Any]]:
    """`Certificate.layers`; chosen: the free ones."""
    rows = []
    for n, (i, layer) in enumerate(neuron_layers(network).items()):
        row: dict[str, Any] = {"layer": layer.name, "neurons": layer.size, "free": i in chosen}
        row |= _of_widths(arrays["widths"][:, n], layer.size)
        if alone is not None and up_to is not None:
            row |= share("alone", alone[n, :, -1])
            row |= share("up to", up_to[n, :, -1])
            row["alone width"] = _of_widths(arrays["alone_widths"][:, n], layer.size)["mean width"]
        rows.append(row)
    return rows


def _certify_some(
    images: Images, readout: Readout, chosen: Sequence[int], keep: Sequence[str], one_by_one: bool
) -> tuple[Arrays, dict[str, dict[str, NDArray[np.int64]]]]:
    """(arrays of OF_CERTIFICATE, intervals of layers to keep) of these images; chosen: the free."""
    sent, given_up = _propagate(images, chosen)
    layers = neuron_layers(images.network)
    kept = {
        layer.name: {"fewest": sent[i].fewest, "most": sent[i].most}
        for i, layer in layers.items()
        if layer.name in keep
    }
    found: Arrays = {
        "classes": readout.classes(images, sent, given_up[-1]),
        "given_up": given_up[-1],
        "widths": np.stack([_widths(sent[i]) for i in layers], axis=1),
    }
    if not one_by_one:
        return found, kept
    clocked, none_given_up = _propagate(images, [])
    alone = []
    up_to = []
    widths = []
    for i in layers:
        this, lost = _propagate(images, [i], i, clocked, none_given_up)
        alone.append(readout.classes(images, this, lost[-1]) >= 0)
        widths.append(_widths(this[i]))
        before, lost = _propagate(images, [j for j in chosen if j <= i], i + 1, sent, given_up)
        up_to.append(readout.classes(images, before, lost[-1]) >= 0)
    found |= {"alone": np.stack(alone, axis=1), "up_to": np.stack(up_to, axis=1)}
    return found | {"alone_widths": np.stack(widths, axis=1)}, kept


def _propagate(
    images: Images,
    free: Iterable[int],
    first: int = 0,
    sent: Mapping[int, Spikes] | None = None,
    given_up: Sequence[NDArray[np.bool_]] = (),
) -> tuple[dict[int, Spikes], list[NDArray[np.bool_]]]:
    """The intervals of all layers, with arrivals free in layers `free`.

    Returns ({layer number: `Spikes`}, bool [N, T] for each layer: where it or one before was given
    up). Layers before `first` are as they were, `sent` and `given_up`. Pool units are free where
    the layer that they pool is.
    """
    network, any_order = images.network, set(free)
    found, lost = dict(sent or {}), [*given_up][:first]
    for i, layer in enumerate(network.spiking):
        if layer.pools and network.into(i)[0].source in any_order:
            any_order.add(i)
        if i < first:
            continue
        gone: NDArray[np.bool_] = np.zeros(len(images.drive[0]), bool)
        if lost:
            gone = np.all(lost[-1], axis=1)
        if gone.all():
            found[i] = images.anything(i)
            lost.append(lost[-1])
        else:
            its, here = images.layer(i, found, i in any_order)
            found[i] = intervals.without(its, gone)
            lost.append(here | lost[-1] if lost else here)
    return found, lost


def _widths(spikes: Spikes) -> NDArray[np.int64]:
    """Of each image's intervals after the last step those of WIDTHS, int64 [N, WIDTHS]."""
    width = spikes.most[:, -1] - spikes.fewest[:, -1]
    return np.stack([width.sum(axis=1), width.max(axis=1), (width == 0).sum(axis=1)], axis=1)


def _of_widths(widths: NDArray[np.int64], neurons: int) -> dict[str, float]:
    """The columns of a layer's row. widths: of its images, [N, WIDTHS]."""
    total, widest, exactly = widths.T
    count = neurons * len(widths)
    return {
        "mean width": float(total.sum() / count),
        "widest": int(widest.max()),
        "exact": float(exactly.sum() / count),
    }


OF_CERTIFICATE = Study(
    certify,
    _measure_certificate,
    _certificate_of,
    {
        "predicted": Variable((IMAGE, STEP), "int64", -1, "1", "the run's class after each step"),
        "classes": Variable(
            (IMAGE, STEP), "int64", -1, "1", "the class in every order; -1: not certain"
        ),
        "given_up": Variable((IMAGE, STEP), "bool", False, "1", "whether an interval was too wide"),
        "widths": Variable(
            (IMAGE, LAYER, "width"), "int64", 0, "spikes; exact: neurons", "after the last step"
        ),
        "alone": Variable(
            (IMAGE, LAYER, STEP), "bool", False, "1", "certain, order free in this layer alone"
        ),
        "up_to": Variable(
            (IMAGE, LAYER, STEP), "bool", False, "1", "certain, order free in all up to this layer"
        ),
        "alone_widths": Variable(
            (IMAGE, LAYER, "width"), "int64", 0, "spikes; exact: neurons", "of this layer alone"
        ),
    },
    lambda simulation, **options: {"width": [*WIDTHS]},
    ("one_by_one",),
)
