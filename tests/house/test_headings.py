"""Every heading of a printed table stands in docs/guide/numbers.md."""

import re
from pathlib import Path

import pytest

import eventsnn
from eventsnn import (
    adversary,
    asynchronism,
    budgets,
    certified,
    errors,
    order_sampling,
    surgery,
    timing,
)
from eventsnn.network.rules import RULES
from eventsnn.neurons import MODELS
from eventsnn.runs import report
from eventsnn.studies.printing import compact
from eventsnn.views import short_names, tables

PAGE = (Path(eventsnn.__file__).parents[1] / "docs" / "guide" / "numbers.md").read_text("utf-8")
NAMED = {
    name
    for row in PAGE.splitlines()
    if row.startswith("|")
    for name in re.findall(r"`([^`]+)`", row.split("|")[1])
}
ANALYSIS = Path(eventsnn.__file__).parents[1] / "analysis"


def headings(rows, columns=tables.COLUMNS):
    """What stands above the columns of rows."""
    return {columns[key][0] if key in columns else key for key in rows[0]}


@pytest.fixture(scope="module")
def found():
    """(network, two images) of the bundled network."""
    images = eventsnn.load_images("sample", limit=2)
    return eventsnn.convert(eventsnn.load("sample")), images


def test_headings_of_a_run_are_explained(tmp_path, monkeypatch):
    shown = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        report.tables,
        "text_table",
        lambda rows, columns=tables.COLUMNS: shown.append(headings(rows, columns)) or "",
    )
    from eventsnn.run import main

    assert main(["--limit", "2", "--steps", "2"]) == 0
    assert len(shown) == 2 and {"layer", "rate", "threshold"} <= shown[0]
    assert "only SNN : only ANN" in shown[1]
    assert not set.union(*shown) - NAMED


@pytest.mark.slow
def test_headings_of_results_are_explained(found):
    network, images = found
    options = {"steps": 2, "progress": False}
    result = eventsnn.simulate(network, images, engine="event", **options)
    worst = result.worst(1)[0]
    every = [
        result.table(),
        network.table(),
        result.worst(1).table(),
        result.observe(worst.layer, worst.neuron, worst.image).table(3),
        errors.decompose(network, images, **options).table(),
        errors.cases(network, images, **options).table(),
        surgery.costs(network, images, **options).table(),
        timing.measure(network, images, **options).table(),
        (sampled := order_sampling.measure(network, images, orders=2, **options)).table(),
        sampled.components(resamples=10),
        asynchronism.measure(network, images, **options).table(),
        budgets.certify(network, images, **options).table(),
        certified.certify(network, images, one_by_one=True, **options).table(),
        adversary.attack(network, images, replays=2, draws=1, **options).table(),
        eventsnn.diagnose(network, images, **options).table(),
        eventsnn.calibrate(network, images, rounds=1, **options).table(),
    ]
    for table in every:
        words = str(table).split("\n")
        assert table.title and words[0][0].isupper() and max(map(len, words[:1])) <= tables.LINE
        unknown = headings(table, table.columns) - NAMED
        assert not {name for name in unknown if not name.endswith((" low", " high"))}
        assert "<caption" in table._repr_html_()


@pytest.mark.parametrize("path", sorted(ANALYSIS.glob("*.py")), ids=lambda path: path.stem)
def test_formats_of_scripts_are_explained(path):
    """What a script gives a heading of its own."""
    text = path.read_text(encoding="utf-8")
    given = re.findall(r'": \("([^"{]+)", "[,+.0-9a-z%]*"\)', text)
    assert not set(given) - NAMED
    assert "text_table(" not in text, "a table without a title"


def test_short_names_are_spelt_out_once_each():
    words = short_names.spelt_out("neuron snm / gn:4; ANN 3 %; notif")
    assert words.count("SNM:") == words.count("GN:") == words.count("ANN:") == 1
    assert "IF:" not in words and "ST-BIF" not in words
    assert short_names.spelt_out("nothing") == "" and short_names.spelt_out("x", "also") == "also"
    assert "IF:" in short_names.spelt_out("neuron if; encoding constant")
    assert all(len(line) <= short_names.WIDTH for line in words.splitlines())


def test_models_rules_and_activations_are_spelt_out():
    # which are no short names
    words = {"adaptive", "auto", "burst", "few-spike", "max", "percentile", "phase", "radix"}
    words |= {"signed", "local"}
    for name in {*MODELS, *RULES} - words:
        assert short_names.spelt_out(f"neuron {name}; T"), name
        assert len(short_names.spelt_out(f"neuron {name}; T").split("; ")) > 1, name
    for name in ("QCFS", "QuantRelu", "ClippedRelu", "SlipRelu"):
        assert short_names.spelt_out(name)


def test_columns_of_comparisons_are_one_on_the_screen():
    row = {"T": 1, "gained": 2, "lost": 1, "p": 0.5, "p Holm": 1.0, "x low": 0, "conditions": ""}
    assert compact([row]) == [{"T": 1, "gained : lost": "2 : 1, p = 1"}]
