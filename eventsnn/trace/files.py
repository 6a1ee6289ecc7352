"""Traces as HDF5 files: written while the simulation goes on, and read again."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsnn.arguments import checked
from eventsnn.engine.event import layout
from eventsnn.engine.event.driver import EventRun
from eventsnn.exceptions import InputError
from eventsnn.files.columns import CHUNK, Columns
from eventsnn.files.writing import Patient
from eventsnn.neurons.contract import own_states
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.trace import (
    COLUMNS,
    DELIVERY,
    NoSimulation,
    Trace,
    _drive,
    delivery_columns,
    own_columns,
    spike_columns,
    spike_type,
)

# zlib's, by column: the low bytes of potentials are random, so there is no repetition to look for
STRATEGIES = dict.fromkeys(("v_before", "v_after"), zlib.Z_RLE)

# (unit, description) of what a file has beside its columns
WORDS = {
    "drive": (
        "2^-F thresholds",
        "charge that arrives at every neuron at the beginning of each step, layer after layer",
    ),
    "starts": ("ticks", "when each step began; a barrier may have delayed it"),
    "mute": ("", "1: a neuron whose spikes are neither sent nor counted (SRP), layer after layer"),
    "inputs": (
        "",
        "input events: step, ticks after its start, input's number (channels last), sign",
    ),
}

# what a simulation says of itself and what does not decide its spikes: other numbers follow from
# it, or it is the same in all
IDLE = (
    "dtype",
    "bound_in_thresholds",
    "readout_exponent",
    "order_of_summation",
    "normalisation",
    "neuron_number",
    "max_events",
    "rounded_down_to_ticks",
)
# words for what `deciding` has a hash of
HASHED = ("thresholds", "initial_potential")
DEEPEST = 4  # parts of parts of constants that are hashed
# of a trace before there were hashes
UNTOLD = "one for each neuron"


class TraceFile:
    """A sink that streams one image's trace to an HDF5 file, compressed, in chunks.

    path: the file, which gets its name when it is finished. simulation: with the event engine.
    number: the image's. layers: names of the layers whose spikes are kept (None: all). neurons:
    (layer's name, number) of those whose spikes are kept (None: all). steps: (first, last) steps
    kept, counted from 0 (None: all). provenance: what is written beside them, ready for JSON.
    Deliveries are kept only without filters, since they are needed whole.

    A thread of its own sorts, compresses and writes while the simulation goes on. The simulation
    waits where the thread is AHEAD blocks of records behind. OSError is raised for what the disk
    refuses, by the next call and at the latest by `finish`; no file remains then.
    """

    AHEAD = 2

    @checked
    def __init__(
        self,
        path: str | Path,
        simulation: Simulation,
        number: int,
        *,
        layers: Collection[str] | None = None,
        neurons: Sequence[tuple[str, int]] | None = None,
        steps: tuple[int, int] | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.simulation = simulation
        self.number = number
        self.steps = steps
        self.names = [layer.name for layer in simulation.network.layers]
        for where, given in (("layers", layers or ()), ("neurons", [n for n, _ in neurons or ()])):
            for name in given:
                if name not in self.names:
                    raise InputError(where, f"layers among {', '.join(self.names)}", repr(name))
        chosen = set(self.names if layers is None else layers)
        self.numbers: list[int] | None = None
        if neurons:
            chosen &= {name for name, _ in neurons}
            self.numbers = [self._first(name) + place for name, place in neurons]
        self.layers = np.array([name in chosen for name in self.names[:-1]])
        self.complete = layers is None and neurons is None and steps is None
        self.provenance = provenance or {}
        self.disk: Patient | None = None
        # by the layer's name; None: the deliveries
        self.groups: dict[str | None, Columns] = {}
        self.held: dict[str | None, list[list[NDArray[Any]]]] = {}
        self.waiting: deque[Future[None]] = deque()

    def _first(self, name: str) -> int:
        """How many neurons the layers before this one have."""
        return int(self.simulation.network.first[self.names.index(name)])

    @property
    def _own(self) -> tuple[str, ...]:
        """The names of the model's own states."""
        return own_states(self.simulation.neuron)

    def restart(self) -> None:
        """Begins the file (again). Raises OSError where none can be made."""
        self.discard()
        self.disk = Patient(open(self.path.with_suffix(".tmp"), "w+b", buffering=0))
        self.file = h5py.File(self.disk, "w")
        self.writer = ThreadPoolExecutor(1)
        self.waiting = deque()
        self.next_seq = 0
        self.groups = {}
        self.held = {}

    def discard(self) -> None:
        """Removes a file that was begun and is not finished, if there is one."""
        if self.disk:
            self._close()
            self.path.with_suffix(".tmp").unlink(missing_ok=True)
            self.disk = None

    def _close(self) -> None:
        """Ends the thread and closes the file."""
        self.writer.shutdown(cancel_futures=True)
        self.file.close()
        if self.disk:
            self.disk.file.close()
        # a run keeps the sinks of all its images
        self.groups = {}
        self.held = {}

    def __call__(
        self, spikes: NDArray[np.int64], potentials: NDArray[Any], deliveries: NDArray[np.int64]
    ) -> None:
        """Hands the next records to the thread; parameters as in `trace.structured`.

        Raises OSError for what the disk has refused.
        """
        if not self.disk:
            self.restart()
        try:
            self._wait(self.AHEAD - 1)
            first = self.next_seq
            block = self.writer.submit(self._write, first, spikes, potentials, deliveries)
            self.waiting.append(block)
            self.next_seq += len(spikes)
        except BaseException:
            self.discard()
            raise

    def _wait(self, most: int) -> None:
        """Waits until at most so many blocks are unwritten; raises what went wrong with one."""
        while len(self.waiting) > most:
            self.waiting.popleft().result()

    def _create(self, potential: np.dtype[Any]) -> None:
        """Makes all datasets. potential: the dtype of potentials."""
        self.file.create_group("spikes")
        names = [name for name, kept in zip(self.names, self.layers) if kept]
        for name in names:
            if name == names[0]:
                group = self.file.create_group(f"spikes/{name}")
                Columns.create(group, spike_kinds(potential, self._own)).attrs["sorting"] = (
                    "by_time"
                )
            else:
                # a copy is faster than a new group
                self.file.copy(f"spikes/{names[0]}", f"spikes/{name}")
        self.groups = {name: Columns(self.file[f"spikes/{name}"], STRATEGIES) for name in names}
        if self.complete:
            group = self.file.create_group("deliveries")
            self.groups[None] = Columns(Columns.create(group, delivery_kinds()), {})

    def _write(
        self,
        first_seq: int,
        spikes: NDArray[np.int64],
        potentials: NDArray[Any],
        deliveries: NDArray[np.int64],
    ) -> None:
        """Takes the kernel's records apart into groups, and writes those that fill chunks."""
        if not self.groups:
            self._create(potentials.dtype)
        layers = self.simulation.network.layer_of[spikes[:, layout.S_NEURON]]
        order = np.flatnonzero(self._kept(spikes, layers))
        order = order[np.argsort(layers[order], kind="stable")]
        ends = np.cumsum(np.bincount(layers[order], minlength=len(self.layers)))
        for name, mine in zip(self.names, np.split(order, ends[:-1])):
            rows = [first_seq + mine, spikes.take(mine, axis=0), potentials.take(mine, axis=0)]
            self._hold(name, rows)
        if self.complete:
            self._hold(None, [deliveries])
        self._check_disk()

    def _kept(self, spikes: NDArray[np.int64], layers: NDArray[Any]) -> NDArray[np.bool_]:
        """Which spikes are kept, bool [S]. layers: their layers' numbers, [S]."""
        keep = self.layers[layers]
        if self.numbers is not None:
            keep &= np.isin(spikes[:, layout.S_NEURON], self.numbers)
        if self.steps:
            first, last = self.steps
            step = spikes[:, layout.S_STEP]
            keep &= (step >= first) & (step <= last)
        return keep

    def _check_disk(self) -> None:
        """Raises what the disk refused."""
        if self.disk and self.disk.error:
            raise self.disk.error

    def _hold(self, group: str | None, rows: list[NDArray[Any]]) -> None:
        """Holds rows back until they fill chunks, then writes these.

        group: a layer's name; None: deliveries. rows: arrays of equal length.
        """
        held = self.held.setdefault(group, [])
        if len(rows[0]):
            held.append(rows)
        count = sum(len(part[0]) for part in held) // CHUNK * CHUNK
        if count:
            joined = [np.concatenate(parts) for parts in zip(*held)]
            whole = [column[:count] for column in joined]
            self.groups[group].append(self._columns(group, *whole))
            held[:] = [[column[count:].copy() for column in joined]]

    def _write_rest(self, group: str | None) -> None:
        """Writes what is held back of a group."""
        if self.held[group]:
            rows = [np.concatenate(parts) for parts in zip(*self.held[group])]
            self.groups[group].append(self._columns(group, *rows))

    def _columns(self, group: str | None, *rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Rows of one group as they stand in the file, by column."""
        if group is None:
            return delivery_columns(*rows)
        seq, spikes, potentials = rows
        columns = spike_columns(seq, spikes, potentials, self._own)
        columns["timestamps"] = columns["tick"] / self.simulation.time.ticks
        columns["node_ids"] = spikes[:, layout.S_NEURON] - self._first(group)
        return columns

    def finish(self, simulation: Simulation, run: EventRun) -> None:
        """Writes what the trace belongs to, and gives the file its name.

        simulation: the one that ran it, in 32 or 64 bits. run: its finished `EventRun`. Raises
        OSError for what the disk has refused.
        """
        if not self.disk:
            self.restart()
        try:
            self._wait(0)
            self._finish(simulation, run)
            self._close()
            self._check_disk()
            os.replace(self.path.with_suffix(".tmp"), self.path)
        except BaseException:
            self.discard()
            raise
        self.disk = None

    def _finish(self, simulation: Simulation, run: EventRun) -> None:
        """Writes what is held back, and what the trace belongs to."""
        if not self.groups:
            self._create(run.drive.dtype)
        with ThreadPoolExecutor(2) as both:
            list(both.map(self._write_rest, self.held))
        attrs = {
            "format": "eventsnn.trace",
            "version": 1,
            "image": self.number,
            "network_sha256": simulation.network.graph.hash,
            "layers": self.names,
            "neurons": [layer.size for layer in simulation.network.layers],
            "ticks_per_step": simulation.time.ticks,
            "end": run.begins_at,
            "complete": int(self.complete),
            "semantics": simulation.describe(),
            "decides": deciding(simulation),
            **self.provenance,
        }
        for key, value in attrs.items():
            plain = isinstance(value, (str, int, float))
            self.file.attrs[key] = value if plain else json.dumps(value)
        given = {
            "drive": _drive(run),
            "starts": run.starts,
            "mute": run.state.mute,
            "inputs": run.inputs,
        }
        for name, data in given.items():
            if name in ("mute", "inputs") and not data.any():
                continue
            dataset = self.file.create_dataset(name, data=data, compression="gzip", shuffle=True)
            dataset.attrs["unit"], dataset.attrs["description"] = WORDS[name]

    def __repr__(self) -> str:
        part = "whole" if self.complete else "filtered"
        return f"<TraceFile {self.path}: image {self.number}, {part}>"


# column -> (dtype, unit, description)
Kinds = dict[str, tuple[DTypeLike, str, str]]


def spike_kinds(potential: np.dtype[Any], own: Sequence[str] = ()) -> Kinds:
    """{column: (dtype, unit, description)} of spikes.

    potential: the dtype of potentials. own: names of the model's own states.
    """
    kinds: Kinds = {}
    for name, (kind, unit, words) in COLUMNS.items():
        kinds[name] = (potential if kind == "v" else kind, unit, words)
    for name in own_columns(own):
        kinds[name] = (potential, COLUMNS["v_before"][1], "a state of the model's own")
    return kinds


def delivery_kinds() -> Kinds:
    """{column: (dtype, unit, description)} of deliveries."""
    kinds: Kinds = {}
    for name in DELIVERY.names or ():
        kinds[name] = (DELIVERY[name], "", f"{name}, in the order taken from the queue")
    return kinds


def deciding(simulation: Simulation) -> dict[str, Any]:
    """All that decides which spikes an image gives, ready for JSON; arrays and constants by hashes.

    simulation: with any engine.
    """
    network, code = simulation.network, simulation.encoding.code
    constants = {
        "thresholds": [np.ravel(layer.theta) for layer in network.layers],
        "initial": simulation.resting,
        "neuron": simulation.neuron,
        "order": getattr(simulation.engine, "order", None),
        "encoding": code,
        "srp_epsilon": simulation.srp_epsilon,
        "largest_input": simulation.input_unit if code.spiking else 0,
    }
    idle = (*IDLE, *HASHED)
    words = {key: value for key, value in simulation.describe().items() if key not in idle}
    hashes = {f"{name}_sha256": _hash_of(value) for name, value in constants.items()}
    found = {"network_sha256": network.graph.hash, **words, **hashes}
    return cast(dict[str, Any], json.loads(json.dumps(found)))


def _hash_of(value: Any) -> str:
    """Hexadecimal digits: equal for equal constants, of 32 or of 64 bits."""
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()[:16]


def _add(digest: Any, value: Any, depth: int = 0) -> None:
    """Adds a number, an array, or a thing with such fields to a hash; no other part has a value."""
    if depth > DEEPEST:
        return
    fields = value._asdict() if hasattr(value, "_asdict") else getattr(value, "__dict__", None)
    if fields is not None and not isinstance(value, (type, np.ndarray)):
        digest.update(type(value).__qualname__.encode())
        value = [part for _, part in sorted(fields.items())]
    if isinstance(value, (list, tuple)):
        digest.update(f"{len(value)} parts".encode())
        for part in value:
            _add(digest, part, depth + 1)
        return
    if isinstance(value, str):
        digest.update(value.encode())
        return
    array = np.asarray(value)
    if array.dtype.kind in "biuf":
        array = np.ascontiguousarray(array, "<f8" if array.dtype.kind == "f" else "<i8")
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)


@checked
def read_trace(path: str | Path, simulation: Simulation | None = None) -> Trace:
    """The `Trace` in a file.

    path: the file, as `TraceFile` wrote it. simulation: the network with the settings that made it;
    all that decides the spikes must be the same. None: the trace has none, and what needs one
    raises InputError; spikes, deliveries, names and times are there. Raises InputError for any
    other file, and for the trace of another simulation.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path, simulation)
    except InputError:
        raise
    except (
        OSError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:
        found = f"{type(error).__name__}: {error}"
        do = "it is damaged or incomplete: run again"
        raise InputError(path, "a trace file", found, do) from None


def _read(file: h5py.File, path: str | Path, simulation: Simulation | None) -> Trace:
    """The `Trace` in an open file; parameters as in `read_trace`."""
    if file.attrs.get("format") != "eventsnn.trace":
        raise InputError(path, "a trace written by eventsnn", "another file")
    about = _about(file)
    drive = file["drive"][()]
    own: Sequence[str]
    if simulation is None:
        own = _own_in(file)
    else:
        _check_same(about, path, simulation)
        own = own_states(simulation.neuron)
        if drive.dtype != simulation.arithmetic.dtype and drive.dtype == np.int64:
            simulation = simulation.wider()
    return Trace(
        cast(Simulation, NoSimulation(path)) if simulation is None else simulation,
        drive,
        int(file.attrs["image"]),
        _read_spikes(file, about["layers"], drive.dtype, own),
        _read_deliveries(file),
        file["starts"][()],
        int(file.attrs["end"]),
        bool(file.attrs["complete"]),
        mute=file["mute"][()] if "mute" in file else None,
        inputs=file["inputs"][()] if "inputs" in file else None,
        about=about,
    )


def _about(file: h5py.File) -> dict[str, Any]:
    """What a trace file says of itself. Raises what damaged words do."""
    about: dict[str, Any] = {}
    for key, value in file.attrs.items():
        about[key] = value.item() if isinstance(value, np.generic) else value
    for key in ("layers", "neurons", "semantics", "decides", "settings"):
        if key in about:
            about[key] = json.loads(about[key])
            kind = list if key in ("layers", "neurons") else dict
            if not isinstance(about[key], kind):
                raise TypeError(f"{key}: a {type(about[key]).__name__}")
    if not all(isinstance(name, str) for name in about["layers"]):
        raise TypeError("layers: names that are no text")
    if int(about["ticks_per_step"]) < 1:
        raise ValueError(f"{about['ticks_per_step']} ticks a step")
    return about


def _own_in(file: h5py.File) -> list[str]:
    """The names of the model's own states by a file's columns."""
    names: list[str] = []
    for group in file.get("spikes", {}).values():
        columns = [column for column in group if column.endswith("_before")]
        names = [column.removesuffix("_before") for column in columns if column not in COLUMNS]
    return names


def _check_same(about: dict[str, Any], path: str | Path, simulation: Simulation) -> None:
    """Raises InputError where a simulation is not the one that made a trace.

    about: what the file says. Of older files only what they say is compared. path, simulation: as
    in `read_trace`.
    """
    graph = simulation.network.graph
    if about["network_sha256"] != graph.hash:
        raise InputError(path, f"a trace of {graph.source}", "a trace of another network")
    mine = {**simulation.describe(), **deciding(simulation)}
    mine["ticks_per_step"] = simulation.time.ticks
    given = about.get("decides") or about.get("semantics", {})
    its = {key: value for key, value in given.items() if key not in IDLE}
    its["ticks_per_step"] = about["ticks_per_step"]
    unlike = [key for key in its if mine.get(key) != its[key] and its[key] != UNTOLD]
    if unlike:
        if "engine" in unlike:
            unlike = ["engine"]
        # a hash says less than words where there are both
        told = [key for key in unlike if not key.endswith("_sha256")] or unlike
        expected = "a trace with " + ", ".join(_word(key, mine) for key in told)
        found = "one with " + ", ".join(_word(key, its) for key in told)
        do = "give the settings that made it, or read it alone: read_trace(path)"
        raise InputError(path, expected, found, do)


def _word(key: str, of: dict[str, Any]) -> str:
    """A setting in a message. key: its name. of: the settings that it is one of."""
    value = of.get(key, "none")
    return f"{key.removesuffix('_sha256').replace('_', ' ')} {value}"


def _read_spikes(
    file: h5py.File, names: list[str], potential: np.dtype[Any], own: Sequence[str]
) -> NDArray[np.void]:
    """The spikes of all layers in the order of emission; parameters as in `spike_kinds`."""
    parts = [np.zeros(0, spike_type(potential, own))]
    for name, group in file.get("spikes", {}).items():
        part = np.zeros(len(group["seq"]), spike_type(potential, own))
        for column in (*COLUMNS, *own_columns(own)):
            if column not in ("timestamps", "node_ids"):
                part[column] = group[column][()]
        part["neuron"] = group["node_ids"][()]
        part["layer"] = names.index(name)
        parts.append(part)
    spikes = np.concatenate(parts)
    return spikes[np.argsort(spikes["seq"], kind="stable")]


def _read_deliveries(file: h5py.File) -> NDArray[np.void]:
    """The deliveries in the order in which the queue gave them out; none where none were kept."""
    columns = file.get("deliveries", {})
    deliveries = np.zeros(len(columns["spike"]) if columns else 0, DELIVERY)
    for column in columns:
        deliveries[column] = columns[column][()]
    return deliveries
