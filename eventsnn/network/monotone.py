"""Max pooling beside sums whose parts rise and fall together, such as those of LeakyReLU.

A MaxPool of such a sum is the sum of MaxPools, exactly: all parts are largest in the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import MAX_NODES, Graph, Node, fresh
from eventsnn.ann.operators import IDENTITIES


def is_monotone(node: Node) -> bool:
    """Whether a node keeps the order of all values of a channel, or turns it round.

    node: of a graph.
    """
    return node.is_activation or node.op in ("BatchNormalization", *IDENTITIES)


def rise_together(
    nodes: Mapping[str, Node], channels: Mapping[str, int], names: Sequence[str]
) -> bool:
    """Whether nodes are functions of one node, value by value, that in each channel all rise or all
    fall.

    nodes: name -> node. channels: name -> how many channels. names: of nodes, or of the graph's
    input.
    """
    walks = [_walk(nodes, channels, name) for name in names]
    if len({(walk.source, walk.windows) for walk in walks}) > 1:
        return False
    return all(_agree(signs) for signs in zip(*[walk.signs for walk in walks]))


class _Walk(NamedTuple):
    """What a node is a monotone function of: a source, pooled in windows, by channel.

    source: the name of a node, or of the input. windows: of each MaxPool between, from the node on.
    signs: int [C] or [1] each, 1 where the node rises with its source and -1 where it falls; then
    1 where the first MaxPool takes the source's maximum and -1 where its minimum, and so on.
    """

    source: str
    windows: tuple[str, ...]
    signs: list[NDArray[np.float64]]


def _walk(nodes: Mapping[str, Node], channels: Mapping[str, int], name: str) -> _Walk:
    """The walk from a node back, through what is monotone and through MaxPools."""
    pieces = [np.ones(1)]  # how what lies behind each MaxPool, or the node, rises
    pools: list[NDArray[np.float64]] = []
    windows = []
    while name in nodes and (is_monotone(nodes[name]) or nodes[name].op == "MaxPool"):
        node = nodes[name]
        if node.op == "BatchNormalization":
            pieces[-1] = pieces[-1] * np.sign(np.asarray(node.params["scale"], np.float64))
        elif node.op == "MaxPool":
            attrs = {key: value for key, value in node.attrs.items() if key != "minima"}
            windows.append(str(sorted(attrs.items())))
            taken = np.ones(channels[name])
            taken[list(node.attrs.get("minima", ()))] = -1
            pools.append(taken)
            pieces.append(np.ones(1))
        name = node.inputs[0]
    signs = [reduce(np.multiply, pieces)]
    signs += [reduce(np.multiply, pieces[n:], taken) for n, taken in enumerate(pools, 1)]
    return _Walk(name, tuple(windows), signs)


def _agree(signs: Sequence[NDArray[np.float64]]) -> bool:
    """Whether no channel has signs of both kinds."""
    both = np.array(np.broadcast_arrays(*signs))
    return not ((both > 0).any(axis=0) & (both < 0).any(axis=0)).any()


def pools_by_activation(graph: Graph) -> Graph:
    """The graph with a MaxPool of its own for each activation that uses one.

    So it is where nothing but activations uses a MaxPool, directly or by way of
    BatchNormalizations: then each can change places with its activation (`passes`). graph: the ANN.
    """
    users: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in set(node.inputs):
            users.setdefault(name, []).append(node)
    for pool in [node for node in graph.nodes if node.op == "MaxPool"]:
        paths = _to_activations(graph, users, pool)
        if len(paths) > 1:
            graph = _taken_apart(graph, paths)
    return graph


def _to_activations(graph: Graph, users: Mapping[str, list[Node]], pool: Node) -> list[list[Node]]:
    """The paths from a MaxPool to the activations that use it; none where something else does."""
    paths = []
    waiting = [[pool]]
    length = 0
    while waiting:
        path = waiting.pop()
        end = path[-1]
        if end.is_activation:
            paths.append(path)
            continue
        following = users.get(end.name, [])
        length += len(path) * len(following)
        shared = end.name == graph.output or length > MAX_NODES
        if shared or not following or not all(map(is_monotone, following)):
            return []
        waiting += [[*path, user] for user in reversed(following)]
    return paths


def _taken_apart(graph: Graph, paths: list[list[Node]]) -> Graph:
    """The graph in which each path has nodes of its own, in front of its activation."""
    shared = {node.name for path in paths for node in path[:-1]}
    own = {path[-1].name: path for path in paths}
    names = dict(graph.shapes)
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name in own:
            before = own[node.name][0].inputs[0]
            for link in own[node.name][:-1]:
                name = fresh(f"{link.name}:{node.name}", names)
                names[name] = ()
                nodes.append(replace(link, name=name, inputs=(before,)))
                before = name
            node = replace(node, inputs=(before,))
        if node.name not in shared:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))
