"""The neuron microscope: every arrival at one neuron, rebuilt from a trace and the network without another run.

    observation = observe(trace, "relu5", 1234)
    figure = plot(observation)
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from eventsnn.checks import InputError
from eventsnn.engine import event
from eventsnn.engine.order import CLOCKED
from eventsnn.network import INPUT
from eventsnn.neurons.contract import settle
from eventsnn.simulation import Simulation

DRIVE, ITSELF = -1, -2  # sources that are no layer: drive, and an evaluation of the neuron's own
UNKNOWN = -1


def arrival_type(potential):
    """The structured dtype of arrivals for potentials of this dtype."""
    return np.dtype([("event", "i8"), ("tick", "i8"), ("step", "i4"), ("source", "i4"), ("source_neuron", "i8"), ("spike", "i8"),
                     ("charge", potential), ("before", potential), ("charged", potential), ("fired", "i4"), ("after", potential)])


@dataclass
class Observation:
    """All that arrived at one neuron, and what it did.

    arrivals: structured [A], in the order of arrival: event (the queue's number; drive has the largest
    recorded before it), tick (-1 where the trace does not tell: the drive of a step that a barrier and
    windows may have delayed), step (from 0), source (layer; -1 drive, -2 an evaluation of the neuron's own that
    fired, with no charge), source_neuron and spike (its seq), both -1 where source is negative; charge,
    and the potentials before, charged and after in the arithmetic's numbers; fired (net spikes). spikes:
    the neuron's own, as in the trace. start: v(0). image: its number.
    """

    simulation: Simulation
    layer: int
    neuron: int
    image: int
    start: np.generic
    arrivals: np.ndarray
    spikes: np.ndarray

    @property
    def name(self):
        """Layer, number and position, in words."""
        layer = self.simulation.network.layers[self.layer]
        return f"{layer.name}, neuron {self.neuron} " + "(c {}, y {}, x {})".format(*layer.position(self.neuron))

    @property
    def fires(self):
        """Whether it is a spiking neuron (the readout only adds up)."""
        return self.layer < len(self.simulation.network.layers) - 1

    @property
    def fired(self):
        """Net number of spikes."""
        return int(self.spikes["sign"].sum())

    @property
    def end(self):
        """The last potential."""
        return self.arrivals["after"][-1]

    @property
    def ideal(self):
        """What the same charge is worth, in any order: max(0, floor((v(0) + all that arrived) / q)), q the charge of a spike; under
        order clocked, where a neuron fires at most once a step, not more than T. None for the readout."""
        if not self.fires:
            return None
        worth = int((self.start.item() + total(self.arrivals["charge"])) // quantum(self.simulation))
        return max(0, min(worth, self.simulation.steps) if is_clocked(self.simulation) else worth)

    def in_thresholds(self, values):
        """The arithmetic's numbers -> float64 in thresholds (for the readout, in units of the ANN's output)."""
        exponent = 0 if self.fires else self.simulation.arithmetic.readout_exponent
        return np.ldexp(np.asarray(values, np.float64), exponent - self.simulation.arithmetic.fraction_bits)

    def source(self, arrival):
        """Where an arrival came from, in words."""
        if arrival["source"] < 0:
            return "drive" if arrival["source"] == DRIVE else "itself"
        layer = self.simulation.network.layers[arrival["source"]]
        return f"{layer.name} {arrival['source_neuron']}"

    def table(self, limit=None):
        """One row an arrival, in thresholds; limit: the first so many."""
        return [dict(event=int(a["event"]), step=int(a["step"]) + 1, tick=int(a["tick"]), source=self.source(a), spike=int(a["spike"]),
                     **{name: float(self.in_thresholds(a[name])) for name in ("charge", "charged")}, fired=int(a["fired"]),
                     after=float(self.in_thresholds(a["after"]))) for a in self.arrivals[:limit]]

    def __repr__(self):
        fired = f"{self.fired} spikes, {self.ideal} ideal" if self.fires else "it never fires"
        return f"<Observation of {self.name}, image {self.image}: {int((self.arrivals['source'] != ITSELF).sum()):,} arrivals, {fired}>"

    def _repr_html_(self):
        from eventsnn.tables import html_table
        return f"<p>{repr(self)[1:-1]}; the first 100 arrivals, in thresholds</p>" + html_table(self.table(100))


class Incoming(NamedTuple):
    """What one projection brings to one neuron.

    number: the projection's, as in the trace. source: its layer. charge: of a +1 spike of each source
    neuron, in the arithmetic's numbers. reached: bool, whether there is a synapse (its charge may be 0).
    """

    number: int
    source: int
    charge: np.ndarray
    reached: np.ndarray


def incoming(simulation, layer, neuron):
    """The synapses of one neuron: an `Incoming` for each projection of spikes into its layer."""
    network, found = simulation.network, []
    for number, p in enumerate(p for p in network.projections if p.source != INPUT):
        if p.target != layer:
            continue
        _, _, ci, co = p.map.blocks.shape
        site, channel = divmod(neuron, network.layers[layer].grid[0])
        group, output = divmod(channel, co)
        taps = slice(*np.searchsorted(p.map.r, [site, site + 1]))
        one_output = p.map.blocks[p.map.k[taps], group, :, output][:, None, :, None]
        weights = simulation.blocks(replace(p, map=replace(p.map, blocks=one_output)))[:, 0, :, 0]
        shape = p.map.sites[0], network.layers[p.source].grid[0]
        charge, reached = np.zeros(shape, weights.dtype), np.zeros(shape, bool)
        charge[p.map.p[taps], group * ci:(group + 1) * ci] = weights
        reached[p.map.p[taps], group * ci:(group + 1) * ci] = True
        found.append(Incoming(number, p.source, charge.reshape(-1), reached.reshape(-1)))
    return found


def observe(trace, layer, neuron):
    """The `Observation` of one neuron. layer: name or number. neuron: number in the layer, or its position (c, y, x).

    Raises InputError for a neuron that does not exist, and where the potentials rebuilt are not those
    recorded: then the trace is incomplete, or of another network.
    """
    simulation, layer = trace.simulation, trace.layer(layer)
    neuron = neuron_number(simulation.network.layers[layer], neuron)
    check_complete(trace)
    number = int(simulation.tables.layers[layer, event.L_FIRST]) + neuron
    own = trace.spikes[(trace.spikes["layer"] == layer) & (trace.spikes["neuron"] == neuron)]
    by_itself = own[fired_by_itself(trace, own)]
    by_itself = by_itself[np.unique(by_itself["event"], return_index=True)[1]]
    rows = np.concatenate([_drive_rows(trace, number), _delivered_rows(trace, layer, neuron), _rows(trace, by_itself, ITSELF)])
    rows = rows[np.lexsort((rows["event"], 2 * rows["step"] + (rows["source"] != DRIVE)))]
    _rebuild(rows, simulation.resting[number], own, fired_by_itself(trace, own))
    return Observation(simulation, layer, neuron, trace.number, simulation.resting[number], rows, own)


def _rows(trace, records, source):
    """Rows for records with event, tick and step; no spike, no charge."""
    rows = np.zeros(len(records), arrival_type(trace.simulation.arithmetic.dtype))
    for name in ("event", "tick", "step"):
        rows[name] = records[name]
    rows["source"], rows["source_neuron"], rows["spike"] = source, -1, -1
    return rows


def _drive_rows(trace, number):
    """One arrival at the beginning of each step."""
    steps, drive = np.arange(trace.simulation.steps), np.atleast_2d(trace.drive)
    rows = np.zeros(len(steps), arrival_type(trace.simulation.arithmetic.dtype))
    rows["step"], rows["tick"], rows["charge"] = steps, starts(trace), drive[np.minimum(steps, len(drive) - 1), number]
    rows["source"], rows["source_neuron"], rows["spike"] = DRIVE, -1, -1
    for records in (trace.spikes, trace.deliveries):
        before = np.searchsorted(records["step"], steps) - 1
        rows["event"] = np.maximum(rows["event"], np.where(before < 0, 0, records["event"][before] if len(records) else 0))
    return rows


def _delivered_rows(trace, layer, neuron):
    """The deliveries that reach the neuron: over a synapse of theirs, in the half that its charge belongs to."""
    deliveries, parts = trace.deliveries, []
    source, source_neuron, sign = (trace.spikes[name][deliveries["spike"]] for name in ("layer", "neuron", "sign"))
    for synapses in incoming(trace.simulation, layer, neuron):
        over = np.isin(deliveries["projection"], (-1, synapses.number)) & (source == synapses.source)
        over = np.flatnonzero(over)[synapses.reached[source_neuron[over]]]
        charge = synapses.charge[source_neuron[over]] * sign[over]
        half = deliveries["half"][over]
        keep = (half == 0) | ((half == 1) == (charge >= 0))
        rows = _rows(trace, deliveries[over[keep]], synapses.source)
        rows["spike"], rows["source_neuron"], rows["charge"] = deliveries["spike"][over[keep]], source_neuron[over[keep]], charge[keep]
        parts.append(rows)
    return np.concatenate(parts) if parts else _rows(trace, deliveries[:0], 0)


def _rebuild(rows, potential, own, by_itself):
    """Fill in potentials and spikes, arrival by arrival; what was recorded must be what comes out."""
    fired_at: dict[tuple, list] = {}
    for spike, itself in zip(own, by_itself):
        drives = spike["cause"] < 0 and not itself
        fired_at.setdefault((spike["step"], DRIVE if drives else spike["event"]), []).append(spike)
    for row in rows:
        row["before"] = potential
        row["charged"] = potential = potential + row["charge"]
        for spike in fired_at.pop((row["step"], DRIVE if row["source"] == DRIVE else row["event"]), ()):
            if spike["v_before"] != potential:
                raise InputError("trace", f"the potential {potential} that the arrivals give", f"{spike['v_before']} recorded at spike "
                                 f"{spike['seq']}", "give the network and settings that made the trace, and the whole of it")
            potential, row["fired"] = spike["v_after"], row["fired"] + spike["sign"]
        row["after"] = potential
    if fired_at:
        raise InputError("trace", "an arrival or an evaluation for every spike", f"none for spike {next(iter(fired_at.values()))[0]['seq']}",
                         "give the network and settings that made the trace, and the whole of it")


def starts(trace):
    """The tick at which each step began, int64 [T]; -1 where windows under a barrier may have delayed it by an unrecorded time."""
    time, steps = trace.simulation.time, trace.simulation.steps
    ticks = np.arange(steps, dtype=np.int64) * time.ticks
    if not time.barrier or is_clocked(trace.simulation):
        return ticks
    if time.window:
        ticks[1:] = UNKNOWN
        return ticks
    last = np.searchsorted(trace.deliveries["step"], np.arange(steps), side="right") - 1
    for step in range(1, steps):
        ticks[step] = ticks[step - 1] + time.ticks
        if last[step - 1] >= 0:
            ticks[step] = max(ticks[step], trace.deliveries["tick"][last[step - 1]])
    return ticks


def fired_by_itself(trace, spikes):
    """For each spike whether neither drive nor another spike fired it: the end of a step, a window or a refractory period did.

    Without a window drive is evaluated as it arrives, and then nothing else fires at that tick by itself.
    """
    uncaused, time = spikes["cause"] < 0, trace.simulation.time
    if is_clocked(trace.simulation) or time.window:
        return uncaused
    return uncaused & (spikes["tick"] != starts(trace)[spikes["step"]]) if time.refractory else np.zeros(len(spikes), bool)


def is_clocked(simulation):
    """Whether neurons are evaluated once, at the end of each step."""
    return getattr(simulation.order, "kind", None) == CLOCKED


def quantum(simulation):
    """q, the charge that one spike takes from the potential (the whole threshold under hard reset); a Python number."""
    one = simulation.arithmetic.one
    return (one - settle(simulation.neuron, one, 1)).item()


def total(charges):
    """Their sum as a Python number, exact for whole numbers."""
    return charges.sum(dtype=np.int64 if charges.dtype.kind == "i" else np.float64).item()


def neuron_number(layer, neuron):
    """A neuron's number in a `network.Layer`, from its number or its position (c, y, x)."""
    if isinstance(neuron, tuple) and len(neuron) == 3 and all(0 <= at < size for at, size in zip(neuron, layer.grid)):
        return int(layer.neuron(*neuron))
    if not isinstance(neuron, (int, np.integer)) or not 0 <= neuron < layer.size:
        raise InputError("neuron", f"a number from 0 to {layer.size - 1:,}, or (c, y, x) inside {layer.grid}, in {layer.name}", neuron)
    return int(neuron)


def check_complete(trace):
    """Raise InputError unless the trace has every spike and every delivery."""
    spikes, deliveries = trace.spikes, trace.deliveries
    if not np.array_equal(spikes["seq"], np.arange(len(spikes))) or trace.simulation.time.barrier and len(spikes) and not len(deliveries):
        raise InputError("trace", "a trace of all layers and steps, with its deliveries", "a part of one", "record it without filters")
