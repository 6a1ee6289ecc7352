"""Spikes as NIR's data, and NIR's data as input events.

The layout is that of the package `nir` (write_data): groups with an attribute `__type__`, /nodes/
<node>/observables/<name> with idx, time and, where events have a value, value, all [samples,
events]; idx -1 fills up. Time counts in steps. A node has its name in network.nir, and a neuron its
place in NIR's order, channels first. Spikes that are taken back have the value -1.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.data.formats import check_size
from eventsnn.exceptions import InputError
from eventsnn.export.spikes import populations
from eventsnn.files.reading import attribute, check_storage, child, open_hdf5, text_of
from eventsnn.files.writing import new_hdf5
from eventsnn.trace.reading import read_trace
from eventsnn.trace.trace import Trace

OBSERVABLE = "spikes"
DEEPEST = 16  # graphs in each other
MAX_NODES = 10**5
DAMAGED = "write the file again with the package nir"
KINDS = ("EventData", "ValuedEventData", "TimeGriddedData")


class Events(NamedTuple):
    """What one observable of a node recorded.

    node: its name, with dots between those of graphs in each other. observable: "spikes", for
    example. neurons: how many the node has. end: of the recording, in steps. samples: the events of
    each sample in the order of time, float64 [E, 3]: time in steps, index, and sign (or value);
    `simulate` takes them as they are, with encoding "events".
    """

    node: str
    observable: str
    neurons: int
    end: float
    samples: list[NDArray[np.float64]]

    def __repr__(self) -> str:
        count = sum(map(len, self.samples))
        words = f"{self.neurons:,} neurons, {len(self.samples):,} samples, {count:,} events"
        return f"<Events of {self.node!r}, {self.observable}: {words}>"


@checked
def write(source: Trace | str | Path, path: str | Path) -> None:
    """Writes the spikes of all layers that were kept, one sample each.

    source: a `Trace` or a trace file. path: of the file; an older one is replaced at once or not at
    all. Raises InputError for what is no trace file.
    """
    trace = source if isinstance(source, Trace) else read_trace(source)
    found, about = populations(trace)
    grids = _grids(trace)
    taken: set[str] = {"input", "output"}
    with new_hdf5(path) as file:
        file.attrs["__type__"] = "NIRGraphData"
        nodes = file.create_group("nodes", track_order=True)
        for p in found:
            c, h, w = grids[p.name]
            site, channel = np.divmod(p.neurons, c)
            signed = bool((p.sign != 1).any())
            node = nodes.create_group(_fresh(p.name, taken))
            node.attrs["__type__"] = "NIRNodeData"
            group = node.create_group(f"observables/{OBSERVABLE}")
            group.attrs["__type__"] = "ValuedEventData" if signed else "EventData"
            group["idx"] = (channel * (h * w) + site)[None]
            group["time"] = p.times[None]
            if signed:
                group["value"] = p.sign.astype(np.float64)[None]
            group.attrs["n_neurons"] = p.size
            group.attrs["t_max"] = float(about["end"])


def _grids(trace: Trace) -> dict[str, tuple[int, int, int]]:
    """Name -> (C, H, W) of each layer."""
    if not trace.about:
        return {layer.name: layer.grid for layer in trace.simulation.network.layers}
    shapes, sizes = trace.about.get("shapes"), trace.about["neurons"]
    whole = isinstance(shapes, list) and all(
        isinstance(shape, list) and len(shape) == 3 and all(type(n) is int for n in shape)
        for shape in shapes
    )
    if not whole or [math.prod(shape) for shape in shapes or ()] != sizes:
        do = "run again: traces of earlier versions do not have them"
        raise InputError("NIR's data", "a trace with its layers' shapes", "none", do)
    assert isinstance(shapes, list)
    return dict(zip(trace.names, map(tuple, shapes)))


def _fresh(name: str, taken: set[str]) -> str:
    """A layer's name as network.nir has it."""
    name = re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)
    while name in taken:
        name += "_"
    taken.add(name)
    return name


@checked
def read(path: str | Path, step: float = 1.0) -> list[Events]:
    """The `Events` of every observable that is spikes, in the file's order.

    path: of a file of NIR's data (NIRGraphData). step: how long a step is in its unit of time.
    Grids of booleans are events at the beginning of their steps; grids of other numbers, such as
    potentials, are left out. Raises InputError for another file, and for a damaged one.
    """
    if not step > 0:
        raise InputError("step", "a number above 0", step)
    name = Path(path).name
    found: list[Events] = []
    with open_hdf5(path, "NIR's data") as file:
        if _type(file, name) != "NIRGraphData":
            raise InputError(name, "NIR's data (NIRGraphData)", "another file", "check the path")
        _read_graph(file, name, "", 0, step, found, [0])
    return found


def _read_graph(
    group: h5py.Group,
    where: str,
    prefix: str,
    depth: int,
    step: float,
    found: list[Events],
    size: list[int],
) -> None:
    """Adds the events of a graph's nodes. size: one number, bytes that were read."""
    nodes = child(group, "nodes")
    if not isinstance(nodes, h5py.Group) or depth > DEEPEST:
        raise InputError(where, "a group of nodes, not deeply nested", "another", DAMAGED)
    for key in nodes:
        name = text_of(key, 500)
        node = child(nodes, key)
        if name is None or not isinstance(node, h5py.Group) or len(found) > MAX_NODES:
            raise InputError(where, "nodes with printable names, not too many", "others", DAMAGED)
        full, kind = prefix + name, _type(node, where)
        if kind == "NIRGraphData":
            _read_graph(node, where, f"{full}.", depth + 1, step, found, size)
            continue
        observables = child(node, "observables")
        if kind != "NIRNodeData" or not isinstance(observables, h5py.Group):
            raise InputError(f"{where}: node {full!r}", "NIRNodeData", kind or "none", DAMAGED)
        for label in observables:
            place = f"{where}: node {full!r}, {text_of(label, 500)}"
            item = child(observables, label)
            if text_of(label, 500) is None or not isinstance(item, h5py.Group):
                raise InputError(place, "a group for each observable", "another", DAMAGED)
            events = _read_observable(item, place, step, size)
            if events is not None:
                found.append(Events(full, str(label), *events))


def _read_observable(
    group: h5py.Group, where: str, step: float, size: list[int]
) -> tuple[int, float, list[NDArray[np.float64]]] | None:
    """(neurons, end, samples) of an observable; None for one that is no spikes."""
    kind = _type(group, where)
    if kind not in KINDS:
        raise InputError(where, " or ".join(KINDS), kind or "none", DAMAGED)
    if kind == "TimeGriddedData":
        return _of_grid(group, where, size)
    index = _array(group, "idx", where, "iu", 2, size).astype(np.int64)
    time = _array(group, "time", where, "f", 2, size).astype(np.float64)
    value = np.ones(time.shape)
    if kind == "ValuedEventData":
        value = _array(group, "value", where, "iuf", 2, size).astype(np.float64)
    neurons, end = _number(group, "n_neurons", where), _number(group, "t_max", where)
    if not index.shape == time.shape == value.shape:
        shapes = f"{list(index.shape)}, {list(time.shape)} and {list(value.shape)}"
        raise InputError(where, "idx, time and value of one shape", shapes, DAMAGED)
    there = index != -1
    good = (index >= 0) & (index < neurons) & (time >= 0) & np.isfinite(time) & np.isfinite(value)
    if not good[there].all():
        expected = f"indices below {neurons:,.0f} and finite times from 0"
        raise InputError(where, expected, "others", DAMAGED)
    samples = []
    for i, mine in enumerate(there):
        rows = np.stack([time[i][mine] / step, index[i][mine].astype(float), value[i][mine]], 1)
        samples.append(rows[np.argsort(rows[:, 0], kind="stable")])
    return int(neurons), end / step, samples


def _of_grid(
    group: h5py.Group, where: str, size: list[int]
) -> tuple[int, float, list[NDArray[np.float64]]] | None:
    dataset = child(group, "data")
    if isinstance(dataset, h5py.Dataset) and dataset.dtype != np.bool_:
        return None
    grid = _array(group, "data", where, "b", 3, size)
    samples = []
    for each in grid:
        time, index = np.nonzero(each)
        samples.append(np.stack([time, index, np.ones(len(time))], axis=1).astype(np.float64))
    return grid.shape[2], float(grid.shape[1]), samples


def _array(
    group: h5py.Group, key: str, where: str, kinds: str, axes: int, size: list[int]
) -> NDArray[Any]:
    """A dataset of some kinds of numbers with so many axes."""
    found = child(group, key)
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in kinds:
        told = found.dtype if isinstance(found, h5py.Dataset) else "none"
        raise InputError(f"{where}: {key}", "numbers of its kind", told, DAMAGED)
    if found.shape is None or len(found.shape) != axes:
        raise InputError(f"{where}: {key}", f"{axes} axes", list(found.shape or ()), DAMAGED)
    if found.size:
        check_storage(found, f"{where}: {key}")
    # what becomes of a grid may be 24 bytes for each bit
    size[0] += found.size * 24
    check_size(size[0], where)
    return np.asarray(found[()])


def _number(group: h5py.Group, key: str, where: str) -> float:
    found = np.ravel(np.asarray(attribute(group, key)))
    good = found.size == 1 and found.dtype.kind in "iuf" and 0 <= found[0] < 2**53
    if not good:
        raise InputError(f"{where}: {key}", "a number from 0", "another", DAMAGED)
    return float(found[0])


def _type(group: h5py.Group, where: str) -> str:
    """The attribute `__type__`, "" where there is none."""
    found = attribute(group, "__type__")
    return text_of(found, 100) or "" if isinstance(found, (str, bytes)) else ""
