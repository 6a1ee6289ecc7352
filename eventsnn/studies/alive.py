"""Where networks fall apart without a clock: a phase diagram's line, and what it says in words.

A way **falls apart** where its accuracy is below half of that of the same model in clocked time, on
the same images, or where firing explodes; else it is **alive**.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]
Segment = tuple[tuple[float, float], tuple[float, float]]
APART = 0.5  # of the clocked accuracy, below which a network falls apart
KEPT = "of clocked"


def kept(rows: Sequence[Row], clocked: Mapping[Any, float]) -> None:
    """Adds to rows the share of the clocked accuracy that they have, as "of clocked".

    It is NaN where firing explodes, and where the clocked accuracy is 0. rows: with "neuron" and
    "accuracy" (NaN where firing explodes). clocked: model -> its accuracy in clocked time.
    """
    for row in rows:
        whole = clocked[row["neuron"]]
        row[KEPT] = row["accuracy"] / whole if whole else float("nan")


def lives(row: Row) -> bool:
    """Whether a way is alive. row: after `kept`."""
    return bool(row[KEPT] >= APART)  # of NaN False


def line(alive: NDArray[np.bool_]) -> list[Segment]:
    """The line between what is alive and what fell apart: the borders of cells that differ.

    alive: bool [rows, columns]. Cell [i, j] is the square from (j, i) to (j + 1, i + 1). Returns
    segments ((x, y), (x, y)), each of length 1.
    """
    found: list[Segment] = []
    for i, j in np.argwhere(alive[:, 1:] != alive[:, :-1]).tolist():
        found.append(((j + 1.0, float(i)), (j + 1.0, i + 1.0)))
    for i, j in np.argwhere(alive[1:] != alive[:-1]).tolist():
        found.append(((float(j), i + 1.0), (j + 1.0, i + 1.0)))
    return found


def square(rows: Sequence[Row], down: str, across: str, column: str) -> NDArray[np.float64]:
    """A column of rows as a table of two axes, float64; NaN where there is no row.

    rows: one for each pair of values. down, across: the columns whose values, in the order in which
    they come first, are the axes. column: the numbers.
    """
    heights = list(dict.fromkeys(row[down] for row in rows))
    widths = list(dict.fromkeys(row[across] for row in rows))
    found = np.full((len(heights), len(widths)), np.nan)
    for row in rows:
        found[heights.index(row[down]), widths.index(row[across])] = row[column]
    return found


def of_orders(rows: Sequence[Row]) -> str:
    """What orders a model is alive in, as a sentence. rows: of one model, one for each order."""
    free = [row for row in rows if row["order"] != "clocked"]
    if not free:
        return "no order without a clock was run"
    here, gone = ([row for row in free if lives(row) is is_so] for is_so in (True, False))
    words = f"alive in {len(here)} of {len(free)} orders without a clock"
    if gone and here:
        words += f"; falls apart in {_orders(gone)}"
    if gone and not here:
        best = max(free, key=lambda row: np.nan_to_num(row[KEPT], nan=-1))
        words += f"; at best {_percent(best)} of its clocked accuracy, in {best['order']}"
    return words


def of_grid(rows: Sequence[Row]) -> str:
    """Where in the grid of spread and group a model is alive, as a sentence.

    rows: of one model and order, one for each spread and group, both rising.
    """
    alive = np.array([lives(row) for row in rows])
    if alive.all():
        least = min(rows, key=lambda row: row[KEPT])
        return f"alive everywhere, with {_percent(least)} of its clocked accuracy at least"
    if not alive.any():
        most = max(rows, key=lambda row: np.nan_to_num(row[KEPT], nan=-1))
        return (
            f"falls apart everywhere; at best {_percent(most)} of its clocked accuracy, at "
            f"spread {most['spread']}, group {most['group']}"
        )
    words = [f"alive in {alive.sum()} of {alive.size}"]
    for down, across in (("spread", "group"), ("group", "spread")):
        table = square([{**row, "lives": lives(row)} for row in rows], down, across, "lives")
        values = list(dict.fromkeys(row[down] for row in rows))
        from_here = [i for i in range(len(values)) if table[i:].all()]
        if from_here:
            words.append(f"from {down} {values[from_here[0]]} on at every {across}")
    return ", ".join(words)


def _orders(rows: Sequence[Row]) -> str:
    """The orders of rows, and what is left in each."""
    return ", ".join(f"{row['order']} ({_percent(row)})" for row in rows)


def _percent(row: Row) -> str:
    return "firing explodes" if np.isnan(row[KEPT]) else f"{100 * row[KEPT]:.0f} %"
