"""How kernels are compiled: without the GIL, and cached on disk for the sources as they are.

Numba does not see that a function which a kernel calls has changed in another file, so the cache
folder is named after a hash of all kernel sources. Numba's own cache has an index beside its files,
and two processes at once can leave one kernel's code under another's name; here the name says it
all (`files/cache.py`). Set EVENTSNN_CACHE_DIR to move the folder.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import numba
from numba.core.caching import Cache
from numba.core.compiler import CompileResult
from numba.core.errors import NumbaError
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature

from eventsnn.engine.inlining import InnerCompiler
from eventsnn.exceptions import InputError
from eventsnn.files import cache as care
from eventsnn.interrupts import heeding
from eventsnn.neurons.contract import why_refused

INNER_OPTIONS: dict[str, Any] = {
    "_nrt": False,
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": InnerCompiler,
}
# of numba's `overload`, for functions that are chosen by type and inlined like inner kernels
INNER: Any = {"nogil": True, "error_model": "numpy", **INNER_OPTIONS}
CONFIG: Any = numba.config
KERNELS = ("engine/**/*.py", "neurons/*.py")


class Kernel(Hashable, Protocol):
    """A compiled function; `py_func` is the function it was made of."""

    py_func: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """Runs the compiled code on these arguments; returns what the function returns."""


@cache
def cache_dir() -> Path | None:
    """Returns the folder of this version's compiled kernels, which it makes.

    None where there is none that can be written and is this user's alone.
    """
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for pattern in KERNELS for path in package.glob(pattern)):
        digest.update(path.read_bytes())
    return care.folder_for(f"{digest.hexdigest()[:16]}-numba{numba.__version__}")


def kernel(function: Callable[..., Any]) -> Kernel:
    """Compiles a function lazily: without the GIL, cached, no exceptions from division.

    function: what numba can compile. Returns the kernel.
    """
    return _kept(_compile(function), "")


def inner_kernel(function: Callable[..., Any]) -> Kernel:
    """Compiles a function that only kernels call, and that allocates nothing.

    It is always inlined into its callers, cached with them, and has no reference counts. A call
    would copy every array of every NamedTuple, and would cost more than the work of a short row;
    reference counts would, too. It has no entry from Python or C either, and no machine code of its
    own (`inlining`): an entry, which takes tables and state apart, doubles the time of compiling.

    function: what numba can compile. Returns the kernel, which raises TypeError when Python calls
    it.
    """
    return _for_kernels(_compile(function, **INNER_OPTIONS))


def bindable(function: Callable[..., Any]) -> Kernel:
    """Compiles a function that other kernels call by its address (`engine.bound`).

    function: what numba can compile; it allocates nothing, and takes constants first. Returns the
    kernel, which is cached like others and has no entry from Python.
    """
    return _kept(_bare(function), "")


def _bare(function: Callable[..., Any]) -> Any:
    """Numba's dispatcher for a function that has no entry from Python."""
    options = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return _for_kernels(_compile(function, **options))


def _for_kernels(dispatcher: Any) -> Any:
    """The dispatcher, which refuses to be called from Python."""

    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError(f"{dispatcher.__name__} can be called by kernels only")

    # numba's own would call the entry that is not there
    dispatcher._insert = lambda *_: None
    dispatcher._compile_for_args = refuse
    return dispatcher


def compiled(kernel: Kernel, kinds: tuple[Any, ...]) -> tuple[Any, int, Any]:
    """Compiles a `bindable` kernel for these types, or finds what was compiled.

    kernel: it. kinds: numba's types of its arguments. Returns (what holds the code, its address,
    the type of what it returns).
    """
    dispatcher: Any = kernel
    with heeding():
        dispatcher.compile(kinds)
    code = dispatcher.overloads[kinds]
    address = code.library.get_pointer_to_function(code.fndesc.llvm_func_name)
    return code, address, code.signature.return_type


def specialised(dispatcher: Kernel, *constants: Any) -> tuple[Kernel, tuple[Any, ...]]:
    """Returns (the kernel to call with these NamedTuples, the NamedTuples to call it with).

    It is the kernel itself for eventsnn's own classes, else a copy, which keeps what it compiles
    under names that tell all that the classes' functions read (`digest_of`): a change in it must
    recompile. Where a class has no file, as in a notebook, nothing is cached. Where what it reads
    changed in this process, the NamedTuples get a class of their own: numba keeps what it compiled
    for the old one.

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
        return _telling(_bare(dispatcher.py_func), classes)
    return _telling(_kept(_bare(dispatcher.py_func), "".join(digests)), classes)


def _telling(dispatcher: Any, classes: tuple[type, ...]) -> Kernel:
    """The dispatcher, whose failure to compile these classes is an InputError of one line."""
    compile_for = dispatcher.compile

    def compile_or_tell(kinds: Any) -> Any:
        try:
            return compile_for(kinds)
        except NumbaError as error:
            names = " or ".join(repr(cls.__name__) for cls in classes)
            expected, do = "functions that numba compiles", "put @numba.njit before what they call"
            if "Unknown attribute" in str(error):
                do += "; a field that they read is one of numbers, arrays, None, or tuples of these"
            raise InputError(names, expected, why_refused(error), do) from None

    dispatcher.compile = compile_or_tell
    return cast(Kernel, dispatcher)


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    """Numba's dispatcher for a function. options: of numba's njit."""
    if CONFIG.DISABLE_JIT:
        return _refusing
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy", **options)(function)
    compile_for_args = dispatcher._compile_for_args

    def interruptible(*arguments: Any, **options: Any) -> Any:
        with heeding():
            return compile_for_args(*arguments, **options)

    dispatcher._compile_for_args = interruptible
    return dispatcher


def _refusing(*_: Any, **__: Any) -> None:
    """Stands for a kernel where numba compiles nothing."""
    expected = "0 or nothing, as simulations run compiled code only"
    raise InputError("NUMBA_DISABLE_JIT", expected, CONFIG.DISABLE_JIT, "unset it")


for _name in ("py_func", "compile"):
    setattr(_refusing, _name, _refusing)


def _kept(dispatcher: Any, read: str) -> Kernel:
    """The dispatcher, which keeps what it compiles on disk.

    read: hexadecimal digits that stand for what it reads besides the package and its own file.
    """
    function = dispatcher.py_func
    with suppress(OSError, TypeError):  # in a notebook there is no file
        source = Path(inspect.getfile(function)).read_bytes()
        dispatcher._cache = _Kept(function, read + hashlib.sha256(source).hexdigest())
    return dispatcher


class _Kept(Cache):
    """Numba's cache of one function: each specialisation has a file named after all it is made of.

    function: the function. read: hexadecimal digits for all that its machine code depends on, but
    for the types of arguments and the processor.
    """

    def __init__(self, function: Callable[..., Any], read: str) -> None:
        self._py_func = function
        self._read = read
        self.enable()

    def __repr__(self) -> str:
        return f"<_Kept {self._py_func.__qualname__}>"

    @property
    def cache_path(self) -> str | None:
        """The folder, or None."""
        folder = cache_dir()
        return None if folder is None else str(folder)

    def flush(self) -> None:
        """Keeps and reads nothing any more."""
        self.disable()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for these types, or None. target_context: of numba's."""
        target_context.refresh()
        folder = cache_dir()
        if folder is None or not self._enabled:
            return None
        content = care.load(folder, self._name_of(sig, target_context.codegen()))
        if content is None:
            return None
        try:
            return CompileResult._rebuild(target_context, *pickle.loads(content))
        except Exception:  # whatever pickle and numba raise
            care.damaged(folder)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps what was compiled for these types. data: numba's CompileResult."""
        folder = cache_dir()
        # addresses in the code hold for this process only
        if folder is None or not self._enabled or data.lifted or data.library.has_dynamic_globals:
            return
        content = dumps(data._reduce())
        care.save(folder, self._name_of(sig, data.codegen), content)

    def _name_of(self, sig: Any, codegen: Any) -> str:
        """The file for these types on this machine."""
        types, machine, code = self._index_key(normalize_signature(sig)[0], codegen)
        parts = (sys.implementation.cache_tag, *map(_in_words, types), machine, code, self._read)
        digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
        return f"{self._py_func.__name__}-{digest[:32]}.nbc"


def _in_words(kind: Any) -> str:
    """A type of numba's in words that tell it apart, also where classes share a name."""
    cls = getattr(kind, "instance_class", None)
    if cls is None:
        return str(kind)
    fields = (f"{name}: {_in_words(its)}" for name, its in zip(kind.fields, kind.types))
    return f"{cls.__module__}.{cls.__qualname__}({', '.join(fields)})"
