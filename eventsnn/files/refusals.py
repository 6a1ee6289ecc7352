"""HDF5 files that are whole and cannot be read all the same: locks, and missing filters."""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from importlib import import_module
from typing import NamedTuple

import h5py

from eventsnn.exceptions import InputError

LOCKS = "HDF5_USE_FILE_LOCKING"
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
# id -> name, as HDF5's registry has them, of those that the package hdf5plugin brings
PLUGINS = {
    307: "bzip2",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32024: "SZ3",
    32026: "Blosc2",
    32028: "SPERR",
}
REPACK = "write the file again with gzip where the filter is there (h5repack -f GZIP=6 OLD NEW)"


class Refusal(NamedTuple):
    """Why a file cannot be opened. expected, found, do: as in `InputError`."""

    expected: str
    found: str
    do: str


def refusal_of(error: BaseException) -> Refusal | None:
    """What to say of a file that is locked or open elsewhere; None where that is not the reason.

    error: what h5py raised when it was to open the file.
    """
    words = str(error)
    if "unable to lock file" in words:
        code = re.search(r"errno = (\d+)", words)
        if code and int(code[1]) in NO_LOCKS:
            return Refusal(
                "an HDF5 file that can be locked while it is read",
                "a file system without locks",
                f"set the variable {LOCKS}=FALSE, or copy the file to another disk",
            )
        return Refusal(
            "an HDF5 file that nothing writes to",
            "one that another process has open for writing",
            "wait until it is closed there, or copy the file and give the copy",
        )
    if "already open for write" in words or "consistency flags" in words:
        return Refusal(
            "an HDF5 file that nothing writes to",
            "one marked as open for writing",
            "close it there; if the program that wrote it ended without doing so: h5clear -s FILE",
        )
    return None


def check_filters(dataset: h5py.Dataset, where: str) -> None:
    """Raises InputError for a dataset compressed by a filter that h5py does not have.

    The package hdf5plugin, where it is installed, is imported for one. dataset: what is to be read.
    where: what to call it in messages.
    """
    pipeline = dataset.id.get_create_plist()
    for number in range(pipeline.get_nfilters()):
        code, _, _, said = pipeline.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            with suppress(ImportError):
                import_module("hdf5plugin")
        if not h5py.h5z.filter_avail(code):
            name = PLUGINS.get(code) or said.decode("utf-8", "replace") or "without a name"
            do = f"pip install hdf5plugin, or {REPACK}" if code in PLUGINS else REPACK
            found = f"the filter {name} (id {code}), which it lacks"
            raise InputError(where, "data that this h5py can decompress", found, do)
