"""Cases from public reports: PyTorch's modules."""

import pytest
from support.cases import agrees, random, read_or_refused

import eventsnn

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


class Small(nn.Module):
    """One convolution and one linear layer."""

    def __init__(self, conv=nn.Conv2d):
        super().__init__()
        self.c, self.f = conv(1, 4, 3), nn.Linear(4 * 16, 3)

    def forward(self, x):
        return self.f(F.relu(self.c(x)).flatten(1))


class Signs(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(x, torch.sign(self.weight), self.bias)


class Rounded(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(x, (self.weight * 8).round().clamp(-7, 7) / 8, self.bias)


class Standardised(nn.Conv2d):
    def forward(self, x):
        w, axes = self.weight, {"dim": (1, 2, 3), "keepdim": True}
        return F.conv2d(x, (w - w.mean(**axes)) / (w.std(**axes) + 1e-5), self.bias)


class Centred(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(x, self.weight - self.weight.mean((1, 2, 3), keepdim=True))


def as_torch(module, shape, refusable=False):
    """The module is converted with its own outputs, or, where that is as good, refused."""
    module.eval()
    x = random(3, *shape, seed=1)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    if refusable:
        graph = read_or_refused(lambda: eventsnn.load_torch(module, shape))
    else:
        graph = eventsnn.load_torch(module, shape)
    if graph is not None:
        agrees(graph, x, expected)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# pytorch/pytorch 105445
@pytest.mark.parametrize("where", ["layer", "network", "activation"])
def test_hooks_are_converted_or_refused(where):
    module = Small()
    if where == "layer":
        module.c.register_forward_hook(lambda m, inputs, output: output * 2 + 1)
    elif where == "network":
        module.register_forward_pre_hook(lambda m, inputs: (inputs[0] * 3,))
    else:
        layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)
        module = nn.Sequential(*layers)
        module[1].register_forward_hook(lambda m, inputs, output: 0.5 * output)
    as_torch(module, (1, 6, 6), refusable=True)


# justchenhao/SILI_CD 2
def test_a_compiled_module_is_the_module_inside():
    as_torch(torch.compile(Small(), backend="eager"), (1, 6, 6))


# NeuromorphicProcessorProject/snn_toolbox 41, 28
@pytest.mark.parametrize("conv", [Signs, Rounded, Standardised, Centred])
def test_weights_computed_from_parameters_are_constants(conv):
    as_torch(Small(conv), (1, 6, 6))


# fangwei123456/spikingjelly 259
def test_adaptive_pooling_to_a_larger_map_repeats_it():
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(32)
    ending = nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten(), nn.Linear(196, 3)
    as_torch(nn.Sequential(*layers, *ending), (3, 32, 32))


def test_a_network_on_vectors_is_converted():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    as_torch(module, (4,))


def test_max_pooling_beside_normalisation_of_both_signs():
    first, second = nn.BatchNorm2d(6), nn.BatchNorm2d(4)
    with torch.no_grad():
        for norm in first, second:
            norm.weight.copy_(torch.linspace(-1.5, 1, len(norm.weight)))
            norm.bias.normal_()
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    behind = nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), first, nn.MaxPool2d(3, 2, 1)
    in_front = nn.Conv2d(6, 4, 3), nn.MaxPool2d(2), second, nn.ReLU()
    as_torch(nn.Sequential(*behind, *in_front, nn.Flatten(), nn.Linear(36, 3)), (2, 16, 16))
