"""What a neuron model is: a NamedTuple of its constants with four plain static functions.

    emit(neuron, p, s)    how many spikes are fired (signed) at potential p after s net spikes
    settle(neuron, p, n)  the potential after firing n
    most(neuron)          the most spikes it can fire in one clocked step
    tie(neuron, p, s)     whether p met a threshold exactly (reported, see semantics: ties)

The engines call the stubs below; numba replaces each by the model's own function when it compiles,
so a model costs no branch and an engine knows no model. Class names must be unique: numba tells
NamedTuples apart by name and fields. Potentials and thresholds have the arithmetic's dtype.
"""
from numba.extending import overload


def emit(neuron, p, s):
    return type(neuron).emit(neuron, p, s)


def settle(neuron, p, n):
    return type(neuron).settle(neuron, p, n)


def most(neuron):
    return type(neuron).most(neuron)


def tie(neuron, p, s):
    return type(neuron).tie(neuron, p, s)


@overload(emit)
def _emit(neuron, p, s):
    return neuron.instance_class.emit


@overload(settle)
def _settle(neuron, p, n):
    return neuron.instance_class.settle


@overload(most)
def _most(neuron):
    return neuron.instance_class.most


@overload(tie)
def _tie(neuron, p, s):
    return neuron.instance_class.tie
