"""Attacks as numbers of images, for a sweep: all that tables need, and no edits."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.adversary.attacking import (
    Attacker,
    adversary_of,
    attack,
    check_budgets,
    check_kind,
)
from eventsnn.studies.adversary.attacks import Adversary, Attack
from eventsnn.studies.adversary.base import STUDY
from eventsnn.studies.adversary.budgets import Budget
from eventsnn.studies.adversary.saved import Found
from eventsnn.studies.adversary.search import Limit
from eventsnn.studies.by_image import IMAGE, Arrays, Given, Study, Variable, joined
from eventsnn.studies.setting import check_exact
from eventsnn.views.progress import following

BUDGET = Budget._fields
OF_ATTACK = ("right", "predicted", "movable", "replays", "seconds", "budget", "in_step")


def measure_attacks(
    simulation: Simulation,
    given: Given,
    progress: bool | None = False,
    workers: int | None = None,
    *,
    kind: str,
    within: int | None,
    into: Sequence[str] | None,
    replays: int | None,
    draws: int,
) -> Arrays:
    """What attacks find on each image: the arrays of OF_ATTACKS.

    No search ends by a clock. simulation: of the base runs. given: the images. progress: changes no
    number. workers: has no effect. kind, within, into, replays, draws: as for `attack`. Raises
    InputError for what `attack` refuses.
    """
    check_budgets(kind, within, inf)
    check_exact(simulation, STUDY)
    check_kind(simulation, kind)
    limit, seed = Limit(inf, replays), simulation.seed
    attacker = Attacker(simulation, kind, within, into, limit, draws, seed)
    labels = given.labels
    rows = []
    with following(len(given.pixels), "image", progress) as bar:
        for place, number in enumerate(given.numbers.tolist()):
            label = None if labels is None else int(labels[place])
            rows.append(_row_of(attacker.one(given.pixels[place], number, place, label), draws))
            bar.update(1)
    return joined(rows)


def _row_of(found: Found | None, draws: int) -> Arrays:
    """The arrays of one image. found: None where the base run is wrong."""
    row = {
        name: np.full((1, *shape_of(its, draws)), its.fill, its.dtype)
        for name, its in VARIABLES.items()
    }
    if found is not None:
        attack, rests = found
        row["attacked"][:] = True
        row["rests"][:] = rests
        for name in OF_ATTACK:
            row[name][0] = getattr(attack, name)
        row["random"][0] = [budget for budget, _ in attack.random]
        row["random_flips"][0] = [flips for _, flips in attack.random]
    return row


def shape_of(variable: Variable, draws: int) -> tuple[int, ...]:
    """How long the axes of one of VARIABLES are, without images. draws: of random edits."""
    sizes = {"budget_part": len(BUDGET), "draw": draws}
    return tuple(sizes[dim] for dim in variable.dims[1:])


def attacks_of(
    simulation: Simulation,
    arrays: Arrays,
    labels: NDArray[np.int64] | None,
    numbers: NDArray[np.int64],
    *,
    kind: str,
    within: int | None,
    into: Sequence[str] | None,
    replays: int | None,
    draws: int,
) -> Adversary:
    """The `Adversary` of what attacks found on each image; its attacks have no edits.

    simulation: of the base runs. arrays: of `measure_attacks`. labels: have no effect. numbers:
    int64 [N], the images'. kind, within, into, replays, draws: as for `attack`. Raises InputError
    where no image was attacked.
    """
    found: list[Found] = []
    for i in np.flatnonzero(arrays["attacked"]).tolist():
        its = {name: values[i].tolist() for name, values in arrays.items()}
        random = [Budget(*budget) for budget in its["random"]]
        one = Attack(
            image=int(numbers[i]),
            place=i,
            right=its["right"],
            predicted=its["predicted"],
            edits=(),
            budget=Budget(*its["budget"]),
            in_step=its["in_step"],
            random=tuple(zip(random, its["random_flips"])),
            movable=its["movable"],
            replays=its["replays"],
            seconds=its["seconds"],
        )
        found.append((one, its["rests"]))
    return adversary_of(simulation, kind, found, len(numbers), None, simulation.seed)


VARIABLES = {
    "attacked": Variable((IMAGE,), "bool", False, "1", "whether the base run has it right"),
    "right": Variable((IMAGE,), "int64", -1, "1", "the class of the base run"),
    "predicted": Variable((IMAGE,), "int64", -1, "1", "the class of the edited run"),
    "budget": Variable(
        (IMAGE, "budget_part"), "int64", 0, "deliveries; ticks or places", "of the least edits"
    ),
    "in_step": Variable((IMAGE,), "int64", 0, "deliveries", "most of a step and layer, edited"),
    "random": Variable(
        (IMAGE, "draw", "budget_part"), "int64", 0, "as budget", "of each draw of random edits"
    ),
    "random_flips": Variable((IMAGE, "draw"), "bool", False, "1", "whether a draw flips the class"),
    "movable": Variable((IMAGE,), "int64", 0, "deliveries", "that can be moved"),
    "replays": Variable((IMAGE,), "int64", 0, "replays", "run for the image"),
    "rests": Variable((IMAGE,), "bool", False, "1", "whether base run and edited run end at rest"),
    "seconds": Variable((IMAGE,), "float64", np.nan, "s", "that it took"),
}
OF_ATTACKS = Study(
    attack,
    measure_attacks,
    attacks_of,
    VARIABLES,
    lambda simulation, draws, **options: {"budget_part": [*BUDGET], "draw": draws},
    ("kind", "within", "into", "replays", "draws"),
    ("draws",),
)
