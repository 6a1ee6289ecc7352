"""Small PyTorch state dicts in HDF5, and mapping files for them."""

import json

import h5py

ARCH = {"vgg16_qcfs": "vgg16:L=4", "resnet20_qcfs": "resnet20:L=4"}


def write(path, arrays):
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            file[key] = value
    return path


def mapping(path, **changes):
    """A mapping file of a convolution, an activation with its threshold in the file, and a
    readout.
    """
    nodes = [
        {
            "name": "c",
            "op": "Conv",
            "inputs": ["image"],
            "attrs": {"pads": [1, 1, 1, 1]},
            "params": {"W": "stem.weight"},
        },
        {
            "name": "a",
            "op": "QCFS",
            "inputs": ["c"],
            "attrs": {"levels": 8},
            "params": {"lambda": "stem.alpha"},
        },
        {"name": "g", "op": "GlobalAveragePool", "inputs": ["a"]},
        {"name": "f", "op": "Flatten", "inputs": ["g"]},
        {
            "name": "y",
            "op": "Gemm",
            "inputs": ["f"],
            "attrs": {"transB": 1},
            "params": {"B": "head/weight"},
        },
    ]
    path.write_text(
        json.dumps(
            {"input_shape": [2, 5, 4], "input": "image", "output": "y", "nodes": nodes} | changes
        )
    )
    return str(path)
