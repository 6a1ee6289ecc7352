"""What one neuron would have fired had the same arrivals come in another order: law 6 (semantics,
section 7), and reruns.

A soft-reset IF neuron that is evaluated at every arrival has fired max(0, floor(max U / theta))
spikes, where U is v(0) plus all that has arrived, and the maximum is over the arrivals so far. So
the fewest and the most spikes over a set of orders follow from how low and how high the maximum of
U can be. All numbers are the arithmetic's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.neurons import IF
from eventsnn.neurons.contract import emit, settle
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import is_clocked, total
from eventsnn.trace.microscope import DRIVE, ITSELF, Observation
from eventsnn.trace.trace import Trace


def has_bounds(simulation: Simulation) -> bool:
    """Whether law 6 holds: soft-reset IF without a refractory period, evaluated at every
    arrival.
    """
    time = simulation.time
    return type(simulation.neuron) is IF and not (
        time.refractory or time.window or is_clocked(simulation)
    )


def of_arrivals(potential: int, charges: NDArray[Any], theta: int) -> tuple[int, int]:
    """(fewest, most) over all orders of the arrivals `charges`, from a potential below theta.

    Law 6: floor((v + excitation - inhibition) / theta) and floor((v + excitation) / theta), not
    below 0.
    """
    return _spikes(potential + total(charges), theta), _spikes(
        potential + total(charges[charges > 0]), theta
    )


def in_steps(start: Any, steps: list[tuple[int, NDArray[Any]]], theta: int) -> tuple[int, int]:
    """(fewest, most) over a run, over all orders in which every arrival stays in its step, drive
    the first of it.

    steps: (drive, charges of the spikes that arrived) of each. Both ends can be reached, by one
    order each: inhibition first everywhere keeps U down to its heights after the drive and at the
    end of a step.
    """
    height, lowest, highest = start, [], []
    for drive, charges in steps:
        height += drive
        lowest.append(height)
        highest.append(height + total(charges[charges > 0]))
        height += total(charges)
        lowest.append(height)
    return _spikes(max(lowest), theta), _spikes(max(highest), theta)


def in_any(start: Any, charges: NDArray[Any], theta: int) -> tuple[int, int]:
    """(fewest, most) over all orders of all arrivals of a run, drive among them.

    A v(0) of theta and more fires at the first arrival, which can be the lowest of all, and is at
    most the highest.
    """
    excitation = charges[charges > 0]
    lowest = start + max(charges.min().item(), total(charges))
    highest = start + (total(excitation) if len(excitation) else charges.max().item())
    return _spikes(lowest, theta), _spikes(highest, theta)


def _spikes(height: int, theta: int) -> int:
    return max(0, int(height // theta))


class Alone:
    """One neuron by itself: potential p, signs of the spikes fired; the ticks at which the rest
    that it takes after a spike ends and at which its window ends (None: there is none).
    """

    def __init__(self, simulation: Simulation, layer: int, start: Any) -> None:
        exact = (
            simulation.arithmetic.dtype.kind == "i"
        )  # Python's whole numbers cannot overflow in another order

        def plain(value: Any) -> Any:
            return value.item() if exact and isinstance(value, np.generic) else value

        self.layer = layer
        self.neuron = type(simulation.neuron)(*map(plain, simulation.neuron))
        self.p = plain(start)
        time = simulation.time
        self.rest = time.in_ticks(time.refractory, "refractory")
        self.window = time.in_ticks(time.window, "window")
        self.once = is_clocked(simulation)
        self.signs: list[int] = []
        self.net = 0
        self.rests_until: int | None = None
        self.window_end: int | None = None

    def arrive(self, charge: int, tick: int) -> None:
        """It is charged and evaluated; with a window at its end, in clocked time when the caller
        says so.
        """
        self.p += charge
        if self.window:
            self.window_end = tick + self.window if self.window_end is None else self.window_end
        elif not self.once:
            self.evaluate(tick)

    def evaluate(self, tick: int) -> None:
        """It fires while its model says so; once in clocked time or before a rest."""
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
        """What it would fire."""
        return emit(self.neuron, self.layer, self.p, self.net)

    def wait(self, tick: int) -> None:
        """Up to what arrives at `tick`: rests and windows that end before it (at one tick all
        arrivals come first).
        """
        while (due := self._due()) is not None and due < tick:
            self._end(due)

    def close(self) -> None:
        """Until its window has ended, for which a step waits."""
        while self.window_end is not None:
            due = self._due()
            assert due is not None  # a window is open
            self._end(due)

    def _due(self) -> int | None:
        """When it is next evaluated of its own accord; a window that ends in a rest stays open to
        the end of the rest.
        """
        return self.window_end if self.rests_until is None else self.rests_until

    def _end(self, tick: int) -> None:
        self.rests_until = self.window_end = None
        self.evaluate(tick)


def rerun(trace: Trace, seen: Observation, first: int = 0) -> list[int] | None:
    """The signs of the spikes that a neuron alone fires at its arrivals, in order; None where the
    trace does not tell: with windows, a barrier and a rest that ends at the very tick at which a
    step or the run does, and may belong to it or not.

    seen: its `microscope.Observation`. first: -1 or 1 puts the arrivals with negative or positive
    charge at the beginning of their step, after its drive, and leaves all others at their times; 0
    leaves all as they were, which gives the recorded spikes.
    """
    rows = seen.arrivals[seen.arrivals["source"] != ITSELF]
    drives = rows["source"] == DRIVE
    moved = ~drives & (np.sign(rows["charge"]) == first) & (first != 0)
    ticks = np.where(moved, trace.starts[rows["step"]], rows["tick"]).tolist()
    alone = Alone(seen.simulation, seen.layer, seen.start)
    waits = seen.simulation.time.window and seen.simulation.time.barrier
    charges = rows["charge"].tolist() if rows["charge"].dtype.kind == "i" else list(rows["charge"])
    for at in np.lexsort((~moved, ~drives, rows["step"])):
        if drives[at] and rows["step"][at]:
            if alone.once:
                alone.evaluate(ticks[at] - 1)
            if waits:
                alone.close()
                if alone.rests_until == ticks[at]:
                    return None
        alone.wait(ticks[at])
        alone.arrive(charges[at], ticks[at])
    if alone.once:
        alone.evaluate(trace.end - 1)
    if waits:
        alone.close()
    alone.wait(trace.end)
    if waits and alone.rests_until == trace.end and alone.ready():
        return None
    return alone.signs
