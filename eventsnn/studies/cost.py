"""What a run costs: operations as counted, and the papers' formulas (semantics, section 11)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph, Node
from eventsnn.arguments import Numbers, checked
from eventsnn.network.network import Network
from eventsnn.studies.workload import neurobench as neurobench
from eventsnn.values import arrayed, shaped

# pJ, 45 nm CMOS (DNISNM section 5.5)
MAC = 4.6
ADDITION = 0.9
# pJ (SpikeZIP section 4)
FLOP = 12.5
SYNAPTIC_OPERATION = 0.077
MEANING = {
    "ann_macs": "multiplications of the ANN's Conv and Gemm nodes for one image (DNISNM eq. 24)",
    "counted_operations": "weights touched by delivered spikes, mean per image; negative spikes "
    "and SRP's first stage count, drive not",
    "counted_microjoule": "0.9 pJ an operation",
    "dnisnm_operations": "sum over layers of spikes / neurons * MACs (DNISNM eq. 25); a readout "
    "that never fires has its sources' rate",
    "dnisnm_microjoule": "4.6 pJ for the first layer's operations, 0.9 pJ for the others' (eq. 26)",
    "dnisnm_energy_drop": "(SNN - ANN) / ANN with 4.6 pJ a MAC of the ANN (eq. 26); negative: "
    "the SNN needs less",
    "spikezip_microjoule": "77 fJ for each counted operation (SpikeZIP section 4)",
    "spikezip_ann_microjoule": "12.5 pJ a FLOP, two FLOPs a MAC",
}


@checked
def macs(network: Network) -> NDArray[np.int64]:
    """Multiplications that the ANN does for one image, int64 [layers] (DNISNM eq. 24).

    network: whose ANN is meant. Those of a Conv or Gemm node count for the layer that its output
    goes into. An output that several layers take belongs to the first of them.
    """
    graph = network.graph
    places = {layer.node.name: i for i, layer in enumerate(network.spiking) if layer.node}
    into = {graph.output: len(network.layers) - 1}
    found = np.zeros(len(network.layers), np.int64)
    for node in reversed(graph.nodes):
        place = places[node.name] if node.name in places else into[node.name]
        for name in node.inputs:
            into[name] = min(place, into.get(name, place))
        if node.op in ("Conv", "Gemm") and node.name not in places:
            found[into[node.name]] += math.prod(graph.shapes[node.name]) * _fan_in(graph, node)
    return found


def _fan_in(graph: Graph, node: Node) -> int:
    """The multiplications for one value of a Conv's or Gemm's output."""
    if node.op == "Conv":
        return math.prod(node.params["W"].shape[1:])
    return int(node.params["B"].size) // math.prod(graph.shapes[node.name])


@checked
def costs(
    network: Network,
    spikes: Numbers,
    operations: Numbers,
) -> dict[str, int | float]:
    """What `MEANING` names: name -> number, per image.

    network: that ran. spikes: of each layer, mean per image, [layers], the readout last.
    operations: synaptic operations into each layer, mean per image, [layers].
    """
    one = []
    for name, given in (("spikes", spikes), ("operations", operations)):
        values = arrayed(name, given, "iuf").astype(np.float64)
        shaped(name, values, len(network.layers))
        one.append(values[None])
    found = by_image(network, *one)
    return {
        "ann_macs": int(macs(network).sum()),
        **{name: float(values[0]) for name, values in found.items()},
        "spikezip_ann_microjoule": spikezip_ann(network),
    }


def spikezip_ann(network: Network) -> float:
    """What the ANN costs for one image, in microjoule (SpikeZIP section 4). network: its own."""
    return float(2 * FLOP * macs(network).sum() * 1e-6)


def by_image(
    network: Network, spikes: NDArray[np.float64], operations: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """What `MEANING` names and differs from image to image: name -> [N].

    network: that ran. spikes: of each layer, [N, layers], the readout last. operations: synaptic
    operations into each layer, [N, layers].
    """
    ann, sizes = macs(network), np.array([layer.size for layer in network.layers])
    rates = spikes / sizes
    sources = [p.source for p in network.into(len(sizes) - 1) if p.source >= 0]
    if not sources:
        rates[:, -1] = 1  # drive alone: the ANN's own multiplications
    elif not spikes[:, -1].any():
        rates[:, -1] = spikes[:, sources].sum(axis=1) / sizes[sources].sum()
    estimated, counted = rates * ann, operations.sum(axis=1)
    snn = MAC * estimated[:, 0] + ADDITION * estimated[:, 1:].sum(axis=1)
    return {
        "counted_operations": counted,
        "counted_microjoule": ADDITION * counted * 1e-6,
        "dnisnm_operations": estimated.sum(axis=1),
        "dnisnm_microjoule": snn * 1e-6,
        "dnisnm_energy_drop": snn / (MAC * ann.sum()) - 1,
        "spikezip_microjoule": SYNAPTIC_OPERATION * counted * 1e-6,
    }
