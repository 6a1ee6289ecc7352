"""An index in a whole trace file: the deliveries of each neuron, found without reading the rest.

Deliveries stand there once more: each BLOCK of them sorted by the neuron that sent it, in chunks of
ROWS, whose ends `chunks` tells. `spikes` has the neuron and sign of each spike by its seq, `events`
the last event before each step. What is held in memory does not grow with the trace.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event import layout
from eventsnn.files.columns import Columns
from eventsnn.trace.format import Kinds
from eventsnn.trace.trace import DELIVERY, delivery_columns

NAME = "index"
BLOCK = 2**19  # deliveries that are sorted together
ROWS = 2**12  # of a chunk; a divisor of BLOCK
RECENT = 2**19  # spikes whose neurons stay in memory

SPIKES: Kinds = {
    "neuron": ("u4", "", "the neuron that fired, among those of all layers; by seq"),
    "sign": ("i1", "", "+1, or -1 where a spike is taken back"),
}
DELIVERIES: Kinds = {
    "neuron": ("u4", "", "the neuron that sent it, among those of all layers; sorted in blocks"),
    "sign": SPIKES["sign"],
    **{name: (DELIVERY[name], "", f"{name}, as in /deliveries") for name in DELIVERY.names or ()},
}
CHUNKS = "the first and the last neuron of each chunk of deliveries"
EVENTS = "the last event before each step; 0: none"


class Index:
    """Writes the index of a trace file.

    file: open, without one. steps: of the run.
    """

    def __init__(self, file: h5py.File, steps: int) -> None:
        group = file.create_group(NAME)
        group.attrs["block"] = BLOCK
        self.group = group
        made = Columns.create(group.create_group("spikes"), SPIKES, rows=ROWS)
        self.of_spikes, self.spikes_read = Columns(made, {}), made
        made = Columns.create(group.create_group("deliveries"), DELIVERIES, rows=ROWS)
        self.of_deliveries = Columns(made, {})
        self.last = np.zeros(steps, np.int64)
        # of the spikes from seq `begin` on; those up to seq `written` are in the file
        self.begin = self.written = 0
        self.neurons, self.signs = np.zeros(0, np.uint32), np.zeros(0, np.int8)
        self.waiting: list[NDArray[np.int64]] = []
        self.chunks: list[NDArray[np.uint32]] = []

    def spikes(self, records: NDArray[np.int64]) -> None:
        """Takes the next spikes, int64 [S, 7], as the kernel records them."""
        self._see(records[:, layout.S_STEP], records[:, layout.S_EVENT])
        neurons = records[:, layout.S_NEURON].astype(np.uint32)
        self.neurons = np.concatenate([self.neurons, neurons])
        self.signs = np.concatenate([self.signs, records[:, layout.S_SIGN].astype(np.int8)])
        end = self.begin + len(self.neurons)
        self._write_spikes(end - end % ROWS)
        spare = self.written - self.begin - RECENT
        if spare > RECENT:
            self.neurons, self.signs = self.neurons[spare:].copy(), self.signs[spare:].copy()
            self.begin += spare

    def _write_spikes(self, end: int) -> None:
        """Writes the spikes up to this seq."""
        if end > self.written:
            new = slice(self.written - self.begin, end - self.begin)
            self.of_spikes.append({"neuron": self.neurons[new], "sign": self.signs[new]})
            self.written = end

    def deliveries(self, records: NDArray[np.int64]) -> None:
        """Takes the next deliveries, int64 [D, 5], of spikes that came before."""
        self._see(records[:, layout.D_STEP], records[:, layout.D_EVENT])
        self.waiting.append(records)
        while sum(map(len, self.waiting)) >= BLOCK:
            joined = np.concatenate(self.waiting)
            self.waiting = [joined[BLOCK:].copy()]
            self._write_block(joined[:BLOCK])

    def _write_block(self, records: NDArray[np.int64]) -> None:
        """Writes a block of deliveries, sorted by the neurons that sent them."""
        neurons, signs = self._senders(records[:, layout.D_SPIKE])
        columns = sorted_block(neurons, signs, delivery_columns(records))
        self.chunks.append(ends_of(columns["neuron"]))
        self.of_deliveries.append(columns)

    def _senders(self, seqs: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """(neurons, signs) of spikes, some of which are in the file alone."""
        place = np.maximum(seqs - self.begin, 0)
        neurons, signs = self.neurons[place], self.signs[place]
        old = np.flatnonzero(seqs < self.begin)
        chunk = seqs[old] // ROWS
        order = np.argsort(chunk, kind="stable")
        for of_chunk in np.split(old[order], np.flatnonzero(np.diff(chunk[order])) + 1):
            if len(of_chunk):
                first = int(seqs[of_chunk[0]]) // ROWS * ROWS
                at = seqs[of_chunk] - first
                neurons[of_chunk] = self.spikes_read["neuron"][first : first + ROWS][at]
                signs[of_chunk] = self.spikes_read["sign"][first : first + ROWS][at]
        return neurons, signs

    def _see(self, steps: NDArray[np.int64], events: NDArray[np.int64]) -> None:
        """Keeps the last event of each step; both rise."""
        if len(steps):
            ends = np.append(np.flatnonzero(np.diff(steps)), len(steps) - 1)
            self.last[steps[ends]] = np.maximum(self.last[steps[ends]], events[ends])

    def finish(self) -> None:
        """Writes what is held back."""
        self._write_spikes(self.begin + len(self.neurons))
        joined = np.concatenate([np.zeros((0, 5), np.int64), *self.waiting])
        if len(joined):
            self._write_block(joined)
        chunks = np.concatenate([np.zeros((0, 2), np.uint32), *self.chunks])
        for name, values, words in (
            ("chunks", chunks, CHUNKS),
            ("events", before_each(self.last), EVENTS),
        ):
            dataset = self.group.create_dataset(name, data=values)
            dataset.attrs["unit"], dataset.attrs["description"] = "", words

    def __repr__(self) -> str:
        return f"<Index of {self.written:,} spikes>"


def sorted_block(
    neurons: NDArray[Any], signs: NDArray[Any], deliveries: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The columns of a block of D deliveries as they stand in the index.

    neurons, signs: [D], of the spikes that were delivered. deliveries: the columns of `DELIVERY`.
    """
    order = np.argsort(neurons, kind="stable")
    columns = {"neuron": neurons, "sign": signs, **deliveries}
    return {name: values[order] for name, values in columns.items()}


def ends_of(neurons: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The first and last of each chunk of a block, uint32 [chunks, 2]. neurons: sorted, [D]."""
    first = np.arange(0, len(neurons), ROWS)
    last = np.minimum(first + ROWS, len(neurons)) - 1
    return np.stack([neurons[first], neurons[last]], axis=1)


def before_each(last: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last event before each step, int64 [T]. last: int64 [T], that of each step, 0: none."""
    return np.append(0, np.maximum.accumulate(last)[:-1])


def blocks(deliveries: int) -> list[int]:
    """How many deliveries each block has. deliveries: in all."""
    return [min(BLOCK, deliveries - first) for first in range(0, deliveries, BLOCK)]


def expected(
    first: NDArray[np.int64],
    spikes: dict[str, NDArray[Any]],
    deliveries: dict[str, NDArray[Any]],
    steps: int,
) -> dict[str, NDArray[Any]]:
    """The index of a whole trace, by path.

    first: int64 [L + 1], the first neuron of each layer. spikes, deliveries: the fields of
    `Trace.spikes` and `Trace.deliveries`. steps: of the run.
    """
    neurons, signs = first[spikes["layer"]] + spikes["neuron"], spikes["sign"]
    found = {"spikes/neuron": neurons, "spikes/sign": signs}
    of = deliveries["spike"]
    parts, chunks = [], [np.zeros((0, 2), np.uint32)]
    for number, size in enumerate(blocks(len(of))):
        rows = slice(number * BLOCK, number * BLOCK + size)
        mine = {name: values[rows] for name, values in deliveries.items()}
        parts.append(sorted_block(neurons[of[rows]], signs[of[rows]], mine))
        chunks.append(ends_of(parts[-1]["neuron"]))
    for name in DELIVERIES:
        empty = np.zeros(0, np.int64)
        found[f"deliveries/{name}"] = np.concatenate([empty, *(part[name] for part in parts)])
    last = np.zeros(steps, np.int64)
    for records in (spikes, deliveries):
        np.maximum.at(last, records["step"], records["event"])
    return {**found, "chunks": np.concatenate(chunks), "events": before_each(last)}
