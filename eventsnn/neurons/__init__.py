"""Neuron models: one file each, keeping the contract of `contract.py`."""

from __future__ import annotations

from eventsnn.neurons.adaptive import Adaptive
from eventsnn.neurons.bipolar import STBIF, levels
from eventsnn.neurons.contract import Here, Layered, Setting, is_dynamic, random_bits, stages_of
from eventsnn.neurons.group import GN
from eventsnn.neurons.integrate_and_fire import IF, HardIF
from eventsnn.neurons.leaky import LIF
from eventsnn.neurons.making import MODELS, Maker, made, parsed, quanta, with_members
from eventsnn.neurons.signed_memory import SNM
from eventsnn.neurons.two_phase import TPP
from eventsnn.neurons.verifying import Verified, verify

__all__ = [
    "GN",
    "IF",
    "LIF",
    "MODELS",
    "SNM",
    "STBIF",
    "TPP",
    "Adaptive",
    "HardIF",
    "Here",
    "Layered",
    "Maker",
    "Setting",
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
