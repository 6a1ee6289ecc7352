"""Traces on disk and in memory, digests, and policies and models from outside the package."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from support.disks import Full
from support.networks import Builder, pixel_range, random_graph, random_pixels
from support.orders import Placed
from support.ways import FEW_BITS

import eventsnn
from eventsnn import InputError, convert, load
from eventsnn.engine.event import layout
from eventsnn.engine.jit import cache_dir
from eventsnn.files import columns
from eventsnn.run import main
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace import files
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.format import PLAIN
from eventsnn.trace.trace import COLUMNS, Recorder, record, structured

STEPS = 5


def prepared(which=0, **options):
    rng = np.random.default_rng(which)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 3)
    settings = {
        "steps": STEPS,
        "engine": "event",
        "time": Time(order="random"),
        "pixel_range": pixel_range(pixels),
    } | options
    return Simulation(convert(graph), **settings), pixels


def to_file(path, simulation, image, number=0, **options):
    sink = TraceFile(path, simulation, number, **options)
    simulation.run(image[None], numbers=[number], sinks=[sink])
    return path


@pytest.mark.parametrize("seed", range(4))
def test_a_trace_file_is_the_trace(tmp_path, seed):
    simulation, pixels = prepared(seed, neuron="snm" if seed % 2 else "if")
    _, trace = record(simulation, pixels[0], 7)
    read = read_trace(to_file(tmp_path / "t.h5", simulation, pixels[0], 7), simulation)
    assert len(trace.spikes) > 0 and read.number == 7
    assert np.array_equal(read.spikes, trace.spikes) and np.array_equal(
        read.deliveries, trace.deliveries
    )
    assert (
        np.array_equal(read.drive, trace.drive)
        and np.array_equal(read.starts, trace.starts)
        and read.end == trace.end
    )
    assert read.complete and trace.complete


@pytest.mark.parametrize("block, chunk", [(1, 4), (7, 16), (64, 16), (1000, 10**5)])
def test_records_may_come_in_blocks_of_any_size(tmp_path, monkeypatch, block, chunk):
    """Chunks are compressed outside HDF5, which must read them all the same."""
    simulation, pixels = prepared(11, neuron="snm")
    recorder = Recorder()
    run = simulation.image(pixels[0], 0, recorder).run
    spikes, potentials, deliveries = recorder.records()
    # the first spikes, and all that came of them
    deliveries = deliveries[deliveries[:, layout.D_SPIKE] < 500]
    records = [spikes[:500], potentials[:500], deliveries]
    for module in files, columns:
        monkeypatch.setattr(module, "CHUNK", chunk)
    sink = TraceFile(tmp_path / "t.h5", simulation, 0)
    for at in range(0, 500, block):
        sink(*(array[at : at + block] for array in records))
    sink.finish(simulation, run)
    spikes, deliveries = structured(simulation, 0, *records)
    with h5py.File(tmp_path / "t.h5") as file:
        groups = (*file["spikes"].values(), file["deliveries"])
        packed = [d for group in groups for d in group.values() if d.compression]
        assert {d.chunks for d in packed} == {(chunk,)}
        assert len(packed) == 9 * (len(groups) - 1) + 6
    read = read_trace(tmp_path / "t.h5", simulation)
    assert (
        len(spikes) == 500
        and np.array_equal(read.spikes, spikes)
        and np.array_equal(read.deliveries, deliveries)
    )


def test_a_finished_file_keeps_no_records(tmp_path):
    """Memory does not grow with the images, whose sinks all live until a run's end."""
    simulation, pixels = prepared(11, neuron="snm")
    recorder = Recorder()
    simulation.image(pixels[0], 0, recorder)
    sinks = [TraceFile(tmp_path / f"{i}.h5", simulation, i) for i in range(9)]
    simulation.run(pixels[:1], sinks=sinks[:1])  # compiles
    tracemalloc.start()
    simulation.run(pixels[:1].repeat(8, axis=0), sinks=sinks[1:])
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(recorder.records()[0]) > 500 and kept < 2 * sum(
        array.nbytes for array in recorder.records()
    )


def test_a_slow_disk_makes_the_simulation_wait(tmp_path, monkeypatch):
    simulation, pixels = prepared(12)
    recorder = Recorder()
    run = simulation.image(pixels[0], 0, recorder).run
    go_on = threading.Event()
    write = TraceFile._write
    sent = []
    monkeypatch.setattr(
        TraceFile, "_write", lambda self, *block: go_on.wait(60) and write(self, *block)
    )
    sink = TraceFile(tmp_path / "t.h5", simulation, 0)

    def send():
        for _ in range(10):
            sink(*recorder.records())
            sent.append(len(sink.waiting))

    sender = threading.Thread(target=send)
    sender.start()
    sender.join(0.2)
    assert sent == [1, 2]
    go_on.set()
    sender.join(60)
    sink.finish(simulation, run)
    assert len(sent) == 10 and max(sent) == TraceFile.AHEAD


@pytest.mark.parametrize("room", [0, 3000, 20_000])
def test_a_full_disk_is_one_error_and_leaves_no_half_trace(tmp_path, monkeypatch, capsys, room):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "--limit",
        "1",
        "--steps",
        "2",
        "--engine",
        "event",
        "--trace",
        "spikes",
        "--out",
        "r",
        "--quiet",
    ]
    with monkeypatch.context() as patched:
        patched.setattr(
            files, "Patient", lambda file, patient=files.Patient: patient(Full(file, room))
        )
        assert main(arguments) == 2
        simulation, pixels = prepared(13)
        with pytest.raises(OSError, match="No space left"):
            to_file(tmp_path / "alone.h5", simulation, pixels[0])
    error = capsys.readouterr().err
    assert (
        error.count("\n") == 1
        and "room for the results" in error
        and "No space left" in error
        and "make room" in error
    )
    assert not list(tmp_path.rglob("trace-*")) and not list(tmp_path.glob("alone*"))
    assert main(arguments) == 0 and (tmp_path / "r" / "trace-0.h5").exists()


def test_a_trace_that_cannot_get_its_name_leaves_nothing(tmp_path, monkeypatch):
    simulation, pixels = prepared(13)

    def refuse(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        to_file(tmp_path / "t.h5", simulation, pixels[0])
    assert not list(tmp_path.iterdir())


def test_any_hdf5_tool_finds_columns_with_units(tmp_path):
    simulation, pixels = prepared(1)
    with h5py.File(to_file(tmp_path / "t.h5", simulation, pixels[0]), "r") as file:
        assert json.loads(file.attrs["layers"])[-1] == "readout" and file.attrs["complete"] == 1
        assert (
            file["starts"].attrs["unit"] == "ticks"
            and file["starts"].attrs["description"]
            and len(file["starts"]) == STEPS
        )
        total = 0
        for group in file["spikes"].values():
            assert set(group) == set(COLUMNS)
            assert (np.diff(group["timestamps"][()]) >= 0).all() and (
                np.diff(group["seq"][()].astype(int)) > 0
            ).all()
            for name, dataset in group.items():
                assert dataset.compression == (None if name in PLAIN else "gzip")
                assert dataset.attrs["description"] and "unit" in dataset.attrs
            total += len(group["seq"])
        assert total == len(file["deliveries/spike"]) == len(np.unique(file["deliveries/spike"]))


def test_filters_keep_what_they_say(tmp_path):
    simulation, pixels = prepared(2)
    _, trace = record(simulation, pixels[0])
    name = simulation.network.spiking[-1].name
    layer = len(simulation.network.spiking) - 1
    path = to_file(tmp_path / "t.h5", simulation, pixels[0], layers=[name], steps=(1, 2))
    read = read_trace(path, simulation)
    wanted = trace.spikes[
        (trace.spikes["layer"] == layer) & (trace.spikes["step"] >= 1) & (trace.spikes["step"] <= 2)
    ]
    assert (
        np.array_equal(read.spikes, wanted)
        and len(wanted)
        and not len(read.deliveries)
        and not read.complete
    )
    with h5py.File(path, "r") as file:
        assert file.attrs["complete"] == 0


@pytest.mark.parametrize("more", [{}, {"steps": (1, 2)}, {"layers": "first"}])
def test_single_neurons_can_be_kept(tmp_path, more):
    simulation, pixels = prepared(2)
    _, trace = record(simulation, pixels[0])
    names = [layer.name for layer in simulation.network.spiking]
    more = {"layers": names[:1]} if "layers" in more else more
    places = [
        (int(spike["layer"]), int(spike["neuron"])) for spike in (trace.spikes[0], trace.spikes[-1])
    ]
    assert places[0][0] < places[1][0]
    path = to_file(
        tmp_path / "t.h5",
        simulation,
        pixels[0],
        neurons=[(names[layer], neuron) for layer, neuron in places],
        **more,
    )
    wanted = np.zeros(len(trace.spikes), bool)
    for layer, neuron in places[:1] if "layers" in more else places:
        wanted |= (trace.spikes["layer"] == layer) & (trace.spikes["neuron"] == neuron)
    if "steps" in more:
        wanted &= (trace.spikes["step"] >= 1) & (trace.spikes["step"] <= 2)
    read = read_trace(path, simulation)
    assert (
        np.array_equal(read.spikes, trace.spikes[wanted])
        and wanted.any()
        and not len(read.deliveries)
    )
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 0 and "deliveries" not in file


def test_the_command_line_traces_single_neurons(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "--limit",
        "1",
        "--steps",
        "2",
        "--engine",
        "event",
        "--trace",
        "spikes",
        "--out",
        "r",
        "--quiet",
    ]
    assert main([*arguments, "--trace-neurons", "act1:0/3/4,act1:5"]) == 0
    network = convert(load("sample"))
    number = network.layers[0].neuron(0, 3, 4)
    whole = Simulation(network, steps=2, engine="event", pixel_range=(0, 255))
    trace = read_trace(tmp_path / "r" / "trace-0.h5", whole)
    expected = record(whole, eventsnn.load_images("sample", limit=1).pixels[0])[1]
    assert np.array_equal(
        trace.spikes,
        expected.spikes[
            (expected.spikes["layer"] == 0) & np.isin(expected.spikes["neuron"], [5, number])
        ],
    )
    assert len(trace.spikes)
    capsys.readouterr()
    for wrong, words in (
        ("act9:1", "names among act1"),
        ("act1:1000000", "a number from 0 to"),
        ("act1:0/0/99", "or (c, y, x) inside"),
        ("act2:1", "neurons of --trace-layers act1, found one of act2"),
    ):
        layers = ["--trace-layers", "act1"] if "of --trace-layers" in words else []
        assert main([*arguments, *layers, "--overwrite", "--trace-neurons", wrong]) == 2
        error = capsys.readouterr().err
        assert (
            error.startswith("eventsnn: error: --trace-neurons: expected")
            and words in error
            and error.count("\n") == 1
        )


@pytest.mark.parametrize("engine", ["clocked", "event"])
def test_no_counts_are_kept_where_none_are_asked_for(tmp_path, engine):
    arguments = ["--limit", "3", "--steps", "2", "--engine", engine, "--quiet"]
    for kept in "none", "counts":
        assert main([*arguments, "--trace", kept, "--out", str(tmp_path / kept)]) == 0
    counts = {"spikes", "operations", "spikes_per_image", "operations_per_image"}
    with (
        h5py.File(tmp_path / "none" / "run.h5") as less,
        h5py.File(tmp_path / "counts" / "run.h5") as more,
    ):
        assert set(more) - set(less) == counts and np.array_equal(less["readout"], more["readout"])
    for name in "layers.csv", "accuracy.csv":
        assert (tmp_path / "none" / name).read_text() == (tmp_path / "counts" / name).read_text()


def test_selections_in_memory():
    simulation, pixels = prepared(3)
    _, trace = record(simulation, pixels[0])
    layer = simulation.network.layers[0].name
    neuron = int(trace.of(layer)["neuron"][0])
    assert len(trace.of(layer, neuron)) == np.sum(
        (trace.spikes["layer"] == 0) & (trace.spikes["neuron"] == neuron)
    )
    assert sum(len(trace.of(step=t)) for t in range(STEPS)) == len(trace.spikes)
    with pytest.raises(InputError, match=layer):
        trace.of("nowhere")


def test_an_image_that_overflows_is_recorded_once(tmp_path):
    simulation, pixels = prepared(4, fraction_bits=24, initial=30.0)
    _, before = record(simulation, pixels[0])
    engine = simulation.engine
    engine.bounds = engine.bounds._replace(
        band=engine.bounds.band._replace(floor=np.int32(-(2**20)))
    )
    read = read_trace(to_file(tmp_path / "t.h5", simulation, pixels[0]), simulation)
    assert read.simulation.arithmetic.dtype == np.int64
    for name in ("seq", "tick", "neuron", "sign", "cause", "v_before", "v_after"):
        assert np.array_equal(read.spikes[name], before.spikes[name])


@pytest.mark.parametrize("damage", ["other network", "truncated", "not a trace", "missing"])
def test_files_that_are_no_traces_of_this(tmp_path, damage):
    simulation, pixels = prepared(5)
    path = to_file(tmp_path / "t.h5", simulation, pixels[0])
    if damage == "other network":
        simulation, _ = prepared(6)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "not a trace":
        with h5py.File(path, "w") as file:
            file["x"] = 1
    else:
        path.unlink()
    with pytest.raises(InputError):
        read_trace(path, simulation)


OTHERS = [
    ({"time": Time(order="lifo")}, "order lifo, found one with order random"),
    ({"seed": 1}, "seed 1, found one with seed 0"),
    ({"steps": STEPS + 1}, f"steps {STEPS + 1}, found one with steps {STEPS}"),
    ({"engine": "clocked", "time": None}, "engine clocked, found one with engine event"),
    ({"neuron": "snm"}, "neuron"),
    ({"neuron": "if-hard"}, "neuron"),
    ({"initial": 0.25}, "initial"),
    ({"initial": 0.5000001}, "initial"),
    ({"fraction_bits": 10}, "fraction bits 10"),
    ({"arithmetic": "float64"}, "arithmetic float64"),
    ({"srp": 2}, "srp 2 steps"),
    ({"encoding": "rate"}, "encoding rate"),
    ({"time": Time(order="random", refractory=1.0)}, "refractory steps 1.0"),
    ({"time": Time(order="random", barrier=False, delays=0.5)}, "barrier False"),
    ({"time": Time(order="random", delays=0.5)}, "delays 0.5 steps"),
    ({"time": Time(order="random", ticks=1000)}, "ticks per step 1000"),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A trace file, which its simulation reads."""
    simulation, pixels = prepared(5)
    path = to_file(tmp_path_factory.mktemp("written") / "t.h5", simulation, pixels[0])
    read_trace(path, prepared(5)[0])
    return path


@pytest.mark.parametrize("other, words", OTHERS)
def test_the_trace_of_another_simulation_is_refused(written, other, words):
    with pytest.raises(InputError) as caught:
        read_trace(written, prepared(5, **other)[0])
    said = str(caught.value)
    assert words in said and "read_trace(path)" in said and len(said.splitlines()) == 1


def test_what_changes_no_spike_is_not_compared(tmp_path):
    simulation, pixels = prepared(5, fraction_bits=12)
    path = to_file(tmp_path / "t.h5", simulation, pixels[0])
    same = {"time": Time(order="random", max_events=10**7), "pixel_range": (0, 200)}
    other, _ = prepared(5, fraction_bits=12, **same)
    assert np.array_equal(read_trace(path, other).spikes, record(simulation, pixels[0])[1].spikes)


def test_delays_of_neurons_are_compared(tmp_path):
    simulation, pixels = prepared(5)
    sizes = [layer.size for layer in simulation.network.spiking]

    def of(delay):
        time = Time(order="delays", delays=[np.full(size, delay) for size in sizes])
        return prepared(5, time=time)[0]

    path = to_file(tmp_path / "t.h5", of(0.25), pixels[0])
    assert read_trace(path, of(0.25)).number == 0
    with pytest.raises(InputError, match="delays one for each neuron"):
        read_trace(path, of(0.5))


def test_thresholds_are_compared(tmp_path):
    rng = np.random.default_rng(5)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 3)
    names = [layer.name for layer in convert(graph).spiking]
    simulations = [
        Simulation(convert(graph, thresholds=dict.fromkeys(names, theta)), steps=2, engine="event")
        for theta in (1.0, 1.0, 2.0)
    ]
    path = to_file(tmp_path / "t.h5", simulations[0], pixels[0])
    read_trace(path, simulations[1])
    with pytest.raises(InputError, match="thresholds"):
        read_trace(path, simulations[2])


def test_an_order_of_ones_own_is_compared_with_its_constants(tmp_path):
    def with_order(later):
        return prepared(5, time=Time(order=Placed(later)), fraction_bits=FEW_BITS)

    simulation, pixels = with_order(3)
    path = to_file(tmp_path / "t.h5", simulation, pixels[0])
    read_trace(path, with_order(3)[0])
    with pytest.raises(InputError, match="order"):
        read_trace(path, with_order(4)[0])


def test_of_an_older_file_what_it_says_is_compared(tmp_path):
    simulation, pixels = prepared(5)
    path = to_file(tmp_path / "t.h5", simulation, pixels[0])
    with h5py.File(path, "a") as file:
        del file.attrs["decides"]
    read_trace(path, simulation)
    with pytest.raises(InputError, match="order lifo, found one with order random"):
        read_trace(path, prepared(5, time=Time(order="lifo"))[0])
    with h5py.File(path, "a") as file:
        del file.attrs["semantics"]
    assert len(read_trace(path).spikes) == len(read_trace(path, simulation).spikes) > 0
    with pytest.raises(InputError, match="ticks per step 1000"):
        read_trace(path, prepared(5, time=Time(order="random", ticks=1000))[0])


@pytest.mark.parametrize("neuron", ["if", "adaptive"])
def test_a_trace_is_read_alone(tmp_path, neuron):
    simulation, pixels = prepared(5, neuron=neuron, time=Time(order="random", refractory=0.1))
    _, trace = record(simulation, pixels[0], 4)
    path = to_file(tmp_path / "t.h5", simulation, pixels[0], 4)
    alone, read = read_trace(path), read_trace(path, simulation)
    assert np.array_equal(alone.spikes, trace.spikes) and len(trace.spikes)
    assert alone.spikes.dtype == trace.spikes.dtype
    assert np.array_equal(alone.deliveries, trace.deliveries)
    assert alone.names == trace.names and alone.number == 4 and alone.complete
    assert np.array_equal(alone.times, trace.spikes["tick"] / simulation.time.ticks)
    assert np.array_equal(alone.times, trace.times) and alone.ticks == trace.ticks == 5120
    layer = trace.names[0]
    assert np.array_equal(alone.of(layer), trace.of(layer))
    assert repr(alone) == repr(trace) == repr(read) and "order random" in repr(alone)
    assert alone.about["semantics"]["seed"] == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda trace: eventsnn.microscope.observe(trace, 0, 0),
        lambda trace: eventsnn.explain.explain_neuron(trace, 0, 0),
        lambda trace: eventsnn.replay.replay(trace.simulation, trace),
        lambda trace: eventsnn.replay.run_at(trace, 1),
        lambda trace: trace.simulation.steps,
    ],
)
def test_what_needs_a_simulation_says_so(tmp_path, ask):
    simulation, pixels = prepared(5)
    path = to_file(tmp_path / "t.h5", simulation, pixels[0])
    with pytest.raises(
        InputError, match=r"expected the simulation .*read_trace\(path, simulation\)"
    ):
        ask(read_trace(path))


@pytest.mark.parametrize("key, value", [("layers", "{}"), ("decides", "[]"), ("semantics", "{")])
@pytest.mark.parametrize("alone", [True, False])
def test_damaged_words_are_one_error(tmp_path, key, value, alone):
    simulation, pixels = prepared(5)
    path = to_file(tmp_path / "t.h5", simulation, pixels[0])
    with h5py.File(path, "a") as file:
        file.attrs[key] = value
    with pytest.raises(InputError, match="damaged"):
        read_trace(path, None if alone else simulation)


def test_recording_needs_the_event_engine():
    simulation, pixels = prepared(7)
    with pytest.raises(InputError, match="engine"):
        record(Simulation(simulation.network, steps=2), pixels[0])


def test_digests_tell_orders_and_spikes_apart():
    """The order-free hash is equal where the same spikes come in another order, the order-sensitive
    one is not.
    """
    simulation, pixels = prepared(8)
    network, drive_only = simulation.network, simulation.network.spiking[0].name
    runs = {
        order: network.run(pixels, steps=STEPS, engine="event", order=order).batch
        for order in ("fifo", "lifo", "random", "clocked")
    }
    assert not np.array_equal(runs["fifo"].digests, runs["random"].digests)
    assert drive_only == network.layers[0].name
    assert np.array_equal(runs["fifo"].order_digests[:, 0], runs["lifo"].order_digests[:, 0])
    again = network.run(pixels, steps=STEPS, engine="event", order="fifo").batch
    assert np.array_equal(again.digests, runs["fifo"].digests)


def golden_network():
    b = Builder(np.random.default_rng(42), (2, 6, 6))
    x = b.activation(b.bn(b.conv("input", 4, pads=[1, 1, 1, 1])), "QCFS")
    y = b.activation(b.bn(b.conv(x, 4, pads=[1, 1, 1, 1])), "QCFS")
    x = b.activation(b.add("Add", [b.conv(y, 4, pads=[1, 1, 1, 1]), x]), "QCFS")
    x = b.add("AveragePool", [x], {"kernel_shape": [2, 2], "strides": [2, 2]})
    graph = b.graph(b.gemm(b.add("Flatten", [x])))
    return convert(graph), np.random.default_rng(1).integers(0, 256, (1, 2, 6, 6)).astype(
        np.uint8
    ) // 64


# (spikes, hash over all layers and steps); a change of any says that spikes changed: the commit
# must say why
GOLDEN = {
    ("clocked", "if"): (1549, 9377639656658900912),
    ("random", "if"): (5620, 1779755304019229939),
    ("priority", "if"): (5599, 12906056114436655228),
    ("inhibitory_first", "if"): (5399, 15742130512641063819),
    ("random", "snm"): (8146, 4962431377386691414),
    ("priority", "snm"): (8212, 6294447901149492519),
    ("clocked", "snm"): (1559, 7355623186219767983),
}


@pytest.mark.parametrize("order, neuron", GOLDEN)
def test_golden_digests(order, neuron):
    network, pixels = golden_network()
    batch = network.run(
        pixels, steps=8, engine="event", order=order, neuron=neuron, seed=3, fraction_bits=20
    ).batch
    assert (
        int(batch.spikes.sum()),
        int(np.bitwise_xor.reduce(batch.order_digests[0].ravel())),
    ) == GOLDEN[order, neuron]


class Leaky(NamedTuple):
    """A user's neuron: soft reset that keeps half of what is left."""

    theta: int | float

    words = "a test's own"
    conserves = False
    confluent = False
    holds = True
    signed = False
    reset = "none"

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n):
        return (p - neuron.theta) // 2

    @staticmethod
    def tie(neuron, layer, p, s):
        return p == neuron.theta

    @staticmethod
    def most(neuron):
        return 1

    def band(neuron):
        return None, neuron.theta


@pytest.mark.slow
def test_policies_from_outside_the_package():
    simulation, pixels = prepared(9)
    options = dict(steps=STEPS, engine="event", fraction_bits=FEW_BITS)
    batch = simulation.network.run(pixels, order=Placed(turned=1), **options).batch
    fifo = simulation.network.run(pixels, **options).batch
    assert batch.spikes.sum() and not np.array_equal(batch.order_digests, fifo.order_digests)


@pytest.mark.long  # as test_extend.py has it of a plug-in; its kernels are compiled for it alone
def test_neurons_from_outside_the_package_run_in_both_engines():
    network, pixels = golden_network()
    clocked = network.run(pixels, steps=STEPS, neuron=Leaky, neurons=True).batch
    events = network.run(
        pixels, steps=STEPS, neuron=Leaky, engine="event", order="clocked", neurons=True
    ).batch
    soft = network.run(pixels, steps=STEPS, neurons=True).batch
    for name in ("spikes", "counts", "potentials", "readout"):
        assert np.array_equal(getattr(clocked, name), getattr(events, name))
    assert not np.array_equal(clocked.potentials, soft.potentials)


def test_the_command_line_traces(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "--limit",
        "3",
        "--steps",
        "2",
        "--engine",
        "event",
        "--order",
        "random",
        "--trace",
        "spikes",
        "--trace-images",
        "2",
        "--out",
        "r",
        "--quiet",
    ]
    assert main(arguments) == 0
    assert sorted(p.name for p in (tmp_path / "r").glob("trace-*.h5")) == [
        "trace-0.h5",
        "trace-1.h5",
    ]
    with (
        h5py.File(tmp_path / "r" / "run.h5", "r") as file,
        h5py.File(tmp_path / "r" / "trace-1.h5", "r") as trace,
    ):
        spikes = {name: len(group["seq"]) for name, group in trace["spikes"].items()}
        assert sum(spikes.values()) == file["spikes_per_image"][1].sum()
        assert (
            file["digests"].shape == file["order_digests"].shape == (3, *file["spikes"].shape)
            and trace.attrs["image"] == 1
        )
    assert main([*arguments, "--trace-layers", "act9"]) == 2
    assert "act9" in capsys.readouterr().err


def copy_cache(folder):
    """This session's compiled kernels in another folder."""
    here = Path(cache_dir())
    shutil.copytree(here, folder / here.name)


@pytest.mark.slow
def test_classes_that_are_gone_do_not_spoil_the_cache(tmp_path):
    """A second process, which cannot import the first one's neuron, runs from the same cache; a
    changed file recompiles.
    """
    script = """
import sys, numpy as np, eventsnn
from pathlib import Path
from typing import NamedTuple
Path("mine.py").write_text('''from typing import NamedTuple
class Mine(NamedTuple):
    theta: int
    words = "mine"
    conserves = False
    confluent = False
    holds = True
    signed = False
    reset = "none"
    @staticmethod
    def emit(neuron, layer, p, s): return 1 if p >= neuron.theta else 0
    @staticmethod
    def settle(neuron, p, n): return p - %s * neuron.theta
    @staticmethod
    def tie(neuron, layer, p, s): return p == neuron.theta
    @staticmethod
    def most(neuron): return 1
    def band(neuron): return None, neuron.theta
''' % sys.argv[1])
sys.path.insert(0, ".")
import mine
net = eventsnn.convert(eventsnn.load(sys.argv[2]))
images = eventsnn.load_images("sample", limit=1)
own = net.run(images, steps=4, neuron=mine.Mine, workers=1)
print(int(own.spikes.sum()), int(net.run(images, steps=4, workers=1).spikes.sum()))
"""
    network = Path(eventsnn.__file__).parent / "sample" / "network.h5"
    copy_cache(tmp_path / "cache")
    environment = {
        **os.environ,
        "EVENTSNN_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(eventsnn.__file__).parents[1]),
    }

    def process(folder, factor):
        (tmp_path / folder).mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", script, factor, str(network)],
            cwd=tmp_path / folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return [int(word) for word in done.stdout.split()]

    own, plain = process("a", "1")
    assert own == plain
    changed, again = process("b", "2")
    assert changed < own and again == plain
    gone = subprocess.run(
        [sys.executable, "-m", "eventsnn.run", "--limit", "1", "--steps", "2", "--quiet"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert gone.returncode == 0 and not gone.stderr


@pytest.mark.slow
@pytest.mark.long  # three processes compile its kernels
def test_a_sixth_model_runs_in_both_engines_from_a_warm_cache(tmp_path):
    """examples/own_neuron.py in two processes: the second compiles nothing."""
    script = """
import runpy, sys
import numba.core.event as events
with events.install_recorder("numba:compile") as compiled:
    sys.modules["own_neuron"] = module = __import__("own_neuron")
    module.main()
print("compiled", len(compiled.buffer))
"""
    root = Path(eventsnn.__file__).parents[1]
    copy_cache(tmp_path)
    environment = {
        **os.environ,
        "EVENTSNN_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "examples")]),
    }
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout.splitlines())
    words = [
        [line.split(", fixed")[0].split(maxsplit=2) for line in lines[:-1]] for lines in outputs
    ]
    assert words[0] == words[1] and len(words[0]) == 6
    clocked, ordered, random = (
        re.sub("engine [a-z]+; order [a-z ]+; ", "", line.split(", accuracy")[1])
        for _, _, line in words[0][3:]
    )
    assert clocked == ordered != random
    assert outputs[0][-1] != "compiled 0" and outputs[1][-1] == "compiled 0"
