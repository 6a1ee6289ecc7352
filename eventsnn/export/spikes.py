"""Spikes for other programs: SONATA files, .gdf as NEST writes it, and Neo objects.

Their unit of time is the millisecond: one step is 1 ms. None of them knows the order of
simultaneous spikes, which is kept here. Nor do they know spikes that are taken back. Where there
are any, a column `sign` says so, and programs that do not read it count them as spikes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import open_hdf5
from eventsnn.files.writing import new_file, new_hdf5
from eventsnn.trace.trace import Trace

SORTINGS = {"none": 0, "by_id": 1, "by_time": 2}
# of SONATA files
MAGIC = 0x0A7A
VERSION = (0, 1)

# what is taken of a trace file's columns, and as what
KINDS = {
    "timestamps": np.float64,
    "node_ids": np.int64,
    "seq": np.int64,
    "sign": np.int8,
    "member": np.uint16,
}
COLUMNS = tuple(KINDS)

# neurons of each layer by its name, columns of each spiking layer, and about the run
_Contents = tuple[dict[str, int], dict[str, dict[str, NDArray[Any]]], dict[str, Any]]


class Population(NamedTuple):
    """The spikes of one layer in the order of emission.

    name: the layer's. size: how many neurons it has. first: how many the layers before it have.
    times: in steps, float64 [S]. neurons: numbers in the layer, int64 [S]. seq: place in the order
    of emission over all layers, int64 [S]. sign: 1, or -1 for a spike that is taken back, int8 [S].
    member: the member of a group neuron that fired, uint16 [S].
    """

    name: str
    size: int
    first: int
    times: NDArray[np.float64]
    neurons: NDArray[np.int64]
    seq: NDArray[np.int64]
    sign: NDArray[np.int8]
    member: NDArray[np.uint16]

    def __repr__(self) -> str:
        return f"<Population {self.name!r}: {self.size:,} neurons, {len(self.times):,} spikes>"


def populations(source: Trace | str | Path) -> tuple[list[Population], dict[str, Any]]:
    """(a `Population` for each spiking layer that was kept, {what: value} about the run).

    source: a `Trace` or a trace file. About the run there are image, order, seed, where known, and
    end, in steps. Raises InputError for any other file.
    """
    if isinstance(source, Trace):
        sizes, columns, about = _of_trace(source)
    else:
        sizes, columns, about = _of_file(source)
    first = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist()))
    found = []
    for name, given in columns.items():
        arrays = [given[key].astype(kind) for key, kind in KINDS.items()]
        found.append(Population(name, sizes[name], first[name], *arrays))
    return found, about


def _of_trace(trace: Trace) -> _Contents:
    simulation = trace.simulation
    ticks = simulation.time.ticks
    sizes = {layer.name: layer.size for layer in simulation.network.layers}
    columns = {}
    for name in list(sizes)[:-1]:
        spikes = trace.of(name)
        columns[name] = {
            "timestamps": spikes["tick"] / ticks,
            "node_ids": spikes["neuron"],
            "seq": spikes["seq"],
            "sign": spikes["sign"],
            "member": spikes["member"],
        }
    words = simulation.describe()
    about = {"image": trace.number, "order": words["order"], "seed": words["seed"]}
    return sizes, columns, {**about, "end": float(trace.end / ticks)}


def _of_file(path: str | Path) -> _Contents:
    with open_hdf5(path) as file:
        if file.attrs.get("format") != "eventsnn.trace":
            expected = "a trace written by eventsnn"
            do = "write one with ⟦engine=event⟧ ⟦trace=spikes⟧"
            raise InputError(path, expected, "another file", do)
        sizes = dict(zip(json.loads(file.attrs["layers"]), json.loads(file.attrs["neurons"])))
        columns = {}
        for name in list(sizes)[:-1]:
            if name in file["spikes"]:
                group = file["spikes"][name]
                columns[name] = {key: group[key][()] for key in COLUMNS}
        words = json.loads(file.attrs.get("semantics", "{}"))
        end = file.attrs["end"] / file.attrs["ticks_per_step"]
        about = {"image": int(file.attrs["image"])}
        about |= {key: words[key] for key in ("order", "seed") if key in words}
    return sizes, columns, {**about, "end": float(end)}


def write_sonata(source: Trace | str | Path, path: str | Path) -> None:
    """Writes spikes as SONATA: /spikes/<layer>/{timestamps, node_ids}, uncompressed, by time.

    source: a `Trace` or a trace file. path: of the file to write; an older one is replaced. Trace
    files have the same and more, but compressed, which some readers of SONATA cannot read. Raises
    InputError for what is no trace file.
    """
    found, _ = populations(source)
    with new_hdf5(path) as file:
        file.attrs["magic"] = np.uint32(MAGIC)
        file.attrs["version"] = np.array(VERSION, np.uint32)
        sorting = h5py.enum_dtype(SORTINGS, "u1")
        for p in found:
            group = file.create_group(f"spikes/{p.name}")
            group.attrs.create("sorting", SORTINGS["by_time"], dtype=sorting)
            group["timestamps"] = p.times
            group["node_ids"] = p.neurons.astype(np.uint64)
            group["timestamps"].attrs["units"] = "ms"
            if (p.sign < 0).any():
                group["sign"] = p.sign


def write_gdf(source: Trace | str | Path, path: str | Path) -> None:
    """Writes spikes as text, one a line: neuron, time, and the sign where it is not always 1.

    source: a `Trace` or a trace file. path: of the file to write; an older one is replaced. Neurons
    are numbered from 1, layer after layer: 1 + the neurons of the layers before + the neuron's
    number in its layer. Raises InputError for what is no trace file.
    """
    found, _ = populations(source)
    places = [p.seq for p in found] or [np.zeros(0, np.int64)]
    order = np.argsort(np.concatenate(places), kind="stable")
    columns = [(1 + p.first + p.neurons, p.times, p.sign) for p in found]
    ordered = [np.concatenate(parts)[order].tolist() for parts in zip(*columns)]
    signed = any((p.sign < 0).any() for p in found)
    lines = []
    for neuron, time, sign in zip(*ordered):
        line = f"{neuron}\t{time!r}"
        lines.append(f"{line}\t{sign}\n" if signed else f"{line}\n")
    with new_file(path) as file:
        file.write("".join(lines).encode())


def to_neo(source: Trace | str | Path) -> Any:
    """Spikes as a neo.Block: a SpikeTrain for each neuron that fired, a Group for each layer.

    source: a `Trace` or a trace file. The block has one Segment. A SpikeTrain's annotations are
    layer, neuron, image, order and seed, its array annotations seq, sign and member. A Group's
    annotations are its layer and the number of its neurons, silent ones too. Raises InputError for
    what is no trace file, and where neo is not installed.
    """
    try:
        import neo
    except ImportError:
        raise InputError("to_neo", "neo", "none installed", "pip install 'eventsnn[neo]'") from None
    found, about = populations(source)
    end = about.pop("end")
    block = neo.Block(name="eventsnn", **about)
    segment = neo.Segment(name=f"image {about['image']}", **about)
    block.segments.append(segment)
    for p in found:
        group = neo.Group(name=p.name, layer=p.name, neurons=p.size)
        block.groups.append(group)
        order = np.argsort(p.neurons, kind="stable")
        fired, starts = np.unique(p.neurons[order], return_index=True)
        for neuron, mine in zip(fired.tolist(), np.split(order, starts[1:])):
            by_spike = {"seq": p.seq[mine], "sign": p.sign[mine], "member": p.member[mine]}
            train = neo.SpikeTrain(
                p.times[mine],
                units="ms",
                t_start=0.0,
                t_stop=end,
                name=f"{p.name}:{neuron}",
                layer=p.name,
                neuron=neuron,
                **about,
                array_annotations=by_spike,
            )
            segment.spiketrains.append(train)
            group.add(train)
    return block
