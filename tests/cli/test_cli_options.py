"""The command line, given wrong options and places, and on a machine that refuses."""

import os

import numpy as np
import pytest
from support.command import (
    assert_one_line,
    fails,
    listing,
    succeeds,
)

from eventsnn.network import check
from eventsnn.run import main
from eventsnn.runs import pipeline
from eventsnn.runs.folder import FILES


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--limit", "0"], ["--limit", "from 1", "found 0"]),
        (["--limit", "many"], ["--limit", "'many'"]),
        (["--limit"], ["--limit", "a value"]),
        (["--export", "nir,neo"], ["--export", "names among nir, sonata, gdf", "'neo'"]),
        (["--export", "gdf"], ["--export: ", "--trace spikes for gdf", "--trace counts"]),
        (["--nir-for", "norse"], ["--nir-for", "--export nir", "found none"]),
        (
            ["--export", "nir", "--nir-for", "brian"],
            ["--nir-for", "one of generic, sinabs", "'brian'"],
        ),
        (["--steps", "65537"], ["--steps", "65,536"]),
        (["--report-steps", "1,64"], ["--report-steps", "--steps 32"]),
        (["--thresholds", "best"], ["--thresholds", "percentile"]),
        (["--percentile", "nan"], ["--percentile", "0.001 to 100"]),
        (["--calibration", "train:9-3"], ["--calibration", "train:9-3"]),
        (["--arithmetic", "int8"], ["--arithmetic", "float64"]),
        (["--fraction-bits", "41"], ["--fraction-bits", "1 to 40"]),
        (
            ["--fraction-bits", "40", "--steps", "65536", "--threshold-scale", "0.001"],
            ["fraction bits", "potentials up to", "in 64 bits, found 40", "choose fewer bits"],
        ),
        (["--split", "valid"], ["--split", "train, test"]),
        (["--workers", "-1"], ["--workers", "from 1"]),
        (["--batch", "0"], ["--batch"]),
        (["--seed", "1.5"], ["--seed", "whole number"]),
        (["--initial", "inf"], ["--initial", "1,000"]),
        (["--out", ""], ["--out", "text"]),
        (["--frobnicate"], ["--frobnicate", "--help"]),
        (["network.h5"], ["network.h5", "--net FILE"]),
        (["--quiet=1"], ["--quiet", "no value"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("-") else "",
)
def test_wrong_options(capsys, here, arguments, words):
    fails(capsys, here, arguments, *words)


def test_results_folders_that_cannot_be(capsys, here, files):
    small = ["--net", files / "net.h5", "--data", files / "data.npz", "--out"]
    (here / "file").write_text("mine")
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("mine")
    fails(capsys, here, [*small, "file"], "--out file", "a file", "choose another --out")
    fails(
        capsys,
        here,
        [*small, "file/below/results"],
        "--out file/below/results",
        "Not a directory",
        "choose another --out",
    )
    fails(capsys, here, [*small, "mine"], "--out mine", "earlier results", "notes.txt")
    fails(capsys, here, [*small, "."], "--out .", "the current folder")
    if os.path.isdir("/proc/self"):
        fails(
            capsys, here, [*small, "/proc/results"], "--out /proc/results", "choose another --out"
        )
    assert (here / "mine" / "notes.txt").read_text() == (here / "file").read_text() == "mine"


def test_new_folders_go_when_a_run_fails(capsys, here, files):
    fails(
        capsys,
        here,
        ["--net", files / "sum.h5", "--data", files / "data.npz", "--out", "new/and/deep"],
        "MaxPool",
    )
    fails(capsys, here, ["--net", files / "sum.h5", "--data", files / "data.npz"], "MaxPool")


def refuse(error):
    def refusing(*_, **__):
        raise error

    return refusing


@pytest.mark.parametrize(
    "where",
    [
        "inputs.loading.load_images",
        "ann.forward.outputs_and_logits",
        "runs.run_file.write_hdf5",
        "views.tables.write_csv",
        "runs.folder.np.savez",
    ],
)
@pytest.mark.parametrize(
    "error, words",
    [
        (
            OSError(28, "No space left on device"),
            ["room", "No space left on device", "the same command then goes on"],
        ),
        (
            PermissionError(13, "Permission denied", "some/where"),
            ["some/where", "Permission denied", "check the path"],
        ),
        (MemoryError(), ["memory", "--workers", "--batch"]),
    ],
    ids=["full disk", "permission", "memory"],
)
def test_a_machine_that_refuses(capsys, here, files, monkeypatch, where, error, words):
    arguments = (
        "--net",
        files / "net.h5",
        "--data",
        files / "data.npz",
        "--out",
        "a",
        "--batch",
        "30",
    )
    with monkeypatch.context() as patch:
        patch.setattr(f"eventsnn.{where}", refuse(error))
        assert main([str(a) for a in arguments]) == 2
    assert_one_line(capsys.readouterr().err, words)
    begun = where in ("runs.run_file.write_hdf5", "views.tables.write_csv")
    assert listing(here) == (
        ["a.partial", *(f"a.partial/{n}" for n in ("identity.json", "lock", "part-0-30.npz"))]
        if begun
        else []
    )
    assert ("going on" in succeeds(capsys, *arguments)) is begun
    assert listing(here) == ["a", *(f"a/{name}" for name in sorted(FILES))]


def test_a_defect_is_not_taken_for_wrong_input(here, files, monkeypatch):
    monkeypatch.setattr(check, "check", refuse(ArithmeticError("a defect")))
    with pytest.raises(ArithmeticError, match="a defect"):
        main(["--net", str(files / "net.h5"), "--data", str(files / "data.npz")])
    assert listing(here) == []


def test_outputs_that_overflow_later_are_wrong_input(capsys, here, files, monkeypatch):
    monkeypatch.setattr(
        pipeline.ann,
        "outputs_and_logits",
        lambda graph, pixels, **_: (np.full((len(pixels), 4), np.nan, np.float32),) * 2,
    )
    fails(
        capsys,
        here,
        ["--net", files / "net.h5", "--data", files / "data.npz"],
        "net.h5",
        "finite",
        "NaN",
    )
