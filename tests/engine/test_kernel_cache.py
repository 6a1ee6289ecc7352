"""The cache of compiled kernels: damage, folders that others can write, full disks, two processes
at once. What is amiss ends no run, and is said once.
"""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import numba.core.event
import pytest

import eventsnn
from eventsnn import InputError
from eventsnn.engine import jit
from eventsnn.files import cache as care
from eventsnn.files.cache import CacheWarning
from eventsnn.interrupts import heeding

ROOT = os.name == "posix" and os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="needs root, to give files away")
posix = pytest.mark.skipif(not care.OWNERS, reason="no owners on this system")
STRANGER = 54321


def half(x):
    return x / 2


class Compiled(numba.core.event.Listener):
    """Counts what numba compiles."""

    def __init__(self):
        self.count = 0

    def on_start(self, event):
        self.count += 1

    def on_end(self, event):
        pass


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder in which kernels are kept."""
    monkeypatch.setenv(care.VARIABLE, str(tmp_path / "cache"))
    care._warn.cache_clear()
    jit.cache_dir.cache_clear()
    yield Path(jit.cache_dir())
    jit.cache_dir.cache_clear()
    care._warn.cache_clear()


def run(words=None):
    """Calls `half` as a process does that has not called it before; words: of the one warning.

    Returns how often numba compiled.
    """
    care._warn.cache_clear()
    heard = nullcontext() if words is None else pytest.warns(CacheWarning, match=words)
    with heard as said, numba.core.event.install_listener("numba:compile", Compiled()) as compiled:
        assert jit.kernel(half)(3) == 1.5
    assert words is None or len(said) == 1
    return compiled.count


def file_in(folder):
    """The one file that is kept."""
    (path,) = folder.iterdir()
    return path


def test_what_was_compiled_is_kept_and_loaded(folder):
    assert run() > 0 and run() == 0
    assert file_in(folder).name.startswith("half-")
    if care.OWNERS:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert file_in(folder).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["cut", "empty", "changed", "garbage", "no pickle of numba's"])
def test_damaged_files_are_compiled_anew_with_one_warning(folder, how):
    run()
    path = file_in(folder)
    whole = path.read_bytes()
    middle = len(whole) // 2
    if how == "no pickle of numba's":
        care.save(folder, path.name, pickle.dumps(("neither", "nor")))
    else:
        path.write_bytes(
            {
                "cut": whole[:middle],
                "empty": b"",
                "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
                "garbage": bytes(range(256)) * 9,
            }[how]
        )
    assert run("damaged files: they are dropped, and compiled anew") > 0
    assert file_in(folder).read_bytes()[:18] == whole[:18] and run() == 0


class Planted:
    """A pickle that tells when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "code of others has run")


def plant(folder, trap):
    """Puts a pickle that runs code where the kernel is kept."""
    run()
    care.save(folder, file_in(folder).name, pickle.dumps(Planted(trap)))


def test_a_planted_file_would_run(folder, tmp_path):
    """So that the tests below mean something."""
    plant(folder, tmp_path / "trap")
    run("damaged")
    assert (tmp_path / "trap").exists()


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702], ids=["group", "all"])
@pytest.mark.parametrize("which", ["folder", "file"])
def test_what_others_can_write_is_not_read(folder, tmp_path, which, mode):
    plant(folder, tmp_path / "trap")
    path = folder if which == "folder" else file_in(folder)
    path.chmod(mode)
    before = file_in(folder).stat()
    assert run(f"{path} can be written by others .mode {mode:o}., so nothing is read from it") > 0
    assert not (tmp_path / "trap").exists()
    if which == "folder":
        assert file_in(folder).stat() == before, "nor is anything written there"
        care._warn.cache_clear()
        with pytest.warns(CacheWarning, match="compiled in each run"):
            assert care.folder_for(folder.name) is None


@needs_root
@pytest.mark.parametrize("which", ["folder", "file"])
def test_what_belongs_to_others_is_not_read(folder, tmp_path, which):
    plant(folder, tmp_path / "trap")
    path = folder if which == "folder" else file_in(folder)
    os.chown(path, STRANGER, STRANGER)
    assert run(f"{path} belongs to another user .number {STRANGER}., so nothing is read") > 0
    assert not (tmp_path / "trap").exists()


@posix
def test_a_link_in_the_folder_s_place_is_not_followed(folder, tmp_path):
    plant(folder, tmp_path / "trap")
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert run("cannot be used") > 0
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("function", ["open", "replace"])
def test_a_disk_that_refuses_is_said_once(folder, monkeypatch, function):
    """The temporary file cannot be made, or the last step fails; nothing stays behind."""
    called = getattr(os, function)

    def refuse(path, *rest, **options):
        if str(path).endswith(".tmp"):
            raise OSError(28, "No space left on device", path)
        return called(path, *rest, **options)

    monkeypatch.setattr(os, function, refuse)
    assert run("cannot be used .No space left on device.: kernels are compiled in each run") > 0
    assert list(folder.iterdir()) == []


def places(monkeypatch, tmp_path, home):
    """No folder is named; home: what asking for it gives or raises."""
    for name in (care.VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def ask(*_):
        if isinstance(home, Exception):
            raise home
        return home

    monkeypatch.setattr(Path, "home", ask)
    monkeypatch.setattr(care.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "file").write_text("")
    care._warn.cache_clear()


@pytest.mark.parametrize("home", ["none", "a file"])
def test_without_a_home_a_temporary_folder_of_one_s_own_will_do(monkeypatch, tmp_path, home):
    asked = RuntimeError("no home") if home == "none" else tmp_path / "file"
    places(monkeypatch, tmp_path, asked)
    why = "there is no home folder" if home == "none" else "cannot be used .Not a directory."
    with pytest.warns(CacheWarning, match=f"{why}: kernels are kept in") as said:
        folder = care.folder_for("k")
    assert len(said) == 1 and folder.parent == tmp_path / "temporary"
    if care.OWNERS:
        assert folder.stat().st_mode & 0o777 == 0o700 and str(os.getuid()) in folder.name
        folder.chmod(0o777)
        care._warn.cache_clear()
        with pytest.warns(CacheWarning, match="can be written by others .mode 777.") as said:
            assert care.folder_for("k") is None
        assert len(said) == 1


def test_nowhere_at_all(monkeypatch, tmp_path):
    places(monkeypatch, tmp_path, RuntimeError("no home"))
    (tmp_path / "temporary").rmdir()
    (tmp_path / "temporary").write_text("a file")
    with pytest.warns(CacheWarning, match="nor can a temporary folder .File exists.") as said:
        assert care.folder_for("k") is None
    assert len(said) == 1


def test_types_that_share_a_name_have_files_of_their_own():
    class Model:
        __module__, __qualname__, fields, types = "one", "Mine", ("x",), ("int64",)

    class Other(Model):
        __module__, __qualname__ = "two", "Mine"

    def kind(cls):
        return type("Type", (), {"instance_class": cls, "fields": cls.fields, "types": cls.types})()

    assert jit._in_words(kind(Model)) == "one.Mine(x: int64)"
    assert jit._in_words(kind(Other)) == "two.Mine(x: int64)"


# --- numba that compiles nothing, and Ctrl-C ---------------------------------------------------


def test_without_numba_s_compiler_a_kernel_says_what_to_do(monkeypatch):
    monkeypatch.setattr(jit.CONFIG, "DISABLE_JIT", 1)
    with pytest.raises(InputError) as caught:
        jit.kernel(half)(3)
    assert str(caught.value) == (
        "NUMBA_DISABLE_JIT: expected 0 or nothing, as simulations run compiled code only, found 1; "
        "unset it"
    )


def press():
    """Ctrl-C inside a function that C calls, where Python swallows it."""
    ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))()


class Pressing(Compiled):
    def on_end(self, event):
        press()


@pytest.fixture
def ctrl_c():
    """The signal does what it does by default, also in background jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@posix
def test_ctrl_c_while_llvm_calls_back_is_not_swallowed(folder, ctrl_c):
    kernel = jit.kernel(half)
    with numba.core.event.install_listener("numba:compile", Pressing()):
        with pytest.raises(KeyboardInterrupt):
            kernel(3)
    assert kernel(3) == 1.5, "and the next call goes on"


@posix
def test_ctrl_c_that_makes_the_caller_fail_is_still_ctrl_c(ctrl_c):
    hook = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), heeding():
        press()
        raise ValueError("what C makes of it")
    with pytest.raises(ValueError, match="a defect"), heeding():
        raise ValueError("a defect")
    assert sys.unraisablehook is hook


def test_threads_leave_the_hook_alone():
    inside = []

    def work():
        with heeding():
            inside.append(sys.unraisablehook)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [sys.unraisablehook]


# --- two processes at once ---------------------------------------------------------------------

# Compiles `half` for an int (process a) or a float (process b), and stops before each file that is
# put in its place until the other is as far: both have found an empty cache then. The last one to
# put a file there is a.
TWO = """
import os, sys, time
from pathlib import Path
import numba
sys.path.insert(0, sys.argv[4])
here, me, cache = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
from halves import half

def mark(name):
    (here / name).touch()

def wait(name):
    end = time.monotonic() + 60
    while not (here / name).exists():
        assert time.monotonic() < end, name
        time.sleep(0.01)

replace, count = os.replace, []
def put(*arguments, **options):
    count.append(1)
    mark(f"{me}{len(count)}")
    wait("b1" if me == "a" else "a1")
    if me == "a" and len(count) == 2:
        wait("b done")
    if me == "b" and len(count) == 1 and cache == "numba's":
        wait("a2")
    replace(*arguments, **options)

if me != "c":
    os.replace = put
if cache == "numba's":
    numba.config.CACHE_DIR = str(here / "cache")
    kernel = numba.njit(cache=True)(half)
else:
    from eventsnn.engine import jit
    kernel = jit.kernel(half)
if me == "c":
    print(kernel(2.5))
else:
    kernel(5 if me == "a" else 2.5)
mark(f"{me} done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["ours", "numba's"])
def test_two_first_runs_at_once_leave_each_its_own_code(tmp_path, cache):
    """A third process, with a float, gets a float's code.

    With numba's own cache it gets the whole number's, 2 / 2 for 2.5 / 2: both processes find no
    index, so both name their file number 1.
    """
    (tmp_path / "halves.py").write_text("def half(x):\n    return x / 2\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(eventsnn.__file__).parents[1]),
        care.VARIABLE: str(tmp_path / "cache"),
    }

    def start(name):
        arguments = [sys.executable, "-c", TWO, str(tmp_path), name, cache, str(tmp_path)]
        return subprocess.Popen(
            arguments, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    for process in [start("a"), start("b")]:
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
    out, _ = start("c").communicate(timeout=120)
    assert (out == "1.25\n") is (cache == "ours"), out


KERNEL = """
import numba.core.event
import numpy as np
from eventsnn.engine import jit


def double(x):
    return x + x


class Compiled(numba.core.event.Listener):
    count = 0

    def on_start(self, event):
        self.count += 1

    def on_end(self, event):
        pass


with numba.core.event.install_listener("numba:compile", Compiled()) as compiled:
    assert jit.kernel(double)(3) == 6
print(compiled.count)
"""


@pytest.mark.slow
def test_processors_do_not_take_each_others_code(tmp_path):
    """Neither of another name nor with other features, out of one folder."""
    file = tmp_path / "kernel.py"
    file.write_text(KERNEL)
    paths = [str(Path(eventsnn.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    given = {**os.environ, care.VARIABLE: str(tmp_path / "cache")}
    given["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    counts = []
    for name, features in (("generic", ""), ("nehalem", ""), ("nehalem", "+sse4.2,+popcnt")) * 2:
        names = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
        done = subprocess.run(
            [sys.executable, str(file)], env={**given, **names}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        counts.append(int(done.stdout))
    assert counts[:3] == [counts[0]] * 3 and counts[0] > 0
    assert counts[3:] == [0, 0, 0]
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) == 3
