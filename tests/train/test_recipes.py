"""Recipes: what they may say, what is refused, and the words for it. No torch is needed."""

import tomllib
from pathlib import Path

import pytest

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.train.named import ACTIVATIONS, parsed_activation
from eventsnn.train.recipe import PRESETS, Recipe, in_toml, made, read_recipe

EXAMPLES = sorted((Path(eventsnn.__file__).parents[1] / "examples" / "networks").glob("*.toml"))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("relu", ("relu", 0)),
        ("qcfs:8", ("qcfs", 8)),
        ("lsq:2", ("lsq", 2)),
        ("rts:8", ("rts", 8)),
        ("rnl", ("rnl", 0)),
    ],
)
def test_activations_are_named_with_their_levels(text, expected):
    assert parsed_activation(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "qcfs",
        "qcfs:",
        "qcfs:0",
        "qcfs:-1",
        "qcfs:2.5",
        "relu:4",
        "gelu",
        "lsq:9999999",
        "rts",
        "rts:0",
    ],
)
def test_other_activations_are_refused_in_one_line(text):
    with pytest.raises(InputError, match="activation") as caught:
        Recipe(activation=text)
    assert str(caught.value).isprintable()


def test_a_recipe_survives_its_own_file(tmp_path):
    recipe = made({"activation": "tcl", "width": 0.5, "limit": 100, "data": 'a "b"'}, "tcl")
    (tmp_path / "recipe.toml").write_text(in_toml(recipe))
    given, about = read_recipe(tmp_path / "recipe.toml")
    assert made(given) == recipe and about == {}


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_presets_go_with_every_activation_and_what_is_given_counts_more(name, activation):
    text = activation + (":4" if ACTIVATIONS[activation] else "")
    recipe = made({"activation": text, "epochs": 3}, name)
    assert recipe.epochs == 3 and recipe.rate == PRESETS[name]["rate"]


def test_presets_that_there_are_not_are_refused():
    with pytest.raises(InputError, match="preset.*one of tcl"):
        made({}, "tlc")


@pytest.mark.parametrize(
    "text, words",
    [
        ("epoch = 3", "did you mean epochs"),
        ("epochs = 0", "1"),
        ("epochs = true", "a whole number"),
        ('epochs = "3"', "a whole number"),
        ("rate = inf", "a number"),
        ('[about]\nwho = "me"', "keys among data, classes"),
        ("about = 3", "a table"),
        ("epochs = ", "TOML"),
        ("x = " + "[" * 5000, "TOML"),
    ],
    ids=range(9),
)
def test_recipes_with_other_keys_and_values_are_refused(tmp_path, text, words):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        made(read_recipe(path)[0])
    assert str(caught.value).isprintable()


def test_a_recipe_that_is_not_there_or_too_large_is_refused(tmp_path):
    with pytest.raises(InputError, match="recipe that can be read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "large.toml").write_text("#" * 2**21)
    with pytest.raises(InputError, match="1 MB"):
        read_recipe(tmp_path / "large.toml")


@pytest.mark.parametrize(
    "given",
    [
        {"activation": "relu", "lambda_decay": 1e-3},
        {"activation": "relu", "lambda_start": 2.0},
        {"activation": "lsq:8", "lambda_start": 2.0},
        {"activation": "rts:8", "lambda_decay": 1e-3},
    ],
)
def test_options_without_effect_are_refused(given):
    with pytest.raises(InputError, match="an option with an effect"):
        made(given)


def test_the_identity_of_a_recipe_leaves_out_where_the_data_lie():
    assert made({"data": "a"}).id == made({"data": "b"}).id != made({"seed": 2}).id


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_recipes_of_the_reference_networks_can_be_read(path):
    given, _ = read_recipe(path)
    recipe = made(given)
    assert recipe.data is None
    # those of Fashion-MNIST are made again to the bit, on any processor
    allowed = ("float32",) if path.stem.startswith("fashion") else ("float32", "bfloat16")
    assert recipe.precision in allowed
    assert tomllib.loads(path.read_text())


def test_there_are_recipes():
    assert EXAMPLES
