"""Thresholds that a file gives: --thresholds FILE.json."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from typing import Any, NamedTuple, NoReturn

from eventsnn.exceptions import InputError, one_line

# bytes of a file: 10^7 numbers
MAX_FILE = 2**28
EXAMPLE = 'for example {"act1": 1.5, "act2": [0.5, 0.75]}'


class Given(NamedTuple):
    """What a file gives.

    path: the file. thresholds: name of a layer -> number or nested list. sha256: of its bytes, in
    hexadecimal digits.
    """

    path: str
    thresholds: dict[str, Any]
    sha256: str

    @property
    def words(self) -> str:
        """Where the thresholds are from."""
        return f"given in {one_line(self.path)}, sha256 {self.sha256}"

    def __repr__(self) -> str:
        return f"<Given: thresholds of {len(self.thresholds)} layers, {self.words}>"


def read_thresholds(path: str) -> Given:
    """The thresholds in a JSON file: an object, name of a layer -> number or nested list.

    path: the file. Raises InputError for what is no file, cannot be read, is larger than 256 MiB,
    or is not JSON; for NaN and infinities, for a name that is there twice, and for anything but an
    object. What the values are worth is for `convert` to say.
    """
    where = f"--thresholds {path}"
    data = _bytes(where, path)

    def constant(name: str) -> NoReturn:
        raise InputError(where, "finite numbers", name, "JSON has no such number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            ((name, times),) = Counter(name for name, _ in pairs).most_common(1)
            raise InputError(where, "each name once", f"{name!r} {times} times", "keep one of them")
        return found

    try:
        found = json.loads(data, parse_constant=constant, object_pairs_hook=once)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(where, "a JSON file", f"one that is not ({error})", EXAMPLE) from None
    if not isinstance(found, dict):
        raise InputError(where, "a JSON object of layers", type(found).__name__, EXAMPLE)
    return Given(path, found, hashlib.sha256(data).hexdigest())


def read_given(path: str | None) -> Given | None:
    """`read_thresholds` of a file; None where there is none.

    path: the file, or None. Raises InputError as `read_thresholds` does.
    """
    return read_thresholds(path) if path else None


def _bytes(where: str, path: str) -> bytes:
    """What is in a file that is not too large. where: for messages."""
    expected = "a file that can be read"
    do = "check the path"
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            found = "a directory" if stat.S_ISDIR(mode) else "a device or pipe"
            raise InputError(where, expected, found, do)
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise InputError(where, expected, "nothing of that name", do) from None
    except OSError as error:
        raise InputError(where, expected, error.strerror or error, do) from None
    except ValueError as error:  # a path that no system has
        raise InputError(where, expected, error, do) from None
    if len(data) > MAX_FILE:
        expected = f"at most {MAX_FILE:,} bytes"
        raise InputError(where, expected, "more", "give thresholds by layer or channel")
    return data
