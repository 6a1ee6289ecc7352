"""ONNX models in several files, of old opsets, and with several outputs."""

import os
import tracemalloc

import numpy as np
import pytest
from support.cases import keras_dense, keras_file, keras_layer
from support.onnx_models import ints, model, onnx, read, refused

from eventsnn import InputError, load
from eventsnn.ann import forward as ann

from onnx.reference import ReferenceEvaluator  # noqa: E402 isort: skip

W = np.random.default_rng(0).normal(size=(4, 2, 3, 3)).astype(np.float32)


def beside(tmp_path, made=None, name="net.bin", **told):
    """A model whose weight lies in a file beside it. told: what the model says otherwise."""
    made = made or model("y = Conv(x, w)", w=W)
    tensor = made.graph.initializer[0]
    data = tensor.raw_data
    if not os.path.lexists(tmp_path / name):
        (tmp_path / name).write_bytes(b"12345678" + data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in ({"location": name, "offset": 8, "length": len(data)} | told).items():
        tensor.external_data.add(key=key, value=str(value))
    return made


def test_data_beside_the_model_are_read(tmp_path):
    (tmp_path / "sub").mkdir()
    inside = read(model("y = Conv(x, w)", w=W), tmp_path)
    for name in ("net.bin", "sub/net.bin"):
        assert read(beside(tmp_path, name=name), tmp_path).hash == inside.hash


def test_data_that_onnx_writes_beside_a_model_are_read(tmp_path):
    made = model("y = Conv(x, w)", w=W)
    expected = read(made, tmp_path).hash
    onnx.save(made, tmp_path / "net.onnx", save_as_external_data=True, size_threshold=0)
    assert len(list(tmp_path.iterdir())) == 2
    assert load(tmp_path / "net.onnx").hash == expected


def test_data_elsewhere_are_not_read(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(b"12345678" + W.tobytes())
    (inner / "link").symlink_to(secret)
    (inner / "folder").symlink_to(tmp_path)
    os.mkfifo(inner / "pipe")
    for location, found in (
        ("../secret", "in the model's folder"),
        (str(secret), "in the model's folder"),
        ("a/../../secret", "in the model's folder"),
        ("link", "by way of a link"),
        ("folder/secret", "by way of a link"),
        ("pipe", "which is no file"),
        (".", "in the model's folder"),
        ("", "in the model's folder"),
        ("none", "No such file"),
        ("a\\b", "in the model's folder"),
    ):
        refused(beside(inner, location=location), inner, found)


def test_data_of_another_length_are_not_read(tmp_path):
    for told, found in (
        ({"length": 100}, "288 bytes of data for the shape [4, 2, 3, 3]"),
        ({"offset": 9}, "of 297 bytes or more, found 296"),
        ({"offset": -1}, "an offset and a length in bytes"),
        ({"offset": 2**63}, "an offset and a length in bytes"),
        ({"length": "x"}, "an offset and a length in bytes"),
    ):
        refused(beside(tmp_path, **told), tmp_path, found)
    (tmp_path / "net.bin").unlink()
    with pytest.raises(InputError) as caught:
        read(beside(tmp_path, name="net.bin", location="gone"), tmp_path)
    assert str(caught.value).count("expected") == 1 and "damaged" not in str(caught.value)
    huge = beside(tmp_path)
    huge.graph.initializer[0].dims[:] = [2**20, 2**20]
    refused(huge, tmp_path, "bytes of data")


@pytest.mark.parametrize("opset", (7, 8))
def test_opsets_7_and_8_are_read_as_they_are(opset, tmp_path):
    made = model("y = Upsample<scales=[1.0, 1.0, 2.0, 3.0]>(x)", opset)
    x = np.random.default_rng(0).normal(size=(1, 2, 6, 6)).astype(np.float32)
    graph = read(made, tmp_path)
    expected = x.repeat(2, axis=2).repeat(3, axis=3)
    assert np.array_equal(ann.forward(graph, x)[graph.output], expected)
    norm = {key: np.ones(2, np.float32) for key in "sbuv"}
    refused(model("y = BatchNormalization<spatial=0>(x, s, b, u, v)", opset, **norm), tmp_path, "")


def norm(key):
    return np.float32({"s": [1, -1, 2, 3], "b": [0, 1, 2, 3], "u": [1, 1, 0, 0]}.get(key, [1] * 4))


# what opsets 1 to 6 say, and what the same is in 15
OLD = {
    "a sum along channels": (
        6,
        "c = Conv(x, w) a = Add<broadcast=1, axis=1>(c, b) y = Relu(a)",
        "c = Conv(x, w) a = Add(c, b1) y = Relu(a)",
    ),
    "a product of the last axis": (
        6,
        "c = Conv(x, w) a = Mul<broadcast=1>(c, b) y = Relu(a)",
        "c = Conv(x, w) a = Mul(c, b) y = Relu(a)",
    ),
    "a normalisation": (
        6,
        "c = Conv(x, w) n = BatchNormalization<is_test=1, consumed_inputs=[0,0,0,1,1]>"
        "(c, s, b, u, v) y = Relu(n)",
        "c = Conv(x, w) n = BatchNormalization(c, s, b, u, v) y = Relu(n)",
    ),
    "a dropout": (6, "r = Relu(x) y = Dropout<is_test=1>(r)", "y = Relu(x)"),
    "a view": (
        4,
        'r = Relu(x) f = Reshape<shape=[0, -1]>(r) c = Cast<to="FLOAT">(f) y = Relu(c)',
        "r = Relu(x) y = Flatten(r)",
    ),
    "a pad": (1, "r = Relu(x) y = Pad<paddings=[0,0,1,0,0,0,0,2]>(r)", "r = Relu(x) y = Pad(r, p)"),
    "slopes": (
        6,
        "c = Conv(x, w) y = PRelu(c, s)",
        "c = Conv(x, w) y = PRelu(c, s1)",
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_opsets_before_7_are_read(name, tmp_path):
    opset, old, new = OLD[name]
    arrays = {"w": W, "p": ints(0, 0, 1, 0, 0, 0, 0, 2)} | {key: norm(key) for key in "sbuv"}
    arrays |= {f"{key}1": norm(key).reshape(4, 1, 1) for key in "bs"}
    x = np.random.default_rng(0).normal(size=(1, 2, 6, 6)).astype(np.float32)
    graph = read(model(old, opset, **arrays), tmp_path)
    expected = ReferenceEvaluator(model(new, 15, **arrays)).run(None, {"x": x})[0]
    found = ann.forward(graph, x)[graph.output]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("text", ("y = Dropout(x)", "y = BatchNormalization(x, s, b, u, v)"))
def test_what_was_exported_for_training_is_refused(text, tmp_path):
    refused(model(text, 6, **{key: norm(key)[:2] for key in "sbuv"}), tmp_path, "evaluation mode")


HEADS = "r = Relu(x) f = Flatten(r) y = MatMul(f, m) z = MatMul(f, n)"
ARRAYS = {"m": np.ones((72, 3), "f4"), "n": np.ones((72, 5), "f4")}


def two_heads():
    made = model(HEADS, **ARRAYS)
    made.graph.output.add(name="z")
    return made


def test_one_of_two_outputs_is_chosen_by_its_name(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(two_heads().SerializeToString())
    assert load(path, output="y").shapes["y"] == (3,)
    assert load(path, output="z").shapes["z"] == (5,)
    assert load(path, output="r").output == "r"
    refused(two_heads(), tmp_path, "found 2: y, z; choose one by its name: output='y'")
    with pytest.raises(InputError, match="output: expected the name of an output: y, z, found 'q'"):
        load(path, output="q")


def test_what_only_another_output_needs_is_not_looked_at(tmp_path):
    made = model(f"{HEADS} e = Einsum(z)", **ARRAYS)
    made.graph.output.add(name="e")
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    assert [node.op for node in load(path, output="y").nodes] == ["Relu", "Flatten", "Gemm"]
    assert load(path, output="z").nodes
    with pytest.raises(InputError, match="Einsum"):
        load(path, output="e")


def test_an_output_is_chosen_of_no_other_kind_of_file(tmp_path):
    with pytest.raises(InputError, match="output: expected a Keras or ONNX model"):
        load("sample", output="y")


def test_one_of_two_outputs_of_a_keras_model_is_chosen_by_its_layer(tmp_path):
    layers = [
        keras_layer("InputLayer", "i", [], batch_input_shape=[None, 4]),
        keras_dense("a", 3) | {"inbound_nodes": [[["i", 0, 0, {}]]], "name": "a"},
        keras_dense("b", 2) | {"inbound_nodes": [[["i", 0, 0, {}]]], "name": "b"},
    ]
    weights = {"a": {"kernel": np.ones((4, 3))}, "b": {"kernel": np.ones((4, 2))}}
    path = keras_file(tmp_path / "net.h5", layers, weights)
    import json

    import h5py

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["output_layers"] = [["a", 0, 0], ["b", 0, 0]]
        file.attrs["model_config"] = json.dumps(config)
    assert load(path, output="a").shapes[load(path, output="a").output] == (3,)
    assert load(path, output="b").shapes[load(path, output="b").output] == (2,)
    with pytest.raises(InputError, match="choose one: output='a'"):
        load(path)
    with pytest.raises(InputError, match="2 outputs: a, b, none called 'i'; choose one"):
        load(path, output="i")


def test_a_shape_that_is_computed_is_read(tmp_path):
    made = model(
        "s = Shape(x) n = Gather(s, zero) u = Unsqueeze(n, axis) p = ReduceProd<keepdims=1>(t) "
        "q = Concat<axis=0>(u, p) y = Reshape(x, q)",
        zero=ints(0).reshape(()),
        axis=ints(0),
        t=ints(2, 6, 6),
    )
    assert [node.op for node in read(made, tmp_path).nodes] == ["Flatten"]


def test_a_large_map_in_order_takes_no_room_and_one_that_moves_is_refused(tmp_path):
    shape = "N, 3, 4096, 4096"
    tracemalloc.start()
    graph = read(model("r = Relu(x) f = Flatten(r) y = Identity(f)", shape=shape), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [node.op for node in graph.nodes] == ["Relu", "Flatten"] and peak < 2**22
    text = "r = Relu(x) t = Transpose<perm=[0,1,3,2]>(r) y = Relu(t)"
    refused(model(text, shape=shape), tmp_path, "Transpose (t)", "values that move")


def test_many_large_moves_are_refused(tmp_path):
    steps = " ".join(f"a{i + 1} = Transpose<perm=[0,1,3,2]>(a{i})" for i in range(200))
    text = f"a0 = Transpose<perm=[0,1,3,2]>(x) {steps} y = Relu(a200)"
    refused(model(text, shape="N, 2, 2048, 2048"), tmp_path, "in all its operators")


def test_a_value_that_is_joined_with_itself_again_and_again_is_looked_at_once(tmp_path):
    steps = " ".join(
        f"m{i} = MaxPool<kernel_shape=[1,1]>(a{i}) n{i} = MaxPool<kernel_shape=[1,1]>(a{i}) "
        f"b{i} = Add(m{i}, n{i}) a{i + 1} = Relu(b{i})"
        for i in range(2)
    )
    deep = " ".join(
        f"p{i} = AveragePool<kernel_shape=[1,1]>(c{i}) c{i + 1} = Add(p{i}, c{i})"
        for i in range(60)
    )
    quant = "q = QuantizeLinear(c60, s, z) y = DequantizeLinear(q, s, z)"
    text = f"a0 = Relu(x) {steps} c0 = Relu(a2) {deep} {quant}"
    graph = read(model(text, 19, s=np.float32(1), z=np.int8(0)), tmp_path)
    assert graph.nodes[-1].op == "QuantRelu"
