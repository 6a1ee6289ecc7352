"""Sweeps from plan to store: the numbers of `simulate`, whoever computes them and how often."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.sweeping import arrays, differing, study

import eventsnn
from eventsnn.ann.forward import logits
from eventsnn.exceptions import InputError

pytest.importorskip("zarr")
pytest.importorskip("xarray")

from eventsnn.sweep import Plan, cube, status, sweep, table  # noqa: E402
from eventsnn.sweep import open as open_store  # noqa: E402
from eventsnn.sweep.cells import cell_of  # noqa: E402
from eventsnn.sweep.store import FAILED, Store  # noqa: E402

ORDERS = {
    "options": {"engine": "event"},
    "grid": {"order": ["fifo", "random"], "neuron": ["if", "snm"]},
    "when": [{"if": {"order": "random"}, "grid": {"seed": [1, 2]}}],
}


def plan(folder, **tables):
    tables["options"] = {**study(folder), **tables.get("options", {})}
    return Plan(**{"images": {"size": 5}, **tables})


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    """(plan, store of it run in this process)."""
    folder = tmp_path_factory.mktemp("orders")
    its = plan(folder, **ORDERS)
    found = sweep(its, folder / "store", executor="serial", progress=False)
    assert (found.cells, found.there, found.done, found.failed) == (21, 0, 21, 0)
    return its, folder / "store"


def test_a_store_has_the_numbers_of_simulate(orders):
    its, store = orders
    data = open_store(store)
    network = eventsnn.convert(eventsnn.load(its.options["net"]))
    images = eventsnn.load_images(its.options["data"])
    assert dict(data.sizes) == dict(run=6, image=12, step=4, layer=2, **{"class": 4}, cost=6)
    for place in range(6):
        run = data.isel(run=place)
        options = {key: run[key].item() for key in ("order", "neuron", "seed")}
        result = eventsnn.simulate(network, images, steps=4, engine="event", **options)
        for name in ("spikes", "operations", "digests", "order_digests"):
            wanted = getattr(result.batch, name).swapaxes(1, 2)
            assert np.array_equal(run[name].values, wanted), name
        for step in range(1, 5):
            assert np.array_equal(run.readout.sel(step=step).values, result.readout(step))
        assert np.array_equal(run.t_eq.values, result.batch.t_eq)
        assert np.array_equal(run.ties.values, result.batch.ties)
        assert np.array_equal(run.label.values, images.labels) and bool(run.done.all())
        found = eventsnn.cost.by_image(
            network,
            result.spikes[:, :, :3].sum(axis=2).astype(float),
            result.operations[:, :, :3].sum(axis=2).astype(float),
        )
        for name in data.cost.values.tolist():
            assert np.array_equal(run.costs.sel(step=3, cost=name).values, found[name]), name
    wanted = logits(network.graph, images.pixels)
    assert np.array_equal(data.ann.values, wanted)


def test_a_finished_sweep_runs_nothing_and_a_larger_plan_what_is_new(orders, tmp_path):
    its, store = orders
    again = sweep(its, store, executor="serial", progress=False)
    assert (again.there, again.done) == (21, 0)
    small = Plan(**{**its.tables(), "images": {"count": 10, "size": 5}, "grid": {"neuron": ["if"]}})
    small = Plan(**{**small.tables(), "options": {**small.options, "order": "fifo"}})
    assert sweep(small, tmp_path / "store", executor="serial", progress=False).done == 4
    assert sweep(its, tmp_path / "store", executor="serial", progress=False).there == 4
    one, other = arrays(store), arrays(tmp_path / "store")
    keys = [one["net"]["key"].tolist(), other["net"]["key"].tolist()]
    assert keys[0] != keys[1] or len(keys[0]) == 6
    order = [keys[1].index(key) for key in keys[0]]
    assert np.array_equal(one["net"]["digests"], other["net"]["digests"][order])


@pytest.mark.slow
def test_two_processes_and_threads_of_ones_own_give_the_same_store(orders, tmp_path):
    its, store = orders
    sweep(its, tmp_path / "processes", workers=2, progress=False)
    assert differing(store, tmp_path / "processes") == []
    with ThreadPoolExecutor(3) as executor:
        sweep(its, tmp_path / "threads", executor=executor, progress=False)
    assert differing(store, tmp_path / "threads") == []


def test_runs_pivot_to_a_cube_where_they_are_one(orders):
    data = open_store(orders[1])
    with pytest.raises(InputError, match="expected 12 runs, .* found 6; choose runs first"):
        cube(data)
    found = cube(data.isel(run=data.order == "random"))
    assert {key: found.sizes[key] for key in ("neuron", "seed")} == {"neuron": 2, "seed": 2}
    one = data.isel(run=(data.order == "random") & (data.neuron == "snm") & (data.seed == 2))
    assert np.array_equal(
        found.digests.sel(neuron="snm", seed=2).values, one.digests.isel(run=0).values
    )
    fifo = cube(data.isel(run=data.order == "fifo"))
    assert fifo.sizes["neuron"] == 2 and fifo.order == "fifo"
    with pytest.raises(InputError, match="expected a Dataset of eventsnn.sweep.open"):
        cube(3)


def test_an_option_that_some_runs_do_not_set_is_an_axis_of_text(tmp_path):
    its = plan(tmp_path, points=[{}, {"initial": 0.25}], grid={"neuron": ["if", "snm"]})
    sweep(its, tmp_path / "store", executor="serial", progress=False)
    data = open_store(tmp_path / "store")
    (name,) = {key for key in data.coords if data[key].dims == ("run",)} - {
        *("run", "key", "settings", "neuron", "steps")
    }
    found = cube(data)
    assert {found.sizes[name], found.sizes["neuron"]} == {2}
    assert len(set(found[name].values.tolist())) == 2


def test_a_store_whose_last_cell_grew_is_whole(tmp_path):
    for count in (8, 12):
        its = plan(tmp_path, images={"size": 5, "count": count})
        sweep(its, tmp_path / "store", executor="serial", progress=False)
    (row,) = status(tmp_path / "store").table
    assert row["missing"] == 0 and row["done"] == row["cells"] == 6


def test_a_store_of_another_version_is_read(orders, tmp_path, monkeypatch):
    its, store = orders
    before = list(table(store)), list(status(store).table)
    monkeypatch.setattr(cell_of, "__defaults__", ("0.0.9",))
    assert (list(table(store)), list(status(store).table)) == before


def test_failures_of_other_parts_are_kept(tmp_path):
    store = Store(tmp_path)
    for cell in ("a" * 32, "b" * 32):
        store._file(cell, FAILED).parent.mkdir(parents=True)
        store._file(cell, FAILED).write_text("{}")
    assert store.forget_failures({"a" * 32, "c" * 32}) == 1
    assert store.files(FAILED) == {"b" * 32}


def test_a_table_has_accuracy_and_cost_of_each_run(orders):
    its, store = orders
    rows = table(store, [2, 4])
    assert len(rows) == 12
    network = eventsnn.convert(eventsnn.load(its.options["net"]))
    images = eventsnn.load_images(its.options["data"])
    for row in rows:
        options = {key: row[key] for key in ("order", "neuron", "seed")}
        result = eventsnn.simulate(network, images, steps=4, engine="event", **options)
        assert row["accuracy"] == result.accuracy(row["T"])
        assert row["spikes"] == result.spikes[:, :, : row["T"]].sum() / 12
    of_images = table(store, [4], by="image")
    assert len(of_images) == 6 * 12
    assert {row["label"] for row in of_images} == set(images.labels.tolist())


def test_srp_readout_from_and_other_lengths_share_a_store(tmp_path):
    its = plan(
        tmp_path,
        points=[
            {"srp": 2},
            {"readout_from": 2},
            {"neuron": "st-bif", "steps": 9},
            {"neuron": "tpp"},
        ],
    )
    sweep(its, tmp_path / "store", executor="serial", progress=False)
    data = open_store(tmp_path / "store")
    assert data.steps.values.tolist() == [4, 4, 9, 4] and data.sizes["step"] == 9
    assert data.stage_one_spikes.values[0].any() and not data.stage_one_spikes.values[1:].any()
    there = np.isfinite(data.readout.values).all(axis=(1, 3))
    wanted = [[1, 2, 3, 4], [3, 4], list(range(1, 10)), [4]]
    assert [(np.flatnonzero(row) + 1).tolist() for row in there] == wanted
    ends = [row["T"] for row in table(tmp_path / "store")]
    assert ends == [1, 2, 4, 4, 1, 2, 4, 8, 9, 4]


def test_a_run_to_the_largest_t_answers_smaller_ones(tmp_path):
    options = {"engine": "event", "order": "random", "fraction_bits": 16, "encoding": "rate"}
    its = plan(tmp_path, options=options, grid={"steps": [2, 4]})
    sweep(its, tmp_path / "store", executor="serial", progress=False)
    long = open_store(tmp_path / "store")
    short = plan(tmp_path, options={**options, "steps": 2})
    sweep(short, tmp_path / "short", executor="serial", progress=False)
    found = open_store(tmp_path / "short")
    assert long.sizes["run"] == 1
    for name in ("readout", "spikes", "operations", "digests", "costs"):
        assert np.array_equal(long[name].isel(step=slice(2)).values, found[name].values), name


def test_networks_of_other_layers_have_groups_of_their_own(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = study(tmp_path / "a"), study(tmp_path / "b", seed=4)
    its = Plan(options=one, grid={"net": [one["net"], other["net"]], "readout": ["adds", "fires"]})
    sweep(its, tmp_path / "store", executor="serial", progress=False)
    groups = arrays(tmp_path / "store")
    assert list(groups) == ["net", "net-2", "net-3", "net-4"]
    assert {len(group["layer"]) for group in groups.values()} == {2, 3}
    with pytest.raises(InputError, match="network: expected one of net, net-2.*found none"):
        open_store(tmp_path / "store")
    assert open_store(tmp_path / "store", "net-2").sizes["run"] == 1
    assert {row["network"] for row in table(tmp_path / "store")} == set(groups)


def test_a_cell_that_fails_is_recorded_and_stops_no_other(tmp_path):
    its = plan(tmp_path, options={"engine": "event"}, grid={"max_events": [1, 100_000]})
    found = sweep(its, tmp_path / "store", executor="serial", progress=False)
    assert (found.done, found.failed) == (6, 3)
    assert "max_events" in found.first_error and "3 failed" in str(found)
    told = status(tmp_path / "store")
    assert not told.complete and told.table[0]["failed"] == 3 and "TooManyEvents" in str(told)
    again = sweep(its, tmp_path / "store", executor="serial", progress=False)
    assert (again.there, again.done, again.failed) == (6, 0, 3)
    again = sweep(its, tmp_path / "store", executor="serial", retry_failed=True, progress=False)
    assert (again.there, again.done, again.failed) == (6, 0, 3)
    data = open_store(tmp_path / "store")
    assert data.done.values.all(axis=1).tolist() == [False, True]
    assert not data.spikes.values[0].any() and np.isnan(data.readout.values[0]).all()
    assert [row["max_events"] for row in table(tmp_path / "store", [4])] == [100_000]


def test_parts_share_the_cells(orders, tmp_path):
    its, store = orders
    found = [
        sweep(its, tmp_path / "store", executor="serial", part=(k, 3), progress=False)
        for k in (1, 2, 3)
    ]
    assert sum(each.done for each in found) == 21 and all(each.done < 21 for each in found)
    assert differing(store, tmp_path / "store") == []


def changed(path, change):
    record = json.loads((path / "sweep.json").read_text())
    change(record)
    (path / "sweep.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda r: r["versions"].update(eventsnn="0.0.1"), "expected one of eventsnn .*0.0.1"),
        (lambda r: r["versions"].update(sources="0"), "another state of eventsnn's own code"),
        (lambda r: r.update(version=2), "expected format 1, found 2; open it with the version"),
        (lambda r: r.update(format="other"), "expected the store of a sweep, found another file"),
        (lambda r: r["groups"]["net"].update(network="0"), "the network that it was made with"),
        (lambda r: r["groups"]["net"].update(size=4), "expected images: size = 4, found 5"),
        (lambda r: r["groups"]["net"].update(steps=3), "expected at most 3 steps, found 4"),
        (
            lambda r: r["groups"]["net"]["parts"][0].__setitem__(2, "0"),
            "expected the images that it was made with, found others",
        ),
    ],
)
def test_a_plan_that_does_not_fit_its_store_is_refused(tmp_path, change, words):
    its = plan(tmp_path)
    sweep(its, tmp_path / "store", executor="serial", progress=False)
    changed(tmp_path / "store", change)
    with pytest.raises(InputError, match=words):
        sweep(its, tmp_path / "store", executor="serial", progress=False)


def test_a_folder_with_anything_else_is_no_store(tmp_path):
    its = plan(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="expected the store of a sweep, found no sweep.json"):
        sweep(its, tmp_path / "other", executor="serial", progress=False)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="found nothing there; run it first"):
        open_store(tmp_path / "nowhere")


def test_images_that_changed_while_a_sweep_runs_are_told(tmp_path, monkeypatch):
    from eventsnn.sweep import layout

    its = plan(tmp_path)
    before = layout.lay_out

    def then_change(*given):
        found = before(*given)
        study(tmp_path, seed=5)
        return found

    monkeypatch.setattr(layout, "lay_out", then_change)
    found = sweep(its, tmp_path / "store", executor="serial", progress=False)
    assert found.failed == found.cells
    assert "the sweep began with, found another" in found.first_error
