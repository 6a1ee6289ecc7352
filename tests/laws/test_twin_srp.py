"""The twin's two stages of SRP (semantics, section 9)."""

import numpy as np
import pytest
from support import twin
from support.twin import (
    IF,
    Layer,
    Net,
    Projection,
)
from support.twin_runs import (
    MODELS,
    ORDERS,
    SEEDS,
    SOFT,
    THETA,
    clock,
    either,
    facts,
    masked,
    pooled,
    run,
    same,
    start,
    totals,
    trains_into_one_neuron,
    trains_into_pools,
)

LATE_INHIBITION = [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]


def test_srp_masks_the_neuron_of_figure_1c():
    """The neuron fires four times, one too many, and stands at -1 after 6 steps; so in stage two
    nobody hears it.
    """
    net, drive, v0 = trains_into_one_neuron(LATE_INHIBITION, [2, -1])
    first, mask, second = twin.run_srp(twin.run_clocked, net, drive, v0, 6, 6, IF())
    assert first == clock(net, drive, IF(), v0) and mask == [[True, True], [False], [True]]
    assert (first.readout[-1], first.synaptic_operations) == ([4], 6 + 4)
    assert second.counts[0] == first.counts[0] and second.counts[1] == [[0]] * 6
    assert second.readout[-1] == [0] and second.synaptic_operations == 6
    assert (
        all(s.layer == 0 and s.seq == n for n, s in enumerate(second.spikes))
        and len(second.spikes) == 6
    )
    # it went on integrating, resetting and remembering
    assert second.potentials[:2] == first.potentials[:2] == [[0, 0], [-1]]
    assert second.memory[1] == first.memory[1] == [4]
    assert (
        second.equalities == first.equalities == 6
    )  # the sources at 1; the neuron meets 2, 3, 4, 2, 0, -1
    assert second.t_eq == 6


def test_srp_stages_differ_in_length_and_start_anew():
    """After 3 steps the neuron of figure 1 (c) stands at 3; after 5 at 0, so it is masked out if
    epsilon = 1.
    """
    net, drive, v0 = trains_into_one_neuron(LATE_INHIBITION, [2, -1])
    first, mask, second = twin.run_srp(twin.run_clocked, net, drive, v0, 3, 6, IF())
    assert first.potentials[1] == [3] and mask == [[True, True], [True], [True]]
    assert second == clock(net, drive, IF(), v0)
    first, mask, second = twin.run_srp(twin.run_clocked, net, drive, v0, 5, 2, IF())
    assert (
        first.potentials[1] == [0]
        and mask[1] == [True]
        and second == clock(net, drive[:2], IF(), v0)
    )
    first, mask, second = twin.run_srp(twin.run_clocked, net, drive, v0, 5, 2, IF(), epsilon=1)
    assert mask == [[False, False], [False], [True]]  # the sources stand at 0 too
    assert second.spikes == [] and second.synaptic_operations == 0 and second.memory[0] == [2, 0]
    # the neuron is not even charged: nothing is sent
    assert second.arrived[1] == [0]


def test_srp_event_by_event():
    """DNISNM figure 3, inhibition last: five spikes and v = -3. Masked out, it still fires five
    times, unheard.
    """
    net = Net(
        [Layer("sources", 3, 1), Layer("neuron", 1, 1), Layer("readout", 1)],
        [Projection(0, 1, [[1, 2, -1]]), Projection(1, 2, [[1]])],
    )
    drive, v0 = [[[1, 2, 3], [0], None]], [[0] * 3, [0], [0]]
    first, mask, second = twin.run_srp(
        twin.run_async, net, drive, v0, 1, 1, IF(), order=twin.excitatory_first
    )
    assert mask == [[True] * 3, [False], [True]]
    assert (first.readout, first.synaptic_operations) == ([[5]], 11)
    assert (second.readout, second.synaptic_operations) == ([[0]], 6)
    assert second.memory[1] == [5] and second.potentials[1] == [-3] and second.counts[1] == [[0]]
    assert {(d.layer, d.neuron) for d in second.deliveries} == {(0, 0), (0, 1), (0, 2)}


def test_a_masked_neuron_rests_after_its_unheard_spikes():
    """theta = 4, r = 300: it fires at 0, 300, 600 and 900, while it stands at 4 or above; then the
    step is over.
    """
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    for charge, left in ((12, 0), (16, 0), (20, 4)):
        outcome = run(
            net, [[[charge], None]], IF(), v0=[[0], [0]], refractory=300, mask=[[False], [True]]
        )
        assert (
            outcome.potentials[0] == [left]
            and outcome.memory[0] == [(charge - left) // 4]
            and outcome.spikes == []
        )


def test_a_masked_neuron_moves_the_equilibrium_time():
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    outcome = clock(
        net, [[[12], None]] + [[None, None]] * 4, IF(), [[0], [0]], mask=[[False], [True]]
    )
    assert outcome.t_eq == 3 and outcome.equalities == 1 and outcome.readout == [[0]] * 5


def test_pools_and_readout_are_never_masked():
    """Source 0 is masked out: the pool over both sources follows the other."""
    net, drive, v0 = trains_into_pools([(0, 1)], [[3, -1], [1, 1]], [1])
    first, mask, second = twin.run_srp(
        twin.run_async,
        net,
        [[charges[0], None, None] for charges in drive],
        v0,
        2,
        2,
        IF(),
        order=twin.fifo,
    )
    assert first.potentials[0] == [-1, 0] and first.readout == [[3], [3]]
    assert mask == [[False, True], [True], [True]] and second.readout == [[1], [2]]
    first, mask, _ = twin.run_srp(twin.run_clocked, net, drive, v0, 2, 2, IF(), epsilon=9)
    assert mask == [[False, False], [True], [True]]
    for wrong in (
        [[True] * 2, [False], [True]],
        [[True] * 2, [True], [False]],
        [[True], [True], [True]],
    ):
        with pytest.raises(
            ValueError, match="expected . truth values, all True for a pool and for the readout"
        ):
            run(net, drive, IF(), v0=v0, mask=wrong)


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("way", ["engine", *ORDERS])
def test_conservation_and_silence_of_masked_neurons(name, way):
    """v(T) = v(0) + arrived - q * S with the memory S; every other record is of those who take
    part.
    """
    unheard = 0
    for seed in SEEDS:
        net, drive = pooled(seed)
        mask = masked(np.random.default_rng(seed), net)
        model = MODELS[name]
        v0 = start(net)
        outcome = either(way, net, drive, model, mask=mask)
        recorded = {(s.layer, s.neuron) for s in outcome.spikes} | {
            (d.layer, d.neuron) for d in outcome.deliveries
        }
        assert all(mask[layer][neuron] for layer, neuron in recorded)
        for layer in range(net.readout):
            if net.layers[layer].pool:
                continue
            for i, S in enumerate(outcome.memory[layer]):
                v, arrived = outcome.potentials[layer][i], outcome.arrived[layer][i]
                assert v == v0[layer][i] + arrived - model.quantum(THETA) * S
                assert totals(outcome, layer)[i] == (S if mask[layer][i] else 0)
                unheard += not mask[layer][i] and S > 0
    assert unheard > 5


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_masked_runs_equal_runs_without_the_masked_synapses(name, seed):
    """Cut the synapses of the masked-out: all others do the same, and so do their own potentials.

    Not so under an order that delivers a taken-back spike before the one it takes back: in a pool's
    window the masked-out stay, with sums of 0, and hold the maximum up when all others are
    below.
    """
    net, drive = pooled(seed)
    mask = masked(np.random.default_rng(seed), net)
    cut = Net(
        net.layers,
        [
            Projection(p.source, p.target, p.weights, p.mask & mask[p.source])
            for p in net.projections
        ],
    )
    for options in (
        {},
        {"refractory": 700},
        {"window": 50},
        {"order": twin.clocked},
        {"order": twin.excitatory_first},
    ):
        one = run(net, drive, MODELS[name], mask=mask, **options)
        other = run(cut, drive, MODELS[name], **options)
        for attribute in (
            "potentials",
            "memory",
            "arrived",
            "readout",
            "synaptic_operations",
            "equalities",
            "t_eq",
        ):
            assert getattr(one, attribute) == getattr(other, attribute), attribute
        assert [f[1:] for f in facts(one)] == [f[1:] for f in facts(other) if mask[f[2]][f[3]]]
    engine = clock(net, drive, MODELS[name], mask=mask)
    assert (
        same(engine, run(net, drive, MODELS[name], order=twin.clocked, mask=mask)) and engine.spikes
    )
