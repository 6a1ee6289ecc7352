"""The file formats of image sets: from paths and a window of positions to pixels and labels.

Each reader takes `(paths, window, split)` and returns (pixels uint8 or float32 [n, C, H, W], labels
int64 [n] or None, class names). It reads the window's records only, and trusts nothing it reads.
`data.py` decides which reader a path needs.
"""

from __future__ import annotations

import gzip
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import h5py
import numpy as np

from eventsnn.exceptions import InputError, one_line

MAX_BYTES = 2**32
MAX_LABEL = 2**31 - 1
CONVERT = "store the images in one .npz: x_test (uint8 [N, H, W, C]), y_test (integers [N]), x_train, y_train"
PICKLE = (
    "data that runs no code when it is read",
    "a Python pickle",
    "use the binary version of CIFAR (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz)",
)
# What numpy, h5py, zipfile and gzip raise for damaged files (Warning: when warnings are errors).
FOREIGN = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    OverflowError,
    MemoryError,
    SyntaxError,
    Warning,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class Window:
    """The positions from `offset` on, at most `limit` of them (None: to the end)."""

    offset: int = 0
    limit: int | None = None

    def __post_init__(self):
        for name, least in ("offset", 0), ("limit", 1):
            value = getattr(self, name)
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not (whole and value >= least or name == "limit" and value is None):
                raise InputError(
                    name, f"a whole number, {least} or more", repr(value), f"change {name}"
                )

    def rows(self, count, row_bytes, where):
        """(start, stop) among `count` rows of `row_bytes` bytes each."""
        if count < 1:
            raise InputError(
                where, "at least one image", "none", "fetch the data again or give another set"
            )
        if self.offset >= count:
            raise InputError(
                where,
                f"an offset below the number of images, {count:,}",
                f"{self.offset:,}",
                "lower the offset",
            )
        start = int(self.offset)
        stop = count if self.limit is None else min(count, start + int(self.limit))
        _check_size((stop - start) * row_bytes, where)
        return start, stop


def _check_size(size, where):
    if size > MAX_BYTES:
        raise InputError(
            where,
            f"at most {MAX_BYTES:,} bytes",
            f"{size:,}",
            "ask for fewer images or split the file",
        )


@contextmanager
def reading(where):
    """Turns whatever a damaged or unreadable file makes the libraries raise into an InputError."""
    try:
        yield
    except InputError:
        raise
    except FOREIGN as error:
        found = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise InputError(
            where, "readable, undamaged data", found, "check the path or fetch the data again"
        ) from error


def peek(path, size):
    """The first `size` bytes of a file, or all there are."""
    with _open(path) as stream, reading(path):
        return stream.read(size)


def is_pickle(head):
    return head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")


def _open(path):
    with reading(path):
        if not path.is_file():  # opening a named pipe would wait for ever
            raise InputError(
                path,
                "a file",
                "a folder or something else" if path.exists() else "nothing there",
                "put the file there or remove what is in its place",
            )
        return open(path, "rb")


def _read_bytes(stream, start, size, where):
    """`size` bytes from `start`, in a bytearray that grows no further than the data."""
    for at in range(0, start, 1 << 20):  # in steps: a packed stream reads all it skips
        stream.seek(at)
    stream.seek(start)
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(size - len(data), 1 << 20))
        if not piece:
            raise InputError(
                where, f"{start + size:,} bytes", f"{start + len(data):,}", "the file is truncated"
            )
        data += piece
    return data


# CIFAR: records of one or two label bytes and 3 x 32 x 32 pixels.


class _Cifar(NamedTuple):
    label_limits: tuple[int, ...]
    record: int
    class_file: str


_CIFARS = _Cifar((10,), 3073, "batches.meta.txt"), _Cifar((20, 100), 3074, "fine_label_names.txt")


def cifar_format(path):
    """The CIFAR format whose record length divides the file's size, or None; if both do, labels
    decide.
    """
    size = path.stat().st_size
    fits = [cifar for cifar in _CIFARS if size and size % cifar.record == 0]
    if len(fits) == 2 and max(peek(path, 64 * 3073)[::3073]) >= 10:
        return fits[1]
    return fits[0] if fits else None


def read_cifar(paths, window, split):
    """CIFAR-10 or CIFAR-100 (fine labels) from binary files that follow one another."""
    sizes = [path.stat().st_size for path in paths]
    cifar = cifar_format(paths[0])
    if cifar is None:
        raise InputError(
            paths[0],
            "IDX, .npz, HDF5, or CIFAR records of 3,073 or 3,074 bytes",
            f"{sizes[0]:,} bytes of none of them",
            "the file may be truncated",
        )
    for path, size in zip(paths, sizes):
        if not size or size % cifar.record:
            raise InputError(
                path,
                f"records of {cifar.record:,} bytes",
                f"{size:,} bytes",
                "the file may be truncated",
            )
    where = paths[0] if len(paths) == 1 else paths[0].parent
    start, stop = window.rows(sum(sizes) // cifar.record, cifar.record, where)
    pixels, labels = np.empty((stop - start, 3, 32, 32), np.uint8), np.empty(stop - start, np.int64)
    first = 0
    for path, size in zip(paths, sizes):
        low, high = max(start, first), min(stop, first + size // cifar.record)
        if low < high:
            records = _cifar_records(path, cifar, low - first, high - first)
            pixels[low - start : high - start] = records[:, -3072:].reshape(-1, 3, 32, 32)
            labels[low - start : high - start] = records[:, -3073]
        first += size // cifar.record
    return pixels, labels, _class_names(paths[0].parent / cifar.class_file, cifar.label_limits[-1])


def _cifar_records(path, cifar, start, stop):
    """Records [stop - start, 3073 or 3074] as uint8, their labels checked."""
    with _open(path) as stream, reading(path):
        data = _read_bytes(stream, start * cifar.record, (stop - start) * cifar.record, path)
    records = np.frombuffer(data, np.uint8).reshape(-1, cifar.record)
    for byte, bound in enumerate(cifar.label_limits):
        wrong = np.flatnonzero(records[:, byte] >= bound)
        if len(wrong):
            raise InputError(
                f"{path}: record {start + wrong[0]:,}",
                f"a label from 0 to {bound - 1}",
                records[wrong[0], byte],
                "the file is damaged or of another kind",
            )
    return records


def _class_names(path, count):
    if not path.exists():
        return ()
    with reading(path):
        lines = [one_line(line) for line in peek(path, 1 << 16).decode().splitlines()]
    names = tuple(line for line in lines if line)
    if len(names) != count:
        raise InputError(path, f"{count} class names", len(names), "complete the file or remove it")
    return names


# Everything else is arrays, whose shape is known before their rows are read.


class _Array(NamedTuple):
    where: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int, int], np.ndarray]

    @property
    def row_bytes(self):
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def _read_arrays(images, labels, window):
    """Checks two `_Array`s (`labels` may be None) and reads the window's rows."""
    shape, dtype = images.shape, images.dtype
    if not (dtype == np.uint8 or dtype.kind == "f" and dtype.itemsize in (2, 4, 8)):
        raise InputError(
            images.where,
            "pixels of uint8, float16, float32 or float64",
            dtype,
            "convert the pixels",
        )
    if len(shape) not in (3, 4) or min(shape[1:]) < 1:
        raise InputError(
            images.where, "shape [N, H, W], [N, C, H, W] or [N, H, W, C]", list(shape), "reshape it"
        )
    start, stop = window.rows(shape[0], images.row_bytes, images.where)
    if labels is not None:
        if labels.dtype.kind not in "iufb" or labels.dtype.itemsize > 8:
            raise InputError(
                labels.where, "labels that are whole numbers", labels.dtype, "convert the labels"
            )
        if len(labels.shape) not in (1, 2) or min(labels.shape) < 1:
            raise InputError(
                labels.where,
                "labels [N], [N, 1] or one-hot [N, K]",
                list(labels.shape),
                "reshape them",
            )
        if labels.shape[0] != shape[0]:
            raise InputError(
                labels.where,
                f"a label for each of {shape[0]:,} images",
                f"{labels.shape[0]:,} labels",
                "pair the images with their own labels",
            )
        _check_size((stop - start) * labels.row_bytes, labels.where)
        labels = _to_labels(labels.read(start, stop), labels.where)
    return _to_pixels(images.read(start, stop), images.where), labels, ()


def _to_pixels(array, where):
    """Pixels of any accepted shape and dtype -> uint8 or float32 [N, C, H, W]."""
    if array.dtype != np.uint8:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            raise InputError(
                where,
                "finite pixels within float32",
                "NaN, infinity or an overflow",
                "repair the images",
            )
    if array.ndim == 3:
        array = array[:, None]
    elif array.shape[3] in (1, 3) and array.shape[1] not in (1, 3):
        array = np.moveaxis(array, 3, 1)
    return np.ascontiguousarray(array)


def _to_labels(array, where):
    """Labels [N], [N, 1] or one-hot [N, K] of any accepted dtype -> int64 [N]."""
    if array.ndim == 2 and array.shape[1] > 1:
        ones = array == 1
        if not ((ones.sum(1) == 1) & ((array != 0).sum(1) == 1)).all():
            raise InputError(
                where,
                "one-hot labels: a single 1 in each row, else 0",
                "another row",
                "give labels [N]",
            )
        return ones.argmax(1).astype(np.int64)
    array = array.reshape(-1)
    wrong = ~((array >= 0) & (array <= MAX_LABEL) & (array == np.floor(array)))
    if wrong.any():
        raise InputError(
            where,
            f"whole numbers from 0 to {MAX_LABEL:,}",
            array[wrong][0],
            "number the classes from 0",
        )
    return array.astype(np.int64)


# IDX: a big-endian header (0, 0, type, number of axes, sizes), then bytes.


def fits_idx(path):
    """Whether an unpacked file has the header of IDX images and the size that header declares."""
    head = peek(path, 16)
    return (
        head[:4] == b"\0\0\x08\x03"
        and len(head) == 16
        and path.stat().st_size == 16 + math.prod(struct.unpack(">3I", head[4:]))
    )


def read_idx(paths, window, split):
    """One IDX images file, gzipped or not, and the labels file beside it if there is one."""
    path = paths[0]
    if len(paths) > 1:
        raise InputError(
            path.parent,
            f"one IDX images file of the split {split}",
            ", ".join(p.name for p in paths),
            "give the file itself",
        )
    name = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    beside = [path.with_name(n) for n in (name, name + ".gz")] if "images" in path.name else []
    labels = next((_idx_array(p, 1) for p in beside if p.exists()), None)
    return _read_arrays(_idx_array(path, 3), labels, window)


def _idx_array(path, axes):
    """The `_Array` of an IDX file of unsigned bytes with this number of axes."""
    begin = 4 + 4 * axes
    packed = peek(path, 2) == b"\x1f\x8b"
    unpack = gzip.open if packed else _open
    with unpack(path) as stream, reading(path):
        head = stream.read(begin)
    if head[:4] != bytes((0, 0, 8, axes)) or len(head) < begin:
        raise InputError(
            path,
            f"IDX unsigned bytes with {axes} axes: a header 0x{0x800 + axes:08x}, {axes} sizes",
            f"0x{head.hex()}",
            "give the images file, its labels beside it" if axes == 3 else "fetch the labels again",
        )
    shape = struct.unpack(f">{axes}I", head[4:])
    end, row = begin + math.prod(shape), math.prod(shape[1:])
    _check_size(end, path)
    if not packed and path.stat().st_size != end:
        raise InputError(
            path,
            f"{end:,} bytes for shape {list(shape)}",
            f"{path.stat().st_size:,}",
            "the file may be truncated",
        )

    def read(start, stop):
        with unpack(path) as stream, reading(path):
            data = _read_bytes(stream, begin + start * row, (stop - start) * row, path)
            if stop == shape[0] and stream.read(1):  # at the end gzip compares its checksum
                raise InputError(
                    path, f"{end:,} bytes for shape {list(shape)}", "more", "fetch the data again"
                )
        return np.frombuffer(data, np.uint8).reshape(-1, *shape[1:])

    return _Array(str(path), shape, np.dtype(np.uint8), read)


# Named arrays: .npz and HDF5.


def _choose_keys(has, names, split, where):
    """(key of the images, key of the labels or None) of a split; `has(key)` tells what there is."""
    pairs = {
        s: ((f"x_{s}", f"y_{s}"), (f"{s}/images", f"{s}/labels"), (f"{s}/x", f"{s}/y"))
        for s in ("train", "test")
    }
    split_set = any(has(images) for s in pairs for images, _ in pairs[s])
    for images, labels in pairs[split] if split_set else (("images", "labels"), ("x", "y")):
        if has(images):
            return images, labels if has(labels) else None
    raise InputError(
        where,
        f"x_{split} and y_{split}, {split}/images and {split}/labels, or images and labels",
        ", ".join(names) or "no array",
        "ask for the other split" if split_set else CONVERT,
    )


def read_npz(paths, window, split):
    """Two members of an .npz, as `_choose_keys` chooses them; no pickles."""
    with reading(paths[0]), zipfile.ZipFile(paths[0]) as archive:
        names = archive.namelist()
        keys = _choose_keys(lambda key: f"{key}.npy" in names, names[:8], split, paths[0])
        images, labels = (
            key and _npy_array(archive, f"{key}.npy", f"{paths[0]}: {key}") for key in keys
        )
        return _read_arrays(images, labels, window)


def _npy_array(archive, member, where):
    """The `_Array` of a .npy member; its header is read now, its rows later."""
    with reading(where), archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise InputError(
                where, "an .npy array of version 1.0 or 2.0", version, "save it with numpy.savez"
            )
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = header(stream)
        begin = stream.tell()
    if dtype.hasobject:
        raise InputError(
            where, "numbers", "Python objects", "save the array as uint8, float or integers"
        )
    size, stored = math.prod(shape) * dtype.itemsize, archive.getinfo(member).file_size
    _check_size(size, where)
    if stored != begin + size:
        raise InputError(
            where,
            f"{begin + size:,} bytes for {dtype} {list(shape)}",
            f"{stored:,}",
            "the file may be damaged",
        )

    def read(start, stop):
        low, high = (
            (0, shape[0]) if fortran else (start, stop)
        )  # in Fortran order a row is scattered
        row = size // shape[0]
        with reading(where), archive.open(member) as stream:
            data = _read_bytes(stream, begin + low * row, (high - low) * row, where)
            stream.read(1)  # at the end zip compares its checksum
        array = np.frombuffer(data, dtype).reshape(
            (high - low, *shape[1:]), order="F" if fortran else "C"
        )
        return array[start - low : stop - low]

    return _Array(where, shape, dtype, read)


def read_hdf5(paths, window, split):
    """Two datasets of an HDF5 file, as `_choose_keys` chooses them."""
    with reading(paths[0]), h5py.File(paths[0], "r") as file:
        keys = _choose_keys(
            lambda key: _find(file, key, paths[0]) is not None,
            list(islice(file, 8)),
            split,
            paths[0],
        )
        images, labels = (
            key and _hdf5_array(_find(file, key, paths[0]), f"{paths[0]}: {key}") for key in keys
        )
        return _read_arrays(images, labels, window)


def _find(file, key, path):
    """The object called `key`, or None; links are refused, for they may lead out of the file."""
    found = file
    for name in key.split("/"):
        link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise InputError(
                f"{path}: {key}",
                "data in the file itself",
                "a soft or external link",
                "copy the data in",
            )
        found = found[name]
    return found


def _hdf5_array(dataset, where):
    """The `_Array` of a dataset whose data lie in the file itself."""
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(where, "a dataset", f"a {type(dataset).__name__}", "rename the arrays")
    with reading(where):
        if dataset.is_virtual or dataset.external:
            raise InputError(
                where,
                "data in the file itself",
                "a virtual or external dataset",
                "copy the data in",
            )
        if dataset.id.get_storage_size() == 0:
            raise InputError(
                where,
                "at least one image",
                f"nothing stored for shape {dataset.shape}",
                "store the images first",
            )
        shape, dtype = dataset.shape or (), dataset.dtype

    def read(start, stop):
        with reading(where):
            return dataset[start:stop]

    return _Array(where, shape, dtype, read)
