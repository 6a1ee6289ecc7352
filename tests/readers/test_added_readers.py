"""Readers that others add: a small text format, through Python and the command line."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from support.networks import small_graph

import eventsnn
from eventsnn import InputError
from eventsnn.ann.graph import Graph, Node, Preprocessing
from eventsnn.inspect import main as inspect
from eventsnn.readers import READERS, File, Reader, write_native
from eventsnn.registry import PluginWarning, forget_plugins
from eventsnn.run import main

TOY = "toy 1\n1 2 2\n4\n1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"
USER = """
from eventsnn.readers import Reader

def told(file):
    return file.start.startswith(b"toy 1\\n")

toy = Reader("a toy network", told, do="wait for a reader")
"""


def is_toy(file):
    return file.start.startswith(b"toy 1\n")


def read_toy(file, arch):
    """A Gemm and a Relu: shape C H W, number of neurons, a row of weights for each."""
    lines = Path(file.path).read_text().split("\n")
    shape = tuple(int(n) for n in lines[1].split())
    weights = np.array([line.split() for line in lines[3 : 3 + int(lines[2])]], np.float32)
    nodes = (
        Node("flat", "Flatten", ("input",), {}, {}),
        Node("linear", "Gemm", ("flat",), {"transB": 1}, {"B": weights}),
        Node("act", "Relu", ("linear",), {}, {}),
        Node("output", "Gemm", ("act",), {"transB": 1}, {"B": weights}),
    )
    return Graph(
        nodes, "input", "output", shape, Preprocessing(), file.name, {"arch": arch or "toy"}
    )


TOY_READER = Reader("a toy network", is_toy, read_toy)


@pytest.fixture
def added():
    """Adds readers for a test: function of (name, reader)."""
    names = []

    def add(name, reader):
        READERS.add(name, reader)
        names.append(name)

    yield add
    for name in set(names):
        READERS.remove(name)


@pytest.fixture
def toy(tmp_path):
    """A file with a toy network, whose name says nothing."""
    path = tmp_path / "network.onnx"
    path.write_text(TOY)
    return path


def refusal(path, **options):
    """What is said of a file that cannot be loaded."""
    with pytest.raises(InputError) as error:
        eventsnn.load(path, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_reader_is_used_from_python_and_the_command_line(added, toy, tmp_path, capsys):
    assert "some other file, starting with b'toy 1" in refusal(toy)
    added("toy", TOY_READER)
    graph = eventsnn.load(toy)
    assert [node.op for node in graph.nodes] == ["Flatten", "Gemm", "Relu", "Gemm"]
    assert inspect([str(toy)]) == 0
    assert f"{toy}: a toy network\n" in capsys.readouterr().out
    images = tmp_path / "data.npz"
    pixels = np.random.default_rng(0).random((4, 1, 2, 2), np.float32)
    np.savez(images, images=pixels, labels=np.zeros(4, int))
    out = tmp_path / "out"
    options = f"--net {toy} --data {images} --calibration test:0-3 --steps 2 --out {out}".split()
    for _ in range(2):
        assert main(options) == 0
        assert (out / "summary.json").exists()
    assert inspect([str(tmp_path)]) == 2
    assert "a directory" in capsys.readouterr().err


def test_what_eventsnn_reads_itself_asks_no_other_reader(added, tmp_path, monkeypatch):
    asked = []

    def told(file):
        asked.append(file)
        return True

    added("greedy", Reader("anything", told, read_toy))
    write_native(small_graph(), tmp_path / "net.h5")
    monkeypatch.setattr(READERS, "usable", lambda: pytest.fail("others were asked"))
    assert len(eventsnn.load(tmp_path / "net.h5").nodes) == len(small_graph().nodes)
    assert not asked


def test_kinds_that_eventsnn_knows_and_cannot_read_are_offered_to_others(added, tmp_path):
    path = tmp_path / "net.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", "")
    assert "a numpy archive (.npz)" in refusal(path)

    def read(file, arch):
        return read_toy(File(toy_path, b""), arch)

    toy_path = tmp_path / "toy.txt"
    toy_path.write_text(TOY)
    added("archive", Reader("an archive", lambda file: "x.npy" in file.archived, read))
    assert eventsnn.load(path).meta["arch"] == "toy"


def test_a_reader_sees_hdf5_files_open(added, tmp_path):
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file["weights"] = np.eye(4)
    assert "an HDF5 file with weights at its root" in refusal(path)

    def read(file, arch):
        size = file.hdf5["weights"].shape[0]
        node = Node("flat", "Flatten", ("input",), {}, {})
        return Graph((node,), "input", "flat", (1, 1, size), Preprocessing(), file.name, {})

    added("eye", Reader("an eye", lambda file: file.names == ("weights",), read))
    assert eventsnn.load(path).input_shape == (1, 1, 4)


def test_an_architecture_is_given_to_readers_that_take_one(added, toy):
    added("toy", TOY_READER)
    assert "leave arch out" in refusal(toy, arch="mine")
    added("toy", TOY_READER._replace(takes_arch=True))
    assert eventsnn.load(toy, "mine").meta["arch"] == "mine"


def test_a_reader_may_say_what_to_do_instead(added, toy):
    added("toy", Reader("a toy network", is_toy, do="print it and type it in again"))
    assert refusal(toy).endswith("starting with b'toy 1\\n1 '; print it and type it in again")


def test_readers_that_fail_are_named_and_cost_others_nothing(added, toy, tmp_path):
    added("broken", TOY_READER._replace(told=lambda file: 1 / 0))
    said = refusal(toy)
    assert "reader 'broken'" in said and "ZeroDivisionError" in said
    added("toy", TOY_READER)
    assert eventsnn.load(toy).source == "network.onnx"
    toy.write_text("toy 1\nno numbers\n")
    said = refusal(toy)
    assert "reader 'toy'" in said and "ValueError" in said


def test_a_reader_of_hdf5_that_fails_does_not_say_that_the_file_is_damaged(added, tmp_path):
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file["weights"] = np.eye(4)
    added("eye", Reader("an eye", lambda file: True, lambda file, arch: file.hdf5["nothing"]))
    said = refusal(path)
    assert "reader 'eye'" in said and "KeyError" in said and "damaged" in said


def test_a_reader_has_to_return_a_graph(added, toy):
    added("toy", TOY_READER._replace(read=lambda file, arch: {"nodes": ()}))
    said = refusal(toy)
    assert "reader 'toy': expected a Graph, found dict" in said


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (
            SimpleNamespace(words="a toy", told=is_toy),
            "SimpleNamespace without read, takes_arch, do",
        ),
        (7, "int without words, told"),
        (TOY_READER._replace(words=""), "words"),
        (TOY_READER._replace(words="two\nlines"), "words"),
        (TOY_READER._replace(told=None), "told, a function"),
        (TOY_READER._replace(read="read"), "read, a function"),
        (TOY_READER._replace(takes_arch=1), "takes_arch"),
        (TOY_READER._replace(read=None), "do, text"),
    ],
)
def test_what_is_no_reader_is_refused_in_one_line(thing, words):
    with pytest.raises(InputError, match="reader 'toy'") as error:
        READERS.add("toy", thing)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert "toy" not in READERS


def test_anything_with_the_fields_is_a_reader(added, toy):
    added("toy", SimpleNamespace(**TOY_READER._asdict()))
    assert eventsnn.load(toy).meta["arch"] == "toy"


def test_two_readers_of_one_name_do_not_mix(added):
    added("toy", TOY_READER)
    with pytest.raises(InputError, match="a name that is free, found that of .*is_toy"):
        READERS.add("toy", TOY_READER._replace(told=read_toy))


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Installs packages with a reader for a test: function of (package, source)."""

    def install(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[eventsnn.readers]\n{name} = {name}:toy\n")
        forget_plugins()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield install
    monkeypatch.undo()
    forget_plugins()


def test_a_package_that_cannot_be_imported_is_warned_of_and_no_more(packages, toy):
    packages("toys_that_work", USER)
    packages("toys_that_do_not", "import nothing_of_that_name\n")
    try:
        with pytest.warns(PluginWarning, match="reader 'toys_that_do_not' of toys_that_do_not"):
            assert refusal(toy).endswith("wait for a reader")
        eventsnn.load("sample")  # no warning, which would be an error here
    finally:
        READERS.remove("toys_that_work")
