"""How kernels are compiled: without the GIL, and cached on disk for the sources as they are.

Numba does not see that a function which a kernel calls has changed in another file, so the cache
folder is named after a hash of all kernel sources. Set EVENTSNN_CACHE_DIR to move it.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
from functools import cache
from pathlib import Path

import numba

KERNELS = ("engine/**/*.py", "neurons/*.py")


@cache
def cache_dir():
    """The folder of this version's compiled kernels; made where possible."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for pattern in KERNELS for path in package.glob(pattern)):
        digest.update(path.read_bytes())
    root = (
        os.environ.get("EVENTSNN_CACHE_DIR")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eventsnn"
    )
    folder = Path(root) / f"{digest.hexdigest()[:16]}-numba{numba.__version__}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = (
            Path(tempfile.gettempdir())
            / f"eventsnn-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
            / folder.name
        )
        folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def kernel(function):
    """Compile lazily with numba: nogil, cached, no exceptions from division."""
    return _compile(function, cache_dir(), cache=True)


def inner_kernel(function):
    """A kernel called by kernels, which allocates nothing: always inlined into its callers, cached
    with them, and without reference counts. A call would copy every array of every NamedTuple, and
    cost more than the work of a short row, as counts would.

    Also without the code by which Python and C would call it, which takes tables and state apart
    and half of the time of compiling; called from Python it raises TypeError.
    """
    inner = _compile(
        function, None, _nrt=False, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )

    def refuse(*_, **__):
        raise TypeError(f"{function.__name__} can be called by kernels only")

    inner._insert, inner._compile_for_args = (
        lambda *_: None,
        refuse,
    )  # numba's own would call what is not there
    return inner


def specialised(dispatcher, *constants):
    """The kernel to call with these NamedTuples: itself for eventsnn's own classes, else a copy
    with a cache of its own.

    Numba's index of what it compiled names the classes, so one that cannot be imported would spoil
    the cache for every other run; and a change in a class's file must recompile. So the copy's
    cache is named after the files of the classes; where there is none, as in a notebook, nothing is
    cached.
    """
    outside = tuple(
        type(c)
        for c in constants
        if type(c).__module__.partition(".")[0] != __name__.partition(".")[0]
    )
    return _copy(dispatcher, outside) if outside else dispatcher


@cache
def _copy(dispatcher, classes):
    digest = hashlib.sha256()
    try:
        for c in classes:
            digest.update(
                f"{c.__module__}.{c.__qualname__}".encode() + Path(inspect.getfile(c)).read_bytes()
            )
    except (OSError, TypeError):
        return _compile(dispatcher.py_func, None)
    folder = Path(cache_dir()) / f"outside-{digest.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return _compile(dispatcher.py_func, str(folder), cache=True)


def _compile(function, folder, **options):
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder or before
    try:
        return numba.njit(nogil=True, error_model="numpy", **options)(function)
    finally:
        numba.config.CACHE_DIR = before
