"""What the bytes of an HDF5 file say, where libhdf5 has no call for it or believes too much."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import h5py

from eventsnn.exceptions import InputError
from eventsnn.files.memory import content, size_of

SMALL = 2**26  # bytes of a file that is looked through as a whole
Parts = tuple[tuple[int, int], ...]


def parts_beside(file: h5py.File) -> Parts:
    """Where a file has other bytes than numbers of datasets: (begin, end) of each part, in turn.

    file: open. To look through all of a trace of some GB would take seconds. What the file says is
    believed: a walk through it comes first, in a copy of the process (`trial`). A small file is one
    part.
    """
    size = size_of(file.filename)
    if size <= SMALL:
        return ((0, size),)
    taken: list[tuple[int, int]] = []

    def note(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
            taken.extend(_stored(item))

    file.visititems(note)
    parts, begin = [], 0
    for first, end in sorted(taken):
        if first > begin:
            parts.append((begin, first))
        begin = max(begin, end)
    return (*parts, (begin, size)) if begin < size else tuple(parts)


def _stored(dataset: h5py.Dataset) -> list[tuple[int, int]]:
    """(begin, end) of the bytes in which a dataset's numbers lie."""
    found: list[tuple[int, int]] = []
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        return found if offset is None else [(offset, offset + dataset.id.get_storage_size())]

    def note(chunk: Any) -> None:
        found.append((chunk.byte_offset, chunk.byte_offset + chunk.size))

    if hasattr(dataset.id, "chunk_iter"):  # not with libhdf5 before 1.12.3
        dataset.id.chunk_iter(note)
    return found


def _places(data: mmap.mmap, text: bytes, parts: Parts, skip: int) -> Iterator[int]:
    """Where a text stands in some parts of a file. skip: bytes from one place to the next."""
    for begin, end in parts:
        at = data.find(text, begin, end)
        while at >= 0:
            yield at
            at = data.find(text, at + skip, end)


def check_heaps(path: str | os.PathLike[str], width: int, parts: Parts) -> None:
    """Refuse a damaged global heap, where variable-length text lies: HDF5 2.0 can loop in it.

    A heap is a header of 16 bytes and objects. Each object is a header of 16 (index u2, 6 bytes,
    size of `width` bytes) and its data up to a multiple of 8. The object 0 is the free rest, and
    its size includes the header. parts: where it is sought (`parts_beside`).
    """
    with content(path) as data:
        for start in _places(data, b"GCOL\x01\0\0\0", parts, 8):
            at = start + 16
            end = start + _number(data, start + 8, width)
            while at + 16 <= end <= len(data):
                size = _number(data, at + 8, width)
                step = 16 + (size + 7) // 8 * 8 if any(data[at : at + 2]) else size
                at = at + step if step >= 16 else end + 1
            if at > end or end > len(data):
                do = "copy or download it again"
                raise InputError(path, "a whole HDF5 file", "a damaged heap", do)


@lru_cache
def lengths_of(
    path: str, key: str, widths: tuple[int, int], parts: Parts
) -> dict[tuple[int, ...], int]:
    """Shape -> bytes of the texts of variable length in attributes called `key`, the most of any.

    All attributes of that name count, wherever the file has one. HDF5 reserves as many bytes as a
    text says it has before it looks for the text, and has no call that returns the number. So
    attribute messages are sought by their name. widths: bytes of an address and of a length in this
    file. parts: where they are sought (`parts_beside`).
    """
    name = key.encode() + b"\0"
    found: dict[tuple[int, ...], int] = {}
    with content(path) as data:
        for at in _places(data, name, parts, 1):
            lengths = _lengths_at(data, at, len(name), widths) if at >= 9 else None
            if lengths is not None:
                shape, size = lengths
                found[shape] = max(size, found.get(shape, 0))
    return found


def _lengths_at(
    data: mmap.mmap, at: int, name: int, widths: tuple[int, int]
) -> tuple[tuple[int, ...], int] | None:
    """(shape, bytes) of the texts of one attribute message, or None where it is none.

    HDF5 File Format Specification, IV.A.2.m: version; flags; sizes u2 of name, datatype and
    dataspace; in version 3 the encoding of the name; then these three, in version 1 each up to a
    multiple of 8. Each text is its length u4, and the address and index of what holds it.

    at: where the name begins. name: its length. widths: as in `lengths_of`.
    """
    start = at - 9 if data[at - 9] == 3 and _number(data, at - 7, 2) == name else at - 8
    version = data[start]
    if version not in (1, 2, 3) or _number(data, start + 2, 2) != name:
        return None
    unit = 8 if version == 1 else 1
    lengths = (name, _number(data, start + 4, 2), _number(data, start + 6, 2))
    sizes = [-(-n // unit) * unit for n in lengths]
    kind = at + sizes[0]
    space = kind + sizes[1]
    texts = space + sizes[2]
    dims = space + (8 if data[space : space + 1] == b"\1" else 4)
    rank = _number(data, space + 1, 1)
    shape = tuple(_number(data, dims + i * widths[1], widths[1]) for i in range(rank))
    count = math.prod(shape)
    item = 8 + widths[0]
    variable = kind < len(data) and data[kind] % 16 == 9
    if not variable or texts + count * item > len(data):
        return None
    return shape, sum(_number(data, texts + i * item, 4) for i in range(count))


def _number(data: mmap.mmap, at: int, size: int) -> int:
    """The little-endian number of `size` bytes at `at`."""
    return int.from_bytes(data[at : at + size], "little")
