"""Neuron models: one file each, keeping the contract of `contract.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventsnn.neurons.adaptive import Adaptive
from eventsnn.neurons.bipolar import STBIF, levels
from eventsnn.neurons.burst import Burst
from eventsnn.neurons.contract import Here, Layered, Setting, is_dynamic, random_bits, stages_of
from eventsnn.neurons.exact_time import ExactTTFS
from eventsnn.neurons.few_spike import FewSpike
from eventsnn.neurons.first_spike import TTFS
from eventsnn.neurons.group import GN
from eventsnn.neurons.integrate_and_fire import IF, HardIF
from eventsnn.neurons.leaky import LIF
from eventsnn.neurons.making import MODELS, Maker, made, parsed, quanta, with_members
from eventsnn.neurons.phase import Phase
from eventsnn.neurons.radix import Radix
from eventsnn.neurons.signed import Signed
from eventsnn.neurons.signed_memory import SNM
from eventsnn.neurons.temporal_switch import TSC
from eventsnn.neurons.two_phase import TPP

if TYPE_CHECKING:
    from eventsnn.neurons.verifying import Verified as Verified
    from eventsnn.neurons.verifying import verify as verify

__all__ = [
    "GN",
    "IF",
    "LIF",
    "MODELS",
    "SNM",
    "STBIF",
    "TPP",
    "TSC",
    "TTFS",
    "Adaptive",
    "Burst",
    "ExactTTFS",
    "FewSpike",
    "HardIF",
    "Here",
    "Layered",
    "Maker",
    "Phase",
    "Radix",
    "Setting",
    "Signed",
    "Verified",
    "is_dynamic",
    "levels",
    "made",
    "parsed",
    "quanta",
    "random_bits",
    "stages_of",
    "verify",
    "with_members",
]


def __getattr__(name: str) -> Any:
    """`verify` and `Verified` are imported on first use, since no run needs them."""
    if name not in ("Verified", "verify"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from eventsnn.neurons import verifying

    return getattr(verifying, name)
