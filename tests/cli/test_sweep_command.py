"""The command `eventsnn sweep`: plans, status, export, and what is wrong in a line."""

import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from support.sweeping import differing, study

from eventsnn.commands.sweep import main

pytest.importorskip("zarr")
pytest.importorskip("xarray")

TABLES = '[images]\nsize = 4\n[grid]\nneuron = ["if", "snm"]\nseed = [0, 1]\n'


def written(folder, more=TABLES, **options):
    """A plan's file of the small study."""
    given = {**study(folder), **options}
    lines = [f"{name} = {value!r}" for name, value in given.items()]
    path = Path(folder) / "plan.toml"
    path.write_text("\n".join(["[options]", *lines, more]))
    return str(path)


def test_a_plan_is_run_told_and_exported(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = written(tmp_path)
    assert main([plan, "--executor", "serial"]) == 0
    told = capsys.readouterr().out
    assert "15 of 15 cells are there" in told and "store in runs/plan" in told
    assert main(["status", "runs/plan"]) == 0
    assert capsys.readouterr().out.split()[-7:] == ["4", "12", "4", "15", "15", "0", "0"]
    assert main(["export", "runs/plan", "--out", "x.csv", "--steps", "2,4"]) == 0
    assert "8 rows in x.csv" in capsys.readouterr().out
    with open("x.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["neuron"] for row in rows] == ["if"] * 4 + ["snm"] * 4
    assert {row["images"] for row in rows} == {"12"}
    assert main(["export", "runs/plan", "--out", "y.csv", "--by", "image", "--steps", "4"]) == 0
    assert len(Path("y.csv").read_text().splitlines()) == 1 + 4 * 12


def test_a_dry_run_measures_two_cells_and_writes_nothing(tmp_path, capsys):
    store = tmp_path / "store"
    assert main([written(tmp_path), "--store", str(store), "--dry-run", "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert "15 cells of 4 runs: 0 are there, 0 failed, 15 are left" in told
    assert told.count("measured: net, run") == 2 and "with 1 worker, " in told
    assert not store.exists()


@pytest.mark.slow
def test_cells_that_failed_end_with_status_1(tmp_path, capsys):
    plan = written(tmp_path, engine="event", max_events=1)
    store = str(tmp_path / "store")
    assert main([plan, "--store", store, "--executor", "serial"]) == 1
    assert "3 of 15 cells are there; 12 failed, such as" in capsys.readouterr().out
    assert main(["status", store]) == 1
    assert (
        "failed, 12 cells: TooManyEvents, such as: max_events: expected a queue"
        in capsys.readouterr().out
    )
    again = [plan, "--store", store, "--executor", "serial", "--retry-failed", "--quiet"]
    assert main([*again, "--set", "max_events=100000"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "words, told",
    [
        (["nowhere.toml"], "nowhere.toml: expected a plan in TOML, found No such file"),
        (["PLAN", "--workers", "0"], "--workers: expected whole numbers from 1, found '0'"),
        (["PLAN", "--part", "3/2"], "--part: expected K/N with K from 1 to N, found '3/2'"),
        (["PLAN", "--executor", "abacus"], "executor: expected one of processes, serial"),
        (
            ["PLAN", "--executor", "serial:x"],
            "executor: expected serial, found serial:x",
        ),
        (
            ["PLAN", "--executor", "serial", "--workers", "2"],
            "workers: expected 1 for",
        ),
        (["PLAN", "--set", "stepz=2"], "--set: expected names of options, found 'stepz'"),
        (["PLAN", "--set", "steps"], "--set: expected NAME=VALUE, found 'steps'"),
        (["PLAN", "--set", "seed=3"], "--seed: expected an option that no axis changes"),
        (["PLAN", "--stroe", "x"], "did you mean --store"),
        (
            ["status", "nowhere"],
            "expected the store of a sweep, found nothing there",
        ),
        (["export", "nowhere", "--out", "x.csv"], "found nothing there; run it first"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tmp_path, capsys, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    plan = written(tmp_path)
    assert main([plan if word == "PLAN" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and any(part in error for part in told.split("|"))


def started(plan, store, *more):
    """A process that runs a plan."""
    words = [sys.executable, "-m", "eventsnn", "sweep", plan, "--store", store, *more]
    pipe = subprocess.PIPE
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background has not
    more_of = {"text": True, "env": os.environ, "preexec_fn": heard}
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, **more_of)


def wait_for(found, process):
    """Returns when something is there, or the process has ended."""
    until = time.monotonic() + 120
    while not found() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)


@pytest.mark.slow
def test_ctrl_c_stops_and_the_same_command_goes_on(tmp_path):
    seeds = ", ".join(map(str, range(12)))
    plan = written(tmp_path, f"[images]\nsize = 1\n[grid]\nseed = [{seeds}]\n")
    store = tmp_path / "store"
    process = started(plan, str(store), "--executor", "serial")
    wait_for(lambda: len(list(store.glob("cells/*/*.done"))) > 3, process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; what is done stays, and the same command goes on" in told
    there = len(list(store.glob("cells/*/*.done")))
    assert 3 < there < 156 and not list(store.glob("lease*"))
    assert main([plan, "--store", str(store), "--executor", "serial", "--quiet"]) == 0
    assert main([plan, "--store", str(tmp_path / "whole"), "--executor", "serial", "--quiet"]) == 0
    assert differing(store, tmp_path / "whole") == []


@pytest.mark.slow
def test_a_second_driver_is_told_of_the_first(tmp_path, capsys):
    plan = written(tmp_path, "[images]\nsize = 1\n[grid]\nseed = [0, 1, 2, 3, 4, 5, 6, 7]\n")
    store = tmp_path / "store"
    process = started(plan, str(store), "--executor", "serial")
    wait_for(lambda: (store / "lease.json").exists(), process)
    assert main([plan, "--store", str(store), "--executor", "serial"]) == 2
    told = capsys.readouterr().err
    assert f"expected no other driver at work, found process {process.pid} on" in told
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert main([plan, "--store", str(store), "--executor", "serial", "--quiet"]) == 0
