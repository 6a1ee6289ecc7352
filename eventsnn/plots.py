"""Pictures of results; colours of Okabe and Ito, which the colour-blind can tell apart."""
from __future__ import annotations

from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"


def accuracy_figure(rows, ann_accuracy, title=""):
    """Accuracy against time steps, with 95 % intervals; rows as in accuracy.csv. Returns a Figure.

    Without labels (ann_accuracy None) it is the share of images classified as the ANN does.
    """
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    steps = [row["T"] for row in rows]
    if ann_accuracy is not None:
        axes.fill_between(steps, [100 * row["low"] for row in rows], [100 * row["high"] for row in rows], color=BLUE, alpha=0.2, lw=0,
                          label="95 % interval")
        axes.axhline(100 * ann_accuracy, color=ORANGE, ls="--", label=f"ANN ({ann_accuracy:.2%})")
    shown = "agreement" if ann_accuracy is None else "accuracy"
    axes.plot(steps, [100 * row[shown] for row in rows], "o-", color=BLUE, label="SNN")
    axes.set_xscale("log", base=2)
    axes.set_xticks(steps, [str(t) for t in steps])
    axes.minorticks_off()
    axes.set(xlabel="time steps T", ylabel="accuracy (%)" if shown == "accuracy" else "same class as the ANN (%)", title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    return figure


def rates_figure(rows, title=""):
    """Firing rate of each layer (spikes per neuron and step); rows as in layers.csv. Returns a Figure."""
    figure = Figure(figsize=(5.2, 1.2 + 0.22 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    axes.barh(places, [100 * row["rate"] for row in rows], color=BLUE, height=0.7)
    axes.set_yticks(places, [f"{row['layer']} ({row['shape']})" for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="spikes per neuron and step (%)", title=title)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure
