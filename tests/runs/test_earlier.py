"""What stands at --out already: nothing that is finished, or begun, is lost by another command."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from support.networks import small_graph

from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.runs import pipeline
from eventsnn.runs.folder import FILES, Folder
from eventsnn.studies import scripts
from eventsnn.views import plots
from eventsnn.views.tables import write_csv


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with a network and images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"picture"))
    write_native(small_graph("QCFS"), tmp_path / "net.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 2, 6, 6)).astype(np.uint8)
    np.savez("data.npz", x_test=pixels, y_test=[0, 1, 2, 3, 0, 1], x_train=pixels[:, :, ::-1])
    return tmp_path


def run(capsys, *more, status=0):
    """What a run says: standard output, or its one line of standard error."""
    capsys.readouterr()
    assert main(["--net", "net.h5", "--data", "data.npz", "--steps", "4", *more]) == status
    out, err = capsys.readouterr()
    assert err.count("\n") == (status == 2)
    return err if status else out


def tables_of(said):
    return said[said.index("\nLayers") :]


def heavy(*_, **__):
    raise AssertionError("loaded or simulated")


@pytest.mark.parametrize("out", [["--out", "a"], []], ids=["named", "by default"])
def test_a_finished_run_says_so_at_once(capsys, here, monkeypatch, out):
    first = run(capsys, *out)
    (folder,) = [path.parent for path in here.rglob("summary.json")]
    before = {name: (folder / name).read_bytes() for name in FILES}
    monkeypatch.setattr(pipeline, "load_inputs", heavy)
    again = run(capsys, *out, "--workers", "1", "--batch", "2")
    assert again.startswith("finished already: 6 images, by the same command; ")
    assert tables_of(again) == tables_of(first)
    assert json.loads(run(capsys, *out, "--json")) == json.loads(before["summary.json"])
    assert run(capsys, *out, "--quiet") == ""
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_a_copied_file_is_the_same_and_a_changed_one_is_not(capsys, here, monkeypatch):
    first = run(capsys, "--out", "a")
    Path("copy.h5").write_bytes(Path("net.h5").read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "convert_checked", heavy)
        again = run(capsys, "--net", "copy.h5", "--out", "a")
        assert tables_of(again) == tables_of(first)
        write_native(small_graph("QCFS", "MaxPool"), here / "net.h5")
        said = run(capsys, "--out", "a", status=2)
        assert "finished results of 6 images, of a network with other content; " in said


def test_another_run_does_not_replace_a_finished_one(capsys, here):
    run(capsys, "--out", "a")
    before = Path("a/summary.json").read_bytes()
    said = run(capsys, "--out", "a", "--steps", "3", "--neuron", "snm", "--bias-once", status=2)
    assert said == (
        "eventsnn: error: --out a: expected nothing yet, or this command's own results, found "
        "finished results of 6 images, of --steps 4 (now 3), --neuron if (now snm), --bias-once "
        "none (now given); give --overwrite to replace it, or choose another --out\n"
    )
    said = run(capsys, "--out", "a", "--export", "nir", status=2)
    assert "of --export none (now nir); " in said
    assert Path("a/summary.json").read_bytes() == before
    assert sorted(path.name for path in here.iterdir()) == ["a", "data.npz", "net.h5"]
    run(capsys, "--out", "a", "--steps", "3", "--overwrite")
    assert json.loads(Path("a/summary.json").read_text())["settings"]["steps"] == 3
    assert "finished already" not in run(capsys, "--out", "a", "--steps", "3", "--overwrite")


def test_another_run_does_not_throw_an_unfinished_one_away(capsys, here, monkeypatch):
    add = Folder.add

    def stop(folder, start, batch, seconds):
        add(folder, start, batch, seconds)
        raise KeyboardInterrupt

    small = ("--out", "a", "--batch", "2", "--workers", "1")
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "add", stop)
        assert main(["--net", "net.h5", "--data", "data.npz", "--steps", "4", *small]) == 130
    said = run(capsys, *small, "--seed", "7", status=2)
    assert "found an unfinished run, 2 of 6 images, of --seed 0 (now 7); give --overwrite" in said
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "hash_of_sources", lambda: "other")
        said = run(capsys, *small, status=2)
        assert "2 of 6 images, of another state of eventsnn's own code; " in said
    assert "going on with an earlier run: 2 of 6" in run(capsys, *small)


def test_an_unfinished_run_of_another_command_goes_with_overwrite(capsys, here):
    with Folder("a") as folder:
        folder.open({})
        (folder.partial / "part-0-2.npz").write_bytes(b"")
    assert "an unfinished run, 2 of an unknown number images" in run(capsys, "--out", "a", status=2)
    assert "going on" not in run(capsys, "--out", "a", "--overwrite")


def test_results_that_are_not_whole_are_made_again_by_the_same_command_only(capsys, here):
    run(capsys, "--out", "a")
    Path("a/run.h5").unlink()
    assert "results that are not whole" in run(capsys, "--out", "a", "--seed", "7", status=2)
    assert "finished already" not in run(capsys, "--out", "a")
    Path("a/summary.json").write_text("{}")
    assert "results that are not whole" in run(capsys, "--out", "a", status=2)
    run(capsys, "--out", "a", "--overwrite")
    Path("a/layers.csv").write_text("layer\nact\n")
    assert "results that are not whole" in run(capsys, "--out", "a", status=2)


def test_missing_traces_are_made_again(capsys, here):
    traced = ("--out", "a", "--engine", "event", "--trace", "spikes", "--trace-images", "2")
    run(capsys, *traced)
    assert "finished already" in run(capsys, *traced)
    Path("a/trace-1.h5").unlink()
    assert "finished already" not in run(capsys, *traced)
    assert Path("a/trace-1.h5").exists()


# --- studies -----------------------------------------------------------------------------------


def study(args):
    """A study of nothing."""
    study.made += 1
    graph, images, *_ = scripts.given(args)
    write_csv(args.out / "table.csv", [{"steps": args.steps}])
    if args.fails:
        raise KeyboardInterrupt
    print(f"{len(images)} images, {args.steps} steps")


def studied(capsys, *more, status=0):
    parser = scripts.options("words", limit=6, out="runs/study")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--fails", action="store_true")
    study.made = 0
    capsys.readouterr()
    arguments = ["--net", "net.h5", "--data", "data.npz", "--out", "s", *more]
    assert scripts.run(study, parser, arguments) == status
    out, err = capsys.readouterr()
    assert status or study.made == ("finished already" not in out)
    return err if status else out


def test_a_finished_study_says_so_at_once(capsys, here):
    first = studied(capsys)
    told = "what each column is: docs/guide/numbers.md"
    assert first == f"6 images, 4 steps\n\n{told}\npictures and tables in s\n"
    again = studied(capsys)
    assert again == f"finished already, by the same command; --overwrite makes it again\n\n{first}"
    assert studied(capsys, "--overwrite") == first
    assert sorted(path.name for path in here.iterdir()) == ["data.npz", "net.h5", "s"]


def test_another_study_does_not_replace_a_finished_one(capsys, here):
    studied(capsys)
    said = studied(capsys, "--steps", "3", "--limit", "5", status=2)
    assert "found a finished study (table.csv), of --limit 6 (now 5), --steps 4 (now 3); " in said
    assert Path("s/table.csv").read_text().split() == ["steps", "4"]
    time.sleep(0.01)
    write_native(small_graph("QCFS", "MaxPool"), here / "net.h5")
    assert "of other files: net.h5 changed since; " in studied(capsys, status=2)
    studied(capsys, "--steps", "3", "--overwrite")
    assert Path("s/table.csv").read_text().split() == ["steps", "3"]


def test_a_study_that_was_stopped_keeps_its_tables_from_others(capsys, here):
    with pytest.raises(KeyboardInterrupt):
        studied(capsys, "--fails")
    assert not Path("s").exists() and Path("s.partial/table.csv").exists()
    said = studied(capsys, status=2)
    assert "found an unfinished study (table.csv), of --fails given (now none); " in said
    assert "6 images" in studied(capsys, "--overwrite")
    assert sorted(path.name for path in here.iterdir()) == ["data.npz", "net.h5", "s"]


def test_a_study_leaves_other_peoples_files_alone(capsys, here):
    studied(capsys)
    Path("s/notes.csv").write_text("mine")
    assert "notes.csv" in studied(capsys, "--overwrite", status=2)
    Path("mine").mkdir()
    Path("mine/table.csv").write_text("mine")
    assert "table.csv in " in studied(capsys, "--out", "mine", "--overwrite", status=2)
    assert "the current folder" in studied(capsys, "--out", ".", status=2)
    assert Path("mine/table.csv").read_text() == Path("s/notes.csv").read_text() == "mine"
    assert studied(capsys, "--data", "nothing.npz", "--out", "new/s", status=2)
    assert not Path("new").exists()
