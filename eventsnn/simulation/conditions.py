"""What decides a result, in words: engine, order, neuron, encoding, thresholds, T and seed.

Every table, picture and summary says it by these functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eventsnn.engine.event.cores import ANY, Cores
from eventsnn.engine.event.order import EXPONENTIAL, PRIORITY, RANDOM, UNIFORM, Order
from eventsnn.simulation.simulation import Simulation, in_words
from eventsnn.simulation.time import describe_delays

LAST = ("T", "seed")
# what a part is that is not said; of a seed that is not used nothing is
DEFAULTS = {"v(0)": "the model's own", "arithmetic": "fixed", "seed": ""}
RANDOM_ORDERS = (RANDOM, PRIORITY, UNIFORM, EXPONENTIAL)


@dataclass(frozen=True)
class Conditions:
    """What decided a result; `str` is a line of it, such as

    engine event; order random; neuron snm; encoding constant; thresholds own; T = 8; seed 0

    parts: name -> value, both in words. Engine, order, neuron, encoding, thresholds and T are
    always there, the seed where something random depends on it, others where they are not what
    they are by default.
    """

    parts: dict[str, str]

    def __str__(self) -> str:
        return "; ".join(
            f"T = {value}" if name == "T" else f"{name} {value}"
            for name, value in self.parts.items()
        )


def conditions(simulation: Simulation) -> Conditions:
    """The `Conditions` of a simulation."""
    specification, encoding = simulation.specification, simulation.encoding
    parts = {"engine": simulation.engine.name, **_order(simulation), "neuron": _neuron(simulation)}
    if specification.initial is not None:
        parts["v(0)"] = in_words(simulation.initial)
    if specification.shift:
        parts["shift"] = "theta / 2T a step"
    if simulation.srp:
        parts["srp"] = str(simulation.srp)
        if simulation.srp_epsilon:
            parts["srp epsilon"] = f"{simulation.srp_epsilon:g}"
    if simulation.offset:
        parts["offset"] = str(simulation.offset)
    if simulation.readout_from:
        parts["readout from"] = str(simulation.readout_from)
    parts["encoding"] = encoding.name
    if encoding.release is not None:
        parts["release"] = str(encoding.release)
    if encoding.bias_once:
        parts["biases"] = "once"
    parts["thresholds"] = simulation.network.thresholds or "as given"
    if simulation.arithmetic.kind != "fixed":
        parts["arithmetic"] = simulation.arithmetic.kind
    parts["T"] = str(simulation.steps)
    if is_random(simulation):
        parts["seed"] = str(simulation.seed)
    return Conditions(parts)


def together(found: Iterable[Conditions]) -> Conditions:
    """The `Conditions` of a table of several results: of each part all values, in order.

    found: those of each result.
    """
    lines = [each.parts for each in found]
    names = dict.fromkeys(name for parts in lines for name in parts)
    merged = {}
    for name in [name for name in names if name not in LAST] + [n for n in LAST if n in names]:
        absent = DEFAULTS.get(name, "none")
        values = list(filter(None, dict.fromkeys(parts.get(name, absent) for parts in lines)))
        if name == "T" and len(values) > 2:
            steps = sorted(map(int, values))
            values = [f"{steps[0]} to {steps[-1]}"]
        merged[name] = " / ".join(values)
    return Conditions(merged)


def is_random(simulation: Simulation) -> bool:
    """Whether anything in a simulation depends on its seed: order, input or neurons.

    Of a policy, an encoding or a model of the user's own it is so where it is given the seed.
    """
    sends = simulation.encoding.code.spiking and simulation.encoding.kind != "events"
    return draws_order(simulation) or sends or _is_given_the_seed(simulation.neuron)


def draws_order(simulation: Simulation) -> bool:
    """Whether the order of arrival of a simulation depends on its seed; see `is_random`."""
    order: Any = getattr(simulation.engine, "order", None)
    if isinstance(order, Order):
        return order.kind in RANDOM_ORDERS
    if isinstance(order, Cores):
        return order.arbitration == ANY
    return _is_given_the_seed(order)


def _is_given_the_seed(given: Any) -> bool:
    """Whether a policy or a model keeps the seed, or is somebody's own and is fitted with it."""
    own = not type(given).__module__.startswith("eventsnn.")
    return "seed" in getattr(given, "_fields", ()) or (own and hasattr(given, "fit"))


def _order(simulation: Simulation) -> dict[str, str]:
    """Order of arrival, and what else there is of time."""
    time = simulation.time
    if not simulation.engine.asynchronous:
        return {"order": "without effect"}
    order: Any = time.order
    parts = {"order": order if isinstance(order, str) else type(order).__name__}
    if time.order == "jitter":
        parts["jitter"] = time.jitter
    if time.order == "cores":
        a, b = time.service
        parts["service"] = " + ".join((f"{float(a):g}", f"{float(b):g} a weight"))
        parts["latency"] = f"{float(time.latency):g}"
        parts["arbitration"] = time.arbitration
    if time.delays is not None:
        delays = describe_delays(time.delays)
        parts["delays"] = delays if isinstance(delays, str) else "by projection"
    for option in ("refractory", "window"):
        if getattr(time, option):
            parts[option] = f"{float(getattr(time, option)):g}"
    for option in ("spread", "group"):
        if getattr(time, option) > 1:
            parts[option] = str(getattr(time, option))
    if not time.barrier:
        parts["barrier"] = "none"
    return parts


def _neuron(simulation: Simulation) -> str:
    """The model, as the option `neuron` names it, or its class."""
    given, members = simulation.specification.neuron, simulation.specification.tau
    if isinstance(given, str):
        return given if members is None else f"{given}:{members}"
    model = simulation.neuron
    options = {key: getattr(model, key) for key in getattr(model, "options", {})}
    words = ", ".join(f"{key}={value}" for key, value in options.items())
    return type(model).__name__ + (f"({words})" if words else "")
