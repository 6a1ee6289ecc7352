"""Runs without --data: the network's own images where they are found, or random ones."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.networks import small_graph

import eventsnn
from eventsnn.ann.graph import Preprocessing
from eventsnn.inputs.without import random_images
from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.runs.pipeline import run
from eventsnn.settings import Settings
from eventsnn.views import plots

BYTES = Preprocessing(1 / 255, np.full(1, 0.5), np.full(1, 0.25))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with a network and images of its shape; no data set is known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"picture"))
    monkeypatch.delenv("EVENTSNN_DATA", raising=False)
    monkeypatch.setattr("eventsnn.inputs.without.cache_root", lambda: tmp_path / "cache")
    graph = small_graph("Relu")
    write_native(replace(graph, preprocessing=BYTES), tmp_path / "net.h5")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (70, *graph.input_shape), np.uint8)
    labels = rng.integers(0, 4, 70)
    given = {"x_test": pixels[:30], "y_test": labels[:30]}
    np.savez(tmp_path / "own.npz", **given, x_train=pixels[30:], y_train=labels[30:])
    np.savez(tmp_path / "wide.npz", x_test=np.zeros((3, 2, 6, 7), np.uint8), y_test=labels[:3])
    return tmp_path


def summary_of(**options):
    return run(Settings(net="net.h5", steps=2, quiet=True, **options))


def test_random_images_take_the_place_of_those_that_are_missing(here, capsys):
    assert main(["--net", "net.h5", "--steps", "4", "--out", "a"]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if "NO DATA" in line]
    assert "64 smooth RANDOM images (seed 0, pixels 0 to 255)" in line
    assert "no labels" in out and "thresholds percentile 99.9, found on random images" in out
    summary = json.loads((here / "a" / "summary.json").read_text())
    assert summary["ann_accuracy"] is None and summary["images"] == 64
    assert set(summary["agreement_with_ann"]) == {"1", "2", "4"}
    assert summary["spikes_per_image"] > 0 and summary["cost_per_image"]
    assert any("NO DATA" in note for note in summary["notes"])


def test_the_id_tells_random_images_apart_by_their_seed(here):
    one, two = (summary_of(seed=seed, limit=3) for seed in (0, 1))
    assert one["id"] != two["id"] and one["data"]["sha256"] != two["data"]["sha256"]
    assert one["images"] == 3
    again = summary_of(limit=3, out="again")
    assert again["id"] == one["id"] and again["agreement_with_ann"] == one["agreement_with_ann"]


def test_random_images_are_smooth_and_fill_the_range():
    graph = replace(small_graph(), preprocessing=BYTES)
    images = random_images(graph, 20, 0)
    assert images.pixels.dtype == np.uint8 and images.labels is None
    assert (images.pixels.min(axis=(1, 2, 3)) == 0).all()
    assert (images.pixels.max(axis=(1, 2, 3)) == 255).all()
    whole = images.pixels.astype(float)
    assert np.abs(np.diff(whole, axis=3)).mean() < whole.std()
    np.testing.assert_array_equal(random_images(graph, 5, 0).pixels, images.pixels[:5])
    assert (random_images(graph, 20, 0, "train").pixels != images.pixels).any()
    floats = random_images(small_graph(), 3, 0).pixels
    assert floats.dtype == np.float32 and floats.min() == 0 and floats.max() == 1


def test_the_variable_names_the_data_set(here, monkeypatch):
    monkeypatch.setenv("EVENTSNN_DATA", str(here / "own.npz"))
    summary = summary_of()
    assert summary["images"] == 30 and summary["ann_accuracy"] is not None
    assert (
        summary["data"]["name"] == "own.npz" and "own.npz train" in summary["data"]["calibration"]
    )
    assert any("EVENTSNN_DATA" in note for note in summary["notes"])


def test_images_that_do_not_fit_are_not_taken(here, monkeypatch):
    monkeypatch.setenv("EVENTSNN_DATA", str(here / "wide.npz"))
    summary = summary_of()
    assert summary["images"] == 64 and summary["ann_accuracy"] is None
    (note,) = (note for note in summary["notes"] if "NO DATA" in note)
    assert "EVENTSNN_DATA does not fit" in note and "wide.npz" in note


def test_the_cache_has_what_the_network_names(here):
    (here / "cache" / "data").mkdir(parents=True)
    (here / "own.npz").rename(here / "cache" / "data" / "dots-9.npz")
    assert summary_of()["data"]["name"].startswith("random")
    graph = replace(eventsnn.load("net.h5"), meta={"note": "trained on Dots9, 3 epochs"})
    write_native(graph, here / "net.h5")
    assert summary_of()["data"]["name"] == "dots-9.npz"
    graph = replace(graph, meta={"note": "trained on Dots-90 and Fashion-Dots-9"})
    write_native(graph, here / "net.h5")
    assert summary_of()["data"]["name"].startswith("random")


@pytest.mark.parametrize("data", [None, "sample"])
def test_the_bundled_network_has_its_images(here, data):
    given = {} if data is None else {"data": data}
    summary = run(Settings(limit=2, steps=1, quiet=True, **given))
    assert summary["data"]["name"] == "sample" and summary["ann_accuracy"] is not None


def test_a_copy_of_the_bundled_network_has_them_too(here):
    eventsnn.save(eventsnn.load("sample"), "copy.h5")
    summary = run(Settings(net="copy.h5", limit=2, steps=1, quiet=True))
    assert summary["data"]["name"] == "sample"
