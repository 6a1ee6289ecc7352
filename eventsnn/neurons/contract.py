"""What a neuron model is (semantics, section 13): a NamedTuple of constants with static functions.

    emit(neuron, layer, p, s)  how many spikes are fired (signed) at potential p after s net spikes
    settle(neuron, p, n)       the potential after firing n
    most(neuron)               the most spikes it can fire in one clocked step
    tie(neuron, layer, p, s)   whether p met a threshold exactly (semantics, section 4)

Constants are fields: numbers, arrays, None, or tuples of these (what else stands there, no function
can read). The first is q, the charge of one spike, which the engine fills in; the others are the
model's own and have defaults. `layer` is the layer's number, for constants that differ from
layer to layer. Potentials p and q have the arithmetic's dtype.

For Python alone, attributes of the class. Studies ask them, never the type:

    words      the rule in a line
    conserves  whether p = v(0) + arrivals - q * net spikes, always (law 1)
    confluent  whether counts at rest depend on the charge alone (law 2)
    holds      whether p and the condition for firing change at arrivals and spikes only
    signed     whether n can be negative
    reset      "subtract", "zero", or "none": none of the two

and a method band() -> (low, high): potentials strictly between fire nothing, nor does p at low or
below while s is 0; where low is None, nothing fires below high.

All else is optional. `quanta`: how many spikes a threshold is worth, a number (GN: its members) or
one for each layer (ST-BIF: its levels); potentials count in q, which is a threshold / quanta.
`limits`: int64 [layers], the most net spikes of a neuron; a model that has them keeps 0 <= s <=
limits. `stages`: 2 for a model that hears everything before it may fire. `initial`: its own v(0),
in q. `encoding`: the encoding that it needs. `options`: field -> `Option`, what users may choose.
fit(neuron, setting): the model with all its constants, where it needs more than q (see `Setting`).

A model may also have

    decay(neuron)         the leak of p in a step, then of each state of its own: 1 is none
    own, first(neuron)    names of states beside p, and their values at the beginning (0)
    charge(neuron, step)  what a spike of this step, from 1, is worth: a whole number
    charge(neuron, here)  likewise of this tick: it does not rise within a step, the neuron fires
                          once in a run, and there is no clocked time (section 13)
    when(neuron, layer, p, s, here)  the tick at which it would fire if nothing more came, or -1

`emit`, `settle`, `tie` take `here` as their last argument where they need it: see `Here`. A model
with states of its own changes them there, and fires one spike at a time.

The engines call the stubs below; numba replaces each by the model's own function when it compiles,
so a model costs no branch and an engine knows no model. Class names must be unique: numba tells
NamedTuples apart by name and fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from eventsnn.exceptions import InputError

# what a declaration says, for messages
NEEDS = {
    "conserves": "keeps all charge but for q a spike",
    "confluent": "comes to the same counts in every order",
    "holds": "changes at arrivals and spikes only",
}
# how a line begins in which numba says what it does not compile
TOLD = (
    "Untyped global name",
    "Unknown attribute",
    "No implementation of function",
    "Cannot unify",
    "Invalid use of",
    "Use of unsupported",
    "Unsupported",
    "Undecided type",
    "NameError",
)
DYNAMIC = ("decay", "own", "charge", "when")


class Here(NamedTuple):
    """Where and when a neuron is asked.

    own: the arithmetic's dtype [neurons, K], the neurons' own states; its own are own[number].
    number: its number among all neurons. neuron: in its layer. step: from 1; of the second stage
    where a model has two. now: the tick. began: the tick at which the step began. ticks: of a step.
    image: the image's number in its data set.
    """

    own: NDArray[Any]
    number: int
    neuron: int
    step: int
    now: int
    began: int
    ticks: int
    image: int


NOWHERE = Here(np.zeros((1, 0)), 0, 0, 1, 0, 0, 1, 0)


class Layered(Protocol):
    """What models ask of a network; see `network.network.Network`."""

    @property
    def layers(self) -> Sequence[Any]:
        """All layers, the readout last."""

    @property
    def spiking(self) -> Sequence[Any]:
        """The layers that send spikes: all but the readout."""

    def into(self, target: int) -> Sequence[Any]:
        """The projections that arrive at layer number `target`."""


class Setting(NamedTuple):
    """What a model may ask of a simulation when it is made.

    q: the charge of one spike, in the arithmetic's dtype. network: whose neurons they are. steps:
    T. seed: of everything random. ticks: of a step.
    """

    q: Any
    network: Layered
    steps: int
    seed: int
    ticks: int = 1


def emit(neuron: Any, layer: int, p: Any, s: int | np.integer[Any]) -> int:
    """How many spikes a neuron fires, negative ones as a negative number; 0: none.

    neuron: the model. layer: its layer's number. p: its potential, in the arithmetic's dtype. s:
    its net spikes so far.
    """
    return type(neuron).emit(neuron, layer, p, s)


def settle(neuron: Any, p: Any, n: int | np.integer[Any]) -> Any:
    """The potential after firing, in the arithmetic's dtype.

    neuron: the model. p: the potential before, in the arithmetic's dtype. n: how many spikes are
    fired, signed, not 0.
    """
    return type(neuron).settle(neuron, p, n)


def most(neuron: Any) -> int:
    """The most spikes that a neuron can fire in one clocked step. neuron: the model."""
    return type(neuron).most(neuron)


def tie(neuron: Any, layer: int, p: Any, s: int | np.integer[Any]) -> bool:
    """Whether a potential met a threshold exactly. Parameters as for `emit`."""
    return type(neuron).tie(neuron, layer, p, s)


def emit_here(neuron: Any, layer: int, p: Any, s: int | np.integer[Any], here: Here) -> int:
    """`emit` of a model that may ask where it is. here: where and when; the others as there."""
    ask = type(neuron).emit
    return ask(neuron, layer, p, s, here) if takes_here(ask) else ask(neuron, layer, p, s)


def settle_here(neuron: Any, p: Any, n: int | np.integer[Any], here: Here) -> Any:
    """`settle` of a model that may ask where it is. here: where and when; the others as there."""
    ask = type(neuron).settle
    return ask(neuron, p, n, here) if takes_here(ask) else ask(neuron, p, n)


def tie_here(neuron: Any, layer: int, p: Any, s: int | np.integer[Any], here: Here) -> bool:
    """`tie` of a model that may ask where it is. here: where and when; the others as there."""
    ask = type(neuron).tie
    return ask(neuron, layer, p, s, here) if takes_here(ask) else ask(neuron, layer, p, s)


def worth(neuron: Any, step: int) -> int:
    """What a spike is worth, in the charge of one. neuron: the model. step: from 1, of emission."""
    return type(neuron).charge(neuron, step) if hasattr(type(neuron), "charge") else 1


def worth_here(neuron: Any, here: Here) -> int:
    """`worth` of a model that may ask where it is. neuron: the model. here: where, of emission."""
    if by_tick(type(neuron)):
        return type(neuron).charge(neuron, here)
    return worth(neuron, here.step)


def when(neuron: Any, layer: int, p: Any, s: int | np.integer[Any], here: Here) -> int:
    """The tick at which it would fire if nothing more came, or -1. Parameters as `emit_here`."""
    if not hasattr(type(neuron), "when"):
        return -1
    return type(neuron).when(neuron, layer, p, s, here)


def random_bits(seed: int, a: int, b: int, c: int, d: int) -> int | np.uint64:
    """53 random bits that depend on the arguments alone: SplitMix64 chained over them, >> 11.

    seed, a, b, c, d: whole numbers from 0, such as those of image, layer, neuron and step. It may
    be called in a model's functions.
    """
    h = _mixed(seed)
    for x in (a, b, c, d):
        h = _mixed(h ^ int(x))
    return h >> 11


@lru_cache(maxsize=256)
def takes_here(function: Callable[..., Any]) -> bool:
    """Whether a model's function has `here` as its last parameter. function: of a model."""
    return list(inspect.signature(function).parameters)[-1:] == ["here"]


def by_tick(model: type) -> bool:
    """Whether what a spike is worth depends on its tick. model: its class."""
    charge = getattr(model, "charge", None)
    return charge is not None and takes_here(charge)


def is_dynamic(model: type) -> bool:
    """Whether a model has more than a potential and a threshold, so that each arrival counts.

    model: its class. Such a model has a leak, states of its own, spikes of changing worth, a firing
    time of its own, two stages, or functions that ask where they are.
    """
    if getattr(model, "stages", 1) != 1 or any(getattr(model, name, None) for name in DYNAMIC):
        return True
    return any(takes_here(getattr(model, name)) for name in ("emit", "settle", "tie"))


def is_soft_reset(neuron: Any) -> bool:
    """Whether a model is integrate-and-fire with soft reset, by what it declares.

    neuron: the model in a simulation's numbers. It conserves and holds, is never signed, has no
    limits, and fires one spike at a time from q on.
    """
    declared = neuron.conserves and neuron.holds and not neuron.signed and not neuron.confluent
    if not declared or getattr(neuron, "limits", None) is not None or most(neuron) != 1:
        return False
    q = neuron[0]
    fires = all(emit_here(neuron, 0, p, 0, NOWHERE) == 1 for p in (q, 2 * q))
    return fires and not is_dynamic(type(neuron)) and neuron.band() == (None, q)


def check_declared(neuron: Any, study: str, *needs: str) -> None:
    """Raises InputError for a model that does not declare what a study needs.

    neuron: the model. study: its name, for the message. needs: "conserves", "confluent" or "holds".
    """
    for need in needs:
        if not getattr(neuron, need):
            expected = f"a neuron model that {NEEDS[need]}"
            found = f"{type(neuron).__name__}, which declares {need} = False"
            raise InputError(study, expected, found, "choose another model (semantics, section 13)")


def why_refused(error: Exception) -> str:
    """What numba says, in a line, of functions that it does not compile. error: that it raised."""
    lines = [line.strip(" >") for line in str(error).splitlines()] or [type(error).__name__]
    return ([line for line in lines if line.startswith(TOLD)] or [lines[0]])[-1]


def own_states(neuron: Any) -> tuple[str, ...]:
    """The names of a model's states beside the potential. neuron: the model, or its class."""
    return tuple(getattr(neuron, "own", ()))


def own_at_first(neuron: Any, neurons: int, dtype: Any) -> NDArray[Any]:
    """The neurons' own states at the beginning: an array [neurons, K].

    neuron: the model, of which K is. neurons: how many there are. dtype: the arithmetic's.
    """
    own = np.zeros((neurons, len(own_states(neuron))), dtype)
    if hasattr(neuron, "first"):
        own[:] = neuron.first()
    return own


def stages_of(neuron: Any) -> int:
    """1, or 2 for a model that hears everything before it fires. neuron: the model."""
    return int(getattr(neuron, "stages", 1))


def leaks(neuron: Any) -> tuple[float, ...]:
    """The leak in a step of the potential and of each own state; () where nothing leaks.

    neuron: the model.
    """
    found = tuple(float(leak) for leak in neuron.decay()) if hasattr(neuron, "decay") else ()
    return found if any(leak != 1 for leak in found) else ()


def _mixed(x: int) -> int:
    """SplitMix64 of a whole number (Steele, Lea, Flood 2014)."""
    low = 2**64 - 1
    x = (int(x) + 0x9E3779B97F4A7C15) & low
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & low
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & low
    return x ^ (x >> 31)


@overload(emit)
def _emit(neuron, layer, p, s):
    return neuron.instance_class.emit


@overload(settle)
def _settle(neuron, p, n):
    return neuron.instance_class.settle


@overload(most)
def _most(neuron):
    return neuron.instance_class.most


@overload(tie)
def _tie(neuron, layer, p, s):
    return neuron.instance_class.tie


@overload(emit_here)
def _emit_here(neuron, layer, p, s, here):
    if takes_here(neuron.instance_class.emit):
        return neuron.instance_class.emit
    return lambda neuron, layer, p, s, here: emit(neuron, layer, p, s)


@overload(settle_here)
def _settle_here(neuron, p, n, here):
    if takes_here(neuron.instance_class.settle):
        return neuron.instance_class.settle
    return lambda neuron, p, n, here: settle(neuron, p, n)


@overload(tie_here)
def _tie_here(neuron, layer, p, s, here):
    if takes_here(neuron.instance_class.tie):
        return neuron.instance_class.tie
    return lambda neuron, layer, p, s, here: tie(neuron, layer, p, s)


@overload(worth)
def _worth(neuron, step):
    if hasattr(neuron.instance_class, "charge"):
        return neuron.instance_class.charge
    return lambda neuron, step: 1


@overload(worth_here)
def _worth_here(neuron, here):
    if by_tick(neuron.instance_class):
        return neuron.instance_class.charge
    return lambda neuron, here: worth(neuron, here.step)


@overload(when)
def _when(neuron, layer, p, s, here):
    if hasattr(neuron.instance_class, "when"):
        return neuron.instance_class.when
    return lambda neuron, layer, p, s, here: -1


@overload(random_bits)
def _random_bits(seed, a, b, c, d):
    def bits(seed, a, b, c, d):
        h = np.uint64(0)
        for x in (np.uint64(seed), np.uint64(a), np.uint64(b), np.uint64(c), np.uint64(d)):
            h = (h ^ x) + np.uint64(0x9E3779B97F4A7C15)
            h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            h = h ^ (h >> np.uint64(31))
        return h >> np.uint64(11)

    return bits
