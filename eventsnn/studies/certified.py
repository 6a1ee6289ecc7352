"""Images whose class no order of arrivals can change, beside the accuracy.

What is certain follows from intervals of spike counts down to the readout (`intervals`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of, is_map
from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.exceptions import InputError, one_line
from eventsnn.network.network import INPUT, Network, Projection
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.prepared import Prepared
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import share
from eventsnn.studies import intervals
from eventsnn.studies.intervals import Images, Spikes
from eventsnn.studies.setting import check_names, exact, neuron_layers
from eventsnn.views.progress import following
from eventsnn.views.tables import COLUMNS, ByLayer, Table, dataset, report_steps

TITLE = "Images (%) after T steps whose class no order of arrival can change, with 95 % intervals"
SHARES = ("accuracy", "certified", "certified and correct", "same as run", "given up")
FORMATS = COLUMNS | {
    f"{name}{end}": (f"{name}{end}", ".1%") for name in SHARES for end in ("", " low", " high")
}
CHUNK = 2**22  # neurons, times steps and images, that are held at a time
MAX_DENSE = 2**25  # weights to the readout, as one matrix

# of a layer's intervals after the last step: sum of widths, the widest, those of width 0, all
Widths = tuple[int, int, int, int]


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


@dataclass(repr=False)
class _Part:
    """What is found out about some images; fields as in `Certificate`, but for `widths`.

    widths, alone_widths: of each layer of neurons, as its row and its `alone width` need them.
    """

    classes: NDArray[np.int64]
    given_up: NDArray[np.bool_]
    widths: list[Widths]
    neurons: dict[str, dict[str, NDArray[np.int64]]]
    alone: NDArray[np.bool_] | None = None
    up_to: NDArray[np.bool_] | None = None
    alone_widths: list[Widths] | None = None


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
    intervals.check(simulation)
    named = None if free is None else set(free)
    check_names("free", named or set(), network, "names of spiking layers")
    check_names("keep", set(keep), network, "names of spiking layers")
    layers = neuron_layers(network)
    chosen = [i for i, layer in layers.items() if named is None or layer.name in named]
    weights, readout = intervals.weights_of(simulation), _Readout(simulation)
    size = max(1, CHUNK // (steps * len(simulation.resting)))
    predicted, parts = [], []
    with following(len(pixels), "image", progress) as bar:
        for start, batch in simulation.stream(pixels, numbers=numbers, batch=size):
            some = slice(start, start + size)
            these = Images(simulation, pixels[some], numbers[some], weights)
            parts.append(_certify_some(these, readout, chosen, keep, one_by_one))
            predicted.append(classes_of(batch.readout))
            bar.update(len(batch.readout))
    alone = _joined(part.alone for part in parts)
    up_to = _joined(part.up_to for part in parts)
    return Certificate(
        simulation,
        predicted=np.concatenate(predicted),
        classes=np.concatenate([part.classes for part in parts]),
        given_up=np.concatenate([part.given_up for part in parts]),
        labels=given.labels,
        layers=_rows(network, chosen, parts, alone, up_to),
        alone=alone,
        up_to=up_to,
        neurons={name: _kept(name, parts) for name in keep},
    )


def _joined(arrays: Iterable[NDArray[np.bool_] | None]) -> NDArray[np.bool_] | None:
    """[L, n, T] of all parts as [L, N, T]; None where there are none."""
    given = [array for array in arrays if array is not None]
    return np.concatenate(given, axis=1) if given else None


def _kept(name: str, parts: Sequence[_Part]) -> dict[str, NDArray[np.int64]]:
    """The ends of one layer's intervals, of all parts."""
    ends = [part.neurons[name] for part in parts]
    fewest = np.concatenate([each["fewest"] for each in ends])
    most = np.concatenate([each["most"] for each in ends])
    return {"fewest": fewest, "most": most}


def _rows(
    network: Network,
    chosen: Sequence[int],
    parts: Sequence[_Part],
    alone: NDArray[np.bool_] | None,
    up_to: NDArray[np.bool_] | None,
) -> list[dict[str, Any]]:
    """`Certificate.layers`; chosen: the free ones."""
    rows = []
    for n, (i, layer) in enumerate(neuron_layers(network).items()):
        row: dict[str, Any] = {"layer": layer.name, "neurons": layer.size, "free": i in chosen}
        row |= _of_widths([part.widths[n] for part in parts])
        if alone is not None and up_to is not None:
            row |= share("alone", alone[n, :, -1])
            row |= share("up to", up_to[n, :, -1])
            widths = [part.alone_widths[n] for part in parts if part.alone_widths is not None]
            row["alone width"] = _of_widths(widths)["mean width"]
        rows.append(row)
    return rows


def _certify_some(
    images: Images, readout: _Readout, chosen: Sequence[int], keep: Sequence[str], one_by_one: bool
) -> _Part:
    """The `_Part` of these images; chosen: the free layers."""
    sent, given_up = _propagate(images, chosen)
    layers = neuron_layers(images.network)
    kept = {
        layer.name: {"fewest": sent[i].fewest, "most": sent[i].most}
        for i, layer in layers.items()
        if layer.name in keep
    }
    classes = readout.classes(images, sent, given_up[-1])
    part = _Part(classes, given_up[-1], [_widths(sent[i]) for i in layers], kept)
    if not one_by_one:
        return part
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
    part.alone = np.array(alone)
    part.up_to = np.array(up_to)
    part.alone_widths = widths
    return part


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
        if lost and lost[-1].all():
            found[i] = images.anything(i)
            lost.append(lost[-1])
        else:
            found[i], here = images.layer(i, found, i in any_order)
            lost.append(here | lost[-1] if lost else here)
    return found, lost


def _widths(spikes: Spikes) -> Widths:
    width = spikes.most[:, -1] - spikes.fewest[:, -1]
    return int(width.sum()), int(width.max()), int((width == 0).sum()), width.size


def _of_widths(parts: Sequence[Widths]) -> dict[str, float]:
    """The columns of a layer's row, from the widths of all parts."""
    total, widest, exactly, count = np.array(parts).T
    return {
        "mean width": float(total.sum() / count.sum()),
        "widest": int(widest.max()),
        "exact": float(exactly.sum() / count.sum()),
    }


def readout_of(simulation: Prepared) -> dict[int, NDArray[np.int64]]:
    """Layer number -> its weights to the readout as one matrix, int64 [neurons, classes].

    simulation: whose numbers they are in. Raises InputError for an output that is a map, and for
    too many weights.
    """
    network = simulation.network
    if is_map(network.graph):
        found = f"a map of {'x'.join(map(str, network.readout.grid))}"
        do = "certify networks that classify"
        raise InputError("readout", "an output of classes", found, do)
    weights: dict[int, NDArray[np.int64]] = {}
    for p in network.into(len(network.layers) - 1):
        if p.source == INPUT:
            continue
        size, classes = network.layers[p.source].size, network.readout.size
        if size * classes > MAX_DENSE:
            raise InputError(
                "readout",
                f"at most {MAX_DENSE:,} weights as one matrix",
                f"{size:,} x {classes:,}",
                "certify networks that classify",
            )
        weights[p.source] = matrix_of(simulation, p)
    return weights


def matrix_of(simulation: Prepared, projection: Projection) -> NDArray[np.int64]:
    """A projection's weights as one matrix, int64 [source neurons, neurons].

    simulation: whose numbers they are in.
    """
    blocks = simulation.blocks(projection).astype(np.float64)  # whole numbers below 2^53
    whole = replace(projection.map, weights=blocks, factor=None)
    return whole.dense().astype(np.int64)


class _Readout:
    """Which class has the largest readout, whatever the counts are inside their intervals."""

    def __init__(self, simulation: Prepared) -> None:
        network = simulation.network
        self.layer = len(network.layers) - 1
        self.size = network.readout.size
        self.weights = readout_of(simulation)

    def classes(
        self, images: Images, sent: dict[int, Spikes], given_up: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """The class after each step, -1 where it is not certain: int64 [N, T].

        images: the ones meant. sent: layer number -> `Spikes`. given_up: bool [N, T], where no
        interval is known.
        """
        if self.size == 1:
            return self._signs(images, sent, given_up)
        # if any class is certain, it is that of any counts
        best = images.charge(self.layer, sent, "fewest", "fewest").argmax(axis=2)
        drive = np.cumsum(images.drive[self.layer], axis=1)
        for c in np.unique(best):
            at = best == c
            least = drive[at][:, [c]] - drive[at]
            for source, weights in self.weights.items():
                fewest, most = sent[source].fewest[at], sent[source].most[at]
                intervals.add_dense(weights[:, [c]] - weights, fewest, most, least)
            ahead = least >= (np.arange(least.shape[1]) < c)  # of equals the first wins
            best[at] = np.where(ahead.all(axis=1) & ~given_up[at], c, -1)
        return best

    def _signs(
        self, images: Images, sent: dict[int, Spikes], given_up: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """`classes` of one output, which is 1 where the charge is above 0, else 0."""
        drive = np.cumsum(images.drive[self.layer], axis=1)
        ends = []
        for sign in (1, -1):
            least = (sign * drive).reshape(-1, 1)
            for source, weights in self.weights.items():
                counts = (sent[source].fewest, sent[source].most)
                fewest, most = (its.reshape(-1, len(weights)) for its in counts)
                intervals.add_dense(sign * weights, fewest, most, least)
            ends.append(sign * least.reshape(given_up.shape))
        lowest, highest = ends
        found = np.where(lowest > 0, 1, np.where(highest <= 0, 0, -1))
        return np.where(given_up, -1, found)
