"""Groups against asynctorch, the code of Koopman et al. (TMLR 2025), where it is installed (from
github.com/RoelMK/asynctorch): the same spikes in the same order.

Its neurons fire once for each group, above the threshold, and are reset to 0: `if-hard`. All
numbers here are whole multiples of 2^-8, so that > 1 - 2^-9 is >= 1. Its orders are random; a
scheduler of one's own puts what waits into ours.

One difference is left: it keeps a count for each neuron. Where a neuron fires again while its spike
before still waits, both are one entry of a group there, and two here.
"""

import numpy as np
import pytest

from eventsnn import convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.trace import record

torch = pytest.importorskip("torch")
pytest.importorskip("asynctorch.simulator.async_simulator")
pytestmark = pytest.mark.frameworks

SIZES, STEPS, UNIT = (6, 12, 10, 8), 6, 2.0**-8
ALL = 10**6


class Order:
    """What waits, in the order of emission, or the deepest layer first, in it the newest."""

    def __init__(self, kind):
        self.kind = kind
        self.layer = np.repeat(np.arange(len(SIZES) - 1), SIZES[1:])
        self.seq = np.zeros(len(self.layer), np.int64)
        self.before = np.zeros(len(self.layer))  # what was emitted and not delivered
        self.count = self.merged = 0

    def sort(self, outgoing, indices):
        """The scheduler of asynctorch: indices [1, neurons], those to be delivered first."""
        found = outgoing[0].numpy()
        for i in np.flatnonzero(found > self.before):
            if self.before[i]:
                self.merged += 1
            else:
                self.seq[i] = self.count
            self.count += 1
        key = self.seq if self.kind == "fifo" else -(self.layer * 2**40 + self.seq)
        order = np.lexsort((key, found == 0))
        self.before = found.copy()
        self.before[order[: self.group]] = 0
        return torch.tensor(order)[None]


class Watch:
    """An extension that writes down (step, neuron) of every spike."""

    def __init__(self):
        self.spikes, self.step = [], -1

    def on_spike(self, s, counts, total, is_input):
        if not is_input:
            self.spikes += [(self.step, int(i)) for i in np.flatnonzero(s[0].numpy())]
        return s

    def on_current(self, current, count, is_input):
        return current, count

    def force_stop(self):
        return False

    def on_done(self, total):
        pass

    def _init_state(self, batch):
        pass

    def _reset_state(self):
        pass


def theirs(weights, x, kind, group):
    """(spikes by asynctorch, how often a spike was added to one that waits)."""
    from asynctorch.nn.architecture.sparse_fully_linear_architecture import (
        SparseFullyLinearArchitecture,
    )
    from asynctorch.nn.neuron.lif_state import LIFState
    from asynctorch.simulator.async_simulator import AsyncSimulator
    from asynctorch.simulator.spike_selector import SpikeSelector

    device = torch.device("cpu")
    joined = SparseFullyLinearArchitecture(SIZES[0], list(SIZES[1:]), device)
    made = SparseFullyLinearArchitecture.create_state_dict_from_weights_list
    joined.load_state_dict(made([torch.tensor(w) for w in weights]))

    def above(y):
        return (y > 0).float()

    neurons = LIFState(
        list(SIZES[1:]), float("inf"), 1 - UNIT / 2, -1.0, above, above, device, apply_refrac=False
    )
    order, watch = Order(kind), Watch()
    order.group = group
    selector = SpikeSelector(joined, order, group, device, True)
    simulator = AsyncSimulator(neurons, selector, [watch])
    with torch.no_grad():
        for step in range(STEPS):
            watch.step = step
            simulator(torch.tensor(x)[None], 1.0)
    return watch.spikes, order.merged


def ours(weights, x, kind, group):
    nodes, last = [Node("flat", "Flatten", ("x",), {}, {})], "flat"
    for i, w in enumerate(weights):
        nodes.append(Node(f"g{i}", "Gemm", (last,), {"transB": 1}, {"B": w}))
        nodes.append(Node(f"a{i}", "ClippedRelu", (f"g{i}",), {"lambda": 1.0}, {}))
        last = f"a{i}"
    readout = np.eye(SIZES[-1], dtype=np.float32)
    nodes.append(Node("out", "Gemm", (last,), {"transB": 1}, {"B": readout}))
    network = convert(Graph(tuple(nodes), "x", "out", (1, 1, SIZES[0])))
    simulation = Simulation(
        network,
        steps=STEPS,
        engine="event",
        neuron="if-hard",
        initial=0,
        time=Time(order=kind, group=group),
        pixel_range=(0, 2),
        fraction_bits=16,
    )
    _, trace = record(simulation, x.reshape(1, 1, -1))
    numbers = network.first[trace.spikes["layer"]] + trace.spikes["neuron"]
    return list(zip(trace.spikes["step"].tolist(), numbers.tolist()))


@pytest.mark.parametrize("group", [1, 2, 3, 8, ALL])
@pytest.mark.parametrize("kind", ["lifo", "fifo"])
def test_groups_are_asynctorchs(kind, group):
    rng = np.random.default_rng(0)
    equal = merging = spikes = 0
    for _ in range(40):
        weights = [
            rng.integers(-100, 160, (b, a)).astype(np.float32) * np.float32(UNIT)
            for a, b in zip(SIZES, SIZES[1:])
        ]
        x = rng.integers(0, 3, SIZES[0]).astype(np.float32)
        its, merged = theirs(weights, x, kind, group)
        mine = ours(weights, x, kind, group)
        assert mine == its or merged
        equal, merging, spikes = equal + (mine == its), merging + bool(merged), spikes + len(mine)
    assert spikes > 3000
    if kind == "lifo" or group >= 8:
        assert (equal, merging) == (40, 0)
    else:
        assert 0 < equal < 40
