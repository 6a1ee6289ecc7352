"""Why a neuron fired, and what the order of arrival did to it.

print(explain_spike(trace, 1234))               # the chain of causes behind one spike
print(explain_neuron(trace, "relu5", 17))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import OWN, checked
from eventsnn.exceptions import InputError, one_line
from eventsnn.network.linear import Grid
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace import bounds, short_steps
from eventsnn.trace.arrivals import (
    check_complete,
    drive_parts,
    fired_by_input,
    fired_by_itself,
    incoming,
    is_clocked,
    total,
)
from eventsnn.trace.microscope import SAME_TRACE, observe
from eventsnn.trace.observation import DRIVE, EVENT, ITSELF, Observation
from eventsnn.trace.trace import Trace

SHOWN = 6  # lines of a kind in a text


@dataclass(frozen=True)
class Link:
    """One spike of a chain.

    seq, layer (name), neuron, position (c, y, x), step (from 0), tick, sign: as in the trace.
    place: the position in words.
    charge: what it brought to the spike before it in the chain, in thresholds (None for the first).
    before, after: the potential at its evaluation, in thresholds.
    """

    seq: int
    layer: str
    neuron: int
    position: tuple[int, int, int]
    place: str
    step: int
    tick: int
    sign: int
    charge: float | None
    before: float
    after: float

    def __str__(self) -> str:
        brought = "" if self.charge is None else f", brought {self.charge:+.4g}"
        return (
            f"spike {self.seq}: {one_line(self.layer)} {self.neuron} ({self.place}) fired "
            f"{self.sign:+d} at {self.before:.4g} in step {self.step + 1}, tick {self.tick}"
            f"{brought}"
        )

    def __repr__(self) -> str:
        return f"<Link: spike {self.seq} of {one_line(self.layer)} {self.neuron}>"


@dataclass(frozen=True)
class Chain:
    """A spike, the spike whose arrival fired it, and so on.

    links: from the spike back. root: what fired the last of them: "drive", "input" (an event of the
    input), or "itself" (the end of a step, a window or a refractory period). drive: the charge that
    the root brought, in thresholds (0 for "itself"). part: which part of a step's drive the root
    is, from 0 (None where it comes whole, and for other roots).
    """

    links: tuple[Link, ...]
    root: str
    drive: float
    part: int | None = None

    def __str__(self) -> str:
        step = self.links[-1].step + 1
        end = "an evaluation of its own: the end of a step, a window or a refractory period"
        if self.root == "drive":
            part = "" if self.part is None else f"part {self.part + 1} of "
            end = f"{part}the drive of step {step}, which brought {self.drive:+.4g}"
        elif self.root == "input":
            end = f"an input event in step {step}, which brought {self.drive:+.4g}"
        return "\n  fired by ".join([*map(str, self.links), end])

    def __repr__(self) -> str:
        first = self.links[0]
        back = f"{len(self.links)} spikes back to {self.root}"
        return f"<Chain of {back}, from spike {first.seq} in {one_line(first.layer)}>"


@checked
def explain_spike(trace: Trace, seq: Annotated[int, OWN]) -> Chain:
    """The `Chain` of causes of a spike, back to the drive.

    trace: a complete one. seq: the spike's place in the order of emission. Raises InputError where
    there is no such spike, and for a part of a trace.
    """
    check_complete(trace)
    if not isinstance(seq, (int, np.integer)) or not 0 <= seq < trace.count:
        raise InputError("spike", f"a number from 0 to {trace.count - 1}", seq)
    simulation = trace.simulation
    ones = simulation.arithmetic.one.item() * simulation.quanta
    # potentials of pool units count spikes
    ones[[layer.pools for layer in simulation.network.layers]] = 1
    spike = trace.spike(seq)
    links = [_link(trace, spike, None, ones)]
    while spike["cause"] >= 0:
        fired = spike
        spike = trace.spike(spike["cause"])
        links.append(_link(trace, spike, fired, ones))
    root, drive = _root(trace, spike)
    part = None
    if root == "drive" and trace.spread > 1:
        part = int(short_steps.of_spikes(trace, np.array([spike]))[0]) % trace.spread
    return Chain(tuple(links), root, drive / ones[spike["layer"]], part)


def _link(trace: Trace, spike: np.void, fired: np.void | None, ones: NDArray[np.float64]) -> Link:
    """A spike as a link of a chain.

    fired: the spike that it fired (None: the chain begins with it). ones: float64 [L], a threshold
    of each layer in the arithmetic's numbers.
    """
    layer = trace.simulation.network.layers[spike["layer"]]
    neuron = int(spike["neuron"])
    charge = None
    if fired is not None:
        charge = _brought(trace, spike, fired) / ones[fired["layer"]]
    return Link(
        seq=int(spike["seq"]),
        layer=layer.name,
        neuron=neuron,
        position=layer.position(neuron),
        place=layer.place(neuron),
        step=int(spike["step"]),
        tick=int(spike["tick"]),
        sign=int(spike["sign"]),
        charge=charge,
        before=spike["v_before"].item() / ones[spike["layer"]],
        after=spike["v_after"].item() / ones[spike["layer"]],
    )


def _brought(trace: Trace, spike: np.void, fired: np.void) -> int | float:
    """The charge that a spike brought to the neuron of the spike that it fired."""
    for synapses in incoming(trace.simulation, int(fired["layer"]), int(fired["neuron"])):
        if synapses.source == spike["layer"] and synapses.reached[spike["neuron"]]:
            return synapses.charge[spike["neuron"]].item() * int(spike["sign"])
    expected = f"a synapse from the cause of spike {fired['seq']} to its neuron"
    raise InputError("trace", expected, "none", SAME_TRACE)


def _root(trace: Trace, spike: np.void) -> tuple[str, int | float]:
    """(root, charge that it brought) of a chain that ends with this spike; see `Chain`."""
    alone = np.array([spike])
    if fired_by_itself(trace, alone)[0]:
        return "itself", 0.0
    layer = int(spike["layer"])
    neuron = int(spike["neuron"])
    if fired_by_input(trace, alone)[0]:
        rows = observe(trace, layer, neuron).arrivals
        row = rows[(rows["event"] == spike["event"]) & (rows["source"] == EVENT)][0]
        return "input", row["charge"].item()
    number = int(trace.simulation.network.first[layer]) + neuron
    at = int(short_steps.of_spikes(trace, alone)[0])
    return "drive", drive_parts(trace, number).reshape(-1)[at].item()


@dataclass
class Explanation:
    """What the order of arrival did to one neuron; charges in the arithmetic's numbers.

    observation: of the neuron. drive, excitation, inhibition (<= 0): what arrived, the last two by
    spikes. arrived: x, the sum of all charge. late: structured, the arrivals with negative charge
    after the last with positive charge (W s_n2, DNISNM eq. 16); drive is an arrival, too, and in
    clocked time those of one step come together.

    steps: a dict for each step: drive, excitation, inhibition, late (inhibition after the step's
    last excitatory arrival, drive among both), fired, fewest and most. The last two are over all
    orders of the spikes that arrived in the step, after its drive, from the potential the run had
    then (law 6).

    in_steps: (fewest, most) over the whole run, over all orders in which every arrival stays in its
    step and drive comes first in it; both ends can be reached. in_any: (fewest, most) over all
    orders of all arrivals of the run, drive among them. These two, and those of `steps`, are None
    for other models than soft-reset IF, and with a refractory period, a window or order clocked.

    inhibition_first, excitation_first: net spikes of this neuron alone, run again with these
    arrivals of each step put first, at the beginning of the step, after its drive; None where the
    trace does not tell (`bounds.rerun`). superfluous: structured, its spikes that would not exist
    had the inhibition come in time: of each sign, those beyond as many as `inhibition_first` fires
    of it.
    """

    observation: Observation
    drive: int | float
    excitation: int | float
    inhibition: int | float
    steps: list[dict[str, Any]]
    in_steps: tuple[int, int] | None
    in_any: tuple[int, int] | None
    late: NDArray[np.void]
    arrived: int | float
    inhibition_first: int | None
    excitation_first: int | None
    superfluous: NDArray[np.void] = field(repr=False)

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

        from eventsnn.views.tables import html_page

        rows = [self._row(number, step) for number, step in enumerate(self.steps, 1)]
        decided = str(conditions(self.observation.simulation))
        return f"<pre>{escape(str(self))}</pre>" + html_page(decided, rows)

    def _row(self, number: int, step: dict[str, Any]) -> dict[str, Any]:
        """One of `steps` with its number, from 1, and charges in thresholds."""
        row: dict[str, Any] = {"step": number}
        for name, value in step.items():
            counts = name in ("fired", "fewest", "most")
            row[name] = value if counts else float(self.observation.in_thresholds(value))
        return row


@checked
def explain_neuron(
    trace: Trace, layer: int | str, neuron: Annotated[int | tuple[int] | Grid, OWN]
) -> Explanation:
    """The `Explanation` of a spiking neuron.

    trace, layer, neuron, and what is raised: as in `microscope.observe`. Raises InputError for the
    readout, too.
    """
    if trace.layer(layer) == len(trace.names) - 1:
        do = f"choose one of {', '.join(trace.names[:-1])}"
        raise InputError("layer", "one that fires", f"{trace.names[-1]!r}", do)
    seen = observe(trace, layer, neuron)
    rows = seen.arrivals[seen.arrivals["source"] != ITSELF]
    driven = rows["source"] == DRIVE
    charge = rows["charge"]
    by_spikes = charge[~driven]
    late = rows[_after_excitation(seen.simulation, rows) :]
    in_steps = None
    in_any = None
    if bounds.has_bounds(seen.simulation):
        v0 = seen.v0.item()
        theta = seen.simulation.arithmetic.one.item()
        in_steps = bounds.in_steps(v0, list(_short_steps(seen, rows)), theta)
        in_any = bounds.in_any(v0, charge, theta)
    inhibited = bounds.rerun(trace, seen, -1)
    excited = bounds.rerun(trace, seen, 1)
    return Explanation(
        seen,
        drive=total(charge[driven]),
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


def _short_steps(
    seen: Observation, rows: NDArray[np.void]
) -> Iterator[tuple[int | float, NDArray[Any]]]:
    """(drive, charges of all else that arrived) of each short step in which anything did.

    rows: arrivals of whole steps, without those that bring no charge.
    """
    short = rows["step"].astype(np.int64) * seen.simulation.time.spread + rows["part"]
    for each in np.split(rows, np.flatnonzero(np.diff(short)) + 1):
        driven = each["source"][0] == DRIVE
        drive = each["charge"][0].item() if driven else 0
        yield drive, each["charge"][int(driven) :]


def _steps(seen: Observation) -> list[dict[str, Any]]:
    """What arrived and happened, step by step, as in `Explanation.steps`."""
    ends = np.flatnonzero(np.diff(seen.arrivals["step"])) + 1
    return [_step(seen, rows) for rows in np.split(seen.arrivals, ends)]


def _step(seen: Observation, rows: NDArray[np.void]) -> dict[str, Any]:
    """One step of `_steps`. rows: its arrivals; its drive is always there, and first."""
    simulation = seen.simulation
    driven = rows["source"] == DRIVE
    spikes = rows[~driven]["charge"]
    after = rows[_after_excitation(simulation, rows) :]["charge"]
    fewest = None
    most = None
    if bounds.has_bounds(simulation):
        theta = simulation.arithmetic.one.item()
        if simulation.time.spread == 1:
            ends = bounds.of_arrivals(rows["after"][0].item(), spikes, theta)
            fewest, most = (int(rows["fired"][0]) + end for end in ends)
        else:
            before = rows["before"][0].item()
            fewest, most = bounds.in_steps(before, list(_short_steps(seen, rows)), theta)
    return {
        "drive": total(rows[driven]["charge"]),
        "excitation": total(spikes[spikes > 0]),
        "inhibition": total(spikes[spikes < 0]),
        "late": total(after[after < 0]),
        "fired": int(rows["fired"].sum()),
        "fewest": fewest,
        "most": most,
    }


def _after_excitation(simulation: Simulation, rows: NDArray[np.void]) -> int:
    """Where the arrivals after the last excitatory one begin.

    In clocked time those of its step came with it.
    """
    excites = np.flatnonzero(rows["charge"] > 0)
    if not len(excites):
        return 0
    last = excites[-1]
    if is_clocked(simulation):
        return int(np.searchsorted(rows["step"], rows["step"][last], side="right"))
    return int(last) + 1


def _superfluous(spikes: NDArray[np.void], signs: list[int] | None) -> NDArray[np.void]:
    """Of each sign the spikes beyond as many as `signs` has of it; None: no spikes."""
    beyond = np.zeros(len(spikes), bool)
    if signs is not None:
        for sign in (1, -1):
            beyond[np.flatnonzero(spikes["sign"] == sign)[signs.count(sign) :]] = True
    return spikes[beyond]


def _sentences(e: Explanation) -> Iterator[str]:
    """An explanation in words, line by line."""
    seen = e.observation
    gap = seen.fired - (seen.ideal or 0)
    verdict = ", as the charge is worth."
    if gap:
        verdict = f": {abs(gap)} too {'many' if gap > 0 else 'few'}."
    yield f"{seen.name}, image {seen.image}: {seen.counts}{verdict}"
    yield _arrived(e)
    short = "short " if seen.simulation.time.spread > 1 else ""
    if e.in_steps and e.in_any:
        yield (
            f"Any order of the same arrivals: {e.in_steps[0]} to {e.in_steps[1]} spikes where each "
            f"stays in its {short}step, {e.in_any[0]} to {e.in_any[1]} where none does."
        )
    if len(e.late):
        yield from _late(e)
    else:
        yield "No inhibition came after the last excitatory arrival."
    if is_clocked(seen.simulation):
        effect = "the order inside a step has no effect"
        yield f"It is evaluated once, at the end of each step: {effect}."
    elif e.inhibition_first is not None:
        yield (
            f"Sorted in each {short}step: {e.inhibition_first} with inhibition first, "
            f"{e.excitation_first} with excitation first."
        )
    if len(e.superfluous):
        yield f"Had the inhibition come in time, it would not have fired: {_beyond(e)}."


def _show(e: Explanation, charge: Any) -> str:
    """A charge in thresholds."""
    return f"{float(e.observation.in_thresholds(charge)):.4g}"


def _arrived(e: Explanation) -> str:
    """What arrived in all, in words."""
    seen = e.observation
    charges = seen.arrivals["charge"][seen.arrivals["source"] >= 0]
    return (
        f"Arrived, in thresholds: drive {_show(e, e.drive)}, "
        f"excitation {_show(e, e.excitation)} ({(charges > 0).sum()} spikes), "
        f"inhibition {_show(e, e.inhibition)} ({(charges < 0).sum()} spikes); "
        f"v(0) = {_show(e, seen.v0)}, v(T) = {_show(e, seen.end)}."
    )


def _late(e: Explanation) -> Iterator[str]:
    """The late inhibition in words, line by line."""
    count = f"{len(e.late)} inhibitory arrival{'s' if len(e.late) > 1 else ''}"
    yield (
        f"Late: {count}, {_show(e, total(e.late['charge']))}, after the last excitatory one: "
        f"x = {_show(e, e.arrived)}, x_valid = {_show(e, e.x_valid)} (DNISNM eq. 17)."
    )
    for row in e.late[:SHOWN]:
        place = f"in step {row['step'] + 1}, event {row['event']}"
        yield f"  {_show(e, row['charge'])} from {e.observation.source(row)} {place}"
    if len(e.late) > SHOWN:
        yield f"  and {len(e.late) - SHOWN} more"


def _beyond(e: Explanation) -> str:
    """The superfluous spikes in words."""
    which = ", ".join(f"{s['seq']} (step {s['step'] + 1})" for s in e.superfluous[:SHOWN])
    more = len(e.superfluous) - SHOWN
    spikes = "spikes" if len(e.superfluous) > 1 else "spike"
    return f"{spikes} {which} and {more} more" if more > 0 else f"{spikes} {which}"
