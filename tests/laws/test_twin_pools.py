"""The twin's max pooling (semantics, section 10)."""

import numpy as np
import pytest
from support import twin
from support.twin import (
    GN,
    IF,
    SNM,
    STBIF,
    TICKS_PER_STEP,
    Layer,
    Net,
    PerNeuron,
    PerProjection,
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
    pooled,
    run,
    same,
    start,
    totals,
    trains_into_pools,
)


def test_a_pool_sends_the_changes_of_its_maximum():
    """Sums of the sources: 1 2 1 0, 0 1 1 0, 1 1 1 1; so the maxima are 1 2 1 0 over (0, 1) and 1 1
    1 1 over (1, 2).
    """
    net, drive, v0 = trains_into_pools(
        [(0, 1), (1, 2)], [[1, 1, -1, -1], [0, 1, 0, -1], [1, 0, 0, 0]], [5, 7]
    )
    # the sources' own equalities: p = theta four times, p = 0 with S > 0 in four steps without
    # drive; asynchronous also at the evaluation that follows each of the seven spikes, but for the
    # two that bring S to 0
    for outcome, equalities in (
        (clock(net, drive, STBIF(9), v0), 8),
        (run(net, drive, STBIF(9), v0=v0), 8 + 5),
        (run(net, drive, STBIF(9), v0=v0, order=twin.clocked), 8),
    ):
        assert outcome.equalities == equalities
        assert outcome.counts[1] == [[1, 1], [1, 0], [-1, 0], [-1, 0]]
        assert outcome.readout == [[12], [17], [12], [7]]
        assert [
            (s.step, s.neuron, s.sign, s.member, s.v_before, s.v_after, s.nth)
            for s in outcome.spikes
            if s.layer == 1
        ] == [
            (0, 0, 1, 1, 0, 1, 0),
            (0, 1, 1, 1, 0, 1, 0),
            (1, 0, 1, 1, 1, 2, 1),
            (2, 0, -1, 1, 2, 1, 2),
            (3, 0, -1, 1, 1, 0, 3),
        ]
        assert outcome.potentials[1] == outcome.memory[1] == [0, 1] and outcome.arrived[1] == [0, 0]
        assert (
            outcome.synaptic_operations == 5
        )  # those of the pool's spikes; its comparisons are none


def test_a_pool_sends_several_spikes_at_once_in_clocked_time_only():
    """Two GN of four members send 3 and 2, then 1 and 4: the maximum goes to 3 and to 6."""
    net = Net(
        [Layer("sources", 2, 4), Layer("pool", 1, pool=True), Layer("readout", 1)],
        [Projection(0, 1, [[1, 1]]), Projection(1, 2, [[2]])],
    )
    drive, v0 = [[[3, 2], [0], None], [[1, 4], None, None]], [[0, 0], [0], [0]]
    outcome = clock(net, drive, GN(4), v0)
    assert [
        (s.step, s.member, s.v_before, s.v_after, s.nth) for s in outcome.spikes if s.layer == 1
    ] == [
        (0, 1, 0, 1, 0),
        (0, 2, 1, 2, 1),
        (0, 3, 2, 3, 2),
        (1, 1, 3, 4, 3),
        (1, 2, 4, 5, 4),
        (1, 3, 5, 6, 5),
    ]
    assert outcome.readout == [[6], [12]] and outcome.synaptic_operations == 6
    assert same(outcome, run(net, drive, GN(4), v0=v0, order=twin.clocked))
    outcome = run(net, drive, GN(4), v0=v0)
    # step 0: the three members of source 0 raise it; step 1: source 0 goes to 4, source 1 from 2 to
    # 6 with its last two
    causes = [outcome.spikes[s.cause] for s in outcome.spikes if s.layer == 1]
    assert [(s.step, s.neuron, s.member) for s in causes] == [
        (0, 0, 1),
        (0, 0, 2),
        (0, 0, 3),
        (1, 0, 1),
        (1, 1, 3),
        (1, 1, 4),
    ]
    assert all(s.member == 1 for s in outcome.spikes if s.layer == 1) and outcome.readout == [
        [6],
        [12],
    ]


@pytest.mark.parametrize(
    ("order", "sent"),
    [
        (twin.fifo, [1, -1, 1]),  # 0 takes its spike back before 1 has fired its own
        (twin.lifo, [1]),
        (twin.excitatory_first, [1]),
        (twin.inhibitory_first, [1, -1, 1]),
        (twin.clocked, [1]),
    ],
)
def test_a_pool_acts_at_once_when_asynchronous(order, sent):
    """Source 0 fires; in the next step it takes its spike back and source 1 fires."""
    net, drive, v0 = trains_into_pools([(0, 1)], [[1, -1], [0, 1]], [3])
    outcome = run(net, drive, STBIF(9), v0=v0, order=order)
    assert [s.sign for s in outcome.spikes if s.layer == 1] == sent
    assert outcome.readout == [[3], [3]] and outcome.synaptic_operations == len(sent)


def test_units_of_a_pool_answer_in_index_order_without_window_or_refractory_period():
    """Source 0 is in both windows. With w = 10 and r = 500 the sources fire at 10 and 510, the pool
    as they arrive.
    """
    net, drive, v0 = trains_into_pools([(0, 1), (0,)], [[2], [0]], [1, 1])
    outcome = run(net, drive, IF(), v0=v0, window=10, refractory=500, delays=PerProjection([4, 0]))
    assert [(s.layer, s.neuron, s.tick, s.cause) for s in outcome.spikes] == [
        (0, 0, 10, None),
        (1, 0, 14, 0),
        (1, 1, 14, 0),
        (0, 0, 510, None),
        (1, 0, 514, 3),
        (1, 1, 514, 3),
    ]


def test_a_pool_follows_its_members_below_zero():
    """Source 0 fires at 0 and takes it back at 1024; the spike is held up for two steps, the other
    is not.
    """
    net, drive, v0 = trains_into_pools([(0,), (0, 1), ()], [[1, -1, 0, 0], [0] * 4], [1, 1, 1])
    late = [twin.Delivery(0, 0, 0, 2 * TICKS_PER_STEP, (0,), twin.WHOLE)]
    outcome = run(net, drive, STBIF(9), v0=v0, order=twin.replay(late), barrier=False)
    assert outcome.counts[1] == [
        [0, 0, 0],
        [-1, 0, 0],
        [1, 0, 0],
        [0, 0, 0],
    ]  # (0, 1) has 1 at zero; () has nobody
    assert outcome.t_eq == 3 and outcome.potentials[1] == [0, 0, 0]


def test_equilibrium_time_counts_a_pool_when_it_fires():
    """A spike of step 0 that reaches the pool in step 2 moves it, unless another has raised the
    maximum before.
    """
    net, _, v0 = trains_into_pools([(0, 1)], [[], []], [1])
    drive = [[[1, 0], None, None]] + [[None] * 3] * 3
    assert (
        run(
            net, drive, IF(), v0=v0, barrier=False, delays=PerProjection([2 * TICKS_PER_STEP, 0])
        ).t_eq
        == 3
    )
    both = [[[1, 1], None, None]] + drive[1:]
    lagging = PerNeuron([[0, 2 * TICKS_PER_STEP], [0], []])
    assert (
        run(net, both, IF(), v0=v0, barrier=False, delays=lagging).t_eq == 1
    )  # the maximum is 1 already
    assert run(Net(net.layers, net.projections[:1]), drive, IF(), v0=v0).t_eq == 1


def test_pools_of_pools():
    """Over (0, 1) and (2, 3), then over both: the maximum of all four."""
    net = Net(
        [
            Layer("sources", 4, 1),
            Layer("pool", 2, pool=True),
            Layer("top", 1, pool=True),
            Layer("readout", 1),
        ],
        [
            Projection(
                0, 1, np.ones((2, 4), int), [[True, True, False, False], [False, False, True, True]]
            ),
            Projection(1, 2, [[1, 1]]),
            Projection(2, 3, [[1]]),
        ],
    )
    for drive in ([1, 2, 3, 1], [4, 0, 0, 0], [0, 0, 0, 2]):
        outcome = run(net, [[drive, None, None, None]], IF(), v0=[[0] * 4, [0, 0], [0], [0]])
        assert outcome.readout == [[max(drive)]] and outcome.synaptic_operations == max(drive)


def maxima(net, outcome, layer):
    """Of the sources' totals over each unit's window."""
    windows = [
        [
            totals(outcome, p.source)[j]
            for p in net.projections
            if p.target == layer
            for j, synapse in enumerate(p.mask[i])
            if synapse
        ]
        for i in range(net.layers[layer].size)
    ]
    return [max(window, default=0) for window in windows]


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("way", ["engine", *ORDERS])
def test_pools_end_at_the_maximum_and_neurons_conserve(name, way):
    moved = 0
    for seed in SEEDS:
        net, drive = pooled(seed, quiet=150)
        outcome = either(way, net, drive, MODELS[name])
        assert outcome.under_way == 0
        q = MODELS[name].quantum(THETA)
        for layer, v0 in enumerate(start(net)[:-1]):
            assert outcome.memory[layer] == totals(outcome, layer)
            if net.layers[layer].pool:
                assert (
                    outcome.potentials[layer]
                    == totals(outcome, layer)
                    == maxima(net, outcome, layer)
                )
                moved += any(maxima(net, outcome, layer))
            else:
                assert outcome.potentials[layer] == [
                    v + x - q * S
                    for v, x, S in zip(
                        v0, outcome.arrived[layer], outcome.memory[layer], strict=True
                    )
                ]
        into_neurons = [k for k, p in enumerate(net.projections) if not net.layers[p.target].pool]
        assert outcome.synaptic_operations == sum(
            int(np.asarray(net.projections[k].mask)[:, s.neuron].sum())
            for s in outcome.spikes
            for k in into_neurons
            if net.projections[k].source == s.layer
        )
    assert moved > 5


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_pools_under_the_order_clocked_are_those_of_the_clocked_engine(name, seed):
    net, drive = pooled(seed, quiet=2)
    engine = clock(net, drive, MODELS[name])
    assert same(engine, run(net, drive, MODELS[name], order=twin.clocked)) and engine.spikes


@pytest.mark.parametrize("way", [way for way in ORDERS if way != "clocked"])
def test_replay_reproduces_a_run_with_pools(way):
    for seed in range(5):
        net, drive = pooled(seed)
        recorded = run(net, drive, SNM(), **ORDERS[way])
        assert (
            run(net, drive, SNM(), **ORDERS[way] | {"order": twin.replay(recorded.deliveries)})
            == recorded
        )


def test_wrong_pools_are_refused():
    net, drive, v0 = trains_into_pools([(0,)], [[1]], [1])
    with pytest.raises(ValueError, match="expected None or zeros for pool pool, found \\[1\\]"):
        clock(net, [[[1], [1], None]], IF(), v0)
    with pytest.raises(ValueError, match=r"layer pool: expected v\(0\) of zeros"):
        run(net, drive, IF(), v0=[[0], [2], [0]])
    with pytest.raises(ValueError, match="projection 0: expected weights of 1"):
        clock(Net(net.layers, [Projection(0, 1, [[2]])]), drive, IF(), v0)
    with pytest.raises(ValueError, match="found a pool"):
        clock(Net(net.layers[:2], net.projections[:1]), [drive[0][:2]], IF(), v0[:2])
