"""What the bytes of an HDF5 file say, where libhdf5 has no call for it or believes too much."""

from __future__ import annotations

import math
import mmap
import os
from functools import lru_cache

from eventsnn.exceptions import InputError
from eventsnn.files.memory import content


def check_heaps(path: str | os.PathLike[str], width: int) -> None:
    """Refuse a damaged global heap, where variable-length text lies: HDF5 2.0 can loop in it.

    A heap is a header of 16 bytes and objects. Each object is a header of 16 (index u2, 6 bytes,
    size of `width` bytes) and its data up to a multiple of 8. The object 0 is the free rest, and
    its size includes the header.
    """
    with content(path) as data:
        start = data.find(b"GCOL\x01\0\0\0")
        while start >= 0:
            at = start + 16
            end = start + _number(data, start + 8, width)
            while at + 16 <= end <= len(data):
                size = _number(data, at + 8, width)
                step = 16 + (size + 7) // 8 * 8 if any(data[at : at + 2]) else size
                at = at + step if step >= 16 else end + 1
            if at > end or end > len(data):
                do = "copy or download it again"
                raise InputError(path, "a whole HDF5 file", "a damaged heap", do)
            start = data.find(b"GCOL\x01\0\0\0", start + 8)


@lru_cache
def lengths_of(path: str, key: str, widths: tuple[int, int]) -> list[tuple[tuple[int, ...], int]]:
    """[(shape, bytes)] of the texts of variable length in each attribute called `key`.

    All attributes of that name count, wherever the file has one. HDF5 reserves as many bytes as a
    text says it has before it looks for the text, and has no call that returns the number. So
    attribute messages are sought by their name. widths: bytes of an address and of a length in this
    file.
    """
    name = key.encode() + b"\0"
    found = []
    with content(path) as data:
        at = data.find(name, 9)
        while at >= 0:
            lengths = _lengths_at(data, at, len(name), widths)
            if lengths is not None:
                found.append(lengths)
            at = data.find(name, at + 1)
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
