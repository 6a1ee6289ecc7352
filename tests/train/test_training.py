"""Training itself: it learns, goes on after a kill as if nothing had been, and refuses in words."""

import re

import numpy as np
import pytest
from support.pictures import bright_rows

import eventsnn
from eventsnn.ann.forward import predict
from eventsnn.exceptions import InputError
from eventsnn.train import command, files

torch = pytest.importorskip("torch", exc_type=ImportError)
from eventsnn.train import loop  # noqa: E402 (they need torch)
from eventsnn.train.augmenting import augmented, generator  # noqa: E402
from eventsnn.train.networks import network  # noqa: E402
from eventsnn.train.schedule import rate  # noqa: E402

pytestmark = pytest.mark.frameworks


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


@pytest.fixture
def data(tmp_path):
    return bright_rows(tmp_path / "images.npz")


def run(data, out, *options, status=0):
    given = ["--data", data, "--out", str(out), "--threads", "1", "--precision", "float32"]
    small = ["--arch", "resnet8", "--width", "0.25", "--batch", "16", "--augment", "flip"]
    assert command.main([*given, *small, *options]) == status


@pytest.mark.parametrize("activation", ["relu", "qcfs:4", "tcl", "lsq:4", "slip:4", "rnl", "rts:8"])
def test_it_learns_and_its_network_is_read_back(data, tmp_path, activation, capsys):
    run(data, tmp_path / "out", "--activation", activation, "--epochs", "6", "--rate", "0.05")
    said = re.search(r"network.h5: test accuracy ([0-9.]+)", capsys.readouterr().out)
    net = eventsnn.load(tmp_path / "out" / "network.h5")
    found = eventsnn.load_images(data)
    outputs = predict(net, found.pixels)
    accuracy = (outputs.argmax(1) == found.labels).mean()
    assert accuracy == pytest.approx(float(said[1]), abs=0.04)
    assert accuracy > (0.3 if activation == "rnl" else 0.7)
    assert net.meta["activation"] == activation
    assert net.meta["test_accuracy"] == pytest.approx(float(said[1]), abs=1e-4)
    assert (tmp_path / "out" / "curves.csv").read_text().count("\n") == 7
    assert (tmp_path / "out" / "norm_factors.csv").exists() == (activation != "relu")


def parameters(out):
    with np.errstate(all="raise"):
        return eventsnn.load(out / "network.h5").hash


@pytest.mark.parametrize("stopped_at", [3, 9])
def test_after_a_kill_it_goes_on_to_the_same_bits(data, tmp_path, stopped_at, monkeypatch):
    """There are 6 steps an epoch: the third is in the first one, the ninth in the second."""
    options = ["--activation", "qcfs:4", "--epochs", "3", "--rate", "0.05", "--augment", "cutout"]
    run(data, tmp_path / "whole", *options)
    monkeypatch.setattr(loop, "SAVED", -1)  # after every step
    steps = []
    step = loop.Training._step

    def stopping(self, *given):
        steps.append(1)
        if len(steps) == stopped_at:
            raise KeyboardInterrupt
        step(self, *given)

    monkeypatch.setattr(loop.Training, "_step", stopping)
    run(data, tmp_path / "out", *options, status=130)
    assert not (tmp_path / "out" / "network.h5").exists()
    run(data, tmp_path / "out", *options)
    assert len(steps) == 1 + 3 * 6
    assert parameters(tmp_path / "out") == parameters(tmp_path / "whole")
    curves = [np.genfromtxt(tmp_path / f / "curves.csv", delimiter=",", names=True)
              for f in ("out", "whole")]  # fmt: skip
    for name in ("training_loss", "training_accuracy", "test_loss", "test_accuracy"):
        assert np.array_equal(curves[0][name], curves[1][name])


def test_a_seed_decides_all(data, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(data, tmp_path / name, "--epochs", "1", "--seed", str(seed))
    a, b, c = (parameters(tmp_path / name) for name in "abc")
    assert a == b != c


def test_another_network_is_not_gone_on_with(data, tmp_path, capsys):
    run(data, tmp_path / "out", "--epochs", "1", "--activation", "qcfs:4")
    before = (tmp_path / "out" / "state.pt").read_bytes()
    for options, words in (
        (["--activation", "qcfs:8"], "activation 'qcfs:8', found one with 'qcfs:4'"),
        (["--activation", "qcfs:4", "--seed", "7"], "seed 7"),
    ):
        run(data, tmp_path / "out", "--epochs", "1", *options, status=2)
        said = capsys.readouterr().err
        assert words in said and "--out" in said and said.count("\n") == 1
    other = bright_rows(tmp_path / "other.npz", train=48)
    run(other, tmp_path / "out", "--epochs", "1", "--activation", "qcfs:4", status=2)
    assert "other ones" in capsys.readouterr().err
    assert (tmp_path / "out" / "state.pt").read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "text", "other"])
def test_a_damaged_state_is_refused_in_one_line(data, tmp_path, damage, capsys):
    run(data, tmp_path / "out", "--epochs", "1")
    path = tmp_path / "out" / "state.pt"
    if damage == "other":
        torch.save({"format": "x"}, path)
    else:
        path.write_bytes(path.read_bytes()[:1000] if damage == "cut" else b"no state")
    run(data, tmp_path / "out", "--epochs", "1", status=2)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_state_runs_no_code(data, tmp_path, capsys):
    import pickle

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "written"), "w")

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "state.pt").write_bytes(pickle.dumps(Evil()))
    run(data, tmp_path / "out", "--epochs", "1", status=2)
    assert not (tmp_path / "written").exists()


def test_a_loss_that_is_no_number_stops_it_and_says_when(data, tmp_path, capsys):
    run(data, tmp_path / "out", "--epochs", "3", "--rate", "1000", "--activation", "relu", status=2)
    said = capsys.readouterr().err
    assert re.search(r"epoch \d, step \d+: expected a loss that is a number", said)
    assert said.count("\n") == 1 and not (tmp_path / "out" / "network.h5").exists()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"y_train": None}, "labels of the train images, found none"),
        ({"y_test": None}, "labels of the test images, found none"),
        ({"y_test": np.arange(32)}, "classes 0 to 2"),
        ({"y_train": np.zeros(96, int), "y_test": np.zeros(32, int)}, "two classes or more"),
        ({"x_test": np.zeros((32, 3, 9, 9), np.uint8)}, "of one shape"),
    ],
    ids=range(5),
)
def test_data_that_do_not_fit_are_refused(tmp_path, changes, words, capsys):
    data = bright_rows(tmp_path / "images.npz", **changes)
    run(data, tmp_path / "out", "--epochs", "1", status=2)
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_it_begins_with_another_networks_weights(data, tmp_path, capsys):
    run(data, tmp_path / "relu", "--epochs", "6", "--activation", "relu", "--rate", "0.05")
    start = str(tmp_path / "relu" / "network.h5")
    options = ["--epochs", "1", "--rate", "1e-6", "--start", start]
    for activation in ("tcl", "qcfs:8", "lsq:8", "slip:8", "rts:8"):
        capsys.readouterr()
        run(data, tmp_path / activation, *options, "--activation", activation)
        said = capsys.readouterr().out
        assert "7 thresholds from its activations" in said
        assert float(re.search(r"network.h5: test accuracy ([0-9.]+)", said)[1]) > 0.6
    run(data, tmp_path / "other", *options, "--width", "0.5", status=2)
    assert "same architecture" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arch, size, stem",
    [
        ("lenet", 12, "auto"),
        ("lenet", 28, "auto"),
        ("resnet8", 28, "auto"),
        ("resnet18", 32, "auto"),
        ("resnet20", 32, "cifar"),
        ("resnet34", 64, "imagenet"),
        ("resnet50", 96, "auto"),
        ("vgg16", 32, "auto"),
        ("vgg16", 28, "auto"),
        ("vgg16", 96, "auto"),
        ("mobilenet", 32, "auto"),
        ("mobilenet", 96, "imagenet"),
    ],
)
@pytest.mark.parametrize("text", ["relu", "qcfs:4"])
def test_every_architecture_becomes_a_graph(arch, size, stem, text):
    from eventsnn.train.activations import activation

    net = network(arch, lambda: activation(text), (3, size, size), 10, 0.0625, stem).eval()
    graph = eventsnn.load_torch(net, (3, size, size))
    assert graph.shapes[graph.output] == (10,)
    weights = sum(node.op in ("Conv", "Gemm") for node in graph.nodes)
    plain = {
        "lenet": 5,
        "resnet8": 8,
        "resnet18": 18,
        "resnet20": 20,
        "resnet34": 34,
        "resnet50": 50,
    }
    shortcuts = {"resnet8": 2, "resnet18": 3, "resnet20": 2, "resnet34": 3, "resnet50": 4}
    if arch in plain:
        assert weights == plain[arch] + shortcuts.get(arch, 0)
    assert weights == 28 or arch != "mobilenet"


def test_sizes_are_those_of_the_papers():
    """LeNet-5 on 28 pixels with all maps joined has 61,706 (61.7 thousand) parameters; ResNet-20
    has 0.27 million (He et al. 2016, Table 6), MobileNet 4.2 (Howard et al., Table
    8), ResNet-50 25.6, VGG-16 138 million parameters.
    """
    with torch.device("meta"):
        lenet = network("lenet", torch.nn.ReLU, (1, 28, 28), 10, 1.0, "auto")
    assert sum(p.numel() for p in lenet.parameters()) == 61_706
    for arch, stem, size, classes, millions in (
        ("resnet20", "cifar", 32, 10, 0.27),
        ("mobilenet", "imagenet", 224, 1000, 4.2),
        ("resnet50", "imagenet", 224, 1000, 25.6),
        ("resnet18", "imagenet", 224, 1000, 11.7),
        ("resnet34", "imagenet", 224, 1000, 21.8),
        ("vgg16", "imagenet", 224, 1000, 138.4),
    ):
        with torch.device("meta"):
            net = network(arch, torch.nn.ReLU, (3, size, size), classes, 1.0, stem)
        count = sum(p.numel() for p in net.parameters()) / 1e6
        assert count == pytest.approx(millions, rel=0.02), arch


def test_images_that_are_too_small_for_lenet_are_refused():
    with pytest.raises(InputError, match="12 x 12 pixels or more for lenet, found 11 x 28"):
        network("lenet", torch.nn.ReLU, (1, 11, 28), 10, 1.0, "auto")


@pytest.mark.parametrize("how", ["none", "flip", "crop", "cutout", "autoaugment"])
def test_augmentation_is_the_same_for_the_same_seed(how):
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (64, 3, 16, 16), np.uint8))
    a, b = (augmented(pixels, how, generator(1, 2, 3)) for _ in range(2))
    c = augmented(pixels, how, generator(1, 2, 4))
    assert a.dtype == torch.uint8 and a.shape == pixels.shape and torch.equal(a, b)
    assert torch.equal(a, c) == (how == "none")


def test_autoaugment_wants_colours(tmp_path, capsys):
    data = bright_rows(tmp_path / "grey.npz", channels=1)
    run(data, tmp_path / "out", "--augment", "autoaugment", "--epochs", "1", status=2)
    assert "3 channels" in capsys.readouterr().err


def test_schedules():
    assert [rate("steps", e, 200) for e in (0, 99, 100, 150)] == pytest.approx([1, 1, 0.1, 0.01])
    assert rate("cosine", 0, 10) == 1 and rate("cosine", 5, 10) == pytest.approx(0.5)
    assert rate("onecycle", 25, 100) == 1 > rate("onecycle", 0, 100)
    assert rate("constant", 7, 10) == 1


def test_precision_is_timed_once_and_kept(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loop.Training, "_timed", lambda self, kind: {"float32": 2}.get(kind, 1))
    run(data, tmp_path / "out", "--epochs", "1", "--precision", "auto")
    assert "precision: bfloat16" in capsys.readouterr().out
    found = torch.load(tmp_path / "out" / files.STATE, weights_only=True)
    assert found["progress"]["precision"] == "bfloat16"
    assert files.NETWORK in [path.name for path in (tmp_path / "out").iterdir()]


def test_thresholds_have_an_l2_coefficient_of_their_own():
    """TCL eq. 11: lambda <- lambda - rate alpha lambda, where the loss does not depend on it."""
    from eventsnn.train.activations import Clipping
    from eventsnn.train.recipe import made

    layer = torch.nn.Sequential(torch.nn.Linear(2, 2), Clipping(4.0))
    recipe = made({"activation": "tcl", "lambda_decay": 0.25, "weight_decay": 0.0})
    optimiser = torch.optim.SGD(loop.groups(layer, recipe), lr=0.1)
    (0 * layer(torch.ones(1, 2)).sum()).backward()
    weights = layer[0].weight.detach().clone()
    optimiser.step()
    assert layer[1].threshold.item() == pytest.approx(4 - 0.1 * 0.25 * 4)
    assert torch.equal(layer[0].weight, weights)


def test_errors_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="package|folder|train"):
        command.train(command.given(["--data", str(tmp_path), "--out", str(tmp_path / "o")]))


@pytest.mark.parametrize(
    "changes",
    [{"epoch": "two"}, {"step": 99}, {"epoch": 7}, {"curves": [3]}, {"curves": 3}, {"more": 1}],
    ids=range(6),
)
def test_a_state_whose_progress_is_none_is_refused(data, tmp_path, capsys, changes):
    run(data, tmp_path / "out", "--epochs", "2", "--limit", "32")
    path = tmp_path / "out" / files.STATE
    found = torch.load(path, weights_only=True)
    found["progress"] |= changes
    torch.save(found, path)
    run(data, tmp_path / "out", "--epochs", "2", "--limit", "32", status=2)
    said = capsys.readouterr().err
    assert "the state of this network" in said and said.count("\n") == 1


def test_another_number_of_threads_is_said(data, tmp_path, capsys, monkeypatch):
    run(data, tmp_path / "out", "--epochs", "1", "--limit", "32")
    given = ["--data", data, "--out", str(tmp_path / "out"), "--precision", "float32"]
    small = ["--arch", "resnet8", "--width", "0.25", "--batch", "16", "--augment", "flip"]
    more = ["--epochs", "1", "--limit", "32", "--threads", "2"]
    assert command.main([*given, *small, *more]) == 0
    assert "2 threads, 1 before" in capsys.readouterr().out


@pytest.mark.parametrize("activation", ["relu", "qcfs:4", "tcl", "lsq:4", "slip:4", "rnl", "rts:8"])
def test_every_activation_can_begin_with_a_trained_network(data, tmp_path, activation, capsys):
    run(data, tmp_path / "relu", "--activation", "relu", "--epochs", "1")
    start = str(tmp_path / "relu" / "network.h5")
    more = ["--activation", activation, "--epochs", "1", "--rate", "1e-6", "--start", start]
    run(data, tmp_path / "out", *more)
    assert f"begun with {start}" in capsys.readouterr().out
    start = str(tmp_path / "out" / "network.h5")  # and with one of its own
    run(data, tmp_path / "again", *more[:-1], start)
    assert f"begun with {start}" in capsys.readouterr().out
