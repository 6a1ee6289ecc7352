"""The twin's input events (semantics, sections 3 and 5)."""

import numpy as np
import pytest
from support import twin
from support.twin import (
    IF,
    SNM,
    TICKS_PER_STEP,
    Layer,
    Net,
    PerProjection,
    Projection,
)
from support.twin_runs import (
    MODELS,
    ORDERS,
    SEEDS,
    SOFT,
    STEPS,
    THETA,
    clock,
    either,
    masked,
    one_neuron_with_inputs,
    pooled,
    random_events,
    random_net,
    run,
    same,
    totals,
    trains_into_pools,
)


def test_input_events_by_hand():
    """theta = 4, +3 at tick 10, +3 and -4 at tick 20 (in the list's order), and in step 1 -3 taken
    away: +3 again.
    """
    net, nothing = one_neuron_with_inputs([3, -4]), [[None, None]] * 3
    events = [(0, 10, 0, 1), (0, 20, 0, 1), (0, 20, 1, 1), (2, 0, 1, -1), (2, 5, 0, -1)]
    outcome = run(net, nothing, IF(), v0=[[0], [0]], events=events)
    #   p: 3, 6 (fires, 2), -2; in step 2: 2, -1
    assert [(s.step, s.tick, s.v_before, s.v_after, s.cause) for s in outcome.spikes] == [
        (0, 20, 6, 2, None)
    ]
    assert outcome.potentials == [[-1], [1]] and outcome.arrived[0] == [3] and outcome.t_eq == 3
    assert outcome.input_deliveries == [(0, 10), (1, 20), (2, 20), (3, 2048), (4, 2053)]
    assert outcome.synaptic_operations == 1  # the spike's; drive costs none
    # the other order at tick 20: 3, -1, 2; then 6 fires and -3 is left at -1 in the end
    events[1:3] = events[2:0:-1]
    outcome = run(net, nothing, IF(), v0=[[0], [0]], events=events)
    assert [(s.step, s.tick, s.v_before) for s in outcome.spikes] == [
        (2, 2048, 6)
    ] and outcome.potentials[0] == [-1]
    # clocked: 2 in step 0, nothing in step 1, 2 + 4 - 3 in step 2
    outcome = clock(net, nothing, IF(), [[0], [0]], events=events)
    assert outcome.spikes == [] and outcome.potentials == [[3], [0]] and outcome.arrived[0] == [3]
    assert outcome.t_eq == 3 and outcome.input_deliveries == [] and outcome.synaptic_operations == 0


def test_an_input_event_comes_after_the_drive_and_before_the_spikes_of_its_tick():
    """At tick 0 drive 2 and event 4: 2 fires nothing, 6 does. At tick 30 a spike of -9 and an event
    of 2.
    """
    net = Net(
        [Layer("source", 1, 1), Layer("neuron", 1, 4), Layer("readout", 1)],
        [Projection(0, 1, [[-9]]), Projection(1, 2, [[1]])],
        [Projection(None, 1, [[4, 2]])],
    )
    outcome = run(
        net,
        [[[1], [2], None]],
        IF(),
        v0=[[0]] * 3,
        delays=PerProjection([30, 0]),
        events=[(0, 0, 0, 1), (0, 30, 1, 1)],
    )
    assert [(s.tick, s.v_before, s.cause) for s in outcome.spikes if s.layer == 1] == [
        (0, 6, None),
        (30, 4, None),
    ]
    assert outcome.potentials[1] == [-9]


def test_input_events_reach_their_targets_projection_by_projection():
    """Input 0 brings 1 to 2 and 1 of layer b (not 0), then to a; explicit zeros arrive, masked ones
    do not.
    """
    net = Net(
        [Layer("a", 2, 1), Layer("b", 3, 1), Layer("readout", 1)],
        [Projection(1, 2, [[1, 1, 1]])],
        [
            Projection(None, 1, [[1], [0], [1]]),
            Projection(None, 0, [[0], [1]], [[False], [True]]),
            Projection(None, 2, [[5]]),
        ],
    )
    outcome = run(net, [[None] * 3], IF(), v0=[[7, 0], [0, 7, 0], [0]], events=[(0, 3, 0, 1)])
    assert [(s.layer, s.neuron) for s in outcome.spikes] == [(1, 0)] + [(1, 1)] * 7 + [
        (1, 2),
        (0, 1),
    ]
    assert (
        outcome.readout == [[5 + 9]]
        and outcome.potentials[0] == [7, 0]
        and outcome.synaptic_operations == 9
    )
    # a negative event excites where its weight is negative
    net.inputs = [Projection(None, 0, [[-1], [1]])]
    outcome = run(net, [[None] * 3], IF(), v0=[[0, 0], [0] * 3, [0]], events=[(0, 3, 0, -1)])
    assert [(s.layer, s.neuron) for s in outcome.spikes] == [(0, 0)] and outcome.potentials[0] == [
        0,
        -1,
    ]


def test_input_events_with_window_and_refractory_period():
    """Window 100: the events at 10, 60 and 110, which is before the evaluation, fire at 110; that
    at 120 at 220.
    """
    net = one_neuron_with_inputs([4])
    events = [(0, tick, 0, 1) for tick in (10, 60, 110, 120)]
    outcome = run(net, [[None, None]], IF(), v0=[[0], [0]], window=100, events=events)
    assert [(s.tick, s.v_before) for s in outcome.spikes] == [
        (110, 12),
        (110, 8),
        (110, 4),
        (220, 4),
    ]
    outcome = run(net, [[None, None]], IF(), v0=[[0], [0]], refractory=80, events=events)
    assert [(s.tick, s.v_before) for s in outcome.spikes] == [(10, 4), (90, 4), (170, 8), (250, 4)]


@pytest.mark.parametrize(("barrier", "start_of_step_1"), [(True, 2560), (False, 1024)])
def test_input_events_count_from_the_beginning_of_their_step(barrier, start_of_step_1):
    """A spike with a delay of 2560 ticks holds step 1 up, and its events with it."""
    net = one_neuron_with_inputs([4])
    outcome = run(
        net,
        [[None, None]] * 2,
        IF(),
        v0=[[0], [0]],
        delays=PerProjection([2560]),
        barrier=barrier,
        events=[(0, 0, 0, 1), (1, 0, 0, -1), (1, 1023, 0, 1), (2, 0, 0, 1)],
    )
    assert outcome.input_deliveries == [(0, 0), (1, start_of_step_1), (2, start_of_step_1 + 1023)]
    assert outcome.readout == ([[1], [1]] if barrier else [[0], [0]])


def test_input_events_hold_the_step_until_the_last():
    """Nothing else is in the queue: the readout after step 0 has the event at its last tick."""
    net = Net([Layer("readout", 1)], [], [Projection(None, 0, [[4]])])
    for barrier in (True, False):
        outcome = run(net, [[None]] * 2, IF(), v0=[[0]], events=[(0, 1023, 0, 1)], barrier=barrier)
        assert outcome.readout == [[4], [4]] and outcome.t_eq == 1
    # they are not counted among the events of which there may be too many
    assert run(net, [[None]], IF(), v0=[[0]], events=[(0, 0, 0, 1)] * 9, max_events=0).readout == [
        [36]
    ]


def test_equilibrium_time_counts_charges_of_input_events_that_cancel():
    net, nothing = one_neuron_with_inputs([3, 0]), [[None, None]] * 4
    for time in (clock, run):
        for events, t_eq in (([(1, 0, 0, 1), (1, 0, 0, -1)], 2), ([(1, 0, 1, 1)], 0)):
            assert time(net, nothing, IF(), v0=[[0], [0]], events=events).t_eq == t_eq


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("way", ["engine", *ORDERS])
def test_conservation_with_input_events(name, way):
    """All charge is either that of drive, of input events, or of spikes."""
    for seed in SEEDS:
        net, drive = pooled(seed, quiet=150)
        events = random_events(np.random.default_rng(seed), net, len(drive), quiet=150)
        outcome = either(way, net, drive, MODELS[name], events=events)
        expected = [
            [sum(step[n][i] for step in drive if step[n] is not None) for i in range(layer.size)]
            for n, layer in enumerate(net.layers)
        ]
        sources = [
            (p, [totals(outcome, p.source)])
            for p in net.projections
            if not net.layers[p.target].pool
        ]
        for p, heard in sources + [
            (p, [[sign * (j == number) for j in range(3)] for _, _, number, sign in events])
            for p in net.inputs
        ]:
            for counts in heard:
                for i, (weights, mask) in enumerate(zip(p.weights, p.mask, strict=True)):
                    expected[p.target][i] += sum(
                        int(w) * n for w, n, m in zip(weights, counts, mask, strict=True) if m
                    )
        assert outcome.arrived == expected and outcome.under_way == 0
        if way != "engine":
            assert [place for place, _ in outcome.input_deliveries] == list(range(len(events)))
            ticks = [tick for _, tick in outcome.input_deliveries]
            assert ticks == sorted(ticks) and outcome.spikes == sorted(
                outcome.spikes, key=lambda s: (s.tick, s.seq)
            )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_input_events_under_the_order_clocked_are_those_of_the_clocked_engine(name, seed):
    """And those are drive: adding their charges to the drive by hand gives the same run."""
    net, drive = pooled(seed, quiet=2)
    events = random_events(np.random.default_rng(seed), net, len(drive))
    mask = masked(np.random.default_rng(seed), net)
    engine = clock(net, drive, MODELS[name], events=events, mask=mask)
    assert (
        same(engine, run(net, drive, MODELS[name], order=twin.clocked, events=events, mask=mask))
        and engine.spikes
    )
    summed = [
        [list(charges or [0] * layer.size) for charges, layer in zip(step, net.layers, strict=True)]
        for step in drive
    ]
    for step, _, number, sign in events:
        for p in net.inputs:
            for i, row in enumerate(p.weights):
                summed[step][p.target][i] += sign * int(row[number]) * bool(p.mask[i][number])
    by_hand = clock(net, summed, MODELS[name], mask=mask)
    by_hand.t_eq = engine.t_eq  # charges that cancel count only as events
    assert same(engine, by_hand)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_input_events_at_the_beginning_of_a_step_are_drive_of_the_step(name, seed):
    """One event for each neuron of the first layer at offset 0, against drive to that layer, with
    no other drive. Not under `random`, whose draws count input events and no drive.
    """
    rng = np.random.default_rng(seed)
    net = random_net(rng)
    size = net.layers[0].size
    net.inputs = [
        Projection(None, 0, rng.integers(-THETA, 2 * THETA, (size, size)), np.eye(size, dtype=bool))
    ]
    charges = [int(net.inputs[0].weights[i][i]) for i in range(size)]
    events = [(step, 0, i, 1) for step in range(STEPS) for i in range(size)]
    alone = [[None] * len(net.layers)] * STEPS
    driven = [[charges] + [None] * (len(net.layers) - 1)] * STEPS
    for options in (
        {},
        {"order": twin.lifo},
        {"refractory": 700},
        {"window": 50, "order": twin.priority(2)},
    ):
        one = run(net, alone, MODELS[name], events=events, **options)
        other = run(net, driven, MODELS[name], **options)
        one.input_deliveries = []
        assert one == other


@pytest.mark.parametrize("way", [way for way in ORDERS if way != "clocked"])
def test_replay_reproduces_a_run_with_input_events_and_a_mask(way):
    for seed in range(5):
        net, drive = pooled(seed)
        options = dict(
            events=random_events(np.random.default_rng(seed), net, len(drive)),
            mask=masked(np.random.default_rng(seed), net),
        )
        recorded = run(net, drive, SNM(), **ORDERS[way], **options)
        again = ORDERS[way] | {"order": twin.replay(recorded.deliveries)}
        assert run(net, drive, SNM(), **again, **options) == recorded


def test_srp_with_input_events():
    """An event of +9 in step 0, of -9 in step 1: the neuron fires twice, stands at 1, then at
    -8.
    """
    net = one_neuron_with_inputs([9])
    events, nothing = [(0, 7, 0, 1), (1, 7, 0, -1)], [[None, None]] * 2
    for tau, heard in ((1, 2), (2, 0)):
        first, mask, second = twin.run_srp(
            twin.run_async, net, nothing, [[0], [0]], tau, 1, IF(), order=twin.fifo, events=events
        )
        assert first.readout[-1] == [2] and mask[0] == [tau == 1] and second.readout == [[heard]]


def test_wrong_input_events_are_refused():
    net, nothing = one_neuron_with_inputs([4, 4]), [[None, None]] * 2
    for events, message in [
        ([(1, 0, 0, 1), (0, 5, 0, 1)], "sorted by step and offset"),
        ([(0, 9, 0, 1), (0, 5, 0, 1)], "sorted by step and offset"),
        ([(-1, 5, 0, 1)], "sorted by step and offset"),
        ([(0, TICKS_PER_STEP, 0, 1)], "offset inside the step"),
        ([(0, 0, 2, 1)], "an input below 2"),
        ([(0, 0, 0, 2)], "a sign of 1 or -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            run(net, nothing, IF(), v0=[[0], [0]], events=events)
    with pytest.raises(ValueError, match="an input below 0"):
        run(Net(net.layers, []), nothing, IF(), v0=[[0], [0]], events=[(0, 0, 0, 1)])
    with pytest.raises(ValueError, match=r"inputs 0: expected weights and mask of shape \(1, 2\)"):
        run(
            Net(net.layers, [], [Projection(None, 0, [[1, 1], [1, 1]])]),
            nothing,
            IF(),
            v0=[[0], [0]],
        )
    net, drive, v0 = trains_into_pools([(0,)], [[1]], [1])
    net.inputs = [Projection(None, 1, [[1]])]
    with pytest.raises(ValueError, match="inputs 0: expected neurons or the readout"):
        clock(net, drive, IF(), v0)
