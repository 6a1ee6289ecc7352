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
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from eventsnn.studies.equivalence import arrived, excitation, independent
from eventsnn.studies.replacing import Replacing, chunks, prepare, words_of
from eventsnn.studies.sampled import Sample, Samples
from eventsnn.studies.setting import CHUNK, neuron_layers, numbers_of, pick, top_of
from eventsnn.studies.trains import train_of
from eventsnn.studies.unevenness import CASES, Counted, recomputed_spikes, samples_of
from eventsnn.views.tables import COLUMNS, ByLayer, Table

TITLE = (
    "Every layer's spikes moved in time; step: when its spikes come, mean; late: inhibition after "
    "the last excitatory arrival, in thresholds; overshoot: spikes that the largest sum of charge "
    "is worth, less those of the last; I, II: neurons with unevenness error (%), I.1 to I.4: by "
    "case; bias: spikes less the ANN's, apart: mean squared charge less the ANN's, in thresholds, "
    "coherence: by what it is more than of independent signs; accuracy: layers up to this moved"
)
ARRIVALS = ("late", "overshoot")
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
    moves = times != "kept"
    simulation, pixels, numbers = prepare(network, given.images, steps, settings, "own", times)
    layers = numbers_of(network)
    count = len(pixels) if look_at is None else min(look_at, len(pixels))
    looked = _Looked(simulation)
    hits: defaultdict[str, list[NDArray[np.bool_]]] = defaultdict(list)
    began, parts = clock.perf_counter(), []
    for part in chunks(simulation, pixels, numbers, progress, len(layers) * moves):
        runs = part.runs
        for name, i in layers.items():
            if moves:
                runs = part.replace(runs, i, part.counts(runs, i, "own"), times)
            if given.labels is not None:
                its = given.labels[part.start : part.start + len(runs)]
                hits[name].append(_classes(simulation, runs) == its)
        looked.add(part, runs[: max(0, count - part.start)])
        parts.append(part.batch(runs, neurons=False))
    seconds = clock.perf_counter() - began
    batch = Batch.join(parts)
    beside = words_of(simulation, "own", times)
    result = Result(
        simulation, batch, given.images, given.labels, seconds, given.note, beside=beside
    )
    right = {name: np.concatenate(its) for name, its in hits.items()}
    samples = looked.samples()
    rows = []
    for name, i in layers.items():
        row: dict[str, Any] = {"layer": name, "neurons": network.layers[i].size}
        row |= {column: its.mean for (layer, column), its in samples.items() if layer == name}
        ends = ("accuracy", "accuracy low", "accuracy high")
        row |= share("accuracy", right[name]) if right else dict.fromkeys(ends)
        rows.append(row)
    return Timing(simulation, times, result, count, rows, samples, right)


def _classes(simulation: Simulation, runs: Sequence[ClockedRun]) -> NDArray[np.int64]:
    """The class of each run after its last step."""
    return ann.classes_of(np.stack([simulation.counted(run.readout)[-1] for run in runs]))


class _Looked:
    """What arrived at each layer of neurons, and what the layer made of it, image by image.

    simulation: in clocked time.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.layers = neuron_layers(simulation.network)
        self.counted = {
            i: Counted(layer, top_of(simulation, i)) for i, layer in self.layers.items()
        }
        self.sums: defaultdict[tuple[int, str], list[float]] = defaultdict(list)

    def add(self, part: Replacing, runs: Sequence[ClockedRun]) -> None:
        """Looks at some images. part: theirs and others. runs: of the first of them, as moved."""
        if not runs:
            return
        simulation = self.simulation
        one = simulation.arithmetic.one.item()
        sent = np.stack([run.sent for run in runs])
        given, ann_sent = part.given[: len(runs)], part.ann[: len(runs)]
        nothing = np.zeros(sent.shape, np.int64)
        for i, its in self.counted.items():
            here = simulation.network.columns(i)
            charge = given[:, here] + arrived(simulation, i, sent)
            recomputed = recomputed_spikes(its.layer, charge, one, its.top, "steps")
            theorem = nothing[:, here], nothing[:, here] > 0  # which is not asked about here
            its.add(sent[:, here], recomputed, ann_sent[:, here], *theorem)
            self._add_distance(i, sent - ann_sent)
        # trains of all steps are as many arrays as there are steps
        size = max(1, CHUNK // (simulation.steps * len(simulation.resting)))
        for start in range(0, len(runs), size):
            some = slice(start, start + size)
            self._add_arrivals(runs[some], part.drives[: len(runs)][some])

    def _add_distance(self, i: int, wrong: NDArray[np.int64]) -> None:
        """Adds up `bias`, `apart` and `coherence` of layer number i.

        wrong: spikes of all layers less the ANN's, int64 [n, neurons].
        """
        simulation, here = self.simulation, self.simulation.network.columns(i)
        apart = np.square(arrived(simulation, i, wrong) / float(simulation.arithmetic.one))
        of_signs = independent(simulation, i, wrong)
        self.sums[i, "bias"] += wrong[:, here].mean(axis=1).tolist()
        self.sums[i, "squares"] += apart.mean(axis=1).tolist()
        self.sums[i, "of signs"] += of_signs.mean(axis=1).tolist()

    def _add_arrivals(self, runs: Sequence[ClockedRun], drives: Sequence[NDArray[Any]]) -> None:
        """Adds up `step`, `late` and `overshoot` of some images. drives: theirs, by step."""
        simulation, steps = self.simulation, self.simulation.steps
        trains = np.stack([_trains(simulation, run) for run in runs])
        flat = trains.reshape(-1, trains.shape[-1])
        times = np.arange(1, steps + 1)
        for i in self.layers:
            here = simulation.network.columns(i)
            rows = [drive[np.minimum(times - 1, len(drive) - 1)][:, here] for drive in drives]
            drive = np.stack(rows).astype(np.int64)
            came = [brought(simulation, i, flat) for brought in (excitation, arrived)]
            excited, both = (charge.reshape(drive.shape) for charge in came)
            late, highest, last = heights(drive, excited, both - excited, simulation.resting[here])
            one, top = simulation.arithmetic.one.item(), top_of(simulation, i)
            most, worth = (np.clip(height // one, 0, top) for height in (highest, last))
            theta = one * int(simulation.quanta[i])
            self.sums[i, "late"] += (late.mean(axis=1) / theta).tolist()
            self.sums[i, "overshoot"] += (most - worth).mean(axis=1).tolist()
            spikes = abs(trains[:, :, here]).sum(axis=2)
            self.sums[i, "steps"] += (spikes @ times).tolist()
            self.sums[i, "spikes"] += spikes.sum(axis=1).tolist()

    def samples(self) -> dict[tuple[Any, str], Sample]:
        """`Timing.samples`."""
        found: dict[tuple[Any, str], Sample] = {}
        for i, layer in self.layers.items():
            sums = {name: np.array(its) for (number, name), its in self.sums.items() if number == i}
            found[layer.name, "step"] = Sample(sums["steps"], sums["spikes"])
            for name in ARRIVALS:
                found[layer.name, name] = Sample(sums[name])
            for column, counted in samples_of(self.counted[i].arrays()["cases"], layer).items():
                found[layer.name, column] = counted
            squares = sums["squares"] / int(self.simulation.quanta[i]) ** 2
            found[layer.name, "bias"] = Sample(sums["bias"])
            found[layer.name, "apart"] = Sample(squares)
            found[layer.name, "coherence"] = Sample(sums["squares"], sums["of signs"])
        return found


def heights(
    drive: NDArray[np.int64],
    excited: NDArray[np.int64],
    inhibited: NDArray[np.int64],
    resting: NDArray[Any],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(late inhibition, largest sum, last sum), int64 [n, neurons], in the arithmetic's numbers.

    Late inhibition, from 0, came in steps after the last one with an excitatory arrival, drive
    being an arrival, too. The sums are v(0) and all charge so far, after each step.

    drive, excited, inhibited (<= 0): the charge of each step, int64 [n, T, neurons]. resting: v(0),
    [neurons].
    """
    late = np.zeros(drive[:, 0].shape, np.int64)
    height = late + resting
    highest = np.full(late.shape, np.iinfo(np.int64).min)
    for t in range(drive.shape[1]):
        negative = np.minimum(drive[:, t], 0) + inhibited[:, t]
        quiet = (drive[:, t] <= 0) & (excited[:, t] == 0)
        late = np.where(quiet, late - negative, 0)
        height = height + drive[:, t] + excited[:, t] + inhibited[:, t]
        highest = np.maximum(highest, height)
    return late, highest, height


def _trains(simulation: Simulation, run: ClockedRun) -> NDArray[np.int64]:
    """What all neurons and pool units sent in each step, int64 [T, all neurons]; the readout 0."""
    network = simulation.network
    sent = np.zeros((simulation.steps, len(simulation.resting)), np.int64)
    for i in range(len(network.spiking)):
        sent[:, network.columns(i)] = train_of(simulation, run, i)
    return sent
