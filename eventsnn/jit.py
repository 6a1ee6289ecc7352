"""How kernels are compiled: without the GIL, and cached on disk for the sources as they are.

Numba does not see that a function which a kernel calls has changed in another file, so the cache
folder is named after a hash of all kernel sources. Set EVENTSNN_CACHE_DIR to move it.
"""
from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

import numba

KERNELS = ("jit.py", "engine/*.py", "neurons/*.py")


@cache
def cache_dir():
    """The folder of this version's compiled kernels; made where possible."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in KERNELS for path in package.glob(pattern)):
        digest.update(path.read_bytes())
    root = os.environ.get("EVENTSNN_CACHE_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eventsnn"
    folder = Path(root) / f"{digest.hexdigest()[:16]}-numba{numba.__version__}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"eventsnn-{os.getuid() if hasattr(os, 'getuid') else 'user'}" / folder.name
        folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def kernel(function):
    """Compile lazily with numba: nogil, cached, no exceptions from division."""
    return _compile(function)


def inner_kernel(function):
    """A kernel that allocates nothing: compiled without reference counts, which cost more than the work of a short row."""
    return _compile(function, _nrt=False)


def _compile(function, **options):
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = cache_dir()
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy", **options)(function)
    finally:
        numba.config.CACHE_DIR = before
