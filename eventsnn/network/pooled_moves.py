"""Max pooling behind zeros that are put around a map, and behind channels that move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from eventsnn.ann.checks import Shape
from eventsnn.ann.graph import Node
from eventsnn.ann.indexing import ABSENT, AXES
from eventsnn.ann.operators import IDENTITIES
from eventsnn.ann.windows import spatial_pads, window_of
from eventsnn.exceptions import InputError

# what is 0 or more where all that it is made of is
KEEPING = ("MaxPool", "AveragePool", "GlobalAveragePool", "Pad", "Index", "Resize", "Concat", "Add")


def pool_in_front(
    pool: Node, node: Node, shape: Shape, nodes: Mapping[str, Node]
) -> tuple[Node, Node | None] | None:
    """(a MaxPool of a node's input, what has to stand behind it to give the pool of the node).

    Zeros around a map of values of 0 or more never win but where there is nothing else: they are
    the pool's own padding. Channels that move, and nothing else, move behind the pool as well as in
    front of it. pool: the MaxPool. node: what it pools. shape: of the node's input. nodes: name ->
    node. None where it cannot be; the second None where nothing has to stand behind.
    """
    if pool.attrs.get("minima") or len(shape) != 3:
        return None
    if node.op == "Pad":
        return _wider(pool, node, shape, nodes)
    return _moved_behind(pool, node, shape)


def _wider(
    pool: Node, pad: Node, shape: Shape, nodes: Mapping[str, Node]
) -> tuple[Node, None] | None:
    """The pool with a Pad's zeros as its own padding."""
    both = zip(pool.attrs.get("pads", (0, 0, 0, 0)), spatial_pads(pad))
    wider = replace(pool, attrs=pool.attrs | {"pads": [own + more for own, more in both]})
    try:
        window_of(wider, shape)
    except InputError:  # a window of zeros alone
        return None
    return (wider, None) if _is_positive(nodes, pad.inputs[0]) else None


def _is_positive(nodes: Mapping[str, Node], name: str) -> bool:
    """Whether a node's values are 0 or more, whatever the image is, as its operators tell."""
    waiting = {name}
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        node = nodes.get(name)
        if node is None or not (node.is_activation or node.op in (*KEEPING, *IDENTITIES)):
            return False
        if not node.is_activation and name not in seen:
            waiting |= set(node.inputs) - seen
        seen.add(name)
    return True


def _moved_behind(pool: Node, node: Node, shape: Shape) -> tuple[Node, Node] | None:
    """The pool of an Index's input, and the Index behind it, where channels alone move."""
    if "rows" not in node.attrs:
        return None
    channels, rows, columns = (np.asarray(node.attrs[key]) for key in AXES)
    _, height, width = shape
    size = height * width
    there = channels[channels != ABSENT]
    straight = np.array_equal(rows, np.arange(height) * width)
    if not (straight and np.array_equal(columns, np.arange(width)) and (there % size == 0).all()):
        return None
    rows_out, columns_out = window_of(pool, shape).out
    area = rows_out * columns_out
    moved = np.where(channels == ABSENT, ABSENT, channels // size * area)
    lists = (moved, np.arange(rows_out) * columns_out, np.arange(columns_out))
    attrs = {key: values.tolist() for key, values in zip(AXES, lists)}
    return pool, replace(node, attrs=attrs)
