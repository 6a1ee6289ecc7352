"""Settings: what is allowed, what identifies a run, and the command line made of them."""

import dataclasses
import shlex
from pathlib import Path

import pytest

from eventsnn import InputError
from eventsnn.options import LISTS
from eventsnn.run import parser, settings_of
from eventsnn.settings import EVENT_DETAILS, EVENT_ONLY, GROUPS, Settings, option_of

FIELDS = {f.name: f for f in dataclasses.fields(Settings)}
# a value for every field that is not its default
OTHER = {
    "plugin": str(Path(__file__).parents[2] / "examples" / "extend" / "option.py"),
    "net": "a.h5",
    "arch": "keras-vgg16",
    "output": "logits",
    "input_scale": 0.5,
    "input_mean": (1.0, 2.0),
    "input_std": (255,),
    "input_channels": "reversed",
    "data": "b",
    "split": "train",
    "limit": 3,
    "pixel_range": (0.0, 2.0),
    "steps": 33,
    "report_steps": (1, 5),
    "thresholds": "max",
    "percentile": 99.0,
    "threshold_scale": 0.8,
    "calibrate": "bias",
    "shift": True,
    "calibration": "test:1-2",
    "max_pooling": "average",
    "initial": 0.25,
    "arithmetic": "float64",
    "fraction_bits": 9,
    "neuron": "snm",
    "engine": "event",
    "order": "random",
    "jitter": "exponential:1",
    "delay": 0.5,
    "refractory": 1.0,
    "window": 0.5,
    "spread": 16,
    "group": 64,
    "service": (0.5, 0.25),
    "latency": 0.5,
    "arbitration": "index",
    "free_running": True,
    "max_events": 9,
    "ticks": 1000,
    "trace": "spikes",
    "trace_images": 2,
    "trace_layers": "act1",
    "trace_neurons": "act1:3",
    "trace_steps": "1-3",
    "export": "nir",
    "nir_for": "norse",
    "dead": "silent",
    "residual": "reroute",
    "readout": "fires",
    "compat": "srp-code",
    "tau": 3,
    "srp": 2,
    "readout_from": 3,
    "offset": 4,
    "srp_epsilon": 0.5,
    "encoding": "even",
    "release": 4,
    "time_scale": 500.0,
    "polarity": "merge",
    "sensor": (12, 12),
    "resize": (8,),
    "crop": (6, 6),
    "bias_once": True,
    "seed": 1,
    "workers": 2,
    "batch": 3,
    "out": "c",
    "overwrite": True,
    "quiet": True,
    "json": True,
}
# what must be set for a field to say anything
NEEDED = {
    "tau": {"neuron": "gn"},
    "release": {"encoding": "even"},
    "time_scale": {"encoding": "events", "time_scale": 1000.0},
    "polarity": {"encoding": "events", "time_scale": 1000.0},
    "sensor": {"encoding": "events", "time_scale": 1000.0},
    "dead": {"thresholds": "dni"},
    "srp_epsilon": {"srp": 4},
    "readout_from": {"steps": 2**16},
    "compat": {"srp": 4},
    "nir_for": {"export": "nir"},
    "jitter": {"engine": "event", "order": "jitter"},
    "free_running": {"engine": "event", "order": "jitter"},
    **{
        name: {"engine": "event", "order": "cores"}
        for name in ("service", "latency", "arbitration")
    },
    **{
        f"trace_{name}": {"engine": "event", "trace": "spikes"}
        for name in ("images", "layers", "neurons", "steps")
    },
}
# fields that cannot change a result, and those that lead to the network and the images, which are
# hashed themselves
ELSEWHERE = {
    "resize",
    "crop",
    "plugin",
    "workers",
    "batch",
    "out",
    "overwrite",
    "export",
    "nir_for",
    "quiet",
    "json",
    "net",
    "arch",
    "output",
    "input_scale",
    "input_mean",
    "input_std",
    "input_channels",
    "data",
}


def fields_but(*names):
    return sorted(set(FIELDS) - set(names))


@pytest.mark.parametrize("name", fields_but())
def test_the_id_knows_what_can_change_a_result(name):
    base = Settings(
        **NEEDED.get(name, {"engine": "event"} if name in (*EVENT_ONLY, "trace") else {})
    )
    other = dataclasses.replace(base, **{name: OTHER[name]})
    assert getattr(other, name) == OTHER[name] != getattr(base, name)
    assert (other.id("network", "images") == base.id("network", "images")) is (name in ELSEWHERE)


@pytest.mark.parametrize(("name", "needed", "values"), EVENT_DETAILS)
def test_what_says_nothing_by_itself_is_refused(name, needed, values):
    (value,) = values
    with pytest.raises(
        InputError, match=f"--{needed} {value}, found --{needed}.* for example .*--{needed} {value}"
    ):
        Settings(**{name: OTHER[name]}, engine="event")


@pytest.mark.parametrize("name", [*EVENT_ONLY, "trace"])
def test_asynchronous_time_needs_the_event_engine(name):
    with pytest.raises(InputError, match="--engine event"):
        Settings(**{name: OTHER[name]})


def test_no_trace_at_all_fits_both_engines():
    assert Settings(trace="none").trace == Settings(trace="none", engine="event").trace == "none"


def test_neurons_to_trace_by_number_or_place():
    kept = Settings(trace_neurons="act1:17,b:c:3/0/2", **NEEDED["trace_neurons"])
    assert kept.trace_neuron_places == [("act1", 17), ("b:c", (3, 0, 2))]
    assert Settings().trace_neuron_places is None


@pytest.mark.parametrize("text", ["0-3", "3-2", "a", "1-33", "-1"])
def test_trace_steps_that_make_no_sense(text):
    with pytest.raises(InputError, match="--trace-steps"):
        Settings(trace_steps=text)


def test_the_id_knows_network_and_images():
    ids = {Settings().id(*more) for more in (("a", "b"), ("a", "c"), ("b", "a"), ("a",))}
    assert len(ids) == 4 and all(len(i) == 8 and int(i, 16) >= 0 for i in ids)


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().steps = 4


BAD = [
    ("export", "nwb", "nir, sonata, gdf"),
    ("export", "sonata", "--trace spikes"),
    ("export", "", "text"),
    ("nir_for", "brian", "sinabs"),
    ("nir_for", "norse", "--export nir"),
    ("net", "", "text"),
    ("net", None, "text"),
    ("arch", "", "text"),
    ("arch", 3, "text"),
    ("output", "", "text"),
    ("input_scale", 0.0, "from 1e-30"),
    ("input_scale", "1", "number"),
    ("input_mean", 1.0, "numbers"),
    ("input_mean", ("1",), "numbers"),
    ("input_mean", (float("inf"),), "numbers"),
    ("input_std", (1.0, 0.0), "from 1e-30"),
    ("input_std", (True,), "numbers"),
    ("input_channels", "BGR", "same, reversed"),
    ("pixel_range", (2.0, 1.0), "two finite numbers, the lowest and the highest raw pixel"),
    ("pixel_range", (0.0,), "two finite numbers"),
    ("data", 3, "text"),
    ("split", "valid", "train, test"),
    ("split", None, "train, test"),
    ("limit", 0, "from 1"),
    ("limit", -4, "from 1"),
    ("limit", 2.0, "whole number"),
    ("limit", True, "whole number"),
    ("time_scale", 0.0, "from 1e-06"),
    ("time_scale", 5.0, "--encoding events"),
    ("polarity", "both", "channels, signed, merge"),
    ("sensor", (3, 0), "from 1"),
    ("resize", (0,), "from 1"),
    ("resize", (8, 8, 8), "one or two"),
    ("crop", (1.5,), "whole numbers"),
    ("crop", 224, "whole numbers"),
    ("steps", 0, "from 1 to 65,536"),
    ("steps", 65537, "from 1 to 65,536"),
    ("steps", None, "whole number"),
    ("steps", "8", "whole number"),
    ("report_steps", (0,), "from 1"),
    ("report_steps", (33,), "up to --steps 32"),
    ("report_steps", (1.0,), "whole numbers"),
    ("thresholds", "min", "percentile"),
    ("percentile", 0.0, "from 0.001 to 100"),
    ("percentile", 100.001, "to 100"),
    ("percentile", float("nan"), "number"),
    ("percentile", "99", "number"),
    ("percentile", True, "number"),
    ("threshold_scale", 0.0, "from 0.001 to 1,000"),
    ("calibration", "train", "SPLIT:FIRST-LAST"),
    ("calibration", "train:", "SPLIT:FIRST-LAST"),
    ("calibration", "valid:0-3", "SPLIT"),
    ("calibration", "train:4-2", "SPLIT"),
    ("calibration", "train:-4", "SPLIT"),
    ("calibration", "train:0-100000", "100,000"),
    ("calibration", "train:a-b", "SPLIT"),
    ("calibration", "", "text"),
    ("max_pooling", "refuse", "exact, average"),
    ("initial", float("inf"), "number"),
    ("initial", 1000.5, "-1,000 to 1,000"),
    ("arithmetic", "float16", "fixed, float32, float64"),
    ("fraction_bits", 0, "from 1 to 40"),
    ("fraction_bits", 41, "to 40"),
    ("seed", -1, "from 0"),
    ("seed", 2**63, "from 0"),
    ("workers", 0, "from 1"),
    ("workers", 1025, "to 1,024"),
    ("batch", 0, "from 1"),
    ("out", "", "text"),
    ("quiet", 1, "true or false"),
    ("overwrite", 1, "true or false"),
    ("json", "yes", "true or false"),
    ("neuron", "izhikevich", "if, if-hard, snm, signed, st-bif, gn, burst, lif, adaptive"),
    ("residual", "drop", "keep, reroute"),
    ("readout", "spikes", "adds, fires"),
    ("bias_once", 1, "true or false"),
    ("tau", 0, "from 1"),
    ("tau", 3, "group neurons (gn)"),
    ("srp", -1, "from 0"),
    ("offset", -1, "from 0"),
    ("calibrate", "weight", "v0, bias, potential, weights"),
    ("shift", 1, "true or false"),
    ("readout_from", 32, "fewer than the --steps 32"),
    ("srp_epsilon", 0.5, "--srp N"),
    ("release", 4, "--encoding"),
    ("dead", "silent", "--thresholds dni"),
    ("plugin", "none.py", "files of Python"),
    ("compat", "snn-code", "srp-code"),
    ("encoding", "event", "constant, even, rate, events"),
    ("engine", "brian", "clocked, event"),
    ("order", "sideways", "fifo, lifo"),
    ("jitter", "", "text"),
    ("delay", -0.5, "from 0"),
    ("refractory", -1.0, "from 0"),
    ("window", float("nan"), "number"),
    ("spread", 0, "from 1"),
    ("group", -1, "from 1"),
    ("service", (0.5, -1.0), "from 0"),
    ("latency", -0.5, "from 0"),
    ("arbitration", "best", "fifo, index, round_robin, random"),
    ("ticks", 2**21, "from 1"),
    ("free_running", 1, "true or false"),
    ("max_events", 0, "from 1"),
    ("trace", "all", "none, counts, digest, spikes"),
    ("trace_images", 0, "from 1"),
    ("trace_layers", "", "text"),
    ("trace_steps", "9-3", "1-32"),
    *(
        ("trace_neurons", text, "LAYER:NUMBER, LAYER:iINDEX or LAYER:C/Y/X")
        for text in (
            "act1",
            "act1:",
            ":3",
            "act1:x",
            "act1:-3",
            "act1:1/2",
            "act1:1/2/3/4",
            "act1:3,",
            "act1:\u0663",
        )
    ),
]


@pytest.mark.parametrize("name, value, expected", BAD, ids=[f"{n}={v!r}" for n, v, _ in BAD])
def test_values_that_are_not_allowed(name, value, expected):
    with pytest.raises(InputError) as caught:
        Settings(**{name: value})
    assert (
        caught.value.where == option_of(FIELDS[name])
        and expected in caught.value.expected
        and caught.value.found
        and caught.value.do
    )


def test_every_field_has_a_bad_value_in_the_list():
    assert {name for name, _, _ in BAD} == set(FIELDS)


@pytest.mark.parametrize(
    "name, low, high",
    [
        (n, f.metadata["option"].low, f.metadata["option"].high)
        for n, f in FIELDS.items()
        if f.metadata["option"].low is not None and f.metadata["option"].kind not in LISTS
    ],
)
def test_the_ends_of_a_range_are_allowed(name, low, high):
    for value in (low, high):
        assert (
            value is None
            or getattr(Settings(**{"engine": "event"} | NEEDED.get(name, {}) | {name: value}), name)
            == value
        )


def test_fraction_bits_belong_to_fixed_point():
    assert Settings(fraction_bits=12).fraction_bits == 12
    with pytest.raises(
        InputError, match="--fraction-bits: expected --arithmetic fixed, found --arithmetic float32"
    ):
        Settings(fraction_bits=12, arithmetic="float32")


@pytest.mark.parametrize(
    "text, meant",
    [(None, ("train", 0, 127)), ("train:0-511", ("train", 0, 511)), ("test:7", ("test", 7, 7))],
)
def test_calibration_images_have_names(text, meant):
    assert Settings(calibration=text).calibration_range == meant


@pytest.mark.parametrize("name", fields_but())
def test_every_option_is_explained_with_an_example_that_works(name):
    f = FIELDS[name]
    assert f.metadata["option"].words and f.metadata["option"].group in GROUPS
    settings = settings_of(shlex.split(f.metadata["option"].example))
    assert getattr(settings, name) != f.default, "an example that changes nothing"


def test_the_options_are_the_fields():
    options = {s for action in parser()._actions for s in action.option_strings}
    assert options == {option_of(f) for f in FIELDS.values()} | {
        "--settings",
        "-h",
        "--help",
        "--version",
    }
    assert settings_of([]) == Settings()


def test_text_becomes_values():
    settings = settings_of(
        "--limit 5 --report-steps 4,1 --percentile 99 --initial -0.5 --quiet --out x "
        "--calibration test:0-3 "
        "--input-mean=-0.5,1e-2 --input-std 255".split()
    )
    assert settings == Settings(
        input_mean=(-0.5, 0.01),
        input_std=(255.0,),
        limit=5,
        report_steps=(4, 1),
        percentile=99.0,
        initial=-0.5,
        quiet=True,
        out="x",
        calibration="test:0-3",
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--limit x", ["--limit: expected a whole number, found 'x'", "for example --limit 1000"]),
        ("--limit 1.5", ["--limit", "whole number", "'1.5'"]),
        ("--limit 0", ["--limit", "from 1", "found 0"]),
        ("--limit", ["--limit: expected a value, found none", "for example --limit 1000"]),
        ("--steps 1e3", ["--steps", "whole number", "'1e3'"]),
        ("--report-steps 1,,2", ["--report-steps", "separated by commas", "'1,,2'"]),
        ("--report-steps 1,99", ["--report-steps", "--steps 32", "1,99", "raise --steps"]),
        ("--input-std 1,a", ["--input-std", "numbers separated by commas", "'1,a'"]),
        ("--percentile high", ["--percentile", "a number", "'high'"]),
        ("--initial -1e-3", ["--initial", "a value", "--initial=-"]),
        ("--initial -2000", ["--initial", "-1,000 to 1,000"]),
        ("--net --data", ["--net: expected a value, found none"]),
        ("--thresholds best", ["--thresholds: expected one of auto", "'best'"]),
        ("--json=3", ["--json: expected no value, found '3'", "--json alone"]),
        ("--repot-steps 3", ["--repot-steps", "did you mean --report-steps?"]),
        ("--lim=3", ["--lim=3", "did you mean --limit?"]),
        ("--frobnicate", ["found --frobnicate", "see eventsnn run --help"]),
        ("vgg16.h5", ["found vgg16.h5", "--net FILE"]),
        ("-x", ["found -x", "--help"]),
        ("--out=", ["--out", "text", "''"]),
    ],
)
def test_command_lines_that_are_wrong(arguments, words):
    with pytest.raises(InputError) as caught:
        settings_of(arguments.split())
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_presets_decide_and_refuse_what_says_otherwise():
    settings = Settings(compat="snm-code")
    assert (settings.neuron, settings.initial, settings.thresholds, settings.dead) == (
        "snm",
        0.0,
        "dni",
        "silent",
    )
    assert settings.readout == "fires"
    assert (
        Settings(compat="spikezip-code").bias_once
        and Settings(compat="srp-code", srp=4).srp_epsilon == 0.001
    )
    with pytest.raises(
        InputError, match="--initial: expected 0.0, which --compat snm-code decides, found 0.25"
    ):
        Settings(compat="snm-code", initial=0.25)
    assert Settings(compat="gn-code", tau=8).neuron == "gn"
