"""Claims: verdicts follow from intervals, tables of trainings are read right, the page is whole."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.settings import Settings
from eventsnn.statistics import holm, mcnemar
from eventsnn.studies.claims import srp, trained
from eventsnn.studies.claims.bench import QCFS, Bench
from eventsnn.studies.claims.findings import (
    FAILS,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Claim,
    Finding,
    Judged,
    NotRun,
    close,
    corrected,
    more,
    none_of,
)
from eventsnn.studies.claims.page import CLAIMS, chosen, judge, markdown, rows_of, summary

ROOT = Path(eventsnn.__file__).parents[1]


@pytest.mark.parametrize(
    "low, high, bounds, verdict",
    [
        (1, 2, {"least": 0}, HOLDS),
        (-2, -1, {"least": 0}, FAILS),
        (-1, 1, {"least": 0}, UNDECIDED),
        (0, 1, {"least": 0}, UNDECIDED),
        (1, 2, {"most": 3}, HOLDS),
        (4, 5, {"most": 3}, FAILS),
        (2, 4, {"most": 3}, UNDECIDED),
        (-0.5, 0.5, {"least": -1, "most": 1}, HOLDS),
        (-0.5, 1.5, {"least": -1, "most": 1}, UNDECIDED),
        (1.5, 2.5, {"least": -1, "most": 1}, FAILS),
        (1, 2, {"least": 0, "p": 0.05}, UNDECIDED),
        (1, 2, {"least": 0, "p": 0.01}, HOLDS),
        (-2, -1, {"least": 0, "p": 0.01}, FAILS),
        (0, 1, {"exceptions": 0}, HOLDS),
        (0, 1, {"exceptions": 1}, FAILS),
    ],
)
def test_verdicts_follow_from_intervals(low, high, bounds, verdict):
    found = Finding("x", (low + high) / 2, low, high, **bounds)
    assert found.verdict == verdict
    assert f"[{low}, {high}]" in found.words


def test_one_number_that_fails_decides_a_claim():
    claim = Claim("A", "Tab. 1", "better", lambda bench: [])
    good, bad, open_ = (Finding("x", x, x, y, least=0) for x, y in ((1, 2), (-2, -1), (-1, 1)))
    assert Judged("a", claim, (good, bad, open_)).verdict == FAILS
    assert Judged("a", claim, (good, open_)).verdict == UNDECIDED
    assert Judged("a", claim, (good, good)).verdict == HOLDS
    assert Judged("a", claim, (), "hours").verdict == NOT_RUN


def test_comparisons_are_paired_and_corrected_together():
    first = np.array([True] * 9 + [False])
    second = np.array([False] * 8 + [True, True])
    its = more("x", first, second)
    assert its.value == pytest.approx(0.7) and its.p == mcnemar(8, 1)
    claim = Claim("A", "Tab. 1", "better", lambda bench: [])
    both = [Judged("a", claim, (its,)), Judged("b", claim, (close("y", first, second, 0.1), its))]
    adjusted = [each.p for judged in corrected(both) for each in judged.findings]
    assert adjusted == [*holm([its.p, its.p])[:1], None, holm([its.p, its.p])[1]]
    assert close("y", first, first, 0.1).verdict == HOLDS
    assert none_of("x", 0, 100).verdict == HOLDS and none_of("x", 1, 10**6).verdict == FAILS


def test_eq_9_under_its_own_assumption():
    """The mean of a stair with a shift of one half is 1/2 for any number of levels: by counting."""
    for levels in (1, 3, 4):
        y = (np.arange(24_000) + 0.5) / 24_000
        counted = np.minimum(np.floor(y * levels + 0.5), levels).mean() / levels
        assert float(srp._stairs(levels)) == 0.5 == pytest.approx(counted)


def table(folder, figure, rows, name="training_figures"):
    (folder / figure).mkdir(parents=True, exist_ok=True)
    with (folder / figure / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_tables_of_trainings_are_judged_by_their_discordant_images(tmp_path):
    begun = {"T": 2, "ANN": 0.9, "images": 1000, "hours": 1.0}
    rows = [
        {"net": "N", **begun, "gained": "", "lost": ""},
        {"net": "R", **begun, "gained": 120, "lost": 20},
        {"net": "P", **begun, "ANN": 0.8, "gained": 20, "lost": 120, "hours": 1.2},
    ]
    table(tmp_path, "fig", rows)
    layers = [{"net": n, "threshold": x} for n, f in (("a", 1), ("b", 2)) for x in (1.0 * f, 3 * f)]
    table(tmp_path, "fig", layers, "norm_factors")
    bench = Bench(Settings(), {}, tmp_path)
    (found,) = trained.better("fig", "R", "N", 2)(bench)
    assert found.value == pytest.approx(0.1) and found.verdict == HOLDS
    assert found.p == mcnemar(120, 20) and found.low < 0.1 < found.high
    (found,) = trained.better("fig", "N", "R", 2)(bench)
    assert found.value == pytest.approx(-0.1) and found.verdict == FAILS
    assert trained.better("fig", "P", "N", 2)(bench)[0].verdict == FAILS
    found = trained.best("fig", "N", ("R", "P"), (2,))(bench)
    assert [each.verdict for each in found] == [FAILS, HOLDS]
    assert [each.what[:11] for each in found] == ["N against R", "N against P"]
    with pytest.raises(NotRun, match="not compared with each other"):
        trained.better("fig", "R", "P", 2)(bench)
    with pytest.raises(NotRun, match="a row of R at T = rest"):
        trained.better("fig", "R", "N", "rest")(bench)
    with pytest.raises(NotRun, match="--figure other"):
        trained.better("other", "R", "N", 2)(bench)
    assert trained.lower_ann("fig", "N", "P", 0.0)(bench)[0].verdict == FAILS
    assert trained.lower_ann("fig", "P", "N", 0.0)(bench)[0].verdict == HOLDS
    assert trained.faster("fig", "P", "N", 1.5)(bench)[0].verdict == HOLDS
    (found,) = trained.smaller_factors("fig", "a", "b")(bench)
    assert found.value == found.low == pytest.approx(0.5) and found.verdict == HOLDS


def test_a_table_says_which_command_made_it(tmp_path, monkeypatch):
    folder = tmp_path / "tcl-7"
    folder.mkdir()
    assert trained.made_by(folder) is None
    for text in ("{", "[]", "{}", '{"options": 3}'):
        (folder / "study.json").write_text(text)
        assert trained.made_by(folder) is None
    options = {"study": "training_figures", "figure": "tcl-7", "data": "fashion-mnist"}
    options |= {"limit": "1000", "steps": 35, "precision": "bfloat16", "seed": 0, "width": 0.5}
    (folder / "study.json").write_text(json.dumps({"options": options}))
    assert trained.made_by(folder) is None, "killed before it had a table"
    table(tmp_path, "tcl-7", [{"net": "N"}])
    assert trained.made_by(folder) == (
        "python analysis/training_figures.py --figure tcl-7 --data fashion-mnist --limit 1000 "
        "--precision bfloat16 --steps 35 --out runs/training/tcl-7"
    )


def test_defaults_of_training_figures_are_known(monkeypatch):
    script = script_of("training_figures")
    found = []

    def parsed(study, parser, argv):
        found.append(vars(parser.parse_args(argv)))
        return 0

    monkeypatch.setattr(script.scripts, "run", parsed)
    assert script.main(["--figure", "tcl-7"]) == 0
    for name, default in trained.OPTIONS.items():
        if name == "limit":
            words = next(w for w in script.main.__code__.co_consts if w == int(default))
            assert words == 500
        elif name not in ("figure", "data", "seed"):
            assert str(found[0][name]) == str(default), name


def test_every_claim_says_where_it_is_made():
    assert len(CLAIMS) >= 50
    papers = {claim.paper for claim in CLAIMS.values()}
    assert papers == {"SRP", "DNISNM", "SpikeZIP", "GN", "TCL"}
    assert chosen("srp-theorem-1,gn-tab-1") == [
        "srp-theorem-1",
        *(name for name in CLAIMS if name.startswith("gn-tab-1")),
    ]
    assert chosen(None) == list(CLAIMS)
    with pytest.raises(InputError, match="found 'xyz'"):
        chosen("xyz")


def test_the_page_has_what_was_found(tmp_path):
    """Of the bundled network: Theorem 1 has no exception; what takes training is not run."""
    bench = Bench(Settings(limit=4), {QCFS: "sample"})
    judged = judge(bench, ["srp-theorem-1", "srp-eq-9-uniform", "tcl-fig-7"])
    assert [its.verdict for its in judged] == [HOLDS, HOLDS, NOT_RUN]
    made = "python analysis/training_figures.py --figure tcl-7"
    page = markdown(judged, "python analysis/claims.py", "Networks: sample.", [made])
    assert f"The tables of trainings are from:\n\n```\n{made}\n```" in page
    assert "| `srp-theorem-1`: Theorem 1" in page and "**not run**" in page
    assert summary(judged) == "3 claims: 2 holds, 1 not run"
    assert summary(judged) in page
    rows = rows_of(judged)
    assert rows[0]["finding"] == HOLDS and rows[-1]["value"] is None
    assert {row["claim"] for row in rows} == {its.name for its in judged}


def script_of(name):
    path = ROOT / "analysis" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"analysis_{name}", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_script_judges_some(tmp_path, capsys):
    script = script_of("claims")
    words = ["--qcfs-net", "sample", "--limit", "4", "--only", "srp-theorem-1,tcl-fig-7"]
    page = tmp_path / "page.md"
    assert script.main([*words, "--out", str(tmp_path / "out"), "--page", str(page)]) == 0
    assert "srp-theorem-1" in page.read_text() and (tmp_path / "out" / "claims.csv").is_file()
    assert "2 claims: 1 holds, 1 not run" in capsys.readouterr().out
    assert script.main(["--only", "none", "--out", str(tmp_path / "no")]) == 2
    assert "expected names such as" in capsys.readouterr().err
