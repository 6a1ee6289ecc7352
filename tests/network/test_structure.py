"""Where the graph has no path there is no synapse (semantics, section 11)."""

import numpy as np
import pytest
from support.networks import Builder, random_pixels
from support.paths import paths
from support.ways import STEPS, assert_same, both

from eventsnn import convert
from eventsnn.network.network import INPUT


def of_branches(rng):
    """A Concat in front of an activation: each branch has channels of its own."""
    b = Builder(rng, (2, 4, 4))
    x = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]))
    wide, point = b.conv(x, 2, pads=[1, 1, 1, 1]), b.conv(x, 3, 1)
    return b.graph(b.gemm(b.add("Flatten", [b.activation(b.add("Concat", [wide, point, x]))])))


def of_the_input(rng):
    """The input concatenated with what is made of it."""
    b = Builder(rng, (2, 4, 4))
    joined = b.add("Concat", ["input", b.conv("input", 2, pads=[1, 1, 1, 1])])
    return b.graph(b.gemm(b.add("Flatten", [b.activation(b.bn(joined))])))


def of_groups(rng):
    """Groups that do not divide each other."""
    b = Builder(rng, (2, 3, 3))
    x = b.activation(b.conv("input", 12, 1))
    y = b.conv(b.conv(x, 12, 1, group=4), 12, 1, group=6)
    return b.graph(b.gemm(b.add("Flatten", [b.activation(y)])))


def of_vectors(rng):
    """Maps flattened, joined and activated."""
    b = Builder(rng, (2, 4, 4))
    x = b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]))
    small = b.conv(x, 3, 2, strides=[2, 2])
    vectors = [b.add("Flatten", [x]), b.add("Flatten", [small])]
    return b.graph(b.gemm(b.activation(b.add("Concat", vectors))))


GRAPHS = [of_branches, of_the_input, of_groups, of_vectors]


@pytest.mark.parametrize("case", ["fifo", "window, fifo"])
@pytest.mark.parametrize("make", GRAPHS)
def test_spikes_open_windows_at_synapses_alone(make, case):
    assert_same(*both(21, case, "if", make=make))


@pytest.mark.parametrize("make", GRAPHS)
def test_operations_are_paths(make):
    rng = np.random.default_rng(22)
    graph = make(rng)
    network, pixels = convert(graph), random_pixels(rng, graph, 2)
    exists = paths(network)
    of_neurons = [there.sum() for (source, _), there in exists.items() if source != INPUT]
    assert network.synapses == sum(of_neurons)
    ends = np.cumsum([layer.size for layer in network.layers])[:-1]
    for engine in ("clocked", "event"):
        batch = network.run(pixels, steps=STEPS, neurons=True, engine=engine).batch
        counts = np.split(batch.counts, ends, axis=1)
        for target in range(len(network.layers)):
            expected = np.zeros(len(pixels), np.int64)
            for (source, to), there in exists.items():
                if to == target and source != INPUT:
                    expected += counts[source] @ there.sum(axis=0)
            assert np.array_equal(batch.operations[:, target].sum(axis=1), expected)


def test_how_many_paths_there_are():
    """By hand: 4 x 4 sites; a source channel reaches 2 of 9 places, 3 of one, and itself."""
    network = convert(of_branches(np.random.default_rng(0)))
    places = (4 + 3 + 3) ** 2  # of a 3 x 3 window on 4 x 4 sites, without its borders
    assert int(paths(network)[0, 1].sum()) == 3 * (2 * places + 3 * 16 + 16)
    exists = next(p.map for p in network.projections if p.source == 0 and p.target == 1)
    assert int(exists.exists[exists.k].sum()) == 3 * (2 * places + 3 * 16 + 16)
