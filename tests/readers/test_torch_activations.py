"""Activations of PyTorch that let values below 0 pass, against PyTorch: pytest -m frameworks."""

import numpy as np
import pytest

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError

pytestmark = pytest.mark.frameworks
torch = pytest.importorskip("torch")
from support.torch_reading import Function, deviation  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

HALVES = "Relu BatchNormalization Relu BatchNormalization Add"
CLIPS = "Clip BatchNormalization Clip BatchNormalization Add"
# name: (module, operators that come out)
ACTIVATIONS = {
    "leaky": (nn.Sequential(nn.LeakyReLU(0.2), nn.LeakyReLU(inplace=True)), f"{HALVES} {HALVES}"),
    "one slope": (nn.PReLU(), HALVES),
    "slopes": (nn.PReLU(2), HALVES),
    "random slopes": (nn.RReLU(), HALVES),
    "hardtanh": (nn.Hardtanh(-0.5, 2), CLIPS),
    "hardsigmoid": (nn.Hardsigmoid(), "BatchNormalization BatchNormalization Clip"),
    "softshrink": (
        nn.Softshrink(0.3),
        "BatchNormalization Relu BatchNormalization BatchNormalization Relu BatchNormalization Add",
    ),
    "threshold": (nn.Threshold(0, 0), "Relu"),
    "functions": (
        Function(lambda x: F.leaky_relu(abs(x) - x.abs(), 0.3) - F.prelu(x, torch.ones(2) / 3)),
        None,
    ),
    "in place": (Function(lambda x: F.leaky_relu_(x.clone(), 0.3)), f"Identity {HALVES}"),
    "clips": (
        Function(lambda x: x.clamp(-1, 2) + x.clamp(max=1) + x.clamp(-2, -1) + x.clamp_max(-0.1)),
        None,
    ),
    "negative": (Function(lambda x: F.relu(-x) + torch.neg(x)), None),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_pytorchs(name):
    module, operators = ACTIVATIONS[name]
    difference, graph = deviation(module, (2, 6, 8))
    assert difference < 1e-6
    assert operators is None or [node.op for node in graph.nodes] == operators.split()


@pytest.mark.parametrize(
    "module", [nn.GELU(), nn.SiLU(), nn.ELU(), nn.Hardswish(), nn.Tanh(), Function(F.softplus)]
)
def test_smooth_activations_are_refused_with_what_the_papers_do(module):
    with pytest.raises(InputError, match="the papers train with ReLU in its place"):
        eventsnn.load_torch(nn.Sequential(module, nn.ReLU()), (2, 6, 8))


def spirals(count, rng):
    """Points [count, 2] on three arms, float32, and the arm of each."""
    arm = rng.integers(3, size=count)
    along = rng.uniform(0.1, 1, count)
    angle = 4 * along + arm * 2 * np.pi / 3 + rng.normal(0, 0.1, count)
    points = np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1)
    return points.astype(np.float32), arm


def test_a_network_trained_with_leaky_relu_keeps_its_accuracy():
    rng = np.random.default_rng(0)
    points, arms = spirals(1500, rng)
    torch.manual_seed(0)
    layers = [nn.Linear(2, 32), nn.LeakyReLU(0.1), nn.Linear(32, 32), nn.PReLU(32)]
    net = nn.Sequential(*layers, nn.Linear(32, 3))
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(250):
        loss = F.cross_entropy(net(torch.from_numpy(points)), torch.from_numpy(arms))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    graph = eventsnn.load_torch(net, (2,))
    tests, labels = spirals(300, rng)
    pixels = tests.reshape(-1, 2, 1, 1)
    accuracy = (ann.classes_of(ann.logits(graph, pixels)) == labels).mean()
    network = eventsnn.convert(graph, thresholds="max", calibration=points)
    result = eventsnn.simulate(network, tests, steps=1024, neuron="if", pixel_range=(-2, 2))
    found = (ann.classes_of(result.readout()) == labels).mean()
    assert accuracy > 0.95 and abs(found - accuracy) <= 0.01
