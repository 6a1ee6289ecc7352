"""Everything a run depends on, in one frozen dataclass.

The command line's options are its fields.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import Field, dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np

from eventsnn import neurons
from eventsnn.arguments import named_fields
from eventsnn.exceptions import InputError
from eventsnn.export.exporters import EXPORTERS, in_words
from eventsnn.network.presets import preset
from eventsnn.network.rules import CHOSEN, OPTIONS, RULES, users_of, uses_steps
from eventsnn.network.specification import GIVEN, Conversion
from eventsnn.options import Option, check_fields, option, parsed, taken
from eventsnn.plugins import load_plugins
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.simulation import ENGINES
from eventsnn.simulation.specification import Specification
from eventsnn.simulation.time import OF_CORES, ORDERS, Time

GROUPS = {
    "input": "what to run",
    "conversion": "from ANN to SNN",
    "simulation": "simulation",
    "asynchronous": "time and order of arrival (--engine event)",
    "running": "how to run it",
    "output": "what to leave and to say",
}


Place = int | tuple[int] | tuple[int, int, int]


def _export_help() -> str:
    """What --help says of --export; other packages' exporters are imported for it."""
    words = "files for other programs, in the results folder; names separated by commas, of"
    return f"{words}\n{in_words()}"


# a run is known by what these lead to
HASHED = (
    "plugin",
    "net",
    "arch",
    "output",
    "input_scale",
    "input_mean",
    "input_std",
    "input_channels",
    "data",
    "resize",
    "crop",
)
# what stood for "not given" in the runs of earlier versions, whose ids stay as they are
DEFAULTS_BEFORE = {"tau": 4, "initial": 0.5}
# what orders are called in ids: `priority` was `random` before, and its runs' ids stay, too
ORDERS_IN_IDS = {"priority": "random", "random": "random, uniform"}
# what earlier versions did not have: it is in an id only where it is given
NEW = (
    "ticks",
    "readout_from",
    "pixel_range",
    "time_scale",
    "polarity",
    "sensor",
    "spread",
    "group",
    "service",
    "latency",
    "arbitration",
    "threshold_scale",
    "offset",
    "calibrate",
    "shift",
)
CALIBRATED = ("v0", "bias", "potential", "weights")  # methods of `eventsnn.calibrate`
# what says nothing without another option: name, the other's name and value
EVENT_DETAILS = (
    ("trace_images", "trace", ("spikes",)),
    ("trace_layers", "trace", ("spikes",)),
    ("trace_neurons", "trace", ("spikes",)),
    ("trace_steps", "trace", ("spikes",)),
)
NEEDS = (
    ("jitter", "order", ("jitter",)),
    *((name, "order", ("cores",)) for name in OF_CORES),
)
EVENT_ONLY = (
    "order",
    "jitter",
    "delay",
    "refractory",
    "window",
    "spread",
    "group",
    *OF_CORES,
    "free_running",
    "max_events",
    "ticks",
)
CONVERSION: Any = {"group": "conversion"}
SIMULATION: Any = {"group": "simulation"}
ASYNCHRONOUS: Any = {"group": "asynchronous"}


@named_fields
@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to run and how; see `eventsnn run --help` for each field. Raises InputError
    for a value that is not allowed.
    """

    net: str = option(
        "sample",
        "the trained network: a checkpoint file; 'sample', the bundled one; or the name of "
        "one that comes with eventsnn, as fashion_qcfs",
        "--net vgg16_qcfs.h5",
        group="input",
    )
    arch: str | None = option(
        None,
        "the architecture of a file that holds weights only: keras-vgg16, keras-vgg19, "
        "keras-mobilenet, or a .json file that Keras's model.to_json() gave; of a PyTorch state "
        "dict or safetensors: vgg11, vgg13, vgg16, vgg19 (also with _bn), resnet18 to resnet152, "
        "mobilenet_v2, with options L (levels of thresholds), pool, size, eps and from "
        "(docs/guide/files.md), or a mapping file (.json)",
        "--net resnet20.h5 --arch resnet20:L=8",
        group="input",
    )
    output: str | None = option(
        None,
        "the name of the output that is meant, of a Keras (its layer) or ONNX model with several; "
        "default: the only one",
        "--output logits",
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
    input_channels: str | None = option(
        None,
        "the order in which the three channels of an image enter the network: as they are in the "
        "data (same), or turned round (reversed: RGB data for a network of BGR, and BGR for RGB); "
        "default: what the network's file says, or else same",
        "--input-channels reversed",
        group="input",
        choices=("same", "reversed"),
    )
    data: str | None = option(
        None,
        "the images: a CIFAR binary folder, IDX files, an .npz or HDF5 with images and labels, a "
        "folder of PNG and JPEG files, with a folder for each class or none, or 'sample'; default: "
        "the bundled ones for --net sample, for other networks what the variable EVENTSNN_DATA "
        "names, or folders in the cache's data, if they fit, or else 64 smooth random images "
        "without labels",
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
    resize: tuple[int, ...] = option(
        (),
        "of PNG and JPEG files: the length of the shorter side, or HEIGHT,WIDTH; bilinear with "
        "antialias, as torchvision's Resize; default: as they are",
        "--resize 256 --crop 224",
        group="input",
        kind="steps",
        low=1,
        high=2**14,
    )
    crop: tuple[int, ...] = option(
        (),
        "of PNG and JPEG files: the side of the square in the middle that is kept, or "
        "HEIGHT,WIDTH, as torchvision's CenterCrop; default: all",
        "--resize 256 --crop 224",
        group="input",
        kind="steps",
        low=1,
        high=2**14,
    )

    pixel_range: tuple[float, ...] = option(
        (),
        "LOW,HIGH: the lowest and the highest raw pixel that images of the study may have (as in "
        "--pixel-range=-2,2.5 where LOW is negative): F and the rates of --encoding rate follow "
        "from them, and pixels outside are refused; default: what --data says, or else 0 to 255 "
        "for uint8, or 0 to 1 or 255, as the network's preprocessing expects",
        "--pixel-range 0,1",
        group="input",
        kind="numbers",
        low=-1e30,
        high=1e30,
    )

    plugin: str | None = option(
        None,
        "files of Python that register models, orders, readers and the like, separated by commas "
        "(docs/extend)",
        "--plugin examples/extend/model.py --neuron eager",
        group="input",
    )

    thresholds: str = taken(Conversion, "thresholds", kind=str, **CONVERSION)
    percentile: float = taken(Conversion, "percentile", **CONVERSION)
    dead: str = taken(Conversion, "dead", **CONVERSION)
    threshold_scale: float = taken(Conversion, "threshold_scale", **CONVERSION)
    calibration: str | None = option(
        None,
        "the images on which max, percentile, dni, mse, spike-norm and local are found: split of "
        "--data and positions, from 0; default: the first 128 of train",
        "--calibration train:0-511",
        group="conversion",
    )
    calibrate: str | None = option(
        None,
        "what is calibrated on the calibration images before the run, layer by layer, so that "
        "neurons fire as often as the ANN on average: v(0) of each channel under the run's order "
        "(v0), the biases of each channel (bias; SNNC), v(0) of each neuron (potential; SNNC), or "
        "weights by gradient and then v(0) of each neuron (weights; SNNC)",
        "--calibrate bias --steps 8",
        group="simulation",
        choices=CALIBRATED,
    )
    max_pooling: str = taken(Conversion, "max_pooling", **CONVERSION)
    residual: str = taken(Conversion, "residual", **CONVERSION)
    readout: str = taken(Conversion, "readout", **CONVERSION)
    compat: str | None = taken(Conversion, "compat", **CONVERSION)

    steps: int = taken(Specification, "steps", **SIMULATION)
    report_steps: tuple[int, ...] = option(
        (),
        "the numbers of steps to report accuracy for; default: 1, 2, 4, 8 and so on, and T",
        "--report-steps 1,2,3,32",
        group="simulation",
        kind="steps",
        low=1,
    )
    initial: float | None = taken(
        Specification, "initial", kind=float, low=-1000, high=1000, **SIMULATION
    )
    shift: bool = taken(Specification, "shift", **SIMULATION)
    arithmetic: str = taken(Specification, "arithmetic", **SIMULATION)
    fraction_bits: int | None = taken(Specification, "fraction_bits", **SIMULATION)
    neuron: str = taken(Specification, "neuron", kind=str, open=True, **SIMULATION)
    tau: int | None = taken(Specification, "tau", **SIMULATION)
    srp: int = taken(Specification, "srp", **SIMULATION)
    srp_epsilon: float = taken(Specification, "srp_epsilon", **SIMULATION)
    offset: int = taken(Specification, "offset", **SIMULATION)
    readout_from: int = taken(Specification, "readout_from", **SIMULATION)
    encoding: str | None = taken(Encoding, "kind", kind=str, open=True, **SIMULATION)
    release: int | None = taken(Encoding, "release", **SIMULATION)
    bias_once: bool = taken(Encoding, "bias_once", **SIMULATION)
    time_scale: float | None = taken(Encoding, "time_scale", **SIMULATION)
    polarity: str | None = taken(Encoding, "polarity", **SIMULATION)
    sensor: tuple[int, ...] = taken(Encoding, "sensor", **SIMULATION)
    engine: str = option(
        "clocked",
        "clocked: all neurons once a step, layer by layer, as in the papers; event: spike by "
        "spike from a queue",
        "--engine event",
        group="simulation",
        choices=lambda: ENGINES,
    )
    order: str = taken(Time, "order", kind=str, open=True, **ASYNCHRONOUS)
    jitter: str = taken(Time, "jitter", **ASYNCHRONOUS)
    delay: float | None = taken(Time, "delays", kind=float, low=0, high=2**16, **ASYNCHRONOUS)
    refractory: float = taken(Time, "refractory", **ASYNCHRONOUS)
    window: float = taken(Time, "window", **ASYNCHRONOUS)
    spread: int = taken(Time, "spread", **ASYNCHRONOUS)
    group: int = taken(Time, "group", **ASYNCHRONOUS)
    service: tuple[float, ...] = taken(Time, "service", **ASYNCHRONOUS)
    latency: float = taken(Time, "latency", **ASYNCHRONOUS)
    arbitration: str = taken(Time, "arbitration", **ASYNCHRONOUS)
    free_running: bool = taken(
        Time,
        "barrier",
        default=False,
        help="do not wait for the queue to empty before the next step's drive",
        **ASYNCHRONOUS,
    )
    max_events: int | None = taken(Time, "max_events", **ASYNCHRONOUS)
    ticks: int | None = taken(Time, "ticks", **ASYNCHRONOUS)
    seed: int = taken(Specification, "seed", **SIMULATION)

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
    overwrite: bool = option(
        False,
        "replace what another command left in --out, and results of this one; without it, finished "
        "results and unfinished runs of other settings are refused",
        "--out results/vgg16 --overwrite",
        group="output",
        kind=bool,
        result=False,
    )
    trace: str = option(
        "counts",
        "what is kept of the spikes beside the tables and their digests: none, counts, and with "
        "the event engine digest (counts, and hashes of the spikes' order for each layer and step) "
        "or spikes (these, and every spike and delivery, in one trace-<image>.h5 for each image)",
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
        "keep the spikes of these neurons only: LAYER:NUMBER, LAYER:C/Y/X by channel and place, or "
        "LAYER:iN by the index in a vector that a Flatten makes of a map, channels first",
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
        _export_help,
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
            value = getattr(self, f.name)
            if isinstance(value, (np.floating, Fraction)):  # ready for JSON
                object.__setattr__(self, f.name, float(value))
        if self.plugin is not None:
            option_in(_field("plugin")).check("--plugin", self.plugin)
        try:
            load_plugins(self.plugin)
        except InputError as error:
            raise error.in_words_of_flags() from None
        check_fields(self, flag_of)
        self._apply_preset()
        if any(t > self.steps for t in self.report_steps):
            found = ",".join(map(str, self.report_steps))
            do = "raise --steps, or report earlier ones"
            raise InputError("--report-steps", f"numbers up to --steps {self.steps}", found, do)
        self._check_specifications()
        if any(t <= self.readout_from for t in self.report_steps):
            found = ",".join(map(str, self.report_steps))
            expected = f"numbers above --readout-from {self.readout_from}"
            raise InputError("--report-steps", expected, found, "there is no result before")
        _calibration_range(self.calibration)
        self._check_combinations()
        self._check_engine()
        self._check_time()
        for name in ("trace_step_range", "trace_neuron_places", "exports"):
            getattr(self, name)  # raises InputError for a format that cannot be read
        self._check_needs(EVENT_DETAILS)
        for name in ("srp", "offset"):
            if self.calibrate and getattr(self, name):
                do = "leave one of them out: it is one stage that is calibrated"
                found = f"--{name} {getattr(self, name)}"
                raise InputError(f"--calibrate {self.calibrate}", f"no --{name}", found, do)
        if self.offset and self.trace == "spikes":
            do = "leave one of them out: a trace has one v(0) for all images"
            raise InputError("--offset", "--trace counts", "--trace spikes", do)

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

    def _check_specifications(self) -> None:
        """Raises InputError for what the specifications refuse, in the words of the flags."""
        try:
            for name in ("resize", "crop"):
                if len(getattr(self, name)) > 2:
                    do = "for example --resize 256 --crop 224"
                    found = ",".join(map(str, getattr(self, name)))
                    raise InputError(flag_of(name), "one or two whole numbers", found, do)
            if self.pixel_range:
                from eventsnn.data.ranges import checked  # reads no images, but stands with them

                checked(self.pixel_range)
            model = neurons.parsed(self.neuron)
            neurons.with_members(self.neuron, self.tau)
            only_last = neurons.stages_of(model) > 1
            self.specification  # noqa: B018, raises InputError
            encoded = self.encoded.of_model(model)
            encoded.check_model(model)
            encoded.check_readout_from(self.readout_from)
            parsed(ORDERS, self.order, "order")
        except InputError as error:
            raise error.in_words_of_flags() from None
        if only_last and any(t != self.steps for t in self.report_steps):
            expected = f"--steps {self.steps}, the only T at which such neurons give a result"
            found = ",".join(map(str, self.report_steps))
            raise InputError("--report-steps", expected, found, "leave it out")

    def _check_combinations(self) -> None:
        """Raises InputError for options that say nothing without another."""
        self._check_needs(NEEDS)
        if self.encoding == "events" and self.time_scale is None:
            do = "for example --encoding events --time-scale 1000"
            raise InputError("--time-scale", "the microseconds of a step", "none", do)
        self._check_rule()

    def _check_rule(self) -> None:
        """Raises InputError for a rule that fails, and for an option that it does not use."""
        rule = None if self.thresholds_file else RULES.find(self.thresholds, "--thresholds")
        for name in CHOSEN:
            if getattr(self, name) != OPTIONS[name] and (rule is None or name not in rule.uses):
                f = _field(name)
                expected = " or ".join(f"--thresholds {user}" for user in users_of(name))
                do = f"for example {option_in(f).example}"
                raise InputError(option_of(f), expected, f"--thresholds {self.thresholds}", do)

    def _check_engine(self) -> None:
        """Raises InputError for an order of arrival, or spikes kept, without the event engine."""
        engine = ENGINES.find(self.engine, "--engine")
        if engine.asynchronous and engine.records:
            return
        for f in fields(self):
            ordered = f.name in EVENT_ONLY and getattr(self, f.name) != f.default
            kept = f.name == "trace" and self.trace in ("digest", "spikes")
            if (ordered and not engine.asynchronous) or (kept and not engine.records):
                do = "only the event engine has an order of arrival"
                raise InputError(option_of(f), "--engine event", f"--engine {self.engine}", do)

    def _check_time(self) -> None:
        """Raises InputError for times that are not whole ticks, in the words of the flags."""
        try:
            self.time.resolved()
        except InputError as error:
            raise error.in_words_of_flags() from None

    def _check_needs(self, needs: tuple[tuple[str, str, tuple[str, ...]], ...]) -> None:
        """Raises InputError for an option without the value of another that it needs.

        needs: (name, the other's name, the values with which it has an effect) of each.
        """
        for name, needed, values in needs:
            f = _field(name)
            if getattr(self, name) != f.default and getattr(self, needed) not in values:
                found = f"--{needed} {getattr(self, needed)}"
                do = f"for example {option_in(f).example}"
                expected = f"--{needed} {' or '.join(values)}"
                raise InputError(option_of(f), expected, found, do)

    @property
    def specification(self) -> Specification:
        """What is simulated, and in which numbers."""
        return Specification(**{f.name: getattr(self, f.name) for f in fields(Specification)})

    @property
    def thresholds_file(self) -> str | None:
        """The file that gives the thresholds; None where a rule finds them."""
        return self.thresholds if self.thresholds.endswith(GIVEN) else None

    @property
    def steps_of_rule(self) -> int | None:
        """T, where the rule finds thresholds for so many steps; else None."""
        return self.steps if uses_steps(self.thresholds) else None

    @property
    def encoded(self) -> Encoding:
        """How images arrive."""
        return Encoding(
            kind=self.encoding,
            release=self.release,
            bias_once=self.bias_once,
            time_scale=self.time_scale,
            polarity=self.polarity,
            sensor=self.sensor,
        )

    @property
    def time(self) -> Time:
        """The event engine's time; its defaults for an engine without an order of arrival."""
        return Time(
            order=self.order,
            barrier=not self.free_running,
            refractory=self.refractory,
            window=self.window,
            spread=self.spread,
            group=self.group,
            jitter=self.jitter,
            delays=self.delay,
            service=self.service,
            latency=self.latency,
            arbitration=self.arbitration,
            max_events=self.max_events,
            ticks=self.ticks,
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
    def trace_neuron_places(self) -> list[tuple[str, Place]] | None:
        """(layer's name, number, (c, y, x) or (index,)) of each neuron whose spikes are kept.

        None: all.
        """
        if self.trace_neurons is None:
            return None
        places: list[tuple[str, Place]] = []
        for part in self.trace_neurons.split(","):
            name, _, text = part.rpartition(":")
            here = place_of(text)
            if not name or here is None:
                expected = "LAYER:NUMBER, LAYER:iINDEX or LAYER:C/Y/X, separated by commas"
                do = "for example --trace-neurons act1:17,act5:3/0/2"
                raise InputError("--trace-neurons", expected, repr(self.trace_neurons), do)
            places.append((name, here))
        return places

    @property
    def exports(self) -> list[str]:
        """The files for other programs, names among EXPORTERS."""
        names = list(dict.fromkeys(self.export.split(","))) if self.export else []
        unknown = [name for name in names if name not in EXPORTERS]
        if unknown:
            expected = f"names among {', '.join(EXPORTERS)}, separated by commas"
            do = "for example --export nir,gdf"
            raise InputError("--export", expected, repr(unknown[0]), do)
        needs = {EXPORTERS.find(name).needs for name in names}
        if self.trace != "spikes" and "spikes" in needs:
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
        return {f.name: getattr(self, f.name) for f in fields(self) if option_in(f).result}

    def id(self, *more: str) -> str:
        """Eight hexadecimal digits: equal for runs that must give equal results.

        more: hashes of network and images, the version, and the hash of a file of thresholds.
        """
        settings = self.outcome()
        settings["encoding"] = self.encoded.of_model(neurons.parsed(self.neuron)).kind
        settings["order"] = ORDERS_IN_IDS.get(self.order, self.order)
        for name, default in DEFAULTS_BEFORE.items():
            settings[name] = default if settings[name] is None else settings[name]
        kept = {name: value for name, value in settings.items() if name not in HASHED}
        for name in NEW:
            if kept[name] == _field(name).default:
                del kept[name]
        if self.thresholds_file:
            kept["thresholds"] = None
        return hashlib.sha256(json.dumps([kept, *more], sort_keys=True).encode()).hexdigest()[:8]


def place_of(text: str) -> Place | None:
    """A neuron's place as the command line has it; None for other text.

    text: a number, iINDEX for a place in the flat vector, or C/Y/X.
    """
    found = re.fullmatch(r"(i?)(\d+)(?:/(\d+)/(\d+))?", text, re.ASCII)
    if found is None or (found[1] and found[3]):
        return None
    first, y, x = (None if part is None else int(part) for part in found.groups()[1:])
    assert first is not None
    if y is None or x is None:
        return (first,) if found[1] else first
    return first, y, x


def _field(name: str) -> Field[Any]:
    return next(f for f in fields(Settings) if f.name == name)


def flag_of(name: str) -> str:
    """The command line's name of a field: --report-steps for report_steps. name: the field's."""
    return "--" + name.replace("_", "-")


def option_of(f: Field[Any]) -> str:
    """The command line's name of a field. f: the field."""
    return flag_of(f.name)


def option_in(f: Field[Any]) -> Option:
    """What is known of a field."""
    found: Option = f.metadata["option"]
    return found


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
