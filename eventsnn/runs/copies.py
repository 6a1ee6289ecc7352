"""Work that a copy of this process does while this one goes on."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

DONE = 0  # exit status of a copy that did what it was to do
FAILED = 1
END_WITH_PARENT = 1  # Linux's PR_SET_PDEATHSIG


def may_copy() -> bool:
    """Whether a copy of this process is safe: on Linux, without other threads of Python."""
    return sys.platform == "linux" and threading.active_count() == 1


def copied(action: Callable[[], object], *handles: int) -> int:
    """The number of a copy of this process, which ends after an action.

    Its exit status is DONE, or FAILED where the action raises. Ctrl-C does not end it, and it holds
    none of the standard streams. action: what it does. handles: of open files that it closes first.
    Raises OSError where there is no room for a process.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    copy = -1
    try:
        with warnings.catch_warnings():  # of threads, which the copy has no need of
            warnings.simplefilter("ignore", DeprecationWarning)
            copy = os.fork()
    finally:
        if copy:  # here, also where there was no room for a copy
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if copy:
        return copy
    status = FAILED
    try:
        _end_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for handle in handles:
            os.close(handle)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in 0, 1, 2:  # whoever reads them waits for this process alone
            os.dup2(null, stream)
        action()
        status = DONE
    finally:
        os._exit(status)


def _end_with_parent() -> None:
    """Has the system end this process as soon as the one that it is a copy of has ended."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)


def piped() -> tuple[int, int]:
    """Both ends of a pipe, to read and to write. Raises OSError where it would be a stream."""
    ends = os.pipe()
    if min(ends) > 2:
        return ends
    for end in ends:
        os.close(end)
    raise OSError(None, "a standard stream is closed")


def status_of(copy: int) -> int:
    """The exit status of a copy, once it has ended. copy: its number."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    except ChildProcessError:  # somebody else has heard of its end
        return FAILED


def killed(copy: int) -> None:
    """Ends a copy. copy: its number."""
    with suppress(ProcessLookupError):
        os.kill(copy, signal.SIGKILL)
    status_of(copy)


def begun(action: Callable[[], T], *handles: int) -> Callable[[], T]:
    """Begins an action in a copy; returns a function that waits and returns what it returned.

    Where there is no copy, or the copy fails, the function takes the action here, and raises what
    it raises. action: returns what can be pickled, and changes nothing. handles: of open files that
    the copy is not to hold, as locks.
    """
    if not may_copy():
        return action
    try:
        end, into = piped()
    except OSError:
        return action
    try:
        copy = copied(lambda: _send(into, action()), end, *handles)
    except OSError:
        os.close(end)
        return action
    finally:
        os.close(into)

    def wait() -> T:
        try:
            with open(end, "rb") as pipe:
                content = pipe.read()
        except BaseException:  # Ctrl-C
            killed(copy)
            raise
        if status_of(copy) != DONE:
            return action()
        found: T = pickle.loads(content)
        return found

    return wait


def _send(into: int, found: object) -> None:
    with open(into, "wb") as pipe:
        pickle.dump(found, pipe)
