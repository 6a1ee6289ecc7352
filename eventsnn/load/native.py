"""The project's own checkpoint: one HDF5 file with a graph (JSON, ONNX's vocabulary) and its parameters.

Files come from anywhere, so nothing in them is trusted: only hard links are followed, sizes are
checked against the file before anything is read, and every failure is an InputError.
"""
from __future__ import annotations

import json
import math
import os
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
MAX_ARRAY, MAX_ARRAYS = 2**31, 2**32  # bytes of one parameter and of all, in memory
MAX_RATIO = 1000  # declared bytes for each stored byte of a chunked dataset
DAMAGE = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)


def read_native(path) -> Graph:
    """The network of a checkpoint; parameters are float32 or float64. Raises InputError."""
    with open_hdf5(path) as file:
        parts = parse(file, Path(path).name)
    return Graph(**parts)


def write_native(graph, path):
    """Write `graph` so that reading it gives an equal hash; an old file is replaced at once or not at all."""
    part = Path(path).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with h5py.File(part, "w") as file:
            _fill(file, graph)
        os.replace(part, path)
    except DAMAGE as error:
        raise InputError(path, "a graph of plain values and a place to write it to", _told(error)) from error
    finally:
        with suppress(OSError):  # it is gone when all went well
            part.unlink()


@contextmanager
def open_hdf5(path):
    """An HDF5 file open for reading; whatever h5py raises inside the block becomes one InputError."""
    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(path, "a whole HDF5 file", f"one that cannot be read ({_told(error)})",
                         "it is truncated or damaged: copy or download it again") from error


def check_file(path):
    """Refuse what is no regular file, cannot be read, or is empty."""
    do = "give the path of a network's checkpoint"
    try:
        if not os.path.exists(path):
            raise InputError(path, "a file", "nothing of that name", "check the path")
        if not os.path.isfile(path):
            raise InputError(path, "a file", "a directory" if os.path.isdir(path) else "a device or pipe", do)
        with open(path, "rb") as file:
            if not file.read(1):
                raise InputError(path, "a file", "an empty one", "copy or download it again")
    except (OSError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, "a file that can be read", _told(error), do) from error


def child(group, name):
    """The object that a hard link of `group` leads to, None without such a link; other links are refused."""
    key = name.encode()
    if not group.id.links.exists(key):
        return None
    kind = group.id.links.get_info(key).type
    if kind != h5py.h5l.TYPE_HARD:
        found = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "an external link"}.get(kind, "a strange link")
        raise InputError(f"{_name(group.file)}: {group.name.rstrip('/')}/{name}", "an object of this file", found,
                         "copy the data into the file (h5repack or h5copy)")
    return group[name]


def parse(file, name):
    """The arguments of `Graph` that an open HDF5 file of this format holds."""
    version = _attr(file, "version")
    if _text(_attr(file, "format")) != FORMAT or not isinstance(version, (int, float)) or version != VERSION:
        raise InputError(name, f"format {FORMAT!r}, version {VERSION}",
                         f"format {_attr(file, 'format')!r}, version {version!r}", "use a release that knows this version")
    graph = _expect(_json(file, name), dict, f"{name}: /graph", "an object with input, output and nodes")
    nodes = _expect(graph.get("nodes"), list, f"{name}: /graph", "a list of nodes")
    if len(nodes) > MAX_NODES:
        raise InputError(f"{name}: /graph", f"at most {MAX_NODES:,} nodes", f"{len(nodes):,}")
    params = child(file, "params")
    if not isinstance(params, h5py.Group):
        raise InputError(f"{name}: /params", "a group with the parameters", "none" if params is None else "a dataset")
    shape = _vector(file, "input_shape", name)
    if shape.size != 3 or shape.dtype.kind not in "iu" or not all(1 <= int(n) <= 2**20 for n in shape):
        raise InputError(f"{name}: input_shape", "three whole numbers C, H, W from 1 to 2^20", short(shape.tolist()))
    budget = [MAX_ARRAYS]
    return {"nodes": tuple(_node(entry, f"{name}: node {i}", params, budget) for i, entry in enumerate(nodes)),
            "input": _id(graph.get("input"), f"{name}: input of /graph"),
            "output": _id(graph.get("output"), f"{name}: output of /graph"),
            "input_shape": tuple(int(n) for n in shape), "preprocessing": _preprocessing(file, int(shape[0]), name),
            "source": name, "meta": _meta(file)}


def _fill(file, graph):
    meta = {key: graph.meta[key] for key in ("arch", "note", "classes", "test_accuracy") if key in graph.meta}
    pre = graph.preprocessing
    head = {"format": FORMAT, "version": VERSION, "input_shape": list(graph.input_shape), "input_scale": float(pre.scale),
            "input_mean": np.asarray(pre.mean, "<f8").reshape(-1), "input_std": np.asarray(pre.std, "<f8").reshape(-1)}
    for key, value in (head | meta).items():
        file.attrs[key] = list(value) if isinstance(value, tuple) else value
    params = file.create_group("params")
    nodes = []
    for node in graph.nodes:
        paths = {role: f"{_step(node.name)}/{_step(role)}" for role in node.params}
        for role, path in paths.items():
            params[path] = np.asarray(node.params[role], node.params[role].dtype.newbyteorder("<"))
        nodes.append({"name": node.name, "op": node.op, "inputs": node.inputs, "attrs": node.attrs, "params": paths})
    text = json.dumps({"input": graph.input, "output": graph.output, "nodes": nodes}, allow_nan=False)
    file["graph"] = text


def _step(name):
    """`name` as one step of an HDF5 path: what could be read as a separator or as "here" is percent-encoded."""
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def _json(file, name):
    where = f"{name}: /graph"
    text = child(file, "graph")
    info = h5py.check_string_dtype(text.dtype) if isinstance(text, h5py.Dataset) else None
    if info is None or text.shape != ():
        raise InputError(where, "one string of JSON", "nothing" if text is None else short(text))
    _check_storage(text, where)
    data = b"" if info.length and info.length > MAX_JSON else text[()]
    if not 0 < len(data) <= MAX_JSON:
        raise InputError(where, f"JSON of 1 to {MAX_JSON:,} bytes", f"{info.length or len(data):,}")
    try:
        return json.loads(data.rstrip(b"\0").decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (RecursionError, ValueError) as error:
        raise InputError(where, "valid JSON, not deeply nested", _told(error), "write the file again") from error


def _refuse_constant(text):
    raise ValueError(f"{text}, which is no JSON")


def _unique(pairs):
    keys = dict(pairs)
    if len(keys) < len(pairs):
        raise ValueError("one key twice in an object")
    return keys


def _node(entry, where, params, budget):
    _expect(entry, dict, where, "an object")
    name = _id(entry.get("name"), f"{where}: name")
    where = f"{where} ({name!r})"
    inputs = [_id(i, f"{where}: inputs") for i in _expect(entry.get("inputs"), list, where, "a list of inputs")]
    attrs = _expect(entry.get("attrs", {}), dict, where, "an object of attrs")
    for key, value in attrs.items():
        for item in value if isinstance(value, list) else [value]:
            if not (item is None or isinstance(item, str) or (isinstance(item, (int, float)) and abs(item) < 2**63)):
                raise InputError(f"{where}: {key}", "a text, a number below 2^63 or a list of these", short(item))
    roles = _expect(entry.get("params", {}), dict, where, "an object of params")
    arrays = {role: _array(params, at, f"{where}: {role}", budget) for role, at in roles.items()}
    return Node(name, _id(entry.get("op"), f"{where}: op"), tuple(inputs), attrs, arrays)


def _array(params, at, where, budget):
    """The parameter at the path `at` below `params`, as float32 or float64 in native byte order."""
    dataset = params
    for step in _id(at, where).split("/"):
        dataset = child(dataset, step) if step.strip(".") and isinstance(dataset, h5py.Group) else None
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(where, "a dataset below /params", f"{at!r}, which is none")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8 or dataset.shape is None:
        raise InputError(where, "float16, float32 or float64", dataset.dtype, "convert the parameters")
    _check_storage(dataset, where)
    dtype = np.dtype(np.float64 if dataset.dtype.itemsize == 8 else np.float32)
    budget[0] -= math.prod(dataset.shape) * dtype.itemsize
    if budget[0] < 0:
        raise InputError(where, f"at most {MAX_ARRAYS:,} bytes of parameters", "more")
    return np.asarray(dataset[()], dtype)


def _check_storage(dataset, where):
    """Refuse data that lie outside the file, or sizes that it cannot hold."""
    if dataset.is_virtual or dataset.external:
        raise InputError(where, "data in this file", "data in other files", "copy the data into the file (h5repack)")
    declared, limit = math.prod(dataset.shape) * dataset.dtype.itemsize, os.path.getsize(dataset.file.filename)
    if dataset.chunks:
        declared = max(declared, math.prod(dataset.chunks) * dataset.dtype.itemsize)
        limit = MAX_RATIO * min(limit, dataset.id.get_storage_size())
    if declared > min(limit, MAX_ARRAY):
        raise InputError(where, f"at most {min(limit, MAX_ARRAY):,} bytes for the space it takes in the file",
                         f"{declared:,} declared (shape {list(dataset.shape)})", "the file is damaged or hostile")


def _preprocessing(file, channels, name):
    scale = _vector(file, "input_scale", name)
    mean, std = _vector(file, "input_mean", name), _vector(file, "input_std", name)
    for key, values, sizes in (("scale", scale, {1}), ("mean", mean, {1, channels}), ("std", std, {1, channels})):
        if values.size not in sizes or not np.isfinite(values).all() or (key == "std" and not (values > 0).all()):
            raise InputError(f"{name}: input_{key}", f"{' or '.join(map(str, sorted(sizes)))} finite numbers"
                             + " above 0" * (key == "std"), short(values.tolist()))
    return Preprocessing(float(scale[0]), mean.astype(np.float64), std.astype(np.float64))


def _meta(file):
    """What the file says about itself, as far as it is of the right type and of a sane length."""
    accuracy, classes = _attr(file, "test_accuracy"), _attr(file, "classes")
    names = tuple(_text(c, 500) for c in classes) if isinstance(classes, list) and len(classes) <= 2**16 else (None,)
    meta = {"arch": _text(_attr(file, "arch"), 200), "note": _text(_attr(file, "note"), 10_000),
            "classes": names if names and None not in names else None,
            "test_accuracy": accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None}
    return {key: value for key, value in meta.items() if value is not None}


def _attr(file, key):
    """An attribute of the root as plain Python (a list where it has axes), None where there is none."""
    value = file.attrs.get(key)
    value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
    return value[0] if isinstance(value, list) and len(value) == 1 and key in ("format", "version") else value


def _vector(file, key, name):
    values = np.atleast_1d(np.asarray(file.attrs.get(key)))
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise InputError(f"{name}: {key}", "an attribute with numbers", short(_attr(file, key)))
    return values


def _text(value, limit=1000):
    """A str of at most `limit` printable characters, or None."""
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    sane = isinstance(value, str) and len(value) <= limit and value.replace("\n", " ").isprintable()
    return value if sane else None


def _id(value, where):
    if not (isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()):
        raise InputError(where, "a text of 1 to 1,000 printable characters", short(value))
    return value


def _expect(value, kind, where, expected):
    if not isinstance(value, kind):
        raise InputError(where, expected, short(value))
    return value


def _told(error):
    return f"{type(error).__name__}: {error}"


def _name(file):
    return os.path.basename(file.filename)
