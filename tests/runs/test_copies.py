"""Work in a copy of the process: what it returns, and what becomes of it where it fails."""

import os
import subprocess
import sys
import time

import pytest

from eventsnn.runs import copies

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is copied")


@pytest.fixture
def free(monkeypatch):
    """This process may be copied, though there may be threads."""
    monkeypatch.setattr(copies, "may_copy", lambda: True)


@LINUX
def test_what_a_copy_returns_comes_back(free):
    wait = copies.begun(lambda: (os.getpid(), "x" * 10**6))
    number, text = wait()
    assert number != os.getpid()
    assert text == "x" * 10**6


def test_without_a_copy_the_action_is_taken_here(monkeypatch):
    monkeypatch.setattr(copies, "may_copy", lambda: False)
    assert copies.begun(os.getpid)() == os.getpid()


@LINUX
def test_what_a_copy_raises_is_raised_here(free):
    def fails():
        raise ArithmeticError("by 3")

    with pytest.raises(ArithmeticError, match="by 3"):
        copies.begun(fails)()


@LINUX
def test_where_a_copy_is_killed_the_action_is_taken_here(free):
    here = os.getpid()

    def killed():
        if os.getpid() != here:
            os.kill(os.getpid(), 9)
        return "done"

    assert copies.begun(killed)() == "done"


@LINUX
def test_where_there_is_no_room_for_a_process_the_action_is_taken_here(free, monkeypatch):
    def refused():
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    assert copies.begun(os.getpid)() == os.getpid()


@LINUX
def test_a_copy_does_not_hold_a_lock(free, tmp_path):
    with open(tmp_path / "lock", "w") as lock:
        number = lock.fileno()

        def held():
            return os.path.realpath(f"/proc/self/fd/{number}") == os.path.realpath(lock.name)

        assert not copies.begun(held, number)()
        assert copies.begun(held)()


@LINUX
def test_a_copy_ends_with_the_process_that_was_killed():
    code = (
        "import os, time\n"
        "from eventsnn.runs.copies import copied\n"
        "print(copied(lambda: time.sleep(600)), flush=True)\n"
        "time.sleep(1)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    copy = int(done.stdout)
    for _ in range(300):
        if is_dead(copy):
            return
        time.sleep(0.1)
    os.kill(copy, 9)
    pytest.fail("the copy is still there")


def is_dead(number):
    """Whether a process has ended, though nobody may have asked how."""
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
