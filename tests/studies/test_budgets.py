"""No edit within its budget leaves the intervals: all orders of small networks, and many random
edits; with nothing moved they are the engine's run.
"""

import random
from itertools import permutations

import numpy as np
import pytest
from support.networks import Builder, pixel_range, random_pixels, skipping_graph

from eventsnn import InputError, budgets, convert, simulate
from eventsnn.engine.event.layout import NET
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies import intervals, stages
from eventsnn.studies.adversary.base import Base
from eventsnn.studies.adversary.budgets import in_a_step
from eventsnn.studies.adversary.kinds import KINDS
from eventsnn.studies.moments import Moments
from eventsnn.studies.synapses import Piece
from eventsnn.trace.replay import replay

ONE = 16  # charge of a spike


class Dense:
    """A matrix as the synapses into a layer of one site."""

    def __init__(self, weights):
        self.weights, self.sites, self.channels = weights, 1, weights.shape[1]

    def pieces(self, neurons):
        if len(neurons):
            one = np.zeros(1, np.int64)
            yield Piece(one, one, np.arange(len(neurons)), self.weights[neurons])


class Chain:
    """The naive twin of a chain of free layers behind one that is known: lists and loops."""

    def __init__(self, rng, sizes, steps, spikes, spread=12):
        self.weights = [rng.integers(-spread, spread + 1, (a, b)) for a, b in zip(sizes, sizes[1:])]
        self.drive = [rng.integers(-6, 9, (steps, n)) for n in sizes[1:]]
        self.resting = [np.full(n, ONE // 2) for n in sizes[1:]]
        by_step = rng.multinomial(spikes, np.full(sizes[0], 1 / sizes[0]), size=steps)
        self.first = by_step.cumsum(axis=0)

    def sequences(self):
        """What the first layer sends, in the order of its neurons: one list for each step."""
        by_step = np.diff(self.first, axis=0, prepend=0)
        return [np.repeat(np.arange(len(row)), row).tolist() for row in by_step]

    def layer(self, i, sequences):
        """(emitted neurons of each step, counts after each step) of free layer i."""
        weights = self.weights[i].tolist()
        v, emitted, counts = self.resting[i].tolist(), [], []
        fired = [0] * len(v)
        for drive, sequence in zip(self.drive[i].tolist(), sequences):
            sent = []
            for row in [drive, *(weights[j] for j in sequence)]:
                for k, charge in enumerate(row):
                    v[k] += charge
                    while v[k] >= ONE:
                        v[k] -= ONE
                        fired[k] += 1
                        sent.append(k)
            emitted.append(sent)
            counts.append(tuple(fired))
        return emitted, counts

    def bounds(self, moved):
        """The ends of each free layer's counts by step, [(fewest, most)] of int64 [T, n]."""
        source, found = stages.known(self.first), []
        for i, weights in enumerate(self.weights):
            into = Dense(weights)
            source = stages.answered(into, self.drive[i], self.resting[i], ONE, source, moved)
            found.append(tuple(np.array(ends) for ends in zip(*(its.last() for its in source))))
        return found


def places_moved(sequence, other):
    """n less the longest common subsequence."""
    best = [0] * (len(other) + 1)
    for a in sequence:
        row = [0]
        for k, b in enumerate(other):
            row.append(best[k] + 1 if a == b else max(best[k + 1], row[-1]))
        best = row
    return len(sequence) - best[-1]


def edited(sequence, moved, draw):
    """A sequence with up to `moved` of its places moved anywhere."""
    sequence = list(sequence)
    for place in sorted(draw.sample(range(len(sequence)), min(moved, len(sequence)))):
        spike = sequence.pop(place)
        sequence.insert(draw.randint(0, len(sequence)), spike)
    return sequence


def inside(counts, bounds):
    fewest, most = bounds
    return (fewest <= counts).all() and (np.array(counts) <= most).all()


def chains(count, sizes, steps, spikes):
    for seed in range(count):
        yield Chain(np.random.default_rng(seed), sizes, steps, spikes)


def test_with_nothing_moved_it_is_the_run():
    for chain in chains(30, (5, 6, 5, 4), 4, 7):
        sequences = chain.sequences()
        for i, (fewest, most) in enumerate(chain.bounds(0)):
            sequences, counts = chain.layer(i, sequences)
            assert np.array_equal(fewest, counts) and np.array_equal(most, counts)


def reachable(chain, moved):
    """[set of all counts by step of each free layer], by trying every order within the budget."""
    states = {tuple(map(tuple, chain.sequences()))}
    every = []
    for i in range(len(chain.weights)):
        after, found = set(), set()
        for sequences in states:
            choices = [()]
            for sequence in sequences:
                orders = {
                    order
                    for order in permutations(sequence)
                    if places_moved(sequence, order) <= moved
                }
                choices = [(*before, order) for before in choices for order in orders]
            for choice in choices:
                emitted, counts = chain.layer(i, choice)
                after.add(tuple(map(tuple, emitted)))
                found.add(tuple(counts))
        states = after
        every.append(found)
    return every


@pytest.mark.parametrize("moved", [1, 2, 3])
def test_no_order_within_the_budget_leaves_the_intervals(moved):
    """All orders, enumerated; 3 of up to 4 spikes is any order. How often an end is reached says
    how tight the intervals are.
    """
    reached, ends, wide = 0, 0, 0
    for chain in chains(40, (3, 3, 3), 2, 3):
        if max(map(len, chain.layer(0, chain.sequences())[0])) > 4:
            continue  # more orders than can be tried
        found = reachable_or_none(chain, moved)
        if found is None:
            continue
        for its, bounds in zip(found, chain.bounds(moved)):
            counts = np.array(list(its))
            assert (bounds[0] <= counts).all() and (counts <= bounds[1]).all()
            least, most = counts.min(axis=0), counts.max(axis=0)
            reached += (least == bounds[0]).sum() + (most == bounds[1]).sum()
            ends += 2 * least.size
            wide += (least < most).sum()
    assert ends > 300 and wide > 20, "orders matter"
    assert reached / ends > 0.5, "and the intervals are not far from the truth"


def reachable_or_none(chain, moved):
    """`reachable`, unless a layer sends too many spikes for it in some order."""
    most = chain.bounds(moved)[0][1]
    if np.diff(most, axis=0, prepend=0).sum(axis=1).max() > 5:
        return None
    return reachable(chain, moved)


@pytest.mark.slow
@pytest.mark.parametrize("moved", [1, 3, 10])
def test_random_edits_stay_inside(moved):
    """10,000 edits within each budget, of which many change counts."""
    draw, changed = random.Random(moved), 0
    for chain in chains(50, (6, 5, 4), 3, 6):
        bounds = chain.bounds(moved)
        base = chain.layer(0, chain.sequences())[1]
        for _ in range(200):
            sequences = chain.sequences()
            for i, its in enumerate(bounds):
                sequences = [edited(sequence, moved, draw) for sequence in sequences]
                sequences, counts = chain.layer(i, sequences)
                assert inside(counts, its)
                changed += i == 0 and counts != base
    assert changed > 500


@pytest.mark.parametrize("sizes", [(6, 6, 6, 6), (4, 8, 3, 5, 4)])
def test_deep_chains_stay_inside(sizes):
    draw = random.Random(0)
    for chain in chains(40, sizes, 3, 5):
        for moved in (1, 2):
            bounds = chain.bounds(moved)
            for _ in range(10):
                sequences = chain.sequences()
                for i, its in enumerate(bounds):
                    sequences = [edited(sequence, moved, draw) for sequence in sequences]
                    sequences, counts = chain.layer(i, sequences)
                    assert inside(counts, its)


def test_a_greater_budget_holds_a_smaller_one():
    for chain in chains(20, (6, 5, 4), 3, 6):
        last = None
        for moved in (0, 1, 2, 5, 50):
            bounds = chain.bounds(moved)
            for wide, narrow in zip(bounds, last or bounds):
                assert (wide[0] <= narrow[0]).all() and (narrow[1] <= wide[1]).all()
            last = bounds


# --- skip connections ---


class Skipping:
    """The naive twin of free layers that hear all layers before them, the first of which is known.

    Layer by layer: each answers the drive; then each hears all that the layers before it sent, in
    the order of emission, edited, and answers.
    """

    def __init__(self, rng, sizes, steps, spikes):
        self.chain = Chain(rng, sizes, steps, spikes)
        self.weights = [
            rng.integers(-12, 13, (sum(sizes[: i + 1]), n)) for i, n in enumerate(sizes[1:])
        ]
        self.first = np.cumsum([0, *sizes]).tolist()

    def run(self, edit):
        """Counts after each step of each free layer. edit: of a sequence of deliveries."""
        layers = range(len(self.weights))
        v = [self.chain.resting[i].tolist() for i in layers]
        fired = [[0] * len(its) for its in v]
        counts = [[] for _ in layers]

        def answer(i, row, sent):
            for k, charge in enumerate(row):
                v[i][k] += charge
                while v[i][k] >= ONE:
                    v[i][k] -= ONE
                    fired[i][k] += 1
                    sent.append(self.first[i + 1] + k)

        for t, known in enumerate(self.chain.sequences()):
            emitted = list(known)
            for i in layers:
                answer(i, self.chain.drive[i][t].tolist(), emitted)
            for i in layers:
                for spike in edit([s for s in emitted if s < self.first[i + 1]]):
                    answer(i, self.weights[i][spike].tolist(), emitted)
                counts[i].append(tuple(fired[i]))
        return counts

    def bounds(self, moved):
        found = [stages.known(self.chain.first)]
        for i, weights in enumerate(self.weights):
            source = [stages.joined(its) for its in zip(*found)]
            drive, resting = self.chain.drive[i], self.chain.resting[i]
            its = stages.answered(Dense(weights), drive, resting, ONE, source, moved)
            found.append(its)
        return [tuple(np.array(e) for e in zip(*(s.last() for s in its))) for its in found[1:]]


@pytest.mark.parametrize("sizes", [(4, 4, 4, 4), (3, 6, 3, 5)])
def test_random_edits_over_skip_connections_stay_inside(sizes):
    draw, changed = random.Random(0), 0
    for seed in range(30):
        net = Skipping(np.random.default_rng(seed), sizes, 3, 4)
        base = net.run(list)
        for its, (fewest, most) in zip(base, net.bounds(0)):
            assert np.array_equal(fewest, its) and np.array_equal(most, its)
        for moved in (1, 3):
            bounds = net.bounds(moved)
            for _ in range(30):
                its = net.run(lambda sequence, m=moved: edited(sequence, m, draw))
                assert all(inside(counts, ends) for counts, ends in zip(its, bounds))
                changed += its != base
    assert changed > 500


# --- networks ---


def network_of(seed, layers=3):
    """A chain of convolutions and the images [2, ...] of a run."""
    rng = np.random.default_rng(seed)
    b = Builder(rng, (2, 4, 4))
    x = "input"
    for _ in range(layers):
        x = b.activation(b.conv(x, 3, 3, pads=[1, 1, 1, 1]), "QCFS")
    graph = b.graph(b.gemm(b.add("Flatten", [x])))
    return convert(graph), random_pixels(rng, graph, 2)


def test_the_whole_network_with_nothing_moved_is_the_engines_run():
    for seed in range(6):
        network, pixels = network_of(seed)
        options = {"steps": 4, "neuron": "if"}
        found = budgets.certify(network, pixels, moved=[0], last=3, **options)
        ran = simulate(network, pixels, engine="event", order="fifo", neurons=True, **options)
        assert np.array_equal(found.predicted, ran.predictions())
        assert np.array_equal(found.classes[0], ran.predictions()) and found.widths.max() == 0
        ordered = np.sort(ran.readout(), axis=1)
        assert np.allclose(found.least[0], ordered[:, -1] - ordered[:, -2])


def skipping_of(seed):
    """A network in which a layer hears two free ones, and the images of a run."""
    rng = np.random.default_rng(seed)
    b, around = Builder(rng, (2, 4, 4)), {"pads": [1, 1, 1, 1]}
    one = b.activation(b.conv("input", 3, 3, **around), "QCFS")
    two = b.activation(b.conv(one, 3, 3, **around), "QCFS")
    three = b.activation(b.add("Add", [b.conv(two, 3, 3, **around), one]), "QCFS")
    four = b.activation(b.add("Add", [b.conv(three, 3, 3, **around), two]), "QCFS")
    graph = b.graph(b.gemm(b.add("Flatten", [four])))
    return convert(graph), random_pixels(rng, graph, 2)


@pytest.mark.slow
def test_skip_connections_with_nothing_moved_are_the_engines_run():
    """Cores that take no time: the order by (target layer, emission)."""
    differs, options = 0, {"steps": 4, "neuron": "if"}
    for seed in range(6):
        network, pixels = skipping_of(seed)
        layers = len(network.spiking)
        found = budgets.certify(network, pixels, moved=[0], last=layers, order="cores", **options)
        ran = simulate(network, pixels, engine="event", order="cores", **options)
        assert np.array_equal(found.predicted, ran.predictions()) and found.widths.max() == 0
        ordered = np.sort(ran.readout(), axis=1)
        assert np.allclose(found.least[0], ordered[:, -1] - ordered[:, -2])
        fifo = simulate(network, pixels, engine="event", order="fifo", **options)
        differs += not np.array_equal(fifo.readout(), ran.readout())
    assert differs, "where a layer hears several, fifo is another order"


@pytest.mark.parametrize("order", ["fifo", "random", "lifo"])
def test_every_order_over_skip_connections_is_within_every_delivery(order):
    for seed in range(4):
        network, pixels = skipping_of(seed)
        layers = len(network.spiking)
        found = budgets.certify(
            network, pixels, moved=["every"], last=layers, order="cores", steps=3
        )
        ran = simulate(network, pixels, engine="event", order=order, steps=3, max_events=10**6)
        readout, rows = ran.readout(), np.arange(2)
        mine = readout[rows, found.predicted]
        readout[rows, found.predicted] = -np.inf
        assert (mine - readout.max(axis=1) >= found.least[0] - 1e-9).all()


@pytest.mark.parametrize("order", ["random", "priority", "lifo", "index", "jitter"])
def test_no_order_of_whole_spikes_is_below_the_least_margin(order):
    """By the engine: with all deliveries of a step moved, any order is within the budget."""
    certain = 0
    for seed in range(8):
        network, pixels = network_of(seed, layers=2)
        found = budgets.certify(network, pixels, moved=[10**6], last=2, steps=3)
        for draw in range(4):
            ran = simulate(
                network, pixels, engine="event", order=order, steps=3, seed=draw, max_events=10**6
            )
            readout, rows = ran.readout(), np.arange(2)
            mine = readout[rows, found.predicted]
            readout[rows, found.predicted] = -np.inf
            assert (mine - readout.max(axis=1) >= found.least[0] - 1e-9).all()
            certain += (found.classes[0] >= 0).sum()
    assert certain


@pytest.mark.parametrize("kind", ["order", "times"])
def test_replays_without_a_clock_stay_inside(kind):
    """Edits of the engine's own run under fifo, by what they move in the edited run."""
    changed = 0
    for seed in range(6):
        network, pixels = network_of(seed)
        ends = {"steps": 3, "engine": "event", "pixel_range": pixel_range(pixels)}
        base = Base(Simulation(network, time=Time(order="fifo"), **ends), pixels[0], 0)
        its, rng = KINDS[kind](base), np.random.default_rng(seed)
        way = Moments(base.simulation, 0, "fifo")
        weights = intervals.weights_of(base.simulation)
        image = intervals.Images(base.simulation, pixels[:1], np.zeros(1, np.int64), weights)
        known = way.known(image)
        for count in (1, 1, 2, 4, 20):
            edits = its.edits(its.drawn(rng).some(slice(count)))
            again = replay(base.simulation, base.trace, pixels[0], edits)
            sent = way.ends(image, known, in_a_step(again.trace))
            for i in range(len(network.spiking)):
                counts = again.run.state.memory[network.columns(i), NET]
                assert (sent[i].fewest[0, -1] <= counts).all()
                assert (counts <= sent[i].most[0, -1]).all()
            changed += bool(again.spread)
    assert changed > 5


def test_one_output_alone():
    rng = np.random.default_rng(3)
    b = Builder(rng, (2, 3, 3))
    x = b.activation(b.conv(b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS"), 3), "QCFS")
    graph = b.graph(b.gemm(b.add("Flatten", [x]), 1))
    network, pixels = convert(graph), random_pixels(rng, graph, 6)
    found = budgets.certify(network, pixels, moved=[0, 1], last=2, steps=3)
    ran = simulate(network, pixels, engine="event", order="fifo", steps=3)
    assert np.array_equal(found.classes[0], ran.predictions())
    assert np.allclose(found.least[0], np.abs(ran.readout()[:, 0]))


def test_too_many_stages_are_given_up(monkeypatch):
    network, pixels = network_of(1)
    monkeypatch.setattr(stages, "MOST_STAGES", 3)
    found = budgets.certify(network, pixels, moved=[2], last=2, steps=3)
    assert (found.classes == -1).all() and np.isinf(found.least).all()
    assert found.table()[0]["given up"] == 1 and "given up" in str(found.table())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"neuron": "snm"}, "budgets: expected neurons that take no spike back"),
        ({"neuron": "if-hard"}, "intervals: expected neurons"),
        ({"last": 4}, "last: expected at most the 3 layers"),
        ({"moved": [-1]}, "moved: expected"),
        ({"moved": []}, "moved: expected"),
        ({"moved": [None]}, "moved: expected numbers of deliveries from 0, or 'every'"),
        ({"arithmetic": "float64"}, "budgets: expected fixed point"),
        ({"engine": "clocked"}, "budgets: expected engine='event', found 'clocked'; .*clocked"),
        ({"order": "cores", "latency": 0.5}, "budgets: expected deliveries that take no time"),
        ({"order": "cores", "arbitration": "index"}, "expected deliveries that take no time"),
        ({"delays": 0.5}, "budgets: expected deliveries that take no time"),
    ],
)
def test_what_cannot_be_certified_is_said_in_a_line(options, words):
    network, pixels = network_of(0)
    with pytest.raises(InputError, match=words) as caught:
        budgets.certify(network, pixels, **options)
    assert "\n" not in str(caught.value)


def test_free_layers_are_a_chain():
    rng = np.random.default_rng(0)
    graph = skipping_graph(rng)
    with pytest.raises(InputError, match="free layer .* expected one layer that it hears"):
        budgets.certify(convert(graph), random_pixels(rng, graph, 1), last=2)
