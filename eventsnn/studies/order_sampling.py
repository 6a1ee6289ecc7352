"""A class is a distribution: each image under many random orders of arrival.

    found = order_sampling.measure(snn, images, orders=100, steps=8)
    print(found.table())
    found.components(seed=0)

Order `random` takes any of the deliveries that wait, all equally likely, so the runs of an image
with several seeds are independent draws, and P(class) is estimated by shares (semantics, section
15). With several encoding seeds, or several numbers of fraction bits F, the variance of the margin
is split between images, encoding seeds, F and orders (`components`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.arguments import Count, checked
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Network
from eventsnn.simulation.conditions import draws_order
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.by_image import CLASS, IMAGE, Arrays, Given, Study, Variable
from eventsnn.studies.drawn import BLOCK, Job, Kept, hashes, readouts_of
from eventsnn.studies.sampled_orders import FORMATS as FORMATS
from eventsnn.studies.sampled_orders import OrderSampling as OrderSampling
from eventsnn.studies.setting import changed, simulated
from eventsnn.views.progress import following

FEWEST = 2  # orders of an image


@checked
def measure(
    network: Network,
    images: GivenImages,
    *,
    orders: Count = 100,
    encoding_seeds: Count = 1,
    fractions: Sequence[int] | None = None,
    steps: Count = 8,
    labels: GivenLabels = None,
    kept: str | PathLike[str] | None = None,
    workers: Count | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> OrderSampling:
    """The `OrderSampling` of images under many random orders.

    network: that runs. images, labels: as for `eventsnn.simulate`. orders: of each image, 2 or
    more, with the seeds seed, seed + 1, …; with encoding "constant" a run with such a seed is that
    very run. encoding_seeds: seeds of the input, likewise, for encodings that draw. fractions:
    numbers of fraction bits F; None: the one that a run takes. Every pair of an encoding seed and
    an F has orders of its own, with the seeds that follow. steps: T. kept: a CSV file to which each
    readout is added as it comes; what it has already is not run again, so a study that was stopped
    goes on. workers: threads; None: one for each core; the numbers are the same with any. progress:
    whether a progress bar is shown. settings: of `Simulation` and `Time`; order is "random" unless
    another that draws is given.

    Raises InputError for an order that draws nothing, several encoding seeds where the encoding
    draws nothing, `fractions` in floating point, a model that hears everything before it fires, an
    output that is a map, input events, and a `kept` file of another study; and what a run raises.
    """
    given = accept(network.graph, images, labels)
    bits = _fractions(fractions, settings)
    if orders < FEWEST:
        raise InputError("orders", f"{FEWEST} or more", orders)
    if _encoding_of(settings) == "events":
        do = "choose an encoding of pixels"
        raise InputError("encoding", "images", named("encoding", "events"), do)
    settings = {"engine": "event", "order": "random"} | settings | bits
    simulation, pixels, numbers = simulated(
        network, given.images, "sampled orders", steps=steps, **settings
    )
    of: dict[str, Any] = {"orders": orders, "encoding_seeds": encoding_seeds}
    of["fractions"] = None if fractions is None else list(fractions)
    its = Given(pixels, numbers)
    arrays = _measure_orders(simulation, its, progress, workers, **of, kept=kept)
    return _orders_of(simulation, arrays, given.labels, numbers, **of)


def _measure_orders(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    orders: int,
    encoding_seeds: int,
    fractions: Sequence[int] | None,
    kept: str | PathLike[str] | None = None,
) -> Arrays:
    """The readouts of each image: the array of OF_ORDERS.

    simulation: that runs. given: the images. progress, workers: change no number. orders,
    encoding_seeds, fractions, kept: as for `measure`. Raises InputError for a simulation that
    `measure` refuses.
    """
    _check(simulation, encoding_seeds)
    if orders < FEWEST:
        raise InputError("orders", f"{FEWEST} or more", orders)
    simulations = _of_fractions(simulation, fractions)
    inputs, order_seeds = _seeds(simulation, orders, encoding_seeds, len(simulations))
    path = None if kept is None else Path(kept)
    readouts = []
    pixels = given.pixels
    jobs = _jobs(simulations, pixels, given.numbers, inputs, order_seeds)
    size = simulation.network.readout.size
    with following(len(pixels) * order_seeds.size, "order", progress) as bar:
        for part in readouts_of(jobs, pixels, Kept(path, size), workers):
            readouts.append(part)
            bar.update(len(part))
    whole = np.concatenate(readouts).reshape(len(pixels), *order_seeds.shape, size)
    return {"readouts": whole}


def _orders_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None,
    numbers: NDArray[np.int64],
    *,
    orders: int,
    encoding_seeds: int,
    fractions: Sequence[int] | None,
) -> OrderSampling:
    """The `OrderSampling` of the readouts of each image.

    simulation: that ran. arrays: of `_measure_orders`. labels: int64 [N], or None. numbers: int64
    [N], the images'. orders, encoding_seeds, fractions: as for `measure`.
    """
    count = 1 if fractions is None else len(fractions)
    inputs, order_seeds = _seeds(simulation, orders, encoding_seeds, count)
    exact = [int(simulation.arithmetic.fraction_bits)] if fractions is None else list(fractions)
    first = _of_fractions(simulation, fractions and fractions[:1])[0]
    return OrderSampling(first, arrays["readouts"], numbers, labels, inputs, exact, order_seeds)


def _of_fractions(simulation: Simulation, fractions: Sequence[int] | None) -> list[Simulation]:
    """The simulation with each number of fraction bits. fractions: None: its own."""
    if fractions is None:
        return [simulation]
    given = simulation.specification.fraction_bits
    return [
        simulation if bits == given else changed(simulation, fraction_bits=bits)
        for bits in fractions
    ]


def _seeds(
    simulation: Simulation, orders: int, encoding_seeds: int, fractions: int
) -> tuple[list[int], NDArray[np.int64]]:
    """(seeds of the input, seeds of the orders int64 [E, F, O]). fractions: how many F."""
    first = simulation.seed
    seeds = np.arange(first, first + encoding_seeds * fractions * orders)
    inputs = list(range(first, first + encoding_seeds))
    return inputs, seeds.reshape(encoding_seeds, fractions, orders)


def _encoding_of(settings: dict[str, Any]) -> Any:
    """The name of the encoding that settings give, or None."""
    given = settings.get("encoding")
    return getattr(given, "kind", given)


def _fractions(given: Sequence[int] | None, settings: dict[str, Any]) -> dict[str, int]:
    """The setting of the first F, if `fractions` gives it. Raises InputError for others."""
    if given is None:
        return {}
    if settings.get("fraction_bits") is not None:
        do = "leave one of them out"
        raise InputError("fractions", "no fraction_bits beside it", "both", do)
    if settings.get("arithmetic", "fixed") != "fixed":
        do = "leave it out"
        raise InputError("fractions", named("arithmetic", "fixed"), settings["arithmetic"], do)
    if not len(given) or len(set(given)) < len(given):
        raise InputError("fractions", "numbers of fraction bits, each once", list(given))
    return {"fraction_bits": int(given[0])}


def _check(simulation: Simulation, encoding_seeds: int) -> None:
    """Raises InputError for what cannot be sampled."""
    where = "sampled orders"
    if is_map(simulation.network.graph):
        grid = "x".join(map(str, simulation.network.readout.grid))
        raise InputError(where, "an output of classes", f"a map of {grid}")
    if not draws_order(simulation):
        expected = "an order that draws (random, priority, jitter), in asynchronous time"
        found = named("order", simulation.time.order)
        raise InputError(where, expected, found, "leave ⟦order⟧ and ⟦engine⟧ out")
    if simulation.stages > 1:
        expected = "neurons whose spikes depend on the order"
        found = f"{type(simulation.neuron).__name__}, which hears everything before it fires"
        raise InputError(where, expected, found)
    if encoding_seeds > 1 and not simulation.encoding.code.spiking:
        found = named("encoding", simulation.encoding.name)
        do = "leave it out: the input draws nothing"
        raise InputError("encoding_seeds", "an encoding that draws, such as rate", found, do)


def _jobs(
    simulations: Sequence[Simulation],
    pixels: NDArray[Any],
    numbers: NDArray[np.int64],
    inputs: Sequence[int],
    order_seeds: NDArray[np.int64],
) -> Iterator[Job]:
    """All orders, image by image, in blocks."""
    runs = [hashes(simulation, pixels) for simulation in simulations]
    for i, number in enumerate(numbers.tolist()):
        for e, seed in enumerate(inputs):
            for f, simulation in enumerate(simulations):
                its = order_seeds[e, f].tolist()
                for start in range(0, len(its), BLOCK):
                    some = its[start : start + BLOCK]
                    yield Job(simulation, i, number, seed, some, runs[f][i])


OF_ORDERS = Study(
    measure,
    _measure_orders,
    _orders_of,
    {
        "readouts": Variable(
            (IMAGE, "encoding_seed", "fraction", "order_number", CLASS),
            "float64",
            np.nan,
            "ANN output",
            "after the last step, of each order drawn",
        )
    },
    lambda simulation, orders, encoding_seeds, fractions: {
        "encoding_seed": encoding_seeds,
        "fraction": 1 if fractions is None else [*fractions],
        "order_number": orders,
    },
    ("orders", "encoding_seeds", "fractions"),
    ("orders", "encoding_seeds", "fractions"),
)
