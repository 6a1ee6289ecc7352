"""A way of reading a file that is tried first, in a copy of the process (`trial`), once a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from eventsnn.exceptions import InputError
from eventsnn.files.reading import MEMORY, SECONDS
from eventsnn.files.trial import trial

RATE = 2**24  # bytes that are read in a second at least


class _Way:
    """An action that counts as the same as another with an equal key."""

    def __init__(self, key: tuple[object, ...], action: Callable[[], object]) -> None:
        self.key = key
        self.action = action

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Way) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def run(self) -> None:
        """Takes the action; of what Python raises, only a lack of room counts here."""
        with suppress(InputError, Warning):
            try:
                self.action()
            except MemoryError:
                raise
            except Exception as error:
                if "alloc" in str(error):  # HDF5's own messages
                    raise MemoryError from error


def try_first(
    path: str | os.PathLike[str], action: Callable[[], object], size: int = 0, *key: object
) -> None:
    """Runs an action on a file in a copy of this process, if that was not done before.

    path: the file. action: reads from it, and is repeated here afterwards. size: bytes that it
    reads at most. key: what else the action depends on. Raises InputError where the copy crashes,
    or needs more time or memory than is right.
    """
    state = os.stat(path)
    stamp = (os.fspath(path), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    found = _tried(_Way((*stamp, size, *key), action), size)
    if found:
        do = "it is damaged: copy or download it again"
        raise InputError(path, "a file that can be read", found, do)


@lru_cache
def _tried(way: _Way, size: int) -> str:
    """How an action ends: "", or what became of it. size: bytes that it reads."""
    least, most = SECONDS
    seconds = min(least + size // RATE, 10 * most)
    found = trial(way.run, seconds, MEMORY + 2 * size)
    way.action = lambda: None  # nobody keeps what it holds
    return found
