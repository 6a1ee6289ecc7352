"""What was recorded of one image: every spike, and every delivery in the order it was taken from the queue.

A `Trace` is in memory; `TraceFile` streams one to HDF5, a superset of SONATA's spikes, while the run
goes on, so that memory stays flat; `read_trace` reads it back, whole or filtered.
"""
from __future__ import annotations

import json
import os
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from eventsnn.engine.event import layout
from eventsnn.exceptions import InputError
from eventsnn.files.columns import CHUNK, Columns
from eventsnn.runs.folder import Patient
from eventsnn.simulation.simulation import Simulation

NO_CAUSE = -1  # drive, or an evaluation of the neuron's own (end of a window or a refractory period)
DELIVERY = np.dtype([("event", "i8"), ("tick", "i8"), ("step", "i4"), ("spike", "i8"), ("half", "i1"), ("projection", "i4")])
COLUMNS = {
    "timestamps": ("f8", "steps", "time of the spike"),
    "node_ids": ("i8", "", "neuron number in the layer: (y * W + x) * C + c"),
    "seq": ("u8", "", "place in the order of emission, over all layers"),
    "tick": ("i8", "ticks", "time of the spike"),
    "step": ("i4", "steps", "time step, counted from 0"),
    "event": ("i8", "", "number of the queue's event that fired it; drive has the number of the event before"),
    "sign": ("i1", "", "+1, or -1 where a spike is taken back"),
    "member": ("u1", "", "which member of a group neuron, from 1"),
    "cause": ("i8", "", "seq of the spike whose arrival fired it; -1: drive, or the neuron's own evaluation"),
    "v_before": ("v", "2^-F thresholds", "potential at the evaluation"),
    "v_after": ("v", "2^-F thresholds", "potential after this spike"),
}
STRATEGIES = dict.fromkeys(("v_before", "v_after"), zlib.Z_RLE)  # the low bytes of potentials are random: no repetition to look for


def spike_type(potential):
    """The structured dtype of spikes for potentials of this dtype."""
    return np.dtype([("seq", "i8"), ("event", "i8"), ("tick", "i8"), ("step", "i4"), ("layer", "i4"), ("neuron", "i8"), ("sign", "i1"),
                     ("member", "u1"), ("cause", "i8"), ("v_before", potential), ("v_after", potential)])


def spike_columns(seq, spikes, potentials):
    """The kernel's records of spikes by column, but for where they were fired: seq as given, the others as in `COLUMNS`."""
    columns = {"event": layout.S_EVENT, "tick": layout.S_TICK, "step": layout.S_STEP, "sign": layout.S_SIGN, "member": layout.S_MEMBER,
               "cause": layout.S_CAUSE}
    return {"seq": seq, **{name: spikes[:, at] for name, at in columns.items()}, "v_before": potentials[:, 0], "v_after": potentials[:, 1]}


def delivery_columns(deliveries):
    """The kernel's records of deliveries by column, as in `DELIVERY`."""
    columns = {"event": layout.D_EVENT, "tick": layout.D_TICK, "step": layout.D_STEP, "spike": layout.D_SPIKE}
    part = deliveries[:, layout.D_PART]
    return {**{name: deliveries[:, at] for name, at in columns.items()}, "half": part & 3, "projection": (part >> 3) - 1}


def structured(simulation, first_seq, spikes, potentials, deliveries):
    """The kernel's records as structured arrays (spikes, deliveries)."""
    s, d = np.zeros(len(spikes), spike_type(potentials.dtype)), np.zeros(len(deliveries), DELIVERY)
    numbers = spikes[:, layout.S_NEURON]
    s["layer"] = simulation.tables.layer_of[numbers]
    s["neuron"] = numbers - simulation.tables.layers[s["layer"], layout.L_FIRST]
    for rows, columns in ((s, spike_columns(first_seq + np.arange(len(s)), spikes, potentials)), (d, delivery_columns(deliveries))):
        for name, values in columns.items():
            rows[name] = values
    return s, d


@dataclass
class Trace:
    """One image's run, event by event.

    simulation: with the arithmetic that was used. drive: what arrives at the beginning of each step,
    [neurons]. number: the image's. spikes: structured [S], in the order of emission (fields as in
    `COLUMNS`, with layer and neuron). deliveries: structured [D], in the order they were taken from the
    queue: event (a running number), tick, step, spike (its seq), half (0 whole, 1 positive, 2 negative
    charges), projection (-1: all). starts: the tick at which each step began, int64 [T]; end: at which the run ended. complete:
    whether it has every spike and delivery, so that arrivals can be rebuilt from it. mute: uint8 [neurons], 1 where SRP silenced
    a neuron (None: nowhere). inputs: int64 [E, 4], input events (`encoding.events_of`; None: none); input_deliveries: theirs,
    with spike = -2 - the event's place in `inputs`.
    """

    simulation: Simulation
    drive: np.ndarray
    number: int
    spikes: np.ndarray
    deliveries: np.ndarray
    starts: np.ndarray
    end: int
    complete: bool = True
    mute: np.ndarray | None = None
    inputs: np.ndarray | None = None
    input_deliveries: np.ndarray = field(default_factory=lambda: np.zeros(0, DELIVERY))

    def __post_init__(self):
        ours = self.deliveries["spike"] >= 0
        if not ours.all():
            self.deliveries, self.input_deliveries = self.deliveries[ours], self.deliveries[~ours]

    @property
    def names(self):
        return [layer.name for layer in self.simulation.network.layers]

    def layer(self, name):
        """A layer's number, by name or number."""
        if isinstance(name, (int, np.integer)) and 0 <= name < len(self.names):
            return int(name)
        if name not in self.names:
            raise InputError("layer", f"one of {', '.join(self.names)}, or its number", repr(name))
        return self.names.index(name)

    def of(self, layer=None, neuron=None, step=None):
        """The spikes of a layer, neuron or step (counted from 0)."""
        keep = np.ones(len(self.spikes), bool)
        if layer is not None:
            keep &= self.spikes["layer"] == self.layer(layer)
        for name, value in (("neuron", neuron), ("step", step)):
            if value is not None:
                keep &= self.spikes[name] == value
        return self.spikes[keep]

    def to_pandas(self):
        """(spikes, deliveries) as DataFrames; needs pandas."""
        try:
            import pandas
        except ImportError:
            raise InputError("to_pandas", "pandas", "none installed", "pip install 'eventsnn[pandas]'") from None
        spikes = pandas.DataFrame(self.spikes)
        spikes["layer"] = pandas.Categorical.from_codes(self.spikes["layer"], self.names)
        return spikes, pandas.DataFrame(self.deliveries)

    def __repr__(self):
        return (f"<Trace of image {self.number}: {len(self.spikes):,} spikes, {len(self.deliveries):,} deliveries, "
                f"T = {self.simulation.steps}; order {self.simulation.describe()['order']}>")


class Recorder:
    """A sink that keeps everything in memory."""

    def __init__(self):
        self.restart()

    def restart(self):
        """Forget what was recorded: the image begins again."""
        self.parts = []

    def __call__(self, spikes, potentials, deliveries):
        self.parts.append((spikes, potentials, deliveries))

    def finish(self, simulation, run):
        """Nothing to do: records are taken out by `records`."""

    def records(self):
        """The kernel's three arrays, joined."""
        if not self.parts:
            return np.zeros((0, 7), np.int64), np.zeros((0, 2), np.int64), np.zeros((0, 5), np.int64)
        return tuple(np.concatenate(part) for part in zip(*self.parts))

    def trace(self, simulation, run, number):
        """The `Trace` of a finished EventRun of the image `number`."""
        return Trace(simulation, _drive(run), number, *structured(simulation, 0, *self.records()), run.starts, run.start,
                     mute=run.state.mute if run.state.mute.any() else None, inputs=run.inputs if len(run.inputs) else None)


def _drive(run):
    """What arrived at the beginning of each step: [neurons] where it was the same in all, else [steps, neurons]."""
    return run.drive[0] if len(run.drive) == 1 else run.drive


def record(simulation, pixels, number=0):
    """Run one raw image [C, H, W] and return (EventRun, Trace)."""
    if simulation.engine != "event":
        raise InputError("trace", "engine 'event'", f"engine {simulation.engine!r}", "choose --engine event")
    recorder = Recorder()
    run, simulation = simulation.run_events(pixels, number, recorder)
    return run, recorder.trace(simulation, run, number)


class TraceFile:
    """A sink that streams one image's trace to an HDF5 file, compressed, in chunks.

    layers: names of the layers whose spikes are kept (None: all). neurons: (layer's name, number) of those whose spikes are
    kept (None: all). steps: (first, last) steps kept, counted from 0 (None: all). Deliveries are kept only without filters,
    since they are needed whole.

    A thread of its own sorts, compresses and writes while the simulation goes on, which waits where the thread
    is AHEAD blocks of records behind. What the disk refuses is raised by the next call, at the latest by `finish`;
    nothing is left then.
    """

    AHEAD = 2

    def __init__(self, path, simulation, number, *, layers=None, neurons=None, steps=None, provenance=None):
        self.path, self.simulation, self.number, self.steps = Path(path), simulation, number, steps
        self.names = [layer.name for layer in simulation.network.layers]
        chosen = set(self.names if layers is None else layers) & {name for name, _ in neurons or zip(self.names, self.names)}
        self.layers, first = np.array([name in chosen for name in self.names[:-1]]), simulation.tables.layers[:, layout.L_FIRST]
        self.numbers = neurons and [first[self.names.index(name)] + number for name, number in neurons]
        self.complete, self.provenance, self.disk = layers is None and neurons is None and steps is None, provenance or {}, None

    def restart(self):
        """Begin the file (again)."""
        self.discard()
        self.disk = Patient(open(self.path.with_suffix(".tmp"), "w+b", buffering=0))
        self.file, self.writer, self.waiting = h5py.File(self.disk, "w"), ThreadPoolExecutor(1), deque()
        self.next_seq, self.groups, self.held = 0, None, {}

    def discard(self):
        """Leave nothing of a file that was begun and is not finished."""
        if self.disk:
            self._close()
            self.path.with_suffix(".tmp").unlink(missing_ok=True)
            self.disk = None

    def _close(self):
        self.writer.shutdown(cancel_futures=True)
        self.file.close()
        self.disk.file.close()
        self.groups, self.held = None, {}  # a run keeps the sinks of all its images

    def __call__(self, spikes, potentials, deliveries):
        if not self.disk:
            self.restart()
        try:
            self._wait(self.AHEAD - 1)
            self.waiting.append(self.writer.submit(self._write, self.next_seq, spikes, potentials, deliveries))
            self.next_seq += len(spikes)
        except BaseException:
            self.discard()
            raise

    def _wait(self, most):
        """Until at most so many blocks wait to be written; raises what went wrong with one."""
        while len(self.waiting) > most:
            self.waiting.popleft().result()

    def _create(self, potential):
        """Make all datasets; the kept layers' are copies of the first one's, which is much faster than to make each."""
        self.file.create_group("spikes")
        names = [name for name, kept in zip(self.names, self.layers) if kept]
        for name in names:
            if name == names[0]:
                kinds = {key: (potential if kind == "v" else kind, *words) for key, (kind, *words) in COLUMNS.items()}
                Columns.create(self.file.create_group(f"spikes/{name}"), kinds).attrs["sorting"] = "by_time"
            else:
                self.file.copy(f"spikes/{names[0]}", f"spikes/{name}")
        self.groups = {name: Columns(self.file[f"spikes/{name}"], STRATEGIES) for name in names}
        if self.complete:
            kinds = {name: (DELIVERY[name], "", f"{name}, in the order taken from the queue") for name in DELIVERY.names}
            self.groups[None] = Columns(Columns.create(self.file.create_group("deliveries"), kinds), {})

    def _write(self, first_seq, spikes, potentials, deliveries):
        """Take the kernel's records apart into groups, and write those that fill chunks."""
        if not self.groups:
            self._create(potentials.dtype)
        layers = self.simulation.tables.layer_of[spikes[:, layout.S_NEURON]]
        keep = self.layers[layers]
        if self.numbers is not None:
            keep &= np.isin(spikes[:, layout.S_NEURON], self.numbers)
        if self.steps:
            keep &= (spikes[:, layout.S_STEP] >= self.steps[0]) & (spikes[:, layout.S_STEP] <= self.steps[1])
        order = np.flatnonzero(keep)
        order = order[np.argsort(layers[order], kind="stable")]
        ends = np.cumsum(np.bincount(layers[order], minlength=len(self.layers)))
        for name, mine in zip(self.names, np.split(order, ends[:-1])):
            self._hold(name, [first_seq + mine, spikes.take(mine, axis=0), potentials.take(mine, axis=0)])
        if self.complete:
            self._hold(None, [deliveries])
        if self.disk.error:
            raise self.disk.error

    def _hold(self, group, rows):
        """Hold rows (arrays of equal length) back until they fill chunks, then write these. group: a layer's name; None: deliveries."""
        held = self.held.setdefault(group, [])
        if len(rows[0]):
            held.append(rows)
        count = sum(len(part[0]) for part in held) // CHUNK * CHUNK
        if count:
            joined = [np.concatenate(parts) for parts in zip(*held)]
            self.groups[group].append(self._columns(group, *(column[:count] for column in joined)))
            held[:] = [[column[count:].copy() for column in joined]]

    def _write_rest(self, group):
        """Write what is held back of a group."""
        if self.held[group]:
            self.groups[group].append(self._columns(group, *(np.concatenate(parts) for parts in zip(*self.held[group]))))

    def _columns(self, group, *rows):
        """Rows of one group as they stand in the file, by column."""
        if group is None:
            return delivery_columns(*rows)
        seq, spikes, potentials = rows
        columns = spike_columns(seq, spikes, potentials)
        columns["timestamps"] = columns["tick"] / self.simulation.time.ticks
        columns["node_ids"] = spikes[:, layout.S_NEURON] - self.simulation.tables.layers[self.names.index(group), layout.L_FIRST]
        return columns

    def finish(self, simulation, run):
        """Write what the trace belongs to, and give the file its name. simulation: the one that ran it, in 32 or 64 bits; run: its
        finished EventRun."""
        if not self.disk:
            self.restart()
        try:
            self._wait(0)
            self._finish(simulation, run)
            self._close()
            if self.disk.error:
                raise self.disk.error
            os.replace(self.path.with_suffix(".tmp"), self.path)
        except BaseException:
            self.discard()
            raise
        self.disk = None

    def _finish(self, simulation, run):
        if not self.groups:
            self._create(run.drive.dtype)
        with ThreadPoolExecutor(2) as both:
            list(both.map(self._write_rest, self.held))
        attrs = {"format": "eventsnn.trace", "version": 1, "image": self.number, "network_sha256": simulation.network.graph.hash,
                 "layers": self.names, "neurons": [layer.size for layer in simulation.network.layers],
                 "ticks_per_step": simulation.time.ticks, "end": run.start, "complete": int(self.complete), **self.provenance}
        for key, value in attrs.items():
            self.file.attrs[key] = value if isinstance(value, (str, int, float)) else json.dumps(value)
        words = {"drive": ("2^-F thresholds", "charge that arrives at every neuron at the beginning of each step, layer after layer"),
                 "starts": ("ticks", "when each step began; a barrier may have delayed it")}
        words |= {"mute": ("", "1: a neuron whose spikes are neither sent nor counted (SRP), layer after layer"),
                  "inputs": ("", "input events: step, ticks after its start, input's number (channels last), sign")}
        for name, data in ("drive", _drive(run)), ("starts", run.starts), ("mute", run.state.mute), ("inputs", run.inputs):
            if name in ("mute", "inputs") and not data.any():
                continue
            dataset = self.file.create_dataset(name, data=data, compression="gzip", shuffle=True)
            dataset.attrs["unit"], dataset.attrs["description"] = words[name]


def read_trace(path, simulation):
    """The `Trace` in a file, for the simulation (network and settings) that made it; InputError if it is another's."""
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != "eventsnn.trace":
                raise InputError(path, "a trace written by eventsnn", "another file")
            if file.attrs["network_sha256"] != simulation.network.graph.hash:
                raise InputError(path, f"a trace of {simulation.network.graph.source}", "a trace of another network")
            names, drive = json.loads(file.attrs["layers"]), file["drive"][()]
            if drive.dtype != simulation.arithmetic.dtype and drive.dtype == np.int64:
                simulation = simulation.wider()
            parts = []
            for name, group in file.get("spikes", {}).items():
                part = np.zeros(len(group["seq"]), spike_type(drive.dtype))
                for column in COLUMNS:
                    if column not in ("timestamps", "node_ids"):
                        part[column] = group[column][()]
                part["neuron"], part["layer"] = group["node_ids"][()], names.index(name)
                parts.append(part)
            spikes = np.concatenate(parts) if parts else np.zeros(0, spike_type(drive.dtype))
            columns = file.get("deliveries", {})
            deliveries = np.zeros(len(columns["spike"]) if columns else 0, DELIVERY)
            for column in columns:
                deliveries[column] = columns[column][()]
            return Trace(simulation, drive, int(file.attrs["image"]), spikes[np.argsort(spikes["seq"], kind="stable")], deliveries,
                         file["starts"][()], int(file.attrs["end"]), bool(file.attrs["complete"]),
                         *(file[name][()] if name in file else None for name in ("mute", "inputs")))
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, "a trace file", f"{type(error).__name__}: {error}", "it is damaged or incomplete: run again") from None
