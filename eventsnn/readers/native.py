"""The project's own checkpoint: one HDF5 file with a graph (JSON, ONNX's vocabulary) and its parameters.

Files come from anywhere, so nothing in them is trusted: only hard links are followed, sizes are
compared with the file's before anything is read, and every failure is an InputError.
"""
from __future__ import annotations

import json
import math
import mmap
import os
import stat
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from reprlib import repr as short
from urllib.parse import quote

import h5py
import numpy as np

from eventsnn.checks import InputError
from eventsnn.graph import MAX_NODES, Graph, Node, Preprocessing

FORMAT, VERSION = "eventsnn.ann", 1
MAX_JSON = 2**26  # bytes of /graph
MAX_ARRAY, MAX_ARRAYS = 2**31, 2**32  # bytes of one parameter and of all
MAX_RATIO = 1000  # declared bytes for each stored byte of a chunked dataset
FAILURES = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)  # h5py's, all met


def read_native(path) -> Graph:
    """The network in a checkpoint; its parameters are float32 or float64. Raises InputError."""
    with open_hdf5(path) as file:
        fields = parse(file, Path(path).name)
    return Graph(**fields)


def write_native(graph, path):
    """Write `graph`: reading the file gives an equal hash. An older file is replaced at once or not at all."""
    part = Path(path).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with h5py.File(part, "w") as file:
            _fill(file, graph)
        os.replace(part, path)
    except FAILURES as error:
        raise InputError(path, "a graph of plain values and a place to write it to", _told(error)) from error
    finally:
        with suppress(OSError):  # when all went well it is gone
            part.unlink()


@contextmanager
def open_hdf5(path):
    """An HDF5 file open for reading; whatever h5py raises inside the block becomes one InputError."""
    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            _check_heaps(path, file.id.get_create_plist().get_sizes()[1])
            yield file
    except InputError:
        raise
    except FAILURES as error:
        raise InputError(path, "a whole HDF5 file", f"one that cannot be read ({_told(error)})",
                         "it is truncated or damaged: copy or download it again") from error


def check_file(path):
    """Refuse what does not exist, is no regular file, cannot be read or is empty."""
    try:
        mode = os.stat(path).st_mode
        found = "a directory" if stat.S_ISDIR(mode) else "a device or pipe"
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                found = None if file.read(1) else "an empty file"
    except FileNotFoundError:
        found = "nothing of that name"
    except (OSError, TypeError, ValueError) as error:
        found = _told(error)
    if found:
        raise InputError(path, "a file with a network", found, "check the path")


def _check_heaps(path, width):
    """Refuse a damaged global heap (where variable-length text lies): HDF5 2.0 can loop in one for ever.

    A heap is a header of 16 bytes and objects, each a header of 16 (index u2, 6 bytes, size of `width`
    bytes) and its data up to a multiple of 8; the object 0 is the free rest, and its size includes the header.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(b"GCOL\x01\0\0\0")
        while start >= 0:
            at, end = start + 16, start + int.from_bytes(data[start + 8:start + 8 + width], "little")
            while at + 16 <= end <= len(data):
                size = int.from_bytes(data[at + 8:at + 8 + width], "little")
                step = 16 + (size + 7) // 8 * 8 if any(data[at:at + 2]) else size
                at = at + step if step >= 16 else end + 1
            if at > end or end > len(data):
                raise InputError(path, "a whole HDF5 file", "a damaged heap", "copy or download it again")
            start = data.find(b"GCOL\x01\0\0\0", start + 8)


def child(group, name):
    """The object that a hard link of `group` leads to, None without such a link; other links are refused."""
    if not group.id.links.exists(name.encode()):
        return None
    if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise InputError(f"{os.path.basename(group.file.filename)}: {name!r} in {group.name}", "data of this file",
                         "a link to somewhere else", "copy the data into the file (h5copy)")
    return group[name]


def format_of(file):
    """The root's attribute `format` as a str, or None."""
    return _text(_plain(file, "format"))


def parse(file, name):
    """The fields of `Graph` in an open HDF5 file of this format; `name` is the file's, for messages."""
    version = _plain(file, "version")
    if format_of(file) != FORMAT or type(version) not in (int, float) or version != VERSION:
        raise InputError(name, f"format {FORMAT!r}, version {VERSION}",
                         f"format {short(_plain(file, 'format'))}, version {short(version)}", "use a matching release")
    shape = _numbers(file, "input_shape", name)
    if shape.size != 3 or shape.dtype.kind not in "iu" or not all(1 <= int(n) <= 2**20 for n in shape):
        raise InputError(f"{name}: input_shape", "three whole numbers C, H, W from 1 to 2^20", short(shape.tolist()))
    where = f"{name}: /graph"
    graph = _expect(_graph_json(file, where), dict, where, "an object with input, output and nodes")
    nodes = _expect(graph.get("nodes"), list, where, "a list of nodes")
    if len(nodes) > MAX_NODES:
        raise InputError(where, f"at most {MAX_NODES:,} nodes", f"{len(nodes):,}")
    params, left = child(file, "params"), [MAX_ARRAYS]
    return {"nodes": tuple(_node(entry, f"{name}: node {i}", params, left) for i, entry in enumerate(nodes)),
            "input": _name(graph.get("input"), f"{where}: input"),
            "output": _name(graph.get("output"), f"{where}: output"),
            "input_shape": tuple(int(n) for n in shape), "preprocessing": _preprocessing(file, int(shape[0]), name),
            "source": name, "meta": _meta(file)}


def _graph_json(file, where):
    text = child(file, "graph")
    string = h5py.check_string_dtype(text.dtype) if isinstance(text, h5py.Dataset) else None
    if string is None or text.shape != ():
        raise InputError(where, "one string of JSON", "none" if text is None else short(text))
    _check_storage(text, where)
    length = string.length or 0
    data = text[()] if length <= MAX_JSON else b""
    if not 0 < len(data) <= MAX_JSON:
        raise InputError(where, f"1 to {MAX_JSON:,} bytes of JSON", f"{len(data) or length:,}")
    try:
        return json.loads(data.rstrip(b"\0").decode(), parse_constant=_no_constant, object_pairs_hook=_unique)
    except (RecursionError, ValueError) as error:
        raise InputError(where, "valid JSON that is not deeply nested", _told(error), "write the file again") from error


def _no_constant(text):
    raise ValueError(f"{text} is not JSON")


def _unique(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("one key twice in an object")
    return dict(pairs)


def _node(entry, where, params, left):
    _expect(entry, dict, where, "an object")
    name = _name(entry.get("name"), f"{where}: name")
    where = f"{where} ({name!r})"
    inputs = [_name(i, f"{where}: inputs") for i in _expect(entry.get("inputs"), list, where, "a list of inputs")]
    attrs = _expect(entry.get("attrs", {}), dict, where, "an object of attrs")
    for key, value in attrs.items():
        for item in value if isinstance(value, list) else [value]:
            if not (item is None or isinstance(item, str) or (isinstance(item, (int, float)) and abs(item) < 2**63)):
                raise InputError(f"{where}: {key}", "a text, a number below 2^63 or a list of these", short(item))
    paths = _expect(entry.get("params", {}), dict, where, "an object of params")
    arrays = {role: _array(params, path, f"{where}: {role}", left) for role, path in paths.items()}
    return Node(name, _name(entry.get("op"), f"{where}: op"), tuple(inputs), attrs, arrays)


def _array(params, path, where, left):
    """The parameter at `path` below `params`, as float32 or float64 in native byte order."""
    dataset = params
    for step in _name(path, where).split("/"):
        dataset = child(dataset, step) if step.strip(".") and isinstance(dataset, h5py.Group) else None
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise InputError(where, "the path of a dataset below /params", short(path))
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        raise InputError(where, "float16, float32 or float64", dataset.dtype, "convert the parameters")
    _check_storage(dataset, where)
    dtype = np.float64 if dataset.dtype.itemsize == 8 else np.float32
    left[0] -= math.prod(dataset.shape) * np.dtype(dtype).itemsize
    if left[0] < 0:
        raise InputError(where, f"at most {MAX_ARRAYS:,} bytes of parameters", "more")
    return np.asarray(dataset[()], dtype)


def _check_storage(dataset, where):
    """Refuse data that lie in other files, and sizes that this file cannot hold."""
    if dataset.is_virtual or dataset.external:
        raise InputError(where, "data in this file", "data in other files", "copy the data into the file (h5repack)")
    size, limit = math.prod(dataset.shape), os.path.getsize(dataset.file.filename)
    if dataset.chunks:
        size = max(size, math.prod(dataset.chunks))  # a chunk may be larger than the dataset, and is read as a whole
        limit = MAX_RATIO * min(limit, dataset.id.get_storage_size())
    limit, size = min(limit, MAX_ARRAY), size * dataset.dtype.itemsize
    if size > limit:
        raise InputError(where, f"at most {limit:,} bytes for what the file stores", f"{size:,}", "the file is damaged")


def _preprocessing(file, channels, name):
    scale, mean, std = (_numbers(file, f"input_{key}", name) for key in ("scale", "mean", "std"))
    for key, values, sizes in (("scale", scale, (1,)), ("mean", mean, (1, channels)), ("std", std, (1, channels))):
        good = values.size in sizes and np.isfinite(values).all() and (key == "mean" or (values > 0).all())
        if not good:
            raise InputError(f"{name}: input_{key}", f"{' or '.join(map(str, sizes))} finite number(s)"
                             + ", above 0" * (key != "mean"), short(values.tolist()))
    return Preprocessing(float(scale[0]), mean.astype(np.float64), std.astype(np.float64))


def _meta(file):
    """What the file says about itself, as far as it is of the right type and of a sane length."""
    accuracy, classes = _plain(file, "test_accuracy"), _plain(file, "classes")
    names = tuple(_text(c, 500) for c in classes) if isinstance(classes, list) and len(classes) <= 2**16 else ()
    meta = {"arch": _text(_plain(file, "arch"), 200), "note": _text(_plain(file, "note"), 10_000),
            "classes": names if names and None not in names else None,
            "test_accuracy": accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None}
    return {key: value for key, value in meta.items() if value is not None}


def _attribute(file, key):
    """An attribute of the root, None where there is none; other types than numbers and text are not even read."""
    if key not in file.attrs:
        return None
    kind = h5py.h5a.open(file.id, key.encode()).get_type().get_class()
    if kind not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING):
        raise InputError(f"{os.path.basename(file.filename)}: attribute {key}", "numbers or text", "another type")
    return file.attrs[key]


def _plain(file, key):
    """An attribute of the root as plain Python, a list where it has axes."""
    value = _attribute(file, key)
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _numbers(file, key, name):
    values = np.atleast_1d(np.asarray(_attribute(file, key)))
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise InputError(f"{name}: {key}", "an attribute with numbers", short(_plain(file, key)))
    return values


def _text(value, limit=1000):
    """A str of at most `limit` printable characters, or None."""
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    sane = isinstance(value, str) and len(value) <= limit and value.replace("\n", " ").isprintable()
    return value if sane else None


def _name(value, where):
    if not (isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()):
        raise InputError(where, "a text of 1 to 1,000 printable characters", short(value))
    return value


def _expect(value, kind, where, expected):
    if not isinstance(value, kind):
        raise InputError(where, expected, short(value))
    return value


def _told(error):
    return f"{type(error).__name__}: {error}"


def _fill(file, graph):
    meta, pre = graph.meta, graph.preprocessing
    head = {"format": FORMAT, "version": VERSION, "input_shape": list(graph.input_shape),
            "input_scale": float(pre.scale), "input_mean": np.asarray(pre.mean, "<f8").reshape(-1),
            "input_std": np.asarray(pre.std, "<f8").reshape(-1)}
    head |= {key: meta[key] for key in ("arch", "note", "classes", "test_accuracy") if key in meta}
    for key, value in head.items():
        file.attrs[key] = value
    params, nodes = file.create_group("params"), []
    for node in graph.nodes:
        paths = {role: f"{_step(node.name)}/{_step(role)}" for role in node.params}
        for role, path in paths.items():
            array = np.asarray(node.params[role])
            params[path] = array.astype(array.dtype.newbyteorder("<"))
        nodes.append({"name": node.name, "op": node.op, "inputs": node.inputs, "attrs": node.attrs, "params": paths})
    text = json.dumps({"input": graph.input, "output": graph.output, "nodes": nodes}, allow_nan=False).encode()
    file.create_dataset("graph", data=text, dtype=h5py.string_dtype(length=len(text)))


def _step(name):
    """`name` as one step of an HDF5 path: what would be a separator or "here" is percent-encoded."""
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")
