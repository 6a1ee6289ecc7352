"""Rows of named values as text, HTML, CSV or DataFrame; arrays as Datasets."""

from __future__ import annotations

import csv
import html
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from eventsnn.arguments import Count, Natural, checked
from eventsnn.exceptions import InputError
from eventsnn.values import not_empty, shown
from eventsnn.views.cells import cell

Row = Mapping[str, Any]
# key -> (heading, format spec)
Headings = Mapping[str, tuple[str, str]]

# columns that are not here stand as they are
COLUMNS = {
    "T": ("T", ""),
    "accuracy": ("accuracy", ".2%"),
    "top5_accuracy": ("top-5", ".2%"),
    "interval": ("95 % interval", ""),
    "agreement": ("as the ANN", ".2%"),
    "neurons": ("neurons", ","),
    "theta": ("threshold", ".4g"),
    "rate": ("rate", ".2%"),
    "spikes": ("spikes", ",.0f"),
    "operations": ("operations", ",.0f"),
    "sources": ("charge from", ""),
}
CORES = {
    "busy": ("busy", ".1%"),
    "queue": ("queue", ",.1f"),
    "longest": ("longest", ","),
    "undelivered": ("undelivered", ",.1f"),
}
# characters of a name in a text table
WIDEST = 34
LINE = 100  # letters of a title above a text table
# of a title above an HTML table
CAPTION = "caption-side: top; text-align: left"
UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


class Table(list[dict[str, Any]]):
    """Rows with a title; print it for text, and Jupyter shows it as HTML. A list in all else.

    rows: dicts with the same keys. title: a line of what they are and in which units, which is
    wrapped, and lines of what decided them. columns: as in `text_table`.
    """

    def __init__(
        self, rows: Iterable[dict[str, Any]], title: str = "", columns: Headings = COLUMNS
    ):
        super().__init__(rows)
        self.title = title
        self.columns = columns

    def __str__(self) -> str:
        rows = text_table(self, self.columns) if self else "no rows"
        if not self.title:
            return rows
        what, *more = self.title.split("\n")
        return "\n".join([*textwrap.wrap(what, LINE), *more, rows])

    def _repr_html_(self) -> str:
        return _html(self, self.columns, self.title) if self else html_page(str(self), [])


@checked
def text_table(rows: Sequence[Row], columns: Headings = COLUMNS) -> str:
    """Rows as aligned text; numbers stand on the right.

    rows: dicts with the same keys, one or more. columns: key -> (heading, format spec); keys that
    are not there head their own columns.
    """
    check_rows(rows)
    cells = [_headings(rows[0], columns)]
    for row in rows:
        cells.append([_shorten(cell) for cell in _cells(row, columns)])
    widths = [max(map(len, column)) for column in zip(*cells)]
    left = [isinstance(value, str) for value in rows[0].values()]
    return "\n".join(_line(row, widths, left) for row in cells)


def check_rows(rows: Sequence[Row], keys: Iterable[str] | None = None) -> None:
    """Raises InputError for rows that make no table.

    rows: dicts, one or more. keys: that each must have; None: those of the first, and no others.
    """
    not_empty("rows", rows)
    for i, row in enumerate(rows):
        missing = [key for key in (rows[0] if keys is None else keys) if key not in row]
        if missing or (keys is None and len(row) != len(rows[0])):
            wanted = ", ".join(map(str, rows[0] if keys is None else keys))
            raise InputError(
                "rows", f"dicts with {wanted}", f"row {i} with {', '.join(map(str, row))}"
            )


def _line(cells: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    """Cells in their columns' widths, with two spaces between them. left: where each stands."""
    padded = [
        cell.ljust(width) if is_left else cell.rjust(width)
        for cell, width, is_left in zip(cells, widths, left)
    ]
    return "  ".join(padded).rstrip()


@checked
def html_table(rows: Sequence[Row], columns: Headings = COLUMNS) -> str:
    """Rows as an HTML table, for notebooks; numbers stand on the right.

    rows, columns: as in `text_table`.
    """
    check_rows(rows)
    return _html(rows, columns, "")


def _html(rows: Sequence[Row], columns: Headings, title: str) -> str:
    """Rows as an HTML table with lines of a title above."""
    lines = "<br>".join(map(html.escape, title.split("\n")))
    above = f'<caption style="{CAPTION}">{lines}</caption>' if title else ""
    sides = ["left" if isinstance(value, str) else "right" for value in rows[0].values()]
    head = _html_line("th", _headings(rows[0], columns), sides)
    body = "".join(_html_line("td", _cells(row, columns), sides) for row in rows)
    return f"<table>{above}<thead>{head}</thead><tbody>{body}</tbody></table>"


def html_page(words: object, rows: Sequence[Row], columns: Headings = COLUMNS) -> str:
    """A paragraph of words and a table below it, as HTML for notebooks; names are escaped in both.

    words: of any kind, such as an object, whose `repr` is taken without its angle brackets. rows,
    columns: as in `text_table`; without rows there is no table. Of a `Table`'s title the first line
    is shown, as the words say what decided the rows.
    """
    text = words if isinstance(words, str) else repr(words)[1:-1]
    title = ""
    if isinstance(rows, Table):
        title, columns = rows.title.partition("\n")[0], rows.columns
    return f"<p>{html.escape(text)}</p>" + (_html(rows, columns, title) if rows else "")


def _html_line(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    """One row of an HTML table, of cells with this tag. sides: where the text of each stands."""
    parts = [
        f'<{tag} style="text-align: {side}">{html.escape(cell)}</{tag}>'
        for cell, side in zip(cells, sides)
    ]
    return f"<tr>{''.join(parts)}</tr>"


@checked
def write_csv(path: str | os.PathLike[str], rows: Sequence[Row]) -> None:
    """Write rows as a CSV file with a header.

    path: the file. rows: dicts with the same keys, one or more; numbers are written in full
    precision, None as nothing.
    """
    check_rows(rows)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@checked
def in_unit(values: Iterable[float]) -> tuple[str, float]:
    """(unit, factor) in which the largest of some numbers is a readable one.

    values: the numbers. From a million on they are ("M", 1e-6), and so on; below a thousand they
    are ("", 1.0).
    """
    largest = max(map(abs, values), default=0)
    for unit, size in UNITS:
        if largest >= size:
            return unit, 1 / size
    return "", 1.0


def _headings(row: Row, columns: Headings) -> list[str]:
    return [columns[key][0] if key in columns else key for key in row]


def _cells(row: Row, columns: Headings) -> list[str]:
    return [cell(value, columns[k][1] if k in columns else "") for k, value in row.items()]


def _shorten(text: str) -> str:
    return text if len(text) <= WIDEST else text[:8] + "…" + text[9 - WIDEST :]


class ByLayer:
    """What results with one row for each spiking layer have in common.

    layers: the rows, dicts with the key "layer".
    """

    layers: list[dict[str, Any]]

    def table(self) -> Table:
        """Rows to print, with their title."""
        return Table(self.layers)

    def to_pandas(self) -> Any:
        """A DataFrame, one row a layer; needs pandas."""
        return optional("pandas").DataFrame(self.layers).set_index("layer")

    def to_xarray(self) -> Any:
        """A Dataset with the dimension `layer`, one variable a column; needs xarray."""
        variables = {}
        for key in self.layers[0]:
            variables[key] = ("layer", [row[key] for row in self.layers])
        _, names = variables.pop("layer")
        return dataset(variables, layer=names)

    def _repr_html_(self) -> str:
        return html_page(self, self.table())


@checked
def dataset(variables: Mapping[str, tuple[Any, Any]], **coordinates: Any) -> Any:
    """An xarray Dataset; needs xarray.

    variables: name -> (dimensions, array). coordinates: dimension -> values. Raises InputError
    where xarray is not installed.
    """
    return optional("xarray").Dataset(variables, coordinates)


@checked
def optional(name: str) -> Any:
    """A package that is not needed otherwise.

    name: the package's. Raises InputError where it is not installed.
    """
    if not name:
        raise InputError("name", "a package", shown(name))
    try:
        return import_module(name)
    except ImportError:
        raise InputError(f"to_{name}", name, "none installed", f"pip install {name}") from None


@checked
def report_steps(steps: Count, after: Natural = 0) -> list[int]:
    """The numbers of time steps that a report shows: 1, 2, 4, … up to and including `steps`.

    steps: how many steps were run. after: the last that gives no result.
    """
    powers = {2**k for k in range(steps.bit_length()) if after < 2**k <= steps}
    return sorted(powers | {steps})
