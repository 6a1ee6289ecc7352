"""Keras: functions called like layers, quantisers and activations by hand, and what is refused."""

import numpy as np
import pytest
from support.cases import keras_convolution, keras_dense, keras_file, keras_layer

from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.readers import load
from eventsnn.readers.keras.activations import activation_of
from eventsnn.readers.keras.quantised import levels_of, quantised

IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5, 2)).astype(np.float32)


def function(name, before, *call, **arguments):
    """A function of TensorFlow's, as Keras 2 writes it; call: the first reference, if another."""
    kind = "SlicingOpLambda" if name.endswith("getitem") else "TFOpLambda"
    config = {"name": name, "function": name}
    inbound = list(call) or [[before, 0, 0, arguments]]
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": inbound}


def written(path, *layers, last=None):
    """A file of an image [4, 5, 2], functions of it, and what flattens the last."""
    end = last or layers[-1]["name"]
    image = keras_layer("InputLayer", "image", [], batch_shape=[None, 4, 5, 2])
    return keras_file(path, [image, *layers, keras_layer("Flatten", "flat", [end])], {})


EVERY = {"start": None, "stop": None, "step": None}
FUNCTIONS = {
    "slice": (
        [function("__operators__.getitem", "image", slice_spec=[EVERY, {**EVERY, "step": 2}])],
        lambda x: x[:, ::2],
    ),
    "last": (
        [
            function(
                "__operators__.getitem",
                "image",
                slice_spec={
                    "class_name": "__tuple__",
                    "items": [{"class_name": "__ellipsis__"}, 1],
                },
            )
        ],
        lambda x: x[..., 1],
    ),
    "line": (
        [
            function("math.multiply", "image", y=[2.0, -3.0]),
            function("math.subtract", "math.multiply", y=0.5),
            function("math.truediv", "math.subtract", y=4.0),
        ],
        lambda x: (x * [2.0, -3.0] - 0.5) / 4,
    ),
    "pixels": (
        [function("math.truediv", "image", y=4.0), function("math.subtract", "math.truediv", y=1)],
        lambda x: x / 4 - 1,
    ),
    "difference": (
        [
            function("nn.relu", "image"),
            function("math.subtract", "nn.relu", y=["image", 0, 0]),
        ],
        lambda x: np.maximum(x, 0) - x,
    ),
    "stack": (
        [
            function("nn.relu6", "image"),
            function("stack", "", [["image", 0, 0, {"axis": 3}], ["nn.relu6", 0, 0, {"axis": 3}]]),
            function("reshape", "stack", shape=[-1, 4, 5, 4]),
        ],
        lambda x: np.stack([x, np.clip(x, 0, 6)], 3).reshape(-1, 4, 5, 4),
    ),
    "bends": (
        [
            function("math.abs", "image"),
            function("nn.leaky_relu", "math.abs", alpha=0.1),
            function("clip_by_value", "nn.leaky_relu", clip_value_min=-0.5, clip_value_max=0.5),
            function("math.negative", "clip_by_value"),
        ],
        lambda x: -np.clip(np.abs(x), -0.5, 0.5),
    ),
    "moved": (
        [function("transpose", "image", perm=[0, 2, 1, 3])],
        lambda x: x.transpose(0, 2, 1, 3),
    ),
    "mean": ([function("math.reduce_mean", "image", axis=[1, 2])], lambda x: x.mean((1, 2))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_tensorflow(name, tmp_path):
    layers, compute = FUNCTIONS[name]
    graph = load(written(tmp_path / "net.h5", *layers))
    pixels = graph.preprocessing(IMAGES.transpose(0, 3, 1, 2), np.float64)
    found = ann.forward(graph, pixels, dtype=np.float64)[graph.output]
    expected = compute(IMAGES.astype(np.float64)).reshape(3, -1)
    assert found.shape == expected.shape and np.allclose(found, expected, atol=1e-9)
    assert graph.preprocessing.known is (name == "pixels")


@pytest.mark.parametrize(
    "layers, words",
    [
        ([function("linalg.einsum", "image")], "function einsum"),
        ([function("math.sigmoid", "image"), function("math.abs", "math.sigmoid")], "before the"),
        ([function("math.multiply", "image", y=["image", 0, 0])], "a number as the other operand"),
        ([function("math.multiply", "image", y="x")], "a number as the other operand"),
        ([function("math.multiply", "image", y=[1, 2, 3])], "one number, or one for each channel"),
        ([function("math.multiply", "image")], "the arguments that it has in Keras"),
        ([function("transpose", "image", perm=[1, 0, 2, 3])], "in some order"),
        ([function("reshape", "image", shape=[-1, 7])], "a shape of 40 numbers"),
        ([function("__operators__.getitem", "image", slice_spec=[0])], "behind the batch's axis"),
        ([function("__operators__.getitem", "image", slice_spec=[{"a": 1}])], "and slices"),
        ([function("nn.leaky_relu", "image", alpha=[1])], "a number as the slope"),
        ([function("math.reduce_mean", "image", axis=3)], "a mean over the axes"),
        ([function("clip_by_value", "image", clip_value_min=1, clip_value_max=0)], "two limits"),
        ([keras_layer("Lambda", "mine", ["image"], function="cos")], "whose code in the file"),
        ([keras_layer("mine>Thing", "mine", ["image"])], "mine>Thing (mine)"),
    ],
)
def test_other_functions_are_refused(layers, words, tmp_path):
    with pytest.raises(InputError) as caught:
        load(written(tmp_path / "net.h5", *layers, last=layers[-1]["config"]["name"]))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "value, levels",
    [
        ("quantized_relu(4)", (1 / 16, 0, 15)),
        ("quantized_relu(3, 1)", (1 / 4, 0, 7)),
        ("quantized_bits(4,0,1,alpha=1)", (1 / 8, -7, 7)),
        ("quantized_bits(bits=4, integer=1, keep_negative=False)", (1 / 8, 0, 15)),
        ({"class_name": "quantized_relu", "config": {"bits": 2, "integer": 2}}, (1.0, 0, 3)),
    ],
)
def test_quantisers_have_levels(value, levels):
    assert levels_of(value, "here") == levels


@pytest.mark.parametrize(
    "value, words",
    [
        ("quantized_relu(4,0,1)", "use_sigmoid"),
        ("quantized_relu(4,0,0,0.25)", "negative_slope"),
        ("quantized_bits(4,0,1,alpha='auto')", "alpha None, found \"'auto'\""),
        ("quantized_relu(40)", "1 to 20 bits"),
        ("quantized_relu(__import__('os'))", "1 to 20 bits"),
        ("quantized_po2(4)", "quantized_relu or quantized_bits"),
        ({"class_name": "ternary", "config": {}}, "found 'ternary'"),
        ({"class_name": "quantized_bits", "config": {"bits": 1}}, "2 bits or more"),
    ],
)
def test_other_quantisers_are_refused(value, words):
    with pytest.raises(InputError, match="use quantized_relu and quantized_bits") as caught:
        levels_of(value, "here")
    assert words in str(caught.value)


def test_weights_round_halves_to_even():
    weights = np.float32([-3, -0.625, -0.375, -0.125, 0.125, 0.375, 0.9])
    found = quantised({"kernel_quantizer": "quantized_bits(3,0)"}, {"kernel": weights}, "here")
    assert found["kernel"].tolist() == [-1, -0.5, -0.5, 0, 0, 0.5, 0.75]


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_weights_that_are_not_finite_are_not_quantised(value):
    weights = np.array([0.5, value], np.float32)
    with pytest.raises(InputError, match="here: kernel: expected finite numbers"):
        quantised({"kernel_quantizer": "quantized_bits(3,0)"}, {"kernel": weights}, "here")


def test_a_quantised_activation_takes_a_relus_place(tmp_path):
    layers = [
        keras_convolution("c", activation="relu", batch_input_shape=[None, 5, 5, 1]),
        keras_layer("QActivation", "q", activation="quantized_relu(2)"),
        keras_layer("Flatten", "flat"),
        keras_dense("d", 2),
    ]
    weights = {"c": {"kernel": np.ones((3, 3, 1, 1))}, "d": {"kernel": np.ones((9, 2))}}
    graph = load(keras_file(tmp_path / "net.h5", layers, weights))
    assert [node.op for node in graph.nodes] == ["Conv", "QuantRelu", "Flatten", "Gemm"]
    assert graph.activations[0].attrs == {"scale": 0.25, "levels": 3}


@pytest.mark.parametrize(
    "value, found",
    [
        ("leaky_relu", ("relu", None, 0.2)),
        ({"class_name": "LeakyReLU", "config": {"alpha": 0.5}}, ("relu", None, 0.5)),
        ({"class_name": "LeakyReLU", "config": {"negative_slope": 0.4}}, ("relu", None, 0.4)),
        ({"class_name": "ReLU", "config": {"threshold": 1}}, ("relu with a threshold", None, 0)),
        (
            {"class_name": "ReLU", "config": {"negative_slope": 0.1, "max_value": 6}},
            ("relu", 6, 0.1),
        ),
    ],
)
def test_slopes_below_0(value, found):
    assert activation_of(value)[:3] == found
