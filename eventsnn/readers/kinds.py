"""The kinds of files that are known, in the order in which they are tried."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

import h5py

from eventsnn.ann.graph import Graph
from eventsnn.files.reading import child
from eventsnn.readers import native
from eventsnn.readers.folders import ONNX
from eventsnn.readers.keras import model as keras
from eventsnn.readers.keras.archive import parse_archive
from eventsnn.readers.keras.weights import LAYER_GROUPS
from eventsnn.readers.nir.graph import read_graph
from eventsnn.readers.onnx.model import read_onnx
from eventsnn.readers.reader import File, Reader, check_reader
from eventsnn.readers.tensorflow import is_saved_model
from eventsnn.readers.torch import safetensors, saved, state
from eventsnn.registry import Registry

REBUILD = "build a Graph of its layers and save it with eventsnn.save"
EXPORTED = "serialized_exported_program.json"
STATE = "torch.save(net.state_dict(), 'net.pth') and give that with ⟦arch⟧"
SPIKING = "it is a spiking network already: give the ANN that it was made from"
NO_NETWORK = "it holds activity and no network: give the network's checkpoint"

# of a pickle: its protocol, and the number with which torch.save begins
MAGIC = re.compile(rb"\x80[\x01-\x05](\x95.{8})?\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", re.DOTALL)
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c")

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


def _is_tar(file: File) -> bool:
    return file.hdf5 is None and file.start[257:262] == b"ustar"


def _saved(open_file: Callable[..., AbstractContextManager[saved.Saved]]) -> Callable[..., Graph]:
    """A reader of PyTorch's files; open_file: of a path, what it holds inside a block."""

    def read(file: File, arch: str | None) -> Graph:
        return Graph(**state.parse_saved(open_file(file.path), file.name, arch))

    return read


def _fields(parse: Callable[[h5py.File, str, str | None], Fields]) -> Callable[..., Graph]:
    """A reader of HDF5 files; parse: (open file, its name, arch) -> fields of `Graph`."""

    def read(file: File, arch: str | None) -> Graph:
        assert file.hdf5 is not None
        return Graph(**parse(file.hdf5, file.name, arch))

    return read


def _read_keras(file: File, arch: str | None) -> Graph:
    """A full Keras model, which may have several outputs."""
    assert file.hdf5 is not None
    return Graph(**keras.parse(file.hdf5, file.name, arch, output=file.output))


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
        _read_keras,
        takes_arch=True,
        takes_output=True,
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
    "safetensors": Reader(
        "safetensors",
        lambda file: file.hdf5 is None and safetensors.told(file.start),
        _saved(safetensors.open_safetensors),
        takes_arch=True,
    ),
    "saved-model": Reader(
        "TensorFlow's SavedModel",
        lambda file: file.hdf5 is None and is_saved_model(file.start),
        do=ONNX.format("saved-model", "FOLDER"),
    ),
    "tflite": Reader(
        "a TFLite model",
        lambda file: file.hdf5 is None and file.start[4:8] == b"TFL3",
        do=ONNX.format("tflite", "FILE"),
    ),
    # the first field of a model, its IR version, comes first
    "onnx": Reader(
        "an ONNX model",
        _starting(b"\x08"),
        lambda file, arch: read_onnx(file.path, file.output),
        takes_output=True,
    ),
    "keras-archive": Reader(
        "a Keras archive (.keras)",
        _holding("model.weights.h5"),
        lambda file, arch: Graph(**parse_archive(file.path, arch, file.output)),
        takes_arch=True,
        takes_output=True,
    ),
    "torchscript": Reader(
        "a TorchScript archive",
        _holding("/constants.pkl"),
        do=f"with PyTorch, net = torch.jit.load('FILE'), then {STATE}",
    ),
    "torch-export": Reader(
        "an archive of torch.export (.pt2)",
        lambda file: _holding("/models/model.json")(file) or _holding(EXPORTED)(file),
        do="with PyTorch, torch.save(torch.export.load('FILE').state_dict, 'net.pth') and give "
        "that with ⟦arch⟧",
    ),
    "torch-archive": Reader(
        "a PyTorch file (.pt, .pth or .ckpt)",
        _holding("/data.pkl"),
        _saved(saved.open_zip),
        takes_arch=True,
    ),
    "numpy-archive": Reader(
        "a numpy archive (.npz)",
        _holding(".npy"),
        do="it holds arrays: if these are images, load_images and ⟦data⟧ take it",
    ),
    "damaged-archive": Reader(
        "a zip archive (.pt, .pth, .npz and .keras files are) whose list cannot be read",
        lambda file: _starting(b"PK\x03\x04")(file) and not file.archived,
        do="it is cut off or damaged: copy or download it again",
    ),
    "zip-archive": Reader(
        "a zip archive of something else",
        _starting(b"PK\x03\x04"),
        do="unpack it, and give the file in it",
    ),
    "torch-stream": Reader(
        "a PyTorch file of versions before 1.6",
        lambda file: file.hdf5 is None and bool(MAGIC.match(file.start)),
        _saved(saved.open_stream),
        takes_arch=True,
    ),
    "pickle": Reader(
        "a Python pickle",
        _starting(b"\x80"),
        do=f"it can run code, so it is not opened: load it where it was made, then {STATE}",
    ),
    "torch-tar": Reader(
        "a PyTorch file of versions before 0.1.10, a tar archive",
        lambda file: _is_tar(file) and file.start[:11] in (b"sys_info\0\0\0", b"./sys_info\0"),
        do=f"with PyTorch, load it by torch.load, then {STATE}",
    ),
    "tar-archive": Reader(
        "a tar archive", lambda file: _is_tar(file), do="unpack it, and give the file in it"
    ),
    "compressed": Reader(
        "a compressed file",
        lambda file: file.hdf5 is None and file.start.startswith(COMPRESSED),
        do="unpack it (gunzip, unxz, bunzip2, unzstd, 7z x), and give the file in it",
    ),
    "git-lfs": Reader(
        "a Git LFS pointer",
        _starting(b"version https://git-lfs"),
        do="fetch the file itself with git lfs pull",
    ),
    "json": Reader(
        "a JSON file",
        lambda file: file.hdf5 is None and file.start.lstrip().startswith(b"{"),
        do="it holds no weights: give the file with them, and this one as ⟦arch⟧",
    ),
    "web-page": Reader(
        "a web page or XML",
        lambda file: file.hdf5 is None and file.start.lstrip().startswith(b"<"),
        do="download the file itself: the link leads to a page about it",
    ),
}
READERS: Registry[Reader] = Registry("reader", BUILT_IN, check_reader)
