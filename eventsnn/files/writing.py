"""Files that are whole or not there."""
from __future__ import annotations

import os
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from eventsnn.exceptions import InputError
from eventsnn.runs.folder import Patient


@contextmanager
def new_file(path):
    """An open binary file that gets the name `path` when the block ends well; an older file is replaced at once or not at all.

    Raises InputError where no file can be made, and OSError where the disk refuses later.
    """
    part = Path(path).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        file = open(part, "w+b", buffering=0)
    except OSError as error:
        raise InputError(path, "a file that can be written", error.strerror, "check the folder") from error
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
