"""ONNX models: one file, opset 9 and later, read operator by operator with the onnx package.

The model is never executed. What depends on constants and shapes only, as exporters leave it behind
(Shape, Gather, Concat in front of a Reshape), is computed here; the batch counts as 1.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import MAX_NODES, Graph, Preprocessing
from eventsnn.exceptions import InputError
from eventsnn.files.reading import FAILURES, MAX_ARRAY, text_of, told
from eventsnn.readers.building import Builder, Output
from eventsnn.readers.onnx.operators import JOINING, OPERATORS

LEAST_OPSET = 9
MAX_CONSTANTS = 2**28  # values computed from constants, altogether
BROADCAST = ("Add", "Sub", "Mul", "Div", "Equal", "Where")
FOLDED = (
    *BROADCAST,
    "Cast",
    "Ceil",
    "Concat",
    "ConstantOfShape",
    "Floor",
    "Gather",
    "Identity",
    "Neg",
    "ReduceProd",
    "Reshape",
    "Slice",
    "Sqrt",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)


def read_onnx(path: Path | str) -> Graph:
    """The network in an ONNX file. Pixels come as they are: ONNX knows no preprocessing. Raises
    InputError.
    """
    try:
        import onnx
        import onnx.reference
    except ImportError:
        raise InputError(
            path,
            "the package onnx, to read an ONNX model",
            "none",
            "install it: pip install eventsnn[onnx]",
        ) from None
    size = os.path.getsize(path)
    if size > MAX_ARRAY:
        raise InputError(path, f"an ONNX model of at most {MAX_ARRAY:,} bytes", f"{size:,}")
    try:
        model = onnx.load_model_from_string(Path(path).read_bytes())
    except Exception as error:  # protobuf's own kinds of error differ by its version
        raise InputError(
            path,
            "a whole ONNX model",
            f"a file that cannot be read ({told(error)})",
            "copy or export it again",
        ) from error
    try:
        with np.errstate(
            all="ignore"
        ):  # constants divided by 0; the graph refuses what is not finite
            return _Reader(onnx, model, Path(path).name).read()
    except InputError:
        raise
    except FAILURES as error:
        raise InputError(
            path, "a sound ONNX model", told(error), "the file is damaged: export it again"
        ) from error


class _Reader:
    """Goes through a model. `values`: name -> an `Output` of the graph, an array, or an initializer
    not yet read.
    """

    def __init__(self, onnx: Any, model: Any, name: Any) -> None:
        self.onnx = onnx
        self.proto = model.graph
        self.name = name
        self.left = MAX_CONSTANTS
        self.opsets = {entry.domain or "": entry.version for entry in model.opset_import}
        self.opset = self.opsets.get("", self.opsets.get("ai.onnx", 0))
        self.values = {tensor.name: tensor for tensor in self.proto.initializer}
        nodes = self.proto.node
        if not nodes or self.opset < LEAST_OPSET:
            raise InputError(
                name,
                f"an ONNX model of opset {LEAST_OPSET} or later",
                f"opset {self.opset}, {len(nodes):,} nodes",
                "export it again, with a later opset_version",
            )
        if len(nodes) > 10 * MAX_NODES or self.proto.sparse_initializer:
            raise InputError(
                name,
                f"at most {10 * MAX_NODES:,} nodes and dense initializers",
                f"{len(nodes):,} nodes, {len(self.proto.sparse_initializer)} sparse initializers",
            )
        inputs = [value for value in self.proto.input if value.name not in self.values]
        if len(inputs) != 1 or len(self.proto.output) != 1:
            raise InputError(
                name,
                "one input and one output",
                f"inputs {[v.name for v in inputs]}, outputs {[v.name for v in self.proto.output]}",
                "export the classifier alone",
            )
        self.builder = Builder(name, inputs[0].name, self._image_shape(inputs[0]))
        self.values[inputs[0].name] = Output(inputs[0].name)
        self.uses = Counter(_short(i) for node in nodes for i in node.input)
        self.uses.update(_short(value.name) for value in self.proto.output)

    def _image_shape(self, value: Any) -> tuple[int, int, int]:
        """(C, H, W) of the input; the batch axis may have any size or name."""
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        kind = value.type.tensor_type.elem_type
        if kind not in (
            self.onnx.TensorProto.FLOAT,
            self.onnx.TensorProto.FLOAT16,
            self.onnx.TensorProto.DOUBLE,
        ):
            raise InputError(
                f"{self.name}: input {value.name!r}",
                "an input of floats",
                f"type {kind}",
                "export it without preprocessing",
            )
        if len(dims) != 4 or not all(1 <= n <= 2**20 for n in dims[1:]):
            raise InputError(
                f"{self.name}: input {value.name!r}",
                "a shape N, C, H, W with fixed C, H and W",
                dims,
                "export it with a fixed image size",
            )
        self.batch = dims[0]
        return tuple(dims[1:])

    def read(self) -> Graph:
        """The Graph."""
        for node in self.proto.node:
            where = f"{self.name}: node {node.name or ''.join(node.output[:1])!r} ({node.op_type})"
            if (
                not node.output
                or not text_of(node.output[0])
                or any(output in self.values for output in node.output)
            ):
                raise InputError(
                    where,
                    "outputs of its own",
                    list(node.output),
                    "the file is damaged: export it again",
                )
            missing = [i for i in node.input if i and i not in self.values]
            if missing:
                raise InputError(
                    where,
                    "inputs that come before it",
                    repr(missing[0]),
                    "the file is damaged: export it again",
                )
            self.values[node.output[0]] = self._make(node, where)
            for extra in node.output[1:]:
                if self.uses[_short(extra)]:
                    self.values[extra] = self.builder.refuse(
                        extra, node.op_type, "more than its first output is used"
                    )
        result = self.values.get(self.proto.output[0].name)
        if not isinstance(result, Output):
            raise InputError(
                self.name, "an output that depends on the input", repr(self.proto.output[0].name)
            )
        return self.builder.graph(str(result), preprocessing=Preprocessing(known=False))

    def _make(self, node: Any, where: str) -> Output | NDArray[Any]:
        """What a node computes: an `Output`, or an array if it depends on constants and shapes
        only.
        """
        name = _short(node.output[0])
        op = node.op_type
        b = self.builder
        inputs = [self._value(i, where) if i else None for i in node.input]
        outputs = [value for value in inputs if isinstance(value, Output)]
        if node.domain not in ("", "ai.onnx"):
            return b.refuse(name, op, f"an operator of the domain {node.domain}")
        try:
            attrs = {attr.name: self._attribute(attr, where) for attr in node.attribute}
            if op == "Constant":
                if len(attrs) != 1:
                    raise InputError(
                        where, "one value", f"{len(attrs)}", "the file is damaged: export it again"
                    )
                (value,) = attrs.values()
                return np.asarray(value)
            if not outputs and op in FOLDED:
                return self._fold(node, inputs, where)
            if op not in OPERATORS:
                return b.refuse(name, op, "nothing here computes it")
            if op not in JOINING and (len(outputs) > 1 or not isinstance(inputs[0], Output)):
                return b.refuse(
                    name, op, "its first input, and no other, has to depend on the image"
                )
            if any(b.shapes[output] is None for output in outputs):
                return b.unknown(name)
            return OPERATORS[op](self, name, attrs, *inputs)
        except InputError:
            raise
        except FAILURES as error:
            return b.refuse(name, op, told(error))

    def _value(self, name: str, where: str) -> Output | NDArray[Any]:
        value = self.values[name]
        if not isinstance(value, (Output, np.ndarray)):
            value = self.values[name] = self._array(value, f"{where}: {name}")
        return value

    def _array(self, tensor: Any, where: str) -> NDArray[Any]:
        """A TensorProto as an array; bfloat16 as float32."""
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise InputError(
                where,
                "data in this file",
                "data in another file",
                "write one file: onnx.save(onnx.load(PATH), NEW), or external_data=False in "
                "torch.onnx.export",
            )
        try:
            if any(n < 0 for n in tensor.dims):  # numpy would make something of -1
                raise ValueError(f"the shape {list(tensor.dims)}")
            if (
                tensor.data_type == self.onnx.TensorProto.BFLOAT16
            ):  # which numpy lacks: the upper half of a float32
                bits = (
                    np.frombuffer(tensor.raw_data, "<u2")
                    if tensor.raw_data
                    else np.array(tensor.int32_data)
                )
                return (bits.astype(np.uint32) << 16).view(np.float32).reshape(tuple(tensor.dims))
            array = self.onnx.numpy_helper.to_array(tensor)
        except FAILURES as error:
            raise InputError(
                where, "an array of numbers", told(error), "the file is damaged: export it again"
            ) from error
        if array.dtype.kind not in "biuf":
            raise InputError(where, "an array of numbers", array.dtype)
        return array

    def _attribute(self, attr: Any, where: str) -> float | str | list[int] | int | NDArray[Any]:
        """An attribute as plain Python, or an array."""
        if attr.HasField("t"):
            return self._array(attr.t, f"{where}: {attr.name}")
        value = self.onnx.helper.get_attribute_value(attr)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value

    def _fold(self, node: Any, inputs: Sequence[Any], where: str) -> NDArray[Any]:
        """The array that an operator makes of constant arrays."""
        arrays = [value for value in inputs if value is not None]
        self.left -= _most(node.op_type, arrays)
        if self.left < 0:
            raise InputError(
                where, f"at most {MAX_CONSTANTS:,} values computed from constants", "more"
            )
        graph = self.onnx.GraphProto(
            node=[node],
            input=[self.onnx.ValueInfoProto(name=i) for i in node.input if i],
            output=[self.onnx.ValueInfoProto(name=node.output[0])],
        )
        feeds = {i: value for i, value in zip(node.input, inputs) if value is not None}
        opsets = {**self.opsets, "": self.opset}
        return np.asarray(
            self.onnx.reference.ReferenceEvaluator(graph, opsets=opsets).run(None, feeds)[0]
        )


def _short(name: str) -> str:
    """The name of a node for that of its output, as PyTorch's exporter has them."""
    return name.removesuffix("_output_0")


def _most(op: str, arrays: list[NDArray[Any]]) -> int:
    """The most values that an operator can make of these arrays."""
    if op == "ConstantOfShape":
        return math.prod(int(n) for n in arrays[0])
    if op == "Gather":
        if arrays[1].dtype.kind not in "iu":
            raise TypeError(f"indices of type {arrays[1].dtype}")
        return math.prod(array.size for array in arrays)
    if op in BROADCAST:
        return math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))
    return sum(array.size for array in arrays)
