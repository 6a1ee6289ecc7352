"""The picture of a margin split by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eventsnn.views.figures import BLUE, ORANGE, WIDTH, Picture, caption, shown

GREEN = "#009E73"
# column -> colour, hatch (for print without colour) and words
LOOKS = {
    "order": (GREEN, "..", "order of arrival"),
    "counts": (BLUE, "", "wrong counts"),
    "times": (ORANGE, "//", "wrong times"),
}
NUMBERED = 24  # with more layers the bars have no numbers


def margin_figure(
    rows: Sequence[Mapping[str, Any]],
    ends: Mapping[str, float],
    title: str = "",
    conditions: object = "",
) -> Figure:
    """What each layer cost of a margin, as bars; a Figure.

    rows: dicts with layer, counts, times and perhaps order, from input to output. ends: words -> a
    margin, which stand above. title: of the picture. conditions: as for `figures.caption`.
    """
    kinds = [key for key in LOOKS if key in rows[0]]
    height = 0.8 / len(kinds)
    figure = Picture(figsize=(WIDTH, 1.9 + 0.17 * len(kinds) * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    for k, key in enumerate(kinds):
        colour, hatch, words = LOOKS[key]
        at = places + (k - (len(kinds) - 1) / 2) * height
        values = [row[key] for row in rows]
        bars = axes.barh(
            at, values, height, color=colour, hatch=hatch, edgecolor="white", lw=0.4, label=words
        )
        if len(rows) <= NUMBERED:
            texts = [f"{value:+.2g}" if value else "" for value in values]
            axes.bar_label(bars, texts, padding=2, fontsize=6.5)
    axes.axvline(0, color="0.2", lw=0.8)
    axes.set_yticks(places, [shown(row["layer"]) for row in rows], fontsize=8, parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.16)
    axes.set_xlabel("cost to the margin (units of the ANN's output)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(shown(title, 70), loc="left", fontsize=10, pad=18, parse_math=False)
    words = "margin:  " + "   ".join(f"{name} {value:+.3g}" for name, value in ends.items())
    axes.text(0, 1.01, words, transform=axes.transAxes, va="bottom", fontsize=8)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    caption(figure, conditions)
    return figure
