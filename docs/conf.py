"""How the documents are built: sphinx-build -W docs build/docs."""

import inspect
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

sys.path.insert(0, str(Path(__file__).parent))

import directives  # noqa: E402

from eventsnn.version import VERSION  # noqa: E402

project = "eventsnn"
author = "the developers of eventsnn"
release = version = VERSION
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"eventsnn {VERSION}"
html_static_path = ["static"]
html_css_files = ["style.css"]
# what links lead to that is no page: sources and notebooks of the repository
suppress_warnings = ["myst.xref_missing"]
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_member_order = "bysource"


def as_plain_text(app, what, name, thing, options, lines):
    """Docstrings are plain text: what is no code in backquotes and no example is escaped, and each
    parameter that is told of, as in "path: the file.", gets a row of its own.
    """
    text = inspect.cleandoc("\n".join(lines))
    names = parameters(thing)
    lines[:] = [line for part in text.split("\n\n") for line in paragraph(part, names)]


def parameters(thing):
    """The names of a function's parameters, or of a class's; none where it has no signature."""
    try:
        return list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return []


def paragraph(part, names):
    """A docstring's paragraph as lines of reStructuredText; an indented one is code."""
    rows = part.split("\n")
    if rows[0].startswith("    "):
        return [".. code-block:: text", "", *("    " + row for row in rows), ""]
    listed = any(row.startswith((" ", "- ")) for row in rows)
    items: list[str] = []
    for row in rows:  # what is indented behind a line goes on with it
        if not items or (listed and not row.startswith(" ")):
            items.append(row)
        else:
            items[-1] += " " + row.strip()
    found = []
    for item in items:
        for told in split(item, names):
            head, colon, rest = told.partition(": ")
            if colon and all(word in names for word in head.split(", ")):
                told = f":{head}: {escaped(rest)}"
                found += [told] if found and found[-1].startswith(":") else ["", told]
            else:
                found += ["", escaped(told)]
    return [*found, ""]


def split(text, names):
    """A text's sentences, joined again but where one tells of a parameter, or of what is raised."""
    known = "|".join(map(re.escape, names)) or "$^"
    return re.split(rf"(?<=[.)]) (?=(?:(?:{known})(?:, (?:{known}))*: |Raises ))", text)


def escaped(text):
    """Plain text as reStructuredText."""
    text = re.sub(r"([\\*|_<])", r"\\\1", text)
    return re.sub(r"`([^`]+)`", as_code, text)


def as_code(found):
    """A name in backquotes, as code, without the backslashes before its signs."""
    return "``" + re.sub(r"\\(.)", r"\1", found[1]) + "``"


def setup(app):
    """What Sphinx calls."""
    app.connect("autodoc-process-docstring", as_plain_text)
    app.add_directive("notebook", directives.Notebook)
    app.add_directive("commands", directives.Commands)
    app.add_directive("scripts", directives.Scripts)
