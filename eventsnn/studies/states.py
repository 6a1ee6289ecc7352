"""What a neuron has to keep between two evaluations, in bits (semantics, section 16).

SpikeZIP (section 4.5, Tab. 7) counts the registers of its neuron: a potential, and a tracer of
spikes, of which 4 bits are enough for it.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from typing import Any

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError, named
from eventsnn.neurons.contract import most, own_states
from eventsnn.simulation.simulation import Simulation

# what a state is made of, as columns of a table
PARTS = ("potential", "S", "mask", "rest", "own")


@checked
def bits(simulation: Simulation) -> list[dict[str, Any]]:
    """The bits of a neuron's state, a row for each layer of neurons.

    A row has "layer" (its name), "neurons" (how many), whole numbers of bits "potential" (the least
    that hold all that it can become, sign and fraction bits among them), "S" (net spikes, 0 where
    the model does not ask for them), "mask" (of SRP's second stage), "rest" (what is left of a
    refractory period and of a window) and "own" (the model's own states, each as wide as the run's
    numbers), and their sum "bits". Thresholds, biases and v(0) are parameters, and do not count;
    pools are no neurons.

    simulation: of clocked time, or of a model whose net spikes have limits, as otherwise nothing
    bounds a potential. Raises InputError for another.
    """
    neuron, time = simulation.neuron, simulation.time
    limits = getattr(neuron, "limits", None)
    if simulation.engine.asynchronous and limits is None:
        expected = "clocked time, or a model whose net spikes have limits, as st-bif"
        do = f"choose {named('engine', 'clocked')}"
        found = f"{type(neuron).__name__} without a clock, whose potentials have no bound"
        raise InputError("bits of states", expected, found, do)
    resting = sum(
        time.in_ticks(length, named(name)).bit_length()
        for name, length in (("refractory", time.refractory), ("window", time.window))
        if length
    )
    own = 8 * simulation.arithmetic.dtype.itemsize * len(own_states(neuron))
    highest = most(neuron) * max(simulation.steps, simulation.srp)
    rows = []
    for i, (layer, width) in enumerate(zip(simulation.network.spiking, simulation.widths())):
        if layer.pools:
            continue
        asked = int(limits[i]) if limits is not None else highest * asks_for_net_spikes(neuron)
        its = (width, asked.bit_length(), int(simulation.srp > 0), resting, own)
        row = {"layer": layer.name, "neurons": layer.size, **dict(zip(PARTS, its))}
        rows.append(row | {"bits": sum(its)})
    return rows


def asks_for_net_spikes(neuron: Any) -> bool:
    """Whether a model's functions read S, its net spikes, so that a neuron has to keep them.

    neuron: the model. Asked are the functions of its contract that have S as a parameter.
    """
    asked: list[Callable[..., Any]] = [type(neuron).emit]
    if hasattr(type(neuron), "when"):
        asked.append(type(neuron).when)
    return any(_reads(function, 3) for function in asked)


def _reads(function: Callable[..., Any], place: int) -> bool:
    """Whether a function reads a parameter. place: the parameter's, from 0."""
    code = getattr(function, "py_func", function).__code__
    name = code.co_varnames[place]
    read = [
        each.argval for each in dis.get_instructions(code) if each.opname.startswith("LOAD_FAST")
    ]
    return any(name == each or (isinstance(each, tuple) and name in each) for each in read)
