"""Images in clocked time as the network runs, and as it runs with the spikes of layers replaced."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eventsnn.data.accepting import GivenImages
from eventsnn.engine.clocked.driver import ClockedRun
from eventsnn.exceptions import InputError
from eventsnn.network.network import Network
from eventsnn.neurons.contract import most
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.simulation import Simulation, cores
from eventsnn.studies import setting
from eventsnn.studies.equivalence import arrived, staircases
from eventsnn.studies.setting import (
    CHUNK,
    all_drives,
    check_clocked,
    check_levels,
    engine_of,
    top_of,
    tops_of,
)
from eventsnn.studies.trains import TIMES, Drawn, timed, train_of, with_train
from eventsnn.views.progress import following

COUNTS = ("own", "ideal", "ann")


def words_of(simulation: Simulation, counts: str, times: str) -> dict[str, str]:
    """What a run with replaced layers has beside its simulation's conditions.

    counts, times: of the replaced layers, of COUNTS and TIMES. Shuffled times are drawn, so they
    depend on the seed.
    """
    found = {"counts": counts, "times": times}
    return found | {"seed": str(simulation.seed)} if times == "shuffled" else found


class Replacing:
    """Some images as the network runs, and as it runs with layers replaced.

    simulation: in clocked time. pixels: raw images [n, C, H, W]. numbers: theirs, [n]. start: the
    first one's place among all. pool: what runs them. bar: counts runs.
    """

    def __init__(
        self,
        simulation: Simulation,
        pixels: NDArray[Any],
        numbers: NDArray[np.int64],
        start: int,
        pool: Executor,
        bar: tqdm[Any],
    ) -> None:
        self.simulation, self.pixels, self.numbers = simulation, pixels, numbers
        self.start = start
        self.pool, self.bar = pool, bar
        found = list(pool.map(simulation.image, pixels, map(int, numbers)))
        self.runs: list[ClockedRun] = [outcome.run for outcome in found]
        self.drives = [outcome.drive for outcome in found]
        self.stage_one = [outcome.stage_one for outcome in found]
        self.given = all_drives(simulation, pixels, numbers)  # charge that comes without a spike
        bar.update(len(pixels))

    def counts(self, runs: list[ClockedRun], layer: int, kind: str) -> NDArray[np.int64]:
        """The counts, of COUNTS, of layer number `layer`: int64 [images, neurons].

        runs: of the images, with the layers before it as they are. kind: which counts.
        """
        simulation, here = self.simulation, self.simulation.network.columns(layer)
        if kind == "ann":
            return self.ann[:, here]
        if kind == "own":
            return np.stack([run.sent[here] for run in runs])
        came = arrived(simulation, layer, np.stack([run.sent for run in runs]))
        charge = simulation.resting[here] + self.given[:, here] + came
        return np.clip(charge // simulation.arithmetic.one.item(), 0, top_of(simulation, layer))

    @cached_property
    def ann(self) -> NDArray[np.int64]:
        """Net spikes of the ANN with L := T, int64 [images, all neurons]."""
        half = self.simulation.arithmetic.one.item() // 2
        return staircases(self.simulation, self.given + half, tops_of(self.simulation))[0]

    def replace(
        self, runs: list[ClockedRun], layer: int, counts: NDArray[np.int64], times: str
    ) -> list[ClockedRun]:
        """`runs` with other spikes of layer number `layer`, and what follows from them.

        counts: of the layer's spikes, int64 [images, neurons]. times: one of TIMES.
        """
        replaced = partial(self._replace, layer, times)
        numbers = map(int, self.numbers)
        after = list(self.pool.map(replaced, runs, self.drives, counts, numbers))
        self.bar.update(len(after))
        return after

    def _replace(
        self,
        layer: int,
        times: str,
        run: ClockedRun,
        drive: NDArray[Any],
        counts: NDArray[np.int64],
        number: int,
    ) -> ClockedRun:
        """`replace` for one image. number: the image's."""
        simulation = self.simulation
        own = train_of(simulation, run, layer)
        drawn = Drawn(simulation.seed, number, layer)
        train = timed(own, counts, times, int(most(simulation.neuron)), drawn)
        before = with_train(simulation, run, layer, train)
        engine = engine_of(simulation)
        return engine.run(drive, mute=before.mute, given=layer + 1, before=before)

    def batch(self, runs: list[ClockedRun], neurons: bool) -> Batch:
        """The runs as a `Batch`. neurons: whether with net spikes, potentials and masks."""
        names = ("readout", "spikes", "operations", "ties", "digests")
        arrays = {}
        for name in names:
            arrays[name] = np.stack([getattr(run, name) for run in runs])
        arrays["readout"] = np.stack([self.simulation.counted(each) for each in arrays["readout"]])
        of_images = arrays["spikes"], arrays["operations"], self.drives, self.pixels
        arrays["t_eq"] = np.array(list(map(self.simulation.equilibrium, *of_images)))
        narrow = self.simulation.arithmetic.dtype
        arrays["widened"] = np.array([run.v.dtype != narrow for run in runs])
        if self.simulation.srp:
            arrays["stage_one"] = np.stack([each for each in self.stage_one if each is not None])
        if neurons:
            arrays["counts"] = np.stack([run.sent for run in runs])
            arrays["potentials"] = np.stack([run.v for run in runs])
            arrays["masks"] = np.stack([run.mute == 0 for run in runs])
        return Batch(**arrays)


def prepare(
    network: Network,
    images: GivenImages,
    steps: int,
    settings: dict[str, Any],
    counts: str,
    times: str,
) -> tuple[Simulation, NDArray[Any], NDArray[np.int64]]:
    """(Simulation, raw pixels, their numbers) for surgery.

    network, images, steps, settings: as for `surgery.replace_layers`. counts, times: one of COUNTS
    and of TIMES. Raises InputError where surgery makes no sense.
    """
    for name, value, allowed in (("counts", counts, COUNTS), ("times", times, TIMES)):
        if value not in allowed:
            raise InputError(name, f"one of {', '.join(allowed)}", repr(value))
    check_clocked(settings.get("engine", "clocked"))
    simulation, pixels, numbers = setting.prepare(
        network, images, steps, settings, "surgery", reads=True
    )
    check_levels(simulation)
    return simulation, pixels, numbers


def check_replaced(simulation: Simulation) -> None:
    """Raises InputError for a simulation that `prepare` would not make."""
    check_clocked(simulation.engine.name)
    setting.check_averages(simulation, "surgery", reads=True)
    check_levels(simulation)


def chunks(
    simulation: Simulation,
    pixels: NDArray[Any],
    numbers: NDArray[np.int64],
    progress: bool | None,
    replacements: int,
    workers: int | None = None,
) -> Iterator[Replacing]:
    """Yield the `Replacing`s of some images each.

    simulation: in clocked time. pixels: raw images [N, C, H, W]. numbers: theirs, [N]. progress:
    whether a progress bar is shown. replacements: of each image, which the bar counts with its own
    run. workers: threads (None: one for each core).
    """
    size = max(1, min(16, CHUNK // len(simulation.resting)))
    total = len(pixels) * (1 + replacements)
    with (
        following(total, "run", progress) as bar,
        ThreadPoolExecutor(workers or cores()) as pool,
    ):
        for start in range(0, len(pixels), size):
            part = slice(start, start + size)
            yield Replacing(simulation, pixels[part], numbers[part], start, pool, bar)
