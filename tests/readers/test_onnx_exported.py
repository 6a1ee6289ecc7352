"""PyTorch's modules, exported to ONNX here and now, against PyTorch's own outputs."""

import warnings

import numpy as np
import pytest

from eventsnn import load
from eventsnn.ann import forward as ann
from eventsnn.network.convert import convert

pytestmark = pytest.mark.frameworks
torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


class Function(nn.Module):
    """A function of x and some layers, as a module."""

    def __init__(self, function, *layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x):
        return self.function(x, *self.layers)


class Standardised(nn.Conv2d):
    """A convolution whose weights are standardised in the forward pass."""

    def forward(self, x):
        mean = self.weight.mean([1, 2, 3], keepdim=True)
        variance = self.weight.var([1, 2, 3], keepdim=True, unbiased=False)
        weight = (self.weight - mean) / torch.sqrt(variance + 1e-5)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


def option_a(x, first, second):
    x = torch.relu(first(x))
    return torch.relu(second(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))).mean([2, 3])


def shuffled(x, conv):
    x = torch.relu(conv(x))
    b, c, h, w = x.shape
    a, d = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w).chunk(2, 1)
    return torch.cat([d, torch.relu(a)], 1).flatten(1)


def focused(x, conv):
    parts = [x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
    return torch.relu(conv(torch.cat(parts, 1))).amax((2, 3))


def scaled(x, conv):
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([1.0, 2, 3], [2.0, 3, 4]))
    return torch.relu(conv((x * 255 - mean) / std)) - torch.relu(-conv(x))


def last(x, conv, dense):
    return dense(torch.relu(conv(x)).permute(0, 2, 3, 1)).relu().flatten(1)


def conv(out=4, kernel=3, **options):
    return nn.Conv2d(3, out, kernel, **options)


PICTURE = (3, 8, 8)
# name -> (how it is made, the shape of the input)
MODULES = {
    "option A": (lambda: Function(option_a, conv(padding=1), nn.Conv2d(4, 8, 3, 2, 1)), PICTURE),
    "shuffle": (lambda: Function(shuffled, conv(8)), PICTURE),
    "focus": (lambda: Function(focused, nn.Conv2d(12, 4, 3)), PICTURE),
    "pixels scaled": (lambda: Function(scaled, conv(padding=1)), PICTURE),
    "channels last": (lambda: Function(last, conv(), nn.Linear(4, 6)), PICTURE),
    "standardised": (
        lambda: nn.Sequential(Standardised(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)),
        PICTURE,
    ),
    "ceil": (
        lambda: nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Flatten()),
        PICTURE,
    ),
    "leaky": (
        lambda: nn.Sequential(conv(), nn.PReLU(4), nn.AvgPool2d(2), nn.Flatten(), nn.LeakyReLU()),
        PICTURE,
    ),
    "one axis": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 5, stride=2),
            nn.BatchNorm1d(4),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(4, 3, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(3, 2),
        ),
        (2, 40),
    ),
    "a decoder": (
        lambda: nn.Sequential(
            conv(),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=2),
            nn.ReLU6(),
            nn.Upsample(scale_factor=2),
            nn.PixelShuffle(2),
        ),
        PICTURE,
    ),
    "space to depth": (
        lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 4, 1), nn.ReLU(), nn.Flatten()),
        PICTURE,
    ),
    "a broadcast sum": (
        lambda: Function(lambda x, c: torch.relu(c(x) + c(x).mean((2, 3), keepdim=True)), conv()),
        PICTURE,
    ),
    "zeros in front of a pool": (
        lambda: nn.Sequential(conv(), nn.ReLU(), nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(3, 2)),
        PICTURE,
    ),
    "maps below each other": (
        lambda: Function(lambda x, c: torch.cat([torch.relu(c(x)), x], 2), conv(3, padding=1)),
        PICTURE,
    ),
    "the largest of all": (
        lambda: nn.Sequential(conv(), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()),
        PICTURE,
    ),
}


@pytest.mark.parametrize("opset", (9, 13, 17))
@pytest.mark.parametrize("name", MODULES)
def test_exported_modules_give_pytorch_s_outputs(name, opset, tmp_path):
    if opset == 9 and name in ("option A", "focus"):
        pytest.skip("PyTorch does not export a strided slice to opset 9")
    torch.manual_seed(0)
    make, shape = MODULES[name]
    module = make().eval()
    x = torch.randn(3, *shape)
    options = {"input_names": ["x"], "dynamic_axes": {"x": {0: "N"}}, "opset_version": opset}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, x[:1], tmp_path / "net.onnx", dynamo=False, **options)
    graph = load(tmp_path / "net.onnx")
    expected = module(x).detach().numpy()
    pixels = x.numpy().reshape(3, *graph.input_shape)
    found = ann.forward(graph, pixels)[graph.output].reshape(expected.shape)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    convert(graph, calibration=pixels)
