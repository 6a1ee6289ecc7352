"""Files that are whole or not there."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from eventsnn.exceptions import InputError


@contextmanager
def new_file(path):
    """An open binary file that gets the name `path` when the block ends well; an older file is
    replaced at once or not at all.

    Raises InputError where no file can be made, and OSError where the disk refuses later.
    """
    part = Path(path).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        file = open(part, "w+b", buffering=0)
    except OSError as error:
        raise InputError(
            path, "a file that can be written", error.strerror, "check the folder"
        ) from error
    try:
        with file:
            yield file
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):  # when all went well it is gone
            part.unlink()


@contextmanager
def new_hdf5(path):
    """Like `new_file`: an open h5py.File."""
    with new_file(path) as disk, Patient(disk) as patient, h5py.File(patient, "w") as file:
        yield file


class Patient:
    """An unbuffered binary file that HDF5 can always write to; what the disk refused is raised at
    the end of the block.

    HDF5 itself does not survive a full disk: it cannot close the file then, and crashes at the end
    of the process.
    """

    def __init__(self, file):
        self.file, self.error = file, None
        self.read, self.readinto, self.seek, self.tell = (
            file.read,
            file.readinto,
            file.seek,
            file.tell,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.error:
            raise self.error

    def write(self, data):
        rest = memoryview(data).cast("B")
        while len(rest) and not self.error:
            rest = rest[self._try(self.file.write, rest) :]
        return len(data)

    def truncate(self, size=None):
        return self._try(self.file.truncate, size)

    def flush(self):
        self._try(self.file.flush)

    def _try(self, do, *what):
        try:
            return do(*what)
        except OSError as error:
            self.error = self.error or error
