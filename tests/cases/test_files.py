"""Cases from public reports: kinds of files. What is marked xfail is still wrong."""

import json
import zipfile

import h5py
import numpy as np
import pytest
from support.cases import agrees, convolve, random, read_or_refused, relu
from support.states import mapping, write

from eventsnn.readers import load

KERNELS = random(3, 3, 1, 2), random(8, 3, seed=1)


def keras_3(kind, name, **config):
    settings = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": settings,
        "registered_name": None,
    }


def keras_archive(folder):
    """Writes what Keras 3 packs into a .keras file: net.json and net.weights.h5; returns both."""
    shape = {"batch_shape": [None, 4, 4, 1]}
    window = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "valid"}
    layers = [
        keras_3("InputLayer", "input_layer", **shape),
        keras_3("Conv2D", "conv2d", filters=2, activation="relu", use_bias=False, **window),
        keras_3("Flatten", "flatten"),
        keras_3("Dense", "dense", units=3, activation="linear", use_bias=False),
    ]
    model = keras_3("Sequential", "net", layers=layers, build_input_shape=shape["batch_shape"])
    (folder / "net.json").write_text(json.dumps(model | {"module": "keras"}))
    with h5py.File(folder / "net.weights.h5", "w") as file:
        for name in "conv2d", "flatten", "dense":
            file.create_group(f"layers/{name}/vars")
        file["layers/conv2d/vars/0"], file["layers/dense/vars/0"] = KERNELS
        file.create_group("vars")
    return folder / "net.json", folder / "net.weights.h5"


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
def test_a_keras_archive_is_read_as_what_is_in_it(packed, tmp_path):
    config, weights = keras_archive(tmp_path)
    if packed:
        with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.3.3"}))
            archive.write(config, "config.json")
            archive.write(weights, "model.weights.h5")
        graph = load(tmp_path / "net.keras")
    else:
        graph = load(weights, str(config))
    images = random(5, 4, 4, 1, seed=2)
    agrees(graph, images, relu(convolve(images, KERNELS[0])).reshape(5, -1) @ KERNELS[1])


@pytest.mark.parametrize(
    "name, data, words",
    [
        pytest.param(
            "saved_model.pb",
            b"\x08\x01\x12\x02\x0a\x00",
            ["SavedModel"],
            id="SavedModel",
            marks=pytest.mark.xfail(strict=True, reason="a SavedModel is taken for an ONNX model"),
        ),
        pytest.param(
            "net.tflite",
            b"\x1c\x00\x00\x00TFL3" + bytes(24),
            ["TFLite", "TensorFlow Lite"],
            id="TFLite",
            marks=pytest.mark.xfail(strict=True, reason="a TFLite model is called some other file"),
        ),
    ],
)
def test_files_of_tensorflow_are_named(name, data, words, tmp_path):
    (tmp_path / name).write_bytes(data)
    assert read_or_refused(lambda: load(tmp_path / name), *words) is None


@pytest.mark.xfail(strict=True, reason="safetensors is called some other file")
def test_safetensors_are_read_as_a_state_dict_or_named(tmp_path):
    arch = mapping(tmp_path / "arch.json")
    arrays = {
        "stem.weight": random(3, 2, 3, 3),
        "stem.alpha": np.float32([1.5]),
        "head/weight": random(4, 3, seed=1),
    }
    header, data = {}, b""
    for key, array in arrays.items():
        place = [len(data), len(data) + array.nbytes]
        header[key] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": place}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path = tmp_path / "net.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    expected = load(write(tmp_path / "net.h5", arrays), arch)
    graph = read_or_refused(lambda: load(path, arch), "safetensors")
    assert graph is None or graph.hash == expected.hash
