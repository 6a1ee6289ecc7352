"""A detector is trained, converted, and equals its quantised ANN at rest, box for box."""

import numpy as np
import pytest
from support.pictures import bright_rows

import eventsnn
from eventsnn.ann.forward import predict
from eventsnn.detection import Head
from eventsnn.detection.head import same_boxes
from eventsnn.train import command

torch = pytest.importorskip("torch", exc_type=ImportError)
from eventsnn.train.detector import (  # noqa: E402 (it needs torch)
    Detection,
    load_scenes,
    targets_of,
    truth_of_test,
)

pytestmark = pytest.mark.frameworks


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


@pytest.fixture
def data(tmp_path):
    return bright_rows(tmp_path / "images.npz", channels=1, size=24)


def test_targets_say_where_the_boxes_are(data):
    sets = load_scenes(data, 20)
    head = Head.of_scenes(sets.count)
    assert torch.allclose(targets_of(truth_of_test(sets), head), sets.test_labels, atol=1e-4)
    assert sets.test.shape == (1000, 1, 64, 64) and len(sets.train) == 20


def test_a_loss_is_least_where_outputs_say_the_targets(data):
    sets = load_scenes(data, 8)
    task = Detection(sets)
    outputs = torch.zeros(8, task.head.outputs, requires_grad=True)
    optimiser = torch.optim.Adam([outputs], lr=0.3)
    first = task.loss(outputs, sets.train_labels).item()
    for _ in range(200):
        optimiser.zero_grad()
        loss = task.loss(outputs, sets.train_labels)
        loss.backward()
        optimiser.step()
    # places inside a cell are cross-entropies, which do not go to 0
    assert loss.item() < first / 5 and task.right(outputs.detach(), sets.train_labels) == 8
    found = task.head.boxes(outputs.detach().numpy(), least=0.5)
    truth = [np.sort(x[x[:, 0] >= 0][:, 7].numpy()) for x in sets.train_labels]
    assert [np.sort(each.classes).tolist() for each in found] == [x.tolist() for x in truth]


def test_it_trains_and_the_spiking_network_at_rest_gives_the_same_boxes(data, tmp_path, capsys):
    options = ["--arch", "yolo", "--width", "0.25", "--activation", "lsq:4", "--augment", "none"]
    options += ["--limit", "64", "--epochs", "1", "--batch", "16", "--rate", "0.02"]
    options += ["--threads", "1", "--precision", "float32", "--data", data]
    assert command.main([*options, "--out", str(tmp_path / "out")]) == 0
    assert "mAP at 0.5" in capsys.readouterr().out
    net = eventsnn.load(tmp_path / "out" / "network.h5")
    assert "test_accuracy" not in net.meta
    sets = load_scenes(data, 8)
    head = Head.of_scenes(sets.count)
    pixels = sets.test[:2].numpy()
    expected = head.boxes(predict(net, pixels), least=0.01)
    assert sum(map(len, expected)) > 0
    network = eventsnn.convert(net)
    event = {"engine": "event", "refractory": 1.0}
    orders = [{**event, "order": order} for order in ("fifo", "lifo", "random")]
    for more in ({}, *orders):
        result = network.run(pixels, steps=64, neuron="st-bif", encoding="even", **more)
        assert same_boxes(head.boxes(result.readout(), least=0.01), expected, within=1e-4)


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "--augment: expected none with --arch yolo"),
        (["--augment", "none", "--teacher", "x"], "--teacher: expected none with --arch yolo"),
    ],
)
def test_what_detectors_do_not_have_is_refused(options, words, capsys):
    given = ["--arch", "yolo", "--data", "x", "--out", "y", *options]
    assert command.main(given) == 2
    assert words in capsys.readouterr().err
