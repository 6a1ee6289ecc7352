"""Tables: NamedTuples that kernels get as a pointer to where their arrays lie."""

import sys
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from eventsnn.engine.tables import table


@table
class Mixed(NamedTuple):
    first: Any
    pairs: Any
    number: int
    share: float
    strided: Any
    last: Any


@numba.njit
def read(mixed):
    mixed.last[1] = mixed.pairs[2, 1] + mixed.number
    columns = mixed.pairs.shape[1] * mixed.strided.size
    return mixed.first.sum() * mixed.share, columns, mixed.strided[2], len(mixed.last)


@numba.njit
def read_of_another(mixed):
    return read(mixed)[0] + mixed.number


def mixed():
    return Mixed(
        np.arange(3, dtype=np.int32),
        np.arange(12, dtype=np.int64).reshape(4, 3)[:, ::-1],
        -7,
        0.5,
        np.arange(9, dtype=np.uint8)[::3],
        np.zeros(2, np.float32),
    )


def test_kernels_read_each_field_and_write_to_its_array():
    one = mixed()
    assert read(one) == (1.5, 9, 6, 2)
    assert one.last.tolist() == [0, one.pairs[2, 1] - 7]
    assert read_of_another(one) == 1.5 - 7


def test_arrays_are_owned_as_before_a_call():
    one = mixed()
    read(one)
    owners = [sys.getrefcount(field) for field in one]
    for _ in range(3):
        read(one)
    assert [sys.getrefcount(field) for field in one] == owners


def test_other_types_are_other_kernels():
    one = mixed()
    other = one._replace(first=one.first.astype(np.float64) / 4, last=np.zeros(3, np.int64))
    assert read(other) == (0.375, 9, 6, 3)
    assert read(one) == (1.5, 9, 6, 2)


def test_what_is_no_field_is_refused():
    @numba.njit
    def wrong(mixed):
        return mixed.middle

    with pytest.raises(numba.TypingError, match="middle"):
        wrong(mixed())
