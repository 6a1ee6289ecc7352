"""The live microscope in a real browser: its page against a kernel in this process (see
`support.browsing`), and in JupyterLab with a kernel of its own.

Screenshots go to the folder that SCREENSHOTS names, for who wants to look at them.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from support.browsing import CHROMIUM, browser, opened
from support.networks import random_pixels, small_graph

import eventsnn
from eventsnn import Delay, Drop, Move, Swap

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]
for needed in ("anywidget", "playwright.sync_api"):
    pytest.importorskip(needed)
if CHROMIUM is None:
    pytest.skip("chromium: not installed", allow_module_level=True)
ROOT = Path(eventsnn.__file__).parents[1]
LOWER = ".eventsnn-hand"


@pytest.fixture(scope="module")
def chromium():
    with browser() as launched:
        yield launched


@pytest.fixture(scope="module")
def result():
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(4), graph, 3)
    return eventsnn.simulate(
        eventsnn.convert(graph), pixels, steps=4, engine="event", order="jitter", neuron="snm"
    )


@pytest.fixture
def microscope(result):
    return eventsnn.live(result, 1, 0)


def shot(page, name):
    """A screenshot, for who asked for them."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def spot(page, place):
    """Where a place along the lower picture is on the page, while all of it is in sight."""
    box = page.locator(LOWER).bounding_box()
    count = len(page.microscope.widget.picture["after"]["step"])
    most = max(count, len(page.microscope.widget.picture["before"]["step"]))
    return box["x"] + 52 + place / most * (box["width"] - 60), box["y"] + 100


def drag(page, at, to):
    """Drags the arrival at one place of the order to another."""
    page.mouse.move(*spot(page, at + 0.5))
    page.mouse.down()
    page.mouse.move(*spot(page, (at + to) / 2), steps=3)
    page.mouse.move(*spot(page, to), steps=3)
    page.mouse.up()


def settled(page):
    """Waits until the kernel has answered."""
    page.locator('.eventsnn-live[aria-busy="false"]').wait_for()


def looking(chromium, microscope, **options):
    """`opened`, with all arrivals in sight."""

    class Opened:
        def __enter__(self):
            self.context = opened(chromium, microscope, **options)
            page = self.context.__enter__()
            page.microscope = microscope
            page.get_by_role("button", name="all", exact=True).click()
            return page

        def __exit__(self, *error):
            return self.context.__exit__(*error)

    return Opened()


def editable(microscope):
    return [at for at, seq in enumerate(microscope.widget.picture["after"]["recorded"]) if seq >= 0]


def test_a_spike_that_is_dragged_gives_another_potential(chromium, microscope, result):
    with looking(chromium, microscope) as page:
        shot(page, "light")
        before = page.locator(f"{LOWER} .eventsnn-potential").get_attribute("d")
        upper = page.locator(".eventsnn-panel").first.locator(".eventsnn-potential")
        as_recorded = upper.get_attribute("d")
        recorded = microscope.widget.picture["after"]["recorded"]
        step = microscope.widget.picture["after"]["step"]
        places = editable(microscope)
        at, to = next(
            (a, b)
            for a in places
            for b in places
            if b - a == 4 and step[a] == step[b] == step[b - 1]
        )
        drag(page, at, to)
        settled(page)
        assert microscope.edits == (Move(recorded[at], recorded[to]),)
        after = page.locator(f"{LOWER} .eventsnn-potential").get_attribute("d")
        assert after != before
        assert upper.get_attribute("d") == as_recorded
        assert str(microscope.edits[0]) in page.locator(".eventsnn-edits").text_content()
        shot(page, "dragged")
        page.get_by_role("button", name="undo").click()
        settled(page)
        assert microscope.edits == ()
        assert page.locator(f"{LOWER} .eventsnn-potential").get_attribute("d") == before
        assert not page.errors


def test_along_time_a_spike_that_is_dragged_comes_later(chromium, microscope):
    with looking(chromium, microscope) as page:
        page.get_by_label("along").select_option("time")
        panel = microscope.widget.picture["after"]
        at = editable(microscope)[3]
        box = page.locator(LOWER).bounding_box()
        whole = 1.02 * max(panel["end"], panel["time"][-1])
        x = box["x"] + 52 + panel["time"][at] / whole * (box["width"] - 60)
        page.mouse.move(x, box["y"] + 100)
        page.mouse.down()
        chosen = page.locator(".eventsnn-detail").text_content()
        page.mouse.move(x + 60, box["y"] + 100, steps=4)
        shot(page, "time")
        page.mouse.up()
        settled(page)
        if "(spike" in chosen:  # what lies under the pointer can be drive
            (edit,) = microscope.edits
            assert isinstance(edit, Delay) and edit.seq == int(
                chosen.split("(spike ")[1].split(")")[0]
            )
            assert edit.steps == pytest.approx(60 / (box["width"] - 60) * whole, abs=0.02)
        assert not page.errors


def test_the_keyboard_does_all_that_a_hand_does(chromium, microscope):
    with looking(chromium, microscope) as page:
        page.locator(LOWER).focus()
        recorded = microscope.widget.picture["after"]["recorded"]
        first = next(at for at in editable(microscope) if at + 1 in editable(microscope))
        page.keyboard.press("Home")
        for _ in range(first):
            page.keyboard.press("ArrowRight")
        assert f"(spike {recorded[first]})" in page.locator(".eventsnn-detail").text_content()
        page.keyboard.press("Shift+ArrowRight")
        settled(page)
        assert microscope.edits == (Swap(recorded[first], recorded[first + 1]),)
        assert f"(spike {recorded[first]})" in page.locator(".eventsnn-detail").text_content()
        page.keyboard.press("Delete")
        settled(page)
        assert microscope.edits[1:] == (Drop(recorded[first]),)
        page.keyboard.press("u")
        settled(page)
        page.keyboard.press("Control+z")
        settled(page)
        assert microscope.edits == ()
        in_sight = page.locator(f"{LOWER} .eventsnn-excites").last.get_attribute("d")
        for key in ("+", "+", "PageDown", "-", "0"):
            page.keyboard.press(key)
        assert page.locator(f"{LOWER} .eventsnn-excites").last.get_attribute("d") == in_sight
        assert not page.errors


def test_another_neuron_layer_and_image_are_chosen(chromium, microscope, result):
    with looking(chromium, microscope) as page:
        page.get_by_label("layer").select_option(index=0)
        settled(page)
        page.wait_for_function(
            "() => document.querySelector('.eventsnn-live').textContent.includes('recorded')"
        )
        assert microscope.layer == result.network.layers[0].name
        page.get_by_label("neuron", exact=True).fill("7")
        page.keyboard.press("Tab")
        settled(page)
        assert microscope.neuron == 7
        page.get_by_label("image", exact=True).fill("2")
        page.keyboard.press("Tab")
        settled(page)
        assert microscope.image == 2
        offered = page.get_by_label("worst neurons")
        offered.select_option(index=1)
        settled(page)
        worst = microscope.widget.picture["worst"]["rows"][0]
        assert (microscope._view.layer, microscope.neuron) == (worst["layer"], worst["neuron"])
        assert not page.errors


def test_a_refusal_is_one_line_on_the_page_and_changes_nothing(chromium, microscope):
    with looking(chromium, microscope) as page:
        page.get_by_label("neuron", exact=True).fill("999999")
        page.keyboard.press("Tab")
        page.locator(".eventsnn-refusal:not([hidden])").wait_for()
        words = page.locator(".eventsnn-refusal").text_content()
        assert words.startswith("neuron: expected a number from 0") and "\n" not in words
        assert page.get_by_label("neuron", exact=True).input_value() == "0"
        shot(page, "refused")
        drag(page, editable(microscope)[-1], editable(microscope)[0])
        settled(page)
        if not microscope.edits:
            assert page.locator(".eventsnn-refusal").text_content()
        assert not page.errors


def test_the_copied_python_is_the_kernels(chromium, microscope):
    with looking(chromium, microscope) as page:
        page.get_by_role("button", name="swap ▶").click()
        settled(page)
        page.get_by_role("button", name="copy as Python").click()
        page.locator("[role=status]", has_text="c").wait_for()
        code = page.locator(".eventsnn-live pre").text_content()
        assert code == microscope.code and "result.replay(edits, image=0)" in code


def test_markup_in_names_is_text(chromium, microscope):
    bad = '<img src="x" onerror="document.title = 1"><b>bold</b>'
    picture = json.loads(json.dumps(microscope.widget.picture))
    for layer in picture["layers"]:
        layer["name"] = bad
    for row in picture["outputs"]["rows"]:
        row["name"] = bad
    picture.update(label=bad, where=bad, notes=[bad], code=bad, conditions=bad, gestures=[[bad]])
    picture["before"]["words"] = picture["after"]["words"] = bad
    microscope.widget.picture = {**picture, "number": 2}
    with looking(chromium, microscope) as page:
        assert page.locator(".eventsnn-live img, .eventsnn-live b").count() == 0
        assert (
            bad in page.locator(".eventsnn-detail").text_content()
            or bad in page.locator(".eventsnn-live").text_content()
        )
        assert not page.title() and not page.errors


def test_nothing_is_fetched_and_nothing_is_wider_than_its_column(chromium, microscope):
    for width in (340, 480, 900):
        with looking(chromium, microscope, width=width, scheme="dark") as page:
            assert all(url.startswith(("blob:", "about:")) for url in page.fetched)
            over = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, width
            shot(page, f"dark-{width}")
            paper = page.evaluate(
                "() => getComputedStyle(document.querySelector('.eventsnn-live')).backgroundColor"
            )
            assert paper == "rgb(22, 24, 28)"


def test_a_kernel_that_does_not_answer_is_missed(chromium, microscope, monkeypatch):
    monkeypatch.setattr(microscope, "_answer", lambda message: None)
    with looking(chromium, microscope) as page:
        page.get_by_role("button", name="drop").click()
        page.locator(".eventsnn-refusal", has_text="No answer from the kernel").wait_for()


def test_a_page_that_is_closed_hears_no_more(chromium, microscope):
    with looking(chromium, microscope) as page:
        page.evaluate("() => window.close_page()")
        assert not page.errors


# --- JupyterLab ---

CELLS = """
import eventsnn

snn = eventsnn.convert(eventsnn.load("sample"))
images = eventsnn.load_images("sample", limit=2)
result = eventsnn.simulate(snn, images, steps=2, engine="event", neuron="snm", workers=1)
microscope = eventsnn.live(result)
microscope
"""


@pytest.fixture
def lab(tmp_path, request):
    """The address of a JupyterLab on this machine, with one notebook, live.ipynb, in a theme."""
    for needed in ("jupyterlab", "ipykernel"):
        pytest.importorskip(needed)
    settings = tmp_path / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    theme = {"theme": f"JupyterLab {request.param}"}
    for name, values in (("themes", theme), ("notification", quiet)):
        (settings / f"{name}.jupyterlab-settings").write_text(json.dumps(values))
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}}
    notebook["cells"] = [{**cell, "source": CELLS.strip()}]
    (tmp_path / "live.ipynb").write_text(json.dumps(notebook))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    options += ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME")},
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, server, tmp_path / "log")
        yield address
    finally:
        server.terminate()
        server.wait(20)


def wait_for(address, server, log):
    """Waits until a server answers; fails where it ends instead."""
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5).close()
            return
        except OSError:
            assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.25)
    raise AssertionError(log.read_text()[-2000:])


@pytest.mark.parametrize(
    "lab, paper", [("Light", "rgb(255, 255, 255)"), ("Dark", "rgb(22, 24, 28)")], indirect=["lab"]
)
def test_in_jupyterlab(chromium, lab, paper):
    """The theme is JupyterLab's, not the system's, which is the other one here."""
    system = "dark" if paper == "rgb(255, 255, 255)" else "light"
    page = chromium.new_page(viewport={"width": 1200, "height": 1300}, color_scheme=system)
    page.set_default_timeout(120_000)
    page.goto(f"{lab}/lab/tree/live.ipynb?reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # else the cell would not run
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.locator(LOWER).wait_for()
    own = "() => getComputedStyle(document.querySelector('.eventsnn-live')).backgroundColor"
    assert page.evaluate(own) == paper
    detail = page.locator(".eventsnn-detail")
    potential = page.locator(f"{LOWER} .eventsnn-potential")
    before = potential.get_attribute("d")
    page.locator(LOWER).scroll_into_view_if_needed()
    box = page.locator(LOWER).bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 330, box["y"] + 90, steps=5)
    page.mouse.up()
    page.locator(".eventsnn-edits", has_text="Move(").wait_for()
    assert potential.get_attribute("d") != before and "spike" in detail.text_content()
    shot(page, f"lab-{system}-system")
    # keys are the microscope's while it has the focus, not the notebook's
    for key in ("ArrowRight", "Shift+ArrowRight"):
        page.keyboard.press(key)
    page.locator(".eventsnn-edits", has_text="Swap(").wait_for()
    page.keyboard.press("u")
    page.locator(".eventsnn-edits li").nth(1).wait_for(state="detached")
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    assert cells == 2, "the one, and the one below that Shift+Enter makes"
    page.close()
