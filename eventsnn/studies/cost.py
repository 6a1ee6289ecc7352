"""What a run costs: synaptic operations as counted, and the two papers' formulas beside the count
(semantics, section 11).
"""

from __future__ import annotations

import math

import numpy as np

MAC, ADDITION = 4.6, 0.9  # pJ, 45 nm CMOS (DNISNM section 5.5)
FLOP, SYNAPTIC_OPERATION = 12.5, 0.077  # pJ (SpikeZIP section 4)
MEANING = {
    "ann_macs": "multiplications of the ANN's Conv and Gemm nodes for one image (DNISNM eq. 24)",
    "counted_operations": "weights touched by delivered spikes, mean per image; negative spikes and SRP's first stage count, drive not",
    "counted_microjoule": "0.9 pJ an operation",
    "dnisnm_operations": "sum over layers of spikes / neurons * MACs (DNISNM eq. 25); a readout that never fires has its sources' rate",
    "dnisnm_microjoule": "4.6 pJ for the first layer's operations, 0.9 pJ for the others' (eq. 26)",
    "dnisnm_energy_drop": "(SNN - ANN) / ANN with 4.6 pJ a MAC of the ANN (eq. 26); negative: the SNN needs less",
    "spikezip_microjoule": "77 fJ for each counted operation (SpikeZIP section 4)",
    "spikezip_ann_microjoule": "12.5 pJ a FLOP, two FLOPs a MAC",
}


def macs(network):
    """int64 [layers]: multiplications of the Conv and Gemm nodes whose output goes into each layer,
    for one image (DNISNM eq. 24).
    """
    graph, places = network.graph, {layer.node.name: i for i, layer in enumerate(network.spiking)}
    into, found = {graph.output: len(network.layers) - 1}, np.zeros(len(network.layers), np.int64)
    for node in reversed(graph.nodes):
        place = places.get(node.name, into.get(node.name))
        for name in node.inputs:  # an output that several layers take belongs to the first of them
            into[name] = min(place, into.get(name, place))
        if node.op in ("Conv", "Gemm") and node.name not in places:
            weight = node.params["W" if node.op == "Conv" else "B"]
            fan_in = (
                math.prod(weight.shape[1:])
                if node.op == "Conv"
                else weight.size // math.prod(graph.shapes[node.name])
            )
            found[into[node.name]] += math.prod(graph.shapes[node.name]) * fan_in
    return found


def costs(network, spikes, operations):
    """A dict of what `MEANING` names. spikes, operations: mean per image, [layers] (spikes of each,
    operations into each).
    """
    ann, spikes = macs(network), np.asarray(spikes, np.float64)
    rates = np.array([spikes[i] / layer.size for i, layer in enumerate(network.layers)])
    if not spikes[-1]:
        sources = [p.source for p in network.into(len(rates) - 1) if p.source >= 0]
        rates[-1] = spikes[sources].sum() / sum(network.layers[s].size for s in sources)
    estimated, counted = rates * ann, float(np.sum(operations))
    snn = MAC * estimated[0] + ADDITION * estimated[1:].sum()
    return {
        "ann_macs": int(ann.sum()),
        "counted_operations": counted,
        "counted_microjoule": ADDITION * counted * 1e-6,
        "dnisnm_operations": float(estimated.sum()),
        "dnisnm_microjoule": float(snn * 1e-6),
        "dnisnm_energy_drop": float(snn / (MAC * ann.sum()) - 1),
        "spikezip_microjoule": SYNAPTIC_OPERATION * counted * 1e-6,
        "spikezip_ann_microjoule": float(2 * FLOP * ann.sum() * 1e-6),
    }
