"""`eventsnn explain` and `eventsnn replay`: a finished run is asked, from the command line."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import eventsnn
from eventsnn.commands import explain, replay
from eventsnn.commands.main import main as command
from eventsnn.run import main

RUN = ["--engine", "event", "--order", "random", "--limit", "3", "--steps", "2", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that kept the traces of its first two images."""
    out = tmp_path_factory.mktemp("asked") / "r"
    assert main([*RUN, "--trace", "spikes", "--trace-images", "2", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def result():
    """The same in memory."""
    images = eventsnn.load_images("sample", limit=3)
    network = eventsnn.convert(eventsnn.load("sample"))
    return network.run(images, steps=2, engine="event", order="random")


def said(capsys, words, status=0):
    """What a command prints, on standard output or, where it is refused, in one line."""
    assert command(words) == status
    found = capsys.readouterr()
    if status == 2:
        assert found.err.count("\n") == 1
    return found.err if status == 2 else found.out


def test_a_neuron_is_explained_as_in_python(folder, result, capsys):
    words = ["explain", str(folder), "--image", "1", "--layer", "act2", "--neuron", "3/1/2"]
    told = said(capsys, words)
    assert str(result.explain("act2", (3, 1, 2), image=1)) in told


def test_without_a_neuron_it_is_the_one_that_errs_most(folder, result, capsys, tmp_path):
    picture = tmp_path / "neuron.svg"
    told = said(capsys, ["explain", str(folder), "--layer", "act3", "--out", str(picture)])
    worst = result.worst(1, "act3")
    errors = eventsnn.asynchronism.of_trace(result.trace(0))["act3"].error
    neuron = int(np.abs(errors).argmax())
    assert abs(errors[neuron]) <= abs(worst[0].error)
    assert "No neuron was named" in told and str(result.explain("act3", neuron)) in told
    assert picture.read_text().lstrip().startswith("<?xml")


def test_the_chain_of_a_spike_is_that_of_python(folder, result, capsys):
    trace = result.trace(0)
    spike = trace.spikes[trace.spikes["layer"] == 2][5]
    words = ["--layer", "act3", "--neuron", str(spike["neuron"]), "--spike", str(spike["seq"])]
    told = said(capsys, ["explain", str(folder), *words])
    assert str(eventsnn.explain.explain_spike(trace, int(spike["seq"]))) in told


def test_edits_are_those_of_python_in_the_order_given(folder, result, capsys):
    spikes = result.trace(1).spikes
    of = spikes[spikes["layer"] == 1]
    neuron = of["neuron"][0]
    own = of["seq"][of["neuron"] == neuron]
    a, b = int(of["seq"][3]), int(of["seq"][9])
    edits = [eventsnn.Drop(int(own[0])), eventsnn.Delay(a, 0.5), eventsnn.Swap(a, b)]
    words = ["--drop", f"act2:{neuron}:1", "--delay", str(a), "0.5", "--swap", str(a), str(b)]
    words += ["--layer", "act2", "--neuron", str(neuron)]
    told = said(capsys, ["replay", str(folder), "--image", "1", *words])
    replayed = result.replay(edits, image=1)
    assert str(replayed) in told
    after = replayed.trace.spikes
    count = ((after["layer"] == 1) & (after["neuron"] == neuron)).sum()
    last = told.splitlines()[-1]
    assert last.startswith(f"Neuron act2 {neuron}: ")
    assert f"{len(own)} spike" in last and f"{count} spike" in last


def test_a_dropped_spike_is_missed_by_its_neuron_only_in_delivery(folder, capsys):
    told = said(capsys, ["replay", str(folder)])
    assert "edited: nothing" in told and "Every spike is the same" in told


@pytest.mark.parametrize(
    "words, told",
    [
        (["explain", "{}", "--image", "2"], "make it: eventsnn run --settings"),
        (["replay", "{}", "--image", "2"], "--trace spikes --trace-images 3 --out"),
        (["explain", "{}", "--image", "7"], "one of the run's, 0 to 2, found 7"),
        (["explain", "{}", "--image", "x"], "--image: expected an image's number"),
        (["explain", "{}", "--layer", "act9"], "--layer: expected one of act1"),
        (["explain", "{}", "--neuron", "1"], "--neuron: expected --layer beside it"),
        (["explain", "{}", "--layer", "act2", "--neuron", "z"], "for example --neuron 17"),
        (["explain", "{}", "--layer", "act2", "--neuron", "99999"], "found 99999"),
        (["explain", "{}", "--layer", "act2", "--neuron", "0", "--spike", "x"], "--spike: "),
        (["explain", "{}", "--out", "a.gif"], "ends in .png, .svg, .pdf"),
        (["explain", "{}", "--out", "no/such/a.png"], "a folder that exists"),
        (["explain", "no such folder"], "a results folder, found nothing"),
        (["explain", ""], "a results folder, found an empty name"),
        (["explain", "{}", "--lyaer", "x"], "did you mean --layer?"),
        (["replay", "{}", "--drop", "99999999"], "--drop: expected a seq from 0 to"),
        (["replay", "{}", "--drop", "act2:1"], "for example act1:17:2"),
        (["replay", "{}", "--drop", "act9:0:1"], "--drop: expected one of act1"),
        (["replay", "{}", "--layer", "readout", "--neuron", "0"], ", found 'readout'"),
        (["explain", "{}", "--layer", "act9", "--neuron", "0"], ", found 'act9'"),
        (["replay", "{}", "--drop", "act2:0:0"], "for example act1:17:2"),
        (["replay", "{}", "--drop", "act2:0:9999"], "it fired"),
        (["replay", "{}", "--delay", "1", "soon"], "a number of steps"),
        (["replay", "{}", "--delay", "1", "-3"], "0 to 65,536 steps, found -3.0"),
        (["replay", "{}", "--swap", "1"], "expected 2 arguments; see eventsnn replay --help"),
        (["replay", "{}", "--layer", "act2"], "--layer: expected --neuron beside it"),
    ],
)
def test_bad_input_is_one_line(folder, capsys, words, told):
    assert told in said(capsys, [word.format(folder) for word in words], 2)


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf", "a.html"])
def test_an_earlier_answer_is_replaced_and_nothing_else(folder, capsys, tmp_path, name):
    out = tmp_path / name
    given = ["explain", str(folder), "--out", str(out)]
    given += ["--ordering"] if name == "a.html" else ["--layer", "act6", "--neuron", "0"]
    for _ in range(2):
        said(capsys, given)
    out.write_text("mine")
    assert "an earlier answer of eventsnn" in said(capsys, given, 2)
    assert out.read_text() == "mine"
    out.unlink()
    beside = tmp_path / name.replace("a.", "a-neuron.")
    beside.write_text("mine")
    if name != "a.html":
        assert f"{beside.name}, or nothing" in said(capsys, ["why", str(folder), *given[2:4]], 2)


def test_help_of_report_says_its_exit_status(capsys):
    with pytest.raises(SystemExit):
        command(["report", "--help"])
    assert "exit status: 0, or 2 for wrong input" in capsys.readouterr().out


def test_the_command_that_makes_a_missing_trace_does(folder, capsys, tmp_path):
    """Also of a clocked run: order clocked gives the same spikes."""
    out = tmp_path / "clocked and <b>"
    assert main(["--limit", "2", "--steps", "1", "--quiet", "--out", str(out)]) == 0
    line = said(capsys, ["explain", str(out), "--image", "1"], 2)
    words = shlex.split(line.rstrip().rpartition("make it: eventsnn ")[2])
    assert command([*words, "--quiet"]) == 0
    traced = words[-1]
    assert "act" in said(capsys, ["explain", traced, "--image", "1"])
    found = eventsnn.diff(out, traced)
    assert found.equal


@pytest.mark.parametrize("image", [[0], True, "0"])
def test_an_image_of_an_ordering_is_a_number(folder, image):
    with pytest.raises(eventsnn.InputError, match="image: expected a whole number"):
        eventsnn.ordering(folder, image=image)


def test_a_network_or_data_that_changed_is_refused(tmp_path, capsys):
    net, out = tmp_path / "net.h5", tmp_path / "r"
    eventsnn.save(eventsnn.load("sample"), net)
    given = [*RUN, "--net", str(net), "--data", "sample", "--trace", "spikes", "--out", str(out)]
    assert main(given) == 0
    with h5py.File(net, "a") as file:
        names = []
        file.visititems(lambda name, it: names.append(name) if hasattr(it, "dtype") else None)
        name = next(n for n in names if file[n].dtype.kind == "f" and file[n].ndim > 1)
        file[name][...] *= 2
    assert "found another; put it back" in said(capsys, ["explain", str(out)], 2)
    shutil.move(net, tmp_path / "gone.h5")
    assert str(net) in said(capsys, ["replay", str(out)], 2)


@pytest.mark.parametrize("module", [explain, replay])
def test_help_teaches_by_example(module, capsys):
    with pytest.raises(SystemExit):
        module.main(["--help"])
    assert " RUN --image 3 " in capsys.readouterr().out


@pytest.mark.slow
def test_a_folders_plug_ins_are_not_loaded_unless_they_are_given(tmp_path):
    """In processes of their own, in which nothing is registered yet."""
    root = Path(eventsnn.__file__).parents[1]
    plugin = root / "examples" / "extend" / "encoding.py"
    out = str(tmp_path / "r")

    def asked(*words):
        command = [sys.executable, "-m", "eventsnn", *words]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    given = ["--engine", "event", "--encoding", "fading", "--limit", "1", "--steps", "1"]
    given += ["--plugin", str(plugin), "--out", out, "--quiet"]
    assert asked("run", *given).returncode == 0
    refused = asked("explain", out, "--ordering")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert f"the run had --plugin {plugin}: give it beside the folder" in refused.stderr
    told = asked("explain", out, "--ordering", "--plugin", str(plugin))
    assert told.returncode == 0 and "encoding fading" in told.stdout
