"""The command line: runs that stop and go on."""

import json
import os
import signal
from types import SimpleNamespace

import numba.core.event
import numpy as np
import pytest
from support.command import (
    assert_one_line,
    assert_same_results,
    command,
    fails,
    listing,
    pixels_of,
    succeeds,
)

import eventsnn
from eventsnn.run import main
from eventsnn.runs import folder as record
from eventsnn.runs import pipeline
from eventsnn.runs.folder import FILES, Folder
from eventsnn.views import progress

SLOW = ("--steps", 4, "--batch", 4, "--workers", 1)
# a process that runs the command line and dies at its third batch; {death} is Python
DIES = """
import os, signal, sys
from eventsnn import console, run
from eventsnn.runs import folder as record
# background jobs inherit that it is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
add, count = record.Folder.add, []
def die(folder, *batch):
    add(folder, *batch)
    count.append(1)
    if len(count) == 3:
        {death}
record.Folder.add = die
sys.exit(console.command(run.main))
"""


def arguments_of(files, out):
    return "--net", files / "net.h5", "--data", files / "data.npz", *SLOW, "--out", out


def test_a_killed_run_goes_on_to_the_same_results(capsys, here, files):
    succeeds(capsys, *arguments_of(files, "whole"))
    process = command(
        *arguments_of(files, "killed"),
        code=DIES.format(death="os.kill(os.getpid(), signal.SIGKILL)"),
        cwd=here,
    )
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    parts = [name for name in os.listdir(here / "killed.partial") if name.startswith("part-")]
    assert sorted(parts) == ["part-0-4.npz", "part-4-8.npz", "part-8-12.npz"]
    assert not (here / "killed").exists()
    out = succeeds(capsys, *arguments_of(files, "killed"), "--batch", 7)
    assert "going on with an earlier run: 12 of 30 images are there" in out
    assert_same_results(here / "whole", here / "killed")
    assert sorted(os.listdir(here)) == ["killed", "whole"]


def test_images_keep_their_numbers_when_a_run_goes_on(
    capsys, here, files, no_pictures, monkeypatch
):
    """Whatever is random depends on an image's number, so the number must not depend on where a run
    was stopped.
    """
    command(
        *arguments_of(files, "a"), code=DIES.format(death="os._exit(1)"), cwd=here
    ).communicate()
    (here / "a.partial" / "part-4-8.npz").unlink()
    stream, given = pipeline.Simulation.stream, []

    def spy(simulation, pixels, *, numbers, **options):
        given.append((numbers.tolist(), pixels.copy()))
        return stream(simulation, pixels, numbers=numbers, **options)

    monkeypatch.setattr(pipeline.Simulation, "stream", spy)
    assert "8 of 30" in succeeds(capsys, *arguments_of(files, "a"))
    assert [numbers for numbers, _ in given] == [[4, 5, 6, 7], list(range(12, 30))]
    assert all(np.array_equal(pixels, pixels_of(30)[numbers]) for numbers, pixels in given)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_control_c_is_one_line_and_the_run_goes_on(capsys, here, files, no_pictures):
    busy = (
        "from concurrent.futures import ThreadPoolExecutor; "
        "ThreadPoolExecutor().submit(__import__('time').sleep, 10_000); "
    )
    process = command(
        *arguments_of(files, "a"),
        code=DIES.format(death=busy + "os.kill(os.getpid(), signal.SIGINT)"),
        cwd=here,
    )
    out, err = process.communicate(timeout=600)  # threads at work are not waited for
    assert (
        process.returncode == 130
        and err == "eventsnn: stopped; the same command goes on from the last whole batch\n"
    )
    assert "12 of 30" in succeeds(capsys, *arguments_of(files, "a"))


def test_control_c_before_the_first_batch_leaves_nothing(capsys, here, files, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.ann, "outputs_and_logits", stop)
    assert main([str(a) for a in arguments_of(files, "new/a")]) == 130
    assert capsys.readouterr().err.count("\n") == 1 and listing(here) == []


def test_seconds_are_those_of_all_sessions(capsys, here, files, no_pictures, monkeypatch):
    add = Folder.add

    def slow(folder, start, batch, seconds):
        add(folder, start, batch, 100.0)
        if start == 8 and "first" in os.environ:
            raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "add", slow)
    monkeypatch.setenv("first", "1")
    assert main([str(a) for a in arguments_of(files, "a")]) == 130
    monkeypatch.delenv("first")
    succeeds(capsys, *arguments_of(files, "a"))
    assert json.loads((here / "a" / "summary.json").read_text())["seconds_simulation"] == 800.0, (
        "8 batches of 4 or less"
    )


@pytest.fixture
def clock(monkeypatch):
    """The pipeline's clock, which stands still: the seconds that it shows, [now]."""
    now = [0.0]
    for module in (pipeline, progress):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return now


def test_seconds_are_those_of_the_simulation(capsys, here, files, no_pictures, monkeypatch, clock):
    run = pipeline.Simulation.run

    def slow(simulation, pixels, **options):
        clock[0] += 0.5
        return run(simulation, pixels, **options)

    monkeypatch.setattr(pipeline.Simulation, "run", slow)
    succeeds(capsys, *arguments_of(files, "a"))
    summary = json.loads((here / "a" / "summary.json").read_text())
    assert summary["seconds_simulation"] == 8 * 0.5, "8 batches"


def test_compiling_is_said_and_does_not_count(capsys, here, files, no_pictures, monkeypatch, clock):
    run = pipeline.Simulation.run

    def compiling(simulation, pixels, **options):
        with (
            numba.core.event.trigger_event("numba:compile"),
            numba.core.event.trigger_event("numba:compile"),
        ):
            clock[0] += 4.0
        clock[0] += 0.5
        return run(simulation, pixels, **options)

    succeeds(capsys, *arguments_of(files, "a"))  # so that nothing else is compiled
    monkeypatch.setattr(pipeline.Simulation, "run", compiling)
    out = succeeds(capsys, *arguments_of(files, "a"), "--overwrite")
    summary = json.loads((here / "a" / "summary.json").read_text())
    assert summary["seconds_simulation"] == 8 * 0.5, "8 batches"
    assert out.count("compiling") == 1


def test_batches_of_another_version_are_not_taken_over(
    capsys, here, files, no_pictures, monkeypatch
):
    process = command(*arguments_of(files, "a"), code=DIES.format(death="os._exit(1)"), cwd=here)
    process.communicate()
    monkeypatch.setattr(pipeline, "hash_of_sources", lambda: "other")
    assert main([str(a) for a in arguments_of(files, "a")]) == 2
    assert_one_line(capsys.readouterr().err, ["12 of 30 images", "another state of eventsnn"])
    assert "going on" not in succeeds(capsys, *arguments_of(files, "a"), "--overwrite")


def test_earlier_results_stay_until_the_new_ones_are_complete(
    capsys, here, files, no_pictures, monkeypatch
):
    succeeds(capsys, *arguments_of(files, "a"))
    before = (here / "a" / "summary.json").read_text()
    with monkeypatch.context() as patch:

        def fail(*_):
            raise OSError(28, "No space left on device")

        patch.setattr(eventsnn.views.tables, "write_csv", fail)
        arguments = (*arguments_of(files, "a"), "--initial", 0, "--overwrite")
        assert main([str(a) for a in arguments]) == 2
    assert_one_line(capsys.readouterr().err, ["No space left on device", "make room", "a.partial"])
    assert (here / "a" / "summary.json").read_text() == before and sorted(
        os.listdir(here / "a")
    ) == sorted(FILES)
    assert not (here / "a.partial" / "results").exists(), (
        "whole batches are kept, half-written results are not"
    )
    assert "30 of 30 images are there" in succeeds(capsys, *arguments)
    assert json.loads((here / "a" / "summary.json").read_text())["settings"]["initial"] == 0


@pytest.mark.slow
def test_two_runs_at_once_do_not_disturb_each_other(capsys, here, files, pictures):
    succeeds(capsys, *arguments_of(files, "alone"))
    processes = [command(*arguments_of(files, "both"), "--quiet", cwd=here) for _ in range(2)]
    ends = [(process.communicate()[1], process.returncode) for process in processes]
    assert {status for _, status in ends} <= {0, 2} and 0 in {status for _, status in ends}
    for err, status in ends:
        if status:
            assert_one_line(err, ["--out both", "process", "at work", "choose another --out"])
        else:
            assert err == ""
    assert_same_results(here / "alone", here / "both")
    assert sorted(os.listdir(here)) == ["alone", "both"]


@pytest.mark.skipif(record.fcntl is None, reason="no locks on this system")
def test_a_run_at_work_keeps_others_out(capsys, here, files):
    with Folder(here / "a") as folder:
        folder.open({})
        fails(capsys, here, arguments_of(files, "a"), "--out a", "process", "at work")
