"""A plain simulator of small networks, one spike at a time (semantics, sections 4, 5 and 13).

It asks a model's own functions, in Python or compiled by numba, and keeps all that happens.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import numpy as np

from eventsnn.exceptions import InputError, one_line
from eventsnn.neurons.contract import (
    Here,
    emit_here,
    own_at_first,
    own_states,
    settle_here,
    stages_of,
    tie_here,
    when,
    worth_here,
)
from eventsnn.neurons.verifying.ran import Entry, Ran, Unrest
from eventsnn.neurons.verifying.small import EIGHTH, Small, Way

TICKS = 1024  # of a step
MOST_SPIKES = 2000  # in a run
MOST_AT_ONCE = 200  # of one neuron
MOST_STEPS = 400  # until a network comes to rest
DRIVE = "drive"  # of step 1 alone, and 0: every neuron is asked once
COMES, SPIKE, END = 0, 1, 2  # what comes first within a tick
ONE = 2**30

# (model, layer, p, s, here) -> (whether it met a threshold, what it fires, p afterwards)
Evaluate = Callable[[Any, int, Any, int, Here], tuple[Any, Any, Any]]


def in_python(model: Any, layer: int, p: Any, s: int, here: Here) -> tuple[Any, Any, Any]:
    """`Evaluate` by the model's functions as they stand."""
    tie = tie_here(model, layer, p, s, here)
    n = emit_here(model, layer, p, s, here)
    return tie, n, settle_here(model, p, n, here) if n else p


def run(small: Small, model: Any, way: Way, evaluate: Evaluate = in_python) -> Ran:
    """One run.

    model: as `making.fitted` makes it for this network, q a multiple of 8. way: how time goes.
    evaluate: asks the model. Raises Unrest, and InputError for functions that fail.
    """
    try:
        one = _Run(small, model, way, evaluate)
        one.clocked() if way.order == "clocked engine" else one.asynchronous()
    except (InputError, Unrest):
        raise
    except Exception as error:  # whatever a user's function does
        found = one_line(f"{type(error).__name__}: {error}", 200)
        where = f"neuron {type(model).__name__!r}"
        raise InputError(where, "functions that can be called", found) from error
    return one.ran


class _Run:
    def __init__(self, small: Small, model: Any, way: Way, evaluate: Evaluate) -> None:
        self.small, self.model, self.way, self.ask = small, model, way, evaluate
        size = len(small.layers)
        self.unit = model[0] // EIGHTH
        self.zero = self.unit - self.unit
        self.own = own_at_first(model, size, np.int64)
        self.leaks = tuple(model.decay()) if hasattr(model, "decay") else ()
        self.staged = stages_of(model) == 2
        self.depths = small.depths()
        self.targets = [[s for s in small.synapses if s.pre == i] for i in range(size)]
        self.sending = {small.layers[s.pre] for s in small.synapses}
        self.arrivals = way.arrivals(small)
        zeros = [self.zero] * size
        self.ran = Ran([], [small.start * self.unit] * size, [0] * size, zeros[:], zeros[:])
        self.touched, self.rests = [0] * size, [0] * size
        self.window, self.due = [-1] * size, [-1] * size
        self.step = self.now = self.began = self.fired = 0
        self.steps = small.steps * (max(self.depths) + 1) if self.staged else small.steps

    # --- a neuron ---

    def touch(self, i: int) -> None:
        """Decay since the last touch (semantics, section 13)."""
        now = self.began if self.way.order == "clocked" else self.now
        whole, rest = divmod(now - self.touched[i], TICKS)
        self.touched[i] = now
        for k, leak in enumerate(self.leaks):
            for d in [TICKS] * whole + [rest] * (rest > 0) if leak != 1 else []:
                factor = round(leak ** (d / TICKS) * ONE)
                if k == 0:
                    self.ran.p[i] = type(self.zero)(_decayed(self.ran.p[i], factor))
                else:
                    self.own[i, k - 1] = _decayed(self.own[i, k - 1], factor)

    def charge(self, i: int, charge: Any, cause: str) -> None:
        """A charge arrives."""
        self.touch(i)
        before = self.ran.p[i]
        self.ran.p[i] = before + charge
        self.ran.heard[i] += charge
        self._note(i, cause, charge, before, 0)

    def turn(self, layer: int) -> bool:
        """Whether a layer may fire: with two stages, in its own (semantics, section 13)."""
        stage, _ = divmod(self.step - 1, self.small.steps)
        return not self.staged or stage == self.depths[layer]

    def evaluate(self, i: int, cause: str) -> int:
        """Asks a neuron once; what it fires."""
        layer = self.small.layers[i]
        if not self.turn(layer):
            return 0
        p, s = self.ran.p[i], self.ran.net[i]
        tie, n, after = self.ask(self.model, layer, p, s, self.here(i))
        where = f"neuron {type(self.model).__name__!r}"
        if tie not in (0, 1):
            raise InputError(where, "tie: true or false", repr(tie))
        if not isinstance(n, (int, np.integer)):
            raise InputError(where, "emit: a whole number of spikes", repr(n))
        n = int(n)
        self._note(i, cause, None, p, n, after)
        self.ran.p[i] = after
        self.ran.net[i] += n
        self.ran.paid[i] += n * self.model[0] * self.worth(i)
        self.fired += abs(n)
        if self.fired > MOST_SPIKES:
            raise Unrest
        return n

    def here(self, i: int) -> Here:
        """Where and when a neuron is asked."""
        step = (self.step - 1) % self.small.steps + 1 if self.staged else self.step
        now = self.began if self.way.order == "clocked" else self.now
        return Here(self.own, i, self.small.place(i), step, now, self.began, TICKS, 0)

    def worth(self, i: int) -> int:
        """What a spike of a neuron's is worth there and then."""
        return worth_here(self.model, self.here(i))

    def _note(
        self, i: int, cause: str, charge: Any, before: Any, n: int, after: Any = None
    ) -> None:
        after = self.ran.p[i] if after is None else after
        own = tuple(self.own[i].tolist()) if own_states(self.model) else ()
        at = self.step, self.now, i, cause, charge, before, after, self.ran.net[i], n, own
        self.ran.log.append(Entry(*at, self.worth(i) if n else 1))

    def brought(self, i: int, n: int) -> list[tuple[int, Any]]:
        """(neuron, charge) that n spikes bring to each target."""
        factor = n * self.worth(i)
        return [(s.post, s.charge * self.unit * factor) for s in self.targets[i]]

    def going_on(self) -> bool:
        """Whether another step begins."""
        if self.step < self.steps:
            return True
        last = max((arrival.step for _, arrival in self.arrivals), default=0)
        if not self.way.resting or (self.step >= last and not self.moving()):
            return False
        if self.step == MOST_STEPS:
            raise Unrest
        return True

    def moving(self) -> bool:
        """Whether anything may still fire, though nothing comes from outside."""
        if self.way.order in ("clocked engine", "clocked"):
            return any(entry.fired and entry.step == self.step for entry in self.ran.log)
        return bool(self.queue)

    # --- clocked time ---

    def clocked(self) -> None:
        """Layer by layer in each step."""
        while self.going_on():
            self.step += 1
            self.now = self.began = (self.step - 1) * TICKS
            came: list[list[tuple[str, Any]]] = [[] for _ in self.small.layers]
            for _, arrival in self.arrivals:
                if arrival.step == self.step:
                    came[arrival.neuron].append(("arrival", arrival.charge * self.unit))
            for i in range(len(self.small.layers)):
                self.touch(i)
                for cause, charge in came[i]:
                    self.charge(i, charge, cause)
                n = self.evaluate(i, "its turn")
                for post, charge in self.brought(i, n) if n else ():
                    came[post].append((f"neuron {i}", charge))
        self.ran.steps = self.step

    # --- asynchronous time ---

    def asynchronous(self) -> None:
        """One queue, with a barrier behind each step (semantics, section 5)."""
        self.queue: list[tuple[int, int, Any, int, Any]] = []
        self.pushed = self.emitted = self.waiting = self.counted = 0
        self.lists: dict[int, list[Any]] = {}  # of order "random": tick -> what waits for it
        begin, last = 0, 0
        while self.going_on():
            self.step += 1
            begin = max(begin + TICKS, last) if self.step > 1 else 0
            self.now = self.began = begin
            self._begin()
            while self.queue:
                tick = self.queue[0][0]
                if tick >= begin + TICKS and (not self.waiting or self.way.order == "clocked"):
                    break
                self.now, kind, _, _, what = heapq.heappop(self.queue)
                last = self.now
                if kind == SPIKE and self.way.order == "random":
                    what = self._any()
                if kind == END:
                    self._end(*what)
                else:
                    self.counted += 1
                    self.waiting -= 1
                    for post, charge in what[1]:
                        self._arrive(post, charge, what[0])
            if self.way.order == "clocked":
                self._all_turns()
        self.ran.steps = self.step

    def _begin(self) -> None:
        for i in range(len(self.small.layers)) if self.step == 1 else ():
            self._arrive(i, self.zero, DRIVE)
        for number, arrival in self.arrivals:
            if arrival.step == self.step:
                tick = self.began + arrival.after * TICKS // EIGHTH
                brings = [(arrival.neuron, arrival.charge * self.unit)]
                self._push(tick, COMES, (arrival.after, number), ("arrival", brings), True)
        for step, after, i in self.way.asked:
            if step == self.step:
                self._push(self.began + after * TICKS // EIGHTH, END, (i,), (i, "asked"), False)
        if self.staged and self.way.order != "clocked":
            for i in range(len(self.small.layers)):
                self._evaluate(i, "its turn")

    def _all_turns(self) -> None:
        """The end of a step of order `clocked`."""
        for i in range(len(self.small.layers)):
            self.touch(i)
            n = self.evaluate(i, "its turn")
            for post, charge in self.brought(i, n) if n else ():
                self.charge(post, charge, f"neuron {i}")

    def _push(self, tick: int, kind: int, key: Any, what: Any, waits: bool) -> None:
        self.pushed += 1
        self.waiting += waits
        heapq.heappush(self.queue, (tick, kind, key, self.pushed, what))

    def _any(self) -> Any:
        """Takes any of the tick's list; the last comes into its place (semantics, section 12)."""
        waiting = self.lists[self.now]
        bits = _mixed(_mixed(_mixed(self.way.seed)) ^ self.counted)  # image 0
        place = bits * len(waiting) >> 64
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        return waiting.pop()

    def _arrive(self, i: int, charge: Any, cause: str) -> None:
        self.charge(i, charge, cause)
        if self.staged or self.way.order == "clocked":
            return
        if self.way.window == 0:
            self._evaluate(i, cause)
        elif self.window[i] < 0:
            self.window[i] = self.now + self.way.window * TICKS // EIGHTH
            self.waiting += 1
            self._push(self.window[i], END, (i,), (i, "end of window"), False)

    def _evaluate(self, i: int, cause: str) -> None:
        """Again and again while the model says so; once where there is a refractory period."""
        if self.now < self.rests[i]:
            return
        self.waiting -= self.window[i] >= 0
        self.window[i] = self.due[i] = -1
        self.touch(i)
        times = 0
        while n := self.evaluate(i, cause):
            self._emit(i, n)
            times += 1
            if times > MOST_AT_ONCE:
                raise Unrest
            if self.staged:
                return
            if self.way.refractory:
                self.rests[i] = self.now + self.way.refractory * TICKS // EIGHTH
                self._push(self.rests[i], END, (i,), (i, "end of rest"), False)
                return
        if self.turn(self.small.layers[i]):
            self._appoint(i)

    def _appoint(self, i: int) -> None:
        """Asks for a firing time of its own."""
        layer, p, s = self.small.layers[i], self.ran.p[i], self.ran.net[i]
        due = int(when(self.model, layer, p, s, self.here(i)))
        if due < 0 or (self.staged and due >= self.began + TICKS):
            return
        if due <= self.now:
            where, expected = (
                f"neuron {type(self.model).__name__!r}",
                "when: a tick after now, or -1",
            )
            raise InputError(where, expected, f"{due} at tick {self.now}")
        self.due[i] = due
        self._push(due, END, (i,), (i, "its own time"), False)

    def _end(self, i: int, cause: str) -> None:
        """The end of a window or a rest, or a time of its own, unless it is over."""
        if cause == "end of window" and self.window[i] != self.now:
            return
        if cause == "its own time" and self.due[i] != self.now:
            return
        self.counted += cause != "asked"
        self._evaluate(i, cause)

    def _emit(self, i: int, n: int) -> None:
        """n spikes, each an event of its own."""
        sign = 1 if n > 0 else -1
        for _ in range(abs(n)):
            number, self.emitted = self.emitted, self.emitted + 1
            key: tuple[int, ...] = (number,)
            if self.way.order == "lifo":
                key = (-self.small.layers[i], -number)
            delay = self.way.delays[i] if self.way.delays else 0
            if self.small.layers[i] in self.sending:
                what = (f"neuron {i}", self.brought(i, sign))
                tick = self.now + delay * TICKS // EIGHTH
                self._push(tick, SPIKE, key, what, True)
                if self.way.order == "random":
                    self.lists.setdefault(tick, []).append(what)


def _decayed(value: Any, factor: int) -> int:
    return int((int(value) * factor + ONE // 2) >> 30)


def _mixed(x: int) -> int:
    """SplitMix64 of a whole number (Steele, Lea, Flood 2014)."""
    low = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & low
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & low
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & low
    return x ^ (x >> 31)
