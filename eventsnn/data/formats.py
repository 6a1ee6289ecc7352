"""What the readers of image sets share: windows of positions, and reading that trusts nothing.

Each reader takes `(paths, window, split)` and returns (pixels uint8 or float32 [n, C, H, W], labels
int64 [n] or None, class names). It reads the window's records only. `images.py` decides which
reader a path needs.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.refusals import refusal_of

MAX_BYTES = 2**32
CONVERT = (
    "store the images in one .npz: "
    "x_test (uint8 [N, H, W, C]), y_test (integers [N]), x_train, y_train"
)
PICKLE = (
    "data that runs no code when it is read",
    "a Python pickle",
    "use the binary version of CIFAR (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz)",
)
# what numpy, h5py, zipfile and gzip raise for damaged files (Warning: when warnings are errors)
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
    """Which positions of a split are read.

    offset: the first, from 0. limit: how many at most (None: to the end). Raises InputError unless
    they are whole numbers, `offset` 0 or more and `limit` 1 or more.
    """

    offset: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        for name, least in ("offset", 0), ("limit", 1):
            value = getattr(self, name)
            if name == "limit" and value is None:
                continue
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not whole or value < least:
                expected = f"a whole number, {least} or more"
                raise InputError(name, expected, repr(value), f"change {name}")

    def rows(self, count: int, row_bytes: int, where: object) -> tuple[int, int]:
        """(start, stop) of the window's rows.

        count: how many rows there are. row_bytes: bytes of each. where: what has them, for
        messages. Raises InputError where there is no row at `offset`, and for more than MAX_BYTES.
        """
        if count < 1:
            do = "fetch the data again or give another set"
            raise InputError(where, "at least one image", "none", do)
        if self.offset >= count:
            expected = f"an offset below the number of images, {count:,}"
            raise InputError(where, expected, f"{self.offset:,}", "lower the offset")
        start = int(self.offset)
        stop = count if self.limit is None else min(count, start + int(self.limit))
        check_size((stop - start) * row_bytes, where)
        return start, stop


Found = tuple[NDArray[Any], NDArray[np.int64] | None, tuple[str, ...]]
Reader = Callable[[list[Path], Window, str], Found]


def check_size(size: int, where: object) -> None:
    """Raise InputError for more bytes than MAX_BYTES.

    size: bytes that are to be read. where: what has them, for the message.
    """
    if size > MAX_BYTES:
        do = "ask for fewer images or split the file"
        raise InputError(where, f"at most {MAX_BYTES:,} bytes", f"{size:,}", do)


@contextmanager
def reading(where: object) -> Iterator[None]:
    """Turn what a damaged or unreadable file makes the libraries raise into an InputError.

    where: what is read inside the block, for the message.
    """
    try:
        yield
    except InputError:
        raise
    except FOREIGN as error:
        refusal = refusal_of(error)
        if refusal is not None:
            raise InputError(where, *refusal) from error
        found = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        do = "check the path or fetch the data again"
        raise InputError(where, "readable, undamaged data", found, do) from error


def open_file(path: Path) -> BinaryIO:
    """A file, open for reading bytes.

    path: the file. Raises InputError for what is no regular file: opening a named pipe would wait
    for ever.
    """
    with reading(path):
        if not path.is_file():
            found = "a folder or something else" if path.exists() else "nothing there"
            do = "put the file there or remove what is in its place"
            raise InputError(path, "a file", found, do)
        return open(path, "rb")


def peek(path: Path, size: int) -> bytes:
    """The first `size` bytes of a file, or all there are.

    path: the file. size: a number of bytes. Raises InputError where it cannot be read.
    """
    with open_file(path) as stream, reading(path):
        return stream.read(size)


def is_pickle(head: bytes) -> bool:
    """Whether the first bytes of a file, `head`, are those of a Python pickle."""
    return head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")


def read_bytes(
    stream: IO[bytes] | gzip.GzipFile, start: int, size: int, where: object
) -> bytearray:
    """The bytes of a window, in memory that grows no further than the data.

    stream: an open file, packed or not. start: its first byte that is read. size: how many are
    read. where: what to call the file in messages. Raises InputError where it ends before.
    """
    # in steps: a packed stream reads all it skips
    for at in range(0, start, 1 << 20):
        stream.seek(at)
    stream.seek(start)
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(size - len(data), 1 << 20))
        if not piece:
            expected = f"{start + size:,} bytes"
            found = f"{start + len(data):,}"
            raise InputError(where, expected, found, "the file is truncated")
        data += piece
    return data
