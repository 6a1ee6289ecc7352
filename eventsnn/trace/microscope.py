"""The neuron microscope: every arrival at one neuron, rebuilt from a trace without another run.

observation = observe(trace, "relu5", 1234)
figure = plot(observation)
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import OWN, checked
from eventsnn.exceptions import InputError
from eventsnn.network.linear import Grid
from eventsnn.network.network import INPUT, neuron_number
from eventsnn.neurons.contract import check_declared
from eventsnn.trace import short_steps
from eventsnn.trace.arrivals import (
    check_complete,
    drive_parts,
    fired_by_input,
    fired_by_itself,
    incoming,
)
from eventsnn.trace.drawing import plot
from eventsnn.trace.observation import DRIVE, EVENT, ITSELF, Observation, arrival_type
from eventsnn.trace.trace import Trace

__all__ = ["DRIVE", "EVENT", "ITSELF", "Observation", "arrival_type", "observe", "plot"]

SAME_TRACE = "give the network and settings that made the trace, and the whole of it"


@checked
def observe(
    trace: Trace, layer: int | str, neuron: Annotated[int | tuple[int] | Grid, OWN]
) -> Observation:
    """The `Observation` of one neuron.

    trace: the run. layer: name or number. neuron: its number in the layer, its position (c, y, x),
    or (i,), its index in a flat vector (`network.neuron_number`). Raises InputError for a neuron
    that does not exist, a pool unit and a neuron that SRP silenced, and for a model that changes
    between arrivals. It also does where the potentials rebuilt are not those recorded: then the
    trace is incomplete, or of another network.
    """
    simulation = trace.simulation
    layer = trace.layer(layer)
    neuron = neuron_number(simulation.network.layers[layer], neuron)
    check_complete(trace)
    check_declared(simulation.neuron, "microscope", "holds")
    number = int(simulation.network.first[layer]) + neuron
    _check_seen(trace, layer, neuron, number)
    trace = trace.around(layer, neuron)
    own = trace.spikes[(trace.spikes["layer"] == layer) & (trace.spikes["neuron"] == neuron)]
    itself = fired_by_itself(trace, own)
    uncharged = own[itself]
    uncharged = uncharged[np.unique(uncharged["event"], return_index=True)[1]]
    taken = np.concatenate(
        [
            _delivered_rows(trace, layer, neuron),
            _input_rows(trace, layer, neuron),
            _rows(trace, uncharged, ITSELF),
        ]
    )
    taken["part"] = short_steps.of_taken(trace, taken) - taken["step"] * trace.spread
    rows = np.concatenate([_drive_rows(trace, number), taken])
    rows = rows[np.lexsort((rows["event"], rows["part"], rows["step"]))]
    start = simulation.resting[number]
    _rebuild(trace, rows, start, own, itself | fired_by_input(trace, own))
    return Observation(simulation, layer, neuron, trace.number, start, rows, own)


def _check_seen(trace: Trace, layer: int, neuron: int, number: int) -> None:
    """Raises InputError for a neuron whose arrivals cannot be rebuilt. number: among all."""
    name = trace.names[layer]
    if trace.simulation.network.layers[layer].pools:
        do = "look at the layers before and after it"
        raise InputError("layer", "a layer of neurons", f"{name}, which pools", do)
    if trace.mute is not None and trace.mute[number]:
        found = f"{name} {neuron}, which SRP silenced"
        raise InputError("neuron", "one that sends its spikes", found, "choose another")


def _rows(trace: Trace, records: NDArray[np.void], source: int) -> NDArray[np.void]:
    """Rows for records with event, tick and step; no spike, no charge."""
    rows = np.zeros(len(records), arrival_type(trace.simulation.arithmetic.dtype))
    for name in ("event", "tick", "step"):
        rows[name] = records[name]
    rows["source"] = source
    rows["source_neuron"] = -1
    rows["spike"] = -1
    return rows


def _drive_rows(trace: Trace, number: int) -> NDArray[np.void]:
    """One arrival at the beginning of each step, or with spread drive one for each part."""
    if trace.parts is not None:
        return _part_rows(trace, trace.parts, number)
    steps = np.arange(trace.simulation.steps)
    drive = np.atleast_2d(trace.drive)
    rows = np.zeros(len(steps), arrival_type(trace.simulation.arithmetic.dtype))
    rows["step"] = steps
    rows["tick"] = trace.starts
    rows["charge"] = drive[np.minimum(steps, len(drive) - 1), number]
    rows["source"] = DRIVE
    rows["source_neuron"] = -1
    rows["spike"] = -1
    rows["event"] = trace.last_events(steps)
    return rows


def _part_rows(trace: Trace, parts: NDArray[np.int64], number: int) -> NDArray[np.void]:
    """The parts of each step's drive; a drive of 0 comes in the first alone."""
    charge = drive_parts(trace, number)
    rows = np.zeros(charge.size, arrival_type(trace.simulation.arithmetic.dtype))
    rows["step"], rows["part"] = np.divmod(np.arange(charge.size), trace.spread)
    rows["tick"], rows["event"] = parts[:, short_steps.TICK], parts[:, short_steps.EVENTS]
    rows["charge"] = charge.reshape(-1)
    rows["source"] = DRIVE
    rows["source_neuron"] = -1
    rows["spike"] = -1
    comes = np.repeat(charge.any(axis=1), trace.spread)
    return rows[(rows["part"] == 0) | comes]


def _delivered_rows(trace: Trace, layer: int, neuron: int) -> NDArray[np.void]:
    """The deliveries that reach the neuron.

    Each does so over a synapse of its spike, in the half that the synapse's charge belongs to.
    """
    deliveries = trace.deliveries
    places = trace.places(deliveries["spike"])
    source, source_neuron, sign = (
        trace.spikes[name][places] for name in ("layer", "neuron", "sign")
    )
    parts = []
    for synapses in incoming(trace.simulation, layer, neuron):
        if synapses.source == INPUT:
            continue
        of_projection = np.isin(deliveries["projection"], (-1, synapses.number))
        over = np.flatnonzero(of_projection & (source == synapses.source))
        over = over[synapses.reached[source_neuron[over]]]
        charge = synapses.charge[source_neuron[over]] * sign[over]
        half = deliveries["half"][over]
        keep = (half == 0) | ((half == 1) == (charge >= 0))
        kept = over[keep]
        rows = _rows(trace, deliveries[kept], synapses.source)
        rows["spike"] = deliveries["spike"][kept]
        rows["source_neuron"] = source_neuron[kept]
        rows["charge"] = charge[keep]
        parts.append(rows)
    return np.concatenate(parts) if parts else _rows(trace, deliveries[:0], 0)


def _input_rows(trace: Trace, layer: int, neuron: int) -> NDArray[np.void]:
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
    rows["source_neuron"] = event[:, 2]
    rows["charge"] = charge
    return rows[reached]


def _events(
    trace: Trace, rows: NDArray[np.void], own: NDArray[np.void]
) -> NDArray[np.integer[Any]]:
    """The events at whose arrivals spikes were fired: of a group the last that reached the neuron.

    Parameters and errors: as for `_rebuild`.
    """
    events: NDArray[np.integer[Any]] = own["event"].copy()
    if trace.simulation.time.group == 1:
        return events
    came = rows[rows["source"] >= 0]
    caused = own["cause"] >= 0
    at = np.searchsorted(came["event"], events[caused], side="right") - 1
    right = at >= 0
    if len(came):
        right &= came["spike"][at] == own["cause"][caused]
    if not right.all():
        expected = "each spike's cause as the last of its group that reached the neuron"
        raise InputError("trace", expected, "another", SAME_TRACE)
    if len(came):
        events[caused] = came["event"][at]
    return events


def _rebuild(
    trace: Trace,
    rows: NDArray[np.void],
    potential: Any,
    own: NDArray[np.void],
    undriven: NDArray[np.bool_],
) -> None:
    """Fills in potentials and spikes, arrival by arrival.

    trace: the run. rows: the arrivals. potential: v(0). own: the neuron's spikes. undriven: bool,
    for each of them whether its own evaluation or an input event fired it. Raises InputError where
    what was recorded is not what comes out.
    """
    fired_at: dict[tuple[Any, Any], list[np.void]] = {}
    shorts = short_steps.of_spikes(trace, own).tolist()
    events = _events(trace, rows, own)
    for spike, short, event, without_drive in zip(own, shorts, events, undriven):
        driven = spike["cause"] < 0 and not without_drive
        key = short, DRIVE if driven else event
        fired_at.setdefault(key, []).append(spike)
    shorts = (rows["step"].astype(np.int64) * trace.spread + rows["part"]).tolist()
    for row, short in zip(rows, shorts):
        row["before"] = potential
        potential = potential + row["charge"]
        row["charged"] = potential
        key = short, DRIVE if row["source"] == DRIVE else row["event"]
        for spike in fired_at.pop(key, ()):
            if spike["v_before"] != potential:
                expected = f"the potential {potential} that the arrivals give"
                found = f"{spike['v_before']} recorded at spike {spike['seq']}"
                raise InputError("trace", expected, found, SAME_TRACE)
            potential = spike["v_after"]
            row["fired"] += spike["sign"]
        row["after"] = potential
    if fired_at:
        seq = next(iter(fired_at.values()))[0]["seq"]
        expected = "an arrival or an evaluation for every spike"
        raise InputError("trace", expected, f"none for spike {seq}", SAME_TRACE)
