"""How kernels are compiled: without the GIL, and cached on disk for the sources as they are.

Numba does not see that a function which a kernel calls has changed in another file, so the cache
folder is named after a hash of all kernel sources. Set EVENTSNN_CACHE_DIR to move it.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numba

INNER_OPTIONS: dict[str, Any] = {
    "_nrt": False,
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
# of numba's `overload`, for functions that are chosen by type and inlined like inner kernels
INNER: Any = {"nogil": True, "error_model": "numpy", **INNER_OPTIONS}
KERNELS = ("engine/**/*.py", "neurons/*.py")


class Kernel(Hashable, Protocol):
    """A compiled function; `py_func` is the function it was made of."""

    py_func: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """Runs the compiled code on these arguments; returns what the function returns."""


@cache
def cache_dir() -> str:
    """Returns the folder of this version's compiled kernels, which it makes.

    Where the usual place cannot be written, the folder is one for temporary files. Raises OSError
    where that cannot be written either.
    """
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for pattern in KERNELS for path in package.glob(pattern)):
        digest.update(path.read_bytes())
    folder = _cache_root() / f"{digest.hexdigest()[:16]}-numba{numba.__version__}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"eventsnn-{user}" / folder.name
        folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _cache_root() -> Path:
    """The folder for the kernels of all versions, as the environment says."""
    given = os.environ.get("EVENTSNN_CACHE_DIR")
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "eventsnn"


def kernel(function: Callable[..., Any]) -> Kernel:
    """Compiles a function lazily: without the GIL, cached, no exceptions from division.

    function: what numba can compile. Returns the kernel.
    """
    return _compile(function, cache_dir(), cache=True)


def inner_kernel(function: Callable[..., Any]) -> Kernel:
    """Compiles a function that only kernels call, and that allocates nothing.

    It is always inlined into its callers, cached with them, and has no reference counts. A call
    would copy every array of every NamedTuple, and would cost more than the work of a short row;
    reference counts would, too. It has no entry from Python or C either: such an entry, which takes
    tables and state apart, doubles the time of compiling.

    function: what numba can compile. Returns the kernel, which raises TypeError when Python calls
    it.
    """
    inner = _compile(function, None, **INNER_OPTIONS)

    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError(f"{function.__name__} can be called by kernels only")

    # numba's own would call the entry that is not there
    inner._insert = lambda *_: None
    inner._compile_for_args = refuse
    return inner


def specialised(dispatcher: Kernel, *constants: Any) -> Kernel:
    """Returns the kernel to call with these NamedTuples.

    It is the kernel itself for eventsnn's own classes, else a copy with a cache of its own. Numba's
    index of what it compiled names the classes, so one that cannot be imported would spoil the
    cache for every other run; and a change in a class's file must recompile. So the copy's cache is
    named after the files of the classes. Where a class has no file, as in a notebook, nothing is
    cached.

    dispatcher: the kernel. constants: the NamedTuples among its arguments whose classes may come
    from outside (a model, an order).
    """
    package = __name__.partition(".")[0]
    classes = [type(c) for c in constants]
    outside = tuple(c for c in classes if c.__module__.partition(".")[0] != package)
    return _copy(dispatcher, outside) if outside else dispatcher


@cache
def _copy(dispatcher: Kernel, classes: tuple[type, ...]) -> Kernel:
    digest = hashlib.sha256()
    try:
        for c in classes:
            name = f"{c.__module__}.{c.__qualname__}"
            digest.update(name.encode() + Path(inspect.getfile(c)).read_bytes())
    except (OSError, TypeError):
        return _compile(dispatcher.py_func, None)
    folder = Path(cache_dir()) / f"outside-{digest.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return _compile(dispatcher.py_func, str(folder), cache=True)


def _compile(function: Callable[..., Any], folder: str | None, **options: Any) -> Any:
    """Numba's dispatcher for a function. folder: of its cache. options: of numba's njit."""
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = folder or before
    try:
        return numba.njit(nogil=True, error_model="numpy", **options)(function)
    finally:
        config.CACHE_DIR = before
