"""Files that are whole or not there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import h5py

from eventsnn.exceptions import InputError

R = TypeVar("R")


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new unbuffered binary file, open for reading and writing inside the block.

    path: the name it gets when the block ends well. An older file of that name is replaced at once
    or not at all. Raises InputError where no file can be made, and OSError where the disk refuses
    later.
    """
    part = Path(path).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        file = open(part, "w+b", buffering=0)
    except OSError as error:
        expected = "a file that can be written"
        raise InputError(path, expected, error.strerror, "check the folder") from error
    try:
        with file:
            yield file
        os.replace(part, path)
    finally:
        # when all went well it is gone
        with suppress(FileNotFoundError):
            part.unlink()


@contextmanager
def new_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """A new HDF5 file, open inside the block.

    path, errors: as in `new_file`.
    """
    with new_file(path) as disk, Patient(disk) as patient, h5py.File(patient, "w") as file:
        yield file


def path_step(name: str) -> str:
    """A name as one step of an HDF5 path, percent-encoded as in URLs.

    What would separate steps, or mean "here", is encoded; `urllib.parse.unquote` reads it. name: a
    text that is not empty.
    """
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


class Patient:
    """An unbuffered binary file that HDF5 can always write to.

    HDF5 itself does not survive a full disk: it cannot close the file then, and crashes at the end
    of the process. So the first error of the disk is kept in `error`, and raised at the end of the
    block.

    file: an unbuffered file, open for reading and writing.
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        self.error: OSError | None = None
        self.read = file.read
        self.readinto = file.readinto
        self.seek = file.seek
        self.tell = file.tell

    def __enter__(self) -> Patient:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.error:
            raise self.error

    def write(self, data: Any) -> int:
        """Write as much of `data` (bytes, or a buffer of bytes) as the disk takes.

        Returns the length of all of `data`, also where the disk has refused.
        """
        rest = memoryview(data).cast("B")
        while len(rest) and not self.error:
            rest = rest[self._try(self.file.write, rest) :]
        return len(data)

    def truncate(self, size: int | None = None) -> int | None:
        """Make the file `size` bytes long (None: as long as its position).

        Returns the size, or None where the disk has refused.
        """
        return self._try(self.file.truncate, size)

    def flush(self) -> None:
        """Flush the file; does nothing where the disk has refused."""
        self._try(self.file.flush)

    def _try(self, do: Callable[..., R], *what: object) -> R | None:
        """What `do` returns, or None where it raises OSError, which is kept if it is the first."""
        try:
            return do(*what)
        except OSError as error:
            self.error = self.error or error
            return None
