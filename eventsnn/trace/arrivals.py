"""Reading a trace from one neuron's place: the synapses into it, when steps began, and what fired
it when no spike did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.order import CLOCKED, is_kind
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT
from eventsnn.neurons.contract import emit, most, settle
from eventsnn.simulation.event import engine_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.trace import Trace


class Incoming(NamedTuple):
    """What one projection brings to one neuron.

    number: the projection's, as in the trace. source: its layer. charge: of a +1 spike of each
    source neuron, in the arithmetic's numbers. reached: bool, whether there is a synapse (its
    charge may be 0).
    """

    number: int
    source: int
    charge: np.ndarray
    reached: np.ndarray


def incoming(simulation: Simulation, layer: int, neuron: int) -> list[Any]:
    """The synapses of one neuron: an `Incoming` for each projection into its layer, of the input
    (source INPUT) last if it sends events.
    """
    network, found = simulation.network, []
    spiking = [p for p in network.projections if p.source != INPUT]
    inputs = [
        p for p in network.projections if p.source == INPUT and simulation.encoding.kind == "events"
    ]
    for number, p in enumerate(spiking + inputs):
        if p.target != layer:
            continue
        _, _, ci, co = p.map.weights.shape
        site, channel = divmod(neuron, network.layers[layer].grid[0])
        group, output = divmod(channel, co)
        taps = slice(*np.searchsorted(p.map.r, [site, site + 1]))
        one_output = p.map.weights[p.map.k[taps], group, :, output][:, None, :, None]
        weights = simulation.blocks(replace(p, map=replace(p.map, weights=one_output)))[:, 0, :, 0]
        shape = p.map.sites[0], p.map.channels[0]
        charge, reached = np.zeros(shape, weights.dtype), np.zeros(shape, bool)
        charge[p.map.p[taps], group * ci : (group + 1) * ci] = weights
        reached[p.map.p[taps], group * ci : (group + 1) * ci] = True
        found.append(Incoming(number, p.source, charge.reshape(-1), reached.reshape(-1)))
    return found


def fired_by_itself(trace: Trace, spikes: NDArray[Any]) -> NDArray[Any]:
    """For each spike whether neither drive nor another spike fired it: the end of a step, a window
    or a refractory period did.

    Without a window drive is evaluated as it arrives, and then nothing else fires at that tick by
    itself.
    """
    uncaused, time = (spikes["cause"] < 0) & ~fired_by_input(trace, spikes), trace.simulation.time
    if is_clocked(trace.simulation) or time.window:
        return uncaused
    return (
        uncaused & (spikes["tick"] != trace.starts[spikes["step"]])
        if time.refractory
        else np.zeros(len(spikes), bool)
    )


def fired_by_input(trace: Trace, spikes: NDArray[Any]) -> NDArray[Any]:
    """For each spike whether the arrival of an input event fired it: it has that event's number, in
    its step.
    """
    if (
        not len(trace.input_deliveries)
        or is_clocked(trace.simulation)
        or trace.simulation.time.window
    ):
        return np.zeros(len(spikes), bool)
    events = {(step, event) for step, event in trace.input_deliveries[["step", "event"]].tolist()}
    return np.array(
        [
            cause < 0 and (step, event) in events
            for step, event, cause in spikes[["step", "event", "cause"]].tolist()
        ],
        bool,
    )


def is_clocked(simulation: Simulation) -> bool:
    """Whether neurons are evaluated once, at the end of each step."""
    return is_kind(engine_of(simulation).order, CLOCKED)


def quantum(simulation: Simulation) -> int:
    """q, the charge that one spike takes from the potential (the whole threshold under hard reset);
    a Python number.
    """
    one = simulation.arithmetic.one
    return (one - settle(simulation.neuron, one, 1)).item()


def worth(simulation: Simulation, layer: int, charges: NDArray[Any] | int) -> Any:
    """What charges (v(0) and all that arrived; a number or an array) are worth in any order: max(0,
    floor(charge / q)) spikes, int64.

    q: the charge of one. Not more than the model ever fires (ST-BIF's S_max; under order clocked
    once a step, GN tau times).
    """
    highest = simulation.steps * most(simulation.neuron) if is_clocked(simulation) else None
    counts = np.clip(np.asarray(charges) // quantum(simulation), 0, highest).astype(np.int64)
    values, which = np.unique(counts, return_inverse=True)
    for i in range(len(values)):
        while (
            values[i]
            and emit(simulation.neuron, layer, simulation.arithmetic.one, values[i] - 1) <= 0
        ):
            values[i] -= 1
    return values[which].reshape(counts.shape)


def total(charges: NDArray[Any]) -> int:
    """Their sum as a Python number, exact for whole numbers."""
    return charges.sum(dtype=np.int64 if charges.dtype.kind == "i" else np.float64).item()


def check_complete(trace: Trace) -> None:
    """Raise InputError unless the trace has every spike and delivery."""
    if not trace.complete:
        raise InputError(
            "trace",
            "a trace of all layers, neurons and steps, with its deliveries",
            "a part of one",
            "record it without filters",
        )
