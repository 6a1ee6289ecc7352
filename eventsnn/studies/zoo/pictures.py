"""Pictures of methods: accuracy, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from eventsnn.studies import scripts
from eventsnn.studies.zoo.measured import by_method

Row = dict[str, Any]
ENERGY = "counted / ANN"
FEW = 20  # methods, or points of a front, whose names have room to be larger


def front(rows: Sequence[Row], costs: str = ENERGY) -> list[Row]:
    """The Pareto front: rows that no other one beats in accuracy at no higher cost.

    rows: of a table; those without accuracy are left out. costs: the column of the cost. Of equals
    the first stays. Returns them by rising cost.
    """
    known = [row for row in rows if np.isfinite(row["accuracy"]) and np.isfinite(row[costs])]
    found: list[Row] = []
    for row in sorted(known, key=lambda row: (row[costs], -row["accuracy"])):
        if not found or row["accuracy"] > found[-1]["accuracy"]:
            found.append(row)
    return found


def draw(rows: Sequence[Row], accuracies: dict[str, float], title: str) -> Figure:
    """Accuracy of each method after its last T, and all T against energy with the Pareto front.

    rows: of all methods and networks. accuracies: network -> its ANN's. title: of the picture.
    """
    lasts = [mine[-1] for mine in by_method(rows).values()]
    figure = scripts.sheet(2, max(4.0, 1.2 + 0.17 * len(lasts)), 2.4)
    bars, fronts = figure.subplots(1, 2, width_ratios=[1.1, 1])
    colours = dict(zip(accuracies, [look[0] for look in scripts.LOOKS * len(accuracies)]))
    _draw_bars(bars, lasts, colours)
    for network, accuracy in accuracies.items():
        _draw_front(fronts, scripts.only(rows, network=network), colours[network], network)
        for line in (bars.axvline, fronts.axhline):
            line(100 * accuracy, color=colours[network], ls="--", lw=0.9)
    fronts.set_xscale("log")
    fronts.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    fronts.set_xlabel("energy, counted (% of the ANN's)")
    fronts.set_ylabel("accuracy (%)")
    fronts.legend(frameon=False, fontsize=7, loc="lower right")
    scripts.plain(fronts)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _draw_bars(axes: Axes, lasts: Sequence[Row], colours: dict[str, Any]) -> None:
    """One bar for each method, with its interval."""
    names = []
    for place, row in enumerate(lasts):
        network = f", {row['network']}" if len(colours) > 1 else ""
        names.append(f"{row['method']}{network}, T = {row['T']}")
        if np.isfinite(row["accuracy"]):
            share, low, high = (100 * row[name] for name in scripts.SHARE)
            axes.barh(place, share, 0.75, color=colours[row["network"]], alpha=0.8)
            axes.plot([low, high], [place, place], color="0.3", lw=1)
        else:
            axes.text(1, place, "firing explodes", fontsize=6, va="center")
    size = 8 if len(names) <= FEW else 6
    axes.set_yticks(range(len(names)), names, fontsize=size, parse_math=False)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy (%)")
    scripts.plain(axes)


def _draw_front(axes: Axes, rows: Sequence[Row], colour: Any, network: str) -> None:
    """All methods and T of a network as points, and its front as a line with names."""
    known = [row for row in rows if np.isfinite(row["accuracy"])]
    x, y = scripts.column(known, ENERGY, 100), scripts.column(known, "accuracy", 100)
    axes.plot(x, y, ls="", marker=".", ms=3, color=colour, alpha=0.45)
    best = front(known)
    x, y = scripts.column(best, ENERGY, 100), scripts.column(best, "accuracy", 100)
    axes.plot(x, y, color=colour, lw=1.3, drawstyle="steps-post", label=network)
    for row, a, b in zip(best, x, y):
        words, size = f"{row['method']}, {row['T']}", 7 if len(best) <= FEW else 5
        axes.annotate(words, (a, b), (3, -2 - size), fontsize=size, textcoords="offset points")
