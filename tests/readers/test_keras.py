"""Keras's files, old and new: outputs as Keras has them (files/keras/make.py made the files), old
layouts by hand, what is refused.

With Keras installed, `pytest -m frameworks tests/test_keras.py` makes the same models, and some of
Keras Applications, afresh.
"""

import importlib.util
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.cases import keras_file, keras_layer

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph, with_preprocessing
from eventsnn.data.accepting import accept
from eventsnn.exceptions import InputError
from eventsnn.network import check
from eventsnn.network import convert as conversion
from eventsnn.readers import load
from eventsnn.readers.keras import config as keras_config
from eventsnn.readers.keras.architectures import ARCHITECTURES
from eventsnn.run import main
from eventsnn.settings import Settings

FILES = Path(__file__).parents[1] / "files" / "keras"


# models that say how pixels are prepared
PREPARED = ("nested", "mobile", "vgg16", "caffe", "signed", "imagenet")


def agrees(path, images, outputs, arch=None):
    """The network in a file, which gives Keras's outputs for images as Keras takes them; conversion
    keeps them.
    """
    graph = load(path, arch)
    if images.ndim == 4 and images.shape[1:] != graph.input_shape:
        images = images.transpose(0, 3, 1, 2)
    images = accept(graph, images, labelled=False).pixels
    if "sigmoid" in graph.meta.get("note", ""):
        outputs = np.log(outputs / (1 - outputs))
    assert np.abs(ann.predict(graph, images) - outputs).max() < 1e-5 * max(
        np.abs(outputs).max(), 0.1
    )
    assert np.ptp(outputs, axis=0).max() > 1e-3, "all images give the same"
    if max(graph.input_shape) < 100:  # for the sake of time
        check.check(conversion.convert(graph, thresholds="max", calibration=images), images)
    return graph


@pytest.mark.parametrize("path", sorted(FILES.glob("*.h5")), ids=lambda path: path.name[:-3])
def test_outputs_are_keras_own(path):
    arrays = np.load(FILES / (path.name.removesuffix(".h5").removesuffix(".weights") + ".npz"))
    arch = "keras-vgg16" if path.name.startswith("vgg16") else None
    if path.name.startswith("heads"):
        return one_of_two_outputs(path, arrays["images"], arrays["outputs"])
    graph = agrees(path, arrays["images"], arrays["outputs"], arch)
    if "weights" not in path.name and not arch:
        assert graph.meta["note"].startswith(f"written by Keras {path.name.split('-')[1][:-3]}")
    assert graph.preprocessing.known is (path.name.split("-")[0] in PREPARED)


def one_of_two_outputs(path, images, outputs):
    """Each output by its name or place; without a choice the names are told."""
    for names, part in (("head_3", "0"), outputs[:, :3]), (("head_2", "1"), outputs[:, 3:]):
        for name in names:
            graph = load(path, output=name)
            found = ann.predict(graph, accept(graph, images, labelled=False).pixels)
            assert np.abs(found - part).max() < 1e-5
    for name, words in (None, "choose one: output='head_3'"), ("head_4", "none called 'head_4'"):
        with pytest.raises(InputError, match=words):
            load(path, output=name)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        *("sequential", "functional", "nested", "mobile", "channels_first", "bent", "sequence"),
        *("heartbeat", "moved", "caffe", "signed", "imagenet", "vgg16"),
    ],
)
def test_models_that_keras_makes_now(name, tmp_path):
    make = make_module()
    images, outputs = make.save(getattr(make, name), tmp_path, make.keras.__version__)
    for path in (*tmp_path.glob("*.h5"), *tmp_path.glob("*.keras")):
        graph = load(path, arch := "keras-vgg16" if name == "vgg16" else None)
        if make.keras.backend.backend() == "torch" and "repeats borders" in str(graph.meta):
            continue  # the archive does not say that it was PyTorch; the other file does
        agrees(path, images, outputs, arch)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name, size",
    [
        ("MobileNet", 64),
        ("MobileNetV2", 64),
        ("ResNet50", 64),
        ("DenseNet121", 64),
        ("InceptionV3", 96),
        ("Xception", 96),
    ],
)
def test_applications_of_keras(name, size, tmp_path):
    make = make_module()
    model = getattr(make.keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )
    rng = np.random.default_rng(0)
    make.fill(model, rng)
    model.save(tmp_path / "net.h5", include_optimizer=False)
    images = rng.uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
    expected = model.predict(images, verbose=0)
    found = ann.predict(load(tmp_path / "net.h5"), images.transpose(0, 3, 1, 2))
    print(
        f"{name}: largest deviation {np.abs(found - expected).max():.1e} of outputs up to "
        f"{np.abs(expected).max():.2g}"
    )
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["MobileNet", "VGG16"])
def test_weights_of_applications(name, tmp_path):
    make = make_module()
    model = getattr(make.keras.applications, name)(
        weights=None, classifier_activation=None, **({"alpha": 0.25} if name == "MobileNet" else {})
    )
    make.fill(model, np.random.default_rng(0))
    model.save_weights(tmp_path / "net.weights.h5")
    images = np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3))
    prepared = getattr(make.keras.applications, name.lower()).preprocess_input(
        images.astype(np.float32)
    )
    graph = load(tmp_path / "net.weights.h5", f"keras-{name.lower()}")
    before = graph.by_name[graph.output].inputs[0]  # the softmax, which hides what is small
    found = ann.forward(graph, graph.preprocessing(images.transpose(0, 3, 1, 2)), keep=(before,))[
        before
    ]
    expected = model.predict(prepared, verbose=0)
    print(
        f"{name}: largest deviation {np.abs(found - expected).max():.1e} of outputs up to "
        f"{np.abs(expected).max():.2g}"
    )
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def make_module():
    pytest.importorskip("keras")
    spec = importlib.util.spec_from_file_location("make", FILES / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- files written by hand ---------------------------------------------------------------------


def layer(kind, name, weights=(), inputs=None, **config):
    """(configuration as Keras 2 writes it, {name of an array: array})."""
    entry = {"class_name": kind, "config": {"name": name, **config}}
    if inputs is not None:
        entry |= {"name": name, "inbound_nodes": [[[*ref, {}] for ref in call] for call in inputs]}
    return entry, {f"{name}/{role}:0": array for role, array in weights}


def write(path, layers, *, model=None, root="model_weights", parts=1, version="2.0.8", dtype="<f4"):
    """A Keras 2 file of a Sequential model as before Keras 2.2.3 (its config is a list), or of
    `model`'s configuration.
    """
    with h5py.File(path, "w") as file:
        if root:
            entries = [entry for entry, _ in layers]
            file.attrs["model_config"] = np.bytes_(
                json.dumps(
                    model(entries) if model else {"class_name": "Sequential", "config": entries}
                )
            )
        group = file.create_group(root) if root else file
        group.attrs["keras_version"] = np.bytes_(version)
        names = [entry["config"]["name"].encode() for entry, _ in layers]
        if parts == 1:
            group.attrs["layer_names"] = names
        for i in range(parts if parts > 1 else 0):
            group.attrs[f"layer_names{i}"] = names[i::1][:1] if i < parts - 1 else names[i:]
        for entry, weights in layers:
            below = group.require_group(entry["config"]["name"])
            below.attrs["weight_names"] = [name.encode() for name in weights]
            for name, array in weights.items():
                below[name] = np.asarray(array, dtype)
    return path


def functional(inputs=("image",), outputs=("out",)):
    return lambda entries: {
        "class_name": "Model",
        "config": {
            "name": "net",
            "layers": entries,
            "input_layers": [[n, 0, 0] for n in inputs],
            "output_layers": [[n, 0, 0] for n in outputs],
        },
    }


RNG = np.random.default_rng(3)
KERNEL = RNG.normal(size=(3, 3, 2, 4))
BIAS = RNG.normal(size=4)
DENSE = RNG.normal(size=(16, 3))
IMAGES = RNG.normal(size=(2, 2, 4, 4)).astype(np.float32)
IMAGE = layer("InputLayer", "image", inputs=[], batch_input_shape=[None, 4, 4, 2])


def conv(name="conv", weights=(("kernel", KERNEL), ("bias", BIAS)), **config):
    return layer("Conv2D", name, weights, **({"kernel_size": [3, 3], "filters": 4} | config))


def dense(name="out", **config):
    return layer("Dense", name, [("kernel", DENSE)], use_bias=False, **config)


def old_layers(first=None, **config):
    return [
        first or conv(batch_input_shape=[None, 4, 4, 2], activation="relu"),
        layer("Flatten", "flat"),
        dense(**config),
    ]


def expected(images=IMAGES, kernel=KERNEL, dense=DENSE):
    """What `old_layers` gives, written out."""
    x = images.transpose(0, 2, 3, 1)
    windows = [
        [np.tensordot(x[:, i : i + 3, j : j + 3], kernel, 3) + BIAS for j in range(2)]
        for i in range(2)
    ]
    return np.maximum(np.array(windows), 0).transpose(2, 0, 1, 3).reshape(len(x), -1) @ dense


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"version": "2.15.0"},
        {"parts": 2},
        {"parts": 3},
        {"dtype": ">f4"},
        {"dtype": ">f8"},
        {
            "model": lambda entries: {
                "class_name": "Sequential",
                "config": {"name": "net", "layers": entries},
            }
        },
    ],
    ids=["plain", "2.15", "two parts", "three parts", "f4", "f8", "named"],
)
def test_a_sequential_model_of_old(tmp_path, settings):
    graph = load(write(tmp_path / "net.h5", old_layers(), **settings))
    assert np.allclose(ann.predict(graph, IMAGES), expected(), atol=1e-5)
    assert [node.op for node in graph.nodes] == [
        "Conv",
        "Relu",
        "Flatten",
        "Gemm",
    ] and graph.input_shape == (2, 4, 4)
    assert [node.name for node in graph.nodes] == [
        "conv",
        "conv:relu",
        "flat",
        "out",
    ] and not graph.preprocessing.known


def test_weights_of_16_bits(tmp_path):
    graph = load(write(tmp_path / "net.h5", old_layers(), dtype="<f2"))
    assert graph.by_name["conv"].params["W"].dtype == np.float32
    assert np.array_equal(
        graph.by_name["conv"].params["W"], KERNEL.astype("f2").transpose(3, 2, 0, 1)
    )


def test_a_layer_used_twice_is_two_nodes_with_one_weight(tmp_path):
    kernel, bias = KERNEL[:, :, :, :2], BIAS[:2]
    twice = conv(
        "twice",
        (("kernel", kernel), ("bias", bias)),
        inputs=[[("image", 0, 0)], [("twice", 0, 0)]],
        padding="same",
        filters=2,
    )
    add = layer("Add", "out", inputs=[[("twice", 0, 0), ("twice", 1, 0)]])
    graph = load(write(tmp_path / "net.h5", [IMAGE, twice, add], model=functional()))
    assert [node.name for node in graph.nodes] == ["twice", "twice:2", "out"] and graph.nodes[
        2
    ].inputs == ("twice", "twice:2")
    assert all(
        np.array_equal(node.params["W"], kernel.astype("f4").transpose(3, 2, 0, 1))
        for node in graph.nodes[:2]
    )


def test_layers_may_stand_in_any_order(tmp_path):
    layers = [
        IMAGE,
        conv(inputs=[[("image", 0, 0)]], activation="relu"),
        layer("Flatten", "flat", inputs=[[("conv", 0, 0)]]),
        dense(inputs=[[("flat", 0, 0)]]),
    ]
    graph = load(write(tmp_path / "net.h5", [layers[i] for i in (3, 0, 2, 1)], model=functional()))
    assert np.allclose(ann.predict(graph, IMAGES), expected(), atol=1e-5)


@pytest.mark.parametrize(
    "activation, op, largest",
    [
        ("relu", "Relu", None),
        ("relu6", "Clip", 6),
        ("keras.activations>relu6", "Clip", 6),
        ({"class_name": "function", "config": "relu"}, "Relu", None),
        (
            {
                "class_name": "ReLU",
                "config": {"max_value": 4.0, "negative_slope": 0.0, "threshold": 0},
            },
            "Clip",
            4,
        ),
        (
            {"class_name": "ReLU", "config": {"max_value": {"type": "ndarray", "value": 2.5}}},
            "Clip",
            2.5,
        ),
        (
            {
                "module": "keras.activations",
                "class_name": "function",
                "config": "relu6",
                "registered_name": "relu6",
            },
            "Clip",
            6,
        ),
    ],
    ids=str,
)
def test_ways_to_write_an_activation(tmp_path, activation, op, largest):
    for first in (
        conv(batch_input_shape=[None, 4, 4, 2], activation=activation),
        conv(batch_input_shape=[None, 4, 4, 2]),
    ):
        layers = old_layers(first)
        if "activation" not in first[0]["config"]:
            layers.insert(1, layer("Activation", "act", activation=activation))
        node = load(write(tmp_path / "net.h5", layers)).nodes[1]
        assert (node.op, node.attrs.get("max")) == (op, largest)


def test_a_softmax_may_be_reshaped(tmp_path):
    """As in MobileNet before Keras 2.3: the convolution's softmax becomes a vector."""
    last = conv(
        "last",
        [("kernel", RNG.normal(size=(2, 2, 4, 3))), ("bias", np.ones(3))],
        kernel_size=2,
        filters=3,
        activation="softmax",
    )
    for shape in layer("Reshape", "end", target_shape=[3]), layer("Flatten", "end"):
        graph = load(
            write(tmp_path / "net.h5", [conv(batch_input_shape=[None, 4, 4, 2]), last, shape])
        )
        assert [node.op for node in graph.nodes] == [
            "Conv",
            "Conv",
            "Flatten",
            "Softmax",
        ] and graph.shapes[graph.output] == (3,)
        assert np.allclose(ann.predict(graph, IMAGES).sum(axis=1), 1)


def test_normalisation_without_scale_or_shift(tmp_path):
    stats = [("moving_mean", BIAS), ("moving_variance", np.exp(BIAS))]
    for config, roles in (
        ({}, ["gamma", "beta"]),
        ({"scale": False}, ["beta"]),
        ({"center": False}, ["gamma"]),
        ({"scale": False, "center": False}, []),
    ):
        norm = layer(
            "BatchNormalization",
            "norm",
            [(role, np.full(4, 2.0)) for role in roles] + stats,
            axis=-1,
            **config,
        )
        params = (
            load(write(tmp_path / "net.h5", [*old_layers()[:1], norm, *old_layers()[1:]]))
            .by_name["norm"]
            .params
        )
        assert np.array_equal(params["scale"], np.full(4, 2.0 if "gamma" in roles else 1.0))
        assert np.array_equal(params["B"], np.full(4, 2.0 if "beta" in roles else 0.0))
        assert np.array_equal(params["input_mean"], BIAS.astype("f4"))
        assert load(tmp_path / "net.h5").by_name["norm"].attrs["epsilon"] == 1e-3


@pytest.mark.parametrize("size", [4, 5, 7, 8])
@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (3, 1), (1, 2)])
def test_same_padding_pads_more_at_the_bottom_and_right(tmp_path, size, stride, dilation):
    """The first window begins total // 2 before the image, as TensorFlow defines it."""
    first = conv(
        batch_input_shape=[None, size, size + 1, 2],
        padding="same",
        strides=stride,
        dilation_rate=[dilation] * 2,
    )
    graph = load(write(tmp_path / "net.h5", [first]))
    top, left, bottom, right = graph.nodes[0].attrs["pads"]
    for n, before, after in (size, top, bottom), (size + 1, left, right):
        total = max((-(-n // stride) - 1) * stride + 2 * dilation + 1 - n, 0)
        assert (before, after) == (total // 2, total - total // 2)
    assert graph.shapes["conv"] == (4, -(-size // stride), -(-(size + 1) // stride))


def test_a_pooled_vector_may_stay_a_map(tmp_path):
    weights = [("kernel", RNG.normal(size=(1, 1, 4, 3))), ("bias", np.ones(3))]
    last = conv("last", weights, kernel_size=1, filters=3)
    for pool in "GlobalAveragePooling2D", "GlobalMaxPooling2D":
        graph = load(
            write(
                tmp_path / "net.h5",
                [conv(batch_input_shape=[None, 4, 4, 2]), layer(pool, "pool", keepdims=True), last],
            )
        )
        assert graph.shapes["pool"] == (4, 1, 1) and graph.shapes[graph.output] == (3,)
        with pytest.raises(InputError, match="an input with height and width, found a vector"):
            load(
                write(
                    tmp_path / "net.h5",
                    [conv(batch_input_shape=[None, 4, 4, 2]), layer(pool, "pool"), last],
                )
            )


def test_a_pool_steps_by_its_own_size_unless_told(tmp_path):
    first = conv(batch_input_shape=[None, 4, 4, 2], padding="same")
    for config, size in (
        ({}, 2),
        ({"pool_size": 3}, 1),
        ({"pool_size": 3, "strides": 1}, 2),
        ({"strides": None, "pool_size": [1, 1]}, 4),
    ):
        assert load(
            write(tmp_path / "net.h5", [first, layer("AveragePooling2D", "pool", **config)])
        ).shapes["pool"] == (4, size, size)


def test_zeros_around_spikes_go_into_a_max_pool(tmp_path):
    """As ResNet50 and DenseNet of Keras Applications have it; a pool of padded zeros alone would
    have no spiking form.
    """
    first = conv(batch_input_shape=[None, 4, 4, 2], activation="relu", padding="same")
    pad = layer("ZeroPadding2D", "pad", padding=[[1, 0], [1, 1]])
    pool = layer("MaxPooling2D", "pool", pool_size=[3, 3], strides=[2, 2])
    graph = load(write(tmp_path / "net.h5", [first, pad, pool]))
    assert [node.op for node in graph.nodes] == ["Conv", "Relu", "MaxPool"] and graph.nodes[
        2
    ].attrs["pads"] == [1, 1, 0, 1]
    plain = load(write(tmp_path / "net.h5", [conv(batch_input_shape=[None, 4, 4, 2]), pad, pool]))
    assert [node.op for node in plain.nodes] == ["Conv", "Pad", "MaxPool", "Flatten"]


# --- preprocessing, architectures --------------------------------------------------------------


def test_preprocessing_can_be_given(tmp_path):
    graph = load(write(tmp_path / "net.h5", old_layers()))
    assert (
        "the file does not tell it" in str(graph.preprocessing)
        and with_preprocessing(graph) is graph
    )
    changed = with_preprocessing(graph, 1 / 255, (0.4, 0.5), (0.25,)).preprocessing
    assert changed.known and "--input" not in str(changed)
    assert np.allclose(changed(np.full((1, 2, 1, 1), 255)).ravel(), [2.4, 2.0])
    kept = with_preprocessing(with_preprocessing(graph, mean=(7.0,)), std=(2.0,)).preprocessing
    assert np.allclose(kept(np.full((1, 2, 1, 1), 9)), 1)
    for key in "mean", "std":
        with pytest.raises(InputError, match=f"input_{key}: expected 1 or 2 numbers, found 3"):
            with_preprocessing(graph, **{key: (1.0, 1.0, 1.0)})


def test_a_run_says_what_is_done_with_pixels(tmp_path, capsys):
    path = write(tmp_path / "net.h5", old_layers())
    data = tmp_path / "data.npz"
    out = tmp_path / "out"
    np.savez(data, x_test=IMAGES, y_test=[0, 1])
    options = [
        "--net",
        str(path),
        "--data",
        str(data),
        "--steps",
        "2",
        "--calibration",
        "test:0-1",
        "--pixel-range=-9,9",
        "--out",
        str(out),
    ]
    assert main(options) == 0
    first = json.loads((out / "summary.json").read_text())
    assert "as the file does not tell it: see --input-scale" in capsys.readouterr().out
    weights = write(tmp_path / "w.h5", old_layers(), root="")
    (tmp_path / "net.json").write_text(
        json.dumps({"class_name": "Sequential", "config": [entry for entry, _ in old_layers()]})
    )
    options[1:2] = [str(weights), "--arch", str(tmp_path / "net.json")]
    assert (
        main(
            [
                *options[:-1],
                str(tmp_path / "other"),
                "--input-scale",
                "0.5",
                "--input-mean",
                "0.25,0.5",
                "--input-std",
                "2",
            ]
        )
        == 0
    )
    other = json.loads((tmp_path / "other" / "summary.json").read_text())
    assert "preprocessing: (pixel * 0.5 - [0.25 0.5]) / [2]\n" in capsys.readouterr().out
    assert other["network"]["preprocessing"] == "(pixel * 0.5 - [0.25 0.5]) / [2]" and other[
        "settings"
    ]["input_mean"] == [0.25, 0.5]
    assert first["id"] != other["id"] and first["network"]["arch"] == "Keras model"


def test_help_names_every_architecture():
    assert all(
        name in Settings.__dataclass_fields__["arch"].metadata["option"].words
        for name in ARCHITECTURES
    )


def test_layers_that_scale_the_image_become_preprocessing(tmp_path):
    rescale = layer(
        "Rescaling", "scale", scale=1 / 255, offset=[0.0, -0.5], batch_input_shape=[None, 4, 4, 2]
    )
    normal = layer("Normalization", "normal", axis=[-1], mean=[0.5, 0.25], variance=[[4.0, 0.25]])
    graph = load(
        write(tmp_path / "net.h5", [rescale, normal, *old_layers(conv(activation="relu"))])
    )
    assert [node.op for node in graph.nodes] == [
        "Conv",
        "Relu",
        "Flatten",
        "Gemm",
    ] and graph.preprocessing.known
    pixels = np.array([51.0, 102.0]).reshape(1, 2, 1, 1)
    assert np.allclose(
        graph.preprocessing(pixels).ravel(), [(0.2 - 0.5) / 2, (0.4 - 0.5 - 0.25) / 0.5], atol=1e-6
    )


def tiny(name, seed=0):
    """Layers with narrow random weights for one of ARCHITECTURES."""
    rng = np.random.default_rng(seed)
    channels = 3
    layers = []
    for entry in ARCHITECTURES[name].config["config"]["layers"]:
        kind = entry["class_name"]
        config = entry["config"]
        weights = []
        if kind == "Conv2D":
            weights, channels = [("W", rng.normal(size=(*config["kernel_size"], channels, 2)))], 2
        elif kind == "DepthwiseConv2D":
            weights = [("depthwise_kernel", rng.normal(size=(3, 3, channels, 1)))]
        elif kind == "Dense":
            weights = [("kernel", rng.normal(size=(channels if channels > 2 else 98, 3)))]
            channels = 3
        elif kind == "BatchNormalization":
            weights = [
                (role, rng.uniform(1, 2, channels))
                for role in ("gamma", "beta", "moving_mean", "moving_variance")
            ]
        if weights and kind != "BatchNormalization" and config.get("use_bias") is not False:
            weights.append(("b", rng.normal(size=weights[0][1].shape[-1])))
        layers.append(
            (
                {"config": {"name": config["name"]}},
                {f"{config['name']}_{role}_1:0": array for role, array in weights},
            )
        )
    return layers


SIZES = {
    "keras-vgg16": [224] * 2 + [112] * 2 + [56] * 3 + [28] * 3 + [14] * 3,
    "keras-vgg19": [224] * 2 + [112] * 2 + [56] * 4 + [28] * 4 + [14] * 4,
    "keras-mobilenet": [112] * 3 + [56] * 4 + [28] * 4 + [14] * 12 + [7] * 4 + [1],
}  # of the convolutions' outputs


@pytest.mark.parametrize(
    "name, layers", [("keras-vgg16", 16), ("keras-vgg19", 19), ("keras-mobilenet", 28)]
)
def test_architectures_of_applications(tmp_path, name, layers):
    """Keras Applications' files of weights have no version and no configuration."""
    stored = tiny(name)
    path = write(tmp_path / "weights.h5", stored, root="")
    graph = load(path, name)
    assert (
        sum(node.op in ("Conv", "Gemm") for node in graph.nodes) == layers
        and graph.meta["arch"] == name
    )
    assert graph.parameters == sum(
        array.size for _, weights in stored for array in weights.values()
    )
    assert graph.nodes[-1].op == "Softmax" and graph.input_shape == (3, 224, 224)
    assert [graph.shapes[node.name][1] for node in graph.nodes if node.op == "Conv"] == SIZES[name]
    assert [graph.count_operators().get(op, 0) for op in ("BatchNormalization", "Clip")] == [
        27 * ("mobile" in name)
    ] * 2
    first = next(node for node in graph.nodes if node.op == "Conv").params["W"]
    kernel = np.float32(next(iter(next(w for _, w in stored if w).values()))).transpose(3, 2, 0, 1)
    pixels = np.array([103.939, 116.779, 123.68])[::-1].reshape(1, 3, 1, 1)
    if "vgg" in name:
        assert (
            np.array_equal(first, kernel[:, ::-1])
            and np.abs(graph.preprocessing(pixels)).max() < 1e-4
        )
        assert "images are RGB" in graph.meta["note"]
    else:
        assert np.array_equal(first, kernel)
        assert np.allclose(
            graph.preprocessing(np.array([0, 127.5, 255]).reshape(1, 3, 1, 1)).ravel(), [-1, 0, 1]
        )
    with pytest.raises(InputError, match="the weights of .* layers, .* found of 0"):
        load(write(tmp_path / "none.h5", [], root=""), name)


def test_a_full_model_can_be_read_as_an_architecture(tmp_path):
    """VGG16 saved with model.save() does not say how its images are prepared; the architecture
    does.
    """
    stored = tiny("keras-vgg16")
    path = write(
        tmp_path / "net.h5", stored, model=lambda entries: ARCHITECTURES["keras-vgg16"].config
    )
    assert not load(path).preprocessing.known and load(path, "keras-vgg16").preprocessing.known


def test_where_an_architecture_comes_from(tmp_path):
    path = write(tmp_path / "net.weights.h5", old_layers(), root="")
    with pytest.raises(
        InputError,
        match="found Keras weights only; give arch with one of keras-vgg16, .*or the .json file",
    ):
        load(path)
    with pytest.raises(InputError, match="found arch='resnet50'"):
        load(path, "resnet50")
    (tmp_path / "other.json").write_text(
        json.dumps({"class_name": "Sequential", "config": [entry for entry, _ in old_layers()]})
    )
    graph = load(path, str(tmp_path / "other.json"))
    assert np.allclose(ann.predict(graph, IMAGES), expected(), atol=1e-5)
    (tmp_path / "other.json").rename(tmp_path / "net.json")
    assert load(path).hash == graph.hash
    (tmp_path / "net.json").write_text("[")
    with pytest.raises(InputError, match="valid JSON"):
        load(path)
    with pytest.raises(
        InputError,
        match="arch: expected a file with weights only, found a checkpoint of eventsnn",
    ):
        load("sample", "keras-vgg16")


# --- attributes that change what numbers mean ----------------------------------------------------


def written_on(path, backend, layers):
    """A file of `write` whose weights were made on another backend."""
    with h5py.File(write(path, layers), "r+") as file:
        file["model_weights"].attrs["backend"] = backend
    return path


def on_theano(x, kernel, stride=1, pool=None):
    """Padding "same" of Keras 2 on Theano (theano_backend.py), place by place.

    x: [H, W]. kernel: [k, k], turned as Theano's convolution does it; or pool: max or mean, which
    leave the padding out.
    """
    size = len(kernel)
    before = size // 2 if pool is None else size - 2 if size > 2 and size % 2 else size - 1
    padded = np.full([n + before + size for n in x.shape], np.nan)
    padded[before : before + len(x), before : before + x.shape[1]] = x
    out = np.empty([-(-n // stride) for n in x.shape])
    for i, j in np.ndindex(out.shape):
        part = padded[i * stride :, j * stride :][:size, :size]
        out[i, j] = pool(part) if pool else np.nansum(part * kernel[::-1, ::-1])
    return out


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Conv2D", "MaxPooling2D", "AveragePooling2D"])
def test_windows_of_theano(tmp_path, kind, stride, size):
    kernel, image = RNG.normal(size=(size, size)), RNG.normal(size=(7, 8))
    settings = {"padding": "same", "strides": [stride] * 2, "batch_input_shape": [None, 7, 8, 1]}
    if kind == "Conv2D":
        weights = [("kernel", kernel[:, :, None, None])]
        settings |= {"kernel_size": [size] * 2, "filters": 1, "use_bias": False}
        only = layer(kind, "only", weights, **settings)
        expected = on_theano(image, kernel, stride)
    else:
        only = layer(kind, "only", pool_size=[size] * 2, **settings)
        pool = np.nanmax if kind == "MaxPooling2D" else np.nanmean
        expected = on_theano(image, kernel, stride, pool)
    graph = load(written_on(tmp_path / "net.h5", "theano", [only]))
    found = ann.forward(graph, image[None, None], dtype=np.float64)[graph.output]
    assert np.allclose(found[0, 0], expected, atol=1e-6)
    assert ("turned" in graph.meta["note"]) is (kind == "Conv2D")


def test_depthwise_kernels_of_theano_stay(tmp_path):
    kernel = RNG.normal(size=(3, 3, 2, 1))
    weights = [("depthwise_kernel", kernel)]
    only = layer("DepthwiseConv2D", "only", weights, use_bias=False, kernel_size=[3, 3], **SHAPE)
    graph = load(written_on(tmp_path / "net.h5", "theano", [only]))
    assert np.allclose(graph.nodes[0].params["W"][:, 0], kernel[..., 0].transpose(2, 0, 1))


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch", "cntk", "plaidml.keras.backend"])
def test_other_backends_turn_no_kernel(tmp_path, backend):
    graph = load(written_on(tmp_path / "net.h5", backend, old_layers()))
    assert np.allclose(graph.by_name["conv"].params["W"], KERNEL.transpose(3, 2, 0, 1))
    assert graph.meta["note"] == "written by Keras 2.0.8"


def test_a_backend_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(InputError, match="backend: expected .*theano.*, found 'mxnet'"):
        load(written_on(tmp_path / "net.h5", "mxnet", old_layers()))


@pytest.mark.parametrize("backend, last", [("tensorflow", 4.5), ("torch", 14 / 3), ("", 4.5)])
def test_average_pools_of_pytorch_repeat_borders(tmp_path, backend, last):
    """6 numbers in windows of 3 by 2 have one more at the end."""
    pool = keras_layer("AveragePooling1D", "p", pool_size=[3], strides=[2], padding="same")
    layers = [keras_layer("InputLayer", "i", batch_shape=[None, 6, 1]), pool]
    path = keras_file(tmp_path / "net.h5", layers, {}, backend=backend, version="3.1.0")
    graph = load(path)
    found = ann.predict(graph, np.arange(6, dtype=np.float32).reshape(1, 1, 1, 6)).ravel()
    assert np.allclose(found, [1, 3, last], atol=1e-6)
    assert ("repeats borders" in str(graph.meta)) is (backend == "")


@pytest.mark.parametrize("stride, good", [(1, True), (2, False)])
def test_windows_of_cntk_are_read_where_there_is_one_way(tmp_path, stride, good):
    first = conv(padding="same", strides=[stride] * 2, **SHAPE)
    path = written_on(tmp_path / "net.h5", "cntk", [first])
    if good:
        assert load(path).nodes[0].attrs["pads"] == [1, 1, 1, 1]
    else:
        with pytest.raises(InputError, match="CNTK.*windows of 3 with strides of 2"):
            load(path)


POLICY = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
OF_4_BITS = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int4"}}


def test_a_policy_of_16_bits_is_noted(tmp_path):
    first = conv(batch_input_shape=[None, 4, 4, 2], activation="relu", dtype=POLICY)
    note = load(write(tmp_path / "net.h5", old_layers(first))).meta["note"]
    assert "Keras computes it in mixed_float16" in note


def test_a_policy_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(InputError, match="layer 'out': expected weights of .*policy 'int4'"):
        load(write(tmp_path / "net.h5", old_layers(dtype=OF_4_BITS)))


@pytest.mark.parametrize(
    "name, words",
    [
        ("vgg16", "blue, green, red) and input_mean=103.939,116.779,123.68 (arch=keras-vgg16"),
        ("resnet50", "input_channels=reversed (blue, green, red) and input_mean=103.939,116.779"),
        ("mobilenetv2_1.00_224", "input_mean=127.5 and input_std=127.5"),
        ("densenet121", "input_mean=0.485,0.456,0.406"),
        ("my_resnet50", None),
    ],
)
def test_the_preprocessing_of_applications_is_proposed(tmp_path, name, words):
    def named(entries):
        return {"class_name": "Sequential", "config": {"name": name, "layers": entries}}

    graph = load(write(tmp_path / "net.h5", old_layers(), model=named))
    note = graph.meta["note"]
    assert words in note if words else "Applications" not in note
    assert not graph.preprocessing.known


# --- vectors -------------------------------------------------------------------------------------


def test_a_vector_may_be_scaled_normalised_and_joined(tmp_path):
    weights = [("kernel", RNG.normal(size=(6, 4)))]
    norm = [(role, RNG.uniform(0.5, 1, 6)) for role in NORM]
    layers = [
        layer("InputLayer", "image", inputs=[], batch_input_shape=[None, 6]),
        layer("Rescaling", "scale", inputs=[[("image", 0, 0)]], scale=0.25, offset=-1.0),
        layer("BatchNormalization", "norm", norm, [[("scale", 0, 0)]], axis=[1]),
        layer("Dense", "one", weights, [[("norm", 0, 0)]], use_bias=False, activation="relu"),
        layer("Concatenate", "join", inputs=[[("one", 0, 0), ("scale", 0, 0)]]),
        layer("Dense", "out", [("kernel", np.eye(10)[:, :3])], [[("join", 0, 0)]], use_bias=False),
    ]
    graph = load(write(tmp_path / "net.h5", layers, model=functional()))
    assert graph.input_shape == (6, 1, 1) and graph.preprocessing.std.tolist() == [4.0]
    vectors = RNG.normal(size=(5, 6)).astype(np.float32)
    x = vectors * 0.25 - 1
    gamma, beta, mean, variance = (array for _, array in norm)
    normed = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    expected = np.maximum(normed @ weights[0][1], 0)[:, :3]
    assert np.allclose(ann.predict(graph, vectors[:, :, None, None]), expected, atol=1e-5)


def test_a_vector_that_becomes_an_image_is_read_as_one(tmp_path):
    layers = [
        layer("Rescaling", "scale", scale=0.5, batch_input_shape=[None, 32]),
        layer("Reshape", "image", target_shape=[4, -1, 2]),
        conv(activation="relu"),
        layer("Flatten", "flat"),
        dense(),
    ]
    graph = load(write(tmp_path / "net.h5", layers))
    assert graph.input_shape == (2, 4, 4) and graph.preprocessing.std.tolist() == [2.0]
    assert np.allclose(ann.predict(graph, IMAGES), expected(IMAGES * 0.5), atol=1e-5)


def test_a_vector_is_used_as_an_image_or_as_a_vector(tmp_path):
    weights = [("kernel", RNG.normal(size=(32, 3)))]
    layers = [
        layer("InputLayer", "image", inputs=[], batch_input_shape=[None, 32]),
        layer("Reshape", "map", inputs=[[("image", 0, 0)]], target_shape=[4, 4, 2]),
        layer("Flatten", "flat", inputs=[[("map", 0, 0)]]),
        layer("Dense", "one", weights, [[("flat", 0, 0)]], use_bias=False),
        layer("Dense", "two", weights, [[("image", 0, 0)]], use_bias=False),
        layer("Add", "out", inputs=[[("one", 0, 0), ("two", 0, 0)]]),
    ]
    with pytest.raises(InputError, match="only used as an image, found the vector beside it"):
        load(write(tmp_path / "net.h5", layers, model=functional()))


# --- what is refused ---------------------------------------------------------------------------


def test_one_error_lists_everything_without_a_spiking_form(tmp_path):
    layers = [
        conv(batch_input_shape=[None, 4, 4, 2], activation="elu"),
        layer("LeakyReLU", "leaky"),
        layer("LeakyReLU", "leaky_2"),
        layer("ReLU", "slope", negative_slope=0.1),
        layer("UpSampling2D", "up", interpolation="bilinear"),
        layer("Lambda", "magic"),
        layer("Activation", "gate", activation="sigmoid"),
        layer("Flatten", "flat"),
        layer("LSTM", "memory"),
        layer("my_package>Attention", "mine"),
        dense(activation="sigmoid"),
    ]
    with pytest.raises(InputError) as caught:
        load(write(tmp_path / "net.h5", layers))
    assert caught.value.found == (
        "activation elu (it is not made of straight pieces; the papers train with ReLU in its "
        "place) (conv); UpSampling2D with interpolation bilinear (up); Lambda, whose code in the "
        "file is never run (magic); activation sigmoid before the output (gate); LSTM (memory); "
        "my_package>Attention (mine)"
    )


def replaced(index, entry):
    return lambda layers: [*layers[:index], entry, *layers[index + 1 :]]


def inserted(index, entry):
    return lambda layers: [*layers[:index], entry, *layers[index:]]


NORM = ("gamma", "beta", "moving_mean", "moving_variance")
SHAPE = {"batch_input_shape": [None, 4, 4, 2]}
REFUSED = {
    "any size": (
        replaced(0, conv(batch_input_shape=[None, None, None, 2])),
        "an input of any size, [None, None, 2]",
    ),
    "no shape": (replaced(0, conv()), "the shape of the input, found none"),
    "a flat input": (
        replaced(0, conv(batch_input_shape=[None, 784])),
        "an input with height and width",
    ),
    "a text as size": (
        replaced(0, conv(batch_input_shape=[None, "4", 4, 2])),
        "an input that is an image",
    ),
    "one name twice": (inserted(1, layer("Dropout", "conv")), "'conv' twice"),
    "no layers": (lambda layers: [], "1 to 10,000 layers"),
    "a kernel of another size": (
        replaced(0, conv(kernel_size=[5, 5], **SHAPE)),
        "a kernel of [5, 5], found [3, 3]",
    ),
    "other filters": (replaced(0, conv(filters=8, **SHAPE)), "8 filters, found 4"),
    "other units": (replaced(2, dense(units=9)), "9 units, found 3"),
    "a kernel without maps": (
        replaced(0, conv(weights=[("kernel", DENSE), ("bias", BIAS)], **SHAPE)),
        "a kernel with 4 axes",
    ),
    "strides as text": (
        replaced(0, conv(strides="2", **SHAPE)),
        "strides of one or two whole numbers",
    ),
    "strides of 0": (
        replaced(0, conv(strides=[0, 1], **SHAPE)),
        "strides of one or two whole numbers",
    ),
    "a pool of 0": (
        inserted(1, layer("MaxPooling2D", "pool", pool_size=[0, 2])),
        "layer 'pool': expected pool_size of one or two",
    ),
    "odd padding": (replaced(0, conv(padding="causal", **SHAPE)), "Conv2D with padding causal"),
    "NaN": (
        replaced(0, conv(weights=[("kernel", KERNEL * np.nan), ("bias", BIAS)], **SHAPE)),
        "finite values in W",
    ),
    "no bias in the file": (
        replaced(0, conv(weights=[("kernel", KERNEL)], **SHAPE)),
        "2 arrays (kernel, bias), found 1 (conv)",
    ),
    "bias before kernel": (
        replaced(0, conv(weights=[("bias", BIAS), ("kernel", KERNEL)], **SHAPE)),
        "expected kernel, found conv/bias:0",
    ),
    "norm over height": (
        inserted(1, layer("BatchNormalization", "norm", [(r, np.ones(4)) for r in NORM], axis=[1])),
        "the axis of channels, 3 or -1, found 1",
    ),
    "dense on a map": (
        lambda layers: [layers[0], layers[2]],
        "each place of a map by itself, found 16; put a Flatten in front",
    ),
    "conv on a vector": (
        inserted(2, conv("late")),
        "an input with height and width, found a vector",
    ),
    "a Reshape of a map": (
        replaced(1, layer("Reshape", "flat", target_shape=[3, 5])),
        "a Reshape of 16 numbers to as many",
    ),
    "a Rescaling that turns": (
        lambda layers: [layer("Rescaling", "turn", scale=-1.0, **SHAPE), *layers],
        "factors above 0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_make_no_sense(tmp_path, name):
    edit, words = REFUSED[name]
    with pytest.raises(InputError) as caught:
        load(write(tmp_path / "net.h5", edit(old_layers())))
    assert words in str(caught.value) and "net.h5" in str(caught.value)


def graph_of(*inputs, model=None):
    """Layers image, conv, out with the given inputs of `out`."""
    return [IMAGE, conv(inputs=[[("image", 0, 0)]]), layer("Add", "out", inputs=[list(inputs)])]


@pytest.mark.parametrize(
    "layers, model, words",
    [
        (graph_of(("conv", 0, 0), ("later", 0, 0)), functional(), "'out', whose inputs do not"),
        (graph_of(("conv", 0, 0), ("out", 0, 0)), functional(), "'out', whose inputs do not"),
        (graph_of(("conv", 0, 1), ("conv", 0, 0)), functional(), "layers with one output"),
        (
            graph_of(("conv", 0, 0), ("conv", 0, 0)),
            functional(outputs=("out", "conv")),
            "one output, found 2 outputs: out, conv; choose one: output='out'",
        ),
        (
            graph_of(("conv", 0, 0), ("conv", 0, 0)),
            functional(inputs=()),
            "one input, found 0",
        ),
        (
            graph_of(("conv", 0, 0), ("conv", 0, 0)),
            functional(outputs=("nowhere",)),
            "a layer that gives the output",
        ),
        (graph_of(("conv", 0, 0), ("image", 0, 0)), functional(), "inputs of one shape"),
        (graph_of(("conv", 0, 0)), functional(), "2 to 4,096 inputs"),
    ],
    ids=range(8),
)
def test_graphs_that_make_no_sense(tmp_path, layers, model, words):
    with pytest.raises(InputError, match=words):
        load(write(tmp_path / "net.h5", layers, model=model))


def test_maps_are_of_one_order(tmp_path):
    pool = layer("MaxPooling2D", "pool", data_format="channels_first")
    with pytest.raises(InputError, match="one data_format"):
        load(write(tmp_path / "net.h5", [conv(data_format="channels_last", **SHAPE), pool]))


def test_an_image_may_be_scaled_once(tmp_path):
    scale = layer("Rescaling", "scale", inputs=[[("image", 0, 0)]], scale=0.5)
    add = layer("Add", "out", inputs=[[("image", 0, 0), ("scale", 0, 0)]])
    with pytest.raises(InputError, match="an image that is scaled once"):
        load(write(tmp_path / "net.h5", [IMAGE, scale, add], model=functional()))


def test_keras_1_is_refused(tmp_path):
    with pytest.raises(InputError, match="one of Keras 1"):
        load(write(tmp_path / "net.h5", old_layers(), version="1.2.2"))


def test_models_in_models_have_a_limit(tmp_path, monkeypatch):
    def within(depth):
        return {
            "class_name": "Sequential",
            "config": {
                "name": f"m{depth}",
                "layers": [
                    within(depth - 1)
                    if depth
                    else layer("Dropout", "d", batch_input_shape=[None, 4, 4, 2])[0]
                ],
            },
        }

    with pytest.raises(InputError, match="models in at most 10 others"):
        load(write(tmp_path / "net.h5", [], model=lambda entries: within(12)))
    monkeypatch.setattr(keras_config, "MAX_LAYERS", 2)
    with pytest.raises(InputError, match="1 to 2 layers"):
        load(write(tmp_path / "net.h5", old_layers()))


@pytest.mark.parametrize(
    "edit, words",
    [
        (lambda f: f["model_weights"].attrs.pop("layer_names"), "arrays .kernel, bias., found 0"),
        (lambda f: f["model_weights"].attrs.__setitem__("layer_names", [1, 2]), "a list of names"),
        (
            lambda f: f["model_weights/conv"].attrs.pop("weight_names"),
            "a list of names, found none",
        ),
        (
            lambda f: f["model_weights/conv"].attrs.__setitem__(
                "weight_names", ["conv/kernel:0", "conv/nothing"]
            ),
            "an array for bias",
        ),
        (lambda f: f["model_weights"].pop("conv"), "a group for each of layer_names, also 'conv'"),
        (lambda f: f.pop("model_weights"), "arrays .kernel, bias., found 0"),
        (
            lambda f: f.__setitem__("model_weights/conv/conv/kernel:0", h5py.SoftLink("/")) or None,
            "",
        ),
        (lambda f: f.attrs.__setitem__("model_config", "{"), "valid JSON"),
        (
            lambda f: f.attrs.__setitem__("model_config", "[]"),
            "a Keras configuration with class_name",
        ),
        (lambda f: f.attrs.__setitem__("model_config", 3), "a text of at most"),
    ],
    ids=range(10),
)
def test_damaged_files(tmp_path, edit, words):
    path = write(tmp_path / "net.h5", old_layers())
    with h5py.File(path, "a") as file:
        if words:
            edit(file)
        else:
            del file["model_weights/conv/conv/kernel:0"]
            edit(file)
            words = "a link to somewhere else"
    with pytest.raises(InputError, match=words):
        load(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["functional-3.15", "nested-2.15", "nested-3.15.weights"])
def test_damage_gives_a_graph_or_an_input_error(tmp_path, name):
    """Values of the configuration are replaced by others at random, and bytes of the file."""
    path, refusals = tmp_path / "net.h5", 0
    data, rng = (FILES / f"{name}.h5").read_bytes(), np.random.default_rng(len(name))
    beside = FILES / f"{name.removesuffix('.weights')}.json"
    text = (
        beside.read_text()
        if "weights" in name
        else h5py.File(FILES / f"{name}.h5").attrs["model_config"]
    )
    values = [
        None,
        -1,
        0,
        2,
        2**70,
        0.5,
        "same",
        "relu",
        [],
        [1, 2],
        {},
        [[["stem", 0, 0]]],
        {"class_name": "ReLU", "config": {}},
        True,
    ]
    for _ in range(20):
        config = json.loads(text)
        damage(config, rng, values)
        path.write_bytes(data)
        if "weights" in name:
            (tmp_path / "net.json").write_text(json.dumps(config))
        else:
            with h5py.File(path, "a") as file:
                file.attrs["model_config"] = json.dumps(config)
        try:
            assert isinstance(load(path), Graph)
        except InputError:
            refusals += 1
    assert refusals > 5


def damage(config, rng, values):
    """Replace a random value somewhere in `config`, or take it away."""
    found, waiting = [], [config]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        found += [
            (holder, key) for key in keys if not (isinstance(key, str) and "initializer" in key)
        ]
        waiting += [holder[key] for key in keys if isinstance(holder[key], (dict, list))]
    holder, key = found[rng.integers(len(found))]
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = values[rng.integers(len(values))]


def test_a_kernel_of_sequences_has_three_axes(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes((FILES / "heartbeat-3.15.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        names = []
        file.visit(lambda name: names.append(name) if "conv1d" in name else None)
        name = next(name for name in names if name.endswith("kernel"))
        kernel = file[name][()]
        del file[name]
        file[name] = kernel[None]
    with pytest.raises(InputError, match="expected a kernel with 3 axes, found .*1, "):
        load(path)
