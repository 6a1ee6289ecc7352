"""Neuron models: one file each, keeping the contract of `contract.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.neurons.bipolar import STBIF
from eventsnn.neurons.group import GN
from eventsnn.neurons.integrate_and_fire import IF, HardIF
from eventsnn.neurons.signed_memory import SNM

# makes a model, a NamedTuple, from q, the charge of one spike in the arithmetic's dtype
Maker = Callable[[Any], Any]


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


def _hard(q: Any) -> HardIF:
    return HardIF._make((q, q - q))


# name -> function of (network, tau) that returns the model's maker
MODELS: dict[str, Callable[[Layered, int], Any]] = {
    "if": lambda network, tau: IF,
    "if-hard": lambda network, tau: _hard,
    "snm": lambda network, tau: SNM,
    "st-bif": lambda network, tau: partial(STBIF, limits=levels(network)),
    "gn": lambda network, tau: partial(GN, members=tau),
}


def model(neuron: str | Maker, network: Layered, tau: int = 4) -> Maker:
    """The maker of a model: a function of q, the charge of one spike.

    neuron: the model's name in MODELS, or the maker itself. network: whose neurons they are. tau:
    members of a group neuron, 1 to 256. Raises InputError for another name or tau, and for ST-BIF
    neurons in a network whose activations are not quantised.
    """
    if callable(neuron):
        return neuron
    if neuron not in MODELS:
        expected = f"one of {', '.join(MODELS)}, or a function of q that makes a NamedTuple"
        do = "see eventsnn.neurons.contract for a model of your own"
        raise InputError("neuron", expected, repr(neuron), do)
    if not isinstance(tau, (int, np.integer)) or not 1 <= tau <= 256:
        raise InputError("tau", "a whole number of members from 1 to 256", repr(tau))
    return MODELS[neuron](network, int(tau))


def levels(network: Layered) -> NDArray[np.int64]:
    """The steps of each layer's quantised activation, int64 [L]; 1 for the readout.

    They are S_max (SpikeZIP eq. 1-2). A pool layer has those of the layer it pools. network: whose
    layers. Raises InputError for an activation that is not quantised.
    """
    found: list[int] = []
    for i, layer in enumerate(network.spiking):
        if layer.pools:
            found.append(found[network.into(i)[0].source])
        elif "levels" in layer.node.attrs:
            found.append(layer.node.attrs["levels"])
        else:
            expected = "a quantised activation (QCFS, QuantRelu) for st-bif neurons"
            do = "choose --neuron snm, or train the network with a quantised activation"
            raise InputError(f"node {layer.name!r}", expected, layer.node.op, do)
    return np.array([*found, 1], np.int64)


def quanta(neuron: Any, network: Layered) -> NDArray[np.float64]:
    """How many spikes each layer's threshold is worth, float64 [L]; 1 for the readout.

    neuron: the model, see `contract`. network: whose layers.
    """
    own = np.asarray(getattr(neuron, "quanta", 1), np.float64)
    given = np.broadcast_to(own, len(network.layers)).copy()
    given[-1] = 1
    return given
