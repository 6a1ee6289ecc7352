"""NIR graphs that the package nir writes, read here and simulated elsewhere, spike by spike."""

import warnings

import numpy as np
import pytest
from support.networks import random_graph

import eventsnn
from eventsnn.export import nir as export
from eventsnn.network import convert as conversion
from eventsnn.simulation.simulation import Simulation

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    nir, torch = pytest.importorskip("nir"), pytest.importorskip("torch")
STEPS = 12
THRESHOLD = 1 + 1 / 64  # no sum of weights on a grid of 1/32 meets it


def theirs(rng):
    """Conv2d, IF, Flatten, Affine, IF, Affine, made with the package."""

    def weights(*shape):
        return rng.choice((-4, -2, 1, 4), shape).astype(np.float32) / 32

    def neurons(*shape):
        return nir.IF(np.ones(shape), np.full(shape, THRESHOLD), np.zeros(shape))

    nodes = {
        "input": nir.Input({"input": np.array([2, 6, 6])}),
        "conv": nir.Conv2d((6, 6), weights(3, 2, 3, 3), 1, 1, 1, 1, weights(3)),
        "if1": neurons(3, 6, 6),
        "flat": nir.Flatten({"input": np.array([3, 6, 6])}, start_dim=0, end_dim=-1),
        "fc": nir.Affine(weights(8, 108), weights(8)),
        "if2": neurons(8),
        "head": nir.Affine(weights(4, 8), weights(4)),
        "output": nir.Output({"output": np.array([4])}),
    }
    return nir.NIRGraph(nodes, list(zip(list(nodes), list(nodes)[1:])))


def counted(network, pixels):
    """Name -> net spikes of each neuron [T, C, H, W], from runs of 1 to T steps."""
    found = {layer.name: [] for layer in network.spiking}
    for steps in range(1, STEPS + 1):
        result = eventsnn.simulate(
            network, pixels, steps=steps, arithmetic="float64", pixel_range=(0, 4), neurons=True
        )
        for name in found:
            found[name].append(result.counts(name)[0])
    return {name: np.diff(counts, axis=0, prepend=0) for name, counts in found.items()}


@pytest.mark.parametrize("seed", range(3))
def test_a_graph_of_the_package_fires_as_norse_fires(tmp_path, seed):
    importer = pytest.importorskip("norse.torch.utils.import_nir")
    rng = np.random.default_rng(seed)
    graph = theirs(rng)
    nir.write(str(tmp_path / "a.nir"), graph)
    network = eventsnn.convert(eventsnn.load(tmp_path / "a.nir"))
    pixels = rng.integers(0, 4, (1, 2, 6, 6)).astype(np.float32)
    ours = counted(network, pixels)
    net, state, seen = importer.from_nir(graph), None, {name: [] for name in ours}
    for name, module in net.named_modules():
        if name in seen:
            module.register_forward_hook(
                lambda module, inputs, out, name=name: seen[name].append(
                    (out[0] if isinstance(out, tuple) else out).detach().numpy().copy()
                )
            )
    for _ in range(STEPS):
        _, state = net(torch.tensor(pixels[0]), state)
    for name, spikes in ours.items():
        found = np.stack(seen[name]).reshape(spikes.shape)
        np.testing.assert_array_equal(found, spikes, err_msg=name)
        assert 0 < spikes.sum() < spikes.size


@pytest.mark.parametrize("seed", range(3))
def test_our_export_that_the_package_wrote_again_is_the_same_network(tmp_path, seed):
    network = conversion.convert(random_graph(np.random.default_rng(seed)))
    for target in export.READERS:
        export.write(Simulation(network, steps=4), tmp_path / "ours.nir", target)
        nir.write(str(tmp_path / "theirs.nir"), nir.read(str(tmp_path / "ours.nir")))
        one, two = (eventsnn.load(tmp_path / f"{who}.nir") for who in ("ours", "theirs"))
        assert one.hash == two.hash
