"""The ANN as a graph of nodes, in ONNX's vocabulary.

A `Graph` is checked once, when it is made: names, order, attributes, parameters, shapes. All who
use it may trust it. Shapes leave the batch axis out: (C, H, W) for maps, (N,) for flat vectors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.ann.checks import Shape
from eventsnn.ann.node import Node
from eventsnn.ann.operators import OPERATORS, infer_shape
from eventsnn.arguments import checked, checked_fields
from eventsnn.exceptions import InputError, in_python, named, one_line

MAX_NODES = 10_000
MAX_NAME = 1000  # characters


@checked_fields
@dataclass(frozen=True)
class Preprocessing:
    """A pixel p of channel c becomes (p * scale - mean[c]) / std[c].

    scale: a number. mean, std: float64 [C], or [1] for all channels. known: whether a file or an
    option gave these numbers; otherwise pixels are taken as they are. reverse: whether the three
    channels are turned round before, as a network needs that was trained on BGR and gets RGB; c
    counts the channels of the network.
    """

    scale: float = 1.0
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    std: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    known: bool = True
    reverse: bool = False

    def __post_init__(self) -> None:
        if not (self.scale > 0 and (self.std > 0).all()):
            given = f"scale {self.scale:g}, std [{_numbers(self.std)}]"
            name = "std" if self.scale > 0 else "scale"
            raise InputError(name, "numbers above 0", given)

    @checked
    def __call__(self, images: NDArray[Any], dtype: Any = np.float32) -> NDArray[Any]:
        """The preprocessed images, computed in float64: [N, C, H, W].

        images: raw pixels [N, C, H, W] of any dtype. dtype: what they are rounded to in the end,
        float32 for the ANN and float64 for a simulation.
        """
        if self.reverse:
            images = images[:, ::-1]
        mean = np.asarray(self.mean, np.float64).reshape(-1, 1, 1)
        std = np.asarray(self.std, np.float64).reshape(-1, 1, 1)
        exact = (np.asarray(images, np.float64) * self.scale - mean) / std
        return exact.astype(dtype, copy=False)

    def __str__(self) -> str:
        return in_python(self.words)

    @property
    def words(self) -> str:
        """What is done to a pixel, with options as `exceptions.named` marks them."""
        text = f"(pixel * {self.scale:.6g} - [{_numbers(self.mean)}]) / [{_numbers(self.std)}]"
        text += ", the channels reversed" if self.reverse else ""
        if self.known:
            return text
        return f"{text}, as the file does not tell it: see {named('preprocessing')}"

    def __repr__(self) -> str:
        shapes = f"{list(np.shape(self.mean))} and {list(np.shape(self.std))}"
        told = "" if self.known else "; the file does not tell it"
        order = "; the channels reversed" if self.reverse else ""
        numbers = f"scale {self.scale:.6g}, mean and std of shapes {shapes}"
        return f"<Preprocessing: {numbers}{order}{told}>"


@checked_fields
@dataclass(frozen=True)
class Graph:
    """An ANN: nodes in an order in which every input comes first.

    nodes: those that the output depends on; others that are given are left out. input, output:
    names of the graph's input and of the node that is its output. input_shape: (C, H, W).
    preprocessing: of raw pixels. source: where the graph was read, for messages. meta: arch,
    activation (as `eventsnn train` calls it), note, classes, test_accuracy, where known. shapes:
    name -> shape without the batch axis, for the input and every node; it is found here.

    Raises InputError at the first thing wrong: two nodes of one name, an unknown operator or input,
    a cycle, attributes, parameters or a preprocessing that do not fit.
    """

    nodes: tuple[Node, ...]
    input: str
    output: str
    input_shape: tuple[int, int, int]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    source: str = "graph"
    meta: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_names(self)
        _check_inputs(self)
        _check_preprocessing(self)
        object.__setattr__(self, "nodes", _reachable(self))
        object.__setattr__(self, "shapes", _shapes(self))

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Name -> node, in order."""
        return {node.name: node for node in self.nodes}

    @property
    def activations(self) -> list[Node]:
        """The activation nodes, in order: each becomes a layer of spiking neurons."""
        return [node for node in self.nodes if node.is_activation]

    @property
    def parameters(self) -> int:
        """How many numbers the parameters of all nodes have."""
        return sum(p.size for node in self.nodes for p in node.params.values())

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of structure, parameters and preprocessing: equal for equal networks."""
        digest = hashlib.sha256()
        head = [
            self.input,
            self.output,
            list(self.input_shape),
            float(self.preprocessing.scale),
            np.asarray(self.preprocessing.mean, float).tolist(),
            np.asarray(self.preprocessing.std, float).tolist(),
        ]
        head += ["reverse"] if self.preprocessing.reverse else []
        digest.update(json.dumps(head).encode())
        for node in self.nodes:
            entry = [node.name, node.op, node.inputs, node.attrs]
            digest.update(json.dumps(entry, sort_keys=True).encode())
            for role in sorted(node.params):
                array = np.asarray(node.params[role])
                digest.update(f"{role}{array.shape}".encode())
                # in parts, so that there is no second copy of 10^8 weights
                for part in array if array.ndim > 1 else array[None]:
                    digest.update(np.ascontiguousarray(part, "<f8").data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        ops = ", ".join(f"{n} {op}" for op, n in self.count_operators().items())
        name = one_line(self.meta.get("arch", "network"))
        return (
            f"<Graph {name}: input {'x'.join(map(str, self.input_shape))}, {ops}; "
            f"{self.parameters:,} parameters; {one_line(self.source)}{self.assumed}>"
        )

    @property
    def assumed(self) -> str:
        """What to add where the file does not tell the preprocessing, else ""."""
        return "" if self.preprocessing.known else "; preprocessing not known, pixels as they are"

    def count_operators(self) -> dict[str, int]:
        """Operator name -> how many nodes, in order of first appearance."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            counts[node.op] = counts.get(node.op, 0) + 1
        return counts


def with_preprocessing(
    graph: Graph,
    scale: float | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    reverse: bool | None = None,
) -> Graph:
    """The graph with another preprocessing; what is None or empty stays as it is.

    graph: the ANN. scale: the number that pixels are multiplied with. mean, std: one number, or one
    for each channel. reverse: whether the channels are reversed. Raises InputError for another
    count, and for channels that cannot be reversed.
    """
    if scale is None and not len(mean) and not len(std) and reverse is None:
        return graph
    for key, values in ("mean", mean), ("std", std):
        if len(values):
            _check_count(named(f"input_{key}"), values, graph.input_shape[0])
    before = graph.preprocessing
    after = Preprocessing(
        before.scale if scale is None else float(scale),
        np.asarray(mean if len(mean) else before.mean, np.float64),
        np.asarray(std if len(std) else before.std, np.float64),
        reverse=before.reverse if reverse is None else reverse,
    )
    return replace(graph, preprocessing=after)


def fresh(name: str, taken: Container[str]) -> str:
    """A name that is not in `taken`: `name`, or `name` with primes behind it."""
    while name in taken:
        name += "'"
    return name


def is_name(value: object) -> bool:
    """Whether a value can be the name of a node: a text, not empty, not long, printable."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _numbers(values: ArrayLike) -> str:
    return " ".join(f"{value:.4g}" for value in np.ravel(values))


def _shapes(graph: Graph) -> dict[str, Shape]:
    """Shapes of all outputs; finding them checks attributes and parameters."""
    shapes: dict[str, Shape] = {graph.input: tuple(graph.input_shape)}
    for node in graph.nodes:
        where = f"{graph.source}: node {node.name!r} ({node.op})"
        if node.op == "Softmax" and node.name != graph.output:
            raise InputError(
                where,
                "Softmax as the graph's output only",
                "Softmax inside the graph",
                "attention and gating have no spiking form here; cut the graph before it",
            )
        shapes[node.name] = infer_shape(node, [shapes[i] for i in node.inputs], where)
    return shapes


def _check_names(graph: Graph) -> None:
    """Refuse graphs without nodes, with too many, with a name twice, or without their output."""
    source = graph.source
    names = [node.name for node in graph.nodes]
    if not names:
        raise InputError(source, "at least one node", "an empty graph")
    if len(names) > MAX_NODES:
        raise InputError(source, f"at most {MAX_NODES:,} nodes", f"{len(names):,}")
    for name in (*names, graph.input):
        if not is_name(name):
            expected = f"names of 1 to {MAX_NAME:,} printable characters"
            raise InputError(source, expected, short(name), "rename the node")
    known = set(names)
    if len(known) < len(names) or graph.input in known:
        twice = graph.input
        if graph.input not in known:
            twice = next(name for name in names if names.count(name) > 1)
        found = f"{twice!r} twice"
        raise InputError(source, "one node for each name", found, "rename one of them")
    if graph.output not in known:
        expected = "the name of a node as the graph's output"
        raise InputError(source, expected, repr(graph.output))
    if len(graph.input_shape) != 3 or min(graph.input_shape) < 1:
        where = f"{source}: input_shape"
        raise InputError(where, "three positive sizes C, H, W", list(graph.input_shape))


def _check_inputs(graph: Graph) -> None:
    """Refuse unknown operators, and inputs that are missing or come later."""
    known = {node.name for node in graph.nodes}
    seen = {graph.input}
    for node in graph.nodes:
        where = f"{graph.source}: node {node.name!r}"
        if node.op not in OPERATORS:
            expected = f"one of the operators {', '.join(sorted(OPERATORS))}"
            do = "replace it by these operators before exporting the network"
            raise InputError(where, expected, repr(node.op), do)
        for name in node.inputs:
            if name not in known and name != graph.input:
                found = f"{name!r}, which does not exist"
                raise InputError(where, "inputs that are nodes of the graph", found)
            if name not in seen:
                raise _wrong_order(graph, name, where)
        seen.add(node.name)


def _check_preprocessing(graph: Graph) -> None:
    """Refuse channels reversed where there are not three, and another count of numbers."""
    given, channels = graph.preprocessing, graph.input_shape[0]
    where = f"{graph.source}: preprocessing"
    if given.reverse and channels != 3:
        do = "leave the order of channels as it is"
        raise InputError(f"{where}: channels reversed", "an input of 3 channels", channels, do)
    _check_count(f"{where}: mean", given.mean, channels)
    _check_count(f"{where}: std", given.std, channels)


def _check_count(where: str, values: ArrayLike, channels: int) -> None:
    """Raises InputError unless there is one number, or one for each channel."""
    if np.size(values) not in (1, channels):
        do = "give one for each channel"
        raise InputError(where, f"1 or {channels} numbers", np.size(values), do)


def _wrong_order(graph: Graph, name: str, where: str) -> InputError:
    """What to say of an input `name` that comes after its use: a cycle, or a wrong order."""
    expected = "a graph in which every input comes before its use"
    cycle = _find_cycle(graph.nodes)
    if cycle is None:
        found = f"{name!r}, which stands later in the file"
        return InputError(where, expected, found, "sort the nodes")
    found = f"the cycle {' -> '.join(cycle)}"
    return InputError(where, expected, found, "only feed-forward networks can be converted")


def _find_cycle(nodes: Sequence[Node]) -> list[str] | None:
    """The names along one cycle, first name repeated at the end, or None."""
    inputs = {node.name: list(node.inputs) for node in nodes}
    done: set[str] = set()
    for start in inputs:
        path = [start]
        stack = [iter(inputs[start])]
        while stack and start not in done:
            name = next(stack[-1], None)
            if name is None:
                done.add(path.pop())
                stack.pop()
            elif name in path:
                return [*path[path.index(name) :], name][:12]
            elif name in inputs and name not in done:
                path.append(name)
                stack.append(iter(inputs[name]))
    return None


def _reachable(graph: Graph) -> tuple[Node, ...]:
    """The nodes that the output depends on, in their order."""
    wanted = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
    return tuple(node for node in graph.nodes if node.name in wanted)
