"""The ANN as a graph of nodes, in ONNX's vocabulary.

A `Graph` is checked once, when it is made: names, order, attributes, parameters, shapes. Everything
behind it may trust it. Shapes leave the batch axis out: (C, H, W) for maps, (N,) for flat vectors.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from eventsnn.ann.operators import ACTIVATIONS, OPERATORS, infer_shape
from eventsnn.exceptions import InputError

MAX_NODES = 10_000


@dataclass(frozen=True)
class Node:
    """One operator: `name` is also the name of its only output; `params` maps a role to an
    array.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: dict = field(default_factory=dict)
    params: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def is_activation(self):
        return self.op in ACTIVATIONS


@dataclass(frozen=True)
class Preprocessing:
    """A pixel p of channel c becomes (p * scale - mean[c]) / std[c]; mean and std are float64 [C].

    known: whether this was told by anybody; otherwise pixels are taken as they are.
    """

    scale: float = 1.0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(1))
    std: np.ndarray = field(default_factory=lambda: np.ones(1))
    known: bool = True

    def __call__(self, images):
        """Raw images [N, C, H, W] of any dtype -> float32 of the same shape."""
        mean, std = (np.asarray(x, np.float64).reshape(-1, 1, 1) for x in (self.mean, self.std))
        return ((images * np.float64(self.scale) - mean) / std).astype(np.float32)

    def __str__(self):
        mean, std = (" ".join(f"{v:.4g}" for v in np.ravel(x)) for x in (self.mean, self.std))
        text = f"(pixel * {self.scale:.6g} - [{mean}]) / [{std}]"
        return (
            text
            if self.known
            else f"{text}, as the file does not tell it: see --input-scale, --input-mean and --input-std"
        )


@dataclass(frozen=True)
class Graph:
    """An ANN: nodes in an order in which every input comes first.

    Attributes: `input` and `output` (names), `input_shape` (C, H, W), `preprocessing`, `source`
    (where it was read, for messages), `meta` (arch, note, classes, test_accuracy where known),
    `shapes` (name -> output shape without the batch axis, for the input and every node).
    """

    nodes: tuple[Node, ...]
    input: str
    output: str
    input_shape: tuple[int, int, int]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    source: str = "graph"
    meta: dict = field(default_factory=dict)
    shapes: dict = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        _check_topology(self)
        object.__setattr__(self, "nodes", _reachable(self))
        object.__setattr__(self, "shapes", _shapes(self))

    @cached_property
    def by_name(self):
        return {node.name: node for node in self.nodes}

    @property
    def activations(self):
        """The activation nodes, in order: each becomes a layer of spiking neurons."""
        return [node for node in self.nodes if node.is_activation]

    @property
    def parameters(self):
        return sum(p.size for node in self.nodes for p in node.params.values())

    @cached_property
    def hash(self):
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
        digest.update(json.dumps(head).encode())
        for node in self.nodes:
            digest.update(
                json.dumps([node.name, node.op, node.inputs, node.attrs], sort_keys=True).encode()
            )
            for role in sorted(node.params):
                array = np.asarray(node.params[role])
                digest.update(f"{role}{array.shape}".encode())
                for part in (
                    array if array.ndim > 1 else array[None]
                ):  # so that there is no second copy of 10^8 weights
                    digest.update(np.ascontiguousarray(part, "<f8"))
        return digest.hexdigest()

    def __repr__(self):
        ops = ", ".join(f"{n} {op}" for op, n in self.count_operators().items())
        name = self.meta.get("arch", "network")
        return (
            f"<Graph {name}: input {'x'.join(map(str, self.input_shape))}, {ops}; "
            f"{self.parameters:,} parameters; {self.source}>"
        )

    def count_operators(self):
        """Operator name -> how many nodes, in order of first appearance."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            counts[node.op] = counts.get(node.op, 0) + 1
        return counts


def with_preprocessing(graph, scale=None, mean=(), std=()):
    """The graph with another scale, mean and std (one number, or one for each channel); what is
    None or empty stays as it is.
    """
    if scale is None and not len(mean) and not len(std):
        return graph
    for key, values in ("mean", mean), ("std", std):
        if len(values) not in (0, 1, graph.input_shape[0]):
            raise InputError(
                f"--input-{key}",
                f"1 or {graph.input_shape[0]} numbers",
                len(values),
                "give one for each channel",
            )
    before = graph.preprocessing
    scale = before.scale if scale is None else float(scale)
    mean, std = (
        np.asarray(new if len(new) else old, np.float64)
        for new, old in ((mean, before.mean), (std, before.std))
    )
    return replace(graph, preprocessing=Preprocessing(scale, mean, std))


def _shapes(graph):
    """Shapes of all outputs; finding them checks attributes and parameters."""
    shapes = {graph.input: tuple(graph.input_shape)}
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


def _check_topology(graph):
    names = [node.name for node in graph.nodes]
    if not names:
        raise InputError(graph.source, "at least one node", "an empty graph")
    if len(names) > MAX_NODES:
        raise InputError(graph.source, f"at most {MAX_NODES:,} nodes", f"{len(names):,}")
    known = set(names)
    if len(known) < len(names) or graph.input in known:
        twice = (
            graph.input if graph.input in known else next(n for n in names if names.count(n) > 1)
        )
        raise InputError(
            graph.source, "one node for each name", f"{twice!r} twice", "rename one of them"
        )
    if graph.output not in known:
        raise InputError(
            graph.source, "the name of a node as the graph's output", repr(graph.output)
        )
    if len(graph.input_shape) != 3 or min(graph.input_shape) < 1:
        raise InputError(
            f"{graph.source}: input_shape", "three positive sizes C, H, W", list(graph.input_shape)
        )
    seen = {graph.input}
    for node in graph.nodes:
        where = f"{graph.source}: node {node.name!r}"
        if node.op not in OPERATORS:
            raise InputError(
                where,
                f"one of the operators {', '.join(sorted(OPERATORS))}",
                repr(node.op),
                "replace it by these operators before exporting the network",
            )
        for name in node.inputs:
            if name not in known and name != graph.input:
                raise InputError(
                    where, "inputs that are nodes of the graph", f"{name!r}, which does not exist"
                )
            if name not in seen:
                cycle = _find_cycle(graph.nodes)
                found = (
                    f"the cycle {' -> '.join(cycle)}"
                    if cycle
                    else f"{name!r}, which stands later in the file"
                )
                raise InputError(
                    where,
                    "a graph in which every input comes before its use",
                    found,
                    "only feed-forward networks can be converted" if cycle else "sort the nodes",
                )
        seen.add(node.name)


def _find_cycle(nodes):
    """The names along one cycle, first name repeated at the end, or None."""
    inputs = {node.name: [i for i in node.inputs] for node in nodes}
    done: set[str] = set()
    for start in inputs:
        path, stack = [start], [iter(inputs[start])]
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


def _reachable(graph):
    """The nodes that the output depends on, in their order."""
    wanted = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
    return tuple(node for node in graph.nodes if node.name in wanted)


def fresh(name, taken):
    """A name that is not taken yet: `name`, or with primes behind it."""
    while name in taken:
        name += "'"
    return name
