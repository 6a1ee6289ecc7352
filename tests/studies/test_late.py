"""Clocked runs with late deliveries: no edit within its budget leaves the intervals, and none flips
what is certified; by the engine's replays, all edits of tiny networks among them.
"""

from itertools import chain, combinations

import numpy as np
import pytest
from support.networks import (
    Builder,
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_graph,
    random_pixels,
    skipping_graph,
)

from eventsnn import InputError, adversary, budgets, convert
from eventsnn.engine.event.layout import NET
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies import intervals
from eventsnn.studies.adversary.base import Base, Moves, loses
from eventsnn.studies.adversary.budgets import in_a_step
from eventsnn.studies.adversary.kinds import KINDS
from eventsnn.studies.late import Late
from eventsnn.trace.replay import replay

pytestmark = pytest.mark.filterwarnings("ignore:.*rounding to fixed point, F = ")
MODELS = [
    ("if", skipping_graph),
    ("snm", random_graph),
    ("gn:4", quantised_graph),
    ("st-bif", quantised_graph),
]


def base_of(graph, pixels, model="if", steps=4):
    time = Time(order="clocked", ticks=1)
    options = {"steps": steps, "engine": "event", "neuron": model, "time": time}
    simulation = Simulation(convert(graph), **options, pixel_range=pixel_range(pixels))
    return Base(simulation, pixels[0], 0)


def made(seed, make):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    return graph, random_pixels(rng, graph, 1)


class Ends:
    """The intervals of a base run by budget, all layers free."""

    def __init__(self, base, pixels):
        self.simulation = base.simulation
        self.late = Late(base.simulation, 0)
        weights = intervals.weights_of(base.simulation)
        self.its = intervals.Images(base.simulation, pixels, np.zeros(1, np.int64), weights)
        self.found = {}

    def of(self, moved):
        """(fewest, most) of all spiking neurons after the last step."""
        if moved not in self.found:
            sent = self.late.ends(self.its, {}, moved)
            numbers = range(len(self.simulation.network.spiking))
            self.found[moved] = tuple(
                np.concatenate([getattr(sent[i], end)[0, -1] for i in numbers])
                for end in ("fewest", "most")
            )
        return self.found[moved]


def counts_of(run, ends):
    return run.state.memory[: len(ends[0]), NET]


def tiny(seed):
    b = Builder(np.random.default_rng(seed), (1, 2, 2))
    x = b.activation(b.conv("input", 2, 2), "QCFS")
    x = b.activation(b.gemm(b.add("Flatten", [x]), 3), "QCFS")
    graph = b.graph(b.gemm(x, 3))
    return graph, random_pixels(np.random.default_rng(seed), graph, 1)


@pytest.mark.slow
def test_all_edits_of_tiny_networks_stay_inside():
    """Every set of late deliveries. How often an end is reached says how tight intervals are."""
    reached, ends_in_all, changed = 0, 0, 0
    for seed in range(16):
        graph, pixels = tiny(seed)
        base = base_of(graph, pixels)
        kind, ends = KINDS["times"](base), Ends(base, pixels)
        if not 2 <= len(kind.rows) <= 7:
            continue
        seen = {}
        rows = kind.rows.tolist()
        for some in chain.from_iterable(combinations(rows, k) for k in range(len(rows) + 1)):
            moves = Moves(np.array(some, np.int64), np.ones(len(some), np.int64))
            again = replay(base.simulation, base.trace, pixels[0], kind.edits(moves))
            if loses(base.simulation, again.run):
                continue  # no attack
            moved = in_a_step(again.trace)
            assert moved <= len(some)
            counts = counts_of(again.run, ends.of(moved))
            for m in (moved, None):
                fewest, most = ends.of(m)
                assert (fewest <= counts).all() and (counts <= most).all()
            changed += len(some) > 0 and (counts != seen[0][0]).any()
            seen.setdefault(moved, []).append(counts)
        every = np.array(list(chain.from_iterable(seen.values())))
        fewest, most = ends.of(None)
        reached += (every.min(axis=0) == fewest).sum() + (every.max(axis=0) == most).sum()
        ends_in_all += 2 * len(fewest)
    assert ends_in_all > 50 and changed > 20, "late deliveries matter"
    assert reached / ends_in_all > 0.7, "and the intervals are not far from the truth"


@pytest.mark.parametrize(("model", "make"), MODELS)
def test_random_edits_stay_inside(model, make):
    changed = 0
    for seed in (3, 4, 5):
        graph, pixels = made(seed, make)
        if any(layer.pools for layer in convert(graph).layers):
            continue
        base = base_of(graph, pixels, model)
        kind, ends = KINDS["times"](base), Ends(base, pixels)
        rng = np.random.default_rng(seed)
        nothing = ends.of(0)
        assert np.array_equal(*nothing)
        assert np.array_equal(counts_of(base.run, nothing), nothing[0]), "the clocked run"
        for count in (1, 2, 3, 10, 100) * 4:
            edits = kind.edits(kind.drawn(rng).some(slice(count)))
            again = replay(base.simulation, base.trace, pixels[0], edits)
            fewest, most = ends.of(in_a_step(again.trace))
            counts = counts_of(again.run, nothing)
            no_attack = loses(base.simulation, again.run)
            assert no_attack or ((fewest <= counts).all() and (counts <= most).all())
            changed += (counts != nothing[0]).any()
    assert changed or model == "st-bif"


@pytest.mark.parametrize(("model", "make"), MODELS)
def test_a_greater_budget_holds_a_smaller_one(model, make):
    graph, pixels = made(4, make)
    ends, last = Ends(base_of(graph, pixels, model), pixels), None
    for moved in (0, 1, 2, 5, 10**6, None):
        fewest, most = ends.of(moved)
        assert last is None or ((fewest <= last[0]).all() and (last[1] <= most).all())
        last = fewest, most
    assert all(np.array_equal(*its) for its in zip(ends.of(10**6), ends.of(None)))


@pytest.mark.slow
def test_what_is_certified_is_below_what_an_attack_needs():
    """In the same base run, with the same layers free: semantics, section 14."""
    flipped, sure = 0, 0
    options = {"steps": 4, "order": "clocked"}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        graph = skipping_graph(rng)
        network, pixels = convert(graph), random_pixels(rng, graph, 3)
        for last in (1, len(network.spiking)):
            certain = budgets.largest(network, pixels, last=last, most=50, **options)
            into = [layer.name for layer in network.spiking[-last:]]
            limits = {"seconds": float("inf"), "replays": 150, "draws": 1}
            try:
                its = adversary.attack(network, pixels, into=into, **options, **limits)
            except InputError as error:
                assert "alone hear" in str(error)
                continue
            for attack in its.attacks:
                if attack.flips:
                    assert certain[attack.place] < attack.in_step <= attack.budget.b0
                    flipped += 1
                    sure += certain[attack.place] > 0
    assert flipped > 3


def test_a_replay_that_drops_a_delivery_is_no_attack():
    """An edit delays a neuron's n-th spike, which another edit may bring into the last step."""
    lost = 0
    for seed in range(12):
        graph, pixels = made(seed, skipping_graph)
        base = base_of(graph, pixels)
        kind, rng = KINDS["times"](base), np.random.default_rng(seed)
        for count in (1, 5, 30, 30):
            moves = kind.drawn(rng).some(slice(count))
            again = replay(base.simulation, base.trace, pixels[0], kind.edits(moves))
            brought = again.trace.deliveries["spike"]
            lost += (missing := len(np.unique(brought)) < len(again.trace.spikes))
            assert missing == loses(base.simulation, again.run)
            base.replay(kind.policy(moves))
            named = set(base.trace.deliveries["spike"][moves.rows[kind.lost(moves)]].tolist())
            its = base.trace.spikes[["layer", "neuron"]]
            gone = np.setdiff1d(again.trace.spikes["seq"], brought)
            where = again.trace.spikes[["layer", "neuron"]][gone].tolist()
            assert sorted(its[[*named]].tolist()) == sorted(where)
    assert lost


def test_the_largest_budget_is_the_last_that_is_certain():
    graph, pixels = made(1, skipping_graph)
    network = convert(graph)
    options = {"steps": 4, "order": "clocked", "last": 1}
    (found,) = budgets.largest(network, pixels, most=12, **options)
    its = budgets.certify(network, pixels, moved=list(range(1, 13)), **options)
    assert found == (its.classes[:, 0] >= 0).sum()
    again = budgets.certify(network, pixels, moved=[1], engine="event", ticks=1, **options)
    assert np.array_equal(again.least[0], its.least[0])  # the same run, spike by spike
    assert (np.diff(its.least[:, 0]) <= 0).all()


def test_a_free_layer_neither_pools_nor_hears_a_pool():
    rng = np.random.default_rng(0)
    graph = pooled_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    for order in ("clocked", "cores", "fifo"):
        with pytest.raises(InputError, match="expected no pools, which it neither is nor hears"):
            budgets.certify(convert(graph), pixels, last=4, order=order)
