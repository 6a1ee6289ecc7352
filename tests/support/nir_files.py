"""NIR graphs made by hand, as the package nir writes them."""

import h5py
import numpy as np


def neurons(shape, threshold=1.0, r=1.0, reset=None):
    """The fields of an IF."""
    fields = {"type": "IF", "r": np.full(shape, r), "v_threshold": np.full(shape, threshold)}
    return fields | ({} if reset is None else {"v_reset": np.full(shape, reset)})


def ends(start, stop):
    """Input and Output of some shapes."""
    return {
        "input": {"type": "Input", "shape": np.array(start)},
        "output": {"type": "Output", "shape": np.array(stop)},
    }


def conv2d(weight, bias, padding=(0, 0), stride=(1, 1), groups=1):
    """The fields of a Conv2d."""
    return {
        "type": "Conv2d",
        "weight": weight,
        "bias": bias,
        "stride": np.array(stride),
        "padding": padding if isinstance(padding, str) else np.array(padding),
        "dilation": np.array([1, 1]),
        "groups": groups,
        "input_shape": np.array([6, 6]),
    }


FLATTEN = {"type": "Flatten", "start_dim": 0, "end_dim": -1}


def chain(names):
    """The edges of nodes in a row."""
    return list(zip(names, names[1:]))


def graph(nodes, edges, **metadata):
    """The fields of a graph."""
    fields = {"type": "NIRGraph", "nodes": nodes, "edges": edges}
    return fields | ({"metadata": metadata} if metadata else {})


def write(path, fields):
    """Writes a file of a graph."""
    with h5py.File(path, "w") as file:
        file["version"] = "1.0.8"
        _put(file.create_group("node"), fields)
    return path


def _put(group, fields):
    for key, value in fields.items():
        if isinstance(value, dict):
            _put(group.create_group(key), value)
        elif key == "edges":
            text = h5py.string_dtype()
            group.create_dataset(key, data=np.array(value, object).reshape(-1, 2), dtype=text)
        else:
            group[key] = value


def small(rng=None):
    """A convolution, a pool and a matrix with two layers of IF, on 2x6x6."""
    rng = rng or np.random.default_rng(1)
    nodes = ends([2, 6, 6], [4]) | {
        "conv": conv2d(rng.normal(size=(3, 2, 3, 3)) / 3, rng.normal(size=3) / 9, (1, 1)),
        "if1": neurons((3, 6, 6), 0.5, 2.0),
        "pool": {
            "type": "SumPool2d",
            "kernel_size": np.array([2, 2]),
            "stride": np.array([2, 2]),
            "padding": np.array([0, 0]),
        },
        "flatten": FLATTEN,
        "fc": {"type": "Linear", "weight": rng.normal(size=(5, 27)) / 4},
        "if2": neurons((5,), np.array([0.5, 1, 2, 4, 8])),
        "head": {"type": "Affine", "weight": rng.normal(size=(4, 5)), "bias": rng.normal(size=4)},
    }
    names = "input conv if1 pool flatten fc if2 head output".split()
    return graph(nodes, chain(names))
