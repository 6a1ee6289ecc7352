"""Learning rates, each a function of the step alone, so that a training can go on anywhere."""

from __future__ import annotations

import math

WARM = 0.25  # share of the steps in which `onecycle` goes up
FIRST = 0.1  # its first rate, as a share of the largest


def rate(schedule: str, step: int, steps: int) -> float:
    """The share of the largest rate for a step.

    schedule: one of `recipe.SCHEDULES`. step: from 0. steps: of the whole training.
    """
    share = step / steps
    if schedule == "cosine":  # Loshchilov and Hutter 2017, without restarts
        return (1 + math.cos(math.pi * share)) / 2
    if schedule == "onecycle":
        if share < WARM:
            return FIRST + (1 - FIRST) * share / WARM
        return (1 + math.cos(math.pi * (share - WARM) / (1 - WARM))) / 2
    if schedule == "steps":  # TCL section IV: epochs 100 and 150 of 200
        return 0.1 ** ((share >= 0.5) + (share >= 0.75))
    return 1.0
