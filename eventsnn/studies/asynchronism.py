"""What the order of arrival did to every neuron: late inhibition, inversions, and the interval over
all orders (semantics, section 8).

    found = asynchronism.measure(snn, images, steps=8, order="random", seed=1)
    print(text_table(found.table()))
    found.neurons["act5"].place                         # [images, neurons]

`explain.explain_neuron` tells the same of one neuron, arrival by arrival; here one kernel walks a
trace's deliveries once and adds up for all. DNISNM section 3.3 is about single neurons; that
inversions foretell the error is for the correlations to confirm or not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from tqdm import tqdm

from eventsnn.engine.event.walk import Arrivals, walk
from eventsnn.exceptions import InputError
from eventsnn.simulation.event import engine_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.setting import prepare
from eventsnn.trace.arrivals import check_complete, is_clocked, worth
from eventsnn.trace.bounds import has_bounds
from eventsnn.trace.trace import record
from eventsnn.views.tables import ByLayer

PREDICTORS = {
    "inversions": "inverted",
    "weighted": "weighted",
    "in run": "inverted_in_run",
    "late": "late",
}


@dataclass
class Neurons:
    """One layer's neurons: arrays [images, neurons] (of one trace: [neurons]), int64; charges in
    the arithmetic's numbers.

    arrived: x, all charge, drive too. excitation, inhibition (<= 0): what spikes (and input events)
    brought. late: W s_n2 (<= 0), the inhibition after the last excitatory arrival, among which
    drive is, too (DNISNM eq. 16; in clocked time a step's charges come together). inversions: pairs
    of an excitatory and a later inhibitory arrival in the same step, by spikes; pairs: all pairs of
    one of each in the same step. product, products: float64, the same two, each pair counted by the
    product of its charges' sizes. inversions_in_run, pairs_in_run: the same two over the whole run.
    fired: net spikes. ideal: what `arrived` is worth in any order (`arrivals.worth`). fewest, most:
    spikes over all orders in which every arrival stays in its step; fewest_any, most_any: over all
    orders of all arrivals (as `bounds.in_steps`, `in_any`); None where there are no bounds.
    """

    arrived: np.ndarray
    excitation: np.ndarray
    inhibition: np.ndarray
    late: np.ndarray
    inversions: np.ndarray
    pairs: np.ndarray
    product: np.ndarray
    products: np.ndarray
    inversions_in_run: np.ndarray
    pairs_in_run: np.ndarray
    fired: np.ndarray
    ideal: np.ndarray
    fewest: np.ndarray | None = None
    most: np.ndarray | None = None
    fewest_any: np.ndarray | None = None
    most_any: np.ndarray | None = None

    @property
    def x_valid(self):
        """x + |W s_n2| (DNISNM eq. 17)."""
        return self.arrived - self.late

    @property
    def error(self):
        """Spikes beyond what the charge is worth: unevenness that the order of arrival made."""
        return self.fired - self.ideal

    @property
    def inverted(self):
        """The share of pairs in a step that are inversions, float64: 1 if all inhibition came last;
        NaN where there are no pairs.
        """
        return _ratio(self.inversions, self.pairs)

    @property
    def weighted(self):
        """The same by the product of charges."""
        return _ratio(self.product, self.products)

    @property
    def inverted_in_run(self):
        """The same over the whole run."""
        return _ratio(self.inversions_in_run, self.pairs_in_run)

    @property
    def width(self):
        """most - fewest. None without bounds."""
        return None if self.most is None else self.most - self.fewest

    @property
    def width_any(self):
        """most_any - fewest_any."""
        return None if self.most_any is None else self.most_any - self.fewest_any

    @property
    def place(self):
        """Where `fired` fell between `fewest` (0) and `most` (1), float64; NaN where they are
        equal. None without bounds.
        """
        return None if self.width is None else _ratio(self.fired - self.fewest, self.width)

    @property
    def place_any(self):
        """The same between `fewest_any` and `most_any`."""
        return (
            None if self.width_any is None else _ratio(self.fired - self.fewest_any, self.width_any)
        )


@dataclass(repr=False)
class Asynchronism(ByLayer):
    """The asynchronism of every spiking layer's neurons, from `measure`.

    layers: one row each, over all images and neurons:
      `late`: mean of x_valid - x = |W s_n2|, in thresholds; `with late`: share of neurons where it
      is not 0; `fired more`, `fired less`: shares of neurons that fired more, or less, than their
      charge is worth; `error`: the mean of fired - ideal, in spikes; `width`: mean of most -
      fewest, in spikes; `decided`: share of neurons with most = fewest; `place`: mean place of the
      others; the same with ` any`, where no arrival stays in its step (NaN for models without
      bounds); `with pairs`: share of neurons with excitatory and inhibitory spikes in the same
      step; `inverted`: mean share of their pairs that are inversions; for each of PREDICTORS
      `<predictor> r`, `<predictor> rho`: correlation with the error over the neurons with pairs,
      Pearson's and Spearman's; NaN where one of the two is constant.
    neurons: layer's name -> `Neurons`, 128 bytes for each neuron and image.
    """

    simulation: Simulation
    images: int
    layers: list
    neurons: dict

    def table(self):
        """One row a layer: late inhibition, error, the place in the interval, and Spearman's
        correlations.
        """
        keys = (
            "layer",
            "neurons",
            "late",
            "fired more",
            "error",
            "width",
            "decided",
            "place",
            "inverted",
            *(f"{name} rho" for name in PREDICTORS),
        )
        return [{key: row[key] for key in keys} for row in self.layers]

    def __repr__(self):
        more = np.average(
            [row["fired more"] for row in self.layers],
            weights=[row["neurons"] for row in self.layers],
        )
        return (
            f"<Asynchronism of {len(self.layers)} layers on {self.images} images, T = {self.simulation.steps}, order "
            f"{self.simulation.describe()['order']}: {more:.1%} of neurons fired more than their charge is worth>"
        )


def measure(network, images, *, steps=8, progress=False, **settings):
    """The `Asynchronism` of a network on images, one recorded image after the other.

    settings: of `Simulation` (neuron, tau, initial, encoding, seed, …) and `Time` (order,
    refractory, window, …). Raises InputError for floating-point arithmetic, encoding "events", SRP,
    and without a barrier.
    """
    simulation, pixels, numbers = prepare(network, images, steps, {"engine": "event", **settings})
    found = []
    for image, number in zip(
        tqdm(pixels, unit="image", disable=None if progress else True, delay=2), numbers
    ):
        found.append(of_trace(record(simulation, image, int(number))[1]))
    neurons = {name: _stacked([each[name] for each in found]) for name in found[0]}
    rows = [
        _summary(
            layer, neurons[layer.name], simulation.arithmetic.one.item() * simulation.quanta[i]
        )
        for i, layer in enumerate(network.spiking)
        if not layer.pools
    ]
    return Asynchronism(simulation, len(pixels), rows, neurons)


def of_trace(trace):
    """{layer's name: `Neurons`} of one recorded image, for all spiking layers but pools; arrays
    [neurons].

    Raises InputError for a part of a trace, floating-point arithmetic, and SRP, whose silenced
    neurons leave no spikes.
    """
    check_complete(trace)
    simulation = trace.simulation
    if simulation.arithmetic.dtype.kind != "i" or simulation.srp:
        raise InputError(
            "asynchronism",
            "fixed point, without SRP",
            f"arithmetic {simulation.arithmetic.kind}, srp {simulation.srp}",
        )
    found, first = _walked(trace), simulation.network.first
    found["fired"] = np.zeros(len(simulation.resting), np.int64)
    np.add.at(
        found["fired"], first[trace.spikes["layer"]] + trace.spikes["neuron"], trace.spikes["sign"]
    )
    layers = {}
    for i, layer in enumerate(simulation.network.spiking):
        if not layer.pools:
            here = slice(first[i], first[i + 1])
            ideal = worth(simulation, i, simulation.resting[here] + found["arrived"][here])
            layers[layer.name] = Neurons(
                **{name: values[here] for name, values in found.items()}, ideal=ideal
            )
    return layers


def _walked(trace):
    """The fields of `Neurons` that come from arrivals, of all neurons: {name: [neurons]}."""
    simulation, drive, theta = (
        trace.simulation,
        np.atleast_2d(trace.drive),
        trace.simulation.arithmetic.one.item(),
    )
    size, kind, (step, *deliveries) = (
        len(simulation.resting),
        simulation.arithmetic.dtype,
        _deliveries(trace),
    )
    names = ("excitation", "inhibition", "late", "inversions", "pairs", "inversions_in_run")
    found = {name: np.zeros(size, np.int64) for name in names} | {
        "product": np.zeros(size),
        "products": np.zeros(size),
    }
    excitatory, inhibitory, driven = np.zeros((3, size), np.int64)
    potential = simulation.resting.astype(np.int64)  # as if nothing fired
    lowest, highest = np.full((2, size), np.iinfo(np.int64).min)
    least, largest = (
        np.full(size, np.iinfo(kind).max, kind),
        np.full(size, np.iinfo(kind).min, kind),
    )
    ends, together = np.searchsorted(step, np.arange(simulation.steps + 1)), is_clocked(simulation)
    for k in range(simulation.steps):
        charge = drive[min(k, len(drive) - 1)]
        late = np.where(charge > 0, 0, found["late"] + np.minimum(charge, 0))
        least, largest = np.minimum(least, charge), np.maximum(largest, charge)
        here = Arrivals(
            *np.zeros((2, size), np.int64),
            *np.zeros((2, size), np.int32),
            np.zeros(size, np.int64),
            np.zeros(size),
            late.copy(),
            least,
            largest,
        )
        walk(
            engine_of(simulation).tables,
            *(column[ends[k] : ends[k + 1]] for column in deliveries),
            here,
        )
        driven += np.maximum(charge, 0)
        potential += charge
        lowest, highest = (
            np.maximum(lowest, potential),
            np.maximum(highest, potential + here.excitation),
        )
        potential += here.excitation + here.inhibition
        lowest = np.maximum(lowest, potential)
        found["late"] = (
            np.where((charge > 0) | (here.excitatory > 0), 0, late + here.inhibition)
            if together
            else here.late
        )
        found["inversions_in_run"] += here.inversions + excitatory * here.inhibitory
        found["pairs"] += here.excitatory.astype(np.int64) * here.inhibitory
        found["products"] -= here.excitation.astype(np.float64) * here.inhibition
        for name in ("excitation", "inhibition", "inversions", "product"):
            found[name] += getattr(here, name)
        excitatory, inhibitory = excitatory + here.excitatory, inhibitory + here.inhibitory
    found |= {"pairs_in_run": excitatory * inhibitory, "arrived": potential - simulation.resting}
    if has_bounds(simulation):
        gain = driven + found["excitation"]
        heights = {
            "fewest": lowest,
            "most": highest,
            "fewest_any": simulation.resting + np.maximum(least, found["arrived"]),
            "most_any": simulation.resting + np.where(gain > 0, gain, largest),
        }
        found |= {name: np.maximum(0, height // theta) for name, height in heights.items()}
    return found


def _deliveries(trace):
    """What `walk` is given of all deliveries, input events among them, in their order; before it
    the step of each.
    """
    rows = np.concatenate([trace.deliveries, trace.input_deliveries])
    rows = rows[np.argsort(rows["event"], kind="stable")]
    numbers = trace.simulation.network.first[trace.spikes["layer"]] + trace.spikes["neuron"]
    signs = trace.spikes["sign"].astype(trace.simulation.arithmetic.dtype)
    if len(
        trace.input_deliveries
        # whose `spike` is -2 less the event's place in `inputs`: counted from behind, with one row to
        # spare
    ):
        last = trace.inputs[::-1]
        numbers = np.concatenate([numbers, len(trace.simulation.resting) + last[:, 2], [-1]])
        signs = np.concatenate([signs, last[:, 3], [0]]).astype(signs.dtype)
    return (
        rows["step"],
        numbers[rows["spike"]],
        signs[rows["spike"]],
        np.ascontiguousarray(rows["half"]),
        np.ascontiguousarray(rows["projection"]),
    )


def _stacked(images):
    """One `Neurons` of several images' [neurons]."""
    columns = {f.name: [getattr(each, f.name) for each in images] for f in fields(Neurons)}
    return Neurons(
        **{
            name: None if column[0] is None else np.stack(column)
            for name, column in columns.items()
        }
    )


def _ratio(part, whole):
    """part / whole as float64; NaN where whole is 0."""
    return np.divide(
        part, whole, out=np.full(np.shape(whole), np.nan), where=np.not_equal(whole, 0)
    )


def _summary(layer, neurons, theta):
    """A layer's row of `Asynchronism.layers`. theta: a threshold in the arithmetic's numbers."""
    late, error, paired = -neurons.late / theta, neurons.error, neurons.pairs > 0
    row = {
        "layer": layer.name,
        "neurons": layer.size,
        "late": late.mean(),
        "with late": (late > 0).mean(),
        "fired more": (error > 0).mean(),
        "fired less": (error < 0).mean(),
        "error": error.mean(),
    }
    for any_order in ("", "_any"):
        place, width = (getattr(neurons, f"{name}{any_order}") for name in ("place", "width"))
        values = (
            (np.nan, np.nan, np.nan)
            if place is None
            else (width.mean(), (width == 0).mean(), _mean(place[width > 0]))
        )
        row |= {
            name + any_order.replace("_", " "): value
            for name, value in zip(("width", "decided", "place"), values)
        }
    row |= {"with pairs": paired.mean(), "inverted": _mean(neurons.inverted[paired])}
    for name, field in PREDICTORS.items():
        predictor = -neurons.late if field == "late" else getattr(neurons, field)
        row |= {
            f"{name} r": correlation(predictor[paired], error[paired]),
            f"{name} rho": correlation(ranks(predictor[paired]), ranks(error[paired])),
        }
    return {
        key: value if isinstance(value, (str, int)) else float(value) for key, value in row.items()
    }


def correlation(x, y):
    """Pearson's of two arrays [n]; NaN where one of them is constant, or empty."""
    if not len(x) or (x == x[0]).all() or (y == y[0]).all():
        return np.nan
    return np.corrcoef(x, y)[0, 1]


def ranks(values):
    """Their ranks from 1, ties averaged, float64 [n]: Pearson's correlation of ranks is
    Spearman's.
    """
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def _mean(values):
    return values.mean() if len(values) else np.nan
