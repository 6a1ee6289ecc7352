"""ONNX models: one file, opset 9 and later, read operator by operator with the onnx package.

The model is never executed. Exporters leave operators behind that depend on constants and shapes
only (Shape, Gather, Concat in front of a Reshape); these are computed here. The batch counts as 1.
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
from eventsnn.readers.onnx.operators import JOINING, OPERATORS, without_channels

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
DAMAGED = "the file is damaged: copy, download or export it again"
ONE_FILE = (
    "write one file: onnx.save(onnx.load(PATH), NEW), or external_data=False in torch.onnx.export"
)


def read_onnx(path: Path | str) -> Graph:
    """The network in an ONNX file.

    path: the file. Pixels are taken as they are, since ONNX knows no preprocessing. Raises
    InputError without the package onnx, for a file that cannot be read, and for operators without a
    spiking form.
    """
    try:
        import onnx
        import onnx.reference
    except ImportError:
        expected = "the package onnx, to read an ONNX model"
        do = "pip install onnx"
        raise InputError(path, expected, "none", do) from None
    size = os.path.getsize(path)
    if size > MAX_ARRAY:
        raise InputError(path, f"an ONNX model of at most {MAX_ARRAY:,} bytes", f"{size:,}")
    try:
        model = onnx.load_model_from_string(Path(path).read_bytes())
    except Exception as error:  # protobuf's own kinds of error differ by its version
        found = f"a file that cannot be read ({told(error)})"
        raise InputError(
            path, "a whole ONNX model", found, "copy, download or export it again"
        ) from error
    try:
        # constants may be divided by 0; the graph refuses what is not finite
        with np.errstate(all="ignore"):
            return _Reader(onnx, model, Path(path).name).read()
    except InputError:
        raise
    except FAILURES as error:
        raise InputError(path, "a sound ONNX model", told(error), DAMAGED) from error


class _Reader:
    """Goes through a model.

    onnx: the package. model: a ModelProto. name: the file's, for messages.

    Attributes: values: name -> an `Output` of the graph, an array, or an initializer not yet read.
    uses: name -> how often it is an input of a node or the model's output. batch: the size of the
    input's batch axis, 0 where it is not fixed. opset: of ONNX's own operators. left: how many
    values may still be computed from constants. Raises InputError for models that cannot be read.
    """

    def __init__(self, onnx: Any, model: Any, name: str) -> None:
        self.onnx = onnx
        self.proto = model.graph
        self.name = name
        self.left = MAX_CONSTANTS
        self.opsets = {entry.domain or "": entry.version for entry in model.opset_import}
        self.opset: int = self.opsets.get("", self.opsets.get("ai.onnx", 0))
        self.values: dict[str, Any] = {tensor.name: tensor for tensor in self.proto.initializer}
        image = self._only_input()
        sizes = self._sizes(image)
        channels, height, width = (*sizes, 1, 1) if len(sizes) == 1 else (1, *sizes)[-3:]
        self.batch: int = image.type.tensor_type.shape.dim[0].dim_value
        self.builder = Builder(name, image.name, (channels, height, width))
        self.values[image.name] = self._as_onnx(Output(image.name), len(sizes))
        self.uses = Counter(_short(value) for node in self.proto.node for value in node.input)
        self.uses.update(_short(value.name) for value in self.proto.output)

    def _only_input(self) -> Any:
        """The ValueInfoProto of the one input, of a model that is not too large."""
        nodes = self.proto.node
        if not nodes or self.opset < LEAST_OPSET:
            expected = f"an ONNX model of opset {LEAST_OPSET} or later"
            found = f"opset {self.opset}, {len(nodes):,} nodes"
            do = "export it with a later opset_version, or convert it with onnx.version_converter"
            raise InputError(self.name, expected, found, do)
        sparse = self.proto.sparse_initializer
        if len(nodes) > 10 * MAX_NODES or sparse:
            expected = f"at most {10 * MAX_NODES:,} nodes and dense initializers"
            found = f"{len(nodes):,} nodes, {len(sparse)} sparse initializers"
            raise InputError(self.name, expected, found)
        inputs = [value for value in self.proto.input if value.name not in self.values]
        outputs = self.proto.output
        if len(inputs) != 1 or len(outputs) != 1:
            names = [value.name for value in inputs]
            found = f"inputs {names}, outputs {[value.name for value in outputs]}"
            do = "export the classifier alone, or cut it out with onnx.utils.extract_model"
            raise InputError(self.name, "one input and one output", found, do)
        return inputs[0]

    def _sizes(self, value: Any) -> tuple[int, ...]:
        """(C, H, W), (H, W) or (N,) of the input; the batch axis may have any size or name."""
        where = f"{self.name}: input {value.name!r}"
        kinds = self.onnx.TensorProto
        kind = value.type.tensor_type.elem_type
        if kind not in (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE):
            do = (
                "export the network alone, with an input of floats, or cut it out with "
                "onnx.utils.extract_model"
            )
            raise InputError(where, "an input of floats", f"type {kind}", do)
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if not 2 <= len(sizes) <= 4 or not all(1 <= n <= 2**20 for n in sizes[1:]):
            expected = "a shape N, C, H, W with fixed C, H and W; or N, H, W; or N, features"
            do = "export it with a fixed image size, or set one with onnx.tools.update_model_dims"
            raise InputError(where, expected, sizes, do)
        return tuple(sizes[1:])

    def _as_onnx(self, image: Output, axes: int) -> Output:
        """What has the axes of the model's input, of the graph's, which is (C, H, W).

        axes: how many the model's has, without the batch.
        """
        if axes == 1:
            return self.builder.add(f"{image}.flat", "Flatten", [image])
        if axes == 2:  # ONNX sees [1, H, W]; `operators` knows of it
            self.builder.shapes[image] = self.builder.shape(image)[1:]
        return image

    def read(self) -> Graph:
        """The network. Raises InputError for whatever cannot be read."""
        for node in self.proto.node:
            label = node.name or "".join(node.output[:1])
            where = f"{self.name}: node {label!r} ({node.op_type})"
            self._check_names(node, where)
            self.values[node.output[0]] = self._make(node, where)
            for extra in node.output[1:]:
                if self.uses[_short(extra)]:
                    reason = "more than its first output is used"
                    self.values[extra] = self.builder.refuse(extra, node.op_type, reason)
        output = self.proto.output[0].name
        result = self.values.get(output)
        if not isinstance(result, Output):
            raise InputError(self.name, "an output that depends on the input", repr(output))
        return self.builder.graph(str(result), Preprocessing(known=False))

    def _check_names(self, node: Any, where: str) -> None:
        """Raises InputError unless a node's outputs are new and its inputs are known."""
        taken = any(output in self.values for output in node.output)
        if not node.output or not text_of(node.output[0]) or taken:
            raise InputError(where, "outputs of its own", list(node.output), DAMAGED)
        missing = [name for name in node.input if name and name not in self.values]
        if missing:
            raise InputError(where, "inputs that come before it", repr(missing[0]), DAMAGED)

    def _make(self, node: Any, where: str) -> Output | NDArray[Any]:
        """What a node computes: an `Output`, or an array where it depends on constants only."""
        name = _short(node.output[0])
        op = node.op_type
        inputs = [self._value(i, where) if i else None for i in node.input]
        if node.domain not in ("", "ai.onnx"):
            return self.builder.refuse(name, op, f"an operator of the domain {node.domain}")
        try:
            return self._computed(node, name, inputs, where)
        except InputError:
            raise
        except FAILURES as error:
            return self.builder.refuse(name, op, told(error))

    def _computed(
        self, node: Any, name: str, inputs: Sequence[Output | NDArray[Any] | None], where: str
    ) -> Output | NDArray[Any]:
        """What a node of ONNX's own operators computes of its inputs, None for one left out."""
        b = self.builder
        op = node.op_type
        attrs = {attr.name: self._attribute(attr, where) for attr in node.attribute}
        outputs = [value for value in inputs if isinstance(value, Output)]
        if op == "Constant":
            if len(attrs) != 1:
                raise InputError(where, "one value", f"{len(attrs)}", DAMAGED)
            (value,) = attrs.values()
            return np.asarray(value)
        if not outputs and op in FOLDED:
            return self._fold(node, inputs, where)
        if op not in OPERATORS:
            return b.refuse(name, op, "nothing here computes it")
        if op not in JOINING and (len(outputs) > 1 or not isinstance(inputs[0], Output)):
            reason = "its first input, and no other, has to depend on the image"
            return b.refuse(name, op, reason)
        if any(b.shapes[output] is None for output in outputs):
            return b.unknown(name)
        if any(len(b.shape(output)) == 2 for output in outputs):
            return without_channels(self, op, name, attrs, inputs)
        return OPERATORS[op](self, name, attrs, *inputs)

    def _value(self, name: str, where: str) -> Output | NDArray[Any]:
        """What has a name; an initializer is read at its first use."""
        value = self.values[name]
        if not isinstance(value, (Output, np.ndarray)):
            value = self._array(value, f"{where}: {name}")
            self.values[name] = value
        return value

    def _array(self, tensor: Any, where: str) -> NDArray[Any]:
        """A TensorProto as an array; bfloat16 becomes float32."""
        kinds = self.onnx.TensorProto
        if tensor.data_location == kinds.EXTERNAL or tensor.external_data:
            raise InputError(where, "data in this file", "data in another file", ONE_FILE)
        try:
            if any(n < 0 for n in tensor.dims):  # numpy would make something of -1
                raise ValueError(f"the shape {list(tensor.dims)}")
            if tensor.data_type == kinds.BFLOAT16:
                return _bfloat16(tensor)
            array = self.onnx.numpy_helper.to_array(tensor)
        except FAILURES as error:
            raise InputError(where, "an array of numbers", told(error), DAMAGED) from error
        if array.dtype.kind not in "biuf":
            raise InputError(where, "an array of numbers", array.dtype)
        return array

    def _attribute(self, attr: Any, where: str) -> str | float | list[Any] | NDArray[Any]:
        """An AttributeProto as plain Python, or as an array."""
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
            expected = f"at most {MAX_CONSTANTS:,} values computed from constants"
            raise InputError(where, expected, "more")
        graph = self.onnx.GraphProto(
            node=[node],
            input=[self.onnx.ValueInfoProto(name=name) for name in node.input if name],
            output=[self.onnx.ValueInfoProto(name=node.output[0])],
        )
        feeds = {name: value for name, value in zip(node.input, inputs) if value is not None}
        opsets = {**self.opsets, "": self.opset}
        evaluator = self.onnx.reference.ReferenceEvaluator(graph, opsets=opsets)
        return np.asarray(evaluator.run(None, feeds)[0])


def _bfloat16(tensor: Any) -> NDArray[np.float32]:
    """A TensorProto of bfloat16, which numpy lacks: the upper half of a float32."""
    if tensor.raw_data:
        bits = np.frombuffer(tensor.raw_data, "<u2")
    else:
        bits = np.array(tensor.int32_data)
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(tuple(tensor.dims))


def _short(name: str) -> str:
    """The name of a node, of its output's name as PyTorch's exporter has it."""
    return name.removesuffix("_output_0")


def _most(op: str, arrays: Sequence[NDArray[Any]]) -> int:
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
