"""The command that makes a run again: its options are the run's."""

import json

import pytest

from eventsnn.run import settings_of
from eventsnn.runs.command import command_of
from eventsnn.settings import Settings

RUNS = [
    [],
    ["--steps", "7", "--limit", "9", "--net", "my net.h5", "--data", "x'y"],
    ["--engine", "event", "--order", "jitter", "--jitter", "exponential:0.3", "--free-running"],
    ["--pixel-range=-2.2,2.7", "--input-mean", "0.1,0.2", "--input-channels", "reversed"],
    ["--report-steps", "1,3", "--steps", "4", "--thresholds", "percentile", "--percentile", "99"],
    ["--compat", "srp-code", "--srp", "4"],
    ["--initial", "0"],
    ["--neuron", "gn:4", "--initial", "0.25", "--arithmetic", "float64", "--bias-once"],
    ["--engine", "event", "--trace", "spikes", "--trace-layers", "-a", "--seed", "3"],
]


@pytest.mark.parametrize("words", [pytest.param(w, id=" ".join(w)[:30] or "none") for w in RUNS])
def test_the_command_has_the_runs_options(words):
    words = [w.replace("--trace-layers", "--trace-layers=-a") for w in words if w != "-a"]
    given = settings_of(words)
    summary = json.loads(json.dumps(given.outcome()))
    command = command_of(summary)
    assert command[:2] == ["eventsnn", "run"]
    assert settings_of(command[2:]).outcome() == given.outcome()


def test_defaults_are_left_out():
    assert command_of(Settings().outcome()) == ["eventsnn", "run"]
    assert command_of({"steps": 8, "unknown": 1}) == ["eventsnn", "run", "--steps", "8"]
