"""Models with more than a potential (semantics, section 13), for the engines and for the twin."""

from typing import Any, NamedTuple

import pytest
from support import twin, twin_codes


class _One(NamedTuple):
    theta: Any = None


class Soft(_One):
    """What the models below have in common: integrate-and-fire with soft reset."""

    __slots__ = ()
    words = "IF"
    conserves = True
    confluent = False
    holds = False
    signed = False
    reset = "subtract"

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.theta else 0

    @staticmethod
    def settle(neuron, p, n):
        return p - neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s):
        return p == neuron.theta

    @staticmethod
    def most(neuron):
        return 1

    def band(self):
        return None, self.theta


class Impatient(Soft):
    """Own state: each evaluation without a spike lowers the threshold by an eighth."""

    __slots__ = ()
    own = ("b",)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        if p + here.own[here.number, 0] >= neuron.theta:
            return 1
        here.own[here.number, 0] += neuron.theta // 8
        return 0

    @staticmethod
    def settle(neuron, p, n, here):
        here.own[here.number, 0] = 0
        return p - neuron.theta

    @staticmethod
    def tie(neuron, layer, p, s, here):
        return p + here.own[here.number, 0] == neuron.theta

    def band(self):
        return -10 * self.theta, -9 * self.theta


class Weighted(Soft):
    """What a spike is worth falls: 3, 2, 1, 0, 3, … steps; settle takes as much."""

    __slots__ = ()
    conserves = False
    reset = "none"

    @staticmethod
    def charge(neuron, step):
        return 3 - (step - 1) % 4

    @staticmethod
    def emit(neuron, layer, p, s, here):
        return 1 if p >= neuron.theta and here.step % 4 != 0 and s < 3 * here.step else 0

    @staticmethod
    def settle(neuron, p, n):
        return p


class FirstSpike(Soft):
    """A firing time of its own: the larger p, the sooner; it fires once."""

    __slots__ = ()
    own = ("t",)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        waits = p > 0 and s == 0
        if waits and 0 < here.own[here.number, 0] <= here.now:
            return 1
        here.own[here.number, 0] = 0
        if waits:
            later = max(0, 4 * neuron.theta - p) * 90 // neuron.theta
            here.own[here.number, 0] = here.now + 1 + later
        return 0

    @staticmethod
    def tie(neuron, layer, p, s):
        return False

    @staticmethod
    def when(neuron, layer, p, s, here):
        due = here.own[here.number, 0]
        return due if due > here.now else -1

    def band(self):
        return None, 1


class TwinImpatient(twin.Model):
    def initial(self, theta):
        return {"b": 0}

    def quantum(self, theta):
        return theta

    def equal(self, p, S, theta, own, now, step):
        return p + own["b"] == theta

    def emit(self, p, S, theta, own, now, step):
        if p + own["b"] >= theta:
            own["b"] = 0
            return [(1, 1)], p - theta
        own["b"] += theta // 8
        return [], p


class TwinWeighted(twin.Model):
    def charge(self, step):
        return 3 - (step - 1) % 4

    def quantum(self, theta):
        return theta

    def equal(self, p, S, theta, own, now, step):
        return p == theta

    def emit(self, p, S, theta, own, now, step):
        return ([(1, 1)], p) if p >= theta and step % 4 and S < 3 * step else ([], p)


class TwinFirstSpike(twin.Model):
    def initial(self, theta):
        return {"t": 0}

    def quantum(self, theta):
        return theta

    def equal(self, p, S, theta, own, now, step):
        return False

    def emit(self, p, S, theta, own, now, step):
        waits = p > 0 and S == 0
        if waits and 0 < own["t"] <= now:
            return [(1, 1)], p - theta
        own["t"] = now + 1 + max(0, 4 * theta - p) * 90 // theta if waits else 0
        return [], p

    def when(self, p, S, theta, own, now, step):
        return own["t"] if own["t"] > now else None


# name -> (the engines' model, function of a simulation that returns the twin's)
DYNAMIC = {
    "lif": ("lif:0.7", lambda simulation: twin.LIF(0.7)),
    "adaptive": (
        "adaptive:0.3,0.6",
        lambda simulation: twin.Adaptive(simulation.neuron.rise.item(), 0.6),
    ),
    "impatient": (Impatient, lambda simulation: TwinImpatient()),
    "weighted": (Weighted, lambda simulation: TwinWeighted()),
    "phase:3": ("phase:3", lambda simulation: twin_codes.Phase(3)),
    "first spike": (FirstSpike, lambda simulation: TwinFirstSpike()),
}
IN_FLOATS = ("lif",)  # each is compiled once more
# what others have, too: phases have weights, few-spike and tsc have stages and weights. Each
# model takes some seconds to compile
ALIKE = ("weighted", "radix", "ttfs")
# what others have in the event engine, too, where a model takes three times as long to compile:
# few-spike has weights and stages, first spike has states and is no model of eventsnn's own
ALIKE_IN_EVENTS = (*ALIKE, "impatient", "phase:3", "tsc")


def some(names, alike=ALIKE):
    """Parameters of a test, of which those in `alike` are left to `pytest -m long`."""
    return [pytest.param(name, marks=pytest.mark.long if name in alike else ()) for name in names]


# models of two stages: name -> function of a simulation that returns the twin's
STAGED = {
    "tpp": lambda simulation: twin.TPP(5, 3),
    "few-spike": lambda simulation: twin_codes.FewSpike(simulation.steps),
    "radix": lambda simulation: [
        twin_codes.Radix(simulation.steps, int(top)) for top in simulation.neuron.tops
    ],
    "tsc": lambda simulation: twin_codes.TSC(simulation.steps),
    "ttfs": lambda simulation: twin_codes.TTFS(simulation.steps),
}
