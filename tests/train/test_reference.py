"""The reference networks: by name, with their accuracy; and how the others are made."""

from pathlib import Path

import pytest

import eventsnn
from eventsnn import inspect, reference, run
from eventsnn.ann.forward import predict
from eventsnn.train.recipe import made, read_recipe

RECIPES = Path(eventsnn.__file__).parents[1] / "examples" / "networks"
PACKAGED = [name for name in reference.NETWORKS if (reference.HERE / f"{name}.h5").is_file()]
OTHERS = sorted({*reference.NETWORKS} - {*PACKAGED})


def test_every_packaged_network_has_a_name_and_every_name_a_recipe():
    assert {path.stem for path in reference.HERE.glob("*.h5")} == {*PACKAGED}
    assert {path.stem for path in RECIPES.glob("*.toml")} == {*reference.NETWORKS}


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_network_is_what_its_recipe_says(name):
    given, about = read_recipe(RECIPES / f"{name}.toml")
    net = eventsnn.load(name)
    assert net.source == name and eventsnn.fetch(name).suffix == ".h5"
    if name.startswith("yolo"):
        assert net.meta["note"].endswith(f"mAP at 0.5 {about['accuracy']:.4f}")
    else:
        assert net.meta["test_accuracy"] == pytest.approx(about["accuracy"], abs=5e-5)
        assert len(net.meta["classes"]) == 10
    assert about["data"] in net.meta["note"]
    assert made(given).activation in net.meta["note"] and about["hours"] > 0


@pytest.mark.parametrize("name", [name for name in PACKAGED if name.startswith("fashion")])
def test_a_network_of_fashion_mnist_classifies_the_bundled_images(name):
    net = eventsnn.load(name)
    images = eventsnn.load_images("sample", limit=300)
    right = (predict(net, images.pixels).argmax(1) == images.labels).mean()
    assert right == pytest.approx(net.meta["test_accuracy"], abs=0.05)
    assert right > 0.8


@pytest.mark.parametrize("name", OTHERS)
def test_how_others_are_made_is_said(name):
    with pytest.raises(eventsnn.InputError, match=f"--recipe examples/networks/{name}.toml"):
        eventsnn.load(name)


def test_what_a_network_begins_with_is_said():
    with pytest.raises(eventsnn.InputError, match="beside vgg16_relu of vgg16_relu.toml"):
        eventsnn.fetch("vgg16_tcl")
    for name in PACKAGED:
        start = read_recipe(RECIPES / f"{name}.toml")[0].get("start")
        assert start is None or start in PACKAGED


def test_other_names_are_refused():
    with pytest.raises(eventsnn.InputError, match="one of fashion_relu"):
        eventsnn.fetch("resnet1000")


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion_qcfs").write_bytes(
        (reference.HERE.parent / "sample/network.h5").read_bytes()
    )
    assert eventsnn.load("fashion_qcfs").meta["arch"] == "vgg7"


@pytest.mark.parametrize("name", PACKAGED[:1])
def test_the_commands_take_the_name(name, capsys, tmp_path):
    assert inspect.main([name]) == 0
    assert "a reference network" in capsys.readouterr().out
    options = ["--net", name, "--limit", "2", "--steps", "2", "--out", str(tmp_path / "out")]
    assert run.main(options) == 0
    assert "the bundled images" in capsys.readouterr().out
