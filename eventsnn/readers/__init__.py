"""Readers of trained networks, one for each kind of file.

A file's content tells its kind; its name never does.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import h5py

from eventsnn import reference
from eventsnn.ann.graph import Graph
from eventsnn.ann.pixels import as_preprocessing
from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.files.reading import check_file, open_hdf5, told
from eventsnn.readers import native
from eventsnn.readers.folders import check_no_folder
from eventsnn.readers.kinds import BUILT_IN, READERS, REBUILD
from eventsnn.readers.native import read_native, write_native
from eventsnn.readers.reader import MAX_NAMES, START, File, Reader

__all__ = ["READERS", "File", "Reader", "load", "read_native", "save", "write_native"]

R = TypeVar("R")


@checked
def save(graph: Graph, path: str | Path) -> None:
    """Writes a graph as a checkpoint of eventsnn, which `load` reads back.

    graph: the network. path: the file; an older one is replaced at once or not at all. Raises
    InputError where it cannot be written.
    """
    write_native(graph, path)


@checked
def load(
    path: Path | str,
    arch: str | None = None,
    preprocessing: Any = None,
    output: str | None = None,
) -> Graph:
    """The network in a file of any kind that has a reader.

    path: the file, whose kind its content tells; or "sample", the bundled network; or the
        name of a reference network (`eventsnn.fetch`).
    arch: the architecture of a file that holds weights only. Keras: one of
        `keras.architectures.ARCHITECTURES`, or a .json file that Keras's model.to_json() gave; a
        full Keras model is read as that architecture, with its preprocessing, too. PyTorch
        and safetensors: NAME:OPTION=VALUE,… or a mapping file (.json); see docs/guide/files.md.
    preprocessing: of raw pixels, in place of the file's: an `eventsnn.Preprocessing`, a dict with
        some of scale, mean, std and reverse (the channels: RGB and BGR), or torchvision's
        Normalize; None: what the file says, or else none.
    output: the name of the output that is meant, of a Keras or ONNX model with several; None: the
        only one.

    Raises InputError for a file that cannot be read, which says what it is instead, and for a
    preprocessing that does not fit.
    """
    if path == "sample":
        bundled = Path(__file__).parents[1] / "sample" / "network.h5"
        return replace(load(bundled, arch, preprocessing, output), source="sample")
    if isinstance(path, str) and reference.is_name(path):
        return replace(load(reference.fetch(path), arch, preprocessing, output), source=path)
    graph = identify(path, arch, output)[1]
    if preprocessing is None:
        return graph
    return replace(graph, preprocessing=as_preprocessing(preprocessing, "load"))


@checked
def identify(
    path: Path | str, arch: str | None = None, output: str | None = None
) -> tuple[str, Graph]:
    """(what a file is, in words; the network in it).

    path, arch, output: as for `load`, but for "sample". Raises InputError as `load` does.
    """
    check_no_folder(path)
    check_file(path)
    with open(path, "rb") as opened:
        start = opened.read(START)
    if not h5py.is_hdf5(path):
        return _identify(File(path, start, output=output), arch)
    with open_hdf5(path) as hdf5:
        names = tuple(islice(hdf5, MAX_NAMES))
        return _identify(File(path, start, hdf5, names, output), arch)


def _identify(file: File, arch: str | None) -> tuple[str, Graph]:
    """As `identify`; other packages are asked about what eventsnn itself cannot read."""
    kind = next((reader for reader in BUILT_IN.values() if reader.told(file)), None)
    if kind is not None and kind.read is not None:
        _check_options(arch, file.output, kind)
        return kind.words, kind.read(file, arch)
    others = {name: reader for name, reader in READERS.usable().items() if name not in BUILT_IN}
    name = _told_by(others, file)
    if name is None:
        raise _no_reader(file, kind, others)
    other = others[name]
    read = other.read
    if read is None:
        raise _no_reader(file, other, others)
    _check_options(arch, file.output, other)
    graph = _asked(name, file, partial(read, file, arch))
    if not isinstance(graph, Graph):
        do = "repair the reader: it has to return one"
        raise InputError(f"{file.path}: reader {name!r}", "a Graph", type(graph).__name__, do)
    return other.words, graph


def _told_by(others: Mapping[str, Reader], file: File) -> str | None:
    """The name of the first reader that knows a file; None where none does.

    others: name -> reader, of other packages. One that fails does so after all have been asked.
    """
    failed = None
    for name, reader in others.items():
        try:
            if _asked(name, file, partial(_tells, reader, file)):
                return name
        except InputError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return None


def _tells(reader: Reader, file: File) -> bool:
    return bool(reader.told(file))


def _asked(name: str, file: File, ask: Callable[[], R]) -> R:
    """What a reader of another package returns; whatever it raises becomes an InputError."""
    try:
        return ask()
    except InputError:
        raise
    except Exception as error:  # whatever a stranger's reader does
        where = f"{file.path}: reader {name!r}"
        do = "repair the reader, or the file if it is damaged"
        raise InputError(where, "a network, or InputError", told(error), do) from error


def _no_reader(file: File, kind: Reader | None, others: Mapping[str, Reader]) -> InputError:
    """What to say of a file that nobody reads.

    kind: what it is, where that is known. others: name -> reader, of other packages.
    """
    words = "" if kind is None else kind.words
    do = "" if kind is None else kind.do
    if file.hdf5 is None:
        expected = (
            "an HDF5 file, a Keras archive, an ONNX model, a PyTorch state dict or safetensors"
        )
        found = f"{words or 'some other file'}, starting with {file.start[:8]!r}"
        if kind in BUILT_IN.values():
            folder = shlex.quote(str(Path(file.path).parent))
            do = do.replace("FOLDER", folder).replace("FILE", shlex.quote(str(file.path)))
        do = do or "check the path"
    else:
        expected = (
            f"a checkpoint with the attribute format = {native.FORMAT!r}, a Keras file or a "
            "PyTorch state dict"
        )
        held = ", ".join(file.names[:5]) or "nothing"
        found = words or f"an HDF5 file with {held} at its root"
        do = do or REBUILD
    more = [reader.words for reader in others.values() if reader.read is not None]
    if more:
        expected += f", or by other packages {', '.join(more)}"
    return InputError(file.path, expected, found, do)


def _check_options(arch: str | None, output: str | None, kind: Reader) -> None:
    """Raises InputError for an architecture of a file that has its own, and for an output of one
    that has no others.
    """
    if output is not None and not kind.takes_output:
        do = "leave ⟦output⟧ out"
        raise InputError("⟦output⟧", "a Keras or ONNX model with several outputs", kind.words, do)
    if arch is not None and not kind.takes_arch:
        found = f"{kind.words}, which has its architecture"
        raise InputError("⟦arch⟧", "a file with weights only", found, "leave ⟦arch⟧ out")
