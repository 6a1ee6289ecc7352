"""What a reader of trained networks is, and what it is given.

A reader from another package is an entry point of the group `eventsnn.readers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError, one_line
from eventsnn.files.archives import names_in
from eventsnn.registry import check_has

START = 1024  # how many of a file's first bytes a reader is shown
MAX_NAMES = 1000  # of those at an HDF5 file's root or in an archive, that a reader is shown


@dataclass(frozen=True)
class File:
    """A file as readers see it.

    path: as it was given. start: its first bytes, at most START. hdf5: the file, open, where it is
    HDF5; otherwise None. names: what stands at its root then, at most MAX_NAMES. output: the name
    of the output that is meant, for a kind that takes one; None: the only one.
    """

    path: Path | str
    start: bytes
    hdf5: h5py.File | None = None
    names: tuple[str, ...] = ()
    output: str | None = None

    @property
    def name(self) -> str:
        """The last part of the path, which messages begin with."""
        return Path(self.path).name

    @cached_property
    def archived(self) -> list[str]:
        """The first names in a zip archive; none where it is damaged or no such file."""
        return names_in(self.path, MAX_NAMES) if self.start.startswith(b"PK") else []


class Reader(NamedTuple):
    """A kind of file, and how the network in it is read.

    words: what such a file is, "an ONNX model" for example. told: function of a `File`, whether it
    is one; it goes by the content, and sees files of every kind. read: function of (`File`, arch)
    that returns the `Graph`; None for a kind that is known and cannot be read. takes_arch: whether
    the architecture may come from elsewhere (--arch); otherwise arch is None. do: what to do about
    a kind that cannot be read, or "". takes_output: whether one of several outputs may be chosen by
    its name (`File.output`).

    A reader raises InputError for a file that is not as it should be.
    """

    words: str
    told: Callable[[File], bool]
    read: Callable[[File, str | None], Graph] | None = None
    takes_arch: bool = False
    do: str = ""
    takes_output: bool = False

    @property
    def defined_by(self) -> Callable[[File], bool]:
        """The function that tells where this reader comes from."""
        return self.told


def check_reader(name: str, thing: Any) -> None:
    """Raises InputError for what cannot be a reader.

    name: the reader's. thing: a `Reader`, or anything with its fields.
    """
    where = f"reader {name!r}"
    check_has(where, thing, Reader)
    do = "see help(eventsnn.readers.Reader)"
    words = thing.words
    if not isinstance(words, str) or not words or words != one_line(words):
        raise InputError(where, "words that say what the file is, one line", repr(words), do)
    if not callable(thing.told):
        raise InputError(where, "told, a function of a File", repr(thing.told), do)
    if thing.read is not None and not callable(thing.read):
        raise InputError(where, "read, a function of (File, arch), or None", repr(thing.read), do)
    for field in "takes_arch", "takes_output":
        value = getattr(thing, field)
        if not isinstance(value, bool):
            raise InputError(where, f"{field}, True or False", repr(value), do)
    if not isinstance(thing.do, str) or (thing.read is None and not thing.do):
        expected = "do, text on what to do with files that cannot be read"
        raise InputError(where, expected, repr(thing.do), do)
