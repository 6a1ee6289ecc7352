"""Components of variance: how much of a number's variance is whose, in a balanced design.

Every number is a sum of random effects, one for each term of the design, and the components are
the effects' variances. They are estimated by the analysis of variance for balanced data (Searle,
Casella and McCulloch, Variance Components, 1992, chapter 4). With n_k levels of factor k, N their
product, and a term the set of factors by which its effect differs:

    U(t)  = (N / product of n_k in t) * sum of (mean over all factors not in t)^2
    SS(t) = U(t) - U(no factor) - sum of SS(u) over terms u inside t
    df(t) = (product of n_k in t) - 1 - sum of df(u) over terms u inside t
    E[SS(t) / df(t)] = sum over terms u that contain t of (N / product of n_k in u) * variance(u)

The last line is Cornfield and Tukey's rule for effects that are all random (Average values of mean
squares in factorials, Annals of Mathematical Statistics 27, 1956). It is solved from the largest
term down. A factor that is nested in another (orders of an image) is told by its terms: none has it
without the other. Estimates are unbiased whatever the distribution; so they may be below 0, where a
component is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import Natural, Numbers, checked
from eventsnn.exceptions import InputError
from eventsnn.statistics import LEVEL, RESAMPLES
from eventsnn.values import shown

CHUNK = 2**20  # numbers of draws that are held at a time

# name -> the factors, as axes of the numbers, by which the effect differs
Terms = Mapping[str, tuple[int, ...]]


class Component(NamedTuple):
    """The variance of one term's effects.

    variance: the estimate, unbiased; below 0 where it is small. low, high: the ends of its 95 %
    bootstrap interval, which draws the levels of factor 0. df: degrees of freedom.
    """

    variance: float
    low: float
    high: float
    df: int


@checked
def components(
    values: Numbers, terms: Terms, *, resamples: int = RESAMPLES, seed: Natural = 0
) -> dict[str, Component]:
    """Name of a term -> its `Component`.

    values: finite numbers, an axis for each factor, of 2 levels or more. terms: of the design, each
    a set of axes; with two of them, what both have in common is one, too, or empty, and one has all
    axes. resamples: of the bootstrap; 0: the intervals are NaN. seed: of its draws. Raises
    InputError for anything else.
    """
    given = np.asarray(values, np.float64)
    sets = {name: frozenset(axes) for name, axes in terms.items()}
    _check(given, sets, resamples)
    sizes = given.shape
    squares = _Squares(given, sets)
    once = np.ones((1, sizes[0]))
    found = squares.variances(once)
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in sets}
    rng = np.random.default_rng(seed)
    most = max(1, CHUNK // sizes[0])
    for first in range(0, resamples, most):
        count = min(most, resamples - first)
        draws = rng.multinomial(sizes[0], np.full(sizes[0], 1 / sizes[0]), size=count)
        for name, variances in squares.variances(draws.astype(np.float64)).items():
            drawn[name].append(variances)
    result = {}
    for name in sets:
        low = high = float("nan")
        if resamples:
            ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
            low, high = np.quantile(np.concatenate(drawn[name]), ends).tolist()
        result[name] = Component(float(found[name][0]), low, high, squares.df[name])
    return result


def _check(values: NDArray[np.float64], sets: Mapping[str, frozenset[int]], resamples: int) -> None:
    """Raises InputError for numbers and terms that make no balanced design."""
    axes = frozenset(range(values.ndim))
    if not values.ndim or min(values.shape) < 2 or not np.isfinite(values).all():
        expected = "finite numbers, 2 levels or more of each factor"
        raise InputError("values", expected, shown(values))
    family = {*sets.values(), frozenset[int]()}
    closed = all(a & b in family for a in family for b in family)
    if not closed or axes not in family or len(family) != len(sets) + 1:
        expected = "sets of axes, one of them all, and with two of them what both have in common"
        raise InputError("terms", expected, {name: sorted(its) for name, its in sets.items()})
    if resamples < 0:
        raise InputError("resamples", "0 or more", resamples)


class _Squares:
    """Sums of squares of a design, where level i of factor 0 counts as often as it is drawn.

    values: an axis for each factor. sets: name of a term -> its axes. df: of each term.
    """

    def __init__(self, values: NDArray[np.float64], sets: Mapping[str, frozenset[int]]) -> None:
        self.sizes = values.shape
        self.sets = dict(sorted(sets.items(), key=lambda item: len(item[1])))
        # a constant changes no component, and large ones would cost digits
        self.values = values - values.mean()
        self.df: dict[str, int] = {}
        for name, its in self.sets.items():
            inside = sum(self.df[other] for other in self.df if self.sets[other] < its)
            self.df[name] = prod(self.sizes[k] for k in its) - 1 - inside

    def variances(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Name -> the component in each draw, float64 [m]. weights: [m, levels of factor 0]."""
        whole = self._uncorrected(frozenset(), weights)
        sums: dict[str, NDArray[np.float64]] = {}
        for name, its in self.sets.items():
            inside = sum(sums[other] for other in sums if self.sets[other] < its)
            sums[name] = self._uncorrected(its, weights) - whole - inside
        found: dict[str, NDArray[np.float64]] = {}
        for name, its in reversed(self.sets.items()):
            above = sum(
                self._repeats(self.sets[other]) * found[other]
                for other in found
                if self.sets[other] > its
            )
            found[name] = (sums[name] / self.df[name] - above) / self._repeats(its)
        return {name: found[name] for name in self.sets}

    def _repeats(self, its: frozenset[int]) -> int:
        """How many numbers share one effect of a term."""
        return prod(size for k, size in enumerate(self.sizes) if k not in its)

    def _uncorrected(
        self, its: frozenset[int], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """U of a term in each draw, [m]."""
        others = tuple(k for k in range(1, len(self.sizes)) if k not in its)
        means = self.values.mean(axis=others).reshape(self.sizes[0], -1)
        if 0 in its:
            squares = weights @ np.square(means).sum(axis=1)
        else:
            squares = np.square(weights @ means / self.sizes[0]).sum(axis=1)
        return self._repeats(its) * squares
