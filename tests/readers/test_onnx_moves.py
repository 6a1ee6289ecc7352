"""ONNX models whose operators move values: channels last, slices, splits, one axis; and what ONNX
says in other words. All against ONNX's own evaluator.
"""

import numpy as np
import pytest
from support.onnx_models import ints, model, read, refused
from support.onnx_moves import CASES, D, K, image, some

from eventsnn.ann import forward as ann
from eventsnn.network.convert import convert

from onnx.reference import ReferenceEvaluator  # noqa: E402 isort: skip

ROUNDING = 1e-5


@pytest.mark.parametrize("name", CASES)
def test_models_compute_what_onnx_says(name, tmp_path):
    shape, text, arrays, operators = CASES[name]
    made = model(text, 17, shape, **arrays)
    graph = read(made, tmp_path)
    if operators is not None:
        assert [node.op for node in graph.nodes] == operators.split()
    sizes = [int(n) for n in shape.split(",")[1:]]
    for seed in (0, 1):
        x = np.random.default_rng(seed).normal(0, 3, (1, *sizes)).astype(np.float32)
        expected = ReferenceEvaluator(made).run(None, {"x": x})[0]
        found = ann.forward(graph, image(x, graph))[graph.output]
        assert found.size == expected.size
        difference = np.abs(found.reshape(expected.shape) - expected).max()
        assert difference < ROUNDING * np.abs(expected).max()
    if graph.activations:
        convert(graph, calibration=image(x, graph))


@pytest.mark.parametrize(
    ("shape", "text", "arrays", "expected"),
    (
        ("N, 8, 8, 1", "f = Flatten(x) y = MatMul(f, m)", {"m": D}, (1, 8, 8)),
        ("N, 4, 4, 4", "f = Flatten(x) y = MatMul(f, m)", {"m": D}, (4, 4, 4)),
        ("N, 3, 8, 1", "y = Conv(x, k)", {"k": some(2, 3, 1, 1)}, (3, 8, 1)),
        ("N, 8, 8, 3", "y = Conv(x, k)", {"k": some(2, 8, 1, 1)}, (8, 8, 3)),
        ("N, 8, 8, 5", "t = Transpose<perm=[0,3,1,2]>(x) y = Relu(t)", {}, (8, 8, 5)),
        (
            "N, 8, 8, 5",
            "t = Transpose<perm=[0,3,1,2]>(x) y = Conv(t, k)",
            {"k": some(2, 5, 1, 1)},
            (5, 8, 8),
        ),
        ("N, 2, 9", "y = Conv(x, k)", {"k": some(2, 2, 1)}, (2, 1, 9)),
        (
            "N, 9, 2",
            "t = Transpose<perm=[0,2,1]>(x) y = Conv(t, k)",
            {"k": some(2, 2, 1)},
            (2, 1, 9),
        ),
        ("N, 8, 8", "f = Flatten(x) y = MatMul(f, m)", {"m": D}, (1, 8, 8)),
    ),
)
def test_what_sees_the_input_first_says_what_an_image_is(shape, text, arrays, expected, tmp_path):
    assert read(model(text, shape=shape, **arrays), tmp_path).input_shape == expected


def test_a_flattened_picture_of_colours_keeps_the_order_of_its_weights(tmp_path):
    made = model("f = Flatten(x) y = MatMul(f, m)", shape="N, 5, 5, 3", m=some(75, 4))
    graph = read(made, tmp_path)
    assert graph.input_shape == (3, 5, 5) and [n.op for n in graph.nodes] == ["Flatten", "Gemm"]
    x = some(2, 5, 5, 3)
    expected = ReferenceEvaluator(made).run(None, {"x": x})[0]
    found = ann.forward(graph, x.transpose(0, 3, 1, 2))[graph.output]
    assert np.abs(found - expected).max() < ROUNDING * np.abs(expected).max()


@pytest.mark.parametrize("op, note", (("Sigmoid", "sigmoid"), ("LogSoftmax", "logarithm")))
def test_what_leaves_the_largest_the_largest_is_left_out_at_the_output(op, note, tmp_path):
    text = "f = Flatten(x) z = MatMul(f, m) s = {}(z) y = Identity(s)"
    graph = read(model(text.format(op), m=some(72, 3)), tmp_path)
    assert [node.op for node in graph.nodes] == ["Flatten", "Gemm"]
    assert note in graph.meta["note"]


@pytest.mark.parametrize(
    ("text", "arrays", "found"),
    (
        ("y = Gather<axis=1>(x, i)", {"i": ints(7)}, "index 7 of 2"),
        ("y = Slice(x, a, b, c, d)", {k: ints(0) for k in "abcd"}, "starts [0]"),
        ("y = Reshape(x, s)", {"s": ints(1, 7)}, "[1, 2, 6, 6] to [1, 7]"),
        ("y = Reshape(x, s)", {"s": ints(1, 2, 3, 4, 3)}, "only maps N, C, H, W and vectors"),
        ("y = Expand(x, s)", {"s": ints(1, 2, 6, 2**40)}, "broadcast"),
        ("r = Relu(x) y = Expand(r, s)", {"s": ints(2**30, 1, 2, 6, 6)}, "values"),
        ("y = Pad(x, p)", {"p": ints(0, 0, 2**40, 0, 0, 0, 0, 0)}, "2^20"),
        ("y = Pad(x, p)", {"p": ints(0, 2**40, 0, 0, 0, 0, 0, 0)}, "values"),
        ("y = Slice(x, a, b, c)", {"a": ints(3), "b": ints(2), "c": ints(2)}, "only maps"),
        ("y = ConvTranspose<strides=[100000,100000]>(x, k)", {"k": K}, "strides"),
    ),
)
def test_moves_that_cannot_be_are_refused(text, arrays, found, tmp_path):
    refused(model(text, **arrays), tmp_path, found)


def test_a_shuffle_that_mixes_the_batch_is_read_where_the_batch_is_fixed(tmp_path):
    """As older exporters write ShuffleNet's."""
    text = (
        "c = Conv(x, k) r = Relu(c) a = Reshape(r, s) b = Transpose<perm=[1,0,2]>(a) "
        "d = Reshape(b, t) e = Gather<axis=0>(d, one) f = Gather<axis=0>(d, zero) "
        "g = Concat<axis=1>(e, f) y = Relu(g)"
    )
    arrays = {"k": some(8, 2, 3, 3), "s": ints(4, 2, 16), "t": ints(2, -1, 4, 4, 4)}
    arrays |= {"one": ints(1).reshape(()), "zero": ints(0).reshape(())}
    made = model(text, 17, "1, 2, 6, 6", **arrays)
    graph = read(made, tmp_path)
    x = some(1, 2, 6, 6)
    expected = ReferenceEvaluator(made).run(None, {"x": x})[0]
    found = ann.forward(graph, x)[graph.output]
    assert np.abs(found - expected).max() < ROUNDING * np.abs(expected).max()
    refused(model(text, 17, "N, 2, 6, 6", **arrays), tmp_path, "the axis of the batch")
