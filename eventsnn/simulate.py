"""Run a network on images in clocked time: the same spikes for any number of workers and any batch."""
from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from eventsnn import arithmetic as numbers
from eventsnn.checks import InputError
from eventsnn.engine import tables
from eventsnn.engine.clocked import run_image
from eventsnn.engine.drive import drive_of
from eventsnn.network import Network
from eventsnn.neurons.integrate_and_fire import IF

MAX_STEPS = 2**16


@dataclass
class Batch:
    """What N images left, image by image. T: steps, L: layers (the readout last).

    readout: the arithmetic's dtype [N, T, classes], charge that has arrived after each step. spikes:
    int64 [N, L, T]. operations: int64 [N, L, T], synaptic operations by target layer. ties: int64
    [N, L], evaluations in which p met the threshold exactly. counts, potentials: [N, neurons], net
    spikes and v(T), layer after layer, readout included; None unless asked for.
    """

    readout: np.ndarray
    spikes: np.ndarray
    operations: np.ndarray
    ties: np.ndarray
    counts: np.ndarray | None = None
    potentials: np.ndarray | None = None

    ARRAYS = ("readout", "spikes", "operations", "ties", "counts", "potentials")

    @classmethod
    def join(cls, batches):
        """One batch from several, in order."""
        parts = {name: [getattr(b, name) for b in batches] for name in cls.ARRAYS}
        return cls(**{name: None if p[0] is None else np.concatenate(p) for name, p in parts.items()})


class Simulation:
    """A network with its time and arithmetic, ready to run image after image.

    steps: T. initial: v(0) in thresholds. arithmetic: "fixed", "float32" or "float64". fraction_bits:
    F, or None for the largest that a bound on every potential allows. pixel_range: lowest and highest
    raw pixel; the bound needs them.
    """

    def __init__(self, network: Network, *, steps, initial=0.5, arithmetic="fixed", fraction_bits=None, pixel_range=(0, 255)):
        if not 1 <= steps <= MAX_STEPS:
            raise InputError("steps", f"a whole number from 1 to {MAX_STEPS:,}", steps)
        if not (np.isfinite(initial) and abs(initial) <= 1000):
            raise InputError("initial", "a number of thresholds from -1000 to 1000", initial)
        self.network, self.steps, self.initial = network, steps, initial
        c, h, w = network.graph.input_shape
        ends = network.graph.preprocessing(np.stack([np.full((c, 1, 1), p) for p in pixel_range])).astype(np.float64)[:, :, 0, 0]
        self.arithmetic = numbers.choose(network, kind=arithmetic, steps=steps, initial=abs(initial),
                                         pixel_range=(ends.min(axis=0), ends.max(axis=0)), fraction_bits=fraction_bits)
        self.neuron = IF(self.arithmetic.one)
        self.tables = tables.build(network, self._blocks)
        self.resting = np.concatenate([np.full(layer.size, initial * (layer.node is not None)) for layer in network.layers])
        self.resting = self.arithmetic.quantise(self.resting)

    def _blocks(self, projection):
        return self.arithmetic.quantise(projection.map.blocks * self.arithmetic.scale(self.network, projection.target))

    def run(self, pixels, *, neurons=False):
        """Simulate raw images [N, C, H, W], one after the other. Returns a Batch; `neurons` adds counts and potentials."""
        layers, size = len(self.network.layers), len(self.resting)
        count, dtype = len(pixels), self.arithmetic.dtype
        batch = Batch(np.zeros((count, self.steps, self.network.readout.size), dtype), *(np.zeros((count, layers, self.steps), np.int64)
                      for _ in range(2)), np.zeros((count, layers), np.int64),
                      *((np.zeros((count, size), np.int64), np.zeros((count, size), dtype)) if neurons else (None, None)))
        for i, image in enumerate(self.network.graph.preprocessing(pixels)):
            drive = drive_of(self.network, self.arithmetic, image)[None]
            v, s = self.resting.copy(), np.zeros(size, np.int64)
            run_image(self.tables, self.neuron, drive, v, s, batch.spikes[i], batch.operations[i], batch.ties[i], batch.readout[i])
            if neurons:
                batch.counts[i], batch.potentials[i] = s, v
        return batch

    def stream(self, pixels, *, workers=None, batch=16, neurons=False):
        """Yield (start, Batch) for consecutive slices of `pixels`, computed on `workers` threads (None: one a core)."""
        starts = range(0, len(pixels), max(1, batch))
        with ThreadPoolExecutor(workers or cores()) as pool:
            def start(at):
                return pool.submit(self.run, pixels[at:at + batch], neurons=neurons)
            waiting = [(at, start(at)) for at in starts[:1]]  # the first one compiles alone
            waiting[0][1].result()
            ahead = iter(starts[1:])
            while waiting:
                while len(waiting) < 2 * (workers or cores()) and (at := next(ahead, None)) is not None:
                    waiting.append((at, start(at)))
                at, future = waiting.pop(0)
                yield at, future.result()

    def describe(self):
        """What was simulated, in words and numbers, for the results' provenance."""
        return {
            "engine": "clocked", "neuron": IF.words, "initial_potential": f"{self.initial:g} thresholds", "steps": self.steps,
            "drive": "constant: W x + b of layers that see the input, b of every other, at the beginning of each step",
            "thresholds": self.network.thresholds, "normalisation": "weights normalised, all thresholds 1",
            "order_of_summation": "drive, then the spikes of each projection (by source layer) in the order of source neurons; "
                                  "their sum is added to the potential",
            "neuron_number": "(y * W + x) * C + c", "arithmetic": self.arithmetic.kind, "dtype": str(self.arithmetic.dtype),
            "fraction_bits": self.arithmetic.fraction_bits or None, "bound_in_thresholds": self.arithmetic.bound,
            "readout_exponent": self.arithmetic.readout_exponent,
        }


@dataclass
class Result:
    """A run over N images; arrays as in `Batch`. labels: int64 [N] or None; seconds: wall time of the simulation."""

    simulation: Simulation
    batch: Batch
    labels: np.ndarray | None
    seconds: float
    provenance: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.batch.readout)

    @property
    def network(self):
        return self.simulation.network

    @property
    def spikes(self):
        """int64 [N, L, T]"""
        return self.batch.spikes

    @property
    def operations(self):
        """Synaptic operations, int64 [N, L, T]"""
        return self.batch.operations

    def readout(self, step=None):
        """Average output after `step` steps (default: all), float64 [N, classes], in units of the ANN's output."""
        step = self._step(step)
        return self.simulation.arithmetic.readout(self.batch.readout[:, step - 1]) / step

    def predictions(self, step=None):
        """The class with the largest readout (the first of equals), int64 [N]."""
        return self.batch.readout[:, self._step(step) - 1].argmax(axis=1)

    def accuracy(self, step=None):
        """The share of images classified as labelled."""
        if self.labels is None:
            raise InputError("accuracy", "images with labels", "none", "run on labelled Images, or pass labels=")
        return float(np.mean(self.predictions(step) == self.labels))

    def rates(self):
        """Spikes per neuron and step for each spiking layer, float64 [L - 1]."""
        sizes = np.array([layer.size for layer in self.network.spiking])
        return self.spikes[:, :-1].sum(axis=(0, 2)) / (len(self) * self.simulation.steps * sizes)

    def _step(self, step):
        step = self.simulation.steps if step is None else step
        if not 1 <= step <= self.simulation.steps:
            raise InputError("step", f"1 to {self.simulation.steps}", step)
        return step

    def table(self, steps=None):
        """One row for each of the report steps: T, accuracy (with labels), spikes and synaptic operations per image up to T."""
        rows = []
        for t in steps or report_steps(self.simulation.steps):
            row = {"T": t} if self.labels is None else {"T": t, "accuracy": self.accuracy(t)}
            row["spikes"] = float(self.spikes[:, :, :t].sum() / len(self))
            row["operations"] = float(self.operations[:, :, :t].sum() / len(self))
            rows.append(row)
        return rows

    def __repr__(self):
        accuracy = "" if self.labels is None else f", accuracy {self.accuracy():.2%}"
        return (f"<Result: {len(self)} images, T = {self.simulation.steps}{accuracy}, {self.spikes.sum() / len(self):,.0f} spikes and "
                f"{self.operations.sum() / len(self) / 1e6:,.1f} M synaptic operations an image; {self.simulation.arithmetic}>")

    def _repr_html_(self):
        from eventsnn.tables import html_table
        return f"<p>{repr(self)[1:-1]}</p>" + html_table(self.table())


def run(network, images, *, labels=None, steps=32, initial=0.5, arithmetic="fixed", fraction_bits=None, workers=None, batch=16,
        neurons=False, progress=False):
    """Simulate `images` (`Images`, or raw pixels [N, C, H, W]) for `steps` steps and return a `Result`.

    neurons: keep every neuron's net spikes and last potential. progress: show a bar on a terminal. The other
    settings are those of `Simulation`. Raises InputError for images of another shape.
    """
    pixels, labels = getattr(images, "pixels", images), getattr(images, "labels", labels)
    check_images(network.graph, pixels, labels)
    simulation = Simulation(network, steps=steps, initial=initial, arithmetic=arithmetic, fraction_bits=fraction_bits,
                            pixel_range=pixel_range(pixels))
    began, parts = time.perf_counter(), []
    from tqdm import tqdm
    with tqdm(total=len(pixels), unit="image", disable=None if progress else True, delay=2) as bar:
        for _, part in simulation.stream(pixels, workers=workers, batch=batch, neurons=neurons):
            parts.append(part)
            bar.update(len(part.readout))
    return Result(simulation, Batch.join(parts), labels, time.perf_counter() - began, simulation.describe())


def check_images(graph, pixels, labels=None, where="images"):
    """Raise InputError unless raw pixels (and labels) fit the graph."""
    expected = tuple(graph.input_shape)
    if getattr(pixels, "ndim", 0) != 4 or tuple(pixels.shape[1:]) != expected or not len(pixels):
        raise InputError(where, f"one or more images of shape [C, H, W] = {list(expected)} for {graph.source}",
                         f"an array of shape {list(getattr(pixels, 'shape', ()))}", "give images of the size the network was trained on")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(where, "finite pixels", "NaN or infinity")
    if labels is None:
        return
    classes = int(np.prod(graph.shapes[graph.output]))
    if len(labels) != len(pixels):
        raise InputError(where, f"{len(pixels)} labels", len(labels))
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(where, f"labels from 0 to {classes - 1}, the outputs of {graph.source}", f"{labels.min()} to {labels.max()}",
                         "give the data set the network was trained on")


def pixel_range(pixels):
    """(lowest, highest) raw pixel: of the type for whole numbers, of the given images for floating point."""
    if pixels.dtype.kind in "iu":
        return np.iinfo(pixels.dtype).min, np.iinfo(pixels.dtype).max
    return float(pixels.min()), float(pixels.max())


def report_steps(steps):
    """1, 2, 4, … up to and including `steps`."""
    return sorted({2**k for k in range(steps.bit_length()) if 2**k <= steps} | {steps})


def cores():
    """The number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
