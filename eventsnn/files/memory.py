"""Files that lie in memory, as those in an archive do: found by the names that they have here."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count

HELD: dict[str, Image] = {}
NUMBERS = count()


class Image(mmap.mmap):
    """The bytes of a file; h5py takes it for the file.

    path: what h5py calls it: a number, and behind a slash the name for messages.
    """

    path = ""

    def __repr__(self) -> str:
        return self.path


@contextmanager
def held(pieces: Iterable[bytes], size: int, name: str) -> Iterator[Image]:
    """An image, there inside the block.

    pieces: its bytes, in parts. size: how many they are, at least 1. name: for messages. Room is
    taken as the pieces come.
    """
    with Image(-1, size) as image:
        for piece in pieces:
            image.write(piece)
        plain = name.encode("ascii", "replace").decode().replace("/", "_")
        image.path = f"{next(NUMBERS)}/{plain}"
        HELD[image.path] = image
        try:
            yield image
        finally:
            del HELD[image.path]


def size_of(path: str | os.PathLike[str]) -> int:
    """The bytes of a file. path: of a file on disk, or of an image."""
    image = HELD.get(os.fspath(path))
    return os.path.getsize(path) if image is None else len(image)


@contextmanager
def content(path: str | os.PathLike[str]) -> Iterator[mmap.mmap]:
    """The bytes of a file, inside the block. path: of a file on disk, or of an image."""
    image = HELD.get(os.fspath(path))
    if image is not None:
        yield image
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
