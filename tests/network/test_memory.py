"""Memory of a conversion follows its weights: joined flat vectors are never held as one square."""

import tracemalloc

import numpy as np
import pytest
from support.networks import Builder

from eventsnn import convert, simulate
from eventsnn.network import check, linear

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 2, 24, 24)).astype(np.uint8)


def joined(through):
    """Two maps, flattened and joined: 5,184 values; `through`: what the Gemm has in front of it."""
    b = Builder(np.random.default_rng(3), (2, 24, 24))
    x = b.activation(b.conv("input", 6, pads=[1, 1, 1, 1]), "QCFS")
    y = b.activation(b.conv(x, 3, pads=[1, 1, 1, 1]), "QCFS")
    flat = [b.add("Flatten", [z]) for z in (x, y, x)]
    z = b.add("Concat", [b.add("Concat", flat[:2]), flat[2]])
    if through:
        z = b.add(through, [z])
    return b.graph(b.gemm(z))


@pytest.mark.parametrize("through", ["", "Identity", "Flatten"])
def test_joined_flat_vectors_take_what_their_weights_take(through):
    graph = joined(through)
    tracemalloc.start()
    network = convert(graph)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    weights = sum(p.map.weights.nbytes for p in network.projections)
    assert weights < 2e6
    assert peak < 30e6  # the square of 8,640 values would be 600 MB
    assert check.check(network, PIXELS)[0] < 1e-5
    assert {(p.source, p.target) for p in network.projections} >= {(0, 2), (1, 2)}


def test_a_joined_flat_vector_may_fire():
    b = Builder(np.random.default_rng(3), (2, 4, 4))
    x = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS")
    y = b.activation(b.conv(x, 2, pads=[1, 1, 1, 1]), "QCFS")
    z = b.activation(b.add("Concat", [b.add("Flatten", [each]) for each in (x, y)]), "QCFS")
    network = convert(b.graph(b.gemm(z)))
    assert check.check(network, PIXELS[..., :4, :4])[0] < 1e-5
    assert sum(p.map.synapses for p in network.projections if p.target == 2) == 3 * 16 + 2 * 16


@pytest.mark.parametrize("at_once", [1, 1000, 2**26])
def test_products_of_blocks_are_the_same_in_any_portions(monkeypatch, at_once):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 2, 3, 4)), rng.normal(size=(7, 2, 4, 6))
    i, j = rng.integers(5, size=40), rng.integers(7, size=40)
    monkeypatch.setattr(linear, "AT_ONCE", at_once)
    assert np.array_equal(linear._multiplied(a, b, i, j), np.matmul(a[i], b[j]))


def test_branches_of_a_concat_hold_only_the_channels_that_they_reach():
    """As in a DenseNet: each layer hears all before it, through a normalisation of all channels."""
    b = Builder(np.random.default_rng(3), (2, 8, 8))
    features = [b.activation(b.conv("input", 4, pads=[1, 1, 1, 1]), "QCFS")]
    for _ in range(3):
        joined = b.add("Concat", features) if len(features) > 1 else features[0]
        hidden = b.activation(b.bn(joined), "QCFS")
        features.append(b.conv(hidden, 4, pads=[1, 1, 1, 1]))
    last = b.activation(b.bn(b.add("Concat", features)), "QCFS")
    network = convert(b.graph(b.gemm(b.add("Flatten", [last]))))
    assert check.check(network, PIXELS[..., :8, :8])[0] < 1e-5
    into = [p.map for p in network.projections if p.target == len(network.layers) - 2]
    assert [(m.at, m.total) for m in into] == [(0, 16), (4, 16), (8, 16), (12, 16)]
    assert all(m.exists is None and m.weights.shape[3] in (1, 4) for m in into)
    whole = [m.whole() for m in into]
    assert all(np.array_equal(m.dense(), w.dense()) for m, w in zip(into, whole))
    assert [w.synapses for w in whole] == [m.synapses for m in into]
    images = PIXELS[..., :8, :8]
    clocked = simulate(network, images, steps=3, neurons=True).batch
    event = simulate(network, images, steps=3, engine="event", order="clocked", neurons=True).batch
    for name in ("spikes", "operations", "readout", "counts", "potentials", "ties"):
        assert np.array_equal(getattr(clocked, name), getattr(event, name)), name
    assert clocked.spikes[:, -2].sum() > 0
