"""How a run in asynchronous time parts from clocked time, layer by layer.

Of each image are kept sums of whole numbers over a layer's neurons, from which the means follow,
and the correlation of spike counts over all neurons and images.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.data.accepting import GivenImages
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Network
from eventsnn.simulation.conditions import Conditions, conditions, together
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies.by_image import IMAGE, LAYER, Arrays, Given, Study, Variable
from eventsnn.studies.sampled import Row, Sample, with_intervals
from eventsnn.studies.setting import changed, check_exact, exact, neuron_layers
from eventsnn.views.progress import following

# over neurons: counts in clocked time and in asynchronous time, those that fired more than their
# charge is worth, and sums of products of the two counts
SUMS = ("clocked", "counts", "more", "clocked squared", "counts squared", "product")


@dataclass(repr=False)
class Parting:
    """N images in clocked and in asynchronous time, from `part`.

    simulation: in asynchronous time. sums: int64 [N, layers, SUMS].
    """

    simulation: Simulation
    sums: NDArray[np.int64]

    @property
    def conditions(self) -> Conditions:
        """What decided both runs."""
        return together(map(conditions, (in_clocked_time(self.simulation), self.simulation)))

    def rows(self, seed: int = 0) -> list[Row]:
        """One row for each layer, with bootstrap intervals of its means.

        `rate clocked`, `rate <order>`: spikes per neuron and step. `fired more than worth`: the
        share of neurons. `correlation`: Pearson's, of counts; NaN where one of the two is constant.
        seed: of the bootstrap.
        """
        rows: list[Row] = []
        samples: dict[tuple[Any, str], Sample] = {}
        steps = self.simulation.steps
        means = ("rate clocked", f"rate {self.simulation.time.order}", "fired more than worth")
        for k, layer in enumerate(neuron_layers(self.simulation.network).values()):
            row: Row = {"layer": layer.name}
            for name, each, over in zip(means, self.sums[:, k].T, (steps, steps, 1)):
                sample = samples[layer.name, name] = Sample(each / (over * layer.size))
                row[name] = sample.mean
            row["correlation"] = _correlation(self.sums[:, k], layer.size)
            rows.append(row | {"conditions": self.conditions})
        return with_intervals(rows, [samples], seed)

    def __repr__(self) -> str:
        return f"<Parting: {len(self.sums)} images, {self.conditions}>"


def _correlation(sums: NDArray[np.int64], size: int) -> float:
    """Pearson's correlation of counts. sums: [N, SUMS]. size: neurons of the layer."""
    a, b, _, aa, bb, ab = map(int, sums.sum(axis=0))
    n = size * len(sums)
    product = (n * aa - a * a) * (n * bb - b * b)
    return (n * ab - a * b) / sqrt(product) if product else float("nan")


def in_clocked_time(simulation: Simulation) -> Simulation:
    """The same simulation under order clocked. simulation: of the event engine."""
    return changed(simulation, time=Time(order="clocked"))


def part(
    network: Network,
    images: GivenImages,
    *,
    steps: int,
    progress: bool | None = None,
    **settings: Any,
) -> Parting:
    """The `Parting` of images.

    network: that runs. images: as for `eventsnn.simulate`. steps: T. progress: whether a bar is
    shown. settings: of `Simulation` and `Time`. Raises InputError for floating point, and for
    another engine than "event".
    """
    simulation, pixels, numbers = exact(network, images, "parting", steps=steps, **settings)
    return parting_of(simulation, measure_parting(simulation, Given(pixels, numbers), progress))


def measure_parting(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
) -> Arrays:
    """The sums of each image: the array of OF_PARTING.

    simulation: in asynchronous time. given: the images. progress, workers: change no number. Raises
    InputError for a simulation that `part` refuses.
    """
    check_exact(simulation, "parting")
    if not simulation.engine.asynchronous:
        engine = named("engine", simulation.engine.name)
        raise InputError("parting", named("engine", "event"), engine, "choose it")
    how: dict[str, Any] = {"numbers": given.numbers, "neurons": True, "workers": workers}
    found = []
    both = [in_clocked_time(simulation), simulation]
    streams = [its.stream(given.pixels, **how) for its in both]
    one = simulation.arithmetic.one.item()
    with following(len(given.pixels), "image", progress) as bar:
        for (_, clocked), (_, batch) in zip(*streams):
            a, b, potentials = clocked.counts, batch.counts, batch.potentials
            assert a is not None and b is not None and potentials is not None
            # whole numbers: v(T) + q S, whatever was fired
            worth = np.maximum(potentials // one + b, 0)
            terms = (a, b, b > worth, a * a, b * b, a * b)
            layers = [simulation.network.columns(i) for i in neuron_layers(simulation.network)]
            sums = [np.stack([x[:, here].sum(axis=1) for x in terms], axis=1) for here in layers]
            found.append(np.stack(sums, axis=1))
            bar.update(len(a))
    return {"sums": np.concatenate(found)}


def parting_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> Parting:
    """The `Parting` of the sums of each image. labels, numbers: have no effect."""
    return Parting(simulation, arrays["sums"])


OF_PARTING = Study(
    part,
    measure_parting,
    parting_of,
    {
        "sums": Variable(
            (IMAGE, LAYER, "sum"), "int64", 0, "as named", "over neurons, of net spikes in T steps"
        )
    },
    lambda simulation: {"sum": [*SUMS]},
)
