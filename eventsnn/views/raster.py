"""A raster: every spike of a trace, layer above layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.views.causes import depths
from eventsnn.views.figures import BLUE, ORANGE, WIDTH, Picture, caption, shown
from eventsnn.views.recorded import Along, Recorded, check_trace, scatter

EVENTS = 10_000  # with more spikes a raster shows how dense they are
BINS = 200  # of time, in a density
ROWS = 160  # of neurons, at most, in the density of all layers
PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
COLOURS = ("layer", "depth")


@checked
def raster(
    trace: Any,
    layers: Sequence[int | str] | None = None,
    along: str | None = None,
    colour: str = "layer",
    potentials: Sequence[Any] = (),
    title: str = "",
    conditions: object = None,
) -> Figure:
    """Every spike, neurons upwards, layer above layer; a Figure.

    Spikes that are taken back are hollow and point down. With more than 10,000 spikes the picture
    shows how many fall on each place, and says so.

    trace: of one image, a `Trace`. layers: names or numbers; None: all that spike. along: "time",
    in steps, or "order", the place in the order of emission; None: order where all spikes of a step
    are due at its beginning, since time shows nothing then. colour: "layer", or "depth": how many
    spikes stand behind one another before it, from the drive (0) on. potentials: observations of
    neurons (`Result.observe`), whose potentials are drawn below. title: of the figure ("": the
    image). conditions: as for `caption`; None: the trace's. Raises InputError for a layer that does
    not exist, and for another colour or axis.
    """
    check_trace(trace)
    for seen in potentials:
        if not hasattr(seen, "arrivals"):
            do = "result.observe(layer, neuron, image) makes one"
            raise InputError("potentials", "Observations", type(seen).__name__, do)
    if colour not in COLOURS:
        raise InputError("colour", " or ".join(COLOURS), repr(colour))
    axis = Along(trace, along)
    rows = _rows(trace, layers)
    kept = _chosen(trace, rows)
    spikes, places = trace.spikes[kept], axis.places[kept]
    heights = [3.0 + 0.12 * len(rows), *(1.2 for _ in potentials)]
    figure = Picture(figsize=(WIDTH + 2, sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    dense = len(spikes) > EVENTS
    if dense:
        _draw_density(figure, axes[0], rows, spikes, places, axis.end)
    elif colour == "depth":
        _draw_depth(figure, axes[0], rows, spikes, places, depths(trace)[kept])
    else:
        _draw_layers(axes[0], rows, spikes, places)
    _label(axes[0], rows)
    for below, observation in zip(axes[1:], potentials):
        _draw_potential(below, observation, axis)
    axis.label(axes.tolist())
    found = "no spikes" if not len(spikes) else f"{len(spikes):,} spikes"
    words = shown(title or f"image {trace.number}, {found}{', density' if dense else ''}", 90)
    axes[0].set_title(words, loc="left", fontsize=10, parse_math=False)
    caption(figure, trace.conditions if conditions is None else conditions)
    return figure


class Row(NamedTuple):
    """A layer of a raster. number: the layer's. name. size: its neurons. bottom: where it begins,
    in neurons, counted from below.
    """

    number: int
    name: str
    size: int
    bottom: int


def _rows(trace: Recorded, layers: Sequence[int | str] | None) -> list[Row]:
    """The layers of a raster, the first at the bottom."""
    if layers is None:
        numbers = list(range(len(trace.names) - 1))
    else:
        numbers = sorted({trace.layer(layer) for layer in layers})
    rows, bottom = [], 0
    for number in numbers:
        size = trace.simulation.network.layers[number].size
        rows.append(Row(number, trace.names[number], size, bottom))
        bottom += size
    return rows


def _chosen(trace: Recorded, rows: Sequence[Row]) -> NDArray[np.bool_]:
    return np.isin(trace.spikes["layer"], [row.number for row in rows])


def _heights(rows: Sequence[Row], spikes: NDArray[np.void]) -> NDArray[np.float64]:
    """Where spikes stand, so that every layer has the same height: float64 [S], in layers."""
    place = {row.number: i for i, row in enumerate(rows)}
    sizes = np.array([row.size for row in rows], np.float64)
    at = np.array([place[number] for number in spikes["layer"].tolist()], np.int64)
    return at + 0.05 + 0.9 * (spikes["neuron"] + 0.5) / sizes[at] if len(at) else np.zeros(0)


def _label(axes: Axes, rows: Sequence[Row]) -> None:
    names = [f"{shown(row.name)}\n{row.size:,} neurons" for row in rows]
    if len(rows) > 20:
        names = [shown(row.name) for row in rows]
    axes.set_yticks(np.arange(len(rows)) + 0.5, names, fontsize=7, parse_math=False)
    axes.set_ylim(0, max(len(rows), 1))
    for i in range(1, len(rows)):
        axes.axhline(i, color="0.85", lw=0.6, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_layers(
    axes: Axes, rows: Sequence[Row], spikes: NDArray[np.void], places: NDArray[np.float64]
) -> None:
    heights = _heights(rows, spikes)
    for i, row in enumerate(rows):
        own = spikes["layer"] == row.number
        scatter(axes, places[own], heights[own], spikes["sign"][own], PALETTE[i % len(PALETTE)])
    _legend_of_signs(axes, spikes)


def _legend_of_signs(axes: Axes, spikes: NDArray[np.void]) -> None:
    if (spikes["sign"] < 0).any():
        marks = [
            Line2D([], [], ls="", marker="o", color="0.3", ms=3, label="fired"),
            Line2D([], [], ls="", marker="v", color="0.3", mfc="none", ms=5, label="taken back"),
        ]
        axes.legend(
            handles=marks,
            frameon=False,
            fontsize=8,
            loc="lower left",
            bbox_to_anchor=(0.7, 1),
            ncols=2,
        )


def _draw_depth(
    figure: Figure,
    axes: Axes,
    rows: Sequence[Row],
    spikes: NDArray[np.void],
    places: NDArray[np.float64],
    depth: NDArray[np.int64],
) -> None:
    norm = Normalize(0, max(int(depth.max(initial=0)), 1))
    colours = ScalarMappable(norm, "viridis")
    scatter(axes, places, _heights(rows, spikes), spikes["sign"], colours.to_rgba(depth))
    bar = figure.colorbar(colours, ax=axes, pad=0.01)
    bar.set_label("spikes behind it, as causes of causes", fontsize=8)
    _legend_of_signs(axes, spikes)


def _draw_density(
    figure: Figure,
    axes: Axes,
    rows: Sequence[Row],
    spikes: NDArray[np.void],
    places: NDArray[np.float64],
    end: float,
) -> None:
    """How many spikes fall on each place, on a logarithmic scale."""
    each = max(8, ROWS // len(rows))
    edges = [np.linspace(0, end, BINS + 1), np.linspace(0, len(rows), each * len(rows) + 1)]
    counts, _, _ = np.histogram2d(places, _heights(rows, spikes), bins=edges)
    norm = LogNorm(1, max(counts.max(), 2))
    drawn = axes.pcolormesh(*edges, np.ma.masked_less(counts.T, 1), norm=norm, cmap="viridis")
    drawn.set_rasterized(True)
    bar = figure.colorbar(drawn, ax=axes, pad=0.01)
    bar.set_label("spikes (fired or taken back)", fontsize=8)


def _draw_potential(axes: Axes, observation: Any, axis: Along) -> None:
    """The potential of one neuron, a line that holds between arrivals."""
    rows = observation.arrivals
    places = np.concatenate([[0.0], np.repeat(axis.of_events(rows), 2), [axis.end]])
    start = np.atleast_1d(observation.in_thresholds(np.asarray(observation.v0)))
    pairs = np.stack([rows["charged"], rows["after"]], axis=1).ravel()
    values = np.concatenate([start, observation.in_thresholds(pairs)])
    axes.step(places, np.append(values, values[-1]), where="post", color=BLUE, lw=1)
    axes.axhline(1, color="0.2", ls="--", lw=0.8)
    axes.set_ylabel("potential\n(thresholds)", fontsize=7)
    axes.set_title(shown(observation.name, 70), loc="left", fontsize=8, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
