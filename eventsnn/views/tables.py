"""Rows of named values as text, HTML, CSV or DataFrame, arrays as Datasets, and the interval that
belongs beside an accuracy.
"""

from __future__ import annotations

import csv
import html
import math
from importlib import import_module

from eventsnn.exceptions import InputError

# column -> (heading, format spec); columns that are not here stand as they are
COLUMNS = {
    "T": ("T", ""),
    "accuracy": ("accuracy", ".2%"),
    "interval": ("95 % interval", ""),
    "agreement": ("as the ANN", ".2%"),
    "neurons": ("neurons", ","),
    "theta": ("threshold", ".4g"),
    "rate": ("rate", ".2%"),
    "spikes": ("spikes", ",.0f"),
    "operations": ("operations", ",.0f"),
    "sources": ("charge from", ""),
}
WIDEST = 28  # characters of a name in a text table


def text_table(rows, columns=COLUMNS):
    """Rows (dicts with the same keys) as aligned text; columns: key -> (heading, format spec)."""
    cells = [[columns.get(k, (k,))[0] for k in rows[0]]] + [
        [_shorten(c) for c in _cells(row, columns)] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells)]
    left = [isinstance(v, str) for v in rows[0].values()]
    return "\n".join(
        "  ".join(
            c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in zip(row, widths, left)
        ).rstrip()
        for row in cells
    )


def html_table(rows, columns=COLUMNS):
    """Rows as an HTML table, for notebooks; numbers stand on the right."""
    sides = ["left" if isinstance(v, str) else "right" for v in rows[0].values()]

    def line(tag, cells):
        return (
            "<tr>"
            + "".join(
                f'<{tag} style="text-align: {side}">{html.escape(c)}</{tag}>'
                for c, side in zip(cells, sides)
            )
            + "</tr>"
        )

    head = line("th", [columns.get(k, (k,))[0] for k in rows[0]])
    return f"<table><thead>{head}</thead><tbody>{''.join(line('td', _cells(row, columns)) for row in rows)}</tbody></table>"


def write_csv(path, rows):
    """Rows as a CSV file with a header; numbers in full precision, nothing for None."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def in_unit(values):
    """(unit, factor) in which the largest of `values` is a readable number: ("M", 1e-6) from a
    million on, and so on.
    """
    largest = max(map(abs, values), default=0)
    return next(
        (
            (unit, 1 / size)
            for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3))
            if largest >= size
        ),
        ("", 1.0),
    )


def _cells(row, columns):
    return [_cell(v, columns.get(k, (k, ""))[1]) for k, v in row.items()]


def _cell(value, spec):
    if value is None or isinstance(value, str):
        return value or ""
    if not spec:
        spec = "" if isinstance(value, int) else ",.4g" if abs(value) < 1000 else ",.0f"
    return format(value, spec)


def _shorten(text):
    return text if len(text) <= WIDEST else text[:8] + "…" + text[9 - WIDEST :]


def wilson(hits, n, z=1.96):
    """The 95 % interval (low, high) of a share `hits / n` (Wilson 1927)."""
    share, extra = hits / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * math.sqrt(share * (1 - share) / n + extra / (4 * n))
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


class ByLayer:
    """What results with one row (a dict) for each spiking layer, `layers`, and a `table` have in
    common.
    """

    layers: list

    def table(self):
        """Rows to print."""
        return self.layers

    def to_pandas(self):
        """A DataFrame, one row a layer; needs pandas."""
        return optional("pandas").DataFrame(self.layers).set_index("layer")

    def to_xarray(self):
        """A Dataset with the dimension `layer`, one variable a column; needs xarray."""
        columns = {key: [row[key] for row in self.layers] for key in self.layers[0]}
        names = columns.pop("layer")
        return dataset({key: ("layer", values) for key, values in columns.items()}, layer=names)

    def _repr_html_(self):
        return f"<p>{repr(self)[1:-1]}</p>" + html_table(self.table())


def dataset(variables, **coordinates):
    """An xarray Dataset; variables: name -> (dimensions, array), coordinates: dimension -> values.
    Needs xarray.
    """
    return optional("xarray").Dataset(variables, coordinates)


def optional(name):
    """A package that is not needed otherwise. Raises InputError where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise InputError(f"to_{name}", name, "none installed", f"pip install {name}") from None


def report_steps(steps):
    """1, 2, 4, … up to and including `steps`."""
    return sorted({2**k for k in range(steps.bit_length()) if 2**k <= steps} | {steps})
