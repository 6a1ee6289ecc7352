"""What potentials count in, against the twin's thresholds."""

import re

import h5py
import numpy as np
import pytest
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.models import MODELS, models_of
from support.networks import pixel_range, pooled_graph, quantised_graph, random_pixels

from eventsnn import convert
from eventsnn.files.writing import path_step
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import TraceFile, read_trace
from eventsnn.trace.microscope import observe


def ran(model, folder, make=quantised_graph, **options):
    """(a simulation, its pixels, the trace file of a run)."""
    rng = np.random.default_rng(3)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 1)
    options = {"steps": 4, **MODELS.get(model, {}), **options}
    simulation = Simulation(
        convert(graph), neuron=model, engine="event", pixel_range=pixel_range(pixels), **options
    )
    path = folder / "t.h5"
    simulation.run(pixels, sinks=[TraceFile(path, simulation, 0)])
    return simulation, pixels, path


@pytest.mark.parametrize("model", ["if", "st-bif", "gn"])
def test_a_files_potentials_are_the_twins_in_thresholds(model, tmp_path):
    """unit and quanta of the file turn them into thresholds, also where q is a part of one."""
    simulation, pixels, path = ran(model, tmp_path)
    net = twin_net(simulation)
    start = twin_start(simulation)
    outcome = twin.run_async(
        net, twin_drive(simulation, pixels[0]), start, 4, models_of(simulation), order=twin.fifo
    )
    twins = {}
    for spike in outcome.spikes:
        layer = simulation.network.layers[spike.layer].name
        # the twin keeps thresholds of group neurons, and charges of a level of ST-BIF
        theta = net.layers[spike.layer].theta
        theta *= simulation.quanta[spike.layer] if model == "st-bif" else 1
        twins.setdefault(layer, []).append(spike.v_before / theta)
    with h5py.File(path) as file:
        assert len(file["spikes"]) == len(twins) > 0
        for name, expected in twins.items():
            group = file["spikes"][name]
            unit = group["v_before"].attrs["unit"]
            assert file["drive"].attrs["unit"] == unit == group["v_after"].attrs["unit"]
            bits = int(re.fullmatch(r"2\^-(\d+) of the charge of one spike", unit).group(1))
            assert bits == simulation.arithmetic.fraction_bits
            found = group["v_before"][()] / 2.0**bits / group.attrs["quanta"]
            assert np.array_equal(found, expected)
            if model != "if":
                assert group.attrs["quanta"] > 1 and found.min() < 1
    # what is printed of the bound, and what the microscope shows
    numbers = simulation.arithmetic
    assert f"(at most {numbers.bound:.1f} q, the charge of one spike)" in str(numbers)
    trace = read_trace(path, simulation)
    assert trace.about["semantics"]["bound_in_q"] == numbers.bound
    one = numbers.one.item()
    assert np.abs(trace.spikes["v_before"]).max() <= numbers.bound * one
    layer = int(trace.spikes["layer"][0])
    seen = observe(trace, layer, int(trace.spikes["neuron"][0]))
    theta = one * simulation.quanta[layer]
    assert seen.in_thresholds(theta) == 1
    assert seen.table()[0]["charged"] == seen.arrivals["charged"][0] / theta


@pytest.mark.slow
def test_in_floating_point_there_is_no_fraction(tmp_path):
    _, _, path = ran("if", tmp_path, arithmetic="float32")
    with h5py.File(path) as file:
        units = {group["v_before"].attrs["unit"] for group in file["spikes"].values()}
    assert units == {"the charge of one spike"}


def test_pools_count_spikes(tmp_path):
    simulation, _, path = ran("if", tmp_path, make=pooled_graph)
    pools = [path_step(layer.name) for layer in simulation.network.layers if layer.pools]
    with h5py.File(path) as file:
        for name, group in file["spikes"].items():
            spikes = group["v_before"].attrs["unit"] == "spikes"
            assert spikes == (name in pools) == ("quanta" not in group.attrs)
    assert pools
