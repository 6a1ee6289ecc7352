"""A network on which a law does not hold, told so that one can follow it by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventsnn.neurons.verifying.laws import LAWS, when
from eventsnn.neurons.verifying.ran import Entry, Ran
from eventsnn.neurons.verifying.small import EIGHTH, Small, moment
from eventsnn.neurons.verifying.trying import Tester, Trial

MOST_LINES = 60  # of a run


@dataclass(frozen=True, repr=False)
class Counterexample:
    """A small network on which a model does not do as it declares; str() tells what happens there.

    law: the declaration. words: what is wrong. trial: the network, and the ways in which it ran;
    None: numba does not compile the model. ran: each run; None: one that does not end.
    """

    law: str
    words: str
    trial: Trial | None
    ran: tuple[Ran | None, ...] | None
    tester: Tester | None = None

    def replay(self) -> str:
        """Runs it again: what is wrong, or "" if nothing is."""
        if self.trial is None or self.tester is None:
            return self.words
        law = next(law for law in LAWS if law.name == self.law)
        self.tester.forget()
        wrong = law.broken(self.tester, self.trial)
        return wrong.words if wrong else ""

    def __str__(self) -> str:
        lines = [f"{self.law} does not hold: {self.words}"]
        if self.trial is not None:
            limited = (
                hasattr(self.tester.model(self.trial.small), "limits") if self.tester else False
            )
            lines += [f"  {line}" for line in _network(self.trial.small, limited)]
            for title, ran in zip(self._titles(), self.ran or ()):
                lines += [f"  {title}:", *(f"    {line}" for line in self._told(ran))]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Counterexample to {self.law}: {self.words}>"

    def _titles(self) -> list[str]:
        assert self.trial is not None
        titles = [way.words() for way in self.trial.ways]
        return titles + ["the same by what numba compiled"] * (self.law == "compiled")

    def _told(self, ran: Ran | None) -> list[str]:
        assert self.trial is not None and self.tester is not None
        if ran is None:
            return ["it does not end"]
        q = self.tester.model(self.trial.small)[0]
        lines = [_line(e, q) for e in ran.log if e.charge or e.fired or _alone(e)]
        more = len(lines) - MOST_LINES
        lines = lines[:MOST_LINES] + [f"and {more} lines more"] * (more > 0)
        ends = ", ".join(
            f"neuron {i}: {s} net spikes, p = {_in(p, q)}"
            for i, (s, p) in enumerate(zip(ran.net, ran.p))
        )
        return [*(lines or ["nothing arrives"]), f"at the end: {ends}"]


def _alone(entry: Entry) -> bool:
    """Whether an evaluation that fired nothing is worth a line."""
    return entry.charge is None and entry.cause in (
        "asked",
        "end of rest",
        "end of window",
        "its own time",
    )


def _network(small: Small, limited: bool) -> list[str]:
    """What it is, in lines. limited: whether levels matter."""
    places = ", ".join(f"{i} (layer {layer})" for i, layer in enumerate(small.layers))
    noun = "neuron" if len(small.layers) == 1 else "neurons"
    levels = ", ".join(f"{n} of layer {i}" for i, n in enumerate(small.levels))
    lines = [
        f"{noun} {places}; v(0) = {_eighths(small.start)}; T = {small.steps}"
        + f"; levels: {levels}" * limited,
        "(charges and p are in q, the charge of one spike)",
    ]
    for s in small.synapses:
        lines.append(f"a spike of neuron {s.pre} brings {_eighths(s.charge)} to neuron {s.post}")
    for a in small.arrivals:
        lines.append(f"{_eighths(a.charge)} to neuron {a.neuron} in {moment(a.step, a.after)}")
    return lines


def _eighths(charge: int) -> str:
    return f"{charge / EIGHTH:g}"


def _in(p: Any, q: Any) -> str:
    return f"{p / q:.9g}"


def _line(entry: Entry, q: Any) -> str:
    """One thing that happened."""
    start = f"{when(entry.step, entry.tick)}: neuron {entry.neuron}"
    own = f", own {', '.join(_in(x, q) for x in entry.own)}" if entry.own else ""
    end = f"p = {_in(entry.after, q)}{own}"
    if entry.charge is not None:
        source = "" if entry.cause == "arrival" else f" from {entry.cause}"
        return f"{start} hears {_in(entry.charge, q)}{source}: {end}"
    fires = f"fires {entry.fired}" if entry.fired else "does not fire"
    why = (
        ""
        if entry.cause.startswith(("arrival", "neuron", "its turn", "drive"))
        else f" ({entry.cause})"
    )
    return f"{start} {fires}{why}: {end}"
