"""Pictures of results; colours of Okabe and Ito, which the colour-blind can tell apart, and shapes
that need no colour.
"""

from __future__ import annotations

import warnings

from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, NullLocator

BLUE, ORANGE = "#0072B2", "#D55E00"
# SRP's: warm where there are too many spikes, cold where too few, dark where the ANN is flat
CASES = {
    1: ("#D55E00", "case 1: ANN = 0, SNN more"),
    2: ("#F0B840", "case 2: 0 < ANN < λ, SNN more"),
    3: ("#9AD0F0", "case 3: 0 < ANN < λ, SNN less"),
    4: ("#0072B2", "case 4: ANN = λ, SNN less"),
}
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
    labelled = ann_accuracy is not None
    share = [100 * row["accuracy" if labelled else "agreement_with_ann"] for row in rows]
    if labelled:
        low, high = (
            [100 * row[name] for row in rows] for name in ("accuracy_low", "accuracy_high")
        )
        if len(steps) == 1:
            axes.vlines(steps, low, high, color=BLUE, alpha=0.3, lw=4, label="95 % interval")
        else:
            axes.fill_between(steps, low, high, color=BLUE, alpha=0.15, lw=0, label="95 % interval")
        axes.axhline(
            100 * ann_accuracy, color=ORANGE, ls="--", lw=1.5, label=f"ANN, {ann_accuracy:.2%}"
        )
    axes.plot(
        steps,
        share,
        "o-",
        color=BLUE,
        ms=5 if len(steps) <= 20 else 3,
        lw=1.5,
        label=f"SNN, {share[-1]:.2f}% at T = {steps[-1]}",
    )
    axes.set_xscale("log", base=2)
    margin = max(1.02, (max(steps) / min(steps)) ** 0.06)
    axes.set_xlim(min(steps) / margin, max(steps) * margin)
    shown = _spread(steps)
    axes.set_xticks(shown, [str(t) for t in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(
        xlabel="time steps T", ylabel="accuracy (%)" if labelled else "same class as the ANN (%)"
    )
    _finish(axes, title, "both")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def rates_figure(rows, title=""):
    """Firing rate of each layer (spikes per neuron and step); rows as in layers.csv, without the
    readout. Returns a Figure.
    """
    few = len(rows) <= MOST_BARS
    figure = Figure(figsize=(WIDTH, 1.1 + 0.2 * len(rows) if few else 13), layout="constrained")
    axes = figure.subplots()
    rates = [100 * row["rate"] for row in rows]
    bars = axes.barh(range(len(rows)), rates, color=BLUE, height=0.7)
    axes.set_xlim(0, 1.12 * max(rates) or 1)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if few:
        axes.set_yticks(
            range(len(rows)),
            [f"{_shorten(row['layer'])}  {row['shape']}" for row in rows],
            fontsize=8,
            parse_math=False,
        )
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
    axes.set_title(_shorten(title, 52), fontsize=10, parse_math=False)
    axes.grid(axis=grid, color="0.85", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _spread(steps):
    """The numbers among `steps` that have room on a logarithmic axis: the last, the first, then
    powers of two, then others.
    """
    powers = [t for t in steps if t & (t - 1) == 0]
    chosen = []
    for t in [max(steps), min(steps), *powers, *(steps if len(powers) < 3 else ())]:
        if (
            all(
                max(t, other) / min(t, other) >= (max(steps) / min(steps)) ** (1 / 9)
                for other in chosen
                if other != t
            )
            and t not in chosen
        ):
            chosen.append(t)
    return sorted(chosen)


def _shorten(text, limit=24):
    return text if len(text) <= limit else text[: limit // 2] + "…" + text[1 - limit // 2 :]
