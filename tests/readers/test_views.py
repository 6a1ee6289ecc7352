"""Views: what only moves values becomes one node, or none, in whatever steps a format says it."""

import numpy as np

from eventsnn.ann.forward import forward
from eventsnn.ann.graph import Preprocessing
from eventsnn.readers.building import Builder, Output
from eventsnn.readers.views import View, place, view, zeros


def placed(step):
    """(the operators made, the values) of a step on the index of an input of 4 x 2 x 3."""
    b = Builder("test", "x", (4, 2, 3))
    x = view(b, Output("x"))
    out = place(b, "y", View(x.base, step(x.index)))
    end = b.add("end", "Identity", [out])
    graph = b.graph(end, Preprocessing())
    x = np.arange(1.0, 25.0).reshape(1, 4, 2, 3)
    return [node.op for node in graph.nodes[:-1]], forward(graph, x)[end][0]


VALUES = np.arange(1.0, 25.0).reshape(4, 2, 3)


def test_what_returns_to_its_place_makes_no_node():
    ops, values = placed(lambda i: i.transpose(0, 2, 3, 1).transpose(0, 3, 1, 2))
    assert not ops and (values == VALUES).all()


def test_a_view_of_all_values_in_order_is_a_flatten():
    ops, values = placed(lambda i: i.reshape(1, 8, 3).reshape(1, -1))
    assert ops == ["Flatten"] and (values == VALUES.ravel()).all()


def test_many_steps_make_one_node():
    ops, values = placed(
        lambda i: i.reshape(1, 2, 2, 2, 3).transpose(0, 2, 1, 3, 4).reshape(1, 4, 2, 3)[:, :, ::-1]
    )
    assert ops == ["Index"] and (values == VALUES[[0, 2, 1, 3], ::-1]).all()


def test_zeros_are_joined():
    ops, values = placed(lambda i: np.concatenate([zeros((1, 2, 2, 2)), i[..., ::2]], axis=1))
    assert ops == ["Index"]
    assert not values[:2].any() and (values[2:] == VALUES[..., ::2]).all()


def test_what_three_lists_do_not_say_becomes_two_nodes():
    ops, values = placed(lambda i: i.transpose(0, 2, 3, 1).reshape(1, 4, 2, 3))
    assert ops == ["Index", "Index"]
    assert (values == VALUES.transpose(1, 2, 0).reshape(4, 2, 3)).all()


def test_what_is_neither_map_nor_vector_is_refused():
    for step in (lambda i: i[0], lambda i: i.reshape(1, 8, 3), lambda i: i.reshape(2, 12)):
        b = Builder("test", "x", (4, 2, 3))
        x = view(b, Output("x"))
        assert b.shapes[place(b, "y", View(x.base, step(x.index)))] is None
        assert "only maps N, C, H, W and vectors" in next(iter(b.refused))[1]
