"""Pictures of results.

Colours are those of Okabe and Ito, which the colour-blind can tell apart; shapes need no colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, NullLocator
from matplotlib.transforms import offset_copy

from eventsnn.arguments import checked
from eventsnn.views.causes import causes
from eventsnn.views.figures import (
    BLUE,
    DPI,
    ORANGE,
    PANEL,
    WIDTH,
    Picture,
    caption,
    legend_below,
    save,
    shown,
)
from eventsnn.views.maps import feature_maps
from eventsnn.views.raster import raster
from eventsnn.views.tables import check_rows

__all__ = [
    "BLUE",
    "CASES",
    "DPI",
    "ORANGE",
    "WIDTH",
    "Picture",
    "accuracy_figure",
    "caption",
    "causes",
    "feature_maps",
    "raster",
    "rates_figure",
    "result_figure",
    "save",
    "shown",
]

# SRP's: warm where there are too many spikes, cold where too few, dark where the ANN is flat
CASES = {
    1: ("#D55E00", "case 1: ANN = 0, SNN more"),
    2: ("#F0B840", "case 2: 0 < ANN < λ, SNN more"),
    3: ("#9AD0F0", "case 3: 0 < ANN < λ, SNN less"),
    4: ("#0072B2", "case 4: ANN = λ, SNN less"),
}
# with more layers the names of all would not be readable
MOST_BARS = 60


@checked
def accuracy_figure(
    rows: Sequence[Mapping[str, Any]],
    ann_accuracy: float | None,
    title: str = "",
    conditions: object = "",
) -> Figure:
    """Accuracy against time steps, with 95 % intervals, as a Figure.

    rows: as in accuracy.csv. ann_accuracy: the ANN's, from 0 to 1, or None without labels; then the
    share of images that are classified as the ANN does is shown instead. title: of the picture.
    conditions: as for `caption`.
    """
    key = "agreement_with_ann" if ann_accuracy is None else "accuracy"
    check_rows(rows, ("T", key))
    figure = Picture(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    key = "agreement_with_ann" if ann_accuracy is None else "accuracy"
    _draw_accuracy(axes, rows, ann_accuracy, key)
    _finish(axes, title, "both")
    legend_below(figure)
    caption(figure, conditions)
    return figure


def result_figure(
    rows: Sequence[Mapping[str, Any]],
    layers: Sequence[Mapping[str, Any]],
    title: str = "",
    conditions: object = "",
) -> Figure:
    """Accuracy against time steps beside the firing rate of each layer, as a Figure.

    rows: as in accuracy.csv; without labels (none) the rates stand alone. layers: as for
    `rates_figure`. title: of the picture. conditions: as for `caption`.
    """
    height = max(3.6, _height(layers))
    if not rows:
        return rates_figure(layers, title, conditions)
    figure = Picture(figsize=(2 * PANEL + 0.6, height), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_accuracy(left, rows, None, "accuracy")
    _finish(left, "", "both")
    _draw_rates(right, layers)
    _finish(right, "", "x")
    legend_below(figure)
    figure.suptitle(shown(title, 100), fontsize=10, parse_math=False)
    caption(figure, conditions)
    return figure


def _draw_accuracy(
    axes: Axes, rows: Sequence[Mapping[str, Any]], ann_accuracy: float | None, key: str
) -> None:
    """Draws a column of rows against T. ann_accuracy: a line. key: the column."""
    steps = [row["T"] for row in rows]
    share = _percent(rows, key)
    if key == "accuracy":
        _show_intervals(axes, steps, rows)
    if ann_accuracy is not None:
        label = f"ANN, {ann_accuracy:.2%}"
        axes.axhline(100 * ann_accuracy, color=ORANGE, ls="--", lw=1.5, label=label)
    label = f"SNN, {share[-1]:.2f}% at T = {steps[-1]}"
    size = 5 if len(steps) <= 20 else 3
    axes.plot(steps, share, "o-", color=BLUE, ms=size, lw=1.5, label=label)
    axes.set_xscale("log", base=2)
    margin = max(1.02, (max(steps) / min(steps)) ** 0.06)
    axes.set_xlim(min(steps) / margin, max(steps) * margin)
    ticks = _spread(steps)
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("time steps T")
    axes.set_ylabel("accuracy (%)" if key == "accuracy" else "same class as the ANN (%)")


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
def rates_figure(
    rows: Sequence[Mapping[str, Any]], title: str = "", conditions: object = ""
) -> Figure:
    """Firing rate of each layer, in spikes per neuron and step, as a Figure.

    rows: as in layers.csv, without the readout. title: of the picture. conditions: as for
    `caption`.
    """
    check_rows(rows, ("layer", "rate", "shape"))
    figure = Picture(figsize=(WIDTH, _height(rows)), layout="constrained")
    axes = figure.subplots()
    _draw_rates(axes, rows)
    _finish(axes, title, "x")
    caption(figure, conditions)
    return figure


def _height(rows: Sequence[Mapping[str, Any]]) -> float:
    """Of a picture with a bar for each layer, in inches."""
    return 1.3 + 0.2 * len(rows) if len(rows) <= MOST_BARS else 13


def _draw_rates(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draws a bar a layer. rows: as for `rates_figure`."""
    rates = _percent(rows, "rate")
    axes.barh(range(len(rows)), rates, color=BLUE, height=0.7)
    axes.set_xlim(0, 1.12 * max(rates, default=0) or 1)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if len(rows) <= MOST_BARS:
        names = [f"{shown(row['layer'])}  {row['shape']}" for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=8, parse_math=False)
        figure: Any = axes.get_figure()
        beside = offset_copy(axes.transData, figure, x=2, units="points")
        for place, rate in enumerate(rates):
            axes.text(rate, place, f"{rate:.1f}", va="center", fontsize=8, transform=beside)
    else:
        axes.yaxis.set_major_locator(AutoLocator())
        axes.set_ylabel("layer")
    axes.set_xlabel("spikes per neuron and step (%)")


def _finish(axes: Axes, title: str, grid: Literal["both", "x"]) -> None:
    """Title, grid and frame. grid: across which axes it goes."""
    axes.set_title(shown(title, 52), fontsize=10, parse_math=False)
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
