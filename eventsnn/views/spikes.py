"""Pictures of a trace: a raster of spikes, what one spike caused, and maps of counts over T."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from eventsnn.arguments import Count, Natural, checked
from eventsnn.exceptions import InputError
from eventsnn.views.figures import BLUE, ORANGE, WIDTH, Picture, caption, shown

EVENTS = 10_000  # with more spikes a raster shows how dense they are
BINS = 200  # of time, in a density
ROWS = 160  # of neurons, at most, in the density of all layers
PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
COLOURS = ("layer", "depth")
AXES = ("time", "order")
SIZE = 6  # of a spike, in square points
NAMED = 12  # layers that a legend names
BRANCHES = 400  # spikes of a tree of causes that are drawn
MAPS = 6  # channels that are chosen, where none are


class Recorded(Protocol):
    """What pictures ask of a trace; see `trace.trace.Trace`."""

    spikes: NDArray[np.void]
    starts: NDArray[np.int64]
    number: int
    simulation: Any

    @property
    def conditions(self) -> str:
        """Engine, order, neuron and so on, as a line."""

    @property
    def names(self) -> list[str]:
        """The layers' names, the readout's last."""

    @property
    def ticks(self) -> int:
        """The ticks of a step."""

    @property
    def times(self) -> NDArray[np.float64]:
        """The times of the spikes, in steps."""

    def layer(self, name: int | str) -> int:
        """A layer's number."""


def check_trace(trace: Any) -> None:
    """Raises InputError for what is no `Trace`."""
    if not (hasattr(trace, "spikes") and hasattr(trace, "starts")):
        do = "result.trace() records one, and eventsnn.trace.read_trace reads one"
        raise InputError("trace", "a Trace", type(trace).__name__, do)


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
    axis.label(axes)
    found = "no spikes" if not len(spikes) else f"{len(spikes):,} spikes"
    words = shown(title or f"image {trace.number}, {found}{', density' if dense else ''}", 90)
    axes[0].set_title(words, loc="left", fontsize=10, parse_math=False)
    caption(figure, trace.conditions if conditions is None else conditions)
    return figure


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
            _scatter(
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


class Along:
    """What stands along a picture: time in steps, or the order of emission.

    trace: of one image. along: "time", "order", or None, see `raster`. places: of all spikes,
    float64 [S]. end: where the picture ends.
    """

    def __init__(self, trace: Recorded, along: str | None) -> None:
        if along is not None and along not in AXES:
            raise InputError("along", " or ".join(AXES), repr(along))
        spikes = trace.spikes
        at_once = bool(np.isin(spikes["tick"], trace.starts).all()) and len(spikes) > 0
        self.ordered = along == "order" or (along is None and at_once)
        self.trace = trace
        if self.ordered:
            self.places = spikes["seq"].astype(np.float64)
            self.end = float(spikes["seq"].max(initial=0)) + 1
        else:
            self.places = trace.times
            self.end = max(float(len(trace.starts)), self.places.max(initial=0.0) * 1.01)

    def of_events(self, rows: NDArray[np.void]) -> NDArray[np.float64]:
        """The places of arrivals, float64 [A]. rows: as in `Observation.arrivals`."""
        if self.ordered:
            spikes = self.trace.spikes
            place = np.searchsorted(spikes["event"], rows["event"])
            return np.append(spikes["seq"], self.end)[place].astype(np.float64)
        return np.asarray(rows["tick"] / self.trace.ticks, np.float64)

    def label(self, axes: Sequence[Axes], whole: bool = True) -> None:
        """Names the axis of the last of some axes, and marks in all where each step begins.

        whole: whether they show all of the run.
        """
        axes[-1].set_xlabel("spikes, in the order of emission" if self.ordered else "time (steps)")
        if self.ordered:
            steps = self.trace.spikes["step"]
            begins = np.flatnonzero(np.diff(steps, prepend=-1))
            low, high = (0.0, self.end) if whole else axes[-1].get_xlim()
            for i in begins:
                if low <= self.places[i] <= high:
                    for each in axes:
                        each.axvline(self.places[i], color="0.8", lw=0.7, zorder=0)
            axes[-1].set_xlim(low, high)
            axes[-1].set_xlabel("spikes, in the order of emission (grey: a step begins)")
        elif whole:
            axes[-1].set_xlim(0, self.end)


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


@checked
def feature_maps(
    trace: Any,
    layer: int | str,
    channels: Sequence[Natural] | None = None,
    steps: Sequence[Count] | None = None,
    title: str = "",
    conditions: object = None,
) -> Figure:
    """A layer's net spikes so far, channel by channel, after some steps; a Figure.

    The colour is the rate, net spikes divided by the step, so that a map settles when it has found
    its value. Each channel has a scale of its own, whose end stands beside it.

    trace: of one image, a `Trace`. layer: name or number. channels: from 0; None: the most active
    6. steps: from 1; None: powers of two up to T. title: of the figure ("": the layer and the
    image). conditions: as for `caption`; None:
    the trace's. Raises InputError for a layer, channel or step that
    does not exist.
    """
    check_trace(trace)
    number = trace.layer(layer)
    c, height, width = trace.simulation.network.layers[number].grid
    total = len(trace.starts)
    steps = [t for t in steps or sorted({*(2**i for i in range(20) if 2**i < total), total})]
    for t in steps:
        if t > total:
            raise InputError("steps", f"1 to {total}", t)
    own = trace.spikes[trace.spikes["layer"] == number]
    counts = np.zeros((total, height * width * c))
    np.add.at(counts, (own["step"], own["neuron"]), own["sign"])
    maps = np.cumsum(counts, axis=0).reshape(total, height, width, c)
    if channels is None:
        active = np.abs(maps[-1]).sum((0, 1))
        channels = sorted(np.argsort(-active, kind="stable")[:MAPS].tolist())
    for channel in channels:
        if channel >= c:
            raise InputError("channels", f"0 to {c - 1}", channel)
    shape = (len(channels), len(steps))
    size = (1.1 * shape[1] + 1.6, 1.05 * shape[0] + 0.9)
    figure = Picture(figsize=(max(size[0], 4.0), size[1]), layout="constrained")
    axes = figure.subplots(*shape, squeeze=False)
    signed = bool((maps < 0).any())
    colours = "PuOr_r" if signed else "viridis"
    for i, channel in enumerate(channels):
        rates = [maps[t - 1, :, :, channel] / t for t in steps]
        most = max(float(np.abs(rates).max()), 1e-12)
        for j, (t, rate) in enumerate(zip(steps, rates)):
            least = -most if signed else 0
            axes[i, j].imshow(rate, cmap=colours, vmin=least, vmax=most, interpolation="nearest")
            axes[i, j].set(xticks=[], yticks=[])
            axes[0, j].set_title(f"T = {t}", fontsize=8)
        axes[i, 0].set_ylabel(f"channel {channel}\nup to {most:.2f}", fontsize=8)
    bar = figure.colorbar(ScalarMappable(Normalize(-signed, 1), colours), ax=axes, shrink=0.8)
    bar.set_label("net spikes a step, of the channel's largest", fontsize=8)
    words = title or f"{trace.names[number]}, image {trace.number}"
    figure.suptitle(shown(words, 60), fontsize=10, parse_math=False)
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


def _scatter(axes: Axes, x: NDArray[Any], y: NDArray[Any], sign: NDArray[Any], colour: Any) -> None:
    """Draws spikes: filled dots, and hollow triangles downward where one is taken back."""
    back = sign < 0
    colour = np.broadcast_to(
        np.array(to_rgba(colour)) if isinstance(colour, str) else colour, (len(x), 4)
    )
    axes.scatter(x[~back], y[~back], c=colour[~back], s=SIZE, marker="o", lw=0, zorder=2)
    axes.scatter(
        x[back],
        y[back],
        facecolors="none",
        edgecolors=colour[back],
        s=3 * SIZE,
        marker="v",
        lw=0.7,
        zorder=3,
    )


def _draw_layers(
    axes: Axes, rows: Sequence[Row], spikes: NDArray[np.void], places: NDArray[np.float64]
) -> None:
    heights = _heights(rows, spikes)
    for i, row in enumerate(rows):
        own = spikes["layer"] == row.number
        _scatter(axes, places[own], heights[own], spikes["sign"][own], PALETTE[i % len(PALETTE)])
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
    _scatter(axes, places, _heights(rows, spikes), spikes["sign"], colours.to_rgba(depth))
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
