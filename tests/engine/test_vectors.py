"""The vector code of the engines against numpy, for every width."""

import numba
import numpy as np
import pytest

from eventsnn.engine.vectors import (
    add_half_stretch,
    add_rows,
    add_stretch,
    not_zero,
    pack,
    scatter_rows,
    scatter_rows_back,
    subtract_half_stretch,
    subtract_rows,
    subtract_stretch,
)

WIDTHS = [*range(1, 70), 127, 128, 129, 255, 257, 511, 512, 700, 1300]


@numba.njit
def change(negative, v, at, weights, row, width, half, low, high, found):
    if half == 0 and negative:
        return subtract_stretch(v, at, weights, row, width, half, low, high, found, 0)
    if half == 0:
        return add_stretch(v, at, weights, row, width, half, low, high, found, 0)
    if negative:
        return subtract_half_stretch(v, at, weights, row, width, half, low, high, found, 0)
    return add_half_stretch(v, at, weights, row, width, half, low, high, found, 0)


@numba.njit
def change_rows(negative, charge, at, weights, row, width, log):
    if negative:
        subtract_rows(charge, at, weights, row, width, log, 1, log.size)
    else:
        add_rows(charge, at, weights, row, width, log, 1, log.size)


@pytest.mark.parametrize(("dtype", "each"), [("int32", True), ("float64", False)])
def test_runs_are_numpys(dtype, each):
    rng = np.random.default_rng(0)
    for width in WIDTHS:
        for negative, half in ((False, 0), (True, 0), (False, 1), (True, 2)):
            v, weights = (
                rng.integers(-4, 5, size).astype(dtype) for size in (width + 9, width + 5)
            )
            low = rng.integers(-9, -5, len(v)).astype(dtype) if each else np.dtype(dtype).type(-6)
            high = np.dtype(dtype).type(7)
            found, expected = np.zeros(2 * width, np.int64), v.copy()
            charge = (-1 if negative else 1) * weights[2 : 2 + width]
            mine = np.ones(width, bool) if half == 0 else (charge >= 0) == (half == 1)
            expected[4 : 4 + width] += np.where(mine, charge, 0).astype(dtype)
            added, pairs = change(negative, v, 4, weights, 2, width, half, low, high, found)
            outside = [
                first + bit
                for first, bits in found[: 2 * pairs].reshape(-1, 2).tolist()
                for bit in range(64)
                if bits >> bit & 1
            ]
            inside = slice(4, 4 + width)
            bound = low[inside] if each else low
            assert v.tolist() == expected.tolist() and added == mine.sum()
            assert (
                outside == (4 + np.flatnonzero((v[inside] >= high) | (v[inside] <= bound))).tolist()
            )


@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_rows_are_numpys(dtype):
    rng = np.random.default_rng(1)
    for width in WIDTHS:
        for negative in (False, True):
            weights = rng.integers(-9, 10, 5 * width + 3).astype(dtype)
            charge = rng.integers(-9, 10, width + 7).astype(dtype)
            channels, expected = rng.integers(0, 5, 6).astype(np.int32), charge.copy()
            for c in channels[1:]:
                expected[4 : 4 + width] += (-1 if negative else 1) * weights[3 + c * width :][
                    :width
                ]
            change_rows(negative, charge, 4, weights, 3, width, ~channels if negative else channels)
            assert charge.tolist() == expected.tolist()


@numba.njit
def scatter(negative, charge, at, apart, weights, stride, width, tap_to, tap_row, log, first):
    if negative:
        scatter_rows_back(
            charge, at, apart, weights, stride, width, tap_to, tap_row, 1, 4, log, first, log.size
        )
    else:
        scatter_rows(
            charge, at, apart, weights, stride, width, tap_to, tap_row, 1, 4, log, first, log.size
        )


@pytest.mark.parametrize("dtype", ["int32", "int64", "float64", "float32"])
def test_rows_reach_each_tap(dtype):
    rng = np.random.default_rng(3)
    for width in [*range(1, 34), 47, 48, 49, 95, 96, 97, 192, 200, 401]:
        for spikes, negative in ((1, False), (2, True), (3, False), (4, True), (11, False)):
            apart, stride = width + 3, width + 2
            weights = rng.integers(-99, 100, 9 * stride + 40).astype(dtype)
            charge = rng.integers(-99, 100, 6 * apart + 8).astype(dtype)
            tap_to, tap_row = np.array([9, 4, 0, 2, 9], np.int32), np.array([0, 7, 0, 29, 0])
            channels = rng.integers(0, 9, spikes)
            log = np.append(-5, ~channels if negative else channels).astype(np.int32)
            expected = charge.copy()
            for to, row in zip(tap_to[1:4], tap_row[1:4]):
                for c in channels:
                    added = weights[row + c * stride :][:width]
                    expected[5 + to * apart :][:width] += -added if negative else added
            scatter(negative, charge, 5, apart, weights, stride, width, tap_to, tap_row, log, 1)
            assert charge.tolist() == expected.tolist()


@numba.njit
def packed(given, at, first, log, to):
    return pack(given, at, first, log, to)


@numba.njit
def set_bits(given, at):
    return not_zero(given, at)


def test_what_is_not_zero_is_packed():
    for number in range(256):
        for sign in (1, -1):
            given = np.zeros(11, np.int32)
            places = [k for k in range(8) if number >> k & 1]
            given[[2 + k for k in places]] = 7 * sign
            log = np.full(16, -1, np.int32)
            count, below = packed(given, 2, 40, log, 3)
            assert set_bits(given, 2) == (number, below)
            assert count == len(places) and below == (sign < 0 and count > 0)
            assert log[3 : 3 + count].tolist() == [40 + k for k in places]
            assert (log[:3] == -1).all() and (log[11:] == -1).all()
