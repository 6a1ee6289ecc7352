"""A results folder, opened again."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.mutants import damage_bytes
from support.trace_mutants import DATASETS, datasets

import eventsnn
from eventsnn import InputError
from eventsnn.run import main

RUN = ["--engine", "event", "--limit", "3", "--steps", "2", "--trace", "spikes", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "r"
    assert main([*RUN, "--trace-images", "2", "--seed", "3", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def result():
    network = eventsnn.convert(eventsnn.load("sample"))
    images = eventsnn.load_images("sample", limit=3)
    return eventsnn.simulate(network, images, steps=2, engine="event", seed=3)


def test_a_folder_is_what_the_run_found(folder, result):
    results = eventsnn.open_results(folder)
    assert results.summary == json.loads((folder / "summary.json").read_text())
    assert results.settings["seed"] == 3 and results.settings["steps"] == 2
    assert results.names == [layer.name for layer in result.network.layers]
    assert [row["neurons"] for row in results.layers] == [
        layer.size for layer in result.network.layers
    ]
    assert [row["T"] for row in results.accuracy] == [1, 2]
    assert results.accuracy[-1]["accuracy"] == result.accuracy()
    counts = results.counts
    assert np.array_equal(counts["spikes"], result.spikes.sum(axis=0))
    assert np.array_equal(counts["operations"], result.operations.sum(axis=0))
    assert np.array_equal(counts["spikes_per_image"], result.spikes.sum(axis=2))
    assert "stage_one" not in counts and counts["t_eq"].shape == (3,)
    assert np.array_equal(results.read("readout"), result.batch.readout)
    assert results.contents()["images/label"].startswith("[image]: class")


def test_its_traces_are_there_by_image(folder, result):
    results = eventsnn.open_results(folder)
    assert list(results.traces) == [0, 1]
    for image in results.traces:
        trace, expected = results.trace(image), result.trace(image)
        assert np.array_equal(trace.spikes, expected.spikes) and trace.number == image
        assert np.array_equal(trace.times, expected.times) and trace.names == results.names
        whole = results.trace(image, result.simulation)
        seen = eventsnn.microscope.observe(whole, 0, 5)
        assert np.array_equal(seen.spikes, result.observe(0, 5, image).spikes)
    assert results.trace().number == 0
    with pytest.raises(InputError, match="expected one of 0, 1, found 2"):
        results.trace(2)
    with pytest.raises(InputError, match="expected a trace with"):
        other = eventsnn.Simulation(result.network, steps=2, engine="event", seed=4)
        results.trace(0, other)


def test_it_says_what_it_is_and_is_not_written(folder):
    results = eventsnn.open_results(str(folder))
    said = repr(results)
    assert said.startswith(f"<Results {folder}: 3 images of ") and ", accuracy " in said
    assert "; engine event; order fifo; neuron if; encoding constant; " in said
    assert said.endswith("; T = 2; 2 traces>") and "<table>" in results._repr_html_()
    accuracy, rates = results.plot().axes
    shares = [100 * row["accuracy"] for row in results.accuracy]
    assert accuracy.lines[0].get_ydata() == pytest.approx(shares)
    assert len(rates.patches) == len(results.layers) - 1
    with pytest.raises(AttributeError):
        results.summary = {}


def test_tables_become_dataframes(folder):
    pytest.importorskip("pandas")
    layers, accuracy = eventsnn.open_results(folder).to_pandas()
    assert layers.loc["readout", "neurons"] == 10 and list(accuracy.index) == [1, 2]


def test_a_run_that_kept_no_counts(tmp_path):
    arguments = ["--limit", "2", "--steps", "1", "--trace", "none", "--quiet"]
    assert main([*arguments, "--out", str(tmp_path / "r")]) == 0
    results = eventsnn.open_results(tmp_path / "r")
    assert set(results.counts) == {"ties", "t_eq"} and not results.traces
    with pytest.raises(InputError, match="--trace spikes"):
        results.trace(0)
    with pytest.raises(InputError, match="expected one of .*readout.*, found 'spikes'"):
        results.read("spikes")


def test_every_run_keeps_its_digests_and_an_earlier_one_has_none(folder, tmp_path):
    """They are those of the same images simulated anew, whatever is traced, and whoever runs."""
    for i, more in enumerate((["--trace", "none"], ["--workers", "2", "--batch", "1"])):
        out = tmp_path / str(i)
        given = ["--limit", "3", "--steps", "2", "--quiet", "--out", str(out), *more]
        assert main(given) == 0
        results = eventsnn.open_results(out)
        network = eventsnn.convert(eventsnn.load("sample"))
        again = network.run(eventsnn.load_images("sample", limit=3), steps=2)
        assert again.digests.shape == (3, len(results.names), 2)
        assert again.digests[:, :-1].all() and not again.digests[:, -1].any()
        assert np.array_equal(results.digests, again.digests)
        assert "order_digests" not in results.contents()
    copy = shutil.copytree(out, tmp_path / "copy")
    with h5py.File(copy / "run.h5", "a") as file:
        both = np.stack([file["digests"][()]] * 2, axis=1)
        del file["digests"]
    assert eventsnn.open_results(copy).digests is None
    with h5py.File(copy / "run.h5", "a") as file:
        file["digests"] = both
    assert eventsnn.open_results(copy).digests is None
    with h5py.File(copy / "run.h5", "a") as file:
        file["order_digests"] = both
    with pytest.raises(InputError, match="order_digests"):
        eventsnn.open_results(copy)


def damage(folder, name):
    if name == "no such folder":
        shutil.rmtree(folder)
    elif name == "a file":
        shutil.rmtree(folder)
        folder.write_text("x")
    elif name == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    elif name == "not finished, and new":
        shutil.rmtree(folder)
        folder.with_name(f"{folder.name}.partial").mkdir()
    elif name == "not finished":
        shutil.rmtree(folder)
        folder.mkdir()
        folder.with_name(folder.name + ".partial").mkdir()
    elif name == "summary":
        (folder / "summary.json").write_text("{")
    elif name == "another summary":
        (folder / "summary.json").write_text("[]")
    elif name == "no table":
        (folder / "layers.csv").unlink()
    elif name == "words in a table":
        (folder / "accuracy.csv").write_text("T,spikes_per_image\nx,y\n")
    elif name == "an empty table":
        (folder / "accuracy.csv").write_text("T\n")


@pytest.mark.parametrize(
    "name",
    [
        "no such folder",
        "a file",
        "empty",
        "not finished",
        "not finished, and new",
        "summary",
        "another summary",
        "no table",
        "words in a table",
        "an empty table",
    ],
)
def test_what_is_no_results_folder_is_one_error(folder, tmp_path, name):
    copy = shutil.copytree(folder, tmp_path / "copy")
    damage(copy, name)
    with pytest.raises(InputError, match="results folder") as caught:
        eventsnn.open_results(copy)
    assert caught.value.do and ("not finished" in str(caught.value)) is ("not finished" in name)


def test_a_damaged_file_of_counts_is_one_error(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "run.h5").write_bytes((copy / "run.h5").read_bytes()[:3000])
    with pytest.raises(InputError, match="HDF5"):
        eventsnn.open_results(copy).counts  # noqa: B018
    (copy / "run.h5").unlink()
    with pytest.raises(InputError, match="nothing of that name"):
        eventsnn.open_results(copy).counts  # noqa: B018


KINDS = ("gone", "a_group", "a_link", "another_type", "another_shape", "text", "huge")
# datasets that a run need not have; those that are texts; and those that may have any length
OPTIONAL = ("images/label", "digests", "order_digests")
TEXTS = ("provenance", "layers/name", "layers/activation")


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS)
def test_each_dataset_of_counts_is_checked(folder, tmp_path, kind, half):
    """Every second dataset has its turn here, another half with each kind of damage."""
    copy = Path(shutil.copytree(folder, tmp_path / "copy")) / "run.h5"
    rng = np.random.default_rng(0)
    with h5py.File(copy) as file:
        names = [name for name in datasets(file) if name not in TEXTS]
    assert len(names) == 14
    for name in names[(KINDS.index(kind) + half) % 2 :: 2]:
        shutil.copy(folder / "run.h5", copy)
        with h5py.File(copy, "a") as file:
            DATASETS[kind](file, name, rng)
            may_be = kind == "another_type" and (
                # labels are whole numbers of any type, the readout has 32 or 64 bits
                name == "images/label" or (name == "readout" and file[name].dtype in ("<i4", "<i8"))
            )
        if may_be or (kind == "gone" and name in OPTIONAL):
            continue
        with pytest.raises(InputError) as caught:
            eventsnn.open_results(copy.parent)
        said = str(caught.value)
        assert name.rpartition("/")[2] in said and "run.h5" in said and said.isprintable()


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("t_eq", 3),
        ("ties", -1),
        ("spikes", -1),
        ("operations_per_image", 2**40),
        ("images/index", -1),
        ("images/ann_output", np.nan),
        ("layers/theta", np.inf),
        ("layers/shape", 0),
    ],
)
def test_each_number_of_counts_is_checked(folder, tmp_path, name, wrong):
    copy = shutil.copytree(folder, tmp_path / "copy")
    with h5py.File(copy / "run.h5", "a") as file:
        values = file[name][()]
        values.flat[-1] = wrong
        file[name][...] = values
    with pytest.raises(InputError, match=f"run.h5: /{name}: expected .*; it is damaged"):
        eventsnn.open_results(copy)


def test_mutants_of_counts_are_one_error_or_read(folder, tmp_path):
    """The first of many."""
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    data = (folder / "run.h5").read_bytes()
    refused = 0
    for number in range(16):
        rng = np.random.default_rng(number)
        (copy / "run.h5").write_bytes(damage_bytes(data, [data], rng))
        try:
            results = eventsnn.open_results(copy)
            assert {name: results.read(name) for name in results.contents()}
        except InputError as error:
            refused += 1
            assert str(error).isprintable()
    assert refused > 5


def test_a_link_out_of_the_file_is_not_followed(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    with h5py.File(copy / "run.h5", "a") as file:
        file["linked"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
    assert "linked" not in eventsnn.open_results(copy).contents()
