"""Pictures of results.

Colours are those of Okabe and Ito, which the colour-blind can tell apart; shapes need no colour.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, NullLocator

from eventsnn.arguments import checked
from eventsnn.views.tables import check_rows

BLUE = "#0072B2"
ORANGE = "#D55E00"
# SRP's: warm where there are too many spikes, cold where too few, dark where the ANN is flat
CASES = {
    1: ("#D55E00", "case 1: ANN = 0, SNN more"),
    2: ("#F0B840", "case 2: 0 < ANN < λ, SNN more"),
    3: ("#9AD0F0", "case 3: 0 < ANN < λ, SNN less"),
    4: ("#0072B2", "case 4: ANN = λ, SNN less"),
}
# inches; with texts of 8 to 10 points it can stand in a column of print
WIDTH = 5.2
# with more layers the names of all would not be readable
MOST_BARS = 60
DPI = 200


@checked
def accuracy_figure(
    rows: Sequence[Mapping[str, Any]], ann_accuracy: float | None, title: str = ""
) -> Figure:
    """Accuracy against time steps, with 95 % intervals, as a Figure.

    rows: as in accuracy.csv. ann_accuracy: the ANN's, from 0 to 1, or None without labels; then the
    share of images that are classified as the ANN does is shown instead. title: of the picture.
    """
    key = "agreement_with_ann" if ann_accuracy is None else "accuracy"
    ends = () if ann_accuracy is None else ("accuracy_low", "accuracy_high")
    check_rows(rows, ("T", key, *ends))
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    steps = [row["T"] for row in rows]
    share = _percent(rows, key)
    if ann_accuracy is not None:
        _show_intervals(axes, steps, rows)
        label = f"ANN, {ann_accuracy:.2%}"
        axes.axhline(100 * ann_accuracy, color=ORANGE, ls="--", lw=1.5, label=label)
    label = f"SNN, {share[-1]:.2f}% at T = {steps[-1]}"
    size = 5 if len(steps) <= 20 else 3
    axes.plot(steps, share, "o-", color=BLUE, ms=size, lw=1.5, label=label)
    axes.set_xscale("log", base=2)
    margin = max(1.02, (max(steps) / min(steps)) ** 0.06)
    axes.set_xlim(min(steps) / margin, max(steps) * margin)
    shown = _spread(steps)
    axes.set_xticks(shown, [str(t) for t in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("time steps T")
    axes.set_ylabel("same class as the ANN (%)" if ann_accuracy is None else "accuracy (%)")
    _finish(axes, title, "both")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _show_intervals(axes: Axes, steps: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> None:
    """The 95 % intervals: a band, or a line where there is one number of steps only."""
    low = _percent(rows, "accuracy_low")
    high = _percent(rows, "accuracy_high")
    label = "95 % interval"
    if len(steps) == 1:
        axes.vlines(steps, low, high, color=BLUE, alpha=0.3, lw=4, label=label)
    else:
        axes.fill_between(steps, low, high, color=BLUE, alpha=0.15, lw=0, label=label)


def _percent(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [100 * row[key] for row in rows]


@checked
def rates_figure(rows: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Firing rate of each layer, in spikes per neuron and step, as a Figure.

    rows: as in layers.csv, without the readout. title: of the picture.
    """
    check_rows(rows, ("layer", "rate", "shape"))
    few = len(rows) <= MOST_BARS
    figure = Figure(figsize=(WIDTH, 1.1 + 0.2 * len(rows) if few else 13), layout="constrained")
    axes = figure.subplots()
    rates = _percent(rows, "rate")
    bars = axes.barh(range(len(rows)), rates, color=BLUE, height=0.7)
    axes.set_xlim(0, 1.12 * max(rates) or 1)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if few:
        names = [f"{_shorten(row['layer'])}  {row['shape']}" for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=8, parse_math=False)
        axes.bar_label(bars, [f"{rate:.1f}" for rate in rates], fontsize=8, padding=2)
    else:
        axes.yaxis.set_major_locator(AutoLocator())
        axes.set_ylabel("layer")
    axes.set_xlabel("spikes per neuron and step (%)")
    _finish(axes, title, "x")
    return figure


@checked
def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, without a warning for letters that the font does not have.

    figure: the picture. path: the file.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(path, dpi=DPI)


def _finish(axes: Axes, title: str, grid: Literal["both", "x"]) -> None:
    """Title, grid and frame. grid: across which axes it goes."""
    axes.set_title(_shorten(title, 52), fontsize=10, parse_math=False)
    axes.grid(axis=grid, color="0.85", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _spread(steps: Sequence[int]) -> list[int]:
    """The numbers among `steps` that have room on a logarithmic axis.

    The last comes first, then the first, then powers of two, then others.
    """
    powers = [t for t in steps if t & (t - 1) == 0]
    others = steps if len(powers) < 3 else ()
    nearest = (max(steps) / min(steps)) ** (1 / 9)
    chosen: list[int] = []
    for t in [max(steps), min(steps), *powers, *others]:
        room = all(max(t, other) / min(t, other) >= nearest for other in chosen)
        if room and t not in chosen:
            chosen.append(t)
    return sorted(chosen)


def _shorten(text: str, limit: int = 24) -> str:
    return text if len(text) <= limit else text[: limit // 2] + "…" + text[1 - limit // 2 :]
