"""Everything a run depends on, in one frozen dataclass.

The command line's options are its fields.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from eventsnn.exceptions import InputError
from eventsnn.network.presets import PRESETS, preset
from eventsnn.network.rules import OPTIONS, RULES, users_of

if TYPE_CHECKING:
    from eventsnn.simulation.time import Time

GROUPS = {
    "input": "what to run",
    "conversion": "from ANN to SNN",
    "simulation": "simulation",
    "running": "how to run it",
    "output": "what to leave and to say",
}


def option(
    default: Any,
    help: str,
    example: str,
    *,
    group: str,
    choices: Collection[str] | None = None,
    file: str = "",
    kind: Any = str,
    low: float | None = None,
    high: float | None = None,
    result: bool = True,
) -> Any:
    """A field of Settings: its default, what --help says, and what is allowed.

    default: its value where it is not given. help: what --help says. example: of its use.
    group: its heading in --help, a key of GROUPS. choices: the only values, or None. file: how the
    name of a file ends that may be given instead, or "". kind: str, int, float, bool, "steps"
    (whole numbers separated by commas) or "numbers" (any numbers). low, high: the least and the
    largest number, or None. result: whether it can change the outcome.
    """
    metadata = dict(
        help=help,
        example=example,
        group=group,
        choices=choices,
        file=file,
        kind=kind,
        low=low,
        high=high,
        result=result,
    )
    return field(default=default, metadata=metadata)


EXPORTS = ("nir", "sonata", "gdf")
# how the name of a file of thresholds ends
GIVEN = ".json"
# a run is known by what these lead to
HASHED = ("net", "arch", "input_scale", "input_mean", "input_std", "data")
# what says nothing without another option: name, the other's name and value
EVENT_DETAILS = (
    ("jitter", "order", "jitter"),
    ("trace_images", "trace", "spikes"),
    ("trace_layers", "trace", "spikes"),
    ("trace_neurons", "trace", "spikes"),
    ("trace_steps", "trace", "spikes"),
)
NEEDS = (("release", "encoding", "even"), ("tau", "neuron", "gn"))
EVENT_ONLY = ("order", "jitter", "delay", "refractory", "window", "free_running", "max_events")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to run and how; see `python -m eventsnn.run --help` for each field. Raises InputError
    for a value that is not allowed.
    """

    net: str = option(
        "sample",
        "the trained network: a checkpoint file, or 'sample', the bundled one",
        "--net vgg16_qcfs.h5",
        group="input",
    )
    arch: str | None = option(
        None,
        "the architecture of a file that holds weights only: keras-vgg16, keras-vgg19, "
        "keras-mobilenet, or a .json file that Keras's model.to_json() gave; of a PyTorch state "
        "dict: vgg16, resnet18, resnet20, resnet34, with the levels L of its thresholds, or a "
        "mapping file (.json)",
        "--net resnet20.h5 --arch resnet20:L=8",
        group="input",
    )
    input_scale: float | None = option(
        None,
        "a pixel p of channel c enters the network as (p * scale - mean[c]) / std[c]; default: "
        "what the network's file says, or else 1",
        "--input-scale 0.00392156862745098",
        group="input",
        kind=float,
        low=1e-30,
        high=1e30,
    )
    input_mean: tuple[float, ...] = option(
        (),
        "mean, one number or one a channel; default: the file's, or else 0",
        "--input-mean 0.485,0.456,0.406",
        group="input",
        kind="numbers",
        low=-1e30,
        high=1e30,
    )
    input_std: tuple[float, ...] = option(
        (),
        "std, one number or one a channel; default: the file's, or else 1",
        "--input-std 255",
        group="input",
        kind="numbers",
        low=1e-30,
        high=1e30,
    )
    data: str = option(
        "sample",
        "the images: a CIFAR binary folder, IDX files, an .npz or HDF5 with images and labels, "
        "or 'sample'",
        "--data cifar-10-batches-bin",
        group="input",
    )
    split: str = option(
        "test",
        "which part of --data to run on",
        "--split train",
        group="input",
        choices=("train", "test"),
    )
    limit: int | None = option(
        None,
        "run on the first N images only; default: all",
        "--limit 1000",
        group="input",
        kind=int,
        low=1,
    )

    thresholds: str = option(
        "auto",
        "how each layer's threshold is found: its activation's own parameter (tcl, qcfs, lsq), "
        "the largest activation on the calibration images (max), a percentile of them, each "
        "neuron's own largest activation (dni), or auto: the activation's own where it has one, "
        'else percentile; or a file that ends in .json and gives them, {"LAYER": NUMBER, …} with '
        "a number, or a nested list of numbers, for every activation",
        "--thresholds percentile",
        group="conversion",
        choices=RULES,
        file=GIVEN,
    )
    percentile: float = option(
        99.9,
        "the percentile of a layer's activations that becomes its threshold, where the rule is "
        "percentile or auto",
        "--percentile 99.99",
        group="conversion",
        kind=float,
        low=0.001,
        high=100,
    )
    dead: str = option(
        "layer_max",
        "with dni, the threshold of neurons that are never active on the calibration images: the "
        "layer's largest, or none, which makes them silent",
        "--thresholds dni --dead silent",
        group="conversion",
        choices=("layer_max", "silent"),
    )
    calibration: str | None = option(
        None,
        "the images on which max, percentile and dni are found: split of --data and positions, "
        "from 0; default: the first 128 of train",
        "--calibration train:0-511",
        group="conversion",
    )
    max_pooling: str = option(
        "exact",
        "what becomes of MaxPool: exact, the maximum of running sums of spikes; or average "
        "pooling, which makes it another function",
        "--max-pooling average",
        group="conversion",
        choices=("exact", "average"),
    )
    residual: str = option(
        "keep",
        "what becomes of residual connections: keep, or reroute them behind the activation "
        "(SpikeZIP 3.3), which makes it another function, for networks trained so",
        "--residual reroute",
        group="conversion",
        choices=("keep", "reroute"),
    )
    readout: str = option(
        "adds",
        "the output: adds up the charge that arrives, or fires, as neurons do",
        "--readout fires",
        group="conversion",
        choices=("adds", "fires"),
    )
    compat: str | None = option(
        None,
        "do as a paper's own code does where it differs from the paper; eventsnn.presets.PRESETS "
        "says how",
        "--compat srp-code --srp 4",
        group="conversion",
        choices=tuple(PRESETS),
    )

    steps: int = option(
        32,
        "T, the number of time steps; each costs time, and accuracy grows with them",
        "--steps 64",
        group="simulation",
        kind=int,
        low=1,
        high=2**16,
    )
    report_steps: tuple[int, ...] = option(
        (),
        "the numbers of steps to report accuracy for; default: 1, 2, 4, 8 and so on, and T",
        "--report-steps 1,2,3,32",
        group="simulation",
        kind="steps",
        low=1,
    )
    initial: float = option(
        0.5,
        "v(0), the potential at the start, in thresholds (gn: of the first member; st-bif: in "
        "levels)",
        "--initial 0",
        group="simulation",
        kind=float,
        low=-1000,
        high=1000,
    )
    arithmetic: str = option(
        "fixed",
        "fixed: whole numbers of 2^-F, exact in any order of summation; or floating point",
        "--arithmetic float64",
        group="simulation",
        choices=("fixed", "float32", "float64"),
    )
    fraction_bits: int | None = option(
        None,
        "F of fixed point; default: the largest for which no potential can overflow",
        "--fraction-bits 16",
        group="simulation",
        kind=int,
        low=1,
        high=40,
    )
    neuron: str = option(
        "if",
        "the neuron model: integrate-and-fire with soft or hard reset, signed with memory "
        "(DNISNM), bipolar with a spike tracer (SpikeZIP), or group neurons (GN)",
        "--neuron snm",
        group="simulation",
        choices=("if", "if-hard", "snm", "st-bif", "gn"),
    )
    tau: int = option(
        4,
        "members of a group neuron",
        "--neuron gn --tau 8",
        group="simulation",
        kind=int,
        low=1,
        high=255,
    )
    srp: int = option(
        0,
        "steps of a first stage, after which neurons with a residual potential below 0 fall "
        "silent (SRP); 0: none",
        "--srp 4",
        group="simulation",
        kind=int,
        low=0,
        high=2**16,
    )
    srp_epsilon: float = option(
        0.0,
        "the least residual potential with which a neuron goes on sending, in thresholds",
        "--srp 4 --srp-epsilon 0.001",
        group="simulation",
        kind=float,
        low=-1000,
        high=1000,
    )
    encoding: str = option(
        "constant",
        "how an image arrives: in every step; evenly, in N parts in as many steps; or as random "
        "spikes of the input, at rates that follow its values",
        "--encoding even --neuron st-bif",
        group="simulation",
        choices=("constant", "even", "rate"),
    )
    release: int | None = option(
        None,
        "encoding even: N; default: the most levels of an activation",
        "--encoding even --release 8",
        group="simulation",
        kind=int,
        low=1,
        high=2**16,
    )
    bias_once: bool = option(
        False,
        "biases arrive whole in step 1, not in every step or part",
        "--encoding even --bias-once",
        group="simulation",
        kind=bool,
    )
    engine: str = option(
        "clocked",
        "clocked: all neurons once a step, layer by layer, as in the papers; event: spike by "
        "spike from a queue",
        "--engine event",
        group="simulation",
        choices=("clocked", "event"),
    )
    order: str = option(
        "fifo",
        "event engine: in which order spikes that are due together arrive",
        "--engine event --order random",
        group="simulation",
        choices=(
            "fifo",
            "lifo",
            "index",
            "random",
            "excitatory_first",
            "inhibitory_first",
            "jitter",
            "delays",
            "clocked",
        ),
    )
    jitter: str = option(
        "uniform:0.5",
        "order jitter: the delay of each spike in steps, uniform:LARGEST or exponential:MEAN",
        "--engine event --order jitter --jitter exponential:0.2",
        group="simulation",
    )
    delay: float | None = option(
        None,
        "event engine: a delay of every projection, in steps",
        "--engine event --order delays --delay 0.25",
        group="simulation",
        kind=float,
        low=0,
        high=2**16,
    )
    refractory: float = option(
        0.0,
        "event engine: the time after a spike in which a neuron cannot fire, in steps",
        "--engine event --refractory 1",
        group="simulation",
        kind=float,
        low=0,
        high=2**16,
    )
    window: float = option(
        0.0,
        "event engine: how long a neuron collects arrivals before it is evaluated, in steps",
        "--engine event --window 0.25",
        group="simulation",
        kind=float,
        low=0,
        high=2**16,
    )
    free_running: bool = option(
        False,
        "event engine: do not wait for the queue to empty before the next step's drive",
        "--engine event --free-running",
        group="simulation",
        kind=bool,
    )
    max_events: int | None = option(
        None,
        "event engine: events of one image before it is an error; default: 8 for each neuron and "
        "step",
        "--engine event --max-events 1000000",
        group="simulation",
        kind=int,
        low=1,
    )
    seed: int = option(
        0,
        "seed of everything random",
        "--seed 7",
        group="simulation",
        kind=int,
        low=0,
        high=2**63 - 1,
    )

    workers: int | None = option(
        None,
        "threads; default: one for each core; never changes a result",
        "--workers 1",
        group="running",
        kind=int,
        low=1,
        high=1024,
        result=False,
    )
    batch: int = option(
        16,
        "images that a thread takes at a time, and that are kept together when a run is stopped; "
        "never changes a result",
        "--batch 4",
        group="running",
        kind=int,
        low=1,
        high=10**6,
        result=False,
    )

    out: str | None = option(
        None,
        "the results folder; default: runs/<network>-<id>, with equal ids for equal runs",
        "--out results/vgg16",
        group="output",
        result=False,
    )
    trace: str = option(
        "counts",
        "what is kept of the spikes beside the tables: none, counts, and with the event engine "
        "digest (counts, and hashes for each layer and step) or spikes (these, and every spike "
        "and delivery, in one trace-<image>.h5 for each image)",
        "--engine event --trace spikes --limit 1",
        group="output",
        choices=("none", "counts", "digest", "spikes"),
    )
    trace_images: int = option(
        1,
        "of how many images, from the first, spikes are kept",
        "--engine event --trace spikes --trace-images 10",
        group="output",
        kind=int,
        low=1,
    )
    trace_layers: str | None = option(
        None,
        "keep the spikes of these layers only",
        "--engine event --trace spikes --trace-layers act1,act5",
        group="output",
    )
    trace_neurons: str | None = option(
        None,
        "keep the spikes of these neurons only: LAYER:NUMBER, or LAYER:C/Y/X by channel and place",
        "--engine event --trace spikes --trace-neurons act1:17,act5:3/0/2",
        group="output",
    )
    trace_steps: str | None = option(
        None,
        "keep the spikes of these steps only, counted from 1",
        "--engine event --trace spikes --trace-steps 1-4",
        group="output",
    )
    export: str | None = option(
        None,
        "files for other programs, in the results folder: nir, the network as network.nir, for "
        "other simulators; and the spikes that --trace spikes keeps, in spikes-<image>.h5 "
        "(sonata) or spikes-<image>.gdf (gdf, text: neuron, counted from 1 over all layers, and "
        "time), where a step is 1 ms",
        "--export nir",
        group="output",
        result=False,
    )
    nir_for: str = option(
        "generic",
        "the simulator that is to read network.nir: each resets and compares in its own way, of "
        "which notes warn",
        "--export nir --nir-for spikingjelly",
        group="output",
        choices=("generic", "sinabs", "spikingjelly", "snntorch", "norse"),
        result=False,
    )
    quiet: bool = option(
        False,
        "print nothing but errors, and show no progress",
        "--quiet --out results/vgg16",
        group="output",
        kind=bool,
        result=False,
    )
    json: bool = option(
        False,
        "print what is in summary.json, and nothing else, to standard output",
        "--json --limit 100",
        group="output",
        kind=bool,
        result=False,
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            _check(f, getattr(self, f.name))
        self._apply_preset()
        if any(t > self.steps for t in self.report_steps):
            found = ",".join(map(str, self.report_steps))
            do = "raise --steps, or report earlier ones"
            raise InputError("--report-steps", f"numbers up to --steps {self.steps}", found, do)
        if self.fraction_bits is not None and self.arithmetic != "fixed":
            found = f"--arithmetic {self.arithmetic}"
            do = "floating point has no fraction bits to choose: leave one of the two options out"
            raise InputError("--fraction-bits", "--arithmetic fixed", found, do)
        _calibration_range(self.calibration)
        self._check_combinations()
        self._check_engine()
        for name in ("trace_step_range", "trace_neuron_places", "exports"):
            getattr(self, name)  # raises InputError for a format that cannot be read
        self._check_needs(EVENT_DETAILS)

    def _apply_preset(self) -> None:
        """What `compat` decides, in place of defaults; InputError where it was given otherwise."""
        chosen = preset(self.compat)
        for name, value in {**chosen.convert, **chosen.simulate}.items():
            f = _field(name)
            given = getattr(self, name)
            if given not in (f.default, value):
                expected = f"{value}, which --compat {self.compat} decides"
                do = f"leave {option_of(f)} or --compat out"
                raise InputError(option_of(f), expected, given, do)
            object.__setattr__(self, name, value)
        needs = chosen.needs
        if needs and not getattr(self, needs):
            do = "for example --compat srp-code --srp 4"
            raise InputError(f"--compat {self.compat}", f"--{needs} N", f"--{needs} 0", do)

    def _check_combinations(self) -> None:
        """Raises InputError for options that say nothing without another."""
        self._check_needs(NEEDS)
        self._check_rule()
        if self.srp_epsilon and not self.srp:
            expected = "--srp N, the steps of a first stage"
            do = "for example --srp 4 --srp-epsilon 0.001"
            raise InputError("--srp-epsilon", expected, "--srp 0", do)

    def _check_rule(self) -> None:
        """Raises InputError for a rule that fails, and for an option that it does not use."""
        rule = None if self.thresholds_file else RULES.find(self.thresholds, "--thresholds")
        for name, default in OPTIONS.items():
            if getattr(self, name) != default and (rule is None or name not in rule.uses):
                f = _field(name)
                expected = " or ".join(f"--thresholds {user}" for user in users_of(name))
                do = f"for example {f.metadata['example']}"
                raise InputError(option_of(f), expected, f"--thresholds {self.thresholds}", do)

    def _check_engine(self) -> None:
        """Raises InputError for an order of arrival, or spikes kept, without the event engine."""
        if self.engine == "event":
            return
        for f in fields(self):
            ordered = f.name in EVENT_ONLY and getattr(self, f.name) != f.default
            if ordered or (f.name == "trace" and self.trace in ("digest", "spikes")):
                do = "only the event engine has an order of arrival"
                raise InputError(option_of(f), "--engine event", f"--engine {self.engine}", do)

    def _check_needs(self, needs: tuple[tuple[str, str, str], ...]) -> None:
        """Raises InputError for an option without the value of another that it needs.

        needs: (name, the other's name, its value) of each.
        """
        for name, needed, value in needs:
            f = _field(name)
            if getattr(self, name) != f.default and getattr(self, needed) != value:
                found = f"--{needed} {getattr(self, needed)}"
                do = f"for example {f.metadata['example']}"
                raise InputError(option_of(f), f"--{needed} {value}", found, do)

    @property
    def thresholds_file(self) -> str | None:
        """The file that gives the thresholds; None where a rule finds them."""
        return self.thresholds if self.thresholds.endswith(GIVEN) else None

    @property
    def time(self) -> Time | None:
        """The event engine's `simulation.time.Time`; None for the clocked engine."""
        from eventsnn.simulation.time import Time

        if self.engine != "event":
            return None
        return Time(
            order=self.order,
            barrier=not self.free_running,
            refractory=self.refractory,
            window=self.window,
            jitter=self.jitter,
            delays=self.delay,
            max_events=self.max_events,
        )

    @property
    def trace_step_range(self) -> tuple[int, int] | None:
        """(first, last) step whose spikes are kept, counted from 0; None for all."""
        if self.trace_steps is None:
            return None
        begin, _, end = self.trace_steps.partition("-")
        try:
            first = int(begin)
            last = int(end or begin)
        except ValueError:
            first = last = 0
        if not 1 <= first <= last <= self.steps:
            expected = f"FIRST-LAST within 1-{self.steps}"
            do = "for example --trace-steps 1-4"
            raise InputError("--trace-steps", expected, repr(self.trace_steps), do)
        return first - 1, last - 1

    @property
    def trace_neuron_places(self) -> list[tuple[str, int | tuple[int, int, int]]] | None:
        """(layer's name, number or (c, y, x)) of each neuron whose spikes are kept; None: all."""
        if self.trace_neurons is None:
            return None
        places: list[tuple[str, int | tuple[int, int, int]]] = []
        for part in self.trace_neurons.split(","):
            found = re.fullmatch(r"(.+):(\d+)(?:/(\d+)/(\d+))?", part, re.ASCII)
            if found is None:
                expected = "LAYER:NUMBER or LAYER:C/Y/X, separated by commas"
                do = "for example --trace-neurons act1:17,act5:3/0/2"
                raise InputError("--trace-neurons", expected, repr(self.trace_neurons), do)
            name, first, y, x = found.groups()
            places.append((name, int(first) if y is None else (int(first), int(y), int(x))))
        return places

    @property
    def exports(self) -> list[str]:
        """The files for other programs, names among EXPORTS."""
        names = self.export.split(",") if self.export else []
        unknown = [name for name in names if name not in EXPORTS]
        if unknown:
            expected = f"names among {', '.join(EXPORTS)}, separated by commas"
            do = "for example --export nir,gdf"
            raise InputError("--export", expected, repr(unknown[0]), do)
        if self.trace != "spikes" and set(names) - {"nir"}:
            expected = f"--trace spikes for {self.export}"
            do = "for example --engine event --trace spikes --export gdf"
            raise InputError("--export", expected, f"--trace {self.trace}", do)
        if self.nir_for != "generic" and "nir" not in names:
            found = f"--export {self.export}" if names else "none"
            raise InputError("--nir-for", "--export nir", found, "for example --export nir")
        return names

    @property
    def calibration_range(self) -> tuple[str, int, int]:
        """(split, first, last) of the calibration images."""
        return _calibration_range(self.calibration)

    def outcome(self) -> dict[str, Any]:
        """The settings that can change a result, as a dict ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.metadata["result"]}

    def id(self, *more: str) -> str:
        """Eight hexadecimal digits: equal for runs that must give equal results.

        more: hashes of network and images, the version, and the hash of a file of thresholds.
        """
        kept = {name: value for name, value in self.outcome().items() if name not in HASHED}
        if self.thresholds_file:
            kept["thresholds"] = None
        return hashlib.sha256(json.dumps([kept, *more], sort_keys=True).encode()).hexdigest()[:8]


LISTS: dict[Any, type] = {"steps": int, "numbers": float}
EXPECTED = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    "steps": "whole numbers separated by commas",
    "numbers": "numbers separated by commas",
}


def _field(name: str) -> Field[Any]:
    return next(f for f in fields(Settings) if f.name == name)


def option_of(f: Field[Any]) -> str:
    """The command line's name of a field: --report-steps for report_steps."""
    return "--" + f.name.replace("_", "-")


def read(f: Field[Any], text: str) -> Any:
    """The value of a field from the command line's text; Settings checks its range.

    f: the field. text: as given. Raises InputError for text that is no value of its kind.
    """
    kind = f.metadata["kind"]
    try:
        if kind in LISTS:
            return tuple(LISTS[kind](part) for part in text.split(","))
        return kind(text) if kind in (int, float) else text
    except ValueError:
        do = f"for example {f.metadata['example']}"
        raise InputError(option_of(f), EXPECTED[kind], repr(text), do) from None


def _check(f: Field[Any], value: Any) -> None:
    """Raises InputError for a value that the field does not allow."""
    if value is None and f.default is None:
        return
    kind, choices = f.metadata["kind"], f.metadata["choices"]
    low, high = f.metadata["low"], f.metadata["high"]
    if kind in LISTS:
        good = isinstance(value, tuple) and all(_is_number(t, LISTS[kind]) for t in value)
        expected = {int: "whole numbers", float: "numbers"}[LISTS[kind]]
        values = value if good else ()
    else:
        good = type(value) is kind or (kind is float and type(value) is int)
        expected, values = EXPECTED[kind], (value,)
    if good and kind is float:
        good = math.isfinite(value)
    ending = f.metadata["file"]
    if good and choices is not None:
        good = value in choices or bool(ending and value.endswith(ending))
    if good and kind is str:
        good = bool(value)
    if good and low is not None:
        good = all(low <= v and (high is None or v <= high) for v in values)
    if choices is not None and not good:
        expected = "one of " + ", ".join(choices) + (f", or a {ending} file" if ending else "")
    elif low is not None:
        expected += f" from {low:,}" + (f" to {high:,}" if high is not None else "")
    if not good:
        do = f"for example {f.metadata['example']}"
        raise InputError(option_of(f), expected, repr(value), do)


def _is_number(value: Any, kind: type) -> bool:
    return type(value) in (int, kind) and math.isfinite(value)


def _calibration_range(text: str | None) -> tuple[str, int, int]:
    try:
        split, _, positions = ("train:0-127" if text is None else text).rpartition(":")
        begin, _, end = positions.partition("-")
        first, last = int(begin), int(end or begin)
        if split not in ("train", "test") or not 0 <= first <= last < first + 100_000:
            raise ValueError
    except ValueError:
        expected = "SPLIT:FIRST-LAST, at most 100,000 images"
        do = "for example --calibration train:0-511: the first 512 images of the train split"
        raise InputError("--calibration", expected, repr(text), do) from None
    return split, first, last
