"""ONNX models: read operator by operator with the onnx package.

The model is never executed. Exporters leave operators behind that depend on constants and shapes
only (Shape, Gather, Concat in front of a Reshape); these are computed here. What only moves values
becomes a `View`, so that the order of axes may change on the way. The batch counts as 1.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import MAX_NODES, Graph, Node, Preprocessing
from eventsnn.exceptions import InputError
from eventsnn.files.reading import FAILURES, MAX_ARRAY, text_of, told
from eventsnn.readers.building import Builder, Output, some
from eventsnn.readers.onnx.constants import FOLDED, Folder
from eventsnn.readers.onnx.images import AnotherImage, Image, first_guess, sizes_of
from eventsnn.readers.onnx.joining import JOINING
from eventsnn.readers.onnx.moving import MOVING
from eventsnn.readers.onnx.operators import OPERATORS
from eventsnn.readers.onnx.quantised import CUSTOM, DOMAINS, dequantize, of_constants, quantize
from eventsnn.readers.onnx.reading import Quantised, put, seen
from eventsnn.readers.onnx.refusing import FIRST, WHOLE, never
from eventsnn.readers.onnx.tensors import DAMAGED, Tensors
from eventsnn.readers.views import View

MAX_MOVES = 2**30
# between these and the model's output nothing changes which value is the largest
MOVES = (*MOVING, "Cast", "Identity", "Dropout")


def read_onnx(path: Path | str, output: str | None = None) -> Graph:
    """The network in an ONNX file.

    path: the file. output: the name of the output that is meant, of a model with several, or of any
    value in it; None: the only one. Pixels are taken as they are, since ONNX knows no
    preprocessing. Raises InputError without the package onnx, for a file that cannot be read, and
    for operators without a spiking form.
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
    image = None
    try:
        # constants may be divided by 0; the graph refuses what is not finite
        with np.errstate(all="ignore"):
            for _ in range(2):
                try:
                    return _Reader(onnx, model, Path(path), output, image).read()
                except AnotherImage as found:
                    image = found.image
        raise AssertionError("an image is settled once")
    except InputError:
        raise
    except FAILURES as error:
        raise InputError(path, "a sound ONNX model", told(error), DAMAGED) from error


class _Reader:
    """Goes through a model.

    onnx: the package. model: a ModelProto. path: of the file. output: as in `read_onnx`. image:
    what the model's input is, where that is known.

    Attributes: values: name -> a `View`, an array, what a QuantizeLinear gives, or an initializer
    not yet read. The others are those of `reading.Reader`. Raises InputError for models that cannot
    be read.
    """

    def __init__(
        self, onnx: Any, model: Any, path: Path, output: str | None, image: Image | None
    ) -> None:
        self.onnx = onnx
        self.proto = model.graph
        self.name = path.name
        opsets = {entry.domain or "": entry.version for entry in model.opset_import}
        self.opset: int = opsets.get("", opsets.get("ai.onnx", 0))
        self.folder = Folder(onnx, {**opsets, "": self.opset})
        self.tensors = Tensors(onnx, path.parent)
        self.values: dict[str, Any] = {tensor.name: tensor for tensor in self.proto.initializer}
        value = self._only_input()
        self.output = self._chosen(output)
        self.needed = self._needed()
        self.uses = Counter(_short(name) for node in self.needed for name in node.input)
        self.uses[_short(self.output)] += 1
        self.lasting = self._lasting()
        self.settled = image is not None
        sizes = sizes_of(onnx, value, self.name)
        self.image = image or first_guess(sizes)
        self.batch: int = value.type.tensor_type.shape.dim[0].dim_value
        self.builder = Builder(self.name, value.name, self.image.shape)
        pixels = Output(value.name)
        self.values[value.name] = self.image.view(pixels, sizes)
        self.pixels: set[Output] = {pixels}
        self.notes: list[str] = []
        self.made: dict[str, Node] = {}
        self.moved = MAX_MOVES
        self.outputs = 1
        self.ends = False

    def _only_input(self) -> Any:
        """The ValueInfoProto of the one input, of a model that is not too large."""
        nodes = self.proto.node
        sparse = self.proto.sparse_initializer
        if self.opset < 1:
            expected = "operators of ONNX's own, of opset 1 or later"
            raise InputError(self.name, expected, f"opset {self.opset}", DAMAGED)
        if not nodes or len(nodes) > 10 * MAX_NODES or sparse:
            expected = f"a node, at most {10 * MAX_NODES:,} nodes and dense initializers"
            found = f"{len(nodes):,} nodes, {len(sparse)} sparse initializers"
            raise InputError(self.name, expected, found)
        inputs = [value for value in self.proto.input if value.name not in self.values]
        if len(inputs) != 1 or not self.proto.output:
            found = f"inputs {some([value.name for value in inputs])}"
            found += f", {len(self.proto.output)} outputs"
            do = "export the classifier alone, or cut it out with onnx.utils.extract_model"
            raise InputError(self.name, "one input and an output", found, do)
        return inputs[0]

    def _chosen(self, wanted: str | None) -> str:
        """The name of the output that is meant."""
        names = [value.name for value in self.proto.output]
        if wanted is None and len(names) == 1:
            return names[0]
        if wanted is None:
            found = f"{len(names)}: {some(names)}"
            do = f"choose one by its name: ⟦output={names[0]}⟧"
            raise InputError(self.name, "one output", found, do)
        inner = [name for node in self.proto.node for name in node.output if name]
        if wanted not in names and wanted not in inner:
            expected = f"the name of an output: {some(names)}"
            do = f"for example ⟦output={names[0]}⟧"
            raise InputError("⟦output⟧", expected, repr(wanted), do)
        return wanted

    def _needed(self) -> list[Any]:
        """The nodes on which the output depends, in order."""
        wanted = {self.output}
        needed = []
        for node in reversed(self.proto.node):
            if not wanted.isdisjoint(node.output) or not node.output:
                wanted.update(node.input)
                needed.append(node)
        return needed[::-1]

    def _lasting(self) -> set[str]:
        """The names of values of which the output is a move."""
        found = {self.output}
        for node in reversed(self.needed):
            if node.op_type in MOVES and node.output and node.output[0] in found and node.input:
                if self.uses[_short(node.input[0])] == 1:
                    found.add(node.input[0])
        return found

    def settle(self, x: View) -> None:
        """Begins again where the first operator that needs a map sees another than was guessed."""
        if self.settled or x.base not in self.pixels:
            return
        self.settled = True
        image = self.image.seen_as(x)
        if image is not None and not image.is_like(self.image):
            raise AnotherImage(image)

    def pass_on(self, x: View, out: Output) -> None:
        """Takes note that an output has values at the places of those of x's output."""
        if x.base in self.pixels:
            self.pixels.add(out)

    def node(self, name: str) -> Node | None:
        """The graph's node of a name, where there is one."""
        for node in self.builder.nodes[len(self.made) :]:
            self.made[node.name] = node
        return self.made.get(name)

    def note(self, words: str) -> None:
        """Adds to what the graph says of itself."""
        if words not in self.notes:
            self.notes.append(words)

    def read(self) -> Graph:
        """The network. Raises InputError for whatever cannot be read."""
        for node in self.needed:
            label = node.name or "".join(node.output[:1])
            where = f"{self.name}: node {label!r} ({node.op_type})"
            self._check_names(node, where)
            made = self._make(node, where)
            for name, value in zip(node.output, made):
                if name:
                    self.values[name] = value
            for extra in node.output[len(made) :]:
                if self.uses[_short(extra)]:
                    reason = "more than its first output is used"
                    refused = self.builder.refuse(extra, node.op_type, reason)
                    self.values[extra] = seen(self, refused)
        return self._graph()

    def _graph(self) -> Graph:
        """The graph, of which the output is a node."""
        result = self.values.get(self.output)
        b = self.builder
        if isinstance(result, Quantised):
            refused = b.refuse(self.output, "QuantizeLinear", "at the output; dequantise it")
            result = seen(self, refused)
        if not isinstance(result, View):
            raise InputError(self.name, "an output that depends on the input", repr(self.output))
        out = result.base
        if b.shapes[out] is not None:
            if result.ndim < 2:  # the batch alone
                result = result.reshape(1, result.size)
            out = put(self, f"{_short(self.output)}.out", result)
            if out == b.input:
                out = b.add(_short(self.output), "Identity", [out])
        meta = {"note": "; ".join(self.notes)} if self.notes else {}
        return b.graph(str(out), Preprocessing(known=False), meta)

    def _check_names(self, node: Any, where: str) -> None:
        """Raises InputError unless a node's outputs are new and its inputs are known."""
        taken = any(output in self.values for output in node.output)
        if not node.output or not text_of(node.output[0]) or taken:
            raise InputError(where, "outputs of its own", list(node.output), DAMAGED)
        missing = [name for name in node.input if name and name not in self.values]
        if missing:
            raise InputError(where, "inputs that come before it", repr(missing[0]), DAMAGED)

    def _make(self, node: Any, where: str) -> Sequence[View | Quantised | NDArray[Any]]:
        """What a node computes, for its first output, or for each of them."""
        name = _short(node.output[0])
        op = node.op_type
        inputs = [self._value(i, where) if i else None for i in node.input]
        self.outputs = len(node.output)
        self.ends = node.output[0] in self.lasting
        depends = not all(x is None or isinstance(x, np.ndarray) for x in inputs)
        reason = never(node.domain, op, depends)
        if reason:
            return [seen(self, self.builder.refuse(name, op, reason)) for _ in node.output]
        if any(isinstance(x, View) and self.builder.shapes[x.base] is None for x in inputs):
            return [seen(self, self.builder.unknown(name)) for _ in node.output]
        try:
            return self._computed(node, name, inputs, where)
        except InputError:
            raise
        except FAILURES as error:
            return [seen(self, self.builder.refuse(name, op, told(error)))]

    def _computed(
        self, node: Any, name: str, inputs: Sequence[Any], where: str
    ) -> Sequence[View | Quantised | NDArray[Any]]:
        """What a node computes of its inputs, None for one left out."""
        op = node.op_type
        attrs = {attr.name: self._attribute(attr, where) for attr in node.attribute}
        views = [x for x in inputs if isinstance(x, View)]
        self.moved -= sum(x.size for x in views if x.order is not None)
        if self.moved < 0:
            expected = f"at most {MAX_MOVES:,} values that move, in all its operators"
            raise InputError(self.name, expected, "more")
        if node.domain in DOMAINS:
            if any(isinstance(x, View) for x in inputs[1:]):
                return self._refused(name, op, FIRST)
            return [CUSTOM[op](self, name, attrs, *inputs)]
        if op == "Constant":
            if len(attrs) != 1:
                raise InputError(where, "one value", f"{len(attrs)}", DAMAGED)
            (value,) = attrs.values()
            return [np.asarray(value)]
        quantised = any(isinstance(x, Quantised) for x in inputs)
        if not views and not quantised and op in ("QuantizeLinear", "DequantizeLinear"):
            self.folder.spend(inputs[0].size, where)
            return [of_constants(op, attrs, inputs)]
        if not views and not quantised and op in FOLDED:
            return self.folder.fold(node, inputs, where)
        if op == "Shape" and len(views) == 1:
            first: Any = attrs.get("start", 0)
            last: Any = attrs.get("end")
            return [np.array(views[0].dims[first:last], np.int64)]
        if op in JOINING and views and not quantised:
            return [JOINING[op](self, name, attrs, *inputs)]
        if op == "DequantizeLinear" and isinstance(inputs[0], Quantised):
            return [dequantize(self, name, attrs, *inputs)]
        if quantised or op == "DequantizeLinear":
            return self._refused(name, op, WHOLE)
        least = op in ("Max", "Min") and len(views) == 1
        if not (least or (len(views) == 1 and isinstance(inputs[0], View))):
            return self._refused(name, op, FIRST)
        if op == "QuantizeLinear":
            return [quantize(self, name, attrs, *inputs)]
        if op in MOVING:
            return MOVING[op](self, attrs, *inputs)
        return [OPERATORS[op](self, name, attrs, *inputs)]

    def _refused(self, name: str, op: str, reason: str) -> list[View]:
        return [seen(self, self.builder.refuse(name, op, reason))]

    def _value(self, name: str, where: str) -> Any:
        """What has a name; an initializer is read at its first use."""
        value = self.values[name]
        if not isinstance(value, (View, Quantised, np.ndarray)):
            value = self.tensors.array(value, f"{where}: {name}")
            self.values[name] = value
        return value

    def _attribute(self, attr: Any, where: str) -> str | float | list[Any] | NDArray[Any]:
        """An AttributeProto as plain Python, or as an array."""
        if attr.HasField("t"):
            return self.tensors.array(attr.t, f"{where}: {attr.name}")
        value = self.onnx.helper.get_attribute_value(attr)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value


def _short(name: str) -> str:
    """The name of a node, of its output's name as PyTorch's exporter has it."""
    return name.removesuffix("_output_0")
