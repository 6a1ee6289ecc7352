"""The methods: each is a name, a paper, the options of a run, and what it needs (docs/papers.md).

    from eventsnn.studies.zoo.methods import METHODS, Method

    METHODS.add("mine", Method("mine", "IF that starts at a quarter", {}, {"initial": 0.25}))

`analysis/zoo.py` runs them side by side. Another package offers methods as entry points of the
group `eventsnn.methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.network.network import Network
from eventsnn.network.rules import uses_steps
from eventsnn.registry import Registry

REFERENCE = "if"  # the method that all others are compared with
REST = 256  # steps within which ST-BIF comes to rest
# what a method may need beside a network, in words for the table
IMAGES, LEVELS, TRAINING, STEPS = "images", "levels", "training", "more steps"
NEEDS = {
    IMAGES: "calibration images, without labels",
    LEVELS: "activations with levels (QCFS, QuantRelu)",
    TRAINING: "a network that was trained with the activation",
    STEPS: "steps of its own before those that are counted",
}
# operator of an activation with a parameter of its own -> who trains it
TRAINED = {
    "QCFS": "QCFS",
    "ClippedRelu": "TCL, RNL",
    "QuantRelu": "LSQ, SpikeZIP",
    "SlipRelu": "SlipReLU",
}


QUANTISED = ("QCFS", "QuantRelu")


@dataclass(frozen=True)
class Method:
    """A way to make a spiking network of an ANN and to run it.

    paper: who proposed it, as docs/papers.md and the papers' own tables call it. words: what it
    does, in a few words. convert: options of `eventsnn.convert`. simulate: options of
    `eventsnn.simulate`; of a study, which "study" names, also its own. needs: of NEEDS.
    activations: operators of which the network's activations have to be (() : any). trained_with:
    the name of the activation of `eventsnn train` that the network's file has to name ("": any),
    and network: one of `reference.NETWORKS` that has it. apart:
    whether each T is a run of its own, as only the last step gives a result, or the conversion is
    for a T. rests: whether it
    runs on until nothing moves. compared: whether it is compared there with the quantised ANN.
    prepare: None, or what makes of (network, calibration images, steps, options of the run) the
    network that runs and further options of `eventsnn.simulate`. No plan has what it finds, so such
    a method runs anew beside a store.
    """

    paper: str
    words: str
    convert: Mapping[str, Any] = field(default_factory=dict)
    simulate: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    trained_with: str = ""
    network: str = ""
    apart: bool = False
    rests: bool = False
    compared: bool = False
    prepare: Callable[..., tuple[Network, dict[str, Any]]] | None = None

    def misfit(self, graph: Graph) -> str:
        """Why a network cannot have this method, in words; "" if it may. graph: the ANN."""
        said = str(graph.meta.get("activation", ""))
        if self.trained_with and said.partition(":")[0] != self.trained_with:
            example = f" ({self.network})" if self.network else ""
            found = f"here is one of {said}" if said else "this file does not say what it had"
            return f"it needs a network trained with {self.trained_with}{example}, and {found}"
        there = [node.op for node in graph.nodes if node.is_activation]
        others = sorted({op for op in there if self.activations and op not in self.activations})
        if others or (self.activations and not there):
            found = ", ".join(others) or "none"
            return f"it needs activations {' or '.join(self.activations)}, and here are {found}"
        return ""

    def options(self, steps: int) -> dict[str, Any]:
        """The options of a run of `steps` steps, and of the steps in which it comes to rest."""
        return {**self.simulate, "steps": max(REST, steps) if self.rests else steps}

    def conversion(self, steps: int) -> dict[str, Any]:
        """The options of the conversion for a run of `steps` steps."""
        of_steps = {"steps": steps} if uses_steps(self.convert.get("thresholds")) else {}
        return {**self.convert, **of_steps}

    @property
    def asynchronous(self) -> bool:
        """Whether it runs without a clock, so that firing may explode."""
        return self.simulate.get("engine") == "event"


def calibrated(method: str) -> Callable[..., tuple[Network, dict[str, Any]]]:
    """What calibrates under the conditions that run (semantics, section 2): for `prepare`.

    method: of `eventsnn.calibrate`: "v0", "bias", "potential" or "weights".
    """

    def prepare(
        network: Network, images: Any, steps: int, **options: Any
    ) -> tuple[Network, dict[str, Any]]:
        from eventsnn.studies.calibrating import calibrate

        kept = {name: value for name, value in options.items() if name != "max_events"}
        found = calibrate(network, images, method=method, steps=steps, progress=False, **kept)
        return found.network, {} if method == "bias" else {"initial": found.initial}

    return prepare


def _percentile(text: str, percentile: float) -> Method:
    given = {"thresholds": "percentile", "percentile": percentile}
    return Method(
        "Rueckauer", f"thresholds: {text} percentile of activations", given, {}, (IMAGES,)
    )


def _code(paper: str, words: str, name: str, needs: tuple[str, ...] = ()) -> Method:
    levels = QUANTISED if LEVELS in needs else ()
    return Method(paper, words, {}, {"neuron": name}, (*needs, STEPS), levels, apart=True)


def _group(members: int) -> Method:
    words = f"group neurons of {members} members"
    return Method("GN", words, {}, {"neuron": f"gn:{members}"})


def _trained(op: str, rule: str) -> Method:
    words = f"IF with trained thresholds of {op}"
    return Method(TRAINED[op], words, {"thresholds": rule}, {}, (TRAINING,), (op,))


DNI = {"thresholds": "dni"}
MSE = {"thresholds": "mse"}
SPIKE_NORM: dict[str, Any] = {"thresholds": "spike-norm"}
FIFO: dict[str, Any] = {"engine": "event", "order": "fifo"}
SPREAD: dict[str, Any] = {**FIFO, "spread": 4}
AT_REST: dict[str, Any] = {"neuron": "st-bif", "encoding": "even"}

BUILT_IN: dict[str, Method] = {
    REFERENCE: Method("OPI", "integrate-and-fire, v(0) = theta / 2"),
    "if-zero": Method("RMP", "integrate-and-fire, v(0) = 0", {}, {"initial": 0.0}),
    "if-hard": Method("Diehl", "integrate-and-fire, reset to 0", {}, {"neuron": "if-hard"}),
    "lif": Method("LIF", "a leak, 0.9 of the potential stays in a step", {}, {"neuron": "lif:0.9"}),
    "adaptive": Method(
        "adaptive", "a threshold that rises at each spike", {}, {"neuron": "adaptive:0.1"}
    ),
    "rate": Method("rate coding", "the input fires at random", {}, {"encoding": "rate"}),
    "srp": Method(
        "SRP", "4 steps first, then neurons below 0 are silent", {}, {"srp": 4}, (STEPS,)
    ),
    "srp-code": Method(
        "SRP", "as its code: silent up to 0.001 theta", {}, {"srp": 4, "srp_epsilon": 0.001},
        (STEPS,),
    ),
    "gn-2": _group(2),
    "gn-4": _group(4),
    "gn-6": _group(6),
    "gn-8": _group(8),
    "snm": Method("SNM", "signed neurons with memory", {}, {"neuron": "snm"}),
    "tpp": Method(
        "TPP", "hears first, then fires at random", {}, {"neuron": "tpp"}, (STEPS,), apart=True
    ),
    "few-spike": _code("FewSpike", "hears first, then sends its value in binary", "few-spike"),
    "radix": _code("Radix", "the binary code of the quantised activation", "radix", (LEVELS,)),
    "ttfs": _code("TTFS", "hears first, then one spike, the sooner the larger", "ttfs"),
    "ttfs-exact": Method(
        "TTFS", "hears first, then one spike, its tick is the value", {},
        {**FIFO, "neuron": "ttfs-exact"}, (STEPS,), apart=True,
    ),
    "tsc": _code("TSC", "hears first, then two spikes: a switch", "tsc"),
    "phase": Method("Phase", "spikes halve in worth in 8 phases", {}, {"neuron": "phase:8"}),
    "burst": Method("BSN", "up to 5 spikes in a step", {}, {"neuron": "burst:5"}),
    "signed": Method("Fast-SNN", "takes spikes back just below 0", {}, {"neuron": "signed"}),
    "cos": Method("COS", "4 steps first, then offset spikes", {}, {"offset": 4}, (STEPS,)),
    "shuffled": Method(
        "TPP", "counts of IF, their times shuffled", {},
        {"study": "timing", "times": "shuffled", "look_at": 1}, (), apart=True,
    ),
    "even-times": Method(
        "SRP", "counts of IF, spread evenly in time", {},
        {"study": "timing", "times": "even", "look_at": 1}, (), apart=True,
    ),
    "st-bif": Method(
        "SpikeZIP", "ST-BIF neurons, input released evenly", {}, AT_REST, (LEVELS,), QUANTISED,
        rests=True, compared=True,
    ),
    "spikezip-code": Method(
        "SpikeZIP", "as its code: biases whole in step 1", {}, {**AT_REST, "bias_once": True},
        (LEVELS,), QUANTISED, rests=True,
    ),
    "largest": Method(
        "Diehl", "thresholds: largest activation", {"thresholds": "max"}, {}, (IMAGES,)
    ),
    "percentile-99-99": _percentile("99.99th", 99.99),
    "percentile-99-9": _percentile("99.9th", 99.9),
    "percentile-99": _percentile("99th", 99.0),
    "spike-norm": Method(
        "SpikeNorm", "thresholds: largest charge in the SNN itself", SPIKE_NORM, {}, (IMAGES,),
        apart=True,
    ),
    "spike-norm-scaled": Method(
        "SpikeNorm", "the same times 0.8", {**SPIKE_NORM, "threshold_scale": 0.8}, {}, (IMAGES,),
        apart=True,
    ),
    "mse": Method(
        "SNNC", "thresholds of least square error", MSE, {}, (IMAGES,), apart=True
    ),
    "snnc-light": Method(
        "SNNC", "the same, and biases calibrated by means", MSE, {}, (IMAGES,), apart=True,
        prepare=calibrated("bias"),
    ),
    "snnc": Method(
        "SNNC", "the same, and v(0) calibrated by means", MSE, {}, (IMAGES,), apart=True,
        prepare=calibrated("potential"),
    ),
    "snnc-ap": Method(
        "SNNC", "the same, and weights calibrated by gradient before", MSE, {}, (IMAGES,),
        apart=True, prepare=calibrated("weights"),
    ),
    "local": Method(
        "LTB", "local threshold balancing", {"thresholds": "local"}, {}, (IMAGES,)
    ),
    "shift": Method(
        "Opt", "largest activation, half a threshold with the biases", {"thresholds": "max"},
        {"shift": True}, (IMAGES,),
    ),
    "rts": Method(
        "Opt", "the same, trained with the shifted threshold ReLU", {"thresholds": "tcl"},
        {"shift": True}, (TRAINING,), ("ClippedRelu",), "rts", "fashion_rts", apart=True,
    ),
    "dni": Method("DNISNM", "a threshold for each neuron", DNI, {}, (IMAGES,)),
    "snm-dni": Method(
        "DNISNM", "SNM with a threshold for each neuron", DNI, {"neuron": "snm"}, (IMAGES,)
    ),
    "srp-dni": Method(
        "SRP, DNISNM", "SRP with a threshold for each neuron", DNI, {"srp": 4}, (IMAGES, STEPS)
    ),
    "fifo": Method("no clock", "IF that answers every spike", {}, FIFO),
    "snm-fifo": Method("no clock", "SNM that answers every spike", {}, {**FIFO, "neuron": "snm"}),
    "spread": Method("no clock", "IF, a step's drive in 4 parts", {}, SPREAD),
    "v0": Method(
        "no clock", "IF, v(0) calibrated for each channel", {}, FIFO, (IMAGES,),
        prepare=calibrated("v0"),
    ),
    "spread-v0": Method(
        "no clock", "IF, drive in 4 parts, v(0) calibrated", {}, SPREAD, (IMAGES,),
        prepare=calibrated("v0"),
    ),
    "qcfs": _trained("QCFS", "qcfs"),
    "tcl": _trained("ClippedRelu", "tcl"),
    "opi": Method(
        "OPI", "its clipped ReLU is TCL's: the same run as tcl", {"thresholds": "tcl"},
        {}, (TRAINING,), ("ClippedRelu",),
    ),
    "lsq": _trained("QuantRelu", "lsq"),
    "slip": _trained("SlipRelu", "slip"),
}  # fmt: skip


def _check(name: str, method: Any) -> None:
    """Raises InputError for what is no usable Method. name: what it is called."""
    where = f"method {name!r}"
    if not isinstance(method, Method):
        raise InputError(where, "an eventsnn.studies.zoo.methods.Method", repr(method))
    unknown = [need for need in method.needs if need not in NEEDS]
    if unknown:
        raise InputError(where, f"needs among {', '.join(NEEDS)}", repr(unknown[0]))


METHODS: Registry[Method] = Registry("method", BUILT_IN, _check)


def named(words: str) -> list[str]:
    """The methods of an option such as --methods if,snm; "all" are all of them.

    words: names, separated by commas. Raises InputError for one that there is not.
    """
    if words == "all":
        return list(METHODS)
    names = list(dict.fromkeys(words.split(",")))
    for name in names:
        METHODS.find(name, "methods")
    return names
