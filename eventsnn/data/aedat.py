"""Events of AEDAT 4 files, as iniVation's cameras record them.

A line `#!AER-DAT4.0`, a header (FlatBuffers) with the kind of compression and a description of the
streams (XML), and packets: stream and size (both i4), then a FlatBuffer that may be packed by LZ4
or Zstandard. Those two are the only things that another package is needed for (extra `events`): the
tables are few, so they are read here, where every offset is checked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from eventsnn.data.formats import check_size, open_file, read_bytes, reading
from eventsnn.exceptions import InputError

START = b"#!AER-DAT4.0\r\n"
NONE, LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH = range(5)
MAX_HEADER = 2**24
MAX_PACKET = 2**28  # bytes, packed or not
EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": ["<i8", "<i2", "<i2", "?"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
DAMAGED = "it is damaged: copy it again"


def read_aedat(path: Path) -> tuple[NDArray[Any], tuple[int, int] | None]:
    """(events as they were recorded, records of EVENT; width and height of the sensor, or None).

    path: the file. Raises InputError for a damaged file, one without a stream of events or with
    several, and where what unpacks it is not installed.
    """
    parts: list[NDArray[Any]] = []
    size = 0
    with reading(path), open_file(path) as stream:
        if stream.read(len(START)) != START:
            raise InputError(path, "an AEDAT 4 file", "another start", DAMAGED)
        length = _number(stream.read(4), path)
        if not 0 < length <= MAX_HEADER:
            raise InputError(path, f"a header of 1 to {MAX_HEADER:,} bytes", length, DAMAGED)
        header = bytes(read_bytes(stream, len(START) + 4, length, path))
        compression, end, streams = _header(header, path)
        wanted, sensor = _events_of(streams, path)
        whole = path.stat().st_size
        end = whole if end < 0 else end
        if end > whole:
            raise InputError(path, f"{end:,} bytes", f"{whole:,}", "the file is truncated")
        for data in _packets(stream, len(START) + 4 + length, end, wanted, path):
            events = _packet(_unpacked(data, compression, path), path)
            size += events.nbytes
            check_size(size, path)
            parts.append(events)
    found = np.concatenate(parts) if parts else np.zeros(0, EVENT)
    return found, sensor


def _packets(stream: Any, at: int, end: int, wanted: int, path: Path) -> Iterator[bytes]:
    """Yields the data of one stream's packets. at, end: where packets are."""
    while at < end:
        head = read_bytes(stream, at, 8, path)
        number, size = struct.unpack("<ii", head)
        at += 8
        if not 0 <= size <= min(MAX_PACKET, end - at):
            expected = f"a packet within {end - at:,} bytes"
            raise InputError(path, expected, f"{size:,} bytes", DAMAGED)
        if number == wanted:
            yield bytes(read_bytes(stream, at, size, path))
        at += size


def _unpacked(data: bytes, compression: int, path: Path) -> bytes:
    """The data of a packet as it was before it was compressed."""
    if compression == NONE:
        return data
    name = "lz4" if compression in (LZ4, LZ4_HIGH) else "zstandard"
    try:
        package = import_module("lz4.frame" if name == "lz4" else name)
    except ImportError:
        found = f"a file that {name} packed, and no such package"
        raise InputError(path, "packets that can be read", found, f"pip install {name}") from None
    try:
        if name == "lz4":
            unpack = package.LZ4FrameDecompressor()
            found = unpack.decompress(data, max_length=MAX_PACKET)
            whole = unpack.eof
        else:
            window = package.ZstdDecompressor(max_window_size=2**27)
            with window.stream_reader(data) as reader:
                found = reader.read(MAX_PACKET)
                whole = not reader.read(1)
    except Exception as error:  # each package has its own
        told = f"{type(error).__name__}: {error}"
        raise InputError(path, "a packet that can be unpacked", told, DAMAGED) from None
    if not whole:
        raise InputError(path, f"packets of at most {MAX_PACKET:,} bytes", "more", DAMAGED)
    return bytes(found)


def _packet(data: bytes, path: Path) -> NDArray[Any]:
    """The events of a packet, a FlatBuffer with its size before it."""
    if data[8:12] != b"EVTS":
        raise InputError(path, "a packet of events", f"one of {data[8:12]!r}", DAMAGED)
    table = _Table(data[4:], path)
    at = table.field(0)
    if at is None:
        return np.zeros(0, EVENT)
    at += table.number("<I", at)
    count = table.number("<I", at)
    if at + 4 + count * EVENT.itemsize > len(table.data):
        raise InputError(path, f"{count:,} events", "a smaller packet", DAMAGED)
    return np.frombuffer(table.data, EVENT, count, at + 4)


class _Table:
    """The root table of a FlatBuffer. data: of it. path: of the file, for messages."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data = data
        self.path = path
        self.at = self.number("<I", 0)
        self.vtable = self.at - self.number("<i", self.at)
        self.size = self.number("<H", self.vtable)

    def number(self, form: str, at: int) -> int:
        """A number at a place; InputError where there is none."""
        if not 0 <= at <= len(self.data) - struct.calcsize(form):
            raise InputError(self.path, "offsets within the data", at, DAMAGED)
        return int(struct.unpack_from(form, self.data, at)[0])

    def field(self, number: int) -> int | None:
        """Where a field is, or None where it has its default."""
        entry = 4 + 2 * number
        offset = self.number("<H", self.vtable + entry) if entry + 2 <= self.size else 0
        return self.at + offset if offset else None


def _header(data: bytes, path: Path) -> tuple[int, int, str]:
    """(compression, where packets end or -1, XML) of a header."""
    table = _Table(data, path)
    places = [table.field(i) for i in range(3)]
    compression = NONE if places[0] is None else table.number("<i", places[0])
    end = -1 if places[1] is None else table.number("<q", places[1])
    if compression not in range(5):
        raise InputError(path, "a compression from 0 to 4", compression, DAMAGED)
    if places[2] is None:
        return compression, end, ""
    at = places[2] + table.number("<I", places[2])
    length = table.number("<I", at)
    text = data[at + 4 : at + 4 + length]
    return compression, end, text.decode("utf-8", "replace")


def _events_of(text: str, path: Path) -> tuple[int, tuple[int, int] | None]:
    """(number of the stream of events, its sensor's width and height or None). text: XML."""
    if "<!" in text:
        raise InputError(path, "a description without declarations", "<!", DAMAGED)
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise InputError(path, "a description of streams", error, DAMAGED) from None
    found = []
    for node in root.iter("node"):
        of = {str(attr.get("key")): attr.text or "" for attr in node.findall("attr")}
        name = str(node.get("name"))
        if of.get("typeIdentifier") != "EVTS" or not (name.isascii() and name.isdigit()):
            continue
        sizes = {a.get("key"): a.text or "" for a in node.iter("attr")}
        sides = [sizes.get(key, "") for key in ("sizeX", "sizeY")]
        known = all(s.isascii() and s.isdigit() and 0 < int(s[:9]) < 2**15 for s in sides)
        found.append((int(name[:9]), (int(sides[0]), int(sides[1])) if known else None))
    if len(found) != 1:
        do = "record one stream of events, or export it with iniVation's dv-processing"
        raise InputError(path, "one stream of events", len(found) or "none", do)
    return found[0]


def _number(data: bytes, path: Path) -> int:
    if len(data) < 4:
        raise InputError(path, "a header", "the end of the file", "the file is truncated")
    return int.from_bytes(data, "little", signed=True)
