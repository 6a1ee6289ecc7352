"""The bits of a neuron's state: as few as hold what a run can make of it, and no fewer."""

from math import ceil, log2
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.networks import random_graph, small_graph

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.neurons import GN, IF, SNM, STBIF, TPP, Burst, Radix
from eventsnn.neurons.contract import own_states
from eventsnn.simulation import arithmetic
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies import states


def of(neuron, network, **options):
    given = {"steps": 5, "neuron": neuron, **options}
    if neuron == "st-bif":
        given["encoding"] = "even"
    return Simulation(network, **given)


@pytest.fixture(scope="module")
def network():
    return eventsnn.convert(small_graph("QCFS"))


def test_a_width_is_the_least_that_holds():
    """Against whole numbers of Python, one after the other."""
    for bound in (0.5, 1, 1.5, 3.99, 4, 100.25):
        for f in (1, 4, 9):
            largest = int(ceil(max(bound, 1) * 2**f + 0.5))
            found = arithmetic._width(bound, 0.5, f)
            assert largest <= 2 ** (found - 1)
            assert max(bound, 1) * 2**f + 0.5 >= 2 ** (found - 2), "a bit less is too few"


@pytest.mark.parametrize("neuron", ["if", "snm", "st-bif", "gn:3"])
def test_a_run_stays_in_its_bits(neuron, network):
    simulation = of(neuron, network)
    images = np.random.default_rng(2).integers(0, 256, (6, *network.graph.input_shape))
    rows = states.bits(simulation)
    first = 0
    for row, layer in zip(rows, network.spiking, strict=True):
        assert (row["layer"], row["neurons"]) == (layer.name, layer.size)
        here = slice(first, first + layer.size)
        for image in images.astype(np.uint8):
            outcome = simulation.engine.image(image)
            v, s = outcome.v[here].astype(np.int64), outcome.s[here]
            assert np.abs(v).max() < 2 ** (row["potential"] - 1)
            if row["S"]:
                assert 0 <= s.min() and s.max() < 2 ** row["S"]
        assert row["bits"] == sum(row[part] for part in states.PARTS)
        first += layer.size


@pytest.mark.parametrize("neuron", ["if", "snm", "st-bif"])
def test_the_widest_layer_decides_f(neuron):
    """F is the largest for 32 bits, so one layer takes all of them, and none takes more."""
    network = eventsnn.convert(eventsnn.load("sample"))
    simulation = of(neuron, network)
    widths, f = simulation.widths(), simulation.arithmetic.fraction_bits
    assert simulation.arithmetic.dtype == np.int32 and max(widths) == 32
    less = of(neuron, network, fraction_bits=f - 10).widths()
    assert {*(np.array(widths) - less).tolist()} <= {9, 10, 11}


def test_net_spikes_take_the_bits_of_their_largest_number(network):
    for levels in (1, 3, 4, 7, 8):
        graph = small_graph("QCFS")
        for node in graph.activations:
            node.attrs["levels"] = levels
        rows = states.bits(of("st-bif", eventsnn.convert(graph)))
        assert {row["S"] for row in rows} == {ceil(log2(levels + 1))}
    assert {row["S"] for row in states.bits(of("snm", network, steps=16))} == {5}
    assert {row["S"] for row in states.bits(of("snm", network, steps=15))} == {4}
    assert {row["S"] for row in states.bits(of("if", network))} == {0}


def test_masks_and_rests_count(network):
    plain, masked = states.bits(of("if", network)), states.bits(of("if", network, srp=4))
    assert {row["mask"] for row in plain} == {0} and {row["mask"] for row in masked} == {1}
    time = Time(refractory=0.5, window=0.25, ticks=1024)
    rows = states.bits(of("st-bif", network, engine="event", time=time))
    assert {row["rest"] for row in rows} == {10 + 9}, "512 and 256 ticks"
    assert {row["rest"] for row in states.bits(of("st-bif", network, engine="event"))} == {0}


def test_states_of_a_models_own_are_as_wide_as_the_numbers(network):
    simulation = of("radix", network)
    assert own_states(simulation.neuron) == ("code",)
    size = 8 * simulation.arithmetic.dtype.itemsize
    assert {row["own"] for row in states.bits(simulation)} == {size}


def test_floating_point_takes_its_own_bits(network):
    for kind, wide in (("float32", 32), ("float64", 64)):
        rows = states.bits(of("if", network, arithmetic=kind))
        assert {row["potential"] for row in rows} == {wide}


def test_pools_are_no_neurons():
    network = eventsnn.convert(small_graph("QCFS", pool="MaxPool"), max_pooling="exact")
    assert any(layer.pools for layer in network.spiking)
    names = [layer.name for layer in network.spiking if not layer.pools]
    assert [row["layer"] for row in states.bits(of("if", network))] == names


class _Shy(NamedTuple):
    q: Any = None


class Shy(_Shy):
    """Fires once in all: a model that asks for S and has no limits."""

    __slots__ = ()
    words = "fires 1 if p >= q and S == 0"
    conserves, confluent, holds, signed, reset = True, False, True, False, "subtract"

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.q and s == 0 else 0


def test_who_asks_for_net_spikes():
    asking = {SNM, STBIF, Shy}
    for model in (IF, SNM, STBIF, GN, TPP, Burst, Radix, Shy):
        assert states.asks_for_net_spikes(model()) == (model in asking)


def test_nothing_bounds_a_potential_without_a_clock(network):
    with pytest.raises(InputError, match="clocked time, or a model whose net spikes have limits"):
        states.bits(of("if", network, engine="event"))


@pytest.mark.parametrize("seed", range(3))
def test_random_networks_stay_in_their_bits(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    network = eventsnn.convert(graph)
    simulation = of("if", network, fraction_bits=8)
    image = rng.integers(0, 256, graph.input_shape).astype(np.uint8)
    v = simulation.engine.image(image).v.astype(np.int64)
    first = 0
    for layer, width in zip(network.layers, simulation.widths()):
        assert np.abs(v[first : first + layer.size]).max() < 2 ** (width - 1)
        first += layer.size
