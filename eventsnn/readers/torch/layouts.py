"""The architectures that have names, and what of them state dicts do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.pickles import Unknown
from eventsnn.readers.torch.layout import EXAMPLE, Layout, has_thresholds
from eventsnn.readers.torch.mobilenets import MobileNetV2
from eventsnn.readers.torch.resnets import BLOCKS, ResNet
from eventsnn.readers.torch.tensors import Stored
from eventsnn.readers.torch.vggs import STAGES, VGG

# name -> (class, options beside L, eps and from)
LAYOUTS: dict[str, tuple[type[Layout], tuple[str, ...]]] = {
    **dict.fromkeys([*STAGES, *(f"{name}_bn" for name in STAGES)], (VGG, ("pool",))),
    **dict.fromkeys(BLOCKS, (ResNet, ("pool", "size"))),
    "mobilenet_v2": (MobileNetV2, ("size",)),
}
ARCHITECTURES = tuple(LAYOUTS)
COMMON = ("L", "eps", "from")
OPTIONS = {
    "L": "the levels of trained thresholds (QCFS: L; LSQ: the largest level)",
    "pool": "average or max, of VGGs; of ResNets none, average or max behind the first convolution",
    "size": "the images' height and width",
    "eps": "BatchNormalization's epsilon, 1e-5 where it is not given",
    "from": "the name of the state dict, where a file of torch.save has several",
}


class Made(NamedTuple):
    """What a layout makes. graph: like the object in a mapping file. arrays: path -> array, of
    parameters that the file does not have. note: what was assumed, or "".
    """

    graph: dict[str, Any]
    arrays: dict[str, NDArray[np.float32]]
    note: str


def made_of(keys: Mapping[str, Stored | Unknown], name: str, arch: str) -> Made:
    """The network of a state dict whose architecture has a name.

    keys: key -> what the file has there. name: the file's, for messages. arch: NAME or
    NAME:OPTION=VALUE,… with names of ARCHITECTURES and options of OPTIONS. Raises InputError for an
    architecture that there is not, and where it does not fit the keys.
    """
    kind, options = _parts(arch)
    allowed = LAYOUTS[kind][1] if kind in LAYOUTS else ()
    if kind not in LAYOUTS or not set(options) <= {*COMMON, *allowed}:
        expected = (
            f"{', '.join(ARCHITECTURES)}, with options L, eps, from, pool (VGGs, ResNets) or size "
            "(ResNets, mobilenet_v2), or a .json file"
        )
        raise InputError("⟦arch⟧", expected, arch, EXAMPLE, limit=600)
    layout = LAYOUTS[kind][0](keys, name, kind, options)
    graph = layout.graph()
    return Made(graph, layout.arrays, "; ".join(layout.notes))


def fitting(keys: Mapping[str, Stored | Unknown], name: str) -> str | None:
    """The first architecture whose keys these are, with the options that it needs, or None.

    keys, name: as for `made_of`. What the file does not tell stays open: L=…, pool=….
    """
    levels = "L=1" if has_thresholds(keys) else ""
    for kind in ARCHITECTURES:
        for pool in "", "pool=max":
            options = ",".join(filter(None, (levels, pool)))
            with suppress(InputError):
                made_of(keys, name, f"{kind}:{options}")
                return f"{kind}:{options}".rstrip(":").replace("L=1", "L=…").replace("max", "…")
    return None


def from_of(arch: str) -> str | None:
    """The option `from` of an architecture, or None. arch: as for `made_of`."""
    return _parts(arch)[1].get("from")


def _parts(arch: str) -> tuple[str, dict[str, str]]:
    """The name and the options of an architecture."""
    kind, _, text = arch.partition(":")
    parts = [part.partition("=")[::2] for part in text.split(",") if part]
    options = {option: value for option, value in parts}
    if len(options) < len(parts):
        raise InputError("⟦arch⟧", "each option once", arch, EXAMPLE)
    return kind, options
