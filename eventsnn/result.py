"""A run and its result, for scripts and notebooks."""

from __future__ import annotations

import time as clock
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import by_neuron, classes_of, is_map, logits
from eventsnn.ann.pixels import misfit
from eventsnn.ann.tops import MANY, TOP, in_top
from eventsnn.arguments import OWN, Count, Natural, checked, checked_by, named_fields
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.data.ranges import range_of
from eventsnn.doubts import DoubtfulAccuracy, doubt_of
from eventsnn.engine.event.driver import EventRun
from eventsnn.exceptions import InputError, in_python, named, one_line
from eventsnn.network.linear import Grid
from eventsnn.network.network import Network
from eventsnn.network.presets import with_preset
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.conditions import Conditions, conditions
from eventsnn.simulation.cores import core_rows
from eventsnn.simulation.encoding import Code, Encoding
from eventsnn.simulation.event_inputs import accept_events, input_events
from eventsnn.simulation.rounding import RoundedWeights, rounding_doubt
from eventsnn.simulation.simulation import Simulation, cores
from eventsnn.simulation.specification import Specification
from eventsnn.simulation.time import Time
from eventsnn.statistics import wilson
from eventsnn.trace.edits import Edit
from eventsnn.trace.trace import Trace, record
from eventsnn.views.named import Named
from eventsnn.views.progress import following
from eventsnn.views.tables import CORES, Table, dataset, html_page, optional, report_steps

if TYPE_CHECKING:  # what draws is imported where it is used
    from matplotlib.figure import Figure

    from eventsnn.trace.explain import Explanation
    from eventsnn.trace.microscope import Observation
    from eventsnn.trace.replay import Replayed
    from eventsnn.trace.worst import Worst


DOUBTED = 512  # images that the ANN is asked about, where the accuracy is in doubt


@named_fields
@dataclass
class Result:
    """A run over N images, from `simulate`.

    simulation: the network with its time and arithmetic. batch: what the images left, as arrays.
    images: as given, or flattened. labels: int64 [N]; None without, and for an output that is a
    map. seconds: the simulation's wall time. note: how images were flattened, and how their pixels
    do not fit the preprocessing, or "". traces: what was recorded so far, by the image's place.
    beside: of its `conditions`, what no option of the simulation says, as that layers were
    replaced.
    """

    simulation: Simulation
    batch: Batch
    images: Any
    labels: NDArray[np.int64] | None
    seconds: float
    note: str = ""
    traces: dict[int, tuple[EventRun, Trace]] = field(default_factory=dict, repr=False)
    beside: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if is_map(self.network.graph):
            self.labels = None

    def __len__(self) -> int:
        return len(self.batch.readout)

    @property
    def network(self) -> Network:
        """The network that ran."""
        return self.simulation.network

    @property
    def conditions(self) -> Conditions:
        """What decided it."""
        return Conditions({**conditions(self.simulation).parts, **self.beside})

    @property
    def spikes(self) -> NDArray[np.int64]:
        """Spikes of either sign, int64 [N, L, T]; L: layers, the readout last."""
        return self.batch.spikes

    @property
    def operations(self) -> NDArray[np.int64]:
        """Synaptic operations by target layer, int64 [N, L, T]."""
        return self.batch.operations

    @property
    def digests(self) -> NDArray[np.uint64] | None:
        """Hashes of the spikes, uint64 [N, L, T] (semantics, section 17); None where the engine
        does not tell them.
        """
        return self.batch.digests

    @checked
    def readout(self, step: int | None = None) -> NDArray[np.float64]:
        """The output after `step` steps (None: all), float64 [N, classes], in the ANN's units.

        It is averaged over the steps that count, unless the input was released evenly. Raises
        InputError for a step outside 1 to T, and for those up to `readout_from`.
        """
        step = self._step(step)
        return self.simulation.output(self.batch.readout[:, step - 1], step)

    @checked
    def predictions(self, step: int | None = None) -> NDArray[np.int64]:
        """The class with the largest readout (the first of equals) after `step` steps, int64 [N].

        One output alone decides between classes 0 and 1: 1 where it is above 0. Raises InputError
        for an output that is a map.
        """
        if is_map(self.network.graph):
            shape = "x".join(map(str, self.network.readout.grid))
            do = "take readout(), which is compared with the ANN's output"
            raise InputError("predictions", "an output of classes", f"a map of {shape}", do)
        return classes_of(self.batch.readout[:, self._step(step) - 1])

    @checked
    def accuracy(self, step: int | None = None, top: Count = 1) -> float:
        """The share of images classified as labelled after `step` steps (None: all).

        top: how many classes with the largest readout count; 5 gives top-5. Raises InputError where
        there are no labels, for an output that is a map, and for more classes than there are.
        """
        predictions = self.predictions(step)
        if self.labels is None:
            raise InputError(
                "accuracy", "images with labels", "none", "run on labelled Images, or pass labels="
            )
        if top > 1:
            readout = self.batch.readout[:, self._step(step) - 1]
            if readout.shape[1] < max(2, top):
                expected = f"at most the {readout.shape[1]} outputs"
                raise InputError("top", expected, top, "choose fewer")
            return float(np.mean(in_top(readout, self.labels, top)))
        return float(np.mean(predictions == self.labels))

    @property
    def latency(self) -> NDArray[np.int64]:
        """Order "cores": the tick from whose end on an image's class is what it is at last, int64
        [N] (semantics, section 12). Raises InputError under another order, and of a map.
        """
        found = self._served().latency
        if found is None:
            raise InputError("latency", "an output of classes", "a map", "see undelivered, cores()")
        return found

    @checked
    def predictions_by(self, tick: Natural) -> NDArray[np.int64]:
        """Order "cores": the readout's class at the end of a tick, int64 [N].

        tick: from 0, the beginning of an image. Before the steps that count (`readout_from`) and
        after an image's end it is the first, and the last. Raises InputError as `latency` does.
        """
        changes = self._served().changes
        assert changes is not None
        if not changes.shape[1]:
            raise InputError("predictions_by", "an output of classes", "a map", "take readout()")
        at = np.maximum((changes[:, :, 0] <= tick).sum(axis=1) - 1, 0)
        return changes[np.arange(len(changes)), at, 1]

    @checked
    def accuracy_by(self, tick: Natural) -> float:
        """Order "cores": the share of images whose class at the end of a tick is as labelled.

        tick: the deadline, from 0. Raises InputError without labels, and as `predictions_by` does.
        """
        found = self.predictions_by(tick)
        if self.labels is None:
            do = "run on labelled Images, or pass labels="
            raise InputError("accuracy_by", "images with labels", "none", do)
        return float(np.mean(found == self.labels))

    @checked
    def cores(self) -> Table:
        """Order "cores": one row for each layer's core that is ever asked, the readout's last.

        `busy`: the share of a run's ticks in which it is in service, the mean of images. `queue`:
        the most events that wait for it at once, the mean of images, and `longest` of all images.
        `undelivered`: the mean of the events that are on their way to it when a run ends. Raises
        InputError under another order.
        """
        rows = core_rows(self.network, self._served())
        title = (
            "Cores; busy: share of the ticks of a run in which it is in service, mean of images; "
            "queue: events that wait at once at most, mean of images, longest: of all images; "
            "undelivered: events on their way when a run ends, mean of images"
        )
        return Table(rows, f"{title}\n{self.conditions}", CORES)

    def _served(self) -> Batch:
        """The batch, of order "cores". Raises InputError under another order."""
        if self.batch.busy is None:
            order = str(self.simulation.time.order)
            do = "simulate with that order"
            found = named("order", order) if self.simulation.engine.asynchronous else "clocked time"
            raise InputError("cores", named("order", "cores"), found, do)
        return self.batch

    @checked
    def rates(self) -> Named:
        """Spikes per neuron and step of each spiking layer, float64 [L - 1]; rates()["act1"]."""
        sizes = np.array([layer.size for layer in self.network.spiking])
        spikes = self.spikes[:, :-1].sum(axis=(0, 2))
        names = [layer.name for layer in self.network.spiking]
        return Named(spikes / (len(self) * self.simulation.steps * sizes), names)

    @checked
    def counts(self, layer: str | int) -> NDArray[np.int64]:
        """Net spikes that each neuron of a layer sent, int64 [N, C, H, W].

        layer: its name or number. The images run again unless `simulate` kept its neurons. Raises
        InputError for a layer that there is not.
        """
        number = self._layer(layer)
        found = []
        for _, batch in self._with_neurons():
            assert batch.counts is not None
            found.append(batch.counts[:, self.network.columns(number)])
        c, h, w = self.network.layers[number].grid
        return np.concatenate(found).reshape(-1, h, w, c).transpose(0, 3, 1, 2)

    def worst(self, count: int = 10, layer: str | int | None = None) -> Worst:
        """The neurons whose spikes are furthest from what all their charge is worth, the worst
        first: what `explain` has most to say of.

        count: how many at most. layer: a layer's name or number (None: of all). The images run
        again unless `simulate` kept its neurons. In floating point a neuron may be taken to be a
        spike off that is not. Raises InputError for a layer without neurons, and for a model that
        loses charge or changes between arrivals.
        """
        from eventsnn.trace.worst import worst

        number = None if layer is None else self._layer(layer)
        return worst(self.simulation, self._with_neurons(), count, number)

    @checked
    def plot(self) -> Figure:
        """Accuracy over T, where there are labels, and the rates by layer; a matplotlib Figure."""
        from eventsnn.views.plots import result_figure

        rows = []
        for row in self.table() if self.labels is not None else ():
            low, high = wilson(round(row["accuracy"] * len(self)), len(self))
            rows.append({**row, "accuracy_low": low, "accuracy_high": high})
        rates = self.rates().items()
        layers = [
            {"layer": name, "shape": "x".join(map(str, layer.grid)), "rate": rate}
            for layer, (name, rate) in zip(self.network.spiking, rates)
        ]
        title = f"{self.network.graph.meta.get('arch', 'network')}, {len(self):,} images"
        return result_figure(rows, layers, title, self.conditions)

    def _layer(self, layer: str | int) -> int:
        """A layer's number. layer: its name or number."""
        names = [its.name for its in self.network.layers]
        if isinstance(layer, (int, np.integer)) and 0 <= layer < len(names):
            return int(layer)
        if layer not in names:
            raise InputError("layer", f"one of {', '.join(names)}, or its number", repr(layer))
        return names.index(str(layer))

    def _with_neurons(self) -> Iterator[tuple[int, Batch]]:
        """Yields (first image, its batch with counts, potentials and masks), of all images."""
        if self.batch.counts is not None:
            yield 0, self.batch
            return
        pixels: Any = getattr(self.images, "pixels", self.images)
        if self.simulation.encoding.kind == "events":
            pixels = [self._image(i) for i in range(len(self))]
        yield from self.simulation.stream(pixels, numbers=self._numbers, neurons=True)

    @property
    def _numbers(self) -> NDArray[np.int64]:
        """The images' numbers in their data set, on which randomness depends; int64 [N]."""
        return getattr(self.images, "indices", np.arange(len(self)))

    @checked
    def trace(self, image: int = 0) -> Trace:
        """Every spike and delivery of an image; event engine only.

        image: its place in this run. Raises InputError for another engine or place.
        """
        return self._recorded(image)[1]

    @checked
    def observe(
        self, layer: str | int, neuron: Annotated[int | tuple[int] | Grid, OWN], image: int = 0
    ) -> Observation:
        """What arrived at one neuron, event by event; `microscope.plot` draws it.

        layer: its name or number. neuron: its number in the layer, (c, y, x), or (i,), the index
        in a flat vector. image: its place in this run. Raises InputError for what there is not.
        """
        from eventsnn.trace.microscope import observe

        return observe(self.trace(image), layer, neuron)

    @checked
    def explain(
        self, layer: str | int, neuron: Annotated[int | tuple[int] | Grid, OWN], image: int = 0
    ) -> Explanation:
        """Why a neuron fired as often as it did; print it. Parameters as for `observe`."""
        from eventsnn.trace.explain import explain_neuron

        return explain_neuron(self.trace(image), layer, neuron)

    @checked
    def replay(self, edits: Iterable[Edit] = (), image: int = 0) -> Replayed:
        """What would have happened had spikes been swapped, moved, dropped or delayed.

        edits: of `Swap`, `Move`, `Drop`, `Delay`, one after the other. image: its place in this
        run. Raises InputError for edits that cannot be.
        """
        from eventsnn.trace.replay import replay

        trace = self.trace(image)
        return replay(self.simulation, trace, self._image(image), edits)

    def _image(self, image: int) -> NDArray[Any]:
        """Raw pixels, or the input events of an image."""
        simulation = self.simulation
        if simulation.encoding.kind != "events":
            return getattr(self.images, "pixels", self.images)[image]
        given = getattr(self.images, "events", self.images)[image]
        shape, ticks = simulation.network.graph.input_shape, simulation.time.ticks
        return input_events(given, shape, simulation.steps, ticks, simulation.encoding)[0]

    def _recorded(self, image: int) -> tuple[EventRun, Trace]:
        if not 0 <= image < len(self):
            raise InputError("image", f"0 to {len(self) - 1}", image, "count from 0 in this run")
        if image not in self.traces:
            number = int(self._numbers[image])
            self.traces[image] = record(self.simulation, self._image(image), number)
        return self.traces[image]

    def _step(self, step: int | None) -> int:
        step = self.simulation.steps if step is None else step
        self.simulation.check_step(step)
        return step

    @property
    def _last_only(self) -> bool:
        return self.simulation.stages > 1

    @checked
    def table(self, steps: Sequence[int] | None = None) -> Table:
        """One row for each of `steps` (None: 1, 2, 4, … and T, after those that do not count).

        Printed, it has a title.

        A row has T, accuracy (with labels; of more than ten classes top5_accuracy, too), and spikes
        and synaptic operations an image up to T.
        """
        rows = []
        all_steps = self.simulation.steps
        every = report_steps(all_steps, self.simulation.readout_from)
        for t in steps or ([all_steps] if self._last_only else every):
            row: dict[str, Any] = {"T": t}
            if self.labels is not None:
                row["accuracy"] = self.accuracy(t)
                if self.network.readout.size > MANY:
                    row["top5_accuracy"] = self.accuracy(t, TOP)
            row["spikes"] = float(self.spikes[:, :, :t].sum() / len(self))
            row["operations"] = float(self.operations[:, :, :t].sum() / len(self))
            rows.append(row)
        title = f"After T steps, {len(self):,} images; spikes and synaptic operations: of an image"
        return Table(rows, f"{title}, up to T\n{self.conditions}")

    def to_pandas(self) -> Any:
        """`table` as a DataFrame, one row for each of the report steps; needs pandas."""
        return optional("pandas").DataFrame(self.table()).set_index("T")

    def to_xarray(self) -> Any:
        """A Dataset; needs xarray.

        spikes, operations: int64 [image, layer, step]. readout: float64 [image, step, class], in
        the ANN's units, NaN up to step `readout_from`. label: int64 [image], if there are labels.
        Images have their numbers in the data set, layers their names, and steps count from 1.
        """
        steps = list(range(1, self.simulation.steps + 1))
        if self._last_only:
            do = "take readout(), spikes and operations"
            raise InputError("to_xarray", "a result after every step", "one after the last", do)
        first = self.simulation.readout_from
        readout = np.stack([self.readout(step) for step in steps[first:]], axis=1)
        readout = np.pad(readout, ((0, 0), (first, 0), (0, 0)), constant_values=np.nan)
        variables: dict[str, Any] = {
            "spikes": (("image", "layer", "step"), self.spikes),
            "operations": (("image", "layer", "step"), self.operations),
            "readout": (("image", "step", "class"), readout),
        }
        if self.labels is not None:
            variables["label"] = ("image", self.labels)
        names = [layer.name for layer in self.network.layers]
        return dataset(variables, image=self._numbers, step=steps, layer=names)

    def __repr__(self) -> str:
        accuracy = "" if self.labels is None else f", accuracy {self.accuracy():.2%}"
        spikes = self.spikes.sum() / len(self)
        operations = self.operations.sum() / len(self) / 1e6
        return (
            f"<Result: {len(self)} images{accuracy}, {spikes:,.0f} spikes and {operations:,.1f} M "
            f"synaptic operations an image; {self.conditions}; "
            f"{self.simulation.arithmetic}{f'; {one_line(self.note)}' if self.note else ''}>"
        )

    def _repr_html_(self) -> str:
        return html_page(self, self.table())


@checked_by(Specification, Time, Encoding)
def simulate(
    network: Network,
    images: GivenImages,
    *,
    labels: GivenLabels = None,
    pixel_range: Annotated[tuple[float, float] | None, OWN] = None,
    steps: int = Specification.steps,
    engine: str = "clocked",
    neuron: Any = Specification.neuron,
    tau: int | None = Specification.tau,
    initial: float | Sequence[NDArray[np.float64]] | None = Specification.initial,
    shift: bool = Specification.shift,
    encoding: str | Encoding | Code | None = Encoding.kind,
    bias_once: bool = Encoding.bias_once,
    srp: int = Specification.srp,
    srp_epsilon: float = Specification.srp_epsilon,
    offset: int = Specification.offset,
    readout_from: int = Specification.readout_from,
    compat: str | None = None,
    arithmetic: str = Specification.arithmetic,
    fraction_bits: int | None = Specification.fraction_bits,
    seed: int = Specification.seed,
    order: Any = Time.order,
    barrier: bool = Time.barrier,
    refractory: float = Time.refractory,
    window: float = Time.window,
    spread: int = Time.spread,
    group: int = Time.group,
    jitter: str = Time.jitter,
    service: tuple[float, ...] = Time.service,
    latency: float = Time.latency,
    arbitration: str = Time.arbitration,
    delays: Any = Time.delays,
    max_events: int | None = Time.max_events,
    ticks: int | None = Time.ticks,
    workers: Count | None = None,
    batch: Count = 16,
    neurons: bool = False,
    progress: bool | None = None,
) -> Result:
    """Simulates images on a spiking network.

    **What runs**

    network: what `eventsnn.convert` returns.
    images: `Images`, or raw pixels [N, C, H, W] of any number type as an array, a list or a tensor,
        or batches of pixels and labels, as a DataLoader gives them (`data.accept`); or for encoding
        "events" a list with each image's input events (`encoding.events_of`), what `load_events`
        gives, or pairs of records and labels, as a data set of Tonic's gives them.
    labels: the images' classes, whole numbers [N] or one-hot [N, K]; None for images that bring
        their own, and where the output is a map of more than one place, which has no classes.
    pixel_range: (lowest, highest) raw pixel that the images of a study may have, from which F and
        the rates of encoding "rate" follow, so that an image gives the same spikes alone and with
        others. None: what the images' file says; or 0 to 255 for uint8; or 0 to 1 or to 255, as
        the network's preprocessing expects. Pixels outside are refused.
    steps: T, the number of time steps, 1 to 65,536.

    **Neurons and input**

    neuron: "if", "if-hard", "snm" (DNISNM eq. 19-23), "signed" (Fast-SNN), "st-bif" (SpikeZIP eq.
        1), "gn" (GN eq. 8-11), "burst" (BSN), "lif", "adaptive", "tpp" (TPP, two phases),
        "few-spike" and "radix" (in binary), "phase" (weighted by phase), "tsc" (two spikes), "ttfs"
        and "ttfs-exact" (one spike, by its step or its tick), with options behind a colon, as in
        "gn:8" or "lif:leak=0.95"; or a model, as `neurons.GN(members=8)` or one of one's own
        (`neurons.contract`).
    tau: members of a group neuron, 1 to 256; for "gn" only. None: 4, or what `neuron` says.
    initial: v(0) in the charge of one spike, -1000 to 1000: one number, or one float64 array
        [neurons] for each spiking layer, channels last, or [images, neurons], whose row i is that
        of the i-th image; None: the model's own, 0.5 (TPP, few-spike: 0).
    shift: whether biases bring half a spike's charge in T steps, theta / 2T in each (Opt: Deng and
        Gu 2021), and v(0) is 0 by default.
    encoding: how an image becomes charge (semantics, section 3): "constant", "even", "rate",
        "events", an `Encoding` with its details, or one of one's own (`encoding.Code`). None:
        "constant", or what the model needs: "even" for ST-BIF, which is refused with others.
    bias_once: whether biases arrive whole in step 1; for "constant" and "even".
    srp: steps of SRP's first stage (SRP section 4); 0: there is none.
    srp_epsilon: the least residual potential, in thresholds, with which a neuron goes on sending.
    offset: steps before the run in which each layer finds a v(0) of its own for each neuron and
        image, one spike up or down (COS); 0: none. What they cost is in `Batch.stage_one`.
    readout_from: only what reaches the readout after that many steps counts, divided by the steps
        that are left (semantics, section 3); 0: all.
    compat: a paper's own code (`presets.PRESETS`), which decides some of these options.

    **Arithmetic** (semantics, section 6)

    arithmetic: "fixed", whole numbers of 2^-F, exact in any order; or "float32", "float64".
    fraction_bits: F, 1 to 40; None: the largest for which no potential can overflow.
    seed: of everything random, 0 to 2^63 - 1.

    **Time and order** (semantics, section 5)

    engine: "clocked", all neurons once a step; or "event", spike by spike from a queue. The
        options that follow are for "event".
    order: in which order spikes that are due together arrive: "fifo", "lifo", "index", "random",
        "priority", "excitatory_first", "inhibitory_first", "jitter", "delays", "clocked", "cores",
        or a policy of one's own (`eventsnn.engine.event.order`).
    barrier: whether the queue is emptied before the next step's drive arrives.
    refractory: the time after a spike in which a neuron cannot fire, in steps.
    window: how long a neuron collects arrivals before it is evaluated, in steps.
    spread: in how many equal parts, evenly over the step, a step's drive comes (semantics, section
        12); it divides the ticks of a step, 1 to 2^20. 1: it comes whole, at the step's beginning.
    group: how many of the deliveries that are due together only charge before the neurons and pool
        units that they reached are evaluated, each once (semantics, section 12), 1 to 2^31 - 1. 1:
        each arrival is evaluated.
    jitter: for order "jitter", the delay of each spike: "uniform:X" (0 to X steps) or
        "exponential:X" (mean X steps).
    service: for order "cores" (semantics, section 12), (a, b) in steps: a core is busy for a with
        an event, and for b more with each weight that the event touches.
    latency: for order "cores", the time from a spike to its arrival at a core, in steps.
    arbitration: for order "cores", which of the events that wait a core takes next: "fifo", "index"
        (the lowest layer and neuron), "round_robin" (of each source layer in turn) or "random".
    delays: in steps: one number, {(source, target): number} by layers' names, or one array
        [neurons] for each spiking layer; None: there are none.
    max_events: events of one image before it is an error; None: 8 for each neuron and step (64
        with windows or refractory periods), at least a million.
    ticks: whole parts of a step in which times are counted, 1 to 2^20; the refractory period, the
        window, delays, times of cores and jitter's bound must be whole in them, and `spread` divide
        them. None: the fewest that do, from 1,024. A float is the fraction of smallest denominator
        that rounds to it.

    **How it runs**; none of these changes a result

    workers: threads; None: one for each core.
    batch: images that a thread takes at a time.
    neurons: whether every neuron's net spikes and last potential are kept, in `Result.batch`.
    progress: whether a progress bar is shown after two seconds: True, on a terminal and in Jupyter;
        None, in Jupyter; False, never.

    Returns a `Result`. Warns with DoubtfulAccuracy where the accuracy is near chance, or far below
    what the network's file says, and the ANN's own is, too, on the first 512 images (of 20 or more
    with labels). Raises InputError for images of another shape than the network's, for
    values that are not allowed and options that do not go together, OptionError for an option
    that there is not, TooManyEvents for a queue that does not empty, and PotentialsTooLarge for
    potentials that 64 bits do not hold.
    """
    encoding = _encoding(encoding, bias_once)
    decided = with_preset(
        simulate,
        compat,
        {
            "neuron": neuron,
            "initial": initial,
            "shift": shift,
            "encoding": encoding.kind,
            "bias_once": encoding.bias_once,
            "srp": srp,
            "srp_epsilon": srp_epsilon,
        },
    )
    encoding = replace(encoding, kind=decided["encoding"], bias_once=decided["bias_once"])
    time = Time(
        order=order,
        barrier=barrier,
        refractory=refractory,
        window=window,
        spread=spread,
        group=group,
        jitter=jitter,
        service=service,
        latency=latency,
        arbitration=arbitration,
        delays=delays,
        max_events=max_events,
        ticks=ticks,
    )
    inputs: Any = None
    ends = (0.0, 1.0)
    if encoding.kind == "events":
        if pixel_range is not None:
            found = f"{named('encoding', 'events')}, which has no pixels"
            raise InputError(named("pixel_range"), "an encoding of pixels", found, "leave it out")
        ticks = time.resolved().ticks
        graph = network.graph
        given, encoding = accept_events(graph, images, labels, steps, ticks, encoding)
        inputs = given.pixels
    else:
        given = accept(network.graph, images, labels)
        fitting = in_python(misfit(network.graph.preprocessing, given.pixels))
        given = given._replace(note="; ".join(filter(None, (given.note, fitting))))
        declared = pixel_range or getattr(images, "pixel_range", None)
        ends = range_of(network.graph, given.pixels, declared).ends
    pixels = given.pixels
    simulation = Simulation(
        network,
        steps=steps,
        engine=engine,
        neuron=decided["neuron"],
        tau=tau,
        time=time,
        initial=decided["initial"],
        shift=decided["shift"],
        encoding=encoding,
        srp=srp,
        srp_epsilon=decided["srp_epsilon"],
        offset=offset,
        readout_from=readout_from,
        arithmetic=arithmetic,
        fraction_bits=fraction_bits,
        pixel_range=ends,
        inputs=inputs,
        seed=seed,
    )
    simulation.encoding.check_model(simulation.neuron)
    if rounded := rounding_doubt(simulation):
        warnings.warn(in_python(rounded), RoundedWeights, stacklevel=3)
    size = max(1, min(batch, len(pixels) // (workers or cores())))  # no thread without images
    parts = []
    began = clock.perf_counter()
    with following(len(pixels), "image", progress) as bar:
        for _, part in simulation.stream(
            pixels, numbers=given.numbers, workers=workers, batch=size, neurons=neurons
        ):
            parts.append(part)
            bar.update(len(part.readout))
    seconds = clock.perf_counter() - began
    batches = Batch.join(parts)
    result = Result(simulation, batches, given.images, given.labels, seconds, given.note)
    if inputs is None and (doubt := _doubt(result, given.pixels[:DOUBTED], workers)):
        warnings.warn(doubt, DoubtfulAccuracy, stacklevel=3)
    return result


def _doubt(result: Result, pixels: NDArray[Any], workers: int | None) -> str:
    """What to say of the ANN where the spiking network's accuracy is in doubt, or "".

    pixels: raw, of the first images.
    """
    graph, labels = result.network.graph, result.labels
    if labels is None or not doubt_of(graph, result.predictions(), labels):
        return ""
    with np.errstate(all="ignore"):
        found = by_neuron(logits(graph, pixels, workers=workers))
    return in_python(doubt_of(graph, classes_of(found), labels[: len(found)]))


def _encoding(given: str | Encoding | Code | None, bias_once: bool) -> Encoding:
    if bias_once and isinstance(given, Encoding):
        do = "give Encoding(bias_once=True, …)"
        raise InputError("bias_once", "it in the Encoding that is given", "it beside", do)
    return given if isinstance(given, Encoding) else Encoding(kind=given, bias_once=bias_once)
