"""Safetensors: a header of JSON, then the numbers of all tensors, one behind the other.

The first 8 bytes are the header's length. It maps each key to {"dtype", "shape", "data_offsets":
[first byte, byte behind the last]}, counted from the header's end, and may have "__metadata__".
The tensors cover the rest of the file without gaps and without overlapping.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.files.reading import json_of
from eventsnn.readers.torch.saved import Saved
from eventsnn.readers.torch.tensors import DTYPES, MAX_AXES, MAX_SIZE, Storage, Tensor

MAX_HEADER = 2**24  # bytes
AGAIN = "it is truncated or damaged: copy or download it again"
METADATA = "__metadata__"
# the format's name of a type -> torch's; others are known by their bits alone
TYPES = {
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "BOOL": "bool",
    "C64": "complex64",
}


def told(start: bytes) -> bool:
    """Whether a file is one of safetensors. start: its first bytes."""
    return start[8:9] == b"{" and start[4:8] == bytes(4)


@contextmanager
def open_safetensors(path: str | Path) -> Iterator[Saved]:
    """What a file holds, inside the block: key -> `Tensor`.

    path: the file. Raises InputError for a header that cannot be true.
    """
    name = os.path.basename(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            expected = f"a header of 2 to {min(MAX_HEADER, max(size - 8, 2)):,} bytes"
            raise InputError(name, expected, f"{length:,}", AGAIN)
        where = f"{name}: header"
        header = json_of(file.read(length), where)
        if not isinstance(header, dict):
            raise InputError(where, "an object", short(header), AGAIN)
        places = {
            key: _place(value, f"{where}: {short(key)}", size - 8 - length)
            for key, value in header.items()
            if key != METADATA
        }
        _check_cover(places, size - 8 - length, where)
        tensors = {key: _tensor(header[key], key) for key in places}

        def numbers(storage: Storage) -> bytes:
            start, end = places[storage.key]
            file.seek(8 + length + start)
            return file.read(end - start)

        yield Saved(tensors, numbers, "<")


def _place(value: Any, where: str, size: int) -> tuple[int, int]:
    """The first byte of a tensor and the one behind its last; size: of all tensors."""
    value = value if isinstance(value, dict) else {}
    place, shape, kind = (value.get(key) for key in ("data_offsets", "shape", "dtype"))
    pair = isinstance(place, list) and len(place) == 2 and all(type(n) is int for n in place)
    if not pair or not 0 <= place[0] <= place[1] <= size:
        expected = f"data_offsets of two whole numbers up to {size:,}, the second not below"
        raise InputError(where, expected, short(place), AGAIN)
    good = isinstance(shape, list) and len(shape) <= MAX_AXES
    if not good or not all(type(n) is int and 0 <= n < MAX_SIZE for n in shape):
        raise InputError(where, "a shape of whole numbers from 0", short(shape), AGAIN)
    if not isinstance(kind, str):
        raise InputError(where, "the name of a dtype", short(kind), AGAIN)
    if kind in TYPES:
        need = math.prod(shape) * int(DTYPES[TYPES[kind]][1:])
        if place[1] - place[0] != need:
            expected = f"{need:,} bytes for {short(shape)} of {kind}"
            raise InputError(where, expected, f"{place[1] - place[0]:,}", AGAIN)
    return place[0], place[1]


def _check_cover(places: dict[str, tuple[int, int]], size: int, where: str) -> None:
    """Raises InputError unless the tensors cover all bytes, none of them twice."""
    at = 0
    for key, (start, end) in sorted(places.items(), key=lambda item: item[1]):
        if start != at:
            found = "one that overlaps" if start < at else "a gap in front of one"
            expected = "tensors one behind the other"
            raise InputError(f"{where}: {short(key)}", expected, found, AGAIN)
        at = end
    if at != size:
        raise InputError(where, f"tensors of {size:,} bytes", f"{at:,}", AGAIN)


def _tensor(entry: dict[str, Any], key: str) -> Tensor:
    """The tensor of a header's entry that was checked."""
    shape = tuple(entry["shape"])
    steps = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    dtype = TYPES.get(entry["dtype"], entry["dtype"])
    return Tensor(Storage(key, dtype, math.prod(shape)), shape, tuple(steps), 0)
