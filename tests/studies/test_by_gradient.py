"""SNNC's weights by gradient: the gradient by hand and by differences, Adam in a plain loop, and
what a run makes of them.
"""

import numpy as np
import pytest
from support.networks import Builder, quantised_graph, random_pixels, skipping_graph

import eventsnn
from eventsnn import InputError, calibrate, convert, simulate
from eventsnn.ann import forward as ann
from eventsnn.run import main
from eventsnn.studies import by_gradient
from eventsnn.studies.by_gradient import weighted, with_weights
from eventsnn.studies.setting import by_neuron, neuron_layers, theta_of

T = 6
ROUNDS = 12


def network_of(seed, make, images=10):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    return convert(graph), random_pixels(rng, graph, images)


def calibrated(network, pixels, rounds=ROUNDS, **options):
    how = dict(method="weights", steps=T, rounds=rounds, progress=False)
    return calibrate(network, pixels, **how | options)


def dense(p):
    """The whole matrix of a projection, [source neurons, target neurons], with its shared blocks:
    the number of the block's weight at each place, or -1.
    """
    m = p.map.whole()
    count, groups, ci, co = m.weights.shape
    numbers = np.arange(m.weights.size).reshape(m.weights.shape)
    there = np.ones(m.weights.shape, bool) if m.exists is None else m.exists
    which = np.full((m.sites[0], groups * ci, m.sites[1], groups * co), -1)
    for source, target, k in zip(m.p, m.r, m.k):
        for g in range(groups):
            here = np.where(there[k, g], numbers[k, g], -1)
            which[source, g * ci : (g + 1) * ci, target, g * co : (g + 1) * co] = here
    return m.blocks.reshape(-1).astype(np.float64), which.reshape(m.sites[0] * groups * ci, -1)


def by_loop(network, pixels, rounds):
    """The weights of every layer by a plain loop: whole matrices, each run of the whole network."""
    now = network
    for number, layer in neuron_layers(network).items():
        result = simulate(now, pixels, steps=T, neurons=True, progress=False)
        graph = network.graph
        values = ann.forward(graph, graph.preprocessing(pixels), keep=(layer.name,))[layer.name]
        aim = (by_neuron(values, layer) * (T / theta_of(layer))).astype(np.float32) / T
        aim = aim.reshape(len(pixels), -1).astype(np.float64)
        names = weighted(graph, layer.name)
        parts, total = [], layer.bias.reshape(1, -1).repeat(len(pixels), 0).astype(np.float64)
        for p in network.into(number):
            if p.source == -1:
                x = graph.preprocessing(pixels, np.float64)
                x = x.transpose(0, 2, 3, 1).reshape(len(x), -1)
                unit, name = 1 / layer.theta, graph.input
            else:
                x = result.batch.counts[:, network.columns(p.source)] / T
                unit = network.layers[p.source].theta / layer.theta
                name = network.layers[p.source].name
            weights, which = dense(p)
            if name in names:
                parts.append([p, x, unit, weights, which])
            else:
                total = total + x @ np.where(which < 0, 0, weights[which])
        random = np.random.default_rng(0)
        moments = [[np.zeros_like(part[3]), np.zeros_like(part[3])] for part in parts]
        for t in range(rounds):
            some = random.permutation(len(pixels))[: by_gradient.BATCH]
            y = total[some] + sum(
                x[some] @ np.where(which < 0, 0, w[which]) for _, x, _, w, which in parts
            )
            charge = y * T + 0.5
            off = np.floor(np.clip(charge, 0, T)) / T - aim[some]
            places = layer.size // layer.grid[0]
            slope = 2 * off * (charge >= 0) * (charge <= T) / (len(some) * places)
            rate = by_gradient.RATE * (1 + np.cos(np.pi * t / rounds)) / 2
            for (_, x, unit, w, which), (m, v) in zip(parts, moments):
                of_place = x[some].T @ slope
                found = np.zeros_like(w)
                np.add.at(found, which[which >= 0], of_place[which >= 0])
                m[:] = 0.9 * m + 0.1 * found
                v[:] = 0.999 * v + 0.001 * found**2
                w -= (
                    rate
                    * unit
                    * (m / (1 - 0.9 ** (t + 1)))
                    / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
                )
        weights = {
            by_gradient._key(network, p): w.reshape(p.map.whole().weights.shape)
            for p, _, _, w, _ in parts
        }
        now = with_weights(now, weights)
    return now


@pytest.mark.parametrize(("make", "seed"), [(quantised_graph, 3), (skipping_graph, 2)])
def test_it_is_what_a_plain_loop_finds(make, seed, monkeypatch):
    monkeypatch.setattr(by_gradient, "RATE", 0.004)  # so that steps are seen
    monkeypatch.setattr(by_gradient, "BATCH", 6)
    network, pixels = network_of(seed, make)
    found = calibrated(network, pixels)
    own = by_loop(network, pixels, ROUNDS)
    assert len(found.weights) >= len(neuron_layers(network))
    for p, mine, before in zip(
        found.network.projections, own.projections, network.projections, strict=True
    ):
        np.testing.assert_allclose(p.map.blocks, mine.map.blocks, atol=1e-6)
        changed = by_gradient._key(network, p) in found.weights
        assert changed != np.array_equal(p.map.blocks, before.map.blocks)
    # behind the weights v(0) gains what means lack, layer by layer
    initial = [np.full(layer.size, 0.5) for layer in network.spiking]
    for number, layer in neuron_layers(network).items():
        run = simulate(found.network, pixels, steps=T, initial=initial, neurons=True).batch
        aim = ann.forward(network.graph, network.graph.preprocessing(pixels), keep=(layer.name,))
        ideal = (by_neuron(aim[layer.name], layer) / theta_of(layer)).mean(axis=0) * T
        fired = run.counts[:, network.columns(number)].mean(axis=0)
        initial[number] = 0.5 + ideal.reshape(-1) - fired
        assert found.initial[number] == pytest.approx(initial[number], rel=1e-5, abs=1e-6)


def test_the_gradient_is_that_of_finite_differences_without_the_floor(monkeypatch):
    network, pixels = network_of(3, quantised_graph)
    seen = []
    plain = by_gradient._Stairs.descend

    def descend(self, rounds, random):
        seen.append(self)
        return plain(self, 0, random)

    monkeypatch.setattr(by_gradient._Stairs, "descend", descend)
    calibrated(network, pixels)
    stairs = seen[1]
    monkeypatch.setattr(
        by_gradient._Stairs, "output", lambda self, u: np.clip(u, 0, self.top) / self.top
    )
    images = np.arange(len(pixels))
    for i, slope in stairs.slopes(images).items():
        blocks = stairs.trained[i].map.weights

        def loss():
            off = stairs.output(stairs.charge(images)) - stairs.aim
            return (off**2).sum(axis=2).mean()

        for place in list(np.ndindex(blocks.shape))[:: max(1, blocks.size // 20)]:
            kept, ends = blocks[place], []
            for step in (1e-6, -1e-6):
                blocks[place] = kept + step
                ends.append(loss())
            blocks[place] = kept
            near = (ends[0] - ends[1]) / 2e-6
            assert slope[place] == pytest.approx(near, rel=1e-4, abs=1e-8)


def test_one_weight_worked_by_hand():
    """x = 0.3, w = 1, theta = 1, T = 4: 1.2 + 1/2 spikes are 1, that is 0.25, and 0.3 is aimed at.

    So w goes up; Adam's first step is the rate itself, whatever the slope.
    """
    b = Builder(np.random.default_rng(0), (1, 1, 1))
    b.weights = lambda *shape, size: np.ones((1, 1), np.float32)
    line = b.gemm(b.add("Flatten", ["input"]), 1)
    b.nodes[-1].params["C"][:] = 0
    graph = b.graph(b.activation(line, "Relu"))
    network = convert(graph, thresholds={graph.activations[0].name: 1.0})
    pixels = np.full((1, 1, 1, 1), 0.3, np.float32)
    found = calibrated(network, pixels, 1, steps=4, pixel_range=(0.0, 1.0))
    ((key, blocks),) = found.weights.items()
    assert key == (None, graph.activations[0].name)
    assert blocks.ravel() == pytest.approx([1 + by_gradient.RATE], abs=1e-9)
    assert found.layers[0]["moved"] == pytest.approx(by_gradient.RATE, rel=1e-3)


@pytest.mark.slow
def test_a_run_calibrates_as_python_does(tmp_path, capsys, monkeypatch):
    network = convert(eventsnn.load("sample"))
    training = eventsnn.load_images("sample", split="train", limit=8)
    found = calibrate(network, training, method="weights", steps=4, rounds=4, progress=False)
    again = calibrate(
        network, training, method="weights", steps=4, rounds=4, progress=False, workers=1
    )
    for key, blocks in found.weights.items():
        assert np.array_equal(blocks, again.weights[key])
    assert "weights calibrated" in str(found.conditions) and "moved" in str(found.table())
    monkeypatch.setattr(by_gradient, "ROUNDS", 4)
    given = ["--limit", "6", "--steps", "4", "--calibration", "train:0-7", "--quiet"]
    assert main([*given, "--calibrate", "weights", "--out", str(tmp_path / "run")]) == 0
    images = eventsnn.load_images("sample", limit=6)
    result = simulate(found.network, images, initial=found.initial, steps=4)
    kept = eventsnn.open_results(tmp_path / "run")
    assert np.array_equal(kept.digests, result.digests)
    with pytest.raises(InputError, match="a calibration of v.0., found one of weights"):
        assert found.graph


def test_what_makes_no_sense_is_refused_in_a_line():
    network, pixels = network_of(3, quantised_graph, 3)
    for words, run in (
        (
            "calibrate: expected one threshold for each layer, found one for each neuron",
            lambda: calibrated(
                convert(network.graph, thresholds="dni", calibration=pixels), pixels
            ),
        ),
        (
            "calibrate: expected a network as it was converted, found weights calibrated",
            lambda: calibrate(calibrated(network, pixels, 1).network, pixels, method="bias"),
        ),
        ("rounds: expected a whole number from 1", lambda: calibrated(network, pixels, 0)),
        (
            "rounds: expected method='v0' or 'weights'",
            lambda: calibrate(network, pixels, method="bias", rounds=6),
        ),
    ):
        with pytest.raises(InputError, match=words) as caught:
            run()
        assert "\n" not in str(caught.value)
