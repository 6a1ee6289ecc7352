"""The threshold at which the staircase of T steps is nearest to the activations (SNNC)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# candidates, in hundredths of the largest activation, as in SNNC's code (find_threshold_mse)
HUNDREDTHS = range(100, 5, -1)


class Staircase:
    """Square errors of staircases of T steps on one layer's activations.

    A neuron with threshold theta and v(0) = theta/2 at constant input x answers with
    clip(floor(x T / theta + 1/2), 0, T) theta / T (semantics, section 8). Activations are sorted
    once, so that each stair's error comes from sums of x and x^2 up to its two ends.

    activations: float32 of any shape; those of 0 or less have no error and are left out. steps: T.
    """

    def __init__(self, activations: NDArray[np.float32], steps: int) -> None:
        values = np.sort(activations[activations > 0]).astype(np.float64)
        self.values = values
        self.steps = steps
        self.sums = np.concatenate([[0.0], np.cumsum(values)])
        self.squares = np.concatenate([[0.0], np.cumsum(values * values)])

    @property
    def largest(self) -> float:
        """The largest activation; 0 where none is above 0."""
        return float(self.values[-1]) if len(self.values) else 0.0

    def error(self, theta: float) -> float:
        """The sum of (staircase - activation)^2. theta: the threshold, above 0."""
        stairs = np.arange(self.steps + 1) * (theta / self.steps)
        # a stair ends half a stair above itself, where the next begins
        rises = (np.arange(self.steps) + 0.5) * (theta / self.steps)
        ends = np.searchsorted(self.values, rises, side="left")
        ends = np.concatenate([[0], ends, [len(self.values)]])
        x, xx = np.diff(self.sums[ends]), np.diff(self.squares[ends])
        return math.fsum(xx - 2 * stairs * x + stairs * stairs * np.diff(ends))


def least_error(activations: NDArray[np.float32], steps: int) -> float:
    """The threshold with the least square error of a staircase of T steps, 0 for a silent layer.

    Candidates are 100, 99, ..., 6 hundredths of the largest activation, of equals the largest, as
    SNNC's code (find_threshold_mse) has them. Between the neighbours of the best, scipy's bounded
    minimisation goes on, and its place is taken where the error is smaller there. SNNC's code
    rounds down while it looks for thresholds, though its neurons have half a threshold more, too;
    here it is the staircase that runs.

    activations: float32 of any shape, of one layer on the calibration images. steps: T.
    """
    from scipy.optimize import minimize_scalar  # a third of a second

    stairs = Staircase(activations, steps)
    largest = stairs.largest
    if not largest:
        return 0.0
    best = min((k / 100 * largest for k in HUNDREDTHS), key=stairs.error)
    ends = (best - largest / 100, best + largest / 100)
    found = minimize_scalar(stairs.error, bounds=ends, method="bounded")
    return float(found.x) if found.fun < stairs.error(best) else best
