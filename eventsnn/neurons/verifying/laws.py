"""The laws that a model declares, each tried on small networks (semantics, sections 7 and 13).

A check is a function of a `Tester`, which makes models and runs them, and of a `Trial`; it returns
what is wrong, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from eventsnn.neurons.contract import by_tick, stages_of
from eventsnn.neurons.verifying.ran import Entry, Ran, Unrest
from eventsnn.neurons.verifying.small import EIGHTH, Small, moment
from eventsnn.neurons.verifying.trying import (
    Tester,
    Trial,
    Wrong,
    asked,
    both_times,
    each_way,
    orders,
    stages,
)


@dataclass(frozen=True)
class Law:
    """A law. name: the declaration. words: what must hold. declared: whether a model says so.
    trials: (random, network, model) -> what to try. check: (tester, trial) -> what is wrong.
    """

    name: str
    words: str
    declared: Callable[[Any], bool]
    trials: Callable[[Random, Small, Any], Iterator[Trial]]
    check: Callable[[Tester, Trial], Wrong | None]

    def broken(self, tester: Tester, trial: Trial) -> Wrong | None:
        """What is wrong in a trial; a neuron without rest is for the law `rest` alone to say."""
        try:
            return self.check(tester, trial)
        except Unrest:
            return None


# --- checks ---


def _first(ran: Ran, wrong: Callable[[Entry], str]) -> Wrong | None:
    """The first evaluation of which there is something to say."""
    for entry in ran.evaluations:
        if words := wrong(entry):
            return Wrong(f"neuron {entry.neuron} {words}, {_at(entry)}", (ran,))
    return None


def _at(entry: Entry) -> str:
    return f"in {when(entry.step, entry.tick)}"


def when(step: int, tick: int) -> str:
    """A time in words. tick: of the run."""
    return moment(step, 0) + f", tick {tick:,}"


def check_rest(tester: Tester, trial: Trial) -> Wrong | None:
    """Nobody fires without end."""
    try:
        tester.runs(trial)
    except Unrest:
        return Wrong("it fires without end", (None,) * len(trial.ways))
    return None


def check_signed(tester: Tester, trial: Trial) -> Wrong | None:
    """A model that is not signed takes no spike back."""
    (ran,) = tester.runs(trial)
    return _first(ran, lambda e: f"fires {e.fired}" if e.fired < 0 else "")


def check_most(tester: Tester, trial: Trial) -> Wrong | None:
    """One evaluation fires at most `most` spikes."""
    model = tester.model(trial.small)
    most = int(type(model).most(model))
    (ran,) = tester.runs(trial)
    return _first(ran, lambda e: f"fires {e.fired}, most is {most}" if abs(e.fired) > most else "")


def check_limits(tester: Tester, trial: Trial) -> Wrong | None:
    """0 <= net spikes <= the layer's limit."""
    limits = tester.model(trial.small).limits
    (ran,) = tester.runs(trial)

    def wrong(entry: Entry) -> str:
        limit, s = int(limits[trial.small.layers[entry.neuron]]), entry.net + entry.fired
        return "" if 0 <= s <= limit else f"has fired {s} net spikes, its limit is {limit}"

    return _first(ran, wrong)


def check_band(tester: Tester, trial: Trial) -> Wrong | None:
    """Nothing fires between the ends of band(), nor at the low end or below while s is 0."""
    low, high = tester.model(trial.small).band()
    (ran,) = tester.runs(trial)

    def wrong(e: Entry) -> str:
        inside = (low is None or e.before > low or e.net == 0) and e.before < high
        return "fires inside band()" if inside and e.fired else ""

    return _first(ran, wrong)


def check_reset(tester: Tester, trial: Trial) -> Wrong | None:
    """A spike takes q times its worth, or all."""
    model = tester.model(trial.small)
    (ran,) = tester.runs(trial)
    rests = {e.after for e in ran.evaluations if e.fired}

    def wrong(e: Entry) -> str:
        if model.reset == "zero":
            same = not e.fired or e.after == next(x.after for x in ran.evaluations if x.fired)
            return "" if same else "has another potential after a spike than before"
        takes = e.fired * model[0] * e.worth
        return "" if e.after == e.before - takes else "does not lose q for each spike"

    return _first(ran, wrong) if rests else None


def check_conserves(tester: Tester, trial: Trial) -> Wrong | None:
    """p = v(0) + all that arrived - q times the worth of what was fired (law 1)."""
    q = tester.model(trial.small)[0]
    (ran,) = tester.runs(trial)
    for i, p in enumerate(ran.p):
        due = trial.small.start * (q // EIGHTH) + ran.heard[i] - ran.paid[i]
        if p != due:
            words = (
                f"neuron {i} ends at p = {p / q:.6g} q; v(0) + arrivals - spikes is {due / q:.6g}"
            )
            return Wrong(words, (ran,))
    return None


def check_same_spikes(tester: Tester, trial: Trial) -> Wrong | None:
    """Both ways give the same spikes at the same times, and the same potentials."""
    one, other = tester.runs(trial)
    return _compare(one, other)


def _compare(one: Ran, other: Ran) -> Wrong | None:
    for mine, its in zip([*one.spikes, None], [*other.spikes, None]):
        if mine != its:
            texts = [_spike(x) for x in (mine, its)]
            return Wrong(f"{texts[0]}; the other way {texts[1]}", (one, other))
    for i, (mine, its) in enumerate(zip(one.p, other.p)):
        if mine != its:
            return Wrong(f"neuron {i} ends at another potential", (one, other))
    return None


def _spike(spike: tuple[int, int, int, int] | None) -> str:
    if spike is None:
        return "nothing more is fired"
    step, tick, neuron, n = spike
    return f"neuron {neuron} fires {n} in {when(step, tick)}"


def check_both_times(tester: Tester, trial: Trial) -> Wrong | None:
    """Clocked time and the order `clocked` give the same, up to the tick within a step."""
    one, other = tester.runs(trial)
    alike = [[(step, *spike) for step, _, *spike in ran.spikes] for ran in (one, other)]
    potentials = one.p == other.p
    if alike[0] == alike[1] and potentials:
        return None
    return _compare(one, other)


def check_counts(tester: Tester, trial: Trial) -> Wrong | None:
    """At rest each neuron has fired the same net number of spikes (law 2)."""
    one, other = tester.runs(trial)
    for i, (mine, its) in enumerate(zip(one.net, other.net)):
        if mine != its:
            words = f"neuron {i} comes to {mine} net spikes, the other way to {its}"
            return Wrong(words, (one, other))
    return None


def check_stages(tester: Tester, trial: Trial) -> Wrong | None:
    """The same spikes in the same steps in every order (section 13)."""
    one, other = tester.runs(trial)
    pairs = [sorted((step, i, n) for step, _, i, n in ran.spikes) for ran in (one, other)]
    if pairs[0] == pairs[1]:
        if one.paid == other.paid:
            return None
        return Wrong("spikes are worth other charges in one of two orders", (one, other))
    step, i, n = min(set(pairs[0]) ^ set(pairs[1]))
    return Wrong(f"neuron {i} fires {n} in step {step} in one of two orders", (one, other))


def check_compiled(tester: Tester, trial: Trial) -> Wrong | None:
    """The functions that numba compiled give what Python gives."""
    (one,) = tester.runs(trial)
    try:
        return _compare(one, tester.run_compiled(trial))
    except Unrest:
        return Wrong("what numba compiled fires without end", (one, None))


def _always(model: Any) -> bool:
    return True


def keeps_charge(model: Any) -> bool:
    """Whether law 1 binds a model: it says so, or its spikes take what they are worth."""
    leaks = hasattr(model, "decay") and float(model.decay()[0]) != 1
    weighted = hasattr(type(model), "charge") and model.reset == "subtract"
    return bool(model.conserves or (weighted and not leaks))


LAWS = (
    Law("rest", "no neuron fires without end", _always, each_way, check_rest),
    Law("signed", "no spike is taken back", lambda m: not m.signed, each_way, check_signed),
    Law("most", "one evaluation fires at most so many", _always, each_way, check_most),
    Law(
        "limits",
        "net spikes stay within 0 and the limit",
        lambda m: getattr(m, "limits", None) is not None,
        each_way,
        check_limits,
    ),
    Law("band", "nothing fires inside band()", _always, each_way, check_band),
    Law(
        "reset",
        "a spike takes away what `reset` says",
        lambda m: m.reset != "none",
        each_way,
        check_reset,
    ),
    Law(
        "conserves",
        "p = v(0) + arrivals - the charge of each spike",
        keeps_charge,
        each_way,
        check_conserves,
    ),
    Law(
        "holds",
        "nothing changes but at arrivals and spikes",
        lambda m: m.holds,
        asked,
        check_same_spikes,
    ),
    Law(
        "confluent",
        "counts at rest are the same in every order",
        lambda m: m.confluent,
        orders,
        check_counts,
    ),
    Law(
        "stages",
        "two stages: the same spikes in every order",
        lambda m: stages_of(m) == 2,
        stages,
        check_stages,
    ),
    Law(
        "clocked",
        "clocked time and order clocked give the same",
        lambda m: not by_tick(type(m)),
        both_times,
        check_both_times,
    ),
    Law("compiled", "numba's code gives what Python's does", _always, each_way, check_compiled),
)
