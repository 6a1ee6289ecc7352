"""Files of events as others write them, made by hand."""

import struct

import h5py
import numpy as np

RECORD = np.dtype([("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("p", "i1")])


def some_events(seed=0, count=40, width=6, height=6, last=4000):
    """Random events in the order of time, the first at 0."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, RECORD)
    events["t"] = np.sort(rng.integers(0, last, count)) if count else 0
    if count:
        events["t"] -= events["t"][0]
    events["x"], events["y"] = rng.integers(0, width, count), rng.integers(0, height, count)
    events["p"] = rng.integers(0, 2, count)
    return events


def flat_table(fields, after=b""):
    """A FlatBuffer whose root is a table; fields: (slot, packed number) or (slot, None), an offset
    to what stands behind it.
    """
    slots = max((slot for slot, _ in fields), default=-1) + 1
    vtable_size = 4 + 2 * slots
    body, places = b"\0\0\0\0", {}
    for slot, data in fields:
        width = len(data) if data else 4
        body += bytes(-len(body) % width)
        places[slot] = len(body)
        body += data or b"\0\0\0\0"
    start = 8 + vtable_size + (-(8 + vtable_size)) % 8
    vtable = struct.pack("<HH", vtable_size, len(body))
    vtable += b"".join(struct.pack("<H", places.get(slot, 0)) for slot in range(slots))
    end = start + len(body) + (-(start + len(body))) % 4
    body = bytearray(body)
    body[:4] = struct.pack("<i", start - 8)
    for slot, data in fields:
        if data is None:
            body[places[slot] : places[slot] + 4] = struct.pack("<I", end - start - places[slot])
    whole = bytearray(end)
    whole[:4] = struct.pack("<I", start)
    whole[8 : 8 + len(vtable)] = vtable
    whole[start : start + len(body)] = body
    return bytes(whole) + after


def aedat4(events, packets=2, compression=0, pack=bytes, sensor=(6, 6), first=10**15, streams=1):
    """An AEDAT 4 file; pack: a packet's bytes -> as they are stored."""
    nodes = ""
    for number in range(streams):
        nodes += (
            f'<node name="{number}"><attr key="typeIdentifier">EVTS</attr><node name="info">'
            f'<attr key="sizeX">{sensor[0]}</attr><attr key="sizeY">{sensor[1]}</attr>'
            "</node></node>"
        )
    text = f'<dv version="2.0"><node name="outInfo">{nodes}</node></dv>'.encode()
    number = struct.pack("<i", compression)
    end = struct.pack("<q", -1)
    header = flat_table([(0, number), (1, end), (2, None)], struct.pack("<I", len(text)) + text)
    header = header[:4] + b"IOHE" + header[8:]
    data = b"#!AER-DAT4.0\r\n" + struct.pack("<i", len(header)) + header
    for part in np.array_split(events, packets):
        raw = b"".join(
            struct.pack("<qhh?3x", int(t) + first, x, y, bool(p)) for t, x, y, p in part.tolist()
        )
        table = flat_table([(0, None)], struct.pack("<I", len(part)) + raw)
        table = table[:4] + b"EVTS" + table[8:]
        packet = pack(struct.pack("<I", len(table)) + table)
        data += struct.pack("<ii", 0, len(packet)) + packet
    return data


def atis(events):
    """N-MNIST's records of five bytes."""
    rows = b""
    for t, x, y, p in events.tolist():
        rows += bytes([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255])
    return rows


def hdf5(path, events, group="events", names="txyp", record=False):
    """t, x, y, p in a group of an HDF5 file, or one structured dataset of that name."""
    with h5py.File(path, "w") as file:
        if record:
            file[group] = events
        for key, name in zip("txyp", () if record else names):
            file[f"{group}/{name}" if group else name] = events[key]
