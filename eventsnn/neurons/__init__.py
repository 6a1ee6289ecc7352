"""Neuron models: one file each, keeping the contract of `contract.py`."""
from eventsnn.checks import InputError
from eventsnn.neurons.integrate_and_fire import IF, HardIF
from eventsnn.neurons.signed_memory import SNM

# name -> function of the threshold (in the arithmetic's dtype) that makes the neuron
MODELS = {"if": IF, "if-hard": lambda theta: HardIF(theta, theta - theta), "snm": SNM}


def model(neuron):
    """The maker of a model: by its name in MODELS, or a function of the threshold, as given."""
    if callable(neuron):
        return neuron
    if neuron not in MODELS:
        raise InputError("neuron", f"one of {', '.join(MODELS)}", repr(neuron))
    return MODELS[neuron]
