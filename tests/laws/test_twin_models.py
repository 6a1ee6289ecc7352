"""What models may declare, in the twin: decay, states, weights of spikes, stages (section 13)."""

from fractions import Fraction

import numpy as np
import pytest
from support import twin
from support.twin import (
    IF,
    LIF,
    TICKS_PER_STEP,
    TPP,
    Adaptive,
    Layer,
    Net,
    PerProjection,
    Projection,
)
from support.twin_runs import (
    ORDERS,
    SEEDS,
    STEPS,
    THETA,
    clock,
    either,
    facts,
    masked,
    one_neuron_with_inputs,
    pooled,
    random_drive,
    random_events,
    random_net,
    run,
    same,
    start,
    totals,
)

# --- What models may declare (§13): decay and own state ---


def test_decay_by_hand():
    """leak = 1/2 for a step: f is 2**29 for a whole step, sqrt(1/2) * 2**30 for half of one. Halves
    are rounded up.
    """
    for x, dt, left in [
        (10, 1024, 5),
        (5, 1024, 3),
        (-5, 1024, -2),
        (1, 1024, 1),
        (-1, 1024, 0),
        (5, 2048, 2),  # 3 (2.5), then 2 (1.5)
        (-9, 2048, -2),  # -4 (-4.5), then -2
        (1000, 512, 707),
        (-1000, 512, -707),
        (1000, 1536, 354),  # 500, then 353.55
        (2**60, 1024, 2**59),
        (7, 0, 7),
    ]:
        assert twin.decay(x, dt, 0.5, 1024) == left
    assert twin.decay(1 << 30, 512, 0.5, 1024) == twin.decay(1 << 30, 1, 0.25, 4) == 759250125
    assert twin.decay(3.0, 1024, 0.5, 1024) == 1.5 and twin.decay(-3.0, 3072, 0.5, 1024) == -0.375
    assert twin.decay(10.0, 512, 0.5, 1024) == 10.0 * (759250125 * 2.0**-30)
    assert twin.decay(12345, 3000, 1, 1024) == 12345


def test_lif_in_clocked_time_by_hand():
    """Drive 40 a step: 40; 20 + 40; 30 + 40 fires, 6; 3 + 40; 22 (21.5) + 40; 31 + 40 fires, 7."""
    net, drive = one_neuron_with_inputs([40], 64), [[[40], None]] * 6
    for outcome in (
        clock(net, drive, LIF(0.5), [[0], [0]]),
        run(net, drive, LIF(0.5), v0=[[0], [0]], order=twin.clocked),
        run(net, drive, LIF(0.5), v0=[[0], [0]]),  # nothing arrives between
        clock(net, [[None] * 2] * 6, LIF(0.5), [[0], [0]], events=[(k, 9, 0, 1) for k in range(6)]),
    ):
        assert [(s.step, s.v_before, s.v_after) for s in outcome.spikes] == [(2, 70, 6), (5, 71, 7)]
        assert outcome.potentials == [[7], [2]] and outcome.arrived[0] == [240]
        assert outcome.readout == [[0], [0], [1], [1], [1], [2]]  # it does not leak
    events = [(k, 1000, 0, 1) for k in range(6)]  # late in a step, but of it
    late = run(net, [[None] * 2] * 6, LIF(0.5), v0=[[0], [0]], order=twin.clocked, events=events)
    assert late.spikes == run(net, drive, LIF(0.5), v0=[[0], [0]], order=twin.clocked).spikes
    # v(0) decays from tick 0 on, so not before step 1; 9, 5 (4.5), 3 (2.5) in clocked time
    nothing = [[None, None]] * 3
    assert clock(net, nothing, LIF(0.5), [[9], [0]]).potentials[0] == [3]
    assert run(net, nothing, LIF(0.5), v0=[[9], [0]]).potentials[0] == [9]  # never touched
    floats = clock(Net([Layer("a", 1, 1.0), Layer("out", 1)], []), [[[0.75], None]] * 2, LIF(0.5))
    assert floats.potentials[0] == [0.125] and floats.counts[0] == [[0], [1]]


def test_lif_in_asynchronous_time_by_hand():
    """Four ticks a step, leak 1/4: half is left after two ticks."""
    net, nothing = one_neuron_with_inputs([40, 0], 64), [[None, None]] * 3
    options = dict(v0=[[0], [0]], ticks_per_step=4)
    events = [(0, 0, 0, 1), (0, 2, 0, 1), (1, 0, 0, 1), (2, 2, 0, 1)]
    outcome = run(net, nothing, LIF(0.25), events=events, **options)
    # 40; 20 + 40; 30 + 40 fires, 6; then six ticks: 2 (1.5), 1, + 40
    assert [(s.tick, s.v_before, s.v_after) for s in outcome.spikes] == [(4, 70, 6)]
    assert outcome.potentials[0] == [41]
    # a touch on the way rounds once more: 5, 3 (2.5), 2 (1.5) against 5, 1 (1.25)
    options["v0"] = [[5], [0]]
    for events, left in [([(1, 0, 1, 1)], 1), ([(0, 2, 1, 1), (1, 0, 1, 1)], 2)]:
        assert run(net, nothing, LIF(0.25), events=events, **options).potentials[0] == [left]


def test_arrivals_and_evaluations_touch_also_in_rests_and_windows():
    """Four ticks a step, leak 1/4, theta 64. Rest: 70 fires at 0, 6; touched in the rest at 2 (3),
    at its end at 6 (1 (.75)). Window of 2: 100 at 0, evaluated at 2: 50.
    """
    net, nothing = one_neuron_with_inputs([100, 0], 64), [[None, None]] * 2
    options = dict(ticks_per_step=4)
    rest = run(
        net,
        nothing,
        LIF(0.25),
        v0=[[70], [0]],
        events=[(0, 0, 1, 1), (0, 2, 1, 1)],
        refractory=6,
        **options,
    )
    assert [(s.tick, s.v_after) for s in rest.spikes] == [(0, 6)] and rest.potentials[0] == [1]
    window = run(net, nothing, LIF(0.25), v0=[[0], [0]], events=[(0, 0, 0, 1)], window=2, **options)
    assert window.spikes == [] and window.potentials[0] == [50] and window.equalities == 0


def test_numbers_that_decay_are_at_most_2_to_the_61():
    net = Net([Layer("a", 1, 2**63), Layer("out", 1)], [])
    v0 = [[0], [0]]
    for go in (clock, lambda *given: run(*given[:3], v0=given[3])):
        for sign in (1, -1):
            assert go(net, [[[sign * 2**61], None]], LIF(0.5), v0).potentials[0] == [sign * 2**61]
            with pytest.raises(OverflowError, match="neuron 0 of layer a"):
                go(net, [[[sign * (2**61 + 1)], None]], LIF(0.5), v0)
            go(net, [[[sign * (2**61 + 1)], None]], IF(), v0)
            go(net, [[[sign * (2**61 + 1)], None]], LIF(1), v0)
    net.layers[0].theta = 1
    assert clock(net, [[[1], None]], Adaptive(2**61, 0.5), v0).own[0] == [{"a": 2**61}]
    clock(net, [[[1], None]], Adaptive(2**61 + 1), v0)
    with pytest.raises(OverflowError):
        clock(net, [[[1], None]], Adaptive(2**61 + 1, 0.5), v0)
    for leak in (0, -0.5, 1.5):
        with pytest.raises(ValueError, match="expected leaks above 0 and at most 1"):
            clock(net, [[[1], None]], LIF(leak), v0)


@pytest.mark.parametrize("model", [LIF(1), Adaptive(0, 0.5), Adaptive(0)])
@pytest.mark.parametrize("way", ["engine", *ORDERS])
def test_without_leak_or_beta_it_is_if(way, model):
    for seed in range(5):
        net, drive = pooled(seed)
        events = random_events(np.random.default_rng(seed), net, len(drive))
        plain = either(way, net, drive, IF(), events=events)
        found = either(way, net, drive, model, events=events)
        for spike in found.spikes:
            spike.own = None
        found.own = plain.own
        assert found == plain and plain.spikes


@pytest.mark.parametrize("model", [LIF(0.8), Adaptive(THETA // 2, 0.7)])
@pytest.mark.parametrize("seed", SEEDS)
def test_decay_under_the_order_clocked_is_that_of_the_clocked_engine(model, seed):
    net, drive = pooled(seed, quiet=2)
    options = dict(
        events=random_events(np.random.default_rng(seed), net, len(drive)),
        mask=masked(np.random.default_rng(seed), net),
    )
    engine = clock(net, drive, model, **options)
    other = run(net, drive, model, order=twin.clocked, **options)
    assert same(engine, other) and engine.spikes and engine.own == other.own
    assert [s.own for s in engine.spikes] == [s.own for s in other.spikes]
    assert facts(engine) != facts(clock(net, drive, IF(), **options))


@pytest.mark.parametrize("way", ["engine", *ORDERS])
def test_adaptive_conserves(way):
    for seed in range(5):
        net, drive = pooled(seed)
        outcome = either(way, net, drive, Adaptive(THETA // 3, 0.6))
        for layer, v0 in enumerate(start(net)):
            if not net.layers[layer].pool:
                assert outcome.potentials[layer] == [
                    v + x - THETA * S
                    for v, x, S in zip(
                        v0, outcome.arrived[layer], outcome.memory[layer], strict=True
                    )
                ]


def test_adaptive_by_hand():
    """theta 10, beta 8, a is halved each step. Drive 11: fires, 1, a = 8; 12 < 14; 23 >= 12, 13, a
    = 10; then 1: 14 < 15; and 0: 14 >= 13 (2.5 is 3). All at once: 40 >= 10, 30 >= 18, 20 < 26.
    """
    net = Net([Layer("neuron", 1, 10), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    drive = [[[x], None] for x in (11, 11, 11, 1, 0)]
    for outcome in (
        clock(net, drive, Adaptive(8, 0.5), [[0], [0]]),
        run(net, drive, Adaptive(8, 0.5), v0=[[0], [0]]),
    ):
        assert [(s.step, s.v_before, s.v_after, s.own) for s in outcome.spikes] == [
            (0, 11, 1, ({"a": 0}, {"a": 8})),
            (2, 23, 13, ({"a": 2}, {"a": 10})),
            (4, 14, 4, ({"a": 3}, {"a": 11})),
        ]
        assert outcome.own == [[{"a": 11}], [{}]] and outcome.equalities == 0
    at_once = run(net, [[[40], None]], Adaptive(8, 0.5), v0=[[0], [0]])
    assert [(s.v_before, s.own) for s in at_once.spikes] == [
        (40, ({"a": 0}, {"a": 8})),
        (30, ({"a": 8}, {"a": 16})),
    ]
    assert run(net, [[[38], None]], Adaptive(9), v0=[[0], [0]]).equalities == 0  # 38, 28, 18 < 28
    assert run(net, [[[39], None]], Adaptive(9), v0=[[1], [0]]).equalities == 0  # 40, 30, 20
    assert run(net, [[[29], None]], Adaptive(9), v0=[[0], [0]]).equalities == 1  # 29, 19 = 19, 9
    assert run(net, [[[40], None]], IF(), v0=[[0], [0]]).spikes[0].own is None


# --- What a spike is worth, and when it comes (§13) ---


class Early(IF):
    """A spike of the first two steps is worth two."""

    def charge(self, step):
        return 2 if step <= 2 else 1


class Against(IF):
    """A spike takes what its weight says."""

    def charge(self, step):
        return -1


def test_a_spike_is_worth_what_its_step_says():
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[3]])])
    drive = [[[4], None]] * 4
    for outcome in (
        clock(net, drive, Early(), [[0], [0]]),
        run(net, drive, Early(), v0=[[0], [0]]),
        run(net, drive, Early(), v0=[[0], [0]], order=twin.clocked),
        run(net, drive, Early(), v0=[[0], [0]], order=twin.excitatory_first),
    ):
        assert outcome.readout == [[6], [12], [15], [18]] and outcome.synaptic_operations == 4
        assert outcome.counts[0] == [[1]] * 4
    # a step under way: the step in which it was emitted counts
    late = dict(delays=PerProjection([TICKS_PER_STEP]), barrier=False)
    outcome = run(net, drive, Early(), v0=[[0], [0]], **late)
    assert outcome.readout == [[0], [6], [12], [15]]
    net.layers.insert(1, Layer("pool", 1, pool=True))  # it counts spikes, and its own are worth 1
    net.projections = [Projection(0, 1, [[1]]), Projection(1, 2, [[3]])]
    drive = [[[4], None, None]] * 4
    for outcome in (
        clock(net, drive, Early(), [[0]] * 3),
        run(net, drive, Early(), v0=[[0]] * 3),
    ):
        assert outcome.readout == [[3], [6], [9], [12]]


def test_the_charge_that_arrives_decides_the_half():
    """Weights 3 and -3, charges -3 and 3."""
    net = Net(
        [Layer("a", 2, 1), Layer("b", 1, 3), Layer("readout", 1)],
        [Projection(0, 1, [[3, -3]]), Projection(1, 2, [[1]])],
    )
    options = dict(v0=[[0, 0], [0], [0]])
    drive = [[[1, 1], None, None]]
    for model in ([IF(), IF(), IF()], [Against(), IF(), IF()]):
        for order, fires in [(twin.excitatory_first, 1), (twin.inhibitory_first, 0)]:
            outcome = run(net, drive, model, order=order, **options)
            assert totals(outcome, 1) == [fires] and outcome.arrived[1] == [0]


class Countdown(twin.Model):
    """Fires once, ten ticks earlier for each 1 of its potential: at tick 10 * (theta - p)."""

    def __init__(self):
        self.seen = []  # ticks of evaluations

    def equal(self, p, S, theta, own, now, step):
        return False

    def emit(self, p, S, theta, own, now, step):
        self.seen.append(now)
        if S == 0 and now >= 10 * (theta - p):
            return [(1, 1)], 0
        return [], p

    def when(self, p, S, theta, own, now, step):
        return 10 * (theta - p) if S == 0 else None


def test_neurons_fire_at_ticks_of_their_own():
    net = Net([Layer("a", 3, 20), Layer("out", 1)], [Projection(0, 1, [[1, 1, 1]])])
    options = dict(v0=[[0] * 3, [0]], ticks_per_step=100)
    outcome = run(net, [[[17, 12, 19], None], [None] * 2], Countdown(), **options)
    assert [(s.neuron, s.tick, s.v_before, s.cause) for s in outcome.spikes] == [
        (2, 10, 19, None),
        (0, 30, 17, None),
        (1, 80, 12, None),
    ]
    # due in the next step: it does not hold this one up, and comes after that step's drive
    outcome = run(net, [[[5, 10, 0], None], [None, [7]], [None] * 2], Countdown(), **options)
    assert [(s.neuron, s.step, s.tick) for s in outcome.spikes] == [
        (1, 1, 100),
        (0, 1, 150),
        (2, 2, 200),
    ]
    assert outcome.readout == [[0], [9], [10]] and outcome.under_way == 0
    # due after the end of the run
    assert run(net, [[[5, 10, 0], None]], Countdown(), **options).spikes == []


def test_a_newer_answer_replaces_an_older_one():
    """theta 20, drive 12: due at 80. +5 at tick 15: due at 30. -6 at tick 15: due at 140. -6 and
    +6: due at 80 once more.
    """
    net, drive = one_neuron_with_inputs([5, -6], 20), [[[12], None], [None, None]]
    options = dict(v0=[[0], [0]], ticks_per_step=100)
    for events, seen, fired in [
        ([], [0, 80], 80),
        ([(0, 15, 0, 1)], [0, 15, 30], 30),
        ([(0, 15, 1, 1)], [0, 15, 140], 140),
        ([(0, 15, 1, 1), (0, 20, 1, -1)], [0, 15, 20, 80], 80),
    ]:
        model = Countdown()
        outcome = run(net, drive, model, events=events, **options)
        # a spike is followed by one more evaluation in the same tick
        assert model.seen == [*seen, fired] and [s.tick for s in outcome.spikes] == [fired]
    # an arrival in a window is no evaluation: the answer stands, and its evaluation closes the
    # window (drive opens the first, until 5)
    model = Countdown()
    run(net, drive, model, events=[(0, 78, 1, 1), (0, 90, 1, 1)], window=5, **options)
    assert model.seen == [5, 80, 95]


class Beat(twin.Model):
    """Fires ten ticks or more after its last spike."""

    def initial(self, theta):
        return {"last": 0}

    def quantum(self, theta):
        return 0

    def equal(self, p, S, theta, own, now, step):
        return False

    def emit(self, p, S, theta, own, now, step):
        if now - own["last"] < 10:
            return [], p
        own["last"] = now
        return [(1, 1)], p

    def when(self, p, S, theta, own, now, step):
        return own["last"] + 10


def test_a_resting_neuron_is_not_asked():
    net = Net([Layer("a", 1, 1), Layer("out", 1)], [Projection(0, 1, [[1]])])
    options = dict(v0=[[0], [0]], ticks_per_step=100)
    drive = [[[0], None]]
    free = run(net, drive, Beat(), **options)
    assert [s.tick for s in free.spikes] == list(range(10, 100, 10))
    assert free.spikes[1].own == ({"last": 10}, {"last": 20}) and free.own[0] == [{"last": 90}]
    resting = run(net, drive, Beat(), refractory=25, **options)
    assert [s.tick for s in resting.spikes] == [10, 35, 60, 85]
    for outcome in (
        clock(net, drive * 3, Beat(), [[0], [0]]),
        run(net, drive * 3, Beat(), v0=[[0], [0]], order=twin.clocked),
    ):  # never asked; the time is that of the step's beginning
        assert outcome.counts[0] == [[0], [1], [1]]
        assert [s.own[1] for s in outcome.spikes] == [{"last": 1024}, {"last": 2048}]


def test_a_time_that_has_come_is_refused():
    class Late(Beat):
        def when(self, p, S, theta, own, now, step):
            return now

    net = Net([Layer("a", 1, 1), Layer("out", 1)], [])
    with pytest.raises(ValueError, match="when: expected a tick after 0 from neuron 0 of layer a"):
        run(net, [[[0], None]], Late(), v0=[[0], [0]])


# --- TPP (§13) ---

TPP_ORDERS = {
    "fifo": {},
    "lifo": {"order": twin.lifo},
    "index": {"order": twin.index},
    "random": {"order": twin.random(3)},
    "inhibitory": {"order": twin.inhibitory_first},
    "jitter": {"order": twin.jitter(5, 0, 3 * TICKS_PER_STEP)},
    "delays": {"delays": PerProjection([700 * k % 3000 for k in range(10)])},
    "clocked": {"order": twin.clocked},
}


def zeros(net):
    return [[0] * layer.size for layer in net.layers]


def tpp_draw(*numbers):
    h = 0
    for number in numbers:
        h = twin.splitmix64(h ^ number)
    return Fraction(h >> 11, 2**53)


def test_tpp_by_hand():
    """theta 10, T = 4, drive 7, 5, 0, 9: v = 21 after stage one; then each step's draw decides."""
    net = Net([Layer("a", 1, 10), Layer("b", 1, 10), Layer("out", 1)], [])
    net.projections = [Projection(0, 1, [[8]]), Projection(1, 2, [[3]])]
    drive = [[[x], None, [1]] for x in (7, 5, 0, 9)]
    several = set()
    for seed in range(20):
        v, fired = 21, []
        for t in range(1, 5):
            if tpp_draw(seed, 6, 0, 0, t) < Fraction(v, 10 * (4 - t + 1)):
                fired.append((t, v))
                v -= 10
        several.add(len(fired))
        outcome = run(net, drive, TPP(seed, 6), v0=zeros(net))
        first = [s for s in outcome.spikes if s.layer == 0]
        assert [(s.step, s.tick, s.v_before, s.v_after, s.cause, s.sign) for s in first] == [
            (3 + t, (3 + t) * TICKS_PER_STEP, v, v - 10, None, 1) for t, v in fired
        ]
        assert outcome.potentials[0] == [v] and outcome.memory[0] == [len(fired)]
        assert outcome.arrived[1] == [8 * len(fired)] and outcome.equalities == 0
        assert all(8 <= s.step < 12 for s in outcome.spikes if s.layer == 1)
        assert len(outcome.readout) == len(outcome.counts[0]) == 12
        assert outcome.readout[:8] == [[1], [2], [3]] + [[4]] * 5
        assert outcome.readout[-1] == [4 + 3 * outcome.memory[1][0]]
    assert {2, 3} <= several


@pytest.mark.parametrize("pools", [(), (1,), (2,), (1, 2), (1, 3)])
def test_tpp_fires_the_same_spikes_in_every_order(pools):
    fired = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net = random_net(rng, layers=5, pools=pools)
        drive = random_drive(rng, net)
        options = dict(v0=zeros(net), events=random_events(rng, net, STEPS))
        engine = clock(net, drive, TPP(seed, 2), **options)
        fired += len(engine.spikes)
        spiking = [n for n in range(net.readout) if n not in pools]
        depth = twin.depths(net)
        assert len(engine.readout) == STEPS * (max(depth[n] for n in spiking) + 1)
        for order in TPP_ORDERS.values():
            outcome = run(net, drive, TPP(seed, 2), **options, **order)
            if order.get("order") is twin.clocked:
                assert same(engine, outcome)
            assert sorted(facts_of_tpp(outcome)) == sorted(facts_of_tpp(engine))
            for attribute in ("counts", "potentials", "readout", "arrived", "memory"):
                assert getattr(outcome, attribute) == getattr(engine, attribute)
            assert outcome.equalities == outcome.under_way == 0
            assert outcome.synaptic_operations == engine.synaptic_operations
        for n in spiking:
            assert all(0 <= S <= STEPS for S in engine.memory[n])
            stage = range(depth[n] * STEPS, (depth[n] + 1) * STEPS)
            assert all(s.step in stage for s in engine.spikes if s.layer == n)
            assert engine.potentials[n] == [
                x - THETA * S for x, S in zip(engine.arrived[n], engine.memory[n], strict=True)
            ]
    assert fired > 100


def facts_of_tpp(outcome):
    return [fact[1:] for fact in facts(outcome)]


def test_tpp_with_enough_charge_always_fires_and_without_never():
    """v >= theta (T - t + 1) stays so; so does v <= 0. In between the count is near v / theta."""
    net = Net([Layer("a", 5, 10), Layer("out", 1)], [Projection(0, 1, [[1] * 5])])
    between = []
    for seed in range(50):
        drive = [[[40, 95, 0, -30, 25], None]] + [[None] * 2] * 3
        outcome = clock(net, drive, TPP(seed), zeros(net))
        assert outcome.memory[0][:4] == [4, 4, 0, 0]
        assert outcome.potentials[0][:4] == [0, 55, 0, -30]
        between.append(outcome.memory[0][4])
        # before its stage nothing fires, whatever the charge
        assert outcome.counts[0][:4] == [[0] * 5] * 4
    assert 2.2 < np.mean(between) < 2.8 and set(between) <= {1, 2, 3, 4}


def test_depths_are_those_of_the_longest_path():
    names = "a b pool c deep pool readout"
    net = Net([Layer(name, 1, 4, name == "pool") for name in names.split()], [])
    for source, target in [(0, 1), (0, 2), (1, 2), (0, 3), (2, 4), (3, 4), (2, 5), (4, 6)]:
        net.projections.append(Projection(source, target, [[1]]))
    assert twin.depths(net) == [1, 2, 2, 2, 3, 2, 4]


def test_wrong_tpp_is_refused():
    net = Net([Layer("a", 1, 4), Layer("b", 1, 4), Layer("out", 1)], [Projection(0, 1, [[1]])])
    drive = [[[1], None, None]]
    for options in ({"barrier": False}, {"refractory": 5}, {"window": 5}):
        with pytest.raises(ValueError, match="TPP: expected a barrier"):
            run(net, drive, TPP(1), v0=zeros(net), **options)
    with pytest.raises(ValueError, match="expected TPP in all spiking layers"):
        clock(net, drive, [TPP(1), IF(), IF()], zeros(net))
    with pytest.raises(ValueError, match=r"TPP: expected v\(0\) of zeros"):
        clock(net, drive, TPP(1))
    with pytest.raises(ValueError, match="a model of one stage, found TPP"):
        twin.run_srp(twin.run_clocked, net, drive, zeros(net), 1, 1, TPP(1))
    net.projections.append(Projection(1, 0, [[1]]))
    with pytest.raises(ValueError, match="topological order"):
        run(net, drive, TPP(1), v0=zeros(net))
