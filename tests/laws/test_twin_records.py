"""The twin's numbers, records and costs."""

import numpy as np
import pytest
from support import twin
from support.twin import (
    IF,
    SNM,
    STBIF,
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
    facts,
    random_drive,
    random_net,
    run,
    start,
)


def test_even_release_adds_up():
    for total in range(-30, 31):
        for n in range(1, 9):
            parts = twin.even_release(total, n)
            assert len(parts) == n and sum(parts) == total and max(parts) - min(parts) <= 1
    assert twin.even_release(np.int64(6), 4) == [1, 2, 1, 2]
    assert twin.even_release(-1, 4) == [-1, 0, 0, 0]
    assert twin.even_release(1.0, 4) == [0.25] * 4


def test_even_release_drives_stbif_to_the_rounded_value():
    """SpikeZIP 3.2 and eq. 2: x in n even parts gives clip(round(x / s), 0, n) spikes (halves
    up).
    """
    net = Net([Layer("neuron", 1, 10), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    for x in range(-30, 70):
        drive = [[[part], None] for part in twin.even_release(x, 4)] + [[None, None]] * 8
        assert clock(net, drive, STBIF(4), [[5], [0]]).readout[-1] == [
            min(max((x + 5) // 10, 0), 4)
        ]


def test_clocked_floats_add_up_in_the_order_of_sources():
    """Step 2: source 0 takes its spike back, source 1 fires. (0.1 - 0.3) + 0.2, not (0.1 + 0.2) -
    0.3.
    """
    net = Net(
        [Layer("sources", 2, 1.0), Layer("neuron", 1, 9.0), Layer("readout", 1)],
        [Projection(0, 1, [[0.3, 0.2]]), Projection(1, 2, [[1.0]])],
    )
    drive = [[[1.5, 0.0], [-0.3], None], [[-1.0, 1.0], [0.1], None]]
    outcome = clock(net, drive, STBIF(4), [[0.0, 0.0], [0.0], [0.0]])
    assert outcome.counts[0] == [[1, 0], [-1, 1]]
    assert outcome.potentials[1] == [(0.1 - 0.3) + 0.2] != [(0.1 + 0.2) - 0.3]


@pytest.mark.parametrize("name", SOFT)
def test_floats_agree_with_integers_where_their_sums_are_exact(name):
    """Everything divided by 16, as numpy arrays."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net = random_net(rng)
        drive = random_drive(rng, net)
        small = Net(
            [Layer(layer.name, layer.size, THETA / 16) for layer in net.layers],
            [Projection(p.source, p.target, p.weights / 16, p.mask) for p in net.projections],
        )
        small_drive = [[np.array(charges) / 16 for charges in step] for step in drive]
        small_v0 = [np.array(potentials) / 16 for potentials in start(net)]
        pairs = [
            (clock(net, drive, MODELS[name]), clock(small, small_drive, MODELS[name], small_v0))
        ]
        for options in ORDERS.values():
            pairs.append(
                (
                    run(net, drive, MODELS[name], **options),
                    run(small, small_drive, MODELS[name], v0=small_v0, **options),
                )
            )
        for whole, part in pairs:
            assert (
                facts(whole) == [(*f[:6], f[6] * 16, f[7] * 16) for f in facts(part)]
                and whole.spikes
            )
            assert whole.equalities == part.equalities
            assert whole.readout == [[x * 16 for x in step] for step in part.readout]


def test_explicit_zeros_are_synapses_and_masked_ones_are_not():
    net = Net(
        [Layer("source", 1, 1), Layer("targets", 4, 9), Layer("readout", 1)],
        [Projection(0, 1, [[0], [5], [-5], [7]], [[True], [True], [True], [False]])],
    )
    drive, v0 = [[[2], [0] * 4, None]], [[0], [9, 0, 0, 0], [0]]
    assert clock(net, drive, IF(), v0).synaptic_operations == 3
    for order in (twin.fifo, twin.excitatory_first, twin.inhibitory_first):
        outcome = run(net, drive, IF(), v0=v0, order=order)  # the source fires twice
        assert outcome.synaptic_operations == 6
        assert outcome.arrived[1] == [0, 10, -10, 0]


def test_operations_are_fan_out_times_spikes_once_everything_is_delivered():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net = random_net(rng)
        drive = random_drive(rng, net, quiet=60)
        for options in ORDERS.values():
            outcome = run(net, drive, SNM(), **options)
            fan_out = [
                sum(
                    int(np.asarray(p.mask)[:, s.neuron].sum())
                    for p in net.projections
                    if p.source == s.layer
                )
                for s in outcome.spikes
            ]
            assert outcome.synaptic_operations == sum(fan_out) and outcome.under_way == 0


def test_records_are_consistent():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net = random_net(rng)
        drive = random_drive(rng, net)
        for options in ORDERS.values():
            outcome = run(net, drive, SNM(), **options)
            assert [s.seq for s in outcome.spikes] == list(range(len(outcome.spikes)))
            assert [s.tick for s in outcome.spikes] == sorted(s.tick for s in outcome.spikes)
            counts = [np.zeros((len(drive), layer.size), int) for layer in net.layers]
            sent = {}
            for s in outcome.spikes:
                counts[s.layer][s.step, s.neuron] += s.sign
                assert s.v_before - s.v_after == s.sign * THETA
                assert s.nth == sent.get((s.layer, s.neuron), 0)
                sent[s.layer, s.neuron] = s.nth + 1
                if s.cause is not None:
                    cause = outcome.spikes[s.cause]
                    assert s.cause < s.seq and any(
                        p.source == cause.layer
                        and p.target == s.layer
                        and p.mask[s.neuron, cause.neuron]
                        for p in net.projections
                    )
            assert [c.tolist() for c in counts] == outcome.counts


def test_equilibrium_time_is_the_last_step_that_moved_anything():
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    nothing = [None, None]
    assert clock(net, [nothing] * 3, IF(), [[0], [0]]).t_eq == 0
    assert (
        clock(net, [[[12], None]] + [nothing] * 4, IF(), [[0], [0]]).t_eq == 3
    )  # one spike a step
    assert run(net, [[[12], None], nothing, nothing], IF(), v0=[[0], [0]]).t_eq == 1  # all at once
    assert run(net, [nothing, [[1], None], [[0], None], nothing], IF(), v0=[[0], [0]]).t_eq == 2
    assert run(net, [nothing, [None, [1]], nothing], IF(), v0=[[0], [0]]).t_eq == 2  # readout only
    alone = Net(net.layers, [])
    assert clock(alone, [[[12], None]] + [nothing] * 4, IF(), [[0], [0]]).t_eq == 3  # fires unheard


def test_no_drive_is_no_arrival_and_zero_drive_is_one():
    """A neuron that starts above its threshold fires at its first arrival."""
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    assert run(net, [[None, None], [[0], None]], IF(), v0=[[5], [0]]).counts[0] == [[0], [1]]
    assert clock(net, [[None, None], [[0], None]], IF(), [[5], [0]]).counts[0] == [[1], [0]]
