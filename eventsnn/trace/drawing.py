"""The neuron microscope's figure: the potential of one neuron over its arrivals."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.simulation.conditions import conditions
from eventsnn.trace.observation import DRIVE, Observation
from eventsnn.views.plots import BLUE, ORANGE, WIDTH, Picture, caption, shown

GREY = "#7F7F7F"
MARKERS = 400  # with more arrivals, lines alone are drawn
NARROW = 40  # with more arrivals, the figure is wide and its lines are thin
COUNTED = 60  # of more firing arrivals, the numbers of spikes are not written
STEPS = 16  # about so many steps are numbered


@checked
def plot(observation: Observation, title: str = "") -> Figure:
    """The potential over the arrivals, in the order in which they came; a matplotlib Figure.

    Each arrival is a line from the potential before to the potential after charging, blue where it
    excites and orange where it inhibits. Triangles are spikes, hollow and downward where one is
    taken back. Dashed lines are thresholds; a group neuron has those of all members, and its every
    spike takes theta / tau from all. Grey lines are where a step begins.

    observation: of the neuron. title: of the figure ("": the neuron's name and the image).
    """
    rows = observation.arrivals
    wide = len(rows) > NARROW
    figure = Picture(figsize=(WIDTH + 3 * wide, 3.6), layout="constrained")
    axes = figure.subplots()
    _draw_potential(axes, observation, wide)
    if observation.fires:
        _draw_thresholds(axes, observation)
    _draw_spikes(axes, observation)
    _draw_steps(axes, rows["step"])
    axes.set_xlim(-0.8, len(rows) - 0.2)
    axes.margins(y=0.12)
    axes.set_xlabel("arrivals, in their order (small numbers: steps)")
    axes.set_ylabel("potential (thresholds)" if observation.fires else "charge")
    _draw_legend(figure, rows)
    pad = 18 if observation.fires else 6
    words = shown(title or f"{observation.name}, image {observation.image}", 90)
    axes.set_title(words, loc="left", fontsize=10, pad=pad, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    if observation.fires:
        counts = observation.counts
        axes.text(0, 1.02, counts, transform=axes.transAxes, va="bottom", fontsize=8)
    caption(figure, conditions(observation.simulation))
    return figure


def _draw_potential(axes: Axes, observation: Observation, wide: bool) -> None:
    """The potential as a step line, with a line and a marker for each arrival."""
    rows = observation.arrivals
    at = np.arange(len(rows))
    before = observation.in_thresholds(rows["before"])
    charged = observation.in_thresholds(rows["charged"])
    after = observation.in_thresholds(rows["after"])
    places = [-0.5, *at, len(rows) - 0.5]
    heights = [before[0], *after, after[-1]]
    axes.step(places, heights, where="post", color="0.6", lw=1, zorder=1)
    colours = np.where(rows["charge"] > 0, BLUE, np.where(rows["charge"] < 0, ORANGE, GREY))
    axes.vlines(at, before, charged, colors=colours.tolist(), lw=1 if wide else 3, zorder=2)
    if len(rows) > MARKERS:
        return
    size = 8 if wide else 24
    for chosen, marker in ((rows["source"] == DRIVE, "D"), (rows["source"] >= 0, "o")):
        colour = colours[chosen]
        axes.scatter(at[chosen], charged[chosen], c=colour, marker=marker, s=size, zorder=3)


def _draw_thresholds(axes: Axes, observation: Observation) -> None:
    """The potentials at which the neuron fires, as dashed lines."""
    simulation = observation.simulation
    for limit in simulation.neuron.band():
        if limit is not None:
            height = observation.in_thresholds(limit)
            axes.axhline(height, color="0.2", ls="--", lw=1, zorder=0)
    for member in range(2, getattr(simulation.neuron, "members", 1) + 1):
        height = observation.in_thresholds(member * simulation.arithmetic.one)
        axes.axhline(height, color="0.6", ls="--", lw=0.7, zorder=0)


def _draw_spikes(axes: Axes, observation: Observation) -> None:
    """A triangle above each arrival that fired, with the number of spikes where it is not 1."""
    rows = observation.arrivals
    heights = observation.in_thresholds(np.concatenate([rows["charged"], rows["after"]]))
    top = max(heights.max(), 1.0 if observation.fires else -np.inf)
    span = max(top - heights.min(), 1e-9)
    for sign, marker, fill in ((1, "^", "black"), (-1, "v", "none")):
        fired = np.flatnonzero(np.sign(rows["fired"]) == sign)
        axes.scatter(
            fired,
            np.full(len(fired), top + 0.09 * span),
            marker=marker,
            facecolors=fill,
            edgecolors="black",
            s=28,
            zorder=4,
        )
        if len(fired) > COUNTED:
            continue
        for i in fired[np.abs(rows["fired"][fired]) > 1]:
            count = f"{abs(rows['fired'][i])}"
            axes.annotate(count, (i, top + 0.13 * span), ha="center", va="bottom", fontsize=7)


def _draw_steps(axes: Axes, steps: NDArray[np.int32]) -> None:
    """A line where each step begins, with the numbers of some. steps: int32 [A], of arrivals."""
    begin = np.flatnonzero(np.diff(steps, prepend=-1))
    for i in begin:
        axes.axvline(i - 0.5, color="0.85", lw=0.8, zorder=0)
    for i in begin[:: max(1, len(begin) // STEPS)]:
        axes.annotate(
            f"{steps[i] + 1}",
            (i - 0.4, 0.01),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color="0.4",
            va="bottom",
        )


def _draw_legend(figure: Figure, rows: NDArray[Any]) -> None:
    """What the marks mean; only those that occur."""
    marks = [
        ((rows["source"] == DRIVE) & (len(rows) <= MARKERS), "D", "0.4", "0.4", "drive"),
        (rows["charge"] > 0, "o", BLUE, BLUE, "excites"),
        (rows["charge"] < 0, "o", ORANGE, ORANGE, "inhibits"),
        (rows["fired"] > 0, "^", "black", "black", "fires"),
        (rows["fired"] < 0, "v", "none", "black", "takes a spike back"),
    ]
    handles = []
    for occurs, marker, fill, edge, label in marks:
        if occurs.any():
            handles.append(
                Line2D(
                    [],
                    [],
                    ls="",
                    marker=marker,
                    markerfacecolor=fill,
                    markeredgecolor=edge,
                    ms=5,
                    label=label,
                )
            )
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
