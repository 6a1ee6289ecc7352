"""The kinds of files that are known, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import h5py

from eventsnn.ann.graph import Graph
from eventsnn.files.reading import child
from eventsnn.readers import native
from eventsnn.readers.keras import model as keras
from eventsnn.readers.keras.weights import LAYER_GROUPS
from eventsnn.readers.nir.graph import read_graph
from eventsnn.readers.onnx.model import read_onnx
from eventsnn.readers.reader import File, Reader, check_reader
from eventsnn.readers.torch import state
from eventsnn.registry import Registry

REBUILD = "build a Graph of its layers and save it with eventsnn.save"
TORCH = (
    "pickles can run code, so they are not opened: with PyTorch, make the module and give it to "
    "eventsnn.load_torch, or write its state_dict() into HDF5 key by key and give ⟦arch⟧"
)
SPIKING = "it is a spiking network already: give the ANN that it was made from"
NO_NETWORK = "it holds activity and no network: give the network's checkpoint"

Fields = dict[str, Any]


def _hdf5(told: Callable[[h5py.File, list[str]], bool]) -> Callable[[File], bool]:
    """A test of HDF5 files; told: (open file, names at its root) -> whether it is of a kind."""
    return lambda file: file.hdf5 is not None and told(file.hdf5, list(file.names))


def _starting(start: bytes) -> Callable[[File], bool]:
    """A test of other files by how they start."""
    return lambda file: file.hdf5 is None and file.start.startswith(start)


def _holding(end: str) -> Callable[[File], bool]:
    """A test of zip archives by how a name in them ends."""
    return lambda file: file.hdf5 is None and any(name.endswith(end) for name in file.archived)


def _fields(parse: Callable[[h5py.File, str, str | None], Fields]) -> Callable[..., Graph]:
    """A reader of HDF5 files; parse: (open file, its name, arch) -> fields of `Graph`."""

    def read(file: File, arch: str | None) -> Graph:
        assert file.hdf5 is not None
        return Graph(**parse(file.hdf5, file.name, arch))

    return read


def _below(file: h5py.File, name: str, wanted: str) -> bool:
    """Whether one of the first groups in the group `name` holds something called `wanted`."""
    outer = child(file, name)
    if not isinstance(outer, h5py.Group):
        return False
    members = [child(outer, inner) for inner in islice(outer, 100)]
    groups = [member for member in members if isinstance(member, h5py.Group)]
    return any(child(group, wanted) is not None for group in groups)


# the first that is told decides; what stands behind one that it holds for has no say
BUILT_IN = {
    "checkpoint": Reader(
        "a checkpoint of eventsnn",
        _hdf5(lambda file, names: native.format_of(file) == native.FORMAT),
        _fields(lambda file, name, arch: native.parse(file, name)),
    ),
    "keras": Reader(
        "a full Keras model",
        _hdf5(lambda file, names: "model_config" in file.attrs),
        _fields(keras.parse),
        takes_arch=True,
    ),
    "keras-weights": Reader(
        "Keras weights only",
        _hdf5(lambda file, names: "layer_names" in file.attrs or "layer_names0" in file.attrs),
        _fields(keras.parse),
        takes_arch=True,
    ),
    "keras3-weights": Reader(
        "Keras 3 weights only (.weights.h5)",
        _hdf5(lambda file, names: any(_below(file, name, "vars") for name in LAYER_GROUPS)),
        _fields(keras.parse),
        takes_arch=True,
    ),
    "keras1-weights": Reader(
        "Keras 1 weights",
        _hdf5(lambda file, names: "nb_layers" in file.attrs),
        do="open it with Keras 1 and save it with Keras 2, or " + REBUILD,
    ),
    "torch-state": Reader(
        "a PyTorch state dict", _hdf5(state.told), _fields(state.parse), takes_arch=True
    ),
    "nir-graph": Reader(
        "a NIR graph",
        _hdf5(lambda file, names: "node" in names and "version" in names),
        lambda file, arch: read_graph(file),
    ),
    "netx-network": Reader(
        "a lava netx network", _hdf5(lambda file, names: _below(file, "layer", "type")), do=SPIKING
    ),
    "nir-data": Reader(
        "NIRData",
        _hdf5(lambda file, names: "__type__" in file.attrs),
        do="it holds activity and no network: eventsnn.export.nir_data.read makes events of it",
    ),
    "sonata-spikes": Reader(
        "SONATA spikes", _hdf5(lambda file, names: "spikes" in names), do=NO_NETWORK
    ),
    # the first field of a model, its IR version, comes first
    "onnx": Reader("an ONNX model", _starting(b"\x08"), lambda file, arch: read_onnx(file.path)),
    "keras-archive": Reader(
        "a Keras archive (.keras)",
        _holding("model.weights.h5"),
        do="open it with Keras and save it as HDF5: model.save('net.h5')",
    ),
    "torch-archive": Reader("a PyTorch file (.pt or .pth)", _holding("data.pkl"), do=TORCH),
    "numpy-archive": Reader(
        "a numpy archive (.npz)",
        _holding(".npy"),
        do="it holds arrays: if these are images, load_images and ⟦data⟧ take it",
    ),
    "zip-archive": Reader(
        "a zip archive (.pt, .pth, .npz and .keras files are)",
        _starting(b"PK\x03\x04"),
        do=REBUILD,
    ),
    "pickle": Reader("a Python pickle (an older .pt or .pth)", _starting(b"\x80"), do=TORCH),
    "git-lfs": Reader(
        "a Git LFS pointer",
        _starting(b"version https://git-lfs"),
        do="fetch the file itself with git lfs pull",
    ),
    "web-page": Reader("a web page or XML", _starting(b"<"), do="download the file itself"),
}
READERS: Registry[Reader] = Registry("reader", BUILT_IN, check_reader)
