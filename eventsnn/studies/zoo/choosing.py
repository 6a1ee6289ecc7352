"""Which methods run on which networks, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.studies.zoo.methods import METHODS, REFERENCE, TRAINING, Method

# how a method is tried: function of (network's name, method), which raises InputError
Trying = Callable[[str, Method], Any]


class Chosen(NamedTuple):
    """A method that can run on a network, of `choose`.

    network, name: of the two. method: the method. tried: what trying it returned.
    """

    network: str
    name: str
    method: Method
    tried: Any


def choose(
    graphs: dict[str, Graph],
    names: Sequence[str],
    every: bool,
    trying: Trying,
    say: Callable[[str], object],
) -> list[Chosen]:
    """The methods of `names` that can run, on the first of the networks that each fits.

    Methods of trained activations run on every network that they fit. On the first network such a
    method is the reference itself, unless it runs otherwise, and is left out where all methods were
    asked for. The reference
    is always there, on the first network.

    graphs: name -> ANN; all methods run on the first. names: of methods. every: whether all were
    asked for, so that those that cannot run are left out, and `say` is called with a line for each.
    trying: see `Trying`. Raises InputError for a method that was asked for by name and cannot run.
    """
    first, *others = graphs
    found = []
    for name in dict.fromkeys((REFERENCE, *names)):
        method = METHODS.find(name, "methods")
        trained = TRAINING in method.needs
        places = [first, *(others if trained else ())]
        why = {place: method.misfit(graphs[place]) for place in places}
        same = not method.simulate and method.prepare is None
        if trained and same and every and not why[first]:
            why[first] = f"it is {REFERENCE} on this network, whose thresholds are its own"
        for place in places:
            if not why[place]:
                try:
                    found.append(Chosen(place, name, method, trying(place, method)))
                except InputError as error:
                    if not every:
                        raise
                    why[place] = error.flags
        if all(why.values()):
            if not every and name != REFERENCE:
                do = "leave it out, or give another network"
                raise InputError(f"method {name!r}", "a network that has it", why[first], do)
            say(f"left out: {name} ({why[first]})")
    return found
