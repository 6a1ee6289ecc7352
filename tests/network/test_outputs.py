"""What an output means: classes, one class against another, or a map without classes."""

import numpy as np
import pytest
from support.networks import Builder, declared

from eventsnn import Encoding, Graph, Images, InputError, Node, convert, open_results
from eventsnn.ann import forward as ann
from eventsnn.readers import write_native
from eventsnn.runs.pipeline import run
from eventsnn.settings import Settings
from eventsnn.studies.asynchronism import measure
from eventsnn.studies.certified import certify
from eventsnn.studies.errors import decompose
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
    with pytest.raises(InputError, match="labels: .*a map of 3x2x2; leave labels out"):
        network.run(pixels, labels=np.arange(6), steps=512)
    labelled = Images("some", "test", np.arange(6), pixels, np.arange(6), ())
    result = network.run(labelled, steps=512)
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


# W x + b of four pixels, whole eighths: no arithmetic rounds
WEIGHT = np.float32([[0.5, -1, 0.25, 0], [0.125, 0.75, -0.5, 1], [-2, 0.375, 1, 0.5]])
BIAS = np.float32([0.25, -0.5, 1])
IMAGES = np.random.default_rng(5).integers(0, 2, (7, 1, 2, 2)).astype(np.float32)
OUTPUT = IMAGES.reshape(7, 4) @ WEIGHT.T.astype(np.float64) + BIAS


def softmax_regression():
    nodes = (
        Node("flat", "Flatten", ("input",)),
        Node("fc", "Gemm", ("flat",), {"transB": 1}, {"B": WEIGHT, "C": BIAS}),
        Node("softmax", "Softmax", ("fc",)),
    )
    return Graph(nodes, "input", "softmax", (1, 2, 2))


@pytest.mark.parametrize("engine", ("clocked", "event"))
def test_a_network_without_a_hidden_layer_is_its_drive(engine):
    """Each pixel is 0 or 1, so it fires never or in every step where it fires at random."""
    network, classes = convert(softmax_regression()), OUTPUT.argmax(1)
    for encoding in ("constant", "rate"):
        result = network.run(IMAGES, labels=classes, steps=4, engine=engine, encoding=encoding)
        for step in (1, 2, 4):
            assert np.array_equal(result.readout(step), OUTPUT), (encoding, step)
        assert result.accuracy() == 1 and not result.spikes.any() and not result.operations.any()
    even = Encoding(kind="even", release=2)
    for model in ("if", "st-bif"):
        result = network.run(IMAGES, steps=4, engine=engine, encoding=even, neuron=model)
        assert np.array_equal(result.readout(1), OUTPUT / 2)
        assert np.array_equal(result.readout(4), OUTPUT)
    events = [[(0.0, 3, 1), (1.5, 0, -1), (1.5, 2, 1)]]
    encoding = Encoding(kind="events", unit=1.0)
    result = network.run(events, steps=2, engine=engine, encoding=encoding)
    arrived = np.stack([BIAS + WEIGHT[:, 3], BIAS * 2 + WEIGHT @ [-1, 0, 1, 1]])
    found = np.stack([result.readout(step)[0] * step for step in (1, 2)])
    assert np.array_equal(found, arrived)


def test_a_run_without_a_hidden_layer_is_written(tmp_path):
    write_native(softmax_regression(), tmp_path / "net.h5")
    images = dict(x_test=IMAGES, y_test=OUTPUT.argmax(1), x_train=IMAGES, y_train=OUTPUT.argmax(1))
    np.savez(tmp_path / "data.npz", **images)
    where = {"net": str(tmp_path / "net.h5"), "data": str(tmp_path / "data.npz")}
    summary = run(Settings(**where, out=str(tmp_path / "out"), steps=2, quiet=True))
    assert summary["ann_accuracy"] == summary["snn_accuracy"]["1"] == 1
    assert summary["neurons"] == summary["layers"] == summary["spikes_per_image"] == 0
    assert summary["cost_per_image"]["dnisnm_operations"] == WEIGHT.size
    assert summary["cost_per_image"]["counted_operations"] == 0
    assert (tmp_path / "out/accuracy.png").is_file()
    assert not (tmp_path / "out/rates.png").exists()  # of no neurons


def test_what_needs_neurons_says_that_there_are_none():
    network = convert(softmax_regression())
    trace = network.run(IMAGES, steps=2, engine="event").trace()
    assert not len(trace.spikes) and not len(trace.deliveries)
    for study in (certify, decompose, measure):
        with pytest.raises(InputError, match="network with neurons, found a readout that hears"):
            study(network, IMAGES, steps=2)
    with pytest.raises(InputError, match="network with neurons.*readout='fires'"):
        costs(network, IMAGES, steps=2, labels=OUTPUT.argmax(1))
