"""Quantised modules of PyTorch and Brevitas, against these: pytest -m frameworks."""

import numpy as np
import pytest

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.network import check

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]
torch = pytest.importorskip("torch")
quantization = pytest.importorskip("torch.ao.quantization")
from torch import nn  # noqa: E402


class Net(nn.Module):
    """Two convolutions and a dense layer, between the stubs of quantisation."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        first = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)
        second = nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
        self.body = nn.Sequential(*first, *second)

    def forward(self, x):
        return self.dequant(self.body(self.quant(x)))


def trained(fused):
    """The network as quantisation-aware training leaves it."""
    torch.manual_seed(0)
    net = Net().train()
    if fused:
        layers = [["body.0", "body.1", "body.2"], ["body.4", "body.5"]]
        net = quantization.fuse_modules_qat(net, layers)
    net.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    net = quantization.prepare_qat(net)
    for _ in range(4):
        net(torch.rand(16, 2, 8, 8) * 2 - 0.5)
    return net.eval()


def agrees(net, shape=(2, 8, 8), spikes=True):
    """The graph, which computes what the network does; ties at a level's border are not met.

    spikes: whether all its activations have levels, so that ST-BIF gives it exactly.
    """
    graph = eventsnn.load_torch(net, shape)
    x = torch.rand(4, *shape)
    expected = net(x)
    expected = getattr(expected, "value", expected).detach().numpy()
    found = ann.forward(graph, x.numpy())[graph.output]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    if not spikes:
        return graph
    network = eventsnn.convert(graph)
    pixels = x.numpy()
    assert check.deviation(network, pixels)[0] < 1e-9
    settings = dict(steps=256, neuron="st-bif", encoding="even", arithmetic="float64")
    result = eventsnn.simulate(network, pixels, pixel_range=(0, 1), **settings)
    wide = ann.forward(graph, pixels, dtype=np.float64)[graph.output]
    assert np.abs(result.readout() - ann.by_neuron(wide)).max() < 1e-6 * np.abs(wide).max()
    return graph


@pytest.mark.parametrize("fused", [False, True])
def test_quantisation_aware_training_becomes_st_bif(fused):
    net = trained(fused)
    with pytest.raises(InputError, match="observers that change them in every pass: quant.act"):
        eventsnn.load_torch(net, (2, 8, 8))
    graph = agrees(net.apply(quantization.disable_observer), spikes=fused)
    levels = [node.attrs["levels"] for node in graph.nodes if node.op == "QuantRelu"]
    assert len(levels) == (6 if fused else 10) and all(1 <= n <= 127 for n in levels)
    with pytest.raises(InputError, match="before torch.ao.quantization.convert, with FakeQuantize"):
        eventsnn.load_torch(quantization.convert(net), (2, 8, 8))


def fake(scale, zero, low, high, **options):
    """A FakeQuantize of given numbers that observes nothing."""
    scheme = torch.per_channel_affine if np.size(scale) > 1 else torch.per_tensor_affine
    observer = quantization.MinMaxObserver
    if np.size(scale) > 1:
        observer, options = quantization.PerChannelMinMaxObserver, {"ch_axis": 1} | options
    kind = torch.quint8 if low == 0 else torch.qint8
    options = options | {"dtype": kind, "qscheme": scheme}
    made = quantization.FakeQuantize(observer, quant_min=low, quant_max=high, **options)
    made.scale = torch.tensor(scale).reshape(-1)
    made.zero_point = torch.full((np.size(scale),), zero, dtype=torch.int32)
    return made.apply(quantization.disable_observer)


@pytest.mark.parametrize(
    "layers, count",
    [
        ((nn.ReLU(), fake(0.1, 0, 0, 15)), 1),
        ((nn.ReLU6(), fake(0.5, 0, 0, 255)), 1),
        ((fake(0.1, 0, 0, 15),), 1),
        ((nn.ReLU(), fake(0.1, 0, -128, 127)), 1),
        ((fake(0.1, 0, -8, 7),), 2),
        ((fake(0.1, 3, 0, 15),), 2),
        ((nn.ReLU(), fake([0.1, 0.2, 0.15], 0, 0, 15)), 2),
        ((nn.ReLU(), fake(0.1, 0, 0, 15), nn.MaxPool2d(2), fake(0.1, 0, 0, 15)), 1),
    ],
)
def test_levels_are_spikes(layers, count):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 3, 3), *layers, nn.Flatten(), nn.LazyLinear(4))
    net(torch.rand(1, 2, 8, 8))
    graph = agrees(net.eval()) if count == 1 else eventsnn.load_torch(net.eval(), (2, 8, 8))
    assert len(graph.activations) == count


def test_a_quantiser_without_levels_is_refused():
    for layer, words in (
        (fake(100.0, 0, 0, 1), "a scale of 100, with which all is 0"),
        (fake(0.0, 0, 0, 15), "a scale that is not above 0"),
    ):
        with pytest.raises(InputError, match=words):
            eventsnn.load_torch(nn.Sequential(nn.ReLU6(), layer), (2, 8, 8))


def test_networks_of_brevitas_become_st_bif():
    layers = pytest.importorskip("brevitas.nn")
    torch.manual_seed(2)
    first = layers.QuantConv2d(2, 4, 3, weight_bit_width=4), nn.BatchNorm2d(4)
    second = layers.QuantReLU(bit_width=3), nn.MaxPool2d(2), nn.Flatten()
    last = layers.QuantLinear(36, 3, bias=True, weight_bit_width=4)
    net = nn.Sequential(layers.QuantIdentity(bit_width=8), *first, *second, last)
    for _ in range(3):
        net(torch.rand(16, 2, 8, 8) * 2 - 1)
    graph = agrees(net.eval())
    assert [node.attrs["levels"] for node in graph.activations] == [127, 128, 7]
    biased = layers.QuantConv2d(
        2, 4, 3, bias=True, bias_quant=pytest.importorskip("brevitas.quant").Int8Bias
    )
    with pytest.raises(InputError, match="make the layer with bias_quant=None"):
        eventsnn.load_torch(nn.Sequential(biased).eval(), (2, 8, 8))
