"""Workers: what they refuse, what they keep, and how the user's own things reach them."""

import importlib
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
from support.sweeping import differing, study

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.files import cache
from eventsnn.plugins import registry_of
from eventsnn.sweep import executors, spool, surroundings
from eventsnn.sweep.cells import Own, own_digest
from eventsnn.sweep.computing import Bench, Changed
from eventsnn.sweep.on_slurm import parameters_of
from eventsnn.sweep.plan import Plan
from eventsnn.sweep.planned import Planned
from eventsnn.sweep.store import own_versions
from eventsnn.sweep.working import Task, check, work

EAGER = Path(__file__).parents[2] / "examples" / "extend" / "model.py"


@pytest.mark.parametrize(
    "name, extra, module",
    [
        ("dask", "dask", "distributed"),
        ("slurm:local", "slurm", "submitit"),
        ("mpi", "mpi", "mpi4py.futures"),
    ],
)
def test_an_executor_whose_package_is_missing_is_told(tmp_path, monkeypatch, name, extra, module):
    monkeypatch.setitem(sys.modules, module, None)
    package = module.partition(".")[0]
    words = f"expected the package {module}, found none; pip install {package}, .* and {extra}"
    with pytest.raises(InputError, match=words):
        executors.pool_of(name, None, tmp_path)


@pytest.mark.parametrize(
    "name, workers, words",
    [
        ("serial:2", None, "executor: expected serial, found serial:2; serial has no options"),
        ("mpi:4", None, "mpi has no options"),
        ("serial", 2, "expected 1 for the executor serial, found 2"),
        ("cluster", None, "expected one of processes, serial, dask, slurm, mpi, found 'cluster'"),
        (3, None, "expected one of processes, .*, found 3"),
    ],
)
def test_an_executor_that_there_is_not_is_told(tmp_path, name, workers, words):
    with pytest.raises(InputError, match=words):
        executors.pool_of(name, workers, tmp_path)


def test_parameters_of_slurm_are_read():
    assert parameters_of("local") == (True, {})
    found = parameters_of("partition=short,timeout_min=240,mem_gb=8")
    assert found == (False, {"slurm_partition": "short", "timeout_min": 240, "mem_gb": 8})
    with pytest.raises(InputError, match="executor slurm: .*found 'short'; for example slurm:mem"):
        parameters_of("short")


def task_of(**more):
    given = dict(cell=None, store=None, row=0, origin=0, folder=os.getcwd(), versions={})
    return Task(**{**given, **more})


def test_a_worker_of_another_version_or_without_the_extra_is_refused(tmp_path, monkeypatch):
    here = own_versions()
    check(task_of(versions=here, store=str(tmp_path)), here)
    for change, words in (
        ({"eventsnn": "0.1"}, "worker: eventsnn: expected 0.1, found .* on .*; install the same"),
        ({"sources": "0"}, "worker: the state of eventsnn's own code: expected 0, found"),
    ):
        with pytest.raises(InputError, match=words):
            work(task_of(versions={**here, **change}))
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"worker: expected the package zarr, found none on"):
        check(task_of(versions=here, store=str(tmp_path)), here)
    check(task_of(versions=here), here)


def test_a_model_goes_along_with_the_code_of_its_file(tmp_path, monkeypatch):
    cloudpickle = pytest.importorskip("cloudpickle")
    (tmp_path / "of_mine.py").write_text("HALF = 0.5\n")
    text = EAGER.read_text().replace("import eventsnn\n", "import eventsnn\nimport of_mine\n")
    text = text.replace("1 if 2 * p >= neuron.theta", "1 if p >= of_mine.HALF * neuron.theta")
    (tmp_path / "eager_of_mine.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("eager_of_mine")
    own = Own("model", "eager", registry_of("model")["eager"])
    things, by_name = (surroundings.pickled([own], whole) for whole in (True, False))
    registry_of("model").remove("eager")
    for name in ("eager_of_mine", "of_mine"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(tmp_path)])
    importlib.invalidate_caches()
    with pytest.raises(InputError, match="worker on .*the user's own models and orders.*No module"):
        surroundings.unpickled(by_name)
    found = surroundings.unpickled(things)
    assert [its[:2] for its in found] == [("model", "eager")]
    eventsnn.register("model", "eager", found[0].thing)
    mine = found[0].thing(theta=4)
    assert [mine.emit(mine, None, p, 0) for p in (1, 2, 3)] == [0, 1, 1]
    assert cloudpickle.list_registry_pickle_by_value() == set()


def cell_of(folder, **options):
    plan = Plan(options={**study(folder), **options}, images={"size": 4, "count": 4})
    planned = Planned(plan)
    return planned, list(planned.cells())[-1]


def test_a_worker_reads_anew_what_changed_since_an_earlier_sweep(tmp_path):
    _, before = cell_of(tmp_path)
    bench = Bench(1)
    bench.compute(before)
    study(tmp_path, seed=5)
    with pytest.raises(Changed, match="expected the network that the sweep began with"):
        Bench(1).compute(before)
    _, after = cell_of(tmp_path)
    study(tmp_path, seed=5)
    plan = Plan(options=dict(after.options), images={"size": 4, "count": 4})
    now = list(Planned(plan).cells())[-1]
    assert now.id != before.id
    bench.compute(now)


def test_a_file_of_thresholds_that_changed_after_planning_is_told(tmp_path):
    of_net = study(tmp_path)
    network = eventsnn.convert(eventsnn.load(of_net["net"]))
    names = [layer.name for layer in network.layers[:-1]]
    path = tmp_path / "thresholds.json"
    path.write_text(str({name: 1.0 for name in names}).replace("'", '"'))
    options = {**of_net, "thresholds": str(path)}
    planned = Planned(Plan(options=options, images={"size": 4, "count": 4}))
    cell = list(planned.cells())[-1]
    Bench(1).compute(cell)
    path.write_text(str({name: 2.0 for name in names}).replace("'", '"'))
    with pytest.raises(Changed, match="thresholds, models and orders that the sweep began with"):
        Bench(1).compute(cell)


def test_a_worker_runs_a_plug_in_anew_that_changed(tmp_path, monkeypatch):
    plugin = tmp_path / "mine.py"
    plugin.write_text("import eventsnn\n")
    task = task_of(plugin="1", driver="another process")
    planned, cell = cell_of(tmp_path, plugin=str(plugin))
    assert sys.modules["eventsnn_plugin_mine"]
    its = surroundings.Surroundings()
    monkeypatch.setattr(surroundings, "keep_kernels_here", lambda: None)
    with its.of(task._replace(cell=cell)) as one:
        assert "eventsnn_plugin_mine" in sys.modules
    with its.of(task._replace(cell=cell)) as same:
        assert same == one
    with its.of(task._replace(cell=cell, plugin="2")) as other:
        assert other != one and "eventsnn_plugin_mine" not in sys.modules
    assert own_digest(cell.options, planned.own_digests)


def test_cells_of_other_surroundings_wait(tmp_path):
    its, told = surroundings.Surroundings(), []
    here, there = (
        task_of(folder=str(folder), driver=surroundings.process())
        for folder in (os.getcwd(), tmp_path)
    )

    def other():
        with its.of(there):
            told.append("there")

    before = os.getcwd()
    try:
        with its.of(here):
            thread = threading.Thread(target=other)
            thread.start()
            with its.of(here):
                time.sleep(0.05)
                told.append("here")
        thread.join()
    finally:
        os.chdir(before)
    assert told == ["here", "there"]


MOUNTS = """\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw
23 22 8:2 / /home/fast\\040disk rw - xfs /dev/sdb rw
24 21 0:50 / /scratch rw - lustre mgs:/scratch rw
"""


def test_a_file_system_of_several_machines_is_known(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    found = {
        path: cache.on_network(Path(path), mounts)
        for path in (
            "/home/me/.cache",
            "/home/fast disk/me",
            "/var/cache",
            "/scratch/me",
            "/scratches",
        )
    }
    assert list(found.values()) == [True, False, False, True, False]
    assert not cache.on_network(Path("/home"), tmp_path / "nowhere")


def test_workers_keep_kernels_on_their_machine_where_the_usual_folder_is_on_a_network(
    tmp_path, monkeypatch
):
    shared, here = tmp_path / "shared", tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("EVENTSNN_CACHE_DIR", str(shared))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(here))
    monkeypatch.setattr(cache, "on_network", lambda path: path == shared)
    surroundings.cache_dir.cache_clear()
    try:
        usual = surroundings.cache_dir()
        cache.save(usual, "kernel.nbc", b"code")
        surroundings.keep_kernels_here()
        own = surroundings.cache_dir()
        assert here in own.parents and own.name == usual.name
        assert cache.load(own, "kernel.nbc") == b"code"
        surroundings.keep_kernels_here()
        assert surroundings.cache_dir() == own
    finally:
        surroundings.cache_dir.cache_clear()


def fails(number):
    raise InputError("number", "another", number)


def test_jobs_make_the_calls_of_their_folder_until_the_driver_ends(tmp_path):
    (tmp_path / "driver").touch()
    mine = tmp_path / "1"
    mine.mkdir()
    thread = threading.Thread(target=spool.Serve(str(tmp_path), 1))
    thread.start()
    calls = [(pow, (2, 5)), (fails, (3,)), (int, ("seven",))]
    places = [mine / f"{number}.in" for number in range(3)]
    for place, call in zip(places, calls):
        spool.write(place, call)
    until = time.monotonic() + 30
    while spool.waiting(mine) and time.monotonic() < until:
        time.sleep(0.01)
    assert spool.answer(places[0]) == (True, 32)
    returned, error = spool.answer(places[1])
    assert not returned and str(error) == "number: expected another, found 3"
    assert isinstance(spool.answer(places[2])[1], ValueError)
    assert spool.answer(mine / "9.in") is None
    shutil.rmtree(mine)
    thread.join(30)
    assert not thread.is_alive()


def test_jobs_end_where_the_driver_is_gone(tmp_path):
    (tmp_path / "1").mkdir()
    assert spool.Serve(str(tmp_path), 1, patience=0.1)() == 0
    (tmp_path / "driver").touch()
    old = time.time() - 100
    os.utime(tmp_path / "driver", (old, old))
    assert spool.Serve(str(tmp_path), 1, patience=0.1)() == 0


def test_a_shorter_cell_leaves_what_a_longer_one_wrote(tmp_path):
    pytest.importorskip("zarr")
    from eventsnn.sweep import sweep

    options = study(tmp_path)
    long = Plan(options=options, images={"size": 5, "count": 12})
    short = Plan(options=options, images={"size": 5, "count": 11})
    for name, plans in (("one", (short, long)), ("other", (long, short))):
        for plan in plans:
            sweep(plan, tmp_path / name, executor="serial", progress=False)
    assert differing(tmp_path / "one", tmp_path / "other") == []
