"""Where networks fall apart: the line of a phase diagram, and what it says in words."""

import re

import numpy as np
import pytest

from eventsnn.studies import alive

NAN = float("nan")


def rows_of(table, spreads=(1, 4, 16), groups=(1, 8, "all")):
    """Rows of a grid, of a table of shares of a clocked accuracy of 0.8."""
    rows = [
        {"neuron": "if", "order": "fifo", "spread": s, "group": g, "accuracy": 0.8 * share}
        for s, shares in zip(spreads, table, strict=True)
        for g, share in zip(groups, shares, strict=True)
    ]
    alive.kept(rows, {"if": 0.8})
    return rows


def orders_of(**shares):
    rows = [{"neuron": "if", "order": name, "accuracy": share} for name, share in shares.items()]
    alive.kept(rows, {"if": 1.0})
    return rows


@pytest.mark.parametrize(
    ("share", "clocked", "expected"),
    [
        (0.4, 0.8, True),  # a half is alive
        (0.39, 0.8, False),
        (0.9, 0.8, True),
        (NAN, 0.8, False),  # firing explodes
        (0.0, 0.0, False),  # nothing to keep
    ],
)
def test_a_half_of_the_clocked_accuracy_decides(share, clocked, expected):
    rows = [{"neuron": "snm", "accuracy": share}]
    alive.kept(rows, {"snm": clocked})
    assert alive.lives(rows[0]) is expected


def test_the_line_goes_between_what_lives_and_what_does_not():
    found = alive.line(np.array([[False, True], [True, True]]))
    assert sorted(found) == [((0.0, 1.0), (1.0, 1.0)), ((1.0, 0.0), (1.0, 1.0))]
    assert alive.line(np.ones((3, 4), bool)) == alive.line(np.zeros((3, 4), bool)) == []


def test_the_line_turns_with_the_table_and_is_where_the_dead_are_too():
    """Law: transposed cells have a transposed line; what is alive and what is not have one line."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        cells = rng.random((rng.integers(1, 6), rng.integers(1, 6))) < 0.5
        found = alive.line(cells)
        turned = {tuple(point[::-1] for point in segment) for segment in found}
        assert set(alive.line(cells.T)) == turned and len(turned) == len(found)
        assert sorted(alive.line(~cells)) == sorted(found)
        differing = (cells[1:] != cells[:-1]).sum() + (cells[:, 1:] != cells[:, :-1]).sum()
        assert len(found) == differing


def test_a_table_of_two_axes_keeps_their_order_and_tells_what_is_missing():
    rows = rows_of([[0.1, 0.2, 0.3]] * 3)
    found = alive.square(rows[:-1], "spread", "group", "accuracy")
    assert found[:2] == pytest.approx(0.8 * np.array([[0.1, 0.2, 0.3]] * 2))
    assert np.isnan(found[2, 2]) and found[2, 1] == pytest.approx(0.16)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[0.9] * 3, [0.95] * 3, [0.8, 1, 1]], "alive everywhere, with 80 % of its clocked"),
        ([[0.1] * 3, [0.2, 0.3, NAN], [0.1] * 3], "at best 30 % .* at spread 4, group 8"),
        ([[0.1] * 3, [0.6] * 3, [0.9] * 3], "alive in 6 of 9, from spread 4 on at every group$"),
        ([[0.1, 0.1, 0.9]] * 3, "alive in 3 of 9, from group all on at every spread$"),
        ([[0.9, 0.9, NAN]] * 3, "alive in 6 of 9$"),  # from nowhere on
        ([[NAN] * 3] * 3, "falls apart everywhere; at best firing explodes"),
    ],
)
def test_a_grid_in_words(table, expected):
    words = alive.of_grid(rows_of(table))
    assert re.search(expected, words), words


def test_orders_in_words():
    rows = orders_of(clocked=1.0, fifo=0.9, random=0.3, lifo=NAN)
    words = alive.of_orders(rows)
    assert words.startswith("alive in 1 of 3 orders without a clock; falls apart in")
    assert "random (30 %), lifo (firing explodes)" in words
    words = alive.of_orders(orders_of(clocked=1.0, fifo=0.1, random=0.3))
    assert words.endswith("at best 30 % of its clocked accuracy, in random")
    assert alive.of_orders(orders_of(clocked=1.0, fifo=1.0)).endswith(
        "1 of 1 orders without a clock"
    )
    assert "no order" in alive.of_orders(orders_of(clocked=1.0))
