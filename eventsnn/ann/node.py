"""A node of the graph: one operator with its attributes and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked_fields

ACTIVATIONS = ("Relu", "Clip", "ClippedRelu", "QCFS", "QuantRelu", "SlipRelu")
IDENTITIES = ("Identity", "Dropout")


@checked_fields
@dataclass(frozen=True)
class Node:
    """One operator and its only output.

    name: of the node and of its output. op: a name among `operators.OPERATORS`. inputs: names of
    nodes or of the graph's input. attrs: ONNX's attribute -> number, text or list. params: role as
    in ONNX ("W", "scale" and so on) -> array of floats.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def is_activation(self) -> bool:
        """Whether spiking neurons take this node's place."""
        return self.op in ACTIVATIONS

    def __repr__(self) -> str:
        parts = [f"{self.op} of {', '.join(self.inputs) or 'nothing'}"]
        if self.attrs:
            parts.append(_listed({key: short(value) for key, value in self.attrs.items()}))
        if self.params:
            shapes = {role: np.shape(array) for role, array in self.params.items()}
            parts.append(_listed({role: str(list(shape)) for role, shape in shapes.items()}))
        return f"<Node {self.name}: {'; '.join(parts)}>"


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
