"""Reading HDF5 files that come from anywhere.

Nothing in them is trusted: only hard links are followed, sizes are compared with the file's before
anything is read, and every failure is an InputError. A damaged file can make libhdf5 itself loop
for ever, crash or take any amount of memory. So a copy of this process walks through it first
(`trial`): that takes a few hundredths of a second, where a new process would import h5py first, and
it holds for whatever libhdf5 does, where a check of the bytes holds for what it checks.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from reprlib import repr as short
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.memory import Image, content, size_of
from eventsnn.files.raw import Parts, check_heaps, lengths_of, parts_beside
from eventsnn.files.refusals import check_filters, refusal_of
from eventsnn.files.trial import trial

# bytes of one parameter, and of all
MAX_ARRAY = 2**31
MAX_ARRAYS = 2**32
MOST_TEXTS = 2**21  # in one dataset, that are tried; no reader takes more
# declared bytes for each stored byte of a chunked dataset
MAX_RATIO = 1000
# of a trial: seconds for a small file and at most, as a large one may have much to decompress; and
# bytes beside twice the file's
SECONDS = 2, 60
MEMORY = 2**29
# filters that do no harm to chunks of at most so many bytes
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
MAX_CHUNK = 2**20
# what h5py and onnx have been seen to raise for damaged files
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
def open_hdf5(
    path: str | os.PathLike[str], what: str = "a file with a network"
) -> Iterator[h5py.File]:
    """An HDF5 file, open for reading inside the block.

    path: the file. what: it is to be, for messages. Raises InputError where it cannot be read;
    whatever h5py raises inside the block becomes one, too.
    """
    check_file(path, what)
    with _opened(path, path, _tried(os.fspath(path), _stamp(path))) as file:
        yield file


@contextmanager
def open_image(image: Image, name: str) -> Iterator[h5py.File]:
    """An HDF5 file that lies in memory, open for reading inside the block.

    image: the file. name: for messages. Raises InputError as `open_hdf5` does.
    """
    with _opened(image, name, _walked(image, len(image))) as file:
        yield file


@contextmanager
def _opened(
    source: str | os.PathLike[str] | Image, name: str | os.PathLike[str], found: str
) -> Iterator[h5py.File]:
    """A file inside the block; found: what became of the walk through it."""
    lengths_of.cache_clear()
    _PARTS.clear()
    if found:
        do = "it is damaged: copy or download it again"
        raise InputError(name, "an HDF5 file that can be read", found, do)
    try:
        with h5py.File(source, "r") as file:
            width = file.id.get_create_plist().get_sizes()[1]
            if isinstance(source, Image):
                check_heaps(file.filename, width, _parts(file))
            elif _SOUND.get(file.filename) != _stamp(source):
                check_heaps(file.filename, width, _parts(file))
                _SOUND[file.filename] = _stamp(source)
            yield file
    except InputError:
        raise
    except FAILURES as error:
        refusal = refusal_of(error)
        if refusal is not None:
            raise InputError(name, *refusal) from error
        found = f"one that cannot be read ({told(error)})"
        do = "it is truncated or damaged: copy or download it again"
        raise InputError(name, "a whole HDF5 file", found, do) from error


def check_file(path: str | os.PathLike[str], what: str = "a file with a network") -> None:
    """Raise InputError for what does not exist, is no regular file, cannot be read or is empty.

    path: the file. what: it is to be, for the message.
    """
    found: str | None
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
        do = "download or write it again" if found == "an empty file" else "check the path"
        raise InputError(path, what, found, do)


def _stamp(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Numbers that are equal for the same file with the same content."""
    state = os.stat(path)
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


@lru_cache
def _tried(path: str, stamp: tuple[int, ...]) -> str:
    """How a walk through a file ends: "", or what became of it. stamp: the file's `_stamp`."""
    return _walked(path, stamp[2])


# path -> the stamp of a file whose heaps are whole
_SOUND: dict[str, tuple[int, ...]] = {}
# path -> `parts_beside` of a file that is open
_PARTS: dict[str, Parts] = {}


def _parts(file: h5py.File) -> Parts:
    """`parts_beside` of an open file, found once."""
    if file.filename not in _PARTS:
        _PARTS[file.filename] = parts_beside(file)
    return _PARTS[file.filename]


def _walked(source: str | Image, size: int) -> str:
    """How a walk through a file of so many bytes ends."""
    least, most = SECONDS
    return trial(lambda: _walk(source), min(least + size // 2**21, most), MEMORY + 2 * size)


def _walk(source: str | Image) -> None:
    """Asks a file whatever this package may ask it, but for numbers that lie in it as they are.

    source: the file. What fails is passed over. Raises MemoryError where there is no room.
    """
    seen: set[int] = set()
    waiting: list[Any] = []

    def meet(item: Any) -> None:
        place = h5py.h5o.get_info(item.id).addr
        if place not in seen:
            seen.add(place)
            waiting.append(item)

    lengths_of.cache_clear()
    _PARTS.clear()
    with _passing_over(), h5py.File(source, "r") as file:
        check_heaps(file.filename, file.id.get_create_plist().get_sizes()[1], _parts(file))
        meet(file)
        while waiting:
            item = waiting.pop()
            keys: list[str] = []
            with _passing_over():
                keys.extend(item.attrs)
            for key in [*keys, "none of this name"]:
                with _passing_over():
                    attribute(item, key)
            names: list[str] = []
            with _passing_over():
                if isinstance(item, h5py.Group):
                    names.append("none of this name")
                    names.extend(item)
                elif isinstance(item, h5py.Dataset):
                    _look_at(item)
            for name in names:
                with _passing_over():
                    meet(child(item, name))


def _look_at(dataset: h5py.Dataset) -> None:
    """Asks a dataset for all but numbers that lie in it as they are."""
    check_storage(dataset, "")
    if h5py.check_string_dtype(dataset.dtype) is not None:
        if dataset.shape == ():
            read_text(dataset, "", MAX_ARRAY)
        elif dataset.size <= MOST_TEXTS:
            dataset[()]
    if dataset.chunks:
        dataset.id.get_num_chunks()
        if not harmless(dataset):
            for part in dataset.iter_chunks():
                dataset[part]


def harmless(dataset: h5py.Dataset) -> bool:
    """Whether a dataset's numbers lie in the file as they are, or in small chunks that only filters
    pack which do no harm. dataset: of numbers.
    """
    if not dataset.chunks:
        return True
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
    large = math.prod(dataset.chunks) * dataset.dtype.itemsize > MAX_CHUNK
    return not (filters and large) and set(filters) <= set(FILTERS)


@contextmanager
def _passing_over() -> Iterator[None]:
    """Passes over what fails in the block, but for a lack of room, which becomes MemoryError."""
    try:
        yield
    except InputError:
        pass
    except FAILURES as error:
        # HDF5's own messages: "can't allocate …", "memory allocation failed …"
        if isinstance(error, MemoryError) or "alloc" in str(error):
            raise MemoryError from error


def child(group: h5py.Group, name: str) -> Any:
    """The group, dataset or type that a hard link leads to, or None without such a link.

    group: where the link is. name: the link's. Raises InputError for links of other kinds.
    """
    if not group.id.links.exists(name.encode()):
        return None
    if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        where = f"{os.path.basename(group.file.filename)}: {name!r} in {group.name}"
        do = "copy the data into one file, new[name] = old[name][()] in h5py"
        raise InputError(where, "data of this file", "a link to somewhere else", do)
    return group[name]


def read_array(dataset: h5py.Dataset, where: str, left: list[int]) -> NDArray[Any]:
    """A parameter, float32 or float64 in native byte order; float16 becomes float32.

    dataset: of float16, float32 or float64. where: what to call it in messages. left: one number,
    the bytes that may still be read from this file; it is counted down. Raises InputError for other
    types, and where a size is too large or cannot be true.
    """
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        expected = "float16, float32 or float64"
        raise InputError(where, expected, dataset.dtype, "write the parameters as float32")
    check_storage(dataset, where)
    dtype = np.dtype(np.float64 if dataset.dtype.itemsize == 8 else np.float32)
    left[0] -= math.prod(dataset.shape) * dtype.itemsize
    if left[0] < 0:
        raise InputError(where, f"at most {MAX_ARRAYS:,} bytes of parameters", "more")
    return np.asarray(dataset[()], dtype)


def check_storage(dataset: h5py.Dataset, where: str) -> None:
    """Raise InputError for data in other files, missing filters and sizes that cannot be true.

    dataset: what is to be read. where: what to call it in messages.
    """
    if dataset.is_virtual or dataset.external:
        do = "copy the data into one file, new[name] = old[name][()] in h5py"
        raise InputError(where, "data in this file", "data in other files", do)
    check_filters(dataset, where)
    size = math.prod(dataset.shape)
    limit = size_of(dataset.file.filename)
    if dataset.chunks:
        # a chunk may be larger than the dataset, and is read as a whole
        size = max(size, math.prod(dataset.chunks))
        limit = MAX_RATIO * min(limit, dataset.id.get_storage_size())
    limit = min(limit, MAX_ARRAY)
    size *= dataset.dtype.itemsize
    if size > limit:
        expected = f"at most {limit:,} bytes for what the file stores"
        raise InputError(where, expected, f"{size:,}", "the file is damaged")


def attribute(group: h5py.Group, key: str) -> Any:
    """An attribute as h5py reads it, or None where there is none.

    group: whose it is; a file is its root. key: its name. Raises InputError, before reading it, for
    other types than numbers and text, and for sizes that the file cannot hold.
    """
    if key not in group.attrs:
        return None
    path = group.file.filename
    where = f"{os.path.basename(path)}: attribute {key}"
    stored = h5py.h5a.open(group.id, key.encode())
    kind = stored.get_type()
    if kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING):
        raise InputError(where, "numbers or text", "another type")
    size = math.prod(stored.shape or ()) * kind.get_size()
    limit = size_of(path)
    if size > limit:
        raise InputError(where, f"at most {limit:,} bytes", f"{size:,}", "the file is damaged")
    variable = kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()
    if variable and stored.shape is not None:
        widths = group.file.id.get_create_plist().get_sizes()
        found = lengths_of(path, key, widths, _parts(group.file)).get(stored.shape)
        if found is None or found > limit:
            expected = f"texts of at most {limit:,} bytes"
            most = f"{found or 0:,}"
            raise InputError(where, expected, most, "the file is damaged")
    return group.attrs[key]


def read_text(dataset: h5py.Dataset, where: str, most: int) -> bytes:
    """The bytes of a dataset of one text.

    dataset: of fixed or variable length. where: what to call it in messages. most: how many bytes
    it may have. Raises InputError for an empty text and for a longer one.
    """
    check_storage(dataset, where)
    path = dataset.file.filename
    length = h5py.check_string_dtype(dataset.dtype).length
    offset = dataset.id.get_offset()
    # of variable length: see `raw.lengths_of`
    if length is None and offset is not None:
        with content(path) as bytes_of_file:
            length = int.from_bytes(bytes_of_file[offset : offset + 4], "little")
    length = length or 0
    data = dataset[()] if 0 < length <= min(most, size_of(path)) else b""
    if not 0 < len(data) <= most:
        raise InputError(where, f"1 to {most:,} bytes of JSON", f"{len(data) or length:,}")
    return data


def texts(group: h5py.Group, key: str) -> list[str]:
    """An attribute with a list of texts; a long one lies in parts called key0, key1 and so on.

    group: whose it is. key: its name. Raises InputError where there is none, and for anything else
    than texts.
    """
    keys = [key]
    if key not in group.attrs:
        parts = (f"{key}{i}" for i in range(len(group.attrs)))
        keys = [part for part in parts if part in group.attrs]
    values = []
    for part in keys:
        values += [text_of(value) for value in np.ravel(attribute(group, part)).tolist()]
    names = [value for value in values if value is not None]
    if not keys or len(names) < len(values):
        where = f"{os.path.basename(group.file.filename)}: {key} of {group.name}"
        found = "something else" if keys else "none"
        raise InputError(where, "a list of names", found, "the file is damaged")
    return names


def json_of(data: bytes | str, where: object) -> Any:
    """What a JSON text says.

    data: the text. where: what to call it in messages. Raises InputError for anything else than
    JSON, for NaN, infinity and keys that come twice.
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)
    except (RecursionError, ValueError) as error:
        expected = "valid JSON that is not deeply nested"
        raise InputError(where, expected, told(error), "write the file again") from error


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("one key twice in an object")
    return dict(pairs)


def plain(file: h5py.Group, key: str) -> Any:
    """An attribute as plain Python, a list where it has axes, None where there is none.

    file: the file, or the group whose it is. key: its name. Raises InputError as `attribute` does.
    """
    value = attribute(file, key)
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def numbers(file: h5py.Group, key: str, name: str) -> NDArray[Any]:
    """An attribute of the root as an array of numbers, [n]; a single number is [1].

    file: the file. key: the attribute's name. name: the file's, for messages. Raises InputError for
    anything else.
    """
    values = np.atleast_1d(np.asarray(attribute(file, key)))
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise InputError(f"{name}: {key}", "an attribute with numbers", short(plain(file, key)))
    return values


def text_of(value: Any, limit: int = 1000) -> str | None:
    """`value` (str, or bytes of UTF-8) as a str, or None where it is no printable text.

    limit: of its characters. New lines count as printable.
    """
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if not isinstance(text, str) or len(text) > limit:
        return None
    return text if text.replace("\n", " ").isprintable() else None


def told(error: BaseException) -> str:
    """The class and the message of an exception, `error`, as one piece of text."""
    return f"{type(error).__name__}: {error}"
