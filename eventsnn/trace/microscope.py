"""The neuron microscope: every arrival at one neuron, rebuilt from a trace and the network without
another run.

observation = observe(trace, "relu5", 1234)
figure = plot(observation)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.network.linear import Grid
from eventsnn.network.network import INPUT, neuron_number
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import (
    check_complete,
    fired_by_input,
    fired_by_itself,
    incoming,
    total,
    worth,
)
from eventsnn.trace.trace import Trace
from eventsnn.views.plots import BLUE, ORANGE, WIDTH

DRIVE, ITSELF, EVENT = (
    -1,
    -2,
    -3,
)  # sources that are no layer: drive, an evaluation of the neuron's own, an input event
GREY = "#7F7F7F"
MARKERS = 400  # with more arrivals, lines alone are drawn


def arrival_type(potential: np.dtype[Any]) -> np.dtype[np.void]:
    """The structured dtype of arrivals for potentials of this dtype."""
    return np.dtype(
        [
            ("event", "i8"),
            ("tick", "i8"),
            ("step", "i4"),
            ("source", "i4"),
            ("source_neuron", "i8"),
            ("spike", "i8"),
            ("charge", potential),
            ("before", potential),
            ("charged", potential),
            ("fired", "i4"),
            ("after", potential),
        ]
    )


@dataclass
class Observation:
    """All that arrived at one neuron, and what it did.

    arrivals: structured [A], in the order of arrival: event (the queue's number; drive has the
    largest recorded before it), tick, step (from 0), source (layer; -1 drive, -2 an evaluation of
    the neuron's own that fired, with no charge), source_neuron and spike (its seq), both -1 where
    source is negative; charge, and the potentials before, charged and after in the arithmetic's
    numbers; fired (net spikes). spikes: the neuron's own, as in the trace. start: v(0). image: its
    number.
    """

    simulation: Simulation
    layer: int
    neuron: int
    image: int
    start: np.generic
    arrivals: np.ndarray
    spikes: np.ndarray

    @property
    def name(self) -> str:
        """Layer, number and position, in words."""
        layer = self.simulation.network.layers[self.layer]
        return f"{layer.name}, neuron {self.neuron} " + "(c {}, y {}, x {})".format(
            *layer.position(self.neuron)
        )

    @property
    def fires(self) -> bool:
        """Whether it is a spiking neuron (the readout only adds up)."""
        return self.layer < len(self.simulation.network.layers) - 1

    @property
    def fired(self) -> int:
        """Net number of spikes."""
        return int(self.spikes["sign"].sum())

    @property
    def counts(self) -> str:
        """What it fired and what that should have been, in words."""
        back = int((self.spikes["sign"] < 0).sum())
        return (
            f"fired {len(self.spikes) - back}"
            + f", took back {back}" * (back > 0)
            + f", ideal {self.ideal}"
        )

    @property
    def end(self) -> Any:
        """The last potential."""
        return self.arrivals["after"][-1]

    @property
    def ideal(self) -> int | None:
        """What the same charge is worth in any order (`arrivals.worth`); None for the readout."""
        if not self.fires:
            return None
        return int(
            worth(self.simulation, self.layer, self.start.item() + total(self.arrivals["charge"]))
        )

    def in_thresholds(self, values: Any) -> Any:
        """The arithmetic's numbers -> float64 in thresholds (for the readout, in units of the ANN's
        output).
        """
        exponent = 0 if self.fires else self.simulation.arithmetic.readout_exponent
        values = np.ldexp(
            np.asarray(values, np.float64), exponent - self.simulation.arithmetic.fraction_bits
        )
        return values / self.simulation.quanta[self.layer]

    def source(self, arrival: Any) -> str:
        """Where an arrival came from, in words."""
        if arrival["source"] < 0:
            return {DRIVE: "drive", ITSELF: "itself", EVENT: f"input {arrival['source_neuron']}"}[
                int(arrival["source"])
            ]
        layer = self.simulation.network.layers[arrival["source"]]
        return f"{layer.name} {arrival['source_neuron']}"

    def table(self, limit: int | None = None) -> list[dict[str, Any]]:
        """One row an arrival, in thresholds; limit: the first so many."""
        return [
            dict(
                event=int(a["event"]),
                step=int(a["step"]) + 1,
                tick=int(a["tick"]),
                source=self.source(a),
                spike=int(a["spike"]),
                **{name: float(self.in_thresholds(a[name])) for name in ("charge", "charged")},
                fired=int(a["fired"]),
                after=float(self.in_thresholds(a["after"])),
            )
            for a in self.arrivals[:limit]
        ]

    def __repr__(self) -> str:
        fired = self.counts if self.fires else "never fires"
        count = int((self.arrivals["source"] != ITSELF).sum())
        return f"<Observation of {self.name}, image {self.image}: {count:,} arrivals, {fired}>"

    def _repr_html_(self) -> str:
        from eventsnn.views.tables import html_table

        return f"<p>{repr(self)[1:-1]}; the first 100 arrivals, in thresholds</p>" + html_table(
            self.table(100)
        )


def observe(trace: Trace, layer: int | str, neuron: int | Grid) -> Observation:
    """The `Observation` of one neuron. layer: name or number. neuron: number in the layer, or its
    position (c, y, x).

    Raises InputError for a neuron that does not exist, and where the potentials rebuilt are not
    those recorded: then the trace is incomplete, or of another network.
    """
    simulation, layer = trace.simulation, trace.layer(layer)
    neuron = neuron_number(simulation.network.layers[layer], neuron)
    check_complete(trace)
    if simulation.network.layers[layer].pools:
        raise InputError(
            "layer",
            "a layer of neurons",
            f"{trace.names[layer]}, which pools",
            "look at the layers before and after it",
        )
    number = int(simulation.network.first[layer]) + neuron
    if trace.mute is not None and trace.mute[number]:
        raise InputError(
            "neuron",
            "one that sends its spikes",
            f"{trace.names[layer]} {neuron}, which SRP silenced",
            "choose another",
        )
    own = trace.spikes[(trace.spikes["layer"] == layer) & (trace.spikes["neuron"] == neuron)]
    by_itself = own[fired_by_itself(trace, own)]
    by_itself = by_itself[np.unique(by_itself["event"], return_index=True)[1]]
    rows = np.concatenate(
        [
            _drive_rows(trace, number),
            _delivered_rows(trace, layer, neuron),
            _input_rows(trace, layer, neuron),
            _rows(trace, by_itself, ITSELF),
        ]
    )
    rows = rows[np.lexsort((rows["event"], rows["step"]))]
    _rebuild(
        rows,
        simulation.resting[number],
        own,
        fired_by_itself(trace, own) | fired_by_input(trace, own),
    )
    return Observation(
        simulation, layer, neuron, trace.number, simulation.resting[number], rows, own
    )


def _rows(trace: Trace, records: NDArray[Any], source: int) -> NDArray[Any]:
    """Rows for records with event, tick and step; no spike, no charge."""
    rows = np.zeros(len(records), arrival_type(trace.simulation.arithmetic.dtype))
    for name in ("event", "tick", "step"):
        rows[name] = records[name]
    rows["source"], rows["source_neuron"], rows["spike"] = source, -1, -1
    return rows


def _drive_rows(trace: Trace, number: int) -> NDArray[Any]:
    """One arrival at the beginning of each step."""
    steps, drive = np.arange(trace.simulation.steps), np.atleast_2d(trace.drive)
    rows = np.zeros(len(steps), arrival_type(trace.simulation.arithmetic.dtype))
    rows["step"], rows["tick"], rows["charge"] = (
        steps,
        trace.starts,
        drive[np.minimum(steps, len(drive) - 1), number],
    )
    rows["source"], rows["source_neuron"], rows["spike"] = DRIVE, -1, -1
    for records in (trace.spikes, trace.deliveries):
        before = np.searchsorted(records["step"], steps) - 1
        rows["event"] = np.maximum(
            rows["event"], np.where(before < 0, 0, records["event"][before] if len(records) else 0)
        )
    return rows


def _delivered_rows(trace: Trace, layer: int, neuron: int) -> NDArray[Any]:
    """The deliveries that reach the neuron: over a synapse of theirs, in the half that its charge
    belongs to.
    """
    deliveries, parts = trace.deliveries, []
    source, source_neuron, sign = (
        trace.spikes[name][deliveries["spike"]] for name in ("layer", "neuron", "sign")
    )
    for synapses in incoming(trace.simulation, layer, neuron):
        if synapses.source == INPUT:
            continue
        over = np.isin(deliveries["projection"], (-1, synapses.number)) & (
            source == synapses.source
        )
        over = np.flatnonzero(over)[synapses.reached[source_neuron[over]]]
        charge = synapses.charge[source_neuron[over]] * sign[over]
        half = deliveries["half"][over]
        keep = (half == 0) | ((half == 1) == (charge >= 0))
        rows = _rows(trace, deliveries[over[keep]], synapses.source)
        rows["spike"], rows["source_neuron"], rows["charge"] = (
            deliveries["spike"][over[keep]],
            source_neuron[over[keep]],
            charge[keep],
        )
        parts.append(rows)
    return np.concatenate(parts) if parts else _rows(trace, deliveries[:0], 0)


def _input_rows(trace: Trace, layer: int, neuron: int) -> NDArray[Any]:
    """The input events that reach the neuron."""
    came = trace.input_deliveries
    rows = _rows(trace, came, EVENT)
    charge = np.zeros(len(came), trace.drive.dtype)
    reached = np.zeros(len(came), bool)
    if trace.inputs is None or not len(came):
        return rows[reached]
    event = trace.inputs[-2 - came["spike"]]
    for synapses in incoming(trace.simulation, layer, neuron):
        if synapses.source == INPUT:
            charge = synapses.charge[event[:, 2]] * event[:, 3]
            reached = synapses.reached[event[:, 2]]
    rows["source_neuron"], rows["charge"] = event[:, 2], charge
    return rows[reached]


def _rebuild(
    rows: NDArray[Any], potential: int, own: NDArray[Any], by_itself: NDArray[Any]
) -> None:
    """Fill in potentials and spikes, arrival by arrival; what was recorded must be what comes
    out.
    """
    fired_at: dict[tuple[Any, ...], list[Any]] = {}
    for spike, itself in zip(own, by_itself):
        drives = spike["cause"] < 0 and not itself
        fired_at.setdefault((spike["step"], DRIVE if drives else spike["event"]), []).append(spike)
    for row in rows:
        row["before"] = potential
        row["charged"] = potential = potential + row["charge"]
        for spike in fired_at.pop(
            (row["step"], DRIVE if row["source"] == DRIVE else row["event"]), ()
        ):
            if spike["v_before"] != potential:
                raise InputError(
                    "trace",
                    f"the potential {potential} that the arrivals give",
                    f"{spike['v_before']} recorded at spike {spike['seq']}",
                    "give the network and settings that made the trace, and the whole of it",
                )
            potential, row["fired"] = spike["v_after"], row["fired"] + spike["sign"]
        row["after"] = potential
    if fired_at:
        seq = next(iter(fired_at.values()))[0]["seq"]
        raise InputError(
            "trace",
            "an arrival or an evaluation for every spike",
            f"none for spike {seq}",
            "give the network and settings that made the trace, and the whole of it",
        )


def plot(observation: Observation, title: str = "") -> Figure:
    """The potential over the arrivals, in the order in which they came; returns a matplotlib
    Figure.

    Each arrival is a line from the potential before to the potential after charging, blue where it
    excites and orange where it inhibits; triangles are spikes, hollow and downward where one is
    taken back. Dashed: thresholds, of a group neuron those of all members, whose every spike takes
    theta / tau from all. Grey: where a step begins.
    """
    o, rows = observation, observation.arrivals
    wide = len(rows) > 40
    figure = Figure(figsize=(WIDTH + 3 * wide, 3.4), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(rows))
    before = np.asarray(o.in_thresholds(rows["before"]))
    charged = np.asarray(o.in_thresholds(rows["charged"]))
    after = np.asarray(o.in_thresholds(rows["after"]))
    colours = np.where(rows["charge"] > 0, BLUE, np.where(rows["charge"] < 0, ORANGE, GREY))
    axes.step(
        [-0.5, *at, len(rows) - 0.5],
        [before[0], *after, after[-1]],
        where="post",
        color="0.6",
        lw=1,
        zorder=1,
    )
    axes.vlines(at, before, charged, colors=colours.tolist(), lw=1 if wide else 3, zorder=2)
    shapes = (rows["source"] == DRIVE, "D"), (rows["source"] >= 0, "o")
    for chosen, marker in shapes if len(rows) <= MARKERS else ():
        axes.scatter(
            at[chosen],
            charged[chosen],
            c=colours[chosen],
            marker=marker,
            s=8 if wide else 24,
            zorder=3,
        )
    for limit in o.simulation.neuron.band() if o.fires else ():
        if limit is not None:
            axes.axhline(o.in_thresholds(limit), color="0.2", ls="--", lw=1, zorder=0)
    for member in range(2, getattr(o.simulation.neuron, "members", 1) + 1) if o.fires else ():
        axes.axhline(
            o.in_thresholds(member * o.simulation.arithmetic.one),
            color="0.6",
            ls="--",
            lw=0.7,
            zorder=0,
        )
    top = max(charged.max(), after.max(), 1.0 if o.fires else -np.inf)
    span = max(top - min(charged.min(), after.min()), 1e-9)
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
        for i in fired[np.abs(rows["fired"][fired]) > 1] if len(fired) <= 60 else ():
            axes.annotate(
                f"{abs(rows['fired'][i])}",
                (i, top + 0.13 * span),
                ha="center",
                va="bottom",
                fontsize=7,
            )
    begin = np.flatnonzero(np.diff(rows["step"], prepend=-1))
    for i in begin:
        axes.axvline(i - 0.5, color="0.85", lw=0.8, zorder=0)
    for i in begin[:: max(1, len(begin) // 16)]:
        axes.annotate(
            f"{rows['step'][i] + 1}",
            (i - 0.4, 0.01),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color="0.4",
            va="bottom",
        )
    axes.set_xlim(-0.8, len(rows) - 0.2)
    axes.margins(y=0.12)
    axes.set(
        xlabel="arrivals, in their order (small numbers: steps)",
        ylabel="potential (thresholds)" if o.fires else "charge",
    )
    _legend(figure, o)
    axes.set_title(
        title or o.name, loc="left", fontsize=10, pad=18 if o.fires else 6, parse_math=False
    )
    axes.spines[["top", "right"]].set_visible(False)
    if o.fires:
        axes.text(0, 1.02, o.counts, transform=axes.transAxes, va="bottom", fontsize=8)
    return figure


def _legend(figure: Figure, observation: Observation) -> None:
    """What the marks mean; only those that occur."""
    rows = observation.arrivals
    marks = [
        ((rows["source"] == DRIVE) & (len(rows) <= MARKERS), "D", "0.4", "0.4", "drive"),
        (rows["charge"] > 0, "o", BLUE, BLUE, "excites"),
        (rows["charge"] < 0, "o", ORANGE, ORANGE, "inhibits"),
        (rows["fired"] > 0, "^", "black", "black", "fires"),
        (rows["fired"] < 0, "v", "none", "black", "takes a spike back"),
    ]
    handles = [
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
        for occurs, marker, fill, edge, label in marks
        if occurs.any()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
