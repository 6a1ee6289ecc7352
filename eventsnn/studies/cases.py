"""SRP's four cases of unevenness error, counted in every layer (`errors.cases`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages
from eventsnn.exceptions import InputError
from eventsnn.network.network import Network
from eventsnn.neurons.contract import is_soft_reset
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_image import IMAGE, LAYER, Arrays, Given, Study, Variable
from eventsnn.studies.equivalence import arrived
from eventsnn.studies.sampled import Sample
from eventsnn.studies.setting import (
    check_averages,
    chunks,
    neuron_layers,
    neurons_of,
    prepare,
    top_of,
)
from eventsnn.studies.unevenness import (
    AXES,
    LEVELS,
    Cases,
    Counted,
    own_spikes,
    recomputed_spikes,
    samples_of,
    silenced_of,
    theorem_of,
)


@checked
def cases(
    network: Network,
    images: GivenImages,
    *,
    steps: Count = 8,
    levels: str = "steps",
    progress: bool | None = None,
    **settings: Any,
) -> Cases:
    """The `Cases` of unevenness error I and II (SRP Def. 1 and 2), and Theorem 1 on every neuron.

    phi is the SNN's output. a is QCFS (SRP eq. 7) with lambda = theta and as many levels as the SNN
    has steps (L := T), at the SNN's own average input for I; for II in the whole ANN, so
    requantised. Both are whole numbers of spikes, and are compared as such.

    `Cases.theorem` counts, for error I, neurons by the sign of the residual potential v(T) and
    their case (`v < 0, case 1`, …, `none`: phi = a). The theorem says: if a = 0, phi > a only where
    v(T) < 0; if a > 0, phi > a exactly where v(T) < 0. `conditions hold` are the neurons of clocked
    soft-reset IF with L = T, v(0) = theta / 2, not silenced by SRP; `counterexamples` those of them
    that contradict (there are none); `exceptions` those that contradict among the others.

    network: that runs. images: as for `eventsnn.simulate`. steps: T. levels: one of
    LEVELS; "own" keeps every activation as it is, and a is compared in spikes with a tolerance of
    1e-9 of one. progress: whether a progress bar is shown. settings: as for `errors.decompose`;
    srp=4 gives SRP. Raises InputError for other levels, and for what `errors.decompose` refuses.
    """
    if levels not in LEVELS:
        raise InputError("levels", f"one of {', '.join(LEVELS)}", repr(levels))
    simulation, pixels, numbers = prepare(network, images, steps, settings)
    found = measure_cases(simulation, Given(pixels, numbers), progress, levels=levels)
    return cases_of(simulation, found, levels=levels)


def measure_cases(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    levels: str,
) -> Arrays:
    """What `cases` counts in each image: the arrays of OF_CASES.

    simulation: that runs. given: the images. progress, workers: change no number. levels: as for
    `cases`. Raises InputError for a simulation that `cases` refuses.
    """
    check_averages(simulation)
    layers = neuron_layers(simulation.network)
    counted = {i: Counted(layer, top_of(simulation, i)) for i, layer in layers.items()}
    theorem_applies = (
        levels == "steps"
        and not simulation.engine.asynchronous
        and is_soft_reset(simulation.neuron)
        and simulation.encoding.divides
    )
    resting, one = simulation.resting, simulation.arithmetic.one.item()
    for part, batch, totals in chunks(simulation, given, progress, workers):
        counts, potentials, masks = neurons_of(batch)
        drive = totals - resting
        ann_spikes = own_spikes(simulation, part, drive, levels)
        for i, its in counted.items():
            here = simulation.network.columns(i)
            charge = drive[:, here] + arrived(simulation, i, counts)
            recomputed = recomputed_spikes(its.layer, charge, one, its.top, levels)
            conditions = masks[:, here] & (2 * resting[here] == one) & theorem_applies
            found = counts[:, here], recomputed, ann_spikes[i], potentials[:, here], conditions
            its.add(*found, masks[:, here])
    parts = [its.arrays() for its in counted.values()]
    return {name: np.stack([each[name] for each in parts], axis=1) for name in parts[0]}


def cases_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
    *,
    levels: str,
) -> Cases:
    """The `Cases` of what was counted in each image.

    simulation: that ran. arrays: of `measure_cases`. labels, numbers: have no effect. levels: as
    for `cases`.
    """
    shares = []
    theorem = []
    silenced = []
    samples: dict[tuple[Any, str], Sample] = {}
    for k, layer in enumerate(neuron_layers(simulation.network).values()):
        its = samples_of(arrays["cases"][:, k], layer)
        row: dict[str, Any] = {"layer": layer.name, "neurons": layer.size}
        shares.append(row | {name: float(each.values.mean()) for name, each in its.items()})
        theorem.append(theorem_of(layer, arrays["residual"][:, k], arrays["theorem"][:, k]))
        if "silenced" in arrays:  # not in stores from before it was counted
            silenced.append(silenced_of(layer, arrays["silenced"][:, k]))
        samples |= {(layer.name, column): each for column, each in its.items()}
    return Cases(simulation, len(arrays["cases"]), levels, shares, theorem, samples, silenced)


OF_CASES = Study(
    cases,
    measure_cases,
    cases_of,
    {
        "cases": Variable(
            (IMAGE, LAYER, "error", "case"), "int64", 0, "neurons", "by unevenness error and case"
        ),
        "residual": Variable(
            (IMAGE, LAYER, "sign", "case"), "int64", 0, "neurons", "by sign of v(T), error I's case"
        ),
        "theorem": Variable(
            (IMAGE, LAYER, "verdict"), "int64", 0, "neurons", "that Theorem 1 of SRP is asked about"
        ),
        "silenced": Variable(
            (IMAGE, LAYER, "activation"), "int64", 0, "neurons", "that SRP silenced, by the ANN's"
        ),
    },
    lambda simulation, **options: AXES,
    ("levels",),
)
