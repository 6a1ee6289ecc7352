"""Exporters that others add: one of the network, one of spikes, twice into the same folder."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.networks import random_pixels, small_graph

import eventsnn
from eventsnn import InputError
from eventsnn.export import EXPORTERS, Exporter, spikes, write
from eventsnn.readers import write_native
from eventsnn.registry import PluginWarning, forget_plugins
from eventsnn.run import main
from eventsnn.run import parser as command_line
from eventsnn.settings import Settings
from eventsnn.simulation.simulation import Simulation


def write_sizes(simulation, folder, options):
    """The sizes of the layers, and the number of steps that the settings say."""
    sizes = {layer.name: layer.size for layer in simulation.network.layers}
    text = json.dumps({"sizes": sizes, "steps": options.get("steps")})
    (folder / "sizes.json").write_text(text)
    return ["sizes are those of layers"]


def write_counts(trace, folder):
    """How many spikes each layer fired for an image."""
    found, about = spikes.populations(trace)
    lines = [f"{p.name} {len(p.times)}\n" for p in found]
    (folder / f"counts-{about['image']}.txt").write_text("".join(lines))


SIZES = Exporter("the layers' sizes, sizes.json", "network", r"sizes\.json", write_sizes)
COUNTS = Exporter(
    "spikes of each layer, counts-<image>.txt", "spikes", r"counts-\d+\.txt", write_counts
)
PLUG_IN = """
from eventsnn.export import Exporter

def write(simulation, folder, options):
    (folder / "empty.toy").write_text("")

toy = Exporter("an empty file, empty.toy", "network", r"empty\\.toy", write)
"""


@pytest.fixture
def added():
    """Adds exporters for a test: function of (name, exporter)."""
    names = set()

    def add(name, exporter):
        EXPORTERS.add(name, exporter)
        names.add(name)

    yield add
    for name in names:
        EXPORTERS.remove(name)


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Runs the command line into tmp_path/out: function of options, that returns (status, text)."""
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(0), graph, 3)
    write_native(graph, tmp_path / "net.h5")
    np.savez(tmp_path / "data.npz", images=pixels, labels=np.zeros(3, int), pixel_range=(-1, 2))
    monkeypatch.setattr("eventsnn.views.plots.save", lambda figure, path: path.write_bytes(b""))
    fixed = f"--net {tmp_path}/net.h5 --data {tmp_path}/data.npz --steps 2 --out {tmp_path}/out"

    def call(options):
        status = main([*fixed.split(), *options.split()])
        said = capsys.readouterr()
        return status, said.err if status else said.out

    return call


TRACED = "--engine event --trace spikes --trace-images 2"


def left(folder):
    """The names of files that no run leaves by itself."""
    return sorted(p.name for p in folder.iterdir() if p.suffix in (".json", ".txt", ".nir", ".toy"))


def test_exporters_are_used_from_the_command_line_twice(added, run, tmp_path):
    added("sizes", SIZES)
    added("counts", COUNTS)
    out = tmp_path / "out"
    for again in ("", " --overwrite"):
        status, said = run(f"{TRACED} --export sizes,counts,nir,sizes{again}")
        assert status == 0, said
        assert said.count("note: sizes are those of layers") == 1
        mine = ["counts-0.txt", "counts-1.txt", "network.nir", "sizes.json", "summary.json"]
        assert left(out) == mine
    assert json.loads((out / "sizes.json").read_text())["steps"] == 2
    assert (out / "counts-0.txt").read_text().count("\n") > 0
    assert run("--overwrite")[0] == 0
    assert left(out) == ["summary.json"]


def test_files_of_an_exporter_that_is_gone_are_nobodys(added, run, tmp_path):
    EXPORTERS.add("sizes", SIZES)
    try:
        assert run("--export sizes")[0] == 0
    finally:
        EXPORTERS.remove("sizes")
    status, said = run("")
    assert status == 2 and "sizes.json in" in said and said.count("\n") == 1
    assert left(tmp_path / "out") == ["sizes.json", "summary.json"]


def test_exporters_are_used_from_python(added, tmp_path):
    added("sizes", SIZES)
    simulation = Simulation(eventsnn.convert(small_graph()), steps=2)
    assert write("sizes", simulation, tmp_path, {"steps": 7}) == ["sizes are those of layers"]
    assert json.loads((tmp_path / "sizes.json").read_text())["steps"] == 7
    assert write("nir", simulation, tmp_path, {"nir_for": "norse"})[0].startswith("norse")
    with pytest.raises(InputError, match="exporter 'sizes': expected a Simulation, found str"):
        write("sizes", "trace-0.h5", tmp_path)
    with pytest.raises(InputError, match="exporter 'gdf': expected the path of a trace file"):
        write("gdf", simulation, tmp_path)
    with pytest.raises(
        InputError, match="one of nir, sonata, gdf, perfetto, nir-data, sizes, found 'brian'"
    ):
        write("brian", simulation, tmp_path)


def test_the_command_line_shows_what_there_is(added):
    parser = command_line()
    assert "sizes.json" not in parser.format_help()
    added("sizes", SIZES)
    assert "\n      sizes: the layers' sizes, sizes.json\n" in parser.format_help()
    with pytest.raises(
        InputError, match="names among nir, sonata, gdf, perfetto, nir-data, sizes, separated"
    ):
        Settings(export="brian")


def test_an_exporter_of_spikes_needs_spikes(added):
    added("sizes", SIZES)
    added("counts", COUNTS)
    assert Settings(export="sizes").exports == ["sizes"]
    with pytest.raises(InputError, match="--trace spikes for sizes,counts"):
        Settings(export="sizes,counts")


def broken(*_):
    raise ZeroDivisionError("twice\ntwo lines")


def test_an_exporter_of_networks_that_fails_is_named(added, run, tmp_path):
    added("sizes", SIZES._replace(write=broken))
    status, said = run("--export sizes")
    assert status == 2 and said.count("\n") == 1
    assert "exporter 'sizes'" in said and "ZeroDivisionError" in said
    assert not (tmp_path / "out").exists()


def test_an_exporter_of_spikes_that_fails_costs_no_batch(added, run, tmp_path):
    added("counts", COUNTS._replace(write=broken))
    status, said = run(f"{TRACED} --export counts")
    assert status == 2 and "exporter 'counts'" in said and "leave --export counts out" in said
    status, said = run(f"{TRACED} --export gdf")
    assert status == 0 and "3 of 3 images are there" in said
    assert (tmp_path / "out" / "spikes-1.gdf").exists()


@pytest.mark.parametrize(
    ("exporter", "words"),
    [
        (SIZES._replace(files=r"size\.json"), "files that match size\\.json, found sizes.json"),
        (SIZES._replace(write=lambda *_: "a note"), "notes, a list of text, found 'a note'"),
        (SIZES._replace(write=lambda *_: [7]), "notes, a list of text, found [7]"),
    ],
)
def test_an_exporter_has_to_do_what_it_says(added, tmp_path, exporter, words):
    added("sizes", exporter)
    simulation = Simulation(eventsnn.convert(small_graph()), steps=2)
    with pytest.raises(InputError, match="exporter 'sizes'") as error:
        write("sizes", simulation, tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (SimpleNamespace(words="sizes", write=write_sizes), "without needs, files"),
        (write_sizes, "function without words, needs, files, write"),
        (SIZES._replace(words=""), "words"),
        (SIZES._replace(needs="time"), "needs, one of network, spikes, found 'time'"),
        (SIZES._replace(files="("), "files, a regular expression"),
        (SIZES._replace(files=None), "files, a regular expression"),
        (SIZES._replace(files=".*"), "names of its own only"),
        (SIZES._replace(files=r"\w+\.txt"), "notes.txt"),
        (SIZES._replace(files=r"run\.h5|sizes\.json"), "run.h5"),
        (SIZES._replace(write=None), "write, a function"),
    ],
)
def test_what_is_no_exporter_is_refused_in_one_line(thing, words):
    with pytest.raises(InputError, match="exporter 'sizes'") as error:
        EXPORTERS.add("sizes", thing)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert "sizes" not in EXPORTERS


def test_built_in_exporters_are_fit_to_be_added():
    for name, exporter in EXPORTERS.usable().items():
        EXPORTERS.add(f"{name}-again", exporter)
        EXPORTERS.remove(f"{name}-again")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Installs packages with an exporter for a test: function of (package, source)."""
    folder = tmp_path / "site"

    def install(name, source):
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[eventsnn.exporters]\n{name} = {name}:toy\n")
        forget_plugins()

    monkeypatch.syspath_prepend(str(folder))
    yield install
    monkeypatch.undo()
    forget_plugins()


def test_packages_add_exporters_and_broken_ones_cost_nobody_a_run(packages, run, tmp_path):
    packages("toys_to_export", PLUG_IN)
    packages("toys_that_fail", "import nothing_of_that_name\n")
    try:
        for _ in range(2):  # no warning: nobody asks for the other
            assert run("--export toys_to_export")[0] == 0
            assert left(tmp_path / "out") == ["empty.toy", "summary.json"]
        status, said = run("--export toys_that_fail")
        assert status == 2 and "exporter 'toys_that_fail' of toys_that_fail" in said
        with pytest.warns(PluginWarning, match="exporter 'toys_that_fail'"):
            assert "toys_to_export: an empty file" in command_line().format_help()
    finally:
        EXPORTERS.remove("toys_to_export")
