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
    "inhibitory_first": {"engine": "event", "order": "inhibitory_first"},
}
DIGESTS = {
    "if": "b9751d3ad5544b1d",
    "snm": "7c1df5f2c86e0f41",
    "gn": "363bf9005ba7a068",
    "srp": "760bbe8c18834a52",
    "rate": "50861c0970124ff1",
    "float64": "e3c84447b6c8c0cf",
    "fifo": "91ed7cdd88593597",
    "random": "4987d70f33dcf1da",
    "inhibitory_first": "9bc42cf85d3e8414",
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
        values = getattr(batch, name)
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
