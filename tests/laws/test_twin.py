"""The twin obeys the laws of the semantics (§7) and reproduces the papers' worked examples, with no
tolerance.
"""

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest
import scipy.stats
from support import twin
from support.twin import (
    GN,
    IF,
    LIF,
    SNM,
    STBIF,
    TICKS_PER_STEP,
    TPP,
    Adaptive,
    IFHard,
    Layer,
    Net,
    PerNeuron,
    PerProjection,
    Projection,
)

SEEDS = range(12)
STEPS = 5
THETA = 24
MODELS = {"if": IF(), "snm": SNM(), "stbif": STBIF(3), "gn": GN(4), "hard": IFHard(-2)}
SOFT = ["if", "snm", "stbif", "gn"]
ORDERS = {
    "fifo": {},
    "lifo": {"order": twin.lifo},
    "index": {"order": twin.index},
    "random": {"order": twin.random(3)},
    "priority": {"order": twin.priority(3)},
    "excitatory": {"order": twin.excitatory_first},
    "inhibitory": {"order": twin.inhibitory_first},
    "jitter": {"order": twin.jitter(5, 0, 3 * TICKS_PER_STEP)},
    "jitter without barrier": {"order": twin.jitter(5, 1, 3 * TICKS_PER_STEP), "barrier": False},
    "refractory": {"refractory": TICKS_PER_STEP},
    "refractory and jitter": {"order": twin.jitter(6, 0, 900), "refractory": 700, "barrier": False},
    "window": {"order": twin.jitter(7, 0, 500), "window": 300},
    "window, refractory, random": {"order": twin.random(8), "window": 900, "refractory": 2500},
    "clocked": {"order": twin.clocked},
}


def random_net(rng, layers=4, theta=THETA, skip=0.5, pools=()):
    """A chain with random skip connections, missing synapses and explicit zeros; the last layer is
    the readout.
    """
    net = Net(
        [Layer(f"layer{n}", int(rng.integers(2, 5)), theta, n in pools) for n in range(layers)], []
    )
    for target in range(1, layers):
        for source in range(target):
            if source == target - 1 or rng.random() < skip:
                shape = net.layers[target].size, net.layers[source].size
                weights = rng.integers(-theta, theta + 1, shape) * (rng.random(shape) < 0.9)
                if target in pools:
                    weights = np.ones(shape, int)
                net.projections.append(Projection(source, target, weights, rng.random(shape) < 0.9))
    return net


def random_drive(rng, net, steps=STEPS, quiet=0):
    """Strong drive to the first layer, weak to all others; then `quiet` steps of nothing."""
    drive = [
        [rng.integers(-THETA // 6, THETA // 6, layer.size).tolist() for layer in net.layers]
        for _ in range(steps)
    ]
    for charges in drive:
        charges[0] = rng.integers(-THETA // 2, 2 * THETA, net.layers[0].size).tolist()
        charges[:] = [
            None if layer.pool else part for layer, part in zip(net.layers, charges, strict=True)
        ]
    return drive + [[None] * len(net.layers)] * quiet


def start(net, fraction=2):
    """v(0) = theta / fraction; 0 at pools and at the readout."""
    spiking = [
        [0 if layer.pool else theta // fraction for theta in layer.thresholds()]
        for layer in net.layers[:-1]
    ]
    return [*spiking, [0] * net.layers[-1].size]


def run(net, drive, model, *, order=twin.fifo, v0=None, **options):
    return twin.run_async(net, drive, v0 or start(net), len(drive), model, order, **options)


def clock(net, drive, model, v0=None, **options):
    return twin.run_clocked(net, drive, v0 or start(net), len(drive), model, **options)


def either(way, net, drive, model, **options):
    """`way`: the clocked engine, or the name of an order."""
    return (
        clock(net, drive, model, **options)
        if way == "engine"
        else run(net, drive, model, **ORDERS[way], **options)
    )


def facts(outcome):
    """Everything about the spikes that does not depend on the way of time."""
    return [
        (s.seq, s.step, s.layer, s.neuron, s.sign, s.member, s.v_before, s.v_after)
        for s in outcome.spikes
    ]


def totals(outcome, layer):
    return [
        sum(step[i] for step in outcome.counts[layer]) for i in range(len(outcome.counts[layer][0]))
    ]


def same(one, other):
    """Do a run in clocked time and one under the order `clocked` agree in everything that both
    have?
    """
    attributes = (
        "counts",
        "potentials",
        "readout",
        "arrived",
        "synaptic_operations",
        "equalities",
        "t_eq",
    )
    return facts(one) == facts(other) and all(
        getattr(one, a) == getattr(other, a) for a in attributes
    )


def delivered(outcome):
    return [(d.layer, d.neuron, d.nth) for d in outcome.deliveries]


# --- §7 laws ---


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("way", ["engine", *ORDERS])
def test_law_1_conservation(name, way):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net = random_net(rng)
        drive, model = random_drive(rng, net), MODELS[name]
        outcome = (
            clock(net, drive, model) if way == "engine" else run(net, drive, model, **ORDERS[way])
        )
        assert outcome.spikes
        for layer, v0 in enumerate(start(net)):
            assert outcome.potentials[layer] == [
                v + x - model.quantum(THETA) * S
                for v, x, S in zip(v0, outcome.arrived[layer], totals(outcome, layer), strict=True)
            ]


@pytest.mark.parametrize("way", ["engine", *ORDERS])
def test_laws_2_and_3_confluence_and_equivalence_of_stbif(way):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net, model = random_net(rng), STBIF(3)
        drive = random_drive(rng, net, quiet=60)
        outcome = (
            clock(net, drive, model) if way == "engine" else run(net, drive, model, **ORDERS[way])
        )
        assert outcome.under_way == 0 and outcome.t_eq < len(drive)
        ann = []
        for layer, size in enumerate(layer.size for layer in net.layers):
            y = [
                sum(charges[layer][i] for charges in drive if charges[layer] is not None)
                for i in range(size)
            ]
            for p in net.projections:
                if p.target == layer:
                    y = [
                        x
                        + sum(
                            int(w) * a for w, a, m in zip(ws, ann[p.source], ms, strict=True) if m
                        )
                        for x, ws, ms in zip(y, p.weights, p.mask, strict=True)
                    ]
            assert outcome.arrived[layer] == y
            ann.append([min(max((x + THETA // 2) // THETA, 0), 3) for x in y])
            if layer != net.readout:
                assert totals(outcome, layer) == ann[layer]
        assert outcome.readout[-1] == y


EQUILIBRIUM = {  # refractory period off; delays of every kind
    "engine": None,
    "fifo": {"delays": PerProjection([700 * k % 3000 for k in range(10)])},
    "lifo": {
        "order": twin.lifo,
        "delays": PerNeuron([[(37 * i + 211 * n) % 900 for i in range(4)] for n in range(5)]),
    },
    "random": {
        "order": twin.random(9),
        "delays": PerProjection([0, 2000, 0, 300, 0, 0, 5, 0, 1, 1]),
    },
    "jitter": {"order": twin.jitter(11, 0, 2500), "barrier": False},
    "jitter and window": {"order": twin.jitter(12, 0, 800), "window": 250},
    "excitatory": {
        "order": twin.excitatory_first,
        "delays": PerProjection([50 * (k % 3) for k in range(10)]),
    },
    "inhibitory": {"order": twin.inhibitory_first, "barrier": False},
    "clocked": {"order": twin.clocked},
}


@pytest.mark.parametrize("pools", [(), (1,), (2,), (1, 2), (3,), (1, 3)])
def test_laws_2_and_3_against_the_quantised_network_with_pools(pools):
    """Even release in four parts, input events on top; thresholds of each neuron's and levels of
    each layer's own.
    """
    late = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net = random_net(rng, layers=5, pools=pools)
        for layer in net.layers:
            layer.theta = rng.integers(THETA // 2, 2 * THETA, layer.size).tolist()
        levels = [int(rng.integers(2, 8)) for _ in net.layers]
        sums = [
            None if layer.pool else rng.integers(-THETA, 2 * THETA, layer.size).tolist()
            for layer in net.layers
        ]
        sums[0] = rng.integers(-2 * THETA, 8 * THETA, net.layers[0].size).tolist()
        parts = [
            sums[n] and list(zip(*[twin.even_release(x, 4) for x in sums[n]], strict=True))
            for n in range(5)
        ]
        drive = [[part and list(part[step]) for part in parts] for step in range(4)] + [
            [None] * 5
        ] * 80
        events = random_events(rng, net, 4)
        for _, _, number, sign in events:
            for p in net.inputs:
                for i, row in enumerate(p.weights):
                    sums[p.target][i] += sign * int(row[number]) * bool(p.mask[i][number])
        S, readout = twin.equilibrium(net, sums, start(net), levels)
        model = [STBIF(n) for n in levels]
        for way, options in EQUILIBRIUM.items():
            outcome = (clock if way == "engine" else run)(
                net, drive, model, events=events, **options or {}
            )
            assert outcome.under_way == 0 and outcome.t_eq < len(drive)
            assert [totals(outcome, n) for n in range(4)] == outcome.memory[:4] == S
            assert outcome.readout[-1] == readout
            late += any(s.sign < 0 for s in outcome.spikes if net.layers[s.layer].pool)
    assert (late > 20) == bool(pools)  # pools took spikes back on the way


def test_equilibrium_by_hand():
    """theta = 4, v(0) = 2, s_max = 3: drive 5, -9, 99, 1 gives 1, 0, 3, 0; the maxima of the pairs
    are 1 and 3.
    """
    net = Net(
        [
            Layer("sources", 4, 4),
            Layer("pool", 2, pool=True),
            Layer("neuron", 1, [10]),
            Layer("readout", 2),
        ],
        [
            Projection(
                0, 1, np.ones((2, 4), int), [[True, True, False, False], [False, False, True, True]]
            ),
            Projection(1, 2, [[7, 6]]),
            Projection(2, 3, [[5], [1]]),
            Projection(0, 3, [[1] * 4, [2] * 4]),
        ],
    )
    v0 = [[2] * 4, [0, 0], [4], [100, 100]]
    # the neuron: 7 * 1 + 6 * 3 - 10 + 4 = 19 of 10; then 29, but with a level of its own no more
    # than 1
    assert twin.equilibrium(net, [[5, -9, 99, 1], None, [-10], [0, 3]], v0, 3) == (
        [[1, 0, 3, 0], [1, 3], [1]],
        [5 + 4, 1 + 8 + 3],
    )
    assert twin.equilibrium(net, [[5, -9, 99, 1], None, None, None], v0, 3)[0][2] == [2]
    assert twin.equilibrium(net, [[5, -9, 99, 1], None, None, None], v0, [3, None, 1, None])[0][
        2
    ] == [1]


def test_orders_differ_where_laws_do_not():
    """Else the laws above would be tested on one run under many names."""
    rng = np.random.default_rng(1)
    net = random_net(rng)
    drive = random_drive(rng, net)
    runs = {name: run(net, drive, IF(), **options) for name, options in ORDERS.items()}
    assert len({tuple(delivered(outcome)) for outcome in runs.values()}) == len(ORDERS)
    assert len({tuple(outcome.readout[-1]) for outcome in runs.values()}) > 3
    again = run(net, drive, IF(), order=twin.random(3))
    assert again == runs["random"]
    assert delivered(run(net, drive, IF(), order=twin.random(4))) != delivered(again)
    assert delivered(run(net, drive, IF(), order=twin.random(3, image=1))) != delivered(again)
    hashed = runs["priority"]
    assert delivered(run(net, drive, IF(), order=twin.priority(3, image=1))) != delivered(hashed)


# --- `random` (§12) ---


def star(count, targets=1):
    """`count` neurons that all fire at once, and all reach the readout."""
    shape = (targets, count)
    return Net(
        [Layer("sources", count, 1), Layer("readout", targets)],
        [Projection(0, 1, np.ones(shape, int))],
    )


def picks(seed, image, taken, waiting):
    """The order in which a list is taken if nothing joins it, by the rule's words. taken: before
    the first of them.
    """
    left, found = list(waiting), []
    while left:
        h = seed
        for number in (image, taken):
            h = twin.splitmix64(h) ^ number
        place = twin.splitmix64(h) * len(left) // 2**64
        found.append(left[place])
        left[place] = left[-1]
        del left[-1]
        taken += 1
    return found


def test_random_takes_from_the_list_of_the_tick_by_the_number_of_events_before():
    """Step 1: spikes due at once. Step 2 begins with 6 events taken. With delays there is a list
    for each tick, in which spikes stand as they were fired.
    """
    net, drive = star(6), [[[1] * 6, None]] * 2
    order = twin.random(7, image=4)
    outcome = run(net, drive, IF(), v0=[[0] * 6, [0]], order=order)
    at_once = picks(7, 4, 0, range(6)) + picks(7, 4, 6, range(6))
    assert [d.neuron for d in outcome.deliveries] == at_once
    delays = PerNeuron([[0, 50, 50, 0, 50, 2000], [0]])
    options = dict(v0=[[0] * 6, [0]], order=order, delays=delays)
    outcome = run(net, drive[:1] + [[[0] * 6, None]], IF(), **options)
    later = picks(7, 4, 0, [0, 3]) + picks(7, 4, 2, [1, 2, 4]) + [5]
    assert [d.neuron for d in outcome.deliveries] == later
    # without a barrier, what the second step fires joins what waits for the same tick
    delays = PerNeuron([[1024] * 6, [0]])
    options.update(delays=PerNeuron([[1024, 1024, 0, 0, 0, 0], [0]]), barrier=False)
    drive = [[[1, 1, 0, 0, 0, 0], None], [[0, 0, 1, 1, 1, 1], None]]
    outcome = run(net, drive, IF(), **options)
    assert [d.neuron for d in outcome.deliveries] == picks(7, 4, 0, range(6))


def test_random_counts_input_events_and_ends_and_not_what_ends_no_more():
    net, v0 = star(4), [[0] * 4, [0]]
    order, seed = twin.random(11), (11, 0)
    net.inputs = [Projection(None, 1, [[1, 1]])]
    events = [(0, 0, 0, 1), (0, 0, 1, 1)]
    outcome = run(net, [[[1] * 4, None]], IF(), v0=v0, order=order, events=events)
    assert [d.neuron for d in outcome.deliveries] == picks(*seed, 2, range(4))
    drive = [[[1] * 4, None], [[1] * 4, None]]
    outcome = run(net, drive, IF(), v0=v0, order=order, refractory=100)  # 4 rests end in between
    assert [d.neuron for d in outcome.deliveries[4:]] == picks(*seed, 8, range(4))
    late = PerNeuron([[10] * 4, [0]])  # else each is delivered before the next end
    outcome = run(net, drive, IF(), v0=v0, order=order, window=1, delays=late)
    assert [d.neuron for d in outcome.deliveries[:4]] == picks(*seed, 4, range(4))
    assert [d.neuron for d in outcome.deliveries[4:]] == picks(*seed, 12, range(4))
    # at 1124 the rests end, which closes the windows that would end there, too
    options = dict(v0=v0, order=order, window=100, refractory=1024, delays=late)
    outcome = run(net, drive, IF(), **options)
    assert [s.tick for s in outcome.spikes] == [100] * 4 + [1124] * 4
    assert [d.neuron for d in outcome.deliveries[:4]] == picks(*seed, 4, range(4))
    assert [d.neuron for d in outcome.deliveries[4:]] == picks(*seed, 12, range(4))


def chi_square(counts):
    """p of Pearson's test that all of counts are equally likely."""
    return scipy.stats.chisquare(counts).pvalue


@pytest.mark.parametrize("waiting", [2, 3, 7, 10])
def test_random_places_are_uniform(waiting):
    """Over the place taken, for one image along its events and for the first event of many."""
    along = [twin.random(1, 2).place(taken, waiting) for taken in range(4000)]
    first = [twin.random(seed, 2).place(0, waiting) for seed in range(4000)]
    for places in (along, first):
        assert chi_square(np.bincount(places, minlength=waiting)) > 1e-3
    pairs = np.array(along[:-1]) * waiting + along[1:]
    assert chi_square(np.bincount(pairs[::2], minlength=waiting**2)) > 1e-3


def test_law_4_theorem_1_of_srp():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        T = int(rng.integers(1, 9))
        net = random_net(rng)
        outcome = clock(net, random_drive(rng, net, T), IF())
        for layer in range(net.readout):
            for S, v, x in zip(
                totals(outcome, layer),
                outcome.potentials[layer],
                outcome.arrived[layer],
                strict=True,
            ):
                a = min(
                    max((x + THETA // 2) // THETA, 0), T
                )  # in spikes: a = lambda / T * this, y = x / T
                seen.add((a == 0, v < 0, (S > a) - (S < a)))
                if a == 0:
                    assert (v >= 0 or S >= a) and (S <= a or v < 0)
                else:
                    assert (v < 0) == (S > a)
    assert {
        (True, True, 1),
        (True, True, 0),
        (True, False, 0),
        (False, True, 1),
        (False, False, 0),
        (False, False, -1),
    } == seen


@pytest.mark.parametrize("T", [1, 2, 3, 4, 5])
def test_law_4_on_every_input_of_a_small_neuron(T):
    """SRP Theorem 1 with eq. 7: one layer of clocked IF, L = T, lambda = theta = 4, v(0) = theta /
    2. One neuron for each sequence of charges -5, -2, 1, 4 and 7; the ANN gets their mean, which is
    the same weighted input.
    """
    theta = 4
    inputs = list(product((-5, -2, 1, 4, 7), repeat=T))
    net = Net([Layer("layer", len(inputs), theta), Layer("readout", 1)], [])
    outcome = clock(net, [[list(charges), None] for charges in zip(*inputs, strict=True)], IF())
    cases = set()
    for charges, S, v in zip(inputs, totals(outcome, 0), outcome.potentials[0], strict=True):
        y, phi = Fraction(sum(charges), T), Fraction(theta * S, T)
        a = theta * min(max(((y * T / theta + Fraction(1, 2)) // 1) / Fraction(T), 0), 1)
        if a == 0:
            assert not v < 0 or phi >= a  # (i) v(T) < 0 is sufficient for phi >= a
            assert not phi > a or v < 0  # (i) and necessary for phi > a
        else:
            assert (phi > a) == (v < 0)  # (ii)
        if len(set(charges)) == 1:  # the same charge in each step: nothing is uneven
            assert phi == a and (v >= 0 or a == 0)
        if phi != a:  # §8
            cases.add((1 if a == 0 else 2) if phi > a else (4 if a == theta else 3))
    assert cases == {1: set(), 2: {1, 4}}.get(T, {1, 2, 3, 4})


@pytest.mark.parametrize("seed", SEEDS)
def test_law_5_gn_of_one_member_is_if(seed):
    rng = np.random.default_rng(seed)
    net = random_net(rng)
    drive = random_drive(rng, net)
    assert clock(net, drive, GN(1)) == clock(net, drive, IF())
    for options in ORDERS.values():
        assert run(net, drive, GN(1), **options) == run(net, drive, IF(), **options)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_law_5_clocked_order_is_the_clocked_engine(seed, name):
    rng = np.random.default_rng(seed)
    net = random_net(rng)
    drive = random_drive(rng, net, quiet=2)
    engine = clock(net, drive, MODELS[name])
    order = run(net, drive, MODELS[name], order=twin.clocked)
    assert facts(order) == facts(engine) and engine.spikes
    assert all(s.tick == (s.step + 1) * TICKS_PER_STEP - 1 for s in order.spikes)
    for attribute in (
        "counts",
        "potentials",
        "readout",
        "arrived",
        "synaptic_operations",
        "equalities",
        "t_eq",
    ):
        assert getattr(order, attribute) == getattr(engine, attribute), attribute


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", SEEDS)
def test_law_5_weight_normalisation_is_threshold_balancing(seed, name):
    """Balanced: each neuron its own theta. Normalised: its weights, drive and v(0) divided by it,
    all thetas 1.
    """
    rng = np.random.default_rng(seed)
    balanced = random_net(rng)
    for layer in balanced.layers:
        layer.theta = (4 * rng.integers(3, 9, layer.size)).tolist()
    drive, v0 = random_drive(rng, balanced), start(balanced)

    def divided(charges, layer):
        return [Fraction(c) / theta for c, theta in zip(charges, layer.theta, strict=True)]

    normal = Net([Layer(layer.name, layer.size, Fraction(1)) for layer in balanced.layers], [])
    for p in balanced.projections:
        rows = [
            [Fraction(int(w), theta) for w in row]
            for row, theta in zip(p.weights, balanced.layers[p.target].theta, strict=True)
        ]
        normal.projections.append(Projection(p.source, p.target, np.array(rows, object), p.mask))
    normal_drive = [
        [divided(c, layer) for c, layer in zip(step, balanced.layers, strict=True)]
        for step in drive
    ]
    normal_v0 = [divided(v, layer) for v, layer in zip(v0, balanced.layers, strict=True)]
    model = MODELS[name]
    if name == "hard":
        model = IFHard(0)
    one, other = clock(balanced, drive, model), clock(normal, normal_drive, model, normal_v0)
    assert [f[:6] for f in facts(one)] == [f[:6] for f in facts(other)] and one.spikes
    assert one.equalities == other.equalities
    one, other = run(balanced, drive, model), run(normal, normal_drive, model, v0=normal_v0)
    assert [(s.seq, s.tick, s.layer, s.neuron, s.sign, s.member, s.cause) for s in one.spikes] == [
        (s.seq, s.tick, s.layer, s.neuron, s.sign, s.member, s.cause) for s in other.spikes
    ]


def bounds_of_law_6(net, drive, outcome):
    """For each step, layer, neuron: spikes fired there, and the fewest and most of any order of the
    same arrivals.
    """
    v = start(net)
    for step, charges in enumerate(drive):
        for layer in range(net.readout):
            for i in range(net.layers[layer].size):
                p = v[layer][i] + charges[layer][i]
                at_drive = max(0, p // THETA)
                p -= at_drive * THETA
                excitation = inhibition = 0
                for k in net.projections:
                    if k.target == layer:
                        brought = [
                            int(w) * n
                            for w, n, m in zip(
                                k.weights[i], outcome.counts[k.source][step], k.mask[i], strict=True
                            )
                            if m
                        ]
                        excitation += sum(x for x in brought if x > 0)
                        inhibition -= sum(x for x in brought if x < 0)
                fewest = at_drive + max(0, (p + excitation - inhibition) // THETA)
                most = at_drive + max(0, (p + excitation) // THETA)
                fired = outcome.counts[layer][step][i]
                v[layer][i] = p + excitation - inhibition - (fired - at_drive) * THETA
                yield fired, fewest, most


def test_law_6_fewest_and_most():
    apart = strictly_between = 0
    for seed in range(3 * len(SEEDS)):
        rng = np.random.default_rng(seed)
        net = random_net(rng, layers=5)
        drive = random_drive(rng, net)
        for fired, fewest, most in bounds_of_law_6(
            net, drive, run(net, drive, IF(), order=twin.inhibitory_first)
        ):
            assert fired == fewest
            apart += fewest < most
        for fired, _, most in bounds_of_law_6(
            net, drive, run(net, drive, IF(), order=twin.excitatory_first)
        ):
            assert fired == most
        for name in ("fifo", "lifo", "index", "random", "priority", "jitter"):
            for fired, fewest, most in bounds_of_law_6(
                net, drive, run(net, drive, IF(), **ORDERS[name])
            ):
                assert fewest <= fired <= most
                strictly_between += fewest < fired < most
    assert apart > 100 and strictly_between > 20


@pytest.mark.parametrize("seed", SEEDS)
def test_law_6_against_every_order_of_the_same_arrivals(seed):
    """One target, five spikes: all 120 orders by replaying an edited run."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-2 * THETA, 2 * THETA, (1, 5))
    net = Net(
        [Layer("sources", 5, 1), Layer("target", 1, THETA), Layer("readout", 1)],
        [Projection(0, 1, weights), Projection(1, 2, [[1]])],
    )
    drive, v0 = [[[1] * 5, [0], None]], [[0] * 5, [int(rng.integers(0, THETA))], [0]]
    recorded = run(net, drive, IF(), v0=v0).deliveries
    mine = [d for d in recorded if d.layer == 0]

    def spikes(order):
        return run(net, drive, IF(), v0=v0, order=order).readout[-1][0]

    counts = {spikes(twin.replay(order)) for order in permutations(mine)}
    assert (min(counts), max(counts)) == (
        spikes(twin.inhibitory_first),
        spikes(twin.excitatory_first),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_law_7_gn_of_l_members_is_the_qcfs_network(seed):
    """a = lambda * clip(floor(y L / lambda + 1/2) / L, 0, 1), layer by layer, in exact
    fractions.
    """
    rng = np.random.default_rng(seed)
    L, net = 8, random_net(rng, theta=48)
    drive = [[rng.integers(-40, 80, layer.size).tolist() for layer in net.layers]]
    outcome = clock(net, drive, GN(L), start(net, 2 * L))
    ann, lam = [], 48
    for layer, charges in enumerate(drive[0]):
        y = [Fraction(c) for c in charges]
        for p in net.projections:
            if (
                p.target == layer
            ):  # a spike of a member brings w * lambda / L, so w = weights * L / lambda
                y = [
                    x
                    + sum(
                        Fraction(int(w) * L, lam) * a
                        for w, a, m in zip(ws, ann[p.source], ms, strict=True)
                        if m
                    )
                    for x, ws, ms in zip(y, p.weights, p.mask, strict=True)
                ]
        steps = [(x * L / lam + Fraction(1, 2)) // 1 for x in y]
        ann.append([lam * min(max(Fraction(n, L), 0), 1) for n in steps])
        if layer != net.readout:
            assert [Fraction(n * lam, L) for n in totals(outcome, layer)] == ann[layer]
    assert outcome.readout[-1] == y


@pytest.mark.parametrize("L", [1, 2, 4, 8, 16])
def test_law_7_gn_of_l_members_is_the_qcfs_staircase(L):
    """One layer, T = 1, every input from below 0 to above lambda: q times the count is QCFS (SRP
    eq. 7).
    """
    lam = 64
    inputs = list(range(-2 * lam, 3 * lam))
    net = Net([Layer("layer", len(inputs), lam), Layer("readout", 1)], [])
    outcome = clock(net, [[inputs, None]], GN(L), start(net, 2 * L))
    assert [lam // L * S for S in totals(outcome, 0)] == [
        lam * min(max((Fraction(y * L, lam) + Fraction(1, 2)) // 1 / Fraction(L), 0), 1)
        for y in inputs
    ]


# --- Published examples ---


def trains_into_one_neuron(trains, weights, theta=1):
    """Source j fires in the steps where trains[j] is 1: its theta is 1, and so is its drive
    there.
    """
    n = len(trains)
    net = Net(
        [Layer("sources", n, 1), Layer("neuron", 1, theta), Layer("readout", 1)],
        [Projection(0, 1, [weights]), Projection(1, 2, [[1]])],
    )
    return (
        net,
        [[list(charges), [0], None] for charges in zip(*trains, strict=True)],
        [[0] * n, [0], [0]],
    )


@pytest.mark.parametrize(
    ("excitation", "inhibition", "counts", "left"),
    [
        (
            [0, 1, 0, 1, 0, 1],
            [0, 1, 0, 1, 0, 1],
            [0, 1, 0, 1, 0, 1],
            0,
        ),  # (b) even: 3/6, as the ANN
        (
            [1, 1, 1, 0, 0, 0],
            [0, 0, 0, 1, 1, 1],
            [1, 1, 1, 1, 0, 0],
            -1,
        ),  # (c) inhibition late: one spike too many
        (
            [0, 0, 0, 1, 1, 1],
            [1, 1, 1, 0, 0, 0],
            [0, 0, 0, 0, 1, 1],
            1,
        ),  # (d) inhibition early: one too few
    ],
)
def test_srp_figure_1(excitation, inhibition, counts, left):
    """W = [2, -1], theta = 1, T = 6, each input fires three times: a = ReLU(2 * 0.5 - 0.5) =
    3/6.
    """
    net, drive, v0 = trains_into_one_neuron([excitation, inhibition], [2, -1])
    outcome = clock(net, drive, IF(), v0)
    assert [step[0] for step in outcome.counts[1]] == counts
    assert outcome.potentials[1] == [left]
    assert outcome.readout[-1] == [sum(counts)]


IN_TIME, LATE = [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("model", "inhibition", "counts", "left"),
    [
        (IF(), IN_TIME, [1, 1, 0, 0, 0], 0),
        (IF(), LATE, [1, 1, 1, 0, 0], -1),
        (SNM(), LATE, [1, 1, 1, 0, -1], 0),
        (SNM(), IN_TIME, [1, 1, 0, 0, 0], 0),
    ],
)
def test_dnisnm_figures_3_and_6(model, inhibition, counts, left):
    """x = (1, 2, 3) as spike counts, w = (1, 2, -1), theta 1: the ANN's output is 2. Late
    inhibition makes IF fire three times (fig. 3); SNM stands at 0 with memory 3 after t4 and takes
    a spike back at t5 (fig. 6).
    """
    net, drive, v0 = trains_into_one_neuron(
        [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], inhibition], [1, 2, -1]
    )
    outcome = clock(net, drive, model, v0)
    assert [step[0] for step in outcome.counts[1]] == counts
    assert outcome.potentials[1] == [left]
    assert clock(net, drive[:4], model, v0).potentials[1] == [0]


def test_dnisnm_figure_3_event_by_event():
    """The same six spikes in one step: inhibition last gives all five excitatory units, inhibition
    first gives two.
    """
    net = Net(
        [Layer("sources", 3, 1), Layer("neuron", 1, 1), Layer("readout", 1)],
        [Projection(0, 1, [[1, 2, -1]]), Projection(1, 2, [[1]])],
    )
    drive, v0 = [[[1, 2, 3], [0], None]], [[0] * 3, [0], [0]]
    assert run(net, drive, IF(), v0=v0, order=twin.excitatory_first).readout == [[5]]
    assert run(net, drive, IF(), v0=v0, order=twin.inhibitory_first).readout == [[2]]
    assert run(net, drive, SNM(), v0=v0, order=twin.excitatory_first).readout == [[2]]


def test_gn_figure_2_staircase():
    """T = 4, constant input x: IF climbs in steps of theta/T, GN of tau = 4 in steps of theta/(tau
    T), up to theta.
    """
    theta = 64
    net = Net([Layer("neuron", 1, theta), Layer("readout", 1)], [Projection(0, 1, [[1]])])

    def staircase(model, v0):
        return [
            clock(net, [[[x], None]] * 4, model, [[v0], [0]]).readout[-1][0] for x in range(-8, 80)
        ]

    assert staircase(IF(), 32) == [0] * 16 + [1] * 16 + [2] * 16 + [3] * 16 + [4] * 24
    assert staircase(GN(4), 8) == [0] * 10 + [n for n in range(1, 16) for _ in range(4)] + [16] * 18
    # the activation 0.125 of GN 2.1: IF says 1/4 after four steps, GN exactly 2/16
    assert (staircase(IF(), 32)[8 + 8], staircase(GN(4), 8)[8 + 8]) == (1, 2)


def test_gn_members_fire_in_order_of_threshold_and_inhibit_each_other():
    net = Net([Layer("neuron", 1, 8), Layer("readout", 1)], [Projection(0, 1, [[3]])])
    outcome = clock(net, [[[7], None], [[20], None]], GN(4), [[0], [0]])
    assert [(s.step, s.member, s.v_before, s.v_after) for s in outcome.spikes] == [
        (0, 1, 7, 5),
        (0, 2, 5, 3),
        (0, 3, 3, 1),  # 7 reaches 2, 4, 6 but not 8
        (1, 1, 21, 19),
        (1, 2, 19, 17),
        (1, 3, 17, 15),
        (1, 4, 15, 13),
    ]
    assert outcome.readout == [[9], [21]] and outcome.potentials[0] == [13]
    # asynchronous: again and again, 4 + 4 + 2 members of 21
    outcome = run(net, [[[21], None]], GN(4), v0=[[0], [0]])
    assert [s.member for s in outcome.spikes] == [
        1,
        2,
        3,
        4,
        1,
        2,
        3,
        4,
        1,
        2,
    ] and outcome.potentials[0] == [1]


def test_spikezip_equation_1():
    """V_thr = 4, S_max = 2, V_0 = 2; every branch of Theta, and both equalities."""
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    inputs = [6, 0, 5, -6, 0, -3, -1, -9, 10]
    outcome = clock(net, [[[x], None] for x in inputs], STBIF(2), [[2], [0]])
    #    V + V_in:  8  4  5 (S = S_max)  -1  3  0 (not < 0)  -1  -6 (S = 0)  4
    assert [step[0] for step in outcome.counts[0]] == [1, 1, 0, -1, 0, 0, -1, 0, 1]
    assert [s.v_after for s in outcome.spikes] == [4, 0, 3, 3, 0]
    assert outcome.equalities == 3  # 4 twice, 0 with S = 1 once
    # equalities that decide nothing are not counted: 4 with S = S_max, 0 with S = 0
    outcome = clock(
        net, [[[x], None] for x in (8, 0, 4, -5)] + [[None, None]] * 3, STBIF(2), [[0], [0]]
    )
    #    V + V_in:  8  4  4 (S = S_max)  -1  3  3  3
    assert [step[0] for step in outcome.counts[0]] == [
        1,
        1,
        0,
        -1,
        0,
        0,
        0,
    ] and outcome.equalities == 1
    assert clock(net, [[None, None]], STBIF(2), [[0], [0]]).equalities == 0


def test_dnisnm_equation_21():
    """theta = 4: at -theta it takes a spike back only while its memory is above 0; equalities
    likewise.
    """
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    outcome = clock(net, [[[x], None] for x in (-4, 0, 8, -7, -1, -4)], SNM(), [[0], [0]])
    #    p:  -4 (memory 0)  -4 (memory 0)  4  -7 (memory 1)  -4 (memory 0)  -8
    assert [step[0] for step in outcome.counts[0]] == [0, 0, 1, -1, 0, 0]
    assert outcome.equalities == 1
    outcome = clock(net, [[[x], None] for x in (4, -4, -4)], SNM(), [[0], [0]])
    assert [step[0] for step in outcome.counts[0]] == [1, -1, 0] and outcome.equalities == 2


# --- Numbers, records and costs ---


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


# --- Asynchronous time ---


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


# --- Max pooling (§10) ---


def trains_into_pools(windows, trains, weights):
    """Source j of theta 1 sends trains[j][step] by ST-BIF (whose drive is what it sends); unit i
    pools windows[i].
    """
    n = len(trains)
    members = [[j in window for j in range(n)] for window in windows]
    net = Net(
        [Layer("sources", n, 1), Layer("pool", len(windows), pool=True), Layer("readout", 1)],
        [Projection(0, 1, np.ones((len(windows), n), int), members), Projection(1, 2, [weights])],
    )
    drive = [[list(charges), None, None] for charges in zip(*trains, strict=True)]
    return net, drive, [[0] * n, [0] * len(windows), [0]]


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


def pooled(seed, **options):
    """A random net of five layers of which one or two are pools, and its drive."""
    rng = np.random.default_rng(seed)
    net = random_net(rng, layers=5, pools=[(1,), (2,), (3,), (1, 2), (1, 3)][seed % 5])
    return net, random_drive(rng, net, **options)


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


# --- SRP (§9) ---

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


def masked(rng, net):
    return [
        rng.random(layer.size) < (2 if layer.pool or layer is net.layers[-1] else 0.6)
        for layer in net.layers
    ]


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


# --- Input events (§3, §5) ---


def one_neuron_with_inputs(weights, theta=4):
    """Input j brings weights[j] to the one neuron, and nothing to the readout."""
    return Net(
        [Layer("neuron", 1, theta), Layer("readout", 1)],
        [Projection(0, 1, [[1]])],
        [Projection(None, 0, [weights])],
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


def random_events(rng, net, steps, inputs=3, quiet=0):
    """Gives the net an input that reaches two of its layers, and returns up to six events a
    step.
    """
    targets = [0, int(rng.choice([n for n in range(1, len(net.layers)) if not net.layers[n].pool]))]
    for target in targets:
        shape = net.layers[target].size, inputs
        net.inputs.append(
            Projection(
                None, target, rng.integers(-THETA, THETA + 1, shape), rng.random(shape) < 0.8
            )
        )
    return sorted(
        (
            step,
            int(rng.integers(0, 4)) * 300,
            int(rng.integers(0, inputs)),
            int(rng.choice([1, -1])),
        )
        for step in range(steps - quiet)
        for _ in range(rng.integers(0, 7))
    )


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
