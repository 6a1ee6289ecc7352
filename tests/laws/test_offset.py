"""COS against the naive twin: each layer's v(0), neuron by neuron, and the run from there."""

import numpy as np
import pytest
from support import twin
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.networks import pooled_graph, quantised_graph, random_graph, random_pixels, small_graph

from eventsnn import InputError, Simulation, Time, convert, errors, simulate
from eventsnn.settings import Settings
from eventsnn.simulation.arithmetic import Arithmetic
from eventsnn.simulation.offset import beginning, shifted
from eventsnn.studies.setting import numbers_of

T = 6


def shift(charged, fired, one, epsilon):
    """By how much one neuron's v(0) moves, or "always". charged: before each evaluation."""
    v = charged[-1] - one * fired[-1]
    firing = [p for p, n in zip(charged, fired) if n]
    silent = [p for p, n in zip(charged, fired) if not n]
    if v < 0 and firing:
        return -max(one, min(firing) - one + epsilon)
    if v >= one:
        return max(one, one + epsilon - max(silent)) if silent else "always"
    return 0


def offset_of(simulation, image, rho):
    """(net, drive, v(0) of each layer, spikes of the calibration) by runs of the twin."""
    net, drive, v0 = twin_net(simulation), twin_drive(simulation, image), twin_start(simulation)
    one = simulation.arithmetic.one.item()
    epsilon = max(1, round(0.001 * one))
    spikes = [0] * len(net.layers)
    for i in numbers_of(simulation.network).values():
        runs = [twin.run_clocked(net, drive, v0, t, twin.IF()) for t in range(1, rho + 1)]
        for n in range(len(v0[i])):
            counts = [0] + [run.memory[i][n] for run in runs]
            fired = np.diff(counts).tolist()
            charged = [run.potentials[i][n] + one * f for run, f in zip(runs, fired)]
            moved = shift(charged, fired, one, epsilon)
            limit = round(simulation.shift_limit * one)
            v0[i][n] = limit if moved == "always" else v0[i][n] + moved
            spikes[i] += sum(fired)
    return net, drive, v0, spikes


@pytest.mark.parametrize(
    ("make", "seed"), [(random_graph, 1), (quantised_graph, 5), (pooled_graph, 2)]
)
def test_it_is_the_twins_layer_by_layer(make, seed):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 2)
    simulation = Simulation(convert(graph), steps=T, offset=3, pixel_range=(-1.0, 2.0))
    batch = simulation.run(pixels, neurons=True)
    moved = 0
    for i, image in enumerate(pixels):
        net, drive, v0, spikes = offset_of(simulation, image, 3)
        found, cost = simulation.calibrated.of(image)
        assert [v.tolist() for v in by_layer(simulation, found)] == v0
        assert cost[0].tolist() == spikes and (cost[0] == batch.stage_one[i, 0]).all()
        # what is heard is what a run of three steps from there hears
        heard = beginning(simulation, found).engine.image(image, steps=3).operations.sum(axis=1)
        assert (cost[1, :-1] == heard[:-1]).all() and heard[:-1].sum() > 0
        assert (cost[1] == batch.stage_one[i, 1]).all() and cost[:, -1].sum() == 0
        run = twin.run_clocked(net, drive, v0, T, twin.IF())
        counts = [n for layer in run.memory for n in layer]
        assert batch.counts[i].tolist() == counts
        moved += np.count_nonzero(found != simulation.resting)
    assert moved > 0


def test_neurons_worked_by_hand():
    """theta = 1, v(0) = 1/2, rho = 3, in numbers of 2^-10; epsilon is 1/1024."""
    numbers = Arithmetic("fixed", np.dtype(np.int32), 10, 8.0, 0)
    one = 1024
    cases = [
        # charges, v(0): late inhibition takes a spike too many back; the least firing was at 1.75
        ([1.25, 1.25, -2.5], 0.5 - 1),
        # the least firing was at 2.5, so a shift of theta would not be enough
        ([2.0, 0.75, -3.5], 0.5 - 1.25 - 1 / 1024),
        # too few: charge comes late; it never fired, at most at 0 in vain, so it goes up by theta
        ([-1.5, 0.5, 4.0], 0.5 + 2 + 1 / 1024 - 0.5),
        # all three fired and a threshold is left
        ([2.0, 2.0, 2.0], 9.0),
        # a residual between 0 and theta: nothing to mend
        ([0.5, 0.25, 0.25], 0.5),
        # below 0 without a spike: none can be taken away
        ([-1.0, 0.25, 0.0], 0.5),
    ]
    for charges, expected in cases:
        v, charged, fired = one // 2, [], []
        for q in charges:
            v += round(q * one)
            charged.append(v)
            fired.append(int(v >= one))
            v -= one * fired[-1]
        found = shifted(
            np.array([one // 2], np.int32),
            np.array(charged, np.int32)[:, None],
            np.array(fired)[:, None],
            np.array([v], np.int32),
            numbers,
            np.int32(9 * one),
        )
        moved = shift(charged, fired, one, 1)
        by_loop = 9 * one if moved == "always" else one // 2 + moved
        assert found[0] == by_loop, charges
        assert found[0] == round(expected * one), charges


def test_both_engines_run_what_was_found():
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(3), graph, 6)
    network = convert(graph)
    options = dict(steps=T, offset=4)
    clocked = simulate(network, pixels, **options)
    event = simulate(network, pixels, engine="event", order="clocked", **options)
    assert np.array_equal(clocked.digests, event.digests)
    assert np.array_equal(clocked.batch.stage_one, event.batch.stage_one)
    assert not np.array_equal(clocked.digests, simulate(network, pixels, steps=T).digests)
    assert "offset 4" in str(clocked.conditions)
    # an image is the same alone and on any number of threads
    alone = simulate(network, pixels[2:3], **options)
    assert np.array_equal(alone.digests[0], clocked.digests[2])
    threads = simulate(network, pixels, workers=2, batch=1, **options)
    assert np.array_equal(threads.digests, clocked.digests)


def test_what_makes_no_sense_is_refused_in_a_line():
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(3), graph, 2)
    network = convert(graph)

    def refused(words, **options):
        with pytest.raises(InputError, match=words) as caught:
            simulate(network, pixels, **{"steps": T, "offset": 4, **options})
        assert "\n" not in str(caught.value)

    refused("offset=7: expected at most the steps=6", offset=7)
    refused("one stage, found srp=2", srp=2)
    refused("soft reset, found SNM", neuron="snm")
    refused("goes on in every step, found encoding='even'", encoding="even")
    refused("offset: expected a whole number from 0", offset=-1)
    with pytest.raises(InputError, match="one v.0. for all images, found offset=4"):
        errors.decompose(network, pixels, steps=T, offset=4)
    event = Simulation(network, steps=T, offset=4, engine="event", time=Time())
    with pytest.raises(InputError, match="one v.0. for all images, which a trace has"):
        event.run(pixels, sinks=[object(), None])
    with pytest.raises(InputError, match="--offset: expected --trace counts"):
        Settings(offset=4, engine="event", trace="spikes")
