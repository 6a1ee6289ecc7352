"""`eventsnn diagnose`: what it prints, and that the command which it advises gives what it says."""

import re
import shlex

import numpy as np
import pytest
from support.networks import Builder, small_graph

import eventsnn
from eventsnn import Preprocessing
from eventsnn.commands.diagnose import advised, main
from eventsnn.commands.main import main as eventsnn_main
from eventsnn.readers import write_native
from eventsnn.run import main as run
from eventsnn.run import settings_of


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a network, its images, and thresholds one of which is far too low."""
    folder = tmp_path_factory.mktemp("diagnosed")
    graph, rng = small_graph("Relu"), np.random.default_rng(5)
    x = rng.uniform(0, 1, (200, 2, 6, 6)).astype(np.float32)
    labels = eventsnn.ann.predict(graph, x).argmax(axis=1)
    write_native(graph, folder / "net.h5")
    np.savez(
        folder / "data.npz",
        x_test=x[:100],
        y_test=labels[:100],
        x_train=x[100:],
        y_train=labels[100:],
    )
    network = eventsnn.convert(graph, calibration=x)
    low = {layer.name: float(layer.theta) for layer in network.spiking}
    low["relu4"] /= 15
    (folder / "low.json").write_text(str(low).replace("'", '"'))
    return folder


def said(capsys, *words, status=0):
    capsys.readouterr()
    assert main([*map(str, words)]) == status
    return capsys.readouterr()


def followed(text, capsys, tmp_path):
    """The accuracy of the run that a diagnosis advises."""
    command = text.rstrip().splitlines()[-1].strip()
    words = shlex.split(command)
    assert words[:2] == ["eventsnn", "run"]
    capsys.readouterr()
    assert run([*words[2:], "--out", str(tmp_path / "out")]) == 0
    return eventsnn.open_results(tmp_path / "out").accuracy[-1]["accuracy"]


def test_the_advised_command_gives_what_was_said(files, capsys, tmp_path):
    given = ["--net", files / "net.h5", "--data", files / "data.npz"]
    out = said(capsys, *given, "--thresholds", files / "low.json").out
    assert "threshold too low: relu4: " in out and "it is below its ANN" in out
    told = re.search(r"best: .*: confirmed; ([\d.]+)% of all 100 are right then", out)
    assert told, out
    accuracy = followed(out, capsys, tmp_path)
    assert f"{accuracy:.1%}" == f"{told[1]}%" and accuracy > 0.9
    assert "⟦" not in out and "=" not in re.search("best: (.*?):", out)[1]


def test_the_advised_preprocessing_gives_what_was_said(files, capsys, tmp_path):
    """Bytes from 0 to 255 into a network of 0 to 1, in floating point."""
    b = Builder(np.random.default_rng(0), (3, 6, 6))
    graph = b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv("input", 8), "Relu")]), out=6))
    x = np.random.default_rng(1).uniform(0, 255, (250, 3, 6, 6)).astype(np.float32)
    labels = eventsnn.ann.predict(graph, x / 255).argmax(axis=1)
    write_native(graph, tmp_path / "net.h5")
    names = {"x_test": x[:100], "y_test": labels[:100], "x_train": x[100:], "y_train": labels[100:]}
    np.savez(tmp_path / "data.npz", **names)
    given = ["--net", tmp_path / "net.h5", "--data", tmp_path / "data.npz", "--steps", "64"]
    assert run([*map(str, given), "--out", str(tmp_path / "refused")]) == 2
    captured = said(capsys, *given, "--input-std", "2")
    out = captured.out
    assert "preprocessing: the ANN has" in out and "first, prepare pixels" in out
    told = re.search(r"the spiking network ([\d.]+)%", out)
    assert f"{followed(out, capsys, tmp_path):.1%}" == f"{told[1]}%"
    assert Preprocessing(1 / 255).known


def test_a_sound_network_is_called_sound(capsys):
    out = said(capsys, "--limit", "40").out
    assert "\nsound: nothing was found to be wrong\n" in out and "what to do" not in out
    for layer in ("act1", "act6"):
        assert re.search(rf"^  {layer}: rate [\d.]+%; error [\d.]+%", out, re.M)
    assert out.startswith("40 images of sample test; engine clocked; ")


def test_it_is_a_word_of_eventsnn(capsys):
    assert eventsnn_main(["diagnose", "--limit", "0"]) == 2
    assert "--limit: expected" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        eventsnn_main(["diagnose", "--help"])
    out = capsys.readouterr().out
    assert "usage: eventsnn diagnose" in out and "default: 100" in out and "--thresholds" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--net", "nowhere.h5"], "nothing of that name"),
        (["--encoding", "events", "--time-scale", "1000"], "--encoding: expected an encoding of"),
        (["--compat", "snm-code"], "--compat: expected none in a diagnosis"),
        (["--stepz", "3"], "did you mean --steps?"),
        (["--out", "x"], "found --out"),
        (["--limit", "x"], "--limit: expected a whole number"),
    ],
)
def test_wrong_input_is_one_line(capsys, words, told):
    captured = said(capsys, *words, status=2)
    assert told in captured.err and captured.err.count("\n") == 1 and captured.out == ""


class Advising:
    """What `advised` asks of a diagnosis."""

    remedy = None
    advice = {"input_mean": "0,1"}


def test_a_command_has_what_is_not_as_by_default():
    words = ["--net=-a b.h5", "--initial=-1", "--free-running", "--engine", "event"]
    words += ["--order", "jitter", "--input-mean", "0,1", "--limit", "7", "--data", "a b"]
    again = shlex.split(advised(settings_of(words), Advising()))
    assert again[:2] == ["eventsnn", "run"] and "a b" in again
    assert settings_of(again[2:]) == settings_of(words)
