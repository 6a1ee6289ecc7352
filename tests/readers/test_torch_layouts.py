"""Architectures that --arch knows, against modules of PyTorch with the same keys."""

from pathlib import Path

import numpy as np
import pytest

from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.readers import load

torch = pytest.importorskip("torch")
support = pytest.importorskip("support.torch_layouts")
pytestmark = pytest.mark.frameworks
EIGHTEEN, TWENTY, FIFTY = (2, 2, 2, 2), (3, 3, 3), (3, 4, 6, 3)
VGG16 = (2, 2, 3, 3, 3)
Paper, Vision, VGG = support.PaperResNet, support.VisionResNet, support.VisionVGG
CIFAR = {"head": "linear", "shortcut": "shortcut"}


def resnext():
    net = Vision(FIFTY, True, stem=7, pool="max")
    for block in net.modules():
        if hasattr(block, "conv3"):
            old = block.conv2
            block.conv2 = torch.nn.Conv2d(
                old.in_channels, old.out_channels, 3, old.stride, 1, groups=2, bias=False
            )
    return net


# arch -> module, with the size of images as the file tells it
NETWORKS = {
    "resnet18, of QCFS, SRP and GN": ("resnet18", lambda: Paper(EIGHTEEN)),
    "resnet20, of QCFS, SRP and GN": ("resnet20", lambda: Paper(TWENTY)),
    "resnet34, of QCFS, SRP and GN": ("resnet34", lambda: Paper(FIFTY)),
    "resnet50, of SRP and GN": ("resnet50", lambda: Paper(FIFTY, True)),
    "resnet101, of SRP and GN": ("resnet101", lambda: Paper((3, 4, 23, 3), True)),
    "resnet152, of SRP and GN": ("resnet152", lambda: Paper((3, 8, 36, 3), True)),
    "vgg16, of QCFS, SRP and GN": ("vgg16", lambda: support.PaperVGG(VGG16)),
    "vgg19, of QCFS, SRP and GN": ("vgg19", lambda: support.PaperVGG((2, 2, 4, 4, 4))),
    "resnet20, of Calibration": ("resnet20", lambda: Vision(TWENTY)),
    "resnet20, of Calibration, without norms": ("resnet20", lambda: Vision(TWENTY, norm=False)),
    "resnet34, of Calibration": (
        "resnet34:size=64",
        lambda: Vision(FIFTY, stem="deep", pool="average"),
    ),
    "vgg16, of Calibration": (
        "vgg16_bn:pool=average",
        lambda: VGG(VGG16, pool=torch.nn.AvgPool2d, hidden=()),
    ),
    "resnet20, option A": ("resnet20", lambda: Vision(TWENTY, head="linear", shortcut=None)),
    "resnet56, option A": ("resnet56", lambda: Vision((9, 9, 9), head="linear", shortcut=None)),
    "resnet32": ("resnet32", lambda: Vision((5, 5, 5))),
    "resnet44": ("resnet44", lambda: Vision((7, 7, 7))),
    "resnet110": ("resnet110", lambda: Vision((18, 18, 18))),
    "resnet18 for CIFAR": ("resnet18", lambda: Vision(EIGHTEEN, **CIFAR)),
    "resnet50 for CIFAR": ("resnet50", lambda: Vision(FIFTY, True, **CIFAR)),
    "resnet18, a smaller stem": ("resnet18:pool=none", lambda: Vision(EIGHTEEN)),
    "resnet18, a smaller stem and a pool": (
        "resnet18:pool=max",
        lambda: Vision(EIGHTEEN, pool="max"),
    ),
    "resnet18, torchvision's": (
        "resnet18:size=64",
        lambda: Vision(EIGHTEEN, stem=7, pool="max"),
    ),
    "resnet34, torchvision's": ("resnet34:size=64", lambda: Vision(FIFTY, stem=7, pool="max")),
    "resnet50, torchvision's": (
        "resnet50:size=64",
        lambda: Vision(FIFTY, True, stem=7, pool="max"),
    ),
    "resnet50 with groups, as ResNeXt": ("resnet50:size=64", resnext),
    "vgg11": ("vgg11:pool=max", lambda: VGG((1, 1, 2, 2, 2), norm=False)),
    "vgg13_bn": ("vgg13_bn:pool=max", lambda: VGG((2, 2, 2, 2, 2))),
    "vgg16": ("vgg16:pool=max", lambda: VGG(VGG16, norm=False)),
    "vgg19_bn": ("vgg19_bn:pool=max", lambda: VGG((2, 2, 4, 4, 4))),
    "mobilenet_v2": ("mobilenet_v2:size=64", support.MobileNetV2),
}


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_outputs_are_those_of_torch(name, tmp_path):
    arch, make = NETWORKS[name]
    net = support.fill(make())
    path, number = tmp_path / "net.pth", list(NETWORKS).index(name)
    wrapped = {"state_dict": torch.nn.DataParallel(net).state_dict()}
    value = wrapped if number % 3 == 0 else net.state_dict()
    torch.save(value, path, _use_new_zipfile_serialization=number % 2 == 0)
    with pytest.raises(
        InputError, match=f"its keys are those of {arch.partition(':')[0].removesuffix('_bn')}"
    ):
        load(path)
    graph = load(path, arch)
    images = torch.randn(3, *graph.input_shape)
    expected, found = net(images).numpy(), ann.predict(graph, images.numpy())
    off = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{name}: {off:.1e} of the largest output, {len(graph.nodes)} nodes")
    assert np.ptp(expected, axis=0).max() > 0 and off < 1e-5


@torch.no_grad()
def test_other_epsilons_are_given(tmp_path):
    net = support.fill(Vision(TWENTY))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.1
    torch.save(net.state_dict(), tmp_path / "net.pth")
    images = torch.randn(2, 3, 32, 32)
    graph = load(tmp_path / "net.pth", "resnet20:eps=0.1,size=32,pool=none")
    expected = net(images).numpy()
    assert np.abs(ann.predict(graph, images.numpy()) - expected).max() < 1e-5
    assert "note" not in graph.meta
    other = load(tmp_path / "net.pth", "resnet20")
    assert np.abs(ann.predict(other, images.numpy()) - expected).max() > 1e-3


@pytest.mark.parametrize(
    "arch, make, words",
    [
        ("resnet18", lambda: Vision(EIGHTEEN), "pool=none, pool=max or pool=average"),
        ("vgg16_bn", lambda: VGG(VGG16), "pool=average or pool=max"),
        ("vgg16_bn:pool=max", lambda: VGG(VGG16, norm=False), "give arch='vgg16'"),
        ("resnet20", lambda: Vision((5, 5, 5)), "layer1.3.bn1.bias, layer1.3"),
        ("resnet32", lambda: Vision(TWENTY), "'layer1.3.conv1.weight'"),
        ("resnet20", lambda: Vision(TWENTY, shortcut=None), "downsample.0.weight"),
        ("resnet50:size=64", lambda: Vision(FIFTY, stem=7), "'layer1.0.conv3.weight'"),
        ("mobilenet_v2", lambda: Vision(FIFTY), "'features.0.0.weight'"),
        ("resnet20:eps=0", lambda: Vision(TWENTY), "a number above 0 and at most 1 as eps"),
        ("mobilenet_v2:pool=max", lambda: Vision(TWENTY), "pool (VGGs, ResNets)"),
    ],
)
def test_what_does_not_fit_or_is_not_told_is_refused(arch, make, words, tmp_path):
    torch.save(make().state_dict(), tmp_path / "net.pth")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "net.pth", arch)
    assert words in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_itself_saves(zipped, tmp_path):
    """Every type of floats, views, shared parameters; a module is refused."""
    net = support.fill(Vision(TWENTY))
    state = dict(net.state_dict())
    weight = state["fc.weight"]
    state["fc.weight"] = weight.t().contiguous().t()
    state["conv1.weight"] = state["conv1.weight"].double()
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"].bfloat16()
    state["layer1.1.conv1.weight"] = state["layer1.1.conv1.weight"].half()
    state["layer1.2.conv1.weight"] = torch.nn.Parameter(state["layer1.2.conv1.weight"])
    row = torch.cat([state["bn1.weight"], state["bn1.bias"]])
    state["bn1.weight"], state["bn1.bias"] = row[:2], row[2:]
    path = tmp_path / "net.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    graph = load(path, "resnet20")
    for key, name, role in (
        ("fc.weight", "fc", "B"),
        ("conv1.weight", "conv1", "W"),
        ("layer1.0.conv1.weight", "layer1.0.conv1", "W"),
        ("layer1.1.conv1.weight", "layer1.1.conv1", "W"),
        ("layer1.2.conv1.weight", "layer1.2.conv1", "W"),
        ("bn1.bias", "bn1", "B"),
    ):
        found = graph.by_name[name].params[role]
        assert np.array_equal(found, state[key].detach().double().numpy()), key
    torch.save(net, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="an object of support.torch_layouts.VisionResNet"):
        load(path, "resnet20")
    torch.save(
        {"opt": torch.optim.Adam(net.parameters()), "model": state, "dtype": torch.half}, path
    )
    assert load(path, "resnet20").hash == graph.hash


@torch.no_grad()
def test_the_example_of_a_mapping_file(tmp_path):
    """Against PyTorch's own MNIST example, up to its log_softmax."""
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
            self.fc1, self.fc2 = nn.Linear(9216, 128), nn.Linear(128, 10)

        def forward(self, x):
            x = torch.max_pool2d(torch.relu(self.conv2(torch.relu(self.conv1(x)))), 2)
            return self.fc2(torch.relu(self.fc1(x.flatten(1))))

    net, images = Net(), torch.rand(3, 1, 28, 28)
    torch.save(net.state_dict(), tmp_path / "mnist_cnn.pt")
    example = Path(__file__).parents[2] / "examples" / "mnist_cnn.json"
    found = ann.predict(load(tmp_path / "mnist_cnn.pt", str(example)), images.numpy())
    expected = net(images).numpy()
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
