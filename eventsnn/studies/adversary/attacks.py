"""What attacks found: the edits of each image, and a table and curves of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import Natural, checked, named_fields
from eventsnn.exceptions import InputError
from eventsnn.simulation.conditions import Conditions, conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import bootstrap, bootstraps, share
from eventsnn.studies.adversary.budgets import Budget
from eventsnn.trace.edits import Edit
from eventsnn.trace.replay import Replayed, replay
from eventsnn.trace.trace import record
from eventsnn.views.tables import COLUMNS, Table

NAMES = {"b0": "B0", "b1": "B1", "binf": "B-inf"}
TITLE = (
    "Images (%) whose class edits of arrivals flip, and the least found that do, medians with 95 "
    "% intervals; B0: deliveries moved, B1: {unit} in all, B-inf: {unit} at most; random: edits "
    "drawn at random; an image that does not flip counts as if all that can be moved were"
)
LINES = ("adversary", "random")
UNITS = {"times": "ticks", "order": "places"}
FORMATS = COLUMNS | {
    f"{name}{end}": (f"{name}{end}", ".1%")
    for name in ("flipped", "random flipped")
    for end in ("", " low", " high")
}
FORMATS |= {name: (name, ",.0f") for name in (*NAMES.values(), "random B0", "random B1")}
FORMATS |= {"random B-inf": ("random B-inf", ",.0f"), "ratio": ("ratio", ".4f")}


@named_fields
@dataclass(frozen=True, repr=False)
class Attack:
    """The least edit that was found to flip an image's class.

    image: its number in the data set. place: among those given. right: its class, which the base
    run has. predicted: the class of the edited run; `right` where no edit was found. edits: for
    `replay`, in the order in which they are made; () where none flips. budget: of the edits; of
    all that can be moved where none flips. in_step: the most deliveries of one step into one layer
    that are moved in the edited run (`in_a_step`); 0 where none flips. random: of each draw of
    random edits (their `Budget`, whether they flip). movable: deliveries that can be moved.
    replays: run for it, random ones among them. seconds: that it took.
    """

    image: int
    place: int
    right: int
    predicted: int
    edits: tuple[Edit, ...]
    budget: Budget
    in_step: int
    random: tuple[tuple[Budget, bool], ...]
    movable: int
    replays: int
    seconds: float

    @property
    def flips(self) -> bool:
        """Whether edits that flip were found."""
        return self.predicted != self.right

    def random_median(self, name: str) -> float:
        """The median of a budget over the draws of random edits. name: "b0", "b1" or "binf"."""
        return float(np.median([getattr(budget, name) for budget, _ in self.random]))

    def __repr__(self) -> str:
        found = f"no edit found that flips {self.right}"
        if self.flips:
            found = f"{self.right} becomes {self.predicted} by {self.budget}"
        return f"<Attack on image {self.image}: {found}>"


@dataclass(repr=False)
class Adversary:
    """Attacks on the images of a run, from `attack`.

    simulation: of the base runs. kind: "times" or "order". attacks: one for each image that the
    base run has right. images: int, how many there were. pixels: raw, of all images; None where
    the attacks come from a store, and then they have no edits. seed: of what was drawn. resting: of
    each attack, whether base run and edited run end at rest (one that does not flip: whether the
    base run does).
    """

    simulation: Simulation
    kind: str
    attacks: list[Attack]
    images: int
    pixels: NDArray[Any] | None
    seed: int
    resting: list[bool]

    @property
    def conditions(self) -> Conditions:
        """What decides the numbers: those of the base runs."""
        return conditions(self.simulation)

    def table(self) -> Table:
        """One row: the share flipped, and medians over images of least budgets, random ones beside.

        Its columns are images (attacked), flipped, random flipped (by the median of its draws), B0,
        B1 and B-inf, each with low and high and with `random` in front, and `ratio`, the median B0
        over that of random edits.
        """
        title = TITLE.format(unit=UNITS[self.kind])
        return Table([self.row()], f"{title}\n{self.conditions}", FORMATS)

    def row(self) -> dict[str, Any]:
        """The row of `table`."""
        return row_of(self.attacks, self.kind, self.seed)

    def curves(self, name: str = "b0") -> dict[str, NDArray[np.float64]]:
        """The budgets that flip, sorted: {"adversary": [flipped], "random": [draws that flip]}.

        So the share of images flipped within a budget x is the part of `adversary` up to x; of
        random edits it is the share of draws. name: "b0", "b1" or "binf". Raises InputError for
        another.
        """
        if name not in NAMES:
            raise InputError("name", f"one of {', '.join(NAMES)}", repr(name))
        mine = [getattr(each.budget, name) for each in self.attacks if each.flips]
        drawn = [budget for each in self.attacks for budget, flips in each.random if flips]
        its = [getattr(budget, name) for budget in drawn]
        return {name: np.sort(np.array(x, float)) for name, x in zip(LINES, (mine, its))}

    @checked
    def replay(self, number: Natural = 0) -> Replayed:
        """An attack's replay, by the engine. number: which of `attacks`, from 0.

        Raises InputError for one that there is not, and where there are no edits.
        """
        if self.pixels is None:
            do = "attack the images here"
            raise InputError("replay", "attacks with their edits", "those of a store", do)
        if number >= len(self.attacks):
            raise InputError("number", f"0 to {len(self.attacks) - 1}", number)
        attack = self.attacks[number]
        pixels = self.pixels[attack.place]
        _, trace = record(self.simulation, pixels, attack.image)
        return replay(trace.simulation, trace, pixels, attack.edits)

    def __repr__(self) -> str:
        flipped = sum(attack.flips for attack in self.attacks)
        median = bootstrap([attack.budget.b0 for attack in self.attacks], median=True).value
        return (
            f"<Adversary, edited {self.kind}: {flipped} of {len(self.attacks)} images flipped, "
            f"median B0 {median:,.0f}; {self.conditions}>"
        )

    def _repr_html_(self) -> str:
        return str(self.table()._repr_html_())


def row_of(attacks: Sequence[Attack], kind: str, seed: int) -> dict[str, Any]:
    """The row of a table of attacks. kind: of the edits. seed: of the bootstrap."""
    row: dict[str, Any] = {"images": len(attacks), "kind": kind}
    row |= share("flipped", [attack.flips for attack in attacks])
    row |= share("random flipped", [_mostly(attack) for attack in attacks])
    columns: dict[str, list[float]] = {}
    for name, words in NAMES.items():
        columns[words] = [getattr(attack.budget, name) for attack in attacks]
        columns[f"random {words}"] = [attack.random_median(name) for attack in attacks]
    found = bootstraps(columns, medians=list(columns), seed=seed)
    for words, its in found.items():
        row[words], row[f"{words} low"], row[f"{words} high"] = its[:3]
    row["ratio"] = row["B0"] / row["random B0"] if row["random B0"] else float("nan")
    row["replays"] = float(np.mean([attack.replays for attack in attacks]))
    return row


def _mostly(attack: Attack) -> bool:
    """Whether half of the draws of random edits or more flip."""
    flips: Sequence[bool] = [flips for _, flips in attack.random]
    return 2 * sum(flips) >= len(flips) > 0
