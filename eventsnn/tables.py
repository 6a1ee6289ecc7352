"""Rows of named values as text, HTML or CSV, and the interval that belongs beside an accuracy."""
from __future__ import annotations

import csv
import html
import math


def text_table(rows, formats=None):
    """Rows (dicts with the same keys) as aligned text; formats: column -> format spec."""
    cells = [list(rows[0])] + [[_cell(v, (formats or {}).get(k)) for k, v in row.items()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    numeric = [isinstance(v, (int, float)) for v in rows[0].values()]
    lines = ["  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric)).rstrip() for row in cells]
    return "\n".join(lines)


def html_table(rows, formats=None):
    """Rows as an HTML table, for notebooks."""
    head = "".join(f"<th>{html.escape(str(k))}</th>" for k in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(_cell(v, (formats or {}).get(k)))}</td>" for k, v in row.items()) + "</tr>"
                   for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def write_csv(path, rows):
    """Rows as a CSV file with a header."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _cell(value, spec):
    if spec:
        return format(value, spec)
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def wilson(hits, n, z=1.96):
    """The 95 % interval (low, high) of a share `hits / n` (Wilson 1927)."""
    share, extra = hits / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * math.sqrt(share * (1 - share) / n + extra / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)
