"""Retimed input events: one a slot, counts kept, within each budget; every attack runs again."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import skipping_graph

from eventsnn import InputError, adversary, convert, simulate
from eventsnn.studies.adversary.base import NONE
from eventsnn.studies.adversary.slots import Limits, Slots

pytestmark = pytest.mark.filterwarnings("ignore:.*rounding to fixed point, F = ")
STEPS = 6
FAST = {"seconds": float("inf"), "replays": 150, "draws": 1, "steps": STEPS}
SOME = st.none() | st.integers(1, 5)


def events_of(seed, inputs=12, count=30):
    """Events [E, 4] in the order of time, some of them two in a slot."""
    rng = np.random.default_rng(seed)
    steps, tick = rng.integers(0, STEPS, count), rng.integers(0, 4, count)
    events = np.column_stack(
        [steps, tick, rng.integers(0, inputs, count), rng.choice([1, 1, -1], count)]
    )
    return events[np.lexsort((tick, steps))].astype(np.int64)


def slots_in(events):
    return sorted({(int(e[2]), int(e[0])) for e in events})


@given(st.integers(0, 10**6), SOME, SOME, SOME, st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_a_retiming_keeps_what_the_model_keeps(seed, b0, b1, binf, count):
    events, limits = events_of(seed), Limits(b0, b1, binf)
    slots = Slots(events, STEPS, limits)
    assert np.array_equal(
        slots.policy(NONE), events[np.lexsort((np.arange(30), events[:, 1], events[:, 0]))]
    )
    moves = slots.drawn(np.random.default_rng(seed)).some(slice(count))
    found, budget = slots.policy(moves), slots.budget(moves)
    for column in (2, 3, 1):
        assert sorted(found[:, column]) == sorted(events[:, column])
    for i in range(12):  # each input's spikes, whatever their times
        assert sorted(found[found[:, 2] == i, 3]) == sorted(events[events[:, 2] == i, 3])
    assert len(slots_in(found)) == len(slots_in(events)), "one spike a slot"
    assert ((0 <= found[:, 0]) & (found[:, 0] < STEPS)).all()
    at = slots.schedule(moves)
    by = np.abs(at - slots.at)
    assert budget == ((by > 0).sum(), by.sum(), by.max(initial=0))
    for limit, its in zip(limits, budget):
        assert limit is None or its <= limit


def rows_of(seed, shape, count):
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    time = rng.integers(0, 4 * STEPS, count) / 4
    return np.column_stack([time, rng.integers(0, size, count), np.ones(count)])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"neuron": "if"}, {"neuron": "snm", "b0": 3}, {"binf": 1}])
def test_every_retiming_runs_again(options, tmp_path):
    flipped = 0
    for seed in (1, 2, 3):
        network = convert(skipping_graph(np.random.default_rng(seed)))
        shape = network.graph.input_shape
        recordings = [rows_of(10 * seed + k, shape, 60) for k in range(2)]
        found = adversary.retime(network, recordings, save=tmp_path, **FAST | options)
        assert found.table()[0]["images"] == 2 and "retimed input events" in str(found.table())
        run = {"encoding": "events", "steps": STEPS, "neuron": options.get("neuron", "if")}
        base = simulate(network, recordings, engine="event", order="clocked", ticks=1, **run)
        for attack in found.attacks:
            number, rows = adversary.read_retimed(tmp_path / f"retimed-{attack.image}.json")
            assert number == attack.image and np.array_equal(rows, attack.rows)
            again = simulate(network, [rows], engine="event", order="clocked", ticks=1, **run)
            assert base.predictions()[attack.place] == attack.right
            if len(again.images):
                clocked = simulate(network, [rows], **run)
                assert again.predictions()[0] == clocked.predictions()[0] == attack.predicted
            flipped += attack.flips
            if attack.flips:
                assert attack.budget.b0 <= options.get("b0", 60)
                assert attack.budget.binf <= options.get("binf", STEPS)
    assert flipped


def test_what_is_no_retiming_is_said_in_a_line(tmp_path):
    network = convert(skipping_graph(np.random.default_rng(1)))
    rows = [rows_of(1, network.graph.input_shape, 20)]
    for options, words in (
        ({"seconds": 0}, "seconds: expected"),
        ({"b0": 0}, "b0: expected"),
        ({"engine": "clocked"}, "engine='event'"),
        ({"encoding": "rate"}, "encoding='events'"),
        ({"neuron": "if-hard"}, "HardIF"),
        ({"labels": [99]}, "labels|right"),
        ({"budget": 1}, "budget"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            adversary.retime(network, rows, **FAST | options)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="events"):
        adversary.retime(network, 3, **FAST)
    path = tmp_path / "x.json"
    for content in ("{}", "[]", "x", json.dumps({"format": "eventsnn.retimed", "version": 1})):
        path.write_text(content, "utf-8")
        with pytest.raises(InputError, match="the format eventsnn.retimed"):
            adversary.read_retimed(path)
    with pytest.raises(InputError, match="expected a file"):
        adversary.read_retimed(tmp_path / "none.json")
