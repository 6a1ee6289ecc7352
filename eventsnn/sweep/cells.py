"""Cells: the parts of a sweep that are computed one by one, and their ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eventsnn.plugins import REGISTRIES, digest_of, registry_of
from eventsnn.sweep.made_of import digest_of_thing
from eventsnn.version import VERSION

DIGITS = 32  # hexadecimal, of an id: 128 bits
# options that may name a thing of the user's own, and its kind
OF_KIND = {
    "neuron": "model",
    "order": "order",
    "encoding": "encoding",
    "engine": "engine",
    "thresholds": "threshold rule",
}
ANN = "ann"  # the row of a group's cells that run the ANN

Options = dict[str, Any]


class Cell(NamedTuple):
    """One run's options on one part of its images; or the ANN on them.

    id: 32 hexadecimal digits, equal for cells that must give equal numbers. group: of the store.
    row: the key of its run, or ANN. first: the position of the first image. size: how many there
    are. images: their digest. network: the hash of the ANN. options: of the run.
    """

    id: str
    group: str
    row: str
    first: int
    size: int
    images: str
    network: str
    options: Options

    @property
    def words(self) -> str:
        """Which cell it is, for people."""
        what = "the ANN" if self.row == ANN else "run " + self.row[:8]
        return f"{self.group}, {what}, images {self.first} to {self.first + self.size - 1}"


def hashed(*parts: Any) -> str:
    """32 hexadecimal digits that stand for parts. parts: JSON-able."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def row_of(options: Mapping[str, Any], network: str, *more: str) -> str:
    """The key of a run: 32 hexadecimal digits for all that decides its numbers but its images.

    options: of the run, by name; one that is not there has its default. network: the ANN's hash.
    more: hashes of calibration images, of a file of thresholds, and of what is the user's own.
    """
    return hashed("run", dict(options), network, more, VERSION)


def cell_of(
    group: str,
    row: str,
    part: Sequence[Any],
    network: str,
    options: Options,
    version: str = VERSION,
    *,
    of: str = "",
) -> Cell:
    """A cell. part: (first, count, digest) of its images; the others as in `Cell`.

    version: of the eventsnn that computes it, or did; a run's key knows its own. of: the key of the
    ANN's group, as every group has the ANN's outputs; "" of a store that was made without it.
    """
    first, size, images = part
    decided = (row, network, version, *filter(None, [of])) if row == ANN else (row,)
    cell_id = hashed(*decided, images, first, size)
    return Cell(cell_id, group, row, first, size, images, network, options)


class Own(NamedTuple):
    """A thing that the user registered in this process. kind, name: as for `register`."""

    kind: str
    name: str
    thing: Any

    @property
    def digest(self) -> str:
        """Hexadecimal digits for what it is made of."""
        return digest_of_thing(self.thing)


def own_things(options: Mapping[str, Any]) -> Iterator[Own]:
    """What the user registered among the things that a run names. options: of the run."""
    for option, kind in OF_KIND.items():
        registry = registry_of(kind)
        name = str(options.get(option, "")).partition(":")[0]
        if name in registry.loaded() and name not in registry.own:
            yield Own(kind, name, registry[name])


def own_digest(options: Mapping[str, Any], memory: dict[str, str]) -> str:
    """Hexadecimal digits for all that a run has of the user's own, "" where it has nothing.

    options: of the run. memory: what was found before, by the names of things.
    """
    named = [str(options.get(option, "")).partition(":")[0] for option in OF_KIND]
    key = json.dumps([named, options.get("plugin")])
    if key not in memory:
        found = [f"{own.kind} {own.name} {own.digest}" for own in own_things(options)]
        found += [digest_of(options["plugin"])] if options.get("plugin") else []
        memory[key] = hashed(*found) if found else ""
    return memory[key]


assert set(OF_KIND.values()) <= set(REGISTRIES)
