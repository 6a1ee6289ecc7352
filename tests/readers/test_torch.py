"""PyTorch modules against PyTorch itself, and ONNX's exporters against ONNX Runtime: pytest -m
frameworks, with these installed.
"""

import math
import operator

import numpy as np
import pytest

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Preprocessing
from eventsnn.exceptions import InputError
from eventsnn.network import check
from eventsnn.network import convert as conversion

pytestmark = pytest.mark.frameworks
torch = pytest.importorskip("torch")
from support.torch_networks import QCFS, Mixed, ResNet, Vgg16, randomise  # noqa: E402
from support.torch_reading import Function, deviation  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

TABLE = {QCFS: lambda m: ("QCFS", {"lambda": float(getattr(m, m.key)), "levels": m.L})}


# name: (module, operators that come out)
MODULES = {
    "conv": (nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), "Conv"),
    "conv same": (
        nn.Sequential(nn.Conv2d(2, 4, (4, 3), padding="same", dilation=(1, 2), groups=2)),
        "Conv",
    ),
    "conv valid": (nn.Sequential(nn.Conv2d(2, 4, 3, padding="valid", bias=False)), "Conv"),
    "batch norm": (
        nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2, affine=False)),
        "BatchNormalization BatchNormalization",
    ),
    "linear": (
        nn.Sequential(
            nn.Flatten(), nn.Linear(96, 5), nn.BatchNorm1d(5), nn.Linear(5, 3, bias=False)
        ),
        "Flatten Gemm BatchNormalization Gemm",
    ),
    "activations": (
        nn.Sequential(nn.ReLU(), nn.ReLU6(True), nn.Hardtanh(0, 1.5)),
        "Relu Clip Clip",
    ),
    "max pool": (
        nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((2, 1), dilation=(2, 1))),
        "MaxPool MaxPool",
    ),
    "ceil that changes nothing": (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), "MaxPool"),
    "average pool": (
        nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.AvgPool2d((2, 3), count_include_pad=False)),
        "AveragePool AveragePool",
    ),
    "global pool": (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "GlobalAveragePool Flatten",
    ),
    "adaptive pool": (
        nn.Sequential(nn.AdaptiveAvgPool2d((3, None)), nn.AdaptiveAvgPool2d((1, 4))),
        "AveragePool AveragePool",
    ),
    "rest": (
        nn.Sequential(
            nn.ZeroPad2d((1, 2, 3, 0)),
            nn.Identity(),
            nn.Dropout(),
            nn.Upsample(scale_factor=2),
            nn.Upsample((5, 30)),
            nn.UpsamplingNearest2d(scale_factor=(2, 1)),
        ),
        "Pad Identity Identity Resize Resize Resize",
    ),
    "softmax": (
        nn.Sequential(nn.Flatten(), nn.Linear(96, 5), nn.Softmax(1)),
        "Flatten Gemm Softmax",
    ),
    "parametrised": (
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3))),
        "Conv",
    ),
}
FUNCTIONS = {
    "relus": (lambda x: F.relu(torch.relu(x.relu())), "Relu Relu Relu"),
    "clips": (
        lambda x: (
            x.clamp(min=0).clamp(0, 2) + torch.clamp(x, 0, max=1) + F.hardtanh(x, 0, 1) + F.relu6(x)
        ),
        "Relu Clip Clip Add Clip Add Clip Add",
    ),
    "view": (lambda x: x.view(x.size(0), -1), "Flatten"),
    "reshape": (lambda x: x.reshape(x.shape[0], 96), "Flatten"),
    "view with a product": (lambda x: x.view(-1, x.size(1) * x.size(2) * x.shape[3]), "Flatten"),
    "unpacked shape": (lambda x: torch.reshape(x, (x.shape[0], math.prod((2, 6, 8)))), "Flatten"),
    "flatten": (lambda x: torch.flatten(x, 1).flatten(1), "Flatten"),
    "means": (
        lambda x: (
            x.mean((2, 3)) + torch.mean(x, dim=[-1, -2]) + x.mean((2, 3), keepdim=True).flatten(1)
        ),
        "GlobalAveragePool GlobalAveragePool Flatten Flatten Add GlobalAveragePool Flatten Add",
    ),
    "sums": (lambda x: operator.iadd(torch.add(x, x), x.add(x)), "Add Add Add"),
    "lines": (
        lambda x: (1 - x * 2) / 4 + 3 - torch.tensor([[[1.0]], [[2.0]]]),
        " ".join(["BatchNormalization"] * 5),
    ),
    "cat": (lambda x: torch.cat((x, F.relu(x)), dim=1), "Relu Concat"),
    "cat behind": (lambda x: torch.cat([x, x], -3), "Concat"),
    "pools": (
        lambda x: F.adaptive_avg_pool2d(F.avg_pool2d(F.max_pool2d(x, 3, 1), 2, 1, 1), (1, 1)),
        "MaxPool AveragePool GlobalAveragePool",
    ),
    "matmul": (lambda x: torch.flatten(x, 1) @ torch.ones(96, 2), "Flatten Gemm"),
    "resize": (
        lambda x: F.interpolate(F.interpolate(x, scale_factor=2), size=(3, 5), mode="nearest"),
        "Resize Resize",
    ),
    "pad": (lambda x: F.pad(F.pad(x, (1, 2)), [0, 1, 2, 3]), "Pad Pad"),
    "dropout": (lambda x: F.dropout(x, 0.3, training=False).contiguous(), "Identity Identity"),
    "softmax": (lambda x: F.softmax(x.flatten(1), dim=1), "Flatten Softmax"),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", (*MODULES, *FUNCTIONS))
def test_operators_compute_what_pytorch_computes(name):
    module, operators = (
        MODULES[name] if name in MODULES else (Function(FUNCTIONS[name][0]), FUNCTIONS[name][1])
    )
    randomise(module, 0)
    if isinstance(module, nn.Conv2d):  # alone: traced to a function of its parameters
        module = nn.Sequential(nn.Identity(), module)
        operators = f"Identity {operators}"
    found, graph = deviation(module, (2, 6, 8))
    assert found < 1e-6 and [node.op for node in graph.nodes] == operators.split()


@pytest.mark.parametrize(
    "module, shape",
    ((Vgg16(nn.ReLU), (3, 32, 32)), (ResNet(nn.ReLU), (3, 32, 32)), (Mixed(), (3, 8, 8))),
)
def test_networks(module, shape):
    found, graph = deviation(randomise(module, 0).train(), shape)
    assert found < 1e-6
    pixels = np.random.default_rng(0).random((4, *shape), np.float32)
    assert check.check(conversion.convert(graph, calibration=pixels), pixels)[0] < 1e-6


def test_the_module_stays_as_it_is():
    module = randomise(Vgg16(nn.ReLU), 0).train()
    module.layer2.eval()
    modes = [m.training for m in module.modules()]
    before = {k: v.clone() for k, v in module.state_dict().items()}
    graph = eventsnn.load_torch(module, (3, 32, 32))
    with pytest.raises(InputError):
        eventsnn.load_torch(module, (4, 32, 32))
    assert [m.training for m in module.modules()] == modes
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    weights = graph.by_name["layer1.0"].params["W"].copy()
    module.layer1[0].weight.data.zero_()
    assert np.array_equal(graph.by_name["layer1.0"].params["W"], weights)


@pytest.mark.parametrize("make, arch", ((Vgg16, "vgg16:L=4"), (ResNet, "resnet20:L=4")))
def test_own_activations_and_state_dicts_agree(make, arch, tmp_path):
    """The same network as a module with a table of activations, and as the state dict that it
    leaves behind.
    """
    h5py = pytest.importorskip("h5py")
    module = randomise(make(), 3)
    graph = eventsnn.load_torch(nn.DataParallel(module), (3, 32, 32), activations=TABLE)
    with h5py.File(tmp_path / "net.h5", "w") as file:
        for key, value in module.state_dict().items():
            file[key] = value.numpy()
    other = eventsnn.load(tmp_path / "net.h5", arch)
    x = torch.rand(4, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    outputs = [ann.forward(g, x.numpy())[g.output] for g in (graph, other)]
    assert np.array_equal(*outputs) and len(graph.activations) == len(other.activations)
    with torch.no_grad():
        worst = np.abs(outputs[0] - module(x).numpy()).max(axis=1)
    assert np.sort(worst)[2] < 1e-6  # rounding may take one image to another level


def test_tables_of_activations_are_checked():
    module = randomise(nn.Sequential(nn.Conv2d(1, 2, 3), QCFS()), 0)
    for wrong, found in (
        (("QCFS", {"lambda": 2.0, "levels": 4}), "correct the table"),
        (("QCFS", {"lambda": module[1].thresh.item(), "levels": 5}), "correct the table"),
        (("Relu", {}), "correct the table"),
        (("Gelu", {}), "has to name one of"),
        (("QCFS", {"lambda": -1.0, "levels": 4}), "lambda above 0"),
    ):
        with pytest.raises(InputError, match=found):
            eventsnn.load_torch(module, (1, 6, 6), activations={QCFS: lambda m, wrong=wrong: wrong})
    graph = eventsnn.load_torch(
        module, (1, 6, 6), activations={nn.Module: None} and TABLE, preprocessing=Preprocessing(0.5)
    )
    assert (
        graph.nodes[1].attrs == {"lambda": module[1].thresh.item(), "levels": 4}
        and graph.preprocessing.scale == 0.5
    )


class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Dropping(nn.Module):
    def forward(self, x):
        return F.dropout(x)


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize(
    "module, found",
    (
        (
            nn.Sequential(nn.GELU(), nn.LogSigmoid(), nn.GELU(), nn.GLU()),
            ("GELU (0, 2): it is not made of", "LogSigmoid (1)", "GLU (3): nothing here"),
        ),
        (Branch(), ("the same operations for every image", "ONNX")),
        (Dropping(), ("it drops in evaluation mode, too",)),
        (Two(), ("one input", "['x', 'y']")),
        (Function(lambda x: (x, x)), ("returns one tensor",)),
        (nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)), ("the batch's statistics",)),
        (
            Function(lambda x: F.batch_norm(x, torch.zeros(2), torch.ones(2), training=True)),
            ("the batch's statistics",),
        ),
        (Function(lambda x: F.max_pool2d(x, 3, return_indices=True)[0]), ("indices",)),
        (nn.Sequential(nn.Linear(6, 3)), ("of 6 values, where the last axis has 8: flatten",)),
        (Function(lambda x: x.clamp(1, 0)), ("limits of 1 and 0 leave one value",)),
        (Function(lambda x: x * x), ("of two outputs",)),
        (Function(lambda x: 1 / x), ("by an output",)),
        (Function(lambda x: x.flatten()), ("[1, 2, 6, 8] becomes [96]; only maps",)),
        (Function(lambda x: x.view(-1, 4)), ("[1, 2, 6, 8] becomes [24, 4]",)),
        (Function(lambda x: F.pad(x, (1, 1), value=1.0)), ("only zero padding",)),
        (Function(lambda x: F.interpolate(x, size=4, mode="bilinear")), ("mode nearest",)),
        (Function(lambda x: torch.cat([x, x], 0)), ("becomes [2, 2, 6, 8]",)),
        (Function(lambda x: torch.cat([x, x + 1], 0)), ("becomes [2, 2, 6, 8]",)),
        (Function(lambda x: torch.cat([x, torch.ones(x.shape)], 1)), ("constant that is not 0",)),
        (Function(lambda x: x.mean()), ("the batch's has to stay",)),
        (Function(lambda x: x.mean(0)), ("the batch's has to stay",)),
        (nn.AdaptiveMaxPool2d(5), ("[6, 8] to [5, 5], which does not divide it",)),
        (Function(lambda x: x + torch.ones(6, 8)), ("one for each channel",)),
        (Function(lambda x: x.view(x.size(0) // 0, 2)), ("of constants",)),
        ("a state dict", ("a torch.nn.Module, found str",)),
    ),
)
def test_what_has_no_spiking_form_is_refused(module, found):
    with pytest.raises(InputError) as caught:
        eventsnn.load_torch(module, (2, 6, 8))
    for fragment in found:
        assert fragment in str(caught.value)


def test_shapes_of_no_image_and_no_vector_are_refused():
    for shape in (1, 2, 6, 6), (), 6, (0,), (2.0,):
        words = "positive sizes: .C, H, W. of images|a list, each|a whole number"
        with pytest.raises(InputError, match=words):
            eventsnn.load_torch(nn.ReLU(), shape)


class Residual(nn.Module):
    """A residual block on vectors, with a batch normalisation in front."""

    def __init__(self):
        super().__init__()
        self.norm, self.f, self.out = nn.BatchNorm1d(6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.norm(x.view(x.size(0), -1))
        return self.out(F.relu(x + F.relu(self.f(x))))


@pytest.mark.parametrize(
    "module",
    (
        nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)),
        Residual(),
        Function(lambda x: torch.cat([F.relu(x), F.relu(x * -1)], 1)),
    ),
)
def test_modules_on_vectors_compute_what_torch_does(module):
    off, graph = deviation(randomise(module, 1), (6,))
    assert off < 1e-6 and graph.input_shape == (6, 1, 1)
    pixels = np.random.default_rng(0).uniform(-1, 1, (8, 6, 1, 1)).astype(np.float32)
    check.check(conversion.convert(graph, calibration=pixels), pixels)


def test_maps_and_vectors_are_told_apart():
    for module, shape, found in (
        (nn.Conv2d(6, 2, 1), (6,), "expected an input with height and width, found shape [6]"),
        (nn.Linear(6, 2), (6, 1, 1), "of 6 values, where the last axis has 1: flatten the map"),
        (nn.Linear(6, 2), (5,), "expected a weight for 5 inputs, found [2, 6]"),
    ):
        with pytest.raises(InputError) as caught:
            eventsnn.load_torch(nn.Sequential(module, nn.ReLU()), shape)
        assert found in str(caught.value)
    pixels = eventsnn.Preprocessing(1 / 255, np.array([0.5]), np.array([0.25]))
    graph = eventsnn.load_torch(nn.Sequential(nn.Linear(4, 2)), (4,), preprocessing=pixels)
    assert graph.preprocessing == pixels


@pytest.mark.parametrize(
    "options",
    (
        dict(dynamo=False, opset_version=9),
        dict(dynamo=False, opset_version=13, dynamic_axes={"image": {0: "batch"}}),
        dict(dynamo=False, opset_version=17),
        dict(dynamo=True, opset_version=18, external_data=False),
    ),
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "module, shape",
    ((Vgg16(nn.ReLU), (3, 32, 32)), (ResNet(nn.ReLU), (3, 32, 32)), (Mixed(), (3, 8, 8))),
)
def test_exported_models_give_onnx_runtimes_outputs(module, shape, options, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    if options["dynamo"]:
        pytest.importorskip("onnxscript")
    x, path = torch.rand(1, *shape), str(tmp_path / "net.onnx")
    names = {} if options["dynamo"] else {"input_names": ["image"]}
    torch.onnx.export(randomise(module, 0), (x,), path, **options, **names)
    session = runtime.InferenceSession(path)
    graph = eventsnn.load(path)
    expected = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert (
        np.abs(ann.forward(graph, x.numpy())[graph.output] - expected).max()
        < 1e-5 * np.abs(expected).max()
    )
