"""The live microscope's page in a real browser, with its kernel in this process.

The page imports the ES module as anywidget does, and gives it a model with anywidget's methods:
get, on, off, send. What it sends reaches the microscope, and what the microscope syncs comes back.
"""

import json
import shutil
from contextlib import contextmanager

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

PAGE = """<!doctype html><meta charset="utf-8"><style>body { margin: 8px; background: Canvas; }
:root { color-scheme: light dark }</style><div id="here"></div>"""
MODEL = """
async ({ esm, css, state }) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const heard = {};
  const model = {
    get: (name) => state[name],
    on: (name, heed) => (heard[name] ??= new Set()).add(heed),
    off: (name, heed) => heard[name]?.delete(heed),
    send: async (message) => {
      for (const [name, value] of Object.entries(await window.kernel(message))) {
        state[name] = value;
        heard[`change:${name}`]?.forEach((heed) => heed());
      }
    },
  };
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const module = (await import(url)).default;
  window.close_page = await module.render({ model, el: document.querySelector("#here") });
}
"""


@contextmanager
def browser():
    """Debian's chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield launched
        launched.close()


@contextmanager
def opened(chromium, microscope, width=900, height=1000, scheme="light"):
    """A page with a microscope, and all that it fetched, in `page.fetched`."""
    page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.set_default_timeout(10_000)
    page.fetched, page.errors = [], []
    page.on("request", lambda request: page.fetched.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))

    def kernel(message):
        widget = microscope.widget
        before = widget.picture["number"], widget.refusal
        microscope._answer(message)
        news = {}
        if widget.picture["number"] != before[0]:
            news["picture"] = widget.picture
        if widget.refusal != before[1]:
            news["refusal"] = widget.refusal
        return json.loads(json.dumps(news))

    page.expose_function("kernel", kernel)
    page.set_content(PAGE)
    widget = microscope.widget
    state = {"picture": widget.picture, "refusal": widget.refusal}
    page.evaluate(MODEL, {"esm": str(widget._esm), "css": str(widget._css), "state": state})
    yield page
    page.close()
