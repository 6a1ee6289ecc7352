"""Studies of analysis/ made of a store: their tables are those of the same images studied here,
whatever the ranges of images that the store's cells are of.
"""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from support.networks import Builder

import eventsnn
from eventsnn.ann.forward import predict

pytest.importorskip("zarr")
pytest.importorskip("xarray")

from eventsnn.commands.sweep import main as sweep_main  # noqa: E402
from eventsnn.studies import scripts  # noqa: E402

pytestmark = pytest.mark.usefixtures("no_pictures")
ANALYSIS = Path(eventsnn.__file__).parents[1] / "analysis"
IMAGES = 7
# options of each script, and the columns that are measured times; more of a script behind a colon
SCRIPTS = {
    "error_cases": (["--steps", "4", "--srp", "2"], ()),
    "error_parts": (["--steps", "4", "--neurons", "if,snm"], ()),
    "adversary": (
        "--steps 2 --neurons if --orders fifo --seconds inf --replays 12 --draws 2".split(),
        ("seconds",),
    ),
    "adversary: proofs beside attacks on the last layers": (
        "--steps 2 --neurons if,snm --orders fifo --seconds inf --replays 12 --draws 2 --last 2 "
        "--certify 4".split(),
        ("seconds",),
    ),
    "asynchronism": (["--steps", "3"], ()),
    "equivalence": (["--steps", "32"], ()),
    "certified_accuracy": (["--steps", "3"], ()),
    "order_budgets": (["--steps", "3", "--moved", "1,3"], ("seconds",)),
    "order_budgets: clocked": (
        "--steps 3 --order clocked --neuron snm --free 1,all --moved 1,every".split(),
        ("seconds",),
    ),
    "order_budgets: cores": (["--steps", "3", "--order", "cores"], ("seconds",)),
    "order_sampling": (
        ["--steps", "3", "--orders", "4", "--split-orders", "2", "--certify", "3"],
        (),
    ),
    "cores": (["--steps", "2"], ()),
    "layer_surgery": (["--steps", "4"], ()),
    "timing": (["--steps", "2,4", "--look-at", "5", "--seeds", "2"], ()),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Options that name a network of three layers of neurons and its labelled images."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(5)
    b = Builder(rng, (1, 6, 6))
    last = b.activation(b.conv(b.activation(b.conv("input", 3), "QCFS"), 3), "QCFS")
    last = b.gemm(b.activation(b.gemm(b.add("Flatten", [last]), 6), "QCFS"))
    net, data = folder / "net.h5", folder / "data.npz"
    graph = b.graph(last)
    eventsnn.save(graph, net)
    pixels = rng.integers(0, 256, (16, 1, 6, 6)).astype(np.uint8)
    labels = predict(graph, pixels).argmax(axis=1)
    labels[::6] = (labels[::6] + 1) % 4  # of some the ANN is wrong
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(data, **dict(zip(names, (pixels[:6], labels[:6], pixels[6:], labels[6:]))))
    return ["--net", str(net), "--data", str(data), "--limit", str(IMAGES)]


def script(name):
    spec = importlib.util.spec_from_file_location(f"studied_{name}", ANALYSIS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def tables(folder, times):
    """name of a table -> its rows, without columns that are times; not what a study keeps for
    itself, to go on with (orders).
    """
    found = {}
    for path in sorted(folder.glob("*.csv")):
        if path.name.endswith(("-orders.csv", "-split.csv")):
            continue
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found[path.name] = [{k: x for k, x in row.items() if k not in times} for row in rows]
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_tables_from_a_store_of_two_ranges_are_those_made_here(
    name, given, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(scripts, "save", lambda *args: None)  # pictures cost as much as all else
    more, times = SCRIPTS[name]
    words, main = [*given, *more], script(name.partition(":")[0])
    plan, store = tmp_path / "plan.toml", tmp_path / "store"
    assert main([*words, "--plan", str(plan)]) == 0
    text = plan.read_text()
    assert "size = " in text
    lines = ["size = 4" if line.startswith("size = ") else line for line in text.splitlines()]
    plan.write_text("\n".join(lines))
    assert sweep_main([str(plan), "--store", str(store), "--executor", "serial", "--quiet"]) == 0
    assert main([*words, "--out", str(tmp_path / "here")]) == 0
    assert main([*words, "--from", str(store), "--out", str(tmp_path / "stored")]) == 0
    here, stored = (tables(tmp_path / side, times) for side in ("here", "stored"))
    assert here == stored and here
    capsys.readouterr()
    assert main([*words, "--from", str(store), "--out", str(tmp_path / "x"), "--seed", "7"]) == 2
    assert "expected a run with" in capsys.readouterr().err
