"""The tests of every change: of one with many parameters a few, evenly spread; the rest are slow.

Of a test that crosses models, orders and networks they are more: some of the pairs, drawn once and
for all by its name, each model and order among them. Where there are very many, the rest are long.

Set CI to have hypothesis draw the same examples in every run.
"""

import os
import random
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

QUICK = 3
CROSSED, FEW, MANY = ("engine", "laws", "trace", "studies"), 4, 16

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks as slow or long what is left out of each family of parameters."""
    families = defaultdict(list)
    for item in items:
        families[item.path, getattr(item, "originalname", item.name)].append(item)
    for family in families.values():
        count = len(family)
        quick = {i * count // QUICK for i in range(QUICK)}
        crossed = len(list(family[0].iter_markers("parametrize"))) > 1
        if crossed and family[0].path.parent.name in CROSSED:
            quick |= drawn_of(family, FEW)
            if count > MANY:
                for i in {*range(count)} - drawn_of(family, MANY) - quick:
                    family[i].add_marker(pytest.mark.long)
        for i, item in enumerate(family):
            if i not in quick:
                item.add_marker(pytest.mark.slow)


def drawn_of(family, most):
    """Places of so many tests of a family, and of others until each value of a parameter is there.

    None is among those that are long anyway.
    """
    places = [i for i, item in enumerate(family) if not item.get_closest_marker("long")]
    drawn = random.Random(family[0].originalname).sample(places, min(most, len(places)))
    found, seen = set(), set()
    for i in [*drawn, *places]:
        values = {(name, id(value)) for name, value in family[i].callspec.params.items()}
        if len(found) < most or values - seen:
            found.add(i)
            seen |= values
    return found


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    """What a test adds to a registry, and the files that it added it from, are gone after it."""
    from eventsnn.plugins import REGISTRIES, registry_of

    loaded = [kind for kind, place in REGISTRIES.items() if place.partition(":")[0] in sys.modules]
    before = {kind: set(registry_of(kind).loaded()) for kind in loaded}
    yield
    for kind, place in REGISTRIES.items():
        if place.partition(":")[0] in sys.modules:
            registry = registry_of(kind)
            built_in = before.get(kind, registry.own)
            for name in set(registry.loaded()) - set(built_in):
                registry.remove(name)
    for name in [name for name in sys.modules if name.startswith("eventsnn_plugin_")]:
        del sys.modules[name]


@pytest.fixture(scope="session", autouse=True)
def pictures_of_runs():
    """Runs draw nothing, but where a test asks for `pictures`."""
    from support import drawing

    with drawing.chosen():
        yield


@pytest.fixture
def pictures():
    """All pictures are drawn."""
    from support import drawing

    with drawing.leaving_out(drawing.none):
        yield


@pytest.fixture
def no_pictures():
    """No picture is drawn."""
    from support import drawing

    with drawing.leaving_out(drawing.every):
        yield


def pytest_terminal_summary(terminalreporter, config):
    """Names the files whose tests of other frameworks and of a browser a whole run leaves out."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if not whole or "not frameworks" not in config.option.markexpr:
        return
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    names = [path.stem for path in files if "mark.frameworks" in path.read_text(encoding="utf-8")]
    words = f"left out here, see pytest -m frameworks: {', '.join(names)}"
    for line in textwrap.wrap(words, 100):
        terminalreporter.write_line(line)
