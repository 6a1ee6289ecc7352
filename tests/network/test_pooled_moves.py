"""Exact max pooling behind zeros around a map, and behind channels that move."""

import numpy as np
import pytest
from support.networks import Builder, random_pixels

from eventsnn import InputError, convert
from eventsnn.ann import forward as ann
from eventsnn.ann.indexing import index_lists
from eventsnn.network import check, passes

POOL = {"kernel_shape": [3, 3], "strides": [2, 2]}


def graph_of(rng, step, pool=POOL):
    """An activation, a step, a MaxPool and an output."""
    b = Builder(rng, (2, 6, 6))
    x = step(b, b.activation(b.conv("input", 4, pads=[1, 1, 1, 1])))
    return b.graph(b.gemm(b.add("Flatten", [b.add("MaxPool", [x], pool)])))


def padded(b, x):
    return b.add("Pad", [x], {"pads": [1, 1, 1, 0]})


def joined_and_padded(b, x):
    return padded(b, b.add("Concat", [x, b.activation(b.conv(x, 2, pads=[1, 1, 1, 1]))]))


def moved(b, x):
    whole = np.arange(144).reshape(4, 6, 6)
    return b.add(
        "Index", [x], index_lists(np.concatenate([whole[[2, 0, 2]], -np.ones_like(whole[:1])]))
    )


def moved_and_padded(b, x):
    return padded(b, moved(b, x))


@pytest.mark.parametrize("step", (padded, joined_and_padded, moved, moved_and_padded))
@pytest.mark.parametrize("pads", ([0, 0, 0, 0], [1, 0, 0, 1]))
def test_the_pool_of_moved_activations_is_exact(step, pads):
    rng = np.random.default_rng(3)
    graph = graph_of(rng, step, POOL | {"pads": pads})
    pixels = random_pixels(rng, graph, 3)
    changed, note = passes.split_pools(graph)
    before, after = (ann.forward(g, pixels)[g.output] for g in (graph, changed))
    assert not note and np.array_equal(before, after)
    assert check.deviation(convert(graph), pixels)[0] < 1e-12


def test_zeros_around_what_may_be_below_0_are_no_padding():
    rng = np.random.default_rng(3)
    for step in (lambda b, x: padded(b, b.bn(x)), lambda b, x: padded(b, b.conv(x, 3, 1))):
        with pytest.raises(InputError, match="an activation or another MaxPool in front of it"):
            convert(graph_of(rng, step))


def test_a_window_of_zeros_alone_is_refused():
    def far(b, x):
        return b.add("Pad", [x], {"pads": [3, 3, 3, 3]})

    with pytest.raises(InputError, match="an activation or another MaxPool in front of it"):
        convert(graph_of(np.random.default_rng(3), far))


def test_values_that_change_places_are_refused_in_front_of_a_pool():
    def turned(b, x):
        return b.index(x, "turned")

    with pytest.raises(InputError, match="an activation or another MaxPool in front of it"):
        convert(graph_of(np.random.default_rng(3), turned))
