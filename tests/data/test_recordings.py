"""Recordings of events: every kind of file is read as it was written, and damage is refused."""

import os

import numpy as np
import pytest
from support.event_files import RECORD, aedat4, atis, hdf5, some_events

from eventsnn.data.images import load_images
from eventsnn.data.recordings import load_events
from eventsnn.exceptions import InputError

EVENTS = some_events()


def refuse(path, *words, **options):
    with pytest.raises(InputError) as caught:
        load_events(path, **options)
    assert str(caught.value).isprintable() and caught.value.do
    for word in words:
        assert word in str(caught.value), str(caught.value)


def write(folder, kind):
    path = folder / f"a{kind.partition(':')[0]}"
    way = kind.partition(":")[2]
    if kind == ".aedat4":
        path.write_bytes(aedat4(EVENTS))
    elif kind == ".bin":
        path.write_bytes(atis(EVENTS))
    elif kind.startswith(".h5"):
        names = ("timestamps", "x", "y", "polarity") if way == "words" else "txyp"
        group = {"record": "CD/events", "root": "", "words": "events"}.get(way, way)
        hdf5(path, EVENTS, group, names, way == "record")
    elif kind.startswith(".npz"):
        columns = {name: EVENTS[name] for name in "txyp"}
        np.savez(path, **({"events": EVENTS} if way == "record" else columns))
    else:
        turned = np.dtype([(name, "<f8") for name in "xypt"])
        columns = [EVENTS[name] for name in "xypt"]
        other = np.rec.fromarrays(columns, turned).view(np.ndarray)
        np.save(path, other.astype(turned) if way == "turned" else EVENTS)
    return path


@pytest.mark.parametrize(
    "kind",
    [".aedat4", ".bin", ".h5:events", ".h5:root", ".h5:record", ".h5:words"]
    + [".npz", ".npz:record", ".npy", ".npy:turned"],
)
def test_each_kind_of_file_gives_the_events_that_were_written(tmp_path, kind):
    found = load_events(write(tmp_path, kind))
    assert found.labels is None and len(found) == 1
    np.testing.assert_array_equal(found.events[0], EVENTS)
    assert found.events[0].dtype == RECORD
    assert found.sensor == ((6, 6) if kind == ".aedat4" else None)


@pytest.mark.parametrize("package, compression", [("lz4.frame", 1), ("zstandard", 3)])
def test_packed_packets_are_unpacked(tmp_path, package, compression):
    packing = pytest.importorskip(package)
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4(EVENTS, 3, compression, packing.compress))
    np.testing.assert_array_equal(load_events(path).events[0], EVENTS)
    path.write_bytes(aedat4(EVENTS, 3, compression, lambda data: packing.compress(data)[:-9]))
    refuse(path)
    path.write_bytes(aedat4(EVENTS, 3, compression))
    refuse(path, "unpacked")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lz4.frame", None)
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4(EVENTS, 1, 2))
    refuse(path, "pip install lz4")


def test_times_count_from_the_first_event_and_are_sorted_stably(tmp_path):
    given = np.array([(70, 1, 1, 1), (50, 2, 2, 0), (70, 3, 3, 0), (60, 0, 0, 1)], RECORD)
    np.save(tmp_path / "a.npy", given)
    found = load_events(tmp_path / "a.npy").events[0]
    assert found["t"].tolist() == [0, 10, 20, 20] and found["x"].tolist() == [2, 0, 1, 3]


def test_overflows_of_n_mnist_add_their_time(tmp_path):
    rows = bytes([1, 2, 0, 0, 5]) + bytes([0, 240, 0, 0, 0]) + bytes([3, 4, 128, 0, 7])
    (tmp_path / "a.bin").write_bytes(rows)
    found = load_events(tmp_path / "a.bin").events[0]
    assert found.tolist() == [(0, 1, 2, 0), (2 + 2**13, 3, 4, 1)]


@pytest.mark.parametrize("values, right", [((-1, 1), (0, 1)), ((0, 1), (0, 1)), ((0, 0), (0, 0))])
def test_polarities_are_0_and_1(tmp_path, values, right):
    given = np.array([(0, 0, 0, values[0]), (1, 0, 0, values[1])], RECORD)
    np.save(tmp_path / "a.npy", given)
    assert load_events(tmp_path / "a.npy").events[0]["p"].tolist() == list(right)


def test_folders_are_classes(tmp_path):
    for number, name in enumerate(("Train/0", "Train/1", "Test/0", "Test/1")):
        (tmp_path / name).mkdir(parents=True)
        for i in range(2):
            (tmp_path / name / f"{i}.bin").write_bytes(atis(some_events(10 * number + i)))
    found = load_events(tmp_path)
    assert found.labels.tolist() == [0, 1, 0, 1] and found.classes == ("0", "1")
    np.testing.assert_array_equal(found.events[1], some_events(30))
    assert len(load_events(tmp_path, split="train", offset=1, limit=2)) == 2
    assert found[1][1] == 1 and [label for _, label in found] == [0, 1, 0, 1]


WRONG = {
    "plain columns": (np.zeros((4, 4)), "structured array"),
    "no polarity": (np.zeros(3, [("t", "i8"), ("x", "i4"), ("y", "i4")]), "structured array"),
    "seconds": (np.array([(0.5, 1, 1, 1)], [(n, "f8") for n in "txyp"]), "microseconds"),
    "NaN": (np.array([(np.nan, 1, 1, 1)], [(n, "f8") for n in "txyp"]), "whole numbers"),
    "a place below 0": (np.array([(0, -1, 1, 1)], RECORD), "x from 0"),
    "polarity 2": (np.array([(0, 1, 1, 2)], RECORD), "p from -1 to 1"),
    "three polarities": (np.array([(0, 1, 1, p) for p in (-1, 0, 1)], RECORD), "two kinds"),
    "a far time": (np.array([(2**60, 1, 1, 1)], RECORD), "t from"),
    "text": (np.array([("a", "b", "c", "d")], [(n, "U1") for n in "txyp"]), "whole numbers"),
    "two axes": (np.zeros((2, 2), RECORD), "one axis"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_are_no_events_is_refused(tmp_path, what):
    array, words = WRONG[what]
    np.save(tmp_path / "a.npy", array)
    refuse(tmp_path / "a.npy", words)


def test_damaged_recordings_are_refused(tmp_path):
    path = tmp_path / "a.aedat4"
    whole = aedat4(EVENTS)
    for data in (whole[:10], whole[:16], whole[:40], whole[:-7], whole + b"\1\0\0\0\xff\xff\xff\7"):
        path.write_bytes(data)
        refuse(path)
    for streams in 0, 2:
        path.write_bytes(aedat4(EVENTS, streams=streams))
        refuse(path, "one stream of events")
    path.write_bytes(whole.replace(b"<dv ", b"<!dv"))
    refuse(path)
    (tmp_path / "b.bin").write_bytes(b"1234567")
    refuse(tmp_path / "b.bin", "truncated")
    (tmp_path / "c.h5").write_bytes(b"hello")
    refuse(tmp_path / "c.h5", "hello")
    refuse(tmp_path / "none", "nothing there")
    os.mkfifo(tmp_path / "pipe")
    refuse(tmp_path / "pipe", "something else")
    hdf5(tmp_path / "c.h5", EVENTS, "other")
    refuse(tmp_path / "c.h5", "CD/events")


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_are_one_error_or_events(tmp_path, seed):
    rng, whole = np.random.default_rng(seed), aedat4(EVENTS)
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(3):
            at = rng.integers(len(data))
            data[at : at + 4] = rng.bytes(4) if rng.random() < 0.5 else b"\xff\xff\xff\x7f"
        (tmp_path / "a.aedat4").write_bytes(data)
        try:
            found = load_events(tmp_path / "a.aedat4").events[0]
        except InputError as error:
            assert str(error).isprintable()
        else:
            assert (np.diff(found["t"]) >= 0).all() and set(np.unique(found["p"])) <= {0, 1}


def test_events_that_are_given_as_images_are_told_where_they_go(tmp_path):
    np.save(tmp_path / "a.npy", EVENTS)
    with pytest.raises(InputError, match="given with encoding='events' and time_scale"):
        load_images(tmp_path / "a.npy")
