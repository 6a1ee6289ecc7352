"""Networks as exporters write them, against ONNX Runtime."""

import numpy as np
import pytest
from support.onnx_models import ints, model, onnx, read
from support.onnx_moves import CASES, image, some

from eventsnn.ann import forward as ann
from eventsnn.network.convert import convert

pytestmark = pytest.mark.frameworks
runtime = pytest.importorskip("onnxruntime")
ROUNDING = 1e-5


def run(made, x):
    """What ONNX Runtime computes."""
    session = runtime.InferenceSession(made.SerializeToString())
    return session.run(None, {"x": x})[0]


def compared(made, sizes, tmp_path, images=5):
    """The graph of a model, whose outputs are ONNX Runtime's."""
    graph = read(made, tmp_path)
    x = np.random.default_rng(1).uniform(-1, 1, (images, *sizes)).astype(np.float32)
    expected = np.concatenate([run(made, one[None]) for one in x])
    found = ann.forward(graph, image(x, graph))[graph.output].reshape(expected.shape)
    assert np.abs(found - expected).max() < ROUNDING * np.abs(expected).max()
    if graph.activations:
        convert(graph, calibration=image(x, graph))
    return graph


@pytest.mark.parametrize("name", CASES)
def test_small_models_compute_what_onnx_runtime_says(name, tmp_path):
    shape, text, arrays, _ = CASES[name]
    compared(model(text, 17, shape, **arrays), [int(n) for n in shape.split(",")[1:]], tmp_path)


def norm(name, channels):
    """The arrays of a BatchNormalization."""
    rng = np.random.default_rng(len(name))
    return {
        f"{name}s": rng.uniform(0.5, 1.5, channels).astype(np.float32),
        f"{name}b": rng.normal(0, 0.2, channels).astype(np.float32),
        f"{name}u": rng.normal(0, 0.2, channels).astype(np.float32),
        f"{name}v": rng.uniform(0.5, 1.5, channels).astype(np.float32),
    }


IN, OUT = "Transpose<perm=[0,3,1,2]>", "Transpose<perm=[0,2,3,1]>"


def test_a_convolutional_network_of_tf2onnx(tmp_path):
    text = f"""
        t = {IN}(x) c = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(t, w1)
        n = BatchNormalization<epsilon=0.001>(c, ns, nb, nu, nv) r = Relu(n)
        m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
        d = Conv<group=8, pads=[1,1,1,1]>(m, w2, b2) e = Clip(d, zero, six)
        f = Conv(e, w3, b3) g = Relu(f) o = {OUT}(g) h = Reshape(o, s)
        i = MatMul(h, w4) j = Add(i, b4) k = Relu(j) l = MatMul(k, w5) p = Add(l, b5)
        y = Softmax<axis=1>(p)
    """
    arrays = norm("n", 8) | {
        "w1": some(8, 3, 3, 3),
        "w2": some(8, 1, 3, 3),
        "b2": some(8),
        "zero": np.float32(0),
        "six": np.float32(6),
        "w3": some(6, 8, 1, 1),
        "b3": some(6),
        "s": ints(-1, 96),
        "w4": some(96, 20) / 4,
        "b4": some(20),
        "w5": some(20, 10) / 4,
        "b5": some(10),
    }
    graph = compared(model(text, 13, "N, 16, 16, 3", **arrays), (16, 16, 3), tmp_path)
    assert graph.input_shape == (3, 16, 16)
    assert "Index" not in graph.count_operators()


def test_a_residual_network_of_keras2onnx(tmp_path):
    """Transposes around each operator, and padding in front of a max pool."""
    text = f"""
        a = Pad<pads=[0,1,1,0,0,1,1,0]>(x) t1 = {IN}(a) c1 = Conv<strides=[2,2]>(t1, w1)
        o1 = {OUT}(c1) q1 = Add(o1, b1) t2 = {IN}(q1)
        n1 = BatchNormalization(t2, ns, nb, nu, nv) o2 = {OUT}(n1) r1 = Relu(o2)
        p1 = Pad<pads=[0,1,1,0,0,1,1,0]>(r1) t3 = {IN}(p1)
        m1 = MaxPool<kernel_shape=[3,3], strides=[1,1]>(t3) o3 = {OUT}(m1)
        t4 = {IN}(o3) c2 = Conv<pads=[1,1,1,1]>(t4, w2) o4 = {OUT}(c2)
        s1 = Add(o4, o3) r2 = Relu(s1)
        u1 = Concat<axis=3>(r2, o3) t5 = {IN}(u1) g1 = GlobalAveragePool(t5) o5 = {OUT}(g1)
        f1 = Reshape(o5, s) y = MatMul(f1, w3)
    """
    arrays = norm("n", 6) | {
        "w1": some(6, 3, 3, 3),
        "b1": some(6),
        "w2": some(6, 6, 3, 3),
        "s": ints(-1, 12),
        "w3": some(12, 4),
    }
    graph = compared(model(text, 10, "N, 10, 10, 3", **arrays), (10, 10, 3), tmp_path)
    assert "Index" not in graph.count_operators()


def test_a_network_with_shortcuts_of_option_a(tmp_path):
    text = """
        c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c)
        d = Conv<pads=[1,1,1,1], strides=[2,2]>(r, w2) e = Relu(d) f = Conv<pads=[1,1,1,1]>(e, w3)
        s = Slice(r, zeros, ends, axes, steps) p = Pad(s, pads) a = Add(f, p) g = Relu(a)
        h = ReduceMean<axes=[2,3], keepdims=0>(g) z = Gemm<transB=1>(h, w4, b4) y = LogSoftmax(z)
    """
    arrays = {
        "w1": some(4, 3, 3, 3),
        "w2": some(8, 4, 3, 3),
        "w3": some(8, 8, 3, 3),
        "w4": some(5, 8),
        "b4": some(5),
        "zeros": ints(0, 0),
        "ends": ints(99, 99),
        "axes": ints(2, 3),
        "steps": ints(2, 2),
        "pads": ints(0, 2, 0, 0, 0, 2, 0, 0),
    }
    made = model(text, 13, "N, 3, 8, 8", **arrays)
    graph = read(made, tmp_path)
    x = np.random.default_rng(1).uniform(0, 1, (5, 3, 8, 8)).astype(np.float32)
    found, expected = ann.forward(graph, x)[graph.output], run(made, x)
    found, expected = (v - v.mean(axis=1, keepdims=True) for v in (found, expected))
    assert np.abs(found - expected).max() < ROUNDING * np.abs(expected).max()


def test_a_network_of_one_axis(tmp_path):
    text = """
        c = Conv<pads=[3,3], strides=[2]>(x, w1, b1) n = BatchNormalization(c, ns, nb, nu, nv)
        r = Relu(n) m = MaxPool<kernel_shape=[3], strides=[2], pads=[1,1]>(r)
        d = Conv<pads=[1,1]>(m, w2) a = Add(d, m) e = LeakyRelu<alpha=0.1>(a)
        p = AveragePool<kernel_shape=[2], strides=[2], ceil_mode=1>(e) g = GlobalAveragePool(p)
        f = Flatten(g) y = Gemm(f, w3, b3)
    """
    arrays = norm("n", 8) | {"w1": some(8, 2, 7), "b1": some(8), "w2": some(8, 8, 3)}
    arrays |= {"w3": some(8, 4), "b3": some(4)}
    compared(model(text, 13, "N, 2, 41", **arrays), (2, 41), tmp_path)


def test_a_decoder(tmp_path):
    text = """
        c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1) r = Relu(c)
        t = ConvTranspose<group=2, strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(r, w2, b)
        q = Relu(t) y = ConvTranspose<strides=[1,1], dilations=[2,1], pads=[1,0,2,1]>(q, w3)
    """
    arrays = {"w1": some(4, 3, 3, 3), "w2": some(4, 3, 3, 3), "b": some(6), "w3": some(6, 2, 2, 3)}
    compared(model(text, 13, "N, 3, 8, 8", **arrays), (3, 8, 8), tmp_path)


@pytest.mark.parametrize("opset", (7, 8))
def test_old_opsets(opset, tmp_path):
    text = """
        c = Conv<pads=[1,1,1,1]>(x, w1) n = BatchNormalization(c, ns, nb, nu, nv) r = Relu(n)
        u = Upsample<mode="nearest", scales=[1.0,1.0,2.0,2.0]>(r) d = Dropout(u)
        p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(d) f = Flatten(p) y = Gemm(f, w2, b)
    """
    arrays = norm("n", 4) | {"w1": some(4, 3, 3, 3), "w2": some(64, 3), "b": some(3)}
    compared(model(text, opset, "N, 3, 4, 4", **arrays), (3, 4, 4), tmp_path)


class Pictures:
    """What ONNX Runtime calibrates on."""

    def __init__(self, x):
        self.rest = [{"x": one[None]} for one in x]

    def get_next(self):
        return self.rest.pop() if self.rest else None


def test_a_network_that_onnx_runtime_quantised(tmp_path):
    """Values at the edge of a level may fall to either side: sums are rounded otherwise there."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    text = """
        c = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(c)
        m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) d = Conv(m, w2, b2) e = Relu(d)
        f = Flatten(e) y = Gemm(f, w3, b3)
    """
    arrays = {
        "w1": some(6, 3, 3, 3),
        "b1": some(6),
        "w2": some(8, 6, 3, 3) / 4,
        "b2": some(8),
        "w3": some(32, 4),
        "b3": some(4),
    }
    made = model(text, 13, "N, 3, 8, 8", **arrays)
    made.graph.output[0].type.tensor_type.shape.dim.add()
    made.graph.output[0].type.tensor_type.shape.dim.add()
    for number, node in enumerate(made.graph.node):
        node.name = f"{node.op_type}{number}"
    onnx.save(made, tmp_path / "float.onnx")
    x = np.random.default_rng(1).uniform(0, 1, (40, 3, 8, 8)).astype(np.float32)
    quantization.quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "quantised.onnx",
        Pictures(x),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=["Gemm6"],
    )
    whole = onnx.load(tmp_path / "quantised.onnx")
    ops = {node.op_type for node in whole.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= ops
    graph = read(whole, tmp_path)
    assert {node.op for node in graph.activations} == {"QuantRelu"}
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(whole.SerializeToString(), options)
    expected = session.run(None, {"x": x})[0]
    found = ann.forward(graph, x)[graph.output]
    apart = np.abs(found - expected).max(axis=1) / np.abs(expected).max()
    assert np.median(apart) < ROUNDING and apart.max() < 0.01
