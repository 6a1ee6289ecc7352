"""Two runs compared: where their spikes part, by digests alone, and whose class changes."""

import dataclasses
import shutil

import h5py
import numpy as np
import pytest
from scipy.stats import binomtest

import eventsnn
from eventsnn import InputError
from eventsnn.commands import diff as command
from eventsnn.run import main

IMAGES, STEPS = 6, 3
WAYS = {
    "fifo": ["--engine", "event"],
    "random": ["--engine", "event", "--order", "random"],
    "clocked": [],
    "as clocked": ["--engine", "event", "--order", "clocked"],
    "two steps": ["--steps", "2"],
    "fewer": ["--limit", "5"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name -> results folder."""
    folder = tmp_path_factory.mktemp("runs")
    for name, options in WAYS.items():
        given = ["--limit", str(IMAGES), "--steps", str(STEPS), *options]
        assert main([*given, "--quiet", "--out", str(folder / name)]) == 0
    return {name: folder / name for name in WAYS}


@pytest.fixture(scope="module")
def images():
    return eventsnn.load_images("sample", limit=IMAGES)


def simulated(images, **options):
    return eventsnn.convert(eventsnn.load("sample")).run(images, steps=STEPS, **options)


def counted(result):
    """Spikes by image, layer, step, neuron and sign, from traces."""
    layers = result.network.layers
    found = np.zeros((IMAGES, len(layers), STEPS, max(its.size for its in layers), 2), int)
    for i in range(IMAGES):
        spikes = result.trace(i).spikes
        where = tuple(spikes[name] for name in ("layer", "step", "neuron"))
        np.add.at(found, (i, *where, (spikes["sign"] < 0).astype(int)), 1)
    return found


def test_digests_tell_where_spikes_differ_as_traces_do(runs, images):
    found = eventsnn.diff(runs["fifo"], runs["random"])
    fifo = counted(simulated(images, engine="event"))
    random = counted(simulated(images, engine="event", order="random"))
    assert np.array_equal(found.spikes, (fifo != random).any(axis=(3, 4)))
    image, layer, step = np.nonzero(found.spikes)
    first = min(zip(step, layer))
    assert found.first == (first[0] + 1, found.names[first[1]])
    rows = {row["layer"]: row for row in found.table()}
    assert list(rows) == found.names[:-1]
    for i, row in enumerate(rows.values()):
        here = layer == i
        assert row["images"] == len(set(image[here]))
        assert row["first step"] == (step[here].min() + 1 if here.any() else None)
    assert not found.equal and found.reordered is None and str(found) in printed(runs, 1)
    assert f"first differ in step {first[0] + 1}, and there first in layer" in str(found)


def printed(runs, status, a="fifo", b="random"):
    """What the command prints; its exit status is `status`."""
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda text, **_: lines.append(text))
        assert command.main([str(runs[a]), str(runs[b])]) == status
    return "\n".join(lines)


def test_classes_are_compared_image_by_image(runs, images):
    found = eventsnn.diff(runs["fifo"], runs["random"])
    a = simulated(images, engine="event").predictions()
    b = simulated(images, engine="event", order="random").predictions()
    assert found.classes.tolist() == [a.tolist(), b.tolist()]
    assert found.changed.tolist() == np.flatnonzero(a != b).tolist()
    gained = int(((a == images.labels) & (b != images.labels)).sum())
    lost = int(((b == images.labels) & (a != images.labels)).sum())
    assert (found.paired.gained, found.paired.lost) == (gained, lost)
    if gained + lost:
        assert found.paired.p == pytest.approx(binomtest(gained, gained + lost).pvalue)
    for i, row in enumerate(found.images()):
        differs = found.spikes[i].any()
        assert (row["a"], row["b"], row["label"]) == (a[i], b[i], images.labels[i])
        assert (row["first step"] is None) != differs


def test_order_clocked_is_the_clocked_engine_and_settings_differ(runs, images):
    found = eventsnn.diff(runs["clocked"], runs["as clocked"])
    assert found.equal is True and found.first is None and found.outputs is False
    assert found.reordered is None and not len(found.changed)
    told = {row["setting"]: (row["a"], row["b"]) for row in found.settings}
    assert told == {"--engine": ("clocked", "event"), "--order": ("fifo", "clocked")}
    assert "Every layer sent the same spikes in every step" in printed(
        runs, 0, "clocked", "as clocked"
    )
    mixed = eventsnn.diff(eventsnn.open_results(runs["clocked"]), simulated(images))
    assert mixed.equal is True and not mixed.settings


def test_another_order_of_the_same_spikes_is_said(images):
    """Of drive alone: the first layer's spikes of step 1 are the same in every order."""
    network = eventsnn.convert(eventsnn.load("sample"))
    results = [
        network.run(images, steps=1, engine="event", order=order) for order in ("fifo", "lifo")
    ]
    for result in results:
        for name in ("digests", "order_digests"):
            getattr(result.batch, name)[:, 1:] = 0
        result.batch.readout[:] = 0
    results[1].batch.order_digests[0, 0, 0] += np.uint64(1)
    found = eventsnn.diff(*results)
    assert found.equal and found.reordered and "another order" in str(found)


def test_the_common_steps_are_compared(runs):
    found = eventsnn.diff(runs["clocked"], runs["two steps"])
    assert found.steps == 2 and found.spikes.shape[2] == 2
    assert "--steps" in {row["setting"] for row in found.settings}


def test_runs_that_cannot_be_compared_are_one_line(runs, capsys, tmp_path):
    assert command.main([str(runs["clocked"]), str(runs["fewer"])]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "6 from 0 to 5, found 5 from 0 to 4" in line
    out = tmp_path / "other"
    given = ["--net", "fashion_qcfs", "--limit", "6", "--steps", "2", "--quiet", "--out", str(out)]
    assert main(given) == 0
    with pytest.raises(InputError, match="layer 0: expected .*act1 of .*, found .*same network"):
        eventsnn.diff(runs["clocked"], out)
    with pytest.raises(InputError, match="b: expected a results folder, Results or a Result"):
        eventsnn.diff(runs["clocked"], 3)
    with pytest.raises(InputError, match="results folder, found nothing of that name"):
        eventsnn.diff(runs["clocked"], tmp_path / "none")
    assert command.main([str(runs["clocked"])]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_other_images_of_the_same_number_are_refused(images):
    one = simulated(images)
    other = dataclasses.replace(images, pixels=images.pixels[::-1])
    with pytest.raises(InputError, match="others of the same name"):
        eventsnn.diff(one, simulated(other))


def test_other_arrays_of_the_same_number_are_refused(images):
    few = images.pixels[:2]
    one, other = (simulated(pixels) for pixels in (few, few[::-1].copy()))
    with pytest.raises(InputError, match="expected the images of a.*, found other pixels"):
        eventsnn.diff(one, other)
    assert eventsnn.diff(one, simulated(few.copy())).equal


def test_a_run_without_digests_says_so(runs, tmp_path, capsys):
    """An earlier version's: where all else is the same, equality is not known."""
    copy = shutil.copytree(runs["clocked"], tmp_path / "copy")
    with h5py.File(copy / "run.h5", "a") as file:
        del file["digests"]
    found = eventsnn.diff(runs["clocked"], copy)
    assert found.equal is None and found.first is None and found.table() == []
    assert command.main([str(runs["clocked"]), str(copy)]) == 2
    said = capsys.readouterr()
    assert "not known" in said.out and "earlier version" in said.err and said.err.count("\n") == 1
    found = eventsnn.diff(runs["random"], copy)
    assert found.equal is False and found.spikes is None


def test_a_difference_becomes_dataframes_and_html(runs):
    pytest.importorskip("pandas")
    found = eventsnn.diff(runs["fifo"], runs["random"])
    layers, images = found.to_pandas()
    assert list(layers.index) == found.names[:-1] and list(images.index) == list(range(IMAGES))
    assert list(layers.columns) == ["first step", "images", "first image"]
    assert "<table>" in found._repr_html_() and repr(found).startswith("<Difference of ")


def test_help_says_when_two_runs_are_equal(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    assert "exit status: 0 where spikes" in capsys.readouterr().out
