"""The pictures of a run: drawn by a copy of the process, or here where there is none."""

import os
import sys

import pytest

from eventsnn import InputError
from eventsnn.run import main
from eventsnn.runs import copies as copies_of
from eventsnn.runs.pictures import Drawing, Painter, _ready, get_ready, painter

ROW = {"T": 1, "accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}
LAYER = {"layer": "act1", "rate": 0.1, "shape": "2x2x2"}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is copied")


def drawing(folder, layers=2):
    """What pictures of a small run show."""
    accuracy = [ROW, {**ROW, "T": 2}]
    return Drawing(folder, [LAYER] * layers, accuracy, 0.5, "a title", "engine clocked")


@pytest.fixture
def copies(monkeypatch):
    """A Painter may copy this process, though matplotlib is imported and there are threads."""
    monkeypatch.setattr("eventsnn.runs.pictures._is_of_use", lambda: True)


def drawn(folder):
    """name -> bytes of the pictures of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@LINUX
def test_a_copy_draws_what_this_process_would(tmp_path, copies, pictures, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    drawing(here).write()
    with Painter() as painter:
        monkeypatch.setattr(Drawing, "write", None)  # nothing is drawn here
        painter.draw(drawing(there))
    assert drawn(there) == drawn(here)
    assert set(drawn(there)) == {"accuracy.png", "rates.png"}


@LINUX
def test_a_copy_that_was_killed_leaves_the_pictures_to_this_process(tmp_path, copies, pictures):
    with Painter() as painter:
        os.kill(painter._copy, 9)
        painter.draw(drawing(tmp_path))
    assert len(drawn(tmp_path)) == 2


@LINUX
def test_what_the_disk_refuses_is_raised_here(tmp_path, copies, pictures):
    with pytest.raises(OSError), Painter() as painter:
        painter.draw(drawing(tmp_path / "none"))


def test_nothing_is_copied_where_matplotlib_is_there(tmp_path):
    import matplotlib  # noqa: F401

    with Painter() as painter:
        assert "here" in repr(painter)
        painter.draw(drawing(tmp_path, layers=1))
    assert set(drawn(tmp_path)) == {"accuracy.png"}


@LINUX
def test_no_copy_is_left_where_a_run_fails(copies):
    with pytest.raises(ZeroDivisionError), Painter() as painter:
        copy = painter._copy
        raise ZeroDivisionError
    with pytest.raises(ProcessLookupError):
        os.kill(copy, 0)


@LINUX
def test_no_copy_is_left_where_a_run_cannot_be_prepared(tmp_path, monkeypatch, capsys):
    made, make = [], copies_of.copied

    def noted(*words):
        made.append(make(*words))
        return made[-1]

    def fail(*_):
        raise InputError("here", "a test that goes on", "one that stops")

    monkeypatch.setattr(copies_of, "may_copy", lambda: True)
    monkeypatch.setattr(copies_of, "copied", noted)
    monkeypatch.setattr("eventsnn.runs.pipeline.prepare", fail)
    words = ["--net", "sample", "--data", "sample", "--limit", "1", "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "a test that goes on" in capsys.readouterr().err
    (copy,) = made
    with pytest.raises(ProcessLookupError):
        os.kill(copy, 0)


@LINUX
def test_a_command_draws_by_the_copy_that_was_made_first(tmp_path, copies, pictures):
    get_ready(["--net", "sample"])
    with painter() as first, painter() as second:
        assert "in process" in repr(first)
        assert first is not second
        first.draw(drawing(tmp_path))
    assert len(drawn(tmp_path)) == 2


def test_who_asks_for_help_needs_no_copy(copies):
    get_ready(["run", "--help"])
    assert not _ready
