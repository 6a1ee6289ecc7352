"""What every command does around its work: streams of any kind, refusals, exit statuses."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable

from eventsnn.exceptions import InputError, one_line

STOPPED = 130  # 128 + SIGINT, as shells have it


def explain(error: OSError) -> InputError:
    """The system's refusal as an InputError."""
    where = error.filename or "files"
    found = error.strerror or error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        do = "make room; the same command then goes on from the last whole batch"
        return InputError(where, "room for the results", found, do)
    do = "check the path, its permissions and its disk"
    return InputError(where, "files that can be read and written", found, do)


def fail(error: InputError) -> int:
    """Prints an error on standard error, in one line; returns the exit status, 2."""
    print(f"eventsnn: error: {one_line(error.flags, 4000)}", file=sys.stderr)
    return 2


def command(main: Callable[[], int]) -> int | str | None:
    """Runs a command, its `main`, on terminals and pipes of any kind; returns the exit status."""
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
    try:
        sys.stdout.flush()
    except OSError:  # nobody reads on, or there is no room; keep Python from trying once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if status == STOPPED:
        sys.stderr.flush()
        # at once: Python would wait for the threads' batches, which nobody wants any more
        os._exit(STOPPED)
    return status
