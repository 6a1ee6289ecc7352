"""Neuron models: one file each, keeping the contract of `contract.py`."""

from functools import partial

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.neurons.bipolar import STBIF
from eventsnn.neurons.group import GN
from eventsnn.neurons.integrate_and_fire import IF, HardIF
from eventsnn.neurons.signed_memory import SNM

# name -> function of (network, tau) that gives a function of q, the charge of one spike in the
# arithmetic's dtype
MODELS = {
    "if": lambda network, tau: IF,
    "if-hard": lambda network, tau: lambda q: HardIF(q, q - q),
    "snm": lambda network, tau: SNM,
    "st-bif": lambda network, tau: partial(STBIF, limits=levels(network)),
    "gn": lambda network, tau: partial(GN, members=tau),
}


def model(neuron, network, tau=4):
    """The maker of a model, a function of q: by its name in MODELS, or as given. tau: members of a
    group neuron.
    """
    if callable(neuron):
        return neuron
    if neuron not in MODELS:
        raise InputError(
            "neuron",
            f"one of {', '.join(MODELS)}, or a function of q that makes a NamedTuple",
            repr(neuron),
            "see eventsnn.neurons.contract for a model of your own",
        )
    if not isinstance(tau, (int, np.integer)) or not 1 <= tau <= 256:
        raise InputError("tau", "a whole number of members from 1 to 256", repr(tau))
    return MODELS[neuron](network, int(tau))


def levels(network):
    """int64 [layers]: the steps of each layer's quantised activation, S_max (SpikeZIP eq. 1-2); 1
    for the readout.
    """
    found = []
    for i, layer in enumerate(network.spiking):
        if layer.pools:
            found.append(found[network.into(i)[0].source])
        elif "levels" in layer.node.attrs:
            found.append(layer.node.attrs["levels"])
        else:
            raise InputError(
                f"node {layer.name!r}",
                "a quantised activation (QCFS, QuantRelu) for st-bif neurons",
                layer.node.op,
                "choose --neuron snm, or train the network with a quantised activation",
            )
    return np.array([*found, 1], np.int64)


def quanta(neuron, network):
    """float64 [layers]: how many spikes each layer's threshold is worth (`contract`); 1 for the
    readout.
    """
    given = np.broadcast_to(
        np.asarray(getattr(neuron, "quanta", 1), np.float64), len(network.layers)
    ).copy()
    given[-1] = 1
    return given
