"""Whether a model keeps the contract and what it declares (semantics, section 13).

It is tried on a few random neurons, in plain Python, before anything is compiled.
"""

from __future__ import annotations

import inspect
from random import Random
from typing import Any

import numpy as np

from eventsnn.exceptions import InputError, one_line
from eventsnn.neurons.contract import (
    Here,
    by_tick,
    emit_here,
    is_dynamic,
    own_states,
    settle_here,
    stages_of,
    takes_here,
    tie_here,
    worth_here,
)

DECLARED = ("words", "conserves", "confluent", "holds", "signed", "reset")
RESETS = ("subtract", "zero", "none")
ARGUMENTS = {
    "emit": ("neuron", "layer", "p", "s"),
    "settle": ("neuron", "p", "n"),
    "most": ("neuron",),
    "tie": ("neuron", "layer", "p", "s"),
    "charge": ("neuron", "step"),
    "when": ("neuron", "layer", "p", "s", "here"),
}
OPTIONAL = ("charge", "when")
MAY_ASK = ("emit", "settle", "tie")
TRIALS = 60  # random neurons
ARRIVALS = 12  # charges that each of them hears
ENOUGH = 10_000  # spikes at one arrival
SEE = "see eventsnn.neurons.contract"


def check_class(name: str, model: Any) -> None:
    """Raises InputError unless a model's class has what the contract asks for.

    name: of the model, for the message. model: its class; a function that makes one is tried when
    it is used.
    """
    where = f"neuron {name!r}"
    if not isinstance(model, type):
        if not callable(model):
            raise InputError(where, "a NamedTuple's class, or a function of q", repr(model), SEE)
        return
    if not (issubclass(model, tuple) and getattr(model, "_fields", None)):
        raise InputError(where, "a NamedTuple of constants, q the first", model.__name__, SEE)
    for field in DECLARED:
        if not hasattr(model, field):
            raise InputError(where, f"the attribute {field!r}", "none", SEE)
    for field in ("conserves", "confluent", "holds", "signed"):
        if not isinstance(getattr(model, field), bool):
            found = repr(getattr(model, field))
            raise InputError(where, f"{field}: True or False", found, SEE)
    if model.reset not in RESETS:  # type: ignore[attr-defined]
        found = repr(model.reset)  # type: ignore[attr-defined]
        raise InputError(where, f"reset: one of {', '.join(RESETS)}", found, SEE)
    for function, arguments in ARGUMENTS.items():
        _check_function(where, model, function, arguments)
    if not callable(getattr(model, "band", None)):
        raise InputError(where, "a method band()", "none", SEE)
    if getattr(model, "stages", 1) not in (1, 2):
        raise InputError(where, "stages: 1 or 2", repr(model.stages), SEE)  # type: ignore[attr-defined]


def _check_function(where: str, model: type, name: str, arguments: tuple[str, ...]) -> None:
    """Raises InputError unless a model's function is static and has these arguments."""
    found = inspect.getattr_static(model, name, None)
    if found is None and name in OPTIONAL:
        return
    words = f"a static function {name}({', '.join(arguments)})"
    if found is None:
        raise InputError(where, words, "none", SEE)
    if not isinstance(found, staticmethod):
        raise InputError(where, words, "one that is not static", "put @staticmethod before it")
    given = tuple(inspect.signature(getattr(model, name)).parameters)
    asks = name in MAY_ASK and given == (*arguments, "here")
    asks = asks or (name == "charge" and given == ("neuron", "here"))
    if given != arguments and not asks:
        raise InputError(where, words, f"{name}({', '.join(given)})", SEE)


def check_model(neuron: Any) -> None:
    """Raises InputError for a model that contradicts itself or does not do as it declares.

    neuron: the model in a simulation's numbers.
    """
    name = type(neuron).__name__
    where = f"neuron {name!r}"
    check_declarations(where, neuron)
    exact = [value.item() if isinstance(value, np.generic) else value for value in neuron]
    trial = _Trial(where, type(neuron)(*exact))
    try:
        trial.run()
    except InputError:
        raise
    except Exception as error:  # whatever a user's function does
        found = one_line(f"{type(error).__name__}: {error}", 200)
        raise InputError(where, "functions that can be called", found, SEE) from error


def check_declarations(where: str, neuron: Any) -> None:
    """Raises InputError for declarations that contradict each other.

    where: the model, for messages. neuron: the model in a simulation's numbers.
    """
    own, dynamic = own_states(neuron), is_dynamic(type(neuron))
    leak = tuple(float(x) for x in neuron.decay()) if hasattr(neuron, "decay") else ()
    if leak and len(leak) != 1 + len(own):
        expected = f"decay(): leaks of p and of {', '.join(own) or 'nothing else'}"
        raise InputError(where, expected, f"{len(leak)} of them", SEE)
    if not all(0 < x <= 1 for x in leak):
        raise InputError(where, "leaks above 0 and at most 1", f"{leak}", SEE)
    wrong = ""
    if neuron.conserves and (neuron.reset != "subtract" or (leak and leak[0] != 1)):
        wrong = "conserves, with a leak of p or another reset than 'subtract'"
    elif neuron.holds and (any(x != 1 for x in leak) or hasattr(neuron, "when")):
        wrong = "holds, with a leak or a firing time of its own"
    elif neuron.confluent and not neuron.conserves:
        wrong = "confluent, and does not conserve"
    elif stages_of(neuron) == 2 and leak:
        wrong = "two stages, with a leak"
    elif (own or takes_here(type(neuron).settle)) and type(neuron).most(neuron) != 1:
        wrong = "states of its own, and more than one spike at once"
    elif dynamic and getattr(neuron, "limits", None) is not None:
        wrong = "limits, with a leak, states, weighted spikes or firing times of its own"
    if wrong:
        raise InputError(where, "declarations that agree (semantics, section 13)", wrong)


class _Trial:
    """A model tried on random neurons. where: for messages. neuron: of Python's numbers."""

    def __init__(self, where: str, neuron: Any) -> None:
        self.where = where
        self.neuron = neuron
        self.random = Random(13)
        self.q = neuron[0]
        self.most = int(type(neuron).most(neuron))
        limits = getattr(neuron, "limits", None)
        self.limit = None if limits is None else int(limits[0])
        dtype = np.int64 if isinstance(self.q, int) else np.float64
        self.own = np.zeros((1, len(own_states(neuron))), dtype)

    def run(self) -> None:
        """Raises InputError for the first thing that is not as declared."""
        if not isinstance(self.q, (int, float)) or not self.q > 0:
            raise self._error("a first field q above 0", repr(self.q))
        if self.most < 1:
            raise self._error("most: 1 spike or more", str(self.most))
        for step in (1, 2, 7):
            found = worth_here(self.neuron, self._here()._replace(step=step))
            if isinstance(found, float) or found < 0:
                raise self._error("charge: whole numbers from 0", repr(found))
        low, high = self.neuron.band()
        for _ in range(TRIALS):
            self._quiet(low, high)
            charges = [self._charge() for _ in range(ARRIVALS)]
            start = self._charge()
            counts = self._counts(start, charges)
            self.random.shuffle(charges)
            if self.neuron.confluent and self._counts(start, charges) != counts:
                raise self._error("confluent counts, in every order of arrival", "others")

    def _charge(self) -> Any:
        """A random charge of a few q, often a whole number of them."""
        size = self.random.choice((0.25, 1, 3))
        drawn = self.random.uniform(-size, size) * self.q
        if self.random.random() < 0.3:
            drawn = self.random.randint(-2, 2) * self.q
        return int(drawn) if isinstance(self.q, int) else drawn

    def _here(self) -> Here:
        return Here(self.own, 0, 0, 1, 0, 0, 1024, 0)

    def _quiet(self, low: Any, high: Any) -> None:
        """Nothing fires inside the band, nor at low or below while s is 0."""
        floor = high - 3 * self.q if low is None else low
        p = floor + (high - floor) * self.random.random()
        p = int(p) if isinstance(self.q, int) else p
        self.own[:] = 0
        for s, potential in ((0, p), (1, p), (0, floor - self.q)):
            inside = (low is None or potential > low or s == 0) and potential < high
            n = emit_here(self.neuron, 0, potential, s, self._here())
            if inside and n != 0:
                raise self._error(
                    f"no spike inside band() = ({low}, {high})", f"{n} at {potential}"
                )

    def _counts(self, start: Any, charges: list[Any]) -> int:
        """The net spikes after these arrivals, each evaluated at once."""
        neuron, p, s = self.neuron, start, 0
        self.own[:] = 0
        if hasattr(neuron, "first"):
            self.own[0] = neuron.first()
        for charge in charges:
            p += charge
            for fired in range(ENOUGH + 1):
                if tie_here(neuron, 0, p, s, self._here()) not in (0, 1):
                    raise self._error("tie: true or false", "another value")
                n = emit_here(neuron, 0, p, s, self._here())
                if not isinstance(n, (int, np.integer)):
                    raise self._error("emit: a whole number of spikes", repr(n))
                if n == 0:
                    break
                if s and by_tick(type(neuron)):
                    raise self._error("one spike, as its worth depends on the tick", "another")
                p = self._settled(p, int(n))
                s += int(n)
                if self.limit is not None and not 0 <= s <= self.limit:
                    raise self._error(f"0 to {self.limit} net spikes", str(s))
                if fired == ENOUGH:
                    raise self._error("a neuron that comes to rest", "one that fires without end")
                if stages_of(neuron) == 2:
                    break
        return s

    def _settled(self, p: Any, n: int) -> Any:
        neuron = self.neuron
        if abs(n) > self.most:
            raise self._error(f"at most {self.most} spikes, as most() says", str(n))
        if n < 0 and not neuron.signed:
            raise self._error("no negative spikes, as it is not signed", str(n))
        after = settle_here(neuron, p, n, self._here())
        expected = p - n * self.q * worth_here(neuron, self._here())
        near = after == expected or (isinstance(after, float) and abs(after - expected) < 1e-9)
        if (neuron.conserves or neuron.reset == "subtract") and not near:
            raise self._error(f"settle: {p} - {n} q, as it subtracts", str(after))
        if neuron.reset == "zero" and after != settle_here(neuron, p + self.q, n, self._here()):
            raise self._error("settle: one number, as it resets to zero", str(after))
        return after

    def _error(self, expected: str, found: str) -> InputError:
        return InputError(self.where, expected, found, "change the model or what it declares")
