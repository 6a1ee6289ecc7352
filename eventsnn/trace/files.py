"""Traces as HDF5 files, written while the simulation goes on; `reading` reads them again."""

from __future__ import annotations

import json
import os
import zlib
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.engine.event import layout
from eventsnn.engine.event.driver import EventRun
from eventsnn.exceptions import InputError
from eventsnn.files.columns import CHUNK, Columns
from eventsnn.files.writing import Patient, path_step
from eventsnn.neurons.contract import own_states
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import format as form
from eventsnn.trace.deciding import deciding
from eventsnn.trace.index import Index
from eventsnn.trace.reading import read_trace
from eventsnn.trace.trace import _drive, delivery_columns, spike_columns

__all__ = ["TraceFile", "read_trace"]

# zlib's, by column: the low bytes of potentials are random, so there is no repetition to look for
STRATEGIES = dict.fromkeys(("v_before", "v_after"), zlib.Z_RLE)


class TraceFile:
    """A sink that streams one image's trace to an HDF5 file, compressed, in chunks.

    path: the file, which gets its name when it is finished. simulation: with the event engine.
    number: the image's. layers: names of the layers whose spikes are kept (None: all). neurons:
    (layer's name, number) of those whose spikes are kept (None: all). steps: (first, last) steps
    kept, counted from 0 (None: all). provenance: what is written beside them, ready for JSON.
    Deliveries are kept only without filters, since they are needed whole, and an index of them
    (`index`).

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
        self.index: Index | None = None
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
        self.index = None

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
        self.index = None

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
        first = f"spikes/{path_step(names[0])}" if names else ""
        groups = {}
        for name in names:
            path = f"spikes/{path_step(name)}"
            if path == first:
                unit = form.unit_of(self.simulation.arithmetic)
                kinds = form.spike_kinds(potential, unit, self._own)
                group = Columns.create(self.file.create_group(path), kinds, form.PLAIN)
                form.as_population(group)
            else:
                # a copy is faster than a new group
                self.file.copy(first, path)
            groups[name] = self.file[path]
        for name, group in groups.items():
            self._describe(name, group)
        self.groups = {name: Columns(group, STRATEGIES) for name, group in groups.items()}
        if self.complete:
            group = self.file.create_group("deliveries")
            self.groups[None] = Columns(Columns.create(group, form.delivery_kinds()), {})
            if self.simulation.encoding.kind != "events":
                self.index = Index(self.file, self.simulation.all_steps)

    def _describe(self, name: str, group: h5py.Group) -> None:
        """Says in a layer's group which layer it is, and what its potentials count in."""
        number = self.names.index(name)
        form.put_text(group, "layer", name)
        if self.simulation.network.layers[number].pools:
            for column in ("v_before", "v_after"):
                group[column].attrs["unit"] = "spikes"
        else:
            # charges of a spike that a threshold is worth
            group.attrs["quanta"] = float(self.simulation.quanta[number])

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
        if self.index:
            self.index.spikes(spikes)
            self.index.deliveries(deliveries)
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
        if self.index:
            self.index.finish()
        attrs = {
            "format": form.FORMAT,
            "format_version": form.VERSION,
            "image": self.number,
            "network_sha256": simulation.network.graph.hash,
            "layers": self.names,
            "neurons": [layer.size for layer in simulation.network.layers],
            "shapes": [layer.grid for layer in simulation.network.layers],
            "ticks_per_step": simulation.time.ticks,
            "end": run.begins_at,
            "complete": int(self.complete),
            "semantics": simulation.describe(),
            "decides": deciding(simulation),
            **self.provenance,
        }
        form.as_sonata(self.file)
        for key, value in attrs.items():
            if isinstance(value, (int, float)):
                self.file.attrs[key] = value
            else:
                text = value if isinstance(value, str) else json.dumps(value)
                form.put_text(self.file, key, text)
        given = {
            "drive": _drive(run),
            "starts": run.starts,
            "mute": run.state.mute,
            "inputs": run.inputs,
            "parts": run.parts,
        }
        numbers = simulation.arithmetic
        words = {"drive": (form.unit_of(numbers), form.drive_words(numbers)), **form.WORDS}
        for name, data in given.items():
            if name in ("mute", "inputs") and not data.any():
                continue
            if name == "parts" and run.rules.spread == 1:
                continue
            dataset = self.file.create_dataset(name, data=data, compression="gzip", shuffle=True)
            dataset.attrs["unit"], dataset.attrs["description"] = words[name]

    def __repr__(self) -> str:
        part = "whole" if self.complete else "filtered"
        return f"<TraceFile {self.path}: image {self.number}, {part}>"
