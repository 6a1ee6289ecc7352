"""Where a spiking layer's output parts from its ANN's (semantics, section 8).

`decompose` takes the difference apart into four parts that add up; `cases` counts SRP's four cases.

Words. A layer's **output** is phi = q S / D: S net spikes of charge q = theta / n (n: `quanta` of
the neuron model), D = T steps, or 1 where drive is released evenly and so arrives only once. Its
**top** is n D, the spikes that stand for theta. Its **ideal staircase** takes an average input x to
min(max(floor((D x + v(0)) / q), 0), top) spikes: what the neuron would send if nothing came too
early or too late. The SNN's own average input is rebuilt from drive and the spikes that were sent,
in the simulation's whole numbers. So it needs no recording, and does not depend on what resets and
masks do to potentials.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages
from eventsnn.exceptions import InputError, one_line
from eventsnn.network.network import Layer, Network
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_image import IMAGE, LAYER, Arrays, Given, Study, Variable
from eventsnn.studies.cases import LEVELS as LEVELS
from eventsnn.studies.cases import cases as cases
from eventsnn.studies.equivalence import arrived
from eventsnn.studies.sampled import Sample, Samples
from eventsnn.studies.setting import (
    activation_of,
    by_neuron,
    check_averages,
    check_names,
    chunks,
    neuron_layers,
    neurons_of,
    pick,
    plain_row,
    prepare,
    theta_of,
    top_of,
)
from eventsnn.studies.unevenness import CASES as CASES
from eventsnn.studies.unevenness import TOLERANCE as TOLERANCE
from eventsnn.studies.unevenness import classify as classify
from eventsnn.studies.unevenness import contradicts as contradicts
from eventsnn.values import shaped
from eventsnn.views.tables import COLUMNS, ByLayer, Table, dataset

PARTS = ("clipping", "quantisation", "unevenness", "inherited")
# what is added up over a layer's neurons in each image
SUMS = (
    *("ann square", "saturated", "total mean", "total square"),
    *(f"{part} {kind}" for part in PARTS for kind in ("mean", "square", "total")),
)
TITLE = (
    "Each layer's error, mean square of SNN less ANN over that of the ANN (%), and its parts' "
    "shares; dead: neurons that never fire, or are 0 in the ANN; saturated: at the threshold "
    "(% of neurons)"
)
SHARES = COLUMNS | {
    name: (name, ".1%") for name in ("error", *PARTS, "dead", "ann dead", "saturated")
}


@dataclass(repr=False)
class Errors(ByLayer):
    """The error of every spiking layer and its parts, from `decompose`.

    simulation: that ran. images: their number.

    layers: one row each, over all images and neurons, in units of the ANN's activation:
      neurons, theta; `ann square`, the mean of a^2; `total mean`, `total square`: the mean of phi -
      a and of its square; `error`: `total square` / `ann square` (inf where only the SNN fires);
      for each part of PARTS `<part> mean`, `<part> square`, and `<part> share` = E[part total] /
      E[total^2]. Shares add up to 1; one below 0 works against the others; `dead`, `ann dead`: the
      share of neurons that were 0 on every image, in the SNN and in the ANN; `saturated`: the share
      of images and neurons with phi >= theta.

    neurons: for layers asked for, name -> {"total" or a part: float64 [images, neurons]} (neuron
    number: channels last); `neurons_to_xarray` converts them.

    samples: (layer, column) -> what the column's mean is of, image by image; for
    `sampled.with_intervals`.
    """

    simulation: Simulation
    images: int
    layers: list[dict[str, Any]]
    neurons: dict[str, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    samples: Samples = field(default_factory=dict)

    @property
    def jump(self) -> str:
        """The name of the layer at which `error` grows most over the layer before."""
        errors = [0.0, *(row["error"] for row in self.layers)]
        return self.layers[int(np.nanargmax(np.diff(errors)))]["layer"]

    def table(self) -> Table:
        """Rows to print: relative error, shares of the parts, dead and saturated neurons."""
        shares = [f"{part} share" for part in PARTS]
        keys = ("layer", "neurons", "error", *shares, "dead", "ann dead", "saturated")
        headings = [key.removesuffix(" share") for key in keys]
        rows = [dict(zip(headings, pick(row, keys).values())) for row in self.layers]
        return Table(rows, f"{TITLE}\n{conditions(self.simulation)}", SHARES)

    def neurons_to_xarray(self, layer: str) -> Any:
        """The arrays of a layer that was kept, as a Dataset [image, neuron]; needs xarray.

        layer: its name. There is one variable a part. Raises InputError for a layer that was not
        kept.
        """
        if layer not in self.neurons:
            raise InputError(
                "layer",
                f"one that was kept: {', '.join(self.neurons) or 'none was'}",
                repr(layer),
                "name it in keep=",
            )
        parts = self.neurons[layer]
        return dataset({part: (("image", "neuron"), values) for part, values in parts.items()})

    def __repr__(self) -> str:
        return (
            f"<Errors of {len(self.layers)} layers on {self.images} images, "
            f"{conditions(self.simulation)}: the last layer's is {self.layers[-1]['error']:.3g} of "
            f"its activations' mean square; it grows most at {one_line(self.jump)}>"
        )


@checked
def decompose(
    network: Network,
    images: GivenImages,
    *,
    steps: Count = 8,
    keep: Sequence[str] = (),
    progress: bool | None = None,
    **settings: Any,
) -> Errors:
    """The `Errors` of every spiking layer: total = phi - a, in four parts (semantics, section 8).

    clipping      min(a, theta) - a
    quantisation  the ideal staircase at the ANN's own input, less min(a, theta)
    inherited     the ideal staircase at the SNN's average input, less that at the ANN's
    unevenness    phi less the ideal staircase at the SNN's average input; also what SRP's mask
                  silences

    The last two are whole spikes, and their sum is exact: S less the ANN's staircase. All four add
    up to the total in float64 up to rounding. The ANN is computed in float64, the SNN in its own
    fixed point, so rounded weights show as inherited error.

    network: that runs. images: as for `eventsnn.simulate`. steps: T. keep: names of
    layers whose arrays are kept. progress: whether a progress bar is shown. settings: of
    `Simulation` (neuron, tau, initial, srp, encoding, engine, …) and `Time`. Raises InputError for
    floating-point arithmetic, encoding "events", ST-BIF without encoding "even", and unknown names.
    """
    simulation, pixels, numbers = prepare(network, images, steps, settings)
    check_names("keep", set(keep), network, "names of spiking layers")
    arrays, kept = _measured(simulation, Given(pixels, numbers), progress, None, keep)
    return replace(_parts_of(simulation, arrays), neurons=kept)


def _measure_parts(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
) -> Arrays:
    """What `decompose` adds up in each image: the arrays of OF_PARTS.

    simulation: that runs. given: the images. progress, workers: change no number. Raises InputError
    for a simulation that `decompose` refuses.
    """
    return _measured(simulation, given, progress, workers)[0]


def _measured(
    simulation: Simulation,
    given: Given,
    progress: bool | None,
    workers: int | None,
    keep: Sequence[str] = (),
) -> tuple[Arrays, dict[str, dict[str, NDArray[np.float64]]]]:
    """(the arrays of OF_PARTS, `Errors.neurons` of the layers to keep)."""
    check_averages(simulation)
    network = simulation.network
    graph = network.graph
    measured = {
        i: _Measured(layer, top_of(simulation, i), layer.name in keep)
        for i, layer in neuron_layers(network).items()
    }
    pairs = [(its.layer.name, its.input) for its in measured.values()]
    names = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    one = simulation.arithmetic.one.item()
    fired = []
    for part, batch, totals in chunks(simulation, given, progress, workers):
        values = ann.forward(
            graph, graph.preprocessing(part, np.float64), keep=names, dtype=np.float64
        )
        counts, _, _ = neurons_of(batch)
        here_fired = []
        for i, its in measured.items():
            here = network.columns(i)
            ideal = (totals[:, here] + arrived(simulation, i, counts)) // one
            here_fired.append(its.add(values, counts[:, here], ideal, simulation.initial[i]))
        fired.append(np.packbits(np.concatenate(here_fired, axis=2), axis=2))
    sums = [np.stack(its.summed(), axis=1) for its in measured.values()]
    arrays: Arrays = {"sums": np.stack(sums, axis=1), "fired": np.concatenate(fired)}
    kept = {its.layer.name: its.arrays() for its in measured.values() if its.kept is not None}
    return arrays, {name: kept[name] for name in keep}


def _parts_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> Errors:
    """The `Errors` of what was added up in each image.

    simulation: that ran. arrays: of `_measure_parts`. labels, numbers: have no effect.
    """
    layers = list(neuron_layers(simulation.network).values())
    size = sum(layer.size for layer in layers)
    any_image = np.bitwise_or.reduce(arrays["fired"], axis=0)
    fired = np.unpackbits(any_image, axis=1, count=size).astype(bool)
    rows, start = [], 0
    samples: dict[tuple[Any, str], Sample] = {}
    for k, layer in enumerate(layers):
        its = _samples_of(arrays["sums"][:, k], layer.size)
        rows.append(_row_of(layer, its, fired[:, start : start + layer.size]))
        samples |= {(layer.name, column): each for column, each in its.items()}
        start += layer.size
    return Errors(simulation, len(arrays["sums"]), rows, {}, samples)


@checked
def split(
    a: NDArray[np.float64],
    y: NDArray[np.float64],
    spikes: NDArray[np.int64],
    ideal: NDArray[np.int64],
    *,
    theta: float | NDArray[np.float64],
    top: Count,
    initial: float | NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """One layer's errors, {"total", *PARTS}: float64 arrays in units of the ANN's activation.

    a, y: the ANN's output and its input to the activation, [N, neurons]. spikes: S, [N, neurons].
    ideal: floor((D x + v(0)) / q) at the SNN's average input x, not yet clipped, [N, neurons].
    theta: the threshold, a number or [neurons]. top: spikes that stand for theta. initial: v(0) in
    q, a number or [neurons]. Raises InputError for arrays of other shapes.
    """
    for name, array in (("y", y), ("spikes", spikes), ("ideal", ideal)):
        shaped(name, array, *a.shape)
    for name, value in (("theta", theta), ("initial", initial)):
        if np.ndim(value):
            shaped(name, np.asarray(value), a.shape[-1])
    step = theta / top
    height = np.divide(y * top, theta, out=np.zeros_like(y), where=np.not_equal(theta, 0))
    own = np.clip(np.floor(height + initial), 0, top)
    ideal = np.clip(ideal, 0, top)
    clipped = np.minimum(a, theta)
    return {
        "total": theta * (spikes / top) - a,
        "clipping": clipped - a,
        "quantisation": theta * (own / top) - clipped,
        "unevenness": (spikes - ideal) * step,
        "inherited": (ideal - own) * step,
    }


class _Measured:
    """One layer's errors, added up for each image; with `keep` the arrays themselves, too."""

    def __init__(self, layer: Layer, top: int, keep: bool) -> None:
        self.layer, self.top = layer, top
        self.input = activation_of(layer).inputs[0]
        self.sums: defaultdict[str, list[NDArray[Any]]] = defaultdict(list)
        self.kept: defaultdict[str, list[NDArray[np.float64]]] | None = None
        if keep:
            self.kept = defaultdict(list)

    def add(
        self,
        values: dict[str, NDArray[np.float64]],
        spikes: NDArray[np.int64],
        ideal: NDArray[np.int64],
        initial: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Adds some images. values: of the ANN's nodes; spikes, ideal, initial: as in `split`.

        Returns which neurons fired, and which were above 0 in the ANN, bool [N, 2, neurons].
        """
        layer = self.layer
        a, y = (by_neuron(values[name], layer) for name in (layer.name, self.input))
        theta = theta_of(layer)
        parts = split(a, y, spikes, ideal, theta=theta, top=self.top, initial=initial)
        found = {"ann square": np.square(a), "saturated": spikes >= self.top}
        for name, errors in parts.items():
            found |= {f"{name} mean": errors, f"{name} square": np.square(errors)}
            found[f"{name} total"] = errors * parts["total"]
            if self.kept is not None:
                self.kept[name].append(errors)
        for name in SUMS:
            self.sums[name].append(np.ascontiguousarray(found[name]).sum(axis=1))
        return np.stack([spikes != 0, a != 0], axis=1)

    def summed(self) -> list[NDArray[np.float64]]:
        """The sums over neurons of all images, [N] of each of SUMS."""
        return [np.concatenate(self.sums[name]).astype(np.float64) for name in SUMS]

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """What was kept, of all images."""
        return {name: np.concatenate(chunks) for name, chunks in (self.kept or {}).items()}


def _samples_of(sums: NDArray[np.float64], size: int) -> dict[str, Sample]:
    """What a row's means are of, in its order; all but those of dead neurons.

    sums: of one layer, [N, SUMS]. size: its neurons.
    """
    of = dict(zip(SUMS, (sums / size).T))
    total = of["total square"]
    found = {name: Sample(of[name]) for name in ("ann square", "total mean", "total square")}
    found["error"] = Sample(total, of["ann square"])
    for part in PARTS:
        for name in (f"{part} mean", f"{part} square"):
            found[name] = Sample(of[name])
        found[f"{part} share"] = Sample(of[f"{part} total"], total)
    return found | {"saturated": Sample(of["saturated"])}


def _row_of(layer: Layer, samples: dict[str, Sample], fired: NDArray[np.bool_]) -> dict[str, Any]:
    """The layer's row of `Errors.layers`. fired: on any image, SNN and ANN, [2, neurons]."""
    row: dict[str, Any] = {"layer": layer.name, "neurons": layer.size, "theta": layer.scale}
    for name, sample in samples.items():
        if name == "saturated":
            row["dead"], row["ann dead"] = 1 - fired.mean(axis=1)
        over = 1 if sample.divisor is None else sample.divisor.mean()
        row[name] = _relative(sample.values.mean(), over)
    return plain_row(row)


def _relative(total: float, whole: float) -> float:
    """total / whole; of nothing inf, or 0 where the total is, too."""
    if whole:
        return total / whole
    return float("inf") if total else 0.0


OF_PARTS = Study(
    decompose,
    _measure_parts,
    _parts_of,
    {
        "sums": Variable(
            (IMAGE, LAYER, "sum"), "float64", np.nan, "as the activation", "over a layer's neurons"
        ),
        "fired": Variable(
            (IMAGE, "net", "byte"),
            "uint8",
            0,
            "neurons, a bit each",
            "whether above 0, layer after layer, the first in the highest bit",
        ),
    },
    lambda simulation: {"sum": [*SUMS], "net": ["SNN", "ANN"], "byte": _bytes(simulation)},
)


def _bytes(simulation: Simulation) -> int:
    """How many bytes have a bit for each neuron."""
    return -(-sum(layer.size for layer in neuron_layers(simulation.network).values()) // 8)
