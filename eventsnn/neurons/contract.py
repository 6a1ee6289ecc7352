"""What a neuron model is: a NamedTuple of its constants with four plain static functions.

    emit(neuron, layer, p, s)  how many spikes are fired (signed) at potential p after s net spikes
    settle(neuron, p, n)       the potential after firing n
    most(neuron)               the most spikes it can fire in one clocked step
    tie(neuron, layer, p, s)   whether p met a threshold exactly (semantics, section 4)

and, for Python alone, a method band() -> (low, high) and two attributes of the class. Potentials p
strictly between low and high fire nothing, nor does p at low or below while s is 0; where low is
None, nothing fires below high. `words` is the rule in a line. `signed` says whether n can be
negative. `layer` is the layer's number, for constants that differ from layer to layer.

Optional attributes. `quanta`: how many spikes a threshold is worth, a number (GN: its members) or
one for each layer (ST-BIF: its levels); default 1. Potentials count in q, the charge of one spike,
which is a threshold / quanta. `limits`: int64 [layers], the most net spikes of a neuron; a model
that has them keeps 0 <= s <= limits.

The engines call the stubs below; numba replaces each by the model's own function when it compiles,
so a model costs no branch and an engine knows no model. Class names must be unique: numba tells
NamedTuples apart by name and fields. Potentials and q have the arithmetic's dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload


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
