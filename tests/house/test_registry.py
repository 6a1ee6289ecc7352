"""Registries: names, what is refused, and plug-ins of other packages."""

import sys
import warnings

import pytest

from eventsnn import InputError
from eventsnn.registry import PluginWarning, Registry, forget_plugins


def no_numbers(name, thing):
    if isinstance(thing, int):
        raise InputError(f"colour {name!r}", "a function", thing)


def colours():
    return Registry("colour", {"red": min, "blue": max}, no_numbers)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs packages for a test: function of (package, source, {name: object})."""

    def install(name, source, points):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key} = {name}:{value}" for key, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[eventsnn.colours]", *lines, ""]))
        forget_plugins()

    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield install
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]
    monkeypatch.undo()
    forget_plugins()


def test_a_thing_is_found_by_its_name_and_an_unknown_name_is_refused():
    registry = colours()
    registry.add("green", sum)
    assert list(registry) == ["red", "blue", "green"]
    assert registry["green"] is sum and registry.find("red") is min and "green" in registry
    with pytest.raises(InputError, match="colour: expected one of red, blue, green, found 'grey'"):
        registry.find("grey")
    with pytest.raises(KeyError):
        registry["grey"]


@pytest.mark.parametrize(
    ("name", "thing", "found"),
    [
        ("red", sum, "eventsnn's own colour"),
        ("green", abs, "that of builtins.sum"),
        ("Dark Green", abs, "'Dark Green'"),
        ("seven", 7, "found 7"),
    ],
)
def test_what_cannot_be_added_is_refused_by_name(name, thing, found):
    registry = colours()
    registry.add("green", sum)
    with pytest.raises(InputError, match=f"colour {name!r}") as error:
        registry.add(name, thing)
    assert found in str(error.value)
    assert list(registry) == ["red", "blue", "green"]


def test_the_same_cell_may_run_again():
    registry = colours()
    for _ in range(2):

        def green():
            """Another object each time, from the same place."""

        registry.add("green", green)
    assert registry["green"] is green


def test_a_package_adds_a_thing_that_is_imported_when_it_is_asked_for(package):
    package("paints", "def grey():\n    return 'grey'\n", {"grey": "grey"})
    registry = colours()
    assert "grey" in registry and "paints" not in sys.modules
    assert registry.find("grey")() == "grey"


def test_a_plug_in_that_fails_costs_nobody_else_anything(package):
    package("broken", "import nothing_of_that_name\n", {"grey": "grey"})
    package("paints", "def pink():\n    return 'pink'\n", {"pink": "pink"})
    registry = colours()
    assert registry.find("pink")() == "pink"
    with pytest.raises(InputError, match=r"colour 'grey' of broken \(broken:grey\)") as error:
        registry.find("grey")
    assert "ModuleNotFoundError" in str(error.value)
    with pytest.warns(PluginWarning, match="colour 'grey' of broken"):
        assert set(registry.usable()) == {"red", "blue", "pink"}


def test_two_plug_ins_of_one_name_are_both_named(package):
    package("one", "def grey(): ...\n", {"grey": "grey"})
    package("two", "def grey(): ...\n", {"grey": "grey"})
    registry = colours()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.find("red") is min
    with pytest.raises(InputError, match="one plug-in of that name") as error:
        registry.find("grey")
    assert "one (one:grey)" in str(error.value) and "two (two:grey)" in str(error.value)


def test_a_plug_in_cannot_take_the_name_of_a_built_in_thing(package):
    package("thief", "def red(): ...\n", {"red": "red"})
    registry = colours()
    with pytest.warns(PluginWarning, match="colour 'red' is eventsnn's own: that of thief"):
        assert list(registry) == ["red", "blue"]
    assert registry.find("red") is min
