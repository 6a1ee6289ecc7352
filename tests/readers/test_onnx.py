"""ONNX models: every operator against ONNX's own reference evaluator, real exporters' files, and
hostile ones.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from support.onnx_models import ints, model, read, refused

from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.network import check
from eventsnn.network import convert as conversion
from eventsnn.readers import load, write_native

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402

FILES = Path(__file__).parents[1] / "files" / "onnx"
RNG = np.random.default_rng(0)
W = {
    "w": RNG.normal(size=(4, 2, 3, 3)).astype(np.float32),
    "b": RNG.normal(size=4).astype(np.float32),
}
DENSE = {
    "m": RNG.normal(size=(72, 5)).astype(np.float32),
    "b": RNG.normal(size=5).astype(np.float32),
}
NORM = {
    "s": np.float32([0.5, 2]),
    "b": np.float32([1, -1]),
    "u": np.float32([0.1, -0.2]),
    "v": np.float32([0.5, 3]),
}


# of the largest output: float32 sums of a hundred terms in whatever order each library adds them
ROUNDING = 1e-5
# name: (opset, text, initializers, operators that come out)
CASES = {
    "conv": (17, "y = Conv<pads=[1,0,2,1], strides=[2,1], dilations=[1,2]>(x, w, b)", W, "Conv"),
    "conv without bias": (9, "y = Conv<kernel_shape=[3,3]>(x, w)", W, "Conv"),
    "conv in groups": (17, "y = Conv<group=2>(x, w)", {"w": W["w"][:, :1]}, "Conv"),
    "constant weight": (17, "z = Identity(w) y = Conv(x, z)", W, "Conv"),
    "half weights": (
        17,
        "z = Cast<to=1>(w) y = Conv(x, z)",
        {"w": W["w"].astype(np.float16)},
        "Conv",
    ),
    "gemm": (17, "f = Flatten(x) y = Gemm(f, m, b)", DENSE, "Flatten Gemm"),
    "gemm transB": (
        9,
        "f = Flatten(x) y = Gemm<transB=1>(f, m, b)",
        {"m": DENSE["m"].T.copy(), "b": DENSE["b"][None]},
        "Flatten Gemm",
    ),
    "gemm scalar bias": (
        17,
        "f = Flatten(x) y = Gemm(f, m, b)",
        DENSE | {"b": np.float32(2)},
        "Flatten Gemm",
    ),
    "transposed weight": (
        17,
        "f = Flatten(x) t = Transpose(m) y = MatMul(f, t)",
        {"m": DENSE["m"].T.copy()},
        "Flatten Gemm",
    ),
    "matmul and add": (17, "f = Flatten(x) z = MatMul(f, m) y = Add(z, b)", DENSE, "Flatten Gemm"),
    "matmul, add before": (
        17,
        "f = Flatten(x) z = MatMul(f, m) y = Add(b, z)",
        DENSE,
        "Flatten Gemm",
    ),
    "matmul of an exporter": (
        17,
        "f = Flatten(x) z_output_0 = MatMul(f, m) y_output_0 = Add(z_output_0, b) y = "
        "Relu(y_output_0)",
        DENSE,
        "Flatten Gemm Relu",
    ),
    "matmul used twice": (
        17,
        "f = Flatten(x) z = MatMul(f, m) a = Add(z, b) y = Add(a, z)",
        DENSE,
        "Flatten Gemm BatchNormalization Add",
    ),
    "matmul, two biases": (
        17,
        "f = Flatten(x) z = MatMul(f, m) a = Add(z, b) y = Add(a, b)",
        DENSE,
        "Flatten Gemm BatchNormalization",
    ),
    "batch normalization": (
        17,
        "y = BatchNormalization<epsilon=0.01>(x, s, b, u, v)",
        NORM,
        "BatchNormalization",
    ),
    "preprocessing": (
        17,
        "a = Sub(x, u) y = Div(a, v)",
        {"u": NORM["u"].reshape(1, 2, 1, 1), "v": NORM["v"].reshape(2, 1, 1)},
        "BatchNormalization BatchNormalization",
    ),
    "from a constant": (17, "y = Sub(c, x)", {"c": np.float32(3)}, "BatchNormalization"),
    "times a constant": (
        17,
        "a = Mul(c, x) y = Mul(a, c)",
        {"c": np.float32(3)},
        "BatchNormalization BatchNormalization",
    ),
    "residual": (
        17,
        "a = Conv<pads=[1,1,1,1]>(x, w) r = Relu(a) y = Add(r, x)",
        {"w": W["w"][:2]},
        "Conv Relu Add",
    ),
    "sum of three": (17, "a = Relu(x) y = Sum(a, x, x)", {}, "Relu Add"),
    "sum of one": (17, "y = Sum(x)", {}, "Identity"),
    "clip 6": (17, "y = Clip(x, l, h)", {"l": np.float32(0), "h": np.float32(6)}, "Clip"),
    "clip below": (17, "y = Clip(x, l)", {"l": np.float32([0]).reshape(())}, "Relu"),
    "clip of attributes": (9, "y = Clip<min=0.0, max=1.0>(x)", {}, "Clip"),
    "clip to infinity": (
        17,
        "y = Clip(x, l, h)",
        {"l": np.float32(0), "h": np.float32(3.4028235e38)},
        "Relu",
    ),
    "max pool": (
        17,
        "y = MaxPool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1], dilations=[1,2]>(x)",
        {},
        "MaxPool",
    ),
    "average pool": (
        17,
        "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x)",
        {},
        "AveragePool",
    ),
    "average pool, pads count": (
        17,
        "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x)",
        {},
        "AveragePool",
    ),
    "pool SAME_UPPER": (
        17,
        'y = AveragePool<kernel_shape=[2,3], auto_pad="SAME_UPPER">(x)',
        {},
        "AveragePool",
    ),
    "ceil that changes nothing": (
        17,
        "y = MaxPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1>(x)",
        {},
        "MaxPool",
    ),
    "ceil": (17, "y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)", {}, "MaxPool"),
    "ceil that begins outside": (
        19,
        "y = AveragePool<kernel_shape=[2,2], strides=[5,5], pads=[1,1,1,1], ceil_mode=1>(x)",
        {},
        "AveragePool",
    ),
    "ceil, pads count": (
        19,
        "y = AveragePool<kernel_shape=[3,3], strides=[2,4], pads=[1,1,1,1], ceil_mode=1, "
        "count_include_pad=1>(x)",
        {},
        "Pad AveragePool",
    ),
    "ceil of an average": (
        19,
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1, count_include_pad=1>(x)",
        {},
        "AveragePool",
    ),
    "global average pool": (
        17,
        "a = GlobalAveragePool(x) y = Flatten(a)",
        {},
        "GlobalAveragePool Flatten",
    ),
    "mean of height and width": (
        17,
        "y = ReduceMean<axes=[-1,2], keepdims=0>(x)",
        {},
        "GlobalAveragePool Flatten",
    ),
    "mean that keeps axes": (9, "y = ReduceMean<axes=[2,3]>(x)", {}, "GlobalAveragePool"),
    "mean of axes as input": (
        18,
        "y = ReduceMean<keepdims=0>(x, a)",
        {"a": ints(2, 3)},
        "GlobalAveragePool Flatten",
    ),
    "squeeze": (
        9,
        "a = GlobalAveragePool(x) y = Squeeze<axes=[2,3]>(a)",
        {},
        "GlobalAveragePool Flatten",
    ),
    "squeeze, axes as input": (
        17,
        "a = GlobalAveragePool(x) y = Squeeze(a, i)",
        {"i": ints(-1, -2)},
        "GlobalAveragePool Flatten",
    ),
    "flatten from behind": (17, "y = Flatten<axis=-3>(x)", {}, "Flatten"),
    "reshape 0, -1": (17, "y = Reshape(x, s)", {"s": ints(0, -1)}, "Flatten"),
    "reshape -1, 72": (17, "y = Reshape(x, s)", {"s": ints(-1, 72)}, "Flatten"),
    "reshape to itself": (17, "y = Reshape(x, s)", {"s": ints(-1, 2, 6, 6)}, "Identity"),
    "view of an exporter": (
        17,
        "s = Shape(x) n = Gather(s, zero) u = Unsqueeze(n, axis) t = Concat<axis=0>(u, rest) y = "
        "Reshape(x, t)",
        {"zero": ints(0).reshape(()), "axis": ints(0), "rest": ints(-1)},
        "Flatten",
    ),
    "view of an older exporter": (
        9,
        "s = Shape(x) n = Slice<starts=[0], ends=[1], axes=[0]>(s) q = Squeeze<axes=[0]>(n) u = "
        "Unsqueeze<axes=[0]>(q) t = Concat<axis=0>(u, rest) y = Reshape(x, t)",
        {"rest": ints(-1)},
        "Flatten",
    ),
    "shape in part": (
        17,
        "s = Shape<start=1, end=4>(x) p = ReduceProd<keepdims=1>(s) t = Concat<axis=0>(m, p) y = "
        "Reshape(x, t)",
        {"m": ints(-1)},
        "Flatten",
    ),
    "shape from behind": (
        17,
        "s = Shape<start=-3>(x) n = Shape<end=1>(x) t = Concat<axis=0>(n, s) y = Reshape(x, t)",
        {},
        "Identity",
    ),
    "constants of constants": (
        17,
        "z = ConstantOfShape<value = float[1] {0.5}>(n) d = Add(z, z) s = Sqrt(d) y = Mul(x, s)",
        {"n": ints(1, 2, 1, 1)},
        "BatchNormalization",
    ),
    "pad 9": (9, "y = Pad<pads=[0,0,1,2,0,0,0,1]>(x)", {}, "Pad"),
    "pad 17": (
        17,
        "y = Pad(x, p, v)",
        {"p": ints(0, 0, 1, 2, 0, 0, 0, 1), "v": np.float32(0)},
        "Pad",
    ),
    "pad of two axes": (18, "y = Pad(x, p, , a)", {"p": ints(1, 2, 0, 1), "a": ints(2, 3)}, "Pad"),
    "resize by scales": (
        13,
        'y = Resize<coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , s)',
        {"s": np.float32([1, 1, 1.5, 2])},
        "Resize",
    ),
    "resize to sizes": (13, "y = Resize(x, , , s)", {"s": ints(1, 2, 9, 4)}, "Resize"),
    "dropout": (9, "y = Dropout(x)", {}, "Dropout"),
    "dropout 17": (
        17,
        "y = Dropout(x, r, t)",
        {"r": np.float32(0.5), "t": np.array(False)},
        "Dropout",
    ),
    "cast": (17, "a = Cast<to=1>(x) y = Relu(a)", {}, "Relu"),
    "concat": (17, "a = Relu(x) y = Concat<axis=1>(a, x)", {}, "Relu Concat"),
    "concat from behind": (17, "a = Relu(x) y = Concat<axis=-3>(a, x)", {}, "Relu Concat"),
    "transpose to itself": (17, "y = Transpose<perm=[0,1,2,3]>(x)", {}, "Identity"),
    "softmax 9": (9, "f = Flatten(x) y = Softmax(f)", {}, "Flatten Softmax"),
    "softmax 17": (17, "y = Softmax<axis=1>(x)", {}, "Softmax"),
    "softmax of the last axis": (17, "y = Softmax(x)", {}, "Softmax"),
    "constants as attributes": (
        17,
        "c = Constant<value = float {2.0}>() l = Constant<value_float = 0.0>() a = Clip(x, l, c) "
        "s = Constant<value_ints = [0,-1]>() y = Reshape(a, s)",
        {},
        "Clip Flatten",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_compute_what_onnx_says(name, tmp_path):
    opset, text, arrays, operators = CASES[name]
    made = model(text, opset, **arrays)
    graph = read(made, tmp_path)
    assert [node.op for node in graph.nodes] == operators.split()
    for seed in (0, 1):
        x = np.random.default_rng(seed).normal(0, 3, (1, 2, 6, 6)).astype(np.float32)
        expected = ReferenceEvaluator(made).run(None, {"x": x})[0]
        found = ann.forward(graph, x)[graph.output]
        assert np.abs(found - expected).max() < ROUNDING * np.abs(expected).max()


@pytest.mark.parametrize(
    "auto, pads", (("SAME_UPPER", "0,0,1,0"), ("SAME_LOWER", "1,0,0,0"), ("VALID", "0,0,0,0"))
)
def test_pads_of_convolutions_that_come_by_themselves(auto, pads, tmp_path):
    """6 by 6 to 3 by 3: a kernel 3 high, at steps of 2, sees one row beyond the map."""
    arrays = W | {"w": W["w"][..., :2]}
    found = read(model(f'y = Conv<auto_pad="{auto}", strides=[2,2]>(x, w, b)', **arrays), tmp_path)
    assert (
        found.hash
        == read(
            model(f"y = Conv<pads=[{pads}], kernel_shape=[3,2], strides=[2,2]>(x, w, b)", **arrays),
            tmp_path,
        ).hash
    )


@pytest.mark.parametrize(
    "text", ("y = Upsample(x, s)", 'y = Upsample<mode="nearest">(x, s)', "y = Resize(x, s)")
)
def test_operators_that_the_reference_lacks(text, tmp_path):
    x = RNG.normal(size=(1, 2, 6, 6)).astype(np.float32)
    graph = read(model(text, 9 if "Up" in text else 10, s=np.float32([1, 1, 2, 3])), tmp_path)
    assert np.array_equal(
        ann.forward(graph, x)[graph.output], x.repeat(2, axis=2).repeat(3, axis=3)
    )
    graph = read(model("y = BatchNormalization(x, s, b, u, v)", 9, **NORM), tmp_path)
    expected = ReferenceEvaluator(model("y = BatchNormalization(x, s, b, u, v)", 15, **NORM)).run(
        None, {"x": x}
    )[0]
    assert np.allclose(ann.forward(graph, x)[graph.output], expected, 1e-5, 1e-6)


@pytest.mark.parametrize("name", ("vgg_opset9", "resnet_opset17", "mixed_dynamo"))
def test_files_of_exporters_give_the_frameworks_outputs(name, tmp_path):
    """Exported by PyTorch (files/onnx/make.py); the outputs are PyTorch's and ONNX Runtime's
    own.
    """
    graph, there = load(FILES / f"{name}.onnx"), np.load(FILES / f"{name}.npz")
    found = ann.forward(graph, there["x"])[graph.output]
    for framework in ("torch", "onnxruntime"):
        assert np.abs(found - there[framework]).max() < ROUNDING * np.abs(found).max()
    assert {
        node.params[role].dtype
        for node in graph.nodes
        for role in node.params
        if node.op in ("Conv", "Gemm")
    } == {np.dtype("f4")}
    assert not any(node.name.endswith("_output_0") for node in graph.nodes)
    network = conversion.convert(graph, calibration=there["x"])
    assert check.check(network, there["x"])[0] < 1e-6
    write_native(graph, tmp_path / "native.h5")
    assert load(tmp_path / "native.h5").hash == graph.hash


def test_any_batch_size_is_read_alike(tmp_path):
    graphs = [
        read(model("y = Reshape(x, s)", shape=f"{n}, 2, 6, 6", s=ints(m, 72)), tmp_path)
        for n, m in (("N", 1), (1, 1), (5, 5), ("N", -1), (5, -1), (5, 0))
    ]
    assert len({graph.hash for graph in graphs}) == 1 and graphs[0].nodes[0].op == "Flatten"
    refused(model("y = Reshape(x, s)", s=ints(-1, 36)), tmp_path, "[1, 2, 6, 6] becomes [2, 36]")


def test_inputs_of_other_floats(tmp_path):
    for kind in ("float16", "double"):
        graph = read(
            model(
                "y = Conv(x, w)",
                kind=kind,
                w=W["w"].astype({"float16": "f2", "double": "f8"}[kind]),
            ),
            tmp_path,
        )
        assert (
            graph.nodes[0].params["W"].dtype == {"float16": np.float32, "double": np.float64}[kind]
        )
    made = model("y = Relu(x)")
    made.graph.node[0].op_type = "Conv"
    made.graph.node[0].input.append("w")
    made.graph.initializer.append(
        onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, (1, 2, 1, 1), [0.5, -2])
    )
    assert read(made, tmp_path).nodes[0].params["W"].ravel().tolist() == [0.5, -2]
    tensor = made.graph.initializer[0]
    tensor.ClearField("int32_data")
    tensor.raw_data = np.array([0x3F80, 0xC040], "<u2").tobytes()
    assert read(made, tmp_path).nodes[0].params["W"].ravel().tolist() == [1, -3]
    refused(model("y = Relu(x)", kind="uint8"), tmp_path, "an input of floats")


def test_everything_without_a_spiking_form_is_in_one_error(tmp_path):
    found = refused(
        model(
            "a = Einsum(x) b = Conv(a, w) c = Sigmoid(b) d = Relu(c) e = Einsum(d) m = "
            "MaxPool<kernel_shape=[9,9]>(x) y = Add(e, m)",
            w=W["w"],
        ),
        tmp_path,
        "Einsum (a, e): nothing here computes it",
        "MaxPool (m): expected a window that fits",
    )
    assert "Conv (" not in found and "Relu (d" not in found


REFUSED = {
    "transA": ("f = Flatten(x) y = Gemm<transA=1>(f, m)", DENSE, "transA 0"),
    "a sigmoid inside": ("a = Sigmoid(x) y = Relu(a)", {}, "Sigmoid (a): inside the network"),
    "a bent activation": (
        "y = Elu(x)",
        {},
        "Elu (y): it is not made of straight pieces; the papers train",
    ),
    "product of outputs": ("y = Mul(x, x)", {}, "of two outputs"),
    "quotient": ("y = Div(c, x)", {"c": np.float32(1)}, "by an output"),
    "a constant for each image": (
        "y = Add(x, c)",
        {"c": np.ones((2, 2, 6, 6), np.float32)},
        "a constant for each image",
    ),
    "a division by 0": (
        "y = Div(x, c)",
        {"c": np.float32(0)},
        "BatchNormalization (y): expected finite values",
    ),
    "clip to nothing": (
        "y = Clip(x, l, l)",
        {"l": np.float32(1)},
        "limits of 1 and 1 leave one value",
    ),
    "clip of many": ("y = Clip(x, l)", {"l": np.zeros(2, np.float32)}, "Clip (y)"),
    "indices": (
        "a, i = MaxPool<kernel_shape=[2,2]>(x) b = Cast<to=1>(i) y = Add(a, b)",
        {},
        "MaxPool (i): more than its first output",
    ),
    "mean over channels": ("y = ReduceMean<axes=[1]>(x)", {}, "over axes [1]"),
    "mean over all": ("y = ReduceMean(x)", {}, "over axes []"),
    "transpose without perm": ("y = Transpose(x)", {}, "the axis of the batch (N, C, H, W)"),
    "a squeeze of the batch": ("y = Squeeze<axes=[0]>(x)", {}, "the axis of the batch"),
    "one image of the batch": ("y = Gather<axis=0>(x, i)", {"i": ints(0)}, "the axis of the batch"),
    "to whole numbers": ("y = Cast<to=7>(x)", {}, "to INT64"),
    "training": (
        "y = Dropout(x, r, t)",
        {"r": np.float32(0.5), "t": np.array(True)},
        "training_mode",
    ),
    "training norm": (
        "y = BatchNormalization<training_mode=1>(x, s, b, u, v)",
        NORM,
        "training_mode",
    ),
    "pad of the batch": ("y = Pad(x, p)", {"p": ints(1, 0, 0, 0, 0, 0, 0, 0)}, "of the batch"),
    "pad by reflection that is too long": (
        'y = Pad<mode="reflect">(x, p)',
        {"p": ints(0, 0, 6, 0, 0, 0, 0, 0)},
        "(reflect)",
    ),
    "pad by an unknown mode": (
        'y = Pad<mode="mirror">(x, p)',
        {"p": ints(0, 0, 1, 0, 0, 0, 0, 0)},
        "zero padding",
    ),
    "pad with ones": (
        "y = Pad(x, p, v)",
        {"p": ints(0, 0, 1, 0, 0, 0, 0, 0), "v": np.float32(1)},
        "zero padding",
    ),
    "linear resize": (
        'y = Resize<mode="linear">(x, , s)',
        {"s": np.float32([1, 1, 2, 2])},
        "mode nearest",
    ),
    "antialias": ("y = Resize<antialias=1>(x, , s)", {"s": np.float32([1, 1, 2, 2])}, "antialias"),
    "a computed weight": (
        "a = Conv(x, w) y = Conv(x, a)",
        {"w": W["w"]},
        "its first input, and no other",
    ),
    "a constant into Relu": (
        "a = Relu(c) y = Add(x, a)",
        {"c": np.float32(1)},
        "its first input, and no other",
    ),
    "concat with a constant": (
        "y = Concat<axis=1>(x, c)",
        {"c": np.ones((1, 2, 6, 6), np.float32)},
        "with a constant other than zeros",
    ),
    "concat of images": ("y = Concat<axis=0>(x, x)", {}, "axis 1 (channels)"),
    "softmax in the middle": (
        "a = Softmax<axis=1>(x) y = Relu(a)",
        {},
        "Softmax as the graph's output only",
    ),
    "other domains": ("y = com.microsoft.Gelu(x)", {}, "of the domain com.microsoft"),
    "quantised": ("y = QuantizeLinear(x, c)", {"c": np.float32(1)}, "at the output; dequantise"),
    "quantised operators": ("y = ConvInteger(x, c)", {"c": np.float32(1)}, "of whole numbers"),
    "a missing attribute": ("y = MaxPool(x)", {}, "MaxPool (y)"),
    "a missing input": ("y = Conv(x)", {}, "Conv (y)"),
    "constants that grow": (
        "a = ConstantOfShape(n) y = Add(x, a)",
        {"n": ints(2**20, 2**20)},
        "values computed from constants",
    ),
    "broadcasts that grow": (
        "a = Add(p, q) y = Add(x, a)",
        {"p": np.zeros((2**15, 1), "f4"), "q": np.zeros((1, 2**15), "f4")},
        "values computed from constants",
    ),
    "a gather that grows": (
        "a = Gather(p, i) y = Add(x, a)",
        {"p": np.zeros((1, 2**15), "f4"), "i": np.zeros(2**15, "i8")},
        "values computed from constants",
    ),
    "an output of constants": (
        "y = Add(c, c)",
        {"c": np.float32(1)},
        "an output that depends on the input",
    ),
    "text": ("y = Add(x, c)", {"c": np.array(["a"], object)}, "an array of numbers"),
    "an unknown input": ("y = Add(x, q)", {}, "inputs that come before it, found 'q'"),
    "a name twice": ("a = Relu(x) a = Relu(x) y = Relu(a)", {}, "outputs of its own"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused(name, tmp_path):
    text, arrays, found = REFUSED[name]
    refused(model(text, 18 if name == "antialias" else 17, **arrays), tmp_path, found)


def test_a_constant_for_each_column_is_none_for_each_channel(tmp_path):
    c = np.arange(6, dtype=np.float32)
    graph = read(model("y = Add(x, c)", shape="N, 6, 6, 6", c=c), tmp_path)
    x = np.ones((1, 6, 6, 6), np.float32)
    assert np.array_equal(ann.forward(graph, x)[graph.output], x + c)


def edited(edit, **options):
    made = model("y = Relu(x)", **options)
    edit(made)
    return made


@pytest.mark.parametrize(
    "made, found",
    (
        (lambda: model("y = Relu(x)", opset=0), "opset 0"),
        (lambda: edited(lambda m: m.graph.ClearField("node")), "0 nodes"),
        (lambda: model("y = Relu(x)", shape="N, 2, H, 6"), "fixed C, H and W"),
        (lambda: model("y = Relu(x)", shape="1, 2, 1, 6, 6"), "fixed C, H and W"),
        (lambda: edited(lambda m: m.graph.input.add(name="z")), "one input and an output"),
        (
            lambda: edited(lambda m: m.graph.output.add(name="z")),
            "choose one by its name: output='y'",
        ),
        (
            lambda: edited(lambda m: m.graph.node.extend([m.graph.node[0]] * 100_001)),
            "at most 100,000 nodes",
        ),
        (lambda: edited(lambda m: m.graph.sparse_initializer.add()), "1 sparse initializers"),
        (lambda: edited(lambda m: m.graph.node[0].ClearField("output")), "outputs of its own"),
        (
            lambda: edited(lambda m: setattr(m.graph.output[0], "name", "z")),
            "an output that depends on the input",
        ),
    ),
)
def test_other_models_are_refused(made, found, tmp_path):
    refused(made(), tmp_path, found)


def test_initializers_that_also_are_inputs(tmp_path):
    """As models before IR version 4 list them."""
    made = model("y = Conv(x, w)", 9, w=W["w"])
    made.graph.input.add(name="w")
    assert read(made, tmp_path).nodes[0].op == "Conv"


@pytest.mark.parametrize(
    "text, name, value, found",
    (
        ("y = Conv(x, w)", "auto_pad", 3, "Conv (y): AttributeError"),
        ("y = Conv(x, w)", "strides", "ab", "strides of 2 whole numbers"),
        ('y = Conv<auto_pad="SAME_UPPER">(x, w)', "strides", [0, 0], "Conv (y): ZeroDivisionError"),
        ("a = Constant() y = Add(x, a)", "value_strings", ["a", "b"], "Add (y): "),
        ("a = Constant() y = Add(x, a)", None, None, "expected one value, found 0"),
        ("a = Gather(w, i) y = Conv(x, a)", None, None, "indices of type float32"),
    ),
)
def test_attributes_that_make_no_sense(text, name, value, found, tmp_path):
    made = model(text, w=W["w"], i=np.float32([0.5, 1.5]))
    if name:
        made.graph.node[0].attribute.append(onnx.helper.make_attribute(name, value))
    refused(made, tmp_path, found)


def test_a_shape_that_is_not_told(tmp_path):
    made = model("y = Conv(x, w)", w=W["w"])
    made.graph.initializer[0].dims[0] = -1
    refused(made, tmp_path, "an array of numbers", "[-1, 2, 3, 3]")


def test_damaged_files(tmp_path):
    whole = model("y = Conv(x, w)", w=W["w"]).SerializeToString()
    for length in range(1, len(whole), 11):
        refused(whole[:length], tmp_path)
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(whole)
        for at in rng.integers(1, len(data), 3):
            data[at] = rng.integers(256)
        try:
            read(bytes(data), tmp_path)
        except InputError as error:
            assert str(error).isprintable()
    made = model("y = Conv(x, w)", w=W["w"])
    made.graph.initializer[0].dims[0] = 2**40
    refused(made, tmp_path, "an array of numbers")


def test_without_the_package_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    refused(b"\x08\x08", tmp_path, "pip install onnx")


def test_the_error_lists_many_nodes(tmp_path):
    kinds = (
        "Acos",
        "Elu",
        "Erf",
        "Tan",
        "Cosh",
        "Selu",
        "Sin",
        "Tanh",
        "Softplus",
        "Softsign",
    )
    text = (
        " ".join(f"a{i} = {kinds[i % 10]}({f'a{i - 1}' if i else 'x'})" for i in range(100))
        + " y = Relu(a99)"
    )
    found = refused(model(text), tmp_path, *kinds, "QuantRelu")
    assert found.count("and 2 more): ") == 10 and len(found) < 2000
