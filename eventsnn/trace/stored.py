"""A whole trace that stays in its file: what one neuron needs is read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.files.reading import open_hdf5
from eventsnn.files.trusted import numbers_of, refuse
from eventsnn.network.network import INPUT
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import index
from eventsnn.trace.arrivals import incoming
from eventsnn.trace.format import spike_kinds
from eventsnn.trace.reading import Reader, read_trace
from eventsnn.trace.trace import DELIVERY, Trace, spike_type

WHAT = "a trace file"
ROWS = 2**18  # that are looked through at once
AT_ONCE = 64  # chunks of a column


@checked
def open_trace(path: str | Path, simulation: Simulation) -> Trace:
    """The `Trace` in a file, of which only what is asked for is read, where it has an index.

    `microscope.observe`, `explain_neuron` and `explain_spike` take little memory and time then,
    however long the trace is; they check what they read. What needs all of it reads all of it.

    path, simulation, and what is raised: as for `reading.read_trace`.
    """
    with open_hdf5(path, WHAT) as file:
        reader = Reader(file, path)
        if reader.item(index.NAME) is not None:
            return StoredTrace(path, reader, simulation)
    return read_trace(path, simulation)


class StoredTrace(Trace):
    """A whole trace in a file. path: the file. reader: it, open. simulation: that made it.

    Raises InputError as `reading.read_trace` does, for what it reads at once.
    """

    def __init__(self, path: str | Path, reader: Reader, simulation: Simulation) -> None:
        head = reader.head(simulation)
        if not head.about["complete"] or head.inputs is not None:
            refuse(reader.where(index.NAME), "none in such a trace", "one")
        assert head.simulation is not None
        self.path, self.head = path, head
        self.simulation, self.drive, self.starts = head.simulation, head.drive, head.starts
        self.about, self.mute, self.inputs, self.parts = head.about, head.mute, None, head.parts
        self.number, self.end, self.complete = head.about["image"], head.about["end"], True
        self.input_deliveries = np.zeros(0, DELIVERY)
        self.paths = dict(reader.paths)
        self.first = np.cumsum([0, *head.about["neurons"]])
        found = reader.item(f"{index.NAME}/events")
        steps = (len(head.starts),)
        self.events = reader.array(f"{index.NAME}/events", found, ("i8",), steps)
        found = reader.item(f"{index.NAME}/chunks")
        self.chunks = reader.array(f"{index.NAME}/chunks", found, ("u4",), (None, 2))
        self._count = len(reader.dataset(*_sender(reader, "neuron")))

    @cached_property
    def whole(self) -> Trace:
        """All of it, in memory."""
        return read_trace(self.path, self.head.simulation)

    @property
    def spikes(self) -> NDArray[np.void]:  # type: ignore[override]
        """See `Trace`; all of it is read."""
        return self.whole.spikes

    @property
    def deliveries(self) -> NDArray[np.void]:  # type: ignore[override]
        """See `Trace`; all of it is read."""
        return self.whole.deliveries

    @property
    def count(self) -> int:
        """See `Trace`."""
        return self._count

    def last_events(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `Trace`."""
        return np.asarray(self.events[steps], np.int64)

    def spike(self, seq: int) -> np.void:
        """See `Trace`. Raises InputError for a damaged file."""
        with open_hdf5(self.path, WHAT) as file:
            reader = Reader(file, self.path)
            number = int(self._some(reader.dataset(*_sender(reader, "neuron")), int(seq), 1)[0])
            if number >= self.first[-2]:  # the readout's do not fire
                refuse(reader.where(f"{index.NAME}/spikes/neuron"), "a neuron that fires", number)
            layer = int(np.searchsorted(self.first, number, side="right")) - 1
            columns = self._columns(reader, layer)
            row = self._row_of(columns["seq"], int(seq))
            found = self._rows_of(columns, layer, np.array([row]))[0]
        return found

    def around(self, layer: int, neuron: int) -> Trace:
        """See `Trace`. Raises InputError for a damaged file."""
        with open_hdf5(self.path, WHAT) as file:
            reader = Reader(file, self.path)
            own = self._own_spikes(reader, layer, neuron)
            delivered = self._delivered(reader, self._senders(layer, neuron))
        deliveries = np.zeros(len(delivered["spike"]), DELIVERY)
        for name in DELIVERY.names or ():
            deliveries[name] = delivered[name]
        seqs, at = np.unique(delivered["spike"], return_index=True)
        sent = np.zeros(len(seqs), own.dtype)
        number = delivered["neuron"][at].astype(np.int64)
        sent["seq"], sent["sign"] = seqs, delivered["sign"][at]
        sent["layer"] = np.searchsorted(self.first, number, side="right") - 1
        sent["neuron"] = number - self.first[sent["layer"]]
        spikes = np.concatenate([own, sent])
        return _Part(
            self.simulation,
            self.drive,
            self.number,
            spikes[np.argsort(spikes["seq"], kind="stable")],
            deliveries[np.argsort(deliveries["event"], kind="stable")],
            self.starts,
            self.end,
            mute=self.mute,
            about=self.about,
            parts=self.parts,
        ).of(self.events)

    def _senders(self, layer: int, neuron: int) -> NDArray[np.int64]:
        """The neurons that have a synapse to a neuron, among all, sorted."""
        found = [np.zeros(0, np.int64)]
        for synapses in incoming(self.simulation, layer, neuron):
            if synapses.source != INPUT:
                found.append(self.first[synapses.source] + np.flatnonzero(synapses.reached))
        return np.unique(np.concatenate(found))

    def _delivered(self, reader: Reader, senders: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The columns of the deliveries that these neurons sent."""
        datasets = {}
        length = None
        for name, (kind, _, _) in index.DELIVERIES.items():
            place = f"{index.NAME}/deliveries/{name}"
            found = reader.item(place)
            datasets[name] = reader.dataset(place, found, (kind,), (length,))
            length = len(datasets[name])
        begins = _chunks(length or 0)
        if len(begins) != len(self.chunks):
            refuse(reader.where(f"{index.NAME}/chunks"), len(begins), len(self.chunks))
        first, last = self.chunks.T.astype(np.int64)
        inside = np.searchsorted(senders, first) < np.searchsorted(senders, last, side="right")
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in datasets}
        for begin in begins[inside].tolist():
            neurons = self._some(datasets["neuron"], begin, index.ROWS)
            at = np.minimum(np.searchsorted(senders, neurons), len(senders) - 1)
            mine = np.flatnonzero(senders[at] == neurons)
            parts["neuron"].append(neurons[mine])
            if len(mine):
                few = slice(int(mine[0]), int(mine[-1]) + 1)
                for name in list(datasets)[1:]:
                    part = self._some(datasets[name], begin + few.start, few.stop - few.start)
                    parts[name].append(part[mine - few.start])
        columns = {
            name: np.concatenate([np.zeros(0, datasets[name].dtype), *those])
            for name, those in parts.items()
        }
        for name, end in (("spike", self.count), ("step", len(self.starts))):
            wrong = (columns[name] < 0) | (columns[name] >= end)
            if wrong.any():
                where = reader.where(f"{index.NAME}/deliveries/{name}")
                refuse(where, f"numbers from 0 to {end - 1:,}", columns[name][wrong][0])
        return columns

    def _own_spikes(self, reader: Reader, layer: int, neuron: int) -> NDArray[np.void]:
        """The spikes of a neuron."""
        if self.about["layers"][layer] not in self.paths:  # the readout
            return np.zeros(0, spike_type(self.drive.dtype, self.head.own))
        columns = self._columns(reader, layer)
        numbers = columns["node_ids"]
        rows = [np.zeros(0, np.int64)]
        for begin in range(0, len(numbers), ROWS):
            rows.append(begin + np.flatnonzero(self._some(numbers, begin, ROWS) == neuron))
        return self._rows_of(columns, layer, np.concatenate(rows))

    def _columns(self, reader: Reader, layer: int) -> dict[str, h5py.Dataset]:
        """The datasets of a layer's spikes."""
        path = self.paths[self.about["layers"][layer]]
        found: dict[str, h5py.Dataset] = {}
        length = None
        for name, (kind, _, _) in spike_kinds(self.drive.dtype, "", self.head.own).items():
            place = f"{path}/{name}"
            found[name] = reader.dataset(place, reader.item(place), (kind,), (length,))
            length = len(found[name])
        return found

    def _rows_of(
        self, columns: dict[str, h5py.Dataset], layer: int, rows: NDArray[np.int64]
    ) -> NDArray[np.void]:
        """Some spikes of a layer. rows: their places in its datasets, rising."""
        found = np.zeros(len(rows), spike_type(self.drive.dtype, self.head.own))
        found["layer"] = layer
        for begin, end in _stretches(rows):
            mine = rows[begin:end]
            first = int(mine[0])
            for name in found.dtype.names or ():
                if name != "layer":
                    dataset = columns["node_ids" if name == "neuron" else name]
                    values = self._some(dataset, first, int(mine[-1]) + 1 - first)
                    found[name][begin:end] = values[mine - first]
        ends = {"step": (0, len(self.starts)), "sign": (-1, 2), "cause": (-1, self.count)}
        for name, (least, end) in ends.items():
            values = found[name]
            wrong = (values < least) | (values >= end) | ((name == "sign") & (values == 0))
            if wrong.any():
                where = f"{self.path}: {name} of layer {self.about['layers'][layer]}"
                refuse(where, f"numbers from {least} to {end - 1:,}", int(values[wrong][0]))
        return found

    def _row_of(self, seqs: h5py.Dataset, seq: int) -> int:
        """Where a spike stands among those of its layer. seqs: the column, which rises."""
        low, high = 0, len(seqs)
        while high - low > 1:
            middle = (low + high) // 2
            if self._some(seqs, middle, 1)[0] <= seq:
                low = middle
            else:
                high = middle
        if not len(seqs) or self._some(seqs, low, 1)[0] != seq:
            refuse(f"{self.path}: {seqs.name}", f"the spike of seq {seq:,}", "none")
        return low

    def _some(self, dataset: h5py.Dataset, first: int, count: int) -> NDArray[Any]:
        """Some rows of a dataset, from `first` on."""
        return numbers_of(dataset, f"{self.path}: {dataset.name}", slice(first, first + count))

    def __repr__(self) -> str:
        return f"<StoredTrace {self.path}: image {self.number}, {self.count:,} spikes>"


class _Part(Trace):
    """What one neuron needs of a trace; its other spikes have seq, layer, neuron and sign alone."""

    def of(self, events: NDArray[np.int64]) -> _Part:  # type: ignore[override]
        """Itself. events: int64 [T], of the trace, the last before each step."""
        self.events = events
        return self

    def last_events(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `Trace`."""
        return np.asarray(self.events[steps], np.int64)

    def places(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `Trace`."""
        return np.searchsorted(self.spikes["seq"], seqs).astype(np.int64)


def _sender(reader: Reader, name: str) -> tuple[str, Any, tuple[Any], tuple[None]]:
    """What `Reader.dataset` is to be asked for a column of the index's spikes."""
    place = f"{index.NAME}/spikes/{name}"
    return place, reader.item(place), (index.SPIKES[name][0],), (None,)


def _chunks(deliveries: int) -> NDArray[np.int64]:
    """Where the chunks of the index begin. deliveries: how many there are."""
    begins = [np.zeros(0, np.int64)]
    for number, size in enumerate(index.blocks(deliveries)):
        begins.append(number * index.BLOCK + np.arange(0, size, index.ROWS))
    return np.concatenate(begins)


def _stretches(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yields (begin, end) of the rows that lie in one chunk of a file, or in next ones.

    No stretch is longer than some chunks, whose columns are held at once.
    """
    begin = 0
    for at in range(1, len(rows) + 1):
        whole = at == len(rows) or rows[at] - rows[at - 1] > index.ROWS
        if whole or rows[at] - rows[begin] >= AT_ONCE * index.ROWS:
            yield begin, at
            begin = at
