"""Models by name, and as a simulation needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn import options
from eventsnn.exceptions import InputError, named, one_line
from eventsnn.neurons.adaptive import Adaptive
from eventsnn.neurons.bipolar import STBIF
from eventsnn.neurons.burst import Burst
from eventsnn.neurons.check import check_class, check_model
from eventsnn.neurons.contract import Layered, Setting
from eventsnn.neurons.exact_time import ExactTTFS
from eventsnn.neurons.few_spike import FewSpike
from eventsnn.neurons.first_spike import TTFS
from eventsnn.neurons.group import GN
from eventsnn.neurons.integrate_and_fire import IF, HardIF
from eventsnn.neurons.leaky import LIF
from eventsnn.neurons.phase import Phase
from eventsnn.neurons.radix import Radix
from eventsnn.neurons.signed import Signed
from eventsnn.neurons.signed_memory import SNM
from eventsnn.neurons.temporal_switch import TSC
from eventsnn.neurons.two_phase import TPP
from eventsnn.registry import Registry

# makes a model, a NamedTuple, from q, the charge of one spike in the arithmetic's dtype
Maker = Callable[[Any], Any]

MODELS: Registry[Any] = Registry(
    "model",
    {
        "if": IF,
        "if-hard": HardIF,
        "snm": SNM,
        "signed": Signed,
        "st-bif": STBIF,
        "gn": GN,
        "burst": Burst,
        "lif": LIF,
        "adaptive": Adaptive,
        "tpp": TPP,
        "few-spike": FewSpike,
        "radix": Radix,
        "phase": Phase,
        "tsc": TSC,
        "ttfs": TTFS,
        "ttfs-exact": ExactTTFS,
    },
    check_class,
)


def parsed(text: str) -> Any:
    """The model that a text names, with its options, such as "gn", "gn:8" or "lif:leak=0.95".

    text: see `options.parsed`, which says what is raised.
    """
    _, model, given = options.parsed(MODELS, text, "neuron")
    return _bare(model)._replace(**given) if isinstance(model, type) else model


def with_members(neuron: Any, members: int | None) -> Any:
    """A model, with the members of its groups where they are given beside it.

    neuron: as in `made`. members: of a group neuron; None: what `neuron` says. Raises InputError
    for members of any other model.
    """
    if members is None:
        return neuron
    if neuron not in ("gn", GN):
        do = "leave it out, or choose gn"
        raise InputError(named("tau"), "group neurons (gn), of which it is the members", neuron, do)
    options.check_given(GN, {"members": members}, "neuron 'gn'")
    return GN(members=int(members))


def made(neuron: Any, setting: Setting) -> Any:
    """A model in the numbers of a simulation: a NamedTuple, checked against its declarations.

    Parameters as for `fitted`, which says what is raised; so is InputError for a model that does
    not do as it declares.
    """
    model = fitted(neuron, setting)
    check_model(model)
    return model


def fitted(neuron: Any, setting: Setting) -> Any:
    """A model in the numbers of a simulation: a NamedTuple, which was not tried yet.

    neuron: a text (see `parsed`); a model such as GN(members=8); its class; or a function of q, the
    charge of one spike, that returns one. setting: the simulation. Raises InputError for anything
    else, for options that are not allowed, and for a model that does not keep the contract.
    """
    spec = parsed(neuron) if isinstance(neuron, str) else neuron
    if isinstance(spec, type):
        check_class(spec.__name__, spec)
        spec = _bare(spec)
    if isinstance(spec, tuple) and hasattr(spec, "_replace"):
        check_class(type(spec).__name__, type(spec))
        given = {key: getattr(spec, key) for key in getattr(spec, "options", {})}
        options.check_given(spec, given, f"neuron {type(spec).__name__}")
        model = _fit(spec, setting)
    elif callable(spec):
        model = _called(spec, setting.q)
    else:
        expected = f"one of {', '.join(MODELS)}, a model, or a function of q that makes one"
        raise InputError("neuron", expected, repr(neuron), "see eventsnn.neurons.contract")
    return model


def _bare(model: type) -> Any:
    """A model of this class with its defaults; the first field, q, is filled in later."""
    try:
        return model(None)
    except TypeError:
        where = f"neuron {model.__name__}"
        raise InputError(
            where, "defaults for all fields behind the first, q", "none for some"
        ) from None


def _fit(spec: Any, setting: Setting) -> Any:
    if hasattr(spec, "fit"):
        return spec.fit(setting)
    return spec._replace(**{spec._fields[0]: setting.q})


def _called(function: Maker, q: Any) -> Any:
    try:
        model = function(q)
    except InputError:
        raise
    except Exception as error:  # whatever a user's function does
        found = one_line(f"{type(error).__name__}: {error}", 200)
        raise InputError("neuron", "a function of q, the charge of one spike", found) from error
    if not (isinstance(model, tuple) and hasattr(model, "_fields")):
        raise InputError("neuron", "a function that returns a NamedTuple", repr(model))
    check_class(type(model).__name__, type(model))
    return model


def quanta(neuron: Any, network: Layered) -> NDArray[np.float64]:
    """How many spikes each layer's threshold is worth, float64 [L]; 1 for the readout.

    neuron: the model, see `contract`. network: whose layers.
    """
    own = np.asarray(getattr(neuron, "quanta", 1), np.float64)
    given = np.broadcast_to(own, len(network.layers)).copy()
    given[-1] = 1
    return given
