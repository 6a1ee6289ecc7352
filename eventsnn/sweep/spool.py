"""Calls handed to jobs through files, where a batch system offers no other way.

    FOLDER/driver        touched by the driver while it is at work
    FOLDER/1/000000.in   calls for job 1, pickled; it makes them one after the other
    FOLDER/1/000000.out  what came of them, pickled

A file appears whole, and each has one writer, so nothing is locked. A job that is begun anew goes
on with the calls that have no answer.
"""

from __future__ import annotations

import os
import pickle
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from eventsnn.sweep.lease import age_of

PATIENCE = 60.0  # seconds without a sign of the driver after which a job ends
LOOKS = 0.1  # seconds between two looks into a folder


class Serve:
    """What a job does: it makes the calls of its folder until the driver has ended, or is gone.

    folder: the spool. number: of the job. patience: seconds, as PATIENCE.
    """

    def __init__(self, folder: str, number: int, patience: float = PATIENCE) -> None:
        self.folder = folder
        self.number = number
        self.patience = patience

    def __repr__(self) -> str:
        return f"<Serve {self.folder}, job {self.number}>"

    def __call__(self) -> int:
        """Serves; returns how many calls were made."""
        spool = Path(self.folder)
        mine = spool / str(self.number)
        count, heard = 0, time.monotonic()
        while mine.exists():
            for place in waiting(mine):
                write(place.with_suffix(".out"), called(place))
                count += 1
                heard = time.monotonic()
            if time.monotonic() - heard > self.patience / 4:
                heard = time.monotonic()
                seen = age_of(spool / "driver")
                if seen is None or seen > self.patience:
                    break
            time.sleep(LOOKS)
        return count

    def checkpoint(self) -> Any:
        """What submitit starts in place of a job that is out of time, or gives way to others."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def waiting(folder: Path) -> list[Path]:
    """Calls without an answer, the first ones first. folder: of a job."""
    try:
        names = set(os.listdir(folder))
    except OSError:
        return []
    calls = sorted(name for name in names if name.endswith(".in"))
    return [folder / name for name in calls if name.removesuffix(".in") + ".out" not in names]


def called(place: Path) -> tuple[bool, Any]:
    """(whether it returned, what it returned or raised) of a call. place: its file."""
    try:
        function, arguments = pickle.loads(place.read_bytes())
        return True, function(*arguments)
    except Exception as error:  # the driver raises it
        return False, error


def write(place: Path, thing: Any) -> None:
    """Writes a thing, pickled, whole or not at all. place: of the file."""
    try:
        content = pickle.dumps(thing)
    except Exception as error:  # an exception that cannot be pickled
        content = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    part = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):  # the driver ended meanwhile
        part.write_bytes(content)
        os.replace(part, place)


def answer(place: Path) -> tuple[bool, Any] | None:
    """What came of a call; None where there is no answer yet. place: of the call's file."""
    try:
        found = pickle.loads(place.with_suffix(".out").read_bytes())
    except OSError:
        return None
    except Exception as error:  # what this process cannot unpickle
        return False, error
    returned, thing = found
    return bool(returned), thing
