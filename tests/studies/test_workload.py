"""NeuroBench's metrics: by hand on two neurons, and beside the package itself."""

import numpy as np
import pytest

import eventsnn
from eventsnn import Graph, Node, Preprocessing, cost
from eventsnn.exceptions import InputError
from eventsnn.studies.workload import MEANING

FIRST = np.float32([[1, 0], [1, 1]])
SECOND = np.float32([[1, -1], [0, 1]])


def two_neurons():
    """Two inputs, two neurons of threshold 1, two outputs; a weight of each Gemm is 0."""
    nodes = (
        Node("flat", "Flatten", ("input",)),
        Node("one", "Gemm", ("flat",), {"transB": 1}, {"B": FIRST}),
        Node("act", "QCFS", ("one",), {"lambda": 1.0, "levels": 2}),
        Node("two", "Gemm", ("act",), {"transB": 1}, {"B": SECOND, "C": np.zeros(2, np.float32)}),
    )
    return Graph(nodes, "input", "two", (1, 1, 2), Preprocessing())


def test_two_neurons_by_hand():
    """Pixels (1/2, 1/2), v(0) = 1/2, T = 2. The drive is 1/2 and 1. Neuron 0 is at 1 and fires, is
    at 0, then at 1/2; neuron 1 is at 3/2 and fires, is at 1/2, and again.
    """
    pixels = np.full((1, 1, 1, 2), 0.5, np.float32)
    found = cost.neurobench(eventsnn.convert(two_neurons()), pixels, steps=2, pixel_range=(0, 1))
    assert found == {
        "footprint": 4 * (4 + 4 + 2),
        "connection_sparsity": 2 / 8,
        "activation_sparsity": 1 / 4,  # 3 spikes of 2 neurons in 2 steps
        "effective_macs": 2 * 3,  # the pixels, in each step
        "effective_acs": 3 + 2,  # both neurons' weights but for the 0, then those of neuron 1
        "dense": 2 * (4 + 4),
        "membrane_updates": 2 + 1,  # both in step 1, then neuron 0
    }
    assert found.keys() == MEANING.keys()


def test_several_spikes_of_a_neuron_are_no_single_ones():
    """Group neurons: an input of 2 in a step makes MACs of all that the layer sends in it."""
    pixels = np.full((1, 1, 1, 2), 0.5, np.float32)
    network = eventsnn.convert(two_neurons())
    found = cost.neurobench(network, pixels, steps=1, neuron="gn:2", pixel_range=(0, 1))
    # v(0) = 1/4: 3/4 is one spike of 1/2, and 5/4 is two
    assert found["effective_acs"] == 0 and found["effective_macs"] == 3 + 3
    assert found["activation_sparsity"] == 0


def test_what_comes_evenly_comes_in_its_steps_alone():
    pixels = np.full((1, 1, 1, 2), 0.5, np.float32)
    network = eventsnn.convert(two_neurons())
    options = {"neuron": "st-bif", "encoding": "even", "pixel_range": (0, 1)}
    found = cost.neurobench(network, pixels, steps=5, **options)
    assert found["effective_macs"] == 2 * 3 and found["dense"] == 5 * 8


@pytest.mark.parametrize(
    "options, words",
    [
        ({"srp": 2}, "one stage"),
        ({"encoding": "rate"}, "encoding"),
        ({"engine": "event"}, "clocked"),
        ({"neuron": "if-hard"}, "conserve"),
        ({"neuron": "tpp"}, "stage|holds|change"),
        ({"arithmetic": "float64"}, "fixed point"),
    ],
)
def test_what_has_no_such_numbers_is_refused(options, words):
    pixels = np.full((1, 1, 1, 2), 0.5, np.float32)
    with pytest.raises(InputError, match=words):
        cost.neurobench(eventsnn.convert(two_neurons()), pixels, steps=2, **options)


@pytest.mark.frameworks
def test_neurobench_itself_says_the_same():
    """A small convolutional network as snnTorch neurons, by NeuroBench's own hooks."""
    torch = pytest.importorskip("torch")
    snn = pytest.importorskip("snntorch")
    pytest.importorskip("neurobench")
    from neurobench.metrics.static import ConnectionSparsity, Footprint
    from neurobench.metrics.workload import (
        ActivationSparsity,
        MembraneUpdates,
        SynapticOperations,
    )
    from neurobench.models import SNNTorchModel

    steps, rng = 6, np.random.default_rng(3)
    # weights of few binary digits: floating point adds them without rounding, as fixed point does
    sizes = {"one": (4, 1, 3, 3), "two": (5, 64)}
    w = {name: rng.integers(-8, 9, size) / 16 for name, size in sizes.items()}
    w = {name: np.where(rng.random(its.shape) < 0.3, 0, its) for name, its in w.items()}
    w["two"] = w["two"] / 4
    pixels = (rng.integers(0, 17, (2, 1, 6, 6)) / 16).astype(np.float32)
    attrs = {"kernel_shape": [3, 3]}
    nodes = (
        Node("one", "Conv", ("input",), attrs, {"W": w["one"].astype(np.float32)}),
        Node("act", "QCFS", ("one",), {"lambda": 1.0, "levels": 4}),
        Node("flat", "Flatten", ("act",)),
        Node("two", "Gemm", ("flat",), {"transB": 1}, {"B": w["two"].astype(np.float32)}),
        Node("act2", "QCFS", ("two",), {"lambda": 1.0, "levels": 4}),
        Node("out", "Gemm", ("act2",), {"transB": 1}, {"B": np.eye(5, dtype=np.float32)}),
    )
    graph = Graph(nodes, "input", "out", (1, 6, 6), Preprocessing())
    network = eventsnn.convert(graph)
    options = {"steps": steps, "initial": 0.5, "pixel_range": (0, 1), "progress": False}
    found = cost.neurobench(network, pixels, **options)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            how = {"beta": 1.0, "threshold": 1.0 - 1e-6, "reset_mechanism": "subtract"}
            how |= {"init_hidden": True, "reset_delay": False}
            self.conv = torch.nn.Conv2d(1, 4, 3, bias=False)
            self.fc = torch.nn.Linear(64, 5, bias=False)
            self.out = torch.nn.Linear(5, 5, bias=False)
            self.lif1, self.lif2 = snn.Leaky(**how), snn.Leaky(**how, output=True)
            for layer, name in ((self.conv, "one"), (self.fc, "two")):
                layer.weight.data = torch.tensor(w[name], dtype=torch.float32)
            self.out.weight.data = torch.eye(5)

        def forward(self, x):
            spikes = self.lif1(self.conv(x)).flatten(1)
            sent, mem = self.lif2(self.fc(spikes))
            return self.out(sent), mem

    net = Net()
    results = {name: [] for name in ("sparsity", "synops", "updates")}
    for image in torch.tensor(pixels):
        model = SNNTorchModel(net)
        model.register_hooks()
        for lif, shape in ((net.lif1, (1, 4, 4, 4)), (net.lif2, (1, 5))):
            lif.mem = torch.full(shape, 0.5)
        for _ in range(steps):
            net(image[None])
        data = (image[None], torch.zeros(1))
        results["sparsity"].append(ActivationSparsity()(model, None, data))
        results["synops"].append(SynapticOperations()(model, None, data))
        results["updates"].append(MembraneUpdates()(model, None, data))
        model.cleanup_hooks()
    assert ConnectionSparsity()(model) == pytest.approx(found["connection_sparsity"], abs=1e-4)
    buffers = sum(b.numel() * b.element_size() for b in net.buffers())
    assert Footprint()(model) - buffers == found["footprint"]
    assert np.mean(results["sparsity"]) == pytest.approx(found["activation_sparsity"])
    names = {"Effective_MACs": "effective_macs", "Effective_ACs": "effective_acs", "Dense": "dense"}
    for name, ours in names.items():
        assert np.mean([each[name] for each in results["synops"]]) == found[ours]
    assert np.mean(results["updates"]) == found["membrane_updates"]
