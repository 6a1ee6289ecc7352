"""What arrived at each layer whose spikes are moved in time, image by image (`timing`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.clocked.driver import ClockedRun
from eventsnn.network.network import Layer
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_image import Arrays, joined
from eventsnn.studies.equivalence import arrived, excitation, independent
from eventsnn.studies.replacing import Replacing
from eventsnn.studies.sampled import Sample
from eventsnn.studies.setting import CHUNK, neuron_layers, top_of
from eventsnn.studies.trains import train_of
from eventsnn.studies.unevenness import Counted, recomputed_spikes, samples_of

ARRIVALS = ("late", "overshoot")
# what is seen of a layer in each image
LOOKED = ("steps", "spikes", *ARRIVALS, "bias", "squares", "of signs")


class Looked:
    """What arrived at each layer of neurons, and what the layer made of it, image by image.

    simulation: in clocked time.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.layers = neuron_layers(simulation.network)

    def at(self, part: Replacing, runs: Sequence[ClockedRun]) -> Arrays:
        """`cases` and `looked` of a part's images, with fill values of those not looked at.

        part: the images. runs: of the first of them, as moved, which are looked at.
        """
        count, layers, some = len(part.pixels), len(self.layers), len(runs)
        cases = np.zeros((count, layers, 2, 6), np.int64)
        looked = np.full((count, layers, len(LOOKED)), np.nan)
        if not some:
            return {"cases": cases, "looked": looked}
        simulation = self.simulation
        sent = np.stack([run.sent for run in runs])
        # trains of all steps are as many arrays as there are steps
        size = max(1, CHUNK // (simulation.steps * len(simulation.resting)))
        drives = part.drives[:some]
        starts = range(0, some, size)
        parts = [self._arrivals(runs[k : k + size], drives[k : k + size]) for k in starts]
        for k, i in enumerate(self.layers):
            cases[:some, k] = self._cases(i, part, sent)
            numbers = joined([each[k] for each in parts])
            numbers |= self._distance(i, sent - part.ann[:some])
            looked[:some, k] = np.stack([numbers[name] for name in LOOKED], axis=1)
        return {"cases": cases, "looked": looked}

    def _cases(self, i: int, part: Replacing, sent: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cases of unevenness error of layer number i, [n, error, case]. sent: by all neurons."""
        simulation, here = self.simulation, self.simulation.network.columns(i)
        counted = Counted(self.layers[i], top_of(simulation, i))
        given, ann_sent = part.given[: len(sent)], part.ann[: len(sent)]
        charge = given[:, here] + arrived(simulation, i, sent)
        one = simulation.arithmetic.one.item()
        recomputed = recomputed_spikes(counted.layer, charge, one, counted.top, "steps")
        nothing = np.zeros(charge.shape, np.int64)  # of the theorem, which is not asked about here
        counted.add(
            sent[:, here], recomputed, ann_sent[:, here], nothing, nothing > 0, nothing == 0
        )
        return counted.arrays()["cases"]

    def _distance(self, i: int, wrong: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """What `bias`, `apart` and `coherence` of layer number i are made of, [n] each.

        wrong: spikes of all layers less the ANN's, int64 [n, neurons].
        """
        simulation, here = self.simulation, self.simulation.network.columns(i)
        apart = np.square(arrived(simulation, i, wrong) / float(simulation.arithmetic.one))
        of_signs = independent(simulation, i, wrong)
        return {
            "bias": wrong[:, here].mean(axis=1),
            "squares": apart.mean(axis=1),
            "of signs": of_signs.mean(axis=1),
        }

    def _arrivals(self, runs: Sequence[ClockedRun], drives: Sequence[NDArray[Any]]) -> list[Arrays]:
        """What `step`, `late` and `overshoot` of each layer are made of, [n] each.

        runs: some images'. drives: theirs, by step.
        """
        simulation, steps = self.simulation, self.simulation.steps
        trains = np.stack([_trains(simulation, run) for run in runs])
        flat = trains.reshape(-1, trains.shape[-1])
        times = np.arange(1, steps + 1)
        found = []
        for i in self.layers:
            here = simulation.network.columns(i)
            rows = [drive[np.minimum(times - 1, len(drive) - 1)][:, here] for drive in drives]
            drive = np.stack(rows).astype(np.int64)
            came = [brought(simulation, i, flat) for brought in (excitation, arrived)]
            excited, both = (charge.reshape(drive.shape) for charge in came)
            late, highest, last = heights(drive, excited, both - excited, simulation.resting[here])
            one, top = simulation.arithmetic.one.item(), top_of(simulation, i)
            most, worth = (np.clip(height // one, 0, top) for height in (highest, last))
            spikes = abs(trains[:, :, here]).sum(axis=2)
            its = {
                "late": late.mean(axis=1) / (one * int(simulation.quanta[i])),
                "overshoot": (most - worth).mean(axis=1),
                "steps": spikes @ times,
                "spikes": spikes.sum(axis=1),
            }
            found.append(its)
        return found


def looked_samples(
    cases: NDArray[np.int64], looked: NDArray[np.float64], layer: Layer, quanta: int
) -> dict[str, Sample]:
    """Column of `Timing.layers` -> what its mean is of.

    cases, looked: of one layer, of `Looked.at`. layer: it. quanta: spikes of its threshold.
    """
    of = dict(zip(LOOKED, looked.T))
    found = {"step": Sample(of["steps"], of["spikes"])}
    found |= {name: Sample(of[name]) for name in ARRIVALS}
    found |= samples_of(cases, layer)
    found["bias"] = Sample(of["bias"])
    found["apart"] = Sample(of["squares"] / quanta**2)
    found["coherence"] = Sample(of["squares"], of["of signs"])
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
