"""The options of a simulation but for its time and encoding, each told once.

`Time` and `Encoding` have theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventsnn.exceptions import InputError, named
from eventsnn.neurons import MODELS
from eventsnn.options import check_fields, choices_in_words, option
from eventsnn.simulation.arithmetic import KINDS
from eventsnn.simulation.time import MAX_STEPS

MODELS_IN_WORDS = (
    "the neuron model: integrate-and-fire with soft or hard reset, signed with memory (DNISNM) or "
    "with a negative threshold near 0 (Fast-SNN), bipolar with a spike tracer (SpikeZIP), group "
    "neurons (GN), bursts (BSN), leaky, with an adaptive threshold, two-phase probabilistic "
    "(TPP), in a binary code (few-spike; radix, of the quantised activation), with spikes weighted "
    "by phase, with two spikes (TSC) or one (TTFS; ttfs-exact: at its tick); with its own options "
    "behind a colon: "
)


@dataclass(frozen=True, kw_only=True)
class Specification:
    """What is simulated, and in which numbers.

    The fields are the options of `eventsnn.simulate`; their `Option` says what each does. Raises
    InputError for a value that is not allowed, and for an option without effect.
    """

    steps: int = option(
        32,
        "T, the number of time steps; each costs time, and accuracy grows with them",
        "--steps 64",
        kind=int,
        low=1,
        high=MAX_STEPS,
    )
    initial: Any = option(
        None,
        "v(0), the potential at the start, in thresholds (gn: of the first member; st-bif: in "
        "levels); default: 0.5, tpp and few-spike 0",
        "--initial 0",
        kind=None,
    )
    shift: bool = option(
        False,
        "bring half a threshold with the biases, theta / 2T in each step (Opt), in place of a v(0) "
        "of half a threshold, which is then 0 by default",
        "--shift --steps 8",
        kind=bool,
    )
    arithmetic: str = option(
        "fixed",
        "fixed: whole numbers of 2^-F, exact in any order of summation; or floating point",
        "--arithmetic float64",
        choices=KINDS,
    )
    fraction_bits: int | None = option(
        None,
        "F of fixed point; default: the largest for which no potential can overflow",
        "--fraction-bits 16",
        kind=int,
        low=1,
        high=40,
    )
    neuron: Any = option(
        "if",
        lambda: MODELS_IN_WORDS + choices_in_words(MODELS),
        "--neuron snm",
        choices=lambda: MODELS,
        kind=None,
    )
    tau: int | None = option(
        None,
        "members of a group neuron, as in gn:members; default: 4",
        "--neuron gn --tau 8",
        kind=int,
        low=1,
        high=256,
    )
    srp: int = option(
        0,
        "steps of a first stage, after which neurons with a residual potential below 0 fall "
        "silent (SRP); 0: none",
        "--srp 4",
        kind=int,
        low=0,
        high=MAX_STEPS,
    )
    srp_epsilon: float = option(
        0.0,
        "the least residual potential with which a neuron goes on sending, in thresholds",
        "--srp 4 --srp-epsilon 0.001",
        kind=float,
        low=-1000,
        high=1000,
    )
    offset: int = option(
        0,
        "steps before the run in which each layer, from input to output, finds a v(0) of its own "
        "for each neuron and image, one spike up or down (COS); 0: none",
        "--offset 4",
        kind=int,
        low=0,
        high=MAX_STEPS,
    )
    readout_from: int = option(
        0,
        "only what reaches the readout after step N counts, divided by T - N: leaves out the steps "
        "in which deep layers have not yet heard of the image; 0: all counts",
        "--readout-from 8",
        kind=int,
        low=0,
        high=MAX_STEPS - 1,
    )
    seed: int = option(0, "seed of everything random", "--seed 7", kind=int, low=0, high=2**63 - 1)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.fraction_bits is not None and self.arithmetic != "fixed":
            found = named("arithmetic", self.arithmetic)
            do = "floating point has no fraction bits to choose: leave one of the two options out"
            raise InputError(named("fraction_bits"), named("arithmetic", "fixed"), found, do)
        if self.readout_from >= self.steps:
            expected = f"fewer than the {named('steps', self.steps)}"
            do = "choose fewer, or more steps"
            raise InputError(named("readout_from"), expected, self.readout_from, do)
        if self.srp_epsilon and not self.srp:
            expected = f"{named('srp', 'N')}, the steps of a first stage"
            do = f"for example {named('srp', 4)}"
            raise InputError(named("srp_epsilon"), expected, named("srp", 0), do)
