"""Readers of trained networks, one a file kind; the kind is told by the content, never by the name."""
from __future__ import annotations

from itertools import islice
from pathlib import Path

import h5py

from eventsnn.checks import InputError
from eventsnn.graph import Graph
from eventsnn.load.native import check_file, child, open_hdf5, parse, read_native, write_native

__all__ = ["load", "read_native", "write_native"]

REBUILD = "build a Graph from it and save that with write_native (README, checkpoints)"
# what stands at the start of files that are not HDF5
STARTS = ((b"PK\x03\x04", "a zip archive (.pt, .pth, .npz and .keras files are such)"), (b"\x80", "a Python pickle"),
          (b"\x08", "an ONNX model or other protobuf"), (b"version https://git-lfs", "a Git LFS pointer instead of the file"),
          (b"<", "a web page or XML"), (b"{", "JSON"))


def load(path) -> Graph:
    """The network in a file of any kind known here; InputError says what the file is when there is no reader."""
    check_file(path)
    if not h5py.is_hdf5(path):
        with open(path, "rb") as file:
            start = file.read(32)
        kind = next((kind for magic, kind in STARTS if start.startswith(magic)), f"one that starts with {start[:8]!r}")
        do = "download the file itself" if "instead" in kind or "web" in kind else REBUILD
        raise InputError(path, "an HDF5 file with a network", kind, do)
    with open_hdf5(path) as file:
        if "format" not in file.attrs:
            raise InputError(path, "a checkpoint with the attribute format = eventsnn.ann", *_kind(file))
        parts = parse(file, Path(path).name)
    return Graph(**parts)


def _kind(file):
    """(What an HDF5 file of somebody else's holds, what to do about it)."""
    attrs, names = file.attrs, list(islice(file, 1000))
    if "model_config" in attrs:
        return "a full Keras model (model.save)", REBUILD
    if "layer_names" in attrs or "layer_names0" in attrs:
        return "Keras weights without an architecture (model.save_weights)", REBUILD
    if "layers" in names and _has(file, "layers", "vars"):
        return "Keras 3 weights without an architecture (.weights.h5)", REBUILD
    if "nb_layers" in attrs:
        return "Keras 1 weights", "load it with Keras 1 or 2 and " + REBUILD
    if any(name.endswith((".weight", ".bias")) for name in names):
        return "a PyTorch state dict without an architecture", REBUILD
    if "node" in names and "version" in names:
        return "a NIR graph", "it is a spiking network already; give the ANN that it was made from"
    if "layer" in names and _has(file, "layer", "type"):
        return "a lava netx network", "it is a spiking network already; give the ANN that it was made from"
    if "__type__" in attrs:
        return "NIRData (recorded activity)", "give the network's checkpoint"
    if "spikes" in names:
        return "SONATA spikes", "give the network's checkpoint"
    return f"an HDF5 file with {', '.join(names[:5]) or 'nothing'} at its root", REBUILD


def _has(file, name, wanted):
    """Whether one of the first groups below `name` (Keras 3: two levels) has a child called `wanted`."""
    group = child(file, name)
    below = [group] if isinstance(group, h5py.Group) else []
    for _ in range(2):
        below = [child(g, n) for g in below for n in islice(g, 100) if n != wanted]
        below = [g for g in below if isinstance(g, h5py.Group)][:200]
        if any(wanted in list(islice(g, 100)) for g in below):
            return True
    return False
