"""A network begun with the weights of another one of its architecture."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from eventsnn.ann.forward import forward
from eventsnn.ann.node import Node
from eventsnn.exceptions import InputError
from eventsnn.readers import load
from eventsnn.train.activations import (
    Clipping,
    Qcfs,
    QRelu,
    RateNorm,
    ShiftedRelu,
    SlipRelu,
)
from eventsnn.train.sets import Sets

# role of a parameter in the graph -> name in the module, by operator
ROLES = {
    "Conv": {"W": "weight", "B": "bias"},
    "Gemm": {"B": "weight", "C": "bias"},
    "BatchNormalization": {
        "scale": "weight",
        "B": "bias",
        "input_mean": "running_mean",
        "input_var": "running_var",
    },
}
# those whose thresholds begin with another network's
BEGUN = (Clipping, Qcfs, QRelu, SlipRelu, ShiftedRelu)
PERCENTILE = 99.9
CALIBRATION = 128  # training images


def begun_with(module: Any, path: str, sets: Sets) -> tuple[Sets, str]:
    """Copies a checkpoint's weights into a module.

    Returns the images with the checkpoint's preprocessing, and a line about it.

    Weights go from the graph's nodes with parameters to the module's parts with parameters, in
    order. A threshold begins with the other network's own, or with the 99.9th percentile of its
    activations on the first 128 training images. module: is changed. path: of the checkpoint.
    sets: the images. Raises InputError where the two networks are not of one architecture.
    """
    graph = load(path)
    nodes = [node for node in graph.nodes if node.op in ROLES and not _is_shift(node)]
    parts = _parts(module)
    do = "give a network.h5 of the same architecture, width and classes"
    if len(nodes) != len(parts):
        found = f"one with {len(nodes)}"
        raise InputError(path, f"a network with {len(parts)} layers of weights", found, do)
    for node, (name, part) in zip(nodes, parts):
        own = dict(part.named_parameters()) | dict(part.named_buffers())
        for role, key in ROLES[node.op].items():
            value = node.params.get(role)
            target = own.get(key)
            if (value is None) != (target is None):
                raise InputError(f"{path}: {node.name}", f"weights as {name} has", role, do)
            if value is None or target is None:
                continue
            if tuple(value.shape) != tuple(target.shape):
                expected = f"{list(target.shape)}, as {name} has"
                raise InputError(f"{path}: {node.name}", expected, list(value.shape), do)
            with torch.no_grad():
                target.copy_(torch.from_numpy(value.copy()))
    sets = replace(sets, preprocessing=graph.preprocessing)
    count = _thresholds(module, graph, sets)
    words = f", {count} thresholds from its activations" if count else ""
    return sets, f"begun with {path}{words}"


def _is_shift(node: Node) -> bool:
    """Whether a node adds a number and no more, as RTS's shift does in a graph."""
    if node.op != "BatchNormalization" or node.attrs.get("epsilon") != 0:
        return False
    alone = {"scale": 1, "input_mean": 0, "input_var": 1}
    return all((node.params[role] == value).all() for role, value in alone.items())


def _parts(module: Any) -> list[tuple[str, Any]]:
    """(name, part) of the module's convolutions, dense layers and normalisations, as it runs."""
    kinds = (torch.nn.Conv2d, torch.nn.Linear, torch.nn.BatchNorm2d)
    traced = _Tracer().trace(module)
    parts = dict(module.named_modules())
    names = [node.target for node in traced.nodes if node.op == "call_module"]
    return [(name, parts[name]) for name in names if isinstance(parts[name], kinds)]


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
        own = hasattr(m, "spiking_operator") or isinstance(m, RateNorm)
        return own or super().is_leaf_module(m, module_qualified_name)


def _thresholds(module: Any, graph: Any, sets: Sets) -> int:
    """Sets the first thresholds of a module; returns how many."""
    begun = [m for m in module.modules() if isinstance(m, BEGUN)]
    nodes = graph.activations
    if not begun or len(nodes) != len(begun):
        return 0
    pixels = sets.train[:CALIBRATION].numpy()
    names = [node.name for node in nodes]
    values = forward(graph, graph.preprocessing(pixels), keep=names)
    for part, node in zip(begun, nodes):
        own = node.attrs.get("lambda") or node.attrs.get("scale", 0) * node.attrs.get("levels", 0)
        active = values[node.name][values[node.name] > 0]
        found = own or (float(np.percentile(active, PERCENTILE)) if active.size else 0.0)
        if not found > 0 or not math.isfinite(found):
            continue
        with torch.no_grad():
            if isinstance(part, QRelu):
                part.scale.fill_(found / part.levels)
                part.begun.fill_(True)
            else:
                part.threshold.fill_(found)
    return len(begun)
