"""Cases from public reports: ONNX models, against ONNX's own evaluator."""

import numpy as np
import pytest
from support.cases import agrees, output, random, read_or_refused

from eventsnn.readers import load

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402

CONV = "c = Conv(x, k) r = Relu(c)"
NET = f"{CONV} f = Flatten(r)"
ARRAYS = {"k": random(1, 1, 3, 3), "v": random(9, 2, seed=1)}
DENSE = {"w": random(4, 3), "v": random(3, 2, seed=1)}
MLP = "h = MatMul({}, w) r = Relu(h) y = MatMul(r, v)"


def model(path, text, shape, arrays, opset=13, evaluated=13):
    """Writes a model from x to y in ONNX's text format; returns what computes y, by `evaluated`, an
    opset that means the same.
    """
    graph = onnx.parser.parse_graph(f"g (float[N, {shape}] x) => (float[] y) {{ {text} }}")
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()
    )

    def made(version):
        opsets = [onnx.helper.make_opsetid("", version)]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)

    path.write_bytes(made(opset).SerializeToString())
    evaluator = ReferenceEvaluator(made(evaluated))
    return lambda x: evaluator.run(None, {"x": x})[0]


def test_an_input_that_is_a_vector_is_read(tmp_path):
    run = model(tmp_path / "net.onnx", MLP.format("x"), "4", DENSE)
    vectors = random(5, 4, seed=2)
    agrees(load(tmp_path / "net.onnx"), vectors, run(vectors))


def test_an_image_without_an_axis_of_channels_is_read(tmp_path):
    text = "f = Reshape(x, s) " + MLP.format("f")
    run = model(tmp_path / "net.onnx", text, "2, 2", DENSE | {"s": np.array([-1, 4])})
    images = random(5, 2, 2, seed=2)
    agrees(load(tmp_path / "net.onnx"), images, run(images))


@pytest.mark.parametrize(
    "text",
    [
        "u = Unsqueeze(x, one) c = Conv(u, k)",
        "d = Div(x, two) u = Reshape(d, s) c = Conv(u, k)",
        "i = Identity(x) u = Reshape(i, t) c = Conv(u, k)",
    ],
)
def test_an_image_gets_an_axis_of_channels(tmp_path, text):
    arrays = {"k": random(2, 1, 3, 3), "v": random(12, 2, seed=1), "two": np.float32(2)}
    arrays |= {"s": np.array([-1, 1, 4, 5]), "t": np.array([0, -1, 4, 5]), "one": np.array([1])}
    used = {name: array for name, array in arrays.items() if f"{name})" in text or name in "kv"}
    whole = f"{text} r = Relu(c) f = Flatten(r) y = MatMul(f, v)"
    run = model(tmp_path / "net.onnx", whole, "4, 5", used)
    graph, images = load(tmp_path / "net.onnx"), random(5, 4, 5, seed=2)
    assert graph.input_shape == (1, 4, 5)
    agrees(graph, images, run(images))


def test_a_vector_that_becomes_an_image_is_read_as_one(tmp_path):
    arrays = {"k": random(2, 2, 3, 3), "v": random(12, 2, seed=1), "w": random(40, 2, seed=3)}
    arrays |= {"s": np.array([-1, 2, 4, 5])}
    text = "u = Reshape(x, s) c = Conv(u, k) r = Relu(c) f = Flatten(r) z = MatMul(f, v)"
    beside = "g = MatMul(x, w) q = Relu(g) y = Add(z, q)"
    run = model(tmp_path / "net.onnx", f"{text} {beside}", "40", arrays)
    graph, vectors = load(tmp_path / "net.onnx"), random(5, 40, seed=2)
    assert graph.input_shape == (2, 4, 5)
    agrees(graph, vectors, run(vectors))


@pytest.mark.parametrize("text", ["y = Unsqueeze(x, zero)", "y = Transpose<perm=[1, 0, 2]>(x)"])
def test_a_batch_that_is_moved_is_refused(tmp_path, text):
    arrays = {"zero": np.array([0])} if "zero" in text else {}
    model(tmp_path / "net.onnx", text, "4, 4", arrays)
    assert read_or_refused(lambda: load(tmp_path / "net.onnx"), "N, C, H, W", "axis") is None


def test_an_image_with_channels_last_is_read(tmp_path):
    text = f"t = Transpose<perm=[0, 3, 1, 2]>(x) {NET} y = MatMul(f, v)".replace("Conv(x", "Conv(t")
    arrays = {"k": random(1, 2, 3, 3), "v": random(6, 2, seed=1)}
    run = model(tmp_path / "net.onnx", text, "5, 4, 2", arrays)
    graph, images = load(tmp_path / "net.onnx"), random(5, 5, 4, 2, seed=2)
    assert tuple(graph.input_shape) == (2, 5, 4)
    agrees(graph, images.transpose(0, 3, 1, 2), run(images))


def test_a_flattened_image_with_channels_last_stays_an_image(tmp_path):
    arrays = {"w": random(25, 3), "v": random(3, 2, seed=1)}
    text = "f = Flatten(x) " + MLP.format("f")
    run = model(tmp_path / "net.onnx", text, "5, 5, 1", arrays)
    graph, images = load(tmp_path / "net.onnx"), random(5, 5, 5, 1, seed=2)
    agrees(graph, images, run(images))
    assert tuple(graph.input_shape) == (1, 5, 5)


def test_a_log_softmax_at_the_output_is_read(tmp_path):
    text = f"{NET} z = MatMul(f, v) y = LogSoftmax<axis=1>(z)"
    run = model(tmp_path / "net.onnx", text, "1, 5, 5", ARRAYS)
    graph, images = load(tmp_path / "net.onnx"), random(5, 1, 5, 5, seed=2)
    found, expected = output(graph, images), run(images)
    if np.allclose(found.sum(axis=1), 1):  # probabilities
        found = np.log(found)
    # what all classes have in common decides nothing
    found, expected = (x - x.mean(axis=1, keepdims=True) for x in (found, expected))
    assert np.abs(found - expected).max() < 1e-5
    assert set(found.argmax(axis=1)) == {0, 1}


def test_opset_8_is_read(tmp_path):
    run = model(tmp_path / "net.onnx", f"{NET} y = MatMul(f, v)", "1, 5, 5", ARRAYS, opset=8)
    images = random(5, 1, 5, 5, seed=2)
    agrees(load(tmp_path / "net.onnx"), images, run(images))


def test_a_shortcut_of_strided_slice_and_padded_channels_is_read(tmp_path):
    text = """
        c = Conv<pads=[1, 1, 1, 1]>(x, k) r = Relu(c) s = Slice(r, a, b, ax, st) q = Pad(s, pp)
        d = Conv<pads=[1, 1, 1, 1], strides=[2, 2]>(r, k2) e = Add(q, d) g = Relu(e)
        f = Flatten(g) y = MatMul(f, v)
    """
    arrays = {"k": random(2, 1, 3, 3), "k2": random(4, 2, 3, 3, seed=1), "v": random(16, 2, seed=2)}
    whole = {"a": [0, 0], "b": [4, 4], "ax": [2, 3], "st": [2, 2], "pp": [0, 1, 0, 0, 0, 1, 0, 0]}
    arrays |= {name: np.array(values, np.int64) for name, values in whole.items()}
    run = model(tmp_path / "net.onnx", text, "1, 4, 4", arrays)
    images = random(5, 1, 4, 4, seed=3)
    agrees(load(tmp_path / "net.onnx"), images, run(images))


def test_a_quantised_activation_is_read(tmp_path):
    text = f"""
        {CONV} q = QuantizeLinear(r, s, z) e = DequantizeLinear(q, s, z) f = Flatten(e)
        y = MatMul(f, v)
    """
    scale = {"s": np.float32(0.1), "z": np.uint8(0)}
    run = model(tmp_path / "net.onnx", text, "1, 5, 5", ARRAYS | scale, evaluated=19)
    images = random(5, 1, 5, 5, seed=2)
    agrees(load(tmp_path / "net.onnx"), images, run(images))
