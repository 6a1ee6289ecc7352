"""What a neuron model is: a NamedTuple of its constants with four plain static functions.

    emit(neuron, layer, p, s)  how many spikes are fired (signed) at potential p after s net spikes
    settle(neuron, p, n)       the potential after firing n
    most(neuron)               the most spikes it can fire in one clocked step
    tie(neuron, layer, p, s)   whether p met a threshold exactly (reported, see semantics: ties)

and, for Python alone, a method band() -> (low, high): p strictly between them fires nothing, nor
does p at low or below while s is 0 (low None: nothing fires there), and the class's attributes
`words` (the rule in a line) and `signed` (whether n can be negative). `layer` is the layer's
number, for constants that differ from layer to layer.

Optional attributes. `quanta`: how many spikes a threshold is worth, a number (GN: its members) or
one for each layer (ST-BIF: its levels); default 1. Potentials count in q, the charge of one spike,
which is a threshold / quanta. `limits`: int64 [layers], the most net spikes of a neuron; a model
that has them keeps 0 <= s <= limits.

The engines call the stubs below; numba replaces each by the model's own function when it compiles,
so a model costs no branch and an engine knows no model. Class names must be unique: numba tells
NamedTuples apart by name and fields. Potentials and q have the arithmetic's dtype.
"""

from numba.extending import overload


def emit(neuron, layer, p, s):
    return type(neuron).emit(neuron, layer, p, s)


def settle(neuron, p, n):
    return type(neuron).settle(neuron, p, n)


def most(neuron):
    return type(neuron).most(neuron)


def tie(neuron, layer, p, s):
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
