"""What was found of a claim: numbers with intervals, and the verdict that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.statistics import bootstrap, compare, holm, p_words, wilson

HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "fails", "undecided", "not run"
ALPHA = 0.05


class NotRun(Exception):
    """A claim cannot be judged here; the text says what it takes."""


@dataclass(frozen=True)
class Finding:
    """A number with its interval, beside the bounds between which a claim has it.

    what: it is, in words. value, low, high: the number and its 95 % interval. least, most: the
    claim is that the true number lies above `least` and below `most` (None: no such bound). p: of
    the test that there is no difference, where there is one. form: how the numbers are written.
    exceptions: of a claim that a single one refutes, how many there are; None: it is no such claim.
    """

    what: str
    value: float
    low: float
    high: float
    least: float | None = None
    most: float | None = None
    p: float | None = None
    form: str = ".3g"
    exceptions: int | None = None

    @property
    def verdict(self) -> str:
        """HOLDS where the whole interval is within the bounds, FAILS where none of it is.

        With a p it takes a p below ALPHA, too; then either is UNDECIDED without it.
        """
        if self.exceptions is not None:
            return FAILS if self.exceptions else HOLDS
        if self.p is not None and not self.p < ALPHA:
            return UNDECIDED
        above = self.least is None or self.low > self.least
        below = self.most is None or self.high < self.most
        if above and below:
            return HOLDS
        under = self.least is not None and self.high < self.least
        over = self.most is not None and self.low > self.most
        return FAILS if under or over else UNDECIDED

    @property
    def words(self) -> str:
        """The number, its interval and what was claimed, in a line."""
        numbers = (format(x, self.form) for x in (self.value, self.low, self.high))
        text = "{} {} [{}, {}]".format(self.what, *numbers)
        bounds = []
        if self.least is not None:
            bounds.append(f"above {format(self.least, self.form)}")
        if self.most is not None:
            bounds.append(f"below {format(self.most, self.form)}")
        text += f" (claimed: {' and '.join(bounds)})" if bounds else ""
        return text if self.p is None else f"{text}, {p_words(self.p)}"


@dataclass(frozen=True)
class Claim:
    """A claim of a paper.

    paper, place: where it is made. words: what is claimed, with the bounds that judge it. judge:
    function of a `Bench` that returns findings; all of them have to hold. Raises NotRun where it
    takes more than a rerun. command: what measures it, but for `analysis/claims.py`.
    """

    paper: str
    place: str
    words: str
    judge: Callable[[Any], list[Finding]]
    command: str = ""


@dataclass(frozen=True)
class Judged:
    """A claim and what was found. name: of the claim. why: it was not run, or ""."""

    name: str
    claim: Claim
    findings: tuple[Finding, ...]
    why: str = ""

    @property
    def verdict(self) -> str:
        """Of all findings: one that fails decides, then one that is undecided."""
        if not self.findings:
            return NOT_RUN
        found = {each.verdict for each in self.findings}
        return next(verdict for verdict in (FAILS, UNDECIDED, HOLDS) if verdict in found)


def more(
    what: str, first: NDArray[np.bool_], second: NDArray[np.bool_], least: float = 0.0
) -> Finding:
    """That a way has more images right than another, by more than `least`: paired, McNemar.

    what: in words. first, second: hits of the two, bool [N] of the same images.
    """
    found = bootstrap(first.astype(float) - second)
    p = compare({"": (first, second)})[""].p if least == 0 else None
    return Finding(what, *found[:3], least=least, p=p, form="+.1%")


def close(what: str, first: NDArray[np.bool_], second: NDArray[np.bool_], margin: float) -> Finding:
    """That two ways have as many images right, within a margin. Parameters as for `more`."""
    found = bootstrap(first.astype(float) - second)
    return Finding(what, *found[:3], least=-margin, most=margin, form="+.1%")


def mean(
    what: str,
    values: Any,
    form: str = ".3g",
    least: float | None = None,
    most: float | None = None,
) -> Finding:
    """That the mean of images lies between bounds. values: [N]. form, least, most: of `Finding`."""
    value, low, high = bootstrap(np.asarray(values, float))[:3]
    return Finding(what, value, low, high, least, most, form=form)


def ratio(
    what: str, values: Any, divisor: Any, form: str = ".3g", most: float | None = None
) -> Finding:
    """That a ratio of two means lies below a bound. values, divisor: [N]. form, most: as above."""
    found = bootstrap(np.asarray(values, float), divisor=np.asarray(divisor, float))
    return Finding(what, found.value, found.low, found.high, most=most, form=form)


def none_of(what: str, count: int, number: int) -> Finding:
    """That nothing is an exception. count: exceptions. number: of how many. One refutes it."""
    words = f"{what}: {count:,} of {number:,}, share"
    return Finding(words, count / number, *wilson(count, number), form=".2g", exceptions=count)


def corrected(judged: Sequence[Judged]) -> list[Judged]:
    """The same with p after Holm's correction over all comparisons of all claims."""
    given = [each for its in judged for each in its.findings if each.p is not None]
    adjusted = iter(holm([each.p for each in given if each.p is not None]))
    found = []
    for its in judged:
        findings = []
        for each in its.findings:
            findings.append(each if each.p is None else replace(each, p=next(adjusted)))
        found.append(replace(its, findings=tuple(findings)))
    return found
