"""What the pictures of the scripts in analysis/ have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from eventsnn.views import plots
from eventsnn.views.figures import PANEL
from eventsnn.views.figures import legend_below as legend_below
from eventsnn.views.tables import report_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# colour and marker of each line
LOOKS = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#000000", "P"),
    ("#56B4E9", "X"),
    ("#999999", "p"),
)
APART = 0.045  # of a doubling of T, between the bars of neighbouring lines
MOST_NAMES = 40  # with more layers not all are named

Row = dict[str, Any]


def sheet(panels: int, height: float, more: float = 0) -> Figure:
    """An empty figure for panels side by side.

    height, more: in inches; what stands beside the panels takes `more`.
    """
    return Figure(figsize=(PANEL * panels + more, height), layout="constrained")


def column(rows: Iterable[Row], key: str, factor: float = 1) -> list[Any]:
    """Column `key` of rows, times a factor."""
    return [row[key] if factor == 1 else factor * row[key] for row in rows]


def draw_accuracy(
    axes: Axes,
    lines: Mapping[str, Sequence[Row]],
    ann_accuracy: float,
    bands: Collection[str] = (),
) -> None:
    """Draws accuracy against T: bars are 95 % intervals, dashes the ANN.

    axes: where. lines: label -> rows of `by_step`. ann_accuracy: the ANN's. bands: labels of lines
    that are means of several trainings: low and high are the ends of a band, and "label" is what
    the legend says.
    """
    for k, (label, rows) in enumerate(lines.items()):
        colour, marker = LOOKS[k % len(LOOKS)]
        values = 100 * np.array(column(rows, "accuracy"))
        ends = 100 * np.array([column(rows, end) for end in ("low", "high")])
        x = np.array(column(rows, "T")) * 2 ** (APART * (k - (len(lines) - 1) / 2))
        if label in bands:
            axes.fill_between(x, *ends, color=colour, alpha=0.2, lw=0)
            label = rows[0]["label"]
        else:
            bars = np.abs(ends - values)
            axes.errorbar(x, values, bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.45)
        axes.plot(x, values, color=colour, marker=marker, ms=4.5, lw=1.3, label=label)
    axes.axhline(100 * ann_accuracy, color="0.45", ls="--", lw=1, label="ANN")
    axes.set_ylabel("accuracy (%)")
    step_axis(axes, max(max(column(rows, "T")) for rows in lines.values()))


def draw_intervals(axes: Axes, rows: Sequence[Row], key: str, factor: float = 1) -> None:
    """Draws the intervals of a column as thin bars at 0, 1, …; none where there is no interval.

    axes: where. rows: of `sampled.with_intervals`. key: the column. factor: of its numbers.
    """
    for x, row in enumerate(rows):
        ends = row[f"{key} low"], row[f"{key} high"]
        if None not in ends:
            axes.plot([x, x], [factor * end for end in ends], color="0.15", lw=1.0)


def draw_errors(axes: Axes, lines: Mapping[Any, Sequence[Row]]) -> None:
    """Draws the mean squared error of the readout against T.

    axes: where. lines: label -> rows with T and mse.
    """
    for (colour, marker), rows in zip(LOOKS * len(lines), lines.values()):
        t, errors = column(rows, "T"), column(rows, "mse")
        axes.plot(t, errors, color=colour, marker=marker, ms=4.5, lw=1.3)
    all_rows = [row for rows in lines.values() for row in rows]
    step_axis(axes, max(column(all_rows, "T")))
    error_axis(axes, column(all_rows, "mse"))


def step_axis(axes: Axes, most: int, label: str = "time steps T") -> None:
    """Makes the horizontal axis logarithmic in steps.

    axes: whose. most: the largest step. label: what stands under the axis.
    """
    ticks = [t for t in report_steps(most) if t == most or 1.4 * t < most]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)
    plain(axes)


def error_axis(axes: Axes, errors: Iterable[float]) -> None:
    """Makes the vertical axis logarithmic, for mean squared errors of the readout.

    axes: whose. errors: all that are drawn; those of a readout that is the ANN's to the last digit
    fall off the axis.
    """
    visible = [error for error in errors if error > 1e-6] or [1.0]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylim(0.5 * min(visible), 2 * max(visible))
    axes.set_ylabel("mean squared error")
    axes.set_title("readout against the ANN's output", fontsize=10)


def layer_axis(axes: Axes, names: Sequence[str]) -> None:
    """Writes the layers' names under the places 0, 1, … of the horizontal axis.

    axes: whose. names: of all layers.
    """
    shown = range(0, len(names), (len(names) - 1) // MOST_NAMES + 1)
    labels = [plots.shown(names[i]) for i in shown]
    axes.set_xticks(shown, labels, rotation=90, fontsize=7, parse_math=False)
    axes.margins(x=0.03)
    plain(axes, "y")


def plain(axes: Axes, grid: Any = "both") -> None:
    """Draws a light grid behind the picture, and takes the frame above and on the right away.

    axes: of the picture. grid: "x", "y" or "both".
    """
    axes.grid(axis=grid, color="0.88", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, out: Path, name: str, conditions: str) -> None:
    """Writes a figure as PNG and SVG.

    out: the folder. name: of the files, without suffix. conditions: what decided it, as
    `scripts.words` says it; it stands above the picture ("": nothing was simulated).
    """
    plots.caption(figure, conditions)
    plots.save(figure, out / f"{name}.png", dpi=150)
    plots.save(figure, out / f"{name}.svg")
