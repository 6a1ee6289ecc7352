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
    SOFT,
    THETA,
    clock,
    delivered,
    facts,
    random_drive,
    random_events,
    random_net,
    run,
    start,
    totals,
)

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
