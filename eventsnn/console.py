"""What every command does around its work: streams of any kind, refusals, exit statuses."""

from __future__ import annotations

import builtins
import errno
import gc
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from threading import Timer, main_thread
from types import TracebackType
from typing import Any, TextIO

from eventsnn.command_line import Parser as Parser
from eventsnn.exceptions import InputError, one_line

STOPPED = 130  # 128 + SIGINT, as shells have it
OBJECTS = 100_000  # that are made before Python looks for garbage
AGAIN = 0.01  # seconds until a Ctrl-C that was lost is raised once more


def explain(error: OSError) -> InputError:
    """The system's refusal as an InputError."""
    where = error.filename or "files"
    found = error.strerror or error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        do = "make room; the same command then goes on from the last whole batch"
        return InputError(where, "room for the results", found, do)
    do = "check the path, its permissions and its disk"
    return InputError(where, "files that can be read and written", found, do)


def tell(words: str) -> None:
    """Prints a line on standard error, if there is one."""
    if sys.stderr is not None:
        print(f"eventsnn: {words}", file=sys.stderr)


def fail(error: InputError) -> int:
    """Prints an error on standard error, in one line; returns the exit status, 2."""
    tell(f"error: {one_line(error.flags, 4000)}")
    return 2


def answer(work: Callable[[], int], memory: tuple[str, str], stopped: str = "stopped") -> int:
    """The exit status of a command's work: its own, or after one line 2 for wrong input and 130.

    work: what the command does. memory: what there was too little memory for, and what to do.
    stopped: what is said after Ctrl-C. BrokenPipeError is left to `command`.
    """
    try:
        return work()
    except InputError as error:
        return fail(error)
    except MemoryError:
        return fail(InputError("memory", memory[0], "none left", memory[1]))
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail(explain(error))
    except KeyboardInterrupt:
        tell(stopped)
        return STOPPED


def shared() -> bool:
    """Whether a user goes on working in this process, as in a notebook (`%run`) or `python -i`."""
    return hasattr(builtins, "__IPYTHON__") or bool(sys.flags.interactive)


def begin() -> None:
    """What comes before a command's imports: from here on, Ctrl-C and warnings are one line each.

    A Ctrl-C that Python loses is raised once more. Garbage is looked for seldom, as imports leave
    none. Does nothing where the process is `shared`.
    """
    if shared():
        return
    gc.set_threshold(OBJECTS)
    hook, show, ignore = sys.excepthook, warnings.showwarning, sys.unraisablehook

    def end(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            tell("stopped")
            _leave()
        hook(kind, error, traceback)

    def once_more(unraisable: Any) -> None:
        # what the interpreter calls, as when it drops an object, cannot raise
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            again = Timer(AGAIN, signal.pthread_kill, (main_thread().ident, signal.SIGINT))
            again.daemon = True
            again.start()
        else:
            ignore(unraisable)

    def say(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is None and category.__module__.startswith("eventsnn."):
            tell(f"warning: {one_line(message, 4000)}")
        else:
            show(message, category, filename, lineno, file, line)

    sys.excepthook, warnings.showwarning, sys.unraisablehook = end, say, once_more


def command(main: Callable[[], int]) -> int | str | None:
    """Runs a command, its `main`, on terminals and pipes of any kind.

    Returns the exit status, or None where the process is `shared` and goes on.
    """
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # names may hold what the terminal cannot show
    status: int | str | None
    try:
        status = main()
    except SystemExit as end:  # after --help and --version
        status = end.code
    except BrokenPipeError:  # nobody reads on, as in `… | head`
        status = 0
    except OSError as error:
        status = fail(explain(error))
    if shared():
        return None  # what was to be said is said; a status would be shown as a traceback
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done
    if status == STOPPED:
        _leave()
    try:
        _flush(sys.stdout)
    except OSError:  # nobody reads on, or there is no room; keep Python from trying once more
        with suppress(OSError, AttributeError):  # it may be no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _flush(stream: TextIO | None) -> None:
    """Flushes a stream, if it is one that can be. Raises OSError."""
    with suppress(AttributeError, ValueError):  # none, or without that, or closed
        stream.flush()  # type: ignore[union-attr]


def _leave() -> None:
    """Ends the process at once, as stopped.

    Python would wait for the threads' batches, which nobody wants any more.
    """
    for stream in sys.stdout, sys.stderr:
        with suppress(OSError):
            _flush(stream)
    os._exit(STOPPED)
