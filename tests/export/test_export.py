"""Networks as NIR: the file's layout, and a naive reader of it that must fire exactly as the
clocked engine does.
"""

import re
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.networks import (
    Builder,
    mobile_graph,
    random_graph,
    random_pixels,
    skipping_graph,
    yolo_graph,
)

from eventsnn import InputError
from eventsnn.ann.graph import Node
from eventsnn.ann.operators import window_of
from eventsnn.export import kernels, nir
from eventsnn.network import convert as conversion
from eventsnn.network import linear
from eventsnn.network.specification import DEAD
from eventsnn.neurons.integrate_and_fire import IF
from eventsnn.settings import Settings
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time

STEPS = 5


# --- a naive reader of NIR -------------------------------------------------------------------


def read(path):
    """(name -> fields, edges) of a file; text as str."""

    def plain(item):
        if isinstance(item, h5py.Group):
            return {name: plain(item[name]) for name in item}
        return item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]

    with h5py.File(path) as file:
        top = plain(file["node"])
    return top


def conv2d(x, weight, stride, padding, dilation, groups, bias, **_):
    """Convolution of one map [C, H, W], output by output."""
    assert groups == 1 and tuple(dilation) == (1, 1)
    out, _, kh, kw = weight.shape
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:], (kh, kw), stride))
    y = np.empty((out, rows, columns))
    for r in range(rows):
        for c in range(columns):
            seen = x[:, r * stride[0] : r * stride[0] + kh, c * stride[1] : c * stride[1] + kw]
            y[:, r, c] = (weight * seen).sum(axis=(1, 2, 3)) + bias
    return y


def play(path, x, steps, reset, comparator):
    """The graph in clocked time: (name of each IF -> spikes [T, ...], v(T) of each, readout [T,
    classes]); x in every step.
    """
    top = read(path)
    nodes, edges = top["nodes"], [tuple(edge) for edge in top["edges"]]
    fires = {">": np.greater, ">=": np.greater_equal}[comparator]
    v = {
        name: np.full(f["v_threshold"].shape, f["metadata"]["initial_potential"])
        for name, f in nodes.items()
        if f["type"] == "IF"
    }
    spikes, outputs = {name: [] for name in v}, []
    for _ in range(steps):
        value, waiting = {"input": x}, list(nodes)
        waiting.remove("input")
        while waiting:
            name = next(
                n
                for n in waiting
                if all(source in value for source, target in edges if target == n)
            )
            waiting.remove(name)
            f, total = nodes[name], sum(value[source] for source, target in edges if target == name)
            if f["type"] == "Conv2d":
                assert tuple(f["input_shape"]) == total.shape[1:]
                value[name] = conv2d(total, **f)
            elif f["type"] == "Affine":
                value[name] = f["weight"] @ total + f["bias"]
            elif f["type"] == "Flatten":
                assert tuple(f["input_type"]) == total.shape and (f["start_dim"], f["end_dim"]) == (
                    0,
                    -1,
                )
                value[name] = total.reshape(-1)
            elif f["type"] == "IF":
                v[name] = v[name] + f["r"] * total
                value[name] = fires(v[name], f["v_threshold"]).astype(float)
                v[name] = np.where(
                    value[name],
                    f["v_reset"] if reset == "zero" else v[name] - f["v_threshold"],
                    v[name],
                )
                spikes[name].append(value[name])
            else:
                assert f["type"] == "Output" and tuple(f["shape"]) == total.shape
                outputs.append(total)
    return {name: np.array(s) for name, s in spikes.items()}, v, np.array(outputs)


def in_our_order(values, grid):
    """[..., C, H, W] or [..., C * H * W] -> [..., neurons], channels last."""
    return np.moveaxis(
        values.reshape(
            *values.shape[: values.ndim - (3 if values.shape[-3:] == grid else 1)], *grid
        ),
        -3,
        -1,
    ).reshape(-1, np.prod(grid))


def trains(network, pixels, **settings):
    """Our clocked run in float64: spikes [T, neurons], v(T), readout [T, classes] of one image."""
    runs = [
        network.run(pixels, steps=t, arithmetic="float64", neurons=True, **settings)
        for t in range(1, STEPS + 1)
    ]
    counts = np.array([run.batch.counts[0] for run in runs])
    return (
        np.diff(counts, axis=0, prepend=0),
        runs[-1].batch.potentials[0],
        runs[-1].batch.readout[0],
    )


def assert_plays(tmp_path, network, pixels, neuron="if", **settings):
    """The file, read naively under its own metadata, fires as we do, neuron by neuron and step by
    step.
    """
    path = tmp_path / "net.nir"
    nir.write(
        Simulation(network, steps=STEPS, neuron=neuron, arithmetic="float64", **settings), path
    )
    ours, potentials, readout = trains(network, pixels, neuron=neuron, **settings)
    x = network.graph.preprocessing(pixels, np.float64)[0]
    meta = read(path)["metadata"]
    spikes, v, outputs = play(path, x, STEPS, meta["reset"], meta["comparator"])
    theirs = {
        f["metadata"]["layer"]: name for name, f in read(path)["nodes"].items() if f["type"] == "IF"
    }
    first = 0
    for layer in network.spiking:
        name, here = theirs[layer.name], slice(first, first + layer.size)
        assert np.array_equal(in_our_order(spikes[name], layer.grid), ours[:, here]), layer.name
        assert np.allclose(
            in_our_order(v[name], layer.grid)[0], potentials[here], rtol=0, atol=1e-9
        )
        first += layer.size
    assert len(theirs) == len(network.spiking)
    assert np.allclose(
        in_our_order(np.cumsum(outputs, axis=0), network.readout.grid), readout, rtol=0, atol=1e-9
    )
    return ours.sum()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_random_networks(tmp_path, seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    network, pixels = conversion.convert(graph), random_pixels(rng, graph, 1)
    assert assert_plays(tmp_path, network, pixels) > 0
    assert assert_plays(tmp_path, network, pixels, "if-hard", initial=0.25) > 0


def test_connections_past_layers(tmp_path):
    rng = np.random.default_rng(1)
    graph = skipping_graph(rng)
    network, pixels = conversion.convert(graph), random_pixels(rng, graph, 1)
    assert assert_plays(tmp_path, network, pixels) > 0
    types = [f["type"] for f in read(tmp_path / "net.nir")["nodes"].values()]
    assert (types.count("Conv2d"), types.count("Affine"), types.count("IF")) == (
        4,
        2,
        3,
    )  # maps stay maps
    started = [rng.uniform(-1, 1, layer.size) for layer in network.spiking]
    assert assert_plays(tmp_path, network, pixels, initial=started) > 0


def test_depthwise_convolutions(tmp_path):
    rng = np.random.default_rng(2)
    graph = mobile_graph(rng)
    network = conversion.convert(graph)
    assert assert_plays(tmp_path, network, random_pixels(rng, graph, 1)) > 0
    assert [f["type"] for f in read(tmp_path / "net.nir")["nodes"].values()].count("Affine") == 1


@pytest.mark.parametrize("dead", DEAD)
def test_a_threshold_for_each_neuron(tmp_path, dead):
    rng = np.random.default_rng(3)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 3)
    network = conversion.convert(graph, thresholds="dni", calibration=pixels, dead=dead)
    assert assert_plays(tmp_path, network, pixels[:1]) > 0
    thetas = {
        f["metadata"]["layer"]: f["metadata"]["theta"]
        for f in read(tmp_path / "net.nir")["nodes"].values()
        if f["type"] == "IF"
    }
    for layer in network.spiking:
        assert np.array_equal(
            in_our_order(thetas[layer.name], layer.grid)[0], layer.theta.reshape(-1)
        )


# --- convolutions ----------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.integers(1, 2),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    group=st.integers(1, 2),
    pool=st.integers(1, 2),
    size=st.tuples(st.integers(10, 12), st.integers(10, 12)),
)
def test_a_convolution_is_found_again(kernel, dilation, pads, strides, group, pool, size):
    """Any kernel, stride, dilation and padding, behind any pooling without padding, gives one
    square kernel that does the same, if there is one: with strides of 1 padding on both sides and
    zeros at both ends change the number of targets by twos.
    """
    rng, grid = np.random.default_rng(0), (2, *size)
    node = Node(
        "conv",
        "Conv",
        ("x",),
        {"pads": list(pads), "strides": list(strides), "dilations": [dilation] * 2, "group": group},
        {"W": rng.normal(size=(4, 2 // group, *kernel))},
    )
    pooling = Node(
        "pool", "AveragePool", ("y",), {"kernel_shape": [pool] * 2, "strides": [pool] * 2}
    )
    between = (2, *window_of(pooling, grid).out)
    assume(
        pool == 1 or not any(n % 2 for n in size)
    )  # padding does not take the place of what pooling leaves over
    target = (4, *window_of(node, between).out)
    m = linear.compose(linear.average_pool(pooling, grid), linear.convolution(node, between))
    found = kernels.convolution(m, grid, target)
    if found is None:
        assert pool == 1 and strides == (1, 1) and sum(grid[1:]) % 2 != sum(target[1:]) % 2
        return
    x = rng.normal(size=grid)
    side = found.weight.shape[2]
    assert found.weight.shape == (4, 2, side, side)
    played = conv2d(x, found.weight, found.strides, found.padding, (1, 1), 1, np.zeros(4))
    assert np.allclose(played, m(x.reshape(2, -1).T[None])[0].T.reshape(target), rtol=0, atol=1e-12)


def test_a_plain_convolution_stays_as_it_is():
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    node = Node("conv", "Conv", ("x",), {"pads": [1] * 4, "strides": [2, 2]}, {"W": weight})
    kernel = kernels.convolution(linear.convolution(node, (3, 8, 8)), (3, 8, 8), (4, 4, 4))
    assert np.array_equal(kernel.weight, weight) and kernel[1:] == ((2, 2), (1, 1))


@pytest.mark.parametrize(
    "op, attrs",
    [
        ("Resize", {"scales": [1, 1, 2, 2]}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4}),
    ],
)
def test_what_is_no_convolution(op, attrs):
    """Neighbours see different offsets, or the border other weights: a matrix can say both."""
    node, grid = Node("n", op, ("x",), attrs), (1, 6, 6)
    m = linear.SIMPLE[op](node, grid)
    target = (1, 12, 12) if op == "Resize" else grid
    assert kernels.convolution(m, grid, target) is None
    x = np.random.default_rng(0).normal(size=grid)
    assert np.allclose(
        kernels.matrix(m, "") @ x.reshape(-1), m(x.reshape(1, -1).T[None])[0].reshape(-1)
    )


def test_convolutions_with_one_row_and_with_holes():
    """With one target on an axis any side fits; a map that lacks one connection is no
    convolution.
    """
    node = Node(
        "conv", "Conv", ("x",), {}, {"W": np.random.default_rng(0).normal(size=(1, 1, 2, 3))}
    )
    found = kernels.convolution(linear.convolution(node, (1, 2, 6)), (1, 2, 6), (1, 1, 4))
    assert found.weight.shape == (1, 1, 3, 3) and np.array_equal(
        found.weight[0, 0, 1:], node.params["W"][0, 0]
    )
    whole = linear.identity((1, 4, 4))
    assert kernels.convolution(whole, (1, 4, 4), (1, 4, 4)).weight.shape == (1, 1, 1, 1)
    holed = replace(
        whole, p=np.delete(whole.p, 5), r=np.delete(whole.r, 5), k=np.delete(whole.k, 5)
    )
    assert kernels.convolution(holed, (1, 4, 4), (1, 4, 4)) is None


# --- what is refused, and what is said -------------------------------------------------------


class Own(IF):
    """A neuron model of one's own."""


def small(pool=False):
    rng = np.random.default_rng(4)
    b = Builder(rng, (1, 4, 4))
    x = b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]), "QCFS")
    if pool:
        x = b.add("MaxPool", [x], {"kernel_shape": [2, 2], "strides": [2, 2]})
    return conversion.convert(b.graph(b.gemm(b.add("Flatten", [x]))))


@pytest.mark.parametrize(
    "target, pool, options, words",
    [
        ("generic", False, {"neuron": "snm"}, "integrate-and-fire"),
        ("generic", False, {"neuron": "st-bif"}, "integrate-and-fire"),
        ("norse", False, {"neuron": "gn"}, "integrate-and-fire"),
        ("generic", False, {"neuron": Own}, "integrate-and-fire"),
        ("generic", True, {}, "no max pooling"),
        ("generic", False, {"encoding": "even"}, "biases that arrive in every step"),
        (
            "generic",
            False,
            {"encoding": Encoding(bias_once=True)},
            "biases that arrive in every step",
        ),
        ("generic", False, {"srp": 2}, "one stage"),
        ("brian", False, {}, "a reader among generic, sinabs"),
        ("generic", False, {"engine": "event", "time": Time(refractory=1)}, "refractory"),
        ("generic", False, {"engine": "event", "time": Time(window=0.5)}, "windows"),
    ],
)
def test_refuses_what_nir_cannot_say(tmp_path, target, pool, options, words):
    simulation = Simulation(small(pool), steps=2, **options)
    with pytest.raises(InputError, match=words) as error:
        nir.write(simulation, tmp_path / "net.nir", target)
    assert error.value.do and not list(tmp_path.iterdir())


def test_refuses_matrices_without_end(tmp_path, monkeypatch):
    simulation = Simulation(small(), steps=2)
    monkeypatch.setattr(kernels, "MAX_WEIGHTS", 4 * 32 - 1)
    with pytest.raises(InputError, match="a matrix of 4 x 32 neurons"):
        nir.write(simulation, tmp_path / "net.nir")
    monkeypatch.setattr(kernels, "MAX_WEIGHTS", 4 * 32)
    nir.write(simulation, tmp_path / "net.nir")


def test_the_command_line_knows_the_readers():
    assert Settings.__dataclass_fields__["nir_for"].metadata["option"].choices == tuple(nir.READERS)


@pytest.mark.parametrize(
    "target, neuron, says, does_not_say",
    [
        (
            "generic",
            "if",
            [
                "NIR resets to 0, this run by subtraction",
                "v > threshold, this run at v >= threshold",
            ],
            ["another network"],
        ),
        (
            "sinabs",
            "if",
            [
                "sinabs resets by subtraction, and fires at v >= threshold;",
                "SingleSpike",
                "another network: 1 layers",
            ],
            ["this run"],
        ),
        ("sinabs", "if-hard", ["resets by subtraction, this run to 0"], []),
        (
            "spikingjelly",
            "if",
            ["resets to 0, this run by subtraction, and fires at v >= threshold;"],
            ["another network"],
        ),
        (
            "spikingjelly",
            "if-hard",
            ["spikingjelly resets to 0, and fires at v >= threshold;"],
            ["this run"],
        ),
        (
            "snntorch",
            "if",
            ["resets by subtraction, and fires at v > threshold, this run", "beta = 1"],
            ["another network"],
        ),
        (
            "norse",
            "if",
            ["resets to 0, this run by", "v > threshold, this run", "another network"],
            [],
        ),
    ],
)
def test_notes(tmp_path, target, neuron, says, does_not_say):
    rng = np.random.default_rng(5)
    b = Builder(rng, (1, 4, 4))
    x = b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]), "QCFS")
    x = b.activation(b.add("Add", [x, b.conv(b.activation(b.conv(x, 2, 1)), 2, 1)]))
    network = conversion.convert(b.graph(b.gemm(b.add("Flatten", [x]))))
    notes = nir.write(
        Simulation(network, steps=2, neuron=neuron, initial=0), tmp_path / "net.nir", target
    )
    meta = read(tmp_path / "net.nir")["metadata"]
    assert meta["notes"] == "\n".join(notes) and meta["written_for"] == target
    assert all(words in meta["notes"] for words in says) and not any(
        words in meta["notes"] for words in does_not_say
    )
    assert "v(0)" not in meta["notes"] and "clocked time only" not in meta["notes"]
    events = Simulation(
        network, steps=2, neuron=neuron, initial=0.5, engine="event", time=Time(order="lifo")
    )
    said = nir.write(events, tmp_path / "net.nir", target)
    assert said[: len(notes)] == notes or "v(0) is not in a NIR graph" in said[1]
    assert any("v(0) is not" in line for line in said) and "clocked time only" in said[-1]
    assert (
        "deepest" in read(tmp_path / "net.nir")["metadata"]["order"]
        or "lifo" in read(tmp_path / "net.nir")["metadata"]["order"]
    )


def test_metadata_and_resistance(tmp_path):
    network = small()
    network = replace(
        network,
        graph=replace(network.graph, preprocessing=replace(network.graph.preprocessing, scale=0.5)),
    )
    for target, r, v_reset in (
        ("generic", 1, True),
        ("spikingjelly", 10_000, True),
        ("sinabs", 1, False),
        ("norse", 1, False),
    ):
        nir.write(
            Simulation(network, steps=7, neuron="if-hard", initial=0.25),
            tmp_path / "net.nir",
            target,
        )
        top = read(tmp_path / "net.nir")
        meta, neurons = top["metadata"], top["nodes"]["qcfs1"]
        assert (meta["reset"], meta["comparator"], meta["steps"], meta["encoding"]) == (
            "zero",
            ">=",
            7,
            "constant",
        )
        assert meta["pixel_scale"] == 0.5
        assert (
            meta["network_sha256"] == network.graph.hash
            and meta["order"] == "clocked"
            and meta["writer"].startswith("eventsnn ")
        )
        assert np.array_equal(neurons["r"], np.full((2, 4, 4), r)) and np.array_equal(
            neurons["v_threshold"], np.ones((2, 4, 4))
        )
        assert ("v_reset" in neurons) == v_reset and not np.any(neurons.get("v_reset", 0))
        assert neurons["metadata"] == {
            "layer": "qcfs1",
            "theta": network.layers[0].theta,
            "initial_potential": 0.25,
        }
    with h5py.File(tmp_path / "net.nir") as file:
        assert set(file) == {"node", "version"} and re.fullmatch(
            r"1\.0\.\d+", file["version"].asstr()[()]
        )
        assert (
            set(file["node"]) == {"edges", "metadata", "nodes", "type"}
            and file["node/type"].asstr()[()] == "NIRGraph"
        )
        assert file["node/edges"].shape == (5, 2)
        assert list(file["node/nodes"]) == [
            "input",
            "input_to_qcfs1",
            "qcfs1",
            "qcfs1_flat_to_output",
            "qcfs1_to_output",
            "output",
        ]


def test_names_that_others_cannot_have():
    taken = {"input", "if"}
    names = [
        nir._fresh(name, taken) for name in ("if", "a/b", "a.b", "1st", "input", "Straße", "fine")
    ]
    assert names == ["if_", "a_b", "a_b_", "_1st", "input_", "Stra_e", "fine"] and taken == {
        "input",
        "if",
        *names,
    }


def test_layers_with_such_names(tmp_path):
    b = Builder(np.random.default_rng(4), (1, 4, 4))
    x = b.conv("input", 2)
    b.nodes.append(Node("output", "ClippedRelu", (x,), {"lambda": 1.0}))
    b.nodes.append(Node("if", "ClippedRelu", ("output",), {"lambda": 1.0}))
    network = conversion.convert(b.graph("if"), readout="fires")
    nir.write(Simulation(network, steps=2), tmp_path / "net.nir")
    types = {name: f["type"] for name, f in read(tmp_path / "net.nir")["nodes"].items()}
    assert (types["output_"], types["if_"], types["output"], types["input"]) == (
        "IF",
        "IF",
        "Output",
        "Input",
    )


def test_an_older_file_stays_where_a_new_one_fails(tmp_path, monkeypatch):
    simulation, path = Simulation(small(), steps=2), tmp_path / "net.nir"
    nir.write(simulation, path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nir, "_put", full)
    with pytest.raises(OSError, match="No space"):
        nir.write(simulation, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["net.nir"]
    with pytest.raises(InputError, match="a file that can be written"):
        nir.write(simulation, tmp_path / "none" / "net.nir")


def test_pools_of_a_detector_become_averages():
    graph = yolo_graph(np.random.default_rng(6), "QCFS")
    with pytest.raises(InputError, match="max pooling"):
        nir.check(Simulation(conversion.convert(graph), steps=2))
    nir.check(Simulation(conversion.convert(graph, max_pooling="average"), steps=2))
