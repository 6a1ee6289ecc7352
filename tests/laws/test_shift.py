"""Half a threshold that comes with the biases (Opt) beside a v(0) of half a threshold."""

import numpy as np
import pytest
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.networks import pooled_graph, quantised_graph, random_pixels, small_graph

from eventsnn import Encoding, InputError, Simulation, convert, errors, simulate

T = 8


@pytest.mark.parametrize(("make", "seed"), [(quantised_graph, 1), (pooled_graph, 2)])
def test_at_rest_confluent_neurons_do_not_tell_them_apart(make, seed):
    """ST-BIF's counts hang on all charge alone (law 2), so they are equal to the last spike."""
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 4)
    even = Encoding(kind="even", release=8)
    options = dict(steps=64, neuron="st-bif", encoding=even, neurons=True)
    network = convert(graph)
    begun = simulate(network, pixels, **options).batch
    brought = simulate(network, pixels, shift=True, **options).batch
    assert (begun.t_eq < 64).all() and (brought.t_eq < 64).all()
    assert np.array_equal(begun.counts, brought.counts)
    assert np.array_equal(begun.readout[:, -1], brought.readout[:, -1])
    assert not np.array_equal(begun.digests, brought.digests), "the way there is another"


def test_one_layer_of_constant_input_has_the_same_counts_after_t_steps():
    """Where no step brings more than theta: then counts are floor of all charge."""
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(5), graph, 4)
    network = convert(graph, thresholds={node.name: 8.0 for node in graph.activations})
    begun, brought = (
        simulate(network, pixels, steps=T, shift=on, fraction_bits=20) for on in (False, True)
    )
    assert np.array_equal(begun.counts(0), brought.counts(0))
    assert begun.spikes[:, 0].sum() > 20
    assert begun.spikes[:, 0, :-1].sum() > brought.spikes[:, 0, :-1].sum(), "it comes later"


@pytest.mark.parametrize("make", [quantised_graph, pooled_graph])
def test_the_run_is_the_twins_with_more_drive(make):
    rng = np.random.default_rng(6)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 2)
    given = dict(steps=T, pixel_range=(-1.0, 2.0), fraction_bits=20)
    plain = Simulation(convert(graph), initial=0, **given)
    shifted = Simulation(convert(graph), shift=True, **given)
    assert not shifted.resting.any()
    more = 2**20 // (2 * T)
    batch = shifted.run(pixels, neurons=True)
    net = twin_net(plain)
    for i, image in enumerate(pixels):
        drive = [list(row) for row in twin_drive(plain, image)]  # rows may be one and the same
        for row in drive:
            for number, layer in enumerate(plain.network.layers):
                if layer.node is not None and not layer.pools:
                    row[number] = row[number] + more
        run = twin.run_clocked(net, drive, twin_start(plain), T, twin.IF())
        assert batch.counts[i].tolist() == [n for layer in run.memory for n in layer]


def test_what_makes_no_sense_is_refused_in_a_line():
    network = convert(small_graph())
    pixels = random_pixels(np.random.default_rng(0), network.graph, 2)
    how = dict(shift=True, steps=4)
    for words, run in (
        ("shift.*: expected biases as", lambda: simulate(network, pixels, neuron="tpp", **how)),
        ("shift: expected", lambda: simulate(network, pixels, shift=3)),
        ("expected biases as they are", lambda: errors.decompose(network, pixels, **how)),
        ("snnc-code", lambda: simulate(network, pixels, compat="snnc", steps=4)),
    ):
        with pytest.raises(InputError, match=words) as caught:
            run()
        assert "\n" not in str(caught.value)
    given = simulate(network, pixels, compat="snnc-code", steps=4)
    assert np.array_equal(given.digests, simulate(network, pixels, **how).digests)
    assert "shift theta / 2T a step" in str(given.conditions)
