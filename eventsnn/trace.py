"""What was recorded of one image: every spike, and every delivery in the order it was taken from the queue.

A `Trace` is in memory; `TraceFile` streams one to HDF5, a superset of SONATA's spikes, while the run
goes on, so that memory stays flat; `read_trace` reads it back, whole or filtered.
"""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from eventsnn.checks import InputError
from eventsnn.engine import event
from eventsnn.simulation import Simulation

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


def spike_type(potential):
    """The structured dtype of spikes for potentials of this dtype."""
    return np.dtype([("seq", "i8"), ("event", "i8"), ("tick", "i8"), ("step", "i4"), ("layer", "i4"), ("neuron", "i8"), ("sign", "i1"),
                     ("member", "u1"), ("cause", "i8"), ("v_before", potential), ("v_after", potential)])


def structured(simulation, first_seq, spikes, potentials, deliveries):
    """The kernel's records as structured arrays (spikes, deliveries)."""
    s = np.zeros(len(spikes), spike_type(potentials.dtype))
    s["seq"] = first_seq + np.arange(len(spikes))
    numbers = spikes[:, event.S_NEURON]
    s["layer"] = simulation.tables.layer_of[numbers]
    s["neuron"] = numbers - simulation.tables.layers[s["layer"], event.L_FIRST]
    for name, column in (("event", event.S_EVENT), ("tick", event.S_TICK), ("step", event.S_STEP), ("sign", event.S_SIGN),
                         ("member", event.S_MEMBER), ("cause", event.S_CAUSE)):
        s[name] = spikes[:, column]
    s["v_before"], s["v_after"] = potentials.T
    d = np.zeros(len(deliveries), DELIVERY)
    for name, column in (("event", event.D_EVENT), ("tick", event.D_TICK), ("step", event.D_STEP), ("spike", event.D_SPIKE)):
        d[name] = deliveries[:, column]
    part = deliveries[:, event.D_PART]
    d["half"], d["projection"] = part & 3, (part >> 3) - 1
    return s, d


@dataclass
class Trace:
    """One image's run, event by event.

    simulation: with the arithmetic that was used. drive: what arrives at the beginning of each step,
    [neurons]. number: the image's. spikes: structured [S], in the order of emission (fields as in
    `COLUMNS`, with layer and neuron). deliveries: structured [D], in the order they were taken from the
    queue: event (a running number), tick, step, spike (its seq), half (0 whole, 1 positive, 2 negative
    charges), projection (-1: all).
    """

    simulation: Simulation
    drive: np.ndarray
    number: int
    spikes: np.ndarray
    deliveries: np.ndarray

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
        for field, value in (("neuron", neuron), ("step", step)):
            if value is not None:
                keep &= self.spikes[field] == value
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

    def finish(self, simulation, drive):
        """Nothing to do: records are taken out by `records`."""

    def records(self):
        """The kernel's three arrays, joined."""
        if not self.parts:
            return np.zeros((0, 7), np.int64), np.zeros((0, 2), np.int64), np.zeros((0, 5), np.int64)
        return tuple(np.concatenate(part) for part in zip(*self.parts))


def record(simulation, pixels, number=0):
    """Run one raw image [C, H, W] and return (EventRun, Trace)."""
    if simulation.engine != "event":
        raise InputError("trace", "engine 'event'", f"engine {simulation.engine!r}", "choose --engine event")
    recorder = Recorder()
    run, simulation = simulation.run_events(pixels, number, recorder)
    return run, Trace(simulation, simulation.drive(pixels), number, *structured(simulation, 0, *recorder.records()))


class TraceFile:
    """A sink that streams one image's trace to an HDF5 file, compressed, in chunks.

    layers: names of the layers whose spikes are kept (None: all). steps: (first, last) steps kept,
    counted from 0 (None: all). Deliveries are kept only without filters, since they are needed whole.
    """

    CHUNK = 2**14

    def __init__(self, path, simulation, number, *, layers=None, steps=None, provenance=None):
        self.path, self.simulation, self.number, self.layers, self.steps = Path(path), simulation, number, layers, steps
        self.provenance, self.file, self.next_seq, self.held = provenance or {}, None, 0, {}

    def restart(self):
        """Begin the file (again)."""
        if self.file:
            self.file.close()
        self.file, self.next_seq, self.held = h5py.File(self.path.with_suffix(".tmp"), "w"), 0, {}

    def _keep(self, group, rows, least=CHUNK):
        """Hold structured rows back until there are `least`, then write each field to its dataset."""
        held = self.held.setdefault(group, [])
        if len(rows):
            held.append(rows)
        if not held or sum(map(len, held)) < least:
            return
        rows = np.concatenate(held)
        held.clear()
        for name in rows.dtype.names:
            path, (_, unit, description) = f"{group}/{name}", COLUMNS.get(name, ("", "", f"{name}, in the order taken from the queue"))
            if path not in self.file:
                dataset = self.file.create_dataset(path, (0,), rows.dtype[name], maxshape=(None,), chunks=(self.CHUNK,),
                                                   compression="gzip", compression_opts=1, shuffle=True)
                dataset.attrs["unit"], dataset.attrs["description"] = unit, description
            dataset = self.file[path]
            dataset.resize((len(dataset) + len(rows),))
            dataset[-len(rows):] = rows[name]

    def __call__(self, spikes, potentials, deliveries):
        if not self.file:
            self.restart()
        s, d = structured(self.simulation, self.next_seq, spikes, potentials, deliveries)
        self.next_seq += len(s)
        names = [layer.name for layer in self.simulation.network.layers]
        if self.steps:
            s = s[(s["step"] >= self.steps[0]) & (s["step"] <= self.steps[1])]
        for layer in np.unique(s["layer"]):
            if self.layers is None or names[layer] in self.layers:
                self._keep(f"spikes/{names[layer]}", self._columns(s[s["layer"] == layer]))
        if self.layers is None and self.steps is None:
            self._keep("deliveries", d)

    def _columns(self, spikes):
        """Spikes of one layer as they stand in the file."""
        kinds = [(name, spikes.dtype["v_before"] if kind == "v" else kind) for name, (kind, _, _) in COLUMNS.items()]
        rows = np.zeros(len(spikes), kinds)
        for name in rows.dtype.names:
            rows[name] = (spikes["tick"] / self.simulation.time.ticks if name == "timestamps"
                          else spikes["neuron" if name == "node_ids" else name])
        return rows

    def finish(self, simulation, drive):
        """Write what the trace belongs to, and give the file its name. simulation: the one that ran it, in 32 or 64 bits."""
        if not self.file:
            self.restart()
        for group in self.held:
            self._keep(group, (), least=1)
        attrs = {"format": "eventsnn.trace", "version": 1, "image": self.number, "network_sha256": simulation.network.graph.hash,
                 "layers": [layer.name for layer in simulation.network.layers], "ticks_per_step": simulation.time.ticks,
                 "complete": int(self.layers is None and self.steps is None), **self.provenance}
        for key, value in attrs.items():
            self.file.attrs[key] = value if isinstance(value, (str, int, float)) else json.dumps(value)
        for group in self.file.get("spikes", {}).values():
            group.attrs["sorting"] = "by_time"
        dataset = self.file.create_dataset("drive", data=drive, compression="gzip", shuffle=True)
        dataset.attrs["unit"] = "2^-F thresholds"
        dataset.attrs["description"] = "charge that arrives at every neuron at the beginning of each step, layer after layer"
        self.file.close()
        os.replace(self.path.with_suffix(".tmp"), self.path)


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
            return Trace(simulation, drive, int(file.attrs["image"]), spikes[np.argsort(spikes["seq"], kind="stable")], deliveries)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, "a trace file", f"{type(error).__name__}: {error}", "it is damaged or incomplete: run again") from None
