"""Verdicts on the readout: saturated, accuracy that falls again, or still rises."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eventsnn.statistics import compare
from eventsnn.studies.diagnosis.measured import CERTAIN, Measured
from eventsnn.studies.diagnosis.verdict import FINE, FOUND, UNKNOWN, Verdict

RISING = 0.05  # p of the last doubling of T below it, where the network is below its ANN
PERHAPS = 0.2  # p below it: more images may tell
TIED = 0.05  # share of images whose largest output two classes have


def verdicts(m: Measured) -> Iterator[Verdict]:
    """What the readout says over time. m: what was measured."""
    yield from _saturated(m)
    yield from _over_time(m)


def _saturated(m: Measured) -> Iterator[Verdict]:
    """Images of which several classes have the largest output: argmax takes the first."""
    charge = m.result.batch.readout[:, -1]
    if charge.shape[1] < 2:
        return
    largest = charge.max(axis=1, keepdims=True)
    share = float(np.mean((charge == largest).sum(axis=1) > 1))
    if share > TIED:
        words = (
            f"of {share:.0%} of the images several classes have the same largest output: the "
            "readout is saturated or silent, and the first of them is taken"
        )
        yield Verdict("saturated readout", "", m.state(), share, words)


def _over_time(m: Measured) -> Iterator[Verdict]:
    """Whether an earlier readout is better than the last, or the accuracy still rises."""
    steps = m.steps
    if len(steps) < 2:
        return
    last = m.right()
    found = compare({t: (m.right(t), last) for t in steps[:-1]})
    best = max(steps[:-1], key=lambda t: found[t].difference)
    peak = found[best]
    share = float(m.right(best).mean())
    told = f"accuracy {share:.1%} at T = {best}, {last.mean():.1%} at T = {steps[-1]}"
    if peak.difference > 0 and peak.holm < CERTAIN:
        words = f"it rises and then falls: {told} ({peak.words} after Holm)"
        yield Verdict("rises and falls", "", FOUND, peak.difference, words)
    elif peak.difference > 0 and peak.p < PERHAPS:
        words = f"{told}, {peak.words}: {len(m.images)} images cannot tell whether it falls"
        yield Verdict("rises and falls", "", UNKNOWN, peak.difference, words)
    else:
        words = "no earlier readout is better than the last by more than chance"
        yield Verdict("rises and falls", "", FINE, max(0.0, peak.difference), words)
    before = found[steps[-2]]
    if m.below and before.difference < 0 and before.p < RISING:
        words = (
            f"the accuracy still rises: {m.right(steps[-2]).mean():.1%} at T = {steps[-2]}, "
            f"{last.mean():.1%} at T = {steps[-1]}; more steps may help"
        )
        yield Verdict("still rising", "", FOUND, -before.difference, words)
