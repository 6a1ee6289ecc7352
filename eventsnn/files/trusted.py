"""Datasets that have to be as they were written: type, shape, and the range of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import FAILURES, check_storage, child, told

DAMAGED = "it is damaged or incomplete: run again"


def refuse(where: object, expected: object, found: object) -> NoReturn:
    """Raises the InputError of a damaged file; parameters as those of InputError."""
    raise InputError(where, expected, found, DAMAGED)


def item(file: h5py.File, path: str) -> Any:
    """The group or dataset of a path of hard links, or None.

    file: open. path: names between slashes. Raises InputError for links of other kinds.
    """
    found = file
    for step in path.split("/"):
        found = child(found, step) if isinstance(found, h5py.Group) else None
    return found


def dataset(
    found: Any, where: str, kinds: Sequence[DTypeLike], shape: tuple[int | None, ...]
) -> h5py.Dataset:
    """A dataset that may be read.

    found: what is in its place. where: what to call it in messages. kinds: the dtypes that it may
    have. shape: what it must have; None: any length. Raises InputError for anything else, and where
    a size cannot be true.
    """
    if not isinstance(found, h5py.Dataset):
        refuse(where, "a dataset", "none" if found is None else "something else")
    expected = [np.dtype(kind) for kind in kinds]
    if found.dtype not in expected:
        refuse(where, f"numbers of type {' or '.join(map(str, expected))}", found.dtype)
    size = found.shape
    if size is None or len(size) != len(shape):
        refuse(where, f"{len(shape)} axes", "none" if size is None else len(size))
    if any(n is not None and n != m for n, m in zip(shape, size)):
        words = ", ".join("any" if n is None else str(n) for n in shape)
        refuse(where, f"the shape [{words}]", list(size))
    if found.size:
        check_storage(found, where)
    return found


def numbers_of(found: h5py.Dataset, where: str, rows: slice | None = None) -> NDArray[Any]:
    """The numbers of a dataset that may be read, or some of its rows.

    where: what to call it in messages. rows: which (None: all).
    """
    try:
        return np.asarray(found[() if rows is None else rows])
    except FAILURES as error:
        refuse(where, "numbers that can be read", told(error))


def within(where: str, values: NDArray[Any], low: int, high: int) -> None:
    """Raises InputError unless all values are from `low` to `high`. where: their dataset."""
    if values.size and (values.min() < low or values.max() > high):
        wrong = values[(values < low) | (values > high)].flat[0]
        refuse(where, f"numbers from {low:,} to {high:,}", f"{wrong:,}")


def each(where: str, right: NDArray[np.bool_], expected: str) -> None:
    """Raises InputError unless all numbers are right.

    where: their dataset. right: bool, for each of them. expected: what they should be.
    """
    if not right.all():
        refuse(where, expected, f"another at place {int(np.argmin(right)):,}")


def finite(where: str, values: NDArray[Any]) -> None:
    """Raises InputError unless all values are finite. where: their dataset."""
    if values.dtype.kind == "f":
        each(where, np.isfinite(values), "finite numbers")
