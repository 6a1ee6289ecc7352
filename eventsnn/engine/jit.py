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


def specialised(dispatcher: Kernel, *constants: Any) -> tuple[Kernel, tuple[Any, ...]]:
    """Returns (the kernel to call with these NamedTuples, the NamedTuples to call it with).

    It is the kernel itself for eventsnn's own classes, else a copy with a cache of its own. Numba's
    index of what it compiled names the classes, so one that cannot be imported would spoil the
    cache for every other run; and a change in what a class's functions read must recompile. So the
    copy's cache is named after all that they read (`digest_of`). Where a class has no file, as in a
    notebook, nothing is cached. Where that changed in this process, the NamedTuples get a class of
    their own: numba keeps what it compiled for the old one.

    dispatcher: the kernel. constants: the NamedTuples among its arguments whose classes may come
    from outside (a model, an order).
    """
    package = __name__.partition(".")[0]
    outside: list[Any] = [
        type(c) for c in constants if type(c).__module__.partition(".")[0] != package
    ]
    if not outside:
        return dispatcher, constants
    digests = tuple(digest_of(c) for c in outside)
    classes = {c: _class_of(c, digest) for c, digest in zip(outside, digests)}
    given = tuple(
        c if classes.get(type(c), type(c)) is type(c) else classes[type(c)]._make(c)
        for c in constants
    )
    return _copy(dispatcher, tuple(classes.values()), digests), given


def digest_of(cls: type) -> str:
    """Hexadecimal digits, equal where a class's functions read the same.

    cls: the class. Its file's content counts, and of its functions the code, the closures, the
    globals that they name, and all that these call, in whatever module.
    """
    digest = hashlib.sha256(f"{cls.__module__}.{cls.__qualname__}".encode())
    try:
        digest.update(Path(inspect.getfile(cls)).read_bytes())
    except (OSError, TypeError):
        pass
    seen: set[int] = set()
    for base in cls.__mro__[:-2]:
        for name, value in sorted(vars(base).items()):
            digest.update(name.encode())
            _read(value, digest, seen)
    return digest.hexdigest()


def _read(value: Any, digest: Any, seen: set[int]) -> None:
    """Adds to a digest what a value is, as a kernel would read it."""
    function = getattr(value, "__func__", getattr(value, "py_func", value))
    code = getattr(function, "__code__", None)
    if code is None:
        _read_constant(value, digest, seen)
        return
    if id(function) in seen:
        return
    seen.add(id(function))
    digest.update(code.co_code + repr(code.co_names).encode())
    for constant in code.co_consts:
        if not hasattr(constant, "co_code"):
            digest.update(repr(constant).encode())
    for cell in getattr(function, "__closure__", None) or ():
        _read(cell.cell_contents, digest, seen)
    for default in getattr(function, "__defaults__", None) or ():
        _read(default, digest, seen)
    _read_names(code, function.__globals__, digest, seen)


def _read_names(code: Any, names: Any, digest: Any, seen: set[int]) -> None:
    """Adds what the names in a function's code stand for, attributes of modules among them."""
    for name in code.co_names:
        value = names.get(name)
        if value is None:
            continue
        if inspect.ismodule(value):
            if value.__name__.partition(".")[0] not in ("numpy", "numba", "math", "eventsnn"):
                for attribute in code.co_names:
                    _read(getattr(value, attribute, None), digest, seen)
        else:
            _read(value, digest, seen)


def _read_constant(value: Any, digest: Any, seen: set[int]) -> None:
    """Adds a number, a text, an array, or a collection of these; of anything else its type."""
    if hasattr(value, "tobytes"):
        digest.update(str(getattr(value, "dtype", "")).encode() + value.tobytes())
    elif isinstance(value, (tuple, list)):
        for part in value:
            _read(part, digest, seen)
    elif isinstance(value, (int, float, complex, str, bytes, type(None))):
        digest.update(repr(value).encode())
    else:
        digest.update(type(value).__name__.encode())


# class -> what it read when it was first compiled in this process
_FIRST: dict[type, str] = {}


@cache
def _class_of(cls: Any, digest: str) -> Any:
    """The class itself, or another with the same functions where what they read has changed."""
    if _FIRST.setdefault(cls, digest) == digest:
        return cls
    return type(cls.__name__, cls.__bases__, dict(vars(cls)))


@cache
def _copy(dispatcher: Kernel, classes: tuple[type, ...], digests: tuple[str, ...]) -> Kernel:
    first = all(_FIRST.get(c) == digest for c, digest in zip(classes, digests))
    try:
        files = [inspect.getfile(c) for c in classes]
    except (OSError, TypeError):
        files = []
    if not first or not all(Path(file).is_file() for file in files) or not files:
        return _compile(dispatcher.py_func, None)
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
    folder = Path(cache_dir()) / f"outside-{digest}"
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
