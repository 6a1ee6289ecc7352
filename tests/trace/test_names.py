"""Layers of any name: in traces, in what is exported, and in what older traces called them."""

import json

import h5py
import numpy as np
import pytest
from support.cases import random

from eventsnn import Graph, InputError, Node, convert
from eventsnn.export import spikes
from eventsnn.readers import load, write_native
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import TraceFile, read_trace, record

NAMES = [
    "/a/Relu_output_0",
    "a/Relu_output_0",
    "a%2FRelu",
    ".",
    "..",
    "a b",
    "ä/名前",
    "名" * 1000,
    "a/",
]


def of_names(names):
    """A chain of layers with these names."""
    nodes = [Node("flat", "Flatten", ("x",))]
    for number, name in enumerate(names):
        weights = {"B": np.abs(random(4, 4, seed=number))}
        nodes.append(Node(f"gemm {number}", "Gemm", (nodes[-1].name,), {"transB": 1}, weights))
        nodes.append(Node(name, "ClippedRelu", (f"gemm {number}",), {"lambda": 1.0}))
    weights = {"B": random(2, 4, seed=99)}
    nodes.append(Node("y", "Gemm", (nodes[-1].name,), {"transB": 1}, weights))
    return Graph(tuple(nodes), "x", "y", (1, 2, 2))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(its trace, the file of it, the simulation)."""
    folder = tmp_path_factory.mktemp("names")
    write_native(of_names(NAMES), folder / "net.h5")
    simulation = Simulation(
        convert(load(folder / "net.h5")), steps=4, engine="event", pixel_range=(0, 2)
    )
    pixels = np.abs(random(1, 2, 2, seed=7))
    sink = TraceFile(folder / "t.h5", simulation, 0)
    simulation.run(pixels[None], sinks=[sink])
    return record(simulation, pixels)[1], folder / "t.h5", simulation


def test_a_trace_of_layers_of_any_name_is_read(run):
    trace, path, simulation = run
    assert len(np.unique(trace.spikes["layer"])) == len(NAMES)
    for read in (read_trace(path), read_trace(path, simulation)):
        assert read.names == [*NAMES, "readout"]
        assert np.array_equal(read.spikes, trace.spikes)


def test_sonata_has_a_population_for_each_and_its_name(run, tmp_path):
    trace, path, _ = run
    spikes.write_sonata(path, tmp_path / "s.h5")
    for written in (path, tmp_path / "s.h5"):
        with h5py.File(written) as file:
            groups = list(file["spikes"].values())
            found = {group.attrs["layer"].decode(): len(group["node_ids"]) for group in groups}
        assert found == {name: len(trace.of(name)) for name in NAMES}


def test_gdf_and_populations_have_all_spikes(run, tmp_path):
    trace, path, _ = run
    spikes.write_gdf(path, tmp_path / "s.gdf")
    assert len((tmp_path / "s.gdf").read_text().splitlines()) == len(trace.spikes) > 0
    assert [p.name for p in spikes.populations(path)[0]] == NAMES


def test_an_older_trace_took_names_for_paths(run, tmp_path):
    """Format 1 made nested groups of names with slashes."""
    trace, path, simulation = run
    older = tmp_path / "older.h5"
    names = {".": "x", "..": "y", "a/Relu_output_0": "z", "a/": "w"}
    with h5py.File(path) as file, h5py.File(older, "w") as old:
        for name in ("drive", "starts", "deliveries"):
            file.copy(name, old)
        for group in file["spikes"].values():
            name = group.attrs["layer"].decode()
            file.copy(group, old, f"spikes/{names.get(name, name)}")
        old.attrs.update(file.attrs)
        del old.attrs["format_version"], old.attrs["magic"]
        old.attrs["version"] = 1
        old.attrs["layers"] = json.dumps([*(names.get(name, name) for name in NAMES), "readout"])
    assert np.array_equal(read_trace(older).spikes, trace.spikes)
    with pytest.raises(InputError, match="those of the network"):
        read_trace(older, simulation)


@pytest.mark.parametrize("name", ["", "a\0b", "n" * 1001, "a\nb", "\ud800"])
def test_other_names_are_refused_in_words(name):
    with pytest.raises(InputError, match="expected names of 1 to 1,000 printable characters"):
        of_names([name])
