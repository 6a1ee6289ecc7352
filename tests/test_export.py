"""Networks as NIR: the file's layout, and a naive reader of it that must fire exactly as the clocked engine does."""
import h5py
import numpy as np
import pytest
from networks import Builder, mobile_graph, random_graph, random_pixels, skipping_graph, yolo_graph

from eventsnn import InputError, conversion
from eventsnn.compat import preset
from eventsnn.encoding import Encoding
from eventsnn.export import kernels, nir
from eventsnn.linear import LinearMap
from eventsnn.simulation import Simulation, Time

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
            seen = x[:, r * stride[0]:r * stride[0] + kh, c * stride[1]:c * stride[1] + kw]
            y[:, r, c] = (weight * seen).sum(axis=(1, 2, 3)) + bias
    return y


def play(path, x, steps, reset, comparator):
    """The graph in clocked time: (name of each IF -> spikes [T, ...], v(T) of each, readout [T, classes]); x in every step."""
    top = read(path)
    nodes, edges = top["nodes"], [tuple(edge) for edge in top["edges"]]
    fires = {">": np.greater, ">=": np.greater_equal}[comparator]
    v = {name: np.full(f["v_threshold"].shape, f["metadata"]["initial_potential"]) for name, f in nodes.items() if f["type"] == "IF"}
    spikes, outputs = {name: [] for name in v}, []
    for _ in range(steps):
        value, waiting = {"input": x}, list(nodes)
        waiting.remove("input")
        while waiting:
            name = next(n for n in waiting if all(source in value for source, target in edges if target == n))
            waiting.remove(name)
            f, total = nodes[name], sum(value[source] for source, target in edges if target == name)
            if f["type"] == "Conv2d":
                assert tuple(f["input_shape"]) == total.shape[1:]
                value[name] = conv2d(total, **f)
            elif f["type"] == "Affine":
                value[name] = f["weight"] @ total + f["bias"]
            elif f["type"] == "Flatten":
                assert tuple(f["input_type"]) == total.shape and (f["start_dim"], f["end_dim"]) == (0, -1)
                value[name] = total.reshape(-1)
            elif f["type"] == "IF":
                v[name] = v[name] + f["r"] * total
                value[name] = fires(v[name], f["v_threshold"]).astype(float)
                v[name] = np.where(value[name], f["v_reset"] if reset == "zero" else v[name] - f["v_threshold"], v[name])
                spikes[name].append(value[name])
            else:
                assert f["type"] == "Output" and tuple(f["shape"]) == total.shape
                outputs.append(total)
    return {name: np.array(s) for name, s in spikes.items()}, v, np.array(outputs)


def in_our_order(values, grid):
    """[..., C, H, W] or [..., C * H * W] -> [..., neurons], channels last."""
    return np.moveaxis(values.reshape(*values.shape[:values.ndim - (3 if values.shape[-3:] == grid else 1)], *grid), -3, -1).reshape(
        -1, np.prod(grid))


def trains(network, pixels, **settings):
    """Our clocked run in float64: spikes [T, neurons], v(T), readout [T, classes] of one image."""
    runs = [network.run(pixels, steps=t, arithmetic="float64", neurons=True, **settings) for t in range(1, STEPS + 1)]
    counts = np.array([run.batch.counts[0] for run in runs])
    return np.diff(counts, axis=0, prepend=0), runs[-1].batch.potentials[0], runs[-1].batch.readout[0]


def assert_plays(tmp_path, network, pixels, neuron="if", **settings):
    """The file, read naively under its own metadata, fires as we do, neuron by neuron and step by step."""
    path = tmp_path / "net.nir"
    nir.write(Simulation(network, steps=STEPS, neuron=neuron, arithmetic="float64", **settings), path)
    ours, potentials, readout = trains(network, pixels, neuron=neuron, **settings)
    x = network.graph.preprocessing(pixels)[0].astype(np.float64)
    meta = read(path)["metadata"]
    spikes, v, outputs = play(path, x, STEPS, meta["reset"], meta["comparator"])
    theirs = {f["metadata"]["layer"]: name for name, f in read(path)["nodes"].items() if f["type"] == "IF"}
    first = 0
    for layer in network.spiking:
        name, here = theirs[layer.name], slice(first, first + layer.size)
        assert np.array_equal(in_our_order(spikes[name], layer.grid), ours[:, here]), layer.name
        assert np.allclose(in_our_order(v[name], layer.grid)[0], potentials[here], rtol=0, atol=1e-9)
        first += layer.size
    assert len(theirs) == len(network.spiking)
    assert np.allclose(in_our_order(np.cumsum(outputs, axis=0), network.readout.grid), readout, rtol=0, atol=1e-9)
    return ours.sum()


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(tmp_path, seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    network, pixels = conversion.convert(graph), random_pixels(rng, graph, 1)
    assert assert_plays(tmp_path, network, pixels) > 0
    assert assert_plays(tmp_path, network, pixels, "if-hard", initial=0.25) > 0
