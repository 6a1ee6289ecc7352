"""Methods side by side: which run, what is measured of each, and the papers' tables beside them."""

import csv
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.networks import Builder

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.network.rules import RULES
from eventsnn.studies.zoo import published
from eventsnn.studies.zoo.choosing import choose
from eventsnn.studies.zoo.measured import RESTING
from eventsnn.studies.zoo.methods import METHODS, NEEDS, REFERENCE, Method, named
from eventsnn.studies.zoo.pictures import front

ROOT = Path(eventsnn.__file__).parents[1]


def script():
    path = ROOT / "analysis" / "zoo.py"
    spec = importlib.util.spec_from_file_location("analysis_zoo", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def graph_of(op):
    b = Builder(np.random.default_rng(1), (1, 4, 4))
    return b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv("input", 2), op)])))


def test_every_method_says_what_it_is():
    assert len(METHODS) >= 48 and named("all") == list(METHODS)
    for name, method in METHODS.items():
        assert method.paper and method.words and set(method.needs) <= set(NEEDS), name
        rule = method.convert.get("thresholds")
        calibrated = rule is not None and RULES.find(rule).calibrated
        assert ("images" in method.needs) == bool(calibrated or method.prepare), name
    with pytest.raises(InputError, match="methods: expected one of if, .*found 'iff'"):
        named("if,iff")
    with pytest.raises(InputError, match="needs among images"):
        METHODS.add("wrong", Method("mine", "a need that there is not", needs=("luck",)))
    with pytest.raises(InputError, match="zoo.methods.Method"):
        METHODS.add("wrong", {"neuron": "if"})


def test_a_method_names_a_network_that_has_it():
    for name, method in METHODS.items():
        assert bool(method.network) == bool(method.trained_with), name
        if method.network:
            assert not method.misfit(eventsnn.load(method.network)), name


def test_methods_run_where_networks_have_what_they_need():
    graphs = {"relu": graph_of("Relu"), "stair": graph_of("QCFS"), "clip": graph_of("ClippedRelu")}
    said = []

    def trying(net, method):
        if method.simulate.get("neuron") == "snm":
            raise InputError("here", "no signs", "some")
        return net

    names = ["snm", "st-bif", "qcfs", "tcl", "gn-2"]
    found = choose(graphs, names, True, trying, said.append)
    assert [(each.network, each.name) for each in found] == [
        ("relu", REFERENCE),
        ("stair", "qcfs"),
        ("clip", "tcl"),
        ("relu", "gn-2"),
    ]
    assert said == [
        "left out: snm (here: expected no signs, found some)",
        "left out: st-bif (it needs activations QCFS or QuantRelu, and here are Relu)",
    ]
    with pytest.raises(InputError, match="no signs"):
        choose(graphs, ["snm"], False, trying, said.append)
    with pytest.raises(InputError, match="method .lsq.: expected a network that has it"):
        choose(graphs, ["lsq"], False, trying, said.append)
    # a method may need a network's word for how it was trained; "all" keeps it where it differs
    rts = replace(graphs["clip"], meta={"activation": "rts:8"})
    found = choose({**graphs, "rts": rts}, ["rts"], True, trying, said.append)
    assert [(each.network, each.name) for each in found] == [("relu", REFERENCE), ("rts", "rts")]
    found = choose({"rts": rts}, ["rts", "opi", "shift"], True, trying, said.append)
    assert [each.name for each in found] == [REFERENCE, "rts", "shift"]
    assert said[-1].startswith(f"left out: opi (it is {REFERENCE} on this network")
    needs = "trained with rts .fashion_rts., and this file does not say what it had"
    with pytest.raises(InputError, match=f"method .rts.: expected .*{needs}"):
        choose({"clip": graphs["clip"]}, ["rts"], False, trying, said.append)
    other = replace(graphs["clip"], meta={"activation": "tcl"})
    with pytest.raises(InputError, match="fashion_rts., and here is one of tcl"):
        choose({"clip": other}, ["rts"], False, trying, said.append)
    own = choose({"stair": graphs["stair"]}, ["qcfs"], True, trying, said.append)
    assert [each.name for each in own] == [REFERENCE] and "it is if on this network" in said[-1]
    asked = choose({"stair": graphs["stair"]}, ["qcfs"], False, trying, said.append)
    assert [each.name for each in asked] == [REFERENCE, "qcfs"]


def test_the_front_has_what_no_other_beats():
    rows = [
        {"accuracy": a, "counted / ANN": c}
        for a, c in ((0.5, 1), (0.7, 2), (0.6, 3), (0.9, 4), (0.9, 5), (np.nan, np.inf))
    ]
    assert front(rows) == [rows[0], rows[1], rows[3]]
    for row in rows:
        beaten = any(
            o["accuracy"] > row["accuracy"] and o["counted / ANN"] <= row["counted / ANN"]
            for o in rows
        )
        assert beaten <= (row not in front(rows))


def test_the_published_tables_are_the_papers():
    for name, its in published.TABLES.items():
        assert len(its.rows) >= 10 and set(its.methods) <= set(METHODS), name
        for row in its.rows:
            assert row["ours"] in ("", *its.methods), (name, row)
            papers = METHODS.find(row["ours"]).paper if row["ours"] else row["published"]
            papers = papers.replace("Opt", "RTS")
            assert any(paper in row["published"] for paper in papers.split(", ")), (name, row)
            shares = [row[f"T = {t}"] for t in its.steps]
            assert len(row) == 5 + len(its.steps)
            assert all(x is None or 0 < x < 100 for x in (row["ANN"], *shares))
    text = (ROOT / "docs" / "semantics.md").read_text()
    assert "SpikeZIP" in text
    data = {row["data"] for row in published.table("spikezip-3").rows}
    assert data == {"CIFAR-100", "ImageNet"}
    assert "CIFAR-100 and ImageNet alone" in published.table("spikezip-3").note
    with pytest.raises(InputError, match="table: expected one of gn-2"):
        published.table("gn-3")


@pytest.mark.slow
def test_the_table_of_a_network(tmp_path, capsys):
    """The rows are those of runs; what was left out is said; a paper's figures stand apart."""
    words = ["--limit", "6", "--report-steps", "1,3", "--table", "spikezip-3"]
    assert script().main([*words, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    rows = table(tmp_path / "out" / "zoo.csv")
    names = list(dict.fromkeys(row["method"] for row in rows))
    assert names[:3] == ["if", "st-bif", "spikezip-code"]
    assert [row["T"] for row in rows if row["method"] == "st-bif"] == ["1", "3", RESTING]
    network, images = eventsnn.convert(eventsnn.load("sample")), eventsnn.load_images("sample")
    some = images.take(np.arange(6))
    result = eventsnn.simulate(network, some, steps=3, neuron="snm", progress=False)
    (row,) = [row for row in rows if row["method"] == "snm" and row["T"] == "3"]
    assert float(row["accuracy"]) == result.accuracy(3)
    assert float(row["spikes"]) == result.spikes.sum() / 6
    assert float(row["counted_microjoule"]) == pytest.approx(0.9e-6 * result.operations.sum() / 6)
    assert [row["outputs apart"] for row in rows if row["T"] == RESTING] == ["0", ""]
    (row,) = [row for row in rows if row["method"] == "if" and row["T"] == "3"]
    assert row["p"] == "", "the reference is compared with nothing"
    assert all(row["p Holm"] for row in rows if row["method"] == "snm")
    published_rows = table(tmp_path / "out" / "published.csv")
    assert published_rows[0]["data"] == "CIFAR-100"
    assert "SpikeZIP Table 3, as published" in said and "VGG-16" in said
    assert (tmp_path / "out" / "zoo.png").is_file()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--methods", "iff"], "expected one of if"),
        (["--methods", "tcl"], "a network that has it"),
        (["--methods", "if", "--table", "gn-2"], "--methods all"),
        (["--report-steps", "0"], "whole numbers from 1"),
        (["--steps", "0"], "a whole number from 1"),
        (["--methods", "if,snm", "--seeds", "2"], "at least one way that draws something"),
        (["--net", "sample", "--also", "nowhere.h5"], "nowhere.h5"),
    ],
)
def test_what_cannot_be_is_one_line(words, said, tmp_path, capsys):
    assert script().main([*words, "--limit", "2", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
