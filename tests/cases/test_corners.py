"""Corners that an independent simulator found: T_eq, members, padding, flat layers, no events."""

import numpy as np
import pytest
from support.networks import Builder
from support.ways import STEPS, both

from eventsnn import Encoding, InputError, Simulation, Time, convert, simulate
from eventsnn.ann import forward as ann
from eventsnn.network.network import neuron_number
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.trace import record


def two_layers(shape=(1, 1, 1), weight=1.0):
    """A chain of two neurons of threshold 1 for each pixel, and a readout."""
    b = Builder(np.random.default_rng(0), shape)
    x = "input"
    for _ in range(2):
        x = b.activation(x, "Relu")
        kernel = np.full((1, 1, 1, 1), weight, np.float32)
        x = b.add("Conv", [x], {"kernel_shape": [1, 1]}, {"W": kernel})
    graph = b.graph(x)
    return convert(graph, thresholds={node.name: 1.0 for node in graph.activations})


def delayed(delay, steps, weight=1.0):
    """T_eq of one spike in step 1 whose delivery takes so many steps, without a barrier."""
    network = two_layers(weight=weight)
    time = Time(order="delays", delays=[np.array([delay]), np.zeros(1)], barrier=False)
    simulation = Simulation(
        network,
        steps=steps,
        engine="event",
        time=time,
        initial=0,
        encoding=Encoding(kind="even", release=1),
        pixel_range=(0, 1),
    )
    return int(simulation.run(np.ones((1, 1, 1, 1), np.float32)).t_eq[0])


def test_equilibrium_time_counts_what_arrives_and_what_is_under_way():
    assert delayed(0.5, 8) == 1
    assert delayed(2.5, 8, weight=0.25) == 3  # it arrives, and nothing fires
    assert delayed(2.5, 8, weight=0) == 3  # a synapse of weight 0 is one
    assert delayed(7.5, 8, weight=0.25) == 8
    assert delayed(8.5, 8, weight=0.25) == 8  # it does not arrive: not at rest
    assert delayed(20, 8) == 8


@pytest.mark.parametrize("seed", range(6))
def test_equilibrium_time_of_a_free_network_is_the_twins(seed):
    once = Encoding(kind="even", release=1)
    simulation, run, _, outcome = both(seed, "free-running", "if", encoding=once)
    found = simulation.engine.outcome(run)
    t_eq = simulation.equilibrium(
        found.spikes, found.operations, found.drive, None, found.under_way
    )
    assert t_eq == outcome.t_eq and found.under_way >= outcome.under_way
    assert not outcome.under_way or t_eq == STEPS


def test_the_last_of_256_members_is_recorded(tmp_path):
    network = two_layers()
    simulation = Simulation(
        network, steps=1, engine="event", neuron="gn", tau=256, initial=0, pixel_range=(0, 1)
    )
    image = np.ones((1, 1, 1), np.float32)
    _, trace = record(simulation, image)
    assert trace.spikes["member"][:256].tolist() == list(range(1, 257))
    sink = TraceFile(tmp_path / "trace-0.h5", simulation, 0)
    simulation.image(image, 0, sink)
    again = read_trace(tmp_path / "trace-0.h5", simulation).spikes
    assert again["member"].tolist() == trace.spikes["member"].tolist()


def on_padding(activation):
    """A convolution of which every window is on padding, behind the input or an activation."""
    b = Builder(np.random.default_rng(1), (2, 1, 1))
    x = b.activation(b.conv("input", 3, 1), "ClippedRelu") if activation else "input"
    x = b.conv(x, 3, 1, pads=[1, 1, 1, 1], strides=[2, 2])
    b.nodes[-1].params["B"][:] = 0.3, 0.2, 0.5
    x = b.activation(x, "ClippedRelu")
    return b.graph(b.gemm(b.add("Flatten", [x])))


@pytest.mark.parametrize("engine", ["clocked", "event"])
@pytest.mark.parametrize("activation", [False, True])
def test_a_convolution_that_sees_padding_alone_gives_its_bias(activation, engine):
    graph = on_padding(activation)
    network = convert(graph)
    pixels = np.random.default_rng(0).random((2, 2, 1, 1)).astype(np.float32)
    result = simulate(network, pixels, steps=256, engine=engine)
    expected = ann.forward(graph, pixels)[graph.output]
    assert np.abs(result.readout() - expected).max() < 0.02 and result.spikes[:, -2].any()
    i = len(network.layers) - 2
    assert network.into(i) == [] and (network.layers[i].bias != 0).all()


def test_an_output_of_padding_alone_is_refused():
    b = Builder(np.random.default_rng(1), (2, 1, 1))
    x = b.activation(b.conv("input", 3, 1), "ClippedRelu")
    graph = b.graph(b.conv(x, 3, 1, pads=[1, 1, 1, 1], strides=[2, 2]))
    expected = "an output that depends on the input, found an output that depends on biases alone"
    with pytest.raises(InputError, match=expected):
        convert(graph)


def test_neurons_of_a_flat_layer_are_found_by_the_vectors_index():
    b = Builder(np.random.default_rng(2), (2, 3, 4))
    flat = b.add("Flatten", [b.conv("input", 3, pads=[1, 1, 1, 1])])
    name = b.activation(flat, "ClippedRelu")
    graph = b.graph(b.gemm(name))
    network = convert(graph)
    layer = network.layers[0]
    assert layer.flat and not network.readout.flat
    (note,) = network.notes
    assert note == (
        f"layer '{name}' is a flat vector in the graph, channels first; its neurons are numbered "
        "(y * W + x) * C + c on the map of 3x3x4 before it, and (i,) stands for index i of the "
        "vector"
    )
    pixels = np.random.default_rng(3).random((1, 2, 3, 4)).astype(np.float32)
    result = simulate(network, pixels, steps=64, engine="event", neurons=True)
    outputs = ann.forward(graph, pixels, keep=[name])[name][0]
    numbers = [neuron_number(layer, (i,)) for i in range(36)]
    assert sorted(numbers) == list(range(36)) and [layer.index(n) for n in numbers] == [*range(36)]
    rates = result.batch.counts[0, numbers] * layer.theta / 64
    # in asynchronous time a neuron may fire more than once a step
    np.testing.assert_allclose(np.minimum(rates, layer.theta), outputs, atol=layer.theta / 64)
    seen = result.observe(name, (17,))
    assert seen.neuron == numbers[17] == layer.neuron(1, 1, 1)
    assert seen.name == (
        f"{name}, neuron {numbers[17]} (index 17 of the flat vector, c 1, y 1, x 1 of the map "
        "before it)"
    )
    assert "index 17 of the flat vector" in str(result.explain(name, (17,)))
    with pytest.raises(InputError, match=r"\(i,\), the flat vector's index, to 35, or \(c, y, x\)"):
        result.observe(name, (36,))


@pytest.mark.parametrize("neuron, initial", [("if", None), ("gn", None), ("if", 0)])
def test_events_without_events_are_silent(neuron, initial):
    b = Builder(np.random.default_rng(1), (2, 3, 3))
    x = b.activation(b.conv("input", 3, bias=False, pads=[1, 1, 1, 1]), "QCFS")
    network = convert(b.graph(b.gemm(b.add("Flatten", [x]))))
    options = dict(steps=3, encoding="events", neuron=neuron, initial=initial)
    result = simulate(network, [np.zeros((0, 3)), []], **options)
    assert result.spikes.sum() == 0
    expected = "images: expected one or more, found none"
    with pytest.raises(InputError, match=expected):
        simulate(network, [], **options)
