"""A network of integrate-and-fire neurons as a NIR graph, which other simulators read.

NIR is the Neuromorphic Intermediate Representation. The file is HDF5, as the package `nir` 1.0
writes it: /version, and /node with the nodes and edges of a graph. Weights are normalised: all
thresholds are 1. Each projection becomes one node, a Conv2d or an Affine, and what arrives at an IF
over several edges is added up. The Output has the charge that arrives at the readout in a step: its
sum over steps, divided by their number, is the ANN's output.

NIR's IF has neither v(0) nor a reset by subtraction nor a comparator, and readers differ. The
file's metadata say what our neurons do, and `notes` says what the reader makes of them.
`eventsnn.load` takes them from there, so that a network comes back equal.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn import version
from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.export.kernels import Kernel, convolution, matrix
from eventsnn.files.writing import new_hdf5
from eventsnn.network.linear import Grid
from eventsnn.network.network import INPUT, Layer, Network
from eventsnn.neurons.integrate_and_fire import IF, HardIF
from eventsnn.simulation.simulation import Simulation

VERSION = "1.0.8"  # of the package whose layout this is
RESETS: dict[type, str] = {IF: "subtract", HardIF: "zero"}


class Reader(NamedTuple):
    """What a simulator makes of a NIR IF.

    resets: its reset, "subtract" or "zero". comparator: of potential and threshold, ">" or ">=".
    words: what else differs, and what to do. r: the resistance it asks for. v_reset: whether every
    release of `nir` that it works with knows this field. sums: whether it adds up several edges
    rightly.
    """

    resets: str
    comparator: str
    words: str
    r: float = 1.0
    v_reset: bool = True
    sums: bool = True


READERS = {
    "generic": Reader(
        "zero",
        ">",
        "so say NIR's equations, which simulators take more or less literally: write for one of "
        "them",
    ),
    "sinabs": Reader(
        "subtract",
        ">=",
        "it fires floor(v / threshold) spikes in a step and raises potentials below -threshold "
        "to it: set spike_fn = SingleSpike and min_v_mem = None of each layer",
        v_reset=False,
        sums=False,
    ),
    "spikingjelly": Reader(
        "zero",
        ">=",
        "set v_reset = None of each IFNode for a reset by subtraction; r is 1 / dt for its dt = "
        "1e-4",
        r=1e4,
    ),
    "snntorch": Reader(
        "subtract",
        ">",
        "its importer makes the IF leaky: set beta = 1 and init_hidden = True of each Leaky; "
        "where a reset leaves a potential above the threshold, the next step loses a spike; give "
        "one image at a time, without batch axis",
    ),
    "norse": Reader(
        "zero",
        ">",
        "its IF knows no other reset; give one image at a time, without batch axis",
        v_reset=False,
        sums=False,
    ),
}


def notes(simulation: Simulation, target: str) -> tuple[str, ...]:
    """What a reader does otherwise than the simulation, one line each.

    simulation: one that `check` lets pass. target: a key of READERS.
    """
    reader = READERS[target]
    ours = RESETS[type(simulation.neuron)]
    network = simulation.network
    name = "NIR" if target == "generic" else target
    resets = {"subtract": "by subtraction", "zero": "to 0"}
    resetting = f"{name} resets {resets[reader.resets]}"
    if reader.resets != ours:
        resetting += f", this run {resets[ours]}"
    firing = f"fires at v {reader.comparator} threshold"
    if reader.comparator != ">=":
        firing += ", this run at v >= threshold"
    lines = [f"{resetting}, and {firing}; {reader.words}"]
    if any(v.any() for v in simulation.initial):
        lines.append(
            "v(0) is not in a NIR graph: set each layer's potentials to the metadata's "
            "initial_potential before the first step, or export a run whose v(0) is 0"
        )
    several = [layer.name for i, layer in enumerate(network.layers) if len(network.into(i)) > 1]
    if several and not reader.sums:
        lines.append(
            f"{name} computes another network: {len(several)} layers, such as {several[0]}, have "
            "several sources, and its loader (nirtorch.load) adds some of them up a step late"
        )
    if simulation.readout_from:
        lines.append(
            f"the Output gives every step's charge: leave out the first {simulation.readout_from}"
        )
    if simulation.engine.asynchronous:
        lines.append(f"{name} knows clocked time only: the order of arrival is in the metadata")
    return tuple(lines)


def check(simulation: Simulation, target: str = "generic") -> None:
    """Raises InputError where NIR cannot say what a simulation is.

    simulation: of the network. target: the reader, a key of READERS.
    """
    if target not in READERS:
        expected = f"a reader among {', '.join(READERS)}"
        raise InputError("NIR", expected, repr(target), "choose ⟦nir_for=generic⟧")
    if type(simulation.neuron) not in RESETS:
        raise InputError(
            "NIR",
            "integrate-and-fire neurons, the only ones it has without a leak",
            type(simulation.neuron).words,
            "choose ⟦neuron=if⟧ or if-hard: it has neither negative spikes nor several members "
            "on one potential",
        )
    pools = [layer.name for layer in simulation.network.spiking if layer.pools]
    if pools:
        raise InputError(
            f"NIR: layer {pools[0]!r}",
            "no max pooling, which it does not have",
            "a MaxPool",
            "choose ⟦max_pooling=average⟧, which changes the function",
        )
    if simulation.encoding.kind == "even" or simulation.encoding.bias_once:
        raise InputError(
            "NIR",
            "biases that arrive in every step",
            simulation.encoding.describe(simulation.network),
            "choose ⟦encoding=constant⟧",
        )
    if simulation.offset:
        found = f"offset {simulation.offset}, of which each image has its own v(0)"
        raise InputError("NIR", "one v(0) for all images", found, "leave ⟦offset⟧ out")
    if simulation.starts is not None:
        found = f"{len(simulation.starts):,}, one for each"
        do = "give ⟦initial⟧ as one array [neurons] for each spiking layer"
        raise InputError("NIR", "one v(0) for all images", found, do)
    if simulation.srp:
        found = f"SRP's first stage of {simulation.srp} steps"
        raise InputError("NIR", "one stage", found, "leave ⟦srp⟧ out")
    time = simulation.time
    if simulation.engine.asynchronous and (time.refractory or time.window or time.group > 1):
        expected = "neurons without refractory periods, windows and groups, which it does not have"
        found = f"refractory {time.refractory:g}, window {time.window:g}, group {time.group}"
        raise InputError("NIR", expected, found, "leave them out")


@checked
def write(simulation: Simulation, path: str | Path, target: str = "generic") -> tuple[str, ...]:
    """Writes the network of a simulation as a NIR graph.

    simulation: of the network. path: of the file; an older one is replaced at once or not at all.
    target: the reader, a key of READERS. Weights and biases are float64, in thresholds per spike.
    Returns the notes that the user should see. Raises InputError for what NIR cannot say.
    """
    check(simulation, target)
    nodes, edges = graph_of(simulation, READERS[target])
    said = notes(simulation, target)
    with new_hdf5(path) as file:
        file["version"] = VERSION
        top = file.create_group("node")
        top["type"] = "NIRGraph"
        top.create_dataset("edges", data=np.array(edges, object), dtype=h5py.string_dtype())
        _put(top.create_group("metadata"), _metadata(simulation, target, said))
        # with track_order readers meet the nodes in the order of the network
        group = top.create_group("nodes", track_order=True)
        for name, fields in nodes.items():
            _put(group.create_group(name), fields)
    return said


def _put(group: h5py.Group, fields: dict[str, Any]) -> None:
    """Writes a dict: dicts as groups, large arrays compressed."""
    for key, value in fields.items():
        if isinstance(value, dict):
            _put(group.create_group(key), value)
        elif np.size(value) > 1000:
            group.create_dataset(key, data=value, compression="gzip", shuffle=True)
        else:
            group[key] = value


def graph_of(
    simulation: Simulation, reader: Reader
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """(name -> fields of a node, edges) of the network of a simulation.

    simulation: of the network. reader: for which it is written. Nodes stand in topological order;
    an edge is (source's name, target's name). Raises InputError for a matrix that is too large.
    """
    network = simulation.network
    shape: tuple[int, ...] = network.graph.input_shape
    nodes: dict[str, dict[str, Any]] = {"input": {"type": "Input", "shape": np.array(shape)}}
    edges: list[tuple[str, str]] = []
    # of layers that are maps; flat ones have none
    grids = {INPUT: network.graph.input_shape}
    ends = {INPUT: "input"}
    taken = {"input", "output", *keyword.kwlist}
    for i, layer in enumerate(network.layers):
        kernels = _kernels(network, i, grids)
        if kernels is not None:
            grids[i] = layer.grid
        shape = (layer.size,) if kernels is None else layer.grid
        bias = layer.bias.T.reshape(-1) if kernels is None else layer.bias[0]
        name = "output" if layer is network.readout else _fresh(layer.name, taken)
        ends[i] = name
        for number, p in enumerate(network.into(i)):
            source = ends[p.source]
            synapses = _fresh(f"{source}_to_{name}", taken)
            if kernels is not None:
                nodes[synapses] = _conv2d(kernels[number], grids[p.source], bias)
            else:
                if p.source in grids:
                    flat = _fresh(f"{source}_flat_to_{name}", taken)
                    nodes[flat] = _flatten(grids[p.source])
                    edges.append((source, flat))
                    source = flat
                weight = matrix(p.map, f"NIR: layer {layer.name!r}")
                nodes[synapses] = {"type": "Affine", "weight": weight, "bias": bias}
            edges += [(source, synapses), (synapses, name)]
            bias = np.zeros_like(bias)  # it comes once
        if name == "output":
            nodes[name] = {"type": "Output", "shape": np.array(shape)}
        else:
            nodes[name] = _neurons(layer, shape, simulation.initial[i], reader)
    return nodes, edges


def _fresh(name: str, taken: set[str]) -> str:
    """A name as HDF5 and Python take it, which is none of those `taken` and is added to them."""
    name = re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _kernels(network: Network, i: int, grids: Mapping[int, Grid]) -> list[Kernel] | None:
    """The projections into layer i as Kernels, or None where the layer has to be flat.

    It has to be flat unless all projections are convolutions of maps and each channel has one bias.
    grids: layer's number -> its grid, of the layers before that are maps.
    """
    layer = network.layers[i]
    if len(layer.bias) == 1 or (layer.bias != layer.bias[0]).any():
        return None
    kernels = []
    for p in network.into(i):
        if p.source not in grids:
            return None
        kernel = convolution(p.map, grids[p.source], layer.grid)
        if kernel is None:
            return None
        kernels.append(kernel)
    return kernels


def _conv2d(kernel: Kernel, grid: Grid, bias: NDArray[Any]) -> dict[str, Any]:
    return {
        "type": "Conv2d",
        "input_shape": np.array(grid[1:]),
        "weight": kernel.weight,
        "stride": np.array(kernel.strides),
        "padding": np.array(kernel.padding),
        "dilation": np.array([1, 1]),
        "groups": 1,
        "bias": bias,
    }


def _flatten(grid: Grid) -> dict[str, Any]:
    shape = np.array(grid)
    return {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": shape}


def _neurons(
    layer: Layer, shape: tuple[int, ...], initial: NDArray[Any], reader: Reader
) -> dict[str, Any]:
    """The fields of an IF. initial: v(0) in thresholds, [neurons]."""
    fields: dict[str, Any] = {"type": "IF"}
    fields["r"] = np.full(shape, reader.r)
    fields["v_threshold"] = np.ones(shape)
    if reader.v_reset:
        fields["v_reset"] = np.zeros(shape)
    fields["metadata"] = {
        "layer": layer.name,
        "theta": _in_nir(layer.theta, shape),
        "initial_potential": _in_nir(initial.reshape(-1, layer.grid[0]), shape),
    }
    return fields


def _in_nir(values: float | NDArray[Any], shape: tuple[int, ...]) -> float | NDArray[Any]:
    """One value for all neurons as a float; [sites, C] in NIR's order and shape."""
    if np.unique(values).size == 1:
        return float(np.ravel(values)[0])
    return np.asarray(values).T.reshape(shape)


def _metadata(simulation: Simulation, target: str, said: tuple[str, ...]) -> dict[str, Any]:
    """What NIR's nodes do not say. said: the notes for the user."""
    p = simulation.network.graph.preprocessing
    words = simulation.describe()
    if simulation.encoding.kind == "constant":
        given = "(pixel * pixel_scale - pixel_mean) / pixel_std by channel, the same in every step"
        given += ", the channels of an image reversed" if p.reverse else ""
    else:
        given = f"spikes, each worth {simulation.input_unit:g}"
    return {
        "writer": f"eventsnn {version.VERSION}",
        "network_sha256": simulation.network.graph.hash,
        "written_for": target,
        "notes": "\n".join(said),
        "reset": RESETS[type(simulation.neuron)],
        "comparator": ">=",
        "steps": simulation.steps,
        "encoding": simulation.encoding.kind,
        "order": words.get("order", "clocked"),
        "pixel_scale": p.scale,
        "pixel_mean": np.ravel(p.mean),
        "pixel_std": np.ravel(p.std),
        "pixel_reverse": int(p.reverse),
        "resistance": READERS[target].r,
        "input": given,
        "semantics": json.dumps(words),
    }
