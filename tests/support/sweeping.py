"""A small network and its images as a sweep takes them, and stores compared."""

from pathlib import Path

import numpy as np
from support.networks import Builder

import eventsnn

CLASSES = 4


def study(folder, images=12, seed=3):
    """Options that name a small network and its labelled images, both written into a folder."""
    rng = np.random.default_rng(seed)
    b = Builder(rng, (1, 4, 4))
    last = b.gemm(b.add("Flatten", [b.activation(b.conv("input", 3), "QCFS")]))
    net, data = Path(folder) / "net.h5", Path(folder) / "data.npz"
    eventsnn.save(b.graph(last), net)
    pixels = rng.integers(0, 256, (images + 4, 1, 4, 4)).astype(np.uint8)
    labels = rng.integers(0, CLASSES, images + 4)
    train, test = slice(4), slice(4, None)
    np.savez(
        data,
        x_train=pixels[train],
        y_train=labels[train],
        x_test=pixels[test],
        y_test=labels[test],
    )
    return {"net": str(net), "data": str(data), "steps": 4}


def arrays(path):
    """name of a group -> name of an array -> its numbers, of a store."""
    from eventsnn.sweep.opened import open as open_store
    from eventsnn.sweep.store import Store

    found = {}
    for name in Store(path).record()["groups"]:
        data = open_store(path, name)
        found[name] = {key: data[key].values for key in data.variables}
    return found


def differing(one, other):
    """The arrays in which two stores differ, in words."""
    a, b = arrays(one), arrays(other)
    if a.keys() != b.keys():
        return [f"groups {list(a)} and {list(b)}"]
    found = []
    for group in a:
        for name in a[group].keys() | b[group].keys():
            x, y = a[group].get(name), b[group].get(name)
            if x is None or y is None or x.dtype != y.dtype:
                found.append(f"{group}/{name}")
            elif not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
                found.append(f"{group}/{name}")
    return found
