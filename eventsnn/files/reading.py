"""Reading HDF5 files that come from anywhere. Nothing in them is trusted: only hard links are
followed, sizes are compared with the file's before anything is read, and every failure is an
InputError.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import stat
from contextlib import contextmanager
from functools import lru_cache
from reprlib import repr as short

import h5py
import numpy as np

from eventsnn.exceptions import InputError

MAX_ARRAY, MAX_ARRAYS = 2**31, 2**32  # bytes of one parameter and of all
MAX_RATIO = 1000  # declared bytes for each stored byte of a chunked dataset
# h5py's and onnx's, all met
FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@contextmanager
def open_hdf5(path):
    """An HDF5 file open for reading; whatever h5py raises inside the block becomes one
    InputError.
    """
    check_file(path)
    _lengths.cache_clear()
    try:
        with h5py.File(path, "r") as file:
            _check_heaps(path, file.id.get_create_plist().get_sizes()[1])
            yield file
    except InputError:
        raise
    except FAILURES as error:
        raise InputError(
            path,
            "a whole HDF5 file",
            f"one that cannot be read ({told(error)})",
            "it is truncated or damaged: copy or download it again",
        ) from error


def check_file(path):
    """Refuse what does not exist, is no regular file, cannot be read or is empty."""
    try:
        mode = os.stat(path).st_mode
        found = "a directory" if stat.S_ISDIR(mode) else "a device or pipe"
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                found = None if file.read(1) else "an empty file"
    except FileNotFoundError:
        found = "nothing of that name"
    except (OSError, TypeError, ValueError) as error:
        found = told(error)
    if found:
        raise InputError(path, "a file with a network", found, "check the path")


def _check_heaps(path, width):
    """Refuse a damaged global heap (where variable-length text lies): HDF5 2.0 can loop in one for
    ever.

    A heap is a header of 16 bytes and objects, each a header of 16 (index u2, 6 bytes, size of
    `width` bytes) and its data up to a multiple of 8; the object 0 is the free rest, and its size
    includes the header.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(b"GCOL\x01\0\0\0")
        while start >= 0:
            at, end = (
                start + 16,
                start + int.from_bytes(data[start + 8 : start + 8 + width], "little"),
            )
            while at + 16 <= end <= len(data):
                size = int.from_bytes(data[at + 8 : at + 8 + width], "little")
                step = 16 + (size + 7) // 8 * 8 if any(data[at : at + 2]) else size
                at = at + step if step >= 16 else end + 1
            if at > end or end > len(data):
                raise InputError(
                    path, "a whole HDF5 file", "a damaged heap", "copy or download it again"
                )
            start = data.find(b"GCOL\x01\0\0\0", start + 8)


def child(group, name):
    """The object that a hard link of `group` leads to, None without such a link; other links are
    refused.
    """
    if not group.id.links.exists(name.encode()):
        return None
    if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise InputError(
            f"{os.path.basename(group.file.filename)}: {name!r} in {group.name}",
            "data of this file",
            "a link to somewhere else",
            "copy the data into the file (h5copy)",
        )
    return group[name]


def read_array(dataset, where, left):
    """A dataset of float16, float32 or float64 as float32 or float64 in native byte order.

    left: a list with the bytes that may still be read from this file, which are counted down.
    """
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        raise InputError(
            where, "float16, float32 or float64", dataset.dtype, "convert the parameters"
        )
    check_storage(dataset, where)
    dtype = np.float64 if dataset.dtype.itemsize == 8 else np.float32
    left[0] -= math.prod(dataset.shape) * np.dtype(dtype).itemsize
    if left[0] < 0:
        raise InputError(where, f"at most {MAX_ARRAYS:,} bytes of parameters", "more")
    return np.asarray(dataset[()], dtype)


def check_storage(dataset, where):
    """Refuse data that lie in other files, and sizes that this file cannot hold."""
    if dataset.is_virtual or dataset.external:
        raise InputError(
            where,
            "data in this file",
            "data in other files",
            "copy the data into the file (h5repack)",
        )
    size, limit = math.prod(dataset.shape), os.path.getsize(dataset.file.filename)
    if dataset.chunks:
        size = max(
            size, math.prod(dataset.chunks)
        )  # a chunk may be larger than the dataset, and is read as a whole
        limit = MAX_RATIO * min(limit, dataset.id.get_storage_size())
    limit, size = min(limit, MAX_ARRAY), size * dataset.dtype.itemsize
    if size > limit:
        raise InputError(
            where,
            f"at most {limit:,} bytes for what the file stores",
            f"{size:,}",
            "the file is damaged",
        )


def attribute(group, key):
    """An attribute of a file's root or of a group, None where there is none; other types than
    numbers and text are not even read.
    """
    if key not in group.attrs:
        return None
    where, stored = (
        f"{os.path.basename(group.file.filename)}: attribute {key}",
        h5py.h5a.open(group.id, key.encode()),
    )
    if stored.get_type().get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING):
        raise InputError(where, "numbers or text", "another type")
    size, limit = (
        math.prod(stored.shape or ()) * stored.get_type().get_size(),
        os.path.getsize(group.file.filename),
    )
    if size > limit:
        raise InputError(where, f"at most {limit:,} bytes", f"{size:,}", "the file is damaged")
    if (
        stored.get_type().get_class() == h5py.h5t.STRING
        and stored.get_type().is_variable_str()
        and stored.shape is not None
    ):
        widths = group.file.id.get_create_plist().get_sizes()
        found = [
            n for shape, n in _lengths(group.file.filename, key, widths) if shape == stored.shape
        ]
        if not found or max(found) > limit:
            raise InputError(
                where,
                f"texts of at most {limit:,} bytes",
                f"{max(found, default=0):,}",
                "the file is damaged",
            )
    return group.attrs[key]


def read_text(dataset, where, most):
    """The bytes of a dataset of one text: 1 to `most`."""
    check_storage(dataset, where)
    length, offset = h5py.check_string_dtype(dataset.dtype).length, dataset.id.get_offset()
    if length is None and offset is not None:  # of variable length: see `_lengths`
        with open(dataset.file.filename, "rb") as file:
            file.seek(offset)
            length = int.from_bytes(file.read(4), "little")
    length = length or 0
    data = dataset[()] if 0 < length <= min(most, os.path.getsize(dataset.file.filename)) else b""
    if not 0 < len(data) <= most:
        raise InputError(where, f"1 to {most:,} bytes of JSON", f"{len(data) or length:,}")
    return data


@lru_cache
def _lengths(path, key, widths):
    """[(shape, bytes)] of the texts of variable length in each attribute called `key`, wherever the
    file has one.

    HDF5 reserves as many bytes as a text says it has before it looks for the text, and does not let
    one ask. So attribute messages are sought by their name (HDF5 File Format Specification,
    IV.A.2.m: version, flags, sizes u2 of name, datatype and dataspace, the encoding of the name in
    version 3, then these three, in version 1 each up to a multiple of 8). Each text is its length
    u4, and the address and index of what holds it. widths: bytes of an address and of a length in
    this file.
    """
    name, found, item = key.encode() + b"\0", [], 8 + widths[0]
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(name, 9)
        while at >= 0:
            start = at - 9 if data[at - 9] == 3 and _u2(data, at - 7) == len(name) else at - 8
            version, unit = data[start], 8 if data[start] == 1 else 1
            if version in (1, 2, 3) and _u2(data, start + 2) == len(name):
                sizes = [
                    -(-n // unit) * unit
                    for n in (len(name), _u2(data, start + 4), _u2(data, start + 6))
                ]
                kind, space, texts = at + sizes[0], at + sum(sizes[:2]), at + sum(sizes)
                dims = space + (8 if data[space : space + 1] == b"\1" else 4)
                rank = int.from_bytes(data[space + 1 : space + 2], "little")
                shape = tuple(
                    int.from_bytes(
                        data[dims + i * widths[1] : dims + (i + 1) * widths[1]], "little"
                    )
                    for i in range(rank)
                )
                count = math.prod(shape)
                if (
                    data[kind : kind + 1]
                    and data[kind] % 16 == 9
                    and texts + count * item <= len(data)
                ):
                    found.append(
                        (
                            shape,
                            sum(
                                int.from_bytes(
                                    data[texts + i * item : texts + i * item + 4], "little"
                                )
                                for i in range(count)
                            ),
                        )
                    )
            at = data.find(name, at + 1)
    return found


def _u2(data, at):
    return int.from_bytes(data[at : at + 2], "little")


def texts(group, key):
    """An attribute of a group with a list of texts, as a list of str; a long one lies in parts
    called key0, key1 and so on.
    """
    keys = (
        [key]
        if key in group.attrs
        else [k for k in (f"{key}{i}" for i in range(len(group.attrs))) if k in group.attrs]
    )
    values = [
        text_of(value) for part in keys for value in np.ravel(attribute(group, part)).tolist()
    ]
    if not keys or None in values:
        raise InputError(
            f"{os.path.basename(group.file.filename)}: {key} of {group.name}",
            "a list of names",
            "something else" if keys else "none",
            "the file is damaged",
        )
    return values


def json_of(data, where):
    """What the JSON in `data` (bytes or str) says: without NaN, infinity and keys that come
    twice.
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)
    except (RecursionError, ValueError) as error:
        raise InputError(
            where, "valid JSON that is not deeply nested", told(error), "write the file again"
        ) from error


def _no_constant(text):
    raise ValueError(f"{text} is not JSON")


def _unique(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("one key twice in an object")
    return dict(pairs)


def plain(file, key):
    """An attribute of the root as plain Python, a list where it has axes."""
    value = attribute(file, key)
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def numbers(file, key, name):
    """An attribute of the root as a one-dimensional array of numbers; name: the file's, for
    messages.
    """
    values = np.atleast_1d(np.asarray(attribute(file, key)))
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise InputError(f"{name}: {key}", "an attribute with numbers", short(plain(file, key)))
    return values


def text_of(value, limit=1000):
    """A str of at most `limit` printable characters, or None."""
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    sane = isinstance(value, str) and len(value) <= limit and value.replace("\n", " ").isprintable()
    return value if sane else None


def told(error):
    """An exception as one piece of text."""
    return f"{type(error).__name__}: {error}"
