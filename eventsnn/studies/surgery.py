"""What each layer costs: its spikes are replaced, and the rest of the network runs on the new ones.

A layer can err in how many spikes it sends and in when it sends them: spikes that come unevenly
make the layers behind it err even where every count is right. Surgery replaces the output of chosen
layers, from input to output, by what they should have sent.

**Counts**, net spikes in T steps: `own`, as fired; `ideal`, those of the ideal staircase at the
layer's own average input (semantics, section 8); `ann`, the ANN's own activation with as many
levels as the SNN has steps (L := T, as for `errors.cases`).

**Times**, of n spikes of a neuron that sends at most m in a step:
`kept`   own spikes stay where the count allows. Too many: the latest positive ones go. Too few:
         negative ones go, the latest first; then spikes are added in the latest steps that have
         room for them.
`even`   floor(n t / T + 1/2) have been sent after step t, as by a neuron with v(0) = theta / 2 at
         constant input.
`first`  m in each step from the first on.
`shuffled`  the kept ones, each neuron's steps permuted at random by `seed` (TPP).

Only clocked time goes layer by layer, so only there a layer has an output before the next one has
an input. Pools have no neurons to operate on; they pass on what they are given. SRP's masks are
those of the network as it is; a replaced layer sends what it is given.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.engine.clocked.driver import ClockedRun
from eventsnn.exceptions import InputError
from eventsnn.network.network import Network
from eventsnn.result import Result
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import compare, p_words, wilson
from eventsnn.studies.by_image import IMAGE, Arrays, Given, Study, Variable, joined
from eventsnn.studies.replacing import COUNTS as COUNTS
from eventsnn.studies.replacing import Replacing, check_replaced, chunks, prepare, words_of
from eventsnn.studies.setting import check_names, numbers_of
from eventsnn.studies.trains import TIMES as TIMES
from eventsnn.studies.trains import Drawn as Drawn
from eventsnn.studies.trains import timed as timed
from eventsnn.studies.trains import train_of as train_of
from eventsnn.views.tables import COLUMNS, ByLayer, Table

WAYS = ("", "alone ")  # what the columns of `Costs` begin with: one after the other, alone
STAGES = ("counts", "times")  # of a layer's replacement
TITLE = (
    "What each layer costs, replaced one after the other, then alone; wrong: counts replaced "
    "(%); counts, timing: what wrong ones cost (points of accuracy); accuracy, gained : lost, "
    "square: with right counts and timing; square: mean squared distance of the readout from "
    "the ANN's logits"
)
FORMATS = COLUMNS | {f"{way}accuracy": (f"{way}accuracy", ".1%") for way in WAYS}
FORMATS |= {
    f"{way}{key}": (f"{way}{key}", ".2f") for way in WAYS for key in ("wrong", "counts", "timing")
}
FORMATS |= {f"{way}square": (f"{way}square", ".2e") for way in WAYS}

# of a replacement: (way, layer's name, stage); "snn" or "ann" of what none is done to
Key = str | tuple[str, str, str]


@checked
def replace_layers(
    network: Network,
    images: GivenImages,
    layers: Sequence[str],
    *,
    counts: str = "ideal",
    times: str = "even",
    steps: Count = 8,
    labels: GivenLabels = None,
    neurons: bool = False,
    progress: bool | None = None,
    **settings: Any,
) -> Result:
    """The `Result` of a run in which the spikes of some layers are replaced.

    A layer's own spikes and average input are those behind the layers before it as they have been
    replaced. Potentials, ties and operations of a replaced layer are its own; its spikes are those
    it was given.

    network: that runs. images, labels: as for `eventsnn.simulate`. layers: names of those to
    replace. counts, times: one of COUNTS and of TIMES. steps: T. neurons: whether net spikes, last
    potentials and masks are kept. progress: whether a progress bar is shown. settings: as for
    `errors.decompose`. Raises InputError for what that refuses, unknown layers, asynchronous time,
    and fewer steps than it takes to send a threshold's worth of spikes.
    """
    given = accept(network.graph, images, labels)
    simulation, pixels, numbers = prepare(network, given.images, steps, settings, counts, times)
    targets = numbers_of(network)
    chosen = set(layers)
    check_names("layers", chosen, network, f"names of layers of neurons: {', '.join(targets)}")
    began, parts = clock.perf_counter(), []
    for part in chunks(simulation, pixels, numbers, progress, len(chosen)):
        runs = part.runs
        for name, i in targets.items():
            if name in chosen:
                runs = part.replace(runs, i, part.counts(runs, i, counts), times)
        parts.append(part.batch(runs, neurons))
    seconds = clock.perf_counter() - began
    batch = Batch.join(parts)
    beside = words_of(simulation, counts, times) if chosen else {}
    return Result(simulation, batch, given.images, given.labels, seconds, given.note, beside=beside)


@dataclass(repr=False)
class Costs(ByLayer):
    """What each layer costs in accuracy and in distance from the ANN's output, from `costs`.

    simulation: that ran. images: their number. counts: the right ones, of COUNTS.

    snn, ann: the network as it runs, and the ANN: `hits`, images classified as labelled;
    `accuracy`, the share of them, with its 95 % interval `low` to `high` (Wilson); `square`, the
    mean squared distance of the readout from the ANN's logits.

    layers: one row each, from input to output. The same five with right counts in this layer, at
    kept times (`counts hits` and so on), and then with times spread evenly, too (`times hits`, …),
    where the layers before it have both. `counts cost`: the images that right counts won; `timing
    cost`: those that right times won after that. All costs add up to the last `times hits` less
    `snn`'s, exactly. `wrong`: the share of neurons and images whose count was replaced. The same
    keys with `alone ` before them: only this layer is replaced. All replacements, and `ann`, are
    compared with `snn` image by image (semantics, section 15): `gained` and `lost` (`counts
    gained`, …) are the images that the one has right and the other wrong, `p` McNemar's, `p Holm`
    that of them all as one family.
    """

    simulation: Simulation
    images: int
    counts: str
    snn: dict[str, Any]
    ann: dict[str, Any]
    layers: list[dict[str, Any]]

    def table(self) -> Table:
        """Rows to print: wrong counts in percent, costs in points of accuracy, what is reached."""
        rows = []
        for row in self.layers:
            shown = {"layer": row["layer"], "neurons": row["neurons"]}
            for way in WAYS:
                shown[f"{way}wrong"] = 100 * row[f"{way}wrong"]
                for kind in ("counts", "timing"):
                    shown[f"{way}{kind}"] = 100 * row[f"{way}{kind} cost"] / self.images
                shown[f"{way}accuracy"] = row[f"{way}times accuracy"]
                gained, lost = (row[f"{way}times {key}"] for key in ("gained", "lost"))
                p = row[f"{way}times p Holm"]
                shown[f"{way}gained : lost"] = f"{gained} : {lost}, {p_words(p)}"
                shown[f"{way}square"] = row[f"{way}times square"]
            rows.append(shown)
        return Table(rows, f"{TITLE}\n{conditions(self.simulation)}", FORMATS)

    def __repr__(self) -> str:
        counts = sum(row["counts cost"] for row in self.layers)
        timing = sum(row["timing cost"] for row in self.layers)
        return (
            f"<Costs of {len(self.layers)} layers on {self.images} images, "
            f"{conditions(self.simulation)}, {self.counts} counts: "
            f"accuracy {self.snn['accuracy']:.2%} as it runs, "
            f"{self.layers[-1]['times accuracy']:.2%} with all layers replaced "
            f"(ANN {self.ann['accuracy']:.2%}); "
            f"wrong counts cost {counts} images, wrong timing {timing}>"
        )


@checked
def costs(
    network: Network,
    images: GivenImages,
    *,
    counts: str = "ideal",
    steps: Count = 8,
    labels: GivenLabels = None,
    progress: bool | None = None,
    **settings: Any,
) -> Costs:
    """The `Costs` of every layer of neurons, on labelled images.

    From input to output each layer gets right counts at kept times, then evenly spread: the
    accuracy goes from the network's as it runs to that of the ANN with L := T levels in the
    simulation's whole numbers (counts "ann"), or of the network of ideal staircases (counts
    "ideal"). With v(0) = theta / 2 these are the same, count for count, and so is every step of the
    way; they differ in what replacing a layer alone does.

    network: that runs. images, labels: as for `eventsnn.simulate`. counts: the right ones, "ideal"
    or "ann". steps: T. progress: whether a
    progress bar is shown. settings: as for `replace_layers`. Raises InputError for images without
    labels, counts "own", and what `replace_layers` refuses.
    """
    given = accept(network.graph, images, labels)
    if given.labels is None:
        raise InputError(
            "images", "images with labels", "none", "give labelled Images, or pass labels="
        )
    if counts == "own":
        raise InputError(
            "counts", "'ideal' or 'ann'", "'own'", "own counts are not wrong; see replace_layers"
        )
    simulation, pixels, numbers = prepare(network, given.images, steps, settings, counts, "even")
    arrays = _measure_costs(simulation, Given(pixels, numbers), progress, counts=counts)
    return _costs_of(simulation, arrays, given.labels, counts=counts)


def _measure_costs(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    counts: str,
) -> Arrays:
    """What `costs` measures of each image and replacement: the arrays of OF_COSTS.

    simulation: in clocked time. given: the images. progress, workers: change no number. counts: as
    for `costs`. Raises InputError for a simulation that `costs` refuses.
    """
    check_replaced(simulation)
    replacements = 4 * len(numbers_of(simulation.network))
    found = []
    pixels, numbers = given.pixels, given.numbers
    for part in chunks(simulation, pixels, numbers, progress, replacements, workers):
        scored = [*_scored(part, counts)]
        found.append(
            {name: np.stack([each[name] for each in scored], axis=1) for name in scored[0]}
        )
    return joined(found)


def _costs_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None,
    numbers: NDArray[np.int64] | None = None,
    *,
    counts: str,
) -> Costs:
    """The `Costs` of what was measured of each image.

    simulation: that ran. arrays: of `_measure_costs`. labels: int64 [N]. numbers: have no effect.
    counts: as for `costs`. Raises InputError for images without labels.
    """
    network, keys = simulation.network, _keys_of(simulation.network)
    if labels is None:
        do = "give labelled Images, or pass labels="
        raise InputError("images", "images with labels", "none", do)
    right = {key: arrays["classes"][:, k] == labels for k, key in enumerate(keys)}
    sums = {key: arrays["squares"][:, k].sum() for k, key in enumerate(keys)}
    classes = network.readout.size
    scores = {key: _score(right[key], sums[key], classes) for key in keys}
    for key, pair in compare(
        {key: (its, right["snn"]) for key, its in right.items() if key != "snn"}
    ).items():
        scores[key] |= {"gained": pair.gained, "lost": pair.lost, "p": pair.p, "p Holm": pair.holm}
    wrong = {key: float(arrays["wrong"][:, k].sum()) for k, key in enumerate(keys)}
    images = len(labels)
    rows = _rows(network, scores, wrong, images)
    return Costs(simulation, images, counts, scores["snn"], scores["ann"], rows)


def _keys_of(network: Network) -> list[Key]:
    """All that is compared, in order: the ANN, the network as it runs, and every replacement."""
    names = numbers_of(network)
    return [
        "ann",
        "snn",
        *((way, name, stage) for way in WAYS for name in names for stage in STAGES),
    ]


def _scored(part: Replacing, counts: str) -> Iterator[Arrays]:
    """Yields of each of `_keys_of` the class, the squared distance from the ANN's logits and the
    wrong counts of some images, [n] each.
    """
    simulation = part.simulation
    network = simulation.network
    outputs = ann.by_neuron(ann.logits(network.graph, part.pixels))
    none = np.zeros(len(outputs))
    yield {"classes": ann.classes_of(outputs), "squares": none, "wrong": none.astype(np.int64)}
    for runs, wrong in _all_replaced(part, counts):
        charge = np.stack([simulation.counted(run.readout)[-1] for run in runs])
        square = np.square(simulation.output(charge, simulation.steps) - outputs).sum(axis=1)
        yield {"classes": ann.classes_of(charge), "squares": square, "wrong": wrong}


def _all_replaced(
    part: Replacing, counts: str
) -> Iterator[tuple[list[ClockedRun], NDArray[np.int64]]]:
    """Yield (runs, neurons whose count was wrong [n]) of every replacement, as in `_keys_of`.

    First the network as it runs, then each layer after those before it, then each alone.
    """
    yield part.runs, np.zeros(len(part.runs), np.int64)
    for way in WAYS:
        before = part.runs
        for i in numbers_of(part.simulation.network).values():
            wanted = part.counts(before, i, counts)
            wrong = np.count_nonzero(wanted != part.counts(before, i, "own"), axis=1)
            yield part.replace(before, i, wanted, "kept"), wrong
            after = part.replace(before, i, wanted, "even")
            yield after, wrong
            before = after if way == "" else before


def _rows(
    network: Network, scores: dict[Key, dict[str, Any]], wrong: dict[Key, float], images: int
) -> list[dict[str, Any]]:
    """`Costs.layers`. wrong: how many counts were replaced. images: their number."""
    rows, before = [], scores["snn"]["hits"]
    for name, i in numbers_of(network).items():
        size = network.layers[i].size
        row: dict[str, Any] = {"layer": name, "neurons": size}
        for way, start in zip(WAYS, (before, scores["snn"]["hits"])):
            first, second = (scores[way, name, stage] for stage in STAGES)
            row[f"{way}wrong"] = float(wrong[way, name, "counts"] / (images * size))
            row[f"{way}counts cost"] = first["hits"] - start
            row[f"{way}timing cost"] = second["hits"] - first["hits"]
            for stage, score in zip(STAGES, (first, second)):
                row |= {f"{way}{stage} {key}": value for key, value in score.items()}
        before = row["times hits"]
        rows.append(row)
    return rows


def _score(right: NDArray[np.bool_], square: float, classes: int) -> dict[str, Any]:
    """hits, accuracy, low, high and square of `Costs`. right: bool [N]. square: their sum."""
    hits, images = int(right.sum()), len(right)
    low, high = wilson(hits, images)
    return {
        "hits": hits,
        "accuracy": hits / images,
        "low": low,
        "high": high,
        "square": float(square / (images * classes)),
    }


OF_COSTS = Study(
    costs,
    _measure_costs,
    _costs_of,
    {
        "classes": Variable((IMAGE, "replaced"), "int64", -1, "1", "the class after the last step"),
        "squares": Variable(
            (IMAGE, "replaced"),
            "float64",
            np.nan,
            "ANN output, squared",
            "distance of the readout from the ANN's logits, squared and summed up",
        ),
        "wrong": Variable((IMAGE, "replaced"), "int64", 0, "neurons", "whose count was replaced"),
    },
    lambda simulation, **options: {
        "replaced": [
            key if isinstance(key, str) else f"{key[0]}{key[1]} {key[2]}"
            for key in _keys_of(simulation.network)
        ]
    },
    ("counts",),
)
