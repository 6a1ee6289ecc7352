"""What numba declares before it loads a first kernel, without what no kernel here needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any


def declare() -> None:
    """Has numba make its declarations, in half of the time that it takes by itself.

    It would import scipy.linalg to see that it is there (what a compiled function needs of it is
    imported when the function is called), and begin again inside for each of 250 functions. Where a
    version of numba is made in another way, it declares by itself.
    """
    with suppress(ImportError, AttributeError):
        from numba.core.compiler_lock import global_compiler_lock
        from numba.core.registry import cpu_target

        with global_compiler_lock:
            with _without_blas():
                import numba.np.arraymath  # noqa: F401
            target = cpu_target.target_context
            with _in_place(target, "refresh"):
                type(target).refresh(target)
            target.refresh()


@contextmanager
def _without_blas() -> Iterator[None]:
    """Inside `with`, numba takes it for granted that BLAS is there, where scipy is."""
    from numba.np import linalg

    if find_spec("scipy.linalg") is None:
        yield
        return
    with _in_place(linalg, "ensure_blas"):
        yield


@contextmanager
def _in_place(holder: Any, name: str) -> Iterator[None]:
    """Inside `with`, a function of `holder` does nothing. name: the function's."""
    own = name in vars(holder)
    before = getattr(holder, name)
    setattr(holder, name, lambda: None)
    try:
        yield
    finally:
        if own:
            setattr(holder, name, before)
        else:
            delattr(holder, name)
