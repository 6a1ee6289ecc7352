"""What an output means: classes, one class against another, or a map without classes."""

import numpy as np
import pytest
from support.networks import Builder

from eventsnn import InputError, convert
from eventsnn.ann import forward as ann
from eventsnn.studies.certified import certify
from eventsnn.studies.surgery import costs


def of_one_output(seed=0):
    b = Builder(np.random.default_rng(seed), (2, 5, 5))
    x = b.add("Relu", [b.conv("input", 4)])
    x = b.add("Relu", [b.conv(x, 4)])
    graph = b.graph(b.gemm(b.add("Flatten", [x]), 1))
    pixels = np.random.default_rng(seed + 1).normal(size=(40, 2, 5, 5)).astype(np.float32)
    middle = np.median(ann.logits(graph, pixels))
    graph.by_name[graph.output].params["C"][:] -= middle
    return graph, pixels


def test_one_output_decides_between_two_classes():
    graph, pixels = of_one_output()
    labels = ann.classes_of(ann.logits(graph, pixels))
    assert np.bincount(labels).tolist() == [20, 20]
    network = convert(graph, thresholds="max", calibration=pixels)
    result = network.run(pixels, labels=labels, steps=128)
    assert np.array_equal(result.predictions(), result.readout()[:, 0] > 0)
    assert result.accuracy() > 0.9
    assert set(result.predictions()) == {0, 1}
    scores = costs(network, pixels, labels=labels, steps=64, counts="ideal")
    assert scores.ann["accuracy"] == 1 and scores.snn["accuracy"] > 0.8
    with pytest.raises(InputError, match="labels 0 and 1, as one output"):
        network.run(pixels, labels=labels + 1, steps=2)


def test_the_class_of_one_output_is_certain_in_every_order_or_not_certified():
    graph, pixels = of_one_output(3)
    network = convert(graph, thresholds="max", calibration=pixels)
    found = certify(network, pixels, steps=4)
    certain = found.classes >= 0
    assert set(found.classes[certain]) == {0, 1} and not certain.all()
    for order in ("fifo", "lifo", "random", "inhibitory_first", "excitatory_first"):
        result = network.run(pixels, steps=4, engine="event", order=order, barrier=True)
        for step in range(1, 5):
            at = certain[:, step - 1]
            ran = result.predictions(step)
            assert np.array_equal(ran[at], found.classes[at, step - 1])
