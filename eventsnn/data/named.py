"""Files of arrays that have names: .npz and HDF5; and .npy, an array alone."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.data.arrays import Array, read_arrays
from eventsnn.data.formats import (
    CONVERT,
    Found,
    Window,
    check_size,
    open_file,
    read_bytes,
    reading,
)
from eventsnn.data.ranges import checked
from eventsnn.exceptions import InputError
from eventsnn.files.reading import harmless
from eventsnn.files.refusals import check_filters
from eventsnn.files.trying import try_first

MAX_ROW = 2**26  # bytes of a row that is read to see whether it can be
WITHOUT_SPLITS = (("images", "labels"), ("x", "y"))


def read_npz(paths: list[Path], window: Window, split: str) -> Found:
    """Images and labels of an .npz file; no pickles.

    paths: the file, alone. window: positions among the split's images. split: "train" or "test".
    Returns what `arrays.read_arrays` does. Raises InputError where the file is damaged, or has no
    arrays of this split.
    """
    path = paths[0]
    with reading(path), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        images, labels = _choose_keys(lambda key: f"{key}.npy" in names, names[:8], split, path)
        return read_arrays(
            npy_array(archive, images, path),
            None if labels is None else npy_array(archive, labels, path),
            window,
        )


def read_npy(paths: list[Path], window: Window, split: str) -> Found:
    """Images of an .npy file, and the labels of the one beside it if there is one.

    That is labels.npy beside images.npy, and y_test.npy beside x_test.npy. paths: the file, alone.
    window: positions among its images. split: is not asked for. Returns what `arrays.read_arrays`
    does. Raises InputError where a file is damaged.
    """
    path = paths[0]
    name = path.name.replace("images", "labels")
    if name == path.name and name[:1] in ("x", "X"):
        name = chr(ord(name[0]) + 1) + name[1:]
    beside = path.with_name(name)
    has_labels = beside != path and beside.is_file()
    return read_arrays(npy_file(path), npy_file(beside) if has_labels else None, window)


def read_hdf5(paths: list[Path], window: Window, split: str) -> Found:
    """Images and labels of an HDF5 file.

    paths: the file, alone. window: positions among the split's images. split: "train" or "test".
    Returns what `arrays.read_arrays` does. Raises InputError where the file is damaged, has no
    arrays of this split, or leads to data in other files.
    """
    path = paths[0]

    def look() -> None:
        with h5py.File(path, "r") as file:
            for array in _hdf5_arrays(file, split, path):
                if array is not None and array.row_bytes <= MAX_ROW:
                    array.read(0, 1)
            _range_of(file, path)

    with reading(path):
        try_first(path, look, 2 * MAX_ROW, split)
        with h5py.File(path, "r") as file:
            images, labels = _hdf5_arrays(file, split, path)
            for array in images, labels:
                _try_rows(file, array, window, split, path)
            return read_arrays(images, labels, window)


def _hdf5_arrays(file: h5py.File, split: str, path: Path) -> tuple[Array, Array | None]:
    """(images, labels or None) of a split in an open file."""
    names = list(islice(file, 8))
    images, labels = _choose_keys(lambda key: find(file, key, path) is not None, names, split, path)
    return (
        hdf5_array(file, images, path),
        None if labels is None else hdf5_array(file, labels, path),
    )


def _try_rows(file: h5py.File, array: Array | None, window: Window, split: str, path: Path) -> None:
    """Tries to read the rows of a window, where a filter may do harm (`files.reading`)."""
    if array is None:
        return
    dataset = file[array.where.removeprefix(f"{path}: ")]
    if harmless(dataset) or not array.shape or array.shape[0] < 1:
        return
    start, stop = window.rows(array.shape[0], array.row_bytes, array.where)

    def rows() -> None:
        with h5py.File(path, "r") as copy:
            copy[dataset.name][start:stop]

    most = max(dataset.size * dataset.dtype.itemsize, math.prod(dataset.chunks or ()))
    size = min((stop - start) * array.row_bytes, most)
    try_first(path, rows, size, dataset.name, start, stop)


def range_in(path: Path) -> tuple[float, float] | None:
    """(lowest, highest) raw pixel that a file says its images may have, or None.

    It is the attribute `pixel_range` of an HDF5 file, or the array `pixel_range` of an .npz. path:
    of the file. Raises InputError where that is damaged, or not two numbers, the smaller first.
    """
    where = f"{path}: pixel_range"
    with reading(where):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if "pixel_range.npy" not in archive.namelist():
                    return None
                array = npy_array(archive, "pixel_range", path)
                return checked(_two(array.shape, array.dtype, lambda: array.read(0, 2)), where)
        with h5py.File(path, "r") as file:
            return _range_of(file, where)


def _range_of(file: h5py.File, where: object) -> tuple[float, float] | None:
    """`range_in` an open HDF5 file. where: for messages."""
    if "pixel_range" not in file.attrs:
        return None
    kept = file.attrs.get_id("pixel_range")
    read = partial(file.attrs.get, "pixel_range")
    return checked(_two(kept.shape, kept.dtype, read), str(where))


def _two(shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[], Any]) -> list[Any]:
    """What `read` gives, if it is two numbers; else nothing, unread."""
    return np.asarray(read()).tolist() if shape == (2,) and dtype.kind in "iuf" else []


def _choose_keys(
    has: Callable[[str], bool], names: Sequence[str], split: str, where: object
) -> tuple[str, str | None]:
    """(key of the images, key of the labels or None) of a split.

    has: whether a file has a key. names: some of what there is, for the message.
    """
    split_set = any(has(images) for s in ("train", "test") for images, _ in _keys_of(s))
    for images, labels in _keys_of(split) if split_set else WITHOUT_SPLITS:
        if has(images):
            return images, labels if has(labels) else None
    expected = f"x_{split} and y_{split}, {split}/images and {split}/labels, or images and labels"
    do = "ask for the other split" if split_set else CONVERT
    raise InputError(where, expected, ", ".join(names) or "no array", do)


def _keys_of(split: str) -> tuple[tuple[str, str], ...]:
    """(images, labels): the keys that a split may have."""
    return (
        (f"x_{split}", f"y_{split}"),
        (f"{split}/images", f"{split}/labels"),
        (f"{split}/x", f"{split}/y"),
    )


def npy_array(archive: zipfile.ZipFile, key: str, path: Path) -> Array:
    """The `Array` of a .npy member.

    archive: open. key: its name without .npy. path: of the archive. Raises InputError for a damaged
    one.
    """
    member = f"{key}.npy"
    stored = archive.getinfo(member).file_size
    return _npy(lambda: archive.open(member), stored, f"{path}: {key}")


def npy_file(path: Path) -> Array:
    """The `Array` of a .npy file. path: of it. Raises InputError for a damaged one."""
    return _npy(lambda: open_file(path), path.stat().st_size, str(path))


def _npy(opened: Callable[[], AbstractContextManager[IO[bytes]]], stored: int, where: str) -> Array:
    """The `Array` of a .npy file or member; its header is read now, its rows later.

    opened: opens it. stored: its size in bytes. where: what to call it in messages.
    """
    with reading(where), opened() as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            expected = "an .npy array of version 1.0 or 2.0"
            raise InputError(where, expected, version, "save it with numpy.savez")
        begin = stream.tell()
    if dtype.hasobject:
        do = "save the array as uint8, float or integers"
        raise InputError(where, "numbers", "Python objects", do)
    size = math.prod(shape) * dtype.itemsize
    check_size(size, where)
    if stored != begin + size:
        expected = f"{begin + size:,} bytes for {dtype} {list(shape)}"
        raise InputError(where, expected, f"{stored:,}", "the file may be damaged")

    def read(start: int, stop: int) -> NDArray[Any]:
        # in Fortran order a row is scattered over the whole array
        low, high = (0, shape[0]) if fortran else (start, stop)
        row = size // shape[0]
        with reading(where), opened() as stream:
            data = read_bytes(stream, begin + low * row, (high - low) * row, where)
            # at the end zip compares its checksum
            stream.read(1)
        flat = np.frombuffer(data, dtype)
        array = flat.reshape((high - low, *shape[1:]), order="F" if fortran else "C")
        return array[start - low : stop - low]

    return Array(where, shape, dtype, read)


def find(file: h5py.File, key: str, path: Path) -> Any:
    """The object called `key`, or None; links are refused, for they may lead out of the file.

    file: open. key: names between slashes. path: of the file, for messages.
    """
    found = file
    for name in key.split("/"):
        link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            where = f"{path}: {key}"
            expected = "data in the file itself"
            raise InputError(where, expected, "a soft or external link", "copy the data in")
        found = found[name]
    return found


def hdf5_array(file: h5py.File, key: str, path: Path) -> Array:
    """The `Array` of a dataset whose data lie in the file itself.

    file: open. key: names between slashes. path: of the file. Raises InputError for anything else.
    """
    dataset = find(file, key, path)
    where = f"{path}: {key}"
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(where, "a dataset", f"a {type(dataset).__name__}", "rename the arrays")
    with reading(where):
        if dataset.is_virtual or dataset.external:
            expected = "data in the file itself"
            raise InputError(where, expected, "a virtual or external dataset", "copy the data in")
        check_filters(dataset, where)
        if dataset.id.get_storage_size() == 0:
            found = f"nothing stored for shape {dataset.shape}"
            raise InputError(where, "at least one image", found, "store the images first")
        shape = dataset.shape or ()
        dtype = dataset.dtype

    def read(start: int, stop: int) -> NDArray[Any]:
        with reading(where):
            return dataset[start:stop]

    return Array(where, shape, dtype, read)
