"""The projections are the graph's linear paths, exactly: every operator, every way to join them."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from support.networks import (
    Builder,
    mobile_graph,
    random_graph,
    random_pixels,
    skipping_graph,
    yolo_graph,
)

from eventsnn import InputError, convert
from eventsnn.ann import forward as ann
from eventsnn.network import check, thresholds
from eventsnn.network.linear import compose, regroup
from eventsnn.network.network import INPUT
from eventsnn.simulation import arithmetic
from eventsnn.simulation import compile as tables
from eventsnn.simulation.simulation import Simulation


@pytest.mark.parametrize("seed", range(60))
def test_projections_equal_the_graph(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    assert check.deviation(convert(graph), random_pixels(rng, graph, 3))[0] < 1e-12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "settings", ({}, {"thresholds": "dni"}, {"readout": "fires"}, {"max_pooling": "average"})
)
def test_whole_architectures(seed, settings):
    rng = np.random.default_rng(seed)
    graphs = [mobile_graph(rng), skipping_graph(rng)]
    if "thresholds" not in settings:  # with one threshold a neuron spikes cannot be pooled
        graphs += [yolo_graph(rng, op) for op in ("Relu", "QCFS", "QuantRelu")]
    if "max_pooling" in settings:  # elsewhere it has no effect, and is refused
        graphs = [graph for graph in graphs if "MaxPool" in graph.count_operators()]
        assert graphs
    for graph in graphs:
        pixels = random_pixels(rng, graph, 6)
        network = convert(graph, calibration=pixels, **settings)
        assert check.deviation(network, pixels)[0] < 1e-12
        assert len(network.notes) == ("readout" in settings) + (
            "max_pooling" in settings and "MaxPool" in graph.count_operators()
        )
        if not network.notes:
            before, after = (ann.forward(g, pixels)[g.output] for g in (graph, network.graph))
            assert np.array_equal(before, after)


def test_the_parts_of_a_detector():
    rng = np.random.default_rng(4)
    network = convert(yolo_graph(rng, "QCFS"))
    pools = [i for i, layer in enumerate(network.layers) if layer.pools]
    assert len(pools) == 2 + 1 + 4 and all(len(network.into(i)) == 1 for i in pools)
    outgoing = [
        sum(p.source == i for p in network.projections) for i in range(len(network.spiking))
    ]
    assert max(outgoing) >= 4 and min(outgoing) == 1


def test_random_graphs_have_layers_with_several_targets():
    networks = [convert(random_graph(np.random.default_rng(seed))) for seed in range(60)]
    several = [
        any(sum(p.source == i for p in net.projections) > 1 for i in range(len(net.spiking)))
        for net in networks
    ]
    assert 15 < sum(several) < 45


def test_the_check_notices_a_wrong_weight():
    rng = np.random.default_rng(1)
    graph = random_graph(rng)
    network, pixels = convert(graph), random_pixels(rng, graph)
    *others, last = network.projections
    wrong = last.map.blocks.copy()
    wrong[0, 0, 0, 0] += 1e-3
    network = replace(
        network,
        projections=(*others, replace(last, map=replace(last.map, weights=wrong, factor=None))),
    )
    with pytest.raises(ArithmeticError, match="readout"):
        check.check(network, pixels)


@pytest.mark.parametrize("seed", range(20))
def test_the_check_may_take_some_images_at_a_time(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    network, pixels = convert(graph), random_pixels(rng, graph, 5)
    whole = check.deviation(network, pixels)
    monkeypatch.setattr(check, "CHUNK", 1)
    assert check.deviation(network, pixels) == whole


def with_weights(graph, dtype):
    nodes = (
        replace(node, params={role: array.astype(dtype) for role, array in node.params.items()})
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


@pytest.mark.parametrize("settings", ({}, {"thresholds": "dni"}))
@pytest.mark.parametrize("seed", range(20))
def test_weights_kept_in_float32_are_the_same_to_the_last_bit(seed, settings):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 3)
    kept, wide = (
        convert(with_weights(graph, dtype), calibration=pixels, **settings)
        for dtype in (np.float32, np.float64)
    )
    for a, b in zip(kept.projections, wide.projections, strict=True):
        assert b.map.factor is None and b.map.weights.dtype == a.map.blocks.dtype == np.float64
        assert all(
            np.array_equal(getattr(a.map, name), getattr(b.map, name))
            for name in ("p", "r", "k", "blocks")
        )


@pytest.mark.parametrize("transposed, most", ((0, 1.4), (1, 2.4)))
def test_memory_of_a_network_of_many_weights(transposed, most, monkeypatch):
    """Whole numbers for the engine, and a copy only where rows do not lie together; never all
    weights in float64.
    """
    monkeypatch.setattr(tables, "CHUNK", 2**16)
    monkeypatch.setattr(arithmetic, "CHUNK", 2**16)
    monkeypatch.setattr(ann, "WEIGHTS", 2**16)
    rng = np.random.default_rng(0)
    b = Builder(rng, (4, 8, 8))
    x = b.add("Flatten", [b.activation(b.conv("input", 64, pads=[1, 1, 1, 1]), "QCFS")])
    weight = b.weights(1024, 64 * 8 * 8)
    x = b.add(
        "Gemm",
        [x],
        {"transB": transposed},
        {"B": weight if transposed else np.ascontiguousarray(weight.T)},
    )
    graph = b.graph(b.gemm(b.activation(x, "QCFS")))
    pixels = random_pixels(rng, graph)
    tracemalloc.start()
    network = convert(graph)
    check.check(network, pixels)
    simulation = Simulation(network, steps=4, fraction_bits=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert weight.nbytes < simulation.engine.tables.weights.nbytes < peak < most * weight.nbytes


def test_batch_normalisation_behind_an_activation_is_exact_at_padded_borders():
    b = Builder(np.random.default_rng(2))
    x = b.bn(b.activation(b.conv("input", pads=[1, 1, 1, 1]), "QCFS"))
    x = b.activation(b.conv(x, 2, pads=[1, 1, 1, 1]), "QCFS")
    graph = b.graph(b.gemm(b.add("Flatten", [x])))
    network = convert(graph)
    bias = network.layers[1].bias.reshape(6, 6, 2)
    assert not np.allclose(bias[0, 0], bias[3, 3]) and np.allclose(bias[2, 2], bias[3, 3])
    assert check.deviation(network, random_pixels(np.random.default_rng(3), graph))[0] < 1e-12


def test_weights_are_shared_and_pooling_costs_nothing():
    b = Builder(np.random.default_rng(4), (2, 16, 16))
    x = b.activation(b.bn(b.conv("input", 4, pads=[1, 1, 1, 1])), "QCFS")
    x = b.add("AveragePool", [x], {"kernel_shape": [2, 2], "strides": [2, 2]})
    x = b.activation(b.bn(b.conv(x, 4, pads=[1, 1, 1, 1])), "QCFS")
    network = convert(b.graph(b.gemm(b.add("Flatten", [x]))))
    assert network.projections[1].map.blocks.shape == (9, 1, 4, 4)
    assert len(network.projections) == 3 and network.projections[0].source == INPUT


def test_flat_vectors_that_meet():
    b = Builder(np.random.default_rng(5))
    x = b.activation(b.conv("input", 2), "QCFS")
    y = b.activation(b.conv(x, 3), "QCFS")
    flat = b.add("Flatten", [x]), b.add("Flatten", [y])
    joined = b.add("Concat", flat)
    summed = b.add("Add", [b.add("Flatten", [b.conv(x, 2, 1)]), b.gemm(flat[1], 32)])
    output = b.add("Add", [b.gemm(b.bn(joined)), b.gemm(b.activation(summed, "QCFS"))])
    graph = b.graph(b.add("Softmax", [output]))
    assert (
        check.deviation(convert(graph), random_pixels(np.random.default_rng(6), graph))[0] < 1e-12
    )


def test_an_activation_as_output_is_read_out_spike_by_spike():
    b = Builder(np.random.default_rng(7))
    graph = b.graph(
        b.activation(b.gemm(b.add("Flatten", [b.activation(b.conv("input"), "QCFS")])), "QCFS")
    )
    network = convert(graph)
    assert network.layers[-1].name == "readout" and len(network.spiking) == 2
    assert np.allclose(network.projections[-1].map.blocks.ravel(), network.layers[1].theta)


def test_composition_is_matrix_multiplication():
    rng = np.random.default_rng(8)
    b = Builder(rng)
    b.activation(b.conv("input", 4, pads=[1, 1, 1, 1]), "QCFS")
    from eventsnn.network import linear

    first = linear.convolution(b.nodes[0], (2, 6, 6))
    pool = b.add(
        "AveragePool",
        [b.nodes[1].name],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    )
    then = linear.average_pool(b.nodes[2], (4, 6, 6))
    assert b.shapes[pool] == (4, 3, 3)
    assert np.allclose(compose(first, then).dense(), first.dense() @ then.dense(), atol=1e-12)
    x = rng.normal(size=(2, *first.dense().shape[:1]))
    assert np.allclose(first(x.reshape(2, 36, 2)).reshape(2, -1), x @ first.dense())


def test_regrouping_keeps_the_matrix():
    blocks = np.random.default_rng(9).normal(size=(2, 4, 1, 3))
    dense, half = regroup(blocks, 1), regroup(blocks, 2)
    assert half.shape == (2, 2, 2, 6) and np.array_equal(regroup(half, 1), dense)
    assert np.count_nonzero(dense) == blocks.size


def graph_with(op, attrs=None):
    b = Builder(np.random.default_rng(10))
    x = b.activation(b.conv("input", 2), "Relu")
    x = b.add(op, [x], attrs or {})
    return b.graph(b.gemm(b.add("Flatten", [x])))


def test_max_pooling_is_replaced_by_average_on_request():
    graph = graph_with("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]})
    pixels = random_pixels(np.random.default_rng(11), graph, 8)
    network = convert(graph, calibration=pixels, max_pooling="average")
    assert network.graph.nodes[2].op == "AveragePool" and "another function" in network.notes[0]
    assert check.deviation(network, pixels)[0] < 1e-12
    with pytest.raises(InputError, match="exact, average"):
        convert(graph, calibration=pixels, max_pooling="refuse")


def test_percentile_is_numpys_over_all_activations():
    graph = graph_with("Identity")
    pixels = random_pixels(np.random.default_rng(12), graph, 9)
    values = ann.forward(graph, pixels, keep=(graph.activations[0].name,))[
        graph.activations[0].name
    ]
    name = graph.activations[0].name
    for percentile in (80.0, 99.0, 99.9, 100.0):
        theta = thresholds.choose_thresholds(graph, "percentile", percentile, pixels)[name]
        assert theta == pytest.approx(
            np.percentile(values.astype(np.float64), percentile), rel=1e-6
        )
    assert thresholds.choose_thresholds(graph, "max", pixels=pixels)[name] == values.max()


def test_own_thresholds():
    b = Builder(np.random.default_rng(13))
    x = b.conv("input", 2)
    names = [b.activation(x, op) for op in ("ClippedRelu", "QCFS", "QuantRelu")]
    total = b.add("Add", [b.add("Add", names[:2]), names[2]])
    graph = b.graph(b.gemm(b.add("Flatten", [total])))
    thetas = thresholds.choose_thresholds(graph, "auto")
    assert [thetas[n] for n in names] == [
        graph.by_name[names[0]].attrs["lambda"],
        graph.by_name[names[1]].attrs["lambda"],
        graph.by_name[names[2]].attrs["scale"] * 4,
    ]
    with pytest.raises(InputError, match="QCFS.*'tcl'|tcl.*QCFS"):
        convert(graph, thresholds="tcl")


def test_thresholds_that_cannot_be_had():
    graph = graph_with("Identity")
    with pytest.raises(InputError, match="calibration"):
        convert(graph)
    silent = np.zeros((2, *graph.input_shape), np.float32)
    graph.nodes[0].params["W"][:], graph.nodes[0].params["B"][:] = 0, -1
    with pytest.raises(InputError, match="silent"):
        convert(graph, calibration=silent)


def test_neuron_numbers_are_channels_last():
    b = Builder(np.random.default_rng(15))
    layer = convert(
        b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv("input", 3), "QCFS")])))
    ).layers[0]
    assert (
        layer.grid == (3, 4, 4)
        and layer.neuron(2, 1, 3) == (1 * 4 + 3) * 3 + 2
        and layer.position(23) == (2, 1, 3)
    )
