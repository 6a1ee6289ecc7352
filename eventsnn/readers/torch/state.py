"""PyTorch state dicts in HDF5, one dataset a key.

They hold parameters only: the architecture comes by name, or in a mapping file.

    import h5py
    with h5py.File("resnet20.h5", "w") as file:
        for key, value in torch.load("resnet20.pth", map_location="cpu", weights_only=True).items():
            file[key] = value.numpy()

Names are those of the repositories of QCFS, SRP, COS and GN (vgg16, resnet18, resnet20, resnet34)
and DNISNM (vgg16).
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from reprlib import repr as short
from typing import Any

import h5py

from eventsnn.ann.graph import Node, Preprocessing
from eventsnn.exceptions import InputError
from eventsnn.files.reading import check_file, child, json_of
from eventsnn.readers import native
from eventsnn.readers.torch.layouts import ARCHITECTURES, Layout

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
    file. Names are vgg16, resnet18, resnet20, resnet34. Options: L, the levels of trained
    thresholds (QCFS: L; LSQ: the largest level), which the file does not tell; pool, average or
    max, for vgg16; size, the images' height and width, for ResNets (default 32). A mapping file
    (.json) is an object like a checkpoint's /graph, with input_shape beside input, output and
    nodes; its parameters are paths of datasets in the file, and an activation may have its lambda
    or scale among them. Raises InputError without an architecture, and where it does not fit the
    file.
    """
    if arch is None:
        do = f"give ⟦arch⟧ {', '.join(ARCHITECTURES)} or a mapping file"
        raise InputError(name, "the architecture of this PyTorch state dict", "none", do)
    if arch.endswith(".json"):
        graph = _mapping(arch)
    else:
        graph = Layout(_datasets(file), name, arch).graph()
    fields = native.topology(graph, file, name)
    fields["nodes"] = tuple(_with_threshold(node, name) for node in fields["nodes"])
    return fields | {
        "input_shape": tuple(graph["input_shape"]),
        "preprocessing": Preprocessing(known=False),
        "source": name,
        "meta": {"arch": Path(arch).stem.partition(":")[0]},
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


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
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
    while (
        found
        and len({key.partition(".")[0] for key in found}) == 1
        and all("." in key for key in found)
    ):
        found = {key.partition(".")[2]: value for key, value in found.items()}
    return found
