"""What a thing of the user's own is made of: its digest changes when what it does may have."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from enum import Enum
from types import CodeType
from typing import Any

import numpy as np

PLAIN = (bool, int, float, complex, str, bytes, Enum)


def digest_of_thing(thing: Any) -> str:
    """64 hexadecimal digits for a thing's code, what the code holds and refers to, and its state.

    thing: a function, a class, or an instance of one. Of other functions and classes those are
    followed that stand in the same module; the names of others are enough.
    """
    kind = thing if hasattr(thing, "__qualname__") else type(thing)
    parts = _told(thing, getattr(kind, "__module__", ""), frozenset())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _told(thing: Any, module: str, seen: frozenset[int]) -> Any:
    """What a thing is made of, in tuples and text. module: whose code is followed.

    seen: ids of what is being told already.
    """
    if thing is None or isinstance(thing, PLAIN):
        return repr(thing)
    if id(thing) in seen:
        return "again"
    seen |= {id(thing)}
    if isinstance(thing, np.ndarray):
        values = thing.tolist() if thing.dtype.hasobject else thing.tobytes()
        digest = hashlib.sha256(repr(values).encode()).hexdigest()
        return "array", thing.dtype.str, thing.shape, digest
    if isinstance(thing, np.generic):
        return "number", thing.dtype.str, thing.item()
    if isinstance(thing, Mapping):
        pairs = [(repr(key), _told(its, module, seen)) for key, its in thing.items()]
        return "mapping", sorted(pairs, key=repr)
    if isinstance(thing, (set, frozenset)):
        return "set", sorted(repr(_told(its, module, seen)) for its in thing)
    if isinstance(thing, (list, tuple)):
        return type(thing).__name__, [_told(its, module, seen) for its in thing]
    thing = getattr(thing, "py_func", thing)  # of what numba compiled
    if inspect.ismethod(thing):
        return "method", thing.__name__, _told(thing.__self__, module, seen)
    if isinstance(thing, type) or inspect.isfunction(thing):
        if thing.__module__ != module:
            return "known", thing.__module__, thing.__qualname__
        held = _parts(thing) if isinstance(thing, type) else _held(thing)
        return "code", _source(thing), [_told(its, module, seen) for its in held]
    slots = getattr(type(thing), "__slots__", ())
    if inspect.ismodule(thing) or not (hasattr(thing, "__dict__") or slots):
        return "known", getattr(thing, "__name__", type(thing).__name__)
    state = dict(getattr(thing, "__dict__", {}))
    state |= {name: getattr(thing, name, None) for name in slots}
    return "object", _told(type(thing), module, seen), _told(state, module, seen)


def _source(thing: Any) -> Any:
    """A function's or class's own lines, or its code where there are none."""
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        code = getattr(thing, "__code__", None)
        return thing.__qualname__ if code is None else _bytes(code)


def _bytes(code: CodeType) -> Any:
    consts = [_bytes(its) if isinstance(its, CodeType) else repr(its) for its in code.co_consts]
    return code.co_code, code.co_names, consts


def _parts(thing: type) -> list[Any]:
    """A class's bases, its functions and the rest of its attributes, but for what Python adds."""
    own = {name: its for name, its in vars(thing).items() if not name.startswith("__")}
    own |= {name: its for name, its in vars(thing).items() if inspect.isfunction(its)}
    plain = {name: getattr(its, "__func__", its) for name, its in own.items()}
    return [thing.__bases__, plain]


def _held(thing: Any) -> list[Any]:
    """What a function encloses, its defaults, and what of its module it refers to."""
    cells = []
    for cell in thing.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # it has no value yet
            cells.append(None)
    names = sorted(set(_names(thing.__code__)) & thing.__globals__.keys())
    beside = {name: thing.__globals__[name] for name in names}
    return [cells, thing.__defaults__, thing.__kwdefaults__, beside]


def _names(code: CodeType) -> Iterator[str]:
    """The names that a code refers to, and the code inside it."""
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)
