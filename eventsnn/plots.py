"""Pictures of results; colours of Okabe and Ito, which the colour-blind can tell apart, and shapes that need no colour."""
from __future__ import annotations

import warnings

from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, NullLocator

BLUE, ORANGE = "#0072B2", "#D55E00"
WIDTH = 5.2  # inches; with the texts of 8 to 10 points it can stand in a column of print
MOST_BARS = 60  # with more layers the names of all would not be readable
DPI = 200


def accuracy_figure(rows, ann_accuracy, title=""):
    """Accuracy against time steps, with 95 % intervals; rows as in accuracy.csv. Returns a Figure.

    Without labels (ann_accuracy None) it is the share of images classified as the ANN does.
    """
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    steps = [row["T"] for row in rows]
    share, low, high = ("agreement_with_ann",) * 3 if ann_accuracy is None else ("accuracy", "accuracy_low", "accuracy_high")
    middle, low, high = ([100 * row[name] for row in rows] for name in (share, low, high))
    if ann_accuracy is not None:
        axes.axhline(100 * ann_accuracy, color=ORANGE, ls="--", lw=1.5, label=f"ANN, {ann_accuracy:.2%}")
    axes.fill_between(steps, low, high, color=BLUE, alpha=0.15, lw=0)
    errors = [[m - x for m, x in zip(middle, low)], [x - m for m, x in zip(middle, high)]]
    label = f"SNN, {middle[-1]:.2f}% at T = {steps[-1]}" + (" (with 95 % interval)" if ann_accuracy is not None else "")
    axes.errorbar(steps, middle, errors if ann_accuracy is not None else None, fmt="o-", color=BLUE, ms=5, lw=1.5, elinewidth=1, capsize=3,
                  label=label)
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(steps) / 1.3, max(steps) * 1.3)
    shown = _spread(steps)
    axes.set_xticks(shown, [str(t) for t in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="time steps T", ylabel="same class as the ANN (%)" if ann_accuracy is None else "accuracy (%)")
    _finish(axes, title, "both")
    axes.legend(frameon=False, fontsize=9, loc="best")
    return figure


def rates_figure(rows, title=""):
    """Firing rate of each layer (spikes per neuron and step); rows as in layers.csv, without the readout. Returns a Figure."""
    few = len(rows) <= MOST_BARS
    figure = Figure(figsize=(WIDTH, 1.1 + 0.2 * len(rows) if few else 13), layout="constrained")
    axes = figure.subplots()
    rates = [100 * row["rate"] for row in rows]
    bars = axes.barh(range(len(rows)), rates, color=BLUE, height=0.7)
    axes.set_xlim(0, 1.12 * max(rates) or 1)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if few:
        axes.set_yticks(range(len(rows)), [f"{_shorten(row['layer'])}  {row['shape']}" for row in rows], fontsize=8, parse_math=False)
        axes.bar_label(bars, [f"{rate:.1f}" for rate in rates], fontsize=8, padding=2)
    else:
        axes.yaxis.set_major_locator(AutoLocator())
        axes.set_ylabel("layer")
    axes.set(xlabel="spikes per neuron and step (%)")
    _finish(axes, title, "x")
    return figure


def save(figure, path):
    """Write a figure as PNG; a name that the font cannot show is no reason to warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(path, dpi=DPI)


def _finish(axes, title, grid):
    axes.set_title(_shorten(title, 60), fontsize=10, parse_math=False)
    axes.grid(axis=grid, color="0.85", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _spread(steps):
    """The numbers among `steps` that have room on a logarithmic axis: the first, the last, powers of two, then others."""
    chosen = []
    for t in sorted(set(steps), key=lambda t: (t != max(steps), t != min(steps), t & (t - 1) > 0, t)):
        room = (max(steps) / min(steps)) ** (1 / 12)
        if all(max(t, other) / min(t, other) >= room for other in chosen):
            chosen.append(t)
    return sorted(chosen)


def _shorten(text, limit=24):
    return text if len(text) <= limit else text[: limit // 2] + "…" + text[1 - limit // 2:]
