"""Golden digests: hashes of everything that nine tiny runs leave. A refactoring keeps them; a
commit that changes one says why.
"""

import hashlib

import numpy as np
import pytest
from support.networks import Builder

from eventsnn import convert
from eventsnn.result import simulate

STEPS = 8
RUNS = {
    "if": {},
    "snm": {"neuron": "snm"},
    "gn": {"neuron": "gn", "tau": 4},
    "srp": {"srp": 4},
    "rate": {"encoding": "rate"},
    "float64": {"arithmetic": "float64", "fraction_bits": None},
    "fifo": {"engine": "event", "order": "fifo"},
    "random": {"engine": "event", "order": "random"},
    "priority": {"engine": "event", "order": "priority"},
    "inhibitory_first": {"engine": "event", "order": "inhibitory_first"},
}
DIGESTS = {
    "if": "f248f47577d8f14e",
    "snm": "c3f09e2662ad0234",
    "gn": "fc0816aeca1af186",
    "srp": "9e1208e04d2f08f1",
    "rate": "c26f902c9333b07e",
    "float64": "e3c84447b6c8c0cf",
    "fifo": "99d712339cc0b01f",
    "random": "fce8ac0eb2f1b53f",
    "priority": "06c9a447399653f0",
    "inhibitory_first": "ccb57f122e5f9ccc",
}


def golden_network():
    """Three layers with a shortcut, average pooling and max pooling, and images of one byte a
    pixel.
    """
    b = Builder(np.random.default_rng(42), (2, 6, 6))
    x = b.activation(b.bn(b.conv("input", 4, pads=[1, 1, 1, 1])), "QCFS")
    y = b.activation(b.bn(b.conv(x, 4, pads=[1, 1, 1, 1])), "QCFS")
    x = b.activation(b.add("Add", [b.conv(y, 4, pads=[1, 1, 1, 1]), x]), "QCFS")
    pooled = [
        b.add(op, [x], {"kernel_shape": [2, 2], "strides": [2, 2]})
        for op in ("AveragePool", "MaxPool")
    ]
    graph = b.graph(b.gemm(b.add("Flatten", [b.add("Concat", pooled)])))
    return convert(graph), np.random.default_rng(1).integers(0, 4, (3, 2, 6, 6)).astype(np.uint8)


def digest_of(batch):
    """Sixteen hexadecimal digits: equal for batches that are equal to the last bit."""
    result = hashlib.sha256()
    for name in batch.ARRAYS:
        if (
            name in ("order_digests", "widened")
            or batch.order_digests is None
            and name == "digests"
        ):
            continue  # the clocked engine's are the event engine's: see test_event.py
        values = getattr(batch, name)
        if name == "digests":
            values = np.stack([batch.order_digests, values], axis=1)
        if values is not None:
            result.update(f"{name} {values.dtype.str} {values.shape}".encode())
            result.update(np.ascontiguousarray(values).tobytes())
    return result.hexdigest()[:16]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_leaves_what_it_always_left(name):
    network, pixels = golden_network()
    options = {"fraction_bits": 20, **RUNS[name]}
    batch = simulate(network, pixels, steps=STEPS, seed=3, neurons=True, **options).batch
    assert batch.spikes[:, :3].sum() > 500
    assert digest_of(batch) == DIGESTS[name]
