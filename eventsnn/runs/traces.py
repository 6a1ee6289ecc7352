"""The traces that a run is to keep: of which images, layers, neurons and steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eventsnn.data.images import Images
from eventsnn.exceptions import InputError
from eventsnn.network.network import Network, neuron_number
from eventsnn.runs.folder import Folder
from eventsnn.settings import Settings
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.files import TraceFile
from eventsnn.version import VERSION


def trace_filters(network: Network, settings: Settings) -> dict[str, Any]:
    """What `TraceFile` is to keep: a dict of its layers, neurons and steps.

    network: whose layers. settings: which of them are traced. Raises InputError for what is not in
    the network.
    """
    given = settings.trace_layers
    places = settings.trace_neuron_places or []
    layers = given.split(",") if given else []
    spiking = {layer.name: layer for layer in network.spiking}
    named = [name for name, _ in places]
    for where, names in (("--trace-layers", layers), ("--trace-neurons", named)):
        unknown = [name for name in names if name not in spiking]
        if unknown:
            expected = f"names among {', '.join(spiking)}"
            raise InputError(where, expected, unknown[0], "name layers as the table does")
    outside = [name for name in named if layers and name not in layers]
    if outside:
        expected = f"neurons of --trace-layers {given}"
        do = "add the layer there, or leave --trace-layers out"
        raise InputError("--trace-neurons", expected, f"one of {outside[0]}", do)
    try:
        neurons = [(name, neuron_number(spiking[name], place)) for name, place in places]
    except InputError as error:
        raise InputError("--trace-neurons", error.expected, error.found, "count from 0") from None
    return {
        "layers": None if given is None else layers,
        "neurons": neurons or None,
        "steps": settings.trace_step_range,
    }


def trace_files(
    simulation: Simulation,
    images: Images,
    folder: Folder,
    settings: Settings,
    positions: Iterable[int],
) -> list[TraceFile | None]:
    """A sink for each of the images at `positions`: a file, or None where spikes are not kept.

    simulation: runs them. images: all of the run. folder: where the files go. settings: what is
    traced. positions: among the images. Raises what `trace_filters` raises.
    """
    filters = trace_filters(simulation.network, settings)
    provenance = {
        "semantics": simulation.describe(),
        "settings": settings.outcome(),
        "data": images.name,
        "split": images.split,
        "eventsnn": VERSION,
    }
    sinks: list[TraceFile | None] = []
    for position in positions:
        sink = None
        if position < settings.trace_images:
            number = int(images.indices[position])
            path = folder.partial / f"trace-{number}.h5"
            sink = TraceFile(path, simulation, number, **filters, provenance=provenance)
        sinks.append(sink)
    return sinks
