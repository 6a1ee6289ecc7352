"""What a run of a small network leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """One thing that happened to a neuron: it was charged, or evaluated.

    cause: "drive", "arrival", "neuron 3", or why it was evaluated. charge: None: it was evaluated.
    before, after: p. net: its spikes before. fired: signed. own: its own states afterwards.
    worth: of the spikes.
    """

    step: int
    tick: int
    neuron: int
    cause: str
    charge: Any
    before: Any
    after: Any
    net: int
    fired: int
    own: tuple[Any, ...]
    worth: int = 1


class Unrest(Exception):
    """A neuron or a network that fires without end."""


@dataclass
class Ran:
    """What a run left.

    log: everything in order. p, net, heard, paid: of each neuron at the end: potential, net spikes,
    all charge that arrived, and q times the worth of what it fired. steps: how many there were.
    """

    log: list[Entry] = field(default_factory=list)
    p: list[Any] = field(default_factory=list)
    net: list[int] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)
    paid: list[Any] = field(default_factory=list)
    steps: int = 0

    @property
    def evaluations(self) -> list[Entry]:
        """The evaluations."""
        return [entry for entry in self.log if entry.charge is None]

    @property
    def spikes(self) -> list[tuple[int, int, int, int]]:
        """(step, tick, neuron, spikes) of each evaluation that fired."""
        return [(e.step, e.tick, e.neuron, e.fired) for e in self.log if e.fired]
