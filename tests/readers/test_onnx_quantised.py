"""Quantised ONNX models: QuantizeLinear and DequantizeLinear, and QONNX's and Brevitas's nodes."""

import numpy as np
import pytest
from support.onnx_models import model, read, refused

from eventsnn.ann import forward as ann
from eventsnn.network.convert import convert

from onnx.reference import ReferenceEvaluator  # noqa: E402 isort: skip

RNG = np.random.default_rng(0)
W = RNG.normal(size=(4, 2, 3, 3)).astype(np.float32)
S, Z, I8 = np.float32(0.125), np.uint8(0), np.int8(0)
QDQ = "q = QuantizeLinear({0}, s, z) d = DequantizeLinear(q, s, z)"
QONNX = "qonnx.custom_op.general"
ROUNDING = 1e-5


def compared(made, tmp_path, expected=None):
    """The graph of a model that computes what ONNX's evaluator does, or `expected`."""
    graph = read(made, tmp_path)
    x = np.random.default_rng(1).normal(0, 3, (1, 2, 6, 6)).astype(np.float32)
    if expected is None:
        expected = ReferenceEvaluator(made).run(None, {"x": x})[0]
    else:
        expected = expected(x)
    found = ann.forward(graph, x)[graph.output]
    assert np.abs(found - expected).max() < ROUNDING * np.abs(expected).max()
    return graph


def quantised(graph):
    """(scale, levels) of each QuantRelu."""
    nodes = [node for node in graph.nodes if node.op == "QuantRelu"]
    return [(node.attrs["scale"], node.attrs["levels"]) for node in nodes]


@pytest.mark.parametrize(
    ("text", "arrays", "levels"),
    (
        (f"c = Conv(x, w) r = Relu(c) {QDQ.format('r')} y = Flatten(d)", {"z": Z}, 255),
        (f"c = Conv(x, w) r = Relu(c) {QDQ.format('r')} y = Flatten(d)", {"z": I8}, 127),
        (f"c = Conv(x, w) {QDQ.format('c')} y = Flatten(d)", {"z": Z}, 255),
        (
            "c = Conv(x, w) r = Clip(c, l, h) " + QDQ.format("r") + " y = Flatten(d)",
            {"z": Z, "l": np.float32(0), "h": np.float32(6)},
            48,
        ),
        ("c = Conv(x, w) r = Relu(c) q = QuantizeLinear(r, s) y = DequantizeLinear(q, s)", {}, 255),
    ),
)
def test_a_quantised_activation_becomes_a_quant_relu(text, arrays, levels, tmp_path):
    graph = compared(model(text, 19, w=W, s=S, **arrays), tmp_path)
    assert quantised(graph) == [(0.125, levels)]
    assert [node.op for node in graph.activations] == ["QuantRelu"]
    convert(graph)  # thresholds by `lsq`


def test_what_is_quantised_already_stays_as_it_is(tmp_path):
    text = (
        f"c = Conv(x, w) r = Relu(c) {QDQ.format('r')} m = MaxPool<kernel_shape=[2,2]>(d) "
        "p = QuantizeLinear(m, s, z) e = DequantizeLinear(p, s, z) y = Flatten(e)"
    )
    graph = compared(model(text, 19, w=W, s=S, z=Z), tmp_path)
    assert [node.op for node in graph.nodes] == ["Conv", "QuantRelu", "MaxPool", "Flatten"]


def test_one_scale_for_each_channel_stands_in_the_lines_around(tmp_path):
    scales = np.float32([0.1, 0.2, 0.3, 0.4])
    text = (
        "c = Conv(x, w) r = Relu(c) q = QuantizeLinear<axis=1>(r, s, z) "
        "d = DequantizeLinear<axis=1>(q, s, z) y = Flatten(d)"
    )
    made = model(text, 19, w=W, s=scales, z=np.zeros(4, np.uint8))
    graph = compared(made, tmp_path)
    assert quantised(graph) == [(1.0, 255)]


def test_constants_are_computed(tmp_path):
    scales = np.float32([0.1, 0.2, 0.3, 0.4])
    whole = np.clip(np.round(W / scales.reshape(4, 1, 1, 1)), -127, 127).astype(np.int8)
    text = (
        "k = DequantizeLinear<axis=0>(w, s, z) b = DequantizeLinear(i, u) c = Conv(x, k, b) "
        "y = Relu(c)"
    )
    made = model(
        text, 19, w=whole, s=scales, z=np.zeros(4, np.int8), i=np.int32([5, -6, 7, 8]), u=S
    )
    assert [node.op for node in compared(made, tmp_path).nodes] == ["Conv", "Relu"]
    text = "q = QuantizeLinear(w, s, z) k = DequantizeLinear(q, s, z) c = Conv(x, k) y = Relu(c)"
    compared(model(text, 19, w=W, s=S, z=I8), tmp_path)


@pytest.mark.parametrize(
    ("text", "arrays", "found"),
    (
        (QDQ.format("x"), {"z": I8}, "a signed quantisation of an activation"),
        ("r = Relu(x) " + QDQ.format("r"), {"z": np.uint8(3)}, "a zero point of an activation"),
        ("q = QuantizeLinear(x, s, z) d = Relu(q)", {"z": Z}, "of whole numbers"),
        (
            "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, t, z)",
            {"z": Z, "t": np.float32(1)},
            "with another scale",
        ),
        (
            "q = QuantizeLinear(x, t, z) d = DequantizeLinear(q, t, z)",
            {"z": Z, "t": np.float32(-1)},
            "a scale that is not above 0",
        ),
        ("d = QLinearConv(x, s, z, w, s, z, s, z)", {"z": Z}, "of whole numbers"),
        ("d, e, f = DynamicQuantizeLinear(x)", {}, "of whole numbers"),
    ),
)
def test_what_has_no_spiking_form_is_refused_by_its_name(text, arrays, found, tmp_path):
    refused(model(f"{text} y = Flatten(d)", 19, w=W, s=S, **arrays), tmp_path, found)


def custom(text, domain=QONNX, **arrays):
    """A model with Quant, BipolarQuant or Trunc of another domain."""
    made = model(text, 13, **arrays)
    for node in made.graph.node:
        if node.op_type in ("Quant", "BipolarQuant", "Trunc"):
            node.domain = domain
    opset = made.opset_import.add()
    opset.domain, opset.version = domain, 1
    return made


def conv(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("ncyxij,mcij->nmyx", windows, w)


@pytest.mark.parametrize("domain", (QONNX, "onnx.brevitas"))
@pytest.mark.parametrize(("signed", "narrow", "levels"), ((0, 0, 15), (0, 1, 14), (1, 0, 7)))
def test_quant_behind_a_relu_becomes_a_quant_relu(domain, signed, narrow, levels, tmp_path):
    text = (
        'k = Quant<signed=1, narrow=1, rounding_mode="ROUND">(w, t, z, b) c = Conv(x, k) '
        f'r = Relu(c) y = Quant<signed={signed}, narrow={narrow}, rounding_mode="ROUND">'
        "(r, s, z, b)"
    )
    t = np.float32([0.2, 0.3, 0.4, 0.5]).reshape(4, 1, 1, 1)
    made = custom(text, domain, w=W, s=S, t=t, z=np.float32(0), b=np.float32(4))
    kernel = np.clip(np.round(W / t), -7, 7) * t
    graph = compared(
        made, tmp_path, lambda x: np.clip(np.round(conv(x, kernel) / S), 0, levels) * S
    )
    assert quantised(graph) == [(0.125, levels)]


def test_a_bipolar_constant_is_computed(tmp_path):
    made = custom("k = BipolarQuant(w, s) c = Conv(x, k) y = Relu(c)", w=W, s=S)
    compared(made, tmp_path, lambda x: np.maximum(conv(x, np.where(W >= 0, S, -S)), 0))


@pytest.mark.parametrize("node", ("Quant<signed=1>(w, s, z, b)", "BipolarQuant(w, s)"))
@pytest.mark.parametrize("value", (np.inf, np.nan))
def test_weights_that_are_not_finite_are_not_made_finite(node, value, tmp_path):
    broken = W.copy()
    broken.flat[0] = value
    made = custom(
        f"k = {node} c = Conv(x, k) y = Relu(c)", w=broken, s=S, z=np.float32(0), b=np.float32(4)
    )
    refused(made, tmp_path, "not finite")


@pytest.mark.parametrize(
    ("text", "bits", "found"),
    (
        ("y = Quant<signed=1>(x, s, z, b)", 4, "a signed quantisation"),
        ('r = Relu(x) y = Quant<rounding_mode="FLOOR", signed=0>(r, s, z, b)', 4, "FLOOR"),
        ('r = Relu(x) y = Quant<rounding_mode="ODD", signed=0>(r, s, z, b)', 4, "mode ODD"),
        ("r = Relu(x) y = Quant<signed=0>(r, s, z, b)", 2.5, "2.5 bits"),
        ("r = Relu(x) y = Quant<signed=0>(r, s, z, b)", 30, "at most 20"),
        ("r = Relu(x) y = Quant<signed=0>(r, s, b, b)", 4, "a zero point of an activation"),
        ("y = BipolarQuant(x, s)", 4, "a signed quantisation"),
        ("r = Relu(x) y = Trunc(r, s, z, b, b)", 4, "bits cut off"),
    ),
)
def test_other_nodes_of_qonnx_are_refused_by_name(text, bits, found, tmp_path):
    made = custom(text, s=S, z=np.float32(0), b=np.float32(bits))
    refused(made, tmp_path, found)
