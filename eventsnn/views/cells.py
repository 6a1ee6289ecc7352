"""A value as a cell of a table shows it."""

from __future__ import annotations

from typing import Any

from eventsnn.exceptions import one_line

# characters of a name that are ever shown
MOST_LETTERS = 1000


def cell(value: Any, form: str = "") -> str:
    """A value's text: names on one printable line, whole numbers as they are, others short.

    value: text, a number; None and NaN are an empty cell. form: a format spec of numbers ("":
    none).
    """
    if value is None or value != value:  # nothing, or not a number
        return ""
    if isinstance(value, str):
        # names of files may hold what would move the cursor of a terminal
        return one_line(value, MOST_LETTERS)
    if form or isinstance(value, int):
        return format(value, form)
    return format(value, ",.4g" if abs(value) < 1000 else ",.0f")
