"""Files of events, one recording each: AEDAT 4, HDF5, .npy, .npz and N-MNIST's .bin."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.data import aedat
from eventsnn.data.arrays import Array
from eventsnn.data.formats import check_size, open_file, peek, read_bytes, reading
from eventsnn.data.named import find, hdf5_array, npy_array, npy_file
from eventsnn.exceptions import InputError
from eventsnn.files.trying import try_first

ENDS = (".aedat4", ".h5", ".hdf5", ".npy", ".npz", ".bin")
RECORD = np.dtype([("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("p", "i1")])
NAMES = {
    "t": ("t", "ts", "time", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity", "polarities"),
}
# where HDF5 files have them: Prophesee's, DSEC's and most others', or at the root
GROUPS = ("CD/events", "events", "")
FIELDS = "t, x, y and p"
DO = "store a structured array with fields t (microseconds), x, y, p: numpy.save('events.npy', …)"
MAX_PLACE = 2**15
MAX_TIME = 2**53  # microseconds
TURN = 2**13  # microseconds that N-MNIST's overflow stands for
OVERFLOW = 240  # its y
Sensor = tuple[int, int] | None


def read_events(path: Path) -> tuple[NDArray[Any], Sensor]:
    """(events of a recording in the order of time, records of RECORD; width and height of its
    sensor, or None where the file does not say).

    path: the file. Times are microseconds from the first event, polarities 0 and 1. Raises
    InputError for a file that cannot be read, and for numbers that are none of events.
    """
    head = peek(path, 16)
    sensor: Sensor = None
    if head.startswith(aedat.START[:10]):
        found, sensor = aedat.read_aedat(path)
        return _ordered({name: found[name] for name in "txyp"}, path), sensor
    if head.startswith(b"\x89HDF"):
        return _ordered(_of_hdf5(path), path), None
    if head.startswith(b"\x93NUMPY"):
        return _ordered(_of_record(npy_file(path)), path), None
    if head.startswith(b"PK"):
        return _ordered(_of_npz(path), path), None
    if path.name.lower().endswith(".bin"):
        return _ordered(_of_atis(path), path), None
    found_words = f"a file starting with {head[:8]!r}" if head else "an empty file"
    expected = "events as .aedat4, HDF5, .npy, .npz, or N-MNIST's .bin"
    raise InputError(path, expected, found_words, DO)


def _ordered(columns: Mapping[str, NDArray[Any]], path: Path) -> NDArray[Any]:
    """Records of RECORD in the order of time. columns: t, x, y, p of any numbers."""
    count = len(columns["t"])
    for name, values in columns.items():
        if values.shape != (count,) or values.dtype.kind not in "iufb":
            expected = f"whole numbers, as many {name} as t ({count:,})"
            raise InputError(path, expected, f"{values.dtype} {list(values.shape)}", DO)
    whole = {name: _whole(columns[name], name, path) for name in "txyp"}
    for name in "xy":
        _within(whole[name], 0, MAX_PLACE - 1, name, path)
    _within(whole["p"], -1, 1, "p", path)
    _within(whole["t"], -MAX_TIME, MAX_TIME, "t", path)
    if (whole["p"] == -1).any() and (whole["p"] == 0).any():
        raise InputError(path, "p of two kinds: 0 and 1, or -1 and 1", "-1, 0 and 1", DO)
    events = np.zeros(count, RECORD)
    for name in "xy":
        events[name] = whole[name]
    events["t"] = whole["t"] - (whole["t"].min() if count else 0)
    events["p"] = whole["p"] > 0
    return events[np.argsort(events["t"], kind="stable")]


def _whole(values: NDArray[Any], name: str, path: Path) -> NDArray[np.int64]:
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):
            values = values.astype(np.float64)
        wrong = ~(np.abs(values) <= MAX_TIME) | (values != np.floor(values))
        if wrong.any():
            expected = f"whole numbers for {name}" + (", microseconds" if name == "t" else "")
            raise InputError(path, expected, values[wrong][0], DO)
    elif values.dtype.kind == "u" and values.size and values.max() > MAX_TIME:
        raise InputError(path, f"{name} up to 2^53", values.max(), DO)
    return values.astype(np.int64)


def _within(values: NDArray[np.int64], low: int, high: int, name: str, path: Path) -> None:
    if values.size and (values.min() < low or values.max() > high):
        wrong = values[(values < low) | (values > high)][0]
        raise InputError(path, f"{name} from {low:,} to {high:,}", f"{wrong:,}", DO)


def _all(array: Array) -> NDArray[Any]:
    """All rows of an array that is not too large."""
    if len(array.shape) != 1:
        found = f"shape {list(array.shape)}"
        raise InputError(array.where, f"one axis, with {FIELDS} by name", found, DO)
    check_size(array.shape[0] * array.row_bytes, array.where)
    return array.read(0, array.shape[0]) if array.shape[0] else np.zeros(0, array.dtype)


def _of_record(array: Array) -> dict[str, NDArray[Any]]:
    """The columns of a structured array."""
    names = array.dtype.names or ()
    chosen = {key: next((n for n in NAMES[key] if n in names), None) for key in NAMES}
    missing = [key for key, name in chosen.items() if name is None]
    if missing:
        found = f"fields {', '.join(names)}" if names else f"{array.dtype} {list(array.shape)}"
        raise InputError(array.where, f"a structured array with fields {FIELDS}", found, DO)
    rows = _all(array)
    return {key: rows[name] for key, name in chosen.items()}


def _of_columns(get: Callable[[str], Array | None], where: object) -> dict[str, NDArray[Any]]:
    """The columns of four arrays. get: name -> the array, or None."""
    found = {}
    for key, names in NAMES.items():
        array = next((a for a in map(get, names) if a is not None), None)
        if array is None:
            raise InputError(where, f"arrays {FIELDS}", f"no {' or '.join(names)}", DO)
        found[key] = _all(array)
    return found


def _of_npz(path: Path) -> dict[str, NDArray[Any]]:
    with reading(path), zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
        if "events" in names:
            return _of_record(npy_array(archive, "events", path))

        def get(name: str) -> Array | None:
            return npy_array(archive, name, path) if name in names else None

        return _of_columns(get, path)


def _of_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    with reading(path):
        try_first(path, partial(_columns_of_hdf5, path), path.stat().st_size, "events")
        return _columns_of_hdf5(path)


def _columns_of_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    with h5py.File(path, "r") as file:
        for group in GROUPS:
            item = find(file, group, path) if group else file
            if isinstance(item, h5py.Dataset):
                return _of_record(hdf5_array(file, group, path))
            if isinstance(item, h5py.Group) and any(n in item for n in NAMES["x"]):
                inside = f"{group}/" if group else ""

                def get(name: str, inside: str = inside) -> Array | None:
                    there = isinstance(find(file, inside + name, path), h5py.Dataset)
                    return hdf5_array(file, inside + name, path) if there else None

                return _of_columns(get, path)
    places = "CD/events, events or the root"
    raise InputError(path, f"{FIELDS} in {places}", "none", DO)


def _of_atis(path: Path) -> dict[str, NDArray[Any]]:
    """N-MNIST's records of 40 bits: x, y, then 1 bit of polarity and 23 of microseconds."""
    size = path.stat().st_size
    if size % 5:
        raise InputError(path, "records of 5 bytes", f"{size:,} bytes", "the file is truncated")
    check_size(size, path)
    with open_file(path) as stream:
        raw = np.frombuffer(read_bytes(stream, 0, size, path), np.uint8).reshape(-1, 5)
    x, y, high, middle, low = raw.T.astype(np.int64)
    time = ((high & 127) << 16) | (middle << 8) | low
    overflows = y == OVERFLOW
    time += TURN * np.cumsum(overflows)
    kept = ~overflows
    return {"t": time[kept], "x": x[kept], "y": y[kept], "p": (high >> 7)[kept]}
