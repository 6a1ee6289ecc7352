"""What torch.save writes: a zip archive since PyTorch 1.6, before it pickles and numbers in a row.

Only tensors are read. A pickle's program is run by `files.pickles`, which calls nothing; the few
names that a state dict needs have their meaning here, all others stay names.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from eventsnn.exceptions import InputError
from eventsnn.files.archives import Archive, open_archive
from eventsnn.files.pickles import MAX_PICKLE, Named, Unknown, unpickled
from eventsnn.files.reading import MAX_ARRAY, MAX_ARRAYS
from eventsnn.readers.torch.tensors import DTYPES, MAX_AXES, Storage, tensor_of

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MAX_PAIRS = 1_000_000  # of all dicts that are made of a list of pairs
MAX_KEY = 200  # characters of a storage's name
PICKLE = "data.pkl"
ORDERS = {"little": "<", "big": ">"}
# torch's classes of storages, without "Storage" behind them
STORAGES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "Untyped": "uint8",
}
DICTS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict")
TENSORS = tuple(f"torch._utils._rebuild_tensor{end}" for end in ("", "_v2", "_v3"))
PARAMETERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
)
OF_SUBCLASS = ("torch._tensor._rebuild_from_type", "torch._tensor._rebuild_from_type_v2")
DAMAGED = "it is truncated or damaged: copy or download it again"


class Saved(NamedTuple):
    """What a file holds. value: of its pickle, as `unpickled` gives it, with `Tensor`s in it.

    numbers: function of a storage that gives its bytes. order: "<" or ">", of a number's bytes.
    """

    value: Any
    numbers: Callable[[Storage], bytes | bytearray]
    order: str


@contextmanager
def open_zip(path: str | Path) -> Iterator[Saved]:
    """What an archive of PyTorch 1.6 or later holds, inside the block.

    path: the file. Raises InputError for an archive that is not as PyTorch writes it.
    """
    with open_archive(path) as archive:
        roots = [name[: -len(PICKLE)] for name in archive.members if name.endswith(f"/{PICKLE}")]
        if len(roots) != 1:
            expected = f"one member NAME/{PICKLE}"
            raise InputError(archive.name, expected, len(roots), DAMAGED)
        root = roots[0]
        where = f"{archive.name}: {PICKLE}"
        data = archive.read(root + PICKLE, MAX_PICKLE)
        value = unpickled(io.BytesIO(data), where, _calls(), _storage)
        order = _order(archive, f"{root}byteorder")

        def numbers(storage: Storage) -> bytearray:
            return archive.read(f"{root}data/{storage.key}", MAX_ARRAY)

        yield Saved(value, _in_turn(numbers, archive.name), order)


@contextmanager
def open_stream(path: str | Path) -> Iterator[Saved]:
    """What a file of PyTorch before 1.6 holds, inside the block.

    Five pickles come first: a number that tells the format, its version, what the machine was
    like, the value, and the keys of its storages. Behind them, each storage has how many numbers
    it holds (8 bytes) and these. Numbers are little-endian, also those of a machine that says it
    is big-endian: PyTorch turned them when it wrote them.

    path: the file. Raises InputError for a file that is not as PyTorch writes it.
    """
    name = os.path.basename(path)
    storages: dict[str, Storage] = {}

    def persistent(given: Any) -> Any:
        found = _storage(given)
        if isinstance(found, Storage):
            storages.setdefault(found.key, found)
        return found

    with open(path, "rb") as file:
        head = io.BytesIO(file.read(MAX_PICKLE))
        call = _calls()

        def part(what: str) -> Any:
            return unpickled(head, f"{name}: {what}", call, persistent)

        if part("magic number") != MAGIC or part("protocol") != PROTOCOL:
            expected = "the two numbers with which torch.save begins"
            do = "load it with the PyTorch that wrote it, and save its state_dict() again"
            raise InputError(name, expected, "others", do)
        part("system")
        value = part("value")
        keys = part("storages")
        if not isinstance(keys, list):
            raise InputError(name, "a list of storages", "something else", DAMAGED)
        places = _places(file, head.tell(), keys, storages, name)

        def numbers(storage: Storage) -> bytes:
            start, size = places[storage.key]
            file.seek(start)
            return file.read(size)

        yield Saved(value, _in_turn(numbers, name), "<")


def _places(
    file: BinaryIO, at: int, keys: list[Any], storages: dict[str, Storage], name: str
) -> dict[str, tuple[int, int]]:
    """Key -> (place, bytes) of each storage in a stream."""
    end = os.fstat(file.fileno()).st_size
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        if not isinstance(key, str) or key not in storages or key in places:
            raise InputError(name, "storages that the value has, each once", repr(key), DAMAGED)
        file.seek(at)
        count = int.from_bytes(file.read(8), "little", signed=True)
        size = count * _itemsize(storages[key])
        at += 8
        if not 0 <= count or at + size > end:
            where = f"{name}: storage {key}"
            expected = f"at most {max(end - at, 0):,} bytes of numbers"
            raise InputError(where, expected, f"{size:,}", DAMAGED)
        places[key] = at, size
        at += size
    missing = next((key for key in storages if key not in places), None)
    if missing is not None:
        raise InputError(name, f"numbers for storage {missing}", "none", DAMAGED)
    return places


def _itemsize(storage: Storage) -> int:
    return int(DTYPES[storage.dtype][1:])


def _in_turn(
    numbers: Callable[[Storage], bytes | bytearray], name: str
) -> Callable[[Storage], bytes | bytearray]:
    """The function, which reads a storage once for all tensors in a row that are views of it."""
    last: list[Any] = [None, b""]
    left = 2 * MAX_ARRAYS

    def remembered(storage: Storage) -> bytes | bytearray:
        nonlocal left
        if last[0] != storage.key:
            last[:] = None, b""  # room for the next
            last[:] = storage.key, numbers(storage)
            left -= len(last[1])
            if left < 0:
                expected = f"at most {2 * MAX_ARRAYS:,} bytes to read"
                raise InputError(name, expected, "more", "save tensors with storages of their own")
        found: bytes | bytearray = last[1]
        return found

    return remembered


def _order(archive: Archive, member: str) -> str:
    """The order of a number's bytes; archives of PyTorch before 2.1 do not tell: little."""
    if member not in archive.members:
        return "<"
    said = bytes(archive.read(member, 100)).decode("ascii", "replace")
    if said not in ORDERS:
        where = f"{archive.name}: {member}"
        raise InputError(where, "little or big", repr(said), DAMAGED)
    return ORDERS[said]


def _storage(given: Any) -> Any:
    """What a persistent id stands for: ("storage", class, key, place, size, view of another).

    A stream may have ("module", class, file, source code), too: the class, whose name is all of it.
    """
    if isinstance(given, tuple) and len(given) == 4 and isinstance(given[1], Named):
        return given[1] if given[0] == "module" else Unknown("a persistent id")
    if not isinstance(given, tuple) or len(given) not in (5, 6) or given[0] != "storage":
        return Unknown("a persistent id")
    kind, key, _, size = given[1:5]
    dtype = _dtype(kind)
    named = isinstance(key, str) and len(key) <= MAX_KEY
    if dtype is None or not named or type(size) is not int or size < 0:
        return Unknown(kind.name if isinstance(kind, Named) else "a storage")
    view = given[5] if len(given) == 6 else None
    if view is None:
        return Storage(key, dtype, size)
    whole = isinstance(view, tuple) and len(view) == 3 and all(type(n) is int for n in view[1:])
    if not whole or view[1] < 0 or not 0 <= view[2] <= size - view[1]:
        return Unknown("a view of a storage")
    return Storage(key, dtype, view[2], view[1])


def _dtype(kind: Any) -> str | None:
    """torch's name of the type of a storage's numbers, by the storage's class."""
    if not isinstance(kind, Named) or not kind.name.startswith("torch."):
        return None
    return STORAGES.get(kind.name.rpartition(".")[2].removesuffix("Storage"))


def _calls() -> Callable[[str, Any], Any]:
    """`_call`, which makes dicts of so many pairs and no more in one file."""
    left = MAX_PAIRS

    def counted(name: str, args: Any) -> Any:
        nonlocal left
        if name in DICTS and isinstance(args, tuple) and args:
            left -= len(args[0]) if isinstance(args[0], (list, tuple)) else 0
            if left < 0:
                return Unknown("a dict of many pairs")
        return _call(name, args)

    return counted


def _call(name: str, args: Any) -> Any:
    """What a pickle would have made by a class or function, of the names that a state dict has."""
    args = args if isinstance(args, tuple) else ()
    if name in DICTS:
        return _dict(args)
    if name in TENSORS and len(args) >= 4:
        storage, *view = args[:4]
        if name.endswith("_v3") and isinstance(storage, Storage):
            storage = _retyped(storage, args[6] if len(args) > 6 else None)
        return tensor_of(storage, *view) or Unknown(
            "one of a type of numbers that is not read, or that its storage cannot hold"
        )
    if name in PARAMETERS and args:
        return args[0]
    if name in OF_SUBCLASS and len(args) >= 3 and isinstance(args[0], Named):
        inner = args[2] if isinstance(args[2], tuple) else ()
        return _call(args[0].name, inner) if args[0].name in TENSORS else Unknown(args[0].name)
    if name == "torch.Size" and args and isinstance(args[0], (tuple, list)):
        return tuple(args[0][:MAX_AXES]) if len(args[0]) <= MAX_AXES else Unknown(name)
    return Unknown(name)


def _dict(args: tuple[Any, ...]) -> dict[Any, Any]:
    """A dict, as of Python 2 with a list of pairs."""
    pairs = args[0] if args and isinstance(args[0], (list, tuple)) else ()
    whole = [pair for pair in pairs if isinstance(pair, (list, tuple)) and len(pair) == 2]
    return {key: value for key, value in whole if isinstance(key, str)}


def _retyped(storage: Storage, dtype: Any) -> Any:
    """An untyped storage, of bytes, as one of numbers of a type."""
    name = dtype.name.removeprefix("torch.") if isinstance(dtype, Named) else ""
    if name not in DTYPES:
        return None
    return storage._replace(dtype=name, size=storage.size // int(DTYPES[name][1:]))
