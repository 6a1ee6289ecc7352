"""Unevenness errors in SRP's four cases, and SRP's Theorem 1, layer by layer.

`errors.cases` counts them for a network; here are the cases of one layer, and the ANN's activations
as numbers of spikes (semantics, section 8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.network.network import Layer
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.prepared import Prepared
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_image import Arrays, joined
from eventsnn.studies.equivalence import staircases
from eventsnn.studies.sampled import Sample, Samples
from eventsnn.studies.setting import activation_of, by_neuron, neuron_layers, theta_of, tops_of
from eventsnn.views.tables import COLUMNS, ByLayer, Table

CASES = (1, 2, 3, 4)
LEVELS = ("steps", "own")
# of what is counted in each image; cases: 0 none, 5 none of SRP's (`classify`)
AXES: dict[str, list[Any]] = {
    "error": ["I", "II"],
    "sign": ["v < 0", "v >= 0"],
    "case": [0, *CASES, 5],
    "verdict": ["conditions hold", "counterexamples", "exceptions"],
    "activation": ["at 0", "between", "at lambda"],
}
# of a spike: closer than this, an output that is not a whole number of spikes counts as equal
TOLERANCE = 1e-9

TITLE = (
    "Neurons (%) with unevenness error I, which their layer makes itself, and II, against the "
    "ANN; by case: 1, 2: too many spikes (ANN at 0, between); 3, 4: too few (between, at the "
    "threshold)"
)
FORMATS = COLUMNS | {f"{e} case {k}": (f"{e}.{k}", ".3f") for e in ("I", "II") for k in CASES}
FORMATS |= {e: (e, ".2f") for e in ("I", "II")}


@dataclass(repr=False)
class Cases(ByLayer):
    """Unevenness errors I and II of every spiking layer in SRP's four cases, from `errors.cases`.

    simulation: that ran. images: their number. levels: of the ANN, one of LEVELS.

    layers: one row each: neurons, and in percent of images times neurons `I case 1` to `I case 4`,
    `I` (their sum), and the same for II.

    theorem: one row each, as `errors.cases` says.

    silenced: one row each: `silenced`, the neurons that SRP silenced, in percent of all, and those
    of them whose activation in the ANN is `at 0` (rightly silenced), `between` and `at lambda`.

    samples: (layer, column of `layers`) -> the percentage in each image; for
    `sampled.with_intervals`.
    """

    simulation: Simulation
    images: int
    levels: str
    layers: list[dict[str, Any]]
    theorem: list[dict[str, Any]]
    samples: Samples = field(default_factory=dict)
    silenced: list[dict[str, Any]] = field(default_factory=list)

    def table(self) -> Table:
        """Rows to print: neurons with errors I and II in percent, by case."""
        return Table(self.layers, f"{TITLE}\n{conditions(self.simulation)}", FORMATS)

    @property
    def counterexamples(self) -> int:
        """How many neurons contradict SRP's Theorem 1 where its conditions hold."""
        return sum(row["counterexamples"] for row in self.theorem)

    def __repr__(self) -> str:
        first = np.mean([row["I"] for row in self.layers])
        second = np.mean([row["II"] for row in self.layers])
        neurons = sum(row["conditions hold"] for row in self.theorem)
        return (
            f"<Cases of {len(self.layers)} layers on {self.images} images, "
            f"{conditions(self.simulation)}: unevenness error I in {first:.2f} %, "
            f"II in {second:.2f} % of neurons, mean of layers; Theorem 1: "
            f"{self.counterexamples} counterexamples among {neurons:,} neurons>"
        )


class Counted:
    """How often each case was met in one layer, and with which residual potential.

    layer: the `Layer`. top: the spikes that stand for its threshold.
    """

    def __init__(self, layer: Layer, top: int) -> None:
        self.layer, self.top = layer, top
        self.parts: list[Arrays] = []

    def add(
        self,
        spikes: NDArray[np.int64],
        recomputed: NDArray[Any],
        ann_spikes: NDArray[Any],
        potentials: NDArray[Any],
        conditions: NDArray[np.bool_],
        sends: NDArray[np.bool_],
    ) -> None:
        """Counts some images' neurons, arrays [N, neurons].

        spikes: S. recomputed, ann_spikes: the ANN's output in spikes for error I and for error II.
        potentials: v(T). conditions: whether those of Theorem 1 hold. sends: whether SRP lets a
        neuron send.
        """
        case, above = classify(spikes, recomputed, self.top), potentials >= 0
        both = np.stack([case, classify(spikes, ann_spikes, self.top)], axis=1)
        signed = np.stack([np.where(above, -1, case), np.where(above, case, -1)], axis=1)
        wrong = contradicts(spikes, recomputed, potentials)
        asked = [conditions, conditions & wrong, wrong & ~conditions]
        cases, residual = (
            np.stack([np.count_nonzero(each == k, axis=2) for k in range(6)], axis=2)
            for each in (both, signed)
        )
        theorem = np.stack([np.count_nonzero(each, axis=1) for each in asked], axis=1)
        low, top = ann_spikes <= TOLERANCE, ann_spikes >= self.top - TOLERANCE
        where = [low, ~low & ~top, ~low & top]
        silenced = np.stack([np.count_nonzero(each & ~sends, axis=1) for each in where], axis=1)
        counted = {"cases": cases, "residual": residual, "theorem": theorem}
        self.parts.append({**counted, "silenced": silenced})

    def arrays(self) -> Arrays:
        """What was counted in each image, int64: `cases` [N, error, case], of errors I and II;
        `residual` [N, sign of v(T), case of error I]; `theorem` [N, verdict]; `silenced` [N,
        activation]. As in AXES.
        """
        return joined(self.parts)


def samples_of(cases: NDArray[np.int64], layer: Layer) -> dict[str, Sample]:
    """Percent of a layer's neurons in each image: column of `Cases.layers` -> [N].

    cases: of `Counted.arrays`. layer: the layer.
    """
    percent = 100 * cases / layer.size
    found: dict[str, Sample] = {}
    for number, error in enumerate(AXES["error"]):
        mine = percent[:, number]
        found |= {f"{error} case {k}": Sample(mine[:, k]) for k in CASES}
        found[error] = Sample(mine[:, 1:5].sum(axis=1))
    return found


def silenced_of(layer: Layer, silenced: NDArray[np.int64]) -> dict[str, Any]:
    """The layer's row of `Cases.silenced`. silenced: of `Counted.arrays`."""
    percent = 100 * silenced / layer.size
    row: dict[str, Any] = {"layer": layer.name, "neurons": layer.size}
    row["silenced"] = float(percent.sum(axis=1).mean())
    return row | dict(zip(AXES["activation"], percent.mean(axis=0).tolist()))


def theorem_of(
    layer: Layer, residual: NDArray[np.int64], theorem: NDArray[np.int64]
) -> dict[str, Any]:
    """The layer's row of `Cases.theorem`. residual, theorem: of `Counted.arrays`."""
    row: dict[str, Any] = {"layer": layer.name}
    row |= zip(AXES["verdict"], theorem.sum(axis=0).tolist())
    for sign, counts in zip(AXES["sign"], residual.sum(axis=0).tolist()):
        row[f"{sign}, none"] = counts[0]
        row |= {f"{sign}, case {k}": counts[k] for k in CASES}
    return row


def classify(spikes: NDArray[Any], ann_spikes: NDArray[Any], top: int) -> NDArray[np.int64]:
    """SRP's case of each neuron, 1 to 4; 0 where phi = a, 5 where phi > a = lambda.

    The last is none of SRP's: it takes more than one spike a step. spikes, ann_spikes: phi and a in
    spikes, of one shape. top: lambda in spikes.
    """
    difference = spikes - ann_spikes
    more = difference > TOLERANCE
    less = difference < -TOLERANCE
    none, full = ann_spikes <= 0, ann_spikes >= top
    between = (ann_spikes > 0) & (ann_spikes < top)
    found = [more & none, more & between, less & between, less & full, more]
    return np.select(found, [1, 2, 3, 4, 5], 0)


def contradicts(
    spikes: NDArray[Any], ann_spikes: NDArray[Any], potentials: NDArray[Any]
) -> NDArray[np.bool_]:
    """Where Theorem 1 of SRP would not hold.

    With a = 0 it would be phi > a without v(T) < 0; with a > 0, one of phi > a and v(T) < 0 without
    the other. spikes, ann_spikes: phi and a in spikes. potentials: v(T). All of one shape.
    """
    more, below = spikes - ann_spikes > TOLERANCE, potentials < 0
    return np.where(ann_spikes <= 0, more & ~below, more != below)


def own_spikes(
    simulation: Prepared, pixels: NDArray[Any], drive: NDArray[np.int64], levels: str
) -> dict[int, NDArray[Any]]:
    """The output of the ANN's own activations in spikes: layer number -> [N, neurons].

    simulation: whose spikes are meant. pixels: raw images [N, C, H, W]. drive: all of it, int64 [N,
    neurons]. levels: "steps" for the ANN with L := T in the simulation's whole numbers, "own" for
    the ANN as it is.
    """
    network, tops = simulation.network, tops_of(simulation)
    layers = neuron_layers(network)
    if levels == "steps":
        counts, _ = staircases(simulation, drive + simulation.arithmetic.one.item() // 2, tops)
        return {i: counts[:, network.columns(i)] for i in layers}
    graph, names = network.graph, [layer.name for layer in layers.values()]
    values = ann.forward(
        graph, graph.preprocessing(pixels, np.float64), keep=names, dtype=np.float64
    )
    return {
        i: _in_spikes(by_neuron(values[layer.name], layer), layer, tops[i])
        for i, layer in layers.items()
    }


def recomputed_spikes(
    layer: Layer, charge: NDArray[np.int64], one: int, top: int, levels: str
) -> NDArray[Any]:
    """The output of the ANN's activation at the SNN's average input x, in spikes: [N, neurons].

    layer: its `Layer`. charge: D x, int64 [N, neurons]. one: q, the charge of one spike, like
    `charge` in the simulation's whole numbers. top: the spikes that stand for its threshold.
    levels: "steps" for QCFS with L := T (SRP eq. 7), min(max(floor(D x / q + 1/2), 0), top); "own"
    for the activation as it is.
    """
    if levels == "steps":
        return np.clip((charge + one // 2) // one, 0, top)
    return _own_output(layer, charge, one, top)


def _own_output(layer: Layer, charge: NDArray[np.int64], one: int, top: int) -> NDArray[Any]:
    """The layer's own activation of the SNN's average input, in spikes.

    On the activation's grid (theta = lambda) the input is not rounded.
    """
    node, theta = activation_of(layer), theta_of(layer)
    levels = node.attrs.get("levels")
    highest = node.attrs.get("lambda", node.attrs.get("scale", 0) * (levels or 0))
    if levels and np.ndim(theta) == 0 and theta == highest:
        reached = np.clip((2 * charge * levels + one * top) // (2 * one * top), 0, levels)
        return reached * top / levels
    return _in_spikes(ann.activation_function(node)(charge / (one * top) * theta), layer, top)


def _in_spikes(a: NDArray[np.float64], layer: Layer, top: int) -> NDArray[np.float64]:
    """The ANN's activations in spikes.

    One that is not 0 where the SNN's neuron can never fire (theta = 0) is infinitely many.
    """
    theta = np.broadcast_to(theta_of(layer), a.shape)
    return np.divide(a * top, theta, out=np.where(a > 0, np.inf, 0.0), where=theta != 0)
