"""Trials: a network and the ways to run it that a law compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from eventsnn.neurons.contract import by_tick, own_states, stages_of
from eventsnn.neurons.verifying.naive import in_python, run
from eventsnn.neurons.verifying.ran import Ran
from eventsnn.neurons.verifying.small import EIGHTH, Small, Way, draw_way

# made for a network: (the model of Python's numbers, the same of the arithmetic's)
Maker = Callable[[Small], tuple[Any, Any]]
SOME = 3  # ways in which one network is tried


@dataclass(frozen=True)
class Trial:
    """A network and one way to run it, or two that a law compares. second: None: one."""

    small: Small
    first: Way
    second: Way | None = None

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways."""
        return (self.first,) if self.second is None else (self.first, self.second)


class Wrong(NamedTuple):
    """What a law finds. words: in a line. ran: the run of each of the trial's ways, as far as it
    came; None: it did not end.
    """

    words: str
    ran: tuple[Ran | None, ...]


class Tester:
    """Runs trials of one model, each way once until it forgets.

    maker: makes the model. compiled: what asks it, compiled by numba, or None.
    """

    def __init__(self, maker: Maker, compiled: Any = None) -> None:
        self.maker, self.compiled = maker, compiled
        self._known: dict[tuple[Small, Way], Ran] = {}

    def forget(self) -> None:
        """Runs again what was run before."""
        self._known.clear()

    def model(self, small: Small) -> Any:
        """The model for a network, in Python's numbers."""
        return self.maker(small)[0]

    def runs(self, trial: Trial) -> tuple[Ran, ...]:
        """The run of each way. Raises Unrest."""
        return tuple(self._run(trial.small, way) for way in trial.ways)

    def _run(self, small: Small, way: Way) -> Ran:
        if (small, way) not in self._known:
            self._known[small, way] = run(small, self.model(small), way, in_python)
        return self._known[small, way]

    def run_compiled(self, trial: Trial) -> Ran:
        """The run of the first way by what numba compiled."""
        return run(trial.small, self.maker(trial.small)[1], trial.first, self.compiled)


def quantum(model: Any) -> int:
    """q for a model's trials: fine where something decays or has states."""
    return 2**20 if own_states(model) or hasattr(model, "decay") else 64


def each_way(random: Random, small: Small, model: Any) -> Iterator[Trial]:
    """Clocked time, where the model has any, and asynchronous time."""
    staged = stages_of(model) == 2
    if not by_tick(type(model)):
        yield Trial(small, Way("clocked engine"))
    for _ in range(SOME - 1):
        yield Trial(small, draw_way(random, small, plain=staged))


def asked(random: Random, small: Small, model: Any) -> Iterator[Trial]:
    """The same with neurons that are evaluated though nothing came."""
    for _ in range(SOME - 1):
        way = draw_way(random, small, plain=True)
        asked = [
            (random.randint(1, small.steps), random.randrange(EIGHTH), neuron)
            for neuron in range(len(small.layers))
            for _ in range(2)
        ]
        yield Trial(small, way, replace(way, asked=tuple(sorted(asked))))


def orders(random: Random, small: Small, model: Any) -> Iterator[Trial]:
    """Other orders, delays, rests, windows and times of what arrives, until all rests."""
    first = Way(resting=True)
    for number in range(SOME):
        times = [(a.step, a.after) for a in small.arrivals]
        random.shuffle(times)
        second = draw_way(random, small)
        if number == 0:
            second = Way("clocked engine")
        yield Trial(small, first, replace(second, times=tuple(times), resting=True))


def stages(random: Random, small: Small, model: Any) -> Iterator[Trial]:
    """Other orders and delays."""
    first = Way() if by_tick(type(model)) else Way("clocked engine")
    for _ in range(SOME - 1):
        yield Trial(small, first, draw_way(random, small, plain=True))


def both_times(random: Random, small: Small, model: Any) -> Iterator[Trial]:
    yield Trial(small, Way("clocked engine"), Way("clocked"))
