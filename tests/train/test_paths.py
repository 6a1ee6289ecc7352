"""Paths-ensemble training, soft labels and rerouted residual connections (SpikeZIP 3.3, 3.4)."""

import numpy as np
import pytest
from support.pictures import bright_rows

import eventsnn
from eventsnn.ann.forward import forward, predict
from eventsnn.network.passes import reroute
from eventsnn.train import command

torch = pytest.importorskip("torch", exc_type=ImportError)
from eventsnn.train import loop  # noqa: E402 (they need torch)
from eventsnn.train.activations import QRelu, activation  # noqa: E402
from eventsnn.train.networks import network  # noqa: E402
from eventsnn.train.paths import Paths  # noqa: E402
from eventsnn.train.sets import load_sets  # noqa: E402
from eventsnn.train.teacher import Teacher  # noqa: E402

pytestmark = pytest.mark.frameworks
SMALL = ["--arch", "resnet8", "--width", "0.25", "--batch", "16", "--augment", "flip"]
FIXED = ["--threads", "1", "--precision", "float32"]


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
    given = ["--data", data, "--out", str(out), *FIXED, *SMALL]
    assert command.main([*given, *options]) == status


def small(reroute=False, text="lsq:8"):
    torch.manual_seed(3)
    make = lambda: activation(text)  # noqa: E731
    return network("resnet8", make, (3, 8, 8), 3, 0.25, "cifar", reroute)


def test_sub_paths_quantise_by_eq_4():
    net = small()
    paths = Paths(net, (8, 4, 2))
    y = torch.linspace(-1, 6, 57)
    layer = net.act1.eval()
    layer.scale.data.fill_(0.5)
    for path, n in enumerate((8, 4, 2)):
        paths.select(path)
        scale = 8 * 0.5 / n
        expected = scale * torch.floor(n * y / (8 * 0.5) + 0.5).clamp(0, n)
        assert torch.allclose(layer(y), expected)


def test_the_scale_is_one_for_all_paths_with_the_gradient_of_eq_4():
    layer = QRelu(8)
    layer.begun.fill_(True)
    layer.path_levels, layer.path_factor = 2, 8 / 2
    y = torch.linspace(-1, 9, 23)[:, None].clone()
    layer(y).sum().backward()
    scale = 8 / 2  # of the sub-path, at s = 1
    share = (y / scale).clamp(0, 2)
    inside = (share > 0) & (share < 2)
    of_scale = torch.where(inside, torch.floor(share + 0.5) - share, share.where(share >= 2, 0 * y))
    assert layer.scale.grad.item() == pytest.approx(of_scale.sum().item() * 4 / 2**0.5, rel=1e-5)


def test_paths_have_statistics_of_their_own_and_share_gamma_and_beta():
    net = small().train()
    paths = Paths(net, (8, 4, 2))
    x = torch.randn(16, 3, 8, 8)
    found = []
    for path in range(3):
        paths.select(path)
        net(x)
        found.append(net.blocks[0].bn1.running_mean)
    assert len({mean.data_ptr() for mean in found}) == 3
    assert not torch.equal(found[0], found[2])
    names = [name for name, _ in net.named_parameters()]
    assert names == [name for name, _ in small().named_parameters()]
    assert [paths.weight(path, 0.5) for path in range(3)] == [1, 0.25, 0.125]  # eq. 6


def test_the_gradient_is_that_of_the_whole_loss_of_eq_6(data):
    """Paths are taken one after another, backward too."""
    from eventsnn.train.recipe import made

    recipe = made({"activation": "lsq:8", "arch": "resnet8", "width": 0.25, "batch": 96,
                   "paths": (8, 4, 2), "augment": "none", "momentum": 0.0, "weight_decay": 0.0,
                   "lambda_decay": 0.0, "rate": 1.0, "schedule": "constant", "epochs": 1,
                   "precision": "float32"})  # fmt: skip
    sets = load_sets(data, None)
    training = loop.Training(recipe, sets, data_folder(data), "cpu", lambda line: None)
    net, paths = training.module, training.paths
    net.train()
    x, labels = sets.prepared(sets.train), sets.train_labels
    paths.select(0)
    net(x)  # begins the scales
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    losses = []
    for path in range(3):
        paths.select(path)
        losses.append(torch.nn.functional.cross_entropy(net(x), labels))
    whole = losses[0] + 4 / 8 * losses[1] + 2 / 8 * losses[2]
    gradients = torch.autograd.grad(whole, list(net.parameters()))
    training._step(torch.arange(len(x)), 0)
    for (name, value), gradient in zip(net.named_parameters(), gradients):
        assert torch.allclose(before[name] - value, gradient, atol=1e-5), name


def test_ways_of_sharing_are_those_of_table_5():
    x = torch.randn(16, 3, 8, 8)
    net = small().train()
    paths = Paths(net, (8, 2), "identical", "identical")
    paths.select(1)
    net(x)
    layer, mean = net.act1, net.bn1.running_mean.clone()
    assert layer(10 * torch.ones(1, 1)).item() == pytest.approx(2 * layer.scale.item())
    paths.select(0)
    assert torch.equal(net.bn1.running_mean, mean) and not list(paths.parameters())
    net = small().train()
    paths = Paths(net, (8, 2), "independent", "independent")
    paths.select(1)
    net(x).sum().backward()
    own = paths.scale_0_1
    assert own.item() == pytest.approx(4 * net.act1.scale.item())
    assert own.grad is not None and net.act1.scale.grad is None
    assert paths.weight_0_1.grad is not None
    paths.select(0)
    assert net.bn1.weight.grad is None and net.bn1.weight is not paths.weight_0_1
    names = [name for name, _ in net.named_parameters() if not name.startswith("paths.")]
    assert names == [name for name, _ in small().named_parameters()]


def data_folder(data):
    from pathlib import Path

    return Path(data).parent


@pytest.mark.parametrize("more", [[], ["--scales", "independent", "--norms", "independent"]])
def test_an_ensemble_with_a_teacher_goes_on_to_the_same_bits(data, tmp_path, monkeypatch, more):
    run(data, tmp_path / "relu", "--activation", "relu", "--epochs", "5", "--rate", "0.05")
    start = str(tmp_path / "relu" / "network.h5")
    options = ["--activation", "lsq:8", "--paths", "8,4,2", "--teacher", start, "--start", start]
    options += ["--epochs", "2", "--rate", "0.01", *more]
    run(data, tmp_path / "whole", *options)
    net = eventsnn.load(tmp_path / "whole" / "network.h5")
    assert {node.attrs["levels"] for node in net.activations} == {8}
    found = eventsnn.load_images(data)
    assert (predict(net, found.pixels).argmax(1) == found.labels).mean() > 0.7
    monkeypatch.setattr(loop, "SAVED", -1)
    steps, step = [], loop.Training._step

    def stopping(self, *given):
        steps.append(1)
        if len(steps) == 8:
            raise KeyboardInterrupt
        step(self, *given)

    monkeypatch.setattr(loop.Training, "_step", stopping)
    run(data, tmp_path / "out", *options, status=130)
    run(data, tmp_path / "out", *options)
    assert eventsnn.load(tmp_path / "out" / "network.h5").hash == net.hash


@pytest.mark.parametrize("text", ["relu", "tcl", "qcfs:4", "lsq:4", "slip:4"])
def test_a_teacher_gives_what_the_graph_gives(data, text, tmp_path):
    net = small(text=text).eval()
    graph = eventsnn.load_torch(net, (3, 8, 8), preprocessing={"scale": 1 / 255})
    eventsnn.save(graph, tmp_path / "net.h5")
    sets = load_sets(data, None)
    teacher = Teacher(str(tmp_path / "net.h5"), sets, torch.device("cpu"))
    outputs = forward(graph, graph.preprocessing(sets.test.numpy()))[graph.output]
    expected = torch.from_numpy(outputs).softmax(1)
    assert torch.allclose(teacher(sets.test), expected, atol=1e-5)


def test_teachers_that_do_not_fit_are_refused(data, tmp_path, capsys):
    run(data, tmp_path / "out", "--teacher", "sample", "--epochs", "1", status=2)
    assert "a network for [3, 8, 8]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, words",
    [
        (["--paths", "8,4,2"], "the levels of lsq:L"),
        (["--paths", "4,2", "--activation", "lsq:8"], "the levels of lsq:L"),
        (["--paths", "8,8", "--activation", "lsq:8"], "fewer and fewer"),
        (["--paths", "8", "--activation", "lsq:8"], "fewer and fewer"),
        (["--paths", "8,x", "--activation", "lsq:8"], "whole numbers"),
        (["--alpha", "2"], "an option with an effect"),
        (["--scales", "identical"], "an option with an effect"),
        (["--labels", "hard"], "an option with an effect"),
        (["--residual", "reroute", "--arch", "vgg16"], "an arch with shortcuts"),
    ],
)
def test_ensembles_that_cannot_be_are_refused(options, words, capsys):
    assert command.main(["--data", "x", "--out", "y", *options]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_rerouted_training_is_what_rerouting_a_graph_gives():
    plain, moved = small(False, "relu").eval(), small(True, "relu").eval()
    moved.load_state_dict(plain.state_dict())
    ours = eventsnn.load_torch(moved, (3, 8, 8))
    passed, _ = reroute(eventsnn.load_torch(plain, (3, 8, 8)))
    x = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    found = [forward(graph, x)[graph.output] for graph in (ours, passed)]
    assert np.allclose(*found, atol=1e-6)
    assert len(ours.activations) == len(passed.activations) == 7 + 2


def test_what_is_trained_rerouted_converts_and_equals_its_ann_at_rest(data, tmp_path):
    options = ["--activation", "lsq:4", "--residual", "reroute", "--epochs", "2", "--rate", "0.05"]
    run(data, tmp_path / "out", *options)
    net = eventsnn.load(tmp_path / "out" / "network.h5")
    images = eventsnn.load_images(data, limit=4)
    result = eventsnn.simulate(
        eventsnn.convert(net), images, steps=64, neuron="st-bif", encoding="even"
    )
    outputs = predict(net, images.pixels)
    assert (result.predictions() == outputs.argmax(1)).all()
