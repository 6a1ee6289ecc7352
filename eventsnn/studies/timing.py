"""What the times of spikes cost: every layer's counts stay, and its spikes are moved in time.

    found = timing.measure(snn, images, steps=4, times="shuffled")
    print(found.table())
    found.result.accuracy()

Layers are moved from input to output (see `surgery`, counts "own"), so each layer's counts are what
it fires on the moved spikes of those before it, and moving its own spikes changes only what is
behind it. TPP (ICML 2025) found that random times are better than those that neurons choose. Beside
the accuracy here is why: what of a layer's input came when, and what the layer made of it.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.engine.clocked.driver import ClockedRun
from eventsnn.network.network import Network
from eventsnn.result import Result
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.conditions import Conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import share
from eventsnn.studies.by_image import (
    CLASS,
    IMAGE,
    LAYER,
    STEP,
    Arrays,
    Given,
    Study,
    Variable,
    joined,
)
from eventsnn.studies.looked import ARRIVALS, LOOKED, Looked, looked_samples
from eventsnn.studies.looked import heights as heights
from eventsnn.studies.replacing import check_replaced, chunks, prepare, words_of
from eventsnn.studies.sampled import Sample, Samples
from eventsnn.studies.setting import neuron_layers, numbers_of, pick
from eventsnn.studies.unevenness import AXES, CASES
from eventsnn.views.tables import COLUMNS, ByLayer, Table

TITLE = (
    "Every layer's spikes moved in time; step: when its spikes come, mean; late: inhibition after "
    "the last excitatory arrival, in thresholds; overshoot: spikes that the largest sum of charge "
    "is worth, less those of the last; I, II: neurons with unevenness error (%), I.1 to I.4: by "
    "case; bias: spikes less the ANN's, apart: mean squared charge less the ANN's, in thresholds, "
    "coherence: by what it is more than of independent signs; accuracy: layers up to this moved"
)
OF_RUNS = ("readout", "spikes", "operations", "ties", "t_eq", "digests", "stage_one")
BY_STEP = ("spikes", "operations", "digests")
AGAINST = ("bias", "apart", "coherence")  # of the ANN
SHOWN = ("layer", "neurons", "step", *ARRIVALS, "I", *(f"I case {k}" for k in CASES), "II")
SHOWN += AGAINST
FORMATS = COLUMNS | {f"I case {k}": (f"I.{k}", ".2f") for k in CASES}
FORMATS |= {name: (name, ".3f") for name in ("step", *ARRIVALS, *AGAINST)}
FORMATS |= {name: (name, ".2f") for name in ("I", "II")}
FORMATS |= {"accuracy": ("accuracy", ".1%")}


@dataclass(repr=False)
class Timing(ByLayer):
    """A network whose layers' spikes were moved in time, from `measure`.

    simulation: that ran. times: of `surgery.TIMES`. result: the `Result` with all layers moved.
    looked_at: of how many images `layers` tells what arrived.

    layers: one row each, from input to output. `step`: the mean step, from 1, of its spikes, as
    moved; NaN where it has none. `late`: the mean of |W s_n2|, the inhibition after the last
    excitatory arrival, in thresholds (DNISNM eq. 16; a step's charges come together). `overshoot`:
    the mean of the spikes that the largest sum of v(0) and charge after any step is worth, less
    those of the sum after the last step: what a neuron fires too much that fires at once and takes
    nothing back. `I case 1` to `II case 4`, `I`, `II`: as in `errors.cases`, L := T. `bias`:
    the mean of its spikes less those of the ANN with L := T. `apart`: the mean square of the charge
    that reaches it in all steps less that of the ANN's spikes, in thresholds. `coherence`: that
    over what it would be if each neuron before it had the same error with a random sign; below 1
    errors cancel, above 1 they add up; NaN of a layer that hears drive alone. `accuracy`,
    `accuracy low`, `accuracy high`: the share of all images that are classified as labelled where
    the layers up to this one are moved; None without labels.

    samples: (layer, column of `layers`) -> what the column's mean is of, image by image; for
    `sampled.with_intervals`.

    hits: layer -> bool [N], which images are classified as labelled with the layers up to it moved;
    {} without labels.
    """

    simulation: Simulation
    times: str
    result: Result
    looked_at: int
    layers: list[dict[str, Any]]
    samples: Samples = field(default_factory=dict)
    hits: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def table(self) -> Table:
        """Rows to print: when spikes come, what arrives late, unevenness in percent, accuracy."""
        keys = SHOWN + ("accuracy",) * bool(self.hits)
        rows = [pick(row, keys) for row in self.layers]
        return Table(rows, f"{TITLE}\n{self.conditions}", FORMATS)

    @property
    def conditions(self) -> Conditions:
        """What decides the numbers: those of `result`."""
        return self.result.conditions

    def __repr__(self) -> str:
        uneven = np.mean([row["I"] for row in self.layers])
        overshoot = np.mean([row["overshoot"] for row in self.layers])
        return (
            f"<Timing of {len(self.layers)} layers on {self.looked_at} images, "
            f"{self.conditions}: unevenness error I in {uneven:.2f} % of neurons, "
            f"overshoot {overshoot:.3f} spikes, means of layers>"
        )


@checked
def measure(
    network: Network,
    images: GivenImages,
    *,
    times: str = "shuffled",
    steps: Count = 8,
    labels: GivenLabels = None,
    look_at: Count | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Timing:
    """The `Timing` of a network whose layers keep their counts and send them at other times.

    network: that runs. images, labels: as for `eventsnn.simulate`. times: one of `surgery.TIMES`;
    "kept" is the network as it runs. steps: T. look_at: of how many images, from the first on, it
    is told what arrived at each layer; None: of all. progress: whether a progress bar is shown.
    settings: as for `surgery.replace_layers`. Raises InputError for what that refuses.
    """
    given = accept(network.graph, images, labels)
    simulation, pixels, numbers = prepare(network, given.images, steps, settings, "own", times)
    began = clock.perf_counter()
    options: dict[str, Any] = {"times": times, "look_at": look_at}
    arrays = _measure_timing(simulation, Given(pixels, numbers), progress, **options)
    found = _timing_of(simulation, arrays, given.labels, **options)
    seconds = clock.perf_counter() - began
    result = replace(found.result, images=given.images, seconds=seconds, note=given.note)
    return replace(found, result=result)


def _measure_timing(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    times: str,
    look_at: int | None,
) -> Arrays:
    """What `measure` sees in each image: the arrays of OF_TIMING.

    simulation: in clocked time. given: the images. progress, workers: change no number. times,
    look_at: as for `measure`. Raises InputError for a simulation that `measure` refuses.
    """
    check_replaced(simulation)
    layers = numbers_of(simulation.network)
    moves = times != "kept"
    looked = Looked(simulation)
    classes: list[NDArray[np.int64]] = []
    seen: list[Arrays] = []
    parts = []
    pixels, numbers = given.pixels, given.numbers
    replaced = len(layers) * moves
    for part in chunks(simulation, pixels, numbers, progress, replaced, workers):
        runs = part.runs
        of_layers = []
        for i in layers.values():
            if moves:
                runs = part.replace(runs, i, part.counts(runs, i, "own"), times)
            of_layers.append(_classes(simulation, runs))
        classes.append(np.stack(of_layers, axis=1))
        place = given.first + part.start
        count = len(runs) if look_at is None else min(len(runs), max(0, look_at - place))
        seen.append(looked.at(part, runs[:count]))
        parts.append(part.batch(runs, neurons=False))
    batch = Batch.join(parts)
    found = {"classes": np.concatenate(classes), **joined(seen)}
    for name in OF_RUNS:
        values = getattr(batch, name)
        if values is not None:
            found[name] = values.swapaxes(1, 2) if name in BY_STEP else values
    return found


def _timing_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
    *,
    times: str,
    look_at: int | None,
) -> Timing:
    """The `Timing` of what was seen in each image; its result has no images.

    simulation: that ran. arrays: of `_measure_timing`. labels: int64 [N], or None. numbers: have no
    effect. times, look_at: as for `measure`.
    """
    kept = {name: arrays[name] for name in OF_RUNS if name in arrays}
    if not simulation.srp:
        kept.pop("stage_one", None)
    turned = {name: its.swapaxes(1, 2) for name, its in kept.items() if name in BY_STEP}
    batch = Batch(**{**kept, **turned})
    beside = words_of(simulation, "own", times)
    result = Result(simulation, batch, None, labels, 0.0, beside=beside)
    count = len(batch.readout) if look_at is None else min(look_at, len(batch.readout))
    layers = neuron_layers(simulation.network)
    samples: dict[tuple[Any, str], Sample] = {}
    right = {}
    rows = []
    for k, (i, layer) in enumerate(layers.items()):
        cases, looked = arrays["cases"][:count, k], arrays["looked"][:count, k]
        its = looked_samples(cases, looked, layer, int(simulation.quanta[i]))
        samples |= {(layer.name, column): each for column, each in its.items()}
        row: dict[str, Any] = {"layer": layer.name, "neurons": layer.size}
        row |= {column: each.mean for column, each in its.items()}
        ends = ("accuracy", "accuracy low", "accuracy high")
        if result.labels is not None:
            right[layer.name] = arrays["classes"][:, k] == result.labels
        row |= share("accuracy", right[layer.name]) if right else dict.fromkeys(ends)
        rows.append(row)
    return Timing(simulation, times, result, count, rows, samples, right)


def _classes(simulation: Simulation, runs: Sequence[ClockedRun]) -> NDArray[np.int64]:
    """The class of each run after its last step."""
    return ann.classes_of(np.stack([simulation.counted(run.readout)[-1] for run in runs]))


OF_TIMING = Study(
    measure,
    _measure_timing,
    _timing_of,
    {
        "readout": Variable(
            (IMAGE, STEP, CLASS), "int64", 0, "2^-F charges of a spike", "charge after each step"
        ),
        "spikes": Variable((IMAGE, STEP, "target"), "int64", 0, "spikes", "of either sign"),
        "operations": Variable(
            (IMAGE, STEP, "target"), "int64", 0, "synaptic operations", "by target layer"
        ),
        "digests": Variable(
            (IMAGE, STEP, "target"), "uint64", 0, "64-bit hash", "hash of the spikes"
        ),
        "ties": Variable((IMAGE, "target"), "int64", 0, "evaluations", "that met a threshold"),
        "t_eq": Variable((IMAGE,), "int64", 0, "steps", "last step in which anything moved"),
        "stage_one": Variable(
            (IMAGE, "counted", "target"), "int64", 0, "as named", "of SRP's first stage"
        ),
        "classes": Variable(
            (IMAGE, LAYER), "int64", -1, "1", "the class with all layers up to this one moved"
        ),
        "cases": Variable(
            (IMAGE, LAYER, "error", "case"), "int64", 0, "neurons", "by unevenness error and case"
        ),
        "looked": Variable(
            (IMAGE, LAYER, "seen"), "float64", np.nan, "as named", "NaN where it was not looked"
        ),
    },
    lambda simulation, **options: {
        "target": [layer.name for layer in simulation.network.layers],
        "counted": ["spikes", "operations"],
        "error": AXES["error"],
        "case": AXES["case"],
        "seen": [*LOOKED],
    },
    ("times", "look_at"),
)
