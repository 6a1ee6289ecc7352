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


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) < 6000
