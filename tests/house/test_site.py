"""The documents as pages: they are built without a warning, and need no network to be read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import eventsnn

ROOT = Path(eventsnn.__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the pages, built anew; warnings are errors."""
    pytest.importorskip("sphinx")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run([*command, "docs", out], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


@pytest.mark.slow
def test_every_public_name_has_a_place_in_the_reference(site):
    text = "".join(path.read_text() for path in (site / "reference").glob("*.html"))
    names = set(eventsnn.__all__) - {"__version__"}
    missing = [name for name in names if f'id="eventsnn.{name}"' not in text]
    missing += [name for name in eventsnn._MODULES if f'id="module-eventsnn.{name}"' not in text]
    assert not missing


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site):
    loaded = re.compile(
        r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]*)"|<link[^>]*href="([^"]*)"'
    )
    for path in site.rglob("*.html"):
        for found in loaded.findall(path.read_text()):
            assert "//" not in "".join(found), (path.name, found)


@pytest.mark.slow
def test_every_page_can_be_reached(site):
    linked = {path.stem for path in site.rglob("*.html")}
    sources = {path.stem for path in (ROOT / "docs").rglob("*.md")}
    assert sources <= linked


def options_of(parser):
    """The options that --help lists."""
    actions = [action for action in parser._actions if action.help != "==SUPPRESS=="]
    return {name for action in actions for name in action.option_strings if name[:2] == "--"}


@pytest.mark.slow
def test_options_of_every_command_and_script_stand_two_clicks_from_the_index(site, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import directives

    assert 'href="reference/options.html"' in (site / "index.html").read_text()
    page = (site / "reference" / "options.html").read_text()
    listed = set(re.findall(r"--[a-z][-0-9a-z]*", page))
    for word, row in directives.COMMANDS.items():
        assert not options_of(directives.import_module(row.module).parser()) - listed - {"--help"}
        assert f'id="eventsnn-{word}"' in page
    for path in (ROOT / "analysis").glob("*.py"):
        assert not options_of(directives.parser_of(path)) - listed - {"--help"}, path
        assert f"analysis/{path.name}" in page


def test_options_are_named_in_python_as_they_are_there(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import directives

    words = directives.PYTHON
    assert list(words) and set(words) == set(directives.SETTINGS), "every option, and no other"
    for text in words.values():
        for path, name in re.findall(r"`([A-Za-z.]+)\((\w+)=…\)`", text):
            thing = eventsnn
            for part in path.removeprefix("eventsnn.").split("."):
                thing = getattr(thing, part)
            assert name in directives.inspect.signature(thing).parameters, path


@pytest.mark.slow
def test_notebooks_are_pages_with_their_pictures(site):
    for path in (ROOT / "examples").glob("*.ipynb"):
        page = site / "notebooks" / f"{path.stem}.html"
        shown = re.findall(r'src="(\.\./_images/notebook-[^"]*)"', page.read_text())
        assert shown and all((page.parent / name).is_file() for name in shown)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) < 6000
