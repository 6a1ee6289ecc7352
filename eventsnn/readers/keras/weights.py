"""Which array of a Keras file belongs to which layer. Names in files differ from version to
version; the order does not.

Keras 2 and Keras 3's .h5 have a group for each layer of the outermost model, whose attribute
`weight_names` lists its arrays. A model within it is one such layer: first everything in it that is
trained, then the rest. Keras 3's .weights.h5 has a group for each layer, named after its class and
place.
"""

from __future__ import annotations

import os
import re
from typing import Any

import h5py
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import MAX_ARRAYS, child, read_array, texts
from eventsnn.readers.keras.config import Layer

NORMS = (
    "BatchNormalization",
    "BatchNormalizationV1",
    "BatchNormalizationV2",
    "SyncBatchNormalization",
)
KERNELS = {
    "Conv2D": ("kernel",),
    "Dense": ("kernel",),
    "DepthwiseConv2D": ("depthwise_kernel",),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel"),
}


class Weights:
    """The arrays of a file by layer: `read(layer)` gives role -> float array. Raises InputError
    where a file has others.
    """

    def __init__(self, group: h5py.File | h5py.Group, model: Layer) -> None:
        self.name, self.left = os.path.basename(group.file.filename), [MAX_ARRAYS]
        self.places: dict[tuple[str, str], Any] = {}
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            self._match_groups(group, model)
        else:
            self._match_vars(group, model)

    def read(self, layer: Layer) -> dict[str, NDArray[Any]]:
        """Role -> array of a layer's weights, but for counters."""
        return {
            role: read_array(
                self.places[layer.path, role],
                f"{self.name}: {role} of layer {layer.path!r}",
                self.left,
            )
            for role in (*_trained(layer), *_other(layer))
            if role != "count"
        }

    def _match_groups(self, group: h5py.File | h5py.Group, model: Layer) -> None:
        stored = [(name, _datasets(group, name)) for name in texts(group, "layer_names")]
        stored = [(name, datasets) for name, datasets in stored if datasets]
        wanted = [(layer, _order(layer)) for layer in model.inner]
        wanted = [(layer, places) for layer, places in wanted if places]
        if len(stored) != len(wanted):
            raise InputError(
                self.name,
                f"the weights of {len(wanted)} layers, {_listed([x.name for x, _ in wanted])}",
                f"of {len(stored)}, {_listed([n for n, _ in stored])}",
                OTHER_NETWORK,
            )
        for (name, datasets), (layer, places) in zip(stored, wanted):
            self._assign(layer, places, datasets, name)

    def _match_vars(self, group: h5py.File | h5py.Group, model: Layer) -> None:
        groups = [child(group, name) for name in LAYER_GROUPS]
        inner = next((found for found in groups if isinstance(found, h5py.Group)), None)
        seen: dict[str, int] = {}
        for layer in model.inner:
            kind = snake_case(layer.kind if layer.kind != "Model" else "Functional")
            number = seen[kind] = seen.get(kind, -1) + 1
            name = kind if not number else f"{kind}_{number}"
            place = None if inner is None else child(inner, name)
            if layer.inner and isinstance(place, h5py.Group):
                self._match_vars(place, layer)
            elif places := _order(layer):
                variables = child(place, "vars") if isinstance(place, h5py.Group) else None
                arrays = (
                    [child(variables, n) for n in sorted(variables, key=_as_number)]
                    if isinstance(variables, h5py.Group)
                    else []
                )
                self._assign(
                    layer,
                    places,
                    [("", a) for a in arrays],
                    getattr(place, "name", "nothing of it"),
                )

    def _assign(
        self, layer: Layer, places: list[tuple[str, str]], datasets: list[Any], found: str
    ) -> None:
        where = f"{self.name}: layer {layer.path!r}"
        if len(datasets) != len(places):
            raise InputError(
                where,
                f"{len(places)} arrays ({_listed([role for _, role in places])})",
                f"{len(datasets)} ({found})",
                OTHER_NETWORK,
            )
        for (path, role), (name, dataset) in zip(places, datasets):
            if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
                raise InputError(where, f"an array for {role}", "none", "the file is damaged")
            said = re.sub(r"(_\d+)?(:\d+)?$", "", name.split("/")[-1])
            if said in ROLES and not role.endswith(said):
                raise InputError(where, role, name, OTHER_NETWORK)
            self.places[path, role] = dataset


OTHER_NETWORK = "give the architecture that the weights were made with"
LAYER_GROUPS = ("layers", "_layer_checkpoint_dependencies")  # of Keras 3, of 2.12
ROLES = (
    "kernel",
    "bias",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "depthwise_kernel",
    "pointwise_kernel",
)


def snake_case(name: str) -> str:
    """The name of a class as Keras writes it in .weights.h5: separable_conv2d for
    SeparableConv2D.
    """
    return re.sub(
        "([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    ).lower()


def _trained(layer: Layer) -> list[Any]:
    """The roles of a layer's own weights that training changes, in order."""
    if layer.kind in NORMS:
        return [
            role
            for role, key in (("gamma", "scale"), ("beta", "center"))
            if layer.config.get(key) is not False
        ]
    if layer.kind in KERNELS:
        return [*KERNELS[layer.kind], *["bias"] * (layer.config.get("use_bias") is not False)]
    return []


def _other(layer: Layer) -> list[Any]:
    if layer.kind == "Normalization" and layer.config.get("mean") is None:
        return ["mean", "variance", "count"]
    return ["moving_mean", "moving_variance"] if layer.kind in NORMS else []


def _order(layer: Layer) -> list[Any]:
    """[(path, role)] of everything in a layer or model, in the order of its `weight_names`:
    trainable weights first.
    """
    return _trainable(layer) + _not_trainable(layer)


def _trainable(layer: Layer) -> list[Any]:
    if not layer.trainable:
        return []
    return [(layer.path, role) for role in _trained(layer)] + [
        place for inner in layer.inner for place in _trainable(inner)
    ]


def _not_trainable(layer: Layer) -> list[Any]:
    frozen = [] if layer.trainable else [(layer.path, role) for role in _trained(layer)]
    if not layer.trainable:
        frozen += [place for inner in layer.inner for place in _trainable(inner)]
    return (
        frozen
        + [(layer.path, role) for role in _other(layer)]
        + [p for inner in layer.inner for p in _not_trainable(inner)]
    )


def _datasets(group: h5py.File | h5py.Group, name: str) -> list[Any]:
    """[(name, dataset)] of a layer's group, as its `weight_names` lists them."""
    layer = _below(group, name)
    if not isinstance(layer, h5py.Group):
        raise InputError(
            os.path.basename(group.file.filename),
            f"a group for each of layer_names, also {name!r}",
            "none",
            "the file is damaged",
        )
    return [(path, _below(layer, path)) for path in texts(layer, "weight_names")]


def _below(group: h5py.File | h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """What lies at a path of hard links below a group, or None."""
    for step in path.split("/"):
        group = child(group, step) if step.strip(".") and isinstance(group, h5py.Group) else None
    return group


def _as_number(name: str) -> tuple[int, int]:
    return (0, int(name)) if name.isdecimal() and name.isascii() and len(name) < 10 else (1, 0)


def _listed(names: list[Any]) -> str:
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
