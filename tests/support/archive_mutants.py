"""Mutants of what is a zip or has a header of JSON: .keras, files of torch.save, safetensors.

As in support/mutants.py a damage returns the bytes, and what a reader has to do with them.
"""

import io
import struct
import tempfile
import zipfile
from pathlib import Path

import h5py
from support import mutants
from support.mutants import ANY, NUMBERS, REFUSE, SAME, Seed
from support.torch_files import (
    Global,
    Made,
    Storage,
    save_safetensors,
    save_stream,
    save_zip,
    tensor,
    tensors,
)

FILES = Path(__file__).parents[1] / "files"
ARCH = "resnet20:L=4"
VALUES = (*NUMBERS, -1, -(2**63), None, True, 0.5, "x", (), [], {}, Global("os.system"))


def seeds(folder):
    """Seeds by kind; folder: a place for files."""
    path = folder / "seed"
    found = [
        Seed("keras archive", file.name, file.read_bytes())
        for file in sorted((FILES / "keras").glob("*.keras"))
    ]
    arrays = _state()
    for kind, save in KINDS.items():
        found.append(Seed(kind, kind, save(path, arrays).read_bytes(), ARCH))
    return found


def _state():
    with h5py.File(FILES / "torch" / "resnet20_qcfs.h5") as file:
        return {key: file[key][()] for key in file}


def _zip(path, arrays, change=None):
    value, storages = tensors(arrays)
    return save_zip(path, change(value, storages) if change else value, storages)


def _stream(path, arrays, change=None):
    value, storages = tensors(arrays)
    return save_stream(path, change(value, storages) if change else value, storages)


KINDS = {"torch zip": _zip, "torch stream": _stream, "safetensors": save_safetensors}


def damage(seed, others, rng):
    """(the bytes of a seed with one damage to its structure, what a reader has to do)."""
    if seed.kind == "safetensors":
        return _header(seed, rng)
    if seed.kind == "torch stream" or (seed.kind == "torch zip" and rng.random() < 0.5):
        return _pickled(seed, rng)
    return _members(seed, others, rng)


def _header(seed, rng):
    """Safetensors with another header, or with another length of it."""
    length = int.from_bytes(seed.data[:8], "little")
    text, data = seed.data[8 : 8 + length], seed.data[8 + length :]
    if rng.random() < 0.2:
        other = int(rng.choice([0, 1, length - 1, length + 1, len(seed.data), 2**30, 2**31]))
        return struct.pack("<Q", other) + text + data, REFUSE
    text, outcome = mutants.damage_json(text, rng)
    return struct.pack("<Q", len(text)) + text + data, outcome


def _pickled(seed, rng):
    """A file whose pickle says something else."""
    outcome = [ANY]

    def change(value, storages):
        read = [key for key in value if not key.endswith("num_batches_tracked")]
        key = read[rng.integers(len(read))]
        storage, offset, shape, strides, *_ = value[key].args
        wrong = VALUES[rng.integers(len(VALUES))]
        kind = rng.integers(10)
        if kind == 0:
            value[key] = Made("torch._utils._rebuild_tensor_v2", storage, wrong, shape, strides)
        elif kind == 1:
            sizes = [*shape]
            sizes[rng.integers(len(sizes))] = wrong
            value[key] = tensor(storage, shape, strides, offset)
            value[key].args = (storage, offset, tuple(sizes), strides)
        elif kind == 2:
            value[key].args = (storage, offset, shape, (wrong,) * len(shape))
        elif kind == 3:
            size = NUMBERS[rng.integers(len(NUMBERS))]
            value[key] = tensor(Storage(storage.key, storage.kind, size), shape, strides, offset)
        elif kind == 4:
            kinds = [k for k in ("f8", "f2", "i8", "u1", "bf") if k != storage.kind]
            other = Storage(storage.key, str(rng.choice(kinds)), storage.size)
            value[key] = tensor(other, shape, strides, offset)
        elif kind == 5:
            value[key] = wrong
        elif kind == 6:
            value[key] = Made("os.system", "true", new=bool(rng.integers(2)))
            outcome[0] = ANY if key.endswith("bias") else REFUSE
        elif kind == 7:
            other = list(value)[rng.integers(len(value))]
            value[key] = value[other]
        elif kind == 8:
            outcome[0] = SAME
            return {"state_dict": {f"module.{k}": v for k, v in value.items()}, "epoch": wrong}
        else:
            return {"a": value, "b": {**value, key: wrong}, "c": [value, wrong]}
        return value

    with tempfile.TemporaryDirectory() as place:
        path = KINDS[seed.kind](Path(place) / "net", _state(), change)
        return path.read_bytes(), outcome[0]


def _members(seed, others, rng):
    """An archive with one member more, less, changed, or described otherwise."""
    with zipfile.ZipFile(io.BytesIO(seed.data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    kind, outcome, method = rng.integers(9), ANY, zipfile.ZIP_STORED
    if kind == 0:
        del members[name]
        outcome = ANY if name.endswith(("metadata.json", "byteorder", "version")) else REFUSE
        outcome = ANY if "/data/" in name else outcome  # of a counter, which nobody reads
    elif kind == 1:
        method, outcome = zipfile.ZIP_DEFLATED, SAME
    elif kind == 2:
        method, outcome = zipfile.ZIP_BZIP2, REFUSE
    elif kind == 3:
        members[name] = mutants.damage_bytes(members[name], others, rng)
    elif kind == 4 and name.endswith(".json"):
        text = members[name]
        members[name], outcome = mutants.damage_json(text, rng)
        outcome = SAME if members[name] == text else outcome
    elif kind == 5:
        members = {"x" * 300: b"", **members, "../../out": b"x", "/etc/x": b"x", "a/": b""}
        outcome = SAME
    elif kind == 6:
        members[name] = bytes(2**24)
        method = zipfile.ZIP_DEFLATED
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for each, data in members.items():
            archive.writestr(each, data)
    data = bytearray(out.getvalue())
    if kind in (7, 8):  # a number in the list of members, or in front of one
        sign = b"PK\1\2" if kind == 7 else b"PK\3\4"
        places = [i for i in range(len(data)) if data.startswith(sign, i)]
        at = int(rng.choice(places)) + int(rng.integers(4, 46))
        data[at : at + 4] = struct.pack("<Q", NUMBERS[rng.integers(len(NUMBERS))])[:4]
    return bytes(data), outcome
