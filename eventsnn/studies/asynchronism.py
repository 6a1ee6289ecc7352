"""What the order of arrival did to every neuron (semantics, section 8).

It measures late inhibition, inversions, and the interval of spike counts over all orders.

    found = asynchronism.measure(snn, images, steps=8, order="random", seed=1)
    print(text_table(found.table()))
    found.neurons["act5"].place                         # [images, neurons]

`trace.explain.explain_neuron` tells the same of one neuron, arrival by arrival; here one kernel
walks a trace's deliveries once and adds up for all. DNISNM section 3.3 is about single neurons;
that inversions foretell the error is for the correlations to confirm or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages
from eventsnn.engine.drive import Shares
from eventsnn.engine.event.walk import Arrivals, walk
from eventsnn.exceptions import InputError
from eventsnn.network.network import Layer, Network
from eventsnn.neurons.contract import check_declared
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.event import engine_of
from eventsnn.simulation.prepared import Prepared
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import pearson, spearman
from eventsnn.studies.by_image import IMAGE, Arrays, Given, Study, Variable, joined
from eventsnn.studies.heard import Neurons as Neurons
from eventsnn.studies.sampled import Sample, Samples
from eventsnn.studies.setting import check_averages, neuron_layers, pick, plain_row, prepare
from eventsnn.trace import short_steps
from eventsnn.trace.arrivals import check_complete, is_clocked, worth
from eventsnn.trace.bounds import has_bounds
from eventsnn.trace.trace import Trace, record
from eventsnn.views.progress import following
from eventsnn.views.tables import ByLayer, Table

TITLE = (
    "Order of arrival, means over neurons; late: inhibition after the last excitatory "
    "arrival, in thresholds; fired more: share that fired more than its charge is worth; "
    "error: spikes beyond that; width: most less fewest spikes over all orders; decided: "
    "share of width 0; place: between fewest (0) and most (1); inverted: share of pairs, "
    "excitatory before inhibitory; rho: Spearman's correlation with the error"
)
PREDICTORS = {
    "inversions": "inverted",
    "weighted": "weighted",
    "in run": "inverted_in_run",
    "late": "late",
}
INTERVAL = ("width", "decided", "place")
MEANS = (
    *("late", "with late", "fired more", "fired less", "error", *INTERVAL),
    *(f"{name} any" for name in INTERVAL),
    *("with pairs", "inverted"),
)
SHOWN = (
    "layer",
    "neurons",
    "late",
    "fired more",
    "error",
    "width",
    "decided",
    "place",
    "inverted",
)


@dataclass(repr=False)
class Asynchronism(ByLayer):
    """The asynchronism of every spiking layer's neurons, from `measure`.

    simulation: that ran. images: their number.

    layers: one row each, over all images and neurons:
      `late`: mean of x_valid - x = |W s_n2|, in thresholds; `with late`: share of neurons where it
      is not 0; `fired more`, `fired less`: shares of neurons that fired more, or less, than their
      charge is worth; `error`: the mean of fired - ideal, in spikes; `width`: mean of most -
      fewest, in spikes; `decided`: share of neurons with most = fewest; `place`: mean place of the
      others; the same three with ` any`, where arrivals may leave their step (all NaN for models
      without bounds); `with pairs`: share of neurons with excitatory and inhibitory spikes in the
      same step; `inverted`: mean share of their pairs that are inversions; for each of PREDICTORS
      `<predictor> r`, `<predictor> rho`: correlation with the error over the neurons with pairs,
      Pearson's and Spearman's; NaN where one of the two is constant.

    neurons: layer's name -> `Neurons`, 128 bytes for each neuron and image.

    samples: (layer, column) -> what the column's mean is of, image by image; for
    `sampled.with_intervals`. Correlations have none.
    """

    simulation: Simulation
    images: int
    layers: list[dict[str, Any]]
    neurons: dict[str, Neurons]
    samples: Samples = field(default_factory=dict)

    def table(self) -> Table:
        """Rows to print: late inhibition, error, place in the interval, Spearman's correlations."""
        keys = (*SHOWN, *(f"{name} rho" for name in PREDICTORS))
        rows = [pick(row, keys) for row in self.layers]
        return Table(rows, f"{TITLE}\n{conditions(self.simulation)}")

    def __repr__(self) -> str:
        shares = [row["fired more"] for row in self.layers]
        more = np.average(shares, weights=[row["neurons"] for row in self.layers])
        return (
            f"<Asynchronism of {len(self.layers)} layers on {self.images} images, "
            f"{conditions(self.simulation)}: "
            f"{more:.1%} of neurons fired more than their charge is worth>"
        )


@checked
def measure(
    network: Network,
    images: GivenImages,
    *,
    steps: Count = 8,
    progress: bool | None = None,
    **settings: Any,
) -> Asynchronism:
    """The `Asynchronism` of a network on images, one recorded image after the other.

    network: that runs. images: as for `eventsnn.simulate`. steps: T. progress: whether a
    progress bar is shown. settings: of `Simulation` (neuron, tau, initial, encoding, seed, …) and
    `Time` (order, refractory, window, …). Raises InputError for floating-point arithmetic, encoding
    "events" and SRP, and where there is no barrier.
    """
    settings = {"engine": "event", **settings}
    simulation, pixels, numbers = prepare(network, images, steps, settings)
    arrays = _measure_asynchronism(simulation, Given(pixels, numbers), progress)
    return _asynchronism_of(simulation, arrays)


def _measure_asynchronism(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
) -> Arrays:
    """What the neurons of each image heard and fired: the arrays of OF_ASYNCHRONISM.

    simulation: that is recorded. given: the images. progress: changes no number. workers: has no
    effect, as images are recorded one after the other. Raises InputError for a simulation that
    `measure` refuses.
    """
    check_averages(simulation)
    found: list[Arrays] = []
    with following(len(given.pixels), "image", progress) as shown:
        for image, number in zip(given.pixels, given.numbers):
            layers = of_trace(record(simulation, image, int(number))[1])
            its = {}
            for f in fields(Neurons):
                parts = [getattr(each, f.name) for each in layers.values()]
                if parts[0] is not None:
                    its[f.name] = np.concatenate(parts)[None]
            found.append(its)
            shown.update()
    return joined(found)


def _asynchronism_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> Asynchronism:
    """The `Asynchronism` of what neurons heard and fired.

    simulation: that ran. arrays: of `_measure_asynchronism`. labels, numbers: have no effect.
    """
    bounded = has_bounds(simulation)
    kept = {name: its for name, its in arrays.items() if bounded or name not in BOUNDS}
    thresholds = simulation.arithmetic.one.item() * simulation.quanta
    neurons, rows, start = {}, [], 0
    samples: dict[tuple[Any, str], Sample] = {}
    for i, layer in neuron_layers(simulation.network).items():
        here = slice(start, start + layer.size)
        start += layer.size
        mine = neurons[layer.name] = Neurons(**{name: its[:, here] for name, its in kept.items()})
        its = _samples(mine, thresholds[i])
        rows.append(_summary(layer, mine, its))
        samples |= {(layer.name, column): each for column, each in its.items()}
    return Asynchronism(simulation, len(arrays["fired"]), rows, neurons, samples)


@checked
def of_trace(trace: Trace) -> dict[str, Neurons]:
    """Name -> `Neurons` of one recorded image, for all spiking layers but pools.

    trace: a whole one. The arrays are [neurons]. Raises InputError for a part of a trace,
    floating-point arithmetic, SRP, because silenced neurons have no spikes in a trace, and a model
    that changes between arrivals.
    """
    check_complete(trace)
    simulation = trace.simulation
    check_declared(simulation.neuron, "asynchronism", "holds")
    if simulation.arithmetic.dtype.kind != "i" or simulation.srp:
        raise InputError(
            "asynchronism",
            "fixed point, without SRP",
            f"arithmetic {simulation.arithmetic.kind}, srp {simulation.srp}",
        )
    network, found = simulation.network, _walked(trace)
    found["fired"] = np.zeros(len(simulation.resting), np.int64)
    np.add.at(found["fired"], _senders(trace), trace.spikes["sign"])
    layers = {}
    for i, layer in neuron_layers(network).items():
        here = network.columns(i)
        mine = {name: values[here] for name, values in found.items()}
        mine["ideal"] = worth(simulation, i, simulation.resting[here] + mine["arrived"])
        layers[layer.name] = Neurons(**mine)
    return layers


def _senders(trace: Trace) -> NDArray[np.int64]:
    """The number of each spike's neuron among all."""
    return trace.simulation.network.first[trace.spikes["layer"]] + trace.spikes["neuron"]


class _Heights:
    """How high neurons would be charged if none fired, arrivals staying in their step or not."""

    def __init__(self, simulation: Prepared) -> None:
        size, kind = len(simulation.resting), simulation.arithmetic.dtype
        self.resting = simulation.resting
        self.potential = simulation.resting.astype(np.int64)
        self.driven = np.zeros(size, np.int64)
        self.lowest = np.full(size, np.iinfo(np.int64).min)
        self.highest = np.full(size, np.iinfo(np.int64).min)
        # the charges of single arrivals; `walk` adds to these
        self.least = np.full(size, np.iinfo(kind).max, kind)
        self.largest = np.full(size, np.iinfo(kind).min, kind)

    @property
    def arrived(self) -> NDArray[np.int64]:
        """All charge so far."""
        return self.potential - self.resting

    def drive(self, charge: NDArray[Any]) -> None:
        """A step, or a short step, begins. charge: its drive, [neurons]."""
        np.minimum(self.least, charge, out=self.least)
        np.maximum(self.largest, charge, out=self.largest)
        self.driven += np.maximum(charge, 0)
        self.potential += charge
        self.lowest = np.maximum(self.lowest, self.potential)

    def arrive(self, excitation: NDArray[np.int64], inhibition: NDArray[np.int64]) -> None:
        """It ends. excitation, inhibition (at most 0): what came in it, [neurons]."""
        self.highest = np.maximum(self.highest, self.potential + excitation)
        self.potential += excitation + inhibition
        self.lowest = np.maximum(self.lowest, self.potential)

    def bounds(self, excitation: NDArray[np.int64], theta: int) -> dict[str, NDArray[np.int64]]:
        """The bounds of `Neurons`. excitation: of all steps. theta: a threshold."""
        gain = self.driven + excitation
        heights = {
            "fewest": self.lowest,
            "most": self.highest,
            "fewest_any": self.resting + np.maximum(self.least, self.arrived),
            "most_any": self.resting + np.where(gain > 0, gain, self.largest),
        }
        return {name: np.maximum(0, height // theta) for name, height in heights.items()}


def _walked(trace: Trace) -> dict[str, NDArray[Any]]:
    """The fields of `Neurons` that come from arrivals, of all neurons: name -> [neurons]."""
    simulation, drive = trace.simulation, np.atleast_2d(trace.drive)
    size, tables = len(simulation.resting), engine_of(simulation).tables
    counted = ("excitation", "inhibition", "late", "inversions", "pairs", "inversions_in_run")
    found: dict[str, NDArray[Any]] = {name: np.zeros(size, np.int64) for name in counted}
    found |= {name: np.zeros(size) for name in ("product", "products")}
    excitatory = np.zeros(size, np.int64)
    inhibitory = np.zeros(size, np.int64)
    heights, together = _Heights(simulation), is_clocked(simulation)
    short, *deliveries = _deliveries(trace)
    ends = np.searchsorted(short, np.arange(simulation.steps * trace.spread + 1))
    for k in range(simulation.steps):
        charge = drive[min(k, len(drive) - 1)]
        late = found["late"]
        here = _no_arrivals(late, heights)
        shares = Shares(charge, trace.spread, simulation.arithmetic.finer)
        for j in range(k * trace.spread, (k + 1) * trace.spread):
            part = shares.next()
            heights.drive(part)
            here.late[:] = np.where(part > 0, 0, here.late + np.minimum(part, 0))
            late = here.late.copy()
            excitation, inhibition = here.excitation.copy(), here.inhibition.copy()
            walk(tables, *(column[ends[j] : ends[j + 1]] for column in deliveries), here)
            heights.arrive(here.excitation - excitation, here.inhibition - inhibition)
        if together:
            excited = (charge > 0) | (here.excitatory > 0)
            found["late"] = np.where(excited, 0, late + here.inhibition)
        else:
            found["late"] = here.late
        found["inversions_in_run"] += here.inversions + excitatory * here.inhibitory
        found["pairs"] += here.excitatory.astype(np.int64) * here.inhibitory
        found["products"] -= here.excitation.astype(np.float64) * here.inhibition
        for name in ("excitation", "inhibition", "inversions", "product"):
            found[name] += getattr(here, name)
        excitatory += here.excitatory
        inhibitory += here.inhibitory
    found |= {"pairs_in_run": excitatory * inhibitory, "arrived": heights.arrived}
    if has_bounds(simulation):
        found |= heights.bounds(found["excitation"], simulation.arithmetic.one.item())
    return found


def _no_arrivals(late: NDArray[np.int64], heights: _Heights) -> Arrivals:
    """The `Arrivals` of a step in which nothing has come, for `walk` to add to.

    late: of the steps before. heights: whose lowest and highest charges go on.
    """
    size = len(late)
    return Arrivals(
        excitation=np.zeros(size, np.int64),
        inhibition=np.zeros(size, np.int64),
        excitatory=np.zeros(size, np.int32),
        inhibitory=np.zeros(size, np.int32),
        inversions=np.zeros(size, np.int64),
        product=np.zeros(size),
        late=late.copy(),
        least=heights.least,
        largest=heights.largest,
    )


def _deliveries(trace: Trace) -> tuple[NDArray[Any], ...]:
    """The short step of each delivery, and then what `walk` is given of it.

    They are in their order, input events among them.
    """
    rows = np.concatenate([trace.deliveries, trace.input_deliveries])
    rows = rows[np.argsort(rows["event"], kind="stable")]
    numbers, simulation = _senders(trace), trace.simulation
    signs = trace.spikes["sign"].astype(simulation.arithmetic.dtype)
    if len(trace.input_deliveries):
        # the `spike` of an input event is -2 less its place in `inputs`: it counts from behind,
        # with one row to spare
        assert trace.inputs is not None
        last = trace.inputs[::-1]
        numbers = np.concatenate([numbers, len(simulation.resting) + last[:, 2], [-1]])
        signs = np.concatenate([signs, last[:, 3], [0]]).astype(signs.dtype)
    return (
        short_steps.of_taken(trace, rows),
        numbers[rows["spike"]],
        signs[rows["spike"]],
        np.ascontiguousarray(rows["half"]),
        np.ascontiguousarray(rows["projection"]),
    )


def _samples(neurons: Neurons, theta: float) -> dict[str, Sample]:
    """Column of a row -> what its mean is of. theta: a threshold in the arithmetic's numbers."""
    late = -neurons.late / theta
    error = neurons.error
    paired = neurons.pairs > 0
    found = {
        "late": _of_all(late),
        "with late": _of_all(late > 0),
        "fired more": _of_all(error > 0),
        "fired less": _of_all(error < 0),
        "error": _of_all(error),
    }
    found |= _of_interval("", neurons.width, neurons.place)
    found |= _of_interval(" any", neurons.width_any, neurons.place_any)
    return found | {"with pairs": _of_all(paired), "inverted": _of_some(neurons.inverted, paired)}


def _summary(layer: Layer, neurons: Neurons, samples: dict[str, Sample]) -> dict[str, Any]:
    """A layer's row of `Asynchronism.layers`. samples: of `_samples`."""
    row: dict[str, Any] = {"layer": layer.name, "neurons": layer.size}
    for name in MEANS:
        row[name] = np.nan
        if name in samples:
            row[name] = samples[name].mean
    paired = neurons.pairs > 0
    for name, its in PREDICTORS.items():
        numbers = -neurons.late if its == "late" else getattr(neurons, its)
        x, y = numbers[paired], neurons.error[paired]
        row |= {f"{name} r": pearson(x, y), f"{name} rho": spearman(x, y)}
    return plain_row(row)


def _of_interval(
    words: str, width: NDArray[np.int64] | None, place: NDArray[np.float64] | None
) -> dict[str, Sample]:
    """The columns that are about the interval, their names ending in `words`; none without it."""
    if width is None or place is None:
        return {}
    return {
        f"width{words}": _of_all(width),
        f"decided{words}": _of_all(width == 0),
        f"place{words}": _of_some(place, width > 0),
    }


def _of_all(values: NDArray[Any]) -> Sample:
    """A mean over all neurons. values: [images, neurons]."""
    return Sample(values.sum(axis=1), np.full(len(values), values.shape[1]))


def _of_some(values: NDArray[Any], chosen: NDArray[np.bool_]) -> Sample:
    """A mean over the chosen neurons of all images. values, chosen: [images, neurons]."""
    return Sample(np.where(chosen, values, 0.0).sum(axis=1), chosen.sum(axis=1))


BOUNDS = ("fewest", "most", "fewest_any", "most_any")
OF_ASYNCHRONISM = Study(
    measure,
    _measure_asynchronism,
    _asynchronism_of,
    {
        f.name: Variable(
            (IMAGE, "neuron"),
            "float64" if f.name in ("product", "products") else "int64",
            0,
            "as asynchronism.Neurons says",
            f"{f.name} of asynchronism.Neurons, layer after layer",
        )
        for f in fields(Neurons)
    },
    lambda simulation: {
        "neuron": sum(layer.size for layer in neuron_layers(simulation.network).values())
    },
)
