"""The page in a browser, headless Chromium by playwright: it opens, sorts, fits and stays at home.

Needs playwright and a Chromium (the variable CHROMIUM, or on the path); not in CI.
"""

import functools
import http.server
import os
import shutil
import threading

import pytest
from support.reported import made

import eventsnn

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
RUN = ["--engine", "event", "--steps", "4", "--trace", "spikes"]
WIDTH = "document.scrollingElement.scrollWidth"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return eventsnn.report(made(tmp_path_factory.mktemp("seen"), *RUN, monkeypatch=patch))


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, path):
    """A function that opens the page; what it says and asks for is watched until the test ends."""
    said, asked, contexts = [], [], []

    def opens(address=None, **options):
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address or path.as_uri())
        return page

    yield opens
    for context in contexts:
        context.close()
    assert said == []
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} <= {
        path.as_uri()
    }


def column(page, table, number):
    cells = page.locator(f"#{table} tbody tr > :nth-child({number})")
    return cells.evaluate_all("all => all.map(x => x.dataset.value ?? x.textContent)")


def test_tables_sort_by_click_and_by_keyboard(opened):
    page = opened()
    heading = page.locator("#layers-table th", has_text="rate")
    button = heading.locator("button")
    place = heading.evaluate("th => th.cellIndex") + 1
    before = column(page, "layers-table", place)
    rates = sorted(float(text) for text in before if text)
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(x) for x in column(page, "layers-table", place) if x] == rates
    assert column(page, "layers-table", place)[-1] == ""  # what is missing stays last
    assert page.locator("#heard").text_content() == "sorted by rate, ascending"
    button.focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(x) for x in column(page, "layers-table", place) if x] == rates[::-1]
    assert column(page, "layers-table", place)[-1] == ""
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    other = page.locator("#layers-table th", has_text="threshold")
    assert other.get_attribute("aria-sort") == "ascending"
    assert heading.get_attribute("aria-sort") == "none"
    names = page.locator("#layers-table th", has_text="layer").first
    names.locator("button").click()
    assert column(page, "layers-table", 1) == sorted(column(page, "layers-table", 1))


def test_links_lead_to_their_parts(opened):
    page = opened()
    for link in page.locator("nav a").all():
        name = link.get_attribute("href")
        link.click()
        assert page.evaluate("location.hash") == name
        assert page.locator(name).is_visible()
    page.keyboard.press("Home")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.goto(page.url.partition("#")[0])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


def test_tables_scroll_by_keyboard(opened):
    page = opened(viewport={"width": 360, "height": 700})
    frame = page.locator("#accuracy-table")
    assert frame.evaluate("x => x.scrollWidth > x.clientWidth")
    frame.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(50):
        if frame.evaluate("x => x.scrollLeft"):
            return
        page.wait_for_timeout(100)
    raise AssertionError("it does not scroll")


@pytest.mark.parametrize("width", [320, 360, 768, 1400])
@pytest.mark.parametrize("script", [True, False])
def test_nothing_is_wider_than_the_page(opened, width, script):
    page = opened(viewport={"width": width, "height": 700}, java_script_enabled=script)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.evaluate(WIDTH) == width
    assert page.locator("table").count() >= 10
    buttons = page.locator("th button").count()
    assert page.locator("th button:disabled").count() == (0 if script else buttons)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_pictures_stand_out_in_light_and_dark(opened, scheme, tmp_path):
    page = opened(color_scheme=scheme)
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    drawn = page.locator("#picture-rates svg").evaluate("svg => getComputedStyle(svg).fill")
    assert drawn == ink
    assert contrast(paper, ink) > 10
    soft = page.locator("caption").first.evaluate("x => getComputedStyle(x).color")
    link = page.locator("nav a").first.evaluate("x => getComputedStyle(x).color")
    assert contrast(paper, soft) > 4.5 and contrast(paper, link) > 4.5
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)


def contrast(one, other):
    """The contrast of two colours, as WCAG 2 has it."""

    def light(colour):
        parts = [int(x) / 255 for x in colour.strip("rgb()").split(",")]
        r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted(map(light, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_it_is_printed_in_light_with_all_that_is_folded(opened):
    page = opened(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_served_over_http_it_asks_for_nothing_more(browser, path):
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    given = functools.partial(Handler, directory=path.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), given) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/{path.name}")
        page.locator("th button").first.click()
        page.close()
        server.shutdown()
    assert asked == [f"/{path.name}"]


def test_the_policy_stops_scripts_that_are_not_its_own(browser, path, tmp_path):
    text = path.read_text("utf-8")
    added = tmp_path / "added.html"
    evil = "<img src=x onerror='document.title = 1'><script>document.title = 2</script>"
    added.write_text(text.replace("</main>", f"{evil}</main>"), "utf-8")
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(added.as_uri())
    assert page.title().startswith("<b>net</b>")
    assert len(said) >= 2 and all("Content Security Policy" in words for words in said)
    page.close()
