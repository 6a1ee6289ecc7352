"""NIR graphs: IF neurons as they are, our own export back equal, all else refused by name."""

import numpy as np
import pytest
from support.networks import mobile_graph, random_graph, random_pixels, skipping_graph
from support.nir_files import FLATTEN, chain, conv2d, ends, graph, neurons, small, write

import eventsnn
from eventsnn import run
from eventsnn.exceptions import InputError
from eventsnn.export import nir

RANGE = (-9.0, 9.0)


def naive(fields, image, steps):
    """(charge of the output in each step, spikes of if1 and if2) of `small`, from NIR's equations:
    v += r I; z = v >= v_threshold; v = 0 where z.
    """
    n = fields["nodes"]
    v1, v2, out, counts = np.zeros((3, 6, 6)), np.zeros(5), [], [0, 0]
    x = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    drive = np.zeros((3, 6, 6))
    for dy in range(3):
        for dx in range(3):
            part = x[:, dy : dy + 6, dx : dx + 6]
            drive += np.einsum("oi,ihw->ohw", n["conv"]["weight"][:, :, dy, dx], part)
    drive += n["conv"]["bias"][:, None, None]
    for _ in range(steps):
        v1 += n["if1"]["r"] * drive
        z1 = v1 >= n["if1"]["v_threshold"]
        v1[z1] = 0
        pooled = z1.reshape(3, 3, 2, 3, 2).sum(axis=(2, 4))
        v2 += n["fc"]["weight"] @ pooled.reshape(-1)
        z2 = v2 >= n["if2"]["v_threshold"]
        v2[z2] = 0
        out.append(n["head"]["weight"] @ z2 + n["head"]["bias"])
        counts[0] += int(z1.sum())
        counts[1] += int(z2.sum())
    return np.array(out), counts


def test_if_neurons_run_as_nir_defines_them(tmp_path):
    fields = small()
    loaded = eventsnn.load(write(tmp_path / "a.nir", fields))
    network = eventsnn.convert(loaded)
    pixels = np.random.default_rng(0).normal(size=(3, 2, 6, 6))
    result = eventsnn.simulate(network, pixels, steps=9, arithmetic="float64", pixel_range=RANGE)
    assert type(result.simulation.neuron).__name__ == "HardIF"
    for image, readout, spikes in zip(pixels.astype(np.float32), result.readout(), result.spikes):
        expected, counts = naive(fields, image.astype(np.float64), 9)
        np.testing.assert_allclose(readout, expected.mean(axis=0), rtol=1e-9)
        assert spikes[:2].sum(axis=1).tolist() == counts and sum(counts) > 20


@pytest.mark.parametrize("neuron", ["if", "if-hard"])
@pytest.mark.parametrize("make", [random_graph, skipping_graph, mobile_graph])
def test_our_own_export_comes_back_equal(tmp_path, make, neuron):
    equal = 0
    for seed in range(2):
        rng = np.random.default_rng(seed)
        ann = make(rng)
        pixels = random_pixels(rng, ann, 2)
        network = eventsnn.convert(ann, thresholds="max", calibration=pixels)
        initial = [rng.integers(-4, 5, layer.size) / 8 for layer in network.spiking]
        target = ("generic", "spikingjelly")[seed % 2]
        one = eventsnn.simulate(
            network, pixels, steps=6, neuron=neuron, initial=initial, pixel_range=RANGE
        )
        nir.write(one.simulation, tmp_path / "a.nir", target)
        again = eventsnn.convert(eventsnn.load(tmp_path / "a.nir"))
        two = eventsnn.simulate(again, pixels, steps=6, pixel_range=RANGE)
        assert [x.name for x in again.layers] == [x.name for x in network.layers]
        np.testing.assert_array_equal(two.spikes, one.spikes)
        np.testing.assert_array_equal(two.readout(), one.readout())
        equal += 1
    assert equal == 2


def test_the_sample_comes_back_with_the_same_digests(tmp_path, capsys):
    network = eventsnn.convert(eventsnn.load("sample"), thresholds="auto")
    images = eventsnn.load_images("sample", limit=2)
    digests = []
    for each in network, None:
        if each is None:
            each = eventsnn.convert(eventsnn.load(tmp_path / "a.nir"))
        result = eventsnn.simulate(each, images, steps=6, engine="event", order="lifo")
        nir.write(result.simulation, tmp_path / "a.nir")
        digests.append(result.batch.digests)
    np.testing.assert_array_equal(*digests)
    given = ["--net", str(tmp_path / "a.nir"), "--data", "sample", "--limit", "2", "--steps", "4"]
    assert run.main([*given, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "the file's own, --neuron if" in said
    assert run.main([*given, "--neuron", "snm"]) == 2
    assert "--neuron: expected --neuron if, found --neuron snm" in capsys.readouterr().err


def test_a_network_of_its_own_neurons_takes_no_others(tmp_path):
    network = eventsnn.convert(eventsnn.load(write(tmp_path / "a.nir", small())))
    pixels = np.ones((1, 2, 6, 6), np.float32)
    with pytest.raises(InputError, match="neuron: expected neuron='if-hard', found neuron='snm'"):
        eventsnn.simulate(network, pixels, steps=2, neuron="snm")
    result = eventsnn.simulate(network, pixels, steps=2, initial=0.5)
    assert all((v == 0.5).all() for v in result.simulation.initial)


def test_a_native_checkpoint_keeps_the_neurons(tmp_path):
    loaded = eventsnn.load(write(tmp_path / "a.nir", small()))
    eventsnn.save(loaded, tmp_path / "a.h5")
    again = eventsnn.load(tmp_path / "a.h5")
    assert again.hash == loaded.hash
    network = eventsnn.convert(again)
    simulation = eventsnn.simulate(network, np.ones((1, 2, 6, 6)), steps=2).simulation
    assert type(simulation.neuron).__name__ == "HardIF"


def vector_net(middle, size=3, out=3):
    """Input [size] -> middle nodes -> Output, in a row."""
    nodes = ends([size], [out]) | middle
    return graph(nodes, chain(["input", *middle, "output"]))


EYE = {"type": "Linear", "weight": np.eye(3)}
LIF = {k: np.ones(3) for k in ("tau", "r", "v_leak", "v_threshold", "v_reset")} | {"type": "LIF"}
CHANGES = {
    "a leak": ({"fc": EYE, "lif": LIF}, "LIF (lif): a leak"),
    "another reset": ({"fc": EYE, "n": neurons((3,), reset=-0.25)}, "v_reset = -0.25"),
    "a threshold of 0": ({"fc": EYE, "n": neurons((3,), 0.0)}, "not all above 0"),
    "other neurons": ({"fc": EYE, "n": neurons((4,))}, "v_threshold of shape [4]"),
    "a strange type": ({"fc": EYE, "x": {"type": "Quark"}}, "Quark (x): a type that NIR"),
    "a delay": ({"d": {"type": "Delay", "delay": np.ones(3)}}, "Delay (d)"),
    "a matrix that does not fit": ({"fc": {"type": "Linear", "weight": np.eye(4)}}, "fc"),
    "NaN": ({"fc": {"type": "Linear", "weight": np.full((3, 3), np.nan)}}, "finite"),
    "no weight": ({"fc": {"type": "Linear"}}, "weight: expected an array"),
    "no type": ({"fc": {"weight": np.eye(3)}}, "the type of a node"),
    "text for weights": ({"fc": {"type": "Linear", "weight": "ones"}}, "fc"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_has_no_form_is_refused_by_name(tmp_path, what):
    middle, words = CHANGES[what]
    with pytest.raises(InputError) as caught:
        eventsnn.load(write(tmp_path / "a.nir", vector_net(middle)))
    assert words in str(caught.value) and str(caught.value).isprintable()


def test_edges_that_lead_nowhere_or_back_are_refused(tmp_path):
    nodes = ends([3], [3]) | {"fc": EYE, "n": neurons((3,)), "back": EYE}
    row = chain(["input", "fc", "n", "output"])
    for edges, words in (
        ([*row, ("n", "back"), ("back", "n")], "no way back"),
        ([*row, ("n", "nobody")], "'nobody'"),
        (row[:-1], "an Output that something leads to"),
    ):
        with pytest.raises(InputError, match=words):
            eventsnn.load(write(tmp_path / "a.nir", graph(nodes, edges)))
    bare = graph(ends([1, 3, 3], [1, 3, 3]), [("input", "output")])
    with pytest.raises(InputError, match="nodes between"):
        eventsnn.load(write(tmp_path / "a.nir", bare))
    two = nodes | {"input2": nodes["input"]}
    with pytest.raises(InputError, match="one Input, found input, input2"):
        eventsnn.load(write(tmp_path / "a.nir", graph(two, row)))


def test_graphs_in_a_graph_are_taken_apart(tmp_path):
    inner = graph(
        ends([3], [3]) | {"fc": EYE, "n": neurons((3,), 0.5)},
        chain(["input", "fc", "n", "output"]),
    )
    outer = vector_net({"sub": inner, "head": EYE})
    loaded = eventsnn.load(write(tmp_path / "a.nir", outer))
    assert [node.name for node in loaded.activations] == ["sub.n"]
    network = eventsnn.convert(loaded)
    result = eventsnn.simulate(network, np.array([[1.0, 0.25, 0.0]]), steps=4)
    np.testing.assert_array_equal(result.readout(), [[1, 0.5, 0]])
    deep = inner
    for _ in range(20):
        deep = graph(ends([3], [3]) | {"sub": deep}, chain(["input", "sub", "output"]))
    with pytest.raises(InputError, match="16 graphs in each other"):
        eventsnn.load(write(tmp_path / "a.nir", deep))


def test_several_edges_into_a_node_add_up_and_scales_count(tmp_path):
    nodes = ends([3], [3]) | {
        "fc": EYE,
        "scale": {"type": "Scale", "scale": np.array([0.5, 1, 2])},
        "n": neurons((3,), 4.0, reset=0.0),
    }
    edges = [("input", "fc"), ("input", "scale"), ("fc", "n"), ("scale", "n"), ("n", "output")]
    loaded = eventsnn.load(write(tmp_path / "a.nir", graph(nodes, edges)))
    result = eventsnn.simulate(eventsnn.convert(loaded), np.ones((1, 3)), steps=8)
    # 1.5, 2 and 3 a step against 4, from 0 after a spike
    np.testing.assert_array_equal(result.readout() * 8, [[2, 4, 4]])


@pytest.mark.parametrize("padding", [(1, 1), "same", "valid", (0, 0)])
def test_convolutions_of_one_and_two_axes(tmp_path, padding):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, 2, 3, 3)), np.zeros(3)
    size = 4 if padding in ("valid", (0, 0)) else 6
    middle = {"c": conv2d(weight, bias, padding), "n": neurons((3, size, size)), "f": FLATTEN}
    nodes = ends([2, 6, 6], [3 * size**2]) | middle
    two = graph(nodes, chain(["input", *middle, "output"]))
    assert eventsnn.load(write(tmp_path / "a.nir", two)).shapes["n"] == (3, size, size)
    one = {"type": "Conv1d", "weight": weight[:, :, 0], "bias": bias, "groups": 1}
    one |= {"stride": 1, "dilation": 1, "padding": 1, "input_shape": 6}
    middle = {"c": one, "n": neurons((3, 6)), "f": FLATTEN}
    nodes = ends([2, 6], [18]) | middle
    loaded = eventsnn.load(
        write(tmp_path / "b.nir", graph(nodes, chain(["input", *middle, "output"])))
    )
    assert loaded.input_shape == (2, 1, 6) and loaded.shapes["n"] == (3, 1, 6)
