"""Several trainings of one recipe: mean and standard deviation over them (semantics, section 15).

A recipe is how a network was trained, all but the seed. What a table says of one training holds for
that network; how much training anew changes is what the deviation says, which no number of images
makes smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError

Row = dict[str, Any]
DEVIATION = " deviation"  # behind a column's name


def over(
    rows: Iterable[Row], recipes: Mapping[str, str], by: str, numbers: Sequence[str]
) -> list[Row]:
    """A row for each recipe and value of a column: mean and deviation of each number.

    The deviation is the standard deviation over trainings, with n - 1 in its divisor. Rows of
    networks that are of no recipe are left out.

    rows: of single trainings, with "net". recipes: a network's name -> its recipe's. by: the
    column, as "T". numbers: columns. Returns rows of "recipe", `by`, "trainings" (how many), and
    of each number its mean and `<number> deviation`, float64, recipes and values in the order in
    which they are met. Raises InputError where a recipe has one training alone.
    """
    groups: dict[tuple[str, Any], list[Row]] = {}
    for row in rows:
        if row["net"] in recipes:
            groups.setdefault((recipes[row["net"]], row[by]), []).append(row)
    found = []
    for (recipe, value), its in groups.items():
        if len(its) < 2:
            raise InputError(
                f"recipe {recipe}", "two trainings or more", f"one, for {by} = {value}"
            )
        row = {"recipe": recipe, by: value, "trainings": len(its)}
        for number in numbers:
            values = np.array([each[number] for each in its], np.float64)
            row |= {number: float(values.mean()), number + DEVIATION: float(values.std(ddof=1))}
        found.append(row)
    order = {recipe: k for k, recipe in enumerate(dict.fromkeys(recipe for recipe, _ in groups))}
    return sorted(found, key=lambda row: order[row["recipe"]])


def ends(row: Row, number: str) -> dict[str, float]:
    """{"low", "high"}: a mean less, and plus, its deviation. row: of `over`. number: a column."""
    mean, deviation = row[number], row[number + DEVIATION]
    return {"low": mean - deviation, "high": mean + deviation}


def words(row: Row, number: str, factor: float = 1, form: str = ".2f") -> str:
    """A mean and its deviation as a cell of a table: "91.25 ± 0.31".

    row: of `over`. number: a column. factor: of both. form: a format spec.
    """
    mean, deviation = factor * row[number], factor * row[number + DEVIATION]
    return f"{mean:{form}} ± {deviation:{form}}"


def check(graphs: Mapping[str, Graph], recipe: str, where: str) -> None:
    """Raises InputError unless networks can be trainings of one recipe.

    They are two or more, have the same nodes of the same shapes, and no two are the same network.

    graphs: name -> network. recipe: its name. where: what gave them, in messages.
    """
    if len(graphs) < 2:
        expected, do = f"two trainings or more of {recipe!r}", "name more, or leave the recipe out"
        raise InputError(where, expected, ", ".join(map(repr, graphs)), do)
    (first, graph), *others = graphs.items()
    seen = {graph.hash: first}
    for name, other in others:
        expected = f"trainings of {recipe!r}, networks of one architecture"
        if _architecture(other) != _architecture(graph):
            found = f"{first!r} and {name!r}, which differ in more than what training finds"
            raise InputError(where, expected, found, "name a recipe for each")
        if other.hash in seen:
            found = f"{seen[other.hash]!r} and {name!r}, which are the same network"
            do = "give each training once, with its own seed"
            raise InputError(where, f"different trainings of {recipe!r}", found, do)
        seen[other.hash] = name


def _architecture(graph: Graph) -> list[Any]:
    """What all trainings of a recipe have in common: nodes, their inputs, shapes and levels."""
    nodes = [(each.name, each.op, each.inputs, graph.shapes[each.name]) for each in graph.nodes]
    return [graph.input_shape, nodes, [each.attrs.get("levels") for each in graph.nodes]]
