"""Sweeps on Dask, on submitit's local jobs and on MPI: the same store, whoever is killed."""

import importlib.util
import os
import random
import shutil
import signal
import sys
import time

import pytest
from support.killing_clusters import ROOT, command, descendants, start, write_plan
from support.killing_sweeps import plan_in, torn
from support.sweeping import arrays, differing

from eventsnn.exceptions import InputError

pytest.importorskip("zarr")
pytest.importorskip("xarray")

from eventsnn.sweep import sweep  # noqa: E402

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]


def needs(package):
    found = importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not found, reason=f"needs {package}")


EXECUTORS = [
    pytest.param("dask", marks=needs("distributed")),
    pytest.param("slurm:local", marks=needs("submitit")),
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clusters")
    plan = plan_in(folder)
    sweep(plan, folder / "reference", executor="serial", progress=False)
    write_plan(plan, folder)
    return folder, plan


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_store_is_the_same_for_any_number_of_workers(reference, tmp_path, executor, workers):
    folder, plan = reference
    sweep(plan, tmp_path / "store", executor=executor, workers=workers, progress=False)
    assert differing(folder / "reference", tmp_path / "store") == []
    assert not list((tmp_path / "store").glob("slurm/*"))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_model_of_a_notebook_reaches_the_workers(reference, tmp_path, executor):
    folder, plan = reference
    text = (ROOT / "examples" / "extend" / "model.py").read_text()
    script = tmp_path / "study.py"
    script.write_text(
        f"""{text}
from eventsnn.sweep import Plan, sweep

if __name__ == "__main__":
    plan = Plan(options={{**{dict(plan.options)!r}, "neuron": "eager", "initial": 0}})
    for name in ("serial", {executor!r}):
        folder = {str(tmp_path)!r} + "/" + name.partition(":")[0]
        print(sweep(plan, folder, executor=name, progress=False))
"""
    )
    done = start(sys.executable, str(script), cwd=tmp_path)
    assert done.wait(600) == 0, done.stderr.read()
    assert differing(tmp_path / "serial", tmp_path / executor.partition(":")[0]) == []


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("whom", ["driver", "worker"])
def test_a_sweep_whose_processes_are_killed_goes_on(reference, tmp_path, executor, whom):
    folder, plan = reference
    rng, wanted = random.Random(3), arrays(folder / "reference")
    began = time.monotonic()
    assert start(*command(folder, tmp_path / "whole", executor, "--workers", "2")).wait() == 1
    lasts = time.monotonic() - began
    for _ in range(5):
        driver = start(*command(folder, tmp_path / "store", executor, "--workers", "2"))
        time.sleep(rng.uniform(0.2, 0.9) * lasts)
        below = descendants(driver.pid)
        victims = [driver.pid] if whom == "driver" else rng.sample(below, min(1, len(below)))
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        status = driver.wait(600)
        assert status in ((-signal.SIGKILL, 1) if whom == "driver" else (1, 2)), (
            driver.stderr.read()
        )
        assert torn(wanted, tmp_path / "store") == []
    assert start(*command(folder, tmp_path / "store", executor, "--workers", "2")).wait(600) == 1
    assert differing(folder / "reference", tmp_path / "store") == []


@needs("distributed")
def test_a_cluster_of_dask_whose_scheduler_is_killed(reference, tmp_path):
    folder, plan = reference
    address = tmp_path / "scheduler.json"
    dask = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard")
    worker = (sys.executable, "-m", "distributed.cli.dask_worker", "--no-dashboard")
    where = ("--scheduler-file", str(address))

    def cluster():
        address.unlink(missing_ok=True)
        scheduler = start(*dask, "--port", "0", "--host", "127.0.0.1", *where, cwd=tmp_path)
        while not address.exists():
            time.sleep(0.1)
        few = ("--nthreads", "1", "--nworkers", "2")
        return scheduler, start(*worker, *where, *few, cwd=tmp_path)

    its = cluster()
    try:
        driver = start(*command(folder, tmp_path / "store", f"dask:{address}"))
        while not list((tmp_path / "store").glob("cells/*/*.done")) and driver.poll() is None:
            time.sleep(0.01)
        its[0].kill()
        words = driver.communicate(timeout=600)[1]
        assert driver.returncode in (1, 2)
        if driver.returncode == 2:
            assert "expected a scheduler that answers" in words and words.count("\n") == 1, words
        assert torn(arrays(folder / "reference"), tmp_path / "store") == []
        for process in its:
            process.kill()
            process.wait()
        its = cluster()
        assert start(*command(folder, tmp_path / "store", f"dask:{address}")).wait(600) == 1
        assert differing(folder / "reference", tmp_path / "store") == []
        again = sweep(plan, tmp_path / "second", executor=f"dask:{address}", progress=False)
        assert (again.done, again.failed) == (9, 3)
        with pytest.raises(InputError, match="expected none beside the cluster's own, found 3"):
            sweep(plan, tmp_path / "third", executor=f"dask:{address}", workers=3, progress=False)
    finally:
        for process in its:
            process.terminate()
            process.wait()


@pytest.mark.skipif(not shutil.which("mpiexec"), reason="needs MPI")
@needs("mpi4py")
def test_processes_of_mpi_give_the_same_store(reference, tmp_path):
    folder, _ = reference
    words = command(folder, tmp_path / "store", "mpi")
    more = ("--allow-run-as-root", "--oversubscribe") if os.getuid() == 0 else ()
    mpi = (shutil.which("mpiexec"), *more, "-n", "3", sys.executable, "-m", "mpi4py.futures")
    done = start(*mpi, *words[1:])
    assert done.wait(600) == 1, done.stderr.read()
    assert differing(folder / "reference", tmp_path / "store") == []


def test_a_scheduler_that_is_not_there_is_told(reference, tmp_path, monkeypatch):
    on_dask = pytest.importorskip("eventsnn.sweep.on_dask")
    pytest.importorskip("distributed")
    monkeypatch.setattr(on_dask, "WAITS", 1.0)
    with pytest.raises(InputError, match="executor dask:tcp://127.0.0.1:9: expected a scheduler"):
        on_dask.Dask("tcp://127.0.0.1:9")


@needs("distributed")
def test_workers_that_are_started_keep_the_memory_that_they_freed():
    from eventsnn.sweep.on_dask import TRIMS, Dask

    pool = Dask(workers=1)
    assert pool.submit(os.environ.get, TRIMS).result(60) is None
    pool.close()


@needs("distributed")
def test_a_worker_of_dask_that_ends_as_it_starts_is_told(reference, tmp_path, monkeypatch):
    import distributed

    def fails(**_):
        raise RuntimeError("Nanny failed to start worker process")

    monkeypatch.setattr(distributed, "LocalCluster", fails)
    with pytest.raises(InputError, match="expected workers that start, found RuntimeError: Nanny"):
        sweep(reference[1], tmp_path / "store", executor="dask", progress=False)
