"""run.h5: what a run found, in one file that says what each number is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.ann.tops import MANY, in_top
from eventsnn.data.images import Images
from eventsnn.files.writing import Patient, path_step
from eventsnn.network.network import Layer
from eventsnn.runs.folder import Folder
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.simulation import Simulation

# values of a chunk of the readout in run.h5, at most: a batch should not write to more than HDF5's
# cache holds
CHUNK = 2**14


class Found(NamedTuple):
    """What the ANN gave for all images.

    output: float32, [N, classes], or [N, C, H, W]. logits: float32 [N, neurons of the readout], in
    front of a final Softmax. changed: likewise, of the ANN with another function that the network
    was made from, or None where it was made from the ANN as loaded.
    """

    output: NDArray[Any]
    logits: NDArray[Any]
    changed: NDArray[Any] | None = None

    @property
    def compared(self) -> list[NDArray[Any]]:
        """The logits that the readout is compared with: of the ANN as loaded, and changed."""
        return [self.logits] if self.changed is None else [self.logits, self.changed]


class Totals:
    """Sums over images while batches pass by.

    count: N, of images. layers: L. time_steps: T. steps: the numbers of steps to keep predictions
    for. compared: A, the ANNs that the readout is compared with. labels: int64 [N], for the top-5
    of more than MANY classes; None: there are none, or less.

    predictions: int64 [N, len(steps)], classes. agreed: float64 [A, N, len(steps)], the share of
    places with the ANN's class, 1 or 0 where the output is no map; A: the ANNs of `Found.compared`.
    spikes, operations: int64 [L, T]. ties: int64 [L].
    stage_one: int64 [2, L], spikes and operations of SRP's first stage. t_eq: int64 [N].
    squared_errors: float64 [A, N, len(steps)], of the readout against the ANNs' logits, sums over
    classes. in_top: bool [N, len(steps)], whether the label is among the five first; None without
    labels. widened: how many images were run again in 64 bits. seconds: wall time. served: of order
    "cores" the name of each of `batch.OF_CORES` and the latency's -> its arrays, batch by batch; {}
    of others.
    """

    def __init__(
        self,
        count: int,
        layers: int,
        time_steps: int,
        steps: Sequence[int],
        compared: int = 1,
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        self.at = np.array(steps) - 1
        self.predictions = np.zeros((count, len(steps)), np.int64)
        self.spikes = np.zeros((layers, time_steps), np.int64)
        self.operations = np.zeros((layers, time_steps), np.int64)
        self.ties = np.zeros(layers, np.int64)
        self.stage_one = np.zeros((2, layers), np.int64)
        self.t_eq = np.zeros(count, np.int64)
        self.agreed = np.zeros((compared, count, len(steps)))
        self.squared_errors = np.zeros((compared, count, len(steps)))
        self.served: dict[str, list[NDArray[Any]]] = {}
        self.labels = labels
        self.in_top = None if labels is None else np.zeros((count, len(steps)), bool)
        self.widened = 0
        self.seconds = 0.0

    def add(
        self,
        start: int,
        batch: Batch,
        seconds: float,
        simulation: Simulation,
        found: Found,
    ) -> None:
        """Adds a batch.

        start: the position of its first image. batch: what its images gave. seconds: the wall time
        it took. simulation: the one that ran it. found: what the ANN gave for all images.
        """
        here = slice(start, start + len(batch.readout))
        channels = simulation.network.readout.grid[0]
        classes = _by_place(batch.readout[:, self.at], channels)  # [images, steps, places]
        for a, logits in enumerate(found.compared):
            for i, step in enumerate(self.at + 1):
                error = simulation.output(batch.readout[:, step - 1], step) - logits[here]
                self.squared_errors[a, here, i] = np.square(error).sum(axis=1)
            same = classes == _by_place(logits[here, None], channels)
            self.agreed[a, here] = same.mean(axis=2)
        if classes.shape[2] == 1:
            self.predictions[here] = classes[:, :, 0]
        if self.in_top is not None and self.labels is not None:
            for i, step in enumerate(self.at):
                self.in_top[here, i] = in_top(batch.readout[:, step], self.labels[here])
        self.spikes += batch.spikes.sum(axis=0)
        self.operations += batch.operations.sum(axis=0)
        self.ties += batch.ties.sum(axis=0)
        self.t_eq[here] = batch.t_eq
        if batch.stage_one is not None:
            self.stage_one += batch.stage_one.sum(axis=0)
        if batch.widened is not None:
            self.widened += int(batch.widened.sum())
        for name in ("busy", "longest_queue", "undelivered", "ended", "latency"):
            if (its := getattr(batch, name)) is not None:
                self.served.setdefault(name, []).append(its)
        if batch.changes is not None and batch.changes.shape[1]:
            self.served.setdefault("changes", []).append(_flat(start, batch.changes))
        self.seconds += seconds


def _flat(start: int, changes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Changes of class as rows (image, tick, class), int64 [R, 3]. start: the first image's place.

    changes: int64 [N, C, 2]; what an image has again is left out.
    """
    new = np.ones(changes.shape[:2], bool)
    new[:, 1:] = changes[:, 1:, 0] != changes[:, :-1, 0]
    image = start + np.nonzero(new)[0]
    return np.concatenate([image[:, None], changes[new]], axis=1)


def _by_place(values: NDArray[Any], channels: int) -> NDArray[np.int64]:
    """The class at each place of a map, [..., places], of values [..., places * channels]."""
    return classes_of(values.reshape(*values.shape[:-1], -1, channels))


def write_hdf5(
    path: str | os.PathLike[str],
    folder: Folder,
    simulation: Simulation,
    images: Images,
    found: Found,
    steps: Sequence[int],
    provenance: dict[str, Any],
    keep: str = "counts",
) -> Totals:
    """Writes run.h5 from the folder's batches; returns their `Totals`.

    Each dataset says what it is and in what unit.

    path: of the file. folder: which holds the batches. simulation: the one that ran them. images:
    the images that it ran. found: what the ANN gave for them. steps: numbers of steps to keep
    predictions for. provenance: JSON-able; all that is needed to make the run again.
    keep: "none" keeps no counts of spikes and operations; "counts" keeps them; any other keeps the
    event engine's order digests too. Digests are always kept. Raises OSError where the disk
    refuses.
    """
    layers = simulation.network.layers
    count = len(images)
    labels = images.labels if simulation.network.readout.size > MANY else None
    totals = Totals(count, len(layers), simulation.steps, steps, len(found.compared), labels)
    with (
        open(path, "w+b", buffering=0) as disk,
        Patient(disk) as patient,
        h5py.File(patient, "w") as file,
    ):
        file.attrs["format"] = "eventsnn.run"
        file.attrs["version"] = 1
        file.attrs["id"] = provenance["id"]
        meaning = "JSON: settings, semantics, network, data and versions of the run"
        _put(file, "provenance", "none", meaning, json.dumps(provenance))
        _put_images(file, images, found.output)
        _put_layers(file, layers)
        readout = _put_readout(file, simulation, count)
        sums = _put_counts(file, count, len(layers)) if keep != "none" else {}
        shape = (count, len(layers), simulation.steps)
        kept = ("digests",) if keep in ("none", "counts") else ("digests", "order_digests")
        hashes: dict[str, h5py.Dataset] = {}
        for start, batch, seconds in folder.batches():
            here = slice(start, start + len(batch.readout))
            readout[here] = batch.readout
            for name, dataset in sums.items():
                dataset[here] = getattr(batch, name).sum(axis=2)
            for name in kept:
                values = getattr(batch, name)
                if values is not None:
                    if name not in hashes:
                        hashes[name] = _put_digests(file, name, shape)
                    hashes[name][here] = values
            totals.add(start, batch, seconds, simulation, found)
        _put_totals(file, totals, keep != "none", simulation.srp + simulation.offset > 0)
        _put_served(file, totals)
    return totals


def _put(
    file: h5py.File,
    name: str,
    unit: str,
    description: str,
    data: ArrayLike | None = None,
    **options: Any,
) -> h5py.Dataset:
    """A new dataset that says what it is; options: those of h5py's `create_dataset`."""
    dataset = file.create_dataset(name, data=data, **options)
    dataset.attrs["unit"] = unit
    dataset.attrs["description"] = description
    return dataset


def _put_images(file: h5py.File, images: Images, ann_output: NDArray[Any]) -> None:
    meaning = "[image]: position in the split of the data set"
    _put(file, "images/index", "1", meaning, images.indices)
    if images.labels is not None:
        _put(file, "images/label", "1", "[image]: class", images.labels)
    meaning = "[image, class]: output of the ANN"
    if ann_output.ndim == 4:
        meaning = "[image, channel, row, column]: output of the ANN"
    _put(file, "images/ann_output", "ANN output", meaning, ann_output)


def _put_layers(file: h5py.File, layers: Sequence[Layer]) -> None:
    meaning = "[layer]: name of the ANN's activation; the last layer is the readout"
    _put(file, "layers/name", "none", meaning, [layer.name for layer in layers])
    operators = [layer.node.op if layer.node else "readout" for layer in layers]
    meaning = "[layer]: operator of that activation"
    _put(file, "layers/activation", "none", meaning, operators)
    meaning = "[layer]: threshold before normalisation; the mean where each neuron has its own"
    _put(file, "layers/theta", "ANN activation", meaning, [layer.scale for layer in layers])
    meaning = "[neuron]: threshold before normalisation; 0: silent"
    for layer in layers:
        if np.ndim(layer.theta):
            name = f"layers/thetas/{path_step(layer.name)}"
            _put(file, name, "ANN activation", meaning, np.ravel(layer.theta))
    meaning = "[layer, (C, H, W)]; neuron number = (y * W + x) * C + c"
    _put(file, "layers/shape", "neurons", meaning, [layer.grid for layer in layers])


def _put_readout(file: h5py.File, simulation: Simulation, count: int) -> h5py.Dataset:
    """Room for the readout of `count` images."""
    arithmetic = simulation.arithmetic
    steps = simulation.steps
    classes = simulation.network.readout.size
    rows = max(1, min(steps, CHUNK // classes))
    chunks = (max(1, min(count, CHUNK // (rows * classes))), rows, classes)
    since, by = "", "the number of steps"
    if first := simulation.readout_from:
        since, by = f", since step {first}", f"the steps since then, {first} fewer,"
    meaning = (
        f"[image, step, class]: charge that has arrived at the readout after each step{since}; "
        f"divide by {by} (not with encoding even) to compare with the ANN's output"
    )
    return _put(
        file,
        "readout",
        f"2^{arithmetic.readout_exponent - arithmetic.bits} ANN output",
        meaning,
        shape=(count, steps, classes),
        dtype=simulation.engine.result_dtype,
        chunks=chunks,
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )


def _put_counts(file: h5py.File, count: int, layers: int) -> dict[str, h5py.Dataset]:
    """Room for the spikes and operations of `count` images, by their names in `Batch`."""
    sums = {}
    for name, unit in (("spikes", "spikes"), ("operations", "synaptic operations")):
        meaning = "[image, layer]: all steps together"
        shape = (count, layers)
        sums[name] = _put(file, f"{name}_per_image", unit, meaning, dtype=np.int64, shape=shape)
    return sums


def _put_digests(file: h5py.File, name: str, shape: tuple[int, int, int]) -> h5py.Dataset:
    """Room for hashes of the spikes. name: of them, in `Batch`. shape: [images, layers, T]."""
    meaning = "[image, layer, step]: hash of the spikes "
    meaning += {"digests": "whatever their order", "order_digests": "in their order"}[name]
    return _put(file, name, "64-bit hash", meaning, shape=shape, dtype=np.uint64)


def _put_totals(file: h5py.File, totals: Totals, counts: bool, stages: bool) -> None:
    """What all images gave. counts: with spikes and operations. stages: with SRP's first stage."""
    if counts:
        _put(file, "spikes", "spikes", "[layer, step]: sum over images", totals.spikes)
        meaning = "[target layer, step]: weights touched by delivered spikes, sum over images"
        _put(file, "operations", "synaptic operations", meaning, totals.operations)
    meaning = "[image]: the last step in which a neuron fired or charge arrived"
    _put(file, "t_eq", "steps", meaning, totals.t_eq)
    if stages:
        meaning = "[2, layer]: of SRP's first stage, sum over images"
        _put(file, "stage_one", "spikes, synaptic operations", meaning, totals.stage_one)
    meaning = "[layer]: evaluations in which a potential met the threshold exactly, sum over images"
    _put(file, "ties", "evaluations", meaning, totals.ties)


# of order cores: name in run.h5 -> (name in Totals, unit, description)
SERVED = {
    "cores/busy": ("busy", "ticks", "[image, layer]: in which the layer's core was in service"),
    "cores/longest_queue": (
        "longest_queue",
        "events",
        "[image, layer]: that waited for the layer's core at once, at most",
    ),
    "cores/undelivered": (
        "undelivered",
        "events",
        "[image, layer]: on their way to the layer's core when the run ended",
    ),
    "cores/ended": ("ended", "ticks", "[image]: the tick at which the run ended"),
    "cores/latency": (
        "latency",
        "ticks",
        "[image]: the tick from whose end on the readout's class is what it is at last",
    ),
    "cores/changes": (
        "changes",
        "1, ticks, 1",
        "[change, (image, tick, class)]: place in the run, and the readout's class at the end of "
        "each tick in which it became another",
    ),
}


def _put_served(file: h5py.File, totals: Totals) -> None:
    """What the cores did, under order cores."""
    for path, (name, unit, meaning) in SERVED.items():
        if name in totals.served:
            _put(file, path, unit, meaning, np.concatenate(totals.served[name]))
