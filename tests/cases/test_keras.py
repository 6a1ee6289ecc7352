"""Cases from public reports: Keras's files."""

import shutil

import h5py
import numpy as np
import pytest
from support.cases import (
    FILES,
    agrees,
    convolve,
    far,
    keras_convolution,
    keras_dense,
    keras_file,
    keras_layer,
    output,
    random,
    read_or_refused,
    relu,
)

from eventsnn.network import convert as conversion
from eventsnn.readers import load
from eventsnn.runs.pipeline import run
from eventsnn.settings import Settings


def as_floats(path):
    """Rewrites a file's opaque values of two bytes, bfloat16, as the float32 that they are."""
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if is_opaque(item) else None)
        for name in found:
            bits = np.frombuffer(file[name][()].tobytes(), "<u2").astype("<u4") << 16
            values = bits.view("<f4").reshape(file[name].shape)
            del file[name]
            file[name] = values
    assert found
    return path


def is_opaque(item):
    return isinstance(item, h5py.Dataset) and item.dtype.kind == "V"


# keras-team/keras 19091
@pytest.mark.parametrize("name", ["bf16", "k3bf16"])
def test_weights_in_bfloat16_are_read_or_named(name, tmp_path):
    (tmp_path / "floats").mkdir()
    path = shutil.copy(FILES / f"{name}.h5", tmp_path / "net.h5")
    same = as_floats(shutil.copy(path, tmp_path / "floats" / "net.h5"))
    graph = read_or_refused(lambda: load(path), "bfloat16")
    if graph is not None:
        pixels = random(3, *graph.input_shape)
        agrees(graph, pixels, output(load(same), pixels))


# keras-team/keras's model.quantize, cf. tensorflow/tfjs 3068
def test_quantised_weights_are_scaled_or_named(tmp_path):
    path = shutil.copy(FILES / "k3int8.h5", tmp_path / "net.h5")
    graph = read_or_refused(lambda: load(path), "int8", "quanti")
    if graph is not None:
        with h5py.File(path) as file:
            group = file["model_weights/dense_17/sequential_7/dense_17"]
            expected = group["kernel"][()] / group["kernel_scale"][()].astype(np.float64)
        node = [node for node in graph.nodes if node.op == "Gemm"][-1]
        found = node.params["B"].T if node.attrs.get("transB") else node.params["B"]
        assert far(found, expected) < 1e-6


# keras-team/keras 11104
@pytest.mark.parametrize("join", ["Concatenate", "Add"])
def test_seventy_branches_are_joined_or_the_limit_is_said(join, tmp_path):
    names, kernels = [f"c{i}" for i in range(70)], random(70)
    layers = [keras_layer("InputLayer", "x", [], batch_input_shape=[None, 6, 6, 1])]
    layers += [keras_convolution(name, (1, 1), inputs=["x"], activation="linear") for name in names]
    layers += [
        keras_layer(join, "j", names),
        keras_layer("ReLU", "r", ["j"]),
        keras_layer("GlobalAveragePooling2D", "g", ["r"]),
    ]
    weights = {name: {"kernel": [[[[k]]]]} for name, k in zip(names, kernels)}
    path = keras_file(tmp_path / "net.h5", layers, weights)
    images = random(3, 6, 6, 1, seed=1)
    branches = images * kernels.astype(np.float64)
    joined = branches if join == "Concatenate" else branches.sum(axis=-1, keepdims=True)
    graph = read_or_refused(lambda: load(path), "64")
    if graph is not None:
        agrees(graph, images, relu(joined).mean(axis=(1, 2)))


def test_kernels_of_theano_are_turned(tmp_path):
    kernel = np.zeros((3, 3, 1, 1))
    kernel[0, 0] = 1
    layers = [
        keras_convolution(batch_input_shape=[None, 3, 3, 1]),
        keras_layer("Flatten", "f"),
        keras_dense("d", 1),
    ]
    weights = {"c": {"kernel": kernel}, "d": {"kernel": [[1.0]]}}
    path = keras_file(tmp_path / "net.h5", layers, weights, backend="theano")
    assert output(load(path), np.arange(9.0).reshape(1, 1, 3, 3)).item() == 8


def test_a_network_on_vectors_is_read(tmp_path):
    kernels = random(4, 3), random(3, 2, seed=1)
    layers = [keras_dense("a", 3, "relu", batch_input_shape=[None, 4]), keras_dense("b", 2)]
    weights = {"a": {"kernel": kernels[0]}, "b": {"kernel": kernels[1]}}
    path = keras_file(tmp_path / "net.h5", layers, weights)
    vectors = random(5, 4, seed=2)
    agrees(load(path), vectors, relu(vectors @ kernels[0]) @ kernels[1])


def test_normalisation_in_front_of_max_pooling_is_moved_behind(tmp_path):
    kernels = random(3, 3, 1, 1), random(1, 2, seed=1)
    layers = [
        keras_convolution(batch_input_shape=[None, 4, 4, 1]),
        keras_layer("BatchNormalization", "n", axis=-1, epsilon=1e-3),
        keras_layer("MaxPooling2D", "p", pool_size=[2, 2], strides=[2, 2], padding="valid"),
        keras_layer("Flatten", "f"),
        keras_dense("d", 2),
    ]
    norm = {"gamma": [1.0], "beta": [0.5], "moving_mean": [1.0], "moving_variance": [1.0]}
    weights = {"c": {"kernel": kernels[0]}, "n": norm, "d": {"kernel": kernels[1]}}
    path = keras_file(tmp_path / "net.h5", layers, weights)
    images = random(5, 4, 4, 1, seed=2)
    normed = (relu(convolve(images, kernels[0])) - 1) / np.sqrt(1 + 1e-3) + 0.5
    agrees(load(path), images, normed.max(axis=(1, 2)) @ kernels[1])


def test_a_network_without_a_hidden_layer_is_converted(tmp_path):
    kernel = random(4, 2)
    layers = [keras_layer("Flatten", "f", batch_input_shape=[None, 2, 2, 1]), keras_dense("d", 2)]
    path = keras_file(tmp_path / "net.h5", layers, {"d": {"kernel": kernel}})
    images = random(5, 1, 2, 2, seed=1)
    result = conversion.convert(load(path)).run(images, steps=4, pixel_range=(-1, 1))
    assert far(result.readout(), images.reshape(5, 4) @ kernel) < 1e-5


def test_a_file_of_keras_1_is_named(tmp_path):
    settings = {"nb_filter": 1, "nb_row": 3, "nb_col": 3, "border_mode": "valid"}
    settings |= {"activation": "relu", "batch_input_shape": [None, 4, 4, 1]}
    layers = [keras_layer("Convolution2D", "c", **settings)]
    path = keras_file(tmp_path / "net.h5", layers, {}, version="1.2.1")
    assert read_or_refused(lambda: load(path), "Keras 1") is None


def test_one_sigmoid_output_decides_between_two_classes(tmp_path):
    kernel, signs = np.zeros((3, 3, 1, 1)), [[1.0], [-1.0], [0.5], [-0.5]]
    kernel[0, 0] = 1
    layers = [
        keras_convolution(batch_input_shape=[None, 4, 4, 1]),
        keras_layer("Flatten", "f"),
        keras_dense("d", 1, "sigmoid"),
    ]
    weights = {"c": {"kernel": kernel}, "d": {"kernel": signs}}
    net = keras_file(tmp_path / "net.h5", layers, weights)
    images, labels = np.random.default_rng(0).random((8, 4, 4)).astype(np.float32), np.arange(8) % 2
    logits = images[:, :2, :2].reshape(8, 4) @ np.array(signs)
    classes = (logits[:, 0] > 0).astype(int)
    assert set(classes) == {0, 1}
    data = tmp_path / "images.npz"
    np.savez(data, x_test=images, y_test=labels, x_train=images, y_train=labels)
    where = {"net": str(net), "data": str(data), "out": str(tmp_path / "out")}
    summary = run(Settings(**where, steps=4, quiet=True, calibration="test:0-7"))
    assert summary["ann_accuracy"] == np.mean(classes == labels)


def test_a_spiking_network_of_snn_toolbox_is_named(tmp_path):
    layers = [keras_layer("SpikeDense", "0Dense_2", units=2, batch_input_shape=[1, 4])]
    path = keras_file(tmp_path / "net.h5", layers, {})
    words = "SNN Toolbox", "spiking network already", "already a spiking network"
    assert read_or_refused(lambda: load(path), *words) is None
