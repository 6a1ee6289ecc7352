"""The field of models, orders, spreads and groups: what is run once, how it is compared."""

import importlib.util
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.simulation.time import MOST_GROUP

PATH = Path(eventsnn.__file__).parents[1] / "analysis" / "order_field.py"
SPEC = importlib.util.spec_from_file_location("order_field", PATH)
FIELD = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(FIELD)


def options(**changed):
    given = {
        **{"neurons": "if,snm,tpp,adaptive:0.1", "grid_neurons": "if,snm"},
        **{"grid_orders": "fifo,random", "spreads": "1,4,64", "groups": "1,8,all"},
        **{"ticks": 64, "steps": 8, "seed": 3, "seeds": 5},
    }
    return Namespace(**{**given, **changed})


def test_the_grid_has_every_spread_by_every_group_and_clocked_time():
    found = FIELD.of_grid(options(), 100)
    assert len(found) == 2 * (1 + 2 * 3 * 3)
    way = found["if", "random", 64, "all"]
    assert way.options["spread"] == way.options["ticks"] == 64  # one part at every tick
    assert way.options["group"] == MOST_GROUP and way.options["max_events"] == 4 * 100 * 8
    assert "max_events" not in found["if", "clocked", 1, 1].options
    assert {"spread", "group"}.isdisjoint(found["snm", "fifo", 1, 1].options)
    assert all(list(way.seeds) == [3] for way in found.values())


def test_the_field_has_every_order_and_one_axis_at_a_time_of_what_the_grid_lacks():
    found = FIELD.of_field(options(), 100)
    orders = {place[1] for place in found if place[0] == "snm"}
    assert orders == set(FIELD.ORDERS) and len(orders) == 11
    assert {place[1] for place in found if place[0] == "tpp"} == orders - {"cores without times"}
    off = {place[2:] for place in found if place[0] == "adaptive:0.1"}
    assert off == {(1, 1), (4, 1), (64, 1), (1, 8), (1, "all")}
    assert {place[2:] for place in found if place[0] in ("if", "tpp")} == {(1, 1)}
    assert FIELD.of_field(options(neurons="st-bif"), 9)["st-bif", "fifo", 1, 1].options[
        "encoding"
    ] == ("even")


def test_what_draws_has_several_seeds():
    found = FIELD.of_field(options(), 100)
    drawn = {place[:2] for place, way in found.items() if len(way.seeds) == 5}
    assert {order for neuron, order in drawn if neuron == "if"} == {
        *("random", "priority", "jitter, up to 1 step")
    }
    assert len({order for neuron, order in drawn if neuron == "tpp"}) == 10  # it draws in any
    assert list(found["if", "random", 1, 1].seeds) == [3, 4, 5, 6, 7]


def test_a_way_of_both_tables_runs_once():
    args = options(seeds=1)
    field, grid = FIELD.of_field(args, 100), FIELD.of_grid(args, 100)
    runs = list(FIELD._once({**field, **grid}))
    places = [place for _, its in runs for place in its]
    assert sorted(map(str, places)) == sorted(map(str, {**field, **grid}))
    assert len({repr(way) for way, _ in runs}) == len(runs)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"grid_orders": "fifo,clocked"}, "--grid-orders: expected some of fifo"),
        ({"grid_orders": "fif"}, "--grid-orders"),
        ({"spreads": "4,1"}, "--spreads: expected numbers that rise"),
        ({"spreads": "1,x"}, "--spreads: expected whole numbers"),
        ({"groups": "8,8"}, "--groups: expected numbers that rise"),
        ({"groups": "all,8"}, "--groups: expected whole numbers"),
    ],
)
def test_axes_that_there_are_not_are_refused(changed, words):
    with pytest.raises(InputError, match=words):
        FIELD.of_grid(options(**changed), 100)


def test_ways_are_compared_with_their_own_model_in_clocked_time():
    """One Holm family; what explodes has no pair and falls apart."""
    hits = {
        "clocked": np.array([True] * 8 + [False] * 2),
        "fifo": np.array([False] * 7 + [True] * 2 + [False]),
    }
    found = {}
    for neuron, shift in (("if", 0), ("snm", 1)):
        for order in ("clocked", "fifo", "lifo"):
            right = None if order == "lifo" else np.roll(hits[order], shift)
            row = {"neuron": neuron, "order": order, "spread": 1, "group": 1}
            row["accuracy"] = np.nan if right is None else right.mean()
            found[neuron, order, 1, 1] = row, right
    rows = FIELD.table(found, found)
    by = {(row["neuron"], row["order"]): row for row in rows}
    fifo = by["if", "fifo"]
    assert (fifo["gained"], fifo["lost"]) == (1, 7)
    assert fifo["p"] == pytest.approx(2 * (1 + 8) / 2**8) and fifo["p Holm"] == 2 * fifo["p"]
    assert by["if", "clocked"]["p"] is None and by["snm", "lifo"]["p"] is None
    assert fifo["of clocked"] == pytest.approx(0.2 / 0.8)
    assert FIELD.words_of(rows, grid=False) == [
        f"{neuron}: alive in 0 of 2 orders without a clock; at best 25 % of its clocked "
        "accuracy, in fifo"
        for neuron in ("if", "snm")
    ]
