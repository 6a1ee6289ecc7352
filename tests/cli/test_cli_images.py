"""The command line, given wrong images and wrong images for calibration."""

import json
import struct

import h5py
import pytest
from support.command import (
    fails,
    set_value,
    succeeds,
)
from support.networks import small_graph

from eventsnn.readers import write_native


def test_images_that_do_not_fit(capsys, here, files):
    net = ["--net", files / "net.h5", "--data"]
    fails(
        capsys, here, [*net, files / "wide.npz"], "wide.npz", "[2, 6, 6]", "[3, 2, 6, 7]", "net.h5"
    )
    fails(capsys, here, [*net, "sample"], "--data sample", "[2, 6, 6]", "[1000, 1, 28, 28]")
    fails(
        capsys,
        here,
        ["--data", files / "data.npz"],
        "data.npz",
        "[1, 28, 28]",
        "[30, 2, 6, 6]",
        "sample",
    )
    fails(
        capsys,
        here,
        [*net, files / "fifth_class.npz"],
        "labels from 0 to 3",
        "0 to 4",
        "fifth_class.npz",
    )
    fails(capsys, here, [*net, files / "nan.npz"], "nan.npz", "finite")
    fails(capsys, here, [*net, "nowhere"], "nowhere", "nothing there")
    fails(capsys, here, [*net, files / "net.h5"], "net.h5")
    fails(
        capsys, here, [*net, files / "test_only.npz", "--split", "train"], "test_only.npz", "train"
    )
    (here / "empty").mkdir()
    fails(capsys, here, [*net, "empty"], "empty folder")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"text", b"\0\0\x08\x03\0\0"],
    ids=["empty", "zip", "text", "idx"],
)
def test_damaged_images(capsys, here, files, tmp_path_factory, content):
    path = tmp_path_factory.mktemp("wrong") / "images"
    path.write_bytes(content)
    fails(capsys, here, ["--net", files / "net.h5", "--data", path], str(path))


def test_truncated_images(capsys, here, files, tmp_path_factory):
    path, whole = tmp_path_factory.mktemp("wrong") / "data.npz", (files / "data.npz").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails(capsys, here, ["--net", files / "net.h5", "--data", path], "data.npz")


def test_calibration_images_that_are_not_there(capsys, here, files):
    net, data = ["--net", files / "relu.h5"], ["--data", files / "data.npz"]
    fails(
        capsys,
        here,
        [*net, *data, "--calibration", "train:0-40"],
        "--calibration train:0-40",
        "41 images",
        "40",
        "ask for fewer",
    )
    fails(
        capsys,
        here,
        [*net, *data, "--calibration", "train:40-41"],
        "--calibration train:40-41",
        "40",
    )
    fails(
        capsys,
        here,
        [*net, *data, "--calibration", "40"],
        "--calibration",
        "SPLIT:FIRST-LAST",
        "'40'",
    )
    fails(
        capsys,
        here,
        [*net, "--data", files / "test_only.npz"],
        "--calibration train:0-127",
        "--calibration test:0-127",
    )
    fails(
        capsys,
        here,
        [*net, "--data", files / "no_splits.npz"],
        "a train split",
        "the same images",
        "--calibration test:0-8 ",
    )
    fails(
        capsys,
        here,
        [*net, "--data", files / "wide_train.npz"],
        "--calibration",
        "[2, 6, 6]",
        "[40, 2, 6, 7]",
    )
    fails(
        capsys,
        here,
        ["--net", files / "net.h5", *data, "--calibration", "train:99"],
        "train:99",
        "40",
    )
    fails(
        capsys,
        here,
        ["--net", files / "net.h5", *data, "--thresholds", "tcl"],
        "net.h5",
        "qcfs2",
        "'tcl'",
        "QCFS",
        "auto",
    )


def test_a_file_of_test_images_has_no_train_split(capsys, here, files, tmp_path_factory):
    """One IDX file is of the split that its name tells, whatever is asked for: no calibration on
    test images by accident.
    """
    folder = tmp_path_factory.mktemp("idx")
    write_native(small_graph("Relu", channels=1), folder / "relu.h5")
    data = folder / "t10k-images-idx3-ubyte"
    data.write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 140, 6, 6) + bytes(140 * 36))
    fails(
        capsys,
        here,
        ["--net", folder / "relu.h5", "--data", data],
        "--calibration",
        "a train split",
        "found test images",
        "--calibration test:0-127",
    )


def test_calibration_on_test_images_is_possible_and_said(capsys, here, files, no_pictures):
    out = succeeds(
        capsys,
        "--net",
        files / "relu.h5",
        "--data",
        files / "test_only.npz",
        "--calibration",
        "test:0-8",
        "--steps",
        1,
        "--out",
        "a",
    )
    assert "found on test_only.npz test:0-8" in out
    assert (
        json.loads((here / "a" / "summary.json").read_text())["data"]["calibration"]
        == "test_only.npz test:0-8"
    )


def test_own_thresholds_need_no_calibration(capsys, here, files, no_pictures):
    for data in ("test_only.npz", "no_splits.npz"):
        out = succeeds(
            capsys,
            "--net",
            files / "net.h5",
            "--data",
            files / data,
            "--steps",
            1,
            "--out",
            "a",
            "--overwrite",
        )
        assert "on 8 random images" in out
        assert (
            json.loads((here / "a" / "summary.json").read_text())["data"]["calibration"] == "none"
        )


def test_layers_that_are_silent_have_no_threshold(capsys, here, files, tmp_path_factory):
    path = tmp_path_factory.mktemp("wrong") / "silent.h5"
    path.write_bytes((files / "relu.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        set_value("conv3/B", -1e6)(file)
    fails(
        capsys,
        here,
        ["--net", path, "--data", files / "data.npz"],
        "silent.h5",
        "relu4",
        "a threshold above 0",
        "silent",
    )
