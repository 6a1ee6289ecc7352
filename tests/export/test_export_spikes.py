"""Spikes for other programs, compared with the trace they come from; and checkpoints that are
written and read.
"""

import h5py
import numpy as np
import pytest
from support.networks import random_pixels, skipping_graph

import eventsnn
from eventsnn import InputError, convert
from eventsnn.export import spikes
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.files import TraceFile
from eventsnn.trace.trace import record

NUMBER = 7


@pytest.fixture(scope="module", params=["if", "snm"])
def traced(request, tmp_path_factory):
    """(trace, path of its file); SNM takes spikes back."""
    rng = np.random.default_rng(3)
    graph = skipping_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    simulation = Simulation(
        convert(graph),
        steps=6,
        engine="event",
        neuron=request.param,
        time=Time(order="jitter"),
        seed=5,
        pixel_range=(-1, 2),
    )
    path = tmp_path_factory.mktemp("trace") / "trace-7.h5"
    simulation.run(
        pixels,
        numbers=[NUMBER],
        sinks=[
            TraceFile(path, simulation, NUMBER, provenance={"semantics": simulation.describe()})
        ],
    )
    _, trace = record(simulation, pixels[0], NUMBER)
    assert len(trace.spikes) > 50 and (trace.spikes["sign"] < 0).any() == (request.param == "snm")
    assert len(np.unique(trace.spikes["tick"])) > 20
    return trace, path


def test_a_trace_file_tells_as_much_as_the_trace(traced):
    trace, path = traced
    (ours, about), (theirs, also) = spikes.populations(trace), spikes.populations(path)
    assert (
        about == also
        and about["image"] == NUMBER
        and about["seed"] == 5
        and about["end"] == trace.end / 1024
    )
    assert [p.name for p in ours] == [layer.name for layer in trace.simulation.network.spiking]
    for one, other in zip(ours, theirs):
        assert (
            one[:3] == other[:3]
            and one.size == trace.simulation.network.layers[trace.layer(one.name)].size
        )
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one[3:], other[3:]))


@pytest.mark.parametrize("kind", ["trace", "file", "the trace file itself"])
def test_sonata(traced, tmp_path, kind):
    """What SONATA's developer guide demands, in what is exported and in the trace file."""
    trace, path = traced
    itself = kind == "the trace file itself"
    if not itself:
        spikes.write_sonata(trace if kind == "trace" else path, tmp_path / "s.h5")
    with h5py.File(path if itself else tmp_path / "s.h5") as file:
        assert file.attrs["magic"] == 0x0A7A and file.attrs["magic"].dtype == np.uint32
        assert file.attrs["version"].tolist() == [0, 1]
        assert file.attrs["version"].dtype == np.uint32
        assert itself or list(file) == ["spikes"]
        assert set(file["spikes"]) == {layer.name for layer in trace.simulation.network.spiking}
        for name, group in file["spikes"].items():
            mine = trace.of(name)
            assert group.attrs["sorting"] == 2
            assert h5py.check_enum_dtype(group.attrs.get_id("sorting").dtype) == {
                "none": 0,
                "by_id": 1,
                "by_time": 2,
            }
            times, nodes = group["timestamps"], group["node_ids"]
            assert times.attrs["units"] == "ms" and times.dtype == np.float64
            assert np.array_equal(times, mine["tick"] / 1024) and (np.diff(times) >= 0).all()
            assert nodes.dtype == np.uint64 and np.array_equal(nodes, mine["neuron"])
            # readers without zlib read them
            for dataset in (times, nodes):
                assert dataset.id.get_create_plist().get_nfilters() == 0
            assert itself or ("sign" in group) == (mine["sign"] < 0).any()
            assert np.array_equal(group.get("sign", np.ones(len(mine))), mine["sign"])


@pytest.mark.parametrize("kind", ["trace", "file"])
def test_gdf(traced, tmp_path, kind):
    trace, path = traced
    spikes.write_gdf(trace if kind == "trace" else path, tmp_path / "s.gdf")
    rows = [line.split("\t") for line in (tmp_path / "s.gdf").read_text().splitlines()]
    sizes = [layer.size for layer in trace.simulation.network.layers]
    expected = [
        (1 + sum(sizes[: s["layer"]]) + s["neuron"], s["tick"] / 1024, s["sign"])
        for s in trace.spikes
    ]
    signed = (trace.spikes["sign"] < 0).any()
    assert [(int(row[0]), float(row[1]), int(row[2]) if signed else 1) for row in rows] == expected
    assert {len(row) for row in rows} == {3 if signed else 2} and "." in rows[0][1]


def test_spikes_of_some_layers_and_of_none(traced, tmp_path):
    trace, _ = traced
    simulation, names = trace.simulation, trace.names
    few = TraceFile(tmp_path / "few.h5", simulation, NUMBER, layers=[names[1]])
    run = simulation.image(np.zeros(simulation.network.graph.input_shape), 0, few).run
    few.finish(simulation, run)
    found, _ = spikes.populations(tmp_path / "few.h5")
    assert [(p.name, p.first) for p in found] == [(names[1], simulation.network.layers[0].size)]
    silent = TraceFile(
        tmp_path / "silent.h5", simulation, NUMBER, neurons=[(names[0], 0)], steps=(5, 5)
    )
    silent.finish(simulation, run)
    spikes.write_gdf(tmp_path / "silent.h5", tmp_path / "s.gdf")
    spikes.write_sonata(tmp_path / "silent.h5", tmp_path / "s.h5")
    assert (tmp_path / "s.gdf").read_text() == ""
    with h5py.File(tmp_path / "s.h5") as file:
        assert {name: len(group["node_ids"]) for name, group in file["spikes"].items()} == {
            names[0]: 0
        }


def test_refuses_other_files(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    (tmp_path / "text.h5").write_text("no HDF5")
    for name, words in (
        ("other.h5", "a trace written by eventsnn"),
        ("text.h5", "a whole HDF5 file"),
        ("none.h5", "nothing of that name"),
    ):
        for write in spikes.write_sonata, spikes.write_gdf:
            with pytest.raises(InputError, match=words):
                write(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_neo(traced):
    pytest.importorskip("neo")
    trace, path = traced
    for source in traced:
        block = spikes.to_neo(source)
        (segment,) = block.segments
        assert [g.name for g in block.groups] == trace.names[:-1]
        assert [g.annotations["neurons"] for g in block.groups] == [
            layer.size for layer in trace.simulation.network.spiking
        ]
        assert sum(len(g.spiketrains) for g in block.groups) == len(segment.spiketrains)
        keys = {
            (trace.layer(t.annotations["layer"]), t.annotations["neuron"])
            for t in segment.spiketrains
        }
        assert keys == set(
            zip(trace.spikes["layer"].tolist(), trace.spikes["neuron"].tolist())
        ) and len(keys) == len(segment.spiketrains)
        for train in segment.spiketrains:
            mine = trace.of(train.annotations["layer"], train.annotations["neuron"])
            assert np.array_equal(train.rescale("ms").magnitude, mine["tick"] / 1024)
            assert all(
                np.array_equal(train.array_annotations[key], mine[key])
                for key in ("seq", "sign", "member")
            )
            assert (train.t_start, train.t_stop.magnitude) == (0, trace.end / 1024)
        assert {k: block.annotations[k] for k in ("image", "seed")} == {"image": NUMBER, "seed": 5}
        assert "jitter" in block.annotations["order"] or "delay" in block.annotations["order"]


def test_without_neo_it_says_how_to_get_it(traced, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "neo", None)
    with pytest.raises(InputError, match="pip install neo"):
        spikes.to_neo(traced[0])


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
def test_other_programs_read_them(traced, tmp_path):
    """libsonata reads the trace and the SONATA file, and Neo the .gdf."""
    trace, path = traced
    libsonata = pytest.importorskip("libsonata")
    spikes.write_sonata(trace, tmp_path / "s.h5")
    for written in (path, tmp_path / "s.h5"):
        reader = libsonata.SpikeReader(str(written))
        assert sorted(reader.get_population_names()) == sorted(trace.names[:-1])
        for name in trace.names[:-1]:
            mine, theirs = trace.of(name), reader[name]
            assert theirs.sorting == "by_time" and theirs.time_units == "ms"
            times = (mine["tick"] / 1024).tolist()
            assert theirs.get() == list(zip(mine["neuron"].tolist(), times))
    neo, pq = pytest.importorskip("neo.io"), pytest.importorskip("quantities")
    spikes.write_gdf(trace, tmp_path / "s.gdf")
    segment = neo.NestIO(str(tmp_path / "s.gdf")).read_segment(
        gid_list=[], t_start=0 * pq.ms, t_stop=100 * pq.ms, id_column_gdf=0, time_column_gdf=1
    )
    assert sum(len(train) for train in segment.spiketrains) == len(trace.spikes)


def test_save_and_load(tmp_path):
    graph = skipping_graph(np.random.default_rng(1))
    eventsnn.save(graph, tmp_path / "net.h5")
    assert eventsnn.load(tmp_path / "net.h5").hash == graph.hash
    with pytest.raises(InputError):
        eventsnn.save(graph, tmp_path / "none" / "net.h5")
