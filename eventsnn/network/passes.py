"""Passes over the graph before it is converted.

Each takes a graph and returns (graph, note). Where the new graph computes another function, the
note says what the user should know; otherwise it is "". Nodes keep their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from eventsnn.ann.graph import Graph, Node, fresh
from eventsnn.ann.operators import IDENTITIES
from eventsnn.exceptions import InputError
from eventsnn.network.monotone import is_monotone, pools_by_activation, rise_together
from eventsnn.network.pooled_moves import pool_in_front

OUTPUT_FIRES = (
    "the output fires: values below 0 are read as 0, values above its threshold as the threshold"
)


def average_for_max(graph: Graph) -> tuple[Graph, str]:
    """Replaces each MaxPool by an AveragePool of the same window (TCL section II-B).

    graph: the ANN. Returns (graph, note).
    """
    count = sum(node.op == "MaxPool" for node in graph.nodes)
    if not count:
        return graph, ""
    nodes = [
        replace(_with_minima(node, ()), op="AveragePool") if node.op == "MaxPool" else node
        for node in graph.nodes
    ]
    note = f"{count} MaxPool replaced by AveragePool: the network computes another function"
    return _another(graph, nodes), note


class _Block(NamedTuple):
    """A residual block: an activation of the sum of a branch and its shortcut.

    add, activation: the two nodes. branch: which of the sum's inputs is the branch, 0 or 1.
    weighted: whether the shortcut has parameters.
    """

    add: Node
    activation: Node
    branch: int
    weighted: bool


def reroute(graph: Graph) -> tuple[Graph, str]:
    """Adds shortcuts behind the activations of residual blocks (SpikeZIP section 3.3, fig. 3).

    act(branch + shortcut) becomes act(branch) + shortcut. A shortcut with parameters (a
    convolution, say) gets an activation like the block's, named "activation:shortcut". The paper
    trains the network in this form: one that was not has to be fine-tuned, or errs.

    graph: the ANN. Returns (graph, note). Raises InputError where there is no residual block.
    """
    found = [_residual_block(graph, node) for node in graph.activations]
    blocks = {block.add.name: block for block in found if block is not None}
    if not blocks:
        expected = (
            "residual blocks to re-route: an activation of the Add of a branch and its shortcut"
        )
        raise InputError(graph.source, expected, "none", "choose ⟦residual=keep⟧")
    nodes: list[Node] = []
    sums: dict[str, Node] = {}
    for node in graph.nodes:
        inputs = tuple(sums[name].name if name in sums else name for name in node.inputs)
        if node.name in blocks:  # the activation takes the Add's place, the Add the activation's
            _, activation, branch, weighted = blocks[node.name]
            shortcut = inputs[1 - branch]
            nodes.append(replace(activation, inputs=(inputs[branch],)))
            if weighted:
                name = fresh(f"{activation.name}:shortcut", graph.shapes)
                nodes.append(Node(name, activation.op, (shortcut,), activation.attrs))
                shortcut = name
            sums[activation.name] = replace(node, inputs=(activation.name, shortcut))
        elif node.name in sums:
            nodes.append(sums[node.name])
        else:
            nodes.append(replace(node, inputs=inputs))
    output = sums[graph.output].name if graph.output in sums else graph.output
    note = (
        f"{len(sums)} residual connections re-routed behind their activations: the network "
        "computes another function, unless it was trained so"
    )
    return _another(graph, nodes, output), note


def _residual_block(graph: Graph, activation: Node) -> _Block | None:
    """The residual block that ends in an activation, or None."""
    add = graph.by_name.get(activation.inputs[0])
    if add is None or add.op != "Add" or len(add.inputs) != 2 or _users(graph, add) != [activation]:
        return None
    paths = [_path(graph, name) for name in add.inputs]
    starts = [start for start, _ in paths]
    weighted = [has_parameters for _, has_parameters in paths]
    if starts[0] == starts[1]:
        if weighted[0] == weighted[1]:
            return None
        return _Block(add, activation, int(weighted[1]), False)
    for branch in (0, 1):
        if _reaches(graph, starts[branch], starts[1 - branch]):
            return _Block(add, activation, branch, weighted[1 - branch])
    return None


def _path(graph: Graph, name: str) -> tuple[str, bool]:
    """(where a path of linear operators with one input begins, whether any has parameters).

    name: the node at which the path ends, or the graph's input.
    """
    weighted = False
    node = graph.by_name.get(name)
    while node is not None and _is_link(node):
        weighted = weighted or bool(node.params)
        name = node.inputs[0]
        node = graph.by_name.get(name)
    return name, weighted


def _is_link(node: Node) -> bool:
    """Whether a node is a linear operator with one input."""
    return not node.is_activation and node.op != "MaxPool" and len(node.inputs) == 1


def _reaches(graph: Graph, name: str, start: str) -> bool:
    """Whether the node `name` depends on `start`."""
    waiting = [name]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name == start:
            return True
        if name not in seen and name != graph.input:
            seen.add(name)
            waiting += graph.by_name[name].inputs
    return False


def fire_at_output(graph: Graph) -> tuple[Graph, str]:
    """Puts a Relu, named "output:fires", at the graph's output, so that the output fires, too.

    It stands in front of a Softmax. A graph whose output is an activation stays as it is. graph:
    the ANN. Returns (graph, note).
    """
    end = graph.by_name[graph.output]
    name = end.inputs[0] if end.op == "Softmax" else end.name
    if name in graph.by_name and graph.by_name[name].is_activation:
        return graph, ""
    relu = Node(fresh(f"{name}:fires", graph.shapes), "Relu", (name,))
    if end.op == "Softmax":
        nodes = (*graph.nodes[:-1], relu, replace(end, inputs=(relu.name,)))
        return _another(graph, nodes), OUTPUT_FIRES
    return _another(graph, (*graph.nodes, relu), relu.name), OUTPUT_FIRES


def activations_first(graph: Graph) -> tuple[Graph, str]:
    """Moves each MaxPool that only activations use behind these activations.

    Activations are monotone, so act(MaxPool(x)) = MaxPool(act(x)), exactly. Identity, Dropout and
    BatchNormalization are so, too, and may stand between the two. Where a scale is below 0 the
    order turns round, and the maximum of that channel becomes the minimum.

    graph: the ANN. Returns (graph, "").
    """
    graph = pools_by_activation(graph)
    pools = [node.name for node in graph.nodes if node.op == "MaxPool"]
    for pool in reversed(pools):
        chain = _to_activation(graph, graph.by_name[pool])
        if chain is not None:
            graph = _moved_last(graph, chain)
    return graph, ""


def _to_activation(graph: Graph, pool: Node) -> list[Node] | None:
    """The nodes from a MaxPool to the activation that alone uses it, or None."""
    chain = [pool]
    while not chain[-1].is_activation:
        users = _users(graph, chain[-1])
        if len(users) != 1 or not is_monotone(users[0]):
            return None
        chain.append(users[0])
    return chain


def _turned(pool: Node, norms: Iterable[Node]) -> Node:
    """A MaxPool on the other side of BatchNormalizations: exactly the same function.

    It pools the minimum of a channel for the maximum, and the other way round, where the product of
    the channel's scales is below 0.
    """
    minima = set(pool.attrs.get("minima", ()))
    for norm in norms:
        minima ^= set(np.flatnonzero(norm.params["scale"] < 0).tolist())
    return _with_minima(pool, minima)


def _with_minima(pool: Node, minima: Iterable[int]) -> Node:
    """A MaxPool that pools the minimum of these channels. pool: whose other attributes it has."""
    attrs = {key: value for key, value in pool.attrs.items() if key != "minima"}
    found = sorted(minima)
    return replace(pool, attrs=attrs | ({"minima": found} if found else {}))


def _moved_last(graph: Graph, chain: list[Node]) -> Graph:
    """The graph with the first node of a chain behind its last.

    chain: nodes, each the only user of the one before.
    """
    first = chain[0]
    last = chain[-1]
    moved = [
        replace(node, inputs=before.inputs if before is first else (before.name,))
        for before, node in zip(chain, chain[1:])
    ]
    norms = [node for node in chain if node.op == "BatchNormalization"]
    moved.append(replace(_turned(first, norms), inputs=(last.name,)))
    places = dict(zip((node.name for node in chain), moved))
    rewired = {last.name: first.name}
    nodes = []
    for node in graph.nodes:
        inputs = tuple(rewired.get(name, name) for name in node.inputs)
        nodes.append(places.get(node.name) or replace(node, inputs=inputs))
    output = rewired.get(graph.output, graph.output)
    return replace(graph, nodes=tuple(nodes), output=output)


def split_pools(graph: Graph) -> tuple[Graph, str]:
    """Moves each MaxPool in front of what joins, scales or shifts the activations that it pools.

    A MaxPool of a Concat becomes a Concat of MaxPools, one for each part; one of an Add whose parts
    rise and fall together an Add of them (`monotone`). A MaxPool of a BatchNormalization becomes a
    BatchNormalization of a MaxPool, exactly: max(BN(a)) = BN(max(a)), or BN(min(a)) where a
    channel's scale is below 0 (semantics, section 10), and padding never wins in either place.
    Zeros around activations become padding, and channels that move do so behind the pool
    (`pooled_moves`). The node that has the pool's values keeps its name; the pools are named
    "pool:part". graph: the ANN. Returns (graph, "").
    """
    split = _Split(graph)
    for node in graph.nodes:
        split.add(node)
    return replace(graph, nodes=tuple(split.nodes.values())), ""


class _Split:
    """The nodes of a graph, in which no MaxPool pools what can be pooled before.

    graph: the ANN. nodes: name -> node, of those added so far. shapes: of the graph's nodes.
    channels: name -> how many channels, of all nodes, old and new. name: the MaxPool's that is
    being added. made: (what is pooled, the channels of which the minimum) -> the node with those
    values.
    """

    def __init__(self, graph: Graph) -> None:
        self.nodes: dict[str, Node] = {}
        self.shapes = graph.shapes
        self.channels = {name: shape[0] for name, shape in graph.shapes.items()}

    def add(self, node: Node) -> None:
        """Adds a node: as it is, or as the nodes that take a MaxPool's place."""
        if node.op != "MaxPool":
            self.nodes[node.name] = node
            return
        self.name = node.name
        self.made: dict[tuple[str, tuple[int, ...]], str] = {}
        self._pooled(node, node.inputs[0], node.name)

    def _pooled(self, pool: Node, source: str, name: str = "") -> str:
        """The node with the values of the pool of `source`, which is made where there is none.

        pool: the MaxPool, whatever its input. name: what to call the node; "": find a name.
        """
        source = self._behind_identities(source)
        key = source, tuple(pool.attrs.get("minima", ()))
        if key not in self.made:
            name = name or fresh(f"{self.name}:{source}", self.channels)
            self.made[key] = name
            self.channels[name] = self.channels[source]
            self.nodes[name] = self._made(pool, source, name)
        return self.made[key]

    def _made(self, pool: Node, source: str, name: str) -> Node:
        """The node `name`, which has the values of the pool of `source`."""
        node = self.nodes.get(source)
        if node is not None and node.op == "BatchNormalization":
            pooled = self._pooled(_turned(pool, [node]), node.inputs[0])
            return replace(node, name=name, inputs=(pooled,))
        if node is not None and node.op == "Concat":
            return Node(name, "Concat", self._pooled_parts(pool, source), {"axis": 1})
        if node is not None and node.op == "Add":
            if rise_together(self.nodes, self.channels, node.inputs):
                parts = tuple(self._pooled(pool, part) for part in node.inputs)
                return replace(node, name=name, inputs=parts)
        if node is not None and node.op in ("Pad", "Index") and node.inputs[0] in self.shapes:
            found = pool_in_front(pool, node, self.shapes[node.inputs[0]], self.nodes)
            if found is not None and found[1] is None:
                return self._made(found[0], self._behind_identities(node.inputs[0]), name)
            if found is not None and found[1] is not None:
                pooled = self._pooled(found[0], node.inputs[0])
                return replace(found[1], name=name, inputs=(pooled,))
        return replace(pool, name=name, inputs=(source,))

    def _pooled_parts(self, pool: Node, source: str) -> tuple[str, ...]:
        """The nodes with the values of the pool of each part of a Concat."""
        names = []
        first = 0
        for part in self._parts(source):
            end = first + self.channels[part]
            minima = [c - first for c in pool.attrs.get("minima", ()) if first <= c < end]
            names.append(self._pooled(_with_minima(pool, minima), part))
            first = end
        return tuple(names)

    def _behind_identities(self, name: str) -> str:
        """The node whose values a node hands on."""
        while name in self.nodes and self.nodes[name].op in IDENTITIES:
            name = self.nodes[name].inputs[0]
        return name

    def _parts(self, name: str) -> list[str]:
        """What a node concatenates, also by way of others; any other node is itself the part."""
        name = self._behind_identities(name)
        if name not in self.nodes or self.nodes[name].op != "Concat":
            return [name]
        return [part for source in self.nodes[name].inputs for part in self._parts(source)]


def _users(graph: Graph, node: Node) -> list[Node]:
    """The nodes that use a node's output; none if it is also the graph's output."""
    if node.name == graph.output:
        return []
    return [user for user in graph.nodes if node.name in user.inputs]


def _another(graph: Graph, nodes: Iterable[Node], output: str | None = None) -> Graph:
    """The graph with other nodes, which compute another function.

    What was measured of the old one no longer holds, and is left out. output: None: as before.
    """
    meta = {k: v for k, v in graph.meta.items() if k != "test_accuracy"}
    return replace(graph, nodes=tuple(nodes), output=output or graph.output, meta=meta)
