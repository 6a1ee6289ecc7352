"""A reader of one's own: networks of dense layers in a file of JSON.

    python -m eventsnn.run --plugin examples/extend/reader.py --net net.json --data images.npz

The file holds {"dense": [[weights, biases], …], "shape": [C, H, W]}: weights [outputs, inputs] and
biases [outputs] of each layer; a ReLU stands between two of them.
"""

import json
from pathlib import Path

import numpy as np

import eventsnn
from eventsnn import Graph, InputError, Node, Preprocessing
from eventsnn.readers import Reader


def told(file):
    """Whether a file is of this kind, by how it begins."""
    return file.start.lstrip().startswith(b'{"dense"')


def read(file, arch):
    """The network in the file."""
    try:
        given = json.loads(Path(file.path).read_text())
        layers = [(np.array(w, np.float32), np.array(b, np.float32)) for w, b in given["dense"]]
        shape = tuple(int(n) for n in given["shape"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(file.name, "layers of weights and biases", error) from None
    nodes = [Node("flat", "Flatten", ("input",), {}, {})]
    for i, (weights, biases) in enumerate(layers):
        if i:
            nodes.append(Node(f"act{i}", "Relu", (nodes[-1].name,), {}, {}))
        tensors = {"B": weights, "C": biases}
        nodes.append(Node(f"dense{i + 1}", "Gemm", (nodes[-1].name,), {"transB": 1}, tensors))
    last = nodes[-1].name
    meta = {"arch": "dense"}
    return Graph(tuple(nodes), "input", last, shape, Preprocessing(), file.name, meta)


eventsnn.register("reader", "dense-json", Reader("dense layers in JSON", told, read))
