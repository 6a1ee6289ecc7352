"""Pictures of errors by layer: their parts, and SRP's cases of unevenness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eventsnn.studies.drawing import column, draw_intervals, layer_axis, legend_below, sheet
from eventsnn.studies.errors import PARTS
from eventsnn.views.plots import CASES

COLOURS = {
    "clipping": "#CC79A7",
    "quantisation": "#009E73",
    "unevenness": "#D55E00",
    "inherited": "#9AD0F0",
}

# of neurons that SRP silenced, by their activation in the ANN: rightly where it is 0
SILENCED = {"at 0": "#009E73", "between": "#E69F00", "at lambda": "#D55E00"}
Row = dict[str, Any]


def parts_figure(results: Mapping[str, Sequence[Row]], title: str = "") -> Figure:
    """Relative error above, shares of its parts below; one column for each result.

    results: its name ("": none is shown) -> layers' rows of `errors.decompose`, with intervals.
    title: of the picture.
    """
    layers = column(next(iter(results.values())), "layer")
    columns = len(results)
    figure = sheet(0, 5.2, _width(layers) * columns)
    heights = [2, 3]
    grid = figure.subplots(
        2, columns, sharex=True, sharey="row", squeeze=False, height_ratios=heights
    )
    x = np.arange(len(layers))
    for (above, below), (name, rows) in zip(grid.T, results.items()):
        above.bar(x, column(rows, "error", 100), 0.78, color="0.6")
        draw_intervals(above, rows, "error", 100)
        above.set_title(name, fontsize=10)
        ends = np.zeros((2, len(layers)))  # of the bars so far, downwards and upwards
        for part in PARTS:
            share = np.array(column(rows, f"{part} share", 100))
            side = (share > 0).astype(int)
            below.bar(x, share, 0.78, ends[side, x], color=COLOURS[part], label=part)
            ends[side, x] += share
        below.axhline(0, color="black", lw=0.8)
        below.use_sticky_edges = False  # or the picture would end at the highest bar
        if not any(column(rows, "error")):
            below.text(0.5, 0.5, "no error", ha="center", va="center", transform=below.transAxes)
        for axes in (above, below):
            layer_axis(axes, layers)
    grid[0, 0].set_ylabel("error (% of the\nactivations' square)")
    grid[1, 0].set_ylabel("share of the error (%)")
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    legend_below(figure, grid[1, 0])
    return figure


def cases_figure(results: Mapping[str, Sequence[Row]], title: str = "") -> Figure:
    """Stacked bars by layer: errors I and II from top to bottom, results from left to right.

    results: its name ("": none is shown) -> layers' rows of `errors.cases`, with intervals. title:
    of the picture.
    """
    layers = column(next(iter(results.values())), "layer")
    figure = sheet(0, 5.2, _width(layers) * len(results))
    grid = figure.subplots(2, len(results), sharex=True, sharey="row", squeeze=False)
    x = np.arange(len(layers))
    for place, (name, found) in enumerate(results.items()):
        for row, error in enumerate(("I", "II")):
            axes, below = grid[row, place], np.zeros(len(layers))
            for case, (colour, meaning) in CASES.items():
                share = np.array(column(found, f"{error} case {case}"))
                label = meaning if (row, place) == (0, 0) else None
                axes.bar(x, share, 0.78, below, color=colour, label=label)
                below += share
            draw_intervals(axes, found, error)
            axes.set_title(f"error {error}{', ' if name else ''}{name}", fontsize=10)
    for axes in grid[:, 0]:
        axes.set_ylabel("neurons (%)")
    for axes in grid.flat:
        layer_axis(axes, layers)
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    legend_below(figure)
    return figure


def residual_figure(
    theorem: Sequence[Row], silenced: Sequence[Row], layers: Sequence[Row], title: str = ""
) -> Figure:
    """The residual potential by case (SRP Fig. 4), and whom SRP silenced.

    theorem: rows of `Cases.theorem` without SRP: neurons by sign of v(T) and case of error I.
    silenced: rows of `Cases.silenced` with it; without any one picture is left out. layers: rows of
    `Cases.layers`, for their neurons. title: of the picture.
    """
    names = column(layers, "layer")
    panels = 3 if silenced else 2
    figure = sheet(0, 3.6, _width(names) * panels)
    grid = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    x = np.arange(len(names))
    for axes, sign in zip(grid, ("v < 0", "v >= 0")):
        below = np.zeros(len(names))
        whole = np.array([_all_of(row) for row in theorem], float)
        for kind in ("none", *(f"case {k}" for k in CASES)):
            share = 100 * np.array(column(theorem, f"{sign}, {kind}"), float) / whole
            colour, label = ("0.85", "no error") if kind == "none" else CASES[int(kind[-1])]
            first = axes is grid[0]
            axes.bar(x, share, 0.78, below, color=colour, label=label if first else None)
            below += share
        axes.set_title(f"v(T) {sign[2:]}".replace(">=", "≥"), fontsize=10)
    if silenced:
        below = np.zeros(len(names))
        for kind, colour in SILENCED.items():
            share = np.array(column(silenced, kind))
            label = f"silenced, ANN {kind}"
            grid[2].bar(x, share, 0.78, below, color=colour, label=label)
            below += share
        grid[2].set_title("silenced by SRP", fontsize=10)
    grid[0].set_ylabel("neurons (%)")
    for axes in grid:
        layer_axis(axes, names)
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    legend_below(figure)
    return figure


def _all_of(row: Row) -> int:
    """How many neurons and images a row of `Cases.theorem` counts."""
    return sum(int(value) for name, value in row.items() if name.startswith("v "))


def _width(layers: Sequence[str]) -> float:
    """Inches of one column."""
    return max(3.4, 1.2 + 0.16 * len(layers))
