"""Passes over the graph keep its function, or say that they do not; thresholds are what their rule
says.
"""

import numpy as np
import pytest
from support.networks import Builder, random_graph, random_pixels, turned

import eventsnn
from eventsnn import InputError, convert
from eventsnn.ann import forward as ann
from eventsnn.network import check, connect, linear, network, thresholds
from eventsnn.network import convert as conversion
from eventsnn.network.network import INPUT
from eventsnn.network.specification import DEAD

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
    assert check.deviation(network, pixels)[0] < 1e-12
    return network, pixels


def test_a_pool_of_an_activation_becomes_a_pool_layer():
    b = new()
    act = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS")
    pool = b.add("MaxPool", [b.add("Dropout", [act])], WIDE | {"strides": [2, 2]})
    network, _ = pooled_network(finish(b, b.activation(b.conv(pool), "QCFS")))
    neurons, pools, _, readout = network.layers
    assert [layer.pools for layer in network.layers] == [False, True, False, False]
    assert (pools.name, pools.node.op, pools.theta, pools.grid) == (
        pool,
        "MaxPool",
        neurons.theta,
        (3, 4, 4),
    ) and not pools.bias.any()
    assert [(p.source, p.target) for p in network.projections] == [(-1, 0), (0, 1), (1, 2), (2, 3)]
    window = network.projections[1].map
    assert (
        np.array_equal(window.blocks, np.ones((1, 3, 1, 1))) and np.bincount(window.r).min() == 4
    )  # padding is left out
    assert (
        network.spiking == network.layers[:3]
        and network.neurons == neurons.size + network.layers[2].size
    )
    assert [row["activation"] for row in network.table()] == ["QCFS", "MaxPool", "QCFS", "readout"]
    assert (
        network.synapses == 16 // 4 * 3 * 27 + 4 * network.layers[2].size
    )  # 3x3 kernels on 2x2 neurons; a window has no synapses


def test_largest_is_the_maximum_over_each_window():
    b = new(1)
    pool = b.add(
        "MaxPool",
        ["input"],
        {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 1, 0, 1], "dilations": [2, 1]},
    )
    x = np.random.default_rng(2).normal(size=(3, 2, 8, 8))
    expected = ann.apply(b.nodes[0], [x])
    found = linear.pooled(
        linear.max_pool(b.nodes[0], (2, 8, 8)), x.reshape(3, 2, -1).transpose(0, 2, 1)
    )
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
    assert network.graph.by_name[first].inputs == (act,) and set(network.graph.by_name) == set(
        graph.by_name
    )
    assert graph.by_name[act].attrs["lambda"] == network.layers[2].theta


def test_the_output_may_be_a_swapped_pool():
    b = new(4)
    act = b.activation(b.add("MaxPool", [b.conv(b.activation(b.conv("input")))], POOL))
    network, _ = pooled_network(b.graph(act))
    assert network.graph.output == network.layers[-2].name and network.layers[-2].pools


@pytest.mark.parametrize("why", ("a second user", "no activation", "a sum", "the input"))
def test_pools_that_cannot_be_exact_are_refused_with_a_way_out(why):
    b = new(5)
    act = b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]))
    other = b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]))
    conv = {"the input": "input", "a sum": b.add("Add", [act, other])}.get(why) or b.conv(act, 2)
    pool = b.add("MaxPool", [conv], POOL)
    y = b.activation(pool if why == "a second user" else b.conv(pool))
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
    assert (
        names[2:6] == [*parts, *(f"{again}:{part}" for part in parts)]
        and network.graph.by_name[pool].op == "Concat"
    )
    assert [(p.source, p.target) for p in network.projections if 2 <= p.target < 6] == [
        (0, 2),
        (1, 3),
        (2, 4),
        (3, 5),
    ]


def test_a_pool_of_a_batch_normalisation_stands_in_front_of_it():
    b = new(8)
    act = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS")
    norm = b.bn(b.add("Dropout", [act]))
    scale = b.nodes[-1].params["scale"]
    scale[0] = 0
    pool = b.add("MaxPool", [norm], WIDE | {"strides": [2, 2]})
    again = b.add("MaxPool", [b.bn(pool)], POOL)
    graph = finish(b, b.activation(b.conv(again, 3, 1)))
    network, pixels = pooled_network(graph)
    assert [layer.pools for layer in network.layers] == [False, True, True, False, False]
    # what has a name keeps its values
    before, after = (
        ann.forward(g, pixels, keep={act, again}, dtype=np.float64) for g in (graph, network.graph)
    )
    assert all(np.array_equal(before[name], after[name]) for name in (act, again))


def test_a_normalisation_with_other_users_stays_beside_the_pooled_one():
    b = new(9)
    norm = b.bn(b.activation(b.conv("input", 3)))
    pool = b.add("MaxPool", [norm], POOL)
    flat = [b.add("Flatten", [x]) for x in (norm, pool)]
    network, _ = pooled_network(b.graph(b.gemm(b.add("Concat", flat))))
    assert network.graph.by_name[norm].op == network.graph.by_name[pool].op == "BatchNormalization"


def test_a_pool_goes_through_normalisations_and_concatenations():
    """As in DenseNet: each part normalised, joined, normalised again and pooled."""
    b = new(10)
    acts = [b.activation(b.conv("input", n, pads=[1, 1, 1, 1])) for n in (2, 3)]
    joined = b.add("Concat", [b.bn(acts[0]), b.add("Concat", [acts[1], b.bn(acts[0])])])
    graph = finish(b, b.add("MaxPool", [b.bn(joined)], WIDE))
    network, _ = pooled_network(graph)
    assert [layer.pools for layer in network.layers] == [False, False, True, True, False]


@pytest.mark.parametrize("seed", range(3))
def test_an_output_at_equilibrium_is_the_networks_own(seed):
    """ST-BIF: the quantised network, also with a normalisation in front of a pool."""
    b = new(20 + seed)
    act = b.activation(b.conv("input", 3), "QuantRelu")
    graph = finish(b, b.add("MaxPool", [b.bn(act)], POOL))
    network, pixels = pooled_network(graph)
    result = network.run(pixels, steps=64, neuron="st-bif", encoding="even", arithmetic="float64")
    outputs = ann.forward(graph, graph.preprocessing(pixels), dtype=np.float64)[graph.output]
    assert np.allclose(result.readout(), outputs, atol=1e-9)


def minima_of(network):
    """Name of a pool layer -> the channels of which it sends the minimum."""
    return {
        layer.name: layer.node.attrs.get("minima", []) for layer in network.layers if layer.pools
    }


def test_a_pool_of_a_falling_normalisation_is_a_minimum():
    """A channel of scale 0 is a maximum; a second normalisation turns what the first turned."""
    b = new(11)
    norm = turned(b, b.activation(b.conv("input", 5, pads=[1, 1, 1, 1])), [1, 4], zero=[2])
    pool = b.add("MaxPool", [norm], WIDE)
    again = b.add("MaxPool", [turned(b, pool, [0, 4])], POOL)
    graph = finish(b, again)
    network, _ = pooled_network(graph)
    first, second = minima_of(network).values()
    assert (first, second) == ([1, 4], [0, 1])
    settings = {"thresholds": "max", "calibration": pixels_for(graph)}
    for one in (graph, network.graph):
        averages = convert(one, max_pooling="average", **settings).graph
        assert "minima" not in str([node.attrs for node in averages.nodes])


def test_a_pool_in_front_of_a_falling_normalisation_is_a_minimum_of_activations():
    b = new(12)
    pool = b.add("MaxPool", [b.conv("input", 4, pads=[1, 1, 1, 1])], WIDE | {"strides": [2, 2]})
    act = b.activation(turned(b, turned(b, pool, [1, 2]), [2, 3], zero=[0]), "QCFS")
    network, _ = pooled_network(finish(b, act))
    assert minima_of(network) == {pool: [1, 3]}


def test_each_part_of_a_concatenation_has_its_own_minima():
    """The same activation twice, by way of normalisations with and without scales below 0."""
    b = new(13)
    one, two = (b.activation(b.conv("input", n, pads=[1, 1, 1, 1])) for n in (2, 3))
    parts = [b.bn(one), two, turned(b, one, [1]), one]
    pool = b.add("MaxPool", [turned(b, b.add("Concat", parts), [1, 2, 4, 5, 6])], WIDE)
    network, _ = pooled_network(finish(b, pool))
    assert sorted(minima_of(network).values()) == [[], [0], [0, 2], [1]]
    assert [p.source for p in network.projections if network.layers[p.target].pools].count(1) == 1


def test_a_minimum_is_counted_step_by_step():
    """Two neurons in one window, of drive 1/4 and 3/4, without noise or rounding.

    After k steps they have fired floor(k / 4) and floor(3 k / 4) spikes. The pool sends the lesser
    in channel 0, whose scale is -2, and the greater in channel 1, whose scale is 4; the shifts are
    1 and 0, and the readout is the mean of what arrived. All numbers are whole eighths.
    """
    shape = {"kernel_shape": [1, 1]}
    vector = dict(input_mean=np.zeros(2, np.float32), input_var=np.ones(2, np.float32))
    vector |= dict(scale=np.float32([-2, 4]), B=np.float32([1, 0]))
    nodes = (
        eventsnn.Node("conv", "Conv", ("input",), shape, {"W": np.ones((2, 1, 1, 1), np.float32)}),
        eventsnn.Node("act", "Clip", ("conv",), {"min": 0, "max": 1.0}),
        eventsnn.Node("norm", "BatchNormalization", ("act",), {"epsilon": 0.0}, vector),
        eventsnn.Node("pool", "MaxPool", ("norm",), {"kernel_shape": [1, 2]}),
        eventsnn.Node("flat", "Flatten", ("pool",)),
    )
    graph = eventsnn.Graph(nodes, "input", "flat", (1, 1, 2))
    image = np.float32([[[[0.25, 0.75]]]])
    network = convert(graph, thresholds={"act": 1.0})
    steps = np.array([1, 2, 4, 8])
    less, more = steps // 4, 3 * steps // 4
    expected = np.stack([1 - 2 * less / steps, 4 * more / steps], axis=1)
    for settings in ({"engine": "clocked"}, {"engine": "event", "refractory": 1}):
        result = network.run(image, steps=8, initial=0, **settings)
        found = np.stack([result.readout(step)[0] for step in steps])
        assert np.array_equal(found, expected), settings


def test_the_check_notices_a_wrong_window():
    b = new(7)
    network = convert(finish(b, b.add("MaxPool", [b.activation(b.conv("input"))], POOL)))
    network.projections[1].map.p[0] += 1
    with pytest.raises(ArithmeticError, match="maxpool"):
        check.check(network, pixels_for(network.graph))


def theta_of(net, layer):
    """One threshold a neuron, in neuron order; 1 for the input."""
    if layer == INPUT:
        return np.ones(int(np.prod(net.graph.input_shape)))
    return np.broadcast_to(net.layers[layer].theta, net.layers[layer].bias.shape).reshape(-1)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("dead", DEAD)
def test_dni_scales_every_synapse_by_its_own_thresholds(seed, dead):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 12)
    layer_wise = convert(graph, calibration=pixels, thresholds="max")
    net = convert(graph, calibration=pixels, thresholds="dni", dead=dead)
    for old, new in zip(layer_wise.projections, net.projections):
        assert (old.source, old.target, old.map.blocks.shape[1:]) == (
            new.source,
            new.target,
            new.map.blocks.shape[1:],
        )
        raw = (
            old.map.dense()
            / theta_of(layer_wise, old.source)[:, None]
            * theta_of(layer_wise, old.target)
        )
        source, target = theta_of(net, new.source)[:, None], theta_of(net, new.target)
        expected = np.divide(raw * source, target, out=np.zeros_like(raw), where=target > 0)
        np.testing.assert_allclose(new.map.dense(), expected, rtol=1e-12)
    for old, new in zip(layer_wise.spiking, net.spiking):
        values = ann.forward(graph, pixels, keep=(old.name,))[old.name].astype(np.float64)
        most = values.max(axis=0).reshape(old.grid[0], -1).T
        assert new.theta.max() == old.theta == most.max() and new.theta.shape == old.bias.shape
        assert np.array_equal(
            new.theta, np.where(most, most, old.theta if dead == "layer_max" else 0)
        )
        assert np.allclose(
            new.bias * new.theta, np.where(new.theta, old.bias * old.theta, 0), rtol=1e-12
        )
    assert check.deviation(net, random_pixels(rng, graph, 3))[0] < 1e-12
    assert net.readout.theta == 1.0 and all(
        isinstance(layer.theta, float) for layer in layer_wise.layers
    )
    assert len(net.notes) == (
        dead == "silent" and any((layer.theta == 0).any() for layer in net.spiking)
    )


def dying_graph(b):
    """Channel 1 of 2 is never active; the readout's weights are ones."""
    x = b.activation(b.conv("input", 2), "Relu")
    b.nodes[0].params["W"][1], b.nodes[0].params["B"][1] = 0, -1
    return finish(b, x)


def test_neurons_never_active_on_calibration_images():
    graph = dying_graph(new(8, (1, 4, 4)))
    pixels = pixels_for(graph)
    largest, silent = (
        convert(graph, calibration=pixels, thresholds="dni", dead=dead) for dead in DEAD
    )
    layer = silent.layers[0]
    assert (
        largest.layers[0].theta[:, 1] == largest.layers[0].theta.max()
    ).all() and not largest.notes
    assert not layer.theta[:, 1].any() and not layer.bias[:, 1].any()
    assert f"{np.count_nonzero(layer.theta == 0)} neurons" in silent.notes[0]
    (drive, out), dead = (p.map.dense() for p in silent.projections), (layer.theta == 0).reshape(-1)
    assert (
        dead[1::2].all()
        and not drive[:, dead].any()
        and not out[dead].any()
        and drive[:, ~dead].any(axis=0).all()
    )
    assert (
        layer.scale == pytest.approx(layer.theta[layer.theta > 0].mean())
        and silent.table()[0]["theta"] == layer.scale
    )
    graph.nodes[0].params["B"][1] = 1  # now they are active, but stay silent
    changed = network.Network(silent.layers, silent.projections, graph)
    assert check.deviation(changed, pixels)[0] < 1e-12


def test_a_silent_layer_is_an_error_whatever_the_dead_do():
    graph = dying_graph(new(9, (1, 4, 4)))
    graph.nodes[0].params["W"][:], graph.nodes[0].params["B"][:] = 0, -1
    for dead in DEAD:
        with pytest.raises(InputError, match="silent on the calibration images"):
            convert(graph, calibration=pixels_for(graph), thresholds="dni", dead=dead)
    with pytest.raises(InputError, match="layer_max, silent"):
        convert(graph, dead="asleep")


def test_dni_says_how_many_weights_it_would_need(monkeypatch):
    graph = dying_graph(new(10, (1, 4, 4)))
    monkeypatch.setattr(connect, "MAX_WEIGHTS", 4 * 2 * 9 + 4 * 8)
    convert(graph, calibration=pixels_for(graph), thresholds="dni")
    monkeypatch.setattr(connect, "MAX_WEIGHTS", 4 * 2 * 9 + 4 * 8 - 1)
    with pytest.raises(InputError, match="104.*'percentile'"):
        convert(graph, calibration=pixels_for(graph), thresholds="dni")
    convert(graph, calibration=pixels_for(graph), thresholds="max")


def test_a_pool_counts_spikes_of_one_worth_only():
    b = new(11)
    graph = finish(b, b.add("MaxPool", [b.activation(b.conv("input", 2, 1), "ClippedRelu")], POOL))
    with pytest.raises(InputError, match="MaxPool.*thresholds from.*max_pooling='average'"):
        convert(graph, calibration=pixels_for(graph), thresholds="dni")
    bright = np.concatenate(
        [np.full((1, *graph.input_shape), sign * 1e3, np.float32) for sign in (1, -1)]
    )
    graph.nodes[0].params["W"][:] = np.abs(graph.nodes[0].params["W"])
    net = convert(graph, calibration=bright, thresholds="dni")  # every neuron clips at lambda
    assert (net.layers[1].theta == np.float32(graph.nodes[1].attrs["lambda"])).all() and net.layers[
        1
    ].theta.shape == (16, 2)
    assert (
        np.array_equal(net.projections[1].map.blocks, np.ones((1, 2, 1, 1)))
        and check.deviation(net, bright)[0] < 1e-12
    )


def residual_graph(b, op="QCFS"):
    """Two residual blocks: one with a convolution as shortcut, one with none; and the output,
    re-routed, built by hand.
    """
    built = {}
    for rerouted in (False, True):
        b.rng = np.random.default_rng(12)
        b.nodes = []
        b.shapes = {"input": b.shape}

        def join(branch, shortcut, own, b=b, rerouted=rerouted):
            if rerouted:
                return b.add(
                    "Add",
                    [b.activation(branch, op), b.activation(shortcut, op) if own else shortcut],
                )
            return b.activation(b.add("Add", [branch, shortcut]), op)

        x = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), op)
        branch = b.bn(
            b.conv(b.activation(b.conv(x, 3, pads=[1, 1, 1, 1]), op), 4, pads=[1, 1, 1, 1])
        )
        x = join(branch, b.bn(b.conv(x, 4, 1)), True)
        branch = b.bn(b.conv(b.activation(b.conv(x, 2, 1), op), 4, 1))
        x = join(branch, b.add("Identity", [x]), False)
        built[rerouted] = finish(b, x)
    return built[False], built[True]


def with_thresholds(graph, value=1.0):
    """All QCFS thresholds set to one value: the order in which they were drawn does not matter."""
    for node in graph.nodes:
        if node.op == "QCFS":
            node.attrs["lambda"] = value
    return graph


def test_residual_connections_are_rerouted_as_in_spikezip():
    graph, _ = residual_graph(new())
    changed, note = conversion.reroute(with_thresholds(graph))
    assert "2 residual connections" in note and set(changed.by_name) - set(graph.by_name) == {
        "qcfs9:shortcut"
    }
    one, two = (n for n in changed.nodes if n.op == "Add")
    assert one.inputs == ("qcfs9", "qcfs9:shortcut") and two.inputs == ("qcfs16", "identity14")
    assert changed.by_name["identity14"].inputs == (one.name,) and changed.by_name[
        "qcfs9:shortcut"
    ].inputs == ("batchnormalization7",)
    assert changed.by_name["flatten17"].inputs == (two.name,)
    pixels = pixels_for(graph)
    assert not same_function(graph, changed, pixels)
    net = convert(graph, residual="reroute")
    assert (
        net.notes == (note,) and [layer.name for layer in net.spiking].count("qcfs9:shortcut") == 1
    )
    assert check.deviation(net, pixels)[0] < 1e-12


@pytest.mark.parametrize("op", ("Relu", "QCFS"))
def test_a_rerouted_graph_computes_what_the_paper_draws(op):
    graph, by_hand = (with_thresholds(g) for g in residual_graph(new(), op))
    weights = iter([n.params for n in graph.nodes if n.params])
    for node in by_hand.nodes:
        if node.params:
            node.params.update(next(weights))
    assert same_function(conversion.reroute(graph)[0], by_hand, pixels_for(graph))


def test_an_output_behind_a_residual_block_and_parallel_paths():
    b = new(13)
    x = b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]), "QCFS")
    graph = b.graph(
        b.activation(b.add("Add", [x, b.conv(x, 2, pads=[1, 1, 1, 1])]), "QCFS")
    )  # a branch of one convolution
    changed, _ = conversion.reroute(graph)
    assert changed.output == "add3" and changed.by_name["add3"].inputs == ("qcfs4", x)
    parallel = b.graph(
        b.activation(b.add("Add", [b.conv(x, 2, 1), b.conv(x, 2, 1)]), "QCFS")
    )  # neither is a shortcut
    with pytest.raises(InputError, match="residual blocks.*residual='keep'"):
        convert(parallel, residual="reroute")
    with pytest.raises(InputError, match="keep, reroute"):
        convert(parallel, residual="drop")


@pytest.mark.parametrize("softmax", (False, True))
def test_the_output_fires_on_request(softmax):
    b = new(14)
    x = b.gemm(b.add("Flatten", [b.activation(b.conv("input"), "QCFS")]))
    graph = b.graph(b.add("Softmax", [x]) if softmax else x)
    pixels = pixels_for(graph)
    assert thresholds.needs_calibration(
        graph, "auto", "fires"
    ) and not thresholds.needs_calibration(graph, "auto")
    for rule in ("auto", "max", "dni"):
        net = convert(graph, readout="fires", thresholds=rule, calibration=pixels)
        fires, readout = net.layers[-2:]
        assert (
            fires.name == f"{x}:fires" and "output fires" in net.notes[0] and readout.node is None
        )
        logits = ann.forward(graph, pixels, keep=(x,))[x]
        if rule != "auto":
            assert np.max(fires.theta) == logits.max()
        worth = net.projections[-1].map.dense()
        assert (
            np.allclose(worth, np.diag(np.broadcast_to(fires.theta, (1, 4))[0]))
            and check.deviation(net, pixels)[0] < 1e-12
        )
    with pytest.raises(InputError, match="adds, fires"):
        convert(graph, readout="spikes")


def test_an_output_that_is_an_activation_fires_anyway():
    b = new(15)
    graph = b.graph(b.activation(b.conv(b.activation(b.conv("input"), "QCFS")), "QCFS"))
    assert (
        convert(graph, readout="fires").graph is not None
        and convert(graph, readout="fires").notes == ()
    )
    assert len(convert(graph, readout="fires").layers) == len(convert(graph).layers)


def test_a_pass_that_changes_the_function_forgets_the_accuracy_it_had():
    b = new(16)
    x = b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]), "QCFS")
    x = b.activation(b.add("Add", [x, b.conv(x, 2, pads=[1, 1, 1, 1])]), "QCFS")
    graph = finish(b, b.add("MaxPool", [x], POOL))
    graph.meta.update(arch="small", test_accuracy=0.5)
    pixels = pixels_for(graph)
    assert convert(graph).graph.meta == graph.meta
    for settings in (
        {"max_pooling": "average"},
        {"max_pooling": "average", "residual": "reroute"},
        {"readout": "fires"},
    ):
        net = convert(graph, calibration=pixels, **settings)
        assert net.graph.meta == {"arch": "small"} and len(net.notes) == len(settings)


def test_a_network_without_activations_has_no_neurons_unless_its_output_fires():
    b = new(shape=(2, 1, 1))
    graph = finish(b, "input")
    network = convert(graph)
    assert (network.spiking, network.neurons, network.thresholds) == ((), 0, "none")
    assert check.check(network, pixels_for(graph)) == (0, "readout")
    assert len(convert(graph, readout="fires", calibration=pixels_for(graph)).spiking) == 1
