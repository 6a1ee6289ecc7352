"""What the neurons of a layer heard and fired, and in which order (`asynchronism`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(repr=False)
class Neurons:
    """One layer's neurons: arrays [images, neurons], or [neurons] of one trace.

    They are int64 unless it is said otherwise; charges are in the arithmetic's numbers.

    arrived: x, all charge, drive too.
    excitation, inhibition (<= 0): what spikes (and input events) brought.
    late: W s_n2 (<= 0), the inhibition after the last excitatory arrival, drive being an arrival,
    too (DNISNM eq. 16). In clocked time a step's charges come together.
    inversions: pairs of an excitatory and a later inhibitory arrival in the same step, by spikes.
    pairs: all pairs of one of each in the same step.
    product, products: float64, the same two, each pair counted by the product of its charges'
    sizes.
    inversions_in_run, pairs_in_run: inversions and pairs over the whole run.
    fired: net spikes.
    ideal: what `arrived` is worth in any order (`trace.arrivals.worth`).
    fewest, most: spikes over all orders in which every arrival stays in its step, or with spread
    drive in its short step (`trace.bounds.in_steps`); None where there are no bounds.
    fewest_any, most_any: spikes over all orders of all arrivals (`trace.bounds.in_any`); None where
    there are no bounds.
    """

    arrived: NDArray[np.int64]
    excitation: NDArray[np.int64]
    inhibition: NDArray[np.int64]
    late: NDArray[np.int64]
    inversions: NDArray[np.int64]
    pairs: NDArray[np.int64]
    product: NDArray[np.float64]
    products: NDArray[np.float64]
    inversions_in_run: NDArray[np.int64]
    pairs_in_run: NDArray[np.int64]
    fired: NDArray[np.int64]
    ideal: NDArray[np.int64]
    fewest: NDArray[np.int64] | None = None
    most: NDArray[np.int64] | None = None
    fewest_any: NDArray[np.int64] | None = None
    most_any: NDArray[np.int64] | None = None

    @property
    def x_valid(self) -> NDArray[np.int64]:
        """x + |W s_n2|, in the arithmetic's numbers (DNISNM eq. 17)."""
        return self.arrived - self.late

    @property
    def error(self) -> NDArray[np.int64]:
        """Spikes beyond what the charge is worth: unevenness that the order of arrival made."""
        return self.fired - self.ideal

    @property
    def inverted(self) -> NDArray[np.float64]:
        """The share of pairs in a step that are inversions.

        It is 1 where all inhibition came last, and NaN where there are no pairs.
        """
        return _ratio(self.inversions, self.pairs)

    @property
    def weighted(self) -> NDArray[np.float64]:
        """As `inverted`, each pair counted by the product of its charges' sizes."""
        return _ratio(self.product, self.products)

    @property
    def inverted_in_run(self) -> NDArray[np.float64]:
        """As `inverted`, over the whole run."""
        return _ratio(self.inversions_in_run, self.pairs_in_run)

    @property
    def width(self) -> NDArray[np.int64] | None:
        """most - fewest. None where there are no bounds."""
        return _difference(self.most, self.fewest)

    @property
    def width_any(self) -> NDArray[np.int64] | None:
        """most_any - fewest_any. None where there are no bounds."""
        return _difference(self.most_any, self.fewest_any)

    @property
    def place(self) -> NDArray[np.float64] | None:
        """Where `fired` fell between `fewest` (0) and `most` (1).

        It is NaN where the two are equal. None where there are no bounds.
        """
        return _place(self.fired, self.fewest, self.most)

    @property
    def place_any(self) -> NDArray[np.float64] | None:
        """Where `fired` fell between `fewest_any` (0) and `most_any` (1); see `place`."""
        return _place(self.fired, self.fewest_any, self.most_any)

    def __repr__(self) -> str:
        bounds = "without bounds" if self.most is None else "with bounds"
        return f"<Neurons: {' x '.join(map(str, self.fired.shape))}, {bounds}>"


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole as float64; NaN where whole is 0."""
    none = np.full(np.shape(whole), np.nan)
    return np.divide(part, whole, out=none, where=np.not_equal(whole, 0))


def _difference(
    most: NDArray[np.int64] | None, fewest: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    return None if most is None or fewest is None else most - fewest


def _place(
    fired: NDArray[np.int64], fewest: NDArray[np.int64] | None, most: NDArray[np.int64] | None
) -> NDArray[np.float64] | None:
    """Where `fired` is between `fewest` (0) and `most` (1); NaN where they are equal."""
    return None if most is None or fewest is None else _ratio(fired - fewest, most - fewest)
