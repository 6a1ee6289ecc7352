"""What the means of a table are of, image by image, for their intervals (semantics, section 15)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.statistics import bootstraps

Row = dict[str, Any]


class Sample(NamedTuple):
    """What a mean is of, image by image.

    values: numbers [N]. divisor: numbers [N] where it is a ratio of two means, else None.
    """

    values: NDArray[Any]
    divisor: NDArray[Any] | None = None

    @property
    def mean(self) -> float:
        """The mean, or the ratio; NaN where the divisor is 0."""
        if self.divisor is None:
            return float(self.values.mean())
        whole = float(self.divisor.sum())
        return float(self.values.sum()) / whole if whole else float("nan")


# (name of a row, column) -> what is there
Samples = Mapping[tuple[Any, str], Sample]


def with_intervals(
    rows: Sequence[Row],
    samples: Sequence[Samples],
    seed: int = 0,
    name: Callable[[Row], Hashable] = lambda row: row["layer"],
) -> list[Row]:
    """Rows with the ends of bootstrap intervals, `<column> low` and `<column> high`.

    They stand behind the columns that have samples, and are None where there is no interval. With
    several seeds the column becomes the mean of all.

    rows: of a table. samples: of each seed that the images were run with, one or more. seed: of the
    bootstrap. name: row -> its name in the samples.
    """
    first = samples[0]
    values = {key: np.stack([its[key].values for its in samples]) for key in first}
    divisors = {}
    for key, sample in first.items():
        if sample.divisor is not None:
            divisors[key] = np.stack([np.asarray(its[key].divisor) for its in samples])
    found = bootstraps(values, divisors=divisors, seed=seed)
    sampled = {column for _, column in first}
    table = []
    for row in rows:
        full: Row = {}
        for column, value in row.items():
            full[column] = value
            if column not in sampled:
                continue
            its = found.get((name(row), column))
            if its is not None and len(samples) > 1:
                full[column] = its.value
            ends = its[1:3] if its is not None and np.isfinite(its.low) else (None, None)
            full[f"{column} low"], full[f"{column} high"] = ends
        table.append(full)
    return table
