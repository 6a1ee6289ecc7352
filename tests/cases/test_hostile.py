"""Cases from public reports: hostile files and names."""

import threading

import h5py
import numpy as np
import pytest
from support.cases import FILES, gemm, python, random, refused, spiking

import eventsnn
from eventsnn import inspect
from eventsnn.ann.graph import Graph, Node
from eventsnn.exceptions import InputError
from eventsnn.network.convert import convert
from eventsnn.readers import load, write_native
from eventsnn.run import main
from eventsnn.trace.files import read_trace

LOAD = """
import sys
from eventsnn import InputError, load
try:
    load(sys.argv[1])
except InputError as error:
    print(error)
"""
RUN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
from eventsnn.run import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_damaged_heap_does_not_hang_the_reader():
    process = python("-c", LOAD, FILES / "hang-two-bytes.h5", seconds=10)
    assert process.returncode == 0, process.stderr[-500:]
    assert len(process.stdout.splitlines()) <= 1


def test_a_damaged_heap_of_names_takes_no_memory():
    """Those of a NIR graph's edges, for which libhdf5 asks for 1.5 GB."""
    with pytest.raises(InputError, match="a need of more than"):
        load(FILES / "nir-heap.h5")


@pytest.mark.slow
def test_an_enormous_weight_is_simulated_or_refused(tmp_path):
    pytest.importorskip("resource")
    where = ("--net", FILES / "weights-1e15.h5", "--data", FILES / "weights-1e15.npz")
    how = ("--engine", "event", "--steps", 4, "--limit", 4, "--out", tmp_path / "out")
    process = python("-c", RUN, *where, *how, seconds=60)
    if process.returncode:  # what is wrong is the weight; less work would not help
        assert not refused(process).startswith("eventsnn: error: memory")


@pytest.mark.parametrize("theta", [5e-324, 1e-310, 1e-40])
def test_thresholds_below_float32_are_refused(theta):
    nodes = (Node("f", "Flatten", ("x",)), gemm("g", "f", random(4, 4)))
    nodes += (Node("r", "ClippedRelu", ("g",), {"lambda": theta}), gemm("y", "r", random(2, 4)))
    with pytest.raises(InputError, match="'r': expected a threshold from 1.18e-38 .* found .*e-"):
        convert(Graph(nodes, "x", "y", (1, 2, 2)))


def test_potentials_beyond_numbers_are_refused():
    nodes = (Node("f", "Flatten", ("x",)), gemm("g", "f", random(4, 4)))
    weights = {"B": np.full((4, 4), 1e300)}
    nodes += (Node("r", "ClippedRelu", ("g",), {"lambda": 1e-30}),)
    nodes += (Node("h", "Gemm", ("r",), {"transB": 1}, weights), spiking("s", "h"))
    network = convert(Graph((*nodes, gemm("y", "s", random(2, 4))), "x", "y", (1, 2, 2)))
    with pytest.raises(InputError, match="potentials that 64 bits can hold"):
        network.run(np.full((1, 1, 2, 2), 200, np.uint8), steps=2)


@pytest.mark.parametrize("engine", ["clocked", "event"])
def test_threads_that_cannot_start_are_told_in_one_line(engine, monkeypatch):
    network = convert(load(FILES / "html-injection.h5"))

    start = threading.Thread.start

    def no_more(thread):
        if thread.name.startswith("ThreadPool"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", no_more)
    with pytest.raises(InputError, match="workers: expected threads .* found can't start"):
        network.run(np.full((1, 1, 28, 28), 200, np.uint8), steps=2, engine=engine)


def test_a_network_beyond_memory_is_told_in_one_line(monkeypatch, capsys):
    def check(network, pixels):
        raise MemoryError

    monkeypatch.setattr(inspect.check, "check", check)
    assert inspect.main(["sample"]) == 2
    assert capsys.readouterr().err.startswith("eventsnn: error: memory: expected room for the")


@pytest.fixture(scope="module")
def marked_up():
    """A run of a network whose layers' names are markup."""
    network = convert(load(FILES / "html-injection.h5"))
    return network.run(np.full((1, 1, 28, 28), 200, np.uint8), steps=2, engine="event")


@pytest.mark.parametrize(
    "represented",
    [
        lambda result: result.network,
        lambda result: result,
        lambda result: result.observe(0, 0),
        lambda result: result.explain(0, 0),
        lambda result: result.replay(),
    ],
    ids=["network", "result", "observation", "explanation", "replay"],
)
def test_markup_in_names_is_escaped(represented, marked_up):
    assert "<img" not in represented(marked_up)._repr_html_()


@pytest.fixture(scope="module")
def named_paths(tmp_path_factory):
    """(Its folder of results, the same run in memory) of a network with the names that PyTorch's
    exporter to ONNX gives.
    """
    folder = tmp_path_factory.mktemp("paths")
    conv = "/c/Conv_output_0"
    relu = "/a/Relu_output_0"
    again = "/a/Relu_1_output_0"
    nodes = (
        Node(conv, "Conv", ("x",), {}, {"W": np.abs(random(2, 1, 3, 3))}),
        Node(relu, "ClippedRelu", (conv,), {"lambda": 1.0}),
        Node("/Flatten_output_0", "Flatten", (relu,)),
        gemm("/f/Gemm_output_0", "/Flatten_output_0", np.abs(random(4, 18, seed=1))),
        Node(again, "ClippedRelu", ("/f/Gemm_output_0",), {"lambda": 1.0}),
        gemm("y", again, random(2, 4, seed=2)),
    )
    graph = Graph(nodes, "x", "y", (1, 5, 5))
    write_native(graph, folder / "net.h5")
    images = np.abs(random(1, 1, 5, 5, seed=3))
    np.savez(folder / "images.npz", x_test=images, x_train=images)
    arguments = ["--net", folder / "net.h5", "--data", folder / "images.npz", "--engine", "event"]
    arguments += ["--trace", "spikes", "--export", "gdf,sonata", "--steps", 4]
    arguments += ["--out", folder / "out", "--quiet"]
    assert main([str(argument) for argument in arguments]) == 0
    return folder / "out", eventsnn.simulate(convert(graph), images, steps=4, engine="event")


def test_spikes_of_layers_named_as_paths_are_written_as_gdf(named_paths):
    out, result = named_paths
    lines = (out / "spikes-0.gdf").read_text().splitlines()
    assert len(lines) == result.spikes[0, :-1].sum() > 0


def test_layers_named_as_paths_are_populations_of_sonata(named_paths):
    out, result = named_paths
    with h5py.File(out / "spikes-0.h5") as file:
        # readers take what stands in /spikes for the populations
        found = [len(group.get("timestamps", ())) for group in file["spikes"].values()]
    expected = result.spikes[0, :-1].sum(axis=-1).tolist()
    assert sorted(found) == sorted(expected) and min(expected) > 0


def test_a_trace_of_layers_named_as_paths_is_read(named_paths):
    out, result = named_paths
    trace = read_trace(out / "trace-0.h5", result.simulation)
    expected = result.trace()
    assert np.array_equal(trace.spikes, expected.spikes)
    assert np.array_equal(trace.deliveries, expected.deliveries)
