"""Random networks: the engines against the oracle, a simulator of its own (`support.oracle`).

Here is a small part; `python tests/oracle.py 10000` runs many and prints what was tried.
"""

from fractions import Fraction

import numpy as np
import pytest
from support.oracle_cases import MODELS, Case, draw
from support.oracle_graph import build
from support.oracle_models import GN, IF, LIF, STBIF, Fixed, IFHard
from support.oracle_report import campaign
from support.oracle_runs import Skipped, compared

import eventsnn
from eventsnn import Graph, Node

QUICK = {
    "models": ("if", "snm"),
    "orders": ("clocked engine", "fifo", "random", "inhibitory_first"),
}


def differences(seeds, **fixed):
    """(how many cases were compared, {words: what differs})."""
    tried, found = 0, {}
    for seed in seeds:
        case = draw(seed, **fixed)
        try:
            differ = compared(case)
        except Skipped:
            continue
        tried += 1
        if differ:
            found[f"{seed}: {case.words()}"] = sorted(differ)
    return tried, found


def test_a_few_networks_are_equal_number_by_number():
    tried, found = differences(range(12), **QUICK)
    assert not found
    assert tried == 12


@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
def test_networks_of_every_kind_are_equal_number_by_number(model):
    tried, found = differences(range(100_000, 100_025), models=(model,))
    assert not found
    assert tried > 20


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_biases_that_come_once_are_part_of_a_sum_that_is_rounded_once(dtype):
    """Step 1 of `constant` is W x + b; (W x + b - b) + b would be another number."""
    one = graph(*(flat("flat", "input"), gemm("g", "flat", [[0.7]], -0.9)), act("a", "g"))
    encoding = eventsnn.Encoding(kind="constant", bias_once=True)
    simulation = eventsnn.Simulation(
        eventsnn.convert(one), steps=3, encoding=encoding, arithmetic=dtype.__name__
    )
    first, later = simulation.drive(np.full((1, 1, 1), 3, np.float32))[:, 0]
    weight, bias = float(np.float32(0.7)), float(np.float32(-0.9))
    assert first == dtype(weight * 3 + bias)
    assert later == dtype(weight * 3 + bias) - dtype(bias)
    assert later + dtype(bias) != first or dtype is np.float64


@pytest.mark.long
def test_networks_in_float32_are_equal_number_by_number():
    """But for the input's own spikes: semantics leaves open how their sum is rounded."""
    tried, found = differences(
        range(100_000, 100_025),
        encodings=("constant", "even"),
        arithmetic="float32",
        fraction_bits=None,
        **QUICK,
    )
    assert not found
    assert tried > 20


def test_a_campaign_prints_what_was_tried(capsys):
    assert campaign(0, 2, **QUICK) == []
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["all:", "networks", "2", "0"] in rows


# --- small networks by hand ---------------------------------------------------------------------


def conv(name, source, weight, bias=0.0):
    """A convolution of one channel and one place."""
    params = {"W": np.full((1, 1, 1, 1), weight, np.float32), "B": np.array([bias], np.float32)}
    return Node(name, "Conv", (source,), {"kernel_shape": [1, 1]}, params)


def gemm(name, source, weights, bias=0.0):
    weights = np.array(weights, np.float32)
    params = {"B": weights, "C": np.zeros(len(weights), np.float32) + np.float32(bias)}
    return Node(name, "Gemm", (source,), {"transB": 1}, params)


def act(name, source):
    return Node(name, "ClippedRelu", (source,), {"lambda": 1.0})


def flat(name, source):
    return Node(name, "Flatten", (source,))


def graph(*nodes):
    """A graph of one pixel."""
    return Graph(nodes, "input", nodes[-1].name, (1, 1, 1))


def case_of(graph, time=None, model="if", oracle=None, steps=1, pixel=0.0, **options):
    options = {"steps": steps, "seed": 0, "fraction_bits": 8, "initial": 0.0, **options}
    pixels = np.full((1, 1, 1, 1), pixel, np.float32)
    return Case(
        graph, pixels, model.split(":")[0], model, oracle or IF(), time=time, options=options
    )


def neuron(bias):
    """One neuron with this drive, and an output that hears it."""
    return graph(
        *(flat("flat", "input"), gemm("g", "flat", [[0]], bias)),
        *(act("a", "g"), gemm("out", "a", [[1]])),
    )


def branches(weight=1.0):
    """Two neurons that fire in every step, each with a branch of its own to one of two neurons."""
    joined = Node("joined", "Concat", ("d", "e"), {"axis": 1})
    return graph(
        *(conv("f", "input", 0, bias=1), act("a", "f"), conv("d", "a", weight)),
        *(conv("g", "input", 0, bias=1), act("b", "g"), conv("e", "b", weight)),
        *(joined, act("c", "joined"), flat("flat", "c"), gemm("out", "flat", [[1, 1]])),
    )


def test_the_oracle_counts_the_synapses_of_a_padded_convolution():
    """3 x 3 over 3 x 3 places and a border of 1: corners see 4 places, edges 6, the middle 9."""
    weights = {"W": np.ones((2, 1, 3, 3), np.float32)}
    padded = Node("n", "Conv", ("a",), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, weights)
    nodes = (conv("m", "input", 1), act("a", "m"), padded, act("b", "n"), flat("o", "b"))
    net = build(
        Graph(nodes, "input", "o", (1, 3, 3)),
        [1.0, 1.0, 1.0],
        [(1, 3, 3), (2, 3, 3), (2, 3, 3)],
        Fixed(8),
    )
    to_b = [len(cell.synapses) for cell in net.layers[0]]
    assert to_b == [2 * n for n in (4, 6, 4, 6, 9, 6, 4, 6, 4)]
    assert [len(cell.synapses) for cell in net.layers[1]] == [1] * 18


def test_another_model_does_not_pass():
    """What is compared is seen: a hard reset for a soft one."""
    one = neuron(0.75)
    assert compared(case_of(one, steps=4)) == {}
    assert compared(case_of(one, {"order": "fifo"}, steps=4)) == {}
    wrong = compared(case_of(one, steps=4, oracle=IFHard()))
    names = {"spikes", "operations", "ties", "readout", "counts", "potentials"}
    assert set(wrong) == names


def late(first, second):
    """Delays by which `branches` hear their two neurons, in steps."""
    pairs = {("a", "c"): first, ("b", "c"): second}
    return {"order": "delays", "delays": pairs}


def test_branches_of_a_concat_have_no_synapses_to_each_other():
    """4 synapses, not 6; 2 operations in layer c, not 4."""
    assert compared(case_of(branches())) == {}


def test_a_spike_without_a_synapse_opens_no_window():
    """c's first neuron hears a at tick 384, not b before, and fires at 640, not at 576."""
    time = {"window": Fraction(1, 4), **late(Fraction(1, 8), Fraction(1, 16))}
    assert compared(case_of(branches(), time)) == {}


@pytest.mark.long
def test_a_spike_without_a_synapse_is_no_touch_of_a_leaking_potential():
    """c's first neuron was touched last at tick 0; v(T) is as of then."""
    case = case_of(branches(0.5), late(Fraction(0), Fraction(1, 2)), "lif:0.5", LIF(0.5))
    assert compared(case) == {}


def fork(op="ClippedRelu", bias=0.0, **attrs):
    """A neuron a that fires; it excites the first of two neurons, b, and inhibits the second."""
    attrs = attrs or {"lambda": 1.0}
    return graph(
        *(flat("flat", "input"), gemm("g", "flat", [[0]], 2)),
        *(Node("a", op, ("g",), attrs), gemm("h", "a", [[2], [-1]], [bias, 0])),
        *(Node("b", op, ("h",), attrs), gemm("out", "b", [[1, 1]])),
    )


def test_a_half_fires_no_neuron_that_it_does_not_reach():
    """At tick 256 b's first neuron, above its threshold, fires at the excitatory half, at p = 5.

    The inhibitory one comes before and has no synapse to it.
    """
    time = {"order": "inhibitory_first", "refractory": Fraction(1, 4)}
    assert compared(case_of(fork(bias=2), time)) == {}


def test_a_half_counts_no_ties_of_a_neuron_that_it_does_not_reach():
    """b's first neuron meets a threshold exactly at its own evaluations alone."""
    time = {"order": "excitatory_first"}
    case = case_of(fork("QuantRelu", scale=1.0, levels=4), time, "st-bif", STBIF())
    case.encoding, case.release = "even", 1
    assert compared(case) == {}


@pytest.mark.long
def test_the_last_of_256_members_is_recorded():
    case = case_of(neuron(1), {"order": "fifo"}, "gn:256", GN(256), fraction_bits=4)
    assert compared(case) == {}


def test_one_delay_for_all_keeps_spikes_whole():
    """a reaches b and c, b reaches c. With lifo and a delay of 0, c hears a before what a fires."""
    one = graph(
        *(flat("flat", "input"), gemm("f", "flat", [[0]], 1), act("a", "f")),
        *(gemm("g", "a", [[1]]), act("b", "g"), gemm("h", "a", [[1]]), gemm("i", "b", [[1]])),
        *(Node("j", "Add", ("h", "i")), act("c", "j"), gemm("out", "c", [[1]])),
    )
    for order, delay in (("lifo", Fraction(0)), ("lifo", Fraction(1, 4)), ("random", Fraction(0))):
        assert compared(case_of(one, {"order": order, "delays": delay})) == {}


def test_a_pool_behind_a_negative_scale_sends_minima():
    """Neurons a fire 2 and 1 times in 2 steps; a pool of -a is -1, the smaller of both."""
    norm = {"scale": [-1], "B": [0], "input_mean": [0], "input_var": [1]}
    norm = {name: np.array(values, np.float32) for name, values in norm.items()}
    weights = {"W": np.full((1, 1, 1, 1), 1, np.float32)}
    nodes = (
        Node("f", "Conv", ("input",), {"kernel_shape": [1, 1]}, weights),
        *(act("a", "f"), Node("n", "BatchNormalization", ("a",), {"epsilon": 0.0}, norm)),
        Node("m", "MaxPool", ("n",), {"kernel_shape": [1, 2], "strides": [1, 2]}),
        *(flat("flat", "m"), gemm("out", "flat", [[1]])),
    )
    case = case_of(Graph(nodes, "input", "out", (1, 1, 2)), steps=2)
    case.pixels = np.array([[[[1, 0.5]]]], np.float32)
    assert compared(case) == {}
    assert case.minima


@pytest.mark.parametrize("time", [None, {"order": "fifo"}])
def test_a_network_without_a_hidden_layer_is_its_drive(time):
    bare = graph(flat("flat", "input"), gemm("out", "flat", [[2], [-1]], 0.5))
    case = case_of(bare, time, steps=3, pixel=0.25)
    assert compared(case) == {}
