"""Spikes as NIR's data, and back as input events."""

import h5py
import numpy as np
import pytest
from support.networks import small_graph

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.export import nir_data
from eventsnn.readers import write_native
from eventsnn.run import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's results folder with a trace and its export."""
    here = tmp_path_factory.mktemp("run")
    write_native(small_graph(), here / "net.h5")
    pixels = np.random.default_rng(0).integers(0, 4, (4, 2, 6, 6)).astype(np.uint8)
    np.savez(here / "x.npz", x=pixels)
    given = ["--net", here / "net.h5", "--data", here / "x.npz", "--steps", 4, "--limit", 1]
    given += ["--engine", "event", "--trace", "spikes", "--export", "nir-data", "--neuron", "snm"]
    given += ["--calibration", "test:1-3"]
    assert main([str(word) for word in [*given, "--out", here / "out", "--quiet"]]) == 0
    return here / "out"


def test_spikes_come_back_by_place_in_nirs_order(folder):
    trace = eventsnn.open_results(folder).trace()
    found = nir_data.read(folder / "nir-data-0.h5")
    assert [each.node for each in found] == trace.names[:-1]
    network = eventsnn.convert(small_graph(), thresholds="auto")
    total = 0
    for number, each in enumerate(found):
        (rows,) = each.samples
        spikes = trace.spikes[trace.spikes["layer"] == number]
        c, h, w = network.layers[number].grid
        site, channel = np.divmod(spikes["neuron"], c)
        assert each.neurons == c * h * w and each.end >= 4
        np.testing.assert_array_equal(rows[:, 1], channel * h * w + site)
        np.testing.assert_array_equal(rows[:, 2], spikes["sign"])
        np.testing.assert_array_equal(rows[:, 0], spikes["tick"] / trace.ticks)
        total += len(rows)
    assert total > 0


def test_what_a_layer_sent_is_input_of_a_network(folder):
    rows = nir_data.read(folder / "nir-data-0.h5")[0].samples
    graph = small_graph(channels=3)
    network = eventsnn.convert(graph, thresholds="auto")
    inside = [each[(each[:, 0] < 4) & (each[:, 1] < 108)] for each in rows]
    result = eventsnn.simulate(network, inside, steps=4, encoding="events")
    assert result.trace is not None and len(result) == 1


def put(path, observable, kind="NIRGraphData"):
    """A file with one node and one observable; observable: (type, attributes, arrays)."""
    of, attributes, arrays = observable
    with h5py.File(path, "w") as file:
        file.attrs["__type__"] = kind
        node = file.create_group("nodes/n")
        node.attrs["__type__"] = "NIRNodeData"
        group = node.create_group("observables/spikes")
        group.attrs["__type__"] = of
        for key, value in attributes.items():
            group.attrs[key] = value
        for key, value in arrays.items():
            group[key] = value
    return path


EVENTS = {"n_neurons": 4, "t_max": 0.01}
ROWS = {"idx": np.array([[2, 0, -1]]), "time": np.array([[0.004, 0.001, np.inf]])}


def test_files_of_others_are_read(tmp_path):
    path = put(tmp_path / "a.h5", ("EventData", EVENTS, ROWS))
    (found,) = nir_data.read(path, step=0.001)
    assert found.samples[0].tolist() == [[1, 0, 1], [4, 2, 1]] and found.end == 10
    grid = np.zeros((2, 3, 4), bool)
    grid[1, 2, 3] = True
    path = put(tmp_path / "b.h5", ("TimeGriddedData", {"dt": 0.5}, {"data": grid}))
    (found,) = nir_data.read(path)
    assert [each.tolist() for each in found.samples] == [[], [[2, 3, 1]]]
    path = put(tmp_path / "c.h5", ("TimeGriddedData", {"dt": 0.5}, {"data": grid * 0.5}))
    assert nir_data.read(path) == []


WRONG = {
    "an index outside": ("EventData", EVENTS, ROWS | {"idx": np.array([[9, 0, -1]])}),
    "a time before 0": ("EventData", EVENTS, ROWS | {"time": np.array([[-1.0, 0, 0]])}),
    "NaN": ("EventData", EVENTS, ROWS | {"time": np.array([[np.nan, 0, 0]])}),
    "other shapes": ("EventData", EVENTS, ROWS | {"time": np.zeros((1, 2))}),
    "one axis": ("EventData", EVENTS, {"idx": np.zeros(3, int), "time": np.zeros(3)}),
    "no times": ("EventData", EVENTS, {"idx": np.zeros((1, 3), int)}),
    "no value": ("ValuedEventData", EVENTS, ROWS),
    "no number of neurons": ("EventData", {"t_max": 1.0}, ROWS),
    "another type": ("Data", EVENTS, ROWS),
}


@pytest.mark.parametrize("what", WRONG)
def test_damaged_data_are_refused(tmp_path, what):
    with pytest.raises(InputError) as caught:
        nir_data.read(put(tmp_path / "a.h5", WRONG[what]))
    assert str(caught.value).isprintable() and "a.h5" in str(caught.value)


def test_another_file_is_refused_and_a_network_is_asked_for_elsewhere(tmp_path):
    with pytest.raises(InputError, match="NIRGraphData"):
        nir_data.read(put(tmp_path / "a.h5", ("EventData", EVENTS, ROWS), "Other"))
    with pytest.raises(InputError, match="step"):
        nir_data.read(tmp_path / "a.h5", step=0.0)
    with pytest.raises(InputError, match="nir_data.read"):
        eventsnn.load(put(tmp_path / "a.h5", ("EventData", EVENTS, ROWS)))
