"""Which array of a Keras file belongs to which layer.

Names in files differ from version to version; the order does not. Keras 2 and Keras 3's .h5 have a
group for each layer of the outermost model, whose attribute `weight_names` lists its arrays. A
model within it is one such layer: first everything in it that is trained, then the rest. Keras 3's
.weights.h5 has a group for each layer, named after its class and place.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import (
    MAX_ARRAYS,
    attribute,
    check_storage,
    child,
    read_array,
    text_of,
    texts,
)
from eventsnn.readers.keras import quantised
from eventsnn.readers.keras.config import Layer, policy_of

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
KERNELS |= {kind.replace("2D", "1D"): roles for kind, roles in KERNELS.items() if "2D" in kind}
KERNELS |= {kind: KERNELS[own] for kind, own in quantised.KINDS.items() if own in KERNELS}
QUANTISED = ("Dense",)  # what Keras can quantise to int8, of what can be read here
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
    "kernel_scale",
    "alpha",
)
# (path of a layer, role of one of its arrays)
Place = tuple[str, str]
# (name in the file, what stands there)
Stored = tuple[str, Any]


class Weights:
    """The arrays of a file by layer.

    group: the file, or the group with the weights. model: the outermost model.

    Attributes: name: the file's, for messages. places: (path of a layer, role) -> dataset. left:
    one number, the bytes of parameters that may still be read. Raises InputError where a file has
    other arrays than the model.
    """

    def __init__(self, group: h5py.Group, model: Layer) -> None:
        self.name = os.path.basename(group.file.filename)
        self.left = [MAX_ARRAYS]
        self.places: dict[Place, h5py.Dataset] = {}
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            self._match_groups(group, model)
        else:
            self._match_vars(group, model)

    def __repr__(self) -> str:
        return f"<Weights of {self.name}: {len(self.places)} arrays>"

    def read(self, layer: Layer) -> dict[str, NDArray[Any]]:
        """Role -> array of a layer's weights, float32 or float64; counters are left out.

        layer: one of the model. A kernel of int8 is divided by its scale. Raises InputError for
        what is no array of floats.
        """
        roles = [role for role in (*_trained(layer), *_other(layer)) if role != "count"]
        arrays = {role: self._read(layer, role) for role in roles}
        scale = arrays.pop("kernel_scale", None)
        if scale is not None:
            if scale.shape != arrays["kernel"].shape[-1:]:
                where = f"{self.name}: kernel_scale of layer {layer.path!r}"
                raise InputError(where, "one scale for each unit", list(scale.shape))
            with np.errstate(all="ignore"):  # the graph refuses what is not finite
                kernel = arrays["kernel"].astype(np.float64) / scale
            arrays["kernel"] = kernel.astype(np.float32)
        if layer.kind in quantised.KINDS:
            where = f"{self.name}: layer {layer.path!r}"
            arrays = quantised.quantised(layer.config, arrays, where)
        return arrays

    def _read(self, layer: Layer, role: str) -> NDArray[Any]:
        """One of a layer's arrays; bfloat16, which HDF5 lacks, and int8 become float32."""
        dataset = self.places[layer.path, role]
        where = f"{self.name}: {role} of layer {layer.path!r}"
        dtype = dataset.dtype
        opaque = dtype.kind == "V" and dtype.names is None and dtype.itemsize == 2
        said = text_of(attribute(dataset, "dtype")) or policy_of(layer)
        if opaque and "bfloat16" in said:
            stored = self._stored(dataset, where)
            bits = np.frombuffer(stored.tobytes(), "<u2").astype(np.uint32) << 16
            return bits.view(np.float32).reshape(stored.shape)
        if role == "kernel" and dtype == np.int8 and is_quantised(layer):
            return self._stored(dataset, where).astype(np.float32)
        return read_array(dataset, where, self.left)

    def _stored(self, dataset: h5py.Dataset, where: str) -> NDArray[Any]:
        """An array as it is stored, of a type that becomes float32."""
        check_storage(dataset, where)
        self.left[0] -= 4 * math.prod(dataset.shape)
        if self.left[0] < 0:
            raise InputError(where, f"at most {MAX_ARRAYS:,} bytes of parameters", "more")
        return np.asarray(dataset[()])

    def _match_groups(self, group: h5py.Group, model: Layer) -> None:
        """Finds the arrays where `layer_names` lists a group for each layer."""
        listed = [(name, _datasets(group, name)) for name in texts(group, "layer_names")]
        stored = [(name, datasets) for name, datasets in listed if datasets]
        orders = [(layer, _order(layer)) for layer in model.inner]
        wanted = [(layer, places) for layer, places in orders if places]
        if len(stored) != len(wanted):
            layers = _listed([layer.name for layer, _ in wanted])
            expected = f"the weights of {len(wanted)} layers, {layers}"
            found = f"of {len(stored)}, {_listed([name for name, _ in stored])}"
            raise InputError(self.name, expected, found, OTHER_NETWORK)
        for (name, datasets), (layer, places) in zip(stored, wanted):
            self._assign(layer, places, datasets, name)

    def _match_vars(self, group: h5py.Group, model: Layer) -> None:
        """Finds the arrays where each layer has a group named after its class and place."""
        groups = [child(group, name) for name in LAYER_GROUPS]
        inner = next((found for found in groups if isinstance(found, h5py.Group)), None)
        seen: dict[str, int] = {}
        for layer in model.inner:
            kind = snake_case(layer.kind if layer.kind != "Model" else "Functional")
            number = seen.get(kind, -1) + 1
            seen[kind] = number
            place = None if inner is None else child(inner, f"{kind}_{number}" if number else kind)
            if layer.inner and isinstance(place, h5py.Group):
                self._match_vars(place, layer)
            elif places := _order(layer):
                if is_quantised(layer):
                    kernel, scale = ((layer.path, role) for role in ("kernel", "kernel_scale"))
                    places = [kernel, *(p for p in places if p not in (kernel, scale)), scale]
                found = getattr(place, "name", "nothing of it")
                self._assign(layer, places, _variables(place), found)

    def _assign(
        self, layer: Layer, places: Sequence[Place], datasets: Sequence[Stored], found: str
    ) -> None:
        """Gives a layer its arrays, in order; found: where they stand, for the message."""
        where = f"{self.name}: layer {layer.path!r}"
        if len(datasets) != len(places):
            expected = f"{len(places)} arrays ({_listed([role for _, role in places])})"
            raise InputError(where, expected, f"{len(datasets)} ({found})", OTHER_NETWORK)
        for (path, role), (name, dataset) in zip(places, datasets):
            if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
                raise InputError(where, f"an array for {role}", "none", "the file is damaged")
            said = re.sub(r"(_\d+)?(:\d+)?$", "", name.split("/")[-1])
            if said in ROLES and not role.endswith(said):
                raise InputError(where, role, name, OTHER_NETWORK)
            self.places[path, role] = dataset


def snake_case(name: str) -> str:
    """The name of a class as Keras writes it in .weights.h5: separable_conv2d of SeparableConv2D.

    name: the class's.
    """
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()


def is_quantised(layer: Layer) -> bool:
    """Whether a layer's kernel is of int8, with a scale for each unit.

    layer: any.
    """
    return layer.kind in QUANTISED and policy_of(layer) == "int8"


def _trained(layer: Layer) -> list[str]:
    """The roles of a layer's own weights that training changes, in order."""
    config = layer.config
    if layer.kind in NORMS:
        keys = (("gamma", "scale"), ("beta", "center"))
        return [role for role, key in keys if config.get(key) is not False]
    if layer.kind == "PReLU":
        return ["alpha"]
    if layer.kind not in KERNELS:
        return []
    bias = [] if config.get("use_bias") is False else ["bias"]
    return bias if is_quantised(layer) else [*KERNELS[layer.kind], *bias]


def _other(layer: Layer) -> list[str]:
    """The roles of a layer's own weights that training does not change, in order."""
    if layer.kind == "Normalization" and layer.config.get("mean") is None:
        return ["mean", "variance", "count"]
    if is_quantised(layer):
        return ["kernel", "kernel_scale"]
    return ["moving_mean", "moving_variance"] if layer.kind in NORMS else []


def _order(layer: Layer) -> list[Place]:
    """The places of everything in a layer or model, in the order of its `weight_names`."""
    return _trainable(layer) + _not_trainable(layer)


def _trainable(layer: Layer) -> list[Place]:
    if not layer.trainable:
        return []
    inner = [place for member in layer.inner for place in _trainable(member)]
    return [(layer.path, role) for role in _trained(layer)] + inner


def _not_trainable(layer: Layer) -> list[Place]:
    frozen: list[Place] = []
    if not layer.trainable:
        frozen += [(layer.path, role) for role in _trained(layer)]
        frozen += [place for member in layer.inner for place in _trainable(member)]
    inner = [place for member in layer.inner for place in _not_trainable(member)]
    return frozen + [(layer.path, role) for role in _other(layer)] + inner


def _datasets(group: h5py.Group, name: str) -> list[Stored]:
    """What a layer's group holds, as its `weight_names` lists it."""
    layer = _below(group, name)
    if not isinstance(layer, h5py.Group):
        where = os.path.basename(group.file.filename)
        expected = f"a group for each of layer_names, also {name!r}"
        raise InputError(where, expected, "none", "the file is damaged")
    return [(path, _below(layer, path)) for path in texts(layer, "weight_names")]


def _variables(place: Any) -> list[Stored]:
    """What a layer's group has below `vars`, in order and without names."""
    variables = child(place, "vars") if isinstance(place, h5py.Group) else None
    if not isinstance(variables, h5py.Group):
        return []
    return [("", child(variables, name)) for name in sorted(variables, key=_as_number)]


def _below(group: h5py.Group, path: str) -> Any:
    """What lies at a path of hard links below a group, or None."""
    found: Any = group
    for step in path.split("/"):
        good = step.strip(".") and isinstance(found, h5py.Group)
        found = child(found, step) if good else None
    return found


def _as_number(name: str) -> tuple[int, int]:
    """A key that sorts numbers first, by their size."""
    return (0, int(name)) if name.isdecimal() and name.isascii() and len(name) < 10 else (1, 0)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
