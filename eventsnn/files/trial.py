"""What may end badly is tried first, in a copy of this process with little time and memory."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

try:
    import resource
except ImportError:  # neither Linux nor macOS
    resource = None  # type: ignore[assignment]

WAIT = 60  # seconds of the clock at least, and ten for each of computing
NO_ROOM = 3  # exit status


def trial(action: Callable[[], object], seconds: int, memory: int) -> str:
    """How an action ends: "" where it comes to an end, or else what became of it.

    action: what is tried. It must not wait for other threads, which the copy does not have.
    seconds: of computing. memory: bytes beside what this process has (Linux). Where processes
    cannot be copied, nothing is tried.
    """
    if not hasattr(os, "fork") or resource is None:
        return ""
    try:
        with warnings.catch_warnings():  # of threads, which the copy has no need of
            warnings.simplefilter("ignore", DeprecationWarning)
            copy = os.fork()
    except OSError as error:
        return f"no process to try it in ({error})"
    if not copy:
        _try(action, seconds, memory)
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    except ChildProcessError:
        return "a trial of which nobody knows the end"
    except BaseException:  # Ctrl-C
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)
        raise
    if status in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL):
        return f"work for more than {seconds} seconds"
    if status == NO_ROOM:
        return f"a need of more than {memory:,} bytes"
    return "" if not status else f"a crash (status {status})"


def _try(action: Callable[[], object], seconds: int, memory: int) -> None:
    """Ends this process after an action, or in it."""
    status = 1
    try:
        faulthandler.disable()
        gc.disable()  # what belongs to the other process is left alone
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in 1, 2:
            os.dup2(null, stream)  # what C writes before it aborts
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        signal.alarm(max(WAIT, 10 * seconds))
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_CPU, seconds)
        statm = Path("/proc/self/statm")
        if statm.is_file():
            pages = int(statm.read_text().split()[0])
            _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
        action()
        status = 0
    except MemoryError:
        status = NO_ROOM
    finally:
        os._exit(status)


def _limit(kind: int, most: int) -> None:
    """Lowers one of this process's limits; those that are lower already stay."""
    soft, hard = resource.getrlimit(kind)
    least = min(most, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY), most)
    resource.setrlimit(kind, (least, hard))
