"""Components of variance: textbook closed forms, and data whose components are known."""

import numpy as np
import pytest

from eventsnn import InputError
from eventsnn.studies.components import components

NESTED = {"a": (0,), "b in a": (0, 1), "rest": (0, 1, 2)}
CROSSED = {"a": (0,), "b": (1,), "a x b": (0, 1), "rest": (0, 1, 2)}
# as in a study of orders: encoding seeds in images, F across all, orders in all three
STUDY = {
    "images": (0,),
    "encoding": (0, 1),
    "F": (2,),
    "images x F": (0, 2),
    "encoding x F": (0, 1, 2),
    "orders": (0, 1, 2, 3),
}


def made(rng, sizes, terms, variances):
    """Numbers with one normal effect for each term."""
    values = np.full(sizes, 5.0)
    for name, axes in terms.items():
        shape = [size if k in axes else 1 for k, size in enumerate(sizes)]
        values = values + np.sqrt(variances[name]) * rng.normal(size=shape)
    return values


def test_one_way_is_the_textbooks():
    """Searle, Casella and McCulloch 1992, section 3.5: (MSA - MSE) / n, and MSE."""
    values = np.random.default_rng(0).normal(size=(7, 5)) + np.arange(7)[:, None]
    found = components(values, {"a": (0,), "rest": (0, 1)}, resamples=0)
    mse = values.var(axis=1, ddof=1).mean()
    msa = 5 * values.mean(axis=1).var(ddof=1)
    assert found["rest"].variance == pytest.approx(mse)
    assert found["a"].variance == pytest.approx((msa - mse) / 5)
    assert (found["a"].df, found["rest"].df) == (6, 28) and np.isnan(found["a"].low)


def test_two_way_crossed_is_the_textbooks():
    values = made(np.random.default_rng(1), (6, 4, 3), CROSSED, dict.fromkeys(CROSSED, 1.0))
    found = components(values, CROSSED, resamples=0)
    mse = values.var(axis=2, ddof=1).mean()
    cells = values.mean(axis=2)
    a, b, mean = cells.mean(axis=1), cells.mean(axis=0), cells.mean()
    msab = 3 * np.square(cells - a[:, None] - b + mean).sum() / (5 * 3)
    msa, msb = 12 * a.var(ddof=1), 18 * b.var(ddof=1)
    expected = [(msa - msab) / 12, (msb - msab) / 18, (msab - mse) / 3, mse]
    assert [each.variance for each in found.values()] == pytest.approx(expected)
    assert [each.df for each in found.values()] == [5, 3, 15, 48]


@pytest.mark.parametrize(
    ("terms", "sizes"), [(NESTED, (12, 3, 4)), (CROSSED, (12, 4, 3)), (STUDY, (10, 3, 3, 2))]
)
def test_known_components_are_found(terms, sizes):
    """Unbiased: the mean of many estimates is the true one within 4 of its standard errors."""
    rng = np.random.default_rng(2)
    truth = {name: 0.5 * (k % 3) + 0.25 for k, name in enumerate(terms)}
    found = [components(made(rng, sizes, terms, truth), terms, resamples=0) for _ in range(300)]
    for name in terms:
        its = np.array([each[name].variance for each in found])
        assert abs(its.mean() - truth[name]) < 4 * its.std() / np.sqrt(len(its)), name
        assert its.std() > 0


def test_components_of_nothing_may_be_below_0_and_are_0_on_average():
    rng = np.random.default_rng(3)
    truth = dict.fromkeys(STUDY, 0.0) | {"orders": 1.0}
    found = [components(made(rng, (6, 2, 2, 3), STUDY, truth), STUDY) for _ in range(1)]
    assert set(found[0]) == set(STUDY)
    found = [
        components(made(rng, (6, 2, 2, 3), STUDY, truth), STUDY, resamples=0)["images"].variance
        for _ in range(200)
    ]
    assert min(found) < 0 and abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(200)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(4)
    truth = {"a": 1.0, "rest": 2.0}
    terms = {"a": (0,), "rest": (0, 1)}
    held = 0
    for k in range(100):
        its = components(made(rng, (40, 6), terms, truth), terms, resamples=300, seed=k)["rest"]
        assert its.low <= its.high
        held += its.low <= 2.0 <= its.high
    assert held >= 85


def test_a_resample_is_the_data_with_images_repeated():
    """Draws are weights; the same images written out give the same components."""
    from eventsnn.studies.components import _Squares

    values = made(np.random.default_rng(5), (5, 2, 3, 2), STUDY, dict.fromkeys(STUDY, 1.0))
    sets = {name: frozenset(axes) for name, axes in STUDY.items()}
    found = _Squares(values, sets).variances(np.array([[2.0, 0, 1, 2, 0]]))
    repeated = components(values[[0, 0, 2, 3, 3]], STUDY, resamples=0)
    for name, its in repeated.items():
        assert found[name][0] == pytest.approx(its.variance)


@pytest.mark.parametrize(
    ("values", "terms", "words"),
    [
        (np.zeros((1, 3)), {"a": (0,), "rest": (0, 1)}, "values: expected finite"),
        (np.full((2, 3), np.nan), {"a": (0,), "rest": (0, 1)}, "values: expected finite"),
        (np.zeros((2, 3)), {"a": (0,)}, "terms: expected sets of axes"),
        (np.zeros((2, 3, 2)), {"a": (0, 1), "b": (1, 2), "r": (0, 1, 2)}, "terms: expected"),
        (np.zeros((2, 3)), {"a": (0,), "b": (0,), "r": (0, 1)}, "terms: expected"),
        (np.zeros((2, 3)), {"a": (0,), "r": (0, 3)}, "terms: expected"),
    ],
)
def test_bad_designs_end_in_a_line(values, terms, words):
    with pytest.raises(InputError, match=words):
        components(values, terms)


def test_resamples_are_counted():
    with pytest.raises(InputError, match="resamples: expected 0 or more"):
        components(np.eye(3), {"a": (0,), "rest": (0, 1)}, resamples=-1)
