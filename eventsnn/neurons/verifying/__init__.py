"""`verify`: does a model do as it declares? (semantics, sections 7 and 13)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numba
import numpy as np

from eventsnn.arguments import Count, Natural, checked
from eventsnn.exceptions import one_line
from eventsnn.neurons.check import check_declarations
from eventsnn.neurons.contract import (
    Here,
    Setting,
    emit_here,
    own_at_first,
    settle_here,
    tie_here,
    why_refused,
)
from eventsnn.neurons.making import fitted
from eventsnn.neurons.verifying.counterexample import Counterexample
from eventsnn.neurons.verifying.laws import LAWS, Law
from eventsnn.neurons.verifying.naive import TICKS
from eventsnn.neurons.verifying.shrinking import shrunk
from eventsnn.neurons.verifying.small import Small, draw
from eventsnn.neurons.verifying.trying import Tester, Trial, quantum

__all__ = ["Counterexample", "Verdict", "Verified", "verify"]

AGAIN = 10  # times that a counterexample is tried


@dataclass(frozen=True)
class Verdict:
    """What came of one law.

    law: its name. words: what must hold. declared: whether the model says that it does. networks:
    on how many it was tried. counterexample: on which it does not hold; None: on none.
    """

    law: str
    words: str
    declared: bool
    networks: int
    counterexample: Counterexample | None

    def __str__(self) -> str:
        if self.counterexample is not None:
            found = "does not hold"
        else:
            many = f"{self.networks:,} network{'s' * (self.networks != 1)}"
            found = f"holds on {many}" if self.declared else "not declared"
        return f"{self.law:<10} {self.words:<45} {found}"


@dataclass(frozen=True)
class Verified:
    """Which of its laws a model keeps; str() has them in a table, with counterexamples.

    model: its name. laws: of each law. seed: of the random networks.
    """

    model: str
    laws: tuple[Verdict, ...]
    seed: int

    @property
    def holds(self) -> bool:
        """Whether every law holds that the model declares."""
        return not self.broken

    @property
    def broken(self) -> dict[str, Counterexample]:
        """The laws that do not hold, and on which network each does not."""
        return {v.law: v.counterexample for v in self.laws if v.counterexample is not None}

    def __str__(self) -> str:
        lines = [f"{self.model}: {self._summary()}", *map(str, self.laws)]
        return "\n".join([*lines, *(f"\n{example}" for example in self.broken.values())])

    def __repr__(self) -> str:
        return f"<Verified {self.model}: {self._summary()}>"

    def _summary(self) -> str:
        tried = [verdict for verdict in self.laws if verdict.declared]
        if self.holds:
            return f"all {len(tried)} laws hold (seed {self.seed})"
        return f"{', '.join(self.broken)} of {len(tried)} laws: not as declared (seed {self.seed})"


@checked
def verify(
    neuron: Any,
    *,
    networks: Count = 200,
    seed: Natural = 0,
    compiled: bool = True,
    quiet: bool = False,
    progress: bool | None = None,
) -> Verified:
    """Tries on small random networks whether a model does as it declares, and prints what it finds.

    For a law that does not hold it prints the smallest network that it finds on which it does not,
    and what happens there. Networks have at most five neurons, are drawn anew for each model, and
    run in a plain simulator, in clocked time and in several orders, with delays, rests and windows.

    neuron: a model, its class, its name, or a function of q, as for `simulate`. networks: how many
    are tried. seed: of all that is drawn; the same seed finds the same. compiled: whether numba's
    code for the model's functions is compared, too, which takes some seconds. quiet: print nothing.
    progress: True: a bar on a terminal; None: in Jupyter; False: nowhere. Raises InputError for
    what is no model, and for declarations that contradict each other.
    """
    name = neuron if isinstance(neuron, str) else getattr(neuron, "__name__", type(neuron).__name__)
    make = _maker(neuron, seed)
    first = _drawn(seed, 0, None)
    model, exact = make(first)
    check_declarations(f"neuron {type(model).__name__!r}", model)
    initial = getattr(model, "initial", None)
    initial = None if initial is None else float(initial)
    tester = Tester(make)
    refused = ""
    if compiled:
        tester.compiled = _compiled()
        refused = _refusal(tester, exact)
    declared = {law.name: law.declared(model) for law in LAWS}
    declared["compiled"] &= compiled
    found: dict[str, Counterexample] = {}
    if refused:
        found["compiled"] = Counterexample("compiled", refused, None, None)
    from eventsnn.views.progress import bar

    with bar(networks, "network", progress) as shown:
        for number in range(networks):
            small = _drawn(seed, number, initial)
            tester.forget()
            for law in LAWS:
                if declared[law.name] and law.name not in found:
                    random = Random(f"{seed} {number}")
                    for trial in law.trials(random, small, model):
                        if law.broken(tester, trial):
                            found[law.name] = _smallest(law, tester, trial, initial is None)
                            break
            shown.update()
    verdicts = (
        Verdict(law.name, law.words, declared[law.name], networks, found.get(law.name))
        for law in LAWS
    )
    result = Verified(str(name), tuple(verdicts), seed)
    if not quiet:
        print(result)
    return result


def _drawn(seed: int, number: int, initial: float | None) -> Small:
    return draw(Random(f"{seed} {number}"), initial)


def _smallest(law: Law, tester: Tester, trial: Trial, start: bool) -> Counterexample:
    small = shrunk(trial, lambda other: law.broken(tester, other) is not None, start)
    for _ in range(AGAIN):  # a model may hang on what no function is given
        tester.forget()
        if wrong := law.broken(tester, small):
            return Counterexample(law.name, wrong.words, small, wrong.ran, tester)
    words = "it does something else each time that it is asked"
    return Counterexample(law.name, words, small, None, tester)


def _maker(neuron: Any, seed: int) -> Callable[[Small], tuple[Any, Any]]:
    """Makes the model for a network: (of Python's numbers, of numpy's)."""

    def make(small: Small) -> tuple[Any, Any]:
        setting = Setting(np.int64(64), small.seen(), small.steps, seed, TICKS)
        model = fitted(neuron, setting)
        if quantum(model) != 64:
            model = fitted(neuron, setting._replace(q=np.int64(quantum(model))))
        plain = [value.item() if isinstance(value, np.generic) else value for value in model]
        return type(model)(*plain), model

    return make


def _compiled() -> Any:
    """What asks a model, compiled by numba as engines do."""

    @numba.njit(error_model="numpy")
    def evaluate(model, layer, p, s, here):
        tie = tie_here(model, layer, p, s, here)
        n = emit_here(model, layer, p, s, here)
        return tie, n, settle_here(model, p, n, here) if n != 0 else p

    return evaluate


def _refusal(tester: Tester, model: Any) -> str:
    """Why numba does not compile a model; "": it does."""
    here = Here(own_at_first(model, 1, np.int64), 0, 0, 1, 0, 0, 1024, 0)
    try:
        tester.compiled(model, 0, model[0] - model[0], 0, here)
    except Exception as error:  # whatever numba and a user's function raise
        return f"numba does not compile it: {one_line(why_refused(error), 200)}"
    return ""
