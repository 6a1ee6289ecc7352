"""Index: values that only move, in the ANN, in the maps between layers, and in damaged files."""

import numpy as np
import pytest
from support.networks import MOVES, Builder
from support.oracle_cases import draw
from support.oracle_runs import Skipped, compared

from eventsnn import Graph, InputError, Node, convert
from eventsnn.ann import forward as ann
from eventsnn.ann.indexing import index_lists, index_of
from eventsnn.network.connect import connect

WHOLE = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "index",
    (
        WHOLE,
        WHOLE[1:, ::2, 1:],
        WHOLE[::-1, :, ::-1],
        WHOLE.transpose(2, 0, 1),
        WHOLE.reshape(4, 2, 3),
        np.pad(WHOLE, [(1, 2), (0, 1), (3, 0)], constant_values=-1),
        WHOLE.reshape(2, 3, 2, 2).transpose(0, 3, 1, 2).reshape(4, 3, 2),
        np.full((2, 1, 1), -1),
        WHOLE.transpose(1, 2, 0).reshape(-1),
        np.array([-1, 5, 5, 23]),
    ),
)
def test_lists_say_where_each_value_goes(index):
    node = Node("moved", "Index", ("x",), index_lists(index))
    assert (index_of(node) == index).all()
    x = np.random.default_rng(0).normal(size=(2, 2, 3, 4))
    expected = np.array([[image.ravel()[i] if i >= 0 else 0 for i in index.ravel()] for image in x])
    assert ann.apply(node, [x]).tolist() == expected.reshape(2, *index.shape).tolist()


def test_what_is_no_sum_of_three_lists_has_none():
    assert index_lists(np.array([[[0, 1], [1, 0]]])) is None
    assert index_lists(np.array([[[0, 1], [2, -1]]])) is None


@pytest.mark.parametrize(
    ("attrs", "words"),
    (
        ({}, "channels alone, or channels, rows and columns, found []"),
        ({"channels": [0], "rows": [0]}, "channels alone"),
        ({"channels": [24]}, "numbers below 24"),
        ({"channels": [12], "rows": [8], "columns": [0, 4]}, "numbers below 24"),
        ({"channels": [-2]}, "whole numbers from -1"),
        ({"channels": [0.5]}, "whole numbers"),
        ({"channels": [True]}, "whole numbers"),
        ({"channels": []}, "whole numbers"),
        ({"channels": 3}, "whole numbers"),
        ({"channels": [0] * 2**15, "rows": [0] * 2**10, "columns": [0] * 16}, "2^"),
    ),
)
def test_lists_that_fit_no_input_are_refused(attrs, words):
    with pytest.raises(InputError) as caught:
        Graph((Node("moved", "Index", ("x",), attrs),), "x", "moved", (2, 3, 4))
    assert words in str(caught.value) or "268,435,456" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_copied_value_is_no_synapse():
    b = Builder(np.random.default_rng(0), (3, 4, 4))
    x = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]))
    twice = b.add("Index", [x], index_lists(np.arange(48).reshape(3, 4, 4)[[0, 2, 2]]))
    graph = b.graph(b.gemm(b.add("Flatten", [twice]), 5))
    _, (_, projection) = connect(graph, {x: 1.0})
    assert projection.map.synapses == 2 * 16 * 5
    mixed = b.graph(b.gemm(b.add("Flatten", [x]), 5))
    assert connect(mixed, {x: 1.0})[1][1].map.synapses == 3 * 16 * 5


@pytest.mark.parametrize("kind", MOVES)
def test_moved_values_make_the_same_network_as_the_graph(kind):
    rng = np.random.default_rng(1)
    b = Builder(rng, (2, 5, 4))
    x = b.index(b.activation(b.bn(b.conv("input", 3, pads=[1, 1, 1, 1])), "QCFS"), kind)
    x = x if kind == "vector" else b.add("Flatten", [b.conv(x, 2, 2)])
    convert(b.graph(b.gemm(x)))  # which compares its maps with the graph


def test_networks_with_moved_values_are_equal_by_the_oracle():
    tried = 0
    for seed in range(8):
        case = draw(
            seed, families=("indexed",), models=("if", "snm"), orders=("clocked engine", "fifo")
        )
        try:
            assert not compared(case), f"{seed}: {case.words()}"
            tried += 1
        except Skipped:
            continue
    assert tried > 5
