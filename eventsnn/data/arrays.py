"""Images and labels as arrays, whose shapes are known before their rows are read; IDX files."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.data.formats import Found, Window, check_size, open_file, peek, read_bytes, reading
from eventsnn.exceptions import InputError

MAX_LABEL = 2**31 - 1


class Array(NamedTuple):
    """An array of a file whose rows are not read yet.

    where: what to call it in messages. shape, dtype: of the whole array. read: (start, stop) -> the
    rows between them.
    """

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[int, int], NDArray[Any]]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def read_arrays(images: Array, labels: Array | None, window: Window) -> Found:
    """The window's rows of two arrays, checked.

    images: uint8 or floats, [N, H, W], [N, C, H, W] or [N, H, W, C], or vectors [N, K], which
    become [N, K, 1, 1]. labels: whole numbers [N] or
    [N, 1], or one-hot [N, K]; None: there are none. window: positions among the N. Returns pixels
    uint8 or float32 [n, C, H, W], labels int64 [n] or None, and no class names. Raises InputError
    for anything else.
    """
    _check_pixels(images)
    start, stop = window.rows(images.shape[0], images.row_bytes, images.where)
    numbers = None
    if labels is not None:
        _check_labels(labels, images.shape[0])
        check_size((stop - start) * labels.row_bytes, labels.where)
        numbers = _to_labels(labels.read(start, stop), labels.where)
    return _to_pixels(images.read(start, stop), images.where), numbers, ()


def to_labels(array: NDArray[Any], count: int, where: str) -> NDArray[np.int64]:
    """Labels in memory as int64 [N].

    array: whole numbers [N] or [N, 1], or one-hot [N, K], of any dtype. count: N. where: what to
    call them. Raises InputError for anything else.
    """
    _check_labels(Array(where, array.shape, array.dtype, lambda a, b: array[a:b]), count)
    return _to_labels(array, where)


def _check_pixels(images: Array) -> None:
    """Refuse shapes and types that images cannot have."""
    shape = images.shape
    dtype = images.dtype
    floats = dtype.kind == "f" and dtype.itemsize in (2, 4, 8)
    if dtype != np.uint8 and not floats:
        expected = "pixels of uint8, float16, float32 or float64"
        do = "convert the pixels"
        if dtype.names is not None:
            do = "recorded events are given with ⟦encoding=events⟧ and ⟦time_scale⟧"
        raise InputError(images.where, expected, dtype, do)
    if len(shape) not in (2, 3, 4) or min(shape[1:]) < 1:
        expected = "shape [N, H, W], [N, C, H, W] or [N, H, W, C], or vectors [N, K]"
        raise InputError(images.where, expected, list(shape), "reshape it")


def _check_labels(labels: Array, count: int) -> None:
    """Refuse shapes and types that the labels of `count` images cannot have."""
    where = labels.where
    if labels.dtype.kind not in "iufb" or labels.dtype.itemsize > 8:
        expected = "labels that are whole numbers"
        raise InputError(where, expected, labels.dtype, "convert the labels")
    if len(labels.shape) not in (1, 2) or min(labels.shape) < 1:
        expected = "labels [N], [N, 1] or one-hot [N, K]"
        raise InputError(where, expected, list(labels.shape), "reshape them")
    if labels.shape[0] != count:
        expected = f"a label for each of {count:,} images"
        do = "pair the images with their own labels"
        raise InputError(where, expected, f"{labels.shape[0]:,} labels", do)


def _to_pixels(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Pixels of any accepted shape and dtype -> uint8 or float32 [N, C, H, W]."""
    if array.dtype != np.uint8:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            found = "NaN, infinity or an overflow"
            raise InputError(where, "finite pixels within float32", found, "repair the images")
    if array.ndim == 2:
        array = array[:, :, None, None]
    elif array.ndim == 3:
        array = array[:, None]
    elif array.shape[3] in (1, 3) and array.shape[1] not in (1, 3):
        array = np.moveaxis(array, 3, 1)
    return np.ascontiguousarray(array)


def _to_labels(array: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Labels [N], [N, 1] or one-hot [N, K] of any accepted dtype -> int64 [N]."""
    if array.ndim == 2 and array.shape[1] > 1:
        ones = array == 1
        if not ((ones.sum(1) == 1) & ((array != 0).sum(1) == 1)).all():
            expected = "one-hot labels: a single 1 in each row, else 0"
            raise InputError(where, expected, "another row", "give labels [N]")
        return ones.argmax(1).astype(np.int64)
    array = array.reshape(-1)
    wrong = ~((array >= 0) & (array <= MAX_LABEL) & (array == np.floor(array)))
    if wrong.any():
        expected = f"whole numbers from 0 to {MAX_LABEL:,}"
        raise InputError(where, expected, array[wrong][0], "number the classes from 0")
    return array.astype(np.int64)


# IDX: a big-endian header (0, 0, type, number of axes, sizes), then bytes.


def fits_idx(path: Path) -> bool:
    """Whether an unpacked file has the header of IDX images and the size that header declares.

    path: the file.
    """
    head = peek(path, 16)
    if head[:4] != b"\0\0\x08\x03" or len(head) < 16:
        return False
    return path.stat().st_size == 16 + math.prod(struct.unpack(">3I", head[4:]))


def read_idx(paths: list[Path], window: Window, split: str) -> Found:
    """One IDX images file, gzipped or not, and the labels file beside it if there is one.

    paths: the file, alone. window: positions among its images. split: its name, for messages.
    Returns pixels uint8 [n, 1, H, W], labels int64 [n] or None, and no class names. Raises
    InputError where a file is damaged, and where `paths` has several.
    """
    path = paths[0]
    if len(paths) > 1:
        expected = f"one IDX images file of the split {split}"
        found = ", ".join(p.name for p in paths)
        raise InputError(path.parent, expected, found, "give the file itself")
    name = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    beside = [path.with_name(n) for n in (name, name + ".gz")] if "images" in path.name else []
    labels = next((_idx_array(p, 1) for p in beside if p.exists()), None)
    return read_arrays(_idx_array(path, 3), labels, window)


def _idx_array(path: Path, axes: int) -> Array:
    """The `Array` of an IDX file of unsigned bytes with this number of axes."""
    begin = 4 + 4 * axes
    packed = peek(path, 2) == b"\x1f\x8b"

    def unpacked() -> BinaryIO | gzip.GzipFile:
        return gzip.open(path) if packed else open_file(path)

    with unpacked() as stream, reading(path):
        head = stream.read(begin)
    if head[:4] != bytes((0, 0, 8, axes)) or len(head) < begin:
        header = f"a header 0x{0x800 + axes:08x}, {axes} sizes"
        expected = f"IDX unsigned bytes with {axes} axes: {header}"
        do = "give the images file, its labels beside it" if axes == 3 else "fetch the labels again"
        raise InputError(path, expected, f"0x{head.hex()}", do)
    shape = struct.unpack(f">{axes}I", head[4:])
    row = math.prod(shape[1:])
    end = begin + math.prod(shape)
    check_size(end, path)
    expected = f"{end:,} bytes for shape {list(shape)}"
    size = path.stat().st_size
    if not packed and size != end:
        raise InputError(path, expected, f"{size:,}", "the file may be truncated")

    def read(start: int, stop: int) -> NDArray[Any]:
        with unpacked() as stream, reading(path):
            data = read_bytes(stream, begin + start * row, (stop - start) * row, path)
            # at the end gzip compares its checksum
            if stop == shape[0] and stream.read(1):
                raise InputError(path, expected, "more", "fetch the data again")
        return np.frombuffer(data, np.uint8).reshape(-1, *shape[1:])

    return Array(str(path), shape, np.dtype(np.uint8), read)
