"""What a node of a NIR graph holds: numbers, texts and metadata, each read with distrust."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import check_storage, child, read_array, read_text, text_of

MAX_TEXT = 1000
MAX_METADATA = 2**20  # bytes of a text in them
DAMAGED = "write the file again with the package nir"


class Fields:
    """The fields of a node.

    group: of the file. where: the node, for messages. left: one number, the bytes that may still be
    read from this file.
    """

    def __init__(self, group: h5py.Group, where: str, left: list[int]) -> None:
        self.group = group
        self.where = where
        self.left = left

    def refuse(self, key: str, expected: str, found: object) -> NoReturn:
        """Raises the InputError of a field."""
        raise InputError(f"{self.where}: {key}", expected, found, DAMAGED)

    def dataset(self, key: str) -> h5py.Dataset | None:
        """The dataset of a field, or None where there is none. key: its name."""
        found = child(self.group, key)
        if found is not None and not isinstance(found, h5py.Dataset):
            self.refuse(key, "a dataset", "something else")
        return found

    def inside(self, key: str) -> Fields | None:
        """The fields of a group in it, or None. key: the group's name."""
        found = child(self.group, key)
        return Fields(found, self.where, self.left) if isinstance(found, h5py.Group) else None

    def text(self, key: str, most: int = MAX_TEXT) -> str | None:
        """A text, or None where there is none. most: bytes of it."""
        dataset = self.dataset(key)
        if dataset is None:
            return None
        if h5py.check_string_dtype(dataset.dtype) is None or dataset.shape != ():
            self.refuse(key, "a text", f"{dataset.dtype} {list(dataset.shape or ())}")
        found = text_of(read_text(dataset, f"{self.where}: {key}", most), most)
        if found is None:
            self.refuse(key, "a printable text", "another")
        return found

    def array(self, key: str, optional: bool = False) -> NDArray[Any] | None:
        """An array of finite floats; None where there is none and it is optional."""
        dataset = self.dataset(key)
        if dataset is None:
            if optional:
                return None
            self.refuse(key, "an array", "none")
        if dataset.dtype.kind in "iu" and dataset.shape == ():
            return np.asarray(self.whole(key)[0], np.float64)
        found = read_array(dataset, f"{self.where}: {key}", self.left)
        if not np.isfinite(found).all():
            self.refuse(key, "finite numbers", "NaN or infinity")
        return found

    def some(self, key: str) -> NDArray[Any]:
        """`array` of a field that has to be there."""
        found = self.array(key)
        assert found is not None
        return found

    def whole(self, key: str, low: int = -(2**31), most: int = 8) -> list[int]:
        """Whole numbers, one or at most so many, none below `low`."""
        dataset = self.dataset(key)
        if dataset is None:
            self.refuse(key, "whole numbers", "none")
        shape = dataset.shape
        if dataset.dtype.kind not in "iu" or shape is None or not 1 <= math.prod(shape) <= most:
            found = f"{dataset.dtype} {list(shape or ())}"
            self.refuse(key, f"at most {most} whole numbers", found)
        check_storage(dataset, f"{self.where}: {key}")
        found_numbers = [int(n) for n in np.ravel(dataset[()])]
        if min(found_numbers) < low or max(found_numbers) > 2**31:
            self.refuse(key, f"whole numbers from {low:,}", found_numbers)
        return found_numbers

    def pair(self, key: str, low: int, count: int = 2) -> list[int]:
        """One whole number for each axis; a single one counts for all."""
        found = self.whole(key, low, count)
        if len(found) not in (1, count):
            self.refuse(key, f"{count} whole numbers", found)
        return found if len(found) == count else found * count
