"""A trace from one neuron's place: its synapses, and what fired it when no spike did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.order import CLOCKED, is_kind
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT, Projection
from eventsnn.neurons.contract import emit, most, settle
from eventsnn.simulation.encoding import even_parts
from eventsnn.simulation.event import engine_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import short_steps
from eventsnn.trace.trace import Trace


class Incoming(NamedTuple):
    """What one projection brings to one neuron.

    number: the projection's, as in the trace. source: its layer. charge: the arithmetic's dtype
    [source neurons], of a +1 spike of each. reached: bool [source neurons], whether there is a
    synapse, whose charge may be 0.
    """

    number: int
    source: int
    charge: NDArray[Any]
    reached: NDArray[np.bool_]

    def __repr__(self) -> str:
        return f"<Incoming: projection {self.number}, {int(self.reached.sum()):,} synapses>"


def incoming(simulation: Simulation, layer: int, neuron: int) -> list[Incoming]:
    """The synapses of one neuron: an `Incoming` for each projection into its layer.

    That of the input (source INPUT) comes last, and only where the input sends events.

    simulation: whose network. layer: number of the neuron's layer. neuron: its number there.
    """
    network = simulation.network
    numbered = [p for p in network.projections if p.source != INPUT]
    if simulation.encoding.kind == "events":
        numbered += [p for p in network.projections if p.source == INPUT]
    return [
        _synapses(simulation, number, projection, neuron)
        for number, projection in enumerate(numbered)
        if projection.target == layer
    ]


def _synapses(simulation: Simulation, number: int, p: Projection, neuron: int) -> Incoming:
    """What the projection p of this number brings to a neuron of its target layer."""
    _, _, ci, co = p.map.weights.shape
    site, channel = divmod(neuron, simulation.network.layers[p.target].grid[0])
    shape = p.map.sites[0], p.map.channels[0]
    if not p.map.columns.start <= channel < p.map.columns.stop:  # of another branch of a Concat
        kind = simulation.arithmetic.dtype
        return Incoming(
            number, p.source, np.zeros(shape, kind).reshape(-1), np.zeros(shape, bool).reshape(-1)
        )
    group, output = divmod(channel - p.map.at, co)
    taps = slice(*np.searchsorted(p.map.r, [site, site + 1]))
    one_output = p.map.weights[p.map.k[taps], group, :, output][:, None, :, None]
    weights = simulation.blocks(replace(p, map=replace(p.map, weights=one_output)))[:, 0, :, 0]
    charge = np.zeros(shape, weights.dtype)
    reached = np.zeros(shape, bool)
    inputs = slice(group * ci, (group + 1) * ci)
    charge[p.map.p[taps], inputs] = weights
    exists = True if p.map.exists is None else p.map.exists[p.map.k[taps], group, :, output]
    reached[p.map.p[taps], inputs] = exists
    return Incoming(number, p.source, charge.reshape(-1), reached.reshape(-1))


def drive_parts(trace: Trace, number: int) -> NDArray[Any]:
    """The drive of one neuron by step and part, the arithmetic's dtype [T, n].

    trace: the run. number: the neuron's, among all.
    """
    simulation, drive = trace.simulation, np.atleast_2d(trace.drive)
    steps = np.minimum(np.arange(len(trace.starts)), len(drive) - 1)
    whole = np.ascontiguousarray(drive[steps, number])
    if trace.spread == 1:
        return whole[:, None]
    return np.ascontiguousarray(even_parts(whole, trace.spread, simulation.arithmetic.finer).T)


def fired_by_itself(trace: Trace, spikes: NDArray[np.void]) -> NDArray[np.bool_]:
    """For each spike whether neither drive, an input event nor another spike fired it; bool [S].

    The end of a step, a window or a refractory period did.

    trace: the run. spikes: structured [S], some of its spikes.
    """
    time = trace.simulation.time
    uncaused = (spikes["cause"] < 0) & ~fired_by_input(trace, spikes)
    if is_clocked(trace.simulation) or time.window:
        return uncaused
    if not time.refractory:
        return np.zeros(len(spikes), bool)
    # without a window drive is evaluated as it arrives: nothing else fires by itself at that tick
    if trace.parts is None:
        return uncaused & (spikes["tick"] != trace.starts[spikes["step"]])
    return uncaused & ~short_steps.before_events(trace, spikes)


def fired_by_input(trace: Trace, spikes: NDArray[np.void]) -> NDArray[np.bool_]:
    """For each spike whether the arrival of an input event fired it; bool [S].

    Such a spike has that event's number, in its step.

    trace: the run. spikes: structured [S], some of its spikes.
    """
    found = np.zeros(len(spikes), bool)
    simulation = trace.simulation
    if not len(trace.input_deliveries) or is_clocked(simulation) or simulation.time.window:
        return found
    driven = np.zeros(len(spikes), bool)
    if trace.parts is not None:  # of a later part, after the event
        driven = short_steps.before_events(trace, spikes)
    events = set(trace.input_deliveries[["step", "event"]].tolist())
    for i, (step, event, cause) in enumerate(spikes[["step", "event", "cause"]].tolist()):
        found[i] = cause < 0 and (step, event) in events and not driven[i]
    return found


def is_clocked(simulation: Simulation) -> bool:
    """Whether neurons are evaluated once, at the end of each step.

    simulation: with the event engine. Raises InputError for another engine.
    """
    return is_kind(engine_of(simulation).order, CLOCKED)


def quantum(simulation: Simulation) -> int | float:
    """q, the charge that one spike takes from the potential, in the arithmetic's numbers.

    Under hard reset it is the whole threshold.

    simulation: whose neuron model and arithmetic.
    """
    one = simulation.arithmetic.one
    return (one - settle(simulation.neuron, one, 1)).item()


def worth(
    simulation: Simulation, layer: int, charges: NDArray[Any] | int | float
) -> NDArray[np.int64]:
    """What charges are worth in any order: max(0, floor(charge / q)) spikes, int64, in their shape.

    It is not more than the model ever fires: S_max of ST-BIF, and in clocked time what it fires at
    most in each step (GN: tau).

    simulation: whose model and arithmetic. layer: the number of the neurons' layer. charges: v(0)
    and all that arrived, in the arithmetic's numbers, a number or an array.
    """
    clocked = not simulation.engine.asynchronous or is_clocked(simulation)
    highest = simulation.steps * most(simulation.neuron) if clocked else None
    counts = np.clip(np.asarray(charges) // quantum(simulation), 0, highest).astype(np.int64)
    values, which = np.unique(counts, return_inverse=True)
    one = simulation.arithmetic.one
    for i in range(len(values)):
        while values[i] and emit(simulation.neuron, layer, one, values[i] - 1) <= 0:
            values[i] -= 1
    return values[which].reshape(counts.shape)


def total(charges: NDArray[Any]) -> int | float:
    """The sum of charges as a Python number, exact for whole numbers. charges: [N]."""
    return charges.sum(dtype=np.int64 if charges.dtype.kind == "i" else np.float64).item()


def check_complete(trace: Trace) -> None:
    """Raises InputError unless the trace has every spike and delivery. trace: any."""
    if not trace.complete:
        expected = "a trace of all layers, neurons and steps, with its deliveries"
        raise InputError("trace", expected, "a part of one", "record it without filters")
