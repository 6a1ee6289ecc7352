"""What a run leaves: the folder at work and its lock, whole batches, totals, run.h5, tables and
pictures.
"""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from matplotlib import image
from support.disks import Full

import eventsnn
from eventsnn import InputError
from eventsnn.files.writing import Patient
from eventsnn.runs import folder as record
from eventsnn.runs import run_file
from eventsnn.runs.folder import FILES, Folder
from eventsnn.runs.run_file import Found, Totals
from eventsnn.simulation.batch import Batch
from eventsnn.views import plots, tables

LAYERS = 3
STEPS = 4
CLASSES = 5


def batch_of(count, seed=0):
    rng = np.random.default_rng(seed)
    spikes, operations = (rng.integers(0, 9, (count, LAYERS, STEPS)) for _ in range(2))
    return Batch(
        rng.integers(-9, 9, (count, STEPS, CLASSES)).astype(np.int32),
        spikes,
        operations,
        rng.integers(0, 3, (count, LAYERS)),
        rng.integers(0, STEPS, count),
    )


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in Batch.ARRAYS
        if getattr(a, name) is not None
    )


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def fill(folder, names=FILES, text="new"):
    for name in names:
        (folder.results / name).write_text(text)


# --- whole batches, and going on -------------------------------------------------------------


def test_a_folder_goes_on_where_it_was(tmp_path):
    with Folder(tmp_path / "out") as folder:
        assert folder.open({"id": 1}) == 0
        folder.add(4, batch_of(2, seed=4), 0.5)
        folder.add(0, batch_of(3), 0.25)
    with Folder(tmp_path / "out") as folder:
        assert folder.open({"id": 1}) == 5
        assert folder.missing(8).tolist() == [3, 6, 7]
        (first, a, s), (second, b, t) = folder.batches()
        assert (
            (first, second, s, t) == (0, 4, 0.25, 0.5)
            and same(a, batch_of(3))
            and same(b, batch_of(2, seed=4))
        )


def test_another_run_begins_anew(tmp_path):
    with Folder(tmp_path / "out") as folder:
        folder.open({"id": 1})
        folder.add(0, batch_of(2), 0)
    with Folder(tmp_path / "out") as folder:
        assert folder.open({"id": 2}) == 0 and folder.missing(2).tolist() == [0, 1]


def test_opening_a_folder_loses_nothing(tmp_path):
    """Only `open` throws other batches away: a command that fails before it does no harm."""
    with Folder(tmp_path / "out") as folder:
        folder.open({"id": 1})
        folder.add(0, batch_of(2), 0)
    with pytest.raises(InputError), Folder(tmp_path / "out"):
        raise InputError("somewhere", "something", "nothing")
    with Folder(tmp_path / "out") as folder:
        assert folder.open({"id": 1}) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"\0\0\0\1", b"\0\0\0\2")),
        lambda path: path.rename(path.with_name("part-2-5.npz")),
        lambda path: path.rename(path.with_name("part-1-3.npz")),
    ],
    ids=["empty", "truncated", "altered", "wrong length", "overlapping"],
)
def test_damaged_batches_are_computed_again(tmp_path, damage):
    with Folder(tmp_path / "out") as folder:
        folder.open({})
        folder.add(0, batch_of(2), 0)
        folder.add(2, batch_of(2, seed=1), 0)
        damage(folder.partial / "part-2-4.npz")
    with Folder(tmp_path / "out") as folder:
        assert folder.open({}) == 2
        assert folder.missing(4).tolist() == [2, 3]


def test_a_batch_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def stop(source, target):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Folder(tmp_path / "out") as folder:
        folder.open({})
        folder.add(0, batch_of(2), 0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stop)
            folder.add(2, batch_of(2), 0)
    assert listing(tmp_path) == [
        "out.partial",
        "out.partial/identity.json",
        "out.partial/lock",
        "out.partial/part-0-2.npz",
    ]


# --- the results' place ----------------------------------------------------------------------


def test_without_a_batch_nothing_stays(tmp_path):
    for error in (InputError("a", "b", "c"), KeyboardInterrupt(), ZeroDivisionError()):
        with pytest.raises(type(error)), Folder(tmp_path / "new" / "and" / "out") as folder:
            folder.open({})
            fill(folder)
            raise error
        assert listing(tmp_path) == []


def test_batches_of_wrong_input_are_of_no_use(tmp_path):
    """A queue that never empties may show after many batches; the same command would only fail
    again.
    """
    with pytest.raises(InputError), Folder(tmp_path / "out") as folder:
        folder.open({})
        folder.add(0, batch_of(1), 0)
        raise InputError("max_events", "a queue that empties", "one that does not")
    assert listing(tmp_path) == []


def test_only_new_folders_are_removed_again(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ZeroDivisionError), Folder(tmp_path / "mine" / "a" / "out"):
        raise ZeroDivisionError
    assert listing(tmp_path) == ["mine"]


def test_results_take_their_place_in_the_end(tmp_path):
    for text in ("first", "second"):
        with Folder(tmp_path / "out") as folder:
            folder.open({"text": text})
            folder.add(0, batch_of(1), 0)
            fill(folder, text=text)
            assert (
                not (tmp_path / "out").exists()
                or (tmp_path / "out" / "run.h5").read_text() == "first"
            )
            folder.finish()
        assert listing(tmp_path) == ["out", *sorted(f"out/{name}" for name in FILES)]
        assert {(tmp_path / "out" / name).read_text() for name in FILES} == {text}


def earlier_results(path):
    with Folder(path) as folder:
        folder.open({})
        folder.add(0, batch_of(1), 0)
        fill(folder, text="earlier")
        folder.finish()


def test_earlier_results_come_back_when_the_move_fails(tmp_path, monkeypatch):
    earlier_results(tmp_path / "out")
    replace = os.replace

    def refuse(source, target):
        if str(source).endswith("results"):
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Input/output"), Folder(tmp_path / "out") as folder:
        folder.open({"other": 1})
        folder.add(0, batch_of(1), 0)
        fill(folder)
        folder.finish()
    assert (tmp_path / "out" / "run.h5").read_text() == "earlier"
    assert folder.parts()


def test_traces_stay_with_their_batches_when_the_move_fails(tmp_path):
    with Folder(tmp_path / "out") as folder:
        folder.open({})
        folder.add(0, batch_of(1), 0)
        (folder.partial / "trace-0.h5").write_text("spikes")
        fill(folder)
        with pytest.raises(InputError, match="a file"):
            (tmp_path / "out").write_text("in the way")
            folder.finish()
        os.replace(
            folder.partial / "trace-0.h5", folder.results / "trace-0.h5"
        )  # as when killed within `finish`
    (tmp_path / "out").unlink()
    with Folder(tmp_path / "out") as folder:
        assert folder.open({}) == 1 and (folder.partial / "trace-0.h5").read_text() == "spikes"
        fill(folder)
        folder.finish()
    assert (tmp_path / "out" / "trace-0.h5").read_text() == "spikes"


@pytest.mark.parametrize("at", [1, 2])
def test_killed_between_the_moves(tmp_path, at):
    """finish: earlier results aside (1), results to their place (2), the folder at work away.
    Nothing is lost in between.
    """
    earlier_results(tmp_path / "out")
    folder = Folder(tmp_path / "out")
    folder.open({"id": 1})
    folder.add(0, batch_of(1), 0)
    fill(folder)
    os.replace(folder.out, folder.earlier)
    if at == 2:
        os.replace(folder.results, folder.out)
    os.close(folder.lock)
    with Folder(tmp_path / "out") as folder:
        assert (tmp_path / "out" / "run.h5").read_text() == ("earlier" if at == 1 else "new")
        assert folder.open({"id": 1}) == 1
        fill(folder, text="newer")
        folder.finish()
    assert (
        (tmp_path / "out" / "run.h5").read_text() == "newer"
        and listing(tmp_path)[0] == "out"
        and len(listing(tmp_path)) == 7
    )


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        Folder(path)
    assert str(caught.value).startswith("--out ") and caught.value.do
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_folders_with_other_files_are_not_touched(tmp_path):
    places = {
        "mine": "mine/notes.txt",
        "both": "both/summary.json",
        "out2": "out2.partial/thesis.tex",
    }
    for name in (*places.values(), "both/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = listing(tmp_path)
    for name, words in (
        ("mine", ["notes.txt", "mine"]),
        ("both", ["notes.txt"]),
        ("out2", ["thesis.tex", "out2.partial"]),
    ):
        refused(tmp_path / name, "earlier results alone", *words)
    assert listing(tmp_path) == before


def test_a_file_that_appears_while_a_run_is_under_way_is_not_touched(tmp_path):
    with pytest.raises(InputError, match="notes.txt"), Folder(tmp_path / "out") as folder:
        folder.open({})
        folder.add(0, batch_of(1), 0)
        fill(folder)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes.txt").write_text("mine")
        folder.finish()
    assert listing(tmp_path / "out") == ["notes.txt"] and folder.parts()


def test_places_that_cannot_be(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "c.partial").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = listing(tmp_path)
    refused(tmp_path / "file", "a file")
    refused(tmp_path / "file" / "below", "Not a directory", "choose another --out")
    refused(tmp_path / "new" / ("x" * 300), "too long")
    refused(tmp_path / "loop", "choose another --out")
    refused(tmp_path / "c", "c.partial", "a file")
    refused("/", "choose another --out")
    refused("/proc/here", "choose another --out")
    refused("a\0b", "null")
    monkeypatch.chdir(tmp_path)
    refused(".", "the current folder")
    refused("..", "the current folder or one above it")
    assert listing(tmp_path) == before


def test_a_link_leads_to_the_results(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "out")
    earlier_results(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (
        tmp_path / "disk" / "out" / "run.h5"
    ).read_text() == "earlier"


# --- two runs at once ------------------------------------------------------------------------


@pytest.mark.skipif(record.fcntl is None, reason="no locks on this system")
def test_a_second_run_is_refused_while_the_first_is_at_work(tmp_path):
    with Folder(tmp_path / "out") as folder:
        folder.open({})
        folder.add(0, batch_of(1), 0)
        refused(tmp_path / "out", f"process {os.getpid()} at work", "wait for it")
        assert folder.missing(2).tolist() == [1]
        fill(folder)
        folder.finish()
    with Folder(tmp_path / "out"):
        pass  # now it is free


def test_a_lock_counts_only_where_it_stands(tmp_path, monkeypatch):
    """A run that finishes between opening and locking takes the lock file along: the next one must
    look again.
    """
    first = Folder(tmp_path / "out")
    taken, opened = [], os.open

    def open_and_finish(path, *rest, **options):
        lock = opened(path, *rest, **options)
        if not taken:
            taken.append(lock)
            first.__exit__(None, None, None)
        return lock

    monkeypatch.setattr(os, "open", open_and_finish)
    with Folder(tmp_path / "out") as second:
        monkeypatch.undo()
        assert taken and os.path.samestat(os.fstat(second.lock), os.stat(second.partial / "lock"))
        assert (second.partial / "lock").read_text() == str(os.getpid())


class NoLocks:
    """fcntl on a file system without locks."""

    LOCK_EX = LOCK_NB = 0

    @staticmethod
    def flock(*_):
        raise OSError(37, "No locks available")


@pytest.mark.parametrize(
    "fcntl, why",
    [
        (NoLocks, "its file system gives no lock (No locks available)"),
        (None, "this system has no locks"),
    ],
    ids=["file system", "system"],
)
def test_a_place_without_locks_is_said(tmp_path, monkeypatch, fcntl, why):
    with Folder(tmp_path / "locked") as folder:
        assert folder.notes == []
    monkeypatch.setattr(record, "fcntl", fcntl)
    with Folder(tmp_path / "out") as folder:
        (note,) = folder.notes
        assert note.startswith(f"--out {tmp_path / 'out'}: {why}: start no second run there")


# --- what killed runs leave ------------------------------------------------------------------

KILLED_IN_REMOVAL = """
import os, shutil, signal, sys
from eventsnn.runs.folder import Folder

def die(path, **options):
    if "removed" in str(path):
        os.unlink(os.path.join(path, "lock"))  # it had begun
        os.kill(os.getpid(), signal.SIGKILL)

with Folder("out") as folder:
    folder.open({})
    shutil.rmtree = die
"""


def test_the_next_run_removes_what_a_killed_one_was_removing(tmp_path):
    script = [sys.executable, "-c", KILLED_IN_REMOVAL]
    root = Path(eventsnn.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run(script, cwd=tmp_path, env=environment).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert re.fullmatch("out.removed-[0-9a-f]{8}", left.name)
    kept = ["out.removed-12345678/notes.txt", "other.removed-12345678/lock", "out.removed-1/lock"]
    for name in kept:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("mine")
    (tmp_path / "out.removed-abcdefab").symlink_to(tmp_path / "out.removed-1")
    with Folder(tmp_path / "out"):
        pass
    assert not left.exists()
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert (tmp_path / "out.removed-abcdefab").is_symlink()


# --- sums, and run.h5 ------------------------------------------------------------------------


class Unscaled:
    """A simulation whose readout is averaged over steps."""

    network = SimpleNamespace(readout=SimpleNamespace(grid=(CLASSES, 1, 1)))

    @staticmethod
    def output(charge, step):
        return charge / step


def test_totals_are_sums_over_images():
    batches = [(0, batch_of(3, 1), 0.5), (3, batch_of(2, 2), 0.25)]
    totals = Totals(5, LAYERS, STEPS, [1, 4], 2)
    found = Found(np.zeros((5, CLASSES)), np.zeros((5, CLASSES)), np.eye(CLASSES)[[1] * 5])
    for start, batch, seconds in reversed(batches):
        totals.add(start, batch, seconds, Unscaled, found)
    whole = Batch.join([batch for _, batch, _ in batches])
    assert np.array_equal(totals.spikes, whole.spikes.sum(0)) and np.array_equal(
        totals.operations, whole.operations.sum(0)
    )
    assert np.array_equal(totals.ties, whole.ties.sum(0)) and totals.seconds == 0.75
    predictions = whole.readout[:, [0, 3]].argmax(2)
    assert np.array_equal(totals.predictions, predictions)
    assert np.array_equal(totals.agreed, np.array([predictions == 0, predictions == 1]))


@pytest.mark.parametrize("room", [0, 600, 5000, 200_000])
def test_a_full_disk_is_an_error_that_python_survives(tmp_path, room):
    with open(tmp_path / "run.h5", "w+b", buffering=0) as disk:
        with (
            pytest.raises(OSError, match="No space left"),
            Patient(Full(disk, room)) as patient,
            h5py.File(patient, "w") as file,
        ):
            file.create_dataset(
                "a",
                data=np.random.default_rng(0).normal(size=(200, 200)),
                chunks=(20, 20),
                compression="gzip",
            )


def test_a_disk_with_room_gets_the_very_file(tmp_path):
    values = np.arange(90_000).reshape(300, 300)
    with (
        open(tmp_path / "run.h5", "w+b", buffering=0) as disk,
        Patient(Full(disk, 10**7)) as patient,
        h5py.File(patient, "w") as file,
    ):
        file.create_dataset("a", data=values, chunks=(20, 300), compression="gzip")
    with h5py.File(tmp_path / "run.h5") as file:
        assert np.array_equal(file["a"][()], values)


# --- tables ----------------------------------------------------------------------------------

ROWS = [
    {"layer": "act1", "neurons": 12544, "theta": 0.49661, "rate": 0.1814, "operations": 18776843.4},
    {"layer": "a<b", "neurons": 64, "theta": 2.275, "rate": None, "operations": 5.0},
]


def test_text_tables_are_aligned():
    lines = tables.text_table(ROWS).split("\n")
    assert lines == [
        "layer  neurons  threshold    rate  operations",
        "act1    12,544     0.4966  18.14%  18,776,843",
        "a<b         64      2.275                   5",
    ]


def test_long_names_do_not_break_a_table():
    table = tables.text_table([{"layer": "encoder.blocks.17.attention.output.activation", "x": 1}])
    assert (
        max(map(len, table.split("\n"))) < 40
        and "encoder." in table
        and "activation" in table
        and "…" in table
    )


def test_html_tables_are_escaped_and_aligned():
    table = tables.html_table(ROWS)
    assert (
        "a&lt;b" in table
        and "a<b" not in table
        and '<td style="text-align: right">12,544</td>' in table
    )
    assert table.count("<tr>") == 3 and "18.14%" in table


def test_csv_files_keep_every_digit(tmp_path):
    tables.write_csv(tmp_path / "a.csv", ROWS)
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (
        list(rows[0]) == list(ROWS[0])
        and float(rows[0]["theta"]) == 0.49661
        and rows[1]["rate"] == ""
    )


@pytest.mark.parametrize(
    "values, unit, factor",
    [
        ([12.0, 999], "", 1),
        ([1000], "k", 1e-3),
        ([3, 2e6], "M", 1e-6),
        ([5e12], "G", 1e-9),
        ([], "", 1),
    ],
)
def test_units(values, unit, factor):
    assert tables.in_unit(values) == (unit, pytest.approx(factor))


# --- pictures --------------------------------------------------------------------------------


def accuracy_of(steps, labelled=True):
    rows = [
        {
            "T": t,
            "agreement_with_ann": 1 - 0.5 / t,
            "accuracy": 0.9 - 0.5 / t,
            "accuracy_low": 0.85 - 0.5 / t,
            "accuracy_high": 0.95 - 0.5 / t,
        }
        for t in steps
    ]
    return (
        rows
        if labelled
        else [{k: None if k.startswith("accuracy") else v for k, v in row.items()} for row in rows]
    )


@pytest.mark.parametrize(
    "steps",
    [
        (1,),
        (7,),
        (1, 2, 4, 8, 16, 32),
        tuple(range(1, 33)),
        (30, 31, 32),
        (1, 2, 4, 5),
        (1, 16, 4096, 65535),
        tuple(2**k for k in range(17)),
    ],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_accuracy_pictures_show_every_point_and_no_crowd(steps, labelled):
    figure = plots.accuracy_figure(
        accuracy_of(steps, labelled), 0.9 if labelled else None, "a title"
    )
    axes = figure.axes[0]
    line = next(
        line
        for line in axes.lines
        if len(line.get_xdata()) == len(steps) and line.get_marker() == "o"
    )
    assert line.get_xdata().tolist() == list(steps)
    assert line.get_ydata() == pytest.approx(
        [100 * (0.9 if labelled else 1) - 50 / t for t in steps]
    )
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert boxes and not any(a.x1 > b.x0 for a, b in zip(boxes, boxes[1:])), "tick labels overlap"
    assert max(steps) in axes.get_xticks() and len(boxes) <= 10
    assert not any(
        figure.legends[0].get_window_extent().overlaps(axis.get_tightbbox())
        for axis in (axes.xaxis, axes.yaxis)
    )
    assert not figure.legends[0].get_window_extent().overlaps(axes.get_window_extent())


@pytest.mark.parametrize("count", [1, 20, 60, 61, 400])
def test_rate_pictures_have_room_for_every_name(count):
    rows = [
        {
            "layer": f"a_layer_with_quite_a_long_name_{i}",
            "shape": "512x32x32",
            "rate": i / 4 / count,
        }
        for i in range(count)
    ]
    figure = plots.rates_figure(rows, "a title")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [100 * row["rate"] for row in rows]
    labels = [label.get_window_extent() for label in axes.get_yticklabels() if label.get_text()]
    low, high = figure.bbox.x0, figure.bbox.x1
    inside = [
        box
        for box in labels
        if axes.get_window_extent().y0 <= (box.y0 + box.y1) / 2 <= axes.get_window_extent().y1
    ]
    assert inside and all(low <= box.x0 and box.x1 <= high for box in inside)
    assert (
        not any(a.overlaps(b) for a, b in zip(inside, inside[1:])) and figure.get_figheight() <= 14
    )
    assert len(inside) == count or count > plots.MOST_BARS


@pytest.mark.parametrize("name", ["$\\frac$", "層の名前", "a" * 1000, "tab\tand\x07", ""])
def test_names_from_files_are_only_text(tmp_path, name):
    plots.save(plots.accuracy_figure(accuracy_of((1, 2)), 0.5, name), tmp_path / "a.png")
    plots.save(
        plots.rates_figure([{"layer": name, "shape": "1x1x1", "rate": 0.0}], name),
        tmp_path / "b.png",
    )
    for picture in ("a.png", "b.png"):
        pixels = image.imread(tmp_path / picture)
        assert pixels.shape[1] == round(plots.WIDTH * plots.DPI) and pixels[..., :3].std() > 0.01


def test_provenance_is_json_of_any_length(tmp_path):
    """An HDF5 attribute would stop at 64 kB."""
    from support.networks import Builder

    from eventsnn import convert
    from eventsnn.data.images import Images
    from eventsnn.simulation.simulation import Simulation

    b = Builder(np.random.default_rng(0))
    x = b.activation(b.conv("input", 2), "QCFS")
    simulation = Simulation(convert(b.graph(b.gemm(b.add("Flatten", [x])))), steps=2)
    images = Images("three", "test", np.arange(3), np.zeros((3, 2, 6, 6), np.uint8), None, ())
    provenance = {"id": "0", "steps": list(range(30_000))}
    with pytest.raises(ZeroDivisionError), Folder(tmp_path / "out") as folder:
        folder.open({})
        folder.add(0, simulation.run(images.pixels), 1.0)
        found = Found(np.zeros((3, 4)), np.zeros((3, 4)))
        totals = run_file.write_hdf5(
            folder.results / "run.h5", folder, simulation, images, found, [2], provenance
        )
        with h5py.File(folder.results / "run.h5") as file:
            assert json.loads(file["provenance"][()]) == provenance and "images/label" not in file
            assert np.array_equal(file["readout"][()], simulation.run(images.pixels).readout)
        assert totals.seconds == 1.0
        raise ZeroDivisionError
