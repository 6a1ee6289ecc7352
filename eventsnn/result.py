"""A run and its result, for scripts and notebooks."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass, field, replace

import numpy as np
from tqdm import tqdm

from eventsnn.data.images import check_images, pixel_range
from eventsnn.exceptions import InputError
from eventsnn.network.presets import with_preset
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.encoding import Encoding, events_of
from eventsnn.simulation.simulation import Simulation, cores
from eventsnn.simulation.time import Time
from eventsnn.views.tables import dataset, html_table, optional, report_steps


@dataclass
class Result:
    """A run over N images; arrays as in `Batch`. images: as given; labels: int64 [N] or None;
    seconds: the simulation's wall time.
    """

    simulation: Simulation
    batch: Batch
    images: object
    labels: np.ndarray | None
    seconds: float
    traces: dict = field(default_factory=dict, repr=False)

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
        """Output after `step` steps (default: all), float64 [N, classes], in the ANN's units:
        averaged, unless released evenly.
        """
        step = self._step(step)
        return self.simulation.output(self.batch.readout[:, step - 1], step)

    def predictions(self, step=None):
        """The class with the largest readout (the first of equals), int64 [N]."""
        return self.batch.readout[:, self._step(step) - 1].argmax(axis=1)

    def accuracy(self, step=None):
        """The share of images classified as labelled."""
        if self.labels is None:
            raise InputError(
                "accuracy", "images with labels", "none", "run on labelled Images, or pass labels="
            )
        return float(np.mean(self.predictions(step) == self.labels))

    def rates(self):
        """Spikes per neuron and step for each spiking layer, float64 [L - 1]."""
        sizes = np.array([layer.size for layer in self.network.spiking])
        return self.spikes[:, :-1].sum(axis=(0, 2)) / (len(self) * self.simulation.steps * sizes)

    def trace(self, image=0):
        """The `Trace` of an image (its place in this run): every spike and delivery; event engine
        only.
        """
        return self._recorded(image)[1]

    def observe(self, layer, neuron, image=0):
        """What arrived at one neuron, event by event: an `Observation`; its picture:
        `microscope.plot`.
        """
        from eventsnn.trace.microscope import observe

        return observe(self.trace(image), layer, neuron)

    def explain(self, layer, neuron, image=0):
        """Why a neuron fired as often as it did: an `Explanation`; print it."""
        from eventsnn.trace.explain import explain_neuron

        return explain_neuron(self.trace(image), layer, neuron)

    def replay(self, edits=(), image=0):
        """What would have happened had spikes been swapped, moved, dropped or delayed
        (`replay.Swap`, …).
        """
        from eventsnn.trace.replay import replay

        trace = self.trace(image)
        return replay(self.simulation, trace, self._image(image), edits)

    def _image(self, image):
        """Raw pixels, or the input events of an image."""
        given, simulation = getattr(self.images, "pixels", self.images)[image], self.simulation
        if simulation.encoding.kind != "events":
            return given
        return events_of(
            given, simulation.network.graph.input_shape, simulation.steps, simulation.time.ticks
        )

    def _recorded(self, image):
        if not 0 <= image < len(self):
            raise InputError("image", f"0 to {len(self) - 1}", image)
        if image not in self.traces:
            from eventsnn.trace.trace import record

            numbers = getattr(self.images, "indices", np.arange(len(self)))
            self.traces[image] = record(self.simulation, self._image(image), int(numbers[image]))
        return self.traces[image]

    def _step(self, step):
        step = self.simulation.steps if step is None else step
        if not 1 <= step <= self.simulation.steps:
            raise InputError("step", f"1 to {self.simulation.steps}", step)
        return step

    def table(self, steps=None):
        """One row for each of the report steps: T, accuracy (with labels), spikes and synaptic
        operations per image up to T.
        """
        rows = []
        for t in steps or report_steps(self.simulation.steps):
            row = {"T": t} if self.labels is None else {"T": t, "accuracy": self.accuracy(t)}
            row["spikes"] = float(self.spikes[:, :, :t].sum() / len(self))
            row["operations"] = float(self.operations[:, :, :t].sum() / len(self))
            rows.append(row)
        return rows

    def to_pandas(self):
        """`table` as a DataFrame, one row for each of the report steps; needs pandas."""
        return optional("pandas").DataFrame(self.table()).set_index("T")

    def to_xarray(self):
        """A Dataset; needs xarray.

        spikes, operations: int64 [image, layer, step]; readout: float64 [image, step, class], in
        the ANN's units; label: int64 [image], if there are labels. Images have their numbers in the
        data set, layers their names, steps count from 1.
        """
        steps = range(1, self.simulation.steps + 1)
        variables = {
            "spikes": (("image", "layer", "step"), self.spikes),
            "operations": (("image", "layer", "step"), self.operations),
            "readout": (
                ("image", "step", "class"),
                np.stack([self.readout(k) for k in steps], axis=1),
            ),
        }
        if self.labels is not None:
            variables["label"] = ("image", self.labels)
        return dataset(
            variables,
            image=getattr(self.images, "indices", np.arange(len(self))),
            step=list(steps),
            layer=[layer.name for layer in self.network.layers],
        )

    def __repr__(self):
        accuracy = "" if self.labels is None else f", accuracy {self.accuracy():.2%}"
        return (
            f"<Result: {len(self)} images, T = {self.simulation.steps}{accuracy}, {self.spikes.sum() / len(self):,.0f} spikes and "
            f"{self.operations.sum() / len(self) / 1e6:,.1f} M synaptic operations an image; {self.simulation.arithmetic}>"
        )

    def _repr_html_(self):
        return f"<p>{repr(self)[1:-1]}</p>" + html_table(self.table())


def run(
    network,
    images,
    *,
    labels=None,
    steps=32,
    engine="clocked",
    neuron="if",
    tau=4,
    initial=0.5,
    encoding="constant",
    bias_once=False,
    srp=0,
    srp_epsilon=0.0,
    compat=None,
    arithmetic="fixed",
    fraction_bits=None,
    seed=0,
    workers=None,
    batch=16,
    neurons=False,
    progress=False,
    **time,
):
    """Simulate `images` (`Images`, or raw pixels [N, C, H, W]) for `steps` steps and return a
    `Result`.

    With encoding "events", images is a list with each image's input events (`encoding.events_of`).
    neurons: keep every neuron's net spikes and last potential. compat: a paper's own code
    (`compat.PRESETS`). progress: show a bar on a terminal. time: fields of `simulation.Time`
    (order, window, refractory, …) for engine "event". The other settings are those of
    `simulation.Simulation`. Raises InputError for images of another shape.
    """
    pixels, labels = getattr(images, "pixels", images), getattr(images, "labels", labels)
    encoding = (
        encoding if isinstance(encoding, Encoding) else Encoding(kind=encoding, bias_once=bias_once)
    )
    decided = with_preset(
        run,
        compat,
        {
            "neuron": neuron,
            "initial": initial,
            "encoding": encoding.kind,
            "bias_once": encoding.bias_once,
            "srp": srp,
            "srp_epsilon": srp_epsilon,
        },
    )
    encoding = replace(encoding, kind=decided["encoding"], bias_once=decided["bias_once"])
    inputs, ends = None, (0, 1)
    if encoding.kind == "events":
        pixels = inputs = [
            events_of(given, network.graph.input_shape, steps, Time(**time).ticks)
            for given in pixels
        ]
    else:
        check_images(network.graph, pixels, labels)
        ends = pixel_range(pixels)
    simulation = Simulation(
        network,
        steps=steps,
        engine=engine,
        neuron=decided["neuron"],
        tau=tau,
        initial=decided["initial"],
        encoding=encoding,
        srp=srp,
        srp_epsilon=decided["srp_epsilon"],
        arithmetic=arithmetic,
        seed=seed,
        fraction_bits=fraction_bits,
        pixel_range=ends,
        inputs=inputs,
        time=Time(**time),
    )
    numbers = getattr(images, "indices", np.arange(len(pixels)))
    began, parts = clock.perf_counter(), []
    with tqdm(total=len(pixels), unit="image", disable=None if progress else True, delay=2) as bar:
        size = max(1, min(batch, len(pixels) // (workers or cores())))  # no thread without images
        for _, part in simulation.stream(
            pixels, numbers=numbers, workers=workers, batch=size, neurons=neurons
        ):
            parts.append(part)
            bar.update(len(part.readout))
    return Result(simulation, Batch.join(parts), images, labels, clock.perf_counter() - began)
