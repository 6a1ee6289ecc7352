"""What a run costs: multiplications counted by hand, the papers' formulas in numbers, and
operations as the twin counts them.
"""

import json

import numpy as np
import pytest
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.networks import (
    Builder,
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_graph,
    random_pixels,
)

from eventsnn import convert, load, load_images
from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.cost import MEANING, costs, macs


def residual_graph():
    """2x6x6 -> 4x6x6 -> depthwise, then 1x1 with a strided shortcut: 8x3x3 -> 5 classes."""
    b = Builder(np.random.default_rng(1), (2, 6, 6))
    stem = b.activation(b.bn(b.conv("input", 4, pads=[1, 1, 1, 1])), "QCFS")
    deep = b.activation(b.conv(stem, 4, group=4, strides=[2, 2], pads=[1, 1, 1, 1]), "QCFS")
    joined = b.add(
        "Add", [b.bn(b.conv(deep, 8, 1)), b.conv(stem, 8, 1, strides=[2, 2], bias=False)]
    )
    return b.graph(b.gemm(b.add("Flatten", [b.activation(joined, "QCFS")]), 5))


BY_HAND = [
    4 * 6 * 6 * 2 * 9,
    4 * 3 * 3 * 1 * 9,
    8 * 3 * 3 * 4 + 8 * 3 * 3 * 4,
    5 * 8 * 3 * 3,
]  # outputs times fan-in, layer by layer


def test_multiplications_by_hand():
    assert macs(convert(residual_graph())).tolist() == BY_HAND
    firing = macs(
        convert(
            residual_graph(),
            readout="fires",
            thresholds="max",
            calibration=random_pixels(np.random.default_rng(2), residual_graph(), 4),
        )
    )
    assert firing.tolist() == [
        *BY_HAND,
        0,
    ]  # neurons at the output are a layer of their own; the readout behind them multiplies nothing


@pytest.mark.parametrize("transposed", [0, 1])
def test_multiplications_of_matrices_and_groups(transposed):
    b = Builder(np.random.default_rng(3), (4, 5, 5))
    x = b.activation(b.conv("input", 6, group=2), "QCFS")
    weight = np.ones((7, 54) if transposed else (54, 7), np.float32)
    x = b.activation(
        b.add("Gemm", [b.add("Flatten", [x])], {"transB": transposed}, {"B": weight}), "QCFS"
    )
    assert macs(convert(b.graph(b.gemm(x, 3)))).tolist() == [6 * 3 * 3 * 2 * 9, 7 * 54, 3 * 7]


def test_multiplications_for_several_layers_belong_to_the_first():
    """The first convolution (72) goes to the second layer by way of its first node, and to the
    first layer by way of its second.
    """
    b = Builder(np.random.default_rng(7), (1, 4, 4))
    shared = b.conv("input", 2)
    late = b.bn(shared)
    first = b.activation(b.bn(shared), "QCFS")
    second = b.activation(b.add("Add", [b.conv(first, 2, 1), late]), "QCFS")
    assert macs(convert(b.graph(b.gemm(b.add("Flatten", [second]), 3)))).tolist() == [72, 16, 24]


def test_every_multiplication_belongs_to_one_layer():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        graph = (random_graph, pooled_graph)[seed % 2](rng)
        total = sum(
            np.prod(graph.shapes[n.name])
            * (
                n.params["W"][0].size
                if n.op == "Conv"
                else n.params["B"].size / np.prod(graph.shapes[n.name])
            )
            for n in graph.nodes
            if n.op in ("Conv", "Gemm")
        )
        assert macs(convert(graph)).sum() == total


def test_multiplications_of_the_bundled_network():
    assert macs(convert(load("sample"))).tolist() == [
        16 * 784 * 9,
        32 * 196 * 16 * 9,
        32 * 196 * 32 * 9,
        64 * 49 * 32 * 9,
        64 * 49 * 64 * 9,
        64 * 3136,
        640,
    ]


def test_the_formulas_by_hand():
    """DNISNM eq. 24-26: operations are spikes / neurons * MACs; 4.6 pJ in the first layer, 0.9 pJ
    in the others.
    """
    network = convert(residual_graph())
    sizes = [layer.size for layer in network.layers]
    assert sizes == [144, 36, 72, 5]
    found = costs(network, [288, 9, 18, 0], [0, 1000, 2000, 3000])
    operations = [
        2 * 2592,
        0.25 * 324,
        0.25 * 576,
        0.25 * 360,
    ]  # the readout's rate is its sources'
    assert found.keys() == MEANING.keys()
    assert found["ann_macs"] == sum(BY_HAND) == 3852 and found["counted_operations"] == 6000
    assert found["dnisnm_operations"] == pytest.approx(sum(operations)) == 5499
    assert found["dnisnm_microjoule"] * 1e6 == pytest.approx(4.6 * 5184 + 0.9 * 315)
    assert found["dnisnm_energy_drop"] == pytest.approx((4.6 * 5184 + 0.9 * 315) / (4.6 * 3852) - 1)
    assert found["counted_microjoule"] * 1e6 == pytest.approx(0.9 * 6000)
    assert found["spikezip_microjoule"] * 1e6 == pytest.approx(77e-3 * 6000)
    assert found["spikezip_ann_microjoule"] * 1e6 == pytest.approx(12.5 * 2 * 3852)
    assert costs(network, [144, 36, 72, 5], [0] * 4)["dnisnm_energy_drop"] == pytest.approx(
        (4.6 * 2592 + 0.9 * 1260) / (4.6 * 3852) - 1
    )


def test_a_readout_of_several_sources_has_their_common_rate():
    b = Builder(np.random.default_rng(4), (1, 4, 4))
    one = b.activation(b.conv("input", 2), "QCFS")  # 8 neurons
    two = b.activation(b.conv(one, 4, 1), "QCFS")  # 16
    network = convert(b.graph(b.gemm(b.add("Flatten", [b.add("Concat", [one, two])]), 3)))
    assert macs(network).tolist() == [72, 32, 72]
    found = costs(network, [4, 2, 0], [0, 0, 0])
    assert found["dnisnm_operations"] == pytest.approx(0.5 * 72 + 2 / 16 * 32 + 6 / 24 * 72)


def resnet20():
    """Shapes of ResNet-20 on CIFAR-10, with convolutions in its downsampling shortcuts."""
    b = Builder(np.random.default_rng(5), (3, 32, 32))
    x = b.activation(b.conv("input", 16, pads=[1, 1, 1, 1], bias=False), "QCFS")
    for stage, width in enumerate((16, 32, 64)):
        for block in range(3):
            stride = [2, 2] if stage and not block else [1, 1]
            y = b.activation(
                b.conv(x, width, pads=[1, 1, 1, 1], strides=stride, bias=False), "QCFS"
            )
            y = b.conv(y, width, pads=[1, 1, 1, 1], bias=False)
            if stride == [2, 2]:
                x = b.conv(x, width, 1, strides=stride, bias=False)
            x = b.activation(b.add("Add", [y, x]), "QCFS")
    return b.graph(b.gemm(b.add("Flatten", [b.add("GlobalAveragePool", [x])]), 10))


def test_spikezip_resnet20():
    """SpikeZIP section 4: 12.5 pJ a FLOP, 77 fJ a synaptic operation. ResNet-20 on CIFAR has 40.8 M
    MACs, two FLOPs each: 1.02 mJ.
    """
    network = convert(resnet20())
    operations = [10**9] + [0] * (len(network.layers) - 1)
    found = costs(network, np.zeros(len(network.layers)), operations)
    whole, halved = 16 * 16 * 9 * 1024, 32 * 16 * 9 * 256
    assert (
        found["ann_macs"]
        == 3 * 16 * 9 * 1024 + 16 * whole + 2 * halved + 2 * 32 * 16 * 256 + 640
        == 40_813_184
    )
    assert found["spikezip_ann_microjoule"] == pytest.approx(1020.33, abs=0.01) and found[
        "spikezip_microjoule"
    ] == pytest.approx(77)


@pytest.mark.parametrize("model", ["snm", "st-bif"])
def test_a_negative_spike_costs_what_a_positive_one_does(model):
    """Operations are those of the twin, and the fan-out of every spike of either sign."""
    negative = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        graph = quantised_graph(rng)
        pixels = random_pixels(rng, graph, 1)
        simulation = Simulation(
            convert(graph), steps=8, neuron=model, pixel_range=pixel_range(pixels)
        )
        batch, net = simulation.run(pixels), twin_net(simulation)
        twins = (
            twin.SNM()
            if model == "snm"
            else [twin.STBIF(int(limit)) for limit in simulation.neuron.limits]
        )
        outcome = twin.run_clocked(
            net, twin_drive(simulation, pixels[0]), twin_start(simulation), 8, twins
        )
        expected, spikes = (np.zeros_like(batch.operations[0]) for _ in range(2))
        for s in outcome.spikes:
            spikes[s.layer, s.step] += 1
            for p in net.projections:
                if p.source == s.layer:
                    expected[p.target, s.step] += p.mask[:, s.neuron].sum()
        assert np.array_equal(batch.operations[0], expected) and np.array_equal(
            batch.spikes[0], spikes
        )
        assert expected.sum() == outcome.synaptic_operations
        negative += sum(s.sign < 0 for s in outcome.spikes)
    assert negative


def test_the_first_stage_is_in_the_summary(tmp_path, monkeypatch, capsys):
    """The run's own figures leave SRP's first stage out; what it cost stands beside them, and in
    the cost of an image.
    """
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(6)
    graph = residual_graph()
    write_native(graph, "net.h5")
    np.savez(
        "data.npz",
        x_test=rng.integers(0, 4, (6, 2, 6, 6)).astype(np.uint8),
        y_test=rng.integers(0, 5, 6),
    )
    assert main("--net net.h5 --data data.npz --steps 4 --srp 3 --json --out a".split()) == 0
    summary = json.loads(capsys.readouterr().out)
    network, images = convert(graph), load_images("data.npz")
    both, stage = network.run(images, steps=4, srp=3).batch, network.run(images, steps=3).batch
    means = [
        sum(getattr(run, name).sum(axis=(0, 2)) for run in (both, stage)) / 6
        for name in ("spikes", "operations")
    ]
    assert summary["stage_one"] == {
        "steps": 3,
        "spikes_per_image": stage.spikes.sum() / 6,
        "synaptic_operations_per_image": stage.operations.sum() / 6,
    }
    assert summary["synaptic_operations_per_image"] == both.operations.sum() / 6 > 0
    assert summary["cost_per_image"] == pytest.approx(costs(network, *means))
    assert (
        summary["cost_per_image"]["counted_operations"] > summary["synaptic_operations_per_image"]
    )
    assert main("--net net.h5 --data data.npz --steps 4 --json --out b".split()) == 0
    plain = json.loads(capsys.readouterr().out)
    assert "stage_one" not in plain
    assert plain["cost_per_image"]["counted_operations"] == plain["synaptic_operations_per_image"]
