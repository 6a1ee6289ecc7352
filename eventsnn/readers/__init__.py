"""Readers of trained networks, one for each kind of file.

A file's content tells its kind; its name never does.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError, named_options
from eventsnn.files.reading import check_file, child, open_hdf5
from eventsnn.readers import native
from eventsnn.readers.keras import model as keras
from eventsnn.readers.keras.weights import LAYER_GROUPS
from eventsnn.readers.native import read_native, write_native
from eventsnn.readers.onnx.model import read_onnx
from eventsnn.readers.torch import state as torch_state

__all__ = ["load", "read_native", "save", "write_native"]

REBUILD = "build a Graph of its layers and save it with write_native"
TORCH = (
    "pickles can run code, so they are not opened: with PyTorch, make the module and give it to "
    "eventsnn.load_torch, or write its state_dict() into HDF5 key by key and give --arch"
)
ONNX = b"\x08"  # the first field of a model, its IR version, comes first
SPIKING = "it is a spiking network already: give the ANN that it was made from"
NO_NETWORK = "it holds activity and no network: give the network's checkpoint"


class Kind(NamedTuple):
    """A kind of HDF5 file.

    words: what it is. told: (open file, names at its root) -> whether the file is of this kind.
    read: its reader, (open file, its name, arch) -> fields of `Graph`; None where there is none.
    do: what to do about it then. takes_arch: whether the architecture may come from elsewhere.
    """

    words: str
    told: Callable[[h5py.File, list[str]], bool]
    read: Callable[[h5py.File, str, str | None], dict[str, Any]] | None = None
    do: str = ""
    takes_arch: bool = False


# in the order in which they are tried
KINDS = (
    Kind(
        "a checkpoint of eventsnn",
        lambda file, names: native.format_of(file) == native.FORMAT,
        lambda file, name, arch: native.parse(file, name),
    ),
    Kind(
        "a full Keras model",
        lambda file, names: "model_config" in file.attrs,
        keras.parse,
        takes_arch=True,
    ),
    Kind(
        "Keras weights only",
        lambda file, names: "layer_names" in file.attrs or "layer_names0" in file.attrs,
        keras.parse,
        takes_arch=True,
    ),
    Kind(
        "Keras 3 weights only (.weights.h5)",
        lambda file, names: any(_below(file, name, "vars") for name in LAYER_GROUPS),
        keras.parse,
        takes_arch=True,
    ),
    Kind(
        "Keras 1 weights",
        lambda file, names: "nb_layers" in file.attrs,
        do="open it with Keras 1 and save it with Keras 2, or " + REBUILD,
    ),
    Kind("a PyTorch state dict", torch_state.told, torch_state.parse, takes_arch=True),
    Kind("a NIR graph", lambda file, names: "node" in names and "version" in names, do=SPIKING),
    Kind("a lava netx network", lambda file, names: _below(file, "layer", "type"), do=SPIKING),
    Kind("NIRData", lambda file, names: "__type__" in file.attrs, do=NO_NETWORK),
    Kind("SONATA spikes", lambda file, names: "spikes" in names, do=NO_NETWORK),
)
# how files that are not HDF5 start, what they are, what to do
STARTS = (
    (b"PK\x03\x04", "a zip archive (.pt, .pth, .npz and .keras files are)", REBUILD),
    (b"\x80", "a Python pickle (an older .pt or .pth)", TORCH),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull"),
    (b"<", "a web page or XML", "download the file itself"),
    (b"", "some other file", "check the path"),
)
KERAS_ARCHIVE = "open it with Keras and save it as HDF5: model.save('net.h5')"
# what a zip archive holds, what it is, what to do
ARCHIVES = (
    ("model.weights.h5", "a Keras archive (.keras)", KERAS_ARCHIVE),
    ("data.pkl", "a PyTorch file (.pt or .pth)", TORCH),
    (".npy", "a numpy archive (.npz)", "give it as --data if it holds images"),
)


@named_options
def save(graph: Graph, path: str | Path) -> None:
    """Writes a graph as a checkpoint of eventsnn, which `load` reads back.

    graph: the network. path: the file; an older one is replaced at once or not at all. Raises
    InputError where it cannot be written.
    """
    write_native(graph, path)


@named_options
def load(path: Path | str, arch: str | None = None) -> Graph:
    """The network in a file of any kind that has a reader.

    path: the file, whose kind its content tells; or "sample", the bundled network.
    arch: the architecture of a file that holds weights only. Keras: one of
        `keras.architectures.ARCHITECTURES`, or a .json file that Keras's model.to_json() gave; a
        full Keras model is read as that architecture, with its preprocessing, too. PyTorch: see
        `torch.state.parse`.

    Raises InputError for a file that cannot be read, which says what it is instead.
    """
    if path == "sample":
        bundled = Path(__file__).parents[1] / "sample" / "network.h5"
        return replace(load(bundled, arch), source="sample")
    return identify(path, arch)[1]


def identify(path: Path | str, arch: str | None = None) -> tuple[str, Graph]:
    """(what a file is, in words; the network in it).

    path, arch: as for `load`, but for "sample". Raises InputError as `load` does.
    """
    check_file(path)
    if not h5py.is_hdf5(path):
        with open(path, "rb") as file:
            start = file.read(32)
        if not start.startswith(ONNX):
            found, do = _other(path, start)
            raise InputError(path, "an HDF5 file or an ONNX model", found, do)
        _check_arch(arch, "an ONNX model", False)
        return "an ONNX model", read_onnx(path)
    with open_hdf5(path) as hdf5:
        names = list(islice(hdf5, 1000))
        kind = next((kind for kind in KINDS if kind.told(hdf5, names)), None)
        if kind is None or kind.read is None:
            raise _no_reader(path, kind, names)
        _check_arch(arch, kind.words, kind.takes_arch)
        fields = kind.read(hdf5, Path(path).name, arch)
    return kind.words, Graph(**fields)


def _no_reader(path: Path | str, kind: Kind | None, names: list[str]) -> InputError:
    """What to say of an HDF5 file without a reader; names: those at its root."""
    expected = (
        f"a checkpoint with the attribute format = {native.FORMAT!r}, a Keras file or a "
        "PyTorch state dict"
    )
    if kind is not None:
        return InputError(path, expected, kind.words, kind.do)
    held = ", ".join(names[:5]) or "nothing"
    return InputError(path, expected, f"an HDF5 file with {held} at its root", REBUILD)


def _check_arch(arch: str | None, words: str, takes_arch: bool) -> None:
    """Raises InputError for an architecture that is given with a file that has its own."""
    if arch is not None and not takes_arch:
        found = f"{words}, which has its architecture"
        raise InputError("--arch", "a file with weights only", found, "leave --arch out")


def _other(path: Path | str, start: bytes) -> tuple[str, str]:
    """(what a file is that is not HDF5, what to do about it); start: its first bytes."""
    _, kind, do = next(row for row in STARTS if start.startswith(row[0]))
    if start.startswith(b"PK") and zipfile.is_zipfile(path):
        names = _archived(path)
        for end, words, advice in ARCHIVES:
            if any(name.endswith(end) for name in names):
                kind = words
                do = advice
                break
    return f"{kind}, starting with {start[:8]!r}", do


def _archived(path: Path | str) -> list[str]:
    """The first names in a zip archive; none where it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()[:1000]
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return []


def _below(file: h5py.File, name: str, wanted: str) -> bool:
    """Whether one of the first groups in the group `name` holds something called `wanted`."""
    outer = child(file, name)
    if not isinstance(outer, h5py.Group):
        return False
    members = [child(outer, inner) for inner in islice(outer, 100)]
    groups = [member for member in members if isinstance(member, h5py.Group)]
    return any(child(group, wanted) is not None for group in groups)
