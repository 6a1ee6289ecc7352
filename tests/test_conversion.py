"""Passes over the graph keep its function, or say that they do not; thresholds are what their rule says."""
import numpy as np
import pytest
from networks import Builder, random_pixels

from eventsnn import InputError, ann, conversion, convert

POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
WIDE = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}


def new(seed=0, shape=(2, 8, 8)):
    return Builder(np.random.default_rng(seed), shape)


def finish(b, x):
    return b.graph(b.gemm(b.add("Flatten", [x])))


def pixels_for(graph, seed=1, count=6):
    return random_pixels(np.random.default_rng(seed), graph, count)


def same_function(a, b, pixels):
    return np.array_equal(ann.forward(a, pixels)[a.output], ann.forward(b, pixels)[b.output])


def pooled_network(graph, **settings):
    """The converted network, checked against the graph, and the images it was checked with."""
    pixels = pixels_for(graph)
    network = convert(graph, calibration=pixels, **settings)
    assert same_function(graph, network.graph, pixels) and not network.notes
    assert conversion.deviation(network, pixels)[0] < 1e-12
    return network, pixels


def test_a_pool_of_an_activation_becomes_a_pool_layer():
    b = new()
    act = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS")
    pool = b.add("MaxPool", [b.add("Dropout", [act])], WIDE | {"strides": [2, 2]})
    network, _ = pooled_network(finish(b, b.activation(b.conv(pool), "QCFS")))
    neurons, pools, _, readout = network.layers
    assert [layer.pools for layer in network.layers] == [False, True, False, False]
    assert (pools.name, pools.node.op, pools.theta, pools.grid) == (pool, "MaxPool", neurons.theta, (3, 4, 4)) and not pools.bias.any()
    assert [(p.source, p.target) for p in network.projections] == [(-1, 0), (0, 1), (1, 2), (2, 3)]
    window = network.projections[1].map
    assert np.array_equal(window.blocks, np.ones((1, 3, 1, 1))) and np.bincount(window.r).min() == 4  # padding is left out
    assert network.spiking == network.layers[:3] and network.neurons == neurons.size + network.layers[2].size
    assert [row["activation"] for row in network.table()] == ["QCFS", "MaxPool", "QCFS", "readout"]
    assert network.synapses == 16 // 4 * 3 * 27 + 4 * network.layers[2].size  # 3x3 kernels on 2x2 neurons; a window has no synapses


def test_largest_is_the_maximum_over_each_window():
    b = new(1)
    pool = b.add("MaxPool", ["input"], {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 1, 0, 1], "dilations": [2, 1]})
    x = np.random.default_rng(2).normal(size=(3, 2, 8, 8))
    expected = ann.apply(b.nodes[0], [x])
    found = conversion.linear.largest(conversion.linear.max_pool(b.nodes[0], (2, 8, 8)), x.reshape(3, 2, -1).transpose(0, 2, 1))
    assert np.array_equal(found.transpose(0, 2, 1).reshape(3, *b.shapes[pool]), expected)


def test_a_pool_before_an_activation_is_swapped_with_it():
    b = new(3)
    conv = b.conv("input", 3, pads=[1, 1, 1, 1])
    first = b.add("MaxPool", [conv], WIDE)
    second = b.add("MaxPool", [b.bn(b.add("Identity", [first]))], POOL)
    act = b.activation(b.add("Dropout", [b.bn(second)]), "QCFS")
    graph = finish(b, act)
    network, _ = pooled_network(graph)
    assert [layer.name for layer in network.layers] == [act, first, second, "readout"]
    assert network.graph.by_name[first].inputs == (act,) and set(network.graph.by_name) == set(graph.by_name)
    assert graph.by_name[act].attrs["lambda"] == network.layers[2].theta


def test_the_output_may_be_a_swapped_pool():
    b = new(4)
    act = b.activation(b.add("MaxPool", [b.conv(b.activation(b.conv("input")))], POOL))
    network, _ = pooled_network(b.graph(act))
    assert network.graph.output == network.layers[-2].name and network.layers[-2].pools


@pytest.mark.parametrize("why", ("falling batch normalisation", "a second user", "no activation", "a sum", "the input"))
def test_pools_that_cannot_be_exact_are_refused_with_a_way_out(why):
    b = new(5)
    act = b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]))
    conv = {"the input": "input", "a sum": b.add("Add", [act, act])}.get(why) or b.conv(act, 2)
    pool = b.add("MaxPool", [conv], POOL)
    x = b.bn(pool) if why == "falling batch normalisation" else pool
    b.nodes[-1].params.get("scale", np.ones(1))[0] = -1  # of the batch normalisation
    if why in ("no activation", "a sum", "the input"):
        x = b.conv(pool)
    y = b.activation(x)
    flat = [b.add("Flatten", [y])] + ([b.add("Flatten", [pool])] if why == "a second user" else [])
    graph = b.graph(b.gemm(b.add("Concat", flat)))
    with pytest.raises(InputError, match="MaxPool.*activation.*max_pooling='average'"):
        convert(graph)
    assert len(convert(graph, max_pooling="average").notes) == 1


def test_a_pool_of_a_concatenation_is_a_concatenation_of_pools():
    b = new(6)
    one, two = (b.activation(b.conv("input", n, pads=[1, 1, 1, 1])) for n in (2, 3))
    inner = b.add("Concat", [b.add("Dropout", [two]), one])
    joined = b.add("Concat", [one, inner])
    pool = b.add("MaxPool", [joined], WIDE)
    again = b.add("MaxPool", [pool], WIDE)
    graph = finish(b, b.activation(b.conv(b.add("Concat", [joined, pool, again]), 3)))
    network, _ = pooled_network(graph)
    names = [layer.name for layer in network.layers]
    parts = [f"{pool}:{one}", f"{pool}:{two}"]
    assert names[2:6] == [*parts, *(f"{again}:{part}" for part in parts)] and network.graph.by_name[pool].op == "Concat"
    assert [(p.source, p.target) for p in network.projections if 2 <= p.target < 6] == [(0, 2), (1, 3), (2, 4), (3, 5)]


def test_the_check_notices_a_wrong_window():
    b = new(7)
    network = convert(finish(b, b.add("MaxPool", [b.activation(b.conv("input"))], POOL)))
    network.projections[1].map.p[0] += 1
    with pytest.raises(ArithmeticError, match="maxpool"):
        conversion.check(network, pixels_for(network.graph))
