"""Networks and images for the tests of the command line."""

import numpy as np
import pytest
from support.command import (
    pixels_of,
    pooled_sum,
)
from support.networks import small_graph

from eventsnn.readers import write_native


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with networks and images."""
    folder = tmp_path_factory.mktemp("files")
    graphs = {
        "net": small_graph(),
        "relu": small_graph("Relu"),
        "max": small_graph("QCFS", "MaxPool"),
        "sum": pooled_sum(),
    }
    for name, graph in graphs.items():
        write_native(graph, folder / f"{name}.h5")
    labels = np.random.default_rng(9).integers(0, 4, 60)
    train = {"x_train": pixels_of(40, 1), "y_train": labels[:40]}
    np.savez(folder / "data.npz", x_test=pixels_of(30), y_test=labels[:30], **train)
    np.savez(folder / "unlabelled.npz", x_test=pixels_of(9), x_train=pixels_of(40, 1))
    np.savez(folder / "test_only.npz", x_test=pixels_of(9), y_test=labels[:9])
    np.savez(folder / "no_splits.npz", images=pixels_of(9), labels=labels[:9])
    np.savez(
        folder / "wide.npz", x_test=np.zeros((3, 2, 6, 7), np.uint8), y_test=labels[:3], **train
    )
    np.savez(folder / "fifth_class.npz", x_test=pixels_of(3), y_test=[0, 4, 1], **train)
    np.savez(folder / "nan.npz", x_test=np.full((2, 2, 6, 6), np.nan, np.float32), y_test=[0, 1])
    np.savez(
        folder / "wide_train.npz", x_test=pixels_of(3), x_train=np.zeros((40, 2, 6, 7), np.uint8)
    )
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
