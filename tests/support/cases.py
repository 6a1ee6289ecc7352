"""What the cases from public reports share: small Keras files, comparisons, processes with a limit
of time.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Node
from eventsnn.exceptions import InputError
from eventsnn.network import check
from eventsnn.network import convert as conversion

FILES = Path(__file__).parents[1] / "files" / "cases"


def read_or_refused(read, *words):
    """What `read` gives, or None where it is refused in one line with one of the words.

    words: any words will do where there are none. The names of files do not count.
    """
    try:
        return read()
    except InputError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    named = re.sub(r"\S*\bnet\.\w+", "", said).lower()
    assert not words or any(word.lower() in named for word in words), said
    return None


def agrees(graph, pixels, expected, tolerance=1e-5):
    """The graph gives the expected outputs for raw pixels, of any layout with the same order, and
    so does what it is converted to.
    """
    pixels = np.asarray(pixels, np.float32).reshape(-1, *graph.input_shape)
    off = far(output(graph, pixels), expected)
    assert off < tolerance, f"the graph is off by {off:.1e}"
    assert np.ptp(expected, axis=0).max() > 0 or len(pixels) < 2, "all images give the same"
    network = conversion.convert(graph, thresholds="max", calibration=pixels)
    off = far(output(network.graph, pixels), expected)
    assert off < tolerance, f"the converted graph is off by {off:.1e}"
    check.check(network, pixels)


def output(graph, pixels):
    """A graph's output for raw pixels, in float64."""
    return ann.forward(graph, graph.preprocessing(pixels), dtype=np.float64)[graph.output]


def far(found, expected):
    """The largest difference as a share of the largest expected value."""
    expected = np.asarray(expected, np.float64)
    found = np.asarray(found).reshape(expected.shape)
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)


def random(*shape, seed=0):
    """Float32 from -1 to 1."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def relu(x):
    return np.maximum(x, 0)


# --- graphs ------------------------------------------------------------------------------------


def gemm(name, source, weight):
    """A node that multiplies by weight [outputs, inputs]."""
    return Node(name, "Gemm", (source,), {"transB": 1}, {"B": np.asarray(weight, np.float32)})


def spiking(name, source):
    """An activation with a threshold of 1."""
    return Node(name, "ClippedRelu", (source,), {"lambda": 1.0})


# --- Keras's files -----------------------------------------------------------------------------


def keras_layer(kind, name, inputs=None, **config):
    """A layer as Keras 2 writes it; inputs: the layers before it, in a functional model."""
    entry = {"class_name": kind, "config": {"name": name, **config}}
    if inputs is not None:
        calls = [[[before, 0, 0, {}] for before in inputs]] if inputs else []
        entry |= {"name": name, "inbound_nodes": calls}
    return entry


def keras_convolution(name="c", kernel=(3, 3), **config):
    """One filter with ReLU and without a bias."""
    settings = {"filters": 1, "kernel_size": list(kernel), "strides": [1, 1], "padding": "valid"}
    settings |= {"activation": "relu", "use_bias": False}
    return keras_layer("Conv2D", name, **settings | config)


def keras_dense(name, units, activation="linear", **config):
    """A dense layer without a bias."""
    settings = {"units": units, "activation": activation, "use_bias": False}
    return keras_layer("Dense", name, **settings | config)


def keras_file(path, layers, weights, *, backend="tensorflow", version="2.0.4"):
    """Writes a model as Keras 2 does, and returns the path; weights: layer -> {role: array}."""
    names = [layer["config"]["name"] for layer in layers]
    config = {"name": "m", "layers": layers}
    kind = "Sequential"
    if "inbound_nodes" in layers[0]:
        kind = "Model"
        config |= {"input_layers": [[names[0], 0, 0]], "output_layers": [[names[-1], 0, 0]]}
    model = {"class_name": kind, "config": config}
    with h5py.File(path, "w") as file:
        file.attrs["backend"], file.attrs["keras_version"] = backend, version
        file.attrs["model_config"] = json.dumps(model)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array(names, "S")
        root.attrs["backend"] = backend
        if not version.startswith("1"):  # Keras 1 writes its version at the root only
            root.attrs["keras_version"] = version
        for name in names:
            group, arrays = root.create_group(name), weights.get(name, {})
            group.attrs["weight_names"] = np.array([f"{role}:0" for role in arrays], "S")
            for role, array in arrays.items():
                group[f"{role}:0"] = np.asarray(array, np.float32)
    return path


def convolve(images, kernel):
    """Keras's Conv2D without padding: images [N, H, W, C], kernel [kH, kW, C, filters]."""
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nyxcij,ijcm->nyxm", windows, kernel)


# --- processes ---------------------------------------------------------------------------------


def python(*arguments, seconds, before=(), **options):
    """The finished process of this interpreter; one that takes longer is killed, and
    subprocess.TimeoutExpired raised.

    before: a command that the interpreter's is given to. env: all of the environment but the path
    of the package.
    """
    environment = dict(options.pop("env", os.environ))
    places = [str(Path(eventsnn.__file__).parents[1]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    command = [*before, sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, env=environment, **options
    )


def refused(process):
    """The one line in which a command refused its input, with status 2."""
    lines = process.stderr.strip().splitlines()
    assert process.returncode == 2, process.stderr[-500:]
    assert len(lines) == 1 and lines[0].startswith("eventsnn"), process.stderr[-500:]
    return lines[0]
