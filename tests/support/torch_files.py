"""State dicts as torch.save and safetensors write them, made without either."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np

CLASSES = {
    "f4": "Float",
    "f8": "Double",
    "f2": "Half",
    "i8": "Long",
    "i4": "Int",
    "u1": "Byte",
    "bf": "BFloat16",
}
SAFE = {"f4": "F32", "f8": "F64", "f2": "F16", "i8": "I64", "i4": "I32", "u1": "U8", "bf": "BF16"}


class Made:
    """What a pickle calls by a name: by REDUCE, or by NEWOBJ where `new` is set."""

    def __init__(self, name, *args, new=False):
        self.name, self.args, self.new = name, args, new


class Global:
    """A class or function by its name."""

    def __init__(self, name):
        self.name = name


class Storage:
    """A storage's persistent id. kind: a key of CLASSES. view: of another storage, or None."""

    def __init__(self, key, kind, size, view=None):
        self.key, self.kind, self.size, self.view = key, kind, size, view


def tensor(storage, shape, strides=None, offset=0):
    """What rebuilds a tensor."""
    steps = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    view = (
        storage,
        offset,
        tuple(shape),
        tuple(strides or steps),
        False,
        Made("collections.OrderedDict"),
    )
    return Made("torch._utils._rebuild_tensor_v2", *view)


def parameter(value):
    return Made("torch._utils._rebuild_parameter", value, True, Made("collections.OrderedDict"))


def pickled(value, stream=False):
    """The bytes of a pickle of protocol 2; stream: whether storages say what they are views of."""
    out = bytearray(b"\x80\x02")
    _put(out, value, stream)
    return bytes(out + b".")


def _put(out, value, stream):
    def inner(*values):
        for each in values:
            _put(out, each, stream)

    if isinstance(value, Global):
        module, _, name = value.name.rpartition(".")
        out += b"c" + module.encode() + b"\n" + name.encode() + b"\n"
    elif isinstance(value, Made):
        inner(Global(value.name), tuple(value.args))
        out += b"\x81" if value.new else b"R"
    elif isinstance(value, Storage):
        kind = Global(f"torch.{CLASSES[value.kind]}Storage")
        view = (value.view,) if stream else ()
        inner(("storage", kind, value.key, "cpu", value.size, *view))
        out += b"Q"
    elif isinstance(value, tuple):
        out += b"("
        inner(*value)
        out += b"t"
    elif isinstance(value, list):
        out += b"]("
        inner(*value)
        out += b"e"
    elif isinstance(value, dict):
        out += b"}("
        inner(*(each for item in value.items() for each in item))
        out += b"u"
    else:
        out += pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"")


def kind_of(array):
    """A key of CLASSES for an array; bfloat16 comes as uint16."""
    return "bf" if array.dtype == np.uint16 else array.dtype.str[1:]


def tensors(arrays):
    """(key -> tensor with a storage of its own, key of a storage -> its array)."""
    made, storages = {}, {}
    for number, (key, array) in enumerate(arrays.items()):
        array = np.asarray(array)
        storages[str(number)] = array
        made[key] = tensor(Storage(str(number), kind_of(array), array.size), array.shape)
    return made, storages


def save_zip(path, value, storages, order="little", method=zipfile.ZIP_STORED, **members):
    """Writes a file as PyTorch 1.6 and later do, and returns the path.

    value: what is pickled. storages: key -> array. members: more of the archive's.
    """
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("net/data.pkl", pickled(value))
        archive.writestr("net/byteorder", order)
        archive.writestr("net/version", "3\n")
        for key, array in storages.items():
            archive.writestr(f"net/data/{key}", swapped(array, order).tobytes())
        for name, data in members.items():
            archive.writestr(f"net/{name}", data)
    return path


def save_stream(path, value, storages, little=True):
    """Writes a file as PyTorch before 1.6 did, and returns the path; little: what it says of the
    machine.
    """
    data = io.BytesIO()
    head = {"protocol_version": 1001, "little_endian": little, "type_sizes": {"int": 4}}
    for part in 0x1950A86A20F9469CFC6C, 1001, head, value, sorted(storages):
        data.write(pickled(part, stream=True))
    for key in sorted(storages):
        array = swapped(storages[key], "little")
        data.write(struct.pack("<q", array.size) + array.tobytes())
    path.write_bytes(data.getvalue())
    return path


def save_safetensors(path, arrays, metadata=None, header=None):
    """Writes safetensors, and returns the path; header: function that changes the header."""
    entries, data = {}, b""
    for key, array in arrays.items():
        place = [len(data), len(data) + array.nbytes]
        kind = SAFE[kind_of(np.asarray(array))]
        entries[key] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        data += np.ascontiguousarray(array).tobytes()
    if metadata is not None:
        entries["__metadata__"] = metadata
    text = json.dumps(header(entries) if header else entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def swapped(array, order):
    """The array with its bytes in an order."""
    array = np.asarray(array)
    return array.astype(array.dtype.newbyteorder("<" if order == "little" else ">"))
