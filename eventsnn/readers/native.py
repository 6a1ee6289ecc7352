"""The project's own checkpoint: one HDF5 file with a graph (JSON, ONNX's vocabulary) and its
parameters.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from reprlib import repr as short
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import MAX_NODES, Graph, Node, Preprocessing
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

FORMAT, VERSION = "eventsnn.ann", 1
MAX_JSON = 2**26  # bytes of /graph


def read_native(path: str | Path) -> Graph:
    """The network in a checkpoint; its parameters are float32 or float64. Raises InputError."""
    with open_hdf5(path) as file:
        fields = parse(file, Path(path).name)
    return Graph(**fields)


def write_native(graph: Graph, path: Path | str) -> None:
    """Write `graph`: reading the file gives an equal hash. An older file is replaced at once or not
    at all.
    """
    part = Path(path).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with h5py.File(part, "w") as file:
            _fill(file, graph)
        os.replace(part, path)
    except FAILURES as error:
        raise InputError(
            path, "a graph of plain values and a place to write it to", told(error)
        ) from error
    finally:
        with suppress(OSError):  # when all went well it is gone
            part.unlink()


def format_of(file: h5py.File) -> str | None:
    """The root's attribute `format` as a str, or None."""
    return text_of(plain(file, "format"))


def parse(file: h5py.File, name: str) -> dict[str, Any]:
    """The fields of `Graph` in an open HDF5 file of this format; `name` is the file's, for
    messages.
    """
    version = plain(file, "version")
    if format_of(file) != FORMAT or type(version) not in (int, float) or version != VERSION:
        raise InputError(
            name,
            f"format {FORMAT!r}, version {VERSION}",
            f"format {short(plain(file, 'format'))}, version {short(version)}",
            "use a matching release",
        )
    shape = numbers(file, "input_shape", name)
    if (
        shape.size != 3
        or shape.dtype.kind not in "iu"
        or not all(1 <= int(n) <= 2**20 for n in shape)
    ):
        raise InputError(
            f"{name}: input_shape",
            "three whole numbers C, H, W from 1 to 2^20",
            short(shape.tolist()),
        )
    graph = _graph_json(file, f"{name}: /graph")
    return {
        **topology(graph, child(file, "params"), name),
        "input_shape": tuple(int(n) for n in shape),
        "preprocessing": _preprocessing(file, int(shape[0]), name),
        "source": name,
        "meta": _meta(file),
    }


def topology(graph: dict[str, Any], params: h5py.File | h5py.Group, name: str) -> dict[str, Any]:
    """Nodes, input and output that a /graph object lists; params: the group where the paths of
    parameters begin.
    """
    where = f"{name}: /graph"
    _expect(graph, dict, where, "an object with input, output and nodes")
    nodes = _expect(graph.get("nodes"), list, where, "a list of nodes")
    if len(nodes) > MAX_NODES:
        raise InputError(where, f"at most {MAX_NODES:,} nodes", f"{len(nodes):,}")
    left = [MAX_ARRAYS]
    return {
        "nodes": tuple(
            _node(entry, f"{name}: node {i}", params, left) for i, entry in enumerate(nodes)
        ),
        "input": _name(graph.get("input"), f"{where}: input"),
        "output": _name(graph.get("output"), f"{where}: output"),
    }


def _graph_json(file: h5py.File, where: str) -> dict[str, Any]:
    text = child(file, "graph")
    string = h5py.check_string_dtype(text.dtype) if isinstance(text, h5py.Dataset) else None
    if string is None or text.shape != ():
        raise InputError(where, "one string of JSON", "none" if text is None else short(text))
    return json_of(read_text(text, where, MAX_JSON).rstrip(b"\0"), where)


def _node(
    entry: dict[str, Any], where: str, params: h5py.File | h5py.Group, left: list[int]
) -> Node:
    _expect(entry, dict, where, "an object")
    name = _name(entry.get("name"), f"{where}: name")
    where = f"{where} ({name!r})"
    inputs = [
        _name(i, f"{where}: inputs")
        for i in _expect(entry.get("inputs"), list, where, "a list of inputs")
    ]
    attrs = _expect(entry.get("attrs", {}), dict, where, "an object of attrs")
    for key, value in attrs.items():
        for item in value if isinstance(value, list) else [value]:
            if not (
                item is None
                or isinstance(item, str)
                or (isinstance(item, (int, float)) and abs(item) < 2**63)
            ):
                raise InputError(
                    f"{where}: {key}", "a text, a number below 2^63 or a list of these", short(item)
                )
    paths = _expect(entry.get("params", {}), dict, where, "an object of params")
    arrays = {role: _array(params, path, f"{where}: {role}", left) for role, path in paths.items()}
    return Node(name, _name(entry.get("op"), f"{where}: op"), tuple(inputs), attrs, arrays)


def _array(params: h5py.File | h5py.Group, path: str, where: str, left: list[int]) -> NDArray[Any]:
    """The parameter at `path` below `params`."""
    dataset = params
    for step in _name(path, where).split("/"):
        dataset = (
            child(dataset, step) if step.strip(".") and isinstance(dataset, h5py.Group) else None
        )
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise InputError(
            where, f"the path of a dataset below {getattr(params, 'name', '/params')}", short(path)
        )
    return read_array(dataset, where, left)


def _preprocessing(file: h5py.File, channels: int, name: str) -> Preprocessing:
    scale, mean, std = (numbers(file, f"input_{key}", name) for key in ("scale", "mean", "std"))
    for key, values, sizes in (
        ("scale", scale, (1,)),
        ("mean", mean, (1, channels)),
        ("std", std, (1, channels)),
    ):
        good = (
            values.size in sizes
            and np.isfinite(values).all()
            and (key == "mean" or (values > 0).all())
        )
        if not good:
            raise InputError(
                f"{name}: input_{key}",
                f"{' or '.join(map(str, sizes))} finite number(s)" + ", above 0" * (key != "mean"),
                short(values.tolist()),
            )
    return Preprocessing(float(scale[0]), mean.astype(np.float64), std.astype(np.float64))


def _meta(
    file: h5py.File,
) -> dict[
    str,
    str | tuple[str, str, str] | float | tuple[str, str, str, str, str, str, str, str, str, str],
]:
    """What the file says about itself, as far as it is of the right type and of a sane length."""
    accuracy, classes = plain(file, "test_accuracy"), plain(file, "classes")
    names = (
        tuple(text_of(c, 500) for c in classes)
        if isinstance(classes, list) and len(classes) <= 2**16
        else ()
    )
    meta: dict[str, Any] = {
        "arch": text_of(plain(file, "arch"), 200),
        "note": text_of(plain(file, "note"), 10_000),
        "classes": names if names and None not in names else None,
        "test_accuracy": accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None,
    }
    return {key: value for key, value in meta.items() if value is not None}


def _name(value: str | None, where: str) -> str:
    if not (isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()):
        raise InputError(where, "a text of 1 to 1,000 printable characters", short(value))
    return value


def _expect(value: Any, kind: type, where: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise InputError(where, expected, short(value))
    return value


def _fill(file: h5py.File, graph: Graph) -> None:
    meta, pre = graph.meta, graph.preprocessing
    head = {
        "format": FORMAT,
        "version": VERSION,
        "input_shape": list(graph.input_shape),
        "input_scale": float(pre.scale),
        "input_mean": np.asarray(pre.mean, "<f8").reshape(-1),
        "input_std": np.asarray(pre.std, "<f8").reshape(-1),
    }
    head |= {key: meta[key] for key in ("arch", "note", "classes", "test_accuracy") if key in meta}
    for key, value in head.items():
        file.attrs[key] = value
    params, nodes = file.create_group("params"), []
    for node in graph.nodes:
        paths = {role: f"{_step(node.name)}/{_step(role)}" for role in node.params}
        for role, path in paths.items():
            array = np.asarray(node.params[role])
            params[path] = array.astype(array.dtype.newbyteorder("<"))
        nodes.append(
            {
                "name": node.name,
                "op": node.op,
                "inputs": node.inputs,
                "attrs": node.attrs,
                "params": paths,
            }
        )
    text = json.dumps(
        {"input": graph.input, "output": graph.output, "nodes": nodes}, allow_nan=False
    ).encode()
    file.create_dataset("graph", data=text, dtype=h5py.string_dtype(length=len(text)))


def _step(name: str) -> str:
    """`name` as one step of an HDF5 path: what would be a separator or "here" is
    percent-encoded.
    """
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")
