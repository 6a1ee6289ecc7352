"""What a trace file holds, in which types and units; `files` writes it and `reading` reads it.

A file is SONATA's (developer guide, "Spike file format"), and more: /spikes has a group for each
layer that was kept, with `timestamps` and `node_ids` as SONATA has them, plain, and further columns
beside them, compressed. A group's name is the layer's, percent-encoded as in URLs, where it has
characters that a name in HDF5 cannot have; its attribute `layer` is the name itself. Version 1
was no SONATA: it took names as paths, and compressed all columns. Versions 1 and 2 called the order
`priority` by the name `random`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike

from eventsnn.simulation.arithmetic import Arithmetic
from eventsnn.trace.trace import COLUMNS, DELIVERY, own_columns

FORMAT = "eventsnn.trace"
VERSION = 3
VERSIONS = (1, 2, VERSION)  # that are read

# of SONATA's files
MAGIC = np.uint32(0x0A7A)
SONATA_VERSION = np.array([0, 1], np.uint32)
SORTINGS = {"none": 0, "by_id": 1, "by_time": 2}
# what other programs read; some of them cannot read what is compressed
PLAIN = ("timestamps", "node_ids")

MOST_TEXT = 60_000  # bytes of an attribute of fixed length

# {column: (dtype, unit, description)}
Kinds = dict[str, tuple[DTypeLike, str, str]]

# (unit, description) of what a file has beside its columns; charges have that of potentials
WORDS = {
    "starts": ("ticks", "when each step began; a barrier may have delayed it"),
    "mute": ("", "1: a neuron whose spikes are neither sent nor counted (SRP), layer after layer"),
    "inputs": (
        "",
        "input events: step, ticks after its start, input's number (channels last), sign",
    ),
    "parts": (
        "",
        "with spread drive, of each part of each step's drive: the tick at which it came, the "
        "events taken from the queue and the spikes fired before it",
    ),
}


def unit_of(arithmetic: Arithmetic) -> str:
    """The unit of potentials and charges (semantics, section 2): q, or a part of it.

    arithmetic: the simulation's.
    """
    q = "the charge of one spike"
    return q if arithmetic.dtype.kind == "f" else f"2^-{arithmetic.bits} of {q}"


def drive_words(arithmetic: Arithmetic) -> str:
    """What the drive of a file is. arithmetic: the simulation's."""
    unit = f"2^{arithmetic.readout_exponent - arithmetic.bits}"
    return (
        "charge that arrives at every neuron at the beginning of each step (with spread drive: in "
        f"parts), layer after layer; the readout's in {unit} of the ANN's output"
    )


def spike_kinds(potential: np.dtype[Any], unit: str, own: Sequence[str] = ()) -> Kinds:
    """The columns of spikes.

    potential: the dtype of potentials. unit: theirs. own: names of the model's own states.
    """
    kinds: Kinds = {}
    for name, (kind, words, description) in COLUMNS.items():
        charge = kind == "v"
        kinds[name] = (potential if charge else kind, unit if charge else words, description)
    for name in own_columns(own):
        kinds[name] = (potential, unit, "a state of the model's own")
    return kinds


def delivery_kinds() -> Kinds:
    """The columns of deliveries."""
    kinds: Kinds = {}
    for name in DELIVERY.names or ():
        kinds[name] = (DELIVERY[name], "", f"{name}, in the order taken from the queue")
    return kinds


def put_text(where: h5py.Group, key: str, text: str) -> None:
    """Writes a text as an attribute, of fixed length where HDF5 can hold it.

    Then reading it needs no search for how long it says it is (`files.reading.attribute`).

    where: whose attribute. key: its name.
    """
    data = text.encode()
    if not 0 < len(data) <= MOST_TEXT:
        where.attrs[key] = text
    else:
        where.attrs.create(key, data, dtype=h5py.string_dtype("utf-8", len(data)))


def as_population(group: h5py.Group) -> None:
    """Says of a group of spikes, in the order of emission, what SONATA wants to be told.

    group: with its datasets `timestamps` and `node_ids`.
    """
    sorting = h5py.enum_dtype(SORTINGS, "u1")
    group.attrs.create("sorting", SORTINGS["by_time"], dtype=sorting)
    group["timestamps"].attrs["units"] = "ms"


def as_sonata(file: h5py.File) -> None:
    """Says of a file what SONATA wants to be told. file: open for writing."""
    file.attrs["magic"] = MAGIC
    file.attrs["version"] = SONATA_VERSION
