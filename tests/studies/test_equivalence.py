"""The study of equivalence on the bundled network, and what the quantised network is refused
for.
"""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from support.networks import pixel_range, quantised_graph, random_pixels, small_graph

from eventsnn import InputError, convert, load, load_images
from eventsnn.readers import write_native
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.equivalence import quantised


def load_study(name):
    path = Path(__file__).parents[2] / "analysis" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


equivalence = load_study("equivalence")


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_study_of_equivalence(tmp_path, capsys):
    """No neuron and no output differs, in any order of arrival."""
    assert equivalence.main(["--limit", "2", "--steps", "100", "--out", str(tmp_path / "new")]) == 0
    rows, said = rows_of(tmp_path / "new" / "equivalence.csv"), capsys.readouterr().out
    assert [row["order"] for row in rows] == list(equivalence.ORDERS) and all(
        label in said for label in equivalence.ORDERS
    )
    for row in rows:
        assert (
            row["images"],
            row["neurons"],
            row["differing neurons"],
            row["differing outputs"],
        ) == ("2", "31424", "0", "0")
        assert 4 <= float(row["mean T_eq"]) <= int(row["largest T_eq"]) < 100
        assert float(row["spikes"]) > 1000 and float(row["operations"]) > float(row["spikes"])
    assert len({row["mean squared distance to the float ANN"] for row in rows}) == 1
    assert len({row["spikes"] for row in rows}) == 4  # the ways differ, what they come to does not
    image = load_images("sample", limit=2)
    found = convert(load("sample")).run(image, steps=100, neuron="st-bif", encoding="even").batch
    assert (
        float(rows[0]["spikes"]) == found.spikes.sum() / 2
        and float(rows[0]["mean T_eq"]) == found.t_eq.mean()
    )


@pytest.mark.slow
def test_the_study_of_equivalence_notices_a_difference(tmp_path, capsys):
    """Too few steps for one spike a step to come to rest: the table says so."""
    assert equivalence.main(["--limit", "1", "--steps", "5", "--out", str(tmp_path)]) == 0
    rows = rows_of(tmp_path / "equivalence.csv")
    assert (
        int(rows[1]["differing neurons"]) > 0
        and int(rows[1]["differing outputs"]) > 0
        and rows[1]["largest T_eq"] == "5"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--net", "nowhere.h5"], "nowhere.h5"),
        (["--data", "nowhere"], "nowhere"),
        (["--net", "clipped.h5", "--data", "data.npz"], "QCFS, QuantRelu"),
        (["--steps", "0"], "steps"),
        (["--steps", "3"], "more steps than the drive lasts"),
        (["--limit", "0"], "limit"),
        (["--layer", "act0"], "act1, act2"),
    ],
)
def test_wrong_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    write_native(small_graph("ClippedRelu"), "clipped.h5")
    rng = np.random.default_rng(1)
    np.savez("data.npz", x_test=rng.integers(0, 4, (3, 2, 6, 6)).astype(np.uint8), y_test=[0, 1, 2])
    assert (
        equivalence.main([*arguments, *([] if "--limit" in arguments else ["--limit", "1"])]) == 2
    )
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and error.count("\n") == 1 and words in error and out == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"neuron": "if"}, "found IF, fixed"),
        ({"neuron": "snm"}, "found SNM"),
        ({"arithmetic": "float64"}, "found STBIF, float64"),
        ({"encoding": "constant"}, "encoding constant"),
        ({"encoding": "rate"}, "encoding rate"),
        ({"steps": 6}, "6 of 6 steps"),
    ],
)
def test_the_quantised_network_needs_an_equilibrium(options, words):
    rng = np.random.default_rng(2)
    graph = quantised_graph(rng)
    for node in graph.activations:
        node.attrs["levels"] = 6
    pixels = random_pixels(rng, graph, 1)
    settings = {"neuron": "st-bif", "encoding": "even", "steps": 7, **options}
    simulation = Simulation(convert(graph), pixel_range=pixel_range(pixels), **settings)
    with pytest.raises(InputError, match=words):
        quantised(simulation, pixels)
    allowed = Simulation(
        convert(graph), pixel_range=pixel_range(pixels), neuron="st-bif", encoding="even", steps=7
    )
    assert quantised(allowed, pixels)[0].any()
