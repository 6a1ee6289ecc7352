"""The command `eventsnn`: its words, what it says of itself, and completion in the shell."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import eventsnn
from eventsnn.called import called
from eventsnn.commands.completion import parser
from eventsnn.commands.main import COMMANDS, help_text, main

ROOT = Path(eventsnn.__file__).parents[1]
ENTRY = "import sys\nfrom eventsnn.commands.main import entry\nsys.exit(entry())"


def process(*arguments, code=None, **variables):
    """(status, standard output, standard error) of python -m eventsnn, or of code."""
    start = ["-c", code] if code else ["-m", "eventsnn"]
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *start, *arguments], capture_output=True, text=True, env=environment
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("word", COMMANDS)
def test_every_word_has_a_module_with_a_main_and_a_parser(word):
    module = import_module(COMMANDS[word].module)
    assert callable(module.main)
    assert module.parser().prog == f"eventsnn {word}"
    assert f"  {word} " in help_text() and COMMANDS[word].words in help_text()


def test_help_names_all_words_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom eventsnn.commands.main import main\nstatus = main(['--help'])\n"
        "heavy = {'numpy', 'numba', 'h5py', 'argcomplete'} & {*sys.modules}\n"
        "print(status, heavy or 'nothing heavy', len(sys.modules) < 200)"
    )
    status, out, err = process(code=code)
    assert (status, err) == (0, "") and out.endswith("0 nothing heavy True\n")
    assert out.startswith("usage: eventsnn COMMAND") and max(map(len, out.splitlines())) <= 100
    assert process()[1].startswith("usage: python -m eventsnn COMMAND")


def test_version():
    assert process("--version") == (0, f"eventsnn {eventsnn.__version__}\n", "")


@pytest.mark.parametrize(
    "word, do",
    [
        ("rnu", "did you mean run?"),
        ("inspct", "did you mean inspect?"),
        ("qqqq", "see eventsnn --help"),
        ("--net", "eventsnn run --net FILE"),
        ("", "see eventsnn --help"),
    ],
)
def test_an_unknown_word_is_answered_in_a_line(capsys, word, do):
    assert main([word, "x"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("eventsnn: error: ")
    assert do in err and repr(word) in err


def test_a_word_gets_the_other_words(capsys):
    assert main(["run", "--limit", "0"]) == 2
    assert "--limit: expected" in capsys.readouterr().err
    assert main(["inspect", "nowhere.h5", "--arhc", "x"]) == 2
    err = capsys.readouterr().err
    assert "did you mean --arch?" in err and err.count("\n") == 1


def test_a_child_process_ends_as_the_commands_own():
    status, out, err = process("run", "--limit", "0")
    assert (
        (status, out) == (2, "") and err.startswith("eventsnn: error: --limit") and err[-1] == "\n"
    )
    status, out, err = process("inspect")
    assert status == 2 and err.startswith("eventsnn: error: python -m eventsnn inspect: ")


@pytest.mark.parametrize(
    "started, run, why",
    [
        ("/usr/bin/eventsnn", "eventsnn run", "eventsnn why"),
        ("eventsnn", "eventsnn run", "eventsnn why"),
        ("-c", "eventsnn run", "eventsnn why"),
        (f"{ROOT}/eventsnn/__main__.py", "python -m eventsnn run", "python -m eventsnn why"),
        (f"{ROOT}/eventsnn/run.py", "python -m eventsnn.run", "python -m eventsnn why"),
        (f"{ROOT}/eventsnn/train/__main__.py", "python -m eventsnn.run", "python -m eventsnn why"),
        (f"{ROOT}/analysis/energy.py", "eventsnn run", "eventsnn why"),
    ],
)
def test_words_name_the_form_by_which_the_user_came(monkeypatch, started, run, why):
    monkeypatch.setattr(sys, "argv", [started])
    assert (called("run"), called("why")) == (run, why)


def test_help_of_each_form_names_it():
    for words in (["eventsnn.run"], ["eventsnn", "run"], ["eventsnn", "train"]):
        done = subprocess.run(
            [sys.executable, "-m", *words, "--help"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        form = f"python -m {' '.join(words)} "
        assert done.stdout.startswith(f"usage: {form}") and done.stdout.count(form) > 1


# --- completion ----------------------------------------------------------------------------------


def completed(line, tmp_path):
    """What argcomplete offers behind a line, as a shell asks for it."""
    answers = tmp_path / "answers"
    code = f"import sys\nsys.argv = ['eventsnn']\n{ENTRY}"
    _, out, err = process(
        code=code,
        _ARGCOMPLETE="1",
        _ARGCOMPLETE_STDOUT_FILENAME=str(answers),
        _ARGCOMPLETE_SUPPRESS_SPACE="1",
        _ARGCOMPLETE_IFS="\n",
        COMP_LINE=line,
        COMP_POINT=str(len(line)),
        COMP_TYPE="9",
    )
    assert out == ""
    return answers.read_text().split("\n")


@pytest.mark.slow
def test_words_options_and_choices_are_completed(tmp_path):
    pytest.importorskip("argcomplete")
    assert completed("eventsnn ru", tmp_path) == ["run"]
    both = {"--thresholds", "--threshold-scale"}
    assert set(completed("eventsnn run --thresh", tmp_path)) == both
    assert completed("eventsnn run --encoding ev", tmp_path) == ["even", "events"]
    assert completed("eventsnn inspect --arc", tmp_path) == ["--arch"]


def test_the_parser_for_completion_imports_one_word_alone():
    taken = parser(COMMANDS, "run").parse_args(["run", "--thresholds", "max"])
    assert taken.thresholds == "max"
    with pytest.raises(SystemExit):
        parser(COMMANDS, "run").parse_args(["train", "--preset", "x"])


def test_without_argcomplete_the_command_does_its_work():
    before = "import sys\nsys.modules['argcomplete'] = None\nsys.argv = ['eventsnn', '--version']"
    status, out, _ = process(code=f"{before}\n{ENTRY}", _ARGCOMPLETE="1", COMP_LINE="eventsnn ")
    assert (status, out) == (0, f"eventsnn {eventsnn.__version__}\n")
