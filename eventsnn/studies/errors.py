"""Where a spiking layer's output parts from its ANN's: in four parts that add up, and in SRP's four
cases (semantics, section 8).

Words. A layer's **output** is phi = q S / D: S net spikes of charge q = theta / n (n: `quanta` of
the neuron model), D = T steps, or 1 where drive is released evenly and so arrives only once. Its
**top** is n D, the spikes that stand for theta. Its **ideal staircase** takes an average input x to
min(max(floor((D x + v(0)) / q), 0), top) spikes: what the neuron would send if nothing came too
early or too late. The SNN's own average input is rebuilt from drive and the spikes that were sent,
in the simulation's whole numbers; so it needs no recording, and does not care what resets and masks
do to potentials.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.neurons import IF
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.equivalence import arrived, staircases
from eventsnn.studies.setting import CHUNK, _by_neuron, _theta, all_drive, prepare, top_of
from eventsnn.views.tables import ByLayer, dataset

PARTS = ("clipping", "quantisation", "unevenness", "inherited")
CASES = (1, 2, 3, 4)
LEVELS = ("steps", "own")
# of a spike: closer than this, an output that is not a whole number of spikes counts as equal
TOLERANCE = 1e-9


@dataclass(repr=False)
class Errors(ByLayer):
    """The error of every spiking layer and its parts, from `decompose`.

    layers: one row each, over all images and neurons, in units of the ANN's activation:
      neurons, theta; `ann square`, the mean of a^2; `total mean`, `total square`: the mean of phi -
      a and of its square; `error`: `total square` / `ann square` (inf where only the SNN fires);
      for each part of PARTS `<part> mean`, `<part> square`, and `<part> share` = E[part total] /
      E[total^2]. Shares add up to 1; one below 0 works against the others; `dead`, `ann dead`: the
      share of neurons that were 0 on every image, in the SNN and in the ANN; `saturated`: the share
      of images and neurons with phi >= theta.
    neurons: for layers asked for, name -> {"total" or a part: float64 [images, neurons]} (neuron
    number: channels last); `neurons_to_xarray` converts them.
    """

    simulation: Simulation
    images: int
    layers: list
    neurons: dict = field(default_factory=dict)

    @property
    def jump(self):
        """The name of the layer at which `error` grows most over the layer before."""
        errors = [0.0, *(row["error"] for row in self.layers)]
        return self.layers[int(np.nanargmax(np.diff(errors)))]["layer"]

    def table(self):
        """One row a layer: its error relative to the ANN's activations, the shares of the parts,
        dead and saturated neurons.
        """
        keys = (
            "layer",
            "neurons",
            "error",
            *(f"{part} share" for part in PARTS),
            "dead",
            "ann dead",
            "saturated",
        )
        return [{key.removesuffix(" share"): row[key] for key in keys} for row in self.layers]

    def neurons_to_xarray(self, layer):
        """The arrays of a layer that was kept, as a Dataset [image, neuron], one variable a part;
        needs xarray.
        """
        if layer not in self.neurons:
            raise InputError(
                "layer",
                f"one that was kept: {', '.join(self.neurons) or 'none was'}",
                repr(layer),
                "name it in keep=",
            )
        return dataset(
            {part: (("image", "neuron"), values) for part, values in self.neurons[layer].items()}
        )

    def __repr__(self):
        return (
            f"<Errors of {len(self.layers)} layers on {self.images} images, T = {self.simulation.steps}: the last layer's is "
            f"{self.layers[-1]['error']:.3g} of its activations' mean square; it grows most at {self.jump}>"
        )


def decompose(network, images, *, steps=8, keep=(), progress=False, **settings):
    """The `Errors` of every spiking layer: total = phi - a, in four parts (semantics, section 8).

    clipping      min(a, theta) - a quantisation  the ideal staircase at the ANN's own input, less
    min(a, theta) inherited     the ideal staircase at the SNN's average input, less that at the
    ANN's unevenness    phi less the ideal staircase at the SNN's average input (what SRP's mask
    silences, too)

    The last two are whole spikes, and their sum is exact: S less the ANN's staircase. All four add
    up to the total in float64 up to rounding. The ANN is computed in float64, the SNN in its own
    fixed point, so rounded weights show as inherited error. keep: names of layers whose arrays are
    kept. settings: of `Simulation` (neuron, tau, initial, srp, encoding, engine, …) and `Time`.
    Raises InputError for floating-point arithmetic, encoding "events", and ST-BIF without encoding
    "even".
    """
    simulation, pixels, numbers = prepare(network, images, steps, settings)
    spiking = [(i, layer) for i, layer in enumerate(network.spiking) if not layer.pools]
    if unknown := set(keep) - {layer.name for _, layer in spiking}:
        raise InputError("keep", "names of spiking layers", ", ".join(map(repr, sorted(unknown))))
    sums: dict = {layer.name: defaultdict(float) for _, layer in spiking}
    fired: dict = {layer.name: np.zeros((2, layer.size), bool) for _, layer in spiking}
    kept: dict = {name: defaultdict(list) for name in keep}
    names = tuple(
        dict.fromkeys(name for _, layer in spiking for name in (layer.name, layer.node.inputs[0]))
    )
    for part, batch, totals in _chunks(simulation, pixels, numbers, progress):
        values = ann.forward(
            network.graph, network.graph.preprocessing(part), keep=names, dtype=np.float64
        )
        for i, layer in spiking:
            here = network.columns(i)
            a, y = (_by_neuron(values[name], layer) for name in (layer.name, layer.node.inputs[0]))
            ideal = (
                totals[:, here] + arrived(simulation, i, batch.counts)
            ) // simulation.arithmetic.one.item()
            parts = split(
                a,
                y,
                batch.counts[:, here],
                ideal,
                theta=_theta(layer),
                top=top_of(simulation, i),
                initial=simulation.initial[i],
            )
            _add(sums[layer.name], a, parts, batch.counts[:, here] >= top_of(simulation, i))
            fired[layer.name] |= np.stack([batch.counts[:, here].any(axis=0), a.any(axis=0)])
            if layer.name in keep:
                for name, array in parts.items():
                    kept[layer.name][name].append(array)
    rows = [
        _summary(layer, sums[layer.name], fired[layer.name], len(pixels)) for _, layer in spiking
    ]
    arrays = {
        name: {part: np.concatenate(chunks) for part, chunks in parts.items()}
        for name, parts in kept.items()
    }
    return Errors(simulation, len(pixels), rows, arrays)


def split(a, y, spikes, ideal, *, theta, top, initial):
    """{"total", *PARTS}: float64 arrays of one layer's errors.

    a, y: the ANN's output and its input to the activation. spikes: S. ideal: floor((D x + v(0)) /
    q) at the SNN's average input x, not yet clipped. theta: a number or one a neuron; top: spikes
    that stand for theta; initial: v(0) in q.
    """
    step = theta / top
    own = np.clip(
        np.floor(
            np.divide(y * top, theta, out=np.zeros_like(y), where=np.not_equal(theta, 0)) + initial
        ),
        0,
        top,
    )
    ideal = np.clip(ideal, 0, top)
    clipped = np.minimum(a, theta)
    return {
        "total": theta * (spikes / top) - a,
        "clipping": clipped - a,
        "quantisation": theta * (own / top) - clipped,
        "unevenness": (spikes - ideal) * step,
        "inherited": (ideal - own) * step,
    }


def _add(sums, a, parts, saturated):
    """Add one chunk's arrays to a layer's sums."""
    sums["ann square"] += np.square(a).sum()
    sums["saturated"] += saturated.sum()
    for name, values in parts.items():
        sums[name] += values.sum()
        sums[f"{name} square"] += np.square(values).sum()
        sums[f"{name} total"] += (values * parts["total"]).sum()


def _summary(layer, sums, fired, images):
    """A layer's row of `Errors.layers`."""
    n = images * layer.size
    total, activity = sums["total square"], sums["ann square"]
    row = {
        "layer": layer.name,
        "neurons": layer.size,
        "theta": layer.scale,
        "ann square": activity / n,
        "total mean": sums["total"] / n,
        "total square": total / n,
        "error": total / activity if activity else float("inf") if total else 0.0,
    }
    for part in PARTS:
        row |= {
            f"{part} mean": sums[part] / n,
            f"{part} square": sums[f"{part} square"] / n,
            f"{part} share": sums[f"{part} total"] / total if total else 0.0,
        }
    dead, ann_dead = 1 - fired.mean(axis=1)
    row |= {"dead": dead, "ann dead": ann_dead, "saturated": sums["saturated"] / n}
    return {
        key: value if isinstance(value, (str, int)) else float(value) for key, value in row.items()
    }


@dataclass(repr=False)
class Cases(ByLayer):
    """Unevenness errors I and II of every spiking layer in SRP's four cases, from `cases`.

    layers: one row each: neurons, and in percent of images times neurons `I case 1` to `I case 4`,
    `I` (their sum), and the same for II. theorem: one row each, see `cases`. counterexamples: to
    SRP's Theorem 1, where its conditions hold.
    """

    simulation: Simulation
    images: int
    levels: str
    layers: list
    theorem: list

    @property
    def counterexamples(self):
        return sum(row["counterexamples"] for row in self.theorem)

    def __repr__(self):
        mean = {error: np.mean([row[error] for row in self.layers]) for error in ("I", "II")}
        return (
            f"<Cases of {len(self.layers)} layers on {self.images} images, T = {self.simulation.steps}: unevenness error I in "
            f"{mean['I']:.2f} %, II in {mean['II']:.2f} % of neurons, mean of layers; Theorem 1: {self.counterexamples} "
            f"counterexamples among {sum(row['conditions hold'] for row in self.theorem):,} neurons>"
        )


def cases(network, images, *, steps=8, levels="steps", progress=False, **settings):
    """The `Cases` of unevenness error I and II (SRP Def. 1 and 2), and Theorem 1 of SRP on every
    neuron.

    phi is the SNN's output. a is QCFS (SRP eq. 7) with lambda = theta and as many levels as the SNN
    has steps (L := T), at the SNN's own average input for I; for II in the whole ANN, so
    requantised. Both are whole numbers of spikes, and are compared as such. levels="own" keeps
    every activation as it is: then a is compared in spikes with a tolerance of 1e-9 of one.

    `theorem` counts, for error I, neurons by the sign of the residual potential v(T) and their case
    (`v < 0, case 1`, …, `none`: phi = a). The theorem says: if a = 0, phi > a only where v(T) < 0;
    if a > 0, phi > a exactly where v(T) < 0. `conditions hold` are the neurons of clocked
    soft-reset IF with L = T, v(0) = theta / 2, not silenced by SRP; `counterexamples` those of them
    that contradict (there are none); `exceptions` those that contradict among the others. settings:
    as for `decompose`; srp=4 gives SRP.
    """
    if levels not in LEVELS:
        raise InputError("levels", f"one of {', '.join(LEVELS)}", repr(levels))
    simulation, pixels, numbers = prepare(network, images, steps, settings)
    counted = {
        i: _Counted(layer, top_of(simulation, i))
        for i, layer in enumerate(network.spiking)
        if not layer.pools
    }
    theorem_applies = (
        levels == "steps"
        and not simulation.engine.asynchronous
        and type(simulation.neuron) is IF
        and simulation.encoding.divides
    )
    one = simulation.arithmetic.one.item()
    for part, batch, totals in _chunks(simulation, pixels, numbers, progress):
        drive = totals - simulation.resting
        ann_spikes = _ann_spikes(simulation, part, drive, levels)
        for i, counts in counted.items():
            here = network.columns(i)
            charge = drive[:, here] + arrived(simulation, i, batch.counts)
            recomputed = (
                _quantised(charge, one, counts.top)
                if levels == "steps"
                else _own_output(counts.layer, charge, one, counts.top)
            )
            conditions = (
                batch.masks[:, here] & (2 * simulation.resting[here] == one) & theorem_applies
            )
            counts.add(
                batch.counts[:, here],
                recomputed,
                ann_spikes[i],
                batch.potentials[:, here],
                conditions,
            )
    return Cases(
        simulation,
        len(pixels),
        levels,
        [c.shares() for c in counted.values()],
        [c.theorem() for c in counted.values()],
    )


class _Counted:
    """How often each case was met in one layer, and with which residual potential."""

    def __init__(self, layer, top):
        self.layer, self.top, self.first, self.second = (
            layer,
            top,
            np.zeros((2, 6), np.int64),
            np.zeros(6, np.int64),
        )
        self.verdicts = np.zeros(3, np.int64)

    def add(self, spikes, recomputed, ann_spikes, potentials, conditions):
        """Arrays [N, neurons]: S, the ANN's output for I and for II in spikes, v(T), whether
        Theorem 1's conditions hold.
        """
        case, above = classify(spikes, recomputed, self.top), potentials >= 0
        self.first += np.bincount((6 * above + case).reshape(-1), minlength=12).reshape(2, 6)
        self.second += np.bincount(classify(spikes, ann_spikes, self.top).reshape(-1), minlength=6)
        wrong = contradicts(spikes, recomputed, potentials)
        self.verdicts += [conditions.sum(), (conditions & wrong).sum(), (wrong & ~conditions).sum()]

    def shares(self):
        """The layer's row of `Cases.layers`."""
        row = {"layer": self.layer.name, "neurons": self.layer.size}
        for error, counts in (("I", self.first.sum(axis=0)), ("II", self.second)):
            percent = 100 * counts / counts.sum()
            row |= {f"{error} case {k}": float(percent[k]) for k in CASES} | {
                error: float(percent[1:5].sum())
            }
        return row

    def theorem(self):
        """The layer's row of `Cases.theorem`."""
        row = {"layer": self.layer.name} | dict(
            zip(("conditions hold", "counterexamples", "exceptions"), map(int, self.verdicts))
        )
        for sign, counts in zip(("v < 0", "v >= 0"), self.first):
            row |= {f"{sign}, none": int(counts[0])} | {
                f"{sign}, case {k}": int(counts[k]) for k in CASES
            }
        return row


def _ann_spikes(simulation, pixels, drive, levels):
    """{layer number: the ANN's own output in spikes}: of the ANN with L := T in the simulation's
    whole numbers, or as it is.
    """
    network = simulation.network
    tops = [top_of(simulation, i) for i in range(len(network.layers))]
    spiking = [(i, layer) for i, layer in enumerate(network.spiking) if not layer.pools]
    if levels == "steps":
        counts, _ = staircases(simulation, drive + simulation.arithmetic.one.item() // 2, tops)
        return {i: counts[:, network.columns(i)] for i, _ in spiking}
    values = ann.forward(
        network.graph,
        network.graph.preprocessing(pixels),
        keep=[layer.name for _, layer in spiking],
        dtype=np.float64,
    )
    return {
        i: _in_spikes(_by_neuron(values[layer.name], layer), layer, tops[i]) for i, layer in spiking
    }


def _quantised(charge, one, top):
    """QCFS in spikes (SRP eq. 7) of D x = charge: min(max(floor(D x / q + 1/2), 0), top)."""
    return np.clip((charge + one // 2) // one, 0, top)


def classify(spikes, ann_spikes, top):
    """SRP's case of each neuron: 1 to 4, 0 where phi = a, 5 where phi > a = lambda (no case: more
    than one spike a step). All in spikes.
    """
    a, difference = ann_spikes, spikes - ann_spikes
    more, less, between = difference > TOLERANCE, difference < -TOLERANCE, (a > 0) & (a < top)
    return np.select(
        [more & (a <= 0), more & between, less & between, less & (a >= top), more],
        [1, 2, 3, 4, 5],
        0,
    )


def contradicts(spikes, ann_spikes, potentials):
    """Where Theorem 1 of SRP would not hold: a = 0 and phi > a without v(T) < 0; a > 0 and one of
    phi > a, v(T) < 0 without the other.
    """
    more, below = spikes - ann_spikes > TOLERANCE, potentials < 0
    return np.where(ann_spikes <= 0, more & ~below, more != below)


def _own_output(layer, charge, one, top):
    """The layer's own activation of the SNN's average input, in spikes; on its grid (theta =
    lambda) without rounding the input.
    """
    attrs = layer.node.attrs
    levels, theta = attrs.get("levels"), _theta(layer)
    highest = attrs.get("lambda", attrs.get("scale", 0) * (levels or 0))
    if levels and np.ndim(theta) == 0 and theta == highest:
        return (
            np.clip((2 * charge * levels + one * top) // (2 * one * top), 0, levels) * top / levels
        )
    return _in_spikes(ann.activation_function(layer.node)(charge / (one * top) * theta), layer, top)


def _in_spikes(a, layer, top):
    """The ANN's activations in spikes; one that is not 0 where the SNN's neuron can never fire
    (theta = 0) is infinitely many.
    """
    theta = np.broadcast_to(_theta(layer), a.shape)
    return np.divide(a * top, theta, out=np.where(a > 0, np.inf, 0.0), where=theta != 0)


def _chunks(simulation, pixels, numbers, progress):
    """Yield (pixels, their Batch, v(0) and all drive of every neuron as int64 [n, neurons]) for
    some images at a time.
    """
    size = max(1, min(16, CHUNK // len(simulation.resting)))
    with tqdm(total=len(pixels), unit="image", disable=None if progress else True, delay=2) as bar:
        for start, batch in simulation.stream(pixels, numbers=numbers, batch=size, neurons=True):
            part = pixels[start : start + size]
            totals = simulation.resting + np.stack(
                [all_drive(simulation, *each) for each in zip(part, numbers[start : start + size])]
            )
            yield part, batch, totals
            bar.update(len(part))
