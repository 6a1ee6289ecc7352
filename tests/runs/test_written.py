"""What version 0.1.0 wrote before the modules moved still opens, and still says the same.

But for the readout: its unit was a threshold then, and has an exponent of either sign now. And for
the order: `random` was then what is `priority` now, so that is what these files mean.
"""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import eventsnn
from eventsnn.option_texts import read_settings
from eventsnn.run import main
from eventsnn.trace import read_trace

FILES = Path(__file__).parents[1] / "files" / "written"
OPTIONS = {"steps": 3, "engine": "event", "order": "priority", "neuron": "snm"}


def again():
    """The run that left the files, once more."""
    network = eventsnn.convert(eventsnn.load(FILES / "net.h5"))
    images = eventsnn.load_images(FILES / "data.npz", limit=3)
    return eventsnn.simulate(network, images, **OPTIONS)


def assert_same_readout(result, old, new):
    """The same charge, up to the rounding of weights in the old unit."""
    exponent = result.simulation.arithmetic.readout_exponent
    assert exponent < 0 and old.any()
    assert np.abs(np.ldexp(new.astype(float), exponent) - old).max() < 30


def test_a_checkpoint_is_the_network_that_it_was():
    summary = json.loads((FILES / "summary.json").read_text())
    graph = eventsnn.load(FILES / "net.h5")
    assert graph.hash == summary["network"]["sha256"] and len(graph.nodes) == 7


def test_a_trace_opens_and_is_what_a_run_records():
    result = again()
    old, new = read_trace(FILES / "trace-0.h5", result.simulation), result.trace(0)
    assert len(old.spikes) > 20
    for name in ("spikes", "deliveries", "starts"):
        assert np.array_equal(getattr(old, name), getattr(new, name)), name
    classes = result.network.readout.size
    assert np.array_equal(old.drive[..., :-classes], new.drive[..., :-classes])
    assert_same_readout(result, old.drive[..., -classes:], new.drive[..., -classes:])
    assert str(eventsnn.explain.explain_neuron(old, 0, 5)) == str(result.explain(0, 5))


def test_counts_of_a_results_folder_are_those_of_a_run():
    result = again()
    with h5py.File(FILES / "run.h5") as file:
        assert np.array_equal(file["spikes"][()], result.spikes.sum(axis=0))
        assert_same_readout(result, file["readout"][()], result.batch.readout)
        # two hashes together, as runs had them that asked for them
        assert np.array_equal(file["digests"][:, 1], result.digests)
        assert np.array_equal(file["digests"][:, 0], result.batch.order_digests)


def test_the_same_command_leaves_the_same_results(tmp_path):
    given = [f"--{name}={value}" for name, value in OPTIONS.items()]
    files = ["--net", str(FILES / "net.h5"), "--data", str(FILES / "data.npz"), "--limit", "3"]
    out = ["--trace", "spikes", "--out", str(tmp_path / "r"), "--quiet"]
    assert main([*files, *given, *out]) == 0
    old = json.loads((FILES / "summary.json").read_text())
    new = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert {*old, "left_by", "conditions", "format", "neurobench"} == {*new}
    for name in ("id", "ann_accuracy", "snn_accuracy", "spikes_per_image", "cost_per_image"):
        assert old[name] == new[name], name
    # it counts in q, and said thresholds
    assert old["semantics"]["order"] == old["settings"]["order"] == "random"
    old["semantics"]["order"] = "priority"
    old["semantics"]["bound_in_q"] = old["semantics"].pop("bound_in_thresholds")
    assert old["semantics"].pop("readout_exponent") == 0
    assert old["semantics"].items() <= new["semantics"].items()


def test_random_of_an_older_trace_is_never_the_uniform_one():
    network = eventsnn.convert(eventsnn.load(FILES / "net.h5"))
    images = eventsnn.load_images(FILES / "data.npz", limit=3)
    uniform = eventsnn.simulate(network, images, **{**OPTIONS, "order": "random"})
    with pytest.raises(eventsnn.InputError, match="order random, found one with order priority"):
        read_trace(FILES / "trace-0.h5", uniform.simulation)
    alone = read_trace(FILES / "trace-0.h5")
    assert alone.about["semantics"]["order"] == alone.about["settings"]["order"] == "priority"
    assert "order priority" in repr(alone)
    old = read_trace(FILES / "trace-0.h5", again().simulation)
    found = eventsnn.replay.replay(old.simulation, old)
    assert np.array_equal(found.trace.deliveries, old.deliveries)
    assert not np.array_equal(uniform.trace(0).deliveries, old.deliveries)


@pytest.fixture
def older(tmp_path, monkeypatch):
    """The folder of a run of an older version, which its summary does not number."""
    for name in ("net.h5", "data.npz"):
        shutil.copy(FILES / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    given = [f"--{name}={value}" for name, value in OPTIONS.items()]
    files = ["--net", "net.h5", "--data", "data.npz", "--limit", "3"]
    assert main([*files, *given, "--out", "now", "--quiet"]) == 0
    assert read_settings(str(FILES / "summary.json"))["order"] == "priority"
    now = tmp_path / "now"
    summary = json.loads((now / "summary.json").read_text())
    assert summary["format"] == 2 and summary["settings"]["order"] == "priority"
    assert "order priority; " in summary["conditions"]
    del summary["format"]
    text = json.dumps(summary).replace("order priority", "order random")
    (now / "summary.json").write_text(text.replace('"order": "priority"', '"order": "random"'))
    return now


def test_an_older_folder_opens_runs_again_and_differs_from_nothing_as_priority(older, tmp_path):
    results = eventsnn.open_results(older)
    assert results.settings["order"] == results.summary["semantics"]["order"] == "priority"
    assert "order priority; " in results.summary["conditions"]
    result = again()
    found = eventsnn.diff(older, result)
    assert "order" not in [row["setting"] for row in found.settings]
    assert found.spikes is not None and not found.spikes.any()
    assert main(["--settings", str(older / "summary.json"), "--out", "b", "--quiet"]) == 0
    repeated = eventsnn.open_results(tmp_path / "b")
    assert np.array_equal(repeated.digests, results.digests)
    assert repeated.summary["id"] == results.summary["id"]


def test_a_format_of_another_release_is_refused(older):
    summary = json.loads((older / "summary.json").read_text())
    (older / "summary.json").write_text(json.dumps({**summary, "format": 3}))
    with pytest.raises(eventsnn.InputError, match="format 3 in summary.json, of another release"):
        eventsnn.open_results(older)
