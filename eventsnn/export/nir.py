"""A network of integrate-and-fire neurons as a NIR graph (Neuromorphic Intermediate
Representation), which other simulators read.

An HDF5 file as the package `nir` 1.0 writes it: /version, and /node with the nodes and edges of a
graph. Weights are normalised: all thresholds are 1. Each projection becomes one node, a Conv2d or
an Affine, and what arrives at an IF over several edges is added up. The Output has the charge that
arrives at the readout in a step: its sum over steps, divided by their number, is the ANN's output.

NIR's IF has neither v(0) nor a reset by subtraction nor a comparator, and readers differ. The
file's metadata say what our neurons do; `notes` what the reader makes of them.
"""

from __future__ import annotations

import json
import keyword
import re
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn import version
from eventsnn.exceptions import InputError
from eventsnn.export.kernels import Kernel, convolution, matrix
from eventsnn.files.writing import new_hdf5
from eventsnn.network.network import INPUT, Layer, Network
from eventsnn.neurons.integrate_and_fire import IF, HardIF
from eventsnn.simulation.simulation import Simulation

VERSION = "1.0.8"  # of the package whose layout this is
RESETS = {IF: "subtract", HardIF: "zero"}


class Reader(NamedTuple):
    """What a simulator makes of a NIR IF. resets, comparator: its own. words: what else differs,
    and what to do. r: the resistance it asks for. v_reset: whether every release of `nir` that it
    works with knows this field. sums: whether it adds up several edges rightly.
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
    """What the reader `target` does otherwise than the simulation, in words, one line each."""
    reader = READERS[target]
    ours = RESETS[type(simulation.neuron)]
    network = simulation.network
    name = "NIR" if target == "generic" else target
    resets = {"subtract": "by subtraction", "zero": "to 0"}
    lines = [
        f"{name} resets {resets[reader.resets]}"
        + f", this run {resets[ours]}" * (reader.resets != ours)
        + f", and fires at v {reader.comparator} threshold"
        + ", this run at v >= threshold" * (reader.comparator != ">=")
        + f"; {reader.words}"
    ]
    if any(v.any() for v in simulation.initial):
        lines.append(
            "v(0) is not in a NIR graph: set each layer's potentials to the metadata's "
            "initial_potential before the first step, or export with --initial 0"
        )
    several = [layer.name for i, layer in enumerate(network.layers) if len(network.into(i)) > 1]
    if several and not reader.sums:
        lines.append(
            f"{name} computes another network: {len(several)} layers, such as {several[0]}, have "
            "several sources, and its loader (nirtorch.load) adds some of them up a step late"
        )
    if simulation.engine.asynchronous:
        lines.append(f"{name} knows clocked time only: the order of arrival is in the metadata")
    return tuple(lines)


def check(simulation: Simulation, target: str = "generic") -> None:
    """Raise InputError unless the simulation can be said in NIR."""
    if target not in READERS:
        raise InputError(
            "NIR", f"a reader among {', '.join(READERS)}", repr(target), "choose --nir-for generic"
        )
    if type(simulation.neuron) not in RESETS:
        raise InputError(
            "NIR",
            "integrate-and-fire neurons, the only ones it has without a leak",
            type(simulation.neuron).words,
            "choose --neuron if or if-hard: it has neither negative spikes nor several members "
            "on one potential",
        )
    pools = [layer.name for layer in simulation.network.spiking if layer.pools]
    if pools:
        raise InputError(
            f"NIR: layer {pools[0]!r}",
            "no max pooling, which it does not have",
            "a MaxPool",
            "choose --max-pooling average, which changes the function",
        )
    if simulation.encoding.kind == "even" or simulation.encoding.bias_once:
        raise InputError(
            "NIR",
            "biases that arrive in every step",
            simulation.encoding.describe(simulation.network),
            "choose --encoding constant",
        )
    if simulation.srp:
        raise InputError(
            "NIR", "one stage", f"SRP's first stage of {simulation.srp} steps", "leave --srp out"
        )
    if simulation.engine.asynchronous and (simulation.time.refractory or simulation.time.window):
        raise InputError(
            "NIR",
            "neurons without refractory periods and windows, which it does not have",
            f"refractory {simulation.time.refractory:g}, window {simulation.time.window:g}",
            "leave them out",
        )


def write(simulation: Simulation, path: str | Path, target: str = "generic") -> tuple[str, ...]:
    """Write a Simulation's network as a NIR graph for a reader of READERS; returns the notes that
    its user should see.

    Weights and biases are float64, in thresholds per spike. An older file is replaced at once or
    not at all. Raises InputError for what NIR cannot say.
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
        group = top.create_group(
            "nodes", track_order=True
        )  # readers then meet them in the order of the network
        for name, fields in nodes.items():
            _put(group.create_group(name), fields)
    return said


def _put(group: h5py.Group, fields: dict[str, Any]) -> None:
    """Write a dict: dicts as groups, arrays compressed."""
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
    """(name -> fields of a node, edges) of a Simulation; nodes in topological order."""
    network = simulation.network
    shape: tuple[int, ...] = network.graph.input_shape
    nodes: dict[str, dict[str, Any]] = {"input": {"type": "Input", "shape": np.array(shape)}}
    edges: list[tuple[str, str]] = []
    grids, ends = (
        {INPUT: network.graph.input_shape},
        {INPUT: "input"},
    )  # grids: of layers that are maps; flat ones have none
    taken = {"input", "output", *keyword.kwlist}
    for i, layer in enumerate(network.layers):
        kernels = _kernels(network, i, grids)
        if kernels is not None:
            grids[i] = layer.grid
        shape = (layer.size,) if kernels is None else layer.grid
        bias = layer.bias.T.reshape(-1) if kernels is None else layer.bias[0]
        name = ends[i] = "output" if layer is network.readout else _fresh(layer.name, taken)
        for number, p in enumerate(network.into(i)):
            source, synapses = ends[p.source], _fresh(f"{ends[p.source]}_to_{name}", taken)
            if kernels is not None:
                nodes[synapses] = _conv2d(kernels[number], grids[p.source], bias)
            else:
                if p.source in grids:
                    flat = _fresh(f"{source}_flat_to_{name}", taken)
                    nodes[flat] = {
                        "type": "Flatten",
                        "start_dim": 0,
                        "end_dim": -1,
                        "input_type": np.array(grids[p.source]),
                    }
                    edges.append((source, flat))
                    source = flat
                nodes[synapses] = {
                    "type": "Affine",
                    "weight": matrix(p.map, f"NIR: layer {layer.name!r}"),
                    "bias": bias,
                }
            edges += [(source, synapses), (synapses, name)]
            bias = np.zeros_like(bias)  # it comes once
        if name == "output":
            nodes[name] = {"type": "Output", "shape": np.array(shape)}
        else:
            nodes[name] = _neurons(layer, shape, simulation.initial[i], reader)
    return nodes, edges


def _fresh(name: str, taken: set[str]) -> str:
    """The name as HDF5 and Python take it, unlike those `taken`, to which it is added."""
    name = re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _kernels(
    network: Network, i: int, grids: dict[int, tuple[int, int, int]]
) -> list[Kernel] | None:
    """The projections into layer i as Kernels; None where it has to be flat: not all are
    convolutions of maps, with one bias a channel.
    """
    layer = network.layers[i]
    if len(layer.bias) == 1 or (layer.bias != layer.bias[0]).any():
        return None
    kernels = []
    for p in network.into(i):
        kernel = convolution(p.map, grids[p.source], layer.grid) if p.source in grids else None
        if kernel is None:
            return None
        kernels.append(kernel)
    return kernels


def _conv2d(kernel: Kernel, grid: tuple[int, int, int], bias: NDArray[Any]) -> dict[str, Any]:
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


def _neurons(
    layer: Layer, shape: tuple[int, ...], initial: NDArray[Any], reader: Reader
) -> dict[str, Any]:
    """The fields of an IF. initial: v(0) in thresholds, [neurons]."""
    fields = {"type": "IF", "r": np.full(shape, reader.r), "v_threshold": np.ones(shape)}
    if reader.v_reset:
        fields["v_reset"] = np.zeros(shape)
    values = {"theta": layer.theta, "initial_potential": initial.reshape(-1, layer.grid[0])}
    for key, value in values.items():
        same = np.unique(value).size == 1
        values[key] = float(np.ravel(value)[0]) if same else np.asarray(value).T.reshape(shape)
    return fields | {"metadata": {"layer": layer.name, **values}}


def _metadata(simulation: Simulation, target: str, said: tuple[str, ...]) -> dict[str, Any]:
    p, words = simulation.network.graph.preprocessing, simulation.describe()
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
        "input": "(pixel * pixel_scale - pixel_mean) / pixel_std by channel, the same in every step"
        if simulation.encoding.kind == "constant"
        else f"spikes, each worth {simulation.input_unit:g}",
        "semantics": json.dumps(words),
    }
