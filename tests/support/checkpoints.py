"""Small native checkpoints, and how to damage them."""

import json

import h5py
import numpy as np

from eventsnn.ann.graph import Graph, Node, Preprocessing


def small(**changes):
    rng = np.random.default_rng(0)
    kernels = {"W": rng.random((2, 3, 3, 3)), "B": np.ones(2, np.float32)}
    nodes = (
        Node("c", "Conv", ("x",), {"pads": [1, 1, 1, 1]}, kernels),
        Node("q", "QCFS", ("c",), {"lambda": 1.5, "levels": 4}),
        Node("f", "Flatten", ("q",)),
        Node("g", "Gemm", ("f",), {"transB": 1}, {"B": rng.random((3, 32)).astype(np.float32)}),
    )
    fields = {
        "nodes": nodes,
        "input": "x",
        "output": "g",
        "input_shape": (3, 4, 4),
        "preprocessing": Preprocessing(1 / 255, np.array([0.5]), np.array([0.1, 0.2, 0.3])),
        "meta": {
            "arch": "tiny",
            "note": "two\nlines",
            "classes": ("cat", "dög", "Ω"),
            "test_accuracy": 0.0,
        },
    }
    return Graph(**(fields | changes))


def every_operator():
    rng = np.random.default_rng(1)
    window = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0], "dilations": [1, 1]}
    norm = {role: rng.random(4) for role in ("scale", "B", "input_mean", "input_var")}
    nodes = (
        Node("pad", "Pad", ("image",), {"pads": [1, 1, 1, 1]}),
        Node(
            "conv",
            "Conv",
            ("pad",),
            {"group": 2},
            {"W": rng.random((4, 1, 3, 3)), "B": rng.random(4)},
        ),
        Node("norm", "BatchNormalization", ("conv",), {"epsilon": 1e-3}, norm),
        Node("relu", "Relu", ("norm",)),
        Node("clip", "Clip", ("norm",), {"min": 0, "max": 6.0}),
        Node("clipped", "ClippedRelu", ("norm",), {"lambda": 2.5}),
        Node("sum", "Add", ("relu", "clip", "clipped")),
        Node("quant", "QuantRelu", ("sum",), {"scale": 0.1, "levels": 8}),
        Node("same", "Identity", ("quant",)),
        Node("drop", "Dropout", ("same",), {"ratio": 0.5, "seed": None}),
        Node("mean", "AveragePool", ("drop",), window | {"count_include_pad": 1}),
        Node("max", "MaxPool", ("drop",), window),
        Node("join", "Concat", ("mean", "max"), {"axis": 1}),
        Node("up", "Resize", ("join",), {"scales": [2.0, 2.0], "mode": "nearest"}),
        Node("qcfs", "QCFS", ("up",), {"lambda": 1.0, "levels": 4}),
        Node("global", "GlobalAveragePool", ("qcfs",)),
        Node("flat", "Flatten", ("global",), {"axis": 1}),
        Node("turned", "Index", ("flat",), {"channels": [7, 6, 5, -1, 3, 2, 1, 0]}),
        Node(
            "dense",
            "Gemm",
            ("turned",),
            {"transB": 0},
            {"B": rng.random((8, 5)), "C": rng.random(5)},
        ),
        Node("soft", "Softmax", ("dense",)),
    )
    return Graph(nodes, "image", "soft", (2, 8, 8))


def edit_json(path, edit):
    """Replace /graph by what `edit` returns for it (a str, or anything that JSON can hold)."""
    with h5py.File(path, "a") as file:
        new = edit(json.loads(file["graph"][()]))
        del file["graph"]
        file["graph"] = new if isinstance(new, (str, bytes)) else json.dumps(new)
