"""A network at rest beside the quantised ANN, and its layers on the way there (SpikeZIP Fig. 5)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.data.accepting import GivenImages
from eventsnn.exceptions import one_line
from eventsnn.network.network import Network
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.conditions import Conditions, conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_image import (
    CLASS,
    IMAGE,
    LAYER,
    Arrays,
    Given,
    Study,
    Variable,
    joined,
)
from eventsnn.studies.equivalence import quantised
from eventsnn.studies.sampled import Row, Sample, with_intervals
from eventsnn.studies.setting import changed, check_exact, exact, neuron_layers
from eventsnn.views.progress import following

BATCH = 10
REST = {"neuron": "st-bif", "encoding": "even"}
# the models whose layers are compared, and the numbers T of steps
MODELS: dict[str, dict[str, Any]] = {
    "ST-BIF": REST,
    "IF": {"neuron": "if", "encoding": "constant"},
}
SHOWN = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


@dataclass(repr=False)
class AtRest:
    """N images at rest beside the quantised ANN, from `at_rest`.

    simulation: that ran. neurons, outputs: int64 [N], how many differ. readout: float64 [N,
    classes], ANN output. t_eq: int64 [N], the step after which nothing moves. spikes, operations:
    int64 [N].
    """

    simulation: Simulation
    neurons: NDArray[np.int64]
    outputs: NDArray[np.int64]
    readout: NDArray[np.float64]
    t_eq: NDArray[np.int64]
    spikes: NDArray[np.int64]
    operations: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"<AtRest: {len(self.t_eq)} images, {conditions(self.simulation)}>"


def at_rest(
    network: Network,
    images: GivenImages,
    *,
    steps: int,
    progress: bool | None = None,
    **settings: Any,
) -> AtRest:
    """The `AtRest` of images.

    network: that runs. images: as for `eventsnn.simulate`. steps: T, enough to come to rest.
    progress: whether a bar is shown. settings: of `Simulation` and `Time`; ST-BIF neurons and
    encoding even by default. Raises InputError for what `equivalence.quantised` refuses.
    """
    settings = REST | settings
    simulation, pixels, numbers = exact(network, images, "equivalence", steps=steps, **settings)
    return at_rest_of(simulation, measure_rest(simulation, Given(pixels, numbers), progress))


def measure_rest(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
) -> Arrays:
    """What `at_rest` compares in each image: the arrays of OF_REST.

    simulation: that runs. given: the images. progress, workers: change no number. Raises InputError
    for what `equivalence.quantised` refuses.
    """
    check_exact(simulation, "equivalence")
    pixels, found = given.pixels, []
    with following(len(pixels), "image", progress) as bar:
        for start in range(0, len(pixels), BATCH):
            some = slice(start, start + BATCH)
            how: dict[str, Any] = {"numbers": given.numbers[some], "workers": workers}
            # images take unlike times to come to rest: threads take one after the other
            parts = simulation.stream(pixels[some], batch=1, neurons=True, **how)
            batch = Batch.join([its for _, its in parts])
            counts, readout = quantised(simulation, pixels[some])
            its = {
                "neurons": np.count_nonzero(batch.counts != counts, axis=1),
                "outputs": np.count_nonzero(batch.readout[:, -1] != readout, axis=1),
                "readout": simulation.output(batch.readout[:, -1], simulation.steps),
                "t_eq": batch.t_eq,
                "spikes": batch.spikes.sum(axis=(1, 2)),
                "operations": batch.operations.sum(axis=(1, 2)),
            }
            found.append(its)
            bar.update(len(batch.t_eq))
    return joined(found)


def at_rest_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> AtRest:
    """The `AtRest` of the arrays of OF_REST. labels, numbers: have no effect."""
    return AtRest(simulation, **{name: arrays[name] for name in OF_REST.variables})


OF_REST = Study(
    at_rest,
    measure_rest,
    at_rest_of,
    {
        "neurons": Variable((IMAGE,), "int64", 0, "neurons", "that differ from the quantised ANN"),
        "outputs": Variable((IMAGE,), "int64", 0, "outputs", "that differ from the quantised ANN"),
        "readout": Variable((IMAGE, CLASS), "float64", np.nan, "ANN output", "after the last step"),
        "t_eq": Variable((IMAGE,), "int64", 0, "steps", "last step in which anything moved"),
        "spikes": Variable((IMAGE,), "int64", 0, "spikes", "of either sign"),
        "operations": Variable((IMAGE,), "int64", 0, "synaptic operations", "of all layers"),
    },
)


@dataclass(repr=False)
class Distances:
    """How far layers are from the quantised ANN's on N images after T steps, from `distances`.

    simulation: of the quantised ANN. models: name -> what decided its runs but T. steps: the
    numbers T. layers: names. apart: float64 [N, models, T, layers], L1 distances, in thresholds.
    norms: float64 [N, layers], the quantised ANN's L1 norms.
    """

    simulation: Simulation
    models: dict[str, Conditions]
    steps: list[int]
    layers: list[str]
    apart: NDArray[np.float64]
    norms: NDArray[np.float64]

    def rows(self, names: Collection[str], seed: int = 0) -> list[Row]:
        """One row for each model, T and layer of `names`, with bootstrap intervals.

        `L1`: the mean distance. `relative`: over the norm; 0 where there is none. seed: of the
        bootstrap.
        """
        rows: list[Row] = []
        samples: dict[tuple[Any, str], Sample] = {}
        for m, (model, decided) in enumerate(self.models.items()):
            for k, t in enumerate(self.steps):
                for name in names:
                    i = self.layers.index(name)
                    apart, norm = self.apart[:, m, k, i], self.norms[:, i]
                    what = f"{model}, {one_line(name, 24)}"
                    row = {"what": what, "T": t, "images": len(apart), "L1": float(apart.mean())}
                    row["relative"] = float(apart.sum() / norm.sum()) if norm.any() else 0
                    row["conditions"] = Conditions({**decided.parts, "T": str(t)})
                    rows.append(row)
                    samples[(what, t), "L1"] = Sample(apart)
                    samples[(what, t), "relative"] = Sample(apart, norm)
        return with_intervals(rows, [samples], seed, lambda row: (row["what"], row["T"]))

    def __repr__(self) -> str:
        return f"<Distances: {len(self.norms)} images, {conditions(self.simulation)}>"


def distances(
    network: Network,
    images: GivenImages,
    *,
    steps: int,
    progress: bool | None = None,
    **settings: Any,
) -> Distances:
    """The `Distances` of images, of the MODELS after those numbers T of SHOWN that `steps` has.

    Parameters, and what is raised: as for `at_rest`.
    """
    settings = REST | settings
    simulation, pixels, numbers = exact(network, images, "equivalence", steps=steps, **settings)
    arrays = measure_distances(simulation, Given(pixels, numbers), progress)
    return distances_of(simulation, arrays)


def measure_distances(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
) -> Arrays:
    """What `distances` measures of each image: the arrays of OF_DISTANCES.

    simulation: of the quantised ANN. given: the images. progress, workers: change no number. Raises
    InputError for what `equivalence.quantised` refuses.
    """
    check_exact(simulation, "equivalence")
    pixels, numbers = given.pixels, given.numbers
    every = [model_at(simulation, model, t) for model in MODELS for t in shown(simulation)]
    parts = []
    with following(len(pixels), "image", progress) as bar:
        for start in range(0, len(pixels), BATCH):
            some = slice(start, start + BATCH)
            there = of_layers(simulation, quantised(simulation, pixels[some])[0])
            apart = []
            for its in every:
                how: dict[str, Any] = {"numbers": numbers[some], "neurons": True}
                for _, batch in its.stream(pixels[some], batch=BATCH, workers=workers, **how):
                    assert batch.counts is not None
                    fired = of_layers(its, batch.counts)
                found = [abs(mine - ann).sum(axis=1) for mine, ann in zip(fired, there)]
                apart.append(np.stack(found, axis=1))
            shape = (len(apart[0]), len(MODELS), -1, len(there))
            norms = np.stack([values.sum(axis=1) for values in there], axis=1)
            parts.append({"apart": np.stack(apart, axis=1).reshape(shape), "norms": norms})
            bar.update(len(norms))
    return joined(parts)


def distances_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> Distances:
    """The `Distances` of the arrays of OF_DISTANCES. labels, numbers: have no effect."""
    steps = shown(simulation)
    models = {model: conditions(model_at(simulation, model, steps[0])) for model in MODELS}
    layers = [layer.name for layer in neuron_layers(simulation.network).values()]
    return Distances(simulation, models, steps, layers, arrays["apart"], arrays["norms"])


def shown(simulation: Simulation) -> list[int]:
    """The numbers T of SHOWN that a simulation has steps for."""
    return [t for t in SHOWN if t <= simulation.steps]


def model_at(simulation: Simulation, model: str, steps: int) -> Simulation:
    """A simulation of a model of MODELS, in clocked time. steps: T."""
    return changed(simulation, engine="clocked", steps=steps, **MODELS[model])


def of_layers(simulation: Simulation, counts: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """What the neurons of each layer fired, in thresholds, float64 [N, neurons].

    simulation: that ran. counts: net spikes [N, all neurons].
    """
    network = simulation.network
    units = simulation.quanta * (simulation.steps if simulation.encoding.divides else 1)
    return [counts[:, network.columns(i)] / units[i] for i in neuron_layers(network)]


OF_DISTANCES = Study(
    distances,
    measure_distances,
    distances_of,
    {
        "apart": Variable(
            (IMAGE, "model", "after", LAYER), "float64", np.nan, "thresholds", "L1 distance"
        ),
        "norms": Variable(
            (IMAGE, LAYER), "float64", np.nan, "thresholds", "L1 norm of the quantised ANN's layer"
        ),
    },
    lambda simulation: {"model": [*MODELS], "after": shown(simulation)},
    (),
    ("steps",),
)
