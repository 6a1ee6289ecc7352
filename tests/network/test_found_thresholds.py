"""Thresholds of least square error, and those that the SNN itself shows: against plain loops."""

import numpy as np
import pytest
from support.networks import Builder, pooled_graph, random_graph, random_pixels

from eventsnn import InputError, convert, simulate
from eventsnn.ann import forward as ann
from eventsnn.network import local, stepping
from eventsnn.network.least_error import Staircase, least_error
from eventsnn.network.rules import RULES, Rule
from eventsnn.network.thresholds import choose_thresholds
from eventsnn.settings import Settings


def dense_graph(seed=0, sizes=(5, 7, 6, 3)):
    """Layers of ReLU, all to all, on a vector of 5."""
    b = Builder(np.random.default_rng(seed), (sizes[0], 1, 1))
    x = b.add("Flatten", ["input"])
    for size in sizes[1:-1]:
        x = b.activation(b.gemm(x, size), "Relu")
    return b.graph(b.gemm(x, sizes[-1]))


def square_error(values, theta, steps):
    """Of the staircase, one activation after the other."""
    total = 0.0
    for x in values.reshape(-1):
        stairs = min(max(np.floor(x * steps / theta + 0.5), 0), steps)
        total += (stairs * theta / steps - x) ** 2
    return total


# --- mse -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, 32])
def test_stairs_have_the_error_of_a_loop_over_activations(steps):
    rng = np.random.default_rng(steps)
    values = np.maximum(rng.normal(0.5, 1, (20, 9)), 0).astype(np.float32)
    stairs = Staircase(values, steps)
    for theta in (0.2, 1.0, 1.7, 9.0):
        assert stairs.error(theta) == pytest.approx(square_error(values, theta, steps))
    # a rise belongs to the stair above it
    exact = np.array([0.25, 0.75], np.float32)
    assert Staircase(exact, 2).error(1.0) == square_error(exact, 1.0, 2) == 2 * 0.25**2


def test_no_candidate_is_better_and_what_is_quantised_is_found_again():
    values = np.maximum(np.random.default_rng(2).normal(0, 1, 500), 0).astype(np.float32)
    for steps in (2, 8):
        theta = least_error(values, steps)
        tried = [k / 100 * values.max() for k in range(6, 101)]
        assert square_error(values, theta, steps) <= min(
            square_error(values, each, steps) for each in tried
        ) * (1 + 1e-12)
        assert theta < values.max()
    stairs = np.arange(5, dtype=np.float32) * 0.5
    assert least_error(stairs, 4) == 2.0
    assert least_error(np.zeros(3, np.float32) - 1, 4) == 0


def test_a_network_has_the_threshold_of_each_layers_activations():
    graph = dense_graph()
    pixels = random_pixels(np.random.default_rng(1), graph, 40)
    names = [node.name for node in graph.activations]
    values = ann.forward(graph, graph.preprocessing(pixels), keep=names)
    network = convert(graph, thresholds="mse", steps=8, calibration=pixels)
    assert [x.theta for x in network.spiking] == [least_error(values[name], 8) for name in names]
    assert network.thresholds == "mse for T = 8"


# --- spike-norm ----------------------------------------------------------------------------------


def spike_norm(graph, pixels, steps):
    """Thresholds of a chain of dense layers, neuron by neuron."""
    found = []
    trains = None
    for node in graph.activations:
        line = graph.by_name[node.inputs[0]]
        weights = line.params["B"] if line.attrs["transB"] else line.params["B"].T
        charges = np.zeros((len(pixels), steps, len(weights)))
        for i, pixel in enumerate(pixels):
            for t in range(steps):
                heard = pixel.reshape(-1) if trains is None else trains[i, t]
                charges[i, t] = weights.astype(float) @ heard + line.params["C"]
        theta = charges.max()
        trains = np.zeros(charges.shape)
        for i, t, k in np.ndindex(charges.shape):
            if t == 0 and k == 0:
                v = np.full(len(weights), theta / 2)
            v[k] += charges[i, t, k]
            if v[k] >= theta:
                v[k] -= theta
                trains[i, t, k] = theta
        found.append(theta)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_a_loop_over_neurons_and_steps_finds(seed):
    graph = dense_graph(seed)
    pixels = random_pixels(np.random.default_rng(seed), graph, 6)
    network = convert(graph, thresholds="spike-norm", steps=9, calibration=pixels)
    found = [layer.theta for layer in network.spiking]
    assert found == pytest.approx(spike_norm(graph, pixels, 9), rel=1e-6)
    assert network.thresholds == "spike-norm for T = 9"
    halves = choose_thresholds(
        graph, "spike-norm", pixels=pixels, steps=9, threshold_scale=0.5
    ).values()
    assert [2 * theta for theta in halves] == found


@pytest.mark.parametrize("make", [random_graph, pooled_graph])
def test_no_step_of_the_run_brings_a_neuron_more_and_one_brings_it_all(make, monkeypatch):
    """In the run itself, with skip connections and pools; some images at a time."""
    rng = np.random.default_rng(11)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 5)
    steps = 4
    once = convert(graph, thresholds="spike-norm", steps=steps, calibration=pixels)
    monkeypatch.setattr(stepping, "CHUNK", 250)
    network = convert(graph, thresholds="spike-norm", steps=steps, calibration=pixels)
    assert [x.theta for x in network.layers] == [x.theta for x in once.layers]
    before, fired = 0.5, 0
    most = np.zeros(len(network.layers))
    for t in range(1, steps + 1):
        batch = simulate(
            network, pixels, steps=t, arithmetic="float64", neurons=True, progress=False
        ).batch
        charge = batch.potentials - before + (batch.counts - fired)
        before, fired = batch.potentials, batch.counts
        for i in range(len(network.layers)):
            most[i] = max(most[i], charge[:, network.columns(i)].max())
    for layer, charge in zip(network.spiking, most):
        assert layer.pools or charge == pytest.approx(1, rel=1e-5)


# --- local ---------------------------------------------------------------------------------------


def test_local_thresholds_are_those_of_a_loop_over_neurons(monkeypatch):
    """Batches of 3 of 4 images, from the first again; each layer hears what was clipped."""
    monkeypatch.setattr(local, "BATCH", 3)
    monkeypatch.setattr(local, "BATCHES", 5)
    graph = dense_graph(4)
    pixels = random_pixels(np.random.default_rng(4), graph, 4)
    thetas = [0.0] * len(graph.activations)
    for batch in ([0, 1, 2], [3, 0, 1], [2, 3, 0], [1, 2, 3], [0, 1, 2]):
        heard = [pixels[i].reshape(-1).astype(float) for i in batch]
        for k, node in enumerate(graph.activations):
            line = graph.by_name[node.inputs[0]]
            weights = line.params["B"] if line.attrs["transB"] else line.params["B"].T
            sums = [weights.astype(float) @ x + line.params["C"] for x in heard]
            over = [max(x - thetas[k], 0) for image in sums for x in image]
            thetas[k] += 2 * sum(over) / len(over)
            heard = [np.array([min(max(x, 0), thetas[k]) for x in image]) for image in sums]
    network = convert(graph, thresholds="local", calibration=pixels)
    assert [layer.theta for layer in network.spiking] == pytest.approx(thetas, rel=1e-5)
    assert network.thresholds == "local"


def test_local_thresholds_grow_towards_the_largest_activation(monkeypatch):
    graph = dense_graph()
    pixels = random_pixels(np.random.default_rng(1), graph, 20)
    found = []
    for batches in (1, 50, 800):
        monkeypatch.setattr(local, "BATCHES", batches)
        found.append(choose_thresholds(graph, "local", pixels=pixels))
    most = choose_thresholds(graph, "max", pixels=pixels)
    first = graph.activations[0].name
    assert found[0][first] < found[1][first] < found[2][first] <= most[first] * (1 + 1e-6)


# --- what is refused -----------------------------------------------------------------------------


def test_rules_that_make_no_sense_are_refused_in_a_line(monkeypatch):
    graph = dense_graph()
    pixels = random_pixels(np.random.default_rng(1), graph, 4)
    given = dict(calibration=pixels)

    def refused(words, **options):
        with pytest.raises(InputError, match=words) as caught:
            convert(graph, **{**given, **options})
        assert "\n" not in str(caught.value)

    refused("steps: expected the number of steps .*'mse'.* found none", thresholds="mse")
    refused("steps: .*thresholds='mse'.*no effect", thresholds="max", steps=8)
    refused("steps: .*no effect", steps=8)
    refused("threshold_scale: expected a number from", threshold_scale=0.0)
    refused("calibration: expected images", thresholds="spike-norm", steps=8, calibration=None)
    monkeypatch.setattr(stepping, "MOST", 4 * 7 * 3)
    refused("at most 3 images for 4 steps", thresholds="spike-norm", steps=4)
    monkeypatch.undo()
    first = graph.activations[0].name
    mixed = Rule("some", lambda node: "spike-norm" if node.name == first else "max")
    RULES.add("mixed", mixed)
    other = Rule("none", lambda graph, pixels, names: {}, calibrated=True, whole=True)
    RULES.add("nothing", other)
    try:
        with pytest.raises(InputError, match="to decide all layers, found another rule"):
            choose_thresholds(graph, "mixed", pixels=pixels, steps=4)
        refused("expected a mapping of", thresholds="nothing")
    finally:
        RULES.remove("mixed")
        RULES.remove("nothing")


def test_a_silent_layer_is_named():
    graph = dense_graph()
    line = graph.by_name[graph.activations[1].inputs[0]]
    line.params["B"][:], line.params["C"][:] = 0, -1
    pixels = random_pixels(np.random.default_rng(1), graph, 4)
    for rule in ("mse", "spike-norm"):
        with pytest.raises(InputError, match=f"{graph.activations[1].name}.*above 0.*silent"):
            convert(graph, thresholds=rule, steps=4, calibration=pixels)


def test_a_run_takes_its_own_steps():
    assert Settings(thresholds="mse", steps=5).steps_of_rule == 5
    assert Settings(steps=5).steps_of_rule is None
    assert Settings(threshold_scale=0.5).id() != Settings().id()
    assert Settings(threshold_scale=1.0).id() == Settings().id()
