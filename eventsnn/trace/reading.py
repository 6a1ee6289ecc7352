"""Trace files, read with distrust: every dataset is checked once, when a file is opened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.files import trusted
from eventsnn.files.reading import child, open_hdf5, plain, told
from eventsnn.files.trusted import each, numbers_of, refuse, within
from eventsnn.files.writing import path_step
from eventsnn.neurons.contract import own_states
from eventsnn.simulation.renamed import settings_now
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import MOST_GROUP
from eventsnn.trace import checks, index
from eventsnn.trace.checks import Columns
from eventsnn.trace.deciding import check_same
from eventsnn.trace.format import (
    FORMAT,
    VERSION,
    VERSIONS,
    Kinds,
    delivery_kinds,
    spike_kinds,
)
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
WORDS = {"shapes": list, "semantics": dict, "decides": dict, "settings": dict}


class Head(NamedTuple):
    """What a trace file has beside its records.

    about: what it says of itself. own: names of the model's own states. The others are as in
    `Trace`.
    """

    about: dict[str, Any]
    simulation: Simulation | None
    drive: NDArray[Any]
    own: Sequence[str]
    starts: NDArray[np.int64]
    mute: NDArray[np.uint8] | None
    inputs: NDArray[np.int64] | None
    parts: NDArray[np.int64] | None


@checked
def read_trace(path: str | Path, simulation: Simulation | None = None) -> Trace:
    """The `Trace` in a file.

    path: the file, as `TraceFile` wrote it. simulation: the network with the settings that made it;
    all that decides the spikes must be the same. None: the trace has none, and what needs one
    raises InputError; spikes, deliveries, names and times are there. Raises InputError for any
    other file, for the trace of another simulation, and for a damaged one: it names the first
    dataset whose presence, type, length or numbers are wrong.
    """
    with open_hdf5(path, "a trace file") as file:
        return Reader(file, path).trace(simulation)


class Reader:
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
        if self.version not in VERSIONS:
            found = f"format {self.version}"
            raise InputError(path, f"a trace of format 1 to {VERSION}", found, "use its release")

    def _attribute(self, key: str) -> Any:
        """An attribute, with a name that may be damaged, too."""
        value = plain(self.file, key)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def where(self, name: str) -> str:
        """What a part of the file is called in messages. name: its path."""
        return f"{self.path}: /{name}"

    def head(self, simulation: Simulation | None) -> Head:
        """What it has beside its records; simulation, errors: as in `read_trace`."""
        about = self.about()
        if simulation is not None:
            check_same(about, self.path, simulation)
        drive = self.drive(about)
        own = self.own_states() if simulation is None else own_states(simulation.neuron)
        if simulation is not None and drive.dtype != simulation.arithmetic.dtype:
            if simulation.arithmetic.dtype != np.int32 or drive.dtype != np.int64:
                refuse(self.where("drive"), simulation.arithmetic.dtype, drive.dtype)
            simulation = simulation.wider()
        starts = self.array("starts", self.item("starts"), ("i8",), (None,))
        checks.check_starts(self.where, starts, about)
        mute, inputs, parts = self.beside(about, starts)
        return Head(about, simulation, drive, own, starts, mute, inputs, parts)

    def trace(self, simulation: Simulation | None) -> Trace:
        """The whole of it; simulation, errors: as in `read_trace`."""
        about, simulation, drive, own, starts, mute, inputs, parts = self.head(simulation)
        spikes = self.spikes(about, drive.dtype, own, starts)
        deliveries = self.deliveries(bool(about["complete"]))
        if about["complete"]:
            group = about.get("semantics", {}).get("group", 1)
            group = group if type(group) is int and 0 < group <= MOST_GROUP else 1
            end = about["end"]
            checks.check_deliveries(self.where, deliveries, spikes, starts, end, inputs, group)
            if parts is not None:
                checks.check_taken(self.where, parts, starts, deliveries, spikes)
        self.check_index(about, spikes, deliveries, starts)
        trace = Trace(
            cast(Simulation, NoSimulation(self.path)) if simulation is None else simulation,
            drive,
            about["image"],
            _structured(spikes, spike_type(drive.dtype, own)),
            _structured(deliveries, DELIVERY),
            starts,
            about["end"],
            bool(about["complete"]),
            mute=mute,
            inputs=inputs,
            about=about,
            parts=parts,
        )
        if simulation is not None:
            checks.check_fits(self.where, trace, simulation)
        return trace

    def check_index(
        self,
        about: dict[str, Any],
        spikes: Columns,
        deliveries: Columns,
        starts: NDArray[np.int64],
    ) -> None:
        """Raises InputError for an index that is not that of these records."""
        if self.item(index.NAME) is None:
            return
        if not about["complete"] or len(deliveries["spike"]) and deliveries["spike"].min() < 0:
            refuse(self.where(index.NAME), "none in such a trace", "one")
        found = self.index(len(spikes["seq"]), len(deliveries["spike"]), starts)
        first = np.cumsum([0, *about["neurons"]])
        expected = index.expected(first, spikes, deliveries, len(starts))
        for name, values in expected.items():
            each(self.where(f"{index.NAME}/{name}"), found[name] == values, "what the trace gives")

    def index(self, spikes: int, deliveries: int, starts: NDArray[np.int64]) -> Columns:
        """The datasets of the index, by path. spikes, deliveries: how many there are."""
        name = index.NAME
        if plain(self.group(name), "block") != index.BLOCK:
            refuse(self.where(f"{name}: attribute block"), index.BLOCK, "another")
        chunks = sum(len(range(0, n, index.ROWS)) for n in index.blocks(deliveries))
        found: Columns = {}
        for part, kinds, length in (
            ("spikes", index.SPIKES, spikes),
            ("deliveries", index.DELIVERIES, deliveries),
        ):
            for column, (kind, _, _) in kinds.items():
                at = f"{name}/{part}/{column}"
                found[f"{part}/{column}"] = self.array(at, self.item(at), (kind,), (length,))
        for last, kind, shape in (("chunks", "u4", (chunks, 2)), ("events", "i8", (len(starts),))):
            at = f"{name}/{last}"
            found[last] = self.array(at, self.item(at), (kind,), shape)
        return found

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
        for key in ("semantics", "decides", "settings") if self.version < 3 else ():
            if key in about:
                about[key] = settings_now(about[key])
        found = [(name, self.population(name)) for name in about["layers"][:-1]]
        self.paths = {name: path for name, path in found if path}
        about["kept"] = list(self.paths)
        for step in () if self.version == 1 else self.group("spikes"):
            if f"spikes/{step}" not in self.paths.values():
                refuse(self.where(f"spikes/{step}"), "spikes of a layer", "another group")
        return about

    def item(self, name: str) -> Any:
        """The group or dataset of this path, or None."""
        return trusted.item(self.file, name)

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

    def dataset(
        self, name: str, found: Any, kinds: Sequence[DTypeLike], shape: tuple[int | None, ...]
    ) -> h5py.Dataset:
        """A dataset that may be read.

        name: its path. found: what is there. kinds: the dtypes that it may have. shape: what it
        must have; None: any length. Raises InputError for anything else, and where sizes cannot be
        true.
        """
        where = self.where(name)
        found = trusted.dataset(found, where, kinds, shape)
        self.room -= found.nbytes
        if self.room < 0:
            refuse(where, "as many numbers as such a file holds", f"{found.size:,} more")
        return found

    def array(
        self, name: str, found: Any, kinds: Sequence[DTypeLike], shape: tuple[int | None, ...]
    ) -> NDArray[Any]:
        """A dataset's numbers; parameters, errors: as of `dataset`."""
        return numbers_of(self.dataset(name, found, kinds, shape), self.where(name))

    def drive(self, about: dict[str, Any]) -> NDArray[Any]:
        """The drive of one step, or of several."""
        found = self.item("drive")
        several = isinstance(found, h5py.Dataset) and len(found.shape or ()) == 2
        total = sum(about["neurons"])
        shape = (None, total) if several else (total,)
        drive = self.array("drive", found, POTENTIALS, shape)
        checks.check_drive(self.where, drive)
        return drive

    def beside(
        self, about: dict[str, Any], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8] | None, NDArray[np.int64] | None, NDArray[np.int64] | None]:
        """(mute, inputs, parts), each None where the file has none."""
        mute = None
        inputs = None
        parts = None
        if (found := self.item("mute")) is not None:
            mute = self.array("mute", found, ("u1",), (sum(about["neurons"]),))
            within(self.where("mute"), mute, 0, 1)
        if (found := self.item("inputs")) is not None:
            inputs = self.array("inputs", found, ("i8",), (None, 4))
            checks.check_inputs(self.where, inputs, len(starts), about["ticks_per_step"])
        if (found := self.item("parts")) is not None:
            parts = self.array("parts", found, ("i8",), (None, 3))
            checks.check_parts(self.where, parts, starts, about)
        return mute, inputs, parts

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
    ) -> Columns:
        """The spikes of all layers in the order of emission, by the fields of `Trace.spikes`."""
        kind = spike_type(potential, own)
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in kind.names or ()}
        for layer, name in enumerate(about["layers"]):
            if name not in self.paths:
                continue
            path = self.paths[name]
            columns = self.columns(path, spike_kinds(potential, "", own))
            checks.check_population(self._below(path), columns, about, layer, starts)
            columns["neuron"] = columns["node_ids"]
            columns["layer"] = np.full(len(columns["seq"]), layer)
            for field, those in parts.items():
                those.append(columns[field])
        spikes: Columns = {}
        for field, those in parts.items():
            empty = np.zeros(0, kind[field])
            spikes[field] = np.concatenate([empty, *(part.astype(kind[field]) for part in those)])
        order = np.argsort(spikes["seq"], kind="stable")
        spikes = {field: values[order] for field, values in spikes.items()}
        paths = [self.paths.get(name, "") for name in about["layers"]]
        checks.check_order(self.where, spikes, paths, bool(about["complete"]))
        return spikes

    def columns(self, path: str, kinds: Kinds) -> Columns:
        """The datasets of a group, all of one length. path: the group's. kinds: its columns."""
        group = self.group(path)
        found: dict[str, h5py.Dataset] = {}
        length = None
        for name, (kind, _, _) in kinds.items():
            # format 1 had signed node_ids, and members of one byte
            older = {"node_ids": "i8", "member": "u1"} if self.version == 1 else {}
            either = (kind, older[name]) if name in older else (kind,)
            place = f"{path}/{name}"
            found[name] = self.dataset(place, child(group, name), either, (length,))
            length = found[name].shape[0]
        # all lengths are right before anything is read
        return {name: numbers_of(it, self.where(f"{path}/{name}")) for name, it in found.items()}

    def _below(self, path: str) -> Callable[[str], str]:
        return lambda name: self.where(f"{path}/{name}")

    def deliveries(self, complete: bool) -> Columns:
        """The deliveries in the order in which the queue gave them out; none of a part of a run."""
        if complete:
            return self.columns("deliveries", delivery_kinds())
        if self.item("deliveries") is not None:
            refuse(self.where("deliveries"), "none in a part of a trace", "some")
        return {name: np.zeros(0, DELIVERY[name]) for name in DELIVERY.names or ()}


def _structured(columns: Columns, kind: np.dtype[np.void]) -> NDArray[np.void]:
    """Columns of equal length as one structured array of the type `kind`."""
    found = np.zeros(len(next(iter(columns.values()))), kind)
    for name in kind.names or ():
        found[name] = columns[name]
    return found
