"""What a folder was made from, for runs and studies: is it this very command, and if not, what
differs?
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numba
import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.inputs.without import places
from eventsnn.settings import Settings, flag_of
from eventsnn.version import VERSION

MOST_FILES = 10_000  # of a folder, that are looked at
SHOWN = 4  # differences in a message
OWN_CODE = "eventsnn's own code"
OVERWRITE = "give --overwrite to replace it, or choose another --out"


def versions() -> dict[str, str]:
    """Name -> version of what computes."""
    return {
        "eventsnn": VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "h5py": h5py.__version__,
        "machine": platform.machine(),
    }


def hash_of_sources() -> str:
    """A hash of this package, in hexadecimal digits: another version's batches may differ."""
    result = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        result.update(path.read_bytes())
    return result.hexdigest()


def stamps(settings: Settings, *more: str) -> dict[str, str]:
    """Absolute path -> stamp of every file and folder that a command reads; none of what is not
    there.

    A stamp changes with names, sizes and times of last change; nothing is opened. settings: of the
    command. more: paths of further files.
    """
    named = [settings.net, settings.arch, settings.thresholds_file, *more]
    named += settings.plugin.split(",") if settings.plugin else []
    named += [settings.data] if settings.data is not None else map(str, places(settings))
    return {
        os.path.abspath(path): _stamp(path)
        for path in named
        if path not in (None, "sample") and os.path.exists(path)
    }


def _stamp(path: str) -> str:
    """16 hexadecimal digits that names, sizes and times of last change decide."""
    found = [Path(path)]
    if found[0].is_dir():
        found += sorted(islice(found[0].rglob("*"), MOST_FILES))
    states = [(str(each), os.stat(each)) for each in found if each.is_file()]
    text = repr([(name, state.st_size, state.st_mtime_ns) for name, state in states])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """ "--steps 9 (now 7)" for each option that differs.

    before, now: option -> value, of what is there and of this command.
    """
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    return [
        f"{flag_of(name)} {worded(before.get(name))} (now {worded(now.get(name))})"
        for name in names
    ]


def of_other_versions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """ "numpy 1.26.4 (now 2.1.0)" for each version that differs. before, now: name -> version."""
    return [
        f"{name} {before.get(name) or 'unknown'} (now {now[name]})"
        for name in now
        if before.get(name) != now[name]
    ]


def worded(value: Any) -> str:
    """An option's value as the command line has it. value: the option's."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "none"
    if value is None or value is False or value == "":
        return "none"
    return "given" if value is True else str(value)


def refusal(out: object, what: str, differences: Iterable[str]) -> InputError:
    """The InputError for a folder that holds something else.

    out: as it was given. what: stands there. differences: of `differing` and the like.
    """
    found = list(differences)
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    told = f", of {', '.join(found[:SHOWN])}{more}" if found else ""
    return InputError(
        f"--out {out}", "nothing yet, or this command's own results", what + told, OVERWRITE, 600
    )
