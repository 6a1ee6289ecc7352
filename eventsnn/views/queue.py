"""The picture of an event queue: which spikes wait, from when to when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn.views.figures import WIDTH, Picture, caption, shown

BARS = 48  # spikes that are drawn one by one
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000")
POINTS = 1200  # of a curve
NAMED = 8  # layers in the legend


def queue_figure(
    bars: NDArray[np.int64],
    waiting: Sequence[NDArray[np.int64]],
    names: Sequence[str],
    title: str = "",
    conditions: object = "",
) -> Figure:
    """The first spikes that are delivered as bars, above how many wait, by layer; a Figure.

    bars: int64 [B, 3], events of firing and of delivery, and layer. waiting: for each layer int64
    [E + 1], after each event. names: the layers'. title: of the picture. conditions: as for
    `figures.caption`.
    """
    figure = Picture(figsize=(WIDTH, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    chosen = bars[np.argsort(bars[:, 1], kind="stable")[:BARS]]
    begins = chosen[:, 0] - 0.5
    for row, (begin, (_, end, layer)) in enumerate(zip(begins, chosen.tolist())):
        above.barh(row, end - begin, 0.8, begin, color=_colour(layer, len(names)))
    above.set_ylim(len(chosen) - 0.4, -0.6)
    above.set_xlabel("events taken from the queue (0: the step's drive)")
    above.set_ylabel("spikes, as delivered")
    above.set_yticks([])
    events = len(waiting[0])
    at = np.unique(np.linspace(0, events - 1, min(events, POINTS)).astype(int))
    stacked = np.stack([counts[at] for counts in waiting])
    colours = [_colour(layer, len(names)) for layer in range(len(names))]
    labels = [shown(name) for name in names]
    below.stackplot(at, stacked, colors=colours, labels=labels, lw=0)
    below.set_xlim(0, max(1, events - 1))
    below.set_ylim(0, None)
    below.set_xlabel("events taken from the queue in step 1")
    below.set_ylabel("spikes that wait")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    above.set_title(shown(title, 70), loc="left", fontsize=10, parse_math=False)
    handles, texts = below.get_legend_handles_labels()
    if len(names) > NAMED:
        few = [*range(NAMED - 1), len(names) - 1]
        handles, texts = [handles[i] for i in few], [texts[i] for i in few]
    legend = figure.legend(
        handles, texts, loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    caption(figure, conditions)
    return figure


def _colour(layer: int, layers: int) -> str:
    """A layer's colour: of few layers one each, of many from blue to orange."""
    if layers <= len(COLOURS):
        return COLOURS[layer]
    share = layer / (layers - 1)
    ends = np.array([[0.0, 0.45, 0.7], [0.84, 0.37, 0.0]])
    return to_hex((1 - share) * ends[0] + share * ends[1])
