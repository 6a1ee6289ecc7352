"""The map of an Index node: values that move to other sites and channels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Node
from eventsnn.ann.indexing import index_of
from eventsnn.exceptions import InputError
from eventsnn.network.linear import MAX_PAIRS, Grid, LinearMap, make_map

MAX_BLOCKS = 2**27  # weights of all blocks


def index_map(node: Node, grid: Grid, target: Grid) -> LinearMap:
    """The LinearMap of an Index node: a block of ones and nothing for each way channels move.

    A value that moves makes no synapse: between two neurons there is one where the graph has a path
    (semantics, section 11). node: the node. grid, target: (C, H, W) of its input and output. Raises
    InputError where more than 2^26 values move, and for blocks of more than 2^27 weights.
    """
    if math.prod(target) > MAX_PAIRS:
        expected = f"at most {MAX_PAIRS:,} values that move"
        raise InputError("index", expected, f"{math.prod(target):,}")
    sites = (grid[1] * grid[2], target[1] * target[2])
    # by target: site by site, channels last
    index = index_of(node).reshape(target[0], sites[1]).T.reshape(-1)
    at = np.flatnonzero(index >= 0)
    r, co = np.divmod(at, target[0])
    ci, p = np.divmod(index[at], sites[0])
    order = np.lexsort((p, r))
    r, co, ci, p = r[order], co[order], ci[order], p[order]
    first = np.ones(len(r), bool)
    first[1:] = (r[1:] != r[:-1]) | (p[1:] != p[:-1])
    starts = np.flatnonzero(first)
    k, kinds = _kinds(ci * target[0] + co, starts)
    stay = grid[0] == target[0] and bool((ci == co).all())
    blocks = _blocks(kinds, grid[0], target[0], stay)
    exists = blocks > 0
    return make_map(sites, p[starts], r[starts], k, blocks, None if exists.all() else exists)


def _kinds(
    moves: NDArray[np.int64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """(the kind of each stretch of moves, the moves of each kind).

    moves: source channel times target channels plus target channel, int64. starts: where each
    stretch begins. Stretches of the same moves are of one kind.
    """
    numbers: dict[bytes, int] = {}
    kinds: list[NDArray[np.int64]] = []
    k = np.empty(len(starts), np.int64)
    for i, part in enumerate(np.split(moves, starts[1:]) if len(starts) else []):
        k[i] = numbers.setdefault(part.tobytes(), len(numbers))
        if len(kinds) < len(numbers):
            kinds.append(part)
    return k, kinds


def _blocks(
    kinds: list[NDArray[np.int64]], source: int, target: int, stay: bool
) -> NDArray[np.float64]:
    """Ones where the channels of each kind move, 0 elsewhere: [K, 1, source, target].

    kinds: as `_kinds` has them. stay: whether each channel stays what it is; then the blocks are
    scalings, [K, C, 1, 1].
    """
    size = source if stay else source * target
    if len(kinds) * size > MAX_BLOCKS:
        raise InputError(
            "index",
            f"at most {MAX_BLOCKS:,} weights in blocks of moved values",
            f"{len(kinds) * size:,}",
            "move the values of a smaller map, or the weights of the layer behind it",
        )
    blocks = np.zeros((len(kinds), size))
    for block, moves in zip(blocks, kinds):
        block[moves // target if stay else moves] = 1
    return blocks.reshape(len(kinds), *((source, 1, 1) if stay else (1, source, target)))
