"""Activations that let values below 0 pass: as sums of sides they are exact, as networks of
neurons and beside max pooling, too.
"""

import numpy as np
import pytest
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.networks import pixel_range, random_pixels
from support.ways import assert_same, both

import eventsnn
from eventsnn import InputError, convert
from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Preprocessing
from eventsnn.network import check
from eventsnn.readers.bends import SMOOTH, why_not
from eventsnn.readers.building import Builder, Output
from eventsnn.result import Simulation

SLOPES = np.array([0.25, 0.0, 1.5], np.float32)
POOL = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
WIDE = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}


def relu(x):
    return np.maximum(x, 0)


# name -> (what the builder makes, the function)
BENDS = {
    "leaky": (lambda b, x: b.leaky("act", x, 0.1), lambda y: relu(y) - 0.1 * relu(-y)),
    "slopes": (
        lambda b, x: b.leaky("act", x, SLOPES.reshape(3, 1, 1)),
        lambda y: relu(y) - SLOPES.reshape(3, 1, 1) * relu(-y),
    ),
    "abs": (lambda b, x: b.leaky("act", x, -1), np.abs),
    "no slope": (lambda b, x: b.leaky("act", x, 0.0), relu),
    "around 0": (lambda b, x: b.clip("act", x, -0.5, 0.75), lambda y: np.clip(y, -0.5, 0.75)),
    "from below 0": (lambda b, x: b.clip("act", x, -0.5, None), lambda y: np.maximum(y, -0.5)),
    "to above 0": (lambda b, x: b.clip("act", x, None, 0.75), lambda y: np.minimum(y, 0.75)),
    "above 0": (lambda b, x: b.clip("act", x, 0.25, 0.75), lambda y: np.clip(y, 0.25, 0.75)),
    "from above 0": (lambda b, x: b.clip("act", x, 0.25, None), lambda y: np.maximum(y, 0.25)),
    "below 0": (lambda b, x: b.clip("act", x, -0.75, -0.25), lambda y: np.clip(y, -0.75, -0.25)),
    "to below 0": (lambda b, x: b.clip("act", x, None, -0.25), lambda y: np.minimum(y, -0.25)),
    "up to 0": (lambda b, x: b.clip("act", x, -0.5, 0), lambda y: np.clip(y, -0.5, 0)),
    "from 0": (lambda b, x: b.clip("act", x, 0, 0.75), lambda y: np.clip(y, 0, 0.75)),
    "no limit": (lambda b, x: b.clip("act", x, None, 1e39), lambda y: y),
}
ONE_LAYER = ("no slope", "above 0", "from above 0", "below 0", "to below 0", "up to 0", "from 0")


def builder(shape=(3, 6, 6), seed=0):
    """A builder, its input and a function that adds a convolution to three channels."""
    b = Builder("net", "input", shape)
    rng = np.random.default_rng(seed)

    def conv(name, x, pads=(1, 1, 1, 1)):
        weight = rng.normal(0, 0.3, (3, b.shape(x)[0], 3, 3)).astype(np.float32)
        params = {"W": weight, "B": rng.normal(0, 0.2, 3).astype(np.float32)}
        return b.add(name, "Conv", [x], {"pads": list(pads)}, params)

    return b, Output("input"), conv


def bent(make, before=None, after=None, seed=0):
    """conv - a MaxPool - the activation - a MaxPool - conv, where given."""
    b, x, conv = builder(seed=seed)
    x = conv("first", x)
    if before:
        x = b.add("before", "MaxPool", [x], before)
    x = make(b, x)
    if after:
        x = b.add("after", "MaxPool", [x], after)
    return b.graph(conv("last", x, (0, 0, 0, 0)), Preprocessing())


def with_levels(graph, op="QCFS"):
    """The graph with activations of four levels, up to 1."""
    for node in graph.activations:
        object.__setattr__(node, "op", op)
        node.attrs.clear()
        node.attrs.update({"levels": 4, **({"lambda": 1.0} if op == "QCFS" else {"scale": 0.25})})
    return graph


@pytest.mark.parametrize("name", BENDS)
def test_sides_add_up_to_the_function(name):
    make, function = BENDS[name]
    b, x, _ = builder()
    graph = b.graph(b.add("end", "Identity", [make(b, x)]), Preprocessing())
    y = np.random.default_rng(1).normal(size=(4, 3, 6, 6))
    y[0, :, 0] = 0
    assert np.allclose(ann.forward(graph, y, dtype=np.float64)["end"], function(y), atol=1e-15)
    count = len(graph.activations)
    assert count == (0 if name == "no limit" else 1 if name in ONE_LAYER else 2)


@pytest.mark.parametrize("name", [name for name in BENDS if name != "no limit"])
def test_a_network_of_sides_tends_to_the_ann(name):
    graph = bent(BENDS[name][0])
    pixels = random_pixels(np.random.default_rng(2), graph, 6)
    network = convert(graph, thresholds="max", calibration=pixels)
    assert check.deviation(network, pixels)[0] < 1e-12
    outputs = ann.by_neuron(ann.logits(graph, pixels))
    result = eventsnn.simulate(network, pixels, steps=512, neuron="snm")
    assert np.abs(result.readout() - outputs).max() < 0.02 * np.abs(outputs).max()


def test_the_second_side_has_the_first_ones_numbers_with_the_other_sign():
    """Rounding is symmetric, so in fixed point they hear exactly x and -x where thresholds are
    equal.
    """
    graph = bent(BENDS["leaky"][0])
    pixels = random_pixels(np.random.default_rng(3), graph, 1)
    network = convert(graph, thresholds={"act:above": 0.7, "act:below": 0.7})
    simulation = Simulation(network, steps=3, pixel_range=pixel_range(pixels))
    above, below = by_layer(simulation, pixels[0])
    assert above == [-x for x in below] and any(above)


def by_layer(simulation, image):
    """The drive of the first step at the two sides."""
    return [list(part) for part in twin_drive(simulation, image)[0][:2]]


@pytest.mark.parametrize("model", ["if", "snm"])
@pytest.mark.parametrize("name", ["leaky", "around 0"])
def test_both_engines_are_the_twin_behind_sides(name, model):
    def make(rng):
        return with_levels(bent(BENDS[name][0], after=POOL, seed=int(rng.integers(9))))

    assert_same(*both(3, "fifo", model, make=make))
    graph = make(np.random.default_rng(4))
    pixels = random_pixels(np.random.default_rng(5), graph, 1)
    simulation = Simulation(convert(graph), steps=4, neuron=model, pixel_range=pixel_range(pixels))
    found = simulation.run(pixels, neurons=True).readout[0].tolist()
    rule = twin.IF() if model == "if" else twin.SNM()
    net, start = twin_net(simulation), twin_start(simulation)
    outcome = twin.run_clocked(net, twin_drive(simulation, pixels[0]), start, 4, rule)
    assert found == [list(charge) for charge in outcome.readout]


def test_sides_at_equilibrium_are_the_quantised_network():
    graph = with_levels(bent(BENDS["slopes"][0], after=WIDE), "QuantRelu")
    pixels = random_pixels(np.random.default_rng(6), graph, 3)
    settings = dict(steps=64, neuron="st-bif", encoding="even", arithmetic="float64")
    result = eventsnn.simulate(convert(graph), pixels, **settings)
    outputs = ann.forward(graph, pixels, dtype=np.float64)[graph.output]
    assert np.allclose(result.readout(), ann.by_neuron(outputs), atol=1e-9)


def test_group_neurons_of_as_many_members_are_the_network_after_one_step():
    graph = with_levels(bent(BENDS["leaky"][0]))
    pixels = random_pixels(np.random.default_rng(7), graph, 3)
    result = eventsnn.simulate(convert(graph), pixels, steps=1, neuron="gn:4", arithmetic="float64")
    outputs = ann.forward(graph, pixels, dtype=np.float64)[graph.output]
    assert np.allclose(result.readout(), ann.by_neuron(outputs), atol=1e-9)


@pytest.mark.parametrize("before, after", [(None, WIDE), (POOL, None), (POOL, WIDE)])
@pytest.mark.parametrize("name", BENDS)
def test_a_pool_beside_sides_is_a_pool_of_each(name, before, after):
    """The maximum of what is above 0, and the minimum of what is below."""
    make = BENDS[name][0]
    graph = bent(make, before, after)
    pixels = random_pixels(np.random.default_rng(8), graph, 4)
    refused = (name == "abs" and after) or name == "no limit"
    if refused:
        with pytest.raises(InputError, match="an activation or another MaxPool in front of it"):
            convert(graph, thresholds="max", calibration=pixels)
        return
    network = convert(graph, thresholds="max", calibration=pixels)
    assert check.deviation(network, pixels)[0] < 1e-12
    found, expected = (ann.forward(g, pixels)[g.output] for g in (network.graph, graph))
    assert np.allclose(found, expected, atol=1e-6) and not network.notes
    counts = {layer.name for layer in network.layers if layer.pools}
    assert len(counts) == len(network.spiking) - len(graph.activations) > 0


def test_a_pool_that_something_else_uses_stays_where_it_is():
    b, x, conv = builder()
    pool = b.add("pool", "MaxPool", [conv("first", x)], WIDE)
    graph = b.graph(b.add("end", "Add", [b.leaky("act", pool, 0.1), pool]), Preprocessing())
    with pytest.raises(InputError, match="node 'pool'"):
        convert(graph, thresholds="max", calibration=random_pixels(np.random.default_rng(9), graph))


def test_a_pool_of_a_sum_of_two_layers_is_refused():
    b, x, conv = builder()
    one, two = (b.add(f"{name} relu", "Relu", [conv(name, x)]) for name in ("one", "two"))
    graph = b.graph(
        b.add("pool", "MaxPool", [b.add("sum", "Add", [one, two])], POOL), Preprocessing()
    )
    with pytest.raises(InputError, match="found Add 'sum'"):
        convert(graph, thresholds="max", calibration=random_pixels(np.random.default_rng(9), graph))


@pytest.mark.parametrize(
    "refuse, words",
    [
        (lambda b, x: b.clip("act", x, 1, 1), "limits of 1 and 1 leave one value"),
        (lambda b, x: b.clip("act", x, 2, -1), "limits of 2 and -1"),
        (lambda b, x: b.leaky("act", x, np.ones((3, 6, 6))), "one for each channel, is read"),
        (lambda b, x: b.leaky("act", x, np.nan), "finite values in scale"),
    ],
)
def test_what_has_no_sides_is_refused(refuse, words):
    b, x, _ = builder()
    with pytest.raises(InputError, match=words):
        b.graph(refuse(b, x), Preprocessing())


def test_smooth_activations_are_told_what_the_papers_do():
    assert "the papers train with ReLU" in why_not("HardSwish", "")
    assert all("ReLU" in why_not(name, "") for name in SMOOTH)
    assert why_not("Einsum", "no idea") == "no idea"
