"""What every command does around its work: terminals and pipes of any kind, refusals in one line,
exit statuses.
"""

from __future__ import annotations

import errno
import os
import sys

from eventsnn.exceptions import InputError, one_line

STOPPED = 130  # 128 + SIGINT, as shells have it


def explain(error):
    """The system's refusal as an InputError."""
    where, found = error.filename or "files", error.strerror or error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return InputError(
            where,
            "room for the results",
            found,
            "make room; the same command then goes on from the last whole batch",
        )
    return InputError(
        where,
        "files that can be read and written",
        found,
        "check the path, its permissions and its disk",
    )


def fail(error):
    print(f"eventsnn: error: {one_line(error, 4000)}", file=sys.stderr)
    return 2


def start(main):
    """Runs a command, its `main`, on terminals and pipes of any kind; returns the exit status."""
    for stream in sys.stdout, sys.stderr:
        stream.reconfigure(
            errors="replace"
        )  # names in files may hold what the terminal cannot show
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
        os._exit(
            status
        )  # at once: Python would wait for the threads' batches, which nobody wants any more
    return status
