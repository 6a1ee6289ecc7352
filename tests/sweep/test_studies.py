"""Studies in cells: a plan names them, a store keeps them, and what is wrong is told in a line."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.sweeping import differing, study

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.option_texts import read
from eventsnn.studies import errors

pytest.importorskip("zarr")
pytest.importorskip("xarray")

from eventsnn.commands.sweep import main as sweep_main  # noqa: E402
from eventsnn.sweep import Plan, cube, estimate, status, sweep, table  # noqa: E402
from eventsnn.sweep import open as open_store  # noqa: E402
from eventsnn.sweep.planned import Planned  # noqa: E402
from eventsnn.sweep.store import Store  # noqa: E402
from eventsnn.sweep.studies import FIELDS, PLACES, study_named  # noqa: E402


def plan(folder, size=5, **more):
    """Cases with both kinds of levels, and runs beside them."""
    options = study(folder)
    tables = {"grid": {"study": ["cases"], "levels": ["steps", "own"]}, **more}
    also = [{"grid": {"seed": [0, 1]}}]
    return Plan(options=options, images={"size": size}, also=also, **tables)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """(plan, its store)."""
    folder = tmp_path_factory.mktemp("kept")
    its = plan(folder)
    found = sweep(its, folder / "store", executor="serial", progress=False)
    # three ranges of images; two groups, each with the ANN
    assert (found.cells, found.done, found.failed) == (18, 18, 0)
    return its, folder / "store"


def test_a_store_shows_what_is_kept_with_units_and_what_tells_runs_apart(kept):
    its, store = kept
    names = list(Store(store).record()["groups"])
    assert names == ["net-cases", "net"]
    data = open_store(store, "net-cases")
    assert data.attrs["study"] == "cases" and data.levels.values.tolist() == ["steps", "own"]
    assert data.cases.dims == ("run", "image", "layer", "error", "case")
    assert data.cases.attrs["unit"] == "neurons" and data.error.values.tolist() == ["I", "II"]
    assert bool(data.done.all()) and "readout" not in data
    assert json.loads(str(data.settings.values[1]))["levels"] == "own"
    network = eventsnn.convert(eventsnn.load(its.options["net"]))
    images = eventsnn.load_images(its.options["data"])
    pivoted = cube(data)
    for levels in ("steps", "own"):
        found = errors.cases(network, images, steps=4, levels=levels)
        counts = pivoted.cases.sel(levels=levels, error="II").values[:, 0]
        percent = 100 * counts[:, 1:5].sum(axis=1).mean() / network.layers[0].size
        assert percent == pytest.approx(found.layers[0]["II"])
    assert "study" not in open_store(store, "net").coords


def test_any_ranges_of_images_and_two_threads_give_the_same_store(kept, tmp_path):
    its, store = kept
    for size, threads in ((12, 1), (3, 2)):
        path = tmp_path / f"of-{size}"
        with ThreadPoolExecutor(threads) as executor:
            other = Plan(**{**its.tables(), "images": {"size": size}})
            assert sweep(other, path, executor=executor, progress=False).failed == 0
        assert differing(store, path) == []


def test_a_store_from_before_there_were_studies_is_read(kept, tmp_path):
    _, store = kept
    shutil.copytree(store, tmp_path / "old")
    path = tmp_path / "old" / "sweep.json"
    record = json.loads(path.read_text())
    del record["groups"]["net-cases"], record["groups"]["net"]["study"]
    path.write_text(json.dumps(record))
    assert bool(open_store(tmp_path / "old").done.all()) and len(table(tmp_path / "old")) == 6
    assert status(tmp_path / "old").table[0]["runs"] == 2


def test_status_dry_run_and_export_know_studies(kept, tmp_path, capsys):
    its, store = kept
    assert status(store).complete and [row["cells"] for row in status(store).table] == [9, 9]
    assert str(estimate(its, store)).startswith("18 cells of 4 runs: 18 are there")
    out = tmp_path / "rows.csv"
    assert sweep_main(["export", str(store), "--network", "net-cases", "--out", str(out)]) == 0
    capsys.readouterr()
    rows = table(store, network="net-cases")
    # two runs: 12 numbers by error and case, 12 by sign and case, 3 of the theorem, 3 of whom
    # SRP silenced
    assert len(rows) == 60 == len(out.read_text().splitlines()) - 1
    (row,) = [
        row
        for row in rows
        if row["levels"] == "own"
        and row["variable"] == "cases"
        and row["at"].endswith("II, case 2")
    ]
    data = open_store(store, "net-cases").isel(run=1)
    assert row["value"] == data.cases.sel(error="II", case=2).values.mean() and row["images"] == 12
    assert len(table(store, network="net-cases", by="image")) == 60 * 12
    assert {row["T"] for row in table(store)} == {1, 2, 4}  # the runs, where there are some
    with pytest.raises(InputError, match="steps: expected none"):
        table(store, [2], network="net-cases")


@pytest.mark.long
def test_a_dry_run_measures_studies(tmp_path):
    found = estimate(plan(tmp_path), tmp_path / "none")
    assert found.left == 18 and len(found.measured) == 2 and found.seconds > 0


def test_a_study_that_cannot_be_fails_as_a_cell(tmp_path):
    grid = {"study": ["certificate"], "fraction_bits": [16], "neuron": ["if", "if-hard"]}
    its = plan(tmp_path, grid=grid)
    found = sweep(its, tmp_path / "store", executor="serial", progress=False)
    assert found.failed == 3 and "intervals: expected neurons if, gn, burst" in found.first_error
    assert not status(tmp_path / "store").complete


@pytest.mark.parametrize(
    "options, words",
    [
        ({"study": "case"}, "study: expected one of cases, .*found 'case'"),
        ({"levels": "own"}, "levels: expected study = 'cases', found None; leave it out"),
        ({"study": "parts", "moved": [2]}, "moved: expected study = 'budgets', found 'parts'"),
        ({"study": "largest", "most": 0}, "most: expected a whole number from 1, found 0"),
        (
            {"study": "budgets", "moved": [1, "all"]},
            r"moved: expected whole numbers from 0, or every, found \(1, 'all'\)",
        ),
        ({"study": "attacks", "into": "act1"}, "into: expected names, found 'act1'"),
        ({"study": "attacks", "into": [1]}, r"into: expected names, found \(1,\)"),
        ({"study": "orders", "orders": 1}, "orders: expected a whole number from 2, found 1"),
        ({"study": "cases", "engine": "event", "order": "x"}, "order: expected one of"),
    ],
)
def test_what_is_no_study_is_told_before_anything_runs(tmp_path, options, words):
    with pytest.raises(InputError, match=words) as caught:
        Planned(Plan(options={**study(tmp_path), **options}))
    assert "\n" not in str(caught.value)


def test_every_t_of_a_study_is_a_run_and_own_lengths_are_groups(tmp_path):
    options = {**study(tmp_path), "study": "budgets", "last": 1}
    runs = list(Plan(options=options, grid={"steps": [2, 4]}).runs())
    assert [run.steps for run in runs] == [2, 4]
    planned = Planned(Plan(options=options, grid={"moved": [[1], [1, 2]], "seed": [0, 1]}))
    assert [*planned.groups] == ["net-budgets", "net-budgets-2"]
    ids = [cell.id for cell in planned.cells()]
    assert len(set(ids)) == len(ids) == 6


@pytest.mark.parametrize("name", PLACES)
def test_every_study_says_what_it_keeps(name):
    its = study_named(name)
    assert set(its.options) <= FIELDS.keys() - {"study"}
    for variable in its.variables.values():
        assert variable.dims[0] == "image" and variable.unit and variable.words
        np.full((), variable.fill, variable.dtype)
    used = {name for other in PLACES for name in study_named(other).options}
    assert used == FIELDS.keys() - {"study"}


def test_lists_of_a_study_are_read_as_they_are_written():
    assert read(FIELDS["moved"], "1,every") == (1, "every")
    assert read(FIELDS["into"], "act4,act5") == ("act4", "act5")
    for name, text in (("moved", "1,all"), ("moved", "1,"), ("into", "act4,"), ("fractions", "")):
        with pytest.raises(InputError, match=f"{name}: expected|{name} .*expected"):
            Plan(options={"study": "attacks", name: read(FIELDS[name], text)})
