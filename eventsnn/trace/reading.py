"""Trace files, read with distrust: every dataset is checked once, when a file is opened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import FAILURES, check_storage, child, open_hdf5, plain, told
from eventsnn.files.writing import path_step
from eventsnn.neurons.contract import own_states
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import checks
from eventsnn.trace.checks import refuse
from eventsnn.trace.deciding import check_same
from eventsnn.trace.format import FORMAT, VERSION, Kinds, delivery_kinds, spike_kinds
from eventsnn.trace.trace import COLUMNS, DELIVERY, NoSimulation, Trace, spike_type

POTENTIALS = ("i4", "i8", "f4", "f8")
ATTRIBUTES = 1000  # the most that are read
# bytes that all datasets of a file may have: so many, or so many for each byte of the file (traces
# have 5 to 20; one whose spikes are all alike may have 150)
ROOM = 2**28
RATIO = 250
# what a file says of itself: what it must, and what it may
NEEDED = {
    "image": int,
    "network_sha256": str,
    "layers": list,
    "neurons": list,
    "ticks_per_step": int,
    "end": int,
    "complete": int,
}
WORDS = {"semantics": dict, "decides": dict, "settings": dict}


def read_trace(path: str | Path, simulation: Simulation | None = None) -> Trace:
    """The `Trace` in a file.

    path: the file, as `TraceFile` wrote it. simulation: the network with the settings that made it;
    all that decides the spikes must be the same. None: the trace has none, and what needs one
    raises InputError; spikes, deliveries, names and times are there. Raises InputError for any
    other file, for the trace of another simulation, and for a damaged one: it names the first
    dataset whose presence, type, length or numbers are wrong.
    """
    with open_hdf5(path, "a trace file") as file:
        return _Reader(file, path).trace(simulation)


class _Reader:
    """An open trace file.

    file, path: which. version: of its format. room: bytes that its datasets may still have. paths:
    name of a layer whose spikes were kept -> their path; `about` finds them.
    """

    def __init__(self, file: h5py.File, path: str | Path) -> None:
        self.file = file
        self.path = path
        self.room = max(ROOM, RATIO * os.path.getsize(path))
        self.paths: dict[str, str] = {}
        if self._attribute("format") != FORMAT:
            do = "write one with ⟦engine=event⟧ ⟦trace=spikes⟧"
            raise InputError(path, "a trace written by eventsnn", "another file", do)
        version = self._attribute("format_version")
        # version 1 called it version
        self.version = self._attribute("version") if version is None else version
        if self.version not in (1, VERSION):
            found = f"format {self.version}"
            raise InputError(path, f"a trace of format 1 or {VERSION}", found, "use its release")

    def _attribute(self, key: str) -> Any:
        """An attribute, with a name that may be damaged, too."""
        value = plain(self.file, key)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def where(self, name: str) -> str:
        """What a part of the file is called in messages. name: its path."""
        return f"{self.path}: /{name}"

    def trace(self, simulation: Simulation | None) -> Trace:
        """The whole of it; simulation, errors: as in `read_trace`."""
        about = self.about()
        if simulation is not None:
            check_same(about, self.path, simulation)
        drive = self.drive(about)
        own = self.own_states() if simulation is None else own_states(simulation.neuron)
        if simulation is not None and drive.dtype != simulation.arithmetic.dtype:
            if simulation.arithmetic.dtype != np.int32 or drive.dtype != np.int64:
                refuse(self.where("drive"), simulation.arithmetic.dtype, drive.dtype)
            simulation = simulation.wider()
        starts = self.array("starts", ("i8",), (None,))
        checks.check_starts(self.where, starts, about)
        mute, inputs = self.beside(about, starts)
        spikes = self.spikes(about, drive.dtype, own, starts)
        deliveries = self.deliveries(bool(about["complete"]))
        if about["complete"]:
            checks.check_deliveries(self.where, deliveries, spikes, starts, about["end"], inputs)
        trace = Trace(
            cast(Simulation, NoSimulation(self.path)) if simulation is None else simulation,
            drive,
            about["image"],
            spikes,
            deliveries,
            starts,
            about["end"],
            bool(about["complete"]),
            mute=mute,
            inputs=inputs,
            about=about,
        )
        if simulation is not None:
            checks.check_fits(self.where, trace, simulation)
        return trace

    def about(self) -> dict[str, Any]:
        """What the file says of itself, and `kept`, the names of the layers whose spikes it has."""
        if len(self.file.attrs) > ATTRIBUTES:
            refuse(self.path, f"at most {ATTRIBUTES:,} attributes", f"{len(self.file.attrs):,}")
        about = {key: self._attribute(key) for key in self.file.attrs}
        for key, kind in {**NEEDED, **WORDS}.items():
            where = f"{self.path}: attribute {key}"
            if key not in about:
                if key in NEEDED:
                    refuse(where, "one", "none")
                continue
            if kind in (list, dict):
                try:
                    about[key] = json.loads(about[key])
                except (RecursionError, TypeError, ValueError) as error:
                    refuse(where, "JSON", told(error))
            if type(about[key]) is not kind:
                refuse(where, f"a value of type {kind.__name__}", type(about[key]).__name__)
        checks.check_about(self.path, about)
        found = [(name, self.population(name)) for name in about["layers"][:-1]]
        self.paths = {name: path for name, path in found if path}
        about["kept"] = list(self.paths)
        for step in () if self.version == 1 else self.group("spikes"):
            if f"spikes/{step}" not in self.paths.values():
                refuse(self.where(f"spikes/{step}"), "spikes of a layer", "another group")
        return about

    def item(self, name: str) -> Any:
        """The group or dataset of this path, or None."""
        found = self.file
        for step in name.split("/"):
            found = child(found, step) if isinstance(found, h5py.Group) else None
        return found

    def group(self, name: str) -> h5py.Group:
        """The group of this path. Raises InputError where there is none."""
        found = self.item(name)
        if not isinstance(found, h5py.Group):
            refuse(self.where(name), "a group", "none" if found is None else "something else")
        return found

    def population(self, layer: str) -> str:
        """The path of a layer's spikes; "" where none were kept. layer: its name."""
        step = path_step(layer)
        if self.version == 1:
            # names were paths
            step = "/".join(part for part in layer.split("/") if part)
        path = f"spikes/{step}"
        found = self.item(path) if step else None
        if found is None:
            return ""
        if self.version > 1 and (name := self._name_of(self.group(path))) != layer:
            refuse(self.where(f"{path}: attribute layer"), repr(layer), repr(name))
        return path

    @staticmethod
    def _name_of(group: h5py.Group) -> Any:
        value = plain(group, "layer")
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def array(
        self, name: str, kinds: Sequence[DTypeLike], shape: tuple[int | None, ...]
    ) -> NDArray[Any]:
        """A dataset.

        name: its path. kinds: the dtypes that it may have. shape: what it must have; None: any
        length. Raises InputError for another, and where sizes cannot be true.
        """
        where = self.where(name)
        found = self.item(name)
        if not isinstance(found, h5py.Dataset):
            refuse(where, "a dataset", "none" if found is None else "something else")
        expected = [np.dtype(kind) for kind in kinds]
        if found.dtype not in expected:
            refuse(where, f"numbers of type {' or '.join(map(str, expected))}", found.dtype)
        size = found.shape
        if size is None or len(size) != len(shape):
            refuse(where, f"{len(shape)} axes", "none" if size is None else len(size))
        if any(n is not None and n != m for n, m in zip(shape, size)):
            words = ", ".join("any" if n is None else f"{n:,}" for n in shape)
            refuse(where, f"the shape [{words}]", list(size))
        if 0 in size:
            return np.zeros(size, found.dtype)
        check_storage(found, where)
        self.room -= found.nbytes
        if self.room < 0:
            refuse(where, "as many numbers as such a file holds", f"{found.size:,} more")
        try:
            return np.asarray(found[()])
        except FAILURES as error:
            refuse(where, "numbers that can be read", told(error))

    def drive(self, about: dict[str, Any]) -> NDArray[Any]:
        """The drive of one step, or of several."""
        found = self.item("drive")
        several = isinstance(found, h5py.Dataset) and len(found.shape or ()) == 2
        total = sum(about["neurons"])
        drive = self.array("drive", POTENTIALS, (None, total) if several else (total,))
        checks.check_drive(self.where, drive)
        return drive

    def beside(
        self, about: dict[str, Any], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8] | None, NDArray[np.int64] | None]:
        """(mute, inputs), each None where the file has none."""
        mute = None
        inputs = None
        if self.item("mute") is not None:
            mute = self.array("mute", ("u1",), (sum(about["neurons"]),))
            checks.within(self.where("mute"), mute, 0, 1)
        if self.item("inputs") is not None:
            inputs = self.array("inputs", ("i8",), (None, 4))
            checks.check_inputs(self.where, inputs, len(starts), about["ticks_per_step"])
        return mute, inputs

    def own_states(self) -> list[str]:
        """The names of the model's own states by the file's columns."""
        for path in self.paths.values():
            ends = [name for name in self.group(path) if name.endswith("_before")]
            return [name.removesuffix("_before") for name in ends if name not in COLUMNS]
        return []

    def spikes(
        self,
        about: dict[str, Any],
        potential: np.dtype[Any],
        own: Sequence[str],
        starts: NDArray[np.int64],
    ) -> NDArray[np.void]:
        """The spikes of all layers in the order of emission."""
        parts = [np.zeros(0, spike_type(potential, own))]
        for layer, name in enumerate(about["layers"]):
            if name not in self.paths:
                continue
            path = self.paths[name]
            columns = self.columns(path, spike_kinds(potential, "", own))
            checks.check_population(self._below(path), columns, about, layer, starts)
            part = np.zeros(len(columns["seq"]), spike_type(potential, own))
            part["layer"] = layer
            part["neuron"] = columns["node_ids"]
            for column in columns.keys() & set(part.dtype.names or ()):
                part[column] = columns[column]
            parts.append(part)
        spikes = np.concatenate(parts)
        spikes = spikes[np.argsort(spikes["seq"], kind="stable")]
        paths = [self.paths.get(name, "") for name in about["layers"]]
        checks.check_order(self.where, spikes, paths, bool(about["complete"]))
        return spikes

    def columns(self, path: str, kinds: Kinds) -> dict[str, NDArray[Any]]:
        """The datasets of a group, all of one length. path: the group's. kinds: its columns."""
        found: dict[str, NDArray[Any]] = {}
        for name, (kind, _, _) in kinds.items():
            # format 1 had signed ones
            either = (kind, "i8") if name == "node_ids" and self.version == 1 else (kind,)
            length = next((len(column) for column in found.values()), None)
            found[name] = self.array(f"{path}/{name}", either, (length,))
        return found

    def _below(self, path: str) -> Callable[[str], str]:
        return lambda name: self.where(f"{path}/{name}")

    def deliveries(self, complete: bool) -> NDArray[np.void]:
        """The deliveries in the order in which the queue gave them out; none of a part of a run."""
        if not complete:
            if self.item("deliveries") is not None:
                refuse(self.where("deliveries"), "none in a part of a trace", "some")
            return np.zeros(0, DELIVERY)
        columns = self.columns("deliveries", delivery_kinds())
        found = np.zeros(len(columns["spike"]), DELIVERY)
        for name, values in columns.items():
            found[name] = values
        return found
