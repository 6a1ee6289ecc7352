"""The project's own checkpoint: one HDF5 file with a graph and its parameters.

The graph is JSON in ONNX's vocabulary.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from reprlib import repr as short
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import MAX_NAME, MAX_NODES, Graph, Node, Preprocessing, is_name
from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.files.reading import (
    FAILURES,
    MAX_ARRAYS,
    child,
    json_of,
    numbers,
    open_hdf5,
    plain,
    read_array,
    read_text,
    text_of,
    told,
)
from eventsnn.files.writing import path_step

FORMAT = "eventsnn.ann"
VERSION = 1
# function of (path of a parameter, where, bytes left to read)
Read = Callable[[str, str, list[int]], NDArray[Any]]
MAX_JSON = 2**26  # bytes of /graph


@checked
def read_native(path: str | Path) -> Graph:
    """The network in a checkpoint.

    path: the file. Parameters are float32 or float64, as the file has them; float16 becomes
    float32. Raises InputError for a file that is no checkpoint, or a damaged one.
    """
    with open_hdf5(path) as file:
        fields = parse(file, Path(path).name)
    return Graph(**fields)


@checked
def write_native(graph: Graph, path: Path | str) -> None:
    """Writes a graph as a checkpoint; the network that is read from it has an equal hash.

    graph: the network. path: the file; an older one is replaced at once or not at all. Raises
    InputError where the graph holds anything but plain values, and where the file cannot be
    written.
    """
    part = Path(path).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with h5py.File(part, "w") as file:
            _fill(file, graph)
        os.replace(part, path)
    except FAILURES as error:
        expected = "a graph of plain values and a place to write it to"
        raise InputError(path, expected, told(error)) from error
    finally:
        with suppress(OSError):  # when all went well it is gone
            part.unlink()


def format_of(file: h5py.File) -> str | None:
    """The root's attribute `format` as a str, or None.

    file: an open HDF5 file. Raises InputError where the attribute is neither numbers nor text.
    """
    return text_of(plain(file, "format"))


def parse(file: h5py.File, name: str) -> dict[str, Any]:
    """The fields of `Graph` in an open HDF5 file of this format.

    file: the checkpoint. name: the file's, for messages. Raises InputError for another format or
    version, and for anything that is not as a checkpoint has it.
    """
    version = plain(file, "version")
    if format_of(file) != FORMAT or type(version) not in (int, float) or version != VERSION:
        expected = f"format {FORMAT!r}, version {VERSION}"
        found = f"format {short(plain(file, 'format'))}, version {short(version)}"
        raise InputError(
            name, expected, found, "read it with the version of eventsnn that wrote it"
        )
    shape = numbers(file, "input_shape", name)
    whole = shape.dtype.kind in "iu"
    if shape.size != 3 or not whole or not all(1 <= int(n) <= 2**20 for n in shape):
        expected = "three whole numbers C, H, W from 1 to 2^20"
        raise InputError(f"{name}: input_shape", expected, short(shape.tolist()))
    graph = _graph_json(file, f"{name}: /graph")
    return {
        **topology(graph, partial(array_at, child(file, "params")), name),
        "input_shape": tuple(int(n) for n in shape),
        "preprocessing": _preprocessing(file, int(shape[0]), name),
        "source": name,
        "meta": _meta(file),
    }


def topology(graph: Any, read: Read, name: str) -> dict[str, Any]:
    """The nodes, input and output that a /graph object lists, as fields of `Graph`.

    graph: what the JSON says. read: function of (path, where, left) that gives the parameter at a
    path, float32 or float64, as `array_at` does. name: the file's, for messages. Raises InputError
    for whatever does not fit.
    """
    where = f"{name}: /graph"
    _expect(graph, dict, where, "an object with input, output and nodes")
    entries = _expect(graph.get("nodes"), list, where, "a list of nodes")
    if len(entries) > MAX_NODES:
        raise InputError(where, f"at most {MAX_NODES:,} nodes", f"{len(entries):,}")
    left = [MAX_ARRAYS]
    nodes = [_node(entry, f"{name}: node {i}", read, left) for i, entry in enumerate(entries)]
    return {
        "nodes": tuple(nodes),
        "input": _name(graph.get("input"), f"{where}: input"),
        "output": _name(graph.get("output"), f"{where}: output"),
    }


def _graph_json(file: h5py.File, where: str) -> Any:
    """What the text in /graph says."""
    text = child(file, "graph")
    is_text = isinstance(text, h5py.Dataset) and h5py.check_string_dtype(text.dtype) is not None
    if not is_text or text.shape != ():
        raise InputError(where, "one string of JSON", "none" if text is None else short(text))
    return json_of(read_text(text, where, MAX_JSON).rstrip(b"\0"), where)


def _node(entry: Any, where: str, read: Read, left: list[int]) -> Node:
    """The node that an object describes; left: the bytes of parameters that may still be read."""
    _expect(entry, dict, where, "an object")
    name = _name(entry.get("name"), f"{where}: name")
    where = f"{where} ({name!r})"
    listed = _expect(entry.get("inputs"), list, where, "a list of inputs")
    inputs = tuple(_name(value, f"{where}: inputs") for value in listed)
    attrs = _expect(entry.get("attrs", {}), dict, where, "an object of attrs")
    for key, value in attrs.items():
        _check_attribute(value, f"{where}: {key}")
    paths = _expect(entry.get("params", {}), dict, where, "an object of params")
    arrays = {
        role: read(_name(path, f"{where}: {role}"), f"{where}: {role}", left)
        for role, path in paths.items()
    }
    return Node(name, _name(entry.get("op"), f"{where}: op"), inputs, attrs, arrays)


def _check_attribute(value: Any, where: str) -> None:
    for item in value if isinstance(value, list) else [value]:
        small = isinstance(item, (int, float)) and abs(item) < 2**63
        if not small and not isinstance(item, str) and item is not None:
            expected = "a text, a number below 2^63 or a list of these"
            raise InputError(where, expected, short(item))


def array_at(params: h5py.Group | None, path: str, where: str, left: list[int]) -> NDArray[Any]:
    """The parameter at a path below a group, float32 or float64.

    params: the group, or None where the file has none. path: names between slashes. where: for
    messages. left: as in `read_array`. Raises InputError where there is no dataset, and as
    `read_array` does.
    """
    found: Any = params
    for step in path.split("/"):
        good = step.strip(".") and isinstance(found, h5py.Group)
        found = child(found, step) if good else None
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        expected = f"the path of a dataset below {getattr(params, 'name', '/params')}"
        raise InputError(where, expected, short(path))
    return read_array(found, where, left)


def _preprocessing(file: h5py.File, channels: int, name: str) -> Preprocessing:
    scale = numbers(file, "input_scale", name)
    mean = numbers(file, "input_mean", name)
    std = numbers(file, "input_std", name)
    _check_numbers(scale, (1,), True, f"{name}: input_scale")
    _check_numbers(mean, (1, channels), False, f"{name}: input_mean")
    _check_numbers(std, (1, channels), True, f"{name}: input_std")
    known = plain(file, "input_known") != 0  # a file without it tells its preprocessing
    numbers64 = mean.astype(np.float64), std.astype(np.float64)
    reverse = plain(file, "input_reverse") == 1  # a file without it takes channels as they are
    return Preprocessing(float(scale[0]), *numbers64, known, reverse)


def _check_numbers(
    values: NDArray[Any], sizes: tuple[int, ...], above_zero: bool, where: str
) -> None:
    """Raises InputError unless there are as many finite values as one of the sizes says."""
    finite = values.size in sizes and np.isfinite(values).all()
    if not finite or (above_zero and not (values > 0).all()):
        expected = f"{' or '.join(map(str, sizes))} finite number(s)"
        if above_zero:
            expected += ", above 0"
        raise InputError(where, expected, short(values.tolist()))


def _meta(file: h5py.File) -> dict[str, str | float | tuple[str, ...]]:
    """What the file says about itself, as far as it is of the right type and of a sane length."""
    meta: dict[str, str | float | tuple[str, ...]] = {}
    accuracy = plain(file, "test_accuracy")
    classes = _class_names(plain(file, "classes"))
    arch = text_of(plain(file, "arch"), 200)
    activation = text_of(plain(file, "activation"), 200)
    note = text_of(plain(file, "note"), 10_000)
    if arch is not None:
        meta["arch"] = arch
    if activation is not None:
        meta["activation"] = activation
    if note is not None:
        meta["note"] = note
    if classes:
        meta["classes"] = classes
    if isinstance(accuracy, float) and 0 <= accuracy <= 1:
        meta["test_accuracy"] = accuracy
    return meta


def _class_names(classes: Any) -> tuple[str, ...]:
    """The texts in a list of texts; () for anything else."""
    if not isinstance(classes, list) or len(classes) > 2**16:
        return ()
    texts = [text_of(value, 500) for value in classes]
    names = tuple(text for text in texts if text is not None)
    return names if len(names) == len(texts) else ()


def _name(value: Any, where: str) -> str:
    if not is_name(value):
        expected = f"a text of 1 to {MAX_NAME:,} printable characters"
        raise InputError(where, expected, short(value))
    return str(value)


def _expect(value: Any, kind: type, where: str, expected: str) -> Any:
    """`value`, which has to be of the type `kind`."""
    if not isinstance(value, kind):
        raise InputError(where, expected, short(value))
    return value


def _fill(file: h5py.File, graph: Graph) -> None:
    """Writes a graph into an empty file."""
    meta = graph.meta
    preprocessing = graph.preprocessing
    head: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "input_shape": list(graph.input_shape),
        "input_scale": float(preprocessing.scale),
        "input_mean": np.asarray(preprocessing.mean, "<f8").reshape(-1),
        "input_std": np.asarray(preprocessing.std, "<f8").reshape(-1),
    }
    if not preprocessing.known:
        head["input_known"] = 0
    if preprocessing.reverse:
        head["input_reverse"] = 1
    kept = ("arch", "activation", "note", "classes", "test_accuracy")
    head |= {key: meta[key] for key in kept if key in meta}
    for key, value in head.items():
        file.attrs[key] = value
    group = file.create_group("params")
    nodes = []
    for node in graph.nodes:
        paths = {role: f"{path_step(node.name)}/{path_step(role)}" for role in node.params}
        _write_arrays(group, paths, node.params)
        entry = {"name": node.name, "op": node.op, "inputs": node.inputs, "attrs": node.attrs}
        nodes.append({**entry, "params": paths})
    content = {"input": graph.input, "output": graph.output, "nodes": nodes}
    text = json.dumps(content, allow_nan=False).encode()
    file.create_dataset("graph", data=text, dtype=h5py.string_dtype(length=len(text)))


def _write_arrays(
    group: h5py.Group, paths: Mapping[str, str], params: Mapping[str, NDArray[Any]]
) -> None:
    """Writes the parameters of a node in little-endian order; paths: role -> path."""
    for role, path in paths.items():
        array = np.asarray(params[role])
        group[path] = array.astype(array.dtype.newbyteorder("<"))
