"""What every command does around its work: Ctrl-C at any moment, notebooks, streams of any kind."""

import builtins
import io
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import eventsnn
from eventsnn import console
from eventsnn.exceptions import InputError
from eventsnn.files.cache import CacheWarning
from eventsnn.run import main
from eventsnn.runs.say import put
from eventsnn.views import plots

ROOT = Path(eventsnn.__file__).parents[1]
STOPPED = "eventsnn: stopped\n"
GOES_ON = "eventsnn: stopped; the same command goes on from the last whole batch\n"
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

# runs a command as `python` does, and presses Ctrl-C when {when}
PRESSED = """
import atexit, runpy, signal, sys, time
# background jobs inherit that it is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {root!r})

def press(*_, **__):
    signal.raise_signal(signal.SIGINT)

class Dropped:
    __del__ = press

class Importing:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            press()

class Losing:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            Dropped()
            time.sleep(50)

{when}
sys.argv = {argv!r}
if sys.argv[0].endswith(".py"):
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def pressed(when, *argv, cwd, **variables):
    """The started process of a command in which Ctrl-C is pressed."""
    code = PRESSED.format(when=when, argv=[*map(str, argv)], root=str(ROOT))
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **variables},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@posix
@pytest.mark.parametrize("name", ["eventsnn.run", "eventsnn.inspect", "gn_members.py"])
def test_ctrl_c_while_modules_are_imported(tmp_path, name):
    command = ROOT / "analysis" / name if name.endswith(".py") else name
    process = pressed("sys.meta_path.insert(0, Importing())", command, cwd=tmp_path)
    assert process.communicate(timeout=60) == ("", STOPPED) and process.returncode == 130
    assert os.listdir(tmp_path) == []


@posix
@pytest.mark.parametrize("word", ["run", "diagnose"])
def test_ctrl_c_in_a_word_of_eventsnn(tmp_path, word):
    process = pressed("sys.meta_path.insert(0, Importing())", "eventsnn", word, cwd=tmp_path)
    assert process.communicate(timeout=60) == ("", STOPPED) and process.returncode == 130


@posix
def test_ctrl_c_that_the_interpreter_ignores_comes_again(tmp_path):
    """In a destructor Python prints it and goes on."""
    process = pressed("sys.meta_path.insert(0, Losing())", "eventsnn.run", cwd=tmp_path)
    assert process.communicate(timeout=60) == ("", STOPPED) and process.returncode == 130


@posix
def test_ctrl_c_in_an_analysis_script(tmp_path):
    """Also while threads are at work, which are not waited for."""
    when = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from eventsnn.studies import scripts\n"
        "pool = ThreadPoolExecutor()\n"
        "scripts.given = lambda args: (pool.submit(time.sleep, 100), press())"
    )
    process = pressed(when, ROOT / "analysis" / "gn_members.py", cwd=tmp_path)
    assert process.communicate(timeout=60) == ("", STOPPED) and process.returncode == 130


@posix
@pytest.mark.slow
def test_ctrl_c_while_kernels_are_compiled(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    variables = {"EVENTSNN_CACHE_DIR": str(tmp_path / "cache")}
    process = pressed("", "eventsnn.run", "--limit", 1, cwd=folder, **variables)
    while "compiling" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (err, process.returncode) == (GOES_ON, 130)
    assert os.listdir(folder) == []


@posix
def test_ctrl_c_when_all_is_done_changes_nothing(tmp_path):
    process = pressed("atexit.register(press)", "eventsnn.run", "--version", cwd=tmp_path)
    said = f"eventsnn {eventsnn.__version__}\n"
    assert process.communicate(timeout=60) == (said, "") and process.returncode == 0


@pytest.fixture
def notebook(monkeypatch):
    """IPython's mark."""
    monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)


def test_a_notebook_outlives_a_command(notebook, monkeypatch):
    """Neither does Ctrl-C end its process, nor do its hooks and signals change."""
    hooks = sys.excepthook, signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(os, "_exit", lambda status: pytest.fail("the kernel is gone"))
    console.begin()
    assert console.command(lambda: console.STOPPED) is None
    assert console.command(lambda: 2) is None, "SystemExit: 2 would be shown as a traceback"
    assert hooks == (sys.excepthook, signal.getsignal(signal.SIGINT))


# --- streams -----------------------------------------------------------------------------------


class Bare:
    """A stream that can be written, and nothing else."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


@pytest.fixture
def alone(monkeypatch):
    """What a command changes in its process is as it was afterwards."""
    monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"picture"))
    for name in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("stream", [io.StringIO, Bare, lambda: None], ids=["text", "bare", "none"])
def test_streams_that_are_no_files(stream, alone, tmp_path, monkeypatch):
    out, err = stream(), stream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    arguments = ["--limit", "1", "--steps", "2", "--out", str(tmp_path / "out")]
    assert console.command(lambda: main(arguments)) == 0
    assert console.command(lambda: main(["--limit", "0"])) == 2
    if stream is io.StringIO:
        out.text, err.text = out.getvalue(), err.getvalue()
    if out is not None:
        assert out.text.endswith(f"results in {tmp_path / 'out'}\n")
        assert err.text.startswith("eventsnn: error: --limit: ") and err.text.count("\n") == 1


def test_without_standard_error_nothing_is_said_on_standard_output(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["--limit", "0"]) == 2
    assert capsys.readouterr().out == ""


def test_put_tells_whether_somebody_reads():
    stream = io.StringIO()
    assert put("words", stream) and stream.getvalue() == "words\n"
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError), os.fdopen(write, "w") as pipe:
        assert not put("words", pipe)


def test_warnings_of_eventsnn_are_one_line(alone, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda *arguments: shown.append(arguments))
    console.begin()
    warnings.showwarning(CacheWarning("kernel cache: a\nb"), CacheWarning, "file.py", 1)
    warnings.showwarning(UserWarning("theirs"), UserWarning, "file.py", 1)
    assert capsys.readouterr().err == "eventsnn: warning: kernel cache: a b\n"
    ((theirs, *_),) = shown
    assert str(theirs) == "theirs"


def test_a_command_that_is_advised_is_not_cut():
    do = f"make it: eventsnn run --net {'long/' * 100}net.h5 --trace spikes"
    assert str(InputError("trace", "a trace", "none", do)).endswith("net.h5 --trace spikes")
