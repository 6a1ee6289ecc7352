"""What an output means: classes, one class against another, or a map without classes."""

import numpy as np
import pytest
from support.networks import Builder, declared

from eventsnn import InputError, convert, open_results
from eventsnn.ann import forward as ann
from eventsnn.readers import write_native
from eventsnn.runs.pipeline import run
from eventsnn.settings import Settings
from eventsnn.studies.certified import certify
from eventsnn.studies.surgery import costs


def of_one_output(seed=0):
    b = Builder(np.random.default_rng(seed), (2, 5, 5))
    x = b.add("Relu", [b.conv("input", 4)])
    x = b.add("Relu", [b.conv(x, 4)])
    graph = b.graph(b.gemm(b.add("Flatten", [x]), 1))
    pixels = declared(np.random.default_rng(seed + 1).normal(size=(40, 2, 5, 5)).astype(np.float32))
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


def of_a_map(seed=0, channels=3, end=""):
    b = Builder(np.random.default_rng(seed), (2, 5, 5))
    x = b.conv(b.add("Relu", [b.conv("input", 4)]), channels, 2)
    graph = b.graph(b.add(end, [x]) if end else x)
    return graph, declared(np.random.default_rng(seed).normal(size=(6, 2, 5, 5)).astype(np.float32))


def test_a_flattened_map_has_the_anns_order_of_classes():
    graph, pixels = of_a_map(end="Flatten")
    network = convert(graph, thresholds="max", calibration=pixels)
    logits = ann.logits(graph, pixels)
    labels = ann.classes_of(logits)
    result = network.run(pixels, labels=labels, steps=512)
    assert network.readout.grid == (12, 1, 1) and result.accuracy() == 1
    assert np.abs(result.readout() - logits).max() < 0.02


def test_a_map_has_no_classes():
    graph, pixels = of_a_map()
    network = convert(graph, thresholds="max", calibration=pixels)
    result = network.run(pixels, labels=np.arange(6), steps=512)
    assert result.labels is None and "accuracy" not in repr(result)
    assert all("accuracy" not in row for row in result.table())
    logits = ann.by_neuron(ann.logits(graph, pixels))
    assert np.abs(result.readout() - logits).max() < 0.02
    for wrong in (result.predictions, result.accuracy, lambda: certify(network, pixels)):
        with pytest.raises(InputError, match="a map of 3x2x2"):
            wrong()
    with pytest.raises(InputError, match="a map of 3x2x2"):
        costs(network, pixels, labels=np.zeros(6, int))


@pytest.mark.parametrize("channels", (1, 3))
def test_a_run_of_a_map_is_written_without_accuracy(channels, tmp_path, capsys):
    graph, pixels = of_a_map(channels=channels)
    write_native(graph, tmp_path / "net.h5")
    images = dict(x_test=pixels, y_test=np.arange(6), x_train=pixels + 1, y_train=np.arange(6))
    np.savez(tmp_path / "data.npz", **images, pixel_range=(-5, 5))
    out = tmp_path / "out"
    where = {"net": str(tmp_path / "net.h5"), "data": str(tmp_path / "data.npz"), "out": str(out)}
    summary = run(Settings(**where, steps=256))
    assert summary["ann_accuracy"] is None and set(summary["snn_accuracy"].values()) == {None}
    assert f"a map of {channels}x2x2, without classes" in capsys.readouterr().out
    result = open_results(out)
    wanted = ann.logits(graph, pixels)
    error = result.read("readout")[:, -1] * 1.0
    assert result.read("images/ann_output").shape == wanted.shape and error.shape[1] == channels * 4
    assert 0 < summary["readout_mse"]["256"] < 0.01 < summary["readout_mse"]["1"]
    assert summary["agreement_with_ann"]["256"] > 0.9
    found = error.reshape(6, 4, channels).transpose(0, 2, 1).reshape(wanted.shape)
    same = (found > 0) == (wanted > 0)
    if channels > 1:
        same = found.argmax(axis=1) == wanted.argmax(axis=1)
    assert summary["agreement_with_ann"]["256"] == pytest.approx(same.mean())
