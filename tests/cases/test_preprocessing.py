"""Preprocessing that is missing, given twice or given wrongly: a run says so."""

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.networks import Builder, small_graph

import eventsnn
from eventsnn import InputError
from eventsnn.ann.forward import classes_of, outputs_and_logits
from eventsnn.ann.graph import Preprocessing, with_preprocessing
from eventsnn.ann.pixels import as_preprocessing, expected_range, misfit
from eventsnn.data.images import Images
from eventsnn.doubts import NORMALISED, better_preprocessing, doubt_of
from eventsnn.exceptions import in_flags
from eventsnn.inputs.doubting import preprocessing_doubt
from eventsnn.inputs.loading import load_inputs
from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.settings import Settings
from eventsnn.views import plots

BYTES = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
UNIT = (BYTES / 255).astype(np.float32)
PER_BYTE = Preprocessing(1 / 255)
IMAGENET = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CAFFE = Preprocessing(1.0, np.array([123.68, 116.779, 103.939]))


@pytest.mark.parametrize(
    ("preprocessing", "high"),
    [
        (PER_BYTE, 255),
        (Preprocessing(1 / 255, *IMAGENET), 255),
        (Preprocessing(1.0, *IMAGENET), 1),
        (CAFFE, 255),
        (Preprocessing(1.0, np.full(1, 127.5), np.full(1, 127.5)), 255),
        (Preprocessing(1 / 127.5, np.ones(1)), 255),
        (Preprocessing(2.0, np.ones(1)), 1),
        (Preprocessing(), 1),
        (Preprocessing(known=False), 1),
    ],
)
def test_the_range_of_pixels(preprocessing, high):
    assert expected_range(preprocessing) == (0, high)
    fitting, other = (BYTES, UNIT) if high == 255 else (UNIT, BYTES)
    assert misfit(preprocessing, fitting) == ""
    assert "pixels from 0 to" in misfit(preprocessing, other)


@pytest.mark.parametrize("preprocessing", [PER_BYTE, Preprocessing(1.0, *IMAGENET)])
def test_normalised_pixels_are_normalised_twice(preprocessing):
    assert "twice" in misfit(preprocessing, (UNIT - 0.5) / 0.25)
    assert misfit(Preprocessing(known=False), (UNIT - 0.5) / 0.25) == ""


def test_black_images_and_few_grey_levels_are_no_fault():
    assert misfit(PER_BYTE, np.zeros((1, 1, 2, 2), np.uint8)) == ""
    assert misfit(Preprocessing(1 / 16), np.full((1, 1, 2, 2), 16, np.uint8)) == ""


def test_a_result_says_it():
    network = eventsnn.convert(eventsnn.load("sample"))
    pixels = eventsnn.load_images("sample", limit=2).pixels
    assert eventsnn.simulate(network, pixels, steps=1).note == ""
    result = eventsnn.simulate(network, pixels / 255, steps=1)
    assert "divided or normalised twice" in result.note and result.note in repr(result)
    assert "⟦" not in result.note


def test_what_stands_for_a_preprocessing():
    assert not as_preprocessing(None, "f").known
    given = as_preprocessing({"scale": 1 / 255, "std": 0.5}, "f")
    assert given.known and given.scale == 1 / 255 and given.mean == [0] and given.std == [0.5]
    normalize = SimpleNamespace(mean=IMAGENET[0].tolist(), std=IMAGENET[1].tolist())
    given = as_preprocessing(normalize, "f")
    assert given.scale == 1 / 255
    np.testing.assert_array_equal((given.mean, given.std), IMAGENET)
    whole = as_preprocessing(SimpleNamespace(mean=[127.5], std=[127.5]), "f")
    assert whole.scale == 1 and whole.mean == [127.5]
    assert as_preprocessing(Preprocessing(known=False), "f").known is False


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("imagenet", "dict with scale, mean and std"),
        (0.5, "dict with scale, mean and std"),
        (lambda x: x / 255, "dict with scale, mean and std"),
        (np.zeros(3), "dict with scale, mean and std"),
        (Preprocessing, "dict with scale, mean and std"),
        ({}, "empty dict"),
        ({"means": [0.5]}, "did you mean mean"),
        ({"std": 0}, "above 0"),
        ({"scale": [1, 2]}, "one number"),
        ({"mean": "0.5, 0.5"}, "finite numbers"),
        ({"mean": None}, "finite numbers"),
    ],
)
def test_anything_else_is_refused_in_one_line(given, words):
    with pytest.raises(InputError, match=words) as error:
        as_preprocessing(given, "load_torch")
    assert "\n" not in str(error.value) and "preprocessing" in str(error.value)


def test_a_file_keeps_what_is_not_known(tmp_path):
    for known in (False, True):
        graph = replace(small_graph(), preprocessing=Preprocessing(known=known))
        eventsnn.save(graph, tmp_path / "net.h5")
        loaded = eventsnn.load(tmp_path / "net.h5")
        assert loaded.preprocessing.known is known
        for told in (loaded, eventsnn.convert(loaded)):
            assert ("preprocessing not known" in repr(told)) is not known


@pytest.fixture
def forgetful(tmp_path, monkeypatch):
    """The bundled network in a file that does not tell its preprocessing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "save", lambda figure, path, dpi=None: path.write_bytes(b"picture"))
    graph = replace(eventsnn.load("sample"), preprocessing=Preprocessing(known=False), meta={})
    write_native(graph, tmp_path / "net.h5")


def lines(capsys, *options):
    assert main([*options, "--data", "sample", "--steps", "1"]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]


def test_a_forgotten_scale_is_found(forgetful, capsys):
    found = lines(capsys, "--net", "net.h5", "--limit", "4")
    assert len(found) == 1 and "--input-scale 0.00784313725 --input-mean 1" in found[0]
    assert "does not tell the preprocessing" in found[0] and "on 128 images" in found[0]
    assert lines(capsys, "--net", "net.h5", "--limit", "4", "--input-scale", "0.00392156863") == []


def test_the_right_network_is_not_doubted(forgetful, capsys):
    assert lines(capsys, "--limit", "40") == []


def test_an_accuracy_near_chance_or_far_below_its_word():
    images = eventsnn.load_images("sample", limit=100)
    graph = eventsnn.load("sample")
    labels, none = images.labels, (images.labels + 1) % 10
    half = np.where(np.arange(100) % 2, labels, none)
    assert doubt_of(graph, labels, labels) == ""
    warning = doubt_of(graph, half, labels)
    assert "50.00% of 100 images" in warning and "93.20%" in warning and "channels" in warning
    assert doubt_of(replace(graph, meta={}), half, labels) == ""
    warning = doubt_of(graph, none, labels)
    assert "no better than chance (10.00%)" in warning and "labels" in warning
    assert doubt_of(graph, none[:10], labels[:10]) == ""
    assert doubt_of(graph, half, None) == ""


def test_one_output_decides_between_two_classes():
    b = Builder(np.random.default_rng(0), (1, 2, 2))
    graph = b.graph(b.gemm(b.add("Flatten", ["input"]), 1))
    labels = np.arange(40) % 2
    logits = np.where(labels, 1, -1)[:, None].astype(np.float32)
    assert doubt_of(graph, classes_of(logits), labels) == ""
    assert "no better than chance (50.00%)" in doubt_of(graph, classes_of(-logits), labels)


CUSTOMARY = {
    "-1 to 1": (2, (1.0,), ()),
    "ImageNet's mean and std": NORMALISED["ImageNet's mean and std"],
    "CIFAR-10's mean and std": NORMALISED["CIFAR-10's mean and std"],
    "ImageNet's mean, as Caffe has it": NORMALISED["ImageNet's mean, as Caffe has it"],
}


def dots(top=255, count=200, reverse=False, whose="-1 to 1"):
    """(graph that tells no preprocessing, images with the labels that it gives with one)."""
    rng = np.random.default_rng(0)
    b = Builder(rng, (3, 6, 6))
    graph = b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv("input", 6), "Relu")])))
    pixels = rng.integers(0, 256, (count, 3, 6, 6)).astype(np.uint8)
    pixels = pixels if top == 255 else (pixels / 255).astype(np.float32)
    high, mean, std = CUSTOMARY[whose]
    way = Preprocessing(high / top, np.array(mean), np.array(std or (1.0,)))
    seen = pixels
    if reverse:
        seen = pixels[:, ::-1]
        way = replace(way, mean=way.mean[::-1], std=way.std[::-1])
    output, _ = outputs_and_logits(replace(graph, preprocessing=way), seen)
    images = Images("dots", "test", np.arange(count), pixels, output.argmax(axis=1), ())
    return replace(graph, preprocessing=Preprocessing(known=False)), images


@pytest.mark.parametrize("whose", CUSTOMARY)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("top", [255, 1])
def test_customary_preprocessings_are_tried_in_both_orders_of_channels(whose, reverse, top):
    graph, images = dots(top, reverse=reverse, whose=whose)
    words = in_flags(better_preprocessing(graph, images))
    scale = CUSTOMARY[whose][0] / top
    assert "100.0% with" in words and f"--input-scale {scale:.9g} --input-mean" in words
    (best, *_) = words.split("; no worse")
    assert ("--input-channels reversed" in best) is reverse
    assert whose == "-1 to 1" or f"({whose})" in words
    told = replace(graph, preprocessing=Preprocessing())
    assert better_preprocessing(told, images) == ""
    assert better_preprocessing(graph, replace(images, labels=None)) == ""


@pytest.fixture
def forgotten(tmp_path, monkeypatch):
    """(options of) a network of BGR with ImageNet's mean and std in a file that does not say so."""
    graph, images = dots(count=300, reverse=True, whose="ImageNet's mean and std")
    write_native(graph, tmp_path / "net.h5")
    train = images.take(np.arange(150)), images.take(np.arange(150, 300))
    arrays = {}
    for part, some in zip(("train", "test"), train):
        arrays |= {f"x_{part}": some.pixels, f"y_{part}": some.labels}
    np.savez(tmp_path / "data.npz", **arrays)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "save", lambda figure, path, dpi=None: path.write_bytes(b"picture"))
    return ["--net", "net.h5", "--data", "data.npz", "--limit", "30"]


def test_the_options_that_a_warning_names_restore_the_ann(forgotten, capsys):
    """Word for word; the images that were tried are those of calibration."""
    assert main([*forgotten, "--steps", "1", "--quiet", "--out", "first"]) == 0
    assert capsys.readouterr() == ("", "")
    summary = json.loads(Path("first/summary.json").read_text())
    (note,) = [note for note in summary["notes"] if "fits better" in note]
    assert "on 128 images" in note and "100.0% with" in note
    found = re.search(r"with ((?:--input-\w+ \S+ ?)+)\(ImageNet's mean and std\)", note)
    advised = found.group(1).split()
    assert main([*forgotten, *advised, "--steps", "1", "--quiet", "--out", "second"]) == 0
    summary = json.loads(Path("second/summary.json").read_text())
    assert summary["ann_accuracy"] == 1 and not [x for x in summary["notes"] if "fits" in x]
    assert "the channels reversed" in summary["network"]["preprocessing"]


def test_fewer_calibration_images_than_128_are_not_enough(forgotten, monkeypatch):
    """Then those to run are tried, and others of their split."""
    tried = []
    monkeypatch.setattr(
        "eventsnn.inputs.doubting.better_preprocessing", lambda _, some, **__: tried.append(some)
    )
    options = {"net": "net.h5", "data": "data.npz"}
    for more in {}, {"calibration": "train:100-120"}, {"calibration": "train:100-120", "limit": 9}:
        settings = Settings(**options, **more)
        graph, images, _ = load_inputs(settings)
        preprocessing_doubt(graph, images, settings, False)
    assert [(some.split, len(some), some.indices[0]) for some in tried] == [
        ("train", 128, 0),
        ("test", 128, 0),
        ("test", 128, 0),
    ]


def test_channels_in_reverse():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4))
    numbers = 1 / 255, *IMAGENET
    given = Preprocessing(*numbers, reverse=True)
    np.testing.assert_array_equal(given(pixels), Preprocessing(*numbers)(pixels[:, ::-1]))
    assert str(given).endswith(", the channels reversed") and "reversed" in repr(given)
    made = as_preprocessing({"scale": 0.5, "reverse": True}, "load")
    assert made.reverse and made.scale == 0.5 and as_preprocessing(given, "load").reverse
    with pytest.raises(InputError, match="reverse: expected True or False, found 'BGR'"):
        as_preprocessing({"reverse": "BGR"}, "load")


def test_a_file_and_a_hash_keep_the_order_of_channels(tmp_path):
    graph, images = dots(count=2)
    turned = with_preprocessing(graph, reverse=True)
    assert turned.preprocessing.known and turned.hash != graph.hash
    eventsnn.save(turned, tmp_path / "net.h5")
    assert eventsnn.load(tmp_path / "net.h5").preprocessing.reverse
    same = with_preprocessing(turned, reverse=False)
    assert same.hash == graph.hash and with_preprocessing(turned).preprocessing.reverse
    given = eventsnn.load(tmp_path / "net.h5", preprocessing={"scale": 0.5, "reverse": False})
    assert not given.preprocessing.reverse and given.preprocessing.scale == 0.5


def test_only_three_channels_have_an_order():
    with pytest.raises(InputError, match="channels reversed: expected an input of 3 channels"):
        with_preprocessing(small_graph(), reverse=True)
    with pytest.raises(InputError, match="preprocessing: mean: expected 1 or 2 numbers, found 3"):
        replace(small_graph(), preprocessing=Preprocessing(1.0, np.zeros(3)))


def test_simulate_warns_of_an_ann_near_chance():
    network, images = eventsnn.convert(eventsnn.load("sample")), eventsnn.load_images("sample")
    wrong = replace(images.take(np.arange(40)), labels=(images.labels[:40] + 1) % 10)
    with pytest.warns(eventsnn.DoubtfulAccuracy, match="no better than chance") as warned:
        eventsnn.simulate(network, wrong, steps=2)
    (warning,) = warned
    assert "order of channels (see preprocessing), or labels" in str(warning.message)
    assert warning.filename == __file__
    with pytest.warns(eventsnn.DoubtfulAccuracy):
        eventsnn.simulate(network, wrong.pixels, labels=wrong.labels, steps=2)
    eventsnn.simulate(network, wrong.pixels, steps=2)


def test_simulate_does_not_doubt_an_ann_for_its_spiking_network():
    """At T = 1 without an initial potential nothing fires, and the ANN is as good as ever."""
    network = eventsnn.convert(eventsnn.load("sample"))
    images = eventsnn.load_images("sample", limit=40)
    result = eventsnn.simulate(network, images, steps=1, initial=0.0)
    assert doubt_of(network.graph, result.predictions(), images.labels)


def test_studies_say_what_a_run_says(forgotten, capsys):
    """Once, on standard error."""
    path = Path(eventsnn.__file__).parents[1] / "analysis" / "srp_tau.py"
    spec = importlib.util.spec_from_file_location("analysis_srp_tau", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main([*forgotten, "--steps", "1", "--taus", "0", "--out", "out"]) == 0
    warned = [x for x in capsys.readouterr().err.splitlines() if x.startswith("warning: ")]
    assert "--input-channels reversed (ImageNet's mean and std)" in warned[0]
    assert len(warned) == len(set(warned)) <= 2
