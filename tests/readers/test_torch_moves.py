"""What only moves values, sequences, and ends of modules, against PyTorch: pytest -m frameworks."""

import numpy as np
import pytest

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.network import check

pytestmark = pytest.mark.frameworks
torch = pytest.importorskip("torch")
from support.torch_networks import randomise  # noqa: E402
from support.torch_reading import Function, deviation  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


def shuffled(x):
    """ShuffleNet's shuffle of channels, and the half of it that goes on."""
    n, c, h, w = x.shape
    x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
    kept, rest = x.chunk(2, dim=1)
    return torch.cat([F.relu(kept), rest], 1)


# name: (function of x [N, 4, 6, 8], operators that come out, or None)
MOVES = {
    "option A": (
        lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2), "constant", 0),
        "Index",
    ),
    "zeros joined": (
        lambda x: torch.cat((x[:, :, ::2, ::2], torch.zeros(x.size(0), 2, 3, 4)), 1),
        "Index",
    ),
    "zeros like": (lambda x: torch.cat((x, torch.zeros_like(x)), 1), "Index"),
    "times 0": (lambda x: torch.cat((F.avg_pool2d(x, 2), F.avg_pool2d(x, 2).mul(0)), 1), None),
    "shuffle": (shuffled, "Index Relu Index Concat"),
    "last axis": (lambda x: x.permute(0, 2, 3, 1).reshape(x.size(0), -1), "Index"),
    "there and back": (lambda x: F.relu(x.permute(0, 2, 3, 1).permute(0, 3, 1, 2)), "Relu"),
    "slice of rows": (lambda x: x[:, 1:3, ..., -4:], "Index"),
    "select": (lambda x: x[:, [2, 0]] + x.index_select(1, torch.tensor([1, 3])), None),
    "split": (lambda x: x.split([1, 1, 2], 1)[0] + x.tensor_split(4, 1)[2], None),
    "unbound": (lambda x: torch.stack(x.unbind(1)[::-1], 1), "Index"),
    "flip and roll": (lambda x: x.flip(3).roll(1, 2), "Index"),
    "crop": (lambda x: F.pad(x, (-1, -1, 0, -2)), "Index"),
    "reflected": (lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect"), "Index"),
    "shapes of five axes": (lambda x: F.relu(x.view(-1, 2, 2, 6, 8)).flatten(1), None),
    "squeezed": (lambda x: x.mean((2, 3), keepdim=True).squeeze(), None),
    "narrow": (lambda x: x.narrow(1, 1, 2).select(3, 2).unsqueeze(-1), "Index"),
    "repeated": (lambda x: x.repeat(1, 2, 1, 1) + x.repeat_interleave(2, 1), None),
    "joined along rows": (lambda x: torch.cat([F.relu(x), x], 2), None),
    "stacked": (lambda x: torch.stack([F.relu(x), x], 2).flatten(1, 2), None),
    "mean of channels": (lambda x: x.mean(1, keepdim=True), None),
    "sum of places": (lambda x: x.sum((2, 3)), None),
    "largest": (lambda x: F.relu(x).amax((2, 3)), None),
    "linear of the last axis": (
        lambda x: F.linear(x.permute(0, 2, 3, 1), torch.ones(3, 4) / 3).permute(0, 3, 1, 2),
        None,
    ),
    "sub of alpha": (lambda x: torch.sub(x, F.relu(x), alpha=0.5) + torch.add(x, 3, alpha=2), None),
    "sizes": (lambda x: x.reshape(x.shape[0], x.numel() // x.shape[0])[:, : x.ndim], None),
    "adaptive": (
        lambda x: F.adaptive_avg_pool2d(x, (4, 3)) + F.adaptive_avg_pool2d(x[..., :1], (4, 3)),
        None,
    ),
    "adaptive maximum": (lambda x: F.adaptive_max_pool2d(F.relu(x), (3, 2)), None),
    "another divisor": (lambda x: F.avg_pool2d(x, 2, divisor_override=3), None),
}


@pytest.mark.parametrize("name", MOVES)
def test_moved_values_are_pytorchs(name):
    function, operators = MOVES[name]
    off, graph = deviation(Function(function), (4, 6, 8))
    assert off < 1e-6
    assert operators is None or [node.op for node in graph.nodes] == operators.split()


MODULES = {
    "pixel shuffle": nn.Sequential(nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ReLU()),
    "channel shuffle": nn.ChannelShuffle(2),
    "unflatten": nn.Sequential(nn.Flatten(), nn.Unflatten(1, (8, 4, 6)), nn.Conv2d(8, 3, 3)),
    "paddings": nn.Sequential(
        nn.ReflectionPad2d(1), nn.ReplicationPad2d(2), nn.ConstantPad2d(1, 0)
    ),
    "circular convolution": nn.Conv2d(4, 3, (3, 5), padding=(1, 2), padding_mode="circular"),
    "reflecting convolution": nn.Conv2d(4, 3, 3, 2, 1, padding_mode="reflect"),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_that_move_values_are_pytorchs(name):
    assert deviation(MODULES[name], (4, 6, 8))[0] < 1e-6


class OptionA(nn.Module):
    """A ResNet of CIFAR as its paper has it: shortcuts without parameters."""

    class Block(nn.Module):
        def __init__(self, planes, stride):
            super().__init__()
            before = planes // stride
            self.conv1 = nn.Conv2d(before, planes, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(planes)
            self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(planes)
            self.more = (planes - before) // 2

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.more:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more), "constant", 0)
            return F.relu(y + x)

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 1, 1)
        self.blocks = nn.Sequential(*[self.Block(8 * 2**n, 1 + (n > 0)) for n in range(3)])
        self.last = nn.Linear(32, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.first(x)))
        x = F.avg_pool2d(x, x.size()[3])
        return F.log_softmax(self.last(x.view(x.size(0), -1)), dim=1)


class Standardised(nn.Conv2d):
    """A convolution of standardised weights (Qiao et al. 2019)."""

    def forward(self, x):
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        deviation = self.weight.flatten(1).std(1).view(-1, 1, 1, 1) + 1e-5
        weight = (self.weight - mean) / deviation
        return self._conv_forward(x, weight, self.bias)


def standardised():
    return nn.Sequential(Standardised(3, 6, 3), nn.ReLU(), Standardised(6, 4, 3, 2), nn.Flatten())


def spiking_is_right(graph, shape):
    """The graph's spiking form computes the same."""
    pixels = np.random.default_rng(0).uniform(-1, 1, (6, *graph.input_shape)).astype(np.float32)
    network = eventsnn.convert(graph, thresholds="max", calibration=pixels)
    assert check.deviation(network, pixels)[0] < 1e-9
    return network


@pytest.mark.parametrize("make", [OptionA, standardised])
def test_networks_that_index_and_standardise_are_pytorchs(make):
    module = randomise(make(), 3)
    graph = eventsnn.load_torch(module, (3, 16, 16))
    x = torch.rand(4, 3, 16, 16)
    with torch.no_grad():
        expected = module(x).numpy()
    found = ann.forward(graph, x.numpy())[graph.output]
    if make is OptionA:
        assert "log_softmax at the output is left out" in graph.meta["note"]
        found = found - np.log(np.exp(found.astype(np.float64)).sum(1, keepdims=True))
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    spiking_is_right(graph, x.shape)


# name: (module on sequences [N, 3, 32])
SEQUENCES = {
    "convolutions": nn.Sequential(
        nn.Conv1d(3, 6, 5, stride=2, padding=2),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Conv1d(6, 6, 3, padding="same", dilation=2, groups=3),
        nn.LeakyReLU(0.1),
        nn.MaxPool1d(2),
        nn.Dropout1d(),
        nn.AvgPool1d(3, 1, padding=1),
        nn.AdaptiveAvgPool1d(3),
        nn.Flatten(),
        nn.Linear(18, 4),
    ),
    "global": nn.Sequential(nn.Conv1d(3, 4, 3), nn.PReLU(4), nn.AdaptiveMaxPool1d(1), nn.Flatten()),
    "functions": Function(
        lambda x: (
            F.conv1d(F.pad(F.relu(x), (2, 0)), torch.ones(2, 3, 3) / 4, stride=3).mean(-1)
            + F.max_pool1d(F.relu(x[:, :2]), 4, 4).mean(2)
        )
    ),
    "unsqueezed": Function(
        lambda x: F.conv2d(x.unsqueeze(1), torch.ones(2, 1, 3, 5) / 9).relu().squeeze(2).flatten(1)
    ),
    "upsampled": nn.Sequential(nn.Upsample(scale_factor=2), nn.AvgPool1d(2)),
    "last axis": Function(
        lambda x: F.linear(x.transpose(1, 2), torch.ones(5, 3) / 3).relu().transpose(1, 2)
    ),
    "padded": nn.Sequential(nn.Conv1d(3, 4, 3, padding=1, padding_mode="replicate"), nn.ReLU()),
    "lines": Function(lambda x: (x - torch.tensor([[1.0], [2.0], [3.0]])) / 2 + x),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_are_maps_of_height_1(name):
    module = randomise(SEQUENCES[name], 4)
    graph = eventsnn.load_torch(module, (3, 32))
    assert graph.input_shape == (3, 1, 32)
    x = torch.rand(4, 3, 32) * 2 - 1
    with torch.no_grad():
        expected = module(x).numpy()
    found = ann.forward(graph, x.numpy()[:, :, None])[graph.output].reshape(expected.shape)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    if graph.activations:
        spiking_is_right(graph, x.shape)


@pytest.mark.parametrize(
    "end, words",
    [
        (nn.LogSoftmax(1), "the log_softmax at the output"),
        (Function(lambda x: torch.sigmoid(x[:, :1]).squeeze(1)), "class 1 above 0"),
        (Function(lambda x: x.sigmoid()), "the sigmoid at the output is left out"),
        (Function(lambda x: F.log_softmax(x, dim=-1)), "the largest output stays the largest"),
    ],
)
def test_an_end_that_changes_no_class_is_left_out(end, words):
    module = nn.Sequential(nn.Flatten(), nn.Linear(96, 3), end)
    graph = eventsnn.load_torch(module, (2, 6, 8))
    assert words in graph.meta["note"]
    x = torch.rand(4, 2, 6, 8)
    expected = module[1](module[0](x)).detach().numpy()
    found = ann.forward(graph, x.numpy())[graph.output]
    assert np.abs(found - expected[:, : found.shape[1]]).max() < 1e-6


def test_a_sigmoid_before_the_output_is_refused():
    for function in (lambda x: torch.sigmoid(x) * 2, lambda x: x.sigmoid().flatten(1) - 1):
        with pytest.raises(InputError, match="sigmoid .sigmoid.: it is not made of straight"):
            eventsnn.load_torch(Function(function), (2, 6, 8))


class Heads(nn.Module):
    """Two outputs, of three and of five classes."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.body = kind, nn.Sequential(nn.Flatten(), nn.Linear(96, 8), nn.ReLU())
        self.heads = nn.ModuleList([nn.Linear(8, 3), nn.Linear(8, 5)])

    def forward(self, x):
        x = self.body(x)
        outputs = [head(x) for head in self.heads]
        return dict(zip("ab", outputs)) if self.kind is dict else self.kind(outputs)


@pytest.mark.parametrize("kind, names", [(tuple, "01"), (list, "01"), (dict, "ab")])
def test_one_of_two_outputs_is_chosen(kind, names):
    module = Heads(kind)
    for name, classes in zip(names, (3, 5)):
        graph = eventsnn.load_torch(module, (2, 6, 8), output=name)
        assert graph.shapes[graph.output] == (classes,)
    with pytest.raises(InputError, match=f"2 outputs: {names[0]}, {names[1]}.*output='{names[0]}'"):
        eventsnn.load_torch(module, (2, 6, 8))
    with pytest.raises(InputError, match="and output='c'; choose one"):
        eventsnn.load_torch(module, (2, 6, 8), output="c")
    with pytest.raises(InputError, match="one output, and output='1'; leave it out"):
        eventsnn.load_torch(nn.ReLU(), (2, 6, 8), output=1)
