"""The scripts in tests/benchmarks run on the bundled network, their tables say what the engines
count, and the limit in C checks itself.
"""

import importlib
import json
import re
import shutil
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from support.networks import pixel_range, random_graph, random_pixels

import eventsnn
from eventsnn.ann.graph import Graph, Node
from eventsnn.network.check import check
from eventsnn.result import Simulation

run_and_drive = attrgetter("run", "drive")

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="the limit needs gcc")
IN_C = ["limit in C"] if shutil.which("gcc") else []


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")


def run(monkeypatch, capsys, name, *options):
    """Run a benchmark on one core; returns {title: {row's name: (row, operations it was told)}} of
    its tables, in order.
    """
    measuring = importlib.import_module("measuring")
    tables = {}
    told = {}
    heights = []

    def row(way, *args, operations, row=measuring.row, **options):
        found = row(way, *args, operations=operations, **options)
        told[id(found)] = found, operations
        return found

    def show(title, rows, show=measuring.show):
        tables[title] = {found[""]: told.get(id(found), (found, None)) for found in rows}
        heights.append(2 + len(rows))
        show(title, rows)

    monkeypatch.setattr(measuring, "row", row)
    monkeypatch.setattr(measuring, "show", show)
    assert importlib.import_module(name).main(["--repeats", "1", "--cores", "1", *options]) == 0
    printed = capsys.readouterr().out.split("\n\n")
    assert [table.splitlines()[0] for table in printed[1:]] == list(tables)
    assert [len(table.splitlines()) for table in printed[1:]] == heights
    return tables


def network_and(limit):
    return eventsnn.convert(eventsnn.load("sample")), eventsnn.load_images(
        "sample", limit=limit
    ).pixels


@pytest.mark.slow
def test_the_clocked_tables_count_what_a_run_counts(monkeypatch, capsys):
    tables = run(
        monkeypatch, capsys, "clocked", "--limit", "3", "--steps", "2,3", "--batches", "1,2"
    )
    assert list(tables) == [
        f"batch {batch}, T = {steps}, {n} images: an image"
        for steps in (2, 3)
        for batch, n in ((1, 3), (2, 2))
    ]
    network, pixels = network_and(3)
    for rows, (steps, n) in zip(tables.values(), ((2, 3), (2, 2), (3, 3), (3, 2))):
        found = Simulation(network, steps=steps).run(pixels[:n])
        first, *_, last = rows
        assert first == "eventsnn, fixed point" and last == "limit in C" and len(rows) == 8
        for name in (first, *IN_C):
            cells, operations = rows[name]
            assert operations == found.operations.sum() > 0
            assert (
                cells["spikes"] == f"{found.spikes[:, :-1].sum() / n:,.0f}"
                and cells["largest difference in a layer"] == "0.00%"
            )
        assert rows[first][0]["times ours"] == "1"


@pytest.mark.filterwarnings("ignore")
def test_the_event_tables_count_what_a_run_counts(monkeypatch, capsys):
    whole, layer = run(monkeypatch, capsys, "event", "--steps", "2").items()
    network, pixels = network_and(1)
    simulation = Simulation(network, steps=2, engine="event", fraction_bits=20)
    spikes, operations = simulation.image(pixels[0]).run.state.tallies.sum(axis=(1, 2))[:2]
    assert (
        whole[0]
        == f"T = 2, 1 images, {spikes:,} spikes and {operations:,} operations each: an image"
    )
    assert list(whole[1]) == ["eventsnn, fifo", *IN_C] and {
        told for _, told in whole[1].values()
    } == {operations}
    number = len(network.spiking) - 2
    clocked = Simulation(network, steps=2).run(pixels)
    coming, brought = clocked.spikes[0, number - 1].sum(), clocked.operations[0, number].sum()
    assert layer[0].startswith(
        f"act4 to act5, T = 2: 1,478,656 synapses, {coming:,} spikes come in, {brought:,} "
        "operations"
    )
    ours = ["eventsnn, if, fifo", "eventsnn, if, clocked", "eventsnn, if-hard, clocked"]
    assert [name for name in layer[1] if name in ours] == ours and len(layer[1]) == 6 + len(IN_C)
    assert {layer[1][name][1] for name in ours} == {brought} and all(
        int(layer[1][name][0]["spikes"].replace(",", "")) for name in ours
    )


@pytest.mark.slow
def test_the_scaling_tables_count_what_a_run_counts(monkeypatch, capsys):
    scaling = importlib.import_module("scaling")
    for name, few in dict(
        CHANNELS=8, WIDTHS=(4, 16), ACTIVITIES=(0.1, 0.5), STEPS=(1, 2), LENGTHS=[1, 64], MOVES=256
    ).items():
        monkeypatch.setattr(scaling, name, few)
    tables = list(run(monkeypatch, capsys, "scaling", "--steps", "2", "--limit", "2").values())
    assert [list(rows) for rows in tables[:4]] == 2 * [
        ["10% active", "50% active"],
        ["4 channels", "16 channels"],
    ]
    assert [list(rows) for rows in tables[4:6]] == [["T = 1", "T = 2"], ["1 core"]] and len(
        tables
    ) == 7
    for rows in tables[:4]:  # five times as active, four times as many channels at either side
        (_, less), (_, more) = rows.values()
        assert 3.5 * less < more < 24 * less
    network, pixels = network_and(2)
    for rows, name, steps in (
        (tables[4], "T = 1", 1),
        (tables[4], "T = 2", 2),
        (tables[5], "1 core", 2),
    ):
        cells, told = rows[name]
        assert told == Simulation(network, steps=steps).run(pixels).operations.sum()
        assert cells["ops an image"] == f"{told / 2:,.0f}"


@pytest.mark.slow
def test_the_tables_of_orders_count_what_a_run_counts(monkeypatch, capsys):
    orders = importlib.import_module("orders")
    few = {name: orders.ORDERS[name] for name in ("fifo", "random", "inhibitory_first")}
    monkeypatch.setattr(orders, "ORDERS", few)
    tables = run(monkeypatch, capsys, "orders", "--steps", "2", "--limit", "1")
    assert list(tables) == ["event: orders, 1 images, T = 2, one core", "the charges alone"]
    network, pixels = network_and(1)
    for rows in tables.values():
        assert list(rows) == list(few)
        for name, (cells, told) in rows.items():
            result = network.run(pixels, steps=2, engine="event", order=name)
            assert told == result.operations.sum()
            assert cells["spikes"] == f"{result.spikes.sum():,}"
            halves = 1 + (name == "inhibitory_first")
            assert cells["events a spike"] == f"{halves:.2f}"
        assert rows["fifo"][0]["a spike, times fifo's"] == "1.00"


def test_a_row_has_milliseconds_an_image_and_what_they_are_worth():
    row = importlib.import_module("measuring").row(
        "x", [3.0, 1.0, 2.0], [8.0, 4.0, 2.0], each=2, operations=5 * 10**9, more="m"
    )
    assert row == {
        "": "x",
        "ms": "1000.00 (500.00-1500.00)",
        "G ops/s": "2.50",
        "times ours": "0.5",
        "more": "m",
    }


@needs_gcc
@pytest.mark.parametrize("engine", ["clocked", "event"])
def test_the_limit_refuses_other_sums(engine):
    network, pixels = network_and(1)
    simulation = Simulation(network, steps=2, engine=engine, fraction_bits=20)
    limit = importlib.import_module("limit").compiled()
    run = (
        run_and_drive(simulation.image(pixels[0]))
        if engine == "clocked"
        else (simulation.image(pixels[0]).run,)
    )
    kernel = getattr(limit, engine)
    assert callable(kernel(simulation, *run))
    if engine == "event":  # in clocked time C has tables of its own
        weights = simulation.engine.tables.weights
        weights += 1  # C adds up something else
        with pytest.raises(AssertionError, match="limit.c"):
            kernel(simulation, *run)
        weights -= 1
    (run[0] if engine == "clocked" else run[0].state).v[-1] += 1  # our engine does, in the readout
    with pytest.raises(AssertionError, match="limit.c"):
        kernel(simulation, *run)


@needs_gcc
def test_the_limit_adds_up_networks_of_every_kind():
    """Groups, narrow layers, shortcuts, strides; `Limit` itself checks the sums."""
    limit = importlib.import_module("limit").compiled()
    rng = np.random.default_rng(0)
    done = 0
    for _ in range(30):
        graph = random_graph(rng)
        pixels = random_pixels(rng, graph)
        network = eventsnn.convert(graph)
        simulation = Simulation(network, steps=3, pixel_range=pixel_range(pixels))
        if any(layer.pools for layer in network.layers):
            with pytest.raises(eventsnn.InputError, match="exact max pooling"):
                limit.clocked(simulation, *run_and_drive(simulation.image(pixels[0])))
            continue
        limit.clocked(simulation, *run_and_drive(simulation.image(pixels[0])))
        events = Simulation(
            network, steps=3, engine="event", pixel_range=pixel_range(pixels), fraction_bits=16
        )
        found = events.image(pixels[0])
        run, ran = found.run, found.ran
        if ran is events:
            limit.event(events, run)
            done += 1
    assert done > 15


@needs_gcc
def test_the_limit_fires_at_the_threshold_in_groups():
    """Two groups of two channels to 17, in halves of a threshold, so that potentials often meet
    it.
    """
    rng = np.random.default_rng(0)
    nodes = (
        Node("source", "ClippedRelu", ("input",), {"lambda": 1.0}),
        Node(
            "conv", "Conv", ("source",), {"group": 2}, {"W": rng.choice([-0.5, 0.5], (34, 2, 1, 1))}
        ),
        Node("target", "ClippedRelu", ("conv",), {"lambda": 1.0}),
    )
    network = eventsnn.convert(Graph(nodes, "input", "target", (4, 3, 3)))
    image = rng.integers(0, 2, (4, 3, 3)).astype(np.uint8)
    limit = importlib.import_module("limit").compiled()
    simulation = Simulation(network, steps=3, pixel_range=(0, 1), fraction_bits=20)
    limit.clocked(simulation, *run_and_drive(simulation.image(image)))
    events = Simulation(network, steps=3, engine="event", pixel_range=(0, 1), fraction_bits=20)
    run = events.image(image).run
    limit.event(events, run)
    assert run.state.tallies[2, 1].sum() > 0


@pytest.mark.parametrize(
    "name, options, words",
    [
        ("clocked", ["--limit", "0"], "--limit"),
        ("clocked", ["--steps", "2,x"], "--steps"),
        ("clocked", ["--batches", "0"], "--batches"),
        ("event", ["--layer", "act1"], "--layer"),
        ("event", ["--fraction-bits", "31"], "--fraction-bits"),
        ("scaling", ["--repeats", "0"], "--repeats"),
        ("all", ["--net", "no.h5"], "no.h5"),
        ("memory", ["--nets", "lenet,alexnet"], "--nets"),
        ("memory", ["--engines", "gpu"], "--engines"),
        ("memory", ["--steps", "0"], "--steps"),
        ("memory", ["--traces", "1,x"], "--traces"),
    ],
)
def test_wrong_input_is_one_line(capsys, name, options, words):
    assert importlib.import_module(name).main(options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and words in error


@pytest.mark.slow
def test_memory_is_measured_in_a_process_for_each_row(capsys):
    memory = importlib.import_module("memory")
    assert memory.main(["--nets", "lenet", "--engines", "clocked", "--steps", "1"]) == 0
    row = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert row.split()[:4] == ["lenet", "clocked", "8,044", "107,786"]


def test_memory_divides_by_what_a_run_needs():
    memory = importlib.import_module("memory")
    found = {"neurons": 10**6, "weights": 2 * 10**6, "bytes": 4, "rate": 0.25, "both": 50 * 10**6}
    found |= {name: (1.0, 30 * 10**6) for name in ("convert", "prepare", "image")}
    row = memory.row("net", "event", found)
    assert row["weights + state, MB"] == "28.0"  # 4 bytes for each weight, 20 for each neuron
    assert row["convert: MB"] == "22.0" and row["prepare and image: MB"] == "42.0"
    assert row["times"] == "1.50" and row["bits"] == 32


@pytest.mark.slow
def test_history_keeps_what_it_found_and_compares_with_it(capsys, tmp_path):
    history = importlib.import_module("history")
    file = tmp_path / "speed.jsonl"
    options = ["--repeats", "1", "--steps", "2", "--batches", "1,3", "--keep", str(file)]
    options += ["--rows", "clocked, if; event, fifo, if"]
    for _ in range(2):
        assert history.main(options) == 0
    first, second = (text for text in capsys.readouterr().out.split("\n\n") if "clocked" in text)
    assert "kept" in second and "kept" not in first
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    names = ["clocked, if, sample, batch 1", "clocked, if, sample, batch 3"]
    names += ["event, fifo, if, sample, batch 1"]
    assert len(lines) == 2 and list(lines[0]["rows"]) == names
    assert lines[0]["steps"] == 2 and lines[0]["network"] == "sample" and lines[0]["cores"] == 1
    assert lines[0]["versions"]["numba"] and "kept" not in lines[1]["rows"][names[0]]
    assert all(bool(row.get("times C")) == bool(IN_C) for row in lines[0]["rows"].values())
    network, pixels = network_and(3)
    run = Simulation(network, steps=2).run(pixels)
    assert lines[0]["rows"][names[1]]["spikes"] == f"{run.spikes[:, :-1].sum() / 3:,.0f}"
    wrong = ["--rows", "clocked"], ["--against", "no-such"], ["--layer", "act1"]
    for words in (*wrong, ["--batches", "x"]):
        assert history.main([*options[:-2], *words]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1 and words[-1] in error


def kept_line(**changed):
    rows = {"clocked, if, a, batch 1": {"ms": "1", "times C": "2"}}
    rows["torch, if, a, batch 1"] = {"ms": "3", "times ours": "4"}
    line = {"machine": "a processor", "cores": 1, "network": "a", "steps": 8, "commit": "c0ffee"}
    line |= {"date": "2026-12-01", "load": 0.5, "versions": {"numba": "0.1"}, "rows": rows}
    return json.dumps(line | changed) + "\n"


def test_what_is_kept_is_printed_as_tables_of_the_last_lines(capsys, tmp_path):
    keeping = importlib.import_module("keeping")
    file = tmp_path / "speed.jsonl"
    file.write_text(kept_line(commit="old") + kept_line(steps=32) + kept_line())
    assert keeping.main([str(file)]) == 0
    first, second = capsys.readouterr().out.strip().split("\n\na processor")
    assert "c0ffee" in first and "numba 0.1" in first and "old" not in first + second
    assert first.splitlines()[2:] == [
        "| a, T = 8 | ms | times C | times ours |",
        "| --- | --- | --- | --- |",
        "| clocked, if, a, batch 1 | 1 | 2 |  |",
        "| torch, if, a, batch 1 | 3 |  | 4 |",
    ]
    assert "| a, T = 32 |" in second
    alike = {"machine": "a processor", "cores": 1, "network": "a", "steps": 8}
    assert len(keeping.last_of(file, alike)) == 2 and not keeping.last_of(
        file, alike | {"cores": 2}
    )
    for text in ("{}", "[]", '{"rows": 3}', "no json", kept_line(rows={"a": 3})):
        file.write_text(kept_line() + text)
        assert keeping.main([str(file)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1 and "line 2" in error


@pytest.mark.filterwarnings("ignore")
def test_history_has_other_programs_beside_ours_or_says_how_to_install_them(capsys, tmp_path):
    history, measuring = importlib.import_module("history"), importlib.import_module("measuring")
    file = tmp_path / "speed.jsonl"
    options = ["--repeats", "1", "--steps", "2", "--batches", "1,2", "--layer", "act5", "--peers"]
    options += ["--rows", "clocked, if; event, clocked, if; event, clocked, if-hard"]
    assert history.main([*options, "--keep", str(file)]) == 0
    said = capsys.readouterr().out
    rows = json.loads(file.read_text())["rows"]
    packages = {"torch": "torch", "SpikingJelly": "spikingjelly", "Brian2": "brian2"}
    packages |= {"NEST": "nest-simulator", "brainevent": "brainevent"}
    for peer, package in packages.items():
        theirs = [row for name, row in rows.items() if name.startswith(peer)]
        assert theirs or f"left out: {peer}" in said
        if measuring.version(package) is None:
            assert not theirs and re.search(rf"pip install [^)]*\b{package}\b", said)
        for row in theirs:
            assert row["times ours"] and float(row["differ"].rstrip("%")) < 0.5
    batches = [name for name in rows if name.startswith("torch multi, float32")]
    assert len(batches) in (0, 2)


def test_what_cannot_be_imported_is_left_out_in_a_line(monkeypatch, tmp_path):
    measuring = importlib.import_module("measuring")
    (tmp_path / "broken_peer.py").write_text("raise AttributeError('numpy has no ptp')")
    monkeypatch.syspath_prepend(tmp_path)
    assert measuring.lacking(("numpy",), ("numpy",)) == ""
    assert measuring.lacking(("numpy", "no-such-peer"), ("x",)) == "pip install no-such-peer"
    words = measuring.lacking(("numpy",), ("broken_peer",))
    assert words == "its import fails: AttributeError: numpy has no ptp"


def test_bfloat16_is_measured_where_the_processor_has_units_for_it(monkeypatch):
    clocked = importlib.import_module("clocked")
    way = clocked.WAYS["torch loop, bfloat16"]
    monkeypatch.setattr(clocked.measuring, "version", lambda package: "1")
    for flags, lacks in ((["avx2"], True), (["avx2", "avx512_bf16"], False), (["amx_bf16"], False)):
        monkeypatch.setattr(clocked.measuring, "flags_of_processor", lambda flags=flags: flags)
        assert ("bfloat16" in way.lacking) == lacks


@pytest.mark.slow
@pytest.mark.skipif(not (Path(__file__).parents[2] / ".git").exists(), reason="needs a clone")
def test_history_runs_an_earlier_commit_beside_this_one(capsys, tmp_path):
    history, file = importlib.import_module("history"), tmp_path / "speed.jsonl"
    options = ["--repeats", "2", "--steps", "2", "--against", "HEAD", "--keep", str(file)]
    assert history.main([*options, "--rows", "clocked, if", "--batches", "1,16"]) == 0
    rows = json.loads(file.read_text())["rows"]
    assert len(rows) == 2
    for row in rows.values():
        assert 0.05 < float(row["times HEAD"].split()[0]) < 20


@pytest.mark.slow
def test_start_measures_commands_and_a_large_network(capsys):
    start = importlib.import_module("start")
    options = ["--repeats", "1", "--cores", "1", "--steps", "2", "--side", "32"]
    assert start.main([*options, "--rows", "warm; event", "--against", "HEAD"]) == 0
    *_, header, one, two = capsys.readouterr().out.rstrip().splitlines()
    assert header.split("  ")[-1].strip() == "peak, times HEAD"
    assert one.startswith("run, warm") and two.startswith("DenseNet-121: tables, event")
    for row in (one, two):
        assert 0.1 < float(row.split()[-1]) < 10


def test_start_refuses_rows_and_sizes_that_there_are_not(capsys):
    start = importlib.import_module("start")
    assert start.main(["--rows", "warm; cold"]) == 2
    assert "--rows: expected some of warm; first" in capsys.readouterr().err
    assert start.main(["--side", "33"]) == 2
    assert "--side: expected a multiple of 32, found 33" in capsys.readouterr().err


def test_the_densenet_of_start_is_one():
    start = importlib.import_module("start")
    graph = start.densenet(32, (1, 2))
    network = eventsnn.convert(graph)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32), np.uint8)
    assert check(network, pixels)[0] < 1e-9
    whole = start.densenet(64)
    assert sum(node.op == "Conv" for node in whole.nodes) == 120  # and one Gemm: 121


def test_all_benchmarks_run_in_turn(monkeypatch):
    every = importlib.import_module("all")
    ran = []
    status = {"event": 0}
    for name in ("clocked", "event", "orders", "scaling"):
        monkeypatch.setattr(
            getattr(every, name),
            "main",
            lambda argv, name=name: ran.append((name, argv)) or status.get(name, 0),
        )
    options = ["--steps", "2,4"]
    assert every.main(options) == 0 and ran == [
        (name, options) for name in ("clocked", "event", "orders", "scaling")
    ]
    status["event"] = 2
    assert every.main(options) == 2 and len(ran) == 6


@pytest.mark.frameworks
def test_torch_fires_as_we_do():
    torch = pytest.importorskip("torch")
    dense = importlib.import_module("dense")
    network, pixels = network_and(5)
    x = network.graph.preprocessing(pixels)
    found = Simulation(network, steps=3, arithmetic="float64").run(pixels)
    ways = [dense.Dense(network, 3, torch.float64, mode) for mode in "sm"]
    if importlib.import_module("measuring").version("spikingjelly"):
        ways += [dense.Dense(network, 3, mode=mode, jelly=True) for mode in "sm"]
    for way in ways:
        off = 0 if way.dtype == torch.float64 else 0.002
        assert np.allclose(way.spikes(x), found.spikes[:, :-1].sum(axis=(0, 2)), rtol=off, atol=0)
        together, readout = way(x), found.readout[:, -1] / 3
        way.at_once = 2
        assert torch.allclose(way(x), together, atol=1e-5)
        assert (
            np.abs(together.numpy() - readout).max()
            < (0.2 if off else 1e-9) * np.abs(readout).max()
        )
