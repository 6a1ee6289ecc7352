"""A teacher: a network of any kind that eventsnn reads, computed by torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from eventsnn.ann.graph import Graph, Node
from eventsnn.ann.operators import IDENTITIES
from eventsnn.ann.windows import spatial_pads, window_of
from eventsnn.exceptions import InputError
from eventsnn.readers import load
from eventsnn.train.sets import Sets


class Teacher:
    """Gives soft labels: the probabilities of the classes, of raw pixels.

    path: of a network that `eventsnn.load` reads. sets: the images. Raises InputError where the two
    do not fit, and for operators that a teacher cannot have.
    """

    def __init__(self, path: str, sets: Sets, device: Any) -> None:
        self.graph: Graph = load(path)
        expected = tuple(sets.train.shape[1:])
        where = f"⟦teacher⟧ {path}"
        if self.graph.input_shape != expected:
            raise InputError(where, f"a network for {list(expected)}", list(self.graph.input_shape))
        outputs = self.graph.shapes[self.graph.output]
        if outputs != (sets.count,):
            raise InputError(where, f"an output of {sets.count} classes", list(outputs))
        known = {*OPERATIONS, *IDENTITIES}
        for node in self.graph.nodes:
            dilated = node.op == "AveragePool" and {*node.attrs.get("dilations", [1])} != {1}
            whole = node.op in known and not node.attrs.get("minima") and not dilated
            if not whole and not node.is_activation:
                raise InputError(where, f"operators among {', '.join(OPERATIONS)}", node.op)
        self.sets = Sets(**{**vars(sets), "preprocessing": self.graph.preprocessing})
        self.device = device
        self.params = {
            node.name: {
                role: torch.from_numpy(array.astype("float32")).to(device)
                for role, array in node.params.items()
            }
            for node in self.graph.nodes
        }

    @torch.no_grad()
    def __call__(self, pixels: Any) -> Any:
        """Probabilities [N, classes]. pixels: raw [N, C, H, W]."""
        values = {self.graph.input: self.sets.prepared(pixels).to(self.device)}
        for node in self.graph.nodes:
            inputs = [values[name] for name in node.inputs]
            values[node.name] = self._apply(node, inputs)
        out = values[self.graph.output]
        return out if self.graph.by_name[self.graph.output].op == "Softmax" else out.softmax(1)

    def _apply(self, node: Node, inputs: Sequence[Any]) -> Any:
        if node.op in IDENTITIES:
            return inputs[0]
        if node.is_activation:
            return _activation(node, inputs[0])
        return OPERATIONS[node.op](node, self.params[node.name], *inputs)


def _activation(node: Node, y: Any) -> Any:
    attrs = node.attrs
    highest = attrs.get("lambda", attrs.get("max"))
    if node.op == "QuantRelu":
        scale = float(attrs["scale"])
        return scale * torch.floor(y / scale + 0.5).clamp(0, attrs["levels"])
    if node.op in ("QCFS", "SlipRelu"):
        levels = attrs.get("levels", attrs.get("step_levels"))
        steps = highest * (torch.floor(y * levels / highest + 0.5).clamp(0, levels) / levels)
        slope = float(attrs.get("slope", 0))
        return slope * y.clamp(0, highest) + (1 - slope) * steps
    return y.clamp(min=0) if highest is None else y.clamp(0, float(highest))


def _padded(pads: tuple[int, int, int, int], x: Any, value: float = 0.0) -> Any:
    top, left, bottom, right = pads
    return functional.pad(x, (left, right, top, bottom), value=value)


def _conv(node: Node, params: dict[str, Any], x: Any) -> Any:
    window = window_of(node, tuple(x.shape[1:]))
    group = node.attrs.get("group", 1)
    x = _padded(window.pads, x)
    return functional.conv2d(
        x, params["W"], params.get("B"), window.strides, 0, window.dilations, group
    )


def _gemm(node: Node, params: dict[str, Any], x: Any) -> Any:
    weight = params["B"] if node.attrs.get("transB", 0) else params["B"].T
    return functional.linear(x, weight, params.get("C"))


def _norm(node: Node, params: dict[str, Any], x: Any) -> Any:
    mean, var = params["input_mean"], params["input_var"]
    eps = float(node.attrs.get("epsilon", 1e-5))
    return functional.batch_norm(x, mean, var, params["scale"], params["B"], False, 0.0, eps)


def _average(node: Node, params: dict[str, Any], x: Any) -> Any:
    window = window_of(node, tuple(x.shape[1:]))
    ones = torch.ones_like(x[:1, :1])
    total, share = (
        functional.avg_pool2d(_padded(window.pads, values), window.kernel, window.strides)
        for values in (x, ones)
    )
    return total if node.attrs.get("count_include_pad", 0) else total / share


def _maximum(node: Node, params: dict[str, Any], x: Any) -> Any:
    window = window_of(node, tuple(x.shape[1:]))
    x = _padded(window.pads, x, -torch.inf)
    return functional.max_pool2d(x, window.kernel, window.strides, 0, window.dilations)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "BatchNormalization": _norm,
    "AveragePool": _average,
    "MaxPool": _maximum,
    "GlobalAveragePool": lambda node, params, x: x.mean((2, 3), keepdim=True),
    "Flatten": lambda node, params, x: x.flatten(1),
    "Add": lambda node, params, *inputs: sum(inputs),
    "Concat": lambda node, params, *inputs: torch.cat(inputs, 1),
    "Pad": lambda node, params, x: _padded(spatial_pads(node), x),
    "Softmax": lambda node, params, x: x.softmax(1),
}
