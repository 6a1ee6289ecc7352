"""Shares, paired comparisons and bootstrap intervals (semantics, section 15).

Ways of one table run on the same images, so two of them are compared image by image: what counts
are the images that one has right and the other wrong, not whether two intervals overlap.

    found = statistics.compare({"fifo": (fifo_right, clocked_right)})
    print(found["fifo"].words)              # 6 : 23, p = 0.0023

Intervals hold for these trained networks, not for training anew.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from math import exp, gcd, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.arguments import Array, Count, Natural, Numbers, Truths, checked
from eventsnn.exceptions import InputError
from eventsnn.values import not_empty, shown

# scipy.stats is imported where nothing else will do: that takes most of a second

RESAMPLES = 10_000
MOST = 2**40  # images of a share
LEVEL = 0.95
CHUNK = 2**22  # weights of images that are held at a time

Key = TypeVar("Key", bound=Hashable)


class Interval(NamedTuple):
    """A number with its bootstrap interval.

    value: of all images and seeds. low, high: the ends of the 95 % interval. images, seeds: how
    many were drawn from. resamples: how often. seed: of the draws.
    """

    value: float
    low: float
    high: float
    images: int
    seeds: int
    resamples: int
    seed: int

    @property
    def words(self) -> str:
        """How the interval was found, for the line under a table."""
        return bootstrap_words(self.seeds, self.resamples, self.seed)


class Paired(NamedTuple):
    """Two ways on the same images, the first against the second.

    images: how many. seeds: runs of either way. gained, lost: the images that the first way has
    right and the second wrong, and the other way round; with several seeds, those of which the
    first way is right more often, and less often. difference: of the shares of hits, the first less
    the second. p: two-sided. holm: p after Holm's correction for all comparisons of the family.
    """

    images: int
    seeds: tuple[int, int]
    gained: int
    lost: int
    difference: float
    p: float
    holm: float

    @property
    def counts(self) -> str:
        """The discordant images as "gained : lost"."""
        return f"{self.gained} : {self.lost}"

    @property
    def words(self) -> str:
        """The discordant images with p, as a cell of a table."""
        return f"{self.counts}, {p_words(self.holm)}"


@checked
def p_words(p: float) -> str:
    """A p value as text. p: 0 where it is smaller than float64 can tell.

    Raises InputError for what is no number.
    """
    return f"p = {p:.2g}" if p else "p < 1e-300"


@checked
def wilson(hits: Natural, n: Count, level: float = LEVEL) -> tuple[float, float]:
    """The interval (low, high) of a share `hits / n` (Wilson 1927).

    hits: how many of `n`. n: how many were tried, 1 or more. level: the share of intervals that
    hold the true share, between 0 and 1. Raises InputError for anything else.
    """
    if not (MOST >= n >= 1 and 0 <= hits <= n and 0 < (1 + level) / 2 < 1):
        expected = "0 to n hits of n >= 1, and a level between 0 and 1"
        raise InputError("wilson", expected, f"{hits} of {n}, level {level:g}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(hits * (n - hits) / n + z * z / 4)
    # rounding leaves 1e-17 beside 0 and 1 where no image, or every one, is a hit
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


@checked
def at_least(hits: Natural, n: Count, chance: float) -> float:
    """The probability of `hits` or more of n where each is one with the same chance (binomial).

    hits: 0 to n. n: how many are tried. chance: of one, 0 to 1. Raises InputError for anything
    else.
    """
    if not (MOST >= n >= 1 and 0 <= hits <= n and 0 <= chance <= 1):
        expected = "0 to n hits of n >= 1, and a chance between 0 and 1"
        raise InputError("at_least", expected, f"{hits} of {n}, chance {chance:g}")
    if hits == 0 or chance in (0, 1):
        return float(hits == 0 or chance == 1)
    of_all = lgamma(n + 1)
    terms = (
        of_all - lgamma(k + 1) - lgamma(n - k + 1) + k * log(chance) + (n - k) * log1p(-chance)
        for k in range(hits, n + 1)
    )
    return min(1.0, sum(map(exp, terms)))


@checked
def share(name: str, hits: Truths) -> dict[str, float]:
    """A share with its 95 % interval (Wilson): {name, `<name> low`, `<name> high`}.

    name: what to call it. hits: bool [N], one or more, of which it is the share of True. Raises
    InputError where there are none.
    """
    right = np.asarray(hits, bool)
    not_empty("hits", right.ravel())
    low, high = wilson(int(right.sum()), right.size)
    return {name: float(right.mean()), f"{name} low": low, f"{name} high": high}


@checked
def mcnemar(gained: Natural, lost: Natural) -> float:
    """The two-sided p of the exact McNemar test: a binomial test of 1/2 on discordant images.

    gained, lost: images that one way alone has right, and that the other alone has right, 0 or
    more. It is 1 where there are none. Raises InputError for negative numbers.
    """
    if gained < 0 or lost < 0:
        raise InputError("mcnemar", "counts of 0 or more", f"{gained} and {lost}")
    n, ways, ways_so_far = gained + lost, 1, 0
    for k in range(min(gained, lost) + 1):
        ways_so_far += ways
        ways = ways * (n - k) // (k + 1)
    return min(1.0, 2 * ways_so_far / 2**n)  # of whole numbers, so exact up to one rounding


@checked
def sign_flip(differences: Annotated[ArrayLike, Array("biuf")]) -> float:
    """The two-sided p of the exact sign-flip test: that the images' mean difference is 0.

    differences: whole numbers [N], an image's difference times the same number for all. Under the
    hypothesis each is as likely as its negative. The distribution of their sum is computed whole,
    not drawn; with differences of -1, 0 and 1 this is McNemar's test. Raises InputError for
    anything but whole numbers.
    """
    given = np.asarray(differences)
    if given.ndim != 1 or given.dtype.kind not in "iub":
        found = f"{given.dtype} {list(given.shape)}"
        raise InputError("sign_flip", "whole numbers [N]", found, "multiply by the number of seeds")
    moved = given.astype(np.int64)
    moved = moved[moved != 0]
    if not len(moved):
        return 1.0
    moved //= gcd(*moved.tolist())
    sizes, counts = np.unique(np.abs(moved), return_counts=True)
    # of each size that sum which has a plus: so many of `counts`, each with probability 1/2
    chances = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist()):
        grown = np.zeros(len(chances) + size * count)
        ways, every = 1, 2**count
        for k in range(count + 1):
            grown[k * size : k * size + len(chances)] += ways / every * chances
            ways = ways * (count - k) // (k + 1)
        chances = grown
    sums = 2 * np.arange(len(chances)) - (len(chances) - 1)
    return min(1.0, float(chances[np.abs(sums) >= abs(int(moved.sum()))].sum()))


@checked
def holm(p: Sequence[float]) -> list[float]:
    """Values of p after Holm's correction (Holm 1979), in the order given.

    p: of all comparisons of one family, each from 0 to 1. Raises InputError for anything else.
    """
    given = np.asarray(p, np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise InputError("holm", "values of p from 0 to 1", given.tolist())
    order = np.argsort(given, kind="stable")
    factors = len(given) - np.arange(len(given))
    adjusted = np.empty(len(given))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(given[order] * factors))
    return adjusted.tolist()


@checked
def compare(pairs: Mapping[Key, tuple[Truths, Truths]]) -> dict[Key, Paired]:
    """Paired comparisons of ways with their reference, all of them one Holm family.

    Two single runs are compared by the exact McNemar test; with several seeds the test is the
    sign-flip test on each image's mean difference.

    pairs: what is compared -> (hits of a way, hits of its reference), each bool [N], or [seeds, N]
    of a way that was run with several seeds; N is the same for both. Raises InputError for arrays
    of other shapes.
    """
    found = {key: _paired(key, *ways) for key, ways in pairs.items()}
    adjusted = holm([each.p for each in found.values()])
    return {key: each._replace(holm=p) for (key, each), p in zip(found.items(), adjusted)}


def _paired(key: Hashable, first: ArrayLike, second: ArrayLike) -> Paired:
    """One comparison, not yet corrected. first, second: hits of the two ways."""
    a, b = (np.atleast_2d(np.asarray(hits)) for hits in (first, second))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not a.size or not b.size:
        found = f"shapes {list(np.shape(first))} and {list(np.shape(second))}"
        raise InputError(f"comparison {key!r}", "hits [N] or [seeds, N] of the same images", found)
    if a.dtype.kind != "b" or b.dtype.kind != "b":
        raise InputError(f"comparison {key!r}", "hits, bool", f"{a.dtype} and {b.dtype}")
    # whole numbers: each image's mean difference, times the seeds of both
    difference = len(b) * a.sum(axis=0) - len(a) * b.sum(axis=0)
    gained, lost = int((difference > 0).sum()), int((difference < 0).sum())
    p = mcnemar(gained, lost) if len(a) == len(b) == 1 else sign_flip(difference)
    mean = float(difference.sum() / (len(a) * len(b) * a.shape[1]))
    return Paired(a.shape[1], (len(a), len(b)), gained, lost, mean, p, p)


@checked
def bootstrap(
    values: Numbers,
    *,
    divisor: Numbers | None = None,
    median: bool = False,
    resamples: Count = RESAMPLES,
    seed: Natural = 0,
) -> Interval:
    """A mean, a ratio of means or a median with its bootstrap interval.

    values: numbers [N], of images, or [seeds, N]. divisor: of the same shape; then it is the mean
    of `values` over that of `divisor`. median, resamples, seed: as for `bootstraps`. Raises
    InputError as that does.
    """
    divisors = {} if divisor is None else {"": divisor}
    medians = ("",) if median else ()
    found = bootstraps(
        {"": values}, divisors=divisors, medians=medians, resamples=resamples, seed=seed
    )
    return found[""]


@checked
def bootstraps(
    columns: Mapping[Key, Numbers],
    *,
    divisors: Mapping[Key, Numbers] | None = None,
    medians: Collection[Key] = (),
    resamples: Count = RESAMPLES,
    seed: Natural = 0,
) -> dict[Key, Interval]:
    """Name -> `Interval`: the 2.5th to the 97.5th percentile of what resamples have.

    A resample draws images with replacement and, where there are several seeds, seeds
    independently of them, as every image was run with every seed. All columns have the same draws.

    columns: name -> finite numbers [N], of images, or [seeds, N]; the same shape for all. divisors:
    name -> numbers of the same shape: the column becomes a ratio of two means, NaN where a
    divisor's mean is 0. medians: names of columns whose median is taken in the mean's place.
    resamples: how many. seed: of the draws. Raises InputError for other shapes and numbers, and for
    a median that has a divisor.
    """
    not_empty("columns", columns)
    given: dict[Any, NDArray[np.float64]] = {}
    below: dict[Any, NDArray[np.float64]] = {}
    for into, some in ((given, columns), (below, divisors or {})):
        for name, values in some.items():
            into[name] = np.atleast_2d(np.asarray(values, np.float64))
    shapes = {values.shape for values in (*given.values(), *below.values())}
    finite = all(np.isfinite(values).all() for values in (*given.values(), *below.values()))
    if len(shapes) != 1 or len(shape := next(iter(shapes))) != 2 or not min(shape) or not finite:
        found = f"shapes {sorted(map(list, shapes))}" if finite else "NaN or infinity"
        raise InputError("bootstrap", "finite numbers [N] or [seeds, N], one shape", found)
    unknown = ({*below, *medians} - given.keys()) | ({*below} & {*medians})
    if unknown or resamples < 1 or seed < 0:
        expected = "divisors or medians of its columns, resamples from 1 and a seed from 0"
        found = f"{sorted(map(str, unknown))}, {resamples} resamples, seed {seed}"
        raise InputError("bootstrap", expected, found)
    seeds, images = shape
    one = np.ones((1, seeds)), np.ones((1, images))
    drawn: dict[Any, list[NDArray[np.float64]]] = {name: [] for name in given}
    for weights in _draws(seeds, images, resamples, seed):
        for name, values in _statistics(weights, given, below, medians).items():
            drawn[name].append(values)
    result = {}
    for name, (value,) in _statistics(one, given, below, medians).items():
        all_values = np.concatenate(drawn[name])
        known = all_values[~np.isnan(all_values)]
        low = high = float("nan")
        if len(known):
            ends = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            low, high = ends.tolist()
        result[name] = Interval(float(value), low, high, images, seeds, resamples, seed)
    return result


def _draws(seeds: int, images: int, resamples: int, seed: int) -> Any:
    """Yields (how often each seed [m, seeds], each image [m, images] was drawn), m at a time."""
    rng = np.random.default_rng(seed)
    most = max(1, CHUNK // images)
    for first in range(0, resamples, most):
        count = min(most, resamples - first)
        parts = []
        for size in (seeds, images):
            # the only seed needs no draw
            chosen = rng.integers(size, size=(count, size)) if size > 1 else np.zeros((count, 1))
            places = chosen.astype(np.int64) + size * np.arange(count)[:, None]
            times = np.bincount(places.ravel(), minlength=count * size)
            parts.append(times.reshape(count, size).astype(np.float64))
        yield tuple(parts)


def _statistics(
    weights: tuple[NDArray[np.float64], NDArray[np.float64]],
    columns: Mapping[Any, NDArray[np.float64]],
    divisors: Mapping[Any, NDArray[np.float64]],
    medians: Collection[Any],
) -> dict[Any, NDArray[np.float64]]:
    """Name -> the statistic of each resample, float64 [m]. weights: of seeds and of images."""
    means = [name for name in columns if name not in medians]
    found = dict(zip(means, _means(weights, [columns[name] for name in means])))
    under = dict(zip(divisors, _means(weights, list(divisors.values()))))
    for name, divisor in under.items():
        none = np.full(len(divisor), np.nan)
        found[name] = np.divide(found[name], divisor, out=none, where=divisor != 0)
    for name in medians:
        found[name] = _medians(weights, columns[name])
    return {name: found[name] for name in columns}


def _means(
    weights: tuple[NDArray[np.float64], NDArray[np.float64]], columns: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The mean of each column [seeds, N] in each resample, [columns, m]."""
    of_seeds, of_images = weights
    if not columns:
        return np.zeros((0, len(of_seeds)))
    table = np.stack(columns, axis=-1)
    total = np.zeros((len(of_seeds), len(columns)))
    for k, values in enumerate(table):
        total += of_seeds[:, [k]] * (of_images @ values)
    return (total / (of_seeds.sum(axis=1) * of_images.sum(axis=1))[:, None]).T


def _medians(
    weights: tuple[NDArray[np.float64], NDArray[np.float64]], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The median of a column [seeds, N] in each resample, [m]."""
    of_seeds, of_images = weights
    order = np.argsort(values, axis=None)
    ordered = values.ravel()[order]
    found = np.empty(len(of_seeds))
    for k in range(len(found)):
        ends = np.cumsum(np.outer(of_seeds[k], of_images[k]).ravel()[order])
        middle = np.array([(ends[-1] - 1) // 2, ends[-1] // 2])
        found[k] = ordered[np.searchsorted(ends, middle, side="right")].mean()
    return found


@checked
def pearson(x: Numbers, y: Numbers) -> float:
    """Pearson's correlation. NaN where one of the two is constant or there are no values.

    x, y: numbers [n] of any dtype. Raises InputError for others.
    """
    a, b = np.asarray(x), np.asarray(y)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(
            "x and y", "as many values of one as of the other, [n]", f"{shown(a)} and {shown(b)}"
        )
    if not len(a) or (a == a[0]).all() or (b == b[0]).all():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


@checked
def spearman(x: Numbers, y: Numbers) -> float:
    """Spearman's correlation, Pearson's of scipy's ranks: ties have their mean rank.

    x, y: numbers [n] of any dtype. NaN where one of the two is constant or there are no values.
    Raises InputError as `pearson` does.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(values) if np.ndim(values) == 1 else values for values in (x, y)]
    return pearson(*ranks)


@checked
def bootstrap_words(seeds: Count = 1, resamples: Count = RESAMPLES, seed: Natural = 0) -> str:
    """How bootstrap intervals were found, for the line under a table.

    seeds: how many each image was run with. resamples: how many. seed: of the draws.
    """
    words = f"bootstrap intervals: {resamples:,} resamples of the images, seed {seed}"
    if seeds > 1:
        words += f"; {seeds} seeds are drawn, too, and understate the variance of seeds"
    return words


@checked
def footnote(reference: str, trainings: Count = 1, seeds: Count = 1) -> str:
    """What a table of paired comparisons says of itself.

    reference: the way that all others are compared with. trainings: networks that were trained for
    the table. seeds: those of the ways that draw something.
    """
    trained = "1 training" if trainings == 1 else f"{trainings} trainings"
    counted, test = "right here and wrong there", "p two-sided"
    if seeds > 1:
        counted = f"right more often here than there in {seeds} seeds"
        test += " (sign-flip test of each image's mean difference; McNemar's of two single runs)"
    return (
        f"against {reference}, image by image: {counted} : the other way round, {test}, after Holm "
        f"for the whole table;\n{trained}: intervals and p hold for what was trained, not for "
        "training anew"
    )
