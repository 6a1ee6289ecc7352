"""HTML as a tree of elements, which becomes text once, at the end.

Whatever text or attribute is put into the tree is escaped when it is written, so a name from a file
cannot become markup.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from eventsnn.exceptions import printable
from eventsnn.views.cells import cell

Element = ElementTree.Element
Child = Element | str | None
Row = Mapping[str, Any]

STEPS = 9  # shades of a cell


class Column(NamedTuple):
    """A column of a table: the rows' key, the heading, the format spec of its numbers, and whether
    a table can be sorted by it.
    """

    key: str
    heading: str
    form: str = ""
    sorts: bool = True


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """An element with its children.

    tag: its name. children: elements and texts, in order; None is left out. attributes: `class_`
    stands for class, `aria_label` for aria-label; None and False are left out, True has no value.
    """
    made = ElementTree.Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            text = "" if value is True else printable(str(value))
            made.set(name.rstrip("_").replace("_", "-"), text)
    add(made, *children)
    return made


def add(parent: Element, *children: Child) -> None:
    """Puts elements and texts behind what an element has. parent: it. children: as in `element`."""
    for child in children:
        if isinstance(child, str):
            _add_text(parent, printable(child))
        elif child is not None:
            parent.append(child)


def _add_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def written(root: Element) -> str:
    """An element as text. root: the element."""
    return ElementTree.tostring(root, encoding="unicode", method="html")


def paragraph(*children: Child, class_: str | None = None) -> Element:
    """A paragraph. children: as in `element`. class_: of its look."""
    return element("p", *children, class_=class_)


def items(texts: Sequence[str]) -> Element:
    """A list of texts."""
    return element("ul", *(element("li", text) for text in texts))


def folded(summary: str, *children: Child) -> Element:
    """What is shown when it is asked for. summary: what stands for it. children: inside."""
    return element("details", element("summary", summary), *children)


def table(
    name: str,
    caption: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    *,
    by: str | None = None,
    sortable: bool = True,
) -> Element:
    """Rows as a table that scrolls within itself, with buttons that sort it.

    A number's cell has it whole, as `data-value`. name: the table's id. caption: above it. rows:
    dicts; a value may be an Element. columns: what is shown, the first of them names the row. by:
    the key of the column by which the rows are in ascending order. sortable: whether there are
    buttons.
    """
    head = element("tr", *(_heading(column, rows, by, sortable) for column in columns))
    body = element("tbody")
    for row in rows:
        line = element("tr")
        for column in columns:
            line.append(data(row.get(column.key), column.form, "td" if len(line) else "th"))
        body.append(line)
    label = f"{name}-caption"
    made = element("table", element("caption", caption, id=label), element("thead", head), body)
    return scrolling(made, name, label)


def scrolling(made: Element, name: str, label: str) -> Element:
    """A table in a frame in which it scrolls, also by keyboard.

    name: the frame's id. label: that of what names it.
    """
    return element(
        "div", made, class_="scroll", id=name, role="region", aria_labelledby=label, tabindex=0
    )


def _heading(column: Column, rows: Sequence[Row], by: str | None, sortable: bool) -> Element:
    numbers = any(_is_number(row.get(column.key)) for row in rows)
    inside: Child = column.heading
    order = None
    if sortable and column.sorts:
        # the page's script, without which it does nothing, makes it work
        inside = element("button", column.heading, type="button", disabled=True)
        order = "ascending" if column.key == by else "none"
    return element("th", inside, scope="col", class_="n" if numbers else None, aria_sort=order)


def data(value: Any, form: str = "", tag: str = "td", class_: str = "") -> Element:
    """A cell. value: text, a number, None or an Element. form: of a number. tag: th names the row.
    class_: of its look.
    """
    scope = "row" if tag == "th" else None
    if isinstance(value, ElementTree.Element):
        return element(tag, value, scope=scope, class_=class_ or None)
    number = _is_number(value)
    look = f"{'n' if number else ''} {class_}".strip() or None
    exact = _exact(value) if number else None
    return element(tag, cell(value, form), scope=scope, class_=look, data_value=exact)


def _exact(value: float) -> str:
    """A number whole, as Python and JavaScript read it."""
    return repr(value) if math.isfinite(value) else repr(value).replace("inf", "Infinity")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
