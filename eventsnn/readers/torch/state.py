"""PyTorch state dicts: in what torch.save writes, in safetensors, and in HDF5, a dataset a key.

They hold parameters only: the architecture comes by name, or in a mapping file. A key is the name
of a module and of its parameter. As HDF5 a state dict is written so:

    import h5py
    with h5py.File("resnet20.h5", "w") as file:
        for key, value in torch.load("resnet20.pth", map_location="cpu", weights_only=True).items():
            file[key] = value.numpy()
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from pathlib import Path
from reprlib import repr as short
from typing import Any

import h5py
from numpy.typing import NDArray

from eventsnn.ann.graph import Node, Preprocessing
from eventsnn.exceptions import InputError, named
from eventsnn.files.pickles import Unknown
from eventsnn.files.reading import check_file, child, json_of
from eventsnn.readers import native
from eventsnn.readers.torch.choosing import Chosen, chosen, stripped
from eventsnn.readers.torch.layouts import ARCHITECTURES, Made, fitting, from_of, made_of
from eventsnn.readers.torch.saved import Saved
from eventsnn.readers.torch.tensors import Stored, array_of

# the last part of a key that only a spiking network has -> whose
SPIKING = {
    "graded_spikes_factor": "snnTorch",
    "reset_mechanism_val": "snnTorch",
}
MAX_KEYS = 20_000  # groups among them
MAX_DEPTH = 10
WRAPPERS = ("model", "state_dict")  # groups with the keys beside an optimizer's state, for example


def told(file: h5py.File, names: list[str]) -> bool:
    """Whether an HDF5 file holds a state dict.

    file: the file. names: those at its root.
    """
    keys = list(names)
    for wrapper in WRAPPERS:
        group = child(file, wrapper) if wrapper in names else None
        if isinstance(group, h5py.Group):
            keys += islice(group, 1000)
    return any(key.endswith((".weight", ".bias")) for key in keys)


def parse(file: h5py.File, name: str, arch: str | None) -> dict[str, Any]:
    """The fields of `Graph` in an open HDF5 file.

    file: the file. name: its name, for messages. arch: NAME or NAME:OPTION=VALUE,…, or a mapping
    file. Names are those of `layouts.ARCHITECTURES`, options those of `layouts.OPTIONS`. A mapping
    file (.json) is an object like a checkpoint's /graph, with input_shape beside input, output and
    nodes; its parameters are keys of the state dict (of an HDF5 file, paths of its datasets), and
    an activation may have its lambda or scale among them. Raises InputError without an
    architecture, and where it does not fit the file.
    """
    if arch is None:
        raise _without(_datasets(file), name)
    read = partial(native.array_at, file)
    if arch.endswith(".json"):
        return _fields(_mapping(arch), read, name, arch, "")
    if from_of(arch):
        found = "from, with a file of HDF5"
        raise InputError("⟦arch⟧", "from=… with a file of torch.save", found, "leave it out")
    keys = _datasets(file)
    _check_not_spiking(keys, name)
    made = made_of(keys, name, arch)
    return _fields(made.graph, _with_made(made, read), name, arch, made.note)


def parse_saved(
    opened: AbstractContextManager[Saved], name: str, arch: str | None
) -> dict[str, Any]:
    """The fields of `Graph` in a file of torch.save, or of safetensors.

    opened: what the file holds, inside a block. name, arch, errors: as for `parse`.
    """
    with opened as saved:
        if arch is None:
            raise _without(stripped(chosen(saved.value, name).keys), name)
        if arch.endswith(".json"):
            graph = _mapping(arch)
            picked = chosen(saved.value, name, graph.get("from"))
            read = partial(_tensor_at, saved, picked)
            return _fields(graph, read, name, arch, picked.note)
        picked = chosen(saved.value, name, from_of(arch))
        read = partial(_tensor_at, saved, picked)
        _check_not_spiking(picked.keys, name)
        made = made_of(stripped(picked.keys), name, arch)
        note = "; ".join(filter(None, (picked.note, made.note)))
        return _fields(made.graph, _with_made(made, read), name, arch, note)


def _without(keys: Mapping[str, Stored | Unknown], name: str) -> InputError:
    """What to say of a state dict without an architecture."""
    _check_not_spiking(keys, name)
    arch = fitting(keys, name)
    expected = "the architecture of this PyTorch state dict"
    if arch is not None:
        found = f"none; its keys are those of {arch.partition(':')[0]}"
        return InputError(name, expected, found, f"give {named('arch', arch)}")
    do = f"give ⟦arch⟧ {', '.join(ARCHITECTURES)} or a mapping file"
    return InputError(name, expected, "none", do)


def _check_not_spiking(keys: Iterable[str], name: str) -> None:
    """Raises InputError for the state dict of a spiking network."""
    for key in keys:
        whose = SPIKING.get(key.rpartition(".")[2])
        if whose is not None:
            found = f"neurons of {whose} ({key})"
            do = "give the ANN that it was made from; one that was trained spiking has none"
            raise InputError(name, "a network that is not yet spiking", found, do)


def _tensor_at(saved: Saved, picked: Chosen, key: str, where: str, left: list[int]) -> NDArray[Any]:
    """The parameter of a key."""
    found = picked.keys.get(key)
    if isinstance(found, Unknown):
        expected = f"a tensor for {key!r}"
        raise InputError(where, expected, found.words, "save a state dict of tensors alone")
    if found is None:
        do = "its keys are " + ", ".join(islice(picked.keys, 5)) + ", …"
        raise InputError(where, "a key of the state dict", repr(key), do)
    return array_of(found, f"{where} ({key})", saved.numbers, saved.order, left)


def _with_made(made: Made, read: native.Read) -> native.Read:
    """The function, which also finds the arrays that a layout makes."""

    def found(path: str, where: str, left: list[int]) -> NDArray[Any]:
        return made.arrays[path] if path in made.arrays else read(path, where, left)

    return found


def _fields(
    graph: dict[str, Any], read: native.Read, name: str, arch: str, note: str
) -> dict[str, Any]:
    """The fields of `Graph` for an object like that of a mapping file."""
    fields = native.topology(graph, read, name)
    fields["nodes"] = tuple(_with_threshold(node, name) for node in fields["nodes"])
    meta = {"arch": Path(arch).stem.partition(":")[0]}
    return fields | {
        "input_shape": tuple(graph["input_shape"]),
        "preprocessing": Preprocessing(known=False),
        "source": name,
        "meta": meta | ({"note": note} if note else {}),
    }


def _mapping(path: str) -> dict[str, Any]:
    """The object in a mapping file."""
    check_file(path)
    if os.path.getsize(path) > native.MAX_JSON:
        raise InputError(
            path, f"at most {native.MAX_JSON:,} bytes of JSON", f"{os.path.getsize(path):,}"
        )
    graph = json_of(Path(path).read_bytes(), path)
    shape = graph.get("input_shape") if isinstance(graph, dict) else None
    if (
        not isinstance(shape, list)
        or len(shape) != 3
        or not all(type(n) is int and 1 <= n <= 2**20 for n in shape)
    ):
        raise InputError(
            f"{path}: input_shape", "three whole numbers C, H, W from 1 to 2^20", short(shape)
        )
    wanted = graph.get("from")
    if wanted is not None and not isinstance(wanted, str):
        raise InputError(f"{path}: from", "the name of a state dict", short(wanted))
    return graph


def _with_threshold(node: Node, name: str) -> Node:
    """An activation with its threshold among the attributes."""
    if not node.is_activation or not node.params:
        return node
    wrong = [role for role, array in node.params.items() if array.size != 1]
    if wrong:
        raise InputError(
            f"{name}: node {node.name!r}: {wrong[0]}",
            "one value",
            f"{node.params[wrong[0]].size:,}",
            "thresholds for each channel have no form here",
        )
    return Node(
        node.name,
        node.op,
        node.inputs,
        node.attrs | {role: float(array.item()) for role, array in node.params.items()},
    )


def _datasets(file: h5py.File) -> dict[str, Stored | Unknown]:
    """Key -> dataset, for a file with keys at its root or in groups; without what wrappers put
    before the keys.
    """
    found = {}
    groups = [(file, "", 0)]
    seen = 0
    while groups:
        group, prefix, depth = groups.pop()
        for name in islice(group, MAX_KEYS + 1 - seen):
            seen += 1
            value, key = child(group, name), prefix + name
            if isinstance(value, h5py.Group) and depth < MAX_DEPTH:
                groups.append((value, f"{key}.", depth + 1))
            elif isinstance(value, h5py.Datatype):
                raise InputError(
                    f"{os.path.basename(file.filename)}: {key}",
                    "a dataset",
                    "a type",
                    "the file is damaged",
                )
            elif isinstance(value, h5py.Dataset) and not key.endswith("num_batches_tracked"):
                found[key] = value
        if seen > MAX_KEYS:
            raise InputError(
                os.path.basename(file.filename),
                f"at most {MAX_KEYS:,} keys and groups",
                "more",
                "groups that hold each other have no end",
            )
    for part in WRAPPERS:
        found = {
            k.removeprefix(f"{part}."): v for k, v in found.items() if k.startswith(f"{part}.")
        } or found
    return stripped(found)
