"""Values as callers give them: told in messages, and taken as numbers, arrays and text."""

from __future__ import annotations

import collections.abc as abc
import inspect
import operator
from fractions import Fraction
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError

# numpy's letters of types, in words
NUMBERS = {
    "b": "True and False",
    "iu": "whole numbers",
    "iub": "whole numbers",
    "iuf": "numbers",
    "biuf": "numbers",
    "biufV": "numbers",
    "V": "records",
}


def shown(value: Any) -> str:
    """A value in a message: short, and by its type where its text says nothing. value: any."""
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.bool_, np.number)):
        return short(value.item() if isinstance(value, np.generic) else value)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"an array of shape {list(shape)} and type {dtype}"
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        return f"the {type(value).__name__} {short(value)}"
    name = getattr(value, "__name__", None)
    if isinstance(name, str):
        what = "class" if isinstance(value, type) else "module"
        return f"the {what if not inspect.isroutine(value) else 'function'} {name}"
    return article(type(value).__name__)


def article(name: str) -> str:
    """A type's name with its article: a Network, an Observation. name: the type's."""
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def as_array(value: Any) -> NDArray[Any] | None:
    """An array of what stands for one: lists, tensors of any package and device, pictures.

    value: any. Returns None for what stands for none, such as text or a ragged list.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (str, bytes, dict, type)) or value is None:
        return None
    try:
        for step in ("detach", "cpu"):  # torch: off the graph, and off the device
            if callable(getattr(value, step, None)):
                value = getattr(value, step)()
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":
            value = value.float()  # numpy has no such type
        if isinstance(value, (list, tuple)) and any(map(_is_array, value)):
            value = [as_array(item) for item in value]
            return None if any(item is None for item in value) else np.stack(value)
        if isinstance(value, abc.Iterator) or not (
            isinstance(value, (list, tuple, range, int, float)) or _is_array(value)
        ):
            return None
        found = np.asarray(value)
    except Exception:  # ragged lists, and whatever a stranger's object does
        return None
    return None if found.dtype.kind in "OUS" else found


def _is_array(value: Any) -> bool:
    return any(hasattr(value, name) for name in ("__array__", "__array_interface__"))


def whole(where: str, value: Any) -> int:
    """A whole number as Python's own; where: its name. Raises InputError for anything else."""
    try:
        if not isinstance(value, (bool, np.bool_)):
            return operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # an array of several
        pass
    raise InputError(where, "a whole number", shown(value))


def number(where: str, value: Any) -> Any:
    """A number, Python's own or numpy's; where: its name. Raises InputError for anything else."""
    if isinstance(value, (bool, np.bool_)):
        raise InputError(where, "a number", shown(value))
    if isinstance(value, (np.integer, np.float64)):
        return value.item()
    if isinstance(value, (int, float, np.floating, Fraction)):
        return value
    array = as_array(value)
    if array is None or array.ndim or array.dtype.kind not in "iuf":
        raise InputError(where, "a number", shown(value))
    return array.item()


def truth(where: str, value: Any) -> bool:
    """True or False; where: its name. Raises InputError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(where, "True or False", shown(value))
    return bool(value)


def arrayed(where: str, value: Any, kinds: str = "biufV") -> NDArray[Any]:
    """What stands for an array as one (`as_array`).

    where: its name. value: any. kinds: numpy's letters of the types allowed. Raises InputError for
    anything else.
    """
    found = as_array(value)
    if found is not None and not found.size and isinstance(value, (list, tuple)):
        return found.astype(np.int64 if "i" in kinds else np.bool_)  # [] has no type of its own
    if found is None or found.dtype.kind not in kinds:
        raise InputError(where, f"an array of {NUMBERS[kinds]}", shown(value))
    return found


def shaped(where: str, value: NDArray[Any], *shape: int | None) -> None:
    """Raises InputError unless an array has a shape.

    where: its name. value: the array. shape: the size of each axis, None for any.
    """
    same = [n in (None, size) for n, size in zip(shape, value.shape)]
    if value.ndim != len(shape) or not all(same):
        told = ", ".join("…" if n is None else str(n) for n in shape)
        raise InputError(where, f"shape [{told}]", shown(value))


def not_empty(where: str, value: Any) -> None:
    """Raises InputError where there is nothing in several things; where: their name."""
    if not len(value):
        raise InputError(where, "one or more", "none")


def text(where: str, value: Any) -> str:
    """Text; where: its name. Raises InputError for anything else."""
    if not isinstance(value, str):
        raise InputError(where, "text", shown(value))
    return str(value)
