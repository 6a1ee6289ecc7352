"""Tensors of a file, of which nothing is read before a network needs it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import MAX_ARRAYS

BFLOAT16 = "bfloat16"
# torch's name of a type -> numpy's without the order of bytes
DTYPES = {
    "float32": "f4",
    "float64": "f8",
    "float16": "f2",
    BFLOAT16: "u2",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint8": "u1",
    "uint16": "u2",
    "uint32": "u4",
    "uint64": "u8",
    "bool": "u1",
    "complex64": "c8",
    "complex128": "c16",
}
FLOATS = ("float16", BFLOAT16, "float32", "float64")
MAX_AXES = 32
MAX_SIZE = 2**40


class Stored(Protocol):
    """An array of a file. shape: its own. name: where the file has it."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def name(self) -> str: ...


class Storage(NamedTuple):
    """Numbers in a row, of which tensors are views.

    key: the file's name of it. dtype: torch's name of the type. size: how many numbers it is said
    to hold. start: the first of them, where it is a view of another storage.
    """

    key: str
    dtype: str
    size: int
    start: int = 0


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage. shape, strides: by axis, in numbers. offset: of the first number."""

    storage: Storage
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    name: str = ""

    def __repr__(self) -> str:
        return f"<Tensor {self.name!r}: {list(self.shape)} of {self.storage.dtype}>"


def tensor_of(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor | None:
    """The tensor, or None where there can be no such view.

    storage, offset, shape, strides: what a file says they are.
    """
    if not isinstance(storage, Storage) or not _whole(offset):
        return None
    axes = isinstance(shape, tuple) and isinstance(strides, tuple)
    if not axes or len(shape) != len(strides) or len(shape) > MAX_AXES:
        return None
    if not all(map(_whole, (*shape, *strides))):
        return None
    count = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
    # a view of more numbers than there are repeats some: a small file could ask for any room
    if count and (last >= storage.size or count > storage.size):
        return None
    return Tensor(storage, shape, strides, offset)


def array_of(
    tensor: Tensor, where: str, numbers: Callable[[Storage], Any], order: str, left: list[int]
) -> NDArray[Any]:
    """A tensor's numbers, float32 or float64; float16 and bfloat16 become float32.

    tensor: of the file. where: for messages. numbers: function of a storage that gives its bytes.
    order: "<" or ">", of the bytes of a number. left: one number, the bytes of parameters that may
    still be read; it is counted down. Raises InputError for other types than floats, and where the
    storage is smaller than it says.
    """
    storage = tensor.storage
    if storage.dtype not in FLOATS:
        do = "write the parameters as float32: {k: v.float() for k, v in state.items()}"
        raise InputError(where, ", ".join(FLOATS), storage.dtype, do)
    kind = np.dtype(order + DTYPES[storage.dtype])
    count = math.prod(tensor.shape)
    left[0] -= count * max(4, kind.itemsize)
    if left[0] < 0:
        raise InputError(where, f"at most {MAX_ARRAYS:,} bytes of parameters", "more")
    data = numbers(storage)
    need = (storage.start + storage.size) * kind.itemsize
    if len(data) < need:
        do = "it is truncated or damaged: copy or download it again"
        raise InputError(where, f"a storage of {need:,} bytes", f"{len(data):,}", do)
    if not count:
        return np.zeros(tensor.shape, np.float32)
    first = (storage.start + tensor.offset) * kind.itemsize
    row = np.frombuffer(data, kind, offset=first, count=(len(data) - first) // kind.itemsize)
    steps = [step * kind.itemsize for step in tensor.strides]
    view = np.lib.stride_tricks.as_strided(row, tensor.shape, steps, writeable=False)
    if storage.dtype == BFLOAT16:
        return (view.astype(np.uint32) << 16).view(np.float32)
    dtype = np.float64 if kind.itemsize == 8 else np.float32
    return np.array(view, dtype, order="C")


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_SIZE
