"""The twin in asynchronous time (semantics, section 5)."""

from itertools import permutations

import numpy as np
import pytest
from support import twin
from support.twin import (
    GN,
    IF,
    STBIF,
    TICKS_PER_STEP,
    IFHard,
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
    clock,
    facts,
    random_drive,
    random_net,
    run,
)


@pytest.fixture
def crossed():
    """Two sources, each exciting the target of the other's index: emission, depth and index all
    order differently.
    """
    return Net(
        [Layer("a", 2, 1), Layer("b", 2, 1), Layer("readout", 2)],
        [
            Projection(0, 1, [[0, 1], [1, 0]], [[False, True], [True, False]]),
            Projection(1, 2, [[1, 0], [0, 1]]),
        ],
    )


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (twin.fifo, "a0 a1 b1 b0"),
        (twin.lifo, "a1 b0 a0 b1"),
        (twin.index, "a0 a1 b0 b1"),
    ],
)
def test_orders_of_delivery(crossed, order, expected):
    outcome = run(crossed, [[[1, 1], None, None]], IF(), v0=[[0, 0]] * 3, order=order)
    assert [f"{'ab'[d.layer]}{d.neuron}" for d in outcome.deliveries] == expected.split()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (twin.fifo, "a0 a1 b0 b1"),
        (twin.lifo, "a1 b1 a0 b0"),
        (twin.index, "a0 a1 b0 b1"),
    ],
)
def test_orders_of_delivery_in_parallel_chains(crossed, order, expected):
    crossed.projections[0].mask = [[True, False], [False, True]]
    crossed.projections[0].weights = [[1, 0], [0, 1]]
    outcome = run(crossed, [[[1, 1], None, None]], IF(), v0=[[0, 0]] * 3, order=order)
    assert [f"{'ab'[d.layer]}{d.neuron}" for d in outcome.deliveries] == expected.split()


def test_random_order_is_splitmix64_and_takes_all_orders():
    assert [hex(twin.splitmix64(x)) for x in (0, 0x9E3779B97F4A7C15)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
    ]
    assert twin.spike_hash(1, 2, 3) == twin.splitmix64(twin.splitmix64(twin.splitmix64(1) ^ 2) ^ 3)
    net = Net([Layer("sources", 3, 1), Layer("readout", 1)], [Projection(0, 1, [[1, 1, 1]])])
    found = [
        tuple(
            d.neuron
            for d in run(
                net, [[[1] * 3, None]], IF(), v0=[[0] * 3, [0]], order=twin.random(2, image)
            ).deliveries
        )
        for image in range(600)
    ]
    shares = [found.count(order) for order in permutations(range(3))]
    assert sum(shares) == 600 and all(
        60 < share < 140 for share in shares
    )  # 100 expected, standard deviation 9


def test_halves_wait_for_the_other_half_over_a_skip_connection():
    """1 -> 3 excites at once, 1 -> 2 -> 3 inhibits: inhibitory first must still win at layer 3."""
    net = Net(
        [Layer("one", 1, 1), Layer("two", 1, 1), Layer("three", 1, 1), Layer("readout", 1)],
        [
            Projection(0, 2, [[1]]),
            Projection(0, 1, [[1]]),
            Projection(1, 2, [[-1]]),
            Projection(2, 3, [[1]]),
        ],
    )
    drive, v0 = [[[1], [0], [0], None]], [[0]] * 4
    assert run(net, drive, IF(), v0=v0, order=twin.inhibitory_first).counts[2] == [[0]]
    assert run(net, drive, IF(), v0=v0, order=twin.excitatory_first).counts[2] == [[1]]


def test_the_half_is_decided_by_the_charge():
    """A negative spike over a negative weight excites, and goes with the excitatory half."""
    net = Net(
        [Layer("source", 1, 2), Layer("targets", 2, 9), Layer("readout", 1)],
        [Projection(0, 1, [[3], [-3]]), Projection(1, 2, [[1, 1]])],
    )
    drive, v0 = [[[2], None, None], [[-1], None, None]], [[0], [3, 9], [0]]
    for order, first in (
        (twin.excitatory_first, twin.EXCITATORY),
        (twin.inhibitory_first, twin.INHIBITORY),
    ):
        outcome = run(net, drive, STBIF(2), v0=v0, order=order)
        assert [d.half for d in outcome.deliveries if d.layer == 0] == [first, -first] * 2
        assert outcome.synaptic_operations == 4 + 1
        # step 1: the spike taken back brings -3 to target 0 and 3 to target 1, which is at its
        # threshold again
        assert [(s.layer, s.neuron, s.sign) for s in outcome.spikes] == [
            (0, 0, 1),
            (0, 0, -1),
            (1, 1, 1),
        ]
    # both targets answer to their half in turn: target 1 (excited) before or after target 0
    # (inhibited below 0)
    net.layers[1].theta, drive = [3, 9], [[[2], None, None], [[-1], None, None]]
    for order, expected in (
        (twin.excitatory_first, [(1, 1), (0, -1)]),
        (twin.inhibitory_first, [(0, -1), (1, 1)]),
    ):
        outcome = run(net, drive, STBIF(2), v0=[[0], [0, 9], [0]], order=order)
        assert [
            (s.neuron, s.sign) for s in outcome.spikes if s.layer == 1 and s.step == 1
        ] == expected


def test_a_zero_charge_belongs_to_the_excitatory_half():
    """Both targets stand at their threshold; they answer to the half that touches them."""
    net = Net(
        [Layer("source", 1, 1), Layer("targets", 2, 9), Layer("readout", 1)],
        [Projection(0, 1, [[-1], [0]])],
    )
    v0 = [[0], [10, 9], [0]]
    for order, expected in ((twin.excitatory_first, [1, 0]), (twin.inhibitory_first, [0, 1])):
        outcome = run(net, [[[1], None, None]], IF(), v0=v0, order=order)
        assert [s.neuron for s in outcome.spikes if s.layer == 1] == expected


def test_evaluation_follows_every_arrival_in_index_order():
    """One spike reaches neurons 0, 1, 2: their spikes are emitted in that order, at once, as often
    as they can.
    """
    net = Net(
        [Layer("source", 1, 1), Layer("targets", 3, 2), Layer("readout", 3)],
        [Projection(0, 1, [[4], [1], [2]]), Projection(1, 2, np.eye(3, dtype=int))],
    )
    outcome = run(net, [[[1], None, None]], IF(), v0=[[0], [0] * 3, [0] * 3])
    assert [(s.layer, s.neuron, s.cause, s.v_before, s.v_after) for s in outcome.spikes] == [
        (0, 0, None, 1, 0),
        (1, 0, 0, 4, 2),
        (1, 0, 0, 2, 0),
        (1, 2, 0, 2, 0),
    ]
    assert outcome.equalities == 3  # p = 1 at the source; 2 and 2 at the targets


def test_drive_arrives_everywhere_before_any_spike():
    net = Net(
        [Layer("source", 1, 1), Layer("target", 1, 1), Layer("readout", 1)],
        [Projection(0, 1, [[-1]]), Projection(1, 2, [[1]])],
    )
    outcome = run(net, [[[1], [1], [7]]], IF(), v0=[[0]] * 3)
    assert [(s.layer, s.cause) for s in outcome.spikes] == [(0, None), (1, None)]
    assert outcome.potentials == [[0], [-1], [8]] and outcome.readout == [[8]]


def test_refractory_fires_once_and_again_by_an_event_of_its_own():
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])

    def ticks(charges, refractory, **options):
        outcome = run(
            net,
            [[[c], None] for c in charges],
            IF(),
            v0=[[0], [0]],
            refractory=refractory,
            **options,
        )
        return [(s.step, s.tick) for s in outcome.spikes]

    assert ticks([12, 0], 300) == [(0, 0), (0, 300), (0, 600)]
    # r = one step: the period ends with the step, so one spike a step, with a barrier and without
    for barrier in (True, False):
        assert ticks([12, 0, 0, 0], TICKS_PER_STEP, barrier=barrier) == [
            (k, k * TICKS_PER_STEP) for k in range(3)
        ]
    # a period that outlasts the step: the drive of step 1 finds the neuron resting
    assert ticks([8, 0, 0], 1500) == [(0, 0), (1, 1500)]
    assert ticks([8, 0, 0], 1500, ticks_per_step=2000) == [(0, 0), (0, 1500)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_window_and_one_step_of_refractory_period_make_clocked_time(seed, name):
    """§5.2, the knob's far end: all charge of a step has come before the window closes, layer by
    layer.
    """
    rng = np.random.default_rng(seed)
    net = random_net(rng)
    drive = random_drive(rng, net)
    outcome = run(net, drive, MODELS[name], window=1, refractory=TICKS_PER_STEP)
    assert facts(outcome) == facts(clock(net, drive, MODELS[name]))


def test_window_opens_at_the_first_arrival_since_the_last_evaluation():
    """Arrivals at 0, 40, 90, 160 with w = 100: evaluated at 100 and, the window opened at 160, at
    260.
    """
    net = Net(
        [Layer("sources", 4, 1), Layer("target", 1, 2), Layer("readout", 1)],
        [Projection(0, 1, [[-1, 5, -2, 5]]), Projection(1, 2, [[1]])],
    )
    delays = PerNeuron([[0, 40, 90, 160], [0], []])
    options = dict(v0=[[0] * 4, [0], [0]], order=twin.fifo, delays=delays)
    drive = [[[1] * 4, None, None]]
    windowed = run(net, drive, IF(), window=100, **options)
    # the sources wait too: their drive came at 0, so they fire at 100 and the arrivals are at 100,
    # 140, 190, 260
    assert [(s.tick, s.v_before, s.cause) for s in windowed.spikes if s.layer == 1] == [
        (200, 2, None),
        (360, 5, None),
        (360, 3, None),
    ]
    at_once = run(net, drive, IF(), **options)
    assert [(s.tick, s.v_before, s.cause) for s in at_once.spikes if s.layer == 1] == [
        (40, 4, 1),
        (40, 2, 1),
        (160, 3, 3),
    ]


def test_an_evaluation_closes_an_open_window():
    """w = 100, r = 150. Drive at 0: evaluated and fired at 100, resting until 250. Arrivals at 200
    and 280 (the sources fire at 100 too, with delays of 100 and 180). 200 opens a window to 300;
    the end of the period at 250 evaluates and closes it; 280 opens one to 380.
    """
    net = Net(
        [Layer("sources", 2, 1), Layer("target", 1, 4), Layer("readout", 1)],
        [Projection(0, 1, [[3, 4]]), Projection(1, 2, [[1]])],
    )
    outcome = run(
        net,
        [[[1, 1], [4], None]],
        IF(),
        v0=[[0, 0], [0], [0]],
        window=100,
        refractory=150,
        delays=PerNeuron([[100, 180], [0], []]),
    )
    assert [(s.tick, s.v_before) for s in outcome.spikes if s.layer == 1] == [(100, 4), (380, 7)]


def test_barrier_holds_the_next_drive_until_nothing_is_under_way():
    """Delay of two steps and a half: with the barrier step 1 starts when the spike has arrived,
    without it earlier.
    """
    net = Net(
        [Layer("source", 1, 1), Layer("target", 1, 1), Layer("readout", 1)],
        [Projection(0, 1, [[1]]), Projection(1, 2, [[1]])],
    )
    late = 5 * TICKS_PER_STEP // 2
    options = dict(v0=[[0]] * 3, delays=PerProjection([late, 0]))
    drive = [[[1], None, None]] * 2 + [[None] * 3]
    held = run(net, drive, IF(), barrier=True, **options)
    assert [(s.layer, s.step, s.tick) for s in held.spikes] == [
        (0, 0, 0),
        (1, 0, late),
        (0, 1, late),
        (1, 1, 2 * late),
    ]
    assert held.readout == [[1], [2], [2]] and held.under_way == 0
    free = run(net, drive, IF(), barrier=False, **options)
    assert [(s.layer, s.step, s.tick) for s in free.spikes] == [
        (0, 0, 0),
        (0, 1, TICKS_PER_STEP),
        (1, 2, late),
    ]
    assert free.readout == [[0], [0], [1]] and free.under_way == 1


def test_barrier_waits_for_open_windows():
    net = Net([Layer("neuron", 1, 1), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    options = dict(v0=[[0], [0]], window=1500)
    held = run(net, [[[1], None]] * 2, IF(), barrier=True, **options)
    assert [(s.step, s.tick) for s in held.spikes] == [(0, 1500), (1, 3000)] and held.readout == [
        [1],
        [2],
    ]
    free = run(net, [[[1], None]] * 2, IF(), barrier=False, **options)
    assert [(s.step, s.tick) for s in free.spikes] == [(1, 1500), (1, 1500)] and free.readout == [
        [0],
        [2],
    ]


def test_barrier_does_not_wait_for_a_window_that_was_closed():
    """Steps of 26 ticks, w = 10, r = 15. Both fire at 10; the source's spike comes at 22 and opens
    a window to 32; at 25 the period ends, which evaluates and closes it: so step 1 starts at 26,
    not at 32, and its drive fires at 36.
    """
    net = Net(
        [Layer("source", 1, 1), Layer("target", 1, 1), Layer("readout", 1)],
        [Projection(0, 1, [[0]]), Projection(1, 2, [[1]])],
    )
    outcome = run(
        net,
        [[[1], [1], None], [None, [1], None]],
        IF(),
        v0=[[0]] * 3,
        window=10,
        refractory=15,
        ticks_per_step=26,
        delays=PerProjection([12, 0]),
    )
    assert [(s.step, s.tick, s.layer) for s in outcome.spikes] == [
        (0, 10, 0),
        (0, 10, 1),
        (1, 36, 1),
    ]


def test_drive_comes_before_what_is_due_at_the_same_tick():
    net = Net(
        [Layer("source", 1, 1), Layer("target", 1, 2), Layer("readout", 1)],
        [Projection(0, 1, [[-1]]), Projection(1, 2, [[1]])],
    )
    outcome = run(
        net,
        [[[1], None, None], [None, [2], None]],
        IF(),
        v0=[[0]] * 3,
        barrier=False,
        delays=PerProjection([TICKS_PER_STEP, 0]),
    )
    assert outcome.counts[1] == [[0], [1]] and outcome.potentials[1] == [-1]


def test_delays_per_projection_split_a_spike_and_per_neuron_do_not():
    net = Net(
        [Layer("source", 2, 1), Layer("near", 1, 9), Layer("readout", 1)],
        [Projection(0, 1, [[1, 1]]), Projection(0, 2, [[1, 1]])],
    )
    drive, v0 = [[[1, 1], None, None]], [[0, 0], [0], [0]]
    split = run(net, drive, IF(), v0=v0, delays=PerProjection([30, 10]))
    assert [(d.neuron, d.projections, d.delay) for d in split.deliveries] == [
        (0, (1,), 10),
        (1, (1,), 10),
        (0, (0,), 30),
        (1, (0,), 30),
    ]
    whole = run(net, drive, IF(), v0=v0, delays=PerNeuron([[30, 10], [0], []]))
    assert [(d.neuron, d.projections, d.delay) for d in whole.deliveries] == [
        (1, (0, 1), 10),
        (0, (0, 1), 30),
    ]
    # added to what the policy itself gives
    late = twin.jitter(0, 100, 100)
    both = run(net, drive, IF(), v0=v0, order=late, delays=PerProjection([30, 10]))
    assert [d.delay for d in both.deliveries] == [110, 110, 130, 130]
    both = run(net, drive, IF(), v0=v0, order=late, delays=PerNeuron([[30, 10], [0], []]))
    assert [d.delay for d in both.deliveries] == [110, 130]


def test_jitter_is_uniform_on_its_bounds():
    net = Net([Layer("sources", 400, 1), Layer("readout", 1)], [Projection(0, 1, [[1] * 400])])
    outcome = run(net, [[[1] * 400, None]], IF(), v0=[[0] * 400, [0]], order=twin.jitter(1, 5, 8))
    shares = [[d.delay for d in outcome.deliveries].count(ticks) for ticks in (5, 6, 7, 8)]
    assert sum(shares) == 400 and all(
        65 < share < 135 for share in shares
    )  # 100 expected, standard deviation 9


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", [way for way in ORDERS if way != "clocked"])
def test_replay_reproduces_a_run(name, way):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        net = random_net(rng)
        drive, options = random_drive(rng, net), dict(ORDERS[way])
        recorded = run(net, drive, MODELS[name], **options)
        assert (
            run(net, drive, MODELS[name], **options | {"order": twin.replay(recorded.deliveries)})
            == recorded
        )


def test_replay_of_an_edited_run(crossed):
    options = dict(v0=[[0, 0]] * 3)
    drive = [[[1, 1], None, None]]
    recorded = run(crossed, drive, IF(), **options).deliveries
    edited = run(crossed, drive, IF(), order=twin.replay(recorded[::-1]), **options)
    assert [(d.layer, d.neuron) for d in edited.deliveries] == [(0, 1), (1, 0), (0, 0), (1, 1)]
    # spikes the list does not know come after those it does
    edited = run(crossed, drive, IF(), order=twin.replay(recorded[1:2]), **options)
    assert [(d.layer, d.neuron) for d in edited.deliveries] == [(0, 1), (0, 0), (1, 0), (1, 1)]
    twice = [recorded[0], *recorded]
    with pytest.raises(ValueError, match="spike 0 of neuron 0 in layer 0 to be delivered once"):
        run(crossed, drive, IF(), order=twin.replay(twice), **options)


def test_max_events_names_the_layers_still_firing():
    net = Net(
        [Layer("input", 1, 1), Layer("left", 1, 1), Layer("right", 1, 1), Layer("readout", 1)],
        [Projection(0, 1, [[1]]), Projection(1, 2, [[1]]), Projection(2, 1, [[1]])],
    )
    with pytest.raises(RuntimeError, match="max_events = 50 events.*still firing: right;"):
        run(net, [[[1], None, None, None]], IF(), v0=[[0]] * 4, max_events=50)
    chain = Net(net.layers, net.projections[:2])
    assert run(chain, [[[1], None, None, None]], IF(), v0=[[0]] * 4, max_events=2).counts[2] == [
        [1]
    ]
    with pytest.raises(RuntimeError, match="still firing: left;"):
        run(chain, [[[1], None, None, None]], IF(), v0=[[0]] * 4, max_events=1)


def test_hard_reset_forgets_the_rest():
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    outcome = clock(net, [[[11], None], [[3], None], [[3], None]], IFHard(-1), [[0], [0]])
    assert outcome.counts[0] == [[1], [0], [1]] and outcome.potentials[0] == [-1]
    with pytest.raises(ValueError, match="v_rest below theta"):
        run(net, [[[11], None]], IFHard(4), v0=[[0], [0]])


def test_wrong_input_is_refused():
    layers = [Layer("a", 1, 4), Layer("b", 1, 4), Layer("readout", 1)]
    drive, v0 = [[[0], [0], None]], [[0]] * 3
    with pytest.raises(ValueError, match="topological order"):
        clock(Net(layers, [Projection(1, 0, [[1]])]), drive, IF(), v0)
    with pytest.raises(ValueError, match="topological order"):
        run(Net(layers, [Projection(1, 1, [[1]])]), drive, IF(), v0=v0, order=twin.clocked)
    with pytest.raises(ValueError, match=r"expected weights and mask of shape \(1, 1\)"):
        clock(Net(layers, [Projection(0, 1, [[1, 2]])]), drive, IF(), v0)
    with pytest.raises(ValueError, match="readout never fires"):
        run(Net(layers, [Projection(2, 1, [[1]])]), drive, IF(), v0=v0)
    with pytest.raises(ValueError, match=r"drive\[0\]: expected"):
        clock(Net(layers, []), [[[0, 0], None, None]], IF(), v0)
    with pytest.raises(ValueError, match="layer b: expected 1 potentials"):
        clock(Net(layers, []), drive, IF(), [[0], [0, 0], [0]])
    with pytest.raises(ValueError, match="theta divisible by tau"):
        clock(Net(layers, []), drive, GN(3), v0)
    with pytest.raises(ValueError, match="order clocked"):
        run(Net(layers, []), drive, IF(), v0=v0, order=twin.clocked, window=1)
