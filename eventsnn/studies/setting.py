"""What every study begins with: a simulation in whole numbers, its layers and its drive."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import fields
from inspect import signature
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Node
from eventsnn.data.accepting import GivenImages, accept
from eventsnn.data.ranges import range_of
from eventsnn.exceptions import InputError, check_options, in_python, named
from eventsnn.network.network import Layer, Network
from eventsnn.neurons.contract import check_declared, most
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.clocked import Clocked
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.prepared import Prepared
from eventsnn.simulation.rounding import RoundedWeights, rounding_doubt
from eventsnn.simulation.simulation import ENGINES, Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies.by_image import Given
from eventsnn.views.progress import following

OPTIONS = {*signature(Simulation).parameters, *(f.name for f in fields(Time))} - {"time"}
CHUNK = 2**22  # neurons, times images, that are held at a time


def exact(
    network: Network,
    images: GivenImages,
    where: str,
    *,
    steps: int,
    reads: bool = False,
    **settings: Any,
) -> tuple[Simulation, NDArray[Any], NDArray[np.int64]]:
    """(Simulation, raw pixels, their numbers) for a study in whole numbers.

    network: what is studied. images: in any form that `data.accept` takes. where: the study's name,
    for messages. steps: T. reads: whether the study reads the readout as a run does, so that it may
    begin later (`readout_from`). settings: of `Simulation` and `Time`. The numbers, int64 [N], are
    the images' positions in their data set. Warns of weights that rounding changes
    (`RoundedWeights`). Raises InputError, naming `where`, for floating point, encoding "events" and
    free running: every spike has to arrive in its step; for a model that changes between arrivals;
    for a network without neurons; and for a readout that begins later, where it is not read.
    """
    simulation, pixels, numbers = simulated(network, images, where, steps=steps, **settings)
    check_exact(simulation, where, reads)
    if rounded := rounding_doubt(simulation):
        warnings.warn(f"{where}: {in_python(rounded)}", RoundedWeights, stacklevel=3)
    return simulation, pixels, numbers


def simulated(
    network: Network, images: GivenImages, where: str, *, steps: int, **settings: Any
) -> tuple[Simulation, NDArray[Any], NDArray[np.int64]]:
    """(Simulation, raw pixels, their numbers) for a study of any arithmetic.

    network, images, where, steps, settings: as for `exact`. Raises InputError for options that
    there are not, for images that do not fit, and for a network without neurons.
    """
    check_options(f"a study of {where}", settings, OPTIONS)
    if not network.spiking:
        do = "choose ⟦readout=fires⟧ in the conversion, which puts neurons at the output"
        raise InputError(where, "a network with neurons", "a readout that hears drive alone", do)
    given = accept(network.graph, images, labelled=False)
    of_time = {f.name: settings.pop(f.name) for f in fields(Time) if f.name in settings}
    declared = settings.pop("pixel_range", None) or getattr(images, "pixel_range", None)
    ends = range_of(network.graph, given.pixels, declared).ends
    time = Time(**of_time)
    simulation = Simulation(network, steps=steps, pixel_range=ends, time=time, **settings)
    check_one_start(simulation, where)
    return simulation, given.pixels, given.numbers


def changed(
    simulation: Simulation,
    encoding: str | Encoding | None = None,
    engine: str | None = None,
    time: Time | None = None,
    **changes: Any,
) -> Simulation:
    """A simulation of the same network and pixels with other options.

    simulation: that is changed. encoding, engine, time: others (None: its own). changes: to its
    specification.
    """
    engine = engine or simulation.engine.name
    if ENGINES.find(engine, "engine").asynchronous:
        time = time or simulation.time
    return Simulation(
        simulation.network,
        engine=engine,
        time=time,
        encoding=simulation.encoding if encoding is None else encoding,
        pixel_range=simulation.pixel_range,
        **{**vars(simulation.specification), **changes},
    )


def check_exact(simulation: Simulation, where: str, reads: bool = False) -> None:
    """Raises InputError, naming `where`, for a simulation that no study in whole numbers takes.

    It is one in floating point, with encoding "events", or free running; or its model changes
    between arrivals; or, unless the study `reads` the readout as a run does, that begins later.
    """
    check_declared(simulation.neuron, where, "holds")
    check_one_start(simulation, where)
    check_no_shift(simulation, where)
    if simulation.readout_from and not reads:
        expected = f"{named('readout_from', 0)}, as all steps count here"
        raise InputError(where, expected, simulation.readout_from, "leave it out")
    arithmetic, encoding = simulation.arithmetic.kind, simulation.encoding.kind
    barrier = simulation.time.barrier
    if arithmetic != "fixed" or encoding == "events" or not barrier:
        raise InputError(
            where,
            "fixed point, images, and spikes that all arrive (a barrier)",
            f"arithmetic {arithmetic}, encoding {encoding}, barrier {barrier}",
        )


def check_one_start(simulation: Prepared, where: str) -> None:
    """Raises InputError, naming `where`, for a simulation whose images have each their own v(0)."""
    if simulation.offset:
        found = named("offset", simulation.offset)
        raise InputError(where, "one v(0) for all images", found, "leave it out")
    if simulation.starts is not None:
        found = f"{named('initial')} with {len(simulation.starts):,} rows, one for each"
        do = "give one array [neurons] for each spiking layer"
        raise InputError(where, "one v(0) for all images", found, do)


def check_no_shift(simulation: Prepared, where: str) -> None:
    """Raises InputError, naming `where`, where biases stand for a part of v(0)."""
    if simulation.specification.shift:
        do = f"leave it out, or begin at half a threshold: {named('initial', 0.5)}"
        raise InputError(where, "biases as they are", named("shift", True), do)


def prepare(
    network: Network,
    images: GivenImages,
    steps: int,
    settings: dict[str, Any],
    where: str = "errors",
    reads: bool = False,
) -> tuple[Simulation, NDArray[Any], NDArray[np.int64]]:
    """(Simulation, raw pixels, their numbers) for a study that needs average inputs, too.

    network, images, steps, where, reads: as for `exact`; settings: those of `exact`, as a dict.
    Raises InputError for what `exact` refuses, and for ST-BIF neurons without encoding "even".
    """
    simulation, pixels, numbers = exact(
        network, images, where, steps=steps, reads=reads, **settings
    )
    simulation.encoding.check_model(simulation.neuron)
    return simulation, pixels, numbers


def check_averages(simulation: Simulation, where: str = "errors", reads: bool = False) -> None:
    """Raises InputError, naming `where`, for a simulation that `prepare` would not make.

    reads: as for `exact`.
    """
    check_exact(simulation, where, reads)
    simulation.encoding.check_model(simulation.neuron)


def check_clocked(engine: str) -> None:
    """Raises InputError unless surgery can be done in this engine. engine: its name."""
    if not ENGINES.find(engine, "engine").layerwise:
        raise _not_clocked(engine)


def engine_of(simulation: Prepared) -> Clocked:
    """The clocked engine of a simulation, which alone goes layer by layer.

    simulation: the one whose engine is asked for. Raises InputError for asynchronous time.
    """
    engine = simulation.engine
    if not engine.layerwise:
        raise _not_clocked(engine.name)
    return cast(Clocked, engine)


def _not_clocked(engine: str) -> InputError:
    return InputError(
        "surgery",
        "engine 'clocked'",
        f"engine {engine!r}",
        "in asynchronous time layers answer each other spike by spike, and a count says nothing "
        "about the order of arrival; see result.replay for edited orders",
    )


def neuron_layers(network: Network) -> dict[int, Layer]:
    """The spiking layers of a network that have neurons, all but pools: layer number -> `Layer`."""
    return {i: layer for i, layer in enumerate(network.spiking) if not layer.pools}


def numbers_of(network: Network) -> dict[str, int]:
    """The layers of a network that have neurons: name -> layer number, from input to output."""
    return {layer.name: i for i, layer in neuron_layers(network).items()}


def check_names(where: str, names: set[str], network: Network, expected: str) -> None:
    """Raises InputError, naming `where`, unless all `names` are of layers that have neurons.

    network: whose layers. expected: what the message says was expected.
    """
    if unknown := names - numbers_of(network).keys():
        raise InputError(where, expected, ", ".join(map(repr, sorted(unknown))))


def activation_of(layer: Layer) -> Node:
    """The node of the ANN that a spiking layer replaces."""
    assert layer.node is not None  # only the readout has none
    return layer.node


def all_drive(simulation: Prepared, image: NDArray[Any], number: int) -> NDArray[np.int64]:
    """All that arrives at each neuron without a spike in T steps, int64 [neurons].

    simulation: whose numbers it is in. image: raw pixels [C, H, W]. number: the image's, for random
    drive.
    """
    rows = simulation.drive(image, int(number)).astype(np.int64)
    return rows[: simulation.steps].sum(axis=0) + max(0, simulation.steps - len(rows)) * rows[-1]


def all_drives(
    simulation: Prepared, pixels: NDArray[Any], numbers: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`all_drive` of several images: int64 [N, neurons].

    simulation: whose numbers it is in. pixels: raw, [N, C, H, W]. numbers: the images', [N].
    """
    return np.stack([all_drive(simulation, *each) for each in zip(pixels, numbers)])


def top_of(simulation: Prepared, i: int) -> int:
    """The spikes that stand for the threshold of layer number i in all steps of a simulation."""
    return int(simulation.quanta[i]) * (simulation.steps if simulation.encoding.divides else 1)


def tops_of(simulation: Prepared) -> list[int]:
    """`top_of` every layer of a simulation, readout included."""
    return [top_of(simulation, i) for i in range(len(simulation.network.layers))]


def chunks(
    simulation: Simulation, given: Given, progress: bool | None, workers: int | None
) -> Iterator[tuple[NDArray[Any], Batch, NDArray[np.int64]]]:
    """Yield (pixels, their `Batch`, v(0) and all drive, int64 [n, neurons]) of some images each.

    simulation: that runs. given: the images. progress: whether a bar is shown. workers: threads.
    """
    size = max(1, min(16, CHUNK // len(simulation.resting)))
    pixels, numbers = given.pixels, given.numbers
    how: dict[str, Any] = {"numbers": numbers, "batch": size, "neurons": True, "workers": workers}
    with following(len(pixels), "image", progress) as bar:
        for start, batch in simulation.stream(pixels, **how):
            some = slice(start, start + size)
            part = pixels[some]
            yield part, batch, simulation.resting + all_drives(simulation, part, numbers[some])
            bar.update(len(part))


def neurons_of(batch: Batch) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.bool_]]:
    """(net spikes, v(T), which may send) of a batch that was run with its neurons.

    batch: of `chunks`.
    """
    counts = batch.counts
    potentials = batch.potentials
    masks = batch.masks
    assert counts is not None and potentials is not None and masks is not None
    return counts, potentials, masks


def check_levels(simulation: Simulation) -> None:
    """Raises InputError where a threshold's worth of spikes takes more steps than there are.

    simulation: in clocked time.
    """
    steps = simulation.steps
    most_spikes = steps * int(most(simulation.neuron))
    for name, i in numbers_of(simulation.network).items():
        top = top_of(simulation, i)
        if top > most_spikes:
            raise InputError(
                "steps",
                f"enough for the {top} spikes that stand for the threshold of {name!r}",
                f"{steps}, with at most {most_spikes} spikes",
                "choose more steps",
            )


def theta_of(layer: Layer) -> float | NDArray[np.float64]:
    """A layer's threshold in units of the ANN's activation: a number, or float64 [neurons]."""
    theta = layer.theta
    return theta if np.ndim(theta) == 0 else np.reshape(theta, -1)


def by_neuron(values: NDArray[Any], layer: Layer) -> NDArray[Any]:
    """A layer's values by neuron, channels last.

    values: [N, C, H, W] or [N, features]. Returns [N, neurons].
    """
    by_channel = values.reshape(len(values), layer.grid[0], -1)
    return by_channel.transpose(0, 2, 1).reshape(len(values), -1)


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    """The row of a table with numpy's numbers as floats; texts and Python's whole numbers stay."""
    return {
        key: value if isinstance(value, (str, int)) else float(value) for key, value in row.items()
    }


def pick(row: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The columns `keys` of a table's row, in this order."""
    return {key: row[key] for key in keys}
