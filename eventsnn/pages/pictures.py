"""Pictures inside a page: figures as SVG that light and dark pages show, images as PNG."""

from __future__ import annotations

import base64
import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
from matplotlib import rc_context
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from eventsnn.pages.markup import Element, element
from eventsnn.views.figures import write

MARKS = 1500  # of a figure's part; with more it is drawn as dots of a picture
POINTS = 4000  # of a line, likewise
DPI = 150  # of such dots
SIDE = 64  # pixels of a small image
GREY = re.compile(r"#([0-9a-f]{2})\1\1")
REFERENCE = re.compile(r"#([\w.-]+)")
ANONYMOUS: Any = {"Software": None}  # the same bytes whatever wrote them
# what a page cannot style, or does not need
DROPPED = ("metadata", "style", "title")


def picture(figure: Figure, name: str, title: str, words: str, paper: bool = False) -> Element:
    """A figure as inline SVG with a title and a description for those who cannot see it.

    Black and grey become the page's own colour of text, so that it is readable on light and on
    dark. figure: it is drawn once. name: letters and dashes, the picture's own on its page. title:
    what it is. words: what it shows. paper: whether it needs white below it, as colour maps do.
    """
    root, name = _drawn(figure), f"picture-{name}"
    _tidy(root, name)
    labels = f"{name}-title", f"{name}-desc"
    root.insert(0, element("desc", words, id=labels[1]))
    root.insert(0, element("title", title, id=labels[0]))
    for key, value in (
        ("role", "img"),
        ("aria-labelledby", " ".join(labels)),
        ("fill", "currentColor"),
        ("stroke-linejoin", "round"),
        ("stroke-linecap", "butt"),
    ):
        root.set(key, value)
    del root.attrib["version"]
    look = "picture" + " wide" * bool(figure.get_figwidth() > 6) + " paper" * paper
    return element("div", root, class_=look, id=name)


def _drawn(figure: Figure) -> Element:
    """The SVG of a figure, which is the same whenever it is drawn."""
    for part in figure.findobj(Collection):
        if max(len(part.get_paths()), len(part.get_offsets())) > MARKS:  # type: ignore[arg-type]
            part.set_rasterized(True)
    for line in figure.findobj(Line2D):
        if np.size(line.get_xdata()) > POINTS:
            line.set_rasterized(True)
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "eventsnn", "svg.fonttype": "path"}):
        write(figure, file, DPI, "svg")
    return ElementTree.fromstring(file.getvalue())


def _tidy(root: Element, name: str) -> None:
    """Makes an SVG part of a page: no namespaces, no inline styles, ids of its own."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in DROPPED:
                parent.remove(child)
    used = {id_ for each in root.iter() for value in each.attrib.values() for id_ in _ids(value)}
    for each in root.iter():
        each.tag = _local(each.tag)
        each.text = each.tail = None
        attributes = dict(each.attrib)
        each.attrib.clear()
        style = [part.partition(":") for part in attributes.pop("style", "").split(";")]
        attributes |= {key.strip(): value.strip() for key, _, value in style if value}
        for key, value in attributes.items():
            key = _local(key)
            if key == "id" and value not in used:
                continue
            value = f"{name}-{value}" if key == "id" else _renamed(value, name)
            each.set(key, " ".join(value.split()))
        _theme(each)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _ids(value: str) -> list[str]:
    """The ids that an attribute refers to."""
    refers = value.startswith("#") or "url(#" in value
    return REFERENCE.findall(value) if refers else []


def _renamed(value: str, name: str) -> str:
    if value.startswith("url(#") or (value.startswith("#") and not _is_colour(value)):
        return REFERENCE.sub(rf"#{name}-\1", value)
    return value


def _is_colour(value: str) -> bool:
    return re.fullmatch("#[0-9a-f]{6}", value) is not None


def _theme(each: Element) -> None:
    """Greys become the colour of text, as much of it as they are dark."""
    for key in ("fill", "stroke"):
        found = GREY.fullmatch(each.get(key, ""))
        if found is None:
            continue
        dark = 1 - int(found.group(1), 16) / 255
        opacity = dark * float(each.get(f"{key}-opacity", "1"))
        each.set(key, "currentColor")
        if opacity < 1:
            each.set(f"{key}-opacity", f"{opacity:.3g}")


def image(pixels: NDArray[Any], ends: tuple[float, float], words: str) -> Element | None:
    """A small picture of an image, as PNG inside the page; None for other than 1 or 3 channels.

    pixels: raw [C, H, W]. ends: the lowest and the highest that a pixel may be. words: for those
    who cannot see it.
    """
    if len(pixels) not in (1, 3) or min(pixels.shape[1:]) < 2 or ends[1] <= ends[0]:
        return None
    small = _smaller(pixels.astype(np.float64))
    shares = np.clip((small - ends[0]) / (ends[1] - ends[0]), 0, 1)
    shown = np.round(255 * shares).astype(np.uint8).transpose(1, 2, 0)
    shown = np.broadcast_to(shown, (*shown.shape[:2], 3))
    file = io.BytesIO()
    imsave(file, shown, format="png", metadata=ANONYMOUS)
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    height, width = shown.shape[:2]
    return element("img", src=source, alt=words, width=width, height=height, class_="pixels")


def _smaller(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over squares of pixels, so that no side is longer than SIDE."""
    c, h, w = pixels.shape
    by = -(-max(h, w) // SIDE)
    h, w = max(1, h // by), max(1, w // by)
    cut = pixels[:, : h * by, : w * by] if min(pixels.shape[1:]) >= by else pixels[:, :h, :w]
    if cut.shape[1:] != (h * by, w * by):
        return cut
    return cut.reshape(c, h, by, w, by).mean(axis=(2, 4))
