"""Causes: what fired a spike, and all that it fired."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn.arguments import Count, Natural, checked
from eventsnn.exceptions import InputError
from eventsnn.views.figures import BLUE, WIDTH, Picture, caption, shown
from eventsnn.views.recorded import Along, Recorded, check_trace, scatter

BRANCHES = 400  # spikes of a tree of causes that are drawn


class Descent(NamedTuple):
    """Where spikes stand in a trace. at: the one asked for. behind: its causes, the nearest last.
    ahead: all that it caused, in the order of emission.
    """

    at: int
    behind: NDArray[np.int64]
    ahead: NDArray[np.int64]


@checked
def descent(trace: Any, spike: Natural) -> Descent:
    """The causes behind a spike, and all that it caused, as places in `trace.spikes`.

    trace: of one image. spike: its seq. Raises InputError for a spike that the trace has not.
    """
    check_trace(trace)
    seqs = trace.spikes["seq"]
    at = int(np.searchsorted(seqs, spike))
    if at == len(seqs) or seqs[at] != spike:
        least, most = (int(seqs[0]), int(seqs[-1])) if len(seqs) else (0, 0)
        expected = f"the seq of one of {len(seqs):,} spikes kept, {least} to {most}"
        raise InputError("spike", expected, spike, "trace.spikes['seq'] has them all")
    place = {int(seq): i for i, seq in enumerate(seqs)}
    behind, cause = [], place.get(int(trace.spikes["cause"][at]))
    while cause is not None:
        behind.append(cause)
        cause = place.get(int(trace.spikes["cause"][cause]))
    inside = {int(seqs[at])}
    ahead = []
    for i in range(at + 1, len(seqs)):  # an effect is emitted behind its cause
        if int(trace.spikes["cause"][i]) in inside:
            inside.add(int(seqs[i]))
            ahead.append(i)
    return Descent(at, np.array(behind[::-1], np.int64), np.array(ahead, np.int64))


def depths(trace: Recorded) -> NDArray[np.int64]:
    """How many spikes stand behind each one as causes of causes, int64 [S]; 0: drive did it.

    trace: of one image. A spike whose cause was not kept counts from it.
    """
    place = {int(seq): i for i, seq in enumerate(trace.spikes["seq"])}
    found = np.zeros(len(trace.spikes), np.int64)
    for i, cause in enumerate(trace.spikes["cause"].tolist()):  # a cause was emitted before
        if cause in place:
            found[i] = found[place[cause]] + 1
    return found


@checked
def causes(
    trace: Any,
    spike: Natural,
    along: str | None = None,
    most: Count = BRANCHES,
    title: str = "",
    conditions: object = None,
) -> Figure:
    """The causal tree of one spike: the causes behind it, and all that it caused; a Figure.

    A spike's cause is the spike whose arrival fired it. Lines go from a cause to what it fired.

    trace: of one image, a `Trace`. spike: its seq, the place in the order of emission. along:
    as in `raster`. most: spikes that are drawn of those that it caused, the earliest first; the
    title says how many there are.
    title: of the figure ("": the spike and the image). conditions: as for `caption`; None:
    the trace's. Raises
    InputError for a spike that the trace does not have.
    """
    tree = descent(trace, spike)
    behind, ahead = tree.behind, tree.ahead[:most]
    kept = np.concatenate([behind, [tree.at], ahead]).astype(np.int64)
    figure = Picture(figsize=(WIDTH + 2, 3.4), layout="constrained")
    axes = figure.subplots()
    spikes, axis = trace.spikes, Along(trace, along)
    place = {int(seq): i for i, seq in zip(kept, spikes["seq"][kept])}
    for i in kept:
        j = place.get(int(spikes["cause"][i]))
        if j is not None:
            ends = axis.places[[j, i]], [spikes["layer"][j], spikes["layer"][i]]
            axes.plot(*ends, color="0.7", lw=0.6, zorder=1)
    for chosen, colour, label in (
        (behind, "#009E73", "causes behind it"),
        (np.array([tree.at]), "black", "the spike"),
        (ahead, BLUE, "caused by it"),
    ):
        if len(chosen):
            scatter(
                axes, axis.places[chosen], spikes["layer"][chosen], spikes["sign"][chosen], colour
            )
            axes.plot([], [], "o", color=colour, ms=4, label=label)
    names = trace.names
    axes.set_yticks(range(len(names)), [shown(name) for name in names], fontsize=8)
    axes.set_ylim(-0.6, spikes["layer"][kept].max() + 0.6)
    axis.label([axes], whole=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    some = "" if len(ahead) == len(tree.ahead) else f", {len(ahead):,} drawn"
    told = f"{len(behind):,} behind it, {len(tree.ahead):,} caused by it{some}"
    words = title or f"spike {spike} of image {trace.number}: {told}"
    axes.set_title(shown(words, 90), loc="left", fontsize=10, parse_math=False)
    caption(figure, trace.conditions if conditions is None else conditions)
    return figure
