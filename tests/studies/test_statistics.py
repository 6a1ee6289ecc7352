"""Semantics, section 15: values by hand, from papers and from scipy."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from eventsnn import statistics
from eventsnn.exceptions import InputError


def hits(gained, lost, both, neither):
    """Hits of two ways with these numbers of images."""
    pairs = gained * [(1, 0)] + lost * [(0, 1)] + both * [(1, 1)] + neither * [(0, 0)]
    return tuple(np.array(pairs, bool).T)


def test_intervals_of_shares():
    """Wilson's interval for 81 of 263 and for 0 of 20, as Newcombe (1998, table I) gives them."""
    assert statistics.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert statistics.wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert statistics.wilson(0, 20)[0] == 0 and statistics.wilson(7, 7)[1] == 1
    row = statistics.share("certified", np.arange(263) < 81)
    assert [row[f"certified{end}"] for end in ("", " low", " high")] == [
        81 / 263,
        *statistics.wilson(81, 263),
    ]


def test_intervals_that_overlap_and_ways_that_differ():
    """SNM on VGG-16 at T = 8 on 200 images: fifo 72.0 % and clocked 80.5 %, 6 : 23 images."""
    fifo, clocked = hits(6, 23, 138, 33)
    assert fifo.mean() == 0.72 and clocked.mean() == 0.805
    assert statistics.wilson(144, 200)[1] > statistics.wilson(161, 200)[0]
    found = statistics.compare({"fifo": (fifo, clocked)})["fifo"]
    assert (found.gained, found.lost, found.difference) == (6, 23, pytest.approx(-0.085))
    assert found.p == found.holm == pytest.approx(0.0023157, abs=5e-8)
    assert found.words == "6 : 23, p = 0.0023"


def test_mcnemar_by_hand():
    """0 : 5 is 2 / 2^5; 1 : 3 is 2 (1 + 4) / 2^4; nothing, and a draw, are 1."""
    assert statistics.mcnemar(0, 5) == pytest.approx(2 / 32)
    assert statistics.mcnemar(1, 3) == pytest.approx(10 / 16)
    assert statistics.mcnemar(0, 0) == statistics.mcnemar(4, 4) == 1


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (3, 7), (81, 263), (9990, 10_000)])
def test_shares_and_chances_as_scipy_has_them(hits, n):
    for level in (0.5, 0.95, 0.999):
        ends = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
        assert statistics.wilson(hits, n, level) == pytest.approx(tuple(ends), abs=1e-12)
    for chance in (0.0, 0.001, 0.1, 0.999, 1.0):
        p = stats.binomtest(hits, n, chance, alternative="greater").pvalue
        assert statistics.at_least(hits, n, chance) == pytest.approx(p, rel=1e-9)
    p = stats.binomtest(hits, n).pvalue
    assert statistics.mcnemar(hits, n - hits) == pytest.approx(p, rel=1e-9)


def test_sign_flips_by_hand():
    """3, 1, 1: of the eight sums only +-5 are as large; 2, -1: all four sums are."""
    assert statistics.sign_flip([3, 1, 1]) == pytest.approx(2 / 8)
    assert statistics.sign_flip([2, -1, 0, 0]) == 1
    assert statistics.sign_flip([0, 0]) == 1
    for gained, lost in ((6, 23), (0, 5), (4, 4), (700, 610)):
        differences = np.repeat([1, -1, 0], [gained, lost, 9])
        p = statistics.mcnemar(gained, lost)
        assert statistics.sign_flip(differences) == pytest.approx(p, rel=1e-9)
        assert statistics.sign_flip(6 * differences) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_sign_flips_as_all_sums_and_scipy_have_them(seed):
    differences = np.random.default_rng(seed).integers(-5, 8, 11)
    sums = [np.dot(signs, differences) for signs in product((-1, 1), repeat=11)]
    p = np.mean(np.abs(sums) >= abs(differences.sum()))
    assert statistics.sign_flip(differences) == pytest.approx(p)
    theirs = stats.permutation_test(
        (differences, np.zeros(11)),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
    )
    assert statistics.sign_flip(differences) == pytest.approx(theirs.pvalue)


def test_ways_with_several_seeds():
    """Image 0 is right in 2 of 2 seeds against 0 of 1, image 1 in 1 of 2 against 1 of 1."""
    way = np.array([[1, 1, 0, 1], [1, 0, 0, 1]], bool)
    found = statistics.compare({"random": (way, np.array([0, 1, 0, 1], bool))})["random"]
    assert found[:5] == (4, (2, 1), 1, 1, pytest.approx((1 - 0.5) / 4))
    assert found.p == 1  # 2 - 1: the sums are +-1 and +-3


def test_holm():
    """Holm 1979: 3 x 0.01, 2 x 0.02, 1 x 0.03 and never less than the one before."""
    assert statistics.holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert statistics.holm([0.5, 0.9]) == [1, 1]
    assert statistics.holm([]) == []
    ways = {"a": hits(0, 5, 1, 1), "b": hits(6, 23, 3, 3), "c": hits(1, 3, 0, 0)}
    found = statistics.compare(ways)
    assert [found[key].holm for key in "abc"] == pytest.approx([2 * 2 / 32, 3 * 0.0023157, 10 / 16])


def test_bootstrap_of_a_mean_as_scipy_has_it():
    values = np.random.default_rng(3).exponential(size=120)
    found = statistics.bootstrap(values, seed=5)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.02)
    assert found == statistics.bootstrap(values, seed=5) != statistics.bootstrap(values, seed=6)
    assert (found.images, found.seeds, found.resamples, found.seed) == (120, 1, 10_000, 5)
    assert found.words.endswith("10,000 resamples of the images, seed 5")


def test_bootstrap_of_ratios_and_medians_as_scipy_has_it():
    rng = np.random.default_rng(4)
    below = rng.uniform(1, 3, 60)
    above = below * rng.uniform(0.5, 0.7, 60)
    ratio = statistics.bootstrap(above, divisor=below)
    assert ratio.value == pytest.approx(above.mean() / below.mean())
    theirs = stats.bootstrap(
        (above, below),
        lambda x, y, axis: x.mean(axis=axis) / y.mean(axis=axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (ratio.low, ratio.high) == pytest.approx((theirs.low, theirs.high), rel=0.01)
    for some in (above, above[:59]):
        median = statistics.bootstrap(some, median=True)
        assert median.value == np.median(some)
        theirs = stats.bootstrap(
            (some,), np.median, n_resamples=20_000, method="percentile", rng=rng
        ).confidence_interval
        assert (median.low, median.high) == pytest.approx((theirs.low, theirs.high), rel=0.02)


def test_bootstrap_draws_images_and_seeds():
    """Equal images: only seeds vary. Two seeds, 0 and 1: means 0, 1/2 and 1, each at its time."""
    crossed = np.repeat([[0.0], [1.0]], 50, axis=1)
    found = statistics.bootstrap(crossed)
    assert found[:3] == (0.5, 0, 1) and found.seeds == 2
    assert "2 seeds are drawn, too, and understate the variance" in found.words
    rng = np.random.default_rng(8)
    values = rng.normal(size=(5, 1)) + rng.normal(size=(1, 80))
    found = statistics.bootstrap(values)
    expected = np.sqrt(values.mean(1).var() / 5 + values.mean(0).var() / 80)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(expected, rel=0.05)
    assert statistics.bootstrap(np.ones((2, 3)), median=True)[:3] == (1, 1, 1)


def test_columns_have_the_same_draws():
    values = np.random.default_rng(2).normal(size=40)
    columns = {"a": values, "b": 2 * values, "m": values}
    found = statistics.bootstraps(columns, divisors={"b": values}, medians=["m"])
    assert found["a"] == pytest.approx(statistics.bootstrap(values))
    assert (found["b"].low, found["b"].high) == (pytest.approx(2), pytest.approx(2))
    none = statistics.bootstrap(values, divisor=0 * values)
    assert np.isnan([none.value, none.low, none.high]).all()


def test_many_images_are_drawn_in_parts(monkeypatch):
    values = np.random.default_rng(2).normal(size=(2, 30))
    monkeypatch.setattr(statistics, "CHUNK", 100)
    found = statistics.bootstrap(values, resamples=500)
    assert found.low < values.mean() < found.high


def test_correlations():
    x = np.array([1.0, 2, 4, 4, 8])
    y = np.array([3, 1, 4, 1, 5])
    assert statistics.pearson(x, -x) == pytest.approx(-1)
    assert statistics.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    for constant in (x * 0, x * 0 + 2, x[:0]):
        for found in (statistics.pearson, statistics.spearman):
            assert np.isnan(found(x[: len(constant)], constant))
            assert np.isnan(found(constant, x[: len(constant)]))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: statistics.wilson(3, 2),
        lambda: statistics.wilson(0, 0),
        lambda: statistics.share("x", []),
        lambda: statistics.mcnemar(-1, 2),
        lambda: statistics.sign_flip([0.5, 1]),
        lambda: statistics.holm([0.5, np.nan]),
        lambda: statistics.compare({"a": ([True], [True, False])}),
        lambda: statistics.compare({"a": ([1, 0], [1, 1])}),
        lambda: statistics.compare({"a": (np.ones((2, 2, 2), bool), [True, False])}),
        lambda: statistics.bootstrap([]),
        lambda: statistics.bootstrap([1, np.nan]),
        lambda: statistics.bootstrap([1, 2], divisor=[1]),
        lambda: statistics.bootstrap([1, 2], divisor=[1, 2], median=True),
        lambda: statistics.bootstrap([1, 2], resamples=0),
    ],
)
def test_what_is_refused(wrong):
    with pytest.raises(InputError):
        wrong()


def test_a_p_too_small_for_a_float_is_no_zero():
    assert statistics.p_words(0.0) == "p < 1e-300"
    assert statistics.p_words(0.00034567) == "p = 0.00035"
