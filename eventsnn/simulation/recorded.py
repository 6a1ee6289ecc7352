"""Recorded events as a network's input: their time in steps, their place, their polarity."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError, named

FIELDS = ("t", "x", "y", "p")
POLARITIES = ("channels", "signed", "merge")


class Rows(NamedTuple):
    """Events as rows, float64 [E, 3]: time in steps, index of the input, sign.

    late: how many come after the last step, and are left out.
    """

    rows: NDArray[np.float64]
    late: int


class Recorded(NamedTuple):
    """How recordings become input.

    time_scale: microseconds a step. polarity: "channels", p (0, 1) is the channel; "signed", 1 is
    positive and 0 negative; "merge", all are positive; None: channels of a network with two, signed
    of one with one. sensor: width and height; None: those of the input.
    """

    time_scale: float
    polarity: str | None = None
    sensor: tuple[int, int] | None = None

    def rows(self, given: NDArray[Any], shape: tuple[int, int, int], steps: int) -> Rows:
        """A recording's events as rows, those of the steps 1 to T.

        given: records with fields t (microseconds), x, y, p. shape: (C, H, W) of the network's
        input. steps: T. Time counts from the first event. Where the sensor is a whole multiple of
        the input, so many of its pixels are one input. Raises InputError for what does not fit.
        """
        c, h, w = shape
        missing = [name for name in FIELDS if name not in (given.dtype.names or ())]
        if missing:
            expected = f"records with fields {', '.join(FIELDS)}"
            raise InputError("events", expected, f"no {', '.join(missing)}")
        wide, high = self.bins(shape)
        way = self.way(c)
        t, x, y, p = (given[name].astype(np.int64) for name in FIELDS)
        inside = (x >= 0) & (x < wide * w) & (y >= 0) & (y < high * h) & (p >= -1) & (p <= 1)
        if not inside.all():
            first = int(np.argmin(inside))
            expected = f"x below {wide * w}, y below {high * h}, and p from -1 to 1"
            do = f"give {named('sensor', '128,128')}, the width and height of the sensor"
            raise InputError("events", expected, f"event {first}: {given[first].tolist()}", do)
        on = p > 0
        channel = on.astype(np.int64) if way == "channels" else np.zeros(len(t), np.int64)
        sign = np.where(on, 1.0, -1.0) if way == "signed" else np.ones(len(t))
        time = (t - (t.min() if len(t) else 0)) / self.time_scale
        index = (channel * h + y // high) * w + x // wide
        rows = np.stack([time, index.astype(np.float64), sign], axis=1)
        early = time < steps
        return Rows(rows[early], int((~early).sum()))

    def way(self, channels: int) -> str:
        """What polarity becomes. channels: of the input. Raises InputError where none fits."""
        way = self.polarity or {1: "signed", 2: "channels"}.get(channels, "")
        wanted = 2 if way == "channels" else 1
        if channels != wanted:
            expected = f"a network whose input has {wanted} channel{'s' * (wanted > 1)}"
            if not way:
                expected = "a network whose input has one channel or two"
            do = "give (time, input index, sign) from Python instead"
            do = do if channels > 2 else f"choose another {named('polarity')}"
            found = f"{channels}" + (f" with {named('polarity', way)}" if way else "")
            raise InputError("events", expected, found, do)
        return way

    def bins(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        """(columns, rows) of the sensor that are one input. shape: as in `rows`.

        Raises InputError for a sensor that is no whole multiple of the input.
        """
        _, h, w = shape
        width, height = self.sensor or (w, h)
        if width % w or height % h:
            expected = f"a sensor of {w}x{h} pixels, or whole multiples of both"
            do = "bin or crop the recordings to such a size first"
            raise InputError(named("sensor"), expected, f"{width}x{height}", do)
        return width // w, height // h

    def describe(self, shape: tuple[int, int, int]) -> str:
        """What becomes of recordings, in words. shape: as in `rows`."""
        wide, high = self.bins(shape)
        ways = {
            "channels": "polarity is the channel",
            "signed": "polarity is the sign",
            "merge": "polarity does not count",
        }
        words = f"{self.time_scale:g} microseconds a step, from each recording's first event; "
        words += ways[self.way(shape[0])]
        return words + (f"; {wide}x{high} pixels of the sensor are one input" * (wide * high > 1))
