"""The options of a conversion, each told once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventsnn.network.presets import PRESETS
from eventsnn.network.rules import RULES
from eventsnn.options import check_fields, option

DEAD = ("layer_max", "silent")
# how the name of a file of thresholds ends
GIVEN = ".json"


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How an ANN becomes a spiking network.

    The fields are the options of `eventsnn.convert` but for its calibration images; their `Option`
    says what each does. Raises InputError for a value that is not allowed.
    """

    thresholds: Any = option(
        "auto",
        "how each layer's threshold is found: its activation's own parameter (tcl, qcfs, lsq), "
        "the largest activation on the calibration images (max), a percentile of them, each "
        "neuron's own largest activation (dni), the least square error of a staircase of T steps "
        "(mse), the largest charge of a step in the SNN itself (spike-norm), one that learns from "
        "what exceeds it (local), or auto: the "
        "activation's own where it has one, "
        'else percentile; or a file that ends in .json and gives them, {"LAYER": NUMBER, …} with '
        "a number, or a nested list of numbers, for every activation",
        "--thresholds percentile",
        kind=None,
        choices=RULES,
        file=GIVEN,
    )
    percentile: float = option(
        99.9,
        "the percentile of a layer's activations that becomes its threshold, where the rule is "
        "percentile or auto",
        "--percentile 99.99",
        kind=float,
        low=0.001,
        high=100,
    )
    dead: str = option(
        "layer_max",
        "with dni, the threshold of neurons that are never active on the calibration images: the "
        "layer's largest, or none, which makes them silent",
        "--thresholds dni --dead silent",
        choices=DEAD,
    )
    steps: int | None = option(
        None,
        "T, the number of steps for which mse and spike-norm find thresholds; a run takes its own",
        "--thresholds mse --steps 8",
        kind=int,
        low=1,
        high=2**16,
    )
    threshold_scale: float = option(
        1.0,
        "a factor that all thresholds have: below 1 neurons saturate sooner and fire more often "
        "(0.7 to 0.9 is usual with spike-norm)",
        "--thresholds spike-norm --threshold-scale 0.8",
        kind=float,
        low=0.001,
        high=1000,
    )
    max_pooling: str = option(
        "exact",
        "what becomes of MaxPool: exact, the maximum of running sums of spikes; or average "
        "pooling, which makes it another function",
        "--max-pooling average",
        choices=("exact", "average"),
    )
    residual: str = option(
        "keep",
        "what becomes of residual connections: keep, or reroute them behind the activation "
        "(SpikeZIP 3.3), which makes it another function, for networks trained so",
        "--residual reroute",
        choices=("keep", "reroute"),
    )
    readout: str = option(
        "adds",
        "the output: adds up the charge that arrives, or fires, as neurons do",
        "--readout fires",
        choices=("adds", "fires"),
    )
    compat: str | None = option(
        None,
        "do as a paper's own code does where it differs from the paper; eventsnn.presets.PRESETS "
        "says how",
        "--compat srp-code --srp 4",
        choices=lambda: PRESETS,
    )

    def __post_init__(self) -> None:
        check_fields(self)
