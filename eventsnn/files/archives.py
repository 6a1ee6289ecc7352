"""Zip archives that come from anywhere, read without unpacking them to a disk.

Nothing in them is trusted: the list of members, each member's size and what it is compressed from
are bounded before room is taken, and every failure is an InputError. A member's bytes come in
pieces, so that one that decompresses to more than it says costs no more than it says.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from eventsnn.exceptions import InputError
from eventsnn.files.reading import MAX_RATIO, told

# bytes of the list of members, and how many members
MAX_LIST = 2**22
MAX_MEMBERS = 50_000
PIECE = 2**20
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x41  # bits of a member's flags
FAILURES = (
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
AGAIN = "it is truncated or damaged: copy or download it again"


class Archive:
    """An open archive.

    name: of the file, for messages. listed: zipfile's own. size: of the file, in bytes.

    Attributes: name. members: name -> what zipfile says of it.
    """

    def __init__(self, name: str, listed: zipfile.ZipFile, size: int) -> None:
        self.name = name
        self.members = {info.filename: info for info in listed.infolist()}
        self._listed = listed
        self._size = size

    def __repr__(self) -> str:
        return f"<Archive {self.name}: {len(self.members):,} members>"

    def size(self, member: str, most: int) -> int:
        """The bytes of a member, decompressed.

        member: its name. most: how many there may be. Raises InputError for a member that is not
        there, that is encrypted or compressed in another way than deflate, that says to be longer,
        or longer than what is stored of it can be.
        """
        where = f"{self.name}: {member}"
        info = self.members.get(member)
        if info is None:
            raise InputError(where, "a member of that name in the archive", "none", AGAIN)
        if info.flag_bits & ENCRYPTED:
            raise InputError(where, "a member without a password", "an encrypted one", "decrypt it")
        if info.compress_type not in METHODS:
            found = f"one compressed by method {info.compress_type}"
            do = "pack the archive again with zip, without other methods"
            raise InputError(where, "a member that is stored or deflated", found, do)
        limit = min(most, MAX_RATIO * min(info.compress_size, self._size))
        if info.compress_type == zipfile.ZIP_STORED:
            limit = min(most, self._size)
        if info.file_size > limit:
            expected = f"at most {limit:,} bytes"
            raise InputError(where, expected, f"{info.file_size:,}", "the file is damaged")
        return info.file_size

    def pieces(self, member: str, most: int) -> Iterator[bytes]:
        """Yields the bytes of a member in pieces of at most PIECE.

        member, most: as for `size`. Raises InputError as it does, and where the bytes are not as
        many as the archive says or have another checksum.
        """
        left = self.size(member, most)
        where = f"{self.name}: {member}"
        try:
            with self._listed.open(self.members[member]) as stream:
                while left:
                    piece = stream.read(min(left, PIECE))
                    if not piece:
                        raise EOFError(f"{left:,} bytes are missing")
                    left -= len(piece)
                    yield piece
        except InputError:
            raise
        except FAILURES as error:
            raise InputError(where, "a member that can be read", told(error), AGAIN) from error

    def read(self, member: str, most: int) -> bytearray:
        """The bytes of a member. member, most, errors: as for `pieces`."""
        whole = bytearray()
        for piece in self.pieces(member, most):
            whole += piece
        return whole


@contextmanager
def open_archive(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """An archive, open inside the block.

    path: the file. Raises InputError for one that is damaged, has too many members, or two of one
    name.
    """
    name = os.path.basename(path)
    with _listed(path, name) as listed:
        names = listed.namelist()
        if len(names) > MAX_MEMBERS:
            raise InputError(name, f"at most {MAX_MEMBERS:,} members", f"{len(names):,}")
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise InputError(name, "one member for each name", f"{twice!r} twice", AGAIN)
        yield Archive(name, listed, os.path.getsize(path))


def names_in(path: str | os.PathLike[str], most: int) -> list[str]:
    """The first names in a zip archive; none where it is damaged or no such file.

    path: the file. most: how many.
    """
    with suppress(InputError, OSError), _listed(path, os.path.basename(path)) as listed:
        return listed.namelist()[:most]
    return []


@contextmanager
def _listed(path: str | os.PathLike[str], name: str) -> Iterator[zipfile.ZipFile]:
    """What zipfile makes of a file, inside the block."""
    with _Bounded(path) as file:
        try:
            listed = zipfile.ZipFile(file)
        except InputError:
            raise
        except FAILURES as error:
            raise InputError(name, "a whole zip archive", told(error), AGAIN) from error
        with listed:
            yield listed


class _Bounded(io.FileIO):
    """A file of which nobody reads more at once than a list of members may have."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > MAX_LIST:
            name = os.path.basename(os.fsdecode(self.name))
            raise InputError(name, f"a list of at most {MAX_LIST:,} bytes", f"{size:,}", AGAIN)
        return super().read(size)
