"""Preprocessing that is missing, given twice or given wrongly: a run says so."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.networks import Builder, small_graph

import eventsnn
from eventsnn import InputError
from eventsnn.ann.forward import outputs_and_logits
from eventsnn.ann.graph import Preprocessing
from eventsnn.ann.pixels import as_preprocessing, expected_range, misfit
from eventsnn.data.images import Images
from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.runs.doubts import better_preprocessing, doubts
from eventsnn.runs.say import Say
from eventsnn.settings import Settings
from eventsnn.views import plots

BYTES = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
UNIT = (BYTES / 255).astype(np.float32)
QUIET = Say(None, False)
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
        (Preprocessing(std=np.zeros(1)), "above 0"),
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
        assert eventsnn.load(tmp_path / "net.h5").preprocessing.known is known


@pytest.fixture
def forgetful(tmp_path, monkeypatch):
    """The bundled network in a file that does not tell its preprocessing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"picture"))
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
    output = np.eye(10, dtype=np.float32)[images.labels]
    assert doubts(graph, output, images) == []
    half = output.copy()
    half[::2] = np.roll(half[::2], 1, axis=1)
    (warning,) = doubts(graph, half, images)
    assert "50.00% of 100 images" in warning and "93.20%" in warning and "channels" in warning
    assert doubts(replace(graph, meta={}), half, images) == []
    (warning,) = doubts(graph, np.roll(output, 1, axis=1), images)
    assert "no better than chance (10.00%)" in warning and "labels" in warning
    few = images.take(np.arange(10))
    assert doubts(graph, np.roll(output, 1, axis=1)[:10], few) == []
    assert doubts(graph, half, replace(images, labels=None)) == []


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("top", [255, 1])
def test_the_order_of_channels_is_tried(reverse, top):
    rng = np.random.default_rng(0)
    b = Builder(rng, (3, 6, 6))
    graph = b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv("input", 6), "Relu")])))
    pixels = rng.integers(0, 256, (200, 3, 6, 6)).astype(np.uint8)
    pixels = pixels if top == 255 else (pixels / 255).astype(np.float32)
    seen = pixels[:, ::-1] if reverse else pixels
    way = Preprocessing(2 / top, np.ones(1))
    output, _ = outputs_and_logits(replace(graph, preprocessing=way), seen)
    images = Images("dots", "test", np.arange(200), pixels, output.argmax(axis=1), ())
    unknown = replace(graph, preprocessing=Preprocessing(known=False))
    words = better_preprocessing(unknown, images, Settings(), QUIET)
    assert "100.0% with" in words and f"--input-scale {2 / top:.9g} --input-mean 1" in words
    assert ("channels in reverse" in words) is reverse
    assert better_preprocessing(graph, images, Settings(), QUIET) == ""
    assert (
        better_preprocessing(unknown, replace(images, labels=None), Settings(), Say(None, False))
        == ""
    )
