"""The command line of training says what is wrong in one line, with status 2; no torch needed."""

import subprocess
import sys

import pytest

import eventsnn
from eventsnn.train import command
from eventsnn.train.files import check_folder


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "--data: expected a folder, found none"),
        (["--data", "x"], "--out: expected a folder, found none"),
        (["--epoch", "3"], "--epoch"),
        (["--epochs", "many"], "expected a whole number, found 'many'"),
        (["--activation", "qcfs"], "--activation"),
        (["--arch", "resnet21"], "one of lenet, resnet8"),
        (["--threads", "0"], "--threads"),
        (["--device", "tpu"], "cpu or cuda"),
        (["--preset", "best"], "--preset"),
        (["--recipe", "none.toml"], "none.toml"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [] if options in ([], ["--data", "x"]) else ["--data", "x", "--out", "y"]
    assert command.main([*options, *given]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "y").exists()


def test_without_torch_it_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert command.main(["--data", "sample", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "the package torch" in said and "pip install torch" in said and said.count("\n") == 1


def test_help_comes_without_torch_and_names_every_option():
    call = [sys.executable, "-c", "import sys; sys.modules['torch'] = None; import runpy;"]
    call[-1] += "sys.argv = ['train', '--help']; runpy.run_module('eventsnn.train', {}, '__main__')"
    said = subprocess.run(call, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    for option in ("--arch", "--activation", "--lambda-decay", "--recipe", "--threads"):
        assert option in said.stdout


def test_a_recipe_and_options_beside_it(tmp_path):
    (tmp_path / "recipe.toml").write_text('preset = "tcl"\nactivation = "tcl"\nseed = 5\n')
    options = ["--recipe", str(tmp_path / "recipe.toml"), "--seed", "6", "--data", "a", "--out"]
    asked = command.given([*options, "b"])
    assert (asked.recipe.seed, asked.recipe.epochs, asked.recipe.schedule) == (6, 200, "steps")
    assert asked.recipe.activation == "tcl" and str(asked.out) == "b"


def test_a_folder_with_what_no_training_left_is_refused(tmp_path):
    check_folder(tmp_path / "none")
    (tmp_path / "recipe.toml").touch()
    (tmp_path / ".part.tmp").touch()
    check_folder(tmp_path)
    (tmp_path / "network.h5").touch()
    with pytest.raises(eventsnn.InputError, match="found network.h5"):
        check_folder(tmp_path)
    (tmp_path / "state.pt").touch()
    check_folder(tmp_path)
    (tmp_path / "summary.json").touch()
    with pytest.raises(eventsnn.InputError, match="found summary.json in"):
        check_folder(tmp_path)
