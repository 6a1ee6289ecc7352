"""A page put together: its head, its parts with links to them, its own styles and script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from eventsnn.pages.markup import Element, add, element, paragraph, written
from eventsnn.version import VERSION

MOST = 5_000_000  # bytes of a page
RESERVE = 300_000  # of these for what stands around the parts
GENERATOR = "eventsnn report"


class Part(NamedTuple):
    """A part of a page. name: letters, its id. link: the words of the link to it. title: its
    heading. inside: what it has.
    """

    name: str
    link: str
    title: str
    inside: Sequence[Element]


def page(title: str, under: Sequence[str], parts: Sequence[Part]) -> str:
    """The text of a page, at most MOST bytes of UTF-8; it needs nothing from elsewhere.

    A part that would not fit is left out, and it says so. title: of the page. under: lines below
    it. parts: in order.
    """
    main, room = element("main", id="main"), MOST - RESERVE
    for part in parts:
        made = _section(part)
        size = len(written(made).encode())
        if size > room:
            words = f"Left out: its {size:,} bytes would make this page larger than {MOST:,}."
            made = _section(part._replace(inside=[paragraph(words, class_="warned")]))
            size = 0
        room -= size
        main.append(made)
    body = element(
        "body",
        element("a", "To the results", href="#main", class_="skip"),
        element("header", element("h1", title), *(paragraph(x, class_="soft") for x in under)),
        _links(parts),
        main,
        element("div", id="heard", class_="heard", role="status"),
        element("footer", paragraph(f"Written by eventsnn {VERSION}.", class_="soft")),
    )
    style, script = (_own(name) for name in ("page.css", "page.js"))
    add(body, element("script", script))
    root = element("html", _head(title, style, script), body, lang="en")
    return f"<!DOCTYPE html>\n{written(root)}\n"


def _section(part: Part) -> Element:
    heading = element("h2", part.title, id=f"{part.name}-title")
    labelled = f"{part.name}-title"
    return element("section", heading, *part.inside, id=part.name, aria_labelledby=labelled)


def _links(parts: Sequence[Part]) -> Element:
    links = (element("li", element("a", part.link, href=f"#{part.name}")) for part in parts)
    return element("nav", element("ul", *links), aria_label="Contents")


def _head(title: str, style: str, script: str) -> Element:
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content=GENERATOR),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", style),
    )


def _hash(text: str) -> str:
    """What a policy calls a style or script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _own(name: str) -> str:
    """A file that comes with the package."""
    return (resources.files("eventsnn") / "pages" / name).read_text("utf-8")
