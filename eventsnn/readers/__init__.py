"""Readers of trained networks, one a kind of file; the kind is told by the content, never by the name."""
from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import h5py

from eventsnn.checks import InputError
from eventsnn.graph import Graph
from eventsnn.readers.hdf5 import check_file, child, open_hdf5
from eventsnn.readers.native import FORMAT, format_of, parse, read_native, write_native

__all__ = ["load", "read_native", "save", "write_native"]

REBUILD = "build a Graph of its layers and save it with write_native"
SPIKING = "it is a spiking network already: give the ANN that it was made from"
NO_NETWORK = "it holds activity and no network: give the network's checkpoint"
# how files that are not HDF5 start, what they are, what to do
STARTS = (
    (b"PK\x03\x04", "a zip archive (.pt, .pth, .npz and .keras files are)", REBUILD),
    (b"\x80", "a Python pickle (an older .pt or .pth)", REBUILD),
    (b"\x08", "an ONNX model or other protobuf", REBUILD),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull"),
    (b"<", "a web page or XML", "download the file itself"),
    (b"", "some other file", "check the path"),
)


def save(graph, path):
    """Write a graph as a checkpoint of our own, which `load` reads back; an older file is replaced at once or not at all."""
    write_native(graph, path)


def load(path) -> Graph:
    """The network in a file of any kind that has a reader, or the bundled one for "sample"; InputError says what else a file is."""
    if path == "sample":
        return replace(load(Path(__file__).parents[1] / "sample" / "network.h5"), source="sample")
    check_file(path)
    if not h5py.is_hdf5(path):
        with open(path, "rb") as file:
            start = file.read(32)
        _, kind, do = next(row for row in STARTS if start.startswith(row[0]))
        raise InputError(path, "an HDF5 file", f"{kind}, starting with {start[:8]!r}", do)
    with open_hdf5(path) as file:
        if format_of(file) != FORMAT:
            raise InputError(path, f"a checkpoint with the attribute format = {FORMAT!r}", *_kind(file))
        fields = parse(file, Path(path).name)
    return Graph(**fields)


def _kind(file):
    """(What an HDF5 file of another kind is, what to do about it)."""
    attrs, names = file.attrs, list(islice(file, 1000))
    if "model_config" in attrs:
        return "a full Keras model", REBUILD
    if "layer_names" in attrs or "layer_names0" in attrs:
        return "Keras weights only, without an architecture", REBUILD
    if _below(file, "layers", "vars"):
        return "Keras 3 weights (.weights.h5), without an architecture", REBUILD
    if "nb_layers" in attrs:
        return "Keras 1 weights", "open it with Keras 1 and save it with Keras 2, or " + REBUILD
    if any(name.endswith((".weight", ".bias")) for name in names):
        return "a PyTorch state dict, without an architecture", REBUILD
    if "node" in names and "version" in names:
        return "a NIR graph", SPIKING
    if _below(file, "layer", "type"):
        return "a lava netx network", SPIKING
    if "__type__" in attrs:
        return "NIRData", NO_NETWORK
    if "spikes" in names:
        return "SONATA spikes", NO_NETWORK
    return f"an HDF5 file with {', '.join(names[:5]) or 'nothing'} at its root", REBUILD


def _below(file, name, wanted):
    """Whether one of the first groups in the group `name` holds something called `wanted`."""
    group = child(file, name)
    groups = [child(group, n) for n in islice(group, 100)] if isinstance(group, h5py.Group) else []
    return any(isinstance(g, h5py.Group) and child(g, wanted) is not None for g in groups)
