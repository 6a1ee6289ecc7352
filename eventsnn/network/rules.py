"""The rules by which thresholds are found, by name (semantics, section 2).

A rule of one's own is added under a name, which `convert` and the command line then take:

    RULES.add("half", Rule("half of the largest activation", half, calibrated=True))

Another package offers rules as entry points of the group `eventsnn.threshold_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventsnn.exceptions import InputError
from eventsnn.registry import Registry

if TYPE_CHECKING:  # the command line's --help asks for names, and goes without numpy
    import numpy as np
    from numpy.typing import NDArray

    from eventsnn.ann.graph import Graph
    from eventsnn.ann.node import Node
    from eventsnn.network.running import Maxima, Percentile

# the options of `convert` that a rule may use, and their defaults
OPTIONS: dict[str, Any] = {"percentile": 99.9, "dead": "layer_max", "steps": None}
CHOSEN = ("percentile", "dead")  # those that a run has for its rule alone; its T counts, too
OWN = {"ClippedRelu": "tcl", "QCFS": "qcfs", "QuantRelu": "lsq", "SlipRelu": "slip"}


@dataclass(frozen=True)
class Rule:
    """How the threshold of a layer is found.

    words: the rule in a few words, for reports.
    theta: a function that gives the threshold: a number, or an array of the activation's shape
        ([C, H, W] or [features]) or [C], in units of the activation, all above 0. It takes one of
        these, and the options of `uses` as keywords:
        - (node), the activation: it may also give the name of another rule, which then decides;
        - where `calibrated`: (layer, activations), the activation's name and what it is on all
          calibration images, float32 [N, ...];
        - where `running`: (shape, images), the activation's shape and the number of calibration
          images. It gives an object with the methods add(activations), float32 [n, ...] of some
          images, and theta(), so that activations need not be held;
        - where `whole`: (graph, pixels, names), the ANN, all calibration images, raw, and the
          activations that are asked for, from input to output. It gives a mapping, name -> theta.
    calibrated: whether it looks at activations on the calibration images.
    running: whether it sees them some images at a time; only with `calibrated`.
    uses: of "percentile", "dead" and "steps", the options of `convert` that it takes.
    whole: whether it finds all layers' thresholds at once, as one hangs on those before; only with
        `calibrated`.
    """

    words: str
    theta: Callable[..., Any]
    calibrated: bool = False
    running: bool = False
    uses: tuple[str, ...] = ()
    whole: bool = False

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function: two rules are the same where it is from the same place."""
        return self.theta

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those options that the rule uses. given: name -> value of all of OPTIONS."""
        return {name: given[name] for name in self.uses}


def users_of(option: str) -> list[str]:
    """The names of eventsnn's own rules that use an option. option: a key of OPTIONS."""
    return [name for name, rule in BUILT_IN.items() if option in rule.uses]


def uses_steps(thresholds: Any) -> bool:
    """Whether thresholds are found for a number of steps. thresholds: a rule's name, or a file."""
    return thresholds in RULES and "steps" in RULES.find(thresholds).uses


def _check(name: str, rule: Any) -> None:
    """Raises InputError for what is no usable Rule. name: what it is called."""
    where = f"threshold rule {name!r}"
    if not isinstance(rule, Rule):
        do = "wrap the function: Rule('what it takes', function, calibrated=True)"
        raise InputError(where, "an eventsnn.network.rules.Rule", repr(rule), do)
    if not isinstance(rule.words, str) or not rule.words.strip():
        raise InputError(where, "words that describe it", repr(rule.words))
    if not callable(rule.theta):
        raise InputError(where, "a function as theta", repr(rule.theta))
    for kind in ("running", "whole"):
        if getattr(rule, kind) and not rule.calibrated:
            raise InputError(where, f"calibrated=True, since it is {kind}", "calibrated=False")
    if rule.running and rule.whole:
        raise InputError(where, "running or whole", "both", "leave one of them out")
    unknown = [option for option in rule.uses if option not in OPTIONS]
    if unknown:
        raise InputError(where, f"uses among {', '.join(OPTIONS)}", repr(unknown[0]))


def _auto(node: Node, percentile: float) -> str:
    """The rule of the activation's own parameter, or else "percentile"."""
    return OWN.get(node.op, "percentile")


def _own(rule: str) -> Callable[[Node], float]:
    """The function of a rule that takes an activation's own parameter. rule: a value of OWN."""

    def theta(node: Node) -> float:
        if OWN.get(node.op) != rule:
            expected = f"an activation with a parameter for thresholds={rule!r}"
            do = "choose thresholds 'auto', or 'percentile' with calibration images"
            raise InputError(f"node {node.name!r}", expected, node.op, do)
        if rule == "lsq":
            return node.attrs["scale"] * node.attrs["levels"]
        return node.attrs["lambda"]

    return theta


def _largest(shape: tuple[int, ...], images: int) -> Percentile:
    return _percentile(shape, images, 100.0)


def _percentile(shape: tuple[int, ...], images: int, percentile: float) -> Percentile:
    from eventsnn.network.running import Percentile

    return Percentile(shape, images, percentile)


def _maxima(shape: tuple[int, ...], images: int, dead: str) -> Maxima:
    from eventsnn.network.running import Maxima

    return Maxima(shape, fill=dead == "layer_max")


def _least_error(layer: str, activations: NDArray[np.float32], steps: int) -> float:
    from eventsnn.network.least_error import least_error

    return least_error(activations, steps)


def _spike_norm(
    graph: Graph, pixels: NDArray[Any], names: Sequence[str], steps: int
) -> dict[str, float]:
    from eventsnn.network.stepping import spike_norm

    return spike_norm(graph, pixels, names, steps)


def _local(graph: Graph, pixels: NDArray[Any], names: Sequence[str]) -> dict[str, float]:
    from eventsnn.network.local import local

    return local(graph, pixels, names)


BUILT_IN = {
    "auto": Rule(
        "the activation's own parameter where it has one, else percentile",
        _auto,
        uses=("percentile",),
    ),
    "max": Rule(
        "the largest activation on the calibration images", _largest, calibrated=True, running=True
    ),
    "percentile": Rule(
        "a percentile of the activations on the calibration images",
        _percentile,
        calibrated=True,
        running=True,
        uses=("percentile",),
    ),
    "tcl": Rule("the activation's lambda (TCL eq. 9)", _own("tcl")),
    "qcfs": Rule("the activation's lambda (SRP eq. 7)", _own("qcfs")),
    "lsq": Rule("the activation's scale * levels (SpikeZIP eq. 2)", _own("lsq")),
    "dni": Rule(
        "each neuron's own largest activation on the calibration images (DNISNM section 4.1)",
        _maxima,
        calibrated=True,
        running=True,
        uses=("dead",),
    ),
    "slip": Rule("the activation's lambda (SlipReLU)", _own("slip")),
    "mse": Rule(
        "the least square error of the staircase of T steps on the calibration images (SNNC)",
        _least_error,
        calibrated=True,
        uses=("steps",),
    ),
    "spike-norm": Rule(
        "the largest charge that the SNN itself brings a neuron in a step (SpikeNorm algorithm 1)",
        _spike_norm,
        calibrated=True,
        uses=("steps",),
        whole=True,
    ),
    "local": Rule(
        "learned, batch by batch, from what exceeds it on the calibration images (LTB)",
        _local,
        calibrated=True,
        whole=True,
    ),
}
RULES: Registry[Rule] = Registry("threshold rule", BUILT_IN, _check)
