"""What one neuron would have fired had the same arrivals come in another order.

It is law 6 (semantics, section 7), and reruns of one neuron. A soft-reset IF neuron that is
evaluated at every arrival has fired max(0, floor(max U / theta)) spikes, where U is v(0) plus all
that has arrived, and the maximum is over the arrivals so far. So the fewest and the most spikes
over a set of orders follow from how low and how high the maximum of U can be. All numbers are the
arithmetic's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.neurons.contract import emit, is_soft_reset, settle
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import short_steps
from eventsnn.trace.arrivals import is_clocked, total
from eventsnn.trace.observation import DRIVE, ITSELF, Observation
from eventsnn.trace.trace import Trace
from eventsnn.values import not_empty


@checked
def has_bounds(simulation: Simulation) -> bool:
    """Whether law 6 holds: soft-reset IF, without rests and groups, evaluated at every arrival.

    simulation: with the event engine. Raises InputError for another engine.
    """
    time = simulation.time
    return is_soft_reset(simulation.neuron) and not (
        time.refractory or time.window or time.group > 1 or is_clocked(simulation)
    )


@checked
def of_arrivals(potential: float, charges: NDArray[Any], theta: float) -> tuple[int, int]:
    """(fewest, most) spikes over all orders of the arrivals.

    Law 6: floor((v + excitation - inhibition) / theta) and floor((v + excitation) / theta), not
    below 0.

    potential: v, below theta. charges: the arithmetic's dtype [A], what arrives. theta: the
    threshold.
    """
    excitation = total(charges[charges > 0])
    fewest = _spikes(potential + total(charges), theta)
    return fewest, _spikes(potential + excitation, theta)


@checked
def in_steps(
    v0: float, steps: Iterable[tuple[float, NDArray[Any]]], theta: float
) -> tuple[int, int]:
    """(fewest, most) spikes of a run over all orders in which every arrival stays in its step.

    Drive comes first in its step. Both ends can be reached, by one order each: inhibition first
    everywhere keeps U down to its heights after the drive and at the end of a step.

    v0: v(0). steps: (drive, charges of the spikes that arrived, the arithmetic's dtype [A]) of
    each step. theta: the threshold.
    """
    steps = list(steps)
    not_empty("steps", steps)
    height = v0
    lowest = []
    highest = []
    for drive, charges in steps:
        height += drive
        lowest.append(height)
        highest.append(height + total(charges[charges > 0]))
        height += total(charges)
        lowest.append(height)
    return _spikes(max(lowest), theta), _spikes(max(highest), theta)


@checked
def in_any(v0: float, charges: NDArray[Any], theta: float) -> tuple[int, int]:
    """(fewest, most) spikes over all orders of all arrivals of a run, drive among them.

    A v(0) of theta or more fires at the first arrival. That can be the lowest charge of all, or
    the highest.

    v0: v(0). charges: the arithmetic's dtype [A], one or more. theta: the threshold.
    """
    not_empty("charges", charges)
    excitation = charges[charges > 0]
    lowest = v0 + max(charges.min().item(), total(charges))
    highest = v0 + (total(excitation) if len(excitation) else charges.max().item())
    return _spikes(lowest, theta), _spikes(highest, theta)


def _spikes(height: int | float, theta: int | float) -> int:
    """The spikes of a neuron whose U has been as high as this; InputError for no threshold."""
    if not theta > 0:
        raise InputError("theta", "a threshold above 0", theta)
    return max(0, int(height // theta))


class Alone:
    """One neuron by itself, charged by hand.

    simulation: with the event engine, for model, time and arithmetic. layer: number of the neuron's
    layer. v0: v(0), in the arithmetic's numbers. Raises InputError for another engine.

    p: the potential. signs: of the spikes fired, in order. net: their sum. rests_until: the tick at
    which its rest ends (None: it does not rest). window_end: the tick at which its window ends
    (None: none is open). rest, window: how long they are, in ticks (0: there are none). once:
    whether it is evaluated once a step, by the caller.
    """

    @checked
    def __init__(self, simulation: Simulation, layer: int, v0: Any) -> None:
        # Python's whole numbers cannot overflow in another order
        exact = simulation.arithmetic.dtype.kind == "i"

        def plain(value: Any) -> Any:
            return value.item() if exact and isinstance(value, np.generic) else value

        self.layer = layer
        self.neuron = type(simulation.neuron)(*map(plain, simulation.neuron))
        self.p = plain(v0)
        time = simulation.time
        self.rest = time.in_ticks(time.refractory, "refractory")
        self.window = time.in_ticks(time.window, "window")
        self.once = is_clocked(simulation)
        self.signs: list[int] = []
        self.net = 0
        self.rests_until: int | None = None
        self.window_end: int | None = None

    def arrive(self, charge: Any, tick: int) -> None:
        """Charges and evaluates it; with a window the evaluation waits for the window's end.

        In clocked time it waits for the caller.

        charge: in the arithmetic's numbers. tick: now.
        """
        self.p += charge
        if self.window:
            if self.window_end is None:
                self.window_end = tick + self.window
        elif not self.once:
            self.evaluate(tick)

    def evaluate(self, tick: int) -> None:
        """Fires while its model says so; once in clocked time or before a rest. tick: now."""
        if self.rests_until is not None and tick < self.rests_until:
            return
        while n := self.ready():
            self.p = settle(self.neuron, self.p, n)
            self.net += n
            self.signs += [1 if n > 0 else -1] * abs(n)
            if self.rest:
                self.rests_until = tick + self.rest
            if self.rest or self.once:
                return

    def ready(self) -> int:
        """How many spikes it would fire now, signed, if it did not rest."""
        return emit(self.neuron, self.layer, self.p, self.net)

    def wait(self, tick: int) -> None:
        """Ends the rests and windows that end before a tick.

        What ends at the tick itself waits, since all arrivals of a tick come first.

        tick: when the next charge arrives.
        """
        while (due := self._due()) is not None and due < tick:
            self._end(due)

    def close(self) -> None:
        """Waits until its window has ended, as a step with a barrier does."""
        while self.window_end is not None:
            due = self._due()
            assert due is not None  # a window is open
            self._end(due)

    def _due(self) -> int | None:
        """The tick at which it is next evaluated of its own accord.

        A window that ends in a rest stays open to the end of the rest.
        """
        return self.window_end if self.rests_until is None else self.rests_until

    def _end(self, tick: int) -> None:
        """Its rest or window ends."""
        self.rests_until = None
        self.window_end = None
        self.evaluate(tick)

    def __repr__(self) -> str:
        return f"<Alone: {len(self.signs)} spikes, potential {self.p:.6g}>"


@checked
def rerun(trace: Trace, seen: Observation, first: Literal[-1, 0, 1] = 0) -> list[int] | None:
    """The signs of the spikes that a neuron alone fires at its arrivals, in order.

    It is None where the trace does not tell. That is so with a window, a barrier and a rest that
    ends at the very tick at which a step or the run ends: the rest may belong to it or not. And it
    is so with groups, which end by what arrives elsewhere.

    trace: the run. seen: the neuron's `Observation` in it. first: -1 or 1 puts the arrivals with
    negative or positive charge at the beginning of their step (with spread drive: of their short
    step), after its drive, and keeps all others at their times; 0 keeps all times, which gives the
    recorded spikes.
    """
    if seen.simulation.time.group > 1:
        return None
    rows = seen.arrivals[seen.arrivals["source"] != ITSELF]
    drives = rows["source"] == DRIVE
    moved = ~drives & (np.sign(rows["charge"]) == first) & (first != 0)
    short = rows["step"].astype(np.int64) * trace.spread + rows["part"]
    begins = short_steps.begins(trace)
    ticks = np.where(moved, begins[short], rows["tick"]).tolist()
    charges = rows["charge"].tolist() if rows["charge"].dtype.kind == "i" else list(rows["charge"])
    alone = Alone(seen.simulation, seen.layer, seen.v0)
    time = seen.simulation.time
    waits = bool(time.window and time.barrier)
    ends = [*begins[1:].tolist(), trace.end]  # of the short steps, and so of the run
    over = 0

    def end(count: int) -> bool:
        """The short steps before number `count` end; whether a rest ends at the very tick."""
        for tick in ends[over:count]:
            if alone.once:
                alone.evaluate(tick - 1)
            if waits:
                alone.close()
                if alone.rests_until == tick:
                    return True
            alone.wait(tick)
        return False

    for at in np.lexsort((~moved, ~drives, short)):
        if end(int(short[at])):
            return None
        over = int(short[at])
        alone.wait(ticks[at])
        alone.arrive(charges[at], ticks[at])
    if end(len(ends) - 1):
        return None
    if alone.once:
        alone.evaluate(trace.end - 1)
    if waits:
        alone.close()
    alone.wait(trace.end)
    if waits and alone.rests_until == trace.end and alone.ready():
        return None
    return alone.signs
