"""Passes over the graph before it is converted.

Each takes a graph and returns (graph, note): the note says what the user should know, where the new
graph computes another function, and is empty where it computes the same one. Nodes keep their
names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from eventsnn.ann.graph import Graph, Node, fresh
from eventsnn.ann.operators import IDENTITIES
from eventsnn.exceptions import InputError

OUTPUT_FIRES = (
    "the output fires: values below 0 are read as 0, values above its threshold as the threshold"
)


def average_for_max(graph: Graph) -> tuple[Graph, str]:
    """Replaces each MaxPool by an AveragePool of the same window (TCL section II-B)."""
    count = sum(n.op == "MaxPool" for n in graph.nodes)
    if not count:
        return graph, ""
    nodes = (
        Node(n.name, "AveragePool", n.inputs, dict(n.attrs), {}) if n.op == "MaxPool" else n
        for n in graph.nodes
    )
    return _another(
        graph, nodes
    ), f"{count} MaxPool replaced by AveragePool: the network computes another function"


def reroute(graph: Graph) -> tuple[Graph, str]:
    """Adds shortcuts behind the activations of residual blocks (SpikeZIP section 3.3, fig. 3).

    act(branch + shortcut) becomes act(branch) + shortcut. A shortcut with parameters (a
    convolution, say) gets an activation like the block's, named "activation:shortcut". The paper
    trains the network in this form: one that was not has to be fine-tuned, or errs.
    """
    blocks = {
        block[0]: (node, *block[1:])
        for node in graph.activations
        if (block := _residual_block(graph, node))
    }
    if not blocks:
        raise InputError(
            graph.source,
            "residual blocks to re-route: an activation of the Add of a branch and its shortcut",
            "none",
            "choose residual='keep'",
        )
    nodes: list[Node] = []
    sums: dict[str, Node] = {}
    for node in graph.nodes:
        inputs = tuple(sums[name].name if name in sums else name for name in node.inputs)
        if node.name in blocks:  # the activation takes the Add's place, the Add the activation's
            activation, branch, weighted = blocks[node.name]
            shortcut = inputs[1 - branch]
            nodes.append(replace(activation, inputs=(inputs[branch],)))
            if weighted:
                nodes.append(
                    Node(
                        fresh(f"{activation.name}:shortcut", graph.shapes),
                        activation.op,
                        (shortcut,),
                        activation.attrs,
                    )
                )
                shortcut = nodes[-1].name
            sums[activation.name] = replace(node, inputs=(activation.name, shortcut))
        else:
            nodes.append(sums.get(node.name) or replace(node, inputs=inputs))
    output = sums[graph.output].name if graph.output in sums else graph.output
    return _another(graph, nodes, output), (
        f"{len(sums)} residual connections re-routed behind their activations: the network "
        "computes another function, unless it was trained so"
    )


def _residual_block(graph: Graph, activation: Node) -> tuple[str, int, bool] | None:
    """(name of the Add, which of its inputs is the branch, whether the shortcut has parameters), or
    None.
    """
    add = graph.by_name.get(activation.inputs[0])
    if add is None or add.op != "Add" or len(add.inputs) != 2 or _users(graph, add) != [activation]:
        return None
    (source, weighted), (other, other_weighted) = paths = [
        _path(graph, name) for name in add.inputs
    ]
    if source == other:
        return None if weighted == other_weighted else (add.name, int(other_weighted), False)
    for branch in (0, 1):
        if _reaches(graph, paths[branch][0], paths[1 - branch][0]):
            return add.name, branch, paths[1 - branch][1]
    return None


def _path(graph: Graph, name: str) -> tuple[str, bool]:
    """Where a path of linear operators with one input begins, and whether any of them has
    parameters.
    """
    weighted = False
    while (
        (node := graph.by_name.get(name))
        and not node.is_activation
        and node.op != "MaxPool"
        and len(node.inputs) == 1
    ):
        name, weighted = node.inputs[0], weighted or bool(node.params)
    return name, weighted


def _reaches(graph: Graph, name: str, start: str) -> bool:
    """Whether the node `name` depends on `start`."""
    waiting, seen = [name], set()
    while waiting:
        name = waiting.pop()
        if name == start:
            return True
        if name not in seen and name != graph.input:
            seen.add(name)
            waiting += graph.by_name[name].inputs
    return False


def fire_at_output(graph: Graph) -> tuple[Graph, str]:
    """Puts a Relu, "output:fires", at the graph's output (in front of a Softmax), so that the
    output fires, too.
    """
    end = graph.by_name[graph.output]
    name = end.inputs[0] if end.op == "Softmax" else end.name
    if name in graph.by_name and graph.by_name[name].is_activation:
        return graph, ""
    relu = Node(fresh(f"{name}:fires", graph.shapes), "Relu", (name,))
    if end.op == "Softmax":
        return _another(
            graph, (*graph.nodes[:-1], relu, replace(end, inputs=(relu.name,)))
        ), OUTPUT_FIRES
    return _another(graph, (*graph.nodes, relu), relu.name), OUTPUT_FIRES


def activations_first(graph: Graph) -> tuple[Graph, str]:
    """Moves each MaxPool that only an activation uses behind it.

    Activations are monotone, so act(MaxPool(x)) = MaxPool(act(x)), exactly; so are Identity,
    Dropout and BatchNormalization with scales above 0 between the two. Names stay.
    """
    for pool in reversed([node.name for node in graph.nodes if node.op == "MaxPool"]):
        chain = _to_activation(graph, graph.by_name[pool])
        graph = _moved_last(graph, chain) if chain else graph
    return graph, ""


def _to_activation(graph: Graph, pool: Node) -> list[Node] | None:
    """The nodes from a MaxPool to the activation that alone uses it, or None."""
    chain = [pool]
    while not chain[-1].is_activation:
        users = _users(graph, chain[-1])
        if len(users) != 1 or not _increases(users[0]):
            return None
        chain.append(users[0])
    return chain


def _increases(node: Node) -> bool:
    """Whether a node keeps the order of any two values of a channel."""
    if node.op == "BatchNormalization":
        return bool((node.params["scale"] > 0).all())
    return node.is_activation or node.op in IDENTITIES


def _moved_last(graph: Graph, chain: list[Node]) -> Graph:
    """The graph with the first node of a chain (each the only user of the one before) behind the
    last.
    """
    first, last = chain[0], chain[-1]
    moved = [
        replace(node, inputs=before.inputs if before is first else (before.name,))
        for before, node in zip(chain, chain[1:])
    ]
    moved.append(replace(first, inputs=(last.name,)))
    places = dict(zip((node.name for node in chain), moved))
    rewired = {last.name: first.name}
    nodes = tuple(
        places.get(n.name) or replace(n, inputs=tuple(rewired.get(i, i) for i in n.inputs))
        for n in graph.nodes
    )
    return replace(graph, nodes=nodes, output=rewired.get(graph.output, graph.output))


def split_pools(graph: Graph) -> tuple[Graph, str]:
    """Makes each MaxPool of a Concat a Concat, under its name, of MaxPools named "pool:part"."""
    nodes: dict[str, Node] = {}

    def parts(name: str) -> tuple[str, ...]:
        node = nodes.get(name)
        if node is None or node.op not in ("Concat", *IDENTITIES):
            return (name,)
        return tuple(part for source in node.inputs for part in parts(source))

    for node in graph.nodes:
        if node.op == "MaxPool":
            node = replace(node, inputs=parts(node.inputs[0]))
        if len(node.inputs) > 1 and node.op == "MaxPool":
            names = {}
            for part in dict.fromkeys(node.inputs):
                name = names[part] = fresh(f"{node.name}:{part}", (*graph.shapes, *nodes))
                nodes[name] = replace(node, name=name, inputs=(part,))
            node = Node(
                node.name, "Concat", tuple(names[part] for part in node.inputs), {"axis": 1}
            )
        nodes[node.name] = node
    return replace(graph, nodes=tuple(nodes.values())), ""


def _users(graph: Graph, node: Node) -> list[Node]:
    """The nodes that use a node's output; none if it is also the graph's output."""
    return [] if node.name == graph.output else [n for n in graph.nodes if node.name in n.inputs]


def _another(
    graph: Graph,
    nodes: Iterable[Node],
    output: str | None = None,
) -> Graph:
    """The graph with other nodes, which compute another function: what was measured of it no longer
    holds.
    """
    meta = {k: v for k, v in graph.meta.items() if k != "test_accuracy"}
    return replace(graph, nodes=tuple(nodes), output=output or graph.output, meta=meta)
