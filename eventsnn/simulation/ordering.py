"""How a run is ordered, in words: which events, in which order, who is evaluated when.

Made from a simulation's settings, rule by rule of semantics, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from eventsnn.engine.event.cores import Cores
from eventsnn.engine.event.order import (
    CLOCKED,
    EXCITATORY,
    EXPONENTIAL,
    FIFO,
    HALVES,
    INDEX,
    LIFO,
    PRIORITY,
    RANDOM,
    UNIFORM,
    Order,
)
from eventsnn.exceptions import one_line
from eventsnn.neurons.contract import is_dynamic, leaks, most, stages_of
from eventsnn.simulation.event import MAX_EVENTS_IN_WORDS, PLENTY
from eventsnn.simulation.prepared import Prepared
from eventsnn.simulation.time import delays_of, describe_order, policy_of

SHOWN = 8  # layers, or pairs of them, that are named
IN_TURN = "Its turn comes in the same order of layers."

# how spikes that are due at one tick come, by the policy's kind
DUE = {
    FIFO: "in the order in which they were fired.",
    LIFO: "those of the deepest layer first, and of one layer the newest first.",
    INDEX: "by layer and neuron; those of one neuron in the order in which they were fired.",
    RANDOM: "in random order: of the m that wait, each is the next with probability 1/m, by a hash "
    "of (seed {seed}, image, number of events taken before).",
    PRIORITY: "in an order that is random and fixed: the one with the smallest hash of (seed "
    "{seed}, image, spike) first.",
    UNIFORM: "in the order in which they were fired.",
    EXPONENTIAL: "in the order in which they were fired.",
}

# which of the events that wait a core takes, by the arbitration
CHOSEN = {
    "fifo": "the event that came first, of equals the one that was fired first",
    "index": "the event of the lowest source layer, in it of the lowest neuron, of that the first",
    "round_robin": "the first event of the next of its source layers for which one waits, in turn",
    "random": "any of the m that wait, each with probability 1/m, by a hash of (seed {seed}, "
    "image, number of events taken before)",
}


class Rule(NamedTuple):
    """One rule of a run's order. title: what it is about. words: the rule, in sentences."""

    title: str
    words: str


def rules_of(simulation: Prepared) -> list[Rule]:
    """The rules by which a run is ordered, in the order in which a step goes.

    simulation: of the run, with any engine.
    """
    if simulation.engine.name == "event":
        return list(_event(simulation))
    if simulation.engine.asynchronous:
        words = f"Engine {simulation.engine.name!r} orders spikes by itself."
        return [Rule("engine", one_line(words, 1000))]
    return list(_clocked(simulation))


def _clocked(simulation: Prepared) -> Iterator[Rule]:
    """The rules of clocked time."""
    yield Rule(
        "time",
        f"{simulation.steps} steps. In each of them the layers come one after the other, from "
        f"input to output: {_layers(simulation)}.",
    )
    yield Rule("drive", _drive(simulation))
    yield Rule(
        "arrival",
        "A neuron is charged with its drive and with all that its sources fired in this same step. "
        "The order of arrivals inside a step has no effect.",
    )
    yield Rule("evaluation", f"Then it is evaluated, once a step: {_fires(simulation)}")
    yield from _pools(simulation, IN_TURN)
    yield from _more(simulation)
    yield Rule("readout", _readout(simulation, "after each step"))


def _event(simulation: Prepared) -> Iterator[Rule]:
    """The rules of the event engine."""
    time, order = simulation.time, policy_of(simulation.time, simulation.seed)
    clocked = isinstance(order, Order) and order.kind == CLOCKED
    yield Rule(
        "time",
        f"{simulation.steps} steps of {time.ticks:,} ticks. Spikes are events in a queue. The one "
        "with the smallest tick comes first; of one tick all deliveries come before ends of rests "
        "and windows; of these the smaller key, and of equal keys the one that came first.",
    )
    yield Rule("drive", _drive_of_events(simulation, clocked))
    if simulation.encoding.kind == "events":
        yield Rule(
            "input events",
            "Each comes at its time, rounded down to ticks: after its step's drive, and before the "
            "spikes that are due at the same tick." + _with_parts(simulation),
        )
    if isinstance(order, Cores):
        yield Rule("cores", _cores(simulation))
    else:
        yield Rule("delivery", _delivery(simulation, order))
    yield Rule("evaluation", _evaluation(simulation, clocked))
    at_once = "It answers at once, whatever rests and windows neurons have."
    if time.group > 1:
        at_once = "It answers when a group that reached it is over."
    yield from _pools(simulation, IN_TURN if clocked else at_once)
    yield from _more(simulation)
    yield Rule("end of a step", _end(simulation, clocked))
    yield Rule("readout", _readout(simulation, "when a step ends"))
    plenty = f"{MAX_EVENTS_IN_WORDS}, and than {PLENTY:,},"
    most_events = f"{time.max_events:,}" if time.max_events else plenty
    if not clocked:
        yield Rule("limit", f"More events of one image than {most_events} are an error.")


def _layers(simulation: Prepared) -> str:
    """The layers' names, in their order."""
    names = [one_line(layer.name) for layer in simulation.network.layers]
    if len(names) <= SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: SHOWN - 1])}, … ({len(names)} in all), {names[-1]}"


def _drive(simulation: Prepared) -> str:
    """What arrives without a spike."""
    words = simulation.encoding.describe(simulation.network)
    return f"Charge that comes without a spike; encoding {one_line(words, 1000)}."


def _drive_of_events(simulation: Prepared, clocked: bool) -> str:
    """How drive arrives in asynchronous time."""
    how = "layers from input to output, neurons in index order, one arrival each"
    then = "every neuron is evaluated at its arrival"
    if clocked or simulation.stages > 1:
        then = "it charges, and nobody is evaluated yet"
    elif simulation.time.window:
        then = "it charges, and opens the neuron's window"
    when = "It comes at the beginning of each step"
    if simulation.time.spread > 1:
        when = _spread(simulation)
    return f"{_drive(simulation)} {when}: {how}; {then}."


def _with_parts(simulation: Prepared) -> str:
    """What spread drive does to input events."""
    if simulation.time.spread == 1:
        return ""
    return " It keeps its distance from the part of the drive in whose time it falls."


def _spread(simulation: Prepared) -> str:
    """When the parts of a drive come."""
    n, time = simulation.time.spread, simulation.time
    later = ", or at the tick of the last event taken if that is later" if time.barrier else ""
    return (
        f"A step is {n:,} short steps, each with a part of it, as equal as whole numbers allow: "
        f"one comes {time.ticks // n:,} ticks after the one before{later}. A drive of 0 comes in "
        "the first part alone. At each part"
    )


def _delivery(simulation: Prepared, order: Any) -> str:
    """When a spike is delivered, and in which order among those that are due together."""
    parts = [_delay(simulation, order)]
    if not isinstance(order, Order):
        words = one_line(describe_order(simulation.time, order), 300)
        parts.append(f"What is due at one tick comes by the policy's key ({words}).")
    elif order.kind == HALVES:
        first, other = "excitatory", "inhibitory"
        if order.halves != EXCITATORY:
            first, other = other, first
        parts.append(
            f"It comes in two halves for each target layer, its {first} charges and its {other} "
            "ones (weight times the spike's sign; zero is excitatory). What is due at one tick "
            f"comes by target layer, from input to output, and for one layer every {first} half "
            f"before any {other} one."
        )
    elif order.kind == CLOCKED:
        parts.append("What is due at one tick comes in the order in which it was fired.")
    else:
        due = DUE[order.kind].format(seed=simulation.seed)
        parts.append(f"Spikes that are due at one tick come {due}")
    parts.append("A spike reaches its targets in index order.")
    return " ".join(parts)


def _cores(simulation: Prepared) -> str:
    """How spikes wait for cores, and which is served next."""
    time = simulation.time
    a, b = (time.in_ticks(steps, "service") for steps in time.service)
    late = time.in_ticks(time.latency, "latency")
    chosen = CHOSEN[time.arbitration].format(seed=simulation.seed)
    arrives = f"{late:,} ticks later" if late else "at the tick at which it is fired"
    return (
        "Each target layer, the readout and pool layers among them, is a core. A spike is one "
        f"event for each target layer, and arrives in the queue of its core {arrives}. A free core "
        f"takes {chosen}, and is busy for {a:,} ticks and "
        f"{b:,} more for each weight that the event touches (none for a pool). When the service "
        "ends the charge is delivered, to the targets in index order. Within a tick a service "
        "ends, or else an arrival queues, or else a free core chooses, of equals the lowest layer; "
        "then again. Drive, input events and ends of rests take no core's time."
    )


def _delay(simulation: Prepared, order: Any) -> str:
    """How long a spike is under way."""
    time = simulation.time
    found = []
    if isinstance(order, Order) and order.kind == UNIFORM:
        steps = time.jitter.partition(":")[2]
        found.append(
            f"a delay drawn for each spike, 0 to {order.high:,} ticks ({steps} steps), all equally "
            "likely"
        )
    elif isinstance(order, Order) and order.kind == EXPONENTIAL:
        found.append(
            f"a delay drawn for each spike, exponential of mean {order.mean:,.4g} ticks "
            f"({time.jitter.partition(':')[2]} steps), rounded down"
        )
    elif not isinstance(order, Order):
        found.append("the delay that the policy gives it")
    kind, _ = delays_of(time, simulation.network)
    if kind == 1:
        found.append(f"its projection's delay ({_pairs(time.delays)}; others none)")
    elif kind == 2:
        given: Any = time.delays
        one = not hasattr(given, "__len__")
        words = f"{float(given):g} steps" if one else "each neuron has its own"
        found.append(f"its neuron's delay ({words})")
    if not found:
        return "A spike is delivered at the tick at which it is fired."
    parts = ", in a parcel for each projection" if kind == 1 else ""
    return f"A spike is delivered after {' plus '.join(found)}{parts}."


def _pairs(delays: Any) -> str:
    """Delays of projections in words. delays: a dict of pairs of layers."""
    shown = [
        f"{one_line(a)} > {one_line(b)}: {float(steps):g} steps"
        for (a, b), steps in list(delays.items())[:SHOWN]
    ]
    more = f" and {len(delays) - SHOWN} more" if len(delays) > SHOWN else ""
    return ", ".join(shown) + more


def _evaluation(simulation: Prepared, clocked: bool) -> str:
    """Who is evaluated when, in asynchronous time."""
    time = simulation.time
    if simulation.stages > 1:
        return "Deliveries only charge; see stages."
    if clocked:
        return (
            "Arrivals charge at once. At the end of the step the layers are evaluated one after "
            "the other, from input to output, neurons in index order, once each, and what a layer "
            f"fires is delivered before the next one's turn: {_fires(simulation)} These are the "
            "clocked engine's spikes."
        )
    again = f"It fires again and again while its model says so: {_fires(simulation)}"
    if time.refractory:
        again = (
            f"It fires once ({_fires(simulation)[:-1]}), and not again within "
            f"{_steps(time, time.refractory)}; at the end of that rest it is evaluated by an event "
            "of its own. An arrival at exactly that tick comes before."
        )
    if time.window:
        return (
            f"An arrival only charges. The neuron is evaluated {_steps(time, time.window)} after "
            "the first arrival since its last evaluation; any evaluation closes the window. "
            + again
        )
    if time.group > 1:
        return (
            f"Deliveries come in groups: of up to {time.group:,} that wait for the same tick when "
            "the first is taken. A delivery only charges. When its group is over, each neuron and "
            "pool unit that it reached is evaluated, in the order of layer and index; a neuron "
            f"that rests waits for its rest's end. Drive and input events evaluate at once. {again}"
        )
    return f"An arrival charges a neuron and evaluates it at once. {again}"


def _steps(time: Any, steps: Any) -> str:
    """A length in words."""
    return f"{float(steps):g} steps ({time.in_ticks(steps, 'length'):,} ticks)"


def _fires(simulation: Prepared) -> str:
    """What a neuron does when it is evaluated."""
    neuron, number = simulation.neuron, int(most(simulation.neuron))
    several = "one spike at a time" if number == 1 else f"up to {number} spikes at once"
    sign = ", of either sign" if neuron.signed else ""
    return f"model {type(neuron).__name__} ({one_line(neuron.words, 200)}), {several}{sign}."


def _pools(simulation: Prepared, turn: str) -> Iterator[Rule]:
    """Of exact max pooling, where there is any."""
    names = [one_line(layer.name) for layer in simulation.network.spiking if layer.pools]
    if names:
        which = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        words = "a pool unit sends the change of the maximum (or minimum) of its window. "
        yield Rule("pools", f"In {which} {words}{turn}")


def _more(simulation: Prepared) -> Iterator[Rule]:
    """Of stages, leaks and firing times, where there are any."""
    neuron = simulation.neuron
    if simulation.srp:
        yield Rule(
            "SRP",
            f"All this twice: {simulation.srp} steps, after which neurons of v >= "
            f"{simulation.srp_epsilon:g} thresholds may send, and everything begins anew for "
            f"{simulation.steps} steps.",
        )
    if stages_of(neuron) > 1:
        yield Rule(
            "stages",
            f"A layer hears all {simulation.steps} steps before it fires: layers at depth g fire "
            f"in steps g T + 1 to (g + 1) T of {simulation.all_steps:,}, each neuron once a step, "
            "in index order, after the step's drive. No order of arrival changes it.",
        )
    if leaks(neuron):
        yield Rule("leak", "A potential decays when its neuron is touched, for the time since.")
    if hasattr(type(neuron), "when") and is_dynamic(type(neuron)):
        yield Rule(
            "firing times",
            "After each evaluation a neuron may name a tick at which it fires if nothing more "
            "arrives; that is an event of its own (not in clocked time).",
        )


def _end(simulation: Prepared, clocked: bool) -> str:
    """When a step ends and the next one begins."""
    if clocked:
        return "The step ends when its last layer has been evaluated."
    if not simulation.time.barrier:
        return (
            f"Free running: a step begins every {simulation.time.ticks:,} ticks, whatever is under "
            "way. What is under way after the last step is never delivered."
        )
    short = "" if simulation.time.spread == 1 else "short "
    waits = "no spike and no open window is under way"
    if simulation.time.order == "cores":
        waits = "all cores rest and no spike is under way"
    ticks = simulation.time.ticks // simulation.time.spread
    return (
        f"Barrier: the next {short}step's drive waits until {waits} "
        f"(ends of rests do not keep a {short}step open). A {short}step begins {ticks:,} ticks "
        "after the one before it, or at the tick of the last event taken if that is later."
    )


def _readout(simulation: Prepared, when: str) -> str:
    """What the readout is."""
    words = f"It adds up the charge that arrives, never fires, and is taken {when}"
    if simulation.stages > 1:
        words = "It adds up the charge that arrives, never fires, and is taken after the last step"
    if simulation.readout_from:
        words += f"; only what arrives after step {simulation.readout_from} counts"
    divided = "divided by the steps that count" if simulation.encoding.divides else "not divided"
    return f"{words}; {divided}."
