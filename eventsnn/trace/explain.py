"""Why a neuron fired: the chain of causes behind one spike, and what the order of arrival did to
one neuron.

print(explain_spike(trace, 1234))
print(explain_neuron(trace, "relu5", 17))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.network.linear import Grid
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import bounds
from eventsnn.trace.arrivals import (
    check_complete,
    fired_by_input,
    fired_by_itself,
    incoming,
    is_clocked,
    total,
)
from eventsnn.trace.microscope import DRIVE, EVENT, ITSELF, Observation, observe
from eventsnn.trace.trace import Trace

SHOWN = 6  # lines of a kind in a text


@dataclass(frozen=True)
class Link:
    """One spike of a chain.

    seq, layer (name), neuron, position (c, y, x), step (from 0), tick, sign: as in the trace.
    charge: what it brought to the spike before it in the chain, in thresholds (None for the first).
    before, after: the potential at its evaluation, in thresholds.
    """

    seq: int
    layer: str
    neuron: int
    position: tuple[int, int, int]
    step: int
    tick: int
    sign: int
    charge: float | None
    before: float
    after: float

    def __str__(self) -> str:
        brought = "" if self.charge is None else f", brought {self.charge:+.4g}"
        return (
            f"spike {self.seq}: {self.layer} {self.neuron} (c {self.position[0]}, y "
            f"{self.position[1]}, x {self.position[2]}) fired {self.sign:+d} at {self.before:.4g} "
            f"in step {self.step + 1}, tick {self.tick}{brought}"
        )


@dataclass(frozen=True)
class Chain:
    """A spike, the spike whose arrival fired it, and so on. links: from the spike back. root:
    "drive", "input" (an event of the input), or "itself" where the first cause is the end of a
    step, a window or a refractory period. drive: charge the root brought, in thresholds (0 for
    "itself").
    """

    links: tuple[Link, ...]
    root: str
    drive: float

    def __str__(self) -> str:
        step = self.links[-1].step + 1
        end = (
            f"the drive of step {step}, which brought {self.drive:+.4g}"
            if self.root == "drive"
            else f"an input event in step {step}, which brought {self.drive:+.4g}"
            if self.root == "input"
            else "an evaluation of its own: the end of a step, a window or a refractory period"
        )
        return "\n  fired by ".join([*map(str, self.links), end])

    def __repr__(self) -> str:
        first = self.links[0]
        return (
            f"<Chain of {len(self.links)} spikes back to {self.root}, from spike {first.seq} in "
            f"{first.layer}>"
        )


def explain_spike(trace: Trace, seq: int) -> Chain:
    """The `Chain` of causes of the spike number `seq` back to the drive. Raises InputError where
    there is no such spike.
    """
    check_complete(trace)
    if not isinstance(seq, (int, np.integer)) or not 0 <= seq < len(trace.spikes):
        raise InputError("spike", f"a number from 0 to {len(trace.spikes) - 1}", seq)
    simulation, links, fired = trace.simulation, [], None
    layers, spike = simulation.network.layers, trace.spikes[seq]
    ones = simulation.arithmetic.one.item() * simulation.quanta
    ones[[layer.pools for layer in layers]] = 1  # potentials of pool units count spikes
    while True:
        number, neuron, charge = int(spike["layer"]), int(spike["neuron"]), None
        if fired is not None:
            synapses = next(
                s
                for s in incoming(simulation, int(fired["layer"]), int(fired["neuron"]))
                if s.source == number
            )
            charge = synapses.charge[neuron].item() * int(spike["sign"]) / ones[fired["layer"]]
        links.append(
            Link(
                int(spike["seq"]),
                layers[number].name,
                neuron,
                layers[number].position(neuron),
                int(spike["step"]),
                int(spike["tick"]),
                int(spike["sign"]),
                charge,
                *(spike[name].item() / ones[number] for name in ("v_before", "v_after")),
            )
        )
        if spike["cause"] < 0:
            break
        spike, fired = trace.spikes[spike["cause"]], spike
    if fired_by_itself(trace, trace.spikes[spike["seq"] :][:1])[0]:
        return Chain(tuple(links), "itself", 0.0)
    if fired_by_input(trace, trace.spikes[spike["seq"] :][:1])[0]:
        rows = observe(trace, number, neuron).arrivals
        row = rows[(rows["event"] == spike["event"]) & (rows["source"] == EVENT)][0]
        return Chain(tuple(links), "input", row["charge"].item() / ones[number])
    drive = np.atleast_2d(trace.drive)
    charge = drive[min(spike["step"], len(drive) - 1), simulation.network.first[number] + neuron]
    return Chain(tuple(links), "drive", charge.item() / ones[number])


# --- one neuron --------------------------------------------------------------------------------


@dataclass
class Explanation:
    """What the order of arrival did to one neuron; charges in the arithmetic's numbers.

    drive, excitation, inhibition (<= 0): what arrived, the last two by spikes. steps: one dict a
    step: drive, excitation, inhibition, late (inhibition after the step's last excitatory arrival),
    fired, and the step's fewest and most: over all orders of the spikes that arrived in it, after
    its drive, from the potential the run had then (law 6). in_steps: (fewest, most) over the whole
    run, over all orders in which every arrival stays in its step and drive comes first in it; both
    ends can be reached. in_any: over all orders of all arrivals of the run, drive among them. These
    three are None for other models than soft-reset IF and with a refractory period, a window or
    order clocked. late: the arrivals with negative charge after the last with positive charge (W
    s_n2, DNISNM eq. 16; drive is an arrival too; in clocked time those of one step come together).
    arrived: x, the sum of all charge. inhibition_first, excitation_first: net spikes of this neuron
    alone, run again with these arrivals of each step put first, at the beginning of the step, after
    its drive; None where the trace does not tell (`bounds.rerun`). superfluous: its spikes that
    would not exist had the inhibition come in time: of each sign, those beyond as many as
    `inhibition_first` fires of it.
    """

    observation: Observation
    drive: int | float
    excitation: int | float
    inhibition: int | float
    steps: list[dict[str, Any]]
    in_steps: tuple[int, int] | None
    in_any: tuple[int, int] | None
    late: NDArray[Any]
    arrived: int | float
    inhibition_first: int | None
    excitation_first: int | None
    superfluous: NDArray[Any] = field(repr=False)

    @property
    def x_valid(self) -> int | float:
        """x + |W s_n2| (DNISNM eq. 17), in the arithmetic's numbers."""
        return self.arrived - total(self.late["charge"])

    def __str__(self) -> str:
        return "\n".join(_sentences(self))

    def __repr__(self) -> str:
        return f"<Explanation of {self.observation.name}: {self.observation.counts}>"

    def _repr_html_(self) -> str:
        from html import escape

        from eventsnn.views.tables import html_table

        rows = [
            {
                name: value
                if name in ("fired", "fewest", "most")
                else float(self.observation.in_thresholds(value))
                for name, value in row.items()
            }
            for row in self.steps
        ]
        return f"<pre>{escape(str(self))}</pre>" + html_table(
            [{"step": k, **row} for k, row in enumerate(rows, 1)]
        )


def explain_neuron(trace: Trace, layer: int | str, neuron: int | Grid) -> Explanation:
    """The `Explanation` of a spiking neuron; layer and neuron as for `microscope.observe`."""
    if trace.layer(layer) == len(trace.names) - 1:
        raise InputError(
            "layer",
            "one that fires",
            f"{trace.names[-1]!r}",
            f"choose one of {', '.join(trace.names[:-1])}",
        )
    seen = observe(trace, layer, neuron)
    rows = seen.arrivals[seen.arrivals["source"] != ITSELF]
    charge, by_spikes, theta = (
        rows["charge"],
        rows["charge"][rows["source"] != DRIVE],
        seen.simulation.arithmetic.one.item(),
    )
    late = rows[_after_excitation(seen.simulation, rows) :]
    in_steps = in_any = None
    if bounds.has_bounds(seen.simulation):
        each = np.split(rows, np.flatnonzero(np.diff(rows["step"])) + 1)
        in_steps = bounds.in_steps(
            seen.start.item(),
            [(part["charge"][0].item(), part["charge"][1:]) for part in each],
            theta,
        )
        in_any = bounds.in_any(seen.start.item(), charge, theta)
    inhibited, excited = (bounds.rerun(trace, seen, first) for first in (-1, 1))
    return Explanation(
        seen,
        drive=total(charge[rows["source"] == DRIVE]),
        excitation=total(by_spikes[by_spikes > 0]),
        inhibition=total(by_spikes[by_spikes < 0]),
        steps=_steps(seen),
        in_steps=in_steps,
        in_any=in_any,
        late=late[late["charge"] < 0],
        arrived=total(charge),
        inhibition_first=None if inhibited is None else sum(inhibited),
        excitation_first=None if excited is None else sum(excited),
        superfluous=_superfluous(seen.spikes, inhibited),
    )


def _steps(seen: Observation) -> list[dict[str, Any]]:
    """What arrived and happened, step by step."""
    found = []
    theta = seen.simulation.arithmetic.one.item()
    law_6 = bounds.has_bounds(seen.simulation)
    for rows in np.split(seen.arrivals, np.flatnonzero(np.diff(seen.arrivals["step"])) + 1):
        spikes = rows[1:]["charge"]
        at_drive = int(rows["fired"][0])  # the drive is always there, and first
        after = rows[1:][_after_excitation(seen.simulation, rows[1:]) :]["charge"]
        least, most = (
            bounds.of_arrivals(rows["after"][0].item(), spikes, theta) if law_6 else (0, 0)
        )
        found.append(
            dict(
                drive=rows["charge"][0].item(),
                excitation=total(spikes[spikes > 0]),
                inhibition=total(spikes[spikes < 0]),
                late=total(after[after < 0]),
                fired=int(rows["fired"].sum()),
                fewest=at_drive + least if law_6 else None,
                most=at_drive + most if law_6 else None,
            )
        )
    return found


def _after_excitation(simulation: Simulation, rows: NDArray[Any]) -> int:
    """Where the arrivals after the last excitatory one begin; in clocked time those of its step
    came with it.
    """
    excites = np.flatnonzero(rows["charge"] > 0)
    if not len(excites):
        return 0
    last = excites[-1]
    if is_clocked(simulation):
        return int(np.searchsorted(rows["step"], rows["step"][last], side="right"))
    return int(last) + 1


def _superfluous(spikes: NDArray[Any], signs: list[int] | None) -> NDArray[Any]:
    """Of each sign the spikes beyond as many as `signs` has of it."""
    beyond = np.zeros(len(spikes), bool)
    for sign in (1, -1):
        if signs is None:
            break
        beyond[np.flatnonzero(spikes["sign"] == sign)[signs.count(sign) :]] = True
    return spikes[beyond]


def _sentences(e: Explanation) -> Iterator[str]:
    seen = e.observation
    charges = seen.arrivals["charge"][seen.arrivals["source"] >= 0]

    def show(value: Any) -> str:
        return f"{float(seen.in_thresholds(value)):.4g}"

    gap = seen.fired - (seen.ideal or 0)
    verdict = ", as the charge is worth."
    if gap:
        verdict = f": {abs(gap)} too {'many' if gap > 0 else 'few'}."
    yield f"{seen.name}, image {seen.image}: {seen.counts}{verdict}"
    yield (
        f"Arrived, in thresholds: drive {show(e.drive)}, excitation {show(e.excitation)} "
        f"({(charges > 0).sum()} spikes), inhibition {show(e.inhibition)} ({(charges < 0).sum()} "
        f"spikes); v(0) = {show(seen.start)}, v(T) = {show(seen.end)}."
    )
    if e.in_steps and e.in_any:
        yield (
            f"Any order of the same arrivals: {e.in_steps[0]} to {e.in_steps[1]} spikes where each "
            f"stays in its step, {e.in_any[0]} to {e.in_any[1]} where none does."
        )
    if len(e.late):
        yield (
            f"Late: {len(e.late)} inhibitory arrival{'s' * (len(e.late) > 1)}, "
            f"{show(total(e.late['charge']))}, after the last excitatory one: x = "
            f"{show(e.arrived)}, x_valid = {show(e.x_valid)} (DNISNM eq. 17)."
        )
        for row in e.late[:SHOWN]:
            place = f"in step {row['step'] + 1}, event {row['event']}"
            yield f"  {show(row['charge'])} from {seen.source(row)} {place}"
        if len(e.late) > SHOWN:
            yield f"  and {len(e.late) - SHOWN} more"
    else:
        yield "No inhibition came after the last excitatory arrival."
    if is_clocked(seen.simulation):
        yield (
            "It is evaluated once, at the end of each step: the order inside a step has no effect."
        )
    elif e.inhibition_first is not None:
        yield (
            f"Sorted in each step: {e.inhibition_first} with inhibition first, "
            f"{e.excitation_first} with excitation first."
        )
    if len(e.superfluous):
        which = ", ".join(f"{s['seq']} (step {s['step'] + 1})" for s in e.superfluous[:SHOWN])
        more = f" and {len(e.superfluous) - SHOWN} more" if len(e.superfluous) > SHOWN else ""
        spikes = "spikes" if len(e.superfluous) > 1 else "spike"
        yield f"Had the inhibition come in time, it would not have fired: {spikes} {which}{more}."
