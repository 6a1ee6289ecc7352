"""A trace that stays in its file says of a neuron and a spike what the whole one says."""

import h5py
import numpy as np
import pytest
from support.traced import IMAGE, traced

from eventsnn import InputError
from eventsnn.trace import index
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.files import TraceFile
from eventsnn.trace.microscope import observe
from eventsnn.trace.reading import read_trace
from eventsnn.trace.stored import StoredTrace, open_trace

WAYS = (("fifo", "if"), ("window, halves", "snm"), ("delays by projection", "if"))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Several blocks and chunks, and spikes whose neurons are no longer in memory."""
    for name, value in (("BLOCK", 64), ("ROWS", 16), ("RECENT", 8)):
        monkeypatch.setattr(index, name, value)


def written(folder, case, model, **options):
    run = traced(0, case, model)
    path = folder / "trace-3.h5"
    sink = TraceFile(path, run.simulation, IMAGE, **options)
    run.simulation.run(run.pixels[None], numbers=[IMAGE], sinks=[sink])
    return path, run.simulation


@pytest.mark.parametrize("case, model", WAYS)
def test_a_stored_trace_says_what_the_whole_one_says(tmp_path, case, model):
    path, simulation = written(tmp_path, case, model)
    whole, stored = read_trace(path, simulation), open_trace(path, simulation)
    assert isinstance(stored, StoredTrace) and stored.count == len(whole.spikes) > 200
    seen = 0
    for layer in range(len(whole.names) - 1):
        size = simulation.network.layers[layer].size
        if simulation.network.layers[layer].pools:
            continue
        for neuron in range(0, size, max(1, size // 6)):
            one, other = observe(whole, layer, neuron), observe(stored, layer, neuron)
            assert np.array_equal(one.arrivals, other.arrivals)
            assert np.array_equal(one.spikes, other.spikes)
            assert str(explain_neuron(whole, layer, neuron)) == str(
                explain_neuron(stored, layer, neuron)
            )
            seen += len(one.arrivals)
    assert seen > 100
    for seq in range(0, len(whole.spikes), len(whole.spikes) // 9):
        assert str(explain_spike(whole, seq)) == str(explain_spike(stored, seq))
    assert "whole" not in vars(stored)  # nothing has read all of it
    assert np.array_equal(stored.spikes, whole.spikes)
    assert np.array_equal(stored.deliveries, whole.deliveries)


def test_the_readout_can_be_observed(tmp_path):
    path, simulation = written(tmp_path, "fifo", "if")
    whole, stored = read_trace(path, simulation), open_trace(path, simulation)
    last = len(whole.names) - 1
    assert np.array_equal(observe(whole, last, 0).arrivals, observe(stored, last, 0).arrivals)


def test_a_part_of_a_trace_has_no_index_and_is_read_whole(tmp_path):
    path, simulation = written(tmp_path, "fifo", "if", steps=(0, 1))
    with h5py.File(path) as file:
        assert index.NAME not in file
    assert not isinstance(open_trace(path, simulation), StoredTrace)


def test_an_older_trace_is_read_whole(tmp_path):
    path, simulation = written(tmp_path, "fifo", "if")
    whole = read_trace(path, simulation)
    with h5py.File(path, "a") as file:
        del file[index.NAME]
    opened = open_trace(path, simulation)
    assert not isinstance(opened, StoredTrace) and np.array_equal(opened.spikes, whole.spikes)


@pytest.mark.slow
def test_an_index_of_another_trace_is_refused_by_its_dataset(tmp_path):
    path, simulation = written(tmp_path, "fifo", "if")
    with h5py.File(path) as file:
        names = [f"index/spikes/{name}" for name in file["index/spikes"]]
        names += [f"index/deliveries/{name}" for name in file["index/deliveries"]]
    for name in [*names, "index/chunks", "index/events"]:
        with h5py.File(path, "a") as file:
            right = file[name][-1]
            file[name][-1] = right + 1
        with pytest.raises(InputError) as caught:
            read_trace(path, simulation)
        assert str(caught.value).startswith(f"{path}: /{name}: expected "), name
        with h5py.File(path, "a") as file:
            file[name][-1] = right


@pytest.mark.parametrize(
    "name", ["deliveries/spike", "deliveries/step", "deliveries/sign", "chunks", "spikes/neuron"]
)
def test_a_damaged_index_is_one_error_for_who_asks_for_a_neuron(tmp_path, name):
    path, simulation = written(tmp_path, "fifo", "if")
    layer = len(simulation.network.layers) - 2
    with h5py.File(path, "a") as file:
        values = file[f"index/{name}"]
        values[...] = np.full(values.shape, 100, values.dtype)
        del file["index/events"]
        file["index/events"] = np.zeros(simulation.steps, np.int64)
    stored = open_trace(path, simulation)
    with pytest.raises(InputError):
        for neuron in range(simulation.network.layers[layer].size):
            explain_neuron(stored, layer, neuron)
            explain_spike(stored, stored.count - 1)


def test_an_index_without_a_dataset_is_refused(tmp_path):
    path, simulation = written(tmp_path, "fifo", "if")
    for name in ("index/events", "index/chunks", "index/spikes/neuron"):
        with h5py.File(path, "a") as file:
            file.move(name, "kept")
        with pytest.raises(InputError, match=name):
            open_trace(path, simulation)
        with pytest.raises(InputError, match=name):
            read_trace(path, simulation)
        with h5py.File(path, "a") as file:
            file.move("kept", name)


@pytest.mark.parametrize(
    "name, value", [("step", 10**6), ("sign", 5), ("sign", 0), ("cause", 10**6)]
)
def test_damaged_spikes_are_refused_by_who_reads_them(tmp_path, name, value):
    path, simulation = written(tmp_path, "fifo", "if")
    whole = read_trace(path, simulation)
    spike = whole.spikes[len(whole.spikes) // 2]
    layer, neuron = int(spike["layer"]), int(spike["neuron"])
    with h5py.File(path, "r+") as file:
        group = file["spikes"][whole.names[layer]]
        rows = np.flatnonzero(group["node_ids"][:] == neuron)
        group[name][rows[0]] = value
    with pytest.raises(InputError, match=name):
        explain_neuron(open_trace(path, simulation), layer, neuron)
