"""Ctrl-C where Python would lose it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def heeding() -> Iterator[None]:
    """Raises KeyboardInterrupt at the end of the block where one was swallowed inside.

    What C calls back, as LLVM does when it has compiled something, cannot raise: Python prints the
    exception and goes on, or the caller fails with an error of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C reaches the main thread only
        return
    lost = False
    before = sys.unraisablehook

    def note(unraisable: Any) -> None:
        nonlocal lost
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            lost = True
        else:
            before(unraisable)

    sys.unraisablehook = note
    try:
        yield
    except Exception:
        if not lost:
            raise
    finally:
        sys.unraisablehook = before
    if lost:
        raise KeyboardInterrupt
